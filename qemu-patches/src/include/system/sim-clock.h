/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Simulated clock: QEMU_CLOCK_VIRTUAL and the TSC show what a simulator says, and the vCPUs run in
 * turns that the simulator hands out over a sim-link.
 *
 * These are the hooks for the places in QEMU where time is read and where vCPUs run or halt. All of
 * them are called in the one vCPU thread of round-robin TCG with icount, unless they say otherwise.
 */
#ifndef SYSTEM_SIM_CLOCK_H
#define SYSTEM_SIM_CLOCK_H

#include "qapi/qapi-types-run-state.h"

typedef struct SimLink SimLink;

typedef enum SimClockMode {
    SIM_CLOCK_OFF,
    /* The clock runs with the instructions, and idle time is skipped: booting. */
    SIM_CLOCK_FREE,
    /* The clock stands still during a turn and moves between turns; or, if the simulator says so,
     * it goes on with the instructions. */
    SIM_CLOCK_LOCKED,
} SimClockMode;

extern SimClockMode sim_clock_mode;

static inline bool sim_clock_enabled(void)
{
    return sim_clock_mode != SIM_CLOCK_OFF;
}

static inline bool sim_clock_locked(void)
{
    return sim_clock_mode == SIM_CLOCK_LOCKED;
}

/* Put the machine's clock under the control of @link. Called once, before the machine is built. */
bool sim_clock_attach(SimLink *link, Error **errp);

/*
 * What QEMU_CLOCK_VIRTUAL shows while the clock is locked, in ns. In the guest's own instruction it
 * counts as a reading by the guest. Any thread.
 */
int64_t sim_clock_get_ns(void);

/* The same for a device that wants to know the time by itself: the guest has not read it. */
int64_t sim_clock_device_ns(void);

/*
 * What the TSC shows while the clock is locked (1 GHz). Each reading by the guest is a fixed step
 * later than the one before, so that delay loops with interrupts off come to an end within a turn.
 */
int64_t sim_clock_get_ticks(void);

/*
 * Does it stand still in all turns, so that nobody asks how many instructions have been executed in
 * the midst of a translated block? Not in a machine whose computing takes time.
 */
bool sim_clock_stands_still(void);

/* Does what the guest does take time? Also in a turn for a request, in which its clock stands still. */
bool sim_clock_takes_time(void);

/* Is a guest at work that is to be interrupted by a timer that it arms just now? */
bool sim_clock_interrupted_by_timers(void);

/*
 * The guest has sent something that the simulator is to have now: where computing takes time, the
 * turn ends behind this instruction. @to_relay: on the relay's port.
 */
void sim_clock_sent(bool to_relay);

/*
 * The guest sends a frame: say when, where one of several vCPUs does and the turn, in which computing
 * takes time, may end later. In front of the frame.
 */
void sim_clock_stamp(void);

/* How many instructions the guest may still execute in this turn. */
int64_t sim_clock_instruction_limit(void);

/*
 * Where computing takes time: after how many more instructions than @elapsed a timer is due or the
 * turn over, at most @limit.
 */
int64_t sim_clock_instructions_until_event(int64_t elapsed, int64_t limit);

/* Before vCPUs run: say hello, or give the turn back if the guest has used it up. BQL held. */
void sim_clock_before_run(void);

/*
 * All vCPUs are halted: give the turn back and wait for the next. BQL held, but released while it
 * waits. Returns false if there is nothing to wait for (the machine is stopping).
 */
bool sim_clock_idle(void);

/* Someone needs the vCPU thread's attention while it may be waiting for its turn. Any thread. */
void sim_clock_kick(void);

/*
 * The vCPU was stopped, or goes on, for somebody who looks: a debugger, or a dump. Devices need not be
 * told. They act in turns only, and what they do at a stop (drop the frames that wait) would change
 * what the guest sees. @running and @state as of a VMChangeStateHandler.
 */
bool sim_clock_rests(bool running, RunState state);

#endif
