/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Programs that wait in loops. Each prints numbers of nanoseconds.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static long long
Now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Sleeps until shortly before a time, then looks at the clock until it has come: packetdrill. */
static void
LateBy(long long wait, long long spun)
{
    const long long due = Now() + wait;
    const struct timespec time = {0, wait - spun};
    (void)nanosleep(&time, NULL);
    while (Now() < due)
    {
    }
    (void)printf("%lld\n", Now() - due);
}

/* How much later the clock is each time that it changes: chronyd, ntpd. */
static void
Steps(int count)
{
    long long last = Now();
    for (int i = 0; i < count; ++i)
    {
        long long now = last;
        while (now == last)
        {
            now = Now();
        }
        (void)printf("%lld\n", now - last);
        last = now;
    }
}

static atomic_int g_flag;

static void*
RaiseFlag(void* unused)
{
    (void)unused;
    atomic_store(&g_flag, 1);
    return NULL;
}

/* Waits for another thread without ever looking at the clock: pools of threads. */
static void
WaitForThread(void)
{
    pthread_t thread;
    const long long start = Now();
    (void)pthread_create(&thread, NULL, RaiseFlag, NULL);
    while (!atomic_load(&g_flag))
    {
    }
    (void)printf("%lld\n", Now() - start);
    (void)pthread_join(thread, NULL);
}

int
main(int count, char** arguments)
{
    const char* what = count > 1 ? arguments[1] : "";
    if (strcmp(what, "late") == 0)
    {
        for (int i = 1; i <= 5; ++i)
        {
            LateBy(i * 1234567LL, 20000);
        }
    }
    else if (strcmp(what, "late-after-long") == 0)
    {
        LateBy(100000000LL, 50000000LL);
    }
    else if (strcmp(what, "steps") == 0)
    {
        Steps(100);
    }
    else if (strcmp(what, "thread") == 0)
    {
        WaitForThread();
    }
    else
    {
        return 2;
    }
    return 0;
}
