/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control and status registers: numbers, fields, and the table that says for each what it is called, who may access it and
 * how it is read and written (csr.c).
 *
 * Users: the csr* helpers of translated code, gdb and the register dump.
 */
#ifndef TARGET_RISCV_CSR_H
#define TARGET_RISCV_CSR_H

#include "target/riscv/cpu.h"

enum {
    RV_CSR_FFLAGS = 0x001,
    RV_CSR_FRM = 0x002,
    RV_CSR_FCSR = 0x003,
    RV_CSR_SSTATUS = 0x100,
    RV_CSR_SIE = 0x104,
    RV_CSR_STVEC = 0x105,
    RV_CSR_SCOUNTEREN = 0x106,
    RV_CSR_SENVCFG = 0x10a,
    RV_CSR_SIEH = 0x114,
    RV_CSR_SSCRATCH = 0x140,
    RV_CSR_SEPC = 0x141,
    RV_CSR_SCAUSE = 0x142,
    RV_CSR_STVAL = 0x143,
    RV_CSR_SIP = 0x144,
    RV_CSR_SISELECT = 0x150,
    RV_CSR_SIREG = 0x151,
    RV_CSR_SIPH = 0x154,
    RV_CSR_STOPEI = 0x15c,
    RV_CSR_STIMECMP = 0x14d,
    RV_CSR_STIMECMPH = 0x15d,
    RV_CSR_SATP = 0x180,
    RV_CSR_MSTATUS = 0x300,
    RV_CSR_MISA = 0x301,
    RV_CSR_MEDELEG = 0x302,
    RV_CSR_MIDELEG = 0x303,
    RV_CSR_MIE = 0x304,
    RV_CSR_MTVEC = 0x305,
    RV_CSR_MCOUNTEREN = 0x306,
    RV_CSR_MVIEN = 0x308,
    RV_CSR_MVIP = 0x309,
    RV_CSR_MENVCFG = 0x30a,
    RV_CSR_MSTATUSH = 0x310,
    RV_CSR_MEDELEGH = 0x312,
    RV_CSR_MIDELEGH = 0x313,
    RV_CSR_MIEH = 0x314,
    RV_CSR_MVIENH = 0x318,
    RV_CSR_MVIPH = 0x319,
    RV_CSR_MENVCFGH = 0x31a,
    RV_CSR_MCOUNTINHIBIT = 0x320,
    RV_CSR_MHPMEVENT3 = 0x323,
    RV_CSR_MSCRATCH = 0x340,
    RV_CSR_MEPC = 0x341,
    RV_CSR_MCAUSE = 0x342,
    RV_CSR_MTVAL = 0x343,
    RV_CSR_MIP = 0x344,
    RV_CSR_MISELECT = 0x350,
    RV_CSR_MIREG = 0x351,
    RV_CSR_MIPH = 0x354,
    RV_CSR_MTOPEI = 0x35c,
    RV_CSR_PMPCFG0 = 0x3a0,
    RV_CSR_PMPADDR0 = 0x3b0,
    RV_CSR_TSELECT = 0x7a0,
    RV_CSR_TDATA1 = 0x7a1,
    RV_CSR_MCYCLE = 0xb00,
    RV_CSR_MINSTRET = 0xb02,
    RV_CSR_MHPMCOUNTER3 = 0xb03,
    RV_CSR_MCYCLEH = 0xb80,
    RV_CSR_MINSTRETH = 0xb82,
    RV_CSR_MHPMCOUNTER3H = 0xb83,
    RV_CSR_CYCLE = 0xc00,
    RV_CSR_TIME = 0xc01,
    RV_CSR_INSTRET = 0xc02,
    RV_CSR_HPMCOUNTER3 = 0xc03,
    RV_CSR_CYCLEH = 0xc80,
    RV_CSR_TIMEH = 0xc81,
    RV_CSR_INSTRETH = 0xc82,
    RV_CSR_HPMCOUNTER3H = 0xc83,
    RV_CSR_STOPI = 0xdb0,
    RV_CSR_MVENDORID = 0xf11,
    RV_CSR_MARCHID = 0xf12,
    RV_CSR_MIMPID = 0xf13,
    RV_CSR_MHARTID = 0xf14,
    RV_CSR_MCONFIGPTR = 0xf15,
    RV_CSR_MTOPI = 0xfb0,
    RV_N_CSRS = 0x1000
};

