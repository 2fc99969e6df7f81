# SPDX-License-Identifier: GPL-2.0-only
"""A run without Simulator.Stop ends when nothing is left but timers of the guests' kernels."""

from pathlib import Path

import pytest

from simulation_tools import run_script

NETWORK = """
nodes, devices = point_to_point("10Mbps", "5ms")
qemu = helper()

def run():
    ns3_qemu.Run()
    RESULT["end"] = ns.Simulator.Now().GetSeconds()
    finish()

def address():
    addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    return addresses.Assign(devices).GetAddress(1)
"""

# As ns-3's tutorial has it.
FIRST = """
qemu.Install(nodes)
there = address()
ns.UdpEchoServerHelper(9).Install(nodes.Get(1)).Stop(ns.Seconds(10))
client = ns.UdpEchoClientHelper(there.ConvertTo(), 9)
client.SetAttribute("MaxPackets", ns.UintegerValue(1))
client.Install(nodes.Get(0)).Stop(ns.Seconds(10))
run()
"""

AHEAD = 'qemu.SetAttribute("Parallel", ns.BooleanValue(True))' + FIRST

PROGRAM = """
qemu.Install(nodes)
address()
vm = nodes.Get(0).GetObject[ns.VirtualMachine]()
vm.WriteFile("/opt/busybox", Path("/bin/busybox").read_bytes(), 0o755)
ns3_qemu.Program(nodes.Get(0), ["/opt/busybox", "sleep", "100"], start=1)
run()
"""

# Nobody answers: the last of seven SYNs comes 63 s after the first, and is given up 64 s later.
CONNECTING = """
made = machine(qemu, nodes.Get(0), devices.Get(0), CLIENT)
made.SetSysctl("net.ipv6.conf.all.disable_ipv6", "1")
source(nodes.Get(0))
run()
"""

STOPPED = """
qemu.Install(nodes)
address()
ns.Simulator.Stop(ns.Seconds(200))
run()
"""


@pytest.mark.parametrize(
    ("script", "least", "most"),
    [(FIRST, 10, 60), (AHEAD, 10, 60), (PROGRAM, 101, 160), (CONNECTING, 128, 160)],
    ids=["applications", "parallel turns", "a program", "a connection"],
)
def test_a_run_ends_when_the_last_thing_under_way_has(
    vm_image: Path, tmp_path: Path, script: str, least: float, most: float
):
    done = run_script(NETWORK + script, vm_image, tmp_path)
    assert done.status == 0, done.errors
    assert least <= done.result["end"] < most
    assert done.errors.count("nothing is left to happen") == 1


def test_a_run_with_a_stop_ends_there(vm_image: Path, tmp_path: Path):
    done = run_script(NETWORK + STOPPED, vm_image, tmp_path)
    assert done.result["end"] == 200, done.errors
    assert "nothing is left" not in done.errors
