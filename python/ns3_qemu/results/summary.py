# SPDX-License-Identifier: GPL-2.0-only
"""The key figures of a TCP run.

`Summary` has the keys of the reference measurements (ns-3 with NSC), in their order and with their
definitions, so that two runs can be compared key by key. What this project adds is in `details`.
Times are simulated seconds, rounded to 1 µs where the docstring says so; numbers of segments are of
`Handshake.segment_size` bytes; sequence numbers are relative to the sender's SYN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from .errors import ResultError
from .tcp import RECEIVED, SENT, Handshake

#: ssthresh before the first loss (Linux: TCP_INFINITE_SSTHRESH)
INFINITE_SSTHRESH = 0x7FFFFFFF

#: cwnd_peak looks back this far from a retransmission
_PEAK_WINDOW_NS = 500_000_000

#: rwnd_min_after_3s leaves this much of the connection out: the receiver's buffer is still growing
_RWND_SETTLED_NS = 3_000_000_000

#: time_outside_recovery leaves out the connection's first packets, where no window is filled yet
_PACKETS_LEFT_OUT = 20

#: as many segments below both windows and a sender counts as held back by something else
_SLACK_SEGMENTS = 3


class FirstDrop(msgspec.Struct, frozen=True, kw_only=True):
    """The first segment of the sender that a queue or an error model dropped."""

    t: float
    """When, s (exact)."""
    seq: int
    """Its sequence number."""
    cwnd: int
    """cwnd in force then, segments: the last change at or before t."""


class LossEpisode(msgspec.Struct, frozen=True, kw_only=True):
    """A recovery: from a retransmission until all that had been sent by then is acknowledged.

    This is the NewReno definition (RFC 6582), seen from outside: it holds for every kernel, also
    where the kernel's own state differs. So a tail loss probe that repeats data is an episode.
    """

    t: float
    """Its first retransmission, s (rounded to 1 µs)."""
    seq: int
    """Sequence number of the first retransmission."""
    cwnd_peak: int | None
    """Largest cwnd that was set in the 500 ms before t, segments; None if none was set."""
    ssthresh_after: int
    """ssthresh in force at t, the kernel's reaction to the loss included, segments."""
    n_rtx: int
    """Segments that were sent again in this episode."""
    t_last_rtx: float
    """Its last retransmission, s (rounded to 1 µs)."""
    cwnd_after_entry: int
    """cwnd in force at t, the kernel's reaction included, segments."""
    cwnd_min: int
    """Smallest cwnd from t until the acknowledgement that ends the episode (or the run)."""


