/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CSRs of a hart as one table: number, name, when it exists and may be accessed, how it is read and written; and the
 * csr* helpers of translated code that go through it (manual: Zicsr; privileged architecture, "CSR listing", machine-level and
 * supervisor-level CSRs).
 *
 * A register without read/write functions is a uint64_t of RvCpu of which `mask` is writable. A write function gets the
 * whole new value and keeps to what is legal (WARL). Registers of 64 bits on RV32 have a second entry for the upper half (CSR_HIGH): reads
 * and writes of halves are done here, the functions always see 64 bits.
 *
 * Writes that change the mode or make an interrupt deliverable do what follows from it themselves; the translator ends the block after them.
 */
#include "target/riscv/csr.h"
#include <string.h>

enum {
    CSR_64 = 1,   /* 64 bits also on RV32, where this number is the lower half */
    CSR_HIGH = 2, /* RV32 only: the upper half of a 64-bit register */
};

typedef struct Csr {
    uint16_t number, count; /* count consecutive ones; 0: one */
    const char *name;
    uint8_t first; /* count: number in the name of the first */
    uint8_t flags;
    bool (*check)(const RvCpu *cpu,
                  unsigned csr); /* beyond the privilege in the number; NULL: always there */
    uint64_t (*read)(RvCpu *cpu, unsigned index);
    void (*write)(RvCpu *cpu, unsigned index, uint64_t value);
    uint64_t (*modify)(RvCpu *cpu,
                       unsigned index); /* what csrrs and csrrc modify, if not what they read */
    /* Instead of all of them, for what others may change at the same time: reads and, if @write, sets the bits @mask to those of @value, in
     * one step. */
    uint64_t (*swap)(RvCpu *cpu, bool write, uint64_t value, uint64_t mask);
    uint32_t offset;
    uint64_t mask;
} Csr;

/* ---- Checks ---- */

static bool has_s(const RvCpu *cpu, unsigned csr)
{
    return rv_cpu_has(cpu, RV_EXT_S);
}

static bool has_u(const RvCpu *cpu, unsigned csr)
{
    return rv_cpu_has(cpu, RV_EXT_U);
}

static bool has_pmp(const RvCpu *cpu, unsigned csr)
{
    return rv_cpu_has(cpu, RV_FEATURE_PMP) &&
           !(csr < RV_CSR_PMPADDR0 && rv_cpu_is_64(cpu) && (csr & 1));
}

static bool check_fp(const RvCpu *cpu, unsigned csr)
{
    return rv_cpu_has(cpu, RV_EXT_F) && rv_cpu_fs(cpu);
}

static bool check_satp(const RvCpu *cpu, unsigned csr)
{
    return rv_cpu_has(cpu, RV_EXT_S) &&
           !(cpu->priv == RV_PRIV_S && (cpu->mstatus & RV_MSTATUS_TVM));
}

/* Counter @n (bit of mcounteren) is enabled for the current privilege. */
static bool counter_enabled(const RvCpu *cpu, unsigned n)
{
    if (cpu->priv == RV_PRIV_M) {
        return true;
    }
    if (!(cpu->mcounteren >> n & 1)) {
        return false;
    }
    return cpu->priv == RV_PRIV_S || !rv_cpu_has(cpu, RV_EXT_S) || (cpu->scounteren >> n & 1);
}

static bool check_counter(const RvCpu *cpu, unsigned csr)
{
    unsigned n = csr & 31;

    return rv_cpu_has(cpu, n < 3 ? RV_EXT_ZICNTR : RV_EXT_ZIHPM) && counter_enabled(cpu, n);
}

static bool check_stimecmp(const RvCpu *cpu, unsigned csr)
{
    if (!rv_cpu_has(cpu, RV_EXT_SSTC)) {
        return false;
    }
    return cpu->priv == RV_PRIV_M || ((cpu->menvcfg & RV_MENVCFG_STCE) && counter_enabled(cpu, 1));
}

/* ---- Floating point ---- */

static void set_fs_dirty(RvCpu *cpu)
{
    cpu->mstatus |= RV_MSTATUS_FS;
    cpu->fp_ready = 1;
}

void rv_csr_update_rounding(RvCpu *cpu)
{
    tcg_fp_set_rounding(&cpu->parent.fp,
                        cpu->frm <= IR_ROUND_AWAY ? (IrRound)cpu->frm : IR_ROUND_NEAREST);
}

static uint64_t read_fflags(RvCpu *cpu, unsigned index)
{
    return tcg_fp_flags(&cpu->parent.fp);
}

static void write_fflags(RvCpu *cpu, unsigned index, uint64_t value)
{
    tcg_fp_set_flags(&cpu->parent.fp, value & 31);
    set_fs_dirty(cpu);
}

