/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The backward pass: for each value its last use, whether its only user does its work (fusing), and which pinned host register it
 * should be computed in; and from that the list of operations that get code. Values without a use and setregs that are overwritten before
 * anything can see them get none, so that a block compiles the same without ir_optimise(), which costs a third of what compiling does.
 *
 * Hints: "setreg P x" makes P's host register x's hint if nothing between x's definition and the setreg needs P's old value: no getreg
 * of P, no other setreg of P, nothing that may fault or leave (there the guest state must be exact). Older values that still live in
 * P's register are the forward pass's to check.
 *
 * Fusing: a SETCC whose only use is a SELECT's condition or an EXITCC against 0; an ADD whose only use is an address; a SHL by 1-3
 * whose only use is an ADD of the same type. The operands of a fused value live until its user.
 */
#include "tcg/x86_64/x86-priv.h"

enum { NEAR = 512 }; /* bytes */

typedef struct Live {
    TcgCompiler *c;
    X86Val *vals;
    const IrInsn *insns;
    IrVal wanted[X86_N_ALL_REGS]; /* the value that wants this pinned register */
    uint32_t pending;             /* registers with a wanted value */
} Live;

static void use(Live *l, IrVal v, unsigned at)
{
    X86Val *val = &l->vals[v];

    val->flags &= (uint8_t)~X86_VAL_FUSED; /* a second use */
    if (val->last < at) {
        val->last = (uint16_t)at;
    }
}

static bool const_value(const Live *l, IrVal v, uint64_t *value)
{
    *value = l->insns[v].imm;
    return l->insns[v].op == IR_CONST;
}

static void fuse(Live *l, IrVal v, unsigned at)
{
    l->vals[v].flags |= X86_VAL_FUSED;
    l->vals[v].last = (uint16_t)at;
}

/* A use that can do @v's work if it is the only one. */
static void use_as_address(Live *l, IrVal v, unsigned at)
{
    const IrInsn *in = &l->insns[v];

    if (in->op == IR_ADD && in->type == IR_I64 && l->vals[v].last == 0 &&
        l->insns[in->a].op != IR_CONST) {
        fuse(l, v, at);
    } else {
        use(l, v, at);
    }
}

static void use_as_condition(Live *l, IrVal v, unsigned at)
{
    if (l->insns[v].op == IR_SETCC && l->vals[v].last == 0) {
        fuse(l, v, at);
    } else {
        use(l, v, at);
    }
}

static bool scalable(const Live *l, IrVal v)
{
    const IrInsn *in = &l->insns[v];
    uint64_t count;

    return in->op == IR_SHL && l->vals[v].last == 0 && const_value(l, in->b, &count) &&
           count >= 1 && count <= 3;
}

/* An ADD that is emitted (or folded into an address) at @at. */
static void use_addends(Live *l, const IrInsn *in, unsigned at)
{
    bool b_const = l->insns[in->b].op == IR_CONST;

    if (in->a != in->b && scalable(l, in->b)) {
        fuse(l, in->b, at);
        use(l, in->a, at);
    } else if (in->a != in->b && !b_const && scalable(l, in->a)) {
        fuse(l, in->a, at);
        use(l, in->b, at);
    } else {
        use(l, in->a, at);
        use(l, in->b, at);
    }
}

/* Here the guest registers must be right. */
static void see_registers(Live *l)
{
    l->c->set_epoch++;
}

/* True if the setreg of @guest can be seen. */
static bool note_setreg(Live *l, unsigned guest)
{
    bool seen = l->c->set_later[guest] != l->c->set_epoch;

    l->c->set_later[guest] = l->c->set_epoch;
    return seen;
}

static void unwant(Live *l, int reg)
{
    if (l->pending >> reg & 1) {
        l->vals[l->wanted[reg]].hint = X86_NO_REG;
        l->pending &= ~(1u << reg);
    }
}

static void unwant_all(Live *l, uint32_t which)
{
    for (uint32_t m = l->pending & which; m; m &= m - 1) {
        unwant(l, __builtin_ctz(m));
    }
}

static bool is_computed(const IrInsn *in)
{
    return in->op != IR_CONST && in->op != IR_PCREL && in->op != IR_GETREG && in->op != IR_TRUNC;
}

static void want(Live *l, unsigned guest, IrVal v)
{
    int reg = l->c->pin_of[guest];

    if (reg < 0) {
        return;
    }
    unwant(l, reg);
    if (x86_is_xmm(reg)) {
        l->vals[v].flags |= X86_VAL_X;
    }
    if (!is_computed(&l->insns[v])) {
        return;
    }
    if (l->vals[v].hint >= 0) {
        l->pending &= ~(1u << l->vals[v].hint);
    }
    l->vals[v].hint = (int8_t)reg;
    l->wanted[reg] = v;
    l->pending |= 1u << reg;
}

static void use_args(Live *l, const IrInsn *in, unsigned at)
{
    static const uint8_t n_args[IR_N_OPS] = {
#define N_ARGS(name, text, n_args, result, flags) [IR_##name] = n_args,
        IR_OPS(N_ARGS)
#undef N_ARGS
    };
    unsigned n = n_args[in->op];

    if (n > 0 && in->a != IR_NONE) {
        use(l, in->a, at);
    }
    if (n > 1 && in->b != IR_NONE) {
        use(l, in->b, at);
    }
    if (n > 2 && in->c != IR_NONE) {
        use(l, in->c, at);
    }
}

