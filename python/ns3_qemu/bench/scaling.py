# SPDX-License-Identifier: GPL-2.0-only
"""How wall time grows with the number of machines.

Under load each machine sends TCP to its peer (in pairs) or to the next one (in a star) over links
whose rate leaves each connection 1 Mbit/s of payload: so nothing but the kernels' own TCP sets the
pace, and no machine needs turns for that alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from .network import Link, Network, Topology, Window

Load = Literal["idle", "load"]

_IDLE_LINK = Link(rate="10Mbps", delay="5ms", queue="100p")

#: A frame of 1502 bytes has 1448 of payload, and acknowledgements share the link with the data of
#: the other direction: that leaves some 1 Mbit/s.
_LOADED_LINK = Link(rate="1.1Mbps", delay="5ms", queue="20p")

#: simulated s before anything is measured: connections open and find their rate
_WARM_UP = 3.0

_FIRST_START = 0.1
#: Connections open one after the other, within a second and a half, or all would move in step.
_START_SPAN = 1.5


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What a case returns."""

    start_s: float
    """Wall time until all machines were ready."""
    windows: list[Window] = []
    memory_mb: float = 0
    """Of all machines, at the end."""
    private_mb: float = 0
    """That a machine has for itself at the end, the median of all."""
    received_bps: list[float] = []
    """Payload that each connection has brought, in bit/s since it opened."""


def run(
    *,
    vms: int,
    topology: Topology,
    load: Load,
    parallel: bool,
    simulated_s: float,
    samples: int,
    pcap: str = "",
) -> Sample:
    """Case: measure `samples` windows of `simulated_s` each, one after the other.

    `pcap`: a directory for a capture of each device; "": none.
    """
    network = Network(
        vms=vms,
        topology=topology,
        link=_LOADED_LINK if load == "load" else _IDLE_LINK,
        parallel=parallel,
        pcap=Path(pcap) if pcap else None,
    )
    try:
        starts = [_FIRST_START + _START_SPAN * i / vms for i in range(vms)]
        if load == "load":
            for i, start in enumerate(starts):
                network.connect(i, _peer(i, vms, topology), start)
        start_s = network.start()
        if not samples:
            return Sample(start_s=start_s)
        network.run(_WARM_UP)
        windows = [network.run(simulated_s) for _ in range(samples)]
        end = _WARM_UP + simulated_s * samples
        return Sample(
            start_s=start_s,
            windows=windows,
            memory_mb=network.memory_mb(),
            private_mb=network.private_mb(),
            received_bps=[
                8 * received / (end - start)
                for received, start in zip(network.received(), starts, strict=False)
            ],
        )
    finally:
        network.end()


def _peer(number: int, vms: int, topology: Topology) -> int:
    return number ^ 1 if topology == "pairs" else (number + 1) % vms
