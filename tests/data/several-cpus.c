/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Threads that compute on CPUs of their own, for machines with several. Each prints numbers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CPUS_MAX 8

static long g_amount;
static atomic_int g_ready;
static int g_count;
static atomic_llong g_last;
static atomic_int g_back;
static atomic_int g_token;

static long long
Now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Goes to its CPU, and begins when all are there. */
static void
Begin(long cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
    {
        exit(1);
    }
    atomic_fetch_add(&g_ready, 1);
    while (atomic_load(&g_ready) < g_count)
    {
    }
}

static void
Compute(long amount)
{
    for (long i = 0; i < amount; i++)
    {
        __asm__ volatile("");
    }
}

/* How long a certain work takes. */
static void*
Work(void* self)
{
    Begin((long)self);
    const long long begin = Now();
    Compute(g_amount);
    return (void*)(Now() - begin);
}

/* Sends datagrams with as much work between them, to a port of its CPU's. */
static void*
Send(void* self)
{
    const long cpu = (long)self;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(1000 + cpu))};
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    (void)inet_pton(AF_INET, "10.0.0.2", &to.sin_addr);
    Begin(cpu);
    for (int i = 0; i < 20; i++)
    {
        (void)sendto(udp, &i, sizeof(i), 0, (const struct sockaddr*)&to, sizeof(to));
        Compute(g_amount);
    }
    return NULL;
}

/* How often the clock has been behind what another thread has read before. */
static void*
Read(void* self)
{
    Begin((long)self);
    for (long i = 0; i < g_amount; i++)
    {
        const long long seen = atomic_load(&g_last);
        const long long now = Now();
        if (now < seen)
        {
            atomic_fetch_add(&g_back, 1);
        }
        atomic_store(&g_last, now);
    }
    return (void*)(long)atomic_load(&g_back);
}

/* Hands a token to the next thread and waits, in a loop, until it has it again. */
static void*
HandOver(void* self, int politely)
{
    const int own = (int)(long)self;
    Begin(own);
    const long long begin = Now();
    for (long i = 0; i < g_amount; i++)
    {
        while (atomic_load(&g_token) != own)
        {
            if (politely)
            {
                __builtin_ia32_pause();
            }
        }
        atomic_store(&g_token, (own + 1) % g_count);
    }
    return (void*)(Now() - begin);
}

static void*
Pass(void* self)
{
    return HandOver(self, 1);
}

static void*
Snatch(void* self)
{
    return HandOver(self, 0);
}

/* WHAT CPUS AMOUNT [FIRST-CPU] */
int
main(int argc, char** argv)
{
    static const struct
    {
        const char* name;
        void* (*run)(void*);
    } kinds[] = {{"work", Work},
                 {"send", Send},
                 {"read", Read},
                 {"pass", Pass},
                 {"snatch", Snatch}};

    pthread_t threads[CPUS_MAX];
    const long first = argc > 4 ? atol(argv[4]) : 0;
    g_count = atoi(argv[2]);
    g_amount = atol(argv[3]);
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++)
    {
        if (strcmp(argv[1], kinds[kind].name) != 0)
        {
            continue;
        }
        for (long i = 0; i < g_count; i++)
        {
            (void)pthread_create(&threads[i], NULL, kinds[kind].run, (void*)(first + i));
        }
        for (int i = 0; i < g_count; i++)
        {
            void* result = NULL;
            (void)pthread_join(threads[i], &result);
            (void)printf("%ld\n", (long)result);
        }
    }
    return 0;
}
