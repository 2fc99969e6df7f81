# SPDX-License-Identifier: GPL-2.0-only
"""What goes wrong is named, at once, and leaves no process behind."""

import ctypes
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ns3_qemu._vm import Vm, VmError, VmImage, read_image
from process_tools import PATIENCE_MS, watched
from vm_tools import GUEST_MAC, SECOND, other_machine


@contextmanager
def fails(pattern: str) -> Iterator[None]:
    with pytest.raises(VmError, match=re.compile(pattern, re.DOTALL)):
        yield


# --- it does not start ----------------------------------------------------------------------------


def test_a_qemu_that_does_not_exist_is_named():
    with fails(r"cannot start '/nonexistent/qemu': No such file or directory"):
        Vm(VmImage(["/nonexistent/qemu"])).start()


def test_a_qemu_that_cannot_be_executed_is_named(tmp_path: Path):
    program = tmp_path / "qemu"
    program.write_bytes(b"\x7fELF, but not really")
    program.chmod(0o755)
    vm = Vm(VmImage([str(program)]))
    with fails("while it booted: QEMU exited with status 127:.*cannot be executed"):
        vm.finish_boot()


def test_what_is_no_mac_address_is_named(vm_machine: VmImage):
    with fails("'02:00:00:00:00:01:7' is no MAC address"):
        Vm(vm_machine, nics=["02:00:00:00:00:01:7"]).start()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"link_options": ["nonsense=1"]}, "Invalid parameter 'nonsense'"),
        ({"link_options": ["busy-step=soon"]}, "'busy-step' expects a uint64"),
        ({"link_options": ["fd=99"]}, "file descriptor 99"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_qemu_says_when_it_exits_is_passed_on(
    vm_machine: VmImage, options: dict[str, object], message: str
):
    vm = Vm(vm_machine, name="odd", **options)
    vm.start()
    with watched(vm.pid) as has_ended:
        with fails(f"VM 'odd' failed while it booted: QEMU exited with status 1:.*{message}"):
            vm.finish_boot()
        assert has_ended()


def test_an_unknown_option_of_qemu_is_named(vm_machine: VmImage):
    with fails("exited with status 1:.*-frobnicate: invalid option"):
        Vm(other_machine(vm_machine, "-frobnicate")).finish_boot()


def test_a_nic_that_qemu_does_not_have_is_named(vm_machine: VmImage):
    with fails("exited with status 1:.*'ne4711' is not a valid device"):
        Vm(other_machine(vm_machine, nic_model="ne4711"), nics=[GUEST_MAC]).finish_boot()


def test_a_kernel_that_does_not_exist_is_named(vm_machine: VmImage):
    with fails("exited with status 1:.*/nonexistent/kernel"):
        Vm(other_machine(vm_machine, boot={"-kernel": "/nonexistent/kernel"})).finish_boot()


def test_a_program_that_is_no_patched_qemu_is_told_by_its_silence():
    with fails("while it booted: QEMU exited with status 0 without a message"):
        Vm(VmImage(["/bin/true"])).finish_boot()


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_a_command_file_that_is_missing_or_empty_is_named(tmp_path: Path, content: bytes | None):
    file = tmp_path / "qemu.args"
    if content is not None:
        file.write_bytes(content)
    with fails(f"'{re.escape(str(file))}' is missing or empty: .*ns3-qemu image build"):
        read_image(str(tmp_path))


def test_a_console_log_that_cannot_be_written_is_named(vm_machine: VmImage, tmp_path: Path):
    log = tmp_path / "no such directory" / "console.log"
    with fails(f"cannot write the console log '{re.escape(str(log))}': No such file or directory"):
        Vm(vm_machine, console_log=str(log)).start()


def test_a_machine_starts_only_once(vm_machine: VmImage):
    vm = Vm(vm_machine)
    vm.start()
    with watched(vm.pid) as has_ended:
        with fails("started twice"):
            vm.start()
        assert has_ended()


# --- the guest panics -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [("-append", "console=ttyS0 panic=-1 rdinit=/nonexistent init=/nonexistent"), ("-initrd", "")],
    ids=["no init", "broken initrd"],
)
def test_a_panic_at_boot_is_named_with_the_last_console_lines(
    vm_machine: VmImage, tmp_path: Path, option: str, value: str
):
    broken = tmp_path / "initrd"
    broken.write_bytes(b"not an archive of any kind" * 1000)
    log = tmp_path / "console.log"
    hopeless = other_machine(vm_machine, boot={option: value or str(broken)})
    vm = Vm(hopeless, name="hopeless", console_log=str(log))
    vm.start()
    with watched(vm.pid) as has_ended:
        with pytest.raises(VmError) as failed:
            vm.finish_boot()
        assert has_ended()
    headline, _, console = str(failed.value).partition("\nThe last lines of its console:\n")
    panic = "Kernel panic - not syncing: VFS: Unable to mount root fs"
    assert headline.startswith(
        f"VM 'hopeless' failed while it booted: the guest's kernel has panicked: {panic}"
    )
    assert panic in console
    assert all(line.startswith("  | ") for line in console.splitlines())
    assert panic in log.read_text()


