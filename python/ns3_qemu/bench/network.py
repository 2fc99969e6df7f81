# SPDX-License-Identifier: GPL-2.0-only
"""Networks of machines in ns-3 that are measured: in pairs, or in a star around a router."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from .. import simulation
from . import loads, processes

Topology = Literal["pairs", "star"]

_PORT = 5001


@dataclass(frozen=True)
class Link:
    """What all links of a network are like, as ns-3 reads it."""

    rate: str
    delay: str
    queue: str


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What some simulated time took."""

    wall_s: float
    cpu_s: float
    """Of simulator and machines."""
    turns: int
    instructions: int
    """That guests have executed."""
    frames: int
    """That devices have sent, in both directions and on all links."""


class Network:
    """Machines on point-to-point links, numbered from 0.

    In pairs, 0 and 1 share a link, 2 and 3, and so on; a single one has a link to nobody. In a
    star, each has a link of its own to one node with ns-3's own stack, which routes.
    """

    def __init__(
        self,
        *,
        vms: int,
        topology: Topology,
        link: Link,
        parallel: bool = False,
        pcap: Path | None = None,
    ) -> None:
        """Build a network; the machines start with the first `run`.

        `parallel`: let machines have turns at the same time. `pcap`: a directory for a capture of
        each device on a link.
        """
        directory = loads.wanted_image().build()
        self._ns = ns = simulation.load()
        ns.Config.SetDefault("ns3::PcapFileWrapper::NanosecMode", ns.BooleanValue(True))
        self._p2p = ns.PointToPointHelper()
        self._p2p.SetDeviceAttribute("DataRate", ns.StringValue(link.rate))
        self._p2p.SetChannelAttribute("Delay", ns.StringValue(link.delay))
        self._p2p.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue(link.queue))
        self._addresses = ns.Ipv4AddressHelper()
        self._addresses.SetBase(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
        self._nodes = ns.NodeContainer()
        self._nodes.Create(vms)
        qemu = ns.QemuHelper(str(directory))
        qemu.SetAttribute("Parallel", ns.BooleanValue(parallel))
        # Figures are to stay comparable: the guests as they were before these could be said.
        qemu.SetAttribute("SegmentationOffload", ns.BooleanValue(False))
        qemu.SetAttribute("HostMemory", ns.UintegerValue(0))
        self._machines = [qemu.Install(self._nodes.Get(i)) for i in range(vms)]
        self._devices: list[Any] = []
        self._at: list[Any] = [None] * vms  # address of each machine
        self._sinks: list[Any] = []
        if topology == "pairs":
            self._join_pairs(vms)
        else:
            self._join_star()
        if pcap is not None:
            pcap.mkdir(parents=True, exist_ok=True)
            self._p2p.EnablePcapAll(str(pcap / "link"))

    def _join(self, left: Any, right: Any) -> Any:
        devices = self._p2p.Install(left, right)
        self._devices += [devices.Get(0), devices.Get(1)]
        return devices

    def _join_pairs(self, vms: int) -> None:
        ns = self._ns
        for i in range(0, vms, 2):
            single = i + 1 == vms
            peer = ns.CreateObject[ns.Node]() if single else self._nodes.Get(i + 1)
            devices = self._join(self._nodes.Get(i), peer)
            ends = ns.NetDeviceContainer(devices.Get(0)) if single else devices
            interfaces = self._addresses.Assign(ends)
            self._addresses.NewNetwork()
            for j in range(ends.GetN()):
                self._at[i + j] = interfaces.GetAddress(j)

    def _join_star(self) -> None:
        ns = self._ns
        router = ns.CreateObject[ns.Node]()
        stack = ns.InternetStackHelper()
        stack.SetIpv6StackInstall(False)
        stack.Install(router)
        for i, machine in enumerate(self._machines):
            devices = self._join(self._nodes.Get(i), router)
            interfaces = self._addresses.Assign(devices)
            self._addresses.NewNetwork()
            self._at[i] = interfaces.GetAddress(0)
            gateway = ns.Ipv4Address(interfaces.GetAddress(1))
            machine.AddRoute("0.0.0.0/0", _text(gateway), devices.Get(0), 0)

    def connect(self, source: int, sink: int, start_s: float) -> None:
        """Have one machine send to another as much as TCP can, from `start_s` (simulated) on."""
        ns = self._ns
        receiver = ns.CreateObject[ns.QemuTcpSink]()
        everywhere = ns.InetSocketAddress(ns.Ipv4Address.GetAny(), _PORT).ConvertTo()
        receiver.SetAttribute("Local", ns.AddressValue(everywhere))
        receiver.SetStartTime(ns.Seconds(0))
        self._nodes.Get(sink).AddApplication(receiver)
        sender = ns.CreateObject[ns.QemuTcpSource]()
        remote = ns.InetSocketAddress(self._at[sink], _PORT).ConvertTo()
        sender.SetAttribute("Remote", ns.AddressValue(remote))
        sender.SetStartTime(ns.Seconds(start_s))
        self._nodes.Get(source).AddApplication(sender)
        self._sinks.append(receiver)

    def start(self) -> float:
        """Start all machines, up to simulated time 1 ns; return the wall time in s."""
        return self._run(self._ns.NanoSeconds(1))

    def run(self, simulated_s: float) -> Window:
        """Simulate so many seconds more."""
        pids = (processes.own_pid(), *(int(machine.GetPid()) for machine in self._machines))
        cpu, turns, frames = processes.cpu_s(pids), self._turns(), self._frames()
        instructions = self._instructions()
        wall = self._run(self._ns.Seconds(simulated_s))
        return Window(
            wall_s=wall,
            cpu_s=processes.cpu_s(pids) - cpu,
            turns=self._turns() - turns,
            instructions=self._instructions() - instructions,
            frames=self._frames() - frames,
        )

    def _run(self, simulated: Any) -> float:
        self._ns.Simulator.Stop(simulated)
        begin = time.perf_counter()
        simulation.Run()
        return time.perf_counter() - begin

    def _turns(self) -> int:
        return sum(int(machine.GetTurns()) for machine in self._machines)

    def _instructions(self) -> int:
        return sum(int(machine.GetInstructions()) for machine in self._machines)

    def _frames(self) -> int:
        # A point-to-point device's queue takes all that it sends, also while it is idle.
        return sum(int(device.GetQueue().GetTotalReceivedPackets()) for device in self._devices)

    def memory_mb(self) -> float:
        """Return the memory of all machines in MB (10^6 bytes), what they share counted once.

        What they were forked from counts, too.
        """
        machines = [int(machine.GetPid()) for machine in self._machines]
        return sum(map(processes.pss_mb, [*machines, *processes.zygotes(machines)]))

    def private_mb(self) -> float:
        """Return the memory in MB that a machine has for itself, the median of all."""
        return statistics.median(
            processes.private_mb(int(machine.GetPid())) for machine in self._machines
        )

    def received(self) -> list[int]:
        """Return how many bytes each connection has brought, in the order of `connect`."""
        return [int(sink.GetTotalRx()) for sink in self._sinks]

    def end(self) -> None:
        """End the simulation and all machines."""
        self._sinks.clear()
        self._ns.Simulator.Destroy()


def _text(address: Any) -> str:
    return ".".join(str(address.Get() >> shift & 255) for shift in (24, 16, 8, 0))