static uint64_t read_frm(RvCpu *cpu, unsigned index)
{
    return cpu->frm;
}

static void write_frm(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu->frm = value & 7;
    rv_csr_update_rounding(cpu);
    set_fs_dirty(cpu);
    rv_cpu_update_mode(cpu);
}

static uint64_t read_fcsr(RvCpu *cpu, unsigned index)
{
    return cpu->frm << 5 | read_fflags(cpu, 0);
}

static void write_fcsr(RvCpu *cpu, unsigned index, uint64_t value)
{
    write_fflags(cpu, 0, value);
    write_frm(cpu, 0, value >> 5);
}

/* ---- Identification ---- */

static uint64_t read_zero(RvCpu *cpu, unsigned index)
{
    return 0;
}

static void write_nothing(RvCpu *cpu, unsigned index, uint64_t value)
{
}

static uint64_t read_mhartid(RvCpu *cpu, unsigned index)
{
    return cpu->parent.index;
}

/* Fixed: extensions cannot be switched at run time (WARL). */
static uint64_t read_misa(RvCpu *cpu, unsigned index)
{
    static const struct {
        uint8_t ext;
        char letter;
    } letters[] = {
        { RV_EXT_A, 'a' }, { RV_EXT_C, 'c' }, { RV_EXT_D, 'd' }, { RV_EXT_F, 'f' },
        { RV_EXT_I, 'i' }, { RV_EXT_M, 'm' }, { RV_EXT_S, 's' }, { RV_EXT_U, 'u' },
    };
    uint64_t misa = rv_cpu_is_64(cpu) ? 2ull << 62 : 1ull << 30;

    for (unsigned i = 0; i < G_N_ELEMENTS(letters); i++) {
        if (rv_cpu_has(cpu, letters[i].ext)) {
            misa |= 1ull << (letters[i].letter - 'a');
        }
    }
    return misa;
}

/* ---- mstatus and sstatus ---- */

static const uint64_t sstatus_writable = RV_MSTATUS_SIE | RV_MSTATUS_SPIE | RV_MSTATUS_SPP |
                                         RV_MSTATUS_FS | RV_MSTATUS_SUM | RV_MSTATUS_MXR;

uint64_t rv_csr_mstatus_reset(const RvCpu *cpu)
{
    uint64_t mstatus = rv_cpu_has(cpu, RV_EXT_U) ? 0 : RV_MSTATUS_MPP;

    if (rv_cpu_is_64(cpu)) {
        mstatus |= rv_cpu_has(cpu, RV_EXT_U) ? RV_MSTATUS_UXL64 : 0;
        mstatus |= rv_cpu_has(cpu, RV_EXT_S) ? RV_MSTATUS_SXL64 : 0;
    }
    return mstatus;
}

static uint64_t mstatus_writable(const RvCpu *cpu)
{
    uint64_t mask = RV_MSTATUS_MIE | RV_MSTATUS_MPIE | RV_MSTATUS_MPP;

    if (rv_cpu_has(cpu, RV_EXT_U)) {
        mask |= RV_MSTATUS_MPRV | RV_MSTATUS_TW;
    }
    if (rv_cpu_has(cpu, RV_EXT_S)) {
        mask |= sstatus_writable | RV_MSTATUS_TVM | RV_MSTATUS_TSR;
    }
    if (!rv_cpu_has(cpu, RV_EXT_F)) {
        return mask & ~(uint64_t)RV_MSTATUS_FS;
    }
    return mask | RV_MSTATUS_FS;
}

static bool legal_mpp(const RvCpu *cpu, unsigned mpp)
{
    switch (mpp) {
    case RV_PRIV_U:
        return rv_cpu_has(cpu, RV_EXT_U);
    case RV_PRIV_S:
        return rv_cpu_has(cpu, RV_EXT_S);
    default:
        return mpp == RV_PRIV_M;
    }
}

/* Stores bits @mask of @value into mstatus; what follows from it. */
static void change_mstatus(RvCpu *cpu, uint64_t value, uint64_t mask)
{
    uint64_t old = cpu->mstatus;

    if (!legal_mpp(cpu, value >> RV_MSTATUS_MPP_SHIFT & 3)) {
        mask &= ~(uint64_t)RV_MSTATUS_MPP;
    }
    cpu->mstatus = (old & ~mask) | (value & mask);
    if ((cpu->mstatus ^ old) &
        (RV_MSTATUS_FS | RV_MSTATUS_MPRV | RV_MSTATUS_MPP | RV_MSTATUS_SUM | RV_MSTATUS_MXR)) {
        rv_cpu_update_mode(cpu);
    }
    if (cpu->mstatus & ~old & (RV_MSTATUS_SIE | RV_MSTATUS_MIE)) {
        rv_cpu_check_interrupts(cpu);
    }
}

