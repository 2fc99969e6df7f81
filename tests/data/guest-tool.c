/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What the tests need to happen inside a guest. Its exit code is 0 or an errno.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void
Sleep(const char* milliseconds)
{
    const long ms = atol(milliseconds);
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

/* Copies its input to its output. */
static int
Copy(void)
{
    char data[4096];
    ssize_t got;
    while ((got = read(STDIN_FILENO, data, sizeof(data))) > 0)
    {
        if (write(STDOUT_FILENO, data, (size_t)got) != got)
        {
            return errno;
        }
    }
    return got < 0 ? errno : 0;
}

/* Ends at once and leaves a child behind, which lives so long. */
static int
Orphan(const char* milliseconds)
{
    const pid_t child = fork();
    if (child == 0)
    {
        Sleep(milliseconds);
        (void)!write(STDOUT_FILENO, "orphan\n", 7);
        _exit(0);
    }
    (void)printf("%d\n", (int)child);
    return child < 0 ? errno : 0;
}

/* Mounts a file system of one page. */
static int
MountSmall(const char* path)
{
    (void)mkdir(path, 0755);
    return mount("small", path, "tmpfs", 0, "size=4096") == 0 ? 0 : errno;
}

/* Writes until it cannot. */
static int
Fill(const char* path)
{
    static const char page[4096];
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    while (fd >= 0 && write(fd, page, sizeof(page)) > 0)
    {
    }
    return errno;
}

/* Writes a text to a file that is there. */
static int
Write(const char* path, const char* text)
{
    const int fd = open(path, O_WRONLY);
    const ssize_t length = (ssize_t)strlen(text);
    return fd >= 0 && write(fd, text, (size_t)length) == length ? 0 : errno;
}

/* Reads so many bytes from the disk itself at once, and says how many ns that took. */
static int
ReadDirect(const char* path, size_t length)
{
    void* data = NULL;
    struct timespec begin;
    struct timespec end;
    const int fd = open(path, O_RDONLY | O_DIRECT);
    if (fd < 0 || posix_memalign(&data, 4096, length) != 0)
    {
        return errno;
    }
    memset(data, 1, length);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    if (read(fd, data, length) != (ssize_t)length)
    {
        return EIO;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    (void)printf("%lld\n",
                 (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec);
    return 0;
}

int
main(int count, char** arguments)
{
    const char* command = count > 1 ? arguments[1] : "";
    const char* argument = count > 2 ? arguments[2] : "";
    int result = EINVAL;
    if (strcmp(command, "copy") == 0)
    {
        result = Copy();
    }
    else if (strcmp(command, "sleep") == 0)
    {
        Sleep(argument);
        (void)puts("slept");
        result = 0;
    }
    else if (strcmp(command, "orphan") == 0)
    {
        result = Orphan(argument);
    }
    else if (strcmp(command, "mount") == 0)
    {
        result = MountSmall(argument);
    }
    else if (strcmp(command, "write") == 0 && count > 3)
    {
        result = Write(argument, arguments[3]);
    }
    else if (strcmp(command, "direct") == 0 && count > 3)
    {
        result = ReadDirect(argument, (size_t)atol(arguments[3]));
    }
    else if (strcmp(command, "fill") == 0)
    {
        result = Fill(argument);
    }
    return result;
}
