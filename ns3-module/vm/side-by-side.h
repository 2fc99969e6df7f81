/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_SIDE_BY_SIDE_H
#define NS3_QEMU_SIDE_BY_SIDE_H

#include <cstddef>
#include <functional>
#include <vector>

namespace ns3qemu
{

/**
 * Carries out tasks of which each waits for something now and then: while one waits, others go on.
 *
 * All of them are on this thread, one at a time, and change only where they wait. So a task is
 * plain code, which may use whatever this thread may, and nothing needs a lock. Each has a stack of
 * its own of 1 MiB.
 */
class SideBySide
{
  public:
    using Task = std::function<void()>;

    /**
     * Carry out tasks, until all have ended. They begin in order. Called from within a task, they
     * are carried out one after the other.
     * @param tasks each once
     * @param width at most so many are under way at a time
     * @throw whatever the first of the tasks that have failed has thrown
     */
    static void Run(const std::vector<Task>& tasks, size_t width);

    /**
     * Wait for something that comes about by itself. In a task, others go on before, and what is
     * called is not: it is on the stack of who has called Run(). Elsewhere it is called at once.
     * @param wait does it; what it throws is thrown here
     */
    static void Wait(const std::function<void()>& wait);

    /** @return whether this is within a task that may have others beside it */
    static bool IsWithin();
};

} // namespace ns3qemu

#endif /* NS3_QEMU_SIDE_BY_SIDE_H */
