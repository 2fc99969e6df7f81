/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * No default of ns-3's TCP that a script changes is lost without a word.
 */
#include "../model/tcp-defaults.h"

#include "ns3/rtt-estimator.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/tcp-socket-base.h"
#include "ns3/tcp-socket-state.h"
#include "ns3/test.h"

#include <iostream>
#include <sstream>
#include <string>

using namespace ns3;

/** Each attribute becomes something, or is told. */
class TcpDefaultsTestCase : public TestCase
{
  public:
    TcpDefaultsTestCase()
        : TestCase("Each default of ns-3's TCP becomes something in the guest, or a warning")
    {
    }

  private:
    void DoRun() override
    {
        size_t seen = 0;
        for (auto type : TcpDefaults::GetTypes())
        {
            for (size_t i = 0; i < type.GetAttributeN(); i++)
            {
                const auto info = type.GetAttribute(i);
                const auto fate = TcpDefaults::GetFate(type, info.name);
                if (fate == TcpDefaults::Fate::INTERNAL || fate == TcpDefaults::Fate::SOCKET)
                {
                    continue;
                }
                seen++;
                /* An equal value that is set counts as changed. */
                type.SetAttributeInitialValue(i, info.originalInitialValue->Copy());
                std::ostringstream told;
                auto* before = std::cerr.rdbuf(told.rdbuf());
                size_t sysctls = 0;
                const auto count = [&](const std::string&, const std::string& value) {
                    sysctls += value.empty() ? 0 : 1;
                    return true;
                };
                TcpDefaults::Apply(count, count, [](uint32_t) {});
                std::cerr.rdbuf(before);
                type.SetAttributeInitialValue(i, info.originalInitialValue);
                const auto name = type.GetName() + "::" + info.name;
                const bool warned = told.str().find(name) != std::string::npos;
                NS_TEST_EXPECT_MSG_EQ(sysctls + (warned ? 1 : 0), 1, name);
            }
        }
        NS_TEST_EXPECT_MSG_GT(seen, 50, "ns-3's TCP has more");
    }
};

/** Those that scripts use are known one by one. */
class TcpDefaultsKnownTestCase : public TestCase
{
  public:
    TcpDefaultsKnownTestCase()
        : TestCase("It is known of each attribute of ns-3's TCP sockets what becomes of it")
    {
    }

  private:
    void DoRun() override
    {
        for (const auto& type : {TcpSocket::GetTypeId(),
                                 TcpSocketBase::GetTypeId(),
                                 TcpSocketState::GetTypeId(),
                                 TcpL4Protocol::GetTypeId(),
                                 RttEstimator::GetTypeId(),
                                 RttMeanDeviation::GetTypeId()})
        {
            for (size_t i = 0; i < type.GetAttributeN(); i++)
            {
                const auto name = type.GetAttribute(i).name;
                NS_TEST_EXPECT_MSG_EQ(TcpDefaults::IsKnown(type, name),
                                      true,
                                      type.GetName() << "::" << name);
            }
        }
    }
};

/** The suite. */
class TcpDefaultsTestSuite : public TestSuite
{
  public:
    TcpDefaultsTestSuite()
        : TestSuite("qemu-tcp-defaults", Type::UNIT)
    {
        AddTestCase(new TcpDefaultsTestCase);
        AddTestCase(new TcpDefaultsKnownTestCase);
    }
};

static TcpDefaultsTestSuite g_tcpDefaultsTestSuite; //!< registers itself
