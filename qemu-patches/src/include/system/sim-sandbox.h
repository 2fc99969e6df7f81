/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a process may still do once a guest runs in it.
 */
#ifndef SYSTEM_SIM_SANDBOX_H
#define SYSTEM_SIM_SANDBOX_H

#include <stdint.h>

/* What else than turns the process has before it. */
enum {
    SIM_SANDBOX_SAVES = 1 << 0,    /* it writes the machine's state, in threads that it makes */
    SIM_SANDBOX_MONITORS = 1 << 1, /* it serves sockets that it has by now */
    SIM_SANDBOX_COPIES = 1 << 2,   /* it forks itself, and ends such a child */
};

/*
 * From here on the process has what it has: descriptors, memory, threads. All of its threads get a
 * filter of system calls (seccomp), limits of resources, and, if they are root's, become nobody's.
 * Not to be called twice.
 *
 * @uses:    SIM_SANDBOX_...
 * @refused: gets the number of a system call that is refused, plus 1, before the process ends by it
 *
 * Returns whether the filter is in force; without it errno says why.
 */
int sim_sandbox_close(unsigned uses, uint32_t *refused);

#endif /* SYSTEM_SIM_SANDBOX_H */
