/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-raw-socket.h"

#include "ns3/boolean.h"
#include "ns3/inet-socket-address.h"
#include "ns3/inet6-socket-address.h"
#include "ns3/ipv6-header.h"
#include "ns3/log.h"
#include "ns3/uinteger.h"

#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuRawSocket");

NS_OBJECT_ENSURE_REGISTERED(QemuRawSocket);

namespace
{

/* linux/icmp.h: which types of ICMP message are kept from the socket, a bit for each */
constexpr int LINUX_ICMP_FILTER = 1;

} // namespace

TypeId
QemuRawSocket::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::QemuRawSocket")
            .SetParent<Socket>()
            .SetGroupName("Qemu")
            .AddConstructor<QemuRawSocket>()
            .AddAttribute("Protocol",
                          "The protocol number to match, such as 1 for ICMP.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuRawSocket::m_protocol),
                          MakeUintegerChecker<uint16_t>())
            .AddAttribute("IcmpFilter",
                          "The types of ICMP message, a bit for each, that are not wanted.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuRawSocket::m_icmpFilter),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("IpHeaderInclude",
                          "Whether what is sent begins with an IPv4 header.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&QemuRawSocket::m_headerInclude),
                          MakeBooleanChecker());
    return tid;
}

QemuRawSocket::QemuRawSocket()
{
    NS_LOG_FUNCTION(this);
}

QemuRawSocket::~QemuRawSocket()
{
    NS_LOG_FUNCTION(this);
}

void
QemuRawSocket::SetFamily(uint16_t family)
{
    m_rawFamily = family;
}

Socket::SocketType
QemuRawSocket::GetSocketType() const
{
    return NS3_SOCK_RAW;
}

Ptr<Packet>
QemuRawSocket::RecvFrom(uint32_t maxSize, uint32_t flags, Address& from)
{
    auto packet = QemuDatagramSocket<Socket>::RecvFrom(maxSize, flags, from);
    if (packet && InetSocketAddress::IsMatchingType(from))
    {
        from = InetSocketAddress(InetSocketAddress::ConvertFrom(from).GetIpv4(), m_protocol);
    }
    else if (packet && Inet6SocketAddress::IsMatchingType(from))
    {
        from = Inet6SocketAddress(Inet6SocketAddress::ConvertFrom(from).GetIpv6(), m_protocol);
    }
    return packet;
}

bool
QemuRawSocket::Open(uint16_t family)
{
    if (IsOpen())
    {
        return true;
    }
    if (family != m_rawFamily)
    {
        Fail(ERROR_AFNOSUPPORT);
        return false;
    }
    if (m_icmpFilter != 0)
    {
        SetOption(IPPROTO_RAW, LINUX_ICMP_FILTER, static_cast<int>(m_icmpFilter));
    }
    if (m_headerInclude)
    {
        SetOption(IPPROTO_IP, IP_HDRINCL, 1);
    }
    return OpenDatagram(family, SOCK_RAW, m_protocol);
}

void
QemuRawSocket::Complete(Ptr<Packet> packet, const ns3qemu::GuestReceived& received) const
{
    if (m_rawFamily != RELAY_INET6)
    {
        return;
    }
    Ipv6Header header;
    header.SetSource(Ipv6Address::Deserialize(received.from.address.bytes.data()));
    header.SetDestination(Ipv6Address::Deserialize(received.local.bytes.data()));
    header.SetPayloadLength(static_cast<uint16_t>(received.length));
    header.SetNextHeader(static_cast<uint8_t>(m_protocol));
    header.SetHopLimit(received.ttl);
    header.SetTrafficClass(received.tos);
    packet->AddHeader(header);
}

} // namespace ns3
