# SPDX-License-Identifier: GPL-2.0-only
"""Decodes frames into fields, named as Wireshark's display filters name them.

Every bit of a frame is in a field, so frames with the same fields are the same frame: what is not
decoded is in `data` or `trailer` as it is. So headers are taken apart here and not by dpkt, which
guesses what a frame may be and leaves bytes out.

Beside a number as it is on the wire stands one that counts from its connection's first: `tcp.seq`
from the initial sequence number (RFC 9293), `tcp.options.timestamp.tsval_rel` from the first
timestamp of that host (RFC 7323). All are modulo 2^32.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence

import dpkt

from ..errors import did_you_mean
from .capture import ETHERNET, IPV4, IPV6, PPP, RAW, Capture, Record
from .compare import Value
from .errors import ResultError

FIELDS = (
    *("frame.time", "frame.len", "frame.cap_len"),
    *("eth.dst", "eth.src", "eth.type", "vlan.tci", "ppp.address_control", "ppp.protocol"),
    *("arp.hw.type", "arp.proto.type", "arp.hw.size", "arp.proto.size", "arp.opcode"),
    *("arp.src.hw", "arp.src.proto", "arp.dst.hw", "arp.dst.proto"),
    *("ip.version", "ip.hdr_len", "ip.dsfield.dscp", "ip.dsfield.ecn", "ip.len", "ip.id"),
    *("ip.flags", "ip.frag_offset", "ip.ttl", "ip.proto", "ip.checksum", "ip.src", "ip.dst"),
    "ip.options",
    *("ipv6.version", "ipv6.tclass.dscp", "ipv6.tclass.ecn", "ipv6.flow", "ipv6.plen"),
    *("ipv6.nxt", "ipv6.hlim", "ipv6.src", "ipv6.dst"),
    *("icmp.type", "icmp.code", "icmp.checksum", "icmp.rest"),
    *("icmpv6.type", "icmpv6.code", "icmpv6.checksum", "icmpv6.rest"),
    *("udp.srcport", "udp.dstport", "udp.length", "udp.checksum"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq", "tcp.seq_raw", "tcp.ack", "tcp.ack_raw"),
    *("tcp.hdr_len", "tcp.flags", "tcp.flags.res", "tcp.window_size_value", "tcp.checksum"),
    *("tcp.urgent_pointer", "tcp.options.kinds", "tcp.options.mss_val"),
    *("tcp.options.wscale.shift", "tcp.options.sack", "tcp.options.sack_raw"),
    *("tcp.options.timestamp.tsval", "tcp.options.timestamp.tsval_rel"),
    *("tcp.options.timestamp.tsecr", "tcp.options.timestamp.tsecr_rel"),
    *("tcp.options.unknown", "tcp.options.padding"),
    *("data.len", "data", "trailer"),
)
"""All fields, in the order of a packet. Addresses, sizes, ports: as usual; what is text and no
address is in hexadecimal digits."""

RELATIVE = (
    *("tcp.seq_raw", "tcp.ack_raw", "tcp.options.sack_raw", "tcp.options.timestamp.tsval"),
    *("tcp.options.timestamp.tsecr", "tcp.checksum", "ip.id", "ip.checksum"),
)
"""What a host draws at random, and the checksums over it: TCP's numbers remain as relative ones."""

_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
_ACK = 0x10
_SYN = 0x02

_VLAN_TYPES = (0x8100, 0x88A8)
_IP_TYPE, _IPV6_TYPE, _ARP_TYPE = 0x0800, 0x86DD, 0x0806
_PPP_TYPES = {0x0021: _IP_TYPE, 0x0057: _IPV6_TYPE}
_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58

_ARP = struct.Struct(">HHBBH6s4s6s4s")
_IP = struct.Struct(">BBHHHBBH4s4s")
_IP6 = struct.Struct(">IHBB16s16s")
_PORTS_TCP = struct.Struct(">HHIIHHHH")
_FOUR = struct.Struct(">HHHH")

_Fields = dict[str, Value]
_End = tuple[bytes, int]


def ignored_fields(names: Sequence[str]) -> frozenset[str]:
    """Return the fields that these names mean: "tcp.options" is all that begin with it.

    Raises ResultError for one that there is not.
    """
    found: set[str] = set()
    for name in names:
        meant = {field for field in FIELDS if field == name or field.startswith(f"{name}.")}
        if not meant:
            known = (*FIELDS, *(field.partition(".")[0] for field in FIELDS))
            hint = did_you_mean(name, known)
            message = f"there is no field {name!r} of a packet{hint}"
            raise ResultError(message, "" if hint else _ALL)
        found |= meant
    return frozenset(found)


