# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of runs that a selftest makes: ordinary simulations, of a few simulated seconds."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .images import PROGRAM
from .run import Run

_SHELL = """\
for i in 1 2 3 4 5; do (busybox usleep $((i * 7 % 5)); echo $i $$ $RANDOM) & done; wait
seq 1 3000 | busybox awk '{ s += $1 * rand(); print s }' | busybox sort -n | busybox md5sum
busybox dd if=/dev/urandom bs=1000 count=30 2>/dev/null | busybox gzip -c | busybox sha256sum
ls -li /tmp /proc/self/fd | busybox tail -n 5; busybox mktemp; date; cat /proc/self/stat
"""


@dataclass(frozen=True)
class Configuration:
    """A kind of run."""

    name: str
    about: str
    simulate: Callable[[Run], None]
    images: tuple[str, ...] = ("plain",)
    uses_libm: bool = False
    """Whether ns-3 computes with functions of the C library that depend on the host's CPU."""


def _probe(run: Run) -> None:
    """One machine whose programs print what could come from the host, or from chance."""
    node, peer = run.machine("tools"), run.ns.CreateObject[run.ns.Node]()
    run.address(run.link(node, peer)[0])
    run.follow_turns(node)
    run.program(node, [PROGRAM, "probe"], 0.5)
    run.program(node, [PROGRAM, "arithmetic"], 0.6)
    run.program(node, [PROGRAM, "probe"], 0.9)
    run.simulate(1)


def _programs(run: Run) -> None:
    """One machine with threads, children and pipelines."""
    node, peer = run.machine("tools"), run.ns.CreateObject[run.ns.Node]()
    run.address(run.link(node, peer)[0])
    run.program(node, [PROGRAM, "threads", "16"], 0.1)
    run.program(node, [PROGRAM, "forks", "12"], 0.1)
    run.program(node, ["busybox", "sh", "-c", _SHELL], 0.2)
    run.simulate(1)


def _pair(run: Run, image: str = "plain", **attributes: str) -> None:
    nodes = [run.machine(image, **attributes) for _ in range(2)]
    addresses = run.address(*run.link(nodes[0], nodes[1]))
    run.connect(nodes[0], nodes[1], addresses[1])
    run.simulate(2)


def _cpus(run: Run, cpus: int, rate: float = 0) -> None:
    """Two machines with so many CPUs and queues each; threads and children on them."""
    attributes = {"Cpus": str(cpus), "Queues": str(cpus), "CpuRate": f"{rate:g}"}
    nodes = [run.machine("tools", **attributes) for _ in range(2)]
    devices = run.link(nodes[0], nodes[1])
    addresses = run.address(*devices)
    for number in range(3):
        run.connect(nodes[0], nodes[1], addresses[1], start=0.1 + 0.01 * number)
    run.connect(nodes[1], nodes[0], addresses[0])
    run.program(nodes[0], [PROGRAM, "threads", "16"], 0.1)
    run.program(nodes[1], [PROGRAM, "forks", "12"], 0.1)
    run.follow_turns(nodes[0])
    run.simulate(1)


def _booted(run: Run) -> None:
    _pair(run, Snapshot="false")


def _e1000(run: Run) -> None:
    nodes = [run.machine("e1000") for _ in range(2)]
    addresses = run.address(*run.link(nodes[0], nodes[1]))
    run.connect(nodes[0], nodes[1], addresses[1])
    run.follow_turns(nodes[1])
    run.simulate(1.5)


def _uart(run: Run) -> None:
    nodes = [run.machine("uart") for _ in range(2)]
    addresses = run.address(*run.link(nodes[0], nodes[1]))
    run.connect(nodes[0], nodes[1], addresses[1])
    run.follow_turns(nodes[0])
    run.simulate(1)


def _router(run: Run) -> None:
    """Three machines in a row; the one in the middle has two NICs."""
    left, router, right = (run.machine() for _ in range(3))
    run.address(*run.link(left, router))
    far = run.address(*run.link(router, right, rate="2Mbps"))
    run.route()
    run.connect(left, right, far[1])
    run.follow_turns(router)
    run.simulate(1)


