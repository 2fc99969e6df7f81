/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TRAFFIC_CONTROL_H
#define NS3_QEMU_TRAFFIC_CONTROL_H

#include "ns3/traffic-control-layer.h"

#include <map>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief A machine's node's traffic control layer: queue discs of ns-3 become the guest's own.
 *
 * TrafficControlHelper, and what else asks a node for its ns3::TrafficControlLayer, finds it. A
 * queue disc that is installed on a device is never given a packet: it says what the guest's
 * interface is to have (see MapQueueDisc), from time 0 on, or at once while the machine runs. The
 * device's NIC gets back-pressure, and the shortest transmit ring, for a queueing discipline only
 * holds what its device does not take.
 *
 * Without one, a device has its kernel's default queueing discipline and no back-pressure, for
 * which a GuestDefaultQueueDisc stands: so Ipv4AddressHelper, which installs a queue disc where
 * there is none, installs nothing.
 */
class QemuTrafficControl : public TrafficControlLayer
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuTrafficControl();
    ~QemuTrafficControl() override;

    // Inherited from TrafficControlLayer
    void ScanDevices() override;
    /**
     * @throw std::invalid_argument if the device is none that can be a NIC, has a queue disc
     *        already, or Linux has no counterpart of this one
     * @throw ns3qemu::GuestError what the guest refuses, while it runs
     */
    void SetRootQueueDiscOnDevice(Ptr<NetDevice> device, Ptr<QueueDisc> disc) override;
    Ptr<QueueDisc> GetRootQueueDiscOnDevice(Ptr<NetDevice> device) const override;
    /** The device has what it had before, its kernel's default one. */
    void DeleteRootQueueDiscOnDevice(Ptr<NetDevice> device) override;

  protected:
    void DoDispose() override;
    void NotifyNewAggregate() override;

  private:
    Ptr<VirtualMachine> GetMachine() const;
    void Carry(Ptr<NetDevice> device);
    void CarryAll();

    std::map<Ptr<NetDevice>, Ptr<QueueDisc>> m_discs;
    mutable std::map<Ptr<NetDevice>, Ptr<QueueDisc>> m_defaults;
    bool m_waiting{false}; // for the machine
};

} // namespace ns3

#endif /* NS3_QEMU_TRAFFIC_CONTROL_H */
