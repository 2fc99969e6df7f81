/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "nic-filter.h"

#include "sim-link.h"
#include "vm-error.h"

#include <algorithm>
#include <cstring>

namespace ns3qemu
{

NicFilter
NicFilter::Parse(const uint8_t* payload, size_t length)
{
    SimLinkFilter told{};
    if (length >= sizeof(told))
    {
        std::memcpy(&told, payload, sizeof(told));
    }
    if (length < sizeof(told) ||
        length - sizeof(told) != size_t{told.count} * SIM_LINK_ADDRESS_SIZE)
    {
        throw VmError("the VM broke the sim-link protocol: a NIC's filter is malformed");
    }
    NicFilter filter;
    filter.m_flags = told.flags;
    const uint8_t* at = payload + sizeof(told);
    for (uint32_t i = 0; i < told.count; i++, at += SIM_LINK_ADDRESS_SIZE)
    {
        std::array<uint8_t, 6> address;
        std::copy_n(at, address.size(), address.begin());
        filter.m_addresses.insert(address);
        filter.m_own = filter.m_own.value_or(address);
    }
    return filter;
}

bool
NicFilter::Takes(const uint8_t* destination) const
{
    std::array<uint8_t, 6> address;
    std::copy_n(destination, address.size(), address.begin());
    const bool broadcast =
        std::all_of(address.begin(), address.end(), [](uint8_t byte) { return byte == 0xff; });
    const bool group = (address[0] & 1) != 0;
    const uint32_t wanted = broadcast ? SIM_LINK_FILTER_BROADCAST
                            : group   ? SIM_LINK_FILTER_MULTICAST
                                      : SIM_LINK_FILTER_UNICAST;
    return (m_flags & wanted) != 0 || m_addresses.count(address) > 0;
}

const std::optional<std::array<uint8_t, 6>>&
NicFilter::GetOwn() const
{
    return m_own;
}

} // namespace ns3qemu
