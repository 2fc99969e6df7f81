/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TCP_SEGMENT_ERROR_MODEL_H
#define NS3_QEMU_TCP_SEGMENT_ERROR_MODEL_H

#include "ns3/error-model.h"

#include <cstdint>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Loses one TCP segment, and its first retransmissions.
 *
 * It counts the segments with data that a device receives. The one with the number Segment is
 * lost, and then all that begin with its sequence number, until Count have been lost. All other
 * packets pass. It is for a device's ReceiveErrorModel, where packets still have their link-layer
 * header.
 */
class TcpSegmentErrorModel : public ErrorModel
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    TcpSegmentErrorModel();

  private:
    bool DoCorrupt(Ptr<Packet> packet) override;
    void DoReset() override;

    /* attributes */
    uint32_t m_segment;
    uint32_t m_count;
    uint32_t m_linkHeader;

    uint32_t m_seen{0};     // data segments so far
    uint32_t m_lost{0};     // of the chosen one
    uint32_t m_sequence{0}; // of the chosen one
};

} // namespace ns3

#endif /* NS3_QEMU_TCP_SEGMENT_ERROR_MODEL_H */
