# SPDX-License-Identifier: GPL-2.0-only
"""A station and an access point, a Linux kernel in each: what TCP gets over 802.11n, 10 m apart."""

import ns3_qemu

ns = ns3_qemu.load()
nodes = ns.NodeContainer(2)
station, access_point = nodes.Get(0), nodes.Get(1)

channel = ns.YansWifiChannelHelper.Default()
phy = ns.YansWifiPhyHelper()
phy.SetChannel(channel.Create())
wifi = ns.WifiHelper()
wifi.SetStandard(ns.WIFI_STANDARD_80211n)
mac = ns.WifiMacHelper()
name = ns.SsidValue(ns.Ssid("guests"))
mac.SetType("ns3::StaWifiMac", "Ssid", name)
devices = ns.NetDeviceContainer(wifi.Install(phy, mac, station))
mac.SetType("ns3::ApWifiMac", "Ssid", name)
devices.Add(wifi.Install(phy, mac, access_point))

mobility = ns.MobilityHelper()
mobility.SetPositionAllocator("ns3::GridPositionAllocator", "DeltaX", ns.DoubleValue(10))
mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel")
mobility.Install(nodes)

qemu = ns3_qemu.QemuHelper("debian:6.1")
qemu.Install(nodes)
network = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
network.Assign(devices)

remote = ns.InetSocketAddress("10.0.0.2", 80).ConvertTo()
source = ns.BulkSendHelper("ns3::TcpSocketFactory", remote)
source.Install(station).Start(ns.Seconds(1))
local = ns.InetSocketAddress("0.0.0.0", 80).ConvertTo()
sink = ns.PacketSinkHelper("ns3::TcpSocketFactory", local)
received = sink.Install(access_point).Get(0)
qemu.EnablePcap("wifi", devices)

ns.Simulator.Stop(ns.Seconds(3))
ns3_qemu.Run()
print(f"{received.GetTotalRx() * 8 / 2e6:.1f} Mbit/s")
ns.Simulator.Destroy()
