# SPDX-License-Identifier: GPL-2.0-only
"""The command `ns3-qemu selftest`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..options import Jobs, several
from . import report
from .circumstances import circumstances
from .configurations import CONFIGURATIONS
from .suite import SelftestError, Suite


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_T = TypeVar("_T", bound=_Named)


def selftest(
    reproducibility: Annotated[
        bool,
        typer.Option(
            "--reproducibility",
            help="Make the same runs in other circumstances (a busy machine, another date, another "
            "CPU ...) and compare all that they write, byte for byte.",
        ),
    ] = False,
    only: Annotated[
        list[str] | None,
        several("--only", "NAME", "A kind of run."),
    ] = None,
    circumstance: Annotated[
        list[str] | None,
        several("--circumstance", "NAME", "Besides plain runs."),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            "--repeats",
            min=1,
            help="How many runs in which nothing is changed: 10, or 1 with --circumstance, unless "
            "it is given.",
        ),
    ] = None,
    jobs: Jobs = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything there.")
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Say which runs and circumstances there are.")
    ] = False,
) -> None:
    """Try on this machine what is promised.

    All of it is some 450 runs, each of 2 to 5 s of CPU time. Ctrl-C shows what there is by then.

    The last line of --reproducibility is the same on another machine if all results are.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    work = Path(tempfile.mkdtemp(prefix="ns3-qemu-selftest-"))
    failed = interrupted = False
    try:
        always = repeats or (1 if circumstance else 10)
        everywhere = circumstances(always, work)
        if list_:
            _list(console, everywhere)
            return
        if not reproducibility:
            message = "nothing was chosen to be tried"
            raise SelftestError(message, "There is ns3-qemu selftest --reproducibility.")
        if json is not None and not json.absolute().parent.is_dir():
            message = f"there is no directory {json.absolute().parent}"
            raise SelftestError(message, f"Make it, or name another place for {json.name}.")
        same, others = everywhere[:always], everywhere[always:]
        suite = Suite(
            configurations=_chosen("--only", only, list(CONFIGURATIONS.values())),
            circumstances=[*same, *_chosen("--circumstance", circumstance, others)],
            work=work,
            jobs=jobs or len(os.sched_getaffinity(0)),
        )
        failed = _carry_out(suite, console)
        interrupted = suite.interrupted
        if json is not None:
            report.write(json, suite)
    finally:
        if not failed:
            shutil.rmtree(work)
    if failed or interrupted:
        raise typer.Exit(1 if failed else 130)


def _chosen(option: str, names: list[str] | None, there: Sequence[_T]) -> list[_T]:
    known = [each.name for each in there]
    if unknown := [name for name in names or () if name not in known]:
        message = f"{option} {unknown[0]}: there is no such thing"
        raise SelftestError(message, f"There are {', '.join(known)}.")
    return [each for each in there if not names or each.name in names]


def _list(console: Console, everywhere: Sequence[_Named]) -> None:
    for title, rows in (
        ("runs (--only)", list(CONFIGURATIONS.values())),
        ("circumstances (--circumstance)", everywhere),
    ):
        table = Table(title, "", box=None, pad_edge=False)
        for row in rows:
            missing = getattr(row, "missing", lambda: "")()
            table.add_row(row.name, row.about + (f" (left out: {missing})" if missing else ""))  # type: ignore[attr-defined]
        console.print(table)
        console.print()


def _carry_out(suite: Suite, console: Console) -> bool:
    """Make the runs, show them; return whether anything is not as it must be."""
    begin = time.monotonic()
    suite.prepare()
    for name, reason in suite.left_out.items():
        console.print(f"left out: {name}: {reason}", markup=False)
    if not suite.configurations:
        message = "none of these runs can be made here"
        raise SelftestError(message, "The reasons are above.")
    _run(suite, console)
    console.print(report.table(suite))
    console.print(
        f"\n{len(suite.outcomes)} runs in {time.monotonic() - begin:,.0f} s, "
        f"circumstances: {', '.join(each.name for each in suite.circumstances)}",
        markup=False,
    )
    for problem in suite.problems:
        where = f"{problem.configuration}, {problem.circumstance}"
        console.print(f"[bold red]error:[/] {where}: ", end="")
        console.print(problem.text, markup=False, soft_wrap=True)
    if suite.interrupted:
        console.print("[bold]Interrupted: the rest was not tried.[/]")
    elif not suite.problems:
        console.print(report.line(suite), markup=False, soft_wrap=True)
    return bool(suite.problems)


def _run(suite: Suite, console: Console) -> None:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    lock = threading.Lock()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=suite.runs)
        seen: set[str] = set()

        def tell(configuration: str, circumstance: str) -> None:
            with lock:
                bar.update(
                    task,
                    description=f"{configuration}, {circumstance}",
                    completed=len(suite.outcomes),
                )
                if not console.is_terminal and circumstance not in seen:
                    seen.add(circumstance)
                    console.print(f"{len(suite.outcomes):4} runs done; now: {circumstance}")

        suite.tell = tell
        suite.run()
