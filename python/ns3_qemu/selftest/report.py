# SPDX-License-Identifier: GPL-2.0-only
"""What a selftest says: a table, and one line to be compared with another machine's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from .. import __version__, toolchain
from ..cache import Cache
from .circumstances import NO_FMA, OTHER_RUN, has_fma
from .configurations import CONFIGURATIONS
from .suite import Outcome, Suite


def of(outcomes: Sequence[Outcome], configuration: str) -> list[Outcome]:
    """Return the outcomes of a configuration that have to be the same."""
    others = {OTHER_RUN}
    if CONFIGURATIONS[configuration].uses_libm:
        others.add(NO_FMA)
    mine = [outcome for outcome in outcomes if outcome.configuration == configuration]
    return [outcome for outcome in mine if outcome.circumstance not in others]


def _compared(outcomes: Sequence[Outcome], configuration: str, circumstance: str) -> str:
    """Say whether a circumstance gives the same as all others."""
    usual = hashes(of(outcomes, configuration))
    for each in outcomes:
        if (each.configuration, each.circumstance) == (configuration, circumstance):
            return "the same" if each.digest in usual else "another" if each.digest else ""
    return ""


def hashes(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the different digests, the first one first."""
    return list(dict.fromkeys(outcome.digest for outcome in outcomes if outcome.digest))


def table(suite: Suite) -> Table:
    """Return the table of configurations."""
    made = Table(
        *("run", "", "hashes", "runs", "files", "kB", "hash", "another RngRun", NO_FMA),
        box=None,
        pad_edge=False,
    )
    for configuration in suite.configurations:
        runs = of(suite.outcomes, configuration.name)
        found = hashes(runs)
        first = next((run for run in runs if run.digest), None)
        good = len(found) == 1 and all(run.digest for run in runs)
        made.add_row(
            configuration.name,
            configuration.about,
            f"[{'green' if good else 'red'}]{len(found)}[/]",
            str(len(runs)),
            str(len(first.files)) if first else "",
            f"{first.bytes / 1000:.0f}" if first else "",
            found[0][:16] if found else "",
            _compared(suite.outcomes, configuration.name, OTHER_RUN),
            _compared(suite.outcomes, configuration.name, NO_FMA),
        )
    return made


def line(suite: Suite) -> str:
    """Return one line that is the same on another machine if all results are.

    It says what it is a hash over: QEMU's build, images, ns-3, seed, results.
    """
    qemu = toolchain.find(Cache())
    assert qemu
    build = hashlib.sha256(msgspec.json.encode(qemu.manifest)).hexdigest()[:8]
    images = hashlib.sha256(msgspec.json.encode(sorted(suite.digests.items()))).hexdigest()[:8]
    results = {each.name: hashes(of(suite.outcomes, each.name)) for each in suite.configurations}
    inputs = f"QEMU {qemu.manifest.version} (build {build}), {len(suite.digests)} images ({images})"
    what = f"{inputs}, ns3-qemu {__version__}, RngSeed 1, RngRun 1, {len(results)} configurations"
    what += f", a CPU {'with' if has_fma() else 'without'} FMA"
    whole = hashlib.sha256(f"{what} {sorted(results.items())}".encode()).hexdigest()
    return f"reproducibility {whole[:32]} of {what}"


def document(suite: Suite) -> dict[str, Any]:
    """Return all there is, for --json."""
    return {
        "line": line(suite),
        "images": suite.digests,
        "left_out": suite.left_out,
        "problems": suite.problems,
        "outcomes": suite.outcomes,
    }


def write(file: Path, suite: Suite) -> None:
    """Write all there is as JSON."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(document(suite)), indent=2) + b"\n")
