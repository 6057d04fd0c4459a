/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Choice of instructions: operands, addresses, compares, add to xor, setcc, select, and the widening and narrowing moves.
 * Called once an operation by compile.c; what an operation may not do is explained in alloc.c.
 */
#include "tcg/x86_64/x86-priv.h"

void x86_op_rm(TcgCompiler *c, uint32_t op, int reg, X86Rm rm)
{
    if (rm.reg >= 0) {
        x86_rr(&c->as, op, reg, rm.reg);
    } else {
        x86_rm(&c->as, op, reg, x86_mem(X86_CPU, rm.disp));
    }
}

void x86_vex_rmx(TcgCompiler *c, uint32_t op, int reg, int v, X86Rm rm)
{
    if (rm.reg >= 0) {
        x86_vex_rr(&c->as, op, reg, v, rm.reg);
    } else {
        x86_vex_rm(&c->as, op, reg, v, x86_mem(X86_CPU, rm.disp));
    }
}

void x86_zero(TcgCompiler *c, int reg)
{
    x86_rr(&c->as, X86_XOR, reg, reg);
}

int x86_copy_to_dest(TcgCompiler *c, IrVal a, uint32_t avoid)
{
    int d;

    if (c->vals[a].reg >= 0 || c->vals[a].last > c->at) {
        x86_use(c, a);
    }
    d = x86_dest_not(c, c->vals[a].reg, avoid);
    x86_load_to(c, d, a);
    return d;
}

/* ---- Addresses and sums ---- */

X86Mem x86_address(TcgCompiler *c, IrVal a, int64_t disp)
{
    const IrInsn *in = &c->insns[a];
    IrVal base, index;
    unsigned scale = 0;

    if (!(c->vals[a].flags & X86_VAL_FUSED)) {
        return x86_mem(x86_use(c, a), (int32_t)disp);
    }
    base = in->a;
    index = in->b;
    if (c->insns[index].op == IR_CONST) {
        int64_t sum = disp + (int64_t)c->insns[index].imm;

        if (sum == (int32_t)sum) {
            return x86_mem(x86_use(c, base), (int32_t)sum);
        }
    }
    if (c->vals[base].flags & X86_VAL_FUSED) {
        base = in->b;
        index = in->a;
    }
    if (c->vals[index].flags & X86_VAL_FUSED) {
        scale = (unsigned)c->insns[c->insns[index].b].imm;
        index = c->insns[index].a;
    }
    base = (IrVal)x86_use(c, base);
    return x86_mem_index(base, x86_use(c, index), scale, (int32_t)disp);
}

static bool is_fused(const TcgCompiler *c, IrVal v)
{
    return c->vals[v].flags & X86_VAL_FUSED;
}

/* x + (y << scale) with the shift fused. */
static int emit_add_scaled(TcgCompiler *c, const IrInsn *in)
{
    IrVal shift = is_fused(c, in->b) ? in->b : in->a;
    IrVal other = shift == in->b ? in->a : in->b;
    unsigned scale = (unsigned)c->insns[c->insns[shift].b].imm;
    int index = x86_use(c, c->insns[shift].a);
    int32_t imm;
    int base, d;

    if (x86_imm(c, other, in->type, &imm)) {
        d = x86_dest(c, index);
        x86_rm(&c->as, X86_LEA | x86_w(in->type), d, x86_mem_index(X86_NO_REG, index, scale, imm));
        return d;
    }
    base = x86_use(c, other);
    d = x86_dest(c, x86_reg_dies(c, index) && !x86_is_pin(index) ? index : base);
    x86_rm(&c->as, X86_LEA | x86_w(in->type), d, x86_mem_index(base, index, scale, 0));
    return d;
}

static int emit_add_imm(TcgCompiler *c, IrVal a, IrType type, int32_t imm)
{
    int ra, d;

    if (c->vals[a].reg < 0 && c->vals[a].last <= c->at) {
        d = x86_copy_to_dest(c, a, 0);
        x86_alu_ri(&c->as, x86_w(type), X86_G1_ADD, d, imm);
        return d;
    }
    ra = x86_use(c, a);
    d = x86_dest(c, ra);
    if (d == ra) {
        x86_alu_ri(&c->as, x86_w(type), X86_G1_ADD, d, imm);
    } else {
        x86_rm(&c->as, X86_LEA | x86_w(type), d, x86_mem(ra, imm));
    }
    return d;
}

