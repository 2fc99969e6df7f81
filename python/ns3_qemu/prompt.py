# SPDX-License-Identifier: GPL-2.0-only
"""The prompt of a simulation that has stopped."""

import cmd
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.table import Table

from .copies import Copy
from .errors import Ns3QemuError
from .kernel_symbols import symbols
from .qemu_monitor import Monitor, attribute_path
from .simulated_time import to_time
from .simulation import load

if TYPE_CHECKING:
    from .pause import Plan


class Prompt(cmd.Cmd):
    """Reads commands and carries them out, until one lets the simulation go on."""

    doc_header = "There is (help COMMAND says more), or MACHINE COMMAND for a look into a guest:"

    def __init__(self, plan: "Plan", source: TextIO) -> None:
        self._terminal = source.isatty()
        super().__init__(stdin=source)
        self.use_rawinput = self._terminal
        self._plan = plan
        self.next_ns: int | None = None
        """Where the next stop is to be, if there is to be one."""
        self._now: Any = load().Simulator.Now()
        seconds = f"{self._now.GetNanoSeconds() / 1e9:.9f}".rstrip("0").rstrip(".")
        self._time = f"{seconds} s"
        self.prompt = f"{self._time}> " if self._terminal else ""
        if self._terminal:
            self.intro = f"Stopped at {self._time}: time stands still. `help` says what there is."

    # --- reading -------------------------------------------------------------------------------

    def precmd(self, line: str) -> str:
        """Show what is read, where no terminal has shown it."""
        if not self._terminal and line != "EOF":
            print(f"{self._time}> {line.rstrip()}")
        return line

    def emptyline(self) -> bool:
        """Do nothing; cmd.Cmd would do the last command again."""
        return False

    def onecmd(self, line: str) -> bool:
        """Carry a command out; an error of the user's does not end the run."""
        try:
            return bool(super().onecmd(line))
        except Ns3QemuError as error:
            print(f"error: {error}")
        except (OSError, ValueError) as error:
            print(f"error: {error}")
        return False

    def default(self, line: str) -> None:
        """Take a line that begins with a machine's name."""
        name, _, command = line.strip().partition(" ")
        if name not in self._machines():
            print(f"error: {name!r} is neither a command nor a machine; `help` says what there is")
            return
        self._look(name, command.strip())

    def completenames(self, text: str, *_ignored: Any) -> list[str]:
        """Complete commands and machines."""
        names = [name for name in self._machines() if name.startswith(text)]
        return super().completenames(text) + names

    # --- machines ------------------------------------------------------------------------------

    @staticmethod
    def _machines() -> dict[str, Any]:
        from .pause import machines

        return machines()

    def _split(self, line: str, usage: str) -> tuple[str, str]:
        """Take "MACHINE REST" apart. Raises ValueError."""
        name, _, rest = line.strip().partition(" ")
        if name not in self._machines():
            message = f"{name!r} is no machine; usage: {usage}"
            raise ValueError(message)
        return name, rest.strip()

    def do_machines(self, _line: str) -> None:
        """machines: all machines, what they have done so far."""
        table = Table("machine", "turns", "instructions", "QEMU", box=None, pad_edge=False)
        for name, machine in self._machines().items():
            table.add_row(
                name,
                str(int(machine.GetTurns())),
                str(int(machine.GetInstructions())),
                f"process {int(machine.GetPid())}",
            )
        Console(highlight=False).print(table)

    # --- looks ---------------------------------------------------------------------------------

    def _look(self, name: str, command: str) -> None:
        if not command:
            self.do_shell(name)
            return
        with Copy(self._machines()[name]) as copy:
            _show(copy, command)

    def do_shell(self, line: str) -> None:
        """shell MACHINE [COMMAND]: a command for a shell in a copy of the guest, or several.

        The machine itself does not notice. Without COMMAND, lines are read up to `exit`; all of
        them are for one copy. What the guest lacks (ss, tc, ip, a shell) is brought from here.
        """  # noqa: D403
        name, command = self._split(line, "shell MACHINE [COMMAND]")
        with Copy(self._machines()[name]) as copy:
            if command:
                _show(copy, command)
                return
            for command in self._lines(name):
                try:
                    _show(copy, command)
                except Ns3QemuError as error:
                    print(f"error: {error}")
                    return

    def _lines(self, name: str) -> Iterator[str]:
        prompt = f"{name} (a copy)# "
        while True:
            if self._terminal:
                try:
                    line = input(prompt)
                except EOFError:
                    print()
                    return
            else:
                line = self.stdin.readline()
                if not line:
                    return
                print(f"{prompt}{line.rstrip()}")
            if line.strip() == "exit":
                return
            if line.strip():
                yield line.strip()

    def do_monitor(self, line: str) -> None:
        """monitor MACHINE COMMAND: QEMU's monitor: info registers, info mtree, xp /4xg 0x1000."""  # noqa: D403
        name, command = self._split(line, "monitor MACHINE COMMAND")
        with Monitor(attribute_path(self._machines()[name], "Monitor")) as monitor:
            print(monitor.hmp(command or "help").rstrip())

    def do_dump(self, line: str) -> None:
        """dump MACHINE FILE: the guest's memory, for crash(8)."""  # noqa: D403
        name, file = self._split(line, "dump MACHINE FILE")
        if not file:
            message = "usage: dump MACHINE FILE"
            raise ValueError(message)
        with Monitor(attribute_path(self._machines()[name], "Monitor")) as monitor:
            print(f"written to {monitor.dump(Path(file).expanduser())}")

    def do_gdb(self, line: str) -> None:
        """gdb MACHINE: what to type in another terminal to debug the guest's kernel.

        While gdb has stopped the machine, the simulation waits; a breakpoint changes no result.
        """  # noqa: D403
        name, _ = self._split(line, "gdb MACHINE")
        machine = self._machines()[name]
        socket = attribute_path(machine, "Gdb")
        with self._plan.scratch() as scratch:
            file = symbols(machine, scratch / f"{Path(socket).stem}.symbols")
        print("In another terminal:\n")
        print(f"  gdb -ex 'symbol-file {file}' -ex 'target remote {socket}'\n")
        print("Set breakpoints there (break tcp_v4_rcv) and `continue`; then `continue` here.")

    def do_pcap(self, line: str) -> None:
        """pcap [DIR]: write the captures so far into a directory, whole up to this time."""  # noqa: D403
        base = self._plan.directory or Path()
        directory = Path(line.strip() or base / f"pause-{self._time.replace(' ', '')}").expanduser()
        directory.mkdir(parents=True, exist_ok=True)
        files = _write_captures(directory)
        for file in files:
            print(f"{file} ({file.stat().st_size} bytes)")
        if not files:
            print("there are no captures")

    # --- changes -------------------------------------------------------------------------------

    def do_change(self, line: str) -> None:
        """change MACHINE COMMAND: start a program in the guest itself, at this simulated time.

        This changes the results. It is recorded, and --replay repeats it. What the program writes
        is shown when the simulation goes on.
        """  # noqa: D403
        name, command = self._split(line, "change MACHINE COMMAND")
        if not shlex.split(command):
            message = "usage: change MACHINE COMMAND"
            raise ValueError(message)
        self._plan.change(name, command)

    # --- going on ------------------------------------------------------------------------------

    def do_step(self, line: str) -> bool:
        """step TIME: go on for so long (10ms), and stop again."""  # noqa: D403
        delay = to_time(_number(line))
        return self._go_on(int((self._now + delay).GetNanoSeconds()))

    def do_until(self, line: str) -> bool:
        """until TIME: go on to a simulated time (12.6s), and stop again."""  # noqa: D403
        return self._go_on(int(to_time(_number(line)).GetNanoSeconds()))

    def _go_on(self, time: int) -> bool:
        if time <= int(self._now.GetNanoSeconds()):
            message = f"{time / 1e9} s is not later than now ({self._time})"
            raise ValueError(message)
        self.next_ns = time
        return True

    def do_continue(self, _line: str) -> bool:
        """continue: go on to the end (so does the end of the input, Ctrl-D)."""
        return True

    do_c = do_continue

    def do_EOF(self, _line: str) -> bool:  # noqa: N802 - the name that cmd.Cmd gives it
        """Go on to the end."""
        if self._terminal:
            print()
        return True

    def do_quit(self, _line: str) -> None:
        """quit: end the simulation here (so does Ctrl-C)."""
        message = f"The simulation was ended at the prompt, at {self._time}."
        raise SystemExit(message)

    def do_help(self, arg: str) -> None:
        """help [COMMAND]: what there is."""  # noqa: D403
        super().do_help(arg)

    def get_names(self) -> list[str]:
        """Return the methods that help looks at: those that are meant for people."""
        return [name for name in super().get_names() if name not in ("do_EOF", "do_c")]


