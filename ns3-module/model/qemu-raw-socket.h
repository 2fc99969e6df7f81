/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_RAW_SOCKET_H
#define NS3_QEMU_RAW_SOCKET_H

#include "qemu-datagram-socket.h"

#include <cstdint>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief An ns-3 raw socket on a raw socket of the guest.
 *
 * What it receives begins with the IP header. The kernel gives none for IPv6: it is made again from
 * what the kernel tells of the packet.
 */
class QemuRawSocket : public QemuDatagramSocket<Socket>
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuRawSocket();
    ~QemuRawSocket() override;

    /** For the factory. @param family RELAY_INET or RELAY_INET6 */
    void SetFamily(uint16_t family);

    // Inherited from Socket
    SocketType GetSocketType() const override;
    /** @param from the sender, with the protocol's number as the port, as ns-3's raw sockets say */
    Ptr<Packet> RecvFrom(uint32_t maxSize, uint32_t flags, Address& from) override;

  private:
    bool Open(uint16_t family) override;
    void Complete(Ptr<Packet> packet, const ns3qemu::GuestReceived& received) const override;

    /* attributes */
    uint16_t m_protocol;
    uint32_t m_icmpFilter;
    bool m_headerInclude;

    uint16_t m_rawFamily{RELAY_INET};
};

} // namespace ns3

#endif /* NS3_QEMU_RAW_SOCKET_H */
