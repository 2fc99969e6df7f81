# SPDX-License-Identifier: GPL-2.0-only
"""The manual: it is built without a warning, and what it shows is what comes out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from ns3_qemu.cli import whole
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
    assert "ns3-qemu selftest" in (tmp_path / "html" / "reference" / "cli.html").read_text()


def test_the_commands_that_it_names_exist():
    commands = set(get_command(whole()).commands)
    for page in pages():
        text = page.read_text()
        for word in re.findall(r"(?:^   +(?:\$ )?|`)ns3-qemu ([a-z-]+)", text, re.MULTILINE):
            assert word in commands, f"{page}: {word}"


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
