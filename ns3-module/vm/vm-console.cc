/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-console.h"

#include "vm-error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ns3qemu
{

namespace
{

constexpr size_t TAIL_LINES = 50;
constexpr size_t LINE_MAX_LENGTH = 1000;

/* What kernels say when memory is short: the OOM killer, the page allocator, TCP. */
constexpr std::array<const char*, 3> SHORTAGES = {"Out of memory",
                                                  "page allocation failure",
                                                  "TCP: out of memory"};

/* What kernels say of a fault of their own, after which they may go on. */
constexpr std::array<const char*, 4> FAULTS =
    {"BUG: ", "Oops: ", "general protection fault", "kernel BUG at"};

/* What a kernel says before it panics, and what to do about it. Old ones (2.6.26) have in 32 bits
 * how many ticks of the HPET a nanosecond has, shifted by 32, and divide by it: with 1 ns that is
 * 0. */
constexpr std::array<std::pair<const char*, const char*>, 1> REMEDIES = {
    {{"clockevent_delta2ns",
      ". This kernel is too old for an HPET with a period of 1 ns: give its image a period of 16 "
      "ns "
      "(hpet_period_ns=16, --hpet-period 16; in a scenario's [hosts] hpet_period = \"16ns\")"}}};

std::string
GetAdvice(const std::deque<std::string>& lines)
{
    for (const auto& [words, advice] : REMEDIES)
    {
        if (std::any_of(lines.begin(), lines.end(), [w = words](const std::string& line) {
                return line.find(w) != std::string::npos;
            }))
        {
            return advice;
        }
    }
    return "";
}

} // namespace

void
VmConsole::SetHandler(Handler handler)
{
    m_handler = std::move(handler);
}

void
VmConsole::OpenLog(const std::string& path)
{
    m_path = path;
    m_log.open(path, std::ios::binary | std::ios::trunc);
    if (!m_log)
    {
        throw VmError("cannot write the console log '" + path + "': " + std::strerror(errno));
    }
}

void
VmConsole::CloseLog()
{
    m_log.close();
}

void
VmConsole::EndLine()
{
    const size_t panic = m_line.find("Kernel panic");
    if (panic != std::string::npos && m_panic.empty())
    {
        m_panic = m_line.substr(panic) + GetAdvice(m_tail);
    }
    const auto isIn = [this](const char* text) { return m_line.find(text) != std::string::npos; };
    if (m_shortage.empty() && std::any_of(SHORTAGES.begin(), SHORTAGES.end(), isIn))
    {
        m_shortage = m_line;
    }
    if (m_fault.empty() && std::any_of(FAULTS.begin(), FAULTS.end(), isIn))
    {
        m_fault = m_line;
    }
    m_tail.push_back(m_line);
    m_line.clear();
    if (m_tail.size() > TAIL_LINES)
    {
        m_tail.pop_front();
    }
}

void
VmConsole::Write(const uint8_t* data, size_t length)
{
    if (m_handler)
    {
        m_handler(data, length);
    }
    if (m_log.is_open())
    {
        m_log.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(length));
    }
    for (size_t i = 0; i < length; i++)
    {
        const char c = static_cast<char>(data[i]);
        if (c == '\n' || m_line.size() >= LINE_MAX_LENGTH)
        {
            EndLine();
            m_log.flush(); // lines are few, and are wanted most when the process dies
        }
        /* The guest may print anything; a terminal must not act on it. */
        if (c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f))
        {
            m_line += c;
        }
    }
    if (m_log.is_open() && !m_log)
    {
        m_log.close();
        throw VmError("cannot write the console log '" + m_path + "': " + std::strerror(errno));
    }
}

std::vector<std::string>
VmConsole::GetTail() const
{
    std::vector<std::string> lines(m_tail.begin(), m_tail.end());
    if (!m_line.empty())
    {
        lines.push_back(m_line);
    }
    return lines;
}

std::string
VmConsole::DescribeTail() const
{
    std::string text;
    for (const auto& line : GetTail())
    {
        text += (text.empty() ? "\nThe last lines of its console:\n  | " : "\n  | ") + line;
    }
    return text;
}

const std::string&
VmConsole::GetPanic() const
{
    return m_panic;
}

const std::string&
VmConsole::GetFault() const
{
    return m_fault;
}

const std::string&
VmConsole::GetShortage() const
{
    return m_shortage;
}

} // namespace ns3qemu
