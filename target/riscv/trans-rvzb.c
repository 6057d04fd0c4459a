/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation of the bit-manipulation extensions Zba, Zbb, Zbc, Zbs, Zbkb, Zbkc and Zbkx.
 * Permutations that the IR has no operation for are calls of pure helpers (bit-helper.c).
 */
#include "target/riscv/translate-priv.h"

/* ---- Shapes ---- */

static bool op(RvTrans *t, const RvInsn *i, IrOp op)
{
    IrVal a = rv_get(t, i->rs1);

    rv_set(t, i->rd, ir_binary(t->ir, op, a, rv_get(t, i->rs2)));
    return true;
}

static bool op_w(RvTrans *t, const RvInsn *i, IrOp op)
{
    IrVal a = rv_get32(t, i->rs1);

    rv_set32(t, i->rd, ir_binary(t->ir, op, a, rv_get32(t, i->rs2)));
    return true;
}

/* rd = op rs1. */
static bool op1(RvTrans *t, const RvInsn *i, IrOp op)
{
    rv_set(t, i->rd, ir_unary(t->ir, op, rv_get(t, i->rs1)));
    return true;
}

static bool op1_w(RvTrans *t, const RvInsn *i, IrOp op)
{
    rv_set32(t, i->rd, ir_unary(t->ir, op, rv_get32(t, i->rs1)));
    return true;
}

/* rd = pure helper(rs1). */
static bool call1(RvTrans *t, const RvInsn *i, unsigned helper)
{
    IrVal a = rv_get_arg(t, i->rs1);

    rv_set_result(t, i->rd, ir_call(t->ir, helper, a, IR_NONE, IR_NONE, 0));
    return true;
}

/* ---- Zba ---- */

static bool shift_add(RvTrans *t, const RvInsn *i, IrVal index, unsigned shift)
{
    index = ir_shl(t->ir, index, rv_const(t, shift));
    rv_set(t, i->rd, ir_add(t->ir, rv_get(t, i->rs2), index));
    return true;
}

/* zext(rs1.w); RV64 only. */
static IrVal get_uw(RvTrans *t, const RvInsn *i)
{
    return ir_zext(t->ir, rv_get32(t, i->rs1));
}

bool rv_tr_sh1add(RvTrans *t, const RvInsn *i)
{
    return shift_add(t, i, rv_get(t, i->rs1), 1);
}

bool rv_tr_sh2add(RvTrans *t, const RvInsn *i)
{
    return shift_add(t, i, rv_get(t, i->rs1), 2);
}

bool rv_tr_sh3add(RvTrans *t, const RvInsn *i)
{
    return shift_add(t, i, rv_get(t, i->rs1), 3);
}

bool rv_tr_add_uw(RvTrans *t, const RvInsn *i)
{
    return shift_add(t, i, get_uw(t, i), 0);
}

bool rv_tr_sh1add_uw(RvTrans *t, const RvInsn *i)
{
    return shift_add(t, i, get_uw(t, i), 1);
}

bool rv_tr_sh2add_uw(RvTrans *t, const RvInsn *i)
{
    return shift_add(t, i, get_uw(t, i), 2);
}

bool rv_tr_sh3add_uw(RvTrans *t, const RvInsn *i)
{
    return shift_add(t, i, get_uw(t, i), 3);
}

bool rv_tr_slli_uw(RvTrans *t, const RvInsn *i)
{
    rv_set(t, i->rd, ir_shl(t->ir, get_uw(t, i), rv_const(t, i->imm)));
    return true;
}

/* ---- Zbb ---- */

bool rv_tr_andn(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_ANDN);
}

bool rv_tr_orn(RvTrans *t, const RvInsn *i)
{
    IrVal a = rv_get(t, i->rs1), b = ir_not(t->ir, rv_get(t, i->rs2));

    rv_set(t, i->rd, ir_or(t->ir, a, b));
    return true;
}

bool rv_tr_xnor(RvTrans *t, const RvInsn *i)
{
    IrVal a = rv_get(t, i->rs1), b = rv_get(t, i->rs2);

    rv_set(t, i->rd, ir_not(t->ir, ir_xor(t->ir, a, b)));
    return true;
}

bool rv_tr_rol(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_ROTL);
}

bool rv_tr_ror(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_ROTR);
}

bool rv_tr_rolw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_ROTL);
}

bool rv_tr_rorw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_ROTR);
}

bool rv_tr_rori(RvTrans *t, const RvInsn *i)
{
    IrVal a = rv_get(t, i->rs1);

    rv_set(t, i->rd, ir_binary(t->ir, IR_ROTR, a, rv_const(t, i->imm)));
    return true;
}

