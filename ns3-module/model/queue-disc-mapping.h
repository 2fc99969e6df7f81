/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_QUEUE_DISC_MAPPING_H
#define NS3_QEMU_QUEUE_DISC_MAPPING_H

#include "ns3/guest-qdisc.h"
#include "ns3/ptr.h"

#include <cstdint>

namespace ns3
{

class QueueDisc;

/**
 * @ingroup qemu
 * @brief Find Linux' counterpart of a queue disc of ns-3, with its attributes as they are now.
 * @param disc the queue disc; only its type and its attributes are looked at, and its classes
 * @param mtu of the interface, in bytes: where one of the two counts packets and the other bytes
 * @return the guest's queueing discipline
 * @throw std::invalid_argument if there is none, or an attribute that the script has set has no
 *        counterpart: says what to do
 */
ns3qemu::GuestQdisc MapQueueDisc(Ptr<const QueueDisc> disc, uint32_t mtu);

} // namespace ns3

#endif /* NS3_QEMU_QUEUE_DISC_MAPPING_H */
