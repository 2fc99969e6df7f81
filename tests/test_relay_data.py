# SPDX-License-Identifier: GPL-2.0-only
"""Data through sockets that the simulation itself sends and receives, by the relay program."""

from __future__ import annotations

import array
import errno
import socket
import struct
import sys

import pytest

import relay_peer
from relay_peer import (
    BODY_MAX,
    ERROR,
    HANGUP,
    READABLE,
    WRITABLE,
    Ready,
    RelayProcess,
)
from relay_tools import connected, joined_to_us, pattern, with_errno

IP_PKTINFO, IP_RECVTOS, IP_RECVTTL = 8, 13, 12
IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_RECVPKTINFO = 51, 66, 49
SIOCINQ, SIOCOUTQ, FIONBIO, SIOCGIFMTU = 0x541B, 0x5411, 0x5421, 0x8921
ONE = struct.pack("i", 1)
BOTH = pytest.mark.parametrize(
    ("family", "address"),
    [
        pytest.param(socket.AF_INET, "127.0.0.1", id="IPv4"),
        pytest.param(socket.AF_INET6, "::1", id="IPv6"),
    ],
)


def bound(relay: RelayProcess, family: int = socket.AF_INET, address: str = "127.0.0.1") -> int:
    """Return a UDP socket of the relay's."""
    handle = relay.open_socket(family, socket.SOCK_DGRAM)
    relay.bind(handle, address)
    return handle


@BOTH
def test_connection_carries_data_both_ways(relay: RelayProcess, family: int, address: str) -> None:
    client, server = connected(relay, family, address)
    assert relay.send(client, b"to the server") == 13
    received = relay.receive_from(server)
    assert (received.data, received.sender, received.flags) == (b"to the server", None, 0)
    assert relay.send(server, b"to the client") == 13
    assert relay.receive_from(client, 6).data == b"to the"
    assert relay.receive_from(client, 100).data == b" client"


def test_receive_and_send_do_not_wait(relay: RelayProcess) -> None:
    client, server = connected(relay)
    with_errno(errno.EAGAIN, relay.receive_from, server)
    while relay.send(client, bytes(60_000)) == 60_000:
        pass
    with_errno(errno.EAGAIN, relay.send, client, b"more")


def test_send_takes_what_fits(relay: RelayProcess) -> None:
    client, server = connected(relay)
    sent = 0
    while (taken := relay.send(client, pattern(251 * 200)[sent % 251 :])) >= 251 * 199:
        sent += taken
    sent += taken
    received = b""
    while len(received) < sent:
        received += relay.receive_from(server).data
    assert received == pattern(sent)


def test_half_close(relay: RelayProcess) -> None:
    client, server = connected(relay)
    relay.send(client, b"last words")
    relay.shutdown(client, socket.SHUT_WR)
    assert relay.receive_from(server).data == b"last words"
    assert relay.receive_from(server).data == b""
    assert relay.send(server, b"answer") == 6
    assert relay.receive_from(client).data == b"answer"
    with_errno(errno.EPIPE, relay.send, client, b"x")


def test_peek_leaves_the_data(relay: RelayProcess) -> None:
    client, server = connected(relay)
    relay.send(client, b"data")
    assert relay.receive_from(server, 2, socket.MSG_PEEK).data == b"da"
    assert relay.receive_from(server).data == b"data"


def test_truncating_receive_on_a_connection_discards(relay: RelayProcess) -> None:
    client, server = connected(relay)
    relay.send(client, b"discarded, kept")
    received = relay.receive_from(server, 11, socket.MSG_TRUNC)
    assert (received.length, received.data) == (11, b"")
    assert relay.receive_from(server).data == b"kept"


def test_urgent_data(relay: RelayProcess) -> None:
    client, server = connected(relay)
    relay.send(client, b"normal!", socket.MSG_OOB)
    received = relay.receive_from(server, 1, socket.MSG_OOB)
    assert (received.data, received.flags & socket.MSG_OOB) == (b"!", socket.MSG_OOB)
    assert relay.receive_from(server).data == b"normal"
    with_errno(errno.EINVAL, relay.receive_from, server, 1, socket.MSG_OOB)


