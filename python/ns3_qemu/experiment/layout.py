# SPDX-License-Identifier: GPL-2.0-only
"""The directory that an experiment leaves: what is where. Who reads a run reads it by this.

- ``experiment.toml``: the experiment as it was run: with --set, addresses and all defaults. To run
  this file gives the same results. Its first line is `MARK`: by it the next run knows a directory
  that it may clear.
- ``summary.json``: key figures, see `Summary`. It is written last: without it a run has not come to
  its end.
- ``timeline.jsonl``: what happened, one JSON object a line, by time: see `TimelineEntry`.
- ``pcap/HOST-IFACE.pcap``: frames between a host's stack and its NIC (Ethernet), of one with ns-3's
  stack between that and its device, or on an ns-3 router's device (both as it frames them); times
  in ns. IFACE: eth0, eth1, ...
- ``pcap/LINK-HOST.drops.pcap`` and ``.losses.pcap``: what the queue of HOST's device towards LINK
  has dropped, and what of LINK was lost as it arrived at HOST; as the link frames them.
- ``cpu/HOST.csv``, or ``cpu/HOST.0.csv`` and so on of several CPUs: the load of a machine that has
  a CpuRate. Columns `CPU_COLUMNS`.
- ``console/HOST.log``: the guest's console.
- ``programs/HOST-N-NAME.stdout`` and ``.stderr``: what a program wrote. N counts a host's programs
  from 0.
- ``tcp_info/HOST-FLOW.csv``: of a flow of ``[flows]``, at its sender: each change of the kernel's
  struct tcp_info. Columns `TCP_INFO_COLUMNS`.
- ``tcp_info/HOST.csv``: of all other TCP sockets of a host (programs'), sampled. The same columns;
  `flow` is ``ADDRESS:PORT>ADDRESS:PORT``, the host's own end first.
- ``queues/LINK-HOST.csv``: the queue of HOST's device towards LINK, with the queue disc in front of
  it, sampled. Columns `QUEUE_COLUMNS`.
- ``throughput.csv``: payload that has arrived, for each flow and interval. `THROUGHPUT_COLUMNS`.
- ``routes/HOST.csv``: a guest's routes when they were asked for. Columns `ROUTE_COLUMNS`.
- ``inputs/``: copies of the traces of links, which experiment.toml names.
- ``topology.png``, ``report.html``: what is made of all this for people, if it is asked for.

What is not recorded is not there: no file, and no directory either. Names of hosts and links are as
in the experiment (lower-case letters, digits, "_" and "-"). Times in CSV files are simulated
seconds with nine decimals; each file has one header line. What a kernel does not tell is an empty
field.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

SCHEMA = 1
"""Of `Summary`. It rises when a reader of before would misread what is written."""

EXPERIMENT = "experiment.toml"
MARK = "# As it was run, written by ns3-qemu experiment.\n"
SUMMARY = "summary.json"
TIMELINE = "timeline.jsonl"
THROUGHPUT = "throughput.csv"
TOPOLOGY = "topology.png"
REPORT = "report.html"
INPUTS = "inputs"

PCAP = "pcap"
CONSOLE = "console"
PROGRAMS = "programs"
CPU = "cpu"
TCP_INFO = "tcp_info"
QUEUES = "queues"
ROUTES = "routes"

DROPS, LOSSES = "drops.pcap", "losses.pcap"

DIRECTORIES = (PCAP, CONSOLE, CPU, PROGRAMS, TCP_INFO, QUEUES, ROUTES)
FILES = (EXPERIMENT, SUMMARY, TIMELINE, THROUGHPUT, TOPOLOGY)

TCP_INFO_COLUMNS = (
    "time_s",
    "flow",
    "state",  # as linux/tcp.h numbers it; 1: ESTABLISHED
    "ca_state",  # 0: open, 1: disorder, 2: CWR, 3: recovery, 4: loss
    "cwnd",  # segments
    "ssthresh",  # segments; 2147483647: infinite
    "srtt_us",
    "rttvar_us",
    "min_rtt_us",
    "rto_us",
    "mss",  # bytes
    "unacked",  # segments
    "lost",  # segments
    "retrans",  # segments that are being sent again now
    "total_retrans",  # segments
    "delivery_rate_bps",
    "pacing_rate_bps",
    "bytes_acked",
    "bytes_received",
)
QUEUE_COLUMNS = ("time_s", "packets", "bytes", "drops")  # drops: in all, up to then
THROUGHPUT_COLUMNS = ("time_s", "flow", "bytes", "bits_per_s")  # of the interval that ends then
CPU_COLUMNS = ("time_s", "busy")  # share of the interval that ends then
ROUTE_COLUMNS = ("time_s", "destination", "gateway", "interface", "metric", "protocol", "table")


class HostSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A host or router."""

    kind: str
    """host or router."""
    kernel: str
    """As the experiment names it; "ns3": ns-3's own stack."""
    release: str
    """As uname -r says; "" with ns-3's own stack."""
    image: str
    """The image's name, which follows from what is in it; ""."""
    addresses: dict[str, str]
    """Interface -> address with its prefix."""
    turns: int
    """Of its machine."""


class FlowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A flow of [flows]."""

    name: str
    sender: str
    """Host."""
    receiver: str
    start_s: float
    end_s: float
    """When its sender knows that all has arrived, if it has a size; else its stop, or the end."""
    bytes: int
    """Of payload, delivered to the receiver's program."""
    goodput_bps: int
    """Over start to end, rounded."""
    retransmissions: int | None
    """Segments, as the sender's kernel counts; None: not known."""
    congestion_control: str


class ProgramSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A program."""

    host: str
    index: int
    """Among the host's programs, from 0."""
    name: str
    command: list[str]
    start_s: float
    exit_code: int | None
    """128 + n if signal n ended it; None: it still ran at the end."""
    exit_s: float | None
    stopped: bool
    """Whether the experiment has stopped it (stop, a crash)."""
    ok: bool
    """Whether it has ended as expected."""
    stdout: str
    """File, relative to the directory."""
    stderr: str


class QueueSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The queue of a device: what it has dropped."""

    link: str
    host: str
    dropped_packets: int
    mean_packets: float | None
    """Of the samples; None: not sampled."""
    max_packets: int | None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """summary.json."""

    schema: int
    title: str
    seed: int
    run: int
    simulated_s: float
    verdict: str
    """passed, or failed."""
    failures: list[str]
    """Why it failed, a line each."""
    hosts: dict[str, HostSummary]
    flows: list[FlowSummary]
    jain_index: float | None
    """Of the goodputs of the flows (Jain, Chiu, Hawe 1984); None with fewer than two flows."""
    programs: list[ProgramSummary]
    queues: list[QueueSummary]


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of timeline.jsonl."""

    time_ns: int
    host: str
    """Host or link; "" for the whole."""
    kind: str
    """program-start, program-exit, output, flow-start, event, guest, end."""
    text: str
    fields: dict[str, str | int | float | bool | None] = {}


def pcap(host: str, interface: str) -> str:
    """Return where the capture of an interface is, relative to the directory."""
    return f"{PCAP}/{host}-{interface}.pcap"


def console(host: str) -> str:
    """Return where the console of a guest is."""
    return f"{CONSOLE}/{host}.log"


def program(host: str, index: int, name: str, stream: str) -> str:
    """Return where a program's output is; `stream`: stdout or stderr."""
    return f"{PROGRAMS}/{host}-{index}-{file_name(name)}.{stream}"


def cpu(host: str) -> str:
    """Return where the load of a machine is."""
    return f"{CPU}/{host}.csv"


def cpus(host: str, count: int) -> list[str]:
    """Return what a machine's CPUs are called: as it is, or HOST.0, HOST.1 ... of several."""
    return [host] if count == 1 else [f"{host}.{i}" for i in range(count)]


def tcp_info(host: str, flow: str | None = None) -> str:
    """Return where the tcp_info of a flow is, or that of all other sockets of a host."""
    return f"{TCP_INFO}/{host}-{file_name(flow)}.csv" if flow else f"{TCP_INFO}/{host}.csv"


def queue(link: str, host: str) -> str:
    """Return where the samples of a queue are."""
    return f"{QUEUES}/{link}-{host}.csv"


def routes(host: str) -> str:
    """Return where the routes of a guest are."""
    return f"{ROUTES}/{host}.csv"


def file_name(name: str) -> str:
    """Return a name as it is in names of files."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)


def read_summary(directory: Path) -> Summary:
    """Read summary.json. Raises OSError or msgspec.DecodeError (a ValueError)."""
    return msgspec.json.decode((directory / SUMMARY).read_bytes(), type=Summary)


def read_timeline(directory: Path) -> list[TimelineEntry]:
    """Read timeline.jsonl."""
    decoder = msgspec.json.Decoder(TimelineEntry)
    return decoder.decode_lines((directory / TIMELINE).read_bytes())
