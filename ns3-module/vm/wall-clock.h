/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_WALL_CLOCK_H
#define NS3_QEMU_WALL_CLOCK_H

#include <cstdint>
#include <ctime>

namespace ns3qemu
{

/** @return the host's time since some moment, in ns: for waiting only, no result depends on it */
inline int64_t
WallClock()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

} // namespace ns3qemu

#endif /* NS3_QEMU_WALL_CLOCK_H */
