/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "unsent-frames.h"

#include "ns3/simulator.h"

#include <iostream>

namespace ns3
{

namespace
{

/* Reasons that are told apart: a guest may invent any number of types. */
constexpr size_t REASONS_MAX = 16;

} // namespace

void
UnsentFrames::Add(const std::string& nic, const std::string& reason, const std::string& advice)
{
    const auto known = m_counts.find(reason);
    if (known != m_counts.end())
    {
        known->second++;
        return;
    }
    if (m_counts.size() >= REASONS_MAX)
    {
        m_counts["other reasons"]++;
        return;
    }
    m_counts[reason] = 1;
    std::cerr << nic << ", drops a frame at " << Simulator::Now().GetSeconds()
              << " s, and will drop"
              << " all like it without a further word: " << reason << ". " << advice << std::endl;
}

const UnsentFrames::Counts&
UnsentFrames::Get() const
{
    return m_counts;
}

} // namespace ns3
