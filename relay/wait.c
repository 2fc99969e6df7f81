/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Sleeping until something is ready. Whom a wake-up is for is known here by kind and number only;
 * main.c takes it there.
 *
 * It is epoll(7), which is older than any kernel that this is for.
 */
#include "wait.h"

#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

static int g_epoll = -1;

void
WaitPrepare(void)
{
    g_epoll = epoll_create(64);
    if (g_epoll < 0)
    {
        Fatal("the kernel has no epoll: %s", strerror(errno));
    }
    (void)fcntl(g_epoll, F_SETFD, FD_CLOEXEC);
}

static int
Control(int operation, int fd, uint32_t events, WaitKind kind, uint32_t number)
{
    struct epoll_event event = {.events = events, .data = {.u64 = (uint64_t)kind << 32 | number}};
    return epoll_ctl(g_epoll, operation, fd, &event) == 0 ? 0 : errno;
}

int
WaitAdd(int fd, uint32_t events, WaitKind kind, uint32_t number)
{
    return Control(EPOLL_CTL_ADD, fd, events, kind, number);
}

int
WaitChange(int fd, uint32_t events, WaitKind kind, uint32_t number)
{
    return Control(EPOLL_CTL_MOD, fd, events, kind, number);
}

size_t
WaitTake(Wakeup wakeups[WAIT_BATCH], bool sleep)
{
    struct epoll_event events[WAIT_BATCH];
    const int count = epoll_wait(g_epoll, events, WAIT_BATCH, sleep ? -1 : 0);
    if (count < 0 && errno != EINTR)
    {
        Fatal("cannot wait: %s", strerror(errno));
    }
    for (int i = 0; i < count; ++i)
    {
        wakeups[i] = (Wakeup){
            .kind = (WaitKind)(events[i].data.u64 >> 32),
            .number = (uint32_t)events[i].data.u64,
            .events = events[i].events,
        };
    }
    return count > 0 ? (size_t)count : 0;
}
