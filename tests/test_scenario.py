# SPDX-License-Identifier: GPL-2.0-only
"""Scenario files: what they may say, and what is said of those that may not."""

from pathlib import Path

import pytest

from ns3_qemu.errors import ScenarioError
from ns3_qemu.image_spec import OPTIONS, ImageSpec
from ns3_qemu.scenario import HostOptions, Scenario, Validation, base_case, read, time_ns

FILE = """
name = "a"
start = "1s"
duration = "60s"
[access]
rate = "100Mbps"
delay = "5ms"
queue = "1000p"
[bottleneck]
rate = "2Mbps"
delay = "20ms"
queue = "20p"
[loss]
segment = 1000
[tcp]
sack = false
initial_window = 2
[tcp.sysctl]
"net.ipv4.tcp_ecn" = 0
[hosts]
sender = "debian:6.12"
receiver = "ns3:TcpLinuxReno"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "scenario.toml"
    file.write_text(FILE)
    return file


def error(path: Path, *settings: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        read(path, settings)
    return caught.value.message


def test_a_file_is_read_as_it_says(path: Path) -> None:
    scenario = read(path)
    assert scenario.bottleneck.delay == "20ms"
    assert scenario.loss is not None
    assert (scenario.loss.segment, scenario.loss.count) == (1000, 1)
    assert scenario.hosts.receiver == "ns3:TcpLinuxReno"
    assert scenario.end_ns == 61 * 10**9


def test_what_a_file_leaves_out_has_its_default(tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    file.write_text(FILE.partition("[loss]")[0])
    scenario = read(file)
    assert scenario.loss is None
    assert scenario.tcp.initial_window is None
    assert scenario.hosts.sender == "debian:6.1"


def test_tcp_is_said_to_the_kernel_by_sysctls(path: Path) -> None:
    sysctls = read(path).tcp.sysctls()
    assert sysctls["net.ipv4.tcp_sack"] == "0"
    assert sysctls["net.ipv4.tcp_timestamps"] == "1"
    assert sysctls["net.ipv4.tcp_ecn"] == "0"


def test_a_setting_takes_the_place_of_what_the_file_says(path: Path) -> None:
    scenario = read(path, ["bottleneck.queue=40p", "tcp.sack=true", "loss.count=3"])
    assert scenario.bottleneck.queue == "40p"
    assert scenario.tcp.sack
    assert scenario.loss is not None
    assert scenario.loss.count == 3


def test_a_sysctls_name_keeps_its_dots(path: Path) -> None:
    scenario = read(path, ["tcp.sysctl.net.ipv4.tcp_early_retrans=0"])
    assert scenario.tcp.sysctl["net.ipv4.tcp_early_retrans"] == 0


@pytest.mark.parametrize(
    ("setting", "key", "allowed"),
    [
        ("bottleneck.delay=20", "bottleneck.delay", "unit"),
        ("bottleneck.delay=20parsecs", "bottleneck.delay", "20ms"),
        ("access.rate=-1Mbps", "access.rate", "above 0"),
        ("access.rate=0Mbps", "access.rate", "above 0"),
        ("access.rate=2", "access.rate", "unit"),
        ("bottleneck.queue=0p", "bottleneck.queue", "at least one packet"),
        ("bottleneck.queue=3.5p", "bottleneck.queue", "at least one packet"),
        ("duration=0s", "duration", "above 0"),
        ("loss.segment=0", "loss.segment", "from 1"),
        ("tcp.initial_window=0", "tcp.initial_window", "1 to 1000"),
        ("tcp.sak=true", "tcp.sak", "sack"),
        ("botleneck.rate=2Mbps", "botleneck", "bottleneck"),
        ("hosts.sender=debian:4.19", "hosts.sender", "debian:6.1"),
        ("hosts.sender=file:/does/not/exist", "hosts.sender", "/does/not/exist"),
        ("hosts.receiver=ns3:TcpTahoe", "hosts.receiver", "ns3:TcpLinuxReno"),
        ("hosts.sender=debian:6.1,flavour=rt", "hosts.sender", "flavour=amd64"),
        ("hosts.nic=rtl8139", "hosts.nic", "e1000"),
        ("hosts.relay=carrier pigeon", "hosts.relay", "uart"),
        ("hosts.like=bsd", "hosts.like", "nsc"),
        ("hosts.hpet_period=16", "hosts.hpet_period", "unit"),
        ("hosts.hpet_period=1us", "hosts.hpet_period", "100 ns"),
        ("hosts.date=today", "hosts.date", "2026-11-27"),
        ("hosts.tick_phase=1ms", "hosts.tick_phase", "999999 ns"),
        ("hosts.uptime=300", "hosts.uptime", "unit"),
        ("hosts.write_size=128k", "hosts.write_size", "131072B"),
        ("hosts.write_size=1000000B", "hosts.write_size", "262144 bytes"),
        ("hosts.send_buffer=64k", "hosts.send_buffer", "65536B"),
        ("hosts.send_buffer=2147483648B", "hosts.send_buffer", "1073741823 bytes"),
        ("hosts.memory=96", "hosts.memory", "96MiB"),
        ("hosts.reads_per_wake=0", "hosts.reads_per_wake", "from 1"),
        ("hosts.receiver_options.read_size=8k", "hosts.receiver_options.read_size", "8192B"),
        ("hosts.sender_options.nik=e1000", "hosts.sender_options.nik", "nic"),
        ("hosts.memory=4MiB", "hosts.memory", "16 to 16384 MiB"),
        ("hosts.memory=4GiB", "hosts.memory", "96MiB"),
        ("hosts.like=nsc.", "hosts.like", "nsc"),
        ("hosts.cpu_rate=-1e9", "hosts.cpu_rate", "1e6 to 1e12"),
        ("hosts.cpu_rate=nan", "hosts.cpu_rate", "1e6 to 1e12"),
        ("hosts.queues=2", "queues = 2", "1 CPUs"),
        ("hosts.cpus=9", "hosts.cpus", "1 to 8"),
        ("hosts.cpu_rate=fast", "hosts.cpu_rate", "2e9"),
        ("tcp.sysctl.Net=1", "tcp.sysctl", "net.ipv4.tcp_ecn"),
        ("tcp.sack=yes", "tcp.sack", "true or false"),
        ("validation.never_idle=always", "validation.never_idle", "queue, sender"),
        ("validation.never_idle=true", "validation.never_idle", "text in quotes"),
        ("tcp.sack=1", "tcp.sack", "true or false"),
        ("validation.late_timer=true", "validation.late_timer", "never_idle"),
        ("name=../x", "name", "letters"),
    ],
)
def test_an_error_names_the_key_and_what_is_allowed(
    path: Path, setting: str, key: str, allowed: str
) -> None:
    text = error(path, setting)
    assert key in text
    assert allowed in text
    assert "\n" not in text


def test_a_machine_has_keys_for_what_an_image_can_be() -> None:
    """But for what other keys say (the kernel), and modules, which a guest loads by itself."""
    keys = {option.key for option in OPTIONS.values()} - {""}
    assert keys <= set(HostOptions.__struct_fields__)
    assert {name for name, option in OPTIONS.items() if not option.key} == {
        "kernel",
        "extra_modules",
    }


def test_what_the_checks_must_know_is_said_by_the_scenario(path: Path) -> None:
    assert read(path).validation == Validation()
    assert read(path, ["validation.never_idle=sender"]).validation.never_idle == "sender"


def test_machines_are_as_usual_unless_told_otherwise(path: Path) -> None:
    scenario = read(path)
    assert scenario.hosts.image("sender") == ImageSpec("debian:6.12")
    assert scenario.hosts.options("sender").tick_phase is None


def test_options_are_for_both_hosts_or_for_one(path: Path) -> None:
    settings = ["hosts.nic=e1000", "hosts.memory=128MiB", "hosts.cmdline=nohz=off quiet"]
    own = ["hosts.sender_options.memory=64MiB", "hosts.receiver_options.relay=uart"]
    hosts = read(path, ["hosts.receiver=debian:6.1", *settings, *own]).hosts
    sender, receiver = hosts.image("sender"), hosts.image("receiver")
    assert (sender.nic, sender.memory_mib, sender.relay) == ("e1000", 64, "virtio")
    assert (receiver.nic, receiver.memory_mib, receiver.relay) == ("e1000", 128, "uart")
    assert sender.cmdline_extra == ("nohz=off", "quiet")


def test_whether_the_stack_builds_large_packets_may_be_said(path: Path) -> None:
    assert read(path).hosts.options("sender").segmentation_offload is None
    hosts = read(path, ["hosts.sender_options.segmentation_offload=true"]).hosts
    assert hosts.options("sender").segmentation_offload is True
    assert hosts.options("receiver").segmentation_offload is None


def test_one_word_makes_machines_like_nscs(path: Path) -> None:
    hosts = read(path, ["hosts.like=nsc", "hosts.receiver_options.nic=virtio-net-pci"]).hosts
    spec = hosts.image("sender")
    assert (spec.nic, spec.relay, spec.hpet_period_ns) == ("e1000", "uart", 16)
    assert {"nohz=off", "highres=off"} <= set(spec.cmdline_extra)
    assert (spec.cpu, spec.date) == ("x86-64-v1", "2000-01-01")
    assert hosts.options("sender").tick_phase == "1ns"
    assert hosts.options("receiver").uptime == "300s"
    assert hosts.options("sender").segmentation_offload is False
    # What is said beside it counts more.
    assert hosts.image("receiver").nic == "virtio-net-pci"
    assert hosts.image("receiver").relay == "uart"


def test_a_cpu_has_a_rate_where_turns_may_take_time(path: Path) -> None:
    hosts = read(path, ["hosts.cpu_rate=2e9", "hosts.receiver_options.cpu_rate=0"]).hosts
    assert hosts.options("sender").cpu_rate == 2e9
    assert not hosts.options("receiver").cpu_rate
    text = error(path, "hosts.cpu_rate=2e9", "hosts.like=nsc")
    assert 'hosts.cpu_rate = 2e+09: sender is like = "nsc"; give 0, or none' in text
    text = error(path, "hosts.cpu_rate=2e9", "hosts.receiver=ns3:TcpLinuxReno")
    assert "receiver is a stack of ns-3's own" in text


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    file.write_text(FILE.replace("[access]", "[loss2]"))
    with pytest.raises(ScenarioError, match=r"access: is missing|loss2: there is no such key"):
        read(file)


def test_a_file_that_is_no_toml_says_where(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("name = \n")
    with pytest.raises(ScenarioError, match="line 1"):
        read(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.toml"):
        read(tmp_path / "none.toml")


@pytest.mark.parametrize("setting", ["queue", "=3", "name.x=1"])
def test_a_setting_must_be_key_and_value(path: Path, setting: str) -> None:
    assert setting in error(path, setting)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("1s", 10**9), ("1.5ms", 1_500_000), ("0.000000001s", 1), ("2min", 120 * 10**9), ("7ns", 7)],
)
def test_times_are_exact(text: str, ns: int) -> None:
    assert time_ns(text) == ns


def test_a_scenario_that_is_compared_with_nsc_has_no_large_packets() -> None:
    for file in (Path(__file__).parents[1] / "validation" / "scenarios").glob("*.toml"):
        assert read(file).hosts.options("sender").segmentation_offload is False, file
    assert base_case("debian:6.1").hosts.options("sender").segmentation_offload is False


def test_the_base_case_runs_for_a_minute() -> None:
    scenario: Scenario = base_case("debian:6.1")
    assert scenario.end_ns == 61 * 10**9
    assert scenario.tcp.initial_window == 2
