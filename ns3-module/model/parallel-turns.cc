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
#include <map>
#include <sched.h>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("ParallelTurns");

namespace
{

struct Place;

/* By time; of the same time, who began first. */
using Places = std::map<std::pair<int64_t, uint64_t>, Place*>;

/* A machine that takes part, and what is known of when it may go ahead. All of it is kept from one
 * look to the next, so that a look costs the same however many machines there are: only those are
 * looked at of which something has changed, and those whose time has come. */
struct Place
{
    VirtualMachine* machine;
    uint64_t number; // of its beginning
    bool stale{true};
    Places* among{nullptr}; // g_ready, g_waiting or neither
    int64_t time{0};        // under which it is there
};

std::unordered_map<const VirtualMachine*, Place> g_taking;
uint64_t g_number = 0;
/* Those that may have changed since the last look. */
std::vector<Place*> g_stale;
/* Those that may go ahead, by their first turn; and those that could not, by when to try again. */
Places g_ready;
Places g_waiting;
std::vector<Place*> g_going;
bool g_scheduled = false;

void
Withdraw(Place& place)
{
    if (auto* among = std::exchange(place.among, nullptr))
    {
        among->erase({place.time, place.number});
    }
}

void
Put(Place& place, Places& among, int64_t time)
{
    place.among = &among;
    place.time = time;
    among.emplace(std::make_pair(time, place.number), &place);
}

void
MarkStale(Place& place)
{
    if (!place.stale)
    {
        place.stale = true;
        g_stale.push_back(&place);
    }
}

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

/* It goes ahead, and there is no time to try again. */
constexpr int64_t GOES = -1;

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
    auto& place = g_taking[machine];
    place.machine = machine;
    place.number = g_number++;
    g_stale.push_back(&place);
}

void
ParallelTurns::Remove(VirtualMachine* machine)
{
    NS_LOG_FUNCTION(machine);
    const auto found = g_taking.find(machine);
    if (found == g_taking.end())
    {
        return;
    }
    auto* place = &found->second;
    Withdraw(*place);
    for (auto* list : {&g_stale, &g_going})
    {
        list->erase(std::remove(list->begin(), list->end(), place), list->end());
    }
    g_taking.erase(found);
    if (g_taking.empty())
    {
        /* What is scheduled will not come if the simulation is destroyed. */
        g_scheduled = false;
    }
}

void
ParallelTurns::Schedule(const VirtualMachine* machine)
{
    const auto found = g_taking.find(machine);
    if (found != g_taking.end())
    {
        MarkStale(found->second);
    }
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
    CollectGoing();
    if (g_going.size() >= GetLimit())
    {
        return;
    }
    const int64_t now = Simulator::Now().GetNanoSeconds();
    while (!g_waiting.empty() && g_waiting.begin()->first.first <= now)
    {
        auto* place = g_waiting.begin()->second;
        Withdraw(*place);
        MarkStale(*place);
    }
    static std::vector<Place*> stale; // reused, since this is done for each turn
    stale.clear();
    stale.swap(g_stale);
    for (auto* place : stale)
    {
        place->stale = false;
        Withdraw(*place);
        auto& machine = *place->machine;
        const int64_t next =
            !machine.IsGoing() && machine.CanGoAhead() ? FindNext(machine) : SIM_LINK_NO_DEADLINE;
        if (next != SIM_LINK_NO_DEADLINE)
        {
            Put(*place, g_ready, next);
        }
    }
    /* Who is needed first goes first. */
    while (!g_ready.empty() && g_going.size() < GetLimit())
    {
        auto* place = g_ready.begin()->second;
        Withdraw(*place);
        const int64_t again = GoAhead(*place->machine);
        if (again == GOES)
        {
            g_going.push_back(place);
        }
        else
        {
            Put(*place, g_waiting, again);
        }
    }
}

/* Those that have ended their turns may go ahead again. */
void
ParallelTurns::CollectGoing()
{
    const auto ended = [](Place* place) {
        place->machine->CollectAhead();
        if (place->machine->IsGoing())
        {
            return false;
        }
        MarkStale(*place);
        return true;
    };
    g_going.erase(std::remove_if(g_going.begin(), g_going.end(), ended), g_going.end());
}

/* The machine's first turn after those it has had; SIM_LINK_NO_DEADLINE if it takes no part. */
int64_t
ParallelTurns::FindNext(const VirtualMachine& machine)
{
    NS_LOG_FUNCTION(&machine);
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

/* When the time may have passed on far enough for a turn at `next` to be certain, if nothing is
 * sent to the machine before: if something is, it is looked at anyway. */
int64_t
ParallelTurns::FindWhenCertain(const VirtualMachine& machine, int64_t next)
{
    const int64_t now = Simulator::Now().GetNanoSeconds();
    int64_t when = now;
    for (const auto& nic : machine.GetNics())
    {
        auto* link = nic->GetLookAhead();
        when = std::max(when, next - (link->GetHorizon() - now) + 1);
        const auto& arrivals = link->GetArrivals();
        if (!arrivals.empty() && (!link->IsReliable() || !nic->HasCarrier()))
        {
            when = std::max(when, arrivals.front().time + 1);
        }
    }
    return when;
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

/* @return GOES, or when it is to be tried again unless something changes for the machine before */
int64_t
ParallelTurns::GoAhead(VirtualMachine& machine)
{
    const int64_t now = Simulator::Now().GetNanoSeconds();
    const int64_t begin = machine.GetHorizon();
    int64_t horizon = FindHorizon(machine);
    const int64_t next = FindNext(machine);
    if (next >= horizon)
    {
        return FindWhenCertain(machine, next);
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
        return now;
    }
    const int64_t first = inputs.empty() ? SIM_LINK_NO_DEADLINE : inputs.front().time;
    if (std::min(first, machine.GetNextTimer()) >= horizon)
    {
        return horizon; // it is an event or a tie that is in the way
    }
    /* Only now: tables are read for the machine that is about to go, not for each candidate. */
    if (machine.CompareConfiguration())
    {
        return next; // its next turn carries it
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
        return next;
    }
    machine.GoAhead(horizon, limit);
    return GOES;
}

} // namespace ns3
