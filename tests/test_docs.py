# SPDX-License-Identifier: GPL-2.0-only
"""The manual: it is built without a warning, and what it shows is what comes out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from ns3_qemu.cli import app
from simulation_tools import run_file

DOCS = Path(__file__).resolve().parents[1] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
# The arguments of each run that a page shows.
ARGUMENTS = {"queueing": [["pfifo"], ["fq_codel"]]}


def pages() -> list[Path]:
    found = [file for pattern in ("*.rst", "*.md") for file in DOCS.rglob(pattern)]
    return [*found, *(DOCS / "module").glob("*.rst"), DOCS.parent / "README.md"]


def test_it_is_built_without_a_warning(tmp_path: Path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "2"]
    built = subprocess.run(
        [*command, "-d", tmp_path / "trees", DOCS, tmp_path / "html"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "TcpSegmentErrorModel" in (tmp_path / "html" / "module" / "qemu.html").read_text()


def test_the_commands_that_it_names_exist():
    commands = set(get_command(app).commands)
    for page in pages():
        named = re.findall(
            r"^ *(?:\$ )?ns3-qemu ([a-z]\S*)|`ns3-qemu ([a-z]\S*)", page.read_text(), re.M
        )
        for first, second in named:
            word = (first or second).strip("`.,;:")
            assert word in commands, f"{page}: ns3-qemu {word}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_its_page_shows(example: Path, vm_image: Path, tmp_path: Path):
    assert vm_image.is_dir()
    page = next(
        page
        for page in pages()
        if re.search(rf"literalinclude::.*/?{example.name}", page.read_text())
    )
    shown = {line.strip() for line in page.read_text().splitlines()}
    for arguments in ARGUMENTS.get(example.stem, [[]]):
        status, output, errors = run_file(example, arguments, tmp_path)
        assert status == 0, errors
        assert output
        for line in output.splitlines():
            assert line.strip() in shown
