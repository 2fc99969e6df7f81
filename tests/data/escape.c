/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A QEMU that a guest has taken over, for the test of its sandbox: it says hello on its sim-link as
 * QEMU does, behind the sandbox of QEMU's own source, and then tries what its argument names. What
 * comes back from that it prints.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim-link.h"
#include "system/sim-sandbox.h"

static pid_t simulator;
static const char *file;
static const char *new_file;
static char page[4096] __attribute__((aligned(4096)));

static long
connect_to(int family, const void *address, socklen_t length)
{
    const int fd = socket(family, SOCK_STREAM, 0);
    return fd < 0 ? fd : connect(fd, address, length);
}

static long
try_tcp(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect_to(AF_INET, &to, sizeof(to));
}

static long
try_unix(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/run/docker.sock"};
    return connect_to(AF_UNIX, &to, sizeof(to));
}

static long
try_output(void)
{
    for (int i = 0; i < 4096; i++)
    {
        if (write(STDOUT_FILENO, page, sizeof(page)) < 0)
        {
            /* There is no room to say it. */
            _exit(errno == EFBIG ? 4 : 5);
        }
    }
    return 0;
}

/* As glibc does in a new thread, which may have been made before the sandbox was closed. */
static long
take_first_steps(void)
{
    syscall(SYS_set_robust_list, page, 24);
    syscall(SYS_rseq, page, 32, 0, 0);
    return 0;
}

static long
try_memory(void)
{
    struct iovec ours = {page, sizeof(page)};
    struct iovec theirs = {page, sizeof(page)};
    return process_vm_readv(simulator, &ours, 1, &theirs, 1, 0);
}

static long
try_32_bit(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid() */));
    return result;
}

static long
attempt(const char *what)
{
#define TRY(name, call)                                                                            \
    if (strcmp(what, name) == 0)                                                                   \
    {                                                                                              \
        return (call);                                                                             \
    }
    TRY("read a file", open(file, O_RDONLY))
    TRY("write a file", open(file, O_WRONLY))
    TRY("make a file", open(new_file, O_CREAT | O_WRONLY, 0600))
    TRY("remove a file", unlink(file))
    TRY("its own memory", open("/proc/self/mem", O_RDWR))
    TRY("connect by TCP", try_tcp())
    TRY("connect to a socket", try_unix())
    TRY("execute a shell", execl("/bin/sh", "sh", "-c", "exit 0", NULL))
    TRY("execute memory", syscall(SYS_memfd_create, "x", 0))
    TRY("fork", syscall(SYS_fork))
    TRY("clone", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
    TRY("clone3", syscall(SYS_clone3, page, 64))
    TRY("make a thread", syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0))
    TRY("a thread's first steps", take_first_steps())
    TRY("trace the simulator", ptrace(PTRACE_ATTACH, simulator, 0, 0))
    TRY("kill the simulator", kill(simulator, 0))
    TRY("kill its thread", syscall(SYS_tgkill, simulator, simulator, 0))
    TRY("read the simulator", try_memory())
    TRY("mount", mount("none", "/mnt", "tmpfs", 0, NULL))
    TRY("unshare", unshare(CLONE_NEWUSER))
    TRY("enter a namespace", setns(0, 0))
    TRY("become root", setuid(0))
    TRY("make code", (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
    TRY("turn data into code", mprotect(page, sizeof(page), PROT_READ | PROT_EXEC))
    TRY("use io_uring", syscall(425, 8, page))
    TRY("load a BPF program", syscall(SYS_bpf, 0, page, 64))
    TRY("another filter", syscall(SYS_seccomp, 0, 0, NULL))
    TRY("catch the signal", syscall(SYS_rt_sigaction, SIGSYS, page, NULL, 8))
    TRY("x32", syscall(0x40000000 | SYS_getpid))
    TRY("32-bit calls", try_32_bit())
    TRY("endless output", try_output())
    TRY("raise a limit", syscall(SYS_prlimit64, 0, 1, page, NULL))
    errno = EINVAL;
    return -2;
}

static void
hand_over(SimLinkHeader *h)
{
    __atomic_store_n(&h->turn, SIM_LINK_TURN_SIMULATOR, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &h->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
    while (__atomic_load_n(&h->turn, __ATOMIC_SEQ_CST) != SIM_LINK_TURN_VM)
    {
        syscall(SYS_futex, &h->turn, FUTEX_WAIT, SIM_LINK_TURN_SIMULATOR, NULL, NULL, 0);
    }
}

int
main(int argc, char **argv)
{
    const size_t size = SimLinkRegionSize(1024 * 1024);
    SimLinkHeader *h = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
    uint64_t filter = 0;

    if (argc < 4 || h == MAP_FAILED)
    {
        return 2;
    }
    file = argv[2];
    new_file = getenv("NEW_FILE");
    simulator = getppid();
    setbuf(stdout, NULL);
    if (strcmp(argv[3], "filtered") == 0)
    {
        filter = sim_sandbox_close(0, &h->refused) ? SIM_LINK_FEATURE_FILTER : 0;
    }
    /* All that a QEMU can offer, but that. */
    h->features = (UINT64_MAX & ~SIM_LINK_FEATURE_FILTER) | filter;
    h->vmSleeps = 1;
    h->answer = SIM_LINK_HELLO;
    hand_over(h);
    errno = 0;
    const long result = attempt(argv[1]);
    if (result == -1)
    {
        printf("it fails: %s\n", strerrorname_np(errno));
    }
    else
    {
        printf(result == -2 ? "nobody knows how\n" : "it is done\n");
    }
    return 3;
}
