#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Two Linux kernels, one TCP connection, one bottleneck: sender - router - receiver."""

from ns import ns

import ns3_qemu

nodes = ns.NodeContainer()
nodes.Create(3)
sender, router, receiver = (nodes.Get(i) for i in range(3))

link = ns.PointToPointHelper()
link.SetDeviceAttribute("DataRate", ns.StringValue("100Mbps"))
link.SetChannelAttribute("Delay", ns.StringValue("5ms"))
access = link.Install(sender, router)

link.SetDeviceAttribute("DataRate", ns.StringValue("2Mbps"))
link.SetChannelAttribute("Delay", ns.StringValue("20ms"))
link.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue("20p"))
bottleneck = link.Install(router, receiver)

# The router is ns-3's own; the hosts are machines with Debian's kernel.
ns.InternetStackHelper().Install(router)
qemu = ns3_qemu.QemuHelper("debian:6.1")
for host in (sender, receiver):
    qemu.Install(host).SetSysctl("net.ipv4.tcp_congestion_control", "reno")

addresses = ns.Ipv4AddressHelper()
for network, devices in (("10.0.1.0", access), ("10.0.2.0", bottleneck)):
    addresses.SetBase(ns.Ipv4Address(network), ns.Ipv4Mask("255.255.255.0"))
    interfaces = addresses.Assign(devices)
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
ns.TrafficControlHelper().Uninstall(bottleneck.Get(0))  # the device's queue is the only one

source = ns.CreateObject[ns.QemuTcpSource]()
remote = ns.InetSocketAddress(interfaces.GetAddress(1), 5001)
source.SetAttribute("Remote", ns.AddressValue(remote.ConvertTo()))
source.SetStartTime(ns.Seconds(1))
sender.AddApplication(source)

sink = ns.CreateObject[ns.QemuTcpSink]()
local = ns.InetSocketAddress(ns.Ipv4Address.GetAny(), 5001)
sink.SetAttribute("Local", ns.AddressValue(local.ConvertTo()))
receiver.AddApplication(sink)

qemu.EnablePcapAll("tcp-bottleneck")
ns.Simulator.Stop(ns.Seconds(11))
ns3_qemu.Run()
print(f"received {sink.GetTotalRx() * 8 / 10e6:.3f} Mbit/s, cwnd {source.GetTcpInfo().cwnd}")
ns.Simulator.Destroy()