class TimeOutsideRecovery(msgspec.Struct, frozen=True, kw_only=True):
    """What limited the sender, as shares of the time outside of loss episodes (to 1e-4).

    The state after each packet holds until the next one; the first 20 packets are left out.
    """

    cwnd_limited: float
    """cwnd was smaller than the receiver's window in whole segments."""
    rwnd_limited: float
    """The receiver's window in whole segments was not larger than cwnd."""
    neither_by_more_than_3_segments: float
    """Data in flight was more than 3 segments below both."""


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """Figures that the reference does not have."""

    duration_s: float
    """From the first SYN to the end of the run, s."""
    goodput_bps_after_10s: int | None
    """In-order payload per time from 10 s after the first SYN to the end, bit/s; None if the run is
    shorter."""
    arrived_bytes: int
    """Payload that arrived at the receiver, repetitions included, bytes."""
    packets_at_sender: int
    """Packets of the connection that the sender's capture shows, both ways."""
    steady_peak_segments: float | None
    """cwnd before each loss episode but the first: the largest one in force within the 500 ms
    before it (unlike cwnd_peak this counts one that was set earlier); median. None without."""
    steady_ssthresh_segments: float | None
    """ssthresh_after of the loss episodes but the first, median; None if there are none."""
    steady_period_s: float | None
    """Mean time between loss episodes, the first left out, s (to 1 µs); None below two such."""
    run: dict[str, Any] = {}
    """What the run says about itself: kernels, turns, … Simulated quantities only: a summary of
    the same run is the same, however fast the machine was."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The key figures of a TCP run; the keys of the reference's summary.json and `details`."""

    name: str
    """Of the scenario."""
    mss_syn: int | None
    """MSS option of the SYN, bytes."""
    mss_synack: int | None
    """MSS option of the SYN-ACK, bytes."""
    ts: bool
    """Whether timestamps are in use (both ends offered them)."""
    wscale_snd: int | None
    """The sender's window scale, bits; None if it offered none."""
    wscale_rcv: int | None
    """The receiver's window scale, bits; None if it offered none."""
    iss: int
    """The sender's initial sequence number, as on the wire."""
    irs: int | None
    """The receiver's initial sequence number, as on the wire; None if it never answered."""
    start: float
    """The first SYN leaves the sender's stack, s."""
    rx_inorder_bytes: int
    """Payload that had arrived at the receiver without a hole before it by the end, bytes (from the
    receiver's capture; the sender's acknowledgements lag behind it)."""
    goodput_bps_over_60s: int
    """rx_inorder_bytes * 8 / (end of the run - start), bit/s, handshake included. The name is the
    reference's, whose runs all last 60 s; here it is the run's own duration, `duration_s`."""
    data_segments_sent: int
    """Segments with payload that left the sender's stack, retransmissions included."""
    retransmissions: int
    """Those of them that begin below what had been sent before. SYN and FIN don't count."""
    drops: int
    """The sender's segments that were dropped on the way."""
    first_drop: FirstDrop | None
    """The first one; None if nothing was dropped."""
    first_rtx_t: float | None
    """The first retransmission, s (rounded to 1 µs)."""
    max_cwnd: int
    """Largest cwnd, segments."""
    max_flight_bytes: int
    """Most payload in flight at the sender when it sent: sent - acknowledged, bytes (lost or SACKed
    segments count until they are acknowledged cumulatively)."""
    loss_episodes: int
    """Number of `episodes`."""
    cwnd_hit_1: int
    """How often cwnd fell to 1 segment: retransmission timeouts, as a rule."""
    episodes: list[LossEpisode]
    """In order of time."""
    rwnd_min: int | None
    """Smallest window that the receiver offered, SYN-ACK left out, bytes."""
    rwnd_max: int | None
    """Largest one, bytes."""
    rwnd_min_after_3s: int | None
    """Smallest one from 3 s after the first SYN on, bytes."""
    tsval_ticks_per_s: float | None
    """Rate of the sender's timestamp clock between its first and last packet, 1/s (to 0.001)."""
    first_flight_segments: int
    """Data segments that were sent before the first acknowledgement of data came."""
    acks_received: int
    """Packets that the sender received, SYN-ACKs left out."""
    first_ack_covering_2_segments_t: float | None
    """First acknowledgement of two or more full segments at once, s (rounded to 1 µs): the end of
    the receiver's quick acknowledgements."""
    time_outside_recovery: TimeOutsideRecovery | None
    """What limited the sender; None where nothing remains to be measured."""
    details: Details
    """What the reference does not have."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """What a run measured; whatever the source of these tables, a capture or a file."""

    name: str
    handshake: Handshake
    packets: pd.DataFrame
    """Packet list at the sender's stack/device boundary."""
    cwnd: pd.DataFrame
    """t_ns, cwnd_seg, ssthresh_seg: the value in force from t on; a row at each change."""
    drops: pd.DataFrame
    """t_ns, where, seq, len: the sender's segments that were dropped."""
    goodput: pd.DataFrame
    """second, inorder_bytes, arrived_bytes: as of `goodput_per_second`."""
    end_ns: int
    """End of the simulation, ns."""
    goodput_bps_after_10s: int | None = None


class _Episode(NamedTuple):
    begin_ns: int
    seq: int
    retransmitted_ns: list[int]
    end_ns: int  #: of the run, if it doesn't end before


class _State(NamedTuple):
    """State of the sender after each packet: arrays of shape (packets,)."""

    t_ns: np.ndarray[Any, np.dtype[np.int64]]
    flight: np.ndarray[Any, np.dtype[np.int64]]  #: bytes
    rwnd: np.ndarray[Any, np.dtype[np.int64]]  #: bytes
    recovering: np.ndarray[Any, np.dtype[np.bool_]]


class _StepFunction:
    """cwnd or ssthresh over time."""

    def __init__(self, times: pd.Series[int], values: pd.Series[int]) -> None:
        self._times = times.to_numpy(dtype=np.int64)
        self._values = values.to_numpy(dtype=np.int64)

    def at(self, t_ns: Any) -> Any:
        """Return the value in force at a time or at an array of times; the first one before it."""
        last_change = self._times.searchsorted(t_ns, side="right") - 1
        return self._values[np.maximum(last_change, 0)]

    def set_within(self, from_ns: int, to_ns: int) -> list[int]:
        """Return the values that were set in from ≤ t < to."""
        begin, end = self._times.searchsorted([from_ns, to_ns], side="left")
        return [int(v) for v in self._values[begin:end]]


