/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Two connections of a Linux kernel share a bottleneck: who gets how much of it?
 */
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/qemu-module.h"
#include "ns3/traffic-control-module.h"

#include <iostream>
#include <vector>

using namespace ns3;

int
main(int argc, char* argv[])
{
    std::string image = "debian:6.1";
    std::string first = "bbr";
    std::string second = "cubic";
    std::string queue = "100p";
    double duration = 20;
    CommandLine cmd(__FILE__);
    cmd.Usage("Two TCP connections with different congestion controls share 10 Mbit/s.");
    cmd.AddValue("image", "Name or directory of the hosts' image, with both of these", image);
    cmd.AddValue("first", "Congestion control of the first sender", first);
    cmd.AddValue("second", "Congestion control of the second sender", second);
    cmd.AddValue("queue", "Length of the bottleneck's queue", queue);
    cmd.AddValue("duration", "How long they send, s", duration);
    cmd.Parse(argc, argv);

    // 0, 1: senders; 2: router; 3: receiver.
    NodeContainer nodes(4);
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue("100Mbps"));
    link.SetChannelAttribute("Delay", StringValue("5ms"));
    std::vector<NetDeviceContainer> accesses{link.Install(nodes.Get(0), nodes.Get(2)),
                                             link.Install(nodes.Get(1), nodes.Get(2))};
    link.SetDeviceAttribute("DataRate", StringValue("10Mbps"));
    link.SetChannelAttribute("Delay", StringValue("20ms"));
    link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue(queue));
    auto bottleneck = link.Install(nodes.Get(2), nodes.Get(3));

    InternetStackHelper().Install(nodes.Get(2));
    QemuHelper qemu(image);
    for (const uint32_t host : {0, 1, 3})
    {
        qemu.Install(nodes.Get(host));
    }
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    for (const auto& access : accesses)
    {
        addresses.Assign(access);
        addresses.NewNetwork();
    }
    auto interfaces = addresses.Assign(bottleneck);
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();
    TrafficControlHelper().Uninstall(bottleneck.Get(0));

    std::vector<Ptr<QemuTcpSink>> sinks;
    const std::vector<std::string> names{first, second};
    for (uint32_t i = 0; i < 2; i++)
    {
        const uint16_t port = 5001 + i;
        auto source = CreateObject<QemuTcpSource>();
        source->SetAttribute("CongestionControl", StringValue(names[i]));
        source->SetAttribute("Remote",
                             AddressValue(InetSocketAddress(interfaces.GetAddress(1), port)));
        source->SetStartTime(Seconds(1));
        nodes.Get(i)->AddApplication(source);
        sinks.push_back(CreateObject<QemuTcpSink>());
        sinks[i]->SetAttribute("Local",
                               AddressValue(InetSocketAddress(Ipv4Address::GetAny(), port)));
        nodes.Get(3)->AddApplication(sinks[i]);
    }
    Simulator::Stop(Seconds(1 + duration));
    Simulator::Run();

    double sum = 0;
    double squares = 0;
    for (uint32_t i = 0; i < 2; i++)
    {
        const double goodput = sinks[i]->GetTotalRx() * 8 / duration / 1e6;
        std::cout << names[i] << " " << goodput << " Mbit/s" << std::endl;
        sum += goodput;
        squares += goodput * goodput;
    }
    // R. Jain et al., DEC-TR-301 (1984): 1 if both get the same, 0.5 if one gets all.
    std::cout << "fairness " << sum * sum / (2 * squares) << std::endl;
    Simulator::Destroy();
    return 0;
}
