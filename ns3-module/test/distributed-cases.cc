/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Simulations in one process or in two ranks of MPI; tests/test_simulation_mpi.py builds this in a
 * tree of ns-3 that has MPI, and says what is to come of each case.
 */
#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/mpi-interface.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/qemu-module.h"

#include <iostream>
#include <map>
#include <unistd.h>

using namespace ns3;

namespace
{

uint32_t g_ranks = 1;
bool g_parallel = false;
std::string g_image;

/* What ranks print is mixed, unless it is one string. */
void
Print(const std::string& text)
{
    std::cout << "rank " + std::to_string(Simulator::GetSystemId()) + ": " + text + "\n"
              << std::flush;
}

Ptr<Node>
MakeNode(uint32_t rank)
{
    return CreateObject<Node>(g_ranks == 1 ? 0 : rank);
}

bool
IsHere(Ptr<Node> node)
{
    return g_ranks == 1 || node->GetSystemId() == Simulator::GetSystemId();
}

NetDeviceContainer
Link(Ptr<Node> a, Ptr<Node> b, const std::string& delay)
{
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue("10Mbps"));
    link.SetChannelAttribute("Delay", StringValue(delay));
    return link.Install(a, b);
}

QemuHelper
MakeHelper()
{
    QemuHelper qemu(g_image);
    qemu.SetAttribute("Parallel", BooleanValue(g_parallel));
    return qemu;
}

/* Each link is a network of its own: 10.0.0.0/24, 10.0.1.0/24, ... and the same with IPv6. */
void
Address(const std::vector<NetDeviceContainer>& links)
{
    Ipv4AddressHelper ipv4("10.0.0.0", "255.255.255.0");
    Ipv6AddressHelper ipv6("2001:db8::", 64);
    for (const auto& devices : links)
    {
        ipv4.Assign(devices);
        ipv4.NewNetwork();
        if (devices.Get(0)->GetNode()->GetObject<Ipv6>())
        {
            ipv6.Assign(devices);
            ipv6.NewNetwork();
        }
    }
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();
}

void
Send(Ptr<Node> from, const std::string& to, double start)
{
    OnOffHelper source("ns3::UdpSocketFactory", InetSocketAddress(Ipv4Address(to.c_str()), 9));
    source.SetConstantRate(DataRate("1Mbps"), 500);
    auto applications = source.Install(from);
    applications.Start(Seconds(start));
    applications.Stop(Seconds(start + 0.5));
}

/* A QemuTcpSource on a node, and a QemuTcpSink on another. */
Ptr<QemuTcpSource>
Connect(Ptr<Node> from, Ptr<Node> to, const std::string& address)
{
    auto sink = CreateObject<QemuTcpSink>();
    sink->SetAttribute("Local", AddressValue(InetSocketAddress(Ipv4Address::GetAny(), 5001)));
    to->AddApplication(sink);
    auto source = CreateObject<QemuTcpSource>();
    source->SetAttribute("Remote",
                         AddressValue(InetSocketAddress(Ipv4Address(address.c_str()), 5001)));
    source->SetStartTime(Seconds(0.1));
    from->AddApplication(source);
    return source;
}

/*
 * All that is to be the same: links of different delays, so that machines with the longer ones
 * have a look-ahead; Ethernet frames and back-pressure over a link between ranks; applications on
 * all nodes in all ranks; all files from all ranks.
 */
void
Same()
{
    const auto a = MakeNode(0);
    const auto b = MakeNode(0);
    const auto c = MakeNode(1);
    const auto d = MakeNode(1);
    const auto e = MakeNode(0); // hears nothing but what comes from another rank
    const auto f = MakeNode(1);
    const std::vector<NetDeviceContainer> links{Link(a, b, "1000017ns"),
                                                Link(a, c, "20000059ns"),
                                                Link(b, d, "3000113ns"),
                                                Link(c, d, "2000231ns"),
                                                Link(e, f, "5000501ns")};
    auto qemu = MakeHelper();
    qemu.InstallAll();
    Address(links);
    for (const auto& device : {links[2].Get(0), links[2].Get(1)})
    {
        VirtualMachine::Of(device->GetNode())
            ->GetNic(device)
            ->SetAttribute("EthernetFrames", BooleanValue(true));
    }
    VirtualMachine::Of(d)
        ->GetNic(links[2].Get(1))
        ->SetAttribute("BackPressure", BooleanValue(true));

    Send(b, "10.0.2.2", 0.1);  // to d
    Send(d, "10.0.1.1", 0.15); // to a, by b or c
    PacketSinkHelper udp("ns3::UdpSocketFactory", InetSocketAddress(Ipv4Address::GetAny(), 9));
    PacketSinkHelper tcp("ns3::TcpSocketFactory", InetSocketAddress(Ipv4Address::GetAny(), 80));
    udp.Install(NodeContainer(a, d));
    tcp.Install(NodeContainer(a));
    BulkSendHelper bulk("ns3::TcpSocketFactory", InetSocketAddress(Ipv4Address("10.0.1.1"), 80));
    bulk.SetAttribute("MaxBytes", UintegerValue(100000));
    bulk.Install(c).Start(Seconds(0.2));
    QemuHelper::EnableTcpInfo("tcp-info.csv", Connect(a, c, "10.0.1.2"));
    Connect(f, e, "10.0.4.1");
    qemu.EnablePcapAll("same");
    qemu.EnablePcapIpv4All("same-ip");
    qemu.EnableAsciiIpv6All("same-ip6");

    Simulator::Stop(Seconds(1));
    Simulator::Run();
    for (auto node = NodeList::Begin(); node != NodeList::End(); ++node)
    {
        const auto machine = VirtualMachine::Of(*node);
        if (IsHere(*node))
        {
            Print(machine->GetName() + " ahead " + std::to_string(machine->GetTurnsAhead()));
        }
    }
}

