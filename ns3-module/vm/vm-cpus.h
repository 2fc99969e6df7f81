/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A machine with several CPUs: what QEMU and the guest's kernel are told, and what has come of it.
 */
#ifndef NS3_QEMU_VM_CPUS_H
#define NS3_QEMU_VM_CPUS_H

#include <cstdint>
#include <string>
#include <vector>

namespace ns3qemu
{

/** The most CPUs that a machine may have. */
constexpr uint32_t CPUS_MAX = 8;

/**
 * Give a machine its CPUs. With one, nothing changes.
 * @param command QEMU's, of an image
 * @param cpus from 1 to CPUS_MAX
 * @throw VmError if it is none of these
 */
void AddCpus(std::vector<std::string>& command, uint32_t cpus);

/**
 * @param queues how many pairs of queues a NIC is to have
 * @param cpus the machine's
 * @throw VmError if it cannot have so many
 */
void CheckQueues(uint32_t queues, uint32_t cpus);

/**
 * The same as AddCpus() for what only booting needs: the kernel's command line.
 * @param boot an image's options to boot
 * @param cpus from 1 to CPUS_MAX
 * @return the options for a machine with so many
 */
std::vector<std::string> BuildBootOptions(std::vector<std::string> boot, uint32_t cpus);

/**
 * Count the CPUs of a list as Linux writes them.
 * @param list "0-2,4", as of /sys/devices/system/cpu/online
 * @return how many there are, 0 if it is no such list
 */
uint32_t CountCpus(const std::string& list);

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_CPUS_H */
