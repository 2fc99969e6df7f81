# SPDX-License-Identifier: GPL-2.0-only
"""The module's ns-3 tests (ns3-module/test), run as ns-3's own test-runner would."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "ns3-module" / "test" / "qemu-test-suite.cc"
CASES = re.findall(r': TestCase\("(.+?)"\)', SOURCE.read_text())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    runner = str(files("ns3_qemu") / "tests" / "qemu-test-runner")
    command = [runner, "--suite=qemu", "--verbose"]
    directory = tmp_path_factory.mktemp("ns3-suite")
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
    return run.stdout + run.stderr


@pytest.mark.parametrize("case", CASES)
def test_case_passes(case: str, report: str) -> None:
    assert f"PASS {case} " in report
