/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_FNV_HASH_H
#define NS3_QEMU_FNV_HASH_H

#include <cstddef>
#include <cstdint>

namespace ns3qemu
{

/** Fowler, Noll and Vo's hash FNV-1a, 64 bit: against accidents, not against attackers. */
class FnvHash
{
  public:
    /** Take these bytes, too. */
    void Add(const void* data, size_t length)
    {
        const auto* bytes = static_cast<const uint8_t*>(data);
        for (size_t i = 0; i < length; i++)
        {
            m_hash = (m_hash ^ bytes[i]) * 0x100000001b3;
        }
    }

    /** @return the hash of all bytes so far */
    uint64_t Get() const
    {
        return m_hash;
    }

  private:
    uint64_t m_hash{0xcbf29ce484222325};
};

} // namespace ns3qemu

#endif /* NS3_QEMU_FNV_HASH_H */
