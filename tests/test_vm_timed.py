# SPDX-License-Identifier: GPL-2.0-only
"""A machine whose computing takes time: n instructions take n / rate, and are interrupted."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ns3_qemu._vm import NO_DEADLINE, Vm
from vm_tools import (
    EPOCH,
    GUEST_MAC,
    MILLISECOND,
    SECOND,
    UPTIME,
    arp_request,
    echo_request,
)

MICROSECOND = 1_000
SOURCE = Path(__file__).parent / "data" / "spin.c"


@pytest.fixture(scope="module")
def spin(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    program = tmp_path_factory.mktemp("spin") / "spin"
    subprocess.run(["musl-gcc", "-static", "-Os", "-pthread", "-o", program, SOURCE], check=True)
    return program.read_bytes()


@pytest.fixture(scope="module")
def timed(boot: Callable[..., Vm], spin: bytes) -> Callable[[int], Vm]:
    def start(rate: int) -> Vm:
        vm = boot(nics=[GUEST_MAC], cpu_rate=rate)
        vm.relay.write_file("/bin/spin", spin, 0o755)
        vm.relay.set_link(0, up=True)
        vm.relay.add_address(0, "10.0.0.1/24")
        vm.queue_frame(0, arp_request("10.0.0.1", "10.0.0.2"))
        vm.run_until(5 * SECOND)
        vm.take_frames()
        return vm

    return start


def settle(vm: Vm) -> None:
    """Let it go on until it is idle, and will be for a while."""
    while vm.busy or vm.deadline < vm.time + 100 * MICROSECOND:
        vm.run(vm.deadline)


def ping(vm: Vm, time: int, number: int, horizon: int = NO_DEADLINE) -> None:
    vm.queue_frame(0, echo_request("10.0.0.1", "10.0.0.2", number))
    vm.run(time, timers=False, horizon=horizon)


def output(vm: Vm) -> bytes:
    return b"".join(data for _, _, data in vm.take_output())


def finish(vm: Vm, step: int = NO_DEADLINE) -> bytes:
    """Let a program end, stopping after each `step`; return what it has printed."""
    text = b""
    while not vm.take_exits():
        vm.run(vm.deadline, horizon=min(vm.deadline + step, NO_DEADLINE))
        text += output(vm)
    return text + output(vm)


# --- how long it takes ----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [123_456_789, 1_000_000_000, 3_000_000_007])
def test_an_answer_leaves_when_its_instructions_have_been_executed(
    timed: Callable[[int], Vm], rate: int
):
    vm = timed(rate)
    for number in range(3):
        settle(vm)
        time, before, busy = vm.time + 33_333, vm.instructions, vm.busy_time
        ping(vm, time, number)
        computed = vm.instructions - before
        assert 1_000 < computed < 100_000
        assert vm.reached == vm.deadline == time + computed * SECOND // rate
        assert vm.busy_time - busy == vm.reached - time
        assert not vm.take_frames()  # not before the simulation is there
        vm.run(vm.deadline, horizon=vm.deadline)
        assert len(vm.take_frames()) == 1
        assert vm.time == vm.reached == time + computed * SECOND // rate


def test_stopping_a_hundred_thousand_times_changes_nothing(timed: Callable[[int], Vm]):
    rate = 700_000_001
    ends = []
    for step in (NO_DEADLINE, 211):
        vm = timed(rate)
        settle(vm)
        before = vm.instructions
        vm.relay.start_process(["/bin/spin", "late"])
        text = finish(vm, step)
        settle(vm)
        ends.append((text, vm.instructions - before, vm.reached, vm.deadline))
    assert ends[0] == ends[1]


def test_idle_time_is_skipped(timed: Callable[[int], Vm]):
    vm = timed(1_000_000_000)
    settle(vm)
    turns, busy, time = vm.turns, vm.busy_time, vm.time
    vm.run_until(time + 20 * SECOND)
    assert vm.turns - turns < 20 * 60
    assert 0 < vm.busy_time - busy < SECOND // 50


# --- clocks and timers ----------------------------------------------------------------------------


def test_one_that_sleeps_and_then_spins_is_late_by_instructions(timed: Callable[[int], Vm]):
    vm = timed(1_000_000_000)
    vm.relay.start_process(["/bin/spin", "late"])
    late = [int(line) for line in finish(vm).split()]
    assert len(late) == 5
    assert all(0 <= ns < 10 * MICROSECOND for ns in late)
    assert any(late)


def test_the_clock_goes_on_with_each_reading(timed: Callable[[int], Vm]):
    vm = timed(1_000_000_000)
    vm.relay.start_process(["/bin/spin", "steps"])
    steps = [int(line) for line in finish(vm).split()]
    assert len(steps) == 100
    assert all(0 < ns < 200 * MICROSECOND for ns in steps)
    assert sorted(steps)[50] < 10 * MICROSECOND  # what a reading takes


def test_a_request_takes_no_time_and_all_clocks_agree(timed: Callable[[int], Vm]):
    vm = timed(1_000_000_000)
    settle(vm)
    vm.relay.start_process(["/bin/spin", "late-after-long"])
    time = vm.time + 70 * MILLISECOND + 123
    vm.run_until(time)
    assert vm.busy  # it spins
    reached, busy, before = vm.reached, vm.busy_time, vm.instructions
    for _ in range(3):
        assert vm.relay.clock() == (EPOCH + reached, UPTIME + reached, UPTIME + reached)
        vm.relay.read_file("/proc/interrupts")
    assert vm.instructions > before
    assert (vm.reached, vm.busy_time) == (reached, busy)
    (late,) = map(int, finish(vm).split())
    assert 0 <= late < 100 * MICROSECOND


# --- what arrives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [90_000_000, 2_000_000_000])
def test_a_frame_interrupts_a_guest_that_computes(timed: Callable[[int], Vm], rate: int):
    vm = timed(rate)
    settle(vm)
    ping(vm, vm.time + 1000, 0)
    idle = vm.reached - vm.time
    vm.run(vm.deadline)
    settle(vm)
    vm.take_frames()
    vm.relay.start_process(["/bin/spin", "late-after-long"])
    instruction = SECOND // rate + 1
    spinning = vm.time + 60 * MILLISECOND
    for number in range(1, 6):
        arrival = spinning + number * 3_333_333
        vm.run_until(arrival)
        assert vm.busy
        assert arrival <= vm.reached < arrival + instruction
        ping(vm, arrival, number)
        vm.run(vm.deadline, horizon=vm.deadline)
        assert len(vm.take_frames()) == 1
        assert 0 < vm.time - arrival < 3 * idle
