# SPDX-License-Identifier: GPL-2.0-only
"""Machines that are forked from one that has been restored: the same bytes, and nothing left."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from ns3_qemu._vm import (
    SINK,
    SOURCE,
    Vm,
    VmError,
    VmImage,
    read_image,
    zygote_blocks,
    zygotes,
)
from process_tools import PATIENCE_MS, watched
from vm_tools import (
    GUEST_MAC,
    MILLISECOND,
    SECOND,
    arp_request,
    echo_request,
    traces,
)

HOST, OTHER = "10.0.0.1", "10.0.0.2"
SECOND_MAC = "02:00:00:00:00:02"
NOBODY = 65534

SEED = 4711

# Of code that is worth translating beforehand there is more.
MOST_BLOCKS = 5_000

# For `warm_after`: more machines than there will be.
NEVER = 2**32 - 1


Start = Callable[..., Vm]


def children(pid: int) -> set[int]:
    """Return the ids of a process's children, of whichever of its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def is_forked(vm: Vm) -> bool:
    """Say whether its process has never been executed: it has its zygote's command."""
    return "zygote=" in command(vm.pid)


@pytest.fixture
def start(vm_image: Path, vm_machine: VmImage) -> Iterator[Start]:
    """Start a machine of the usual image from its saved one, and wait until it is ready."""
    with contextlib.ExitStack() as ends:

        def start(**configuration: Any) -> Vm:
            vm = Vm(vm_machine, snapshots=str(vm_image / "snapshots"), **configuration)
            ends.callback(vm.end)
            vm.finish_boot()
            return vm

        yield start


# --- the same machine -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of machine."""

    image: dict[str, Any] = field(default_factory=dict)
    nics: tuple[str, ...] = (GUEST_MAC,)
    options: dict[str, Any] = field(default_factory=dict)


KINDS = {
    "virtio": Kind(),
    "two virtio NICs, short rings, jumbo frames": Kind(
        nics=(GUEST_MAC, SECOND_MAC), options={"tx_ring": 32, "mtu": 9000}
    ),
    "two e1000, a UART as relay port, more memory, copies": Kind(
        image={
            "kernel": "debian:6.1,flavour=amd64",
            "memory_mib": 160,
            "nic": "e1000",
            "relay": "uart",
        },
        nics=(GUEST_MAC, SECOND_MAC),
        options={"copies": True},
    ),
}


def live(vm: Vm) -> dict[str, Any]:
    """Give a machine a life of some length; return what can be seen of it."""
    relay = vm.relay
    frames: list[tuple[int, int, bytes]] = []

    def see() -> None:
        frames.extend((vm.time, nic, frame) for nic, frame in vm.take_frames())

    for nic in range(relay.nics):
        relay.set_link(nic, up=True)
        relay.add_address(nic, f"10.0.{nic}.1/24")
    vm.run_until(vm.time + 3 * SECOND)  # links come up
    for number in range(10):
        for nic in range(relay.nics):
            vm.queue_frame(nic, arp_request(f"10.0.{nic}.1", f"10.0.{nic}.2"))
            vm.queue_frame(nic, echo_request(f"10.0.{nic}.1", f"10.0.{nic}.2", number))
        vm.run(vm.time, timers=False)
        vm.run_until(vm.time + 123 * MILLISECOND)
    see()
    # Back-pressure: what waits for credit goes on when there is some, or is lost with the link.
    vm.set_credit(0, 2)
    for number in range(40):
        vm.queue_frame(0, echo_request(HOST, OTHER, number, 900))
    vm.run(vm.time, timers=False)
    see()
    vm.set_credit(0, 5)
    vm.run(vm.time + MILLISECOND, timers=False)
    see()
    vm.set_carrier(0, up=False)
    vm.run_until(vm.time + SECOND)
    vm.set_carrier(0, up=True)
    vm.set_credit(0, None)
    vm.run_until(vm.time + 3 * SECOND)
    see()
    # A connection over the loopback interface wakes much of the kernel, and chooses a random port.
    listening = relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.bind(listening, "127.0.0.1", 80)
    relay.listen(listening)
    sending = relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.connect(sending, "127.0.0.1", 80)
    connection, peer = relay.accept(listening)
    relay.stream(connection, SINK)
    relay.stream(sending, SOURCE, 100_000)
    # And one to a stranger shows the kernel's random sequence numbers on the wire.
    relay.connect(relay.socket(socket.AF_INET, socket.SOCK_STREAM), OTHER, 80)
    vm.run_until(vm.time + 2 * SECOND)
    see()
    return {
        "peer": peer,
        "received": relay.stream_stat(connection),
        "frames": frames,
        "console": vm.console_tail,
        **traces(vm),
    }


