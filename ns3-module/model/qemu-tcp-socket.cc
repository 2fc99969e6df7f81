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

/* The table at the top of the header. */
using State = QemuTcpSocket::State;

struct Row
{
    State state;
    const char* name;
    std::vector<State> next;
};

const std::array<Row, QemuTcpSocket::STATES> TABLE{{
    {State::IDLE, "IDLE", {State::LISTENING, State::CONNECTING, State::ESTABLISHED, State::ENDED}},
    {State::LISTENING, "LISTENING", {State::IDLE, State::ENDED}},
    {State::CONNECTING,
     "CONNECTING",
     {State::IDLE,
      State::CONNECTING_FIN,
      State::CONNECTING_CLOSED,
      State::ESTABLISHED,
      State::ENDED}},
    {State::CONNECTING_FIN,
     "CONNECTING_FIN",
     {State::CONNECTING_CLOSED, State::ESTABLISHED_FIN, State::ENDED}},
    {State::CONNECTING_CLOSED, "CONNECTING_CLOSED", {State::ESTABLISHED_CLOSED, State::ENDED}},
    {State::ESTABLISHED,
     "ESTABLISHED",
     {State::ESTABLISHED_FIN, State::ESTABLISHED_CLOSED, State::CLOSE_WAIT, State::ENDED}},
    {State::ESTABLISHED_FIN,
     "ESTABLISHED_FIN",
     {State::FIN_WAIT, State::ESTABLISHED_CLOSED, State::CLOSE_WAIT_FIN, State::ENDED}},
    {State::ESTABLISHED_CLOSED, "ESTABLISHED_CLOSED", {State::ENDED}},
    {State::FIN_WAIT, "FIN_WAIT", {State::DRAINING, State::ENDED}},
    {State::CLOSE_WAIT,
     "CLOSE_WAIT",
     {State::CLOSE_WAIT_FIN, State::CLOSE_WAIT_CLOSED, State::ENDED}},
    {State::CLOSE_WAIT_FIN,
     "CLOSE_WAIT_FIN",
     {State::DRAINING, State::CLOSE_WAIT_CLOSED, State::ENDED}},
    {State::CLOSE_WAIT_CLOSED, "CLOSE_WAIT_CLOSED", {State::ENDED}},
    {State::DRAINING, "DRAINING", {State::ENDED}},
    {State::ENDED, "ENDED", {}},
}};

const Row&
RowOf(State state)
{
    return TABLE.at(static_cast<size_t>(state));
}

/* What the peer's end makes of a state; the other states stay. */
State
AfterPeersEnd(State state)
{
    switch (state)
    {
    case State::ESTABLISHED:
        return State::CLOSE_WAIT;
    case State::ESTABLISHED_FIN:
        return State::CLOSE_WAIT_FIN;
    case State::FIN_WAIT:
        return State::DRAINING;
    default:
        return state;
    }
}

/* What ShutdownSend makes of a state. */
State
AfterShutdown(State state)
{
    switch (state)
    {
    case State::CONNECTING:
        return State::CONNECTING_FIN;
    case State::ESTABLISHED:
        return State::ESTABLISHED_FIN;
    case State::CLOSE_WAIT:
        return State::CLOSE_WAIT_FIN;
    default:
        return state;
    }
}

/* What Close makes of a state in which something is unsent. */
State
AfterClose(State state)
{
    switch (state)
    {
    case State::CONNECTING:
    case State::CONNECTING_FIN:
        return State::CONNECTING_CLOSED;
    case State::CLOSE_WAIT:
    case State::CLOSE_WAIT_FIN:
        return State::CLOSE_WAIT_CLOSED;
    default:
        return State::ESTABLISHED_CLOSED;
    }
}

/* What an established connection makes of a state in which it is waited for. */
State
AfterConnecting(State state)
{
    switch (state)
    {
    case State::CONNECTING_FIN:
        return State::ESTABLISHED_FIN;
    case State::CONNECTING_CLOSED:
        return State::ESTABLISHED_CLOSED;
    default:
        return State::ESTABLISHED;
    }
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
                          MakeDoubleChecker<double>(0))
            .AddTraceSource("SocketState",
                            "What the application may do and the guest has said: see the table "
                            "in qemu-tcp-socket.h.",
                            MakeTraceSourceAccessor(&QemuTcpSocket::m_socketStateTrace),
                            "ns3::QemuTcpSocket::StateTracedCallback"));
    return tid;
}