/* SD sums FS up, in the top bit of the XLEN-wide register. */
static uint64_t with_sd(const RvCpu *cpu, uint64_t status)
{
    return rv_cpu_fs(cpu) == 3 ? status | 1ull << (cpu->config.xlen - 1) : status;
}

static uint64_t read_mstatus(RvCpu *cpu, unsigned index)
{
    return with_sd(cpu, cpu->mstatus);
}

static void write_mstatus(RvCpu *cpu, unsigned index, uint64_t value)
{
    change_mstatus(cpu, value, mstatus_writable(cpu));
}

static uint64_t read_sstatus(RvCpu *cpu, unsigned index)
{
    return with_sd(cpu, cpu->mstatus & (sstatus_writable | 3ull << 32));
}

static void write_sstatus(RvCpu *cpu, unsigned index, uint64_t value)
{
    change_mstatus(cpu, value, sstatus_writable & mstatus_writable(cpu));
}

/* ---- Trap vectors, return addresses ---- */

/* Modes above Vectored are reserved: the old one stays. */
static uint64_t legal_tvec(uint64_t value, uint64_t old)
{
    return value & 2 ? (value & ~3ull) | (old & 3) : value;
}

static void write_mtvec(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu->mtvec = legal_tvec(value, cpu->mtvec);
}

static void write_stvec(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu->stvec = legal_tvec(value, cpu->stvec);
}

static uint64_t epc_mask(const RvCpu *cpu)
{
    return rv_cpu_has(cpu, RV_EXT_C) ? ~1ull : ~3ull;
}

static void write_mepc(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu->mepc = value & epc_mask(cpu);
}

static void write_sepc(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu->sepc = value & epc_mask(cpu);
}

/* ---- Delegation and interrupts ---- */

enum {
    S_IRQS = 1 << RV_IRQ_SSI | 1 << RV_IRQ_STI | 1 << RV_IRQ_SEI,
    M_IRQS = 1 << RV_IRQ_MSI | 1 << RV_IRQ_MTI | 1 << RV_IRQ_MEI,
    /* All exceptions but the environment call from M. */
    DELEGABLE = 0xb3ff,
};

static void write_mideleg(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu->mideleg = value & S_IRQS;
    rv_cpu_check_interrupts(cpu);
}

static void write_mie(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu->mie = value & (rv_cpu_has(cpu, RV_EXT_S) ? M_IRQS | S_IRQS : M_IRQS);
    rv_cpu_check_interrupts(cpu);
}

static uint64_t read_sie(RvCpu *cpu, unsigned index)
{
    return cpu->mie & cpu->mideleg;
}

static void write_sie(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu->mie = (cpu->mie & ~cpu->mideleg) | (value & cpu->mideleg);
    rv_cpu_check_interrupts(cpu);
}

/* Sets the bits @mask that software owns of mip; a device may set SSIP at the same time. */
static void change_mip(RvCpu *cpu, uint64_t value, uint32_t mask)
{
    __atomic_fetch_and(&cpu->mip_soft, (uint32_t)value | ~mask, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&cpu->mip_soft, (uint32_t)value & mask, __ATOMIC_SEQ_CST);
    rv_cpu_check_interrupts(cpu);
}

static uint64_t read_mip(RvCpu *cpu, unsigned index)
{
    return rv_cpu_mip(cpu);
}

/* SEIP: the controller's signal takes no part in read-modify-write (manual: "mip and mie"). */
static uint64_t modify_mip(RvCpu *cpu, unsigned index)
{
    return __atomic_load_n(&cpu->mip_soft, __ATOMIC_RELAXED);
}

static void write_mip(RvCpu *cpu, unsigned index, uint64_t value)
{
    uint32_t mask = rv_cpu_has(cpu, RV_EXT_S) ? S_IRQS : 0;

    if (cpu->menvcfg & RV_MENVCFG_STCE) {
        mask &= ~(1u << RV_IRQ_STI);
    }
    change_mip(cpu, value, mask);
}

static uint64_t read_sip(RvCpu *cpu, unsigned index)
{
    return rv_cpu_mip(cpu) & cpu->mideleg;
}

static void write_sip(RvCpu *cpu, unsigned index, uint64_t value)
{
    change_mip(cpu, value, cpu->mideleg & 1u << RV_IRQ_SSI);
}

/* The bits that software owns of mip; mvien, whose minimum it is to have no bits, changes nothing about them (AIA 5.3). */
static uint64_t read_mvip(RvCpu *cpu, unsigned index)
{
    uint64_t soft = modify_mip(cpu, 0);

    return cpu->menvcfg & RV_MENVCFG_STCE ? soft & ~(1ull << RV_IRQ_STI) : soft;
}

/* ---- Counters ---- */

