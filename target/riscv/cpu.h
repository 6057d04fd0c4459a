/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A RISC-V hart: its registers, control and status registers, configuration, and what the rest of the target and the machines
 * call.
 *
 * One struct serves RV64 and RV32. Under RV32 only the low 32 bits of an x register, the pc and an XLEN-wide CSR count: whoever
 * reads them in C masks (rv_cpu_xlen_mask()). Narrower f values are NaN-boxed in 64 bits; FLEN is 64 with D, else values are boxed all the same.
 *
 * What a translation may depend on is the mode word (translate.h), kept ready in RvCpu.mode by rv_cpu_update_mode(). The same word is
 * part of the context's key, so a jump cache never holds a block of another mode. Code that changes privilege, mstatus, satp
 * or frm calls rv_cpu_update_mode() and must then leave the block: generated code keeps the context in a register.
 *
 * mstatus.FS is no part of the mode, which would take contexts and translations of its own: a block with floating point asks
 * `fp_ready` once, and rv_helper_fp_enable() refuses or makes FS Dirty.
 */
#ifndef TARGET_RISCV_CPU_H
#define TARGET_RISCV_CPU_H

#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "target/riscv/helpers.h"
#include "target/riscv/isa-ext.h"
#include "target/riscv/translate.h"

/* Features that are no part of the translation; they share RvConfig.ext with RvExt. */
enum {
    RV_FEATURE_SV39 = RV_N_EXTS,
    RV_FEATURE_SV48,
    RV_FEATURE_SV57,
    RV_FEATURE_PMP,
    RV_FEATURE_SMAIA, /* the machine gave the hart an IMSIC: rv_cpu_set_imsic() */
    RV_FEATURE_SSAIA,
    RV_N_FEATURES
};

/* What a "-cpu" option made: fixed for the life of the hart. */
typedef struct RvConfig {
    const char *model; /* "rv64" */
    uint64_t ext;      /* bits RvExt and RV_FEATURE_* */
    uint64_t given;    /* those of them that the user named */
    uint8_t xlen;      /* 32 or 64 */
    uint8_t ext_set;   /* rv_ext_set_register() of the extensions, for the mode word */
} RvConfig;

/* Bits of RvCpu.mode and ContextKey.mode above the block's (RV_MODE_BLOCK is what BlockKey.mode has). */
enum {
    RV_MODE_BLOCK = 0xffff,
    RV_MODE_PRIV_SHIFT = 16,
    RV_MODE_DATA_SHIFT = 18, /* privilege of fetches; of loads and stores */
    RV_MODE_SUM = 1 << 20,
    RV_MODE_MXR = 1 << 21,
};

enum { RV_PRIV_U = 0, RV_PRIV_S = 1, RV_PRIV_M = 3 };

/* Inputs of rv_cpu_irq() and bits of mip and mie. */
enum {
    RV_IRQ_SSI = 1,
    RV_IRQ_MSI = 3,
    RV_IRQ_STI = 5,
    RV_IRQ_MTI = 7,
    RV_IRQ_SEI = 9,
    RV_IRQ_MEI = 11,
    RV_N_IRQS = 16
};

/* Exception codes (mcause). */
enum {
    RV_EXC_FETCH_ALIGN = 0,
    RV_EXC_FETCH_ACCESS = 1,
    RV_EXC_ILLEGAL = 2,
    RV_EXC_BREAKPOINT = 3,
    RV_EXC_LOAD_ALIGN = 4,
    RV_EXC_LOAD_ACCESS = 5,
    RV_EXC_STORE_ALIGN = 6,
    RV_EXC_STORE_ACCESS = 7,
    RV_EXC_ECALL_U = 8,
    RV_EXC_ECALL_S = 9,
    RV_EXC_ECALL_M = 11,
    RV_EXC_FETCH_PAGE = 12,
    RV_EXC_LOAD_PAGE = 13,
    RV_EXC_STORE_PAGE = 15,
};

enum { RV_N_PMP = 16, RV_CBO_BYTES = 64 };

