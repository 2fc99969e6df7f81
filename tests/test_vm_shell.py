# SPDX-License-Identifier: GPL-2.0-only
"""`ns3-qemu shell`, as a user runs it: by pipes, and on a terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = [str(Path(sys.executable).parent / "ns3-qemu"), "shell", "--kernel", "6.1"]
QUIT = b"\x1d"


def test_by_pipes_it_is_a_shell():
    script = (
        "uname -r; cat /etc/hostname; ls / | grep -x proc; printf '#!/bin/sh\\necho script\\n' "
    )
    script += "> /root/s; chmod +x /root/s; /root/s; echo oops >&2; exit 3"
    done = subprocess.run(
        [*COMMAND, "--add", "/etc/hostname"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    release, name, proc, script = done.stdout.splitlines()
    assert release.startswith("6.1.")
    assert name == Path("/etc/hostname").read_text().strip()
    assert (proc, script) == ("proc", "script")
    assert "oops" in done.stderr


class Terminal:
    """A shell on a terminal, and a user who waits for what it says."""

    def __init__(self) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execv(COMMAND[0], COMMAND)
        self.resize(33, 111)
        self._seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def wait_for(self, text: bytes) -> bytes:
        while text not in self._seen:
            ready, _, _ = select.select([self._fd], [], [], 120)
            assert ready, self._seen
            self._seen += os.read(self._fd, 4096)
        before, _, self._seen = self._seen.partition(text)
        return before + text

    def status(self) -> int:
        """Return its exit status, when all that it says has been read."""
        while True:
            try:
                if not os.read(self._fd, 4096):
                    break
            except OSError:  # the other side of a terminal has been closed
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    try:
        os.kill(terminal.pid, signal.SIGKILL)
        os.waitpid(terminal.pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass  # it has ended, as it should


def test_on_a_terminal_it_is_the_guests_console(terminal: Terminal):
    assert b"Ctrl-] ends it" in terminal.wait_for(b"~# ")
    terminal.type(b"tty; stty size; echo a$((40+2))\r")
    assert b"/dev/ttyS0" in terminal.wait_for(b"33 111")
    terminal.wait_for(b"a42\r\n")


def test_a_line_can_be_edited(terminal: Terminal):
    terminal.wait_for(b"~# ")
    terminal.type(b"echo abx\x7fc\x1b[D\x1b[D-\r")
    terminal.wait_for(b"\na-bc\r\n")


def test_ctrl_c_interrupts_a_program_that_never_sleeps(terminal: Terminal):
    terminal.wait_for(b"~# ")
    terminal.type(b"echo begun; while :; do :; done\r")
    terminal.wait_for(b"\nbegun\r\n")
    terminal.type(b"\x03")
    terminal.wait_for(b"^C\r\n")
    terminal.wait_for(b"~# ")


def test_the_guest_learns_of_a_window_that_changes(terminal: Terminal):
    terminal.type(b"trap 'echo changed' WINCH; echo set; while :; do read line; done\r")
    terminal.wait_for(b"\nset\r\n")
    terminal.resize(20, 77)
    terminal.wait_for(b"changed\r\n")
    terminal.type(b"\x03")
    terminal.wait_for(b"~# ")
    terminal.type(b"stty size\r")
    terminal.wait_for(b"20 77\r\n")


def test_a_key_ends_it(terminal: Terminal):
    terminal.wait_for(b"~# ")
    terminal.type(QUIT)
    assert terminal.status() == 0
