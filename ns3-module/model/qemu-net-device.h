/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_NET_DEVICE_H
#define NS3_QEMU_NET_DEVICE_H

#include "ns3/net-device.h"
#include "ns3/packet.h"
#include "ns3/traced-callback.h"

#include <cstdint>

namespace ns3
{

class Node;
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
 * On a point-to-point link there is no ARP: the guest's interface has the NOARP flag, and only IPv4
 * and IPv6 can be framed; all else that the guest sends is dropped.
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
    uint32_t GetNic() const;
    /** @return the device that the NIC is joined to */
    Ptr<NetDevice> GetJoinedDevice() const;

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
    void SetAddress(Address address) override;
    Address GetAddress() const override;
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
    bool CanBeFramed(uint16_t protocol) const;

    Ptr<Node> m_node;
    Ptr<NetDevice> m_device;
    VirtualMachine* m_machine{nullptr}; // which owns this
    uint32_t m_nic{0};
    uint32_t m_ifIndex{0};
    bool m_promiscuous{false};

    TracedCallback<Ptr<const Packet>> m_macTxTrace;
    TracedCallback<Ptr<const Packet>> m_macTxDropTrace;
    TracedCallback<Ptr<const Packet>> m_macRxTrace;
    TracedCallback<Ptr<const Packet>> m_macRxDropTrace;
    TracedCallback<Ptr<const Packet>> m_snifferTrace;
    TracedCallback<Ptr<const Packet>> m_promiscSnifferTrace;
};

} // namespace ns3

#endif /* NS3_QEMU_NET_DEVICE_H */
