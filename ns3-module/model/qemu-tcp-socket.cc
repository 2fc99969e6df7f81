/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-tcp-socket.h"

#include "guest-address.h"

#include "ns3/double.h"
#include "ns3/guest-initial-window.h"
#include "ns3/log.h"
#include "ns3/packet.h"
#include "ns3/simulator.h"
#include "ns3/string.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <utility>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuTcpSocket");

NS_OBJECT_ENSURE_REGISTERED(QemuTcpSocket);

namespace
{

/* What is handed to the guest or read at a time, in bytes. */
constexpr uint32_t PIECE = 65536;

/* The kernel's own limit holds. */
constexpr uint32_t BACKLOG = 4096;

/* ns-3's congestion controls that Linux has as well, and under which name. */
constexpr std::array<std::pair<const char*, const char*>, 16> CONGESTION_CONTROLS{{
    {"ns3::TcpLinuxReno", "reno"},
    {"ns3::TcpNewReno", "reno"},
    {"ns3::TcpCubic", "cubic"},
    {"ns3::TcpBbr", "bbr"},
    {"ns3::TcpDctcp", "dctcp"},
    {"ns3::TcpBic", "bic"},
    {"ns3::TcpHighSpeed", "highspeed"},
    {"ns3::TcpHtcp", "htcp"},
    {"ns3::TcpHybla", "hybla"},
    {"ns3::TcpIllinois", "illinois"},
    {"ns3::TcpLp", "lp"},
    {"ns3::TcpScalable", "scalable"},
    {"ns3::TcpVegas", "vegas"},
    {"ns3::TcpVeno", "veno"},
    {"ns3::TcpWestwoodPlus", "westwood"},
    {"ns3::TcpYeah", "yeah"},
}};

/* The counterpart of what a script has set for all of ns-3's own sockets; empty: nothing. */
std::string
DefaultCongestionControl()
{
    TypeId tcp;
    TypeId::AttributeInformation info;
    if (!TypeId::LookupByNameFailSafe("ns3::TcpL4Protocol", &tcp) ||
        !IsDefaultChanged(tcp, "SocketType") || !tcp.LookupAttributeByName("SocketType", &info))
    {
        return "";
    }
    const auto name = info.initialValue->SerializeToString(info.checker);
    for (const auto& [theirs, linux] : CONGESTION_CONTROLS)
    {
        if (name == theirs)
        {
            return linux;
        }
    }
    NS_LOG_WARN("Linux has no counterpart of " << name
                                               << "; the guest's own congestion control is used");
    return "";
}

} // namespace

TypeId
QemuTcpSocket::GetTypeId()
{
    static TypeId tid = AddTraceSources(
        TypeId("ns3::QemuTcpSocket")
            .SetParent<TcpSocket>()
            .SetGroupName("Qemu")
            .AddConstructor<QemuTcpSocket>()
            .AddAttribute("CongestionControl",
                          "TCP_CONGESTION of the socket. Empty: the counterpart of "
                          "ns3::TcpL4Protocol::SocketType, where a script has set its default; "
                          "otherwise the guest's sysctl decides.",
                          StringValue(""),
                          MakeStringAccessor(&QemuTcpSocket::SetCongestionControl,
                                             &QemuTcpSocket::GetCongestionControl),
                          MakeStringChecker())
            .AddAttribute("MaxSegLifetime",
                          "Of no effect: in Linux TIME_WAIT lasts 60 s. It is here because "
                          "applications set it, which TcpSocketBase has.",
                          DoubleValue(30),
                          MakeDoubleAccessor(&QemuTcpSocket::m_maxSegmentLifetime),
                          MakeDoubleChecker<double>(0)));
    return tid;
}

QemuTcpSocket::QemuTcpSocket()
{
    NS_LOG_FUNCTION(this);
}

