/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Which frames a guest's NIC takes, as its driver has told the device.
 */
#ifndef NS3_QEMU_NIC_FILTER_H
#define NS3_QEMU_NIC_FILTER_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

namespace ns3qemu
{

/** The filter of one NIC; at first it takes all frames. */
class NicFilter
{
  public:
    /**
     * @param payload of a record SIM_LINK_FILTER
     * @param length in bytes
     * @return the filter that it describes
     * @throw VmError if it is malformed
     */
    static NicFilter Parse(const uint8_t* payload, size_t length);

    /**
     * @param destination the 6 bytes that a frame begins with
     * @return whether the NIC takes such frames. It may still drop them: a VLAN's, say.
     */
    bool Takes(const uint8_t* destination) const;

    /** @return the NIC's own address, which comes first in a record; nothing, if none was told */
    const std::optional<std::array<uint8_t, 6>>& GetOwn() const;

  private:
    uint32_t m_flags{UINT32_MAX};
    std::optional<std::array<uint8_t, 6>> m_own;
    std::set<std::array<uint8_t, 6>> m_addresses;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_NIC_FILTER_H */
