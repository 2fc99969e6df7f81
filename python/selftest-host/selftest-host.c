/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Another host, as far as a process can be shown one: `ns3-qemu selftest` has it preloaded
 * (LD_PRELOAD) into the simulator, and so into QEMU. What it shows is said in the environment:
 *
 *     NS3_QEMU_SELFTEST_DATE=SECONDS   the date is so many seconds later
 *     NS3_QEMU_SELFTEST_SIZE=NUMBER    so many CPUs, and as many GiB of memory
 *     NS3_QEMU_SELFTEST_CPU=1          a CPU of another make, without FMA, AVX, BMI and all later
 * extensions
 *
 * The last takes a CPU that can trap CPUID (arch_prctl(2), ARCH_SET_CPUID), and holds for what asks
 * it after this library has been loaded: QEMU does. The C library has asked before, see
 * GLIBC_TUNABLES.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static long g_shift;
static long g_size;
static int g_masked;

/* -- date ---------------------------------------------------------------------------------------
 */

EXPORT int
clock_gettime(clockid_t clock, struct timespec* now)
{
    const int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    {
        now->tv_sec += g_shift;
    }
    return result;
}

EXPORT int
gettimeofday(struct timeval* restrict now, void* restrict zone)
{
    const int result = (int)syscall(SYS_gettimeofday, now, zone);
    if (result == 0)
    {
        now->tv_sec += g_shift;
    }
    return result;
}

EXPORT time_t
time(time_t* place)
{
    const time_t now = (time_t)syscall(SYS_time, NULL) + g_shift;
    if (place)
    {
        *place = now;
    }
    return now;
}

/* -- size ---------------------------------------------------------------------------------------
 */

EXPORT long
sysconf(int name)
{
    static long (*original)(int);
    if (!original)
    {
        *(void**)&original = dlsym(RTLD_NEXT, "sysconf");
    }
    switch (g_size ? name : -1)
    {
    case _SC_NPROCESSORS_CONF:
    case _SC_NPROCESSORS_ONLN:
        return g_size;
    case _SC_PHYS_PAGES:
    case _SC_AVPHYS_PAGES:
        return g_size << 18;
    default:
        return original(name);
    }
}

EXPORT int
get_nprocs(void)
{
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

EXPORT int
get_nprocs_conf(void)
{
    return (int)sysconf(_SC_NPROCESSORS_CONF);
}

EXPORT int
sysinfo(struct sysinfo* info)
{
    const int result = (int)syscall(SYS_sysinfo, info);
    if (result == 0 && g_size)
    {
        info->totalram = info->freeram = (unsigned long)g_size << 30;
        info->mem_unit = 1;
    }
    return result;
}

/* -- CPU ----------------------------------------------------------------------------------------
 */

static int
Trap(int on)
{
    return (int)syscall(SYS_arch_prctl, ARCH_SET_CPUID, !on);
}

/* A CPU of 2009, but for what the program itself needs. */
static void
OlderCpu(unsigned leaf, unsigned* b, unsigned* c, unsigned* d)
{
    switch (leaf)
    {
    case 0:
        /* The other of the two makes. */
        *c = *c == signature_INTEL_ecx ? signature_AMD_ecx : signature_INTEL_ecx;
        *b = *c == signature_INTEL_ecx ? signature_INTEL_ebx : signature_AMD_ebx;
        *d = *c == signature_INTEL_ecx ? signature_INTEL_edx : signature_AMD_edx;
        break;
    case 1:
        *c &= ~(unsigned)(bit_PCLMUL | bit_FMA | bit_MOVBE | bit_POPCNT | bit_AES | bit_XSAVE |
                          bit_OSXSAVE | bit_AVX | bit_F16C | bit_RDRND);
        break;
    case 7:
    case 0xd:
        *b = *c = *d = 0;
        break;
    case 0x80000001:
        *c &= (unsigned)bit_LAHF_LM;
        break;
    default:
        break;
    }
}

static void
Faulted(int number, siginfo_t* info, void* context)
{
    greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    const unsigned char* code = (const unsigned char*)registers[REG_RIP];
    (void)info;
    /* Of a fault whose address is none, the instruction can be read. */
    if (registers[REG_TRAPNO] != 13 || code[0] != 0x0f || code[1] != 0xa2)
    {
        struct sigaction usual = {.sa_handler = SIG_DFL};
        syscall(SYS_rt_sigaction, number, &usual, NULL, 8);
        raise(number);
        return;
    }
    const unsigned leaf = (unsigned)registers[REG_RAX];
    unsigned a, b, c, d;
    Trap(0);
    __cpuid_count(leaf, (unsigned)registers[REG_RCX], a, b, c, d);
    Trap(1);
    OlderCpu(leaf, &b, &c, &d);
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

static int
NextSigaction(int number, const struct sigaction* action, struct sigaction* before)
{
    static int (*original)(int, const struct sigaction*, struct sigaction*);
    if (!original)
    {
        *(void**)&original = dlsym(RTLD_NEXT, "sigaction");
    }
    return original(number, action, before);
}

/* Whoever wants to report a crash would not know what to do with this one. */
EXPORT int
sigaction(int number, const struct sigaction* restrict action, struct sigaction* restrict before)
{
    return NextSigaction(number, g_masked && number == SIGSEGV ? NULL : action, before);
}

EXPORT sighandler_t
signal(int number, sighandler_t handler)
{
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction before = {.sa_handler = SIG_DFL};
    return sigaction(number, &action, &before) == 0 ? before.sa_handler : SIG_ERR;
}

/** @return whether CPUID shows another CPU: 1, or 0. */
EXPORT int
ns3_qemu_selftest_cpu(void)
{
    return g_masked;
}

/* -- beginning ----------------------------------------------------------------------------------
 */

static long
Number(const char* name)
{
    const char* text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void
Begin(void)
{
    g_shift = Number("NS3_QEMU_SELFTEST_DATE");
    g_size = Number("NS3_QEMU_SELFTEST_SIZE");
    if (Number("NS3_QEMU_SELFTEST_CPU"))
    {
        const struct sigaction action = {.sa_sigaction = Faulted,
                                         .sa_flags = SA_SIGINFO | SA_NODEFER};
        g_masked = NextSigaction(SIGSEGV, &action, NULL) == 0 && Trap(1) == 0;
    }
}
