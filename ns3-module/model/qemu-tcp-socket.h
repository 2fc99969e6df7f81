/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The states of a QemuTcpSocket
 * =============================
 * They say what its application may do and what its guest has said, where RFC 9293's, which the
 * trace source State shows, say what has crossed the network. In a name, _FIN is: ShutdownSend was
 * called, and data or the FIN itself is still to be handed to the guest; _CLOSED is: Close was
 * called, and data is still to be handed to the guest. "Unsent" is data that Send has taken and
 * that has not been handed over, "sent" what has.
 *
 *   IDLE                    neither connected nor listening; Bind, once
 *     -> LISTENING            Listen
 *     -> CONNECTING           Connect
 *     -> ESTABLISHED          accepted: it is the fork of a listening socket
 *     -> ENDED                Close
 *   LISTENING               each connection is offered to the application, one in an event
 *     -> IDLE                 the guest refuses Listen
 *     -> ENDED                Close [n]
 *   CONNECTING              Send takes data, none is handed over
 *     -> IDLE                 the guest refuses Connect at once
 *     -> CONNECTING_FIN       ShutdownSend
 *     -> CONNECTING_CLOSED    Close, with data unsent
 *     -> ESTABLISHED          connected [c]
 *     -> ENDED                Close; failure [f]
 *   CONNECTING_FIN          Send is refused
 *     -> CONNECTING_CLOSED    Close, with data unsent
 *     -> ESTABLISHED_FIN      connected [c]
 *     -> ENDED                Close; failure [f]
 *   CONNECTING_CLOSED       the application is told nothing
 *     -> ESTABLISHED_CLOSED   connected
 *     -> ENDED                failure
 *   ESTABLISHED             Send and Recv; the guest tells of data, and of room
 *     -> ESTABLISHED_FIN      ShutdownSend
 *     -> ESTABLISHED_CLOSED   Close, with data unsent
 *     -> CLOSE_WAIT           the peer's end [n]
 *     -> ENDED                Close [n]; error [e]
 *   ESTABLISHED_FIN         Recv; the guest tells of data, and of room
 *     -> FIN_WAIT             all is sent, and then the FIN
 *     -> ESTABLISHED_CLOSED   Close, with data unsent
 *     -> CLOSE_WAIT_FIN       the peer's end [n]
 *     -> ENDED                Close [n]; error [e]
 *   ESTABLISHED_CLOSED      the guest tells of room
 *     -> ENDED                all is sent [n]; error
 *   FIN_WAIT                Recv; the guest tells of data
 *     -> DRAINING             the peer's end [n]
 *     -> ENDED                Close [n]; error [e]
 *   CLOSE_WAIT              Send, and Recv of what is left; the guest tells of room
 *     -> CLOSE_WAIT_FIN       ShutdownSend
 *     -> CLOSE_WAIT_CLOSED    Close, with data unsent
 *     -> ENDED                Close; error [e]; all is read, where Send was shut down before there
 *                             was a connection: no FIN was asked for, the end brings it about
 *   CLOSE_WAIT_FIN          Recv of what is left; the guest tells of room
 *     -> DRAINING             all is sent, and then the FIN
 *     -> CLOSE_WAIT_CLOSED    Close, with data unsent
 *     -> ENDED                Close; error [e]; all is sent and read
 *   CLOSE_WAIT_CLOSED       the guest tells of room
 *     -> ENDED                all is sent; error
 *   DRAINING                both have ended; Recv of what is left
 *     -> ENDED                Close; error [e]; all is read
 *   ENDED                   the guest's socket is closed; a call fails, or does nothing
 *
 *   [c] [f] [n] [e]: the callback that the application gets, in an event of its own: connection
 *   succeeded, connection failed, normal close, error close. What is not wanted any more, after
 *   ShutdownRecv, counts as read. A socket that is disposed of goes from any state to ENDED.
 *
 *   call, and its errno  IDLE      LISTENING  CONNECTING  ESTABLISHED..DRAINING  _CLOSED, ENDED
 *   -------------------  --------  ---------  ----------  ---------------------  --------------
 *   Bind, not yet bound  -         guest's    guest's     guest's                BADF
 *   Bind, bound          INVAL     INVAL      INVAL       INVAL                  BADF
 *   Connect              -         OPNOTSUPP  ISCONN      ISCONN                 BADF
 *   Listen               -         INVAL      INVAL       INVAL                  BADF
 *   Send                 NOTCONN   NOTCONN    - or AGAIN  - or AGAIN             NOTCONN
 *   Send, shut down      SHUTDOWN  SHUTDOWN   SHUTDOWN    SHUTDOWN               SHUTDOWN
 *   Recv                 NOTCONN   NOTCONN    nothing     - or AGAIN             BADF
 *   Close                -         -          -           -                      BADF
 */
#ifndef NS3_QEMU_TCP_SOCKET_H
#define NS3_QEMU_TCP_SOCKET_H

