/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "host-memory.h"

#include "relay-client.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace ns3qemu
{

namespace
{

constexpr uint64_t PAGE = 4096;
constexpr uint64_t MIB = uint64_t{1} << 20;
constexpr uint64_t GIB_PAGES = (uint64_t{1} << 30) / PAGE;

/* What the kernel itself takes, and the initramfs: that of Debian's 6.1. */
constexpr uint64_t KERNEL_PAGES = 45 * MIB / PAGE;

/* sizeof(struct page) */
constexpr uint64_t PAGE_DESCRIPTOR = 64;

/* Where x86-64 begins its zone Normal: up to there it has two zones, DMA and DMA32. */
constexpr uint64_t NORMAL_ZONE_PAGES = 4 * GIB_PAGES;

/* Pages that the memory's descriptors leave: nr_kernel_pages, free_area_init() of mm/. */
uint64_t
KernelPages(uint64_t bytes)
{
    const uint64_t pages = bytes / PAGE;
    return pages - pages * PAGE_DESCRIPTOR / PAGE;
}

/* Entries of a hash table with one for so many bytes (a power of two): alloc_large_system_hash() of
 * mm/. */
uint64_t
HashEntries(uint64_t bytes, unsigned scale, uint64_t limit)
{
    const uint64_t mib = (KernelPages(bytes) * PAGE + MIB - 1) / MIB;
    uint64_t entries = 1;
    while (entries < mib * MIB >> scale)
    {
        entries *= 2;
    }
    return std::min(entries, limit);
}

/* totalram_pages(): what is left to be given away. The largest hash tables are those of dentries
 * and inodes, fs/dcache.c and fs/inode.c, with 8 bytes for an entry. */
uint64_t
TotalPages(uint64_t bytes)
{
    const uint64_t hashes =
        8 * (HashEntries(bytes, 13, UINT64_MAX) + HashEntries(bytes, 14, UINT64_MAX));
    return KernelPages(bytes) - KERNEL_PAGES - hashes / PAGE;
}

/* nr_free_buffer_pages(): those above the high watermarks, calculate_min_free_kbytes() and
 * __setup_per_zone_wmarks() of mm/page_alloc.c, with what huge pages ask for (from 512 MiB on):
 * set_recommended_min_free_kbytes() of mm/khugepaged.c. */
uint64_t
BufferPages(uint64_t bytes)
{
    const uint64_t total = TotalPages(bytes);
    uint64_t low = static_cast<uint64_t>(std::sqrt(static_cast<double>(total * 4 * 16))) / 4;
    if (total >= 512 * MIB / PAGE)
    {
        const uint64_t zones = bytes / PAGE < NORMAL_ZONE_PAGES ? 2 : 3;
        const uint64_t huge = 512 * zones * (2 + 3 * 3);
        low = std::max(low, std::min(huge, total / 20));
    }
    return total - low - 2 * std::max(low / 4, total / 1000);
}

/* nf_conntrack_init_start() of net/netfilter/nf_conntrack_core.c and nf_conntrack_expect_init(). */
void
AddConnectionTracking(std::vector<HostSysctl>& sysctls, uint64_t total, bool since515)
{
    /* From 5.15 on the table has four times as many buckets, but not more connections. */
    const uint64_t factor = since515 ? 1 : 4;
    uint64_t buckets = total * PAGE / 16384 / 8;
    if (total > 4 * GIB_PAGES)
    {
        buckets = 262144 / factor;
    }
    else if (total > GIB_PAGES)
    {
        buckets = 65536 / factor;
    }
    buckets = std::max<uint64_t>(buckets, since515 ? 1024 : 32);
    const char* const module = "nf_conntrack";
    sysctls.push_back({"net.netfilter.nf_conntrack_max", {buckets * factor}, module});
    sysctls.push_back({"net.netfilter.nf_conntrack_expect_max",
                       {std::max<uint64_t>(buckets / 256, 1) * 4},
                       module});
}

/* sctp_init() of net/sctp/protocol.c */
void
AddSctp(std::vector<HostSysctl>& sysctls, uint64_t buffers)
{
    const uint64_t limit = std::max<uint64_t>(buffers / 8, 128);
    const uint64_t share = std::min(4 * MIB, limit * PAGE / 128);
    /* 1500 packets of one byte, with what they take besides */
    constexpr uint64_t least = 1500 * 577;
    const auto none = std::nullopt;
    const char* const module = "sctp";
    sysctls.push_back({"net.sctp.sctp_mem", {limit / 4 * 3, limit, limit / 4 * 3 * 2}, module});
    sysctls.push_back({"net.sctp.sctp_rmem", {none, none, std::max(least, share)}, module});
    sysctls.push_back({"net.sctp.sctp_wmem", {none, none, std::max(64 * 1024ul, share)}, module});
}

/* What the guest's modprobe reads (relay/modprobe.c): the module, the parameter below /proc/sys,
 * its fields. */
std::string
DescribeForModprobe(const HostSysctl& sysctl)
{
    std::string path = sysctl.name;
    std::replace(path.begin(), path.end(), '.', '/');
    std::string line = sysctl.module + " " + path;
    for (const auto& field : sysctl.fields)
    {
        line += " " + (field ? std::to_string(*field) : std::string("-"));
    }
    return line + "\n";
}

} // namespace

std::string
HostSysctl::Fill(const std::string& own) const
{
    std::istringstream words(own);
    std::string filled;
    for (const auto& field : fields)
    {
        std::string word;
        words >> word;
        filled += (filled.empty() ? "" : " ") + (field ? std::to_string(*field) : word);
    }
    return filled;
}

std::vector<HostSysctl>
DeriveHostSysctls(uint64_t bytes, const std::string& release)
{
    unsigned major = 0;
    unsigned minor = 0;
    std::sscanf(release.c_str(), "%u.%u", &major, &minor);
    const auto since = [&](unsigned x, unsigned y) {
        return major > x || (major == x && minor >= y);
    };
    if (!since(4, 4))
    {
        return {};
    }

    std::vector<HostSysctl> sysctls;
    const auto none = std::nullopt;
    const uint64_t total = TotalPages(bytes);
    const uint64_t buffers = BufferPages(bytes);

    /* tcp_init() and tcp_init_mem() of net/ipv4/tcp.c; from 6.16 on a receiver may have more */
    const uint64_t share = buffers * PAGE / 128;
    const uint64_t receive = (since(6, 16) ? 32 : 6) * MIB;
    sysctls.push_back({"net.ipv4.tcp_wmem", {none, none, std::clamp(share, 64 * 1024ul, 4 * MIB)}});
    sysctls.push_back({"net.ipv4.tcp_rmem", {none, none, std::clamp(share, 131072ul, receive)}});
    const auto addMemory = [&](const std::string& name, uint64_t limit) {
        limit = std::max<uint64_t>(limit, 128);
        sysctls.push_back({name, {limit / 4 * 3, limit, limit / 4 * 3 * 2}});
    };
    addMemory("net.ipv4.tcp_mem", buffers / 16);

    /* udp_init() of net/ipv4/udp.c */
    addMemory("net.ipv4.udp_mem", buffers / 8);

    /* The table of connections has a slot for each 128 KiB: tcp_init(). tcp_set_hashinfo() of
     * net/ipv4/tcp_ipv4.c (before 6.1 tcp_sk_init()) */
    const uint64_t connections = HashEntries(bytes, 17, 512 * 1024);
    sysctls.push_back({"net.ipv4.tcp_max_orphans", {connections / 2}});
    sysctls.push_back({"net.ipv4.tcp_max_tw_buckets", {connections / 2}});
    sysctls.push_back({"net.ipv4.tcp_max_syn_backlog",
                       {std::max<uint64_t>(connections / (since(5, 4) ? 128 : 256), 128)}});

    /* inet_initpeers() of net/ipv4/inetpeer.c, from 5.13 on; a peer takes 192 bytes. Before, any
     * machine has the upper bound. */
    if (since(5, 13))
    {
        sysctls.push_back({"net.ipv4.inet_peer_threshold",
                           {std::clamp(total * PAGE / (100 * 192), 4096ul, 65536ul + 128)}});
    }

    AddConnectionTracking(sysctls, total, since(5, 15));
    AddSctp(sysctls, buffers);

    /* fork_init() of kernel/fork.c: an eighth of the memory for stacks of 16 KiB */
    const uint64_t threads = std::clamp(total * PAGE / (8 * 16384), 20ul, 0x3ffffffful);
    sysctls.push_back({"kernel.threads-max", {threads}});
    for (const char* kind : {"user", "pid", "uts", "ipc", "net", "mnt", "cgroup", "time"})
    {
        sysctls.push_back({"user.max_" + std::string(kind) + "_namespaces", {threads / 2}});
    }
    /* A hundredth of the memory for what is watched: inotify_user_setup() and
     * fanotify_user_setup() of fs/notify, from 5.11 and 5.13 on */
    const auto addWatches = [&](const std::string& name, uint64_t cost) {
        sysctls.push_back({name, {std::clamp(total * PAGE / 100 / cost, 8192ul, MIB)}});
    };
    if (since(5, 13))
    {
        addWatches("fs.inotify.max_user_watches", 1344);
        addWatches("fs.fanotify.max_user_marks", 1262);
    }
    /* files_maxfiles_init() of fs/file_table.c: a tenth, for files of 1 KiB */
    sysctls.push_back({"fs.file-max", {std::max<uint64_t>(total * (PAGE / 1024) / 10, 8192)}});
    return sysctls;
}

void
SetHostSysctls(RelayClient& relay, uint64_t bytes)
{
    const auto sysctls = DeriveHostSysctls(bytes, relay.GetRelease());
    if (sysctls.empty())
    {
        return;
    }
    std::vector<std::string> names;
    for (const auto& sysctl : sysctls)
    {
        names.push_back(sysctl.name);
    }
    std::string ofModules;
    const auto own = relay.GetSysctls(names);
    for (size_t i = 0; i < sysctls.size(); i++)
    {
        ofModules += sysctls[i].module.empty() ? "" : DescribeForModprobe(sysctls[i]);
        if (own[i])
        {
            relay.SetSysctl(sysctls[i].name, sysctls[i].Fill(*own[i]));
        }
    }
    if (!ofModules.empty())
    {
        relay.WriteFile("/run/ns3-qemu/module-sysctls", {ofModules.begin(), ofModules.end()});
    }
}

} // namespace ns3qemu
