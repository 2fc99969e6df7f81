# SPDX-License-Identifier: GPL-2.0-only
"""What `ns3-qemu experiment` does with a file that has a [matrix]."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..errors import Ns3QemuError
from ..experiment import reading
from ..experiment.errors import ExperimentError
from ..results.diff import printable
from .engine import Campaign, Outcome
from .job import Job, job
from .matrix import points

_FAILED = 1
_SHOWN = 20  # failures that are shown whole


def run_matrix(
    table: Mapping[str, Any],
    file: Path,
    out: Path,
    console: Console,
    *,
    jobs: int | None = None,
    only: Sequence[int] = (),
    scheduler: str | None = None,
    time_limit: float | None = None,
    report: bool = False,
) -> None:
    """Run the matrix of an experiment, and write its table and comparison into `out`.

    `table`: the experiment, with --set. `jobs`: how many runs side by side; one for each CPU unless
    it is given. `only`: numbers of runs. `report`: write each run's.

    Raises typer.Exit with status 1 if a run has failed, or has not gone as expected.
    """
    _check_extra()
    wanted = points(table["matrix"])
    unknown = next((number for number in only if not 1 <= number <= len(wanted)), None)
    if unknown is not None:
        message = f"--only {unknown}: there are runs 1 to {len(wanted)}"
        raise ExperimentError(message)
    plain = check_matrix(table, file)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        console.print("Looking for images, building those that are missing ...")
        every = [
            job(plain, point, file, out, time_limit, quiet=console.quiet)
            for point in wanted
            if not only or point.number in only
        ]
        workers = min(len(every), jobs or len(os.sched_getaffinity(0)))
        outcomes = _run(Campaign(every, workers, scheduler), console)
        whole = [outcome.job for outcome in outcomes if not outcome.error]
        _write(whole, out, console, report=report)
        _tell(outcomes, whole, out, console)


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold a directory: two campaigns would take each other's runs for their own."""
    with (out / ".campaign.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{out}: another campaign is at work there"
            raise ExperimentError(message, "Wait for it, or give another --out.") from None
        yield


def check_matrix(table: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Raise ExperimentError for a point that can't be run; return the table without its matrix."""
    plain = {key: value for key, value in table.items() if key != "matrix"}
    for point in points(table["matrix"]):
        where = f"{file}: matrix, run {point.number}"
        reading.resolved(reading.parse(plain, point.settings, where=where))
    return plain


def _check_extra() -> None:
    try:
        import distributed  # noqa: F401 - whether it is there
        import fastparquet  # noqa: F401
    except ImportError as error:
        message = f"a [matrix] needs {error.name}, which is not installed"
        raise Ns3QemuError(message, "pip install 'ns3-qemu[campaign]'") from error


def _run(campaign: Campaign, console: Console) -> list[Outcome]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeRemainingColumn(),
    )
    outcomes: list[Outcome] = []
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("running", total=len(campaign.jobs))
        for outcome in campaign.run():
            outcomes.append(outcome)
            if outcome.error:
                console.print(Text(f"{outcome.job.name}: failed", style="red"))
            failed = sum(bool(each.error) for each in outcomes)
            said = f"running, {failed} failed" if failed else "running"
            bar.update(task, advance=1, description=said)
    return sorted(outcomes, key=lambda outcome: outcome.job.number)


def _write(whole: Sequence[Job], out: Path, console: Console, *, report: bool) -> None:
    from . import table as tables
    from .figures import NAME, write_comparison

    for name in (tables.CSV, tables.PARQUET, NAME):
        (out / name).unlink(missing_ok=True)
    if not whole:
        return
    made = tables.table(whole)
    tables.write(out, made)
    write_comparison(out, made, list(whole[0].values))
    if report:
        from ..report import write_report

        for each in whole:
            write_report(Path(each.directory))
    console.print(f"{len(made):,} figures are in {out / tables.CSV} and {tables.PARQUET}")


def _tell(outcomes: Sequence[Outcome], whole: Sequence[Job], out: Path, console: Console) -> None:
    from ..experiment import layout

    there = sum(outcome.was_there for outcome in outcomes)
    again = f" ({there} of them were there)" if there else ""
    console.print(f"{len(whole)} of {len(outcomes)} runs are whole{again}; they are in {out}/runs")
    failed = [outcome for outcome in outcomes if outcome.error]
    unexpected = {
        each.name: failures
        for each in whole
        if (failures := layout.read_summary(Path(each.directory)).failures)
    }
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    for outcome in failed[:_SHOWN]:
        lines = [printable(line) for line in outcome.error.splitlines()]
        errors.print(Text(f"failed: {outcome.job.name}: " + "\n  ".join(lines)))
    for name, failures in list(unexpected.items())[:_SHOWN]:
        errors.print(Text(f"not as expected: {name}: " + "; ".join(map(printable, failures))))
    hidden = max(0, len(failed) - _SHOWN) + max(0, len(unexpected) - _SHOWN)
    if hidden:
        errors.print(f"... and {hidden} more")
    if failed or unexpected:
        raise typer.Exit(_FAILED)
