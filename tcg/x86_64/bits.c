/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shifts, rotates, bit counts, carry-less and ordinary products, quotients. Each has the form for newer hosts and the one that
 * every x86-64 has (TcgCompiler.features), both tested.
 */
#include "tcg/x86_64/x86-priv.h"

/* ---- Shifts and rotates ---- */

static unsigned shift_group(IrOp op)
{
    return op == IR_SHL    ? X86_G2_SHL
           : op == IR_SHR  ? X86_G2_SHR
           : op == IR_SAR  ? X86_G2_SAR
           : op == IR_ROTL ? X86_G2_ROL
                           : X86_G2_ROR;
}

static int emit_shift_const(TcgCompiler *c, const IrInsn *in, unsigned count)
{
    uint32_t w = x86_w(in->type);
    unsigned width = in->type == IR_I64 ? 64 : 32;
    bool rotate = in->op == IR_ROTL || in->op == IR_ROTR;
    int d;

    if (in->op == IR_SHL && count <= 3 && count && c->vals[in->a].reg >= 0 &&
        !x86_in_place(c, in->a)) {
        int ra = x86_use(c, in->a);

        d = x86_dest(c, ra);
        if (count == 1) {
            x86_rm(&c->as, X86_LEA | w, d, x86_mem_index(ra, ra, 0, 0));
        } else {
            x86_rm(&c->as, X86_LEA | w, d, x86_mem_index(X86_NO_REG, ra, count, 0));
        }
        return d;
    }
    if (rotate && c->features & X86_FEAT_BMI2 && !x86_in_place(c, in->a)) {
        X86Rm ra = x86_use_rm(c, in->a);

        d = x86_dest(c, ra.reg);
        x86_vex_rmx(c, X86_RORX | w, d, 0, ra);
        x86_put8(&c->as, in->op == IR_ROTR ? count : (width - count) & (width - 1));
        return d;
    }
    d = x86_copy_to_dest(c, in->a, 0);
    if (count) {
        x86_shift_ri(&c->as, w, shift_group(in->op), d, count);
    } else {
        x86_rr(&c->as, X86_MOV | w, d, d); /* an i32 result's upper half is zero */
    }
    return d;
}

/* By cl: rotates, and shifts without BMI2. */
static int emit_shift_cl(TcgCompiler *c, const IrInsn *in)
{
    int d;

    if (c->vals[in->b].reg != X86_RCX) {
        x86_claim(c, X86_RCX);
        x86_load_to(c, X86_RCX, in->b);
    }
    c->locked |= 1u << X86_RCX;
    d = x86_copy_to_dest(c, in->a, 1u << X86_RCX);
    x86_rr(&c->as, X86_G2_CL | x86_w(in->type), (int)shift_group(in->op), d);
    return d;
}

int x86_emit_shift(TcgCompiler *c, const IrInsn *in)
{
    uint32_t w = x86_w(in->type);
    X86Rm ra;
    int rb, d;

    if (c->insns[in->b].op == IR_CONST) {
        return emit_shift_const(c, in, c->insns[in->b].imm & (in->type == IR_I64 ? 63 : 31));
    }
    if (!(c->features & X86_FEAT_BMI2) || in->op == IR_ROTL || in->op == IR_ROTR) {
        return emit_shift_cl(c, in);
    }
    rb = x86_use(c, in->b);
    ra = x86_use_rm(c, in->a);
    d = x86_dest(c, x86_in_place(c, in->b) ? rb : ra.reg);
    x86_vex_rmx(c,
                (in->op == IR_SHL   ? X86_SHLX
                 : in->op == IR_SHR ? X86_SHRX
                                    : X86_SARX) |
                    w,
                d, rb, ra);
    return d;
}

/* ---- Counting bits ---- */

