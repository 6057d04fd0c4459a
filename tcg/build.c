/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Building IR: each function appends one operation to the block, or returns an existing value when the result is known (constants,
 * identities, extensions of extensions, chains of constant additions). Folding is off without IR_OPT_FOLD in ir_opt_mask.
 */
#include "tcg/ir.h"

enum { ROOM = 96 };                 /* operations that one guest insn may need */

unsigned ir_opt_mask = IR_OPT_ALL;

IrBlock *ir_block_new(const IrTarget *target)
{
    IrBlock *ir = g_new0(IrBlock, 1);

    ir->target = target;
    ir->insns = g_new(IrInsn, IR_MAX_INSNS);
    return ir;
}

void ir_block_free(IrBlock *ir)
{
    if (ir) {
        g_free(ir->insns);
        g_free(ir);
    }
}

void ir_block_reset(IrBlock *ir, uint32_t page_offset, uint32_t cflags)
{
    ir->n = 0;
    ir->n_guest_insns = 0;
    ir->cflags = cflags;
    ir->page_offset = page_offset;
    ir->ended = false;
}

bool ir_block_has_room(const IrBlock *ir)
{
    return ir->n + ROOM <= IR_MAX_INSNS && ir->n_guest_insns < IR_MAX_GUEST_INSNS;
}

static IrVal append(IrBlock *ir, IrOp op, IrType type, IrVal a, IrVal b, IrVal c, uint64_t imm)
{
    g_assert(ir->n < IR_MAX_INSNS && !ir->ended);
    ir->insns[ir->n] = (IrInsn){ .op = op, .type = type, .a = a, .b = b, .c = c, .imm = imm };
    ir->ended = ir_op_info[op].flags & IR_F_END;
    return (IrVal)ir->n++;
}

IrType ir_type(const IrBlock *ir, IrVal v)
{
    return (IrType)ir->insns[v].type;
}

bool ir_is_const(const IrBlock *ir, IrVal v, uint64_t *value)
{
    const IrInsn *i = &ir->insns[v];

    *value = i->imm;
    return i->op == IR_CONST;
}

static bool folding(void)
{
    return ir_opt_mask & IR_OPT_FOLD;
}

void ir_insn(IrBlock *ir, int32_t page_offset, uint32_t word)
{
    append(ir, IR_INSN, IR_VOID, (IrVal)word, (IrVal)(word >> 16), IR_NONE, (uint64_t)(int64_t)page_offset);
    ir->n_guest_insns++;
}

IrVal ir_const(IrBlock *ir, IrType type, uint64_t value)
{
    return append(ir, IR_CONST, type, IR_NONE, IR_NONE, IR_NONE, type == IR_I32 ? (uint32_t)value : value);
}

IrVal ir_getreg(IrBlock *ir, unsigned reg)
{
    return append(ir, IR_GETREG, (IrType)ir->target->regs[reg].type, IR_NONE, IR_NONE, IR_NONE, reg);
}

void ir_setreg(IrBlock *ir, unsigned reg, IrVal v)
{
    append(ir, IR_SETREG, ir_type(ir, v), v, IR_NONE, IR_NONE, reg);
}

IrVal ir_pcrel(IrBlock *ir, int64_t offset)
{
    return append(ir, IR_PCREL, IR_I64, IR_NONE, IR_NONE, IR_NONE, (uint64_t)offset);
}

/* ---- Folding ---- */

static bool is_shift(IrOp op)
{
    return op == IR_SHL || op == IR_SHR || op == IR_SAR || op == IR_ROTL || op == IR_ROTR;
}

/* x op const when the result is x or a constant; IR_NONE: no identity. */
static IrVal fold_right_const(IrBlock *ir, IrOp op, IrType type, IrVal a, uint64_t k)
{
    uint64_t ones = type == IR_I32 ? UINT32_MAX : UINT64_MAX;

    if (is_shift(op)) {
        return (k & (type == IR_I32 ? 31 : 63)) == 0 ? a : IR_NONE;
    }
    switch (op) {
    case IR_ADD: case IR_SUB: case IR_OR: case IR_XOR: case IR_ANDN:
        if (k == 0) {
            return a;
        }
        break;
    case IR_MUL:
        return k == 1 ? a : k == 0 ? ir_const(ir, type, 0) : IR_NONE;
    case IR_AND:
        return k == ones ? a : k == 0 ? ir_const(ir, type, 0) : IR_NONE;
    case IR_DIVU: case IR_DIVS:
        return k == 1 ? a : IR_NONE;
    default:
        break;
    }
    return IR_NONE;
}

