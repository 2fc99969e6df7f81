# SPDX-License-Identifier: GPL-2.0-only
"""Directories of experiments' runs, written as `ns3_qemu.experiment` leaves them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

import results_wire as wire
from ns3_qemu.experiment import layout

EXPERIMENT = 'title = "two flows"\nduration = "10s"\n'


def summary(**changes: Any) -> layout.Summary:
    """Return the summary of a run of 10 s with two flows and a program."""
    host = {"kernel": "debian:6.12", "release": "6.12.1", "image": "abc", "turns": 12345}
    flow = {"sender": "left", "receiver": "right", "start_s": 1.0, "end_s": 10.0}
    values: dict[str, Any] = {
        "schema": layout.SCHEMA,
        "title": "two flows",
        "seed": 1,
        "run": 1,
        "simulated_s": 10.0,
        "verdict": "failed",
        "failures": ["left: ping has ended with 2"],
        "hosts": {
            name: layout.HostSummary(kind="host", addresses={"eth0": f"10.0.0.{i}/24"}, **host)
            for i, name in enumerate(("left", "right"), start=1)
        },
        "flows": [
            layout.FlowSummary(
                name=name,
                bytes=bits // 8 * 9,
                goodput_bps=bits,
                retransmissions=3,
                congestion_control=name,
                **flow,
            )
            for name, bits in (("bbr", 3_000_000), ("cubic", 1_000_000))
        ],
        "jain_index": 0.8,
        "programs": [
            layout.ProgramSummary(
                host="left",
                index=0,
                name="ping",
                command=["ping", "-c", "3", "a b"],
                start_s=2.0,
                exit_code=2,
                exit_s=4.5,
                stopped=False,
                ok=False,
                stdout="programs/left-0-ping.stdout",
                stderr="programs/left-0-ping.stderr",
            )
        ],
        "queues": [
            layout.QueueSummary(
                link="narrow", host="left", dropped_packets=7, mean_packets=4.5, max_packets=20
            )
        ],
    }
    return layout.Summary(**(values | changes))


def write(directory: Path, of: layout.Summary | None = None, output: str = "PING\n") -> Path:
    """Write a run's directory, with all kinds of files in it."""
    for name in (layout.PCAP, layout.CONSOLE, layout.PROGRAMS, layout.TCP_INFO, layout.QUEUES):
        (directory / name).mkdir(parents=True)
    (directory / layout.EXPERIMENT).write_text(EXPERIMENT)
    of = of or summary()
    wire.write_capture(directory / layout.pcap("left", "eth0"), wire.handshake())
    (directory / layout.console("left")).write_text("Linux version 6.12.1\n")
    (directory / "programs" / "left-0-ping.stdout").write_text(output)
    (directory / "programs" / "left-0-ping.stderr").write_text("")
    for i, flow in enumerate(of.flows):
        _write_tcp_info(directory / layout.tcp_info("left", flow.name), flow.name, i)
    rows = [f"{t / 10:.9f},{t * 7 % 20},{t * 7 % 20 * 1500},{t // 15}" for t in range(100)]
    _write_table(directory / layout.queue("narrow", "left"), layout.QUEUE_COLUMNS, rows)
    rows = [
        f"{t / 2:.9f},{flow.name},{rate // 16},{rate}"
        for t in range(3, 21)
        for i, flow in enumerate(of.flows)
        for rate in [int(flow.goodput_bps * (1 + 0.3 * math.sin(t + i)))]
    ]
    _write_table(directory / layout.THROUGHPUT, layout.THROUGHPUT_COLUMNS, rows)
    entries = [
        layout.TimelineEntry(time_ns=2 * 10**9, host="left", kind="program-start", text="ping"),
        layout.TimelineEntry(time_ns=5 * 10**9, host="narrow", kind="event", text="link down"),
        layout.TimelineEntry(time_ns=10**10, host="", kind="end", text="the end"),
    ]
    lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
    (directory / layout.TIMELINE).write_bytes(lines)
    (directory / layout.SUMMARY).write_bytes(msgspec.json.encode(of))
    return directory


def _write_tcp_info(file: Path, flow: str, number: int) -> None:
    rows = []
    for t in range(100):
        cwnd = 10 + (t * (number + 1)) % 25
        ssthresh = 2147483647 if t < 20 else 12
        values = [1, 0, cwnd, ssthresh, 40000 + 500 * cwnd, 900, 40000, 240000, 1448, cwnd]
        tail = "0,0,3,1000000,,100,0"
        rows.append(f"{1 + t / 12:.9f},{flow},{','.join(map(str, values))},{tail}")
    _write_table(file, layout.TCP_INFO_COLUMNS, rows)


def _write_table(file: Path, columns: tuple[str, ...], rows: list[str]) -> None:
    file.write_text("\n".join([",".join(columns), *rows]) + "\n")
