# SPDX-License-Identifier: GPL-2.0-only
"""What being driven costs: the same saved machine does the same driven by a simulation and alone.

Alone, QEMU runs it as it runs any machine under icount: its clock counts instructions, and skips
what it would sleep. The load starts with the same request to the relay, and ends by switching the
machine off. All CPU time counts, QEMU's and the simulator's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import VmError
from . import loads, processes

if TYPE_CHECKING:
    from .._vm import VmImage

#: simulated time until which a driven guest must have ended, ns
_LIMIT = 10**15

#: wall time that a guest may take alone, s
_PATIENCE = 600

#: relay-protocol.h: RelayHeader, RELAY_PROCESS_START, RelayProcessStart
_HEADER, _PROCESS_START, _START = struct.Struct("<IHHIi"), 0x50, struct.Struct("<III")

#: what the driver says of a guest that has done so
OFF = "the guest has switched itself off"


def compare(*, load: str, short: int, long: int, samples: int) -> dict[str, dict[str, list[float]]]:
    """Case: return CPU s by way ("driven", "alone") and length ("short", "long") of a load.

    `load`: "sleep" or "count", see python/bench-guest; `short`, `long`: its argument. What the long
    one takes longer than the short one is without start and end of machine. All take turns.
    """
    # QEMU alone is to end, too, if somebody ends this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = loads.wanted_image().build()
    machine = loads.machine(directory)
    with tempfile.TemporaryDirectory(prefix="ns3-qemu-bench-") as work:
        saved = _save(machine, Path(work) / "snapshots")
        result: dict[str, dict[str, list[float]]] = {
            way: {"short": [], "long": []} for way in ("driven", "alone")
        }
        for _ in range(samples):
            for length, number in (("short", short), ("long", long)):
                arguments = [loads.PROGRAM, load, str(number)]
                result["driven"][length].append(_drive(machine, saved, arguments))
                result["alone"][length].append(_run_alone(machine, saved, arguments))
        return result


def _save(machine: VmImage, store: Path) -> Path:
    """Save a machine without NICs; return its directory."""
    from .._vm import Vm

    vm = Vm(machine, snapshots=str(store))
    vm.finish_boot()
    vm.end()
    (saved,) = store.glob("*/manifest")
    return saved.parent


def _drive(machine: VmImage, saved: Path, arguments: Sequence[str]) -> float:
    """Drive a machine to the end of its load, with a turn at each deadline; return CPU s."""
    from .._vm import Vm

    before = processes.own_cpu_s()
    vm = Vm(machine, snapshots=str(saved.parent))
    try:
        vm.finish_boot()
        vm.relay.start_process(arguments)
        vm.run_until(_LIMIT)
    except VmError as error:
        if OFF not in error.message:
            raise
    else:
        message = "the guest's load has not ended"
        raise VmError(message)
    finally:
        vm.end()
    return processes.own_cpu_s() - before


def _run_alone(machine: VmImage, saved: Path, arguments: Sequence[str]) -> float:
    """Let QEMU run a saved machine by itself to the end of its load; return CPU s."""
    with tempfile.TemporaryDirectory(prefix="ns3-qemu-bench-") as work, contextlib.ExitStack() as e:
        # Not a file: the guest would see its end, and wake for it again and again.
        port = Path(work) / "relay"
        for end in ("in", "out"):
            os.mkfifo(f"{port}.{end}")
            e.callback(os.close, os.open(f"{port}.{end}", os.O_RDWR | os.O_NONBLOCK))
        requests = os.open(f"{port}.in", os.O_RDWR | os.O_NONBLOCK)
        e.callback(os.close, requests)
        os.write(requests, start_request(arguments))
        before = processes.own_cpu_s()
        run = subprocess.run(
            restore_command(machine, saved, port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        if run.returncode != 0:
            message = f"QEMU alone ended with status {run.returncode}: {run.stderr.strip()}"
            raise VmError(message)
        return processes.own_cpu_s() - before


def start_request(arguments: Sequence[str]) -> bytes:
    """Return the message to the relay that starts a program."""
    texts = b"".join(text.encode() + b"\0" for text in ("", *arguments))
    body = _START.pack(0, len(arguments), 0) + texts
    return _HEADER.pack(len(body), _PROCESS_START, 0, 1, 0) + body


def restore_command(machine: VmImage, saved: Path, port: Path) -> list[str]:
    """Return QEMU's command for a saved machine that runs by itself.

    `port`: its relay's port is the pipes `port`.in and `port`.out.
    """
    files = (
        f"size={machine.memory_mib}M,reserve=off,mem-path={saved}/ram,share=off,readonly=on,rom=off"
    )
    return [
        *machine.command,
        *("-m", str(machine.memory_mib)),
        *("-chardev", f"pipe,id=relay,path={port}"),
        *("-chardev", "null,id=console"),
        *("-object", f"memory-backend-file,id=ram,{files}"),
        *("-machine", "memory-backend=ram"),
        *("-global", "migration.x-ignore-shared=on"),
        *("-global", "migration.announce-rounds=0"),
        *("-incoming", f"file:{saved}/state"),
        *("-seed", "1"),
    ]
