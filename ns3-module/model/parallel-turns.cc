/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "parallel-turns.h"

#include "context-scheduler.h"
#include "link-look-ahead.h"
#include "qemu-net-device.h"
#include "run-monitor.h"
#include "virtual-machine.h"

#include "ns3/event-impl.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/sim-link.h"
#include "ns3/simulator.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <sched.h>
#include <utility>
#include <vector>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("ParallelTurns");

namespace
{

std::vector<VirtualMachine*> g_taking;
bool g_scheduled = false;

/* How many machines are ahead at the same time: more than there are CPUs displace each other. */
size_t
GetLimit()
{
    static const size_t limit = []() {
        cpu_set_t cpus;
        const int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
        return static_cast<size_t>(std::max(n, 2));
    }();
    return limit;
}

int64_t
ToNs(uint64_t timestamp)
{
    return TimeStep(timestamp).GetNanoSeconds();
}

std::deque<LinkLookAhead::Arrival>::const_iterator
FirstFrom(const std::deque<LinkLookAhead::Arrival>& arrivals, int64_t time)
{
    return std::lower_bound(
        arrivals.begin(),
        arrivals.end(),
        time,
        [](const LinkLookAhead::Arrival& arrival, int64_t t) { return arrival.time < t; });
}

/* An arrival at a NIC. */
struct Input
{
    int64_t time;
    const QemuNetDevice* nic;
    Ptr<const Packet> packet;
};

} // namespace

void
ParallelTurns::Add(VirtualMachine* machine)
{
    NS_LOG_FUNCTION(machine);
    if (!ContextScheduler::Get())
    {
        ContextScheduler::Install();
    }
    ContextScheduler::Get()->Follow(machine->GetNode()->GetId());
    g_taking.push_back(machine);
}

void
ParallelTurns::Remove(VirtualMachine* machine)
{
    NS_LOG_FUNCTION(machine);
    g_taking.erase(std::remove(g_taking.begin(), g_taking.end(), machine), g_taking.end());
    if (g_taking.empty())
    {
        /* What is scheduled will not come if the simulation is destroyed. */
        g_scheduled = false;
    }
}

void
ParallelTurns::Schedule()
{
    if (!g_scheduled && !g_taking.empty())
    {
        /* An event of its own: the present one may still want something of a machine. */
        g_scheduled = true;
        Simulator::ScheduleWithContext(Simulator::NO_CONTEXT, Time(0), &ParallelTurns::LookOrFail);
    }
}

void
ParallelTurns::LookOrFail()
{
    try
    {
        Look();
    }
    catch (const ns3qemu::VmError& error)
    {
        RunMonitor::Fail(error.what());
    }
}

void
ParallelTurns::Look()
{
    g_scheduled = false;
    if (!ContextScheduler::Get())
    {
        return; // the script has chosen another scheduler
    }
    /* Reused, since this is done for each turn. */
    static std::vector<std::pair<int64_t, VirtualMachine*>> candidates;
    candidates.clear();
    size_t going = 0;
    for (auto* machine : g_taking)
    {
        machine->CollectAhead();
        if (machine->IsGoing())
        {
            going++;
        }
        else if (machine->CanGoAhead())
        {
            const int64_t next = FindNext(*machine);
            if (next != SIM_LINK_NO_DEADLINE)
            {
                candidates.emplace_back(next, machine);
            }
        }
    }
    if (going >= GetLimit())
    {
        return;
    }
    /* Who is needed first goes first; of the same time, who began first. */
    std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
        return a.first < b.first;
    });
    for (const auto& [next, machine] : candidates)
    {
        if (going >= GetLimit())
        {
            break;
        }
        going += GoAhead(*machine) ? 1 : 0;
    }
}

/* The machine's first turn after those it has had; SIM_LINK_NO_DEADLINE if it takes no part. */
int64_t
ParallelTurns::FindNext(const VirtualMachine& machine)
{
    int64_t next = machine.GetNextTimer();
    for (const auto& nic : machine.GetNics())
    {
        auto* link = nic->GetLookAhead();
        if (!link || nic->GetCredit() != SIM_LINK_CREDIT_UNLIMITED)
        {
            return SIM_LINK_NO_DEADLINE;
        }
        const auto& arrivals = link->GetArrivals();
        const auto first = FirstFrom(arrivals, machine.GetHorizon());
        if (first != arrivals.end())
        {
            next = std::min(next, first->time);
        }
    }
    return next;
}

