/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Translated code: which blocks of it a machine has, and translating them in another before its
 * guest gets to them.
 *
 * A block is named by where it is in the guest's memory and by the CPU's state that it is for;
 * it does not depend on its virtual address (CF_PCREL). What it does follows from memory alone, as
 * with any block. So whatever list of blocks there is, machines do the same; they only need not
 * translate what is there already.
 */
#ifndef SYSTEM_SIM_CODE_H
#define SYSTEM_SIM_CODE_H

#include "system/sim-link-protocol.h"

typedef struct CPUState CPUState;

/*
 * Tell @put of the blocks, in the order in which they were translated, as long as it returns true.
 * In the vCPU thread.
 */
typedef bool SimCodePut(void *opaque, const SimLinkBlock *blocks, size_t count);
void sim_code_tell(SimCodePut *put, void *opaque);

/*
 * Translate blocks as far as memory holds what they were made of, and link them with each other. In
 * the vCPU thread, before the guest's first instruction. Returns how many there are now.
 */
size_t sim_code_translate(const SimLinkBlock *blocks, size_t count);

/* The block that is translated beforehand just now, or NULL. */
extern const SimLinkBlock *sim_code_block;

/*
 * Where the code at @addr is, for @sim_code_block, whose first page has the address 0: instead of a
 * walk through page tables, which would write in them. Returns its address in RAM.
 */
uint64_t sim_code_page(CPUState *cpu, uint64_t addr, void **hostp);

/* The block that is being translated can jump directly to @pc with its exit @n. */
void sim_code_note_jump(int n, uint64_t pc);

#endif