#include "qemu-tcp-options.h"
#include "tcp-info-tracer.h"

#include "ns3/traced-callback.h"

#include <cstdint>
#include <ostream>
#include <vector>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief An ns3::TcpSocket on a TCP socket of the guest.
 *
 * What Send takes goes into a buffer of SndBufSize bytes in front of the guest's, from which it is
 * handed to the guest in large pieces, at the same simulated time, as long as the guest's kernel
 * has room; so many small Sends are few requests. Send takes a packet whole or not at all
 * (ERROR_AGAIN), as TcpSocketBase does; only of a packet that is larger than the buffer it takes
 * what fits. What is in the buffer when the socket is closed is still sent.
 */
class QemuTcpSocket : public QemuTcpOptions, public TcpInfoTracer
{
  public:
    /** See the table at the top of this file. */
    enum class State
    {
        IDLE,
        LISTENING,
        CONNECTING,
        CONNECTING_FIN,
        CONNECTING_CLOSED,
        ESTABLISHED,
        ESTABLISHED_FIN,
        ESTABLISHED_CLOSED,
        FIN_WAIT,
        CLOSE_WAIT,
        CLOSE_WAIT_FIN,
        CLOSE_WAIT_CLOSED,
        DRAINING,
        ENDED,
    };

    /** How many states there are. */
    static constexpr int STATES = static_cast<int>(State::ENDED) + 1;

    /** @return whether the table says that a socket may go from one state to the other */
    static bool IsTransition(State from, State to);

    /**
     * TracedCallback signature of a transition.
     * @param before the state that it leaves
     * @param now the state in which it is
     */
    typedef void (*StateTracedCallback)(State before, State now);

    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuTcpSocket();
    /** A connection that a listening socket accepts. */
    QemuTcpSocket(const QemuTcpSocket& listener);
    ~QemuTcpSocket() override;

    /** @return in which state it is */
    State GetState() const;

    // Inherited from Socket; the overloads that are not virtual as well
    using Socket::Recv;
    using Socket::RecvFrom;
    using Socket::Send;
    using Socket::SendTo;
    SocketType GetSocketType() const override;
    int Connect(const Address& address) override;
    int Listen() override;
    int Close() override;
    int ShutdownSend() override;
    int ShutdownRecv() override;
    /** @return how much Send takes now, in bytes */
    uint32_t GetTxAvailable() const override;
    /** @return how much can be read now, in bytes */
    uint32_t GetRxAvailable() const override;
    int Send(Ptr<Packet> packet, uint32_t flags) override;
    int SendTo(Ptr<Packet> packet, uint32_t flags, const Address& to) override;
    Ptr<Packet> Recv(uint32_t maxSize, uint32_t flags) override;
    Ptr<Packet> RecvFrom(uint32_t maxSize, uint32_t flags, Address& from) override;

  protected:
    void DoDispose() override;

    /**
     * Go to another state.
     * @throw std::logic_error if the table has no such transition
     */
    void Enter(State next);

  private:
    /* What the guest has of the peer's stream, as far as it has told. */
    enum class Input
    {
        NONE, // nothing, until it tells
        MORE, // data, or the end
        END,  // it has been read to its end
    };

    bool IsConnecting() const;
    bool IsConnected() const;
    bool HasPeerEnded() const;
    bool MaySend() const;
    bool IsClosed() const override;
    bool IsOver() const override;
    bool Open(uint16_t family) override;
    void Serve() override;
    void OnReady(const RelayReady& ready) override;
    bool TakeTold(uint32_t condition);

    bool ConnectGuest();
    void ServeConnecting();
    void ServeConnection();
    void ServeListener();
    void AcceptConnection(uint32_t handle, const ns3qemu::GuestEndpoint& peer);
    void BeginConnection(uint32_t handle, const ns3qemu::GuestEndpoint& peer);
    uint32_t Flush();
    void FinishSending();
    std::vector<uint8_t> ReceiveFromGuest(uint32_t length, uint32_t flags) const;
    void Prefetch();
    void End();
    uint32_t GetQueued() const;

    State m_state{State::IDLE};
    TracedCallback<State, State> m_socketStateTrace;

    /* RELAY_...: what the guest has told of and Serve has not dealt with yet. */
    uint32_t m_told{0};
    int m_error{0}; // with RELAY_ERROR
    /* What Send took and the guest did not take yet: from m_sendAt on. */
    std::vector<uint8_t> m_sendBuffer;
    uint32_t m_sendAt{0};
    bool m_full{false}; // the guest's buffer: in whichever state something is unsent
    /* What was read to learn whether the stream has ended. */
    mutable std::vector<uint8_t> m_read;
    mutable Input m_input{Input::NONE};
};

/** Print a state's name. */
std::ostream& operator<<(std::ostream& out, QemuTcpSocket::State state);

} // namespace ns3

#endif /* NS3_QEMU_TCP_SOCKET_H */
