/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Bulk data on one socket.
 */
#ifndef STREAM_H
#define STREAM_H

#include "relay-protocol.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Stream
{
    bool active;
    uint32_t direction; /* RELAY_STREAM_... */
    uint64_t length;    /* bytes; 0: no end */
    uint64_t bytes;     /* transferred */
    uint64_t wrong;     /* bytes that differ from the pattern */
    uint32_t chunk;     /* bytes for each call */
    bool whole;         /* what is written comes in buffers of that size */
    uint32_t perWake;   /* calls for each wake-up; STREAM_UNLIMITED */
    uint32_t credit;    /* calls left of this wake-up's */
    bool runnable;      /* there is something to do without a further wake-up */
} Stream;

#define STREAM_UNLIMITED UINT32_MAX

/* The largest chunk, and the relay's own choice. */
#define STREAM_CHUNK_MAX 262144u
#define STREAM_CHUNK_DEFAULT 65536u

/* Makes the pattern; once, before anything else here. */
void StreamPrepare(void);

/* Checks and takes over what was asked for; 0 or an errno. */
int StreamStart(Stream* stream, const RelayStream* wanted);

/* The socket has become ready: the stream may make its calls. */
void StreamWake(Stream* stream);

/* What StreamServe found. */
typedef enum StreamResult
{
    STREAM_CONTINUES,
    STREAM_ENDED
} StreamResult;

/* How a socket behaves. */
typedef struct SocketNature
{
    bool connection; /* a read of nothing is end of file; not usable before it is connected */
    bool bytes;      /* a short read or write says that the kernel has no more, or takes no more */
} SocketNature;

/* Makes a bounded number of the calls that the stream may make now. `closed`: nothing more will
 * arrive, so what is there is read to its end. With STREAM_ENDED `error` is 0 or an errno. */
StreamResult StreamServe(Stream* stream, int fd, SocketNature nature, bool closed, int* error);

#endif /* STREAM_H */
