/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory accesses that the fast path in a block did not do: no translation in the TLB, a page crossed, misaligned.
 *
 * The thunk (thunks.c) has saved all host registers by number in Cpu.save and reloads them from there. What to do stands behind
 * the call in the code (cold.c): the jump back into the block, then an X86Miss inside two never executed instructions.
 */
#include "tcg/x86_64/x86-priv.h"

typedef uint64_t LoadFn(void *cpu, uint64_t va, uint32_t memop);
typedef void StoreFn(void *cpu, uint64_t va, uint64_t value, uint32_t memop);

enum {
    JUMP_LEN = 5,
    MOVABS_OPCODE_LEN = 2,
    NO_PAGE = 0x40000000, /* an offset that no access to a page has, whatever is added to it */
};

typedef struct Miss {
    X86Miss m;
    const TcgAbi *abi;
    uint8_t *cpu;
    uint64_t *regs;
    uint64_t va;
    uint32_t memop;
} Miss;

static uint64_t field64(const Miss *x, uint32_t offset)
{
    uint64_t v;

    memcpy(&v, x->cpu + offset, 8);
    return v;
}

static void read_miss(Miss *x, const uint8_t *code)
{
    uint8_t *to = (uint8_t *)&x->m;

    memcpy(to, code + MOVABS_OPCODE_LEN, 8);
    memcpy(to + 8, code + 8 + 2 * MOVABS_OPCODE_LEN, 8);
}

static uint64_t address(const Miss *x)
{
    uint64_t va = x->regs[x->m.data_base >> 4] + (uint64_t)(int64_t)x->m.disp;

    if (x->m.flags & X86_MISS_INDEX) {
        va += x->regs[x->m.scratch_index >> 4] << (x->m.memop_scale >> X86_MISS_SCALE_SHIFT);
    }
    return va;
}

/* Looks the address up as the fast path would and keeps what it finds for this block's later accesses. */
static void look_up(const Miss *x)
{
    uint64_t table = field64(x, x->abi->ctx) +
                     (x->m.flags & X86_MISS_STORE ? x->abi->tlb_write : x->abi->tlb_read);
    const uint64_t *entry =
        (const uint64_t *)(uintptr_t)(table + ((x->va >> 8) & ((uint64_t)x->abi->tlb_mask << 4)));
    uint64_t offset = x->va - __atomic_load_n(&entry[0], __ATOMIC_RELAXED);

    if (offset > 4095) {
        offset = NO_PAGE;
    }
    x->regs[x->m.offset_addend & 15] = offset - (uint64_t)(int64_t)x->m.delta;
    x->regs[x->m.offset_addend >> 4] = entry[1];
}

static void do_access(const Miss *x)
{
    uint64_t *data = &x->regs[(x->m.data_base & 15) + (x->m.flags & X86_MISS_X ? X86_XMM0 : 0)];
    uint32_t fns = x->abi->fn_table;

    if (x->m.flags & X86_MISS_STORE) {
        uint64_t value = x->m.flags & X86_MISS_IMM ? (uint64_t)(int64_t)x->m.imm : *data;

        ((StoreFn *)(uintptr_t)field64(x, fns + 8 * TCG_FN_STORE))(x->cpu, x->va, value, x->memop);
    } else {
        uint64_t value =
            ((LoadFn *)(uintptr_t)field64(x, fns + 8 * TCG_FN_LOAD))(x->cpu, x->va, x->memop);

        *data = x->m.flags & X86_MISS_I32 ? (uint32_t)value : value;
    }
}

void x86_miss(const TcgAbi *abi, uint8_t *cpu, const uint8_t *ret)
{
    Miss x = { .abi = abi, .cpu = cpu, .regs = (uint64_t *)(void *)(cpu + abi->save) };

    read_miss(&x, ret + JUMP_LEN);
    x.memop = x.m.memop_scale & ((1u << X86_MISS_SCALE_SHIFT) - 1);
    x.va = address(&x);
    do_access(&x);
    if (x.m.flags & X86_MISS_KEEP) {
        look_up(&x);
    }
}
