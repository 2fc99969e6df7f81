/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Counts of what TCG does.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "exec/tcg-counts.h"
#include "tcg/tcg-op-common.h"
#include "tcg/tcg-temp-internal.h"

TCGCounts *tcg_counts;

void tcg_counts_open(int fd, Error **errp)
{
    void *memory = MAP_FAILED;

    if (tcg_counts) {
        error_setg(errp, "counts: it is counted already");
        return;
    }
    if (ftruncate(fd, sizeof(TCGCounts)) == 0) {
        memory = mmap(NULL, sizeof(TCGCounts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (memory == MAP_FAILED) {
        error_setg_errno(errp, errno, "counts: descriptor %d", fd);
        return;
    }
    close(fd);
    tcg_counts = memory;
    tcg_counts->format = TCG_COUNTS_FORMAT;
}

TCGCountsBlock *tcg_counts_add(vaddr pc)
{
    TCGCountsBlock *block;

    if (tcg_counts->blocks == TCG_COUNTS_BLOCKS) {
        return NULL;
    }
    block = &tcg_counts->block[tcg_counts->blocks++];
    block->pc = pc;
    return block;
}

void tcg_counts_gen(uint64_t *counter)
{
    TCGv_ptr at = tcg_constant_ptr((intptr_t)counter);
    TCGv_i64 count = tcg_temp_ebb_new_i64();

    tcg_gen_ld_i64(count, at, 0);
    tcg_gen_addi_i64(count, count, 1);
    tcg_gen_st_i64(count, at, 0);
    tcg_temp_free_i64(count);
}
