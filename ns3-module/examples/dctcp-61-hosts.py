#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Linux's DCTCP at the two bottlenecks of Alizadeh et al., Data Center TCP, SIGCOMM 2010.

Forty senders, 21 receivers, each a Linux kernel, and two switches of ns-3's, which mark at a
threshold (figure 17 and what is said of it there):

    S1 (10) --\\                            /-- R1, which S1 and S3 send to
               T1 ---- 10 Gbit/s ---- T2 --
    S2 (20) --/                       |     \\-- R2 (20), each gets one of S2's
                                 S3 (10)

All other links have 1 Gbit/s. S1 crosses both bottlenecks. The paper measured 46 Mbit/s a flow for
S1, 475 for S2 and 54 for S3; a fair share is 50, 475 and 50. With Debian's kernel 6.1 and the
defaults below it is 40.7, 461.5 and 55.7 (some minutes).

--groups 1 takes a tenth of the hosts, and of the rate of what they share.
"""

import argparse

import ns3_qemu

PAPER = {"S1": 46, "S2": 475, "S3": 54}  # Mbit/s a flow
MAX_QUEUE = "2000p"
MARK_AT = {"fast": 65, "slow": 20}  # packets: K of 10 and of 1 Gbit/s in the paper


class Network:
    """Hosts and two switches, from one link to the next."""

    def __init__(self, ns, kernel):
        self.ns = ns
        self.qemu = ns3_qemu.QemuHelper(ns3_qemu.Image(kernel))
        self.qemu.SetAttribute("Parallel", ns.BooleanValue(True))
        self.qemu.SetIpv6StackInstall(False)
        self.addresses = ns.Ipv4AddressHelper(
            ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0")
        )
        self.switches = set()

    def switch(self):
        node = self.ns.CreateObject[self.ns.Node]()
        self.ns.InternetStackHelper().Install(node)
        self.switches.add(int(node.GetId()))
        return node

    def host(self):
        node = self.ns.CreateObject[self.ns.Node]()
        machine = self.qemu.Install(node)
        machine.SetSysctl("net.ipv4.tcp_congestion_control", "dctcp")
        machine.SetSysctl("net.ipv4.tcp_ecn", "1")
        return node

    def link(self, a, b, mbps, mark_at):
        """Connect two nodes; what waits at either end is marked from `mark_at` packets on."""
        ns = self.ns
        link = ns.PointToPointHelper()
        link.SetDeviceAttribute("DataRate", ns.StringValue(f"{mbps}Mbps"))
        link.SetChannelAttribute("Delay", ns.StringValue("10us"))
        # So that packets wait where they are marked.
        link.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue("1p"))
        devices = link.Install(a, b)
        control = ns.TrafficControlHelper()
        control.SetRootQueueDisc(
            "ns3::RedQueueDisc",
            "UseEcn",
            ns.BooleanValue(True),
            "UseHardDrop",
            ns.BooleanValue(False),
            "Gentle",
            ns.BooleanValue(False),
            "QW",
            ns.DoubleValue(1),  # of the queue as it is, not of an average
            "MinTh",
            ns.DoubleValue(mark_at),
            "MaxTh",
            ns.DoubleValue(mark_at),
            "MaxSize",
            ns.QueueSizeValue(ns.QueueSize(MAX_QUEUE)),
        )
        for i, node in enumerate((a, b)):
            if int(node.GetId()) in self.switches:
                control.Install(devices.Get(i))
            else:
                devices.Get(i).GetQueue().SetMaxSize(ns.QueueSize(MAX_QUEUE))
        interfaces = self.addresses.Assign(devices)
        self.addresses.NewNetwork()
        return interfaces.GetAddress(1)

    def send(self, sender, receiver, address, port, start):
        ns = self.ns
        remote = ns.InetSocketAddress(address, port).ConvertTo()
        sink = ns.CreateObject[ns.QemuTcpSink]()
        sink.SetAttribute("Local", ns.AddressValue(ns.InetSocketAddress(address, port).ConvertTo()))
        receiver.AddApplication(sink)
        source = ns.CreateObject[ns.QemuTcpSource]()
        source.SetAttribute("Remote", ns.AddressValue(remote))
        source.SetStartTime(ns.Seconds(start))
        sender.AddApplication(source)
        return sink


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", default="debian:6.1")
    parser.add_argument("--groups", type=int, default=10, help="hosts in S1 (default: 10)")
    parser.add_argument("--opening", type=float, default=0.1, help="s in which flows open")
    parser.add_argument("--settling", type=float, default=0.1, help="s until anything is measured")
    parser.add_argument("--measuring", type=float, default=0.1, help="s that are measured")
    options = parser.parse_args()
    many = options.groups

    ns = ns3_qemu.load()
    network = Network(ns, options.kernel)
    t1, t2 = network.switch(), network.switch()
    network.link(t1, t2, 1000 * many, MARK_AT["fast"])
    r1 = network.host()
    shared = 100 * many
    r1_address = network.link(t2, r1, shared, MARK_AT["slow"])
    flows = {"S1": [], "S2": [], "S3": []}
    openings = iter(options.opening * i / (4 * many) for i in range(4 * many))
    for group, switch in (("S1", t1), ("S3", t2)):
        for i in range(many):
            sender = network.host()
            network.link(switch, sender, 1000, MARK_AT["slow"])
            port = 5000 + 100 * int(group[1]) + i
            flows[group].append(network.send(sender, r1, r1_address, port, next(openings)))
    for _ in range(2 * many):
        sender, receiver = network.host(), network.host()
        network.link(t1, sender, 1000, MARK_AT["slow"])
        address = network.link(t2, receiver, 1000, MARK_AT["slow"])
        flows["S2"].append(network.send(sender, receiver, address, 5001, next(openings)))
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()

    seen = []

    def note():
        seen.append({name: [int(sink.GetTotalRx()) for sink in own] for name, own in flows.items()})

    begin = options.opening + options.settling
    end = begin + options.measuring
    ns3_qemu.at(begin, note)
    ns3_qemu.at(end, note)
    ns.Simulator.Stop(ns.Seconds(end) + ns.NanoSeconds(1))
    ns3_qemu.Run()
    before, after = seen
    print(f"{4 * many} flows, {6 * many + 1} hosts, {options.kernel}, {options.measuring:g} s")
    print("group  Mbit/s a flow  least  most  paper")
    for name in flows:
        rates = sorted(
            (b - a) * 8e-6 / options.measuring
            for a, b in zip(before[name], after[name], strict=True)
        )
        mean = sum(rates) / len(rates)
        print(f"{name}  {mean:16.1f} {rates[0]:6.1f} {rates[-1]:5.1f} {PAPER[name]:6}")
    ns.Simulator.Destroy()


if __name__ == "__main__":
    main()
