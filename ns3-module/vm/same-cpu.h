/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_SAME_CPU_H
#define NS3_QEMU_SAME_CPU_H

#include <cstdint>
#include <sched.h>
#include <sys/types.h>

namespace ns3qemu
{

/**
 * Has a machine's turns on the CPU that this process is on.
 *
 * While one of the two has a turn the other waits. The kernel, which does not know that, wakes who
 * waits on a CPU that is idle, and that takes it out of its sleep first: some 5 us, and 40 in a
 * virtual machine. On the CPU of who wakes it, it goes on within 2 us.
 *
 * This thread is held there for the length of a turn only: what is started in between may run
 * anywhere. And the kernel may move it in between, as it does when a CPU has more to do than
 * others; the machine follows. Now and then, however many machines there are, this thread and the
 * machine whose turn it is are let go for that turn, so that it is asked.
 */
class SameCpu
{
  public:
    /** @param pid the machine's process */
    explicit SameCpu(pid_t pid);

    /** A turn begins: both are on one CPU from now on. If that cannot be had it is left alone. */
    void Hold();
    /** It has ended, or takes long: this thread may be on any of its CPUs, as before Hold(). */
    void Release();
    /** The same, and the machine may, too: it is going to compute for some time. */
    void ReleaseBoth();

  private:
    bool MoveMachine(const cpu_set_t& cpus);

    pid_t m_pid;
    cpu_set_t m_allowed; // this thread's, before Hold()
    cpu_set_t m_held;
    bool m_holds{false};
    bool m_refused{false}; // it cannot be had
    int m_cpu{-1};         // the machine's, or any
};

} // namespace ns3qemu

#endif /* NS3_QEMU_SAME_CPU_H */