# --- datagrams


@BOTH
def test_datagram_names_its_sender(relay: RelayProcess, family: int, address: str) -> None:
    here, there = bound(relay, family, address), bound(relay, family, address)
    assert relay.send(there, b"datagram", to=relay.name(here)) == 8
    received = relay.receive_from(here)
    assert (received.data, received.sender) == (b"datagram", relay.name(there))
    assert received.length == 8
    assert (received.local, received.tos, received.ttl) == (None, None, None)


def test_datagram_that_is_cut_tells_its_length(relay: RelayProcess) -> None:
    here, there = bound(relay), bound(relay)
    relay.send(there, pattern(1000), to=relay.name(here))
    received = relay.receive_from(here, 10)
    assert (received.data, received.length) == (pattern(10), 1000)
    assert received.flags & socket.MSG_TRUNC
    with_errno(errno.EAGAIN, relay.receive_from, here)


def test_empty_datagram(relay: RelayProcess) -> None:
    here, there = bound(relay), bound(relay)
    assert relay.send(there, b"", to=relay.name(here)) == 0
    received = relay.receive_from(here)
    assert (received.data, received.sender) == (b"", relay.name(there))


@pytest.mark.parametrize(
    ("family", "address", "longest"),
    [
        pytest.param(socket.AF_INET, "127.0.0.1", 65507, id="IPv4"),
        pytest.param(socket.AF_INET6, "::1", 65527, id="IPv6"),
    ],
)
def test_longest_datagram(relay: RelayProcess, family: int, address: str, longest: int) -> None:
    here, there = bound(relay, family, address), bound(relay, family, address)
    assert relay.send(there, pattern(longest), to=relay.name(here)) == longest
    assert relay.receive_from(here).data == pattern(longest)
    with_errno(errno.EMSGSIZE, relay.send, there, bytes(longest + 1), 0, relay.name(here))


def test_datagram_without_a_target_is_edestaddrreq(relay: RelayProcess) -> None:
    with_errno(errno.EDESTADDRREQ, relay.send, bound(relay), b"x")


def test_ipv4_control_messages(relay: RelayProcess) -> None:
    here, there = bound(relay), bound(relay)
    for option in (IP_PKTINFO, IP_RECVTOS, IP_RECVTTL):
        relay.setsockopt(here, socket.IPPROTO_IP, option, ONE)
    relay.setsockopt(there, socket.IPPROTO_IP, socket.IP_TOS, struct.pack("i", 0x28))
    relay.setsockopt(there, socket.IPPROTO_IP, socket.IP_TTL, struct.pack("i", 17))
    relay.send(there, b"x", to=relay.name(here))
    received = relay.receive_from(here)
    assert (received.local, received.tos, received.ttl) == ("127.0.0.1", 0x28, 17)
    assert received.interface == socket.if_nametoindex("lo")


def test_ipv6_control_messages(relay: RelayProcess) -> None:
    here, there = bound(relay, socket.AF_INET6, "::1"), bound(relay, socket.AF_INET6, "::1")
    for option in (IPV6_RECVPKTINFO, IPV6_RECVTCLASS, IPV6_RECVHOPLIMIT):
        relay.setsockopt(here, socket.IPPROTO_IPV6, option, ONE)
    ipv6 = socket.IPPROTO_IPV6
    relay.setsockopt(there, ipv6, socket.IPV6_TCLASS, struct.pack("i", 0x30))
    relay.setsockopt(there, ipv6, socket.IPV6_UNICAST_HOPS, struct.pack("i", 9))
    relay.send(there, b"x", to=relay.name(here))
    received = relay.receive_from(here)
    assert (received.local, received.tos, received.ttl) == ("::1", 0x30, 9)
    assert received.interface == socket.if_nametoindex("lo")


@BOTH
def test_refused_datagram_is_told_and_returned(
    relay: RelayProcess, family: int, address: str
) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as closed:
        closed.bind((address, 0))
        port = closed.getsockname()[1]
    handle = relay.open_socket(family, socket.SOCK_DGRAM)
    relay.connect(handle, address, port)
    assert relay.event() == Ready(handle, WRITABLE, 0)
    relay.send(handle, b"to nobody")
    assert relay.event() == Ready(handle, ERROR, errno.ECONNREFUSED)
    with_errno(errno.ECONNREFUSED, relay.receive_from, handle)
    with_errno(errno.EAGAIN, relay.receive_from, handle)


