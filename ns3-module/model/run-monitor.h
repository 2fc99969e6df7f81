/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_RUN_MONITOR_H
#define NS3_QEMU_RUN_MONITOR_H

#include <functional>
#include <string>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief What people expect of a long run: Ctrl-C, progress, and a diagnosis when a VM fails.
 *
 * A VM that fails is a ns3qemu::VmError, thrown out of Simulator::Run. Who does not catch it has a
 * program that says what has failed, in plain words, and ends with status 1.
 *
 * Simulator::Run keeps the Python interpreter from seeing signals, so the module looks for them
 * between turns: for SIGINT, SIGTERM, SIGHUP and SIGQUIT, unless they are ignored. One that
 * somebody handles (Python's SIGINT) stops the simulation, and its handler has been called. One
 * that would end the process does so, after what has been recorded is in its files, with a line
 * that says when it was. Nothing here schedules an event or changes the order of events.
 */
class RunMonitor
{
  public:
    /** Gets the simulated time in seconds. */
    using Progress = std::function<void(double)>;

    /**
     * Report progress.
     * @param progress called from within the event loop, or empty for no reports; it may be in the
     *        midst of a machine's turn (see GetTurn()), so it is to look and not to touch
     * @param interval the least wall time in s between two calls
     */
    static void SetProgress(Progress progress, double interval = 0.1);

    /** @return the name of the machine that has its turn and is waited for, or empty */
    static std::string GetTurn();

    /** @return whether a signal ended the run */
    static bool WasInterrupted();

    /** Another run begins: a signal that somebody has handled before it is no reason to end it. */
    static void ForgetInterrupt();

  private:
    friend class QemuApplication;
    friend class VirtualMachine;
    friend class ParallelTurns;

    /** Begin to look for signals; whoever handled them before still does. */
    static void CatchInterrupts();
    /** Hand them back. */
    static void ReleaseInterrupts();
    /** Between turns: report progress, stop the simulation if it was interrupted. */
    static void Poll();
    /** A machine's turn begins; nullptr: it is over. */
    static void SetTurn(const VirtualMachine* machine);
    /** While a VM keeps its turn: report progress; throws if the run was interrupted. */
    static void CheckInterrupt();
    /** A VM has failed: end the run. */
    [[noreturn]] static void Fail(const std::string& diagnosis);
    /** The run is over because of a signal. */
    static void Interrupted();
    /** Let the signal that has come end the process, unless somebody handles it. */
    static void EndProcess();
};

} // namespace ns3

#endif /* NS3_QEMU_RUN_MONITOR_H */