/* (x + k1) + k2, and pcrel + k. */
static IrVal fold_add_chain(IrBlock *ir, IrType type, IrVal a, uint64_t k)
{
    IrInsn inner = ir->insns[a];
    uint64_t k1;

    if (inner.op == IR_PCREL) {
        return ir_pcrel(ir, (int64_t)(inner.imm + k));
    }
    if (inner.op == IR_ADD && ir_is_const(ir, inner.b, &k1)) {
        uint64_t sum = type == IR_I32 ? (uint32_t)(k1 + k) : k1 + k;

        return sum ? append(ir, IR_ADD, type, inner.a, ir_const(ir, type, sum), IR_NONE, 0) : inner.a;
    }
    return IR_NONE;
}

static IrVal fold_same(IrBlock *ir, IrOp op, IrType type, IrVal a)
{
    switch (op) {
    case IR_SUB: case IR_XOR: case IR_ANDN:
        return ir_const(ir, type, 0);
    case IR_AND: case IR_OR:
        return a;
    default:
        return IR_NONE;
    }
}

static IrVal fold_binary(IrBlock *ir, IrOp op, IrVal *a, IrVal *b)
{
    IrType type = ir_type(ir, *a);
    uint64_t ka, kb;
    bool ca = ir_is_const(ir, *a, &ka), cb = ir_is_const(ir, *b, &kb);
    IrVal v;

    if (ca && cb) {
        return ir_const(ir, type, ir_eval(op, type, type, 0, ka, kb, 0));
    }
    if (ca && (ir_op_info[op].flags & IR_F_COMM)) {
        IrVal t = *a;

        *a = *b;
        *b = t;
        kb = ka;
        cb = true;
    }
    if (*a == *b) {
        return fold_same(ir, op, type, *a);
    }
    if (!cb) {
        return IR_NONE;
    }
    v = fold_right_const(ir, op, type, *a, kb);
    if (v == IR_NONE && op == IR_ADD) {
        v = fold_add_chain(ir, type, *a, kb);
    }
    return v;
}

IrVal ir_binary(IrBlock *ir, IrOp op, IrVal a, IrVal b)
{
    IrVal v = folding() ? fold_binary(ir, op, &a, &b) : IR_NONE;

    return v != IR_NONE ? v : append(ir, op, ir_type(ir, a), a, b, IR_NONE, 0);
}

/* Whether @v is an i64 whose upper 33 bits are all the same: sext(trunc(v)) is v. */
static bool is_sign_extended(const IrBlock *ir, IrVal v)
{
    const IrInsn *i = &ir->insns[v];

    switch (i->op) {
    case IR_SEXT: case IR_SETCC:
        return true;
    case IR_CONST:
        return (int64_t)i->imm == (int32_t)i->imm;
    case IR_LOAD: {
        uint32_t memop = (uint32_t)(i->imm >> 32), size = memop & IR_MEM_SIZE;

        return size < IR_MEM_32 || (size == IR_MEM_32 && (memop & IR_MEM_SIGN));
    }
    default:
        return false;
    }
}

static IrVal fold_unary(IrBlock *ir, IrOp op, IrType type, IrVal a)
{
    const IrInsn *inner = &ir->insns[a];
    uint64_t k;

    if (ir_is_const(ir, a, &k)) {
        return ir_const(ir, type, ir_eval(op, type, ir_type(ir, a), 0, k, 0, 0));
    }
    if (op == IR_TRUNC && (inner->op == IR_SEXT || inner->op == IR_ZEXT)) {
        return inner->a;
    }
    if (op == IR_SEXT && inner->op == IR_TRUNC && is_sign_extended(ir, inner->a)) {
        return inner->a;
    }
    if ((op == IR_NOT || op == IR_NEG || op == IR_BSWAP) && inner->op == op) {
        return inner->a;
    }
    return IR_NONE;
}

IrVal ir_unary(IrBlock *ir, IrOp op, IrVal a)
{
    IrType type = op == IR_SEXT || op == IR_ZEXT ? IR_I64 : op == IR_TRUNC ? IR_I32 : ir_type(ir, a);
    IrVal v = folding() ? fold_unary(ir, op, type, a) : IR_NONE;

    return v != IR_NONE ? v : append(ir, op, type, a, IR_NONE, IR_NONE, 0);
}

IrVal ir_add(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_ADD, a, b);
}

IrVal ir_addi(IrBlock *ir, IrVal a, int64_t imm)
{
    return ir_binary(ir, IR_ADD, a, ir_const(ir, ir_type(ir, a), (uint64_t)imm));
}

IrVal ir_sub(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_SUB, a, b);
}

IrVal ir_mul(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_MUL, a, b);
}

IrVal ir_and(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_AND, a, b);
}

IrVal ir_or(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_OR, a, b);
}

IrVal ir_xor(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_XOR, a, b);
}

IrVal ir_andn(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_ANDN, a, b);
}

