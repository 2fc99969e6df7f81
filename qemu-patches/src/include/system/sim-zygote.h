/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A machine that never runs: others are forked from it, each a process and a machine of its own.
 */
#ifndef SYSTEM_SIM_ZYGOTE_H
#define SYSTEM_SIM_ZYGOTE_H

typedef struct SimLink SimLink;

/* Let children have the guest's memory, which QEMU keeps from those that it forks to execute
 * something; or keep it from them again. Returns whether that worked. */
bool sim_zygote_share_memory(bool share);

/*
 * Fork a machine for each request that comes over the link's socket, until that is closed. In the
 * vCPU thread, with the BQL held and the main loop at rest, before the guest's first instruction.
 *
 * Returns in each child, and only there: with one thread besides RCU's, which has no main loop, and
 * with a link, random numbers and messages of its own.
 */
void sim_zygote_serve(SimLink *link);

#endif
