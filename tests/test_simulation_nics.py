# SPDX-License-Identifier: GPL-2.0-only
"""Two machines with eight NICs each: Ethernet with jumbo frames, Wi-Fi, bridges, short MTUs."""

from pathlib import Path
from typing import Any

import dpkt
import pytest

from simulation_tools import run_script

NICS = 8
LIMIT = 60_000
JUMBO, INFRASTRUCTURE, AD_HOC, SIMPLE, SWITCH, SHORT, BRIDGE, CABLE = range(NICS)
IPV6 = NICS  # a flow of its own, over the same NIC as JUMBO

SCRIPT = """
NIC_COUNT = 8
LIMIT = 60_000

def wifi(nodes, sta, ap=None):
    phy = ns.YansWifiPhyHelper()
    phy.SetChannel(ns.YansWifiChannelHelper.Default().Create())
    wifi = ns.WifiHelper()
    wifi.SetStandard(ns.WIFI_STANDARD_80211n)
    made = ns.NetDeviceContainer()
    for node, kind in zip((nodes.Get(0), nodes.Get(1)), (sta, ap or sta)):
        mac = ns.WifiMacHelper()
        if ap:
            mac.SetType(kind, "Ssid", ns.SsidValue(ns.Ssid("test")))
        else:
            mac.SetType(kind)
        made.Add(wifi.Install(phy, mac, ns.NodeContainer(node)))
    return made

nodes = ns.NodeContainer(); nodes.Create(2)
mobility = ns.MobilityHelper()
mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel")
mobility.Install(nodes)
qemu = helper()
devices = []
lan = ns.CsmaHelper()
lan.SetChannelAttribute("DataRate", ns.StringValue("100Mbps"))
lan.SetDeviceAttribute("Mtu", ns.UintegerValue(9000))
devices.append(lan.Install(nodes))
devices.append(wifi(nodes, "ns3::StaWifiMac", "ns3::ApWifiMac"))
devices.append(wifi(nodes, "ns3::AdhocWifiMac"))
devices.append(ns.SimpleNetDeviceHelper().Install(nodes))
# Both ends of a switch, a native node.
switch = ns.CreateObject[ns.Node]()
lan = ns.CsmaHelper()
lan.SetChannelAttribute("DataRate", ns.StringValue("100Mbps"))
ends, ports = ns.NetDeviceContainer(), ns.NetDeviceContainer()
for i in range(2):
    both = ns.NodeContainer(nodes.Get(i))
    both.Add(switch)
    pair = lan.Install(both)
    ends.Add(pair.Get(0)); ports.Add(pair.Get(1))
ns.BridgeHelper().Install(switch, ports)
devices.append(ends)
ppp = ns.PointToPointHelper()
ppp.SetDeviceAttribute("DataRate", ns.StringValue("10Mbps"))
ppp.SetDeviceAttribute("Mtu", ns.UintegerValue(1000))
devices.append(ppp.Install(nodes))
# A bridge on the machine's own node, in the place of its ports.
port = lan.Install(nodes)
ends = ns.NetDeviceContainer()
ends.Add(ns.BridgeHelper().Install(nodes.Get(0), ns.NetDeviceContainer(port.Get(0))))
ends.Add(port.Get(1))
devices.append(ends)
ppp.SetDeviceAttribute("Mtu", ns.UintegerValue(1500))
cable = ppp.Install(nodes)
devices.append(cable)

vms = [qemu.Install(nodes.Get(i)) for i in range(2)]
for i in reversed(range(NIC_COUNT)):
    for end in range(2):
        vms[end].AddAddress(devices[i].Get(end), f"10.0.{i}.{end + 1}/24")
        if i == 0:
            vms[end].AddAddress(devices[i].Get(end), f"fd00::{end + 1}/64")

def flow(i, address, start, limit=LIMIT):
    to = (ns.Inet6SocketAddress(ns.Ipv6Address(address), 5000 + i) if ":" in address
          else ns.InetSocketAddress(ns.Ipv4Address(address), 5000 + i)).ConvertTo()
    any_ = (ns.Inet6SocketAddress(ns.Ipv6Address("::"), 5000 + i) if ":" in address
            else ns.InetSocketAddress(ns.Ipv4Address("0.0.0.0"), 5000 + i)).ConvertTo()
    sending = ns.CreateObject[ns.QemuTcpSource]()
    sending.SetAttribute("Remote", ns.AddressValue(to))
    sending.SetAttribute("MaxBytes", ns.UintegerValue(limit))
    sending.SetStartTime(ns.Seconds(start))
    nodes.Get(0).AddApplication(sending)
    receiving = ns.CreateObject[ns.QemuTcpSink]()
    receiving.SetAttribute("Local", ns.AddressValue(any_))
    nodes.Get(1).AddApplication(receiving)
    return sending, receiving

flows = [flow(i, f"10.0.{i}.2", 3 + 0.1 * i) for i in range(NIC_COUNT)]
flows.append(flow(NIC_COUNT, "fd00::2", 4))
for i in range(NIC_COUNT):
    qemu.EnablePcap(f"nic{i}.pcap", devices[i].Get(1), True, True)

def file(vm, name):
    return str(vm.ReadFile(f"/sys/class/net/{name}")).strip()

def run_for(seconds):
    ns.Simulator.Stop(ns.Seconds(seconds))
    ns3_qemu.Run()

run_for(6)
RESULT["received"] = [receiving.GetTotalRx() for _, receiving in flows]
RESULT["macs"] = [[file(vm, f"eth{i}/address") for i in range(NIC_COUNT)] for vm in vms]
RESULT["devices"] = [[str(pair.Get(end).GetAddress())[6:] for pair in devices] for end in range(2)]
RESULT["mtus"] = [int(file(vms[0], f"eth{i}/mtu")) for i in range(NIC_COUNT)]

# A cable that is pulled in the midst of a transfer.
nic = vms[0].GetNic(cable.Get(0))
sending, receiving = flow(20, "10.0.7.2", 0, 10 * LIMIT)
run_for(0.1)
carriers, received = [file(vms[0], "eth7/carrier")], []
for plugged in (False, True):
    nic.SetAttribute("Connected", ns.BooleanValue(plugged))
    run_for(0.5)  # what the device had in its queue is sent
    received.append(receiving.GetTotalRx())
    carriers.append(file(vms[0], "eth7/carrier"))
    run_for(5)
    received.append(receiving.GetTotalRx())
RESULT["cable"] = {"carriers": carriers, "received": received, "errno": sending.GetErrno()}

# What may change while the machine runs, and what may not.
nic = vms[0].GetNic(devices[5].Get(0))
lowered = nic.SetMtu(700)
RESULT["mtu change"] = [lowered, int(file(vms[0], "eth5/mtu")), nic.SetMtu(9000), nic.GetMtu()]
try:
    nic.SetAddress(ns.Mac48Address("02:00:00:00:00:99").ConvertTo())
    RESULT["address change"] = ""
except Exception as error:
    RESULT["address change"] = str(error)
finish()
"""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nics")


