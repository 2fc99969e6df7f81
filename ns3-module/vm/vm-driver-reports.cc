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
VmDriver::ReportPlainStart(const std::string& reason)
{
    if (m_reporter)
    {
        m_reporter("VM '" + m_config.name +
                   "' and others like it are started each by itself, which takes longer and more "
                   "memory: the QEMU that they are forked from has failed: " +
                   reason);
    }
}

void
VmDriver::SetWatchdog(int64_t watchdog, bool fails)
{
    m_config.watchdog = watchdog;
    m_config.watchdogFails = fails;
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
    if (m_config.watchdog == 0)
    {
        return;
    }
    if (m_nextReport == 0 || elapsed < m_nextReport - m_config.watchdog)
    {
        m_nextReport = m_config.watchdog;
        m_turnBeginCpu = m_process->GetCpuTime();
    }
    /* A debugger may have stopped it: for how long is somebody's own business. */
    if (elapsed >= m_nextReport && !m_gdb)
    {
        m_nextReport += m_config.watchdog;
        const std::string text = DescribeLongTurn(elapsed);
        if (m_config.watchdogFails)
        {
            Fail("it " + text);
        }
        if (m_reporter)
        {
            m_reporter("VM '" + m_config.name + "' " + text + m_console.DescribeTail());
        }
    }
}

std::string
VmDriver::DescribeLongTurn(int64_t elapsed)
{
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
    std::string text = "has kept its turn for " + std::to_string(elapsed / 1'000'000'000) +
                       " s of wall time, at " +
                       (IsInSimulation() ? "simulated time " + FormatSeconds(GetTime()) : "boot") +
                       " after " + std::to_string(m_answer.instructions) +
                       " instructions. It is waited for " + wait + ". The turn began with " +
                       m_occasion;
    if (m_frames > 0)
    {
        text += ", " + std::to_string(m_frames) + (m_frames == 1 ? " frame" : " frames");
    }
    text += ". " + DescribeQemu() + DescribeGuest();
    return text + (m_console.DescribeTail().empty() ? " Its console is empty." : "");
}

/* By their number, which is the same on each host: wall time would not be. */
void
VmDriver::CheckTurnsAtOnce()
{
    if (m_vmTime != m_turnsNowAt)
    {
        m_turnsNowAt = m_vmTime;
        m_turnsNow = 0;
    }
    m_turnsNow++;
    if (IsInSimulation() && m_config.turnsAtOnce != 0 && m_turnsNow > m_config.turnsAtOnce)
    {
        Fail("it has had " + std::to_string(m_config.turnsAtOnce) +
             " turns at this one simulated time, the last with " +
             (m_frames > 0 ? std::to_string(m_frames) + " frame(s)" : m_occasion) +
             ". Do frames go round in a loop of links without a delay, or does a script ask it "
             "for something again and again? If it is meant so, raise the attribute TurnsAtOnce "
             "of ns3::VirtualMachine");
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

void
VmDriver::ReportFault()
{
    if (m_reporter)
    {
        m_reporter("The kernel of VM '" + m_config.name + "' has a fault " +
                   (IsInSimulation() ? "at simulated time " + FormatSeconds(GetTime())
                                     : "while it boots") +
                   "; what it does from then on may be wrong. It says:\n  | " +
                   m_console.GetFault());
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
