# SPDX-License-Identifier: GPL-2.0-only
"""What one turn of a machine costs, without ns-3."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dpkt

from ..errors import VmError
from . import loads, processes

if TYPE_CHECKING:
    from .._vm import Vm

Kind = Literal["empty", "icmp", "udp"]

GUEST_MAC, _PEER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
_GUEST, _PEER = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
_PORT, _PEER_PORT = 7, 40_000
_ECHO_REQUEST, _ECHO_REPLY = 8, 0

#: simulated time between turns, ns
_STEP = 1_000

#: payloads in bytes; an ICMP message of 64 bytes has 8 bytes of header
_ICMP_PAYLOAD, _UDP_PAYLOAD = 56, 1000

#: turns that nobody counts, in which QEMU translates what the guest's kernel does
_WARM_UP = 2_000


@contextlib.contextmanager
def machine(
    directory: Path | None = None, *, spin_ns: int = 0, counts: Path | None = None
) -> Iterator[Vm]:
    """Give a machine with one NIC, 10.0.0.1, and a program that echoes UDP; it ends afterwards.

    `directory`: an image other than the usual, with the program in it. `spin_ns`: ns of wall time
    to poll before sleeping. `counts`: a file in which its QEMU counts.
    """
    # Not at the top: who only asks what there is to measure does without the extension.
    from .._vm import Vm

    directory = directory or loads.wanted_image().build()
    vm = Vm(
        loads.machine(directory),
        nics=[GUEST_MAC],
        spin=spin_ns,
        snapshots=str(directory / "snapshots"),
        counts=str(counts) if counts else "",
    )
    try:
        vm.finish_boot()
        vm.relay.set_link(0, up=True, arp=False)
        vm.relay.add_address(0, "10.0.0.1/24")
        vm.relay.start_process([loads.PROGRAM, "echo", str(_PORT)])
        # What a kernel does after its start is over: interfaces that came up, delayed work.
        vm.run_until(vm.time + 5_000_000_000)
        vm.take_frames()
        yield vm
    finally:
        vm.end()


def request(kind: Kind) -> bytes | None:
    """Return the frame that a turn delivers, or None."""
    if kind == "empty":
        return None
    if kind == "icmp":
        echo = dpkt.icmp.ICMP.Echo(id=1, seq=1, data=bytes(_ICMP_PAYLOAD))
        packet = dpkt.ip.IP(p=1, data=dpkt.icmp.ICMP(type=_ECHO_REQUEST, data=echo))
    else:
        datagram = dpkt.udp.UDP(sport=_PEER_PORT, dport=_PORT, data=bytes(_UDP_PAYLOAD))
        datagram.ulen = len(datagram)
        packet = dpkt.ip.IP(p=17, data=datagram)
    packet.src, packet.dst = _PEER, _GUEST
    packet.len = len(packet)
    addresses = bytes.fromhex((GUEST_MAC + _PEER_MAC).replace(":", ""))
    return addresses + struct.pack(">H", 0x0800) + bytes(packet)


def is_reply(kind: Kind, frame: bytes) -> bool:
    """Say whether a frame of the guest answers `request(kind)`."""
    packet = dpkt.ethernet.Ethernet(frame).data
    if not isinstance(packet, dpkt.ip.IP) or (packet.src, packet.dst) != (_GUEST, _PEER):
        return False
    body = packet.data
    if kind == "icmp":
        return (
            isinstance(body, dpkt.icmp.ICMP)
            and body.type == _ECHO_REPLY
            and bytes(body.data.data) == bytes(_ICMP_PAYLOAD)
        )
    return (
        isinstance(body, dpkt.udp.UDP)
        and (body.sport, body.dport) == (_PORT, _PEER_PORT)
        and bytes(body.data) == bytes(_UDP_PAYLOAD)
    )


def take_turns(vm: Vm, kind: Kind, count: int) -> float:
    """Give a machine `count` turns; return µs of wall time for each.

    The replies are checked, each of them, after the clock has stopped. Raises VmError if one is
    missing.
    """
    frame = request(kind)
    begin = time.perf_counter()
    vm.run_many(count, _STEP, frame=frame)
    elapsed = time.perf_counter() - begin
    replies = sum(is_reply(kind, frame) for _, frame in vm.take_frames())
    expected = 0 if kind == "empty" else count
    if replies != expected:
        message = f"the guest has answered {replies} of {expected} frames"
        raise VmError(message)
    return elapsed / count * 1e6


def cost(*, kind: Kind, cpus: int, spin_ns: int, turns: int, samples: int) -> list[float]:
    """Case: return µs a turn, `samples` times, each the mean of so many turns.

    `cpus`: on so many CPUs. `spin_ns`: ns for which simulator and machine poll before sleeping.
    """
    processes.use_cpus(cpus)
    with machine(spin_ns=spin_ns) as vm:
        take_turns(vm, kind, min(turns, _WARM_UP))
        return [take_turns(vm, kind, turns) for _ in range(samples)]
