/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TIMED_TURNS_H
#define NS3_QEMU_TIMED_TURNS_H

#include <cstdint>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief How far a machine may compute whose computing takes time (VirtualMachine, CpuRate).
 *
 * It stops at the next event of the simulation, for that may reach it. What another such machine
 * sends while it computes is no event yet; but it comes over a link, and so later by the delay of
 * the machine's own links at the least. Where a device has none that is known, the machines go on
 * in steps of QUANTUM, and a frame may be noticed so much late by a guest that computes.
 */
class TimedTurns
{
  public:
    static constexpr int64_t QUANTUM = 1000; //!< ns

    /** A machine whose computing takes time begins. */
    static void Add(VirtualMachine* machine);
    /**
     * One of them has an event for its next timer.
     * @param machine the machine
     * @param before the number of the one that it had last
     * @param now the number of the event
     */
    static void SetTimer(const VirtualMachine* machine, uint32_t before, uint32_t now);
    /** One of them has ended. @param timer the number of the event that it had last */
    static void Remove(uint32_t timer);

    /**
     * @param machine one of them, which is given a turn by the present event
     * @return the simulated time in ns at which it is to stop computing
     */
    static int64_t FindHorizon(const VirtualMachine& machine);
};

} // namespace ns3

#endif /* NS3_QEMU_TIMED_TURNS_H */