QemuTcpSocket::QemuTcpSocket(const QemuTcpSocket& listener)
    : QemuSocket<TcpSocket>(listener),
      TcpInfoTracer(listener),
      m_attributes(listener.m_attributes),
      m_maxSegmentLifetime(listener.m_maxSegmentLifetime),
      m_constructed(true)
{
    NS_LOG_FUNCTION(this);
    /* As with ns-3's own sockets; the callbacks of its closing stay the listener's. */
    SetConnectCallback(MakeNullCallback<void, Ptr<Socket>>(),
                       MakeNullCallback<void, Ptr<Socket>>());
    SetDataSentCallback(MakeNullCallback<void, Ptr<Socket>, uint32_t>());
    SetSendCallback(MakeNullCallback<void, Ptr<Socket>, uint32_t>());
    SetRecvCallback(MakeNullCallback<void, Ptr<Socket>>());
}

QemuTcpSocket::~QemuTcpSocket()
{
    NS_LOG_FUNCTION(this);
}

void
QemuTcpSocket::DoDispose()
{
    NS_LOG_FUNCTION(this);
    StopTracing();
    m_state = ENDED;
    QemuSocket<TcpSocket>::DoDispose();
}

Socket::SocketType
QemuTcpSocket::GetSocketType() const
{
    return NS3_SOCK_STREAM;
}

bool
QemuTcpSocket::IsOver() const
{
    return m_state == ENDED; // closed, but for what is still to be sent
}

bool
QemuTcpSocket::Open(uint16_t family)
{
    return OpenAs(family, SOCK_STREAM, 0);
}

/* ---- the beginning ---- */

int
QemuTcpSocket::DoConnect()
{
    m_state = CONNECTING;
    if (!Open(m_peer.address.family) || !Ask([this](ns3qemu::RelayClient& relay) {
            if (m_initialWindow > 0)
            {
                ns3qemu::SetInitialWindow(relay, m_peer.address, m_initialWindow);
            }
            relay.Watch(m_handle, RELAY_READABLE | RELAY_WRITABLE);
            relay.Connect(m_handle, m_peer);
        }))
    {
        m_state = IDLE;
        m_hasPeer = false;
        return -1;
    }
    m_localKnown = false;
    StartTracing(m_machine, m_handle);
    return 0;
}

int
QemuTcpSocket::Connect(const Address& address)
{
    NS_LOG_FUNCTION(this << address);
    if (m_closed || !m_machine)
    {
        return Fail(ERROR_BADF);
    }
    if (m_state != IDLE)
    {
        return Fail(m_state == LISTENING ? ERROR_OPNOTSUPP : ERROR_ISCONN);
    }
    try
    {
        m_peer = ToGuestEndpoint(address, "Remote");
    }
    catch (const std::invalid_argument&)
    {
        return Fail(ERROR_INVAL);
    }
    m_hasPeer = true;
    if (!IsEarly())
    {
        return DoConnect();
    }
    m_state = CONNECTING;
    m_family = m_peer.address.family;
    WhenRunning([this]() {
        if (DoConnect() != 0)
        {
            m_state = CONNECTING; // that is how it fails
            m_error = GetGuestErrno();
            ServeSoon();
        }
    });
    return 0;
}

int
QemuTcpSocket::Listen()
{
    NS_LOG_FUNCTION(this);
    if (m_closed || !m_machine)
    {
        return Fail(ERROR_BADF);
    }
    if (m_state != IDLE)
    {
        return Fail(ERROR_INVAL);
    }
    m_state = LISTENING;
    const auto listen = [this]() {
        return Open(m_family == RELAY_INET6 ? RELAY_INET6 : RELAY_INET) &&
               Ask([this](ns3qemu::RelayClient& relay) {
                   relay.Watch(m_handle, RELAY_READABLE);
                   relay.Listen(m_handle, BACKLOG);
               });
    };
    if (IsEarly())
    {
        WhenRunning([this, listen]() {
            if (!listen())
            {
                throw ns3qemu::GuestError("listening at a socket", GetGuestErrno());
            }
        });
        return 0;
    }
    if (!listen())
    {
        m_state = IDLE;
        return -1;
    }
    return 0;
}

void
QemuTcpSocket::BeginConnection(uint32_t handle, const ns3qemu::GuestEndpoint& peer)
{
    Adopt(handle, peer.address.family);
    m_peer = peer;
    m_hasPeer = true;
    m_state = CONNECTED;
    StartTracing(m_machine, m_handle);
}

