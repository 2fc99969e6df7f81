# SPDX-License-Identifier: GPL-2.0-only
"""The pictures that people draw first, as PNG: of flows, queues, fairness, and what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..experiment import layout
from ..results.plots import DASHES, SERIES, from_zero, screen_png, screen_style
from ..results.summary import INFINITE_SSTHRESH

MOST = 12
"""How many flows, or queues, a picture shows: more can't be told apart."""

_WIDTH, _HEIGHT = 11.5, 2.6  # inches
_TIME = "simulated time (s)"
_GREY = "#999999"

Flows = Mapping[str, pd.DataFrame]


class Pictures:
    """Draws the pictures of one run, all with the same time axis and the run's events in them."""

    def __init__(self, end_s: float, timeline: Sequence[layout.TimelineEntry]) -> None:
        self._end_s = end_s or 1.0
        events = [entry for entry in timeline if entry.kind == "event"]
        self._events = [entry.time_ns / 1e9 for entry in events]
        self._crashes = {
            host: _pairs([entry for entry in events if entry.host == host], self._end_s)
            for host in {entry.host for entry in events}
        }

    def cwnd(self, flows: Flows) -> bytes:
        """Return cwnd and ssthresh."""

        def draw(panel: Axes, flow: pd.DataFrame, style: dict[str, Any]) -> None:
            self._step(panel, flow["time_s"], flow["cwnd"], style)
            ssthresh = flow["ssthresh"].where(flow["ssthresh"] < INFINITE_SSTHRESH)
            thin = {"color": style["color"], "linewidth": 0.7, "linestyle": (0, (1, 1.5))}
            self._step(panel, flow["time_s"], ssthresh, thin)

        return self._overlay(flows, draw, "cwnd (segments)")

    def srtt(self, flows: Flows) -> bytes:
        """Return the smoothed round-trip time."""

        def draw(panel: Axes, flow: pd.DataFrame, style: dict[str, Any]) -> None:
            srtt = flow["srtt_us"].where(flow["srtt_us"] > 0)  # 0: none has been measured yet
            self._step(panel, flow["time_s"], srtt / 1e3, style)

        return self._overlay(flows, draw, "srtt (ms)")

    def throughput(self, flows: Flows) -> bytes:
        """Return the payload that has arrived in each interval."""

        def draw(panel: Axes, flow: pd.DataFrame, style: dict[str, Any]) -> None:
            # A row is of the interval that ends then.
            rates = flow["bits_per_s"].to_numpy() / 1e6
            times = flow["time_s"].to_numpy()
            begin = 2 * times[0] - times[1] if len(times) > 1 else 0.0
            edges = np.concatenate(([max(0.0, begin)], times))
            panel.stairs(rates, edges, baseline=None, **style)

        return self._overlay(flows, draw, "throughput (Mbit/s)")

    def queues(self, queues: Flows) -> bytes:
        """Return how many packets wait."""

        def draw(panel: Axes, queue: pd.DataFrame, style: dict[str, Any]) -> None:
            self._step(panel, queue["time_s"], queue["packets"], style)

        return self._overlay(queues, draw, "queue (packets)")

    def drops(self, queues: Flows) -> bytes:
        """Return what queues have dropped up to each time."""

        def draw(panel: Axes, queue: pd.DataFrame, style: dict[str, Any]) -> None:
            self._step(panel, queue["time_s"], queue["drops"], style)

        return self._overlay(queues, draw, "dropped so far (packets)")

    def jain(self, flows: Flows) -> bytes:
        """Return Jain's index of the flows' throughputs in each interval."""
        index = jain_over_time(flows)

        def draw(panel: Axes, values: pd.Series[float], style: dict[str, Any]) -> None:
            panel.plot(values.index, values.to_numpy(), marker=".", markersize=3, **style)
            panel.set_ylim(0, 1.05)

        return self._overlay({"all flows": index}, draw, "Jain's index", zero=False)

    def timeline(self, summary: layout.Summary) -> bytes:
        """Return when programs and flows ran, a bar each, with gaps where their host was down."""
        bars = [
            (f"{p.host}: {p.name}", p.start_s, p.exit_s, SERIES[0] if p.ok else SERIES[3], p.host)
            for p in summary.programs
        ]
        bars += [(f"flow {f.name}", f.start_s, f.end_s, SERIES[2], "") for f in summary.flows]
        bars = sorted(bars, key=lambda bar: bar[1])[: 4 * MOST]
        with screen_style():
            figure, panel = self._figure(0.7 + 0.2 * len(bars))
            for row, (_, begin, end, colour, host) in enumerate(bars):
                last = self._end_s if end is None else end
                for first, until in outside(begin, last, self._crashes.get(host, [])):
                    width = max(until - first, self._end_s / 500)
                    panel.barh(row, width, left=first, color=colour)
            panel.set_yticks(range(len(bars)), [label for label, *_ in bars])
            panel.set_ylim(len(bars) - 0.4, -0.6)
            panel.grid(visible=False, axis="y")
            self._mark_events(panel)
            return screen_png(figure)

    def _overlay(
        self,
        series: Mapping[str, Any],
        draw: Callable[[Axes, Any, dict[str, Any]], None],
        label: str,
        *,
        zero: bool = True,
    ) -> bytes:
        with screen_style():
            figure, panel = self._figure(_HEIGHT)
            for i, (name, values) in enumerate(_first(series)):
                dash = DASHES[i // len(SERIES) % len(DASHES)]
                style = {"color": SERIES[i % len(SERIES)], "linestyle": dash, "linewidth": 1.0}
                draw(panel, values, {**style, "label": name})
            panel.set_ylabel(label)
            if zero:
                from_zero(panel)
            self._mark_events(panel)
            if len(series) > 1:
                panel.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
            return screen_png(figure)

    def _figure(self, height: float) -> tuple[Figure, Axes]:
        figure = Figure(figsize=(_WIDTH, height))
        FigureCanvasAgg(figure)
        panel = figure.add_subplot()
        # The same in all: what happens at the same time stands one above the other.
        figure.subplots_adjust(0.12, 0.45 / height, 0.86, 1 - 0.1 / height)
        panel.set_xlim(0, self._end_s)
        panel.set_xlabel(_TIME)
        return figure, panel

    def _mark_events(self, panel: Axes) -> None:
        for time_s in self._events[:200]:
            panel.axvline(time_s, color=_GREY, linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)

    def _step(self, panel: Axes, times: Any, values: Any, style: dict[str, Any]) -> None:
        """Draw what is in force until the next sample."""
        panel.step(times, values, where="post", **style)


def _pairs(events: Sequence[layout.TimelineEntry], end_s: float) -> list[tuple[float, float]]:
    """Return from when to when a host was down, by its crashes and restarts in order."""
    pairs: list[tuple[float, float]] = []
    for entry in events:
        time = entry.time_ns / 1e9
        if entry.text == "crash":
            pairs.append((time, end_s))
        elif entry.text == "restart" and pairs:
            pairs[-1] = (pairs[-1][0], time)
    return pairs


def outside(
    begin: float, end: float, gaps: Sequence[tuple[float, float]]
) -> Iterator[tuple[float, float]]:
    """Return what is left of an interval."""
    for gap, over in gaps:
        if begin < over and gap < end:
            if begin < gap:
                yield begin, gap
            begin = over
    if begin < end or not gaps:
        yield begin, end


def jain_over_time(flows: Flows) -> pd.Series[float]:
    """Return Jain's index of throughputs in each interval (Jain, Chiu, Hawe 1984), by its end, s.

    (sum x)^2 / (n * sum x^2), over the n flows that have rows for the interval; without one where
    nothing arrives.
    """
    rows = pd.concat(
        [flow[["time_s", "bits_per_s"]] for flow in flows.values()], ignore_index=True
    ).astype("float64")
    grouped = rows.groupby("time_s")["bits_per_s"]
    squares = rows["bits_per_s"].pow(2).groupby(rows["time_s"]).sum()
    index: pd.Series[float] = grouped.sum().pow(2) / (grouped.count() * squares)
    return index[squares > 0]


def _first(series: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from list(series.items())[:MOST]
