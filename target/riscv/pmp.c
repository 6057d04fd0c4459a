/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical memory protection: 16 entries of four-byte grain (manual: "Physical Memory Protection").
 *
 * The CSRs are turned into inclusive ranges when they change. A question about an address is answered together with the span of
 * addresses around it that has the same answer; the last span is kept for S/U and for M, so that page-table walks, which ask
 * several times, mostly compare two numbers.
 *
 * The entry that matches any byte of an access decides and must match all of it. The walk knows no access size: in a page with more
 * than one answer it asks for the four bytes at the address, so a wider access that straddles two regions is judged by
 * its first bytes.
 */
#include "target/riscv/cpu.h"

enum {
    CFG_R = 1,
    CFG_W = 2,
    CFG_X = 4,
    CFG_A_SHIFT = 3,
    CFG_A = 3 << 3,
    CFG_L = 0x80,
    CFG_WRITABLE = 0x9f
};
enum { A_OFF, A_TOR, A_NA4, A_NAPOT };
enum { PROT_ALL = MEM_PROT_R | MEM_PROT_W | MEM_PROT_X };

static unsigned entry_mode(const RvCpu *cpu, unsigned i)
{
    return (cpu->pmpcfg[i] & CFG_A) >> CFG_A_SHIFT;
}

static RvPmpRange entry_range(const RvCpu *cpu, unsigned i)
{
    uint64_t addr = cpu->pmpaddr[i], size;
    RvPmpRange none = { .first = 1, .last = 0, .cfg = cpu->pmpcfg[i] }, range = none;

    switch (entry_mode(cpu, i)) {
    case A_TOR:
        range.first = i ? cpu->pmpaddr[i - 1] << 2 : 0;
        range.last = (addr << 2) - 1;
        return addr << 2 > range.first ? range : none;
    case A_NA4:
        range.first = addr << 2;
        range.last = range.first + 3;
        return range;
    case A_NAPOT:
        size = 8ull << __builtin_ctzll(~addr);
        range.first = (addr & (addr + 1)) << 2;
        range.last = range.first + size - 1;
        return range;
    default:
        return none;
    }
}

void rv_pmp_update(RvCpu *cpu)
{
    cpu->n_pmp = 0;
    for (unsigned i = 0; i < RV_N_PMP; i++) {
        cpu->pmp[i] = entry_range(cpu, i);
        if (entry_mode(cpu, i) != A_OFF) {
            cpu->n_pmp = (uint8_t)(i + 1);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->pmp_window); i++) {
        cpu->pmp_window[i] = (RvPmpWindow){ .first = 1, .last = 0 };
    }
    cpu->walk_ram.serial = 0;
}

/* ---- Matching ---- */

static unsigned entry_prot(const RvPmpRange *range, bool machine)
{
    if (machine && !(range->cfg & CFG_L)) {
        return PROT_ALL;
    }
    return (range->cfg & CFG_R ? MEM_PROT_R : 0) | (range->cfg & CFG_W ? MEM_PROT_W : 0) |
           (range->cfg & CFG_X ? MEM_PROT_X : 0);
}

void rv_pmp_find(const RvCpu *cpu, uint64_t phys, bool machine, RvPmpWindow *w)
{
    /* No entry: M may do all, the others nothing as there are entries (even if all are off). */
    *w = (RvPmpWindow){ .first = 0,
                        .last = UINT64_MAX,
                        .prot = machine || !rv_cpu_has(cpu, RV_FEATURE_PMP) ? PROT_ALL : 0 };
    for (unsigned i = 0; i < cpu->n_pmp; i++) {
        const RvPmpRange *range = &cpu->pmp[i];

        if (range->first > range->last) {
            continue;
        }
        if (phys < range->first) {
            w->last = MIN(w->last, range->first - 1);
        } else if (phys > range->last) {
            w->first = MAX(w->first, range->last + 1);
        } else {
            w->first = MAX(w->first, range->first);
            w->last = MIN(w->last, range->last);
            w->prot = entry_prot(range, machine);
            return;
        }
    }
}

/* ---- CSRs ---- */

uint64_t rv_pmp_read_cfg(const RvCpu *cpu, unsigned first, unsigned n)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n; i++) {
        value |= (uint64_t)cpu->pmpcfg[first + i] << (8 * i);
    }
    return value;
}

static void changed(RvCpu *cpu)
{
    rv_pmp_update(cpu);
    cpu_tlb_flush_all(&cpu->parent);
}

void rv_pmp_write_cfg(RvCpu *cpu, unsigned first, unsigned n, uint64_t value)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t cfg = value >> (8 * i) & CFG_WRITABLE;

        /* W without R is reserved. */
        if ((cfg & (CFG_R | CFG_W)) == CFG_W) {
            cfg &= (uint8_t)~CFG_W;
        }
        if (!(cpu->pmpcfg[first + i] & CFG_L)) {
            cpu->pmpcfg[first + i] = cfg;
        }
    }
    changed(cpu);
}

static bool addr_locked(const RvCpu *cpu, unsigned i)
{
    if (cpu->pmpcfg[i] & CFG_L) {
        return true;
    }
    return i + 1 < RV_N_PMP && (cpu->pmpcfg[i + 1] & CFG_L) && entry_mode(cpu, i + 1) == A_TOR;
}

void rv_pmp_write_addr(RvCpu *cpu, unsigned index, uint64_t value)
{
    if (!addr_locked(cpu, index)) {
        cpu->pmpaddr[index] = rv_cpu_is_64(cpu) ? value & ((1ull << 54) - 1) : (uint32_t)value;
        changed(cpu);
    }
}
