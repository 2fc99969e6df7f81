/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a process may still do once a guest runs in it. Nothing here knows QEMU: the test of what a
 * taken-over QEMU can do is built from this very file.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "system/sim-sandbox.h"

/* "nobody" wherever there is one; the kernel's own name for whom it does not know. */
#define NOBODY 65534

#define KIB 1024ull
#define MIB (1024 * KIB)

/* What may be written to one file: the output that the simulator keeps, or a machine's state. */
#define OUTPUT_MAX (1 * MIB)
#define STATE_MAX (512 * MIB)

#define DESCRIPTORS_MAX 256

/* The argument of a call that decides, its low 32 bits. */
enum {
    ANY,
    WITHOUT, /* none of the bits of `value` */
    WITH,    /* all of them */
    EQUAL,   /* it is `value` */
};

typedef struct Rule {
    int call;
    unsigned uses; /* only with one of these SIM_SANDBOX_..., or 0 */
    int test;
    unsigned argument;
    uint32_t value;
} Rule;

/* The process's own id, which is not known before. */
#define OWN_PID UINT32_MAX

#define THREAD (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define FORK (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)

/*
 * All that is allowed. What a turn makes comes first; kernels since 5.11 keep the verdicts that no
 * argument decides in a bitmap, so there the order does not matter.
 */
static const Rule rules[] = {
    { SYS_futex },
    { SYS_write },
    { SYS_read },
    { SYS_ppoll },
    { SYS_clock_nanosleep },
    /* Time, where the vDSO cannot tell it. */
    { SYS_clock_gettime },
    { SYS_gettimeofday },
    { SYS_clock_getres },
    /* Memory. The buffer for translated code is there, writable and executable; no other may be. */
    { SYS_madvise },
    { SYS_mprotect, 0, WITHOUT, 2, PROT_EXEC },
    { SYS_mmap, 0, WITHOUT, 2, PROT_EXEC },
    { SYS_munmap },
    { SYS_mremap },
    { SYS_brk },
    /* Threads and signals, its own. */
    { SYS_rt_sigreturn },
    { SYS_rt_sigprocmask },
    { SYS_restart_syscall },
    { SYS_sched_yield },
    { SYS_sched_getaffinity },
    { SYS_nanosleep },
    { SYS_poll },
    { SYS_membarrier },
    { SYS_getpid },
    { SYS_gettid },
    { SYS_tgkill, 0, EQUAL, 0, OWN_PID }, /* abort() */
    { SYS_getrandom },
    { SYS_sysinfo },
    { SYS_exit },
    { SYS_exit_group },
    /* A thread's first steps: one that was made before the filter may take them after it. */
    { SYS_rseq },
    { SYS_set_robust_list },
    /* Descriptors that it has. */
    { SYS_close },
    { SYS_readv },
    { SYS_writev },
    { SYS_lseek },
    { SYS_fstat },
    { SYS_fsync },
    { SYS_fdatasync },
    { SYS_msync },
    { SYS_fcntl, 0, EQUAL, 1, 1 /* F_GETFD */ },
    { SYS_fcntl, 0, EQUAL, 1, 2 /* F_SETFD */ },
    { SYS_fcntl, 0, EQUAL, 1, 3 /* F_GETFL */ },
    { SYS_fcntl, 0, EQUAL, 1, 4 /* F_SETFL */ },

    /* Threads: a migration's, a monitor's, and the one of QEMU's RCU that a copy begins with. */
    { SYS_clone, SIM_SANDBOX_SAVES | SIM_SANDBOX_MONITORS | SIM_SANDBOX_COPIES, WITH, 0, THREAD },

    /* Saving: a copy of the descriptor of its file. */
    { SYS_prctl, SIM_SANDBOX_SAVES | SIM_SANDBOX_MONITORS, EQUAL, 0, PR_SET_NAME },
    { SYS_fcntl, SIM_SANDBOX_SAVES | SIM_SANDBOX_MONITORS, EQUAL, 1, 1030 /* F_DUPFD_CLOEXEC */ },
    { SYS_dup, SIM_SANDBOX_SAVES | SIM_SANDBOX_MONITORS },
    { SYS_ftruncate, SIM_SANDBOX_SAVES },
    { SYS_pread64, SIM_SANDBOX_SAVES | SIM_SANDBOX_MONITORS },
    { SYS_pwrite64, SIM_SANDBOX_SAVES | SIM_SANDBOX_MONITORS },
    { SYS_pwritev, SIM_SANDBOX_SAVES },
    { SYS_eventfd2, SIM_SANDBOX_SAVES | SIM_SANDBOX_MONITORS },
    { SYS_getrusage, SIM_SANDBOX_SAVES | SIM_SANDBOX_MONITORS },

    /*
     * Copies of the machine: forks, which have this filter, too, and no namespaces of their own. One
     * is killed by who made it, and so may others be, as far as Landlock and their user allow it.
     */
    { SYS_clone, SIM_SANDBOX_COPIES, EQUAL, 0, FORK },
    { SYS_wait4, SIM_SANDBOX_COPIES },
    { SYS_kill, SIM_SANDBOX_COPIES, EQUAL, 1, SIGKILL },
    { SYS_getppid, SIM_SANDBOX_COPIES },
    { SYS_prctl, SIM_SANDBOX_COPIES, EQUAL, 0, PR_SET_PDEATHSIG },
    { SYS_close_range, SIM_SANDBOX_COPIES },
    { SYS_newfstatat, SIM_SANDBOX_COPIES, WITH, 3, AT_EMPTY_PATH }, /* fstat() */

    /* Somebody looks inside: a monitor, a debugger's socket. */
    { SYS_newfstatat, SIM_SANDBOX_MONITORS, WITH, 3, AT_EMPTY_PATH },
    { SYS_ioctl, SIM_SANDBOX_MONITORS, EQUAL, 1, FIONREAD },
    { SYS_pipe2, SIM_SANDBOX_MONITORS },
    { SYS_accept4, SIM_SANDBOX_MONITORS },
    { SYS_recvmsg, SIM_SANDBOX_MONITORS },
    { SYS_recvfrom, SIM_SANDBOX_MONITORS },
    { SYS_sendmsg, SIM_SANDBOX_MONITORS },
    { SYS_sendto, SIM_SANDBOX_MONITORS },
    { SYS_shutdown, SIM_SANDBOX_MONITORS },
    { SYS_getsockname, SIM_SANDBOX_MONITORS },
    { SYS_getpeername, SIM_SANDBOX_MONITORS },
    { SYS_getsockopt, SIM_SANDBOX_MONITORS },
    { SYS_setsockopt, SIM_SANDBOX_MONITORS },
};