/* clz by bsr, ctz by bsf: both leave the destination alone (or undefined) for 0, so a cmov puts in what gives the width. */
static int emit_scan(TcgCompiler *c, const IrInsn *in)
{
    uint32_t w = x86_w(in->type);
    unsigned width = in->type == IR_I64 ? 64 : 32;
    bool clz = in->op == IR_CLZ;
    int ra = x86_use(c, in->a);
    int t = x86_temp(c);
    int d = x86_dest_not(c, ra, 1u << t);

    x86_mov_ri(&c->as, t, clz ? 2 * width - 1 : width);
    x86_rr(&c->as, (clz ? X86_BSR : X86_BSF) | w, d, ra);
    x86_rr(&c->as, X86_CMOV | X86_CC_E | w, d, t);
    if (clz) {
        x86_alu_ri(&c->as, w, X86_G1_XOR, d, (int32_t)width - 1);
    }
    return d;
}

/* d = (d >> shift & mask) + (d & mask) */
static void fold_counts(TcgCompiler *c, int d, int t, int k, unsigned shift, uint64_t mask)
{
    x86_mov_ri(&c->as, k, mask);
    x86_mov_rr(&c->as, t, d);
    x86_shift_ri(&c->as, X86_W, X86_G2_SHR, t, shift);
    x86_rr(&c->as, X86_AND | X86_W, t, k);
    x86_rr(&c->as, X86_AND | X86_W, d, k);
    x86_rr(&c->as, X86_ADD | X86_W, d, t);
}

static int emit_popcnt_sum(TcgCompiler *c, const IrInsn *in)
{
    int t = x86_temp(c), k = x86_temp(c);
    int d = x86_copy_to_dest(c, in->a, 1u << t | 1u << k);

    x86_rr(&c->as, X86_MOV | x86_w(in->type), d, d);
    fold_counts(c, d, t, k, 1, 0x5555555555555555);
    fold_counts(c, d, t, k, 2, 0x3333333333333333);
    fold_counts(c, d, t, k, 4, 0x0f0f0f0f0f0f0f0f);
    x86_mov_ri(&c->as, k, 0x0101010101010101);
    x86_rr(&c->as, X86_IMUL | X86_W, d, k);
    x86_shift_ri(&c->as, X86_W, X86_G2_SHR, d, 56);
    return d;
}

int x86_emit_count(TcgCompiler *c, const IrInsn *in)
{
    static const struct {
        uint32_t op, feature;
    } direct[] = {
        { X86_LZCNT, X86_FEAT_LZCNT },
        { X86_TZCNT, X86_FEAT_BMI1 },
        { X86_POPCNT, X86_FEAT_POPCNT },
    };
    unsigned which = in->op == IR_CLZ ? 0 : in->op == IR_CTZ ? 1 : 2;
    X86Rm ra;
    int d;

    if (!(c->features & direct[which].feature)) {
        return in->op == IR_POPCNT ? emit_popcnt_sum(c, in) : emit_scan(c, in);
    }
    ra = x86_use_rm(c, in->a);
    d = x86_dest(c, ra.reg);
    x86_op_rm(c, direct[which].op | x86_w(in->type), d, ra);
    return d;
}

/* ---- Carry-less products ---- */

/* 64 steps of shift and add without carry: the product grows in high:low from the top while low's bits are used up. */
static int emit_clmul_loop(TcgCompiler *c, const IrInsn *in)
{
    int ra = x86_use(c, in->a);
    int low = x86_temp(c), high, count;
    uint8_t *loop, *skip, *again;

    x86_load_to(c, low, in->b);
    high = x86_temp(c);
    count = x86_temp(c);
    x86_zero(c, high);
    x86_mov_ri(&c->as, count, 64);
    loop = c->as.p;
    x86_rr(&c->as, X86_G3, X86_G3_TEST, low);
    x86_put32(&c->as, 1);
    skip = x86_jcc8(&c->as, X86_CC_E);
    x86_rr(&c->as, X86_XOR | X86_W, high, ra);
    x86_bind8(&c->as, skip);
    x86_shift_ri(&c->as, X86_W, X86_G2_SHR, high, 1);
    x86_shift_ri(&c->as, X86_W, X86_G2_RCR, low, 1);
    x86_rr(&c->as, X86_G5, X86_G5_DEC, count);
    again = x86_jcc8(&c->as, X86_CC_NE);
    *again = (uint8_t)(loop - (again + 1));
    return in->op == IR_CLMUL ? low : high;
}

