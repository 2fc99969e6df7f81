# SPDX-License-Identifier: GPL-2.0-only
"""What has to hold of a run, class by class.

*exact*: what no kernel version may change. *invariant*: what pipe and queue decide, so that it is
nearly the same as with the reference. *explained*: where a newer kernel must differ from the
reference; what is expected follows from the rule that changed. *equal*: with the reference's own
kernel, packet for packet.

What is expected comes from the scenario's file, the reference or a rule, not from the run itself.
Two checks relate figures of one run: ssthresh is half of cwnd, a timeout twice the one before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from ..results import Comparison, compare
from ..results.compare import EQUALITY_FIELDS
from ..results.tcp import RECEIVED, SENT
from ..scenario import Loss, Scenario, time_ns
from . import rules
from .evidence import Evidence
from .network import Network, Packet, ack_bytes, forward, syn_bytes

#: what has to agree of the first packets, whatever the kernel's age
PREFIX_FIELDS = ("t_ns", "dir", "seq", "len")

#: packets that Debian's 6.1 has in common with 2.6.26 until byte counting parts them
PREFIX_PACKETS = 56

#: the kernels that have been compared packet by packet: Debian's builds of that series. How long a
#: receiver acknowledges at once depends on the size of its packets' memory, so on the build
_PREFIX_RELEASE = re.compile(r"6\.1\.0-\d+(-cloud)?-amd64")

#: the initial window of the reference, segments
_REFERENCE_WINDOW = 2

#: the reference's kernel
REFERENCE_SERIES = "2.6.26"

#: how far cwnd at the first drop may be from the reference's, segments
_CWND_AT_DROP = 2

#: how far goodput may be from the reference's, and why: by why the scenario's link is never idle
_GOODPUT: dict[str | None, tuple[float, str]] = {
    None: (
        0.03,
        (
            "Goodput is what the narrow link carries. It is idle only while a recovery has emptied "
            "the queue, which takes each kernel's recovery another share of time."
        ),
    ),
    "queue": (
        0.005,
        (
            "The queue never runs empty once slow start has filled it: goodput is the link's rate, "
            "whatever TCP does."
        ),
    ),
    "sender": (0.001, "The narrow link is the sender's own and never idle: goodput is its rate."),
}

#: how far a timeout may be from twice the one before: kernel timers are late by up to a tick of
#: 4 ms (HZ=250) and, in a timer wheel's upper levels, by an eighth
_BACK_OFF = 0.125

#: a tick of the reference's kernel (HZ=1000), ns
_MS = 1_000_000

#: how far behind the full millisecond a guest's ticks may be for that check, ns
_TICK_PHASE = 1000


class Kind(StrEnum):
    """Class of a check."""

    EXACT = "exact"
    INVARIANT = "invariant"
    EXPLAINED = "explained"
    EQUAL = "equal"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison and how it came out."""

    kind: Kind
    name: str
    expected: str
    measured: str
    tolerance: str
    reason: str
    """Why this is expected, and why with this tolerance."""
    holds: bool


def check(run: Evidence, reference: Evidence | None, scenario: Scenario) -> list[Check]:
    """Return all checks of a run of a scenario.

    `reference`: what ns-3 and NSC measured; None where there is no such measurement.
    """
    network = Network(scenario)
    checks = list(exact(run, network))
    if reference is None:
        return checks
    if _PREFIX_RELEASE.fullmatch(run.release):
        checks += same_beginning(run, reference, scenario)
    checks += invariant(run, reference, network)
    if run.release.startswith(REFERENCE_SERIES):
        checks += equal(run, reference, network)
    else:
        checks += explained(run, reference, network)
    return checks


# --- exact ----------------------------------------------------------------------------------------


