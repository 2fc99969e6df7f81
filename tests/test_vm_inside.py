# SPDX-License-Identifier: GPL-2.0-only
"""A look into a machine while its time stands still: copies, QEMU's monitor, gdb.

A machine lives once without anybody looking and once with all that there is; it must not notice.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from ns3_qemu import kernel_symbols
from ns3_qemu._vm import Vm
from ns3_qemu.errors import MonitorError, VmError
from ns3_qemu.qemu_monitor import Monitor
from process_tools import watched
from vm_tools import GUEST_MAC, MILLISECOND, SECOND, arp_request, echo_request

STEPS = 12
MARK = "/tmp/only-in-the-copy"

GDB = """
set pagination off
set confirm off
symbol-file {symbols}
target remote {socket}
break icmp_rcv
echo attached\\n
set $left = {steps}
while $left > 0
continue
echo hit at icmp_rcv\\n
p/x $rdi
bt 2
stepi
echo stepped\\n
set $left = $left - 1
end
delete
continue
"""


def live(vm: Vm, look: Callable[[int], object] = lambda _: None) -> dict[str, Any]:
    """Give a machine a life; return what can be seen of it, down to the instruction."""
    vm.relay.set_link(0, up=True)
    vm.relay.add_address(0, "10.0.0.1/24")
    frames: list[tuple[int, bytes]] = []
    for step in range(STEPS):
        vm.queue_frame(0, arp_request("10.0.0.1", "10.0.0.2"))
        vm.queue_frame(0, echo_request("10.0.0.1", "10.0.0.2", step))
        vm.run(vm.time, timers=False)
        look(step)
        vm.run_until(vm.time + 12_345_678)
        frames += [(vm.time, frame) for _, frame in vm.take_frames()]
    return {
        "frames": frames,
        "instructions": vm.instructions,
        "turns": vm.turns,
        "deadline": vm.deadline,
        "pid": vm.relay.sysctl("kernel.ns_last_pid"),
        "random": vm.relay.sysctl("kernel.random.uuid"),
        "interrupts": vm.relay.read_file("/proc/interrupts"),
        "memory": vm.relay.read_file("/proc/vmstat"),
        "clock": vm.relay.clock(),
    }


class Looks:
    """What was seen by who looked."""

    def __init__(self, vm: Vm, tool: bytes, monitor: Monitor, dump: Path) -> None:
        self.vm = vm
        self.tool = tool
        self.monitor = monitor
        self.dump = dump
        self.seen: dict[str, Any] = {}

    def __call__(self, step: int) -> None:
        if step == 0:
            self.seen["registers"] = self.monitor.registers()
            self.seen["tree"] = self.monitor.hmp("info mtree")
            banner = self.monitor.registers()["RIP"]
            self.seen["code"] = self.monitor.memory(banner, 5000)
            self.monitor.dump(self.dump)
            return
        copy = self.vm.copy(self.vm.time)
        copy.write_file(MARK, "x" * 100_000)
        self.seen["mark"] = copy.read_file(MARK)
        self.seen["route"] = copy.read_file("/proc/net/fib_trie")
        if step == 1:
            copy.write_file("/tool", self.tool, 0o755)
            self.seen["slept"] = copy.run(["/tool", "sleep", "1500"])
            with pytest.raises(OSError, match="No such file"):
                copy.run(["/none"])
        if step == 2:
            with pytest.raises(VmError, match="somebody does already"):
                self.vm.copy(self.vm.time)
        self.monitor.execute("query-status")


@contextmanager
def gdb(vm: Vm, directory: Path) -> Iterator["subprocess.Popen[str]"]:
    """Attach gdb to a machine, with a breakpoint that it goes on from by itself."""
    symbols = directory / "symbols"
    text = vm.copy(vm.time).read_file("/proc/kallsyms").decode()
    kernel_symbols.write_elf(kernel_symbols.parse(text), symbols)
    script = directory / "script"
    script.write_text(GDB.format(symbols=symbols, socket=directory / "gdb", steps=STEPS))
    process = subprocess.Popen(
        ["gdb", "-nx", "-batch", "-x", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def plain(boot: Callable[..., Vm]) -> dict[str, Any]:
    return live(boot(nics=[GUEST_MAC]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inside")


@pytest.fixture(scope="module")
def looks(boot: Callable[..., Vm], guest_tool: Path, place: Path) -> dict[str, Any]:
    """A machine that copies and the monitor look at; what they saw is in it as "seen"."""
    vm = boot(nics=[GUEST_MAC], monitor=str(place / "qmp"), copies=True)
    with Monitor(place / "qmp") as monitor:
        look = Looks(vm, guest_tool.read_bytes(), monitor, place / "dump")
        return {**live(vm, look), "seen": look.seen}


WHAT = (
    "frames",
    "instructions",
    "turns",
    "deadline",
    "pid",
    "random",
    "interrupts",
    "memory",
    "clock",
)


@pytest.mark.parametrize("what", WHAT)
def test_copies_and_the_monitor_leave_no_trace(
    plain: dict[str, Any], looks: dict[str, Any], what: str
):
    assert looks[what] == plain[what]
    assert plain[what]


def test_a_copy_has_what_the_machine_has(looks: dict[str, Any]):
    assert b"10.0.0.1" in looks["seen"]["route"]


def test_what_is_done_in_a_copy_is_done_there(looks: dict[str, Any]):
    assert looks["seen"]["mark"] == b"x" * 100_000


def test_a_program_in_a_copy_takes_the_time_that_it_needs(looks: dict[str, Any]):
    code, output, errors, duration = looks["seen"]["slept"]
    assert (code, output, errors) == (0, b"slept\n", b"")
    assert 1500 * MILLISECOND <= duration < 1600 * MILLISECOND


def test_the_monitor_shows_registers_and_the_memory_map(looks: dict[str, Any]):
    registers = looks["seen"]["registers"]
    assert registers["RIP"] >> 47 == 0x1FFFF  # in the kernel: it is halted there
    assert registers["CR3"] != 0
    assert "hpet" in looks["seen"]["tree"]


def test_memory_is_read_in_one_piece_however_long_it_is(looks: dict[str, Any]):
    assert len(looks["seen"]["code"]) == 5000
    assert set(looks["seen"]["code"]) != {0}


def test_a_dump_is_a_core_file_of_all_memory(looks: dict[str, Any], place: Path):
    assert looks["seen"]
    with (place / "dump").open("rb") as file:
        core = ELFFile(file)
        assert core.header["e_type"] == "ET_CORE"
        loaded = [s.header["p_filesz"] for s in core.iter_segments() if s["p_type"] == "PT_LOAD"]
    assert sum(loaded) >= 96 * 1024 * 1024


def test_a_breakpoint_in_the_kernel_leaves_no_trace(
    boot: Callable[..., Vm], plain: dict[str, Any], place: Path
):
    assert shutil.which("gdb"), "not there yet: run scripts/bootstrap test"
    vm = boot(nics=[GUEST_MAC], gdb=str(place / "gdb"), copies=True, watchdog=MILLISECOND)
    with gdb(vm, place) as debugger:
        assert debugger.stdout
        said = ""
        for line in debugger.stdout:
            said += line
            if line == "attached\n":
                break
        seen = live(vm)
        vm.end()
        said += debugger.stdout.read()
    assert said.count("hit at icmp_rcv") == STEPS, said
    assert said.count("stepped") == STEPS
    assert said.count("#0") >= STEPS
    assert "in icmp_rcv ()" in said
    assert seen == plain


def test_a_machine_without_anybody_who_looks_has_no_sockets(place: Path, looks: dict[str, Any]):
    assert looks
    assert not [path for path in place.iterdir() if path.name.endswith("~")]


def test_the_monitor_does_not_change_a_machine(boot: Callable[..., Vm], tmp_path: Path):
    vm = boot(monitor=str(tmp_path / "qmp"))
    with Monitor(tmp_path / "qmp") as monitor:
        for command in ("stop", "system_reset", "device_add", "migrate", "quit"):
            with pytest.raises(MonitorError, match="only look"):
                monitor.execute(command)
            with pytest.raises(MonitorError, match="only look"):
                monitor.hmp(command)
        with pytest.raises(MonitorError, match="no virtual memory"):
            monitor.memory(0xDEAD_0000_0000, 8)
        with pytest.raises(MonitorError, match="refuses query-stats"):
            monitor.execute("query-stats", wrong=1)
        vm.end()
        with pytest.raises(MonitorError, match="has the machine ended"):
            monitor.execute("query-status")


def test_a_copy_ends_with_its_machine(boot: Callable[..., Vm]):
    vm = boot(copies=True)
    copy = vm.copy(vm.time)
    vm.end()
    with pytest.raises(VmError, match="it has ended"):
        copy.read_file("/proc/uptime")


def test_a_copy_that_is_switched_off_is_the_only_one_to_end(
    boot: Callable[..., Vm], guest_tool: Path
):
    vm = boot(copies=True)
    copy = vm.copy(vm.time)
    copy.write_file("/tool", guest_tool.read_bytes(), 0o755)
    copy.write_file("/proc/sys/kernel/panic", "1")
    with pytest.raises(VmError, match="the copy of VM"):
        copy.write_file("/proc/sysrq-trigger", "c")
    with pytest.raises(VmError, match="it has ended"):
        copy.read_file("/proc/uptime")
    vm.run_until(SECOND)
    assert vm.copy(vm.time).read_file("/proc/uptime")


def test_a_machine_whose_simulator_is_gone_takes_its_copy_with_it(boot: Callable[..., Vm]):
    vm = boot(copies=True)
    copy = vm.copy(vm.time)
    children = Path(f"/proc/{vm.pid}/task").glob("*/children")
    (child,) = [int(pid) for file in children for pid in file.read_text().split()]
    with watched(child) as has_ended:
        vm.end()
        assert has_ended(2000)
    del copy


def test_a_machine_that_is_not_to_have_copies_has_none(boot: Callable[..., Vm]):
    """Its sandbox would end it by the fork."""
    vm = boot()
    with pytest.raises(VmError, match="attribute Copies"):
        vm.copy(vm.time)
    vm.run_until(SECOND)


def test_disks_that_are_kept_are_not_for_copies(boot: Callable[..., Vm], tmp_path: Path):
    vm = boot(copies=True, keep_disks=str(tmp_path))
    with pytest.raises(VmError, match="KeepDisks"):
        vm.copy(vm.time)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text(""), "there is a file"),
        (lambda path: path.parent.rmdir(), "cannot make the socket"),
    ],
    ids=["a file in its place", "no directory"],
)
def test_a_socket_that_cannot_be_made_is_named(
    boot: Callable[..., Vm], tmp_path: Path, make: Callable[[Path], object], words: str
):
    path = tmp_path / "there" / "gdb"
    path.parent.mkdir()
    make(path)
    with pytest.raises(VmError, match=words):
        boot(gdb=str(path))


def test_a_path_too_long_for_a_socket_is_refused(boot: Callable[..., Vm], tmp_path: Path):
    with pytest.raises(VmError, match="107 are the most"):
        boot(monitor=str(tmp_path / ("x" * 120)))


def test_two_machines_cannot_have_one_socket(boot: Callable[..., Vm], tmp_path: Path):
    vm = boot(monitor=str(tmp_path / "qmp"))
    with pytest.raises(VmError, match="somebody listens"):
        boot(monitor=str(tmp_path / "qmp"))
    vm.end()
    assert not (tmp_path / "qmp").exists()
