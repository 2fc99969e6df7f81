# SPDX-License-Identifier: GPL-2.0-only
import struct

import dpkt
import pytest

import results_wire as wire
from ns3_qemu.results import ResultError, dissect
from ns3_qemu.results.capture import Record

_STAMPS = wire.timestamps(700, 300)
_OPTIONS = {
    "syn": wire.syn_options(1460, 7, _STAMPS),
    "sack": wire.sack((2000, 3000), (4000, 5000)),
    "unknown kind": b"\x1e\x04\x00\x81" + b"\x01\x01\x01\x00",
    "the same twice": b"\x03\x03\x07\x03\x03\x08\x00\x00",
    "no length": b"\x08\x00\x00\x00",
}


def _frames() -> dict[str, tuple[int, bytes]]:
    def segment(options: bytes, *, ipv6: bool = False) -> bytes:
        return wire.packet(
            sent=True, flags=wire.ACK, seq=2000, ack=6000, length=3, options=options, ipv6=ipv6
        )

    found = {f"TCP, {name}": (wire.ETHERNET, segment(each)) for name, each in _OPTIONS.items()}
    found["TCP over IPv6"] = (wire.ETHERNET, segment(_STAMPS, ipv6=True))
    found["PPP"] = (wire.PPP, segment(b""))
    found["raw"] = (wire.RAW, segment(b""))
    frames = {name: (link, wire.framed(packet, link)) for name, (link, packet) in found.items()}
    ip = {"src": b"\x0a\x00\x00\x01", "dst": b"\x0a\x00\x00\x02"}
    echo = bytes(dpkt.icmp.ICMP(type=8, data=dpkt.icmp.ICMP.Echo(id=1, seq=2, data=b"ab")))
    datagram = dpkt.udp.UDP(sport=1, dport=2, data=b"abcd", ulen=12)
    others = {
        "ICMP": bytes(dpkt.ip.IP(p=1, data=echo, **ip)),
        "UDP": bytes(dpkt.ip.IP(p=17, data=datagram, **ip)),
        "another protocol, options": bytes(dpkt.ip.IP(p=89, opts=bytes(4), hl=6, data=b"x", **ip)),
        "a fragment": bytes(dpkt.ip.IP(p=17, offset=100, data=b"abcdefghij", **ip)),
    }
    frames |= {
        name: (wire.ETHERNET, wire.framed(each, wire.ETHERNET)) for name, each in others.items()
    }
    arp = bytes(dpkt.arp.ARP(sha=b"abcdef", spa=b"\x0a\0\0\1", tpa=b"\x0a\0\0\2", tha=bytes(6)))
    frames["ARP"] = (wire.ETHERNET, bytes(12) + b"\x08\x06" + arp + bytes(18))
    inner = wire.packet(sent=True, flags=wire.SYN, seq=1)
    frames["VLAN"] = (wire.ETHERNET, bytes(12) + b"\x81\x00\x20\x05\x08\x00" + inner)
    frames["LLC"] = (wire.ETHERNET, bytes(12) + struct.pack(">H", 5) + b"\xaa\xaa\x03ab")
    frames["short"] = (wire.ETHERNET, bytes(9))
    frames["Wi-Fi"] = (105, bytes(30))
    return frames


_FRAMES = _frames()


def _fields(link: int, frame: bytes, t_ns: int = 1_000_000_001) -> dict[str, object]:
    return dict(dissect.Dissector(link).fields(Record(1, t_ns, frame, len(frame))))


@pytest.mark.parametrize("name", _FRAMES)
def test_every_bit_of_a_frame_is_in_a_field(name: str) -> None:
    link, frame = _FRAMES[name]
    fields = _fields(link, frame)
    assert set(fields) <= set(dissect.FIELDS)
    for bit in range(8 * len(frame)):
        changed = bytearray(frame)
        changed[bit // 8] ^= 1 << bit % 8
        assert _fields(link, bytes(changed)) != fields, f"bit {bit % 8} of byte {bit // 8}"


@pytest.mark.parametrize("name", _FRAMES)
def test_every_length_of_a_frame_is_decoded(name: str) -> None:
    link, frame = _FRAMES[name]
    seen = [_fields(link, frame[:length]) for length in range(len(frame) + 1)]
    assert all(a != b for i, a in enumerate(seen) for b in seen[:i])


def test_numbers_are_also_relative_to_their_connection() -> None:
    def decoded(iss: int, irs: int, clock: int) -> list[dict[str, object]]:
        syn = wire.packet(
            sent=True,
            flags=wire.SYN,
            seq=iss,
            options=wire.syn_options(1460, 7, wire.timestamps(clock, 0)),
        )
        answer = wire.packet(
            sent=False,
            flags=wire.SYN | wire.ACK,
            seq=irs,
            ack=iss + 1,
            options=wire.timestamps(5 * clock % 2**32, clock),
        )
        sacked = wire.packet(
            sent=False,
            flags=wire.ACK,
            seq=irs + 1,
            ack=iss + 1,
            options=wire.sack((iss + 9, iss + 12)),
        )
        dissector = dissect.Dissector(wire.RAW, dissect.ignored_fields(dissect.RELATIVE))
        records = [Record(n, n, each, len(each)) for n, each in enumerate((syn, answer, sacked))]
        return [dict(dissector.fields(record)) for record in records]

    one, other = decoded(1000, 5000, 100), decoded(2**32 - 1, 2**32 - 3, 2**32 - 7)
    assert one == other
    assert one[1]["tcp.ack"] == 1
    assert one[1]["tcp.options.timestamp.tsecr_rel"] == 0
    assert one[2]["tcp.options.sack"] == "9-12"


def test_a_connection_of_the_same_ports_begins_anew() -> None:
    packets = [wire.packet(sent=True, flags=wire.SYN, seq=seq) for seq in (1000, 77)]
    packets.append(wire.packet(sent=False, flags=wire.SYN | wire.ACK, seq=9, ack=78))
    dissector = dissect.Dissector(wire.RAW)
    found = [dissector.fields(Record(n, n, each, len(each))) for n, each in enumerate(packets)]
    assert [each["tcp.seq"] for each in found] == [0, 0, 0]
    assert found[2]["tcp.ack"] == 1


def test_a_port_may_speak_to_itself() -> None:
    """As it does when it connects to itself (RFC 9293, 3.5: simultaneous open)."""
    tcp = dpkt.tcp.TCP(sport=7, dport=7, seq=1000, flags=wire.SYN)
    here = b"\x7f\x00\x00\x01"
    packet = bytes(dpkt.ip.IP(p=6, src=here, dst=here, data=bytes(tcp)))
    assert _fields(wire.RAW, packet)["tcp.seq"] == 0


def test_a_field_that_there_is_not_is_refused_with_the_nearest() -> None:
    assert dissect.ignored_fields(["tcp.options"]) > {"tcp.options.mss_val"}
    assert dissect.ignored_fields(["tcp.seq"]) == {"tcp.seq"}
    with pytest.raises(ResultError, match=r"no field 'tcp\.window'.*mean tcp\.window_size_value"):
        dissect.ignored_fields(["tcp.window"])
