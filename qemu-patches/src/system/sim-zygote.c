/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A zygote has been restored and stays where it is. A machine is a fork of it: what takes time (the
 * program, its devices, the saved state) is there, and memory is copied when it is written.
 *
 * A machine is to be the simulator's child, as one that it has started itself is: the simulator
 * learns how it ends, and it ends with the simulator, not with the zygote. So there are two forks.
 * The child in between ends at once, and its own child falls to the nearest process above that
 * adopts orphans (PR_SET_CHILD_SUBREAPER): the simulator, while it waits for our answer.
 */
#include "qemu/osdep.h"
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "exec/cpu-common.h"
#include "qemu/error-report.h"
#include "qemu/guest-random.h"
#include "qemu/rcu.h"
#include "system/sim-code.h"
#include "system/sim-link.h"
#include "system/sim-zygote.h"

/* Of linux/landlock.h, which systems with older headers lack. */
#define LANDLOCK_RESTRICT_SELF 446

/* Standard input, output and error stay; the last two become files of the machine's own. */
#define FIRST_CLOSED_FD 3

/* Descriptors that come with SIM_ZYGOTE_FORK. */
enum {
    REGION,
    MESSAGES,
    GO,
    RULES,
    REQUEST_FDS,
};

/* The one that comes with SIM_ZYGOTE_TRANSLATE. */
#define BLOCKS 0

static int share_block(RAMBlock *block, void *opaque)
{
    bool share = *(bool *)opaque;

    return madvise(qemu_ram_get_host_addr(block), qemu_ram_get_max_length(block),
                   share ? MADV_DOFORK : MADV_DONTFORK);
}

bool sim_zygote_share_memory(bool share)
{
    return qemu_ram_foreach_block(share_block, &share) == 0;
}

static void G_NORETURN fail(const char *what)
{
    error_report("zygote: %s: %s", what, strerror(errno));
    _exit(1);
}

