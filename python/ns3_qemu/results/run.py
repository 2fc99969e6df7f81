# SPDX-License-Identifier: GPL-2.0-only
"""From what a simulation wrote to what a user reads: the analysis of one run's directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from .capture import read_capture
from .files import (
    read_cwnd,
    write_drops,
    write_goodput,
    write_packets,
    write_summary,
)
from .goodput import arrivals, goodput_per_second, inorder_bytes
from .plots import CwndTrace, write_cwnd_figure
from .summary import Measurements, Summary, rate_bps, summarise
from .tcp import PacketList, dropped_segments, packet_list

_STEADY_AFTER_NS = 10_000_000_000

#: drops.csv calls the place of a drop this; the reference does, too
BOTTLENECK_QUEUE = "bottleneck_queue"
FORCED_LOSS = "forced_loss"


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """The results of a run, as tables."""

    summary: Summary
    end_ns: int
    """End of the simulation, ns."""
    sender: PacketList
    cwnd: pd.DataFrame
    """t_ns, cwnd_seg, ssthresh_seg, srtt_ms."""
    goodput: pd.DataFrame
    """second, inorder_bytes, arrived_bytes."""
    drops: pd.DataFrame
    """t_ns, where, seq, len."""

    def trace(self, label: str = "") -> CwndTrace:
        """Return what a figure of cwnd over time shows of this run."""
        packets = self.sender.packets
        return CwndTrace(
            label=label,
            cwnd=self.cwnd,
            drops_ns=self.drops["t_ns"].tolist(),
            retransmissions_ns=packets.loc[
                packets["rtx"].eq(1).fillna(value=False), "t_ns"
            ].tolist(),
        )


def analyse(
    directory: Path,
    name: str,
    end_ns: int,
    *,
    port: int | None = None,
    drop_captures: dict[str, str] | None = None,
    details: dict[str, Any] | None = None,
) -> RunResults:
    """Analyse a run from sender.pcap, receiver.pcap, cwnd.csv and the captures of drops.

    `end_ns`: simulated time at which the run ended. `port`: the receiver's, where there is more
    than one connection. `drop_captures`: file name -> name of the place; without it drops.pcap
    holds what the bottleneck's queue dropped. `details`: goes into the summary as it is.

    Raises CaptureError or ResultError (both Ns3QemuError) where a file is damaged, OSError where
    one can't be read.
    """
    sender = packet_list(read_capture(directory / "sender.pcap"), port)
    receiver = packet_list(read_capture(directory / "receiver.pcap"), port)
    cwnd = read_cwnd(directory / "cwnd.csv")
    places = drop_captures or {"drops.pcap": BOTTLENECK_QUEUE}
    drops = pd.concat(
        [
            dropped_segments(read_capture(directory / file), sender).assign(where=place)
            for file, place in places.items()
        ]
    )
    drops = drops.sort_values("t_ns", kind="stable", ignore_index=True)
    arrived = arrivals(receiver.packets)
    start_ns = sender.handshake.start_ns
    goodput = goodput_per_second(arrived, start_ns, end_ns)
    steady_ns = start_ns + _STEADY_AFTER_NS
    steady = None
    if steady_ns < end_ns:
        steady = rate_bps(inorder_bytes(arrived, steady_ns, end_ns), end_ns - steady_ns)
    summary = summarise(
        Measurements(
            name=name,
            handshake=sender.handshake,
            packets=sender.packets,
            cwnd=cwnd,
            drops=drops,
            goodput=goodput,
            end_ns=end_ns,
            goodput_bps_after_10s=steady,
        ),
        details,
    )
    return RunResults(
        summary=summary, end_ns=end_ns, sender=sender, cwnd=cwnd, goodput=goodput, drops=drops
    )


def write_results(directory: Path, results: RunResults, label: str = "") -> None:
    """Write goodput.csv, drops.csv, sender_packets.csv.gz, summary.json and cwnd.png.

    `label`: names the run in the figure, its kernel for example. Nothing else is touched, so that
    what the simulation wrote and what follows from it may share a directory.
    """
    write_goodput(directory / "goodput.csv", results.goodput)
    write_drops(directory / "drops.csv", results.drops)
    write_packets(directory / "sender_packets.csv.gz", results.sender.packets)
    write_summary(directory / "summary.json", results.summary)
    write_cwnd_figure(directory / "cwnd.png", [results.trace(label)], until_ns=results.end_ns)
