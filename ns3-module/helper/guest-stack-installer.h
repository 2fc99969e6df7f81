/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_STACK_INSTALLER_H
#define NS3_QEMU_GUEST_STACK_INSTALLER_H

#include "ns3/ipv4-routing-helper.h"
#include "ns3/object-factory.h"

#include <memory>

namespace ns3
{

class Ipv6RoutingHelper;
class Node;
class VirtualMachine;

/**
 * @ingroup qemu
 * @brief Makes a machine the network stack of a node, also for an InternetStackHelper.
 *
 * Helpers of topologies (PointToPointDumbbellHelper, CsmaStarHelper ...) take an
 * InternetStackHelper by value, so what is derived from it loses all that is its own. What is
 * copied with it is its routing helper, which it asks to make a routing protocol for each node. A
 * QemuHelper is an InternetStackHelper for IPv4 with this one.
 *
 * By then the node has an ArpL3Protocol, an Ipv4L3Protocol and an Icmpv4L4Protocol of ns-3. They
 * have no interfaces, and who asks for an Ipv4 does not find them: the machine's comes first, since
 * a node's objects are searched in the order of how often they were asked for.
 */
class GuestStackInstaller : public Ipv4RoutingHelper
{
  public:
    GuestStackInstaller* Copy() const override;

    /**
     * Called by InternetStackHelper::Install.
     * @param node gets a machine
     * @return the routing protocol of the IPv4 that nobody finds
     * @throw std::invalid_argument as Install
     */
    Ptr<Ipv4RoutingProtocol> Create(Ptr<Node> node) const override;

    /**
     * Make a machine the network stack of a node.
     * @param node gets a machine, QemuIpv4 and QemuIpv6
     * @return the machine
     * @throw std::invalid_argument if the node has a machine or ns-3's internet stack
     */
    Ptr<VirtualMachine> Install(Ptr<Node> node) const;

    ObjectFactory m_factory; //!< makes machines
    std::shared_ptr<const Ipv4RoutingHelper> m_ipv4Routing;
    std::shared_ptr<const Ipv6RoutingHelper> m_ipv6Routing;
    bool m_ipv4{true}; //!< whether nodes get an Ipv4
    bool m_ipv6{true}; //!< whether nodes get an Ipv6

  private:
    Ptr<VirtualMachine> Aggregate(Ptr<Node> node) const;
};

} // namespace ns3

#endif /* NS3_QEMU_GUEST_STACK_INSTALLER_H */