/* The next request, and how many descriptors came with it; 0 if there will be none any more. */
static int receive(int socket, SimZygoteRequest *request, int fds[REQUEST_FDS])
{
    struct iovec iov = { .iov_base = request, .iov_len = sizeof(*request) };
    union {
        char buffer[CMSG_SPACE(REQUEST_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.buffer,
        .msg_controllen = sizeof(control.buffer),
    };
    struct cmsghdr *header;
    ssize_t length;
    int count;

    do {
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    if (length == 0) {
        return 0;
    }
    header = CMSG_FIRSTHDR(&message);
    if (length != sizeof(*request) || (message.msg_flags & MSG_CTRUNC) || !header ||
        header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
        errno = length < 0 ? errno : EPROTO;
        fail("request");
    }
    count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (request->what == SIM_ZYGOTE_FORK ? count != RULES && count != REQUEST_FDS :
        request->what != SIM_ZYGOTE_TRANSLATE || count != BLOCKS + 1) {
        errno = EPROTO;
        fail("request");
    }
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    return count;
}

/*
 * What a process that was executed has by its beginning. No thread but the main loop's takes
 * signals, and that has not come along.
 */
static void set_signals(void)
{
    static const int deadly[] = { SIGTERM, SIGINT, SIGHUP };
    sigset_t taken;

    sigemptyset(&taken);
    sigaddset(&taken, SIM_LINK_LOOK_SIGNAL);
    sigaddset(&taken, SIGSYS);
    /* There is nothing that it would have to do before it ends. */
    for (int i = 0; i < ARRAY_SIZE(deadly); i++) {
        signal(deadly[i], SIG_DFL);
        sigaddset(&taken, deadly[i]);
    }
    pthread_sigmask(SIG_UNBLOCK, &taken, NULL);
}

/* Close all descriptors but two, @low and @high. */
static void close_others(unsigned low, unsigned high)
{
    syscall(SYS_close_range, FIRST_CLOSED_FD, low - 1, 0);
    if (low + 1 < high) {
        syscall(SYS_close_range, low + 1, high - 1, 0);
    }
    syscall(SYS_close_range, high + 1, ~0U, 0);
}

/* In a machine's process: nothing of the zygote's is left but memory. */
static void become_machine(SimLink *link, const SimZygoteRequest *request, const int *fds,
                           pid_t simulator)
{
    int region = sim_link_fd(link);
    /* A number that is the zygote's now, so none of @fds. */
    int go = sim_link_zygote(link);
    char byte;
    ssize_t length;

    setpgid(0, 0);
    set_signals();
    if (dup2(fds[MESSAGES], STDOUT_FILENO) < 0 || dup2(fds[MESSAGES], STDERR_FILENO) < 0) {
        _exit(1);
    }
    if (dup3(fds[REGION], region, O_CLOEXEC) < 0 || dup3(fds[GO], go, O_CLOEXEC) < 0) {
        fail("descriptors");
    }
    close_others(MIN(region, go), MAX(region, go));
    /* Without the byte nobody knows of this process. */
    do {
        length = read(go, &byte, 1);
    } while (length < 0 && errno == EINTR);
    if (length != 1) {
        _exit(0);
    }
    close(go);
    /* It does not outlive the simulator, which has adopted it by now. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != simulator) {
        _exit(1);
    }
    if (!sim_link_become_machine(link)) {
        fail("region");
    }
    qemu_guest_random_reseed(request->seed);
}

/* The process between the zygote and a machine. Returns in the machine's. */
static void fork_machine(const int *fds, int count, int born)
{
    pid_t pid;

    /* Another layer: machines are kept from each other, too. All threads of the machine get it. */
    if (count > RULES && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                          syscall(LANDLOCK_RESTRICT_SELF, fds[RULES], 0) != 0)) {
        _exit(errno);
    }
    pid = fork();
    if (pid != 0) {
        _exit(pid > 0 && write(born, &pid, sizeof(pid)) == sizeof(pid) ? 0 : errno);
    }
}

/* How the process in between has ended: 0, or why it has made no machine. */
static int wait_for(pid_t pid)
{
    int status;
    pid_t ended;

    do {
        ended = waitpid(pid, &status, 0);
    } while (ended < 0 && errno == EINTR);
    return ended == pid && WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* What restoring or translating took; each child would have to give it back for itself. */
static void give_memory_back(void)
{
    drain_call_rcu();
    malloc_trim(0);
}

static int translate(int fd, uint32_t count, SimZygoteReply *reply)
{
    size_t size = count * sizeof(SimLinkBlock);
    g_autofree SimLinkBlock *blocks = NULL;

    if (count > SIM_ZYGOTE_BLOCKS_MAX) {
        return EINVAL;
    }
    blocks = g_malloc(size);
    if (pread(fd, blocks, size, 0) != size) {
        return EIO;
    }
    reply->pid = sim_code_translate(blocks, count);
    return 0;
}

/* Returns true in the machine's process. */
static bool do_fork(SimLink *link, const SimZygoteRequest *request, const int *fds, int count,
                    const int *born, pid_t simulator, SimZygoteReply *reply)
{
    pid_t pid = fork();

    if (pid == 0) {
        fork_machine(fds, count, born[1]);
        rcu_disable_atfork();
        sim_zygote_share_memory(false);
        become_machine(link, request, fds, simulator);
        return true;
    }
    reply->error = pid < 0 ? errno : wait_for(pid);
    if (reply->error == 0 && read(born[0], &reply->pid, sizeof(reply->pid)) != sizeof(reply->pid)) {
        reply->error = EIO;
    }
    return false;
}

void sim_zygote_serve(SimLink *link)
{
    int socket = sim_link_zygote(link);
    pid_t simulator = getppid();
    SimZygoteRequest request;
    int fds[REQUEST_FDS];
    int born[2];
    int count;

    if (!sim_zygote_share_memory(true)) {
        fail("memory");
    }
    if (pipe2(born, O_CLOEXEC) != 0) {
        fail("pipe");
    }
    give_memory_back();
    rcu_enable_atfork();
    while ((count = receive(socket, &request, fds)) > 0) {
        SimZygoteReply reply = { .pid = -1 };

        if (request.what == SIM_ZYGOTE_TRANSLATE) {
            reply.error = translate(fds[BLOCKS], request.blocks, &reply);
            give_memory_back();
        } else if (do_fork(link, &request, fds, count, born, simulator, &reply)) {
            return;
        }
        for (int i = 0; i < count; i++) {
            close(fds[i]);
        }
        if (send(socket, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply)) {
            break;
        }
    }
    _exit(0);
}
