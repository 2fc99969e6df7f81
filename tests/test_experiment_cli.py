# SPDX-License-Identifier: GPL-2.0-only
"""What `ns3-qemu experiment` says while an experiment runs."""

import io

import pytest
from rich.console import Console

from ns3_qemu.experiment import cli


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
