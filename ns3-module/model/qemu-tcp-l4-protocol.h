/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TCP_L4_PROTOCOL_H
#define NS3_QEMU_TCP_L4_PROTOCOL_H

#include "ns3/socket.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/type-id.h"

#include <cstdint>
#include <string>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief A machine's node's TcpL4Protocol, for scripts that ask for it or name it in a path.
 *
 * Its SocketList has the sockets of QemuTcpSocketFactory, and its SocketType chooses the congestion
 * control of those that are made later. It is never given a packet.
 */
class QemuTcpL4Protocol : public TcpL4Protocol
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuTcpL4Protocol();
    ~QemuTcpL4Protocol() override;

    /** @return the number of TCP sockets that are not closed yet */
    uint32_t GetNSockets() const;
    /** @return one of them, in the order in which they were made */
    Ptr<Socket> GetSocket(uint32_t i) const;

    /**
     * @return Linux' name of the congestion control that has been chosen for this node; empty: none
     *         has, or Linux has no such
     */
    std::string GetCongestionControl() const;

  protected:
    void NotifyConstructionCompleted() override;
    void NotifyNewAggregate() override;

  private:
    void SetSocketType(TypeId type);
    TypeId GetSocketType() const;

    TypeId m_socketType;
    bool m_constructed{false};
    bool m_chosen{false}; // by the script, for this node
};

} // namespace ns3

#endif /* NS3_QEMU_TCP_L4_PROTOCOL_H */