_ALL = f"There are {', '.join(FIELDS)}."


class _Direction:
    """What the numbers of one host in one connection are relative to."""

    def __init__(self) -> None:
        self.isn: int | None = None
        self.tsval: int | None = None


class Dissector:
    """Decodes the packets of one capture in their order: it remembers where connections began."""

    def __init__(self, link_type: int, ignored: Collection[str] = ()) -> None:
        self._link_type = link_type
        self._ignored = ignored
        self._directions: dict[tuple[_End, _End], _Direction] = {}

    def fields(self, record: Record) -> Mapping[str, Value]:
        """Return the fields of a packet but for those that are ignored."""
        t_ns = record.t_ns
        fields: _Fields = {
            "frame.time": f"{t_ns // 10**9}.{t_ns % 10**9:09}",
            "frame.len": record.wire_length,
            "frame.cap_len": len(record.frame),
        }
        rest = self._link(record.frame, fields)
        if rest:
            fields["data.len"] = len(rest)
            fields["data"] = rest.hex()
        for name in self._ignored:
            fields.pop(name, None)
        return fields

    # Each takes what it knows off the front, writes fields, and returns the rest.

    def _link(self, frame: bytes, fields: _Fields) -> bytes:
        kind, rest = 0, frame
        if self._link_type == ETHERNET and len(frame) >= 14:
            fields["eth.dst"], fields["eth.src"] = frame[:6].hex(":"), frame[6:12].hex(":")
            kind, rest = _type(frame, 12), frame[14:]
            tags = []
            fields["eth.type"] = f"{kind:04x}"
            while kind in _VLAN_TYPES and len(rest) >= 4:
                tags.append(rest[:4].hex())
                kind, rest = _type(rest, 2), rest[4:]
            if tags:
                fields["vlan.tci"] = " ".join(tags)
        elif self._link_type == PPP and len(frame) >= 2:
            if frame[:2] == b"\xff\x03" and len(frame) >= 4:
                fields["ppp.address_control"], rest = "ff03", frame[2:]
            fields["ppp.protocol"] = rest[:2].hex()
            kind, rest = _PPP_TYPES.get(_type(rest, 0), 0), rest[2:]
        elif self._link_type in (RAW, IPV4, IPV6) and frame:
            kind = {4: _IP_TYPE, 6: _IPV6_TYPE}.get(frame[0] >> 4, 0)
        if kind == _ARP_TYPE:
            return _arp(rest, fields)
        if kind == _IP_TYPE:
            return self._ip(rest, fields)
        if kind == _IPV6_TYPE:
            return self._ipv6(rest, fields)
        return rest

    def _ip(self, packet: bytes, fields: _Fields) -> bytes:
        header = (packet[0] & 15) * 4 if packet else 0
        if not _IP.size <= header <= len(packet):
            return packet
        first, tos, length, number, fragment, ttl, protocol, checksum, source, destination = (
            _IP.unpack_from(packet)
        )
        fields |= {
            "ip.version": first >> 4,
            "ip.hdr_len": header,
            "ip.dsfield.dscp": tos >> 2,
            "ip.dsfield.ecn": tos & 3,
            "ip.len": length,
            "ip.id": number,
            "ip.flags": fragment >> 13,
            "ip.frag_offset": (fragment & 0x1FFF) * 8,
            "ip.ttl": ttl,
            "ip.proto": protocol,
            "ip.checksum": f"{checksum:04x}",
            "ip.src": str(ipaddress.IPv4Address(source)),
            "ip.dst": str(ipaddress.IPv4Address(destination)),
        }
        if header > _IP.size:
            fields["ip.options"] = packet[_IP.size : header].hex()
        end = length if header <= length <= len(packet) else len(packet)
        if packet[end:]:
            fields["trailer"] = packet[end:].hex()
        payload = packet[header:end]
        if fragment & 0x1FFF:  # the header was in the first fragment
            return payload
        return self._transport(protocol, source, destination, payload, fields)

    def _ipv6(self, packet: bytes, fields: _Fields) -> bytes:
        if len(packet) < _IP6.size:
            return packet
        first, length, protocol, hops, source, destination = _IP6.unpack_from(packet)
        fields |= {
            "ipv6.version": first >> 28,
            "ipv6.tclass.dscp": first >> 22 & 0x3F,
            "ipv6.tclass.ecn": first >> 20 & 3,
            "ipv6.flow": f"{first & 0xFFFFF:05x}",
            "ipv6.plen": length,
            "ipv6.nxt": protocol,
            "ipv6.hlim": hops,
            "ipv6.src": str(ipaddress.IPv6Address(source)),
            "ipv6.dst": str(ipaddress.IPv6Address(destination)),
        }
        end = min(_IP6.size + length, len(packet)) if length else len(packet)
        if packet[end:]:
            fields["trailer"] = packet[end:].hex()
        # What has extension headers is left as it is.
        return self._transport(protocol, source, destination, packet[_IP6.size : end], fields)

    def _transport(
        self, protocol: int, source: bytes, destination: bytes, segment: bytes, fields: _Fields
    ) -> bytes:
        if protocol == _TCP:
            return self._tcp(source, destination, segment, fields)
        if protocol in (_ICMP, _ICMPV6) and len(segment) >= 8:
            name = "icmp" if protocol == _ICMP else "icmpv6"
            fields[f"{name}.type"], fields[f"{name}.code"] = segment[0], segment[1]
            fields[f"{name}.checksum"] = segment[2:4].hex()
            fields[f"{name}.rest"] = segment[4:8].hex()
            return segment[8:]
        if protocol == _UDP and len(segment) >= _FOUR.size:
            ports = _FOUR.unpack_from(segment)
            fields["udp.srcport"], fields["udp.dstport"], fields["udp.length"] = ports[:3]
            fields["udp.checksum"] = f"{ports[3]:04x}"
            return segment[_FOUR.size :]
        return segment

    def _tcp(self, source: bytes, destination: bytes, segment: bytes, fields: _Fields) -> bytes:
        header = (segment[12] >> 4) * 4 if len(segment) >= _PORTS_TCP.size else 0
        if not _PORTS_TCP.size <= header <= len(segment):
            return segment
        sport, dport, seq, ack, bits, window, checksum, urgent = _PORTS_TCP.unpack_from(segment)
        here, there = (source, sport), (destination, dport)
        mine = self._directions.setdefault((here, there), _Direction())
        peer = self._directions.setdefault((there, here), _Direction())
        if bits & _SYN and not bits & _ACK:  # a new connection, perhaps of the ports of another
            mine.tsval = peer.tsval = peer.isn = None
        if mine.isn is None or bits & _SYN:  # after that: a port may speak to itself
            mine.isn = seq
        if peer.isn is None and bits & _ACK:
            peer.isn = ack
        fields |= {
            "tcp.srcport": sport,
            "tcp.dstport": dport,
            "tcp.seq": seq - mine.isn & 0xFFFFFFFF,
            "tcp.seq_raw": seq,
            "tcp.ack": ack - (peer.isn or 0) & 0xFFFFFFFF,
            "tcp.ack_raw": ack,
            "tcp.hdr_len": header,
            "tcp.flags": ",".join(name for bit, name in enumerate(_FLAGS) if bits >> bit & 1),
            "tcp.flags.res": bits >> 9 & 7,
            "tcp.window_size_value": window,
            "tcp.checksum": f"{checksum:04x}",
            "tcp.urgent_pointer": urgent,
        }
        _options(segment[_PORTS_TCP.size : header], mine, peer, fields)
        return segment[header:]


