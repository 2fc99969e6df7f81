/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A Linux kernel forwards packets between two hosts of ns-3's own.
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

uint32_t g_echoed = 0;

void
Echoed(Ptr<const Packet>)
{
    g_echoed++;
}

} // namespace

int
main(int argc, char* argv[])
{
    std::string image = "debian:6.1";
    uint32_t packets = 100;
    bool pcap = false;
    CommandLine cmd(__FILE__);
    cmd.Usage("Two hosts of ns-3's own send datagrams through a router that is a Linux kernel.");
    cmd.AddValue("image", "Name or directory of the router's image", image);
    cmd.AddValue("packets", "How many datagrams are sent and echoed", packets);
    cmd.AddValue("pcap", "Capture what the router's NICs send and receive", pcap);
    cmd.Parse(argc, argv);

    NodeContainer nodes(3); // host, router, host
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue("10Mbps"));
    link.SetChannelAttribute("Delay", StringValue("2ms"));
    auto left = link.Install(nodes.Get(0), nodes.Get(1));
    auto right = link.Install(nodes.Get(1), nodes.Get(2));

    InternetStackHelper().Install(NodeContainer(nodes.Get(0), nodes.Get(2)));
    QemuHelper qemu(image);
    auto machine = qemu.Install(nodes.Get(1));

    Ipv4AddressHelper addresses("10.0.1.0", "255.255.255.0");
    addresses.Assign(left);
    addresses.SetBase("10.0.2.0", "255.255.255.0");
    auto interfaces = addresses.Assign(right);
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();

    auto server = UdpEchoServerHelper(7).Install(nodes.Get(2));
    server.Start(Seconds(0));
    UdpEchoClientHelper echo(InetSocketAddress(interfaces.GetAddress(1), 7));
    echo.SetAttribute("MaxPackets", UintegerValue(packets));
    echo.SetAttribute("Interval", TimeValue(MilliSeconds(10)));
    echo.SetAttribute("PacketSize", UintegerValue(1000));
    auto client = echo.Install(nodes.Get(0));
    client.Start(Seconds(1));
    client.Get(0)->TraceConnectWithoutContext("Rx", MakeCallback(&Echoed));

    if (pcap)
    {
        qemu.EnablePcapAll("vm-router");
    }
    Simulator::Stop(Seconds(2) + MilliSeconds(10) * packets);
    Simulator::Run();
    std::cout << g_echoed << " of " << packets << " datagrams came back through Linux "
              << machine->GetRelease() << std::endl;
    Simulator::Destroy();
    return g_echoed == packets ? 0 : 1;
}
