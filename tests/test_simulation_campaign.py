# SPDX-License-Identifier: GPL-2.0-only
"""A matrix of experiments, run."""

import io
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from rich.console import Console

from ns3_qemu.campaign import Campaign, Outcome, points
from ns3_qemu.campaign.cli import run_matrix
from ns3_qemu.campaign.job import Job, job
from ns3_qemu.experiment import reading
from ns3_qemu.experiment.errors import ExperimentError
from ns3_qemu.results.diff import differences

_EXPERIMENT = """
duration = "{duration}"
[hosts.left]
[hosts.right]
[links.narrow]
between = ["left", "right"]
rate = "2 Mbit/s"
delay = "5 ms"
[flows.bulk]
from = "left"
to = "right"
start = "0.1 s"
[matrix]
links.narrow.delay = ["5 ms", "20 ms"]
run = "1..2"
"""


def _jobs(file: Path, out: Path, duration: str = "0.4 s") -> list[Job]:
    file.write_text(_EXPERIMENT.format(duration=duration))
    said = reading.read_table(file)
    return [job(said, point, file, out) for point in points(said.pop("matrix"))]


def _run(file: Path, out: Path, **options: Any) -> str:
    """Run a matrix as the command does, and return what it says."""
    said = io.StringIO()
    console = Console(file=said, width=200)
    run_matrix(reading.read_table(file), file, out, console, **options)
    return said.getvalue()


@dataclass
class _Campaign:
    """A campaign that was interrupted, and went on."""

    directory: Path
    interrupted: list[Outcome]
    stamps: dict[int, int]
    """When the runs that were whole by then had ended, by their numbers."""
    said: str = ""
    """When it went on."""

    @property
    def out(self) -> Path:
        return self.directory / "out"

    @property
    def file(self) -> Path:
        return self.directory / "file.toml"


def _ended(outcome: Outcome) -> int:
    return (Path(outcome.job.directory) / "summary.json").stat().st_mtime_ns


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> _Campaign:
    directory = tmp_path_factory.mktemp("campaign")
    jobs = _jobs(directory / "file.toml", directory / "out")
    # What another program has put in a run's place makes it fail, and no other.
    Path(jobs[1].directory).parent.mkdir(parents=True)
    Path(jobs[1].directory).write_text("not a directory")
    runs = Campaign(jobs, workers=2).run()
    outcomes = [next(runs), next(runs)]
    runs.close()  # as Ctrl-C does
    Path(jobs[1].directory).unlink()
    stamps = {each.job.number: _ended(each) for each in outcomes if not each.error}
    return _Campaign(directory, outcomes, stamps)


@pytest.fixture(scope="module")
def resumed(interrupted: _Campaign) -> _Campaign:
    interrupted.said = _run(interrupted.file, interrupted.out, jobs=2, report=True)
    return interrupted


def test_a_run_that_fails_is_an_outcome(interrupted: _Campaign) -> None:
    failed = [outcome for outcome in interrupted.interrupted if outcome.error]
    assert [outcome.job.number for outcome in failed] == [2]
    assert "Not a directory" in failed[0].error
    assert len(interrupted.stamps) == 1


def test_an_interrupted_matrix_goes_on(resumed: _Campaign) -> None:
    assert "4 of 4 runs are whole" in resumed.said
    runs = sorted((resumed.out / "runs").iterdir())
    assert [each.name[:4] for each in runs] == ["0001", "0002", "0003", "0004"]
    for number, stamp in resumed.stamps.items():  # it was not run again
        assert (runs[number - 1] / "summary.json").stat().st_mtime_ns == stamp
    assert all((each / "report.html").is_file() for each in runs)
    # With all of them there, nothing is run; the table is the same file.
    table = (resumed.out / "results.parquet").read_bytes()
    assert "(4 of them were there)" in _run(resumed.file, resumed.out)
    assert (resumed.out / "results.parquet").read_bytes() == table


def test_a_run_is_the_same_alone(resumed: _Campaign) -> None:
    alone = resumed.directory / "alone"
    _run(resumed.file, alone, jobs=1, only=[2])
    (run,) = (alone / "runs").iterdir()
    assert run.name.startswith("0002")
    assert differences(run, resumed.out / "runs" / run.name) == []
    rows = (resumed.out / "results.csv").read_text().splitlines()
    some = (alone / "results.csv").read_text().splitlines()
    assert [row for row in rows if row.startswith("5 ms,2,")] == some[1:]
    assert len(some) > 5


def test_machines_die_with_the_worker(tmp_path: Path) -> None:
    first = _jobs(tmp_path / "file.toml", tmp_path / "out", "100000 s")[0]
    (tmp_path / "job").write_bytes(msgspec.json.encode(first))
    script = (
        "import sys, msgspec; from pathlib import Path;"
        "from ns3_qemu.campaign.engine import work; work(Path(sys.argv[1]).read_bytes())"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "job")])
    process = psutil.Process(worker.pid)
    descendants: list[psutil.Process] = []
    # The worker, the process that has loaded ns-3, the run, two machines.
    while len(descendants) < 4 or not Path(first.directory, "pcap", "left-eth0.pcap").is_file():
        assert worker.poll() is None
        descendants = process.children(recursive=True)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    _, alive = psutil.wait_procs(descendants, timeout=60)
    assert alive == []
    assert not first.is_there


def test_a_value_that_can_not_be_is_refused_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "file.toml"
    file.write_text(_EXPERIMENT.format(duration="1 s").replace('"20 ms"]', '"fast"]'))
    said = reading.read_table(file)
    with pytest.raises(ExperimentError, match=r"matrix, run 3: links\.narrow\.delay: .*'fast'"):
        run_matrix(said, file, tmp_path / "out", Console(quiet=True))
    assert not (tmp_path / "out").exists()
