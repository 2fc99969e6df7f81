# SPDX-License-Identifier: GPL-2.0-only
"""What a TCP connection gets, for some delays and runs: a process for each, on all CPUs."""

import itertools
import multiprocessing

import pandas as pd

import ns3_qemu

ns = ns3_qemu.load()  # once: the processes are forked from this one

DELAYS = ["1ms", "20ms"]
RUNS = [1, 2]


def simulate(point: tuple[str, int]) -> dict[str, object]:
    """Return the goodput of one connection over 10 Mbit/s that loses a packet in a thousand."""
    delay, run = point
    ns.RngSeedManager.SetRun(run)
    nodes = ns.NodeContainer(2)
    link = ns.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns.StringValue("10Mbps"))
    link.SetChannelAttribute("Delay", ns.StringValue(delay))
    devices = link.Install(nodes)
    ns3_qemu.QemuHelper("debian:6.1").Install(nodes)
    network = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    network.Assign(devices)
    loss = ns.CreateObject[ns.RateErrorModel]()
    loss.SetUnit(ns.RateErrorModel.ERROR_UNIT_PACKET)
    loss.SetRate(0.001)
    devices.Get(1).SetAttribute("ReceiveErrorModel", ns.PointerValue(loss))
    remote = ns.InetSocketAddress("10.0.0.2", 80).ConvertTo()
    source = ns.BulkSendHelper("ns3::TcpSocketFactory", remote)
    source.Install(nodes.Get(0)).Start(ns.Seconds(1))
    local = ns.InetSocketAddress("0.0.0.0", 80).ConvertTo()
    sink = ns.PacketSinkHelper("ns3::TcpSocketFactory", local)
    received = sink.Install(nodes.Get(1)).Get(0)
    ns.Simulator.Stop(ns.Seconds(6))
    ns3_qemu.Run()
    rate = received.GetTotalRx() * 8 / 5e6
    ns.Simulator.Destroy()
    return {"delay": delay, "run": run, "Mbit/s": round(rate, 3)}


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool() as pool:
        rows = pool.map(simulate, list(itertools.product(DELAYS, RUNS)), chunksize=1)
    print(pd.DataFrame(rows).to_string(index=False))