bool rv_tr_roriw(RvTrans *t, const RvInsn *i)
{
    IrVal a = rv_get32(t, i->rs1), count = ir_const(t->ir, IR_I32, (uint32_t)i->imm);

    rv_set32(t, i->rd, ir_binary(t->ir, IR_ROTR, a, count));
    return true;
}

bool rv_tr_clz(RvTrans *t, const RvInsn *i)
{
    return op1(t, i, IR_CLZ);
}

bool rv_tr_ctz(RvTrans *t, const RvInsn *i)
{
    return op1(t, i, IR_CTZ);
}

bool rv_tr_cpop(RvTrans *t, const RvInsn *i)
{
    return op1(t, i, IR_POPCNT);
}

bool rv_tr_clzw(RvTrans *t, const RvInsn *i)
{
    return op1_w(t, i, IR_CLZ);
}

bool rv_tr_ctzw(RvTrans *t, const RvInsn *i)
{
    return op1_w(t, i, IR_CTZ);
}

bool rv_tr_cpopw(RvTrans *t, const RvInsn *i)
{
    return op1_w(t, i, IR_POPCNT);
}

bool rv_tr_sext_b(RvTrans *t, const RvInsn *i)
{
    return op1(t, i, IR_SEXT8);
}

bool rv_tr_sext_h(RvTrans *t, const RvInsn *i)
{
    return op1(t, i, IR_SEXT16);
}

bool rv_tr_zext_h(RvTrans *t, const RvInsn *i)
{
    return op1(t, i, IR_ZEXT16);
}

bool rv_tr_rev8(RvTrans *t, const RvInsn *i)
{
    return op1(t, i, IR_BSWAP);
}

/* Bit 7 of each byte that is not 0: carries of the low 7 bits into it, or its own. Times 0xff >>
 * 7 fills the byte. */
bool rv_tr_orc_b(RvTrans *t, const RvInsn *i)
{
    const int64_t low7 = 0x7f7f7f7f7f7f7f7f;
    IrVal a = rv_get(t, i->rs1), top;

    top = ir_add(t->ir, ir_and(t->ir, a, rv_const(t, low7)), rv_const(t, low7));
    top = ir_andn(t->ir, ir_or(t->ir, top, a), rv_const(t, low7));
    top = ir_shr(t->ir, top, rv_const(t, 7));
    rv_set(t, i->rd, ir_mul(t->ir, top, rv_const(t, 0xff)));
    return true;
}

/* rd = rs1 cond rs2 ? rs1 : rs2. */
static bool choose(RvTrans *t, const RvInsn *i, IrCond cond)
{
    IrVal a = rv_get(t, i->rs1), b = rv_get(t, i->rs2);

    rv_set(t, i->rd, ir_select(t->ir, ir_setcc(t->ir, cond, a, b), a, b));
    return true;
}

bool rv_tr_min(RvTrans *t, const RvInsn *i)
{
    return choose(t, i, IR_LT);
}

bool rv_tr_minu(RvTrans *t, const RvInsn *i)
{
    return choose(t, i, IR_LTU);
}

bool rv_tr_max(RvTrans *t, const RvInsn *i)
{
    return choose(t, i, IR_GT);
}

bool rv_tr_maxu(RvTrans *t, const RvInsn *i)
{
    return choose(t, i, IR_GTU);
}

/* ---- Zbkb ---- */

bool rv_tr_pack(RvTrans *t, const RvInsn *i)
{
    unsigned half = rv_is_64(t) ? 32 : 16;
    IrVal low = rv_get(t, i->rs1), high = rv_get(t, i->rs2);

    low = rv_is_64(t) ? ir_zext(t->ir, ir_trunc(t->ir, low)) : ir_unary(t->ir, IR_ZEXT16, low);
    rv_set(t, i->rd, ir_or(t->ir, low, ir_shl(t->ir, high, rv_const(t, half))));
    return true;
}

bool rv_tr_packw(RvTrans *t, const RvInsn *i)
{
    IrVal low = ir_unary(t->ir, IR_ZEXT16, rv_get32(t, i->rs1)), high = rv_get32(t, i->rs2);

    high = ir_shl(t->ir, high, ir_const(t->ir, IR_I32, 16));
    rv_set32(t, i->rd, ir_or(t->ir, low, high));
    return true;
}

bool rv_tr_packh(RvTrans *t, const RvInsn *i)
{
    IrVal low = ir_unary(t->ir, IR_ZEXT8, rv_get(t, i->rs1));
    IrVal high = ir_unary(t->ir, IR_ZEXT8, rv_get(t, i->rs2));

    rv_set(t, i->rd, ir_or(t->ir, low, ir_shl(t->ir, high, rv_const(t, 8))));
    return true;
}

bool rv_tr_brev8(RvTrans *t, const RvInsn *i)
{
    return call1(t, i, RV_HELPER_BREV8);
}

