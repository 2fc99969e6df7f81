/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Files, whole and in parts, and devices by their names.
 */
#include "files.h"

#include "relay-protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool
FileReadText(const char* path, char* text, size_t size)
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

char*
FileReadWhole(const char* path, size_t* length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
    {
        return NULL;
    }
    char* data = NULL;
    size_t used = 0;
    size_t size = 0;
    int error = 0;
    for (;;)
    {
        if (size - used < 65536)
        {
            size = size * 2 + 131072;
            char* larger = realloc(data, size);
            if (!larger)
            {
                error = ENOMEM;
                break;
            }
            data = larger;
        }
        ssize_t got = read(fd, data + used, size - used - 1);
        if (got < 0 && errno == EINTR)
        {
            continue;
        }
        if (got <= 0)
        {
            error = got < 0 ? errno : 0;
            break;
        }
        used += (size_t)got;
    }
    (void)close(fd);
    if (error != 0)
    {
        free(data);
        errno = error;
        return NULL;
    }
    data[used] = '\0';
    *length = used;
    return data;
}

int
FileReadReply(int fd, Request* request)
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

int
FileOpenDevice(const char* class, const char* name, int flags)
{
    char path[320];
    (void)snprintf(path, sizeof(path), "/dev/%s", name);
    int fd = open(path, flags);
    if (fd >= 0 || errno != ENOENT)
    {
        return fd;
    }
    char numberPath[320];
    char number[32];
    (void)snprintf(numberPath, sizeof(numberPath), "/sys/class/%s/%s/dev", class, name);
    unsigned int major = 0;
    unsigned int minor = 0;
    if (!FileReadText(numberPath, number, sizeof(number)) ||
        sscanf(number, "%u:%u", &major, &minor) != 2)
    {
        errno = ENOENT;
        return -1;
    }
    if (mknod(path, S_IFCHR | 0600, makedev(major, minor)) != 0)
    {
        return -1;
    }
    return open(path, flags);
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
FileGet(Request* request)
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
        error = FileReadReply(fd, request);
    }
    (void)close(fd);
    return error;
}

void
FileMakeParents(char* path)
{
    for (char* at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/'))
    {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
}

int
FileWriteAll(int fd, const uint8_t* data, size_t length)
{
    while (length > 0)
    {
        ssize_t written = write(fd, data, length);
        if (written == 0)
        {
            return EIO; /* it may say so for ever, and nothing else runs until it is answered */
        }
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
FilePut(Request* request)
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
        FileMakeParents(path);
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
        error = FileWriteAll(fd, text + put.pathLength, rest - put.pathLength);
    }
    if (close(fd) != 0 && error == 0)
    {
        error = errno; /* some file systems say only now that they are full */
    }
    return error;
}
