# SPDX-License-Identifier: GPL-2.0-only
"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from .summary import Summary

_NONE = "none"


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What the final table of a run shows."""

    summary: Summary
    kernels: Mapping[str, str]
    """Host -> its kernel, e.g. {"sender": "6.1.0-40-amd64", …}."""
    turns: Mapping[str, int]
    """Host -> turns that its VM took; none for a host without a VM."""
    busy: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Host -> share of each simulated second in which its CPU was busy, if computing takes time."""
    simulated_s: float
    """Simulated seconds from the start of the simulation to its end."""
    wall_s: float
    """Wall-clock seconds that they took."""
    pcap_sha256: Mapping[str, str]
    """File name -> SHA-256."""


def run_table(report: RunReport) -> Table:
    """Return the final table of a run."""
    summary = report.summary
    # Without lines: a whole SHA-256 has room in 90 columns.
    table = Table(
        title=summary.name,
        title_justify="left",
        show_header=False,
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("kernel", _per_host(report.kernels))
    table.add_row("goodput", _goodput(summary))
    table.add_row(
        "retransmissions", f"{summary.retransmissions:,} of {summary.data_segments_sent:,} segments"
    )
    drop = summary.first_drop
    table.add_row("first loss", f"{drop.t:.9f} s" if drop else _NONE)
    table.add_row("cwnd at first loss", f"{drop.cwnd} segments" if drop else _NONE)
    table.add_row("turns", _per_host({host: f"{n:,}" for host, n in report.turns.items()}))
    if report.busy:
        table.add_row("CPU busy", _per_host({host: _busy(s) for host, s in report.busy.items()}))
    table.add_row("simulated time", f"{report.simulated_s:.9g} s")
    table.add_row("wall time", f"{report.wall_s:.2f} s")
    speed = f"{report.simulated_s / report.wall_s:.1f}" if report.wall_s > 0 else _NONE
    table.add_row("simulated s per wall s", speed)
    for file, digest in report.pcap_sha256.items():
        # Not wrapped and not coloured: to be copied and compared.
        table.add_row(f"SHA-256 {file}", Text(digest))
    return table


def _busy(seconds: Sequence[float]) -> str:
    if not seconds:
        return "less than 1 s"
    return f"{sum(seconds) / len(seconds):.1%}, at most {max(seconds):.1%} of a second"


def _goodput(summary: Summary) -> str:
    whole = f"{summary.goodput_bps_over_60s / 1e6:.4f} Mbit/s"
    steady = summary.details.goodput_bps_after_10s
    if steady is None:
        return whole
    return f"{whole}; from {summary.start + 10:g} s on {steady / 1e6:.4f} Mbit/s"


def _per_host(values: Mapping[str, str]) -> str:
    """Return one value if all hosts have the same, else each with its host."""
    if not values:
        return _NONE
    if len(values) > 1 and len(set(values.values())) == 1:
        return f"{next(iter(values.values()))} (each of {', '.join(values)})"
    return ", ".join(f"{value} ({host})" for host, value in values.items())
