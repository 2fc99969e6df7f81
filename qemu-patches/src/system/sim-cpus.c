/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The slices of a simulated machine's vCPUs.
 *
 * The host may interrupt a vCPU anywhere: its main loop wants something, somebody looks at the
 * guest, RCU waits. With one vCPU that goes unseen. With several, to go on with another one would
 * change which of them does what first. So a slice is no call of tcg_cpu_exec(), but a number of
 * instructions: an interrupted one is resumed.
 *
 * Where computing takes time vCPUs execute at the same time what they do one after the other. So they
 * have slices in rounds: each begins at the same time, and ends with the round or where something is
 * to happen then. A round is as long as what the vCPU executed that got furthest. One that begins in
 * the midst of a round, for another has woken it, begins where that one was.
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/seqlock.h"
#include "qemu/thread.h"
#include "system/cpu-timers.h"
#include "system/cpu-timers-internal.h"
#include "system/sim-clock.h"
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

/* What a vCPU has got to, in the instructions that have been executed one after the other. */
typedef struct SimCpu {
    int64_t at;
    int64_t counted; /* up to where it is in `busy` */
    int64_t busy;
    bool waits;      /* with PAUSE, until the round is over */
} SimCpu;

static struct {
    int64_t quantum;  /* instructions; 0: computing takes no time, or there is one vCPU */
    bool over;
    int64_t begin;
    int64_t end;      /* at the latest */
    int64_t furthest; /* that a vCPU has got to whose slice has ended */
    int64_t beside;   /* instructions that were executed beside others */
    int count;
    SimCpu *cpu;
} round = { .over = true };

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

/* -- where computing takes time ----------------------------------------------------------------- */

int64_t sim_cpus_elapsed(int64_t instructions)
{
    return instructions - round.beside;
}

static int64_t now(void)
{
    return sim_cpus_elapsed(icount_get_raw());
}

void sim_cpus_go(int64_t quantum)
{
    CPUState *cpu;

    if (alone()) {
        return;
    }
    if (!round.cpu) {
        CPU_FOREACH(cpu) {
            round.count = MAX(round.count, cpu->cpu_index + 1);
        }
        round.cpu = g_new0(SimCpu, round.count);
    }
    for (int i = 0; i < round.count; i++) {
        round.cpu[i].busy = 0;
    }
    round.quantum = quantum;
    round.over = true;
    slice.owner = NULL;
}

void sim_cpus_rest(void)
{
    round.quantum = 0;
    slice.owner = NULL;
}

int sim_cpus_busy(uint64_t *busy, int most)
{
    int count = round.quantum ? MIN(round.count, most) : 0;

    for (int i = 0; i < count; i++) {
        busy[i] = round.cpu[i].busy;
    }
    return count;
}

bool sim_cpus_in_rounds(void)
{
    return round.quantum;
}

bool sim_cpus_level(void)
{
    return !round.quantum || round.over;
}

bool sim_cpus_behind(void)
{
    return round.quantum && !round.over && now() < round.furthest;
}

/* The round is over at @time, unless a vCPU has got further. */
static void end_round_at(int64_t time)
{
    if (time >= round.furthest) {
        round.end = MIN(round.end, time);
    }
}

void sim_cpus_sent(void)
{
    if (round.quantum && !round.over) {
        end_round_at(now());
    }
}

void sim_cpus_interrupted(CPUState *cpu)
{
    bool can_look; /* at how many instructions have been executed, in the midst of a block */
    SimCpu *c;

    if (!round.quantum || round.over || cpu == slice.owner || !rests(cpu)) {
        return;
    }
    c = &round.cpu[cpu->cpu_index];
    can_look = !current_cpu || !current_cpu->running || current_cpu->neg.can_do_io;
    c->at = c->counted = MAX(c->at, can_look ? now() : sim_cpus_elapsed(executed()));
}

static void begin_round(void)
{
    round.over = false;
    round.begin = round.furthest = sim_cpus_elapsed(executed());
    round.end = round.begin + round.quantum;
    for (int i = 0; i < round.count; i++) {
        SimCpu *c = &round.cpu[i];

        c->at = c->counted = round.begin;
        c->waits = false;
    }
}

static void end_round(void)
{
    round.over = true;
    round.beside = executed() - round.furthest;
    for (int i = 0; i < round.count; i++) {
        SimCpu *c = &round.cpu[i];

        if (c->waits) {
            c->busy += round.furthest - c->at;
        }
    }
}

static int64_t budget_in_round(CPUState *cpu)
{
    int64_t stop;

    if (round.over) {
        begin_round();
    }
    if (slice.owner != cpu) {
        slice.owner = cpu;
        round.beside = executed() - round.cpu[cpu->cpu_index].at;
    }
    stop = now() + sim_clock_instructions_until_event(now(), round.quantum);
    end_round_at(stop);
    return MIN(round.end, stop) - now();
}

static CPUState *least_advanced(void)
{
    CPUState *cpu, *least = NULL;

    CPU_FOREACH(cpu) {
        const SimCpu *c = &round.cpu[cpu->cpu_index];

        if (!c->waits && !rests(cpu) && c->at < round.end &&
            (!least || c->at < round.cpu[least->cpu_index].at)) {
            least = cpu;
        }
    }
    return least;
}

static CPUState *next_in_round(CPUState *cpu)
{
    SimCpu *c = &round.cpu[cpu->cpu_index];
    CPUState *next;

    if (slice.owner != cpu) {
        return cpu; /* it is stopped */
    }
    c->at = now();
    c->busy += c->at - c->counted;
    c->counted = c->at;
    c->waits = slice.yielded && !rests(cpu);
    round.furthest = MAX(round.furthest, c->at);
    if (!c->waits && !rests(cpu) && c->at < round.end) {
        return cpu;
    }
    slice.owner = NULL;
    next = least_advanced();
    if (next) {
        return next;
    }
    end_round();
    CPU_FOREACH(next) {
        if (!rests(next)) {
            break;
        }
    }
    return next;
}

/* -- the next slice ----------------------------------------------------------------------------- */

int64_t sim_cpus_budget(CPUState *cpu, int64_t budget)
{
    slice.last = cpu;
    slice.yielded = false;
    if (alone()) {
        return budget;
    }
    if (round.quantum) {
        return budget_in_round(cpu);
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
    if (round.quantum) {
        return next_in_round(cpu);
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
