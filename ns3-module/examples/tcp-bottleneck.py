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
addresses = ns.Ipv4AddressHelper()
mask = ns.Ipv4Mask("255.255.255.0")
addresses.SetBase(ns.Ipv4Address("10.0.1.0"), mask, ns.Ipv4Address("0.0.0.2"))
addresses.Assign(ns.NetDeviceContainer(access.Get(1)))
addresses.SetBase(ns.Ipv4Address("10.0.2.0"), mask, ns.Ipv4Address("0.0.0.1"))
addresses.Assign(ns.NetDeviceContainer(bottleneck.Get(0)))
ns.TrafficControlHelper().Uninstall(bottleneck.Get(0))  # the device's queue is the only one

qemu = ns3_qemu.QemuHelper("debian:6.1")
hosts = [
    (sender, access.Get(0), "10.0.1.1/24", "10.0.1.2"),
    (receiver, bottleneck.Get(1), "10.0.2.2/24", "10.0.2.1"),
]
for node, device, address, gateway in hosts:
    machine = qemu.Install(node)
    machine.SetSysctl("net.ipv4.tcp_congestion_control", "reno")
    machine.AddAddress(device, address)
    machine.AddRoute("0.0.0.0/0", gateway, device)

source = ns.CreateObject[ns.QemuTcpSource]()
remote = ns.InetSocketAddress(ns.Ipv4Address("10.0.2.2"), 5001)
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