void
QemuTcpSocket::AcceptConnection(uint32_t handle, const ns3qemu::GuestEndpoint& peer)
{
    const auto from = ToAddress(peer);
    if (!NotifyConnectionRequest(from))
    {
        /* It stands already; a reset is the nearest to a SYN that is not answered. */
        Ask([&](ns3qemu::RelayClient& relay) {
            const linger reset{1, 0};
            const auto* bytes = reinterpret_cast<const uint8_t*>(&reset);
            relay.SetOption(handle, SOL_SOCKET, SO_LINGER, {bytes, bytes + sizeof(reset)});
            relay.Close(handle);
        });
        return;
    }
    auto accepted = CopyObject(Ptr<QemuTcpSocket>(this));
    accepted->BeginConnection(handle, peer);
    NotifyNewConnectionCreated(accepted, from);
    /* Now that there may be callbacks: what has come, and that there is room. */
    if (!accepted->m_closed)
    {
        accepted->Ask([&](ns3qemu::RelayClient& relay) {
            relay.Watch(handle, RELAY_READABLE | RELAY_WRITABLE);
        });
        accepted->ServeSoon();
    }
}

/* ---- what the guest tells ---- */

void
QemuTcpSocket::OnReady(const RelayReady& ready)
{
    NS_LOG_FUNCTION(this << ready.conditions << ready.error);
    bool serve = false;
    if (ready.conditions & RELAY_ERROR)
    {
        m_error = ready.error != 0 ? ready.error : ECONNRESET;
        serve = true;
    }
    if ((ready.conditions & RELAY_READABLE) && !m_endOfFile)
    {
        m_more = true;
        m_notifyReceive = true;
        serve = true;
    }
    if (ready.conditions & RELAY_WRITABLE)
    {
        if (m_state == CONNECTING)
        {
            m_established = true;
            serve = true;
        }
        else if (m_full)
        {
            m_full = false;
            serve = true;
        }
    }
    if ((ready.conditions & RELAY_HANGUP) && !m_peerClosed)
    {
        m_peerClosed = true;
        serve = true;
    }
    if (serve)
    {
        ServeSoon();
    }
}

void
QemuTcpSocket::Serve()
{
    switch (m_state)
    {
    case LISTENING:
        ServeListener();
        break;
    case CONNECTING:
        ServeConnecting();
        break;
    case CONNECTED:
        ServeConnection();
        break;
    default:
        break;
    }
}

void
QemuTcpSocket::ServeListener()
{
    if (!m_notifyReceive)
    {
        return;
    }
    m_notifyReceive = false;
    m_more = false;
    uint32_t handle = 0;
    ns3qemu::GuestEndpoint peer;
    /* One at a time: the guest tells again if there are more. */
    if (Ask([&](ns3qemu::RelayClient& relay) { handle = relay.Accept(m_handle, &peer); }))
    {
        AcceptConnection(handle, peer);
    }
}

void
QemuTcpSocket::ServeConnecting()
{
    if (m_error != 0 || (m_peerClosed && !m_established))
    {
        FailInGuest(m_error != 0 ? m_error : ECONNRESET);
        Sample();
        End();
        if (!m_closed)
        {
            m_closed = true;
            NotifyConnectionFailed();
        }
        return;
    }
    if (!m_established)
    {
        return;
    }
    m_state = CONNECTED;
    m_announced = true;
    Sample();
    if (!m_closed)
    {
        NotifyConnectionSucceeded();
    }
    if (!m_closed && !m_shutdownSend)
    {
        NotifySend(GetTxAvailable());
    }
    ServeConnection();
}

