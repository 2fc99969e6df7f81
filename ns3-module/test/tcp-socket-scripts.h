/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TEST_TCP_SOCKET_SCRIPTS_H
#define NS3_QEMU_TEST_TCP_SOCKET_SCRIPTS_H

#include "../model/ns3-versions.h"
#include "../model/qemu-socket-factory.h"
#include "../model/qemu-tcp-socket.h"
#include "scripted-guest.h"

#include "ns3/inet-socket-address.h"
#include "ns3/packet.h"
#include "ns3/simulator.h"

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

namespace ns3
{

/** The states of QemuTcpSocket by their names alone. */
namespace tcp_states
{
constexpr auto IDLE = QemuTcpSocket::State::IDLE;
constexpr auto LISTENING = QemuTcpSocket::State::LISTENING;
constexpr auto CONNECTING = QemuTcpSocket::State::CONNECTING;
constexpr auto CONNECTING_FIN = QemuTcpSocket::State::CONNECTING_FIN;
constexpr auto CONNECTING_CLOSED = QemuTcpSocket::State::CONNECTING_CLOSED;
constexpr auto ESTABLISHED = QemuTcpSocket::State::ESTABLISHED;
constexpr auto ESTABLISHED_FIN = QemuTcpSocket::State::ESTABLISHED_FIN;
constexpr auto ESTABLISHED_CLOSED = QemuTcpSocket::State::ESTABLISHED_CLOSED;
constexpr auto FIN_WAIT = QemuTcpSocket::State::FIN_WAIT;
constexpr auto CLOSE_WAIT = QemuTcpSocket::State::CLOSE_WAIT;
constexpr auto CLOSE_WAIT_FIN = QemuTcpSocket::State::CLOSE_WAIT_FIN;
constexpr auto CLOSE_WAIT_CLOSED = QemuTcpSocket::State::CLOSE_WAIT_CLOSED;
constexpr auto DRAINING = QemuTcpSocket::State::DRAINING;
constexpr auto ENDED = QemuTcpSocket::State::ENDED;
} // namespace tcp_states

/* Of Socket::SocketErrno, in its order. */
inline const std::vector<std::string> SOCKET_ERRORS{"NOTERROR",
                                                    "ISCONN",
                                                    "NOTCONN",
                                                    "MSGSIZE",
                                                    "AGAIN",
                                                    "SHUTDOWN",
                                                    "OPNOTSUPP",
                                                    "AFNOSUPPORT",
                                                    "INVAL",
                                                    "BADF",
                                                    "NOROUTETOHOST",
                                                    "NODEV",
                                                    "ADDRNOTAVAIL",
                                                    "ADDRINUSE"};

/** A node with a scripted guest, and one socket of it under test; what happens is noted. */
class TcpSocketScene
{
  public:
    explicit TcpSocketScene(bool early = false)
        : m_node(CreateObject<Node>()),
          m_guest(CreateObject<ScriptedGuest>())
    {
        m_guest->m_early = early;
        m_guest->m_running = !early;
        auto factory = CreateObject<QemuTcpSocketFactory>();
        m_node->AggregateObject(m_guest);
        m_node->AggregateObject(factory);
        m_socket = DynamicCast<QemuTcpSocket>(factory->CreateSocket());
        Observe(m_socket);
        m_socket->SetConnectCallback(Event("connected"), Event("failed"));
        m_socket->SetAcceptCallback(
            MakeFunctorCallback<bool, Ptr<Socket>, const Address&>(
                [this](Ptr<Socket>, const Address&) { return m_willing; }),
            MakeFunctorCallback<void, Ptr<Socket>, const Address&>(
                [this](Ptr<Socket> accepted, const Address&) { Accept(accepted); }));
    }

    ~TcpSocketScene()
    {
        m_observed = nullptr;
        m_socket = nullptr;
        m_listener = nullptr;
        Simulator::Destroy();
    }

    /* ---- what the application does ---- */

    void Note(const std::string& what)
    {
        m_notes += (m_notes.empty() ? "" : " ") + what;
    }

    /** Note a call's result or, if it has failed, its errno in ns-3. */
    void Call(int result)
    {
        Note(result >= 0 ? std::to_string(result) : SOCKET_ERRORS.at(m_socket->GetErrno()));
    }

    int Connect()
    {
        return m_socket->Connect(InetSocketAddress(Ipv4Address("10.0.0.9"), 80));
    }

    int Send(const std::string& text)
    {
        return m_socket->Send(Create<Packet>(reinterpret_cast<const uint8_t*>(text.data()),
                                             static_cast<uint32_t>(text.size())),
                              0);
    }

    /** Note what is received. */
    void Receive(uint32_t size = UINT32_MAX)
    {
        const auto packet = m_socket->Recv(size, 0);
        if (!packet)
        {
            Call(-1);
            return;
        }
        std::string text(packet->GetSize(), '\0');
        packet->CopyData(reinterpret_cast<uint8_t*>(text.data()), packet->GetSize());
        Note("'" + text + "'");
    }

