# SPDX-License-Identifier: GPL-2.0-only
"""The demo: two real Linux kernels talk TCP through ns-3, in simulated time."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from . import bottleneck, image
from .results import RunReport, analyse, run_table, write_results
from .results.files import sha256
from .scenario import Scenario, base_case

# What analyse() and write_results() make of a run's files.
_RESULTS = ("goodput.csv", "drops.csv", "sender_packets.csv.gz", "summary.json", "cwnd.png")


class _SpeedColumn(ProgressColumn):
    """Simulated seconds for each second of wall time."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} x real time" if task.speed else "")


def run(out: Path, kernel: str = image.DEFAULT_KERNEL) -> None:
    """Run the demo and write its results into the directory `out`, which is made if need be."""
    console = Console(highlight=False)
    scenario = base_case(kernel)
    out.mkdir(parents=True, exist_ok=True)
    # What an earlier run left must not be taken for this one's if this one fails.
    for name in (*bottleneck.FILES, *_RESULTS):
        (out / name).unlink(missing_ok=True)

    console.print(f"Simulating {scenario.name}: {_describe(scenario)}")
    outcome = _simulate(scenario, out, console)
    results = analyse(
        out,
        scenario.name,
        outcome.end_ns,
        port=bottleneck.PORT,
        details={"kernels": outcome.kernels, "turns": outcome.turns},
    )
    write_results(out, results, outcome.kernels["sender"])
    console.print(
        run_table(
            RunReport(
                summary=results.summary,
                kernels=outcome.kernels,
                turns=outcome.turns,
                simulated_s=outcome.end_ns / 1e9,
                wall_s=outcome.wall_s,
                pcap_sha256={name: sha256(out / name) for name in ("sender.pcap", "receiver.pcap")},
            )
        )
    )
    console.print(f"(and {outcome.boot_s:.1f} s to boot the guests)")
    console.print(f"Results are in {out}, the figure is {out / 'cwnd.png'}")


def _describe(scenario: Scenario) -> str:
    access, narrow = scenario.access, scenario.bottleneck
    return (
        f"sender -{access.rate}, {access.delay}- router -{narrow.rate}, {narrow.delay}, "
        f"queue {narrow.queue}- receiver; {scenario.tcp.congestion_control}, {scenario.duration}"
    )


def _simulate(scenario: Scenario, out: Path, console: Console) -> bottleneck.Outcome:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.0f} s simulated"),
        _SpeedColumn(),
        TimeRemainingColumn(),
    )
    total = sum(float(text.removesuffix("s")) for text in (scenario.start, scenario.duration))
    # ns-3 runs in this thread and keeps the interpreter: the bar is drawn when it reports.
    with Progress(*columns, console=console, auto_refresh=False, speed_estimate_period=5) as bar:
        task = bar.add_task("booting the guests", total=total)
        bar.refresh()

        def on_progress(simulated: float) -> None:
            bar.update(task, description="simulating", completed=simulated, refresh=True)

        outcome = bottleneck.simulate(scenario, out, on_progress)
        bar.update(task, completed=total, refresh=True)
    return outcome
