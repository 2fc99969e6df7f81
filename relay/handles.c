/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Sockets by the handles that the simulator knows them by. What is done with them is the business
 * of sockets.c and data.c, and when they are ready, and for what, that of ready.c.
 */
#include "handles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In the order of the handles, which is that in which they were made. */
static Socket** g_sockets;
static size_t g_count;
static size_t g_capacity;
static uint32_t g_lastHandle;

/* Where the handle is, or would be. */
static size_t
Position(uint32_t handle)
{
    size_t low = 0;
    size_t high = g_count;
    while (low < high)
    {
        const size_t middle = low + (high - low) / 2;
        if (g_sockets[middle]->handle < handle)
        {
            low = middle + 1;
        }
        else
        {
            high = middle;
        }
    }
    return low;
}

Socket*
HandleFind(uint32_t handle)
{
    const size_t at = Position(handle);
    return at < g_count && g_sockets[at]->handle == handle ? g_sockets[at] : NULL;
}

size_t
HandleCount(void)
{
    return g_count;
}

Socket*
HandleAdd(int fd, SocketNature nature)
{
    if (g_lastHandle == UINT32_MAX)
    {
        errno = ENFILE; /* handles are not used twice */
        return NULL;
    }
    if (g_count == g_capacity)
    {
        const size_t capacity = g_capacity * 2 + 16;
        Socket** larger = realloc(g_sockets, capacity * sizeof(g_sockets[0]));
        if (!larger)
        {
            errno = ENOMEM;
            return NULL;
        }
        g_sockets = larger;
        g_capacity = capacity;
    }
    Socket* added = calloc(1, sizeof(Socket));
    if (!added)
    {
        errno = ENOMEM;
        return NULL;
    }
    added->handle = ++g_lastHandle;
    added->fd = fd;
    added->nature = nature;
    g_sockets[g_count++] = added;
    return added;
}

void
HandleRemove(Socket* socket)
{
    const size_t at = Position(socket->handle);
    free(socket);
    --g_count;
    memmove(g_sockets + at, g_sockets + at + 1, (g_count - at) * sizeof(g_sockets[0]));
}
