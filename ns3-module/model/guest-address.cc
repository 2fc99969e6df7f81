/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-address.h"

#include "ns3/inet-socket-address.h"
#include "ns3/inet6-socket-address.h"

#include <stdexcept>
#include <string>

namespace ns3
{

ns3qemu::GuestEndpoint
ToGuestEndpoint(const Address& address, const char* what)
{
    ns3qemu::GuestEndpoint endpoint;
    if (InetSocketAddress::IsMatchingType(address))
    {
        const auto inet = InetSocketAddress::ConvertFrom(address);
        inet.GetIpv4().Serialize(endpoint.address.bytes.data());
        endpoint.port = inet.GetPort();
    }
    else if (Inet6SocketAddress::IsMatchingType(address))
    {
        const auto inet6 = Inet6SocketAddress::ConvertFrom(address);
        endpoint.address.family = RELAY_INET6;
        inet6.GetIpv6().Serialize(endpoint.address.bytes.data());
        endpoint.port = inet6.GetPort();
    }
    else
    {
        throw std::invalid_argument(std::string("the attribute ") + what +
                                    " must be an InetSocketAddress or an Inet6SocketAddress");
    }
    return endpoint;
}

Address
ToAddress(const ns3qemu::GuestEndpoint& endpoint)
{
    const auto* bytes = endpoint.address.bytes.data();
    if (endpoint.address.family == RELAY_INET6)
    {
        return Inet6SocketAddress(Ipv6Address::Deserialize(bytes), endpoint.port);
    }
    return InetSocketAddress(Ipv4Address::Deserialize(bytes), endpoint.port);
}

ns3qemu::GuestAddress
ToGuestAddress(Ipv4Address address)
{
    ns3qemu::GuestAddress guest;
    address.Serialize(guest.bytes.data());
    return guest;
}

ns3qemu::GuestAddress
ToGuestAddress(Ipv6Address address)
{
    ns3qemu::GuestAddress guest;
    guest.family = RELAY_INET6;
    address.Serialize(guest.bytes.data());
    return guest;
}

} // namespace ns3
