# SPDX-License-Identifier: GPL-2.0-only
"""Machines with several CPUs whose computing takes time: they compute at the same time."""

import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import dpkt
import pytest

from ns3_qemu._vm import NO_DEADLINE, Vm
from vm_tools import GUEST_MAC, SECOND, arp_request, echo_request

MICROSECOND = 1_000
RATE = 1_000_000_000
QUANTUM = 10 * MICROSECOND
WORK = 2_000_000  # iterations
SOURCE = Path(__file__).parent / "data" / "several-cpus.c"

Boot = Callable[..., Vm]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    built = tmp_path_factory.mktemp("cpus") / "several-cpus"
    command = ("gcc", "-O1", "-static", "-pthread", "-o", built, SOURCE)
    subprocess.run(command, check=True)
    return built.read_bytes()


@pytest.fixture(scope="module")
def start(boot: Boot, program: bytes) -> Boot:
    def start(cpus: int = 2, rate: int = RATE, quantum: int = QUANTUM) -> Vm:
        vm = boot(nics=[GUEST_MAC], cpus=cpus, cpu_rate=rate, cpu_quantum=quantum)
        vm.relay.write_file("/bin/cpus", program, 0o755)
        vm.relay.set_link(0, up=True)
        vm.relay.add_address(0, "10.0.0.1/24")
        vm.queue_frame(0, arp_request("10.0.0.1", "10.0.0.2"))
        vm.run_until(5 * SECOND)
        vm.take_frames()
        return vm

    return start


@pytest.fixture(scope="module")
def vm(start: Boot) -> Vm:
    return start()


def settle(vm: Vm) -> None:
    """Let it go on until it is idle, and will be for a while."""
    while vm.busy or vm.deadline < vm.time + 100 * MICROSECOND:
        vm.run(vm.deadline)
        vm.take_frames()


def run(vm: Vm, *words: str, step: int = NO_DEADLINE) -> tuple[list[int], list[tuple[int, bytes]]]:
    """Run the program; return the numbers that it prints, and its frames with their times."""
    settle(vm)
    vm.relay.start_process(["/bin/cpus", *words])
    text, frames = b"", []
    while not (ends := vm.take_exits()):
        vm.run(vm.deadline, horizon=min(vm.deadline + step, NO_DEADLINE))
        frames += [(vm.time, frame) for _, frame in vm.take_frames()]
        text += b"".join(data for _, _, data in vm.take_output())
    assert [end[1:] for end in ends] == [(0, 0)]
    text += b"".join(data for _, _, data in vm.take_output())
    return [int(line) for line in text.split()], frames


def test_two_busy_cpus_do_twice_the_work_in_the_same_time(vm: Vm):
    (alone,), _ = run(vm, "work", "1", str(WORK))
    before, time = vm.busy_instructions, vm.reached
    both, _ = run(vm, "work", "2", str(WORK))
    assert alone >= WORK * SECOND // RATE
    assert all(abs(took - alone) < alone / 50 for took in both), (alone, both)
    busy = [now - then for now, then in zip(vm.busy_instructions, before, strict=True)]
    assert all(alone <= cpu * SECOND // RATE < 1.3 * alone for cpu in busy)
    assert vm.reached - time < 1.4 * alone


def test_a_busy_cpu_is_told_from_an_idle_one(vm: Vm):
    settle(vm)
    before = vm.busy_instructions
    run(vm, "work", "1", str(WORK), "1")
    busy = [now - then for now, then in zip(vm.busy_instructions, before, strict=True)]
    assert busy[1] > WORK
    assert busy[0] < WORK / 4


def test_one_busy_cpu_of_several_is_as_exact_as_the_only_one(vm: Vm):
    for number in range(3):
        settle(vm)
        time, before = vm.time + 33_333, vm.instructions
        vm.queue_frame(0, echo_request("10.0.0.1", "10.0.0.2", number))
        vm.run(time, timers=False)
        computed = vm.instructions - before
        assert vm.reached == vm.deadline == time + computed * SECOND // RATE
        assert not vm.take_frames()
        vm.run(vm.deadline, horizon=vm.deadline)
        assert len(vm.take_frames()) == 1


def gaps(frames: list[tuple[int, bytes]]) -> dict[int, list[int]]:
    """Return the times between what each CPU has sent, by its port."""
    times: dict[int, list[int]] = {}
    for time, frame in frames:
        datagram = dpkt.ethernet.Ethernet(frame).data.data
        if isinstance(datagram, dpkt.udp.UDP):
            times.setdefault(datagram.dport, []).append(time)
    return {port: [b - a for a, b in pairwise(sent)] for port, sent in times.items()}


def test_frames_leave_at_the_time_of_the_cpu_that_sends_them(vm: Vm):
    alone = gaps(run(vm, "send", "1", "20000")[1])[1000]
    frames = run(vm, "send", "2", "20000")[1]
    assert [time for time, _ in frames] == sorted(time for time, _ in frames)
    both = gaps(frames)
    assert set(both) == {1000, 1001}
    usual = sorted(alone)[len(alone) // 2]
    for times in both.values():
        assert len(times) == 19
        near = [gap for gap in times if abs(gap - usual) < usual / 4]
        assert len(near) > 14, (usual, times)


def test_no_cpu_reads_a_time_before_one_that_another_has_read(start: Boot):
    vm = start(cpus=4)
    assert run(vm, "read", "4", "2000")[0] == [0] * 4


def test_what_one_does_is_seen_by_another_within_a_quantum(start: Boot, vm: Vm):
    passes = 100
    slow = max(run(vm, "snatch", "2", str(passes))[0])
    fast = max(run(start(quantum=MICROSECOND), "snatch", "2", str(passes))[0])
    assert passes * QUANTUM / 2 < slow < passes * 2 * QUANTUM
    assert passes * MICROSECOND / 2 < fast < passes * 2 * MICROSECOND
    # With PAUSE the one that waits lets the other go on.
    assert max(run(vm, "pass", "2", str(passes))[0]) < passes * MICROSECOND


def test_a_machine_lives_the_same_life_whoever_looks_at_it(
    boot: Boot, program: bytes, capfd: pytest.CaptureFixture[str]
):
    lives = []
    # A look interrupts the CPU that runs, at times that are the host's.
    for watchdog in (0, 2_000_000):
        vm = boot(cpus=4, cpu_rate=RATE, watchdog=watchdog)
        vm.relay.write_file("/bin/cpus", program, 0o755)
        shown = []
        for words in (("work", "4", "1000000"), ("pass", "3", "200"), ("read", "2", "1000")):
            vm.relay.start_process(["/bin/cpus", *words])
        vm.run_until(SECOND // 2)
        shown += sorted(vm.take_output())
        lives.append((shown, vm.instructions, vm.busy_instructions, vm.turns, vm.deadline))
        vm.end()
    assert lives[0] == lives[1]
    assert "has kept its turn" in capfd.readouterr().err
