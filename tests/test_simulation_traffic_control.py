# SPDX-License-Identifier: GPL-2.0-only
"""TrafficControlHelper on a machine's device: the queue disc becomes the guest's own."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SETUP = """
from ns3_qemu import guest

nodes, devices = point_to_point("10Mbps", "5ms")

def value(text):
    return ns.StringValue(text)

def install(name, **attributes):
    control = ns.TrafficControlHelper()
    arguments = [part for item in attributes.items() for part in (item[0], value(item[1]))]
    control.SetRootQueueDisc(f"ns3::{name}QueueDisc", *arguments)
    return control.Install(devices.Get(0))

def assign():
    addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    return addresses.Assign(devices)
"""

# By the numbers of linux/pkt_sched.h; a kernel rounds times to 1.024 us.
KINDS: dict[str, tuple[dict[str, str], str, dict[int, int]]] = {
    "Fifo": ({"MaxSize": "77p"}, "pfifo", {0: 77}),
    "PfifoFast": ({"MaxSize": "300p"}, "pfifo_fast", {}),
    "FqCoDel": (
        {"MaxSize": "200p", "Target": "2ms", "Interval": "40ms", "Flows": "64", "UseEcn": "false"},
        "fq_codel",
        {1: 2000, 2: 200, 3: 40000, 4: 0, 5: 64},
    ),
    "CoDel": (
        {"MaxSize": "150000B", "Target": "3ms", "UseEcn": "true"},
        "codel",
        {1: 3000, 2: 100, 3: 100000, 4: 1},
    ),
    "Pie": (
        {"MaxSize": "99p", "QueueDelayReference": "20ms", "A": "0.25", "DequeueThreshold": "10000"},
        "pie",
        {1: 20000, 2: 99, 4: 4, 5: 20, 6: 0},
    ),
    "FqPie": ({"MaxSize": "321p"}, "fq_pie", {1: 321, 2: 1024, 3: 15000, 9: 10, 10: 1}),
    # MAX_P is that of LInterm; the parameters begin with limit, min and max, here of full frames.
    "Red": (
        {"MaxSize": "1000p", "MinTh": "50", "MaxTh": "150", "QW": "0.001"},
        "red",
        {1: 1514 * 1000, 3: 2**32 // 50},
    ),
    "Tbf": ({"MaxSize": "30p", "Rate": "1Mbps", "Burst": "3000"}, "tbf", {}),
    "Prio": ({}, "prio", {0: 3}),
    "Cobalt": ({"Target": "4ms"}, "cake", {3: 3, 5: 0, 7: 100000, 8: 4000}),
    "FqCobalt": ({}, "cake", {5: 4, 8: 5000}),
}

EACH = """
made = {}
qemu = helper()
link = ns.PointToPointHelper()
for name, (wanted, _, _) in kinds.items():
    pair = ns.NodeContainer(2)
    devices = link.Install(pair)
    machine(qemu, pair.Get(0), devices.Get(0), CLIENT)
    made[name] = (pair.Get(0), devices.Get(0), install(name, **wanted))
ns.Simulator.Stop(ns.Seconds(1))
ns3_qemu.Run()

def options(vm, kind):
    '''Return the first number of each option, by the option's; of a structure its own.'''
    request = struct.pack("=BxxxiIII", 0, vm.GetInterfaceIndices()[0], 0x10000, 0xFFFFFFFF, 0)
    answer = netlink(vm, 0, 38, 1 | 4 | 8, request)  # echo: else the kernel answers nothing
    data = attributes(answer[20:])[2]
    if kind in ("pfifo", "prio"):
        return {0: struct.unpack_from("=I", data)[0]}
    return {number: int.from_bytes(value[:4], "little")
            for number, value in attributes(data).items()}

for name, (node, device, container) in made.items():
    vm = node.GetObject[ns.VirtualMachine]()
    (root,) = (q for q in guest.qdiscs(vm) if q.interface == "eth0" and q.parent is None)
    control = node.GetObject[ns.TrafficControlLayer]()
    pressure = ns.BooleanValue()
    vm.GetNic(device).GetAttribute("BackPressure", pressure)
    seen = options(vm, root.kind) if kinds[name][2] else {}
    RESULT[name] = [root.kind, seen,
                    control.GetRootQueueDiscOnDevice(device) == container.Get(0),
                    pressure.Get()]