@pytest.mark.parametrize(
    ("family", "address", "protocol", "request_type", "reply_type"),
    [
        pytest.param(socket.AF_INET, "127.0.0.1", socket.IPPROTO_ICMP, 8, 0, id="IPv4"),
        pytest.param(socket.AF_INET6, "::1", socket.IPPROTO_ICMPV6, 128, 129, id="IPv6"),
    ],
)
def test_raw_icmp_echo(
    relay: RelayProcess,
    family: int,
    address: str,
    protocol: int,
    request_type: int,
    reply_type: int,
) -> None:
    handle = relay.open_socket(family, socket.SOCK_RAW, protocol)
    body = struct.pack(">HH", 0x1234, 1) + b"echo"
    sum_ = sum(array.array("H", struct.pack(">BBH", request_type, 0, 0) + body))
    sum_ = (sum_ & 0xFFFF) + (sum_ >> 16)
    checksum = (~sum_ & 0xFFFF).to_bytes(2, sys.byteorder)
    relay.send(handle, bytes([request_type, 0]) + checksum + body, to=(address, 0))
    headers = 20 if family == socket.AF_INET else 0
    messages = [relay.receive_from(handle).data[headers:] for _ in range(2)]
    assert [message[0] for message in messages] == [request_type, reply_type]
    assert messages[1][4:] == body


# --- readiness


def test_what_is_left_after_a_receive_is_told_again(relay: RelayProcess) -> None:
    client, server = connected(relay)
    relay.watch(server, READABLE)
    relay.send(client, b"two parts")
    assert relay.event() == Ready(server, READABLE, 0)
    relay.receive_from(server, 4)
    assert relay.event() == Ready(server, READABLE, 0)
    relay.receive_from(server)
    assert relay.no_event()
    with_errno(errno.EAGAIN, relay.receive_from, server)
    assert relay.no_event()
    relay.send(client, b"more")
    assert relay.event() == Ready(server, READABLE, 0)


def test_receiving_does_not_repeat_what_is_said_of_sending(relay: RelayProcess) -> None:
    client, server = connected(relay)
    relay.watch(client, READABLE | WRITABLE)
    assert relay.event() == Ready(client, WRITABLE, 0)
    relay.send(server, b"data")
    assert relay.event() == Ready(client, READABLE, 0)
    relay.receive_from(client)
    assert relay.no_event()
    relay.send(client, b"data")
    assert relay.event() == Ready(client, WRITABLE, 0)


def test_full_socket_is_told_writable_when_its_peer_has_read(relay: RelayProcess) -> None:
    client, server = connected(relay)
    relay.watch(client, WRITABLE)
    assert relay.event() == Ready(client, WRITABLE, 0)
    sent = 0
    while (taken := relay.send(client, bytes(60_000))) == 60_000:
        sent += taken
    sent += taken
    with_errno(errno.EAGAIN, relay.send, client, b"x")
    relay.events.clear()  # while there was room, that was told after each request
    assert relay.no_event()
    while sent > 0:
        sent -= len(relay.receive_from(server, sent).data)
    assert relay.event() == Ready(client, WRITABLE, 0)