QemuTcpSocket::QemuTcpSocket()
{
    NS_LOG_FUNCTION(this);
}

QemuTcpSocket::QemuTcpSocket(const QemuTcpSocket& listener)
    : QemuTcpOptions(listener),
      TcpInfoTracer(listener)
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
    if (m_state != State::ENDED)
    {
        Enter(State::ENDED);
    }
    QemuTcpOptions::DoDispose();
}

Socket::SocketType
QemuTcpSocket::GetSocketType() const
{
    return NS3_SOCK_STREAM;
}

/* ---- the states ---- */

std::ostream&
operator<<(std::ostream& out, QemuTcpSocket::State state)
{
    return out << RowOf(state).name;
}

bool
QemuTcpSocket::IsTransition(State from, State to)
{
    const auto& next = RowOf(from).next;
    return std::find(next.begin(), next.end(), to) != next.end();
}

QemuTcpSocket::State
QemuTcpSocket::GetState() const
{
    return m_state;
}

void
QemuTcpSocket::Enter(State next)
{
    NS_LOG_FUNCTION(this << m_state << next);
    if (!IsTransition(m_state, next))
    {
        throw std::logic_error(std::string("a TCP socket cannot go from ") + RowOf(m_state).name +
                               " to " + RowOf(next).name);
    }
    const State before = m_state;
    m_state = next;
    m_socketStateTrace(before, next);
}

bool
QemuTcpSocket::IsConnecting() const
{
    return m_state >= State::CONNECTING && m_state <= State::CONNECTING_CLOSED;
}

bool
QemuTcpSocket::IsConnected() const
{
    return m_state >= State::ESTABLISHED && m_state <= State::DRAINING;
}

/* The guest has said so, whether the application has been told or not. */
bool
QemuTcpSocket::HasPeerEnded() const
{
    return (m_told & RELAY_HANGUP) || (m_state >= State::CLOSE_WAIT && m_state <= State::DRAINING);
}

bool
QemuTcpSocket::MaySend() const
{
    return (m_state == State::CONNECTING || m_state == State::ESTABLISHED ||
            m_state == State::CLOSE_WAIT) &&
           !m_shutdownSend;
}

bool
QemuTcpSocket::IsClosed() const
{
    return m_state == State::CONNECTING_CLOSED || m_state == State::ESTABLISHED_CLOSED ||
           m_state == State::CLOSE_WAIT_CLOSED || m_state == State::ENDED;
}

bool
QemuTcpSocket::IsOver() const
{
    return m_state == State::ENDED; // a closed one may still have something to send
}

bool
QemuTcpSocket::Open(uint16_t family)
{
    return OpenAs(family, SOCK_STREAM, 0);
}

/* ---- the beginning ---- */

bool
QemuTcpSocket::ConnectGuest()
{
    if (!Open(m_peer->address.family) || !Ask([this](ns3qemu::RelayClient& relay) {
            if (m_initialWindow > 0)
            {
                ns3qemu::SetInitialWindow(relay, m_peer->address, m_initialWindow);
            }
            relay.Watch(m_handle, RELAY_READABLE | RELAY_WRITABLE);
            relay.Connect(m_handle, *m_peer);
        }))
    {
        m_peer.reset();
        return false;
    }
    m_local.reset();
    StartTracing(m_guest, m_handle);
    return true;
}

int
QemuTcpSocket::Connect(const Address& address)
{
    NS_LOG_FUNCTION(this << address);
    if (IsClosed() || !m_guest)
    {
        return Fail(ERROR_BADF);
    }
    if (m_state != State::IDLE)
    {
        return Fail(m_state == State::LISTENING ? ERROR_OPNOTSUPP : ERROR_ISCONN);
    }
    try
    {
        m_peer = ToGuestEndpoint(address, "Remote");
    }
    catch (const std::invalid_argument&)
    {
        return Fail(ERROR_INVAL);
    }
    Enter(State::CONNECTING);
    if (IsEarly())
    {
        m_family = m_peer->address.family;
        WhenRunning([this]() {
            if (!ConnectGuest())
            {
                m_error = GetGuestErrno();
                ServeSoon();
            }
        });
        return 0;
    }
    if (!ConnectGuest())
    {
        Enter(State::IDLE);
        return -1;
    }
    return 0;
}

