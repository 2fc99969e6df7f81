# SPDX-License-Identifier: GPL-2.0-only
"""The example does what its description says, as a user would run it."""

import re
import subprocess
import sys
from pathlib import Path

import dpkt

EXAMPLES = Path(__file__).parent.parent / "ns3-module/examples"
EXAMPLE = EXAMPLES / "tcp-bottleneck.py"


def test_the_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) <= 60


def test_the_example_fills_the_bottleneck_and_captures_both_ends(vm_image: Path, tmp_path: Path):
    assert vm_image.is_dir()
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # "from ns import ns" says this of ns-3's own headers; nothing else may be said.
    own = "[runStaticInitializersOnce]: Failed to materialize symbols"
    assert [line for line in done.stderr.splitlines() if not line.startswith(own)] == []
    said = re.search(r"received (\d\.\d+) Mbit/s, cwnd (\d+)", done.stdout)
    assert said, done.stdout
    # 1448 of 1502 bytes are payload; the first 10 s include slow start and its losses.
    assert 1.80 < float(said[1]) <= 2 * 1448 / 1502
    assert 10 < int(said[2]) < 60
    captures = sorted(tmp_path.glob("tcp-bottleneck*.pcap"))
    assert len(captures) == 2
    for file in captures:
        with file.open("rb") as stream:
            assert sum(1 for _ in dpkt.pcap.Reader(stream)) > 1000


def test_one_script_gives_the_same_goodput_with_either_stack(vm_image: Path, tmp_path: Path):
    assert vm_image.is_dir()
    goodput = {}
    for stack in ("ns3", "debian:6.1"):
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "either-stack.py"), "--stack", stack],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said = re.search(r"received 36000000 bytes, goodput (\d+\.\d+) Mbit/s", done.stdout)
        assert said, done.stdout
        goodput[stack] = float(said[1])
    # No more than full segments take on a link of 10 Mbit/s.
    assert max(goodput.values()) <= 10 * 1448 / 1502
    assert abs(goodput["debian:6.1"] / goodput["ns3"] - 1) < 0.01
