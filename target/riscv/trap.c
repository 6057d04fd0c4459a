/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traps: exceptions, interrupts, their delegation, and the way back (manual: "Machine Cause", "Trap delegation", "mip and mie",
 * "Trap-Return Instructions"; supervisor-level chapter for the s registers).
 *
 * Entering and leaving a handler are hot paths of every guest kernel: they change a few fields and the context, no more. ecall
 * does not unwind; other exceptions come from helpers and memory accesses and end in cpu_loop_exit().
 *
 * Interrupt lines are set by devices in any thread: one atomic operation on mip_lines (SSI: mip_soft), then cpu_kick().
 */
#include "target/riscv/csr.h"
#include <inttypes.h>
#include "util/log.h"

static const char *const exception_names[16] = {
    "fetch misaligned",
    "fetch access fault",
    "illegal instruction",
    "breakpoint",
    "load misaligned",
    "load access fault",
    "store misaligned",
    "store access fault",
    "ecall from U",
    "ecall from S",
    NULL,
    "ecall from M",
    "fetch page fault",
    "load page fault",
    NULL,
    "store page fault",
};

static void log_trap(const RvCpu *cpu, unsigned cause, bool interrupt, uint64_t tval)
{
    const char *name = interrupt                              ? "interrupt"
                       : cause < 16 && exception_names[cause] ? exception_names[cause]
                                                              : "exception";

    log_printf(LOG_INT, "cpu %u: %s (cause %u) at %#" PRIx64 " tval %#" PRIx64 " from %c\n",
               cpu->parent.index, name, cause, cpu->parent.pc, tval, "US?M"[cpu->priv]);
}

/* ---- Entering ---- */

static uint64_t handler(uint64_t tvec, unsigned cause, bool interrupt)
{
    return (tvec & ~3ull) + (interrupt && (tvec & 1) ? 4 * cause : 0);
}

static void enter_s(RvCpu *cpu, uint64_t cause, uint64_t tval)
{
    uint64_t ms = cpu->mstatus & ~(uint64_t)(RV_MSTATUS_SPIE | RV_MSTATUS_SPP | RV_MSTATUS_SIE);

    ms |= cpu->mstatus & RV_MSTATUS_SIE ? RV_MSTATUS_SPIE : 0;
    ms |= cpu->priv == RV_PRIV_S ? RV_MSTATUS_SPP : 0;
    cpu->mstatus = ms;
    cpu->scause = cause;
    cpu->sepc = cpu->parent.pc;
    cpu->stval = tval;
    cpu->priv = RV_PRIV_S;
}

static void enter_m(RvCpu *cpu, uint64_t cause, uint64_t tval)
{
    uint64_t ms = cpu->mstatus & ~(uint64_t)(RV_MSTATUS_MPIE | RV_MSTATUS_MPP | RV_MSTATUS_MIE);

    ms |= cpu->mstatus & RV_MSTATUS_MIE ? RV_MSTATUS_MPIE : 0;
    ms |= (uint64_t)cpu->priv << RV_MSTATUS_MPP_SHIFT;
    cpu->mstatus = ms;
    cpu->mcause = cause;
    cpu->mepc = cpu->parent.pc;
    cpu->mtval = tval;
    cpu->priv = RV_PRIV_M;
}

void rv_trap_enter(RvCpu *cpu, unsigned cause, bool interrupt, uint64_t tval)
{
    uint64_t deleg = interrupt ? cpu->mideleg : cpu->medeleg;
    uint64_t code = cause | (uint64_t)interrupt << (cpu->config.xlen - 1);
    uint64_t tvec;

    if (log_enabled(LOG_INT)) {
        log_trap(cpu, cause, interrupt, tval);
    }
    cpu->res_valid = 0;
    if (cpu->priv <= RV_PRIV_S && (deleg >> cause & 1)) {
        enter_s(cpu, code, tval);
        tvec = cpu->stvec;
    } else {
        enter_m(cpu, code, tval);
        tvec = cpu->mtvec;
    }
    cpu->parent.pc = rv_cpu_xlen_mask(cpu, handler(tvec, cause, interrupt));
    rv_cpu_update_mode(cpu);
}