def packets(capture: Capture, ignored: Collection[str] = ()) -> Iterator[Mapping[str, Value]]:
    """Yield the fields of each packet of a capture but for those that are ignored."""
    dissector = Dissector(capture.link_type, ignored)
    return (dissector.fields(record) for record in capture.records)


def one_line(fields: Mapping[str, Value]) -> str:
    """Return what people look for in a packet: time, ends, what it is."""
    words = [f"{fields['frame.time']} s" if "frame.time" in fields else ""]
    words.append(_ends(fields))
    if "tcp.flags" in fields:
        numbers = {"seq": "tcp.seq", "ack": "tcp.ack", "win": "tcp.window_size_value"}
        said = [f"{name} {fields[field]}" for name, field in numbers.items() if field in fields]
        words.append(f"TCP [{fields['tcp.flags']}] {' '.join(said)}")
        if fields.get("tcp.options.sack"):
            words.append(f"sack {fields['tcp.options.sack']}")
    elif "udp.length" in fields:
        words.append("UDP")
    elif "icmp.type" in fields or "icmpv6.type" in fields:
        name = "icmp" if "icmp.type" in fields else "icmpv6"
        words.append(f"{name.upper()} type {fields[f'{name}.type']}")
    elif "arp.opcode" in fields:
        asked = "asks for" if fields["arp.opcode"] == 1 else "tells"
        words.append(f"ARP: {fields.get('arp.src.proto')} {asked} {fields.get('arp.dst.proto')}")
    elif "eth.type" in fields:
        words.append(f"Ethernet type {fields['eth.type']}")
    words.append(f"len {fields.get('data.len', 0)}")
    return "  ".join(word for word in words if word)


