/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_EXPERIMENT_FAULTS_H
#define NS3_QEMU_EXPERIMENT_FAULTS_H

/* What faults.py needs in C++. It is compiled by the interpreter of ns-3's Python bindings. */

#include "ns3/error-model.h"
#include "ns3/packet.h"

#include <cstdint>
#include <set>
#include <utility>

namespace ns3qemu
{
namespace experiment
{

/**
 * What arrives at one end of a link, and is lost there: everything while the link is cut, packets
 * between hosts that are partitioned, and what another error model takes.
 */
class LinkFaults : public ns3::ErrorModel
{
  public:
    /** @param linkHeader bytes before the IPv4 header; 14: an Ethernet header, 2: that of PPP */
    explicit LinkFaults(uint32_t linkHeader)
        : m_linkHeader(linkHeader)
    {
    }

    /** Lose everything, or no longer. */
    void SetCut(bool cut)
    {
        m_cut = cut;
    }

    /** Lose what goes from one IPv4 address to another. ARP between them counts, too. */
    void Block(uint32_t from, uint32_t to)
    {
        m_blocked.insert({from, to});
    }

    /** Lose no packet for its addresses any longer. */
    void Heal()
    {
        m_blocked.clear();
    }

    /** @param model decides on what is not lost otherwise */
    void SetInner(ns3::Ptr<ns3::ErrorModel> model)
    {
        m_inner = model;
    }

  private:
    static constexpr uint32_t PPP = 2;
    static constexpr uint32_t ETHERNET = 14;
    static constexpr uint32_t ADDRESSES = 28; // what of IPv4's or ARP's header is looked at

    static uint32_t Read(const uint8_t* at)
    {
        return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 |
               static_cast<uint32_t>(at[2]) << 8 | at[3];
    }

    bool IsBlocked(ns3::Ptr<const ns3::Packet> packet) const
    {
        if (m_blocked.empty())
        {
            return false;
        }
        uint8_t bytes[ETHERNET + ADDRESSES];
        const uint32_t length = packet->CopyData(bytes, m_linkHeader + ADDRESSES);
        const uint8_t* network = bytes + m_linkHeader;
        const uint32_t protocol = static_cast<uint32_t>(network[-2]) << 8 | network[-1];
        if (protocol == (m_linkHeader == PPP ? 0x0021U : 0x0800U) && length >= m_linkHeader + 20)
        {
            return m_blocked.count({Read(network + 12), Read(network + 16)}) != 0;
        }
        if (m_linkHeader == ETHERNET && protocol == 0x0806U && length >= m_linkHeader + ADDRESSES)
        {
            return m_blocked.count({Read(network + 14), Read(network + 24)}) != 0;
        }
        return false;
    }

    bool DoCorrupt(ns3::Ptr<ns3::Packet> packet) override
    {
        return m_cut || IsBlocked(packet) || (m_inner && m_inner->IsCorrupt(packet));
    }

    void DoReset() override
    {
        if (m_inner)
        {
            m_inner->Reset();
        }
    }

    uint32_t m_linkHeader;
    bool m_cut{false};
    std::set<std::pair<uint32_t, uint32_t>> m_blocked;
    ns3::Ptr<ns3::ErrorModel> m_inner;
};

/** @return what a device loses, for its ReceiveErrorModel */
inline ns3::Ptr<LinkFaults>
MakeLinkFaults(uint32_t linkHeader)
{
    return ns3::CreateObject<LinkFaults>(linkHeader);
}

} // namespace experiment
} // namespace ns3qemu

#endif /* NS3_QEMU_EXPERIMENT_FAULTS_H */