def summarise(run: Measurements, details_of_run: dict[str, Any] | None = None) -> Summary:
    """Return the key figures of a run.

    `details_of_run` becomes `details.run`. Raises ResultError if the cwnd table is empty.
    """
    if run.cwnd.empty:
        message = f"{run.name}: no cwnd was sampled"
        raise ResultError(message)
    handshake, packets = run.handshake, run.packets
    sent = packets[packets["dir"] == SENT]
    data = sent[sent["len"] > 0]
    received = packets[(packets["dir"] == RECEIVED) & ~packets["flags"].str.contains("S")]
    windows = received.loc[~received["flags"].str.contains("R"), ["t_ns", "win_bytes"]]
    settled = windows[windows["t_ns"] >= handshake.start_ns + _RWND_SETTLED_NS]
    cwnd = _StepFunction(run.cwnd["t_ns"], run.cwnd["cwnd_seg"])
    ssthresh = _StepFunction(run.cwnd["t_ns"], run.cwnd["ssthresh_seg"])

    retransmitted = data[data["rtx"] == 1]
    state, raw_episodes = _follow(packets, run.end_ns)
    episodes = [_episode(e, cwnd, ssthresh) for e in raw_episodes]
    rx_inorder_bytes = int(run.goodput["inorder_bytes"].sum())
    duration_ns = run.end_ns - handshake.start_ns
    return Summary(
        name=run.name,
        mss_syn=handshake.mss_syn,
        mss_synack=handshake.mss_synack,
        ts=handshake.timestamps,
        wscale_snd=handshake.wscale_snd,
        wscale_rcv=handshake.wscale_rcv,
        iss=handshake.iss,
        irs=handshake.irs,
        start=handshake.start_ns / 1e9,
        rx_inorder_bytes=rx_inorder_bytes,
        goodput_bps_over_60s=rate_bps(rx_inorder_bytes, duration_ns),
        data_segments_sent=len(data),
        retransmissions=len(retransmitted),
        drops=len(run.drops),
        first_drop=_first_drop(run.drops, cwnd),
        first_rtx_t=_first_time(retransmitted),
        max_cwnd=int(run.cwnd["cwnd_seg"].max()),
        max_flight_bytes=_max_flight(packets, state),
        loss_episodes=len(episodes),
        cwnd_hit_1=_falls_to_1(run.cwnd["cwnd_seg"]),
        episodes=episodes,
        rwnd_min=_int(windows["win_bytes"].min()),
        rwnd_max=_int(windows["win_bytes"].max()),
        rwnd_min_after_3s=_int(settled["win_bytes"].min()),
        tsval_ticks_per_s=_timestamp_rate(sent),
        first_flight_segments=_first_flight(packets),
        acks_received=len(received),
        first_ack_covering_2_segments_t=_first_time(
            received[_newly_acknowledged(received) >= 2 * handshake.segment_size]
        ),
        time_outside_recovery=_limits(state, cwnd, handshake.segment_size, run.end_ns),
        details=Details(
            duration_s=duration_ns / 1e9,
            goodput_bps_after_10s=run.goodput_bps_after_10s,
            arrived_bytes=int(run.goodput["arrived_bytes"].sum()),
            packets_at_sender=len(packets),
            steady_peak_segments=_median([_peak_in_force(e, cwnd) for e in raw_episodes[1:]]),
            steady_ssthresh_segments=_median([e.ssthresh_after for e in episodes[1:]]),
            steady_period_s=_mean_period(raw_episodes[1:]),
            run=details_of_run or {},
        ),
    )


def rate_bps(payload_bytes: int, duration_ns: int) -> int:
    """Return a rate in bit/s, rounded; 0 for an empty duration."""
    return round(payload_bytes * 8e9 / duration_ns) if duration_ns > 0 else 0


def _follow(packets: pd.DataFrame, end_ns: int) -> tuple[_State, list[_Episode]]:
    """Follow the sender through its packet list, which is all that is needed to know its state."""
    sent_up_to = acknowledged = 1  # the SYN has 0
    rwnd = 0
    recover: int | None = None  # RFC 6582's name: what had been sent when the episode began
    episodes: list[_Episode] = []
    states = []
    columns = ("t_ns", "dir", "flags", "seq", "ack", "len", "win_bytes", "rtx")
    for t_ns, direction, flags, seq, ack, length, window, rtx in zip(
        *(packets[c].tolist() for c in columns), strict=True
    ):
        if direction == SENT:
            if length and rtx == 1:
                if recover is None:
                    recover = sent_up_to
                    episodes.append(_Episode(t_ns, seq, [], end_ns))
                episodes[-1].retransmitted_ns.append(t_ns)
            sent_up_to = max(sent_up_to, seq + length)
        elif "A" in flags and "R" not in flags:
            acknowledged = max(acknowledged, ack)
            rwnd = window
            if recover is not None and acknowledged >= recover:
                recover = None
                episodes[-1] = episodes[-1]._replace(end_ns=t_ns)
        # An acknowledged FIN takes a number beyond the payload.
        states.append((t_ns, max(0, sent_up_to - acknowledged), rwnd, recover is not None))
    table = np.array(states, dtype=np.int64).reshape(-1, 4)
    return _State(table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(np.bool_)), episodes


