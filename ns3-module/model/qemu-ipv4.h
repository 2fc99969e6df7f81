/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_IPV4_H
#define NS3_QEMU_IPV4_H

#include "guest-interfaces.h"
#include "routing-tables.h"

#include "ns3/guest-routes.h"
#include "ns3/ipv4.h"

#include <cstdint>
#include <map>
#include <utility>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief IPv4 of a node with a virtual machine, for the scripts and helpers of ns-3: what they say
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
 * What the guest's kernel refuses is thrown as ns3qemu::GuestError by the method that asked for it.
 */
class QemuIpv4 : public Ipv4
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuIpv4();
    ~QemuIpv4() override;

    /**
     * @param routingProtocol static or global routing, or a list of them
     * @throw std::invalid_argument for any other
     */
    void SetRoutingProtocol(Ptr<Ipv4RoutingProtocol> routingProtocol) override;
    Ptr<Ipv4RoutingProtocol> GetRoutingProtocol() const override;
    /**
     * @param device a device of this node
     * @throw std::invalid_argument if it is another node's
     */
    uint32_t AddInterface(Ptr<NetDevice> device) override;
    uint32_t GetNInterfaces() const override;
    int32_t GetInterfaceForAddress(Ipv4Address address) const override;
    int32_t GetInterfaceForPrefix(Ipv4Address address, Ipv4Mask mask) const override;
    int32_t GetInterfaceForDevice(Ptr<const NetDevice> device) const override;
    Ptr<NetDevice> GetNetDevice(uint32_t interface) override;
    bool IsDestinationAddress(Ipv4Address address, uint32_t iif) const override;

    bool AddAddress(uint32_t interface, Ipv4InterfaceAddress address) override;
    uint32_t GetNAddresses(uint32_t interface) const override;
    Ipv4InterfaceAddress GetAddress(uint32_t interface, uint32_t addressIndex) const override;
    bool RemoveAddress(uint32_t interface, uint32_t addressIndex) override;
    bool RemoveAddress(uint32_t interface, Ipv4Address address) override;
    Ipv4Address SelectSourceAddress(Ptr<const NetDevice> device,
                                    Ipv4Address dst,
                                    Ipv4InterfaceAddress::InterfaceAddressScope_e scope) override;
    Ipv4Address SourceAddressSelection(uint32_t interface, Ipv4Address dest) override;

    /** The metric is global routing's; the guest does not use it. */
    void SetMetric(uint32_t interface, uint16_t metric) override;
    uint16_t GetMetric(uint32_t interface) const override;
    uint16_t GetMtu(uint32_t interface) const override;
    bool IsUp(uint32_t interface) const override;
    /** The guest's NIC is up, unless the node's Ipv6 has set it down. */
    void SetUp(uint32_t interface) override;
    /** The guest's NIC is down, for IPv6 as well. */
    void SetDown(uint32_t interface) override;
    bool IsForwarding(uint32_t interface) const override;
    void SetForwarding(uint32_t interface, bool val) override;

    /* The guest's kernel has its own protocols and sends its own packets: these throw
     * std::logic_error. */
    void Send(Ptr<Packet> packet,
              Ipv4Address source,
              Ipv4Address destination,
              uint8_t protocol,
              Ptr<Ipv4Route> route) override;
    void SendWithHeader(Ptr<Packet> packet, Ipv4Header ipHeader, Ptr<Ipv4Route> route) override;
    void Insert(Ptr<IpL4Protocol> protocol) override;
    void Insert(Ptr<IpL4Protocol> protocol, uint32_t interfaceIndex) override;
    void Remove(Ptr<IpL4Protocol> protocol) override;
    void Remove(Ptr<IpL4Protocol> protocol, uint32_t interfaceIndex) override;
    Ptr<Socket> CreateRawSocket() override;
    void DeleteRawSocket(Ptr<Socket> socket) override;
    /** @return nullptr */
    Ptr<IpL4Protocol> GetProtocol(int protocolNumber) const override;
    Ptr<IpL4Protocol> GetProtocol(int protocolNumber, int32_t interfaceIndex) const override;

    /* ---- for VirtualMachine ---- */

    /** @return the interface of a device; it is made and set up if there is none */
    uint32_t GetOrAddInterface(Ptr<NetDevice> device);
    /**
     * Add a route to the node's static routing, with what that cannot express.
     * @param destination its network
     * @param mask its mask
     * @param gateway 0.0.0.0 for a destination on the link
     * @param interface over which it leads
     * @param initialWindow initcwnd in segments; 0 leaves it to the kernel
     */
    void AddRoute(Ipv4Address destination,
                  Ipv4Mask mask,
                  Ipv4Address gateway,
                  uint32_t interface,
                  uint32_t initialWindow);

    /** Delete a route of the node's static routing. @return false if it has no such route */
    bool DeleteRoute(Ipv4Address destination,
                     Ipv4Mask mask,
                     Ipv4Address gateway,
                     uint32_t interface);

    /** @return false if the NIC of this device must not be up */
    bool WantsUp(Ptr<NetDevice> device) const;
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
    bool GetWeakEsModel() const override;
    void SetWeakEsModel(bool model) override;
    void SetStrongEndSystemModel(bool model) override;
    bool GetStrongEndSystemModel() const override;

    using Route = std::pair<ns3qemu::RouteKey, ns3qemu::RouteTarget>;

    [[noreturn]] void Refuse(const std::string& what) const;
    bool Remove(uint32_t interface, size_t index);
    void SetGuestForwarding(ns3qemu::RelayClient& relay, uint32_t interface, bool forward);
    bool IsNetworkOf(uint32_t interface, Ipv4Address network, Ipv4Mask mask) const;
    bool IsReached(uint32_t interface, Ipv4Address address) const;
    Route MakeRoute(const Ipv4RoutingTableEntry& entry, uint32_t metric) const;
    ns3qemu::GuestRoutes::Routes CollectRoutes() const;
    bool IsRunning() const;

    Ptr<Node> m_node;
    VirtualMachine* m_machine{nullptr}; // beside this in the aggregate
    GuestInterfaces<Ipv4InterfaceAddress> m_interfaces;
    Ptr<Ipv4RoutingProtocol> m_routing; // that the script sees
    RoutingTables<Ipv4RoutingProtocol> m_tables;
    ns3qemu::GuestRoutes m_routes; // that the guest has
    bool m_stale{true};            // they may differ from the tables' routes
    /* The routes of VirtualMachine::AddRoute, and their initial window. */
    std::map<Route, uint32_t> m_options;
    bool m_forward{true};
};

} // namespace ns3

#endif /* NS3_QEMU_IPV4_H */
