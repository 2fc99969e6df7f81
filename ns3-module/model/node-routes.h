/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_NODE_ROUTES_H
#define NS3_QEMU_NODE_ROUTES_H

#include "guest-interfaces.h"
#include "routing-tables.h"

#include "ns3/guest-routes.h"
#include "ns3/ipv4-interface-address.h"
#include "ns3/ipv6-interface-address.h"

#include <cstdint>
#include <map>
#include <type_traits>
#include <utility>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief The routes of a node in one address family: what its routing protocols' tables say, with
 * what they cannot express, is carried into its machine's guest.
 * @tparam Protocol Ipv4RoutingProtocol or Ipv6RoutingProtocol
 */
template <typename Protocol>
class NodeRoutes
{
    static constexpr bool IS_IPV4 = std::is_same_v<Protocol, Ipv4RoutingProtocol>;

  public:
    using Entry = typename RoutingTables<Protocol>::Entry;
    using IpAddress = std::conditional_t<IS_IPV4, Ipv4Address, Ipv6Address>;
    using Mask = std::conditional_t<IS_IPV4, Ipv4Mask, Ipv6Prefix>;
    using InterfaceAddress =
        std::conditional_t<IS_IPV4, Ipv4InterfaceAddress, Ipv6InterfaceAddress>;

    /** @param interfaces the node's, by which the tables' routes lead; they must outlive this */
    explicit NodeRoutes(const GuestInterfaces<InterfaceAddress>& interfaces);

    /**
     * Read this protocol's tables from now on.
     * @throw std::invalid_argument if it, or one in its list, is neither static nor global routing;
     *        the one before stays
     */
    void SetProtocol(Ptr<Protocol> protocol);

    /**
     * Add a route to the static routing, and to the guest if it runs, with what the former cannot
     * express.
     * @param machine the node's
     * @param network its network
     * @param mask its mask
     * @param gateway zero for a destination on the link
     * @param interface over which it leads
     * @param initialWindow initcwnd in segments; 0 leaves it to the kernel
     * @throw ns3qemu::GuestError if the guest refuses it
     * @throw std::logic_error if there is no static routing
     */
    void Add(VirtualMachine& machine,
             IpAddress network,
             Mask mask,
             IpAddress gateway,
             uint32_t interface,
             uint32_t initialWindow);

    /** Delete a route of the static routing. @return false if there is none such */
    bool Delete(VirtualMachine& machine,
                IpAddress network,
                Mask mask,
                IpAddress gateway,
                uint32_t interface);

    /** Addresses have changed, which decide about routes. */
    void MarkStale();
    /** The guest's kernel has dropped the routes that lead over this NIC. */
    void Forget(uint32_t nic);

    /**
     * Compare the tables with what was read of them last.
     * @return whether they may say what the guest does not have
     */
    bool Compare();
    /**
     * Give the guest the routes of the tables, if they may have changed.
     * @throw ns3qemu::GuestError if the guest refuses one
     */
    void Carry(ns3qemu::RelayClient& relay, VirtualMachine& machine);

  private:
    using Route = std::pair<ns3qemu::RouteKey, ns3qemu::RouteTarget>;

    Route Make(VirtualMachine& machine, const Entry& entry, uint32_t metric) const;
    bool IsReached(const Entry& entry) const;
    const InterfaceAddress* FindAddressOf(const Entry& entry) const;
    ns3qemu::GuestRoutes::Routes Collect(VirtualMachine& machine);

    const GuestInterfaces<InterfaceAddress>& m_interfaces;
    RoutingTables<Protocol> m_tables;
    ns3qemu::GuestRoutes m_guest; // what the guest has
    bool m_stale{true};           // it may differ from what the tables say
    /* Of Add(): routes of the static routing, and their initial windows. */
    std::map<Route, uint32_t> m_initialWindows;
};

} // namespace ns3

#endif /* NS3_QEMU_NODE_ROUTES_H */
