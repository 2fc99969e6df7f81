# SPDX-License-Identifier: GPL-2.0-only
"""A command on several kernels, several times on each: what differs, and what is kept."""

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from . import fetch
from .errors import ExecError
from .machine import ERR, OUT, Command, Outcome

OUTPUT, ERRORS, CONSOLE = "stdout.log", "stderr.log", "console.log"
"""What `keep` writes besides what was brought back."""

DIFFERENT = 1
"""The exit status if a command that succeeds does not do the same each time."""

_CONTEXT = 2  # lines around a difference
_MOST_LINES = 200  # of differences that are shown


@dataclass
class Session:
    """What is to be done, and where it is told."""

    command: Command
    repeat: int
    say: Callable[[str], object]
    """Gets what the user is told besides the command's output, a line each."""
    out: Path | None = None
    several: bool = False
    """Whether there are several kernels: then each has a directory of its own."""

    def repeated(self, kernel: str, run: Callable[[bool], Outcome]) -> Outcome:
        """Run a command as often as it is to be, and return how it went the first time.

        `run` gets whether it is the first time. Where it goes otherwise another time, that is said,
        and the status is not 0.
        """
        first = run(True)
        self._tell(kernel, first)
        self.keep(first, self._directory(kernel))
        for number in range(2, self.repeat + 1):
            again = run(False)
            if difference := compare(first, again):
                where = f"{kernel}, " if self.several else ""
                self.say(f"{where}run {number} differs from run 1: {difference}")
                if self.out:
                    self.keep(again, self._directory(kernel) / f"run-{number}")
                first.status = first.status or DIFFERENT
                return first
        if self.repeat > 1:
            where = f"{kernel}: " if self.several else ""
            self.say(f"{where}{self.repeat} runs, the same output, byte by byte; {describe(first)}")
        return first

    def _tell(self, kernel: str, outcome: Outcome) -> None:
        where = f"{kernel}: " if self.several else ""
        for remark in outcome.remarks:
            self.say(f"{where}{remark}")
        if outcome.tests:
            failed = "; ".join(["", *outcome.tests.failed])
            self.say(f"{where}tests: {outcome.tests}{failed}")

    def _directory(self, kernel: str) -> Path:
        base = self.out or Path()
        return base / directory_of(kernel) if self.several else base

    def keep(self, outcome: Outcome, directory: Path) -> None:
        """Write what was brought back, and with --out what was said, into a directory."""
        try:
            fetch.write(outcome.files, directory)
            if self.out:
                logs = {OUTPUT: outcome.output, ERRORS: outcome.errors, CONSOLE: outcome.console}
                fetch.write(logs, directory)
        except OSError as error:
            message = f"cannot write {error.filename or directory}: {error.strerror}"
            raise ExecError(message, "Give another directory with --out.") from error

    def summary(self, outcomes: dict[str, Outcome]) -> Iterator[str]:
        """Yield what there is to say of several kernels: how each went, and what differs."""
        width = max(map(len, outcomes))
        for kernel, outcome in outcomes.items():
            tests = f", {outcome.tests}" if outcome.tests else ""
            yield f"{kernel:{width}}  Linux {outcome.release}: {describe(outcome)}{tests}"
        (first, reference), *others = outcomes.items()
        for kernel, outcome in others:
            lines = list(differences((first, reference), (kernel, outcome)))
            if not lines:
                yield f"{kernel}: the same output as {first}"
            yield from lines[:_MOST_LINES]
            if len(lines) > _MOST_LINES:
                yield f"... and {len(lines) - _MOST_LINES} more lines (--out keeps all)"


def directory_of(kernel: str) -> str:
    """Return what a kernel's directory is called."""
    name = kernel.removeprefix("debian:")
    if "/" in name:
        name = Path(name.removeprefix("file:").partition(",modules=")[0]).name
    return re.sub(r"[^\w.+-]+", "_", name)


def describe(outcome: Outcome) -> str:
    """Say how a command ended, and when."""
    return f"exit status {outcome.status} after {outcome.time / 1e9:.9f} s"


def compare(first: Outcome, again: Outcome) -> str:
    """Say where another run first differs; "" if it does not."""
    for stream, name in ((OUT, "standard output"), (ERR, "standard error")):
        if first.streams[stream] != again.streams[stream]:
            return f"{name}, {_first_difference(first.streams[stream], again.streams[stream])}"
    if first.status != again.status:
        return f"exit status {first.status}, then {again.status}"
    if first.time != again.time:
        return f"it ended at {first.time} ns, then at {again.time} ns"
    for path in sorted({*first.files, *again.files}):
        if first.files.get(path) != again.files.get(path):
            before, now = first.files.get(path), again.files.get(path)
            if before is None or now is None:
                return f"{path} is there only {'then' if before is None else 'the first time'}"
            return f"{path}, {_first_difference(before, now)}"
    return ""


def _first_difference(one: bytes | bytearray, other: bytes | bytearray) -> str:
    place = next(i for i, (a, b) in enumerate(zip_longest(one, other)) if a != b)
    line = one.count(b"\n", 0, place) + 1
    start = one.rfind(b"\n", 0, place) + 1
    shown = [_line(text, start) for text in (one, other)]
    return f"byte {place}, line {line}: {shown[0]}, then {shown[1]}"


def _line(text: bytes | bytearray, start: int) -> str:
    """Return the line that begins there, for people."""
    end = text.find(b"\n", start)
    line = bytes(text[start : None if end < 0 else end])
    return repr(line[:200].decode(errors="backslashreplace")) if line or end >= 0 else "the end"


def differences(first: tuple[str, Outcome], other: tuple[str, Outcome]) -> Iterator[str]:
    """Yield a unified diff of what a command has written on two kernels."""
    for stream, name in ((OUT, "stdout"), (ERR, "stderr")):
        old, new = (_text(outcome.streams[stream]) for _, outcome in (first, other))
        names = [f"{kernel}/{name}" for kernel, _ in (first, other)]
        yield from difflib.unified_diff(old, new, names[0], names[1], n=_CONTEXT, lineterm="")


def _text(data: bytes | bytearray) -> Sequence[str]:
    return data.decode(errors="backslashreplace").splitlines()
