# SPDX-License-Identifier: GPL-2.0-only
"""Two kernels, one link, one TCP connection; cwnd.csv has its congestion window."""

import ns3_qemu

ns = ns3_qemu.load()  # the namespace of ns-3's bindings, with this module in it
nodes = ns.NodeContainer(2)
link = ns.PointToPointHelper()
link.SetDeviceAttribute("DataRate", ns.StringValue("5Mbps"))
link.SetChannelAttribute("Delay", ns.StringValue("20ms"))
devices = link.Install(nodes)

qemu = ns3_qemu.QemuHelper("debian:6.1")  # in place of ns.InternetStackHelper()
qemu.Install(nodes)
addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
interfaces = addresses.Assign(devices)

source, sink = ns.CreateObject[ns.QemuTcpSource](), ns.CreateObject[ns.QemuTcpSink]()
remote = ns.InetSocketAddress(interfaces.GetAddress(1), 80)
source.SetAttribute("Remote", ns.AddressValue(remote.ConvertTo()))
sink.SetAttribute("Local", ns.AddressValue(ns.InetSocketAddress("0.0.0.0", 80).ConvertTo()))
nodes.Get(0).AddApplication(source)
nodes.Get(1).AddApplication(sink)

qemu.EnableTcpInfo("cwnd.csv", source)
ns3_qemu.at(2, lambda: print(f"after 2 s: {sink.GetTotalRx()} bytes"))
ns.Simulator.Stop(ns.Seconds(3))
ns3_qemu.Run()
print(f"received {sink.GetTotalRx()} bytes, cwnd {source.GetTcpInfo().cwnd} segments")
ns.Simulator.Destroy()
