/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The look-up of the next translation block, in translated code.
 */
#ifndef EXEC_LOOKUP_GEN_H
#define EXEC_LOOKUP_GEN_H

#include "tcg/tcg.h"

/**
 * gen_lookup_and_goto_ptr:
 * @db: the block that is translated
 * @pc: where the guest goes on; the CPU's state says so, too
 * @flags: what cpu_get_tb_cpu_state() says at that time
 *
 * Go to the block at @pc, as tcg_gen_lookup_and_goto_ptr() does, but call the helper only if the
 * jump cache does not have it. No two blocks with the same flags may differ in their cs_base.
 */
void gen_lookup_and_goto_ptr(const DisasContextBase *db, TCGv_i64 pc, TCGv_i64 flags);

#endif
