# SPDX-License-Identifier: GPL-2.0-only
"""The bench measures what it says: a short run of the command, and a network under load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dpkt
import pytest

from ns3_qemu.bench import cases

PPP_IPV4 = b"\x00\x21"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """Return what the command prints and writes."""
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "ns3_qemu", "bench", "--quick", "--no-parallel"),
            *("--only", "turns", "--json", str(file)),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout, json.loads(file.read_text())


def test_the_command_measures_each_kind_of_turn(quick: tuple[str, dict[str, Any]]) -> None:
    _, document = quick
    medians = {figure["name"]: figure["median"] for figure in document["figures"]}
    alone = "empty turn, a CPU each"
    if document["machine"]["cpus_usable"] == 1:
        assert medians.pop(alone) is None
    assert all(median > 0 for median in medians.values())
    assert medians["empty turn, one CPU"] < medians["ICMP echo, 64 bytes, one CPU"]


def test_the_command_says_that_it_was_quick(quick: tuple[str, dict[str, Any]]) -> None:
    printed, document = quick
    assert document["quick"]
    assert "Quick: few and small samples." in printed


def test_the_command_says_what_ran(quick: tuple[str, dict[str, Any]]) -> None:
    _, document = quick
    assert document["versions"]["guest_kernel"].startswith("Debian 6.1")
    assert document["versions"]["qemu"].startswith("1:10.0")


def test_each_machine_of_a_network_receives_its_load(tmp_path: Path) -> None:
    simulated, start = 4.0, 3.0
    answer = cases.call(
        "scaling.run",
        {
            "vms": 4,
            "topology": "pairs",
            "load": "load",
            "parallel": False,
            "simulated_s": simulated,
            "samples": 1,
            "pcap": str(tmp_path),
        },
    )
    assert len(answer["received_bps"]) == 4
    assert all(0.9e6 < rate < 1.1e6 for rate in answer["received_bps"])
    (window,) = answer["windows"]
    captures = sorted(tmp_path.iterdir())
    assert [capture.name for capture in captures] == [f"link-{n}-1.pcap" for n in range(4)]
    frames = 0
    for number, capture in enumerate(captures):
        own, peer = (bytes([10, 0, number // 2, 1 + (number ^ bit) % 2]) for bit in (0, 1))
        received = 0
        with capture.open("rb") as file:
            for time, frame in dpkt.pcap.Reader(file):
                if frame[:2] != PPP_IPV4:
                    continue  # router solicitations
                packet = dpkt.ip.IP(frame[2:])
                assert {packet.src, packet.dst} == {own, peer}
                if start < time <= start + simulated:
                    frames += packet.src == own
                    received += len(packet.data.data) if packet.dst == own else 0
        assert 0.9e6 < 8 * received / simulated < 1.1e6
    # A frame is counted when it enters the device's queue, which holds 20, and captured likewise.
    assert window["frames"] == pytest.approx(frames, abs=4 * 20)
    assert window["turns"] > window["frames"] / 2
