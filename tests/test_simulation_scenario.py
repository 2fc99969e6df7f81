# SPDX-License-Identifier: GPL-2.0-only
"""A scenario is an experiment: the same engine, the same bytes."""

from pathlib import Path

import msgspec
import pytest

from ns3_qemu import scenario
from ns3_qemu.bottleneck import FILES, experiment_of
from ns3_qemu.experiment import layout, reading
from simulation_tools import run_script

TREE = Path(__file__).parents[1]
BASE = TREE / "experiments" / "bottleneck.toml"
LOSS = TREE / "validation" / "scenarios" / "B1_oneloss_sack.toml"

RUN = """
import pathlib
from ns3_qemu import bottleneck, scenario
from ns3_qemu.experiment.run import run_experiment
native = ['hosts.sender="ns3:TcpLinuxReno"', 'hosts.receiver="ns3:TcpLinuxReno"']
for name, settings in (("loss", []), ("native", native), ("again", [])):
    directory = pathlib.Path(name)
    directory.mkdir()
    asked = scenario.read(pathlib.Path({file!r}), ["duration=1200ms", "loss.segment=9", *settings])
    bottleneck.simulate(asked, directory)
run_experiment("loss/experiment.toml", "experiment")
run_experiment("native/experiment.toml", "native-experiment")
finish()
"""


@pytest.fixture(scope="module")
def runs(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("scenarios")
    done = run_script(RUN.format(file=str(LOSS)), vm_image, directory)
    assert done.status == 0, done.errors
    return directory


def test_the_base_case_is_an_experiment_of_the_gallery() -> None:
    asked = experiment_of(scenario.base_case("debian:6.1"))
    assert reading.resolved(asked) == reading.resolved(reading.read(BASE))


def test_a_scenario_leaves_its_files_and_no_others(runs: Path) -> None:
    assert {path.name for path in (runs / "loss").iterdir()} == set(FILES)


def test_the_experiment_of_a_scenario_gives_the_same_packets(runs: Path) -> None:
    for host in ("sender", "receiver"):
        capture = (runs / "loss" / f"{host}.pcap").read_bytes()
        assert len(capture) > 10_000
        assert (runs / "experiment" / layout.pcap(host, "eth0")).read_bytes() == capture
    (flow,) = layout.read_summary(runs / "experiment").flows
    assert flow.retransmissions == 1
    lost = (runs / "experiment/pcap/bottleneck-receiver.losses.pcap").read_bytes()
    assert lost == (runs / "loss/losses.pcap").read_bytes()
    assert len(lost) > 1400


def test_hosts_with_ns3s_own_stack_send_to_each_other(runs: Path) -> None:
    (flow,) = layout.read_summary(runs / "native-experiment").flows
    assert flow.bytes > 100_000
    assert flow.congestion_control == "ns3::TcpLinuxReno"
    assert (runs / "native-experiment" / layout.pcap("sender", "eth0")).read_bytes() == (
        runs / "native/sender.pcap"
    ).read_bytes()


def test_what_ns3_was_told_is_forgotten_by_the_next_run(runs: Path) -> None:
    """With ns-3's defaults of the native run a kernel would have another window and segment."""
    assert (runs / "again/sender.pcap").read_bytes() == (runs / "loss/sender.pcap").read_bytes()


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        (["hosts.a.kernel=ns3", "hosts.a.memory=96 MiB"], "hosts.a.memory"),
        (["hosts.a.kernel=ns3", "flows.f.write_size=1 kB"], "flows.f.write_size"),
        (["hosts.b.kernel=ns3", "flows.f.read_size=1 kB"], "flows.f.read_size"),
        (["hosts.b.kernel=ns3", "flows.f.protocol=mptcp"], "flows.f.protocol"),
        (["order=['a']"], "order"),
        (["flows.f.send_buffer=2 GiB"], "flows.f.send_buffer"),
        (["ns3_defaults.SegmentSize=1448"], "ns3_defaults"),
    ],
)
def test_what_a_stack_has_not_is_refused_with_its_place(settings: list[str], place: str) -> None:
    table = {
        "duration": "1 s",
        "hosts": {"a": {}, "b": {}},
        "links": {"l": {"between": ["a", "b"], "rate": "1 Mbit/s", "delay": "1 ms"}},
        "flows": {"f": {"from": "a", "to": "b"}},
    }
    with pytest.raises(reading.ExperimentError) as caught:
        reading.parse(msgspec.convert(table, dict), settings)
    assert caught.value.message.startswith(f"{place}: ")
