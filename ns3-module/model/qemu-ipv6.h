/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_IPV6_H
#define NS3_QEMU_IPV6_H

#include "guest-interfaces.h"
#include "routing-tables.h"

#include "ns3/guest-routes.h"
#include "ns3/ipv6.h"

#include <cstdint>
#include <map>
#include <utility>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief IPv6 of a node with a virtual machine, for the scripts and helpers of ns-3: what they say
 * of interfaces, addresses, forwarding and routes is carried into the guest.
 *
 * Interface 0 is the loopback interface. Each of the others is a NIC of the machine, and its
 * device is the node's NetDevice that the NIC is joined to. What is said before the simulation
 * begins is carried out at time 0. Later, addresses, forwarding, SetUp and SetDown are carried out
 * at once. The tables of the routing protocols (static and global routing, and lists of them) are
 * read at the beginning of each of the machine's turns, before the guest does anything in it.
 *
 * The packets are the guest's own: it sends and routes them. The routing protocols are never asked.
 *
 * An interface has a link-local address from SetUp on. The guest's kernel makes the same one; it
 * and all addresses of the simulation are used at once, without duplicate address detection.
 * Addresses that the guest makes of router advertisements are not seen here.
 *
 * The guest forwards IPv6 on all interfaces or on none: on all, if one is to forward.
 *
 * What the guest's kernel refuses is thrown as ns3qemu::GuestError by the method that asked for it.
 */
