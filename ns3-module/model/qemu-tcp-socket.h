/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TCP_SOCKET_H
#define NS3_QEMU_TCP_SOCKET_H

#include "qemu-socket.h"
#include "tcp-info-tracer.h"

#include "ns3/tcp-socket.h"

#include <cstdint>
#include <string>
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
 *
 * Attributes that a script does not set, by Config::SetDefault or at the socket, are left to the
 * kernel; the default values of ns-3 mean nothing here. See the section on sockets in qemu.rst for
 * what they are mapped to.
 */
class QemuTcpSocket : public QemuSocket<TcpSocket>, public TcpInfoTracer
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuTcpSocket();
    /** A connection that a listening socket accepts. */
    QemuTcpSocket(const QemuTcpSocket& listener);
    ~QemuTcpSocket() override;

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
    void NotifyConstructionCompleted() override;

  private:
    enum State
    {
        IDLE,
        LISTENING,
        CONNECTING,
        CONNECTED,
        ENDED,
    };

    bool IsOver() const override;
    bool Open(uint16_t family) override;
    void Serve() override;
    void OnReady(const RelayReady& ready) override;

    int DoConnect();
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
    uint32_t GetCapacity() const;
    void SetCongestionControl(std::string name);
    std::string GetCongestionControl() const;
    void Ignore(const char* attribute, const char* instead) const;

    // Inherited from TcpSocket
    void SetSndBufSize(uint32_t size) override;
    uint32_t GetSndBufSize() const override;
    void SetRcvBufSize(uint32_t size) override;
    uint32_t GetRcvBufSize() const override;
    void SetSegSize(uint32_t size) override;
    uint32_t GetSegSize() const override;
    void SetInitialSSThresh(uint32_t threshold) override;
    uint32_t GetInitialSSThresh() const override;
    void SetInitialCwnd(uint32_t cwnd) override;
    uint32_t GetInitialCwnd() const override;
    void SetConnTimeout(Time timeout) override;
    Time GetConnTimeout() const override;
    void SetSynRetries(uint32_t count) override;
    uint32_t GetSynRetries() const override;
    void SetDataRetries(uint32_t retries) override;
    uint32_t GetDataRetries() const override;
    void SetDelAckTimeout(Time timeout) override;
    Time GetDelAckTimeout() const override;
    void SetDelAckMaxCount(uint32_t count) override;
    uint32_t GetDelAckMaxCount() const override;
    void SetTcpNoDelay(bool noDelay) override;
    bool GetTcpNoDelay() const override;
    void SetPersistTimeout(Time timeout) override;
    Time GetPersistTimeout() const override;

    /* The attributes as a script sees them. */
    struct Attributes
    {
        uint32_t sendBuffer{0};
        uint32_t receiveBuffer{0};
        uint32_t segmentSize{0};
        uint32_t initialSsthresh{0};
        uint32_t initialCwnd{0};
        Time connectTimeout;
        uint32_t synRetries{0};
        uint32_t dataRetries{0};
        Time delayedAckTimeout;
        uint32_t delayedAckCount{0};
        bool noDelay{false};
        Time persistTimeout;
        std::string congestionControl;
    };

    Attributes m_attributes;
    uint32_t m_initialWindow{0};    // segments; 0: a script has not set it
    double m_maxSegmentLifetime{0}; // s
    bool m_constructed{false};

    State m_state{IDLE};
    int m_error{0}; // that ended the connection
    /* What Send took and the guest did not take yet: from m_sendAt on. */
    std::vector<uint8_t> m_sendBuffer;
    uint32_t m_sendAt{0};
    bool m_full{false}; // the guest has no room
    bool m_finWanted{false};
    bool m_sentFin{false};
    bool m_announced{false}; // of an accepted one: that there is room
    /* What was read to learn whether the stream has ended. */
    mutable std::vector<uint8_t> m_read;
    mutable bool m_more{false}; // the guest has told of data, or of the end
    mutable bool m_endOfFile{false};
    bool m_notifyReceive{false};
    bool m_peerClosed{false};
    bool m_closeNotified{false};
    bool m_established{false}; // the guest says so
};

} // namespace ns3

#endif /* NS3_QEMU_TCP_SOCKET_H */
