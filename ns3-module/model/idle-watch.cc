/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "idle-watch.h"

#include "context-scheduler.h"
#include "distributed-run.h"
#include "virtual-machine.h"

#include "ns3/log.h"
#include "ns3/nstime.h"
#include "ns3/sim-link.h"
#include "ns3/simulator.h"

#include <algorithm>
#include <cctype>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuIdleWatch");

namespace
{

/* Longer than a kernel waits for an answer to what it asks of its own accord, such as who has an
 * address. */
constexpr int64_t QUIET_S = 10;

/* When any machine has sent a frame last. */
Time g_lastFrame;

/* Takes note of it. */
class Watched : public GuestAccess::TurnListener
{
  public:
    explicit Watched(VirtualMachine* machine)
        : m_machine(machine)
    {
        m_machine->AddListener(this);
    }

    ~Watched() override
    {
        m_machine->RemoveListener(this);
    }

    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

    void OnTurn(GuestAccess::TurnCause cause, uint32_t frames) override
    {
        if (frames != 0)
        {
            g_lastFrame = Simulator::Now();
        }
    }

    bool IsAsking() const override
    {
        return false;
    }

    VirtualMachine* GetMachine() const
    {
        return m_machine;
    }

  private:
    VirtualMachine* m_machine;
};

std::vector<std::unique_ptr<Watched>> g_watched;
uint64_t g_generation = 0; // of the event that looks; others are stale

/* Whether a line of /proc/net/tcp shows a connection of which more is to come by itself. */
bool
IsUnderWay(const std::string& line)
{
    std::istringstream words(line);
    std::string number;
    std::string local;
    std::string remote;
    std::string state;
    std::string queues;
    std::string timer;
    words >> number >> local >> remote >> state >> queues >> timer;
    /* SYN_SENT, SYN_RECV, FIN_WAIT1, LAST_ACK, CLOSING, NEW_SYN_RECV */
    static const std::vector<std::string> passing{"02", "03", "04", "09", "0B", "0C"};
    if (std::find(passing.begin(), passing.end(), state) != passing.end())
    {
        return true;
    }
    const bool retransmits = timer.rfind("01", 0) == 0 || timer.rfind("04", 0) == 0;
    const bool hasData = state != "0A" && queues.substr(0, queues.find(':')) != "00000000";
    return retransmits || hasData;
}

bool
HasConnectionUnderWay(const std::vector<uint8_t>& table)
{
    std::istringstream lines(std::string(table.begin(), table.end()));
    std::string line;
    std::getline(lines, line); // the heading
    while (std::getline(lines, line))
    {
        if (IsUnderWay(line))
        {
            return true;
        }
    }
    return false;
}

/* @return the file's contents; none where the kernel has no such file, as without IPv6 */
std::vector<uint8_t>
ReadIfThere(ns3qemu::RelayClient& relay, const std::string& path, bool* there = nullptr)
{
    try
    {
        return relay.ReadFile(path);
    }
    catch (const ns3qemu::GuestError&)
    {
        if (there)
        {
            *there = false;
        }
        return {};
    }
}

} // namespace

void
IdleWatch::Add(VirtualMachine* machine)
{
    NS_LOG_FUNCTION(machine);
    g_watched.push_back(std::make_unique<Watched>(machine));
    if (g_watched.size() == 1)
    {
        g_lastFrame = Simulator::Now();
        Schedule();
    }
}

void
IdleWatch::Remove(VirtualMachine* machine)
{
    NS_LOG_FUNCTION(machine);
    g_watched.erase(
        std::remove_if(g_watched.begin(),
                       g_watched.end(),
                       [machine](const auto& watched) { return watched->GetMachine() == machine; }),
        g_watched.end());
    if (g_watched.empty())
    {
        g_generation++;
    }
}

void
IdleWatch::Schedule()
{
    /* Of no node: where a machine goes ahead of the simulation, it waits for such events. */
    const Time left = g_lastFrame + Seconds(QUIET_S) - Simulator::Now();
    const Time due = left.IsStrictlyPositive() ? left : Seconds(QUIET_S);
    const uint64_t generation = ++g_generation;
    Simulator::ScheduleWithContext(Simulator::NO_CONTEXT, due, &IdleWatch::LookIfDue, generation);
}

void
IdleWatch::LookIfDue(uint64_t generation)
{
    if (generation == g_generation)
    {
        Look();
    }
}

void
IdleWatch::Look()
{
    const bool idle = IsIdle();
    if (g_watched.empty())
    {
        return; // a guest has failed when it was asked
    }
    if (idle && DistributedRun::IsOn())
    {
        std::cerr << "On rank " << Simulator::GetSystemId() << ", at "
                  << Simulator::Now().GetSeconds()
                  << " s, nothing is left to happen but timers of the guests' kernels. What other "
                  << "ranks will send is not known, so the run goes on; it needs Simulator::Stop() "
                  << "to end." << std::endl;
        return;
    }
    if (idle)
    {
        std::cerr << "The run ends at " << Simulator::Now().GetSeconds()
                  << " s: nothing is left to happen but timers of the guests' kernels. "
                  << "Simulator::Stop() gives it another end." << std::endl;
        Simulator::Stop();
    }
    Schedule(); // also for a next run
}

bool
IdleWatch::IsIdle()
{
    if (Simulator::Now() - g_lastFrame < Seconds(QUIET_S) || HasOtherEvents())
    {
        return false;
    }
    std::vector<VirtualMachine*> machines; // to ask one may end others
    for (const auto& watched : g_watched)
    {
        machines.push_back(watched->GetMachine());
    }
    return std::all_of(machines.begin(), machines.end(), [](auto* machine) {
        return !machine->IsRunning() || IsGuestIdle(*machine);
    });
}

bool
IdleWatch::HasOtherEvents()
{
    if (!ContextScheduler::Get())
    {
        ContextScheduler::Install(); // it keeps the order of events, like all schedulers
    }
    const auto timers = std::count_if(g_watched.begin(), g_watched.end(), [](const auto& watched) {
        return watched->GetMachine()->GetTimer() != SIM_LINK_NO_DEADLINE;
    });
    return ContextScheduler::Get()->CountPending() !=
           static_cast<size_t>(timers) + DistributedRun::CountOwnEvents();
}

bool
IdleWatch::IsGuestIdle(VirtualMachine& machine)
{
    bool idle = true;
    machine.Request([&](ns3qemu::RelayClient& relay) {
        /* The relay is the first process: all programs are its children, or become them. A kernel
         * that does not list them may have any. */
        bool listed = true;
        const auto children = ReadIfThere(relay, "/proc/1/task/1/children", &listed);
        const bool programs = std::any_of(children.begin(), children.end(), [](uint8_t c) {
            return std::isdigit(c) != 0;
        });
        idle = listed && !programs && !HasConnectionUnderWay(ReadIfThere(relay, "/proc/net/tcp")) &&
               !HasConnectionUnderWay(ReadIfThere(relay, "/proc/net/tcp6"));
    });
    return idle;
}

} // namespace ns3
