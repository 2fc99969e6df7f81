# SPDX-License-Identifier: GPL-2.0-only
"""Frames into a machine and out of it."""

import random
from collections.abc import Iterator

import dpkt
import pytest

from ns3_qemu._vm import Vm, VmError
from vm_tools import (
    ARP,
    GUEST,
    GUEST_MAC,
    IPV4,
    IPV6,
    PEER,
    SECOND,
    arp_request,
    echo6_request,
    echo_request,
    ethernet,
    ip,
    neighbour_solicitation,
    of_type,
    pseudo_header,
)

HOST, OTHER = "10.0.0.1", "10.0.0.2"
HOST6, OTHER6 = "fd00::1", "fd00::2"


@pytest.fixture(scope="module")
def machine(boot) -> Iterator[Vm]:
    vm = boot(nics=[GUEST_MAC, "02:00:00:00:01:01"])
    vm.relay.set_link(0, up=True)
    vm.relay.add_address(0, f"{HOST}/24")
    vm.relay.add_address(0, f"{HOST6}/64")
    vm.run_until(5 * SECOND)  # duplicate address detection is over
    yield vm
    vm.end()


@pytest.fixture
def vm(machine: Vm) -> Vm:
    """The machine; it knows its neighbours, and has nothing to say."""
    for frame in (arp_request(HOST, OTHER), neighbour_solicitation(HOST6, OTHER6)):
        machine.queue_frame(0, frame)
    machine.run(machine.time, timers=False)
    machine.take_frames()
    return machine


def answers(vm: Vm, *frames: bytes, nic: int = 0) -> list[tuple[int, bytes]]:
    """Return what the machine says to frames, in this very turn."""
    for frame in frames:
        vm.queue_frame(nic, frame)
    turns = vm.turns
    vm.run(vm.time, timers=False)
    assert vm.turns == turns + 1
    assert not vm.busy
    return vm.take_frames()


def echoes(vm: Vm, *frames: bytes) -> list[dpkt.icmp.ICMP.Echo]:
    """Return the machine's echo replies, all of which must be right."""
    replies = [frame.data for frame in of_type(answers(vm, *frames), IPV4)]
    for reply in replies:
        assert (reply.src, reply.dst, reply.p) == (ip(HOST), ip(OTHER), dpkt.ip.IP_PROTO_ICMP)
        assert reply.data.type == dpkt.icmp.ICMP_ECHOREPLY
        assert dpkt.in_cksum(bytes(reply)[:20]) == 0
        assert dpkt.in_cksum(bytes(reply)[20:]) == 0
    return [reply.data.data for reply in replies]


def assert_alive(vm: Vm) -> None:
    assert [echo.seq for echo in echoes(vm, echo_request(HOST, OTHER, 77))] == [77]


def test_arp_is_answered_in_the_same_turn(vm: Vm):
    (reply,) = of_type(answers(vm, arp_request(HOST, OTHER)), ARP)
    assert (reply.src, reply.dst, reply.data.op) == (GUEST, PEER, dpkt.arp.ARP_OP_REPLY)
    assert (reply.data.sha, reply.data.spa) == (GUEST, ip(HOST))
    assert (reply.data.tha, reply.data.tpa) == (PEER, ip(OTHER))


def test_arp_for_someone_else_is_not_answered(vm: Vm):
    assert answers(vm, arp_request("10.0.0.77", OTHER)) == []


def test_echo_is_answered_in_the_same_turn_with_correct_checksums(vm: Vm):
    request = echo_request(HOST, OTHER, 3)
    (reply,) = echoes(vm, request)
    sent = dpkt.ethernet.Ethernet(request).data.data.data
    assert (reply.id, reply.seq, reply.data) == (sent.id, 3, sent.data)


@pytest.mark.parametrize("size", [0, 1, 17, 18, 19, 1471, 1472])
def test_an_echo_comes_back_as_long_as_it_was(vm: Vm, size: int):
    (reply,) = echoes(vm, echo_request(HOST, OTHER, 1, size))
    assert len(reply.data) == size


def test_ipv6_neighbour_solicitation_is_answered_in_the_same_turn(vm: Vm):
    replies = of_type(answers(vm, neighbour_solicitation(HOST6, OTHER6)), IPV6)
    advertisements = [frame for frame in replies if frame.data.data.type == 136]
    assert len(advertisements) == 1
    assert ip(HOST6) in bytes(advertisements[0].data)
    assert GUEST in bytes(advertisements[0].data)


def test_ipv6_echo_is_answered_in_the_same_turn_with_a_correct_checksum(vm: Vm):
    request = echo6_request(HOST6, OTHER6, 5)
    (reply,) = of_type(answers(vm, request), IPV6)
    message = bytes(reply.data)[40:]
    assert (reply.data.src, reply.data.dst) == (ip(HOST6), ip(OTHER6))
    assert message[:2] == b"\x81\x00"
    assert message[4:] == request[14 + 40 + 4 :]
    assert dpkt.in_cksum(pseudo_header(ip(HOST6), ip(OTHER6), len(message)) + message) == 0


