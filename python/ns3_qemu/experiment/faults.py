# SPDX-License-Identifier: GPL-2.0-only
"""What goes wrong on purpose: links that are cut, networks that are partitioned, hosts that crash.

A host that crashes is unplugged, its connections are gone and its programs killed, all in one
instant and without a word to anybody. When it restarts, it is plugged in again, and the programs
that the crash has ended start anew. What its kernel has besides connections stays: files, sysctls,
addresses, and routes that programs have made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..simulation import load
from . import sockets
from .programs import HostProgram
from .timeline import Timeline


@cache
def _glue() -> Any:
    ns = load()
    ns.cppyy.include(str(Path(__file__).with_name("faults.h")))
    return ns.cppyy.gbl.ns3qemu.experiment


def on_arrival(device: Any, link_header: int, inner: Any = None) -> Any:
    """Return what decides which packets a device loses as they arrive.

    `link_header`: 2 on a point-to-point device, 14 on an Ethernet. `inner`: an error model of ns-3
    that decides on what is not lost otherwise.
    """
    ns = load()
    faults = _glue().MakeLinkFaults(link_header)
    if inner is not None:
        faults.SetInner(inner)
    device.SetAttribute("ReceiveErrorModel", ns.PointerValue(faults))
    return faults


class Cable:
    """One end of a link: where a machine is plugged in, or where an ns-3 router hears it.

    It may be cut for several reasons, and is whole when there is none left.
    """

    def __init__(self, nic: Any = None, arrivals: Any = None) -> None:
        """`nic`: an ns.QemuNetDevice; `arrivals`: of `on_arrival`, at a node without a machine."""
        self._nic, self._arrivals = nic, arrivals
        self._reasons: set[str] = set()

    def cut(self, reason: str) -> None:
        """Let nothing through."""
        self._reasons.add(reason)
        self._set()

    def join(self, reason: str) -> None:
        """Undo `cut`."""
        self._reasons.discard(reason)
        self._set()

    def _set(self) -> None:
        cut = bool(self._reasons)
        if self._nic is not None:
            self._nic.SetAttribute("Connected", load().BooleanValue(not cut))
        if self._arrivals is not None:
            self._arrivals.SetCut(cut)


def cut(cables: Sequence[Cable]) -> None:
    """Let a link go down."""
    for cable in cables:
        cable.cut("link")


def join(cables: Sequence[Cable]) -> None:
    """Let a link come up."""
    for cable in cables:
        cable.join("link")


def partition(arrivals: Sequence[Any], groups: Sequence[Sequence[str]]) -> None:
    """Lose all that goes from an address of one group to one of another; replaces one before."""
    heal(arrivals)
    numbers = [[int(ipaddress.IPv4Address(each)) for each in group] for group in groups]
    for i, group in enumerate(numbers):
        for address in group:
            for other in (each for j, rest in enumerate(numbers) if j != i for each in rest):
                for faults in arrivals:
                    faults.Block(address, other)


def heal(arrivals: Sequence[Any]) -> None:
    """Undo `partition`."""
    for faults in arrivals:
        faults.Heal()


def crash(machine: Any, cables: Sequence[Cable], programs: Sequence[HostProgram]) -> None:
    """Let a host crash, see above."""
    for cable in cables:
        cable.cut("crash")
    for program in programs:
        program.crash()
    sockets.destroy_all(machine)
    # SIGKILL to all processes but the relay, their children included: sysrq.rst of the kernel.
    machine.WriteFile("/proc/sysrq-trigger", "i")


def restart(cables: Sequence[Cable], programs: Sequence[HostProgram]) -> None:
    """Let a host come back."""
    for cable in cables:
        cable.join("crash")
    for program in programs:
        program.restart()


def change(devices: Sequence[Any], channel: Any, rate: str = "", delay: str = "") -> None:
    """Change the rate at which devices send, and the delay of their channel.

    A packet that is being sent keeps its rate, one that is on its way its delay. So packets that
    are sent after a delay has become shorter may overtake others.
    """
    ns = load()
    for device in devices if rate else ():
        device.SetAttribute("DataRate", ns.StringValue(rate))
    if delay:
        channel.SetAttribute("Delay", ns.StringValue(delay))


def set_sysctls(machine: Any, values: dict[str, str]) -> None:
    """Set kernel parameters of a machine that runs."""
    for name, value in values.items():
        machine.SetSysctl(name, value)


def note(timeline: Timeline, host: str, text: str) -> None:
    """Write an event into the time-line."""
    timeline.note(host, "event", text)
