# SPDX-License-Identifier: GPL-2.0-only
"""One TCP connection of a capture as a packet list: relative numbers, scaled windows, SACK blocks.

The *sender* ("S") is the host that opens the connection, the *receiver* ("R") the one that accepts
it. A packet list is a pandas DataFrame, one row a packet in the capture's order:

| column | type | meaning |
| --- | --- | --- |
| t_ns | int64 | simulated time at the point of capture, nanoseconds |
| dir | str | "S>R" or "R>S" |
| flags | str | letters of the flags that are set, in the order FSRPAUECN |
| seq | int64 | relative to the initial sequence number of its own host: the SYN has 0 |
| ack | Int64 | relative to the initial sequence number of the other host; NA without the ACK flag |
| len | int64 | payload, bytes |
| win_bytes | int64 | the window it offers, scaled, bytes |
| tsval, tsecr | Int64 | timestamps option (RFC 7323) as on the wire; NA without one |
| rtx | Int8 | of the sender's data: 1 if it begins below what was sent before, else 0; else NA |
| sack | str | SACK blocks (RFC 2018), relative, in the packet's order: "left-right left-right" |

Sequence numbers don't wrap in a packet list: they go on counting past 2^32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import dpkt
import msgspec
import pandas as pd

from .capture import Capture, Segment, tcp_segments
from .errors import CaptureError

SENT = "S>R"
RECEIVED = "R>S"

#: pandas type of each column of a packet list, in their order
COLUMN_TYPES = {
    "t_ns": "int64",
    "dir": "str",
    "flags": "str",
    "seq": "int64",
    "ack": "Int64",
    "len": "int64",
    "win_bytes": "int64",
    "tsval": "Int64",
    "tsecr": "Int64",
    "rtx": "Int8",
    "sack": "str",
}

_SYN, _RST, _ACK = 0x02, 0x04, 0x10
# The last is NS of RFC 3540, and AE of RFC 9768 (AccECN).
_FLAG_LETTERS = "FSRPAUECN"
_FLAG_NAMES = [
    "".join(letter for bit, letter in enumerate(_FLAG_LETTERS) if flags >> bit & 1)
    for flags in range(1 << len(_FLAG_LETTERS))
]

#: what almost every packet of a connection with timestamps carries: NOP NOP, timestamps
_ALIGNED_TIMESTAMPS = b"\x01\x01\x08\x0a"
_TWO_NUMBERS = struct.Struct(">II")

#: bytes that the timestamps option takes in every segment, with its padding (RFC 7323, appendix A)
TIMESTAMPS_LENGTH = 12


class Options(NamedTuple):
    """The options of a TCP header that the analysis needs."""

    mss: int | None = None
    window_scale: int | None = None
    timestamps: tuple[int, int] | None = None  #: TSval, TSecr
    sack: tuple[tuple[int, int], ...] = ()  #: (left, right), as on the wire


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """What the two ends agreed on when the connection was opened."""

    start_ns: int
    """Simulated time of the first SYN, nanoseconds."""
    iss: int
    """Initial sequence number of the sender."""
    irs: int | None
    """Initial sequence number of the receiver; None if it never answered."""
    mss_syn: int | None
    """MSS option of the SYN, bytes; None without one."""
    mss_synack: int | None
    """MSS option of the SYN-ACK, bytes; None without one."""
    timestamps: bool
    """Whether both ends offered timestamps."""
    wscale_snd: int | None
    """Window scale of the sender (its SYN's option), bits; None if it offered none."""
    wscale_rcv: int | None
    """Window scale of the receiver (its SYN-ACK's option), bits; None if it offered none."""

    @property
    def segment_size(self) -> int:
        """Payload of a full segment, bytes: the smaller MSS less the timestamps option.

        Without an MSS option the default of RFC 9293 holds, 536 bytes.
        """
        mss = min(536 if m is None else m for m in (self.mss_syn, self.mss_synack))
        return mss - (TIMESTAMPS_LENGTH if self.timestamps else 0)


class Flow(NamedTuple):
    """The addresses and ports of a connection."""

    sender: tuple[bytes, int]
    receiver: tuple[bytes, int]

    def direction(self, segment: Segment) -> str | None:
        """Return SENT or RECEIVED, or None if the segment belongs to another connection."""
        ends = (
            (segment.source, segment.source_port),
            (segment.destination, segment.destination_port),
        )
        if ends == (self.sender, self.receiver):
            return SENT
        if ends == (self.receiver, self.sender):
            return RECEIVED
        return None


class PacketList(NamedTuple):
    """A connection as it was seen at one point."""

    flow: Flow
    handshake: Handshake
    packets: pd.DataFrame  #: as described in this module's docstring


class _Unwrapper:
    """Turns 32-bit sequence numbers into relative ones that don't wrap."""

    def __init__(self, origin: int) -> None:
        self._origin = origin
        self._last = 0

    def peek(self, number: int) -> int:
        """Return the relative number that lies nearest to the last one."""
        return self._last + _signed(number - self._origin - self._last)

    def next(self, number: int) -> int:
        """As `peek`, and makes it the last one."""
        self._last = self.peek(number)
        return self._last


def _signed(difference: int) -> int:
    """Return a difference modulo 2^32 as -2^31 … 2^31-1 (RFC 9293, 3.4)."""
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def find_flow(segments: Iterable[Segment], port: int | None = None) -> Flow | None:
    """Return the connection that is opened first (at the given port); None if there is none."""
    for s in segments:
        if s.flags & (_SYN | _ACK) == _SYN and port in (None, s.destination_port):
            return Flow((s.source, s.source_port), (s.destination, s.destination_port))
    return None


def packet_list(capture: Capture, port: int | None = None) -> PacketList:
    """Return the packet list of the first connection in a capture.

    `port`: of the receiver, where the capture holds several connections. A SYN that is answered
    late and sent again still is the same connection.

    Raises CaptureError where the capture doesn't show the connection's SYN or is damaged.
    """
    segments = list(tcp_segments(capture))
    flow = find_flow(segments, port)
    if flow is None:
        which = "" if port is None else f" to port {port}"
        seen = f"these {len(capture.records)} packets"
        message = f"{capture.path}: no TCP connection{which} is opened in {seen} (there is no SYN)"
        raise CaptureError(message)
    handshake = _handshake(segments, flow)
    rows = list(_rows(segments, flow, handshake))
    packets = pd.DataFrame(rows, columns=list(COLUMN_TYPES), dtype="object").astype(COLUMN_TYPES)
    return PacketList(flow, handshake, packets)


def dropped_segments(capture: Capture, sender: PacketList) -> pd.DataFrame:
    """Return what the sender sent and a queue dropped: columns t_ns, seq (relative), len.

    `capture`: of the dropped packets only, at any link; it need not hold the SYN, whose number
    comes from `sender`, the packet list at the sender. Other connections' packets and those of the
    way back are left out.
    """
    sent = sender.packets[sender.packets["dir"] == SENT]
    times, seqs = sent["t_ns"].to_numpy(), sent["seq"].to_numpy()
    rows = []
    for segment in tcp_segments(capture):
        if sender.flow.direction(segment) == SENT:
            # Near to what was sent last: so a number is unwrapped however much lies between drops.
            last = int(seqs[max(0, int(times.searchsorted(segment.t_ns, side="right")) - 1)])
            seq = last + _signed(segment.seq - sender.handshake.iss - last)
            rows.append((segment.t_ns, seq, segment.length))
    return pd.DataFrame(rows, columns=["t_ns", "seq", "len"], dtype="int64")


def parse_options(options: bytes) -> Options:
    """Read the options of a TCP header; damaged ones end the list, as in a real stack."""
    if len(options) == TIMESTAMPS_LENGTH and options.startswith(_ALIGNED_TIMESTAMPS):
        return Options(timestamps=_TWO_NUMBERS.unpack_from(options, 4))
    mss = window_scale = timestamps = None
    sack: tuple[tuple[int, int], ...] = ()
    for option in dpkt.tcp.parse_opts(options):
        if option is None:
            break
        kind, value = option
        if kind == dpkt.tcp.TCP_OPT_MSS and len(value) == 2:
            mss = int.from_bytes(value, "big")
        elif kind == dpkt.tcp.TCP_OPT_WSCALE and len(value) == 1:
            window_scale = min(value[0], 14)  # RFC 7323, 2.3: more than 14 counts as 14
        elif kind == dpkt.tcp.TCP_OPT_SACK and len(value) % 8 == 0:
            sack = tuple(_TWO_NUMBERS.iter_unpack(value))
        elif kind == dpkt.tcp.TCP_OPT_TIMESTAMP and len(value) == 8:
            timestamps = _TWO_NUMBERS.unpack(value)
    return Options(mss, window_scale, timestamps, sack)


def _handshake(segments: list[Segment], flow: Flow) -> Handshake:
    syn = synack = first_answer = None
    for segment in segments:
        direction = flow.direction(segment)
        if direction == SENT and syn is None and segment.flags & _SYN:
            syn = segment
        elif direction == RECEIVED and syn is not None:  # before that, it answers something else
            first_answer = first_answer or segment
            if segment.flags & _SYN:
                synack = segment
                break
    assert syn is not None  # the flow was found by its SYN
    of_syn = parse_options(syn.options)
    of_synack = Options() if synack is None else parse_options(synack.options)
    answer = synack or first_answer
    return Handshake(
        start_ns=syn.t_ns,
        iss=syn.seq,
        irs=None if answer is None else answer.seq,
        mss_syn=of_syn.mss,
        mss_synack=of_synack.mss,
        timestamps=of_syn.timestamps is not None and of_synack.timestamps is not None,
        wscale_snd=of_syn.window_scale,
        wscale_rcv=of_synack.window_scale,
    )


def _rows(
    segments: Iterable[Segment], flow: Flow, handshake: Handshake
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a packet list, in the order of COLUMN_TYPES."""
    # One unwrapper for each host's numbers in each role: an ACK may lag far behind the data.
    irs = handshake.irs or 0
    seqs = {SENT: _Unwrapper(handshake.iss), RECEIVED: _Unwrapper(irs)}
    acks = {SENT: _Unwrapper(irs), RECEIVED: _Unwrapper(handshake.iss)}
    shifts = {SENT: 0, RECEIVED: 0}
    if handshake.wscale_snd is not None and handshake.wscale_rcv is not None:
        shifts = {SENT: handshake.wscale_snd, RECEIVED: handshake.wscale_rcv}
    sent_up_to = 0
    for segment in segments:
        direction = flow.direction(segment)
        if direction is None:
            continue
        options = parse_options(segment.options)
        tsval, tsecr = options.timestamps or (None, None)
        seq = seqs[direction].next(segment.seq)
        ack = acks[direction].next(segment.ack) if segment.flags & _ACK else None
        rtx = None
        if direction == SENT and segment.length:
            rtx = int(seq < sent_up_to)
            sent_up_to = max(sent_up_to, seq + segment.length)
        # RFC 7323, 2.2: the window in a SYN is never scaled.
        shift = 0 if segment.flags & _SYN else shifts[direction]
        sacked = acks[direction].peek
        yield (
            segment.t_ns,
            direction,
            _FLAG_NAMES[segment.flags],
            seq,
            ack,
            segment.length,
            segment.window << shift,
            tsval,
            tsecr,
            rtx,
            " ".join(f"{sacked(left)}-{sacked(right)}" for left, right in options.sack),
        )
