# SPDX-License-Identifier: GPL-2.0-only
import json
from dataclasses import replace

import msgspec
import pandas as pd
import pytest

import results_wire as wire
from ns3_qemu.results import Measurements, ResultError, summarise
from ns3_qemu.results.capture import read_capture
from ns3_qemu.results.files import (
    read_cwnd,
    read_drops,
    read_goodput,
    read_handshake,
    read_packets,
)
from ns3_qemu.results.tcp import packet_list

SECOND = 1_000_000_000
REFERENCE = json.loads((wire.DATA / "summary.json").read_text())


@pytest.fixture(scope="module")
def reference_run():
    return Measurements(
        name="A1_q20_sack",
        handshake=read_handshake(wire.DATA / "summary.json", SECOND),
        packets=read_packets(wire.DATA / "sender_packets.csv.xz"),
        cwnd=read_cwnd(wire.DATA / "cwnd.csv.xz"),
        drops=read_drops(wire.DATA / "drops.csv"),
        goodput=read_goodput(wire.DATA / "goodput.csv"),
        end_ns=61 * SECOND,
    )


def test_every_key_of_the_reference_has_its_value(reference_run):
    summary = msgspec.to_builtins(summarise(reference_run))
    del summary["details"]
    assert summary == REFERENCE


def test_the_keys_have_the_references_order(reference_run):
    summary = msgspec.to_builtins(summarise(reference_run))
    assert list(summary) == [*REFERENCE, "details"]


def test_details_describe_the_sawtooth(reference_run):
    details = summarise(reference_run, {"kernel": "2.6.26"}).details
    assert (details.steady_peak_segments, details.steady_ssthresh_segments) == (30, 15)
    assert details.steady_period_s == pytest.approx(4.232, abs=0.001)
    assert details.duration_s == 60
    assert details.run == {"kernel": "2.6.26"}


def test_goodput_is_over_the_runs_own_duration(reference_run):
    shorter = summarise(replace(reference_run, end_ns=31 * SECOND))
    assert shorter.goodput_bps_over_60s == round(REFERENCE["rx_inorder_bytes"] * 8 / 30)


def test_a_run_without_samples_of_cwnd_is_refused(reference_run):
    with pytest.raises(ResultError, match="no cwnd was sampled"):
        summarise(replace(reference_run, cwnd=reference_run.cwnd.head(0)))


@pytest.fixture
def run(tmp_path):
    """Return a function that makes measurements of packets after a handshake."""

    def measurements(packets, cwnd=((0, 10, 2**31 - 1),), drops=(), end_ns=10 * SECOND):
        path = wire.write_capture(tmp_path / "c.pcap", [*wire.handshake(), *packets])
        _, handshake, table = packet_list(read_capture(path))
        return Measurements(
            name="test",
            handshake=handshake,
            packets=table,
            cwnd=pd.DataFrame(list(cwnd), columns=["t_ns", "cwnd_seg", "ssthresh_seg"]),
            drops=pd.DataFrame(list(drops), columns=["t_ns", "where", "seq", "len"]),
            goodput=pd.DataFrame({"inorder_bytes": [0], "arrived_bytes": [0]}),
            end_ns=end_ns,
        )

    return measurements


def test_a_connection_that_only_opens(run):
    summary = summarise(run([]))
    assert summary.data_segments_sent == summary.retransmissions == summary.max_flight_bytes == 0
    assert summary.rwnd_min is None
    assert summary.first_rtx_t is None
    assert summary.tsval_ticks_per_s is None
    assert summary.time_outside_recovery is None
    assert summary.ts is False


def test_flight_is_what_was_sent_and_not_acknowledged(run):
    packets = [
        wire.data(2 * SECOND, 1),
        wire.data(2 * SECOND, 1001),
        wire.acknowledgement(3 * SECOND, 1001),
        wire.data(3 * SECOND, 2001),
        wire.data(3 * SECOND, 3001),
    ]
    summary = summarise(run(packets))
    assert summary.max_flight_bytes == 3000
    assert summary.first_flight_segments == 2


def test_an_episode_ends_when_all_that_was_sent_is_acknowledged(run):
    packets = [
        *(wire.data(2 * SECOND, 1 + 1000 * i) for i in range(4)),
        wire.data(3 * SECOND, 1),
        wire.acknowledgement(4 * SECOND, 2001),  # a partial acknowledgement
        wire.data(4 * SECOND, 2001),
        wire.acknowledgement(5 * SECOND, 4001),
        wire.data(6 * SECOND, 4001),
        wire.data(7 * SECOND, 4001),
    ]
    cwnd = [(SECOND, 10, 2**31 - 1), (3 * SECOND, 5, 5), (4 * SECOND, 1, 5), (6 * SECOND, 2, 5)]
    first, second = summarise(run(packets, cwnd)).episodes
    assert (first.t, first.seq, first.n_rtx, first.t_last_rtx) == (3.0, 1, 2, 4.0)
    assert (first.ssthresh_after, first.cwnd_after_entry, first.cwnd_min) == (5, 5, 1)
    assert (second.t, second.n_rtx, second.cwnd_min) == (7.0, 1, 2)


def test_cwnd_at_a_drop_is_the_one_in_force(run):
    cwnd = [(SECOND, 10, 9), (3 * SECOND, 20, 9), (3 * SECOND + 1, 21, 9)]
    drops = [(3 * SECOND, "q", 7, 1000), (4 * SECOND, "q", 8, 1000)]
    summary = summarise(run([], cwnd, drops))
    assert summary.drops == 2
    assert (summary.first_drop.t, summary.first_drop.seq, summary.first_drop.cwnd) == (3.0, 7, 20)


def test_falls_of_cwnd_to_one_are_counted_not_samples(run):
    cwnd = [(1, 1, 9), (2, 2, 9), (3, 1, 9), (4, 1, 8), (5, 2, 9)]
    assert summarise(run([], cwnd)).cwnd_hit_1 == 2


def test_a_sender_without_data_is_limited_by_neither_window(run):
    packets = [
        packet
        for i in range(20)
        for packet in (
            wire.data((2 + i) * SECOND, 1 + 1000 * i),
            wire.acknowledgement((2 + i) * SECOND + 1, 1001 + 1000 * i),
        )
    ]
    table = run(packets, end_ns=30 * SECOND)
    table.packets.loc[table.packets["dir"] == "R>S", "win_bytes"] = 100_000
    limits = summarise(table).time_outside_recovery
    assert limits.neither_by_more_than_3_segments == 1.0
    assert limits.cwnd_limited == limits.rwnd_limited == 0.0