def exact(run: Evidence, network: Network) -> Iterator[Check]:
    """Yield the checks of what no kernel version may change."""
    scenario = network.scenario
    start = time_ns(scenario.start)
    round_trip = 2 * network.one_way_ns(syn_bytes(scenario.tcp))
    packets = run.packets
    sent, received = packets[packets["dir"] == SENT], packets[packets["dir"] == RECEIVED]

    yield _same(
        "SYN leaves", _time(start), _time(_first(sent)), "The scenario's start; a turn takes none."
    )
    yield _same(
        "SYN-ACK arrives",
        _time(start + round_trip),
        _time(_first(received)),
        f"Twice the way of a packet of {syn_bytes(scenario.tcp)} bytes over both empty links: "
        "serialisation and propagation.",
    )
    yield from _first_exchange(sent, received, network)
    payload = network.full_packet - ack_bytes(scenario.tcp)
    yield _same(
        "payload of data segments",
        f"{payload} bytes",
        " and ".join(f"{size}" for size in sorted(set(sent.loc[sent["len"] > 0, "len"])))
        + " bytes",
        "The MTU less headers and timestamps; the source always has more to send, and nothing may "
        "join or split segments behind the kernel's back.",
    )
    yield from passage(run, network)


def _first_exchange(
    sent: pd.DataFrame, received: pd.DataFrame, network: Network
) -> Iterator[Check]:
    scenario = network.scenario
    start = time_ns(scenario.start)
    answered = start + 2 * network.one_way_ns(syn_bytes(scenario.tcp))
    window = scenario.tcp.initial_window
    data = sent[sent["len"] > 0]
    if window is not None:
        payload = network.full_packet - ack_bytes(scenario.tcp)
        first = data.iloc[:window]
        following = data["t_ns"].iloc[window : window + 1].tolist()
        flight = [(answered, 1 + payload * i) for i in range(window)]
        seen = list(zip(first["t_ns"].tolist(), first["seq"].tolist(), strict=True))
        extra = 1 if following == [answered] else 0
        yield _same(
            "first flight",
            _flight(flight),
            _flight([*seen, *[(answered, -1)] * extra]),
            "As many segments as the initial window has, at the instant of the SYN-ACK.",
        )
    # The ACK of the handshake goes first, and the first segment waits for it at a narrow link.
    sizes = (ack_bytes(scenario.tcp), network.full_packet)
    packets = [Packet(i, answered, size, answered) for i, size in enumerate(sizes)]
    for hop in (network.access, network.bottleneck):
        packets, _ = forward(hop, packets)
    back = network.one_way_ns(ack_bytes(scenario.tcp))
    acks = received[(received["ack"] > 1).fillna(value=False)]
    yield _same(
        "first ACK of data arrives",
        _time(packets[1].t_ns + back),
        _time(_first(acks)),
        "The first segment's way behind the handshake's ACK, and the way back of its own: the "
        "receiver acknowledges a connection's first segments at once.",
    )


def passage(run: Evidence, network: Network) -> Iterator[Check]:
    """Hold all packets against what links and queues do."""
    forth = network.to_receiver(run.packets)
    reason = (
        "Computed for each packet from the time at which it left its host: a link sends one packet "
        "after the other, a full queue drops. No figure of the receiving side goes into it."
    )
    if run.receiver is not None:
        to_receiver = run.receiver[run.receiver["dir"] == SENT]
        syn_way = network.one_way_ns(syn_bytes(network.scenario.tcp))
        yield _same(
            "propagation and serialisation of the SYN",
            _duration(syn_way),
            _duration(_first(to_receiver) - _first(run.packets)),
            "Both delays and both transmissions, nothing else.",
        )
        data = to_receiver.loc[to_receiver["len"] > 0, "t_ns"].to_numpy()
        gaps = np.diff(data)
        yield _same(
            "shortest gap between data segments at the receiver",
            _duration(network.segment_ns),
            _duration(int(gaps.min(initial=np.iinfo(np.int64).max))),
            "The narrow link is busy: a full packet's serialisation, rate and framing to the bit.",
        )
        back = network.to_sender(run.receiver)
        arrived = run.packets[run.packets["dir"] == RECEIVED]
        for name, passage, source, seen in (
            ("packets that arrive at the receiver", forth, run.packets, to_receiver),
            ("packets that arrive at the sender", back, run.receiver, arrived),
        ):
            rows = source.iloc[passage.arrivals["index"]]
            expected = _arrivals(passage.arrivals["t_ns"], rows)
            yield _listed(name, expected, _arrivals(seen["t_ns"], seen), reason)
    expected = _arrivals(forth.drops["t_ns"], forth.drops)
    yield _listed("dropped segments", expected, _arrivals(run.drops["t_ns"], run.drops), reason)