enum { COUNT_CY = 1, COUNT_IR = 4 };

/* What the counter counts: a cycle is an insn under -icount, else a ns; insns are counted exactly once a guest wrote minstret. */
static uint64_t count_now(RvCpu *cpu, unsigned bit)
{
    return bit == COUNT_IR ? cpu_retired(&cpu->parent) : cpu_instructions(&cpu->parent);
}

static uint64_t read_counter(RvCpu *cpu, uint64_t offset, unsigned bit)
{
    return cpu->mcountinhibit & bit ? offset : count_now(cpu, bit) + offset;
}

/* The insn that writes is not counted: the next one reads what was written. */
static uint64_t counter_offset(RvCpu *cpu, uint64_t value, unsigned bit)
{
    return cpu->mcountinhibit & bit ? value : value - (count_now(cpu, bit) + 1);
}

static uint64_t read_mcycle(RvCpu *cpu, unsigned index)
{
    return read_counter(cpu, cpu->mcycle_offset, COUNT_CY);
}

static void write_mcycle(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu->mcycle_offset = counter_offset(cpu, value, COUNT_CY);
}

static uint64_t read_minstret(RvCpu *cpu, unsigned index)
{
    return read_counter(cpu, cpu->minstret_offset, COUNT_IR);
}

static void write_minstret(RvCpu *cpu, unsigned index, uint64_t value)
{
    cpu_count_instructions(&cpu->parent);
    cpu->minstret_offset = counter_offset(cpu, value, COUNT_IR);
}

static void write_mcountinhibit(RvCpu *cpu, unsigned index, uint64_t value)
{
    uint64_t cycles = count_now(cpu, COUNT_CY), insns = count_now(cpu, COUNT_IR), changed;

    value &= COUNT_CY | COUNT_IR;
    changed = value ^ cpu->mcountinhibit;
    if (changed & COUNT_CY) {
        cpu->mcycle_offset += value & COUNT_CY ? cycles : -cycles;
    }
    if (changed & COUNT_IR) {
        cpu->minstret_offset += value & COUNT_IR ? insns : -insns;
    }
    cpu->mcountinhibit = value;
}

static uint64_t read_time(RvCpu *cpu, unsigned index)
{
    return rv_cpu_time(cpu);
}

static void write_stimecmp(RvCpu *cpu, unsigned index, uint64_t value)
{
    __atomic_store_n(&cpu->stimecmp, value, __ATOMIC_SEQ_CST);
    rv_timer_update(cpu);
    rv_cpu_check_interrupts(cpu);
}

/* ---- Environment configuration ---- */

static uint64_t envcfg_writable(const RvCpu *cpu, uint64_t value)
{
    uint64_t mask = rv_cpu_has(cpu, RV_EXT_S) ? RV_ENVCFG_FIOM : 0;

    if (rv_cpu_has(cpu, RV_EXT_ZICBOM)) {
        mask |= RV_ENVCFG_CBCFE;
        if ((value & RV_ENVCFG_CBIE) != 2 << RV_ENVCFG_CBIE_SHIFT) {
            mask |= RV_ENVCFG_CBIE;
        }
    }
    return mask | (rv_cpu_has(cpu, RV_EXT_ZICBOZ) ? RV_ENVCFG_CBZE : 0);
}

static void write_senvcfg(RvCpu *cpu, unsigned index, uint64_t value)
{
    uint64_t mask = envcfg_writable(cpu, value);

    cpu->senvcfg = (cpu->senvcfg & ~mask) | (value & mask);
}

static void write_menvcfg(RvCpu *cpu, unsigned index, uint64_t value)
{
    uint64_t mask = envcfg_writable(cpu, value), old = cpu->menvcfg;

    mask |= rv_cpu_has(cpu, RV_EXT_SVADU) ? RV_MENVCFG_ADUE : 0;
    mask |= rv_cpu_has(cpu, RV_EXT_SVPBMT) ? RV_MENVCFG_PBMTE : 0;
    mask |= rv_cpu_has(cpu, RV_EXT_SSTC) ? RV_MENVCFG_STCE : 0;
    cpu->menvcfg = (old & ~mask) | (value & mask);
    if ((cpu->menvcfg ^ old) & (RV_MENVCFG_ADUE | RV_MENVCFG_PBMTE)) {
        cpu_tlb_flush_all(&cpu->parent);
    }
    if ((cpu->menvcfg ^ old) & RV_MENVCFG_STCE) {
        rv_timer_update(cpu);
        rv_cpu_check_interrupts(cpu);
    }
}

/* ---- Address translation and protection ---- */

