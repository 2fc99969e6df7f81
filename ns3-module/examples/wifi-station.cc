/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A Linux kernel as a Wi-Fi station; the access point is ns-3's own.
 */
#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/mobility-module.h"
#include "ns3/network-module.h"
#include "ns3/qemu-module.h"
#include "ns3/wifi-module.h"

#include <iostream>

using namespace ns3;

int
main(int argc, char* argv[])
{
    std::string image = "debian:6.1";
    double distance = 20;
    uint64_t size = 2'000'000;
    CommandLine cmd(__FILE__);
    cmd.Usage("A Linux kernel sends bytes over TCP and IEEE 802.11g to the access point.");
    cmd.AddValue("image", "Name or directory of the station's image", image);
    cmd.AddValue("distance", "Between station and access point, m", distance);
    cmd.AddValue("size", "How many bytes are sent", size);
    cmd.Parse(argc, argv);

    NodeContainer nodes(2); // access point, station
    YansWifiPhyHelper phy;
    phy.SetChannel(YansWifiChannelHelper::Default().Create());
    WifiHelper wifi;
    wifi.SetStandard(WIFI_STANDARD_80211g);
    wifi.SetRemoteStationManager("ns3::ConstantRateWifiManager",
                                 "DataMode",
                                 StringValue("ErpOfdmRate54Mbps"));
    WifiMacHelper mac;
    const auto ssid = SsidValue(Ssid("qemu"));
    mac.SetType("ns3::ApWifiMac", "Ssid", ssid);
    NetDeviceContainer devices(wifi.Install(phy, mac, nodes.Get(0)));
    mac.SetType("ns3::StaWifiMac", "Ssid", ssid);
    devices.Add(wifi.Install(phy, mac, nodes.Get(1)));

    auto places = CreateObject<ListPositionAllocator>();
    places->Add(Vector(0, 0, 0));
    places->Add(Vector(distance, 0, 0));
    MobilityHelper mobility;
    mobility.SetPositionAllocator(places);
    mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel");
    mobility.Install(nodes);

    InternetStackHelper().Install(nodes.Get(0));
    QemuHelper(image).Install(nodes.Get(1));
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    auto interfaces = addresses.Assign(devices);

    PacketSinkHelper server("ns3::TcpSocketFactory",
                            InetSocketAddress(Ipv4Address::GetAny(), 5001));
    auto sink = DynamicCast<PacketSink>(server.Install(nodes.Get(0)).Get(0));
    auto source = CreateObject<QemuTcpSource>();
    source->SetAttribute("Remote", AddressValue(InetSocketAddress(interfaces.GetAddress(0), 5001)));
    source->SetAttribute("MaxBytes", UintegerValue(size));
    source->SetStartTime(Seconds(1)); // it is associated by then
    nodes.Get(1)->AddApplication(source);

    Simulator::Stop(Seconds(10));
    Simulator::Run();
    std::cout << "the access point has received " << sink->GetTotalRx() << " bytes" << std::endl;
    Simulator::Destroy();
    return sink->GetTotalRx() == size ? 0 : 1;
}