bool rv_tr_zip(RvTrans *t, const RvInsn *i)
{
    return call1(t, i, RV_HELPER_ZIP);
}

bool rv_tr_unzip(RvTrans *t, const RvInsn *i)
{
    return call1(t, i, RV_HELPER_UNZIP);
}

/* ---- Zbc, Zbkc: the IR's products are of 64 bits; under RV32 that of the zero-extended operands
 * is whole ---- */

bool rv_tr_clmul(RvTrans *t, const RvInsn *i)
{
    IrVal a = rv_get_arg(t, i->rs1), b = rv_get_arg(t, i->rs2);

    rv_set_result(t, i->rd, ir_binary(t->ir, IR_CLMUL, a, b));
    return true;
}

/* Bits [@from + XLEN - 1 : @from] of the carry-less product under RV32. */
static bool clmul_part_32(RvTrans *t, const RvInsn *i, unsigned from)
{
    IrVal a = rv_get_arg(t, i->rs1), b = rv_get_arg(t, i->rs2);
    IrVal product = ir_binary(t->ir, IR_CLMUL, a, b);

    rv_set_result(t, i->rd, ir_shr(t->ir, product, ir_const(t->ir, IR_I64, from)));
    return true;
}

bool rv_tr_clmulh(RvTrans *t, const RvInsn *i)
{
    return rv_is_64(t) ? op(t, i, IR_CLMULH) : clmul_part_32(t, i, 32);
}

bool rv_tr_clmulr(RvTrans *t, const RvInsn *i)
{
    IrVal a, b, low, high;

    if (!rv_is_64(t)) {
        return clmul_part_32(t, i, 31);
    }
    a = rv_get(t, i->rs1);
    b = rv_get(t, i->rs2);
    low = ir_shr(t->ir, ir_binary(t->ir, IR_CLMUL, a, b), rv_const(t, 63));
    high = ir_shl(t->ir, ir_binary(t->ir, IR_CLMULH, a, b), rv_const(t, 1));
    rv_set(t, i->rd, ir_or(t->ir, high, low));
    return true;
}

/* ---- Zbkx ---- */

static bool permute(RvTrans *t, const RvInsn *i, unsigned helper)
{
    IrVal a = rv_get_arg(t, i->rs1), b = rv_get_arg(t, i->rs2);

    rv_set_result(t, i->rd, ir_call(t->ir, helper, a, b, IR_NONE, rv_is_64(t) ? 64 : 32));
    return true;
}

bool rv_tr_xperm4(RvTrans *t, const RvInsn *i)
{
    return permute(t, i, RV_HELPER_XPERM4);
}

bool rv_tr_xperm8(RvTrans *t, const RvInsn *i)
{
    return permute(t, i, RV_HELPER_XPERM8);
}

/* ---- Zbs ---- */

/* 1 << rs2. */
static IrVal bit(RvTrans *t, const RvInsn *i)
{
    return ir_shl(t->ir, rv_const(t, 1), rv_get(t, i->rs2));
}

/* rd = bit @count of rs1. */
static bool extract(RvTrans *t, const RvInsn *i, IrVal count)
{
    IrVal a = ir_shr(t->ir, rv_get(t, i->rs1), count);

    rv_set(t, i->rd, ir_and(t->ir, a, rv_const(t, 1)));
    return true;
}

/* rd = rs1 op b. */
static bool with(RvTrans *t, const RvInsn *i, IrOp op, IrVal b)
{
    rv_set(t, i->rd, ir_binary(t->ir, op, rv_get(t, i->rs1), b));
    return true;
}

bool rv_tr_bclr(RvTrans *t, const RvInsn *i)
{
    return with(t, i, IR_ANDN, bit(t, i));
}

bool rv_tr_binv(RvTrans *t, const RvInsn *i)
{
    return with(t, i, IR_XOR, bit(t, i));
}

bool rv_tr_bset(RvTrans *t, const RvInsn *i)
{
    return with(t, i, IR_OR, bit(t, i));
}

bool rv_tr_bext(RvTrans *t, const RvInsn *i)
{
    return extract(t, i, rv_get(t, i->rs2));
}

bool rv_tr_bclri(RvTrans *t, const RvInsn *i)
{
    return with(t, i, IR_AND, rv_const(t, (int64_t) ~(1ull << i->imm)));
}

bool rv_tr_binvi(RvTrans *t, const RvInsn *i)
{
    return with(t, i, IR_XOR, rv_const(t, (int64_t)(1ull << i->imm)));
}

bool rv_tr_bseti(RvTrans *t, const RvInsn *i)
{
    return with(t, i, IR_OR, rv_const(t, (int64_t)(1ull << i->imm)));
}

bool rv_tr_bexti(RvTrans *t, const RvInsn *i)
{
    return extract(t, i, rv_const(t, i->imm));
}