static bool legal_satp_mode(const RvCpu *cpu, uint64_t value)
{
    if (!rv_cpu_is_64(cpu)) {
        return true;
    }
    switch (value >> 60) {
    case 0:
        return true;
    case 8:
        return rv_cpu_has(cpu, RV_FEATURE_SV39);
    case 9:
        return rv_cpu_has(cpu, RV_FEATURE_SV48);
    case 10:
        return rv_cpu_has(cpu, RV_FEATURE_SV57);
    default:
        return false;
    }
}

/* A write with an unsupported mode has no effect at all. */
static void write_satp(RvCpu *cpu, unsigned index, uint64_t value)
{
    if (legal_satp_mode(cpu, value)) {
        cpu->satp = value;
        rv_cpu_update_mode(cpu);
    }
}

static unsigned pmpcfg_entries(const RvCpu *cpu)
{
    return rv_cpu_is_64(cpu) ? 8 : 4;
}

static uint64_t read_pmpcfg(RvCpu *cpu, unsigned index)
{
    return rv_pmp_read_cfg(cpu, 4 * index, pmpcfg_entries(cpu));
}

static void write_pmpcfg(RvCpu *cpu, unsigned index, uint64_t value)
{
    rv_pmp_write_cfg(cpu, 4 * index, pmpcfg_entries(cpu), value);
}

static uint64_t read_pmpaddr(RvCpu *cpu, unsigned index)
{
    return cpu->pmpaddr[index];
}

static void write_pmpaddr(RvCpu *cpu, unsigned index, uint64_t value)
{
    rv_pmp_write_addr(cpu, index, value);
}

/* ---- The table ---- */

#define FIELD(field) .offset = offsetof(RvCpu, field)

