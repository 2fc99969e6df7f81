/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_UDP_SOCKET_H
#define NS3_QEMU_UDP_SOCKET_H

#include "qemu-datagram-socket.h"

#include "ns3/udp-socket.h"

#include <cstdint>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief An ns3::UdpSocket on a UDP socket of the guest.
 *
 * A socket that is connected receives from its peer only, and learns of ICMP errors (Send fails
 * with the guest's ECONNREFUSED), as a real one does. Attributes that a script does not set are
 * left to the kernel.
 */
class QemuUdpSocket : public QemuDatagramSocket<UdpSocket>
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuUdpSocket();
    ~QemuUdpSocket() override;

    // Inherited from Socket
    SocketType GetSocketType() const override;

    /**
     * Join a group.
     * @param interface 0: on all NICs; otherwise one more than the NIC's number
     * @param group its address, with or without a port
     * @return 0 or -1
     */
    int MulticastJoinGroup(uint32_t interface, const Address& group) override;
    /** Leave it; parameters as in MulticastJoinGroup. @return 0 or -1 */
    int MulticastLeaveGroup(uint32_t interface, const Address& group) override;

  protected:
    void NotifyConstructionCompleted() override;

  private:
    bool Open(uint16_t family) override;

    // Inherited from UdpSocket
    void SetRcvBufSize(uint32_t size) override;
    uint32_t GetRcvBufSize() const override;
    void SetIpMulticastTtl(uint8_t ttl) override;
    uint8_t GetIpMulticastTtl() const override;
    void SetIpMulticastIf(int32_t interface) override;
    int32_t GetIpMulticastIf() const override;
    void SetIpMulticastLoop(bool loop) override;
    bool GetIpMulticastLoop() const override;
    void SetMtuDiscover(bool discover) override;
    bool GetMtuDiscover() const override;

    bool m_constructed{false};
    uint32_t m_receiveBuffer{0};
    uint8_t m_multicastTtl{0};
    int32_t m_multicastInterface{0};
    bool m_multicastLoop{false};
    bool m_mtuDiscover{false};
};

} // namespace ns3

#endif /* NS3_QEMU_UDP_SOCKET_H */
