/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_NET_DEVICE_H
#define NS3_QEMU_NET_DEVICE_H

#include "ns3/attribute.h"
#include "ns3/event-id.h"
#include "ns3/mac48-address.h"
#include "ns3/net-device.h"
#include "ns3/nic-filter.h"
#include "ns3/packet.h"
#include "ns3/traced-callback.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ns3qemu
{

struct VmNic;

} // namespace ns3qemu

namespace ns3
{

class DeviceCredit;
class LinkLookAhead;
class Node;
class UnsentFrames;
class VirtualMachine;

/**
 * @ingroup qemu
 * @brief A NIC of a virtual machine, joined to an ordinary NetDevice of the machine's node.
 *
 * The guest sees an Ethernet NIC with the joined device's MAC address and MTU. What it sends is
 * taken out of its Ethernet header and sent by the joined device, with that device's own framing:
 * so a frame has the same size and timing on the link as a native node's. What the joined device
 * receives is put into an Ethernet header and given to the guest.
 *
 * All that fits the wire passes, in both directions: also frames with VLAN tags beside a full MTU,
 * and frames of IEEE 802.3 with a length instead of a type (STP, IS-IS, CDP). On a point-to-point
 * link there is no ARP: the guest's interface has the NOARP flag, and only IPv4 and IPv6 can be
 * framed; with the attribute EthernetFrames it is like any Ethernet, see EthernetFrameTag. What a
 * link cannot carry is dropped, counted (GetUnsent()), and told once on standard error.
 *
 * The guest hears what its driver asks the NIC for: its own address, those of macvlan, bonds and
 * groups, or everything.
 *
 * The guest's interface has a carrier while the joined device's link is up and the attribute
 * Connected is true.
 *
 * With the attribute BackPressure, frames leave the guest's transmit ring only while the joined
 * device's queue has room for them. What does not fit stays in the ring, and when that is full (its
 * length is the attribute TxRing), in the guest's own queueing discipline. Without it, frames go
 * straight into the device's queue, which drops what it cannot hold.
 *
 * Where the guest's computing takes time (VirtualMachine, CpuRate), a frame that finds the receive
 * ring full is lost, as at a real NIC: trace source PhyRxDrop, GetRxMissed(). The ring's length is
 * the attribute RxRing.
 *
 * All trace sources see Ethernet frames, at the time at which they cross between the guest's stack
 * and the device: that is where QemuHelper::EnablePcap captures.
 */
class QemuNetDevice : public NetDevice
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuNetDevice();
    ~QemuNetDevice() override;

    /**
     * Join a NIC of a machine to a device of its node.
     * @param machine the machine
     * @param nic the NIC's number
     * @param device the device
     */
    void Join(Ptr<VirtualMachine> machine, uint32_t nic, Ptr<NetDevice> device);

    /** @return the number of the NIC */
    uint32_t GetNicIndex() const;
    /** @return the device that the NIC is joined to */
    Ptr<NetDevice> GetJoinedDevice() const;

    /** @return whether its link leads to another rank of a distributed simulation */
    bool IsRemote() const;

    /** @return what the machine is to have as this NIC. From now on its MTU has a limit. */
    ns3qemu::VmNic DescribeNic();

    /**
     * @return how many frames the guest may send now, or SIM_LINK_CREDIT_UNLIMITED without
     *         back-pressure
     */
    uint32_t GetCredit() const;

    /** Know what is on its way to the device from now on, if its link lets one know. */
    void EnableLookAhead();
    /** @return what is on its way to the device, or nullptr if one cannot know */
    LinkLookAhead* GetLookAhead() const;

    /** The guest's driver has asked the NIC for other frames. */
    void SetFilter(const ns3qemu::NicFilter& filter);

    /** @return the frames of the guest that the link cannot carry, by the reason */
    const std::map<std::string, uint64_t>& GetUnsent() const;

    /** @return how many frames were lost because the guest's receive ring was full */
    uint64_t GetRxMissed() const;

    /**
     * What has become of the frame that has arrived.
     * @param taken whether it is in the guest's receive ring, or there was no room
     */
    void TellArrival(bool taken);

    /**
     * The guest's driver wants sent what no NIC could.
     * @param data what it has given to the NIC
     * @param length in bytes
     */
    void TellRefused(const uint8_t* data, size_t length);

    /** @return the link's speed in Mbit/s, rounded up; 0 if the joined device has none */
    uint32_t GetSpeed() const;

    /** @return whether the guest's interface should have a carrier */
    bool HasCarrier() const;
    /** @return whether that has changed since the last call; at first it had one */
    bool TakeCarrierChange();

    /**
     * The guest sends a frame.
     * @param frame an Ethernet frame without FCS; nothing about it can be trusted
     * @param length in bytes
     */
    void TransmitFromGuest(const uint8_t* frame, size_t length);

