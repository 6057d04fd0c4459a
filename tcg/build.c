/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Building IR: each function appends one operation to the block, or returns an existing value when
 * the result is known (fold.c). The targets call them from TargetOps.translate; the rules of
 * folding call them too.
 *
 * The builder also knows what value each guest register holds, so that folding sees across guest
 * instructions: ir_getreg() returns that value instead of reading the register. Writes are left in
 * place; ir_pass_regs() removes those that nothing can see.
 */
#include <string.h>
#include "tcg/ir-priv.h"

enum {
    ROOM = 96, /* operations that one guest insn may need */
    MAX_REGS = 256,
};

/* A block as ir_block_new() makes it. Copies of just the IrBlock are for reading. */
typedef struct Builder {
    IrBlock ir;           /* first: it is what callers hold */
    IrVal held[MAX_REGS]; /* value in each guest register, IR_NONE: not known */
} Builder;

unsigned ir_opt_mask = IR_OPT_ALL;

static Builder *builder(IrBlock *ir)
{
    return (Builder *)ir;
}

static void forget_registers(IrBlock *ir)
{
    memset(builder(ir)->held, 0xff, ir->target->n_regs * sizeof(IrVal));
}

IrBlock *ir_block_new(const IrTarget *target)
{
    Builder *b = g_new0(Builder, 1);

    g_assert(target->n_regs <= MAX_REGS);
    b->ir.target = target;
    b->ir.insns = g_new(IrInsn, IR_MAX_INSNS);
    forget_registers(&b->ir);
    return &b->ir;
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
    forget_registers(ir);
}

bool ir_block_has_room(const IrBlock *ir)
{
    return ir->n + ROOM <= IR_MAX_INSNS && ir->n_guest_insns < IR_MAX_GUEST_INSNS;
}

IrVal ir_append(IrBlock *ir, IrOp op, IrType type, IrVal a, IrVal b, IrVal c, uint64_t imm)
{
    g_assert(ir->n < IR_MAX_INSNS && !ir->ended);
    ir->insns[ir->n] = (IrInsn){ .op = op, .type = type, .a = a, .b = b, .c = c, .imm = imm };
    return (IrVal)ir->n++;
}

/* Appends an operation that ends the block. */
static void append_end(IrBlock *ir, IrOp op, IrVal a, uint64_t imm)
{
    ir_append(ir, op, IR_VOID, a, IR_NONE, IR_NONE, imm);
    ir->ended = true;
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
    /* Before the other counter's check: added to together they would be read as one vector,
     * stalling on the last write of either. */
    ir->n_guest_insns++;
    ir_append(ir, IR_INSN, IR_VOID, (IrVal)word, (IrVal)(word >> 16), IR_NONE,
              (uint64_t)(int64_t)page_offset);
}

IrVal ir_const(IrBlock *ir, IrType type, uint64_t value)
{
    return ir_append(ir, IR_CONST, type, IR_NONE, IR_NONE, IR_NONE,
                     type == IR_I32 ? (uint32_t)value : value);
}

/* ---- Guest registers ---- */

/* Whether a later instruction may use @v in place of the register that holds it. A sum with a
 * constant stays in its register: folding into it (of addresses, of further constants) would
 * keep the older value alive beside it. */
static bool is_forwarded(const IrBlock *ir, IrVal v)
{
    const IrInsn *i = &ir->insns[v];

    return i->op != IR_ADD || ir->insns[i->b].op != IR_CONST;
}

IrVal ir_getreg(IrBlock *ir, unsigned reg)
{
    IrVal *held = &builder(ir)->held[reg];

    if ((ir_opt_mask & IR_OPT_REGS) && *held != IR_NONE && is_forwarded(ir, *held)) {
        return *held;
    }
    *held = ir_append(ir, IR_GETREG, (IrType)ir->target->regs[reg].type, IR_NONE, IR_NONE, IR_NONE,
                      reg);
    return *held;
}

void ir_setreg(IrBlock *ir, unsigned reg, IrVal v)
{
    ir_append(ir, IR_SETREG, ir_type(ir, v), v, IR_NONE, IR_NONE, reg);
    builder(ir)->held[reg] = v;
}