@pytest.mark.parametrize(
    ("offset", "what"), [(24, "the IP header's"), (36, "the ICMP message's")], ids=["ip", "icmp"]
)
def test_a_wrong_checksum_gets_no_answer(vm: Vm, offset: int, what: str):
    frame = bytearray(echo_request(HOST, OTHER, 1))
    frame[offset] ^= 1
    assert answers(vm, bytes(frame)) == [], f"{what} checksum is wrong"
    assert_alive(vm)


@pytest.mark.parametrize(
    ("frames", "size"), [(44, 1472), (1500, 1472), (5000, 0)], ids=["64 KiB", "2 MiB", "5000"]
)
def test_a_burst_at_one_instant_is_answered_completely_and_in_order(vm: Vm, frames: int, size: int):
    for number in range(frames):
        vm.queue_frame(0, echo_request(HOST, OTHER, number, size))
    vm.run(vm.time, timers=False)
    replies = [frame.data.data.data for frame in of_type(vm.take_frames(), IPV4)]
    assert [reply.seq for reply in replies] == list(range(frames))
    assert {len(reply.data) for reply in replies} == {size}


@pytest.mark.parametrize("length", [14, 15, 59, 1515, 4096, 9000, 65535, 69632])
def test_a_frame_of_any_length_does_no_harm(vm: Vm, length: int):
    frame = (echo_request(HOST, OTHER, 1) + bytes(length))[:length]
    answers(vm, frame)
    answers(vm, b"\xff" * length)
    assert_alive(vm)


def test_a_frame_that_no_wire_could_carry_is_refused(vm: Vm):
    with pytest.raises(VmError, match="cannot carry 70000 bytes"):
        vm.queue_frame(0, bytes(70000))
    assert_alive(vm)


@pytest.mark.parametrize("length", [0, 1, 13])
def test_a_frame_without_an_ethernet_header_is_refused(vm: Vm, length: int):
    with pytest.raises(VmError, match=f"frame of {length} bytes has no Ethernet header"):
        vm.queue_frame(0, bytes(length))
    assert_alive(vm)


def test_a_nic_that_does_not_exist_is_refused(vm: Vm):
    with pytest.raises(VmError, match="VM 'vm' has no NIC 2"):
        vm.queue_frame(2, bytes(60))
    assert_alive(vm)


def test_each_nic_has_its_own_traffic(machine: Vm):
    vm = machine
    vm.relay.set_link(1, up=True)
    vm.relay.add_address(1, "10.0.1.1/24")
    vm.run_until(vm.time + 5 * SECOND)
    vm.take_frames()
    for nic, asked, asking in ((0, HOST, OTHER), (1, "10.0.1.1", "10.0.1.2")):
        replies = answers(vm, arp_request(asked, asking), nic=nic)
        assert [number for number, _ in replies] == [nic]


def garbage(seed: int, count: int) -> Iterator[bytes]:
    """Return noise, and packets that are right but for some bytes."""
    dice = random.Random(seed)
    for _ in range(count):
        kind = dice.choice((IPV4, IPV6, ARP, dice.randrange(0x10000)))
        noise = dice.randbytes(dice.randrange(1600))
        yield ethernet(kind, noise)
        length = dice.randrange(20, 200)
        protocol = dice.choice((1, 2, 4, 6, 17, 41, 47, 50, 132, dice.randrange(256)))
        packet = dpkt.ip.IP(src=ip(OTHER), dst=ip(HOST), p=protocol, ttl=dice.randrange(256))
        packet.opts = dice.randbytes(4 * dice.randrange(11))
        packet.hl = 5 + len(packet.opts) // 4
        header = bytes(packet)[: packet.hl * 4]
        yield ethernet(IPV4, header + dice.randbytes(length))
        right = bytearray(
            dice.choice(
                (
                    echo_request(HOST, OTHER, 1),
                    echo6_request(HOST6, OTHER6, 1),
                    neighbour_solicitation(HOST6, OTHER6),
                    arp_request(HOST, OTHER),
                )
            )
        )
        for _ in range(dice.randrange(1, 4)):
            right[dice.randrange(12, len(right))] = dice.randrange(256)
        yield bytes(right[: dice.randrange(14, len(right) + 1)])


def test_garbage_does_no_harm(boot):
    vm = boot(nics=[GUEST_MAC])
    vm.relay.set_link(0, up=True)
    vm.relay.add_address(0, f"{HOST}/24")
    vm.relay.add_address(0, f"{HOST6}/64")
    vm.run_until(5 * SECOND)
    for frame in garbage(seed=20130, count=300):
        vm.queue_frame(0, frame)
        vm.run_until(vm.time + 1_000_003)
    vm.run_until(vm.time + 60 * SECOND)
    answers(vm, arp_request(HOST, OTHER))
    assert_alive(vm)
    console = "\n".join(vm.console_tail)
    assert not any(word in console for word in ("BUG", "WARNING", "Oops", "Call Trace"))
