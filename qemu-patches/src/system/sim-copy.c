/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A copy of a simulated machine is a fork of its process, by the one thread that has turns. Memory
 * is copied when it is written; the region shared with the simulator is replaced by another, and
 * all file descriptors are closed. So nothing that the copy does can reach the machine.
 */
#include "qemu/osdep.h"
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "block/aio.h"
#include "exec/cpu-common.h"
#include "hw/core/cpu.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "system/sim-copy.h"
#include "system/sim-link.h"
#include "system/sim-zygote.h"

/* Standard input, output and error stay: the last two are a file of the machine's messages. */
#define FIRST_CLOSED_FD 3

static pid_t copy_pid;

static void become_copy(SimLink *link, pid_t parent)
{
    CPUState *cpu;

    /* A copy does not outlive its machine. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
        !sim_link_become_copy(link)) {
        _exit(1);
    }
    /* Also those by which threads wake each other: there is only this one, and RCU's. */
    syscall(SYS_close_range, FIRST_CLOSED_FD, ~0U, 0);
    /* A debugger follows the machine. */
    CPU_FOREACH(cpu) {
        cpu_breakpoint_remove_all(cpu, BP_GDB);
        cpu_watchpoint_remove_all(cpu, BP_GDB);
        cpu_single_step(cpu, 0);
    }
}

SimCopyResult sim_copy_make(SimLink *link)
{
    pid_t parent = getpid();
    pid_t pid = -1;
    int error;

    if (sim_copy_runs()) {
        errno = EEXIST;
        return SIM_COPY_FAILED;
    }
    if (!sim_link_can_copy(link)) {
        errno = EINVAL;
        return SIM_COPY_FAILED;
    }
    if (sim_zygote_share_memory(true)) {
        rcu_enable_atfork();
        pid = fork();
        if (pid == 0) {
            become_copy(link, parent);
            return SIM_COPY_IS_IT;
        }
        rcu_disable_atfork();
    }
    if (pid > 0) {
        copy_pid = pid;
    }
    error = errno;
    sim_zygote_share_memory(false);
    errno = error;
    return pid > 0 ? SIM_COPY_MADE : SIM_COPY_FAILED;
}

bool sim_copy_runs(void)
{
    if (copy_pid && waitpid(copy_pid, NULL, WNOHANG) != 0) {
        copy_pid = 0;
    }
    return copy_pid != 0;
}

void sim_copy_end(void)
{
    if (sim_copy_runs()) {
        kill(copy_pid, SIGKILL);
        waitpid(copy_pid, NULL, 0);
        copy_pid = 0;
    }
}

void sim_copy_run_bottom_halves(void)
{
    AioContext *ctx = qemu_get_aio_context();

    aio_bh_poll(ctx);
    timerlistgroup_run_timers(&ctx->tlg);
}
