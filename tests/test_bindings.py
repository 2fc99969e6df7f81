# SPDX-License-Identifier: GPL-2.0-only
"""ns-3's Python bindings do not load from everywhere, and whoever has them there is told."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ns3_qemu import bindings, headers
from ns3_qemu.cache import Cache
from ns3_qemu.errors import BindingsError
from ns3_qemu.steps import Steps

TREE = Path(__file__).parents[1]


def test_bindings_are_loaded_from_here() -> None:
    package = bindings.directory()
    assert package
    assert (package / "lib64").is_dir()
    bindings.check(package)


def test_a_path_that_the_bindings_leave_out_is_named(tmp_path: Path) -> None:
    place = tmp_path / "latest" / "site-packages" / "ns3"
    with pytest.raises(BindingsError, match=r"latest/site-packages/ns3: they leave out") as caught:
        bindings.check(place)
    assert caught.value.advice.startswith("Put the virtual environment")


def test_the_setup_says_it_before_it_begins(
    cache: Cache, steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "_ns3", lambda: tmp_path / "test" / "ns3")
    with pytest.raises(BindingsError, match="cannot be loaded"):
        headers.ensure(cache, steps)


def test_the_bootstrap_says_it_before_it_begins(tmp_path: Path) -> None:
    scripts = tmp_path / "a test" / "scripts"
    scripts.mkdir(parents=True)
    shutil.copy(TREE / "scripts" / "bootstrap", scripts)
    done = subprocess.run(
        [scripts / "bootstrap", "demo"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"FAILED: ns-3's Python bindings cannot be loaded from {tmp_path}" in done.stderr
    assert "does not have the word 'test' in it" in done.stderr
    assert not (tmp_path / "a test" / "build").exists()
