/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-socket.h"

#include "guest-address.h"
#include "guest-buffer.h"
#include "guest-errno.h"
#include "qemu-net-device.h"

#include "ns3/log.h"
#include "ns3/loopback-net-device.h"
#include "ns3/simulator.h"
#include "ns3/tcp-socket.h"
#include "ns3/udp-socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <utility>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuSocket");

bool
IsDefaultChanged(TypeId type, const std::string& attribute)
{
    TypeId::AttributeInformation info;
    /* A default that is set becomes another value, even where it is equal. */
    return type.LookupAttributeByName(attribute, &info) &&
           info.initialValue != info.originalInitialValue;
}

std::vector<uint8_t>
ToOption(int value)
{
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    return {bytes, bytes + sizeof(value)};
}

namespace
{

/* For an error: a text as a text, what looks like a number as a number. */
std::string
Quote(const std::vector<uint8_t>& value)
{
    if (value.size() == sizeof(int))
    {
        int number;
        std::memcpy(&number, value.data(), sizeof(number));
        return " = " + std::to_string(number);
    }
    const bool printable = std::all_of(value.begin(), value.end(), [](uint8_t byte) {
        return byte >= 0x20 && byte < 0x7f;
    });
    std::string text;
    if (printable)
    {
        text.append(" = '").append(value.begin(), value.end()).append("'");
    }
    return text;
}

} // namespace

template <typename Parent>
QemuSocket<Parent>::QemuSocket()
{
}

template <typename Parent>
QemuSocket<Parent>::QemuSocket(const QemuSocket& listener)
    : Parent(listener),
      m_bound(true),
      m_shutdownSend(listener.m_shutdownSend),
      m_shutdownReceive(listener.m_shutdownReceive),
      m_guest(listener.m_guest),
      m_node(listener.m_node),
      m_list(listener.m_list),
      m_toldTos(listener.m_toldTos),
      m_toldTrafficClass(listener.m_toldTrafficClass),
      m_toldPriority(listener.m_toldPriority)
{
    m_list->sockets.push_back(Ptr<Socket>(this));
}

template <typename Parent>
QemuSocket<Parent>::~QemuSocket()
{
    if (m_guest && IsOpen())
    {
        m_guest->Unwatch(m_handle);
    }
}

template <typename Parent>
void
QemuSocket<Parent>::DoDispose()
{
    NS_LOG_FUNCTION(this);
    if (m_guest && IsOpen())
    {
        m_guest->Unwatch(m_handle);
    }
    m_handle = 0;
    m_guest = nullptr;
    m_node = nullptr;
    m_list.reset();
    Parent::DoDispose();
}

template <typename Parent>
void
QemuSocket<Parent>::Attach(Ptr<Node> node, std::shared_ptr<QemuSocketList> list)
{
    m_node = node;
    m_guest = node->GetObject<GuestAccess>();
    m_list = std::move(list);
    m_list->sockets.push_back(Ptr<Socket>(this));
}

template <typename Parent>
void
QemuSocket<Parent>::Forget()
{
    if (m_list)
    {
        auto& sockets = m_list->sockets;
        sockets.erase(std::remove(sockets.begin(), sockets.end(), Ptr<Socket>(this)),
                      sockets.end());
    }
}

/* ---- what the guest is asked ---- */

template <typename Parent>
bool
QemuSocket<Parent>::IsEarly() const
{
    return m_guest && m_guest->IsEarly();
}

template <typename Parent>
bool
QemuSocket<Parent>::IsOver() const
{
    return IsClosed();
}

template <typename Parent>
bool
QemuSocket<Parent>::IsOpen() const
{
    return m_handle != 0;
}

template <typename Parent>
void
QemuSocket<Parent>::WhenRunning(std::function<void()> action)
{
    /* The socket lives until then. */
    m_guest->WhenRunning([self = Ptr<QemuSocket>(this), action]() {
        if (!self->IsOver())
        {
            action();
        }
    });
}

