# SPDX-License-Identifier: GPL-2.0-only
"""Defaults of ns-3's TCP that a script has changed are the guest's, or told."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SCRIPT = """
for name, value in (("TcpSocketBase::UseEcn", "On"), ("TcpSocketBase::Sack", "false"),
                    ("TcpSocketBase::Timestamp", "false"), ("TcpSocket::DataRetries", "9"),
                    ("TcpSocketBase::MinRto", "400ms"), ("TcpCubic::Beta", "0.8"),
                    ("TcpSocket::InitialCwnd", "7"), ("TcpSocket::DelAckCount", "1"),
                    ("TcpSocketBase::ClockGranularity", "10ms"),
                    ("TcpSocketState::EnablePacing", "true"),
                    ("TcpSocketState::MaxPacingRate", "1Gbps")):
    ns.Config.SetDefault(f"ns3::{name}", ns.StringValue(value))
nodes, devices = point_to_point("10Mbps", "5ms")
helper().Install(nodes)
addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
there = ns.InetSocketAddress(addresses.Assign(devices).GetAddress(1), 5000).ConvertTo()
ns.BulkSendHelper("ns3::TcpSocketFactory", there).Install(nodes.Get(0)).Start(ns.Seconds(1))
ns.PacketSinkHelper("ns3::TcpSocketFactory", there).Install(nodes.Get(1))
vm = nodes.Get(0).GetObject[ns.VirtualMachine]()
vm.SetSysctl("net.ipv4.tcp_timestamps", "1")
link = ns.PointToPointHelper()
link.EnablePcap("sent.pcap", devices.Get(0), False, True)
vm.AddAddress(devices.Get(0), "10.0.1.1/24")
vm.AddAddress(devices.Get(0), "fd00::1/64")
vm.AddRoute("10.9.0.0/16", "10.0.0.2", devices.Get(0), 3)
ns.Simulator.Stop(ns.Seconds(1.1))
ns3_qemu.Run()
lost = ns.CreateObject[ns.RateErrorModel]()
lost.SetUnit(ns.RateErrorModel.ERROR_UNIT_PACKET)
lost.SetRate(1)
devices.Get(1).SetAttribute("ReceiveErrorModel", ns.PointerValue(lost))
ns.Simulator.Stop(ns.Seconds(0.6))
ns3_qemu.Run()
from ns3_qemu import guest
RESULT["routes"] = {  # of two to one destination, what the kernel takes
    route.destination: dict(route.attributes)
    for route in sorted(guest.routes(vm), key=lambda route: -route.metric)}
for name in ("ecn", "sack", "timestamps", "retries2", "window_scaling"):
    RESULT[name] = str(vm.GetSysctl(f"net.ipv4.tcp_{name}")).strip()
RESULT["beta"] = str(vm.ReadFile("/sys/module/tcp_cubic/parameters/beta")).strip()
socket = nodes.Get(0).GetObject[ns.QemuTcpSocketFactory]().GetSocket(0)
SOL_SOCKET, SO_MAX_PACING_RATE = 1, 47
pacing = socket.GetObject[ns.QemuTcpSocket]().__deref__().GetOption(
    SOL_SOCKET, SO_MAX_PACING_RATE, 4)
RESULT["pacing"] = int.from_bytes(bytes(map(ord, pacing)), "little")
ns.Simulator.Destroy()
import dpkt
with open("sent.pcap", "rb") as file:
    packets = [(time, dpkt.ip.IP(frame[2:])) for time, frame in dpkt.pcap.Reader(file)
               if frame[2] >> 4 == 4]
tcp = [(time, packet.src[3], packet.data) for time, packet in packets if packet.p == 6]
RESULT["flags"] = [segment.flags for _, _, segment in tcp if segment.flags & 2]
RESULT["sent"] = [(time, segment.seq) for time, host, segment in tcp if host == 1 and segment.data]
RESULT["acknowledged"] = [time for time, host, _ in tcp if host == 2]
finish()
"""


@pytest.fixture(scope="module")
def ended(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    done = run_script(SCRIPT, vm_image, tmp_path_factory.mktemp("defaults"))
    assert done.status == 0, done.errors
    return done


def test_defaults_are_the_guests_sysctls(ended: Any):
    values = {name: ended.result[name] for name in ("ecn", "sack", "retries2", "window_scaling")}
    assert values == {"ecn": "1", "sack": "0", "retries2": "9", "window_scaling": "1"}
    assert ended.result["flags"] == [0xC2, 0x52]


def test_pacing_is_the_guests(ended: Any):
    """SO_MAX_PACING_RATE (socket(7)) is in bytes a second, and has the kernel pace a socket."""
    assert ended.result["pacing"] == 125_000_000


def test_parameters_of_cubic_are_its_modules(ended: Any):
    assert ended.result["beta"] == str(round(0.8 * 1024))


def test_least_timeout_is_that_of_routes_before_there_was_a_sysctl(ended: Any):
    """It is added to a round trip, which cannot be longer than the connection is old: 0.1 s.

    The machine's kernel is 6.1; its own least is 200 ms.
    """
    timeouts = [
        now[0] - ended.result["acknowledged"][-1]
        for before, now in pairwise(ended.result["sent"])
        if now[1] < before[1]
    ]
    assert len(timeouts) == 1
    assert 0.4 < timeouts[0] < 0.5


def test_each_segment_is_acknowledged(ended: Any):
    """DelAckCount 1 is quickack; the kernel's own is every second."""
    sent, acknowledged = ended.result["sent"], ended.result["acknowledged"]
    arrived = [time for time, _ in sent if time < acknowledged[-1] - 0.01]  # there and back
    assert len(acknowledged) - 1 == pytest.approx(len(arrived), abs=2)


def test_each_route_of_the_simulation_has_these_metrics(ended: Any):
    """Also those to networks of addresses, and what a connection makes of one."""
    routes = ended.result["routes"]
    own = {"lock": 1 << 13, "rto_min": 400, "quickack": 1}
    networks = ("10.0.0.0/24", "10.0.1.0/24", "fd00::/64")
    assert {name: routes[name] for name in networks} == dict.fromkeys(networks, own)
    assert routes["10.9.0.0/16"] == own | {"initcwnd": 3}
    assert routes["10.0.0.2/32"] == own | {"initcwnd": 7}


def test_what_is_said_to_the_machine_has_the_last_word(ended: Any):
    assert ended.result["timestamps"] == "1"


def test_what_has_no_counterpart_is_told_once_with_what_to_set(ended: Any):
    told = [line for line in ended.errors.splitlines() if "has no effect" in line]
    assert len(told) == 1
    assert "ns3::TcpSocketBase::ClockGranularity" in told[0]
    assert "built with" in told[0]
