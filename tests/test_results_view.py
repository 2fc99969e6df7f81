# SPDX-License-Identifier: GPL-2.0-only
import io
import json
from dataclasses import replace

import matplotlib as mpl
import msgspec
import pandas as pd
import pytest
from rich.console import Console

import results_wire as wire
from ns3_qemu.results import CwndTrace, RunReport, cwnd_figure, run_table, write_cwnd_figure
from ns3_qemu.results.files import read_cwnd, read_drops
from ns3_qemu.results.summary import Summary

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def trace():
    return CwndTrace(
        label="A1",
        cwnd=read_cwnd(wire.DATA / "cwnd.csv.xz"),
        drops_ns=read_drops(wire.DATA / "drops.csv")["t_ns"].tolist(),
        retransmissions_ns=[1_576_481_600],
    )


def panel_lines(panel):
    return {line.get_label(): line for line in panel.lines}


def test_a_figure_shows_windows_losses_and_retransmissions(trace):
    (panel,) = cwnd_figure([trace]).axes
    assert set(panel_lines(panel)) == {"cwnd", "ssthresh", "loss", "retransmission"}
    assert panel.get_xlabel() == "Simulated time (s)"
    assert panel.get_ylabel() == "Window (segments)"


def test_windows_are_steps_and_losses_stand_on_cwnd(trace):
    lines = panel_lines(cwnd_figure([trace]).axes[0])
    assert lines["cwnd"].get_drawstyle() == "steps-post"
    assert lines["loss"].get_ydata()[0] == 30
    assert lines["loss"].get_xdata()[0] == pytest.approx(1.38950448)


def test_an_infinite_ssthresh_is_not_drawn(trace):
    ssthresh = panel_lines(cwnd_figure([trace]).axes[0])["ssthresh"].get_ydata()
    assert pd.isna(ssthresh[0])
    assert max(v for v in ssthresh if not pd.isna(v)) == 22


def test_the_last_window_holds_until_the_end(trace):
    (panel,) = cwnd_figure([trace], until_ns=70 * SECOND).axes
    assert panel_lines(panel)["cwnd"].get_xdata()[-1] == 70
    assert panel.get_xlim() == (0, 70)


def test_runs_stand_side_by_side_on_equal_axes(trace):
    figure = cwnd_figure([trace, trace, trace], columns=2)
    drawn = [panel for panel in figure.axes if panel.lines]
    assert len(drawn) == 3
    assert len({(panel.get_xlim(), panel.get_ylim()) for panel in drawn}) == 1


def test_a_run_without_losses_has_no_losses_in_the_legend(trace):
    (legend,) = cwnd_figure([CwndTrace(cwnd=trace.cwnd)]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["cwnd", "ssthresh"]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_the_same_data_give_the_same_file_whatever_the_settings(trace, tmp_path, suffix):
    write_cwnd_figure(tmp_path / f"a{suffix}", [trace])
    with mpl.rc_context({"font.size": 20, "savefig.dpi": 50, "axes.grid": True}):
        write_cwnd_figure(tmp_path / f"b{suffix}", [trace])
        assert mpl.rcParams["font.size"] == 20
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_paper_can_print_the_figure(trace):
    width, height = cwnd_figure([trace]).get_size_inches()
    assert width == 3.5
    assert 2 < height < 2.6


@pytest.fixture
def report():
    reference = json.loads((wire.DATA / "summary.json").read_text())
    details = {
        "duration_s": 60.0,
        "goodput_bps_after_10s": 1_928_041,
        "arrived_bytes": 1,
        "packets_at_sender": 1,
        "steady_peak_segments": 30.0,
        "steady_ssthresh_segments": 15.0,
        "steady_period_s": 4.2,
    }
    return RunReport(
        summary=msgspec.convert({**reference, "details": details}, Summary),
        kernels={"sender": "6.1.0-40-amd64", "receiver": "6.1.0-40-amd64"},
        turns={"sender": 12345, "receiver": 23456},
        simulated_s=61.0,
        wall_s=2.0,
        pcap_sha256={"sender.pcap": "ab" * 32, "receiver.pcap": "cd" * 32},
    )


def shown(report, width=120):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(run_table(report))
    return console.export_text()


def test_the_table_shows_what_a_run_gave(report):
    text = shown(report)
    for part in (
        "6.1.0-40-amd64 (each of sender, receiver)",
        "1.9228 Mbit/s; from 11 s on 1.9280 Mbit/s",
        "29 of 10,005 segments",
        "1.389504480 s",
        "30 segments",
        "12,345 (sender), 23,456 (receiver)",
        "61 s",
        "2.00 s",
        "30.5",
        "ab" * 32,
        "cd" * 32,
    ):
        assert part in text, part


def test_the_table_fits_a_narrow_terminal(report):
    text = shown(report, 80)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "ab" * 20 in text


def test_the_table_says_how_busy_a_cpu_was_that_takes_time(report):
    busy = {"sender": [0.01, 0.5, 0.24], "receiver": []}
    text = shown(replace(report, busy=busy))
    assert "25.0%, at most 50.0% of a second (sender), less than 1 s (receiver)" in text
    assert "CPU busy" not in shown(report)


def test_a_run_without_loss_says_so(report):
    summary = msgspec.structs.replace(report.summary, first_drop=None)
    lines = shown(replace(report, summary=summary)).splitlines()
    assert "none" in next(line for line in lines if "first loss" in line)
