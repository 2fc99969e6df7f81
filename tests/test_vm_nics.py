# SPDX-License-Identifier: GPL-2.0-only
"""Many NICs, their transmit rings, their links, and frames of other lengths."""

from collections.abc import Iterator

import pytest

from ns3_qemu import guest
from ns3_qemu._vm import Vm, VmError
from vm_tools import (
    ARP,
    GUEST_MAC,
    IPV4,
    SECOND,
    arp_request,
    echo_request,
    of_type,
)

HOST, OTHER = "10.0.0.1", "10.0.0.2"
MACS = [f"02:00:00:00:{8 - number:02x}:01" for number in range(8)]
RING = 32
IN_RING = RING - 18  # Linux stops its queue when fewer than 19 descriptors are free


@pytest.fixture(scope="module")
def machine(boot) -> Iterator[Vm]:
    vm = boot(nics=[GUEST_MAC], tx_ring=RING, mtu=9000)
    vm.relay.set_link(0, up=True, mtu=9000)
    vm.relay.add_address(0, f"{HOST}/24")
    vm.run_until(5 * SECOND)
    yield vm
    vm.end()


@pytest.fixture
def vm(machine: Vm) -> Vm:
    """The machine, without limit; it knows its neighbour and has nothing to say."""
    machine.set_credit(0, None)
    machine.set_carrier(0, True)
    machine.run(machine.time, timers=False)
    machine.queue_frame(0, arp_request(HOST, OTHER))
    machine.run(machine.time, timers=False)
    machine.take_frames()
    return machine


def ask(vm: Vm, count: int, size: int = 56) -> None:
    for number in range(count):
        vm.queue_frame(0, echo_request(HOST, OTHER, number, size))
    vm.run(vm.time, timers=False)


def replies(vm: Vm) -> list[int]:
    return [frame.data.data.data.seq for frame in of_type(vm.take_frames(), IPV4)]


def proc(vm: Vm, name: str) -> str:
    return vm.relay.read_file(f"/sys/class/net/eth0/{name}").decode().strip()


def test_a_nic_sends_as_many_frames_as_there_is_credit_for(vm: Vm):
    vm.set_credit(0, 3)
    ask(vm, 10)
    assert replies(vm) == [0, 1, 2]
    assert vm.credit(0) == 0


def test_frames_that_wait_are_sent_in_order_in_the_turn_that_gives_credit(vm: Vm):
    vm.set_credit(0, 0)
    ask(vm, 100)
    assert replies(vm) == []
    sent: list[int] = []
    for credit in (1, 2, 30, 0, 17):
        vm.set_credit(0, credit)
        vm.run(vm.time, timers=False)
        got = replies(vm)
        assert len(got) == credit
        sent += got
    vm.set_credit(0, None)
    vm.run(vm.time, timers=False)
    assert sent + replies(vm) == list(range(100))


def test_credit_that_is_left_is_still_there_in_the_next_turn(vm: Vm):
    vm.set_credit(0, 5)
    ask(vm, 2)
    assert vm.credit(0) == 3
    ask(vm, 5)
    assert replies(vm) == [0, 1, 0, 1, 2]


def test_what_the_ring_does_not_hold_is_the_queueing_disciplines(vm: Vm):
    guest.set_qdisc(vm, "eth0", "pfifo", limit=10)
    vm.set_credit(0, 0)
    ask(vm, IN_RING + 50)
    (queue,) = (one for one in guest.qdiscs(vm) if one.interface == "eth0")
    assert (queue.queued, queue.drops) == (10, 40)
    vm.set_credit(0, None)
    vm.run(vm.time, timers=False)
    assert replies(vm) == list(range(IN_RING + 10))
    guest.delete_qdisc(vm, "eth0")


def test_a_guest_without_carrier_knows_it(vm: Vm):
    assert (proc(vm, "carrier"), proc(vm, "operstate")) == ("1", "up")
    vm.set_carrier(0, False)
    vm.run(vm.time, timers=False)
    assert (proc(vm, "carrier"), proc(vm, "operstate")) == ("0", "down")


@pytest.mark.parametrize("speed", [10, 100, 1000, 400_000])
def test_a_nic_says_the_speed_that_it_is_told(vm: Vm, speed: int):
    vm.relay.set_link(0, speed=speed)
    assert (proc(vm, "speed"), proc(vm, "duplex")) == (str(speed), "full")


def test_frames_are_lost_while_the_link_is_down_and_pass_when_it_is_up(vm: Vm):
    vm.set_carrier(0, False)
    ask(vm, 3)
    assert replies(vm) == []
    vm.set_carrier(0, True)
    vm.run(vm.time, timers=False)
    assert proc(vm, "carrier") == "1"
    vm.take_frames()
    vm.queue_frame(0, arp_request(HOST, OTHER))
    ask(vm, 3)
    assert replies(vm) == [0, 1, 2]


def test_what_waits_for_credit_is_lost_with_the_link(vm: Vm):
    vm.set_credit(0, 1)
    ask(vm, 100)
    vm.set_carrier(0, False)
    vm.set_credit(0, None)
    vm.run(vm.time, timers=False)
    assert replies(vm) == [0]
    vm.set_carrier(0, True)
    vm.run(vm.time, timers=False)
    assert replies(vm) == []


@pytest.mark.parametrize("size", [1473, 4069, 8972])
def test_jumbo_frames_pass_both_ways(vm: Vm, size: int):
    vm.queue_frame(0, echo_request(HOST, OTHER, 1, size))
    vm.run(vm.time, timers=False)
    (reply,) = of_type(vm.take_frames(), IPV4)
    assert len(reply.data.data.data.data) == size


def test_a_nic_that_does_not_exist_has_no_credit_and_no_link(vm: Vm):
    for change in (lambda: vm.set_credit(1, 1), lambda: vm.set_carrier(1, True)):
        with pytest.raises(VmError, match="VM 'vm' has no NIC 1"):
            change()


def test_a_ring_that_no_guest_can_use_is_refused(boot):
    with pytest.raises(VmError, match="tx_queue_size"):
        boot(nics=[GUEST_MAC], tx_ring=48)


def test_eight_nics_are_found_in_their_order(boot):
    vm = boot(nics=MACS)
    for number, mac in enumerate(MACS):
        name, _, _, address = vm.relay.link(number)
        assert (name, address.hex(":")) == (f"eth{number}", mac)
        vm.relay.set_link(number, up=True)
        vm.relay.add_address(number, f"10.0.{number}.1/24")
    for number, mac in enumerate(MACS):
        vm.queue_frame(number, arp_request(f"10.0.{number}.1", f"10.0.{number}.2"))
        vm.run(vm.time, timers=False)
        frames = vm.take_frames()
        (reply,) = of_type(frames, ARP)
        assert [nic for nic, _ in frames] == [number]
        assert reply.src == bytes.fromhex(mac.replace(":", ""))
    vm.end()
