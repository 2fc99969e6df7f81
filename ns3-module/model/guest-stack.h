/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_STACK_H
#define NS3_QEMU_GUEST_STACK_H

#include "ns3/net-device.h"
#include "ns3/packet.h"
#include "ns3/ptr.h"
#include "ns3/relay-client.h"

#include <cstdint>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief What a machine asks of its node's IPv4 or IPv6, which registers itself with it: see
 * VirtualMachine::AddStack.
 *
 * Devices are the node's own, not the QemuNetDevices that join them. What the guest refuses is
 * thrown as ns3qemu::GuestError.
 */
class GuestStack
{
  public:
    virtual ~GuestStack() = default;

    /* ---- what a script says to the machine: also what the node's Ipv4 or Ipv6 cannot express ----
     */

    /** Give the interface of a device an address; it is made and set up if there is none. */
    virtual void AddGuestAddress(Ptr<NetDevice> device,
                                 const ns3qemu::GuestAddress& address,
                                 uint8_t prefix) = 0;
    /** Take an address away. @return false if the device's interface has none such */
    virtual bool DeleteGuestAddress(Ptr<NetDevice> device,
                                    const ns3qemu::GuestAddress& address) = 0;
    /**
     * Add a route to the node's static routing.
     * @param device over which it leads
     * @param destination its network
     * @param prefix of the network, in bits
     * @param gateway all zero for a destination on the link
     * @param initialWindow initcwnd in segments; 0 leaves it to the kernel
     * @throw std::logic_error if the node has no static routing
     */
    virtual void AddGuestRoute(Ptr<NetDevice> device,
                               const ns3qemu::GuestAddress& destination,
                               uint8_t prefix,
                               const ns3qemu::GuestAddress& gateway,
                               uint32_t initialWindow) = 0;
    /** Delete a route of the node's static routing. @return false if it has none such */
    virtual bool DeleteGuestRoute(Ptr<NetDevice> device,
                                  const ns3qemu::GuestAddress& destination,
                                  uint8_t prefix,
                                  const ns3qemu::GuestAddress& gateway) = 0;

    /* ---- what is carried into the guest, within a turn ---- */

    /** Tell the guest which interfaces forward. */
    virtual void CarryForwarding(ns3qemu::RelayClient& relay) = 0;
    /** Prepare a NIC, before it is up. */
    virtual void PrepareNic(ns3qemu::RelayClient& relay, Ptr<NetDevice> device) = 0;
    /** Give the guest all addresses. */
    virtual void CarryAddresses(ns3qemu::RelayClient& relay) = 0;
    /**
     * Compare the routing tables with what was read of them last.
     * @return whether they may say what the guest does not have
     */
    virtual bool CompareRoutes() = 0;
    /** Give the guest the routes of the tables, if they may have changed. */
    virtual void CarryRoutes(ns3qemu::RelayClient& relay) = 0;

    /** @return false if the NIC of this device must not be up */
    virtual bool WantsUp(Ptr<NetDevice> device) const = 0;
    /** The NIC of this device has been set up or down in the guest. */
    virtual void NotifyNic(ns3qemu::RelayClient& relay, Ptr<NetDevice> device, bool up) = 0;

    /* ---- for who follows packets; as long as nobody does, nothing is done ---- */

    /** @return whether somebody does */
    virtual bool IsObserved() const
    {
        return false;
    }

    /**
     * The guest sends a packet of this family over the NIC of a device.
     * @return the same packet, which may have got tags
     */
    virtual Ptr<Packet> ObserveSent(Ptr<NetDevice> device, Ptr<Packet> packet)
    {
        return packet;
    }

    /** The guest is given one. */
    virtual void ObserveReceived(Ptr<NetDevice> device, Ptr<const Packet> packet)
    {
    }
};

} // namespace ns3

#endif /* NS3_QEMU_GUEST_STACK_H */
