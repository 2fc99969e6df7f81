# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario's network does to packets, by arithmetic alone.

A link serialises one packet after the other, then each travels for the link's delay; a packet that
finds the queue full is dropped. This is all that there is between the hosts, so from what leaves a
host follows, to the nanosecond, what arrives at the other one and what the queue drops. It is
written down here a second time, without ns-3, so that the simulation can be checked against it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..results.tcp import RECEIVED, SENT, TIMESTAMPS_LENGTH
from ..scenario import Link, Loss, Scenario, Tcp, rate_bps, time_ns

#: PPP, as ns-3's point-to-point links frame packets, bytes
FRAMING = 2

#: IPv4 and TCP headers without options, bytes
HEADERS = 40

_MSS_OPTION = 4
_WINDOW_SCALE_OPTION = 4  # with a NOP
_SACK_PERMITTED_OPTION = 4  # with two NOPs; beside timestamps it takes their place
_SACK_OPTION = 4  # with two NOPs, without its blocks
_SACK_BLOCK = 8

#: no scenario is meant to fill another queue than the bottleneck's towards the receiver, packets
AMPLE_QUEUE = 1000


@dataclass(frozen=True)
class Hop:
    """A link in one direction, with the queue before it."""

    rate_bps: int
    delay_ns: int
    queue: int  # packets that wait besides the one being sent

    @classmethod
    def of(cls, link: Link, queue: int | None = None) -> Hop:
        """Return the hop of a scenario's link; `queue` where it isn't the link's."""
        own = int(link.queue.removesuffix("p"))
        return cls(rate_bps(link.rate), time_ns(link.delay), own if queue is None else queue)

    def transmission_ns(self, ip_bytes: int) -> int:
        """Return how long an IP packet takes to be sent."""
        return round((ip_bytes + FRAMING) * 8e9 / self.rate_bps)


@dataclass(frozen=True)
class Packet:
    """A packet on its way."""

    index: int  # of the packet list's row that it comes from
    t_ns: int  # where it is now
    ip_bytes: int
    scheduled_ns: int  # when ns-3 put its arrival here into its calendar


def forward(hop: Hop, packets: Sequence[Packet]) -> tuple[list[Packet], list[Packet]]:
    """Send packets over a hop. Return those that arrive, then, and those that are dropped."""
    arriving: list[Packet] = []
    dropped: list[Packet] = []
    begins: list[int] = []  # of transmissions, of the packets that were not dropped
    free_at = -1
    for packet in packets:
        # Those that begin after now wait; so does one that begins now, if ns-3 comes to it later:
        # of events at the same instant the one that was scheduled first is first.
        waiting = len(begins) - bisect_right(begins, packet.t_ns)
        if begins and begins[-1 - waiting] == packet.t_ns and len(begins) - waiting >= 2:
            waiting += begins[-2 - waiting] > packet.scheduled_ns
        if waiting >= hop.queue:
            dropped.append(packet)
            continue
        begin = max(packet.t_ns, free_at)
        free_at = begin + hop.transmission_ns(packet.ip_bytes)
        begins.append(begin)
        arriving.append(Packet(packet.index, free_at + hop.delay_ns, packet.ip_bytes, begin))
    return arriving, dropped


def lose(loss: Loss, packets: Sequence[Packet], table: pd.DataFrame) -> list[Packet]:
    """Return the packets that a scenario's loss takes as they arrive at the receiver.

    `table`: the packet list that they come from.
    """
    lengths, seqs = table["len"].tolist(), table["seq"].tolist()
    segments = 0
    chosen: int | None = None
    lost: list[Packet] = []
    for packet in packets:
        if not lengths[packet.index]:
            continue
        segments += 1
        if segments == loss.segment:
            chosen = seqs[packet.index]
        if chosen is not None and seqs[packet.index] == chosen and len(lost) < loss.count:
            lost.append(packet)
    return lost


def ip_bytes(packets: pd.DataFrame, tcp: Tcp) -> list[int]:
    """Return the length of each packet of a packet list as its IP header says it."""
    stamps = TIMESTAMPS_LENGTH if tcp.timestamps else 0
    sacks = [len(sack.split()) for sack in packets["sack"].tolist()]
    return [
        syn_bytes(tcp)
        if "S" in flags
        else HEADERS + stamps + length + (_SACK_OPTION + _SACK_BLOCK * blocks if blocks else 0)
        for flags, length, blocks in zip(
            packets["flags"].tolist(), packets["len"].tolist(), sacks, strict=True
        )
    ]


