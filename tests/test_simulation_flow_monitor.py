# SPDX-License-Identifier: GPL-2.0-only
"""FlowMonitor sees the packets of machines, as it does those of ns-3's own stack."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SIZE = 100_000

# A sender, a router and a receiver; the last two links are an IPv4 and an IPv6 network.
SCRIPT = """
nodes = ns.NodeContainer(3)
link = ns.PointToPointHelper()
link.SetDeviceAttribute("DataRate", ns.StringValue("5Mbps"))
link.SetQueue("ns3::DropTailQueue", "MaxSize", ns.QueueSizeValue(ns.QueueSize(LIMIT)))
pairs = [link.Install(nodes.Get(i), nodes.Get(i + 1)) for i in range(2)]
for i in range(3):
    stack = helper() if KINDS[i] == "vm" else ns.InternetStackHelper()
    stack.Install(nodes.Get(i))
if IPV6:
    addresses = ns.Ipv6AddressHelper()
    for i, pair in enumerate(pairs):
        addresses.SetBase(ns.Ipv6Address(f"2001:db8:{i}::"), ns.Ipv6Prefix(64))
        interfaces = addresses.Assign(pair)
        interfaces.SetForwarding(1 - i, True)
        interfaces.SetDefaultRouteInAllNodes(1 - i)
    there = ns.Inet6SocketAddress(interfaces.GetAddress(1, 1), 5000).ConvertTo()
else:
    addresses = ns.Ipv4AddressHelper()
    for i, pair in enumerate(pairs):
        addresses.SetBase(ns.Ipv4Address(f"10.0.{i}.0"), ns.Ipv4Mask("255.255.255.0"))
        interfaces = addresses.Assign(pair)
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
    there = ns.InetSocketAddress(interfaces.GetAddress(1), 5000).ConvertTo()
bulk = ns.BulkSendHelper("ns3::TcpSocketFactory", there)
bulk.SetAttribute("MaxBytes", ns.UintegerValue(SIZE))
bulk.Install(nodes.Get(0)).Start(ns.Seconds(1))
sink = ns.PacketSinkHelper("ns3::TcpSocketFactory", there).Install(nodes.Get(2)).Get(0)
monitor_helper = ns.FlowMonitorHelper()
monitor = monitor_helper.InstallAll()
ns.Simulator.Stop(ns.Seconds(20))
ns3_qemu.Run()
monitor.CheckForLostPackets(ns.Seconds(1))
stats = [pair.second for pair in monitor.GetFlowStats()]
RESULT["received"] = sink.GetTotalRx()
RESULT["flows"] = [[s.txPackets, s.rxPackets, s.timesForwarded, s.lostPackets, s.txBytes]
                   for s in stats]
finish()
"""


def flows(
    kinds: str, image: Path, directory: Path, limit: str = "100p", ipv6: bool = False
) -> dict[str, Any]:
    values = f"KINDS, SIZE, LIMIT, IPV6 = {kinds.split()!r}, {SIZE}, {limit!r}, {ipv6}\n"
    done = run_script(values + SCRIPT, image, directory)
    assert done.status == 0, done.errors
    assert done.result["received"] == SIZE
    return done.result


@pytest.mark.parametrize(
    ("kinds", "ipv6"),
    [("vm ns3 vm", False), ("vm vm vm", False), ("ns3 vm ns3", False), ("vm vm ns3", True)],
)
def test_flows_are_followed_from_end_to_end(vm_image: Path, tmp_path: Path, kinds: str, ipv6: bool):
    seen = flows(kinds, vm_image, tmp_path, ipv6=ipv6)["flows"]
    assert len(seen) == 2  # data and acknowledgements
    for sent, received, forwarded, lost, _ in seen:
        assert sent == received == forwarded
        assert lost == 0
    assert seen[0][4] > SIZE


def test_what_a_devices_queue_drops_is_lost(vm_image: Path, tmp_path: Path):
    seen = flows("vm ns3 vm", vm_image, tmp_path, limit="5p")["flows"]
    sent, received, _, lost, _ = seen[0]
    assert lost == sent - received > 0
