# SPDX-License-Identifier: GPL-2.0-only
"""What else the links of an experiment can be, and how routes come to them."""

import csv
import re
from pathlib import Path

import dpkt
import pytest

from ns3_qemu.experiment import layout
from simulation_tools import run_script

LINKS = """
duration = "4 s"
routing = "global"
[defaults.sysctls]
"net.mptcp.enabled" = 1
[[hosts.a.programs]]
name = "early"
command = "ping -c 1 b"
start = "0.5 s"
[[hosts.a.programs]]
name = "late"
command = "ping -c 1 b"
start = "1.5 s"
[[hosts.a.programs]]
name = "silent"
command = "sh -c 'ping -c 1 -W 1 e; cat /sys/class/net/eth1/carrier'"
start = "2.2 s"
[[hosts.a.programs]]
name = "arp"
command = "cat /proc/net/arp"
start = "3.9 s"
[hosts.b]
[hosts.e]
[routers.r1]
[routers.r2]
[links.left]
between = ["a", "r1"]
rate = "100 Mbit/s"
delay = "1 ms"
[links.middle]
between = ["r1", "r2"]
rate = "10 Mbit/s"
delay = "1 ms"
trace = [{ file = "delays.csv", repeat = false }]
[links.right]
between = ["r2", "b"]
rate = "100 Mbit/s"
delay = "1 ms"
[links.wire]
between = ["a", "e"]
rate = "100 Mbit/s"
delay = "1 ms"
ethernet = true
[flows.multipath]
from = "e"
to = "a"
start = "1 s"
size = "20 kB"
protocol = "mptcp"
[[events]]
at = "2 s"
do = "link-down"
link = "wire"
silent = true
[[events]]
at = "3.5 s"
do = "link-up"
link = "wire"
silent = true
[record]
routes = ["1 s"]
"""
RUN = """
import pathlib
from ns3_qemu.experiment.run import run_experiment

def look(simulated):
    if simulated > 1:
        RESULT.setdefault("sizes", []).append(pathlib.Path("out/timeline.jsonl").stat().st_size)

run_experiment("x.toml", "out", progress=look)
finish()
"""


@pytest.fixture(scope="module")
def links(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("links")
    (directory / "x.toml").write_text(LINKS)
    (directory / "delays.csv").write_text("time_s,delay_ms\n0,5\n1,25\n")
    ended = run_script(RUN, vm_image, directory)
    assert ended.status == 0, ended.errors
    # Who looks at a run while it goes on sees what has happened.
    assert ended.result["sizes"]
    assert all(ended.result["sizes"])
    return directory / "out"


def output(out: Path, name: str) -> str:
    (program,) = [each for each in layout.read_summary(out).programs if each.name == name]
    return (out / program.stdout).read_text()


def milliseconds(text: str) -> float:
    found = re.search(r"time=([\d.]+) ms", text)
    assert found is not None, text
    return float(found[1])


def test_a_csv_trace_is_the_links_delay(links: Path) -> None:
    assert milliseconds(output(links, "early")) == pytest.approx(2 * 7, abs=0.3)
    assert milliseconds(output(links, "late")) == pytest.approx(2 * 27, abs=0.3)


def test_global_routing_is_in_guests_and_written_down(links: Path) -> None:
    with (links / layout.routes("a")).open() as file:
        found = {(row["destination"], row["gateway"], row["table"]) for row in csv.DictReader(file)}
    assert ("10.0.2.0/24", "10.0.0.2", "default") in found
    assert ("10.0.0.0/24", "", "main") in found


def test_whole_frames_cross_a_link_of_two_machines(links: Path) -> None:
    """So ARP finds the other's address."""
    with (links / layout.pcap("e", "eth0")).open("rb") as file:
        kinds = {dpkt.ethernet.Ethernet(frame).type for _, frame in dpkt.pcap.Reader(file)}
    assert kinds == {dpkt.ethernet.ETH_TYPE_IP, dpkt.ethernet.ETH_TYPE_ARP}
    assert "10.0.3.2" in output(links, "arp")


def test_a_link_that_goes_down_silently_keeps_its_carrier(links: Path) -> None:
    assert "1 packets transmitted, 0 packets received" in output(links, "silent")
    assert output(links, "silent").endswith("\n1\n")


def test_a_flow_is_multipath_tcp(links: Path) -> None:
    (flow,) = layout.read_summary(links).flows
    assert flow.bytes == 20_000
    with (links / layout.pcap("e", "eth0")).open("rb") as file:
        frames = [dpkt.ethernet.Ethernet(frame).data for _, frame in dpkt.pcap.Reader(file)]
    segments = [ip.data for ip in frames if isinstance(getattr(ip, "data", None), dpkt.tcp.TCP)]
    syns = [tcp for tcp in segments if tcp.flags & dpkt.tcp.TH_SYN]
    assert [tcp.flags & dpkt.tcp.TH_ACK for tcp in syns] == [0, dpkt.tcp.TH_ACK]
    for tcp in syns:  # RFC 8684: option 30, MP_CAPABLE
        assert 30 in [kind for kind, _ in dpkt.tcp.parse_opts(tcp.opts)]
