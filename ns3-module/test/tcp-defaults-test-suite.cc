/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * No default of ns-3's TCP that a script changes is lost without a word.
 */
#include "../model/tcp-defaults.h"

#include "ns3/config.h"
#include "ns3/rtt-estimator.h"
#include "ns3/string.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/tcp-socket-base.h"
#include "ns3/tcp-socket-state.h"
#include "ns3/test.h"
#include "ns3/uinteger.h"

#include <iostream>
#include <sstream>
#include <string>
#include <utility>

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
                if (fate == TcpDefaults::Fate::INTERNAL || fate == TcpDefaults::Fate::SOCKET ||
                    fate == TcpDefaults::Fate::ROUTE)
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
                ns3qemu::RouteMetrics metrics;
                TcpDefaults::Apply(count, count, metrics);
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

/** What in Linux belongs to a route. */
class TcpDefaultsRouteTestCase : public TestCase
{
  public:
    TcpDefaultsRouteTestCase()
        : TestCase("DelAckCount is a route's quickack; MinRto is a route's where no sysctl is")
    {
    }

  private:
    /* What is told of a default, which then is as it was. */
    static std::string Tell(const std::string& attribute,
                            const AttributeValue& value,
                            ns3qemu::RouteMetrics& metrics)
    {
        Config::SetDefault(attribute, value);
        std::ostringstream told;
        auto* before = std::cerr.rdbuf(told.rdbuf());
        const auto none = [](const std::string&, const std::string&) { return false; };
        TcpDefaults::Apply(none, none, metrics);
        std::cerr.rdbuf(before);
        Config::Reset();
        return told.str();
    }

    void DoRun() override
    {
        for (const uint32_t count : {1, 2, 3})
        {
            ns3qemu::RouteMetrics metrics;
            const auto told = Tell("ns3::TcpSocket::DelAckCount", UintegerValue(count), metrics);
            NS_TEST_EXPECT_MSG_EQ(metrics.quickAck, (count == 1), count);
            NS_TEST_EXPECT_MSG_EQ(told.empty(), (count < 3), told);
        }
        for (const auto& [value, milliseconds] :
             {std::pair("300ms", 300U), {"1500us", 2}, {"0s", 1}})
        {
            ns3qemu::RouteMetrics metrics;
            const auto told = Tell("ns3::TcpSocketBase::MinRto", StringValue(value), metrics);
            NS_TEST_EXPECT_MSG_EQ(metrics.minimumRto, milliseconds, value);
            NS_TEST_EXPECT_MSG_EQ(told, "", value);
        }
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
        AddTestCase(new TcpDefaultsRouteTestCase);
        AddTestCase(new TcpDefaultsKnownTestCase);
    }
};

static TcpDefaultsTestSuite g_tcpDefaultsTestSuite; //!< registers itself
