/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_DESCRIPTOR_LIMIT_H
#define NS3_QEMU_DESCRIPTOR_LIMIT_H

#include <cstddef>

namespace ns3qemu
{

/**
 * Raise this process's limit of open files (RLIMIT_NOFILE, getrlimit(2)) as far as so many machines
 * need, beside what is open already, and as it may. The usual limit of 1024 is enough for 300.
 * @param machines that are about to start
 */
void MakeRoomForDescriptors(size_t machines);

} // namespace ns3qemu

#endif /* NS3_QEMU_DESCRIPTOR_LIMIT_H */
