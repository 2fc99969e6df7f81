# SPDX-License-Identifier: GPL-2.0-only
"""The report's figures: PNG images, runs side by side on equal axes."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..results.plots import BLUE, DASHES, GREEN, ORANGE, RED, SERIES, screen_style
from ..results.summary import INFINITE_SSTHRESH
from ..results.tcp import RECEIVED, SENT
from ..scenario import Scenario, time_ns
from .evidence import Evidence

_WIDTH = 11.5  # inches
_DPI = 130

#: of the sequence figure: what it shows before the first drop and after the first recovery, s
_BEFORE, _AFTER = 0.15, 0.35

#: without a loss it shows the connection's first second
_BEGINNING = 1.0


def cwnd(runs: Sequence[Evidence], scenario: Scenario, columns: int = 3) -> bytes:
    """Return cwnd and ssthresh over time, a panel for each run."""

    def draw(panel: Axes, run: Evidence) -> None:
        t = np.append(run.cwnd["t_ns"].to_numpy(), scenario.end_ns) / 1e9
        window = run.cwnd["cwnd_seg"].to_numpy(dtype=float)
        ssthresh = run.cwnd["ssthresh_seg"].to_numpy(dtype=float)
        ssthresh[ssthresh >= INFINITE_SSTHRESH] = np.nan  # nothing to show before the first loss
        for values, colour, label in ((window, BLUE, "cwnd"), (ssthresh, ORANGE, "ssthresh")):
            held = np.append(values, values[-1])  # the last value holds until the end
            panel.step(t, held, where="post", color=colour, linewidth=0.9, label=label)
        drops = run.drops["t_ns"].to_numpy() / 1e9
        if len(drops):
            at = np.maximum(np.searchsorted(t, drops, side="right") - 1, 0)
            style: dict[str, Any] = {
                "linestyle": "none",
                "marker": "x",
                "markersize": 3.5,
                "color": RED,
            }
            panel.plot(drops, np.append(window, window[-1])[at], label="loss", **style)

    return _panels(
        runs,
        draw,
        columns,
        x=(time_ns(scenario.start) / 1e9, scenario.end_ns / 1e9),
        labels=("simulated time (s)", "segments"),
    )


def sequence(runs: Sequence[Evidence], scenario: Scenario) -> bytes:
    """Return sequence numbers over time around the first loss, a panel for each run."""
    begin, end = _around_first_loss(runs, time_ns(scenario.start) / 1e9)

    def draw(panel: Axes, run: Evidence) -> None:
        packets = run.packets
        t = packets["t_ns"].to_numpy() / 1e9
        shown = (t >= begin) & (t <= end)
        size = run.segment_size
        again = packets["rtx"].eq(1).fillna(value=False).to_numpy(dtype=bool)
        data = (packets["dir"] == SENT).to_numpy() & (packets["len"] > 0).to_numpy() & shown
        seq = packets["seq"].to_numpy() / size
        dots: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 2.5}
        first = data & ~again
        panel.plot(t[first], seq[first], color=BLUE, label="sent", **dots)
        acks = (packets["dir"] == RECEIVED).to_numpy() & packets["ack"].notna().to_numpy() & shown
        highest = packets.loc[acks, "ack"].astype("int64").cummax().to_numpy() / size
        panel.step(t[acks], highest, where="post", color=GREEN, linewidth=0.9, label="acknowledged")
        repeats = data & again
        panel.plot(
            t[repeats], seq[repeats], linestyle="none", marker="+", markersize=4.5,
            color=ORANGE, label="sent again",
        )  # fmt: skip
        lost = run.drops[(run.drops["t_ns"] >= begin * 1e9) & (run.drops["t_ns"] <= end * 1e9)]
        panel.plot(
            lost["t_ns"].to_numpy() / 1e9, lost["seq"].to_numpy() / size, linestyle="none",
            marker="x", markersize=3.5, color=RED, label="lost",
        )  # fmt: skip

    return _panels(
        runs, draw, 3, x=(begin, end), labels=("simulated time (s)", "sequence number (segments)")
    )


def goodput(runs: Sequence[Evidence], scenario: Scenario) -> bytes:
    """Return goodput in each second, all runs in one panel."""

    def draw(panel: Axes, _run: Evidence) -> None:
        for run, colour, dash in zip(runs, SERIES, DASHES, strict=False):
            seconds = run.goodput["second"].to_numpy()
            rate = run.goodput["inorder_bytes"].to_numpy() * 8 / 1e6
            panel.step(
                seconds, rate, where="post", color=colour, linestyle=dash, linewidth=1,
                label=run.label,
            )  # fmt: skip

    return _panels(
        runs[:1],
        draw,
        1,
        x=(time_ns(scenario.start) / 1e9, scenario.end_ns / 1e9),
        labels=("simulated time (s)", "goodput (Mbit/s)"),
        titles=False,
    )


def _around_first_loss(runs: Sequence[Evidence], start: float) -> tuple[float, float]:
    begins, ends = [], []
    for run in runs:
        if run.summary.first_drop is not None:
            begins.append(run.summary.first_drop.t)
            ends.append(run.summary.first_drop.t)
        if run.summary.episodes:
            ends.append(run.summary.episodes[0].t_last_rtx)
    if not begins:
        return start, start + _BEGINNING
    return min(begins) - _BEFORE, max(ends) + _AFTER


def _panels(
    runs: Sequence[Evidence],
    draw: Callable[[Axes, Evidence], None],
    columns: int,
    *,
    x: tuple[float, float],
    labels: tuple[str, str],
    titles: bool = True,
) -> bytes:
    """Return a figure with a panel for each run, all with the same axes and one legend."""
    columns = min(columns, len(runs))
    rows = -(-len(runs) // columns)
    with screen_style():
        figure = Figure(figsize=(_WIDTH, 0.45 + 2.35 * rows))
        figure.set_layout_engine("constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel, run in zip(panels.flat, runs, strict=False):
            draw(panel, run)
            if titles:
                panel.set_title(run.label, loc="left")
        for unused in panels.flat[len(runs) :]:
            unused.set_axis_off()
        for panel in panels.flat[: len(runs)][-columns:]:
            panel.set_xlabel(labels[0])
            panel.tick_params(labelbottom=True)
        for panel in panels[:, 0]:
            panel.set_ylabel(labels[1])
        panels[0, 0].set_xlim(*x)
        if labels[1] != "sequence number (segments)":
            panels[0, 0].set_ylim(bottom=0)
        handles = {
            label: handle
            for panel in panels.flat
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles)
        )
        buffer = io.BytesIO()
        # Without the name of the program: equal data, equal files.
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
