/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_IDLE_WATCH_H
#define NS3_QEMU_IDLE_WATCH_H

#include <cstdint>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief Ends a run in which nothing is left to happen.
 *
 * A run without Simulator::Stop ends when there is no event left. But a kernel always has a next
 * timer, so with a machine there always is one. This ends the run, and says so, when
 *
 * - all events that are pending are such timers: no application, no frame on its way, nothing else
 *   of the simulation, which is why a run for which Simulator::Stop is scheduled never ends here;
 * - no machine has sent a frame for 10 s, so that what kernels do in the background has ended:
 *   looking for neighbours and routers, joining groups;
 * - in no guest a program runs;
 * - no TCP connection of a guest is being opened or closed, or has data that has not arrived.
 *
 * It looks every 10 s at most, and asks guests something only if all else holds.
 *
 * A rank of a distributed simulation does not know whether the others are idle, so it says that it
 * is, once, and goes on.
 */
class IdleWatch
{
  public:
    /** A machine runs. */
    static void Add(VirtualMachine* machine);
    /** It has ended. */
    static void Remove(VirtualMachine* machine);

  private:
    static void Schedule();
    /** Look, unless something has happened since it was scheduled. */
    static void LookIfDue(uint64_t generation);
    static void Look();
    static bool IsIdle();
    static bool HasOtherEvents();
    static bool IsGuestIdle(VirtualMachine& machine);
};

} // namespace ns3

#endif /* NS3_QEMU_IDLE_WATCH_H */
