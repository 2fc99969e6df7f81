/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Which sockets have something to tell, or a stream to go on with.
 *
 * Sockets are heard edge-triggered: an edge is an arrival, and that is the wake-up that a stream's
 * `perWake` counts (stream.c). A socket is registered once, for everything, and never modified, for
 * a modification would be another edge. What has become true is told once. After a request on the
 * handle what is still true is told again: that is looked up by poll(2), which makes no edge.
 * Requests that only look at a socket (sampling TCP_INFO many thousand times) do not count as such,
 * or each sample would be followed by an event; and data in one direction says nothing of the other
 * one.
 *
 * To tell an error is to take it from the socket. As poll(2) does not, the call that would have
 * returned it still does so (`held`).
 *
 * Whatever is ready at the same time is served in the order of the handles, not in the kernel's.
 */
#include "ready.h"

#include "channel.h"
#include "handles.h"
#include "relay-protocol.h"
#include "stream.h"
#include "wait.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR &&
                   EPOLLHUP == POLLHUP && EPOLLRDHUP == POLLRDHUP,
               "one set of conditions serves for both calls");

#define SOCKET_CONDITIONS (POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP)

/* Sockets to be served. There is room for all that there are, twice: those of one round and of the
 * next. */
static Socket** g_queue;
static size_t g_queued;
static Socket** g_round;
static size_t g_roundLength;
static size_t g_capacity;

bool
ReadyReserve(size_t sockets)
{
    if (sockets <= g_capacity)
    {
        return true;
    }
    const size_t capacity = sockets * 2 + 16;
    Socket** queue = realloc(g_queue, capacity * sizeof(g_queue[0]));
    if (queue)
    {
        g_queue = queue;
    }
    Socket** round = realloc(g_round, capacity * sizeof(g_round[0]));
    if (round)
    {
        g_round = round;
    }
    if (!queue || !round)
    {
        return false;
    }
    g_capacity = capacity;
    return true;
}

int
ReadyRegister(Socket* socket)
{
    if (socket->registered)
    {
        return 0;
    }
    const uint32_t events = SOCKET_CONDITIONS | (uint32_t)EPOLLET;
    const int error = WaitAdd(socket->fd, events, WAIT_SOCKET, socket->handle);
    socket->registered = error == 0;
    return error;
}

void
ReadyQueue(Socket* socket)
{
    if (!socket->queued)
    {
        socket->queued = true;
        g_queue[g_queued++] = socket;
    }
}

void
ReadyWake(uint32_t handle, uint32_t events)
{
    Socket* socket = HandleFind(handle);
    if (socket)
    {
        socket->arrived |= events;
        ReadyQueue(socket);
    }
}

bool
ReadyHasWork(void)
{
    return g_queued > 0;
}

void
ReadyRearm(Socket* socket, uint32_t conditions, bool always)
{
    if (always || (socket->told & conditions) != 0)
    {
        socket->told &= ~conditions;
        socket->recheck = true;
        ReadyQueue(socket);
    }
}

void
ReadyForget(Socket* socket)
{
    for (size_t i = 0; socket->queued && i < g_queued; ++i)
    {
        if (g_queue[i] == socket)
        {
            memmove(g_queue + i, g_queue + i + 1, (g_queued - i - 1) * sizeof(g_queue[0]));
            --g_queued;
            break;
        }
    }
}

/* What is true now. */
static uint32_t
Look(const Socket* socket)
{
    struct pollfd poller = {.fd = socket->fd, .events = POLLIN | POLLOUT | POLLRDHUP};
    return poll(&poller, 1, 0) > 0 ? (uint32_t)(uint16_t)poller.revents : 0;
}

/* The error that the socket holds, or that one of our calls has taken from it. */
static int
TakeError(Socket* socket)
{
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error == 0)
    {
        error = socket->error;
    }
    socket->error = 0;
    return error;
}

static void
Tell(Socket* socket, uint32_t conditions)
{
    RelayReady ready = {.handle = socket->handle, .conditions = conditions & ~socket->told};
    if (ready.conditions == 0)
    {
        return;
    }
    if (ready.conditions & RELAY_ERROR)
    {
        ready.error = TakeError(socket);
        socket->held = ready.error;
    }
    socket->told |= ready.conditions;
    ChannelEvent(RELAY_EVENT_READY, &ready, sizeof(ready));
}

static uint32_t
ToConditions(uint32_t events)
{
    uint32_t conditions = 0;
    conditions |= events & POLLIN ? RELAY_READABLE : 0u;
    conditions |= events & POLLOUT ? RELAY_WRITABLE : 0u;
    conditions |= events & POLLERR ? RELAY_ERROR : 0u;
    conditions |= events & (POLLHUP | POLLRDHUP) ? RELAY_HANGUP : 0u;
    return conditions;
}

