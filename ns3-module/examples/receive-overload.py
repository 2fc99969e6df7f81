#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Datagrams that come faster than a host can take them: what its program gets, against the load.

The curves of Mogul and Ramakrishnan (Eliminating receive livelock in an interrupt-driven kernel,
ACM TOCS 15(3), 1997), of a real kernel, drawn into receive-overload.png. Who is served first is
Linux's to say: ksoftirqd as any thread (as it is), always (SCHED_FIFO), or, with NAPI in a thread,
only when nobody else wants the CPU (SCHED_IDLE). Each point is a run in a process of its own; all
take minutes. It needs a C compiler and chrt (util-linux).
"""

import multiprocessing
import subprocess
import tempfile
from pathlib import Path

CPU_RATE = 1e8  # instructions per second
RX_RING = 256  # frames
DATAGRAM = 64  # bytes
FROM, TO = 0.3, 0.5  # s: what is measured; datagrams come from 0.1 s on
LOADS = [4, 8, 12, 16, 20, 30, 40, 60, 100, 150]  # thousands of datagrams per second
KERNELS = {
    "receive first: ksoftirqd SCHED_FIFO": "fifo",
    "as it is: ksoftirqd SCHED_OTHER": "other",
    "program first: threaded NAPI, SCHED_IDLE": "idle",
}

SINK = """
#include <arpa/inet.h>
#include <sys/socket.h>
int main(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9)};
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    char data[2048];
    if (bind(udp, (struct sockaddr *)&at, sizeof(at)))
        return 1;
    for (;;)
        recv(udp, data, sizeof(data), 0);
}
"""


def make_image():
    """Return an image with a program that takes datagrams."""
    import ns3_qemu

    image = ns3_qemu.Image("debian:6.1")
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "sink"
        command = ["cc", "-x", "c", "-O2", "-o", program, "-"]
        subprocess.run(command, input=SINK, text=True, check=True)
        image.add(program, to="/usr/bin/sink")
        image.add("/usr/bin/chrt")
        return image.build()


def find_threads(machine, name):
    """Return the ids of the kernel's threads whose names begin so."""
    threads = str(machine.ReadFile("/proc/2/task/2/children")).split()  # of kthreadd
    return [
        thread
        for thread in threads
        if str(machine.ReadFile(f"/proc/{thread}/comm")).startswith(name)
    ]


def look(machine, device, threads):
    """Return the kernel's counters, and the NIC's."""
    lines = [line.split() for line in str(machine.ReadFile("/proc/net/snmp")).splitlines()]
    names, values = [line for line in lines if line[0] == "Udp:"]
    udp = dict(zip(names, values, strict=True))
    times = [str(machine.ReadFile(f"/proc/{thread}/schedstat")).split()[0] for thread in threads]
    softnet = str(machine.ReadFile("/proc/net/softnet_stat")).split()
    return {
        "got": int(udp["InDatagrams"]),
        "lost at the socket": int(udp["RcvbufErrors"]),
        "lost at the NIC": int(device.GetRxMissed()),
        "time_squeeze": int(softnet[2], 16),
        "thread": sum(map(int, times)) / 1e9,  # s
        "busy": machine.GetBusyTime().GetSeconds(),
    }


