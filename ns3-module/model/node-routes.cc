/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "node-routes.h"

#include "guest-address.h"
#include "qemu-net-device.h"
#include "virtual-machine.h"

#include "ns3/ipv4-static-routing.h"
#include "ns3/ipv6-static-routing.h"

#include <algorithm>
#include <stdexcept>

namespace ns3
{

namespace
{

constexpr uint8_t TABLE_MAIN = 254; // RT_TABLE_MAIN
/* RT_TABLE_DEFAULT: a kernel asks it when it finds nothing in the main one, as ns-3's list routing
 * asks a protocol when it finds nothing with those before it. */
constexpr uint8_t TABLE_DEFAULT = 253;

/* The metric that a kernel gives to the IPv6 routes that come with addresses. In ns-3's static
 * routing those have 0, and of two with the same metric the later one counts. */
constexpr uint32_t METRIC_OF_ADDRESSES = 256;
constexpr uint32_t METRIC_FIRST = 128;

template <typename Protocol>
using StaticRouting = std::conditional_t<std::is_same_v<Protocol, Ipv4RoutingProtocol>,
                                         Ipv4StaticRouting,
                                         Ipv6StaticRouting>;

/* What differs between the families. */
uint32_t
ToKernelMetric(const Ipv4RoutingTableEntry&, uint32_t metric)
{
    return metric;
}

uint32_t
ToKernelMetric(const Ipv6RoutingTableEntry&, uint32_t metric)
{
    return metric == 0 ? METRIC_FIRST
                       : std::min(metric, UINT32_MAX - METRIC_OF_ADDRESSES) + METRIC_OF_ADDRESSES;
}

Ipv4Address
Combine(Ipv4Address address, Ipv4Mask mask)
{
    return address.CombineMask(mask);
}

Ipv6Address
Combine(Ipv6Address address, Ipv6Prefix prefix)
{
    return address.CombinePrefix(prefix);
}

/* Whether a kernel makes a route to this network by itself for an interface's address. */
bool
HasNetwork(const Ipv4InterfaceAddress& own, Ipv4Address network, Ipv4Mask mask)
{
    return own.GetMask() == mask && Combine(own.GetLocal(), mask) == network;
}

bool
HasNetwork(const Ipv6InterfaceAddress& own, Ipv6Address network, Ipv6Prefix prefix)
{
    return (own.GetOnLink() || prefix == Ipv6Prefix(128)) && own.GetPrefix() == prefix &&
           Combine(own.GetAddress(), prefix) == network;
}

/* The source that a kernel's route for an address has. IPv6 chooses one without it. */
void
SetSource(ns3qemu::RouteTarget& target, const Ipv4InterfaceAddress& own)
{
    target.hasSource = true;
    target.source = ToGuestAddress(own.GetLocal()).bytes;
}

void
SetSource(ns3qemu::RouteTarget&, const Ipv6InterfaceAddress&)
{
}

/* Whether each link has a route of its own to this address's network. */
bool
IsLinkLocal(const Ipv4InterfaceAddress&)
{
    return false;
}

bool
IsLinkLocal(const Ipv6InterfaceAddress& own)
{
    return own.GetAddress().IsLinkLocal();
}

template <typename Address, typename Mask>
auto
MakeEntry(Address network, Mask mask, Address gateway, uint32_t interface)
{
    using Entry = std::conditional_t<std::is_same_v<Address, Ipv4Address>,
                                     Ipv4RoutingTableEntry,
                                     Ipv6RoutingTableEntry>;
    return gateway == Address::GetZero()
               ? Entry::CreateNetworkRouteTo(network, mask, interface)
               : Entry::CreateNetworkRouteTo(network, mask, gateway, interface);
}

} // namespace

template <typename Protocol>
NodeRoutes<Protocol>::NodeRoutes(const GuestInterfaces<InterfaceAddress>& interfaces)
    : m_interfaces(interfaces),
      m_guest(IS_IPV4 ? RELAY_INET : RELAY_INET6)
{
}

template <typename Protocol>
void
NodeRoutes<Protocol>::SetProtocol(Ptr<Protocol> protocol)
{
    m_tables.SetProtocol(protocol);
    m_stale = true;
}

template <typename Protocol>
void
NodeRoutes<Protocol>::MarkStale()
{
    m_stale = true;
}

template <typename Protocol>
void
NodeRoutes<Protocol>::Forget(uint32_t nic)
{
    m_guest.Forget(nic);
    m_stale = true;
}

/* ---- collecting ---- */

template <typename Protocol>
typename NodeRoutes<Protocol>::Route
NodeRoutes<Protocol>::Make(VirtualMachine& machine, const Entry& entry, uint32_t metric) const
{
    Route route;
    auto& [key, target] = route;
    const auto mask = GetDestinationMask(entry);
    key.destination = ToGuestAddress(Combine(entry.GetDest(), mask)).bytes;
    key.prefix = static_cast<uint8_t>(mask.GetPrefixLength());
    key.metric = ToKernelMetric(entry, metric);
    target.nic = machine.GetNic(m_interfaces.At(entry.GetInterface()).device)->GetNicIndex();
    target.hasGateway = entry.GetGateway() != IpAddress::GetZero();
    if (target.hasGateway)
    {
        target.gateway = ToGuestAddress(entry.GetGateway()).bytes;
    }
    return route;
}

/* Whether the gateway is in a network of the interface. */
template <typename Protocol>
bool
NodeRoutes<Protocol>::IsReached(const Entry& entry) const
{
    const auto& addresses = m_interfaces.At(entry.GetInterface()).addresses;
    return std::any_of(addresses.begin(), addresses.end(), [&](const InterfaceAddress& own) {
        return own.IsInSameSubnet(entry.GetGateway());
    });
}

/* The address for which the kernel has made its own; null: it has made none. */
template <typename Protocol>
const typename NodeRoutes<Protocol>::InterfaceAddress*
NodeRoutes<Protocol>::FindAddressOf(const Entry& entry) const
{
    const auto& addresses = m_interfaces.At(entry.GetInterface()).addresses;
    const auto found =
        std::find_if(addresses.begin(), addresses.end(), [&](const InterfaceAddress& own) {
            return HasNetwork(own, entry.GetDest(), GetDestinationMask(entry));
        });
    return found == addresses.end() ? nullptr : &*found;
}

template <typename Protocol>
ns3qemu::GuestRoutes::Routes
NodeRoutes<Protocol>::Collect(VirtualMachine& machine)
{
    ns3qemu::GuestRoutes::Routes routes;
    std::map<Route, uint32_t> initialWindows; // of routes that are still there
    uint8_t kernelTable = TABLE_MAIN;
    for (const auto& table : m_tables.Get())
    {
        ns3qemu::GuestRoutes::Routes found;
        for (const auto& [entry, metric] : table.routes)
        {
            const uint32_t interface = entry.GetInterface();
            if (interface == 0)
            {
                continue;
            }
            auto route = Make(machine, entry, metric);
            const auto known = m_initialWindows.find(route);
            if (known != m_initialWindows.end())
            {
                initialWindows.insert(*known);
            }
            if (!machine.IsNicUp(m_interfaces.At(interface).device))
            {
                continue;
            }
            auto& [key, target] = route;
            if (known != m_initialWindows.end())
            {
                target.initialWindow = known->second;
            }
            else if (target.hasGateway)
            {
                /* In ns-3 the interface decides alone. */
                target.onLink = !IsReached(entry);
            }
            else if (const auto* own = metric == 0 ? FindAddressOf(entry) : nullptr)
            {
                if (!machine.GetRouteMetrics().IsAny() || IsLinkLocal(*own))
                {
                    continue;
                }
                /* Only a route of ours has these metrics; in all else it is the kernel's. */
                SetSource(target, *own);
            }
            target.metrics = machine.GetRouteMetrics();
            key.table = kernelTable;
            if (table.firstWins)
            {
                found.emplace(key, target);
            }
            else
            {
                found[key] = target;
            }
        }
        routes.merge(found); // what an earlier protocol has stays
        kernelTable = TABLE_DEFAULT;
    }
    m_initialWindows = std::move(initialWindows);
    return routes;
}

template <typename Protocol>
bool
NodeRoutes<Protocol>::Compare()
{
    m_stale = m_tables.Read() || m_stale;
    return m_stale;
}

template <typename Protocol>
void
NodeRoutes<Protocol>::Carry(ns3qemu::RelayClient& relay, VirtualMachine& machine)
{
    if (Compare())
    {
        m_guest.Carry(relay, Collect(machine), machine.GetInterfaceIndices());
        m_stale = false;
    }
}

/* ---- adding and deleting ---- */

template <typename Protocol>
void
NodeRoutes<Protocol>::Add(VirtualMachine& machine,
                          IpAddress network,
                          Mask mask,
                          IpAddress gateway,
                          uint32_t interface,
                          uint32_t initialWindow)
{
    const auto routing = DynamicCast<StaticRouting<Protocol>>(m_tables.GetStatic());
    if (!routing)
    {
        throw std::logic_error("VM '" + machine.GetName() + "': its node has no " +
                               StaticRouting<Protocol>::GetTypeId().GetName() +
                               " to add a route to");
    }
    network = Combine(network, mask);
    const auto route = Make(machine, MakeEntry(network, mask, gateway, interface), 0);
    if (machine.IsRunning())
    {
        auto [key, target] = route;
        target.initialWindow = initialWindow;
        target.metrics = machine.GetRouteMetrics();
        machine.Request([&, &key = key, &target = target](ns3qemu::RelayClient& relay) {
            m_guest.Add(relay, key, target, machine.GetInterfaceIndices());
        });
    }
    m_initialWindows[route] = initialWindow;
    if (gateway == IpAddress::GetZero())
    {
        routing->AddNetworkRouteTo(network, mask, interface);
    }
    else
    {
        routing->AddNetworkRouteTo(network, mask, gateway, interface);
    }
    m_stale = true;
}

template <typename Protocol>
bool
NodeRoutes<Protocol>::Delete(VirtualMachine& machine,
                             IpAddress network,
                             Mask mask,
                             IpAddress gateway,
                             uint32_t interface)
{
    network = Combine(network, mask);
    const auto routing = DynamicCast<StaticRouting<Protocol>>(m_tables.GetStatic());
    for (uint32_t i = 0; routing && i < routing->GetNRoutes(); i++)
    {
        const auto entry = routing->GetRoute(i);
        if (entry.GetDest() == network && GetDestinationMask(entry) == mask &&
            entry.GetGateway() == gateway && entry.GetInterface() == interface)
        {
            m_initialWindows.erase(Make(machine, entry, 0));
            routing->RemoveRoute(i);
            return true;
        }
    }
    return false;
}

template class NodeRoutes<Ipv4RoutingProtocol>;
template class NodeRoutes<Ipv6RoutingProtocol>;

} // namespace ns3
