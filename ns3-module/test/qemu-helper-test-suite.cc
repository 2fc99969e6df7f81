/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What the helper and a machine refuse as long as no machine runs.
 */
#include "../helper/qemu-helper.h"
#include "../model/qemu-net-device.h"
#include "../model/virtual-machine.h"
#include "thrown.h"

#include "ns3/internet-stack-helper.h"
#include "ns3/node-container.h"
#include "ns3/simple-net-device.h"
#include "ns3/simulator.h"
#include "ns3/test.h"

#include <stdexcept>

using namespace ns3;

/** Mistakes of a script are told at once. */
class HelperErrorsTestCase : public TestCase
{
  public:
    HelperErrorsTestCase()
        : TestCase("Mistakes of a script are told at once")
    {
    }

  private:
    void DoRun() override
    {
        NodeContainer nodes(3);
        QemuHelper helper("no-image");
        auto machine = helper.Install(nodes.Get(0));
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([&]() { helper.Install(nodes.Get(0)); }).empty(),
            false,
            "two machines for a node");
        InternetStackHelper().Install(nodes.Get(1));
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([&]() { helper.Install(nodes.Get(1)); }).empty(),
            false,
            "two stacks for a node");
        auto other = CreateObject<SimpleNetDevice>();
        nodes.Get(2)->AddDevice(other);
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([&]() { machine->GetNic(other); }).empty(),
            false,
            "another node's device");
        auto own = CreateObject<SimpleNetDevice>();
        own->SetAddress(Mac48Address::Allocate());
        nodes.Get(0)->AddDevice(own);
        for (const auto* address : {"10.0.0.1", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/x", "bla/24"})
        {
            NS_TEST_ASSERT_MSG_EQ(
                Thrown<std::invalid_argument>([&]() { machine->AddAddress(own, address); }).empty(),
                false,
                address);
        }
        NS_TEST_ASSERT_MSG_EQ(Thrown<std::logic_error>([&]() { machine->GetUptime(); }).empty(),
                              false,
                              "a machine that does not run");
        Simulator::Destroy();
    }
};

/** The suite. */
class QemuHelperTestSuite : public TestSuite
{
  public:
    QemuHelperTestSuite()
        : TestSuite("qemu-helper", Type::UNIT)
    {
        AddTestCase(new HelperErrorsTestCase);
    }
};

static QemuHelperTestSuite g_qemuHelperTestSuite; //!< registers itself
