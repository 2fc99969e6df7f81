# SPDX-License-Identifier: GPL-2.0-only
"""What the validation runs, the report it writes, and a real run in a wrong network."""

import json
import re
import shutil
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from conftest import bzimage
from ns3_qemu.errors import ScenarioError
from ns3_qemu.validation import cli, data, evidence, prose, suite
from ns3_qemu.validation.checks import Check, Kind
from ns3_qemu.validation.report import Report
from ns3_qemu.validation.suite import BASE, Job, Judgement, Results, Verdict
from tshark_tools import tshark_packets


def a_check(**changes):
    values = {
        "kind": Kind.EXACT,
        "name": "a <name>",
        "expected": "1",
        "measured": "1",
        "tolerance": "none",
        "reason": "because",
        "holds": True,
    }
    return Check(**(values | changes))


@pytest.fixture(scope="module")
def reference():
    job = Job(BASE, "debian:6.1")
    return evidence.of_reference(data.reference(BASE), job.read())


def judgement(reference, *checks):
    verdict = Verdict(
        name=BASE, title=BASE, checks=list(checks), figures=[suite.key_figures(reference)]
    )
    return Judgement(verdict, (reference,), Job(BASE, "debian:6.1").read())


# --- the plan -------------------------------------------------------------------------------------


def test_everything_is_run_once():
    plan = suite.plan()
    jobs = plan.jobs()
    assert len(jobs) == len(set(jobs)) == len({job.directory for job in jobs})
    # Eight scenarios with a kernel and with ns-3; four kernels with two windows and five
    # congestion controls, of which one run each is the base scenario's own.
    assert len(jobs) == 16 + 7 + 4


def test_only_what_is_asked_for_is_run():
    (one,) = suite.plan(["C1_access2M"]).scenarios
    assert one == "C1_access2M"
    jobs = suite.plan(["congestion"]).jobs()
    assert len(jobs) == len(suite.CONGESTION_CONTROLS)
    assert {job.scenario for job in jobs} == {BASE}


def test_a_name_that_there_is_not_is_an_error():
    with pytest.raises(ScenarioError, match=r"--only A9: there are A1_q20_sack, .*, congestion"):
        suite.plan(["A9"])


def test_the_checks_go_by_the_scenario_not_by_mutations():
    job = suite.plan([BASE], settings=["bottleneck.rate=3Mbps"]).vm(BASE)
    assert job.mutations == ("bottleneck.rate=3Mbps",)
    assert job.read().bottleneck.rate == "2Mbps"
    assert "3Mbps" in job.directory
    # ns-3's own TCP stands beside it as it is.
    assert suite.plan([BASE], settings=["bottleneck.rate=3Mbps"]).native(BASE).mutations == ()


def test_a_users_kernel_takes_part(tmp_path):
    (tmp_path / "a").mkdir()
    files = [tmp_path / "bzImage", tmp_path / "a" / "bzImage"]
    for file in files:
        file.write_bytes(bzimage("2.6.26"))
    names = {f"file:{file}" for file in files}
    jobs = suite.plan(["kernels"], kernels=[*names, "debian:6.1"]).jobs()
    assert {job.system for job in jobs} == {*names, "debian:6.1"}
    assert len({job.directory for job in jobs}) == 6


# --- judging --------------------------------------------------------------------------------------


def test_a_run_that_failed_is_a_check_that_fails(tmp_path):
    plan = suite.plan([BASE])
    errors = {plan.vm(BASE): "QEMU ended", plan.native(BASE): "no such TCP"}
    (found,) = Results(plan, tmp_path, errors).judge()
    assert not found.verdict.holds
    assert [check.measured for check in found.verdict.checks] == ["QEMU ended", "no such TCP"]


def test_a_run_without_results_is_a_check_that_fails(tmp_path):
    (found,) = Results(suite.plan([BASE]), tmp_path).judge()
    assert not found.verdict.holds


def test_no_checks_are_not_enough():
    assert not Verdict(name="x", title="x", checks=[], figures=[]).holds