@pytest.mark.parametrize("name", KINDS)
def test_a_forked_machine_is_that_which_was_started_by_itself(name: str):
    kind = KINDS[name]
    directory = image.Image(**kind.image).build()
    lives = []
    for fork, warm_after in ((False, NEVER), (True, NEVER), (True, 0)):
        vm = Vm(
            read_image(str(directory)),
            nics=kind.nics,
            seed=SEED,
            snapshots=str(directory / "snapshots"),
            fork=fork,
            warm_after=warm_after,
            spin=1,  # as no other test's, or one of those might have warmed the zygote
            **kind.options,
        )
        vm.finish_boot()
        assert is_forked(vm) is fork
        # Of what a machine needs, its zygote has translated most.
        assert not fork or (zygote_blocks()[-1] > MOST_BLOCKS) is (warm_after == 0)
        lives.append(live(vm))
        if kind.options.get("copies"):
            assert b"Main" in vm.copy(vm.time).read_file("/proc/net/fib_trie")
        vm.end()
        assert vm.exit == "exited with status 0"
    assert len(lives[0]["frames"]) > 20 * len(kind.nics)
    assert lives[0]["received"] == (100_000, 0)
    assert lives[1] == lives[0]
    assert lives[2] == lives[0]


# --- lists of code --------------------------------------------------------------------------------

