/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Blocks of translated code, told from one machine and translated beforehand in another.
 */
#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/exec-all.h"
#include "exec/memory.h"
#include "exec/translation-block.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "qemu/crc32c.h"
#include "qemu/qht.h"
#include "system/sim-clock.h"
#include "system/sim-code.h"
#include "tcg/tcg.h"
#include "internal-common.h"
#include "internal-target.h"
#include "tb-context.h"
#include "tb-internal.h"

#define EXITS 2

/* How much of the buffer may be filled: a machine needs some for itself. */
#define SHARE_OF_BUFFER 4

/* Places for each block, with which few share a bucket's. */
#define ROOM_IN_TABLE 4

const SimLinkBlock *sim_code_block;

/* Of the block that is being translated. */
static uint64_t jumps[EXITS];

/* A block that has been translated, and where it can go directly. */
typedef struct Made {
    TranslationBlock *tb;
    uint64_t jumps[EXITS];
} Made;

/* -- memory ------------------------------------------------------------------------------------ */

static uint64_t ram_size_in_pages(void)
{
    return memory_region_size(current_machine->ram) >> TARGET_PAGE_BITS;
}

static uint8_t *ram_page(uint32_t page)
{
    return (uint8_t *)memory_region_get_ram_ptr(current_machine->ram) +
           ((size_t)page << TARGET_PAGE_BITS);
}

/* The page of RAM that has an address of a block's, or SIM_LINK_NO_PAGE. */
static uint32_t find_page(tb_page_addr_t address)
{
    uint64_t offset = address - memory_region_get_ram_addr(current_machine->ram);
    uint64_t page = offset >> TARGET_PAGE_BITS;

    return page < ram_size_in_pages() ? page : SIM_LINK_NO_PAGE;
}

/* The checksum of its bytes. Its pages are there. */
static uint32_t sum_block(const SimLinkBlock *block)
{
    size_t first = MIN(block->size, TARGET_PAGE_SIZE - block->offset);
    struct iovec parts[] = {
        { ram_page(block->pages[0]) + block->offset, first },
        { NULL, block->size - first },
    };

    if (block->size > first) {
        parts[1].iov_base = ram_page(block->pages[1]);
    }
    return iov_crc32c(0xffffffff, parts, block->size > first ? 2 : 1);
}

/* -- telling ----------------------------------------------------------------------------------- */

typedef struct Telling {
    SimCodePut *put;
    void *opaque;
    SimLinkBlock blocks[SIM_LINK_BLOCKS_MAX];
    size_t count;
    bool full;
} Telling;

static void tell(Telling *telling)
{
    if (telling->count > 0 && !telling->full) {
        telling->full = !telling->put(telling->opaque, telling->blocks, telling->count);
    }
    telling->count = 0;
}

/* The code of a 64-bit kernel and its programs. What comes before, or is rare, is not worth it. */
static bool is_usual(uint32_t flags)
{
    const uint32_t needed = HF_PE_MASK | HF_LMA_MASK | HF_CS64_MASK;
    const uint32_t rare = HF_VM_MASK | HF_TF_MASK | HF_RF_MASK | HF_SVME_MASK | HF_GUEST_MASK |
                          HF_SMM_MASK;
    int cpl = flags & HF_CPL_MASK;

    return (flags & needed) == needed && !(flags & rare) && (cpl == 0 || cpl == 3);
}

static gboolean tell_block(gpointer key, gpointer value, gpointer opaque)
{
    Telling *telling = opaque;
    const TranslationBlock *tb = value;
    SimLinkBlock block = {
        .pages = { SIM_LINK_NO_PAGE, SIM_LINK_NO_PAGE },
        .offset = tb_page_addr0(tb) & ~TARGET_PAGE_MASK,
        .size = tb->size,
        .flags = tb->flags,
    };

    /* No other cflags: neither one that is no longer valid, nor one of some instructions only. */
    if (tb_cflags(tb) != first_cpu->tcg_cflags || tb->cs_base != 0 || !is_usual(tb->flags) ||
        tb_page_addr0(tb) == -1) {
        return false;
    }
    block.pages[0] = find_page(tb_page_addr0(tb));
    if (tb_page_addr1(tb) != -1) {
        block.pages[1] = find_page(tb_page_addr1(tb));
        if (block.pages[1] == SIM_LINK_NO_PAGE) {
            return false;
        }
    }
    if (block.pages[0] == SIM_LINK_NO_PAGE) {
        return false;
    }
    block.sum = sum_block(&block);
    telling->blocks[telling->count++] = block;
    if (telling->count == ARRAY_SIZE(telling->blocks)) {
        tell(telling);
    }
    return telling->full;
}

void sim_code_tell(SimCodePut *put, void *opaque)
{
    g_autofree Telling *telling = g_new0(Telling, 1);

    if (!(first_cpu->tcg_cflags & CF_PCREL)) {
        return;
    }
    telling->put = put;
    telling->opaque = opaque;
    tcg_tb_foreach(tell_block, telling);
    tell(telling);
}

/* -- translating ------------------------------------------------------------------------------- */

uint64_t sim_code_page(CPUState *cpu, uint64_t addr, void **hostp)
{
    const SimLinkBlock *block = sim_code_block;
    bool second = addr & TARGET_PAGE_MASK;
    uint32_t page = block->pages[second];
    uint8_t *host;

    if (page == SIM_LINK_NO_PAGE) {
        /* Its bytes are as they were, so it does not get here. */
        cpu_loop_exit(cpu);
    }
    host = ram_page(page) + (addr & ~TARGET_PAGE_MASK);
    if (hostp) {
        *hostp = host;
    }
    return memory_region_get_ram_addr(current_machine->ram) +
           ((uint64_t)page << TARGET_PAGE_BITS) + (addr & ~TARGET_PAGE_MASK);
}

