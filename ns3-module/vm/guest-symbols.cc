/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-symbols.h"

#include "vm-driver.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <elf.h>
#include <sstream>
#include <vector>

namespace ns3qemu
{

namespace
{

/* Farther from a symbol than this is no part of it. */
constexpr uint64_t FUNCTION_MAX = 0x10000;

/* More than any kernel lists: some 10 MB. */
constexpr size_t TEXT_MAX = size_t{64} << 20;

/* How long it may take, in ns of the guest's time. */
constexpr int64_t READ_LIMIT = 60'000'000'000;

/*
 * Writes /proc/kallsyms to its standard output and exits: x86-64. An image need not have any
 * program; and to ask the relay for the file part by part would have the kernel format it from its
 * beginning for each part.
 */
constexpr std::array<uint8_t, 82> READER = {
    0x48, 0x8d, 0x3d, 0x3c, 0,   0,   0, /* lea rdi, [rip + path] */
    0x31, 0xf6,                          /* xor esi, esi (O_RDONLY) */
    0xb8, 2,    0,    0,    0,           /* mov eax, 2 (open) */
    0x0f, 0x05,                          /* syscall */
    0x41, 0x89, 0xc4,                    /* mov r12d, eax */
    0x48, 0x81, 0xec, 0,    0,   1,   0, /* sub rsp, 65536 */
    0x44, 0x89, 0xe7,                    /* next: mov edi, r12d */
    0x48, 0x89, 0xe6,                    /* mov rsi, rsp */
    0xba, 0,    0,    1,    0,           /* mov edx, 65536 */
    0x31, 0xc0,                          /* xor eax, eax (read) */
    0x0f, 0x05,                          /* syscall */
    0x85, 0xc0,                          /* test eax, eax */
    0x7e, 0x0d,                          /* jle end */
    0x89, 0xc2,                          /* mov edx, eax */
    0xbf, 1,    0,    0,    0,           /* mov edi, 1 */
    0x89, 0xf8,                          /* mov eax, edi (write) */
    0x0f, 0x05,                          /* syscall */
    0xeb, 0xe0,                          /* jmp next */
    0xb8, 60,   0,    0,    0,           /* end: mov eax, 60 (exit) */
    0x31, 0xff,                          /* xor edi, edi */
    0x0f, 0x05,                          /* syscall */
    '/',  'p',  'r',  'o',  'c', '/', 'k', 'a', 'l', 'l', 's', 'y', 'm', 's', 0,
};

/* The same as a file that a kernel executes. */
std::vector<uint8_t>
BuildReader()
{
    constexpr uint64_t address = 0x400000;
    constexpr size_t size = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + READER.size();
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_entry = address + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    Elf64_Phdr segment{};
    segment.p_type = PT_LOAD;
    segment.p_flags = PF_R | PF_X;
    segment.p_vaddr = address;
    segment.p_filesz = size;
    segment.p_memsz = size;
    segment.p_align = 4096;
    std::vector<uint8_t> file(size);
    std::memcpy(file.data(), &header, sizeof(header));
    std::memcpy(file.data() + sizeof(header), &segment, sizeof(segment));
    std::memcpy(file.data() + sizeof(header) + sizeof(segment), READER.data(), READER.size());
    return file;
}

} // namespace

GuestSymbols::GuestSymbols(const std::string& text)
{
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line))
    {
        std::istringstream words(line);
        uint64_t address = 0;
        char kind = 0;
        std::string name;
        if (!(words >> std::hex >> address >> kind >> name))
        {
            continue;
        }
        m_all.emplace(name, address);
        if (kind == 't' || kind == 'T' || kind == 'w' || kind == 'W')
        {
            m_code.emplace(address, name);
        }
    }
    if (m_code.size() <= 1)
    {
        /* All have the address 0: a kernel that does not tell them. */
        m_code.clear();
        m_all.clear();
    }
}

bool
GuestSymbols::IsEmpty() const
{
    return m_code.empty();
}

std::optional<uint64_t>
GuestSymbols::Find(const std::string& name) const
{
    const auto found = m_all.find(name);
    return found == m_all.end() ? std::nullopt : std::make_optional(found->second);
}

std::string
GuestSymbols::Describe(uint64_t address) const
{
    auto next = m_code.upper_bound(address);
    if (next == m_code.begin() || address - std::prev(next)->first > FUNCTION_MAX)
    {
        return "";
    }
    --next;
    std::ostringstream text;
    text << next->second << "+0x" << std::hex << address - next->first;
    return text.str();
}

GuestSymbols
ReadGuestSymbols(VmDriver& vm)
{
    std::string text;
    bool ended = false;
    auto& relay = vm.GetRelay();
    relay.SetOutputHandler([&](uint32_t, int, const uint8_t* data, size_t length) {
        text.append(reinterpret_cast<const char*>(data), std::min(length, TEXT_MAX - text.size()));
    });
    relay.SetExitHandler([&](const RelayProcessExit&) { ended = true; });
    const std::string path = "/run/ns3-qemu/kallsyms";
    try
    {
        relay.WriteFile(path, BuildReader(), 0755);
        GuestProgram program;
        program.arguments = {path};
        relay.StartProcess(program);
        const int64_t limit = vm.GetTime() + READ_LIMIT;
        while (!ended && vm.GetDeadline() < limit)
        {
            vm.Run(vm.GetDeadline(), true);
        }
    }
    catch (const GuestError&)
    {
        text.clear();
    }
    relay.SetOutputHandler(nullptr);
    relay.SetExitHandler(nullptr);
    return GuestSymbols(text);
}

} // namespace ns3qemu
