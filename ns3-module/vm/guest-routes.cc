/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-routes.h"

#include <cerrno>
#include <linux/rtnetlink.h>

namespace ns3qemu
{

GuestRoutes::GuestRoutes(uint8_t family)
    : m_family(family)
{
}

std::string
GuestRoutes::Print(const RouteKey& key, const RouteTarget& target) const
{
    const auto print = [this](const std::array<uint8_t, 16>& bytes) {
        GuestAddress address;
        address.family = m_family;
        address.bytes = bytes;
        return address.Print();
    };
    return print(key.destination) + "/" + std::to_string(key.prefix) +
           (target.hasGateway ? " via " + print(target.gateway) : "");
}

std::vector<uint8_t>
GuestRoutes::Build(const RouteKey& key, const RouteTarget& target, uint32_t interface) const
{
    const size_t size = m_family == RELAY_INET ? 4 : 16;
    rtmsg route{};
    route.rtm_family = m_family;
    route.rtm_dst_len = key.prefix;
    route.rtm_table = key.table;
    route.rtm_protocol = RTPROT_STATIC;
    route.rtm_scope = target.hasGateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    route.rtm_type = RTN_UNICAST;
    route.rtm_flags = target.onLink ? RTNH_F_ONLINK : 0;

    std::vector<uint8_t> body;
    GuestNetlink::Append(body, &route, sizeof(route));
    if (key.prefix > 0)
    {
        GuestNetlink::AppendAttribute(body, RTA_DST, key.destination.data(), size);
    }
    if (target.hasGateway)
    {
        GuestNetlink::AppendAttribute(body, RTA_GATEWAY, target.gateway.data(), size);
    }
    GuestNetlink::AppendNumber(body, RTA_OIF, interface);
    GuestNetlink::AppendNumber(body, RTA_PRIORITY, key.metric);
    if (target.initialWindow > 0)
    {
        std::vector<uint8_t> metrics;
        GuestNetlink::AppendNumber(metrics, RTAX_INITCWND, target.initialWindow);
        GuestNetlink::AppendAttribute(body, RTA_METRICS, metrics.data(), metrics.size());
    }
    return body;
}

void
GuestRoutes::QueueAdd(const RouteKey& key, const RouteTarget& target, uint32_t interface)
{
    /* IPv4: it takes the place of a route that the kernel has made for an address. IPv6 tells the
     * two apart by their metric. */
    const int replace = m_family == RELAY_INET ? NLM_F_REPLACE : 0;
    m_netlink.Queue(RTM_NEWROUTE,
                    static_cast<uint16_t>(NLM_F_CREATE | replace),
                    Build(key, target, interface),
                    "adding the route " + Print(key, target),
                    EEXIST);
}

void
GuestRoutes::QueueDelete(const RouteKey& key, const RouteTarget& target, uint32_t interface)
{
    /* The kernel may have dropped it by itself: with an address, say. */
    m_netlink.Queue(RTM_DELROUTE,
                    0,
                    Build(key, target, interface),
                    "deleting the route " + Print(key, target),
                    ESRCH);
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
    std::erase_if(m_routes, [nic](const auto& route) { return route.second.nic == nic; });
}

} // namespace ns3qemu