template <typename F>
void
PrintError(F&& action)
{
    try
    {
        action();
        Print("no error");
    }
    catch (const ns3qemu::VmError& error)
    {
        Print(error.what());
    }
}

/* What is said: of frames that arrive at one time, of what is asked of another rank's machine, and
 * that there is nothing left to happen. It is to be ended from outside. */
void
Said()
{
    const auto a = MakeNode(0);
    const auto b = MakeNode(0);
    const auto c = MakeNode(1);
    const std::vector<NetDeviceContainer> links{Link(a, c, "5ms"), Link(b, c, "5ms")};
    auto qemu = MakeHelper();
    qemu.SetIpv6StackInstall(false);
    qemu.InstallAll();
    Address(links);
    Send(a, "10.0.0.2", 0.1);
    Send(b, "10.0.1.2", 0.1);
    auto sink = CreateObject<QemuTcpSink>();
    sink->SetAttribute("Local", AddressValue(InetSocketAddress(Ipv4Address::GetAny(), 5001)));
    c->AddApplication(sink);
    auto program = CreateObject<QemuApplication>();
    program->SetCommand("/nothing");
    program->SetAttribute("Required", BooleanValue(false));
    c->AddApplication(program);
    Simulator::Schedule(Seconds(0.5), [&]() {
        if (!IsHere(c))
        {
            VirtualMachine::Of(c)->SetSysctl("net.ipv4.ip_forward", "1"); // for its own rank
            PrintError([&]() { VirtualMachine::Of(c)->GetRelease(); });
            PrintError([&]() { sink->GetTotalRx(); });
            PrintError([&]() { program->GetOutput(); });
        }
    });
    Simulator::Run();
}

/* A link of another type between ranks. */
void
OtherLink()
{
    const auto a = MakeNode(0);
    const auto b = MakeNode(1);
    const auto devices = SimpleNetDeviceHelper().Install(NodeContainer(a, b));
    MakeHelper().InstallAll();
    Simulator::Stop(Seconds(1));
    Simulator::Run();
}

/* An application of ns-3's own stack in all ranks. */
void
Stray()
{
    const auto a = MakeNode(0);
    const auto b = MakeNode(1);
    const auto link = Link(a, b, "5ms");
    MakeHelper().Install(a);
    InternetStackHelper().Install(b);
    Address({link});
    Send(b, "10.0.0.1", 0.1);
    Simulator::Stop(Seconds(1));
    Simulator::Run();
}

/* It goes on until somebody ends it. Each rank says of which processes it is made. */
void
Endless(bool panic = false)
{
    const auto a = MakeNode(0);
    const auto b = MakeNode(1);
    const auto link = Link(a, b, "5ms");
    MakeHelper().InstallAll();
    Address({link});
    Connect(a, b, "10.0.0.2");
    Simulator::Schedule(Seconds(0.2), [=]() {
        const auto machine = VirtualMachine::Of(IsHere(a) ? a : b);
        Print("pids " + std::to_string(getpid()) + " " + std::to_string(machine->GetPid()));
        if (panic && IsHere(b))
        {
            machine->WriteFile("/proc/sysrq-trigger", "c");
        }
    });
    Simulator::Stop(Seconds(100000));
    Simulator::Run();
}

/* The kernel of one rank's machine panics. */
void
Panic()
{
    Endless(true);
}

} // namespace

int
main(int argc, char* argv[])
{
    const std::map<std::string, void (*)()> cases{{"same", Same},
                                                  {"said", Said},
                                                  {"other-link", OtherLink},
                                                  {"stray", Stray},
                                                  {"endless", []() { Endless(); }},
                                                  {"panic", Panic}};
    std::string name;
    bool nullMessages = false;
    CommandLine cmd(__FILE__);
    cmd.AddValue("case", "Which simulation", name);
    cmd.AddValue("image", "Name or directory of the machines' image", g_image);
    cmd.AddValue("ranks", "1, or 2 with mpiexec", g_ranks);
    cmd.AddValue("nullmsg", "Synchronise by null messages", nullMessages);
    cmd.AddValue("parallel", "Parallel turns", g_parallel);
    cmd.Parse(argc, argv);
    if (g_ranks > 1)
    {
        GlobalValue::Bind("SimulatorImplementationType",
                          StringValue(nullMessages ? "ns3::NullMessageSimulatorImpl"
                                                   : "ns3::DistributedSimulatorImpl"));
        MpiInterface::Enable(&argc, &argv);
    }
    cases.at(name)();
    Simulator::Destroy();
    if (g_ranks > 1)
    {
        MpiInterface::Disable();
    }
    return 0;
}
