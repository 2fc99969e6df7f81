# SPDX-License-Identifier: GPL-2.0-only
"""Addresses, routes and interfaces as ns-3's helpers give them, in the guest and on the network."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

LIMIT = 200_000

# What both simulations use. Nodes in a row, joined by point-to-point links and Ethernets in turn.
HEAD = """
import cppyy

cppyy.cppdef('''
    void CallAt(double t, std::function<void()> f)
    {
        ns3::Simulator::Schedule(ns3::Seconds(t), [f]() { f(); });
    }
''')
KEPT = []

def at(time, action):
    KEPT.append(action)
    cppyy.gbl.CallAt(time, action)

def text(action):
    try:
        action()
    except Exception as error:
        return str(error)
    return "nothing was raised"

MASK = ns.Ipv4Mask("255.255.255.0")
point_to_point_link = ns.PointToPointHelper()
point_to_point_link.SetDeviceAttribute("DataRate", ns.StringValue("10Mbps"))
point_to_point_link.SetChannelAttribute("Delay", ns.StringValue("1ms"))
ethernet = ns.CsmaHelper()

def row(stacks):
    nodes = ns.NodeContainer()
    nodes.Create(len(stacks))
    qemu, own = helper(), ns.InternetStackHelper()
    for i, stack in enumerate(stacks):
        (qemu if stack == "vm" else own).Install(nodes.Get(i))
    # Not 2001:db8::/32: routers of ns-3's own drop what is for the documentation's addresses.
    ipv4, ipv6 = ns.Ipv4AddressHelper(), ns.Ipv6AddressHelper()
    links = []
    for i in range(len(stacks) - 1):
        pair = ns.NodeContainer()
        pair.Add(nodes.Get(i))
        pair.Add(nodes.Get(i + 1))
        devices = (ethernet if i % 2 else point_to_point_link).Install(pair)
        ipv4.SetBase(ns.Ipv4Address(f"10.1.{i}.0"), MASK)
        ipv6.SetBase(ns.Ipv6Address(f"fd00:0:0:{i}::"), ns.Ipv6Prefix(64))
        links.append((ipv4.Assign(devices), ipv6.Assign(devices), devices))
    return nodes, links

def vm_of(node):
    return ns.VirtualMachine.Of(node)

def ipv4_of(node):
    return node.GetObject[ns.Ipv4]()

def static(node):
    return ns.Ipv4StaticRoutingHelper().GetStaticRouting(ipv4_of(node))

def routes(vm):
    '''The guest's main table: destination, gateway, mask and metric, as the kernel prints them.'''
    lines = str(vm.ReadFile("/proc/net/route")).splitlines()[1:]
    return sorted([f[0], f[1], f[2], f[7], int(f[6])] for f in map(str.split, lines))

def addresses(vm):
    return [str(vm.ReadFile("/proc/net/fib_trie")), str(vm.ReadFile("/proc/net/if_inet6"))]
"""

# A machine whose script changes everything while it runs.
CHANGES = """
nodes, links = row(["vm", "native"])
node, router = nodes.Get(0), nodes.Get(1)
vm, ipv4, ipv6 = vm_of(node), ipv4_of(node), node.GetObject[ns.Ipv6]()
static(node).SetDefaultRoute(ns.Ipv4Address("10.1.0.2"), 1, 7)
static(node).AddNetworkRouteTo(ns.Ipv4Address("10.5.0.0"), ns.Ipv4Mask("255.255.0.0"),
                               ns.Ipv4Address("172.16.0.1"), 1)
links[0][1].SetDefaultRoute(0, 1)
vm.AddRoute("10.6.0.0/16", "10.1.0.2", links[0][2].Get(0), 20)
seen = RESULT["changes"] = {}

def look(name):
    seen[name] = {"routes": routes(vm), "addresses": addresses(vm),
                  "ipv6 routes": str(vm.ReadFile("/proc/net/ipv6_route")),
                  "flags": int(str(vm.ReadFile("/sys/class/net/eth0/flags")), 16),
                  "forward": [str(vm.GetSysctl("net.ipv4.conf.eth0.forwarding")),
                              str(vm.GetSysctl("net.ipv6.conf.all.forwarding"))]}

def second(name, *actions):
    moment = 1 + len(seen_at)
    seen_at.append(name)
    for i, action in enumerate(actions):
        at(moment + i / 100, action)
    at(moment + 0.5, lambda: look(name))

seen_at = []
second("beginning")
second("address", lambda: ipv4.AddAddress(1, ns.Ipv4InterfaceAddress(
    ns.Ipv4Address("10.1.0.77"), MASK)),
    lambda: ipv6.AddAddress(1, ns.Ipv6InterfaceAddress(
        ns.Ipv6Address("fd00:0:0:77::1"), ns.Ipv6Prefix(64))))
second("first address gone", lambda: ipv4.RemoveAddress(1, ns.Ipv4Address("10.1.0.1")),
       lambda: ipv6.RemoveAddress(1, ns.Ipv6Address("fd00:0:0:77::1")))
