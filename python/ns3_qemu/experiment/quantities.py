# SPDX-License-Identifier: GPL-2.0-only
"""Quantities, as an experiment writes them: a number and its unit."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

TIME_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
}
RATE_UNITS = {
    **{
        f"{prefix}bit/s": 10**power
        for prefix, power in zip(("", "k", "M", "G"), (0, 3, 6, 9), strict=True)
    },
    **{
        f"{prefix}bps": 10**power
        for prefix, power in zip(("", "k", "M", "G"), (0, 3, 6, 9), strict=True)
    },
}
SIZE_UNITS = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([^\s\d.].*)")
_SIZE = re.compile(r"\d*[1-9]\d*\s*(B|[kMG]B|[KMG]iB)")
_PACKETS = re.compile(r"([1-9]\d*)\s*(?:p|packets?)")

# What 64 bits hold, and nobody needs.
_MOST = 10**18


def _number(value: Any, units: dict[str, int], what: str, example: str) -> int:
    """Return a quantity in the smallest unit. Raises ValueError for what is none."""
    advice = f'give {what} with its unit, as "{example}"'
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        message = f"{value!r}: {advice}"
        raise ValueError(message)
    if match[2] not in units:
        shown = ", ".join(name for name in units if name.isascii())
        message = f"there is no unit {match[2]!r}; there are {shown}"
        raise ValueError(message)
    number = Decimal(match[1]) * units[match[2]]
    if number != int(number):
        message = f"{value!r} is finer than a simulation can tell; {advice}"
        raise ValueError(message)
    if number > _MOST:
        message = f"{value!r} is too large"
        raise ValueError(message)
    return int(number)


def parse_time(value: Any) -> int:
    """Return a time in ns."""
    return _number(value, TIME_UNITS, "a time", "20 ms")


def _above_zero(value: Any, units: dict[str, int], what: str, example: str) -> int:
    number = _number(value, units, what, example)
    if number == 0:
        message = f"{value!r}: {what} is above 0"
        raise ValueError(message)
    return number


def parse_rate(value: Any) -> int:
    """Return a rate in bit/s, which is above 0."""
    return _above_zero(value, RATE_UNITS, "a rate", "10 Mbit/s")


def parse_size(value: Any) -> int:
    """Return a size in bytes, which is above 0."""
    return _above_zero(value, SIZE_UNITS, "a size", "1500 B")


def parse_queue(value: Any) -> str:
    """Return a queue's size as ns-3 writes it: "100p" or "64000B"."""
    advice = 'give packets or bytes, as "100 packets" or "64 kB"'
    if isinstance(value, str):
        if match := _PACKETS.fullmatch(value.strip()):
            return f"{match[1]}p"
        if _SIZE.fullmatch(value.strip()):
            return f"{_number(value, SIZE_UNITS, 'packets or bytes', '100 packets')}B"
    message = f"{value!r}: {advice}"
    raise ValueError(message)


def parse_probability(value: Any) -> float:
    """Return a probability, which is given in percent."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value) if isinstance(value, str) else None
    if match is None or not 0 <= Decimal(match[1]) <= 100:
        message = f'{value!r}: give a probability in percent, as "1 %"'
        raise ValueError(message)
    return float(Decimal(match[1]) / 100)


def _shown(number: int, units: dict[str, int]) -> str:
    """Write a quantity with the largest unit in which it is whole."""
    name, scale = max(
        ((n, s) for n, s in units.items() if n.isascii() and number % s == 0),
        key=lambda unit: unit[1],
    )
    return f"{number // scale} {name}"


def time_text(ns: int) -> str:
    """Write a time as an experiment does."""
    return (
        _shown(ns, {n: s for n, s in TIME_UNITS.items() if n not in ("min", "h")}) if ns else "0 s"
    )


def rate_text(rate: int) -> str:
    """Write a rate as an experiment does."""
    return _shown(rate, {n: s for n, s in RATE_UNITS.items() if n.endswith("bit/s")})


def size_text(size: int) -> str:
    """Write a size as an experiment does."""
    return _shown(size, SIZE_UNITS)


def queue_text(queue: str) -> str:
    """Write a queue's size as an experiment does."""
    return f"{queue[:-1]} packets" if queue.endswith("p") else size_text(int(queue[:-1]))


def probability_text(probability: float) -> str:
    """Write a probability as an experiment does."""
    return f"{(Decimal(repr(probability)) * 100).normalize():f} %"


def ns3_time(ns: int) -> str:
    """Write a time as ns-3 reads it."""
    return time_text(ns).replace(" ", "")


def ns3_rate(rate: int) -> str:
    """Write a rate as ns-3 reads it."""
    return rate_text(rate).replace(" ", "").replace("bit/s", "bps")


Time = Annotated[int, BeforeValidator(parse_time), PlainSerializer(time_text)]
"""ns."""
Rate = Annotated[int, BeforeValidator(parse_rate), PlainSerializer(rate_text)]
"""bit/s."""
Size = Annotated[int, BeforeValidator(parse_size), PlainSerializer(size_text)]
"""Bytes."""
QueueSize = Annotated[str, BeforeValidator(parse_queue), PlainSerializer(queue_text)]
"""As ns-3 writes it."""
Probability = Annotated[
    float, BeforeValidator(parse_probability), PlainSerializer(probability_text)
]
"""0 to 1."""
