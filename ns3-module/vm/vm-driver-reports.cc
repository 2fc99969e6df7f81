/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a VM's driver says when something is wrong with the VM, or takes long.
 */
#include "format-seconds.h"
#include "vm-driver.h"
#include "vm-error.h"
#include "vm-sandbox.h"

#include <atomic>

namespace ns3qemu
{

/* Why a process has ended that should not have. */
std::string
VmDriver::DescribeEnd() const
{
    const auto refused = m_link->GetRefusedCall();
    if (refused)
    {
        return "QEMU made system call " + DescribeSystemCall(*refused) +
               ", which its sandbox does not allow. Either the guest has taken QEMU over, or QEMU "
               "needs this on your host, which is a defect to be reported; the attribute Sandbox "
               "of "
               "ns3::VirtualMachine, set to false, lets QEMU do what you may do";
    }
    std::string messages = m_process->GetMessages();
    while (!messages.empty() && messages.back() == '\n')
    {
        messages.pop_back();
    }
    return "QEMU " + m_process->DescribeExit() +
           (messages.empty() ? std::string(" without a message") : ":\n" + messages);
}

/* Once, for it is the host's doing. */
void
VmDriver::ReportOpenSandbox()
{
    static std::atomic<bool> reported{false};
    if (m_reporter && !reported.exchange(true))
    {
        m_reporter(
            std::string("This host has no filters of system calls (seccomp) for QEMU's "
                        "sandbox. A guest that takes QEMU over can read what you can read, ") +
            (ProcessRules::AreKnown()
                 ? "but change no files and make no TCP connections (Landlock)"
                 : "and change what you can change; do not run guests that you do not trust"));
    }
}

void
VmDriver::WatchTurn(int64_t elapsed)
{
    if (!m_process->IsAlive())
    {
        Fail(DescribeEnd());
    }
    if (m_interrupt)
    {
        m_interrupt();
    }
    if (m_nextReport == 0 || elapsed < m_nextReport - m_config.watchdog)
    {
        m_nextReport = m_config.watchdog;
    }
    /* A debugger may have stopped it: for how long is somebody's own business. */
    if (elapsed >= m_nextReport && m_reporter && !m_gdb)
    {
        m_nextReport += m_config.watchdog;
        std::string wait = "its CPU to come to rest";
        if (m_answer.kind == 0)
        {
            wait = "QEMU to start";
        }
        else if (m_state == State::BOOTING)
        {
            wait = "its kernel to boot and to start the relay";
        }
        else if (m_state == State::FORWARD)
        {
            wait = "its clock to reach the uptime of " + FormatSeconds(m_config.uptime) +
                   " with which the simulation begins";
        }
        const std::string tail = m_console.DescribeTail();
        m_reporter("VM '" + m_config.name + "' has kept its turn for " +
                   std::to_string(elapsed / 1'000'000'000) + " s of wall time, at " +
                   (IsInSimulation() ? "simulated time " + FormatSeconds(GetTime()) : "boot") +
                   " after " + std::to_string(m_answer.instructions) +
                   " instructions. It is waited for " + wait + "." +
                   (tail.empty() ? " Its console is empty." : tail));
    }
}

/* What becomes of the run then says nothing about the network. */
void
VmDriver::ReportShortage()
{
    if (m_reporter)
    {
        m_reporter("VM '" + m_config.name + "' is short of memory " +
                   (IsInSimulation() ? "at simulated time " + FormatSeconds(GetTime())
                                     : "while it boots") +
                   "; its results may not be those of a real host. It has " +
                   std::to_string(m_config.image.memoryMib) +
                   " MiB: give its image more (memory_mib=..., --memory). Its kernel says:\n  | " +
                   m_console.GetShortage());
    }
}

std::string
VmDriver::DescribeFault(uint32_t fault) const
{
    if (!m_console.GetPanic().empty())
    {
        return "the guest's kernel has panicked: " + m_console.GetPanic();
    }
    return DescribeSimLinkFault(fault) +
           (fault == SIM_LINK_FAULT_SAVE ? ": " + m_process->GetMessages() : "");
}

void
VmDriver::Fail(const std::string& reason)
{
    std::string text = "VM '" + m_config.name + "' failed ";
    text += IsInSimulation() ? "at simulated time " + FormatSeconds(GetTime()) : "while it booted";
    text += ": " + reason;
    const std::string tail = m_console.DescribeTail();
    text += tail;
    if (m_state == State::BOOTING && m_answer.kind != 0 && tail.empty() &&
        !m_link->GetRefusedCall())
    {
        text +=
            "\nIts console is empty. `ns3-qemu kernel check` says what a kernel must have built in";
    }
    m_console.CloseLog();
    SetEnded();
    if (m_process)
    {
        m_process->End(0);
    }
    throw VmError(text);
}

} // namespace ns3qemu
