# SPDX-License-Identifier: GPL-2.0-only
"""Simulated times, as scripts in Python say them."""

import math
import re
from typing import Any

from .simulation import load

# As ns-3 reads a Time, which ends the process if it cannot.
_TEXT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(s|ms|us|ns|ps|fs|min|h|d|y)?")


def to_time(value: Any) -> Any:
    """Return an `ns.Time`: `value` is in s, a text with a unit ("10ms"), or one already.

    Raises ValueError for anything else.
    """
    ns = load()
    if isinstance(value, ns.Time):
        return value
    if isinstance(value, str) and _TEXT.fullmatch(value):
        return ns.Time(value)
    if isinstance(value, int | float) and math.isfinite(value):
        return ns.Seconds(float(value))
    message = f"{value!r} is no simulated time: give seconds, a text like '10ms', or an ns.Time"
    raise ValueError(message)
