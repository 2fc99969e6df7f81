# SPDX-License-Identifier: GPL-2.0-only
"""Compares two packet lists, packet for packet and to the nanosecond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from .errors import ResultError
from .tcp import COLUMN_TYPES, RECEIVED, SENT

#: What has to agree for two runs to be equal. Flags and window are left out on purpose: PSH tells
#: where an application's write ended, and the window how an application reads; both are the
#: application's doing. Timestamps are compared relative to the SYN of the host that they come from.
EQUALITY_FIELDS = ("t_ns", "dir", "seq", "len", "ack", "sack", "tsval", "tsecr")

_Value = int | str | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first packet in which two lists differ."""

    index: int
    """Of the packet, from 0."""
    run: dict[str, _Value]
    """The fields of the run's packet; empty where its list has ended."""
    reference: dict[str, _Value]
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
    length = min(len(run), len(reference))
    differing = dict.fromkeys(fields, 0)
    first = length
    for field in fields:
        # Plain lists: None equals None, and integers are compared as integers.
        for index, (a, b) in enumerate(zip(ours[field], theirs[field], strict=False)):
            if a != b:
                differing[field] += 1
                first = min(first, index)
    difference = None
    if first < max(len(run), len(reference)):
        difference = Difference(
            index=first,
            run=_packet(ours, fields, first),
            reference=_packet(theirs, fields, first),
            fields=tuple(
                f for f in fields if first < length and ours[f][first] != theirs[f][first]
            ),
        )
    return Comparison(
        fields=tuple(fields),
        packets_run=len(run),
        packets_reference=len(reference),
        agree_from_start=first,
        differing=differing,
        first_difference=difference,
    )


def _comparable(packets: pd.DataFrame) -> dict[str, list[_Value]]:
    """Return the columns as lists, missing values as None, timestamps relative."""
    columns: dict[str, list[_Value]] = {
        name: [None if value is pd.NA else value for value in packets[name].tolist()]
        for name in COLUMN_TYPES
    }
    directions = columns["dir"]
    # The clock of each host begins anywhere (RFC 7323, 5.4); its SYN shows where.
    origin: dict[_Value, int] = {}
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


def _relative(value: _Value, origin: int | None) -> _Value:
    if not isinstance(value, int) or origin is None:
        return value
    return (value - origin) & 0xFFFFFFFF


def _packet(
    columns: dict[str, list[_Value]], fields: Sequence[str], index: int
) -> dict[str, _Value]:
    return {f: columns[f][index] for f in fields if index < len(columns[f])}
