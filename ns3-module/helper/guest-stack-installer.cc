/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-stack-installer.h"

#include "../model/qemu-ipv4.h"
#include "../model/qemu-ipv6.h"
#include "../model/qemu-socket-factory.h"
#include "../model/qemu-tcp-l4-protocol.h"
#include "../model/qemu-traffic-control.h"
#include "../model/superseded-stack.h"
#include "../model/virtual-machine.h"

#include "ns3/arp-l3-protocol.h"
#include "ns3/ipv4-static-routing.h"
#include "ns3/ipv6-routing-helper.h"
#include "ns3/log.h"
#include "ns3/node.h"

#include <stdexcept>
#include <string>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("GuestStackInstaller");

namespace
{

/* Let who asks a node for a Base find its Own, although it has got another Base before. */
template <typename Base, typename Own>
void
PutFirst(Ptr<Node> node)
{
    const Ptr<Base> own = node->GetObject<Own>();
    while (own && node->GetObject<Base>() != own)
    {
        node->GetObject<Own>();
    }
}

} // namespace

GuestStackInstaller*
GuestStackInstaller::Copy() const
{
    return new GuestStackInstaller(*this);
}

Ptr<Ipv4RoutingProtocol>
GuestStackInstaller::Create(Ptr<Node> node) const
{
    NS_LOG_FUNCTION(this << node);
    node->AggregateObject(CreateObject<SupersededStack>());
    Aggregate(node);
    PutFirst<Ipv4, QemuIpv4>(node);
    PutFirst<Ipv4RawSocketFactory, QemuIpv4RawSocketFactory>(node);
    return CreateObject<Ipv4StaticRouting>();
}

Ptr<VirtualMachine>
GuestStackInstaller::Install(Ptr<Node> node) const
{
    NS_LOG_FUNCTION(this << node);
    const std::string which = "node " + std::to_string(node->GetId());
    if (VirtualMachine::Of(node))
    {
        throw std::invalid_argument(which + " has a virtual machine already");
    }
    if (node->GetObject<ArpL3Protocol>() || node->GetObject<Ipv4>() || node->GetObject<Ipv6>())
    {
        throw std::invalid_argument(
            which + " has ns-3's internet stack; a virtual machine takes its place, so install one "
                    "of the two");
    }
    return Aggregate(node);
}

Ptr<VirtualMachine>
GuestStackInstaller::Aggregate(Ptr<Node> node) const
{
    auto machine = m_factory.Create<VirtualMachine>();
    node->AggregateObject(machine);
    node->AggregateObject(CreateObject<QemuTrafficControl>());
    node->AggregateObject(CreateObject<QemuTcpSocketFactory>());
    node->AggregateObject(CreateObject<QemuTcpL4Protocol>());
    node->AggregateObject(CreateObject<QemuUdpSocketFactory>());
    node->AggregateObject(CreateObject<QemuIpv4RawSocketFactory>());
    if (m_ipv4)
    {
        auto ipv4 = CreateObject<QemuIpv4>();
        node->AggregateObject(ipv4);
        ipv4->SetRoutingProtocol(m_ipv4Routing->Create(node));
    }
    if (m_ipv6)
    {
        auto ipv6 = CreateObject<QemuIpv6>();
        node->AggregateObject(ipv6);
        ipv6->SetRoutingProtocol(m_ipv6Routing->Create(node));
    }
    else
    {
        machine->SetSysctl("net.ipv6.conf.all.disable_ipv6", "1");
    }
    /* ns-3's IPv6 brings a factory of its own, so it cannot come after this one. */
    node->AggregateObject(CreateObject<QemuIpv6RawSocketFactory>());
    PutFirst<Ipv6RawSocketFactory, QemuIpv6RawSocketFactory>(node);
    return machine;
}

} // namespace ns3