def same_beginning(run: Evidence, reference: Evidence, scenario: Scenario) -> Iterator[Check]:
    """Yield the check that Debian's 6.1 begins as the reference does, and say where they part."""
    if scenario.tcp.initial_window != _REFERENCE_WINDOW:
        return
    result = compare(run.packets, reference.packets, PREFIX_FIELDS)
    yield Check(
        kind=Kind.EXACT,
        name="first packets equal NSC's in time, direction, seq and len",
        expected=f"{PREFIX_PACKETS} packets",
        measured=f"{result.agree_from_start} of them",
        tolerance="none: at least as many",
        reason="As long as the receiver acknowledges each segment, counting ACKs and counting "
        f"bytes are the same. {parting(run, reference)}",
        holds=result.agree_from_start >= PREFIX_PACKETS,
    )


def parting(run: Evidence, reference: Evidence) -> str:
    """Say at which packet a run parts from the reference, and by which rule."""
    result = compare(run.packets, reference.packets, PREFIX_FIELDS)
    difference = result.first_difference
    if difference is None:
        return "They never part."
    index = difference.index
    where = f"They part at packet {index + 1}"
    mine, theirs = (_row(e.packets, index) for e in (run, reference))
    if mine is None or theirs is None:
        return f"{where}, where one list ends."
    where += f" ({int(mine['t_ns']) / 1e9:.9f} s)"
    counting = _byte_counting(run, reference)
    if mine["dir"] != theirs["dir"] and index:
        return f"{where}: after the same packets one host sends and the other doesn't.{counting}"
    if mine["dir"] == theirs["dir"] == RECEIVED:
        acked = [_acknowledged(e, index) for e in (run, reference)]
        if acked[0] > acked[1] == 1:
            return (
                f"{where}: the receiver has sent its quick ACKs and acknowledges {acked[0]} "
                f"segments at once; the old kernel's acknowledges one by one a while longer."
                f"{counting}"
            )
        return f"{where}: the receivers acknowledge at different times.{counting}"
    return f"{where}: {', '.join(difference.fields)} differ."


# --- invariant ------------------------------------------------------------------------------------


def invariant(run: Evidence, reference: Evidence, network: Network) -> Iterator[Check]:
    """Yield the checks of what pipe and queue decide."""
    mine, theirs = run.summary, reference.summary
    if _idles_after_losses(run, reference, network) is None:
        yield _goodput(run, reference, network)
    queue_drops = theirs.first_drop is not None and network.scenario.loss is None
    if queue_drops:
        yield _window_at_drop(run, reference)
        yield from _steady(run, reference)
    else:
        loss = network.scenario.loss
        expected = loss.count if loss else 0
        yield _same(
            "segments lost",
            str(expected),
            str(mine.drops),
            "The receiver's window is smaller than pipe and queue: nothing can overflow"
            + (", only what the scenario discards is lost." if expected else "."),
            Kind.INVARIANT,
        )
    if network.scenario.loss and network.scenario.loss.count > 2:
        yield from _back_off(run, reference, network.scenario.loss)


def _goodput(run: Evidence, reference: Evidence, network: Network) -> Check:
    mine, theirs = run.summary, reference.summary
    goodput, reason = _GOODPUT[network.scenario.validation.never_idle]
    return _near(
        "goodput",
        theirs.goodput_bps_over_60s / 1e6,
        mine.goodput_bps_over_60s / 1e6,
        goodput * theirs.goodput_bps_over_60s / 1e6,
        f"{goodput:.1%}",
        "Mbit/s",
        reason,
    )


