# SPDX-License-Identifier: GPL-2.0-only
"""Sockets behave in a guest, through the relay, as they do on this machine.

Each test is made of three kernels: this machine's by Python's own sockets, which says that the test
is right; the same one through the relay; and a guest's.
"""

from __future__ import annotations

import array
import contextlib
import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from relay_peer import HANGUP, READABLE, WRITABLE, RelayProcess
from socket_kernels import Guest, Kernel, Plain, Relayed

TCP_INFO, TCP_CONGESTION, TCP_MAXSEG, TCP_NODELAY = 11, 13, 2, 1
IPPROTO_MPTCP = 262
LISTEN, ESTABLISHED, CLOSED = 10, 1, 7  # TCP's states in struct tcp_info
STREAM, DGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
V4, V6 = socket.AF_INET, socket.AF_INET6
SOL_SOCKET, SOL_TCP, SOL_IP, SOL_IPV6 = 1, 6, 0, 41
LOCAL = {V4: "127.0.0.1", V6: "::1"}
BOTH = pytest.mark.parametrize("family", [pytest.param(V4, id="IPv4"), pytest.param(V6, id="IPv6")])


@pytest.fixture(scope="module", params=["plain", "relayed", "guest"])
def kernel(request: pytest.FixtureRequest, relay_binary: Path) -> Iterator[Kernel]:
    if request.param == "plain":
        yield Plain()
    elif request.param == "relayed":
        peer = RelayProcess(relay_binary, prefix=request.getfixturevalue("own_network"))
        peer.hello()
        yield Relayed(peer)
        assert peer.end() == (0, "")
    else:
        yield Guest(request.getfixturevalue("boot")())


@pytest.fixture
def opened(kernel: Kernel) -> Iterator[Callable[..., Any]]:
    """Open a socket that is closed with the test."""
    handles: list[Any] = []

    def open_socket(family: int, kind: int, protocol: int = 0) -> Any:
        try:
            handle = kernel.socket(family, kind, protocol)
        except PermissionError:
            pytest.skip("only root may open such a socket")
        handles.append(handle)
        return handle

    open_socket.keep = handles.append  # type: ignore[attr-defined]
    yield open_socket
    for handle in handles:
        with contextlib.suppress(OSError):  # the test has closed it
            kernel.close(handle)


Opened = Callable[..., Any]


