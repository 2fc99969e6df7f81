# SPDX-License-Identifier: GPL-2.0-only
"""Compares packets, one for one and to the nanosecond: lists of a connection's, or any decoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import pandas as pd

from .errors import ResultError
from .tcp import COLUMN_TYPES, RECEIVED, SENT

#: What has to agree for two runs to be equal. Flags and window are left out on purpose: PSH tells
#: where an application's write ended, and the window how an application reads; both are the
#: application's doing. Timestamps are compared relative to the SYN of the host that they come from.
EQUALITY_FIELDS = ("t_ns", "dir", "seq", "len", "ack", "sack", "tsval", "tsecr")

Value = int | str | None
"""Of a packet's field; None where the packet has no such field."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first packet in which two lists differ."""

    index: int
    """Of the packet, from 0."""
    run: Mapping[str, Value]
    """The fields of the run's packet; empty where its list has ended."""
    reference: Mapping[str, Value]
    """The fields of the reference's packet; empty where its list has ended."""
    fields: tuple[str, ...]
    """The ones that differ; empty where one list has ended."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How far two packet lists agree."""

    fields: tuple[str, ...]
    """What was compared."""
    packets_run: int
    packets_reference: int
    agree_from_start: int
    """Packets that agree in every field before the first one that doesn't."""
    differing: dict[str, int]
    """Per field, in how many packets it differs, over the length of the shorter list."""
    first_difference: Difference | None
    """None if the lists are equal."""

    def describe(self) -> str:
        """Say it for people: how many agree, and which differs first, field by field."""
        counts = f"{self.packets_run} packets, {self.packets_reference} in the reference"
        if self.equal:
            return f"{counts}: all equal in {', '.join(self.fields)}"
        lines = [f"{counts}: the first {self.agree_from_start} agree"]
        if self.first_difference is not None:
            first = self.first_difference
            for side, packet in (("run", first.run), ("reference", first.reference)):
                values = packet or {}
                shown = ", ".join(f"{field} {values[field]}" for field in values)
                lines.append(f"  packet {first.index + 1}, {side}: {shown or 'there is none'}")
            lines.append(f"  they differ in {', '.join(first.fields)}")
        for field, number in self.differing.items():
            if number:
                lines.append(f"  {number} packets differ in {field}")
        return "\n".join(lines)

    @property
    def equal(self) -> bool:
        """Whether every packet agrees in every field and neither list has more of them."""
        return self.first_difference is None


def first_difference(
    run: Iterable[Mapping[str, Value]],
    reference: Iterable[Mapping[str, Value]],
    fields: Sequence[str] | None = None,
) -> Difference | None:
    """Return the first packet that differs, or None; packets are compared by their position.

    `fields`: what has to agree; None: every field that either packet has.
    """
    for index, (ours, theirs) in enumerate(zip_longest(run, reference)):
        if ours is None or theirs is None:
            return Difference(index=index, run=ours or {}, reference=theirs or {}, fields=())
        names = dict.fromkeys((*ours, *theirs)) if fields is None else fields
        differing = tuple(name for name in names if ours.get(name) != theirs.get(name))
        if differing:
            return Difference(index=index, run=ours, reference=theirs, fields=differing)
    return None


def compare(
    run: pd.DataFrame, reference: pd.DataFrame, fields: Sequence[str] = EQUALITY_FIELDS
) -> Comparison:
    """Compare the packet list of a run with a reference, both of the same point of capture.

    Packets are compared by their position. Raises ResultError for a field that packet lists don't
    have or if none is given.
    """
    unknown = [f for f in fields if f not in COLUMN_TYPES]
    if unknown or not fields:
        what = f"{', '.join(unknown)}: no field of a packet list" if unknown else "no field given"
        message = f"{what}; there are {', '.join(COLUMN_TYPES)}"
        raise ResultError(message)
    ours, theirs = _comparable(run), _comparable(reference)
    differing = {
        # Plain lists: None equals None, and integers are compared as integers.
        field: sum(a != b for a, b in zip(ours[field], theirs[field], strict=False))
        for field in fields
    }
    difference = first_difference(_rows(ours, fields), _rows(theirs, fields), fields)
    return Comparison(
        fields=tuple(fields),
        packets_run=len(run),
        packets_reference=len(reference),
        agree_from_start=len(run) if difference is None else difference.index,
        differing=differing,
        first_difference=difference,
    )


def _comparable(packets: pd.DataFrame) -> dict[str, list[Value]]:
    """Return the columns as lists, missing values as None, timestamps relative."""
    columns: dict[str, list[Value]] = {
        name: [None if value is pd.NA else value for value in packets[name].tolist()]
        for name in COLUMN_TYPES
    }
    directions = columns["dir"]
    # The clock of each host begins anywhere (RFC 7323, 5.4); its SYN shows where.
    origin: dict[Value, int] = {}
    for direction, flags, tsval in zip(directions, columns["flags"], columns["tsval"], strict=True):
        if isinstance(tsval, int) and isinstance(flags, str) and "S" in flags:
            origin.setdefault(direction, tsval)
    other = {SENT: RECEIVED, RECEIVED: SENT}
    columns["tsval"] = [
        _relative(tsval, origin.get(d))
        for tsval, d in zip(columns["tsval"], directions, strict=True)
    ]
    columns["tsecr"] = [
        # Without the ACK flag TSecr means nothing (RFC 7323, 3.2).
        _relative(tsecr, origin.get(other[str(d)])) if ack is not None else None
        for tsecr, d, ack in zip(columns["tsecr"], directions, columns["ack"], strict=True)
    ]
    return columns


def _relative(value: Value, origin: int | None) -> Value:
    if not isinstance(value, int) or origin is None:
        return value
    return (value - origin) & 0xFFFFFFFF


def _rows(columns: dict[str, list[Value]], fields: Sequence[str]) -> Iterable[dict[str, Value]]:
    for values in zip(*(columns[field] for field in fields), strict=True):
        yield dict(zip(fields, values, strict=True))
