/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "program-output.h"

#include <algorithm>

namespace ns3qemu
{

void
ProgramOutput::Add(const std::string& bytes, size_t limit, const LineHandler& handler)
{
    const size_t room = limit > m_text.size() ? limit - m_text.size() : 0;
    m_text.append(bytes, 0, std::min(room, bytes.size()));
    m_cut = m_cut || bytes.size() > room;

    size_t at = 0;
    while (at < bytes.size())
    {
        const size_t end = bytes.find('\n', at);
        const size_t available = (end == std::string::npos ? bytes.size() : end) - at;
        const size_t taken = std::min(available, LINE_MAX_BYTES - m_line.size());
        m_line.append(bytes, at, taken);
        at += taken;
        const bool whole = taken == available && end != std::string::npos;
        if (whole)
        {
            at++; // the end of line itself
        }
        else if (m_line.size() < LINE_MAX_BYTES || at == bytes.size())
        {
            continue; // a full line may yet be ended by what comes next
        }
        std::string line;
        line.swap(m_line);
        handler(line);
    }
}

void
ProgramOutput::Finish(const LineHandler& handler)
{
    if (!m_line.empty())
    {
        std::string line;
        line.swap(m_line);
        handler(line);
    }
}

const std::string&
ProgramOutput::GetText() const
{
    return m_text;
}

bool
ProgramOutput::IsCut() const
{
    return m_cut;
}

} // namespace ns3qemu
