/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "device-credit.h"

#include "ns3/net-device-queue-interface.h"
#include "ns3/packet.h"
#include "ns3/pointer.h"
#include "ns3/queue.h"

#include <stdexcept>

namespace ns3
{

namespace
{

/* No device's own header is longer than this, in bytes. */
constexpr uint32_t LINK_HEADER_MAX = 64;

} // namespace

DeviceCredit::DeviceCredit(Ptr<NetDevice> device, Callback<void> onCredit)
    : m_device(device),
      m_flowControl(device->GetObject<NetDeviceQueueInterface>()),
      m_onCredit(onCredit)
{
    PointerValue queue;
    if (device->GetAttributeFailSafe("TxQueue", queue))
    {
        m_queue = queue.Get<Queue<Packet>>();
    }
    if (!m_queue && !m_flowControl)
    {
        throw std::invalid_argument(
            "a device of the type " + device->GetInstanceTypeId().GetName() +
            " cannot tell when its queue is full, so there is no back-pressure");
    }
    if (m_queue)
    {
        m_queue->TraceConnectWithoutContext("Dequeue",
                                            MakeCallback(&DeviceCredit::OnDequeue, this));
    }
    for (size_t i = 0; m_flowControl && i < m_flowControl->GetNTxQueues(); i++)
    {
        m_flowControl->GetTxQueue(i)->SetWakeCallback(m_onCredit);
    }
}

DeviceCredit::~DeviceCredit()
{
    if (m_queue)
    {
        m_queue->TraceDisconnectWithoutContext("Dequeue",
                                               MakeCallback(&DeviceCredit::OnDequeue, this));
    }
    for (size_t i = 0; m_flowControl && i < m_flowControl->GetNTxQueues(); i++)
    {
        m_flowControl->GetTxQueue(i)->SetWakeCallback(Callback<void>());
    }
}

void
DeviceCredit::OnDequeue(Ptr<const Packet> packet)
{
    m_onCredit();
}

uint32_t
DeviceCredit::CountFree() const
{
    if (!m_queue)
    {
        return 1;
    }
    const QueueSize limit = m_queue->GetMaxSize();
    const uint32_t used = m_queue->GetCurrentSize().GetValue();
    const uint32_t free = limit.GetValue() > used ? limit.GetValue() - used : 0;
    return limit.GetUnit() == QueueSizeUnit::PACKETS
               ? free
               : free / (m_device->GetMtu() + LINK_HEADER_MAX);
}

uint32_t
DeviceCredit::Get() const
{
    for (size_t i = 0; m_flowControl && i < m_flowControl->GetNTxQueues(); i++)
    {
        if (m_flowControl->GetTxQueue(i)->IsStopped())
        {
            return 0;
        }
    }
    return CountFree();
}

} // namespace ns3