class QemuIpv6 : public Ipv6
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuIpv6();
    ~QemuIpv6() override;

    /**
     * @param routingProtocol static or global routing, or a list of them
     * @throw std::invalid_argument for any other
     */
    void SetRoutingProtocol(Ptr<Ipv6RoutingProtocol> routingProtocol) override;
    Ptr<Ipv6RoutingProtocol> GetRoutingProtocol() const override;
    /**
     * @param device a device of this node
     * @throw std::invalid_argument if it is another node's
     */
    uint32_t AddInterface(Ptr<NetDevice> device) override;
    uint32_t GetNInterfaces() const override;
    int32_t GetInterfaceForAddress(Ipv6Address address) const override;
    int32_t GetInterfaceForPrefix(Ipv6Address address, Ipv6Prefix mask) const override;
    int32_t GetInterfaceForDevice(Ptr<const NetDevice> device) const override;
    Ptr<NetDevice> GetNetDevice(uint32_t interface) override;

    /** @param addOnLinkRoute false: no route to the address's network comes with it */
    bool AddAddress(uint32_t interface,
                    Ipv6InterfaceAddress address,
                    bool addOnLinkRoute = true) override;
    uint32_t GetNAddresses(uint32_t interface) const override;
    Ipv6InterfaceAddress GetAddress(uint32_t interface, uint32_t addressIndex) const override;
    bool RemoveAddress(uint32_t interface, uint32_t addressIndex) override;
    bool RemoveAddress(uint32_t interface, Ipv6Address address) override;
    Ipv6Address SourceAddressSelection(uint32_t interface, Ipv6Address dest) override;

    /** The metric is global routing's; the guest does not use it. */
    void SetMetric(uint32_t interface, uint16_t metric) override;
    uint16_t GetMetric(uint32_t interface) const override;
    uint16_t GetMtu(uint32_t interface) const override;
    bool IsUp(uint32_t interface) const override;
    /** The guest's NIC is up, unless the node's Ipv4 has set it down. */
    void SetUp(uint32_t interface) override;
    /** The guest's NIC is down, for IPv4 as well. */
    void SetDown(uint32_t interface) override;
    bool IsForwarding(uint32_t interface) const override;
    void SetForwarding(uint32_t interface, bool val) override;

    /* The guest's kernel has its own protocols and sends its own packets: these throw
     * std::logic_error. */
    void Send(Ptr<Packet> packet,
              Ipv6Address source,
              Ipv6Address destination,
              uint8_t protocol,
              Ptr<Ipv6Route> route) override;
    void Insert(Ptr<IpL4Protocol> protocol) override;
    void Insert(Ptr<IpL4Protocol> protocol, uint32_t interfaceIndex) override;
    void Remove(Ptr<IpL4Protocol> protocol) override;
    void Remove(Ptr<IpL4Protocol> protocol, uint32_t interfaceIndex) override;
    void SetPmtu(Ipv6Address dst, uint32_t pmtu) override;
    /** Does nothing: the guest's kernel has its own. */
    void RegisterExtensions() override;
    void RegisterOptions() override;
    /** @return nullptr */
    Ptr<IpL4Protocol> GetProtocol(int protocolNumber) const override;
    Ptr<IpL4Protocol> GetProtocol(int protocolNumber, int32_t interfaceIndex) const override;

    /* ---- for VirtualMachine ---- */

    /** @return the interface of a device; it is made and set up if there is none */
    uint32_t GetOrAddInterface(Ptr<NetDevice> device);
    /**
     * Add a route to the node's static routing, with what that cannot express.
     * @param destination its network
     * @param prefix its prefix
     * @param gateway :: for a destination on the link
     * @param interface over which it leads
     * @param initialWindow initcwnd in segments; 0 leaves it to the kernel
     */
    void AddRoute(Ipv6Address destination,
                  Ipv6Prefix prefix,
                  Ipv6Address gateway,
                  uint32_t interface,
                  uint32_t initialWindow);

    /** Delete a route of the node's static routing. @return false if it has no such route */
    bool DeleteRoute(Ipv6Address destination,
                     Ipv6Prefix prefix,
                     Ipv6Address gateway,
                     uint32_t interface);

    /** @return false if the NIC of this device must not be up */
    bool WantsUp(Ptr<NetDevice> device) const;
    /** Prepare a NIC, before it is up. */
    void PrepareNic(ns3qemu::RelayClient& relay, Ptr<NetDevice> device);
    /** Tell the guest which interfaces forward. */
    void CarryForwarding(ns3qemu::RelayClient& relay);
    /** Give the guest all addresses. */
    void CarryAddresses(ns3qemu::RelayClient& relay);
    /** @return whether the tables have changed since they were given to the guest */
    bool HaveRoutesChanged();
    /** Give the guest the routes of the tables, if they have changed. */
    void CarryRoutes(ns3qemu::RelayClient& relay);
    /** The NIC of this device has been set up or down in the guest. */
    void NotifyNic(ns3qemu::RelayClient& relay, Ptr<NetDevice> device, bool up);

  protected:
    void NotifyNewAggregate() override;
    void DoDispose() override;

  private:
    void SetIpForward(bool forward) override;
    bool GetIpForward() const override;
    void SetMtuDiscover(bool mtuDiscover) override;
    bool GetMtuDiscover() const override;
    void SetStrongEndSystemModel(bool model) override;
    bool GetStrongEndSystemModel() const override;

    using Route = std::pair<ns3qemu::RouteKey, ns3qemu::RouteTarget>;

    [[noreturn]] void Refuse(const std::string& what) const;
    bool Remove(uint32_t interface, size_t index);
    void AddLinkLocal(GuestInterfaces<Ipv6InterfaceAddress>::Interface& interface) const;
    void CarryAddresses(ns3qemu::RelayClient& relay, uint32_t interface);
    bool IsAnyForwarding() const;
    bool IsNetworkOf(uint32_t interface, Ipv6Address network, Ipv6Prefix prefix) const;
    bool IsReached(uint32_t interface, Ipv6Address address) const;
    Route MakeRoute(const Ipv6RoutingTableEntry& entry, uint32_t metric) const;
    ns3qemu::GuestRoutes::Routes CollectRoutes() const;
    bool IsRunning() const;

    Ptr<Node> m_node;
    VirtualMachine* m_machine{nullptr}; // beside this in the aggregate
    GuestInterfaces<Ipv6InterfaceAddress> m_interfaces;
    Ptr<Ipv6RoutingProtocol> m_routing; // that the script sees
    RoutingTables<Ipv6RoutingProtocol> m_tables;
    ns3qemu::GuestRoutes m_routes; // that the guest has
    bool m_stale{true};            // they may differ from the tables' routes
    /* The routes of VirtualMachine::AddRoute, and their initial window. */
    std::map<Route, uint32_t> m_options;
    bool m_forward{false};
    bool m_strong{true}; // said, without effect
};

} // namespace ns3

#endif /* NS3_QEMU_IPV6_H */
