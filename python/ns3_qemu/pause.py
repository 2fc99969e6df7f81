# SPDX-License-Identifier: GPL-2.0-only
"""Stops of a simulation at simulated times, and what is done at them, so that it can be repeated.

A stop is an event of the simulation that belongs to no node. While its prompt waits for a person,
nothing else happens: all machines wait for their turns.
"""

import json
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import msgspec

from .callbacks import at
from .errors import ScenarioError
from .program import Program
from .qemu_monitor import attribute_path
from .simulated_time import to_time
from .simulation import before_run, load

__all__ = ["Change", "Plan", "Stop", "pause_at", "read", "replay"]


class Change(msgspec.Struct, frozen=True):
    """A program that was started in a guest at a stop."""

    machine: str
    command: str


class Stop(msgspec.Struct, frozen=True):
    """A stop, and what was changed at it."""

    at_ns: int
    changes: list[Change] = []


class _Record(msgspec.Struct, frozen=True):
    stop: list[Stop]


def read(file: Path) -> list[Stop]:
    """Read what a run with stops has recorded. Raises ScenarioError for what is no such file."""
    try:
        record = msgspec.convert(tomllib.loads(file.read_text()), _Record)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        message = f"{file} is no record of a run with stops: {error}"
        raise ScenarioError(message, "Give a file that --record has written.") from error
    times = [stop.at_ns for stop in record.stop]
    if not times or times != sorted(times) or times[0] < 0:
        message = f"{file} is no record of a run with stops: its stops are in no order"
        raise ScenarioError(message, "Give a file that --record has written.")
    return record.stop


def _write(file: Path, stops: list[Stop]) -> None:
    lines = ["# What was done at the stops of a simulation; repeat it with --replay.\n"]
    for stop in stops:
        lines.append(f"\n[[stop]]\nat_ns = {stop.at_ns}\n")
        # JSON's texts are TOML's, too.
        lines += [
            f"[[stop.changes]]\nmachine = {json.dumps(change.machine)}\n"
            f"command = {json.dumps(change.command)}\n"
            for change in stop.changes
        ]
    file.write_text("".join(lines))


@dataclass
class Plan:
    """When a simulation is to stop, and what then: a person's commands, or those of a record."""

    time: Any = None
    """Of the first stop, with a prompt; None with `stops`."""
    stops: list[Stop] = field(default_factory=list)
    """What is to be repeated."""
    record: Path | None = None
    """Where what is changed is recorded."""
    directory: Path | None = None
    """Where what a prompt writes goes, unless another place is given there."""
    input: TextIO | None = None
    """Where the prompt's commands come from; None: standard input."""
    suspend: Callable[[], object] = lambda: None
    resume: Callable[[], object] = lambda: None
    """Called around a prompt, for what else writes to the terminal."""

    _done: list[Stop] = field(default_factory=list)
    _changes: list[Change] = field(default_factory=list)
    _sockets: Any = None

    def arm(self) -> None:
        """Schedule the first stop. The simulation must not have begun.

        Raises ValueError for what is no time.
        """
        if self.stops:
            at(_ns(self.stops[0].at_ns), self._repeat, 0)
            return
        at(self.time, self._stop)
        before_run(self._open_sockets)

    def _open_sockets(self) -> None:
        ns = load()
        # Sockets have short paths.
        self._sockets = tempfile.TemporaryDirectory(prefix="ns3-qemu-", dir="/tmp")
        for name, machine in machines().items():
            machine.SetAttribute("Copies", ns.BooleanValue(True))
            for attribute, suffix in (("Monitor", "qmp"), ("Gdb", "gdb")):
                if not attribute_path(machine, attribute):
                    path = f"{self._sockets.name}/{_file_name(name)}.{suffix}"
                    machine.SetAttribute(attribute, ns.StringValue(path))

    def _stop(self) -> None:
        from .prompt import Prompt

        now = int(load().Simulator.Now().GetNanoSeconds())
        self._changes = []
        self.suspend()
        prompt = Prompt(self, self.input or sys.stdin)
        try:
            prompt.cmdloop()
        finally:
            self._done.append(Stop(now, self._changes))
            if self.record and any(stop.changes for stop in self._done):
                _write(self.record, self._done)
        if prompt.next_ns is not None:
            at(_ns(prompt.next_ns), self._stop)
        self.resume()

    def _repeat(self, index: int) -> None:
        for change in self.stops[index].changes:
            self.change(change.machine, change.command)
        if index + 1 < len(self.stops):
            at(_ns(self.stops[index + 1].at_ns), self._repeat, index + 1)

    def change(self, name: str, command: str) -> None:
        """Start a program in a guest, at this time; this is recorded.

        Raises ScenarioError if there is no such machine, ValueError for a text that is no command.
        """
        ns = load()
        machine = machines().get(name)
        if machine is None:
            message = f"there is no machine {name!r}"
            raise ScenarioError(message, f"There is {', '.join(machines()) or 'none'}.")
        program = Program(machine.GetNode(), command, required=False)

        def tell(text: str) -> None:
            print(f"[{ns.Simulator.Now().GetSeconds()} s] {name}: {text}")

        program.on_output(lambda line, _: tell(line))
        program.on_exit(lambda code, _: tell(f"'{command}' ended with {code}") if code else None)
        self._changes.append(Change(name, command))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give the directory for what is of no use after the run."""
        yield Path(self._sockets.name)


def _ns(time: int) -> Any:
    return load().NanoSeconds(time)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


def machines() -> dict[str, Any]:
    """Return the machines of the simulation by their names."""
    ns = load()
    found = {}
    for i in range(ns.NodeList.GetNNodes()):
        machine = ns.VirtualMachine.Of(ns.NodeList.GetNode(i))
        if machine:
            found[str(machine.GetName())] = machine
    return found


def pause_at(
    time: Any,
    *,
    input: TextIO | None = None,  # noqa: A002 - as in the module subprocess
    record: str | Path | None = None,
    directory: str | Path | None = None,
) -> None:
    """Have the simulation stop at a simulated time, with a prompt, whose `help` says what there is.

    `time`: as for `at`. `input`: where commands come from, standard input unless it is given; its
    end lets the simulation go on. `record`: a file for what is changed at the prompt, which
    `replay` repeats. `directory`: where captures so far are written to, the working directory
    unless it is given.

    What only looks changes no byte of the results. To be called before `ns3_qemu.Run`, which gives
    each machine a monitor and a socket for gdb, unless its attributes name some.

    Raises ValueError for what is no time.
    """
    Plan(
        time=to_time(time),
        input=input,
        record=Path(record) if record else None,
        directory=Path(directory) if directory else None,
    ).arm()


def replay(file: str | Path) -> None:
    """Repeat what was changed at the stops of another run, at the same times, without a prompt.

    Raises ScenarioError for a file that is no record.
    """
    Plan(stops=read(Path(file))).arm()
