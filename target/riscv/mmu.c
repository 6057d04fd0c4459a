/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address translation: Sv32, Sv39, Sv48 and Sv57 page tables with Svnapot, Svpbmt and Svadu, and the PMP check of page-table
 * accesses and of the result (manual: supervisor-level chapter, "Virtual Address Translation Process").
 *
 * Called for each TLB miss, so it is a plain loop over host pointers. The span of RAM that the last table was found in, cut to what the
 * PMP lets S read, is kept (RvCpu.walk_ram) together with the flat view it came from; RAM stays where it is, so a view that
 * happens to get an old one's address can at worst hide that this span was unmapped since.
 *
 * Memory types (Svpbmt) have no effect: guest memory is coherent and ordered as the strongest asks.
 */
#include "softmmu/memory.h"
#include "target/riscv/csr.h"

enum {
    PTE_V = 1,
    PTE_R = 2,
    PTE_W = 4,
    PTE_X = 8,
    PTE_U = 16,
    PTE_G = 32,
    PTE_A = 64,
    PTE_D = 128,
    PTE_PPN_SHIFT = 10,
    NAPOT_BITS = 4, /* 64 KiB: the only size defined */
};
#define PTE_N        (1ull << 63)
#define PTE_PBMT     (3ull << 61)
#define PTE_RESERVED (0x7full << 54)
#define PTE_PPN      (((1ull << 44) - 1) << PTE_PPN_SHIFT)
/* A pointer to the next table has V and none of the others here. */
#define PTE_KIND \
    (PTE_V | PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D | PTE_N | PTE_PBMT | PTE_RESERVED)

/* One translation on its way. */
typedef struct Walk {
    RvCpu *cpu;
    uint64_t va;
    MemAccess access;
    bool debug;
    unsigned priv; /* the access's */
    TlbFill *fill;
} Walk;

