/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "tick-finder.h"

#include <map>

namespace ns3qemu
{

namespace
{

constexpr int64_t MILLISECOND = 1'000'000;

/* How many timers are looked at. */
constexpr size_t EXPIRIES = 32;

} // namespace

void
TickFinder::Add(int64_t time)
{
    m_expiries.push_back(time);
    if (m_expiries.size() > EXPIRIES)
    {
        m_expiries.pop_front();
    }
}

std::optional<int64_t>
TickFinder::Find() const
{
    std::map<int64_t, size_t> places;
    auto most = places.end();
    for (const int64_t expiry : m_expiries)
    {
        const auto place = places.emplace(expiry % MILLISECOND, 0).first;
        place->second++;
        most = most == places.end() || place->second > most->second ? place : most;
    }
    if (m_expiries.size() < EXPIRIES / 2 || most->second <= m_expiries.size() / 2)
    {
        return std::nullopt;
    }
    return most->first;
}

} // namespace ns3qemu
