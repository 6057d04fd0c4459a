/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules by which the builder folds while it builds: constants, identities, extensions of what
 * is extended already, the shift pairs and compares of compares that compilers write. A rule looks
 * at the operation that defines an operand and never further than one step, so building stays
 * linear.
 *
 * What a rule must not do: keep a value alive only to shorten a chain through a guest register.
 * Such sums are not forwarded by ir_getreg() in the first place.
 */
#include "tcg/ir-priv.h"

static unsigned width(IrType type)
{
    return type == IR_I32 ? 32 : 64;
}

static bool is_const(const IrBlock *ir, IrVal v, uint64_t k)
{
    const IrInsn *i = &ir->insns[v];

    return i->op == IR_CONST && i->imm == k;
}

/* ---- What is known of a value ---- */

/* The value is below 1 << this. */
static unsigned significant_bits(const IrBlock *ir, IrVal v)
{
    const IrInsn *i = &ir->insns[v];
    uint64_t k;

    switch (i->op) {
    case IR_CONST:
        return i->imm ? 64 - (unsigned)__builtin_clzll(i->imm) : 0;
    case IR_SETCC:
        return 1;
    case IR_ZEXT8:
        return 8;
    case IR_ZEXT16:
        return 16;
    case IR_ZEXT:
        return 32;
    case IR_CLZ:
    case IR_CTZ:
    case IR_POPCNT:
        return 7;
    case IR_AND:
        if (ir_is_const(ir, i->b, &k)) {
            return significant_bits(ir, i->b);
        }
        break;
    case IR_SHR:
        if (ir_is_const(ir, i->b, &k)) {
            return width((IrType)i->type) - (k & (width((IrType)i->type) - 1));
        }
        break;
    case IR_LOAD:
        if (!(i->imm >> 32 & IR_MEM_SIGN)) {
            return 8u << (i->imm >> 32 & IR_MEM_SIZE);
        }
        break;
    }
    return width((IrType)i->type);
}

/* Whether @v is what sign-extending its low @bits gives. */
static bool is_sign_extended(const IrBlock *ir, IrVal v, unsigned bits)
{
    const IrInsn *i = &ir->insns[v];
    unsigned size;

    switch (i->op) {
    case IR_SEXT:
        return bits >= 32;
    case IR_SEXT8:
        return bits >= 8;
    case IR_SEXT16:
        return bits >= 16;
    case IR_CONST:
        return (int64_t)(i->imm << (64 - bits)) >> (64 - bits) == (int64_t)i->imm;
    case IR_SAR:
        return i->type == IR_I64 && ir->insns[i->b].op == IR_CONST &&
               64 - (ir->insns[i->b].imm & 63) <= bits;
    case IR_LOAD:
        size = 8u << (i->imm >> 32 & IR_MEM_SIZE);
        if (i->imm >> 32 & IR_MEM_SIGN) {
            return size <= bits;
        }
        return size < bits;
    default:
        return significant_bits(ir, v) < bits;
    }
}

/* ---- One operand ---- */

static IrVal fold_extension(const IrBlock *ir, IrOp op, IrVal a)
{
    const IrInsn *inner = &ir->insns[a];
    bool is_trunc = inner->op == IR_TRUNC;

    switch (op) {
    case IR_TRUNC:
        return inner->op == IR_SEXT || inner->op == IR_ZEXT ? inner->a : IR_NONE;
    case IR_SEXT:
        return is_trunc && is_sign_extended(ir, inner->a, 32) ? inner->a : IR_NONE;
    case IR_ZEXT:
        return is_trunc && significant_bits(ir, inner->a) <= 32 ? inner->a : IR_NONE;
    case IR_SEXT8:
        return is_sign_extended(ir, a, 8) ? a : IR_NONE;
    case IR_SEXT16:
        return is_sign_extended(ir, a, 16) ? a : IR_NONE;
    case IR_ZEXT8:
        return significant_bits(ir, a) <= 8 ? a : IR_NONE;
    case IR_ZEXT16:
        return significant_bits(ir, a) <= 16 ? a : IR_NONE;
    default:
        return IR_NONE;
    }
}

IrVal ir_fold_unary(IrBlock *ir, IrOp op, IrType type, IrVal a)
{
    const IrInsn *inner = &ir->insns[a];

    if (inner->op == IR_CONST) {
        return ir_const(ir, type, ir_eval(op, type, (IrType)inner->type, 0, inner->imm, 0, 0));
    }
    if ((op == IR_NOT || op == IR_NEG || op == IR_BSWAP) && inner->op == op) {
        return inner->a;
    }
    return fold_extension(ir, op, a);
}

/* ---- Two operands, the right one constant ---- */

/* @a with its upper @k bits replaced by zeros or copies of the highest one left; IR_NONE: no
 * operation does that. */
