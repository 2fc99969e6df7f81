/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What kernels derive from a host's memory.
 */
#include "ns3/host-memory.h"
#include "ns3/test.h"

#include <cmath>
#include <map>
#include <string>

using namespace ns3;
using namespace ns3qemu;

namespace
{

constexpr uint64_t GIB = uint64_t{1} << 30;
const std::string BOOKWORM = "6.1.0-50-cloud-amd64";

/** @return a parameter's value, where the kernel's own is "a b c"; or "none" */
std::string
Find(uint64_t bytes, const std::string& release, const std::string& name)
{
    for (const auto& sysctl : DeriveHostSysctls(bytes, release))
    {
        if (sysctl.name == name)
        {
            return sysctl.Fill("a\tb\tc");
        }
    }
    return "none";
}

} // namespace

/** What has a bound, or is a power of two. */
class HostMemoryBoundsTestCase : public TestCase
{
  public:
    HostMemoryBoundsTestCase()
        : TestCase("A host of 8 GiB has the kernel's upper bounds")
    {
    }

  private:
    void DoRun() override
    {
        const std::map<std::string, std::string> right = {
            {"net.ipv4.tcp_rmem", "a b 6291456"},
            {"net.ipv4.tcp_wmem", "a b 4194304"},
            {"net.ipv4.tcp_max_orphans", "32768"},
            {"net.ipv4.tcp_max_tw_buckets", "32768"},
            {"net.ipv4.tcp_max_syn_backlog", "512"},
            {"net.ipv4.inet_peer_threshold", "65664"},
            {"net.netfilter.nf_conntrack_max", "262144"},
            {"net.netfilter.nf_conntrack_expect_max", "4096"},
        };
        for (const auto& [name, value] : right)
        {
            NS_TEST_ASSERT_MSG_EQ(Find(8 * GIB, BOOKWORM, name), value, name);
        }
    }
};

/** The kernel's own values were read in guests of Debian's 6.1 with 96 MiB and with 2 GiB. */
class HostMemoryMeasuredTestCase : public TestCase
{
  public:
    HostMemoryMeasuredTestCase()
        : TestCase("What is in proportion to memory is what guests of that size have")
    {
    }

  private:
    void DoRun() override
    {
        const struct
        {
            uint64_t mib;
            std::string name;
            double own;
            double tolerance;
        } rows[] = {
            {96, "kernel.threads-max", 394, 0.02},
            {96, "net.ipv4.tcp_max_orphans", 512, 0},
            {96, "net.ipv4.tcp_max_syn_backlog", 128, 0},
            {96, "net.ipv4.inet_peer_threshold", 4096, 0},
            {96, "net.netfilter.nf_conntrack_max", 1024, 0},
            {96, "net.netfilter.nf_conntrack_expect_max", 16, 0},
            {96, "fs.file-max", 8192, 0},
            {2048, "kernel.threads-max", 15747, 0.02},
            {2048, "user.max_net_namespaces", 7873, 0.02},
            {2048, "fs.file-max", 201150, 0.02},
            {2048, "fs.inotify.max_user_watches", 15356, 0.02},
            {2048, "fs.fanotify.max_user_marks", 16351, 0.02},
            {2048, "net.ipv4.tcp_max_orphans", 8192, 0},
            {2048, "net.ipv4.tcp_max_syn_backlog", 128, 0},
            {2048, "net.netfilter.nf_conntrack_max", 65536, 0},
            {2048, "net.netfilter.nf_conntrack_expect_max", 1024, 0},
            /* The first of three. */
            {2048, "net.ipv4.tcp_mem", 22830, 0.02},
            {2048, "net.ipv4.udp_mem", 45660, 0.02},
        };

        for (const auto& row : rows)
        {
            const double derived = std::stod(Find(row.mib << 20, BOOKWORM, row.name));
            NS_TEST_ASSERT_MSG_EQ_TOL(derived,
                                      row.own,
                                      row.own * row.tolerance + 0.5,
                                      row.name << " with " << row.mib << " MiB");
        }
        /* The third field of the buffers: an eighth of a thousandth of 96 MiB. */
        const double most = std::stod(Find(96 << 20, BOOKWORM, "net.ipv4.tcp_rmem").substr(4));
        NS_TEST_ASSERT_MSG_EQ_TOL(most, 393248, 393248 * 0.02, "tcp_rmem with 96 MiB");
    }
};

/** Kernels that compute otherwise. */
class HostMemoryReleasesTestCase : public TestCase
{
  public:
    HostMemoryReleasesTestCase()
        : TestCase("Each release derives its limits by its own formulas")
    {
    }

  private:
    void DoRun() override
    {
        const std::string backlog = "net.ipv4.tcp_max_syn_backlog";
        NS_TEST_ASSERT_MSG_EQ(Find(8 * GIB, "4.19.0", backlog), "256", "before 5.4");
        NS_TEST_ASSERT_MSG_EQ(Find(8 * GIB, "5.10.0-8-amd64", backlog), "512", "5.10");
        const std::string tracked = "net.netfilter.nf_conntrack_max";
        NS_TEST_ASSERT_MSG_EQ(Find(8 * GIB, "5.10.0-8-amd64", tracked), "262144", "5.10");
        NS_TEST_ASSERT_MSG_EQ(
            Find(8 * GIB, "5.10.0-8-amd64", "net.netfilter.nf_conntrack_expect_max"),
            "1024",
            "a table of 65536 buckets");
        NS_TEST_ASSERT_MSG_EQ(Find(8 * GIB, "7.0", tracked), "262144", "a later one");
        const std::string receive = "net.ipv4.tcp_rmem";
        NS_TEST_ASSERT_MSG_EQ(Find(8 * GIB, "6.12.9", receive), "a b 6291456", "before 6.16");
        NS_TEST_ASSERT_MSG_EQ(Find(8 * GIB, "6.16.0", receive), "a b 33554432", "6.16");
        for (const std::string old : {"2.6.26", "4.3.9", "nonsense", ""})
        {
            NS_TEST_ASSERT_MSG_EQ(DeriveHostSysctls(8 * GIB, old).empty(), true, old);
        }
    }
};

/** They are in the suite "qemu-host-memory". */
class QemuHostMemoryTestSuite : public TestSuite
{
  public:
    QemuHostMemoryTestSuite()
        : TestSuite("qemu-host-memory", Type::UNIT)
    {
        AddTestCase(new HostMemoryBoundsTestCase);
        AddTestCase(new HostMemoryMeasuredTestCase);
        AddTestCase(new HostMemoryReleasesTestCase);
    }
};

static QemuHostMemoryTestSuite g_qemuHostMemoryTestSuite;