    /** Send more than the guest takes, so that something is unsent. */
    void Fill()
    {
        m_guest->m_room = 2;
        Send("abcde");
        Simulator::Run();
    }

    /* ---- what the guest does ---- */

    /** Tell something of the socket under test, and let it be served. */
    void Tell(uint32_t conditions, int32_t error = 0)
    {
        m_guest->Tell(m_socket->GetHandle(), conditions, error);
        Simulator::Run();
    }

    void Room()
    {
        m_guest->m_room = UINT32_MAX;
        Tell(RELAY_WRITABLE);
    }

    /** The peer has ended its stream, after this. */
    void PeersEnd(const std::string& before = "")
    {
        if (!before.empty())
        {
            m_guest->m_stream.push_back(before);
        }
        m_guest->m_stream.emplace_back();
        Tell(RELAY_READABLE | RELAY_HANGUP);
    }

    void Reset()
    {
        Tell(RELAY_ERROR, ECONNRESET);
    }

    /* ---- how to begin ---- */

    void Establish()
    {
        Connect();
        Tell(RELAY_WRITABLE);
        m_notes.clear();
    }

    /** The socket under test is one that a listening socket accepts. */
    void BecomeAccepted()
    {
        m_listener = m_socket;
        m_socket->Bind();
        m_socket->Listen();
        m_path.clear();
        m_guest->m_connections = 1;
        m_guest->Tell(m_socket->GetHandle(), RELAY_READABLE);
        Simulator::Run();
    }

    Ptr<Node> m_node;
    Ptr<ScriptedGuest> m_guest;
    Ptr<QemuTcpSocket> m_socket;              //!< under test
    Ptr<QemuTcpSocket> m_listener;            //!< which has accepted it
    std::vector<QemuTcpSocket::State> m_path; //!< the states that it has entered
    std::string m_notes;                      //!< what has happened
    bool m_willing{true};                     //!< to accept a connection
    std::function<void()> m_inAccept;         //!< called when one is accepted
    std::string m_closeIn;                    //!< the callback in which the application closes

  private:
    using State = QemuTcpSocket::State;

    void Observe(Ptr<QemuTcpSocket> socket)
    {
        m_observed = socket;
        socket->TraceConnectWithoutContext(
            "SocketState",
            MakeFunctorCallback<void, State, State>([this, socket](State, State now) {
                if (m_observed == socket)
                {
                    m_path.push_back(now);
                }
            }));
        socket->SetCloseCallbacks(Event("closed"), Event("error"));
        socket->SetRecvCallback(Event("data"));
        socket->SetDataSentCallback(
            MakeFunctorCallback<void, Ptr<Socket>, uint32_t>([this](Ptr<Socket>, uint32_t size) {
                Note("sent:" + std::to_string(size));
                CloseIf("sent");
            }));
        socket->SetSendCallback(
            MakeFunctorCallback<void, Ptr<Socket>, uint32_t>([this](Ptr<Socket>, uint32_t size) {
                Note("room:" + std::to_string(size));
                CloseIf("room");
            }));
    }

    void Accept(Ptr<Socket> accepted)
    {
        m_socket = DynamicCast<QemuTcpSocket>(accepted);
        m_path.push_back(m_socket->GetState()); // which it has entered before it was to be had
        Observe(m_socket);
        Note("accepted");
        if (m_inAccept)
        {
            m_inAccept();
        }
    }

    Callback<void, Ptr<Socket>> Event(const std::string& what)
    {
        return MakeFunctorCallback<void, Ptr<Socket>>([this, what](Ptr<Socket> socket) {
            const int error = DynamicCast<QemuTcpSocket>(socket)->GetGuestErrno();
            const bool bad = what == "failed" || what == "error";
            Note(bad ? what + ":" + std::to_string(error) : what);
            CloseIf(what);
        });
    }

    void CloseIf(const std::string& what)
    {
        if (m_closeIn == what)
        {
            Call(m_socket->Close());
        }
    }

    Ptr<QemuTcpSocket> m_observed;
};

/** What happens to a socket, which states it has then entered, and what its application noted. */
struct TcpSocketScript
{
    const char* name;
    std::function<void(TcpSocketScene&)> run;
    std::vector<QemuTcpSocket::State> path;
    std::string notes;
    bool early{false}; //!< whether it begins before the machine runs
};

/** A script for each way through the table in qemu-tcp-socket.h, by what they are about. */
std::vector<TcpSocketScript> ConnectingScripts();
std::vector<TcpSocketScript> ListeningScripts();
std::vector<TcpSocketScript> WeEndFirstScripts();
std::vector<TcpSocketScript> PeerEndsFirstScripts();
std::vector<TcpSocketScript> ResetScripts();
std::vector<TcpSocketScript> SendingScripts();
std::vector<TcpSocketScript> DisposalScripts();

} // namespace ns3

#endif /* NS3_QEMU_TEST_TCP_SOCKET_SCRIPTS_H */
