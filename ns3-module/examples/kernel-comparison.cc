/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The same bottleneck for one kernel after another: several simulations in one process.
 */
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/qemu-module.h"
#include "ns3/traffic-control-module.h"

#include <iomanip>
#include <iostream>
#include <sstream>

using namespace ns3;

namespace
{

/* One connection over 2 Mbit/s and 20 packets, from 1 s on. */
void
Simulate(const std::string& image, const std::string& congestion, double duration)
{
    NodeContainer nodes(3);
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue("100Mbps"));
    link.SetChannelAttribute("Delay", StringValue("5ms"));
    auto access = link.Install(nodes.Get(0), nodes.Get(1));
    link.SetDeviceAttribute("DataRate", StringValue("2Mbps"));
    link.SetChannelAttribute("Delay", StringValue("20ms"));
    link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue("20p"));
    auto bottleneck = link.Install(nodes.Get(1), nodes.Get(2));

    InternetStackHelper().Install(nodes.Get(1));
    QemuHelper qemu(image);
    auto machine = qemu.Install(nodes.Get(0));
    machine->SetSysctl("net.ipv4.tcp_congestion_control", congestion);
    qemu.Install(nodes.Get(2));

    Ipv4AddressHelper addresses("10.0.1.0", "255.255.255.0");
    addresses.Assign(access);
    addresses.SetBase("10.0.2.0", "255.255.255.0");
    auto interfaces = addresses.Assign(bottleneck);
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();
    TrafficControlHelper().Uninstall(bottleneck.Get(0));

    auto source = CreateObject<QemuTcpSource>();
    source->SetAttribute("Remote", AddressValue(InetSocketAddress(interfaces.GetAddress(1), 5001)));
    source->SetStartTime(Seconds(1));
    nodes.Get(0)->AddApplication(source);
    auto sink = CreateObject<QemuTcpSink>();
    sink->SetAttribute("Local", AddressValue(InetSocketAddress(Ipv4Address::GetAny(), 5001)));
    nodes.Get(2)->AddApplication(sink);

    Simulator::Stop(Seconds(1 + duration));
    Simulator::Run();
    const auto info = source->GetTcpInfo();
    std::cout << std::left << std::setw(24) << machine->GetRelease() << std::right << std::setw(8)
              << std::fixed << std::setprecision(4) << sink->GetTotalRx() * 8 / duration / 1e6
              << std::setw(18) << info.totalRetrans << std::setw(8) << info.cwnd << std::endl;
    Simulator::Destroy();
}

} // namespace

int
main(int argc, char* argv[])
{
    std::string images = "debian:5.10,debian:6.1,debian:6.12";
    std::string congestion = "cubic";
    double duration = 10;
    CommandLine cmd(__FILE__);
    cmd.Usage("One TCP connection over the same bottleneck, with one kernel after another.");
    cmd.AddValue("images", "Names or directories of images, with commas between them", images);
    cmd.AddValue("congestion", "Congestion control of the sender's kernel", congestion);
    cmd.AddValue("duration", "How long it sends, s", duration);
    cmd.Parse(argc, argv);

    std::cout << std::left << std::setw(24) << "kernel" << std::right << std::setw(8) << "Mbit/s"
              << std::setw(18) << "retransmissions" << std::setw(8) << "cwnd" << std::endl;
    std::istringstream list(images);
    for (std::string image; std::getline(list, image, ',');)
    {
        Simulate(image, congestion, duration);
    }
    return 0;
}
