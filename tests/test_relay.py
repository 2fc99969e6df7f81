# SPDX-License-Identifier: GPL-2.0-only
"""The relay program, on this machine's own kernel: everything that needs no virtual machine."""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

import relay_peer
from relay_peer import (
    BODY_MAX,
    ERROR,
    FILE_CREATE,
    FILE_PARENTS,
    FILE_TRUNCATE,
    HANGUP,
    HEADER,
    READABLE,
    SINK,
    SOURCE,
    VERIFY,
    WRITABLE,
    Ready,
    RelayProcess,
    StreamEnd,
)
from relay_tools import connected, joined_to_us, pattern, with_errno

if TYPE_CHECKING:
    from pathlib import Path

TCP_INFO = 11
TCP_CONGESTION = 13
IPV6 = pytest.param(socket.AF_INET6, "::1", id="IPv6")
IPV4 = pytest.param(socket.AF_INET, "127.0.0.1", id="IPv4")


def until_told(relay: RelayProcess, handle: int, count: int) -> None:
    """Wait until a stream has transferred so many bytes."""
    while relay.stream_stat(handle)[0] < count:
        pass


# --- messages


def test_hello_comes_first(relay_binary: Path) -> None:
    peer = RelayProcess(relay_binary)
    assert peer.hello() == (3, 0, os.uname().release)
    assert peer.end() == (0, "")


def test_unknown_request_is_enosys(relay: RelayProcess) -> None:
    for kind in (0, 0x02, 0x2F, 0x4A, 0x80, 0xFFFF):
        with_errno(errno.ENOSYS, relay.request, kind)


def test_body_of_wrong_length_is_ebadmsg(relay: RelayProcess) -> None:
    for kind, length in (
        (relay_peer.CLOCK_GET, 1),
        (relay_peer.FILE_GET, 7),
        (relay_peer.SYSCTL_SET, 3),
        (relay_peer.SOCKET, 11),
        (relay_peer.SOCKET, 13),
        (relay_peer.BIND, 27),
        (relay_peer.STREAM, 0),
        (relay_peer.CLOSE, 5),
    ):
        with_errno(errno.EBADMSG, relay.request, kind, bytes(length))


def test_lengths_inside_a_body_are_checked(relay: RelayProcess) -> None:
    with_errno(errno.EBADMSG, relay.request, relay_peer.SYSCTL_SET, struct.pack("<I", 9) + b"net")
    option = struct.pack("<IiiI", 1, 0, 0, 5) + bytes(4)
    with_errno(errno.EBADMSG, relay.request, relay_peer.SETSOCKOPT, option)
    with_errno(errno.EBADMSG, relay.request, relay_peer.SYSCTL_GET, b"kernel\0ostype")


def test_request_without_id_is_ebadmsg(relay: RelayProcess) -> None:
    relay.send_bytes(HEADER.pack(0, relay_peer.CLOCK_GET, 0, 0, 0))
    assert relay.receive().status == errno.EBADMSG


def test_message_that_is_too_long_ends_the_relay(relay_binary: Path) -> None:
    peer = RelayProcess(relay_binary)
    peer.hello()
    peer.send_bytes(HEADER.pack(BODY_MAX + 1, relay_peer.CLOCK_GET, 0, 1, 0))
    assert peer.at_end()
    status, printed = peer.end()
    assert status == 1
    assert printed.startswith("ns3-qemu relay: FATAL: protocol violation")


def test_requests_under_way_are_answered_in_order(relay: RelayProcess) -> None:
    requests = [
        relay.frame(relay_peer.SOCKET, struct.pack("<III", socket.AF_INET, socket.SOCK_STREAM, 0)),
        relay.frame(relay_peer.CLOCK_GET),
        relay.frame(0xFFF0),
        relay.frame(relay_peer.CLOSE, struct.pack("<I", 1)),
        relay.frame(relay_peer.CLOSE, struct.pack("<I", 1)),
    ]
    relay.send_bytes(b"".join(data for _, data in requests))
    replies = [relay.receive() for _ in requests]
    assert [reply.id for reply in replies] == [number for number, _ in requests]
    assert [reply.status for reply in replies] == [0, 0, errno.ENOSYS, 0, errno.EBADF]


def test_request_in_pieces_is_answered_once_whole(relay: RelayProcess) -> None:
    number, data = relay.frame(relay_peer.SYSCTL_GET, b"kernel.ostype")
    for byte in data:
        relay.send_bytes(bytes([byte]))
    reply = relay.receive()
    assert (reply.id, reply.body) == (number, b"Linux")


