# SPDX-License-Identifier: GPL-2.0-only
"""Several turns in a row, begun before they are due: their results, and what ends them."""

import os
import re
import signal
import socket
from collections.abc import Callable

import dpkt
import pytest

from ns3_qemu._vm import READABLE, Vm, VmError
from process_tools import watched
from vm_tools import (
    GUEST_MAC,
    IPV4,
    MILLISECOND,
    SECOND,
    arp_request,
    echo_request,
    ethernet,
    ip,
    neighbour_solicitation,
)

# (time, frame), by time.
Inputs = list[tuple[int, bytes]]

NOT_FORESEEN = "asked for something when it had gone ahead already"


def networked(boot: Callable[..., Vm], **configuration: object) -> Vm:
    vm = boot(nics=[GUEST_MAC], **configuration)
    vm.relay.set_link(0, up=True)
    vm.relay.add_address(0, "10.0.0.1/24")
    vm.relay.add_address(0, "fd00::1/64")
    vm.queue_frame(0, arp_request("10.0.0.1", "10.0.0.2"))
    vm.run_until(5 * SECOND)
    vm.take_frames()
    return vm


@pytest.fixture
def pair(boot: Callable[..., Vm]) -> tuple[Vm, Vm]:
    """Two machines that are the same."""
    return networked(boot), networked(boot)


def udp(number: int, port: int = 9) -> bytes:
    datagram = dpkt.udp.UDP(sport=1000 + number, dport=port, data=bytes(20), ulen=28)
    packet = dpkt.ip.IP(src=ip("10.0.0.2"), dst=ip("10.0.0.1"), p=17, ttl=64, data=datagram)
    return ethernet(IPV4, packet)


def pings(vm: Vm, count: int, step: int = MILLISECOND, size: int = 56) -> Inputs:
    begin = vm.time + step
    return [(begin + i * step, echo_request("10.0.0.1", "10.0.0.2", i, size)) for i in range(count)]


def ahead(vm: Vm, horizon: int, inputs: Inputs, turns: int = 100_000) -> int:
    return vm.go_ahead(horizon, [(when, 0, frame) for when, frame in inputs], turns)


def live(vm: Vm, inputs: Inputs, until: int) -> list[tuple[object, ...]]:
    """Have the turns for some frames, and for timers before a time; return what each has brought.

    A frame comes before a timer that is due when it arrives.
    """
    seen: list[tuple[object, ...]] = []

    def see() -> None:
        seen.append((vm.time, vm.busy, vm.deadline, vm.instructions, vm.take_frames()))

    for when, frame in inputs:
        while vm.deadline < when:
            vm.run(vm.deadline)
            see()
        vm.queue_frame(0, frame)
        vm.run(when, timers=False)
        see()
    while vm.deadline < until:
        vm.run(vm.deadline)
        see()
    return seen


# --- the same turns -------------------------------------------------------------------------------


def test_a_row_of_turns_is_that_of_turns_one_by_one(pair: tuple[Vm, Vm]):
    serial, parallel = pair
    until = serial.time + 9 * SECOND  # long enough for a router solicitation of the guest's own
    inputs = sorted(
        [
            *pings(serial, 100, 7 * MILLISECOND),
            (serial.deadline, udp(1)),  # at the very time of a timer
            (serial.deadline, udp(2)),
            (serial.time + SECOND, neighbour_solicitation("fd00::1", "fd00::2")),
        ]
    )
    turns = parallel.turns
    assert ahead(parallel, until, inputs) == len(inputs)
    expected = live(serial, inputs, until)
    assert live(parallel, inputs, until) == expected
    assert len(expected) > len(inputs)
    assert parallel.turns - turns == parallel.turns_ahead == len(expected)
    assert not parallel.ahead
    assert sum(len(turn[-1]) for turn in expected) > len(inputs)
    for vm in pair:
        vm.run_until(until + SECOND)
    assert serial.relay.clock() == parallel.relay.clock()
    assert serial.instructions == parallel.instructions
    assert serial.relay.read_file("/proc/interrupts") == parallel.relay.read_file(
        "/proc/interrupts"
    )


def wait(vm: Vm) -> None:
    while vm.going:
        vm.collect_ahead()
        os.sched_yield()