static IrVal extend_low(IrBlock *ir, IrType type, IrVal a, unsigned k, bool is_signed)
{
    switch (width(type) - k) {
    case 8:
        return ir_unary(ir, is_signed ? IR_SEXT8 : IR_ZEXT8, a);
    case 16:
        return ir_unary(ir, is_signed ? IR_SEXT16 : IR_ZEXT16, a);
    case 32:
        return ir_unary(ir, is_signed ? IR_SEXT : IR_ZEXT, ir_trunc(ir, a));
    default:
        return IR_NONE;
    }
}

/* (x << k1) >> k: an extension of x's low bits, then at most a shift left. */
static IrVal fold_shift_pair(IrBlock *ir, IrOp op, IrType type, IrVal a, unsigned k)
{
    const IrInsn *inner = &ir->insns[a];
    uint64_t k1;
    IrVal v;

    if (inner->op != IR_SHL || !ir_is_const(ir, inner->b, &k1)) {
        return IR_NONE;
    }
    k1 &= width(type) - 1;
    if (k > k1) {
        return IR_NONE;
    }
    v = extend_low(ir, type, inner->a, (unsigned)k1, op == IR_SAR);
    return v == IR_NONE || k == k1 ? v : ir_shl(ir, v, ir_const(ir, type, k1 - k));
}

static IrVal fold_shift(IrBlock *ir, IrOp op, IrType type, IrVal a, uint64_t k)
{
    k &= width(type) - 1;
    if (k == 0) {
        return a;
    }
    return op == IR_SHR || op == IR_SAR ? fold_shift_pair(ir, op, type, a, (unsigned)k) : IR_NONE;
}

/* (x + k1) + k, and pcrel + k. */
static IrVal fold_sum(IrBlock *ir, IrType type, IrVal a, uint64_t k)
{
    const IrInsn *inner = &ir->insns[a];
    uint64_t k1;

    if (k == 0) {
        return a;
    }
    if (inner->op == IR_PCREL) {
        return ir_pcrel(ir, (int64_t)(inner->imm + k));
    }
    if (inner->op == IR_ADD && ir_is_const(ir, inner->b, &k1)) {
        return ir_add(ir, inner->a, ir_const(ir, type, k1 + k));
    }
    return IR_NONE;
}

static IrVal fold_and(IrBlock *ir, IrType type, IrVal a, uint64_t k)
{
    unsigned low = k & (k + 1) ? 0 : k == UINT64_MAX ? 64 : (unsigned)__builtin_ctzll(~k);

    if (k == 0) {
        return ir_const(ir, type, 0);
    }
    if (!low) {
        return IR_NONE;
    }
    if (significant_bits(ir, a) <= low) {
        return a;
    }
    return extend_low(ir, type, a, width(type) - low, false);
}

static IrVal fold_product(IrBlock *ir, IrType type, IrVal a, uint64_t k)
{
    if (k <= 1) {
        return k ? a : ir_const(ir, type, 0);
    }
    if (k & (k - 1)) {
        return IR_NONE;
    }
    return ir_shl(ir, a, ir_const(ir, type, (uint64_t)__builtin_ctzll(k)));
}

static IrVal fold_unsigned_division(IrBlock *ir, IrOp op, IrType type, IrVal a, uint64_t k)
{
    if (!k || k & (k - 1)) {
        return IR_NONE;
    }
    if (op == IR_REMU) {
        return ir_and(ir, a, ir_const(ir, type, k - 1));
    }
    return ir_shr(ir, a, ir_const(ir, type, (uint64_t)__builtin_ctzll(k)));
}

static IrVal fold_xor(IrBlock *ir, IrVal a, uint64_t k)
{
    const IrInsn *inner = &ir->insns[a];

    if (k == 0) {
        return a;
    }
    if (k == 1 && inner->op == IR_SETCC) {
        return ir_setcc(ir, ir_cond_invert((IrCond)inner->imm), inner->a, inner->b);
    }
    return IR_NONE;
}

static IrVal fold_right_const(IrBlock *ir, IrOp op, IrVal a, uint64_t k)
{
    IrType type = ir_type(ir, a);

    switch (op) {
    case IR_ADD:
        return fold_sum(ir, type, a, k);
    case IR_SUB:
        return k ? ir_add(ir, a, ir_const(ir, type, -k)) : a;
    case IR_AND:
        return fold_and(ir, type, a, k);
    case IR_OR:
    case IR_ANDN:
        return k == 0 ? a : IR_NONE;
    case IR_XOR:
        return fold_xor(ir, a, k);
    case IR_MUL:
        return fold_product(ir, type, a, k);
    case IR_DIVU:
    case IR_REMU:
        return fold_unsigned_division(ir, op, type, a, k);
    case IR_DIVS:
        return k == 1 ? a : IR_NONE;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROTL:
    case IR_ROTR:
        return fold_shift(ir, op, type, a, k);
    default:
        return IR_NONE;
    }
}

/* ---- Two operands ---- */

static IrVal fold_same(IrBlock *ir, IrOp op, IrVal a)
{
    switch (op) {
    case IR_SUB:
    case IR_XOR:
    case IR_ANDN:
        return ir_const(ir, ir_type(ir, a), 0);
    case IR_AND:
    case IR_OR:
        return a;
    default:
        return IR_NONE;
    }
}

