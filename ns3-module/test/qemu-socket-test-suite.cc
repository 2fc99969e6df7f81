/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a socket asks of its guest, and what it does not have to ask.
 */
#include "../model/qemu-socket-factory.h"
#include "scripted-guest.h"

#include "ns3/inet-socket-address.h"
#include "ns3/integer.h"
#include "ns3/packet.h"
#include "ns3/simulator.h"
#include "ns3/test.h"
#include "ns3/udp-socket.h"

#include <cstring>
#include <netinet/in.h>
#include <string>
#include <vector>

using namespace ns3;

namespace
{

/** A node with a scripted guest that has the interfaces 4 and 7, and a UDP socket of it. */
struct UdpScene
{
    UdpScene()
        : node(CreateObject<Node>()),
          guest(CreateObject<ScriptedGuest>())
    {
        guest->m_interfaceIndices = {4, 7};
        auto factory = CreateObject<QemuUdpSocketFactory>();
        node->AggregateObject(guest);
        node->AggregateObject(factory);
        socket = DynamicCast<UdpSocket>(factory->CreateSocket());
        socket->Bind();
        guest->m_asked.clear();
        guest->m_options.clear();
    }

    ~UdpScene()
    {
        socket = nullptr;
        Simulator::Destroy();
    }

    /** @return the ifindex of each option of this name that has been set */
    std::vector<int> InterfacesOf(int name) const
    {
        std::vector<int> interfaces;
        for (const auto& option : guest->m_options)
        {
            ip_mreqn request{};
            if (option.level == IPPROTO_IP && option.name == name)
            {
                std::memcpy(&request, option.value.data(), sizeof(request));
                interfaces.push_back(request.imr_ifindex);
            }
        }
        return interfaces;
    }

    Ptr<Node> node;
    Ptr<ScriptedGuest> guest;
    Ptr<UdpSocket> socket;
};

} // namespace

/** The machine knows its interfaces: only the option itself is asked for, in one turn. */
class SocketInterfacesTestCase : public TestCase
{
  public:
    SocketInterfacesTestCase()
        : TestCase("A socket does not ask the guest for the interfaces that the machine knows")
    {
    }

  private:
    void DoRun() override
    {
        const InetSocketAddress group(Ipv4Address("239.1.2.3"), 9);
        const std::vector<uint16_t> once{RELAY_SETSOCKOPT};
        const std::vector<uint16_t> twice{RELAY_SETSOCKOPT, RELAY_SETSOCKOPT};
        {
            UdpScene scene;
            NS_TEST_EXPECT_MSG_EQ(scene.socket->MulticastJoinGroup(0, group), 0, "at each NIC");
            NS_TEST_EXPECT_MSG_EQ((scene.guest->m_asked == twice), true, "what is asked for");
            NS_TEST_EXPECT_MSG_EQ((scene.InterfacesOf(IP_ADD_MEMBERSHIP) == std::vector{4, 7}),
                                  true,
                                  "where");
        }
        {
            UdpScene scene;
            NS_TEST_EXPECT_MSG_EQ(scene.socket->MulticastJoinGroup(2, group), 0, "at the second");
            NS_TEST_EXPECT_MSG_EQ((scene.guest->m_asked == once), true, "what is asked for");
            NS_TEST_EXPECT_MSG_EQ((scene.InterfacesOf(IP_ADD_MEMBERSHIP) == std::vector{7}),
                                  true,
                                  "where");
        }
        {
            UdpScene scene;
            NS_TEST_EXPECT_MSG_EQ(scene.socket->MulticastJoinGroup(3, group), -1, "no third NIC");
            NS_TEST_EXPECT_MSG_EQ(scene.socket->GetErrno(), Socket::ERROR_NODEV, "its errno");
            NS_TEST_EXPECT_MSG_EQ(scene.guest->m_asked.empty(), true, "nothing is asked for");
        }
        {
            UdpScene scene;
            scene.socket->SetAttribute("IpMulticastIf", IntegerValue(1));
            NS_TEST_EXPECT_MSG_EQ(scene.guest->Count(RELAY_LINK_GET), 0, "what is asked for");
            NS_TEST_EXPECT_MSG_EQ((scene.InterfacesOf(IP_MULTICAST_IF) == std::vector{4}),
                                  true,
                                  "where from");
        }
    }
};

/** The suite. */
class QemuSocketTestSuite : public TestSuite
{
  public:
    QemuSocketTestSuite()
        : TestSuite("qemu-socket", Type::UNIT)
    {
        AddTestCase(new SocketInterfacesTestCase);
    }
};

static QemuSocketTestSuite g_qemuSocketTestSuite;
