/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "timed-turns.h"

#include "context-scheduler.h"
#include "distributed-run.h"
#include "qemu-net-device.h"
#include "virtual-machine.h"

#include "ns3/channel.h"
#include "ns3/event-impl.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/sim-link.h"
#include "ns3/simulator.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("TimedTurns");

namespace
{

/* The event of each one's next timer, by its number: whose an event is must not take longer where
 * there are more of them. */
std::unordered_map<uint32_t, const VirtualMachine*> g_timers;

/* Not those derived from them, which may do as they please. */
const std::string DELAYING_CHANNELS[] = {
    "ns3::PointToPointChannel",
    "ns3::CsmaChannel",
    "ns3::SimpleChannel",
};

/* The least time in ns from when anything is sent to a device until it arrives. */
int64_t
GetLookAhead(Ptr<const NetDevice> device)
{
    const auto channel = device->GetChannel();
    if (!channel)
    {
        return 0;
    }
    const std::string type = channel->GetInstanceTypeId().GetName();
    TimeValue delay;
    if (std::find(std::begin(DELAYING_CHANNELS), std::end(DELAYING_CHANNELS), type) ==
            std::end(DELAYING_CHANNELS) ||
        !channel->GetAttributeFailSafe("Delay", delay))
    {
        return 0;
    }
    return delay.Get().GetNanoSeconds();
}

int64_t
GetLookAhead(const VirtualMachine& machine)
{
    int64_t least = SIM_LINK_NO_DEADLINE;
    for (const auto& nic : machine.GetNics())
    {
        least = std::min(least, GetLookAhead(nic->GetJoinedDevice()));
    }
    return least;
}

/* Rounded up, for ns-3's times may be finer than a ns. */
int64_t
ToNs(uint64_t timestamp)
{
    const Time time = TimeStep(timestamp);
    const int64_t ns = time.GetNanoSeconds();
    return NanoSeconds(ns) < time ? ns + 1 : ns;
}

int64_t
AddUpTo(int64_t time, int64_t duration)
{
    return time > SIM_LINK_NO_DEADLINE - duration ? SIM_LINK_NO_DEADLINE : time + duration;
}

} // namespace

void
TimedTurns::Add(VirtualMachine* machine)
{
    NS_LOG_FUNCTION(machine);
    if (DistributedRun::IsOn())
    {
        throw ns3qemu::VmError("VM '" + machine->GetName() +
                               "': CpuRate and a distributed simulation exclude each other, for "
                               "what other ranks will send is not known; leave CpuRate at 0");
    }
    if (!ContextScheduler::Get())
    {
        ContextScheduler::Install();
    }
}

void
TimedTurns::SetTimer(const VirtualMachine* machine, uint32_t before, uint32_t now)
{
    g_timers.erase(before);
    g_timers[now] = machine;
}

void
TimedTurns::Remove(uint32_t timer)
{
    NS_LOG_FUNCTION(timer);
    g_timers.erase(timer);
}

int64_t
TimedTurns::FindHorizon(const VirtualMachine& machine)
{
    const auto* scheduler = ContextScheduler::Get();
    if (!scheduler)
    {
        throw ns3qemu::VmError("VM '" + machine.GetName() +
                               "': with CpuRate the simulation needs the scheduler "
                               "ns3::ContextScheduler, which the module sets; leave it");
    }
    const int64_t now = Simulator::Now().GetNanoSeconds();
    const int64_t reached = std::max(machine.GetReached(), now);
    const int64_t lookAhead = GetLookAhead(machine);
    int64_t horizon = SIM_LINK_NO_DEADLINE;
    for (const auto& [key, event] : scheduler->GetAll())
    {
        const int64_t time = ToNs(key.m_ts);
        if (time >= horizon)
        {
            break;
        }
        if (event->IsCancelled())
        {
            continue;
        }
        const auto whose = g_timers.find(key.m_uid);
        if (whose == g_timers.end())
        {
            horizon = std::min(horizon, time); // also with Parallel, or it would be another run
        }
        else if (whose->second != &machine)
        {
            const int64_t arrival = AddUpTo(time, lookAhead);
            horizon = std::min(horizon, arrival > reached ? arrival : AddUpTo(reached, QUANTUM));
        }
    }
    return horizon;
}

} // namespace ns3
