/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-routes.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <linux/rtnetlink.h>
#include <stdexcept>
#include <utility>

namespace ns3qemu
{

namespace
{

/* IPv6 keeps routes of one destination apart by their metric: that of single routes comes before
 * those that the kernel makes for an address (256). */
constexpr uint32_t IPV6_METRIC = 128;

size_t
SizeOf(const GuestAddress& address)
{
    return address.family == RELAY_INET ? 4 : 16;
}

/* What a request about this route begins with: where it leads to, and how. */
rtmsg
Head(const GuestRoute& route, uint8_t protocol, uint8_t scope, uint8_t type)
{
    rtmsg head{};
    head.rtm_family = route.destination.address.family;
    head.rtm_dst_len = route.destination.length;
    head.rtm_table = route.table;
    head.rtm_protocol = protocol;
    head.rtm_scope = scope;
    head.rtm_type = type;
    head.rtm_flags = route.onLink ? RTNH_F_ONLINK : 0;
    return head;
}

/* The request's body as far as it says which route is meant. */
std::vector<uint8_t>
Identify(const GuestRoute& route, const rtmsg& head)
{
    std::vector<uint8_t> body;
    GuestNetlink::Append(body, &head, sizeof(head));
    if (route.destination.length > 0)
    {
        const auto network = route.destination.GetNetwork();
        GuestNetlink::AppendAttribute(body, RTA_DST, network.bytes.data(), SizeOf(network));
    }
    if (route.gateway)
    {
        GuestNetlink::AppendAttribute(body,
                                      RTA_GATEWAY,
                                      route.gateway->bytes.data(),
                                      SizeOf(*route.gateway));
    }
    if (route.source)
    {
        GuestNetlink::AppendAttribute(body,
                                      RTA_PREFSRC,
                                      route.source->bytes.data(),
                                      SizeOf(*route.source));
    }
    GuestNetlink::AppendNumber(body, RTA_OIF, route.interface);
    if (route.metric > 0)
    {
        GuestNetlink::AppendNumber(body, RTA_PRIORITY, route.metric);
    }
    return body;
}

std::vector<uint8_t>
Metrics(const GuestRoute& route)
{
    std::vector<uint8_t> metrics;
    for (const auto& [type, value] : std::initializer_list<std::pair<uint16_t, uint32_t>>{
             {RTAX_LOCK, route.minimumRto != 0 ? 1U << RTAX_RTO_MIN : 0},
             {RTAX_MTU, route.mtu},
             {RTAX_WINDOW, route.window},
             {RTAX_ADVMSS, route.advertisedMss},
             {RTAX_HOPLIMIT, route.hopLimit},
             {RTAX_INITCWND, route.initialWindow},
             {RTAX_RTO_MIN, route.minimumRto},
             {RTAX_INITRWND, route.initialReceiveWindow},
             {RTAX_QUICKACK, route.quickAck},
         })
    {
        if (value != 0)
        {
            GuestNetlink::AppendNumber(metrics, type, value);
        }
    }
    if (!route.congestionControl.empty())
    {
        /* Terminated, as the kernel wants it. */
        GuestNetlink::AppendAttribute(metrics,
                                      RTAX_CC_ALGO,
                                      route.congestionControl.c_str(),
                                      route.congestionControl.size() + 1);
    }
    return metrics;
}

GuestRoute
WithOwnMetric(GuestRoute route)
{
    if (route.metric == 0 && route.destination.address.family == RELAY_INET6)
    {
        route.metric = IPV6_METRIC;
    }
    return route;
}

/* Deletes the route that the kernel has made for an address. */
bool
DeleteKernelRoute(GuestNetlink& netlink, RelayClient& relay, const GuestRoute& route)
{
    try
    {
        netlink.Ask(relay,
                    RTM_DELROUTE,
                    0,
                    Identify(route, Head(route, RTPROT_KERNEL, RT_SCOPE_LINK, RTN_UNICAST)),
                    "deleting the kernel's route");
    }
    catch (const GuestError&)
    {
        return false; // it is another's
    }
    return true;
}

} // namespace

GuestRoute
GuestRoute::Parse(const std::string& destination, const std::string& gateway)
{
    GuestRoute route;
    route.destination = GuestPrefix::Parse(destination);
    if (!gateway.empty())
    {
        route.gateway = GuestAddress::Parse(gateway);
        if (route.gateway->family != route.destination.address.family)
        {
            throw std::invalid_argument("the gateway '" + gateway + "' and the destination '" +
                                        destination + "' must both be IPv4 or IPv6");
        }
    }
    return route;
}

std::string
GuestRoute::Print() const
{
    return destination.Print() + (gateway ? " via " + gateway->Print() : "");
}

void
GuestRoute::CopyMetrics(const std::vector<uint8_t>& told)
{
    const auto number = [&told](uint16_t type) {
        const auto value = GuestNetlink::FindNested(told, type);
        uint32_t found = 0;
        if (value.size() == sizeof(found))
        {
            std::memcpy(&found, value.data(), sizeof(found));
        }
        return found;
    };
    mtu = number(RTAX_MTU);
    window = number(RTAX_WINDOW);
    advertisedMss = number(RTAX_ADVMSS);
    hopLimit = number(RTAX_HOPLIMIT);
    initialWindow = number(RTAX_INITCWND);
    minimumRto = number(RTAX_RTO_MIN);
    initialReceiveWindow = number(RTAX_INITRWND);
    quickAck = number(RTAX_QUICKACK) != 0;
    const auto name = GuestNetlink::FindNested(told, RTAX_CC_ALGO);
    congestionControl.assign(name.begin(), std::find(name.begin(), name.end(), 0));
}

std::vector<uint8_t>
GuestRoute::Build() const
{
    const uint8_t scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    auto body = Identify(*this, Head(*this, RTPROT_STATIC, scope, RTN_UNICAST));
    if (const auto metrics = Metrics(*this); !metrics.empty())
    {
        GuestNetlink::AppendAttribute(body, RTA_METRICS, metrics.data(), metrics.size());
    }
    return body;
}

void
AddGuestRoute(RelayClient& relay, const GuestRoute& wanted)
{
    const GuestRoute route = WithOwnMetric(wanted);
    WithGuestNetlink(relay, NETLINK_ROUTE, [&](GuestNetlink& netlink) {
        const auto add = [&]() {
            netlink.Ask(relay,
                        RTM_NEWROUTE,
                        NLM_F_CREATE | NLM_F_EXCL,
                        route.Build(),
                        "adding the route " + route.Print());
        };
        try
        {
            add();
        }
        catch (const GuestError& error)
        {
            /* With an IPv4 address came a route to its network. One of the simulator's own to the
             * same network (with another initial window, say) takes its place. */
            if (error.GetErrno() != EEXIST || route.destination.address.family != RELAY_INET ||
                route.destination.length == 0 || route.gateway ||
                !DeleteKernelRoute(netlink, relay, route))
            {
                throw;
            }
            add();
        }
    });
}

void
DeleteGuestRoute(RelayClient& relay, const GuestRoute& wanted)
{
    const auto tell = [&](GuestNetlink& netlink, const GuestRoute& route) {
        /* Of whatever protocol and scope, and with a metric of 0 of whatever metric. */
        netlink.Ask(relay,
                    RTM_DELROUTE,
                    0,
                    Identify(route, Head(route, RTPROT_UNSPEC, RT_SCOPE_NOWHERE, RTN_UNSPEC)),
                    "deleting the route " + route.Print());
    };
    WithGuestNetlink(relay, NETLINK_ROUTE, [&](GuestNetlink& netlink) {
        const GuestRoute own = WithOwnMetric(wanted);
        try
        {
            tell(netlink, own);
        }
        catch (const GuestError& error)
        {
            if (error.GetErrno() != ESRCH || own.metric == wanted.metric)
            {
                throw;
            }
            tell(netlink, wanted);
        }
    });
}

GuestRoutes::GuestRoutes(uint8_t family)
    : m_family(family)
{
}

GuestRoute
GuestRoutes::ToGuest(const RouteKey& key, const RouteTarget& target, uint32_t interface) const
{
    const auto address = [this](const std::array<uint8_t, 16>& bytes) {
        return GuestAddress{m_family, bytes};
    };
    GuestRoute route;
    route.destination = {address(key.destination), key.prefix};
    if (target.hasGateway)
    {
        route.gateway = address(target.gateway);
    }
    if (target.hasSource)
    {
        route.source = address(target.source);
    }
    route.interface = interface;
    route.table = key.table;
    route.metric = key.metric;
    route.onLink = target.onLink;
    route.initialWindow = target.initialWindow;
    route.minimumRto = target.metrics.minimumRto;
    route.quickAck = target.metrics.quickAck;
    return route;
}

void
GuestRoutes::QueueAdd(const RouteKey& key, const RouteTarget& target, uint32_t interface)
{
    /* IPv4: it takes the place of a route that the kernel has made for an address. IPv6 tells the
     * two apart by their metric. */
    const auto route = ToGuest(key, target, interface);
    const int replace = m_family == RELAY_INET ? NLM_F_REPLACE : 0;
    m_netlink.Queue(RTM_NEWROUTE,
                    static_cast<uint16_t>(NLM_F_CREATE | replace),
                    route.Build(),
                    "adding the route " + route.Print(),
                    EEXIST);
}

void
GuestRoutes::QueueDelete(const RouteKey& key, const RouteTarget& target, uint32_t interface)
{
    const auto route = ToGuest(key, target, interface);
    /* The kernel may have dropped it by itself: with an address, say. */
    m_netlink.Queue(RTM_DELROUTE, 0, route.Build(), "deleting the route " + route.Print(), ESRCH);
}

void
GuestRoutes::Add(RelayClient& relay,
                 const RouteKey& key,
                 const RouteTarget& target,
                 const Interfaces& interfaces)
{
    QueueAdd(key, target, interfaces.at(target.nic));
    m_netlink.Run(relay);
    m_routes[key] = target;
}

void
GuestRoutes::Carry(RelayClient& relay, const Routes& wanted, const Interfaces& interfaces)
{
    for (const auto& [key, target] : m_routes)
    {
        const auto stays = wanted.find(key);
        if (stays == wanted.end() || stays->second != target)
        {
            QueueDelete(key, target, interfaces.at(target.nic));
        }
    }
    /* A gateway may be reached by one of the routes without one. */
    for (const bool gateway : {false, true})
    {
        for (const auto& [key, target] : wanted)
        {
            const auto has = m_routes.find(key);
            if (target.hasGateway == gateway && (has == m_routes.end() || has->second != target))
            {
                QueueAdd(key, target, interfaces.at(target.nic));
            }
        }
    }
    m_netlink.Run(relay);
    m_routes = wanted;
}

void
GuestRoutes::Forget(uint32_t nic)
{
    for (auto route = m_routes.begin(); route != m_routes.end();)
    {
        route = route->second.nic == nic ? m_routes.erase(route) : std::next(route);
    }
}

} // namespace ns3qemu
