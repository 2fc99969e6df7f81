/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "jail.h"

#include "vm-sandbox.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <grp.h>
#include <iostream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

constexpr uid_t NOBODY = 65534;

[[noreturn]] void
Fail(const char* what)
{
    std::cerr << "this target needs a jail, and there is none: " << what << std::endl;
    std::_Exit(2);
}

/* These fail with EPERM, as for whoever may not. */
void
RefuseCalls()
{
    const int calls[] = {SYS_fork,
                         SYS_vfork,
                         SYS_execve,
                         SYS_execveat,
                         SYS_kill,
                         SYS_tkill,
                         SYS_mount,
                         SYS_umount2,
                         SYS_reboot,
                         SYS_setsid,
                         SYS_setpgid,
                         SYS_chroot,
                         SYS_clock_settime,
                         SYS_settimeofday,
                         SYS_sethostname};
    std::vector<sock_filter> code{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const int call : calls)
    {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    }
    /* clone() makes threads, for a fuzzer, and nothing else. */
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3));
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)));
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
    {
        Fail("no filter of system calls");
    }
}

} // namespace

void
EnterJail()
{
    const bool root = geteuid() == 0;
    if (unshare(root ? CLONE_NEWNET | CLONE_NEWUTS : CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWUTS) !=
        0)
    {
        Fail("no network of its own");
    }
    if (root && (setgroups(0, nullptr) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
                 setresuid(NOBODY, NOBODY, NOBODY) != 0))
    {
        Fail("it cannot be nobody");
    }
    if (!ns3qemu::ProcessRules::AreKnown())
    {
        Fail("no Landlock");
    }
    std::vector<std::string> writable;
    const char* places = std::getenv("FUZZ_WRITABLE");
    std::istringstream list(places ? places : "");
    for (std::string place; std::getline(list, place, ':');)
    {
        writable.push_back(place);
    }
    ns3qemu::ProcessRules(writable).Enter();
    RefuseCalls();
}
