/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Repeated string instructions in memory, many iterations at once.
 *
 * A helper does as many as it can do as one access to each of two pages. What it leaves is done one
 * by one, as are faults, devices, watchpoints, and copies that overlap. It probes only what the next
 * iteration would access anyway, and in the same order, so that a guest's page tables look as they
 * did.
 */
#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "helper-tcg.h"

/* So many bytes from @address on are in its page. */
static target_ulong left_in_page(target_ulong address)
{
    return -(address | TARGET_PAGE_MASK);
}

/*
 * How many iterations there may be at once. The loop of do_gen_rep() ends the block after the
 * iteration that leaves a multiple of @mask + 1, and one: that one, or the last two, is left to it.
 */
static target_ulong at_once(CPUX86State *env, uint32_t mask)
{
    return env->df == 1 && env->regs[R_ECX] > 1 ? (env->regs[R_ECX] - 2) & mask : 0;
}

void helper_rep_movs(CPUX86State *env, uint32_t ot, uint32_t mask)
{
    int mmu_idx = cpu_mmu_index(env_cpu(env), false);

    for (;;) {
        target_ulong from = env->regs[R_ESI];
        target_ulong to = env->regs[R_EDI];
        target_ulong count = MIN(left_in_page(from), left_in_page(to)) >> ot;
        target_ulong length;
        void *source, *target;

        count = MIN(count, at_once(env, mask));
        length = count << ot;
        if (!count ||
            probe_access_flags(env, from, length, MMU_DATA_LOAD, mmu_idx, true, &source,
                               GETPC()) ||
            probe_access_flags(env, to, length, MMU_DATA_STORE, mmu_idx, true, &target,
                               GETPC())) {
            return;
        }
        if (target > source && (uintptr_t)target - (uintptr_t)source < length) {
            return; /* it reads what it has written */
        }
        memmove(target, source, length);
        env->regs[R_ESI] += length;
        env->regs[R_EDI] += length;
        env->regs[R_ECX] -= count;
    }
}

void helper_rep_stos(CPUX86State *env, uint32_t ot, uint32_t mask)
{
    int mmu_idx = cpu_mmu_index(env_cpu(env), false);
    uint64_t value = env->regs[R_EAX];

    for (;;) {
        target_ulong to = env->regs[R_EDI];
        target_ulong count = MIN(left_in_page(to) >> ot, at_once(env, mask));
        target_ulong length = count << ot;
        void *target;

        if (!count ||
            probe_access_flags(env, to, length, MMU_DATA_STORE, mmu_idx, true, &target,
                               GETPC())) {
            return;
        }
        if (ot == MO_8 || value == 0) {
            memset(target, value, length);
        } else {
            for (target_ulong i = 0; i < count; i++) {
                stn_le_p((uint8_t *)target + (i << ot), 1 << ot, value);
            }
        }
        env->regs[R_EDI] += length;
        env->regs[R_ECX] -= count;
    }
}