template <typename Parent>
bool
QemuSocket<Parent>::Ask(const std::function<void(ns3qemu::RelayClient&)>& request) const
{
    if (!m_guest || !m_guest->IsRunning())
    {
        FailInGuest(EBADF);
        return false;
    }
    int error = 0;
    /* Caught within, so that the request's events are told all the same. */
    m_guest->Request([&](ns3qemu::RelayClient& relay) {
        try
        {
            request(relay);
        }
        catch (const ns3qemu::GuestError& refusal)
        {
            NS_LOG_LOGIC(refusal.what());
            error = refusal.GetErrno();
        }
    });
    if (error != 0)
    {
        FailInGuest(error);
        return false;
    }
    return m_guest && m_guest->IsRunning();
}

template <typename Parent>
int
QemuSocket<Parent>::Fail(Socket::SocketErrno error) const
{
    m_errno = error;
    m_guestErrno = 0;
    return -1;
}

template <typename Parent>
int
QemuSocket<Parent>::FailInGuest(int error) const
{
    m_errno = ToSocketErrno(error);
    m_guestErrno = error;
    return -1;
}

template <typename Parent>
bool
QemuSocket<Parent>::OpenAs(uint16_t family, uint32_t type, uint32_t protocol)
{
    if (IsOpen())
    {
        return true;
    }
    if (IsOver())
    {
        Fail(Socket::ERROR_BADF);
        return false;
    }
    const bool opened = Ask([&](ns3qemu::RelayClient& relay) {
        m_handle = relay.Socket(family, type, protocol);
        m_family = family;
        if (family == RELAY_INET6 && type != SOCK_RAW)
        {
            /* In ns-3 a socket is of one family, and both may have the same port. */
            relay.SetOption(m_handle, IPPROTO_IPV6, IPV6_V6ONLY, ToOption(1));
        }
    });
    if (!IsOpen())
    {
        return false;
    }
    m_guest->Watch(m_handle, MakeCallback(&QemuSocket::OnReady, this));
    const auto options = std::move(m_options);
    m_options.clear();
    for (const auto& option : options)
    {
        if (SetGuestOption(option.level, option.name, option.value) != 0)
        {
            throw ns3qemu::GuestError("VM '" + m_guest->GetName() + "': socket option " +
                                          std::to_string(option.name) + " of level " +
                                          std::to_string(option.level) + Quote(option.value),
                                      m_guestErrno);
        }
    }
    BindGuestToDevice();
    SyncOptions();
    return opened;
}

template <typename Parent>
void
QemuSocket<Parent>::Adopt(uint32_t handle, uint16_t family)
{
    m_handle = handle;
    m_family = family;
    m_guest->Watch(m_handle, MakeCallback(&QemuSocket::OnReady, this));
}

template <typename Parent>
void
QemuSocket<Parent>::CloseGuest()
{
    NS_LOG_FUNCTION(this);
    if (IsOpen())
    {
        const uint32_t handle = std::exchange(m_handle, 0);
        m_guest->Unwatch(handle);
        if (m_guest->IsRunning())
        {
            Ask([handle](ns3qemu::RelayClient& relay) { relay.Close(handle); });
        }
    }
    Forget();
}

template <typename Parent>
void
QemuSocket<Parent>::ServeSoon()
{
    if (!m_serving && m_node)
    {
        m_serving = true;
        Simulator::ScheduleWithContext(m_node->GetId(),
                                       Time(0),
                                       &QemuSocket::DoServe,
                                       Ptr<QemuSocket>(this));
    }
}

template <typename Parent>
void
QemuSocket<Parent>::DoServe()
{
    m_serving = false;
    if (m_node) // not disposed of
    {
        Serve();
    }
}

/* ---- names ---- */

template <typename Parent>
int
QemuSocket<Parent>::BindTo(const ns3qemu::GuestEndpoint& local)
{
    if (!Open(local.address.family) ||
        !Ask([&](ns3qemu::RelayClient& relay) { relay.Bind(m_handle, local); }))
    {
        return -1;
    }
    m_local.reset();
    return 0;
}

template <typename Parent>
int
QemuSocket<Parent>::Bind(const Address& address)
{
    NS_LOG_FUNCTION(this << address);
    if (IsClosed() || !m_guest)
    {
        return Fail(Socket::ERROR_BADF);
    }
    if (m_bound)
    {
        return Fail(Socket::ERROR_INVAL);
    }
    ns3qemu::GuestEndpoint local;
    try
    {
        local = ToGuestEndpoint(address, "Local");
    }
    catch (const std::invalid_argument&)
    {
        return Fail(Socket::ERROR_INVAL);
    }
    if (!IsEarly())
    {
        const int result = BindTo(local);
        m_bound = result == 0;
        return result;
    }
    m_bound = true;
    m_local = local;
    m_family = local.address.family;
    WhenRunning([this, local]() {
        if (BindTo(local) != 0)
        {
            throw ns3qemu::GuestError("binding a socket to " + local.address.Print() + " port " +
                                          std::to_string(local.port),
                                      m_guestErrno);
        }
    });
    return 0;
}