def _eight(run: Run) -> None:
    """Four machines send to four over routers of ns-3's own, through RED and random losses."""
    ns = run.ns
    routers = [run.native() for _ in range(2)]
    middle = run.link(routers[0], routers[1], rate="4Mbps", delay="10ms")
    control = ns.TrafficControlHelper()
    control.SetRootQueueDisc(
        "ns3::RedQueueDisc",
        *("MinTh", ns.DoubleValue(5), "MaxTh", ns.DoubleValue(15)),
        *("LinkBandwidth", ns.StringValue("4Mbps"), "LinkDelay", ns.StringValue("10ms")),
    )
    control.Install(middle[0])
    losses = ns.CreateObject[ns.RateErrorModel]()
    losses.SetAttribute("ErrorRate", ns.DoubleValue(0.002))
    losses.SetAttribute("ErrorUnit", ns.StringValue("ERROR_UNIT_PACKET"))
    middle[1].SetAttribute("ReceiveErrorModel", ns.PointerValue(losses))
    run.address(*middle)
    ends = []
    for router in routers:
        for _ in range(4):
            node = run.machine()
            ends.append((node, run.address(*run.link(node, router))[0]))
    run.route()
    for (source, _), (sink, address) in zip(ends[:4], ends[4:], strict=True):
        run.connect(source, sink, address, start=0.1 + 0.01 * len(run.machines))
    run.simulate(1.5)


def _many(run: Run) -> None:
    """32 machines in pairs."""
    for number in range(16):
        nodes = [run.machine() for _ in range(2)]
        addresses = run.address(*run.link(nodes[0], nodes[1], rate="2Mbps"))
        run.connect(nodes[0], nodes[1], addresses[1], start=0.1 + 0.01 * number)
    run.simulate(0.6, ("/proc/interrupts", "/proc/net/netstat"))


def _csma(run: Run) -> None:
    """Three machines on one Ethernet, with ARP and a name for everybody's ping."""
    ns = run.ns
    nodes = ns.NodeContainer()
    for _ in range(3):
        nodes.Add(run.machine("tools"))
    lan = ns.CsmaHelper()
    lan.SetChannelAttribute("DataRate", ns.StringValue("10Mbps"))
    lan.SetChannelAttribute("Delay", ns.StringValue("6560ns"))
    devices = lan.Install(nodes)
    run.capture(lan, devices)
    addresses = run.address(*(devices.Get(i) for i in range(3)))
    run.connect(nodes.Get(0), nodes.Get(2), addresses[2], limit=300_000)
    run.connect(nodes.Get(1), nodes.Get(0), addresses[0], limit=300_000)
    for number in range(3):
        other = str(addresses[(number + 1) % 3])
        run.program(nodes.Get(number), ["busybox", "ping", "-c", "3", "-i", "0.3", other])
    run.follow_turns(nodes.Get(1))
    run.simulate(1.2)


def _wifi(run: Run) -> None:
    """Two stations, one of them a machine, and a machine behind the access point's radio."""
    ns = run.ns
    nodes = ns.NodeContainer()
    for _ in range(3):
        nodes.Add(run.machine())
    phy = ns.YansWifiPhyHelper()
    phy.SetChannel(ns.YansWifiChannelHelper.Default().Create())
    wifi, mac = ns.WifiHelper(), ns.WifiMacHelper()
    wifi.SetStandard(ns.WIFI_STANDARD_80211n)
    wifi.SetRemoteStationManager("ns3::MinstrelHtWifiManager")
    mac.SetType("ns3::AdhocWifiMac")
    devices = wifi.Install(phy, mac, nodes)
    run.capture(phy, devices)
    places = ns.CreateObject[ns.ListPositionAllocator]()
    for place in ((0, 0, 0), (30, 0, 0), (60, 40, 0)):
        places.Add(ns.Vector(*place))
    mobility = ns.MobilityHelper()
    mobility.SetPositionAllocator(places)
    mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel")
    mobility.Install(nodes)
    addresses = run.address(*(devices.Get(i) for i in range(3)))
    run.connect(nodes.Get(0), nodes.Get(1), addresses[1])
    run.connect(nodes.Get(2), nodes.Get(1), addresses[1], start=0.2, limit=100_000)
    run.simulate(0.6)


