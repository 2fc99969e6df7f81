/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_SOCKET_FACTORY_H
#define NS3_QEMU_SOCKET_FACTORY_H

#include "qemu-socket.h"

#include "ns3/ipv4-raw-socket-factory.h"
#include "ns3/ipv6-raw-socket-factory.h"
#include "ns3/tcp-socket-factory.h"
#include "ns3/udp-socket-factory.h"

#include <cstdint>
#include <memory>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Makes the sockets of a node with a VirtualMachine, to which QemuHelper aggregates it: it
 * is found where an application asks for its parent, such as ns3::TcpSocketFactory.
 * @tparam Parent the factory that it takes the place of
 */
template <typename Parent>
class QemuSocketFactory : public Parent
{
  public:
    /** @return the number of sockets that are not closed yet */
    uint32_t GetNSockets() const;
    /** @return one of them, in the order in which they were made */
    Ptr<Socket> GetSocket(uint32_t i) const;

  protected:
    void DoDispose() override;
    /** Make a socket of this node. */
    template <typename T>
    Ptr<T> Make();

  private:
    std::shared_ptr<QemuSocketList> m_list{std::make_shared<QemuSocketList>()};
};

/**
 * @ingroup qemu
 * @brief Makes a node's TCP sockets, on those of the guest: QemuTcpSocket.
 */
class QemuTcpSocketFactory : public QemuSocketFactory<TcpSocketFactory>
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();
    Ptr<Socket> CreateSocket() override;
};

/**
 * @ingroup qemu
 * @brief Makes a node's UDP sockets, on those of the guest: QemuUdpSocket.
 */
class QemuUdpSocketFactory : public QemuSocketFactory<UdpSocketFactory>
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();
    Ptr<Socket> CreateSocket() override;
};

/**
 * @ingroup qemu
 * @brief Makes a node's raw IPv4 sockets, on those of the guest: QemuRawSocket.
 */
class QemuIpv4RawSocketFactory : public QemuSocketFactory<Ipv4RawSocketFactory>
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();
    Ptr<Socket> CreateSocket() override;
};

/**
 * @ingroup qemu
 * @brief Makes a node's raw IPv6 sockets, on those of the guest: QemuRawSocket.
 */
class QemuIpv6RawSocketFactory : public QemuSocketFactory<Ipv6RawSocketFactory>
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();
    Ptr<Socket> CreateSocket() override;
};

} // namespace ns3

#endif /* NS3_QEMU_SOCKET_FACTORY_H */