void
QemuTcpSocket::ServeConnection()
{
    const uint32_t sent = Flush();
    if (sent > 0)
    {
        if (!m_closed)
        {
            NotifyDataSent(sent);
        }
    }
    if ((sent > 0 || !m_announced) && !m_closed && !m_shutdownSend)
    {
        m_announced = true;
        NotifySend(GetTxAvailable());
    }
    FinishSending();
    if (m_state != CONNECTED)
    {
        return;
    }
    if (m_peerClosed && m_error == 0 && !m_closed && !m_shutdownReceive)
    {
        Prefetch();
    }
    if (m_notifyReceive)
    {
        m_notifyReceive = false;
        if ((m_more || !m_read.empty()) && !m_closed && !m_shutdownReceive)
        {
            NotifyDataRecv();
        }
    }
    if (m_state != CONNECTED)
    {
        return;
    }
    if (m_error != 0)
    {
        const int error = m_error;
        Sample();
        End();
        FailInGuest(error);
        if (!m_closed)
        {
            m_closed = true;
            NotifyErrorClose();
        }
        return;
    }
    if (m_peerClosed && !m_closed && !m_closeNotified)
    {
        m_closeNotified = true;
        Sample();
        NotifyNormalClose();
    }
    FinishSending();
}

/* ---- sending ---- */

uint32_t
QemuTcpSocket::GetQueued() const
{
    return static_cast<uint32_t>(m_sendBuffer.size()) - m_sendAt;
}

uint32_t
QemuTcpSocket::GetCapacity() const
{
    return m_attributes.sendBuffer;
}

uint32_t
QemuTcpSocket::GetTxAvailable() const
{
    if (m_closed || m_shutdownSend || (m_state != CONNECTING && m_state != CONNECTED))
    {
        return m_state == IDLE && !m_closed ? GetCapacity() : 0;
    }
    const uint32_t queued = GetQueued();
    return queued < GetCapacity() ? GetCapacity() - queued : 0;
}

int
QemuTcpSocket::Send(Ptr<Packet> packet, uint32_t flags)
{
    NS_LOG_FUNCTION(this << packet << flags);
    if (m_shutdownSend)
    {
        return Fail(ERROR_SHUTDOWN);
    }
    if (m_closed || (m_state != CONNECTING && m_state != CONNECTED))
    {
        return Fail(ERROR_NOTCONN);
    }
    const uint32_t size = packet->GetSize();
    const uint32_t room = GetTxAvailable();
    if (size > room && (room == 0 || size <= GetCapacity()))
    {
        return Fail(ERROR_AGAIN);
    }
    const uint32_t taken = std::min(size, room);
    if (m_sendAt > 0 && m_sendAt == m_sendBuffer.size())
    {
        m_sendBuffer.clear();
        m_sendAt = 0;
    }
    const size_t at = m_sendBuffer.size();
    m_sendBuffer.resize(at + taken);
    packet->CopyData(m_sendBuffer.data() + at, taken);
    if (m_state == CONNECTED && !m_full)
    {
        ServeSoon();
    }
    return static_cast<int>(taken);
}

int
QemuTcpSocket::SendTo(Ptr<Packet> packet, uint32_t flags, const Address&)
{
    return Send(packet, flags);
}

uint32_t
QemuTcpSocket::Flush()
{
    uint32_t sent = 0;
    SyncOptions();
    while (m_state == CONNECTED && m_open && !m_full && m_error == 0 && GetQueued() > 0)
    {
        const uint32_t piece = std::min(GetQueued(), PIECE);
        uint32_t taken = 0;
        const bool done = Ask([&](ns3qemu::RelayClient& relay) {
            try
            {
                taken = static_cast<uint32_t>(
                    relay.Send(m_handle, m_sendBuffer.data() + m_sendAt, piece, 0, nullptr));
                m_full = taken < piece;
            }
            catch (const ns3qemu::GuestError& refusal)
            {
                /* Known before the events of this request, one of which may take it back. */
                m_full = true;
                if (refusal.GetErrno() != EAGAIN)
                {
                    m_error = m_error != 0 ? m_error : refusal.GetErrno();
                    throw;
                }
            }
        });
        m_sendAt += taken;
        sent += taken;
        if (!done)
        {
            break;
        }
    }
    if (m_sendAt >= PIECE)
    {
        m_sendBuffer.erase(m_sendBuffer.begin(), m_sendBuffer.begin() + m_sendAt);
        m_sendAt = 0;
    }
    return sent;
}

