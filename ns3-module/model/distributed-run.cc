/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "distributed-run.h"

#include "ns3/node-list.h"
#include "ns3/point-to-point-net-device.h"
#include "ns3/simulator-impl.h"
#include "ns3/simulator.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <set>

namespace ns3
{

namespace
{

/* By name, as the classes are only there if ns-3 has been built with MPI. */
const std::string GRANTED_TIME = "ns3::DistributedSimulatorImpl";
const std::string NULL_MESSAGES = "ns3::NullMessageSimulatorImpl";
const std::string REMOTE_CHANNEL = "ns3::PointToPointRemoteChannel";

/* Whether a type is of this name, or derived from one that is. */
bool
IsA(TypeId type, const std::string& name)
{
    while (type.GetName() != name)
    {
        if (!type.HasParent())
        {
            return false;
        }
        type = type.GetParent();
    }
    return true;
}

bool
IsSimulator(const std::string& name)
{
    return IsA(Simulator::GetImplementation()->GetInstanceTypeId(), name);
}

/* For each link between this rank and another: the other rank, and the delay. These are the links
 * from which the simulators take their look-ahead (CalculateLookAhead). */
template <typename F>
void
ForEachLink(F&& action)
{
    for (auto node = NodeList::Begin(); node != NodeList::End(); ++node)
    {
        const uint32_t n = DistributedRun::IsElsewhere(*node) ? 0 : (*node)->GetNDevices();
        for (uint32_t i = 0; i < n; i++)
        {
            const auto device = (*node)->GetDevice(i);
            const auto channel = device->GetChannel();
            if (!channel || !device->IsPointToPoint() || channel->GetNDevices() != 2)
            {
                continue;
            }
            const auto peer = channel->GetDevice(channel->GetDevice(0) == device ? 1 : 0);
            TimeValue delay;
            if (DistributedRun::IsElsewhere(peer->GetNode()) &&
                channel->GetAttributeFailSafe("Delay", delay))
            {
                action(peer->GetNode()->GetSystemId(), delay.Get());
            }
        }
    }
}

} // namespace

bool
DistributedRun::IsOn()
{
    return IsSimulator(GRANTED_TIME) || IsSimulator(NULL_MESSAGES);
}

bool
DistributedRun::IsElsewhere(Ptr<const Node> node)
{
    return node->GetSystemId() != Simulator::GetSystemId() && IsOn();
}

std::string
DistributedRun::Describe(Ptr<const Node> node)
{
    return "node " + std::to_string(node->GetId()) + " is simulated by rank " +
           std::to_string(node->GetSystemId()) + ", and this is rank " +
           std::to_string(Simulator::GetSystemId());
}

bool
DistributedRun::IsBetweenRanks(Ptr<const Channel> channel)
{
    return IsA(channel->GetInstanceTypeId(), REMOTE_CHANNEL);
}

Time
DistributedRun::GetLag(uint32_t rank)
{
    /* Granted time: a rank goes as far as the least time of all ranks' next events, and the least
     * delay of all its links beyond. Null messages: as far as the other rank's time, and the least
     * delay of the links between the two. The former is no more than the latter. */
    Time lag = Time::Max();
    ForEachLink([&](uint32_t other, Time delay) {
        if (other == rank)
        {
            lag = std::min(lag, delay);
        }
    });
    return lag;
}

uint32_t
DistributedRun::CountOwnEvents()
{
    if (!IsSimulator(NULL_MESSAGES))
    {
        return 0;
    }
    /* The next null message for each neighbour. */
    std::set<uint32_t> neighbours;
    ForEachLink([&](uint32_t rank, Time) { neighbours.insert(rank); });
    return static_cast<uint32_t>(neighbours.size());
}

void
DistributedRun::WatchOthers()
{
    for (auto node = NodeList::Begin(); node != NodeList::End(); ++node)
    {
        const uint32_t n = IsElsewhere(*node) ? (*node)->GetNDevices() : 0;
        for (uint32_t i = 0; i < n; i++)
        {
            if (const auto device = DynamicCast<PointToPointNetDevice>((*node)->GetDevice(i)))
            {
                device->TraceConnectWithoutContext(
                    "PhyTxBegin",
                    MakeBoundCallback(&DistributedRun::OnStrayPacket, (*node)->GetId()));
            }
        }
    }
}

void
DistributedRun::OnStrayPacket(uint32_t nodeId, Ptr<const Packet> packet)
{
    throw ns3qemu::VmError(
        Describe(NodeList::GetNode(nodeId)) +
        ", but here it sends a packet, too, which would arrive twice. Whatever makes a node send "
        "(an "
        "application, IPv6 or a routing protocol of ns-3's own stack) is to be installed on it "
        "only in its own rank: if node->GetSystemId() == Simulator::GetSystemId()");
}

} // namespace ns3
