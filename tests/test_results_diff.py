# SPDX-License-Identifier: GPL-2.0-only
import gzip
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import results_wire as wire
from ns3_qemu import cli
from ns3_qemu.results import CaptureError, ResultError
from ns3_qemu.results.cli import diff
from ns3_qemu.results.diff import Options, Part, differences, part_of, printable
from ns3_qemu.results.dissect import RELATIVE, ignored_fields

_TCP_INFO = "time_s,flow,cwnd\n1.000000000,bulk,10\n2.000000000,bulk,{}\n"


def _connection(iss: int = 1000, *, late: int = 0, size: int = 1000) -> list[tuple[int, bytes]]:
    return [
        *wire.handshake(iss=iss),
        wire.data(1_100_000_000, 1, iss=iss),
        wire.data(1_200_000_000 + late, 1001, size, iss=iss),
        wire.acknowledgement(1_300_000_000, 2001, iss=iss),
    ]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    for name in ("pcap", "console", "programs", "tcp_info"):
        (directory / name).mkdir(parents=True)
    wire.write_capture(directory / "pcap" / "a-eth0.pcap", _connection())
    wire.write_capture(directory / "pcap" / "b-eth0.pcap", _connection())
    (directory / "console" / "a.log").write_text("booting\nready\n")
    (directory / "programs" / "a-0-sh.stdout").write_text("one\ntwo\nthree\n")
    (directory / "tcp_info" / "a-bulk.csv").write_text(_TCP_INFO.format(11))
    (directory / "summary.json").write_text('{\n "drops": 1\n}\n')
    return directory


@pytest.fixture
def again(run: Path) -> Path:
    return Path(shutil.copytree(run, run.parent / "again"))


def _diff(*arguments: object) -> tuple[int, str]:
    commands = typer.Typer(cls=cli._Group)
    commands.command()(diff)
    commands.command("another")(lambda: None)
    result = CliRunner().invoke(commands, ["diff", *map(str, arguments)])
    return result.exit_code, result.output


def test_equal_runs_are_the_same(run: Path, again: Path) -> None:
    assert differences(run, again) == []
    assert _diff(run, again) == (0, "")


def test_the_first_packet_of_all_captures_is_told_with_its_fields(run: Path, again: Path) -> None:
    wire.write_capture(again / "pcap" / "a-eth0.pcap", _connection(late=5))
    wire.write_capture(again / "pcap" / "b-eth0.pcap", _connection(size=999))
    (again / "summary.json").write_text('{\n "drops": 2\n}\n')
    found = differences(run, again)
    assert [(each.name, each.t_ns) for each in found] == [
        ("pcap/a-eth0.pcap", 1_200_000_000),
        ("pcap/b-eth0.pcap", 1_200_000_000),
        ("summary.json", None),
    ]
    late, short, summary = found
    assert late.what == "packet 5 differs in frame.time (6 and 6 packets)"
    assert late.lines[-1].split() == ["frame.time:", "1.200000000,", "then", "1.200000005"]
    assert "tcp.checksum" in short.what
    assert any(line.strip() == "data.len: 1000, then 999" for line in short.lines)
    # What is before it is shown with its time; the packets that differ are marked.
    assert [line.split()[:2] for line in late.lines[:5]] == [
        ["2", "1.050000000"],
        ["3", "1.050000000"],
        ["4", "1.100000000"],
        ["<", "5"],
        [">", "5"],
    ]
    assert "10.0.0.1.49152 > 10.0.2.2.5001  TCP [ACK] seq 1001 ack 1 win 1000" in late.lines[3]
    assert summary.what == "line 2 differs"
    status, output = _diff(run, again)
    assert status == 1
    assert output.startswith("pcap/a-eth0.pcap: packet 5 differs in frame.time")


def test_the_capture_that_parts_first_comes_first(run: Path, again: Path) -> None:
    packets = _connection()
    wire.write_capture(again / "pcap" / "a-eth0.pcap", packets[:-1])
    wire.write_capture(again / "pcap" / "b-eth0.pcap", [*packets[:3], *packets[4:]])
    found = differences(run, again)
    assert [each.name for each in found] == ["pcap/b-eth0.pcap", "pcap/a-eth0.pcap"]
    assert found[1].what == "packet 6 is only in the first (6 and 5 packets)"
    assert found[1].t_ns == 1_300_000_000
    assert found[1].lines[-1].split()[2:] == ["there", "is", "no", "such", "packet"]


def test_numbers_that_hosts_draw_can_be_compared_relative(run: Path, again: Path) -> None:
    for name in ("a", "b"):
        wire.write_capture(again / "pcap" / f"{name}-eth0.pcap", _connection(iss=2**32 - 5))
    found = differences(run, again)
    assert found[0].what == "packet 1 differs in tcp.seq_raw, tcp.checksum (6 and 6 packets)"
    assert differences(run, again, Options(ignored=ignored_fields(RELATIVE))) == []
    assert _diff("--relative", run, again)[0] == 0
    wire.write_capture(again / "pcap" / "a-eth0.pcap", _connection(iss=7, size=900))
    assert "data.len" in _diff("--relative", run, again)[1]
    assert _diff("--relative", "--ignore", "data", "--ignore", "ip.len", run, again)[0] == 1
    ignored = ("--ignore", "data", "--ignore", "ip.len", "--ignore", "frame")
    assert _diff("--relative", *ignored, run, again)[0] == 0


