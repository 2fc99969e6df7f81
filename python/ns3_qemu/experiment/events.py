# SPDX-License-Identifier: GPL-2.0-only
"""The events of an experiment, scheduled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .model import Event
from .quantities import ns3_rate, ns3_time, rate_text, time_text

if TYPE_CHECKING:
    from .build import Builder


def schedule(builder: Builder) -> None:
    """Let all events of an experiment happen."""
    for event in builder.experiment.events:
        _Scheduler(builder, event).schedule()


class _Scheduler:
    def __init__(self, builder: Builder, event: Event) -> None:
        self._b, self._event = builder, event
        self._faults = builder.library.faults

    def schedule(self) -> None:
        getattr(self, "_" + self._event.do.replace("-", "_"))()

    def _at(self, where: str, text: str, function: Any, *arguments: Any) -> None:
        at = self._b.library.ns3_qemu.at
        time = ns3_time(self._event.at)
        at(time, self._faults.note, self._b.timeline, where, text)
        at(time, function, *arguments)

    def _cables(self) -> list[Any]:
        """Return the ends that the event cuts; an ns-3 access point has none."""
        link = self._b.experiment.links[self._event.link or ""]
        names = [self._event.host] if self._event.host else link.between
        return [
            self._b.cable(name, self._event.link or "", silent=self._event.silent)
            for name in names
            if not (link.type == "wifi" and self._b.experiment.is_native(name))
        ]

    def _link_down(self) -> None:
        self._at(self._where(), "link down", self._faults.cut, self._cables())

    def _link_up(self) -> None:
        self._at(self._where(), "link up", self._faults.join, self._cables())

    def _where(self) -> str:
        event = self._event
        return f"{event.link}, {event.host}" if event.host else event.link or ""

    def _host_cables(self) -> list[Any]:
        host = self._event.host or ""
        return [self._b.cable(host, each.link) for each in self._b.plan.of(host)]

    def _crash(self) -> None:
        host = self._event.host or ""
        machine, programs = self._b.machines[host], self._b.programs[host]
        self._at(host, "crash", self._faults.crash, machine, self._host_cables(), programs)

    def _restart(self) -> None:
        host = self._event.host or ""
        programs = self._b.programs[host]
        self._at(host, "restart", self._faults.restart, self._host_cables(), programs)

    def _all_arrivals(self) -> list[Any]:
        hosts = [
            name for event in self._b.experiment.events for group in event.groups for name in group
        ]
        return [
            self._b.arrivals_at(host, each.link)
            for host in dict.fromkeys(hosts)
            for each in self._b.plan.of(host)
        ]

    def _partition(self) -> None:
        groups = [
            [each.address for name in group for each in self._b.plan.of(name)]
            for group in self._event.groups
        ]
        text = "partition: " + " | ".join(" ".join(group) for group in self._event.groups)
        self._at("", text, self._faults.partition, self._all_arrivals(), groups)

    def _heal(self) -> None:
        self._at("", "partition is over", self._faults.heal, self._all_arrivals())

    def _change(self) -> None:
        event = self._event
        name = event.link or ""
        ends = [event.host] if event.host else self._b.experiment.links[name].between
        devices = [self._b.devices[end, name] for end in ends]
        rate = ns3_rate(event.rate) if event.rate is not None else ""
        delay = ns3_time(event.delay) if event.delay is not None else ""
        parts = [f"rate {rate_text(event.rate)}"] if event.rate is not None else []
        parts += [f"delay {time_text(event.delay)}"] if event.delay is not None else []
        channel = devices[0].GetChannel()
        self._at(
            self._where(), ", ".join(parts), self._faults.change, devices, channel, rate, delay
        )

    def _sysctl(self) -> None:
        event = self._event
        host = event.host or ""
        text = ", ".join(f"{name} = {value}" for name, value in event.sysctls.items())
        self._at(host, text, self._faults.set_sysctls, self._b.machines[host], event.sysctls)
