/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Which code of a kind of machine is worth translating before its VMs get to it. POSIX only.
 */
#ifndef NS3_QEMU_VM_BLOCKS_H
#define NS3_QEMU_VM_BLOCKS_H

#include "sim-link.h"
#include "vm-driver.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ns3qemu
{

/** Blocks of translated code, in the order in which machines get to them. */
using VmBlocks = std::vector<SimLinkBlock>;

/**
 * @param file where a list is kept
 * @return the list; nothing if there is none, or it is not as it was written
 */
std::optional<VmBlocks> ReadBlocks(const std::string& file);

/**
 * Keep a list, if that is possible: it is made anew where it is not there.
 * @param file where; it is there as a whole or not at all
 * @param blocks the list
 */
void WriteBlocks(const std::string& file, const VmBlocks& blocks);

/**
 * Find out what most machines of a kind do: two of them get addresses, look for each other, have
 * TCP connections in both directions, with and without losses, and are idle for a while. None of
 * it is part of a simulation.
 *
 * @param kind what they are made of; name, seed and addresses are theirs
 * @param interrupt called while waiting; may throw
 * @return the blocks that they have translated
 * @throw VmError if a machine fails
 */
VmBlocks LearnBlocks(const VmConfig& kind, const VmDriver::Interrupt& interrupt);

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_BLOCKS_H */
