# SPDX-License-Identifier: GPL-2.0-only
"""The module's ns-3 tests (ns3-module/test), run as ns-3's own test-runner would."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent / "ns3-module" / "test"
SOURCES = "".join(path.read_text() for path in sorted(TESTS.glob("*-test-suite.cc")))
SUITES = re.findall(r': TestSuite\("(.+?)"', SOURCES)
CASES = re.findall(r': \w*TestCase\("(.+?)"\)', SOURCES)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    runner = str(files("ns3_qemu") / "tests" / "qemu-test-runner")
    directory = tmp_path_factory.mktemp("ns3-suite")
    printed = ""
    for suite in SUITES:
        command = [runner, f"--suite={suite}", "--verbose"]
        run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
        printed += run.stdout + run.stderr
    return printed


@pytest.mark.parametrize("case", CASES)
def test_case_passes(case: str, report: str) -> None:
    assert f"PASS {case} " in report
