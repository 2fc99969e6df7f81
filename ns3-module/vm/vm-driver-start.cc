/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * How a VmDriver gets its machine's process: forked, or started by itself.
 */
#include "open-file.h"
#include "vm-blocks.h"
#include "vm-cpus.h"
#include "vm-driver.h"
#include "vm-error.h"
#include "vm-zygote.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

/* Of the link's inbox and outbox, in bytes. */
constexpr uint32_t BOX_SIZE = 1024 * 1024;

} // namespace

std::vector<std::string>
VmDriver::BuildMachine() const
{
    try
    {
        auto command = BuildMachineCommand(m_config.image, m_config.nics);
        AddCpus(command, m_config.cpus);
        for (const auto& nic : m_config.nics)
        {
            CheckQueues(nic.queues, m_config.cpus);
        }
        return command;
    }
    catch (const VmError& error)
    {
        throw VmError("VM '" + m_config.name + "': " + error.what());
    }
}

void
VmDriver::Start()
{
    if (m_state != State::NEW)
    {
        Fail("it was started twice");
    }
    if (!m_config.consoleLog.empty())
    {
        m_console.OpenLog(m_config.consoleLog);
    }
    for (const auto& nic : m_config.nics)
    {
        m_addresses.push_back(ParseMacAddress(nic.address));
    }
    auto command = BuildMachine();
    const auto boot = BuildBootOptions(m_config.image.boot, m_config.cpus);
    if (!m_config.snapshots.empty())
    {
        auto snapshot = std::make_unique<VmSnapshot>(m_config.snapshots,
                                                     command,
                                                     boot,
                                                     m_config.image.memoryMib);
        snapshot->Ensure(
            [&](const std::string& directory) {
                /* Who asks for the machine must leave no trace in it. */
                VmConfig config = m_config;
                config.snapshots.clear();
                config.consoleLog.clear();
                config.keepDisks.clear();
                config.monitor.clear();
                config.gdb.clear();
                config.counts.clear();
                config.seed = VmConfig{}.seed;
                VmDriver maker(config);
                maker.SetInterrupt(m_interrupt);
                maker.SetReporter(m_reporter);
                maker.BootAndSave(*snapshot, directory);
            },
            m_interrupt,
            m_reporter);
        command = snapshot->BuildRestoreCommand();
        m_snapshot = std::move(snapshot);
    }
    else
    {
        command.insert(command.end(), boot.begin(), boot.end());
    }
    if (!StartForked(command))
    {
        StartProcess(command, "", "");
    }
}

void
VmDriver::StartProcess(const std::vector<std::string>& command,
                       const std::string& state,
                       const std::string& directory)
{
    VmOwnOptions options{m_config.name,
                         m_config.seed,
                         m_config.spin,
                         state,
                         m_config.linkOptions,
                         PrepareDisks(),
                         m_config.sandbox,
                         m_config.copies};
    try
    {
        MakeLink();
        std::vector<int> descriptors{m_link->GetFileDescriptor()};
        options.monitor = Inherit(m_monitor, m_config.monitor, descriptors);
        options.gdb = Inherit(m_gdb, m_config.gdb, descriptors);
        std::optional<OpenFile> counts;
        if (!m_config.counts.empty())
        {
            counts.emplace(m_config.counts, O_RDWR | O_CREAT | O_TRUNC);
            options.counts = VmProcess::LINK_FD + static_cast<int>(descriptors.size());
            descriptors.push_back(counts->Get());
        }
        std::optional<std::vector<std::string>> writable;
        if (m_config.sandbox)
        {
            writable = options.diskCopies;
            if (!directory.empty())
            {
                writable->push_back(directory);
            }
        }
        m_process =
            std::make_unique<VmProcess>(AddOwnOptions(command, options), descriptors, writable);
    }
    catch (const VmError& error)
    {
        throw VmError("VM '" + m_config.name + "': " + error.what());
    }
    m_state = State::BOOTING;
    m_occasion = "its start";
}

void
VmDriver::MakeLink()
{
    m_link = std::make_unique<VmLink>(BOX_SIZE, m_config.spin);
    m_link->SetWatch([this](int64_t elapsed) { WatchTurn(elapsed); });
}

/*
 * @return what is known of machines of this kind, and if nothing is, find it out: unless somebody
 * else does, or it could not be kept, for then it takes longer than it saves
 */
std::vector<SimLinkBlock>
VmDriver::FindBlocks()
{
    const std::string file = m_snapshot->GetBlocksPath();
    if (const auto blocks = ReadBlocks(file))
    {
        return *blocks;
    }
    const std::string directory = file.substr(0, file.rfind('/'));
    const OpenFile lock(directory, O_RDONLY | O_DIRECTORY);
    if (access(directory.c_str(), W_OK) != 0 || flock(lock.Get(), LOCK_EX | LOCK_NB) != 0)
    {
        return {};
    }
    if (const auto blocks = ReadBlocks(file))
    {
        return *blocks; // somebody else has, just now
    }
    if (access(file.c_str(), F_OK) == 0)
    {
        m_reporter("The list of code in " + file + " is not as it was written; it is made anew.");
    }
    std::vector<SimLinkBlock> blocks;
    try
    {
        blocks = LearnBlocks(m_config, m_interrupt);
    }
    catch (const VmError& error)
    {
        m_reporter(std::string("Which code is worth translating is not known: ") + error.what());
    }
    WriteBlocks(file, blocks);
    return blocks;
}

/* @return whether the machine is there: else it is to be started by itself */
bool
VmDriver::StartForked(const std::vector<std::string>& command)
{
    /* What a process must have from its beginning, or its main loop serves. */
    const bool alone = !m_snapshot || !m_config.monitor.empty() || !m_config.gdb.empty() ||
                       !m_config.counts.empty() ||
                       (!m_config.keepDisks.empty() && !m_config.image.disks.empty());
    if (!m_config.fork || alone)
    {
        return false;
    }
    /* The same words for all machines of a kind. */
    VmOwnOptions options;
    options.name = "zygote";
    options.spin = m_config.spin;
    options.linkOptions = m_config.linkOptions;
    options.sandbox = m_config.sandbox;
    options.copies = m_config.copies;
    options.zygote = VmZygote::SOCKET_FD;
    std::optional<std::vector<std::string>> writable;
    if (m_config.sandbox)
    {
        writable.emplace();
    }
    try
    {
        for (const auto& disk : m_config.image.disks)
        {
            CheckDisk(disk);
        }
        MakeLink();
        m_process =
            VmZygotes::Get().Fork(AddOwnOptions(command, options),
                                  writable,
                                  m_snapshot->DescribeMemory(),
                                  {m_link->GetFileDescriptor(), m_config.seed, writable},
                                  {m_config.warmAfter,
                                   [this]() { return FindBlocks(); },
                                   [this](const std::string& reason) {
                                       m_reporter("VM '" + m_config.name +
                                                  "' and others like it translate all code "
                                                  "themselves, since a zygote could not: " +
                                                  reason);
                                   }},
                                  m_interrupt,
                                  [this](const std::string& reason) { ReportPlainStart(reason); });
    }
    catch (const VmError& error)
    {
        throw VmError("VM '" + m_config.name + "': " + error.what());
    }
    if (!m_process)
    {
        return false;
    }
    m_state = State::BOOTING;
    m_occasion = "its start";
    return true;
}

} // namespace ns3qemu
