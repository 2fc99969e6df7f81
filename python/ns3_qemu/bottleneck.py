# SPDX-License-Identifier: GPL-2.0-only
"""Simulates a scenario: builds the network in ns-3, runs it, and writes what was seen.

It leaves in a directory: sender.pcap and receiver.pcap (between each host's stack and its device),
drops.pcap (what the bottleneck's queue dropped), losses.pcap (what the scenario's loss took),
cwnd.csv (the sender's TCP state), and the consoles of the guests.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import image, kernel, simulation
from .cache import Cache
from .callbacks import at
from .errors import VmError
from .scenario import NATIVE, Link, Scenario, byte_count, time_ns
from .steps import Steps

if TYPE_CHECKING:
    from .pause import Plan

SENDER_ADDRESS = "10.0.1.1"
RECEIVER_ADDRESS = "10.0.2.2"
PORT = 5001

NANOSECONDS = 1_000_000_000

_ROUTER_ADDRESSES = ("10.0.1.2", "10.0.2.1")

# The receiver listens before the sender connects.
_LISTEN_AT = "0s"

# What no scenario is meant to overflow.
_AMPLE_QUEUE = "1000p"

# What of a scenario's TCP an ns-3 stack has as attributes of its sockets.
_NATIVE_BUFFER = 1597440  # bytes, as the reference measurements have them

# Payload of a full segment on an MTU of 1500: headers without options take 40 bytes.
_SEGMENT = 1460
_TIMESTAMPS_OPTION = 12  # RFC 7323, padded

DROP_CAPTURES = {"drops.pcap": "bottleneck_queue", "losses.pcap": "forced_loss"}
"""What holds dropped packets: file -> name of the place, as in drops.csv."""

FILES = (
    "sender.pcap",
    "receiver.pcap",
    *DROP_CAPTURES,
    "cwnd.csv",
    "sender.console.log",
    "receiver.console.log",
)


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


def simulate(
    scenario: Scenario,
    out: Path,
    progress: Callable[[float], object] | None = None,
    pause: "Plan | None" = None,
) -> Outcome:
    """Run a scenario; `progress` gets the simulated time in seconds now and then.

    `pause`: when it is to stop for a look.

    Raises VmError if a machine fails. The simulation is gone afterwards in any case.
    """
    ns = simulation.load()
    try:
        network = _Network(ns, scenario, out)
        if pause is not None:
            pause.arm()
        outcome = network.run(progress)
        network.close_captures()
        return outcome
    finally:
        simulation.destroy()


class _Network:
    def __init__(self, ns: Any, scenario: Scenario, out: Path) -> None:
        self._ns = ns
        self._scenario = scenario
        self._out = out
        self._captures: dict[str, Any] = {}
        # Times in the captures to the nanosecond, which is ns-3's own resolution.
        ns.Config.SetDefault("ns3::PcapFileWrapper::NanosecMode", ns.BooleanValue(True))

        nodes = ns.NodeContainer()
        nodes.Create(3)
        self._sender, self._router, self._receiver = (nodes.Get(i) for i in range(3))
        access = self._link(scenario.access, self._sender, self._router)
        bottleneck = self._link(scenario.bottleneck, self._router, self._receiver)
        # Only towards the receiver is the bottleneck's queue the scenario's.
        bottleneck.Get(1).GetQueue().SetMaxSize(ns.QueueSize(_AMPLE_QUEUE))
        self._install_ns3(
            self._router,
            dict(zip(_ROUTER_ADDRESSES, (access.Get(1), bottleneck.Get(0)), strict=True)),
        )
        self._machines: dict[str, Any] = {}
        # By host: how long its CPU has been busy by the end of each second, in ns.
        self._busy: dict[str, list[int]] = {}
        self._install_host("sender", self._sender, access.Get(0))
        self._install_host("receiver", self._receiver, bottleneck.Get(1))
        self._capture("drops.pcap", bottleneck.Get(0).GetQueue(), "Drop", ns.Queue[ns.Packet])
        self._add_loss(bottleneck.Get(1))
        self._add_sink()
        source = self._add_source()
        ns.QemuHelper.EnableTcpInfo(str(out / "cwnd.csv"), source)

    def _link(self, link: Link, left: Any, right: Any) -> Any:
        ns = self._ns
        helper = ns.PointToPointHelper()
        # With flow control a full queue makes the layer above drop, where nothing traces it.
        helper.DisableFlowControl()
        helper.SetDeviceAttribute("DataRate", ns.StringValue(link.rate))
        helper.SetChannelAttribute("Delay", ns.StringValue(link.delay))
        helper.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue(link.queue))
        return helper.Install(left, right)

    def _install_ns3(self, node: Any, devices: dict[str, Any]) -> Any:
        """Give a node ns-3's own stack; `devices` by address. Return its Ipv4."""
        ns = self._ns
        stack = ns.InternetStackHelper()
        stack.SetIpv6StackInstall(False)
        stack.Install(node)
        ipv4 = node.GetObject[ns.Ipv4]()
        for address, device in devices.items():
            # Not by Ipv4AddressHelper, which would put a queue disc before the device's queue.
            interface = ipv4.AddInterface(device)
            ipv4.AddAddress(
                interface,
                ns.Ipv4InterfaceAddress(ns.Ipv4Address(address), ns.Ipv4Mask("255.255.255.0")),
            )
            ipv4.SetUp(interface)
        return ipv4

    def _install_host(self, name: str, node: Any, device: Any) -> None:
        address, gateway = {
            "sender": (SENDER_ADDRESS, _ROUTER_ADDRESSES[0]),
            "receiver": (RECEIVER_ADDRESS, _ROUTER_ADDRESSES[1]),
        }[name]
        system: str = getattr(self._scenario.hosts, name)
        if system.startswith(NATIVE):
            self._install_native(name, node, device, address, gateway)
        else:
            self._install_machine(name, node, device, address, gateway)

    def _install_machine(
        self, name: str, node: Any, device: Any, address: str, gateway: str
    ) -> None:
        ns, scenario = self._ns, self._scenario
        cache = Cache()
        steps = Steps(cache.logs)
        spec = scenario.hosts.image(name)
        # The guest would load them, but what it does not have is said before it boots.
        guest = kernel.ensure(cache, steps, spec.kernel)
        kernel.modules(guest, list(scenario.tcp.modules))
        helper = ns.QemuHelper(str(image.ensure_spec(cache, steps, spec)))
        helper.SetAttribute("Name", ns.StringValue(name))
        # All links here have a delay, and nobody touches a machine but its own node.
        helper.SetAttribute("Parallel", ns.BooleanValue(True))
        options = scenario.hosts.options(name)
        if options.like:
            # What a saved machine may depend on is one thing less to wonder about.
            helper.SetAttribute("Snapshot", ns.BooleanValue(False))
            # NSC has no host around it: neither its memory nor its date.
            helper.SetAttribute("HostMemory", ns.UintegerValue(0))
            helper.SetAttribute("EpochSpread", ns.TimeValue(ns.Time(0)))
            helper.SetAttribute("PidSpread", ns.UintegerValue(0))
        times = {
            "TickPhase": options.tick_phase,
            "TscStep": options.tsc_step,
            "Uptime": options.uptime,
        }
        for attribute, time_ in times.items():
            if time_ is not None:
                helper.SetAttribute(attribute, ns.TimeValue(ns.NanoSeconds(time_ns(time_))))
        if options.cpu_rate:
            helper.SetAttribute("CpuRate", ns.DoubleValue(options.cpu_rate))
        if options.cpus:
            helper.SetAttribute("Cpus", ns.UintegerValue(options.cpus))
        if options.queues:
            helper.SetAttribute("Queues", ns.UintegerValue(options.queues))
        if options.segmentation_offload is not None:
            offload = ns.BooleanValue(options.segmentation_offload)
            helper.SetAttribute("SegmentationOffload", offload)
        log = self._out / f"{name}.console.log"
        helper.SetAttribute("ConsoleLog", ns.StringValue(str(log)))
        machine = helper.Install(node)
        for key, value in scenario.tcp.sysctls().items():
            machine.SetSysctl(key, value)
        machine.AddAddress(device, f"{address}/24")
        machine.AddRoute("0.0.0.0/0", gateway, device, scenario.tcp.initial_window or 0)
        helper.EnablePcap(str(self._out / f"{name}.pcap"), device, False, True)
        self._machines[name] = machine
        if options.cpu_rate and (options.cpus or 1) == 1:
            self._busy[name] = []
        elif options.cpu_rate:
            self._busy |= {f"{name}.{cpu}": [] for cpu in range(options.cpus or 1)}

    def _install_native(
        self, name: str, node: Any, device: Any, address: str, gateway: str
    ) -> None:
        """Give a host ns-3's own stack, as like a Linux host as its attributes allow.

        ns-3's shortest retransmission timeout, 1 s, stays. Linux adds 200 ms to the round trip;
        as ns-3's minimum of the whole timeout they would be less than a round trip with a full
        queue and a little variance, and timeouts would be spurious.
        """
        ns, tcp = self._ns, self._scenario.tcp
        variant = getattr(self._scenario.hosts, name).removeprefix(NATIVE)
        defaults = {
            "TcpL4Protocol::SocketType": ns.TypeIdValue(ns.TypeId.LookupByName(f"ns3::{variant}")),
            "TcpSocketBase::Sack": ns.BooleanValue(tcp.sack),
            "TcpSocketBase::Timestamp": ns.BooleanValue(tcp.timestamps),
            "TcpSocketBase::WindowScaling": ns.BooleanValue(tcp.window_scaling),
            "TcpSocket::SegmentSize": ns.UintegerValue(
                _SEGMENT - (_TIMESTAMPS_OPTION if tcp.timestamps else 0)
            ),
            "TcpSocket::InitialCwnd": ns.UintegerValue(tcp.initial_window or 10),
            "TcpSocket::DelAckCount": ns.UintegerValue(2),
            "TcpSocket::DelAckTimeout": ns.TimeValue(ns.MilliSeconds(40)),
            "TcpSocket::SndBufSize": ns.UintegerValue(_NATIVE_BUFFER),
            "TcpSocket::RcvBufSize": ns.UintegerValue(_NATIVE_BUFFER),
        }
        for key, value in defaults.items():
            ns.Config.SetDefault(f"ns3::{key}", value)
        ipv4 = self._install_ns3(node, {address: device})
        routing = ns.Ipv4StaticRoutingHelper().GetStaticRouting(ipv4)
        routing.SetDefaultRoute(ns.Ipv4Address(gateway), 1)
        # Between stack and device: where packets enter the device's queue, and where they leave it.
        file = self._capture(f"{name}.pcap", device, "MacTx", ns.NetDevice)
        ns.PcapHelper().HookDefaultSink[ns.NetDevice](device, "MacRx", file)

    def _capture(self, name: str, source: Any, trace: str, source_type: Any) -> Any:
        """Write what a trace source shows into a pcap file."""
        import cppyy

        ns = self._ns
        pcap = ns.PcapHelper()
        path = str(self._out / name)
        Path(path).write_bytes(b"")  # ns-3 aborts if it cannot
        file = pcap.CreateFile(path, cppyy.gbl.std.ios.out, ns.PcapHelper.DLT_PPP)
        self._captures[path] = file
        pcap.HookDefaultSink[source_type](source, trace, file)
        return file

    def close_captures(self) -> None:
        """Raise VmError if one of the captures could not be written."""
        for path, file in self._captures.items():
            file.Close()
            if file.Fail():
                message = f"cannot write the capture {path}"
                raise VmError(message, "Is its file system full?")

    def _add_loss(self, device: Any) -> None:
        ns, loss = self._ns, self._scenario.loss
        # There is always a capture, so that what reads it need not ask.
        self._capture("losses.pcap", device, "PhyRxDrop", ns.NetDevice)
        if loss is None:
            return
        model = ns.CreateObject[ns.TcpSegmentErrorModel]()
        model.SetAttribute("Segment", ns.UintegerValue(loss.segment))
        model.SetAttribute("Count", ns.UintegerValue(loss.count))
        device.SetAttribute("ReceiveErrorModel", ns.PointerValue(model))

    def _add_sink(self) -> None:
        ns = self._ns
        everywhere = ns.InetSocketAddress(ns.Ipv4Address.GetAny(), PORT).ConvertTo()
        if "receiver" in self._machines:
            sink = ns.CreateObject[ns.QemuTcpSink]()
            reader = self._scenario.hosts.options("receiver")
            sink.SetAttribute("ReadSize", ns.UintegerValue(byte_count(reader.read_size)))
            sink.SetAttribute("ReadsPerWake", ns.UintegerValue(reader.reads_per_wake or 0))
        else:
            sink = ns.CreateObject[ns.PacketSink]()
            sink.SetAttribute("Protocol", ns.StringValue("ns3::TcpSocketFactory"))
        sink.SetAttribute("Local", ns.AddressValue(everywhere))
        sink.SetStartTime(ns.Time(_LISTEN_AT))
        self._receiver.AddApplication(sink)

    def _add_source(self) -> Any:
        ns = self._ns
        remote = ns.InetSocketAddress(ns.Ipv4Address(RECEIVER_ADDRESS), PORT).ConvertTo()
        if "sender" in self._machines:
            source = ns.CreateObject[ns.QemuTcpSource]()
            writer = self._scenario.hosts.options("sender")
            source.SetAttribute("WriteSize", ns.UintegerValue(byte_count(writer.write_size)))
            source.SetAttribute("SndBufSize", ns.UintegerValue(byte_count(writer.send_buffer)))
        else:
            source = ns.CreateObject[ns.BulkSendApplication]()
            source.SetAttribute("Protocol", ns.StringValue("ns3::TcpSocketFactory"))
        source.SetAttribute("Remote", ns.AddressValue(remote))
        source.SetStartTime(ns.Time(self._scenario.start))
        self._sender.AddApplication(source)
        return source

    def _note_busy(self) -> None:
        for name, seconds in self._busy.items():
            host, _, cpu = name.partition(".")
            machine = self._machines[host]
            busy = machine.GetCpuBusyTime(int(cpu)) if cpu else machine.GetBusyTime()
            seconds.append(int(busy.GetNanoSeconds()))

    def _busy_shares(self) -> dict[str, list[float]]:
        end = self._scenario.end_ns
        lasts = [min(NANOSECONDS, end - begin) for begin in range(0, end, NANOSECONDS)]
        return {
            name: [
                round((after - before) / last, 6)
                for (before, after), last in zip(pairwise([0, *seconds]), lasts, strict=False)
            ]
            for name, seconds in self._busy.items()
        }

    def run(self, progress: Callable[[float], object] | None) -> Outcome:
        ns = self._ns
        ns.Simulator.Stop(ns.NanoSeconds(self._scenario.end_ns))
        if self._busy:
            for second in range(NANOSECONDS, self._scenario.end_ns, NANOSECONDS):
                at(second // NANOSECONDS, self._note_busy)
        begin = time.monotonic()
        ready = begin

        def on_progress(simulated: float) -> None:
            nonlocal ready
            if ready == begin:
                ready = time.monotonic()
            if progress:
                progress(simulated)

        simulation.Run(on_progress)
        self._note_busy()  # the last second, or a part of one
        end = time.monotonic()
        machines, hosts = self._machines, self._scenario.hosts
        return Outcome(
            systems={
                name: str(machines[name].GetRelease()) if name in machines else getattr(hosts, name)
                for name in ("sender", "receiver")
            },
            turns={name: int(machine.GetTurns()) for name, machine in machines.items()},
            skipped={
                name: [str(parameter) for parameter in machine.GetSkippedSysctls()]
                for name, machine in machines.items()
            },
            busy=self._busy_shares(),
            end_ns=int(ns.Simulator.Now().GetNanoSeconds()),
            boot_s=ready - begin,
            wall_s=end - ready,
        )
