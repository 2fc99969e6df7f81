/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-traffic-control.h"

#include "qemu-net-device.h"
#include "queue-disc-mapping.h"
#include "virtual-machine.h"

#include "ns3/boolean.h"
#include "ns3/guest-qdisc.h"
#include "ns3/log.h"
#include "ns3/loopback-net-device.h"
#include "ns3/node.h"
#include "ns3/queue-disc.h"
#include "ns3/uinteger.h"

#include <iostream>
#include <stdexcept>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuTrafficControl");

namespace
{

/* What waits in a ring is beyond the queueing discipline's control: 14 frames of the shortest. */
constexpr uint32_t SHORT_RING = 32;

/* Stands for the queueing discipline that a guest's kernel gives an interface by itself. */
class GuestDefaultQueueDisc : public QueueDisc
{
  public:
    static TypeId GetTypeId()
    {
        static TypeId tid = TypeId("ns3::GuestDefaultQueueDisc")
                                .SetParent<QueueDisc>()
                                .SetGroupName("Qemu")
                                .AddConstructor<GuestDefaultQueueDisc>();
        return tid;
    }

    GuestDefaultQueueDisc()
        : QueueDisc(QueueDiscSizePolicy::NO_LIMITS)
    {
    }

  private:
    bool DoEnqueue(Ptr<QueueDiscItem> item) override
    {
        return false; // it is the guest that queues
    }

    Ptr<QueueDiscItem> DoDequeue() override
    {
        return nullptr;
    }

    bool CheckConfig() override
    {
        return true;
    }

    void InitializeParams() override
    {
    }
};

NS_OBJECT_ENSURE_REGISTERED(GuestDefaultQueueDisc);

Ptr<NetDevice>
GetOwnDevice(Ptr<NetDevice> device)
{
    const auto nic = DynamicCast<QemuNetDevice>(device);
    return nic ? nic->GetJoinedDevice() : device;
}

void
SetBackPressure(Ptr<QemuNetDevice> nic, bool on, bool early)
{
    nic->SetAttribute("BackPressure", BooleanValue(on));
    if (early)
    {
        UintegerValue usual;
        TypeId::AttributeInformation ring;
        QemuNetDevice::GetTypeId().LookupAttributeByName("TxRing", &ring);
        usual.DeserializeFromString(ring.initialValue->SerializeToString(ring.checker),
                                    ring.checker);
        nic->SetAttribute("TxRing", on ? UintegerValue(SHORT_RING) : usual);
    }
}

/* What ns-3's object counts and traces looks right and is not. Told once in a simulator. */
bool g_told = false;

void
TellOfStatistics(const std::string& machine, Ptr<QueueDisc> disc, const std::string& kind)
{
    if (!g_told)
    {
        g_told = true;
        std::cerr << "VM '" << machine << "': in place of " << disc->GetInstanceTypeId().GetName()
                  << " the guest's own " << kind
                  << " is on this device, and the statistics, size and trace sources of ns-3's "
                     "object stay at 0. The guest's are told by ns3_qemu.guest.qdiscs(machine), or "
                     "leave a node whose queue disc you study to InternetStackHelper."
                  << std::endl;
    }
}

} // namespace

NS_OBJECT_ENSURE_REGISTERED(QemuTrafficControl);

TypeId
QemuTrafficControl::GetTypeId()
{
    static TypeId tid = TypeId("ns3::QemuTrafficControl")
                            .SetParent<TrafficControlLayer>()
                            .SetGroupName("Qemu")
                            .AddConstructor<QemuTrafficControl>();
    return tid;
}

QemuTrafficControl::QemuTrafficControl()
{
    NS_LOG_FUNCTION(this);
}

QemuTrafficControl::~QemuTrafficControl()
{
    NS_LOG_FUNCTION(this);
}

void
QemuTrafficControl::DoDispose()
{
    NS_LOG_FUNCTION(this);
    m_discs.clear();
    m_defaults.clear();
    TrafficControlLayer::DoDispose();
}

