/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_IP_TRACES_H
#define NS3_QEMU_GUEST_IP_TRACES_H

#include "ns3/fnv-hash.h"
#include "ns3/ipv4-header.h"
#include "ns3/ipv4.h"
#include "ns3/ipv6-header.h"
#include "ns3/ipv6.h"
#include "ns3/packet.h"
#include "ns3/ptr.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/traced-callback.h"
#include "ns3/type-id.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

namespace ns3
{

/** Where a packet's header ends, and the packet itself, in bytes; both 0 if it is none. */
struct GuestIpExtent
{
    uint32_t header;
    uint32_t packet;
};

/** What GuestIpTraces must know of IPv4 (RFC 791). */
struct GuestIpv4Packets
{
    using Ip = Ipv4;
    using Header = Ipv4Header;

    static constexpr uint32_t HEADER_MIN = 20;
    static constexpr const char* SENT = "ns3::Ipv4L3Protocol::SentTracedCallback";
    static constexpr const char* TX_RX = "ns3::Ipv4L3Protocol::TxRxTracedCallback";

    /** @param start HEADER_MIN bytes of the packet */
    static GuestIpExtent Measure(const uint8_t* start)
    {
        const bool known = start[0] >> 4 == 4;
        return {known ? 4U * (start[0] & 0xf) : 0, static_cast<uint32_t>(start[2] << 8 | start[3])};
    }
};

/** The same of IPv6 (RFC 8200). */
struct GuestIpv6Packets
{
    using Ip = Ipv6;
    using Header = Ipv6Header;

    static constexpr uint32_t HEADER_MIN = 40;
    static constexpr const char* SENT = "ns3::Ipv6L3Protocol::SentTracedCallback";
    static constexpr const char* TX_RX = "ns3::Ipv6L3Protocol::TxRxTracedCallback";

    /** @param start HEADER_MIN bytes of the packet */
    static GuestIpExtent Measure(const uint8_t* start)
    {
        const bool known = start[0] >> 4 == 6;
        return {known ? HEADER_MIN : 0,
                HEADER_MIN + static_cast<uint32_t>(start[4] << 8 | start[5])};
    }
};

/**
 * @ingroup qemu
 * @brief The trace sources by which ns-3's own IPv4 and IPv6 tell of its packets, for those of a
 * guest: as they cross between its stack and its NICs.
 *
 * What a trace sink adds to a packet's payload as byte tags, as FlowMonitor's probes do, goes on
 * with it: to the device, and with what the guest forwards, through the guest.
 *
 * As long as nobody listens, nothing is done.
 *
 * @tparam Packets GuestIpv4Packets or GuestIpv6Packets
 */
template <typename Packets>
class GuestIpTraces
{
  public:
    using Ip = typename Packets::Ip;         //!< the node's
    using Header = typename Packets::Header; //!< of a packet

    virtual ~GuestIpTraces() = default;

    /**
     * Add the trace sources to a TypeId.
     * @param tid of a class that has these
     * @return the TypeId
     */
    static TypeId AddTraceSources(TypeId tid)
    {
        return tid
            .AddTraceSource("SendOutgoing",
                            "The guest sends a packet of its own: header, payload, interface.",
                            MakeTraceSourceAccessor(&GuestIpTraces::m_sendOutgoing),
                            Packets::SENT)
            .AddTraceSource("UnicastForward",
                            "The guest sends a packet that it has received for another host.",
                            MakeTraceSourceAccessor(&GuestIpTraces::m_unicastForward),
                            Packets::SENT)
            .AddTraceSource("LocalDeliver",
                            "The guest is given a packet for one of its addresses.",
                            MakeTraceSourceAccessor(&GuestIpTraces::m_localDeliver),
                            Packets::SENT)
            .AddTraceSource("Tx",
                            "The guest sends a packet, with its header.",
                            MakeTraceSourceAccessor(&GuestIpTraces::m_tx),
                            Packets::TX_RX)
            .AddTraceSource("Rx",
                            "The guest is given a packet, with its header.",
                            MakeTraceSourceAccessor(&GuestIpTraces::m_rx),
                            Packets::TX_RX);
    }

  protected:
    /** @return whether somebody listens */
    bool IsTraced() const
    {
        return !m_sendOutgoing.IsEmpty() || !m_unicastForward.IsEmpty() ||
               !m_localDeliver.IsEmpty() || !m_tx.IsEmpty() || !m_rx.IsEmpty();
    }