second("route removed", lambda: static(node).RemoveRoute(next(
    i for i in range(static(node).GetNRoutes())
    if static(node).GetRoute(i).GetGateway() == ns.Ipv4Address("10.1.0.2"))))
second("forwarding", lambda: ipv4.SetForwarding(1, False),
       lambda: ipv6.SetForwarding(1, True))
second("down", lambda: ipv4.SetDown(1))
second("up", lambda: ipv4.SetUp(1))
at(20, lambda: seen.update(refused=text(lambda: ipv4.AddAddress(
    1, ns.Ipv4InterfaceAddress(ns.Ipv4Address("10.1.0.77"), MASK)))))
at(20, lambda: seen.update(gateway=text(lambda: vm.AddRoute(
    "10.9.0.0/16", "10.8.0.1", links[0][2].Get(0)))))
ns.Simulator.Stop(ns.Seconds(21))
ns3_qemu.Run()
ns.Simulator.Destroy()
"""

# Machines as hosts and as routers between nodes of ns-3's own: each of the two ways, IPv4 and IPv6.
MIXED = """
def root_queue_discs(node):
    control = node.GetObject[ns.TrafficControlLayer]()
    discs = [control.GetRootQueueDiscOnDevice(node.GetDevice(i)) for i in range(node.GetNDevices())]
    return [str(disc.__deref__().GetInstanceTypeId().GetName()) for disc in discs if disc]

def mixed(name, stacks):
    nodes, links = row(stacks)
    for i, (_, ipv6, _) in enumerate(links):
        if i > 0:
            ipv6.SetForwarding(0, True)
            links[i - 1][1].SetForwarding(1, True)
    # The routes to the far networks by hand; IPv4's are global routing's.
    links[0][1].SetDefaultRoute(0, 1)
    links[-1][1].SetDefaultRoute(1, 0)
    for i in range(1, len(stacks) - 1):
        routing = ns.Ipv6StaticRoutingHelper().GetStaticRouting(nodes.Get(i).GetObject[ns.Ipv6]())
        for far in range(len(links)):
            if far in (i - 1, i):
                continue
            left = far < i
            via = links[i - 1][1].GetAddress(0, 0) if left else links[i][1].GetAddress(1, 0)
            routing.AddNetworkRouteTo(ns.Ipv6Address(f"fd00:0:0:{far}::"), ns.Ipv6Prefix(64), via,
                                      1 if left else 2, ns.Ipv6Address("::"))
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
    last = len(stacks) - 1
    received = {}
    for sender, receiver in ((0, last), (last, 0)):
        there, side = (links[-1], 1) if receiver else (links[0], 0)
        for family, address in (
            ("IPv4", ns.InetSocketAddress(there[0].GetAddress(side), 5001)),
            ("IPv6", ns.Inet6SocketAddress(there[1].GetAddress(side, 1), 5002)),
        ):
            remote = address.ConvertTo()
            any_ = (ns.InetSocketAddress(ns.Ipv4Address.GetAny(), 5001) if family == "IPv4"
                    else ns.Inet6SocketAddress(ns.Ipv6Address.GetAny(), 5002)).ConvertTo()
            if stacks[receiver] == "vm":
                application = ns.CreateObject[ns.QemuTcpSink]()
                application.SetAttribute("Local", ns.AddressValue(any_))
                nodes.Get(receiver).AddApplication(application)
            else:
                application = ns.PacketSinkHelper("ns3::TcpSocketFactory", any_).Install(
                    nodes.Get(receiver)).Get(0)
            received[f"{family} from {sender}"] = application
            if stacks[sender] == "vm":
                application = ns.CreateObject[ns.QemuTcpSource]()
                application.SetAttribute("Remote", ns.AddressValue(remote))
                application.SetAttribute("MaxBytes", ns.UintegerValue(200_000))
                application.SetStartTime(ns.Seconds(2))
                nodes.Get(sender).AddApplication(application)
            else:
                bulk = ns.BulkSendHelper("ns3::TcpSocketFactory", remote)
                bulk.SetAttribute("MaxBytes", ns.UintegerValue(200_000))
                bulk.Install(nodes.Get(sender)).Start(ns.Seconds(2))
    ns.Simulator.Stop(ns.Seconds(10))
    ns3_qemu.Run()
    RESULT[name] = {what: application.GetTotalRx() for what, application in received.items()}
    RESULT[name]["queue discs"] = [
        root_queue_discs(nodes.Get(i))[0] for i in range(len(stacks))]
    ns.Simulator.Destroy()

ns.Config.SetDefault("ns3::TcpL4Protocol::SocketType",
                     ns.TypeIdValue(ns.TypeId.LookupByName("ns3::TcpLinuxReno")))
