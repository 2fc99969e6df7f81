/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The NICs of a VirtualMachine: which devices they join, and what the guest is told of them.
 */
#include "distributed-run.h"
#include "guest-stack.h"
#include "qemu-net-device.h"
#include "virtual-machine.h"

#include "ns3/bridge-net-device.h"
#include "ns3/format-seconds.h"
#include "ns3/log.h"
#include "ns3/loopback-net-device.h"
#include "ns3/net-device.h"
#include "ns3/node.h"
#include "ns3/simulator.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <iostream>
#include <net/if.h>
#include <stdexcept>
#include <utility>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("VirtualMachineNics");

namespace
{

/* Whether a device of a node is a port of one of its bridges: frames are the bridge's, then. */
bool
IsBridgePort(Ptr<Node> node, Ptr<const NetDevice> device)
{
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        const auto bridge = DynamicCast<BridgeNetDevice>(node->GetDevice(i));
        for (uint32_t port = 0; bridge && port < bridge->GetNBridgePorts(); port++)
        {
            if (bridge->GetBridgePort(port) == device)
            {
                return true;
            }
        }
    }
    return false;
}

} // namespace

/* ---- which there are ---- */

Ptr<QemuNetDevice>
VirtualMachine::GetNic(Ptr<NetDevice> device)
{
    NS_LOG_FUNCTION(this << device);
    if (const auto nic = FindJoined(device))
    {
        return nic;
    }
    CheckDevice(device);
    if (m_driver)
    {
        throw std::logic_error("VM '" + GetName() +
                               "': a NIC cannot be added once the simulation has begun");
    }
    /* NICs are in the order of the devices, whichever is asked for first. */
    JoinDevices(GetObject<Node>(), device);
    const auto nic = FindJoined(device);
    if (!nic)
    {
        throw std::invalid_argument("VM '" + GetName() + "': a device of the type " +
                                    device->GetInstanceTypeId().GetName() + " cannot be a NIC");
    }
    return nic;
}

Ptr<QemuNetDevice>
VirtualMachine::FindJoined(Ptr<NetDevice> device) const
{
    for (const auto& nic : m_nics)
    {
        if (nic == device || nic->GetJoinedDevice() == device)
        {
            return nic;
        }
    }
    return nullptr;
}

void
VirtualMachine::JoinDevices(Ptr<Node> node, Ptr<NetDevice> last)
{
    /* By index: joining a device adds one. */
    const uint32_t n = node->GetNDevices();
    for (uint32_t i = 0; i < n; i++)
    {
        const auto device = node->GetDevice(i);
        if (!DynamicCast<LoopbackNetDevice>(device) && !DynamicCast<QemuNetDevice>(device) &&
            !IsBridgePort(node, device) && !FindJoined(device))
        {
            auto nic = CreateObject<QemuNetDevice>();
            nic->Join(Ptr<VirtualMachine>(this), static_cast<uint32_t>(m_nics.size()), device);
            m_nics.push_back(nic);
            node->AddDevice(nic);
        }
        if (device == last)
        {
            break;
        }
    }
}

uint32_t
VirtualMachine::GetNNics() const
{
    return static_cast<uint32_t>(m_nics.size());
}

Ptr<NetDevice>
VirtualMachine::GetLoopback(Ptr<Node> node)
{
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        if (DynamicCast<LoopbackNetDevice>(node->GetDevice(i)))
        {
            return node->GetDevice(i);
        }
    }
    auto loopback = CreateObject<LoopbackNetDevice>();
    node->AddDevice(loopback);
    return loopback;
}

void
VirtualMachine::CheckDevice(Ptr<const NetDevice> device) const
{
    const auto node = GetObject<Node>();
    if (!node || device->GetNode() != node)
    {
        throw std::invalid_argument("VM '" + GetName() + "': the device belongs to another node");
    }
    if (DynamicCast<const LoopbackNetDevice>(device) || DynamicCast<const QemuNetDevice>(device))
    {
        throw std::invalid_argument("VM '" + GetName() +
                                    "': " + device->GetInstanceTypeId().GetName() +
                                    " is not a device that a NIC can be joined to");
    }
    if (IsBridgePort(node, device))
    {
        throw std::invalid_argument("VM '" + GetName() +
                                    "': the device is a port of a bridge; use the bridge itself");
    }
}

std::vector<ns3qemu::VmNic>
VirtualMachine::DescribeNics() const
{
    std::vector<ns3qemu::VmNic> nics;
    for (const auto& nic : m_nics)
    {
        if (IsBridgePort(m_node, nic->GetJoinedDevice()))
        {
            throw ns3qemu::VmError(
                "VM '" + GetName() +
                "': a device became a port of a bridge when it was a NIC already; "
                "make the bridge before the node's addresses");
        }
        nics.push_back(nic->DescribeNic());
        nics.back().queues = m_queues;
    }
    return nics;
}

/* ---- what the guest is told ---- */

bool
VirtualMachine::WantsUp(Ptr<NetDevice> device) const
{
    return std::all_of(m_stacks.begin(), m_stacks.end(), [&](const auto& stack) {
        return stack.second->WantsUp(device);
    });
}

