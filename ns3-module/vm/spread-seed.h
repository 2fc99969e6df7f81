/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_SPREAD_SEED_H
#define NS3_QEMU_SPREAD_SEED_H

#include <cstdint>
#include <vector>

namespace ns3qemu
{

/**
 * Spread a small seed over the 32 bytes that a kernel's RNG wants: SplitMix64 (Steele, Lea, Flood:
 * Fast splittable pseudorandom number generators, OOPSLA 2014).
 */
inline std::vector<uint8_t>
SpreadSeed(uint64_t seed)
{
    std::vector<uint8_t> bytes;
    for (int i = 0; i < 4; i++)
    {
        seed += 0x9e3779b97f4a7c15;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        z ^= z >> 31;
        for (int shift = 0; shift < 64; shift += 8)
        {
            bytes.push_back(static_cast<uint8_t>(z >> shift));
        }
    }
    return bytes;
}

} // namespace ns3qemu

#endif /* NS3_QEMU_SPREAD_SEED_H */