static const Csr table[] = {
    { RV_CSR_FFLAGS, .name = "fflags", .check = check_fp, .read = read_fflags,
      .write = write_fflags },
    { RV_CSR_FRM, .name = "frm", .check = check_fp, .read = read_frm, .write = write_frm },
    { RV_CSR_FCSR, .name = "fcsr", .check = check_fp, .read = read_fcsr, .write = write_fcsr },

    { RV_CSR_CYCLE, .name = "cycle", .flags = CSR_64, .check = check_counter, .read = read_mcycle },
    { RV_CSR_TIME, .name = "time", .flags = CSR_64, .check = check_counter, .read = read_time },
    { RV_CSR_INSTRET, .name = "instret", .flags = CSR_64, .check = check_counter,
      .read = read_minstret },
    { RV_CSR_HPMCOUNTER3, 29, "hpmcounter", 3, .check = check_counter, .read = read_zero },
    { RV_CSR_CYCLEH, .name = "cycleh", .flags = CSR_HIGH, .check = check_counter,
      .read = read_mcycle },
    { RV_CSR_TIMEH, .name = "timeh", .flags = CSR_HIGH, .check = check_counter, .read = read_time },
    { RV_CSR_INSTRETH, .name = "instreth", .flags = CSR_HIGH, .check = check_counter,
      .read = read_minstret },
    { RV_CSR_HPMCOUNTER3H, 29, "hpmcounterh", 3, CSR_HIGH, .check = check_counter,
      .read = read_zero },

    { RV_CSR_SSTATUS, .name = "sstatus", .check = has_s, .read = read_sstatus,
      .write = write_sstatus },
    { RV_CSR_SIE, .name = "sie", .check = has_s, .read = read_sie, .write = write_sie },
    { RV_CSR_STVEC, .name = "stvec", .check = has_s, FIELD(stvec), .write = write_stvec },
    { RV_CSR_SCOUNTEREN, .name = "scounteren", .check = has_s, FIELD(scounteren),
      .mask = 0xffffffff },
    { RV_CSR_SENVCFG, .name = "senvcfg", .check = has_s, FIELD(senvcfg), .write = write_senvcfg },
    { RV_CSR_SSCRATCH, .name = "sscratch", .check = has_s, FIELD(sscratch), .mask = -1 },
    { RV_CSR_SEPC, .name = "sepc", .check = has_s, FIELD(sepc), .write = write_sepc },
    { RV_CSR_SCAUSE, .name = "scause", .check = has_s, FIELD(scause), .mask = -1 },
    { RV_CSR_STVAL, .name = "stval", .check = has_s, FIELD(stval), .mask = -1 },
    { RV_CSR_SIP, .name = "sip", .check = has_s, .read = read_sip, .write = write_sip },
    { RV_CSR_SIEH, .name = "sieh", .flags = CSR_HIGH, .check = rv_aia_check_s, .read = read_zero,
      .write = write_nothing },
    { RV_CSR_SISELECT, .name = "siselect", .check = rv_aia_check_s, FIELD(siselect),
      .mask = 0x1ff },
    { RV_CSR_SIREG, .name = "sireg", .check = rv_aia_check_sireg, .swap = rv_aia_swap_sireg },
    { RV_CSR_SIPH, .name = "siph", .flags = CSR_HIGH, .check = rv_aia_check_s, .read = read_zero,
      .write = write_nothing },
    { RV_CSR_STOPEI, .name = "stopei", .check = rv_aia_check_s, .swap = rv_aia_swap_stopei },
    { RV_CSR_STOPI, .name = "stopi", .check = rv_aia_check_s, .read = rv_aia_read_stopi },
    { RV_CSR_SATP, .name = "satp", .check = check_satp, FIELD(satp), .write = write_satp },
    { RV_CSR_STIMECMP, .name = "stimecmp", .flags = CSR_64, .check = check_stimecmp,
      FIELD(stimecmp), .write = write_stimecmp },
    { RV_CSR_STIMECMPH, .name = "stimecmph", .flags = CSR_HIGH, .check = check_stimecmp,
      FIELD(stimecmp), .write = write_stimecmp },

    { RV_CSR_MVENDORID, .name = "mvendorid", .read = read_zero },
    { RV_CSR_MARCHID, .name = "marchid", .read = read_zero },
    { RV_CSR_MIMPID, .name = "mimpid", .read = read_zero },
    { RV_CSR_MHARTID, .name = "mhartid", .read = read_mhartid },
    { RV_CSR_MCONFIGPTR, .name = "mconfigptr", .read = read_zero },

    { RV_CSR_MSTATUS, .name = "mstatus", .read = read_mstatus, .write = write_mstatus },
    { RV_CSR_MISA, .name = "misa", .read = read_misa, .write = write_nothing },
    { RV_CSR_MEDELEG, .name = "medeleg", .flags = CSR_64, .check = has_s, FIELD(medeleg),
      .mask = DELEGABLE },
    { RV_CSR_MEDELEGH, .name = "medelegh", .flags = CSR_HIGH, .check = has_s, FIELD(medeleg),
      .mask = DELEGABLE },
    { RV_CSR_MIDELEG, .name = "mideleg", .check = has_s, FIELD(mideleg), .write = write_mideleg },
    { RV_CSR_MIE, .name = "mie", FIELD(mie), .write = write_mie },
    { RV_CSR_MTVEC, .name = "mtvec", FIELD(mtvec), .write = write_mtvec },
    { RV_CSR_MCOUNTEREN, .name = "mcounteren", .check = has_u, FIELD(mcounteren),
      .mask = 0xffffffff },
    { RV_CSR_MENVCFG, .name = "menvcfg", .flags = CSR_64, .check = has_u, FIELD(menvcfg),
      .write = write_menvcfg },
    { RV_CSR_MENVCFGH, .name = "menvcfgh", .flags = CSR_HIGH, .check = has_u, FIELD(menvcfg),
      .write = write_menvcfg },
    { RV_CSR_MSTATUSH, .name = "mstatush", .flags = CSR_HIGH, .read = read_zero,
      .write = write_nothing },
    { RV_CSR_MCOUNTINHIBIT, .name = "mcountinhibit", FIELD(mcountinhibit),
      .write = write_mcountinhibit },
    { RV_CSR_MHPMEVENT3, 29, "mhpmevent", 3, .read = read_zero, .write = write_nothing },
    { RV_CSR_MSCRATCH, .name = "mscratch", FIELD(mscratch), .mask = -1 },
    { RV_CSR_MEPC, .name = "mepc", FIELD(mepc), .write = write_mepc },
    { RV_CSR_MCAUSE, .name = "mcause", FIELD(mcause), .mask = -1 },
    { RV_CSR_MTVAL, .name = "mtval", FIELD(mtval), .mask = -1 },
    { RV_CSR_MIP, .name = "mip", .read = read_mip, .write = write_mip, .modify = modify_mip },
    { RV_CSR_MVIEN, .name = "mvien", .check = rv_aia_check_s, .read = read_zero,
      .write = write_nothing },
    { RV_CSR_MVIP, .name = "mvip", .check = rv_aia_check_s, .read = read_mvip, .write = write_mip },
    { RV_CSR_MIDELEGH, .name = "midelegh", .flags = CSR_HIGH, .check = rv_aia_check_s,
      .read = read_zero, .write = write_nothing },
    { RV_CSR_MIEH, .name = "mieh", .flags = CSR_HIGH, .check = rv_aia_check, .read = read_zero,
      .write = write_nothing },
    { RV_CSR_MVIENH, .name = "mvienh", .flags = CSR_HIGH, .check = rv_aia_check_s,
      .read = read_zero, .write = write_nothing },
    { RV_CSR_MVIPH, .name = "mviph", .flags = CSR_HIGH, .check = rv_aia_check_s, .read = read_zero,
      .write = write_nothing },
    { RV_CSR_MISELECT, .name = "miselect", .check = rv_aia_check, FIELD(miselect), .mask = 0xff },
    { RV_CSR_MIREG, .name = "mireg", .check = rv_aia_check_mireg, .swap = rv_aia_swap_mireg },
    { RV_CSR_MIPH, .name = "miph", .flags = CSR_HIGH, .check = rv_aia_check, .read = read_zero,
      .write = write_nothing },
    { RV_CSR_MTOPEI, .name = "mtopei", .check = rv_aia_check, .swap = rv_aia_swap_mtopei },
    { RV_CSR_MTOPI, .name = "mtopi", .check = rv_aia_check, .read = rv_aia_read_mtopi },
    { RV_CSR_PMPCFG0, RV_N_PMP / 4, "pmpcfg", 0, .check = has_pmp, .read = read_pmpcfg,
      .write = write_pmpcfg },
    { RV_CSR_PMPADDR0, RV_N_PMP, "pmpaddr", 0, .check = has_pmp, .read = read_pmpaddr,
      .write = write_pmpaddr },

    /* No triggers: tselect holds 0 only, and tdata1's type 0 says that there is none. */
    { RV_CSR_TSELECT, .name = "tselect", .read = read_zero, .write = write_nothing },
    { RV_CSR_TDATA1, 3, "tdata", 1, .read = read_zero, .write = write_nothing },

    { RV_CSR_MCYCLE, .name = "mcycle", .flags = CSR_64, .read = read_mcycle,
      .write = write_mcycle },
    { RV_CSR_MINSTRET, .name = "minstret", .flags = CSR_64, .read = read_minstret,
      .write = write_minstret },
    { RV_CSR_MHPMCOUNTER3, 29, "mhpmcounter", 3, .read = read_zero, .write = write_nothing },
    { RV_CSR_MCYCLEH, .name = "mcycleh", .flags = CSR_HIGH, .read = read_mcycle,
      .write = write_mcycle },
    { RV_CSR_MINSTRETH, .name = "minstreth", .flags = CSR_HIGH, .read = read_minstret,
      .write = write_minstret },
    { RV_CSR_MHPMCOUNTER3H, 29, "mhpmcounterh", 3, CSR_HIGH, .read = read_zero,
      .write = write_nothing },
};