static void
TellStreamEnd(Socket* socket, int error)
{
    const RelayStreamEnd end = {
        .handle = socket->handle,
        .error = error,
        .bytes = socket->stream.bytes,
        .wrong = socket->stream.wrong,
    };
    ChannelEvent(RELAY_EVENT_STREAM, &end, sizeof(end));
    /* What the stream kept to itself is the simulator's again. */
    if (socket->watched != 0)
    {
        socket->recheck = true;
        ReadyQueue(socket);
    }
}

/* How a connect(2) has ended. Returns what else is to be told. */
static uint32_t
ServeConnect(Socket* socket, uint32_t events)
{
    const uint32_t conditions = ToConditions(events);
    if (events & (POLLERR | POLLHUP))
    {
        socket->connecting = false;
        /* A socket without a connection is also writable and readable; nobody wants to know. */
        socket->error = TakeError(socket);
        const int error = socket->error;
        Tell(socket, RELAY_HANGUP | (error != 0 ? RELAY_ERROR : 0u));
        if (socket->stream.active)
        {
            socket->stream.active = false;
            TellStreamEnd(socket, error);
        }
        return 0;
    }
    if (events & POLLOUT)
    {
        socket->connecting = false;
        Tell(socket, RELAY_WRITABLE | (conditions & (socket->watched | RELAY_HANGUP)));
        return conditions;
    }
    return 0;
}

static void
ServeStream(Socket* socket, uint32_t arrived)
{
    Stream* stream = &socket->stream;
    const uint32_t always = POLLERR | POLLHUP;
    const uint32_t wanted =
        stream->direction == RELAY_STREAM_SOURCE ? always | POLLOUT : always | POLLIN | POLLRDHUP;
    if (arrived & wanted)
    {
        StreamWake(stream);
    }
    int error = 0;
    if (stream->runnable &&
        StreamServe(stream, socket->fd, socket->nature, socket->closed, &error) == STREAM_ENDED)
    {
        socket->error = error;
        TellStreamEnd(socket, error);
    }
    else if (stream->runnable)
    {
        ReadyQueue(socket);
    }
}

static void
ServeSocket(Socket* socket)
{
    const uint32_t arrived = socket->arrived;
    uint32_t events = arrived;
    socket->arrived = 0;
    if (socket->recheck && socket->registered)
    {
        events |= Look(socket);
    }
    socket->recheck = false;
    if (socket->nature.connection && (events & (POLLHUP | POLLRDHUP)))
    {
        socket->closed = true; /* POLLERR alone does not say so; a reset sets all three */
    }
    uint32_t conditions = ToConditions(events);
    if (socket->connecting)
    {
        conditions = ServeConnect(socket, events);
        if (socket->connecting)
        {
            return;
        }
    }
    conditions &= socket->watched | RELAY_ERROR | RELAY_HANGUP;
    if (socket->stream.active)
    {
        const bool source = socket->stream.direction == RELAY_STREAM_SOURCE;
        conditions &= source ? ~(uint32_t)RELAY_WRITABLE : ~(uint32_t)RELAY_READABLE;
        ServeStream(socket, arrived);
        if (socket->error != 0)
        {
            conditions |= RELAY_ERROR;
        }
        if (socket->closed && socket->stream.active && socket->stream.runnable && !source)
        {
            /* It still reads what came before the end, and comes upon the error itself. */
            socket->arrived |= events & (POLLERR | POLLHUP | POLLRDHUP);
            conditions &= ~(uint32_t)(RELAY_ERROR | RELAY_HANGUP);
        }
    }
    Tell(socket, conditions);
}

static int
CompareSockets(const void* a, const void* b)
{
    const uint32_t first = (*(Socket* const*)a)->handle;
    const uint32_t second = (*(Socket* const*)b)->handle;
    return (first > second) - (first < second);
}

void
ReadyServe(void)
{
    if (g_queued == 0)
    {
        return;
    }
    /* Those that are queued meanwhile are served next time. */
    Socket** round = g_queue;
    g_queue = g_round;
    g_round = round;
    g_roundLength = g_queued;
    g_queued = 0;
    if (g_roundLength > 1)
    {
        qsort(round, g_roundLength, sizeof(round[0]), CompareSockets);
    }
    for (size_t i = 0; i < g_roundLength; ++i)
    {
        round[i]->queued = false;
        if (ChannelHasRoom())
        {
            ServeSocket(round[i]);
        }
        else
        {
            ReadyQueue(round[i]);
        }
    }
}
