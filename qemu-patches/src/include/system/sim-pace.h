/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A clock that goes on with the instructions: so many of them take a second. Arithmetic only; whose
 * instructions they are, and what is done when, is for the simulated clock (sim-clock.h).
 *
 * It is exact: what a division leaves over is kept for as long as the guest computes, so that n
 * instructions take n / rate, rounded down to the ns once, however often it is looked at.
 */
#ifndef SYSTEM_SIM_PACE_H
#define SYSTEM_SIM_PACE_H

typedef struct SimPace {
    uint64_t rate;   /* instructions per second, not 0 */
    int64_t origin;  /* ns: the clock when the first of these instructions was begun */
    int64_t first;   /* the number of that instruction */
    int64_t done;    /* while it rests: how many have been executed since the origin */
} SimPace;

/* What the clock shows when @executed instructions have been, in ns. */
int64_t sim_pace_time(const SimPace *pace, int64_t executed);

/*
 * How many more instructions than @executed there are until the clock shows @time at the least; 0 if
 * it does already, and no more than @limit.
 */
int64_t sim_pace_instructions_until(const SimPace *pace, int64_t executed, int64_t time,
                                    int64_t limit);

/*
 * Instructions count from now on. The clock shows @now; unless @moved it is where it came to rest,
 * and what was left over is counted.
 */
void sim_pace_go(SimPace *pace, uint64_t rate, int64_t now, bool moved, int64_t executed);

/* They no longer do. Returns what the clock shows. */
int64_t sim_pace_rest(SimPace *pace, int64_t executed);

#endif
