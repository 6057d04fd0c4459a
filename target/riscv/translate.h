/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the CPU model (cpu.c) needs of the RISC-V translator: the meaning of BlockKey.mode, the
 * register table, and TargetOps.translate.
 *
 * A translation depends on nothing but the code bytes and these bits, so whoever changes a CSR
 * behind one of them must see that block_mode() returns the new value and that the context
 * changes with it (the jump cache of a context knows no modes: the bits belong into
 * ContextKey.mode too).
 */
#ifndef TARGET_RISCV_TRANSLATE_H
#define TARGET_RISCV_TRANSLATE_H

#include "softmmu/cpu.h"
#include "target/riscv/isa-ext.h"

/* BlockKey.mode. */
enum {
    RV_MODE_XLEN32 = 1 << 0, /* the current XLEN is 32 */
    RV_MODE_FRM_SHIFT = 3,   /* 3 bits: fcsr.frm */
    RV_MODE_FRM_MASK = 7 << RV_MODE_FRM_SHIFT,
    RV_MODE_EXT_SHIFT = 8, /* 8 bits: index of the extension set */
    RV_MODE_EXT_MASK = 0xff << RV_MODE_EXT_SHIFT,
};

enum { RV_MAX_EXT_SETS = 256 };

/* Interns @exts (bits RV_EXT_BIT(RvExt); rv32/rv64 are set by the translator from the mode) and
 * returns its index for the mode. Any thread; sets are never forgotten. More than RV_MAX_EXT_SETS
 * different sets is a bug of the caller. */
unsigned rv_ext_set_register(uint64_t exts);
/* The set of this index. */
uint64_t rv_ext_set_get(unsigned index);

/* Guest register numbers in rv_ir_regs[]: x and f registers, then the pc (exact only before
 * LEAVE), and RvCpu.fp_ready. x0 has a slot number but no register: the translator never names it. */
enum { RV_REG_X0 = 0, RV_REG_F0 = 32, RV_REG_PC = 64, RV_REG_FP_READY = 65, RV_N_REGS = 66 };
extern const IrReg rv_ir_regs[RV_N_REGS];

/* TargetOps.translate. */
void rv_translate(IrBlock *ir, const BlockKey *key, CodeReader *reader, unsigned max_insns);

#endif
