/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A machine whose computing takes time: how far it goes, and what is told of it.
 */
#include "timed-turns.h"
#include "virtual-machine.h"

#include "ns3/sim-link.h"
#include "ns3/simulator.h"
#include "ns3/vm-driver.h"
#include "ns3/vm-error.h"

namespace ns3
{

Time
VirtualMachine::GetBusyTime() const
{
    return NanoSeconds(m_driver ? m_driver->GetBusyTime() : 0);
}

Time
VirtualMachine::GetCpuBusyTime(uint32_t cpu) const
{
    if (cpu >= m_cpus)
    {
        throw ns3qemu::VmError("VM '" + GetName() + "' has no CPU " + std::to_string(cpu) +
                               "; its CPUs are 0 to " + std::to_string(m_cpus - 1));
    }
    if (!m_driver || cpu >= m_driver->GetBusyInstructions().size())
    {
        return NanoSeconds(0);
    }
    return NanoSeconds(m_driver->GetDuration(m_driver->GetBusyInstructions()[cpu]));
}

uint32_t
VirtualMachine::GetCpus() const
{
    return m_cpus;
}

/* Let it run, and compute as far as it may. */
void
VirtualMachine::RunGuest(bool timers)
{
    m_driver->Run(Simulator::Now().GetNanoSeconds(),
                  timers,
                  IsTimed() ? TimedTurns::FindHorizon(*this) : SIM_LINK_NO_DEADLINE);
}

void
VirtualMachine::TellComputing(int64_t begin, uint64_t computedBefore)
{
    const uint64_t instructions = m_driver->GetComputed() - computedBefore;
    if (instructions == 0)
    {
        return;
    }
    const Time from = NanoSeconds(begin);
    const Time to = NanoSeconds(GetReached());
    m_computeTrace(from, to, instructions);
    const auto& busy = m_driver->GetBusyInstructions();
    m_busyTold.resize(busy.size());
    for (uint32_t cpu = 0; cpu < busy.size(); cpu++)
    {
        if (busy[cpu] > m_busyTold[cpu])
        {
            m_cpuTrace(cpu, from, to, busy[cpu] - m_busyTold[cpu]);
            m_busyTold[cpu] = busy[cpu];
        }
    }
}

} // namespace ns3