/* Once all is handed over: the end that the application wants. */
void
QemuTcpSocket::FinishSending()
{
    if (m_state != CONNECTED || GetQueued() > 0)
    {
        return;
    }
    if (m_closed)
    {
        End();
        if (!m_closeNotified)
        {
            m_closeNotified = true;
            NotifyNormalClose();
        }
        return;
    }
    if (!m_shutdownSend)
    {
        return;
    }
    /* Neither side sends any more, and all is read. */
    if (m_peerClosed && m_closeNotified && (m_endOfFile || m_shutdownReceive))
    {
        m_closed = true;
        End();
        return;
    }
    if (m_finWanted && !m_sentFin)
    {
        m_sentFin = true;
        Ask([this](ns3qemu::RelayClient& relay) { relay.Shutdown(m_handle, SHUT_WR); });
        Sample();
    }
}

/* ---- receiving ---- */

std::vector<uint8_t>
QemuTcpSocket::ReceiveFromGuest(uint32_t length, uint32_t flags) const
{
    std::vector<uint8_t> data;
    const uint32_t wanted = std::min(length, PIECE);
    Ask([&](ns3qemu::RelayClient& relay) {
        m_more = false; // the guest tells again if there is more
        data = relay.Receive(m_handle, wanted, flags).data;
        m_endOfFile = data.empty() && wanted > 0;
    });
    return data;
}

/* Whether there is anything before the end: of the end alone, no data is told. */
void
QemuTcpSocket::Prefetch()
{
    if (m_read.empty() && m_more && !m_endOfFile)
    {
        m_read = ReceiveFromGuest(PIECE, 0);
    }
}

uint32_t
QemuTcpSocket::GetRxAvailable() const
{
    if (!m_more || !m_open)
    {
        return static_cast<uint32_t>(m_read.size());
    }
    int queued = 0;
    Ask([&](ns3qemu::RelayClient& relay) {
        const auto answer = relay.Ioctl(m_handle, FIONREAD, ToOption(0));
        if (answer.size() == sizeof(queued))
        {
            std::memcpy(&queued, answer.data(), sizeof(queued));
        }
    });
    return static_cast<uint32_t>(m_read.size()) + static_cast<uint32_t>(std::max(queued, 0));
}

Ptr<Packet>
QemuTcpSocket::Recv(uint32_t maxSize, uint32_t flags)
{
    NS_LOG_FUNCTION(this << maxSize << flags);
    if (m_closed || m_state == IDLE || m_state == LISTENING)
    {
        Fail(m_closed ? ERROR_BADF : ERROR_NOTCONN);
        return nullptr;
    }
    SyncOptions();
    if (m_read.empty() && m_more && !m_endOfFile && maxSize > 0)
    {
        const bool peek = flags & MSG_PEEK;
        m_read = ReceiveFromGuest(maxSize, flags & ~static_cast<uint32_t>(MSG_PEEK));
        if (peek)
        {
            return Create<Packet>(m_read.data(), static_cast<uint32_t>(m_read.size()));
        }
    }
    if (m_read.empty())
    {
        if (m_endOfFile)
        {
            if (m_peerClosed)
            {
                ServeSoon(); // it may have waited for this
            }
            return Create<Packet>();
        }
        if (m_state == CONNECTED)
        {
            Fail(ERROR_AGAIN);
        }
        return nullptr;
    }
    const uint32_t size = std::min(static_cast<uint32_t>(m_read.size()), maxSize);
    auto packet = Create<Packet>(m_read.data(), size);
    if (!(flags & MSG_PEEK))
    {
        m_read.erase(m_read.begin(), m_read.begin() + size);
    }
    return packet;
}

Ptr<Packet>
QemuTcpSocket::RecvFrom(uint32_t maxSize, uint32_t flags, Address& from)
{
    auto packet = Recv(maxSize, flags);
    if (packet && m_hasPeer)
    {
        from = ToAddress(m_peer);
    }
    return packet;
}

/* ---- the end ---- */

void
QemuTcpSocket::End()
{
    NS_LOG_FUNCTION(this);
    m_state = ENDED;
    m_sendBuffer.clear();
    m_sendAt = 0;
    StopTracing();
    CloseGuest();
}

