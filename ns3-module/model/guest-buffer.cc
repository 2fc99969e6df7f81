/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-buffer.h"

#include "ns3/relay-client.h"

#include <algorithm>
#include <cstring>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <sys/socket.h>

namespace ns3
{

namespace
{

/* What any guest has room for, bytes: nobody is asked about less. */
constexpr int SMALL = 1 << 22;

/* Names of machines of which it has been told. */
std::set<std::string> g_told;

/* Bytes that a guest has available; 0: it does not say. */
int64_t
GetAvailable(ns3qemu::RelayClient& relay)
{
    const auto text = relay.ReadFile("/proc/meminfo");
    std::istringstream lines(std::string(text.begin(), text.end()));
    int64_t free = 0;
    for (std::string line; std::getline(lines, line);)
    {
        std::istringstream words(line);
        std::string key;
        int64_t kib = 0;
        words >> key >> kib;
        if (key == "MemAvailable:")
        {
            return kib * 1024;
        }
        if (key == "MemFree:") // kernels before 3.14 say no more
        {
            free = kib * 1024;
        }
    }
    return free;
}

} // namespace

std::vector<uint8_t>
FitGuestBuffer(ns3qemu::RelayClient& relay,
               const std::string& machine,
               int level,
               int name,
               std::vector<uint8_t> value)
{
    int size = 0;
    if (level != SOL_SOCKET || (name != SO_SNDBUFFORCE && name != SO_RCVBUFFORCE) ||
        value.size() != sizeof(size))
    {
        return value;
    }
    std::memcpy(&size, value.data(), sizeof(size));
    if (size >= 0 && size <= SMALL)
    {
        return value;
    }
    /* As an unsigned number: a kernel takes no larger one than INT_MAX / 2 either. */
    const auto wanted = static_cast<int64_t>(static_cast<uint32_t>(size));
    const int64_t room = GetAvailable(relay) / 4;
    if (room == 0 || wanted <= room)
    {
        return value;
    }
    const auto fitting = static_cast<int>(std::max<int64_t>(room, SMALL));
    if (g_told.insert(machine).second)
    {
        std::cerr << "VM '" << machine << "' has no memory for a socket's buffer ("
                  << (name == SO_SNDBUFFORCE ? "SndBufSize" : "RcvBufSize") << ") of " << wanted
                  << " bytes: it is " << fitting
                  << ". If a connection is to have more than that under way, give its image more "
                     "memory (memory_mib=..., --memory)."
                  << std::endl;
    }
    std::memcpy(value.data(), &fitting, sizeof(fitting));
    return value;
}

} // namespace ns3
