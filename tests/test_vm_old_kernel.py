# SPDX-License-Identifier: GPL-2.0-only
"""What kernels before virtio need, on a newer one: e1000, a 16550 for the relay, ticks in place."""

import contextlib
import itertools
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import dpkt
import pytest

from ns3_qemu import image, kernel
from ns3_qemu._vm import READABLE, SOURCE, VERIFY, Vm, VmError, read_image
from ns3_qemu.cache import Cache
from vm_tools import (
    ARP,
    GUEST_MAC,
    IPV4,
    MILLISECOND,
    SECOND,
    arp_request,
    echo_request,
    of_type,
)

KERNEL = "debian:6.1,flavour=amd64"
HOST, OTHER = "10.0.0.1", "10.0.0.2"

# Periodic ticks of 4 ms (HZ=250), put to 1 ns after a full ms.
TICK = 4 * MILLISECOND
PHASE = 1


@pytest.fixture(scope="module")
def directory() -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        return image.Image(
            KERNEL,
            memory_mib=128,
            cmdline_extra=("nohz=off", "highres=off", "loglevel=7"),
            nic="e1000",
            hpet_period_ns=16,
            relay="uart",
        ).build()


@pytest.fixture(scope="module")
def vm(directory: Path) -> Iterator[Vm]:
    machine = Vm(read_image(str(directory)), name="old", nics=[GUEST_MAC], tick_phase=PHASE)
    with contextlib.ExitStack() as ends:
        ends.callback(machine.end)
        machine.finish_boot()
        machine.relay.set_link(0, up=True)
        machine.relay.add_address(0, f"{HOST}/24")
        yield machine


# --- ticks ----------------------------------------------------------------------------------------


def jiffies(vm: Vm) -> int:
    found = re.search(rb"^\s*jiffies: (\d+)$", vm.relay.read_file("/proc/timer_list"), re.MULTILINE)
    assert found
    return int(found[1])


def test_the_guest_ticks_where_it_is_told_to(vm: Vm):
    """Its own count of ticks grows at these instants, and at no other."""
    at = -(-vm.time // TICK) * TICK
    # One of four full milliseconds is a tick's; look for it.
    counts = {}
    for ms in range(9):
        vm.run_until(at + ms * MILLISECOND)
        before = jiffies(vm)
        vm.run_until(at + ms * MILLISECOND + PHASE)
        counts[ms] = jiffies(vm) - before
    ticked = [ms for ms, count in counts.items() if count]
    assert len(ticked) >= 2
    assert all(b - a == 4 for a, b in itertools.pairwise(ticked))
    assert set(counts.values()) == {0, 1}


def test_ticks_keep_their_place(vm: Vm):
    vm.run_until(vm.time + 5 * SECOND)
    first = jiffies(vm)
    begin = vm.time
    vm.run_until(begin + 100 * TICK)
    assert jiffies(vm) - first == 100
    places = []
    for _ in range(50):
        places.append(vm.deadline % MILLISECOND)
        vm.run(vm.deadline)
    assert places.count(PHASE) >= 45  # a device of the machine may have a timer, too


# --- the relay over a 16550 -----------------------------------------------------------------------


def test_a_long_reply_is_whole_and_takes_no_time(vm: Vm):
    time, clock = vm.time, vm.relay.clock()
    guest = kernel.find(Cache(), KERNEL)
    assert guest
    (driver,) = kernel.modules(guest, ["e1000"])
    assert vm.relay.read_file("/lib/modules/e1000.ko") == driver.read()
    assert vm.relay.clock() == clock
    assert vm.time == time


def test_a_long_request_arrives_whole_and_takes_no_time(vm: Vm):
    clock = vm.relay.clock()
    data = bytes(i % 251 for i in range(50_000))
    vm.relay.write_file("/tmp/data", data)
    assert vm.relay.read_file("/tmp/data") == data
    assert vm.relay.clock() == clock


def test_events_come_in_the_turn_of_their_cause(vm: Vm):
    listening = vm.relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    vm.relay.bind(listening, "127.0.0.1", 5001)
    vm.relay.listen(listening)
    vm.relay.watch(listening, READABLE)
    sending = vm.relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    vm.relay.connect(sending, "127.0.0.1", 5001)
    time = vm.time
    vm.run(time)
    assert (listening, READABLE, 0) in vm.take_ready()
    connection, _ = vm.relay.accept(listening)
    vm.relay.stream(connection, VERIFY, 100_000)
    vm.relay.stream(sending, SOURCE, 100_000)
    vm.run_until(time + SECOND)
    assert sorted(vm.take_stream_ends()) == [(sending, 0, 100_000, 0), (connection, 0, 100_000, 0)]


# --- e1000 ----------------------------------------------------------------------------------------


def test_a_nic_that_negotiates_keeps_its_speed(vm: Vm):
    vm.relay.set_link(0, speed=10)
    assert vm.relay.read_file("/sys/class/net/eth0/speed") == b"1000\n"


def test_each_frame_is_answered_at_its_own_time(vm: Vm):
    """The NIC holds no interrupt back, however soon a frame follows another."""
    vm.run_until(vm.time + 3 * SECOND)  # its link is up
    vm.take_frames()
    vm.queue_frame(0, arp_request(HOST, OTHER))
    vm.run(vm.time, timers=False)
    assert len(of_type(vm.take_frames(), ARP)) == 1
    for number in range(5):
        vm.run_until(vm.time + 1000)
        vm.queue_frame(0, echo_request(HOST, OTHER, number))
        vm.run(vm.time, timers=False)
        (reply,) = of_type(vm.take_frames(), IPV4)
        assert isinstance(reply.data.data.data, dpkt.icmp.ICMP.Echo)
        assert reply.data.data.data.seq == number


def test_the_driver_throttles_no_interrupts(vm: Vm):
    assert any("Interrupt Throttling Rate (ints/sec) turned off" in x for x in vm.console_tail)


# --- the TSC --------------------------------------------------------------------------------------


def test_a_delay_with_interrupts_off_comes_to_an_end(vm: Vm):
    """A kernel that panics waits a second by its TSC before it reboots: the last of these tests."""
    begin = vm.time

    def panic() -> None:
        vm.relay.write_file("/proc/sysrq-trigger", b"c")

    with pytest.raises(VmError, match=r"the guest's kernel has panicked: .*sysrq") as failed:
        panic()
    at = re.search(r"failed at simulated time ([\d.]+) s", str(failed.value))
    assert at
    assert float(at[1]) * SECOND - begin < SECOND
