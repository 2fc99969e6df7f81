# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's programs do to their machine, which is told, bounded, or has no effect."""

import re
import subprocess
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu._vm import Vm, VmError
from vm_tools import MILLISECOND, SECOND

SOURCE = Path(__file__).parent / "data" / "misdeeds.c"
PROGRAM = "/misdeeds"

# As a simulation has them: a guest that does not sleep goes on 10 ms later.
STEP = "busy-step=10000000"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    built = tmp_path_factory.mktemp("guest") / "misdeeds"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", built, SOURCE], check=True)
    return built.read_bytes()


@pytest.fixture
def misdeed(boot: Callable[..., Vm], program: bytes) -> Callable[..., tuple[Vm, int]]:
    def start(what: str, *options: str, **configuration: Any) -> tuple[Vm, int]:
        vm = boot(name="villain", link_options=[STEP, *options], **configuration)
        vm.relay.write_file(PROGRAM, program, mode=0o755)
        return vm, vm.relay.start_process([PROGRAM, what])

    return start


@contextmanager
def fails(pattern: str):
    with pytest.raises(VmError, match=re.compile(pattern, re.DOTALL)):
        yield


# --- a turn that takes long -----------------------------------------------------------------------

ENDLESS = "busy-instructions=1000000000000"


def endless(boot: Callable[..., Vm], program: bytes, what: str) -> None:
    vm = boot(name="villain", link_options=[ENDLESS], watchdog=0)
    vm.relay.write_file(PROGRAM, program, mode=0o755)
    vm.set_watchdog(1, fails=True)
    vm.relay.start_process([PROGRAM, what])
    vm.run_until(SECOND)


LONG = (
    r"VM 'villain' failed at simulated time 0\.\d+ s: it has kept its turn for \d+ s of wall time"
    r".*The turn began with {cause}\."
    r" QEMU \(process \d+\) has had \d+ s of CPU time meanwhile\."
    r" Its guest has executed [1-9]\d* instructions in this turn so far, and is {where}"
    r".*The last lines of its console:"
)


def test_a_turn_without_end_says_which_program_it_is(boot: Callable[..., Vm], program: bytes):
    cause = "(a request of the simulation's|a timer of the guest's)"
    where = "in a program at 0x[0-9a-f]+, for 'spin'"
    with fails(LONG.format(cause=cause, where=where)):
        endless(boot, program, "spin")


def test_a_turn_without_end_says_where_in_its_kernel_it_is(boot: Callable[..., Vm], program: bytes):
    cause = "(a request of the simulation's|a timer of the guest's)"
    where = r"in its kernel at 0xf[0-9a-f]{15} \(\w+\+0x[0-9a-f]+\), for 'ask'"
    with fails(LONG.format(cause=cause, where=where)):
        endless(boot, program, "ask")


def test_a_look_at_a_machine_leaves_no_trace_in_it(
    misdeed: Callable[..., tuple[Vm, int]], capfd: pytest.CaptureFixture[str]
):
    """However quick the host is: the machine goes on until it has been looked at in a turn."""
    turn = "busy-instructions=500000000"
    watched, _ = misdeed("ask", turn, watchdog=1)
    reports = ""
    while "in its kernel at" not in reports:
        watched.run(watched.deadline)
        reports += capfd.readouterr().err
        assert watched.turns < 100, reports
    unwatched, _ = misdeed("ask", turn, watchdog=0)
    while unwatched.time < watched.time:
        unwatched.run(unwatched.deadline)
    assert (unwatched.instructions, unwatched.turns, unwatched.deadline) == (
        watched.instructions,
        watched.turns,
        watched.deadline,
    )


def test_more_turns_at_one_time_than_may_be_are_a_failure(boot: Callable[..., Vm]):
    vm = boot(name="villain", turns_at_once=10)
    for time in range(1, 100):
        vm.run(time)
    with fails("it has had 10 turns at this one simulated time, the last with a timer"):
        for _ in range(11):
            vm.run(SECOND)


# --- what it does to its kernel -------------------------------------------------------------------


def test_a_fork_bomb_does_not_stop_time(misdeed: Callable[..., tuple[Vm, int]]):
    vm, _ = misdeed("fork", "busy-instructions=10000000")
    for _ in range(5):
        assert vm.busy
        vm.run(vm.deadline)
    assert vm.time >= 20 * MILLISECOND


@pytest.mark.parametrize(
    ("what", "told"),
    [("off", "the guest has switched itself off"), ("again", "the guest has rebooted")],
)
def test_the_end_of_a_machine_is_named(
    misdeed: Callable[..., tuple[Vm, int]], what: str, told: str
):
    with fails(f"VM 'villain' failed at simulated time .*: {told}"):
        vm, _ = misdeed(what)
        vm.run_until(vm.time + 5 * SECOND)


def test_a_fault_of_the_kernel_after_which_it_goes_on_is_told_once(
    boot: Callable[..., Vm], capfd: pytest.CaptureFixture[str]
):
    """As a kernel says it; here it is a word of a program's."""
    vm = boot(name="villain")
    for _ in range(2):
        vm.relay.write_file("/dev/kmsg", b"<0>BUG: kernel NULL pointer dereference")
    vm.run_until(vm.time + SECOND)
    errors = capfd.readouterr().err
    assert errors.count("The kernel of VM 'villain' has a fault at simulated time") == 1
    assert "| [" in errors
    assert "BUG: kernel NULL pointer dereference" in errors


# --- what it does to the relay --------------------------------------------------------------------


def test_signals_do_not_reach_the_relay(misdeed: Callable[..., tuple[Vm, int]]):
    vm, process = misdeed("signal")
    vm.run_until(vm.time + SECOND)
    assert vm.take_exits() == [(process, 0, 0)]
    assert vm.relay.clock()


def test_a_relay_that_is_stopped_is_not_waited_for(misdeed: Callable[..., tuple[Vm, int]]):
    vm, _ = misdeed("trace")
    vm.run_until(vm.time + SECOND)
    with fails("the guest's relay did not answer"):
        vm.relay.clock()


def test_what_others_write_into_the_relays_port_is_refused(
    misdeed: Callable[..., tuple[Vm, int]],
):
    with fails("VM 'villain' failed at simulated time .*relay"):
        vm, _ = misdeed("write")
        vm.run_until(vm.time + SECOND)
        vm.relay.clock()
