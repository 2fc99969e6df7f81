# SPDX-License-Identifier: GPL-2.0-only
"""Figures as one would put them in a paper.

A figure depends on its data and on matplotlib's version, not on the user's settings, fonts or the
time of day: equal data give equal files.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .files import replace_file
from .summary import INFINITE_SSTHRESH

#: width of a column in a two-column paper, inches (IEEE: 3.5, ACM: 3.33)
_COLUMN_WIDTH = 3.5
_PANEL_HEIGHT = 1.9
_DPI = 400
_SCREEN_DPI = 110

# Okabe and Ito's palette: can be told apart with any colour vision and in grey.
BLUE, ORANGE, RED, GREEN = "#0072B2", "#E69F00", "#D55E00", "#009E73"
SERIES = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.5, 1)), "-.", (0, (6, 1, 1, 1)))
_CWND, _SSTHRESH, _LOSS = BLUE, ORANGE, RED

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # matplotlib brings it along: the same on every machine
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "svg.hashsalt": "ns3-qemu",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}

_SCREEN_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # matplotlib brings it along: the same on every machine
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "text.parse_math": False,  # names are names
}

#: per file type, what would otherwise tell when and with what the file was made
_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    ".svg": {"Creator": None, "Date": None},
}


@dataclass(frozen=True, kw_only=True)
class CwndTrace:
    """What a panel shows of a run."""

    label: str = ""
    """Names the run; stands above its panel."""
    cwnd: pd.DataFrame
    """t_ns, cwnd_seg, ssthresh_seg: the values in force from t on."""
    drops_ns: Sequence[int] = field(default=())
    """Times at which segments were dropped."""
    retransmissions_ns: Sequence[int] = field(default=())
    """Times at which segments were sent again."""


def cwnd_figure(
    traces: Sequence[CwndTrace], *, columns: int = 1, until_ns: int | None = None
) -> Figure:
    """Return a figure of cwnd and ssthresh over time, one panel a run, all with the same axes.

    `until_ns`: where the time axis ends; by default with the last sample. Losses are crosses on
    cwnd at the time of the drop, retransmissions are ticks above the time axis.
    """
    rows = -(-len(traces) // columns)
    # 0.4 inches for what stands once: the legend above and the label of the time axis below.
    height = 0.4 + rows * _PANEL_HEIGHT
    with style():
        figure = Figure(figsize=(_COLUMN_WIDTH * columns, height))
        figure.set_layout_engine("constrained", h_pad=0.03, w_pad=0.03, hspace=0.04, wspace=0.03)
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        end_s = max((until_ns or int(t.cwnd["t_ns"].iloc[-1])) / 1e9 for t in traces)
        for panel, trace in zip(panels.flat, traces, strict=False):
            _draw(panel, trace, end_s)
        for unused in panels.flat[len(traces) :]:
            unused.set_axis_off()
        for panel in panels.flat[: len(traces)][-columns:]:
            panel.set_xlabel("Simulated time (s)")
            panel.tick_params(labelbottom=True)
        for panel in panels[:, 0]:
            panel.set_ylabel("Window (segments)")
        panels[0, 0].set_xlim(0, end_s)
        panels[0, 0].set_ylim(0, 1.08 * max(int(t.cwnd["cwnd_seg"].max()) for t in traces))
        handles = {
            label: handle
            for panel in panels.flat
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside upper center",
            ncols=len(handles),
            frameon=False,
            handlelength=1.4,
            handletextpad=0.5,
            columnspacing=1.4,
            borderaxespad=0.1,
        )
    return figure


def write_cwnd_figure(
    path: Path, traces: Sequence[CwndTrace], *, columns: int = 1, until_ns: int | None = None
) -> None:
    """Write `cwnd_figure` as .png, .pdf or .svg."""
    figure = cwnd_figure(traces, columns=columns, until_ns=until_ns)
    write_figure(path, figure)


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as .png, .pdf or .svg, in this module's style."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(
            buffer, format=path.suffix[1:], dpi=_DPI, metadata=_METADATA.get(path.suffix)
        )
    replace_file(path, buffer.getvalue())


def _draw(panel: Axes, trace: CwndTrace, end_s: float) -> None:
    times = trace.cwnd["t_ns"].to_numpy() / 1e9
    cwnd = trace.cwnd["cwnd_seg"].to_numpy(dtype=float)
    ssthresh = trace.cwnd["ssthresh_seg"].to_numpy(dtype=float)
    ssthresh[ssthresh >= INFINITE_SSTHRESH] = np.nan  # nothing to show before the first loss
    # The last value holds until the end.
    times, cwnd, ssthresh = (
        np.append(values, last)
        for values, last in ((times, end_s), (cwnd, cwnd[-1]), (ssthresh, ssthresh[-1]))
    )
    panel.step(times, cwnd, where="post", color=_CWND, linewidth=0.9, label="cwnd", zorder=2)
    panel.step(
        times,
        ssthresh,
        where="post",
        color=_SSTHRESH,
        linewidth=1.1,
        linestyle=(0, (4, 1.5)),
        label="ssthresh",
        zorder=3,
    )
    if trace.drops_ns:
        drops = np.asarray(trace.drops_ns) / 1e9
        in_force = cwnd[np.maximum(np.searchsorted(times, drops, side="right") - 1, 0)]
        panel.plot(
            drops,
            in_force,
            linestyle="none",
            marker="x",
            markersize=3,
            markeredgewidth=0.7,
            color=_LOSS,
            label="loss",
            zorder=4,
        )
    if trace.retransmissions_ns:
        panel.plot(
            np.asarray(trace.retransmissions_ns) / 1e9,
            np.full(len(trace.retransmissions_ns), 0.03),
            transform=panel.get_xaxis_transform(),
            linestyle="none",
            marker="|",
            markersize=4,
            markeredgewidth=0.5,
            color="black",
            label="retransmission",
            zorder=4,
        )
    if trace.label:
        panel.set_title(trace.label, loc="left", pad=3)


@contextmanager
def style() -> Iterator[None]:
    """Set matplotlib's defaults and this module's style, whatever the user's settings are."""
    with matplotlib.style.context(_STYLE, after_reset=True):
        yield


@contextmanager
def screen_style() -> Iterator[None]:
    """Set the style of figures that are looked at on a screen, in a report."""
    with matplotlib.style.context(_SCREEN_STYLE, after_reset=True):
        yield


def screen_png(figure: Figure) -> bytes:
    """Return a figure for a screen as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_SCREEN_DPI, metadata=_METADATA[".png"])
    return buffer.getvalue()


def write_screen_figure(path: Path, figure: Figure) -> None:
    """Write a figure for a screen as PNG."""
    replace_file(path, screen_png(figure))
