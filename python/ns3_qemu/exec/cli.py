# SPDX-License-Identifier: GPL-2.0-only
"""The command `ns3-qemu exec`."""

from __future__ import annotations

import contextlib
import os
import re
import select
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .. import packages, recipes
from ..cache import Cache
from ..errors import Ns3QemuError
from ..image import Image
from ..image_spec import DEFAULT_KERNEL, ImageSpec
from ..options import (
    KERNEL,
    Add,
    Disk,
    Modules,
    Package,
    Rootfs,
    add_disks,
    add_files,
    kernel_spec,
    of_image,
    several,
)
from ..steps import Steps
from . import fetch, toolbox
from .errors import FAILED
from .machine import OUT, Command, Outcome
from .session import CONSOLE, ERRORS, OUTPUT, Session, directory_of

if TYPE_CHECKING:
    from collections.abc import Callable

_SECOND = 10**9
_UNITS = {
    "": _SECOND,
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "min": 60 * _SECOND,
    "h": 3600 * _SECOND,
    "d": 86400 * _SECOND,
}
_LONGEST = 10 * 365 * 86400 * _SECOND

# Seconds after which a user is told that there is something to wait for.
_PATIENCE = 2.0

_BROKEN_PIPE, _INTERRUPTED = 128 + 13, 128 + 2


def exec_(
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND", help="A program of the guest, and its arguments."),
    ],
    kernel: Annotated[
        list[str] | None,
        several(
            "--kernel",
            "KERNEL",
            f"{KERNEL} The command runs on each. Usually {DEFAULT_KERNEL}.",
        ),
    ] = None,
    modules: Modules = None,
    add: Add = None,
    package: Package = None,
    rootfs: Rootfs = None,
    disk: Disk = None,
    memory: Annotated[int | None, of_image("memory_mib")] = ImageSpec.memory_mib,
    cpu: Annotated[str, of_image("cpu")] = ImageSpec.cpu,
    time_limit: Annotated[
        str,
        typer.Option(
            "--time-limit",
            metavar="TIME",
            help="Simulated time that the command may take; then it ends with status 124.",
        ),
    ] = "1h",
    repeat: Annotated[
        int,
        typer.Option(
            "--repeat", metavar="N", min=1, help="Run it so often, and compare what it writes."
        ),
    ] = 1,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", min=0, help="Of everything random in the guest."),
    ] = 1,
    get: Annotated[
        list[str] | None,
        several(
            "--get",
            "PATH",
            "A file or directory of the guest to bring back when the command has ended.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help=f"Where that goes (else the working directory), with {OUTPUT}, {ERRORS} and "
            f"{CONSOLE}, what the kernel says.",
        ),
    ] = None,
) -> None:
    """Run a command in a guest in simulated time, and end with its exit status.

    Waiting takes no time, and how busy this machine is changes nothing. Standard input is read to
    its end first, unless it is a terminal.
    """
    kernels = kernel or [DEFAULT_KERNEL]
    specs = [kernel_spec(each, modules) for each in kernels]
    _check_names(kernels, get or [])
    limit = _nanoseconds(time_limit)
    if (add and any(each in ("", "=") for each in add)) or not command[0]:
        message = "an empty name"
        raise typer.BadParameter(message)
    wanted = Command(tuple(command), _standard_input(), limit, seed, tuple(get or ()))
    session = Session(wanted, repeat, _say, out, several=len(specs) > 1)
    try:
        outcomes = {}
        for i, (name, spec) in enumerate(zip(kernels, specs, strict=True)):
            directory = _image(spec, add, package, rootfs, disk, memory, cpu)
            run = _runner(directory, wanted, shown=i == 0)
            outcomes[name] = session.repeated(name, run)
        if len(outcomes) > 1:
            for line in session.summary(outcomes):
                _say(line, plain=True)
    except Ns3QemuError as error:
        error.status = FAILED
        raise
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(_BROKEN_PIPE) from None
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    raise typer.Exit(next((each.status for each in outcomes.values() if each.status), 0))


def _check_names(kernels: Sequence[str], get: Sequence[str]) -> None:
    """Raise an error if two things would go to one place."""
    for what, names in (
        ("--kernel", [directory_of(each) for each in kernels]),
        ("--get", [OUTPUT, ERRORS, CONSOLE, *map(fetch.name_of, get)]),
    ):
        double = [name for name in names if names.count(name) > 1]
        if double:
            message = f"there are two of the name {double[0]}"
            raise typer.BadParameter(message, param_hint=what)


def _nanoseconds(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)", text)
    if match and match[2] in _UNITS:
        nanoseconds = round(float(match[1]) * _UNITS[match[2]])
        if 0 < nanoseconds <= _LONGEST:
            return nanoseconds
    message = f"{text!r} is no time above 0 and up to 10 years: give for example 90s, 10min or 1h"
    raise typer.BadParameter(message, param_hint="--time-limit")


def _standard_input() -> bytes:
    """Read all that is piped in. It is the command's at time 0, however quickly it has come."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:  # closed
        return b""
    if stat.S_ISCHR(mode):
        return b""  # a terminal, or /dev/null
    if not stat.S_ISREG(mode) and not select.select([0], [], [], _PATIENCE)[0]:
        _say("waiting for the end of standard input; give </dev/null if it has none")
    with os.fdopen(0, "rb", closefd=False) as file:
        return file.read()


def _image(
    spec: str,
    add: list[str] | None,
    package: list[str] | None,
    rootfs: Path | None,
    disk: list[str] | None,
    memory: int | None,
    cpu: str,
) -> Path:
    """Return the image's directory; build it, and what it needs, unless it is there."""
    cache = Cache()
    steps = Steps(cache.logs, quiet=not sys.stderr.isatty())

    def build() -> Path:
        wanted = Image(spec, rootfs=rootfs, memory_mib=memory, cpu=cpu)
        for each in package or ():  # an image says so when it fetches one itself
            name, _, version = each.partition("=")
            packages.ensure(cache, steps, name, version or None)
        add_files(wanted, add, package)
        add_disks(wanted, disk)
        toolbox.add(wanted, cache, steps, whole=rootfs is not None)
        return wanted.build_in(cache, steps)

    said = ("exec", spec, *(add or ()), "--package", *(package or ()), "--disk", *(disk or ()))
    return recipes.ensure(cache, [*said, "--rootfs", str(rootfs), str(memory), cpu], build)


def _runner(directory: Path, command: Command, *, shown: bool) -> Callable[[bool], Outcome]:
    from . import machine

    def run(first: bool) -> Outcome:
        with _progress() as progress:
            show = _show if shown and first else _ignore
            return machine.run(directory, command, show, progress)

    return run


def _show(stream: int, data: bytes) -> None:
    target = sys.stdout if stream == OUT else sys.stderr
    target.flush()
    while data:
        data = data[os.write(target.fileno(), data) :]


def _ignore(_stream: int, _data: bytes) -> None:
    pass


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Show the simulated time where nothing else is shown: the output is not the terminal's."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _time: None
        return
    with Console(stderr=True, highlight=False).status("booting") as status:
        yield lambda time: status.update(f"{time / 1e9:.3f} s of simulated time")


def _say(text: str, *, plain: bool = False) -> None:
    """Tell the user something that is not the command's."""
    print(text if plain else f"ns3-qemu: {text}", file=sys.stderr, flush=True)