def test_the_first_line_of_other_files_is_told_in_their_order(run: Path, again: Path) -> None:
    (again / "tcp_info" / "a-bulk.csv").write_text(_TCP_INFO.format(12))
    (again / "programs" / "a-0-sh.stdout").write_text("one\ntwo\n")
    (again / "console" / "a.log").write_text("booting\nre\x1b[31mady\n")
    found = differences(run, again)
    assert [each.part for each in found] == [Part.CONSOLE, Part.PROGRAMS, Part.TCP_INFO]
    console, program, tcp_info = found
    assert list(console.lines[-2:]) == ["<      2  ready", ">      2  re\\x1b[31mady"]
    assert program.what == "line 3 differs"
    assert list(program.lines[-2:]) == ["<      3  three", ">      3  the end"]
    assert tcp_info.what == "line 3 differs in cwnd"
    assert tcp_info.lines[-1].strip() == "cwnd: 11, then 12"
    assert [each.part for each in differences(run, again, Options(parts=[Part.CONSOLE]))] == [
        Part.CONSOLE
    ]


def test_a_long_line_is_shown_where_it_differs(run: Path, again: Path) -> None:
    (run / "console" / "a.log").write_text("x" * 5000 + "A" + "y" * 5000)
    (again / "console" / "a.log").write_text("x" * 5000 + "B" + "y" * 5000)
    (found,) = differences(run, again)
    assert "xA" in found.lines[-2]
    assert "xB" in found.lines[-1]
    assert max(map(len, found.lines)) < 200


def test_a_file_of_one_run_only_is_a_difference(run: Path, again: Path) -> None:
    (again / "console" / "a.log").unlink()
    (found,) = differences(run, again)
    assert (found.name, found.what) == ("console/a.log", f"it is not in {again}")


def test_compressed_tables_are_compared_unpacked(run: Path, again: Path) -> None:
    for directory, level, last in ((run, 1, "1.0"), (again, 9, "1.5")):
        table = f"t,seq\n{last},7\n".encode()
        (directory / "sender_packets.csv.gz").write_bytes(gzip.compress(table, level))
    (found,) = differences(run, again)
    assert found.what == "line 2 differs in t"
    (again / "sender_packets.csv.gz").write_bytes(gzip.compress(b"t,seq\n1.0,7\n", 9))
    assert differences(run, again) == []
    (again / "sender_packets.csv.gz").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(ResultError, match="can't be unpacked"):
        differences(run, again)


def test_links_are_not_followed(run: Path, again: Path) -> None:
    for directory in (run, again):
        (directory / "link").symlink_to("/etc/shadow")
    assert differences(run, again) == []
    (again / "link").unlink()
    (again / "link").symlink_to("/etc/passwd")
    (found,) = differences(run, again)
    assert found.what == "it links to /etc/shadow, then to /etc/passwd"


def test_a_change_of_a_files_header_is_told(run: Path, again: Path) -> None:
    capture = again / "pcap" / "a-eth0.pcap"
    content = bytearray(capture.read_bytes())
    content[16] ^= 1  # the longest packet that it may hold
    capture.write_bytes(content)
    (found,) = differences(run, again)
    assert found.what.startswith("the file's header: byte 16")


def test_what_can_not_be_compared_is_trouble(run: Path, again: Path, tmp_path: Path) -> None:
    capture = again / "pcap" / "a-eth0.pcap"
    capture.write_bytes(capture.read_bytes()[:-3])
    with pytest.raises(CaptureError, match="ends within packet 6"):
        differences(run, again)
    assert _diff(run, again)[0] == 2
    assert _diff(run, run / "summary.json")[0] == 2
    assert _diff(run, tmp_path / "nothing")[0] == 2
    (tmp_path / "empty").mkdir()
    assert _diff(run, tmp_path / "empty")[0] == 2
    assert _diff("--ignore", "tcp.sequence", run, run)[0] == 2


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("sender.pcap", Part.PACKETS),
        ("sender.console.log", Part.CONSOLE),
        ("console/host.log", Part.CONSOLE),
        ("console.log", Part.CONSOLE),
        ("stdout.log", Part.PROGRAMS),
        ("6.12/stderr.log", Part.PROGRAMS),
        ("programs/a-0-x.stderr", Part.PROGRAMS),
        ("cwnd.csv", Part.TCP_INFO),
        ("queues/bottleneck-router.csv", Part.QUEUES),
        ("summary.json", Part.SUMMARY),
        ("end.txt", Part.SUMMARY),
        ("cwnd.png", Part.PICTURES),
        ("timeline.jsonl", Part.OTHER),
    ],
)
def test_the_files_of_every_kind_of_run_have_their_part(name: str, part: Part) -> None:
    assert part_of(name) == part


def test_what_guests_write_is_made_safe() -> None:
    assert printable("a\x1b]0;x\x07\tb\u202ec\udce9") == r"a\x1b]0;x\x07\tb\u202ec\udce9"
