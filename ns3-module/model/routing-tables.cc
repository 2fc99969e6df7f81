/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "routing-tables.h"

#include "ns3-versions.h"

#include "ns3/ipv4-list-routing.h"
#include "ns3/ipv4-static-routing.h"
#include "ns3/ipv6-list-routing.h"
#include "ns3/ipv6-static-routing.h"

#include <list>
#include <stdexcept>
#include <utility>

namespace ns3
{

namespace
{

/*
 * GetRoute(i) walks a list from its head, so reading a table with it takes a time that grows with
 * the square of its length: too long where it is done for every turn and global routing has filled
 * the table. So the lists themselves are read. An explicit instantiation may name private members.
 */
template <typename Name, auto Pointer>
struct Expose
{
    friend constexpr auto GetList(Name)
    {
        return Pointer;
    }
};

#define NS3_QEMU_LIST(name, member)                                                                \
    struct name                                                                                    \
    {                                                                                              \
        friend constexpr auto GetList(name);                                                       \
    };                                                                                             \
    template struct Expose<name, &member>

NS3_QEMU_LIST(StaticRoutes4, Ipv4StaticRouting::m_networkRoutes);
NS3_QEMU_LIST(GlobalHostRoutes, Ipv4GlobalRouting::m_hostRoutes);
NS3_QEMU_LIST(GlobalNetworkRoutes, Ipv4GlobalRouting::m_networkRoutes);
NS3_QEMU_LIST(GlobalExternalRoutes, Ipv4GlobalRouting::m_ASexternalRoutes);
NS3_QEMU_LIST(StaticRoutes6, Ipv6StaticRouting::m_networkRoutes);

#undef NS3_QEMU_LIST

using Routing4 = Ipv4RoutingProtocol;
using Routing6 = Ipv6RoutingProtocol;

/* What differs between the families. */
template <typename Protocol>
using ListRouting =
    std::conditional_t<std::is_same_v<Protocol, Routing4>, Ipv4ListRouting, Ipv6ListRouting>;
template <typename Protocol>
using StaticRouting =
    std::conditional_t<std::is_same_v<Protocol, Routing4>, Ipv4StaticRouting, Ipv6StaticRouting>;

bool
IsGlobal(Ptr<Routing4> protocol)
{
    return DynamicCast<Ipv4GlobalRouting>(protocol) != nullptr;
}

bool
IsGlobal(Ptr<Routing6>)
{
    return false;
}

template <typename Entry>
bool
AreSame(const Entry& a, const Entry& b)
{
    return a.GetDest() == b.GetDest() && GetDestinationMask(a) == GetDestinationMask(b) &&
           a.GetGateway() == b.GetGateway() && a.GetInterface() == b.GetInterface();
}

/* Calls visit(entry, metric) for each route. */
template <typename F>
void
VisitStatic(const Ipv4StaticRouting& routing, F&& visit)
{
    for (const auto& [entry, metric] : routing.*GetList(StaticRoutes4{}))
    {
        visit(*entry, metric);
    }
}

template <typename F>
void
VisitStatic(const Ipv6StaticRouting& routing, F&& visit)
{
    for (const auto& [entry, metric] : routing.*GetList(StaticRoutes6{}))
    {
        visit(*entry, metric);
    }
}

template <typename F>
void
Visit(const Routing4& protocol, bool global, F&& visit)
{
    if (!global)
    {
        VisitStatic(static_cast<const Ipv4StaticRouting&>(protocol), visit);
        return;
    }
    const auto& routing = static_cast<const Ipv4GlobalRouting&>(protocol);
    for (const auto* list : {&(routing.*GetList(GlobalHostRoutes{})),
                             &(routing.*GetList(GlobalNetworkRoutes{})),
                             &(routing.*GetList(GlobalExternalRoutes{}))})
    {
        for (const auto* entry : *list)
        {
            visit(*entry, 0);
        }
    }
}

template <typename F>
void
Visit(const Routing6& protocol, bool, F&& visit)
{
    VisitStatic(static_cast<const Ipv6StaticRouting&>(protocol), visit);
}

} // namespace

Ipv4Mask
GetDestinationMask(const Ipv4RoutingTableEntry& entry)
{
    return entry.GetDestNetworkMask();
}

Ipv6Prefix
GetDestinationMask(const Ipv6RoutingTableEntry& entry)
{
    return entry.GetDestNetworkPrefix();
}

template <typename Protocol>
void
RoutingTables<Protocol>::SetProtocol(Ptr<Protocol> protocol)
{
    m_tables = FindTables(protocol);
    m_protocol = protocol;
    m_protocols = CountProtocols(protocol);
}

/* In the list; 0 for a protocol that is none. */
template <typename Protocol>
uint32_t
RoutingTables<Protocol>::CountProtocols(Ptr<Protocol> protocol)
{
    const auto* list = dynamic_cast<ListRouting<Protocol>*>(PeekPointer(protocol));
    return list ? list->GetNRoutingProtocols() : 0;
}

template <typename Protocol>
std::vector<typename RoutingTables<Protocol>::Table>
RoutingTables<Protocol>::FindTables(Ptr<Protocol> protocol)
{
    std::vector<Ptr<Protocol>> protocols;
    if (const auto list = DynamicCast<ListRouting<Protocol>>(protocol))
    {
        for (uint32_t i = 0; i < list->GetNRoutingProtocols(); i++)
        {
            int16_t priority = 0;
            protocols.push_back(list->GetRoutingProtocol(i, priority));
        }
    }
    else if (protocol)
    {
        protocols.push_back(protocol);
    }
    std::vector<Table> tables;
    for (const auto& each : protocols)
    {
        const bool global = IsGlobal(each);
        if (!global && !DynamicCast<StaticRouting<Protocol>>(each))
        {
            throw std::invalid_argument(
                each->GetInstanceTypeId().GetName() +
                " routes packets of ns-3's own stack, not those of a virtual machine: its node can "
                "have static and global routing, and lists of them");
        }
        tables.push_back(Table{each, global, {}});
    }
    return tables;
}

template <typename Protocol>
bool
RoutingTables<Protocol>::Read()
{
    bool changed = false;
    if (CountProtocols(m_protocol) != m_protocols)
    {
        SetProtocol(m_protocol);
        changed = true;
    }
    for (auto& table : m_tables)
    {
        size_t at = 0;
        Visit(*table.protocol, table.firstWins, [&](const Entry& entry, uint32_t metric) {
            if (at == table.routes.size())
            {
                table.routes.push_back(Route{entry, metric});
                changed = true;
            }
            else if (auto& known = table.routes[at];
                     known.metric != metric || !AreSame(known.entry, entry))
            {
                known = Route{entry, metric};
                changed = true;
            }
            at++;
        });
        if (at != table.routes.size())
        {
            table.routes.erase(table.routes.begin() + static_cast<ptrdiff_t>(at),
                               table.routes.end());
            changed = true;
        }
    }
    return changed;
}

template <typename Protocol>
const std::vector<typename RoutingTables<Protocol>::Table>&
RoutingTables<Protocol>::Get() const
{
    return m_tables;
}

template <typename Protocol>
Ptr<Protocol>
RoutingTables<Protocol>::GetStatic() const
{
    for (const auto& table : m_tables)
    {
        if (!table.firstWins)
        {
            return table.protocol;
        }
    }
    return nullptr;
}

template class RoutingTables<Ipv4RoutingProtocol>;
template class RoutingTables<Ipv6RoutingProtocol>;

} // namespace ns3
