/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_SUPERSEDED_STACK_H
#define NS3_SUPERSEDED_STACK_H

#include "ns3/udp-l4-protocol.h"

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Says that what a node has of ns-3's own stack is superseded by a machine's.
 *
 * It is a UdpL4Protocol that does nothing, so that InternetStackHelper does not add one that does.
 */
class SupersededStack : public UdpL4Protocol
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

  protected:
    void NotifyNewAggregate() override;
};

} // namespace ns3

#endif /* NS3_SUPERSEDED_STACK_H */
