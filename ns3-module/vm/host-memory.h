/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a Linux kernel computes from the memory of its machine, for a machine with other memory.
 */
#ifndef NS3_QEMU_HOST_MEMORY_H
#define NS3_QEMU_HOST_MEMORY_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ns3qemu
{

class RelayClient;

/** A kernel parameter that follows from the memory of the machine. */
struct HostSysctl
{
    std::string name;                            //!< "net.ipv4.tcp_rmem"
    std::vector<std::optional<uint64_t>> fields; //!< its numbers; none: does not depend on memory
    std::string module{}; //!< the kernel module that brings it, if it may be one

    /**
     * @param own what the kernel has made of its own memory
     * @return the value to set: its own, with the numbers that are given here
     */
    std::string Fill(const std::string& own) const;
};

/** The smallest memory of a host, in bytes. */
constexpr uint64_t HOST_MEMORY_MIN = uint64_t{64} << 20;
/** The largest. */
constexpr uint64_t HOST_MEMORY_MAX = uint64_t{1} << 46;

/**
 * Compute what an x86-64 kernel derives from its memory when it boots, as far as it can be set
 * later. Numbers with a bound of the kernel's own and those that are a power of two are exact.
 * Others are in proportion to the memory that is left when the kernel is there, which differs from
 * one real machine to another; they are within 2 % of a machine of that memory.
 * @param bytes the host's memory, HOST_MEMORY_MIN to HOST_MEMORY_MAX
 * @param release the kernel's, as uname -r prints it; those before 4.4 have other formulas
 * @return the parameters; none for a release before 4.4
 */
std::vector<HostSysctl> DeriveHostSysctls(uint64_t bytes, const std::string& release);

/**
 * Give a guest the parameters of a host with more memory. Those that its kernel does not have are
 * left out; for those of modules the guest's modprobe is told, who sets them when it loads one.
 * @param relay the guest's
 * @param bytes as above
 */
void SetHostSysctls(RelayClient& relay, uint64_t bytes);

} // namespace ns3qemu

#endif /* NS3_QEMU_HOST_MEMORY_H */
