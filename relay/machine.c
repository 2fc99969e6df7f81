/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The machine itself: its clocks, its random numbers, its settings.
 */
#include "machine.h"

#include "files.h"
#include "relay-protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000

/* false: the kernel has no such clock. */
static bool
ReadClock(clockid_t clock, int64_t* nanoseconds)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
    {
        return false;
    }
    *nanoseconds = (int64_t)now.tv_sec * NANOSECONDS + now.tv_nsec;
    return true;
}

int
MachineClockGet(Request* request)
{
    RelayClock clock = {0};
    if (!ReadClock(CLOCK_REALTIME, &clock.realtime) ||
        !ReadClock(CLOCK_MONOTONIC, &clock.monotonic))
    {
        return errno;
    }
    if (!ReadClock(CLOCK_BOOTTIME, &clock.boottime)) /* since 2.6.39 */
    {
        clock.boottime = clock.monotonic;
    }
    memcpy(request->reply, &clock, sizeof(clock));
    request->replyLength = sizeof(clock);
    return 0;
}

int
MachineClockSet(Request* request)
{
    RelayClockSet set;
    memcpy(&set, request->body, sizeof(set));
    if (set.realtime < 0)
    {
        return EINVAL;
    }
    struct timespec time;
    time.tv_sec = (time_t)(set.realtime / NANOSECONDS);
    time.tv_nsec = (long)(set.realtime % NANOSECONDS);
    return clock_settime(CLOCK_REALTIME, &time) == 0 ? 0 : errno;
}

int
MachineRngSeed(Request* request)
{
    static union {
        struct rand_pool_info info;
        uint8_t bytes[sizeof(struct rand_pool_info) + RELAY_BODY_MAX];
    } pool;

    int fd = FileOpenDevice("mem", "urandom", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
    {
        return errno;
    }
    pool.info.entropy_count = (int)(request->length * 8);
    pool.info.buf_size = (int)request->length;
    memcpy(pool.bytes + sizeof(pool.info), request->body, request->length);
    int error = ioctl(fd, RNDADDENTROPY, &pool) == 0 ? 0 : errno;
    if (error == 0)
    {
        /* Machines that have been restored from one image share the generator's key, and would use
         * it on for a minute. Kernels before 4.14 have no such call, and no such generator. */
        (void)ioctl(fd, RNDRESEEDCRNG);
    }
    (void)close(fd);
    memset(&pool, 0, sizeof(pool.info) + request->length);
    return error;
}

/* As sysctl(8) reads a name: what separates first, '.' or '/', separates; the other one, where the
 * first is '.', stands for a '.' in a name ("net.ipv4.conf.eth0/1.rp_filter"). */
static int
SysctlPath(const uint8_t* name, uint32_t length, char* path, size_t size)
{
    static const char root[] = "/proc/sys/";
    const size_t prefix = sizeof(root) - 1;
    if (length == 0 || memchr(name, '\0', length))
    {
        return EBADMSG;
    }
    if (prefix + length >= size)
    {
        return ENAMETOOLONG;
    }
    memcpy(path, root, prefix);
    memcpy(path + prefix, name, length);
    path[prefix + length] = '\0';
    char* first = strpbrk(path + prefix, "./");
    if (first && *first == '.')
    {
        for (char* c = first; *c != '\0'; ++c)
        {
            *c = *c == '.' ? '/' : (*c == '/' ? '.' : *c);
        }
    }
    return 0;
}

int
MachineSysctlGet(Request* request)
{
    char path[512];
    int error = SysctlPath(request->body, request->length, path, sizeof(path));
    if (error != 0)
    {
        return error;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
    {
        return errno;
    }
    error = FileReadReply(fd, request);
    (void)close(fd);
    if (request->replyLength > 0 && request->reply[request->replyLength - 1] == '\n')
    {
        --request->replyLength;
    }
    return error;
}

int
MachineSysctlSet(Request* request)
{
    RelaySysctlSet set;
    memcpy(&set, request->body, sizeof(set));
    const uint8_t* name = request->body + sizeof(set);
    uint32_t rest = request->length - (uint32_t)sizeof(set);
    if (set.nameLength > rest)
    {
        return EBADMSG;
    }
    char path[512];
    int error = SysctlPath(name, set.nameLength, path, sizeof(path));
    if (error != 0)
    {
        return error;
    }
    /* An empty value is a line of its own, for a write of nothing never reaches the kernel. */
    const uint8_t* value = name + set.nameLength;
    size_t length = rest - set.nameLength;
    if (length == 0)
    {
        value = (const uint8_t*)"\n";
        length = 1;
    }
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
    {
        return errno;
    }
    ssize_t written = write(fd, value, length);
    error = written < 0 ? errno : ((size_t)written < length ? EINVAL : 0);
    (void)close(fd);
    return error;
}