def _ends(fields: Mapping[str, Value]) -> str:
    ends = []
    for side, port in (("src", "srcport"), ("dst", "dstport")):
        address = fields.get(f"ip.{side}") or fields.get(f"ipv6.{side}")
        if address is None:
            address = fields.get(f"eth.{side}")
        number = fields.get(f"tcp.{port}", fields.get(f"udp.{port}"))
        ends.append(f"{address or '?'}" + ("" if number is None else f".{number}"))
    return " > ".join(ends)


def _type(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _arp(packet: bytes, fields: _Fields) -> bytes:
    if len(packet) < _ARP.size or packet[4:6] != b"\x06\x04":
        return packet
    hardware, protocol, hardware_size, protocol_size, operation, *ends = _ARP.unpack_from(packet)
    fields |= {
        "arp.hw.type": hardware,
        "arp.proto.type": protocol,
        "arp.hw.size": hardware_size,
        "arp.proto.size": protocol_size,
        "arp.opcode": operation,
        "arp.src.hw": ends[0].hex(":"),
        "arp.src.proto": str(ipaddress.IPv4Address(ends[1])),
        "arp.dst.hw": ends[2].hex(":"),
        "arp.dst.proto": str(ipaddress.IPv4Address(ends[3])),
    }
    return packet[_ARP.size :]


def _options(options: bytes, mine: _Direction, peer: _Direction, fields: _Fields) -> None:
    """Write a TCP header's options. What is of no known kind, or length, stays as it is."""
    kinds, unknown, at = [], [], 0
    while at < len(options):
        kind = options[at]
        kinds.append(str(kind))
        if kind == dpkt.tcp.TCP_OPT_EOL:
            at += 1
            break
        if kind == dpkt.tcp.TCP_OPT_NOP:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            break
        if not _option(kind, options[at + 2 : at + length], mine, peer, fields):
            unknown.append(options[at : at + length].hex())
        at += length
    if kinds:
        fields["tcp.options.kinds"] = " ".join(kinds)
    if unknown:
        fields["tcp.options.unknown"] = " ".join(unknown)
    if options[at:]:
        fields["tcp.options.padding"] = options[at:].hex()


def _option(kind: int, value: bytes, mine: _Direction, peer: _Direction, fields: _Fields) -> bool:
    """Write an option; return False if it is none of those that have fields, or the second such."""
    size = len(value)
    if kind == dpkt.tcp.TCP_OPT_MSS and size == 2 and "tcp.options.mss_val" not in fields:
        fields["tcp.options.mss_val"] = int.from_bytes(value, "big")
    elif kind == dpkt.tcp.TCP_OPT_WSCALE and size == 1 and _WSCALE not in fields:
        fields[_WSCALE] = value[0]
    elif kind == dpkt.tcp.TCP_OPT_SACK and size and size % 8 == 0 and _SACK not in fields:
        edges = struct.unpack(f">{size // 4}I", value)
        isn = peer.isn or 0
        fields[_SACK] = _blocks([edge - isn & 0xFFFFFFFF for edge in edges])
        fields[f"{_SACK}_raw"] = _blocks(edges)
    elif kind == dpkt.tcp.TCP_OPT_TIMESTAMP and size == 8 and f"{_STAMP}.tsval" not in fields:
        tsval, tsecr = struct.unpack(">II", value)
        if mine.tsval is None:
            mine.tsval = tsval
        fields[f"{_STAMP}.tsval"], fields[f"{_STAMP}.tsecr"] = tsval, tsecr
        fields[f"{_STAMP}.tsval_rel"] = tsval - mine.tsval & 0xFFFFFFFF
        fields[f"{_STAMP}.tsecr_rel"] = tsecr - (peer.tsval or 0) & 0xFFFFFFFF
    else:
        return False
    return True


_WSCALE = "tcp.options.wscale.shift"
_SACK = "tcp.options.sack"
_STAMP = "tcp.options.timestamp"


def _blocks(edges: Sequence[int]) -> str:
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return " ".join(f"{left}-{right}" for left, right in pairs)
