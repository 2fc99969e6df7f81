/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A clock that goes on with the instructions.
 */
#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "system/sim-pace.h"

int64_t sim_pace_time(const SimPace *pace, int64_t executed)
{
    unsigned __int128 done = executed - pace->first;

    return pace->origin + (int64_t)(done * NANOSECONDS_PER_SECOND / pace->rate);
}

int64_t sim_pace_instructions_until(const SimPace *pace, int64_t executed, int64_t time,
                                    int64_t limit)
{
    unsigned __int128 wanted;
    int64_t done = executed - pace->first;

    if (time <= pace->origin) {
        return 0;
    }
    wanted = (unsigned __int128)(time - pace->origin) * pace->rate;
    wanted = (wanted + NANOSECONDS_PER_SECOND - 1) / NANOSECONDS_PER_SECOND;
    if (wanted <= done) {
        return 0;
    }
    return MIN(wanted - done, limit);
}

void sim_pace_go(SimPace *pace, uint64_t rate, int64_t now, bool moved, int64_t executed)
{
    if (moved || rate != pace->rate) {
        pace->rate = rate;
        pace->origin = now;
        pace->done = 0;
    }
    pace->first = executed - pace->done;
}

int64_t sim_pace_rest(SimPace *pace, int64_t executed)
{
    pace->done = executed - pace->first;
    return sim_pace_time(pace, executed);
}
