/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helpers of translated code for what is neither a trap nor a CSR: address-translation fences, cache-block operations,
 * waiting on a reservation, and FS becoming Dirty (manual: "Supervisor Memory-Management Fence", Svinval, CMO, Zawrs).
 */
#include <string.h>
#include "softmmu/memory.h"
#include "target/riscv/csr.h"

/* ---- Fences ---- */

static void flush_vma(RvCpu *cpu, uint64_t va, uint64_t asid, uint32_t named)
{
    TlbFlush what = {
        .by_va = named & 1,
        .by_asid = named & 2,
        .va = rv_cpu_xlen_mask(cpu, va),
        .asid = asid & (rv_cpu_is_64(cpu) ? 0xffff : 0x1ff),
    };

    if (cpu->priv == RV_PRIV_U || !rv_cpu_has(cpu, RV_EXT_S) ||
        (cpu->priv == RV_PRIV_S && (cpu->mstatus & RV_MSTATUS_TVM))) {
        rv_raise_illegal(cpu);
    }
    cpu_tlb_flush(&cpu->parent, &what);
}

void rv_helper_sfence_vma(Cpu *cpu, uint64_t va, uint64_t asid, uint32_t named)
{
    flush_vma(rv_cpu(cpu), va, asid, named);
}

/* Invalidates at once, so the two ordering fences around it have nothing left to do. */
void rv_helper_sinval_vma(Cpu *cpu, uint64_t va, uint64_t asid, uint32_t named)
{
    flush_vma(rv_cpu(cpu), va, asid, named);
}

void rv_helper_sfence_inval(Cpu *cpu, uint32_t constant)
{
    if (rv_cpu(cpu)->priv == RV_PRIV_U) {
        rv_raise_illegal(rv_cpu(cpu));
    }
}

/* Stores drop the code they hit when they are done: fetches are coherent, the end of the block is all there is to do. */
void rv_helper_fence_i(Cpu *cpu, uint32_t constant)
{
}

/* ---- Floating point ---- */

void rv_helper_fp_enable(Cpu *cpu, uint32_t constant)
{
    RvCpu *rv = rv_cpu(cpu);

    if (!rv_cpu_fs(rv)) {
        rv_raise_illegal(rv);
    }
    rv->mstatus |= RV_MSTATUS_FS;
    rv->fp_ready = 1;
}

/* ---- Waiting ---- */

void rv_helper_pause(Cpu *cpu, uint32_t constant)
{
    /* The hart that it waits for may need this host CPU. */
    if (cpus->len > 1) {
        g_thread_yield();
    }
}

void rv_helper_wrs(Cpu *cpu, uint32_t constant)
{
    /* A store by another hart is not noticed: let it run, and let the program look again. */
    if (rv_cpu(cpu)->res_valid) {
        g_thread_yield();
    }
}

/* ---- Cache blocks ---- */

/* Raises illegal instruction unless @field of menvcfg (below M) and of senvcfg (in U) is on. */
static void check_envcfg(RvCpu *cpu, uint64_t field)
{
    if ((cpu->priv < RV_PRIV_M && !(cpu->menvcfg & field)) ||
        (cpu->priv == RV_PRIV_U && rv_cpu_has(cpu, RV_EXT_S) && !(cpu->senvcfg & field))) {
        rv_raise_illegal(cpu);
    }
}

/* Management: allowed where a load or a store is; else a store's fault. There are no caches, so that is all. */
static void manage_block(Cpu *cpu, uint64_t va)
{
    uint64_t block = va & ~(uint64_t)(RV_CBO_BYTES - 1);
    TlbFill fill = { 0 };

    if (!rv_mmu_walk(cpu, block, MEM_LOAD, false, &fill) &&
        !rv_mmu_walk(cpu, block, MEM_STORE, false, &fill)) {
        cpu_restore_state(cpu);
        rv_raise(rv_cpu(cpu), fill.fault, va);
    }
    if (!memory_find(memory_view(), (fill.phys & ~4095ull) | (block & 4095))) {
        cpu_restore_state(cpu);
        rv_raise(rv_cpu(cpu), RV_EXC_STORE_ACCESS, va);
    }
}

void rv_helper_cbo_inval(Cpu *cpu, uint64_t va, uint32_t constant)
{
    check_envcfg(rv_cpu(cpu), RV_ENVCFG_CBIE);
    manage_block(cpu, va);
}

void rv_helper_cbo_clean(Cpu *cpu, uint64_t va, uint32_t constant)
{
    check_envcfg(rv_cpu(cpu), RV_ENVCFG_CBCFE);
    manage_block(cpu, va);
}

void rv_helper_cbo_flush(Cpu *cpu, uint64_t va, uint32_t constant)
{
    check_envcfg(rv_cpu(cpu), RV_ENVCFG_CBCFE);
    manage_block(cpu, va);
}

void rv_helper_cbo_zero(Cpu *cpu, uint64_t va, uint32_t constant)
{
    check_envcfg(rv_cpu(cpu), RV_ENVCFG_CBZE);
    va = rv_cpu_xlen_mask(rv_cpu(cpu), va) & ~(uint64_t)(RV_CBO_BYTES - 1);
    memset(cpu_atomic_ptr(cpu, va, RV_CBO_BYTES, MEM_STORE), 0, RV_CBO_BYTES);
}
