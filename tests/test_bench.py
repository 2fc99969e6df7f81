# SPDX-License-Identifier: GPL-2.0-only
"""The bench's arithmetic, its report and its command, without measuring anything."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

import relay_peer
from ns3_qemu._vm import VmImage
from ns3_qemu.bench import cases, coupling, host, instructions, plot, processes, report, turns
from ns3_qemu.bench.cli import bench
from ns3_qemu.bench.figures import Figure, Goal, format_value, not_measured, of_samples
from ns3_qemu.bench.suite import GROUPS, Options, Point, Suite

TOTALS = {
    "translated": 0,
    "jumps": 500,
    "asked": 5,
    "missed": 4,
    "exits": 30,
    "interrupts": 10,
    "slow": 20,
    "fills": 10,
    "flushes": 1,
}
PROFILE = {
    "unit": "turn",
    "count": 10,
    "kernel": "6.1",
    "turns": 10,
    "instructions": 100_000,
    "totals": TOTALS,
    "symbols": {"tcp_ack": 75_000, "memcpy": 20_000, "kfree": 5_000},
}
WINDOW = {"wall_s": 2.0, "cpu_s": 1.5, "turns": 30, "instructions": 900, "frames": 20}


def answer(name: str, arguments: dict[str, Any]) -> Any:
    """Return what a case might, without running it."""
    if name == "instructions.measure":
        return {
            name: {**PROFILE, "instructions": 50_000} if "receiver" in name else PROFILE
            for name in instructions.NAMES
        }
    if name == "transfer.frames":
        return [12_500.0, 10_000.0]
    if name == "machines.memory":
        return {"start": [24.0], "idle": [25.0]}
    if name == "scenarios.run":
        return {"wall_s": 0.5 if arguments["native"] else 3.0, "simulated_s": 60.0}
    if name == "coupling.compare":
        return {
            "driven": {"short": [0.5, 0.7, 0.6], "long": [2.6, 3.6]},
            "alone": {"short": [0.5], "long": [2.5, 2.5]},
        }
    if name == "scaling.run":
        # Each machine costs the same, but for 128, where it costs 1.25 times that.
        vms = arguments["vms"]
        wall = vms * (1.25 if vms == 128 else 1.0)
        windows = [{**WINDOW, "wall_s": wall}] * arguments["samples"]
        return {
            "start_s": 0.1 * vms,
            "windows": windows,
            "memory_mb": 30.0 * vms,
            "private_mb": 6.0,
        }
    return [5.0, 7.0, 6.0]


def suite_of(*groups: str, call: Any = answer, **options: Any) -> Suite:
    suite = Suite(Options(groups=groups or GROUPS, **options), call=call)
    suite.run()
    return suite


def by_name(suite: Suite) -> dict[str, Figure]:
    return {f"{figure.name} ({figure.unit})": figure for figure in suite.figures}


# --- figures --------------------------------------------------------------------------------------


def test_a_figure_is_its_samples_median() -> None:
    figure = of_samples("g", "n", "s", [3.0, 1.0, 2.0, 10.0])
    assert figure.median == 2.5
    assert figure.spread == (1.0, 10.0)
    assert figure.quartiles == (1.75, 4.75)


def test_few_samples_have_no_quartiles() -> None:
    assert of_samples("g", "n", "s", [3.0, 1.0, 2.0]).quartiles is None


def test_a_figure_that_was_not_measured_has_no_value_and_reaches_nothing() -> None:
    figure = not_measured("g", "n", "s", "no CPU", Goal(4))
    assert (figure.median, figure.spread, figure.quartiles, figure.reached) == (None,) * 4


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [
        (Goal(4), 4.0, True),
        (Goal(4), 4.1, False),
        (Goal(12, at_least=True), 12.0, True),
        (Goal(12, at_least=True), 11.9, False),
    ],
)
def test_a_goal_is_reached_by_the_median(goal: Goal, value: float, reached: bool) -> None:
    figure = of_samples("g", "n", "s", [value, value, 1000.0 * value], goal)
    assert figure.reached is reached


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.2156, "0.216"),
        (1.0134, "1.013"),
        (9.9999, "10.00"),
        (54.321, "54.3"),
        (20_123.4, "20,123"),
        (0.000716, "0.000716"),
    ],
)
def test_numbers_have_the_digits_that_they_deserve(value: float, text: str) -> None:
    assert format_value(value) == text


def test_goals_say_which_way_is_better() -> None:
    assert str(Goal(0.15)) == "≤ 0.15"
    assert str(Goal(20_000, at_least=True)) == "≥ 20,000"


# --- the suite ------------------------------------------------------------------------------------


def test_both_modes_are_measured() -> None:
    figures = by_name(suite_of("turns"))
    assert figures["TCP between two machines (frames/s)"].reached
    assert not figures["TCP between two machines, parallel turns (frames/s)"].reached
    assert figures["TCP between two machines, a frame (µs)"].samples == (80.0, 100.0)


def test_only_one_mode_is_measured_where_one_is_asked_for() -> None:
    for parallel in (False, True):
        points = suite_of("scaling", parallel=parallel, vms=(2,)).points
        assert [point.parallel for point in points] == [parallel] * 4


def test_what_is_counted_is_told_for_each_turn() -> None:
    suite = suite_of("instructions")
    figures = by_name(suite)
    assert figures["TCP segment, its sender (instructions)"].samples == (10_000.0,)
    assert figures["TCP segment, its receiver (instructions)"].samples == (5_000.0,)
    echo = suite.profiles["ICMP echo"]
    lines = shown(report.counts_table({"ICMP echo": echo}))
    assert ["...", "left", "to", "QEMU", "0.5"] in [line.split() for line in lines]
    lines = shown(report.symbols_table("ICMP echo", echo, rows=1))
    assert [line.split() for line in lines] == [
        ["ICMP", "echo", "instructions", "for", "each", "turn", "%"],
        ["tcp_ack", "7,500.0", "75.0"],
        ["(2", "more)", "2,500.0", "25.0"],
    ]


def test_scenarios_are_compared_run_by_run() -> None:
    figures = by_name(suite_of("scenarios"))
    assert figures["A7, ratio of both ()"].samples == (6.0, 6.0, 6.0)
    assert figures["A7, real time (x)"].samples == (20.0, 20.0, 20.0)


def test_coupling_counts_what_the_longer_load_takes_longer() -> None:
    figures = by_name(suite_of("coupling"))
    assert figures["busy guest, driven, CPU time (s)"].samples == pytest.approx((2.0, 3.0))
    assert figures["busy guest, ratio of both ()"].samples == pytest.approx((1.0, 1.5))


def test_linearity_is_relative_to_8_machines() -> None:
    suite = suite_of("scaling", parallel=False)
    linearity = {figure.name: figure for figure in suite.figures}
    assert linearity["wall time for each of 32, relative to 8"].median == 1.0
    assert linearity["wall time for each of 32, relative to 8"].reached
    assert linearity["wall time for each of 128, relative to 8"].median == 1.25
    assert linearity["wall time for each of 128, relative to 8"].reached is False
    # The same for any number of them.
    assert linearity["CPU time for each of 32, relative to 8"].median == 0.25


def test_a_single_machine_is_only_idle() -> None:
    points = suite_of("scaling", parallel=False, vms=(1,)).points
    assert [(point.topology, point.load) for point in points] == [
        ("pairs", "idle"),
        ("star", "idle"),
    ]


def test_without_8_machines_there_is_no_linearity() -> None:
    figures = suite_of("scaling", parallel=False, vms=(2, 32)).figures
    assert {figure.reason for figure in figures} == {"8 machines were not measured"}


def test_memory_that_is_not_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "available_mb", lambda: 2000.0)
    suite = suite_of("machines", "scaling", parallel=False, vms=(8, 128))
    reason = "128 machines may need 3,036 MB of memory, and there are 2,000"
    assert by_name(suite)["start of 128 in ns-3 (s)"].reason == reason
    assert {point.reason for point in suite.points if point.vms == 128} == {reason}
    assert all(point.wall_s for point in suite.points if point.vms == 8)


def test_before_anything_is_measured_it_is_known_what_this_machine_is_too_small_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "available_mb", lambda: 20_000.0)
    monkeypatch.setattr(processes, "most_open_files", lambda: 4096)
    suite = Suite(Options(groups=("scaling",), vms=(8, 1000, 2000)), call=answer)
    assert suite.warnings() == [
        "1000 machines may need 4,100 open files, and `ulimit -Hn` is 4,096",
        "2000 machines may need 25,500 MB of memory, and there are 20,000",
    ]
    assert Suite(Options(groups=("turns",), vms=(2000,))).warnings() == []


def test_a_thousand_machines_are_measured_for_a_second_each_time() -> None:
    points = suite_of("scaling", parallel=False, vms=(128, 1000)).points
    loaded = {point.vms: point.simulated_s for point in points if point.load == "load"}
    assert loaded == {128: 4, 1000: 1}


def test_a_missing_cpu_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3})
    figure = by_name(suite_of("turns"))["empty turn, a CPU each (µs)"]
    assert figure.reason == "1 CPU may be used, and this takes 2"
    assert figure.samples == ()


def test_a_case_that_fails_leaves_the_others_alone() -> None:
    def call(name: str, arguments: dict[str, Any]) -> Any:
        if arguments.get("kind") == "icmp":
            message = "the guest has answered 3 of 4 frames"
            raise cases.CaseError(message)
        return answer(name, arguments)

    figures = by_name(suite_of("turns", call=call))
    icmp = figures["ICMP echo, 64 bytes, one CPU (µs)"]
    assert icmp.reason == "the guest has answered 3 of 4 frames"
    assert figures["UDP echo by a program, 1000 bytes, one CPU (µs)"].median == 6.0


def test_an_interruption_keeps_what_there_is() -> None:
    def call(name: str, arguments: dict[str, Any]) -> Any:
        if name == "machines.start":
            raise KeyboardInterrupt
        return answer(name, arguments)

    suite = suite_of(call=call)
    figures = by_name(suite)
    assert suite.interrupted
    assert figures["ICMP echo, 64 bytes, one CPU (µs)"].median == 6.0
    assert figures["start of one (s)"].reason == "interrupted"
    assert figures["busy guest, ratio of both ()"].reason == "interrupted"
    assert {point.reason for point in suite.points} == {"interrupted"}
    linearity = figures["wall time for each of 128, relative to 8 ()"]
    assert linearity.reason == "interrupted"


# --- cases ----------------------------------------------------------------------------------------


def test_a_case_runs_in_a_process_of_its_own() -> None:
    assert cases.call("processes.own_pid", {}) != processes.own_pid()


def test_a_case_that_breaks_says_how_to_run_it_alone() -> None:
    with pytest.raises(cases.CaseError) as raised:
        cases.call("processes.private_mb", {"pid": -1})
    assert raised.value.message.startswith("processes.private_mb ended with status 1: FileNotFound")
    assert "-m ns3_qemu.bench processes.private_mb '{\"pid\":-1}'" in raised.value.advice


def test_a_process_is_measured() -> None:
    pid = processes.own_pid()
    assert processes.cpu_s([pid]) > 0
    assert processes.own_cpu_s() > 0
    assert 1 < processes.private_mb(pid) < processes.available_mb()
    assert processes.pss_mb(pid) > 1


# --- frames and messages --------------------------------------------------------------------------


def test_frames_are_as_long_as_they_say() -> None:
    icmp, udp = turns.request("icmp"), turns.request("udp")
    assert icmp is not None
    assert udp is not None
    assert len(icmp) == 14 + 20 + 64
    assert len(udp) == 14 + 20 + 8 + 1000
    assert turns.request("empty") is None
    for frame in (icmp, udp):
        assert struct.unpack_from(">H", frame, 16) == (len(frame) - 14,)


def test_a_request_is_no_reply() -> None:
    for kind in ("icmp", "udp"):
        frame = turns.request(kind)
        assert frame is not None
        assert not turns.is_reply(kind, frame)


def test_the_message_that_starts_a_load_is_the_relays(relay: relay_peer.RelayProcess) -> None:
    message = coupling.start_request(["/bin/sh", "-c", "exit 7"])
    relay.send_bytes(message)
    reply = relay.receive()
    assert (reply.type, reply.id, reply.status) == (relay_peer.PROCESS_START, 1, 0)
    assert relay.until_exit(struct.unpack("<I", reply.body)[0])[2].code == 7


def test_qemu_alone_has_nothing_of_the_simulator() -> None:
    machine = VmImage(["qemu", "-no-reboot"], boot=["-kernel", "k"], memory_mib=128)
    alone = coupling.restore_command(machine, Path("/saved"), Path("/port"))
    assert alone[:4] == ["qemu", "-no-reboot", "-m", "128"]
    assert "-kernel" not in alone
    assert not [word for word in alone if "sim" in word]
    assert "file:/saved/state" in alone


# --- the report -----------------------------------------------------------------------------------


def a_report(suite: Suite, *, quick: bool = False) -> report.Report:
    return report.Report(
        quick=quick,
        complete=not suite.interrupted,
        begun="2030-01-01T00:00:00+00:00",
        wall_s=12.0,
        machine=host.machine(),
        versions=host.Versions(ns3_qemu="1", ns3="2", qemu="3", guest_kernel="4", python="5"),
        figures=suite.figures,
        points=suite.points,
        profiles=suite.profiles,
    )


def test_the_json_holds_every_sample(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    report.write_json(file, a_report(suite_of()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["bench.json"]
    document = json.loads(file.read_text())
    assert document["format"] == report.FORMAT
    assert document["complete"]
    assert not document["quick"]
    assert document["machine"]["cpus_usable"] >= 1
    assert {figure["group"] for figure in document["figures"]} == set(GROUPS)
    figure = next(f for f in document["figures"] if f["name"] == "ICMP echo, 64 bytes, one CPU")
    assert figure == {
        "group": "turns",
        "name": "ICMP echo, 64 bytes, one CPU",
        "unit": "µs",
        "samples": [5.0, 7.0, 6.0],
        "median": 6.0,
        "min": 5.0,
        "max": 7.0,
        "quartiles": None,
        "goal": {"limit": 32.0, "at_least": False},
        "reached": True,
    }
    assert document["instructions"]["UDP echo by a program"] == PROFILE
    point = next(p for p in document["scaling"] if p["vms"] == 8 and p["load"] == "load")
    assert point["topology"] == "pairs"
    assert point["parallel"] is False
    assert point["wall_s"]["samples"] == [2.0, 2.0, 2.0]
    assert point["wall_s"]["median"] == 2.0
    assert point["turns"] == [30, 30, 30]
    assert point["memory_mb"] == 240.0
    assert point["private_mb"] == 6.0


def test_the_json_says_what_was_not_measured_and_why() -> None:
    figure = not_measured("turns", "n", "µs", "no CPU", Goal(1))
    suite = Suite(Options(), figures=[figure], interrupted=True)
    document = report.document(a_report(suite))
    assert not document["complete"]
    (entry,) = document["figures"]
    assert (entry["median"], entry["reached"], entry["reason"]) == (None, None, "no CPU")


def test_quick_figures_are_marked_as_such() -> None:
    document = report.document(a_report(suite_of("turns", quick=True), quick=True))
    assert document["quick"] is True
    assert document["note"] == report.QUICK


def shown(table: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_table_has_a_line_for_each_figure() -> None:
    figures = [
        of_samples("turns", "empty turn", "µs", [5.0, 6.0, 5.5], Goal(4)),
        not_measured("turns", "other turn", "µs", "1 CPU may be used\n| console", Goal(8)),
    ]
    _, first, second = shown(report.figures_table(figures))
    assert " ".join(first.split()) == "turns empty turn 5.50 5.00 to 6.00 3 µs ≤ 4 missed"
    assert " ".join(second.split()) == "other turn - µs ≤ 8 not measured: 1 CPU may be used"


def test_the_table_of_points_has_rates_for_a_simulated_second() -> None:
    points = [
        *suite_of("scaling", parallel=True, vms=(2,)).points,
        Point(vms=4, topology="star", load="idle", parallel=False, simulated_s=10, reason="why"),
    ]
    lines = shown(report.scaling_table(points))
    assert (
        " ".join(lines[1].split()) == "2 pairs idle parallel 0.200 0.200 0.200 to 0.200 3 2 60 6.00"
    )
    assert " ".join(lines[-1].split()) == "4 star idle serial - not measured: why"


def test_the_figure_has_a_line_for_each_network_load_and_mode(tmp_path: Path) -> None:
    points = suite_of("scaling").points
    axes = plot.scaling_figure(points).axes[0]
    assert len(axes.containers) == 5  # parallel turns: pairs with load only
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    for name in ("first.png", "second.png"):
        plot.write_scaling_figure(tmp_path / name, points)
    first, second = ((tmp_path / name).read_bytes() for name in ("first.png", "second.png"))
    assert first == second
    assert first.startswith(b"\x89PNG")


def test_points_without_samples_are_not_drawn() -> None:
    points = [
        msgspec.structs.replace(point, wall_s=()) if point.load == "idle" else point
        for point in suite_of("scaling", parallel=False).points
    ]
    assert len(plot.scaling_figure(points).axes[0].containers) == 2


# --- the command ----------------------------------------------------------------------------------


def command(*arguments: str) -> Result:
    import typer

    from ns3_qemu import cli

    app = typer.Typer(cls=cli._Group)
    app.command()(bench)
    app.command()(lambda: None)  # with one command alone, it would have no name
    return CliRunner().invoke(app, ["bench", *arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "memory"], "--only memory: there is no such group"),
        (["--vms", "2,3"], "--vms 2,3: machines come in pairs, or alone"),
        (["--vms", "0"], "--vms 0: machines come in pairs, or alone"),
        (["--vms", "many"], "--vms many: machines come in pairs, or alone"),
        (["--vms", ""], "--vms : machines come in pairs, or alone"),
        (["--json", "/no/such/place/f.json"], "there is no directory /no/such/place"),
        (["--plot", "scaling.gif"], "--plot scaling.gif: not one of .png, .pdf, .svg"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(
    arguments: list[str], message: str
) -> None:
    result = command(*arguments)
    assert result.exit_code == 1
    first, *_, last = result.stderr.strip().splitlines()
    assert first == f"error: {message}"
    assert last.startswith("What to do: ")
