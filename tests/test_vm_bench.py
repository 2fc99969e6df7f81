# SPDX-License-Identifier: GPL-2.0-only
"""What the bench measures really happens in the guest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ns3_qemu._vm import Vm
from ns3_qemu.bench import cases, coupling, loads, turns
from ns3_qemu.errors import VmError
from vm_tools import SECOND


@pytest.fixture(scope="module")
def vm() -> Iterator[Vm]:
    with turns.machine() as machine:
        yield machine


def test_many_turns_are_as_many_at_their_times(vm: Vm):
    before, begin = vm.turns, vm.time
    vm.run_many(1000, 500)
    assert vm.turns == before + 1000
    assert vm.time == begin + 1000 * 500


@pytest.mark.parametrize("kind", ["icmp", "udp"])
def test_each_turn_brings_its_reply(vm: Vm, kind: turns.Kind):
    vm.take_frames()
    vm.run_many(20, 1000, frame=turns.request(kind))
    replies = vm.take_frames()
    assert len(replies) == 20
    assert all(turns.is_reply(kind, frame) for _, frame in replies)


def test_an_empty_turn_brings_nothing(vm: Vm):
    vm.run_many(20, 1000)
    assert vm.take_frames() == []


def test_a_reply_that_is_missing_is_an_error(vm: Vm):
    vm.set_carrier(0, False)
    try:
        with pytest.raises(VmError, match="has answered 0 of 5 frames"):
            turns.take_turns(vm, "icmp", 5)
    finally:
        vm.set_carrier(0, True)
        vm.run_until(vm.time + SECOND)
    assert turns.take_turns(vm, "icmp", 5) > 0


def test_a_load_that_sleeps_switches_the_machine_off_when_it_is_over():
    directory = loads.wanted_image().build()
    machine = Vm(loads.machine(directory), snapshots=str(directory / "snapshots"))
    machine.finish_boot()
    machine.relay.start_process([loads.PROGRAM, "sleep", "3"])
    with pytest.raises(VmError, match=coupling.OFF):
        machine.run_until(4 * SECOND)
    assert machine.time == pytest.approx(3 * SECOND, abs=10_000_000)
    machine.end()


def test_a_guest_does_the_same_driven_and_alone():
    arguments = {"load": "count", "short": 1, "long": 20_000_000, "samples": 1}
    found = cases.call("coupling.compare", arguments)
    # Twenty million rounds take some CPU time, wherever they are made.
    for way in ("driven", "alone"):
        (short,), (long,) = found[way]["short"], found[way]["long"]
        assert long - short > 0.01