/* One PMP entry as the matcher reads it. */
typedef struct RvPmpRange {
    uint64_t first, last; /* inclusive; first > last: matches nothing */
    uint8_t cfg;          /* pmpcfg byte */
} RvPmpRange;

/* A span of physical addresses with one and the same answer of the PMP; see pmp.c. */
typedef struct RvPmpWindow {
    uint64_t first, last; /* inclusive; first > last: empty */
    unsigned prot;        /* MEM_PROT_* */
} RvPmpWindow;

/* Where page tables are: a span of RAM or ROM that the PMP lets S read; see mmu.c. */
typedef struct RvWalkRam {
    uint64_t serial;      /* of the FlatView it was taken from; 0: nothing kept */
    uint64_t start, span; /* guest-physical; last offset from start at which an entry may begin */
    uint8_t *host;        /* of start */
    bool writable;
} RvWalkRam;

/* The interrupt file of an IMSIC for one privilege level as the hart's CSRs reach it (AIA 3.8 to 3.9). The vCPU's thread calls the functions,
 * without the machine lock. */
typedef struct RvImsic {
    void *file;
    /* The top interrupt as the CSR says it, 0: none. @claim: its pending bit is cleared in the same step. */
    uint64_t (*topei)(void *file, bool claim);
    /* Register @n (0x70-0xff; of 64-bit arrays the even ones only) with @xlen bits: sets the bits @mask to those of @value, returns what it was. */
    uint64_t (*access)(void *file, unsigned n, unsigned xlen, uint64_t value, uint64_t mask);
} RvImsic;

typedef struct RvCpu {
    Cpu parent;
    uint64_t x[32]; /* x[0] stays 0 */
    uint64_t f[32];
    uint32_t frm;      /* 0-7 */
    uint32_t fp_ready; /* 1: mstatus.FS is Dirty; kept by rv_cpu_update_mode() */
    uint64_t res_addr; /* LR's reservation: virtual address, value loaded */
    uint64_t res_value;
    uint32_t res_valid; /* 0: none; any trap, xRET or SC clears it */

    uint32_t insn;      /* bits of the insn whose state was restored last; 0: not known */
    uint32_t mode;      /* block mode and translation bits, kept by rv_cpu_update_mode() */
    uint32_t mode_base; /* the bits of it that never change */
    uint64_t root;      /* satp if loads and stores are translated, else 0: ContextKey.root */
    uint8_t priv;       /* RV_PRIV_* */
    RvConfig config;

    /* Trap handling and status. mstatus is the 64-bit layout also for RV32, SD computed on reading. */
    uint64_t mstatus, medeleg, mideleg, mie, mtvec, mscratch, mepc, mcause, mtval;
    uint64_t stvec, sscratch, sepc, scause, stval, satp;
    uint64_t mcounteren, scounteren, mcountinhibit, menvcfg, senvcfg;

    /* mip: what software wrote (SSIP, STIP, SEIP) and what the lines and the supervisor timer drive. Atomic, any thread. */
    uint32_t mip_soft, mip_lines;

    /* Counters: value = running count + offset, or the offset alone while inhibited. */
    uint64_t mcycle_offset, minstret_offset;

    uint64_t miselect, siselect;
    RvImsic m_imsic, s_imsic; /* with RV_FEATURE_SMAIA, SSAIA */

    uint64_t stimecmp;
    Timer stimer;       /* raises STIP in mip_lines when time reaches stimecmp */
    GMutex stimer_lock; /* orders its firing against writes of stimecmp */
    uint64_t (*time_now)(void *);
    void *time_opaque;
    uint64_t time_freq; /* Hz */

    uint8_t pmpcfg[RV_N_PMP];
    uint64_t pmpaddr[RV_N_PMP];
    RvPmpRange pmp[RV_N_PMP];  /* derived by rv_pmp_update() */
    uint8_t n_pmp;             /* ranges up to the last one that is on */
    RvPmpWindow pmp_window[2]; /* of the last questions: [0] S and U, [1] M */

    RvWalkRam walk_ram;
    uint64_t reset_pc; /* where reset starts; the machine may change it (0x1000) */
    Irq irq[RV_N_IRQS];
    char *gdb_xml; /* made at the first request */
} RvCpu;

