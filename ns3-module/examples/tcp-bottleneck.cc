/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Two Linux kernels, one TCP connection, one bottleneck: sender - router - receiver.
 */
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/qemu-module.h"
#include "ns3/traffic-control-module.h"

#include <iostream>

using namespace ns3;

int
main(int argc, char* argv[])
{
    std::string image = "debian:6.1";
    std::string congestion = "reno";
    std::string rate = "2Mbps";
    std::string queue = "20p";
    bool pcap = true;
    double duration = 10;
    CommandLine cmd(__FILE__);
    cmd.Usage("Two Linux kernels talk TCP through a router of ns-3's own and a bottleneck.");
    cmd.AddValue("image", "Name or directory of the hosts' image", image);
    cmd.AddValue("congestion", "Congestion control of the sender's kernel", congestion);
    cmd.AddValue("rate", "Data rate of the bottleneck", rate);
    cmd.AddValue("queue", "Length of the bottleneck's queue", queue);
    cmd.AddValue("duration", "How long it sends, s", duration);
    cmd.AddValue("pcap", "Capture at both hosts", pcap);
    cmd.Parse(argc, argv);

    NodeContainer nodes(3);
    auto sender = nodes.Get(0);
    auto router = nodes.Get(1);
    auto receiver = nodes.Get(2);

    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue("100Mbps"));
    link.SetChannelAttribute("Delay", StringValue("5ms"));
    auto access = link.Install(sender, router);
    link.SetDeviceAttribute("DataRate", StringValue(rate));
    link.SetChannelAttribute("Delay", StringValue("20ms"));
    link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue(queue));
    auto bottleneck = link.Install(router, receiver);

    // The router is ns-3's own; the hosts are machines.
    InternetStackHelper().Install(router);
    QemuHelper qemu(image);
    for (const auto& host : {sender, receiver})
    {
        qemu.Install(host)->SetSysctl("net.ipv4.tcp_congestion_control", congestion);
    }

    Ipv4AddressHelper addresses("10.0.1.0", "255.255.255.0");
    addresses.Assign(access);
    addresses.SetBase("10.0.2.0", "255.255.255.0");
    auto interfaces = addresses.Assign(bottleneck);
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();
    TrafficControlHelper().Uninstall(bottleneck.Get(0)); // the device's queue is the only one

    auto source = CreateObject<QemuTcpSource>();
    source->SetAttribute("Remote", AddressValue(InetSocketAddress(interfaces.GetAddress(1), 5001)));
    source->SetStartTime(Seconds(1));
    sender->AddApplication(source);
    auto sink = CreateObject<QemuTcpSink>();
    sink->SetAttribute("Local", AddressValue(InetSocketAddress(Ipv4Address::GetAny(), 5001)));
    receiver->AddApplication(sink);

    if (pcap)
    {
        qemu.EnablePcapAll("tcp-bottleneck");
    }
    Simulator::Stop(Seconds(1 + duration));
    Simulator::Run();
    std::cout << "received " << sink->GetTotalRx() << " bytes, "
              << sink->GetTotalRx() * 8 / duration / 1e6 << " Mbit/s, cwnd "
              << source->GetTcpInfo().cwnd << std::endl;
    Simulator::Destroy();
    return 0;
}
