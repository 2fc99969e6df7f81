# SPDX-License-Identifier: GPL-2.0-only
"""One run of a command in a machine of its own, from the machine's begin to its end."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import VmError
from . import fetch, tap, toolbox
from .errors import FAILED, ExecError

if TYPE_CHECKING:
    from .._vm import Vm

OUT, ERR = 1, 2

NO_SUCH_COMMAND, NOT_EXECUTABLE = 127, 126  # as a shell has it
TIME_LIMIT = 124  # as timeout(1) has it
TEST_FAILED = 1

# As a VirtualMachine has them by default.
_LINK_OPTIONS = (
    *("tsc-step=1000", "busy-instructions=50000000", "busy-reads=2000"),
    "busy-step=10000000",
)
_HOST_MEMORY = 8 << 30

# ns. Longer than any kernel has taken to boot that has been tried.
_UPTIME = 60_000_000_000

# Turns after which the caller hears how far it is.
_TURNS = 4096

_MOST = 256 << 20
"""Bytes of output that a run may have, and of files that are brought back."""

# What a kernel says of a fault of its own that does not end it.
_FAULT = re.compile(
    rb"(?:WARNING: |BUG: |Oops|general protection fault|INFO: (?:task \S+ blocked|rcu_)|UBSAN: "
    rb"|KASAN: |KCSAN: |unregister_netdevice: waiting|refcount_t: |page allocation failure"
    rb"|Out of memory: )[^\r\n]*"
)


@dataclass(frozen=True)
class Command:
    """What is to be run."""

    arguments: tuple[str, ...]
    input: bytes = b""
    time_limit: int = 3600 * 10**9
    """Of simulated time, in ns."""
    seed: int = 1
    get: tuple[str, ...] = ()
    """Files and directories of the guest to bring back."""


@dataclass
class Outcome:
    """What has come of it."""

    release: str
    """Of the kernel, as uname -r says."""
    status: int = 0
    time: int = 0
    """How long it took, in ns of simulated time."""
    streams: dict[int, bytearray] = field(
        default_factory=lambda: {OUT: bytearray(), ERR: bytearray()}
    )
    """All that it has written, to standard output and to standard error."""
    files: dict[str, bytes] = field(default_factory=dict)
    """What was brought back, by relative path."""
    tests: tap.Tally = field(default_factory=tap.Tally)
    console: bytes = b""
    remarks: list[str] = field(default_factory=list)
    """What a user must know of it, a line each."""

    @property
    def output(self) -> bytes:
        """What it has written to standard output."""
        return bytes(self.streams[OUT])

    @property
    def errors(self) -> bytes:
        """What it has written to standard error."""
        return bytes(self.streams[ERR])


def run(
    image: Path,
    command: Command,
    show: Callable[[int, bytes], object] = lambda _stream, _data: None,
    progress: Callable[[int], object] = lambda _time: None,
) -> Outcome:
    """Run a command in a machine of an image, and end the machine.

    `show` gets what it writes, when it does: (1 or 2, data). `progress` gets the simulated time, in
    ns, now and then. Raises VmError if the machine cannot be had, or ExecError; one that fails
    later is an outcome.
    """
    from .._vm import Vm, read_image

    machine = read_image(str(image))
    vm = Vm(
        machine,
        name="guest",
        seed=command.seed,
        uptime=_UPTIME,
        link_options=_LINK_OPTIONS,
        snapshots=str(image / "snapshots"),
    )
    try:
        vm.finish_boot()
        vm.relay.set_realtime(machine.epoch * 10**9)
        vm.relay.set_host_memory(_HOST_MEMORY)
        with contextlib.suppress(OSError):  # a kernel without messages
            vm.relay.set_sysctl("kernel.printk", "7")
        vm.take_console()  # what it said while it booted
        return _Run(vm, command, show, progress).run()
    finally:
        vm.end()


class _Run:
    def __init__(
        self,
        vm: Vm,
        command: Command,
        show: Callable[[int, bytes], object],
        progress: Callable[[int], object],
    ) -> None:
        self._vm = vm
        self._command = command
        self._show = show
        self._progress = progress
        self._outcome = Outcome(vm.relay.release)
        self._tests = tap.Reader()
        self._console = bytearray()
        self._process = 0

    def run(self) -> Outcome:
        outcome = self._outcome
        try:
            self._call([toolbox.BUSYBOX, "sh", "-c", toolbox.INSTALL])
            outcome.status = self._execute()
            outcome.time = self._vm.time
            self._fetch()
        except VmError as error:
            # What it has said until then is of use, and so are runs on other kernels.
            self._take_output()
            outcome.status = FAILED
            outcome.remarks.append(str(error))
        outcome.tests = self._tests.end()
        if outcome.tests.failed and outcome.status == 0:
            outcome.status = TEST_FAILED
        self._listen()
        outcome.console = bytes(self._console)
        self._look_for_faults()
        return outcome

    def _fetch(self) -> None:
        for path in self._command.get:
            try:
                self._outcome.files.update(fetch.unpack(path, self._call(fetch.command(path))))
            except ExecError as error:
                self._outcome.remarks.append(f"{path} cannot be brought back: {error.message}")
                self._outcome.status = self._outcome.status or 1

    def _execute(self) -> int:
        """Run the command to its end; return its status."""
        vm, command = self._vm, self._command
        try:
            process = vm.relay.start_process(
                command.arguments,
                environment=toolbox.ENVIRONMENT,
                directory=toolbox.DIRECTORY,
                input=True,
            )
        except OSError as error:
            return self._not_started(error)
        self._process = process
        with contextlib.suppress(OSError):  # it has ended already, and reads nothing
            if command.input:
                vm.relay.write_process(process, command.input)
            vm.relay.close_process_input(process)
        while True:
            self._take_output()
            for number, code, sign in vm.take_exits():
                if number == process:
                    return 128 + sign if sign else code
            if vm.time >= command.time_limit:
                self._outcome.remarks.append(
                    f"the command was ended at its time limit, {vm.time / 1e9:g} s of simulated "
                    "time (--time-limit)"
                )
                return TIME_LIMIT
            vm.run_until_heard(command.time_limit, _TURNS)
            self._listen()
            self._progress(vm.time)

    def _take_output(self) -> None:
        for process, stream, data in self._vm.take_output():
            if process == self._process:
                self._take(stream, data)

    def _take(self, stream: int, data: bytes) -> None:
        if stream == OUT:
            self._tests.feed(data)
        self._outcome.streams[stream] += data
        if sum(map(len, self._outcome.streams.values())) > _MOST:
            message = f"the command has written more than {_MOST >> 20} MiB"
            raise ExecError(message, "Let it write to a file of the guest, or to /dev/null.")
        self._show(stream, data)

    def _not_started(self, error: OSError) -> int:
        name = self._command.arguments[0]
        if error.errno == errno.ENOENT:
            self._outcome.remarks.append(
                f"{name}: not found in the guest (--add brings a program of this machine, "
                "--package one of Debian's)"
            )
            return NO_SUCH_COMMAND
        reason = os.strerror(error.errno or errno.EIO)
        self._outcome.remarks.append(f"{name}: cannot be executed in the guest: {reason}")
        return NOT_EXECUTABLE

    def _call(self, arguments: Sequence[str]) -> bytes:
        """Run a program of our own to its end; return what it writes. Raises ExecError."""
        vm = self._vm
        process = vm.relay.start_process(arguments, environment=toolbox.ENVIRONMENT)
        output, errors = bytearray(), bytearray()
        limit = vm.time + 600 * 10**9
        while vm.time < limit:
            for number, stream, data in vm.take_output():
                if number == process:
                    (output if stream == OUT else errors).extend(data)
            if len(output) > _MOST:
                message = f"{arguments[-1]} is larger than {_MOST >> 20} MiB"
                raise ExecError(message)
            for number, code, sign in vm.take_exits():
                if number == process:
                    if code or sign:
                        reason = errors.decode(errors="replace").strip().partition("\n")[0]
                        raise ExecError(reason or f"{arguments[0]} failed in the guest")
                    return bytes(output)
            vm.run_until_heard(limit, _TURNS)
        message = f"{arguments[0]} does not end in the guest"
        raise ExecError(message)

    def _listen(self) -> None:
        self._console += self._vm.take_console()

    def _look_for_faults(self) -> None:
        faults = [each.decode(errors="replace") for each in _FAULT.findall(self._outcome.console)]
        if faults:
            more = f", and {len(faults) - 1} more such lines" if len(faults) > 1 else ""
            self._outcome.remarks.append(
                f"the guest's kernel has complained: {faults[0]}{more} (--out keeps its console)"
            )
