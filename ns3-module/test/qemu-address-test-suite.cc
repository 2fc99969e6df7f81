/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Interfaces, addresses and routes of a machine's node, as far as no machine needs to run.
 */
#include "../helper/qemu-helper.h"
#include "../model/qemu-net-device.h"
#include "../model/routing-tables.h"
#include "../model/virtual-machine.h"
#include "relay-request.h"
#include "thrown.h"

#include "ns3/arp-l3-protocol.h"
#include "ns3/guest-routes.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-address-helper.h"
#include "ns3/ipv4-global-routing-helper.h"
#include "ns3/ipv4-list-routing-helper.h"
#include "ns3/ipv4-list-routing.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/ipv6-address-helper.h"
#include "ns3/ipv6-list-routing-helper.h"
#include "ns3/ipv6-static-routing-helper.h"
#include "ns3/node-container.h"
#include "ns3/relay-client.h"
#include "ns3/simple-net-device-helper.h"
#include "ns3/simulator.h"
#include "ns3/test.h"

#include <cerrno>
#include <cstring>
#include <linux/rtnetlink.h>
#include <string>
#include <vector>

using namespace ns3;
using namespace ns3qemu;

/** Two machines and two nodes of ns-3's own in a row. */
class Ipv4TestCase : public TestCase
{
  public:
    using TestCase::TestCase;

  protected:
    /** native - machine - machine - native */
    void Build()
    {
        m_nodes.Create(4);
        const QemuHelper helper("no-image");
        InternetStackHelper native;
        native.Install(NodeContainer(m_nodes.Get(0), m_nodes.Get(3)));
        helper.Install(m_nodes.Get(1));
        helper.Install(m_nodes.Get(2));
        SimpleNetDeviceHelper link;
        Ipv4AddressHelper addresses("10.1.0.0", "255.255.255.0");
        for (uint32_t i = 0; i < 3; i++)
        {
            link.SetNetDevicePointToPointMode(i == 1);
            const auto devices = link.Install(NodeContainer(m_nodes.Get(i), m_nodes.Get(i + 1)));
            m_interfaces.Add(addresses.Assign(devices));
            m_devices.Add(devices);
            addresses.NewNetwork();
        }
    }

    Ptr<Ipv4> GetIpv4(uint32_t node) const
    {
        return m_nodes.Get(node)->GetObject<Ipv4>();
    }

    NodeContainer m_nodes;
    NetDeviceContainer m_devices;
    Ipv4InterfaceContainer m_interfaces;
};

/** What scripts ask of Ipv4. */
class Ipv4ScriptTestCase : public Ipv4TestCase
{
  public:
    Ipv4ScriptTestCase()
        : Ipv4TestCase("A machine's Ipv4 answers as ns-3's own does")
    {
    }