def test_a_machine_goes_further_before_its_results_are_taken(pair: tuple[Vm, Vm]):
    serial, parallel = pair
    inputs = pings(serial, 60, 50 * MILLISECOND)
    last = serial.time
    for part in range(0, 60, 20):
        row = inputs[part : part + 20]
        assert parallel.can_go_ahead
        assert parallel.horizon == last
        assert parallel.next_timer >= last
        last = row[-1][0] + 1
        ahead(parallel, last, row)
        wait(parallel)
        assert parallel.ahead
    until = inputs[-1][0] + 1
    assert live(parallel, inputs, until) == live(serial, inputs, until)
    assert not parallel.ahead
    assert parallel.turns_ahead >= 60
    assert parallel.can_go_ahead
    # From here it goes on as if nothing had been.
    inputs = pings(serial, 5)
    until = inputs[-1][0] + SECOND
    assert live(parallel, inputs, until) == live(serial, inputs, until)


def test_a_row_has_no_more_turns_than_it_may(pair: tuple[Vm, Vm]):
    serial, parallel = pair
    inputs = pings(serial, 10)
    until = inputs[-1][0] + 1
    ahead(parallel, until, inputs, turns=3)
    wait(parallel)
    assert parallel.ahead
    assert not parallel.can_go_ahead  # not all of its frames have been delivered
    assert live(parallel, inputs, until) == live(serial, inputs, until)
    assert parallel.turns_ahead == 3


def test_a_row_without_turns_is_over_at_once(pair: tuple[Vm, Vm]):
    serial, parallel = pair
    ahead(parallel, parallel.time + 1, [])
    wait(parallel)
    assert not parallel.ahead
    inputs = pings(serial, 1)
    assert live(parallel, inputs, 0) == live(serial, inputs, 0)
    assert parallel.turns_ahead == 0


