/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-datagram-socket.h"

#include "guest-address.h"

#include "ns3/inet-socket-address.h"
#include "ns3/inet6-socket-address.h"
#include "ns3/ipv4-packet-info-tag.h"
#include "ns3/ipv6-packet-info-tag.h"
#include "ns3/log.h"
#include "ns3/simulator.h"
#include "ns3/udp-socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuDatagramSocket");

namespace
{

/* 65535 bytes of IPv4 packet, less the headers of IP and UDP. */
constexpr uint32_t DATAGRAM_MAX = 65507;

std::vector<uint8_t>
Bytes(Ptr<const Packet> packet)
{
    std::vector<uint8_t> bytes(packet->GetSize());
    packet->CopyData(bytes.data(), packet->GetSize());
    return bytes;
}

template <typename T>
std::vector<uint8_t>
OptionOf(const T& value)
{
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    return {bytes, bytes + sizeof(value)};
}

sockaddr_storage
SystemAddress(Ipv6Address address)
{
    sockaddr_in6 inet6{};
    inet6.sin6_family = AF_INET6;
    address.Serialize(inet6.sin6_addr.s6_addr);
    sockaddr_storage storage{};
    std::memcpy(&storage, &inet6, sizeof(inet6));
    return storage;
}

} // namespace

template <typename Parent>
void
QemuDatagramSocket<Parent>::DoDispose()
{
    m_hasNext = false;
    m_more = false;
    m_closed = true;
    QemuSocket<Parent>::DoDispose();
}

template <typename Parent>
bool
QemuDatagramSocket<Parent>::IsClosed() const
{
    return m_closed;
}

template <typename Parent>
bool
QemuDatagramSocket<Parent>::OpenDatagram(uint16_t family, uint32_t type, uint32_t protocol)
{
    if (this->IsOpen())
    {
        return true;
    }
    if (!this->OpenAs(family, type, protocol))
    {
        return false;
    }
    /* Always, for SetRecvPktInfo and its like cannot be seen when they are called. */
    return this->Ask([&](ns3qemu::RelayClient& relay) {
        const auto on = ToOption(1);
        if (family == RELAY_INET6)
        {
            relay.SetOption(this->m_handle, IPPROTO_IPV6, IPV6_RECVPKTINFO, on);
            relay.SetOption(this->m_handle, IPPROTO_IPV6, IPV6_RECVTCLASS, on);
            relay.SetOption(this->m_handle, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, on);
        }
        else
        {
            relay.SetOption(this->m_handle, IPPROTO_IP, IP_PKTINFO, on);
            relay.SetOption(this->m_handle, IPPROTO_IP, IP_RECVTOS, on);
            relay.SetOption(this->m_handle, IPPROTO_IP, IP_RECVTTL, on);
        }
        relay.Watch(this->m_handle, RELAY_READABLE | RELAY_WRITABLE);
    });
}

/* ---- what the guest tells ---- */

template <typename Parent>
void
QemuDatagramSocket<Parent>::OnReady(const RelayReady& ready)
{
    if (ready.conditions & RELAY_ERROR)
    {
        /* An ICMP error; the next call returns it, as with any such socket. */
        this->FailInGuest(ready.error);
    }
    if (ready.conditions & RELAY_READABLE)
    {
        m_more = true;
        m_notifyReceive = true;
    }
    if ((ready.conditions & RELAY_WRITABLE) && m_refused)
    {
        m_refused = false;
        m_notifySend = true;
    }
    if (m_notifyReceive || m_notifySend)
    {
        this->ServeSoon();
    }
}

template <typename Parent>
void
QemuDatagramSocket<Parent>::Serve()
{
    if (m_notifyReceive)
    {
        m_notifyReceive = false;
        /* Unless it has been read meanwhile. */
        if ((m_more || m_hasNext) && !m_closed && !this->m_shutdownReceive)
        {
            this->NotifyDataRecv();
        }
    }
    if (m_notifySend)
    {
        m_notifySend = false;
        if (!m_closed && !this->m_shutdownSend)
        {
            this->NotifySend(GetTxAvailable());
        }
    }
}

/* ---- sending ---- */

template <typename Parent>
int
QemuDatagramSocket<Parent>::DoConnect()
{
    const auto peer = *this->m_peer;
    if (!this->Open(peer.address.family))
    {
        return -1;
    }
    if (!this->Ask([&](ns3qemu::RelayClient& relay) { relay.Connect(this->m_handle, peer); }))
    {
        /* A broadcast address, and SetAllowBroadcast may come later: name it with each datagram. */
        if (this->GetGuestErrno() != EACCES)
        {
            return -1;
        }
        m_connected = false;
        return 0;
    }
    m_connected = true;
    this->m_local.reset();
    return 0;
}

