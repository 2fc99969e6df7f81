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

/* Which one runs, or did last. */
CPUState *sim_cpus_current(void);

#endif