void
QemuTrafficControl::NotifyNewAggregate()
{
    TrafficControlLayer::NotifyNewAggregate();
    const auto machine = GetMachine();
    if (machine && !m_waiting)
    {
        m_waiting = true;
        machine->WhenRunning([this]() { CarryAll(); });
    }
}

Ptr<VirtualMachine>
QemuTrafficControl::GetMachine() const
{
    return GetObject<VirtualMachine>();
}

void
QemuTrafficControl::ScanDevices()
{
    /* No device's queue is this one's to control. */
}

void
QemuTrafficControl::SetRootQueueDiscOnDevice(Ptr<NetDevice> device, Ptr<QueueDisc> disc)
{
    NS_LOG_FUNCTION(this << device << disc);
    const auto machine = GetMachine();
    const auto own = GetOwnDevice(device);
    machine->CheckDevice(own);
    if (m_discs.count(own) != 0)
    {
        throw std::invalid_argument(
            "VM '" + machine->GetName() + "': the device has the queue disc " +
            m_discs[own]->GetInstanceTypeId().GetName() +
            " already; take it away first (TrafficControlHelper::Uninstall)");
    }
    std::string kind;
    try
    {
        kind = MapQueueDisc(disc, own->GetMtu()).kind; // so that a mistake is told where it is made
    }
    catch (const std::invalid_argument& error)
    {
        throw std::invalid_argument("VM '" + machine->GetName() + "': " + error.what());
    }
    SetBackPressure(machine->GetNic(own), true, machine->IsEarly());
    m_discs[own] = disc;
    TellOfStatistics(machine->GetName(), disc, kind);
    if (machine->IsRunning() && !machine->IsEarly())
    {
        Carry(own);
    }
}

Ptr<QueueDisc>
QemuTrafficControl::GetRootQueueDiscOnDevice(Ptr<NetDevice> device) const
{
    const auto own = GetOwnDevice(device);
    const auto found = m_discs.find(own);
    if (found != m_discs.end())
    {
        return found->second;
    }
    if (own != device || DynamicCast<LoopbackNetDevice>(device))
    {
        return nullptr;
    }
    auto& standing = m_defaults[own];
    if (!standing)
    {
        standing = CreateObject<GuestDefaultQueueDisc>();
    }
    return standing;
}

void
QemuTrafficControl::DeleteRootQueueDiscOnDevice(Ptr<NetDevice> device)
{
    NS_LOG_FUNCTION(this << device);
    const auto machine = GetMachine();
    const auto own = GetOwnDevice(device);
    if (m_discs.erase(own) == 0)
    {
        return;
    }
    SetBackPressure(machine->GetNic(own), false, machine->IsEarly());
    if (machine->IsRunning() && !machine->IsEarly())
    {
        const uint32_t interface =
            machine->GetInterfaceIndices().at(machine->GetNic(own)->GetNicIndex());
        machine->Request(
            [&](ns3qemu::RelayClient& relay) { ns3qemu::ResetGuestQdisc(relay, interface); });
    }
}

void
QemuTrafficControl::Carry(Ptr<NetDevice> device)
{
    const auto machine = GetMachine();
    const auto qdisc = MapQueueDisc(m_discs.at(device), device->GetMtu());
    const uint32_t interface =
        machine->GetInterfaceIndices().at(machine->GetNic(device)->GetNicIndex());
    machine->Request(
        [&](ns3qemu::RelayClient& relay) { ns3qemu::SetGuestQdisc(relay, interface, qdisc); });
}

void
QemuTrafficControl::CarryAll()
{
    NS_LOG_FUNCTION(this);
    /* In the order of the NICs, which is the same in each run. */
    for (const auto& nic : GetMachine()->GetNics())
    {
        if (m_discs.count(nic->GetJoinedDevice()) != 0)
        {
            Carry(nic->GetJoinedDevice());
        }
    }
}

} // namespace ns3
