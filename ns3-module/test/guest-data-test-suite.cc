/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * How what comes from a guest, or goes there, is read and written: addresses, struct tcp_info.
 */
#include "../model/guest-address.h"
#include "thrown.h"

#include "ns3/guest-tcp-info.h"
#include "ns3/inet-socket-address.h"
#include "ns3/relay-client.h"
#include "ns3/test.h"
#include "ns3/vm-error.h"

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ns3;
using namespace ns3qemu;

/** Addresses as people write them. */
class GuestAddressTestCase : public TestCase
{
  public:
    GuestAddressTestCase()
        : TestCase("Addresses are read and printed")
    {
    }

  private:
    void DoRun() override
    {
        for (const std::string text : {"10.0.1.2", "fd00::1", "::"})
        {
            NS_TEST_ASSERT_MSG_EQ(GuestAddress::Parse(text).Print(), text, "round trip");
        }
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([]() { GuestAddress::Parse("10.0.1"); }),
            "'10.0.1' is neither an IPv4 nor an IPv6 address",
            "half an address");
        const auto endpoint =
            ToGuestEndpoint(InetSocketAddress(Ipv4Address("1.2.3.4"), 80), "Remote");
        NS_TEST_ASSERT_MSG_EQ(endpoint.address.Print(), "1.2.3.4", "ns-3's address");
        NS_TEST_ASSERT_MSG_EQ(endpoint.port, 80, "ns-3's port");
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([]() { ToGuestEndpoint(Address(), "Remote"); }),
            "the attribute Remote must be an InetSocketAddress or an Inet6SocketAddress",
            "an unset address");
    }
};

/** struct tcp_info, at its offsets. */
class GuestTcpInfoTestCase : public TestCase
{
  public:
    GuestTcpInfoTestCase()
        : TestCase("struct tcp_info is read at its offsets")
    {
    }

  private:
    void DoRun() override
    {
        std::vector<uint8_t> raw(232);
        const auto set = [&raw](size_t offset, uint32_t value) {
            std::memcpy(raw.data() + offset, &value, sizeof(value));
        };
        raw[0] = 1;
        set(16, 1448);
        set(68, 50505);
        set(76, 15);
        set(80, 30);
        set(100, 7);
        const auto info = GuestTcpInfo::Parse(raw);
        NS_TEST_ASSERT_MSG_EQ(info.state, 1, "tcpi_state");
        NS_TEST_ASSERT_MSG_EQ(info.sndMss, 1448, "tcpi_snd_mss");
        NS_TEST_ASSERT_MSG_EQ(info.rtt, 50505, "tcpi_rtt");
        NS_TEST_ASSERT_MSG_EQ(info.ssthresh, 15, "tcpi_snd_ssthresh");
        NS_TEST_ASSERT_MSG_EQ(info.cwnd, 30, "tcpi_snd_cwnd");
        NS_TEST_ASSERT_MSG_EQ(info.totalRetrans, 7, "tcpi_total_retrans");
        raw.resize(103);
        NS_TEST_ASSERT_MSG_EQ(Thrown<VmError>([&]() { GuestTcpInfo::Parse(raw); }).empty(),
                              false,
                              "one byte too few");
    }
};

/** The suite. */
class GuestDataTestSuite : public TestSuite
{
  public:
    GuestDataTestSuite()
        : TestSuite("qemu-guest-data", Type::UNIT)
    {
        AddTestCase(new GuestAddressTestCase);
        AddTestCase(new GuestTcpInfoTestCase);
    }
};

static GuestDataTestSuite g_guestDataTestSuite; //!< registers itself
