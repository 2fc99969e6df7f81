/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The routes that the simulation has given to a guest. What is wanted is compared with what the
 * guest has, and the difference is carried over as rtnetlink requests.
 */
#ifndef NS3_QEMU_GUEST_ROUTES_H
#define NS3_QEMU_GUEST_ROUTES_H

#include "guest-netlink.h"
#include "relay-client.h"

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ns3qemu
{

/** By what a kernel tells routes apart. */
struct RouteKey
{
    uint8_t table{254};                    //!< of the kernel: RT_TABLE_MAIN, RT_TABLE_DEFAULT
    std::array<uint8_t, 16> destination{}; //!< without the bits that the prefix leaves open
    uint8_t prefix{0};                     //!< bits
    uint32_t metric{0};                    //!< the kernel's: the least is preferred

    auto operator<=>(const RouteKey&) const = default;
};

/** Where a route leads to. */
struct RouteTarget
{
    uint32_t nic{0};
    bool hasGateway{false};
    std::array<uint8_t, 16> gateway{};
    bool onLink{false};        //!< the gateway is on the link, whatever the addresses say
    uint32_t initialWindow{0}; //!< initcwnd, segments; 0 leaves it to the kernel

    auto operator<=>(const RouteTarget&) const = default;
};

/** The routes of one address family that the simulation has given to one guest. */
class GuestRoutes
{
  public:
    using Routes = std::map<RouteKey, RouteTarget>;
    /** The ifindex of each NIC. */
    using Interfaces = std::vector<uint32_t>;

    /** @param family RELAY_INET or RELAY_INET6 */
    explicit GuestRoutes(uint8_t family);

    /**
     * Let the guest have these routes, and none of those that it was given before.
     * @throw GuestError with the route's text, if the guest's kernel refuses one
     */
    void Carry(RelayClient& relay, const Routes& wanted, const Interfaces& interfaces);

    /** Add one. @throw GuestError with the route's text, if the guest's kernel refuses it */
    void Add(RelayClient& relay,
             const RouteKey& key,
             const RouteTarget& target,
             const Interfaces& interfaces);

    /** The guest's kernel has dropped the routes that lead over this NIC. */
    void Forget(uint32_t nic);

  private:
    void QueueAdd(const RouteKey& key, const RouteTarget& target, uint32_t interface);
    void QueueDelete(const RouteKey& key, const RouteTarget& target, uint32_t interface);
    std::vector<uint8_t> Build(const RouteKey& key,
                               const RouteTarget& target,
                               uint32_t interface) const;
    std::string Print(const RouteKey& key, const RouteTarget& target) const;

    uint8_t m_family;
    GuestNetlink m_netlink;
    Routes m_routes; // that the guest has
};

} // namespace ns3qemu

#endif /* NS3_QEMU_GUEST_ROUTES_H */
