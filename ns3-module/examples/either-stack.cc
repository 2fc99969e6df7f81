/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * One program for ns-3's own stack or a Linux kernel: only the line that installs it differs.
 */
#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/qemu-module.h"

#include <iostream>

using namespace ns3;

namespace
{

Time g_last; //!< when the last bytes have come

void
Received(Ptr<const Packet>, const Address&)
{
    g_last = Simulator::Now();
}

} // namespace

int
main(int argc, char* argv[])
{
    std::string stack = "debian:6.1";
    uint64_t size = 36'000'000;
    bool pcap = false;
    CommandLine cmd(__FILE__);
    cmd.Usage("Applications of ns-3's own send bytes between two hosts, over TCP.");
    cmd.AddValue("stack", "'ns3', or name or directory of an image", stack);
    cmd.AddValue("size", "How many bytes are sent", size);
    cmd.AddValue("pcap", "Capture both links at the router", pcap);
    cmd.Parse(argc, argv);

    Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
    NodeContainer nodes(3); // sender, router, receiver
    NodeContainer hosts(nodes.Get(0), nodes.Get(2));
    if (stack == "ns3")
    {
        InternetStackHelper().Install(hosts);
    }
    else
    {
        QemuHelper(stack).Install(hosts);
    }
    InternetStackHelper().Install(nodes.Get(1));

    PointToPointHelper link;
    link.SetChannelAttribute("Delay", StringValue("5ms"));
    link.SetDeviceAttribute("DataRate", StringValue("100Mbps"));
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    addresses.Assign(link.Install(nodes.Get(0), nodes.Get(1)));
    link.SetDeviceAttribute("DataRate", StringValue("10Mbps"));
    addresses.SetBase("10.0.1.0", "255.255.255.0");
    auto interfaces = addresses.Assign(link.Install(nodes.Get(1), nodes.Get(2)));
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();

    const double start = 1; // s
    BulkSendHelper bulk("ns3::TcpSocketFactory", InetSocketAddress(interfaces.GetAddress(1), 5001));
    bulk.SetAttribute("MaxBytes", UintegerValue(size));
    bulk.SetAttribute("SendSize", UintegerValue(1448)); // so that ns-3, too, sends full segments
    bulk.Install(nodes.Get(0)).Start(Seconds(start));
    PacketSinkHelper server("ns3::TcpSocketFactory",
                            InetSocketAddress(Ipv4Address::GetAny(), 5001));
    auto sink = DynamicCast<PacketSink>(server.Install(nodes.Get(2)).Get(0));
    sink->TraceConnectWithoutContext("Rx", MakeCallback(&Received));

    if (pcap)
    {
        link.EnablePcap("either-stack", NodeContainer(nodes.Get(1)));
    }
    Simulator::Stop(Seconds(40));
    Simulator::Run();
    const double took = g_last.GetSeconds() - start;
    std::cout << "received " << sink->GetTotalRx() << " bytes, goodput "
              << sink->GetTotalRx() * 8 / took / 1e6 << " Mbit/s" << std::endl;
    Simulator::Destroy();
    return 0;
}
