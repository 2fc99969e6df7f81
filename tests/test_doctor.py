# SPDX-License-Identifier: GPL-2.0-only
"""The doctor: says what is missing and what to do about it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ns3_qemu import cli, doctor
from ns3_qemu.cache import Cache
from ns3_qemu.image import ImageSpec


def findings(cache: Cache) -> dict[str, doctor.Finding]:
    return {finding.part: finding for finding in doctor.examine(cache, ImageSpec())}


def test_after_the_set_up_nothing_is_missing() -> None:
    assert [finding for finding in findings(Cache()).values() if not finding.ok] == []


def test_an_empty_cache_lacks_what_the_set_up_makes(cache: Cache) -> None:
    found = findings(cache)
    for part in ("QEMU", "kernel debian:6.1", "image"):
        assert not found[part].ok
        assert found[part].advice == "ns3-qemu setup"
    assert found["tools"].ok


def test_looking_changes_nothing(cache: Cache) -> None:
    findings(cache)
    assert not cache.root.exists()


def test_missing_tools_are_named_with_their_packages(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = findings(cache)
    assert "musl-gcc" in found["tools"].detail
    assert found["tools"].advice.startswith("apt-get install ")
    assert "musl-tools" in found["tools"].advice
    assert found["libraries"].advice == "apt-get install libglib2.0-dev zlib1g-dev"


def test_the_command_ends_with_1_if_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NS3_QEMU_HOME", str(tmp_path))
    result = CliRunner().invoke(cli.app, ["doctor"])
    assert result.exit_code == 1
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert " missing " in lines["QEMU"]
    assert lines["QEMU"].rstrip().endswith("ns3-qemu setup")
    assert " ok " in lines["tools"]


def test_the_command_ends_with_0_after_the_set_up() -> None:
    result = CliRunner().invoke(cli.app, ["doctor"])
    assert result.exit_code == 0, result.stdout
