/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-sandbox.h"

#include <cstddef>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

/* Of linux/landlock.h, which systems with older headers lack or have in part. */
constexpr long LANDLOCK_CREATE_RULESET = 444;
constexpr long LANDLOCK_ADD_RULE = 445;
constexpr long LANDLOCK_RESTRICT_SELF = 446;
constexpr uint32_t VERSION = 1;      // flag of LANDLOCK_CREATE_RULESET
constexpr int RULE_PATH_BENEATH = 1; // type of LANDLOCK_ADD_RULE

constexpr uint64_t WRITE_FILE = 1 << 1;
constexpr uint64_t CHANGE_DIRECTORY = 0x1ff << 4; // what makes and removes entries
constexpr uint64_t REFER = 1 << 13;               // since ABI 2
constexpr uint64_t TRUNCATE = 1 << 14;            // since ABI 3
constexpr uint64_t TCP = 3;                       // since ABI 4: bind, connect
constexpr uint64_t SCOPES = 3;                    // since ABI 6: abstract sockets, signals

struct Ruleset
{
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

struct __attribute__((packed)) PathBeneath
{
    uint64_t allowed;
    int32_t parent;
};

long
GetAbi()
{
    return syscall(LANDLOCK_CREATE_RULESET, nullptr, 0, VERSION);
}

struct NamedCall
{
    uint32_t number;
    const char* name;
};

/* Those that somebody would try who is to get out, and what a library might come to need. */
constexpr NamedCall CALLS[] = {
    {SYS_open, "open"},
    {SYS_openat, "openat"},
    {SYS_creat, "creat"},
    {SYS_unlink, "unlink"},
    {SYS_unlinkat, "unlinkat"},
    {SYS_rename, "rename"},
    {SYS_mkdir, "mkdir"},
    {SYS_chmod, "chmod"},
    {SYS_chown, "chown"},
    {SYS_socket, "socket"},
    {SYS_socketpair, "socketpair"},
    {SYS_connect, "connect"},
    {SYS_bind, "bind"},
    {SYS_accept, "accept"},
    {SYS_accept4, "accept4"},
    {SYS_sendto, "sendto"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_recvfrom, "recvfrom"},
    {SYS_recvmsg, "recvmsg"},
    {SYS_execve, "execve"},
    {SYS_execveat, "execveat"},
    {SYS_fork, "fork"},
    {SYS_vfork, "vfork"},
    {SYS_clone, "clone"},
    {SYS_kill, "kill"},
    {SYS_tkill, "tkill"},
    {SYS_tgkill, "tgkill"},
    {SYS_rt_sigaction, "rt_sigaction"},
    {SYS_rt_sigqueueinfo, "rt_sigqueueinfo"},
    {SYS_ptrace, "ptrace"},
    {SYS_process_vm_readv, "process_vm_readv"},
    {SYS_process_vm_writev, "process_vm_writev"},
    {SYS_pidfd_open, "pidfd_open"},
    {SYS_prctl, "prctl"},
    {SYS_seccomp, "seccomp"},
    {SYS_mmap, "mmap"},
    {SYS_mprotect, "mprotect"},
    {SYS_ioctl, "ioctl"},
    {SYS_fcntl, "fcntl"},
    {SYS_dup, "dup"},
    {SYS_dup2, "dup2"},
    {SYS_dup3, "dup3"},
    {SYS_mount, "mount"},
    {SYS_umount2, "umount2"},
    {SYS_unshare, "unshare"},
    {SYS_setns, "setns"},
    {SYS_chroot, "chroot"},
    {SYS_pivot_root, "pivot_root"},
    {SYS_setuid, "setuid"},
    {SYS_setresuid, "setresuid"},
    {SYS_bpf, "bpf"},
    {SYS_perf_event_open, "perf_event_open"},
    {SYS_userfaultfd, "userfaultfd"},
    {SYS_memfd_create, "memfd_create"},
    {SYS_io_setup, "io_setup"},
    {425, "io_uring_setup"},
    {SYS_keyctl, "keyctl"},
    {SYS_init_module, "init_module"},
    {SYS_finit_module, "finit_module"},
    {SYS_statx, "statx"},
    {SYS_getdents64, "getdents64"},
    {SYS_eventfd2, "eventfd2"},
    {SYS_epoll_wait, "epoll_wait"},
    {SYS_epoll_ctl, "epoll_ctl"},
    {SYS_timerfd_create, "timerfd_create"},
    {SYS_timerfd_settime, "timerfd_settime"},
    {SYS_getrusage, "getrusage"},
    {SYS_prlimit64, "prlimit64"},
    {SYS_sched_setaffinity, "sched_setaffinity"},
    {SYS_uname, "uname"},
};

} // namespace

ProcessRules::ProcessRules(const std::vector<std::string>& writable)
{
    const long abi = GetAbi();
    if (abi < 1)
    {
        return;
    }
    const uint64_t files =
        WRITE_FILE | CHANGE_DIRECTORY | (abi >= 2 ? REFER : 0) | (abi >= 3 ? TRUNCATE : 0);
    const Ruleset rules{files, abi >= 4 ? TCP : 0, abi >= 6 ? SCOPES : 0};
    const size_t size = abi >= 6   ? sizeof(rules)
                        : abi >= 4 ? offsetof(Ruleset, scopes)
                                   : offsetof(Ruleset, network);
    m_fd = static_cast<int>(syscall(LANDLOCK_CREATE_RULESET, &rules, size, 0)); // closes on exec
    for (const auto& path : writable)
    {
        struct stat status{};
        const int fd = open(path.c_str(), O_PATH | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &status) != 0)
        {
            continue; // QEMU will say so
        }
        const PathBeneath rule{S_ISDIR(status.st_mode) ? files : files & (WRITE_FILE | TRUNCATE),
                               fd};
        syscall(LANDLOCK_ADD_RULE, m_fd, RULE_PATH_BENEATH, &rule, 0);
        close(fd);
    }
}

ProcessRules::~ProcessRules()
{
    if (m_fd >= 0)
    {
        close(m_fd);
    }
}

void
ProcessRules::Enter() const
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (m_fd >= 0)
    {
        syscall(LANDLOCK_RESTRICT_SELF, m_fd, 0);
    }
}

int
ProcessRules::GetFileDescriptor() const
{
    return m_fd;
}

bool
ProcessRules::AreKnown()
{
    return GetAbi() >= 1;
}

std::string
DescribeSystemCall(uint32_t number)
{
    for (const auto& call : CALLS)
    {
        if (call.number == number)
        {
            return std::to_string(number) + " (" + call.name + ")";
        }
    }
    return std::to_string(number);
}

} // namespace ns3qemu
