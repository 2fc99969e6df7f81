/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A copy of a simulated machine, to look at: what is done in it is not done in the machine.
 */
#ifndef SYSTEM_SIM_COPY_H
#define SYSTEM_SIM_COPY_H

#include "system/sim-link-protocol.h"

typedef struct SimLink SimLink;

typedef enum SimCopyResult {
    SIM_COPY_MADE,   /* this process is the machine */
    SIM_COPY_IS_IT,  /* this process is the copy */
    SIM_COPY_FAILED, /* errno says why */
} SimCopyResult;

/* Make a copy. In the vCPU thread while it waits for a turn, BQL held. */
SimCopyResult sim_copy_make(SimLink *link);
/* Does the copy run? */
bool sim_copy_runs(void);
/* End the copy, if there is one. */
void sim_copy_end(void);

/* In a copy, which has no main loop: do what bottom halves are to do. BQL held. */
void sim_copy_run_bottom_halves(void);

#endif