def test_words_say_what_differs(reference):
    other = msgspec.structs.replace(reference.summary, drops=99, max_cwnd=77)
    packets = reference.packets.drop(reference.packets.index[500])
    changed = evidence.Evidence(
        label="newer",
        release="7.1",
        summary=other,
        packets=packets.reset_index(drop=True),
        receiver=None,
        cwnd=reference.cwnd,
        drops=reference.drops,
        goodput=reference.goodput,
    )
    (difference, *_) = prose.kernels([reference, changed], None)
    assert (
        "newer against ns-3 + NSC, Linux 2.6.26: the first 500 packets are the same" in difference
    )
    assert "where with ns-3 + NSC, Linux 2.6.26 the sender sends seq 431505 at" in difference
    assert "argest cwnd 45 → 77; dropped segments 29 → 99" in difference
    (same, *_) = prose.kernels([reference, reference], None)
    assert "all 15,351 packets are the same" in same


# --- the report -----------------------------------------------------------------------------------


def test_the_report_is_one_file_and_says_what_fails(tmp_path, reference):
    report = Report("debian:6.1")
    report.add(judgement(reference, a_check(), a_check(holds=False, measured="2")))
    assert not report.holds
    report.write(tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "1 of 2 checks do not hold" in html
    assert "a &lt;name&gt;" in html
    assert html.count('src="data:image/png;base64,') == 3
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["holds"] is False
    assert [check["holds"] for check in document["verdicts"][0]["checks"]] == [True, False]
    assert document["verdicts"][0]["figures"][0]["goodput_mbps"] == 1.922751


def test_equal_results_give_equal_reports(tmp_path, reference):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        report = Report("debian:6.1")
        report.add(judgement(reference, a_check()))
        assert report.holds
        report.write(tmp_path / name)
    for file in ("report.html", "report.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(cli.validate)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_exit_status_is_of_the_checks(tmp_path, command, monkeypatch, reference):
    monkeypatch.setattr(cli.image, "ensure_spec", lambda *_: None)
    monkeypatch.setattr(suite, "run", lambda *_: {})
    for holds, status in ((True, 0), (False, 1)):
        found = judgement(reference, a_check(holds=holds))
        monkeypatch.setattr(Results, "judge", lambda _self, found=found: [found])
        result = command("--only", BASE, "--out", tmp_path)
        assert result.exit_code == status
        assert ("FAIL" in result.output) is not holds


# --- real runs ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wrong_rate(vm_image, tmp_path_factory):
    """A real run of the base scenario over a link that is 1 % too fast."""
    assert vm_image
    out = tmp_path_factory.mktemp("run")
    plan = suite.plan([BASE], settings=["bottleneck.rate=2.02Mbps", "duration=8s"])
    job = plan.vm(BASE)
    assert suite.run([job], out) == {}
    return plan, out, out / job.directory


def test_a_real_run_in_a_wrong_network_fails(wrong_rate):
    plan, out, _ = wrong_rate
    (found,) = Results(plan, out, {plan.native(BASE): "not run"}).judge()
    failing = {check.name for check in found.verdict.checks if not check.holds}
    assert {
        "SYN-ACK arrives",
        "shortest gap between data segments at the receiver",
        "packets that arrive at the receiver",
        "dropped segments",
        "goodput",
    } <= failing
    assert "SYN leaves" not in failing


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("host", ["sender", "receiver"])
def test_tshark_finds_nothing_wrong_with_a_capture(wrong_rate, host):
    packets = tshark_packets(wrong_rate[2] / f"{host}.pcap")
    assert len(packets) > 2000
    assert [packet for packet in packets if not packet.right] == []


def test_an_end_ends_what_runs(tmp_path):
    """Ctrl-C after the first run: the second one, which would take minutes, does not go on."""
    jobs = [Job(BASE, "file:/nowhere/bzImage"), Job(BASE, suite.NATIVE, ("duration=100h",))]

    def interrupt(_job, _error):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        suite.run(jobs, tmp_path, interrupt)


def test_a_process_that_fails_is_reported(tmp_path):
    job = Job(BASE, "file:/nowhere/bzImage")
    errors = suite.run([job], tmp_path)
    assert "/nowhere/bzImage" in errors[job]
    assert Path(tmp_path / job.directory / "log").exists()
