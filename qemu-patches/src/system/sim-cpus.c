/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The slices of a simulated machine's vCPUs.
 *
 * The host may interrupt a vCPU anywhere: its main loop wants something, somebody looks at the
 * guest, RCU waits. With one vCPU that goes unseen. With several, to go on with another one would
 * change which of them does what first. So a slice is no call of tcg_cpu_exec(), but a number of
 * instructions: an interrupted one is resumed.
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/seqlock.h"
#include "qemu/thread.h"
#include "system/cpu-timers.h"
#include "system/cpu-timers-internal.h"
#include "system/sim-cpus.h"

static struct {
    int64_t length;     /* instructions */
    CPUState *owner;    /* whose slice it is; NULL between two */
    CPUState *last;     /* who has run last */
    int64_t end;        /* instructions of the whole machine */
    bool yielded;
} slice = { .length = 10000 };

void sim_cpus_set_slice(int64_t instructions)
{
    slice.length = instructions;
}

static int64_t executed(void)
{
    return qatomic_read_i64(&timers_state.qemu_icount);
}

static bool alone(void)
{
    return !CPU_NEXT(first_cpu);
}

/* Only what the guest has done counts: not what the host's threads ask a vCPU for. */
static bool rests(CPUState *cpu)
{
    return cpu->halted && !cpu_has_work(cpu);
}

int64_t sim_cpus_budget(CPUState *cpu, int64_t budget)
{
    slice.last = cpu;
    slice.yielded = false;
    if (alone()) {
        return budget;
    }
    if (slice.owner != cpu) {
        slice.owner = cpu;
        slice.end = executed() + slice.length;
    }
    /* Meanwhile nobody else has executed anything. */
    return slice.end - executed();
}

void sim_cpus_yield(void)
{
    slice.yielded = true;
}

CPUState *sim_cpus_next(CPUState *cpu)
{
    CPUState *next = cpu;

    if (alone()) {
        return NULL;
    }
    if (slice.owner == cpu && !slice.yielded && !rests(cpu) && executed() < slice.end) {
        return cpu;
    }
    slice.owner = NULL;
    do {
        next = CPU_NEXT(next) ?: first_cpu;
    } while (next != cpu && rests(next));
    /* Where all rest a turn ends, and leaves no trace of who was last. */
    return rests(next) ? NULL : next;
}

CPUState *sim_cpus_current(void)
{
    return slice.last ?: first_cpu;
}
