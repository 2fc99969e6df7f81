# SPDX-License-Identifier: GPL-2.0-only
"""The C++ module in Python: loads it beside ns-3, and runs simulations as people expect."""

import atexit
import contextlib
import fcntl
import os
import re
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from . import bindings, headers, image
from .cache import Cache
from .errors import ImageError, VmError
from .image_spec import DEFAULT_KERNEL

__all__ = ["QemuHelper", "Run", "before_run", "guard", "load"]

_PACKAGE = Path(__file__).resolve().parent

_HEADERS = (
    "qemu-application-helper.h",
    "qemu-application.h",
    "qemu-helper.h",
    "qemu-net-device.h",
    "qemu-raw-socket.h",
    "qemu-socket-factory.h",
    "qemu-tcp-sink.h",
    "qemu-tcp-socket.h",
    "qemu-tcp-source.h",
    "qemu-udp-socket.h",
    "run-monitor.h",
    "split-command.h",
    "tcp-segment-error-model.h",
    "virtual-machine.h",
    # Without it cppyy knows what a VM's failure throws only as a std::exception without a text.
    "vm-error.h",
)

# What cppyy 3.5 says of a header with static initialisers that it has seen before; harmless.
_NOISE = b"[runStaticInitializersOnce]: Failed to materialize symbols"


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    """Keep known harmless lines out of standard error, which the interpreter writes to directly."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        original = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            lines = [line for line in captured if _NOISE not in line]
            os.write(2, b"".join(lines))


@contextlib.contextmanager
def _precompiled_headers() -> Iterator[None]:
    """Let cppyy, if it is imported within, start with ns-3's headers as far as they are there."""
    header = None if headers.VARIABLE in os.environ else headers.find(Cache())
    if header is None:
        yield
        return
    os.environ[headers.VARIABLE] = str(header)
    try:
        yield
    finally:
        # Not for other programs that this one may start.
        del os.environ[headers.VARIABLE]


@cache
def load() -> Any:
    """Load ns-3 and the qemu module; return the namespace `ns`. Takes seconds, once.

    Raises VmError if a part is missing, and BindingsError if Python's ns-3 is not the one that the
    module is built for.
    """
    library = _PACKAGE / "lib" / "libqemu-module.so"
    if not library.is_file():
        message = f"the ns-3 module is not in the installed package ({library})"
        raise VmError(message, "Install ns3-qemu again (in a checkout: make demo).")
    # ns-3's bindings look for its libraries in all that lies below the working directory, unless it
    # holds ns3 itself: from the root of a disk that takes minutes, and a second virtual environment
    # there confuses them.
    # cppyy comes before: where the interpreter looks for modules in the working directory, as with
    # -c, it would keep a path that is relative to it.
    with _precompiled_headers():
        import cppyy

    with _without_noise(), contextlib.chdir(bindings.require().parent):
        from ns import ns

        cppyy.add_include_path(str(_PACKAGE / "include"))
        for header in _HEADERS:
            cppyy.include(f"ns3/{header}")
        cppyy.load_library(str(library))
        _check_simulators(ns)
    # Python ends itself with SIGINT if nobody has caught KeyboardInterrupt, and captures would end
    # in the midst of a packet.
    atexit.register(ns.FatalImpl.FlushStreams)
    return ns


def _check_simulators(ns: Any) -> None:
    """Let the choice of a simulator that there is not be an error, and not the end of Python."""
    bind = ns.GlobalValue.Bind

    def checked(name: str, value: Any) -> None:
        if name == "SimulatorImplementationType":
            wanted = str(value.SerializeToString(ns.MakeStringChecker()))
            if not ns.LookupByNameFailSafe(wanted)[0]:
                message = (
                    f"this ns-3 has no simulator {wanted!r}: its Python package comes without the"
                    " module mpi. For a distributed simulation build ns-3 with --enable-mpi"
                )
                raise ValueError(message)
        bind(name, value)

    ns.GlobalValue.Bind = checked


def QemuHelper(  # noqa: N802 - named as in C++, whose place it takes
    kernel: str | image.Image = DEFAULT_KERNEL,
    *,
    memory_mib: int | None = None,
    extra_modules: Sequence[str] = (),
    directory: Path | None = None,
) -> Any:
    """Return an `ns.QemuHelper` for machines with this kernel.

    The image is built if it is not there yet. `kernel`: "debian:6.1", or
    "file:/path/bzImage,modules=DIR" for one of your own, or an `Image` with programs.
    `memory_mib`: of each machine, 96 unless told otherwise. `extra_modules`: to be loaded besides
    the drivers, such as "tcp_bbr". `directory`: take the image in this directory instead.

    Raises ImageError, KernelError or another Ns3QemuError that says what to do.
    """
    if directory is None:
        if not isinstance(kernel, image.Image):
            kernel = image.Image(kernel, memory_mib=memory_mib, extra_modules=extra_modules)
        elif memory_mib is not None or extra_modules:
            message = "an Image says itself what memory and modules its machines have"
            raise ImageError(message, "Give memory_mib and extra_modules to Image(...).")
        directory = kernel.build()
    return load().QemuHelper(str(directory))


