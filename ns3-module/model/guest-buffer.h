/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_BUFFER_H
#define NS3_QEMU_GUEST_BUFFER_H

#include <cstdint>
#include <string>
#include <vector>

namespace ns3qemu
{
class RelayClient;
}

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Make a socket's buffer one that its guest has memory for.
 *
 * A guest's memory is much smaller than that of the host that it stands for, and a sender fills its
 * buffer: a kernel whose memory is in sockets panics. What is asked for is made smaller, and told
 * once for each machine, if it would take more than half of what is available.
 *
 * @param relay of the guest
 * @param machine its machine's name
 * @param level of the socket option
 * @param name of the socket option: SO_SNDBUFFORCE, SO_RCVBUFFORCE; any other is left alone
 * @param value of the socket option
 * @return the value to set: Linux doubles it
 */
std::vector<uint8_t> FitGuestBuffer(ns3qemu::RelayClient& relay,
                                    const std::string& machine,
                                    int level,
                                    int name,
                                    std::vector<uint8_t> value);

} // namespace ns3

#endif /* NS3_QEMU_GUEST_BUFFER_H */