static int emit_add(TcgCompiler *c, const IrInsn *in)
{
    IrVal a = in->a, b = in->b;
    int32_t imm;
    X86Rm rb;
    int ra, d;

    if (is_fused(c, a) || is_fused(c, b)) {
        return emit_add_scaled(c, in);
    }
    if (x86_imm(c, a, in->type, &imm) || (c->vals[a].reg < 0 && c->vals[b].reg >= 0)) {
        a = in->b;
        b = in->a;
    }
    if (x86_imm(c, b, in->type, &imm)) {
        return emit_add_imm(c, a, in->type, imm);
    }
    ra = x86_use(c, a);
    rb = x86_use_rm(c, b);
    d = x86_dest(c, x86_in_place(c, a) || rb.reg < 0 ? ra : rb.reg);
    if (rb.reg >= 0 && d != ra && d != rb.reg) {
        x86_rm(&c->as, X86_LEA | x86_w(in->type), d, x86_mem_index(ra, rb.reg, 0, 0));
    } else if (d == rb.reg) {
        x86_rr(&c->as, X86_ADD | x86_w(in->type), d, ra);
    } else {
        x86_mov_rr(&c->as, d, ra);
        x86_op_rm(c, X86_ADD | x86_w(in->type), d, rb);
    }
    return d;
}

/* ---- Two-operand arithmetic ---- */

/* A mask that is a move or a narrower operation. X86_NO_REG: none of these. */
static int emit_and_mask(TcgCompiler *c, IrVal a, IrType type, uint64_t mask)
{
    uint32_t op;
    X86Rm ra;
    int d;

    if (mask == 0xff) {
        op = X86_MOVZX8;
    } else if (mask == 0xffff) {
        op = X86_MOVZX16;
    } else if (type == IR_I64 && mask == 0xffffffff) {
        op = X86_MOV;
    } else if (mask < 0x80000000 || (type == IR_I64 && mask == (uint32_t)mask)) {
        d = x86_copy_to_dest(c, a, 0);
        x86_alu_ri(&c->as, 0, X86_G1_AND, d, (int32_t)mask);
        return d;
    } else {
        return X86_NO_REG;
    }
    ra = x86_use_rm(c, a);
    d = x86_dest(c, ra.reg);
    x86_op_rm(c, op, d, ra);
    return d;
}

/* Or, and, xor of a 64-bit value with a constant that changes one high bit. X86_NO_REG: it is not such a constant. */
static int emit_one_bit(TcgCompiler *c, unsigned group, IrVal a, uint64_t imm)
{
    uint64_t bit = group == X86_G1_AND ? ~imm : imm;
    unsigned op = group == X86_G1_AND ? X86_G8_BTR : group == X86_G1_OR ? X86_G8_BTS : X86_G8_BTC;
    int d;

    if (group == X86_G1_SUB || !bit || bit & (bit - 1)) {
        return X86_NO_REG;
    }
    d = x86_copy_to_dest(c, a, 0);
    x86_rr(&c->as, X86_G8_I8 | X86_W, (int)op, d);
    x86_put8(&c->as, (unsigned)__builtin_ctzll(bit));
    return d;
}

static int emit_alu_const(TcgCompiler *c, unsigned group, IrVal a, IrVal b, IrType type)
{
    uint64_t value = c->insns[b].imm;
    int32_t imm;
    int d;

    if (group == X86_G1_AND) {
        d = emit_and_mask(c, a, type, value);
        if (d >= 0) {
            return d;
        }
    }
    if (!x86_imm(c, b, type, &imm)) {
        return emit_one_bit(c, group, a, value);
    }
    if (group == X86_G1_SUB && imm != INT32_MIN) {
        return emit_add_imm(c, a, type, -imm);
    }
    d = x86_copy_to_dest(c, a, 0);
    x86_alu_ri(&c->as, x86_w(type), group, d, imm);
    return d;
}

static int emit_alu(TcgCompiler *c, const IrInsn *in, unsigned group)
{
    uint32_t op = group << 3 | 3 | x86_w(in->type);
    bool commutes = group != X86_G1_SUB;
    IrVal a = in->a, b = in->b;
    X86Rm rb;
    int d;

    if (commutes && c->insns[a].op == IR_CONST) {
        a = in->b;
        b = in->a;
    }
    if (c->insns[b].op == IR_CONST) {
        d = emit_alu_const(c, group, a, b, in->type);
        if (d >= 0) {
            return d;
        }
    }
    if (commutes && !x86_in_place(c, a) && x86_in_place(c, b)) {
        IrVal t = a;

        a = b;
        b = t;
    }
    rb = x86_use_rm(c, b);
    if (c->vals[a].reg >= 0 || c->vals[a].last > c->at) {
        x86_use(c, a);
    }
    d = x86_dest(c, c->vals[a].reg);
    if (d == rb.reg && c->vals[a].reg != d) {
        if (!commutes) { /* a - d = -d + a */
            x86_rr(&c->as, X86_G3 | x86_w(in->type), X86_G3_NEG, d);
            op = X86_ADD | x86_w(in->type);
        }
        x86_op_rm(c, op, d, x86_use_rm(c, a));
    } else {
        x86_load_to(c, d, a);
        x86_op_rm(c, op, d, rb);
    }
    return d;
}