int
QemuTcpSocket::Listen()
{
    NS_LOG_FUNCTION(this);
    if (IsClosed() || !m_guest)
    {
        return Fail(ERROR_BADF);
    }
    if (m_state != State::IDLE)
    {
        return Fail(ERROR_INVAL);
    }
    Enter(State::LISTENING);
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
        Enter(State::IDLE);
        return -1;
    }
    return 0;
}

void
QemuTcpSocket::BeginConnection(uint32_t handle, const ns3qemu::GuestEndpoint& peer)
{
    Adopt(handle, peer.address.family);
    m_peer = peer;
    Enter(State::ESTABLISHED);
    m_told = RELAY_WRITABLE; // there is room, of which the application is to be told
    StartTracing(m_guest, m_handle);
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
    if (!accepted->IsOver())
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
    if ((ready.conditions & RELAY_READABLE) && m_input != Input::END)
    {
        m_input = Input::MORE;
        m_told |= RELAY_READABLE;
        serve = true;
    }
    if (ready.conditions & RELAY_WRITABLE)
    {
        if (IsConnecting())
        {
            m_told |= RELAY_WRITABLE;
            serve = true;
        }
        else if (m_full)
        {
            m_full = false;
            serve = true;
        }
    }
    if ((ready.conditions & RELAY_HANGUP) && !HasPeerEnded())
    {
        m_told |= RELAY_HANGUP;
        serve = true;
    }
    if (serve)
    {
        ServeSoon();
    }
}

bool
QemuTcpSocket::TakeTold(uint32_t condition)
{
    const bool told = m_told & condition;
    m_told &= ~condition;
    return told;
}

void
QemuTcpSocket::Serve()
{
    if (m_state == State::LISTENING)
    {
        ServeListener();
    }
    else if (IsConnecting())
    {
        ServeConnecting();
    }
    else if (IsConnected())
    {
        ServeConnection();
    }
}

void
QemuTcpSocket::ServeListener()
{
    if (!TakeTold(RELAY_READABLE))
    {
        return;
    }
    m_input = Input::NONE;
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
    const bool refused = (m_told & RELAY_HANGUP) && !(m_told & RELAY_WRITABLE);
    if (m_error != 0 || refused)
    {
        const bool closed = IsClosed();
        FailInGuest(m_error != 0 ? m_error : ECONNRESET);
        Sample();
        End();
        if (!closed)
        {
            NotifyConnectionFailed();
        }
        return;
    }
    if (!TakeTold(RELAY_WRITABLE))
    {
        return;
    }
    Enter(AfterConnecting(m_state));
    Sample();
    if (!IsClosed())
    {
        NotifyConnectionSucceeded();
    }
    if (MaySend())
    {
        NotifySend(GetTxAvailable());
    }
    ServeConnection();
}

