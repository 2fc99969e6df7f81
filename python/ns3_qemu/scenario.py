# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios: one TCP connection over one bottleneck, as data.

    sender ---- access link ---- router ---- bottleneck link ---- receiver

Both links are full-duplex point-to-point links. The queue of the bottleneck towards the receiver is
the only one that is meant to overflow.
"""

import msgspec


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point-to-point link. Quantities as ns-3 writes them: "2Mbps", "20ms", "20p"."""

    rate: str
    delay: str
    queue: str  # packets that wait besides the one being sent, DropTail


class Tcp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TCP at both hosts."""

    congestion_control: str = "reno"
    sack: bool = True
    timestamps: bool = True
    window_scaling: bool = True
    initial_window: int | None = None  # segments; None: the kernel's own
    sysctl: dict[str, str] = {}

    def sysctls(self) -> dict[str, str]:
        """Return the kernel parameters that say so."""
        return {
            "net.ipv4.tcp_congestion_control": self.congestion_control,
            "net.ipv4.tcp_sack": str(int(self.sack)),
            "net.ipv4.tcp_timestamps": str(int(self.timestamps)),
            "net.ipv4.tcp_window_scaling": str(int(self.window_scaling)),
            **self.sysctl,
        }


class Hosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which kernel runs where."""

    sender: str
    receiver: str


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run: the connection opens at `start` and is kept full until `start` + `duration`."""

    name: str
    start: str
    duration: str
    access: Link
    bottleneck: Link
    tcp: Tcp
    hosts: Hosts


def base_case(kernel: str) -> Scenario:
    """Return the scenario of the demo.

    It is A1 of the reference measurements with ns-3 and NSC (Linux 2.6.26): see validation/.
    """
    return Scenario(
        name="A1_q20_sack",
        start="1s",
        duration="60s",
        access=Link(rate="100Mbps", delay="5ms", queue="1000p"),
        bottleneck=Link(rate="2Mbps", delay="20ms", queue="20p"),
        tcp=Tcp(
            initial_window=2,
            sysctl={
                "net.ipv4.tcp_ecn": "0",
                "net.ipv4.tcp_rmem": "4096 87380 1597440",
                "net.ipv4.tcp_wmem": "4096 16384 1597440",
                # Nothing but the connection is to be on the wire.
                "net.ipv6.conf.all.disable_ipv6": "1",
            },
        ),
        hosts=Hosts(sender=kernel, receiver=kernel),
    )