static int emit_andn(TcgCompiler *c, const IrInsn *in)
{
    uint32_t w = x86_w(in->type);
    int rb = x86_use(c, in->b);
    X86Rm ra = x86_use_rm(c, in->a);
    int d;

    if (c->features & X86_FEAT_BMI1) {
        d = x86_dest(c, x86_in_place(c, in->b) ? rb : ra.reg);
        x86_vex_rmx(c, X86_ANDN | w, d, rb, ra);
        return d;
    }
    d = x86_dest_not(c, rb, ra.reg >= 0 ? 1u << ra.reg : 0);
    x86_mov_rr(&c->as, d, rb);
    x86_rr(&c->as, X86_G3 | w, X86_G3_NOT, d);
    x86_op_rm(c, X86_AND | w, d, ra);
    return d;
}

int x86_emit_binary(TcgCompiler *c, const IrInsn *in)
{
    switch (in->op) {
    case IR_ADD:
        return emit_add(c, in);
    case IR_SUB:
        return emit_alu(c, in, X86_G1_SUB);
    case IR_AND:
        return emit_alu(c, in, X86_G1_AND);
    case IR_OR:
        return x86_is_box(c, in) && c->vals[c->at].flags & X86_VAL_X ? x86_emit_box(c, in)
                                                                     : emit_alu(c, in, X86_G1_OR);
    case IR_XOR:
        return emit_alu(c, in, X86_G1_XOR);
    default:
        return emit_andn(c, in);
    }
}

/* ---- Compares ---- */

static const uint8_t cc_of[] = {
    [IR_EQ] = X86_CC_E,   [IR_NE] = X86_CC_NE, [IR_LT] = X86_CC_L,  [IR_GE] = X86_CC_GE,
    [IR_LE] = X86_CC_LE,  [IR_GT] = X86_CC_G,  [IR_LTU] = X86_CC_B, [IR_GEU] = X86_CC_AE,
    [IR_LEU] = X86_CC_BE, [IR_GTU] = X86_CC_A,
};

unsigned x86_compare(TcgCompiler *c, IrCond cond, IrVal a, IrVal b, uint8_t **start)
{
    IrType type = c->insns[a].type;
    uint32_t w = x86_w(type);
    X86Rm rm;
    int32_t imm;
    int reg;

    if ((x86_imm(c, a, type, &imm) && !x86_imm(c, b, type, &imm)) ||
        (c->vals[a].reg < 0 && c->vals[b].reg >= 0)) {
        IrVal t = a;

        a = b;
        b = t;
        cond = ir_cond_swap(cond);
    }
    if (x86_imm(c, b, type, &imm)) {
        rm = x86_use_rm(c, a);
        *start = c->as.p;
        if (rm.reg >= 0 && imm == 0) {
            x86_rr(&c->as, X86_TEST | w, rm.reg, rm.reg);
        } else if (rm.reg >= 0) {
            x86_alu_ri(&c->as, w, X86_G1_CMP, rm.reg, imm);
        } else {
            x86_alu_mi(&c->as, w, X86_G1_CMP, x86_mem(X86_CPU, rm.disp), imm);
        }
    } else {
        reg = x86_use(c, a);
        rm = x86_use_rm(c, b);
        *start = c->as.p;
        x86_op_rm(c, X86_CMP | w, reg, rm);
    }
    return cc_of[cond];
}

static uint32_t mask_of(const TcgCompiler *c, IrVal v)
{
    return c->vals[v].reg >= 0 ? 1u << c->vals[v].reg : 0;
}

