/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What `ns3-qemu selftest` runs in guests: it prints what programs see that could come from the
 * host, or from chance.
 *
 *     ns3-qemu-selftest-guest probe          addresses, numbers of processes and files, random
 * numbers, clocks, CPU ns3-qemu-selftest-guest arithmetic     results of the FPU's instructions,
 * bit by bit ns3-qemu-selftest-guest threads N      N threads that contend for a mutex, in the
 * order in which they had it ns3-qemu-selftest-guest forks N        N children that write into one
 * pipe, in the order in which it arrives
 *
 * Static, for it brings no libraries along. It ends with the errno of what failed.
 */
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char* const FILES[] = {
    "/proc/cpuinfo",
    "/proc/interrupts",
    "/proc/iomem",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/sched_debug",
    "/proc/self/maps",
    "/proc/self/stat",
    "/proc/softirqs",
    "/proc/stat",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/kernel/random/entropy_avail",
    "/proc/sys/kernel/random/uuid",
    "/proc/timer_list",
    "/proc/uptime",
    "/proc/version",
    "/proc/vmstat",
};

static void
Hex(const char* name, const void* data, size_t length)
{
    printf("%s ", name);
    for (size_t i = 0; i < length; i++)
    {
        printf("%02x", ((const unsigned char*)data)[i]);
    }
    putchar('\n');
}

static void
Inode(const char* path)
{
    struct stat status;
    if (stat(path, &status) == 0)
    {
        printf("inode %s %ju on %ju, changed %jd.%09ld\n",
               path,
               (uintmax_t)status.st_ino,
               (uintmax_t)status.st_dev,
               (intmax_t)status.st_ctim.tv_sec,
               status.st_ctim.tv_nsec);
    }
}

static void
Addresses(void)
{
    int local = 0;
    void* mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("stack %p\nheap %p\nmapping %p\nvdso %lx\n",
           (void*)&local,
           sbrk(0),
           mapped,
           getauxval(AT_SYSINFO_EHDR));
    Hex("AT_RANDOM", (const void*)getauxval(AT_RANDOM), 16);
}

static void
Numbers(void)
{
    unsigned char random[16];
    printf("pid %d parent %d thread %ld\n", getpid(), getppid(), syscall(SYS_gettid));
    const int file = open("/tmp/probe", O_CREAT | O_WRONLY, 0600);
    Inode("/");
    Inode("/tmp/probe");
    Inode("/proc/self");
    Inode("/init");
    close(file);
    if (getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random))
    {
        Hex("getrandom", random, sizeof(random));
    }
    const int device = open("/dev/urandom", O_RDONLY);
    if (read(device, random, sizeof(random)) == (ssize_t)sizeof(random))
    {
        Hex("urandom", random, sizeof(random));
    }
    close(device);
}

static void
Clocks(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME,
                                       CLOCK_MONOTONIC,
                                       CLOCK_MONOTONIC_RAW,
                                       CLOCK_BOOTTIME,
                                       CLOCK_PROCESS_CPUTIME_ID};
    for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++)
    {
        struct timespec now;
        clock_gettime(clocks[i], &now);
        printf("clock %d: %jd.%09ld\n", (int)clocks[i], (intmax_t)now.tv_sec, now.tv_nsec);
    }
    for (int i = 0; i < 3; i++)
    {
        printf("rdtsc %llu\n", (unsigned long long)__builtin_ia32_rdtsc());
    }
}

static void
Cpu(void)
{
    unsigned a, b, c, d;
    static const unsigned BASES[] = {0, 0x40000000, 0x80000000};
    for (size_t i = 0; i < sizeof(BASES) / sizeof(BASES[0]); i++)
    {
        __cpuid(BASES[i], a, b, c, d);
        const unsigned last = a < BASES[i] || a - BASES[i] > 64 ? BASES[i] : a;
        for (unsigned leaf = BASES[i]; leaf <= last; leaf++)
        {
            __cpuid_count(leaf, 0, a, b, c, d);
            printf("cpuid %08x %08x %08x %08x %08x\n", leaf, a, b, c, d);
        }
    }
    __cpuid(1, a, b, c, d);
    for (int i = 0; i < 2 && (c & bit_RDRND); i++)
    {
        unsigned long long value = 0;
        unsigned char valid;
        __asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(value), "=qm"(valid)::"cc");
        printf("rdrand %d %016llx\n", valid, value);
    }
}

static void
Files(void)
{
    static char text[1 << 16];
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++)
    {
        const int file = open(FILES[i], O_RDONLY);
        printf("--- %s%s\n", FILES[i], file < 0 ? ": none" : "");
        for (ssize_t got; file >= 0 && (got = read(file, text, sizeof(text))) > 0;)
        {
            fwrite(text, 1, (size_t)got, stdout);
        }
        close(file);
    }
}

