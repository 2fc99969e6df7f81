# SPDX-License-Identifier: GPL-2.0-only
"""What the runs of a selftest are made of. They write all that can be seen of them into files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import program, simulation
from ..callbacks import trace

_PORT = 5001

# What the guest's kernel counts, and what it draws: to be read when the simulation is over.
_FILES = (
    "/proc/uptime",
    "/proc/interrupts",
    "/proc/stat",
    "/proc/meminfo",
    "/proc/vmstat",
    "/proc/net/snmp",
    "/proc/net/netstat",
    "/proc/sys/kernel/random/uuid",
)


class Run:
    """A simulation to be, in the current directory."""

    def __init__(self, images: Mapping[str, str], settings: Mapping[str, Any]) -> None:
        """Load ns-3. `images`: directories by name; `settings`: see `circumstances`."""
        self.ns = ns = simulation.load()
        self._images = images
        self._attributes = dict(settings.get("attributes", {}))
        self._programs: dict[str, program.Program] = {}
        self._sinks: list[Any] = []
        self._followed = 0
        self.machines: list[Any] = []
        self.addresses = ns.Ipv4AddressHelper()
        self.addresses.SetBase(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
        ns.RngSeedManager.SetRun(settings.get("run", 1))
        ns.Config.SetDefault("ns3::PcapFileWrapper::NanosecMode", ns.BooleanValue(True))

    # --- nodes and links --------------------------------------------------------------------------

    def helper(self, image: str = "plain") -> Any:
        """Return a QemuHelper for machines of an image."""
        qemu = self.ns.QemuHelper(self._images[image])
        for name, value in self._attributes.items():
            qemu.SetAttribute(name, self.ns.StringValue(value))
        return qemu

    def machine(self, image: str = "plain", **attributes: str) -> Any:
        """Return a node with a machine, whose console goes into a file."""
        ns = self.ns
        node, qemu = ns.CreateObject[ns.Node](), self.helper(image)
        console = f"console-{len(self.machines)}.log"
        for name, value in {"ConsoleLog": console, **attributes}.items():
            qemu.SetAttribute(name, ns.StringValue(value))
        self.machines.append(qemu.Install(node))
        return node

    def native(self) -> Any:
        """Return a node with ns-3's own stack, which routes."""
        ns = self.ns
        node = ns.CreateObject[ns.Node]()
        stack = ns.InternetStackHelper()
        stack.SetIpv6StackInstall(False)
        stack.Install(node)
        return node

    def link(self, left: Any, right: Any, rate: str = "10Mbps", delay: str = "5ms") -> list[Any]:
        """Join two nodes; return their devices."""
        ns = self.ns
        helper = ns.PointToPointHelper()
        helper.SetDeviceAttribute("DataRate", ns.StringValue(rate))
        helper.SetChannelAttribute("Delay", ns.StringValue(delay))
        helper.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue("30p"))
        devices = helper.Install(left, right)
        self.capture(helper, devices)
        return [devices.Get(0), devices.Get(1)]

    def capture(self, helper: Any, devices: Any) -> None:
        """Write all packets of devices into files."""
        helper.EnablePcap("link", devices, True)

    def address(self, *devices: Any) -> list[Any]:
        """Give devices addresses of a network of their own, and return them."""
        container = self.ns.NetDeviceContainer()
        for device in devices:
            container.Add(device)
        interfaces = self.addresses.Assign(container)
        self.addresses.NewNetwork()
        return [interfaces.GetAddress(i) for i in range(len(devices))]

    def route(self) -> None:
        """Fill all routing tables."""
        self.ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()

    # --- what happens -----------------------------------------------------------------------------

    def connect(
        self, source: Any, sink: Any, address: Any, *, start: float = 0.1, limit: int = 0
    ) -> Any:
        """Let one machine send to another over TCP; its state goes into a file."""
        ns = self.ns
        sending, receiving = ns.CreateObject[ns.QemuTcpSource](), ns.CreateObject[ns.QemuTcpSink]()
        six = isinstance(address, ns.Ipv6Address)
        socket = ns.Inet6SocketAddress if six else ns.InetSocketAddress
        anywhere = ns.Ipv6Address("::") if six else ns.Ipv4Address("0.0.0.0")
        port = _PORT + len(self._sinks)
        remote, local = socket(address, port), socket(anywhere, port)
        sending.SetAttribute("Remote", ns.AddressValue(remote.ConvertTo()))
        sending.SetAttribute("MaxBytes", ns.UintegerValue(limit))
        sending.SetStartTime(ns.Seconds(start))
        receiving.SetAttribute("Local", ns.AddressValue(local.ConvertTo()))
        source.AddApplication(sending)
        sink.AddApplication(receiving)
        ns.QemuHelper.EnableTcpInfo(f"tcp-{len(self._sinks)}.csv", sending)
        self._sinks.append(receiving)
        return sending

    def program(self, node: Any, command: list[str], start: float = 0.1, **options: Any) -> None:
        """Run a program in a guest; when it writes a line, and which, goes into a file."""
        name = f"program-{len(self._programs)}.txt"
        made = program.Program(node, command, start=start, **options)
        self._programs[name] = made
        now = self.ns.Simulator.Now
        file = Path(name).open("w", buffering=1)  # noqa: SIM115 - as long as the simulation

        def tell(line: str, stream: int) -> None:
            print(now().GetNanoSeconds(), stream, line, file=file)

        made.on_output(tell)

    def follow_turns(self, node: Any) -> None:
        """Write down each turn of a machine: when, why, frames, instructions."""
        machine = node.GetObject[self.ns.VirtualMachine]()
        now = self.ns.Simulator.Now
        # As long as the simulation: what is asked of a machine at its end is a turn, too.
        file = Path(f"turns-{self._followed}.csv").open("w", buffering=1)  # noqa: SIM115
        self._followed += 1

        def tell(cause: int, frames: int, instructions: int) -> None:
            print(now().GetNanoSeconds(), cause, frames, instructions, sep=",", file=file)

        trace(machine, "Turn", tell)

    def simulate(self, seconds: float, files: tuple[str, ...] = _FILES) -> None:
        """Run to the end, then write down how it has ended: `files` of each guest, counters."""
        ns = self.ns
        ns.Simulator.Stop(ns.Seconds(seconds))
        simulation.Run()
        with Path("end.txt").open("w") as file:
            for name, made in self._programs.items():
                print(name, made.exit_code, made.signal, made.errors, file=file)
            for sink in self._sinks:
                print("received", sink.GetTotalRx(), file=file)
            for number, machine in enumerate(self.machines):
                print("machine", number, machine.GetTurns(), machine.GetInstructions(), file=file)
                print(machine.GetRealtime().GetNanoSeconds(), file=file)
                for path in files:
                    print("---", path, machine.ReadFile(path), file=file)
                print("after", machine.GetTurns(), machine.GetInstructions(), file=file)
