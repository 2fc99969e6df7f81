/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Sockets by the handles that the simulator knows them by.
 */
#ifndef HANDLES_H
#define HANDLES_H

#include "stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Socket
{
    uint32_t handle;
    int fd;
    SocketNature nature;
    uint32_t watched; /* RELAY_READABLE ..., what the simulator wants to know */
    uint32_t told;    /* what it has been told since its last request */
    uint32_t arrived; /* EPOLL..., wake-ups that were not served yet */
    int error;        /* an error that a read or a write has taken from the socket */
    int held;         /* an error that was told, and that no call has returned yet */
    bool registered;  /* its wake-ups are heard */
    bool connecting;  /* and how that ends is still to be told */
    bool closed;      /* the other side has closed: nothing more will arrive */
    bool recheck;     /* what is true now is to be told, without a wake-up */
    bool queued;      /* is among those to be served */
    Stream stream;
} Socket;

/* The socket of a handle, or NULL. */
Socket* HandleFind(uint32_t handle);

/* How many there are. */
size_t HandleCount(void);

/* Gives a descriptor a handle that none had before. NULL: errno */
Socket* HandleAdd(int fd, SocketNature nature);

/* The descriptor is not closed. */
void HandleRemove(Socket* socket);

#endif /* HANDLES_H */