/* Index into table[] + 1 by CSR number. */
static const uint8_t *index_table(void)
{
    static uint8_t by_number[RV_N_CSRS];
    static gsize ready;

    if (g_once_init_enter(&ready)) {
        G_STATIC_ASSERT(G_N_ELEMENTS(table) < 255);
        for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
            memset(by_number + table[i].number, (int)i + 1, MAX(table[i].count, 1));
        }
        g_once_init_leave(&ready, 1);
    }
    return by_number;
}

/* The entry of a register that this hart has at all, or NULL. */
static const Csr *csr_at(unsigned xlen, unsigned number)
{
    unsigned i = index_table()[number & (RV_N_CSRS - 1)];
    const Csr *csr = i ? &table[i - 1] : NULL;

    return csr && !((csr->flags & CSR_HIGH) && xlen == 64) ? csr : NULL;
}

static const Csr *csr_find(const RvCpu *cpu, unsigned number)
{
    return csr_at(cpu->config.xlen, number);
}

/* ---- Access ---- */

static uint64_t read_full(RvCpu *cpu, const Csr *csr, unsigned number)
{
    return csr->read ? csr->read(cpu, number - csr->number)
                     : *(uint64_t *)((char *)cpu + csr->offset);
}

/* The part of the register that @csr shows on this hart. */
static uint64_t shown(const RvCpu *cpu, const Csr *csr, uint64_t full)
{
    return rv_cpu_xlen_mask(cpu, csr->flags & CSR_HIGH ? full >> 32 : full);
}

static uint64_t csr_read(RvCpu *cpu, const Csr *csr, unsigned number)
{
    if (csr->swap) {
        return rv_cpu_xlen_mask(cpu, csr->swap(cpu, false, 0, 0));
    }
    return shown(cpu, csr, read_full(cpu, csr, number));
}

static void csr_write(RvCpu *cpu, const Csr *csr, unsigned number, uint64_t value)
{
    uint64_t *field = (uint64_t *)((char *)cpu + csr->offset);

    if (csr->swap) {
        csr->swap(cpu, true, value, UINT64_MAX);
        return;
    }
    if (!rv_cpu_is_64(cpu)) {
        uint64_t old = csr->flags ? read_full(cpu, csr, number) : 0;

        value = csr->flags & CSR_HIGH ? value << 32 | (uint32_t)old
                                      : (old & ~0xffffffffull) | (uint32_t)value;
    }
    if (csr->write) {
        csr->write(cpu, number - csr->number, value);
    } else {
        *field = (*field & ~csr->mask) | (value & csr->mask);
    }
}

