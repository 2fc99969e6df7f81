/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-qdisc.h"

#include "guest-netlink.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

namespace ns3qemu
{

namespace
{

constexpr uint32_t ROOT_HANDLE = 0x10000; // 1:

std::vector<uint8_t>
Body(uint32_t interface, uint32_t parent, uint32_t handle)
{
    tcmsg message{};
    message.tcm_ifindex = static_cast<int>(interface);
    message.tcm_parent = parent;
    message.tcm_handle = handle;
    std::vector<uint8_t> body;
    GuestNetlink::Append(body, &message, sizeof(message));
    return body;
}

void
SetQueueLength(RelayClient& relay, GuestNetlink& netlink, uint32_t interface, uint32_t length)
{
    ifinfomsg link{};
    link.ifi_index = static_cast<int>(interface);
    std::vector<uint8_t> body;
    GuestNetlink::Append(body, &link, sizeof(link));
    GuestNetlink::AppendNumber(body, IFLA_TXQLEN, length);
    netlink.Ask(relay, RTM_SETLINK, 0, body, "setting a transmit queue length");
}

bool
IsInEachKernel(const std::string& kind)
{
    static constexpr std::array<const char*, 4> ALWAYS{"pfifo", "bfifo", "pfifo_fast", "noqueue"};
    return std::find(ALWAYS.begin(), ALWAYS.end(), kind) != ALWAYS.end();
}

void
Create(RelayClient& relay,
       GuestNetlink& netlink,
       uint32_t interface,
       uint32_t parent,
       uint32_t handle,
       const GuestQdisc& qdisc)
{
    if (qdisc.queueLength != 0)
    {
        SetQueueLength(relay, netlink, interface, qdisc.queueLength);
    }
    auto body = Body(interface, parent, handle);
    GuestNetlink::AppendAttribute(body, TCA_KIND, qdisc.kind.c_str(), qdisc.kind.size() + 1);
    if (!qdisc.options.empty())
    {
        GuestNetlink::AppendAttribute(body,
                                      TCA_OPTIONS | (qdisc.nested ? NLA_F_NESTED : 0),
                                      qdisc.options.data(),
                                      qdisc.options.size());
    }
    const std::string what = "setting the queueing discipline " + qdisc.kind;
    try
    {
        netlink.Ask(relay, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, body, what);
    }
    catch (const GuestError& error)
    {
        if (error.GetErrno() != ENOENT || IsInEachKernel(qdisc.kind))
        {
            throw;
        }
        throw GuestError(what + ": the guest's kernel has none of this kind, neither built in nor "
                                "as a module; choose a kernel that has it",
                         error.GetErrno());
    }
}

} // namespace

void
SetGuestQdisc(RelayClient& relay, uint32_t interface, const GuestQdisc& qdisc)
{
    WithGuestNetlink(relay, NETLINK_ROUTE, [&](GuestNetlink& netlink) {
        Create(relay, netlink, interface, TC_H_ROOT, ROOT_HANDLE, qdisc);
        /* Handles of their own, in the order of the tree; classes have the number of their child.
         */
        uint32_t next = ROOT_HANDLE;
        const auto descend =
            [&](const auto& self, const GuestQdisc& parent, uint32_t handle) -> void {
            uint32_t minor = 0;
            for (const auto& child : parent.children)
            {
                minor++;
                if (!child.kind.empty())
                {
                    next += ROOT_HANDLE;
                    const uint32_t own = next;
                    Create(relay, netlink, interface, handle | minor, own, child);
                    self(self, child, own);
                }
            }
        };
        descend(descend, qdisc, ROOT_HANDLE);
    });
}

void
ResetGuestQdisc(RelayClient& relay, uint32_t interface)
{
    WithGuestNetlink(relay, NETLINK_ROUTE, [&](GuestNetlink& netlink) {
        netlink.Ask(relay,
                    RTM_DELQDISC,
                    0,
                    Body(interface, TC_H_ROOT, ROOT_HANDLE),
                    "deleting a queueing discipline");
    });
}

} // namespace ns3qemu