def test_a_guest_that_ends_without_a_word_is_told_of_what_a_kernel_needs(vm_machine: VmImage):
    silent = other_machine(
        vm_machine, boot={"-append": "panic=-1 rdinit=/nonexistent init=/nonexistent"}
    )
    with fails(
        r"'silent' failed while it booted: .*console is empty\. `ns3-qemu kernel check` says"
    ):
        Vm(silent, name="silent").finish_boot()


def test_a_panic_of_which_something_is_known_says_what_to_do(boot: Callable[..., Vm]):
    """As a 2.6.26 says it whose HPET has a period of 1 ns; here it is a word of a program's."""
    vm = boot(name="old")
    vm.relay.write_file("/dev/kmsg", b"<0>RIP: clockevent_delta2ns+0x1f/0x50")
    with fails(r"panicked: .*sysrq.* too old for an HPET with a period of 1 ns: .*period_ns=16"):
        vm.relay.write_file("/proc/sysrq-trigger", b"c")


# --- it takes long --------------------------------------------------------------------------------

SLOW = """
import os, signal, sys
from ns3_qemu._vm import Vm, read_image

vm = Vm(read_image(sys.argv[1]), name="slow", watchdog=1)

def stopped(go_on):
    os.kill(vm.pid, signal.SIGSTOP)
    print(vm.pid, flush=True)
    go_on()

vm.start()
stopped(vm.finish_boot)
stopped(lambda: vm.run(0))
vm.end()
"""


def test_a_long_turn_says_what_it_is_waited_for(vm_image: Path):
    """Whether the guest has said something or not."""
    command = [sys.executable, "-c", SLOW, str(vm_image)]
    # One pipe for both, so that none fills up while the other is read.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        # It has perhaps said hello before it was stopped.
        booting = "(QEMU to start|its kernel to boot and to start the relay)"
        at_rest = (
            r".* instructions\. It is waited for its CPU to come to rest\. The turn began with a"
            r" timer of the guest's\. QEMU \(process \d+\) is stopped: SIGCONT lets it go on\."
        )
        for report in (
            rf".*, at boot after \d+ instructions\. It is waited for {booting}\. .* is stopped: ",
            at_rest,
        ):
            pid = int(next(line for line in lines if line.strip().isdigit()))
            said = []
            for line in lines:
                said.append(line)
                if re.match(report, line):
                    break
            assert said
            assert re.match(report, said[-1]), said
            os.kill(pid, signal.SIGCONT)
        assert next(lines) == "The last lines of its console:\n"
        assert list(lines)[-1].startswith("  | ")
        assert process.wait() == 0


# --- QEMU dies ------------------------------------------------------------------------------------


