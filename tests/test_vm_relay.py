# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's kernel refuses ends up at the caller, and harms nobody."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from ns3_qemu._vm import ERROR, READABLE, SINK, SOURCE, VERIFY, WRITABLE, GuestError, Vm
from vm_tools import GUEST, GUEST_MAC, MILLISECOND, SECOND

IFF_UP, IFF_NOARP = 0x1, 0x80


@pytest.fixture(scope="module")
def vm(boot) -> Iterator[Vm]:
    machine = boot(nics=[GUEST_MAC], name="host-a")
    yield machine
    machine.end()


def tcp(vm: Vm) -> int:
    return vm.relay.socket(socket.AF_INET, socket.SOCK_STREAM)


REFUSED: dict[str, tuple[Callable[[Vm], object], int, str]] = {
    "an address that is not the guest's": (
        lambda vm: vm.relay.bind(tcp(vm), "192.0.2.1", 80),
        errno.EADDRNOTAVAIL,
        "binding to 192.0.2.1 port 80",
    ),
    "a network without a route": (
        lambda vm: vm.relay.connect(tcp(vm), "192.0.2.1", 80),
        errno.ENETUNREACH,
        "192.0.2.1",
    ),
    "a socket that does not exist": (
        lambda vm: vm.relay.close(4711),
        errno.EBADF,
        "closing a socket",
    ),
    "a sysctl that does not exist": (
        lambda vm: vm.relay.sysctl("net.ipv4.no_such_thing"),
        errno.ENOENT,
        "net.ipv4.no_such_thing",
    ),
    "to set a sysctl that does not exist": (
        lambda vm: vm.relay.set_sysctl("net.ipv4.no_such_thing", "1"),
        errno.ENOENT,
        "net.ipv4.no_such_thing",
    ),
    "a value that a sysctl cannot have": (
        lambda vm: vm.relay.set_sysctl("net.ipv4.tcp_congestion_control", "no_such_algorithm"),
        errno.ENOENT,
        "tcp_congestion_control",
    ),
    "a sysctl outside of /proc/sys": (
        lambda vm: vm.relay.sysctl("../uptime"),
        errno.ENOENT,
        "../uptime",
    ),
    "a file that does not exist": (
        lambda vm: vm.relay.read_file("/no/such/file"),
        errno.ENOENT,
        "/no/such/file",
    ),
    "a NIC that does not exist": (
        lambda vm: vm.relay.add_address(1, "10.0.0.1/24"),
        errno.ENODEV,
        "10.0.0.1/24",
    ),
    "to accept where nobody connects": (
        lambda vm: vm.relay.accept(listening(vm, 81)),
        errno.EAGAIN,
        "accept",
    ),
}


def listening(vm: Vm, port: int) -> int:
    handle = tcp(vm)
    vm.relay.bind(handle, "127.0.0.1", port)
    vm.relay.listen(handle)
    return handle


@pytest.mark.parametrize("what", REFUSED)
def test_the_guests_kernel_refuses(vm: Vm, what: str):
    ask, number, words = REFUSED[what]
    with pytest.raises(GuestError, match=words) as refused:
        ask(vm)
    assert refused.value.errno == number
    assert f"the guest's errno {number}" in str(refused.value)
    assert vm.relay.sysctl("kernel.hostname") == "host-a"


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/257", "fd00::1/129"]
)
def test_an_address_needs_a_prefix_length_that_exists(vm: Vm, text: str):
    with pytest.raises(ValueError, match=text):
        vm.relay.add_address(0, text)


@pytest.mark.parametrize("text", ["10.0.0/8", "nonsense/8", "/8", "10.0.0.256/8"])
def test_what_is_no_address_is_refused_before_it_reaches_the_guest(vm: Vm, text: str):
    turns = vm.turns
    with pytest.raises(ValueError, match="address"):
        vm.relay.add_address(0, text)
    assert vm.turns == turns


def test_a_refused_connection_is_an_event(vm: Vm):
    handle = tcp(vm)
    vm.relay.watch(handle, WRITABLE)
    vm.relay.connect(handle, "127.0.0.1", 9)
    vm.run_until(vm.time + MILLISECOND)
    first = next(event for event in vm.take_ready() if event[0] == handle)
    assert (first[1] & ERROR, first[2]) == (ERROR, errno.ECONNREFUSED)


def test_two_sockets_of_a_guest_talk_to_each_other(vm: Vm):
    server = listening(vm, 5001)
    vm.relay.watch(server, READABLE)
    client = tcp(vm)
    vm.relay.connect(client, "127.0.0.1", 5001)
    vm.run_until(vm.time + MILLISECOND)
    assert (server, READABLE, 0) in vm.take_ready()
    connection, peer = vm.relay.accept(server)
    assert vm.relay.getsockname(client) == peer
    assert vm.relay.getsockname(connection) == ("127.0.0.1", 5001)
    vm.relay.stream(connection, VERIFY, 200_000)
    vm.relay.stream(client, SOURCE, 200_000)
    vm.run_until(vm.time + 100 * MILLISECOND)
    assert sorted(vm.take_stream_ends()) == sorted(
        [(client, 0, 200_000, 0), (connection, 0, 200_000, 0)]
    )


