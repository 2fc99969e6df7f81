# SPDX-License-Identifier: GPL-2.0-only
"""Programs in guests, for scripts in Python."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .simulated_time import to_time
from .simulation import guard, load

OUT = 1
ERR = 2

# C++ holds on to callbacks without telling Python that it does.
_callbacks: list[Any] = []


def _set_command(application: Any, command: str) -> None:
    import cppyy

    try:
        application.SetCommand(command)
    except cppyy.gbl.std.exception as error:
        # cppyy puts the C++ function and the exception's type before what the exception says.
        raise ValueError(str(error).partition(": ")[2]) from None


def _bytes(text: Any) -> bytes:
    """Return a C++ string, which may hold any bytes."""
    return text.encode() if isinstance(text, str) else bytes(text)


def _decoded(text: Any) -> str:
    return _bytes(text).decode(errors="backslashreplace")


class Program:
    r"""A program that runs in the guest of a node: an `ns.QemuApplication`, with Python's types.

    ::

        server = ns3_qemu.Program(node, "iperf3 -s -1", stop=20)
        client = ns3_qemu.Program(other, ["ping", "-c", "3", "10.0.0.2"], start=1.5)
        client.on_output(lambda line, stream: print(ns.Simulator.Now().GetSeconds(), line))
        ns3_qemu.Run()
        print(client.exit_code, client.output)

    All times are simulated times. Output is told at the very time at which it was written.
    """

    def __init__(
        self,
        node: Any,
        command: str | Sequence[str],
        *,
        start: float | str = 0,
        stop: float | str | None = None,
        environment: Mapping[str, str] | None = None,
        directory: str = "/",
        input: str | bytes = "",  # noqa: A002 - as in the module subprocess
        keep_input: bool = False,
        merge_errors: bool = False,
        required: bool = True,
        stop_signal: int = 15,
        kill_delay: float | str = 5,
        output_limit: int = 1 << 20,
    ) -> None:
        """Add a program to a node that has, or will have, a virtual machine.

        `command`: a list of the program and its arguments, or one text that is split as a shell
        would, but without variables, patterns and redirections; the program is a path, or a name to
        look for in PATH, and must be in the machine's image. `start`, `stop`: in s, or a text with
        a unit ("10ms"); None: it runs until it ends. `environment`: variables besides PATH and
        HOME. `directory`: the guest's directory that it starts in. `input`: what it reads, before
        an end of file unless `keep_input` is set, see `write`. `merge_errors`: standard error goes
        where standard output goes. `required`: if it cannot be started, `Run` raises VmError;
        otherwise its `exit_code` is 127 (there is no such program) or 126, and `errno` says more.
        `stop_signal`: what it gets at `stop`, and SIGKILL `kill_delay` (s) later. `output_limit`:
        bytes of each stream that are kept for `output` and `errors`.

        Raises ValueError for a text that cannot be split.
        """
        ns = load()
        application = ns.CreateObject[ns.QemuApplication]()
        if isinstance(command, str):
            _set_command(application, command)
        else:
            application.SetArguments(list(command))
        for name, value in (environment or {}).items():
            application.SetVariable(name, value)
        data = input.encode() if isinstance(input, str) else input
        for name, value in (
            ("WorkingDirectory", ns.StringValue(directory)),
            ("Input", ns.StringValue(data)),
            ("KeepInput", ns.BooleanValue(keep_input)),
            ("MergeErrors", ns.BooleanValue(merge_errors)),
            ("Required", ns.BooleanValue(required)),
            ("StopSignal", ns.UintegerValue(stop_signal)),
            ("KillDelay", ns.TimeValue(to_time(kill_delay))),
            ("OutputLimit", ns.UintegerValue(output_limit)),
        ):
            application.SetAttribute(name, value)
        application.SetStartTime(to_time(start))
        if stop is not None:
            application.SetStopTime(to_time(stop))
        node.AddApplication(application)
        self.application = application

    def on_output(self, callback: Callable[[str, int], object]) -> None:
        r"""Let `callback(line, stream)` be called for each line, without its end.

        `stream` is 1 for standard output, 2 for standard error. Bytes that are not UTF-8 are shown
        as \xNN. A line longer than 65,536 bytes comes in pieces.
        """
        told = guard(lambda line, stream: callback(_decoded(line), stream))
        _callbacks.append(told)
        self.application.OnOutput(told)

    def on_exit(self, callback: Callable[[int, int], object]) -> None:
        """Let `callback(code, signal)` be called when it ends; `signal` is 0 if none ended it."""
        told = guard(callback)
        _callbacks.append(told)
        self.application.OnExit(told)

    def write(self, data: str | bytes) -> None:
        """Write to the program's standard input, now, while the simulation runs.

        Raises an error if it was made without `keep_input`.
        """
        self.application.WriteInput(data.encode() if isinstance(data, str) else data)

    def close_input(self) -> None:
        """Let the program read an end of file from its standard input, now."""
        self.application.CloseInput()

    def send_signal(self, signal: int) -> None:
        """Send a signal to the program and its children, now; nothing if it does not run."""
        self.application.Signal(signal)

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return bool(self.application.IsProgramRunning())

    @property
    def exit_code(self) -> int | None:
        """Its exit code; 128 + n if signal n ended it; None if it has not ended."""
        return int(self.application.GetExitCode()) if self.application.HasExited() else None

    @property
    def signal(self) -> int:
        """The signal that ended it, or 0."""
        return int(self.application.GetExitSignal())

    @property
    def errno(self) -> int:
        """The guest's errno if it could not be started, or 0."""
        return int(self.application.GetErrno())

    @property
    def output_bytes(self) -> bytes:
        """What it has written to standard output, as far as it is kept."""
        return _bytes(self.application.GetOutput())

    @property
    def output(self) -> str:
        r"""The same as text; bytes that are not UTF-8 are shown as \xNN."""
        return self.output_bytes.decode(errors="backslashreplace")

    @property
    def errors(self) -> str:
        """What it has written to standard error, as text."""
        return _decoded(self.application.GetErrorOutput())
