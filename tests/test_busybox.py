# SPDX-License-Identifier: GPL-2.0-only
"""The shell's busybox: this machine's own, or the newest package in the cache, or a fetched one."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from ns3_qemu import apt, busybox
from ns3_qemu.cache import Cache
from ns3_qemu.steps import Step, Steps


@pytest.fixture(autouse=True)
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busybox, "_INSTALLED", Path("/no/such/busybox"))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1:1.9-1", "1:1.35-1"),
        ("9.1-1", "1:1.35-1"),
        ("1:1.35.0-4~bpo12+1", "1:1.35.0-4"),
        ("1:1.35.0-4+b9", "1:1.35.0-4+b10"),
        ("1:1.35.0-4", "1:1.35.0-4+b1"),
    ],
)
def test_of_several_in_the_cache_the_newest_is_taken(
    cache: Cache, steps: Steps, older: str, newer: str
) -> None:
    for version in (older, newer):
        place = cache.programs / f"busybox-static_{version.replace(':', '%3a')}"
        place.mkdir(parents=True)
        (place / "busybox").write_text(version)
    assert busybox.ensure(cache, steps).read_text() == newer


class Archive:
    """Has one package."""

    def __init__(self, *_: object) -> None:
        pass

    def binary_versions(self, package: str) -> dict[str, dict[str, str]]:
        return {"1:1.35.0-4": {"package": package}}

    def download(self, _step: Step, packages: dict[str, str], directory: Path) -> dict[str, Path]:
        ((name, version),) = packages.items()
        root = directory / "package"
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x\n"
            "Description: x\n"
        )
        (root / "bin").mkdir()
        (root / "bin" / "busybox").write_text("a program")
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.name == "busybox" else 0o644)
        file = directory / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--build", root, file], check=True, capture_output=True)
        return {name: file}


def test_what_is_fetched_is_kept_as_the_package_has_it(
    cache: Cache, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "Suite", Archive)
    before = os.umask(0o077)
    try:
        file = busybox.ensure(cache, steps)
    finally:
        os.umask(before)
    assert file.parent.name == "busybox-static_1%3a1.35.0-4"
    # It goes into images, which have nothing of a user's umask.
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert busybox.ensure(cache, steps) == file
