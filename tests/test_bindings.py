# SPDX-License-Identifier: GPL-2.0-only
"""ns-3's Python bindings do not load from everywhere, and whoever has them there is told."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ns3_qemu import bindings, headers
from ns3_qemu.cache import Cache
from ns3_qemu.errors import BindingsError
from ns3_qemu.steps import Steps

TREE = Path(__file__).parents[1]


def package(place: Path) -> Path:
    """Make a Python package that has nothing in it."""
    place.mkdir(parents=True)
    (place / "__init__.py").touch()
    return place


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
    package(tmp_path / "a test" / "ns3")
    monkeypatch.syspath_prepend(tmp_path / "a test")
    monkeypatch.delitem(sys.modules, "ns3", raising=False)
    with pytest.raises(BindingsError, match="cannot be loaded"):
        headers.ensure(cache, steps)


@pytest.mark.parametrize("loaded", [False, True])
def test_a_tree_s_own_bindings_are_not_mixed_with_the_package_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, loaded: bool
) -> None:
    # As ./ns3 shell and ./ns3 run have it.
    place = package(tmp_path / "ns")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ns", raising=False)
    if loaded:
        spec = importlib.util.find_spec("ns")
        assert spec
        monkeypatch.setitem(sys.modules, "ns", importlib.util.module_from_spec(spec))
    with pytest.raises(BindingsError, match=f"takes ns-3's bindings from {place}, but") as caught:
        bindings.directory()
    assert caught.value.advice.startswith("Unset PYTHONPATH")


def test_a_script_may_have_loaded_the_bindings_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found = bindings.directory()
    assert found
    # As `from ns import ns` leaves it.
    spec = importlib.util.spec_from_file_location("ns3.ns", found / "ns" / "__init__.py")
    assert spec
    monkeypatch.setitem(sys.modules, "ns", importlib.util.module_from_spec(spec))
    assert bindings.directory() == found


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = importlib.metadata.version("ns3")
    assert bindings.required_version() == installed
    monkeypatch.setattr(bindings, "required_version", lambda: "3.99")
    with pytest.raises(BindingsError, match=f"ns3 is {installed}, but 3.99 is needed") as caught:
        bindings.require()
    assert caught.value.advice == "pip install ns3==3.99"


def test_load_refuses_a_tree_s_own_bindings(tmp_path: Path) -> None:
    package(tmp_path / "ns")
    done = subprocess.run(
        [sys.executable, "-c", "import ns3_qemu; ns3_qemu.load()"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "ns3_qemu.errors.BindingsError: Python takes ns-3's bindings from" in done.stderr


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
