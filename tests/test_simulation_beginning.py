# SPDX-License-Identifier: GPL-2.0-only
"""Time 0: machines are configured side by side, and begin with their nodes, one after the other."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

MACHINES = 5
LAST = MACHINES - 1
REQUEST = 2
"""A turn's cause: VirtualMachine::REQUEST."""

# What a script has planned for time 0 comes between the nodes of before and after: some machines
# have begun then, and all have been configured with the first.
CHANGES = """
from ns3_qemu import guest

MACHINES = {machines}
log, machines = [], []
nodes, devices = ns.NodeContainer(), ns.NetDeviceContainer()
segment = ns.CsmaHelper()
channel = ns.CreateObject["CsmaChannel"]()
qemu = helper()

def add(i):
    node = ns.CreateObject["Node"]()
    device = segment.Install(node, channel)
    devices.Add(device)
    made = machine(qemu, node, device.Get(0), f"10.0.0.{{i + 1}}")
    made.SetSysctl("-net.ipv4.no_such_parameter", "1")
    machines.append(made)

    def turn(cause, frames, instructions):
        if ns.Simulator.Now().GetNanoSeconds() == 0:
            log.append([i, int(cause)])
    ns3_qemu.trace(made, "Turn", turn)

def change():
    log.append("change")
    last, device = machines[-1], devices.Get(MACHINES - 1)
    last.SetSysctl("net.ipv4.tcp_sack", "0")
    last.DeleteAddress(device, f"10.0.0.{{MACHINES}}/24")
    last.AddAddress(device, "10.0.0.77/24")
    last.AddRoute("10.9.0.0/16", "10.0.0.1", device)
    last.GetNic(device).SetMtu(1200)

add(0)
add(1)
if {late}:
    ns3_qemu.at("0s", change)
for i in range(2, MACHINES):
    add(i)
if not {late}:
    change()

def look():
    RESULT["machines"] = [
        {{
            "host": str(each.GetSysctl("kernel.hostname")),
            "sack": str(each.GetSysctl("net.ipv4.tcp_sack")),
            "skipped": [str(name) for name in each.GetSkippedSysctls()],
            "mtu": str(each.ReadFile("/sys/class/net/eth0/mtu")).strip(),
            "addresses": [a.address for a in guest.addresses(each) if a.scope == "global"],
            "routes": sorted(r.destination for r in guest.routes(each) if "." in r.destination),
        }}
        for each in machines
    ]

ns3_qemu.at("10ms", look)
ns.Simulator.Stop(ns.MilliSeconds(20))
ns3_qemu.Run()
RESULT["log"] = log
finish()
"""


@pytest.mark.parametrize("late", [False, True], ids=["before", "at-time-0"])
def test_what_is_said_before_a_node_begins_is_carried(
    late: bool, vm_image: Path, tmp_path: Path
) -> None:
    ended = run_script(CHANGES.format(machines=MACHINES, late=late), vm_image, tmp_path)
    assert ended.status == 0, ended.errors
    *others, last = ended.result["machines"]
    for i, machine in enumerate(others):
        assert machine == {
            "host": f"node{i}",
            "sack": "1",
            "skipped": ["net.ipv4.no_such_parameter"],
            "mtu": "1500",
            "addresses": [f"10.0.0.{i + 1}/24"],
            "routes": ["10.0.0.0/24"],
        }
    assert last == {
        "host": f"node{LAST}",
        "sack": "0",
        "skipped": ["net.ipv4.no_such_parameter"],
        "mtu": "1200",
        "addresses": ["10.0.0.77/24"],
        "routes": ["10.0.0.0/24", "10.9.0.0/16"],
    }
    # Each change is a turn of its own, or part of the one in which the machine begins.
    begun = [[i, REQUEST] for i in range(MACHINES)]
    if late:
        changes = [[LAST, REQUEST]] * (len(ended.result["log"]) - len(begun) - 1)
        assert changes
        assert ended.result["log"] == [*begun[:2], "change", *changes, *begun[2:]]
    else:
        assert ended.result["log"] == ["change", *begun]


