/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "descriptor-limit.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

/* A machine's: its link, what its process says, the process, a log of its console; and what is
 * recorded of it, in the simulation. */
constexpr rlim_t EACH = 8;
/* For a moment, whoever starts: a zygote's, those of files that are read. */
constexpr rlim_t BESIDE = 64;

} // namespace

void
MakeRoomForDescriptors(size_t machines)
{
    /* The lowest that is free: those in use are below it, but for few. */
    const int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (lowest < 0)
    {
        return; // who needs one next says so
    }
    close(lowest);
    const rlim_t wanted = static_cast<rlim_t>(lowest) + EACH * machines + BESIDE;
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < std::min(wanted, limit.rlim_max))
    {
        limit.rlim_cur = std::min(wanted, limit.rlim_max);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

} // namespace ns3qemu