    /**
     * The guest sends a packet.
     * @param ip the node's IP
     * @param interface over which, by the number in ns-3
     * @param packet from its IP header on
     * @return the same packet, with what has been added to it
     */
    Ptr<Packet> TraceSent(Ptr<Ip> ip, uint32_t interface, Ptr<Packet> packet)
    {
        const GuestIpExtent extent = Measure(packet);
        if (extent.header == 0)
        {
            return packet;
        }
        Header header;
        packet->PeekHeader(header);
        auto payload = packet->CreateFragment(extent.header, extent.packet - extent.header);
        if (const auto forwarded = TakePassing(header, payload))
        {
            payload = forwarded;
            m_unicastForward(header, payload, interface);
        }
        else
        {
            m_sendOutgoing(header, payload, interface);
        }
        auto sent = packet->CreateFragment(0, extent.header);
        sent->AddAtEnd(payload);
        if (packet->GetSize() > extent.packet)
        {
            sent->AddAtEnd(
                packet->CreateFragment(extent.packet, packet->GetSize() - extent.packet));
        }
        m_tx(sent, ip, interface);
        return sent;
    }

    /**
     * The guest is given a packet.
     * @param ip the node's IP
     * @param interface over which, by the number in ns-3
     * @param packet from its IP header on
     */
    void TraceReceived(Ptr<Ip> ip, uint32_t interface, Ptr<const Packet> packet)
    {
        const GuestIpExtent extent = Measure(packet);
        if (extent.header == 0)
        {
            return;
        }
        m_rx(packet, ip, interface);
        Header header;
        packet->PeekHeader(header);
        const auto payload = packet->CreateFragment(extent.header, extent.packet - extent.header);
        const auto destination = header.GetDestination();
        if (ip->GetInterfaceForAddress(destination) >= 0)
        {
            m_localDeliver(header, payload, interface);
        }
        else if (!destination.IsMulticast())
        {
            AddPassing(header, payload);
        }
    }

  private:
    /* As many packets as may be on their way through a guest, its queues included. */
    static constexpr size_t PASSING_MAX = 16384;

    static GuestIpExtent Measure(Ptr<const Packet> packet)
    {
        uint8_t start[Packets::HEADER_MIN] = {};
        if (packet->CopyData(start, sizeof(start)) < sizeof(start))
        {
            return {};
        }
        const GuestIpExtent extent = Packets::Measure(start);
        const bool whole = extent.header < extent.packet && extent.packet <= packet->GetSize();
        return extent.header >= Packets::HEADER_MIN && whole ? extent : GuestIpExtent{};
    }

    /* What does not change on the way through a guest. */
    static uint64_t Identify(const Header& header, Ptr<const Packet> payload)
    {
        std::vector<uint8_t> bytes(payload->GetSize());
        payload->CopyData(bytes.data(), payload->GetSize());
        uint8_t addresses[32] = {};
        header.GetSource().Serialize(addresses);
        header.GetDestination().Serialize(addresses + 16);
        ns3qemu::FnvHash hash;
        hash.Add(addresses, sizeof(addresses));
        hash.Add(bytes.data(), bytes.size());
        return hash.Get();
    }

    void AddPassing(const Header& header, Ptr<Packet> payload)
    {
        const uint64_t identity = Identify(header, payload);
        m_passing[identity].push_back(payload);
        m_order.push_back(identity);
        if (m_order.size() > PASSING_MAX)
        {
            /* It has been dropped by the guest, or taken already. */
            const auto oldest = m_passing.find(m_order.front());
            m_order.pop_front();
            if (oldest != m_passing.end() && !oldest->second.empty())
            {
                oldest->second.pop_front();
                EraseIfEmpty(oldest->first);
            }
        }
    }

    Ptr<Packet> TakePassing(const Header& header, Ptr<const Packet> payload)
    {
        if (m_passing.empty())
        {
            return nullptr;
        }
        const uint64_t identity = Identify(header, payload);
        const auto found = m_passing.find(identity);
        if (found == m_passing.end())
        {
            return nullptr;
        }
        const auto passing = found->second.front();
        found->second.pop_front();
        EraseIfEmpty(identity);
        return passing;
    }

    void EraseIfEmpty(uint64_t identity)
    {
        const auto found = m_passing.find(identity);
        if (found != m_passing.end() && found->second.empty())
        {
            m_passing.erase(found);
        }
    }

    TracedCallback<const Header&, Ptr<const Packet>, uint32_t> m_sendOutgoing;
    TracedCallback<const Header&, Ptr<const Packet>, uint32_t> m_unicastForward;
    TracedCallback<const Header&, Ptr<const Packet>, uint32_t> m_localDeliver;
    TracedCallback<Ptr<const Packet>, Ptr<Ip>, uint32_t> m_tx;
    TracedCallback<Ptr<const Packet>, Ptr<Ip>, uint32_t> m_rx;

    std::unordered_map<uint64_t, std::deque<Ptr<Packet>>> m_passing; // payloads, by identity
    std::deque<uint64_t> m_order;                                    // in which they came
};

} // namespace ns3

#endif /* NS3_QEMU_GUEST_IP_TRACES_H */
