# SPDX-License-Identifier: GPL-2.0-only
"""Which measurements there are, in which order, and which figures they give."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..errors import Ns3QemuError
from . import cases, instructions, processes, scaling
from .figures import Figure, Goal, not_measured
from .instructions import Profile
from .network import Topology
from .scaling import Load

GROUPS = ("turns", "instructions", "machines", "scenarios", "coupling", "scaling")

VMS = (1, 2, 8, 32, 128)

#: what linearity is relative to
_REFERENCE_VMS = 8
_MOST_VMS_OF_GOAL = 1000

#: memory in MB that a machine of many may need, and all else together: what they were forked from,
#: two that have shown which code is needed, the simulator
_MACHINE_MB, _REST_MB = 12, 1500

#: open files that the simulator may need for a machine, and for all else
_MACHINE_FILES, _REST_FILES = 4, 100

#: simulated s in a sample. Three of the second kind see some cycles of each congestion window, and
#: take minutes with 128 machines.
_WINDOW_S: dict[Load, int] = {"idle": 10, "load": 4}

#: Of more machines than these the load is measured for 1 s each time: there are so many connections
#: that all parts of their cycles are in it.
_MANY_VMS = 128

#: turns, and simulated s, over which is counted: the same always, for these figures are exact
_COUNTED_TURNS, _COUNTED_IDLE_S = 1_000, 100

#: ns of wall time to poll, where each has a CPU of its own
_SPIN = 200_000

_TOPOLOGIES: tuple[Topology, ...] = ("pairs", "star")
_LOADS: tuple[Load, ...] = ("idle", "load")

# A case, run by a test in another way.
Call = Callable[[str, dict[str, Any]], Any]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """So many machines in one network under one load. Without samples, `reason` says why."""

    vms: int
    topology: Topology
    load: Load
    parallel: bool
    simulated_s: float
    """Of each sample."""
    start_s: float | None = None
    """Wall time until all machines were ready."""
    wall_s: tuple[float, ...] = ()
    """Samples: wall time for one simulated second."""
    cpu_s: tuple[float, ...] = ()
    """CPU time for one simulated second, of simulator and machines."""
    turns: tuple[int, ...] = ()
    """In each sample."""
    instructions: tuple[int, ...] = ()
    """Of all guests, in each sample."""
    frames: tuple[int, ...] = ()
    """In each sample, on all links and in both directions."""
    memory_mb: float | None = None
    """Of all machines at the end, what they share counted once (10^6 bytes)."""
    private_mb: float | None = None
    """That a machine has for itself at the end, the median of all."""
    received_bps: tuple[float, ...] = ()
    """Payload of each connection."""
    reason: str = ""

    @property
    def median(self) -> float | None:
        """The median of `wall_s`."""
        return statistics.median(self.wall_s) if self.wall_s else None


@dataclass(frozen=True)
class Options:
    """What is to be measured."""

    groups: Sequence[str] = GROUPS
    vms: Sequence[int] = VMS
    quick: bool = False
    """Fewer and smaller samples, which say that it works and not how quick it is."""
    parallel: bool | None = None
    """Only with, or only without, turns of several machines at the same time; None: both."""

    def choose(self, usual: int, quick: int) -> int:
        """Return a number of repetitions, or the size of one."""
        return quick if self.quick else usual


@dataclass(frozen=True)
class Step:
    """Figures that are measured together."""

    title: str
    blanks: tuple[Figure, ...]
    """The figures, without samples."""
    measure: Callable[[], Sequence[Sequence[float]]]
    """Returns the samples of each. May raise an Ns3QemuError; its message is the reason."""
    point: Point | None = None
    """What it adds to the points if it is not measured."""


@dataclass
class Suite:
    """Makes the measurements. What there is of them is in `figures`, `points` and `profiles`."""

    options: Options
    call: Call = cases.call
    figures: list[Figure] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    profiles: dict[str, Profile] = field(default_factory=dict)
    """By name of the figure: where its instructions are."""
    interrupted: bool = False

    def count(self) -> int:
        """Return how many steps there will be."""
        return sum(1 for _ in self._steps())

    def run(self, begin: Callable[[str, int], object] = lambda *_: None) -> None:
        """Measure everything; `begin` gets the title of each step and how many there are.

        Ctrl-C ends it: what was not measured has that as its reason.
        """
        for step in self._steps():
            if self.interrupted:
                self._give_up(step, "interrupted")
                continue
            begin(step.title, self.count())
            try:
                samples = step.measure()
            except KeyboardInterrupt:
                self.interrupted = True
                self._give_up(step, "interrupted")
            except Ns3QemuError as error:
                self._give_up(step, error.message)
            else:
                self.figures += [
                    msgspec.structs.replace(blank, samples=tuple(values))
                    for blank, values in zip(step.blanks, samples, strict=True)
                ]
        if "scaling" in self.options.groups:
            self.figures += self._linearity()

    def _give_up(self, step: Step, reason: str) -> None:
        self.figures += [
            not_measured(blank.group, blank.name, blank.unit, reason, blank.goal)
            for blank in step.blanks
        ]
        if step.point is not None:
            self.points.append(msgspec.structs.replace(step.point, reason=reason))

    def _steps(self) -> Iterator[Step]:
        makers = {
            "turns": self._turns,
            "instructions": self._instructions,
            "machines": self._machines,
            "scenarios": self._scenarios,
            "coupling": self._coupling,
            "scaling": self._scaling,
        }
        for group in GROUPS:
            if group in self.options.groups:
                yield from makers[group]()

    def _modes(self) -> tuple[bool, ...]:
        """Return without and with turns at the same time, as far as they are wanted."""
        return (False, True) if self.options.parallel is None else (self.options.parallel,)

    # --- turns ------------------------------------------------------------------------------------

    def _turns(self) -> Iterator[Step]:
        kinds = (
            ("empty turn", "empty", Goal(8), Goal(4)),
            ("ICMP echo, 64 bytes", "icmp", Goal(32), Goal(32)),
            ("UDP echo by a program, 1000 bytes", "udp", Goal(55), Goal(55)),
        )
        for name, kind, one, each in kinds:
            yield self._turn(f"{name}, one CPU", one, kind=kind, cpus=1, spin_ns=0)
            yield self._turn(f"{name}, a CPU each", each, kind=kind, cpus=2, spin_ns=_SPIN)
        for parallel in self._modes():
            yield self._transfer(parallel)

    def _turn(self, name: str, goal: Goal, **arguments: Any) -> Step:
        turns = self.options.choose(50_000 if arguments["kind"] == "empty" else 5_000, 500)
        samples = self.options.choose(7, 3)

        def measure() -> list[list[float]]:
            if (there := len(os.sched_getaffinity(0))) < arguments["cpus"]:
                message = f"{there} CPU may be used, and this takes {arguments['cpus']}"
                raise cases.NotPossibleError(message)
            return [self.call("turns.cost", {**arguments, "turns": turns, "samples": samples})]

        return Step(name, (Figure(group="turns", name=name, unit="µs", goal=goal),), measure)

    def _transfer(self, parallel: bool) -> Step:
        name = "TCP between two machines" + (", parallel turns" if parallel else "")
        arguments = {
            "parallel": parallel,
            "simulated_s": 0.1 if self.options.quick else 0.5,
            "samples": self.options.choose(5, 2),
        }

        def measure() -> list[list[float]]:
            rates = self.call("transfer.frames", arguments)
            return [rates, [1e6 / rate for rate in rates]]

        goal = Goal(20_000 if parallel else 9_000, at_least=True)
        blanks = (
            Figure(group="turns", name=name, unit="frames/s", goal=goal),
            Figure(group="turns", name=f"{name}, a frame", unit="µs"),
        )
        return Step(name, blanks, measure)

    # --- instructions -----------------------------------------------------------------------------

    def _instructions(self) -> Iterator[Step]:
        arguments = {"count": _COUNTED_TURNS, "simulated_s": _COUNTED_IDLE_S}

        def measure() -> list[list[float]]:
            answer = self.call("instructions.measure", arguments)
            self.profiles = msgspec.convert(answer, dict[str, Profile])
            return [[self.profiles[name].of_each("instructions")] for name in instructions.NAMES]

        blanks = tuple(
            Figure(group="instructions", name=name, unit="instructions")
            for name in instructions.NAMES
        )
        yield Step("instructions of a turn", blanks, measure)

    # --- machines ---------------------------------------------------------------------------------

    def _machines(self) -> Iterator[Step]:
        choose = self.options.choose
        for cpus, suffix in ((0, ""), (1, ", one CPU")):
            yield self._idle(f"idle, a simulated second{suffix}", cpus)
        yield _single(
            Figure(group="machines", name="start of one", unit="s", goal=Goal(0.02)),
            lambda: self.call("machines.start", {"samples": choose(9, 3)}),
        )
        number = choose(128, 4)
        goal = None if self.options.quick else Goal(4)
        yield _single(
            Figure(group="machines", name=f"start of {number} in ns-3", unit="s", goal=goal),
            lambda: self._starts(number, choose(3, 1)),
        )

        def memory() -> list[list[float]]:
            _check_room(8)
            found = self.call("machines.memory", {"vms": choose(8, 2), "simulated_s": 10})
            return [found["start"], found["idle"]]

        blanks = (
            Figure(group="machines", name="private memory after start", unit="MB", goal=Goal(3.5)),
            Figure(
                group="machines", name="private memory, 10 s idle later", unit="MB", goal=Goal(3.5)
            ),
        )
        yield Step("private memory", blanks, memory)

    def _idle(self, name: str, cpus: int) -> Step:
        arguments = {
            "cpus": cpus,
            "simulated_s": self.options.choose(1000, 100),
            "samples": self.options.choose(7, 3),
        }
        return _single(
            Figure(group="machines", name=name, unit="ms", goal=Goal(0.1)),
            lambda: self.call("machines.idle", arguments),
        )

    def _starts(self, vms: int, samples: int) -> list[float]:
        _check_room(vms)
        arguments = {
            "vms": vms,
            "topology": "pairs",
            "load": "idle",
            "parallel": False,
            "simulated_s": 0,
            "samples": 0,
        }
        return [float(self.call("scaling.run", arguments)["start_s"]) for _ in range(samples)]

    # --- scenarios --------------------------------------------------------------------------------

    def _scenarios(self) -> Iterator[Step]:
        yield self._scenario("A1", "A1_q20_sack", None, None)
        yield self._scenario("A7", "A7_10M_q50_sack", Goal(4), None)

    def _scenario(self, short: str, name: str, ratio: Goal | None, speed: Goal | None) -> Step:
        duration = "5s" if self.options.quick else None

        def run(native: bool) -> tuple[float, float]:
            arguments = {"name": name, "native": native, "duration": duration}
            answer = self.call("scenarios.run", arguments)
            return answer["wall_s"], answer["simulated_s"]

        def measure() -> list[list[float]]:
            vm, native, ratios, speeds = [], [], [], []
            for _ in range(self.options.choose(3, 1)):
                wall, simulated = run(False)
                own, _ = run(True)
                vm.append(wall)
                native.append(own)
                ratios.append(wall / own)
                speeds.append(simulated / wall)
            return [vm, native, ratios, speeds]

        blanks = (
            Figure(group="scenarios", name=f"{short} with machines", unit="s"),
            Figure(group="scenarios", name=f"{short} with ns-3's own TCP", unit="s"),
            Figure(group="scenarios", name=f"{short}, ratio of both", unit="", goal=ratio),
            Figure(group="scenarios", name=f"{short}, real time", unit="x", goal=speed),
        )
        return Step(f"scenario {short}", blanks, measure)

    # --- coupling ---------------------------------------------------------------------------------

    def _coupling(self) -> Iterator[Step]:
        choose = self.options.choose
        yield self._compare("idle", Goal(1.30), "sleep", choose(10_000, 1_000))
        # Some 3 * 10^9 instructions.
        yield self._compare("busy", Goal(1.01), "count", choose(500_000_000, 20_000_000))

    def _compare(self, name: str, goal: Goal, load: str, long: int) -> Step:
        arguments = {
            "load": load,
            "short": 1,
            "long": long,
            "samples": self.options.choose(5, 1),
        }

        def measure() -> list[list[float]]:
            found = self.call("coupling.compare", arguments)
            # Start and end are in both; single ones differ by chance, more than they take.
            driven, alone = (
                [s - statistics.median(found[way]["short"]) for s in found[way]["long"]]
                for way in ("driven", "alone")
            )
            ratios = [a / b for a, b in zip(driven, alone, strict=True)]
            return [driven, alone, ratios]

        blanks = (
            Figure(group="coupling", name=f"{name} guest, driven, CPU time", unit="s"),
            Figure(group="coupling", name=f"{name} guest, QEMU alone, CPU time", unit="s"),
            Figure(group="coupling", name=f"{name} guest, ratio of both", unit="", goal=goal),
        )
        return Step(f"{name} guest, driven and alone", blanks, measure)

    # --- scaling ----------------------------------------------------------------------------------

    def _scaling(self) -> Iterator[Step]:
        for vms in self.options.vms:
            for topology in _TOPOLOGIES:
                for load in _LOADS:
                    if vms == 1 and load != "idle":
                        continue  # it has nobody to talk to
                    for parallel in self._modes():
                        # Idle machines have nothing to do at the same time, and one hub more or
                        # less shows nothing that pairs do not: unless it is asked for.
                        if (
                            parallel
                            and self.options.parallel is None
                            and (topology, load)
                            != (
                                "pairs",
                                "load",
                            )
                        ):
                            continue
                        yield self._point(vms, topology, load, parallel)

    def _point(self, vms: int, topology: Topology, load: Load, parallel: bool) -> Step:
        blank = Point(
            vms=vms,
            topology=topology,
            load=load,
            parallel=parallel,
            simulated_s=self._window_s(vms, load),
        )

        def measure() -> list[list[float]]:
            _check_room(vms)
            arguments = {
                "vms": vms,
                "topology": topology,
                "load": load,
                "parallel": parallel,
                "simulated_s": blank.simulated_s,
                "samples": self.options.choose(3, 1),
            }
            answer = self.call("scaling.run", arguments)
            self.points.append(_filled(blank, msgspec.convert(answer, scaling.Sample)))
            return []

        machines = "1 machine" if vms == 1 else f"{vms} machines"
        title = f"{machines}, {topology}, {'1 Mbit/s each' if load == 'load' else 'idle'}"
        return Step(title + (", parallel turns" if parallel else ""), (), measure, blank)

    def _window_s(self, vms: int, load: Load) -> int:
        if load == "load" and vms > _MANY_VMS:
            return 1
        return self.options.choose(_WINDOW_S[load], 1)

    def warnings(self) -> list[str]:
        """Return why some numbers of machines will not be measured, before anything is."""
        return [
            reason
            for vms in (self.options.vms if "scaling" in self.options.groups else ())
            if (reason := _lack(vms))
        ]

    def _linearity(self) -> Iterator[Figure]:
        """Yield what a machine costs among many, relative to what it costs among 8."""
        loaded = {
            (point.vms, point.parallel): point
            for point in self.points
            if (point.topology, point.load) == ("pairs", "load")
        }
        for (vms, parallel), point in loaded.items():
            if vms <= _REFERENCE_VMS:
                continue
            reference = loaded.get((_REFERENCE_VMS, parallel))
            for what, samples, least in (
                ("wall", point.wall_s, reference.wall_s if reference else ()),
                ("CPU", point.cpu_s, reference.cpu_s if reference else ()),
            ):
                mode = ", parallel turns" if parallel else ""
                name = f"{what} time for each of {vms}, relative to {_REFERENCE_VMS}{mode}"
                goal = Goal(1.15) if vms <= _MOST_VMS_OF_GOAL else None
                if point.reason or not least:
                    reason = point.reason or f"{_REFERENCE_VMS} machines were not measured"
                    yield not_measured("scaling", name, "", reason, goal)
                    continue
                one = statistics.median(least) / _REFERENCE_VMS
                ratios = tuple(sample / vms / one for sample in samples)
                yield Figure(group="scaling", name=name, unit="", samples=ratios, goal=goal)


def _single(blank: Figure, measure: Callable[[], Iterable[float]]) -> Step:
    return Step(blank.name, (blank,), lambda: [list(measure())])


def _filled(blank: Point, sample: scaling.Sample) -> Point:
    windows = sample.windows
    return msgspec.structs.replace(
        blank,
        start_s=sample.start_s,
        wall_s=tuple(w.wall_s / blank.simulated_s for w in windows),
        cpu_s=tuple(w.cpu_s / blank.simulated_s for w in windows),
        turns=tuple(w.turns for w in windows),
        instructions=tuple(w.instructions for w in windows),
        frames=tuple(w.frames for w in windows),
        memory_mb=sample.memory_mb,
        private_mb=sample.private_mb,
        received_bps=tuple(sample.received_bps),
    )


def _check_room(vms: int) -> None:
    """Raise NotPossibleError if this machine may be too small for so many machines."""
    if reason := _lack(vms):
        raise cases.NotPossibleError(reason)


def _lack(vms: int) -> str:
    """Return what this machine may have too little of for so many machines; "": nothing."""
    needed, there = vms * _MACHINE_MB + _REST_MB, processes.available_mb()
    if needed > there:
        return f"{vms} machines may need {needed:,} MB of memory, and there are {there:,.0f}"
    files, allowed = vms * _MACHINE_FILES + _REST_FILES, processes.most_open_files()
    if files > allowed:
        return f"{vms} machines may need {files:,} open files, and `ulimit -Hn` is {allowed:,}"
    return ""
