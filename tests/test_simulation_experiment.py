# SPDX-License-Identifier: GPL-2.0-only
"""Experiments, run: what happens in the network, and what the directory says of it."""

import csv
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ns3_qemu.experiment import layout
from simulation_tools import run_script

# a and c are hosts on either side of ns-3's router r; b is behind a router with a kernel, k.
EVERYTHING = """
title = "everything at once"
duration = "13 s"

[hosts.a]
files."/srv/numbers" = "one\\ntwo\\n"
programs = [
  { command = "wget -q -O - http://b/hosts", start = "2 s" },
  { command = "timeout 1 wget -q -O - http://b/hosts", start = "5.5 s", exit = 124 },
  { command = "wget -q -O - http://b/hosts", start = "8 s" },
  { command = "ping -c 1 -W 1 c", start = "9.5 s", exit = 1 },
  { command = "ping -c 1 -W 1 c", start = "11.5 s" },
  { command = "ping -c 1 -W 1 c", start = "3.2 s", exit = 1 },
  { command = ["sh", "-c", "wc -l /srv/numbers; exit 3"], start = "1 s", name = "count" },
  { command = "sysctl -n net.ipv4.tcp_ecn", start = "1.5 s" },
]

[hosts.b]
programs = [{ command = "httpd -f -p 80 -h /etc" }]

[hosts.c]

[routers.r]
[routers.k]
kernel = "debian:6.1"

[links.left]
between = ["a", "r"]
rate = "10 Mbit/s"
delay = "5 ms"
queue = "20 packets"
[links.lan]
type = "csma"
between = ["r", "k", "c"]
rate = "100 Mbit/s"
delay = "10 us"
ends.c.loss = { segment = 5 }
[links.right]
between = ["k", "b"]
rate = "2 Mbit/s"
delay = "10 ms"
queue_disc = { type = "FqCoDel", attributes = { UseEcn = true } }

[flows.bulk]
from = "a"
to = "c"
start = "1.2 s"
size = "60 kB"
congestion_control = "reno"

[[events]]
at = "1.4 s"
do = "sysctl"
host = "a"
sysctls = { "net.ipv4.tcp_ecn" = 1 }
[[events]]
at = "3 s"
do = "link-down"
link = "left"
[[events]]
at = "4.5 s"
do = "link-up"
link = "left"
[[events]]
at = "5 s"
do = "crash"
host = "b"
[[events]]
at = "7 s"
do = "restart"
host = "b"
[[events]]
at = "9 s"
do = "partition"
groups = [["a"], ["c"]]
[[events]]
at = "11 s"
do = "heal"
[[events]]
at = "12 s"
do = "change"
link = "right"
rate = "1 Mbit/s"
delay = "30 ms"

[record]
sockets = "10 ms"
queues = "20 ms"
routes = ["2 s"]
"""

# A link at the pace of a trace; its script does the same.
SHORT = """
title = "short"
duration = "3 s"
[hosts.a]
[hosts.b]
[links.only]
between = ["a", "b"]
rate = "8 Mbit/s"
delay = "2 ms"
trace = [{ file = "pace", format = "mahimahi", from = "a" }]
[flows.up]
from = "a"
to = "b"
start = "1 s"
[record]
pcaps = ["a"]
"""

RUN = """
from ns3_qemu.experiment.run import run_experiment
from ns3_qemu.experiment.errors import ExperimentError
from ns3_qemu.experiment.reading import read
from ns3_qemu.experiment.script import write_script
"""


