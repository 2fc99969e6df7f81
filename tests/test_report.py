# SPDX-License-Identifier: GPL-2.0-only
import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import run_directories
from ns3_qemu.report import page, write_report
from ns3_qemu.report.data import Run
from ns3_qemu.report.figures import jain_over_time, outside
from ns3_qemu.results import ResultError

_ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=y>\x1b[31m\u202e &amp; {{ 7 * 7 }} $x$"


class _Page(HTMLParser):
    """What a browser makes of a page: its elements, and the text that it shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_directories.write(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def html(directory: Path) -> str:
    return write_report(directory).read_text()


def test_all_that_people_look_at_first_is_in_it(html: str) -> None:
    page = _Page(html)
    for words in (
        *("two flows", "Failed.", "left: ping has ended with 2", "6.12.1", "10.0.0.2/24"),
        *("3.0000", "1.0000", "Jain's index of the goodputs: 0.8000", "link down"),
        *("ping -c 3 'a b'", "not as expected", "PING", 'duration = "10s"'),
        *("Congestion window", "Round-trip time", "Throughput of each flow"),
        *("Queue length", "Drops", "Fairness in each interval", "ns3-qemu diff run again"),
    ):
        assert words in page.text
    images = [attributes["src"] or "" for tag, attributes in page.elements if tag == "img"]
    assert len(images) == 7
    for image in images:
        kind, _, data = image.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    assert len(set(images)) == 7


def test_it_needs_nothing_else_and_is_the_same_each_time(directory: Path, html: str) -> None:
    assert write_report(directory).read_text() == html
    assert not re.findall(r"https?://|<script|<link|@import|url\(", html)


def test_what_guests_write_stays_text(tmp_path: Path) -> None:
    summary = run_directories.summary(title=_ATTACK, failures=[_ATTACK])
    written = write_report(run_directories.write(tmp_path / "run", summary, output=_ATTACK))
    html = written.read_text()
    page = _Page(html)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe", "object", "base"})
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count("<script>alert(1)</script>") >= 3
    assert "{{ 7 * 7 }}" in page.text
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "script-src" not in html
    assert "default-src 'none'" in html


def test_a_run_with_nothing_recorded_has_a_report(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    summary = run_directories.summary(
        flows=[], programs=[], queues=[], jain_index=None, verdict="passed", failures=[]
    )
    run_directories.write(tmp_path / "whole", summary)
    for name in ("summary.json", "experiment.toml"):
        (tmp_path / "whole" / name).rename(directory / name)
    page = _Page(write_report(directory).read_text())
    assert "Passed." in page.text
    assert "Programs" not in page.text
    assert not any(tag == "img" for tag, _ in page.elements)


def test_output_outside_of_the_run_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret of this machine")
    directory = run_directories.write(tmp_path / "run")
    shown = directory / "programs" / "left-0-ping.stdout"
    shown.unlink()
    shown.symlink_to(tmp_path / "secret")
    assert "a secret" not in write_report(directory).read_text()


def test_only_the_end_of_long_output_is_shown(tmp_path: Path) -> None:
    directory = run_directories.write(tmp_path / "run", output="x" * 10_000 + "the end")
    page = _Page(write_report(directory).read_text())
    assert "6,007 bytes before it are left out" in page.text
    assert "xthe end" in page.text


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("summary.json", "{}"),
        ("summary.json", None),
        ("timeline.jsonl", "{\n"),
        ("queues/narrow-left.csv", "time_s,packets\n1,2\n"),
        ("tcp_info/left-bbr.csv", ""),
    ],
)
def test_a_damaged_run_is_refused_by_the_name_of_its_file(
    tmp_path: Path, file: str, content: str | None
) -> None:
    directory = run_directories.write(tmp_path / "run")
    if content is None:
        (directory / file).unlink()
    else:
        (directory / file).write_text(content)
    with pytest.raises(ResultError, match=re.escape(Path(file).name)):
        write_report(directory)
    assert not (directory / "report.html").exists()


def test_flows_are_in_the_experiments_order_in_all_pictures(tmp_path: Path) -> None:
    flows = run_directories.summary().flows[::-1]
    run = Run(run_directories.write(tmp_path / "run", run_directories.summary(flows=flows)))
    assert list(run.tcp_info()) == ["bbr", "cubic"]
    for series in (run.tcp_info(), run.throughput(), {"10.0.0.1:1>10.0.0.2:2": 0, "cubic": 1}):
        assert next(iter(page._in_order(run, series))) == "cubic"


def test_jain_s_index_of_each_interval() -> None:
    flows = {
        name: pd.DataFrame({"time_s": [1.0, 2.0, 3.0], "bits_per_s": rates})
        for name, rates in (("a", [4, 4, 0]), ("b", [4, 0, 0]))
    }
    assert jain_over_time(flows).to_dict() == {1.0: 1.0, 2.0: 0.5}


def test_a_program_does_not_run_while_its_host_is_down() -> None:
    down = [(10.0, 20.0), (25.0, 30.0)]
    assert list(outside(2, 30, down)) == [(2, 10.0), (20.0, 25.0)]
    assert list(outside(12, 22, down)) == [(20.0, 22)]
    assert list(outside(2, 2, [])) == [(2, 2)]
    assert list(outside(2, 5, down)) == [(2, 5)]
