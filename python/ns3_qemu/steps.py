# SPDX-License-Identifier: GPL-2.0-only
"""Steps of the set-up, as the user sees them.

A step says what it does and how far it is, keeps the output of its commands in a log file, and if
it fails says which step it was, the end of the log, and what to do. On a terminal a step is a
progress bar; elsewhere it is a few plain lines. Everything goes to stderr: stdout belongs to the
program that needs the result.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from .errors import Ns3QemuError, StepError

# What of the log a failure shows.
_TAIL_LINES = 15
_TAIL_COLUMNS = 200

# Without a terminal: the least time between two lines about the same step, in seconds.
_PLAIN_INTERVAL = 15.0

# How long an interrupted command may take to clear up, in seconds.
_PATIENCE = 10.0


class CommandError(Exception):
    """A command of a step failed. Within steps only: a user sees the step's StepError."""


class Step:
    """One step under way; what `Steps.step` gives."""

    def __init__(self, log: TextIO, update: Callable[[float, str], None]) -> None:
        self._log = log
        self._update = update
        self._fraction = 0.0

    def progress(self, fraction: float, detail: str = "") -> None:
        """Tell how far the step is, 0 to 1, and what it is at. It never goes back."""
        self._fraction = max(self._fraction, min(fraction, 1.0))
        self._update(self._fraction, detail)

    def note(self, text: str) -> None:
        """Write a line into the log."""
        self._log.write(text + "\n")
        self._log.flush()

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], bool | None] | None = None,
    ) -> None:
        """Run a command with its output in the log; `on_line` sees each line of it first.

        A line for which `on_line` returns true is not logged. The command ends when this process
        does, and with it all that it started. Raises CommandError if it cannot be started or fails.
        """
        words = [str(word) for word in command]
        self.note("$ " + " ".join(words))
        try:
            process = subprocess.Popen(
                # In a session of its own it misses Ctrl-C, so that it is ended below, with its
                # children; setpriv sees to it that it ends if this process is killed.
                ["setpriv", "--pdeathsig", "TERM", "--", *words],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            message = f"cannot run {words[0]}: {error.strerror}"
            raise CommandError(message) from error
        try:
            assert process.stdout
            for line in process.stdout:
                if not (on_line and on_line(line.rstrip("\n"))):
                    self._log.write(line)
            status = process.wait()
        except BaseException:
            _end(process)
            raise
        finally:
            self._log.flush()
        if status != 0:
            how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
            message = f"{Path(words[0]).name} {how}"
            raise CommandError(message)


def _end(process: subprocess.Popen[str]) -> None:
    """End a command and all that it started, so that none of them writes anything any more."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    # All of them write into this pipe, so at its end there is nobody left.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Steps:
    """Where steps are shown and logged."""

    def __init__(
        self,
        logs: Path,
        console: Console | None = None,
        *,
        verbose: bool = False,
        quiet: bool = False,
    ) -> None:
        """`verbose`: also say what is there already. `quiet`: say nothing but remarks."""
        self.console = console or Console(stderr=True, highlight=False)
        self._progress = Console(quiet=True) if quiet else self.console
        self._logs = logs
        self._verbose = verbose

    def ready(self, title: str, detail: object = "") -> None:
        """Say that a step's result is there already."""
        if self._verbose:
            self._progress.print(
                f"==> {title}: ready {detail}".rstrip(), markup=False, soft_wrap=True
            )

    def remark(self, text: str) -> None:
        """Say what a user should know of what is made."""
        self.console.print(f"==> {text}", markup=False, soft_wrap=True)

    def waiting(self, title: str) -> Callable[[], None]:
        """Return what says that another process is at this step (for Cache.produce)."""
        return lambda: self._progress.print(
            f"==> {title}: another process is at it, waiting ...", markup=False, soft_wrap=True
        )

    @contextlib.contextmanager
    def step(self, name: str, title: str, advice: str = "") -> Iterator[Step]:
        """Show a step while it is under way. `name` names its log; `advice` helps if it fails."""
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / f"{name}.log"
        started = time.monotonic()
        # A log of its own for each process: another may be at the same step for another cache
        # entry.
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with part.open("w", errors="replace") as log:
                part.replace(path)
                with self._display(title, path) as update:
                    yield Step(log, update)
        except (CommandError, Ns3QemuError, OSError) as error:
            cause, what_to_do = str(error), advice
            if isinstance(error, Ns3QemuError):
                cause, what_to_do = error.message, error.advice or advice
            lines = deque(path.read_text(errors="replace").splitlines(), maxlen=_TAIL_LINES)
            shown = [line[:_TAIL_COLUMNS] for line in lines]
            raise StepError(title, cause, path, shown, what_to_do) from error
        seconds = time.monotonic() - started
        self._progress.print(f"==> {title}: done in {seconds:.0f} s", markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def _display(self, title: str, log: Path) -> Iterator[Callable[[float, str], None]]:
        if not self._progress.is_terminal:
            yield self._plain(title, log)
            return
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
            console=self._progress,
            transient=True,
        ) as progress:
            task = progress.add_task(escape(title), total=None, detail="")

            def update(fraction: float, detail: str) -> None:
                progress.update(task, total=1.0, completed=fraction, detail=escape(detail))

            yield update

    def _plain(self, title: str, log: Path) -> Callable[[float, str], None]:
        self._progress.print(f"==> {title} (log: {log}) ...", markup=False, soft_wrap=True)
        last = time.monotonic()

        def update(fraction: float, detail: str) -> None:
            nonlocal last
            if time.monotonic() - last >= _PLAIN_INTERVAL:
                last = time.monotonic()
                line = f"    {fraction:4.0%} {detail}".rstrip()
                self._progress.print(line, markup=False, soft_wrap=True)

        return update
