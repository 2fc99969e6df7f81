# SPDX-License-Identifier: GPL-2.0-only
"""What a turn takes, counted: the same on a machine that has other things to do.

A given image gives the same numbers each time, but for `counts.UNSTEADY`.
"""

from __future__ import annotations

import functools
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .. import image, kernel_symbols
from ..errors import VmError
from . import counts, loads, turns
from .wire import Flight

if TYPE_CHECKING:
    from .._vm import Vm

_SECOND = 1_000_000_000
#: simulated ns from one end of the wire to the other, and for each byte: 1 Gbit/s
_DELAY, _BYTE = 1_000_000, 8
_PORT = 5001
#: more bytes than are ever sent
_ENDLESS = 1 << 40
#: a frame of so many bytes has a segment with data
_FULL = 1000
#: simulated time within which something must come of a turn, ns
_LIMIT = 100 * _SECOND

#: what is done, by the name of the figure
ECHOES: dict[str, turns.Kind] = {
    "empty turn": "empty",
    "ICMP echo": "icmp",
    "UDP echo by a program": "udp",
}
TCP = ("TCP segment, its sender", "TCP segment, its receiver")
IDLE = "idle, a simulated second"
NAMES = (*ECHOES, *TCP, IDLE)

#: what is counted, and how it is called in a table
COUNTED = {
    "turns": "turns",
    "instructions": "instructions",
    "interrupts": "interrupts",
    "jumps": "look-ups of the next block",
    "asked": "... left to QEMU",
    "missed": "... not in the jump cache",
    "exits": "exits of translated code",
    "slow": "slow accesses to memory",
    "fills": "TLB refills",
    "flushes": "flushes of the jump cache",
    "translated": "blocks translated",
}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted while the same was done many times."""

    unit: str
    """What was done: "turn", "segment", "simulated second"."""
    count: int
    """How often."""
    kernel: str
    """Of the guest, as `uname -r` prints it."""
    turns: int
    instructions: int
    totals: counts.Totals
    symbols: dict[str, int]
    """Instructions by symbol of the kernel, most first."""

    def of_each(self, what: str) -> float:
        """Return one of COUNTED for each time."""
        of = self if what in self.__struct_fields__ else self.totals
        return float(getattr(of, what)) / self.count


@functools.cache
def _symbols(directory: Path) -> tuple[str, tuple[kernel_symbols.Symbol, ...]]:
    """Return the kernel's release and symbols: machines that are restored have the same addresses.

    Raises VmError if the kernel does not tell them.
    """
    from .._vm import Vm

    vm = Vm(
        loads.machine(directory), nics=[turns.GUEST_MAC], snapshots=str(directory / "snapshots")
    )
    try:
        vm.finish_boot()
        # A program: the relay's parts would have the kernel format all of it for each.
        vm.relay.start_process([loads.PROGRAM, "show", "/proc/kallsyms"])
        text = b""
        while vm.time < _LIMIT and not vm.take_exits():
            vm.run_until_heard(_LIMIT, 1000)
            text += b"".join(data for _, _, data in vm.take_output())
        release = vm.relay.release
    finally:
        vm.end()
    found = tuple(kernel_symbols.parse(text.decode()))
    if not any(symbol.address for symbol in found):
        message = f"the kernel {release} does not tell the addresses of its symbols"
        raise VmError(message)
    return release, found


class _Counter:
    """Counts what a machine does from its creation on."""

    def __init__(self, vm: Vm, file: Path) -> None:
        self._vm, self._file = vm, file
        self._turns, self._instructions = vm.turns, vm.instructions
        self._before = counts.read(file)

    def profile(self, directory: Path, unit: str, count: int) -> Profile:
        """Return what has been counted while something was done so many times.

        `directory`: the machine's image.
        """
        after = counts.read(self._file)
        kernel, symbols = _symbols(directory)
        return Profile(
            unit=unit,
            count=count,
            kernel=kernel,
            turns=self._vm.turns - self._turns,
            instructions=self._vm.instructions - self._instructions,
            totals=after.totals - self._before.totals,
            symbols=counts.by_symbol(after.since(self._before), symbols),
        )


def measure(
    *, count: int, simulated_s: int, wanted: image.Image | None = None
) -> dict[str, Profile]:
    """Case: count over so many turns, or segments, of each kind, and so many idle seconds.

    `wanted`: an image other than the usual, with the program in it.
    """
    directory = (wanted or loads.wanted_image()).build()
    result = {}
    with (
        tempfile.TemporaryDirectory() as work,
        turns.machine(directory, counts=(file := Path(work) / "counts")) as vm,
    ):
        vm.run_until(vm.time + 5 * _SECOND)
        counter = _Counter(vm, file)
        vm.run_until(vm.time + simulated_s * _SECOND)
        result[IDLE] = counter.profile(directory, "simulated second", simulated_s)
        for name, kind in ECHOES.items():
            result[name] = _echo(vm, kind, count, file, directory)
    with tempfile.TemporaryDirectory() as work:
        result |= _tcp(Path(work), count, directory)
    return {name: result[name] for name in NAMES}


def _echo(vm: Vm, kind: turns.Kind, count: int, file: Path, directory: Path) -> Profile:
    turns.take_turns(vm, kind, count)
    counter = _Counter(vm, file)
    turns.take_turns(vm, kind, count)
    return counter.profile(directory, "turn", count)


def _tcp(work: Path, count: int, directory: Path) -> dict[str, Profile]:
    wire = _Wire(work, directory)
    try:
        wire.connect()
        wire.run(count)
        counters = [_Counter(vm, file) for vm, file in zip(wire.ends, wire.files, strict=True)]
        done = wire.run(count)
        profiles = [counter.profile(directory, "segment", done) for counter in counters]
        return dict(zip(TCP, profiles, strict=True))
    finally:
        wire.end()


class _Wire:
    """Two machines on a link of 1 Gbit/s; the first sends as fast as TCP lets it."""

    def __init__(self, work: Path, directory: Path) -> None:
        from .._vm import Vm

        self._flight = Flight()
        self._free = [0, 0]
        self.ends: list[Vm] = []
        self.files: list[Path] = []
        try:
            for number in (1, 2):
                self.files.append(work / str(number))
                vm = Vm(
                    loads.machine(directory),
                    nics=[f"02:00:00:00:00:0{number}"],
                    name=f"end{number}",
                    seed=number,
                    snapshots=str(directory / "snapshots"),
                    counts=str(self.files[-1]),
                )
                self.ends.append(vm)
                vm.finish_boot()
                vm.relay.set_link(0, up=True, gso_max_segments=1)
                vm.relay.add_address(0, f"10.0.0.{number}/24")
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End both machines."""
        for vm in self.ends:
            vm.end()

    def connect(self) -> None:
        """Connect, and begin to send and to receive. Raises VmError."""
        from .._vm import READABLE, SINK, SOURCE, WRITABLE

        sender, receiver = self.ends
        now = max(vm.time for vm in self.ends)
        for vm in self.ends:
            vm.run_until(now)
            vm.take_ready()
        listening = receiver.relay.socket(socket.AF_INET, socket.SOCK_STREAM)
        receiver.relay.bind(listening, "10.0.0.2", _PORT)
        receiver.relay.listen(listening)
        receiver.relay.watch(listening, READABLE)
        sending = sender.relay.socket(socket.AF_INET, socket.SOCK_STREAM)
        sender.relay.watch(sending, WRITABLE)
        sender.relay.connect(sending, "10.0.0.2", _PORT)
        waiting = {(0, sending), (1, listening)}
        while waiting:
            end, _ = self._turn(now + _LIMIT)
            for handle, conditions, errno in self.ends[end].take_ready():
                if errno:
                    message = f"the guests do not connect: error {errno}"
                    raise VmError(message)
                if (end, handle) not in waiting or not conditions & (READABLE, WRITABLE)[1 - end]:
                    continue
                # Each is told again as long as it can be read or written: once is enough.
                waiting.remove((end, handle))
                if end == 0:
                    sender.relay.stream(sending, SOURCE, _ENDLESS)
                else:
                    connection, _ = receiver.relay.accept(listening)
                    receiver.relay.stream(connection, SINK, _ENDLESS)

    def run(self, segments: int) -> int:
        """Go on until so many segments, or a few more, have been sent; return how many."""
        sent = 0
        limit = max(vm.time for vm in self.ends) + _LIMIT
        while sent < segments:
            _, full = self._turn(limit)
            sent += full
        return sent

    def _turn(self, limit: int) -> tuple[int, int]:
        """Let one machine have a turn; return which, and how many full frames are sent by it."""
        full = sum(map(self._collect, (0, 1)))  # by what was asked of their relays
        end = self._flight.take_turn(self.ends, limit)
        return end, full + self._collect(end)

    def _collect(self, end: int) -> int:
        """Put what a machine has sent on the wire; return how many full frames that were."""
        full = 0
        for _, frame in self.ends[end].take_frames():
            self._free[end] = max(self._free[end], self.ends[end].time) + _BYTE * len(frame)
            self._flight.add(self._free[end] + _DELAY, 1 - end, frame)
            full += len(frame) >= _FULL
        return full
