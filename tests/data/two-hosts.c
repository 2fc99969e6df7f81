/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a test asks of a network of namespaces: how long a packet takes, to the ns, and how long
 * MPTCP for a transfer. Static; it needs no library.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 5000
#define MPTCP 262 /* IPPROTO_MPTCP of linux/in.h */

static long long
Now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void
Check(long result, const char* what)
{
    if (result < 0)
    {
        perror(what);
        exit(1);
    }
}

static struct sockaddr_in
At(const char* address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    (void)inet_pton(AF_INET, address, &at.sin_addr);
    return at;
}

/* A datagram to a port where nobody listens: the answer is an ICMP message, and this an error. */
static void
RoundTrips(const char* address, int count)
{
    const struct sockaddr_in at = At(address);
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    Check(connect(udp, (const struct sockaddr*)&at, sizeof(at)), "connect");
    for (int i = 0; i < count; i++)
    {
        const long long begin = Now();
        char byte = 0;
        Check(send(udp, &byte, 1, 0), "send");
        (void)recv(udp, &byte, 1, 0);
        printf("%lld\n", Now() - begin);
        (void)usleep(50000);
    }
}

static void
Serve(void)
{
    const struct sockaddr_in at = At("0.0.0.0");
    const int listening = socket(AF_INET, SOCK_STREAM, MPTCP);
    Check(listening, "socket");
    Check(bind(listening, (const struct sockaddr*)&at, sizeof(at)), "bind");
    Check(listen(listening, 1), "listen");
    const int connection = accept(listening, NULL, NULL);
    Check(connection, "accept");
    static char buffer[65536];
    long long total = 0;
    long long begin = 0;
    ssize_t got;
    while ((got = recv(connection, buffer, sizeof(buffer), 0)) > 0)
    {
        begin = begin ? begin : Now();
        total += got;
    }
    printf("%lld bytes in %lld ns\n", total, Now() - begin);
}

static void
Send(const char* address, long long bytes)
{
    const struct sockaddr_in at = At(address);
    const int connection = socket(AF_INET, SOCK_STREAM, MPTCP);
    Check(connection, "socket");
    Check(connect(connection, (const struct sockaddr*)&at, sizeof(at)), "connect");
    static char buffer[65536];
    while (bytes > 0)
    {
        const size_t most = bytes < (long long)sizeof(buffer) ? (size_t)bytes : sizeof(buffer);
        const ssize_t sent = send(connection, buffer, most, 0);
        Check(sent, "send");
        bytes -= sent;
    }
}

int
main(int argc, char* argv[])
{
    if (argc == 4 && strcmp(argv[1], "round-trips") == 0)
    {
        RoundTrips(argv[2], atoi(argv[3]));
    }
    else if (argc == 2 && strcmp(argv[1], "serve") == 0)
    {
        Serve();
    }
    else if (argc == 4 && strcmp(argv[1], "send") == 0)
    {
        Send(argv[2], atoll(argv[3]));
    }
    return 0;
}