template <typename Parent>
int
QemuSocket<Parent>::Bind()
{
    return Bind(InetSocketAddress(Ipv4Address::GetAny(), 0));
}

template <typename Parent>
int
QemuSocket<Parent>::Bind6()
{
    return Bind(Inet6SocketAddress(Ipv6Address::GetAny(), 0));
}

template <typename Parent>
int
QemuSocket<Parent>::GetSockName(Address& address) const
{
    if (IsOpen() && !m_local)
    {
        Ask([this](ns3qemu::RelayClient& relay) { m_local = relay.GetSocketName(m_handle); });
        if (!m_local)
        {
            return -1;
        }
    }
    auto local = m_local.value_or(ns3qemu::GuestEndpoint{});
    local.address.family = static_cast<uint8_t>(m_family == RELAY_INET6 ? RELAY_INET6 : RELAY_INET);
    address = ToAddress(local);
    return 0;
}

template <typename Parent>
int
QemuSocket<Parent>::GetPeerName(Address& address) const
{
    if (!m_peer)
    {
        return Fail(Socket::ERROR_NOTCONN);
    }
    address = ToAddress(*m_peer);
    return 0;
}

/* ---- options ---- */

template <typename Parent>
int
QemuSocket<Parent>::SetOption(int level, int name, const std::vector<uint8_t>& value)
{
    NS_LOG_FUNCTION(this << level << name);
    if (IsClosed())
    {
        return Fail(Socket::ERROR_BADF);
    }
    if (!IsOpen())
    {
        m_options.push_back(Option{level, name, value});
        return 0;
    }
    return SetGuestOption(level, name, value);
}

/* Of a socket that is open; it may be closed already and still have something to send. */
template <typename Parent>
int
QemuSocket<Parent>::SetGuestOption(int level, int name, const std::vector<uint8_t>& value)
{
    if (level == (m_family == RELAY_INET6 ? IPPROTO_IP : IPPROTO_IPV6))
    {
        return 0;
    }
    if (!Ask([&](ns3qemu::RelayClient& relay) {
            const auto fitting = FitGuestBuffer(relay, m_guest->GetName(), level, name, value);
            relay.SetOption(m_handle, level, name, fitting);
        }))
    {
        NS_LOG_WARN("the guest refuses socket option " << name << " of level " << level << ": "
                                                       << std::strerror(m_guestErrno));
        return -1;
    }
    return 0;
}

template <typename Parent>
int
QemuSocket<Parent>::SetOption(int level, int name, int value)
{
    return SetOption(level, name, ToOption(value));
}

template <typename Parent>
std::vector<uint8_t>
QemuSocket<Parent>::GetOption(int level, int name, uint32_t length) const
{
    std::vector<uint8_t> value;
    if (IsOpen())
    {
        Ask([&](ns3qemu::RelayClient& relay) {
            value = relay.GetOption(m_handle, level, name, length);
        });
    }
    return value;
}

template <typename Parent>
void
QemuSocket<Parent>::SyncOptions()
{
    if (!IsOpen())
    {
        return;
    }
    if (m_family == RELAY_INET && this->GetIpTos() != m_toldTos)
    {
        m_toldTos = this->GetIpTos();
        SetGuestOption(IPPROTO_IP, IP_TOS, ToOption(m_toldTos));
    }
    if (m_family == RELAY_INET6 && this->GetIpv6Tclass() != m_toldTrafficClass)
    {
        m_toldTrafficClass = this->GetIpv6Tclass();
        SetGuestOption(IPPROTO_IPV6, IPV6_TCLASS, ToOption(m_toldTrafficClass));
    }
    /* After the type of service, which sets a priority, too. */
    if (this->GetPriority() != m_toldPriority)
    {
        m_toldPriority = this->GetPriority();
        SetGuestOption(SOL_SOCKET, SO_PRIORITY, ToOption(m_toldPriority));
    }
}

