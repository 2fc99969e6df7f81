/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_DEVICE_CREDIT_H
#define NS3_QEMU_DEVICE_CREDIT_H

#include "ns3/callback.h"
#include "ns3/net-device.h"
#include "ns3/queue.h"

#include <cstdint>

namespace ns3
{

class NetDeviceQueueInterface;

/**
 * @ingroup qemu
 * @brief How many frames a NetDevice's transmit queue still takes, and when it takes more again.
 *
 * Two things can tell: the device's queue, where it has one that is seen from outside (the
 * attribute TxQueue: point-to-point, CSMA, SimpleNetDevice), and the flow control that a device's
 * helper adds for ns-3's traffic control (NetDeviceQueueInterface: point-to-point, CSMA, Wi-Fi).
 */
class DeviceCredit
{
  public:
    /**
     * @param device a device
     * @param onCredit called whenever it may take frames again, in the midst of its work
     * @throw std::invalid_argument if the device has neither
     */
    DeviceCredit(Ptr<NetDevice> device, Callback<void> onCredit);
    ~DeviceCredit();
    DeviceCredit(const DeviceCredit&) = delete;
    DeviceCredit& operator=(const DeviceCredit&) = delete;

    /** @return how many frames the device takes now; where it cannot be counted, 1 */
    uint32_t Get() const;

  private:
    uint32_t CountFree() const;
    void OnDequeue(Ptr<const Packet> packet);

    Ptr<NetDevice> m_device;
    Ptr<NetDeviceQueueInterface> m_flowControl;
    Ptr<Queue<Packet>> m_queue;
    Callback<void> m_onCredit;
};

} // namespace ns3

#endif /* NS3_QEMU_DEVICE_CREDIT_H */
