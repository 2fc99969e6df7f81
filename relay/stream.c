/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Bulk data on one socket: bytes of a known pattern are written, or read and discarded, or read and
 * compared. It knows of the socket only its descriptor and its nature, and nothing of the
 * protocol's messages but the struct that starts a stream.
 *
 * Wake-ups
 *     `perWake` limits the calls for each wake-up of the process, and a model that is to behave as
 * a given program depends on it. For a reader a wake-up is an arrival: what it leaves behind waits
 *     for the next arrival, so sockets are heard edge-triggered (ready.c), and nothing here looks
 * for data without a wake-up. Only when the peer has closed there is no next arrival; what is left
 *     is then read to its end. For a writer a wake-up is the socket's being writable, and if it is
 *     still writable after `perWake` calls, that is the next wake-up.
 *     A number of calls that is not limited so is carried out in slices, between which requests are
 *     heard: nothing that is under way in a guest may keep the simulator from stopping it.
 */
#include "stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PATTERN_PERIOD 251u
#define SLICE 64u /* calls */

static uint8_t g_pattern[STREAM_CHUNK_MAX + PATTERN_PERIOD];
static uint8_t g_buffer[STREAM_CHUNK_MAX];

void
StreamPrepare(void)
{
    for (size_t i = 0; i < PATTERN_PERIOD; ++i)
    {
        g_pattern[i] = (uint8_t)i;
    }
    for (size_t done = PATTERN_PERIOD; done < sizeof(g_pattern); done += PATTERN_PERIOD)
    {
        const size_t left = sizeof(g_pattern) - done;
        memcpy(g_pattern + done, g_pattern, left < PATTERN_PERIOD ? left : PATTERN_PERIOD);
    }
}

int
StreamStart(Stream* stream, const RelayStream* wanted)
{
    if (wanted->direction < RELAY_STREAM_SOURCE || wanted->direction > RELAY_STREAM_VERIFY ||
        wanted->chunk > STREAM_CHUNK_MAX)
    {
        return EINVAL;
    }
    if (stream->active)
    {
        return EBUSY;
    }
    memset(stream, 0, sizeof(*stream));
    stream->active = true;
    stream->direction = wanted->direction;
    stream->length = wanted->length;
    stream->chunk = wanted->chunk ? wanted->chunk : STREAM_CHUNK_DEFAULT;
    stream->whole = wanted->chunk > 0;
    stream->perWake = wanted->perWake ? wanted->perWake : STREAM_UNLIMITED;
    StreamWake(stream);
    return 0;
}

void
StreamWake(Stream* stream)
{
    stream->credit = stream->perWake;
    stream->runnable = true;
}

static uint64_t
CountWrong(const uint8_t* data, const uint8_t* pattern, size_t length)
{
    uint64_t wrong = 0;
    if (memcmp(data, pattern, length) != 0)
    {
        for (size_t i = 0; i < length; ++i)
        {
            wrong += data[i] != pattern[i];
        }
    }
    return wrong;
}

/* One read or write of at most `length` bytes. */
static ssize_t
Transfer(Stream* stream, int fd, size_t length)
{
    const uint8_t* pattern = g_pattern + stream->bytes % PATTERN_PERIOD;
    if (stream->direction == RELAY_STREAM_SOURCE)
    {
        return write(fd, pattern, length);
    }
    ssize_t got = read(fd, g_buffer, length);
    if (got > 0 && stream->direction == RELAY_STREAM_VERIFY)
    {
        stream->wrong += CountWrong(g_buffer, pattern, (size_t)got);
    }
    return got;
}

StreamResult
StreamServe(Stream* stream, int fd, SocketNature nature, bool closed, int* error)
{
    const bool source = stream->direction == RELAY_STREAM_SOURCE;
    const bool drain = closed && !source;
    for (uint32_t call = 0; call < SLICE && (stream->credit > 0 || drain); ++call)
    {
        /* A program writes what is in its buffer to the end before it fills it anew: so of what the
         * kernel has taken in part, the rest comes first, and where it ends a segment may end. */
        size_t length = stream->chunk;
        if (source && stream->whole)
        {
            length -= (size_t)(stream->bytes % stream->chunk);
        }
        if (stream->length > 0 && stream->length - stream->bytes < length)
        {
            length = (size_t)(stream->length - stream->bytes);
        }
        ssize_t moved = Transfer(stream, fd, length);
        if (moved < 0 && errno == EINTR)
        {
            continue;
        }
        if (moved < 0 && errno == EAGAIN)
        {
            stream->runnable = false;
            return STREAM_CONTINUES;
        }
        if (moved < 0 || (moved == 0 && (source || nature.connection)))
        {
            /* A write that takes nothing may do so for ever, and says no errno. */
            *error = moved < 0 ? errno : (source ? EIO : 0);
            stream->active = false;
            return STREAM_ENDED;
        }
        stream->bytes += (uint64_t)moved;
        if (stream->length > 0 && stream->bytes >= stream->length)
        {
            *error = 0;
            stream->active = false;
            return STREAM_ENDED;
        }
        if (stream->credit > 0 && stream->credit != STREAM_UNLIMITED)
        {
            --stream->credit;
        }
        if ((size_t)moved < length && nature.bytes && !drain)
        {
            /* The next call would say EAGAIN; when that is no longer so, there is a wake-up. */
            stream->runnable = false;
            return STREAM_CONTINUES;
        }
    }
    if (source && stream->credit == 0)
    {
        stream->credit = stream->perWake;
    }
    stream->runnable = stream->credit > 0 || drain;
    return STREAM_CONTINUES;
}
