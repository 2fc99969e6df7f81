# SPDX-License-Identifier: GPL-2.0-only
"""Programs and files in a guest: what they do takes its simulated time, and its errors come out."""

import errno
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ns3_qemu._vm import GuestError, Vm
from vm_tools import MILLISECOND, SECOND

TOOL = "/opt/tests/tool"


@pytest.fixture(scope="module")
def vm(boot: Callable[..., Vm], guest_tool: Path) -> Iterator[Vm]:
    """A machine with the tests' own program in it."""
    machine = boot()
    machine.relay.write_file(TOOL, guest_tool.read_bytes(), 0o755)
    yield machine
    machine.end()


def run(vm: Vm, *arguments: str) -> tuple[bytes, int]:
    """Run the program to its end, at this very time; its output and exit code."""
    process = vm.relay.start_process([TOOL, *arguments])
    vm.run(vm.time)
    written = b"".join(data for _, _, data in vm.take_output())
    ((number, code, killed),) = vm.take_exits()
    assert (number, killed) == (process, 0)
    return written, code


def errno_of(call: Callable[[], object]) -> str:
    with pytest.raises(GuestError) as raised:
        call()
    return errno.errorcode[raised.value.errno]


def test_a_file_is_written_with_its_directories(vm: Vm):
    content = bytes(range(256)) * 1000
    vm.relay.write_file("/a/new/place/file", content)
    assert vm.relay.read_file("/a/new/place/file") == content
    vm.relay.write_file("/a/new/place/file", b"short")
    assert vm.relay.read_file("/a/new/place/file") == b"short"
    assert errno_of(lambda: vm.relay.write_file("/a/new", b"")) == "EISDIR"
    assert errno_of(lambda: vm.relay.write_file("/proc/no/such", b"")) == "ENOENT"


def test_a_full_file_system_is_enospc(vm: Vm):
    assert run(vm, "mount", "/small") == (b"", 0)
    assert errno_of(lambda: vm.relay.write_file("/small/file", bytes(5000))) == "ENOSPC"
    assert vm.relay.read_file("/small/file") == bytes(4096)
    assert run(vm, "fill", "/small/file") == (b"", errno.ENOSPC)


def test_a_program_takes_its_simulated_time(vm: Vm):
    begin = vm.time
    process = vm.relay.start_process([TOOL, "sleep", "1500"])
    vm.run_until(begin + 1499 * MILLISECOND)
    assert (vm.take_output(), vm.take_exits()) == ([], [])
    vm.run_until(begin + 1502 * MILLISECOND)
    assert vm.take_output() == [(process, 1, b"slept\n")]
    assert vm.take_exits() == [(process, 0, 0)]


def test_a_large_input_reaches_a_program_whole(vm: Vm):
    process = vm.relay.start_process([TOOL, "copy"], input=True)
    content = bytes(range(251)) * 1000
    vm.relay.write_process(process, content)
    vm.relay.close_process_input(process)
    vm.run_until(vm.time + MILLISECOND)
    assert b"".join(data for _, _, data in vm.take_output()) == content
    assert vm.take_exits() == [(process, 0, 0)]


def test_a_signal_ends_a_program(vm: Vm):
    process = vm.relay.start_process([TOOL, "sleep", "100000"])
    vm.relay.signal_process(process, signal.SIGTERM)
    vm.run(vm.time)
    assert vm.take_exits() == [(process, 0, signal.SIGTERM)]
    assert errno_of(lambda: vm.relay.signal_process(process, signal.SIGTERM)) == "ESRCH"


def test_what_outlives_its_parent_is_buried(vm: Vm):
    begin = vm.time
    written, code = run(vm, "orphan", "1000")
    assert code == 0
    status = f"/proc/{int(written)}/stat"
    assert vm.relay.read_file(status).split()[3] == b"1"  # its parent is the first process
    # The relay raises its own limit; a program has what the kernel grants.
    assert b"Max open files            1024 " in vm.relay.read_file(f"/proc/{int(written)}/limits")
    vm.run_until(begin + 2 * SECOND)
    assert [data for _, _, data in vm.take_output()] == [b"orphan\n"]
    assert errno_of(lambda: vm.relay.read_file(status)) == "ENOENT"


def test_a_user_may_have_half_of_the_threads_that_the_kernel_allows(vm: Vm):
    vm.relay.set_sysctl("kernel.threads-max", "64000")
    written, _ = run(vm, "orphan", "10")
    limits = vm.relay.read_file(f"/proc/{int(written)}/limits").decode()
    for name in ("Max processes", "Max pending signals"):
        assert re.search(rf"{name} +32000 +32000 ", limits)
    vm.run_until(vm.time + SECOND)
    vm.take_output()


CANNOT_START = {
    "a program that does not exist": (["/no/such/program"], "", "ENOENT"),
    "a program that is not in PATH": (["no-such-program"], "", "ENOENT"),
    "a file that is not executable": (["/proc/version"], "", "EACCES"),
    "a directory that does not exist": ([TOOL], "/no/such/directory", "ENOENT"),
}


@pytest.mark.parametrize("what", CANNOT_START)
def test_what_cannot_be_started_says_why(vm: Vm, what: str):
    arguments, directory, expected = CANNOT_START[what]
    with pytest.raises(GuestError, match=f"starting {arguments[0]}") as raised:
        vm.relay.start_process(arguments, directory=directory)
    assert errno.errorcode[raised.value.errno] == expected
    assert directory in str(raised.value)