def test_replies_that_nobody_takes_stop_the_reading(relay: RelayProcess, tmp_path: Path) -> None:
    """More replies than any queue holds: the relay must neither lose one nor grow."""
    content = os.urandom(BODY_MAX)
    (tmp_path / "content").write_bytes(content)
    body = struct.pack("<Q", 0) + str(tmp_path / "content").encode()
    requests = [relay.frame(relay_peer.FILE_GET, body) for _ in range(100)]
    relay.send_bytes(b"".join(data for _, data in requests))
    for number, _ in requests:
        reply = relay.receive()
        assert (reply.id, reply.status) == (number, 0)
        assert reply.body == content


# --- the machine


def test_clock_is_the_kernels(relay: RelayProcess) -> None:
    clocks = (time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME)
    before = [time.clock_gettime_ns(clock) for clock in clocks]
    now = struct.unpack("<qqq", relay.request(relay_peer.CLOCK_GET))
    after = [time.clock_gettime_ns(clock) for clock in clocks]
    for first, middle, last in zip(before, now, after, strict=True):
        assert first <= middle <= last


def test_sysctl_get(relay: RelayProcess) -> None:
    assert relay.sysctl("kernel.ostype") == "Linux"
    assert relay.sysctl("kernel/osrelease") == os.uname().release
    with_errno(errno.ENOENT, relay.sysctl, "net.ipv4.no_such_thing")


def test_sysctl_names_may_hold_the_other_separator(relay: RelayProcess) -> None:
    assert relay.sysctl("net.ipv4.conf.lo.forwarding") in ("0", "1")
    # '/' stands for '.', so this is an interface called "no.such".
    with_errno(errno.ENOENT, relay.sysctl, "net.ipv4.conf.no/such.forwarding")


def test_sysctl_set(networked: RelayProcess) -> None:
    networked.sysctl_set("net.ipv4.tcp_sack", "0")
    assert networked.sysctl("net.ipv4.tcp_sack") == "0"
    networked.sysctl_set("net/ipv4/tcp_sack", "1")
    assert networked.sysctl("net.ipv4.tcp_sack") == "1"
    with_errno(errno.EINVAL, networked.sysctl_set, "net.ipv4.tcp_sack", "yes")


def test_file_get_reads_from_an_offset(relay: RelayProcess, tmp_path: Path) -> None:
    file = tmp_path / "file"
    content = os.urandom(BODY_MAX + 1000)
    file.write_bytes(content)
    assert relay.file(str(file)) == content[:BODY_MAX]
    assert relay.file(str(file), BODY_MAX) == content[BODY_MAX:]
    assert relay.file(str(file), len(content)) == b""
    with_errno(errno.ENOENT, relay.file, str(tmp_path / "missing"))


def test_file_get_reads_proc(relay: RelayProcess) -> None:
    assert relay.file("/proc/version").startswith(b"Linux version")


