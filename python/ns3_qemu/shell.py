# SPDX-License-Identifier: GPL-2.0-only
"""A prompt in a guest, in simulated time that follows the wall clock. It needs no ns-3.

On a terminal the guest's own console is the user's: its shell edits lines, Ctrl-C goes to its
programs, its window is as large as the user's. Elsewhere a shell reads its commands from standard
input, as any shell does, and its output and exit code are passed on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shlex
import signal
import struct
import sys
import termios
import time
import tty
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from . import busybox
from .cache import Cache
from .image import MODPROBE, Image
from .overlay import PATH
from .steps import Steps

if TYPE_CHECKING:
    from ._vm import Vm

_BUSYBOX = "/bin/busybox"
_APPLETS = "/opt/busybox"
_CONSOLE = "/dev/ttyS0"
_RC = "/root/.shrc"

_QUIT = b"\x1d"  # Ctrl-]
_READ = 4096

# A guest that is further behind the wall clock than this, in ns, has more to do than this machine
# can: its time goes on from where it is.
_BEHIND = 100_000_000


def run(image: Image, programs: list[str]) -> int:
    """Boot a machine and give its shell to the user; return the shell's exit code.

    `programs`: paths in the guest of programs that were added. Raises VmError if the machine fails.
    """
    from ._vm import Vm, read_image

    cache = Cache()
    steps = Steps(cache.logs)
    _add_shell(image, cache, steps, programs)
    machine = read_image(str(image.build_in(cache, steps)))
    vm = Vm(
        machine,
        name="shell",
        # As a VirtualMachine has it: a program that never sleeps lets 10 ms pass for each turn.
        link_options=["busy-step=10000000"],
    )
    try:
        vm.finish_boot()
        vm.relay.set_realtime(machine.epoch * 10**9)
        vm.take_console()  # what it said while it booted
        if sys.stdin.isatty():
            with _raw_terminal(sys.stdin):
                return _Terminal(vm).run()
        return _Pipes(vm).run()
    finally:
        vm.end()


def _add_shell(image: Image, cache: Cache, steps: Steps, programs: list[str]) -> None:
    image.add(busybox.ensure(cache, steps), to=_BUSYBOX)
    if not image.has_root_disk and not image.has("/bin/sh"):
        image.link("/bin/sh", _BUSYBOX)
    # Busybox's shell prefers its own programs to those in PATH; a user who has added one does not.
    known = [path for path in programs if os.path.dirname(path) in PATH]  # noqa: PTH120 - the guest's
    known.append(MODPROBE)
    lines = [f"alias {os.path.basename(path)}={shlex.quote(path)}" for path in known]  # noqa: PTH119
    image.write(_RC, "\n".join([*lines, r"PS1='\u@\h:\w\$ '", ""]))


def _environment() -> list[str]:
    return [
        f"PATH={':'.join(PATH)}:{_APPLETS}",
        "HOME=/root",
        "USER=root",
        f"ENV={_RC}",
        f"TERM={os.environ.get('TERM', 'dumb')}",
    ]


class _Clock:
    """Simulated time, in ns, that follows the wall clock."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm
        self._origin = time.monotonic_ns() - vm.time

    def now(self) -> int:
        """Return the time that it is by the wall clock, and never one that has been."""
        return max(self._vm.time, time.monotonic_ns() - self._origin)

    def catch_up(self) -> None:
        """Give up what the machine is behind, if it is much."""
        behind = self.now() - min(self._vm.deadline, self.now())
        if behind > _BEHIND:
            self._origin += behind


