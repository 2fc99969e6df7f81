# SPDX-License-Identifier: GPL-2.0-only
"""The demo: the same bytes on an idle and on a loaded host, and the figures of the reference."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dpkt
import pandas as pd
import pytest

from ns3_qemu.results import compare
from ns3_qemu.results.capture import read_capture
from ns3_qemu.results.files import read_packets
from ns3_qemu.results.tcp import PacketList, packet_list
from tshark_tools import tshark_packets

# Two whole runs, one of them on a CPU that others use, too.
pytestmark = pytest.mark.timeout(900)

REFERENCE = Path(__file__).parent.parent / "validation" / "reference" / "nsc" / "A1_q20_sack"
REPRODUCIBLE = (
    "sender.pcap",
    "receiver.pcap",
    "drops.pcap",
    "cwnd.csv",
    "sender.console.log",
    "receiver.console.log",
    "goodput.csv",
    "drops.csv",
    "summary.json",
)
FILES = (*REPRODUCIBLE, "sender_packets.csv.gz", "cwnd.png")


@dataclass(frozen=True)
class Demo:
    directory: Path
    said: str
    summary: dict[str, Any]
    sender: PacketList


def run_demo(out: Path, *before: str) -> Demo:
    # Not from a directory that ns-3's bindings would search.
    command = [*before, str(Path(sys.executable).with_name("ns3-qemu")), "demo", "--out", str(out)]
    done = subprocess.run(command, cwd=out.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    summary = json.loads((out / "summary.json").read_text())
    return Demo(out, done.stdout, summary, packet_list(read_capture(out / "sender.pcap"), 5001))


@contextlib.contextmanager
def load() -> Iterator[None]:
    """Keep all CPUs busy."""
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(len(os.sched_getaffinity(0)))
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.fixture(scope="module")
def demo(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    assert vm_image.is_dir()
    return run_demo(tmp_path_factory.mktemp("demo") / "A")


@pytest.fixture(scope="module")
def demo_under_load(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    assert vm_image.is_dir()
    cpu = str(min(os.sched_getaffinity(0)))
    with load():
        return run_demo(tmp_path_factory.mktemp("demo") / "B", "taskset", "-c", cpu)


@pytest.mark.parametrize("name", REPRODUCIBLE)
def test_a_run_on_one_loaded_cpu_gives_the_same_bytes(demo: Demo, demo_under_load: Demo, name: str):
    ours, theirs = (run.directory / name for run in (demo, demo_under_load))
    assert ours.stat().st_size > 0
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_the_demo_writes(demo: Demo, name: str):
    assert (demo.directory / name).stat().st_size > 0


def test_the_demo_ends_with_a_table_and_where_the_results_are(demo: Demo):
    for words in ("goodput", "retransmissions", "turns", "sender.pcap", str(demo.directory)):
        assert words in demo.said.replace("\n", "")


def test_the_figure_is_a_png(demo: Demo):
    assert (demo.directory / "cwnd.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_first_packets_are_at_the_references_times_to_the_nanosecond(demo: Demo):
    with (demo.directory / "sender.pcap").open("rb") as file:
        assert file.read(4) == b"\x4d\x3c\xb2\xa1"  # nanoseconds, little-endian
    packets = demo.sender.packets
    times = packets["t_ns"].tolist()
    flags, directions, lengths = (packets[c].tolist() for c in ("flags", "dir", "len"))
    assert (times[0], flags[0]) == (1_000_000_000, "S")
    assert (times[1], flags[1]) == (1_050_505_920, "SA")
    data = [t for t, length in zip(times, lengths, strict=True) if length][:3]
    assert data[0] == data[1] == 1_050_505_920 < data[2]
    first_ack = next(
        t
        for t, d, f in zip(times, directions, flags, strict=True)
        if d == directions[1] and "S" not in f
    )
    assert first_ack == 1_106_954_560


def test_the_first_56_packets_equal_the_references(demo: Demo):
    reference = read_packets(REFERENCE / "sender_packets.csv.xz")
    found = compare(demo.sender.packets, reference, ("t_ns", "dir", "seq", "len"))
    assert found.agree_from_start >= 56, found.first_difference


def test_the_summary_has_the_references_keys(demo: Demo):
    reference = json.loads((REFERENCE / "summary.json").read_text())
    assert list(demo.summary)[: len(reference)] == list(reference)
    assert set(demo.summary) - set(reference) == {"details"}


def test_goodput_in_steady_state_is_the_bottlenecks(demo: Demo):
    assert demo.summary["details"]["goodput_bps_after_10s"] == pytest.approx(1_928_000, rel=0.005)


def test_the_sawtooth_is_renos(demo: Demo):
    details = demo.summary["details"]
    assert details["steady_peak_segments"] == pytest.approx(30, abs=1)
    assert details["steady_ssthresh_segments"] == pytest.approx(15, abs=1)
    later = demo.summary["episodes"][1:]
    assert len(later) >= 10
    assert all(14 <= episode["ssthresh_after"] <= 16 for episode in later)


def test_every_dropped_segment_is_sent_again_and_nothing_else(demo: Demo):
    drops = pd.read_csv(demo.directory / "drops.csv")
    assert demo.summary["drops"] == demo.summary["retransmissions"] == len(drops) > 0


def test_the_consoles_show_kernels_that_have_nothing_to_complain_about(demo: Demo):
    for host in ("sender", "receiver"):
        console = (demo.directory / f"{host}.console.log").read_text()
        assert "ns3-qemu relay: ready" in console
        assert not any(word in console for word in ("BUG", "WARNING", "Oops", "Call Trace"))


@pytest.mark.parametrize("name", ["sender.pcap", "receiver.pcap"])
def test_tshark_finds_neither_malformed_packets_nor_wrong_checksums(demo: Demo, name: str):
    file = demo.directory / name
    packets = tshark_packets(file)
    assert [packet for packet in packets if not packet.right] == []
    with file.open("rb") as stream:
        assert sum(1 for _ in dpkt.pcap.Reader(stream)) == len(packets)
