# SPDX-License-Identifier: GPL-2.0-only
"""The arithmetic of links and queues, against what ns-3 measured with NSC."""

import pytest

from ns3_qemu import scenario
from ns3_qemu.results.files import read_drops, read_packets
from ns3_qemu.scenario import Link, Loss, rate_bps
from ns3_qemu.validation import data
from ns3_qemu.validation.network import Hop, Network, Packet, forward, syn_bytes

SCENARIOS = data.scenarios()


def packets(*times, size=1500):
    return [Packet(i, t, size, t) for i, t in enumerate(times)]


def test_every_scenario_is_one_and_has_a_reference():
    assert len(SCENARIOS) == 8
    for name, file in SCENARIOS.items():
        assert scenario.read(file).name == name
        assert data.reference(name) is not None


@pytest.mark.parametrize(
    ("text", "bps"), [("2Mbps", 2e6), ("1.5Gbps", 1.5e9), ("9kbps", 9e3), ("7bps", 7)]
)
def test_rates(text, bps):
    assert rate_bps(text) == bps


def test_a_full_packet_takes_what_the_reference_says():
    access = Hop.of(Link(rate="100Mbps", delay="5ms", queue="1000p"))
    assert access.transmission_ns(1500) == 120_160
    assert Hop.of(Link(rate="2Mbps", delay="20ms", queue="20p")).transmission_ns(1500) == 6_008_000


def test_packets_wait_for_each_other_and_a_full_queue_drops():
    hop = Hop(rate_bps=8 * 10**9, delay_ns=100, queue=2)  # 1502 ns a packet
    arriving, dropped = forward(hop, packets(0, 0, 0, 0, 1503))
    assert [p.t_ns for p in arriving] == [1602, 3104, 4606, 6108]
    assert [p.index for p in dropped] == [3]


def test_at_the_same_instant_what_was_scheduled_first_comes_first():
    hop = Hop(rate_bps=8 * 10**9, delay_ns=0, queue=1)
    begin = packets(0, 10)
    # The first transmission ends at 1502; its end was scheduled at 0.
    assert not forward(hop, [*begin, Packet(2, 1502, 1500, 1)])[1]
    assert [p.index for p in forward(hop, [*begin, Packet(2, 1502, 1500, -1)])[1]] == [2]


def test_the_handshake_takes_what_the_reference_took():
    network = Network(scenario.read(SCENARIOS["A1_q20_sack"]))
    assert syn_bytes(network.scenario.tcp) == 60
    assert 2 * network.one_way_ns(60) == 50_505_920


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_the_sender_sent_tells_every_drop_of_the_reference(name):
    place = data.reference(name)
    network = Network(scenario.read(SCENARIOS[name]))
    computed = network.to_receiver(read_packets(place / "sender_packets.csv.xz")).drops
    measured = read_drops(place / "drops.csv")
    assert computed.to_numpy().tolist() == measured[["t_ns", "seq", "len"]].to_numpy().tolist()


@pytest.mark.parametrize(
    "setting",
    [
        "bottleneck.queue=19p",
        "bottleneck.queue=21p",
        "bottleneck.rate=2.01Mbps",
        "access.delay=6ms",
    ],
)
def test_another_network_drops_otherwise(setting):
    place = data.reference("A1_q20_sack")
    network = Network(scenario.read(SCENARIOS["A1_q20_sack"], [setting]))
    computed = network.to_receiver(read_packets(place / "sender_packets.csv.xz")).drops
    measured = read_drops(place / "drops.csv")
    assert computed.to_numpy().tolist() != measured[["t_ns", "seq", "len"]].to_numpy().tolist()


def test_a_loss_takes_the_segment_and_its_first_retransmissions():
    place = data.reference("B4_rto2_sack")
    table = read_packets(place / "sender_packets.csv.xz")
    base = scenario.read(SCENARIOS["B4_rto2_sack"])
    drops = Network(base).to_receiver(table).drops
    assert drops["seq"].tolist() == [1_446_553] * 4
    assert base.loss == Loss(segment=1000, count=4)
