# SPDX-License-Identifier: GPL-2.0-only
"""What must not make a difference to a run: circumstances in which it is made again.

Each says how it can be seen to be there: a circumstance that changes nothing would show nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

#: what a run's process says of itself, see `process.witness`
Witness = Mapping[str, Any]

#: the first runs, with which all others are compared
PLAIN = "plain"

#: the same but for RngRun, which must give other results
OTHER_RUN = "RngRun"

#: the mathematics of the C library is another
NO_FMA = "no FMA"

_LIBRARY = Path(__file__).resolve().parent / "libns3-qemu-selftest-host.so"

#: s; ten years
_LATER = 315_360_000

# Of a CPU; see glibc's manual, 38.6.
_TUNABLES = "glibc.cpu.hwcaps=-AVX,-AVX2,-BMI1,-BMI2,-FMA,-FMA4,-LZCNT,-MOVBE,-POPCNT,-ERMS,-FSRM"

# Names that mean the same to all: what they have in a user namespace of their own.
_USER = "4711"

_AS_ANOTHER = (
    "unshare --map-root-user --uts sh -c "
    "'echo elsewhere >/proc/sys/kernel/hostname && "
    f'exec unshare --user --map-user={_USER} --map-group={_USER} "$@"\' sh'
)


@dataclass(frozen=True)
class Circumstance:
    """How a process that makes runs is started, and what happens to it meanwhile."""

    name: str
    about: str
    prefix: tuple[str, ...] = ()
    """What starts its program."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Besides what there is."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the runs: `run` (RngRun), `attributes` (of machines: text by name)."""
    files: int = 0
    """How many files it inherits."""
    one_cpu: bool = False
    nice: int = 0
    busy: bool = False
    """All CPUs have other work."""
    stopped: bool = False
    """Simulator and machines are stopped at random moments (SIGSTOP), and go on."""
    elsewhere: bool = False
    """Another working directory and home, with long names."""
    fresh: bool = False
    """An empty cache: images are built, machines boot and are saved."""
    shares: bool = False
    """Nothing but its settings is different: it needs no process of its own."""
    is_there: Callable[[Witness, Witness], bool] = lambda _plain, _here: True
    """Whether the circumstance is seen in a witness; the first is that of plain runs."""
    missing: Callable[[], str] = lambda: ""
    """Why it is not to be had on this machine, or "" if it is."""


def _preloaded(witness: Witness) -> bool:
    return bool(witness["preloaded"]) and witness["qemu_preloaded"] is not False


def _shows(name: str) -> Callable[[Witness, Witness], bool]:
    return lambda plain, here: plain[name] != here[name]


def _later(plain: Witness, here: Witness) -> bool:
    return _preloaded(here) and here["date"] - plain["date"] > _LATER // 2


@cache
def _without_library() -> str:
    return "" if _LIBRARY.is_file() else f"{_LIBRARY} is not in the installed package"


@cache
def _without_namespaces() -> str:
    command = ["sh", "-c", f"exec {_AS_ANOTHER} true"]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return ""
    return "user namespaces are not allowed here"


@cache
def _without_time() -> bool:
    command = ["unshare", "--map-root-user", "--time", "--monotonic", "1000", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


@cache
def _without_cpuid() -> str:
    flags = Path("/proc/cpuinfo").read_text().split()
    return _without_library() or ("" if "cpuid_fault" in flags else "this CPU cannot trap CPUID")


@cache
def has_fma() -> bool:
    """Say whether the C library has code of its own for this CPU."""
    return "fma" in Path("/proc/cpuinfo").read_text().split()


def _locale(work: Path) -> dict[str, str]:
    """Return a locale with a comma in its numbers; make one in `work` if there is none."""
    asked = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False)
    commas = ("de_", "es_", "fr_", "it_", "pl_", "ru_", "tr_")
    for name in asked.stdout.split():
        if name.startswith(commas):
            return {"LC_ALL": name}
    made = work / "locales" / "de_DE.UTF-8"
    made.parent.mkdir(parents=True, exist_ok=True)
    command = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(made)]
    if shutil.which("localedef") and subprocess.run(command, check=False).returncode == 0:
        return {"LC_ALL": made.name, "LOCPATH": str(made.parent)}
    return {"LC_ALL": "C"}


def preload(**values: str) -> dict[str, str]:
    """Return the environment in which a host seems to be another one."""
    shown = {f"NS3_QEMU_SELFTEST_{name}": value for name, value in values.items()}
    return {"LD_PRELOAD": str(_LIBRARY), **shown}


def _environment(work: Path) -> dict[str, str]:
    return {
        **_locale(work),
        "TZ": "Pacific/Kiritimati",
        "PYTHONHASHSEED": "4711",
        "TERM": "dumb",
        **{f"NS3_QEMU_SELFTEST_PADDING_{n}": "x" * 5000 for n in range(20)},
    }


def _date() -> Circumstance:
    words = ("--map-root-user", "--time", "--monotonic", "10000000", "--boottime", "10000000")
    return Circumstance(
        "date",
        "the host's date is ten years later, it has been up for longer",
        prefix=() if _without_time() else ("unshare", *words),
        environment=preload(DATE=str(_LATER)),
        is_there=_later,
        missing=_without_library,
    )


def circumstances(repeats: int, work: Path) -> list[Circumstance]:
    """Return all, plain runs first, of which there are `repeats`. `work`: for what they need."""
    return [
        Circumstance(PLAIN, "one after the other, nothing else"),
        *(
            Circumstance(f"repeat {n}", "the same again; other entropy, addresses, process ids")
            for n in range(2, repeats + 1)
        ),
        Circumstance("busy", "every CPU has two other things to do", busy=True),
        Circumstance(
            "one CPU",
            "simulator and machines on one CPU",
            one_cpu=True,
            is_there=lambda _, here: bool(here["cpus"] == 1),
        ),
        Circumstance("nice", "nice 19", nice=19, is_there=_shows("nice")),
        Circumstance(
            "stopped", "SIGSTOP and SIGCONT of QEMU and simulator at random moments", stopped=True
        ),
        Circumstance(
            "elsewhere",
            "other working directory, other HOME, 500 open files",
            elsewhere=True,
            files=500,
            is_there=lambda plain, here: _shows("home")(plain, here) and here["files"] > 500,
        ),
        Circumstance(
            "user",
            "another user and group id, another host name",
            prefix=("sh", "-c", f'exec {_AS_ANOTHER} "$@"', "sh"),
            is_there=lambda plain, here: here["user"] == int(_USER) and _shows("host")(plain, here),
            missing=_without_namespaces,
        ),
        Circumstance(
            "environment",
            "another locale and time zone, 100 kB of variables",
            environment=_environment(work),
            is_there=_shows("environment"),
        ),
        _date(),
        Circumstance(
            "size",
            "61 CPUs and 61 GiB, as the C library says it",
            environment=preload(SIZE="61"),
            is_there=lambda _, here: _preloaded(here) and here["cpus_shown"] == 61,
            missing=_without_library,
        ),
        Circumstance(
            "parallel",
            "machines have turns at the same time",
            settings={"attributes": {"Parallel": "true"}},
            shares=True,
            is_there=lambda _, here: here["settings"] != {},
        ),
        Circumstance(
            "not forked",
            "each machine's process is started by itself",
            settings={"attributes": {"Fork": "false"}},
            shares=True,
            is_there=lambda plain, here: plain["forked"] > 0 and here["forked"] == 0,
        ),
        Circumstance(
            "warmed",
            "machines share code that was translated before they were forked",
            settings={"attributes": {"WarmAfter": "0"}},
            shares=True,
            # Of three machines of a kind the last shares code anyway.
            is_there=lambda _, here: here["warmed"] > 0 or here["forked"] == 0,
        ),
        Circumstance(
            "fresh", "an empty cache: images built, machines booted and saved", fresh=True
        ),
        Circumstance(
            "CPU",
            "QEMU sees a CPU of another make without AVX, BMI, FMA; empty cache",
            environment=preload(CPU="1"),
            fresh=True,
            is_there=lambda _, here: _preloaded(here) and bool(here["other_cpu"]),
            missing=_without_cpuid,
        ),
        Circumstance(
            NO_FMA,
            "the C library takes what it has for CPUs without FMA, AVX and others",
            environment={"GLIBC_TUNABLES": _TUNABLES},
            is_there=_shows("exponential"),
            missing=lambda: "" if has_fma() else "this CPU has no FMA",
        ),
    ]


def command(circumstance: Circumstance, program: list[str]) -> list[str]:
    """Return what starts a program in these circumstances."""
    arguments = [*circumstance.prefix, *program]
    if circumstance.nice:
        arguments = ["nice", "-n", str(circumstance.nice), *arguments]
    if circumstance.one_cpu:
        arguments = ["taskset", "-c", str(min(os.sched_getaffinity(0))), *arguments]
    return arguments


def busy_processes() -> list[subprocess.Popen[bytes]]:
    """Start what keeps each CPU busy, twice."""
    command = [sys.executable, "-c", "while True: pass"]
    return [subprocess.Popen(command) for _ in range(2 * len(os.sched_getaffinity(0)))]
