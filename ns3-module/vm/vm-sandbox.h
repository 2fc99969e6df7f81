/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What keeps a QEMU that a guest has taken over from its host, as far as the simulator sees to it:
 * the rest QEMU does itself, see qemu-patches/src/system/sim-sandbox.c. POSIX only.
 */
#ifndef NS3_QEMU_VM_SANDBOX_H
#define NS3_QEMU_VM_SANDBOX_H

#include <cstdint>
#include <string>
#include <vector>

namespace ns3qemu
{

/**
 * What a process may change, from before it is executed: files below some paths, and nothing else;
 * no TCP, no signals to others, no abstract sockets of others. It is Landlock (landlock(7)), as far
 * as the kernel has it; without it these rules allow everything.
 */
class ProcessRules
{
  public:
    /** @param writable files, and directories with all below them, that it may change */
    explicit ProcessRules(const std::vector<std::string>& writable);
    ~ProcessRules();
    ProcessRules(const ProcessRules&) = delete;
    ProcessRules& operator=(const ProcessRules&) = delete;

    /** Put the calling thread under them, for good. Safe between fork and exec. */
    void Enter() const;

    /** @return the ruleset, for a process that is to put itself under it, or -1 if there is none */
    int GetFileDescriptor() const;

    /** @return whether this kernel has Landlock */
    static bool AreKnown();

  private:
    int m_fd{-1};
};

/** @return a system call of x86-64 for people: "41 (socket)", or its number alone */
std::string DescribeSystemCall(uint32_t number);

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_SANDBOX_H */
