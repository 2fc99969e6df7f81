# SPDX-License-Identifier: GPL-2.0-only
"""A machine's node has a TcpL4Protocol, by whose path and attributes scripts reach its sockets."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SCRIPT = """
nodes, devices = point_to_point("10Mbps", "5ms")
helper().Install(nodes)
addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
there = ns.InetSocketAddress(addresses.Assign(devices).GetAddress(1), 5000).ConvertTo()
protocol = nodes.Get(0).GetObject[ns.TcpL4Protocol]()
RESULT["found"] = bool(protocol)
name = "/NodeList/0/$ns3::TcpL4Protocol"
ns.Config.Set(f"{name}/SocketType", ns.TypeIdValue(ns.TypeId.LookupByName("ns3::TcpLinuxReno")))
ns.BulkSendHelper("ns3::TcpSocketFactory", there).Install(nodes.Get(0)).Start(ns.Seconds(1))
ns.PacketSinkHelper("ns3::TcpSocketFactory", there).Install(nodes.Get(1))
ns.cppyy.cppdef('''
std::vector<uint32_t> g_windows;
void Changed(uint32_t, uint32_t now) { g_windows.push_back(now); }
void Connect() {
    ns3::Config::ConnectWithoutContext(
        "/NodeList/0/$ns3::TcpL4Protocol/SocketList/0/CongestionWindow",
        ns3::MakeCallback(&Changed));
}
void Later() { ns3::Simulator::Schedule(ns3::Seconds(1.001), &Connect); }
''')
ns.cppyy.gbl.Later()
ns.Simulator.Stop(ns.Seconds(1.2))
ns3_qemu.Run()
RESULT["windows"] = list(ns.cppyy.gbl.g_windows)
socket = nodes.Get(0).GetObject[ns.QemuTcpSocketFactory]().GetSocket(0)
other = nodes.Get(1).GetObject[ns.QemuTcpSocketFactory]().GetSocket(0)
TCP, CONGESTION = 6, 13
RESULT["control"] = [
    "".join(one.__deref__().GetOption(TCP, CONGESTION, 16)).rstrip(chr(0))
    for one in (socket.GetObject[ns.QemuTcpSocket](), other.GetObject[ns.QemuTcpSocket]())]
finish()
"""


@pytest.fixture(scope="module")
def result(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(SCRIPT, vm_image, tmp_path_factory.mktemp("paths"))
    assert done.status == 0, done.errors
    return done.result


def test_the_path_of_a_congestion_window_is_ns3s(result: dict[str, Any]):
    assert result["found"]
    assert len(result["windows"]) > 10
    assert result["windows"] == sorted(result["windows"])  # slow start


def test_the_socket_type_of_a_node_chooses_its_congestion_control(result: dict[str, Any]):
    assert result["control"] == ["reno", "cubic"]
