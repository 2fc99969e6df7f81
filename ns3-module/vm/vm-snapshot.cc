/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-snapshot.h"

#include "descriptor.h"
#include "file-content.h"
#include "fnv-hash.h"
#include "vm-command.h"
#include "vm-error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <poll.h>
#include <set>
#include <sys/file.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

namespace fs = std::filesystem;

/* Increase it when a snapshot's files change their meaning. */
constexpr uint64_t FORMAT = 2;

/* How often a wait for somebody else's snapshot is looked at, in ms. */
constexpr int WAIT_INTERVAL = 50;

std::string
Print(uint64_t hash)
{
    char text[20];
    std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
    return text;
}

[[noreturn]] void
Fail(const std::string& what, const std::string& path, int error)
{
    throw VmError(what + " " + path + ": " + std::strerror(error) +
                  ". VMs start from a saved machine that is kept with their image; to boot each "
                  "instead, set the attribute Snapshot of ns3::VirtualMachine to false");
}

int
Open(const std::string& path, int flags)
{
    const int fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
    if (fd < 0)
    {
        Fail("cannot open", path, errno);
    }
    return fd;
}

std::vector<uint8_t>
ReadAll(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
    {
        Fail("cannot read", path, errno);
    }
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void
WriteAll(const std::string& path, const void* data, size_t length)
{
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(static_cast<const char*>(data), static_cast<std::streamsize>(length));
    file.close();
    if (!file)
    {
        Fail("cannot write", path, errno);
    }
}

/* A rename must not be on the disk before what it names. */
void
Sync(const std::string& path)
{
    const Descriptor file(Open(path, O_RDONLY));
    if (fsync(file.Get()) != 0)
    {
        Fail("cannot write", path, errno);
    }
}

} // namespace

VmSnapshot::VmSnapshot(std::string store,
                       std::vector<std::string> machine,
                       std::vector<std::string> boot,
                       uint32_t memory)
    : m_store(std::move(store)),
      m_machine(std::move(machine)),
      m_boot(std::move(boot)),
      m_memory(memory)
{
    FnvHash key;
    key.Add(&FORMAT, sizeof(FORMAT));
    for (const auto* words : {&m_machine, &m_boot})
    {
        for (const auto& word : *words)
        {
            key.Add(word.c_str(), word.size() + 1);
        }
    }
    m_key = Print(key.Get());
    m_directory = m_store + "/" + m_key;
}

std::string
VmSnapshot::Describe(const std::string& directory, const std::string& memory) const
{
    std::string text = "format " + std::to_string(FORMAT) + "\nmachine " + m_key + "\n";
    for (const char* name : {"state", "relay", "console"})
    {
        const auto content = ReadAll(directory + "/" + name);
        FnvHash sum;
        sum.Add(content.data(), content.size());
        text += std::string(name) + " " + std::to_string(content.size()) + " " + Print(sum.Get()) +
                "\n";
    }
    return text + "ram " + std::to_string(fs::file_size(directory + "/ram")) + " " + memory + "\n";
}

/*
 * Whether its memory is as it was. To read it takes longer than a machine's start, so it is read
 * again only if it may have changed: after a boot of the host, or if its file's inode, size or
 * times are others than when it was read last.
 */
