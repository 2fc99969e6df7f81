/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "superseded-stack.h"

namespace ns3
{

NS_OBJECT_ENSURE_REGISTERED(SupersededStack);

TypeId
SupersededStack::GetTypeId()
{
    static TypeId tid = TypeId("ns3::SupersededStack")
                            .SetParent<UdpL4Protocol>()
                            .SetGroupName("Qemu")
                            .AddConstructor<SupersededStack>();
    return tid;
}

void
SupersededStack::NotifyNewAggregate()
{
    /* Not UdpL4Protocol's, which gives the node a socket factory of ns-3. */
    IpL4Protocol::NotifyNewAggregate();
}

} // namespace ns3
