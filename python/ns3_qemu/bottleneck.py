# SPDX-License-Identifier: GPL-2.0-only
"""Simulates a scenario as the experiment that it is, with files of its own.

It leaves in a directory: experiment.toml (the experiment, which can be run by itself), sender.pcap
and receiver.pcap (between each host's stack and its device), drops.pcap (what the bottleneck's
queue dropped), losses.pcap (what the scenario's loss took), cwnd.csv (the sender's TCP state), and
the consoles of the guests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import image, kernel, simulation
from .cache import Cache
from .experiment import layout, reading
from .experiment.model import NS3, Experiment
from .experiment.quantities import ns3_time, queue_text, rate_text, size_text, time_text
from .experiment.run import built
from .image_spec import OPTIONS
from .scenario import NATIVE, HostOptions, Link, Scenario, byte_count, rate_bps, time_ns
from .steps import Steps

if TYPE_CHECKING:
    from .pause import Plan

HOSTS = ("sender", "receiver")
PORT = 5001

NANOSECONDS = 1_000_000_000

# What no scenario is meant to overflow.
_AMPLE_QUEUE = "1000 packets"

# What of a scenario's TCP an ns-3 stack has as attributes of its sockets.
_NATIVE_BUFFER = 1597440  # bytes, as the reference measurements have them

# Payload of a full segment on an MTU of 1500: headers without options take 40 bytes.
_SEGMENT = 1460
_TIMESTAMPS_OPTION = 12  # RFC 7323, padded

DROP_CAPTURES = {"drops.pcap": "bottleneck_queue", "losses.pcap": "forced_loss"}
"""What holds dropped packets: file -> name of the place, as in drops.csv."""

_CWND = "cwnd.csv"

_PLACES = {
    "sender.pcap": layout.pcap("sender", "eth0"),
    "receiver.pcap": layout.pcap("receiver", "eth0"),
    "drops.pcap": f"{layout.PCAP}/bottleneck-router.{layout.DROPS}",
    "losses.pcap": f"{layout.PCAP}/bottleneck-receiver.{layout.LOSSES}",
    "sender.console.log": layout.console("sender"),
    "receiver.console.log": layout.console("receiver"),
}
"""Where an experiment has a scenario's files."""

FILES = (*_PLACES, _CWND, layout.EXPERIMENT)


@dataclass(frozen=True)
class Outcome:
    """What a run tells besides its files."""

    systems: dict[str, str]  # host -> release of its kernel, or the name of ns-3's own TCP
    turns: dict[str, int]  # host -> turns of its machine
    busy: dict[
        str, list[float]
    ]  # host, or host.cpu -> share of each s in which the CPU was busy, if it has a rate
    skipped: dict[str, list[str]]  # host -> kernel parameters with a '-' that its kernel has not
    end_ns: int  # simulated time of the end
    boot_s: float  # wall time until the guests were ready
    wall_s: float  # wall time after that