def _cycle(reference: Evidence) -> rules.Cycle | None:
    """Return the sawtooth that the reference's peak and ssthresh give a byte-counting kernel."""
    details = reference.summary.details
    if details.steady_peak_segments is None or details.steady_ssthresh_segments is None:
        return None
    peak, ssthresh = int(details.steady_peak_segments), int(details.steady_ssthresh_segments)
    return rules.Cycle(peak, ssthresh, 1)


def _idles_after_losses(
    run: Evidence, reference: Evidence, network: Network
) -> rules.Expectation | None:
    """Return the goodput to expect where it depends on how often there are losses."""
    cycle, period_s = _cycle(reference), reference.summary.details.steady_period_s
    if (
        run.release.startswith(REFERENCE_SERIES)
        or network.scenario.loss is not None
        or cycle is None
        or period_s is None
        or not rules.runs_empty(network, cycle)
    ):
        return None
    mbps = reference.summary.goodput_bps_over_60s / 1e6
    return rules.goodput(network, cycle, mbps, period_s)


def _window_at_drop(run: Evidence, reference: Evidence) -> Check:
    mine, theirs = run.summary.first_drop, reference.summary.first_drop
    assert theirs is not None
    # A buffer that has yet to grow may hold the sender back: then cwnd is not what fills the queue.
    flight = None if mine is None else _flight_at(run, round(mine.t * 1e9))
    in_use = None if mine is None or flight is None else min(mine.cwnd, flight)
    check = _near(
        "cwnd at the first drop",
        theirs.cwnd,
        in_use,
        _CWND_AT_DROP,
        f"{_CWND_AT_DROP} segments",
        "segments",
        "Pipe and queue hold so much; two more or less as bursts of one or two ACKs meet the last "
        "places. Where a socket's buffer, which grows with use, lets less go than cwnd allows, "
        "what is in flight counts.",
    )
    if mine is None or in_use == mine.cwnd:
        return check
    held = f"{check.measured} in flight (cwnd is {mine.cwnd})"
    return msgspec.structs.replace(check, measured=held)


def _flight_at(run: Evidence, t_ns: int) -> int:
    """Return how many segments are sent and not acknowledged, at a time."""
    before = run.packets[run.packets["t_ns"] <= t_ns]
    data = before[before["dir"] == SENT]
    sent = int((data["seq"] + data["len"]).max())
    acked = before.loc[before["dir"] == RECEIVED, "ack"].max()
    return round((sent - (1 if pd.isna(acked) else int(acked))) / run.segment_size)


def _steady(run: Evidence, reference: Evidence) -> Iterator[Check]:
    mine, theirs = run.summary.details, reference.summary.details
    for name, expected, measured, reason in (
        (
            "steady peak of cwnd",
            theirs.steady_peak_segments,
            mine.steady_peak_segments,
            (
                "The window at which the queue overflows (median of all losses but the first). "
                "With byte counting cwnd grows by one more before the loss shows."
            ),
        ),
        (
            "steady ssthresh",
            theirs.steady_ssthresh_segments,
            mine.steady_ssthresh_segments,
            "Half of the peak, which may differ by one.",
        ),
    ):
        if expected is not None:
            yield _near(name, expected, measured, 1, "1 segment", "segments", reason)


def _back_off(run: Evidence, reference: Evidence, loss: Loss) -> Iterator[Check]:
    """Check that each retransmission timeout is twice the one before."""
    mine, theirs = _timeouts(run, loss), _timeouts(reference, loss)
    factors = rules.ladder(mine)
    wanted = loss.count - 2  # the first retransmission is a fast one, the others are timeouts
    yield Check(
        kind=Kind.INVARIANT,
        name="each retransmission timeout is twice the one before",
        expected=f"{wanted} times 2 (NSC: {_ladder(theirs)})",
        measured=_ladder(mine),
        tolerance=f"{_BACK_OFF:.1%}",
        reason="RFC 6298, 5.5. The first retransmission is a fast one, and the timer runs from "
        "there; since Linux 4.x from the last SACK for data that was sent after it. How long the "
        "first timeout is, is the kernel's estimate; from there on they double. The timer wheel "
        "of a newer kernel fires up to an eighth late.",
        holds=len(factors) == wanted and all(abs(f - 2) <= 2 * _BACK_OFF for f in factors),
    )