void sim_code_note_jump(int n, uint64_t pc)
{
    jumps[n] = pc;
}

/* Whether it is a block of this machine's memory, whoever has named it. */
static bool is_here(const SimLinkBlock *block)
{
    uint64_t pages = ram_size_in_pages();
    size_t room = TARGET_PAGE_SIZE - block->offset;

    return is_usual(block->flags) && block->pages[0] < pages && block->offset < TARGET_PAGE_SIZE &&
           (block->pages[1] < pages || block->pages[1] == SIM_LINK_NO_PAGE) && block->size > 0 &&
           block->size <= room + (block->pages[1] < pages ? TARGET_PAGE_SIZE : 0) &&
           sum_block(block) == block->sum;
}

static TranslationBlock *translate(CPUState *cpu, const SimLinkBlock *block)
{
    TranslationBlock *tb = NULL;

    sim_code_block = block;
    if (sigsetjmp(cpu->jmp_env, 0) == 0) {
        tb = tb_gen_code(cpu, block->offset, 0, block->flags, cpu->tcg_cflags);
    } else if (tcg_ctx->gen_tb) {
        tb_unlock_pages(tcg_ctx->gen_tb);
        tcg_ctx->gen_tb = NULL;
    }
    sim_code_block = NULL;
    return tb;
}

static guint hash_made(gconstpointer p)
{
    const Made *made = p;

    return made->tb->flags ^ tb_page_addr0(made->tb);
}

static gboolean is_same_made(gconstpointer a, gconstpointer b)
{
    const TranslationBlock *one = ((const Made *)a)->tb;
    const TranslationBlock *other = ((const Made *)b)->tb;

    return one->flags == other->flags && tb_page_addr0(one) == tb_page_addr0(other);
}

/*
 * Link a block with those that it jumps to directly, as if it had. They are on its own page, and
 * for the same state: what changes that does not jump directly. See cpu_exec_loop() about blocks on
 * two pages.
 */
static void link_block(GHashTable *all, const Made *made)
{
    for (int n = 0; n < EXITS; n++) {
        TranslationBlock wanted = { .flags = made->tb->flags };
        Made key = { .tb = &wanted };
        const Made *next;

        if (made->tb->jmp_reset_offset[n] == TB_JMP_OFFSET_INVALID) {
            continue;
        }
        tb_set_page_addr0(&wanted, (tb_page_addr0(made->tb) & TARGET_PAGE_MASK) |
                                   (made->jumps[n] & ~TARGET_PAGE_MASK));
        next = g_hash_table_lookup(all, &key);
        if (next && tb_page_addr1(next->tb) == -1) {
            tb_link(made->tb, n, next->tb);
        }
    }
}

/*
 * What machines translate themselves is to be on pages of its own, and these small: what they write
 * is theirs.
 */
static void end_shared_code(void)
{
    size_t page = qemu_real_host_page_size();
    uint8_t *end = (uint8_t *)tcg_ctx->code_gen_buffer + tcg_ctx->code_gen_buffer_size;
    uint8_t *next = (uint8_t *)ROUND_UP((uintptr_t)tcg_ctx->code_gen_ptr, page);

    if (next < (uint8_t *)tcg_ctx->code_gen_highwater) {
        qatomic_set(&tcg_ctx->code_gen_ptr, next);
        madvise(next, ROUND_DOWN(end - next, page), MADV_NOHUGEPAGE);
    }
}

size_t sim_code_translate(const SimLinkBlock *blocks, size_t count)
{
    CPUState *cpu = first_cpu;
    CPUX86State *env = cpu_env(cpu);
    const uint32_t hflags = env->hflags;
    const target_ulong eflags = env->eflags;
    const target_ulong in_eflags = IOPL_MASK | AC_MASK;
    const SimClockMode mode = sim_clock_mode;
    const size_t most = tcg_code_capacity() / SHARE_OF_BUFFER;
    g_autofree Made *made = g_new(Made, count);
    g_autoptr(GHashTable) all = g_hash_table_new(hash_made, is_same_made);
    size_t n = 0;

    if (!(cpu->tcg_cflags & CF_PCREL)) {
        return 0;
    }
    /*
     * The table grows now, and not on the way: what that leaves behind, in small pieces among what
     * stays, machines would fill again, and write in all of these pages.
     */
    qht_resize(&tb_ctx.htable, MAX(ROOM_IN_TABLE * count, CODE_GEN_HTABLE_SIZE));
    /* As in all turns. */
    sim_clock_mode = SIM_CLOCK_LOCKED;
    for (size_t i = 0; i < count && tcg_code_size() < most; i++) {
        TranslationBlock *tb;

        if (!is_here(&blocks[i])) {
            continue;
        }
        /* As cpu_get_tb_cpu_state() has them: what the block's memory accesses depend on. */
        env->hflags = blocks[i].flags & ~in_eflags;
        env->eflags = (eflags & ~in_eflags) | (blocks[i].flags & in_eflags);
        tb = translate(cpu, &blocks[i]);
        if (tb) {
            made[n] = (Made) { .tb = tb, .jumps = { jumps[0], jumps[1] } };
            g_hash_table_add(all, &made[n]);
            n++;
        }
    }
    env->hflags = hflags;
    env->eflags = eflags;
    sim_clock_mode = mode;
    for (size_t i = 0; i < n; i++) {
        link_block(all, &made[i]);
    }
    end_shared_code();
    return n;
}
