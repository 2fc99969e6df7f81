#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Debian's own iperf3 in two guests, over a link of 10 Mbit/s. It needs the package iperf3."""

import json

import ns3_qemu

ns = ns3_qemu.load()

image = ns3_qemu.Image("debian:6.1")
image.add("/usr/bin/iperf3")  # its libraries come along
qemu = ns3_qemu.QemuHelper(image)

nodes = ns.NodeContainer(2)
link = ns.PointToPointHelper()
link.SetDeviceAttribute("DataRate", ns.StringValue("10Mbps"))
link.SetChannelAttribute("Delay", ns.StringValue("5ms"))
devices = link.Install(nodes)
for i in range(2):
    qemu.Install(nodes.Get(i)).AddAddress(devices.Get(i), f"10.0.0.{i + 1}/24")

server = ns3_qemu.Program(nodes.Get(1), "iperf3 -s", stop=6)
client = ns3_qemu.Program(nodes.Get(0), "iperf3 --json --time 3 --client 10.0.0.2", start=1)
client.on_exit(lambda code, _: print(f"{ns.Simulator.Now().GetSeconds():.3f} s: exit code {code}"))

ns.Simulator.Stop(ns.Seconds(7))
ns3_qemu.Run()
end = json.loads(client.output)["end"]
for what in ("sent", "received"):
    print(f"{what} {end[f'sum_{what}']['bits_per_second'] / 1e6:.2f} Mbit/s")
ns.Simulator.Destroy()