def experiment_of(scenario: Scenario) -> Experiment:
    """Return the experiment that a scenario is."""
    machines = {host: _machine(scenario, host) for host in HOSTS}
    native = [host for host in HOSTS if machines[host]["kernel"] == NS3]
    options = {host: scenario.hosts.options(host) for host in HOSTS}
    flow: dict[str, Any] = {"from": "sender", "to": "receiver", "port": PORT}
    flow["start"] = time_text(time_ns(scenario.start))
    if "sender" not in native:
        flow |= _sizes(options["sender"], "write_size", "send_buffer")
    if "receiver" not in native:
        flow |= _sizes(options["receiver"], "read_size")
        if options["receiver"].reads_per_wake is not None:
            flow["reads_per_wake"] = options["receiver"].reads_per_wake
    ends: dict[str, Any] = {"receiver": {"queue": _AMPLE_QUEUE}}
    if scenario.loss is not None:
        loss = scenario.loss
        ends["receiver"]["loss"] = {"segment": loss.segment, "count": loss.count}
    table: dict[str, Any] = {
        "title": scenario.name,
        "duration": time_text(scenario.end_ns),
        "routing": "none",
        "ns3_defaults": _native_defaults(scenario, native[0]) if native else {},
        "hosts": machines,
        "routers": {"router": {}},
        # The order of the reference measurements, and what follows from it.
        "order": ["sender", "router", "receiver"],
        "links": {
            "access": {
                "between": ["sender", "router"],
                "network": "10.0.1.0/24",
                "addresses": {"sender": "10.0.1.1", "router": "10.0.1.2"},
                **_link(scenario.access),
            },
            "bottleneck": {
                "between": ["router", "receiver"],
                "network": "10.0.2.0/24",
                "addresses": {"router": "10.0.2.1", "receiver": "10.0.2.2"},
                **_link(scenario.bottleneck),
                # Only towards the receiver is the bottleneck's queue the scenario's.
                "ends": ends,
            },
        },
        "flows": {"tcp": flow},
        "record": {
            "pcaps": list(HOSTS),
            "drops": True,
            "tcp_info": False,
            "throughput": "0 s",
            **({"cpu": "1 s"} if any(each.cpu_rate for each in options.values()) else {}),
        },
    }
    return reading.parse(table)


def _link(link: Link) -> dict[str, str]:
    return {
        "rate": rate_text(rate_bps(link.rate)),
        "delay": time_text(time_ns(link.delay)),
        "queue": queue_text(link.queue),
    }


def _sizes(options: HostOptions, *names: str) -> dict[str, str]:
    said = {name: byte_count(getattr(options, name)) for name in names}
    return {name: size_text(number) for name, number in said.items() if number}


def _machine(scenario: Scenario, host: str) -> dict[str, Any]:
    system: str = getattr(scenario.hosts, host)
    if system.startswith(NATIVE):
        return {"kernel": NS3}
    options = scenario.hosts.options(host)
    machine: dict[str, Any] = {"kernel": system, "tools": False}
    machine["sysctls"] = scenario.tcp.sysctls()
    if scenario.tcp.initial_window is not None:
        machine["initial_window"] = scenario.tcp.initial_window
    for name, value in options.image_values().items():
        key = OPTIONS[name].key
        if name == "memory_mib":
            machine[key] = f"{value} MiB"
        elif name == "hpet_period_ns":
            machine[key] = time_text(value)
        else:
            machine[key] = list(value) if isinstance(value, tuple) else value
    machine["attributes"] = _attributes(options)
    return machine


def _attributes(options: HostOptions) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if options.like:
        # What a saved machine may depend on is one thing less to wonder about.
        found["Snapshot"] = False
        # NSC has no host around it: neither its memory nor its date.
        found |= {"HostMemory": 0, "EpochSpread": "0s", "PidSpread": 0}
    for name, text in (
        ("TickPhase", options.tick_phase),
        ("TscStep", options.tsc_step),
        ("Uptime", options.uptime),
    ):
        if text is not None:
            found[name] = ns3_time(time_ns(text))
    if options.cpu_rate:
        found["CpuRate"] = options.cpu_rate
    if options.cpus:
        found["Cpus"] = options.cpus
    if options.queues:
        found["Queues"] = options.queues
    if options.segmentation_offload is not None:
        found["SegmentationOffload"] = options.segmentation_offload
    return found


def _native_defaults(scenario: Scenario, host: str) -> dict[str, Any]:
    """Return what makes ns-3's own stack as like a Linux host as its attributes allow.

    ns-3's shortest retransmission timeout, 1 s, stays. Linux adds 200 ms to the round trip;
    as ns-3's minimum of the whole timeout they would be less than a round trip with a full
    queue and a little variance, and timeouts would be spurious.
    """
    tcp = scenario.tcp
    variant = getattr(scenario.hosts, host).removeprefix(NATIVE)
    return {
        "ns3::TcpL4Protocol::SocketType": f"ns3::{variant}",
        "ns3::TcpSocketBase::Sack": tcp.sack,
        "ns3::TcpSocketBase::Timestamp": tcp.timestamps,
        "ns3::TcpSocketBase::WindowScaling": tcp.window_scaling,
        "ns3::TcpSocket::SegmentSize": _SEGMENT - (_TIMESTAMPS_OPTION if tcp.timestamps else 0),
        "ns3::TcpSocket::InitialCwnd": tcp.initial_window or 10,
        "ns3::TcpSocket::DelAckCount": 2,
        "ns3::TcpSocket::DelAckTimeout": "40ms",
        "ns3::TcpSocket::SndBufSize": _NATIVE_BUFFER,
        "ns3::TcpSocket::RcvBufSize": _NATIVE_BUFFER,
    }