bool
VmSnapshot::HasMemory(const std::string& sum) const
{
    static std::set<std::string> seen; // where there is no writing
    const std::string path = m_directory + "/ram";
    const std::string note = DescribeFile(path) + " " + sum + "\n";
    std::ifstream file(m_directory + "/checked");
    const std::string noted{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (noted == note || seen.count(note) != 0)
    {
        return true;
    }
    if (Print(SumFile(path)) != sum)
    {
        return false;
    }
    seen.insert(note);
    const std::string part = m_directory + "/.checked." + std::to_string(getpid());
    std::ofstream next(part, std::ios::trunc);
    next << note;
    next.close();
    if (!next || std::rename(part.c_str(), (m_directory + "/checked").c_str()) != 0)
    {
        unlink(part.c_str()); // it is read again next time
    }
    return true;
}

/* What its files are, as far as the file system knows. */
std::string
VmSnapshot::DescribeFiles() const
{
    std::string text;
    for (const char* name : {"manifest", "state", "relay", "console", "ram"})
    {
        text += DescribeFile(m_directory + "/" + name) + "\n";
    }
    return text;
}

bool
VmSnapshot::IsWhole() const
{
    /* Of many machines that start from it, only the first reads it. */
    static thread_local std::map<std::string, std::string> whole;
    try
    {
        const std::string files = DescribeFiles();
        const auto known = whole.find(m_directory);
        if (known != whole.end() && known->second == files)
        {
            return true;
        }
        if (!ReadWhole())
        {
            return false;
        }
        whole[m_directory] = files;
        return true;
    }
    catch (const std::exception&)
    {
        return false;
    }
}

bool
VmSnapshot::ReadWhole() const
{
    const auto bytes = ReadAll(m_directory + "/manifest");
    const std::string manifest(bytes.begin(), bytes.end());
    const size_t last = manifest.rfind(' ');
    if (last == std::string::npos)
    {
        return false;
    }
    const std::string sum = manifest.substr(last + 1, manifest.size() - last - 2);
    return manifest == Describe(m_directory, sum) && HasMemory(sum);
}

void
VmSnapshot::Ensure(const std::function<void(const std::string& directory)>& make,
                   const std::function<void()>& wait,
                   const std::function<void(const std::string&)>& report)
{
    if (IsWhole())
    {
        return;
    }
    std::error_code error;
    fs::create_directories(m_store, error);
    if (error)
    {
        Fail("cannot make", m_store, error.value());
    }
    const Descriptor lock(Open(m_store + "/." + m_key + ".lock", O_RDWR | O_CREAT));
    while (flock(lock.Get(), LOCK_EX | LOCK_NB) != 0)
    {
        if (errno != EWOULDBLOCK && errno != EINTR)
        {
            Fail("cannot lock", m_store, errno);
        }
        if (wait)
        {
            wait();
        }
        poll(nullptr, 0, WAIT_INTERVAL);
    }
    if (IsWhole())
    {
        return; // somebody else has made it
    }
    /* Whatever is half made was left by somebody who has ended, for we have the lock. */
    if (report && fs::exists(m_directory, error))
    {
        report("The saved machine in " + m_directory +
               " is not as it was saved; it is made anew. What was simulated with it since it has "
               "changed may be wrong.");
    }
    const std::string work = m_store + "/." + m_key + ".new";
    fs::remove_all(work, error);
    fs::remove_all(m_directory, error);
    if (!fs::create_directory(work, error))
    {
        Fail("cannot make", work, error.value());
    }
    try
    {
        /* QEMU writes it by way of its memory: without room for it, it would be killed. */
        ReserveFile(work + "/ram", uint64_t{m_memory} << 20);
        make(work);
        DigHoles(work + "/ram");
        const std::string manifest = Describe(work, Print(SumFile(work + "/ram")));
        WriteAll(work + "/manifest", manifest.data(), manifest.size());
        for (const char* name : {"ram", "state", "relay", "console", "manifest"})
        {
            Sync(work + "/" + name);
        }
        fs::rename(work, m_directory);
    }
    catch (...)
    {
        fs::remove_all(work, error);
        throw;
    }
    IsWhole(); // so that nobody reads its memory again
}

std::vector<std::string>
VmSnapshot::BuildMemoryOptions(const std::string& directory, bool save) const
{
    /* While it is saved the file takes the memory's every change. Afterwards nothing may. */
    return {"-object",
            "memory-backend-file,id=ram,size=" + std::to_string(m_memory) +
                "M,reserve=off,mem-path=" + EscapeQemuProperty(directory + "/ram") +
                (save ? ",share=on" : ",share=off,readonly=on,rom=off"),
            "-machine",
            "memory-backend=ram",
            "-global",
            "migration.x-ignore-shared=on",
            /* Nobody has moved: no packets about it, at times that are the host's. */
            "-global",
            "migration.announce-rounds=0"};
}

std::vector<std::string>
VmSnapshot::BuildSaveCommand(const std::string& directory) const
{
    auto command = m_machine;
    command.insert(command.end(), m_boot.begin(), m_boot.end());
    const auto memory = BuildMemoryOptions(directory, true);
    command.insert(command.end(), memory.begin(), memory.end());
    return command;
}

std::vector<std::string>
VmSnapshot::BuildRestoreCommand() const
{
    /* What only booting needs would take memory of each VM's own. */
    auto command = m_machine;
    const auto memory = BuildMemoryOptions(m_directory, false);
    command.insert(command.end(), memory.begin(), memory.end());
    command.emplace_back("-incoming");
    command.push_back("file:" + GetStatePath(m_directory));
    return command;
}

std::string
VmSnapshot::DescribeMemory() const
{
    return DescribeFile(m_directory + "/ram");
}

std::string
VmSnapshot::GetBlocksPath() const
{
    /* Another name when LearnBlocks() learns something else, or nobody would learn it. */
    return m_directory + "/blocks-2";
}

std::vector<uint8_t>
VmSnapshot::ReadRelay() const
{
    return ReadAll(m_directory + "/relay");
}

std::vector<uint8_t>
VmSnapshot::ReadConsole() const
{
    return ReadAll(m_directory + "/console");
}

std::string
VmSnapshot::GetStatePath(const std::string& directory)
{
    return directory + "/state";
}

void
VmSnapshot::Write(const std::string& directory,
                  const std::vector<uint8_t>& relay,
                  const std::vector<uint8_t>& console)
{
    WriteAll(directory + "/relay", relay.data(), relay.size());
    WriteAll(directory + "/console", console.data(), console.size());
}

} // namespace ns3qemu
