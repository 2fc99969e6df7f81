# SPDX-License-Identifier: GPL-2.0-only
"""The relay's source files: who knows whom."""

from __future__ import annotations

import graphlib
import re
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[1]
RELAY = TREE / "relay"


def knows(name: str) -> set[str]:
    """Return the project's headers that a file includes, without suffix."""
    text = (RELAY / name).read_text()
    return set(re.findall(r'^#include "([^"]+)\.h"', text, re.MULTILINE))


def all_known(name: str) -> set[str]:
    """Return those that it includes by way of others, too."""
    found: set[str] = set()
    new = knows(name)
    while new:
        found |= new
        headers = {header for header in new if (RELAY / f"{header}.h").exists()}
        new = {other for header in headers for other in knows(f"{header}.h")} - found
    return found


SOURCES = sorted(path.stem for path in RELAY.glob("*.c"))
CALLS = {
    name: {other for other in knows(f"{name}.c") if other in SOURCES} - {name} for name in SOURCES
}


def test_no_file_calls_one_that_calls_it() -> None:
    known = {
        name: CALLS[name] | knows(f"{name}.h") - {"request"} for name in CALLS if name != "main"
    }
    order = list(graphlib.TopologicalSorter({**known, "main": CALLS["main"]}).static_order())
    assert order[-1] == "main"


@pytest.mark.parametrize("name", ["init", "main"])
def test_only_main_knows(name: str) -> None:
    assert {who for who, known in CALLS.items() if name in known} <= {"main"}


def test_the_first_process_does_not_know_the_protocol() -> None:
    assert "relay-protocol" in all_known("channel.c")
    assert "relay-protocol" not in all_known("init.c")


def test_the_build_takes_every_source() -> None:
    listed = re.findall(r"^ +(\w+\.[ch])\)?$", (RELAY / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in RELAY.glob("*.[ch]"))


def test_the_readme_says_who_calls_whom() -> None:
    rows = re.findall(
        r"^\| `(\w+)\.c` \| .+ \| (.*?) ?\|$", (RELAY / "README.md").read_text(), re.MULTILINE
    )
    said = {name: set(re.findall(r"`(\w+)`", calls)) for name, calls in rows}
    apart = said.pop("main")
    assert said == {name: calls for name, calls in CALLS.items() if name != "main"}
    assert CALLS["main"] == set(SOURCES) - {"main"} - apart


def test_every_parameter_that_the_relay_reads_is_passed_by_the_package() -> None:
    sources = "".join(path.read_text() for path in RELAY.glob("*.c"))
    package = "".join(path.read_text() for path in (TREE / "python" / "ns3_qemu").glob("*.py"))
    read = re.findall(r'InitParameter\("([^"]+)"\)', sources)
    assert read
    assert [name for name in read if f"{name}=" not in package] == []
