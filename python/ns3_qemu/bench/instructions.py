# SPDX-License-Identifier: GPL-2.0-only
"""What a turn takes, counted: the same on a machine that has other things to do.

A given image gives the same numbers each time.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .. import kernel_symbols
from ..errors import VmError
from . import counts, loads, turns

if TYPE_CHECKING:
    from .._vm import Vm

#: simulated ns from one end of the wire to the other
_DELAY = 1_000_000
_PORT = 5001
#: more bytes than are ever sent
_ENDLESS = 1 << 40
#: a frame of so many bytes has a segment with data
_FULL = 1000


#: what is counted for each turn, and how it is called in a table
COUNTED = {
    "instructions": "instructions",
    "jumps": "look-ups of a block",
    "asked": "... by QEMU",
    "missed": "... not in the jump cache",
    "exits": "exits of translated code",
    "slow": "slow accesses to memory",
    "fills": "TLB refills",
    "flushes": "flushes of the jump cache",
}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted over some turns."""

    turns: int
    """What the counts are to be divided by: echoes, or segments with data."""
    instructions: int
    totals: counts.Totals
    symbols: dict[str, int]
    """Instructions by symbol of the kernel, most first."""

    def per_turn(self, what: str) -> float:
        """Return one of COUNTED for each turn."""
        total = self.instructions if what == "instructions" else getattr(self.totals, what)
        return float(total) / self.turns


class _Counter:
    """Counts what a machine does from its creation on."""

    def __init__(self, vm: Vm, file: Path) -> None:
        self._vm, self._file = vm, file
        self._instructions = vm.instructions
        self._before = counts.read(file)

    def profile(self, divisor: int) -> Profile:
        """Return what has been counted."""
        after = counts.read(self._file)
        instructions = self._vm.instructions - self._instructions
        # This is a turn, too, and not counted any more.
        symbols = kernel_symbols.parse(self._vm.relay.read_file("/proc/kallsyms").decode())
        return Profile(
            turns=divisor,
            instructions=instructions,
            totals=after.totals - self._before.totals,
            symbols=counts.by_symbol(after.since(self._before), symbols),
        )


def echo(*, kind: turns.Kind, count: int) -> Profile:
    """Case: count over so many echoes, each in a turn of its own, of a machine that is warm."""
    with (
        tempfile.TemporaryDirectory() as directory,
        turns.machine(counts_in=Path(directory)) as vm,
    ):
        turns.take_turns(vm, kind, count)
        counter = _Counter(vm, Path(directory) / counts.NAME)
        turns.take_turns(vm, kind, count)
        return counter.profile(count)


def tcp(*, count: int) -> list[Profile]:
    """Case: count over so many full segments; return what their sender and their receiver do."""
    with tempfile.TemporaryDirectory() as directory:
        wire = _Wire(Path(directory))
        try:
            wire.connect()
            wire.run(count)
            counters = [_Counter(vm, file) for vm, file in zip(wire.ends, wire.files, strict=True)]
            done = wire.run(count)
            return [counter.profile(done) for counter in counters]
        finally:
            wire.end()


class _Wire:
    """Two machines back to back, of which the first sends to the second as fast as TCP lets it."""

    def __init__(self, counts_in: Path) -> None:
        from .._vm import Vm

        directory = loads.wanted_image().build()
        self._flight: list[tuple[int, int, int, bytes]] = []
        self._order = itertools.count()
        self.ends: list[Vm] = []
        self.files: list[Path] = []
        try:
            for number in (1, 2):
                vm = Vm(
                    counts.machine(directory),
                    nics=[f"02:00:00:00:00:0{number}"],
                    name=f"end{number}",
                    seed=number,
                    snapshots=str(directory / "snapshots"),
                    sandbox=False,
                )
                self.ends.append(vm)
                own = counts_in / str(number)
                own.mkdir()
                self.files.append(counts.start(vm, own))
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
        """Connect, and begin to send. Raises VmError."""
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
        streams = 0
        while streams < 2:
            end, _ = self._turn(now + 10 * 10**9)
            for handle, conditions, errno in self.ends[end].take_ready():
                if errno:
                    message = f"the guests do not connect: error {errno}"
                    raise VmError(message)
                if handle == listening and conditions & READABLE:
                    connection, _ = receiver.relay.accept(listening)
                    receiver.relay.stream(connection, SINK, _ENDLESS)
                    streams += 1
                elif handle == sending and conditions & WRITABLE:
                    sender.relay.stream(sending, SOURCE, _ENDLESS)
                    streams += 1
        for end in (0, 1):
            self._collect(end)

    def run(self, segments: int) -> int:
        """Go on until so many segments, or a few more, have been sent; return how many."""
        sent = 0
        limit = max(vm.time for vm in self.ends) + 100 * 10**9
        while sent < segments:
            _, full = self._turn(limit)
            sent += full
        return sent

    def _turn(self, limit: int) -> tuple[int, int]:
        """Let one machine have a turn; return which, and how many full frames it has sent."""
        for end in (0, 1):
            self._collect(end)
        arrival = self._flight[0][0] if self._flight else limit
        deadlines = [vm.deadline for vm in self.ends]
        now = min(arrival, *deadlines)
        if now >= limit:
            message = f"the guests have nothing to say to each other until {limit} ns"
            raise VmError(message)
        if now == arrival:
            _, _, end, frame = heapq.heappop(self._flight)
            self.ends[end].queue_frame(0, frame)
            self.ends[end].run(now, timers=False)
        else:
            end = deadlines.index(now)
            self.ends[end].run(now)
        return end, self._collect(end)

    def _collect(self, end: int) -> int:
        """Put what a machine has sent on the wire; return how many full frames that were."""
        now = self.ends[end].time
        full = 0
        for _, frame in self.ends[end].take_frames():
            heapq.heappush(self._flight, (now + _DELAY, next(self._order), 1 - end, frame))
            full += len(frame) >= _FULL
        return full
