# SPDX-License-Identifier: GPL-2.0-only
"""Wall time against the number of machines, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..results.plots import style, write_figure
from .suite import Point

#: inches: a column of a two-column paper
_SIZE = (3.5, 2.9)

# Okabe and Ito's palette, as in the package's other figures.
_COLOURS = {("pairs", "load"): "#0072B2", ("star", "load"): "#D55E00"}
_COLOURS |= {("pairs", "idle"): "#56B4E9", ("star", "idle"): "#E69F00"}
_MARKERS = {"pairs": "o", "star": "s"}
_LOADS = {"load": "1 Mbit/s each", "idle": "idle"}


def scaling_figure(points: Sequence[Point]) -> Figure:
    """Return a figure of medians with their spread, a line for each network, load and mode."""
    lines: dict[tuple[str, str, bool], list[Point]] = {}
    for point in points:
        if point.wall_s:
            lines.setdefault((point.load, point.topology, point.parallel), []).append(point)
    with style():
        figure = Figure(figsize=_SIZE)
        figure.set_layout_engine("constrained", h_pad=0.03, w_pad=0.03)
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        # Loaded ones first: they are above the others in the legend, too.
        for (load, topology, parallel), line in sorted(
            lines.items(), key=lambda item: (item[0][0] == "idle", *item[0][1:])
        ):
            line.sort(key=lambda point: point.vms)
            medians = np.array([point.median for point in line], dtype=float)
            low = medians - [min(point.wall_s) for point in line]
            high = [max(point.wall_s) for point in line] - medians
            axes.errorbar(
                [point.vms for point in line],
                medians,
                yerr=np.array([low, high]),
                color=_COLOURS[topology, load],
                marker=_MARKERS[topology],
                markersize=3,
                markerfacecolor="white" if parallel else None,
                linewidth=0.9,
                linestyle=(0, (4, 1.5)) if parallel else "-",
                elinewidth=0.6,
                capsize=1.5,
                label=f"{topology}, {_LOADS[load]}" + (", parallel" if parallel else ""),
            )
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sorted({point.vms for point in points})))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel("Machines")
        axes.set_ylabel("Wall time for a simulated second (s)")
        figure.legend(
            loc="outside upper center",
            ncols=2,
            frameon=False,
            handlelength=2.2,
            columnspacing=1.4,
            borderaxespad=0.1,
        )
    return figure


def write_scaling_figure(path: Path, points: Sequence[Point]) -> None:
    """Write `scaling_figure` as .png, .pdf or .svg."""
    write_figure(path, scaling_figure(points))