def refused(number: int, call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(OSError, match=r"\d") as raised:
        call(*arguments)
    assert raised.value.errno is not None
    assert errno.errorcode[raised.value.errno] == errno.errorcode[number]


def number(value: bytes) -> int:
    return struct.unpack("i", value)[0]


def integer(value: int) -> bytes:
    return struct.pack("i", value)


def listening(kernel: Kernel, opened: Opened, family: int = V4, backlog: int = 16) -> Any:
    handle = opened(family, STREAM)
    kernel.bind(handle, LOCAL[family])
    kernel.listen(handle, backlog)
    return handle


def joined(kernel: Kernel, opened: Opened, family: int = V4, protocol: int = 0) -> tuple[Any, Any]:
    """Return both ends of a connection: the one that connected, the one that was accepted."""
    listener = opened(family, STREAM, protocol)
    kernel.bind(listener, LOCAL[family])
    kernel.listen(listener)
    client = opened(family, STREAM, protocol)
    kernel.connect(client, *kernel.getsockname(listener))
    assert kernel.connected(client) == 0
    assert kernel.wait(listener, READABLE) & READABLE
    server, _ = kernel.accept(listener)
    opened.keep(server)  # type: ignore[attr-defined]
    return client, server


def bound(kernel: Kernel, opened: Opened, family: int = V4) -> Any:
    handle = opened(family, DGRAM)
    kernel.bind(handle, LOCAL[family])
    return handle


def received(kernel: Kernel, handle: Any, length: int = 65536) -> bytes:
    assert kernel.wait(handle, READABLE) & READABLE
    return kernel.receive(handle, length).data


# --- connections


@BOTH
def test_data_goes_both_ways(kernel: Kernel, opened: Opened, family: int):
    client, server = joined(kernel, opened, family)
    assert kernel.send(client, b"there") == 5
    assert received(kernel, server) == b"there"
    assert kernel.send(server, b"and back") == 8
    assert received(kernel, client, 3) == b"and"
    assert received(kernel, client) == b" back"


@BOTH
def test_each_end_names_the_other(kernel: Kernel, opened: Opened, family: int):
    listener = listening(kernel, opened, family)
    client = opened(family, STREAM)
    kernel.connect(client, *kernel.getsockname(listener))
    assert kernel.connected(client) == 0
    server, peer = kernel.accept(listener)
    opened.keep(server)  # type: ignore[attr-defined]
    assert peer == kernel.getsockname(client)
    assert kernel.getsockname(server) == kernel.getsockname(listener)
    assert peer[0] == LOCAL[family]


@BOTH
def test_half_close(kernel: Kernel, opened: Opened, family: int):
    client, server = joined(kernel, opened, family)
    kernel.send(client, b"last")
    kernel.shutdown(client, socket.SHUT_WR)
    refused(errno.EPIPE, kernel.send, client, b"x")
    assert received(kernel, server) == b"last"
    assert kernel.wait(server, READABLE) & (READABLE | HANGUP) == READABLE | HANGUP
    assert kernel.receive(server).data == b""
    assert kernel.send(server, b"answer") == 6
    assert received(kernel, client) == b"answer"


def test_shut_for_reading(kernel: Kernel, opened: Opened):
    client, _ = joined(kernel, opened)
    kernel.shutdown(client, socket.SHUT_RD)
    assert kernel.receive(client).data == b""
    assert kernel.send(client, b"x") == 1


def test_close_is_end_of_file(kernel: Kernel, opened: Opened):
    client, server = joined(kernel, opened)
    kernel.send(client, b"before")
    kernel.close(client)
    assert kernel.wait(server, READABLE) & HANGUP
    assert kernel.receive(server).data == b"before"
    assert kernel.receive(server).data == b""
    refused(errno.EBADF, kernel.receive, client)


@BOTH
def test_connection_refused(kernel: Kernel, opened: Opened, family: int):
    silent = opened(family, STREAM)
    kernel.bind(silent, LOCAL[family])
    client = opened(family, STREAM)
    kernel.connect(client, *kernel.getsockname(silent))
    assert kernel.connected(client) == errno.ECONNREFUSED


def test_connection_reset(kernel: Kernel, opened: Opened):
    client, server = joined(kernel, opened)
    kernel.setsockopt(client, SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    kernel.close(client)
    assert kernel.wait(server, READABLE) & HANGUP
    refused(errno.ECONNRESET, kernel.receive, server)
    assert kernel.receive(server).data == b""
    refused(errno.EPIPE, kernel.send, server, b"x")


def test_close_with_data_unread_is_a_reset(kernel: Kernel, opened: Opened):
    client, server = joined(kernel, opened)
    kernel.send(client, b"never read")
    kernel.wait(server, READABLE)
    kernel.close(server)
    kernel.wait(client, READABLE)
    refused(errno.ECONNRESET, kernel.send, client, b"x")
    refused(errno.EPIPE, kernel.send, client, b"x")


def test_reset_is_so_error_once(kernel: Kernel, opened: Opened):
    client, server = joined(kernel, opened)
    kernel.setsockopt(client, SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    kernel.close(client)
    kernel.wait(server, READABLE)
    error = SOL_SOCKET, socket.SO_ERROR
    assert number(kernel.getsockopt(server, *error)) == errno.ECONNRESET
    assert number(kernel.getsockopt(server, *error)) == 0
    assert kernel.receive(server).data == b""


def test_not_connected(kernel: Kernel, opened: Opened):
    handle = opened(V4, STREAM)
    refused(errno.ENOTCONN, kernel.receive, handle)
    refused(errno.EPIPE, kernel.send, handle, b"x")
    refused(errno.ENOTCONN, kernel.shutdown, handle, socket.SHUT_WR)
    refused(errno.EINVAL, kernel.accept, handle)
    assert kernel.getsockname(handle) == ("0.0.0.0", 0)


def test_connecting_twice_is_eisconn(kernel: Kernel, opened: Opened):
    client, server = joined(kernel, opened)
    refused(errno.EISCONN, kernel.connect, server, *kernel.getsockname(client))
    refused(errno.EINVAL, kernel.listen, server)


def test_listening_socket_carries_no_data(kernel: Kernel, opened: Opened):
    listener = listening(kernel, opened)
    refused(errno.EAGAIN, kernel.accept, listener)
    refused(errno.ENOTCONN, kernel.receive, listener)
    refused(errno.EPIPE, kernel.send, listener, b"x")


def test_backlog(kernel: Kernel, opened: Opened):
    listener = listening(kernel, opened, backlog=1)
    clients = [opened(V4, STREAM) for _ in range(3)]
    for client in clients:
        kernel.connect(client, *kernel.getsockname(listener))
    # Linux takes one more than it is told; the next one's SYN it drops.
    assert [kernel.connected(client) for client in clients[:2]] == [0, 0]
    refused(errno.EAGAIN, kernel.send, clients[2], b"x")
    for client in clients[:2]:
        server, peer = kernel.accept(listener)
        opened.keep(server)  # type: ignore[attr-defined]
        assert peer == kernel.getsockname(client)
    refused(errno.EAGAIN, kernel.accept, listener)


@BOTH
def test_full_buffers_take_a_part_then_nothing(kernel: Kernel, opened: Opened, family: int):
    client, server = joined(kernel, opened, family)
    piece = bytes(range(251)) * 240
    sent = b""
    while (taken := kernel.send(client, piece)) == len(piece):
        sent += piece
    assert 0 < taken < len(piece)
    sent += piece[:taken]
    refused(errno.EAGAIN, kernel.send, client, b"x")
    assert not kernel.holds(client, WRITABLE) & WRITABLE
    arrived = b""
    while len(arrived) < len(sent):
        arrived += received(kernel, server)
    assert arrived == sent
    assert kernel.wait(client, WRITABLE) & WRITABLE
    refused(errno.EAGAIN, kernel.receive, server)


def test_peek(kernel: Kernel, opened: Opened):
    client, server = joined(kernel, opened)
    kernel.send(client, b"data")
    kernel.wait(server, READABLE)
    assert kernel.receive(server, 2, socket.MSG_PEEK).data == b"da"
    assert kernel.receive(server).data == b"data"
    refused(errno.EAGAIN, kernel.receive, server, 2, socket.MSG_PEEK)


def test_urgent_data(kernel: Kernel, opened: Opened):
    client, server = joined(kernel, opened)
    kernel.send(client, b"normal!", socket.MSG_OOB)
    kernel.wait(server, READABLE)
    told = kernel.receive(server, 1, socket.MSG_OOB)
    assert (told.data, told.flags & socket.MSG_OOB) == (b"!", socket.MSG_OOB)
    assert kernel.receive(server).data == b"normal"
    refused(errno.EINVAL, kernel.receive, server, 1, socket.MSG_OOB)


def test_urgent_data_in_line(kernel: Kernel, opened: Opened):
    client, server = joined(kernel, opened)
    kernel.setsockopt(server, SOL_SOCKET, socket.SO_OOBINLINE, integer(1))
    kernel.send(client, b"normal!", socket.MSG_OOB)
    kernel.wait(server, READABLE)
    assert kernel.receive(server).data == b"normal"
    assert kernel.receive(server).data == b"!"


def test_mptcp(kernel: Kernel, opened: Opened):
    try:
        client, server = joined(kernel, opened, protocol=IPPROTO_MPTCP)
    except OSError as error:
        if error.errno not in (errno.EPROTONOSUPPORT, errno.ENOPROTOOPT):
            raise
        pytest.skip("this kernel has no MPTCP")
    assert number(kernel.getsockopt(client, SOL_SOCKET, socket.SO_PROTOCOL)) == IPPROTO_MPTCP
    kernel.send(client, b"over MPTCP")
    assert received(kernel, server) == b"over MPTCP"
    kernel.shutdown(client, socket.SHUT_WR)
    assert received(kernel, server) == b""


def test_ipv6_listener_takes_ipv4_unless_told_not_to(kernel: Kernel, opened: Opened):
    for only, outcome in ((0, 0), (1, errno.ECONNREFUSED)):
        listener = opened(V6, STREAM)
        kernel.setsockopt(listener, SOL_IPV6, socket.IPV6_V6ONLY, integer(only))
        kernel.bind(listener, "::")
        kernel.listen(listener)
        client = opened(V4, STREAM)
        kernel.connect(client, "127.0.0.1", kernel.getsockname(listener)[1])
        assert kernel.connected(client) == outcome
        if outcome == 0:
            server, (address, _) = kernel.accept(listener)
            opened.keep(server)  # type: ignore[attr-defined]
            assert ipaddress.ip_address(address) == ipaddress.ip_address("::ffff:127.0.0.1")


# --- addresses


@BOTH
def test_address_in_use(kernel: Kernel, opened: Opened, family: int):
    listener = listening(kernel, opened, family)
    _, port = kernel.getsockname(listener)
    second = opened(family, STREAM)
    refused(errno.EADDRINUSE, kernel.bind, second, LOCAL[family], port)
    kernel.setsockopt(second, SOL_SOCKET, socket.SO_REUSEADDR, integer(1))
    refused(errno.EADDRINUSE, kernel.bind, second, LOCAL[family], port)
    datagrams = bound(kernel, opened, family)
    another = opened(family, DGRAM)
    refused(errno.EADDRINUSE, kernel.bind, another, *kernel.getsockname(datagrams))
    kernel.bind(another, LOCAL[family], port)  # another protocol's port


def test_ports_may_be_shared(kernel: Kernel, opened: Opened):
    first, second = opened(V4, DGRAM), opened(V4, DGRAM)
    for handle in (first, second):
        kernel.setsockopt(handle, SOL_SOCKET, socket.SO_REUSEPORT, integer(1))
    kernel.bind(first, "127.0.0.1")
    kernel.bind(second, *kernel.getsockname(first))
    assert kernel.getsockname(second) == kernel.getsockname(first)


@pytest.mark.parametrize(
    ("family", "foreign"),
    [pytest.param(V4, "192.0.2.1", id="IPv4"), pytest.param(V6, "2001:db8::1", id="IPv6")],
)
def test_foreign_address(kernel: Kernel, opened: Opened, family: int, foreign: str):
    refused(errno.EADDRNOTAVAIL, kernel.bind, opened(family, STREAM), foreign, 80)


def test_socket_is_bound_once(kernel: Kernel, opened: Opened):
    refused(errno.EINVAL, kernel.bind, bound(kernel, opened), "127.0.0.1")


@pytest.mark.parametrize(
    ("family", "far"),
    [pytest.param(V4, "192.0.2.1", id="IPv4"), pytest.param(V6, "2001:db8::1", id="IPv6")],
)
def test_network_without_a_route(kernel: Kernel, opened: Opened, family: int, far: str):
    if kernel.routes:
        pytest.skip("this machine may have a route to everywhere")
    refused(errno.ENETUNREACH, kernel.connect, opened(family, STREAM), far, 80)
    refused(errno.ENETUNREACH, kernel.send, opened(family, DGRAM), b"x", 0, (far, 80))


# --- datagrams


@BOTH
def test_datagrams_name_their_sender(kernel: Kernel, opened: Opened, family: int):
    here, there = bound(kernel, opened, family), bound(kernel, opened, family)
    for data in (b"one", b"", b"three"):
        assert kernel.send(there, data, 0, kernel.getsockname(here)) == len(data)
    for data in (b"one", b"", b"three"):
        kernel.wait(here, READABLE)
        told = kernel.receive(here)
        assert (told.data, told.sender) == (data, kernel.getsockname(there))
    refused(errno.EAGAIN, kernel.receive, here)


def test_datagram_is_cut(kernel: Kernel, opened: Opened):
    here, there = bound(kernel, opened), bound(kernel, opened)
    kernel.send(there, bytes(100), 0, kernel.getsockname(here))
    kernel.send(there, b"next", 0, kernel.getsockname(here))
    kernel.wait(here, READABLE)
    told = kernel.receive(here, 10)
    assert told.data == bytes(10)
    assert told.flags & socket.MSG_TRUNC
    assert kernel.receive(here).data == b"next"


@pytest.mark.parametrize(
    ("family", "longest"), [pytest.param(V4, 65507, id="IPv4"), pytest.param(V6, 65527, id="IPv6")]
)
def test_datagram_that_is_too_long(kernel: Kernel, opened: Opened, family: int, longest: int):
    here, there = bound(kernel, opened, family), bound(kernel, opened, family)
    address = kernel.getsockname(here)
    refused(errno.EMSGSIZE, kernel.send, there, bytes(longest + 1), 0, address)
    refused(errno.EMSGSIZE, kernel.send, there, bytes(69_000), 0, address)
    assert kernel.send(there, bytes(longest), 0, address) == longest
    kernel.wait(here, READABLE)
    assert kernel.receive(here).data == bytes(longest)


@BOTH
def test_datagram_to_nobody(kernel: Kernel, opened: Opened, family: int):
    gone = bound(kernel, opened, family)
    address = kernel.getsockname(gone)
    kernel.close(gone)
    handle = opened(family, DGRAM)
    refused(errno.EDESTADDRREQ, kernel.send, handle, b"x")
    kernel.connect(handle, *address)
    kernel.send(handle, b"x")
    kernel.wait(handle, READABLE)
    refused(errno.ECONNREFUSED, kernel.receive, handle)
    refused(errno.EAGAIN, kernel.receive, handle)


def test_connected_datagram_socket_hears_its_peer_only(kernel: Kernel, opened: Opened):
    here, peer, other = (bound(kernel, opened) for _ in range(3))
    kernel.connect(here, *kernel.getsockname(peer))
    kernel.send(other, b"unwanted", 0, kernel.getsockname(here))
    kernel.send(peer, b"wanted", 0, kernel.getsockname(here))
    assert received(kernel, here) == b"wanted"
    refused(errno.EAGAIN, kernel.receive, here)


def test_broadcast_needs_permission(kernel: Kernel, opened: Opened):
    handle = opened(V4, DGRAM)
    refused(errno.EACCES, kernel.send, handle, b"x", 0, ("127.255.255.255", 9))
    kernel.setsockopt(handle, SOL_SOCKET, socket.SO_BROADCAST, integer(1))
    assert kernel.send(handle, b"x", 0, ("127.255.255.255", 9)) == 1


def checksum(data: bytes) -> bytes:
    total = sum(array.array("H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, sys.byteorder)


@pytest.mark.parametrize(
    ("family", "protocol", "request_type", "reply_type", "header"),
    [
        pytest.param(V4, socket.IPPROTO_ICMP, 8, 0, 20, id="IPv4"),
        pytest.param(V6, socket.IPPROTO_ICMPV6, 128, 129, 0, id="IPv6"),
    ],
)
def test_raw_echo(
    kernel: Kernel,
    opened: Opened,
    family: int,
    protocol: int,
    request_type: int,
    reply_type: int,
    header: int,
):
    handle = opened(family, socket.SOCK_RAW, protocol)
    body = struct.pack(">HH", 0x1234, 1) + b"echo"
    sum_ = checksum(bytes([request_type, 0, 0, 0]) + body)
    kernel.send(handle, bytes([request_type, 0]) + sum_ + body, 0, (LOCAL[family], 0))
    messages = [received(kernel, handle)[header:] for _ in range(2)]
    assert [message[0] for message in messages] == [request_type, reply_type]
    assert messages[1][4:] == body


# --- options


def test_unknown_sockets(kernel: Kernel):
    refused(errno.EPROTONOSUPPORT, kernel.socket, V4, STREAM, socket.IPPROTO_UDP)
    refused(errno.EAFNOSUPPORT, kernel.socket, 45, STREAM)


def test_unknown_options(kernel: Kernel, opened: Opened):
    handle = opened(V4, STREAM)
    for level in (SOL_SOCKET, SOL_TCP, SOL_IP):
        refused(errno.ENOPROTOOPT, kernel.setsockopt, handle, level, 9999, integer(1))
        refused(errno.ENOPROTOOPT, kernel.getsockopt, handle, level, 9999)
    datagrams = opened(V4, DGRAM)
    refused(errno.ENOPROTOOPT, kernel.setsockopt, datagrams, SOL_TCP, TCP_NODELAY, integer(1))


def test_bad_values(kernel: Kernel, opened: Opened):
    handle = opened(V4, STREAM)
    bad = refused
    bad(errno.EINVAL, kernel.setsockopt, handle, SOL_SOCKET, socket.SO_RCVBUF, b"1")
    bad(errno.EINVAL, kernel.setsockopt, handle, SOL_TCP, TCP_MAXSEG, integer(1))
    bad(errno.EINVAL, kernel.setsockopt, handle, SOL_IP, socket.IP_TTL, integer(256))
    bad(errno.ENOENT, kernel.setsockopt, handle, SOL_TCP, TCP_CONGESTION, b"no_such")
    bad(
        errno.EDOM,
        kernel.setsockopt,
        handle,
        SOL_SOCKET,
        socket.SO_RCVTIMEO,
        bytes(8) + b"\xff" * 8,
    )


@pytest.mark.parametrize("option", [socket.SO_RCVBUF, socket.SO_SNDBUF])
def test_buffer_sizes_are_doubled(kernel: Kernel, opened: Opened, option: int):
    handle = opened(V4, STREAM)
    kernel.setsockopt(handle, SOL_SOCKET, option, integer(50_000))
    assert number(kernel.getsockopt(handle, SOL_SOCKET, option)) == 100_000


@pytest.mark.parametrize(
    ("family", "level", "option", "value"),
    [
        pytest.param(V4, SOL_SOCKET, socket.SO_KEEPALIVE, 1, id="SO_KEEPALIVE"),
        pytest.param(V4, SOL_SOCKET, socket.SO_PRIORITY, 5, id="SO_PRIORITY"),
        pytest.param(V4, SOL_TCP, TCP_NODELAY, 1, id="TCP_NODELAY"),
        pytest.param(V4, SOL_TCP, socket.TCP_KEEPIDLE, 77, id="TCP_KEEPIDLE"),
        pytest.param(V4, SOL_TCP, socket.TCP_USER_TIMEOUT, 1234, id="TCP_USER_TIMEOUT"),
        pytest.param(V4, SOL_IP, socket.IP_TOS, 0x28, id="IP_TOS"),
        pytest.param(V4, SOL_IP, socket.IP_TTL, 7, id="IP_TTL"),
        pytest.param(V6, SOL_IPV6, socket.IPV6_TCLASS, 0x28, id="IPV6_TCLASS"),
        pytest.param(V6, SOL_IPV6, socket.IPV6_UNICAST_HOPS, 7, id="IPV6_UNICAST_HOPS"),
    ],
)
def test_option_is_kept(
    kernel: Kernel, opened: Opened, family: int, level: int, option: int, value: int
):
    handle = opened(family, STREAM)
    assert number(kernel.getsockopt(handle, level, option)) != value
    kernel.setsockopt(handle, level, option, integer(value))
    assert number(kernel.getsockopt(handle, level, option)) == value


def test_what_a_socket_is(kernel: Kernel, opened: Opened):
    listener = listening(kernel, opened, V6)
    for option, value in (
        (socket.SO_DOMAIN, V6),
        (socket.SO_TYPE, STREAM),
        (socket.SO_PROTOCOL, socket.IPPROTO_TCP),
        (socket.SO_ACCEPTCONN, 1),
    ):
        assert number(kernel.getsockopt(listener, SOL_SOCKET, option)) == value


def test_tcp_info(kernel: Kernel, opened: Opened):
    client, server = joined(kernel, opened)
    kernel.send(client, bytes(5000))
    received(kernel, server)
    info = kernel.getsockopt(client, SOL_TCP, TCP_INFO, 256)
    assert info[0] == ESTABLISHED
    assert struct.unpack_from("I", info, 80) != (0,)  # the congestion window
    assert kernel.getsockopt(opened(V4, STREAM), SOL_TCP, TCP_INFO, 1)[0] == CLOSED
    listener = listening(kernel, opened)
    assert kernel.getsockopt(listener, SOL_TCP, TCP_INFO, 1)[0] == LISTEN


def test_congestion_control(kernel: Kernel, opened: Opened):
    handle = opened(V4, STREAM)
    kernel.setsockopt(handle, SOL_TCP, TCP_CONGESTION, b"reno")
    value = kernel.getsockopt(handle, SOL_TCP, TCP_CONGESTION, 16)
    assert value.rstrip(b"\0") == b"reno"
