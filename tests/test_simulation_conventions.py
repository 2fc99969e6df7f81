# SPDX-License-Identifier: GPL-2.0-only
"""What scripts of ns-3 do besides TCP works on machines' nodes: helpers, captures, tools."""

import re
from pathlib import Path
from typing import Any

import pytest

from simulation_tools import Ended, run_script

# A dumbbell of four machines, and a process for each of the others: ns-3 is loaded once.
SCRIPT = r"""
import multiprocessing


def count_once():
    nodes, devices = point_to_point()
    helper().Install(nodes)
    addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    there = ns.InetSocketAddress(addresses.Assign(devices).GetAddress(1), PORT).ConvertTo()
    bulk = ns.BulkSendHelper("ns3::TcpSocketFactory", there)
    bulk.SetAttribute("MaxBytes", ns.UintegerValue(100_000))
    bulk.Install(nodes.Get(0)).Start(ns.Seconds(1))
    ns.PacketSinkHelper("ns3::TcpSocketFactory", there).Install(nodes.Get(1))
    found = []
    path = "/NodeList/*/$ns3::TcpL4Protocol/SocketList/*"
    ns3_qemu.at(1.05, lambda: found.append(ns.Config.LookupMatches(path).GetN()))
    ns.Simulator.Stop(ns.Seconds(1.2))
    ns3_qemu.Run()
    ns.Simulator.Destroy()
    return found


def ipv6_ping():
    nodes, devices = point_to_point()
    helper().Install(nodes)
    addresses = ns.Ipv6AddressHelper(ns.Ipv6Address("2001:db8::"), ns.Ipv6Prefix(64))
    there = addresses.Assign(devices).GetAddress(1, 1).ConvertTo()
    ping = ns.PingHelper(there)
    ping.SetAttribute("Count", ns.UintegerValue(2))
    application = ping.Install(nodes.Get(0)).Get(0)
    application.SetStartTime(ns.Seconds(1.5))  # away from router solicitations
    trips = []
    ns3_qemu.trace(application, "Rtt", lambda number, rtt: trips.append(rtt.GetSeconds()))
    ns.Simulator.Stop(ns.Seconds(3.5))
    ns3_qemu.Run()
    ns.Simulator.Destroy()
    return trips


def unfit():
    nodes, devices = csma()
    helper().Install(nodes)
    addresses = ns.Ipv6AddressHelper(ns.Ipv6Address("2001:db8::"), ns.Ipv6Prefix(64))
    interfaces = addresses.Assign(devices)
    radvd = ns.RadvdHelper()
    number = interfaces.GetInterfaceIndex(0)
    radvd.AddAnnouncedPrefix(number, ns.Ipv6Address("2001:db8::"), 64)
    radvd.Install(nodes.Get(0))
    return refusal(ns3_qemu.Run)


def distributed():
    wanted = ns.StringValue("ns3::DistributedSimulatorImpl")
    return refusal(ns.GlobalValue.Bind, "SimulatorImplementationType", wanted)


def half_ethernet():
    nodes, devices = point_to_point()
    vm = helper().Install(nodes.Get(0))
    vm.GetNic(devices.Get(0)).SetAttribute("EthernetFrames", ns.BooleanValue(True))
    return refusal(ns3_qemu.Run)


def topologies():
    # The trips of a ping over two hops, in each of ns-3's topologies.
    def network(number):
        base = ns.Ipv4Address(f"10.{number}.0.0")
        return ns.Ipv4AddressHelper(base, ns.Ipv4Mask("255.255.255.0"))

    hop = ns.PointToPointHelper()
    hop.SetDeviceAttribute("DataRate", ns.StringValue("10Mbps"))
    hop.SetChannelAttribute("Delay", ns.StringValue("5ms"))
    segment = ns.CsmaHelper()
    segment.SetChannelAttribute("DataRate", ns.StringValue("10Mbps"))
    segment.SetChannelAttribute("Delay", ns.StringValue("5ms"))
    star = ns.PointToPointStarHelper(2, hop)
    grid = ns.PointToPointGridHelper(2, 2, hop)
    segments = ns.CsmaStarHelper(2, segment)
    for topology in (star, grid, segments):
        topology.InstallStack(helper())
    star.AssignIpv4Addresses(network(1))
    grid.AssignIpv4Addresses(network(2), network(3))
    segments.AssignIpv4Addresses(network(4))
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
    trips = {}

    def start(name, node, there):
        ping = ns.PingHelper(there.ConvertTo())
        ping.SetAttribute("Count", ns.UintegerValue(2))
        application = ping.Install(node)
        application.Start(ns.Seconds(1))
        trips[name] = []
        note = lambda number, rtt: trips[name].append(rtt.GetSeconds())
        ns3_qemu.trace(application.Get(0), "Rtt", note)

    start("star", star.GetSpokeNode(0), star.GetSpokeIpv4Address(1))
    start("grid", grid.GetNode(0, 0), grid.GetIpv4Address(1, 1))
    start("segments", segments.GetSpokeNode(0), segments.GetSpokeIpv4Address(1))
    ns.Simulator.Stop(ns.Seconds(3))
    ns3_qemu.Run()
    ns.Simulator.Destroy()
    return trips


def refusal(function, *values):
    try:
        function(*values)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def parents_machine():
    return refusal(ns3_qemu.Run)


def in_a_child(function):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function)


for function in (count_once, ipv6_ping, topologies, unfit, distributed, half_ethernet):
    RESULT[function.__name__] = in_a_child(function)

leaf = ns.PointToPointHelper()
leaf.SetDeviceAttribute("DataRate", ns.StringValue("10Mbps"))
leaf.SetChannelAttribute("Delay", ns.StringValue("5ms"))
dumbbell = ns.PointToPointDumbbellHelper(1, leaf, 1, leaf, leaf)
qemu = helper()
qemu.SetAttribute("Epoch", ns.TimeValue(ns.Seconds(1_000_000_000)))
dumbbell.InstallStack(qemu)
networks = [ns.Ipv4AddressHelper(ns.Ipv4Address(f"10.{i}.0.0"), ns.Ipv4Mask("255.255.255.0"))
            for i in (1, 2, 3)]
dumbbell.AssignIpv4Addresses(*networks)
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
sender, remote = dumbbell.GetLeft(0), dumbbell.GetRightIpv4Address(0)
machines = [ns.NodeList.GetNode(i).GetObject[ns.VirtualMachine]() for i in range(4)]
RESULT["machines"] = [bool(machine) for machine in machines]
qemu.EnablePcapIpv4("sender", sender.GetObject[ns.Ipv4](), 1, False)
qemu.EnableAsciiIpv4("sender", sender.GetObject[ns.Ipv4](), 1, False)
leaf.EnableAsciiAll(ns.AsciiTraceHelper().CreateFileStream("devices.tr"))
animation = ns.AnimationInterface("animation.xml")
ping = ns.PingHelper(remote.ConvertTo())
ping.SetAttribute("Count", ns.UintegerValue(2))
pinging = ping.Install(sender)
pinging.Start(ns.Seconds(1))
trips = []
ns3_qemu.trace(pinging.Get(0), "Rtt", lambda number, rtt: trips.append(rtt.GetSeconds()))
ns.V4TraceRouteHelper(remote).Install(sender).Start(ns.Seconds(2.5))
ns.Config.SetDefault("ns3::ConfigStore::Filename", ns.StringValue("store.txt"))
ns.Config.SetDefault("ns3::ConfigStore::Mode", ns.StringValue("Save"))
ns.ConfigStore().ConfigureAttributes()
ns.Simulator.Stop(ns.Seconds(6))
ns3_qemu.Run()
RESULT["trips"] = trips
RESULT["date"] = float(machines[0].GetRealtime().GetSeconds())
RESULT["parents_machine"] = in_a_child(parents_machine)
ns.Simulator.Stop(ns.Seconds(1))
ns3_qemu.Run()  # a child leaves its parent's machines alone
RESULT["after a fork"] = ns.Simulator.Now().GetSeconds()
del animation
ns.Simulator.Destroy()

ns.GlobalValue.Bind("SimulatorImplementationType", ns.StringValue("ns3::RealtimeSimulatorImpl"))
nodes, devices = point_to_point()
helper().Install(nodes)
ns.Simulator.Stop(ns.Seconds(0.2))
ns3_qemu.Run()
RESULT["real time"] = ns.Simulator.Now().GetSeconds()
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conventions")


@pytest.fixture(scope="module")
def ended(vm_image: Path, directory: Path) -> Ended:
    done = run_script(SCRIPT, vm_image, directory)
    assert done.status == 0, done.errors
    return done


@pytest.fixture(scope="module")
def result(ended: Ended) -> dict[str, Any]:
    return ended.result


def test_a_topology_helper_installs_machines(result: dict[str, Any]):
    """InstallStack takes an InternetStackHelper by value; settings go with it."""
    assert result["machines"] == [True] * 4
    assert 1_000_000_006 < result["date"] < 1_000_000_007


def test_ping_takes_as_long_as_the_links(result: dict[str, Any]):
    """Three links there and back, 5 ms and 86 bytes at 10 Mbit/s each; a reply is as long."""
    assert result["trips"] == [pytest.approx(6 * (0.005 + 86 * 8 / 10e6), abs=1e-9)] * 2
    assert result["ipv6_ping"] == [pytest.approx(2 * (0.005 + 106 * 8 / 10e6), abs=1e-9)] * 2


def test_stars_and_grids_are_made_of_machines(result: dict[str, Any]):
    trips = result["topologies"]
    hops = pytest.approx(4 * (0.005 + 86 * 8 / 10e6), abs=1e-9)
    assert trips["star"] == [hops] * 2
    assert trips["grid"] == [hops] * 2
    # The first waits for answers to ARP. Ethernet has 16 bytes more than PPP.
    assert trips["segments"][1:] == [pytest.approx(4 * (0.005 + 102 * 8 / 10e6), abs=4e-6)]


def test_captures_of_ip_and_of_devices_are_written(result: dict[str, Any], directory: Path):
    assert result["trips"]
    (capture,) = directory.glob("sender*.pcap")
    assert capture.stat().st_size > 400
    (ascii_trace,) = directory.glob("sender*.tr")
    assert re.search(r"^t 1 .*size=84", ascii_trace.read_text(), re.MULTILINE)
    assert (directory / "devices.tr").read_text().count("\n") > 20
    assert "<p " in (directory / "animation.xml").read_text()


def test_attributes_are_in_the_config_store(result: dict[str, Any], directory: Path):
    assert result["trips"]
    stored = (directory / "store.txt").read_text()
    assert '$ns3::VirtualMachine/Epoch "+1e+18ns"' in stored


def test_trace_route_finds_each_hop(ended: Ended):
    hops = re.findall(r"^(\d) (10\.\d\.0\.\d) ", ended.errors, re.MULTILINE)
    assert [address for _, address in hops][-1:] == ["10.2.0.1"]
    assert len(hops) == 3


def test_a_path_finds_each_socket_once(result: dict[str, Any]):
    """The one that listens and the one that it has accepted; the sender's is closed already."""
    assert result["count_once"] == [2]


def test_what_cannot_be_is_one_clear_error(result: dict[str, Any]):
    assert "ns3::Radvd cannot run" in result["unfit"]
    assert "Debian's package radvd" in result["unfit"]
    assert "ValueError" in result["distributed"]
    assert "--enable-mpi" in result["distributed"]
    assert "node 1 at the other end has no virtual machine" in result["half_ethernet"]


def test_a_forked_process_runs_its_own_simulations_and_no_others(result: dict[str, Any]):
    assert "make a simulation after the fork" in result["parents_machine"]
    assert result["after a fork"] == 7


def test_machines_run_in_real_time(result: dict[str, Any]):
    assert result["real time"] == 0.2
