# SPDX-License-Identifier: GPL-2.0-only
"""Makes runs, each in a process of its own, forked from this one, which has loaded ns-3.

A line of JSON says what to run, one answers which process does, and one how it has ended. So what
is said when this process is started (environment, user ...) holds for all its runs.
"""

from __future__ import annotations

import ctypes
import locale
import math
import os
import signal
import socket
import struct
import sys
import time
import traceback
import zlib
from pathlib import Path
from typing import Any

import msgspec

from ..simulation import load
from .configurations import CONFIGURATIONS
from .images import IMAGES
from .run import Run

_PR_SET_PDEATHSIG = 1

_STEPS = range(20_000)


class Order(msgspec.Struct):
    """What to run, and where."""

    configuration: str
    directory: str
    """Its results; beside it go `errors` and `witness.json`."""
    images: dict[str, str] = {}
    """Directories by name; what is not there is built."""
    settings: dict[str, Any] = {}


def _witness(order: Order, qemu_preloaded: bool | None, forked: int, warmed: int) -> dict[str, Any]:
    """Return what can be seen of the circumstances."""
    library = "libns3-qemu-selftest-host.so"
    preloaded = library in Path("/proc/self/maps").read_text()
    shown = ctypes.CDLL(None).ns3_qemu_selftest_cpu() if preloaded else 0
    return {
        "date": time.time(),
        "cpus": len(os.sched_getaffinity(0)),
        "cpus_shown": os.sysconf("SC_NPROCESSORS_ONLN"),
        "nice": os.nice(0),
        "user": os.getuid(),
        "host": socket.gethostname(),
        "home": os.environ.get("HOME"),
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "environment": sum(len(value) for value in os.environ.values()),
        "settings": order.settings,
        "forked": forked,
        "warmed": warmed,
        "preloaded": preloaded,
        "qemu_preloaded": qemu_preloaded,
        "other_cpu": shown,
        # One in 1,500 is another in the last bit where there is no FMA.
        "exponential": zlib.crc32(b"".join(struct.pack("=d", math.exp(n / 577)) for n in _STEPS)),
    }


def _is_preloaded(run: Run) -> bool | None:
    """Say whether the machines are shown what this process is shown; None if it is not known."""
    try:
        maps = [Path(f"/proc/{machine.GetPid()}/maps").read_text() for machine in run.machines]
    except PermissionError:  # they are another user's by then
        return None
    return all("libns3-qemu-selftest-host.so" in text for text in maps) if maps else None


def _count_forked(run: Run) -> int:
    """Return how many machines were forked: they have the command of another process."""
    commands = [Path(f"/proc/{machine.GetPid()}/cmdline").read_bytes() for machine in run.machines]
    return sum(b",zygote=" in command for command in commands)


def _count_warmed(run: Run) -> int:
    """Return how many blocks of code have been translated before machines were forked."""
    cppyy = run.ns.cppyy
    cppyy.include("ns3/vm-zygote.h")
    return sum(cppyy.gbl.ns3qemu.VmZygotes.Get().GetBlocks())


def _simulate(order: Order) -> None:
    """Make a run in this process, which is for nothing else."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    directory = Path(order.directory)
    directory.mkdir(parents=True)
    for number, file in ((1, directory / "output"), (2, directory.parent / "errors")):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(directory)
    configuration = CONFIGURATIONS[order.configuration]
    images = {
        name: order.images.get(name) or str(IMAGES[name]().build()) for name in configuration.images
    }
    run = Run(images, order.settings)
    configuration.simulate(run)
    witness = _witness(order, _is_preloaded(run), _count_forked(run), _count_warmed(run))
    (directory.parent / "witness.json").write_bytes(msgspec.json.encode(witness))
    run.ns.Simulator.Destroy()


def _run(order: Order) -> int:
    try:
        _simulate(order)
    except BaseException:  # noqa: BLE001 - this process has nothing else to do
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main() -> None:
    """Carry out orders until there are no more."""
    locale.setlocale(locale.LC_ALL, "")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    load()
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        child = os.fork()
        if child == 0:
            answers.close()
            sys.exit(_run(order))  # as a script ends: what it has written goes to its files
        answers.write(msgspec.json.encode({"pid": child}) + b"\n")
        _, status = os.waitpid(child, 0)
        answers.write(msgspec.json.encode({"status": os.waitstatus_to_exitcode(status)}) + b"\n")


if __name__ == "__main__":
    main()
