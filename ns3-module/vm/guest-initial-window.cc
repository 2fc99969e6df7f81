/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-initial-window.h"

#include "guest-netlink.h"

#include <cstring>
#include <linux/rtnetlink.h>
#include <vector>

namespace ns3qemu
{

namespace
{

std::vector<uint8_t>
Request(uint16_t type, int flags, const std::vector<uint8_t>& body)
{
    nlmsghdr header{};
    header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + body.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    std::vector<uint8_t> message(header.nlmsg_len);
    std::memcpy(message.data(), &header, sizeof(header));
    std::memcpy(message.data() + sizeof(header), body.data(), body.size());
    return message;
}

/* An attribute's value in the answer to RTM_GETROUTE; empty: it has none. */
std::vector<uint8_t>
FindAttribute(const std::vector<uint8_t>& answer, uint16_t type)
{
    size_t at = sizeof(nlmsghdr) + sizeof(rtmsg);
    while (at + sizeof(rtattr) <= answer.size())
    {
        rtattr attribute;
        std::memcpy(&attribute, answer.data() + at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > answer.size() - at)
        {
            break;
        }
        if (attribute.rta_type == type)
        {
            const auto begin = answer.begin() + static_cast<ptrdiff_t>(at);
            return {begin + sizeof(attribute), begin + attribute.rta_len};
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    return {};
}

} // namespace

void
SetInitialWindow(RelayClient& relay, const GuestAddress& host, uint32_t segments)
{
    const size_t size = host.family == RELAY_INET ? 4 : 16;
    rtmsg route{};
    route.rtm_family = host.family;
    route.rtm_dst_len = static_cast<uint8_t>(8 * size);
    std::vector<uint8_t> body;
    GuestNetlink::Append(body, &route, sizeof(route));
    GuestNetlink::AppendAttribute(body, RTA_DST, host.bytes.data(), size);
    const auto answer = relay.Netlink(NETLINK_ROUTE, Request(RTM_GETROUTE, 0, body));

    if (answer.size() >= sizeof(nlmsghdr) + sizeof(route))
    {
        std::memcpy(&route, answer.data() + sizeof(nlmsghdr), sizeof(route));
    }
    if (route.rtm_type != RTN_UNICAST)
    {
        return; // to itself, where a route of the main table would do harm
    }
    const auto gateway = FindAttribute(answer, RTA_GATEWAY);
    const auto interface = FindAttribute(answer, RTA_OIF);
    route = rtmsg{};
    route.rtm_family = host.family;
    route.rtm_dst_len = static_cast<uint8_t>(8 * size);
    route.rtm_table = RT_TABLE_MAIN;
    route.rtm_protocol = RTPROT_STATIC;
    route.rtm_scope = gateway.empty() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    route.rtm_type = RTN_UNICAST;
    body.clear();
    GuestNetlink::Append(body, &route, sizeof(route));
    GuestNetlink::AppendAttribute(body, RTA_DST, host.bytes.data(), size);
    if (!gateway.empty())
    {
        GuestNetlink::AppendAttribute(body, RTA_GATEWAY, gateway.data(), gateway.size());
    }
    GuestNetlink::AppendAttribute(body, RTA_OIF, interface.data(), interface.size());
    std::vector<uint8_t> metrics;
    GuestNetlink::AppendNumber(metrics, RTAX_INITCWND, segments);
    GuestNetlink::AppendAttribute(body, RTA_METRICS, metrics.data(), metrics.size());
    relay.Netlink(NETLINK_ROUTE,
                  Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, body));
}

} // namespace ns3qemu
