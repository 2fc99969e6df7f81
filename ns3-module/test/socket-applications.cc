/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * ns-3's own applications between machines, and between machines and a native node, each in both
 * directions. Nothing but how a node is made is of this module.
 */
#include "socket-network.h"

#include "ns3/internet-apps-module.h"

#include <map>
#include <memory>

using namespace ns3;

namespace
{

constexpr uint32_t NATIVE = SocketNetwork::NATIVE;

/* Who talks to whom. */
const std::vector<std::pair<uint32_t, uint32_t>> g_pairs{{0, 1}, {0, NATIVE}, {NATIVE, 1}};

std::map<std::string, uint64_t> g_counts;

void
Count(std::string name, Ptr<const Packet> packet)
{
    g_counts[name]++;
    g_counts[name + " bytes"] += packet->GetSize();
}

void
CountRtt(std::string name, uint16_t, Time rtt)
{
    g_counts[name]++;
    g_counts[name + " us"] = static_cast<uint64_t>(rtt.GetMicroSeconds());
}

void
CountRttAlone(std::string name, Time rtt)
{
    CountRtt(name, 0, rtt);
}

/* ns-3 has the class Ping since 3.38, before that V4Ping, which does not end by itself. */
Ptr<Application>
CreatePing(const std::string& name, Ipv4Address to)
{
    /* Of the same library: a linker that is frugal leaves out one of which nothing is named. */
    V4TraceRoute::GetTypeId();
    TypeId type;
    ObjectFactory factory;
    if (TypeId::LookupByNameFailSafe("ns3::Ping", &type))
    {
        factory.SetTypeId(type);
        factory.Set("Destination", AddressValue(to));
        factory.Set("Count", UintegerValue(3));
        factory.Set("VerboseMode", StringValue("Silent"));
        auto ping = factory.Create<Application>();
        ping->TraceConnectWithoutContext("Rtt", MakeBoundCallback(&CountRtt, name));
        return ping;
    }
    factory.SetTypeId("ns3::V4Ping");
    factory.Set("Remote", Ipv4AddressValue(to));
    auto ping = factory.Create<Application>();
    ping->TraceConnectWithoutContext("Rtt", MakeBoundCallback(&CountRttAlone, name));
    return ping;
}

void
CountPage(std::string name, Ptr<const ThreeGppHttpClient>, const Time&, uint32_t, uint32_t bytes)
{
    g_counts[name]++;
    g_counts[name + " bytes"] += bytes;
}

std::string
Name(uint32_t from, uint32_t to)
{
    const auto name = [](uint32_t node) { return node == NATIVE ? "native" : "vm"; };
    return std::string(name(from)) + " to " + name(to);
}

} // namespace

int
main(int argc, char* argv[])
{
    if (argc != 2)
    {
        std::cerr << "usage: " << argv[0] << " IMAGE" << std::endl;
        return 2;
    }
    auto network = std::make_unique<SocketNetwork>(argv[1]);
    const auto& nodes = network->nodes;
    std::map<std::string, Ptr<PacketSink>> sinks;
    std::map<std::string, Ptr<UdpServer>> servers;
    uint16_t port = 1000;
    /* At first the nodes find each other, one pair after another; then comes what must not be lost,
     * then what fills the queues. */
    double pings = 0.5;
    constexpr double datagrams = 4;
    constexpr double streams = 10;
    const auto begin = [](ApplicationContainer applications, double time) {
        applications.Start(Seconds(time));
        applications.Stop(Seconds(30));
    };
    for (const auto& [from, to] : g_pairs)
    {
        const std::string name = Name(from, to);
        for (const std::string protocol : {"Tcp", "Udp"})
        {
            const std::string factory = "ns3::" + protocol + "SocketFactory";
            const Address any = InetSocketAddress(Ipv4Address::GetAny(), ++port);
            auto sink = PacketSinkHelper(factory, any).Install(nodes.Get(to));
            sinks["OnOff " + protocol + " " + name] = DynamicCast<PacketSink>(sink.Get(0));
            OnOffHelper onOff(factory, SocketNetwork::At(to, port));
            onOff.SetConstantRate(DataRate("400kbps"), 500);
            onOff.SetAttribute("MaxBytes", UintegerValue(50'000));
            begin(onOff.Install(nodes.Get(from)), protocol == "Udp" ? datagrams : streams);
        }

        const Address here = InetSocketAddress(Ipv4Address::GetAny(), ++port);
        auto sink = PacketSinkHelper("ns3::TcpSocketFactory", here).Install(nodes.Get(to));
        sinks["BulkSend " + name] = DynamicCast<PacketSink>(sink.Get(0));
        BulkSendHelper bulk("ns3::TcpSocketFactory", SocketNetwork::At(to, port));
        bulk.SetAttribute("MaxBytes", UintegerValue(1'000'000));
        begin(bulk.Install(nodes.Get(from)), streams);

        begin(UdpEchoServerHelper(++port).Install(nodes.Get(to)), 0);
        UdpEchoClientHelper echo(SocketNetwork::At(to, port));
        echo.SetAttribute("MaxPackets", UintegerValue(10));
        echo.SetAttribute("Interval", TimeValue(MilliSeconds(100)));
        echo.SetAttribute("PacketSize", UintegerValue(1000));
        auto client = echo.Install(nodes.Get(from));
        client.Get(0)->TraceConnectWithoutContext("Rx",
                                                  MakeBoundCallback(&Count, "UdpEcho " + name));
        begin(client, datagrams);

        UdpServerHelper server(++port);
        auto received = server.Install(nodes.Get(to));
        servers["UdpClient " + name] = DynamicCast<UdpServer>(received.Get(0));
        UdpClientHelper sender(SocketNetwork::At(to, port));
        sender.SetAttribute("MaxPackets", UintegerValue(20));
        sender.SetAttribute("Interval", TimeValue(MilliSeconds(10)));
        begin(sender.Install(nodes.Get(from)), datagrams);

        UdpServerHelper traceServer(++port);
        received = traceServer.Install(nodes.Get(to));
        servers["UdpTraceClient " + name] = DynamicCast<UdpServer>(received.Get(0));
        auto traced = UdpTraceClientHelper(Ipv4Address(SocketNetwork::Text(to).c_str()), port, "")
                          .Install(nodes.Get(from));
        traced.Start(Seconds(7));
        traced.Stop(Seconds(9));

        const Address site = InetSocketAddress(Ipv4Address::GetAny(), ++port);
        ThreeGppHttpServerHelper web(site);
        web.Install(nodes.Get(to));
        ThreeGppHttpClientHelper browser(SocketNetwork::At(to, port));
        client = browser.Install(nodes.Get(from));
        client.Get(0)->TraceConnectWithoutContext("RxPage",
                                                  MakeBoundCallback(&CountPage, "Http " + name));
        client.Start(Seconds(streams));

        auto ping = CreatePing("Ping " + name, Ipv4Address(SocketNetwork::Text(to).c_str()));
        nodes.Get(from)->AddApplication(ping);
        begin(ApplicationContainer(ping), pings);
        pings += 0.1;
    }
    Simulator::Stop(Seconds(60));
    Simulator::Run();
    for (const auto& [name, sink] : sinks)
    {
        Say(name, sink->GetTotalRx());
    }
    for (const auto& [name, server] : servers)
    {
        Say(name, server->GetReceived());
        Say(name + " lost", server->GetLost());
    }
    for (const auto& [name, count] : g_counts)
    {
        Say(name, count);
    }
    network.reset();
    Simulator::Destroy();
    return 0;
}