  private:
    void DoRun() override
    {
        Build();
        const auto ipv4 = GetIpv4(1);
        NS_TEST_ASSERT_MSG_EQ(ipv4->GetNInterfaces(), 3, "loopback and two");
        NS_TEST_ASSERT_MSG_EQ(ipv4->GetAddress(0, 0).GetLocal(),
                              Ipv4Address::GetLoopback(),
                              "interface 0");
        NS_TEST_ASSERT_MSG_EQ(m_interfaces.GetAddress(1), Ipv4Address("10.1.0.2"), "Assign");
        NS_TEST_ASSERT_MSG_EQ(ipv4->GetInterfaceForDevice(m_devices.Get(2)), 2, "by device");
        NS_TEST_ASSERT_MSG_EQ(ipv4->GetInterfaceForAddress("10.1.1.1"), 2, "by address");
        NS_TEST_ASSERT_MSG_EQ(ipv4->GetInterfaceForPrefix("10.1.1.0", "255.255.255.0"),
                              2,
                              "by network");
        NS_TEST_ASSERT_MSG_EQ(ipv4->IsForwarding(1), true, "as nodes of ns-3's own");
        NS_TEST_ASSERT_MSG_EQ(ipv4->IsUp(1), true, "Assign sets it up");
        NS_TEST_ASSERT_MSG_EQ(ipv4->SourceAddressSelection(1, "10.1.0.9"),
                              Ipv4Address("10.1.0.2"),
                              "source address");

        ipv4->AddAddress(1, Ipv4InterfaceAddress("10.7.0.1", "255.255.0.0"));
        NS_TEST_ASSERT_MSG_EQ(ipv4->GetNAddresses(1), 2, "a second address");
        NS_TEST_ASSERT_MSG_EQ(ipv4->SourceAddressSelection(1, "10.7.0.9"),
                              Ipv4Address("10.7.0.1"),
                              "the address of the destination's network");
        NS_TEST_ASSERT_MSG_EQ(ipv4->RemoveAddress(1, Ipv4Address("10.7.0.1")), true, "removal");
        NS_TEST_ASSERT_MSG_EQ(ipv4->RemoveAddress(1, Ipv4Address("10.7.0.1")), false, "gone");
        NS_TEST_ASSERT_MSG_EQ(ipv4->RemoveAddress(0, 0), false, "loopback stays");

        const auto machine = VirtualMachine::Of(m_nodes.Get(1));
        machine->AddAddress(m_devices.Get(2), "10.8.0.1/16");
        NS_TEST_ASSERT_MSG_EQ(ipv4->GetAddress(2, 1).GetMask(),
                              Ipv4Mask("255.255.0.0"),
                              "an address of VirtualMachine::AddAddress");
        machine->AddRoute("10.9.0.0/16", "10.8.0.2", m_devices.Get(2));
        const auto routing = Ipv4StaticRoutingHelper().GetStaticRouting(ipv4);
        const auto route = routing->GetRoute(routing->GetNRoutes() - 1);
        NS_TEST_ASSERT_MSG_EQ(route.GetGateway(),
                              Ipv4Address("10.8.0.2"),
                              "a route of VirtualMachine::AddRoute");
        machine->DeleteRoute("10.9.0.0/16", "10.8.0.2", m_devices.Get(2));
        const auto last = routing->GetRoute(routing->GetNRoutes() - 1);
        NS_TEST_ASSERT_MSG_EQ(last.IsGateway(), false, "and of DeleteRoute");

        ipv4->SetDown(2);
        NS_TEST_ASSERT_MSG_EQ(ipv4->IsUp(2), false, "SetDown");
        NS_TEST_ASSERT_MSG_EQ(ipv4->GetNAddresses(2), 2, "addresses stay");
        Simulator::Destroy();
    }
};

/** Global routing over links between machines and native nodes. */
class Ipv4GlobalRoutingTestCase : public Ipv4TestCase
{
  public:
    Ipv4GlobalRoutingTestCase()
        : Ipv4TestCase("Global routing goes through machines")
    {
    }

  private:
    void DoRun() override
    {
        Build();
        Ipv4GlobalRoutingHelper::PopulateRoutingTables();
        /* A machine's NIC becomes a device of its node, too: it must not disturb. */
        VirtualMachine::Of(m_nodes.Get(1))->GetNic(m_devices.Get(1));
        Ipv4GlobalRoutingHelper::RecomputeRoutingTables();
        RoutingTables<Ipv4RoutingProtocol> tables;
        tables.SetProtocol(GetIpv4(1)->GetRoutingProtocol());
        NS_TEST_ASSERT_MSG_EQ(tables.Read(), true, "the first time all is new");
        NS_TEST_ASSERT_MSG_EQ(tables.Read(), false, "and then nothing");
        NS_TEST_ASSERT_MSG_EQ(tables.Get().size(), 2, "static and global routing");
        bool found = false;
        for (const auto& [entry, metric] : tables.Get()[1].routes)
        {
            found = found ||
                    (entry.GetDestNetwork() == Ipv4Address("10.1.2.0") &&
                     entry.GetGateway() == Ipv4Address("10.1.1.2") && entry.GetInterface() == 2);
        }
        NS_TEST_ASSERT_MSG_EQ(found, true, "the way to the last network");

        GetIpv4(2)->SetDown(2);
        Ipv4GlobalRoutingHelper::RecomputeRoutingTables();
        NS_TEST_ASSERT_MSG_EQ(tables.Read(), true, "it has gone");
        Simulator::Destroy();
    }
};

