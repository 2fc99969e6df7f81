# SPDX-License-Identifier: GPL-2.0-only
"""The module's ns-3 tests (ns3-module/test), run as ns-3's own test-runner would."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

MODULE = Path(__file__).parent.parent / "ns3-module"
FILES = sorted((MODULE / "test").glob("*-test-suite.cc"))
SOURCES = "".join(path.read_text() for path in FILES)
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


def test_each_file_is_a_suite_that_both_builds_know() -> None:
    assert len(SUITES) == len(FILES)
    listed = re.findall(r"test/(\S+-test-suite\.cc)", (MODULE / "CMakeLists.txt").read_text())
    assert listed == [path.name for path in FILES]


@pytest.mark.parametrize("names", [SUITES, CASES], ids=["suites", "cases"])
def test_a_name_is_given_once(names: list[str]) -> None:
    assert len(set(names)) == len(names)


def test_no_case_but_those_runs(report: str) -> None:
    ended = re.findall(r"^ *(?:PASS|FAIL|SKIP) (.+) [\d.]+ s$", report, re.MULTILINE)
    assert sorted(ended) == sorted([*SUITES, *CASES])


@pytest.mark.parametrize("case", CASES)
def test_case_passes(case: str, report: str) -> None:
    assert f"PASS {case} " in report