# This file of a saved machine: its header, and what is in it (SimLinkBlock).
LEARNT = "blocks-2"
HEADER = struct.Struct("<QQQ")
BLOCK = struct.Struct("<IIIIII")
PAGE = 4096
NO_PAGE = 2**32 - 1


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def fnv(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def with_list(vm: Vm, directory: Path, change: Callable[[bytes, bytes], bytes]) -> Path:
    """Make a store of what a machine was saved as, whose list of code is another; return the list.

    `change` gets the list and the machine's memory.
    """
    (path,) = re.findall(r"mem-path=(\S+)/ram[, ]", command(vm.pid))
    saved = Path(path)
    copy = directory / saved.name
    copy.mkdir(parents=True)
    for name in ("ram", "state", "relay", "console", "manifest"):
        (copy / name).symlink_to(saved / name)
    changed = change((saved / LEARNT).read_bytes(), (saved / "ram").read_bytes())
    (copy / LEARNT).write_bytes(changed)
    return copy / LEARNT


def shift(whole: bytes, memory: bytes) -> bytes:
    """Move each block of a list by one byte: into the midst of an instruction, mostly."""
    magic, _, _ = HEADER.unpack_from(whole)
    blocks = b""
    for first, second, offset, size, flags, _ in BLOCK.iter_unpack(whole[HEADER.size :]):
        if second == NO_PAGE and size > 1:
            begin = first * PAGE + offset + 1
            sum_ = crc32c(memory[begin : begin + size - 1])
            blocks += BLOCK.pack(first, second, offset + 1, size - 1, flags, sum_)
    return HEADER.pack(magic, len(blocks) // BLOCK.size, fnv(blocks)) + blocks


def misplace(whole: bytes, _memory: bytes) -> bytes:
    """Let each block of a list be on another page, of those that there are or are not."""
    magic, count, _ = HEADER.unpack_from(whole)
    blocks = b"".join(
        BLOCK.pack((first + number * 4099 + 1) % 2**32, *others)
        for number, (first, *others) in enumerate(BLOCK.iter_unpack(whole[HEADER.size :]))
    )
    return HEADER.pack(magic, count, fnv(blocks)) + blocks


@pytest.fixture(scope="module")
def plain_life(vm_image: Path, vm_machine: VmImage) -> dict[str, Any]:
    vm = Vm(
        vm_machine,
        nics=[GUEST_MAC],
        seed=SEED,
        snapshots=str(vm_image / "snapshots"),
        fork=False,
    )
    vm.finish_boot()
    life = live(vm)
    vm.end()
    return life


@pytest.mark.parametrize("change", [shift, misplace])
def test_a_list_of_other_code_changes_nothing(
    vm_machine: VmImage,
    tmp_path: Path,
    start: Start,
    plain_life: dict[str, Any],
    change: Callable[[bytes, bytes], bytes],
    capfd: pytest.CaptureFixture[str],
):
    file = with_list(start(nics=[GUEST_MAC], warm_after=0), tmp_path, change)
    vm = Vm(
        vm_machine,
        nics=[GUEST_MAC],
        seed=SEED,
        snapshots=str(tmp_path),
        warm_after=0,
    )
    vm.finish_boot()
    assert HEADER.unpack_from(file.read_bytes())[1] > MOST_BLOCKS
    assert (zygote_blocks()[-1] > MOST_BLOCKS) is (change is shift)
    assert live(vm) == plain_life
    vm.end()
    assert capfd.readouterr().err == ""


def test_a_list_that_is_damaged_is_made_anew(
    vm_machine: VmImage,
    tmp_path: Path,
    start: Start,
    capfd: pytest.CaptureFixture[str],
):
    good = b""

    def damage(whole: bytes, _memory: bytes) -> bytes:
        nonlocal good
        good = whole
        return whole[:-100] + bytes(100)

    file = with_list(start(nics=[GUEST_MAC], warm_after=0), tmp_path, damage)
    vm = Vm(vm_machine, nics=[GUEST_MAC], snapshots=str(tmp_path), warm_after=0)
    vm.finish_boot()
    vm.end()
    (said,) = capfd.readouterr().err.splitlines()
    assert said == f"The list of code in {file} is not as it was written; it is made anew."
    # Which rarely used code is in it may be another.
    assert HEADER.unpack_from(file.read_bytes())[1] == pytest.approx(
        HEADER.unpack_from(good)[1], rel=0.01
    )


# --- a process of its own -------------------------------------------------------------------------


def descriptors(pid: int) -> dict[int, str]:
    entries = Path(f"/proc/{pid}/fd").iterdir()
    return {int(entry.name): str(entry.readlink()) for entry in entries}


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_a_forked_machine_has_nothing_of_the_zygotes_and_nothing_of_another_s(start: Start):
    vms = [start(nics=[GUEST_MAC], name=name) for name in ("a", "b")]
    for vm in vms:
        assert is_forked(vm)
        assert set(zygotes()) & children(os.getpid())
        assert vm.pid in children(os.getpid())
        assert os.getpgid(vm.pid) == vm.pid
        found = descriptors(vm.pid)
        assert found[0] == "/dev/null"
        assert found[1] == found[2] == "/memfd:vm-output (deleted)"
        assert found[3] == "/memfd:sim-link (deleted)"
        assert set(found) == {0, 1, 2, 3}
        own = status(vm.pid)
        assert own["Seccomp"] == "2"
        assert own["NoNewPrivs"] == "1"
        assert int(own["Threads"]) == 2
        if os.geteuid() == 0:
            assert own["Uid"].split() == [str(NOBODY)] * 4
    files = [[(Path(f"/proc/{vm.pid}/fd") / str(fd)).stat().st_ino for vm in vms] for fd in (1, 3)]
    assert all(one != other for one, other in files)
    shared = [
        {line.split()[4] for line in maps.splitlines() if re.search(r" .w.s .*sim-link", line)}
        for maps in (Path(f"/proc/{vm.pid}/maps").read_text() for vm in vms)
    ]
    # Its own region, and no other's.
    assert shared == [{str(inode)} for inode in files[1]]


def test_a_forked_machine_that_is_killed_is_missed_and_others_are_not(start: Start):
    victim, other = (start(nics=[GUEST_MAC], name=name) for name in ("victim", "other"))
    os.kill(victim.pid, signal.SIGKILL)
    with pytest.raises(VmError, match=r"VM 'victim' failed at .*: QEMU was killed by signal 9"):
        victim.run_until(SECOND)
    other.run_until(SECOND)
    assert start(nics=[GUEST_MAC]).pid != victim.pid


@pytest.mark.parametrize(
    ("command", "reason"),
    [(b"b", "the guest has rebooted"), (b"o", "the guest has switched itself off")],
    ids=["reboot", "power off"],
)
def test_the_end_of_a_forked_machine_s_guest_is_named(start: Start, command: bytes, reason: str):
    vm = start(name="gone")
    with watched(vm.pid) as has_ended:
        with pytest.raises(VmError, match=f"VM 'gone' failed at simulated time .*: {reason}"):  # noqa: PT012
            vm.relay.write_file("/proc/sysrq-trigger", command)
            vm.run_until(SECOND)
        assert has_ended(PATIENCE_MS)


# --- a zygote that fails --------------------------------------------------------------------------


def test_machines_outlive_their_zygote_and_others_are_started_by_themselves(
    start: Start, capfd: pytest.CaptureFixture[str]
):
    options: dict[str, Any] = {"link_options": ["busy-step=123456"]}  # a kind of their own
    before = set(zygotes())
    first = start(name="first", **options)
    (zygote,) = set(zygotes()) - before
    with watched(zygote) as has_ended:
        os.kill(zygote, signal.SIGKILL)
        assert has_ended(PATIENCE_MS)
    first.run_until(SECOND)
    later = [start(name=name, **options) for name in ("second", "third")]
    assert not any(is_forked(vm) for vm in later)
    (said,) = capfd.readouterr().err.splitlines()
    assert said.startswith("VM 'second' and others like it are started each by itself")
    assert "was killed by signal 9" in said
    first.run_until(2 * SECOND)
    assert start(name="of another kind", link_options=["busy-step=123457"]).pid
    assert is_forked(first)


@pytest.mark.parametrize(
    "options",
    [{"monitor": "monitor"}, {"gdb": "gdb"}, {"fork": False}],
    ids=["monitor", "gdb", "told so"],
)
def test_what_needs_a_process_of_its_own_is_started_by_itself(
    start: Start, tmp_path: Path, options: dict[str, Any], capfd: pytest.CaptureFixture[str]
):
    paths = {
        name: str(tmp_path / value) if isinstance(value, str) else value
        for name, value in options.items()
    }
    assert not is_forked(start(**paths))
    assert capfd.readouterr().err == ""


# --- nothing is left ------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys
from ns3_qemu._vm import Vm, read_image, zygotes
vms = [Vm(read_image(sys.argv[1]), snapshots=sys.argv[1] + "/snapshots") for _ in range(3)]
{before}
for vm in vms:
    vm.start()
{between}
for vm in vms:
    vm.finish_boot()
print(*zygotes(), *[vm.pid for vm in vms], flush=True)
{after}
"""

DEATH = "os.kill(os.getpid(), signal.SIGKILL)"


def ended(pids: list[int]) -> bool:
    for pid in pids:
        try:
            with watched(pid) as has_ended:
                if not has_ended(PATIENCE_MS):
                    return False
        except ProcessLookupError:
            pass  # it has ended, and so has who had to know
    return True


def marked(mark: str) -> list[int]:
    """Return the processes that have a word in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


@pytest.mark.parametrize(
    "script",
    [
        {"after": DEATH},
        {"between": DEATH},
        {"before": "signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.setitimer(0, 0.05)"},
        {"before": "signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.setitimer(0, 0.12)"},
        {"after": "os.kill(zygotes()[0], signal.SIGSTOP);" + DEATH},
        {"after": "os.kill(zygotes()[0], signal.SIGKILL); sys.exit(0)"},
        {"after": "os.kill(os.getpid(), signal.SIGINT)"},
        {"between": "os.kill(zygotes()[0], signal.SIGKILL)", "after": "os._exit(0)"},
        {"after": "vms[0].run_until(10**9); sys.exit(0)"},
    ],
    ids=[
        "killed when they run",
        "killed while they start",
        "killed while the zygote starts",
        "killed in its midst",
        "zygote stopped",
        "zygote killed",
        "Ctrl-C",
        "zygote killed while they start, and no clearing up",
        "as it should",
    ],
)
def test_no_process_is_left_whatever_ends_first(vm_image: Path, script: dict[str, str]):
    mark = f"NS3_QEMU_TEST_MARK={os.getpid()}-{id(script)}"
    name, _, value = mark.partition("=")
    text = SCRIPT.format(**{"before": "", "between": "", "after": "", **script})
    done = subprocess.run(
        [sys.executable, "-c", text, vm_image],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 1 or "KeyboardInterrupt" in done.stderr, done.stderr
    assert ended(marked(mark) + [int(pid) for pid in done.stdout.split()])
    assert marked(mark) == []
