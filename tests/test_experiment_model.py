# SPDX-License-Identifier: GPL-2.0-only
"""Experiment files: what they may say, what is said of those that may not, and what follows."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ns3_qemu.experiment import quantities
from ns3_qemu.experiment.addresses import plan
from ns3_qemu.experiment.errors import ExperimentError
from ns3_qemu.experiment.model import Experiment
from ns3_qemu.experiment.reading import parse, read, resolved, to_toml
from ns3_qemu.experiment.reference import reference

EXPERIMENTS = Path(__file__).parents[1] / "experiments"

FILE = """
duration = "10 s"
[defaults]
packages = ["iproute2"]
[hosts.a]
sysctls = { net.ipv4.tcp_ecn = 1 }
[[hosts.a.programs]]
command = "ping -c 1 b"
start = "1 s"
[hosts.b]
kernel = "debian:6.12"
[routers.r1]
[routers.r2]
kernel = "debian:6.1"
[links.left]
between = ["a", "r1"]
rate = "100 Mbit/s"
delay = "5 ms"
[links.middle]
between = ["r1", "r2"]
rate = "10 Mbit/s"
delay = "1.5 ms"
queue = "64 kB"
[links.right]
type = "csma"
between = ["r2", "b"]
rate = "1 Gbit/s"
delay = "1 us"
[flows.bulk]
from = "a"
to = "b"
start = "1 s"
[[events]]
at = "3 s"
do = "link-down"
link = "middle"
[[events]]
at = "5 s"
do = "crash"
host = "a"
"""
FILE = FILE.rpartition("[[events]]")[0]


def table() -> dict[str, object]:
    return tomllib.loads(FILE)


def error(*settings: str) -> str:
    with pytest.raises(ExperimentError) as caught:
        plan(parse(table(), settings))
    return caught.value.message


@pytest.mark.parametrize(
    ("setting", "begin", "hint"),
    [
        ("duration=10", "duration: ", '"20 ms"'),
        ("duration=0 s", "duration: ", "above 0"),
        ("duration=ten s", "duration: ", '"20 ms"'),
        ("duraton=10 s", "duraton: ", "do you mean duration?"),
        ("hosts={}", "hosts: ", "none"),
        ("hosts.a.kernal=debian:6.1", "hosts.a.kernal: ", "do you mean kernel?"),
        ("hosts.a.kernel=debian:4.19", "hosts.a.kernel: ", "debian:6.1"),
        ("hosts.a.kernel=ns3", "hosts.a.sysctls: ", "own stack"),
        ("hosts.a.kernel=6", "hosts.a.kernel: ", "text in quotes"),
        ("hosts.B={}", "hosts.B: ", "lower-case"),
        ("hosts.c={}", "hosts.c: ", "on no link"),
        ("hosts.r1={}", "routers.r1: ", "host r1"),
        ("hosts.a.memory=96", "hosts.a.memory: ", "unit"),
        ("hosts.a.memory=1 MiB", "hosts.a.memory: ", "16384 MiB"),
        ("hosts.a.nic=rtl8139", "hosts.a.nic: ", "e1000"),
        ('hosts.a.files={"etc/x" = "y"}', "hosts.a.files.etc/x: ", "begins with /"),
        ('hosts.a.files={"/x" = {}}', "hosts.a.files./x.text: ", "either text or from"),
        ("hosts.a.attributes.Name=x", "hosts.a.attributes.Name: ", "own to set"),
        ("hosts.a.attributes.tick=x", "hosts.a.attributes: ", "tick"),
        ("hosts.a.sysctls.Net.x=1", "hosts.a.sysctls: ", "net.ipv4.tcp_ecn"),
        ("hosts.a.programs.0.command=", "hosts.a.programs.0.command: ", "empty"),
        ("hosts.a.programs.0.exit=256", "hosts.a.programs.0.exit: ", "0 to 255"),
        ("hosts.a.programs.0.stop=1 s", "hosts.a.programs.0.stop: ", "after start"),
        ("hosts.a.programs.0.start=1 h", "hosts.a.programs.0.start: ", "before the end"),
        ("hosts.a.programs.0.stopp=2 s", "hosts.a.programs.0.stopp: ", "do you mean stop?"),
        ("hosts.a.programs=ping", "hosts.a.programs: ", "list"),
        ("routers.r1.packages=['frr']", "routers.r1.packages: ", "give it a kernel"),
        ("links.left.between=['a']", "links.left.between: ", "two or more"),
        ("links.left.between=['a', 'x']", "links.left.between: ", "there is no x"),
        ("links.left.between=['a', 'a']", "links.left.between: ", "twice"),
        ("links.left.between=['a', 'b', 'r1']", "links.left.between: ", "csma"),
        ("links.left.rate=100", "links.left.rate: ", '"10 Mbit/s"'),
        ("links.left.rate=0 bit/s", "links.left.rate: ", "above 0"),
        ("links.left.rate=1 Mbyte/s", "links.left.rate: ", "Mbit/s"),
        ("links.left.delay=-1 ms", "links.left.delay: ", '"20 ms"'),
        ("links.left.delay=0.5 ns", "links.left.delay: ", "finer"),
        ("links.left.queue=20", "links.left.queue: ", '"100 packets"'),
        ("links.left.queue=0 packets", "links.left.queue: ", '"100 packets"'),
        ("links.left.type=ppp", "links.left.type: ", "csma"),
        ("links.left.type=wifi", "links.left.rate: ", "wifi has none"),
        ("links.left.standard=80211ac", "links.left.standard: ", "wifi"),
        ("links.left.loss.probability=1", "links.left.loss.probability: ", '"1 %"'),
        ("links.left.loss={}", "links.left.loss: ", "probability, segment, type"),
        ("links.left.loss.segment=0", "links.left.loss.segment: ", "at least 1"),
        ("links.left.queue_disc.typ=CoDel", "links.left.queue_disc.typ: ", "type"),
        ("links.left.ends.b.queue=1 packet", "links.left.ends.b: ", "not on this link"),
        ("links.left.network=10.0.0.1/24", "links.left.network: ", "10.0.0.0/24"),
        ("links.left.network=10.0.0.0/8", "network: ", "no room"),
        ("links.left.addresses.r1=10.9.9.9", "links.left.addresses.r1: ", "not in"),
        ("links.left.addresses.a=10.0.0.0", "links.left.addresses.a: ", "no host's"),
        ("links.left.ethernet=true", "links.left.ethernet: ", "machine at both ends"),
        ("links.right.trace=[{file='x'}]", "links.right.trace: ", "point-to-point"),
        ("flows.bulk.to=a", "flows.bulk.to: ", "sender itself"),
        ("flows.bulk.protocol=sctp", "flows.bulk.protocol: ", "mptcp"),
        ("flows.bulk.port=70000", "flows.bulk.port: ", "65535"),
        ("flows.bulk.start=true", "flows.bulk.start: ", "unit"),
        ("events.0.do=explode", "events.0.do: ", "link-down"),
        ("events.0.at=10 s", "events.0.at: ", "before the end"),
        ("events.0.link=centre", "events.0.link: ", "middle"),
        ("events.0.rate=1 Mbit/s", "events.0.rate: ", "takes none"),
        ("events.1={}", "--set", "counted from 0"),
        ("events=[{at='1 s', do='crash'}]", "events.0.host: ", "needs it"),
        ("events=[{at='1 s', do='crash', host='a'}]", "events.0.host: ", "the flow bulk"),
        ("events=[{at='1 s', do='crash', host='r1'}]", "events.0.host: ", "own stack"),
        ("events=[{at='1 s', do='change', link='left'}]", "events.0.rate: ", "rate, a delay"),
        ("events=[{at='1 s', do='partition', groups=[['a']]}]", "events.0.groups: ", "two"),
        ("record.queues=0 s", "record.queues: ", "above 0"),
        ("record.pcaps=a", "record.pcaps: ", "true, false"),
        ("record.pcaps=['x']", "record.pcaps: ", "there is no x"),
        ("routing=ospf", "routing: ", "static"),
        ("seed=0", "seed: ", "at least 1"),
        ("run=1.5", "run: ", "whole number"),
        ("hosts.a.kernel", "--set", "KEY=VALUE"),
        ("hosts.a.kernel.x=1", "hosts.a.kernel: ", "text"),
    ],
)
def test_an_error_is_one_line_with_the_keys_place(setting: str, begin: str, hint: str) -> None:
    text = error(setting)
    assert text.startswith(begin)
    assert hint in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("duration = ", "Invalid value"),
        ("duration = 1\nduration = 2", "overwrite"),
        ("a = '\udcff'", "utf-8"),
    ],
)
def test_what_is_no_toml_is_one_line_with_the_files_name(
    tmp_path: Path, text: str, hint: str
) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ExperimentError) as caught:
        read(file)
    assert caught.value.message.startswith(f"{file}: ")
    assert hint in caught.value.message
    assert "\n" not in caught.value.message


def test_a_copied_file_is_taken_when_the_experiment_is_read(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(FILE + '[hosts.b.files."/etc/b.conf"]\nfrom = "b.conf"\nmode = "600"\n')
    with pytest.raises(ExperimentError, match=r"hosts\.b\.files\./etc/b\.conf\.from: .*No such"):
        read(file)
    (tmp_path / "b.conf").write_text("x")
    found = read(file).hosts["b"].files["/etc/b.conf"]
    assert (found.text, found.mode) == ("x", 0o600)


def test_the_defaults_count_where_a_host_says_nothing() -> None:
    experiment = parse(table(), ["defaults.kernel=debian:5.10", "defaults.sysctls.net.core.a=7"])
    a, b = experiment.machine("a"), experiment.machine("b")
    assert (a.kernel, b.kernel) == ("debian:5.10", "debian:6.12")
    assert a.packages == ["iproute2"]
    assert a.sysctls == {"net.core.a": "7", "net.ipv4.tcp_ecn": "1"}


def test_addresses_names_and_routes_follow_from_the_links() -> None:
    addresses = plan(parse(table(), ["links.middle.addresses.r2=10.0.1.77"]))
    assert addresses.interfaces["r1", "middle"].with_prefix == "10.0.1.1/24"
    assert addresses.interfaces["r2", "middle"].address == "10.0.1.77"
    assert addresses.interfaces["r2", "right"].name == "eth1"
    assert "10.0.2.2 b b-right\n" in addresses.hosts_file("a")
    assert [(r.network, r.gateway) for r in addresses.routes("a")] == [("0.0.0.0/0", "10.0.0.2")]
    assert [(r.network, r.gateway) for r in addresses.routes("r1")] == [
        ("10.0.2.0/24", "10.0.1.77")
    ]


def test_the_shortest_path_is_that_of_least_cost() -> None:
    way_round = """
