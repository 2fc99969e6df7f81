# SPDX-License-Identifier: GPL-2.0-only
"""CUBIC against BBR over one bottleneck: what each gets, and the windows that they choose."""

import ns3_qemu

SECONDS = 10

ns = ns3_qemu.load()
dumbbell = ns.PointToPointHelper()
dumbbell.SetDeviceAttribute("DataRate", ns.StringValue("10Mbps"))
dumbbell.SetChannelAttribute("Delay", ns.StringValue("10ms"))
dumbbell.SetQueue("ns3::DropTailQueue", "MaxSize", ns.StringValue("60p"))
access = ns.PointToPointHelper()
access.SetDeviceAttribute("DataRate", ns.StringValue("100Mbps"))
access.SetChannelAttribute("Delay", ns.StringValue("1ms"))
network = ns.PointToPointDumbbellHelper(2, access, 2, access, dumbbell)

qemu = ns3_qemu.QemuHelper("debian:6.1")
for i in range(2):
    qemu.Install(network.GetLeft(i))
    qemu.Install(network.GetRight(i))
routers = ns.InternetStackHelper()
routers.Install(network.GetLeft())
routers.Install(network.GetRight())
mask = ns.Ipv4Mask("255.255.255.0")
network.AssignIpv4Addresses(
    ns.Ipv4AddressHelper(ns.Ipv4Address("10.1.0.0"), mask),
    ns.Ipv4AddressHelper(ns.Ipv4Address("10.2.0.0"), mask),
    ns.Ipv4AddressHelper(ns.Ipv4Address("10.3.0.0"), mask),
)
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()

windows: dict[str, list[int]] = {}
sinks = {}
for i, algorithm in enumerate(("cubic", "bbr")):
    machine = network.GetLeft(i).GetObject[ns.VirtualMachine]()
    machine.SetSysctl("net.ipv4.tcp_congestion_control", algorithm)
    address = network.GetRightIpv4Address(i)
    remote = ns.InetSocketAddress(address, 80).ConvertTo()
    source = ns.BulkSendHelper("ns3::TcpSocketFactory", remote)
    source.Install(network.GetLeft(i)).Start(ns.Seconds(1))
    local = ns.InetSocketAddress("0.0.0.0", 80).ConvertTo()
    sink = ns.PacketSinkHelper("ns3::TcpSocketFactory", local)
    sinks[algorithm] = sink.Install(network.GetRight(i)).Get(0)
    seen = windows.setdefault(algorithm, [])
    path = f"/NodeList/{network.GetLeft(i).GetId()}/$ns3::TcpL4Protocol/SocketList/0"
    # The socket is there once its application has started.
    ns3_qemu.at(
        1.001,
        ns3_qemu.trace,
        path,
        "CongestionWindow",
        lambda _where, _old, new, seen=seen: seen.append(new),
    )

ns.Simulator.Stop(ns.Seconds(1 + SECONDS))
ns3_qemu.Run()
for algorithm, sink in sinks.items():
    rate = sink.GetTotalRx() * 8 / SECONDS / 1e6
    print(f"{algorithm}: {rate:.2f} Mbit/s, largest cwnd {max(windows[algorithm])} bytes")
ns.Simulator.Destroy()
