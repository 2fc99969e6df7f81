# SPDX-License-Identifier: GPL-2.0-only
"""The same inputs give the same machine, and nothing else does."""

import socket
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu._vm import SINK, SOURCE, Vm, VmImage
from vm_tools import (
    GUEST_MAC,
    SECOND,
    arp_request,
    echo_request,
    neighbour_solicitation,
    traces,
)

SEEDS = {"a": 1, "same as a": 1, "b": 2}


def live(vm: Vm) -> dict[str, Any]:
    """Give a machine a life of some length; return what can be seen of it."""
    frames: list[tuple[int, bytes]] = []
    relay = vm.relay
    relay.set_link(0, up=True)
    relay.add_address(0, "10.0.0.1/24")
    relay.add_address(0, "fd00::1/64")
    for step in range(40):
        vm.queue_frame(0, arp_request("10.0.0.1", "10.0.0.2"))
        vm.queue_frame(0, echo_request("10.0.0.1", "10.0.0.2", step))
        vm.queue_frame(0, neighbour_solicitation("fd00::1", "fd00::2"))
        vm.run(vm.time, timers=False)
        vm.run_until(vm.time + 123_456_789)
        frames += [(vm.time, frame) for _, frame in vm.take_frames()]
    # A connection over the loopback interface wakes much of the kernel, and chooses a random port.
    listening = relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.bind(listening, "127.0.0.1", 80)
    relay.listen(listening)
    sending = relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    relay.connect(sending, "127.0.0.1", 80)
    connection, peer = relay.accept(listening)
    relay.stream(connection, SINK)
    relay.stream(sending, SOURCE, 100_000)
    # And one to a stranger shows the kernel's random sequence numbers on the wire.
    relay.connect(relay.socket(socket.AF_INET, socket.SOCK_STREAM), "10.0.0.2", 80)
    vm.run_until(vm.time + 10 * SECOND)
    frames += [(vm.time, frame) for _, frame in vm.take_frames()]
    return {
        "peer": peer,
        "received": relay.stream_stat(connection),
        "frames": frames,
        "boot_id": relay.sysctl("kernel.random.boot_id"),
        **traces(vm),
    }


@pytest.fixture(scope="module")
def lives(
    vm_machine: VmImage, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    directory: Path = tmp_path_factory.mktemp("consoles")
    machines = {
        name: Vm(vm_machine, nics=[GUEST_MAC], seed=seed, console_log=str(directory / name))
        for name, seed in SEEDS.items()
    }
    for machine in machines.values():
        machine.start()  # they boot side by side, and load the machine while they do
    seen = {}
    for name, machine in machines.items():
        machine.finish_boot()
        seen[name] = live(machine)
        machine.end()
        seen[name]["console"] = (directory / name).read_bytes()
    return seen


def test_the_same_seed_gives_the_same_machine_to_the_instruction(lives: dict[str, dict[str, Any]]):
    assert lives["a"] == lives["same as a"]


def test_what_is_compared_is_something(lives: dict[str, dict[str, Any]]):
    seen = lives["a"]
    assert len(seen["frames"]) > 3 * 40
    assert seen["received"] == (100_000, 0)
    assert b"ns3-qemu relay: ready" in seen["console"]


@pytest.mark.parametrize("what", ["random", "boot_id", "peer", "frames"])
def test_another_seed_gives_other_random_numbers(lives: dict[str, dict[str, Any]], what: str):
    assert lives["a"][what] != lives["b"][what]


def test_a_machine_does_not_repeat_its_random_numbers(lives: dict[str, dict[str, Any]]):
    assert lives["a"]["random"] != lives["a"]["boot_id"]
