/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "ethernet-frame.h"

namespace ns3
{

size_t
GetVlanTagLength(const uint8_t* frame, size_t length)
{
    size_t tags = 0;
    while (tags < 2 * VLAN_TAG && ETHERNET_HEADER + tags + VLAN_TAG <= length)
    {
        const uint8_t* field = frame + ETHERNET_HEADER - 2 + tags;
        const int type = field[0] << 8 | field[1];
        if (type != ETHERTYPE_VLAN && type != ETHERTYPE_SERVICE_VLAN)
        {
            break;
        }
        tags += VLAN_TAG;
    }
    return tags;
}

void
MakeEthernetFrame(std::vector<uint8_t>& frame,
                  Mac48Address destination,
                  Mac48Address source,
                  uint16_t protocol,
                  Ptr<const Packet> payload)
{
    const uint32_t length = payload->GetSize();
    frame.resize(ETHERNET_HEADER + length);
    destination.CopyTo(frame.data());
    source.CopyTo(frame.data() + 6);
    frame[12] = static_cast<uint8_t>(protocol >> 8);
    frame[13] = static_cast<uint8_t>(protocol);
    payload->CopyData(frame.data() + ETHERNET_HEADER, length);
}

NS_OBJECT_ENSURE_REGISTERED(EthernetFrameTag);

TypeId
EthernetFrameTag::GetTypeId()
{
    static TypeId tid = TypeId("ns3::EthernetFrameTag")
                            .SetParent<Tag>()
                            .SetGroupName("Qemu")
                            .AddConstructor<EthernetFrameTag>();
    return tid;
}

TypeId
EthernetFrameTag::GetInstanceTypeId() const
{
    return GetTypeId();
}

uint32_t
EthernetFrameTag::GetSerializedSize() const
{
    return sizeof(m_type);
}

void
EthernetFrameTag::Serialize(TagBuffer buffer) const
{
    buffer.WriteU16(m_type);
}

void
EthernetFrameTag::Deserialize(TagBuffer buffer)
{
    m_type = buffer.ReadU16();
}

void
EthernetFrameTag::Print(std::ostream& os) const
{
    os << "type=" << m_type;
}

uint16_t
EthernetFrameTag::Wrap(Ptr<Packet> payload, const uint8_t* frame)
{
    EthernetFrameTag tag;
    tag.m_type = static_cast<uint16_t>(frame[TRAILER] << 8 | frame[TRAILER + 1]);
    payload->AddAtEnd(Create<Packet>(frame, static_cast<uint32_t>(TRAILER)));
    payload->AddPacketTag(tag);
    return tag.m_type == ETHERTYPE_IPV6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
}

bool
EthernetFrameTag::Unwrap(Ptr<Packet> packet, uint8_t* header)
{
    EthernetFrameTag tag;
    const uint32_t size = packet->GetSize();
    if (size < TRAILER || !packet->RemovePacketTag(tag))
    {
        return false;
    }
    packet->CreateFragment(size - TRAILER, TRAILER)->CopyData(header, TRAILER);
    header[TRAILER] = static_cast<uint8_t>(tag.m_type >> 8);
    header[TRAILER + 1] = static_cast<uint8_t>(tag.m_type);
    packet->RemoveAtEnd(TRAILER);
    return true;
}

} // namespace ns3
