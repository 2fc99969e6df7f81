# SPDX-License-Identifier: GPL-2.0-only
"""Who has the turn, and until when a machine does not want it."""

from collections.abc import Iterator

import pytest

from ns3_qemu._vm import NO_DEADLINE, Vm, VmError, VmImage
from vm_tools import ARP, EPOCH, GUEST_MAC, SECOND, UPTIME, arp_request, of_type


@pytest.fixture(scope="module")
def vm(boot) -> Iterator[Vm]:
    machine = boot(nics=[GUEST_MAC])
    machine.relay.set_link(0, up=True)
    machine.relay.add_address(0, "10.0.0.1/24")
    yield machine
    machine.end()


def test_an_idle_guest_wants_its_next_turn_in_the_future(vm: Vm):
    vm.run_until(vm.time + SECOND)
    assert not vm.busy
    assert vm.time < vm.deadline < NO_DEADLINE


def test_a_timer_due_at_this_very_time_waits_in_a_turn_without_timers(vm: Vm):
    due = vm.deadline
    vm.run(due, timers=False)
    assert vm.deadline == due
    vm.run(due, timers=False)
    assert vm.deadline == due


def test_a_timer_due_at_this_very_time_expires_in_a_turn_with_timers(vm: Vm):
    due = vm.deadline
    vm.run(due, timers=True)
    assert vm.deadline > due


def test_a_frame_is_answered_in_a_turn_that_leaves_a_due_timer_pending(vm: Vm):
    due = vm.deadline
    vm.take_frames()
    vm.queue_frame(0, arp_request("10.0.0.1", "10.0.0.2"))
    vm.run(due, timers=False)
    assert len(of_type(vm.take_frames(), ARP)) == 1
    assert vm.deadline == due


def test_a_timer_that_was_due_earlier_expires_in_any_turn(vm: Vm):
    due = vm.deadline
    vm.run(due + 1, timers=False)
    assert vm.deadline > due + 1


def test_an_idle_guest_needs_few_turns(vm: Vm):
    turns = vm.turns
    vm.run_until(vm.time + 100 * SECOND)
    assert 0 < vm.turns - turns < 100 * 30


def test_run_until_ends_with_a_turn_at_its_time(vm: Vm):
    time = vm.time + 1_234_567
    vm.run_until(time)
    assert vm.time == time
    assert vm.deadline > time


def test_turns_and_instructions_are_counted(vm: Vm):
    turns, instructions = vm.turns, vm.instructions
    vm.relay.clock()
    assert vm.turns > turns
    assert vm.instructions > instructions


def test_time_cannot_go_back(boot):
    machine = boot()
    machine.run_until(5 * SECOND)
    with pytest.raises(VmError, match=r"at simulated time 5\.000000000 s: .* back to 4\.999999999"):
        machine.run(5 * SECOND - 1)


def test_a_machine_that_was_not_started_has_no_turn(vm_machine: VmImage):
    machine = Vm(vm_machine, nics=[GUEST_MAC], name="idle")
    for use in (
        lambda: machine.run(0),
        lambda: machine.relay.clock(),
        lambda: machine.queue_frame(0, bytes(60)),
    ):
        with pytest.raises(VmError, match="VM 'idle' is not running"):
            use()


def test_a_machine_that_has_ended_has_no_turn(boot):
    machine = boot(nics=[GUEST_MAC], name="gone")
    machine.end()
    for use in (
        lambda: machine.run(0),
        lambda: machine.relay.clock(),
        lambda: machine.queue_frame(0, bytes(60)),
    ):
        with pytest.raises(VmError, match="VM 'gone' is not running"):
            use()


# --- a guest that has more to do than a turn may take ---------------------------------------------

# A request may take 21 turns. Those below need 20000 to 65000 instructions; this file 290000.
BUSY = "busy-instructions=4000"
MUCH_TO_DO = "/proc/zoneinfo"


@pytest.fixture
def small_turns(boot) -> Vm:
    return boot(link_options=[BUSY, "busy-step=250000"])


def test_a_busy_guest_wants_to_go_on_after_the_step_that_was_set(small_turns: Vm):
    small_turns.run_until(SECOND)
    with pytest.raises(VmError, match="the guest is busy or stuck"):
        small_turns.relay.read_file(MUCH_TO_DO)
    assert small_turns.busy
    assert small_turns.time == SECOND
    assert small_turns.deadline == SECOND + 250_000


def test_a_busy_guest_finishes_its_work_in_later_turns_with_exact_clocks(small_turns: Vm):
    for _ in range(4):
        with pytest.raises(VmError):
            small_turns.relay.read_file(MUCH_TO_DO)
    turns = 0
    while small_turns.busy:
        small_turns.run(small_turns.deadline)
        turns += 1
    assert turns >= 3
    assert small_turns.time == turns * 250_000
    time = small_turns.time
    assert small_turns.relay.clock() == (EPOCH + time, UPTIME + time, UPTIME + time)


def test_a_busy_guest_answers_no_request_until_it_is_idle_again(small_turns: Vm):
    for _ in range(2):
        with pytest.raises(VmError, match="the guest is busy or stuck"):
            small_turns.relay.read_file(MUCH_TO_DO)
    with pytest.raises(VmError, match=r"reading the clock: .* the guest is busy or stuck"):
        small_turns.relay.clock()
    while small_turns.busy:
        small_turns.run(small_turns.deadline)
    # The late answers belong to requests that were given up, not to this one.
    assert small_turns.relay.sysctl("kernel.hostname") == "vm"