finish()
"""


@pytest.fixture(scope="module")
def each(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(
        f"{SETUP}\nkinds = {KINDS!r}\n{EACH}", vm_image, tmp_path_factory.mktemp("qdiscs")
    )
    assert done.status == 0, done.errors
    return done.result


@pytest.mark.parametrize("name", KINDS)
def test_a_queue_disc_is_the_guests_with_its_attributes(each: dict[str, Any], name: str):
    _, kind, options = KINDS[name]
    assert each[name][0] == kind
    seen = {int(number): value for number, value in each[name][1].items()}
    assert {number: seen[number] for number in options} == pytest.approx(options, abs=1)
    assert each[name][2:] == [True, True]


CONGESTED = (
    SETUP
    + """
nodes, devices = point_to_point("10Mbps", "5ms")
helper().Install(nodes)
install("Fifo", MaxSize="20p")
interfaces = assign()
remote = ns.InetSocketAddress(interfaces.GetAddress(1), PORT).ConvertTo()
server = ns.UdpServerHelper(PORT).Install(nodes.Get(1)).Get(0)
client = ns.UdpClientHelper(remote)
client.SetAttribute("MaxPackets", ns.UintegerValue(400))
client.SetAttribute("Interval", ns.TimeValue(ns.MicroSeconds(500)))
client.SetAttribute("PacketSize", ns.UintegerValue(1000))
client.Install(nodes.Get(0)).Start(ns.Seconds(1))
queue = devices.Get(0).GetObject[ns.PointToPointNetDevice]().GetQueue()
queue.SetMaxSize(ns.QueueSize("5p"))
ns.Simulator.Stop(ns.Seconds(4))
ns3_qemu.Run()
vm = nodes.Get(0).GetObject[ns.VirtualMachine]()
(root,) = (q for q in guest.qdiscs(vm) if q.interface == "eth0")
RESULT.update(guest=root.drops, received=server.GetReceived(),
              device=queue.GetTotalDroppedPackets())
control = ns.TrafficControlHelper()
control.Uninstall(devices.Get(0))
(root,) = (q for q in guest.qdiscs(vm) if q.interface == "eth0")
RESULT["uninstalled"] = root.kind
install("Pie")
(root,) = (q for q in guest.qdiscs(vm) if q.interface == "eth0")
RESULT["again"] = root.kind
finish()
"""
)


@pytest.fixture(scope="module")
def congested(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(CONGESTED, vm_image, tmp_path_factory.mktemp("congested"))
    assert done.status == 0, done.errors
    return done.result


def test_the_queue_disc_drops_and_its_device_does_not(congested: dict[str, Any]):
    assert congested["guest"] > 0
    assert congested["device"] == 0
    assert congested["received"] + congested["guest"] == 400


def test_it_comes_and_goes_while_the_machine_runs(congested: dict[str, Any]):
    assert congested["uninstalled"] == "fq_codel"  # the kernel's own default
    assert congested["again"] == "pie"


DEFAULT = (
    SETUP
    + """
helper().Install(nodes)
interfaces = assign()
ns.Simulator.Stop(ns.Seconds(1))
ns3_qemu.Run()
vm = nodes.Get(0).GetObject[ns.VirtualMachine]()
(root,) = (q for q in guest.qdiscs(vm) if q.interface == "eth0")
pressure = ns.BooleanValue()
vm.GetNic(devices.Get(0)).GetAttribute("BackPressure", pressure)
RESULT.update(kind=root.kind, limit=root.options["limit"], pressure=pressure.Get())
finish()
"""
)


def test_addresses_alone_leave_a_guest_its_own_queueing_discipline(vm_image: Path, tmp_path: Path):
    done = run_script(DEFAULT, vm_image, tmp_path)
    assert done.result == {"kind": "fq_codel", "limit": 10240, "pressure": False}, done.errors


@pytest.mark.parametrize(
    ("name", "attributes", "words"),
    [
        ("Mq", {}, "NIC has one"),
        ("Red", {"FengAdaptive": "true"}, "RedQueueDisc::FengAdaptive = true"),
        (
            "Pie",
            {"DequeueThreshold": "10000", "UseDequeueRateEstimator": "true"},
            "PieQueueDisc::DequeueThreshold = 10000",
        ),
        ("FqCoDel", {"EnableSetAssociativeHash": "true"}, "guest.set_qdisc), or leave a node"),
    ],
)
def test_what_has_no_counterpart_is_one_error_that_says_what_to_do(
    vm_image: Path, tmp_path: Path, name: str, attributes: dict[str, str], words: str
):
    script = f"helper().Install(nodes)\ninstall({name!r}, **{attributes!r})\n"
    done = run_script(SETUP + script, vm_image, tmp_path)
    assert done.status == 1
    assert words in done.errors