template <typename Parent>
int
QemuDatagramSocket<Parent>::Connect(const Address& address)
{
    NS_LOG_FUNCTION(this << address);
    if (m_closed || !this->m_guest)
    {
        return this->Fail(Socket::ERROR_BADF);
    }
    ns3qemu::GuestEndpoint peer;
    try
    {
        peer = ToGuestEndpoint(address, "Remote");
    }
    catch (const std::invalid_argument&)
    {
        this->NotifyConnectionFailed();
        return this->Fail(Socket::ERROR_INVAL);
    }
    this->m_peer = peer;
    int result = 0;
    if (this->IsEarly())
    {
        this->m_family = peer.address.family;
        this->WhenRunning([this]() { DoConnect(); });
    }
    else
    {
        result = DoConnect();
    }
    if (result != 0)
    {
        this->m_peer.reset();
        this->NotifyConnectionFailed();
        return result;
    }
    /* Nothing is under way: as ns-3's own datagram sockets, it says so at once. */
    this->NotifyConnectionSucceeded();
    return 0;
}

template <typename Parent>
int
QemuDatagramSocket<Parent>::Listen()
{
    return this->Fail(Socket::ERROR_OPNOTSUPP);
}

template <typename Parent>
int
QemuDatagramSocket<Parent>::SendNow(const std::vector<uint8_t>& data,
                                    uint32_t flags,
                                    const ns3qemu::GuestEndpoint* to)
{
    this->SyncOptions();
    int error = 0;
    const bool sent = this->Ask([&](ns3qemu::RelayClient& relay) {
        try
        {
            relay.Send(this->m_handle, data.data(), data.size(), flags, to);
        }
        catch (const ns3qemu::GuestError& refusal)
        {
            error = refusal.GetErrno();
            /* Before the events of this request are told. */
            m_refused = error == EAGAIN;
            throw;
        }
    });
    if (!sent)
    {
        return -1;
    }
    if (this->m_local && this->m_local->port == 0)
    {
        this->m_local.reset(); // the kernel has chosen one
    }
    this->NotifyDataSent(static_cast<uint32_t>(data.size()));
    if (!m_closed)
    {
        this->NotifySend(GetTxAvailable());
    }
    return static_cast<int>(data.size());
}

template <typename Parent>
int
QemuDatagramSocket<Parent>::Send(Ptr<Packet> packet, uint32_t flags)
{
    NS_LOG_FUNCTION(this << packet << flags);
    if (!this->m_peer)
    {
        return this->Fail(m_closed ? Socket::ERROR_BADF : Socket::ERROR_NOTCONN);
    }
    return SendTo(packet, flags, m_connected ? Address() : ToAddress(*this->m_peer));
}

template <typename Parent>
int
QemuDatagramSocket<Parent>::SendTo(Ptr<Packet> packet, uint32_t flags, const Address& address)
{
    NS_LOG_FUNCTION(this << packet << flags << address);
    if (m_closed || !this->m_guest)
    {
        return this->Fail(Socket::ERROR_BADF);
    }
    if (this->m_shutdownSend)
    {
        return this->Fail(Socket::ERROR_SHUTDOWN);
    }
    if (packet->GetSize() > DATAGRAM_MAX)
    {
        return this->Fail(Socket::ERROR_MSGSIZE);
    }
    const bool named = !address.IsInvalid();
    ns3qemu::GuestEndpoint to;
    try
    {
        if (named)
        {
            to = ToGuestEndpoint(address, "to");
        }
    }
    catch (const std::invalid_argument&)
    {
        return this->Fail(Socket::ERROR_INVAL);
    }
    if (this->IsEarly())
    {
        /* There is nobody to tell of a failure. */
        this->WhenRunning([this, data = Bytes(packet), flags, named, to]() {
            if (!named || this->Open(to.address.family))
            {
                SendNow(data, flags, named ? &to : nullptr);
            }
        });
        return static_cast<int>(packet->GetSize());
    }
    if (named && !this->Open(to.address.family))
    {
        return -1;
    }
    return SendNow(Bytes(packet), flags, named ? &to : nullptr);
}

template <typename Parent>
uint32_t
QemuDatagramSocket<Parent>::GetTxAvailable() const
{
    return this->m_shutdownSend || m_closed ? 0 : DATAGRAM_MAX;
}