/** Changes of static routing are seen. */
class RoutingTablesTestCase : public Ipv4TestCase
{
  public:
    RoutingTablesTestCase()
        : Ipv4TestCase("Every change of a routing table is seen")
    {
    }

  private:
    void DoRun() override
    {
        Build();
        RoutingTables<Ipv4RoutingProtocol> tables;
        const auto ipv4 = GetIpv4(1);
        tables.SetProtocol(ipv4->GetRoutingProtocol());
        tables.Read();
        const auto routing = Ipv4StaticRoutingHelper().GetStaticRouting(ipv4);
        routing->SetDefaultRoute("10.1.1.2", 2, 5);
        NS_TEST_ASSERT_MSG_EQ(tables.Read(), true, "a new route");
        const uint32_t last = routing->GetNRoutes() - 1;
        routing->RemoveRoute(last);
        routing->SetDefaultRoute("10.1.1.2", 2, 6);
        NS_TEST_ASSERT_MSG_EQ(tables.Read(), true, "another metric");
        routing->RemoveRoute(last);
        routing->SetDefaultRoute("10.1.1.3", 2, 6);
        NS_TEST_ASSERT_MSG_EQ(tables.Read(), true, "another gateway");
        routing->RemoveRoute(last);
        NS_TEST_ASSERT_MSG_EQ(tables.Read(), true, "one less");
        NS_TEST_ASSERT_MSG_EQ(tables.Read(), false, "nothing");
        Simulator::Destroy();
    }
};

/** A node's routing protocol is one whose tables can be carried into a guest, or stays. */
class RoutingProtocolTestCase : public Ipv4TestCase
{
  public:
    RoutingProtocolTestCase()
        : Ipv4TestCase("A routing protocol that is refused leaves the one before")
    {
    }

  private:
    void DoRun() override
    {
        Build();
        const auto ipv4 = GetIpv4(1);
        const auto before = ipv4->GetRoutingProtocol();
        const auto refused = CreateObject<Ipv4ListRouting>();
        refused->AddRoutingProtocol(CreateObject<Ipv4ListRouting>(), 0);
        NS_TEST_ASSERT_MSG_NE(
            Thrown<std::invalid_argument>([&]() { ipv4->SetRoutingProtocol(refused); }),
            "",
            "a list of what is neither static nor global routing");
        NS_TEST_ASSERT_MSG_EQ(ipv4->GetRoutingProtocol(), before, "the node's");
        const auto machine = VirtualMachine::Of(m_nodes.Get(1));
        machine->AddRoute("10.9.0.0/16", "10.1.1.2", m_devices.Get(2));
        const auto routing = Ipv4StaticRoutingHelper().GetStaticRouting(ipv4);
        NS_TEST_ASSERT_MSG_EQ(routing->GetRoute(routing->GetNRoutes() - 1).GetGateway(),
                              Ipv4Address("10.1.1.2"),
                              "its static routing takes routes");
        Simulator::Destroy();
    }
};

/** IPv6: link-local addresses, networks, forwarding. */
class Ipv6ScriptTestCase : public TestCase
{
  public:
    Ipv6ScriptTestCase()
        : TestCase("A machine's Ipv6 answers as ns-3's own does")
    {
    }

