/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address translation: Sv32, Sv39, Sv48 and Sv57 page tables with Svnapot, Svpbmt and Svadu, and the PMP check of page-table
 * accesses and of the result (manual: supervisor-level chapter, "Virtual Address Translation Process").
 *
 * Called for each TLB miss, so it is a plain loop over host pointers. The range of RAM that the last table was found in is remembered
 * (RvCpu.walk_ram) together with the flat view it came from; RAM stays where it is, so a view that happens to get an old one's
 * address can at worst hide that this range was unmapped since.
 *
 * Memory types (Svpbmt) have no effect: guest memory is coherent and ordered as the strongest asks.
 */
#include "softmmu/memory.h"
#include "target/riscv/csr.h"

enum {
    PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16, PTE_A = 64, PTE_D = 128,
    PTE_PPN_SHIFT = 10,
    NAPOT_BITS = 4,                 /* 64 KiB: the only size defined */
};
#define PTE_N (1ull << 63)
#define PTE_PBMT (3ull << 61)
#define PTE_RESERVED (0x7full << 54)
#define PTE_PPN (((1ull << 44) - 1) << PTE_PPN_SHIFT)

/* One translation on its way. */
typedef struct Walk {
    RvCpu *cpu;
    uint64_t va;
    MemAccess access;
    bool debug;
    unsigned priv;                  /* the access's */
    TlbFill *fill;
} Walk;

static bool page_fault(const Walk *w)
{
    w->fill->fault = w->access == MEM_FETCH ? RV_EXC_FETCH_PAGE : w->access == MEM_STORE ? RV_EXC_STORE_PAGE : RV_EXC_LOAD_PAGE;
    return false;
}

static bool access_fault(const Walk *w)
{
    w->fill->fault = w->access == MEM_FETCH   ? RV_EXC_FETCH_ACCESS
                     : w->access == MEM_STORE ? RV_EXC_STORE_ACCESS
                                              : RV_EXC_LOAD_ACCESS;
    return false;
}

/* ---- Page-table entries in memory ---- */

static bool find_ram(RvWalkRam *ram, const FlatView *view, uint64_t phys)
{
    const FlatRange *range = memory_find(view, phys);

    if (!range || !range->host) {
        return false;
    }
    *ram = (RvWalkRam){ view, range->start, range->last, range->host, range->readonly };
    return true;
}

/* Host address of the naturally aligned entry of @size bytes at @phys; NULL: not in RAM, or the PMP forbids S to read it. */
static void *pte_host(const Walk *w, uint64_t phys, unsigned size)
{
    RvWalkRam *ram = &w->cpu->walk_ram;
    const RvPmpWindow *window;
    const FlatView *view = memory_view();

    if (ram->view != view || phys < ram->start || phys + size - 1 > ram->last) {
        if (!find_ram(ram, view, phys) || phys + size - 1 > ram->last) {
            return NULL;
        }
    }
    if (!(rv_pmp_lookup(w->cpu, phys, RV_PRIV_S, &window) & MEM_PROT_R)) {
        return NULL;
    }
    return ram->host + (phys - ram->start);
}

