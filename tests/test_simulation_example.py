# SPDX-License-Identifier: GPL-2.0-only
"""The example does what its description says, as a user would run it."""

import re
import subprocess
import sys
from pathlib import Path

import dpkt

EXAMPLE = Path(__file__).parent.parent / "ns3-module/examples/tcp-bottleneck.py"


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