  private:
    void DoRun() override
    {
        NodeContainer nodes(2);
        QemuHelper("no-image").Install(nodes.Get(0));
        InternetStackHelper().Install(nodes.Get(1));
        const auto devices = SimpleNetDeviceHelper().Install(nodes);
        Ipv6AddressHelper addresses("2001:db8::", Ipv6Prefix(64));
        auto interfaces = addresses.Assign(devices);
        const auto ipv6 = nodes.Get(0)->GetObject<Ipv6>();
        const auto native = nodes.Get(1)->GetObject<Ipv6>();
        NS_TEST_ASSERT_MSG_EQ(ipv6->GetAddress(0, 0).GetAddress(),
                              Ipv6Address::GetLoopback(),
                              "interface 0");
        NS_TEST_ASSERT_MSG_EQ(interfaces.GetAddress(0, 0).IsLinkLocal(), true, "link-local first");
        NS_TEST_ASSERT_MSG_EQ(ipv6->GetNAddresses(1), native->GetNAddresses(1), "addresses");
        NS_TEST_ASSERT_MSG_EQ(ipv6->IsForwarding(1), native->IsForwarding(1), "forwarding");
        interfaces.SetForwarding(0, true);
        NS_TEST_ASSERT_MSG_EQ(ipv6->IsForwarding(1), true, "SetForwarding");
        const auto routing = Ipv6StaticRoutingHelper().GetStaticRouting(ipv6);
        const auto nativeRouting = Ipv6StaticRoutingHelper().GetStaticRouting(native);
        NS_TEST_ASSERT_MSG_EQ(routing->GetNRoutes(), nativeRouting->GetNRoutes(), "networks");
        interfaces.SetDefaultRoute(0, 1);
        NS_TEST_ASSERT_MSG_EQ(routing->GetDefaultRoute().GetGateway(),
                              interfaces.GetAddress(1, 0),
                              "the default route");
        NS_TEST_ASSERT_MSG_EQ(
            ipv6->AddAddress(1, Ipv6InterfaceAddress(interfaces.GetAddress(0, 1))),
            false,
            "an address twice");
        ipv6->SetDown(1);
        NS_TEST_ASSERT_MSG_EQ(ipv6->GetNAddresses(1), 0, "SetDown takes the addresses");
        ipv6->SetUp(1);
        NS_TEST_ASSERT_MSG_EQ(ipv6->GetNAddresses(1), 1, "SetUp gives the link-local one");
        Simulator::Destroy();
    }
};

/** What is carried into a guest, request by request. */
class GuestRoutesTestCase : public TestCase
{
  public:
    GuestRoutesTestCase()
        : TestCase("Routes are carried as batches of differences")
    {
    }

