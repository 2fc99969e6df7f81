# SPDX-License-Identifier: GPL-2.0-only
"""Turns on the simulator's own CPU: where both may be meanwhile, and that results are the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ns3_qemu import VmError
from ns3_qemu._vm import Vm
from simulation_tools import run_script
from vm_tools import GUEST_MAC, MILLISECOND

CPUS = frozenset(os.sched_getaffinity(0))

# How often is looked at most, 50 ms after each other.
LOOKS = 200

pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="there is one CPU")


def places(pid: int) -> set[frozenset[int]]:
    """Return the CPUs that a process's threads may be on."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {frozenset(os.sched_getaffinity(int(task.name))) for task in tasks}


def place(vm: Vm) -> frozenset[int]:
    """Return where a machine's turns are: on a loaded host one may take long, and be anywhere."""
    for _ in range(LOOKS):
        vm.run(vm.time + MILLISECOND)
        (there,) = places(vm.pid)
        if there != CPUS:
            break
    return there


@pytest.fixture
def vm(boot: Callable[..., Vm]) -> Vm:
    return boot(nics=[GUEST_MAC], same_cpu=True)


def test_the_machine_is_on_one_cpu_and_the_simulator_on_any(vm: Vm):
    assert len(place(vm)) == 1
    assert os.sched_getaffinity(0) == CPUS


def test_the_machine_follows_the_simulator(vm: Vm):
    try:
        for cpu in sorted(CPUS):
            os.sched_setaffinity(0, {cpu})
            assert place(vm) == {cpu}
            assert os.sched_getaffinity(0) == {cpu}
    finally:
        os.sched_setaffinity(0, CPUS)


def test_a_turn_that_takes_long_may_be_anywhere(vm: Vm):
    vm.run(MILLISECOND)
    seen = []

    def look(*_: object) -> None:
        """It may come before the turn, too, and before that takes long."""
        seen.append((places(vm.pid), frozenset(os.sched_getaffinity(0))))
        if seen[-1] == ({CPUS}, CPUS) or len(seen) == LOOKS:
            os.kill(vm.pid, signal.SIGCONT)
        else:
            signal.setitimer(signal.ITIMER_REAL, 0.05)

    before = signal.signal(signal.SIGALRM, look)
    try:
        os.kill(vm.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, vm.pid, os.WSTOPPED)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        vm.run(2 * MILLISECOND)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen[-1] == ({CPUS}, CPUS)
    assert len(place(vm)) == 1


def test_a_machine_that_dies_leaves_the_simulator_where_it_was(vm: Vm):
    vm.run(MILLISECOND)
    os.kill(vm.pid, signal.SIGKILL)
    with pytest.raises(VmError, match="killed by signal 9"):
        vm.run(2 * MILLISECOND)
    assert os.sched_getaffinity(0) == CPUS


SCRIPT = """
import os

ns.Config.SetDefault("ns3::VirtualMachine::" + ATTRIBUTE, ns.StringValue(VALUE))
nodes, devices = point_to_point()
qemu = helper()
for i, address in enumerate((CLIENT, SERVER)):
    machine(qemu, nodes.Get(i), devices.Get(i), address)
ns.PointToPointHelper().EnablePcapAll("link")
ns.PingHelper(ns.Ipv4Address(SERVER).ConvertTo()).Install(nodes.Get(0))
ns.Simulator.Stop(ns.Seconds(3.5))
before = os.sched_getaffinity(0)
vms = [nodes.Get(i).GetObject[ns.VirtualMachine]() for i in (0, 1)]
seen = []

def look():
    "On a loaded host a turn may take long, and be anywhere."
    seen.append([len(os.sched_getaffinity(vm.GetPid())) for vm in vms])

for tenth in range(1, 35):
    ns3_qemu.at(tenth / 10, look)
ns3_qemu.Run()
RESULT["where"] = [min(counts) for counts in zip(*seen)]
RESULT["own"] = os.sched_getaffinity(0) == before
ns.Simulator.Destroy()
finish()
"""


@pytest.mark.parametrize(
    ("attribute", "value", "where"),
    [
        ("SameCpu", "true", 1),
        ("SameCpu", "false", len(CPUS)),
        ("Parallel", "true", len(CPUS)),
        ("Spin", "10us", len(CPUS)),
    ],
)
def test_a_simulation_says_the_same_wherever_its_turns_are(
    vm_image: Path, tmp_path: Path, attribute: str, value: str, where: int
):
    def run(name: str, attribute: str, value: str) -> tuple[dict[str, object], list[bytes]]:
        (tmp_path / name).mkdir()
        script = f"ATTRIBUTE, VALUE = {attribute!r}, {value!r}\n{SCRIPT}"
        done = run_script(script, vm_image, tmp_path / name)
        assert done.status == 0, done.errors
        files = sorted((tmp_path / name).glob("link*.pcap"))
        return done.result, [file.read_bytes() for file in files]

    usual, frames = run("usual", "Watchdog", "20s")
    result, same = run("this", attribute, value)
    assert result == {"where": [where, where], "own": True}
    assert usual == {"where": [1, 1], "own": True}
    assert len(frames) == 2
    assert same == frames
