# SPDX-License-Identifier: GPL-2.0-only
"""What arrives at the receiver: all payload, and payload in order."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .tcp import SENT

_SECOND = 1_000_000_000


def arrivals(receiver_packets: pd.DataFrame) -> pd.DataFrame:
    """Return the payload that arrives, per data segment: columns t_ns, arrived, inorder (bytes).

    `receiver_packets`: a packet list captured at the receiver. `arrived` counts every byte, also
    one that is there already; `inorder` what the segment adds to the part of the stream that has
    no hole before it, which is what an application can read (goodput). Segments are taken as the
    receiver's stack would take them if its buffer never overflows: nothing is thrown away.
    """
    data = receiver_packets[(receiver_packets["dir"] == SENT) & (receiver_packets["len"] > 0)]
    next_in_order = 1  # the SYN has 0
    beyond: list[tuple[int, int]] = []  # disjoint ranges above a hole, sorted
    inorder = []
    lengths = data["len"].tolist()
    for left, length in zip(data["seq"].tolist(), lengths, strict=True):
        before = next_in_order
        right = left + length
        if left <= next_in_order:
            next_in_order = max(next_in_order, right)
            while beyond and beyond[0][0] <= next_in_order:
                next_in_order = max(next_in_order, beyond.pop(0)[1])
        else:
            beyond = _insert(beyond, left, right)
        inorder.append(next_in_order - before)
    columns = {"t_ns": data["t_ns"].tolist(), "arrived": lengths, "inorder": inorder}
    return pd.DataFrame(columns, dtype="int64")


def goodput_per_second(arrived: pd.DataFrame, start_ns: int, end_ns: int) -> pd.DataFrame:
    """Return columns second, inorder_bytes, arrived_bytes: a row for each second of the run.

    `arrived`: of `arrivals`. Second s means s ≤ t < s + 1 in simulated seconds; the first row is
    the second of `start_ns`, the last the one before `end_ns`. Seconds without arrivals have zeros.
    """
    first, last = start_ns // _SECOND, -(-end_ns // _SECOND)
    within = arrived[(arrived["t_ns"] >= start_ns) & (arrived["t_ns"] < end_ns)]
    row = within["t_ns"].to_numpy() // _SECOND - first
    sums = np.zeros((2, max(0, last - first)), dtype=np.int64)
    np.add.at(sums[0], row, within["inorder"].to_numpy())
    np.add.at(sums[1], row, within["arrived"].to_numpy())
    columns = {
        "second": np.arange(first, max(first, last)),
        "inorder_bytes": sums[0],
        "arrived_bytes": sums[1],
    }
    return pd.DataFrame(columns, dtype="int64")


def inorder_bytes(arrived: pd.DataFrame, from_ns: int, to_ns: int) -> int:
    """Return the payload that became readable in from_ns ≤ t < to_ns, bytes."""
    within = (arrived["t_ns"] >= from_ns) & (arrived["t_ns"] < to_ns)
    return int(arrived.loc[within, "inorder"].sum())


def _insert(ranges: list[tuple[int, int]], left: int, right: int) -> list[tuple[int, int]]:
    """Return sorted, disjoint ranges with one more, joined with those that it touches."""
    below = [r for r in ranges if r[1] < left]
    above = [r for r in ranges if r[0] > right]
    touched = ranges[len(below) : len(ranges) - len(above)]
    left = min([left, *(r[0] for r in touched)])
    right = max([right, *(r[1] for r in touched)])
    return [*below, (left, right), *above]