  private:
    void DoRun() override
    {
        std::vector<uint8_t> input;
        std::vector<uint16_t> kinds;   // of the netlink requests of the last batch
        std::vector<int32_t> refusals; // for the first requests of the next batch
        std::vector<uint8_t> answers;  // to be received
        RelayClient* relay = nullptr;
        RelayClient client([&](Span<const ByteSpan> message) {
            const RelayRequest request(message);
            RelayHeader header = request.header;
            const uint8_t* body = request.body.data();
            std::vector<uint8_t> reply;
            const auto put = [&reply](const auto& value) {
                const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
                reply.insert(reply.end(), bytes, bytes + sizeof(value));
            };
            if (header.type == RELAY_SOCKET)
            {
                put(RelayHandle{7});
            }
            else if (header.type == RELAY_SEND)
            {
                kinds.clear();
                for (size_t at = sizeof(RelaySend); at < header.length;)
                {
                    nlmsghdr request;
                    std::memcpy(&request, body + at, sizeof(request));
                    const size_t index = kinds.size();
                    const int32_t error = index < refusals.size() ? refusals[index] : 0;
                    if (error != 0 || (request.nlmsg_flags & NLM_F_ACK))
                    {
                        nlmsghdr answer{20, NLMSG_ERROR, 0, request.nlmsg_seq, 0};
                        const auto* bytes = reinterpret_cast<const uint8_t*>(&answer);
                        answers.insert(answers.end(), bytes, bytes + sizeof(answer));
                        const int32_t value = -error;
                        bytes = reinterpret_cast<const uint8_t*>(&value);
                        answers.insert(answers.end(), bytes, bytes + sizeof(value));
                    }
                    kinds.push_back(request.nlmsg_type);
                    at += request.nlmsg_len;
                }
                put(RelayCount{static_cast<uint32_t>(header.length - sizeof(RelaySend))});
            }
            else
            {
                put(RelayReceived{});
                reply.insert(reply.end(), answers.begin(), answers.begin() + 20);
                answers.erase(answers.begin(), answers.begin() + 20);
            }
            header.length = static_cast<uint32_t>(reply.size());
            relay->Receive(reinterpret_cast<const uint8_t*>(&header), sizeof(header));
            relay->Receive(reply.data(), reply.size());
        });
        relay = &client;

        using Kinds = std::vector<uint16_t>;
        GuestRoutes routes(RELAY_INET);
        GuestRoutes::Routes wanted;
        RouteKey network;
        network.destination = {10, 1};
        network.prefix = 16;
        RouteTarget target;
        target.hasGateway = true;
        target.gateway = {10, 0, 0, 1};
        wanted[network] = target;
        wanted[RouteKey{}] = target;
        const GuestRoutes::Interfaces interfaces{2, 3};
        routes.Carry(client, wanted, interfaces);
        NS_TEST_ASSERT_MSG_EQ((kinds == Kinds{RTM_NEWROUTE, RTM_NEWROUTE}), true, "both");
        kinds.clear();
        routes.Carry(client, wanted, interfaces);
        NS_TEST_ASSERT_MSG_EQ(kinds.empty(), true, "no request where nothing has changed");
        wanted[network].nic = 1;
        routes.Carry(client, wanted, interfaces);
        NS_TEST_ASSERT_MSG_EQ((kinds == Kinds{RTM_DELROUTE, RTM_NEWROUTE}), true, "another NIC");
        routes.Forget(1);
        routes.Carry(client, wanted, interfaces);
        NS_TEST_ASSERT_MSG_EQ((kinds == Kinds{RTM_NEWROUTE}), true, "what the kernel dropped");
        refusals = {ESRCH, ESRCH};
        routes.Carry(client, {}, interfaces);
        NS_TEST_ASSERT_MSG_EQ((kinds == Kinds{RTM_DELROUTE, RTM_DELROUTE}), true, "none wanted");
        refusals = {0, ENETUNREACH};
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<GuestError>([&]() { routes.Carry(client, wanted, interfaces); }),
            "adding the route 10.1.0.0/16 via 10.0.0.1: Network is unreachable (the guest's errno "
            "101)",
            "a refusal names the route");
    }
};

/** A node has one stack. */
class OneStackTestCase : public TestCase
{
  public:
    OneStackTestCase()
        : TestCase("Two stacks for a node are refused in either order")
    {
    }

  private:
    void DoRun() override
    {
        NodeContainer nodes(2);
        const QemuHelper helper("no-image");
        helper.Install(nodes.Get(0));
        /* What InternetStackHelper begins with. Up to 3.38 it ends the program itself before that.
         */
        NS_TEST_ASSERT_MSG_NE(Thrown<std::invalid_argument>([&]() {
                                  nodes.Get(0)->AggregateObject(CreateObject<ArpL3Protocol>());
                              }),
                              "",
                              "ns-3's after a machine");
        InternetStackHelper().Install(nodes.Get(1));
        NS_TEST_ASSERT_MSG_NE(
            Thrown<std::invalid_argument>([&]() { helper.Install(nodes.Get(1)); }),
            "",
            "a machine after ns-3's");
        NS_TEST_ASSERT_MSG_NE(Thrown<std::invalid_argument>([&]() { helper.Install("nobody"); }),
                              "",
                              "a node that does not exist");
        Simulator::Destroy();
    }
};

/** The suite. */
class QemuAddressTestSuite : public TestSuite
{
  public:
    QemuAddressTestSuite()
        : TestSuite("qemu-addresses", Type::UNIT)
    {
        AddTestCase(new Ipv4ScriptTestCase);
        AddTestCase(new Ipv4GlobalRoutingTestCase);
        AddTestCase(new RoutingTablesTestCase);
        AddTestCase(new RoutingProtocolTestCase);
        AddTestCase(new Ipv6ScriptTestCase);
        AddTestCase(new GuestRoutesTestCase);
        AddTestCase(new OneStackTestCase);
    }
};

static QemuAddressTestSuite g_qemuAddressTestSuite; //!< registers itself