extern const TargetOps rv64_target, rv32_target;

GType rv_cpu_get_type(void);
#define RV_CPU_TYPE (rv_cpu_get_type())

static inline RvCpu *rv_cpu(Cpu *cpu)
{
    return (RvCpu *)cpu;
}

/* Whether the hart has an RvExt or RV_FEATURE_*. */
static inline bool rv_cpu_has(const RvCpu *cpu, unsigned ext)
{
    return cpu->config.ext >> ext & 1;
}

static inline bool rv_cpu_is_64(const RvCpu *cpu)
{
    return cpu->config.xlen == 64;
}

/* @value as the hart's XLEN shows it: zero-extended from 32 bits under RV32. */
static inline uint64_t rv_cpu_xlen_mask(const RvCpu *cpu, uint64_t value)
{
    return cpu->config.xlen == 64 ? value : (uint32_t)value;
}

/* ---- For machines ---- */

/* Input line @n (RV_IRQ_MSI, MTI, MEI, SEI, SSI); may be set from any thread without a lock. A rising SSI line sets mip.SSIP, which
 * software clears; the others are levels. Lives as long as the CPU. */
Irq *rv_cpu_irq(RvCpu *cpu, unsigned n);
/* Where the time CSR and the supervisor timer read their ticks: @now(@opaque), @freq a second. Before the CPU runs; without it
 * the time CSR counts CLOCK_VIRTUAL at 10 MHz. */
void rv_cpu_set_time_source(RvCpu *cpu, uint64_t (*now)(void *), void *opaque, uint64_t freq);
/* The hart has an IMSIC with files @m and @s of the two levels, and with it the extensions Smaia and Ssaia. Before the CPU runs. */
void rv_cpu_set_imsic(RvCpu *cpu, const RvImsic *m, const RvImsic *s);
/* The single-string form of the ISA, as the device tree's riscv,isa: "rv64imafdc_zicbom_...". Free with g_free(). */
char *rv_cpu_isa_string(const RvCpu *cpu);
/* The names for riscv,isa-extensions: NULL-terminated, free with g_strfreev(). */
char **rv_cpu_isa_extensions(const RvCpu *cpu);
/* riscv,isa-base: "rv64i" or "rv32i"; static. */
const char *rv_cpu_isa_base(const RvCpu *cpu);
/* mmu-type: "riscv,sv57" ..., or "riscv,none"; static. */
const char *rv_cpu_mmu_type(const RvCpu *cpu);
/* riscv,cbom-block-size and riscv,cboz-block-size in bytes; 0: the hart has no such operations. */
unsigned rv_cpu_cbom_block_size(const RvCpu *cpu);
unsigned rv_cpu_cboz_block_size(const RvCpu *cpu);

/* ---- For the rest of target/riscv ---- */

/* The extension table (ext.c): parses "MODEL,prop=value,..." for a guest of @xlen bits into a new RvCpu (ext.c). */
RvCpu *rv_cpu_new(const char *option, unsigned xlen, GError **error);
/* Makes the table's properties those of the class: "zba" and so on, booleans. */
void rv_ext_install_properties(GObjectClass *klass);
/* Text of "-cpu help". */
void rv_ext_list(unsigned xlen, GString *out);

