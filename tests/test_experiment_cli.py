# SPDX-License-Identifier: GPL-2.0-only
"""What `ns3-qemu experiment` says while an experiment runs, and where it does not begin."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from ns3_qemu.experiment import cli, layout
from ns3_qemu.experiment.errors import ExperimentError
from ns3_qemu.experiment.run import run_experiment


@pytest.mark.parametrize("turn", ["", "; a turn of nw takes long"])
def test_progress_is_told_in_lines_where_there_is_no_terminal(
    turn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_LINE_INTERVAL", 0.0)
    monkeypatch.setattr(cli, "_waiting", lambda: turn)
    said = io.StringIO()
    with cli._progress(Console(file=said, width=200), 40.0) as update:
        update(1.25)
        update(2.5)
    assert said.getvalue().splitlines() == [
        f"1.250 of 40 s simulated{turn}",
        f"2.500 of 40 s simulated{turn}",
    ]


@pytest.mark.parametrize("name", [*layout.FILES, layout.REPORT, layout.PCAP, layout.INPUTS])
def test_a_directory_that_no_run_has_left_is_not_cleared(name: str, tmp_path: Path) -> None:
    file = tmp_path / "file.toml"
    file.write_text(
        'duration = "1 s"\n[hosts.a]\n[hosts.b]\n'
        '[links.ab]\nbetween = ["a", "b"]\nrate = "1 Mbit/s"\ndelay = "1 ms"\n'
    )
    mine = tmp_path / "out" / name
    if name in layout.DIRECTORIES or name == layout.INPUTS:
        mine /= "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(ExperimentError, match=f"has {name}, and is no directory of an experiment"):
        run_experiment(file, tmp_path / "out")
    assert mine.read_text() == "mine"
