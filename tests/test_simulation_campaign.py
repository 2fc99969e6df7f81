# SPDX-License-Identifier: GPL-2.0-only
"""A matrix of experiments, run."""

import signal
import subprocess
import sys
from pathlib import Path

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


def _command(file: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "ns3-qemu"
    return subprocess.run(
        [program, "experiment", file, "--out", out, *options],
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Outcome]]:
    """Return the directory of a campaign that was interrupted and resumed, and its outcomes."""
    directory = tmp_path_factory.mktemp("campaign")
    jobs = _jobs(directory / "file.toml", directory / "out")
    # What another program has put in a run's place makes it fail, and no other.
    Path(jobs[1].directory).parent.mkdir(parents=True)
    Path(jobs[1].directory).write_text("not a directory")
    runs = Campaign(jobs, workers=2).run()
    outcomes = [next(runs), next(runs)]
    runs.close()  # as Ctrl-C does
    Path(jobs[1].directory).unlink(missing_ok=True)
    return directory, outcomes


def test_an_interrupted_matrix_goes_on_and_is_as_if_it_had_not_been(
    campaign: tuple[Path, list[Outcome]],
) -> None:
    directory, outcomes = campaign
    failed = [outcome for outcome in outcomes if outcome.error]
    assert [outcome.job.number for outcome in failed] == [2]
    assert "Not a directory" in failed[0].error
    whole = [outcome.job for outcome in outcomes if not outcome.error]
    stamps = [(Path(each.directory) / "summary.json").stat().st_mtime_ns for each in whole]
    file = directory / "file.toml"
    resumed = _command(file, directory / "out", "--jobs", "2", "--report")
    assert resumed.returncode == 0, resumed.stderr
    assert "4 of 4 runs are whole" in resumed.stdout
    for each, stamp in zip(whole, stamps, strict=True):  # it was not run again
        assert (Path(each.directory) / "summary.json").stat().st_mtime_ns == stamp
        assert (Path(each.directory) / "report.html").is_file()
    # Alone and one after the other.
    alone = directory / "alone"
    once = _command(file, alone, "--jobs", "1", "--only", "2", "--only", "3")
    assert once.returncode == 0, once.stderr
    found = sorted((alone / "runs").iterdir())
    assert [each.name[:4] for each in found] == ["0002", "0003"]
    for each in found:
        assert differences(each, directory / "out" / "runs" / each.name) == []
    rows = (directory / "out" / "results.csv").read_text().splitlines()
    some = (alone / "results.csv").read_text().splitlines()
    assert [row for row in rows if row.startswith(("5 ms,2,", "20 ms,1,"))] == some[1:]
    # With all of them there, nothing is run; the table is the same file.
    table = (directory / "out" / "results.parquet").read_bytes()
    again = _command(file, directory / "out")
    assert "(4 of them were there)" in again.stdout
    assert (directory / "out" / "results.parquet").read_bytes() == table


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
