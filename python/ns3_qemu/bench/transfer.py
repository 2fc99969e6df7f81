# SPDX-License-Identifier: GPL-2.0-only
"""TCP between two machines in ns-3, as fast as a link of 1 Gbit/s and 1 ms lets it."""

from .network import Link, Network

_LINK = Link(rate="1Gbps", delay="1ms", queue="1000p")

#: simulated s in which the connection opens and finds its rate
_WARM_UP = 0.5


def frames(*, parallel: bool, simulated_s: float, samples: int) -> list[float]:
    """Case: return frames a second of wall time, `samples` times, each over `simulated_s`.

    Both directions count. `parallel`: let machines have turns at the same time.
    """
    network = Network(vms=2, topology="pairs", link=_LINK, parallel=parallel)
    try:
        network.connect(0, 1, 0.1)
        network.start()
        network.run(_WARM_UP)
        windows = [network.run(simulated_s) for _ in range(samples)]
        return [window.frames / window.wall_s for window in windows]
    finally:
        network.end()
