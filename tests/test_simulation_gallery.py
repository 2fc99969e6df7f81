# SPDX-License-Identifier: GPL-2.0-only
"""The experiments of the gallery. Short forms of two run always, the whole with -m gallery."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ns3_qemu.experiment import layout
from simulation_tools import run_script

GALLERY = Path(__file__).parents[1] / "experiments"

RUN = """
import json
from ns3_qemu.experiment.run import run_experiment
for file, out, settings in json.loads(ORDERS):
    run_experiment(file, out, settings)
"""


def run(
    image: Path, directory: Path, *orders: tuple[str, str, list[str]]
) -> dict[str, layout.Summary]:
    """Run experiments in one process; return their summaries by directory."""
    text = msgspec.json.encode(
        [(str(GALLERY / f"{name}.toml"), out, settings) for name, out, settings in orders]
    ).decode()
    ended = run_script(f"ORDERS = {text!r}\n{RUN}", image, directory)
    assert ended.status == 0, ended.errors
    return {out: layout.read_summary(directory / out) for _, out, _ in orders}


@pytest.fixture(scope="module")
def short(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short runs of one experiment, with another between them in the same process."""
    directory = tmp_path_factory.mktemp("gallery")
    wifi = ["duration=1.2 s", "links.air.positions.far=['0 m', '30 m']"]
    radio = ["duration=2.5 s", "record.pcaps=false"]
    run(
        vm_image,
        directory,
        ("wifi", "first", wifi),
        ("cellular", "radio", radio),
        ("wifi", "second", wifi),
    )
    return directory


def test_runs_of_one_process_are_the_same(short: Path) -> None:
    captures = sorted(path.name for path in (short / "first/pcap").iterdir())
    assert captures == ["far-eth0.pcap", "near-eth0.pcap", "server-eth0.pcap"]
    for name in captures:
        first = (short / "first/pcap" / name).read_bytes()
        assert (short / "second/pcap" / name).read_bytes() == first
        assert len(first) > 10_000


def test_two_stations_share_the_air(short: Path) -> None:
    flows = layout.read_summary(short / "first").flows
    assert all(flow.goodput_bps > 1e6 for flow in flows)


def test_a_csv_trace_is_the_links_rate(short: Path) -> None:
    """The mean of the first steps is 76 Mbit/s; slow start takes its time."""
    (flow,) = layout.read_summary(short / "radio").flows
    assert 20e6 < flow.goodput_bps < 90e6
    queue = [each for each in layout.read_summary(short / "radio").queues if each.host == "cell"]
    assert max(each.max_packets or 0 for each in queue) > 50


# --- the whole gallery


def output(directory: Path, host: str, name: str) -> str:
    """Return what a program of a host has written to standard output."""
    summary = layout.read_summary(directory)
    (file,) = [p.stdout for p in summary.programs if (p.host, p.name) == (host, name)]
    return (directory / file).read_text()


def errors(directory: Path, host: str, name: str) -> str:
    summary = layout.read_summary(directory)
    (file,) = [p.stderr for p in summary.programs if (p.host, p.name) == (host, name)]
    return (directory / file).read_text()


def goodput(directory: Path, flow: str) -> float:
    """Return it in Mbit/s."""
    summary = layout.read_summary(directory)
    (found,) = [each for each in summary.flows if each.name == flow]
    return found.goodput_bps / 1e6


def check_csma(out: Path) -> None:
    text = output(out, "client", "ping")
    assert [line.split("time=")[1] for line in text.splitlines() if "time=" in line] == [
        "0.056 ms",
        "0.031 ms",
        "0.031 ms",
    ]
    assert output(out, "client", "wget") == "Hello from a Linux kernel.\n"


def check_fq_codel_ecn(out: Path) -> None:
    dctcp, cubic = layout.read_summary(out).flows
    assert (dctcp.retransmissions, cubic.retransmissions) == (0, 12)
    assert goodput(out, "dctcp") == pytest.approx(5.10, abs=0.01)
    assert goodput(out, "cubic") == pytest.approx(14.08, abs=0.01)


def check_bbr_cubic(out: Path) -> None:
    assert goodput(out, "bbr") == pytest.approx(8.27, abs=0.01)
    assert goodput(out, "cubic") == pytest.approx(1.21, abs=0.01)


def check_cellular(out: Path) -> None:
    assert goodput(out, "down") == pytest.approx(49.60, abs=0.01)


def check_satellite(out: Path) -> None:
    assert goodput(out, "down") == pytest.approx(20.65, abs=0.01)


def check_wifi(out: Path) -> None:
    assert goodput(out, "near") == pytest.approx(29.27, abs=0.01)
    assert goodput(out, "far") == pytest.approx(12.50, abs=0.01)


def check_etcd(out: Path) -> None:
    assert "DeadlineExceeded" in errors(out, "client", "get-minority")
    assert output(out, "client", "get-after") == "colour\nblue\n"


def check_redis(out: Path) -> None:
    assert output(out, "client", "master-after") == "r3\n6379\n"
    assert output(out, "client", "colour-after") == "blue\n"


def check_bottleneck(out: Path) -> None:
    (flow,) = layout.read_summary(out).flows
    assert flow.retransmissions == 79


def check_ospf(out: Path) -> None:
    said = [each for each in layout.read_timeline(out) if each.time_ns > 30 * 10**9]
    down = [each.time_ns / 1e9 for each in said if "up -> down" in each.text]
    assert down == pytest.approx([30.250, 30.283], abs=0.001)
    replies = [each.time_ns / 1e9 for each in said if "icmp_seq" in each.text]
    assert replies[0] == pytest.approx(30.310, abs=0.001)


def check_quic(out: Path) -> None:
    assert errors(out, "client", "quic").splitlines()[0] == "real 1.82"
    assert errors(out, "client", "tcp").splitlines()[0] == "real 1.81"


# What a verdict does not say.
CHECKS: dict[str, Callable[[Path], None]] = {
    "bottleneck": check_bottleneck,
    "bbr-cubic": check_bbr_cubic,
    "cellular": check_cellular,
    "csma": check_csma,
    "etcd-partition": check_etcd,
    "fq-codel-ecn": check_fq_codel_ecn,
    "ospf-bfd": check_ospf,
    "quic": check_quic,
    "redis-sentinel": check_redis,
    "satellite": check_satellite,
    "wifi": check_wifi,
}


@pytest.mark.gallery
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", sorted(file.stem for file in GALLERY.glob("*.toml")))
def test_an_experiment_comes_to_what_its_header_says(
    name: str, vm_image: Path, tmp_path: Path
) -> None:
    out = tmp_path / name
    assert run(vm_image, tmp_path, (name, name, []))[name].verdict == "passed"
    CHECKS[name](out)
