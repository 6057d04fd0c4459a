/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The passes over a built block: register forwarding and removal of what nothing uses. Both are one
 * linear sweep; neither moves an operation, so the order of register writes against faulting
 * operations stays the guest's.
 */
#include <string.h>
#include "tcg/ir-priv.h"

enum { MAX_REGS = 256 };

/* What is known of one guest register during the sweep. */
typedef struct RegState {
    IrVal value;                     /* its current value, IR_NONE: unknown */
    IrVal set;                       /* the last setreg, if nothing could see it yet */
    uint32_t value_epoch, set_epoch; /* value and set count only in the same epoch */
} RegState;

typedef struct RegPass {
    RegState regs[MAX_REGS];
    uint32_t value_epoch, set_epoch;
    IrVal alias[IR_MAX_INSNS]; /* what stands for each value */
} RegPass;

/* Replaces each value that @insn uses by what @names has for it. */
static void rename_args(IrInsn *insn, unsigned n, const IrVal *names)
{
    if (n > 0) {
        insn->a = names[insn->a];
    }
    if (n > 1) {
        insn->b = names[insn->b];
    }
    if (n > 2) {
        insn->c = names[insn->c];
    }
}

static void drop(IrInsn *insn)
{
    *insn = (IrInsn){ .op = IR_CONST, .type = IR_I64, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE };
}

static void regs_get(RegPass *p, IrBlock *ir, IrVal i)
{
    RegState *r = &p->regs[ir->insns[i].imm];

    if (r->value_epoch == p->value_epoch) {
        p->alias[i] = r->value;
    } else {
        r->value = i;
        r->value_epoch = p->value_epoch;
    }
}

static void regs_set(RegPass *p, IrBlock *ir, IrVal i)
{
    RegState *r = &p->regs[ir->insns[i].imm];

    if (r->value_epoch == p->value_epoch && r->value == ir->insns[i].a) {
        drop(&ir->insns[i]); /* it holds that value already */
        return;
    }
    if (r->set_epoch == p->set_epoch) {
        drop(&ir->insns[r->set]);
    }
    r->set = i;
    r->set_epoch = p->set_epoch;
    r->value = ir->insns[i].a;
    r->value_epoch = p->value_epoch;
}

/* What an operation that may look at or change the registers does to what is known. */
static void regs_barrier(RegPass *p, const IrBlock *ir, const IrInsn *insn)
{
    unsigned flags;

    if (insn->op != IR_CALL) {
        p->set_epoch++;
        return;
    }
    flags = ir->target->helpers[(uint32_t)insn->imm].flags;
    if (flags & (IR_HELPER_READS | IR_HELPER_WRITES | IR_HELPER_FAULTS)) {
        p->set_epoch++;
    }
    if (flags & IR_HELPER_WRITES) {
        p->value_epoch++;
    }
}

void ir_pass_regs(IrBlock *ir)
{
    RegPass p;

    g_assert(ir->target->n_regs <= MAX_REGS);
    memset(p.regs, 0, ir->target->n_regs * sizeof(RegState));
    p.value_epoch = p.set_epoch = 1;
    for (unsigned i = 0; i < ir->n; i++) {
        IrInsn *insn = &ir->insns[i];

        p.alias[i] = (IrVal)i;
        rename_args(insn, ir_insn_args(ir, insn), p.alias);
        if (insn->op == IR_GETREG) {
            regs_get(&p, ir, (IrVal)i);
        } else if (insn->op == IR_SETREG) {
            regs_set(&p, ir, (IrVal)i);
        } else if (ir_op_info[insn->op].flags & IR_F_FAULT) {
            regs_barrier(&p, ir, insn);
        }
    }
}

static bool is_root(const IrBlock *ir, const IrInsn *insn)
{
    if (insn->op == IR_CALL) {
        return !(ir->target->helpers[(uint32_t)insn->imm].flags & IR_HELPER_PURE);
    }
    return ir_op_info[insn->op].flags & IR_F_SIDE;
}

/* Marks what is used, from the end on. @used has a slot beyond the last value for absent
 * arguments: storing there costs less than branches on how many there are. */
