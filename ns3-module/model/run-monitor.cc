/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "run-monitor.h"

#include "distributed-run.h"
#include "virtual-machine.h"

#include "ns3/fatal-impl.h"
#include "ns3/global-value.h"
#include "ns3/log.h"
#include "ns3/relay-client.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/type-id.h"
#include "ns3/vm-error.h"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <iostream>
#include <new>
#include <sstream>
#include <stdexcept>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuRunMonitor");

namespace
{

using Clock = std::chrono::steady_clock;

/* What ends a run, and what the process had in store for it. */
struct WatchedSignal
{
    int number;
    const char* name;
    struct sigaction previous;
    bool caught;
    timer_t second; // sends the signal once more

    /** @return whether it would simply have ended the process */
    bool IsDeadly() const
    {
        return !(previous.sa_flags & SA_SIGINFO) && previous.sa_handler == SIG_DFL;
    }
};

std::array<WatchedSignal, 4> g_signals = {{{SIGINT, "SIGINT", {}, false, {}},
                                           {SIGTERM, "SIGTERM", {}, false, {}},
                                           {SIGHUP, "SIGHUP", {}, false, {}},
                                           {SIGQUIT, "SIGQUIT", {}, false, {}}}};
/* One that has come and ends the run, or 0. */
volatile std::sig_atomic_t g_interrupted = 0;
bool g_stopped = false; // the run, by a signal
bool g_catching = false;

/* For a script that is busy with something else than machines: then the signal does as ever. */
constexpr time_t PATIENCE_S = 3;

RunMonitor::Progress g_progress;
Clock::duration g_interval{};
Clock::time_point g_nextReport{};

const VirtualMachine* g_turn = nullptr; // the machine that has its turn

void
ReportProgress()
{
    const auto now = Clock::now();
    if (g_progress && now >= g_nextReport)
    {
        g_nextReport = now + g_interval;
        g_progress(Simulator::Now().GetSeconds());
    }
}

/** @return what is known of a signal, or nullptr */
WatchedSignal*
Find(int number)
{
    for (auto& watched : g_signals)
    {
        if (watched.number == number)
        {
            return &watched;
        }
    }
    return nullptr;
}

/** End the process as the signal would have done by itself. */
void
Die(int number)
{
    std::signal(number, SIG_DFL);
    std::raise(number);
}

extern "C" void
OnSignal(int number, siginfo_t* info, void* context)
{
    const auto* watched = Find(number);
    if (watched->IsDeadly())
    {
        if (g_interrupted)
        {
            /* The second one: somebody is in earnest. */
            Die(number);
            return;
        }
        g_interrupted = number;
        const struct itimerspec later = {{}, {PATIENCE_S, 0}};
        if (timer_settime(watched->second, 0, &later, nullptr) != 0)
        {
            Die(number); // a forked process, whose parent the timer and the run belong to
        }
        return;
    }
    g_interrupted = number;
    if (watched->previous.sa_flags & SA_SIGINFO)
    {
        watched->previous.sa_sigaction(number, info, context);
    }
    else
    {
        /* Python's handler only takes note, and raises KeyboardInterrupt when it runs again. */
        watched->previous.sa_handler(number);
    }
}

/* What has been recorded is in its files then. In one piece, as other ranks may have something to
 * say, too. */
void
Tell(const std::string& text)
{
    FatalImpl::FlushStreams();
    std::cerr << "ns3-qemu: " + text + "\n" << std::flush;
}

/* Nobody has caught it: what the user is to know of it is what it says. */
[[noreturn]] void
Say(const std::exception& error)
{
    Tell(error.what());
    /* Not exit(): a simulation in the midst of an event is not to be taken apart. */
    std::_Exit(EXIT_FAILURE);
}

/* ns-3 aborts where it is to make a simulator that it has not been built with. */
void
CheckSimulator()
{
    StringValue wanted;
    TypeId type;
    if (GlobalValue::GetValueByNameFailSafe("SimulatorImplementationType", wanted) &&
        !TypeId::LookupByNameFailSafe(wanted.Get(), &type))
    {
        Say(std::invalid_argument(
            "this ns-3 has no simulator '" + wanted.Get() +
            "'. The distributed ones are in ns-3's module mpi: build a tree of ns-3 with "
            "--enable-mpi (its Python package and Debian's library come without)"));
    }
}

extern const std::terminate_handler g_before;

/* Of what this module throws; anything else is for who was here before. */
[[noreturn]] void
Terminate()
{
    if (const auto error = std::current_exception())
    {
        try
        {
            std::rethrow_exception(error);
        }
        catch (const ns3qemu::VmError& said)
        {
            Say(said);
        }
        catch (const ns3qemu::GuestError& said)
        {
            Say(said);
        }
        catch (const std::invalid_argument& said)
        {
            Say(said);
        }
        catch (const std::bad_alloc&)
        {
            Say(std::runtime_error("this process has no memory for more: is `ulimit -v` set?"));
        }
        catch (...)
        {
        }
    }
    else
    {
        CheckSimulator();
    }
    g_before();
    std::abort();
}

/* There as soon as the module is. */
const std::terminate_handler g_before = std::set_terminate(Terminate);

} // namespace