static int
Probe(void)
{
    Addresses();
    Numbers();
    Clocks();
    Cpu();
    Files();
    return 0;
}

/* The FPU's own functions: QEMU computes some of them with the host's libm. */
#define X87(name, code)                                                                            \
    static double name(double x)                                                                   \
    {                                                                                              \
        __asm__ volatile(code : "+t"(x)::"st(7)");                                                 \
        return x;                                                                                  \
    }
X87(Fsin, "fsin")
X87(Fcos, "fcos")
X87(Fptan, "fptan\n\tfstp %%st(0)")
X87(F2xm1, "f2xm1")
X87(Fsqrt, "fsqrt")
X87(Fpatan, "fld1\n\tfpatan")
X87(Fyl2x, "fld1\n\tfxch\n\tfyl2x")

static double
Divided(double x)
{
    return (x * x + 1.1) / (x + 0.3);
}

static int
Arithmetic(void)
{
    static const struct
    {
        const char* name;
        double (*compute)(double);
    } FUNCTIONS[] = {
        {"divided", Divided},
        {"fsqrt", Fsqrt},
        {"f2xm1", F2xm1},
        {"fpatan", Fpatan},
        {"fyl2x", Fyl2x},
        {"fsin", Fsin},
        {"fcos", Fcos},
        {"fptan", Fptan},
    };

    for (size_t i = 0; i < sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]); i++)
    {
        uint64_t sum = 14695981039346656037u; /* FNV-1a, of words */
        double x = 0.001;
        for (int step = 0; step < 5000; step++, x += 0.000173)
        {
            const double y = FUNCTIONS[i].compute(x);
            uint64_t bits;
            memcpy(&bits, &y, sizeof(bits));
            sum = (sum ^ bits) * 1099511628211u;
        }
        printf("%s %016jx\n", FUNCTIONS[i].name, (uintmax_t)sum);
    }
    return 0;
}

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static char g_order[65536];
static size_t g_count;

static void*
Contend(void* name)
{
    for (int i = 0; i < 200; i++)
    {
        pthread_mutex_lock(&g_mutex);
        if (g_count < sizeof(g_order) - 1)
        {
            g_order[g_count++] = (char)('a' + (intptr_t)name % 26);
        }
        if (i % 7 == (intptr_t)name % 7)
        {
            sched_yield();
        }
        pthread_mutex_unlock(&g_mutex);
        if (i % 50 == 0)
        {
            const struct timespec nap = {.tv_nsec = 1000 * (long)(intptr_t)name};
            nanosleep(&nap, NULL);
        }
    }
    return NULL;
}

static int
Threads(int number)
{
    pthread_t threads[64];
    for (int i = 0; i < number; i++)
    {
        const int error = pthread_create(&threads[i], NULL, Contend, (void*)(intptr_t)i);
        if (error != 0)
        {
            return error;
        }
    }
    for (int i = 0; i < number; i++)
    {
        pthread_join(threads[i], NULL);
    }
    puts(g_order);
    return 0;
}

static int
Forks(int number)
{
    int ends[2];
    if (pipe(ends) != 0)
    {
        return errno;
    }
    for (int i = 0; i < number; i++)
    {
        const pid_t child = fork();
        if (child < 0)
        {
            return errno;
        }
        if (child == 0)
        {
            char line[64];
            for (int j = 0; j < 3; j++)
            {
                const int length = snprintf(line, sizeof(line), "%d %d %d\n", i, j, getpid());
                if (write(ends[1], line, (size_t)length) != length)
                {
                    _exit(1);
                }
                usleep((unsigned)(i * 3 % 5));
            }
            _exit(i);
        }
    }
    close(ends[1]);
    char text[256];
    for (ssize_t got; (got = read(ends[0], text, sizeof(text))) > 0;)
    {
        fwrite(text, 1, (size_t)got, stdout);
    }
    int status;
    for (pid_t child; (child = wait(&status)) > 0;)
    {
        printf("%d ended with %d\n", child, WEXITSTATUS(status));
    }
    return 0;
}

int
main(int argc, char** argv)
{
    const char* what = argc > 1 ? argv[1] : "";
    const int number = argc > 2 ? atoi(argv[2]) : 0;
    if (strcmp(what, "probe") == 0)
    {
        return Probe();
    }
    if (strcmp(what, "arithmetic") == 0)
    {
        return Arithmetic();
    }
    if (strcmp(what, "threads") == 0 && number > 0 && number <= 64)
    {
        return Threads(number);
    }
    if (strcmp(what, "forks") == 0 && number > 0)
    {
        return Forks(number);
    }
    return EINVAL;
}