/* The time before which all frames that reach the machine are on their way, and reach it. */
int64_t
ParallelTurns::FindHorizon(const VirtualMachine& machine)
{
    int64_t horizon = SIM_LINK_NO_DEADLINE;
    for (const auto& nic : machine.GetNics())
    {
        auto* link = nic->GetLookAhead();
        horizon = std::min(horizon, link->GetHorizon());
        const auto& arrivals = link->GetArrivals();
        if (!arrivals.empty() && (!link->IsReliable() || !nic->HasCarrier()))
        {
            horizon = std::min(horizon, arrivals.front().time);
        }
    }
    return horizon;
}

/* When the first event comes that may want something of the machine; `until` if none is earlier. */
int64_t
ParallelTurns::FindUnknownEvent(const VirtualMachine& machine, int64_t until)
{
    const auto* scheduler = ContextScheduler::Get();
    for (const auto& [key, event] : scheduler->GetPending(Simulator::NO_CONTEXT))
    {
        if (!event->IsCancelled())
        {
            until = std::min(until, ToNs(key.m_ts));
            break;
        }
    }
    const int64_t now = Simulator::Now().GetNanoSeconds();
    static std::vector<int64_t> known;
    known.clear();
    known.push_back(machine.GetTimer());
    for (const auto& nic : machine.GetNics())
    {
        auto* link = nic->GetLookAhead();
        /* What a device does when it has sent a frame is nothing to the machine. */
        if (link->GetTransmitEnd() == now)
        {
            return now; // has that been, or is it still to come?
        }
        known.push_back(link->GetTransmitEnd());
        for (const auto& arrival : link->GetArrivals())
        {
            if (arrival.time >= until)
            {
                break;
            }
            known.push_back(arrival.time);
        }
    }
    std::sort(known.begin(), known.end());
    auto next = known.begin();
    for (const auto& [key, event] : scheduler->GetPending(machine.GetNode()->GetId()))
    {
        const int64_t time = ToNs(key.m_ts);
        if (time >= until)
        {
            break;
        }
        if (event->IsCancelled())
        {
            continue;
        }
        while (next != known.end() && *next < time)
        {
            ++next;
        }
        if (next == known.end() || *next != time)
        {
            return time;
        }
        ++next;
    }
    return until;
}

bool
ParallelTurns::GoAhead(VirtualMachine& machine)
{
    const int64_t now = Simulator::Now().GetNanoSeconds();
    const int64_t begin = machine.GetHorizon();
    int64_t horizon = FindHorizon(machine);
    if (FindNext(machine) >= horizon)
    {
        return false;
    }
    horizon = FindUnknownEvent(machine, horizon);

    static std::vector<Input> inputs;
    inputs.clear();
    for (const auto& nic : machine.GetNics())
    {
        const auto& arrivals = nic->GetLookAhead()->GetArrivals();
        for (auto arrival = FirstFrom(arrivals, begin);
             arrival != arrivals.end() && arrival->time < horizon;
             ++arrival)
        {
            inputs.push_back({arrival->time, PeekPointer(nic), arrival->packet});
        }
    }
    std::stable_sort(inputs.begin(), inputs.end(), [](const Input& a, const Input& b) {
        return a.time < b.time;
    });
    /* Which of two at the same time comes first, is for the scheduler to say. */
    const auto tie =
        std::adjacent_find(inputs.begin(), inputs.end(), [](const auto& a, const auto& b) {
            return a.time == b.time;
        });
    if (tie != inputs.end())
    {
        horizon = tie->time;
        inputs.erase(tie, inputs.end());
    }
    /* An arrival at this very time may be what the present events are about. */
    if (!inputs.empty() && inputs.front().time == now)
    {
        return false;
    }
    const int64_t first = inputs.empty() ? SIM_LINK_NO_DEADLINE : inputs.front().time;
    if (std::min(first, machine.GetNextTimer()) >= horizon)
    {
        return false;
    }
    /* Only now: tables are read for the machine that is about to go, not for each candidate. */
    if (machine.CompareConfiguration())
    {
        return false;
    }
    const uint32_t limit = machine.GetAheadLimit();
    static std::vector<uint8_t> frame;
    uint32_t queued = 0;
    for (const auto& input : inputs)
    {
        if (queued == limit || !input.nic->GetLookAhead()->BuildFrame(input.packet, frame) ||
            !machine.QueueAhead(input.time, input.nic->GetNicIndex(), frame))
        {
            horizon = input.time;
            break;
        }
        queued++;
    }
    if (queued == 0 && machine.GetNextTimer() >= horizon)
    {
        return false;
    }
    machine.GoAhead(horizon, limit);
    return true;
}

} // namespace ns3