void rv_raise(RvCpu *cpu, unsigned cause, uint64_t tval)
{
    rv_trap_enter(cpu, cause, false, rv_cpu_xlen_mask(cpu, tval));
    cpu_loop_exit(&cpu->parent);
}

void rv_raise_illegal(RvCpu *cpu)
{
    cpu_restore_state(&cpu->parent);
    rv_raise(cpu, RV_EXC_ILLEGAL, cpu->insn);
}

void rv_trap_memory_fault(Cpu *cpu, uint64_t va, MemAccess access, MemFault why, uint32_t fault)
{
    unsigned cause = fault;

    if (why == MEM_FAULT_BUS) {
        cause = access == MEM_FETCH   ? RV_EXC_FETCH_ACCESS
                : access == MEM_STORE ? RV_EXC_STORE_ACCESS
                                      : RV_EXC_LOAD_ACCESS;
    } else if (why == MEM_FAULT_ALIGN) {
        cause = access == MEM_STORE ? RV_EXC_STORE_ALIGN : RV_EXC_LOAD_ALIGN;
    }
    rv_raise(rv_cpu(cpu), cause, va);
}

/* ---- Interrupts ---- */

uint64_t rv_cpu_mip(const RvCpu *cpu)
{
    uint32_t soft = __atomic_load_n(&cpu->mip_soft, __ATOMIC_SEQ_CST);

    if (cpu->menvcfg & RV_MENVCFG_STCE) {
        soft &= ~(1u << RV_IRQ_STI);
    }
    return soft | __atomic_load_n(&cpu->mip_lines, __ATOMIC_SEQ_CST);
}

/* The order is the same for those to M and to S. */
unsigned rv_trap_first_irq(uint64_t set)
{
    static const uint8_t order[] = { RV_IRQ_MEI, RV_IRQ_MSI, RV_IRQ_MTI,
                                     RV_IRQ_SEI, RV_IRQ_SSI, RV_IRQ_STI };

    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        if (set >> order[i] & 1) {
            return order[i];
        }
    }
    return 0;
}

/* The interrupt to take now; 0: none. */
static unsigned pending_irq(const RvCpu *cpu)
{
    uint64_t pending = rv_cpu_mip(cpu) & cpu->mie, to_m = pending & ~cpu->mideleg;

    if (!pending) {
        return 0;
    }
    if (to_m && (cpu->priv < RV_PRIV_M || (cpu->mstatus & RV_MSTATUS_MIE))) {
        return rv_trap_first_irq(to_m);
    }
    if (cpu->priv < RV_PRIV_S || (cpu->priv == RV_PRIV_S && (cpu->mstatus & RV_MSTATUS_SIE))) {
        return rv_trap_first_irq(pending & cpu->mideleg);
    }
    return 0;
}

void rv_cpu_check_interrupts(RvCpu *cpu)
{
    if (pending_irq(cpu)) {
        cpu_kick(&cpu->parent);
    }
}

bool rv_trap_interrupt(Cpu *cpu)
{
    unsigned irq = pending_irq(rv_cpu(cpu));

    if (!irq) {
        return false;
    }
    rv_trap_enter(rv_cpu(cpu), irq, true, 0);
    return true;
}

bool rv_trap_has_work(Cpu *cpu)
{
    return (rv_cpu_mip(rv_cpu(cpu)) & rv_cpu(cpu)->mie) != 0;
}

static void set_line(void *opaque, unsigned n, bool level)
{
    RvCpu *cpu = opaque;
    uint32_t bit = 1u << n;

    if (!level) {
        if (n != RV_IRQ_SSI) {
            __atomic_fetch_and(&cpu->mip_lines, ~bit, __ATOMIC_SEQ_CST);
        }
        return;
    }
    __atomic_fetch_or(n == RV_IRQ_SSI ? &cpu->mip_soft : &cpu->mip_lines, bit, __ATOMIC_SEQ_CST);
    cpu_kick(&cpu->parent);
}

void rv_trap_init_lines(RvCpu *cpu)
{
    for (unsigned n = 0; n < RV_N_IRQS; n++) {
        irq_init(&cpu->irq[n], set_line, cpu, n);
    }
}

