/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A look at a VM that keeps its turn: where its CPU is, and for which program. It changes nothing
 * in the VM.
 */
#include "vm-driver.h"
#include "vm-error.h"

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sstream>

namespace ns3qemu
{

namespace
{

/* How long a guest may take from one translated block to the next, in ms of wall time. */
constexpr int LOOK_PATIENCE = 500;

/* Where the upper half of x86-64's addresses begins: a kernel's. */
constexpr uint64_t KERNEL_BEGIN = uint64_t{1} << 63;

/* More than a struct task_struct has, and struct task_struct.comm, in bytes. */
constexpr uint32_t TASK_MAX = 16384;
constexpr uint32_t COMM_LENGTH = 16;

std::string
Hex(uint64_t number)
{
    std::ostringstream text;
    text << "0x" << std::hex << number;
    return text.str();
}

} // namespace

std::optional<VmLook>
VmDriver::Look(uint64_t address, uint32_t length)
{
    if (!m_canLook || m_link->HasEnded() || m_process->GetState() == 'T')
    {
        return std::nullopt;
    }
    m_link->AskForLook(address, length);
    m_process->Signal(SIM_LINK_LOOK_SIGNAL);
    for (int i = 0; i < LOOK_PATIENCE && !m_link->HasEnded(); i++)
    {
        if (auto look = m_link->GetLook())
        {
            return look;
        }
        poll(nullptr, 0, 1);
    }
    return std::nullopt;
}

/* @return what QEMU is doing, as the host sees it */
std::string
VmDriver::DescribeQemu() const
{
    const std::string name = "QEMU (process " + std::to_string(m_process->GetPid()) + ") ";
    if (m_process->GetState() == 'T')
    {
        return name + "is stopped: SIGCONT lets it go on.";
    }
    if (m_process->GetState() == 'D')
    {
        return name + "waits for the host's disk.";
    }
    const int64_t used = m_process->GetCpuTime() - m_turnBeginCpu;
    return name + "has had " + std::to_string(used / 1'000'000'000) + " s of CPU time meanwhile.";
}

std::string
VmDriver::DescribeGuest()
{
    auto look = Look(0, 0);
    if (look && IsInSimulation())
    {
        GetSymbols(); // which takes long: then look again
        look = Look(0, 0);
    }
    if (!look)
    {
        return "";
    }
    std::string text = " Its guest has executed " +
                       std::to_string(look->instructions - m_answer.instructions) +
                       " instructions in this turn so far, and is ";
    if (!IsInSimulation())
    {
        /* A second machine of its kind would be where it is. */
        return text + "at " + Hex(look->pc) + ".";
    }
    const auto& symbols = GetSymbols();
    const std::string symbol = symbols.Describe(look->pc);
    text += (look->pc >= KERNEL_BEGIN ? "in its kernel at " : "in a program at ") + Hex(look->pc) +
            (symbol.empty() ? "" : " (" + symbol + ")");
    const std::string program = FindProgram(symbols);
    return text + (program.empty() ? "" : ", for '" + program + "'") + ".";
}

/*
 * Those of the machine that it was started from, where everything is at the same addresses: this
 * one cannot be asked now.
 */
const GuestSymbols&
VmDriver::GetSymbols()
{
    if (!m_symbols)
    {
        m_symbols = std::make_unique<GuestSymbols>();
        try
        {
            VmConfig config = m_config;
            config.consoleLog.clear();
            config.keepDisks.clear();
            config.monitor.clear();
            config.gdb.clear();
            config.copies = false;
            config.counts.clear();
            config.watchdog = 0;
            VmDriver other(config);
            other.SetInterrupt(m_interrupt);
            other.SetReporter(nullptr);
            other.FinishBoot();
            *m_symbols = ReadGuestSymbols(other);
        }
        catch (const VmError&)
        {
            /* Then there are no names. */
        }
    }
    return *m_symbols;
}

/* The name of the task that the guest's CPU executes: current->comm. */
std::string
VmDriver::FindProgram(const GuestSymbols& symbols)
{
    const auto read = [this](uint64_t address) -> uint64_t {
        const auto look = Look(address, sizeof(address));
        uint64_t value = 0;
        if (look && look->data.size() == sizeof(value))
        {
            std::memcpy(&value, look->data.data(), sizeof(value));
        }
        return value;
    };
    const auto first = symbols.Find("init_task");
    const auto offsets = symbols.Find("__per_cpu_offset");
    /* Its name has changed: until 6.1, from 6.2 on (where it is the first field), from 6.15 on. */
    auto current = symbols.Find("current_task");
    current = current ? current : symbols.Find("pcpu_hot");
    if (!first || !offsets || !current)
    {
        return "";
    }
    /* Where the name is in it: that of the first one is known. */
    const std::string idle = "swapper";
    std::vector<uint8_t> task;
    while (task.size() < TASK_MAX)
    {
        const auto look = Look(*first + task.size(), SIM_LINK_LOOK_MAX);
        if (!look || look->data.empty())
        {
            break;
        }
        task.insert(task.end(), look->data.begin(), look->data.end());
    }
    const auto at = std::search(task.begin(), task.end(), idle.begin(), idle.end());
    const uint64_t running = read(read(*offsets) + *current);
    if (at == task.end() || running < KERNEL_BEGIN)
    {
        return "";
    }
    const auto look = Look(running + static_cast<uint64_t>(at - task.begin()), COMM_LENGTH);
    std::string name;
    for (const uint8_t c : look ? look->data : std::vector<uint8_t>())
    {
        if (c == 0)
        {
            break;
        }
        /* The guest chooses it; a terminal must not act on it. */
        name += std::isprint(c) ? static_cast<char>(c) : '?';
    }
    return name;
}

} // namespace ns3qemu
