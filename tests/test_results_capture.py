# SPDX-License-Identifier: GPL-2.0-only
import struct

import dpkt
import pytest

import results_wire as wire
from ns3_qemu.errors import Ns3QemuError
from ns3_qemu.results.capture import read_capture, tcp_segments
from ns3_qemu.results.errors import CaptureError

RECORD_HEADER = 16


@pytest.fixture
def capture(tmp_path):
    return wire.write_capture(tmp_path / "c.pcap", [*wire.handshake(), wire.data(1_100_000_001, 1)])


def test_times_are_exact_nanoseconds(tmp_path):
    times = [1, 61_123_456_789, 4_000_000_000_999_999_999]
    path = wire.write_capture(tmp_path / "c.pcap", [wire.data(t, 1) for t in times])
    assert [record.t_ns for record in read_capture(path).records] == times


def test_microsecond_captures_are_read_too(tmp_path):
    path = wire.write_capture(tmp_path / "c.pcap", [wire.data(1_000_001_000, 1)], nanoseconds=False)
    assert [record.t_ns for record in read_capture(path).records] == [1_000_001_000]


def test_big_endian_captures_are_read_too(tmp_path):
    segment = wire.data(0, 1)[1]
    path = tmp_path / "c.pcap"
    path.write_bytes(
        struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, wire.RAW)
        + struct.pack(">IIII", 3, 7, len(segment), len(segment))
        + segment
    )
    assert [s.t_ns for s in tcp_segments(read_capture(path))] == [3_000_000_007]


@pytest.mark.parametrize("link", [wire.ETHERNET, wire.PPP, wire.RAW])
@pytest.mark.parametrize("ipv6", [False, True])
def test_every_link_type_and_ip_version_gives_the_same_segments(tmp_path, link, ipv6):
    segment = wire.packet(sent=True, flags=wire.ACK, seq=7, ack=9, length=3, ipv6=ipv6)
    path = wire.write_capture(tmp_path / "c.pcap", [(5, segment)], link)
    (read,) = tcp_segments(read_capture(path))
    assert (read.t_ns, read.seq, read.ack, read.length, read.flags) == (5, 7, 9, 3, wire.ACK)
    assert (read.source_port, read.destination_port) == (wire.SENDER_PORT, wire.RECEIVER_PORT)
    assert len(read.source) == (16 if ipv6 else 4)


def test_ppp_with_address_and_control_is_read(tmp_path):
    path = tmp_path / "c.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=wire.PPP, nano=True)
        writer.writepkt(b"\xff\x03" + wire.framed(wire.data(0, 1)[1], wire.PPP), 1)
    assert len(list(tcp_segments(read_capture(path)))) == 1


def test_padding_of_a_short_ethernet_frame_is_no_payload(tmp_path):
    path = wire.write_capture(tmp_path / "c.pcap", wire.handshake())
    assert [s.length for s in tcp_segments(read_capture(path))] == [0, 0, 0]


def test_payload_that_was_not_captured_counts(tmp_path):
    frame = wire.framed(wire.data(0, 1, length=1000)[1], wire.ETHERNET)
    path = tmp_path / "c.pcap"
    path.write_bytes(
        struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 96, wire.ETHERNET)
        + struct.pack("<IIII", 0, 0, 96, len(frame))
        + frame[:96]
    )
    assert [s.length for s in tcp_segments(read_capture(path))] == [1000]


def test_what_is_not_tcp_is_passed_over(tmp_path):
    path = tmp_path / "c.pcap"
    udp = dpkt.ip.IP(src=bytes(4), dst=bytes(4), p=17, data=dpkt.udp.UDP(data=b"x"))
    arp = dpkt.ethernet.Ethernet(type=dpkt.ethernet.ETH_TYPE_ARP, data=dpkt.arp.ARP())
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, nano=True)
        writer.writepkt(bytes(arp), 1)
        writer.writepkt(wire.framed(bytes(udp), wire.ETHERNET), 2)
        writer.writepkt(wire.framed(wire.data(0, 1)[1], wire.ETHERNET), 3)
    assert [s.t_ns for s in tcp_segments(read_capture(path))] == [3_000_000_000]


def test_ipv6_extension_headers_are_no_payload(tmp_path):
    plain = wire.packet(sent=True, flags=wire.ACK, seq=7, ack=9, length=30, ipv6=True)
    hop_by_hop = bytes([6, 0, 1, 4, 0, 0, 0, 0])
    length = len(plain) - 40 + len(hop_by_hop)
    extended = plain[:4] + struct.pack(">HB", length, 0) + plain[7:40] + hop_by_hop + plain[40:]
    path = wire.write_capture(tmp_path / "c.pcap", [(0, extended)], wire.RAW)
    assert [(s.seq, s.length) for s in tcp_segments(read_capture(path))] == [(7, 30)]


@pytest.mark.parametrize("missing", [1, 500, 1000])
def test_a_capture_that_ends_within_a_packet_is_refused(capture, missing):
    capture.write_bytes(capture.read_bytes()[:-missing])
    with pytest.raises(
        CaptureError, match=r"c\.pcap: ends within packet 4, after \d+ of 1054 bytes"
    ):
        read_capture(capture)


def test_a_capture_that_ends_within_a_record_header_is_refused(capture):
    capture.write_bytes(capture.read_bytes() + bytes(RECORD_HEADER - 1))
    with pytest.raises(CaptureError, match="ends within the header of packet 5"):
        read_capture(capture)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no pcap file"),
        (b"\x4d\x3c\xb2\xa1", "ends within the file header"),
        (b"t,cwnd_seg\n1.0,2\n" * 3, "no pcap file"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "pcapng.*\n.*editcap"),
        (struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 105), "link type 105.*Ethernet"),
    ],
)
def test_what_is_no_capture_is_refused(tmp_path, content, message):
    path = tmp_path / "c.pcap"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=message):
        read_capture(path)


def test_a_fragment_of_a_tcp_packet_is_refused(tmp_path):
    ip = dpkt.ip.IP(wire.data(0, 1)[1])
    ip.mf = 1
    path = wire.write_capture(tmp_path / "c.pcap", [(0, bytes(ip))])
    with pytest.raises(CaptureError, match="packet 1 can't be analysed: it is a fragment"):
        list(tcp_segments(read_capture(path)))


@pytest.mark.parametrize("length", [15, 30, 40, 53])
def test_a_header_that_was_captured_in_part_is_refused(tmp_path, length):
    frame = wire.framed(wire.data(0, 1)[1], wire.ETHERNET)
    path = tmp_path / "c.pcap"
    path.write_bytes(
        struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, length, wire.ETHERNET)
        + struct.pack("<IIII", 0, 0, length, len(frame))
        + frame[:length]
    )
    with pytest.raises(
        CaptureError, match=f"packet 1 can't be analysed.*{length} of its 1054 bytes"
    ):
        list(tcp_segments(read_capture(path)))


def test_a_user_sees_an_error_of_this_package():
    assert issubclass(CaptureError, Ns3QemuError)