/* mstatus as stored (the RV64 layout). */
enum {
    RV_MSTATUS_SIE = 1 << 1,
    RV_MSTATUS_MIE = 1 << 3,
    RV_MSTATUS_SPIE = 1 << 5,
    RV_MSTATUS_MPIE = 1 << 7,
    RV_MSTATUS_SPP = 1 << 8,
    RV_MSTATUS_MPP_SHIFT = 11,
    RV_MSTATUS_MPP = 3 << 11,
    RV_MSTATUS_FS_SHIFT = 13,
    RV_MSTATUS_FS = 3 << 13,
    RV_MSTATUS_MPRV = 1 << 17,
    RV_MSTATUS_SUM = 1 << 18,
    RV_MSTATUS_MXR = 1 << 19,
    RV_MSTATUS_TVM = 1 << 20,
    RV_MSTATUS_TW = 1 << 21,
    RV_MSTATUS_TSR = 1 << 22,
};
#define RV_MSTATUS_UXL64 (2ull << 32)
#define RV_MSTATUS_SXL64 (2ull << 34)

/* menvcfg and senvcfg. */
enum {
    RV_ENVCFG_FIOM = 1,
    RV_ENVCFG_CBIE_SHIFT = 4,
    RV_ENVCFG_CBIE = 3 << 4,
    RV_ENVCFG_CBCFE = 1 << 6,
    RV_ENVCFG_CBZE = 1 << 7
};
#define RV_MENVCFG_ADUE  (1ull << 61)
#define RV_MENVCFG_PBMTE (1ull << 62)
#define RV_MENVCFG_STCE  (1ull << 63)

static inline unsigned rv_cpu_fs(const RvCpu *cpu)
{
    return cpu->mstatus >> RV_MSTATUS_FS_SHIFT & 3;
}

/* The value of CSR @number as a debugger sees it: no privilege or enable checks. False: the hart has no such register. */
bool rv_csr_peek(RvCpu *cpu, unsigned number, uint64_t *value);
/* Writes it as M-mode software would; false: no such register. The mode may have changed. */
bool rv_csr_poke(RvCpu *cpu, unsigned number, uint64_t value);
/* Name of CSR @number of harts with @xlen (32, 64) in @name (at least 16 bytes), or NULL: there is no such register. */
const char *rv_csr_name(unsigned xlen, unsigned number, char *name);
/* Makes the host round as frm says, after it changed. What the host cannot, the translator leaves to helpers. */
void rv_csr_update_rounding(RvCpu *cpu);
/* CSRs of the Advanced Interrupt Architecture (aia.c), for the table. */
bool rv_aia_check(const RvCpu *cpu, unsigned csr);
bool rv_aia_check_s(const RvCpu *cpu, unsigned csr);
bool rv_aia_check_mireg(const RvCpu *cpu, unsigned csr);
bool rv_aia_check_sireg(const RvCpu *cpu, unsigned csr);
uint64_t rv_aia_read_mtopi(RvCpu *cpu, unsigned index);
uint64_t rv_aia_read_stopi(RvCpu *cpu, unsigned index);
uint64_t rv_aia_swap_mireg(RvCpu *cpu, bool write, uint64_t value, uint64_t mask);
uint64_t rv_aia_swap_sireg(RvCpu *cpu, bool write, uint64_t value, uint64_t mask);
uint64_t rv_aia_swap_mtopei(RvCpu *cpu, bool write, uint64_t value, uint64_t mask);
uint64_t rv_aia_swap_stopei(RvCpu *cpu, bool write, uint64_t value, uint64_t mask);
/* mstatus after reset for this hart's XLEN and extensions. */
uint64_t rv_csr_mstatus_reset(const RvCpu *cpu);

#endif
