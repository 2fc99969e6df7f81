# SPDX-License-Identifier: GPL-2.0-only
"""A machine's clocks show simulated time."""

from collections.abc import Iterator

import pytest

from ns3_qemu._vm import Vm
from vm_tools import EPOCH, SECOND, UPTIME


@pytest.fixture(scope="module")
def vm(boot) -> Iterator[Vm]:
    machine = boot()
    yield machine
    machine.end()


def clocks_at(time: int) -> tuple[int, int, int]:
    return EPOCH + time, UPTIME + time, UPTIME + time


@pytest.mark.parametrize("step", [0, 1, 123_456_789, SECOND, 1000 * SECOND, 1000 * SECOND + 7])
def test_all_clocks_show_simulated_time_to_the_nanosecond_after_a_gap(vm: Vm, step: int):
    vm.run_until(vm.time + step)
    assert vm.relay.clock() == clocks_at(vm.time)


def test_clocks_are_exact_in_every_single_turn_on_the_way(vm: Vm):
    for step in (1, 999_999, 4_000_000, 3, 10_000_001, 77) * 20:
        vm.run_until(vm.time + step)
        assert vm.relay.clock() == clocks_at(vm.time)


def test_uptime_in_proc_shows_simulated_time(vm: Vm):
    for step in (123_456_789, 1000 * SECOND):
        vm.run_until(vm.time + step)
        hundredths = (UPTIME + vm.time) // 10_000_000
        assert vm.relay.read_file("/proc/uptime").split()[0].decode() == f"{hundredths / 100:.2f}"


def test_clocks_stand_still_while_the_guest_works(vm: Vm):
    time = vm.time
    before, instructions = vm.relay.clock(), vm.instructions
    for _ in range(10):
        vm.relay.read_file("/proc/interrupts")
    assert vm.instructions - instructions > 1_000_000
    assert vm.relay.clock() == before == clocks_at(time)
    assert vm.time == time


def test_a_change_of_the_date_does_not_touch_the_uptime(boot):
    machine = boot()
    machine.run_until(1_000_000_007)
    machine.relay.set_realtime(EPOCH - 500_000_000 * SECOND)
    machine.run_until(2_000_000_013)
    monotonic = UPTIME + 2_000_000_013
    realtime = EPOCH - 500_000_000 * SECOND + 1_000_000_006
    assert machine.relay.clock() == (realtime, monotonic, monotonic)
