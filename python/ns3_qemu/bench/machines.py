# SPDX-License-Identifier: GPL-2.0-only
"""What a machine costs that does nothing: time, its start, its memory. Without ns-3."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from . import loads, processes

if TYPE_CHECKING:
    from pathlib import Path

    from .._vm import Vm

_SECOND = 1_000_000_000


def _start(directory: Path, number: int = 0) -> Vm:
    from .._vm import Vm

    vm = Vm(
        loads.machine(directory),
        nics=[f"02:00:00:00:01:{number:02x}"],
        snapshots=str(directory / "snapshots"),
        same_cpu=True,  # as in ns-3, unless it is told otherwise
    )
    vm.start()
    return vm


def _saved_image() -> Path:
    """Return the image's directory, with a saved machine in it."""
    directory = loads.wanted_image().build()
    vm = _start(directory)
    vm.finish_boot()
    vm.end()
    return directory


def idle(*, cpus: int, simulated_s: int, samples: int) -> list[float]:
    """Case: return ms of wall time that an idle machine takes for one simulated second.

    Each sample is the mean of `simulated_s` seconds. `cpus`: on so many CPUs; 0: on all.
    """
    if cpus:
        processes.use_cpus(cpus)
    vm = _start(_saved_image())
    try:
        vm.finish_boot()
        vm.run_until(10 * _SECOND)
        result = []
        for _ in range(samples):
            begin = time.perf_counter()
            vm.run_until(vm.time + simulated_s * _SECOND)
            result.append((time.perf_counter() - begin) / simulated_s * 1e3)
        return result
    finally:
        vm.end()


def start(*, samples: int) -> list[float]:
    """Case: return the wall time in s that a machine takes from its start to simulated time 0."""
    directory = _saved_image()
    result = []
    for _ in range(samples):
        begin = time.perf_counter()
        vm = _start(directory)
        try:
            vm.finish_boot()
            result.append(time.perf_counter() - begin)
        finally:
            vm.end()
    return result


def memory(*, vms: int, simulated_s: int) -> dict[str, list[float]]:
    """Case: return MB of memory that each of `vms` machines of one image has for itself.

    "start": when all have started; "idle": after `simulated_s` idle seconds.
    """
    directory = _saved_image()
    with contextlib.ExitStack() as ends:
        machines = []
        for number in range(vms):
            vm = _start(directory, number)
            ends.callback(vm.end)
            machines.append(vm)
        for vm in machines:
            vm.finish_boot()
        result = {"start": [processes.private_mb(vm.pid) for vm in machines]}
        for vm in machines:
            vm.run_until(simulated_s * _SECOND)
        result["idle"] = [processes.private_mb(vm.pid) for vm in machines]
        return result