def test_a_qemu_that_is_killed_between_turns_is_noticed_in_the_next(boot: Callable[..., Vm]):
    vm = boot(name="victim")
    vm.run_until(2 * SECOND)
    with watched(vm.pid) as has_ended:
        os.kill(vm.pid, signal.SIGKILL)
        with fails(
            r"VM 'victim' failed at simulated time 3\.500000000 s: QEMU was killed by signal 9"
            r".*\| ns3-qemu relay: ready"
        ):
            vm.run(3 * SECOND + SECOND // 2)
        assert has_ended()
    with fails("not running"):
        vm.run(4 * SECOND)


def stop(vm: Vm) -> None:
    """Keep QEMU from doing anything; on return all of its threads have stopped."""
    os.kill(vm.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, vm.pid, os.WSTOPPED)


@contextmanager
def on_alarm(action: Callable[[], None]) -> Iterator[None]:
    """Do something in a while: with QEMU stopped, that is in the middle of a turn."""

    def handle(_number: int, _frame: object) -> None:
        action()

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_qemu_that_is_killed_in_its_turn_is_noticed_at_once(boot: Callable[..., Vm]):
    vm = boot(name="victim")
    vm.run_until(2 * SECOND)
    stop(vm)
    with (
        watched(vm.pid) as has_ended,
        on_alarm(lambda: os.kill(vm.pid, signal.SIGKILL)),
    ):
        with fails(r"VM 'victim' failed at simulated time 3\.0{9} s: QEMU was killed by signal 9"):
            vm.run(3 * SECOND)
        assert has_ended()


def test_an_exception_of_a_signal_handler_ends_a_turn_that_does_not_end(boot: Callable[..., Vm]):
    vm = boot()
    stop(vm)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with watched(vm.pid) as has_ended, on_alarm(interrupt):
        with pytest.raises(KeyboardInterrupt):
            vm.run(SECOND)
        assert has_ended()


def test_a_qemu_that_is_killed_at_boot_is_noticed(vm_machine: VmImage):
    vm = Vm(vm_machine, name="victim")
    vm.start()
    os.kill(vm.pid, signal.SIGKILL)
    with fails("VM 'victim' failed while it booted: QEMU was killed by signal 9"):
        vm.finish_boot()


@pytest.mark.parametrize("fork", [False, True], ids=["started", "forked"])
def test_a_qemu_that_is_told_to_end_by_somebody_else_says_so(
    boot: Callable[..., Vm], *, fork: bool
):
    vm = boot(fork=fork)
    with watched(vm.pid) as has_ended:
        os.kill(vm.pid, signal.SIGTERM)
        # It may learn of it in its turn or out of turn, and sooner or later. One that was forked
        # has nothing to do before it ends.
        message = "told to end by somebody else|exited with status 0:.*terminating on signal 15"
        with fails("was killed by signal 15" if fork else message):
            while True:
                vm.run_until(vm.time + SECOND)
        assert has_ended()


# --- nothing is left ------------------------------------------------------------------------------


def test_no_process_is_left_after_the_end(boot: Callable[..., Vm]):
    vm = boot()
    with watched(vm.pid) as has_ended:
        assert not has_ended()
        vm.end()
        assert has_ended()
    vm.end()  # does nothing


def test_no_process_is_left_of_a_machine_that_nobody_has_any_more(vm_machine: VmImage):
    vm = Vm(vm_machine)
    vm.finish_boot()
    with watched(vm.pid) as has_ended:
        assert not has_ended()
        del vm
        assert has_ended()


def test_no_process_is_left_of_a_machine_that_was_ended_while_it_booted(vm_machine: VmImage):
    vm = Vm(vm_machine)
    vm.start()
    with watched(vm.pid) as has_ended:
        assert not has_ended()
        vm.end()
        assert has_ended()


def test_a_qemu_that_does_not_want_to_end_is_killed(boot: Callable[..., Vm]):
    vm = boot()
    stop(vm)
    with watched(vm.pid) as has_ended:
        vm.end()
        assert has_ended()


CHILD = """
import os, signal, sys
from ns3_qemu._vm import Vm, read_image

vm = Vm(read_image(sys.argv[1]))
vm.start()
if sys.argv[2] == "ready":
    vm.finish_boot()
print(vm.pid, flush=True)
if sys.argv[3] == "exception":
    raise RuntimeError
if sys.argv[3] == "exit":
    sys.exit(3)
signal.pause()
"""


@pytest.mark.parametrize("state", ["booting", "ready"])
@pytest.mark.parametrize(("end", "status"), [("kill", -9), ("exception", 1), ("exit", 3)])
def test_qemu_ends_with_the_process_that_started_it(
    vm_image: Path, tmp_path: Path, state: str, end: str, status: int
):
    # Who outlives its parents becomes this process's child, so that it can be seen to end.
    become_subreaper()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(vm_image), state, end],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    assert child.stdout
    with child.stdout as output:
        pid = int(output.readline())
        if end == "kill":
            with watched(pid) as has_ended:
                assert not has_ended()
                child.kill()
                assert has_ended(PATIENCE_MS)
            os.waitpid(pid, 0)
        # At the end of a pipe that both could have inherited, neither is there any more.
        poll = select.poll()
        poll.register(output, select.POLLHUP)
        assert poll.poll(PATIENCE_MS)
    assert child.wait() == status
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def become_subreaper() -> None:
    pr_set_child_subreaper = 36
    assert ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0) == 0
