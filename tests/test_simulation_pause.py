# SPDX-License-Identifier: GPL-2.0-only
"""A simulation that stops with a prompt: looks change no byte, and changes can be repeated."""

import re
from pathlib import Path

import dpkt
import pytest

from ns3_qemu import image
from simulation_tools import Ended, run_script

SCRIPT = """
import contextlib, hashlib, io, os, subprocess

mode = "MODE"
nodes, devices = point_to_point()
qemu = helper()
qemu.SetAttribute("Parallel", ns.BooleanValue(True))
machine(qemu, nodes.Get(0), devices.Get(0), CLIENT)
machine(qemu, nodes.Get(1), devices.Get(1), SERVER)
sink(nodes.Get(1))
sender = source(nodes.Get(0), limit=800_000)
qemu.EnablePcap("run", devices, False)
qemu.EnableTcpInfo("run.csv", sender)
commands = COMMANDS
if mode == "replay":
    ns3_qemu.replay("../changed/record.toml")
elif commands:
    ns3_qemu.pause_at("1.2s", input=io.StringIO("\\n".join(commands)), record="record.toml")
if mode == "quit":
    ns3_qemu.at(1.3, lambda: RESULT.setdefault("went on", True))
ns.Simulator.Stop(ns.Seconds(2.5))
said = io.StringIO()
with contextlib.redirect_stdout(said):
    try:
        ns3_qemu.Run()
    except SystemExit as end:
        RESULT["end"] = str(end)
RESULT["said"] = said.getvalue()
ns.Simulator.Destroy()
files = ("run-0-0.pcap", "run-1-0.pcap", "run.csv")
RESULT["sha"] = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
finish()
"""

LOOKS = [
    "help",
    "help step",
    "machines",
    "",
    "node0 ss -tin",
    "node0 tc -s qdisc show dev eth0",
    "node1 cat /proc/net/dev | head -3",
    "node1 nonsense-4711",
    "nonsense",
    "shell node1",
    "echo one > /tmp/file",
    "cat /tmp/file",
    "exit",
    "node1 cat /tmp/file",
    "monitor node0 info registers",
    "monitor node0 system_reset",
    "gdb node1",
    "pcap so-far",
    "step 10ms",
    "node0 ss -tin",
    "until 1s",
    "until 1.5",
    "continue",
]

CHANGES = [
    "change node1 busybox ping -c 1 10.0.0.1",
    "step 0.1",
    "change node0 busybox ping -c 1 10.0.0.2",
    "change nobody true",
    "continue",
]


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
) -> "dict[str, tuple[Ended, Path]]":
    wanted = image.Image()
    wanted.add("/bin/busybox")
    directory = wanted.build()
    base = tmp_path_factory.mktemp("pause")
    done = {}
    commands = {
        "plain": [],
        "looked": LOOKS,
        "changed": CHANGES,
        "replay": [],
        "quit": ["quit"],
    }
    for mode, lines in commands.items():
        place = base / mode
        place.mkdir()
        script = SCRIPT.replace("MODE", mode).replace("COMMANDS", repr(lines))
        done[mode] = run_script(script, directory, place), place
        assert done[mode][0].status == 0, done[mode][0].errors
    return done


@pytest.fixture(scope="module")
def said(runs: "dict[str, tuple[Ended, Path]]") -> list[str]:
    """What was printed after each command, in order."""
    return str(runs["looked"][0].result["said"]).split("s> ")[1:]


def after(said: list[str], command: str, which: int = 0) -> str:
    """Return what a command printed."""
    found = [text.partition("\n")[2] for text in said if text.partition("\n")[0] == command]
    return found[which]


def test_looks_change_no_byte(runs: "dict[str, tuple[Ended, Path]]"):
    plain, looked = (runs[mode][0].result["sha"] for mode in ("plain", "looked"))
    assert plain == looked


def test_a_change_changes_something_and_is_repeated_from_its_record(
    runs: "dict[str, tuple[Ended, Path]]",
):
    plain, changed, replay = (
        runs[mode][0].result["sha"] for mode in ("plain", "changed", "replay")
    )
    assert changed == replay != plain
    record = (runs["changed"][1] / "record.toml").read_text()
    assert record.count("[[stop]]") == 2
    assert 'command = "busybox ping -c 1 10.0.0.1"' in record
    for mode in ("changed", "replay"):
        said = runs[mode][0].result["said"]
        assert said.count("1 packets transmitted, 1 packets received") == 2
    assert "'nobody' is no machine" in runs["changed"][0].result["said"]


def test_a_run_without_changes_records_nothing(runs: "dict[str, tuple[Ended, Path]]"):
    assert not (runs["looked"][1] / "record.toml").exists()


def test_quit_ends_the_run_there(runs: "dict[str, tuple[Ended, Path]]"):
    assert "at 1.2 s" in runs["quit"][0].result["end"]
    assert "went on" not in runs["quit"][0].result


def test_no_socket_is_left(said: list[str]):
    (socket,) = re.findall(r"target remote ([^']+)'", after(said, "gdb node1"))
    assert not Path(socket).parent.exists()


def test_programs_of_this_machine_show_the_guest_s_sockets(said: list[str]):
    sockets = [after(said, "node0 ss -tin", which) for which in (0, 1)]
    assert all("10.0.0.2:5001" in text and "cwnd:" in text for text in sockets)
    assert sockets[0] != sockets[1]
    assert "qdisc" in after(said, "node0 tc -s qdisc show dev eth0")
    assert "lo:" in after(said, "node1 cat /proc/net/dev | head -3")


def test_what_is_in_no_place_is_said(said: list[str]):
    assert "neither the guest nor this machine has it" in after(said, "node1 nonsense-4711")
    assert "neither a command nor a machine" in after(said, "nonsense")
    assert "is not later than now (1.21 s)" in after(said, "until 1s")
    assert "only look" in after(said, "monitor node0 system_reset")


def test_a_shell_s_lines_are_for_one_copy_and_the_next_copy_is_another(said: list[str]):
    session = after(said, "shell node1")
    assert "node1 (a copy)# cat /tmp/file\none\n" in session
    assert "No such file" in after(said, "node1 cat /tmp/file")


def test_machines_the_monitor_and_gdb_are_there(said: list[str]):
    assert "node1" in after(said, "machines")
    assert "RIP=" in after(said, "monitor node0 info registers")
    assert "target remote /tmp/ns3-qemu-" in after(said, "gdb node1")


def test_help_says_what_there_is(said: list[str]):
    text = after(said, "help")
    assert all(word in text for word in ("machines", "shell", "pcap", "gdb", "change", "step"))
    assert "do_" not in text
    assert "EOF" not in text
    assert "stop again" in after(said, "help step")


def test_the_capture_so_far_is_the_beginning_of_the_whole(runs: "dict[str, tuple[Ended, Path]]"):
    place = runs["looked"][1]
    packets = []
    for file in (place / "so-far" / "run-0-0.pcap", place / "run-0-0.pcap"):
        with file.open("rb") as stream:
            packets.append(list(dpkt.pcap.Reader(stream)))
    so_far, whole = packets
    assert 10 < len(so_far) < len(whole)
    assert so_far == whole[: len(so_far)]
    assert so_far[-1][0] <= 1.2
    assert whole[len(so_far)][0] >= 1.2
