/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-tcp-l4-protocol.h"

#include "qemu-socket-factory.h"
#include "qemu-tcp-options.h"

#include "ns3/attribute-helper.h"
#include "ns3/log.h"
#include "ns3/object-vector.h"
#include "ns3/tcp-cubic.h"

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuTcpL4Protocol");

NS_OBJECT_ENSURE_REGISTERED(QemuTcpL4Protocol);

TypeId
QemuTcpL4Protocol::GetTypeId()
{
    /* Attributes of the names that those of the last parent have: so that comes after them. */
    static TypeId tid =
        TypeId("ns3::QemuTcpL4Protocol")
            .SetParent<IpL4Protocol>()
            .SetGroupName("Qemu")
            .AddAttribute("SocketList",
                          "The TCP sockets that are not closed yet, in the order in which they "
                          "were made.",
                          ObjectVectorValue(),
                          MakeObjectVectorAccessor(&QemuTcpL4Protocol::GetSocket,
                                                   &QemuTcpL4Protocol::GetNSockets),
                          /* Not MakeObjectVectorChecker's: paths go into the attributes of all
                           * parents, and TcpL4Protocol has one of this name, so that each socket
                           * would be found twice. */
                          MakeSimpleAttributeChecker<ObjectPtrContainerValue, AttributeChecker>(
                              "ns3::ObjectPtrContainerValue",
                              ""))
            .AddAttribute("SocketType",
                          "ns-3's congestion control whose counterpart in Linux the sockets have "
                          "that are made later.",
                          TypeIdValue(TcpCubic::GetTypeId()),
                          MakeTypeIdAccessor(&QemuTcpL4Protocol::SetSocketType,
                                             &QemuTcpL4Protocol::GetSocketType),
                          MakeTypeIdChecker())
            .SetParent<TcpL4Protocol>()
            .AddConstructor<QemuTcpL4Protocol>();
    return tid;
}

QemuTcpL4Protocol::QemuTcpL4Protocol()
{
    NS_LOG_FUNCTION(this);
}

QemuTcpL4Protocol::~QemuTcpL4Protocol()
{
    NS_LOG_FUNCTION(this);
}

void
QemuTcpL4Protocol::NotifyConstructionCompleted()
{
    TcpL4Protocol::NotifyConstructionCompleted();
    m_constructed = true;
}

void
QemuTcpL4Protocol::NotifyNewAggregate()
{
    /* Not TcpL4Protocol's, which gives the node a socket factory of ns-3. */
    IpL4Protocol::NotifyNewAggregate();
}

uint32_t
QemuTcpL4Protocol::GetNSockets() const
{
    const auto factory = GetObject<QemuTcpSocketFactory>();
    return factory ? factory->GetNSockets() : 0;
}

Ptr<Socket>
QemuTcpL4Protocol::GetSocket(uint32_t i) const
{
    return GetObject<QemuTcpSocketFactory>()->GetSocket(i);
}

void
QemuTcpL4Protocol::SetSocketType(TypeId type)
{
    NS_LOG_FUNCTION(this << type);
    m_socketType = type;
    m_chosen = m_constructed;
}

TypeId
QemuTcpL4Protocol::GetSocketType() const
{
    return m_socketType;
}

std::string
QemuTcpL4Protocol::GetCongestionControl() const
{
    return m_chosen ? GetLinuxCongestionControl(m_socketType.GetName()) : "";
}

} // namespace ns3
