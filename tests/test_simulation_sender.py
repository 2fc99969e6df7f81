# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario says of its sender's program and of its machines' uptime."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ns3_qemu.results.files import read_packets
from ns3_qemu.validation import data

A1 = data.scenarios()["A1_q20_sack"]

# Packets of 1448 bytes in ns-3's socket buffer of 131,072: what NSC's sender hands over at once.
BUFFER = 90 * 1448
SEGMENT = 1460  # without timestamps


def scenario(out: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ns3_qemu", "scenario", str(A1), "--out", str(out), "--quiet"]
    command += [f"--set={setting}" for setting in ("duration=600ms", *settings)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def segments(out: Path, *settings: str) -> pd.DataFrame:
    ended = scenario(out, "tcp.timestamps=false", *settings)
    assert ended.returncode == 0, ended.stderr
    packets = read_packets(out / "sender_packets.csv.gz")
    return packets[packets["len"] > 0]


def test_a_buffer_that_is_written_to_its_end_shows_as_a_short_segment(tmp_path: Path) -> None:
    sent = segments(tmp_path, f"hosts.write_size={BUFFER}B")
    first = sent.drop_duplicates("seq")
    lengths = first["len"].tolist()
    assert lengths[:89] == [SEGMENT] * 89
    assert lengths[89] == BUFFER - 89 * SEGMENT == 380
    assert set(lengths[90:]) <= {SEGMENT}


def test_a_send_buffer_limits_what_is_under_way(tmp_path: Path) -> None:
    """Linux doubles what is asked for and counts the memory of a packet, more than its payload."""
    sent = segments(tmp_path, "hosts.send_buffer=16384B")
    lengths, seqs = set(sent["len"]), sent["seq"]
    assert lengths == {SEGMENT}  # no write ends where a segment does not
    packets = read_packets(tmp_path / "sender_packets.csv.gz")
    acked = packets["ack"].where(packets["dir"] == "R>S").ffill().reindex(sent.index)
    assert 8 * SEGMENT < (seqs + sent["len"] - acked).max() <= 2 * 16384


@pytest.mark.parametrize("key", ["hosts.uptime", "hosts.receiver_options.uptime"])
def test_the_uptime_is_the_machines(tmp_path: Path, key: str) -> None:
    ended = scenario(tmp_path, f"{key}=1ms")
    assert ended.returncode == 1
    assert "so its uptime cannot be 0.001" in ended.stderr