/*
 * Libraries and QEMU try these, and go on without: for the number of CPUs, for the name of who sends
 * a signal, to remove a socket in the end. glibc knows then to use clone() in place of the call whose arguments a
 * filter cannot see.
 */
static const struct {
    int call;
    int error;
} failing[] = {
    { SYS_openat, EACCES },     { SYS_open, EACCES },       { SYS_newfstatat, EACCES },
    { SYS_stat, EACCES },       { SYS_access, EACCES },     { SYS_readlink, EACCES },
    { SYS_unlink, EACCES },     { SYS_unlinkat, EACCES },   { SYS_clone3, ENOSYS },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + 8 * (n))

static struct {
    uint32_t *refused;
    struct sock_filter code[8 + 6 * COUNT(rules) + 2 * COUNT(failing)];
    unsigned short length;
} sandbox;

static void add(struct sock_filter statement)
{
    sandbox.code[sandbox.length++] = statement;
}

static void add_statement(uint16_t code, uint32_t value)
{
    add((struct sock_filter) BPF_STMT(code, value));
}

/* Skip statements if it is so, or if it is not. */
static void add_test(uint16_t code, uint32_t value, uint8_t if_so, uint8_t if_not)
{
    add((struct sock_filter) BPF_JUMP(BPF_JMP | code | BPF_K, value, if_so, if_not));
}

static void add_load(size_t offset)
{
    add_statement(BPF_LD | BPF_W | BPF_ABS, offset);
}

