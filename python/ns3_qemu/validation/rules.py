# SPDX-License-Identifier: GPL-2.0-only
"""What TCP's rules make of a scenario: figures by arithmetic, with the arithmetic in words.

Where a newer kernel must differ from the reference (Linux 2.6.26), a figure of the reference cannot
be what is expected; the rule that replaced the old one can. The formulas take what both have in
common (where the queue overflows) from the reference, and nothing from the run that they are held
against; `first_ssthresh` and `ladder` alone relate figures of one run.

The difference that decides is *byte counting*: since Linux 3.18 an ACK raises cwnd by what it
acknowledges (RFC 3465 without its limit), before by one. As a receiver acknowledges every other
segment, windows of newer kernels grow twice as fast, in slow start and in congestion avoidance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ..scenario import time_ns
from .network import Network, ack_bytes

_MS = 1e-6  # of ns

#: of the guests' kernels (HZ=250)
_TICK_S = 0.004


@dataclass(frozen=True)
class Expectation:
    """A figure that a rule yields."""

    value: float
    low: float
    high: float
    arithmetic: str
    """How it was computed, in words with numbers."""

    def holds(self, measured: float | None) -> bool:
        """Return whether a measured value lies within."""
        return measured is not None and self.low <= measured <= self.high


def max_cwnd(cwnd_at_drop: int, slack: int) -> Expectation:
    """Return the largest cwnd of slow start, from the cwnd at which the queue overflowed.

    `slack`: by how much cwnd at the first drop may be another one.
    """
    value = 2 * cwnd_at_drop - 1
    text = (
        f"When the first segment is dropped, cwnd is {cwnd_at_drop}, and the {cwnd_at_drop} - 1 "
        "segments before it are on their way. Each of them is acknowledged before the loss shows, "
        "and byte counting adds one segment for each: "
        f"{cwnd_at_drop} + {cwnd_at_drop - 1} = {value}. "
        f"A cwnd at the drop that differs by {slack} changes it by {2 * slack}; a delayed ACK or "
        "two that come after the loss shows take as many again."
    )
    reach = 2 * slack + 2
    return Expectation(value, value - reach, value + reach, text)


def first_ssthresh(cwnd_peak: int) -> Expectation:
    """Return ssthresh after the first loss, from the largest cwnd."""
    value = cwnd_peak // 2
    text = (
        f"Reno halves cwnd when it sees a loss: {cwnd_peak} / 2 = {value}. cwnd may have been one "
        "or two less at that very moment than at its largest (duplicate ACKs come first)."
    )
    return Expectation(value, value - 1, value, text)


@dataclass(frozen=True)
class Cycle:
    """The sawtooth of congestion avoidance."""

    peak: int  # cwnd when the queue overflows, segments
    ssthresh: int  # cwnd after it
    acks_per_increment: int  # windows that are acknowledged for each increment: 1 or 2


def period(network: Network, cycle: Cycle) -> Expectation:
    """Return the time between losses in congestion avoidance, s."""
    segment = network.segment_ns
    floor = network.round_trip_ns()
    windows = [max(c * segment, floor) for c in range(cycle.ssthresh, cycle.peak + 1)]
    growth = cycle.acks_per_increment * sum(windows)
    recovery = cycle.peak * segment
    value = (growth + recovery) / 1e9
    last = cycle.acks_per_increment * windows[-1] / 1e9
    empty = sum(c * segment < floor for c in range(cycle.ssthresh, cycle.peak + 1))
    text = (
        f"cwnd grows from {cycle.ssthresh} to {cycle.peak}, by one in each "
        f"{'round' if cycle.acks_per_increment == 1 else 'second round'}; while the queue is not "
        f"empty, a round of c segments takes c x {segment * _MS:.4g} ms"
        + (
            f" (and never less than the empty path's round trip of {floor * _MS:.5g} ms, which "
            f"{empty} of them take)"
            if empty
            else ""
        )
        + f": {growth / 1e9:.3f} s in all. Then a round of recovery, {cycle.peak} x "
        f"{segment * _MS:.4g} ms = {recovery / 1e9:.3f} s. Together {value:.3f} s. One segment "
        f"more or less at the peak, which is allowed above, is one round more or less, "
        f"{last:.3f} s."
    )
    return Expectation(value, value - last, value + last, text)


def runs_empty(network: Network, cycle: Cycle) -> bool:
    """Return whether the window after a loss is too small to keep the link busy."""
    return cycle.ssthresh * network.segment_ns < network.round_trip_ns()


def goodput(
    network: Network, cycle: Cycle, reference_mbps: float, reference_period_s: float
) -> Expectation:
    """Return goodput where the queue runs empty after each loss, Mbit/s.

    `reference_mbps`, `reference_period_s`: goodput and time between losses of the reference.
    """
    payload = network.full_packet - ack_bytes(network.scenario.tcp)
    link = payload * 8e3 / network.segment_ns
    idle = (1 - reference_mbps / link) * reference_period_s
    cycle_s = period(network, cycle).value
    value = link * (1 - idle / cycle_s)
    slack = network.segment_ns / 1e9 + _TICK_S
    reach = link * slack / cycle_s
    text = (
        f"After a loss a window of {cycle.ssthresh} segments is too small for the path: the link "
        f"stands idle. Pipe and queue decide for how long; with NSC it is (1 - "
        f"{reference_mbps:.4f} / {link:.4f} Mbit/s) x {reference_period_s:.3f} s = "
        f"{idle * 1e3:.1f} ms for each loss. With byte counting losses come every {cycle_s:.3f} s: "
        f"{link:.4f} x (1 - {idle * 1e3:.1f} ms / {cycle_s:.3f} s) = {value:.4f} "
        f"Mbit/s. Allowed is an idle time that differs by a segment and a tick of RACK's timer, "
        f"{slack * 1e3:.1f} ms."
    )
    return Expectation(value, value - reach, value + reach, text)


def drops(network: Network, cwnd_at_drop: int, cycle_s: float, slack: int) -> Expectation:
    """Return how many segments are dropped in a run, with byte counting.

    `cycle_s`: the expected period.
    """
    first = cwnd_at_drop - 1
    cycles = int(time_ns(network.scenario.duration) / 1e9 / cycle_s)
    low, high = first - 2 * slack + cycles - 1, first + 2 * slack + 2 * (cycles + 1)
    value = first + 1.5 * cycles
    text = (
        f"In slow start each ACK that comes between the first drop and its detection lets one "
        f"segment more go than the queue can take: {cwnd_at_drop} - 1 = {first}. Later each cycle "
        "loses one segment when cwnd outgrows the queue, and one more if cwnd grows again in the "
        f"round before the loss shows, which with byte counting it does about as often as not: 1 "
        f"to 2 in each of {cycles} cycles of {cycle_s:.2f} s. Together {low} to {high}."
    )
    return Expectation(value, low, high, text)


def ladder(times_s: list[float]) -> list[float]:
    """Return by which factor each interval between retransmissions is longer than the one before.

    RFC 6298, 5.5: after each timeout the next one is twice as far away.
    """
    gaps = [b - a for a, b in pairwise(times_s)]
    return [b / a for a, b in pairwise(gaps)]
