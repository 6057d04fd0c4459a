/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A context: the read and write TLBs, the fetch TLB and the jump cache of one address space of one vCPU.
 *
 * A shared context (ContextKey.shared) serves a mode in all address spaces, so that a kernel finds its own pages and code whatever process it
 * was entered from. Mappings that are not global are noted and dropped when the address space changes.
 *
 * The tables are reserved whole and touched lazily: zero memory is an invalid entry in every slot but 0 (tcg/abi.h). A bitmap of 256
 * chunks a table says where entries were made, so that a flush costs what was used. Entries are made and dropped by the vCPU's own thread;
 * another thread may only invalidate write entries (tlb_protect_page), when a page gets translated code.
 */
#ifndef SOFTMMU_TLB_PRIV_H
#define SOFTMMU_TLB_PRIV_H

#include "softmmu/cpu.h"

enum {
    TLB_BITS = 16,
    TLB_SIZE = 1 << TLB_BITS,
    TLB_N_CHUNKS = 256,
    TLB_CHUNK = TLB_SIZE / TLB_N_CHUNKS,
    JC_BITS = 16,
    JC_SIZE = 1 << JC_BITS,
    JC_CHUNK = JC_SIZE / TLB_N_CHUNKS,
    FETCH_SIZE = 1024,
    TLB_MAX_PRIVATE = 256,
    TLB_CODE_FILTER = 4096,
};

typedef struct TlbEntry {
    uint64_t tag, addend;
} TlbEntry;
typedef struct JumpEntry {
    uint64_t va;
    const void *code;
} JumpEntry; /* code: host code, with -accel interp a CodeBlock */
typedef struct FetchEntry {
    uint64_t va;
    uint8_t *host;
} FetchEntry; /* page addresses; host NULL: invalid */
typedef struct TlbRange {
    uint64_t first, last;
} TlbRange;

typedef uint64_t TlbDirty[TLB_N_CHUNKS / 64];

struct TlbContext {
    uint64_t stamp; /* when it was last made current */
    bool in_use;
    bool shared;     /* as its key says */
    bool translated; /* some entry came from a page table: fences apply */
    TlbRange super
        [2]; /* hull of the superpages seen, lower and upper half of the address space; first > last: none */
    TlbDirty read_dirty, write_dirty, jc_dirty;
    /* Of a shared context: pages that were mapped for its present address space alone; too many to note: all goes. */
    unsigned n_private;
    uint64_t private_pages[TLB_MAX_PRIVATE];
    bool has_code[TLB_CODE_FILTER]; /* by page: the jump cache may have entries of it */
    FetchEntry fetch[FETCH_SIZE] __attribute__((aligned(4096)));
    JumpEntry jc[JC_SIZE] __attribute__((aligned(4096)));
    TlbEntry read[TLB_SIZE] __attribute__((aligned(4096)));
    TlbEntry write[TLB_SIZE] __attribute__((aligned(4096)));
};

static inline uint32_t tlb_index(uint64_t va)
{
    return (va >> 12) & (TLB_SIZE - 1);
}

static inline JumpEntry *tlb_jump_entry(TlbContext *ctx, uint64_t va)
{
    return &ctx->jc[(va >> 1) & (JC_SIZE - 1)];
}

/* Host address of @size bytes at @va if @table maps them wholly, else NULL. */
static inline uint8_t *tlb_find(const TlbEntry *table, uint64_t va, unsigned size)
{
    const TlbEntry *e = &table[tlb_index(va)];
    uint64_t d = va - __atomic_load_n(&e->tag, __ATOMIC_RELAXED);

    return d <= 4096 - size ? (uint8_t *)e->addend + d : NULL;
}

/* Prepares the contexts of a new vCPU; frees them. */
void tlb_init_cpu(Cpu *cpu);
void tlb_free_cpu(Cpu *cpu);
/* Maps the page of @va to the RAM page at @host for @prot (MEM_PROT_R/W); no write entry is made for a page with code. */
void tlb_insert(Cpu *cpu, uint64_t va, uint8_t *host, uint8_t prot, const TlbFill *fill);
/* Remembers the executable page of @va. */
void tlb_insert_fetch(Cpu *cpu, uint64_t va, uint8_t *host, const TlbFill *fill);
void tlb_insert_jump(Cpu *cpu, uint64_t va, const void *code);
/* Drops the write entries of the RAM page at @host in all vCPUs. True: one of another vCPU than @self. Any thread. */
bool tlb_protect_page(const Cpu *self, const uint8_t *host);
/* The same if all its write entries are for the virtual page @va. */
bool tlb_protect_at(const Cpu *self, const uint8_t *host, uint64_t va);
/* Empties all jump caches and fetch entries (vCPUs paused): breakpoints changed, code cache flushed. */
void tlb_flush_jumps_all(void);

#endif
