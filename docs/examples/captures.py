# SPDX-License-Identifier: GPL-2.0-only
"""A transfer that loses one segment, captured at both ends with times in nanoseconds."""

import ns3_qemu

ns = ns3_qemu.load()
ns.Config.SetDefault("ns3::PcapFileWrapper::NanosecMode", ns.BooleanValue(True))
nodes = ns.NodeContainer(2)
link = ns.PointToPointHelper()
link.SetDeviceAttribute("DataRate", ns.StringValue("10Mbps"))
link.SetChannelAttribute("Delay", ns.StringValue("10ms"))
devices = link.Install(nodes)
qemu = ns3_qemu.QemuHelper("debian:6.1")
qemu.Install(nodes)
network = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
network.Assign(devices)

loss = ns.CreateObject[ns.TcpSegmentErrorModel]()
loss.SetAttribute("Segment", ns.UintegerValue(20))
devices.Get(1).SetAttribute("ReceiveErrorModel", ns.PointerValue(loss))

remote = ns.InetSocketAddress("10.0.0.2", 80).ConvertTo()
source = ns.BulkSendHelper("ns3::TcpSocketFactory", remote)
source.SetAttribute("MaxBytes", ns.UintegerValue(200_000))
source.Install(nodes.Get(0)).Start(ns.Seconds(1))
local = ns.InetSocketAddress("0.0.0.0", 80).ConvertTo()
sink = ns.PacketSinkHelper("ns3::TcpSocketFactory", local)
received = sink.Install(nodes.Get(1)).Get(0)
qemu.EnablePcap("host", devices)  # host-0-0.pcap and host-1-0.pcap

ns.Simulator.Stop(ns.Seconds(3))
ns3_qemu.Run()
print(f"{received.GetTotalRx()} bytes")
ns.Simulator.Destroy()
