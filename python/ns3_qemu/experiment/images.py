# SPDX-License-Identifier: GPL-2.0-only
"""The images of an experiment's machines."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import busybox, recipes
from .. import packages as debian
from ..cache import Cache
from ..exec import toolbox
from ..image import Image
from ..options import add_files
from ..steps import Steps
from .model import Experiment, Host, MiB


def image(
    kernel: str,
    *,
    packages: Sequence[str] = (),
    add: Sequence[str] = (),
    tools: bool = True,
    quiet: bool = True,
    **options: Any,
) -> Path:
    """Return the directory of an image; build it, and what it needs, unless it is there.

    `packages`: Debian packages, NAME or NAME=VERSION; `add`: programs and files of this machine,
    PATH or PATH=PLACE. With `tools` there is a shell, and busybox's small programs, as for
    `ns3-qemu exec`. The options are those of `ns3_qemu.Image`. Unless it is `quiet`, what is
    fetched and built is said.
    """
    cache = Cache()
    steps = Steps(cache.logs, quiet=quiet)

    def build() -> Path:
        wanted = Image(kernel, **options)
        for each in packages:
            _fetch(cache, steps, each)
        add_files(wanted, list(add), list(packages))
        if tools:
            _add_tools(wanted, cache, steps)
        return wanted.build_in(cache, steps)

    said = [f"{key}={value!r}" for key, value in sorted(options.items())]
    words = ["experiment", kernel, "--package", *packages, "--add", *add, *said]
    words += [] if tools else ["--no-tools"]
    return recipes.ensure(cache, words, build)


def prepare(experiment: Experiment, inputs: Path) -> None:
    """Have all images of an experiment, and say what is fetched and built."""
    for name in experiment.all_nodes:
        if not experiment.is_native(name):
            machine = experiment.machine(name)
            image(machine.kernel or "", quiet=False, **options(machine, inputs))


def options(machine: Host, inputs: Path) -> dict[str, Any]:
    """Return the options of a machine's image, but for the kernel.

    `inputs`: where relative paths of what is added begin.
    """
    found: dict[str, Any] = {}
    if machine.packages:
        found["packages"] = machine.packages
    if machine.add:
        # PATH[=PLACE] of this machine as it is from everywhere.
        found["add"] = [
            each if each.startswith("/") else f"{inputs}/{each}" for each in machine.add
        ]
    if machine.memory is not None:
        found["memory_mib"] = machine.memory // MiB
    if machine.cmdline:
        found["cmdline_extra"] = machine.cmdline
    for key in ("nic", "cpu", "date", "relay", "hpet_period", "tools"):
        value = getattr(machine, key)
        if value is not None and value != Host.model_fields[key].default:
            found["hpet_period_ns" if key == "hpet_period" else key] = value
    return found


def _fetch(cache: Cache, steps: Steps, package: str) -> None:
    """Have a package in the cache; an image says so when it fetches one itself."""
    name, _, version = package.partition("=")
    debian.ensure(cache, steps, name, version or None)


def _add_tools(wanted: Image, cache: Cache, steps: Steps) -> None:
    """Add what `exec` adds, with its small programs there already and not made by the guest."""
    toolbox.add(wanted, cache, steps, whole=False)
    listed = subprocess.run(
        [busybox.ensure(cache, steps), "--list"], capture_output=True, text=True, check=True
    )
    for applet in listed.stdout.split():
        if applet not in toolbox.STARTERS:
            wanted.link(f"{toolbox.APPLETS}/{applet}", toolbox.BUSYBOX)


ENVIRONMENT = dict(variable.split("=", 1) for variable in toolbox.ENVIRONMENT)
"""What programs have, unless the experiment says otherwise."""
