# SPDX-License-Identifier: GPL-2.0-only
"""The points of a [matrix]: each key with each of its values, all with all.

    [matrix]
    run = "1..10"
    links.narrow.delay = ["10 ms", "40 ms"]
    hosts.a.sysctls."net.ipv4.tcp_congestion_control" = ["cubic", "bbr"]

The key that stands first changes slowest; values that are numbers may be given as a range.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import tomli_w

from ..experiment.errors import ExperimentError
from ..experiment.layout import file_name

_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
_MOST = 100_000  # runs; more is a slip
_LONGEST = 120  # characters of a run's name

Value = str | int | float | bool


@dataclass(frozen=True)
class Point:
    """A run of a campaign."""

    number: int
    """From 1, in the matrix's order."""
    values: Mapping[str, Value]
    """By the whole key, as --set names it."""

    @property
    def settings(self) -> list[str]:
        """What --set would be given."""
        return [
            f"{key}={tomli_w.dumps({'v': value}).partition('=')[2].strip()}"
            for key, value in self.values.items()
        ]

    @property
    def name(self) -> str:
        """What its directory is called; begins with its number."""
        said = [f"{key.rpartition('.')[2]}={value}" for key, value in self.values.items()]
        return file_name("-".join([f"{self.number:04}", *said]).replace("=", "_"))[:_LONGEST]


def points(matrix: Mapping[str, Any]) -> list[Point]:
    """Return all points of a matrix, in its order.

    Raises ExperimentError, in one line that names the key.
    """
    keys = dict(_keys("", matrix))
    count = 1
    for values in keys.values():
        count *= len(values)
    if not keys or count > _MOST:
        what = f"it has {count:,} runs, and {_MOST:,} may be" if keys else "there is no key in it"
        message = f"matrix: {what}"
        raise ExperimentError(message)
    return [
        Point(number, dict(zip(keys, values, strict=True)))
        for number, values in enumerate(product(*keys.values()), start=1)
    ]


def _keys(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, list[Value]]]:
    # TOML takes links.narrow.delay, without quotes, for tables in tables.
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _keys(f"{key}.", value)
        else:
            yield key, _values(key, value)


def _values(key: str, value: Any) -> list[Value]:
    if isinstance(value, str) and (match := _RANGE.fullmatch(value)):
        first, last = int(match[1]), int(match[2])
        if first > last or last - first >= _MOST:
            message = f"matrix.{key}: {value!r}: a range goes up, as 1..10"
            raise ExperimentError(message)
        return list(range(first, last + 1))
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(each, Value) for each in value)
    ):
        message = f'matrix.{key}: give a list of values, or a range as "1..10"'
        raise ExperimentError(message)
    double = next((each for each in value if value.count(each) > 1), None)
    if double is not None:
        message = f"matrix.{key}: {double!r} is in it twice"
        raise ExperimentError(message)
    return value
