/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "tcp-segment-error-model.h"

#include "ns3/log.h"
#include "ns3/packet.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <array>
#include <optional>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("TcpSegmentErrorModel");

NS_OBJECT_ENSURE_REGISTERED(TcpSegmentErrorModel);

namespace
{

constexpr uint8_t PROTOCOL_TCP = 6;
constexpr uint32_t IPV4_HEADER_MIN = 20;
constexpr uint32_t IPV6_HEADER = 40;
constexpr uint32_t TCP_HEADER_MIN = 20;

/* As much of a packet as these headers can take: link, IPv4 with options, TCP. */
constexpr uint32_t HEADERS_MAX = 160;

/* The sequence number of a TCP segment with data; none for any other packet. */
std::optional<uint32_t>
DataSequence(const uint8_t* ip, uint32_t captured, uint32_t length)
{
    if (captured < IPV4_HEADER_MIN)
    {
        return {};
    }
    uint32_t header;
    uint32_t total;
    uint8_t protocol;
    if (ip[0] >> 4 == 4)
    {
        header = (ip[0] & 0xfU) * 4;
        total = static_cast<uint32_t>(ip[2] << 8 | ip[3]);
        protocol = ip[9];
    }
    else
    {
        header = IPV6_HEADER;
        total = IPV6_HEADER + static_cast<uint32_t>(ip[4] << 8 | ip[5]);
        protocol = ip[6];
    }
    if (protocol != PROTOCOL_TCP || captured < header + TCP_HEADER_MIN || total > length)
    {
        return {};
    }
    const uint8_t* tcp = ip + header;
    const uint32_t headers = header + (tcp[12] >> 4) * 4U;
    if (total <= headers)
    {
        return {};
    }
    return static_cast<uint32_t>(tcp[4]) << 24 | static_cast<uint32_t>(tcp[5]) << 16 |
           static_cast<uint32_t>(tcp[6]) << 8 | tcp[7];
}

} // namespace

TypeId
TcpSegmentErrorModel::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::TcpSegmentErrorModel")
            .SetParent<ErrorModel>()
            .SetGroupName("Qemu")
            .AddConstructor<TcpSegmentErrorModel>()
            .AddAttribute("Segment",
                          "Which segment with data to lose, counted from 1 as they arrive.",
                          UintegerValue(1),
                          MakeUintegerAccessor(&TcpSegmentErrorModel::m_segment),
                          MakeUintegerChecker<uint32_t>(1))
            .AddAttribute("Count",
                          "How often to lose it: 1 is the original alone.",
                          UintegerValue(1),
                          MakeUintegerAccessor(&TcpSegmentErrorModel::m_count),
                          MakeUintegerChecker<uint32_t>(1))
            .AddAttribute("LinkHeader",
                          "Bytes of link-layer header before the IP header; 2 for PPP.",
                          UintegerValue(2),
                          MakeUintegerAccessor(&TcpSegmentErrorModel::m_linkHeader),
                          MakeUintegerChecker<uint32_t>(0, 64));
    return tid;
}

TcpSegmentErrorModel::TcpSegmentErrorModel()
{
    NS_LOG_FUNCTION(this);
}

bool
TcpSegmentErrorModel::DoCorrupt(Ptr<Packet> packet)
{
    NS_LOG_FUNCTION(this << packet);
    if (m_lost == m_count)
    {
        return false;
    }
    std::array<uint8_t, HEADERS_MAX> bytes{};
    const uint32_t captured = packet->CopyData(bytes.data(), HEADERS_MAX);
    if (captured <= m_linkHeader)
    {
        return false;
    }
    const auto sequence = DataSequence(bytes.data() + m_linkHeader,
                                       captured - m_linkHeader,
                                       packet->GetSize() - m_linkHeader);
    if (!sequence)
    {
        return false;
    }
    m_seen++;
    if (m_seen == m_segment)
    {
        m_sequence = *sequence;
    }
    else if (m_seen < m_segment || *sequence != m_sequence)
    {
        return false;
    }
    m_lost++;
    return true;
}

void
TcpSegmentErrorModel::DoReset()
{
    NS_LOG_FUNCTION(this);
    m_seen = 0;
    m_lost = 0;
}

} // namespace ns3
