# SPDX-License-Identifier: GPL-2.0-only
"""Read the TCP headers of a pcap capture, with exact times and nothing silently left out.

The packets are dpkt's to decode. The file format itself
(https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html) is read here, because dpkt's reader
hides what a measurement needs: whether the last packet is whole, and how long a packet was on the
wire. Times are integer nanoseconds throughout.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dpkt

from .errors import CaptureError

_FILE_HEADER_LENGTH = 24
_RECORD_HEADER_LENGTH = 16

_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"

#: first four bytes of the file -> (byte order, nanoseconds in one unit of the sub-second field)
_FORMATS = {
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
}

ETHERNET, PPP, RAW, IPV4, IPV6 = 1, 9, 101, 228, 229
_LINK_TYPES = {
    ETHERNET: "Ethernet",
    PPP: "PPP",
    RAW: "raw IP",
    IPV4: "raw IPv4",
    IPV6: "raw IPv6",
}

_PPP_PROTOCOLS = (b"\x00\x21", b"\x00\x57")  # IPv4, IPv6 (RFC 1332, RFC 5072)
_PPP_ADDRESS_CONTROL = b"\xff\x03"  # RFC 1662; ns-3's PPP header leaves it out


class Record(NamedTuple):
    """One captured frame."""

    number: int  #: counted from 1, as Wireshark does
    t_ns: int  #: simulated time, nanoseconds
    frame: bytes  #: as much of it as was captured
    wire_length: int  #: bytes that it had


class Capture(NamedTuple):
    """A capture file, whole in memory."""

    path: Path
    link_type: int
    records: list[Record]


class Segment(NamedTuple):
    """The TCP header of one packet (RFC 9293), sequence numbers as they are on the wire."""

    t_ns: int
    source: bytes  #: address, 4 or 16 bytes
    source_port: int
    destination: bytes
    destination_port: int
    flags: int  #: bits as in the header, FIN = 1
    seq: int
    ack: int
    length: int  #: payload, bytes
    window: int  #: as in the header, not scaled
    options: bytes


def read_capture(path: Path, *, any_link: bool = False) -> Capture:
    """Read a pcap file of micro- or nanoseconds, of either byte order.

    `any_link`: also one of a link type whose packets are not decoded here (Wi-Fi).

    Raises CaptureError where the file is no pcap, ends within a packet or has an unsupported link
    type, and OSError where it can't be read.
    """
    data = path.read_bytes()
    byte_order, unit_ns, link_type = _file_header(path, data)
    if link_type not in _LINK_TYPES and not any_link:
        raise _unknown_link(path, link_type)
    record_header = struct.Struct(byte_order + "IIII")
    records: list[Record] = []
    position = _FILE_HEADER_LENGTH
    while position < len(data):
        number = len(records) + 1
        begin = position + _RECORD_HEADER_LENGTH
        if begin > len(data):
            message = f"{path}: ends within the header of packet {number}"
            raise CaptureError(message, _INCOMPLETE)
        seconds, fraction, captured, wire_length = record_header.unpack_from(data, position)
        position = begin + captured
        if captured > wire_length:
            message = f"{path}: packet {number} has {captured} bytes captured of {wire_length}"
            raise CaptureError(message)
        if position > len(data):
            there = f"{len(data) - begin} of {captured} bytes"
            message = f"{path}: ends within packet {number}, after {there}"
            raise CaptureError(message, _INCOMPLETE)
        t_ns = seconds * 1_000_000_000 + fraction * unit_ns
        records.append(Record(number, t_ns, data[begin:position], wire_length))
    return Capture(path, link_type, records)


def tcp_segments(capture: Capture) -> Iterator[Segment]:
    """Yield the TCP segments of a capture in its order and pass over everything else.

    Raises CaptureError where a packet contradicts itself, or where a TCP packet is a fragment or
    was captured without its whole header: a result that leaves such packets out would be wrong.
    """
    for record in capture.records:
        try:
            ip = _ip_packet(capture.link_type, record.frame)
        except dpkt.UnpackError as error:
            raise _unusable(capture, record, f"its IP header is damaged ({error})") from None
        if ip is None or ip.p != dpkt.ip.IP_PROTO_TCP:
            continue
        if isinstance(ip, dpkt.ip.IP):
            is_fragment = bool(ip.mf or ip.offset)
            ip_payload_length = ip.len - ip.hl * 4
        else:
            is_fragment = dpkt.ip.IP_PROTO_FRAGMENT in ip.extension_hdrs
            ip_payload_length = ip.plen - sum(h.length for h in ip.all_extension_headers)
        if is_fragment:
            raise _unusable(capture, record, "it is a fragment of a TCP packet")
        tcp = ip.data
        if not isinstance(tcp, dpkt.tcp.TCP) or len(tcp.opts) != tcp.off * 4 - tcp.__hdr_len__:
            raise _unusable(capture, record, "its TCP header is damaged or captured only in part")
        # From the IP header, because less of the payload may have been captured than there was.
        length = ip_payload_length - tcp.off * 4
        if not 0 <= length <= record.wire_length:
            raise _unusable(capture, record, "its lengths contradict each other")
        yield Segment(
            record.t_ns,
            ip.src,
            tcp.sport,
            ip.dst,
            tcp.dport,
            tcp.flags,
            tcp.seq,
            tcp.ack,
            length,
            tcp.win,
            tcp.opts,
        )


_INCOMPLETE = "Was the simulation ended before its time? Let it end by itself, or run it again."


def _file_header(path: Path, data: bytes) -> tuple[str, int, int]:
    """Return byte order, nanoseconds in a unit of time, and link type."""
    if data[:4] == _PCAPNG_MAGIC:
        message = f"{path}: this is pcapng, not pcap"
        raise CaptureError(message, f"Convert it: editcap -F nsecpcap {path.name} OUT.pcap")
    if data[:4] not in _FORMATS:
        message = f"{path}: no pcap file (it begins with {data[:4].hex(' ') or 'nothing'})"
        raise CaptureError(message)
    if len(data) < _FILE_HEADER_LENGTH:
        message = f"{path}: ends within the file header, after {len(data)} bytes"
        raise CaptureError(message, _INCOMPLETE)
    byte_order, unit_ns = _FORMATS[data[:4]]
    # The upper four bits tell the length of a frame check sequence.
    link_type: int = struct.unpack_from(byte_order + "I", data, 20)[0] & 0x0FFFFFFF
    return byte_order, unit_ns, link_type


def _unknown_link(path: Path, link_type: int) -> CaptureError:
    known = ", ".join(f"{name} ({number})" for number, name in _LINK_TYPES.items())
    message = f"{path}: link type {link_type} is not supported; supported are {known}"
    return CaptureError(message)


def _ip_packet(link_type: int, frame: bytes) -> Any:
    """Return the frame's dpkt.ip.IP or dpkt.ip6.IP6; None if it carries neither."""
    packet: Any = frame
    if link_type == ETHERNET:
        ethernet = dpkt.ethernet.Ethernet(frame)
        if ethernet.type not in (dpkt.ethernet.ETH_TYPE_IP, dpkt.ethernet.ETH_TYPE_IP6):
            return None
        packet = ethernet.data
    elif link_type == PPP:
        frame = frame.removeprefix(_PPP_ADDRESS_CONTROL)
        if frame[:2] not in _PPP_PROTOCOLS:
            return None
        packet = frame[2:]
    if not isinstance(packet, bytes):
        return packet
    # dpkt leaves bytes behind an Ethernet header where it couldn't decode them: fails again here.
    return dpkt.ip6.IP6(packet) if packet[:1] >= b"\x60" else dpkt.ip.IP(packet)


def _unusable(capture: Capture, record: Record, why: str) -> CaptureError:
    seen = f"{len(record.frame)} of its {record.wire_length} bytes captured"
    return CaptureError(f"{capture.path}: packet {record.number} can't be analysed: {why}; {seen}")
