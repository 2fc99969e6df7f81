/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_APPLICATION_CHECK_H
#define NS3_QEMU_APPLICATION_CHECK_H

#include "ns3/node.h"
#include "ns3/ptr.h"

namespace ns3
{

/**
 * @ingroup qemu
 * Look for applications that cannot run on a machine, since they want the inside of ns-3's own
 * stack.
 * @param node of a machine
 * @throw std::invalid_argument that says what to do instead
 */
void CheckApplications(Ptr<const Node> node);

} // namespace ns3

#endif /* NS3_QEMU_APPLICATION_CHECK_H */
