# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a run or a reference: its tables and key figures, loaded from its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..results import Measurements, Summary, summarise
from ..results.capture import read_capture
from ..results.files import (
    read_cwnd,
    read_drops,
    read_goodput,
    read_handshake,
    read_packets,
    read_summary,
)
from ..results.tcp import packet_list
from ..scenario import Scenario

#: label of the reference
NSC = "ns-3 + NSC, Linux 2.6.26"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The tables of a run, as its files have them."""

    label: str
    """What ran, for people."""
    release: str
    """Of the sender's kernel as uname -r says it, or the name of ns-3's own TCP."""
    summary: Summary
    packets: pd.DataFrame
    """At the sender's stack/device boundary."""
    receiver: pd.DataFrame | None
    """At the receiver's; None where it wasn't recorded."""
    cwnd: pd.DataFrame
    drops: pd.DataFrame
    goodput: pd.DataFrame

    @property
    def segment_size(self) -> int:
        """Payload of a full segment, bytes: the usual one, as not all SYNs say their MSS."""
        lengths = self.packets.loc[self.packets["len"] > 0, "len"]
        return int(lengths.mode().iloc[0])


def of_run(directory: Path, label: str = "") -> Evidence:
    """Load a run from the files that `ns3-qemu scenario` wrote."""
    summary = read_summary(directory / "summary.json")
    release = str(summary.details.run.get("systems", {}).get("sender", "unknown"))
    return Evidence(
        label=label or release,
        release=release,
        summary=summary,
        packets=read_packets(directory / "sender_packets.csv.gz"),
        receiver=packet_list(read_capture(directory / "receiver.pcap")).packets,
        cwnd=read_cwnd(directory / "cwnd.csv"),
        drops=read_drops(directory / "drops.csv"),
        goodput=read_goodput(directory / "goodput.csv"),
    )


def of_reference(directory: Path, scenario: Scenario) -> Evidence:
    """Load reference measurements; their key figures are computed anew, by our definitions."""
    packets = read_packets(directory / "sender_packets.csv.xz")
    cwnd = read_cwnd(directory / "cwnd.csv.xz")
    drops = read_drops(directory / "drops.csv")
    goodput = read_goodput(directory / "goodput.csv")
    handshake = read_handshake(directory / "summary.json", int(packets["t_ns"].iloc[0]))
    summary = summarise(
        Measurements(
            name=scenario.name,
            handshake=handshake,
            packets=packets,
            cwnd=cwnd,
            drops=drops,
            goodput=goodput,
            end_ns=scenario.end_ns,
        )
    )
    return Evidence(
        label=NSC,
        release="2.6.26",
        summary=summary,
        packets=packets,
        receiver=None,
        cwnd=cwnd,
        drops=drops,
        goodput=goodput,
    )