def simulate(
    scenario: Scenario,
    out: Path,
    progress: Callable[[float], object] | None = None,
    pause: Plan | None = None,
) -> Outcome:
    """Run a scenario; `progress` gets the simulated time in seconds now and then.

    `pause`: when it is to stop for a look.

    Raises VmError if a machine fails. The simulation is gone afterwards in any case.
    """
    experiment = experiment_of(scenario)
    _prepare(scenario)
    try:
        with built(experiment, out) as builder:
            simulation.load().QemuHelper.EnableTcpInfo(str(out / _CWND), builder.sources["tcp"])
            if pause is not None:
                pause.arm()
            outcome = _run(scenario, builder, progress)
    finally:
        _take_places(out)
    (out / layout.EXPERIMENT).write_text(reading.to_toml(experiment))
    return outcome


def _prepare(scenario: Scenario) -> None:
    """Have what machines need, and say what is made; it is made once."""
    cache = Cache()
    steps = Steps(cache.logs)
    for host in HOSTS:
        if getattr(scenario.hosts, host).startswith(NATIVE):
            continue
        spec = scenario.hosts.image(host)
        # The guest would load them, but what it does not have is said before it boots.
        guest = kernel.ensure(cache, steps, spec.kernel)
        kernel.modules(guest, list(scenario.tcp.modules))
        image.ensure_spec(cache, steps, spec)


def _run(scenario: Scenario, builder: Any, progress: Callable[[float], object] | None) -> Outcome:
    begin = time.monotonic()
    ready = begin

    def on_progress(simulated: float) -> None:
        nonlocal ready
        if ready == begin:
            ready = time.monotonic()
        if progress:
            progress(simulated)

    simulation.Run(on_progress)
    end = time.monotonic()
    machines = {host: builder.machines[host] for host in HOSTS if host in builder.machines}
    return Outcome(
        systems={
            host: str(machines[host].GetRelease())
            if host in machines
            else getattr(scenario.hosts, host)
            for host in HOSTS
        },
        turns={host: int(machine.GetTurns()) for host, machine in machines.items()},
        skipped={
            host: [str(parameter) for parameter in machine.GetSkippedSysctls()]
            for host, machine in machines.items()
        },
        busy=_busy_shares(scenario.end_ns, builder.cpu),
        end_ns=int(simulation.load().Simulator.Now().GetNanoSeconds()),
        boot_s=ready - begin,
        wall_s=end - ready,
    )


def _busy_shares(end: int, recorders: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the shares of all seconds, the last one or a part of one included."""
    lasts = [min(NANOSECONDS, end - begin) for begin in range(0, end, NANOSECONDS)]
    shares = {}
    for host, recorder in recorders.items():
        seconds = [0, *recorder.busy_ns[: len(lasts) - 1], recorder.read_ns()]
        shares[host] = [
            round((after - before) / last, 6)
            for (before, after), last in zip(pairwise(seconds), lasts, strict=True)
        ]
    return shares


def _take_places(out: Path) -> None:
    """Put the files of an experiment's directory where those of a scenario are."""
    for name, place in _PLACES.items():
        if (out / place).exists():
            (out / place).replace(out / name)
    (out / layout.TIMELINE).unlink(missing_ok=True)
    for directory in layout.DIRECTORIES:
        if (out / directory).is_dir():
            for file in (out / directory).iterdir():
                file.unlink()
            (out / directory).rmdir()