void
RunMonitor::SetProgress(Progress progress, double interval)
{
    g_progress = std::move(progress);
    g_interval =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(interval));
    g_nextReport = {};
}

bool
RunMonitor::WasInterrupted()
{
    return g_interrupted != 0 || g_stopped;
}

void
RunMonitor::ForgetInterrupt()
{
    const auto* watched = Find(g_interrupted);
    if (watched && !watched->IsDeadly())
    {
        g_interrupted = 0;
    }
}

void
RunMonitor::CatchInterrupts()
{
    if (g_catching)
    {
        return;
    }
    g_catching = true;
    g_interrupted = 0;
    g_stopped = false;
    for (auto& watched : g_signals)
    {
        sigaction(watched.number, nullptr, &watched.previous);
        if (!(watched.previous.sa_flags & SA_SIGINFO) && watched.previous.sa_handler == SIG_IGN)
        {
            /* Somebody wants this process to go on, as nohup does, and shells for a job in the
             * background. */
            continue;
        }
        struct sigevent event = {};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = watched.number;
        struct sigaction action = {};
        action.sa_sigaction = OnSignal;
        action.sa_flags = SA_RESTART | SA_SIGINFO;
        sigemptyset(&action.sa_mask);
        watched.caught = timer_create(CLOCK_MONOTONIC, &event, &watched.second) == 0 &&
                         sigaction(watched.number, &action, nullptr) == 0;
    }
}

void
RunMonitor::ReleaseInterrupts()
{
    if (!g_catching)
    {
        return;
    }
    EndProcess(); // if one came after the last turn
    g_catching = false;
    for (auto& watched : g_signals)
    {
        if (watched.caught)
        {
            sigaction(watched.number, &watched.previous, nullptr);
            timer_delete(watched.second);
            watched.caught = false;
        }
    }
}

void
RunMonitor::Poll()
{
    if (g_interrupted)
    {
        Interrupted();
        return;
    }
    g_stopped = false; // it goes on, by another Simulator::Run
    ReportProgress();
}

void
RunMonitor::SetTurn(const VirtualMachine* machine)
{
    g_turn = machine;
}

std::string
RunMonitor::GetTurn()
{
    return g_turn ? g_turn->GetName() : "";
}

void
RunMonitor::CheckInterrupt()
{
    if (g_interrupted)
    {
        throw std::runtime_error("interrupted");
    }
    /* Not before simulated time 0, when all machines boot and none has a turn of the run's. */
    if (g_turn && Simulator::Now().IsStrictlyPositive())
    {
        ReportProgress();
    }
}

void
RunMonitor::Fail(const std::string& diagnosis)
{
    NS_LOG_FUNCTION(diagnosis);
    throw ns3qemu::VmError(diagnosis);
}

void
RunMonitor::Interrupted()
{
    NS_LOG_FUNCTION_NOARGS();
    EndProcess();
    if (DistributedRun::IsOn())
    {
        /* The others would go on, with nobody at the other end. */
        Fail("rank " + std::to_string(Simulator::GetSystemId()) + " was interrupted");
    }
    g_interrupted = 0;
    g_stopped = true;
    Simulator::Stop();
}

void
RunMonitor::EndProcess()
{
    const auto* watched = Find(g_interrupted);
    if (watched && watched->IsDeadly())
    {
        const struct itimerspec never = {};
        timer_settime(watched->second, 0, &never, nullptr);
        std::ostringstream said;
        if (DistributedRun::IsOn())
        {
            said << "rank " << Simulator::GetSystemId() << ": ";
        }
        said << watched->name << " ends the run after " << Simulator::Now().GetSeconds()
             << " s of simulated time; what it has recorded is kept";
        Tell(said.str());
        Die(watched->number);
    }
}

} // namespace ns3
