# SPDX-License-Identifier: GPL-2.0-only
"""The command `ns3-qemu bench`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .. import image
from ..errors import Ns3QemuError
from . import host, loads, report
from .suite import GROUPS, VMS, Options, Suite

_FIGURES = (".png", ".pdf", ".svg")


class BenchError(Ns3QemuError):
    """What is asked for cannot be measured or written."""


def bench(
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write everything there, each sample, too."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw wall time against the number of machines: .png, .pdf or .svg.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="GROUP", help=f"{', '.join(GROUPS)}; may be given several times."
        ),
    ] = None,
    vms: Annotated[
        str,
        typer.Option("--vms", metavar="N,N,...", help="Numbers of machines for scaling."),
    ] = ",".join(map(str, VMS)),
    parallel: Annotated[
        bool | None,
        typer.Option(
            "--parallel/--no-parallel",
            help="In ns-3, only with or only without turns of several machines at the same time; "
            "both, unless one is given.",
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Few and small samples, to see that it works; no figures to quote."
        ),
    ] = False,
) -> None:
    """Measure how quick it is on this machine; takes half an hour or more.

    Have nothing else run meanwhile. Ctrl-C ends it and shows what there is by then.
    """
    options = Options(
        groups=_groups(only),
        vms=_numbers(vms),
        quick=quick,
        parallel=parallel,
    )
    for file in (json, plot):
        _check_directory(file)
    if plot is not None and plot.suffix not in _FIGURES:
        message = f"--plot {plot}: not one of {', '.join(_FIGURES)}"
        raise BenchError(message, "Name the file so, as scaling.png.")
    # Before anything is measured, and where it can be seen.
    directory = loads.wanted_image().build()
    if "scenarios" in options.groups:
        image.Image().build()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    machine, begun, begin = host.machine(), host.now(), time.monotonic()
    console.print(
        f"{machine.cpu}, {machine.cpus_usable} CPUs, load {machine.load_average:.2f}", markup=False
    )
    measured = Suite(options)
    for warning in measured.warnings():
        console.print(f"{warning}; they are left out.", markup=False)
    _measure(measured, console)
    result = report.Report(
        quick=quick,
        complete=not measured.interrupted,
        begun=begun,
        wall_s=round(time.monotonic() - begin, 1),
        machine=machine,
        versions=host.versions(directory),
        figures=measured.figures,
        points=measured.points,
        profiles=measured.profiles,
    )
    _show(result, console)
    if json is not None:
        report.write_json(json, result)
        console.print(f"All samples are in {json}")
    if plot is not None and any(point.wall_s for point in measured.points):
        from .plot import write_scaling_figure  # matplotlib takes a second

        write_scaling_figure(plot, measured.points)
        console.print(f"The figure is {plot}")
    if measured.interrupted:
        raise typer.Exit(130)


def _groups(only: list[str] | None) -> tuple[str, ...]:
    if unknown := [name for name in only or () if name not in GROUPS]:
        message = f"--only {unknown[0]}: there is no such group"
        raise BenchError(message, f"There are {', '.join(GROUPS)}.")
    return tuple(name for name in GROUPS if not only or name in only)


def _numbers(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    numbers = [int(word) for word in words if word.isascii() and word.isdigit()]
    if len(numbers) != len(words) or not all(n == 1 or n % 2 == 0 < n for n in numbers):
        message = f"--vms {text}: machines come in pairs, or alone"
        raise BenchError(message, "Give even numbers or 1, with commas between them: 1,2,8.")
    return tuple(sorted(set(numbers)))


def _check_directory(file: Path | None) -> None:
    """Raise BenchError now, and not in half an hour, if a file cannot be written."""
    if file is not None and not file.absolute().parent.is_dir():
        message = f"there is no directory {file.absolute().parent}"
        raise BenchError(message, f"Make it, or name another place for {file.name}.")


def _measure(measured: Suite, console: Console) -> None:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, start=True)
        done = -1
        started = time.monotonic()

        def begin(title: str, steps: int) -> None:
            nonlocal done
            done += 1
            bar.update(task, description=title, completed=done, total=steps)
            if not console.is_terminal:
                console.print(f"{time.monotonic() - started:6.0f} s  {title}", markup=False)

        measured.run(begin)


def _show(result: report.Report, console: Console) -> None:
    console.print()
    if result.figures:
        console.print(report.figures_table(result.figures))
    if result.points:
        console.print()
        console.print(report.scaling_table(result.points))
    if result.profiles:
        console.print()
        console.print(report.counts_table(result.profiles))
    for name, profile in result.profiles.items():
        if not profile.instructions:
            continue
        console.print()
        console.print(report.symbols_table(name, profile))
    versions = result.versions
    console.print(
        f"\nns3-qemu {versions.ns3_qemu}, ns-3 {versions.ns3}, QEMU {versions.qemu}, guests: "
        f"{versions.guest_kernel}; {result.wall_s:,.0f} s",
        markup=False,
    )
    if result.quick:
        console.print(f"[bold]{report.QUICK}[/]")
    if not result.complete:
        console.print("[bold]Interrupted: the rest was not measured.[/]")
