# SPDX-License-Identifier: GPL-2.0-only
"""`ns3-qemu exec` without a machine: options, comparisons, files of an untrusted guest."""

import io
import tarfile
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ns3_qemu.exec import cli, fetch
from ns3_qemu.exec.errors import ExecError
from ns3_qemu.exec.machine import ERR, OUT, Command, Outcome
from ns3_qemu.exec.session import Session, compare, directory_of


def outcome(output: bytes = b"a\nb\n", errors: bytes = b"", **others: object) -> Outcome:
    made = Outcome("6.1.0")
    made.streams = {OUT: bytearray(output), ERR: bytearray(errors)}
    for name, value in others.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("again", "difference"),
    [
        (outcome(), ""),
        (outcome(b"a\nc\n"), "standard output, byte 2, line 2: 'b', then 'c'"),
        (outcome(b"a\n"), "standard output, byte 2, line 2: 'b', then the end"),
        (outcome(errors=b"\xff"), r"standard error, byte 0, line 1: the end, then '\\xff'"),
        (outcome(status=1), "exit status 0, then 1"),
        (outcome(time=5), "it ended at 0 ns, then at 5 ns"),
        (outcome(files={"x": b"1"}), "x is there only then"),
    ],
)
def test_the_first_difference_is_told(again: Outcome, difference: str) -> None:
    assert compare(outcome(), again) == difference


def test_files_are_compared() -> None:
    first, again = outcome(files={"x": b"1\n2"}), outcome(files={"x": b"1\n3"})
    assert compare(first, again) == "x, byte 2, line 2: '2', then '3'"


def test_a_run_that_differs_fails_and_is_kept(tmp_path: Path) -> None:
    said: list[str] = []
    session = Session(Command(("x",)), 3, said.append, tmp_path)
    runs = iter([outcome(), outcome(), outcome(b"other\n")])
    assert session.repeated("6.1", lambda _first: next(runs)).status == 1
    assert said == ["run 3 differs from run 1: standard output, byte 0, line 1: 'a', then 'other'"]
    assert (tmp_path / "stdout.log").read_bytes() == b"a\nb\n"
    assert (tmp_path / "run-3/stdout.log").read_bytes() == b"other\n"


def test_what_differs_between_kernels_is_shown_once() -> None:
    session = Session(Command(("x",)), 1, print, several=True)
    lines = list(
        session.summary(
            {
                "5.10": outcome(b"1\n2\n3\n4\n5\n6\n"),
                "6.1": outcome(b"1\n2\n3\n4\n5\n6\n"),
                "debian:sid": outcome(b"1\n2\n3\n4\n5\n7\n", status=1, time=1),
            }
        )
    )
    assert lines == [
        "5.10        Linux 6.1.0: exit status 0 after 0.000000000 s",
        "6.1         Linux 6.1.0: exit status 0 after 0.000000000 s",
        "debian:sid  Linux 6.1.0: exit status 1 after 0.000000001 s",
        "6.1: the same output as 5.10",
        *("--- 5.10/stdout", "+++ debian:sid/stdout", "@@ -4,3 +4,3 @@", " 4", " 5", "-6", "+7"),
    ]


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        ("6.1", "6.1"),
        ("debian:sid", "sid"),
        ("debian:6.1,flavour=amd64", "6.1_flavour_amd64"),
        ("/boot/vmlinuz-6.9", "vmlinuz-6.9"),
        ("file:/k/bzImage,modules=/lib/modules/6.9", "bzImage"),
    ],
)
def test_a_kernel_has_a_directory(kernel: str, name: str) -> None:
    assert directory_of(kernel) == name


def archive(*members: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for member in members:
            made.addfile(member, io.BytesIO(b"x" * member.size))
    return file.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, 1 if kind == tarfile.REGTYPE else 0, "/etc/passwd"
    return made


def test_only_files_come_back() -> None:
    data = archive(member("d", tarfile.DIRTYPE), member("d/f"), member("d/l", tarfile.SYMTYPE))
    assert fetch.unpack("/tmp/d", data) == {"d/f": b"x"}


@pytest.mark.parametrize("name", ["../d", "/d/f", "e", "d/../../x"])
def test_a_guest_cannot_name_another_place(name: str) -> None:
    with pytest.raises(ExecError, match="names a place outside of d"):
        fetch.unpack("d", archive(member(name)))


def test_a_file_that_is_no_archive_is_refused() -> None:
    with pytest.raises(ExecError, match="not a tar file"):
        fetch.unpack("d", b"no archive" * 100)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--time-limit", "soon", "--", "true"], "'soon' is no time"),
        (["--time-limit", "0s", "--", "true"], "'0s' is no time"),
        (["--repeat", "0", "--", "true"], "--repeat"),
        (["--kernel", "6.1", "--kernel", "debian:6.1", "--", "true"], "two of the name 6.1"),
        (["--get", "/a/x", "--get", "/b/x", "--", "true"], "two of the name x"),
        (["--get", "/", "--", "true"], "not the path of a file or directory in the guest: '/'"),
        ([], "Missing argument"),
        (["--", ""], "an empty name"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], message: str) -> None:
    app = typer.Typer()
    app.command()(cli.exec_)
    result = CliRunner().invoke(app, words, env={"COLUMNS": "1000"})
    said = result.stderr + str(result.exception)
    assert message in said
    assert result.exit_code != 0
