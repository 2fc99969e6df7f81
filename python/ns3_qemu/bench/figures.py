# SPDX-License-Identifier: GPL-2.0-only
"""A figure: what was measured how often, what that comes to, and what it is meant to be."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Goal(msgspec.Struct, frozen=True):
    """What a figure's median is meant to be."""

    limit: float
    """In the figure's unit; the limit itself is within the goal."""
    at_least: bool = False
    """Whether more is better. Otherwise the limit is the most that it may be."""

    def reached(self, value: float) -> bool:
        """Say whether a value is within the goal."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g}"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was to be measured. Without samples it was not, and `reason` says why."""

    group: str
    """Name of the group that it belongs to, as --only takes it."""
    name: str
    unit: str
    samples: tuple[float, ...] = ()
    goal: Goal | None = None
    reason: str = ""

    @property
    def median(self) -> float | None:
        """The samples' median."""
        return statistics.median(self.samples) if self.samples else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """The smallest and the largest sample."""
        return (min(self.samples), max(self.samples)) if self.samples else None

    @property
    def quartiles(self) -> tuple[float, float] | None:
        """First and third quartile, of four samples or more."""
        if len(self.samples) < 4:
            return None
        first, _, third = statistics.quantiles(self.samples, n=4, method="inclusive")
        return first, third

    @property
    def reached(self) -> bool | None:
        """Whether the median is within the goal; None if there is no goal or no median."""
        if self.goal is None or self.median is None:
            return None
        return self.goal.reached(self.median)


def of_samples(
    group: str, name: str, unit: str, samples: Sequence[float], goal: Goal | None = None
) -> Figure:
    """Return a figure that was measured."""
    return Figure(group=group, name=name, unit=unit, samples=tuple(samples), goal=goal)


def not_measured(group: str, name: str, unit: str, reason: str, goal: Goal | None = None) -> Figure:
    """Return a figure that could not be measured, or was not."""
    return Figure(group=group, name=name, unit=unit, reason=reason, goal=goal)


def format_value(value: float) -> str:
    """Format a number with three significant digits, or all of its integer ones.

    One that begins with 1 has a digit more: 1.013 and 1.008 are not the same.
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    leading = f"{abs(value):.3e}"[0]
    return f"{value:#.{4 if leading == '1' else 3}g}"
