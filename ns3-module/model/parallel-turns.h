/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_PARALLEL_TURNS_H
#define NS3_QEMU_PARALLEL_TURNS_H

#include <cstdint>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief Lets several machines have their turns at the same time, with the results of one after
 *        the other.
 *
 * A machine goes ahead of the simulation: it has its next turns before their events have come, as
 * far as it is certain what they will be. Which frames are on their way to it over point-to-point
 * links is known; what is not on its way yet needs at least a link's delay (conservative
 * synchronisation: Chandy and Misra 1979; Fujimoto, Parallel and Distributed Simulation Systems,
 * 2000). Its own timers it knows itself. No event of its own node, or of no node, may come before,
 * except for those that are known. Events of other nodes leave it alone.
 *
 * The result of each turn is taken when its event comes, so all that happens in ns-3 happens as
 * without parallel turns. That the turn was the one that had been foreseen is checked then; if it
 * was not, since an event of another node did not leave the machine alone, the run ends with an
 * error.
 */
class ParallelTurns
{
  public:
    /** A machine takes part from now on. */
    static void Add(VirtualMachine* machine);
    /** No longer. */
    static void Remove(VirtualMachine* machine);

    /** Let machines go ahead that can, when the present event is over. */
    static void Schedule();

  private:
    static void Look();
    static int64_t FindNext(const VirtualMachine& machine);
    static int64_t FindHorizon(const VirtualMachine& machine);
    static int64_t FindUnknownEvent(const VirtualMachine& machine, int64_t until);
    static bool GoAhead(VirtualMachine& machine);
};

} // namespace ns3

#endif /* NS3_QEMU_PARALLEL_TURNS_H */
