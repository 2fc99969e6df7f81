# SPDX-License-Identifier: GPL-2.0-only
"""Simulates a scenario: builds the network in ns-3, runs it, and writes what was seen.

It leaves in a directory: sender.pcap and receiver.pcap (between each host's stack and its NIC),
drops.pcap (what the bottleneck's queue dropped), cwnd.csv (the sender's tcp_info), and the consoles
of the guests.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import simulation
from .scenario import Link, Scenario

SENDER_ADDRESS = "10.0.1.1"
RECEIVER_ADDRESS = "10.0.2.2"
PORT = 5001

_ROUTER_ADDRESSES = ("10.0.1.2", "10.0.2.1")

# The receiver listens before the sender connects.
_LISTEN_AT = "0s"

# What no scenario is meant to overflow.
_AMPLE_QUEUE = "1000p"

FILES = (
    "sender.pcap",
    "receiver.pcap",
    "drops.pcap",
    "cwnd.csv",
    "sender.console.log",
    "receiver.console.log",
)


@dataclass(frozen=True)
class Outcome:
    """What a run tells besides its files."""

    kernels: dict[str, str]  # host -> release of its kernel
    turns: dict[str, int]  # host -> turns of its machine
    end_ns: int  # simulated time of the end
    boot_s: float  # wall time until the guests were ready
    wall_s: float  # wall time after that


def simulate(
    scenario: Scenario, out: Path, progress: Callable[[float], object] | None = None
) -> Outcome:
    """Run a scenario; `progress` gets the simulated time in seconds now and then.

    Raises VmError if a machine fails. The simulation is gone afterwards in any case.
    """
    ns = simulation.load()
    try:
        return _Network(ns, scenario, out).run(progress)
    finally:
        ns.Simulator.Destroy()


class _Network:
    def __init__(self, ns: Any, scenario: Scenario, out: Path) -> None:
        self._ns = ns
        self._scenario = scenario
        self._out = out
        # Times in the captures to the nanosecond, which is ns-3's own resolution.
        ns.Config.SetDefault("ns3::PcapFileWrapper::NanosecMode", ns.BooleanValue(True))

        nodes = ns.NodeContainer()
        nodes.Create(3)
        self._sender, self._router, self._receiver = (nodes.Get(i) for i in range(3))
        access = self._link(scenario.access, self._sender, self._router)
        bottleneck = self._link(scenario.bottleneck, self._router, self._receiver)
        # Only towards the receiver is the bottleneck's queue the scenario's.
        bottleneck.Get(1).GetQueue().SetMaxSize(ns.QueueSize(_AMPLE_QUEUE))
        self._install_router(access.Get(1), bottleneck.Get(0))
        self._machines = {
            "sender": self._install_host("sender", self._sender, access.Get(0)),
            "receiver": self._install_host("receiver", self._receiver, bottleneck.Get(1)),
        }
        self._capture_drops(bottleneck.Get(0).GetQueue())
        self._add_traffic()

    def _link(self, link: Link, left: Any, right: Any) -> Any:
        ns = self._ns
        helper = ns.PointToPointHelper()
        # With flow control a full queue makes the layer above drop, where nothing traces it.
        helper.DisableFlowControl()
        helper.SetDeviceAttribute("DataRate", ns.StringValue(link.rate))
        helper.SetChannelAttribute("Delay", ns.StringValue(link.delay))
        helper.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue(link.queue))
        return helper.Install(left, right)

    def _install_router(self, *devices: Any) -> None:
        ns = self._ns
        stack = ns.InternetStackHelper()
        stack.SetIpv6StackInstall(False)
        stack.Install(self._router)
        ipv4 = self._router.GetObject[ns.Ipv4]()
        for device, address in zip(devices, _ROUTER_ADDRESSES, strict=True):
            # Not by Ipv4AddressHelper, which would put a queue disc before the device's queue.
            interface = ipv4.AddInterface(device)
            ipv4.AddAddress(
                interface,
                ns.Ipv4InterfaceAddress(ns.Ipv4Address(address), ns.Ipv4Mask("255.255.255.0")),
            )
            ipv4.SetUp(interface)

    def _install_host(self, name: str, node: Any, device: Any) -> Any:
        ns, scenario = self._ns, self._scenario
        address, gateway = {
            "sender": (SENDER_ADDRESS, _ROUTER_ADDRESSES[0]),
            "receiver": (RECEIVER_ADDRESS, _ROUTER_ADDRESSES[1]),
        }[name]
        helper = simulation.QemuHelper(getattr(scenario.hosts, name))
        helper.SetAttribute("Name", ns.StringValue(name))
        log = self._out / f"{name}.console.log"
        helper.SetAttribute("ConsoleLog", ns.StringValue(str(log)))
        machine = helper.Install(node)
        for key, value in scenario.tcp.sysctls().items():
            machine.SetSysctl(key, value)
        machine.AddAddress(device, f"{address}/24")
        machine.AddRoute("0.0.0.0/0", gateway, device, scenario.tcp.initial_window or 0)
        helper.EnablePcap(str(self._out / f"{name}.pcap"), device, False, True)
        return machine

    def _capture_drops(self, queue: Any) -> None:
        import cppyy

        ns = self._ns
        pcap = ns.PcapHelper()
        mode = cppyy.gbl.std.ios.out
        file = pcap.CreateFile(str(self._out / "drops.pcap"), mode, ns.PcapHelper.DLT_PPP)
        pcap.HookDefaultSink[ns.Queue[ns.Packet]](queue, "Drop", file)

    def _add_traffic(self) -> None:
        ns, scenario = self._ns, self._scenario
        sink = ns.CreateObject[ns.QemuTcpSink]()
        everywhere = ns.InetSocketAddress(ns.Ipv4Address.GetAny(), PORT)
        sink.SetAttribute("Local", ns.AddressValue(everywhere.ConvertTo()))
        sink.SetStartTime(ns.Time(_LISTEN_AT))
        self._receiver.AddApplication(sink)
        source = ns.CreateObject[ns.QemuTcpSource]()
        remote = ns.InetSocketAddress(ns.Ipv4Address(RECEIVER_ADDRESS), PORT)
        source.SetAttribute("Remote", ns.AddressValue(remote.ConvertTo()))
        source.SetStartTime(ns.Time(scenario.start))
        self._sender.AddApplication(source)
        # Any helper does: it writes down what the application traces.
        helper = simulation.QemuHelper(scenario.hosts.sender)
        helper.EnableTcpInfo(str(self._out / "cwnd.csv"), source)

    def run(self, progress: Callable[[float], object] | None) -> Outcome:
        ns, scenario = self._ns, self._scenario
        ns.Simulator.Stop(ns.Time(scenario.start) + ns.Time(scenario.duration))
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
        machines = self._machines.items()
        return Outcome(
            kernels={name: str(machine.GetRelease()) for name, machine in machines},
            turns={name: int(machine.GetTurns()) for name, machine in machines},
            end_ns=int(ns.Simulator.Now().GetNanoSeconds()),
            boot_s=ready - begin,
            wall_s=end - ready,
        )