template <typename Parent>
void
QemuSocket<Parent>::SetIpTtl(uint8_t ttl)
{
    Parent::SetIpTtl(ttl);
    if (ttl != 0 || IsOpen())
    {
        SetOption(IPPROTO_IP, IP_TTL, ttl != 0 ? ttl : -1); // the kernel's own
    }
}

template <typename Parent>
void
QemuSocket<Parent>::SetIpv6HopLimit(uint8_t limit)
{
    Parent::SetIpv6HopLimit(limit);
    if (limit != 0 || IsOpen())
    {
        SetOption(IPPROTO_IPV6, IPV6_UNICAST_HOPS, limit != 0 ? limit : -1);
    }
}

template <typename Parent>
bool
QemuSocket<Parent>::SetAllowBroadcast(bool allow)
{
    if (allow == m_allowBroadcast)
    {
        return true;
    }
    if (SetOption(SOL_SOCKET, SO_BROADCAST, allow ? 1 : 0) != 0)
    {
        return false;
    }
    m_allowBroadcast = allow;
    return true;
}

template <typename Parent>
bool
QemuSocket<Parent>::GetAllowBroadcast() const
{
    return m_allowBroadcast;
}

template <typename Parent>
void
QemuSocket<Parent>::BindToNetDevice(Ptr<NetDevice> device)
{
    NS_LOG_FUNCTION(this << device);
    Parent::BindToNetDevice(device);
    if (!IsClosed())
    {
        BindGuestToDevice();
    }
}

template <typename Parent>
void
QemuSocket<Parent>::BindGuestToDevice()
{
    const auto device = this->m_boundnetdevice;
    if (!IsOpen() || !device)
    {
        return;
    }
    std::string name = "lo";
    if (!DynamicCast<LoopbackNetDevice>(device))
    {
        const int64_t nic = FindNic(device);
        /* Asked for: a program in the guest may have given it another name. */
        if (nic < 0 || !Ask([&](ns3qemu::RelayClient& relay) {
                relay.GetLink(static_cast<uint32_t>(nic), &name);
            }))
        {
            NS_LOG_WARN("the device belongs to none of the machine's NICs");
            Fail(Socket::ERROR_NODEV);
            return;
        }
    }
    SetGuestOption(SOL_SOCKET, SO_BINDTODEVICE, {name.begin(), name.end()});
}

template <typename Parent>
int64_t
QemuSocket<Parent>::FindNic(Ptr<const NetDevice> device) const
{
    for (uint32_t i = 0; i < m_node->GetNDevices(); i++)
    {
        const auto nic = DynamicCast<QemuNetDevice>(m_node->GetDevice(i));
        if (nic && (nic == device || nic->GetJoinedDevice() == device))
        {
            return nic->GetNicIndex();
        }
    }
    return -1;
}

template <typename Parent>
uint32_t
QemuSocket<Parent>::GetGuestInterface(uint32_t nic) const
{
    const auto& indices = m_guest->GetInterfaceIndices();
    return nic < indices.size() ? indices[nic] : 0;
}

template <typename Parent>
uint32_t
QemuSocket<Parent>::GetDeviceIndex(uint32_t guestInterface) const
{
    for (uint32_t i = 0; i < m_node->GetNDevices(); i++)
    {
        const auto nic = DynamicCast<QemuNetDevice>(m_node->GetDevice(i));
        if (nic && GetGuestInterface(nic->GetNicIndex()) == guestInterface)
        {
            return nic->GetJoinedDevice()->GetIfIndex();
        }
    }
    return 0;
}

/* ---- the rest ---- */

template <typename Parent>
int
QemuSocket<Parent>::GetGuestErrno() const
{
    return m_guestErrno;
}

template <typename Parent>
uint32_t
QemuSocket<Parent>::GetHandle() const
{
    return m_handle;
}

template <typename Parent>
Socket::SocketErrno
QemuSocket<Parent>::GetErrno() const
{
    return m_errno;
}

template <typename Parent>
Ptr<Node>
QemuSocket<Parent>::GetNode() const
{
    return m_node;
}

template class QemuSocket<TcpSocket>;
template class QemuSocket<UdpSocket>;
template class QemuSocket<Socket>;

} // namespace ns3
