/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_IPV6_H
#define NS3_QEMU_IPV6_H

#include "guest-interfaces.h"
#include "guest-ip-traces.h"
#include "guest-stack.h"
#include "node-routes.h"
#include "ns3-versions.h"

#include "ns3/ipv6-l3-protocol.h"

#include <cstdint>
#include <string>
#include <vector>

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
 *
 * It is an Ipv6L3Protocol for those who ask a node for that, to follow packets by its trace sources
 * (FlowMonitor, captures): it has its own of their names, see GuestIpTraces. Nothing else of that
 * class is used.
 */
class QemuIpv6 : public EndSystemModel<Ipv6L3Protocol>,
                 public GuestIpTraces<GuestIpv6Packets>,
                 private GuestStack
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

    /**
     * @param interface its number
     * @param address to be used at once
     * @param addOnLinkRoute false: no route to the address's network comes with it
     */
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

  protected:
    void NotifyNewAggregate() override;
    void DoDispose() override;

  private:
    void SetIpForward(bool forward) override;
    bool GetIpForward() const override;
    void SetMtuDiscover(bool mtuDiscover) override;
    bool GetMtuDiscover() const override;
    void ChooseStrongModel(bool strong) override;
    bool IsStrongModel() const override;

    // Inherited from GuestStack
    void AddGuestAddress(Ptr<NetDevice> device,
                         const ns3qemu::GuestAddress& address,
                         uint8_t prefix) override;
    bool DeleteGuestAddress(Ptr<NetDevice> device, const ns3qemu::GuestAddress& address) override;
    void AddGuestRoute(Ptr<NetDevice> device,
                       const ns3qemu::GuestAddress& destination,
                       uint8_t prefix,
                       const ns3qemu::GuestAddress& gateway,
                       uint32_t initialWindow) override;
    bool DeleteGuestRoute(Ptr<NetDevice> device,
                          const ns3qemu::GuestAddress& destination,
                          uint8_t prefix,
                          const ns3qemu::GuestAddress& gateway) override;
    void CarryForwarding(ns3qemu::RelayClient& relay) override;
    void PrepareNic(ns3qemu::RelayClient& relay, Ptr<NetDevice> device) override;
    void CarryAddresses(ns3qemu::RelayClient& relay) override;
    bool CompareRoutes() override;
    void CarryRoutes(ns3qemu::RelayClient& relay) override;
    bool WantsUp(Ptr<NetDevice> device) const override;
    void NotifyNic(ns3qemu::RelayClient& relay, Ptr<NetDevice> device, bool up) override;
    bool IsObserved() const override;
    Ptr<Packet> ObserveSent(Ptr<NetDevice> device, Ptr<Packet> packet) override;
    void ObserveReceived(Ptr<NetDevice> device, Ptr<const Packet> packet) override;

    using Traces = GuestIpTraces<GuestIpv6Packets>;
    using Interface = GuestInterfaces<Ipv6InterfaceAddress>::Interface;

    [[noreturn]] void Refuse(const std::string& what) const;
    uint32_t GetOrAddInterface(Ptr<NetDevice> device);
    void Apply(uint32_t interface, const Interface& changed);
    bool Remove(uint32_t interface, size_t index);
    void AddLinkLocal(Interface& interface) const;
    std::vector<Ipv6InterfaceAddress> GetCarried(uint32_t interface) const;
    void CarryAddress(ns3qemu::RelayClient& relay,
                      uint32_t interface,
                      const Ipv6InterfaceAddress& address);
    bool IsAnyForwarding() const;
    bool IsRunning() const;

    Ptr<Node> m_node;
    VirtualMachine* m_machine{nullptr}; // beside this in the aggregate
    GuestInterfaces<Ipv6InterfaceAddress> m_interfaces;
    Ptr<Ipv6RoutingProtocol> m_routing; // that the script sees
    NodeRoutes<Ipv6RoutingProtocol> m_routes;
    bool m_forward{false};
    bool m_strong{true}; // said, without effect
};

} // namespace ns3

#endif /* NS3_QEMU_IPV6_H */