IrVal ir_pcrel(IrBlock *ir, int64_t offset)
{
    return ir_append(ir, IR_PCREL, IR_I64, IR_NONE, IR_NONE, IR_NONE, (uint64_t)offset);
}

/* ---- Arithmetic ---- */

IrVal ir_binary(IrBlock *ir, IrOp op, IrVal a, IrVal b)
{
    IrVal v = folding() ? ir_fold_binary(ir, op, &a, &b) : IR_NONE;

    return v != IR_NONE ? v : ir_append(ir, op, ir_type(ir, a), a, b, IR_NONE, 0);
}

IrVal ir_unary(IrBlock *ir, IrOp op, IrVal a)
{
    IrType type = op == IR_SEXT || op == IR_ZEXT ? IR_I64
                  : op == IR_TRUNC               ? IR_I32
                                                 : ir_type(ir, a);
    IrVal v = folding() ? ir_fold_unary(ir, op, type, a) : IR_NONE;

    return v != IR_NONE ? v : ir_append(ir, op, type, a, IR_NONE, IR_NONE, 0);
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
    IrVal v = folding() ? ir_fold_setcc(ir, &cond, &a, &b) : IR_NONE;

    return v != IR_NONE ? v : ir_append(ir, IR_SETCC, ir_type(ir, a), a, b, IR_NONE, cond);
}

IrVal ir_select(IrBlock *ir, IrVal cond, IrVal b, IrVal c)
{
    IrVal v = folding() ? ir_fold_select(ir, &cond, &b, &c) : IR_NONE;

    return v != IR_NONE ? v : ir_append(ir, IR_SELECT, ir_type(ir, b), cond, b, c, 0);
}

/* ---- Memory and calls ---- */

static uint64_t memory_imm(int32_t disp, uint32_t memop)
{
    return (uint64_t)memop << 32 | (uint32_t)disp;
}

IrVal ir_load(IrBlock *ir, IrType type, IrVal addr, int32_t disp, uint32_t memop)
{
    addr = folding() ? ir_fold_address(ir, addr, &disp) : addr;
    return ir_append(ir, IR_LOAD, type, addr, IR_NONE, IR_NONE, memory_imm(disp, memop));
}

void ir_store(IrBlock *ir, IrVal addr, int32_t disp, uint32_t memop, IrVal v)
{
    addr = folding() ? ir_fold_address(ir, addr, &disp) : addr;
    ir_append(ir, IR_STORE, ir_type(ir, v), addr, v, IR_NONE, memory_imm(disp, memop));
}

void ir_fence(IrBlock *ir, bool full)
{
    ir_append(ir, IR_FENCE, IR_VOID, IR_NONE, IR_NONE, IR_NONE, full);
}

IrVal ir_call(IrBlock *ir, unsigned helper, IrVal a, IrVal b, IrVal c, uint32_t constant)
{
    const IrHelper *h = &ir->target->helpers[helper];
    IrVal v = ir_append(ir, IR_CALL, (IrType)h->ret, a, b, c, (uint64_t)constant << 32 | helper);

    if (h->flags & IR_HELPER_WRITES) {
        forget_registers(ir);
    }
    return h->ret == IR_VOID ? IR_NONE : v;
}

void ir_guard(IrBlock *ir, IrVal a, unsigned helper)
{
    ir_append(ir, IR_GUARD, ir_type(ir, a), a, IR_NONE, IR_NONE, helper);
}

/* ---- Exits ---- */

void ir_exitcc(IrBlock *ir, IrCond cond, IrVal a, IrVal b, int32_t page_offset)
{
    if (folding() && ir_fold_exitcc(ir, &cond, &a, &b)) {
        return;
    }
    ir_append(ir, IR_EXITCC, ir_type(ir, a), a, b, IR_NONE,
              (uint64_t)cond << 32 | (uint32_t)page_offset);
}

void ir_exit(IrBlock *ir, int32_t page_offset)
{
    append_end(ir, IR_EXIT, IR_NONE, (uint64_t)(int64_t)page_offset);
}

void ir_exitind(IrBlock *ir, IrVal addr)
{
    append_end(ir, IR_EXITIND, addr, 0);
}

void ir_leave(IrBlock *ir, bool to_loop)
{
    append_end(ir, IR_LEAVE, IR_NONE, to_loop);
}
