/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Pairs of Linux kernels talk TCP through two routers, in one process or in two: senders and their
 * router are simulated by rank 0 of MPI, receivers and theirs by rank 1.
 */
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/mpi-interface.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/qemu-module.h"

#include <algorithm>
#include <iostream>
#include <sstream>

using namespace ns3;

int
main(int argc, char* argv[])
{
    std::string image = "debian:6.1";
    uint32_t ranks = 1;
    bool nullMessages = false;
    uint32_t pairs = 2;
    std::string rate = "10Mbps";
    std::string delay = "10ms";
    bool vmRouters = false;
    bool parallel = false;
    double duration = 5;
    bool pcap = false;
    CommandLine cmd(__FILE__);
    cmd.Usage("Pairs of Linux kernels talk TCP through two routers, in one process or as\n"
              "    mpiexec -n 2 PROGRAM --ranks=2\n"
              "with the same captures.");
    cmd.AddValue("image", "Name or directory of the machines' image", image);
    cmd.AddValue("ranks", "1: one process; 2: two ranks, started by mpiexec", ranks);
    cmd.AddValue("nullmsg", "Have ranks synchronise by null messages", nullMessages);
    cmd.AddValue("pairs", "How many pairs there are", pairs);
    cmd.AddValue("rate", "Data rate of the link between the routers", rate);
    cmd.AddValue("delay", "Delay of the link between the routers", delay);
    cmd.AddValue("vm-routers", "Whether the routers are machines, too", vmRouters);
    cmd.AddValue("parallel", "Whether machines of a rank have turns at the same time", parallel);
    cmd.AddValue("duration", "How long they send, s", duration);
    cmd.AddValue("pcap", "Capture what the machines' NICs send and receive", pcap);
    cmd.Parse(argc, argv);

    if (ranks > 1)
    {
        // Before all else: the first node makes the simulator.
        GlobalValue::Bind("SimulatorImplementationType",
                          StringValue(nullMessages ? "ns3::NullMessageSimulatorImpl"
                                                   : "ns3::DistributedSimulatorImpl"));
        MpiInterface::Enable(&argc, &argv);
        NS_ABORT_MSG_IF(ranks != 2 || MpiInterface::GetSize() != 2,
                        "there are two ranks: start it as mpiexec -n 2 PROGRAM --ranks=2");
    }

    // All nodes are in both processes. Their system ids say who simulates them.
    NodeContainer routers;
    NodeContainer senders;
    NodeContainer receivers;
    routers.Create(1, 0);
    routers.Create(1, ranks - 1);
    senders.Create(pairs, 0);
    receivers.Create(pairs, ranks - 1);

    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue(rate));
    link.SetChannelAttribute("Delay", StringValue(delay));
    NetDeviceContainer backbone = link.Install(routers);
    std::vector<NetDeviceContainer> networks{backbone};
    link.SetDeviceAttribute("DataRate", StringValue("100Mbps"));
    link.SetChannelAttribute("Delay", StringValue("2ms"));
    for (uint32_t i = 0; i < pairs; i++)
    {
        networks.push_back(link.Install(senders.Get(i), routers.Get(0)));
        networks.push_back(link.Install(receivers.Get(i), routers.Get(1)));
    }

    // Each process installs all stacks and routes; a machine is started by its own rank alone.
    QemuHelper qemu(image);
    qemu.SetAttribute("Parallel", BooleanValue(parallel));
    qemu.SetIpv6StackInstall(false);
    qemu.Install(senders);
    qemu.Install(receivers);
    if (vmRouters)
    {
        qemu.Install(routers);
    }
    else
    {
        InternetStackHelper stack;
        stack.SetIpv6StackInstall(false);
        stack.Install(routers);
    }
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    for (const auto& network : networks)
    {
        addresses.Assign(network);
        addresses.NewNetwork();
    }
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();

    // Applications are installed where they run.
    const auto isHere = [ranks](Ptr<Node> node) {
        return ranks == 1 || node->GetSystemId() == Simulator::GetSystemId();
    };
    std::vector<Ptr<QemuTcpSink>> sinks;
    for (uint32_t i = 0; i < pairs; i++)
    {
        if (isHere(senders.Get(i)))
        {
            const auto remote = receivers.Get(i)->GetObject<Ipv4>()->GetAddress(1, 0).GetLocal();
            auto source = CreateObject<QemuTcpSource>();
            source->SetAttribute("Remote", AddressValue(InetSocketAddress(remote, 5001)));
            // Not all at once: they would take turns at losing packets.
            source->SetStartTime(Seconds(1) + MilliSeconds(20 * (i % 50)));
            senders.Get(i)->AddApplication(source);
        }
        if (isHere(receivers.Get(i)))
        {
            auto sink = CreateObject<QemuTcpSink>();
            sink->SetAttribute("Local",
                               AddressValue(InetSocketAddress(Ipv4Address::GetAny(), 5001)));
            receivers.Get(i)->AddApplication(sink);
            sinks.push_back(sink);
        }
    }

    if (pcap)
    {
        qemu.EnablePcapAll("two-ranks");
    }
    Simulator::Stop(Seconds(1 + duration));
    Simulator::Run();
    // At once: what ranks print is mixed.
    std::ostringstream result;
    for (const auto& sink : sinks)
    {
        result << "node " << sink->GetNode()->GetId() << " received " << sink->GetTotalRx()
               << " bytes\n";
    }
    uint64_t turns = 0;
    uint64_t ahead = 0;
    for (auto node = NodeList::Begin(); node != NodeList::End(); ++node)
    {
        const auto machine = VirtualMachine::Of(*node);
        turns += machine ? machine->GetTurns() : 0;
        ahead += machine ? machine->GetTurnsAhead() : 0;
    }
    result << "rank " << Simulator::GetSystemId() << ": " << turns << " turns, " << ahead
           << " ahead\n";
    std::cout << result.str() << std::flush;
    Simulator::Destroy();
    if (ranks > 1)
    {
        MpiInterface::Disable();
    }
    return 0;
}
