/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The turns of a VM whose computing takes time.
 */
#include "format-seconds.h"
#include "vm-driver.h"
#include "vm-error.h"

#include <algorithm>
#include <iterator>
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
    if (IsTimed() && !m_sent.empty())
    {
        return std::max(m_sent.front().time, m_vmTime) - m_base;
    }
    if (IsTimed() && (IsBusy() || !m_relayInput.empty()))
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

const std::vector<uint64_t>&
VmDriver::GetBusyInstructions() const
{
    return m_cpuBusy;
}

int64_t
VmDriver::GetDuration(uint64_t instructions) const
{
    const uint64_t rate = std::max<uint64_t>(m_config.cpuRate, 1);
    uint64_t time = instructions / rate;
    uint64_t rest = instructions % rate;
    for (int i = 0; i < 3; i++) // s, ms, us, ns: no product is too large
    {
        time = time * 1000 + rest * 1000 / rate;
        rest = rest * 1000 % rate;
    }
    return static_cast<int64_t>(time);
}

void
VmDriver::RunTimed(bool timers, int64_t horizon)
{
    /* What is asked for because of what it has sent comes before it goes on. */
    m_relay.DispatchEvents();
    m_horizon = horizon > SIM_LINK_NO_DEADLINE - m_base ? SIM_LINK_NO_DEADLINE : horizon + m_base;
    if (!m_sent.empty())
    {
        m_horizon = std::min(m_horizon, m_reached); // these are first
    }
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
    OrderWhatWasSent(begin);
    if (flags & SIM_LINK_RUN_TIMED)
    {
        m_busyTime += m_reached - begin;
        m_computed += m_answer.instructions - executed;
        if (m_config.cpus == 1)
        {
            m_cpuBusy.assign(1, m_computed);
        }
    }
    else
    {
        Consume(); // whoever has asked waits for it
    }
    HandOnWhatIsDue();
}

/* CPUs that were at work one after the other have sent at the same time. */
void
VmDriver::OrderWhatWasSent(int64_t begin)
{
    for (auto& frame : m_sending)
    {
        if (frame.time == NOT_STAMPED)
        {
            frame.time = m_reached;
        }
        if (frame.time < begin || frame.time > m_reached)
        {
            Fail("QEMU broke the sim-link protocol: a frame was sent at " +
                 FormatSeconds(frame.time - m_base) + " in a turn from " +
                 FormatSeconds(begin - m_base) + " to " + FormatSeconds(m_reached - m_base));
        }
    }
    std::stable_sort(m_sending.begin(), m_sending.end(), [](const auto& a, const auto& b) {
        return a.time < b.time;
    });
    m_sent.insert(m_sent.end(),
                  std::make_move_iterator(m_sending.begin()),
                  std::make_move_iterator(m_sending.end()));
    m_sending.clear();
    m_stamp = NOT_STAMPED;
}

/* What the VM has sent when its clock was where the simulation is now. */
void
VmDriver::HandOnWhatIsDue()
{
    if (!IsTimed())
    {
        return;
    }
    const auto later = std::find_if(m_sent.begin(), m_sent.end(), [this](const auto& frame) {
        return frame.time > m_vmTime;
    });
    const std::vector<SentFrame> due(std::make_move_iterator(m_sent.begin()),
                                     std::make_move_iterator(later));
    m_sent.erase(m_sent.begin(), later);
    for (const auto& frame : due)
    {
        if (m_onFrame)
        {
            m_onFrame(frame.nic, frame.data.data(), frame.data.size());
        }
    }
    if (m_reached <= m_vmTime)
    {
        Consume();
    }
}

/* @return how many frames of a NIC are still to be handed on */
uint32_t
VmDriver::CountSent(unsigned nic) const
{
    return static_cast<uint32_t>(std::count_if(m_sent.begin(), m_sent.end(), [nic](auto& frame) {
        return frame.nic == nic;
    }));
}

void
VmDriver::OnStamp(int64_t time)
{
    if (time < 0)
    {
        throw VmError("QEMU broke the sim-link protocol: a frame was sent at " +
                      std::to_string(time) + " ns");
    }
    m_stamp = time;
}

void
VmDriver::OnBusyCpus(const SimLinkBusyCpus& busy)
{
    if (busy.count != m_config.cpus)
    {
        throw VmError("QEMU broke the sim-link protocol: it has " + std::to_string(busy.count) +
                      " of " + std::to_string(m_config.cpus) + " CPUs");
    }
    m_cpuBusy.resize(busy.count);
    for (uint32_t cpu = 0; cpu < busy.count; cpu++)
    {
        m_cpuBusy[cpu] += busy.instructions[cpu];
    }
}

} // namespace ns3qemu