def _ipv6(run: Run) -> None:
    ns = run.ns
    nodes = [run.machine() for _ in range(2)]
    devices = ns.NetDeviceContainer()
    for device in run.link(nodes[0], nodes[1]):
        devices.Add(device)
    helper = ns.Ipv6AddressHelper()
    helper.SetBase(ns.Ipv6Address("fd00::"), ns.Ipv6Prefix(64))
    interfaces = helper.Assign(devices)
    run.connect(nodes[0], nodes[1], interfaces.GetAddress(1, 1), start=0.5)
    run.follow_turns(nodes[0])
    run.simulate(1.5, ("/proc/interrupts", "/proc/net/snmp6", "/proc/net/netstat"))


def _python(run: Run) -> None:
    node, peer = run.machine("python"), run.ns.CreateObject[run.ns.Node]()
    run.address(run.link(node, peer)[0])
    run.program(node, ["python3", "/opt/selftest.py"])
    run.simulate(6)


def _go(run: Run) -> None:
    """Have a Go program ask a web server: goroutines, its own scheduler, hash tables, times."""
    client, server = run.machine("go"), run.machine("go")
    addresses = run.address(*run.link(client, server, rate="50Mbps", delay="1ms"))
    run.program(server, ["busybox", "httpd", "-f", "-h", "/srv"], stop=4)
    run.program(client, ["hey", "-n", "40", "-c", "8", f"http://{addresses[1]}/"], 0.5)
    run.simulate(5)


def _models(run: Run) -> None:
    """No machine: what ns-3 computes with the host's C library."""
    ns = run.ns
    with Path("numbers.txt").open("w") as file:
        for kind in (
            "UniformRandomVariable",
            "ExponentialRandomVariable",
            "ParetoRandomVariable",
            "WeibullRandomVariable",
            "NormalRandomVariable",
            "LogNormalRandomVariable",
            "GammaRandomVariable",
            "ErlangRandomVariable",
            "ZipfRandomVariable",
        ):
            variable: Any = ns.CreateObject[getattr(ns, kind)]()
            whole = hashlib.sha256()
            for _ in range(50):
                values = [variable.GetValue() for _ in range(200)]
                whole.update(struct.pack("=200d", *values))
                print(kind, values[0].hex(), whole.hexdigest(), file=file)


CONFIGURATIONS = {
    each.name: each
    for each in (
        Configuration("probe", "1 VM: what could leak", _probe, ("tools",)),
        Configuration("programs", "1 VM: threads, forks, pipelines", _programs, ("tools",)),
        Configuration("pair", "2 VMs, TCP", _pair),
        *(
            Configuration(f"cpus-{n}", f"2 VMs with {n} CPUs", partial(_cpus, cpus=n), ("tools",))
            for n in (2, 4)
        ),
        *(
            Configuration(
                f"timed-{n}",
                f"2 VMs with {n} CPU{'s' if n > 1 else ''}, 1e9 instructions/s",
                partial(_cpus, cpus=n, rate=1e9),
                ("tools",),
            )
            for n in (1, 2, 4)
        ),
        Configuration("booted", "2 VMs, not from a saved one", _booted),
        Configuration("e1000", "2 VMs with e1000", _e1000, ("e1000",)),
        Configuration("uart", "2 VMs, relay on a UART", _uart, ("uart",)),
        Configuration("router", "3 VMs, one with two NICs", _router),
        Configuration("ipv6", "2 VMs, IPv6", _ipv6),
        Configuration("csma", "3 VMs on Ethernet", _csma, ("tools",)),
        Configuration("wifi", "3 VMs, Wi-Fi ad hoc", _wifi, uses_libm=True),
        Configuration("eight", "8 VMs, RED, losses", _eight, uses_libm=True),
        Configuration("many", "32 VMs in pairs", _many),
        Configuration("python", "1 VM: Python", _python, ("python",)),
        Configuration("go", "2 VMs: a Go program", _go, ("go",)),
        Configuration("models", "ns-3's random variables alone", _models, (), uses_libm=True),
    )
}
