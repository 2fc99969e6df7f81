# SPDX-License-Identifier: GPL-2.0-only
"""What was measured, as tables and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from ..results.files import replace_file
from .figures import Figure, format_value
from .host import Machine, Versions
from .instructions import COUNTED, Profile
from .suite import Point

#: increase it when a key changes its meaning
FORMAT = 1

QUICK = "Quick: few and small samples. These figures say that it works, not how quick it is."


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the command."""

    quick: bool
    complete: bool
    """Whether it came to its end."""
    begun: str
    """Date and time in UTC."""
    wall_s: float
    """How long it took."""
    machine: Machine
    versions: Versions
    figures: Sequence[Figure]
    points: Sequence[Point]
    profiles: Mapping[str, Profile] = {}


def figures_table(figures: Sequence[Figure]) -> Table:
    """Return a table of figures: medians with their spread, and goals."""
    table = Table(box=None, pad_edge=False)
    for name in ("group", "figure"):
        table.add_column(name)
    for name in ("median", "min to max", "n"):
        table.add_column(name, justify="right")
    for name in ("unit", "goal", ""):
        table.add_column(name)
    group = ""
    for figure in figures:
        shown = "" if figure.group == group else figure.group
        group = figure.group
        goal = str(figure.goal) if figure.goal else ""
        if figure.median is None or figure.spread is None:
            why = _why(figure.reason)
            table.add_row(shown, figure.name, "-", "", "", figure.unit, goal, why)
            continue
        mark = {None: "", True: "[green]reached[/]", False: "[red]missed[/]"}[figure.reached]
        table.add_row(
            shown,
            figure.name,
            format_value(figure.median),
            " to ".join(map(format_value, figure.spread)),
            str(len(figure.samples)),
            figure.unit,
            goal,
            mark,
        )
    return table


def scaling_table(points: Sequence[Point]) -> Table:
    """Return a table of what so many machines take."""
    table = Table(box=None, pad_edge=False)
    table.add_column("machines", justify="right")
    for name in ("network", "load", "turns"):
        table.add_column(name)
    for name in (
        "start (s)",
        "wall s / simulated s",
        "min to max",
        "turns/s",
        "frames/s",
        "memory (MB)",
        "private (MB)",
    ):
        table.add_column(name, justify="right")
    table.add_column("")
    for point in points:
        row = [
            str(point.vms),
            point.topology,
            "1 Mbit/s each" if point.load == "load" else "idle",
            "parallel" if point.parallel else "serial",
        ]
        if point.median is None or point.start_s is None or point.memory_mb is None:
            table.add_row(*row, "", "-", "", "", "", "", "", _why(point.reason))
            continue
        row += [
            format_value(point.start_s),
            format_value(point.median),
            " to ".join(map(format_value, (min(point.wall_s), max(point.wall_s)))),
            *(
                f"{statistics.median(counts) / point.simulated_s:,.0f}"
                for counts in (point.turns, point.frames)
            ),
            f"{point.memory_mb:,.0f}",
            format_value(point.private_mb or 0),
        ]
        table.add_row(*row, "")
    return table


def counts_table(profiles: Mapping[str, Profile]) -> Table:
    """Return a table of all that was counted, a column for each case."""
    table = Table(box=None, pad_edge=False)
    table.add_column("counted for each")
    for name, profile in profiles.items():
        table.add_column(f"{name}:\n{profile.unit}", justify="right")
    for what, shown in COUNTED.items():
        table.add_row(shown, *(f"{profile.of_each(what):,.1f}" for profile in profiles.values()))
    return table


def symbols_table(name: str, profile: Profile, rows: int = 25) -> Table:
    """Return a table of the kernel's symbols that execute most, with a row for all others."""
    table = Table(box=None, pad_edge=False)
    table.add_column(name)
    table.add_column(f"instructions for each {profile.unit}", justify="right")
    table.add_column("%", justify="right")
    symbols = list(profile.symbols.items())
    total = sum(profile.symbols.values())
    rest = symbols[rows:]
    if rest:
        symbols[rows:] = [(f"({len(rest)} more)", sum(number for _, number in rest))]
    for symbol, instructions in symbols:
        share = 100 * instructions / total
        table.add_row(symbol, f"{instructions / profile.count:,.1f}", f"{share:.1f}")
    return table


def _why(reason: str) -> str:
    """Return a line for a table; a machine's failure has many, with its console."""
    return f"not measured: {reason.splitlines()[0] if reason else 'no samples'}"


def document(report: Report) -> dict[str, Any]:
    """Return all of a report as JSON has it, with what follows from the samples."""
    return {
        "format": FORMAT,
        "quick": report.quick,
        "note": QUICK if report.quick else "",
        "complete": report.complete,
        "begun": report.begun,
        "wall_s": report.wall_s,
        "machine": msgspec.to_builtins(report.machine),
        "versions": msgspec.to_builtins(report.versions),
        "figures": [_figure(figure) for figure in report.figures],
        "scaling": [_point(point) for point in report.points],
        "instructions": msgspec.to_builtins(report.profiles),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    measured: dict[str, Any] = {
        "group": figure.group,
        "name": figure.name,
        "unit": figure.unit,
        "samples": list(figure.samples),
        **_statistics(figure),
        "goal": msgspec.to_builtins(figure.goal),
        "reached": figure.reached,
    }
    return {**measured, "reason": figure.reason} if figure.reason else measured


def _statistics(figure: Figure) -> dict[str, Any]:
    low, high = figure.spread or (None, None)
    return {
        "median": figure.median,
        "min": low,
        "max": high,
        "quartiles": list(figure.quartiles) if figure.quartiles else None,
    }


def _point(point: Point) -> dict[str, Any]:
    wall = Figure(group="", name="", unit="", samples=point.wall_s)
    built: dict[str, Any] = msgspec.to_builtins(point)
    built["wall_s"] = {"samples": list(point.wall_s), **_statistics(wall)}
    return built


def write_json(path: Path, report: Report) -> None:
    """Write a report as JSON; at no time is there half a file."""
    text = msgspec.json.format(msgspec.json.encode(document(report)), indent=2)
    replace_file(path, text + b"\n")