def _timeouts(run: Evidence, loss: Loss) -> list[float]:
    """Return when the retransmission timer was started and each time it expired, s."""
    packets = run.packets
    again = packets[packets["rtx"].eq(1).fillna(value=False)]
    times: list[int] = again.loc[again["seq"] == again["seq"].min(), "t_ns"].tolist()
    if len(times) < loss.count:
        return []
    start = times[0]
    if not run.release.startswith(REFERENCE_SERIES):
        received = packets.loc[packets["dir"] == RECEIVED, "t_ns"]
        start = max(start, int(received[received < times[1]].max()))
    return [t / 1e9 for t in (start, *times[1 : loss.count])]


def _ladder(times: list[float]) -> str:
    """Show timeouts: how long each was, and by which factors they grow."""
    gaps = ", ".join(f"{(b - a) * 1e3:.0f}" for a, b in pairwise(times))
    factors = ", ".join(f"{factor:.3f}" for factor in rules.ladder(times))
    ends = ", ".join(f"{t:.4f}" for t in times[1:])
    return f"{gaps} ms: x {factors}; at {ends} s" if times else "no timeouts"


# --- explained ------------------------------------------------------------------------------------


def explained(run: Evidence, reference: Evidence, network: Network) -> Iterator[Check]:
    """Yield the checks of figures that a newer kernel's rules change."""
    mine, theirs = run.summary, reference.summary
    if theirs.first_drop is None or network.scenario.loss is not None:
        return
    at_drop = theirs.first_drop.cwnd
    top = rules.max_cwnd(at_drop, _CWND_AT_DROP)
    yield _ruled("largest cwnd", top, mine.max_cwnd, theirs.max_cwnd, "segments")
    after = mine.episodes[0].ssthresh_after if mine.episodes else None
    yield _ruled(
        "ssthresh after the first loss",
        rules.first_ssthresh(mine.max_cwnd),
        after,
        theirs.episodes[0].ssthresh_after,
        "segments",
    )
    cycle = _cycle(reference)
    if cycle is None:
        return
    between = rules.period(network, cycle)
    yield _ruled(
        "period of the sawtooth",
        between,
        mine.details.steady_period_s,
        theirs.details.steady_period_s,
        "s",
    )
    idling = _idles_after_losses(run, reference, network)
    if idling is not None:
        yield _ruled(
            "goodput where the queue runs empty",
            idling,
            mine.goodput_bps_over_60s / 1e6,
            theirs.goodput_bps_over_60s / 1e6,
            "Mbit/s",
        )
    total = rules.drops(network, at_drop, between.value, _CWND_AT_DROP)
    yield _ruled("segments dropped", total, mine.drops, theirs.drops, "segments")


def _ruled(
    name: str,
    rule: rules.Expectation,
    measured: float | None,
    reference: float | None,
    unit: str,
) -> Check:
    return Check(
        kind=Kind.EXPLAINED,
        name=name,
        expected=f"{_number(rule.value)} {unit} (NSC: {_number(reference)})",
        measured=f"{_number(measured)} {unit}",
        tolerance=f"{_number(rule.low)} to {_number(rule.high)}",
        reason=rule.arithmetic,
        holds=rule.holds(measured),
    )


# --- equal ----------------------------------------------------------------------------------------


