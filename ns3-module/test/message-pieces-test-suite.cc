/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Messages to the relay are put together where they go: in the link's inbox.
 */
#include "ns3/byte-pieces.h"
#include "ns3/relay-client.h"
#include "ns3/test.h"
#include "ns3/vm-link.h"

#include <array>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <vector>

using namespace ns3;
using namespace ns3qemu;

namespace
{

ByteSpan
Bytes(const std::string& text)
{
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/** The inbox as QEMU sees it. */
class Inbox
{
  public:
    explicit Inbox(const VmLink& link)
        : m_region(mmap(nullptr,
                        SimLinkRegionSize(SIM_LINK_BOX_MIN),
                        PROT_READ,
                        MAP_SHARED,
                        link.GetFileDescriptor(),
                        0))
    {
    }

    ~Inbox()
    {
        munmap(m_region, SimLinkRegionSize(SIM_LINK_BOX_MIN));
    }

    /** @return the payloads of its serial records, up to a length of all */
    std::vector<std::string> Read(uint32_t length) const
    {
        const uint8_t* at = static_cast<const uint8_t*>(m_region) + SIM_LINK_HEADER_SIZE;
        const uint8_t* end = at + length;
        std::vector<std::string> payloads;
        while (at < end)
        {
            SimLinkRecord record;
            std::memcpy(&record, at, sizeof(record));
            payloads.emplace_back(reinterpret_cast<const char*>(at) + sizeof(record),
                                  record.length);
            at += SimLinkRecordSize(record.length);
        }
        return payloads;
    }

  private:
    void* m_region;
};

} // namespace

/** Pieces of any size, the empty one among them, are read in any parts. */
class PieceReaderTestCase : public TestCase
{
  public:
    PieceReaderTestCase()
        : TestCase("Pieces are read as if they were one")
    {
    }

  private:
    void DoRun() override
    {
        const std::string whole = "abcdefghij";
        const std::array pieces{Bytes(whole).subspan(0, 3),
                                ByteSpan(),
                                Bytes(whole).subspan(3, 1),
                                Bytes(whole).subspan(4)};
        for (size_t part = 1; part <= whole.size(); part++)
        {
            PieceReader bytes(pieces);
            std::string read;
            while (bytes.GetLeft() > 0)
            {
                std::string next(std::min(part, bytes.GetLeft()), '\0');
                bytes.Read(reinterpret_cast<uint8_t*>(next.data()), next.size());
                read += next;
            }
            NS_TEST_EXPECT_MSG_EQ(read, whole, "read by " << part);
        }
    }
};

/** The guest sees a message as it would if it had been one run of bytes. */
class SerialPiecesTestCase : public TestCase
{
  public:
    SerialPiecesTestCase()
        : TestCase("A message in pieces is one record of the inbox")
    {
    }

  private:
    void DoRun() override
    {
        VmLink link(SIM_LINK_BOX_MIN);
        const Inbox inbox(link);
        const std::string whole = "headstructdata";
        const std::array pieces{Bytes(whole).subspan(0, 4),
                                Bytes(whole).subspan(4, 6),
                                Bytes(whole).subspan(10)};
        PieceReader bytes(pieces);
        NS_TEST_ASSERT_MSG_EQ(link.AddSerial(0, bytes, bytes.GetLeft()), 14, "bytes taken");
        const auto records = inbox.Read(link.GetInboxLength());
        NS_TEST_ASSERT_MSG_EQ(records.size(), 1, "records");
        NS_TEST_ASSERT_MSG_EQ(records[0], whole, "its payload");

        link.TruncateInbox(0);
        PieceReader some(pieces);
        NS_TEST_ASSERT_MSG_EQ(link.AddSerial(0, some, 6), 6, "bytes taken, as many as are wanted");
        NS_TEST_ASSERT_MSG_EQ(link.AddSerial(0, some, some.GetLeft()), 8, "the others");
        const auto both = inbox.Read(link.GetInboxLength());
        NS_TEST_ASSERT_MSG_EQ(both.size(), 2, "records of both");
        NS_TEST_ASSERT_MSG_EQ(both[0] + "|" + both[1], "headst|ructdata", "their payloads");
    }
};

/** What is sent is not copied on its way to the link. */
class SendWithoutCopyTestCase : public TestCase
{
  public:
    SendWithoutCopyTestCase()
        : TestCase("The data of a Send reaches the link where the sender has it")
    {
    }

  private:
    void DoRun() override
    {
        const std::string data(1000, 'x');
        const uint8_t* seen = nullptr;
        size_t length = 0;
        RelayClient* answering = nullptr;
        RelayClient client([&](Span<const ByteSpan> message) {
            seen = message.back().data();
            length = message.back().size();
            RelayHeader header;
            std::memcpy(&header, message.front().data(), sizeof(header));
            header.length = sizeof(RelayCount);
            const RelayCount count{1000};
            answering->Receive(reinterpret_cast<const uint8_t*>(&header), sizeof(header));
            answering->Receive(reinterpret_cast<const uint8_t*>(&count), sizeof(count));
        });
        answering = &client;
        NS_TEST_ASSERT_MSG_EQ(client.Send(1, Bytes(data).data(), data.size()), 1000, "all of it");
        NS_TEST_ASSERT_MSG_EQ(length, data.size(), "the last piece's length");
        NS_TEST_ASSERT_MSG_EQ((seen == Bytes(data).data()), true, "the last piece is the data");
    }
};

/** The suite. */
class MessagePiecesTestSuite : public TestSuite
{
  public:
    MessagePiecesTestSuite()
        : TestSuite("qemu-message-pieces", Type::UNIT)
    {
        AddTestCase(new PieceReaderTestCase);
        AddTestCase(new SerialPiecesTestCase);
        AddTestCase(new SendWithoutCopyTestCase);
    }
};

static MessagePiecesTestSuite g_messagePiecesTestSuite;
