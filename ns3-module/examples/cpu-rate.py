#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the speed of a host's CPU makes of a TCP connection over 10 Gbit/s and 1 ms.

Goodput against CpuRate, and beside it what the rate and the instructions for a segment say; drawn
into cpu-rate.png. Each point is a run in a process of its own; all take minutes.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

LINE = 10e9  # bit/s
SEGMENT = 1448  # bytes of payload
TCP_RATES = [1e8, 3e8, 1e9, 3e9, 1e10, 3e10, 1e11, 0]


def measured(rate):
    """Return from when to when, in s: by then the window is as large as it becomes."""
    return (0.2, 0.3) if 0 < rate < 1e9 else (0.04, 0.06)


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
    seen = []

    def note():
        seen.append((int(sink.GetTotalRx()), [int(host.GetInstructions()) for host in hosts]))

    begin, end = measured(rate)
    ns3_qemu.at(begin, note)
    ns3_qemu.at(end, note)
    ns.Simulator.Stop(ns.Seconds(end) + ns.NanoSeconds(1))
    ns3_qemu.Run()
    (bytes_before, before), (bytes_after, after) = seen
    segments = (bytes_after - bytes_before) / SEGMENT
    return {
        "goodput": (bytes_after - bytes_before) * 8 / (end - begin),
        "instructions": [(b - a) / segments for a, b in zip(before, after, strict=True)],
    }


def run(rate):
    """Return a point, which a process of its own has computed."""
    done = subprocess.run(
        [sys.executable, __file__, "--point", str(rate)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    point = json.loads(done.stdout.splitlines()[-1])
    print(f"{rate:g}", point, flush=True)
    return point


def axes(width=5, height=3.4):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def draw(pool):
    points = dict(zip(TCP_RATES, pool.map(run, TCP_RATES), strict=True))
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
    figure.savefig("cpu-rate.png", dpi=150)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--point"]:
        print(json.dumps(tcp(float(sys.argv[2]))))
    else:
        with ThreadPoolExecutor(2) as workers:
            draw(workers)