/* Computes the mode word and makes its context current, after a change of priv, mstatus, satp, FS or frm. The caller leaves the block. */
void rv_cpu_update_mode(RvCpu *cpu);
/* mip as software reads it. */
uint64_t rv_cpu_mip(const RvCpu *cpu);
/* The interrupt of the highest default priority in @set, bits as in mip; 0: none. */
unsigned rv_trap_first_irq(uint64_t set);
/* Sets exit_request if an interrupt is pending and enabled now (mie, mstatus, mip or privilege changed). */
void rv_cpu_check_interrupts(RvCpu *cpu);
/* Ticks of the time CSR now. */
uint64_t rv_cpu_time(const RvCpu *cpu);
/* Prepares the timer of a new CPU and undoes it. */
void rv_timer_init(RvCpu *cpu);
void rv_timer_finish(RvCpu *cpu);
/* Arms the supervisor timer and sets STIP for stimecmp, time and menvcfg.STCE as they are now (timer.c). */
void rv_timer_update(RvCpu *cpu);

/* Enters the handler of exception or @interrupt @cause: Cpu.pc is the trapped insn and becomes the handler. Returns. */
void rv_trap_enter(RvCpu *cpu, unsigned cause, bool interrupt, uint64_t tval);
/* Prepares the input lines. */
void rv_trap_init_lines(RvCpu *cpu);
/* Raises exception @cause (RV_EXC_*) with @tval at the insn in Cpu.pc, which is exact already. */
G_NORETURN void rv_raise(RvCpu *cpu, unsigned cause, uint64_t tval);
/* Illegal instruction at the insn whose helper is running: restores the state first; tval is the insn if it is known. */
G_NORETURN void rv_raise_illegal(RvCpu *cpu);
/* TargetOps.interrupt, has_work and raise_memory_fault (trap.c). */
bool rv_trap_interrupt(Cpu *cpu);
bool rv_trap_has_work(Cpu *cpu);
G_NORETURN void rv_trap_memory_fault(Cpu *cpu, uint64_t va, MemAccess access, MemFault why,
                                     uint32_t fault);

/* TargetOps.walk (mmu.c); TlbFill.fault is the exception code. */
bool rv_mmu_walk(Cpu *cpu, uint64_t va, MemAccess access, bool debug, TlbFill *fill);

/* Recomputes the matcher's ranges from pmpcfg and pmpaddr. The caller flushes the TLB. */
void rv_pmp_update(RvCpu *cpu);
/* Fills @window with the span around @phys in which @machine (M-mode, else S and U) has the same permissions. */
void rv_pmp_find(const RvCpu *cpu, uint64_t phys, bool machine, RvPmpWindow *window);
/* MEM_PROT_* that @priv has at @phys, and in *@window the span around it for which that holds. The window belongs to the CPU. */
static inline unsigned rv_pmp_lookup(RvCpu *cpu, uint64_t phys, unsigned priv,
                                     const RvPmpWindow **window)
{
    RvPmpWindow *w = &cpu->pmp_window[priv == RV_PRIV_M];

    if (G_UNLIKELY(phys < w->first || phys > w->last)) {
        rv_pmp_find(cpu, phys, priv == RV_PRIV_M, w);
    }
    *window = w;
    return w->prot;
}
/* The pmpaddr and pmpcfg CSRs: writes that a lock forbids are ignored. @index of a pmpcfg CSR: its first entry. */
uint64_t rv_pmp_read_cfg(const RvCpu *cpu, unsigned first, unsigned n);
void rv_pmp_write_cfg(RvCpu *cpu, unsigned first, unsigned n, uint64_t value);
void rv_pmp_write_addr(RvCpu *cpu, unsigned index, uint64_t value);

/* TargetOps.dump and gdb_* (dump.c, gdb.c). */
void rv_dump(Cpu *cpu, GString *out);
const char *rv_gdb_xml(Cpu *cpu, const char *annex);
unsigned rv_gdb_read(Cpu *cpu, unsigned reg, uint8_t *buf);
unsigned rv_gdb_write(Cpu *cpu, unsigned reg, const uint8_t *buf);
/* TargetOps.disassemble of the two widths (disas.c): knows every extension of the tables, on or off. */
unsigned rv64_disassemble(const uint8_t *code, size_t len, uint64_t pc, GString *out);
unsigned rv32_disassemble(const uint8_t *code, size_t len, uint64_t pc, GString *out);
extern const char *const rv_x_names[32], *const rv_f_names[32];

#endif
