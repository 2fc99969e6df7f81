/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The turns of a VM whose computing takes time.
 */
#include "format-seconds.h"
#include "vm-driver.h"
#include "vm-error.h"

#include <algorithm>
#include <utility>

namespace ns3qemu
{

namespace
{

constexpr int64_t SECOND = 1'000'000'000;

} // namespace

bool
VmDriver::IsTimed() const
{
    return m_config.cpuRate != 0 && IsInSimulation();
}

/* @return those of a turn for a request, whose end is not that of what the guest does besides */
uint32_t
VmDriver::GetRequestFlags() const
{
    return IsTimed() ? static_cast<uint32_t>(SIM_LINK_RUN_REQUEST) : 0U;
}

int64_t
VmDriver::GetDeadline() const
{
    if (IsTimed() && (IsBusy() || !m_sent.empty() || !m_relayInput.empty()))
    {
        return GetReached();
    }
    return m_answer.deadline == SIM_LINK_NO_DEADLINE
               ? SIM_LINK_NO_DEADLINE
               : std::max(m_answer.deadline, m_vmTime) - m_base;
}

int64_t
VmDriver::GetReached() const
{
    return IsTimed() ? std::max(m_reached, m_vmTime) - m_base : GetTime();
}

int64_t
VmDriver::GetBusyTime() const
{
    return m_busyTime;
}

void
VmDriver::RunTimed(bool timers, int64_t horizon)
{
    /* What is asked for because of what it has sent comes before it goes on. */
    m_relay.DispatchEvents();
    m_horizon = horizon > SIM_LINK_NO_DEADLINE - m_base ? SIM_LINK_NO_DEADLINE : horizon + m_base;
    m_occasion = timers ? "computing, or a timer of the guest's" : "what has come for it";
    RunTurn(m_vmTime,
            SIM_LINK_RUN_TIMED | (timers ? static_cast<uint32_t>(SIM_LINK_RUN_TIMERS) : 0U));
    m_relay.DispatchEvents();
}

uint64_t
VmDriver::GetComputed() const
{
    return m_computed;
}

/* Whether the VM has stopped where it should. */
void
VmDriver::CheckReached(int64_t begin, uint32_t flags)
{
    const auto rate = static_cast<int64_t>(m_config.cpuRate);
    const int64_t instruction = SECOND / rate + 1;
    int64_t latest = begin;
    if (flags & SIM_LINK_RUN_TIMED)
    {
        latest = std::max(begin, m_horizon);
        latest = latest > SIM_LINK_NO_DEADLINE - instruction ? latest : latest + instruction;
    }
    if (m_answer.time < begin || m_answer.time > latest)
    {
        Fail("QEMU broke the sim-link protocol: its clock has gone to " +
             FormatSeconds(m_answer.time - m_base) + " in a turn from " +
             FormatSeconds(begin - m_base) + " to " + FormatSeconds(latest - m_base));
    }
}

void
VmDriver::EndTimedTurn(int64_t begin, uint64_t executed, uint32_t flags)
{
    CheckReached(begin, flags);
    m_reached = m_answer.time;
    if (flags & SIM_LINK_RUN_TIMED)
    {
        m_busyTime += m_reached - begin;
        m_computed += m_answer.instructions - executed;
    }
    else
    {
        Consume(); // whoever has asked waits for it
    }
    HandOnWhatIsDue();
}

/* What the VM has sent when its clock was where the simulation is now. */
void
VmDriver::HandOnWhatIsDue()
{
    if (!IsTimed() || m_reached > m_vmTime)
    {
        return;
    }
    std::vector<SentFrame> sent;
    sent.swap(m_sent);
    for (const auto& frame : sent)
    {
        if (m_onFrame)
        {
            m_onFrame(frame.nic, frame.data.data(), frame.data.size());
        }
    }
    Consume();
}

} // namespace ns3qemu
