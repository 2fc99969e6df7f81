# SPDX-License-Identifier: GPL-2.0-only
"""What differs between runs, in words with numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from ..results import compare
from ..results.tcp import RECEIVED, SENT
from .checks import PREFIX_FIELDS
from .evidence import Evidence


def kernels(runs: Sequence[Evidence], reference: Evidence | None) -> list[str]:
    """Say how kernels differ, each from the one before it; and the newest from the reference."""
    words = []
    for before, after in pairwise(runs):
        words.append(f"{after.label} against {before.label}: {_difference(before, after)}")
    if reference is not None and runs:
        words.append(
            f"{runs[-1].label} against {reference.label}: {_difference(reference, runs[-1])}"
        )
    words += [_start(run) for run in runs]
    return words


def windows(small: Evidence, large: Evidence) -> str:
    """Say what a larger initial window changes."""
    seconds = [int(run.goodput["inorder_bytes"].iloc[0]) for run in (small, large)]
    drops = [run.summary.first_drop for run in (small, large)]
    first = [f"{drop.t:.4f} s" if drop else "never" for drop in drops]
    return (
        f"{large.label}: {large.summary.first_flight_segments} segments in the first flight "
        f"instead of {small.summary.first_flight_segments} bring the first drop from {first[0]} to "
        f"{first[1]}, and {seconds[1]:,} bytes in the first second instead of {seconds[0]:,}; in "
        f"the whole run {_megabits(large)} Mbit/s instead of {_megabits(small)}."
    )


def congestion(runs: Sequence[Evidence]) -> list[str]:
    """Say what each congestion control makes of the base scenario."""
    return [
        f"{run.label}: {_megabits(run)} Mbit/s, {run.summary.drops} segments dropped, cwnd up to "
        f"{run.summary.max_cwnd}; smoothed round trip between {_srtt(run)}."
        for run in runs
    ]


def _difference(before: Evidence, after: Evidence) -> str:
    same = compare(after.packets, before.packets, PREFIX_FIELDS)
    if same.equal:
        return f"all {same.packets_run:,} packets are the same in time, direction, seq and len."
    text = (
        f"the first {same.agree_from_start:,} packets are the same. Then "
        f"{_doing(after, same.agree_from_start)}, where with {before.label} "
        f"{_doing(before, same.agree_from_start)}. "
    )
    changes = [
        _change(name, a, b, unit)
        for name, unit, a, b in (
            ("goodput", " Mbit/s", _megabits(before), _megabits(after)),
            ("largest cwnd", "", before.summary.max_cwnd, after.summary.max_cwnd),
            ("ssthresh after it", "", _ssthresh(before), _ssthresh(after)),
            ("dropped segments", "", before.summary.drops, after.summary.drops),
            ("period", " s", _period(before), _period(after)),
            ("retransmissions in the first recovery", "", _first(before), _first(after)),
            ("timeouts", "", before.summary.cwnd_hit_1, after.summary.cwnd_hit_1),
        )
    ]
    shown = [change for change in changes if change]
    same_ones = "the key figures are the same" if not shown else "; ".join(shown)
    return text + same_ones[0].upper() + same_ones[1:] + "."


def _doing(run: Evidence, index: int) -> str:
    """Say what a packet is."""
    if index >= len(run.packets):
        return "there is no packet more"
    packet = run.packets.iloc[index]
    t = f"at {packet['t_ns'] / 1e9:.6f} s"
    if packet["dir"] == SENT:
        again = " again" if packet["rtx"] == 1 else ""
        return f"the sender sends seq {packet['seq']}{again} {t}"
    before = run.packets.iloc[:index]
    acked = before.loc[before["dir"] == RECEIVED, "ack"].max()
    newly = 0 if pd.isna(acked) else (int(packet["ack"]) - int(acked)) / run.segment_size
    if not newly:
        return f"a duplicate ACK arrives {t}"
    return f"an ACK of {newly:g} segment{'' if newly == 1 else 's'} arrives {t}"


def _change(name: str, before: float | None, after: float | None, unit: str) -> str:
    if before == after:
        return ""
    return f"{name} {_show(before)} → {_show(after)}{unit}"


def _start(run: Evidence) -> str:
    s = run.summary
    drop = f"the first drop is at {s.first_drop.t:.4f} s" if s.first_drop else "nothing is dropped"
    second = int(run.goodput["inorder_bytes"].iloc[0]) if len(run.goodput) else 0
    recovery = ""
    if s.episodes:
        e = s.episodes[0]
        recovery = (
            f"; recovery begins at {e.t:.4f} s with cwnd {e.cwnd_after_entry}, sends {e.n_rtx} "
            f"segments again until {e.t_last_rtx:.4f} s, and cwnd is never below {e.cwnd_min}"
        )
    return (
        f"{run.label}: {s.first_flight_segments} segments in the first flight, "
        f"{second:,} bytes delivered in the first second; {drop}{recovery}."
    )


def _megabits(run: Evidence) -> float:
    return round(run.summary.goodput_bps_over_60s / 1e6, 4)


def _period(run: Evidence) -> float | None:
    period = run.summary.details.steady_period_s
    return None if period is None else round(period, 3)


def _ssthresh(run: Evidence) -> int | None:
    return run.summary.episodes[0].ssthresh_after if run.summary.episodes else None


def _first(run: Evidence) -> int | None:
    return run.summary.episodes[0].n_rtx if run.summary.episodes else None


def _srtt(run: Evidence) -> str:
    # The first samples are of an empty path.
    settled = run.cwnd.loc[run.cwnd["t_ns"] >= 11_000_000_000, "srtt_ms"]
    if settled.empty:
        return "unknown"
    return f"{settled.min():.0f} and {settled.max():.0f} ms from 11 s on"


def _show(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
