/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-initial-window.h"

#include "guest-netlink.h"
#include "guest-routes.h"

#include <algorithm>
#include <cstring>
#include <linux/rtnetlink.h>
#include <vector>

namespace ns3qemu
{

namespace
{

/* Whether the MTU that is told with this is the path's, which the kernel forgets after a time. */
bool
IsLearned(const std::vector<uint8_t>& told)
{
    rta_cacheinfo cached{};
    if (told.size() >= sizeof(cached))
    {
        std::memcpy(&cached, told.data(), sizeof(cached));
    }
    return cached.rta_expires != 0;
}

} // namespace

void
SetInitialWindow(RelayClient& relay, const GuestAddress& host, uint32_t segments)
{
    const std::string what = "the initial window of connections to " + host.Print();
    const size_t size = host.family == RELAY_INET ? 4 : 16;
    rtmsg route{};
    route.rtm_family = host.family;
    route.rtm_dst_len = static_cast<uint8_t>(8 * size);
    std::vector<uint8_t> body;
    GuestNetlink::Append(body, &route, sizeof(route));
    GuestNetlink::AppendAttribute(body, RTA_DST, host.bytes.data(), size);
    WithGuestNetlink(relay, NETLINK_ROUTE, [&](GuestNetlink& netlink) {
        const auto answer = netlink.Ask(relay, RTM_GETROUTE, 0, body, what);
        if (answer.size() >= sizeof(nlmsghdr) + sizeof(route))
        {
            std::memcpy(&route, answer.data() + sizeof(nlmsghdr), sizeof(route));
        }
        if (route.rtm_type != RTN_UNICAST)
        {
            return; // to itself, where a route of the main table would do harm
        }
        const auto gateway = GuestNetlink::FindAttribute(answer, sizeof(route), RTA_GATEWAY);
        const auto interface = GuestNetlink::FindAttribute(answer, sizeof(route), RTA_OIF);
        GuestRoute own;
        own.destination = {host, static_cast<uint8_t>(8 * size)};
        if (gateway.size() == size)
        {
            own.gateway.emplace();
            own.gateway->family = host.family;
            std::copy(gateway.begin(), gateway.end(), own.gateway->bytes.begin());
        }
        if (interface.size() == sizeof(own.interface))
        {
            std::memcpy(&own.interface, interface.data(), sizeof(own.interface));
        }
        if (const auto source = GuestNetlink::FindAttribute(answer, sizeof(route), RTA_PREFSRC);
            host.family == RELAY_INET && source.size() == size)
        {
            own.source.emplace(); // of IPv6 it is none of the route's
            own.source->family = host.family;
            std::copy(source.begin(), source.end(), own.source->bytes.begin());
        }
        own.CopyMetrics(GuestNetlink::FindAttribute(answer, sizeof(route), RTA_METRICS));
        if (IsLearned(GuestNetlink::FindAttribute(answer, sizeof(route), RTA_CACHEINFO)))
        {
            own.mtu = 0;
        }
        own.initialWindow = segments;
        netlink.Ask(relay, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, own.Build(), what);
    });
}

} // namespace ns3qemu
