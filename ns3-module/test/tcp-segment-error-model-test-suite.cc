/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The loss that a scenario asks for.
 */
#include "../model/tcp-segment-error-model.h"

#include "ns3/packet.h"
#include "ns3/test.h"
#include "ns3/uinteger.h"

#include <string>
#include <vector>

using namespace ns3;

/** The loss that a scenario asks for, and no other. */
class SegmentLossTestCase : public TestCase
{
  public:
    SegmentLossTestCase()
        : TestCase("One data segment is lost, and its first retransmissions")
    {
    }

  private:
    /** @return a packet as a point-to-point device receives it: PPP, IPv4, TCP, payload */
    static Ptr<Packet> Segment(uint32_t sequence, uint32_t payload)
    {
        std::vector<uint8_t> bytes(2 + 20 + 20 + payload);
        const uint32_t total = 40 + payload;
        bytes[2] = 0x45;
        bytes[4] = static_cast<uint8_t>(total >> 8);
        bytes[5] = static_cast<uint8_t>(total);
        bytes[11] = 6;
        for (int i = 0; i < 4; i++)
        {
            bytes[26 + i] = static_cast<uint8_t>(sequence >> (24 - 8 * i));
        }
        bytes[34] = 5 << 4;
        return Create<Packet>(bytes.data(), static_cast<uint32_t>(bytes.size()));
    }

    void DoRun() override
    {
        auto model = CreateObject<TcpSegmentErrorModel>();
        model->SetAttribute("Segment", UintegerValue(2));
        model->SetAttribute("Count", UintegerValue(2));
        std::string lost;
        const auto receive = [&](uint32_t sequence, uint32_t payload) {
            lost += model->IsCorrupt(Segment(sequence, payload)) ? "x" : ".";
        };
        receive(1, 0); // no data: not counted
        receive(1, 100);
        receive(101, 100); // the second
        receive(201, 100);
        receive(101, 100); // its retransmission
        receive(101, 100); // the next one passes
        receive(301, 100);
        NS_TEST_ASSERT_MSG_EQ(lost, "..x.x..", "what is lost");
        NS_TEST_ASSERT_MSG_EQ(model->IsCorrupt(Create<Packet>(1)), false, "a stump of a packet");
    }
};

/** The suite. */
class TcpSegmentErrorModelTestSuite : public TestSuite
{
  public:
    TcpSegmentErrorModelTestSuite()
        : TestSuite("qemu-tcp-segment-error-model", Type::UNIT)
    {
        AddTestCase(new SegmentLossTestCase);
    }
};

static TcpSegmentErrorModelTestSuite g_tcpSegmentErrorModelTestSuite; //!< registers itself
