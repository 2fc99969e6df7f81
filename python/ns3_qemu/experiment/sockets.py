# SPDX-License-Identifier: GPL-2.0-only
"""A guest's TCP sockets, as ss(8) sees and ends them: sock_diag(7) over netlink."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
_NETLINK_SOCK_DIAG = 4
_BY_FAMILY, _DESTROY = 20, 21
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_INFO = 2
_HEADER = struct.Struct("=IHHII")
_SOCKET = struct.Struct("=BBBB48sIIIII")  # struct inet_diag_msg; the 48 bytes are its id
_ID = struct.Struct(">HH16s16s")
_LISTEN = 10

# linux/tcp.h. Kernels only ever append to struct tcp_info: what one has not is not told.
_FIELDS = {
    "rto_us": (8, "=I"),
    "mss": (16, "=I"),
    "unacked": (24, "=I"),
    "lost": (32, "=I"),
    "retrans": (36, "=I"),
    "srtt_us": (68, "=I"),
    "rttvar_us": (72, "=I"),
    "ssthresh": (76, "=I"),
    "cwnd": (80, "=I"),
    "total_retrans": (100, "=I"),
    "pacing_rate": (104, "=Q"),
    "bytes_acked": (120, "=Q"),
    "bytes_received": (128, "=Q"),
    "min_rtt_us": (148, "=I"),
    "delivery_rate": (160, "=Q"),
}
_UNLIMITED = (1 << 64) - 1


@dataclass(frozen=True)
class TcpSocket:
    """A TCP socket that has a peer."""

    flow: str
    """ADDRESS:PORT>ADDRESS:PORT, its own first."""
    state: int
    ca_state: int | None
    info: dict[str, int]


def tcp_sockets(machine: Any) -> list[TcpSocket]:
    """Return the connections of a guest, in the order of their names."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        for state, identity, attributes in _dump(machine, family):
            raw = attributes.get(_INFO, b"")
            info = {
                name: struct.unpack_from(form, raw, offset)[0]
                for name, (offset, form) in _FIELDS.items()
                if offset + struct.calcsize(form) <= len(raw)
            }
            found.append(
                TcpSocket(_flow(family, identity), state, raw[1] if len(raw) > 1 else None, info)
            )
    return sorted(found, key=lambda each: each.flow)


def destroy_all(machine: Any) -> None:
    """End all TCP connections of a guest, without a word to their programs' peers if unplugged."""
    for family in (socket.AF_INET, socket.AF_INET6):
        for _, identity, _ in _dump(machine, family):
            request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 0) + identity
            _ask(machine, _DESTROY, _ACK, request)


def _flow(family: int, identity: bytes) -> str:
    sport, dport, source, target = _ID.unpack_from(identity)

    def end(raw: bytes, port: int) -> str:
        if family == socket.AF_INET:
            return f"{ipaddress.IPv4Address(raw[:4])}:{port}"
        address = ipaddress.IPv6Address(raw)
        return f"{address.ipv4_mapped}:{port}" if address.ipv4_mapped else f"[{address}]:{port}"

    return f"{end(source, sport)}>{end(target, dport)}"


def _dump(machine: Any, family: int) -> Iterator[tuple[int, bytes, dict[int, bytes]]]:
    states = 0xFFF & ~(1 << _LISTEN)
    request = struct.pack(
        "=BBBBI48s", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, states, bytes(48)
    )
    for payload in _messages(_ask(machine, _BY_FAMILY, _DUMP, request)):
        if len(payload) >= _SOCKET.size:
            _, state, _, _, identity, *_ = _SOCKET.unpack_from(payload)
            yield state, identity, _attributes(payload[_SOCKET.size :])


def _ask(machine: Any, kind: int, flags: int, request: bytes) -> bytes:
    header = _HEADER.pack(_HEADER.size + len(request), kind, _REQUEST | flags, 1, 0)
    return bytes(machine.Netlink(_NETLINK_SOCK_DIAG, header + request))


def _messages(data: bytes) -> Iterator[bytes]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if not _HEADER.size <= length <= len(data):
            return
        if kind not in (_ERROR, _DONE):
            yield data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if not 4 <= length <= len(data):
            break
        found[kind] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def is_limited(rate: int) -> bool:
    """Say whether a pacing rate is one."""
    return rate != _UNLIMITED