def _episode(e: _Episode, cwnd: _StepFunction, ssthresh: _StepFunction) -> LossEpisode:
    set_before = cwnd.set_within(e.begin_ns - _PEAK_WINDOW_NS, e.begin_ns)
    on_entry = int(cwnd.at(e.begin_ns))
    return LossEpisode(
        t=_microseconds(e.begin_ns),
        seq=e.seq,
        cwnd_peak=max(set_before, default=None),
        ssthresh_after=int(ssthresh.at(e.begin_ns)),
        n_rtx=len(e.retransmitted_ns),
        t_last_rtx=_microseconds(e.retransmitted_ns[-1]),
        cwnd_after_entry=on_entry,
        cwnd_min=min([on_entry, *cwnd.set_within(e.begin_ns, e.end_ns + 1)]),
    )


def _peak_in_force(e: _Episode, cwnd: _StepFunction) -> int:
    begin = e.begin_ns - _PEAK_WINDOW_NS
    return max([int(cwnd.at(begin)), *cwnd.set_within(begin, e.begin_ns)])


def _limits(
    state: _State, cwnd: _StepFunction, segment_size: int, end_ns: int
) -> TimeOutsideRecovery | None:
    lasts = np.diff(state.t_ns, append=end_ns)
    counts = ~state.recovering & (lasts > 0)
    counts[:_PACKETS_LEFT_OUT] = False
    total = int(lasts[counts].sum())
    if total == 0:
        return None
    cwnd_segments = cwnd.at(state.t_ns)
    by_rwnd = state.rwnd // segment_size <= cwnd_segments
    window = np.minimum(cwnd_segments * segment_size, state.rwnd)
    by_neither = window - state.flight > _SLACK_SEGMENTS * segment_size

    def share(condition: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
        return round(int(lasts[counts & condition].sum()) / total, 4)

    return TimeOutsideRecovery(
        cwnd_limited=share(~by_rwnd & ~by_neither),
        rwnd_limited=share(by_rwnd & ~by_neither),
        neither_by_more_than_3_segments=share(by_neither),
    )


def _first_drop(drops: pd.DataFrame, cwnd: _StepFunction) -> FirstDrop | None:
    if drops.empty:
        return None
    t_ns = int(drops["t_ns"].iloc[0])
    return FirstDrop(t=t_ns / 1e9, seq=int(drops["seq"].iloc[0]), cwnd=int(cwnd.at(t_ns)))


def _max_flight(packets: pd.DataFrame, state: _State) -> int:
    sends = ((packets["dir"] == SENT) & (packets["len"] > 0)).to_numpy()
    return int(state.flight[sends].max(initial=0))


def _falls_to_1(cwnd: pd.Series[int]) -> int:
    return int(((cwnd == 1) & (cwnd.shift() != 1)).sum())


def _timestamp_rate(sent: pd.DataFrame) -> float | None:
    stamped = sent[sent["tsval"].notna()]
    if stamped.empty:
        return None
    first, last = stamped.iloc[0], stamped.iloc[-1]
    duration_ns = int(last["t_ns"]) - int(first["t_ns"])
    ticks = (int(last["tsval"]) - int(first["tsval"])) & 0xFFFFFFFF
    return round(ticks * 1e9 / duration_ns, 3) if duration_ns else None


def _first_flight(packets: pd.DataFrame) -> int:
    acknowledges = (packets["dir"] == RECEIVED) & (packets["ack"] > 1).fillna(value=False)
    before = ~acknowledges.cummax()
    return int((before & (packets["dir"] == SENT) & (packets["len"] > 0)).sum())


def _newly_acknowledged(received: pd.DataFrame) -> pd.Series[int]:
    """Return how much each of the packets acknowledges beyond the ones before it, bytes."""
    highest = received["ack"].fillna(0).astype("int64").cummax()
    return highest - highest.shift(fill_value=1)


def _first_time(packets: pd.DataFrame) -> float | None:
    return None if packets.empty else _microseconds(int(packets["t_ns"].iloc[0]))


def _mean_period(episodes: list[_Episode]) -> float | None:
    if len(episodes) < 2:
        return None
    return _microseconds((episodes[-1].begin_ns - episodes[0].begin_ns) / (len(episodes) - 1))


def _microseconds(t_ns: float) -> float:
    """Return seconds, rounded to 1 µs."""
    return round(t_ns / 1e9, 6)


def _median(values: list[int]) -> float | None:
    return float(np.median(values)) if values else None


def _int(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)
