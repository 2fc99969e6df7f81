/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Sleeping until something is ready: the one place where the relay does so.
 */
#ifndef WAIT_H
#define WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whom a wake-up is for. */
typedef enum WaitKind
{
    WAIT_CHANNEL,
    WAIT_CHILDREN,
    WAIT_PROCESS, /* by its number */
    WAIT_SOCKET,  /* by its handle */
} WaitKind;

typedef struct Wakeup
{
    WaitKind kind;
    uint32_t number;
    uint32_t events; /* EPOLL... */
} Wakeup;

/* Wake-ups that are taken at once, at the most. */
#define WAIT_BATCH 256

/* Before anything else here. */
void WaitPrepare(void);

/* From now on these events (EPOLL...) of a descriptor are wake-ups; 0 or an errno. close(2) ends
 * that. */
int WaitAdd(int fd, uint32_t events, WaitKind kind, uint32_t number);

/* From now on they are these; 0 or an errno. */
int WaitChange(int fd, uint32_t events, WaitKind kind, uint32_t number);

/* Takes the wake-ups that there are, and if there is none and it may, sleeps until there is one.
 * Returns how many; 0 also after a signal. */
size_t WaitTake(Wakeup wakeups[WAIT_BATCH], bool sleep);

#endif /* WAIT_H */
