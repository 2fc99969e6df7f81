/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The machine itself: its clocks, its random numbers, its settings, its files.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000

bool
ReadText(const char* path, char* text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
    {
        return false;
    }
    ssize_t got;
    do
    {
        got = read(fd, text, size - 1);
    } while (got < 0 && errno == EINTR);
    int error = errno;
    (void)close(fd);
    if (got < 0)
    {
        errno = error;
        return false;
    }
    if (got > 0 && text[got - 1] == '\n')
    {
        --got;
    }
    text[got] = '\0';
    return true;
}

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

    int fd = InitOpenDevice("mem", "urandom", O_WRONLY | O_CLOEXEC);
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

/* The rest of a file, as far as it fits into the reply. */
static int
ReadReply(int fd, Request* request)
{
    while (request->replyLength < RELAY_BODY_MAX)
    {
        ssize_t got =
            read(fd, request->reply + request->replyLength, RELAY_BODY_MAX - request->replyLength);
        if (got < 0 && errno == EINTR)
        {
            continue;
        }
        if (got < 0 && request->replyLength == 0)
        {
            return errno;
        }
        if (got <= 0)
        {
            break;
        }
        request->replyLength += (uint32_t)got;
    }
    return 0;
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
    error = ReadReply(fd, request);
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

/* Where a request says which file it is about; `path` has room for PATH_MAX bytes. */
static int
TakePath(const uint8_t* text, uint32_t length, char* path)
{
    if (length == 0 || memchr(text, '\0', length))
    {
        return EBADMSG;
    }
    if (length >= PATH_MAX)
    {
        return ENAMETOOLONG;
    }
    memcpy(path, text, length);
    path[length] = '\0';
    return 0;
}

int
MachineFileGet(Request* request)
{
    RelayFileGet get;
    memcpy(&get, request->body, sizeof(get));
    char path[PATH_MAX];
    const uint32_t length = request->length - (uint32_t)sizeof(get);
    int error = TakePath(request->body + sizeof(get), length, path);
    if (error != 0)
    {
        return error;
    }
    if (get.offset > INT64_MAX)
    {
        return EINVAL;
    }
    /* Nothing may wait here, so a pipe or a kernel log without contents is an error. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
    {
        return errno;
    }
    if (get.offset > 0 && lseek(fd, (off_t)get.offset, SEEK_SET) < 0)
    {
        error = errno;
    }
    else
    {
        error = ReadReply(fd, request);
    }
    (void)close(fd);
    return error;
}

/* The directories on the path of a file. What cannot be made shows when the file is opened. */
static void
MakeParents(char* path)
{
    for (char* at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/'))
    {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
}

static int
WriteAll(int fd, const uint8_t* data, size_t length)
{
    while (length > 0)
    {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno != EINTR)
        {
            return errno;
        }
        if (written > 0)
        {
            data += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

int
MachineFilePut(Request* request)
{
    RelayFilePut put;
    memcpy(&put, request->body, sizeof(put));
    const uint8_t* text = request->body + sizeof(put);
    const uint32_t rest = request->length - (uint32_t)sizeof(put);
    char path[PATH_MAX];
    if (put.pathLength > rest)
    {
        return EBADMSG;
    }
    int error = TakePath(text, put.pathLength, path);
    if (error != 0)
    {
        return error;
    }
    const uint32_t known = RELAY_FILE_CREATE | RELAY_FILE_TRUNCATE | RELAY_FILE_PARENTS;
    if (put.offset > INT64_MAX || (put.flags & ~known) != 0 || put.mode > 07777)
    {
        return EINVAL;
    }
    int flags = O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    flags |= put.flags & RELAY_FILE_CREATE ? O_CREAT : 0;
    flags |= put.flags & RELAY_FILE_TRUNCATE ? O_TRUNC : 0;
    if (put.flags & RELAY_FILE_PARENTS)
    {
        MakeParents(path);
    }
    const mode_t mask = umask(0);
    int fd = open(path, flags, (mode_t)put.mode);
    error = errno;
    (void)umask(mask);
    if (fd < 0)
    {
        return error;
    }
    if (put.offset > 0 && lseek(fd, (off_t)put.offset, SEEK_SET) < 0)
    {
        error = errno;
    }
    else
    {
        error = WriteAll(fd, text + put.pathLength, rest - put.pathLength);
    }
    if (close(fd) != 0 && error == 0)
    {
        error = errno; /* some file systems say only now that they are full */
    }
    return error;
}
