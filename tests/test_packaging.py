# SPDX-License-Identifier: GPL-2.0-only
"""The checkout as a whole: what its files promise each other."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import metadata
from itertools import chain
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from ns3_qemu import apt, doctor

TREE = Path(__file__).resolve().parents[1]


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files that git knows, except for those that are removed just now."""
    if not (TREE / ".git").exists():  # an unpacked archive
        return ()
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=TREE, check=True, capture_output=True, text=True
    )
    paths = (TREE / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    files = [TREE / "requirements.txt", TREE / "requirements-dev.txt"]
    lines = [line for file in files for line in file.read_text().splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_debians_python_can_have_every_pinned_version() -> None:
    debian_12 = "3.11.2"
    for name, version in pins().items():
        for wanted in metadata(name).get_all("Requires-Python", []):
            assert debian_12 in SpecifierSet(wanted), f"{name}=={version}"


def test_every_requirement_is_pinned() -> None:
    pinned = pins()
    names = {normal(name) for name in pinned}
    project = tomllib.loads((TREE / "pyproject.toml").read_text())
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *chain.from_iterable(project["project"]["optional-dependencies"].values()),
    ]
    for requirement in wanted:
        name = re.split(r"[<>=!~ ]", requirement)[0]
        assert normal(name) in names
        if "==" in requirement:
            name, _, version = requirement.partition("==")
            assert pinned[name] == version, "pinned to two versions"


def test_the_bootstrap_installs_what_the_doctor_looks_for() -> None:
    bootstrap = (TREE / "scripts" / "bootstrap").read_text()
    declared = re.search(r"^packages=\((.*?)\)", bootstrap, re.MULTILINE | re.DOTALL)
    assert declared
    installed = set(declared[1].split())
    # What every Debian machine with a compiler has anyway.
    essential = {"apt", "binutils", "gpgv", "util-linux"}
    wanted = doctor.TOOLS | doctor.BUILD_TOOLS | doctor.LIBRARIES
    assert {*wanted.values()} <= installed | essential


def version() -> str:
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def test_the_citation_is_of_this_version() -> None:
    citation = (TREE / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [version()]
    assert re.findall(r"^license: (.+)$", citation, re.MULTILINE) == ["GPL-2.0-only"]
    # The work that it follows is the one that the README names.
    (doi,) = re.findall(r"^ +doi: (.+)$", citation, re.MULTILINE)
    assert f"https://doi.org/{doi})" in (TREE / "README.md").read_text()


def test_the_changelog_begins_with_this_version() -> None:
    changelog = (TREE / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\] - (.+)$", changelog, re.MULTILINE)
    released = [heading for heading in headings if heading[0] != "Unreleased"]
    assert released[0][0] == version()
    assert re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", released[0][1])
    known = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", changelog, re.MULTILINE)) <= known


def test_who_reports_a_defect_is_asked_for_what_the_command_line_can_tell() -> None:
    template = (TREE / ".github" / "ISSUE_TEMPLATE" / "defect.md").read_text()
    commands = set(re.findall(r"`ns3-qemu ([a-z-]+)`", template))
    assert commands == {"doctor", "--version"}
    for command in commands:
        program = Path(sys.executable).parent / "ns3-qemu"
        options = [] if command == "--version" else ["--help"]
        assert subprocess.run([program, command, *options], check=False).returncode == 0


def test_pre_commit_checks_what_make_does() -> None:
    hook = re.search(
        r"^ +entry: make (\S+)$", (TREE / ".pre-commit-config.yaml").read_text(), re.MULTILINE
    )
    assert hook
    assert re.search(rf"^{hook[1]}:", (TREE / "Makefile").read_text(), re.MULTILINE)


def test_no_file_names_the_mirror_of_this_machine() -> None:
    uris = [source.uri for source in apt.machine_sources()]
    hosts = {match[1] for uri in uris if (match := re.match(r"\w[\w+]*://([^/:]+)", uri))}
    hosts -= {"localhost"}
    for file in tracked():
        content = file.read_bytes()
        for host in hosts:
            assert host.encode() not in content, f"{file} names {host}"


def sources() -> list[Path]:
    """Return the tracked files that are programs or describe how one is built."""
    suffixes = {".c", ".cc", ".h", ".mak", ".py", ".pyi", ".sh", ".toml", ".txt"}
    names = {"Makefile", ".clang-format", ".editorconfig", ".pre-commit-config.yaml"}

    def is_source(file: Path) -> bool:
        return file.suffix in suffixes or file.name in names or file.read_bytes()[:2] == b"#!"

    return [file for file in tracked() if is_source(file)]


@pytest.mark.parametrize("file", sources(), ids=lambda file: str(file.relative_to(TREE)))
def test_every_source_file_says_its_license(file: Path) -> None:
    assert b"SPDX-License-Identifier: GPL-2.0-only" in file.read_bytes()[:300]