IrVal ir_fold_binary(IrBlock *ir, IrOp op, IrVal *a, IrVal *b)
{
    IrType type = ir_type(ir, *a);
    uint64_t ka, kb;
    bool a_const = ir_is_const(ir, *a, &ka), b_const = ir_is_const(ir, *b, &kb);

    if (a_const && b_const) {
        return ir_const(ir, type, ir_eval(op, type, type, 0, ka, kb, 0));
    }
    if (b_const) {
        return fold_right_const(ir, op, *a, kb);
    }
    if (a_const && (ir_op_info[op].flags & IR_F_COMM)) {
        IrVal t = *a;

        *a = *b;
        *b = t;
        return fold_right_const(ir, op, *a, ka);
    }
    if (op == IR_SUB && a_const && ka == 0) {
        return ir_neg(ir, *b);
    }
    return *a == *b ? fold_same(ir, op, *a) : IR_NONE;
}

/* ---- Compares ---- */

/* Compares with 0 and 1 that have a plainer form. */
static IrCond plain_compare(IrBlock *ir, IrCond cond, IrVal *b)
{
    if (is_const(ir, *b, 0)) {
        return cond == IR_GTU ? IR_NE : cond == IR_LEU ? IR_EQ : cond;
    }
    if ((cond == IR_LTU || cond == IR_GEU) && is_const(ir, *b, 1)) {
        *b = ir_const(ir, ir_type(ir, *b), 0);
        return cond == IR_LTU ? IR_EQ : IR_NE;
    }
    return cond;
}

/* Puts a constant to the right and looks through "(a cond b) == 0" and "!= 0". */
static void simplify_compare(IrBlock *ir, IrCond *cond, IrVal *a, IrVal *b)
{
    const IrInsn *inner;

    if (ir->insns[*a].op == IR_CONST) {
        IrVal t = *a;

        *a = *b;
        *b = t;
        *cond = ir_cond_swap(*cond);
    }
    if (ir->insns[*b].op != IR_CONST) {
        return;
    }
    *cond = plain_compare(ir, *cond, b);
    inner = &ir->insns[*a];
    if (inner->op == IR_SETCC && (*cond == IR_EQ || *cond == IR_NE) && is_const(ir, *b, 0)) {
        *cond = *cond == IR_NE ? (IrCond)inner->imm : ir_cond_invert((IrCond)inner->imm);
        *a = inner->a;
        *b = inner->b;
    }
}

/* Whether the compare's outcome is known. */
static bool known_compare(const IrBlock *ir, IrCond cond, IrVal a, IrVal b, bool *outcome)
{
    uint64_t ka, kb;
    bool b_const = ir_is_const(ir, b, &kb);

    if (a == b || (ir_is_const(ir, a, &ka) && b_const)) {
        *outcome =
            a == b ? ir_cond_eval(cond, IR_I64, 0, 0) : ir_cond_eval(cond, ir_type(ir, a), ka, kb);
        return true;
    }
    *outcome = cond == IR_GEU;
    return b_const && kb == 0 && (cond == IR_LTU || cond == IR_GEU);
}

IrVal ir_fold_setcc(IrBlock *ir, IrCond *cond, IrVal *a, IrVal *b)
{
    IrType type = ir_type(ir, *a);
    bool outcome;

    simplify_compare(ir, cond, a, b);
    return known_compare(ir, *cond, *a, *b, &outcome) ? ir_const(ir, type, outcome) : IR_NONE;
}

bool ir_fold_exitcc(IrBlock *ir, IrCond *cond, IrVal *a, IrVal *b)
{
    bool outcome;

    simplify_compare(ir, cond, a, b);
    return known_compare(ir, *cond, *a, *b, &outcome) && !outcome;
}

IrVal ir_fold_select(IrBlock *ir, IrVal *cond, IrVal *b, IrVal *c)
{
    const IrInsn *inner = &ir->insns[*cond];

    if (*b == *c) {
        return *b;
    }
    if (inner->op == IR_CONST) {
        return inner->imm ? *b : *c;
    }
    if (inner->op == IR_SETCC && (inner->imm == IR_EQ || inner->imm == IR_NE) &&
        is_const(ir, inner->b, 0)) {
        if (inner->imm == IR_EQ) {
            IrVal t = *b;

            *b = *c;
            *c = t;
        }
        *cond = inner->a;
    }
    return IR_NONE;
}

/* ---- Addresses ---- */

IrVal ir_fold_address(const IrBlock *ir, IrVal addr, int32_t *disp)
{
    const IrInsn *i = &ir->insns[addr];
    int64_t k;

    if (i->op != IR_ADD || ir->insns[i->b].op != IR_CONST) {
        return addr;
    }
    k = (int64_t)ir->insns[i->b].imm;
    if (k != (int32_t)k || k + *disp != (int32_t)(k + *disp)) {
        return addr;
    }
    *disp = (int32_t)(k + *disp);
    return i->a;
}
