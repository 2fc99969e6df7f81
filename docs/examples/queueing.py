# SPDX-License-Identifier: GPL-2.0-only
"""A ping beside a TCP transfer, with pfifo and with fq_codel in a router before a slow link."""

import re
import sys

import ns3_qemu
from ns3_qemu import guest

qdisc = sys.argv[1] if len(sys.argv) > 1 else "fq_codel"

ns = ns3_qemu.load()
image = ns3_qemu.Image("debian:6.1")
image.add_package("iputils-ping")
qemu = ns3_qemu.QemuHelper(image)

nodes = ns.NodeContainer(3)  # sender, router, receiver: three kernels
qemu.Install(nodes)
fast, slow = ns.PointToPointHelper(), ns.PointToPointHelper()
fast.SetDeviceAttribute("DataRate", ns.StringValue("100Mbps"))
slow.SetDeviceAttribute("DataRate", ns.StringValue("5Mbps"))
slow.SetChannelAttribute("Delay", ns.StringValue("10ms"))
# A short queue in the device, so that packets wait where the queueing discipline sees them.
slow.SetQueue("ns3::DropTailQueue", "MaxSize", ns.StringValue("2p"))
addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.1.0"), ns.Ipv4Mask("255.255.255.0"))
addresses.Assign(fast.Install(nodes.Get(0), nodes.Get(1)))
addresses.NewNetwork()
devices = slow.Install(nodes.Get(1), nodes.Get(2))
receiver = addresses.Assign(devices).GetAddress(1)
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()

router = nodes.Get(1).GetObject[ns.VirtualMachine]()
nic = router.GetNic(devices.Get(0))
nic.SetAttribute("BackPressure", ns.BooleanValue(True))
nic.SetAttribute("TxRing", ns.UintegerValue(32))
options = {"limit": 200} if qdisc == "pfifo" else {}
ns3_qemu.at(0.5, lambda: guest.set_qdisc(router, "eth1", qdisc, **options))

remote = ns.InetSocketAddress(receiver, 80).ConvertTo()
local = ns.InetSocketAddress("0.0.0.0", 80).ConvertTo()
source = ns.BulkSendHelper("ns3::TcpSocketFactory", remote)
source.Install(nodes.Get(0)).Start(ns.Seconds(1))
sink = ns.PacketSinkHelper("ns3::TcpSocketFactory", local).Install(nodes.Get(2)).Get(0)
ping = ns3_qemu.Program(nodes.Get(0), f"ping -n -i 0.1 -c 50 {receiver}", start=3)

ns.Simulator.Stop(ns.Seconds(10))
ns3_qemu.Run()
times = sorted(float(time) for time in re.findall(r"time=([\d.]+)", ping.output))
print(
    f"{qdisc}: {sink.GetTotalRx() * 8 / 9e6:.2f} Mbit/s, {len(times)} answers, "
    f"median {times[len(times) // 2]:.1f} ms, longest {times[-1]:.1f} ms"
)
ns.Simulator.Destroy()
