# SPDX-License-Identifier: GPL-2.0-only
"""Captures for the tests of the analysis, made with dpkt."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dpkt
import pandas as pd

ETHERNET, PPP, RAW = 1, 9, 101
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
DATA = Path(__file__).parent.parent / "validation" / "reference" / "nsc" / "A1_q20_sack"

_IPV4 = {True: b"\x0a\x00\x00\x01", False: b"\x0a\x00\x02\x02"}
_IPV6 = {True: bytes(15) + b"\x01", False: bytes(15) + b"\x02"}
SENDER_PORT, RECEIVER_PORT = 49152, 5001


def timestamps(value: int, echo: int) -> bytes:
    return b"\x01\x01\x08\x0a" + struct.pack(">II", value, echo)


def sack(*blocks: tuple[int, int]) -> bytes:
    edges = b"".join(struct.pack(">II", left % 2**32, right % 2**32) for left, right in blocks)
    return b"\x01\x01\x05" + bytes([2 + len(edges)]) + edges


def syn_options(mss: int = 1460, window_scale: int | None = None, stamps: bytes = b"") -> bytes:
    scale = b"" if window_scale is None else b"\x01\x03\x03" + bytes([window_scale])
    return b"\x02\x04" + struct.pack(">H", mss) + stamps + scale


def packet(
    *,
    sent: bool,
    flags: int,
    seq: int,
    ack: int = 0,
    length: int = 0,
    window: int = 1000,
    options: bytes = b"",
    ports: tuple[int, int] = (SENDER_PORT, RECEIVER_PORT),
    ipv6: bool = False,
) -> bytes:
    """Return an IP packet from the sender (or the receiver) of a connection."""
    source, destination = ports if sent else ports[::-1]
    tcp = dpkt.tcp.TCP(
        sport=source,
        dport=destination,
        seq=seq % 2**32,
        ack=ack % 2**32,
        flags=flags,
        win=window,
        opts=options,
        data=bytes(length),
    )
    tcp.off = 5 + len(options) // 4
    if ipv6:
        ip6 = dpkt.ip6.IP6(src=_IPV6[sent], dst=_IPV6[not sent], nxt=6, data=tcp)
        ip6.plen = len(bytes(tcp))
        return bytes(ip6)
    return bytes(dpkt.ip.IP(src=_IPV4[sent], dst=_IPV4[not sent], p=6, data=tcp))


def framed(ip_packet: bytes, link: int) -> bytes:
    ipv6 = ip_packet[0] >> 4 == 6
    if link == ETHERNET:
        kind = b"\x86\xdd" if ipv6 else b"\x08\x00"
        # Padded as a real NIC does it: the padding is no payload.
        return (bytes(12) + kind + ip_packet).ljust(60, b"\xaa")
    if link == PPP:
        return (b"\x00\x57" if ipv6 else b"\x00\x21") + ip_packet
    return ip_packet


def write_capture(
    path: Path,
    packets: Iterable[tuple[int, bytes]],
    link: int = ETHERNET,
    *,
    nanoseconds: bool = True,
) -> Path:
    """Write (time in ns, IP packet) as a capture and return its path."""
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, snaplen=65535, linktype=link, nano=nanoseconds)
        for t_ns, ip_packet in packets:
            writer.writepkt_time(framed(ip_packet, link), Decimal(t_ns) / 10**9)
    return path


def handshake(iss: int = 1000, irs: int = 5000, **of_packet: Any) -> list[tuple[int, bytes]]:
    """Return the three packets that open a connection at 1.0 s, with the MSS as only option."""
    mss = {"options": syn_options(), **of_packet}
    syn = packet(sent=True, flags=SYN, seq=iss, **mss)
    synack = packet(sent=False, flags=SYN | ACK, seq=irs, ack=iss + 1, **mss)
    ack = packet(sent=True, flags=ACK, seq=iss + 1, ack=irs + 1, **of_packet)
    return [(1_000_000_000, syn), (1_050_000_000, synack), (1_050_000_000, ack)]


def data(
    t_ns: int, relative_seq: int, length: int = 1000, iss: int = 1000, irs: int = 5000
) -> tuple[int, bytes]:
    """Return a data segment of the sender."""
    segment = packet(sent=True, flags=ACK, seq=iss + relative_seq, ack=irs + 1, length=length)
    return t_ns, segment


def acknowledgement(
    t_ns: int, relative_ack: int, options: bytes = b"", iss: int = 1000, irs: int = 5000
) -> tuple[int, bytes]:
    """Return an acknowledgement of the receiver."""
    segment = packet(sent=False, flags=ACK, seq=irs + 1, ack=iss + relative_ack, options=options)
    return t_ns, segment


def reference_packets(
    table: pd.DataFrame, iss: int, irs: int, window_scale: int
) -> Iterator[tuple[int, bytes]]:
    """Return the packets of a packet list as they were on the wire."""
    bits = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK}
    for row in table.itertuples():
        sent = row.dir == "S>R"
        mine, other = (iss, irs) if sent else (irs, iss)
        if "S" in row.flags:
            options = syn_options(
                1460, window_scale, timestamps(row.tsval, row.tsecr)[2:] + b"\x04\x02"
            )
            window = row.win_bytes
        else:
            options, window = timestamps(row.tsval, row.tsecr), row.win_bytes >> window_scale
            if row.sack:
                blocks = [[other + int(n) for n in b.split("-")] for b in row.sack.split()]
                options += sack(*((left, right) for left, right in blocks))
        yield (
            row.t_ns,
            packet(
                sent=sent,
                flags=sum(bits[letter] for letter in row.flags),
                seq=mine + row.seq,
                ack=0 if row.ack is pd.NA else other + row.ack,
                length=row.len,
                window=window,
                options=options,
            ),
        )


def through_a1(
    sent: Iterable[tuple[int, bytes]],
) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
    """Send packets through A1's links and return what arrives and what the queue drops."""
    arrivals, drops = [], []
    access_free = bottleneck_free = 0
    begins: list[int] = []  # of transmissions on the bottleneck
    for t_ns, ip_packet in sent:
        bits = (len(ip_packet) + 2) * 8
        access_free = max(access_free, t_ns) + bits * 10
        at_router = access_free + 5_000_000
        begins = [begin for begin in begins if begin > at_router]
        if len(begins) == 20:
            drops.append((at_router, ip_packet))
            continue
        begins.append(max(bottleneck_free, at_router))
        bottleneck_free = begins[-1] + bits * 500
        arrivals.append((bottleneck_free + 20_000_000, ip_packet))
    return arrivals, drops
