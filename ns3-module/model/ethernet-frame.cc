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

} // namespace ns3
