# SPDX-License-Identifier: GPL-2.0-only
"""CPU time and memory of processes, as Linux counts them."""

import os
import re
import resource
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def own_cpu_s() -> float:
    """Return the CPU time in s of this process and of its children that have been waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU time in s that running processes have used, to 10 ms each."""
    ticks = 0
    for pid in pids:
        # The name in brackets may hold anything; utime and stime are fields 14 and 15.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def memory_mb(pid: int, keys: Sequence[str]) -> float:
    """Return the sum of some of a process's counts ("Pss", "Private_Dirty") in MB (10^6 bytes)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE))
    return sum(int(found[key]) for key in keys) * 1024 / 1e6


def private_mb(pid: int) -> float:
    """Return the memory in MB that a process has for itself."""
    return memory_mb(pid, ("Private_Clean", "Private_Dirty"))


def pss_mb(pid: int) -> float:
    """Return a process's memory in MB, with its share of what it shares."""
    return memory_mb(pid, ("Pss",))


def zygotes(machines: Iterable[int]) -> list[int]:
    """Return the children of this process that its machines were forked from."""
    children = [
        int(child)
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [
        pid
        for pid in set(children) - set(machines)
        if b",zygote=" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def available_mb() -> float:
    """Return how much memory in MB this machine could still give to programs."""
    text = Path("/proc/meminfo").read_text()
    match = re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) * 1024 / 1e6 if match else 0


def most_open_files() -> int:
    """Return how many open files this process could allow itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def use_cpus(number: int) -> None:
    """Keep this process, and all that it starts, on the first so many of the CPUs it may use."""
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, usable[:number])


def own_pid() -> int:
    """Return this process's number."""
    return os.getpid()
