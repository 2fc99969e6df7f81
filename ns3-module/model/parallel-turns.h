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
 * A machine that takes part is in one of these states; times are simulated times:
 *
 *     state    what it has had              what may happen            left by
 *     -------  ---------------------------  -------------------------  -------------------------
 *     PRESENT  its turns up to the          any turn; it may be asked  GoAhead() -> GOING
 *              present, and all are taken   for anything
 *     GOING    turns that are foreseen;     the next of them is taken  CollectAhead(), or the
 *              it goes on                   when its event comes, and  taking of a turn, once it
 *                                           waited for if need be      has ended them: -> AHEAD,
 *                                                                      PRESENT if none is left
 *     AHEAD    turns up to its horizon;     the next of them is taken  GoAhead() -> GOING; the
 *              it waits                     when its event comes       taking of the last turn
 *                                                                      -> PRESENT
 *
 * Only Look() lets a machine go ahead, in an event of its own behind the present one, from PRESENT
 * or AHEAD. Whatever else it is asked for in GOING or AHEAD was not foreseen: the driver waits
 * until its turns have ended and, if results are left, ends the run. The same states seen from the
 * driver are in vm-driver.h.
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

    /**
     * Let machines go ahead that can, when the present event is over.
     * @param machine the one for which something has changed: it has had a turn, or a frame is on
     *                its way to it
     */
    static void Schedule(const VirtualMachine* machine);

  private:
    /** Look, and end the run if a machine has failed. */
    static void LookOrFail();
    static void Look();
    static void CollectGoing();
    static int64_t FindNext(const VirtualMachine& machine);
    static int64_t FindHorizon(const VirtualMachine& machine);
    static int64_t FindWhenCertain(const VirtualMachine& machine, int64_t next);
    static int64_t FindUnknownEvent(const VirtualMachine& machine, int64_t until);
    static int64_t GoAhead(VirtualMachine& machine);
};

} // namespace ns3

#endif /* NS3_QEMU_PARALLEL_TURNS_H */
