/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_ETHERNET_FRAME_H
#define NS3_QEMU_ETHERNET_FRAME_H

#include "ns3/mac48-address.h"
#include "ns3/packet.h"
#include "ns3/tag.h"

#include <cstddef>
#include <cstdint>
#include <ostream>
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

/**
 * @ingroup qemu
 * @brief An Ethernet frame that a point-to-point device carries.
 *
 * ns-3's point-to-point devices know PPP's numbers of IPv4 and IPv6 only. So on the link this
 * number (2 bytes) stands in the place of the EtherType, and the addresses (12 bytes) come after
 * the payload: a frame is as long as on Ethernet, without preamble, padding and FCS. What the
 * EtherType is says this tag.
 */
class EthernetFrameTag : public Tag
{
  public:
    static constexpr size_t TRAILER = 12; //!< bytes after the payload

    /** @return the TypeId */
    static TypeId GetTypeId();
    TypeId GetInstanceTypeId() const override;
    uint32_t GetSerializedSize() const override;
    void Serialize(TagBuffer buffer) const override;
    void Deserialize(TagBuffer buffer) override;
    void Print(std::ostream& os) const override;

    /**
     * Make a frame one that a point-to-point device can send.
     * @param payload of the frame; it gets a trailer and a tag
     * @param frame from whose header these are
     * @return the protocol to send it as
     */
    static uint16_t Wrap(Ptr<Packet> payload, const uint8_t* frame);

    /**
     * Undo it.
     * @param packet as it was received; it becomes the payload
     * @param header of the frame: ETHERNET_HEADER bytes
     * @return false if it was none such; then header is as it was
     */
    static bool Unwrap(Ptr<Packet> packet, uint8_t* header);

  private:
    uint16_t m_type{0};
};

} // namespace ns3

#endif /* NS3_QEMU_ETHERNET_FRAME_H */
