# SPDX-License-Identifier: GPL-2.0-only
import json
import lzma
import shutil
import time

import msgspec
import pytest

import results_wire as wire
from ns3_qemu.results import CaptureError, ResultError, analyse, compare, write_results
from ns3_qemu.results.files import read_packets, read_summary

END_NS = 61_000_000_000
REFERENCE = json.loads((wire.DATA / "summary.json").read_text())


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Return a directory with reference run A1 as a simulation would have written it."""
    directory = tmp_path_factory.mktemp("a1")
    table = read_packets(wire.DATA / "sender_packets.csv.xz")
    packets = list(wire.reference_packets(table, REFERENCE["iss"], REFERENCE["irs"], 5))
    wire.write_capture(directory / "sender.pcap", packets)
    sent = [p for p, direction in zip(packets, table["dir"], strict=True) if direction == "S>R"]
    answers = [p for p, direction in zip(packets, table["dir"], strict=True) if direction == "R>S"]
    arriving, dropped = wire.through_a1(sent)
    # When an answer left the receiver doesn't matter here, only that it is there.
    at_receiver = sorted(
        [*arriving, *((t_ns - 25_000_000, packet) for t_ns, packet in answers)], key=lambda p: p[0]
    )
    wire.write_capture(directory / "receiver.pcap", at_receiver)
    wire.write_capture(directory / "drops.pcap", dropped, wire.PPP)
    (directory / "cwnd.csv").write_bytes(lzma.decompress((wire.DATA / "cwnd.csv.xz").read_bytes()))
    return directory


@pytest.fixture(scope="module")
def results(directory):
    return analyse(directory, "A1_q20_sack", END_NS, details={"kernel": "2.6.26"})


def test_captures_give_the_references_summary(results):
    summary = msgspec.to_builtins(results.summary)
    del summary["details"]
    assert summary == REFERENCE


def test_the_packet_list_is_the_references(results):
    reference = read_packets(wire.DATA / "sender_packets.csv.xz")
    assert compare(results.sender.packets, reference, list(reference.columns)).equal


def test_goodput_after_the_start_is_measured_apart(results):
    assert results.summary.details.goodput_bps_after_10s == 1_928_041


def test_the_written_tables_are_the_references(results, tmp_path):
    write_results(tmp_path, results)
    for name in ("goodput.csv", "drops.csv"):
        assert (tmp_path / name).read_text() == (wire.DATA / name).read_text()
    assert read_summary(tmp_path / "summary.json") == results.summary


def test_the_same_results_give_the_same_files(results, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_results(tmp_path / name, results)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == [
        "cwnd.png",
        "drops.csv",
        "goodput.csv",
        "sender_packets.csv.gz",
        "summary.json",
    ]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_drops_of_several_places_are_one_list(directory):
    places = {"drops.pcap": "bottleneck_queue", "receiver.pcap": "forced_loss"}
    drops = analyse(directory, "A1", END_NS, drop_captures=places).drops
    assert set(drops["where"]) == set(places.values())
    assert drops["t_ns"].is_monotonic_increasing


@pytest.mark.parametrize("name", ["sender.pcap", "receiver.pcap", "drops.pcap"])
def test_a_damaged_capture_is_named(directory, tmp_path, name):
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    with pytest.raises(CaptureError, match=f"{name}: ends within packet"):
        analyse(tmp_path, "A1", END_NS)


def test_samples_without_a_row_are_refused(directory, tmp_path):
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    (tmp_path / "cwnd.csv").write_text("t,cwnd_seg,ssthresh_seg,srtt_ms\n")
    with pytest.raises(ResultError, match=r"cwnd\.csv: .*there is no sample"):
        analyse(tmp_path, "A1", END_NS)


def test_a_run_is_analysed_faster_than_it_is_simulated(directory):
    begin = time.process_time()
    analyse(directory, "A1", END_NS)
    # 30,000 packets take 0.7 s; what would be slow enough to be a nuisance is a defect.
    assert time.process_time() - begin < 10
