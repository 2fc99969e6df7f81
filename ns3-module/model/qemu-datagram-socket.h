/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_DATAGRAM_SOCKET_H
#define NS3_QEMU_DATAGRAM_SOCKET_H

#include "qemu-socket.h"

#include "ns3/packet.h"

#include <cstdint>
#include <vector>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief What UDP and raw sockets on a guest's socket have in common: each Send and each Recv is
 * one datagram, and one request to the guest.
 * @tparam Parent UdpSocket or Socket
 */
template <typename Parent>
class QemuDatagramSocket : public QemuSocket<Parent>
{
  public:
    // Inherited from Socket; the overloads that are not virtual as well
    using Socket::Recv;
    using Socket::RecvFrom;
    using Socket::Send;
    using Socket::SendTo;
    int Connect(const Address& address) override;
    int Listen() override;
    int Close() override;
    int ShutdownSend() override;
    int ShutdownRecv() override;
    /** @return the largest datagram that the socket takes, in bytes; 0 after ShutdownSend */
    uint32_t GetTxAvailable() const override;
    /** @return the size of the next datagram in bytes, or 0 */
    uint32_t GetRxAvailable() const override;
    int Send(Ptr<Packet> packet, uint32_t flags) override;
    int SendTo(Ptr<Packet> packet, uint32_t flags, const Address& to) override;
    Ptr<Packet> Recv(uint32_t maxSize, uint32_t flags) override;
    Ptr<Packet> RecvFrom(uint32_t maxSize, uint32_t flags, Address& from) override;
    void Ipv6JoinGroup(Ipv6Address address,
                       Socket::Ipv6MulticastFilterMode filterMode,
                       std::vector<Ipv6Address> sources) override;

  protected:
    void DoDispose() override;
    bool IsClosed() const override;
    void Serve() override;
    void OnReady(const RelayReady& ready) override;

    /** Open a socket that tells of what it receives. */
    bool OpenDatagram(uint16_t family, uint32_t type, uint32_t protocol);
    /** Add what the protocol hands over besides the data. */
    virtual void Complete(Ptr<Packet> packet, const ns3qemu::GuestReceived& received) const;

    /**
     * Join or leave a group.
     * @param nic 0: all NICs; otherwise one more than the NIC's number
     * @param group its address
     * @param join false: leave it
     * @return 0 or -1
     */
    int ChangeMembership(uint32_t nic, const Address& group, bool join);

  private:
    int SendNow(const std::vector<uint8_t>& data, uint32_t flags, const ns3qemu::GuestEndpoint* to);
    int DoConnect();
    bool Fetch() const;
    void AddTags(Ptr<Packet> packet, const ns3qemu::GuestReceived& received) const;

    /* The next datagram, once it has been looked at. */
    mutable ns3qemu::GuestReceived m_next;
    mutable bool m_hasNext{false};
    mutable bool m_more{false}; // the guest has told of data that was not fetched yet
    bool m_notifyReceive{false};
    bool m_notifySend{false};
    bool m_refused{false}; // the guest had no room
    bool m_connected{false};
    bool m_closed{false};
};

} // namespace ns3

#endif /* NS3_QEMU_DATAGRAM_SOCKET_H */
