/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The loads that `ns3-qemu bench` puts into a guest. Static, for it brings no libraries along.
 *
 *     ns3-qemu-bench-guest echo PORT        answers each UDP datagram with a copy, for ever
 *     ns3-qemu-bench-guest show FILE        writes the file to standard output
 *     ns3-qemu-bench-guest sleep SECONDS    sleeps, then switches the machine off
 *     ns3-qemu-bench-guest count NUMBER     counts, which keeps the CPU busy, then does the same
 *
 * It ends with the errno of what failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int
Echo(unsigned short port)
{
    static char data[65536];
    const struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port)};
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr*)&local, sizeof(local)) != 0)
    {
        return errno;
    }
    for (;;)
    {
        struct sockaddr_in peer;
        socklen_t length = sizeof(peer);
        const ssize_t got = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr*)&peer, &length);
        if (got < 0 ||
            sendto(fd, data, (size_t)got, 0, (const struct sockaddr*)&peer, length) != got)
        {
            return errno;
        }
    }
}

static int
Show(const char* path)
{
    static char data[65536];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0)
    {
        got = read(fd, data, sizeof(data));
        for (ssize_t done = 0, put = 0; done < got; done += put)
        {
            put = write(STDOUT_FILENO, data + done, (size_t)(got - done));
            if (put < 0)
            {
                return errno;
            }
        }
    }
    return got < 0 ? errno : 0;
}

static int
SwitchOff(void)
{
    (void)reboot(RB_POWER_OFF);
    return errno;
}

static int
Sleep(long long seconds)
{
    const struct timespec time = {seconds, 0};
    return nanosleep(&time, NULL) == 0 ? SwitchOff() : errno;
}

/* Four instructions or so for each number. */
static int
Count(unsigned long long numbers)
{
    for (volatile unsigned long long i = 0; i < numbers; i++)
    {
    }
    return SwitchOff();
}

int
main(int count, char** arguments)
{
    if (count != 3)
    {
        return EINVAL;
    }
    const unsigned long long number = strtoull(arguments[2], NULL, 10);
    if (strcmp(arguments[1], "echo") == 0)
    {
        return Echo((unsigned short)number);
    }
    if (strcmp(arguments[1], "show") == 0)
    {
        return Show(arguments[2]);
    }
    if (strcmp(arguments[1], "sleep") == 0)
    {
        return Sleep((long long)number);
    }
    if (strcmp(arguments[1], "count") == 0)
    {
        return Count(number);
    }
    return EINVAL;
}