int x86_emit_clmul(TcgCompiler *c, const IrInsn *in)
{
    int ra, rb, d, xa, xb;

    if (!(c->features & X86_FEAT_PCLMUL)) {
        return emit_clmul_loop(c, in);
    }
    ra = x86_use(c, in->a);
    rb = x86_use(c, in->b);
    d = x86_dest(c, ra);
    xa = x86_temp_x(c);
    xb = x86_temp_x(c);
    x86_reg_to_xmm(c, xa, ra);
    x86_reg_to_xmm(c, xb, rb);
    x86_rr(&c->as, X86_PCLMUL, x86_xmm(xa), x86_xmm(xb));
    x86_put8(&c->as, 0);
    if (in->op == IR_CLMULH) {
        x86_rr(&c->as, X86_PSRLDQ, 3, x86_xmm(xa));
        x86_put8(&c->as, 8);
    }
    x86_xmm_to_reg(c, d, xa);
    return d;
}

/* ---- Products ---- */

static int emit_mul_low(TcgCompiler *c, const IrInsn *in)
{
    uint32_t w = x86_w(in->type);
    IrVal a = in->a, b = in->b;
    int32_t imm;
    X86Rm ra;
    int d;

    if (x86_imm(c, a, in->type, &imm)) {
        a = in->b;
        b = in->a;
    }
    if (x86_imm(c, b, in->type, &imm)) {
        ra = x86_use_rm(c, a);
        d = x86_dest(c, ra.reg);
        if (imm == (int8_t)imm) {
            x86_op_rm(c, X86_IMUL_I8 | w, d, ra);
            x86_put8(&c->as, (uint8_t)imm);
        } else {
            x86_op_rm(c, X86_IMUL_I32 | w, d, ra);
            x86_put32(&c->as, (uint32_t)imm);
        }
        return d;
    }
    if (!x86_in_place(c, a) && x86_in_place(c, b)) {
        IrVal t = a;

        a = b;
        b = t;
    }
    ra = x86_use_rm(c, b);
    if (c->vals[a].reg >= 0 || c->vals[a].last > c->at) {
        x86_use(c, a);
    }
    d = x86_dest(c, c->vals[a].reg);
    if (d == ra.reg && c->vals[a].reg != d) {
        ra = x86_use_rm(c, a);
    } else {
        x86_load_to(c, d, a);
    }
    x86_op_rm(c, X86_IMUL | w, d, ra);
    return d;
}

/* Upper half of a 32-bit product: a 64-bit one of the extended operands. */
static int emit_mul_high32(TcgCompiler *c, const IrInsn *in)
{
    X86Rm ra, rb = x86_use_rm(c, in->b);
    int t = x86_temp(c), d;

    x86_op_rm(c, in->op == IR_MULHS ? X86_MOVSXD : X86_MOV, t, rb);
    ra = x86_use_rm(c, in->a);
    d = x86_dest_not(c, ra.reg, 1u << t);
    x86_op_rm(c, in->op == IR_MULHU ? X86_MOV : X86_MOVSXD, d, ra);
    x86_rr(&c->as, X86_IMUL | X86_W, d, t);
    x86_shift_ri(&c->as, X86_W, X86_G2_SHR, d, 32);
    return d;
}

static int emit_mulx(TcgCompiler *c, const IrInsn *in)
{
    IrVal a = in->a, b = in->b;
    X86Rm rb;
    int d;

    if (c->vals[b].reg == X86_RDX) {
        a = in->b;
        b = in->a;
    }
    if (c->vals[a].reg != X86_RDX) {
        x86_claim(c, X86_RDX);
        x86_load_to(c, X86_RDX, a);
    }
    c->locked |= 1u << X86_RDX;
    rb = x86_use_rm(c, b);
    d = x86_dest(c, rb.reg >= 0 && rb.reg != X86_RDX ? rb.reg : X86_NO_REG);
    x86_vex_rmx(c, X86_MULX | X86_W, d, d, rb);
    return d;
}