class _Session:
    """Lets a machine go on with the wall clock, and passes on what is typed and shown."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm
        self._input: TextIO | None = sys.stdin
        self._shell = 0
        self._code: int | None = None

    def run(self) -> int:
        """Return the shell's exit code when it has ended."""
        self._prepare()
        clock = _Clock(self._vm)
        while self._code is None:
            clock.catch_up()
            now = clock.now()
            wait = min(max(0, self._vm.deadline - now), 500_000_000) / 1e9
            readable = [self._input.fileno()] if self._input else []
            ready, _, _ = select.select(readable, [], [], wait)
            now = clock.now()
            if ready and self._input:
                data = os.read(self._input.fileno(), _READ)
                if not self._take(data):
                    return 0
            if ready or self._vm.deadline <= now:
                self._vm.run(max(self._vm.time, min(now, self._vm.deadline)))
            self._show()
        return self._code

    def _prepare(self) -> None:
        """Start the shell."""
        raise NotImplementedError

    def _take(self, data: bytes) -> bool:
        """Pass on what was typed; return whether to go on."""
        raise NotImplementedError

    def _show(self) -> None:
        """Pass on what the guest shows, and note the shell's end."""
        for process, stream, data in self._vm.take_output():
            if process == self._shell:
                _write_all(stream, data)
        for process, code, number in self._vm.take_exits():
            if process == self._shell:
                self._code = 128 + number if number else code

    def _start(self, script: str, *, feed: bool) -> int:
        """Start the guest's shell with a script that makes it the user's."""
        install = f"{_BUSYBOX} mkdir -p {_APPLETS}; {_BUSYBOX} --install -s {_APPLETS}"
        return self._vm.relay.start_process(
            [_BUSYBOX, "sh", "-c", f"{install}; {script}"],
            environment=_environment(),
            directory="/root",
            input=feed,
        )


class _Pipes(_Session):
    """Without a terminal: commands come in by standard input."""

    def _prepare(self) -> None:
        self._shell = self._start(f". {_RC}; exec {_BUSYBOX} sh", feed=True)

    def _take(self, data: bytes) -> bool:
        with contextlib.suppress(OSError):  # the shell has ended, and is about to say so
            if data:
                self._vm.relay.write_process(self._shell, data)
            else:
                self._input = None
                self._vm.relay.close_process_input(self._shell)
        return True


class _Terminal(_Session):
    """On a terminal: the guest's console."""

    def __init__(self, vm: Vm) -> None:
        super().__init__(vm)
        self._resized = True

    def run(self) -> int:
        previous = signal.signal(signal.SIGWINCH, self._on_resize)
        try:
            return super().run()
        finally:
            signal.signal(signal.SIGWINCH, previous)

    def _on_resize(self, _number: int, _frame: object) -> None:
        self._resized = True

    def _prepare(self) -> None:
        release = self._vm.relay.release
        self._say(f"Linux {release}. Ctrl-] ends it.")
        # The first terminal that a session's leader opens is its own: Ctrl-C goes to what it runs.
        self._shell = self._start(
            f"exec <>{_CONSOLE} >&0 2>&0; stty sane 115200 -hupcl; exec {_BUSYBOX} sh -i",
            feed=False,
        )

    def _take(self, data: bytes) -> bool:
        before, quits, _ = data.partition(_QUIT)
        if before:
            self._vm.queue_console(before)
        if quits or not data:
            self._say("")
            return False
        return True

    def _show(self) -> None:
        if self._resized and not self._vm.busy:
            self._resized = False
            self._resize()
        if console := self._vm.take_console():
            _write_all(sys.stdout.fileno(), console)
        super()._show()

    def _resize(self) -> None:
        """Tell the guest's terminal how large the user's is."""
        answer = fcntl.ioctl(sys.stdin.fileno(), termios.TIOCGWINSZ, bytes(8))
        rows, columns, _, _ = struct.unpack("HHHH", answer)
        if rows and columns:
            self._vm.relay.start_process(
                [_BUSYBOX, "stty", "-F", _CONSOLE, "rows", str(rows), "cols", str(columns)]
            )

    @staticmethod
    def _say(text: str) -> None:
        _write_all(sys.stdout.fileno(), f"{text}\r\n".encode())


@contextlib.contextmanager
def _raw_terminal(terminal: TextIO) -> Iterator[None]:
    """Pass every key on as it is; the terminal is as before afterwards, whatever happens."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
