# SPDX-License-Identifier: GPL-2.0-only
"""Frames that a guest's program makes, past all protocols: they leave as they are or not."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ns3_qemu._vm import Vm
from vm_tools import GUEST_MAC, SECOND

SOURCE = Path(__file__).parent / "data" / "raw-frames.c"
PROGRAM = "/raw-frames"
ETHERNET_HEADER, VLAN_TAG = 14, 4


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    program = tmp_path_factory.mktemp("raw") / "sender"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", program, SOURCE], check=True)
    return program.read_bytes()


@pytest.fixture(scope="module", params=[1500, 9000])
def vm(request: pytest.FixtureRequest, boot: Callable[..., Vm], sender: bytes) -> Vm:
    machine = boot(nics=[GUEST_MAC], mtu=request.param)
    machine.relay.set_link(0, up=True, mtu=request.param)
    machine.relay.write_file(PROGRAM, sender, mode=0o755)
    machine.run_until(5 * SECOND)
    machine.take_frames()
    return machine


def made(first: int, last: int) -> list[bytes]:
    """Return what the program makes."""
    state = 1
    frames = []
    for length in range(first, last + 1):
        frame = bytearray()
        for _ in range(length):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            frame.append(state >> 24)
        if length % 3 == 0 and length > 16:
            frame[12:14] = b"\x81\x00"
        frames.append(bytes(frame))
    return frames


@pytest.mark.parametrize(("first", "last"), [(0, 300), (1490, 1530), (8990, 9030)])
def test_a_raw_frame_leaves_as_it_is_or_not_at_all(
    request: pytest.FixtureRequest, vm: Vm, first: int, last: int
):
    mtu = int(request.node.callspec.params["vm"])
    process = vm.relay.start_process([PROGRAM, "eth0", str(first), str(last)])
    vm.run_until(vm.time + 2 * SECOND)
    assert vm.take_exits() == [(process, 0, 0)]
    taken = int(b"".join(data for _, stream, data in vm.take_output() if stream == 1))
    # A kernel takes none without a header, nor one longer than the MTU, but for a tag's 4 bytes.
    sendable = [
        frame
        for frame in made(first, last)
        if ETHERNET_HEADER <= len(frame) <= mtu + ETHERNET_HEADER
        or (frame[12:14] == b"\x81\x00" and len(frame) <= mtu + ETHERNET_HEADER + VLAN_TAG)
    ]
    frames = [frame for nic, frame in vm.take_frames() if nic == 0]
    assert taken == len(sendable)
    assert [frame for frame in frames if frame in set(sendable)] == sendable