static void add_rule(const Rule *rule)
{
    uint32_t value = rule->value == OWN_PID ? (uint32_t)getpid() : rule->value;

    if (rule->test == ANY) {
        add_test(BPF_JEQ, rule->call, 0, 1);
        add_statement(BPF_RET, SECCOMP_RET_ALLOW);
        return;
    }
    /* The number is loaded again if the argument is not right: another rule may allow it. */
    add_test(BPF_JEQ, rule->call, 0, rule->test == WITH ? 5 : 4);
    add_load(ARGUMENT(rule->argument));
    switch (rule->test) {
    case WITHOUT:
        add_test(BPF_JSET, value, 1, 0);
        break;
    case WITH:
        add_statement(BPF_ALU | BPF_AND | BPF_K, value);
        add_test(BPF_JEQ, value, 0, 1);
        break;
    default:
        add_test(BPF_JEQ, value, 0, 1);
        break;
    }
    add_statement(BPF_RET, SECCOMP_RET_ALLOW);
    add_load(offsetof(struct seccomp_data, nr));
}

static void build_filter(unsigned uses)
{
    add_load(offsetof(struct seccomp_data, arch));
    add_test(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0);
    add_statement(BPF_RET, SECCOMP_RET_KILL_PROCESS);
    add_load(offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < COUNT(rules); i++) {
        if (!rules[i].uses || (rules[i].uses & uses)) {
            add_rule(&rules[i]);
        }
    }
    for (size_t i = 0; i < COUNT(failing); i++) {
        add_test(BPF_JEQ, failing[i].call, 0, 1);
        add_statement(BPF_RET, SECCOMP_RET_ERRNO | failing[i].error);
    }
    /* Not carried out; the handler says what it was. */
    add_statement(BPF_RET, SECCOMP_RET_TRAP);
}

static void on_refusal(int signal, siginfo_t *info, void *context)
{
    __atomic_store_n(sandbox.refused, (uint32_t)info->si_syscall + 1, __ATOMIC_SEQ_CST);
    syscall(SYS_exit_group, 1);
}

static bool has_capability(unsigned capability)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

    return syscall(SYS_capget, &header, data) == 0 &&
           (data[capability / 32].effective & (1u << (capability % 32))) != 0;
}

/*
 * Whoever started this must be able to end it, for which root needs CAP_KILL. It may be root of a
 * namespace in which nobody else exists: then it is some user outside, and stays that.
 */
static void become_nobody(void)
{
    pid_t parent = getppid();

    if (geteuid() != 0 || !has_capability(CAP_KILL) || setgroups(0, NULL) != 0 ||
        setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0) {
        return;
    }
    /* A change of user has undone it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
}

static void limit(int resource, rlim_t value)
{
    struct rlimit old;

    if (getrlimit(resource, &old) == 0 && old.rlim_max > value) {
        struct rlimit new = { value, value };

        setrlimit(resource, &new);
    }
}

int sim_sandbox_close(unsigned uses, uint32_t *refused)
{
    struct sigaction refusal = { .sa_sigaction = on_refusal, .sa_flags = SA_SIGINFO };
    struct sock_fprog program;

    /* A guest may have QEMU complain for ever: beyond its limit, output is lost. */
    signal(SIGXFSZ, SIG_IGN);
    become_nobody();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);
    if (!(uses & SIM_SANDBOX_MONITORS)) { /* which may want a dump, into a file that it hands over */
        limit(RLIMIT_FSIZE, uses & SIM_SANDBOX_SAVES ? STATE_MAX : OUTPUT_MAX);
    }
    if (!uses) {
        limit(RLIMIT_NPROC, 0);
    }
    sandbox.refused = refused;
    sandbox.length = 0;
    sigaction(SIGSYS, &refusal, NULL);
    build_filter(uses);
    program = (struct sock_fprog) { .len = sandbox.length, .filter = sandbox.code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return 0;
    }
    /* SPEC_ALLOW: kernels before 5.16 would else have translated code wait for each store. */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                   SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0;
}