int
QemuTcpSocket::Close()
{
    NS_LOG_FUNCTION(this);
    if (m_closed)
    {
        return Fail(ERROR_BADF);
    }
    m_closed = true;
    if ((m_state == CONNECTED || m_state == CONNECTING) && GetQueued() > 0)
    {
        if (m_state == CONNECTED)
        {
            ServeSoon();
        }
        return 0; // it ends when all of that is with the guest
    }
    const bool notify = m_state == CONNECTED || m_state == LISTENING;
    if (notify && !m_closeNotified)
    {
        m_closeNotified = true;
        Simulator::ScheduleNow(&QemuTcpSocket::NotifyNormalClose, Ptr<QemuTcpSocket>(this));
    }
    End();
    return 0;
}

int
QemuTcpSocket::ShutdownSend()
{
    NS_LOG_FUNCTION(this);
    m_shutdownSend = true;
    if (m_state == CONNECTING || m_state == CONNECTED)
    {
        m_finWanted = true;
        ServeSoon();
    }
    return 0;
}

int
QemuTcpSocket::ShutdownRecv()
{
    NS_LOG_FUNCTION(this);
    /* Not in the guest, where it would end a connection that is under way. */
    m_shutdownReceive = true;
    return 0;
}

/* ---- attributes ---- */

void
QemuTcpSocket::NotifyConstructionCompleted()
{
    TcpSocket::NotifyConstructionCompleted();
    m_constructed = true;
    /* What a script has set as a default; ns-3's own defaults are not meant for a kernel. */
    const auto changed = [](const char* name) { return IsDefaultChanged(GetTypeId(), name); };
    const auto again = [&](const char* name, auto set, const auto& value) {
        if (changed(name))
        {
            (this->*set)(value);
        }
    };
    const Attributes a = m_attributes;
    again("SndBufSize", &QemuTcpSocket::SetSndBufSize, a.sendBuffer);
    again("RcvBufSize", &QemuTcpSocket::SetRcvBufSize, a.receiveBuffer);
    again("SegmentSize", &QemuTcpSocket::SetSegSize, a.segmentSize);
    again("InitialSlowStartThreshold", &QemuTcpSocket::SetInitialSSThresh, a.initialSsthresh);
    again("InitialCwnd", &QemuTcpSocket::SetInitialCwnd, a.initialCwnd);
    again("ConnTimeout", &QemuTcpSocket::SetConnTimeout, a.connectTimeout);
    again("ConnCount", &QemuTcpSocket::SetSynRetries, a.synRetries);
    again("DataRetries", &QemuTcpSocket::SetDataRetries, a.dataRetries);
    again("DelAckTimeout", &QemuTcpSocket::SetDelAckTimeout, a.delayedAckTimeout);
    again("DelAckCount", &QemuTcpSocket::SetDelAckMaxCount, a.delayedAckCount);
    again("TcpNoDelay", &QemuTcpSocket::SetTcpNoDelay, a.noDelay);
    again("PersistTimeout", &QemuTcpSocket::SetPersistTimeout, a.persistTimeout);
    const auto control =
        a.congestionControl.empty() ? DefaultCongestionControl() : a.congestionControl;
    if (!control.empty())
    {
        SetCongestionControl(control);
    }
}

void
QemuTcpSocket::Ignore(const char* attribute, const char* instead) const
{
    if (m_constructed)
    {
        NS_LOG_WARN("the attribute " << attribute << " has no effect on a guest's socket; "
                                     << instead);
    }
}

void
QemuTcpSocket::SetCongestionControl(std::string name)
{
    m_attributes.congestionControl = name;
    if (m_constructed && !name.empty())
    {
        SetOption(IPPROTO_TCP, TCP_CONGESTION, {name.begin(), name.end()});
    }
}

std::string
QemuTcpSocket::GetCongestionControl() const
{
    return m_attributes.congestionControl;
}

void
QemuTcpSocket::SetSndBufSize(uint32_t size)
{
    m_attributes.sendBuffer = size;
    if (m_constructed)
    {
        /* With force, or net.core.wmem_max would cut it. */
        SetOption(SOL_SOCKET, SO_SNDBUFFORCE, static_cast<int>(size));
    }
}

