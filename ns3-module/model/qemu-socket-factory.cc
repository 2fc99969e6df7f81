/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-socket-factory.h"

#include "qemu-raw-socket.h"
#include "qemu-tcp-l4-protocol.h"
#include "qemu-tcp-socket.h"
#include "qemu-udp-socket.h"

#include "ns3/abort.h"
#include "ns3/log.h"
#include "ns3/object-vector.h"
#include "ns3/string.h"

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuSocketFactory");

NS_OBJECT_ENSURE_REGISTERED(QemuTcpSocketFactory);
NS_OBJECT_ENSURE_REGISTERED(QemuUdpSocketFactory);
NS_OBJECT_ENSURE_REGISTERED(QemuIpv4RawSocketFactory);
NS_OBJECT_ENSURE_REGISTERED(QemuIpv6RawSocketFactory);

namespace
{

/* What all of these factories have in common. */
template <typename Factory, typename Parent>
TypeId
MakeTypeId(const char* name)
{
    return TypeId(name)
        .SetParent<Parent>()
        .SetGroupName("Qemu")
        .template AddConstructor<Factory>()
        .AddAttribute("SocketList",
                      "The sockets that are not closed yet, in the order in which they were made.",
                      ObjectVectorValue(),
                      MakeObjectVectorAccessor(&QemuSocketFactory<Parent>::GetSocket,
                                               &QemuSocketFactory<Parent>::GetNSockets),
                      MakeObjectVectorChecker<Socket>());
}

} // namespace

template <typename Parent>
uint32_t
QemuSocketFactory<Parent>::GetNSockets() const
{
    return static_cast<uint32_t>(m_list->sockets.size());
}

template <typename Parent>
Ptr<Socket>
QemuSocketFactory<Parent>::GetSocket(uint32_t i) const
{
    return m_list->sockets.at(i);
}

template <typename Parent>
void
QemuSocketFactory<Parent>::DoDispose()
{
    m_list->sockets.clear();
    Parent::DoDispose();
}

template <typename Parent>
template <typename T>
Ptr<T>
QemuSocketFactory<Parent>::Make()
{
    const auto node = this->template GetObject<Node>();
    NS_ABORT_MSG_UNLESS(node && node->template GetObject<GuestAccess>(),
                        "this socket factory needs a node with a VirtualMachine; use QemuHelper");
    auto socket = CreateObject<T>();
    socket->Attach(node, m_list);
    return socket;
}

TypeId
QemuTcpSocketFactory::GetTypeId()
{
    static TypeId tid =
        MakeTypeId<QemuTcpSocketFactory, TcpSocketFactory>("ns3::QemuTcpSocketFactory");
    return tid;
}

Ptr<Socket>
QemuTcpSocketFactory::CreateSocket()
{
    const auto socket = Make<QemuTcpSocket>();
    const auto protocol = GetObject<QemuTcpL4Protocol>();
    const auto chosen = protocol ? protocol->GetCongestionControl() : "";
    if (!chosen.empty() && !IsDefaultChanged(QemuTcpSocket::GetTypeId(), "CongestionControl"))
    {
        socket->SetAttribute("CongestionControl", StringValue(chosen));
    }
    return socket;
}

TypeId
QemuUdpSocketFactory::GetTypeId()
{
    static TypeId tid =
        MakeTypeId<QemuUdpSocketFactory, UdpSocketFactory>("ns3::QemuUdpSocketFactory");
    return tid;
}

Ptr<Socket>
QemuUdpSocketFactory::CreateSocket()
{
    return Make<QemuUdpSocket>();
}

TypeId
QemuIpv4RawSocketFactory::GetTypeId()
{
    static TypeId tid =
        MakeTypeId<QemuIpv4RawSocketFactory, Ipv4RawSocketFactory>("ns3::QemuIpv4RawSocketFactory");
    return tid;
}

Ptr<Socket>
QemuIpv4RawSocketFactory::CreateSocket()
{
    auto socket = Make<QemuRawSocket>();
    socket->SetFamily(RELAY_INET);
    return socket;
}

TypeId
QemuIpv6RawSocketFactory::GetTypeId()
{
    static TypeId tid =
        MakeTypeId<QemuIpv6RawSocketFactory, Ipv6RawSocketFactory>("ns3::QemuIpv6RawSocketFactory");
    return tid;
}

Ptr<Socket>
QemuIpv6RawSocketFactory::CreateSocket()
{
    auto socket = Make<QemuRawSocket>();
    socket->SetFamily(RELAY_INET6);
    return socket;
}

template class QemuSocketFactory<TcpSocketFactory>;
template class QemuSocketFactory<UdpSocketFactory>;
template class QemuSocketFactory<Ipv4RawSocketFactory>;
template class QemuSocketFactory<Ipv6RawSocketFactory>;

} // namespace ns3