static bool page_fault(const Walk *w)
{
    w->fill->fault = w->access == MEM_FETCH   ? RV_EXC_FETCH_PAGE
                     : w->access == MEM_STORE ? RV_EXC_STORE_PAGE
                                              : RV_EXC_LOAD_PAGE;
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

/* Makes walk_ram the span around the entry of @size bytes at @phys. False: not RAM or ROM, or the PMP forbids S to read it. */
static bool find_tables(RvCpu *cpu, const FlatView *view, uint64_t phys, unsigned size)
{
    const FlatRange *range = memory_find(view, phys);
    const RvPmpWindow *window;
    unsigned prot = rv_pmp_lookup(cpu, phys, RV_PRIV_S, &window);
    uint64_t start, last;

    if (!range || !range->host || !(prot & MEM_PROT_R)) {
        return false;
    }
    start = MAX(range->start, window->first);
    last = MIN(range->last, window->last);
    if (last - phys < size - 1) {
        return false;
    }
    cpu->walk_ram = (RvWalkRam){ view->serial, start, last - start - (size - 1),
                                 range->host + (start - range->start),
                                 !range->readonly && (prot & MEM_PROT_W) };
    return true;
}

/* Sets @bits (A, D) in the entry unless it is no longer @pte. False: it changed, walk again. */
static bool pte_update(void *host, unsigned size, uint64_t pte, uint64_t bits)
{
    uint32_t pte32 = (uint32_t)pte;
    bool done;

    if (size == 4) {
        done = __atomic_compare_exchange_n((uint32_t *)host, &pte32, (uint32_t)(pte | bits), false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    } else {
        done = __atomic_compare_exchange_n((uint64_t *)host, &pte, pte | bits, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
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

/* Whether the bits above the page number, of which some are set, are an encoding that does not exist (here). */
static bool leaf_reserved(const RvCpu *cpu, uint64_t pte, unsigned level)
{
    uint64_t bad = PTE_RESERVED;

    if (!(cpu->menvcfg & RV_MENVCFG_PBMTE)) {
        bad |= PTE_PBMT;
    }
    if (level > 0 || !rv_cpu_has(cpu, RV_EXT_SVNAPOT)) {
        bad |= PTE_N;
    }
    if ((pte & PTE_PBMT) == PTE_PBMT || (pte & bad)) {
        return true;
    }
    return (pte & PTE_N) &&
           (pte >> PTE_PPN_SHIFT & ((1 << NAPOT_BITS) - 1)) != 1 << (NAPOT_BITS - 1);
}

/* Whether @pte, which is no pointer, is a well-formed leaf. */
static bool leaf_valid(const RvCpu *cpu, uint64_t pte, unsigned level)
{
    if (!(pte & PTE_V) || !(pte & (PTE_R | PTE_X)) || (pte & (PTE_R | PTE_W)) == PTE_W) {
        return false;
    }
    return !(pte & (PTE_N | PTE_PBMT | PTE_RESERVED)) || !leaf_reserved(cpu, pte, level);
}

/* Fills in the translation of a leaf whose pages have @bits bits. False: fault. */
static bool leaf_fill(const Walk *w, uint64_t pte, unsigned bits)
{
    uint64_t phys = (pte & PTE_PPN) << (12 - PTE_PPN_SHIFT), mask;
    unsigned prot = leaf_prot(w, pte);

    w->fill->global = pte & PTE_G; /* inherited from a pointer it may be missed: that only costs */
    if (pte & PTE_N) {
        bits = 12 + NAPOT_BITS;
        phys &= ~((1ull << bits) - 1);
    }
    mask = (1ull << bits) - 1;
    if ((phys & mask) || (!w->debug && !(prot & needed_prot(w->access)))) {
        return page_fault(w);
    }
    w->fill->phys = phys | (w->va & mask);
    w->fill->page_bits = (uint8_t)bits;
    /* A clean page: the first store comes back to set D. */
    w->fill->prot =
        (uint8_t)(pte & PTE_D || w->access == MEM_STORE ? prot : prot & ~(unsigned)MEM_PROT_W);
    return true;
}

/* A or D is missing: sets @missing, or faults without Svadu. (*again) the entry changed meanwhile. */
static bool leaf_accessed(const Walk *w, void *host, unsigned size, uint64_t pte, uint64_t missing,
                          bool *again)
{
    if (w->debug) {
        return true;
    }
    if (!(w->cpu->menvcfg & RV_MENVCFG_ADUE)) {
        return page_fault(w);
    }
    if (!w->cpu->walk_ram.writable) {
        return access_fault(w);
    }
    *again = !pte_update(host, size, pte, missing);
    return true;
}

/* A leaf at @level was found in @host. */
static bool walk_leaf(const Walk *w, void *host, unsigned size, uint64_t pte, unsigned level,
                      unsigned bits, bool *again)
{
    uint64_t missing = (w->access == MEM_STORE ? PTE_A | PTE_D : PTE_A) & ~pte;

    *again = false;
    if (!leaf_valid(w->cpu, pte, level)) {
        return page_fault(w);
    }
    if (!leaf_fill(w, pte, bits)) {
        return false;
    }
    if (missing && !leaf_accessed(w, host, size, pte, missing, again)) {
        return false;
    }
    return *again || apply_pmp(w);
}

/* Walks @levels of tables of 1 << @index_bits entries of @size bytes from @root. */
static inline __attribute__((always_inline)) bool walk_tables(const Walk *w, uint64_t root,
                                                              unsigned levels, unsigned index_bits,
                                                              unsigned size)
{
    RvWalkRam *ram = &w->cpu->walk_ram;
    const FlatView *view = memory_view();
    uint64_t table = root;
    bool again, done;

    for (unsigned level = levels; level-- > 0;) {
        unsigned shift = 12 + level * index_bits;
        uint64_t phys = table + (w->va >> shift & ((1u << index_bits) - 1)) * size, pte;
        void *host;

        if (G_UNLIKELY(phys - ram->start > ram->span || ram->serial != view->serial) &&
            !find_tables(w->cpu, view, phys, size)) {
            return access_fault(w);
        }
        host = ram->host + (phys - ram->start);
        pte = size == 4 ? __atomic_load_n((uint32_t *)host, __ATOMIC_ACQUIRE)
                        : __atomic_load_n((uint64_t *)host, __ATOMIC_ACQUIRE);
        if ((pte & PTE_KIND) == PTE_V) {
            table = (pte & PTE_PPN) << (12 - PTE_PPN_SHIFT);
            continue;
        }
        done = walk_leaf(w, host, size, pte, level, shift, &again);
        if (!again) {
            return done;
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

    fill->no_cache = fill->global = false;
    if (w.priv == RV_PRIV_M || !rv->satp) {
        return walk_bare(&w);
    }
    if (rv_cpu_is_64(rv)) {
        return rv->satp >> 60 ? walk_sv64(&w, rv->satp) : walk_bare(&w);
    }
    return rv->satp >> 31 ? walk_tables(&w, (rv->satp & ((1u << 22) - 1)) << 12, 2, 10, 4)
                          : walk_bare(&w);
}