def test_bytes_that_are_not_the_pattern_are_counted_as_wrong(vm: Vm):
    server = listening(vm, 5002)
    client = tcp(vm)
    vm.relay.connect(client, "127.0.0.1", 5002)
    connection, _ = vm.relay.accept(server)
    vm.relay.stream(client, SOURCE, 1000)
    # The pattern belongs to the position in the stream: who misses its beginning sees wrong bytes.
    vm.relay.stream(connection, SINK, 1)
    vm.run_until(vm.time + MILLISECOND)
    vm.take_stream_ends()
    vm.relay.stream(connection, VERIFY, 999)
    vm.run_until(vm.time + MILLISECOND)
    ((handle, number, received, wrong),) = vm.take_stream_ends()
    assert (handle, number, received) == (connection, 0, 999)
    assert wrong > 900


def test_socket_options_reach_the_kernel(vm: Vm):
    handle = tcp(vm)
    vm.relay.setsockopt(handle, socket.IPPROTO_TCP, socket.TCP_NODELAY, struct.pack("=i", 1))
    assert vm.relay.getsockopt(handle, socket.IPPROTO_TCP, socket.TCP_NODELAY, 4) == b"\1\0\0\0"
    with pytest.raises(GuestError) as refused:
        vm.relay.setsockopt(handle, socket.IPPROTO_TCP, 4711, struct.pack("=i", 1))
    assert refused.value.errno == errno.ENOPROTOOPT


def test_sysctls_can_be_set(vm: Vm):
    before = vm.relay.sysctl("net.ipv4.tcp_sack")
    vm.relay.set_sysctl("net.ipv4.tcp_sack", "0")
    assert (before, vm.relay.sysctl("net.ipv4.tcp_sack")) == ("1", "0")


def test_interfaces_can_be_configured(vm: Vm):
    assert vm.relay.nics == 1
    vm.relay.set_link(0, up=True, arp=False, mtu=1400)
    name, flags, mtu, address = vm.relay.link(0)
    assert (name, flags & (IFF_UP | IFF_NOARP), mtu, address) == (
        "eth0",
        IFF_UP | IFF_NOARP,
        1400,
        GUEST,
    )
    vm.relay.set_link(0, up=False, arp=True)
    assert vm.relay.link(0)[1] & (IFF_UP | IFF_NOARP) == 0


def test_the_guests_kernel_says_its_release(vm: Vm):
    assert vm.relay.release.encode() in vm.relay.read_file("/proc/version")


def test_the_simulation_sends_and_receives_through_the_guests_sockets(vm: Vm):
    here = vm.relay.socket(socket.AF_INET, socket.SOCK_DGRAM)
    vm.relay.bind(here, "127.0.0.1", 5000)
    vm.relay.setsockopt(here, socket.IPPROTO_IP, 8, struct.pack("i", 1))  # IP_PKTINFO
    vm.relay.watch(here, READABLE)
    there = vm.relay.socket(socket.AF_INET, socket.SOCK_DGRAM)
    longest = bytes(range(256)) * 255 + bytes(227)
    assert vm.relay.send(there, longest, to=("127.0.0.1", 5000)) == 65507
    vm.run(vm.time)
    assert (here, READABLE, 0) in vm.take_ready()
    assert struct.unpack("i", vm.relay.ioctl(here, 0x541B, bytes(4))) == (65507,)
    received = vm.relay.receive(here)
    assert received.data == longest
    assert received.sender == ("127.0.0.1", vm.relay.getsockname(there)[1])
    assert (received.local, received.interface, received.ttl) == ("127.0.0.1", 1, None)
    with pytest.raises(GuestError) as raised:
        vm.relay.receive(here)
    assert raised.value.errno == errno.EAGAIN
    with pytest.raises(GuestError) as raised:
        vm.relay.send(there, longest + b"x", to=("127.0.0.1", 5000))
    assert raised.value.errno == errno.EMSGSIZE


def test_what_is_longer_than_a_request_is_sent_in_several(vm: Vm):
    listener = listening(vm, 82)
    client = tcp(vm)
    vm.relay.setsockopt(client, socket.SOL_SOCKET, 7, struct.pack("i", 1 << 20))  # SO_SNDBUF
    vm.relay.connect(client, "127.0.0.1", 82)
    server, _ = vm.relay.accept(listener)
    data = bytes(range(251)) * 1000
    sent = vm.relay.send(client, data)
    assert sent > 100_000
    received = b""
    while len(received) < sent:
        received += vm.relay.receive(server).data
    assert received == data[:sent]


def test_neighbour_that_does_not_answer_is_ehostunreach(vm: Vm):
    vm.relay.set_link(0, up=True)
    vm.relay.add_address(0, "10.7.0.1/24")
    client = tcp(vm)
    vm.relay.connect(client, "10.7.0.2", 80)
    datagrams = vm.relay.socket(socket.AF_INET, socket.SOCK_DGRAM)
    vm.relay.setsockopt(datagrams, socket.IPPROTO_IP, 11, struct.pack("i", 1))  # IP_RECVERR
    vm.relay.connect(datagrams, "10.7.0.2", 9)
    assert vm.relay.send(datagrams, b"x") == 1
    vm.run_until(vm.time + 5 * SECOND)
    errors = {handle: number for handle, conditions, number in vm.take_ready() if number}
    assert errors == {client: errno.EHOSTUNREACH, datagrams: errno.EHOSTUNREACH}
    with pytest.raises(GuestError) as raised:
        vm.relay.receive(datagrams)
    assert raised.value.errno == errno.EHOSTUNREACH
    vm.relay.delete_address(0, "10.7.0.1/24")