/* Sets @bits (A, D) in the entry unless it is no longer @pte. False: it changed, walk again. *@fault: it cannot be written. */
static bool pte_update(const Walk *w, void *host, uint64_t phys, unsigned size, uint64_t pte, uint64_t bits, bool *fault)
{
    const RvPmpWindow *window;
    bool done;

    *fault = w->cpu->walk_ram.readonly || !(rv_pmp_lookup(w->cpu, phys, RV_PRIV_S, &window) & MEM_PROT_W);
    if (*fault) {
        return true;
    }
    if (size == 4) {
        uint32_t expected = (uint32_t)pte;

        done = __atomic_compare_exchange_n((uint32_t *)host, &expected, (uint32_t)(pte | bits), false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    } else {
        done = __atomic_compare_exchange_n((uint64_t *)host, &pte, pte | bits, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    if (done) {
        memory_written(host, size);
    }
    return done;
}

/* ---- Permissions ---- */

/* MEM_PROT_* that a leaf gives to the access's privilege, W also when the page is still clean. */
static unsigned leaf_prot(const Walk *w, uint64_t pte)
{
    unsigned prot = 0;

    if (pte & PTE_U) {
        if (w->priv == RV_PRIV_S && (w->access == MEM_FETCH || !(w->cpu->mode & RV_MODE_SUM))) {
            return 0;
        }
    } else if (w->priv == RV_PRIV_U) {
        return 0;
    }
    if ((pte & PTE_R) || ((pte & PTE_X) && (w->cpu->mode & RV_MODE_MXR))) {
        prot |= MEM_PROT_R;
    }
    return prot | (pte & PTE_W ? MEM_PROT_W : 0) | (pte & PTE_X ? MEM_PROT_X : 0);
}

static unsigned needed_prot(MemAccess access)
{
    return access == MEM_FETCH ? MEM_PROT_X : access == MEM_STORE ? MEM_PROT_W : MEM_PROT_R;
}

/* Takes the PMP's permissions for the page at fill->phys (va's own bytes when it is split) away; false: access fault. */
static bool apply_pmp(const Walk *w)
{
    uint64_t page = w->fill->phys & ~4095ull, at = page | (w->va & 4095);
    const RvPmpWindow *window;
    unsigned prot = rv_pmp_lookup(w->cpu, at, w->priv, &window);

    if (window->first > page || window->last < (page | 4095)) {
        w->fill->no_cache = true;
    }
    if (w->debug) {
        return true;
    }
    w->fill->prot &= (uint8_t)prot;
    return (prot & needed_prot(w->access)) || access_fault(w);
}

/* ---- The walk ---- */

/* Reserved bits of an entry; @leaf: also what only a pointer must not have. */
static bool has_reserved(const RvCpu *cpu, uint64_t pte, bool leaf, unsigned level)
{
    uint64_t bad = PTE_RESERVED;

    if (!leaf) {
        return pte & (PTE_RESERVED | PTE_N | PTE_PBMT | PTE_U | PTE_A | PTE_D);
    }
    if (!(cpu->menvcfg & RV_MENVCFG_PBMTE)) {
        bad |= PTE_PBMT;
    }
    if (level > 0 || !rv_cpu_has(cpu, RV_EXT_SVNAPOT)) {
        bad |= PTE_N;
    }
    if ((pte & PTE_PBMT) == PTE_PBMT || (pte & bad)) {
        return true;
    }
    return (pte & PTE_N) && (pte >> PTE_PPN_SHIFT & ((1 << NAPOT_BITS) - 1)) != 1 << (NAPOT_BITS - 1);
}

/* A valid leaf at @level, whose pages have 12 + shift bits: fills in the translation. False: fault. */
static bool leaf_fill(const Walk *w, uint64_t pte, unsigned bits)
{
    uint64_t phys = (pte & PTE_PPN) << (12 - PTE_PPN_SHIFT), mask = (1ull << bits) - 1;
    unsigned prot = leaf_prot(w, pte);

    if (pte & PTE_N) {
        bits = 12 + NAPOT_BITS;
        mask = (1ull << bits) - 1;
        phys &= ~mask;
    }
    if ((phys & mask) || (!w->debug && !(prot & needed_prot(w->access)))) {
        return page_fault(w);
    }
    w->fill->phys = phys | (w->va & mask);
    w->fill->page_bits = (uint8_t)bits;
    w->fill->prot = (uint8_t)prot;
    return true;
}

/* A and D: sets them, or faults without Svadu. True: done, or (*again) the entry changed meanwhile. */
static bool leaf_accessed(const Walk *w, void *host, uint64_t phys, unsigned size, uint64_t pte, bool *again)
{
    uint64_t missing = (w->access == MEM_STORE ? PTE_A | PTE_D : PTE_A) & ~pte;
    bool fault;

    *again = false;
    if (!(pte & PTE_D) && w->access != MEM_STORE) {
        w->fill->prot &= (uint8_t)~MEM_PROT_W;
    }
    if (!missing || w->debug) {
        return true;
    }
    if (!(w->cpu->menvcfg & RV_MENVCFG_ADUE)) {
        return page_fault(w);
    }
    *again = !pte_update(w, host, phys, size, pte, missing, &fault);
    return !fault || access_fault(w);
}

/* Walks @levels of tables of 1 << @index_bits entries of @size bytes from @table. */
static inline __attribute__((always_inline)) bool walk_tables(const Walk *w, uint64_t table, unsigned levels, unsigned index_bits,
                                                              unsigned size)
{
    uint64_t root = table, phys, pte;
    bool again;

    for (unsigned level = levels; level-- > 0;) {
        unsigned shift = 12 + level * index_bits;
        void *host;

        phys = table + (w->va >> shift & ((1u << index_bits) - 1)) * size;
        host = pte_host(w, phys, size);
        if (!host) {
            return access_fault(w);
        }
        pte = size == 4 ? __atomic_load_n((uint32_t *)host, __ATOMIC_ACQUIRE) : __atomic_load_n((uint64_t *)host, __ATOMIC_ACQUIRE);
        if (!(pte & PTE_V) || (pte & (PTE_R | PTE_W)) == PTE_W) {
            return page_fault(w);
        }
        if (has_reserved(w->cpu, pte, pte & (PTE_R | PTE_X), level)) {
            return page_fault(w);
        }
        if (!(pte & (PTE_R | PTE_X))) {
            table = (pte & PTE_PPN) << (12 - PTE_PPN_SHIFT);
            continue;
        }
        if (!leaf_fill(w, pte, shift) || !leaf_accessed(w, host, phys, size, pte, &again)) {
            return false;
        }
        if (!again) {
            return apply_pmp(w);
        }
        table = root;
        level = levels;
    }
    return page_fault(w);
}

static bool walk_sv64(const Walk *w, uint64_t satp)
{
    unsigned levels = (unsigned)(satp >> 60) - 5, unused = 64 - (12 + 9 * levels);

    if ((uint64_t)((int64_t)(w->va << unused) >> unused) != w->va) {
        return page_fault(w);
    }
    return walk_tables(w, (satp & ((1ull << 44) - 1)) << 12, levels, 9, 8);
}

static bool walk_bare(const Walk *w)
{
    w->fill->phys = w->va;
    w->fill->page_bits = 64;
    w->fill->prot = MEM_PROT_R | MEM_PROT_W | MEM_PROT_X;
    return apply_pmp(w);
}

bool rv_mmu_walk(Cpu *cpu, uint64_t va, MemAccess access, bool debug, TlbFill *fill)
{
    RvCpu *rv = rv_cpu(cpu);
    unsigned shift = access == MEM_FETCH ? RV_MODE_PRIV_SHIFT : RV_MODE_DATA_SHIFT;
    Walk w = { rv, rv_cpu_xlen_mask(rv, va), access, debug, rv->mode >> shift & 3, fill };

    fill->no_cache = false;
    if (w.priv == RV_PRIV_M || !rv->satp) {
        return walk_bare(&w);
    }
    if (rv_cpu_is_64(rv)) {
        return rv->satp >> 60 ? walk_sv64(&w, rv->satp) : walk_bare(&w);
    }
    return rv->satp >> 31 ? walk_tables(&w, (rv->satp & ((1u << 22) - 1)) << 12, 2, 10, 4) : walk_bare(&w);
}
