/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_ADDRESS_H
#define NS3_QEMU_GUEST_ADDRESS_H

#include "ns3/address.h"
#include "ns3/ipv4-address.h"
#include "ns3/ipv6-address.h"
#include "ns3/relay-client.h"

namespace ns3
{

/**
 * @ingroup qemu
 * @param address an InetSocketAddress or Inet6SocketAddress
 * @param what which attribute it is, for the error
 * @return it as the guest takes it
 * @throw std::invalid_argument if it is of another type
 */
ns3qemu::GuestEndpoint ToGuestEndpoint(const Address& address, const char* what);

/**
 * @param endpoint a socket address of the guest
 * @return it as an InetSocketAddress or Inet6SocketAddress
 */
Address ToAddress(const ns3qemu::GuestEndpoint& endpoint);

/** @return it as the guest takes it */
ns3qemu::GuestAddress ToGuestAddress(Ipv4Address address);
/** @return it as the guest takes it */
ns3qemu::GuestAddress ToGuestAddress(Ipv6Address address);

} // namespace ns3

#endif /* NS3_QEMU_GUEST_ADDRESS_H */
