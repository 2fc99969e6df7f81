# SPDX-License-Identifier: GPL-2.0-only
"""ns-3's headers are read once and for all, not at each start of a script."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ns3_qemu import headers
from ns3_qemu.cache import Cache

LOAD = f"""
import os, pathlib, ns3_qemu
ns = ns3_qemu.load()
assert ns.Seconds(2).GetMilliSeconds() == 2000
print(os.environ.get({headers.VARIABLE!r}))
print(*{{line.split()[-1] for line in open("/proc/self/maps") if ".pch" in line}})
"""


def load(**environment: str) -> list[str]:
    """Return what the variable is after ns-3 was loaded, and which precompiled header is in use."""
    result = subprocess.run(
        [sys.executable, "-c", LOAD],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return result.stdout.splitlines()


def test_a_script_starts_with_the_precompiled_headers_and_leaves_no_trace_of_them():
    assert load() == ["None", str(headers.find(Cache()))]


def test_a_user_s_own_precompiled_header_is_respected():
    spec = importlib.util.find_spec("cppyy")
    assert spec is not None
    assert spec.origin is not None
    own = next(Path(spec.origin).parent.glob("*.pch.*"))
    assert load(**{headers.VARIABLE: str(own)}) == [str(own)] * 2


def test_other_options_of_the_interpreter_want_other_headers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EXTRA_CLING_ARGS", "-O0")
    assert headers.find(Cache()) is None


def test_the_interpreter_s_own_words_for_its_defaults_want_the_same(
    monkeypatch: pytest.MonkeyPatch,
):
    """It puts them into the environment, where a program that was started later finds them."""
    monkeypatch.setenv("EXTRA_CLING_ARGS", " -O2 -march=native")
    assert headers.find(Cache()) is not None


def test_without_them_there_is_nothing_to_find(tmp_path: Path):
    assert headers.find(Cache(tmp_path)) is None