int x86_emit_setcc(TcgCompiler *c, const IrInsn *in)
{
    IrCond cond = (IrCond)in->imm;
    uint8_t *start;
    unsigned cc;
    int32_t imm;
    int d;

    if (cond == IR_LT && x86_imm(c, in->b, in->type, &imm) && imm == 0) {
        d = x86_copy_to_dest(c, in->a, 0);
        x86_shift_ri(&c->as, x86_w(in->type), X86_G2_SHR, d, in->type == IR_I64 ? 63 : 31);
        return d;
    }
    if (x86_hint(c)) { /* into the pinned register, which may be an operand's */
        cc = x86_compare(c, cond, in->a, in->b, &start);
        d = x86_dest(c, X86_NO_REG);
        x86_rr(&c->as, X86_SETCC | cc, 0, d);
        x86_rr(&c->as, X86_MOVZX8, d, d);
        return d;
    }
    d = x86_dest_not(c, X86_NO_REG, mask_of(c, in->a) | mask_of(c, in->b));
    x86_zero(c, d);
    c->keep_flags = false;
    cc = x86_compare(c, cond, in->a, in->b, &start);
    x86_rr(&c->as, X86_SETCC | cc, 0, d);
    return d;
}

/* Sets the flags for the condition of a select or exit on "@v is not 0"; the X86_CC_* that is true then. */
static unsigned emit_condition(TcgCompiler *c, IrVal v)
{
    const IrInsn *in = &c->insns[v];
    uint8_t *start;
    X86Rm rm;

    if (is_fused(c, v)) {
        return x86_compare(c, (IrCond)in->imm, in->a, in->b, &start);
    }
    rm = x86_use_rm(c, v);
    if (rm.reg >= 0) {
        x86_rr(&c->as, X86_TEST | x86_w(in->type), rm.reg, rm.reg);
    } else {
        x86_alu_mi(&c->as, x86_w(in->type), X86_G1_CMP, x86_mem(X86_CPU, rm.disp), 0);
    }
    return X86_CC_NE;
}

int x86_emit_select(TcgCompiler *c, const IrInsn *in)
{
    uint32_t w = x86_w(in->type);
    unsigned cc = emit_condition(c, in->a);
    IrVal yes = in->b, no = in->c;
    X86Rm rm;
    int d;

    c->locked = 0; /* the condition is in the flags */
    c->keep_flags = true;
    if (x86_in_place(c, yes) && !x86_in_place(c, no)) {
        yes = in->c;
        no = in->b;
        cc ^= 1;
    }
    rm = x86_use_rm(c, yes);
    d = x86_copy_to_dest(c, no, rm.reg >= 0 && rm.reg != c->vals[no].reg ? 1u << rm.reg : 0);
    x86_op_rm(c, X86_CMOV | cc | w, d, rm);
    return d;
}

/* ---- One operand ---- */

static int emit_move(TcgCompiler *c, uint32_t op, IrVal a)
{
    X86Rm ra = x86_use_rm(c, a);
    int d = x86_dest(c, ra.reg);

    x86_op_rm(c, op, d, ra);
    return d;
}

static int emit_group3(TcgCompiler *c, const IrInsn *in, unsigned group)
{
    int d = x86_copy_to_dest(c, in->a, 0);

    x86_rr(&c->as, X86_G3 | x86_w(in->type), (int)group, d);
    return d;
}

static int emit_zext(TcgCompiler *c, IrVal a)
{
    if (c->vals[a].reg >= 0 && c->vals[a].flags & X86_VAL_ZEXT && c->vals[c->at].hint < 0) {
        x86_alias(c, a);
        c->vals[c->at].flags |= X86_VAL_ZEXT;
        return X86_NO_REG;
    }
    return emit_move(c, X86_MOV, a);
}

int x86_emit_unary(TcgCompiler *c, const IrInsn *in)
{
    uint32_t w = x86_w(in->type);
    int d;

    switch (in->op) {
    case IR_NOT:
        return emit_group3(c, in, X86_G3_NOT);
    case IR_NEG:
        return emit_group3(c, in, X86_G3_NEG);
    case IR_BSWAP:
        d = x86_copy_to_dest(c, in->a, 0);
        x86_bswap(&c->as, w, d);
        return d;
    case IR_SEXT8:
        return emit_move(c, X86_MOVSX8 | w, in->a);
    case IR_SEXT16:
        return emit_move(c, X86_MOVSX16 | w, in->a);
    case IR_ZEXT8:
        return emit_move(c, X86_MOVZX8, in->a);
    case IR_ZEXT16:
        return emit_move(c, X86_MOVZX16, in->a);
    case IR_SEXT:
        return emit_move(c, X86_MOVSXD, in->a);
    case IR_ZEXT:
        return emit_zext(c, in->a);
    default:
        x86_alias(c, in->a); /* IR_TRUNC */
        return X86_NO_REG;
    }
}
