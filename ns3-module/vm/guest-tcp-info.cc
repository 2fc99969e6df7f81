/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-tcp-info.h"

#include "vm-error.h"

#include <cstring>
#include <string>

namespace ns3qemu
{

GuestTcpInfo
GuestTcpInfo::Parse(const std::vector<uint8_t>& raw)
{
    if (raw.size() < SIZE)
    {
        throw VmError("the guest's struct tcp_info has only " + std::to_string(raw.size()) +
                      " bytes");
    }
    const auto word = [&raw](size_t offset) {
        uint32_t value;
        std::memcpy(&value, raw.data() + offset, sizeof(value));
        return value;
    };
    GuestTcpInfo info;
    info.state = raw[0];
    info.caState = raw[1];
    info.backoff = raw[4];
    info.rto = word(8);
    info.sndMss = word(16);
    info.unacked = word(24);
    info.sacked = word(28);
    info.lost = word(32);
    info.retrans = word(36);
    info.rtt = word(68);
    info.rttvar = word(72);
    info.ssthresh = word(76);
    info.cwnd = word(80);
    info.totalRetrans = word(100);
    return info;
}

} // namespace ns3qemu
