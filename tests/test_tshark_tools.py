# SPDX-License-Identifier: GPL-2.0-only
"""The tests' judge of captures takes 0xffff for a checksum of 0, and nothing else."""

import shutil
import struct
from pathlib import Path

import dpkt
import pytest

from tshark_tools import tshark_packets
from vm_tools import ip

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def packet(checksum: int | None, *, zero: bool = False) -> bytes:
    """Return an Ethernet frame; with `zero` the right checksum comes out as 0."""
    tcp = dpkt.tcp.TCP(sport=1, dport=2, seq=1, ack=1, flags=dpkt.tcp.TH_ACK, data=b"\0\0data")
    pseudo = ip("10.0.0.1") + ip("10.0.0.2") + struct.pack(">BBH", 0, 6, len(tcp))
    if zero:
        # The first two bytes of the payload make up for the rest.
        tcp.data = struct.pack(">H", dpkt.in_cksum(pseudo + bytes(tcp))) + b"data"
    right = dpkt.in_cksum(pseudo + bytes(tcp))
    assert (right == 0) == zero
    tcp.sum = right if checksum is None else checksum
    packet = dpkt.ip.IP(src=ip("10.0.0.1"), dst=ip("10.0.0.2"), p=6, ttl=64, data=bytes(tcp))
    return bytes(dpkt.ethernet.Ethernet(data=bytes(packet), type=dpkt.ethernet.ETH_TYPE_IP))


@pytest.mark.parametrize(
    ("frame", "right"),
    [
        (packet(None), True),
        (packet(0xFFFF, zero=True), True),
        (packet(0xFFFF), False),
        (packet(0x1234), False),
        (packet(0x1234, zero=True), False),
    ],
    ids=["right", "0xffff for 0", "0xffff", "wrong", "wrong for 0"],
)
def test_a_checksum_is_right_or_0xffff_for_0(tmp_path: Path, frame: bytes, right: bool) -> None:
    capture = tmp_path / "one.pcap"
    with capture.open("wb") as file:
        dpkt.pcap.Writer(file).writepkt(frame, ts=1)
    (seen,) = tshark_packets(capture)
    assert seen.right == right
