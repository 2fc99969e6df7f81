# SPDX-License-Identifier: GPL-2.0-only
"""A run is a function of its inputs: the short form of `ns3-qemu selftest --reproducibility`.

It has the long form's runs and its comparison, but few runs, and all circumstances at once.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ns3_qemu import cli
from ns3_qemu.selftest import report
from ns3_qemu.selftest.circumstances import OTHER_RUN, Circumstance, circumstances
from ns3_qemu.selftest.cli import selftest
from ns3_qemu.selftest.configurations import CONFIGURATIONS
from ns3_qemu.selftest.suite import Outcome, Problem, Suite, judge

# Its runs are made beside a load of their own; a machine that has another needs its time.
pytestmark = pytest.mark.timeout(900)

RUNS = ("probe", "router")

# What a guest is told: a difference that has to be seen.
GUESTS_DATE = "the guests' date"


@pytest.fixture(scope="module", autouse=True)
def command() -> None:
    if not any(each.callback is selftest for each in cli.app.registered_commands):
        cli.app.command()(selftest)


def all_at_once(work: Path) -> Circumstance:
    """Return what the long form has one by one; which one it is, that can say."""
    each = {one.name: one for one in circumstances(1, work)}
    environment = {
        **each["elsewhere"].environment,
        **each["environment"].environment,
        **each["size"].environment,
        **each["date"].environment,
    }
    return Circumstance(
        "all at once",
        "",
        environment=environment,
        settings=each["not forked"].settings,
        files=300,
        one_cpu=True,
        nice=19,
        stopped=True,
        elsewhere=True,
        fresh=True,
        is_there=lambda plain, here: all(
            each[name].is_there(plain, here)
            for name in ("one CPU", "nice", "environment", "size", "date", "not forked")
        ),
    )


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    work = tmp_path_factory.mktemp("selftest")
    made = Suite(
        configurations=[CONFIGURATIONS[name] for name in RUNS],
        circumstances=[
            Circumstance("plain", ""),
            all_at_once(work),
            Circumstance(
                GUESTS_DATE, "", settings={"attributes": {"Epoch": "1000000000s"}}, shares=True
            ),
        ],
        work=work,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        made.prepare()
        made.run()
    return made


def problems(suite: Suite, circumstance: str) -> list[Problem]:
    return [problem for problem in suite.problems if problem.circumstance == circumstance]


@pytest.mark.parametrize("name", RUNS)
def test_nothing_of_the_host_makes_a_difference(suite: Suite, name: str):
    runs = report.of(suite.outcomes, name)
    same = [run for run in runs if run.circumstance != GUESTS_DATE]
    assert [run.error for run in same] == ["", ""]
    assert len(report.hashes(same)) == 1, problems(suite, "all at once")


@pytest.mark.parametrize("name", RUNS)
def test_another_run_number_does(suite: Suite, name: str):
    digests = {run.circumstance: run.digest for run in suite.outcomes if run.configuration == name}
    assert digests[OTHER_RUN] not in ("", digests["plain"])
    assert not problems(suite, OTHER_RUN)


def test_what_is_compared_is_something(suite: Suite):
    probe = suite.reference("probe")
    assert probe
    assert {"console-0.log", "program-0.txt", "turns-0.csv", "end.txt"} <= probe.files.keys()
    text = (suite.work / "plain/probe-plain/results/program-0.txt").read_text()
    for seen in ("stack 0x", "pid ", "inode ", "urandom ", "rdtsc ", "rdrand 1 ", "cpuid 0000000"):
        assert seen in text
    router = suite.reference("router")
    assert router
    assert sum(name.endswith(".pcap") for name in router.files) == 4
    assert router.bytes > 100_000


def test_a_difference_is_an_error_that_says_where_it_is(suite: Suite):
    found = problems(suite, GUESTS_DATE)
    assert {problem.configuration for problem in found} == set(RUNS)
    for problem in found:
        assert " differs" in problem.text
        assert ", line " in problem.text
        first, _, second = problem.text.rpartition("; compare ")[2].partition(" and ")
        assert first != second
        assert Path(first).is_dir()
        assert Path(second).is_dir()
    assert [problem for problem in suite.problems if problem.circumstance != GUESTS_DATE] == []


def test_the_line_says_what_it_is_of(suite: Suite):
    line = report.line(suite)
    assert line.startswith("reproducibility ")
    assert "QEMU " in line
    assert "2 configurations" in line


def outcome(digest: str, **witness: int) -> Outcome:
    return Outcome(configuration="", circumstance="", digest=digest, witness=witness)


def test_a_circumstance_that_is_not_there_shows_nothing(tmp_path: Path):
    nice = next(each for each in circumstances(1, tmp_path) if each.name == "nice")
    assert "shows nothing" in judge(outcome("a", nice=0), outcome("a", nice=0), nice)
    assert judge(outcome("a", nice=0), outcome("a", nice=19), nice) == ""


def test_the_same_results_with_another_run_number_are_an_error():
    other = Circumstance(OTHER_RUN, "")
    assert "the same results" in judge(outcome("a"), outcome("a"), other)
    assert judge(outcome("a"), outcome("b"), other) == ""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["selftest", *arguments])


def test_what_there_is_not_is_an_error_that_says_what_there_is():
    done = run("--reproducibility", "--only", "nonsense")
    assert done.exit_code == 1
    assert "--only nonsense: there is no such thing" in done.stderr
    assert "probe" in done.stderr


def test_the_list_names_runs_and_circumstances():
    done = run("--list")
    assert done.exit_code == 0
    assert {"router", "stopped", "date"} <= set(done.stdout.split())
