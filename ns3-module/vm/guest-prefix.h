/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_PREFIX_H
#define NS3_QEMU_GUEST_PREFIX_H

#include "relay-client.h"

#include <cstdint>
#include <string>

namespace ns3qemu
{

/** An address and the length of its network's prefix, "10.0.1.1/24". */
struct GuestPrefix
{
    GuestAddress address;
    uint8_t length{0}; //!< bits

    /**
     * @param text "10.0.1.1/24" or "fd00::1/64"
     * @throw std::invalid_argument if it is neither
     */
    static GuestPrefix Parse(const std::string& text);

    /** @return the usual text form */
    std::string Print() const;

    /** @return the network: the address without the bits that the length leaves open */
    GuestAddress GetNetwork() const;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_GUEST_PREFIX_H */
