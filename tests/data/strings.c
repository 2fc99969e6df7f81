/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Repeated string instructions of many kinds; prints what has become of memory and registers, which
 * any x86-64 CPU does alike.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum
{
    PAGE = 4096,
    PAGES = 300,
    SIZE = PAGES * PAGE,
};

static uint8_t* memory;
static uint64_t found;

static void
Add(uint64_t value)
{
    found = (found ^ value) * 0x9e3779b97f4a7c15ull;
    found ^= found >> 29;
}

static void
AddMemory(const uint8_t* from, size_t length)
{
    for (size_t i = 0; i < length; i++)
    {
        Add(from[i]);
    }
}

/* A page that is not there: tell how far the instruction is, and let it go on. */
static void
OnFault(int number, siginfo_t* info, void* context)
{
    const greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    uint8_t* page = (uint8_t*)((uintptr_t)info->si_addr & -(uintptr_t)PAGE);

    (void)number;
    Add(registers[REG_RCX]);
    Add(registers[REG_RSI] - (uintptr_t)memory);
    Add(registers[REG_RDI] - (uintptr_t)memory);
    Add((uint8_t*)info->si_addr - memory);
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

#define DO(instruction)                                                                            \
    __asm__ volatile("rep " instruction "\n\tcld"                                                  \
                     : "+S"(from), "+D"(to), "+c"(count)                                           \
                     : "a"(0x1122334455667788ull)                                                  \
                     : "memory", "cc")

static void
Do(int copies, int size, uint8_t* from, uint8_t* to, uint64_t count, int back)
{
    if (back)
    {
        __asm__ volatile("std" ::: "cc");
    }
    switch (copies * 16 + size)
    {
    case 16 + 1:
        DO("movsb");
        break;
    case 16 + 2:
        DO("movsw");
        break;
    case 16 + 4:
        DO("movsl");
        break;
    case 16 + 8:
        DO("movsq");
        break;
    case 1:
        DO("stosb");
        break;
    case 2:
        DO("stosw");
        break;
    case 4:
        DO("stosl");
        break;
    case 8:
        DO("stosq");
        break;
    }
    Add(count);
    Add(from - memory);
    Add(to - memory);
}

int
main(void)
{
    static const uint64_t COUNTS[] = {0, 1, 15, 16, 17, 18, 100, 511, 512, 513, 2100};
    static const int OFFSETS[] = {0, 1, 8, 4089, 4096};
    static const int DISTANCES[] = {-4096, -16, -8, -1, 0, 1, 8, 15, 4096, 40000};
    struct sigaction action = {.sa_sigaction = OnFault, .sa_flags = SA_SIGINFO};
    const int middle = 20 * PAGE;

    memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaction(SIGSEGV, &action, NULL);
    for (int copies = 0; copies < 2; copies++)
    {
        for (int size = 1; size <= 8; size *= 2)
        {
            for (unsigned d = 0; d < sizeof(DISTANCES) / sizeof(DISTANCES[0]); d++)
            {
                for (unsigned i = 0; i < sizeof(OFFSETS) / sizeof(OFFSETS[0]); i++)
                {
                    for (unsigned c = 0; c < sizeof(COUNTS) / sizeof(COUNTS[0]); c++)
                    {
                        uint8_t* from = memory + middle + OFFSETS[i];

                        for (int k = -8; k < 200; k++)
                        {
                            from[k] = k * 7 + c;
                        }
                        Do(copies, size, from, from + DISTANCES[d], COUNTS[c], (c + i) % 4 == 3);
                        AddMemory(from + DISTANCES[d] - 8, 64);
                        Add(from[DISTANCES[d] + COUNTS[c] * size]);
                    }
                }
            }
            AddMemory(memory, 40 * PAGE);
            /* More than an interrupt is kept waiting for, and into pages that are not there. */
            mprotect(memory + 60 * PAGE, PAGE, PROT_NONE);
            mprotect(memory + 90 * PAGE, 2 * PAGE, PROT_READ);
            Do(copies, size, memory + 50 * PAGE + 5, memory + 80 * PAGE, 20 * PAGE / size, 0);
            Do(copies, size, memory + middle, memory + 100 * PAGE, 65538 + size, 0);
            Do(copies, size, memory + middle, memory + 100 * PAGE + 3, 65537, 0);
            printf("%s of %d: %016llx\n",
                   copies ? "copy" : "fill",
                   size,
                   (unsigned long long)found);
        }
    }
    AddMemory(memory, SIZE);
    printf("all: %016llx\n", (unsigned long long)found);
    return 0;
}
