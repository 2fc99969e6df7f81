# SPDX-License-Identifier: GPL-2.0-only
"""Rates and delays of links that change as a file says: CSV, or Mahimahi's format."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..callbacks import at, trace
from ..simulation import load
from .errors import ExperimentError

OPPORTUNITY = 1504
"""Bytes that may leave at each line of a Mahimahi trace (PACKET_SIZE of its link queue)."""

_SCALES = {"rate_bps": 1, "rate_mbps": 10**6, "delay_ms": 10**6}
_CSV_COLUMNS = ("time_s", *_SCALES)

# ns-3 sends at a rate. What leaves together with another packet is sent at this one.
_AT_ONCE = (1 << 63) - 1


@dataclass(frozen=True)
class Step:
    """What is so from a time on."""

    time_ns: int
    rate_bps: int | None
    delay_ns: int | None


def read_csv(path: str | Path) -> list[Step]:
    """Read a trace of rates and delays. Raises ExperimentError, in one line."""
    rows = list(csv.reader(_lines(path)))
    columns = rows[0] if rows else []
    known = [name for name in columns if name in _CSV_COLUMNS]
    rates = [name for name in columns if name.startswith("rate_")]
    if known != columns or "time_s" not in columns or len(columns) < 2 or len(rates) > 1:
        message = f"{path}: the first line is time_s, and one of rate_bps, rate_mbps, and delay_ms"
        raise ExperimentError(message)
    steps: list[Step] = []
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        try:
            cells = {name: float(cell) for name, cell in zip(columns, row, strict=True)}
        except ValueError:
            message = f"{path}: line {number}: give a number for each of {', '.join(columns)}"
            raise ExperimentError(message) from None
        if not all(math.isfinite(cell) and cell >= 0 for cell in cells.values()):
            message = f"{path}: line {number}: a number is below 0, or none"
            raise ExperimentError(message)
        rate = round(cells[rates[0]] * _SCALES[rates[0]]) if rates else None
        if rate == 0:
            message = f"{path}: line {number}: a rate is above 0; for an outage use link-down"
            raise ExperimentError(message)
        delay = round(cells["delay_ms"] * _SCALES["delay_ms"]) if "delay_ms" in cells else None
        steps.append(Step(round(cells["time_s"] * 1e9), rate, delay))
        if len(steps) > 1 and steps[-1].time_ns <= steps[-2].time_ns:
            message = f"{path}: line {number}: times have to rise"
            raise ExperimentError(message)
    if not steps:
        message = f"{path}: there is nothing in it"
        raise ExperimentError(message)
    return steps


def read_mahimahi(path: str | Path) -> list[int]:
    """Return the ms of each opportunity to send. Raises ExperimentError, in one line."""
    times = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip().isdecimal():
            message = f"{path}: line {number}: {line.strip()!r} is no number of ms"
            raise ExperimentError(message)
        times.append(int(line))
        if len(times) > 1 and times[-1] < times[-2]:
            message = f"{path}: line {number}: times must not fall"
            raise ExperimentError(message)
    if not times or times[-1] == 0:
        message = f"{path}: there is nothing in it"
        raise ExperimentError(message)
    return times


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "is no text"
        message = f"{path}: {cause}"
        raise ExperimentError(message) from None


class Steps:
    """Lets devices send at the rates, and their channel have the delays, of a CSV trace."""

    def __init__(
        self, path: str | Path, devices: Sequence[Any], channel: Any, *, repeat: bool
    ) -> None:
        """From time 0 on. With `repeat` it begins anew one step after its last line."""
        self._steps = read_csv(path)
        self._devices, self._channel = list(devices), channel
        last = self._steps[-1].time_ns
        # The last step lasts as long as the one before.
        before = self._steps[-2].time_ns if len(self._steps) > 1 else last
        self._period_ns = last + (last - before) if repeat and last > before else 0
        self._index, self._begin_ns = 0, 0
        self._schedule()

    def _schedule(self) -> None:
        ns = load()
        if self._index == len(self._steps):
            if not self._period_ns:
                return
            self._index, self._begin_ns = 0, self._begin_ns + self._period_ns
        at(ns.NanoSeconds(self._begin_ns + self._steps[self._index].time_ns), self._step)

    def _step(self) -> None:
        ns = load()
        step = self._steps[self._index]
        for device in self._devices if step.rate_bps is not None else ():
            device.SetAttribute("DataRate", ns.DataRateValue(ns.DataRate(step.rate_bps)))
        if step.delay_ns is not None:
            self._channel.SetAttribute("Delay", ns.TimeValue(ns.NanoSeconds(step.delay_ns)))
        self._index += 1
        self._schedule()


class Opportunities:
    """Lets a point-to-point device send as mm-link does: 1504 bytes at each line's ms.

    A packet leaves when opportunities for all its bytes have come since it is first in the queue;
    what is left of one is used by the packet behind it, if that waits already, and lost otherwise.
    ns-3 has rates in whole bit/s: a packet of n bytes that waits for d seconds leaves up to
    d^2 / (8 n) seconds before its opportunity, which is less than 1 us for full packets and 0.1 s.
    """

    def __init__(self, path: str | Path, device: Any, *, repeat: bool) -> None:
        """From time 0 on. With `repeat` it begins anew at its last line's time."""
        self._times = [ms * 10**6 for ms in read_mahimahi(path)]
        self._repeat, self._device = repeat, device
        self._index, self._begin_ns = 0, 0
        self._left = 0  # bytes of the opportunity that was used last
        self._used_ns = self._gone_ns = -1  # that opportunity, and when its packet was gone
        trace(device, "PhyTxBegin", self._on_begin)

    def _on_begin(self, packet: Any) -> None:
        """Choose the rate at which the packet is gone at its opportunity; ns-3 reads it next."""
        ns = load()
        now, size = int(ns.Simulator.Now().GetNanoSeconds()), int(packet.GetSize())
        end = self._end(now, size)
        if end is None:  # the trace is over: the link is still from here on
            bits = 1
        elif end <= now:
            bits = _AT_ONCE
        else:
            bits = min(-(-size * 8 * 10**9 // (end - now)), _AT_ONCE)
        rate = ns.DataRate(bits)
        self._gone_ns = now + int(rate.CalculateBytesTxTime(size).GetNanoSeconds())
        self._device.SetAttribute("DataRate", ns.DataRateValue(rate))

    def _end(self, now: int, size: int) -> int | None:
        needed = size - (self._left if now == self._gone_ns else 0)
        while needed > 0:
            time = self._next(now)
            if time is None:
                return None
            self._used_ns = time
            needed -= OPPORTUNITY
        self._left = -needed
        return self._used_ns

    def _next(self, now: int) -> int | None:
        """Return the next opportunity at or after now that has not been used."""
        while True:
            if self._index == len(self._times):
                if not self._repeat:
                    return None
                self._index, self._begin_ns = 0, self._begin_ns + self._times[-1]
            time = self._begin_ns + self._times[self._index]
            self._index += 1
            if time >= now:
                return time
