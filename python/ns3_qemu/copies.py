# SPDX-License-Identifier: GPL-2.0-only
"""Copies of machines: a look into a guest that the guest does not notice.

Whoever runs `ss` in a guest has the guest execute instructions, use up a process number and take
memory. In a copy the same is done, and the machine itself has not moved: no byte of the results
changes.
"""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from . import busybox, elf
from .cache import Cache
from .errors import ImageError, VmError
from .steps import Steps

__all__ = ["Copy", "Look", "copy"]

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = (_PATH, "HOME=/root", "TERM=dumb")

# Where what is brought is put: nothing of the guest's own is there.
_BROUGHT = "/run/ns3-qemu-look"

# What the guest may lack and this machine has: looked for here, since a user's PATH often lacks it.
_DIRECTORIES = "/usr/sbin:/usr/bin:/sbin:/bin"

_ENOENT = 2


@dataclass(frozen=True)
class Look:
    """What a program in a copy has come to."""

    output: str
    errors: str
    exit_code: int
    """128 + n if signal n ended it; 127 if there is no such program."""
    seconds: float
    """How much time it took in the copy: the simulation's has stood still."""


class _Relay:
    """Netlink of a copy, as the functions of ns3_qemu.guest want it."""

    def __init__(self, of: Any) -> None:
        self._of = of

    def netlink(self, protocol: int, request: bytes) -> bytes:
        with _refusals():
            return bytes(self._of.Netlink(protocol, request))


class _refusals:  # noqa: N801 - a context manager
    """Turns what C++ throws into what Python expects."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _where: object) -> None:
        import cppyy

        if isinstance(error, cppyy.gbl.ns3qemu.GuestError):
            raise OSError(error.GetErrno(), str(error.what())) from None
        if isinstance(error, cppyy.gbl.std.exception):
            # cppyy puts the C++ function and the exception's type before what the exception says.
            raise VmError(str(error).partition(": ")[2]) from None


class Copy:
    """A copy of a machine, as the machine was when it was made; a context manager. See `copy`."""

    def __init__(self, machine: Any) -> None:
        with _refusals():
            self._copy = machine.MakeCopy()
        self.relay = _Relay(self._copy)
        """For the functions of `ns3_qemu.guest`, which take a copy in place of a machine."""
        self._brought: dict[str, list[str]] = {}

    def close(self) -> None:
        """End the copy."""
        if self._copy is not None:
            self._copy.__smartptr__().reset()  # C++ lets go of it now, Python sometime
            self._copy = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, command: str | Sequence[str], *, limit: float = 60) -> Look:
        """Run a program in the copy until it has ended.

        `command`: a list of the program and its arguments, or one text for a shell. What the guest
        does not have is brought from this machine, with its libraries: a shell (busybox), `ss`,
        `tc`, `ip`, whatever is installed here. `limit`: how long it may take, in s of the copy's
        time, which goes on only while the program waits for it.

        Raises VmError if it has not ended by then: nothing arrives at a copy.
        """
        if isinstance(command, str):
            return self._run_text(command, limit)
        arguments = list(command)
        try:
            return self._run(arguments, limit)
        except FileNotFoundError:
            brought = self._bring(arguments[0])
            if brought is None:
                return Look(
                    "", f"{arguments[0]}: neither the guest nor this machine has it\n", 127, 0
                )
            return self._run([*brought, *arguments[1:]], limit)

    def _run_text(self, command: str, limit: float) -> Look:
        # Without a shell where none is needed: then the program need not be in the guest.
        if not any(letter in command for letter in "|&;<>()$`*?[#~=%\n{}!"):
            return self.run(shlex.split(command) or ["true"], limit=limit)
        try:
            return self._run(["sh", "-c", command], limit)
        except FileNotFoundError:
            box = busybox.ensure(Cache(), Steps(Cache().logs))
            return self._run([*self._put(str(box)), "sh", "-c", command], limit)

    def _run(self, arguments: list[str], limit: float) -> Look:
        import cppyy

        program = cppyy.gbl.ns3qemu.GuestProgram()
        program.arguments = arguments
        program.environment = list(_ENVIRONMENT)
        with _refusals():
            result = self._copy.Run(program, int(limit * 1e9))
        return Look(
            _decoded(result.output),
            _decoded(result.errors),
            int(result.exitCode),
            int(result.duration) / 1e9,
        )

    def _bring(self, name: str) -> list[str] | None:
        """Put a program of this machine into the copy; return how it is started, or None."""
        if "/" in name:
            return None
        path = shutil.which(name, path=_DIRECTORIES) or shutil.which(name)
        if path is None:
            box = busybox.ensure(Cache(), Steps(Cache().logs))
            return [*self._put(str(box)), name] if name in _applets(box) else None
        return self._put(path)

    def _put(self, path: str) -> list[str]:
        if path not in self._brought:
            self._brought[path] = self._put_new(path)
        return self._brought[path]

    def _put_new(self, path: str) -> list[str]:
        real = str(Path(path).resolve())
        place = f"{_BROUGHT}/{Path(path).name}"
        data = Path(real).read_bytes()
        self.write_file(place, data, 0o755)
        try:
            program = elf.inspect(data, real)
            if program is None or program.interpreter is None:
                return [place]
            libraries = elf.Loader().libraries(program, real, real)
        except ImageError as error:
            raise VmError(error.message, error.advice) from error
        for name, library in libraries.items():
            self.write_file(f"{_BROUGHT}/lib/{name}", Path(library.host).read_bytes(), 0o755)
        loader = f"{_BROUGHT}/lib/{Path(program.interpreter).name}"
        if Path(program.interpreter).name not in libraries:
            self.write_file(loader, Path(program.interpreter).read_bytes(), 0o755)
        return [loader, "--library-path", f"{_BROUGHT}/lib", place]

    def read_file(self, path: str) -> bytes:
        """Return the contents of a file of the copy. Raises OSError as the guest's kernel does."""
        with _refusals():
            return _bytes(self._copy.ReadFile(path))

    def write_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file of the copy."""
        with _refusals():
            self._copy.WriteFile(path, data, mode)


@cache
def _applets(box: Path) -> frozenset[str]:
    import subprocess

    listed = subprocess.run([box, "--list"], capture_output=True, text=True, check=True)
    return frozenset(listed.stdout.split())


def _bytes(text: Any) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


def _decoded(text: Any) -> str:
    return _bytes(text).decode(errors="backslashreplace")


def copy(machine: Any) -> Copy:
    """Make a copy of an `ns.VirtualMachine` as it is now, in a callback of the simulation.

    ::

        def look():
            with ns3_qemu.copy(machine) as copy:
                print(copy.run("ss -ti").output)
                print(guest.routes(copy))

        ns3_qemu.at("1.5s", look)

    The machine's attribute `Copies` must have been set, as `pause_at` does; one with `Gdb` has it.
    There is one copy at a time. Raises VmError if there can be none: without that attribute, within
    a turn of the machine (a trace sink is), and with the attribute KeepDisks.
    """
    return Copy(machine)