/* ---- receiving ---- */

template <typename Parent>
bool
QemuDatagramSocket<Parent>::Fetch() const
{
    if (!m_hasNext && m_more && this->IsOpen())
    {
        this->Ask([this](ns3qemu::RelayClient& relay) {
            m_more = false; // the guest tells again if there is more
            m_next = relay.Receive(this->m_handle, UINT32_MAX, 0);
            m_hasNext = true;
        });
    }
    return m_hasNext;
}

template <typename Parent>
uint32_t
QemuDatagramSocket<Parent>::GetRxAvailable() const
{
    return Fetch() ? static_cast<uint32_t>(m_next.data.size()) : 0;
}

template <typename Parent>
Ptr<Packet>
QemuDatagramSocket<Parent>::Recv(uint32_t maxSize, uint32_t flags)
{
    Address from;
    return RecvFrom(maxSize, flags, from);
}

template <typename Parent>
Ptr<Packet>
QemuDatagramSocket<Parent>::RecvFrom(uint32_t maxSize, uint32_t flags, Address& from)
{
    NS_LOG_FUNCTION(this << maxSize << flags);
    if (m_closed || this->m_shutdownReceive)
    {
        this->Fail(m_closed ? Socket::ERROR_BADF : Socket::ERROR_SHUTDOWN);
        return nullptr;
    }
    this->SyncOptions();
    const bool pending = m_hasNext || m_more;
    if (!Fetch())
    {
        if (!pending)
        {
            this->Fail(Socket::ERROR_AGAIN);
        }
        return nullptr;
    }
    const auto size = std::min(static_cast<uint32_t>(m_next.data.size()), maxSize);
    auto packet = Create<Packet>(m_next.data.data(), size);
    Complete(packet, m_next);
    AddTags(packet, m_next);
    from = ToAddress(m_next.from);
    if (!(flags & MSG_PEEK))
    {
        m_hasNext = false;
        m_next = {};
    }
    return packet;
}

template <typename Parent>
void
QemuDatagramSocket<Parent>::Complete(Ptr<Packet> packet,
                                     const ns3qemu::GuestReceived& received) const
{
}

template <typename Parent>
void
QemuDatagramSocket<Parent>::AddTags(Ptr<Packet> packet,
                                    const ns3qemu::GuestReceived& received) const
{
    const bool inet6 = this->m_family == RELAY_INET6;
    if (this->m_recvPktInfo && (received.has & RELAY_HAS_LOCAL))
    {
        const uint32_t device = this->GetDeviceIndex(received.interface);
        if (inet6)
        {
            Ipv6PacketInfoTag tag;
            tag.SetAddress(Ipv6Address::Deserialize(received.local.bytes.data()));
            tag.SetHoplimit(received.ttl);
            tag.SetTrafficClass(received.tos);
            tag.SetRecvIf(device);
            packet->AddPacketTag(tag);
        }
        else
        {
            Ipv4PacketInfoTag tag;
            tag.SetAddress(Ipv4Address::Deserialize(received.local.bytes.data()));
            tag.SetTtl(received.ttl);
            tag.SetRecvIf(device);
            packet->AddPacketTag(tag);
        }
    }
    if ((received.has & RELAY_HAS_TOS) && !inet6 && this->IsIpRecvTos())
    {
        SocketIpTosTag tag;
        tag.SetTos(received.tos);
        packet->AddPacketTag(tag);
    }
    if ((received.has & RELAY_HAS_TOS) && inet6 && this->IsIpv6RecvTclass())
    {
        SocketIpv6TclassTag tag;
        tag.SetTclass(received.tos);
        packet->AddPacketTag(tag);
    }
    if ((received.has & RELAY_HAS_TTL) && !inet6 && this->IsIpRecvTtl())
    {
        SocketIpTtlTag tag;
        tag.SetTtl(received.ttl);
        packet->AddPacketTag(tag);
    }
    if ((received.has & RELAY_HAS_TTL) && inet6 && this->IsIpv6RecvHopLimit())
    {
        SocketIpv6HopLimitTag tag;
        tag.SetHopLimit(received.ttl);
        packet->AddPacketTag(tag);
    }
}

/* ---- the end ---- */

template <typename Parent>
int
QemuDatagramSocket<Parent>::Close()
{
    NS_LOG_FUNCTION(this);
    if (m_closed)
    {
        return this->Fail(Socket::ERROR_BADF);
    }
    m_closed = true;
    this->CloseGuest();
    return 0;
}