links.round = { between = ["r1", "r3"], rate = "1 Mbit/s", delay = "1 ms" }
links.back = { between = ["r3", "r2"], rate = "1 Mbit/s", delay = "1 ms" }
routers.r3 = {}
"""
    whole = tomllib.loads(
        FILE + way_round.replace("links", "x.links").replace("routers", "x.routers")
    )
    extra = whole.pop("events")[0].pop("x")
    for kind, tables in extra.items():
        whole[kind].update(tables)
    direct = plan(parse(whole)).routes("r1")
    assert "10.0.1.2" in {route.gateway for route in direct if route.network == "10.0.2.0/24"}
    dear = plan(parse(whole, ["links.middle.cost=3"])).routes("r1")
    assert {r.gateway for r in dear if r.network == "10.0.2.0/24"} == {"10.0.3.2"}


def test_what_was_run_means_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    experiment = parse(table(), ["links.left.loss.probability=0.1 %", "hosts.a.initial_window=4"])
    file = tmp_path / "again.toml"
    file.write_text(to_toml(experiment))
    again = read(file)
    assert resolved(again) == resolved(experiment)
    assert again.links["left"].addresses == {"a": "10.0.0.1", "r1": "10.0.0.2"}
    assert again.hosts["a"].packages == ["iproute2"]


def test_every_key_has_a_description() -> None:
    def check(model: type, seen: set[type]) -> None:
        seen.add(model)
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            assert field.description, f"{model.__name__}.{name}"

    check(Experiment, set())


@pytest.mark.parametrize(
    ("text", "ns", "shown"),
    [("1.5 ms", 1_500_000, "1500 us"), ("2min", 120 * 10**9, "120 s"), ("0 s", 0, "0 s")],
)
def test_a_time_is_exact_to_the_nanosecond(text: str, ns: int, shown: str) -> None:
    assert quantities.parse_time(text) == ns
    assert quantities.time_text(ns) == shown


def test_the_manual_has_all_keys_as_they_are() -> None:
    manual = (Path(__file__).parents[1] / "ns3-module/doc/experiment.rst").read_text()
    assert manual.endswith(reference()), "see the comment in it"


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_experiment_of_the_gallery_is_one(file: Path) -> None:
    assert resolved(read(file))["title"]


def test_of_two_errors_every_process_tells_the_same_one() -> None:
    code = (
        "import sys; from ns3_qemu.experiment.reading import parse\n"
        "try: parse({'duration': '1 s', 'hosts': {'a': {'kernel': 'ns3', 'programs':"
        " [{'command': 'x'}], 'sysctls': {'net.ipv4.tcp_ecn': 1}}}})\n"
        "except Exception as error: print(error)"
    )

    def told(seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, check=True
        )
        return done.stdout.decode()

    assert {told(seed) for seed in "0123"} == {
        "hosts.a.sysctls: there is none with ns-3's own stack; give it a kernel\n"
    }
