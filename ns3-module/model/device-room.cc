/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "device-room.h"

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

DeviceRoom::DeviceRoom(Ptr<NetDevice> device, Callback<void> onRoom)
    : m_device(device),
      m_flowControl(device->GetObject<NetDeviceQueueInterface>()),
      m_onRoom(onRoom)
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
        m_queue->TraceConnectWithoutContext("Dequeue", MakeCallback(&DeviceRoom::OnDequeue, this));
    }
    for (size_t i = 0; m_flowControl && i < m_flowControl->GetNTxQueues(); i++)
    {
        m_flowControl->GetTxQueue(i)->SetWakeCallback(m_onRoom);
    }
}

DeviceRoom::~DeviceRoom()
{
    if (m_queue)
    {
        m_queue->TraceDisconnectWithoutContext("Dequeue",
                                               MakeCallback(&DeviceRoom::OnDequeue, this));
    }
    for (size_t i = 0; m_flowControl && i < m_flowControl->GetNTxQueues(); i++)
    {
        m_flowControl->GetTxQueue(i)->SetWakeCallback(Callback<void>());
    }
}

void
DeviceRoom::OnDequeue(Ptr<const Packet> packet)
{
    m_onRoom();
}

uint32_t
DeviceRoom::CountFree() const
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
DeviceRoom::Get() const
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
