/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The look-up of the next translation block, in translated code.
 *
 * It finds what tb_lookup() would find, or calls helper_lookup_tb_ptr():
 * - pc and flags are compared; cs_base goes with the flags (see the header);
 * - the entry's generation says that no flush has come between, and that its cflags are the CPU's
 *   usual ones;
 * - CPUJumpCache.direct is 0 while the cflags are others, or anything is to be looked at.
 * A request to leave translated code is seen at the beginning of the next block, as ever.
 */
#include "qemu/osdep.h"
#include "exec/exec-all.h"
#include "exec/translator.h"
#include "exec/lookup-gen.h"
#include "exec/tcg-counts.h"
#include "tcg/tcg-op-common.h"
#include "tcg/tcg-internal.h"
#include "tcg/tcg-temp-internal.h"
#include "tb-hash.h"
#include "tb-jmp-cache.h"

void gen_lookup_and_goto_ptr(const DisasContextBase *db, TCGv_i64 pc, TCGv_i64 flags)
{
    /* tb_code(), as an offset */
    const intptr_t code = ROUND_UP(sizeof(TranslationBlock), qemu_icache_linesize);
    const int entry_bits = 5, page_shift = TARGET_PAGE_BITS - TB_JMP_PAGE_BITS;
    TCGv_i64 place, bits, key, wanted;
    TCGv_ptr jc, entry;
    TCGLabel *ask;

    if ((tb_cflags(db->tb) & CF_NO_GOTO_PTR) || tcg_splitwx_diff || db->plugin_enabled) {
        tcg_gen_lookup_and_goto_ptr();
        return;
    }

    if (unlikely(tcg_counts)) {
        tcg_counts_gen(&tcg_counts->jumps);
    }
    ask = gen_new_label();
    place = tcg_temp_ebb_new_i64();
    bits = tcg_temp_ebb_new_i64();
    key = tcg_temp_ebb_new_i64();
    wanted = tcg_temp_ebb_new_i64();
    jc = tcg_temp_ebb_new_ptr();
    entry = tcg_temp_ebb_new_ptr();

    /* tb_jmp_cache_hash_func(), times the size of an entry. */
    QEMU_BUILD_BUG_ON(sizeof(CPUJumpCacheEntry) != 1 << entry_bits);
    tcg_gen_shri_i64(place, pc, page_shift);
    tcg_gen_xor_i64(place, place, pc);
    tcg_gen_shli_i64(bits, place, entry_bits);
    tcg_gen_andi_i64(bits, bits, TB_JMP_ADDR_MASK * sizeof(CPUJumpCacheEntry));
    tcg_gen_shli_i64(place, place, entry_bits - page_shift);
    tcg_gen_andi_i64(place, place, TB_JMP_PAGE_MASK * sizeof(CPUJumpCacheEntry));
    tcg_gen_or_i64(place, place, bits);

    tcg_gen_ld_ptr(jc, tcg_env,
                   offsetof(ArchCPU, parent_obj.tb_jmp_cache) - offsetof(ArchCPU, env));
    tcg_gen_trunc_i64_ptr(entry, place);
    tcg_gen_add_ptr(entry, entry, jc);

    /* flags and generation are neighbours */
    QEMU_BUILD_BUG_ON(offsetof(CPUJumpCacheEntry, generation) !=
                      offsetof(CPUJumpCacheEntry, flags) + 4);
    tcg_gen_ld32u_i64(wanted, jc, offsetof(CPUJumpCache, direct));
    tcg_gen_shli_i64(wanted, wanted, 32);
    tcg_gen_or_i64(wanted, wanted, flags);
    tcg_gen_ld_i64(key, entry, offsetof(CPUJumpCache, array) + offsetof(CPUJumpCacheEntry, flags));
    tcg_gen_brcond_i64(TCG_COND_NE, key, wanted, ask);
    tcg_gen_ld_i64(key, entry, offsetof(CPUJumpCache, array) + offsetof(CPUJumpCacheEntry, pc));
    tcg_gen_brcond_i64(TCG_COND_NE, key, pc, ask);
    tcg_gen_ld_ptr(entry, entry,
                   offsetof(CPUJumpCache, array) + offsetof(CPUJumpCacheEntry, tb));
    tcg_gen_addi_ptr(entry, entry, code);
    tcg_gen_op1(INDEX_op_goto_ptr, TCG_TYPE_PTR, tcgv_ptr_arg(entry));

    gen_set_label(ask);
    tcg_gen_lookup_and_goto_ptr();

    tcg_temp_free_i64(place);
    tcg_temp_free_i64(bits);
    tcg_temp_free_i64(key);
    tcg_temp_free_i64(wanted);
    tcg_temp_free_ptr(jc);
    tcg_temp_free_ptr(entry);
}
