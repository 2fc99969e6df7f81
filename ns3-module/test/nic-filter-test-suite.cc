/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Which frames a NIC takes, as its driver has told the device.
 */
#include "ns3/nic-filter.h"
#include "ns3/sim-link.h"
#include "ns3/test.h"
#include "ns3/vm-error.h"

#include <array>
#include <cstring>
#include <string>
#include <vector>

using namespace ns3;
using namespace ns3qemu;

namespace
{

using Address = std::array<uint8_t, 6>;

constexpr Address OWN{2, 0, 0, 0, 0, 1};
constexpr Address OTHER{2, 0, 0, 0, 0, 2};
constexpr Address GROUP{1, 0, 0x5e, 0, 0, 1};
constexpr Address OTHER_GROUP{1, 0, 0x5e, 0, 0, 2};
constexpr Address BROADCAST{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

std::vector<uint8_t>
Record(uint32_t flags, uint32_t count, const std::vector<Address>& addresses)
{
    const SimLinkFilter told{flags, count};
    std::vector<uint8_t> bytes(sizeof(told));
    std::memcpy(bytes.data(), &told, sizeof(told));
    for (const auto& address : addresses)
    {
        bytes.insert(bytes.end(), address.begin(), address.end());
    }
    return bytes;
}

/** @return which of OWN, OTHER, GROUP, OTHER_GROUP and BROADCAST a filter takes: "10101" */
std::string
Taken(const NicFilter& filter)
{
    std::string taken;
    for (const auto& address : {OWN, OTHER, GROUP, OTHER_GROUP, BROADCAST})
    {
        taken += filter.Takes(address.data()) ? '1' : '0';
    }
    return taken;
}

std::string
TakenAfter(uint32_t flags, const std::vector<Address>& addresses)
{
    const auto bytes = Record(flags, static_cast<uint32_t>(addresses.size()), addresses);
    return Taken(NicFilter::Parse(bytes.data(), bytes.size()));
}

} // namespace

/** What it takes. */
class NicFilterTestCase : public TestCase
{
  public:
    NicFilterTestCase()
        : TestCase("A NIC takes the frames that its driver has asked for, and at first all")
    {
    }

  private:
    void DoRun() override
    {
        NS_TEST_ASSERT_MSG_EQ(Taken(NicFilter{}), "11111", "at first");
        NS_TEST_ASSERT_MSG_EQ(TakenAfter(SIM_LINK_FILTER_BROADCAST, {OWN}), "10001", "a host");
        NS_TEST_ASSERT_MSG_EQ(TakenAfter(SIM_LINK_FILTER_BROADCAST, {OWN, GROUP}),
                              "10101",
                              "of a group");
        NS_TEST_ASSERT_MSG_EQ(TakenAfter(0, {OWN, OTHER}), "11000", "with a macvlan");
        NS_TEST_ASSERT_MSG_EQ(TakenAfter(SIM_LINK_FILTER_MULTICAST, {OWN}), "10110", "allmulti");
        NS_TEST_ASSERT_MSG_EQ(TakenAfter(SIM_LINK_FILTER_UNICAST, {}), "11000", "all hosts'");
        NS_TEST_ASSERT_MSG_EQ(TakenAfter(0, {}), "00000", "nothing");
    }
};

/** What it does not believe. */
class NicFilterHostileTestCase : public TestCase
{
  public:
    NicFilterHostileTestCase()
        : TestCase("A filter whose length is not what it says is refused")
    {
    }

  private:
    void DoRun() override
    {
        for (const auto& bytes : {Record(0, 2, {OWN}),
                                  Record(0, 0, {OWN}),
                                  Record(0, UINT32_MAX, {}),
                                  std::vector<uint8_t>(7),
                                  std::vector<uint8_t>()})
        {
            bool refused = false;
            try
            {
                NicFilter::Parse(bytes.data(), bytes.size());
            }
            catch (const VmError&)
            {
                refused = true;
            }
            NS_TEST_ASSERT_MSG_EQ(refused, true, bytes.size() << " bytes");
        }
    }
};

/** A NIC's filter. */
class NicFilterTestSuite : public TestSuite
{
  public:
    NicFilterTestSuite()
        : TestSuite("qemu-nic-filter", Type::UNIT)
    {
        AddTestCase(new NicFilterTestCase());
        AddTestCase(new NicFilterHostileTestCase());
    }
};

static NicFilterTestSuite g_nicFilterTestSuite;