@pytest.fixture(scope="module")
def result(vm_image: Path, where: Path) -> dict[str, Any]:
    done = run_script(SCRIPT, vm_image, where)
    assert done.status == 0, done.errors
    return done.result


def frames(result: dict[str, Any], where: Path, nic: int) -> list[dpkt.ethernet.Ethernet]:
    """Return what the receiving machine's NIC has sent and received."""
    assert result
    with (where / f"nic{nic}.pcap").open("rb") as stream:
        return [dpkt.ethernet.Ethernet(frame) for _, frame in dpkt.pcap.Reader(stream)]


@pytest.mark.parametrize(
    "flow",
    [JUMBO, INFRASTRUCTURE, AD_HOC, SIMPLE, SWITCH, SHORT, BRIDGE, CABLE, IPV6],
    ids=["jumbo", "sta-ap", "ad-hoc", "simple", "switch", "short", "bridge", "cable", "ipv6"],
)
def test_tcp_passes_over_every_kind_of_device(result: dict[str, Any], flow: int):
    assert result["received"][flow] == LIMIT


def test_nics_are_in_the_order_of_the_devices_whichever_is_asked_for_first(
    result: dict[str, Any],
):
    assert result["macs"] == result["devices"]


def test_interfaces_have_the_mtu_of_their_device(result: dict[str, Any]):
    assert result["mtus"] == [9000, 2296, 2296, 65535, 1500, 1000, 1500, 1500]


@pytest.mark.parametrize(("nic", "mtu"), [(JUMBO, 9000), (INFRASTRUCTURE, 2296), (SHORT, 1000)])
def test_segments_fill_the_mtu(result: dict[str, Any], where: Path, nic: int, mtu: int):
    assert max(len(frame) for frame in frames(result, where, nic)) == 14 + mtu


def test_a_neighbour_is_found_by_multicast(result: dict[str, Any], where: Path):
    messages = [
        (frame.dst[:3], frame.data.data.type)
        for frame in frames(result, where, JUMBO)
        if frame.type == 0x86DD and isinstance(frame.data.data, dpkt.icmp6.ICMP6)
    ]
    assert (b"\x33\x33\xff", dpkt.icmp6.ND_NEIGHBOR_SOLICIT) in messages
    assert any(kind == dpkt.icmp6.ND_NEIGHBOR_ADVERT for _, kind in messages)


def test_a_guest_sees_a_pulled_cable_and_tcp_outlives_it(result: dict[str, Any]):
    cable = result["cable"]
    assert cable["carriers"] == ["1", "0", "1"]
    pulled, still, _, end = cable["received"]
    assert 0 < pulled == still < 10 * LIMIT
    assert (end, cable["errno"]) == (10 * LIMIT, 0)


def test_the_mtu_can_be_lowered_while_the_machine_runs_but_not_raised(result: dict[str, Any]):
    assert result["mtu change"] == [True, 700, False, 700]


def test_the_address_cannot_change_while_the_machine_runs(result: dict[str, Any]):
    assert "cannot be changed once its machine has been started" in result["address change"]