@pytest.fixture(scope="module")
def everything(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run in which everything happens."""
    directory = tmp_path_factory.mktemp("everything")
    (directory / "x.toml").write_text(EVERYTHING)
    ended = run_script(f"{RUN}run_experiment('x.toml', 'out')", vm_image, directory)
    assert ended.status == 0, ended.errors
    return directory / "out"


def summary(out: Path) -> layout.Summary:
    return layout.read_summary(out)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as lines:
        return list(csv.DictReader(lines))


def exits(out: Path) -> list[int | None]:
    return [each.exit_code for each in summary(out).programs if each.host == "a"]


def test_programs_find_other_hosts_by_name(everything: Path) -> None:
    assert exits(everything)[0] == 0
    text = (everything / "programs/a-0-wget.stdout").read_text()
    assert "10.0.1.3 c c-lan\n" in text
    assert "10.0.2.2 b b-right\n" in text


def test_a_host_that_crashes_is_gone_until_it_restarts(everything: Path) -> None:
    assert exits(everything)[1:3] == [124, 0]
    events = [each.text for each in layout.read_timeline(everything) if each.host == "b"]
    assert events[:3] == ["crash", "httpd ends with 137", "restart"]


def test_a_partition_cuts_hosts_off_until_it_is_over(everything: Path) -> None:
    assert exits(everything)[3:5] == [1, 0]


def test_a_link_that_is_down_carries_nothing(everything: Path) -> None:
    assert exits(everything)[5] == 1


def test_a_program_that_ends_otherwise_than_expected_is_a_failure(everything: Path) -> None:
    assert summary(everything).verdict == "failed"
    assert summary(everything).failures == [
        "a: count has ended with 3 at 1.0 s; see programs/a-6-count.stderr"
    ]
    assert (everything / "programs/a-6-count.stdout").read_text() == "2 /srv/numbers\n"


def test_an_event_sets_a_kernel_parameter(everything: Path) -> None:
    assert (everything / "programs/a-7-sysctl.stdout").read_text() == "1\n"


def test_a_flow_is_followed_to_its_end(everything: Path) -> None:
    (flow,) = summary(everything).flows
    assert flow.bytes == 60_000
    assert flow.retransmissions == 1  # what the loss model has taken
    assert 1.25 < flow.end_s < 1.5
    samples = rows(everything / "tcp_info/a-bulk.csv")
    assert tuple(samples[0]) == layout.TCP_INFO_COLUMNS
    assert {row["flow"] for row in samples} == {"bulk"}
    assert int(samples[-1]["ssthresh"]) < 2**31 - 1
    arrived = [int(row["bytes"]) for row in rows(everything / "throughput.csv")]
    assert sum(arrived) == 60_000
    assert len(arrived) == 13


def test_sockets_of_programs_are_sampled(everything: Path) -> None:
    found = {row["flow"].partition(">")[2] for row in rows(everything / "tcp_info/a.csv")}
    assert found == {"10.0.2.2:80"}  # and not the flow's


def test_queues_and_routes_are_written_down(everything: Path) -> None:
    queue = rows(everything / "queues/left-a.csv")
    assert len(queue) == 13 * 50
    assert max(int(row["packets"]) for row in queue) > 4  # of the first ten of the flow
    (default,) = [
        row for row in rows(everything / "routes/b.csv") if row["destination"] == "0.0.0.0/0"
    ]
    assert default["gateway"] == "10.0.2.1"


def test_every_host_is_captured_and_has_a_console(everything: Path) -> None:
    names = {path.name for path in (everything / layout.PCAP).iterdir()}
    assert names == {f"{each}.pcap" for each in ("a-eth0", "b-eth0", "c-eth0", "k-eth0", "k-eth1")}
    assert {path.name for path in (everything / layout.CONSOLE).iterdir()} == {
        f"{each}.log" for each in "abck"
    }


@pytest.fixture(scope="module")
def short(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a short run, and of one of its script."""
    directory = tmp_path_factory.mktemp("short")
    (directory / "x.toml").write_text(SHORT)
    (directory / "pace").write_text("1\n3\n8\n20\n")
    run = """
path = Path("x.toml")
script = write_script(read(path), "script", path.parent)
run_experiment(path, "out")
run_experiment("out/experiment.toml", "again")
def refused(setting):
    try:
        run_experiment(path, "refused", [setting])
    except ExperimentError as error:
        return error.message
RESULT["refused"] = [refused(each) for each in (
    "hosts.a.attributes.Uptme=60s",
    "hosts.a.attributes.Uptime=long",
    "links.only.queue_disc.type=FqCodel",
    "links.only.loss.type=ns3::Burst",
    "links.only.trace.0.file=none",
)]
finish()
exec(compile(script, "script.py", "exec"), {})
"""
    ended = run_script(RUN + run, vm_image, directory)
    assert ended.status == 0, ended.errors
    (directory / "refused.json").write_bytes(msgspec.json.encode(ended.result["refused"]))
    return directory


def test_the_script_does_the_same(short: Path) -> None:
    capture = layout.pcap("a", "eth0")
    whole = (short / "out" / capture).read_bytes()
    assert len(whole) > 100_000
    assert (short / "script" / capture).read_bytes() == whole
    assert (short / "script" / layout.tcp_info("a", "up")).read_bytes() == (
        short / "out" / layout.tcp_info("a", "up")
    ).read_bytes()


def test_what_was_run_can_be_run_again(short: Path) -> None:
    def files(name: str) -> dict[str, bytes]:
        return {
            str(path.relative_to(short / name)): path.read_bytes()
            for path in (short / name).rglob("*")
            if path.is_file()
        }

    assert files("again") == files("out")
    assert tomllib.loads((short / "out/experiment.toml").read_text())["links"]["only"]["trace"][0][
        "file"
    ].startswith("inputs/")


def test_a_mahimahi_trace_gives_a_link_its_pace(short: Path) -> None:
    """Four full packets in 20 ms: of each 1448 bytes are payload."""
    (flow,) = summary(short / "out").flows
    most = 4 * 1448 * 8 / 0.020
    assert 0.93 * most < flow.goodput_bps <= most


def test_what_ns3_has_not_is_one_line_with_the_keys_place(short: Path) -> None:
    refused: list[Any] = msgspec.json.decode((short / "refused.json").read_bytes())
    for text, begin, hint in zip(
        refused,
        (
            "hosts.a.attributes.Uptme: ",
            "hosts.a.attributes.Uptime: ",
            "links.only.queue_disc.type: ",
            "links.only.loss.type: ",
            "links.only.trace.0.file: ",
        ),
        ("do you mean Uptime?", "Time", "FqCoDel", "ns3::BurstErrorModel", "No such file"),
        strict=True,
    ):
        assert text.startswith(begin)
        assert hint in text
        assert "\n" not in text
