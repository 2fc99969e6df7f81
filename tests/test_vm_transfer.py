# SPDX-License-Identifier: GPL-2.0-only
"""Two machines on a wire, without ns-3: their kernels carry a TCP connection."""

import itertools
from collections.abc import Callable

import dpkt
import pytest

from ns3_qemu._vm import Vm, VmImage
from vm_tools import IPV4, SECOND, Wire, transfer

LENGTH = 300_000
PORT = 5001


@pytest.fixture
def wire(vm_machine: VmImage) -> Callable[..., Wire]:
    def make(**options: int) -> Wire:
        ends = tuple(
            Vm(vm_machine, nics=[f"02:00:00:00:00:0{i}"], name=f"host{i}", seed=i) for i in (1, 2)
        )
        for vm in ends:
            vm.start()
        for i, vm in enumerate(ends, 1):
            vm.finish_boot()
            vm.relay.set_link(0, up=True, gso_max_segments=1)
            vm.relay.add_address(0, f"10.0.0.{i}/24")
        return Wire(ends, **options)

    return make


def data_segments(wire: Wire) -> list[tuple[int, int]]:
    """Return (sequence number, length) of every segment that the sender sent."""
    segments = []
    for _, end, frame in wire.log:
        packet = dpkt.ethernet.Ethernet(frame).data
        if end == 0 and isinstance(packet, dpkt.ip.IP) and isinstance(packet.data, dpkt.tcp.TCP):
            segments.append((packet.data.seq, len(packet.data.data)))
    return [segment for segment in segments if segment[1]]


def test_a_transfer_arrives_byte_for_byte_and_no_segment_is_sent_twice(wire: Callable[..., Wire]):
    net = wire()
    assert transfer(net, "10.0.0.2", PORT, LENGTH, 60 * SECOND) == (0, LENGTH, 0)
    segments = data_segments(net)
    assert sum(length for _, length in segments) == LENGTH
    assert len({sequence for sequence, _ in segments}) == len(segments)
    # No segmentation offload: what is on the wire fits the MTU.
    assert max(len(frame) for _, _, frame in net.log) == 1514
    times = [time for time, _, _ in net.log]
    assert all(a <= b for a, b in itertools.pairwise(times))


def test_a_transfer_over_a_lossy_wire_arrives_byte_for_byte(wire: Callable[..., Wire]):
    net = wire(drop_every=50)
    assert transfer(net, "10.0.0.2", PORT, LENGTH, 600 * SECOND) == (0, LENGTH, 0)
    assert net.dropped >= 3
    assert sum(length for _, length in data_segments(net)) > LENGTH


def test_every_packet_on_the_wire_has_correct_checksums(wire: Callable[..., Wire]):
    net = wire()
    transfer(net, "10.0.0.2", PORT, 50_000, 60 * SECOND)
    checked = 0
    for _, _, frame in net.log:
        parsed = dpkt.ethernet.Ethernet(frame)
        if parsed.type != IPV4 or parsed.data.p != dpkt.ip.IP_PROTO_TCP:
            continue
        packet = frame[14 : 14 + parsed.data.len]
        segment = packet[parsed.data.hl * 4 :]
        pseudo = packet[12:20] + bytes([0, 6]) + len(segment).to_bytes(2, "big")
        assert dpkt.in_cksum(packet[: parsed.data.hl * 4]) == 0
        assert dpkt.in_cksum(pseudo + segment) == 0
        checked += 1
    assert checked > 50_000 // 1448