def _number(line: str) -> float | str:
    text = line.strip()
    try:
        return float(text)
    except ValueError:
        return text


def _show(copy: Copy, command: str) -> None:
    look = copy.run(command)
    print(look.output, end="" if look.output.endswith("\n") or not look.output else "\n")
    print(look.errors, end="" if look.errors.endswith("\n") or not look.errors else "\n")
    if look.exit_code:
        print(f"(exit code {look.exit_code})")


@contextmanager
def _child() -> Iterator[bool]:
    """Do something in a child process: the block is left there with its end."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            yield True
            status = 0
        finally:
            os._exit(status)
    yield False
    _, ended = os.waitpid(pid, 0)
    if ended != 0:
        message = "the captures could not be written"
        raise OSError(message)


def _open_files() -> dict[int, Path]:
    """Return what this process has open besides its standard streams, by file descriptors."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            path = link.readlink()
        except OSError:
            continue  # it was that of the directory itself
        if int(link.name) > 2:
            found[int(link.name)] = path
    return found


def _write_captures(directory: Path) -> list[Path]:
    """Write the captures so far, and leave those of the run as they are.

    ns-3 keeps the last packets of a capture in memory. A child process has them, too: there they
    go into a copy of the file.
    """
    files = {
        fd: (path, directory / path.name)
        for fd, path in _open_files().items()
        if path.suffix == ".pcap" and path.is_file()
    }
    if not files:
        return []
    ns = load()
    with _child() as is_child:
        if is_child:
            null = os.open(os.devnull, os.O_WRONLY)
            # What other files have in memory is not to be written twice.
            for fd in (1, 2, *(_open_files().keys() - {null})):
                os.dup2(null, fd)
            for fd, (path, target) in files.items():
                shutil.copyfile(path, target)
                os.dup2(os.open(target, os.O_WRONLY | os.O_APPEND), fd)
            ns.FatalImpl.FlushStreams()
    return [target for _, target in files.values()]