IrVal ir_not(IrBlock *ir, IrVal a)
{
    return ir_unary(ir, IR_NOT, a);
}

IrVal ir_neg(IrBlock *ir, IrVal a)
{
    return ir_unary(ir, IR_NEG, a);
}

IrVal ir_shl(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_SHL, a, b);
}

IrVal ir_shr(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_SHR, a, b);
}

IrVal ir_sar(IrBlock *ir, IrVal a, IrVal b)
{
    return ir_binary(ir, IR_SAR, a, b);
}

IrVal ir_sext(IrBlock *ir, IrVal a)
{
    return ir_unary(ir, IR_SEXT, a);
}

IrVal ir_zext(IrBlock *ir, IrVal a)
{
    return ir_unary(ir, IR_ZEXT, a);
}

IrVal ir_trunc(IrBlock *ir, IrVal a)
{
    return ir_unary(ir, IR_TRUNC, a);
}

IrVal ir_setcc(IrBlock *ir, IrCond cond, IrVal a, IrVal b)
{
    IrType type = ir_type(ir, a);
    uint64_t ka, kb;

    if (folding()) {
        bool ca = ir_is_const(ir, a, &ka), cb = ir_is_const(ir, b, &kb);

        if (ca && cb) {
            return ir_const(ir, type, ir_cond_eval(cond, type, ka, kb));
        }
        if (a == b) {
            return ir_const(ir, type, ir_cond_eval(cond, type, 0, 0));
        }
        if (ca) {
            return append(ir, IR_SETCC, type, b, a, IR_NONE, ir_cond_swap(cond));
        }
    }
    return append(ir, IR_SETCC, type, a, b, IR_NONE, cond);
}

IrVal ir_select(IrBlock *ir, IrVal cond, IrVal b, IrVal c)
{
    uint64_t k;

    if (folding() && ir_is_const(ir, cond, &k)) {
        return k ? b : c;
    }
    if (folding() && b == c) {
        return b;
    }
    return append(ir, IR_SELECT, ir_type(ir, b), cond, b, c, 0);
}

/* ---- Memory, calls, exits ---- */

/* Takes a constant that is added to the address into the displacement. */
static IrVal fold_address(const IrBlock *ir, IrVal addr, int32_t *disp)
{
    const IrInsn *i = &ir->insns[addr];
    uint64_t k;

    if (folding() && i->op == IR_ADD && ir_is_const(ir, i->b, &k)) {
        int64_t sum = (int64_t)k + *disp;

        if (sum == (int32_t)sum && (int64_t)k == (int32_t)k) {
            *disp = (int32_t)sum;
            return i->a;
        }
    }
    return addr;
}

static uint64_t memory_imm(int32_t disp, uint32_t memop)
{
    return (uint64_t)memop << 32 | (uint32_t)disp;
}

IrVal ir_load(IrBlock *ir, IrType type, IrVal addr, int32_t disp, uint32_t memop)
{
    addr = fold_address(ir, addr, &disp);
    return append(ir, IR_LOAD, type, addr, IR_NONE, IR_NONE, memory_imm(disp, memop));
}

void ir_store(IrBlock *ir, IrVal addr, int32_t disp, uint32_t memop, IrVal v)
{
    addr = fold_address(ir, addr, &disp);
    append(ir, IR_STORE, ir_type(ir, v), addr, v, IR_NONE, memory_imm(disp, memop));
}

void ir_fence(IrBlock *ir, bool full)
{
    append(ir, IR_FENCE, IR_VOID, IR_NONE, IR_NONE, IR_NONE, full);
}

IrVal ir_call(IrBlock *ir, unsigned helper, IrVal a, IrVal b, IrVal c, uint32_t constant)
{
    IrType ret = (IrType)ir->target->helpers[helper].ret;
    IrVal v = append(ir, IR_CALL, ret, a, b, c, (uint64_t)constant << 32 | helper);

    return ret == IR_VOID ? IR_NONE : v;
}

void ir_exitcc(IrBlock *ir, IrCond cond, IrVal a, IrVal b, int32_t page_offset)
{
    append(ir, IR_EXITCC, ir_type(ir, a), a, b, IR_NONE, (uint64_t)cond << 32 | (uint32_t)page_offset);
}

void ir_exit(IrBlock *ir, int32_t page_offset)
{
    append(ir, IR_EXIT, IR_VOID, IR_NONE, IR_NONE, IR_NONE, (uint64_t)(int64_t)page_offset);
}

void ir_exitind(IrBlock *ir, IrVal addr)
{
    append(ir, IR_EXITIND, IR_VOID, addr, IR_NONE, IR_NONE, 0);
}

void ir_leave(IrBlock *ir, bool to_loop)
{
    append(ir, IR_LEAVE, IR_VOID, IR_NONE, IR_NONE, IR_NONE, to_loop);
}
