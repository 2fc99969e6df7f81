# SPDX-License-Identifier: GPL-2.0-only
"""Runs a scenario for a person or a suite: simulates, analyses, and writes all results."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from . import bottleneck, simulation
from .results import RunReport, RunResults, analyse, run_table, write_results
from .results.files import sha256
from .scenario import Scenario

if TYPE_CHECKING:
    from .pause import Plan

# What analyse() and write_results() make of a run's files.
_RESULTS = ("goodput.csv", "drops.csv", "sender_packets.csv.gz", "summary.json", "cwnd.png")


@dataclass(frozen=True)
class Run:
    """A run that has ended, with its files in a directory."""

    results: RunResults
    outcome: bottleneck.Outcome


class _SpeedColumn(ProgressColumn):
    """Simulated seconds for each second of wall time."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} x real time" if task.speed else "")


def run(scenario: Scenario, out: Path, console: Console, pause: "Plan | None" = None) -> Run:
    """Run a scenario, and write its results into the directory `out`, which is made if need be.

    `console`: progress and the final table go there; a quiet one shows nothing. `pause`: when it is
    to stop.
    """
    out.mkdir(parents=True, exist_ok=True)
    # What an earlier run left must not be taken for this one's if this one fails.
    for name in (*bottleneck.FILES, *_RESULTS):
        (out / name).unlink(missing_ok=True)

    console.print(f"Simulating {scenario.name}: {_describe(scenario)}")
    outcome = _simulate(scenario, out, console, pause)
    for host, parameters in outcome.skipped.items():
        if parameters:
            console.print(f"The {host}'s kernel has no {', '.join(parameters)}: left out")
    results = analyse(
        out,
        scenario.name,
        outcome.end_ns,
        port=bottleneck.PORT,
        drop_captures=bottleneck.DROP_CAPTURES,
        details={
            "systems": outcome.systems,
            "turns": outcome.turns,
            **({"cpu_busy": outcome.busy} if outcome.busy else {}),
        },
    )
    write_results(out, results, outcome.systems["sender"])
    console.print(_table(out, results, outcome))
    console.print(f"(and {outcome.boot_s:.1f} s to boot the guests)")
    console.print(f"Results are in {out}, the figure is {out / 'cwnd.png'}")
    return Run(results, outcome)


def _table(out: Path, results: RunResults, outcome: bottleneck.Outcome) -> object:
    return run_table(
        RunReport(
            summary=results.summary,
            kernels=outcome.systems,
            turns=outcome.turns,
            busy=outcome.busy,
            simulated_s=outcome.end_ns / 1e9,
            wall_s=outcome.wall_s,
            pcap_sha256={name: sha256(out / name) for name in ("sender.pcap", "receiver.pcap")},
        )
    )


def _describe(scenario: Scenario) -> str:
    access, narrow = scenario.access, scenario.bottleneck
    return (
        f"sender -{access.rate}, {access.delay}- router -{narrow.rate}, {narrow.delay}, "
        f"queue {narrow.queue}- receiver; {scenario.tcp.congestion_control}, {scenario.duration}"
    )


def _simulate(
    scenario: Scenario, out: Path, console: Console, pause: "Plan | None"
) -> bottleneck.Outcome:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.0f} s simulated"),
        _SpeedColumn(),
        TimeRemainingColumn(),
    )
    total = scenario.end_ns / 1e9
    # ns-3 runs in this thread and keeps the interpreter: the bar is drawn when it reports.
    with Progress(*columns, console=console, auto_refresh=False, speed_estimate_period=5) as bar:
        task = bar.add_task("booting the guests", total=total)
        bar.refresh()

        def on_progress(simulated: float) -> None:
            turn = simulation.turn()
            description = f"waiting for {turn}" if turn else "simulating"
            bar.update(task, description=description, completed=simulated, refresh=True)

        if pause is not None:
            pause.suspend, pause.resume = bar.stop, bar.start
        outcome = bottleneck.simulate(scenario, out, on_progress, pause)
        bar.update(task, completed=total, refresh=True)
    return outcome
