# SPDX-License-Identifier: GPL-2.0-only
"""The comparison: what people look at first, over the matrix's first key, for each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..results.plots import SERIES, screen_style, write_screen_figure

NAME = "comparison.png"

SHOWN = ("goodput", "Jain's index", "srtt, mean", "retransmissions", "queue, mean", "drops")
"""Figures, in the picture's order."""

_REPEATS = ("run", "seed")  # keys that mean the same again
_MARKERS = "osD^vPX*"
_MOST = 24  # series in a panel; more can't be told apart
_WIDTH, _HEIGHT = 5.6, 3.0


def write_comparison(directory: Path, made: pd.DataFrame, keys: Sequence[str]) -> Path | None:
    """Draw the comparison and return its file; None if there is nothing to compare.

    A mark is the mean of the runs that differ in `run` or `seed` only; its bar goes from the
    smallest to the largest of them.
    """
    varied = [key for key in keys if made[key].nunique() > 1]
    across = [key for key in varied if key not in _REPEATS] or varied
    shown = [
        figure for figure in SHOWN if made.loc[made["figure"] == figure, "value"].fillna(0).any()
    ]
    if not across or not shown:
        return None
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    with screen_style():
        figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * rows))
        figure.set_layout_engine("constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False)
        for panel, name in zip(panels.flat, shown, strict=False):
            _draw(panel, made[made["figure"] == name], across)
        for unused in panels.flat[len(shown) :]:
            unused.set_axis_off()
        write_screen_figure(directory / NAME, figure)
    return directory / NAME


def _draw(panel: Axes, rows: pd.DataFrame, across: Sequence[str]) -> None:
    key, *others = across
    places = {value: place for place, value in enumerate(rows[key].drop_duplicates())}
    by = [*others, *(["of"] if rows["of"].nunique() > 1 else [])]
    series = list(rows.groupby(by, sort=False)) if by else [((), rows)]
    unit = rows["unit"].iloc[0]
    scale, unit = (1e6, "Mbit/s") if unit == "bit/s" else (1.0, unit)
    for number, (values, part) in enumerate(series[:_MOST]):
        grouped = part.groupby(key, sort=False)["value"]
        found = grouped.agg(["mean", "min", "max"]).dropna() / scale
        # Side by side: what is equal stays visible.
        shift = (number - (min(len(series), _MOST) - 1) / 2) * 0.6 / max(8, len(series))
        panel.errorbar(
            [places[value] + shift for value in found.index],
            found["mean"],
            yerr=[found["mean"] - found["min"], found["max"] - found["mean"]],
            label=", ".join(map(str, values)) or None,
            color=SERIES[number % len(SERIES)],
            marker=_MARKERS[number // len(SERIES) % len(_MARKERS)],
            markersize=4,
            linewidth=0.8,
            capsize=2,
        )
    panel.set_xticks(range(len(places)), [str(value) for value in places])
    panel.set_xlim(-0.5, len(places) - 0.5)
    panel.set_xlabel(key)
    panel.set_ylabel(f"{rows['figure'].iloc[0]}" + (f" ({unit})" if unit else ""))
    panel.margins(y=0.08)
    panel.set_ylim(bottom=0)
    if by:
        panel.legend(title=", ".join(by), fontsize=7, title_fontsize=7)
    if len(series) > _MOST:
        panel.set_title(f"the first {_MOST} of {len(series)}", loc="left")