void
QemuTcpSocket::ServeConnection()
{
    const uint32_t sent = Flush();
    if (sent > 0 && !IsClosed())
    {
        NotifyDataSent(sent);
    }
    const bool accepted = TakeTold(RELAY_WRITABLE);
    if ((sent > 0 || accepted) && MaySend())
    {
        NotifySend(GetTxAvailable());
    }
    FinishSending();
    if (!IsConnected())
    {
        return;
    }
    if (HasPeerEnded() && m_error == 0 && !IsClosed() && !m_shutdownReceive)
    {
        Prefetch();
    }
    if (TakeTold(RELAY_READABLE) && (m_input == Input::MORE || !m_read.empty()) && !IsClosed() &&
        !m_shutdownReceive)
    {
        NotifyDataRecv();
    }
    if (!IsConnected())
    {
        return;
    }
    if (m_error != 0)
    {
        const int error = m_error;
        const bool closed = IsClosed();
        Sample();
        End();
        FailInGuest(error);
        if (!closed)
        {
            NotifyErrorClose();
        }
        return;
    }
    if (!IsClosed() && TakeTold(RELAY_HANGUP))
    {
        Enter(AfterPeersEnd(m_state));
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
QemuTcpSocket::GetTxAvailable() const
{
    const uint32_t capacity = GetSndBufSize();
    if (m_state == State::IDLE)
    {
        return capacity;
    }
    const uint32_t queued = GetQueued();
    return MaySend() && queued < capacity ? capacity - queued : 0;
}

int
QemuTcpSocket::Send(Ptr<Packet> packet, uint32_t flags)
{
    NS_LOG_FUNCTION(this << packet << flags);
    if (m_shutdownSend)
    {
        return Fail(ERROR_SHUTDOWN);
    }
    if (!MaySend())
    {
        return Fail(ERROR_NOTCONN);
    }
    const uint32_t size = packet->GetSize();
    const uint32_t room = GetTxAvailable();
    if (size > room && (room == 0 || size <= GetSndBufSize()))
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
    if (IsConnected() && !m_full)
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
    while (IsConnected() && IsOpen() && !m_full && m_error == 0 && GetQueued() > 0)
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
    /* Once it is most of it, so that no byte is moved more than once on average. */
    if (m_sendAt >= PIECE && m_sendAt >= m_sendBuffer.size() / 2)
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
    if (GetQueued() > 0)
    {
        return;
    }
    const bool allRead = m_input == Input::END || m_shutdownReceive;
    switch (m_state)
    {
    case State::ESTABLISHED_CLOSED:
        End();
        NotifyNormalClose();
        break;
    case State::CLOSE_WAIT_CLOSED: // of which the application has been told
        End();
        break;
    case State::ESTABLISHED_FIN:
    case State::CLOSE_WAIT_FIN:
        if (m_state == State::CLOSE_WAIT_FIN && allRead)
        {
            End(); // and with it the FIN
            break;
        }
        Enter(m_state == State::ESTABLISHED_FIN ? State::FIN_WAIT : State::DRAINING);
        Ask([this](ns3qemu::RelayClient& relay) { relay.Shutdown(m_handle, SHUT_WR); });
        Sample();
        break;
    case State::CLOSE_WAIT:
        if (m_shutdownSend && allRead)
        {
            End();
        }
        break;
    case State::DRAINING:
        if (allRead)
        {
            End();
        }
        break;
    default:
        break;
    }
}

/* ---- receiving ---- */

std::vector<uint8_t>
QemuTcpSocket::ReceiveFromGuest(uint32_t length, uint32_t flags) const
{
    std::vector<uint8_t> data;
    const uint32_t wanted = std::min(length, PIECE);
    Ask([&](ns3qemu::RelayClient& relay) {
        m_input = Input::NONE; // the guest tells again if there is more
        data = relay.Receive(m_handle, wanted, flags).data;
        if (data.empty() && wanted > 0)
        {
            m_input = Input::END;
        }
    });
    return data;
}

/* Whether there is anything before the end: of the end alone, no data is told. */
void
QemuTcpSocket::Prefetch()
{
    if (m_read.empty() && m_input == Input::MORE)
    {
        m_read = ReceiveFromGuest(PIECE, 0);
    }
}

uint32_t
QemuTcpSocket::GetRxAvailable() const
{
    if (m_input != Input::MORE || !IsOpen())
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
    if (IsClosed() || m_state == State::IDLE || m_state == State::LISTENING)
    {
        Fail(IsClosed() ? ERROR_BADF : ERROR_NOTCONN);
        return nullptr;
    }
    SyncOptions();
    if (m_read.empty() && m_input == Input::MORE && maxSize > 0)
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
        if (m_input == Input::END)
        {
            if (HasPeerEnded())
            {
                ServeSoon(); // it may have waited for this
            }
            return Create<Packet>();
        }
        if (IsConnected())
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
    if (packet && m_peer)
    {
        from = ToAddress(*m_peer);
    }
    return packet;
}

/* ---- the end ---- */

void
QemuTcpSocket::End()
{
    NS_LOG_FUNCTION(this);
    Enter(State::ENDED);
    m_sendBuffer.clear();
    m_sendAt = 0;
    StopTracing();
    CloseGuest();
}

int
QemuTcpSocket::Close()
{
    NS_LOG_FUNCTION(this);
    if (IsClosed())
    {
        return Fail(ERROR_BADF);
    }
    if (GetQueued() > 0)
    {
        Enter(AfterClose(m_state));
        if (IsConnected())
        {
            ServeSoon();
        }
        return 0; // it ends when all of that is with the guest
    }
    if (m_state == State::LISTENING || m_state == State::ESTABLISHED ||
        m_state == State::ESTABLISHED_FIN || m_state == State::FIN_WAIT)
    {
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
    const State next = AfterShutdown(m_state);
    if (next != m_state)
    {
        Enter(next);
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
    if (HasPeerEnded())
    {
        ServeSoon(); // it may have waited for this
    }
    return 0;
}

} // namespace ns3
