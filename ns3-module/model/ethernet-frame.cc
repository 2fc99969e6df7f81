/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "ethernet-frame.h"

namespace ns3
{

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