def receive(load, kernel, image, until=TO, watch=None):
    """Return what comes of so many datagrams per second, per second.

    `watch` is called with the NIC before the simulation begins.
    """
    import ns3_qemu

    ns = ns3_qemu.load()
    nodes = ns.NodeContainer(2)
    link = ns.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns.StringValue("10Gbps"))
    link.SetChannelAttribute("Delay", ns.StringValue("10us"))
    devices = link.Install(nodes)
    qemu = ns3_qemu.QemuHelper(directory=image)
    qemu.SetAttribute("CpuRate", ns.DoubleValue(CPU_RATE))
    machine = qemu.Install(nodes.Get(1))
    machine.AddAddress(devices.Get(1), "10.0.0.2/24")
    nic = machine.GetNic(devices.Get(1))
    nic.SetAttribute("RxRing", ns.UintegerValue(RX_RING))
    if watch:
        watch(nic)
    machine.SetSysctl("kernel.sched_rt_runtime_us", "-1")  # FIFO is FIFO
    # What one poll of NAPI takes at most. One device is polled once in a softirq in any case; with
    # the usual 300 time_squeeze does not say when there was more.
    machine.SetSysctl("net.core.netdev_budget", "64")

    # The other host is one of ns-3's own: what it sends takes nobody's time.
    ns.InternetStackHelper().Install(nodes.Get(0))
    address = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    address.Assign(ns.NetDeviceContainer(devices.Get(0)))
    sender = ns.UdpClientHelper(ns.InetSocketAddress(ns.Ipv4Address("10.0.0.2"), 9).ConvertTo())
    sender.SetAttribute("Interval", ns.TimeValue(ns.NanoSeconds(round(1e9 / load))))
    sender.SetAttribute("MaxPackets", ns.UintegerValue(0))
    sender.SetAttribute("PacketSize", ns.UintegerValue(DATAGRAM))
    sender.Install(nodes.Get(0)).Start(ns.Seconds(0.1))
    ns3_qemu.Program(nodes.Get(1), "sink", start=0.01)

    threads, seen = [], []

    def choose():
        if kernel == "idle":
            machine.WriteFile("/sys/class/net/eth0/threaded", "1")
            threads.extend(find_threads(machine, "napi/eth0"))  # for receiving and for sending
        else:
            threads.extend(find_threads(machine, "ksoftirqd/0"))
        order = {"fifo": "--fifo --pid 50", "other": "--other --pid 0", "idle": "--idle --pid 0"}
        for thread in threads:
            ns3_qemu.Program(nodes.Get(1), f"chrt {order[kernel]} {thread}", start=0.03)

    ns3_qemu.at(0.02, choose)
    for when in (FROM, until):
        ns3_qemu.at(when, lambda: seen.append(look(machine, nic, threads)))
    ns.Simulator.Stop(ns.Seconds(until) + ns.NanoSeconds(1))
    ns3_qemu.Run()
    before, after = seen
    return {name: (after[name] - before[name]) / (until - FROM) for name in before}


def draw(curves):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    goodput, shares = figure.subplots(1, 2)
    for color, (name, points) in enumerate(curves.items()):
        got = [point["got"] / 1e3 for point in points]
        goodput.plot(LOADS, got, "o-", ms=3, color=f"C{color}", label=name)
        share = [100 * point["thread"] for point in points]
        shares.plot(LOADS, share, "o-", ms=3, color=f"C{color}", label=name)
    goodput.plot(LOADS, LOADS, ":", color="0.6", label="what comes")
    goodput.set(ylim=(0, 1.3 * max(p["got"] for c in curves.values() for p in c) / 1e3))
    goodput.set(xlabel="load, 1000 datagrams/s", ylabel="the program gets, 1000 datagrams/s")
    goodput.legend(frameon=False, fontsize=7, loc="upper right")
    shares.set(xlabel="load, 1000 datagrams/s", ylabel="CPU of ksoftirqd or NAPI's thread, %")
    squeezed = shares.twinx()
    squeezes = [point["time_squeeze"] for point in curves[list(KERNELS)[1]]]
    squeezed.plot(LOADS, squeezes, "--", color="0.5")
    squeezed.set(ylabel="time_squeeze per s, as it is (dashed)", ylim=(0, None))
    figure.savefig("receive-overload.png", dpi=100)


if __name__ == "__main__":
    import ns3_qemu

    image = str(make_image())
    ns3_qemu.load()  # once, for all processes that are forked from this one
    points = [(load * 1e3, kernel, image) for kernel in KERNELS.values() for load in LOADS]
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        results = iter(pool.starmap(receive, points, chunksize=1))
    curves = {name: [next(results) for _ in LOADS] for name in KERNELS}
    for name, curve in curves.items():
        print(name)
        for load, point in zip(LOADS, curve, strict=True):
            print(f"{load:3}", point)
    draw(curves)
