# SPDX-License-Identifier: GPL-2.0-only
"""What it was measured on: the machine, and the versions of what ran."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from .. import __version__
from ..image import Manifest
from . import processes


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that measured."""

    cpu: str
    cpus_usable: int
    memory_available_mb: float
    """When the measurements began; 10^6 bytes."""
    load_average: float
    """Of the minute before they began. On a quiet machine it is near 0."""
    kernel: str


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """What ran."""

    ns3_qemu: str
    ns3: str
    qemu: str
    guest_kernel: str
    python: str


def machine() -> Machine:
    """Describe this machine."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return Machine(
        cpu=model[1] if model else platform.machine(),
        cpus_usable=len(os.sched_getaffinity(0)),
        memory_available_mb=round(processes.available_mb()),
        load_average=os.getloadavg()[0],
        kernel=platform.release(),
    )


def versions(image: Path) -> Versions:
    """Return the versions of what runs with an image, which is a directory."""
    manifest = msgspec.json.decode((image / "manifest.json").read_bytes(), type=Manifest)
    return Versions(
        ns3_qemu=__version__,
        ns3=version("ns3"),
        qemu=manifest.qemu_version,
        guest_kernel=manifest.kernel_name,
        python=platform.python_version(),
    )


def now() -> str:
    """Return the date and time in UTC, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
