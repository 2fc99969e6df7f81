# SPDX-License-Identifier: GPL-2.0-only
"""Makes the runs of a selftest, and compares all that they write."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..cache import Cache
from ..errors import Ns3QemuError
from . import circumstances as conditions
from .__main__ import Order
from .circumstances import NO_FMA, OTHER_RUN, Circumstance
from .configurations import CONFIGURATIONS, Configuration
from .disturbance import Stops
from .images import IMAGES, digest

# s of wall time; the longest takes a hundredth of it on an idle machine.
_PATIENCE = 1200


class SelftestError(Ns3QemuError):
    """The selftest cannot be made."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has written."""

    configuration: str
    circumstance: str
    digest: str = ""
    """SHA-256 over names and contents of all files; "" if it has failed."""
    files: dict[str, str] = {}
    """SHA-256 of each."""
    bytes: int = 0
    witness: dict[str, Any] = {}
    stops: int = 0
    error: str = ""
    """How it has failed."""


@dataclass(frozen=True)
class Problem:
    """What is not as it must be."""

    configuration: str
    circumstance: str
    text: str


@dataclass
class Suite:
    """Runs each configuration in each circumstance. What there is of them is in its lists."""

    configurations: Sequence[Configuration]
    circumstances: Sequence[Circumstance]
    """The first is that with which the others are compared."""
    work: Path
    jobs: int = 1
    tell: Callable[[str, str], object] = lambda *_: None
    """Called with the names of configuration and circumstance when a run begins."""
    outcomes: list[Outcome] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Why, by the name of a configuration or circumstance."""
    interrupted: bool = False
    images: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    """Of images, by name."""
    _waiting: list[tuple[Outcome, Circumstance, Path]] = field(default_factory=list)
    """Runs that are not compared yet, for the plain one has not been made."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)

    @property
    def runs(self) -> int:
        """How many there are to be."""
        return len(self.configurations) * (len(self.circumstances) + 1)

    def prepare(self) -> None:
        """Build the images; leave out what is not to be had."""
        for name in {name: None for each in self.configurations for name in each.images}:
            try:
                directory = IMAGES[name]().build()
            except Ns3QemuError as error:
                lacking = {c.name: error.message for c in self.configurations if name in c.images}
                self.left_out.update(lacking)
            else:
                self.images[name], self.digests[name] = str(directory), digest(directory)
        reasons = {each.name: each.missing() for each in self.circumstances}
        self.left_out.update({name: reason for name, reason in reasons.items() if reason})
        self.configurations = [c for c in self.configurations if c.name not in self.left_out]
        self.circumstances = [c for c in self.circumstances if c.name not in self.left_out]

    def run(self) -> None:
        """Make all runs. Ctrl-C or SIGTERM ends it, with what there is by then."""
        plain, *others = self.circumstances
        another = Circumstance(OTHER_RUN, "", settings={"run": 2})
        groups = [
            [plain],
            [another, *(each for each in others if each.shares)],
            *([each] for each in others if not each.shares),
        ]
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                list(pool.map(self._runs_in, groups))
            except BaseException as error:
                self._over.set()
                for process in list(self._running):
                    process.kill()
                if not isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                self.interrupted = True

    def _runs_in(self, together: Sequence[Circumstance]) -> None:
        """Make the runs of circumstances that have a process in common, that of the first."""
        if self._over.is_set():
            return
        circumstance = together[0]
        where = self.work / circumstance.name.replace(" ", "-")
        where.mkdir(parents=True)
        with contextlib.ExitStack() as stack:
            home = Cache().root
            if circumstance.fresh:
                home = stack.enter_context(_empty_cache(where / "cache"))
            if circumstance.busy:
                for process in conditions.busy_processes():
                    stack.callback(_end, process)
            process = stack.enter_context(self._process(circumstance, where, home))
            for each in together:
                for configuration in self.configurations:
                    self._one(process, each, configuration, where)

    @contextlib.contextmanager
    def _process(
        self, circumstance: Circumstance, where: Path, home: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Give a process that makes runs; it ends with its input."""
        environment = {**os.environ, "NS3_QEMU_HOME": str(home), **circumstance.environment}
        directory = where
        if circumstance.elsewhere:
            directory = where / ("a directory with spaces, and a long name " * 4).strip()
            directory.mkdir()
            environment["HOME"] = str(directory)
        with contextlib.ExitStack() as stack:
            null = Path(os.devnull)
            files = [stack.enter_context(null.open("rb")) for _ in range(circumstance.files)]
            log = stack.enter_context((where / "process.log").open("wb"))
            process = subprocess.Popen(
                conditions.command(circumstance, [sys.executable, "-m", __package__]),
                env=environment,
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[file.fileno() for file in files],
            )
            self._running.add(process)
            try:
                yield process
            finally:
                self._running.discard(process)
                _end(process)

    def _one(
        self,
        process: subprocess.Popen[bytes],
        circumstance: Circumstance,
        configuration: Configuration,
        where: Path,
    ) -> None:
        if self._over.is_set():
            return
        self.tell(configuration.name, circumstance.name)
        place = where / f"{configuration.name}-{circumstance.name}".replace(" ", "-")
        place.mkdir()
        images = {} if circumstance.fresh else self.images
        order = Order(
            configuration.name, str(place / "results"), images, dict(circumstance.settings)
        )
        try:
            stops = self._carry_out(process, order, stopped=circumstance.stopped)
            outcome = _outcome(configuration, circumstance, place, stops)
        except _FailedError as error:
            if self._over.is_set():
                return
            tail = _tail(place / "errors") or _tail(where / "process.log")
            outcome = Outcome(
                configuration=configuration.name,
                circumstance=circumstance.name,
                error=f"{error}{tail}",
            )
        with self._lock:
            self.outcomes.append(outcome)
            self._waiting.append((outcome, circumstance, place))
            self._compare()

    def _compare(self) -> None:
        """Compare what there is with the plain runs that there are by now."""
        plain = self.circumstances[0].name
        made = {each.configuration for each in self.outcomes if each.circumstance == plain}
        waiting, self._waiting = self._waiting, []
        for outcome, circumstance, place in waiting:
            if outcome.configuration not in made:
                self._waiting.append((outcome, circumstance, place))
            elif problem := self._judge(outcome, circumstance, place):
                self.problems.append(Problem(outcome.configuration, circumstance.name, problem))
            elif circumstance.name != plain:
                shutil.rmtree(place)

    def _carry_out(self, process: subprocess.Popen[bytes], order: Order, *, stopped: bool) -> int:
        """Have a run made; return how often it was stopped."""
        assert process.stdin
        assert process.stdout
        timer = threading.Timer(_PATIENCE, process.kill)
        timer.start()
        try:
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            process.stdin.flush()
            began = _answer(process)
            with Stops(began["pid"]) if stopped else contextlib.nullcontext() as stops:
                ended = _answer(process)
        except (BrokenPipeError, msgspec.DecodeError):
            message = f"the process that makes runs ended with status {process.wait()}"
            raise _FailedError(message) from None
        finally:
            timer.cancel()
        if ended["status"] != 0:
            message = f"ended with status {ended['status']}"
            raise _FailedError(message)
        return stops.count if stops else 0

    def _judge(self, outcome: Outcome, circumstance: Circumstance, place: Path) -> str:
        """Say what is wrong with a run, or nothing."""
        reference = self.reference(outcome.configuration)
        if outcome.error or reference is None or reference is outcome:
            return outcome.error
        if problem := judge(reference, outcome, circumstance):
            return problem
        allowed = circumstance.name == OTHER_RUN or (
            circumstance.name == NO_FMA and CONFIGURATIONS[outcome.configuration].uses_libm
        )
        if allowed or outcome.digest == reference.digest:
            return ""
        plain = self.circumstances[0].name
        first = self.work / plain / f"{outcome.configuration}-{plain}" / "results"
        return _difference(reference, outcome, first, place / "results")

    def reference(self, configuration: str) -> Outcome | None:
        """Return the outcome with which the others of a configuration are compared."""
        plain = self.circumstances[0].name
        for outcome in self.outcomes:
            if (outcome.configuration, outcome.circumstance) == (configuration, plain):
                return outcome if outcome.digest else None
        return None


def judge(reference: Outcome, outcome: Outcome, circumstance: Circumstance) -> str:
    """Say why a run shows nothing, or nothing if it does."""
    if circumstance.name == OTHER_RUN:
        same = outcome.digest == reference.digest
        return "another RngRun gives the same results" if same else ""
    if not circumstance.is_there(reference.witness, outcome.witness):
        return "the circumstance cannot be seen from inside, so this shows nothing"
    if circumstance.stopped and not outcome.stops:
        return "it was never stopped, so this shows nothing"
    return ""


class _FailedError(Exception):
    """A run has not come to its end."""


def _answer(process: subprocess.Popen[bytes]) -> dict[str, int]:
    assert process.stdout
    return msgspec.json.decode(process.stdout.readline(), type=dict[str, int])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process; one that makes runs takes its machines along."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@contextlib.contextmanager
def _empty_cache(place: Path) -> Iterator[Path]:
    """Give a cache without images; what these are made of is the usual one's."""
    place.mkdir()
    for file in Cache().root.iterdir():
        if file.name not in ("images", "locks", "logs", "names", "work"):
            (place / file.name).symlink_to(file)
    try:
        yield place
    finally:
        shutil.rmtree(place)


def _outcome(
    configuration: Configuration, circumstance: Circumstance, place: Path, stops: int
) -> Outcome:
    whole, files, size = hashlib.sha256(), {}, 0
    results = place / "results"
    for file in sorted(results.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            size += len(content)
            name = str(file.relative_to(results))
            files[name] = hashlib.sha256(content).hexdigest()
            whole.update(f"{name} {files[name]}\n".encode())
    return Outcome(
        configuration=configuration.name,
        circumstance=circumstance.name,
        digest=whole.hexdigest(),
        files=files,
        bytes=size,
        witness=msgspec.json.decode((place / "witness.json").read_bytes()),
        stops=stops,
    )


def _difference(reference: Outcome, outcome: Outcome, first: Path, second: Path) -> str:
    """Say where two runs differ: which file, where in it, and where both are kept."""
    names = sorted(reference.files.keys() | outcome.files.keys())
    differing = [n for n in names if reference.files.get(n) != outcome.files.get(n)]
    name = differing[0]
    if name not in reference.files or name not in outcome.files:
        return f"{name} is there in one of them only: compare {first} and {second}"
    a, b = (first / name).read_bytes(), (second / name).read_bytes()
    place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(min(a, b)))
    line = a.count(b"\n", 0, place) + 1
    others = f" (and {len(differing) - 1} other files)" if len(differing) > 1 else ""
    return (
        f"{name} differs{others} from byte {place}, line {line}, on: "
        f"{_shown(a, place)} and {_shown(b, place)}; compare {first} and {second}"
    )


def _shown(content: bytes, place: int) -> str:
    """Return what is in a file at a place: a part of the line, if it is text."""
    line = content[content.rfind(b"\n", 0, place) + 1 :].partition(b"\n")[0]
    if line.isascii() and b"\0" not in line:
        return repr(line[max(0, place - content.rfind(b"\n", 0, place) - 30) :][:60].decode())
    return content[place : place + 16].hex()


def _tail(file: Path) -> str:
    lines = file.read_text(errors="replace").strip().splitlines() if file.is_file() else []
    return "".join(f"\n  | {line}" for line in lines[-8:])
