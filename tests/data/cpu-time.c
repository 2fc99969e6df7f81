/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Programs for machines whose computing takes time. Each prints numbers. Static; no library.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PORT 7 /* echo, RFC 862 */

static long long
Now(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static struct sockaddr_in
At(const char* address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    (void)inet_pton(AF_INET, address, &at.sin_addr);
    return at;
}

/* Sends back what comes, for ever. */
static void
Echo(void)
{
    const struct sockaddr_in at = At("0.0.0.0");
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    (void)bind(udp, (const struct sockaddr*)&at, sizeof(at));
    for (;;)
    {
        char data[2048];
        struct sockaddr_in from;
        socklen_t length = sizeof(from);
        const ssize_t n =
            recvfrom(udp, data, sizeof(data), 0, (struct sockaddr*)&from, &length);
        if (n >= 0)
        {
            (void)sendto(udp, data, (size_t)n, 0, (const struct sockaddr*)&from, length);
        }
    }
}

/* One datagram after the other; prints the round trips in ns. */
static void
Ask(const char* address, int count)
{
    const struct sockaddr_in at = At(address);
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    long long* trips = calloc((size_t)count, sizeof(*trips));
    (void)connect(udp, (const struct sockaddr*)&at, sizeof(at));
    for (int i = 0; i < count; i++)
    {
        char data[100] = {0};
        const long long begin = Now(CLOCK_MONOTONIC);
        (void)send(udp, data, sizeof(data), 0);
        (void)recv(udp, data, sizeof(data), 0);
        trips[i] = Now(CLOCK_MONOTONIC) - begin;
    }
    for (int i = 0; i < count; i++)
    {
        (void)printf("%lld\n", trips[i]);
    }
}

/* Computes for so many ms, and says how much of that the CPU was its own, in ns. */
static void
Burn(long milliseconds)
{
    const long long end = Now(CLOCK_MONOTONIC) + milliseconds * 1000000LL;
    volatile unsigned sum = 0;
    while (Now(CLOCK_MONOTONIC) < end)
    {
        for (unsigned i = 0; i < 1000; i++)
        {
            sum += i;
        }
    }
    (void)printf("%lld\n", Now(CLOCK_PROCESS_CPUTIME_ID));
}

int
main(int count, char** arguments)
{
    const char* what = count > 1 ? arguments[1] : "";
    if (strcmp(what, "echo") == 0)
    {
        Echo();
    }
    else if (strcmp(what, "ask") == 0 && count > 3)
    {
        Ask(arguments[2], atoi(arguments[3]));
    }
    else if (strcmp(what, "burn") == 0 && count > 2)
    {
        Burn(atol(arguments[2]));
    }
    else
    {
        return 2;
    }
    return 0;
}
