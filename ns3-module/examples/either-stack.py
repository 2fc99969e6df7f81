#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""One script for ns-3's own stack or a Linux kernel: only the line that makes `stack` differs."""

import argparse

import ns3_qemu

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--stack", default="debian:6.1", help="'ns3' or a kernel")
name = parser.parse_args().stack

ns = ns3_qemu.load()
ns.Config.SetDefault("ns3::TcpSocket::SegmentSize", ns.UintegerValue(1448))
nodes = ns.NodeContainer()
nodes.Create(3)  # sender, router, receiver

stack = ns.InternetStackHelper() if name == "ns3" else ns3_qemu.QemuHelper(name)
stack.Install(nodes.Get(0))
stack.Install(nodes.Get(2))
ns.InternetStackHelper().Install(nodes.Get(1))

addresses = ns.Ipv4AddressHelper()
for i, rate in enumerate(("100Mbps", "10Mbps")):
    link = ns.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns.StringValue(rate))
    link.SetChannelAttribute("Delay", ns.StringValue("5ms"))
    pair = ns.NodeContainer()
    pair.Add(nodes.Get(i))
    pair.Add(nodes.Get(i + 1))
    addresses.SetBase(ns.Ipv4Address(f"10.0.{i}.0"), ns.Ipv4Mask("255.255.255.0"))
    interfaces = addresses.Assign(link.Install(pair))
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()

START, SIZE = 1, 36_000_000  # s, bytes
remote = ns.InetSocketAddress(interfaces.GetAddress(1), 5001)
bulk = ns.BulkSendHelper("ns3::TcpSocketFactory", remote.ConvertTo())
bulk.SetAttribute("MaxBytes", ns.UintegerValue(SIZE))
bulk.SetAttribute("SendSize", ns.UintegerValue(1448))  # so that ns-3, too, sends full segments
bulk.Install(nodes.Get(0)).Start(ns.Seconds(START))
local = ns.InetSocketAddress(ns.Ipv4Address.GetAny(), 5001)
sink = ns.PacketSinkHelper("ns3::TcpSocketFactory", local.ConvertTo()).Install(nodes.Get(2)).Get(0)

arrivals = []  # when bytes have come
ns3_qemu.trace(sink, "Rx", lambda *_: arrivals.append(ns.Simulator.Now().GetSeconds()))

ns.Simulator.Stop(ns.Seconds(40))
ns3_qemu.Run()
took = arrivals[-1] - START
print(
    f"received {sink.GetTotalRx()} bytes, goodput {sink.GetTotalRx() * 8 / took / 1e6:.3f} Mbit/s"
)
ns.Simulator.Destroy()