mixed("routers", ["native", "vm", "vm", "native"])
mixed("one of each", ["native", "native", "vm"])
"""


@pytest.fixture(scope="module")
def changes(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(HEAD + CHANGES + "finish()\n", vm_image, tmp_path_factory.mktemp("changes"))
    assert done.status == 0, done.errors
    return dict(done.result["changes"])


@pytest.fixture(scope="module")
def mixed(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(HEAD + MIXED + "finish()\n", vm_image, tmp_path_factory.mktemp("mixed"))
    assert done.status == 0, done.errors
    return done.result


def number(address: str) -> str:
    """Return an IPv4 address as /proc/net/route prints it."""
    return "".join(f"{int(part):02X}" for part in reversed(address.split(".")))


def route(destination: str, gateway: str, mask: str, metric: int = 0) -> list[Any]:
    return ["eth0", number(destination), number(gateway), number(mask), metric]


CONNECTED = route("10.1.0.0", "0.0.0.0", "255.255.255.0")
DEFAULT = route("0.0.0.0", "10.1.0.2", "0.0.0.0", 7)
# Its gateway is in none of the node's networks: in ns-3 the interface is enough.
FAR = route("10.5.0.0", "172.16.0.1", "255.255.0.0")
STRING = route("10.6.0.0", "10.1.0.2", "255.255.0.0")


def has_ipv4(seen: dict[str, Any], address: str) -> bool:
    lines = [line.strip() for line in seen["addresses"][0].splitlines()]
    return (f"|-- {address}", "/32 host LOCAL") in itertools.pairwise(lines)


def test_the_guest_has_the_routes_of_the_tables_and_no_route_twice(changes: dict[str, Any]):
    assert changes["beginning"]["routes"] == sorted([CONNECTED, DEFAULT, FAR, STRING])


def test_the_guest_has_the_addresses_that_the_helpers_assign(changes: dict[str, Any]):
    assert has_ipv4(changes["beginning"], "10.1.0.1")
    # Flags 0x80: permanent, not tentative: no duplicate address detection.
    ipv6 = [line.split() for line in changes["beginning"]["addresses"][1].splitlines()]
    mine = {fields[0][:16]: int(fields[4], 16) for fields in ipv6 if fields[5] == "eth0"}
    assert mine == {"fd00000000000000": 0x82, "fe80000000000000": 0x80}


def test_an_ipv6_default_route_leads_to_the_routers_link_local_address(changes: dict[str, Any]):
    fields = [line.split() for line in changes["beginning"]["ipv6 routes"].splitlines()]
    gateways = [f[4] for f in fields if f[:2] == ["0" * 32, "00"] and f[9] == "eth0"]
    assert [gateway[:16] for gateway in gateways] == ["fe80000000000000"]


def test_addresses_come_and_go_while_the_machine_runs(changes: dict[str, Any]):
    assert has_ipv4(changes["address"], "10.1.0.77")
    assert has_ipv4(changes["address"], "10.1.0.1")
    assert "fd000000000000770000000000000001" in changes["address"]["addresses"][1]
    after = changes["first address gone"]
    assert not has_ipv4(after, "10.1.0.1")
    assert "fd000000000000770000000000000001" not in after["addresses"][1]


def test_a_second_address_of_a_network_outlives_the_first(changes: dict[str, Any]):
    after = changes["first address gone"]
    assert has_ipv4(after, "10.1.0.77")
    assert DEFAULT in after["routes"]
    assert CONNECTED in after["routes"]


def test_a_route_that_is_removed_from_a_table_leaves_the_guest(changes: dict[str, Any]):
    before, after = (changes[name]["routes"] for name in ("first address gone", "route removed"))
    assert DEFAULT in before
    assert [entry for entry in before if entry not in after] == [DEFAULT]


def test_forwarding_is_the_guests_own(changes: dict[str, Any]):
    assert changes["beginning"]["forward"] == ["1", "0"]
    assert changes["forwarding"]["forward"] == ["0", "1"]


def test_an_interface_that_is_set_down_is_down_in_the_guest(changes: dict[str, Any]):
    assert changes["beginning"]["flags"] & 1
    assert not changes["down"]["flags"] & 1
    assert changes["down"]["routes"] == []


def test_an_interface_that_is_up_again_has_its_networks_again(changes: dict[str, Any]):
    assert changes["up"]["flags"] & 1
    assert changes["up"]["routes"] == [CONNECTED]  # as in ns-3: SetDown removes static routes
    assert "fd00000000000000" in changes["up"]["addresses"][1]


def test_what_the_guest_refuses_is_told_where_it_was_asked_for(changes: dict[str, Any]):
    assert "File exists" in changes["refused"]
    assert "10.9.0.0/16 via 10.8.0.1: Network is unreachable" in changes["gateway"]


@pytest.mark.parametrize("network", ["routers", "one of each"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_machines_and_native_nodes_reach_each_other(
    mixed: dict[str, Any], network: str, family: str
):
    received = {way: n for way, n in mixed[network].items() if way.startswith(family)}
    assert set(received.values()) == {LIMIT}
    assert len(received) == 2


def test_a_machines_node_gets_no_queue_disc_with_its_addresses(mixed: dict[str, Any]):
    native, guests = "ns3::FqCoDelQueueDisc", "ns3::GuestDefaultQueueDisc"
    assert mixed["one of each"]["queue discs"] == [native, native, guests]
