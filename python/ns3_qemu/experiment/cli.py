# SPDX-License-Identifier: GPL-2.0-only
"""The command `ns3-qemu experiment`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..options import Jobs, Quiet, several
from ..options import settings as of_settings
from . import images, layout, reading

FAILED = 1

_LINE_INTERVAL = 15.0  # seconds


def experiment(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An experiment: a TOML file.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Where the results go; else out/ and the file's name."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        of_settings("'links.access.rate=2 Mbit/s', hosts.a.programs.0.start=3s"),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw the topology (.png, .svg, .pdf); run nothing."
        ),
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(
            "--script",
            metavar="FILE",
            help="Write what it does as a script for ns-3 (-: to standard output); run nothing.",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read it; run nothing.")] = False,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            metavar="SECONDS",
            min=0,
            help="Wall time that the simulation may take; then it ends with status 124.",
        ),
    ] = None,
    jobs: Jobs = None,
    only: Annotated[
        list[int] | None, several("--only", "K", "Of a [matrix]: run number K.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Of a [matrix]: a Dask scheduler whose workers are to run it, tcp://HOST:8786.",
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write report.html: plots and tables in one file.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run an experiment: hosts with Linux kernels, links, programs, events, as a file says.

    It ends with status 1 if a program has ended otherwise than expected.
    """
    wanted = reading.read(file, settings or ())
    directory = out or Path("out") / file.stem
    if plot is not None:
        from .plot import write_topology

        write_topology(wanted, plot)
    if script is not None:
        from .script import write_script

        text = write_script(wanted, str(directory), file.parent)
        if str(script) == "-":
            sys.stdout.write(text)
        else:
            script.write_text(text)
    if check:
        reading.resolved(wanted)  # addresses, too
        if wanted.matrix:
            from ..campaign.cli import check_matrix

            check_matrix(reading.as_said(wanted), file)
    if plot is not None or script is not None or check:
        return
    console = Console(highlight=False, quiet=quiet)
    if wanted.matrix:
        from ..campaign.cli import run_matrix  # it loads matplotlib

        run_matrix(
            reading.as_said(wanted),
            file,
            directory,
            console,
            jobs=jobs,
            only=only or (),
            scheduler=scheduler,
            time_limit=time_limit,
            report=report,
        )
        return
    images.prepare(wanted, file.parent.absolute())
    _run(file, directory, settings or (), time_limit, wanted.duration / 1e9, console, report=report)


def _run(
    file: Path,
    out: Path,
    settings: Sequence[str],
    time_limit: float | None,
    duration: float,
    console: Console,
    *,
    report: bool,
) -> None:
    from .run import run_experiment

    with _progress(console, duration) as progress:
        run_experiment(file, out, settings, progress=progress, time_limit=time_limit)
    summary = layout.read_summary(out)
    for table in _tables(summary):
        if table.row_count:
            console.print(table)
    for failure in summary.failures:
        console.print(f"[red]failed[/]: {failure}", soft_wrap=True)
    console.print(f"{summary.verdict}; results are in {out}", soft_wrap=True)
    if report:
        from ..report import write_report

        console.print(f"the report is {write_report(out)}", soft_wrap=True)
    if summary.failures:
        raise typer.Exit(FAILED)


@contextmanager
def _progress(console: Console, total: float) -> Iterator[Callable[[float], None]]:
    if console.is_terminal:
        with _bar(console, total) as update:
            yield update
    else:
        yield _Lines(console, total).update


class _Lines:
    """Progress where there is no terminal: a line now and then."""

    def __init__(self, console: Console, total: float) -> None:
        self._console, self._total = console, total
        self._next = time.monotonic() + _LINE_INTERVAL

    def update(self, simulated: float) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_INTERVAL
            self._console.print(f"{simulated:.3f} of {self._total:g} s simulated{_waiting()}")


def _waiting() -> str:
    from .. import simulation

    turn = simulation.turn()
    return f"; a turn of {turn} takes long" if turn else ""


@contextmanager
def _bar(console: Console, total: float) -> Iterator[Callable[[float], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.3f} of {task.total:g} s simulated"),
        TimeRemainingColumn(),
    )
    # ns-3 runs in this thread and keeps the interpreter: the bar is drawn when it reports.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("preparing", total=total)
        bar.refresh()
        yield lambda simulated: bar.update(
            task, description=f"simulating{_waiting()}", completed=simulated, refresh=True
        )


def _tables(summary: layout.Summary) -> list[Table]:
    flows = Table("flow", "from", "to", "Mbit/s", "bytes", "retransmissions", "cc", box=None)
    for flow in summary.flows:
        flows.add_row(
            flow.name,
            flow.sender,
            flow.receiver,
            f"{flow.goodput_bps / 1e6:.4f}",
            f"{flow.bytes:,}",
            "" if flow.retransmissions is None else f"{flow.retransmissions:,}",
            flow.congestion_control,
        )
    programs = Table("host", "program", "from (s)", "until (s)", "exit", "", box=None)
    for each in summary.programs:
        programs.add_row(
            each.host,
            each.name,
            f"{each.start_s:g}",
            "" if each.exit_s is None else f"{each.exit_s:g}",
            "" if each.exit_code is None else str(each.exit_code),
            "[green]ok[/]" if each.ok else "[red]failed[/]",
        )
    queues = Table("link", "at", "dropped", "mean (packets)", "most", box=None)
    for queue in summary.queues:
        if queue.dropped_packets or queue.max_packets:
            queues.add_row(
                queue.link,
                queue.host,
                f"{queue.dropped_packets:,}",
                "" if queue.mean_packets is None else f"{queue.mean_packets:.1f}",
                "" if queue.max_packets is None else str(queue.max_packets),
            )
    return [flows, programs, queues]