static int emit_mul_high(TcgCompiler *c, const IrInsn *in)
{
    int ra, rb;

    x86_claim(c, X86_RAX);
    x86_claim(c, X86_RDX);
    ra = x86_use(c, in->a);
    rb = x86_use(c, in->b);
    x86_mov_rr(&c->as, X86_RAX, ra);
    x86_rr(&c->as, X86_G3 | X86_W, in->op == IR_MULHS ? X86_G3_IMUL : X86_G3_MUL, rb);
    if (in->op == IR_MULHSU) { /* a negative counted as a + 2^64: b too much */
        x86_mov_rr(&c->as, X86_RAX, ra);
        x86_shift_ri(&c->as, X86_W, X86_G2_SAR, X86_RAX, 63);
        x86_rr(&c->as, X86_AND | X86_W, X86_RAX, rb);
        x86_rr(&c->as, X86_SUB | X86_W, X86_RDX, X86_RAX);
    }
    return X86_RDX;
}

int x86_emit_mul(TcgCompiler *c, const IrInsn *in)
{
    if (in->op == IR_MUL) {
        return emit_mul_low(c, in);
    }
    if (in->type == IR_I32) {
        return emit_mul_high32(c, in);
    }
    if (in->op == IR_MULHU && c->features & X86_FEAT_BMI2) {
        return emit_mulx(c, in);
    }
    return emit_mul_high(c, in);
}

/* ---- Quotients ---- */

/* Jumps to the cold part if the divisor in @rb needs care: 0, or -1 if signed. */
static X86Cold *check_divisor(TcgCompiler *c, const IrInsn *in, int rb)
{
    uint32_t w = x86_w(in->type);
    bool sign = in->op == IR_DIVS || in->op == IR_REMS;
    X86Cold *cold;

    if (c->insns[in->b].op == IR_CONST) {
        uint64_t k = c->insns[in->b].imm;

        if (k && (!sign || k != (in->type == IR_I64 ? UINT64_MAX : UINT32_MAX))) {
            return NULL;
        }
    }
    if (sign) {
        x86_rm(&c->as, X86_LEA | w, X86_RDX, x86_mem(rb, 1));
        x86_alu_ri(&c->as, w, X86_G1_CMP, X86_RDX, 1);
    } else {
        x86_rr(&c->as, X86_TEST | w, rb, rb);
    }
    cold = x86_cold(c, X86_COLD_DIV, x86_jcc(&c->as, sign ? X86_CC_BE : X86_CC_E));
    cold->r1 = (int8_t)rb;
    cold->word = in->op;
    cold->memop = in->type;
    return cold;
}

int x86_emit_div(TcgCompiler *c, const IrInsn *in)
{
    uint32_t w = x86_w(in->type);
    bool sign = in->op == IR_DIVS || in->op == IR_REMS;
    X86Cold *cold;
    int rb;

    x86_claim(c, X86_RAX);
    x86_claim(c, X86_RDX);
    rb = x86_use(c, in->b);
    x86_load_to(c, X86_RAX, in->a);
    cold = check_divisor(c, in, rb);
    if (sign) {
        c->as.p = x86_opcode(c->as.p, 0x99 | w, 0, 0, 0, false); /* cdq, cqo */
    } else {
        x86_zero(c, X86_RDX);
    }
    x86_rr(&c->as, X86_G3 | w, sign ? X86_G3_IDIV : X86_G3_DIV, rb);
    if (cold) {
        cold->back = c->as.p;
    }
    return in->op == IR_DIVS || in->op == IR_DIVU ? X86_RAX : X86_RDX;
}
