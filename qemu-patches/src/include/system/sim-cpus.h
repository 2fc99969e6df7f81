/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Which of a simulated machine's vCPUs runs, and for how long: they share one thread. What they
 * execute decides, counted in instructions, and nothing that the host does.
 *
 * All of this is for the one vCPU thread of round-robin TCG with icount.
 */
#ifndef SYSTEM_SIM_CPUS_H
#define SYSTEM_SIM_CPUS_H

#include "hw/core/cpu.h"

/*
 * Set how many instructions a vCPU executes before the next has its slice. A slice ends earlier
 * where the vCPU halts, or says that it waits in a loop (PAUSE).
 */
void sim_cpus_set_slice(int64_t instructions);

/*
 * How many instructions @cpu may execute now. @budget is what QEMU would have it, and has it where
 * it is the only one.
 */
int64_t sim_cpus_budget(CPUState *cpu, int64_t budget);

/* The guest has executed PAUSE: what it waits for is another vCPU's to do. */
void sim_cpus_yield(void);

/*
 * @cpu has run. Which is the next to run: itself, if somebody interrupted its slice; NULL for the
 * first one.
 */
CPUState *sim_cpus_next(CPUState *cpu);

/*
 * Computing takes time from now on, and vCPUs advance together: none is ahead of another by more than
 * @quantum instructions. With one vCPU nothing changes.
 */
void sim_cpus_go(int64_t quantum);

/* It no longer does. */
void sim_cpus_rest(void);

/* Between the two: are there several vCPUs? */
bool sim_cpus_in_rounds(void);

/*
 * How far the vCPU that runs, or all of them between two rounds, have got when the machine has executed
 * @instructions: in instructions that were executed one after the other.
 */
int64_t sim_cpus_elapsed(int64_t instructions);

/* Have all vCPUs that are at work got as far? Only then a turn may be over. */
bool sim_cpus_level(void);

/* Is the one that runs where another has been already? */
bool sim_cpus_behind(void);

/* The guest has sent something now: the others go no further, if they have not yet. */
void sim_cpus_sent(void);

/* @cpu is about to have an interrupt. If it rests it goes on from now. BQL held. */
void sim_cpus_interrupted(CPUState *cpu);

/*
 * For how many instructions each vCPU has been at work since sim_cpus_go(), also those in which it
 * waited in a loop with PAUSE. Returns how many vCPUs there are, or @most; 0 if they do not advance
 * together.
 */
int sim_cpus_busy(uint64_t *busy, int most);

/* Which one runs, or did last. */
CPUState *sim_cpus_current(void);

#endif