def equal(run: Evidence, reference: Evidence, network: Network) -> Iterator[Check]:
    """Yield the checks that a run with the reference's kernel is the reference."""
    result = compare(run.packets, reference.packets)
    early = _is_early_timer(result, reference, network)
    measured = agreement(result)
    if early:
        again = _agree_but_for_time(run, reference, result.agree_from_start)
        measured += (
            f": NSC's timer is late; {again} packets from there on agree in all but times and "
            "timestamps"
        )
    yield Check(
        kind=Kind.EQUAL,
        name="packet for packet",
        expected=f"{result.packets_reference} equal packets"
        + (", or all up to the first that a timer sends" if early else ""),
        measured=measured,
        tolerance="that one is 1 ms earlier" if early else "none",
        reason="The same kernel in the same network: " + ", ".join(result.fields) + " of each "
        "packet, timestamps relative to each host's SYN. PSH flags and windows are left out, they "
        "show how the application writes and reads."
        + (
            " ns-3's NSC runs a kernel's timers one tick late: the first delayed ACK or timeout "
            "comes 1 ms earlier here, and what follows it need not be the same."
            if early
            else ""
        ),
        holds=result.equal or early,
    )
    loss = network.scenario.loss
    if loss is not None and loss.count > 2:
        mine, theirs = _timeouts(run, loss), _timeouts(reference, loss)
        yield _same(
            "from timeout to timeout",
            ", ".join(_intervals(theirs[1:])),
            ", ".join(_intervals(mine[1:])),
            "All timeouts are late by the same tick with NSC, so between them there is no "
            "difference.",
            Kind.EQUAL,
        )


def _intervals(times: list[float]) -> list[str]:
    return [_duration(round((b - a) * 1e9)) for a, b in pairwise(times)] or ["none"]


def _is_early_timer(result: Comparison, reference: Evidence, network: Network) -> bool:
    """Return whether the lists part at a packet that a timer sends, 1 ms earlier than with NSC."""
    difference = result.first_difference
    if difference is None or not difference.fields:
        return False
    mine, theirs = difference.run, difference.reference
    if not set(difference.fields) <= {"t_ns", "tsval", "tsecr"}:
        return False
    at, was = mine["t_ns"], theirs["t_ns"]
    assert isinstance(at, int)
    assert isinstance(was, int)
    # NSC's timers expire at full milliseconds; an ACK of the receiver's is seen after its way. What
    # the sender sends at such a time is a timer's if it was sent before, and no ACK asks for it.
    sent = theirs["dir"] == SENT
    packets = reference.packets
    asked = ((packets["t_ns"] == was) & (packets["dir"] == RECEIVED)).any()
    again = sent and packets["rtx"].iloc[difference.index] == 1 and not asked
    left = was - (0 if sent else network.one_way_ns(ack_bytes(network.scenario.tcp)))
    stamps = all(
        mine[stamp] == theirs[stamp]
        or (
            isinstance(new := mine[stamp], int)
            and isinstance(old := theirs[stamp], int)
            and new == old - 1
        )
        for stamp in ("tsval", "tsecr")
    )
    # Ticks may be put a little behind the full millisecond, for packets to be before them.
    early = 0 <= at - (was - _MS) < _TICK_PHASE
    return left % _MS == 0 and early and stamps and (not sent or bool(again))


def _agree_but_for_time(run: Evidence, reference: Evidence, first: int) -> int:
    """Return how many packets from there on agree in all but times and timestamps."""
    fields = [field for field in EQUALITY_FIELDS if field not in ("t_ns", "tsval", "tsecr")]
    result = compare(run.packets.iloc[first:], reference.packets.iloc[first:], fields)
    return result.agree_from_start


def agreement(result: Comparison) -> str:
    """Say how far two packet lists agree."""
    if result.equal:
        return f"{result.packets_run} equal packets"
    difference = result.first_difference
    assert difference is not None
    fields = ", ".join(
        f"{field} {difference.run[field]} instead of {difference.reference[field]}"
        for field in difference.fields
    )
    what = fields or f"{result.packets_run} packets instead of {result.packets_reference}"
    return f"{result.agree_from_start} equal packets, then packet {difference.index + 1}: {what}"


# --- helpers --------------------------------------------------------------------------------------