static void mark_used(const IrBlock *ir, uint8_t *used)
{
    memset(used, 0, ir->n);
    for (unsigned i = ir->n; i-- > 0;) {
        const IrInsn *insn = &ir->insns[i];
        unsigned n;

        if (!used[i] && !is_root(ir, insn)) {
            continue;
        }
        used[i] = 1;
        n = ir_insn_args(ir, insn);
        used[n > 0 ? insn->a : IR_MAX_INSNS] = 1;
        used[n > 1 ? insn->b : IR_MAX_INSNS] = 1;
        used[n > 2 ? insn->c : IR_MAX_INSNS] = 1;
    }
}

void ir_pass_dead(IrBlock *ir)
{
    uint8_t used[IR_MAX_INSNS + 1];
    IrVal moved[IR_MAX_INSNS];
    unsigned to = 0;

    mark_used(ir, used);
    for (unsigned i = 0; i < ir->n; i++) {
        IrInsn insn;

        if (!used[i]) {
            continue;
        }
        insn = ir->insns[i];
        rename_args(&insn, ir_insn_args(ir, &insn), moved);
        moved[i] = (IrVal)to;
        ir->insns[to++] = insn;
    }
    ir->n = to;
}

/* ---- Waiting loops ---- */

typedef struct Spin {
    uint64_t
        deps[IR_MAX_INSNS]; /* of each value: registers at the block's start that it depends on */
    uint64_t set_deps[64];  /* of registers that were set */
    uint64_t set;
} Spin;

/* Notes what @insn reads and sets. False: it does more than a waiting loop would. */
static bool spin_visit(Spin *s, const IrBlock *ir, unsigned i)
{
    const IrInsn *insn = &ir->insns[i];
    const IrVal args[3] = { insn->a, insn->b, insn->c };

    s->deps[i] = 0;
    if (insn->op == IR_GETREG || insn->op == IR_SETREG) {
        if (insn->imm >= 64) {
            return false;
        }
    } else if (insn->op == IR_STORE || insn->op == IR_CALL || insn->op == IR_GUARD) {
        return false;
    }
    for (unsigned n = 0; n < ir_insn_args(ir, insn); n++) {
        s->deps[i] |= s->deps[args[n]];
    }
    if (insn->op == IR_GETREG) {
        s->deps[i] = s->set >> insn->imm & 1 ? s->set_deps[insn->imm] : 1ull << insn->imm;
    } else if (insn->op == IR_SETREG) {
        s->set |= 1ull << insn->imm;
        s->set_deps[insn->imm] = s->deps[i];
    }
    return true;
}

/* No register's new value depends, round by round, on its old one. */
static bool spin_settles(const Spin *s)
{
    uint64_t left = s->set, before;

    do {
        before = left;
        for (uint64_t m = left; m; m &= m - 1) {
            unsigned r = (unsigned)__builtin_ctzll(m);

            if (!(s->set_deps[r] & left)) {
                left &= ~(1ull << r);
            }
        }
    } while (left && left != before);
    return !left;
}

static bool jumps_to_start(const IrBlock *ir, const IrInsn *insn)
{
    return (insn->op == IR_EXITCC || insn->op == IR_EXIT) &&
           (int32_t)insn->imm == (int32_t)ir->page_offset;
}

bool ir_is_spin(const IrBlock *ir)
{
    unsigned end = 0;
    Spin s;

    while (end < ir->n && !jumps_to_start(ir, &ir->insns[end])) {
        end++;
    }
    if (end == ir->n) {
        return false;
    }
    s.set = 0;
    for (unsigned i = 0; i < end; i++) {
        if (!spin_visit(&s, ir, i)) {
            return false;
        }
    }
    return spin_settles(&s);
}

void ir_optimise(IrBlock *ir)
{
    if (ir_opt_mask & IR_OPT_REGS) {
        ir_pass_regs(ir);
    }
    if (ir_opt_mask & IR_OPT_DEAD) {
        ir_pass_dead(ir);
    }
}
