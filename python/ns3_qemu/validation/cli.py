# SPDX-License-Identifier: GPL-2.0-only
"""The command `ns3-qemu validate`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .. import image
from ..cache import Cache
from ..options import Settings, several
from ..steps import Steps
from . import suite
from .report import Report
from .suite import Job, Plan, Results, Verdict


def validate(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the report and all runs go.")
    ] = Path("out/validation"),
    only: Annotated[
        list[str] | None,
        several("--only", "NAME", "A scenario, 'kernels' or 'congestion'."),
    ] = None,
    kernel: Annotated[
        str,
        typer.Option(
            "--kernel",
            metavar="KERNEL",
            help="What all scenarios run with: debian:SERIES, or file:/path/bzImage[,modules=DIR].",
        ),
    ] = suite.DEFAULT_KERNEL,
    kernels: Annotated[
        list[str] | None,
        several(
            "--kernels",
            "KERNEL",
            f"What is compared kernel against kernel. Default: {', '.join(suite.DEFAULT_KERNELS)}.",
        ),
    ] = None,
    settings: Settings = None,
) -> None:
    """Compare real kernels in ns-3 with NSC, with ns-3's own TCP, and with each other.

    What --set says is for all runs with a kernel. The checks go by the scenario, so they fail if it
    matters to the network.
    """
    console = Console(highlight=False)
    begin = time.monotonic()
    plan = suite.plan(only or (), kernel, kernels or suite.DEFAULT_KERNELS, settings or ())
    out.mkdir(parents=True, exist_ok=True)
    results = Results(plan, out, _run(plan, out, console))
    report = Report(kernel)
    with console.status("Comparing") as status:
        for judgement in results.judge():
            report.add(judgement)
            status.update(f"Comparing: {judgement.verdict.title}")
            _say(judgement.verdict, console)
    report.write(out)
    checks = sum(len(verdict.checks) for verdict in report.verdicts)
    console.print(
        f"{'All' if report.holds else 'Not all'} of {checks} checks hold "
        f"({time.monotonic() - begin:.0f} s). The report is {out / 'report.html'}"
    )
    if not report.holds:
        raise typer.Exit(1)


def _run(plan: Plan, out: Path, console: Console) -> dict[Job, str]:
    jobs = plan.jobs()
    # Once for each, before several runs at a time would want the same one.
    cache = Cache()
    for spec in dict.fromkeys(spec for job in jobs for spec in job.images()):
        image.ensure_spec(cache, Steps(cache.logs), spec)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("Simulating", total=len(jobs))

        def finished(job: Job, error: str) -> None:
            bar.advance(task)
            if error:
                bar.console.print(f"{job.directory}: {error}", markup=False)

        return suite.run(jobs, out, finished)


def _say(verdict: Verdict, console: Console) -> None:
    """Print a line for a verdict, and one for each check of it that fails."""
    held = sum(check.holds for check in verdict.checks)
    mark = "[green]ok[/]  " if verdict.holds else "[red]FAIL[/]"
    console.print(f"{mark} {verdict.title}: {held} of {len(verdict.checks)} checks")
    for check in verdict.checks:
        if not check.holds:
            console.print(
                f"     {check.kind}: {check.name}: {check.measured}, not {check.expected} "
                f"(tolerance: {check.tolerance})",
                markup=False,
            )
