/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Where in each millisecond a guest's timer ticks.
 */
#ifndef NS3_QEMU_TICK_FINDER_H
#define NS3_QEMU_TICK_FINDER_H

#include <cstdint>
#include <deque>
#include <optional>

namespace ns3qemu
{

/** Looks at the timers of a guest that does nothing: most of a kernel's expire on its ticks. */
class TickFinder
{
  public:
    /** A timer expires. @param time VM time in ns */
    void Add(int64_t time);

    /**
     * @return how many ns after a full ms most of the last timers expired; nothing, if they have no
     *         such place in common or were too few
     */
    std::optional<int64_t> Find() const;

  private:
    std::deque<int64_t> m_expiries; // the last of them
};

} // namespace ns3qemu

#endif /* NS3_QEMU_TICK_FINDER_H */