static uint64_t csr_swap(RvCpu *cpu, const Csr *csr, uint64_t value, uint64_t mask)
{
    return rv_cpu_xlen_mask(cpu, csr->swap(cpu, true, value, mask));
}

/* The entry of @number if the running code may access it, else raises illegal instruction. */
static const Csr *csr_access(RvCpu *cpu, unsigned number, bool write)
{
    const Csr *csr = csr_find(cpu, number);

    if (!csr || (number >> 8 & 3) > cpu->priv || (write && number >> 10 == 3) ||
        (csr->check && !csr->check(cpu, number))) {
        rv_raise_illegal(cpu);
    }
    return csr;
}

uint64_t rv_helper_csrr(Cpu *cpu, uint32_t number)
{
    return csr_read(rv_cpu(cpu), csr_access(rv_cpu(cpu), number, false), number);
}

void rv_helper_csrw(Cpu *cpu, uint64_t value, uint32_t number)
{
    csr_write(rv_cpu(cpu), csr_access(rv_cpu(cpu), number, true), number, value);
}

uint64_t rv_helper_csrrw(Cpu *cpu, uint64_t value, uint32_t number)
{
    const Csr *csr = csr_access(rv_cpu(cpu), number, true);
    uint64_t old;

    if (csr->swap) {
        return csr_swap(rv_cpu(cpu), csr, value, UINT64_MAX);
    }
    old = csr_read(rv_cpu(cpu), csr, number);
    csr_write(rv_cpu(cpu), csr, number, value);
    return old;
}

/* What csrrs and csrrc start from when they read @old. */
static uint64_t modify_base(RvCpu *cpu, const Csr *csr, unsigned number, uint64_t old)
{
    return csr->modify ? shown(cpu, csr, csr->modify(cpu, number - csr->number)) : old;
}

uint64_t rv_helper_csrrs(Cpu *cpu, uint64_t mask, uint32_t number)
{
    const Csr *csr = csr_access(rv_cpu(cpu), number, true);
    uint64_t old;

    if (csr->swap) {
        return csr_swap(rv_cpu(cpu), csr, UINT64_MAX, mask);
    }
    old = csr_read(rv_cpu(cpu), csr, number);
    csr_write(rv_cpu(cpu), csr, number, modify_base(rv_cpu(cpu), csr, number, old) | mask);
    return old;
}

uint64_t rv_helper_csrrc(Cpu *cpu, uint64_t mask, uint32_t number)
{
    const Csr *csr = csr_access(rv_cpu(cpu), number, true);
    uint64_t old;

    if (csr->swap) {
        return csr_swap(rv_cpu(cpu), csr, 0, mask);
    }
    old = csr_read(rv_cpu(cpu), csr, number);
    csr_write(rv_cpu(cpu), csr, number, modify_base(rv_cpu(cpu), csr, number, old) & ~mask);
    return old;
}

/* ---- For the debugger ---- */

/* Runs the register's check as M-mode, with floating point on. */
static const Csr *debug_find(RvCpu *cpu, unsigned number)
{
    const Csr *csr = number < RV_N_CSRS ? csr_find(cpu, number) : NULL;
    uint64_t mstatus = cpu->mstatus;
    uint8_t priv = cpu->priv;

    if (csr && csr->check) {
        cpu->priv = RV_PRIV_M;
        cpu->mstatus |= RV_MSTATUS_FS;
        csr = csr->check(cpu, number) ? csr : NULL;
        cpu->priv = priv;
        cpu->mstatus = mstatus;
    }
    return csr;
}

bool rv_csr_peek(RvCpu *cpu, unsigned number, uint64_t *value)
{
    const Csr *csr = debug_find(cpu, number);

    if (csr) {
        *value = csr_read(cpu, csr, number);
    }
    return csr != NULL;
}

bool rv_csr_poke(RvCpu *cpu, unsigned number, uint64_t value)
{
    const Csr *csr = debug_find(cpu, number);

    if (csr && number >> 10 != 3) {
        csr_write(cpu, csr, number, value);
    }
    return csr != NULL;
}

const char *rv_csr_name(unsigned xlen, unsigned number, char *name)
{
    const Csr *csr = number < RV_N_CSRS ? csr_at(xlen, number) : NULL;
    size_t len;

    if (!csr) {
        return NULL;
    }
    if (!csr->count) {
        return csr->name;
    }
    /* "hpmcounterh", 3: hpmcounter3h. */
    len = strlen(csr->name);
    if (csr->flags & CSR_HIGH) {
        g_snprintf(name, 16, "%.*s%uh", (int)len - 1, csr->name, csr->first + number - csr->number);
    } else {
        g_snprintf(name, 16, "%s%u", csr->name, csr->first + number - csr->number);
    }
    return name;
}
