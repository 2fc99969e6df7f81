/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The routes of a guest. Those that the simulation keeps there: what is wanted is compared with
 * what the guest has, and the difference is carried over as rtnetlink requests. And single ones.
 */
#ifndef NS3_QEMU_GUEST_ROUTES_H
#define NS3_QEMU_GUEST_ROUTES_H

#include "guest-netlink.h"
#include "guest-prefix.h"
#include "relay-client.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace ns3qemu
{

/** A route as the guest's kernel takes it. Zero leaves an attribute to the kernel. */
struct GuestRoute
{
    GuestPrefix destination; //!< of length 0: the default route
    std::optional<GuestAddress> gateway;
    std::optional<GuestAddress> source; //!< of packets that have none yet
    uint32_t interface{0};              //!< ifindex
    uint8_t table{254};                 //!< RT_TABLE_MAIN, ...
    uint32_t metric{0};                 //!< the least is preferred
    bool onLink{false};                 //!< the gateway is on the link, whatever the addresses say
    uint32_t initialWindow{0};          //!< initcwnd, segments
    uint32_t initialReceiveWindow{0};   //!< initrwnd, segments
    uint32_t mtu{0};                    //!< bytes
    bool quickAck{false};
    uint32_t advertisedMss{0}; //!< advmss, bytes
    uint32_t window{0};        //!< the largest window to advertise, bytes
    uint32_t hopLimit{0};      //!< hoplimit
    uint32_t minimumRto{0};    //!< rto_min, ms; locked, since the kernel ignores one that is not
    std::string congestionControl; //!< congctl, the name of an algorithm

    /**
     * @param destination "10.0.2.0/24", or "0.0.0.0/0" or "::/0" for the default route
     * @param gateway "10.0.1.2", or "" for a destination on the link
     * @throw std::invalid_argument if one of them is no such thing, or they are of two families
     */
    static GuestRoute Parse(const std::string& destination, const std::string& gateway);

    /** @return "10.0.2.0/24 via 10.0.1.2" */
    std::string Print() const;

    /** Have the metrics that a kernel tells of another route. @param told its RTA_METRICS */
    void CopyMetrics(const std::vector<uint8_t>& told);

    /** @return the body of a request of RTM_NEWROUTE, or of RTM_DELROUTE for exactly this one */
    std::vector<uint8_t> Build() const;
};

/**
 * Add a route. One to the network of an address takes the place of that which the kernel has made
 * for it.
 * @throw GuestError EEXIST if there is another one, or why else the guest's kernel refuses it
 */
void AddGuestRoute(RelayClient& relay, const GuestRoute& route);

/**
 * Delete a route, whoever has made it: one of AddGuestRoute first. Only its destination, its
 * gateway and its interface matter.
 * @throw GuestError ESRCH if there is none
 */
void DeleteGuestRoute(RelayClient& relay, const GuestRoute& route);

/** By what a kernel tells routes apart. */
struct RouteKey
{
    uint8_t table{254};                    //!< of the kernel: RT_TABLE_MAIN, RT_TABLE_DEFAULT
    std::array<uint8_t, 16> destination{}; //!< without the bits that the prefix leaves open
    uint8_t prefix{0};                     //!< bits
    uint32_t metric{0};                    //!< the kernel's: the least is preferred

    bool operator<(const RouteKey& other) const
    {
        return std::tie(table, destination, prefix, metric) <
               std::tie(other.table, other.destination, other.prefix, other.metric);
    }
};

/** What a route says of the connections over it. Zero leaves it to the kernel. */
struct RouteMetrics
{
    uint32_t minimumRto{0}; //!< rto_min, ms
    bool quickAck{false};   //!< each segment is acknowledged at once

    bool IsAny() const
    {
        return minimumRto != 0 || quickAck;
    }
};

/** Where a route leads to. */
struct RouteTarget
{
    uint32_t nic{0};
    bool hasGateway{false};
    std::array<uint8_t, 16> gateway{};
    bool onLink{false};               //!< the gateway is on the link, whatever the addresses say
    bool hasSource{false};            //!< what follows is meant
    std::array<uint8_t, 16> source{}; //!< of packets that have no source yet
    uint32_t initialWindow{0};        //!< initcwnd, segments; 0 leaves it to the kernel
    RouteMetrics metrics;

    /** All of it, to be compared. */
    auto Tie() const
    {
        return std::tie(nic,
                        hasGateway,
                        gateway,
                        onLink,
                        hasSource,
                        source,
                        initialWindow,
                        metrics.minimumRto,
                        metrics.quickAck);
    }

    bool operator==(const RouteTarget& other) const
    {
        return Tie() == other.Tie();
    }

    bool operator!=(const RouteTarget& other) const
    {
        return Tie() != other.Tie();
    }

    bool operator<(const RouteTarget& other) const
    {
        return Tie() < other.Tie();
    }
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
    GuestRoute ToGuest(const RouteKey& key, const RouteTarget& target, uint32_t interface) const;

    uint8_t m_family;
    GuestNetlink m_netlink;
    Routes m_routes; // that the guest has
};

} // namespace ns3qemu

#endif /* NS3_QEMU_GUEST_ROUTES_H */
