# SPDX-License-Identifier: GPL-2.0-only
"""The notebooks print what is stored in them."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    return [
        "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_is_stored(file: Path, vm_image: Path, tmp_path: Path):
    assert vm_image.is_dir()
    stored = nbformat.read(file, as_version=4)
    notebook = nbformat.read(file, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=280, kernel_name="python3", resources=place).execute()
    assert printed(notebook) == printed(stored)
    assert any(printed(stored))
