# SPDX-License-Identifier: GPL-2.0-only
"""What the fuzz targets begin with, and what they found, is read without complaint."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORPORA = sorted(path.name for path in (ROOT / "tests/fuzz/corpora").iterdir())


@pytest.mark.parametrize("target", CORPORA)
def test_a_corpus_is_read(target: str):
    run = subprocess.run(
        [ROOT / "scripts/fuzz", "--corpora", target], capture_output=True, text=True, check=False
    )
    if "this target needs a jail" in run.stdout + run.stderr:
        pytest.skip("this host has no jail for the relay")
    inputs = len(list((ROOT / "tests/fuzz/corpora" / target).iterdir()))
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{inputs} inputs" in run.stdout


def test_each_target_has_a_corpus_and_is_told_of():
    sources = {path.stem for path in (ROOT / "tests/fuzz").glob("*.c*")} - {"main", "jail"}
    listed = subprocess.run(
        [ROOT / ".venv/bin/python", ROOT / "tests/fuzz/python_targets.py", "--list"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert sorted(sources | set(listed)) == CORPORA
    told = (ROOT / "CONTRIBUTING.md").read_text()
    assert all(f"`{target}`" in told for target in CORPORA)


def test_corpora_are_small():
    files = [path for path in (ROOT / "tests/fuzz/corpora").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000
