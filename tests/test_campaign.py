# SPDX-License-Identifier: GPL-2.0-only
"""The points of a matrix, and its results as one table."""

from pathlib import Path
from typing import Any

import fastparquet
import pandas as pd
import pytest

import run_directories
from ns3_qemu.campaign import cli, matrix, table
from ns3_qemu.campaign.figures import NAME, write_comparison
from ns3_qemu.campaign.job import Job
from ns3_qemu.experiment import layout, reading
from ns3_qemu.experiment.errors import ExperimentError

_MATRIX: dict[str, Any] = {
    "links": {"narrow": {"delay": ["10 ms", "40 ms"]}},
    "hosts": {"a": {"sysctls": {"net.ipv4.tcp_congestion_control": ["cubic", "bbr"]}}},
    "run": "1..3",
}


def test_all_values_meet_all_others_in_the_files_order() -> None:
    found = matrix.points(_MATRIX)
    assert [point.number for point in found] == list(range(1, 13))
    assert len({tuple(point.values.values()) for point in found}) == 12
    assert found[0].values == {
        "links.narrow.delay": "10 ms",
        "hosts.a.sysctls.net.ipv4.tcp_congestion_control": "cubic",
        "run": 1,
    }
    assert [point.values["run"] for point in found[:4]] == [1, 2, 3, 1]
    assert found[-1].name == "0012-delay_40_ms-tcp_congestion_control_bbr-run_3"


def test_a_points_values_take_the_place_of_what_the_file_says() -> None:
    said = {
        "duration": "1 s",
        "hosts": {"a": {}, "b": {}},
        "links": {"narrow": {"between": ["a", "b"], "rate": "1 Mbit/s", "delay": "1 ms"}},
    }
    experiment = reading.parse(said, matrix.points(_MATRIX)[-1].settings)
    assert experiment.run == 3
    assert experiment.links["narrow"].delay == 40_000_000
    assert experiment.hosts["a"].sysctls == {"net.ipv4.tcp_congestion_control": "bbr"}


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({}, "matrix: there is no key in it"),
        ({"run": "3..1"}, r"matrix.run: '3..1': a range goes up, as 1..10"),
        ({"run": 3}, 'matrix.run: give a list of values, or a range as "1..10"'),
        ({"run": []}, 'matrix.run: give a list of values, or a range as "1..10"'),
        ({"run": "1..999999999"}, "matrix.run: '1..999999999': a range goes up, as 1..10"),
        ({"a": {"b": [[1]]}}, 'matrix.a.b: give a list of values, or a range as "1..10"'),
        ({"a": ["x", "y", "x"]}, "matrix.a: 'x' is in it twice"),
        ({"a": "1..1000", "b": "1..1000"}, "matrix: it has 1,000,000 runs, and 100,000 may be"),
    ],
)
def test_a_matrix_that_can_not_be_is_refused_in_one_line(said: Any, error: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        matrix.points(said)
    assert caught.value.message == error


def test_two_campaigns_do_not_share_a_directory(tmp_path: Path) -> None:
    with (
        cli._alone(tmp_path), pytest.raises(ExperimentError, match="another campaign is at work"),
        cli._alone(tmp_path),
    ):
        pass
    with cli._alone(tmp_path):
        pass


def _job(directory: Path, number: int, **values: matrix.Value) -> Job:
    return Job(
        number=number,
        name=directory.name,
        values=values,
        toml="",
        inputs="",
        directory=str(directory),
        key=f"key {number}",
        versions="",
    )


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    made = []
    for number, (delay, run) in enumerate(((10, 1), (10, 2), (40, 1), (40, 2)), start=1):
        flows = [
            layout.FlowSummary(
                name=name,
                sender="left",
                receiver="right",
                start_s=1.0,
                end_s=10.0,
                bytes=rate * 9 // 8,
                goodput_bps=rate,
                retransmissions=None,
                congestion_control=name,
            )
            for name, rate in (("bbr", 10**6 * (run + 1)), ("cubic", 10**7 // delay))
        ]
        directory = tmp_path / f"run-{number}"
        run_directories.write(directory, run_directories.summary(flows=flows))
        made.append(_job(directory, number, delay=f"{delay} ms", run=run))
    return made


def test_the_table_has_a_row_for_each_figure_of_each_run(jobs: list[Job], tmp_path: Path) -> None:
    made = table.table(jobs[::-1])
    assert list(made.columns) == ["delay", "run", "figure", "of", "unit", "value"]
    assert made["run"].dtype == "int64"
    goodput = made[made["figure"] == "goodput"]
    assert goodput["of"].tolist() == ["bbr", "cubic"] * 4
    assert goodput["value"].tolist() == [2e6, 1e6, 3e6, 1e6, 2e6, 250e3, 3e6, 250e3]
    assert goodput["delay"].tolist() == ["10 ms"] * 4 + ["40 ms"] * 4
    (srtt,) = made[(made["figure"] == "srtt, mean") & (made["run"] == 1) & (made["of"] == "bbr")][
        "value"
    ].unique()
    assert 45 < srtt < 58  # of what run_directories writes
    assert made[made["figure"] == "exit code"]["of"].unique().tolist() == ["left/0-ping"]
    table.write(tmp_path, made)
    first = {name: (tmp_path / name).read_bytes() for name in (table.CSV, table.PARQUET)}
    table.write(tmp_path, table.table(jobs))
    assert {name: (tmp_path / name).read_bytes() for name in first} == first
    again = fastparquet.ParquetFile(str(tmp_path / table.PARQUET)).to_pandas()
    pd.testing.assert_frame_equal(again, made, check_dtype=False)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / table.CSV, keep_default_na=False, na_values={"value": ""}),
        made,
        check_dtype=False,
    )


def test_the_comparison_is_a_picture(jobs: list[Job], tmp_path: Path) -> None:
    made = table.table(jobs)
    assert write_comparison(tmp_path, made, ["delay", "run"]) == tmp_path / NAME
    picture = (tmp_path / NAME).read_bytes()
    assert picture.startswith(b"\x89PNG")
    write_comparison(tmp_path, made, ["delay", "run"])
    assert (tmp_path / NAME).read_bytes() == picture
    # One run has nothing to be compared with.
    assert write_comparison(tmp_path, table.table(jobs[:1]), ["delay", "run"]) is None


def test_only_the_whole_result_of_the_same_run_is_there(jobs: list[Job]) -> None:
    job = jobs[0]
    assert not job.is_there
    job.end()
    assert job.is_there
    assert not _job(Path(job.directory), 2).is_there  # with another key
    (Path(job.directory) / "summary.json").unlink()
    assert not job.is_there
    job.begin()
    (Path(job.directory) / "summary.json").write_text("{}")
    assert not job.is_there
