/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Counts of what TCG does, in a file that others map, too: -accel tcg,counts=FD. Unlike times they
 * are the same on a machine that has other things to do.
 *
 * The file is there, and as long as it ever is, before the machine is made: nothing of the guest's
 * asks for it, and a closed sandbox is in no one's way. python/ns3_qemu/bench/counts.py reads it.
 */
#ifndef EXEC_TCG_COUNTS_H
#define EXEC_TCG_COUNTS_H

#include "exec/vaddr.h"

#define TCG_COUNTS_FORMAT 0x31746e756f436354 /* "TcCount1" */
#define TCG_COUNTS_BLOCKS 131072

/* A translation block. One that is translated again gets another. */
typedef struct TCGCountsBlock {
    uint64_t pc; /* where it was when it was translated */
    uint64_t executions;
    uint64_t instructions; /* in it */
} TCGCountsBlock;

typedef struct TCGCounts {
    uint64_t format;
    uint64_t blocks;     /* translated: how many there are below */
    uint64_t lost;       /* executions of blocks for which there was no room */
    uint64_t jumps;      /* look-ups of the next block, in translated code */
    uint64_t asked;      /* calls of the helper, where it did not find it */
    uint64_t missed;     /* look-ups that the jump cache could not answer */
    uint64_t exits;      /* from translated code to the loop */
    uint64_t interrupts; /* that the vCPU has taken */
    uint64_t slow;       /* accesses to memory that the TLB's fast path did not do */
    uint64_t fills;      /* entries of the TLB that were made by a walk through page tables */
    uint64_t flushes;    /* of the jump cache */
    uint64_t reserved[5];
    TCGCountsBlock block[TCG_COUNTS_BLOCKS];
} TCGCounts;

/* NULL unless it is counted. */
extern TCGCounts *tcg_counts;

#define TCG_COUNT(what)             \
    do {                            \
        if (unlikely(tcg_counts)) { \
            tcg_counts->what++;     \
        }                           \
    } while (0)

/* Make the file @fd as long as it must be, close it, and count there from now on. */
void tcg_counts_open(int fd, Error **errp);
/* The counters of a block that is being translated, or NULL if there is no room. */
TCGCountsBlock *tcg_counts_add(vaddr pc);
/* Have translated code count at @counter. */
void tcg_counts_gen(uint64_t *counter);

#endif
