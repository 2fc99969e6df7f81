# SPDX-License-Identifier: GPL-2.0-only
"""Whole runs of the validation's scenarios, with machines and with ns-3's own TCP."""

import tempfile
from pathlib import Path

from .. import bottleneck
from ..scenario import read
from ..validation import data

#: ns-3's own TCP that stands in for Linux
NATIVE = "ns3:TcpLinuxReno"


def run(*, name: str, native: bool, duration: str | None = None) -> dict[str, float]:
    """Case: simulate a scenario once; return "wall_s" and "simulated_s".

    The wall time is without start-up and without analysis. `native`: both hosts have ns-3's own
    TCP. `duration`: in place of the scenario's.
    """
    settings = []
    if native:
        settings += [f"hosts.sender={NATIVE}", f"hosts.receiver={NATIVE}"]
    if duration:
        settings.append(f"duration={duration}")
    scenario = read(data.scenarios()[name], settings)
    with tempfile.TemporaryDirectory(prefix="ns3-qemu-bench-") as out:
        outcome = bottleneck.simulate(scenario, Path(out))
    return {"wall_s": outcome.wall_s, "simulated_s": outcome.end_ns / 1e9}
