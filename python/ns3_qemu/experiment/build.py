# SPDX-License-Identifier: GPL-2.0-only
"""Makes an experiment's simulation of what ns-3 and this package have.

The builder asks nothing of what it makes: it only makes, sets and joins. So it can be given a
namespace `ns` that writes a script instead (`script`), and both do the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from . import layout
from .addresses import Plan, plan
from .events import schedule
from .images import options as image_options
from .links import LinkBuilder, link_header, loss, make_loss, queue_disc, queue_size
from .model import Experiment, Flow, Host, Program, Router
from .quantities import ns3_time

_MPTCP = 262
_FIRST_PORT = 5001


class Library(Protocol):
    """What a builder makes things with: modules, or what writes calls of them."""

    ns: Any
    ns3_qemu: Any
    faults: Any
    images: Any
    programs: Any
    recording: Any
    timeline: Any
    traces: Any

    def named(self, value: Any, name: str) -> Any:
        """Say what a variable of a script is to be called; return the value."""


class Builder:
    """An experiment's simulation. What has been made is in its attributes, by name."""

    def __init__(self, experiment: Experiment, library: Library, out: str, inputs: Path) -> None:
        """`out`: the directory of the run; `inputs`: where relative paths begin."""
        self.experiment, self.library, self.out, self.inputs = experiment, library, out, inputs
        self.ns = library.ns
        self.plan: Plan = plan(experiment)
        self.nodes: dict[str, Any] = {}
        self.links: dict[str, LinkBuilder] = {}
        self.devices: dict[tuple[str, str], Any] = {}  # by node and link
        self.machines: dict[str, Any] = {}
        self.images: dict[str, Any] = {}  # directories, by host
        self.helpers: dict[str, Any] = {}
        self.arrivals: dict[tuple[str, str], Any] = {}
        self.cables: dict[tuple[str, str, bool], Any] = {}
        self.discs: dict[tuple[str, str], Any] = {}
        self.programs: dict[str, list[Any]] = {}
        self.sources: dict[str, Any] = {}  # applications, by flow
        self.sinks: dict[str, Any] = {}
        self.flow_infos: dict[str, Any] = {}
        self.queues: dict[tuple[str, str], Any] = {}  # by link and node
        self.tables: list[Any] = []
        self.cpu: dict[str, Any] = {}  # recorders, by host
        self.timeline: Any = None
        self._ipv4: dict[str, Any] = {}

    def named(self, value: Any, name: str) -> Any:
        """Say what a variable of a script is to be called; return the value."""
        return self.library.named(value, name)

    def build(self) -> None:
        """Make everything."""
        ns, library, experiment = self.ns, self.library, self.experiment
        # Time in captures to the nanosecond, which is ns-3's own resolution.
        ns.Config.SetDefault("ns3::PcapFileWrapper::NanosecMode", ns.BooleanValue(True))
        ns.RngSeedManager.SetSeed(experiment.seed)
        ns.RngSeedManager.SetRun(experiment.run)
        # Streams are counted in a process, and not in a simulation.
        ns.RngSeedManager.ResetNextStreamIndex()
        for name, value in experiment.ns3_defaults.items():
            ns.Config.SetDefault(name, ns.StringValue(value))
        library.recording.make_directories(self.out)
        self.timeline = self.named(
            library.timeline.Timeline(f"{self.out}/{layout.TIMELINE}"), "timeline"
        )
        for name in experiment.all_nodes:
            self.nodes[name] = self.named(ns.CreateObject[ns.Node](), f"{name}_node")
        for name, link in experiment.links.items():
            self.links[name] = LinkBuilder(self, name, link)
            self.links[name].make()
        for name in experiment.all_nodes:
            if experiment.is_native(name):
                self._make_native(name)
            else:
                self._make_machine(name, experiment.machine(name))
        for name in self.links:
            self._make_queue_discs(name)
        self._make_addresses()
        self._make_losses()
        for name in self.machines:
            self._make_programs(name, experiment.all_nodes[name].programs)
        self._make_flows()
        self._make_captures()
        self._make_recorders()
        self._make_traces()
        schedule(self)
        ns.Simulator.Stop(ns.Time(self._end))

    def flush(self) -> None:
        """Let what has happened so far be in the time-line, and in files of programs' output."""
        self.timeline.flush()
        for programs in self.programs.values():
            for program in programs:
                program.flush()

    @property
    def _end(self) -> str:
        return ns3_time(self.experiment.duration)

    # --- nodes

    def _make_native(self, name: str) -> None:
        ns = self.ns
        stack = self.named(ns.InternetStackHelper(), f"{name}_stack")
        stack.SetIpv6StackInstall(False)
        stack.Install(self.nodes[name])
        self._ipv4[name] = self.named(self.nodes[name].GetObject[ns.Ipv4](), f"{name}_ipv4")

    def _make_machine(self, name: str, machine: Host) -> None:
        ns = self.ns
        options = image_options(machine, self.inputs)
        directory = self._image(name, machine.kernel or "", options)
        helper = self.named(self.library.ns3_qemu.QemuHelper(directory=directory), f"{name}_qemu")
        helper.SetIpv6StackInstall(self.experiment.ipv6)
        helper.SetAttribute("Name", ns.StringValue(name))
        helper.SetAttribute("ConsoleLog", ns.StringValue(f"{self.out}/{layout.console(name)}"))
        for key, value in {**self._usual_attributes(name, machine), **machine.attributes}.items():
            helper.SetAttribute(key, ns.StringValue(value))
        made = self.named(helper.Install(self.nodes[name]), name)
        self.machines[name], self.helpers[name] = made, helper
        # ns-3's global routing takes every node for a router, and crashes at one that is none.
        router = isinstance(self.experiment.all_nodes[name], Router)
        forwards = router or self.experiment.routing == "global"
        ipv4 = self.nodes[name].GetObject[ns.Ipv4]()
        ipv4.SetAttribute("IpForward", ns.BooleanValue(forwards))
        for key, value in machine.sysctls.items():
            made.SetSysctl(key, value)
        if machine.tools and "/etc/hosts" not in machine.files:
            made.WriteFile("/etc/hosts", self.plan.hosts_file(name))
        for path, file in machine.files.items():
            made.WriteFile(path, file.text or "", file.mode)

    def _image(self, name: str, kernel: str, options: dict[str, Any]) -> Any:
        """Return the directory of a machine's image; equal ones are made once."""
        key = repr((kernel, sorted(options.items())))
        for other, (said, directory) in self.images.items():
            if said == key:
                self.images[name] = self.images[other]
                return directory
        made = self.library.images.image(kernel, **options)
        directory = self.named(made, f"{name}_image")
        self.images[name] = (key, directory)
        return directory

    def _usual_attributes(self, name: str, machine: Host) -> dict[str, str]:
        """Return what makes a run quicker, and changes no result."""
        links = [self.experiment.links[each.link] for each in self.plan.of(name)]
        ahead = all(
            link.type == "point-to-point"
            and not link.ethernet
            and not any(trace.format == "mahimahi" for trace in link.trace)
            for link in links
        )
        return {"Parallel": "true"} if ahead and "KeepDisks" not in machine.attributes else {}

    def _input(self, path: str) -> str:
        """Return PATH of this machine as it is from everywhere."""
        return path if path.startswith("/") else f"{self.inputs}/{path}"

    # --- links

    def _make_queue_discs(self, name: str) -> None:
        link = self.links[name].link
        if not any(queue_disc(link, node) for node in link.between):
            return
        ns = self.ns
        for node in link.between:
            wanted = queue_disc(link, node)
            control = self.named(ns.TrafficControlHelper(), f"{node}_{name}_control")
            if wanted is not None:
                pairs = [
                    part
                    for key, value in wanted.attributes.items()
                    for part in (key, ns.StringValue(value))
                ]
                control.SetRootQueueDisc(f"ns3::{wanted.type}QueueDisc", *pairs)
            elif node in self.machines:
                continue
            else:
                # With flow control a native node needs one in front of its device's queue.
                size = ns.StringValue(queue_size(link, node))
                control.SetRootQueueDisc("ns3::FifoQueueDisc", "MaxSize", size)
            discs = control.Install(self.devices[node, name])
            if node not in self.machines:
                self.discs[node, name] = self.named(discs.Get(0), f"{node}_{name}_disc")

    def _make_addresses(self) -> None:
        ns, experiment = self.ns, self.experiment
        for name in experiment.all_nodes:
            for each in self.plan.of(name):
                device = self.devices[name, each.link]
                if name in self.machines:
                    if self.links[each.link].link.ethernet:
                        nic = self.machines[name].GetNic(device)
                        nic.SetAttribute("EthernetFrames", ns.BooleanValue(True))
                    self.machines[name].AddAddress(device, each.with_prefix)
                else:
                    self._add_native_address(name, device, each.address, each.prefix)
        for name in experiment.all_nodes:
            self._make_routes(name)
        if experiment.routing == "global":
            ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()

    def _add_native_address(self, name: str, device: Any, address: str, prefix: int) -> None:
        ns = self.ns
        # Not by Ipv4AddressHelper, which would put a queue disc before the device's queue.
        ipv4 = self._ipv4[name]
        index = self.named(ipv4.AddInterface(device), f"{name}_interface")
        mask = ns.Ipv4Mask(f"/{prefix}")
        ipv4.AddAddress(index, ns.Ipv4InterfaceAddress(ns.Ipv4Address(address), mask))
        ipv4.SetUp(index)

    def _make_routes(self, name: str) -> None:
        ns, routing = self.ns, self.experiment.routing
        if routing == "static":
            routes = self.plan.routes(name)
        else:
            default = self.plan.default_route(name)
            routes = [default] if default else []
        for route in routes:
            device = self.devices[name, route.interface.link]
            if name in self.machines:
                window = self.experiment.machine(name).initial_window or 0
                self.machines[name].AddRoute(route.network, route.gateway, device, window)
                continue
            network, _, prefix = route.network.partition("/")
            table = ns.Ipv4StaticRoutingHelper().GetStaticRouting(self._ipv4[name])
            table.AddNetworkRouteTo(
                ns.Ipv4Address(network),
                ns.Ipv4Mask(f"/{prefix}"),
                ns.Ipv4Address(route.gateway),
                1 + self.plan.of(name).index(route.interface),
            )

    def _make_losses(self) -> None:
        for name, made in self.links.items():
            for node in made.link.between:
                if loss(made.link, node) is not None:
                    self.arrivals_at(node, name)

    def arrivals_at(self, node: str, link_name: str) -> Any:
        """Return what decides which packets an end loses."""
        key = (node, link_name)
        if key not in self.arrivals:
            link, device = self.links[link_name].link, self.devices[key]
            header, wanted = link_header(link), loss(link, node)
            hint = f"{node}_{link_name}_arrivals"
            arguments = [device, header]
            if wanted is not None:
                arguments.append(make_loss(self, wanted, header, f"{node}_{link_name}_loss"))
            self.arrivals[key] = self.named(self.library.faults.on_arrival(*arguments), hint)
        return self.arrivals[key]

    def cable(self, node: str, link_name: str, *, silent: bool = False) -> Any:
        """Return an end of a link, to be cut; `silent`: its machine does not notice."""
        key = (node, link_name, silent)
        if key not in self.cables:
            if node in self.machines and not silent:
                nic = self.machines[node].GetNic(self.devices[node, link_name])
                arguments = {"nic": nic}
            else:
                arguments = {"arrivals": self.arrivals_at(node, link_name)}
            made = self.library.faults.Cable(**arguments)
            self.cables[key] = self.named(made, f"{node}_{link_name}_cable")
        return self.cables[key]

    # --- what runs

    def _make_programs(self, name: str, programs: list[Program]) -> None:
        self.programs[name] = []
        for i, program in enumerate(programs):
            options: dict[str, Any] = {}
            if program.stop is not None:
                options["stop"] = ns3_time(program.stop)
            for key in ("environment", "directory", "input", "stop_signal"):
                value = getattr(program, key)
                if value != Program.model_fields[key].default:
                    options[key] = value
            if program.kill_delay != Program.model_fields["kill_delay"].default:
                options["kill_delay"] = ns3_time(program.kill_delay)
            output = layout.program(name, i, program.label, "").removesuffix(".")
            made = self.library.programs.HostProgram(
                self.nodes[name],
                program.command,
                host=name,
                name=program.label,
                output=f"{self.out}/{output}",
                timeline=self.timeline,
                start=ns3_time(program.start),
                **options,
            )
            self.programs[name].append(self.named(made, f"{name}_program_{i}"))

    def _make_flows(self) -> None:
        ns = self.ns
        for (name, flow), port in zip(self.experiment.flows.items(), self.ports(), strict=True):
            sink, source = self._make_ends(name, flow)
            everywhere = ns.InetSocketAddress(ns.Ipv4Address("0.0.0.0"), port).ConvertTo()
            sink.SetAttribute("Local", ns.AddressValue(everywhere))
            address = ns.Ipv4Address(self.plan.address(flow.receiver))
            remote = ns.InetSocketAddress(address, port).ConvertTo()
            source.SetAttribute("Remote", ns.AddressValue(remote))
            if flow.size is not None:
                source.SetAttribute("MaxBytes", ns.UintegerValue(flow.size))
            source.SetStartTime(ns.Time(ns3_time(flow.start)))
            if flow.stop is not None:
                source.SetStopTime(ns.Time(ns3_time(flow.stop)))
            self.nodes[flow.receiver].AddApplication(sink)
            self.nodes[flow.sender].AddApplication(source)
            self.sources[name], self.sinks[name] = source, sink
            recorded = self.experiment.record.tcp_info
            if flow.sender not in self.machines or not (recorded or flow.size):
                continue
            file = layout.tcp_info(flow.sender, name)
            path = f"{self.out}/{file}" if recorded else ""
            info = self.library.recording.FlowTcpInfo(path, source, name)
            self.flow_infos[name] = self.named(info, f"{name}_tcp_info")

    def _make_ends(self, name: str, flow: Flow) -> tuple[Any, Any]:
        """Return the applications of a flow's receiver and sender."""
        ns = self.ns
        if flow.receiver in self.machines:
            sink = self.named(ns.CreateObject[ns.QemuTcpSink](), f"{name}_sink")
            for attribute, number in (
                ("ReadSize", flow.read_size),
                ("ReadsPerWake", flow.reads_per_wake),
            ):
                if number is not None:
                    sink.SetAttribute(attribute, ns.UintegerValue(number))
        else:
            sink = self.named(ns.CreateObject[ns.PacketSink](), f"{name}_sink")
            sink.SetAttribute("Protocol", ns.StringValue("ns3::TcpSocketFactory"))
        if flow.sender not in self.machines:
            source = self.named(ns.CreateObject[ns.BulkSendApplication](), f"{name}_source")
            source.SetAttribute("Protocol", ns.StringValue("ns3::TcpSocketFactory"))
            return sink, source
        source = self.named(ns.CreateObject[ns.QemuTcpSource](), f"{name}_source")
        for attribute, number in (("WriteSize", flow.write_size), ("SndBufSize", flow.send_buffer)):
            if number is not None:
                source.SetAttribute(attribute, ns.UintegerValue(number))
        if flow.congestion_control is not None:
            source.SetAttribute("CongestionControl", ns.StringValue(flow.congestion_control))
        if flow.protocol == "mptcp":
            for each in (source, sink):
                each.SetAttribute("Protocol", ns.UintegerValue(_MPTCP))
        return sink, source

    def ports(self) -> list[int]:
        """Return the ports of flows' receivers, in the order of the flows."""
        said = [flow.port for flow in self.experiment.flows.values()]
        free = (port for port in range(_FIRST_PORT, 65536) if port not in said)
        return [port or next(free) for port in said]

    # --- what is recorded

    def _make_captures(self) -> None:
        wanted = self.experiment.record.pcaps
        names = wanted if isinstance(wanted, list) else list(self.machines) if wanted else []
        for name in names:
            for each in self.plan.of(name):
                path = f"{self.out}/{layout.pcap(name, each.name)}"
                device = self.devices[name, each.link]
                if name in self.machines:
                    self.helpers[name].EnablePcap(path, device, False, True)
                elif self._is_stack(name, each.link):
                    made = self.library.recording.StackCapture(path, device)
                    self.tables.append(self.named(made, f"{name}_{each.link}_capture"))
                else:
                    self.links[each.link].helper.EnablePcap(path, device, False, True)

    def _is_stack(self, name: str, link_name: str) -> bool:
        """Say whether what a host's ns-3 stack and device pass to each other can be captured."""
        return name in self.experiment.hosts and (
            self.experiment.links[link_name].type == "point-to-point"
        )

    def _make_drop_captures(self) -> None:
        recording = self.library.recording
        for link_name, made in self.links.items():
            for node in made.link.between:
                device, header = self.devices[node, link_name], link_header(made.link)
                hint, where = f"{node}_{link_name}", f"{self.out}/{layout.PCAP}/{link_name}-{node}"
                if made.link.type == "wifi":
                    continue
                drops = recording.DropCapture(f"{where}.{layout.DROPS}", device, header)
                losses = recording.LossCapture(f"{where}.{layout.LOSSES}", device, header)
                self.tables += [self.named(drops, f"{hint}_drops")]
                self.tables += [self.named(losses, f"{hint}_losses")]

    def _make_recorders(self) -> None:
        record, recording = self.experiment.record, self.library.recording
        if record.drops:
            self._make_drop_captures()
        for name, machine in self.machines.items():
            attributes = self.experiment.machine(name).attributes
            if record.cpu and "CpuRate" in attributes:
                cpus = int(attributes.get("Cpus", 1))
                interval = ns3_time(record.cpu)
                for cpu, which in enumerate(layout.cpus(name, cpus)):
                    path = f"{self.out}/{layout.cpu(which)}"
                    several = [cpu] if cpus > 1 else []
                    made = recording.Cpu(path, machine, interval, self._end, *several)
                    self.cpu[which] = self.named(made, f"{name}_cpu{cpu if several else ''}")
                    self.tables.append(self.cpu[which])
        if record.sockets is not None:
            for name, machine in self.machines.items():
                path = f"{self.out}/{layout.tcp_info(name)}"
                made = recording.SocketsTcpInfo(
                    path, machine, ns3_time(record.sockets), self._end, leave_out=self.ports()
                )
                self.tables.append(self.named(made, f"{name}_sockets"))
        for link_name, made in self.links.items():
            if made.link.type != "wifi":
                for node in made.link.between:
                    self._make_queue_recorder(link_name, node)
        if record.throughput and self.sinks:
            path = f"{self.out}/{layout.THROUGHPUT}"
            table = recording.Throughput(path, self.sinks, ns3_time(record.throughput), self._end)
            self.tables.append(self.named(table, "throughput"))
        for name, machine in self.machines.items() if record.routes else ():
            times = [ns3_time(time) for time in record.routes]
            table = recording.Routes(f"{self.out}/{layout.routes(name)}", machine, times)
            self.tables.append(self.named(table, f"{name}_routes"))

    def _make_queue_recorder(self, link_name: str, node: str) -> None:
        interval = self.experiment.record.queues
        options: dict[str, Any] = {}
        if (node, link_name) in self.discs:
            options["disc"] = self.discs[node, link_name]
        elif node in self.machines and queue_disc(self.links[link_name].link, node):
            options["machine"] = self.machines[node]
            options["interface"] = self.plan.interfaces[node, link_name].name
        if interval is not None:
            options["path"] = f"{self.out}/{layout.queue(link_name, node)}"
            options["interval"] = ns3_time(interval)
            options["until"] = self._end
        made = self.library.recording.Queue(self.devices[node, link_name], **options)
        self.queues[link_name, node] = self.named(made, f"{node}_{link_name}_queue")

    def _make_traces(self) -> None:
        for link_name, made in self.links.items():
            for i, trace in enumerate(made.link.trace):
                senders = [trace.sender] if trace.sender else made.link.between
                devices = [self.devices[node, link_name] for node in senders]
                path, hint = self._input(trace.file), f"{link_name}_trace_{i}"
                if trace.format == "csv":
                    channel = devices[0].GetChannel()
                    steps = self.library.traces.Steps(path, devices, channel, repeat=trace.repeat)
                    self.named(steps, hint)
                for node, device in zip(senders, devices, strict=True):
                    if trace.format == "mahimahi":
                        made_ = self.library.traces.Opportunities(path, device, repeat=trace.repeat)
                        self.named(made_, f"{hint}_{node}")
