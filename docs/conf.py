# SPDX-License-Identifier: GPL-2.0-only
"""How Sphinx builds the manual: `make docs`."""

import tomllib
from pathlib import Path

from sphinx.application import Sphinx

from ns3_qemu.cli import whole

TREE = Path(__file__).resolve().parents[1]

project = "ns3-qemu"
author = "The authors of ns3-qemu"
copyright = "the authors"  # noqa: A001 - it is Sphinx that names it
release = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinxcontrib.typer",
    "myst_nb",
]
# What Sphinx does not read as a page: sources that pages quote.
# Chapters that others include.
exclude_patterns = [
    "examples",
    "module/cpus.rst",
    "module/inside.rst",
    "module/offloads.rst",
    "module/timed.rst",
]

highlight_language = "none"
# As docstrings have it: names of Python in single ones.
default_role = "code"

# Notebooks are shown with what they printed when they were last run; a test runs them.
nb_execution_mode = "off"
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "furo"
html_show_copyright = False
html_title = f"ns3-qemu {release}"


whole()  # `ns3-qemu` with all of its commands, for reference/cli


def without_replacements(_app: Sphinx, _docname: str, source: list[str]) -> None:
    """Leave out the file that only the manual of ns-3 has, where the module is a chapter."""
    source[0] = source[0].replace(".. include:: replace.txt", ".. |ns3| replace:: ns-3")


def setup(app: Sphinx) -> None:
    """Connect what is above."""
    app.connect("source-read", without_replacements)