def test_file_get_does_not_wait(relay: RelayProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert relay.file(str(tmp_path / "fifo")) == b""


def test_file_put(relay: RelayProcess, tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "file"
    everything = FILE_CREATE | FILE_TRUNCATE | FILE_PARENTS
    with_errno(errno.ENOENT, relay.put, str(file), b"", 0, FILE_CREATE)
    relay.put(str(file), b"0123456789", flags=everything, mode=0o765)
    assert file.read_bytes() == b"0123456789"
    assert file.stat().st_mode & 0o7777 == 0o765
    relay.put(str(file), b"abc", offset=8)
    assert file.read_bytes() == b"01234567abc"
    relay.put(str(file), b"new", flags=everything)
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o7777 == 0o765


def test_file_put_errors(relay: RelayProcess, tmp_path: Path) -> None:
    with_errno(errno.ENOENT, relay.put, str(tmp_path / "file"), b"x")
    with_errno(errno.EISDIR, relay.put, str(tmp_path), b"x")
    with_errno(errno.ENOSPC, relay.put, "/dev/full", b"x")
    with_errno(errno.EINVAL, relay.put, str(tmp_path / "file"), b"x", 0, 8)
    with_errno(errno.EINVAL, relay.put, str(tmp_path / "file"), b"x", 0, 1, 0o10000)
    with_errno(errno.EINVAL, relay.put, str(tmp_path / "file"), b"x", 1 << 63, 1)
    with_errno(errno.EBADMSG, relay.put, "", b"x", 0, FILE_CREATE)
    long = struct.pack("<QIII4x", 0, 0, 0, 5) + b"name"
    with_errno(errno.EBADMSG, relay.request, relay_peer.FILE_PUT, long)


# --- interfaces


def test_nic_that_is_not_there_is_enodev(relay: RelayProcess) -> None:
    with_errno(errno.ENODEV, relay.link, 0)


def test_link_is_set_and_told(networked: RelayProcess) -> None:
    address = bytes.fromhex("020000000001")
    networked.link_set(0, mtu=1400, address=address, arp=False, up=True)
    _, flags, mtu, now, name = networked.link(0)
    assert (mtu, now, name) == (1400, address, "probe0")
    up, noarp = 0x1, 0x80
    assert flags & (up | noarp) == up | noarp
    networked.link_set(0, arp=True)
    assert networked.link(0)[1] & (up | noarp) == up


def test_link_that_is_up_takes_another_address_and_stays_up(networked: RelayProcess) -> None:
    networked.link_set(0, up=True)
    networked.link_set(0, address=bytes.fromhex("020000000002"))
    _, flags, _, address, _ = networked.link(0)
    assert address == bytes.fromhex("020000000002")
    assert flags & 1


def ip(relay: RelayProcess, *arguments: str) -> str:
    return subprocess.run(
        ["nsenter", "-t", str(relay.process.pid), "-n", "ip", *arguments],
        capture_output=True,
        check=True,
        text=True,
    ).stdout


def test_link_takes_the_most_segments(networked: RelayProcess) -> None:
    networked.link_set(0, gso_max_segments=1)
    assert "gso_max_segs 1 " in ip(networked, "-d", "link", "show", "probe0")


@pytest.mark.parametrize(
    ("family", "network", "address"),
    [
        pytest.param(socket.AF_INET, "10.1.2.3/24", "10.1.2.3", id="IPv4"),
        pytest.param(socket.AF_INET6, "fd00::3/64", "fd00::3", id="IPv6"),
    ],
)
def test_address_is_usable_at_once(
    networked: RelayProcess, family: int, network: str, address: str
) -> None:
    networked.link_set(0, up=True)
    networked.address_add(0, network)
    handle = networked.open_socket(family, socket.SOCK_STREAM)
    networked.bind(handle, address, 80)
    assert networked.name(handle) == (address, 80)
    with_errno(errno.EEXIST, networked.address_add, 0, network)


@pytest.mark.parametrize(
    ("address", "other"),
    [
        pytest.param("10.1.2.3/24", "10.1.2.3/25", id="IPv4"),
        pytest.param("fd00::3/64", "fd00::4/64", id="IPv6"),
    ],
)
def test_address_is_deleted(networked: RelayProcess, address: str, other: str) -> None:
    networked.link_set(0, up=True)
    networked.address_add(0, address)
    with_errno(errno.EADDRNOTAVAIL, networked.address_delete, 0, other)
    networked.address_delete(0, address)
    with_errno(errno.EADDRNOTAVAIL, networked.address_delete, 0, address)
    assert address not in ip(networked, "address", "show", "probe0")


# --- netlink, over sockets


RTM_NEWLINK, RTM_GETLINK, RTM_GETROUTE = 16, 18, 26
DUMP = 0x300


def netlink_message(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("<IHHII", 16 + len(body), kind, flags, 77, 99) + body


def netlink_messages(data: bytes) -> list[tuple[int, bytes]]:
    """Return the type and the body of each message."""
    messages = []
    while data:
        length, kind = struct.unpack_from("<IH", data)
        messages.append((kind, data[16:length]))
        data = data[(length + 3) & ~3 :]
    return messages


def test_netlink_answers_with_a_message(networked: RelayProcess) -> None:
    index = networked.link(0)[0]
    request = netlink_message(RTM_GETLINK, 0, struct.pack("<BxHiII", 0, 0, index, 0, 0))
    ((kind, body),) = netlink_messages(networked.netlink(request))
    assert (kind, struct.unpack_from("<i", body, 4)) == (RTM_NEWLINK, (index,))
    assert b"probe0\0" in body


def test_netlink_dump_is_whole_however_long(networked: RelayProcess) -> None:
    """The kernel makes each part of a dump when the one before it has been received."""
    networked.link_set(0, up=True)
    networked.address_add(0, "10.1.2.3/24")
    routes = (
        f"route add 10.{9 + number // 250}.{number % 250}.0/24 via 10.1.2.1 proto static\n"
        for number in range(3000)
    )
    subprocess.run(
        ["nsenter", "-t", str(networked.process.pid), "-n", "ip", "-batch", "-"],
        input="".join(routes),
        text=True,
        check=True,
    )
    answer = networked.netlink(
        netlink_message(RTM_GETROUTE, DUMP, struct.pack("<B11x", socket.AF_INET))
    )
    assert len(answer) > 2 * BODY_MAX
    static = 4
    assert sum(body[5] == static for _, body in netlink_messages(answer)) == 3000


def test_netlink_errors_are_the_kernels(networked: RelayProcess) -> None:
    nowhere = netlink_message(RTM_GETLINK, 0, struct.pack("<BxHiII", 0, 0, 9999, 0, 0))
    with_errno(errno.ENODEV, networked.netlink, nowhere)
    with_errno(errno.EOPNOTSUPP, networked.netlink, netlink_message(9999, 0, b""))
    with_errno(errno.EPROTONOSUPPORT, networked.netlink, nowhere, 31)


# --- sockets


def test_handles_are_never_used_twice(relay: RelayProcess) -> None:
    first = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.close(first)
    second = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    assert second != first
    with_errno(errno.EBADF, relay.name, first)


def test_unknown_handle_is_ebadf(relay: RelayProcess) -> None:
    with_errno(errno.EBADF, relay.close, 7)
    with_errno(errno.EBADF, relay.watch, 7, READABLE)
    with_errno(errno.EBADF, relay.bind, 7, "127.0.0.1")
    with_errno(errno.EBADF, relay.getsockopt, 7, socket.SOL_SOCKET, socket.SO_ERROR)
    with_errno(errno.EBADF, relay.stream, 7, SOURCE)


def test_kernels_errors_come_through(relay: RelayProcess) -> None:
    with_errno(errno.EAFNOSUPPORT, relay.open_socket, 45, socket.SOCK_STREAM)
    with_errno(
        errno.EINVAL, relay.open_socket, socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    )
    handle = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    with_errno(errno.EADDRNOTAVAIL, relay.bind, handle, "192.0.2.1")
    with_errno(errno.ENOTCONN, relay.shutdown, handle)
    with_errno(errno.EINVAL, relay.accept, handle)


def test_accept_does_not_wait(relay: RelayProcess) -> None:
    handle = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.listen(handle)
    with_errno(errno.EAGAIN, relay.accept, handle)


def test_refused_connect_is_told_with_its_errno(relay: RelayProcess) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        handle = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        relay.connect(handle, *unheard.getsockname())
        assert relay.event() == Ready(handle, ERROR | HANGUP, errno.ECONNREFUSED)
        assert relay.no_event()


def test_socket_that_is_not_connected_tells_nothing(relay: RelayProcess) -> None:
    handle = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.watch(handle, READABLE | WRITABLE)
    assert relay.no_event()


def test_udp_bind(relay: RelayProcess) -> None:
    handle = relay.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind(handle, "127.0.0.1")
    address, port = relay.name(handle)
    assert address == "127.0.0.1"
    assert port != 0


def test_udp_datagram_makes_readable(relay: RelayProcess) -> None:
    handle = relay.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind(handle, "127.0.0.1")
    relay.watch(handle, READABLE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.sendto(b"datagram", relay.name(handle))
        assert relay.event() == Ready(handle, READABLE, 0)


def test_udp_stream_sends_and_takes_datagrams(relay: RelayProcess) -> None:
    sink = relay.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind(sink, "127.0.0.1")
    relay.stream(sink, VERIFY, length=10_000)
    source = relay.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.connect(source, *relay.name(sink))
    assert relay.event() == Ready(source, WRITABLE, 0)
    relay.stream(source, SOURCE, length=10_000, chunk=1000)
    ends = sorted((relay.event(), relay.event()), key=lambda end: end.handle)
    assert ends == [StreamEnd(sink, 0, 10_000, 0), StreamEnd(source, 0, 10_000, 0)]


def test_empty_datagram_is_no_end_of_file(relay: RelayProcess) -> None:
    sink = relay.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind(sink, "127.0.0.1")
    relay.stream(sink, VERIFY, length=100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.sendto(b"", relay.name(sink))
        ours.sendto(pattern(100), relay.name(sink))
        assert relay.event() == StreamEnd(sink, 0, 100, 0)


def test_getsockopt_returns_the_kernels_tcp_info(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        info = relay.getsockopt(handle, socket.IPPROTO_TCP, TCP_INFO, 4096)
        assert len(info) == len(ours.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 1024))
        established = 1
        assert info[0] == established
        assert relay.getsockopt(handle, socket.IPPROTO_TCP, TCP_INFO, 20) == info[:20]


@pytest.mark.parametrize("algorithm", ["reno", "cubic"])
def test_congestion_control_is_set(relay: RelayProcess, algorithm: str) -> None:
    handle = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.setsockopt(handle, socket.IPPROTO_TCP, TCP_CONGESTION, algorithm.encode())
    value = relay.getsockopt(handle, socket.IPPROTO_TCP, TCP_CONGESTION, 16)
    assert value.rstrip(b"\0").decode() == algorithm


def test_many_sockets(relay: RelayProcess) -> None:
    handles = [relay.open_socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(300)]
    for handle in handles:
        relay.watch(handle, WRITABLE)
    told = [relay.event().handle for _ in handles]
    assert sorted(told) == handles
    for handle in handles[::2] + handles[1::2]:
        relay.close(handle)


# --- readiness


def test_readiness_is_told_once_and_again_after_a_request(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        relay.watch(handle, READABLE)
        ours.sendall(b"one")
        assert relay.event() == Ready(handle, READABLE, 0)
        ours.sendall(b"two")
        assert relay.no_event()
        relay.watch(handle, READABLE)
        assert relay.event() == Ready(handle, READABLE, 0)
        assert relay.no_event()


def test_looking_at_a_socket_does_not_repeat_its_events(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        relay.watch(handle, READABLE)
        ours.sendall(b"one")
        assert relay.event() == Ready(handle, READABLE, 0)
        relay.getsockopt(handle, socket.IPPROTO_TCP, TCP_INFO, 256)
        relay.name(handle)
        relay.stream_stat(handle)
        assert relay.no_event()


def test_what_was_true_before_it_was_watched_is_told(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        ours.sendall(b"data")
        assert relay.no_event()
        relay.watch(handle, READABLE | WRITABLE)
        assert relay.event() == Ready(handle, READABLE | WRITABLE, 0)


def test_each_waiting_connection_is_told(relay: RelayProcess) -> None:
    listener = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.bind(listener, "127.0.0.1")
    relay.listen(listener)
    first = socket.create_connection(relay.name(listener))
    second = socket.create_connection(relay.name(listener))
    with first, second:
        relay.watch(listener, READABLE)
        for ours in (first, second):
            assert relay.event() == Ready(listener, READABLE, 0)
            assert relay.accept(listener)[1] == ours.getsockname()
        assert relay.no_event()


def test_peers_close_is_told_without_a_watch(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    ours.close()
    assert relay.event() == Ready(handle, HANGUP, 0)


def test_reset_is_told_without_a_watch(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ours.close()
    assert relay.event() == Ready(handle, ERROR | HANGUP, errno.ECONNRESET)


# --- streams


@pytest.mark.parametrize(("family", "address"), [IPV4, IPV6])
@pytest.mark.parametrize("length", [1, 250, 251, 252, 65_536, 5_000_000])
def test_stream_arrives_whole(relay: RelayProcess, family: int, address: str, length: int) -> None:
    client, server = connected(relay, family, address)
    relay.stream(server, VERIFY)
    relay.stream(client, SOURCE, length)
    assert relay.event() == StreamEnd(client, 0, length, 0)
    relay.shutdown(client)
    ends = {type(event): event for event in (relay.event(), relay.event())}
    assert ends[StreamEnd] == StreamEnd(server, 0, length, 0)
    assert ends[Ready] == Ready(server, HANGUP, 0)


def test_sink_takes_no_more_than_its_length(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        ours.sendall(bytes(2000))
        relay.stream(handle, SINK, length=1500)
        assert relay.event() == StreamEnd(handle, 0, 1500, 0)
        relay.stream(handle, SINK, length=500)
        assert relay.event() == StreamEnd(handle, 0, 500, 0)


def test_source_writes_the_pattern(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        relay.stream(handle, SOURCE, length=100_000, chunk=1000)
        received = b""
        while len(received) < 100_000:
            received += ours.recv(65_536)
        assert received == pattern(100_000)


def test_verify_counts_wrong_bytes(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    data = bytearray(pattern(100_000))
    for at in (0, 251, 70_000, 99_999):
        data[at] ^= 0xFF
    with ours:
        relay.stream(handle, VERIFY, length=len(data))
        ours.sendall(data)
        assert relay.event() == StreamEnd(handle, 0, len(data), 4)
        assert relay.stream_stat(handle) == (len(data), 4)


def test_half_close_leaves_the_other_direction_open(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        ours.sendall(pattern(1000))
        ours.shutdown(socket.SHUT_WR)
        assert relay.event() == Ready(handle, HANGUP, 0)
        relay.stream(handle, VERIFY)
        assert relay.event() in (StreamEnd(handle, 0, 1000, 0), Ready(handle, HANGUP, 0))
        assert relay.event() in (StreamEnd(handle, 0, 1000, 0), Ready(handle, HANGUP, 0))
        relay.stream(handle, SOURCE, length=500)
        relay.shutdown(handle)
        received = b""
        while piece := ours.recv(4096):
            received += piece
        assert received == pattern(500)


def test_stream_without_end_ends_with_its_socket(relay: RelayProcess) -> None:
    client, server = connected(relay)
    relay.stream(server, SINK)
    relay.stream(client, SOURCE)
    until_told(relay, server, 1_000_000)
    relay.close(client)
    end = relay.event()
    while not isinstance(end, StreamEnd):
        end = relay.event()
    assert (end.handle, end.error) == (server, 0)
    assert end.bytes >= 1_000_000


def test_second_stream_on_a_socket_is_ebusy(relay: RelayProcess) -> None:
    _, server = connected(relay)
    relay.stream(server, SINK)
    with_errno(errno.EBUSY, relay.stream, server, SINK)


def test_impossible_streams_are_einval(relay: RelayProcess) -> None:
    client, _ = connected(relay)
    with_errno(errno.EINVAL, relay.stream, client, 0)
    with_errno(errno.EINVAL, relay.stream, client, 4)
    with_errno(errno.EINVAL, relay.stream, client, SOURCE, 0, 1 << 30)


def test_source_may_be_started_before_the_connection_stands(relay: RelayProcess) -> None:
    listener = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.bind(listener, "127.0.0.1")
    relay.listen(listener)
    client = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.connect(client, *relay.name(listener))
    relay.stream(client, SOURCE, length=1000)
    assert relay.event() == Ready(client, WRITABLE, 0)
    assert relay.event() == StreamEnd(client, 0, 1000, 0)


def test_stream_on_a_refused_connection_ends_with_its_errno(relay: RelayProcess) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        client = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        where = relay_peer.SOCKET_ADDRESS.pack(
            client, socket.AF_INET, unheard.getsockname()[1], 0, socket.inet_aton("127.0.0.1")
        )
        _, connect = relay.frame(relay_peer.CONNECT, where)
        _, stream = relay.frame(relay_peer.STREAM, struct.pack("<IIQII", client, SOURCE, 10, 0, 0))
        relay.send_bytes(connect + stream)
        assert relay.receive().status == 0
        assert relay.receive().status == 0
        assert relay.event() == Ready(client, ERROR | HANGUP, errno.ECONNREFUSED)
        assert relay.event() == StreamEnd(client, errno.ECONNREFUSED, 0, 0)


def test_reset_ends_a_stream_with_its_errno(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    relay.stream(handle, SINK)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ours.close()
    assert relay.event() == StreamEnd(handle, errno.ECONNRESET, 0, 0)
    assert relay.event() == Ready(handle, ERROR | HANGUP, errno.ECONNRESET)


def test_reader_with_a_limit_reads_so_often_for_each_arrival(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        relay.stream(handle, SINK, chunk=100, per_wake=2)
        assert relay.stream_stat(handle) == (0, 0)
        ours.sendall(bytes(1000))
        until_told(relay, handle, 200)
        assert relay.no_event()
        assert relay.stream_stat(handle) == (200, 0)
        # Neither a sample of TCP_INFO nor another request is an arrival.
        relay.getsockopt(handle, socket.IPPROTO_TCP, TCP_INFO, 256)
        relay.watch(handle, READABLE)
        assert relay.stream_stat(handle) == (200, 0)
        ours.sendall(b"x")
        until_told(relay, handle, 400)
        assert relay.no_event()
        assert relay.stream_stat(handle) == (400, 0)


def test_reader_with_a_limit_reads_to_the_end_after_the_close(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    relay.stream(handle, VERIFY, chunk=100, per_wake=2)
    ours.sendall(pattern(10_000))
    until_told(relay, handle, 200)
    ours.close()
    assert relay.event() == StreamEnd(handle, 0, 10_000, 0)


def test_writer_with_a_limit_goes_on_while_the_socket_is_writable(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        relay.stream(handle, SOURCE, length=10_000, chunk=100, per_wake=1)
        assert relay.event() == StreamEnd(handle, 0, 10_000, 0)