    // Inherited from NetDevice
    void SetIfIndex(const uint32_t index) override;
    uint32_t GetIfIndex() const override;
    Ptr<Channel> GetChannel() const override;
    /**
     * The joined device's address, which the guest's NIC has as well.
     * @param address a 48-bit MAC address
     * @throw std::logic_error once the machine has been started
     */
    void SetAddress(Address address) override;
    Address GetAddress() const override;
    /**
     * The joined device's MTU, and that of the guest's interface.
     * @param mtu in bytes. Once the machine has been started, at most 1500 or what it was then,
     *        whichever is more.
     * @return false if the joined device or the guest's NIC cannot have it
     * @throw ns3qemu::GuestError if the guest refuses it; the MTU is as it was, then
     */
    bool SetMtu(const uint16_t mtu) override;
    uint16_t GetMtu() const override;
    bool IsLinkUp() const override;
    void AddLinkChangeCallback(Callback<void> callback) override;
    bool IsBroadcast() const override;
    Address GetBroadcast() const override;
    bool IsMulticast() const override;
    Address GetMulticast(Ipv4Address multicastGroup) const override;
    Address GetMulticast(Ipv6Address addr) const override;
    bool IsPointToPoint() const override;
    bool IsBridge() const override;
    bool Send(Ptr<Packet> packet, const Address& dest, uint16_t protocolNumber) override;
    bool SendFrom(Ptr<Packet> packet,
                  const Address& source,
                  const Address& dest,
                  uint16_t protocolNumber) override;
    Ptr<Node> GetNode() const override;
    void SetNode(Ptr<Node> node) override;
    bool NeedsArp() const override;
    void SetReceiveCallback(NetDevice::ReceiveCallback cb) override;
    void SetPromiscReceiveCallback(NetDevice::PromiscReceiveCallback cb) override;
    bool SupportsSendFrom() const override;

  protected:
    void DoDispose() override;

  private:
    void ReceiveFromDevice(Ptr<NetDevice> device,
                           Ptr<const Packet> packet,
                           uint16_t protocol,
                           const Address& from,
                           const Address& to,
                           NetDevice::PacketType type);
    void ReceiveWrapped(Ptr<const Packet> packet);
    void ReceiveFrame(Ptr<const Packet> packet,
                      uint16_t protocol,
                      Mac48Address source,
                      Mac48Address destination,
                      NetDevice::PacketType type);
    void SetEthernetFrames(bool ethernetFrames);
    bool HasEthernetFrames() const;
    bool IsEthernetOverPpp() const;
    void CheckPeer() const;
    void CheckRanks() const;
    void FindRate();
    void TraceReceived(const TracedCallback<Ptr<const Packet>>& trace, bool asked);
    void OnWholeFrame(Ptr<const Packet> frame);
    bool SendToLink(const uint8_t* frame, size_t length);
    bool CheckFraming(const uint8_t* frame, size_t length);
    bool IsAskedFor(Mac48Address destination, NetDevice::PacketType type) const;
    Mac48Address GetGuestAddress() const;
    void NoteUnsent(const std::string& reason, const std::string& advice);
    void OnCredit();
    void OnLinkChange();
    void ApplyLink();
    void SetConnected(bool connected);
    bool IsConnected() const;
    void SetBackPressure(bool backPressure);
    bool HasBackPressure() const;

    Ptr<Node> m_node;
    Ptr<NetDevice> m_device;
    VirtualMachine* m_machine{nullptr}; // which owns this
    uint32_t m_nic{0};
    uint32_t m_ifIndex{0};
    bool m_promiscuous{false};
    bool m_ethernetFrames{false};
    bool m_ethernet{false}; // a shared Ethernet, whose frames OnWholeFrame() sees
    ns3qemu::NicFilter m_filter;
    Ptr<const Packet> m_whole; // the frame that is being received, if it is one of IEEE 802.3
    bool m_connected{true};
    bool m_backPressure{false};
    uint32_t m_txRing{256};
    uint32_t m_rxRing{256};
    bool m_offloads{false};
    uint32_t m_rxUsecs{0};
    uint32_t m_rxFrames{0};
    uint32_t m_mtuLimit{0};                     // of the guest's NIC; 0: there is none yet
    bool m_carrier{true};                       // as the guest has it
    std::unique_ptr<DeviceCredit> m_credit;     // once there was back-pressure
    std::unique_ptr<LinkLookAhead> m_lookAhead; // with parallel turns
    std::vector<uint8_t> m_frame;               // that is being received
    Ptr<const Packet> m_observed;               // ... what a stack is to see of it
    uint16_t m_observedProtocol{0};
    bool m_asked{false}; // whether the guest's driver has asked for such frames
    uint64_t m_rxMissed{0};
    EventId m_linkChange;
    Ptr<Object> m_rateOwner; // the device or its channel: which of them has the link's rate
    Ptr<const AttributeAccessor> m_rate;
    std::unique_ptr<UnsentFrames> m_unsent;

    TracedCallback<Ptr<const Packet>> m_macTxTrace;
    TracedCallback<Ptr<const Packet>> m_macTxDropTrace;
    TracedCallback<Ptr<const Packet>> m_macRxTrace;
    TracedCallback<Ptr<const Packet>> m_macRxDropTrace;
    TracedCallback<Ptr<const Packet>> m_phyRxDropTrace;
    TracedCallback<Ptr<const Packet>> m_snifferTrace;
    TracedCallback<Ptr<const Packet>> m_promiscSnifferTrace;
};

} // namespace ns3

#endif /* NS3_QEMU_NET_DEVICE_H */
