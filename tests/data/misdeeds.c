/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a guest's program may do to its machine. The argument says which.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static char buffer[1 << 20];

/* In no system call, and in hardly anything but. */
static void Spin(void)
{
    for (;;)
    {
        __asm__ volatile("");
    }
}

static void Ask(void)
{
    int file = open("/dev/urandom", O_RDONLY);
    for (;;)
    {
        (void)!read(file, buffer, sizeof(buffer));
    }
}

static void Fork(void)
{
    for (;;)
    {
        (void)!fork();
    }
}

/* The first process ignores what it does not expect, even these. */
static int Signal(void)
{
    static const int numbers[] = {SIGSTOP, SIGKILL, SIGTERM, SIGSEGV, SIGHUP};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
    {
        if (kill(1, numbers[i]) != 0)
        {
            return 1;
        }
    }
    return 0;
}

static int Trace(void)
{
    if (ptrace(PTRACE_SEIZE, 1, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, 1, 0, 0) != 0)
    {
        return 1;
    }
    for (;;)
    {
        pause();
    }
}

/* Into all that the relay has open, its port among it. */
static int Write(void)
{
    memset(buffer, 0xff, sizeof(buffer));
    int relay = (int)syscall(SYS_pidfd_open, 1, 0);
    for (int number = 3; number < 64; number++)
    {
        int file = (int)syscall(SYS_pidfd_getfd, relay, number, 0);
        if (file >= 0)
        {
            (void)!write(file, buffer, 64);
        }
    }
    return relay < 0;
}

/* An endless game over UDP with whoever does the same; the one with a second argument begins. */
static int Play(const char* address)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(7)};
    struct sockaddr_in own = peer;
    int play = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(play, (struct sockaddr*)&own, sizeof(own)) != 0)
    {
        return 1;
    }
    ssize_t length = 18;
    socklen_t size = sizeof(peer);
    if (address)
    {
        peer.sin_addr.s_addr = inet_addr(address);
        (void)!sendto(play, buffer, 18, 0, (struct sockaddr*)&peer, size);
    }
    while ((length = recvfrom(play, buffer, 18, 0, (struct sockaddr*)&peer, &size)) > 0)
    {
        (void)!sendto(play, buffer, (size_t)length, 0, (struct sockaddr*)&peer, size);
    }
    return 1;
}

/* Have the kernel write a line to its console. */
static int Complain(void)
{
    static const char line[] = "<0>A line of more bytes than the log of the console may have.\n";
    int messages = open("/dev/kmsg", O_WRONLY);
    return write(messages, line, sizeof(line) - 1) < 0;
}

int main(int argc, char** argv)
{
    const char* what = argc > 1 ? argv[1] : "";
    prctl(PR_SET_NAME, what);
    if (!strcmp(what, "spin"))
    {
        Spin();
    }
    if (!strcmp(what, "ask"))
    {
        Ask();
    }
    if (!strcmp(what, "fork"))
    {
        Fork();
    }
    if (!strcmp(what, "signal"))
    {
        return Signal();
    }
    if (!strcmp(what, "trace"))
    {
        return Trace();
    }
    if (!strcmp(what, "write"))
    {
        return Write();
    }
    if (!strcmp(what, "play"))
    {
        return Play(argv[2]);
    }
    if (!strcmp(what, "complain"))
    {
        return Complain();
    }
    if (!strcmp(what, "off"))
    {
        return reboot(RB_POWER_OFF);
    }
    if (!strcmp(what, "again"))
    {
        return reboot(RB_AUTOBOOT);
    }
    return 2;
}