def _same(name: str, expected: str, measured: str, reason: str, kind: Kind = Kind.EXACT) -> Check:
    return Check(
        kind=kind,
        name=name,
        expected=expected,
        measured=measured,
        tolerance="none",
        reason=reason,
        holds=expected == measured,
    )


def _near(
    name: str,
    expected: float,
    measured: float | None,
    tolerance: float,
    shown: str,
    unit: str,
    reason: str,
) -> Check:
    return Check(
        kind=Kind.INVARIANT,
        name=name,
        expected=f"{_number(expected)} {unit}",
        measured=f"{_number(measured)} {unit}",
        tolerance=shown,
        reason=reason,
        holds=measured is not None and abs(measured - expected) <= tolerance,
    )


_Arrival = tuple[int, int, int]


def _arrivals(times: pd.Series[int], rows: pd.DataFrame) -> list[_Arrival]:
    return list(zip(times.tolist(), rows["seq"].tolist(), rows["len"].tolist(), strict=True))


def _listed(name: str, expected: list[_Arrival], measured: list[_Arrival], reason: str) -> Check:
    """Compare two lists item by item; say the first one that differs."""
    text = f"{len(measured):,}"
    for number, (want, have) in enumerate(zip(expected, measured, strict=False), 1):
        if want != have:
            text += (
                f"; number {number} is seq {have[1]} at {_time(have[0])}, not seq {want[1]} at "
                f"{_time(want[0])}"
            )
            break
    else:
        text += ", all of them at their times" if expected == measured else ""
    return Check(
        kind=Kind.EXACT,
        name=name,
        expected=f"{len(expected):,}, each at its time",
        measured=text,
        tolerance="none: 1 ns",
        reason=reason,
        holds=expected == measured,
    )


def _row(packets: pd.DataFrame, index: int) -> pd.Series[Any] | None:
    return packets.iloc[index] if index < len(packets) else None


def _acknowledged(run: Evidence, index: int) -> int:
    """Return how many segments the ACK at a position acknowledges."""
    before = run.packets.iloc[: index + 1]
    acks = before.loc[before["dir"] == RECEIVED, "ack"].dropna().astype("int64").cummax()
    newly = int(acks.iloc[-1] - acks.iloc[-2]) if len(acks) > 1 else 0
    return newly // run.segment_size


def _answer(run: Evidence) -> tuple[int, int] | None:
    """Return at which packet the first ACK of two segments is, and how many segments it lets go."""
    packets = run.packets
    received = packets[(packets["dir"] == RECEIVED) & packets["ack"].notna()]
    newly = received["ack"].astype("int64").cummax().diff()
    both = newly.index[newly == 2 * run.segment_size]
    if not len(both):
        return None
    position = packets.index.get_loc(both[0])
    assert isinstance(position, int)
    following = (packets["dir"].iloc[position + 1 :] == SENT).tolist()
    return position, following.index(False) if False in following else len(following)


def _byte_counting(run: Evidence, reference: Evidence) -> str:
    """Say what the first ACK of two segments makes each sender do."""
    mine, theirs = _answer(run), _answer(reference)
    if mine is None or theirs is None:
        return ""
    return (
        f" The first ACK of two segments (packet {mine[0] + 1}) lets this kernel send {mine[1]}"
        f"{' (two, and two more by byte counting)' if mine[1] == 4 else ''}; with NSC "
        f"(packet {theirs[0] + 1}) {theirs[1]}."
    )


def _first(packets: pd.DataFrame) -> int:
    return int(packets["t_ns"].iloc[0]) if len(packets) else -1


def _flight(segments: list[tuple[int, int]]) -> str:
    times = {t for t, _ in segments}
    seqs = ", ".join("more" if seq < 0 else str(seq) for _, seq in segments)
    return f"seq {seqs} at {' and '.join(_time(t) for t in sorted(times))}"


def _time(t_ns: int) -> str:
    return f"{t_ns / 1e9:.9f} s" if t_ns >= 0 else "never"


def _duration(ns: int) -> str:
    return f"{ns / 1e6:.6f} ms"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