template <typename Parent>
int
QemuDatagramSocket<Parent>::ShutdownSend()
{
    this->m_shutdownSend = true;
    return 0;
}

template <typename Parent>
int
QemuDatagramSocket<Parent>::ShutdownRecv()
{
    this->m_shutdownReceive = true;
    return 0;
}

/* ---- groups ---- */

template <typename Parent>
int
QemuDatagramSocket<Parent>::ChangeMembership(uint32_t interface, const Address& group, bool join)
{
    NS_LOG_FUNCTION(this << interface << group << join);
    Ipv4Address address;
    Ipv6Address address6;
    bool inet6 = false;
    if (InetSocketAddress::IsMatchingType(group))
    {
        address = InetSocketAddress::ConvertFrom(group).GetIpv4();
    }
    else if (Ipv4Address::IsMatchingType(group))
    {
        address = Ipv4Address::ConvertFrom(group);
    }
    else if (Inet6SocketAddress::IsMatchingType(group))
    {
        inet6 = true;
        address6 = Inet6SocketAddress::ConvertFrom(group).GetIpv6();
    }
    else if (Ipv6Address::IsMatchingType(group))
    {
        inet6 = true;
        address6 = Ipv6Address::ConvertFrom(group);
    }
    else
    {
        return this->Fail(Socket::ERROR_AFNOSUPPORT);
    }
    if (this->IsEarly())
    {
        this->WhenRunning(
            [this, interface, group, join]() { ChangeMembership(interface, group, join); });
        return 0;
    }
    if (!this->Open(inet6 ? RELAY_INET6 : RELAY_INET))
    {
        return -1;
    }
    const uint32_t first = interface == 0 ? 0 : interface - 1;
    const uint32_t last = interface == 0 ? this->m_guest->GetInterfaceIndices().size() : interface;
    int result = 0;
    for (uint32_t nic = first; nic < last; nic++)
    {
        const int index = static_cast<int>(this->GetGuestInterface(nic));
        if (index == 0)
        {
            return this->Fail(Socket::ERROR_NODEV);
        }
        int changed;
        if (inet6)
        {
            ipv6_mreq request{};
            address6.Serialize(request.ipv6mr_multiaddr.s6_addr);
            request.ipv6mr_interface = static_cast<unsigned>(index);
            changed = this->SetOption(IPPROTO_IPV6,
                                      join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP,
                                      OptionOf(request));
        }
        else
        {
            ip_mreqn request{};
            address.Serialize(reinterpret_cast<uint8_t*>(&request.imr_multiaddr));
            request.imr_ifindex = index;
            changed = this->SetOption(IPPROTO_IP,
                                      join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                                      OptionOf(request));
        }
        result = changed != 0 ? changed : result;
    }
    return result;
}

template <typename Parent>
void
QemuDatagramSocket<Parent>::Ipv6JoinGroup(Ipv6Address address,
                                          Socket::Ipv6MulticastFilterMode filterMode,
                                          std::vector<Ipv6Address> sources)
{
    NS_LOG_FUNCTION(this << address);
    if (this->IsEarly())
    {
        this->m_ipv6MulticastGroupAddress = address;
        this->WhenRunning([this, address, filterMode, sources]() {
            Ipv6JoinGroup(address, filterMode, sources);
        });
        return;
    }
    const bool leave = filterMode == Socket::INCLUDE && sources.empty();
    if (filterMode == Socket::EXCLUDE || leave)
    {
        if (ChangeMembership(0, address, !leave) != 0)
        {
            return;
        }
    }
    this->m_ipv6MulticastGroupAddress = leave ? Ipv6Address::GetAny() : address;
    for (uint32_t nic = 0; nic < this->m_guest->GetInterfaceIndices().size() && !sources.empty();
         nic++)
    {
        for (const auto& source : sources)
        {
            group_source_req request{};
            request.gsr_interface = this->GetGuestInterface(nic);
            request.gsr_group = SystemAddress(address);
            request.gsr_source = SystemAddress(source);
            if (!this->Open(RELAY_INET6))
            {
                return;
            }
            this->SetOption(IPPROTO_IPV6,
                            filterMode == Socket::INCLUDE ? MCAST_JOIN_SOURCE_GROUP
                                                          : MCAST_BLOCK_SOURCE,
                            OptionOf(request));
        }
    }
}

template class QemuDatagramSocket<UdpSocket>;
template class QemuDatagramSocket<Socket>;

} // namespace ns3