void
VirtualMachine::ConfigureNics()
{
    auto& relay = m_driver->GetRelay();
    for (const auto& nic : m_nics)
    {
        const auto device = nic->GetJoinedDevice();
        auto& guest = m_guestNics[nic->GetNicIndex()];
        guest.up = WantsUp(device);
        for (const auto& [family, stack] : m_stacks)
        {
            stack->PrepareNic(relay, device);
        }
        RelayLinkSet link{};
        link.nic = nic->GetNicIndex();
        link.set = RELAY_LINK_UP | RELAY_LINK_MTU | RELAY_LINK_ARP;
        link.up = guest.up;
        link.mtu = nic->GetMtu();
        link.arp = nic->NeedsArp();
        if (!m_segmentationOffload)
        {
            link.set |= RELAY_LINK_GSO_MAX_SEGMENTS;
            link.gsoMaxSegments = 1;
        }
        guest.speed = nic->GetSpeed();
        if (guest.speed != 0)
        {
            link.set |= RELAY_LINK_SPEED;
            link.speed = guest.speed;
        }
        relay.SetLink(link);
    }
}

/* @return whether there is something in it for the guest's next turn */
bool
VirtualMachine::CarryCarriers()
{
    bool changed = false;
    for (const auto& nic : m_nics)
    {
        if (nic->TakeCarrierChange())
        {
            m_driver->SetCarrier(nic->GetNicIndex(), nic->HasCarrier());
            changed = true;
        }
    }
    return changed;
}

/* What has become of the links' rates: nothing of ns-3 says when one changes. */
void
VirtualMachine::CarrySpeeds()
{
    if (!IsConfigured())
    {
        return;
    }
    for (const auto& nic : m_nics)
    {
        auto& guest = m_guestNics[nic->GetNicIndex()];
        const uint32_t speed = nic->GetSpeed();
        if (speed != guest.speed && speed != 0)
        {
            RelayLinkSet link{};
            link.nic = nic->GetNicIndex();
            link.set = RELAY_LINK_SPEED;
            link.speed = speed;
            m_driver->GetRelay().SetLink(link);
        }
        guest.speed = speed;
    }
}

void
VirtualMachine::UpdateNic(Ptr<NetDevice> device)
{
    if (!IsConfigured() || DynamicCast<LoopbackNetDevice>(device))
    {
        return;
    }
    const auto nic = GetNic(device);
    auto& guest = m_guestNics[nic->GetNicIndex()];
    const bool up = WantsUp(device);
    if (guest.up == up)
    {
        return;
    }
    NS_LOG_FUNCTION(this << device << up);
    Request([&](ns3qemu::RelayClient& relay) {
        RelayLinkSet link{};
        link.nic = nic->GetNicIndex();
        link.set = RELAY_LINK_UP;
        link.up = up;
        relay.SetLink(link);
        for (const auto& [family, stack] : m_stacks)
        {
            stack->NotifyNic(relay, device, up);
        }
        guest.up = up;
    });
}

bool
VirtualMachine::IsNicUp(Ptr<NetDevice> device)
{
    return m_guestNics.at(GetNic(device)->GetNicIndex()).up;
}

const std::string&
VirtualMachine::GetInterfaceName(Ptr<NetDevice> device)
{
    return m_guestNics.at(GetNic(device)->GetNicIndex()).name;
}

const std::vector<uint32_t>&
VirtualMachine::GetInterfaceIndices() const
{
    return m_interfaceIndices;
}

/* What has become of a frame that has arrived, before all that the guest does because of it. */
void
VirtualMachine::TellArrival(bool taken)
{
    if (auto* nic = std::exchange(m_arrival, nullptr))
    {
        nic->TellArrival(taken);
    }
}

/* Frames of the same time are in the order in which they were sent; but those of another rank in
 * that in which they became events here, which is known to nobody. */
void
VirtualMachine::NoteArrival(uint32_t nic)
{
    if (!m_remote)
    {
        return;
    }
    const int64_t now = Simulator::Now().GetNanoSeconds();
    if (now == m_arrivedAt && nic != m_arrivedBy &&
        (m_nics[nic]->IsRemote() || m_nics[m_arrivedBy]->IsRemote()))
    {
        m_remote = false; // once
        std::cerr << "VM '" << GetName() << "', NICs " << m_arrivedBy << " and " << nic << ": at "
                  << ns3qemu::FormatSeconds(now)
                  << " a frame arrives at each, and one of them comes from another rank. Which of "
                     "the two is first may change from run to run, and with it all that follows. "
                     "Give one of the links another delay, be it by 1 ns."
                  << std::endl;
    }
    m_arrivedAt = now;
    m_arrivedBy = nic;
}

void
VirtualMachine::OnRefused(uint32_t nic, const uint8_t* frame, size_t length)
{
    if (m_holds)
    {
        m_held.push_back([this, nic, held = std::vector<uint8_t>(frame, frame + length)]() {
            OnRefused(nic, held.data(), held.size());
        });
    }
    else if (nic < m_nics.size())
    {
        m_nics[nic]->TellRefused(frame, length);
    }
}

const ns3qemu::RouteMetrics&
VirtualMachine::GetRouteMetrics() const
{
    return m_routeMetrics;
}

void
VirtualMachine::PrepareLinks()
{
    if (m_slowLinks)
    {
        m_driver->GetRelay().Together([this]() {
            CarryConfiguration();
            ConfigureNics();
        });
    }
}

void
VirtualMachine::CheckLinks()
{
    for (const auto& nic : m_nics)
    {
        if (m_guestNics[nic->GetNicIndex()].up &&
            !(m_driver->GetRelay().GetLink(nic->GetNicIndex()).flags & IFF_RUNNING))
        {
            throw ns3qemu::VmError("VM '" + GetName() + "': NIC " +
                                   std::to_string(nic->GetNicIndex()) +
                                   " has no link when the simulation begins. It takes some "
                                   "seconds to come up: give the machine a longer Uptime");
        }
    }
}

} // namespace ns3
