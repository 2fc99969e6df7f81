/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a VM's driver checks: what it is asked for, and what the VM answers.
 */
#include "vm-cpus.h"
#include "vm-driver.h"
#include "vm-error.h"

namespace ns3qemu
{

namespace
{

/* Destination, source and type, in bytes. QEMU takes an empty frame for one to be kept for later.
 */
constexpr size_t ETHERNET_HEADER = 14;

/* How many turns in a row may be for timers at one and the same time. */
constexpr uint32_t TURNS_AT_ONCE_MAX = 100'000;

} // namespace

void
VmDriver::CheckRunning() const
{
    if (!HasProcess())
    {
        throw VmError("VM '" + m_config.name + "' is not running");
    }
    if (m_process && !m_process->IsOurs())
    {
        throw VmError("VM '" + m_config.name +
                      "' is that of the process from which this one was forked: make a simulation "
                      "after the fork, in the process that runs it");
    }
}

/* A kernel that cannot have several leaves the others off, and says so only on its console. */
void
VmDriver::CheckCpus()
{
    if (m_config.cpus == 1)
    {
        return;
    }
    std::string list;
    try
    {
        const auto content = m_relay.ReadFile("/sys/devices/system/cpu/online");
        list.assign(content.begin(), content.end());
    }
    catch (const GuestError&)
    {
        list = "0"; // built for one
    }
    if (CountCpus(list) != m_config.cpus)
    {
        Fail("the guest's kernel has brought up " + std::to_string(CountCpus(list)) + " of " +
             std::to_string(m_config.cpus) +
             " CPUs: is it built for several (CONFIG_SMP), and does its command line let it "
             "(nosmp, maxcpus, nr_cpus)? Give the machine what it can use (Cpus)");
    }
}

void
VmDriver::CheckTurnEnd(int64_t vmTime, uint32_t flags)
{
    /* A timer that is due now and was not to expire in this turn is to expire in the next. */
    const int64_t earliest = (flags & SIM_LINK_RUN_TIMERS) ? vmTime + 1 : vmTime;
    if (m_answer.kind == SIM_LINK_BUSY && m_answer.deadline < earliest && !IsTimed())
    {
        Fail("QEMU broke the sim-link protocol: a busy guest must let time pass");
    }
    if (!(flags & SIM_LINK_RUN_TIMERS) || vmTime != m_timersAt)
    {
        m_timersAt = vmTime;
        m_turnsAtOnce = 0;
    }
    else if (++m_turnsAtOnce > TURNS_AT_ONCE_MAX)
    {
        Fail("time stands still: the guest has had " + std::to_string(m_turnsAtOnce) +
             " turns for timers that were due at this very time");
    }
}

void
VmDriver::CheckNotAhead()
{
    TakeAhead(true);
    if (IsAhead())
    {
        Fail("it was asked for something when it had gone ahead already. With parallel turns a "
             "machine may be touched by events of its own node and of none, but not by those of "
             "another node, and not after a run that an event of another node has stopped");
    }
}

void
VmDriver::CheckFrame(size_t length) const
{
    if (length < ETHERNET_HEADER)
    {
        throw VmError("a frame of " + std::to_string(length) + " bytes has no Ethernet header");
    }
}

void
VmDriver::CheckNic(unsigned nic) const
{
    CheckRunning();
    if (nic >= m_config.nics.size())
    {
        throw VmError("VM '" + m_config.name + "' has no NIC " + std::to_string(nic));
    }
}

} // namespace ns3qemu
