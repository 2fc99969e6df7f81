#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the speed of a host's CPU makes of a network: two figures. It needs gcc.

cpu-rate.py [tcp|overload ...]    each point is a run in a process of its own; all take minutes

tcp: goodput of one TCP connection over 10 Gbit/s and 1 ms, against the receiver's and the sender's
CpuRate; beside it what the rate and the instructions for a segment say. -> cpu-rate-tcp.png

overload: UDP datagrams at 1/2 to 10 times what a host can take, and how many its program gets:
the curve of Mogul and Ramakrishnan, Eliminating Receive Livelock in an Interrupt-driven Kernel
(1997), for a kernel with NAPI and ksoftirqd. -> cpu-rate-overload.png
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LINE = 10e9  # bit/s
SEGMENT = 1448  # bytes of payload
TCP_FROM, TCP_TO = 0.06, 0.1  # s: by then the window is as large as it becomes
TCP_RATES = [1e8, 3e8, 1e9, 3e9, 1e10, 3e10, 1e11, 0]

OVERLOAD_RATE = 1e8
DATAGRAM = 64  # bytes of payload
OVERLOAD_FROM, OVERLOAD_TO = 1.0, 1.5  # s
LOADS = [0.5, 0.75, 0.9, 1, 1.25, 1.5, 2, 3, 5, 7, 10]

RECEIVER = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
int main(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct timeval quiet = {.tv_sec = 1};
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    long received = 0;
    char data[2048];
    bind(udp, (struct sockaddr*)&at, sizeof(at));
    setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof(quiet));
    while (recv(udp, data, sizeof(data), 0) >= 0 || received == 0)
        received++;
    printf("%ld\n", received);
}
"""


def machine(ns, qemu, node, device, address, rate):
    qemu.SetAttribute("CpuRate", ns.DoubleValue(rate))
    qemu.SetAttribute("Parallel", ns.BooleanValue(True))
    made = qemu.Install(node)
    made.AddAddress(device, address + "/24")
    return made


def tcp(rate):
    """Return goodput in bit/s, and the instructions that each host executes for a segment."""
    import ns3_qemu

    ns = ns3_qemu.load()
    nodes = ns.NodeContainer(2)
    link = ns.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns.StringValue("10Gbps"))
    link.SetChannelAttribute("Delay", ns.StringValue("1ms"))
    link.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue("10000p"))
    devices = link.Install(nodes)
    qemu = ns3_qemu.QemuHelper(ns3_qemu.Image("debian:6.1"))
    hosts = [
        machine(ns, qemu, nodes.Get(i), devices.Get(i), f"10.0.0.{i + 1}", rate) for i in range(2)
    ]
    remote = ns.InetSocketAddress(ns.Ipv4Address("10.0.0.2"), 5001).ConvertTo()
    sink = ns.CreateObject[ns.QemuTcpSink]()
    sink.SetAttribute("Local", ns.AddressValue(remote))
    nodes.Get(1).AddApplication(sink)
    source = ns.CreateObject[ns.QemuTcpSource]()
    source.SetAttribute("Remote", ns.AddressValue(remote))
    source.SetStartTime(ns.Seconds(0.01))
    nodes.Get(0).AddApplication(source)
    payload = [0]

    def arrived(packet):
        payload[0] += max(0, int(packet.GetSize()) - 52 - 2)

    ns3_qemu.trace(devices.Get(1), "PhyRxEnd", arrived)
    seen = []

    def note():
        seen.append((payload[0], [int(host.GetInstructions()) for host in hosts]))

    ns3_qemu.at(TCP_FROM, note)
    ns3_qemu.at(TCP_TO, note)
    ns.Simulator.Stop(ns.Seconds(TCP_TO) + ns.NanoSeconds(1))
    ns3_qemu.Run()
    (bytes_before, before), (bytes_after, after) = seen
    segments = (bytes_after - bytes_before) / SEGMENT
    return {
        "goodput": (bytes_after - bytes_before) * 8 / (TCP_TO - TCP_FROM),
        "instructions": [(b - a) / segments for a, b in zip(before, after, strict=True)],
    }


def overload(datagrams):
    """Return datagrams per second that the program gets, and the CPU's busy share."""
    import ns3_qemu

    ns = ns3_qemu.load()
    program = Path("cpu-rate-receiver")
    nodes = ns.NodeContainer(2)
    link = ns.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns.StringValue("1Gbps"))
    link.SetChannelAttribute("Delay", ns.StringValue("10us"))
    devices = link.Install(nodes)
    ns.InternetStackHelper().Install(nodes.Get(0))
    ipv4 = nodes.Get(0).GetObject[ns.Ipv4]()
    interface = ipv4.AddInterface(devices.Get(0))
    mask = ns.Ipv4Mask("255.255.255.0")
    ipv4.AddAddress(interface, ns.Ipv4InterfaceAddress(ns.Ipv4Address("10.0.0.1"), mask))
    ipv4.SetUp(interface)
    image = ns3_qemu.Image("debian:6.1")
    image.add(program, to="/usr/bin/receiver")
    qemu = ns3_qemu.QemuHelper(image)
    host = machine(ns, qemu, nodes.Get(1), devices.Get(1), "10.0.0.2", OVERLOAD_RATE)
    receiver = ns3_qemu.Program(nodes.Get(1), "receiver", start=0.5)
    remote = ns.InetSocketAddress(ns.Ipv4Address("10.0.0.2"), 9).ConvertTo()
    sender = ns.OnOffHelper("ns3::UdpSocketFactory", remote)
    sender.SetConstantRate(ns.DataRate(round(datagrams * DATAGRAM * 8)), DATAGRAM)
    application = sender.Install(nodes.Get(0))
    application.Start(ns.Seconds(OVERLOAD_FROM))
    application.Stop(ns.Seconds(OVERLOAD_TO))
    busy = []
    for time in (OVERLOAD_FROM, OVERLOAD_TO):
        ns3_qemu.at(time, lambda: busy.append(host.GetBusyTime().GetSeconds()))
    ns.Simulator.Stop(ns.Seconds(OVERLOAD_TO + 1.5))
    ns3_qemu.Run()
    return {
        "delivered": int(receiver.output) / (OVERLOAD_TO - OVERLOAD_FROM),
        "busy": (busy[1] - busy[0]) / (OVERLOAD_TO - OVERLOAD_FROM),
    }


