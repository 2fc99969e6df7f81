# SPDX-License-Identifier: GPL-2.0-only
import pandas as pd
import pytest

import results_wire as wire
from ns3_qemu.results.capture import read_capture
from ns3_qemu.results.errors import CaptureError
from ns3_qemu.results.tcp import Options, dropped_segments, packet_list, parse_options


def read(tmp_path, packets, link=wire.ETHERNET, port=None):
    return packet_list(read_capture(wire.write_capture(tmp_path / "c.pcap", packets, link)), port)


def test_numbers_are_relative_to_the_syn(tmp_path):
    packets = [*wire.handshake(), wire.data(2, 1, 100), wire.acknowledgement(3, 101)]
    table = read(tmp_path, packets).packets
    assert table["dir"].tolist() == ["S>R", "R>S", "S>R", "S>R", "R>S"]
    assert table["flags"].tolist() == ["S", "SA", "A", "A", "A"]
    assert table["seq"].tolist() == [0, 0, 1, 1, 1]
    assert table["ack"].tolist() == [pd.NA, 1, 1, 1, 101]
    assert table["len"].tolist() == [0, 0, 0, 100, 0]


def test_the_handshake_says_what_was_agreed(tmp_path):
    syn = wire.syn_options(1460, 7, wire.timestamps(5, 0))
    synack = wire.syn_options(1400, 2, wire.timestamps(9, 5))
    agreed = read(
        tmp_path,
        [
            (1, wire.packet(sent=True, flags=wire.SYN, seq=77, options=syn)),
            (2, wire.packet(sent=False, flags=18, seq=88, ack=78, options=synack)),
        ],
    ).handshake
    assert (agreed.start_ns, agreed.iss, agreed.irs) == (1, 77, 88)
    assert (agreed.mss_syn, agreed.mss_synack) == (1460, 1400)
    assert (agreed.wscale_snd, agreed.wscale_rcv, agreed.timestamps) == (7, 2, True)
    assert agreed.segment_size == 1388


def test_windows_are_scaled_but_not_in_a_syn(tmp_path):
    options = wire.syn_options(window_scale=3)
    table = read(
        tmp_path,
        [
            (1, wire.packet(sent=True, flags=wire.SYN, seq=0, window=500, options=options)),
            (2, wire.packet(sent=False, flags=18, seq=0, ack=1, window=500, options=options)),
            (3, wire.packet(sent=True, flags=wire.ACK, seq=1, ack=1, window=500)),
        ],
    ).packets
    assert table["win_bytes"].tolist() == [500, 500, 4000]


def test_windows_are_not_scaled_if_one_end_does_not_offer_it(tmp_path):
    options = wire.syn_options(window_scale=3)
    table = read(
        tmp_path,
        [
            (1, wire.packet(sent=True, flags=wire.SYN, seq=0, options=options)),
            (2, wire.packet(sent=False, flags=18, seq=0, ack=1, options=wire.syn_options())),
            (3, wire.packet(sent=True, flags=wire.ACK, seq=1, ack=1, window=500)),
        ],
    ).packets
    assert table["win_bytes"].tolist()[-1] == 500


def test_data_below_what_was_sent_is_a_retransmission(tmp_path):
    packets = [
        *wire.handshake(),
        wire.data(2, 1),
        wire.data(3, 1001),
        wire.data(4, 1),
        wire.data(5, 2001),
        wire.data(6, 1501),
    ]
    rtx = read(tmp_path, packets).packets["rtx"]
    assert rtx.tolist() == [pd.NA, pd.NA, pd.NA, 0, 0, 1, 0, 1]


def test_sequence_numbers_go_on_beyond_two_to_the_32(tmp_path):
    numbers = {"iss": 2**32 - 500, "irs": 2**32 - 1}
    packets = [
        *wire.handshake(**numbers),
        wire.data(2, 1, **numbers),
        wire.data(3, 1001, **numbers),
        wire.acknowledgement(
            4, 1001, wire.sack((numbers["iss"] + 2001, numbers["iss"] + 3001)), **numbers
        ),
        wire.data(5, 1, **numbers),
    ]
    table = read(tmp_path, packets).packets
    assert table["seq"].tolist() == [0, 0, 1, 1, 1001, 1, 1]
    assert table["ack"].tolist()[1:] == [1, 1, 1, 1, 1001, 1]
    assert table["rtx"].tolist()[-1] == 1
    assert table["sack"].tolist()[5] == "2001-3001"


def test_a_stream_of_more_than_four_gigabytes_does_not_wrap(tmp_path):
    step = 2**30
    packets = [*wire.handshake(), *(wire.data(i, 1 + i * step) for i in range(10))]
    assert read(tmp_path, packets).packets["seq"].tolist()[-1] == 1 + 9 * step


def test_sack_blocks_are_kept_in_their_order(tmp_path):
    blocks = wire.sack((4001, 5001), (2001, 3001), (6001, 7001))
    packets = [*wire.handshake(), wire.acknowledgement(2, 1, blocks)]
    assert read(tmp_path, packets).packets["sack"].tolist()[-1] == "3001-4001 1001-2001 5001-6001"


def test_other_connections_are_left_out(tmp_path):
    other = {"ports": (40000, 80)}
    packets = [*wire.handshake(), *wire.handshake(iss=9, irs=9, **other), wire.data(2, 1)]
    assert len(read(tmp_path, packets).packets) == 4


def test_a_connection_is_chosen_by_the_port_of_its_receiver(tmp_path):
    packets = [*wire.handshake(iss=9, irs=9, ports=(40000, 80)), *wire.handshake()]
    assert read(tmp_path, packets, port=wire.RECEIVER_PORT).handshake.iss == 1000


def test_a_connection_over_ipv6_on_ppp(tmp_path):
    packets = wire.handshake(ipv6=True)
    table = read(tmp_path, packets, wire.PPP).packets
    assert table["flags"].tolist() == ["S", "SA", "A"]


def test_a_connection_that_is_never_answered_is_still_listed(tmp_path):
    syn = wire.handshake()[0][1]
    read_list = read(tmp_path, [(1, syn), (1_000_000_001, syn)])
    assert read_list.handshake.irs is None
    assert read_list.packets["seq"].tolist() == [0, 0]


@pytest.mark.parametrize("packets", [[], [wire.data(1, 1)]])
def test_a_capture_without_a_syn_is_refused(tmp_path, packets):
    with pytest.raises(CaptureError, match="no TCP connection is opened"):
        read(tmp_path, packets)


@pytest.mark.parametrize("options", [b"\x08", b"\x08\x00", b"\x05\xff\x00", b"\x02\x03\x01"])
def test_damaged_options_are_ignored(options):
    assert parse_options(options) == Options()


def test_drops_are_numbered_as_at_the_sender(tmp_path):
    numbers = {"iss": 2**32 - 500}
    sender = read(
        tmp_path,
        [*wire.handshake(**numbers), wire.data(2, 1, **numbers), wire.data(3, 1001, **numbers)],
    )
    drops = [wire.data(3, 1001, **numbers), wire.acknowledgement(4, 1, **numbers)]
    capture = read_capture(wire.write_capture(tmp_path / "drops.pcap", drops, wire.PPP))
    assert dropped_segments(capture, sender).values.tolist() == [[3, 1001, 1000]]


def test_no_drops_are_an_empty_list(tmp_path):
    sender = read(tmp_path, wire.handshake())
    capture = read_capture(wire.write_capture(tmp_path / "drops.pcap", [], wire.PPP))
    assert dropped_segments(capture, sender).empty