def test_more_than_fits_the_outbox_arrives(pair: tuple[Vm, Vm]):
    """What comes out is a little more than what goes in, and the inbox is as large as the outbox.

    The outbox is full in the midst of a turn then, whose results are had in two parts.
    """
    serial, parallel = pair
    inputs = pings(serial, 1000, MILLISECOND // 10, size=1400)
    until = inputs[-1][0] + 1
    taken = ahead(parallel, until, inputs)
    assert 600 < taken < 1000
    inputs = inputs[:taken]
    seen, expected = live(parallel, inputs, until), live(serial, inputs, until)
    assert seen == expected
    assert parallel.turns_ahead >= taken


def test_a_row_ends_where_the_relay_says_something(pair: tuple[Vm, Vm]):
    """Somebody may want to answer, before anything else happens."""
    sockets = []
    for vm in pair:
        sockets.append(vm.relay.socket(socket.AF_INET, socket.SOCK_DGRAM))
        vm.relay.bind(sockets[-1], "0.0.0.0", 4000)
        vm.relay.watch(sockets[-1], READABLE)
    serial, parallel = pair
    inputs = pings(serial, 20)
    inputs[7] = (inputs[7][0], udp(7, port=4000))
    until = inputs[-1][0] + 1
    before = parallel.turns_ahead
    ahead(parallel, until, inputs)
    first = [live(vm, inputs[:8], 0) for vm in pair]
    assert first[0] == first[1]
    assert parallel.turns_ahead - before == len(first[0])
    assert not parallel.ahead
    assert [vm.take_ready() for vm in pair] == [
        [(sockets[0], READABLE, 0)],
        [(sockets[1], READABLE, 0)],
    ]
    assert parallel.relay.receive(sockets[1]).data == serial.relay.receive(sockets[0]).data
    assert live(parallel, inputs[8:], until) == live(serial, inputs[8:], until)
    assert parallel.turns_ahead - before == len(first[0])


def fragments(size: int) -> list[bytes]:
    """Return a large echo request in parts."""
    echo = dpkt.icmp.ICMP.Echo(id=1, seq=1, data=bytes(size))
    message = bytes(dpkt.icmp.ICMP(type=8, data=echo))
    parts = []
    for at in range(0, len(message), 1480):
        packet = dpkt.ip.IP(
            src=ip("10.0.0.2"), dst=ip("10.0.0.1"), p=1, ttl=64, id=77, data=message[at : at + 1480]
        )
        packet._flags_offset = at // 8 | (0x2000 if at + 1480 < len(message) else 0)
        packet.len = 20 + len(packet.data)
        parts.append(ethernet(IPV4, packet))
    return parts


def test_a_row_ends_with_a_turn_that_the_guest_has_used_up(boot: Callable[..., Vm]):
    limits = ["busy-instructions=250000", "busy-step=250000"]
    serial, parallel = (networked(boot, link_options=limits) for _ in range(2))
    begin = serial.time + MILLISECOND
    inputs = [(begin + i * 10_000, part) for i, part in enumerate(fragments(60_000))]
    inputs += [(inputs[-1][0] + 5 * MILLISECOND, udp(1))]
    until = inputs[-1][0] + SECOND
    ahead(parallel, until, inputs)
    wait(parallel)
    assert not parallel.can_go_ahead
    expected = live(serial, inputs, until)
    assert live(parallel, inputs, until) == expected
    busy = [turn[1] for turn in expected]
    assert any(busy)
    assert parallel.turns_ahead == busy.index(True) + 1


# --- what is refused ------------------------------------------------------------------------------


def test_who_goes_ahead_already_cannot_begin_again(pair: tuple[Vm, Vm]):
    _, vm = pair
    inputs = pings(vm, 500, size=1400)
    until = inputs[-1][0] + 1
    ahead(vm, until, inputs)
    with pytest.raises(VmError, match="VM 'vm' cannot go ahead: it is going already"):
        vm.go_ahead(until + 1)
    assert len(live(vm, inputs, until)) >= 500


def test_a_frame_for_a_nic_that_is_not_there_is_refused(pair: tuple[Vm, Vm]):
    _, vm = pair
    with pytest.raises(VmError, match="has no NIC 1"):
        vm.go_ahead(vm.time + SECOND, [(vm.time + 1, 1, bytes(60))])
    with pytest.raises(VmError, match="13 bytes has no Ethernet header"):
        vm.go_ahead(vm.time + SECOND, [(vm.time + 1, 0, bytes(13))])
    vm.run_until(vm.time + SECOND)


def frame_and_run(vm: Vm, frame: bytes, when: int, timers: bool = False) -> None:
    vm.queue_frame(0, frame)
    vm.run(when, timers=timers)


FRAME = udp(1)

WRONG: dict[str, Callable[[Vm, int], object]] = {
    "too early": lambda vm, when: frame_and_run(vm, FRAME, when - 1),
    "too late": lambda vm, when: frame_and_run(vm, FRAME, when + 1),
    "other frame": lambda vm, when: frame_and_run(vm, udp(2), when),
    "with timers": lambda vm, when: frame_and_run(vm, FRAME, when, timers=True),
    "no frame": lambda vm, when: vm.run(when, timers=False),
    "frame twice": lambda vm, _: (vm.queue_frame(0, FRAME), vm.queue_frame(0, FRAME)),
    "other NIC": lambda vm, _: vm.queue_frame(1, FRAME),
    "request": lambda vm, _: vm.relay.clock(),
    "link": lambda vm, _: vm.set_carrier(0, False),
    "credit": lambda vm, _: vm.set_credit(0, 3),
    "console": lambda vm, _: vm.queue_console(b"x"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_was_not_foreseen_ends_the_machine(boot: Callable[..., Vm], wrong: str):
    vm = boot(nics=[GUEST_MAC, "02:00:00:00:00:02"], name="hasty")
    vm.relay.set_link(0, up=True)
    vm.run(2 * SECOND)
    vm.run_until(3 * SECOND)
    when = vm.time + 10_000
    while vm.deadline <= when + 1:
        vm.run(vm.deadline)
        when = vm.time + 10_000
    with watched(vm.pid) as has_ended:
        ahead(vm, when + SECOND, [(when, FRAME)])
        with pytest.raises(VmError, match=f"VM 'hasty' failed at simulated time .*{NOT_FORESEEN}"):
            WRONG[wrong](vm, when)
        assert has_ended()
    with pytest.raises(VmError, match="not running"):
        vm.run(when)


# --- it ends in the midst -------------------------------------------------------------------------


@pytest.mark.parametrize("poll", [False, True], ids=["going", "over"])
def test_no_process_is_left_of_a_machine_that_is_ahead(pair: tuple[Vm, Vm], poll: bool):
    _, vm = pair
    with watched(vm.pid) as has_ended:
        ahead(vm, vm.time + 10 * SECOND, pings(vm, 600, size=1400))
        if poll:
            wait(vm)
        vm.end()
        assert has_ended()
    with pytest.raises(VmError, match="not running"):
        vm.run(vm.time)


def test_a_qemu_that_is_killed_in_a_row_of_turns_is_noticed(pair: tuple[Vm, Vm]):
    _, vm = pair
    when = vm.time + MILLISECOND
    with watched(vm.pid) as has_ended:
        os.kill(vm.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, vm.pid, os.WSTOPPED)
        ahead(vm, when + SECOND, [(when, FRAME)])
        assert vm.going
        os.kill(vm.pid, signal.SIGKILL)
        with pytest.raises(VmError, match=re.compile("QEMU was killed by signal 9", re.DOTALL)):
            live(vm, [(when, FRAME)], when + 1)
        assert has_ended()
