/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the translation functions (trans-*.c) and their loop (translate.c).
 *
 * rv_tr_<insn>(t, i) builds the IR of one instruction whose operands are in @i; the generated
 * decoder calls it. False: the insn is illegal after all; then it must not have built anything. A
 * function that ends the block sets t->ended through one of the rv_end_* functions.
 *
 * Register slots are 64 bits wide. Values are of type t->xl, XLEN's: under RV32 rv_get()
 * truncates and rv_set() sign-extends, so that most functions serve both. x0 reads as the
 * constant 0 and is never written.
 */
#ifndef TARGET_RISCV_TRANSLATE_PRIV_H
#define TARGET_RISCV_TRANSLATE_PRIV_H

#include "target/riscv/helpers.h"
#include "target/riscv/rv-decode.h"
#include "target/riscv/translate.h"

struct RvTrans {
    IrBlock *ir;
    uint64_t exts;    /* RV_EXT_BIT()s, rv32 or rv64 among them */
    uint32_t mode;    /* RV_MODE_* */
    IrType xl;        /* of an x register */
    int32_t pc, next; /* page offsets of this insn and of the one behind it */
    bool ended;
    /* What is known of the registers' values within the block. */
    bool has_fp;              /* the block has asked whether FP is on */
    uint32_t constant, pcrel; /* bit n: xn is known[n], sign-extended; xn is page + known[n] */
    int64_t known[32];
};

/* ---- Registers ---- */

/* x@n, of type t->xl. */
IrVal rv_get(RvTrans *t, unsigned n);
/* The low 32 bits of x@n. */
IrVal rv_get32(RvTrans *t, unsigned n);
/* x@n as 64 bits for a helper: zero-extended under RV32. */
IrVal rv_get_arg(RvTrans *t, unsigned n);
/* Writes @v, of type t->xl, to x@n; nothing if n is 0. */
void rv_set(RvTrans *t, unsigned n, IrVal v);
/* Writes @v, an i32, sign-extended. */
void rv_set32(RvTrans *t, unsigned n, IrVal v);
/* Writes a helper's 64-bit result, truncated to XLEN. */
void rv_set_result(RvTrans *t, unsigned n, IrVal v);
/* x@n = address of the block's page + @offset. */
void rv_set_pcrel(RvTrans *t, unsigned n, int64_t offset);
/* A constant of type t->xl, @value truncated to it. */
IrVal rv_const(RvTrans *t, int64_t value);
/* The virtual address of page offset @offset as 64 bits. */
IrVal rv_address(RvTrans *t, int64_t offset);

static inline bool rv_has(const RvTrans *t, RvExt ext)
{
    return t->exts & RV_EXT_BIT(ext);
}

static inline bool rv_is_64(const RvTrans *t)
{
    return t->xl == IR_I64;
}

/* ---- Memory: x@base + @disp ---- */

IrVal rv_load(RvTrans *t, IrType type, unsigned base, int32_t disp, uint32_t memop);
void rv_store(RvTrans *t, unsigned base, int32_t disp, uint32_t memop, IrVal v);

/* ---- Ends of a block ---- */

/* Goes to page offset @target: translates on there if it is ahead in this page, else ends the
 * block. */
void rv_jump(RvTrans *t, int64_t target);
/* To the address in @target (i64). */
void rv_end_indirect(RvTrans *t, IrVal target);
/* After a helper that set Cpu.pc. */
void rv_end_pc_set(RvTrans *t);
/* After a helper that may have changed context or interrupts: to page offset @target by way of
 * the jump cache. */
void rv_end_system(RvTrans *t, int32_t target);
/* Raises exception @cause with @tval (i64). */
void rv_end_raise(RvTrans *t, unsigned cause, IrVal tval);

/* Before an insn that uses FP state: asks once a block whether FP is on. That FS becomes Dirty by reads too is permitted (privileged
 * architecture, "Extension Context Status in mstatus"). trans-rvf.c */
void rv_need_fp(RvTrans *t);

#endif