def syn_bytes(tcp: Tcp) -> int:
    """Return the length of a SYN or SYN-ACK."""
    sack_alone = tcp.sack and not tcp.timestamps
    return (
        HEADERS
        + _MSS_OPTION
        + (TIMESTAMPS_LENGTH if tcp.timestamps else 0)
        + (_SACK_PERMITTED_OPTION if sack_alone else 0)
        + (_WINDOW_SCALE_OPTION if tcp.window_scaling else 0)
    )


def ack_bytes(tcp: Tcp) -> int:
    """Return the length of a packet without data and SACK blocks."""
    return HEADERS + (TIMESTAMPS_LENGTH if tcp.timestamps else 0)


@dataclass(frozen=True)
class Passage:
    """What the network makes of one direction's packets."""

    arrivals: pd.DataFrame
    """index (row of the packet list at the host that sent), t_ns: in order of arrival."""
    drops: pd.DataFrame
    """t_ns, seq, len: as `drops.csv` has them, without where."""


class Network:
    """The links, queues and losses of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.access = Hop.of(scenario.access)
        self.bottleneck = Hop.of(scenario.bottleneck)

    @property
    def full_packet(self) -> int:
        """Length of a full segment's IP packet, bytes: the MTU."""
        return 1500

    @property
    def segment_ns(self) -> int:
        """Time between full segments at the receiver when the narrow link is busy."""
        hops = (self.access, self.bottleneck)
        return max(hop.transmission_ns(self.full_packet) for hop in hops)

    def one_way_ns(self, size: int) -> int:
        """Return how long an IP packet takes from host to host where nothing waits."""
        return sum(
            hop.transmission_ns(size) + hop.delay_ns for hop in (self.access, self.bottleneck)
        )

    def round_trip_ns(self) -> int:
        """Return the time from sending a full segment to its ACK where nothing waits."""
        return self.one_way_ns(self.full_packet) + self.one_way_ns(ack_bytes(self.scenario.tcp))

    def to_receiver(self, sender: pd.DataFrame) -> Passage:
        """Return what becomes of what the sender's packet list says it sent."""
        return self._carry(sender, SENT, [self.access, self.bottleneck], self.scenario.loss)

    def to_sender(self, receiver: pd.DataFrame) -> Passage:
        """Return what becomes of what the receiver's packet list says it sent."""
        back = [
            Hop.of(self.scenario.bottleneck, AMPLE_QUEUE),
            Hop.of(self.scenario.access),
        ]
        return self._carry(receiver, RECEIVED, back, None)

    def _carry(
        self, table: pd.DataFrame, direction: str, hops: list[Hop], loss: Loss | None
    ) -> Passage:
        sizes = ip_bytes(table, self.scenario.tcp)
        times = table["t_ns"].tolist()
        rows = np.flatnonzero((table["dir"] == direction).to_numpy()).tolist()
        packets = [Packet(row, times[row], sizes[row], times[row]) for row in rows]
        dropped: list[Packet] = []
        for hop in hops:
            packets, lost = forward(hop, packets)
            dropped += lost
        if loss is not None:
            lost = lose(loss, packets, table)
            gone = {packet.index for packet in lost}
            packets = [packet for packet in packets if packet.index not in gone]
            dropped += lost
        # What would arrive after the end does not.
        end = self.scenario.end_ns
        packets = [packet for packet in packets if packet.t_ns < end]
        dropped = sorted((p for p in dropped if p.t_ns < end), key=lambda packet: packet.t_ns)
        arrivals = pd.DataFrame(
            [(packet.index, packet.t_ns) for packet in packets],
            columns=["index", "t_ns"],
            dtype="int64",
        )
        indices = [packet.index for packet in dropped]
        drops = pd.DataFrame(
            {
                "t_ns": [packet.t_ns for packet in dropped],
                "seq": table["seq"].to_numpy()[indices],
                "len": table["len"].to_numpy()[indices],
            },
            dtype="int64",
        )
        return Passage(arrivals, drops)