# With an address of IPv6 a kernel sends at once: a report of multicast listeners, and it asks for
# routers.
SENDING = """
MACHINES = {machines}
log = []
nodes = ns.NodeContainer()
nodes.Create(MACHINES)
devices = ns.CsmaHelper().Install(nodes)
qemu = helper()

def watch(i, made, device):
    def turn(cause, frames, instructions):
        if ns.Simulator.Now().IsZero():
            log.append([i, "turn", int(cause), frames])
    def sent(packet):
        if ns.Simulator.Now().IsZero():
            log.append([i, "sends"])
    ns3_qemu.trace(made, "Turn", turn)
    ns3_qemu.trace(device, "MacTx", sent)

for i in range(MACHINES):
    made = machine(qemu, nodes.Get(i), devices.Get(i), f"10.0.0.{{i + 1}}")
    made.AddAddress(devices.Get(i), f"fd00::{{i + 1}}/64")
    watch(i, made, devices.Get(i))
ns.Simulator.Stop(ns.MilliSeconds(1))
ns3_qemu.Run()
RESULT["log"] = log
finish()
"""


def test_what_a_guest_sends_when_it_is_configured_is_sent_when_its_node_begins(
    vm_image: Path, tmp_path: Path
) -> None:
    ended = run_script(SENDING.format(machines=MACHINES), vm_image, tmp_path)
    assert ended.status == 0, ended.errors
    expected: list[list[Any]] = []
    for i in range(MACHINES):
        expected += [[i, "sends"], [i, "sends"], [i, "turn", REQUEST, 2]]
    assert ended.result["log"] == expected


REFUSED = """
qemu = helper()
log = []
nodes = ns.NodeContainer()
nodes.Create({machines})
devices = ns.CsmaHelper().Install(nodes)
machines = [
    machine(qemu, nodes.Get(i), devices.Get(i), f"10.0.0.{{i + 1}}") for i in range({machines})
]
for i in ({refused}):
    machines[i].SetSysctl("net.ipv4.no_such_parameter", "1")
for i, each in enumerate(machines):
    ns3_qemu.trace(each, "Turn", lambda *_, i=i: log.append(i))
try:
    ns3_qemu.Run()
except Exception as error:
    RESULT["error"] = str(error)
RESULT["log"] = log
ns.Simulator.Destroy()
finish()
"""


def test_of_several_that_cannot_be_configured_the_first_is_named(
    vm_image: Path, tmp_path: Path
) -> None:
    script = REFUSED.format(machines=6, refused="5, 2, 3")
    ended = run_script(script, vm_image, tmp_path)
    assert "VM 'node2': setting sysctl net.ipv4.no_such_parameter = 1" in ended.result["error"]
    assert ended.result["log"] == [0, 1]


BATCH = """
qemu = helper()
nodes = ns.NodeContainer()
nodes.Create(2)
devices = ns.CsmaHelper().Install(nodes)
machines = [qemu.Install(nodes.Get(i)) for i in range(2)]
for made, device, many in zip(machines, (devices.Get(0), devices.Get(1)), (1, 10)):
    for i in range(many):
        made.AddAddress(device, f"10.{i}.0.{many}/24")
        made.AddAddress(device, f"fd00:{i}::{many}/64")
        made.AddRoute(f"10.{i}.9.0/24", f"10.{i}.0.99", device)
        made.SetSysctl("net.ipv4.tcp_fin_timeout", f"{i + 10}")
ns.Simulator.Stop(ns.NanoSeconds(1))
ns3_qemu.Run()
RESULT["turns"] = [each.GetTurns() for each in machines]
RESULT["instructions"] = [each.GetInstructions() for each in machines]
ns.Simulator.Destroy()
finish()
"""


def test_much_is_said_in_as_many_turns_as_little(vm_image: Path, tmp_path: Path) -> None:
    ended = run_script(BATCH, vm_image, tmp_path)
    assert ended.status == 0, ended.errors
    little, much = ended.result["turns"]
    assert little == much
    little, much = ended.result["instructions"]
    assert much > little