def run(what, value):
    """Return a point, which a process of its own has computed."""
    done = subprocess.run(
        [sys.executable, __file__, "--point", what, str(value)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    point = json.loads(done.stdout.splitlines()[-1])
    print(what, f"{value:g}", point, flush=True)
    return point


def axes(width=5, height=3.4):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def draw_tcp(pool):
    points = dict(zip(TCP_RATES, pool.map(lambda rate: run("tcp", rate), TCP_RATES), strict=True))
    free = points.pop(0)
    rates = sorted(points)
    # Of a host that is bound by its CPU; the busier of the two is the one that counts.
    per_segment = max(points[rates[0]]["instructions"])
    figure, plot = axes()
    bound = [rate / per_segment * SEGMENT * 8 / 1e9 for rate in rates]
    plot.plot(rates, bound, "--", color="0.5", label=f"rate / {per_segment:,.0f} a segment")
    plot.plot(rates, [points[rate]["goodput"] / 1e9 for rate in rates], "o-", label="goodput")
    plot.axhline(free["goodput"] / 1e9, color="C1", label="a CPU that takes no time")
    plot.axhline(LINE / 1e9, color="0.8", lw=0.8)
    plot.set(xscale="log", yscale="log", ylim=(0.02, 20))
    plot.set(xlabel="CpuRate, instructions/s", ylabel="goodput, Gbit/s")
    plot.legend(frameon=False)
    figure.savefig("cpu-rate-tcp.png", dpi=150)


def draw_overload(pool):
    source = Path("cpu-rate-receiver.c")
    source.write_text(RECEIVER)
    command = ["gcc", "-static", "-O1", "-o", "cpu-rate-receiver", source]
    subprocess.run(command, check=True)
    # What it can take: at a rate at which it is far from busy.
    few = 1000
    capacity = few / run("overload", few)["busy"]
    offered = [round(load * capacity) for load in LOADS]
    points = list(pool.map(lambda datagrams: run("overload", datagrams), offered))
    figure, plot = axes()
    loads = [datagrams / capacity for datagrams in offered]
    plot.plot(loads, [min(load, 1) for load in loads], "--", color="0.5", label="ideal")
    delivered = [point["delivered"] / capacity for point in points]
    plot.plot(loads, delivered, "o-", label="the program gets")
    plot.set(
        xlabel=f"offered load, of {capacity:,.0f} datagrams/s", ylabel="delivered, of the same"
    )
    plot.set(ylim=(0, None), xlim=(0, None))
    plot.legend(frameon=False)
    figure.savefig("cpu-rate-overload.png", dpi=150)


if __name__ == "__main__":
    POINTS = {"tcp": tcp, "overload": overload}
    if sys.argv[1:2] == ["--point"]:
        print(json.dumps(POINTS[sys.argv[2]](float(sys.argv[3]))))
    else:
        with ThreadPoolExecutor(2) as workers:
            for figure_ in sys.argv[1:] or list(POINTS):
                {"tcp": draw_tcp, "overload": draw_overload}[figure_](workers)