def test_reset_is_told_and_returned_once(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ours.sendall(b"before")
    relay.watch(handle, READABLE)
    assert relay.event() == Ready(handle, READABLE, 0)
    ours.close()
    event = relay.event()
    assert (event.conditions & (ERROR | HANGUP), event.error) == (
        ERROR | HANGUP,
        errno.ECONNRESET,
    )
    assert relay.receive_from(handle).data == b"before"
    with_errno(errno.ECONNRESET, relay.receive_from, handle)
    assert relay.receive_from(handle).data == b""
    with_errno(errno.EPIPE, relay.send, handle, b"x")


def test_error_that_was_told_is_so_error_once(relay: RelayProcess) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        handle = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        relay.connect(handle, *unheard.getsockname())
        assert relay.event() == Ready(handle, ERROR | HANGUP, errno.ECONNREFUSED)
    error = socket.SOL_SOCKET, socket.SO_ERROR
    assert struct.unpack("i", relay.getsockopt(handle, *error)) == (errno.ECONNREFUSED,)
    assert struct.unpack("i", relay.getsockopt(handle, *error)) == (0,)


def test_connect_by_sending(relay: RelayProcess) -> None:
    """TCP Fast Open: without a cookie the first send only connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handle = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        address = listener.getsockname()
        with_errno(errno.EINPROGRESS, relay.send, handle, b"x", socket.MSG_FASTOPEN, address)
        assert relay.event() == Ready(handle, WRITABLE, 0)
        assert relay.send(handle, b"data") == 4
        with listener.accept()[0] as ours:
            assert ours.recv(100) == b"data"


# --- ioctl, closing


def test_ioctl_tells_of_the_queues(relay: RelayProcess) -> None:
    client, server = connected(relay)
    relay.send(client, b"12345")
    assert struct.unpack("i", relay.ioctl(server, SIOCINQ, bytes(4))) == (5,)
    assert struct.unpack("i", relay.ioctl(client, SIOCOUTQ, bytes(4))) == (0,)
    interface = struct.pack("16si20x", b"lo", 0)
    told = relay.ioctl(client, SIOCGIFMTU, interface)
    assert struct.unpack_from("i", told, 16) == (65536,)


def test_ioctl_that_would_make_the_relay_wait_is_einval(relay: RelayProcess) -> None:
    handle = bound(relay)
    with_errno(errno.EINVAL, relay.ioctl, handle, FIONBIO, bytes(4))
    with_errno(errno.ENOTTY, relay.ioctl, handle, 0x5401, bytes(60))
    with_errno(errno.EINVAL, relay.ioctl, handle, SIOCINQ, bytes(1025))


def test_close_does_not_linger(relay: RelayProcess) -> None:
    """Data that its peer does not read would keep a lingering close(2) waiting for 1000 s."""
    client, server = connected(relay)
    linger = struct.pack("ii", 1, 1000)
    relay.setsockopt(client, socket.SOL_SOCKET, socket.SO_LINGER, linger)
    while relay.send(client, bytes(60_000)) == 60_000:
        pass
    relay.close(client)
    assert len(relay.receive_from(server).data) > 0


def test_data_requests_check_their_bodies(relay: RelayProcess) -> None:
    handle = bound(relay)
    with_errno(errno.EBADF, relay.send, handle + 1, b"x")
    with_errno(errno.EBADF, relay.receive_from, handle + 1)
    with_errno(errno.EBADF, relay.ioctl, handle + 1, SIOCINQ, bytes(4))
    for kind, length in ((relay_peer.SEND, 31), (relay_peer.RECEIVE, 13), (relay_peer.IOCTL, 7)):
        with_errno(errno.EBADMSG, relay.request, kind, bytes(length))
    unknown_family = struct.pack("<IHHI16sI", handle, 99, 1, 0, b"", 0)
    with_errno(errno.EAFNOSUPPORT, relay.request, relay_peer.SEND, unknown_family)


def test_several_sends_may_be_under_way(relay: RelayProcess) -> None:
    here, there = bound(relay), bound(relay)
    _, port = relay.name(here)
    address = struct.pack("<IHHI16sI", there, socket.AF_INET, port, 0, bytes([127, 0, 0, 1]), 0)
    sends = [relay.frame(relay_peer.SEND, address + bytes([number])) for number in range(20)]
    receives = [
        relay.frame(relay_peer.RECEIVE, struct.pack("<III", here, 0, BODY_MAX)) for _ in range(20)
    ]
    relay.send_bytes(b"".join(data for _, data in sends + receives))
    replies = [relay.receive() for _ in sends + receives]
    assert [reply.id for reply in replies] == [number for number, _ in sends + receives]
    assert {reply.status for reply in replies} == {0}
    assert [reply.body[64:] for reply in replies[20:]] == [bytes([n]) for n in range(20)]
