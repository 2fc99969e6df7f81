/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Reads the tables of ns-3's static and global routing.
 */
#ifndef NS3_QEMU_ROUTING_TABLES_H
#define NS3_QEMU_ROUTING_TABLES_H

#include "ns3/ipv4-routing-protocol.h"
#include "ns3/ipv4-routing-table-entry.h"
#include "ns3/ipv6-routing-protocol.h"
#include "ns3/ipv6-routing-table-entry.h"
#include "ns3/ptr.h"

#include <cstdint>
#include <type_traits>
#include <vector>

namespace ns3
{

/** @return the mask of a route's destination */
Ipv4Mask GetDestinationMask(const Ipv4RoutingTableEntry& entry);
/** @return the prefix of a route's destination */
Ipv6Prefix GetDestinationMask(const Ipv6RoutingTableEntry& entry);

/**
 * @ingroup qemu
 * @brief The routes of a routing protocol: of static or global routing, or of a list of them.
 *
 * ns-3's tables tell nobody when they change, so they are compared with what was read last. That is
 * done at the beginning of each of a machine's turns, hence cheaply.
 *
 * @tparam Protocol Ipv4RoutingProtocol or Ipv6RoutingProtocol
 */
template <typename Protocol>
class RoutingTables
{
  public:
    using Entry = std::conditional_t<std::is_same_v<Protocol, Ipv4RoutingProtocol>,
                                     Ipv4RoutingTableEntry,
                                     Ipv6RoutingTableEntry>;

    struct Route
    {
        Entry entry;
        uint32_t metric;
    };

    /** The table of one protocol. */
    struct Table
    {
        Ptr<Protocol> protocol;
        bool firstWins;            //!< of equal routes (global); otherwise the last one (static)
        std::vector<Route> routes; //!< in the table's order
    };

    /**
     * Read this protocol's tables from now on.
     * @throw std::invalid_argument if it, or one in its list, is neither static nor global routing;
     * what was read before stays
     */
    void SetProtocol(Ptr<Protocol> protocol);

    /**
     * Read the tables.
     * @return whether they differ from what was read last
     */
    bool Read();

    /** @return what was read last, the most preferred protocol first */
    const std::vector<Table>& Get() const;

    /** @return the static routing among the protocols, or nullptr */
    Ptr<Protocol> GetStatic() const;

  private:
    static std::vector<Table> FindTables(Ptr<Protocol> protocol);
    static uint32_t CountProtocols(Ptr<Protocol> protocol);

    Ptr<Protocol> m_protocol;
    uint32_t m_protocols{0}; // in the list, when it was last looked through
    std::vector<Table> m_tables;
};

} // namespace ns3

#endif /* NS3_QEMU_ROUTING_TABLES_H */