Irq *rv_cpu_irq(RvCpu *cpu, unsigned n)
{
    g_assert(n == RV_IRQ_SSI || n == RV_IRQ_MSI || n == RV_IRQ_MTI || n == RV_IRQ_SEI ||
             n == RV_IRQ_MEI);
    return &cpu->irq[n];
}

/* ---- Helpers ---- */

void rv_helper_raise(Cpu *cpu, uint64_t tval, uint32_t cause)
{
    cpu_restore_state(cpu);
    rv_raise(rv_cpu(cpu), cause, tval);
}

void rv_helper_ecall(Cpu *cpu, uint64_t pc, uint32_t constant)
{
    static const uint8_t causes[4] = { RV_EXC_ECALL_U, RV_EXC_ECALL_S, 0, RV_EXC_ECALL_M };

    cpu->pc = rv_cpu_xlen_mask(rv_cpu(cpu), pc);
    rv_trap_enter(rv_cpu(cpu), causes[rv_cpu(cpu)->priv], false, 0);
}

void rv_helper_ebreak(Cpu *cpu, uint64_t pc, uint32_t constant)
{
    cpu_restore_state(cpu);
    rv_raise(rv_cpu(cpu), RV_EXC_BREAKPOINT, pc);
}

/* The common end of the returns: privilege @to, pc @epc. */
static void return_to(RvCpu *cpu, unsigned to, uint64_t epc)
{
    if (to != RV_PRIV_M) {
        cpu->mstatus &= ~(uint64_t)RV_MSTATUS_MPRV;
    }
    cpu->priv = (uint8_t)to;
    cpu->res_valid = 0;
    cpu->parent.pc = rv_cpu_xlen_mask(cpu, epc);
    rv_cpu_update_mode(cpu);
    rv_cpu_check_interrupts(cpu);
}

void rv_helper_mret(Cpu *cpu, uint32_t constant)
{
    RvCpu *rv = rv_cpu(cpu);
    uint64_t ms = rv->mstatus;
    unsigned to = ms >> RV_MSTATUS_MPP_SHIFT & 3;

    if (rv->priv != RV_PRIV_M) {
        rv_raise_illegal(rv);
    }
    ms &= ~(uint64_t)(RV_MSTATUS_MIE | RV_MSTATUS_MPP);
    ms |= ms & RV_MSTATUS_MPIE ? RV_MSTATUS_MIE : 0;
    ms |= RV_MSTATUS_MPIE | (rv_cpu_has(rv, RV_EXT_U) ? 0 : RV_MSTATUS_MPP);
    rv->mstatus = ms;
    return_to(rv, to, rv->mepc);
}

void rv_helper_sret(Cpu *cpu, uint32_t constant)
{
    RvCpu *rv = rv_cpu(cpu);
    uint64_t ms = rv->mstatus;
    unsigned to = ms & RV_MSTATUS_SPP ? RV_PRIV_S : RV_PRIV_U;

    if (rv->priv < RV_PRIV_S || !rv_cpu_has(rv, RV_EXT_S) ||
        (rv->priv == RV_PRIV_S && (ms & RV_MSTATUS_TSR))) {
        rv_raise_illegal(rv);
    }
    ms &= ~(uint64_t)(RV_MSTATUS_SIE | RV_MSTATUS_SPP);
    ms |= ms & RV_MSTATUS_SPIE ? RV_MSTATUS_SIE : 0;
    rv->mstatus = ms | RV_MSTATUS_SPIE;
    return_to(rv, to, rv->sepc);
}

void rv_helper_wfi(Cpu *cpu, uint64_t next_pc, uint32_t constant)
{
    RvCpu *rv = rv_cpu(cpu);

    /* U-mode may not wait where there is a supervisor; TW: nobody but M may. */
    if ((rv->priv < RV_PRIV_M && (rv->mstatus & RV_MSTATUS_TW)) ||
        (rv->priv == RV_PRIV_U && rv_cpu_has(rv, RV_EXT_S))) {
        rv_raise_illegal(rv);
    }
    cpu->pc = rv_cpu_xlen_mask(rv, next_pc);
    if (!rv_trap_has_work(cpu)) {
        cpu_halt(cpu);
    }
}