# What a callback of the run has raised, and whether ns3_qemu.Run() is there to raise it.
_failures: list[BaseException] = []
_running = False


# What is to be done when all that the script makes is there, just before the simulation runs.
_before: list[Callable[[], object]] = []


def before_run(function: Callable[[], object]) -> None:
    """Let a function be called when `Run` begins, once."""
    _before.append(function)


def guard(function: Callable[..., object]) -> Callable[..., None]:
    """Return a function for ns-3 to call: what it raises ends the run, and is raised by `Run`.

    An exception cannot simply pass through ns-3, which would lose where it came from.
    """

    def guarded(*args: Any) -> None:
        if _failures:
            return  # the run is about to end
        try:
            function(*args)
        except BaseException as error:
            if not _running:
                traceback.print_exc()
                raise
            _failures.append(error)
            load().Simulator.Stop()

    return guarded


def turn() -> str:
    """Return the name of the machine that keeps its turn for long just now, or "".

    To be asked within `progress` of `Run`.
    """
    return str(load().RunMonitor.GetTurn())


def Run(  # noqa: N802 - takes the place of ns.Simulator.Run
    progress: Callable[[float], object] | None = None, interval: float = 0.1
) -> None:
    """Run the simulation; the same as `ns.Simulator.Run()`, with errors and progress in Python.

    `progress` gets the simulated time in seconds, at most once in `interval` seconds of wall time,
    also in the midst of a machine's turn that takes long. It is to look, and not to touch.
    It may be called again after a run that has been stopped, and goes on from there.

    Raises VmError with a diagnosis if a machine fails, KeyboardInterrupt on Ctrl-C, and what a
    callback (of `at`, `trace`, `Program` or `progress`) has raised; the simulation is still there
    then, until `ns.Simulator.Destroy()`.
    """
    global _running
    ns = load()
    import cppyy

    waiting = _before.copy()
    _before.clear()
    for function in waiting:
        function()
    # Kept until the end: C++ holds on to it without telling Python that it does.
    report = guard(progress) if progress else ns.RunMonitor.Progress()
    _set_progress(report, interval)
    ns.RunMonitor.ForgetInterrupt()
    _running = True
    try:
        try:
            ns.Simulator.Run()
        finally:
            # Ctrl-C during the run is raised here, where Python runs again, and not in the midst of
            # a call of C++.
            time.sleep(0)
    except SystemExit as error:
        # cppyy makes a text of the status that a signal's handler ends the process with.
        status = re.search(r"SystemExit: (\d+)$", str(error.code))
        raise SystemExit(int(status[1]) if status else error.code) from None
    except cppyy.gbl.std.exception as error:
        raise VmError(_said(error)) from None
    finally:
        _running = False
        _set_progress(ns.RunMonitor.Progress(), interval)
        failures = _failures.copy()
        _failures.clear()
    if failures:
        raise failures[0]
    _check_room()


def destroy() -> None:
    """Destroy the simulation, as `ns.Simulator.Destroy()`.

    Raises VmError if what has been recorded could not be written.
    """
    ns = load()
    import cppyy

    try:
        ns.Simulator.Destroy()
    except cppyy.gbl.std.exception as error:
        raise VmError(_said(error)) from None


def _said(error: BaseException) -> str:
    """Return what an exception of C++ says: before it, cppyy puts function and type."""
    return str(error).partition(": ")[2]


def _set_progress(report: object, interval: float) -> None:
    """Say to whom the run reports.

    While it turns a function of Python into one of C++, cppyy takes whatever a signal's handler
    raises for a sign that it cannot be done.
    """
    monitor = load().RunMonitor
    try:
        monitor.SetProgress(report, interval)
    except TypeError:
        monitor.SetProgress(report, interval)
        raise KeyboardInterrupt from None


_ROOM = 1 << 16
"""Bytes: more than a capture's stream of ns-3 holds back."""


def _check_room() -> None:
    """Raise VmError if a file that this process writes is on a file system that is full.

    ns-3 does not look whether its captures and traces are written: they would just end early.
    """
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError, ValueError):
            number = int(link.name)
            status = os.fstat(number)
            writes = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
            if not (writes and stat.S_ISREG(status.st_mode) and status.st_nlink):
                continue
            room = os.fstatvfs(number)
            if room.f_blocks and room.f_bavail * room.f_frsize < _ROOM:
                message = (
                    f"the file system of {link.readlink()} is full: what this run has recorded"
                    " there may end before the simulation did"
                )
                raise VmError(message, "Make room there, and run it again.")
