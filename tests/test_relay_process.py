# SPDX-License-Identifier: GPL-2.0-only
"""Programs that the relay starts, on this machine's own kernel."""

from __future__ import annotations

import errno
import os
import select
import signal
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import relay_peer
from relay_peer import (
    BODY_MAX,
    PROCESS_INPUT,
    PROCESS_MERGE,
    Exit,
    Input,
    Output,
    RelayProcess,
)
from relay_tools import with_errno

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = {"PATH": os.defpath}


def shell(relay: RelayProcess, script: str, *arguments: str, flags: int = 0) -> int:
    return relay.start("sh", "-c", script, "sh", *arguments, environment=PATH, flags=flags)


@contextmanager
def descriptor_of(pid: int) -> Iterator[int]:
    """Give what becomes readable when a process ends."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def status(relay: RelayProcess, process: int, field: str) -> str:
    """Return a field of /proc/PID/status of a program that prints its number first."""
    event = relay.event()
    assert isinstance(event, Output)
    assert event.process == process
    lines = relay.file(f"/proc/{int(event.data)}/status").decode().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(field + ":"))


def test_output_and_exit_code_are_told(relay: RelayProcess) -> None:
    process = shell(relay, "echo to output; echo to error >&2; exit 3")
    assert relay.until_exit(process) == (b"to output\n", b"to error\n", Exit(process, 3, 0))


def test_standard_error_may_go_where_output_goes(relay: RelayProcess) -> None:
    process = shell(relay, "echo one; echo two >&2; echo three", flags=PROCESS_MERGE)
    assert relay.until_exit(process)[:2] == (b"one\ntwo\nthree\n", b"")


def test_arguments_environment_and_directory(relay: RelayProcess, tmp_path: Path) -> None:
    process = relay.start(
        "/bin/sh",
        "-c",
        'printf "%s|" "$@"; pwd; env',
        "sh",
        "with space",
        "",
        "ünï",
        environment={"A": "1", "B": "two = 2", "PATH": os.defpath},
        directory=str(tmp_path),
    )
    output, errors, _ = relay.until_exit(process)
    first, *rest = output.decode().splitlines()
    assert (first, errors) == (f"with space||ünï|{tmp_path}", b"")
    assert {"A=1", "B=two = 2"} < set(rest)
    assert {line.split("=")[0] for line in rest} <= {
        "A",
        "B",
        "PATH",
        "PWD",
        "_",
        "SHLVL",
        "OLDPWD",
    }


def test_a_program_starts_in_the_root_directory(relay: RelayProcess) -> None:
    assert relay.until_exit(relay.start("pwd", environment=PATH))[0] == b"/\n"


def test_a_program_without_input_has_dev_null(relay: RelayProcess) -> None:
    # Not what cat reads there, which on a machine with a broken /dev/null is something.
    process = relay.start("readlink", "/proc/self/fd/0", environment=PATH)
    assert relay.until_exit(process) == (b"/dev/null\n", b"", Exit(process, 0, 0))


def test_input_reaches_the_program(relay: RelayProcess) -> None:
    process = relay.start("cat", flags=PROCESS_INPUT)
    assert relay.write(process, b"some ") == 5
    assert relay.event() == Output(process, 1, b"some ")
    assert relay.write(process, b"input") == 5
    assert relay.event() == Output(process, 1, b"input")
    relay.write(process, b"")
    assert relay.event() == Exit(process, 0, 0)


def test_input_that_does_not_fit_waits_for_room(relay: RelayProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    process = shell(relay, 'read go < "$1"; cat', str(tmp_path / "go"), flags=PROCESS_INPUT)
    sent = 0
    while (taken := relay.write(process, bytes(30_000))) == 30_000:
        sent += taken
    sent += taken
    assert relay.write(process, b"x") == 0
    assert relay.no_event()
    (tmp_path / "go").write_text("\n")
    output = b""
    room = False
    while len(output) < sent or not room:
        event = relay.event()
        if isinstance(event, Input):
            room = True
        else:
            assert isinstance(event, Output)
            output += event.data
    assert output == bytes(sent)


@pytest.mark.parametrize("size", [1, 65_536, 3_000_000])
def test_input_is_carried_whole(relay: RelayProcess, size: int) -> None:
    data = os.urandom(size)
    process = relay.start("cat", flags=PROCESS_INPUT)
    sent, output, room = 0, b"", True
    while len(output) < size:
        if room and sent < size:
            piece = data[sent : sent + 65_000]
            taken = relay.write(process, piece)
            sent += taken
            room = taken == len(piece)
            continue
        event = relay.event()
        if isinstance(event, Input):
            room = True
        else:
            assert isinstance(event, Output)
            output += event.data
    relay.write(process, b"")
    assert output == data
    while not isinstance(event := relay.event(), Exit):
        assert isinstance(event, Input)
    assert event == Exit(process, 0, 0)


def test_input_of_a_program_that_does_not_read_is_epipe(relay: RelayProcess) -> None:
    process = shell(relay, "exec <&-; echo closed; read never < /dev/zero", flags=PROCESS_INPUT)
    assert relay.event() == Output(process, 1, b"closed\n")
    with_errno(errno.EPIPE, relay.write, process, b"x")
    relay.signal(process, signal.SIGKILL)
    relay.until_exit(process)
    relay.write(relay.start("cat", flags=PROCESS_INPUT), b"")
    with_errno(errno.EPIPE, relay.write, relay.start("sleep", "100"), b"x")


def test_a_lot_of_output_is_told_whole(relay: RelayProcess) -> None:
    process = shell(relay, "yes 0123456789abcde | head -c 5000000; echo done >&2")
    output, errors, _ = relay.until_exit(process)
    assert output == b"0123456789abcde\n" * (5_000_000 // 16)
    assert errors == b"done\n"


def test_output_that_nobody_takes_waits(relay: RelayProcess, tmp_path: Path) -> None:
    """Without room in the channel output waits in the pipe, and then the program; none is lost."""
    script = 'yes 0123456789abcde | head -c 4000000; echo > "$1"'
    process = shell(relay, script, str(tmp_path / "finished"))
    assert isinstance(relay.event(), Output)
    # The channel holds some 300 KiB, and this end of it takes nothing now.
    number, data = relay.frame(relay_peer.CLOCK_GET)
    relay.send_bytes(data)
    assert not (tmp_path / "finished").exists()
    output, answered = 0, False
    while (message := relay.receive()).type != relay_peer.EVENT_EXIT:
        if message.id:
            answered = message.id == number
        else:
            output += len(message.body) - 8
    assert answered
    assert message.body == struct.pack("<III", process, 0, 0)
    assert 4_000_000 - BODY_MAX < output < 4_000_000  # without what the first event told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_signal_ends_a_program(relay: RelayProcess, number: int) -> None:
    process = relay.start("sleep", "1000")
    relay.signal(process, number)
    assert relay.event() == Exit(process, 0, number)
    with_errno(errno.ESRCH, relay.signal, process, number)


def test_a_signal_reaches_the_programs_children(relay: RelayProcess) -> None:
    child = 'sh -c "echo up; exec sleep 1000"'
    process = shell(relay, f"trap 'wait; echo parent; exit 5' TERM; {child} & wait")
    assert relay.event() == Output(process, 1, b"up\n")
    relay.signal(process, signal.SIGTERM)
    # The wait for the child would last 1000 s.
    assert relay.until_exit(process) == (b"parent\n", b"", Exit(process, 5, 0))


def test_what_outlives_a_program_does_not_hold_back_its_exit(
    relay: RelayProcess, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "go")
    process = shell(relay, '(read go < "$1"; echo late) & echo first', str(tmp_path / "go"))
    assert relay.until_exit(process) == (b"first\n", b"", Exit(process, 0, 0))
    (tmp_path / "go").write_text("\n")
    assert relay.event() == Output(process, 1, b"late\n")


def test_what_outlives_a_program_gets_its_signals(relay: RelayProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    script = 'trap "echo caught; exit" TERM; read go < "$1"'
    process = shell(relay, f"({script}) & echo $!", str(tmp_path / "go"))
    output, _, _ = relay.until_exit(process)
    relay.signal(process, signal.SIGKILL)
    with descriptor_of(int(output)) as child:
        assert select.select([child], [], [], 20)[0] == [child]


def test_a_programs_signals_are_as_usual(relay: RelayProcess) -> None:
    """The relay ignores SIGPIPE, and blocks nothing: neither may be inherited."""
    process = shell(relay, "echo $$; exec sleep 1000")
    assert int(status(relay, process, "SigBlk"), 16) == 0
    relay.signal(process, signal.SIGKILL)
    relay.until_exit(process)
    process = shell(relay, "echo $$; exec sleep 1000")
    # 32 to 34 are the C library's own: nothing can set them, here or there, so they are passed on.
    own = 0b111 << 31
    assert int(status(relay, process, "SigIgn"), 16) & ~own == 0
    relay.signal(process, signal.SIGKILL)


def test_a_program_has_a_session_of_its_own(relay: RelayProcess) -> None:
    process = shell(relay, "echo $$ $(cut -d ' ' -f 5,6 /proc/$$/stat)")
    pid, group, session = relay.until_exit(process)[0].split()
    assert pid == group == session


def test_a_program_has_no_descriptor_of_the_relay(relay: RelayProcess) -> None:
    other = relay.start("sleep", "1000", flags=PROCESS_INPUT)
    relay.open_socket(2, 1)
    process = relay.start("ls", "/proc/self/fd", environment=PATH)
    assert relay.until_exit(process)[0].split() == [b"0", b"1", b"2", b"3"]  # 3: the directory
    relay.signal(other, signal.SIGKILL)


# --- what cannot be started


def test_missing_program_is_enoent(relay: RelayProcess, tmp_path: Path) -> None:
    with_errno(errno.ENOENT, relay.start, str(tmp_path / "missing"))
    with_errno(errno.ENOENT, relay.start, "no-such-program-anywhere")
    with_errno(errno.ENOENT, relay.start, "")
    assert relay.no_event()


def test_file_that_is_not_executable_is_eacces(relay: RelayProcess, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("#!/bin/sh\n")
    with_errno(errno.EACCES, relay.start, str(tmp_path / "file"))
    with_errno(errno.EACCES, relay.start, str(tmp_path))


def test_file_of_no_known_format_is_enoexec(relay: RelayProcess, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\x01\x02\x03\x04 no program")
    file.chmod(0o755)
    with_errno(errno.ENOEXEC, relay.start, str(file))


def test_too_many_arguments_are_e2big(relay_binary: Path) -> None:
    # With a small stack the kernel grants 128 KiB, of which each argument's pointer takes 8 bytes.
    prefix = ("sh", "-c", 'ulimit -s 64; exec "$@"', "sh")
    relay = RelayProcess(relay_binary, prefix=prefix)
    relay.hello()
    with_errno(errno.E2BIG, relay.start, "/bin/true", *[""] * 30_000)
    assert relay.end() == (0, "")


def test_missing_directory_is_enoent(relay: RelayProcess, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(relay_peer.RelayError) as raised:
        relay.start("true", environment=PATH, directory=missing)
    assert raised.value.errno == errno.ENOENT


def test_path_is_searched_in_its_order(relay: RelayProcess, tmp_path: Path) -> None:
    for name, mode in (("a", 0o644), ("b", 0o755), ("c", 0o755)):
        (tmp_path / name).mkdir()
        tool = tmp_path / name / "tool"
        tool.write_text(f"#!/bin/sh\necho {name}\n")
        tool.chmod(mode)
    path = ":".join(str(tmp_path / name) for name in ("missing", "a", "b", "c"))
    process = relay.start("tool", environment={"PATH": path})
    assert relay.until_exit(process)[0] == b"b\n"
    with_errno(
        errno.EACCES,
        lambda: relay.start("tool", environment={"PATH": str(tmp_path / "a")}),
    )


def test_a_failed_start_leaves_nothing_behind(relay: RelayProcess) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{relay.process.pid}/fd").iterdir()))

    before = descriptors()
    for _ in range(10):
        with_errno(errno.ENOENT, relay.start, "/no/such/program")
    for _ in range(10):
        relay.until_exit(relay.start("true", flags=PROCESS_INPUT))
    assert descriptors() == before
    children = f"/proc/{relay.process.pid}/task/{relay.process.pid}/children"
    assert Path(children).read_text() == ""


def test_process_requests_check_their_bodies(relay: RelayProcess) -> None:
    start = relay_peer.PROCESS_START
    for head, texts in (
        ((0, 0, 0), b"\0"),
        ((0, 1, 0), b"\0true"),
        ((0, 1, 0), b"\0true\0more\0"),
        ((0, 2, 0), b"\0true\0"),
        ((0, 1, 1), b"\0true\0"),
        ((0, 1, 0xFFFFFFFF), b"\0true\0"),
        ((0, 0xFFFFFFFF, 1), b"\0true\0A=1\0"),
    ):
        with_errno(errno.EBADMSG, relay.request, start, struct.pack("<III", *head) + texts)
    with_errno(errno.EINVAL, relay.request, start, struct.pack("<III", 4, 1, 0) + b"\0true\0")
    with_errno(errno.EBADMSG, relay.request, start, bytes(11))
    with_errno(errno.ESRCH, relay.write, 1, b"x")
    with_errno(errno.ESRCH, relay.signal, 1, signal.SIGTERM)
    process = relay.start("sleep", "1000")
    with_errno(errno.EINVAL, relay.signal, process, 0)
    with_errno(errno.EINVAL, relay.signal, process, 65)


# --- many


def test_many_programs_at_once(relay: RelayProcess) -> None:
    processes = [shell(relay, "read n; echo $n; exit $n", flags=PROCESS_INPUT) for _ in range(60)]
    assert processes == list(range(1, 61))
    for process in reversed(processes):
        relay.write(process, b"%d\n" % process)
    told: dict[int, list[Output | Exit]] = {process: [] for process in processes}
    while sum(len(events) for events in told.values()) < 120:
        event = relay.event()
        assert isinstance(event, Output | Exit)
        told[event.process].append(event)
    for process in processes:
        output = Output(process, 1, b"%d\n" % process)
        assert told[process] == [output, Exit(process, process, 0)]


def test_programs_end_with_the_relay(relay_binary: Path) -> None:
    relay = RelayProcess(relay_binary)
    relay.hello()
    process = shell(relay, "sleep 1000 & echo $!; wait")
    event = relay.event()
    assert isinstance(event, Output)
    assert event.process == process
    with descriptor_of(int(event.data)) as child:
        assert relay.end() == (0, "")
        assert select.select([child], [], [], 20)[0] == [child]
