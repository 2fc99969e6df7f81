/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_ETHERNET_FRAME_H
#define NS3_QEMU_ETHERNET_FRAME_H

#include "ns3/mac48-address.h"
#include "ns3/packet.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ns3
{

constexpr size_t ETHERNET_HEADER = 14;
constexpr uint16_t ETHERTYPE_MIN = 0x0600;          // below it, the field is a length (IEEE 802.3)
constexpr uint16_t ETHERTYPE_VLAN = 0x8100;         // IEEE 802.1Q: a tag, and another type
constexpr uint16_t ETHERTYPE_SERVICE_VLAN = 0x88a8; // IEEE 802.1ad
constexpr size_t VLAN_TAG = 4;                      // bytes
constexpr uint16_t ETHERTYPE_IPV4 = 0x0800;
constexpr uint16_t ETHERTYPE_IPV6 = 0x86dd;

/**
 * @ingroup qemu
 * @param frame an Ethernet frame
 * @param length in bytes, at least ETHERNET_HEADER
 * @return how many bytes its VLAN tags take, two of them at most: they do not count for the MTU
 */
size_t GetVlanTagLength(const uint8_t* frame, size_t length);

/**
 * @ingroup qemu
 * Put a packet into an Ethernet frame, without FCS.
 * @param frame replaced; as it keeps its memory, use the same again and again
 * @param destination its address
 * @param source its address
 * @param protocol its EtherType
 * @param payload the packet
 */
void MakeEthernetFrame(std::vector<uint8_t>& frame,
                       Mac48Address destination,
                       Mac48Address source,
                       uint16_t protocol,
                       Ptr<const Packet> payload);

} // namespace ns3

#endif /* NS3_QEMU_ETHERNET_FRAME_H */
