/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-udp-socket.h"

#include "ns3/log.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuUdpSocket");

NS_OBJECT_ENSURE_REGISTERED(QemuUdpSocket);

TypeId
QemuUdpSocket::GetTypeId()
{
    static TypeId tid = TypeId("ns3::QemuUdpSocket")
                            .SetParent<UdpSocket>()
                            .SetGroupName("Qemu")
                            .AddConstructor<QemuUdpSocket>();
    return tid;
}

QemuUdpSocket::QemuUdpSocket()
{
    NS_LOG_FUNCTION(this);
}

QemuUdpSocket::~QemuUdpSocket()
{
    NS_LOG_FUNCTION(this);
}

void
QemuUdpSocket::NotifyConstructionCompleted()
{
    UdpSocket::NotifyConstructionCompleted();
    m_constructed = true;
    /* What a script has set as a default; ns-3's own defaults are not meant for a kernel. */
    const auto changed = [](const char* name) { return IsDefaultChanged(GetTypeId(), name); };
    if (changed("RcvBufSize"))
    {
        SetRcvBufSize(m_receiveBuffer);
    }
    if (changed("IpMulticastTtl"))
    {
        SetIpMulticastTtl(m_multicastTtl);
    }
    if (changed("IpMulticastIf"))
    {
        SetIpMulticastIf(m_multicastInterface);
    }
    if (changed("IpMulticastLoop"))
    {
        SetIpMulticastLoop(m_multicastLoop);
    }
    if (changed("MtuDiscover"))
    {
        SetMtuDiscover(m_mtuDiscover);
    }
}

Socket::SocketType
QemuUdpSocket::GetSocketType() const
{
    return NS3_SOCK_DGRAM;
}

bool
QemuUdpSocket::Open(uint16_t family)
{
    return OpenDatagram(family, SOCK_DGRAM, 0);
}

int
QemuUdpSocket::MulticastJoinGroup(uint32_t interface, const Address& group)
{
    return ChangeMembership(interface, group, true);
}

int
QemuUdpSocket::MulticastLeaveGroup(uint32_t interface, const Address& group)
{
    return ChangeMembership(interface, group, false);
}

void
QemuUdpSocket::SetRcvBufSize(uint32_t size)
{
    m_receiveBuffer = size;
    if (m_constructed)
    {
        /* With force, or net.core.rmem_max would cut it. */
        SetOption(SOL_SOCKET, SO_RCVBUFFORCE, static_cast<int>(size));
    }
}

uint32_t
QemuUdpSocket::GetRcvBufSize() const
{
    return m_receiveBuffer;
}

void
QemuUdpSocket::SetIpMulticastTtl(uint8_t ttl)
{
    m_multicastTtl = ttl;
    if (m_constructed)
    {
        SetOption(IPPROTO_IP, IP_MULTICAST_TTL, ttl);
        SetOption(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl);
    }
}

uint8_t
QemuUdpSocket::GetIpMulticastTtl() const
{
    return m_multicastTtl;
}

void
QemuUdpSocket::SetIpMulticastIf(int32_t interface)
{
    m_multicastInterface = interface;
    if (!m_constructed)
    {
        return;
    }
    if (IsEarly())
    {
        WhenRunning([this, interface]() { SetIpMulticastIf(interface); });
        return;
    }
    ip_mreqn request{};
    if (interface > 0)
    {
        request.imr_ifindex =
            static_cast<int>(GetGuestInterface(static_cast<uint32_t>(interface - 1)));
    }
    const auto* bytes = reinterpret_cast<const uint8_t*>(&request);
    SetOption(IPPROTO_IP, IP_MULTICAST_IF, {bytes, bytes + sizeof(request)});
    SetOption(IPPROTO_IPV6, IPV6_MULTICAST_IF, request.imr_ifindex);
}

int32_t
QemuUdpSocket::GetIpMulticastIf() const
{
    return m_multicastInterface;
}

void
QemuUdpSocket::SetIpMulticastLoop(bool loop)
{
    m_multicastLoop = loop;
    if (m_constructed)
    {
        SetOption(IPPROTO_IP, IP_MULTICAST_LOOP, loop ? 1 : 0);
        SetOption(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, loop ? 1 : 0);
    }
}

bool
QemuUdpSocket::GetIpMulticastLoop() const
{
    return m_multicastLoop;
}

void
QemuUdpSocket::SetMtuDiscover(bool discover)
{
    m_mtuDiscover = discover;
    if (m_constructed)
    {
        SetOption(IPPROTO_IP, IP_MTU_DISCOVER, discover ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
        SetOption(IPPROTO_IPV6,
                  IPV6_MTU_DISCOVER,
                  discover ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT);
    }
}

bool
QemuUdpSocket::GetMtuDiscover() const
{
    return m_mtuDiscover;
}

} // namespace ns3
