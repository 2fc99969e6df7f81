/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "run-monitor.h"

#include "distributed-run.h"

#include "ns3/fatal-impl.h"
#include "ns3/global-value.h"
#include "ns3/log.h"
#include "ns3/relay-client.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/type-id.h"
#include "ns3/vm-error.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuRunMonitor");

namespace
{

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t g_interrupted = 0;
bool g_catching = false;
struct sigaction g_previous = {};

RunMonitor::Progress g_progress;
Clock::duration g_interval{};
Clock::time_point g_nextReport{};

extern "C" void
OnInterrupt(int signal)
{
    if (g_interrupted && g_previous.sa_handler == SIG_DFL)
    {
        /* The second Ctrl-C: somebody is in earnest. */
        std::signal(signal, SIG_DFL);
        std::raise(signal);
        return;
    }
    g_interrupted = 1;
    if (!(g_previous.sa_flags & SA_SIGINFO) && g_previous.sa_handler != SIG_DFL &&
        g_previous.sa_handler != SIG_IGN)
    {
        /* Python's handler only takes note, and raises KeyboardInterrupt when it runs again. */
        g_previous.sa_handler(signal);
    }
}

/* Nobody has caught it: what the user is to know of it is what it says. */
[[noreturn]] void
Say(const std::exception& error)
{
    FatalImpl::FlushStreams();
    /* In one piece, for other ranks may have something to say, too. */
    std::cerr << std::string("ns3-qemu: ") + error.what() + "\n" << std::flush;
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
    return g_interrupted != 0;
}

void
RunMonitor::CatchInterrupts()
{
    if (g_catching)
    {
        return;
    }
    g_interrupted = 0;
    struct sigaction action = {};
    action.sa_handler = OnInterrupt;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    g_catching = sigaction(SIGINT, &action, &g_previous) == 0;
    if (g_catching && g_previous.sa_handler == SIG_IGN)
    {
        /* Somebody wants this process to go on, as shells do for a job in the background. */
        ReleaseInterrupts();
    }
}

void
RunMonitor::ReleaseInterrupts()
{
    if (g_catching)
    {
        sigaction(SIGINT, &g_previous, nullptr);
        g_catching = false;
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
    if (g_progress)
    {
        const auto now = Clock::now();
        if (now >= g_nextReport)
        {
            g_nextReport = now + g_interval;
            g_progress(Simulator::Now().GetSeconds());
        }
    }
}

void
RunMonitor::CheckInterrupt()
{
    if (g_interrupted)
    {
        throw std::runtime_error("interrupted");
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
    if (DistributedRun::IsOn())
    {
        /* The others would go on, with nobody at the other end. */
        Fail("rank " + std::to_string(Simulator::GetSystemId()) + " was interrupted");
    }
    Simulator::Stop();
}

} // namespace ns3
