# SPDX-License-Identifier: GPL-2.0-only
"""Guests whose own drivers do to their NIC what no kernel would."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ns3_qemu._vm import Vm
from vm_tools import BROADCAST, GUEST_MAC, SECOND

SOURCE = Path(__file__).parent / "data" / "raw-virtio-net.c"
PROGRAM = "/raw-virtio-net"
DEVICE = "virtio1"  # virtio0 is the relay's port


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    program = tmp_path_factory.mktemp("hostile") / "driver"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", program, SOURCE], check=True)
    return program.read_bytes()


@pytest.fixture
def vm(boot, driver: bytes) -> Iterator[Vm]:
    machine = boot(nics=[GUEST_MAC])
    machine.relay.write_file(PROGRAM, driver, mode=0o755)
    machine.run_until(SECOND)
    machine.take_frames()
    yield machine
    machine.end()


def send(vm: Vm, what: str) -> int:
    """Have the guest send it; return how many frames arrived."""
    process = vm.relay.start_process([PROGRAM, what])
    vm.run_until(vm.time + SECOND)
    assert vm.take_exits() == [(process, 0, 0)]
    frames = vm.take_frames()
    assert all(nic == 0 and frame == BROADCAST + bytes(54) for nic, frame in frames)
    return len(frames)


@pytest.mark.parametrize("nothing", ["h", "s"])
def test_what_is_no_frame_takes_no_credit(vm: Vm, nothing: str):
    vm.set_credit(0, 3)
    assert send(vm, nothing * 5 + "FF") == 2
    assert vm.credit(0) == 1


def test_what_no_nic_can_do_is_not_sent(vm: Vm):
    assert send(vm, "GFLFCFN") == 3


def test_what_is_no_frame_does_not_stop_a_nic_without_credit(vm: Vm):
    vm.set_credit(0, 1)
    assert send(vm, "FhhhhFF") == 1
    vm.set_credit(0, None)
    vm.run(vm.time, timers=False)
    assert len(vm.take_frames()) == 2


def test_a_nic_may_be_taken_from_its_driver_and_given_back(vm: Vm, guest_tool: Path):
    """Whether its machine has booted or was restored, as this one was."""
    vm.relay.write_file("/tool", guest_tool.read_bytes(), mode=0o755)
    there = []
    for file in ("unbind", "bind"):
        arguments = ["/tool", "write", f"/sys/bus/virtio/drivers/virtio_net/{file}", DEVICE]
        process = vm.relay.start_process(arguments)
        vm.run_until(vm.time + SECOND)
        assert vm.take_exits() == [(process, 0, 0)]
        there.append(b"eth0" in vm.relay.read_file("/proc/net/dev"))
    assert there == [False, True]