uint32_t
QemuTcpSocket::GetSndBufSize() const
{
    return m_attributes.sendBuffer;
}

void
QemuTcpSocket::SetRcvBufSize(uint32_t size)
{
    m_attributes.receiveBuffer = size;
    if (m_constructed)
    {
        SetOption(SOL_SOCKET, SO_RCVBUFFORCE, static_cast<int>(size));
    }
}

uint32_t
QemuTcpSocket::GetRcvBufSize() const
{
    return m_attributes.receiveBuffer;
}

void
QemuTcpSocket::SetSegSize(uint32_t size)
{
    m_attributes.segmentSize = size;
    if (m_constructed)
    {
        SetOption(IPPROTO_TCP, TCP_MAXSEG, static_cast<int>(size));
    }
}

uint32_t
QemuTcpSocket::GetSegSize() const
{
    return m_attributes.segmentSize;
}

void
QemuTcpSocket::SetInitialSSThresh(uint32_t threshold)
{
    m_attributes.initialSsthresh = threshold;
    Ignore("InitialSlowStartThreshold", "the kernel begins without one");
}

uint32_t
QemuTcpSocket::GetInitialSSThresh() const
{
    return m_attributes.initialSsthresh;
}

void
QemuTcpSocket::SetInitialCwnd(uint32_t cwnd)
{
    m_attributes.initialCwnd = cwnd;
    if (m_constructed)
    {
        m_initialWindow = cwnd;
    }
}

uint32_t
QemuTcpSocket::GetInitialCwnd() const
{
    return m_attributes.initialCwnd;
}

void
QemuTcpSocket::SetConnTimeout(Time timeout)
{
    m_attributes.connectTimeout = timeout;
    Ignore("ConnTimeout", "the kernel repeats a SYN after 1 s");
}

Time
QemuTcpSocket::GetConnTimeout() const
{
    return m_attributes.connectTimeout;
}

void
QemuTcpSocket::SetSynRetries(uint32_t count)
{
    m_attributes.synRetries = count;
    if (m_constructed)
    {
        SetOption(IPPROTO_TCP, TCP_SYNCNT, static_cast<int>(count));
    }
}

uint32_t
QemuTcpSocket::GetSynRetries() const
{
    return m_attributes.synRetries;
}

void
QemuTcpSocket::SetDataRetries(uint32_t retries)
{
    m_attributes.dataRetries = retries;
    Ignore("DataRetries", "set the sysctl net.ipv4.tcp_retries2");
}

uint32_t
QemuTcpSocket::GetDataRetries() const
{
    return m_attributes.dataRetries;
}

void
QemuTcpSocket::SetDelAckTimeout(Time timeout)
{
    m_attributes.delayedAckTimeout = timeout;
    Ignore("DelAckTimeout", "the kernel delays between 40 and 200 ms");
}

Time
QemuTcpSocket::GetDelAckTimeout() const
{
    return m_attributes.delayedAckTimeout;
}

void
QemuTcpSocket::SetDelAckMaxCount(uint32_t count)
{
    m_attributes.delayedAckCount = count;
    Ignore("DelAckCount", "the kernel acknowledges every second segment");
}

uint32_t
QemuTcpSocket::GetDelAckMaxCount() const
{
    return m_attributes.delayedAckCount;
}

void
QemuTcpSocket::SetTcpNoDelay(bool noDelay)
{
    m_attributes.noDelay = noDelay;
    if (m_constructed)
    {
        SetOption(IPPROTO_TCP, TCP_NODELAY, noDelay ? 1 : 0);
    }
}

bool
QemuTcpSocket::GetTcpNoDelay() const
{
    return m_attributes.noDelay;
}

void
QemuTcpSocket::SetPersistTimeout(Time timeout)
{
    m_attributes.persistTimeout = timeout;
    Ignore("PersistTimeout", "the kernel probes after its retransmission timeout");
}

Time
QemuTcpSocket::GetPersistTimeout() const
{
    return m_attributes.persistTimeout;
}

} // namespace ns3