/* The floating-point arguments of an operation that is done inline. */
static void want_vectors(Live *l, const IrInsn *in)
{
    const IrVal args[] = { in->a, in->b, in->c };
    unsigned which = x86_fp_args(&l->c->ir->target->helpers[(uint32_t)in->imm]);

    for (unsigned i = 0; i < G_N_ELEMENTS(args); i++) {
        if (which >> i & 1) {
            l->vals[args[i]].flags |= X86_VAL_X;
        }
    }
}

static bool call_is_seen(const Live *l, const IrInsn *in)
{
    const IrHelper *helper = &l->c->ir->target->helpers[(uint32_t)in->imm];

    return helper->flags & (IR_HELPER_READS | IR_HELPER_WRITES | IR_HELPER_FAULTS);
}

/* An access through a base that a later access uses too keeps its translation: that of the lowest address near it, since
 * later accesses above that need one compare only. */
static void note_base(Live *l, const IrInsn *in, unsigned at, uint8_t flag)
{
    int64_t disp = (int32_t)in->imm;
    X86Val *root = &l->vals[x86_root(l->c, in->a, &disp)];

    if (disp != (int16_t)disp) {
        return;
    }
    if (!(root->flags & (X86_VAL_LOADED | X86_VAL_STORED)) || disp < root->low) {
        root->low = (int16_t)disp;
    }
    if (root->flags & flag) {
        l->vals[at].flags |= X86_VAL_MORE;
        l->vals[at].reference = disp - root->low < NEAR ? root->low : (int16_t)disp;
    }
    root->flags |= flag;
}

static void visit(Live *l, const IrInsn *in, unsigned at)
{
    uint64_t zero;

    switch (in->op) {
    case IR_GETREG:
        l->c->set_later[in->imm] = 0;
        if (l->c->pin_of[in->imm] >= 0) {
            unwant(l, l->c->pin_of[in->imm]);
        }
        break;
    case IR_SETREG:
        if (!note_setreg(l, (unsigned)in->imm) && ir_opt_mask & IR_OPT_REGS) {
            l->vals[at].flags |= X86_VAL_DROPPED;
            break;
        }
        use(l, in->a, at);
        want(l, (unsigned)in->imm, in->a);
        break;
    case IR_LOAD:
        see_registers(l);
        unwant_all(l, ~0u);
        note_base(l, in, at, X86_VAL_LOADED);
        use_as_address(l, in->a, at);
        break;
    case IR_STORE:
        see_registers(l);
        unwant_all(l, ~0u);
        note_base(l, in, at, X86_VAL_STORED);
        use(l, in->b, at);
        use_as_address(l, in->a, at);
        break;
    case IR_CALL:
        use_args(l, in, at);
        if (x86_fp_is_inline(l->c, in)) {
            want_vectors(l, in);
        } else if (call_is_seen(l, in)) {
            see_registers(l);
            unwant_all(l, ~0u);
        } else { /* C preserves no vector registers: pinned ones are loaded again */
            unwant_all(l, X86_PINS_X);
        }
        break;
    case IR_OR:
        use_args(l, in, at);
        if (l->vals[at].flags & X86_VAL_X && x86_is_box(l->c, in)) {
            l->vals[in->a].flags |= X86_VAL_X;
        }
        break;
    case IR_GUARD:
        see_registers(l);
        unwant_all(l, ~0u);
        use(l, in->a, at);
        break;
    case IR_EXITCC:
        see_registers(l);
        unwant_all(l, ~0u);
        use(l, in->b, at);
        if (const_value(l, in->b, &zero) && zero == 0 && (in->imm >> 32) <= IR_NE) {
            use_as_condition(l, in->a, at);
        } else {
            use(l, in->a, at);
        }
        break;
    case IR_SELECT:
        use(l, in->b, at);
        use(l, in->c, at);
        use_as_condition(l, in->a, at);
        break;
    case IR_ADD:
        use_addends(l, in, at);
        break;
    case IR_EXIT:
    case IR_EXITIND:
    case IR_LEAVE:
        see_registers(l);
        use_args(l, in, at);
        break;
    default:
        use_args(l, in, at);
        break;
    }
}

void x86_live(TcgCompiler *c)
{
    /* An operation gets code if its last use is at least this: if it has an effect, if anything uses it, or never (made where used). */
    static const uint32_t needed_from[IR_N_OPS] = {
#define NEEDED(name, text, n_args, result, flags)                      \
    [IR_##name] = IR_##name == IR_CONST                   ? UINT32_MAX \
                  : (result) == 1 && !((flags)&IR_F_SIDE) ? 1          \
                                                          : 0,
        IR_OPS(NEEDED)
#undef NEEDED
    };
    static const X86Val fresh = {
        .reg_next = IR_NONE,
        .slot_next = IR_NONE,
        .reg = X86_NO_REG,
        .hint = X86_NO_REG,
        .spill = -1,
    };
    Live l = { .c = c, .vals = c->vals, .insns = c->insns };
    uint16_t *todo = c->todo + IR_MAX_INSNS;

    see_registers(&l); /* of the block before: none of them is this one's */

    for (unsigned i = 0; i < c->ir->n; i++) {
        l.vals[i] = fresh;
    }
    for (unsigned i = c->ir->n; i-- > 0;) {
        const IrInsn *in = &l.insns[i];
        X86Val *v = &l.vals[i];

        if (v->last < needed_from[in->op]) {
            continue;
        }
        if (v->hint >= 0) {
            l.pending &= ~(1u << v->hint); /* reached its definition: the hint holds */
        }
        visit(&l, in, v->flags & X86_VAL_FUSED ? v->last : i);
        todo[-1] = (uint16_t)i;
        todo -= !(v->flags & (X86_VAL_FUSED | X86_VAL_DROPPED));
    }
    c->first_todo = (unsigned)(todo - c->todo);
}
