/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls of the target's helpers.
 *
 * A helper that sees guest registers or may fault goes through the thunk CALL_STATE, which preserves all host registers and
 * writes the pinned ones back (thunks.c). Any other is called straight from the block: what lives in temporaries is stored,
 * pinned registers that C does not preserve are kept in their slots meanwhile.
 */
#include "tcg/x86_64/x86-priv.h"

enum {
    CALLER_SAVED = 1 << X86_R8 | 1 << X86_R9 | 1 << X86_R10 | 1 << X86_R11,
    N_ARGS_MAX = 3,
};

static const int8_t arg_regs[N_ARGS_MAX + 1] = { X86_RSI, X86_RDX, X86_RCX, X86_R8 };

/* ---- Straight calls ---- */

void x86_load_vector_pins(X86Asm *as, const IrTarget *target, const int16_t *guest_of,
                          uint32_t which)
{
    for (which &= X86_PINS_X; which; which &= which - 1) {
        int reg = __builtin_ctz(which);

        x86_rm(as, X86_MOVSD, x86_xmm(reg), x86_cpu(target->regs[guest_of[reg]].offset));
    }
}

void x86_move_pins(X86Asm *as, const IrTarget *target, const int16_t *guest_of, uint32_t which,
                   uint32_t op)
{
    for (which &= ~X86_PINS_X; which; which &= which - 1) {
        int reg = __builtin_ctz(which);
        const IrReg *r = &target->regs[guest_of[reg]];

        x86_rm(as, op | x86_w((IrType)r->type), reg, x86_cpu(r->offset));
    }
}

typedef struct ArgMoves {
    int8_t from[N_ARGS_MAX]; /* register, or X86_NO_REG: done or not in a register */
    unsigned n;
} ArgMoves;

static bool is_source(const ArgMoves *m, int reg, unsigned except)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (i != except && m->from[i] == reg) {
            return true;
        }
    }
    return false;
}

/* One move whose destination no other needs as a source; else one exchange. False: all done. */
static bool move_one(TcgCompiler *c, ArgMoves *m)
{
    int cycle = -1;

    for (unsigned i = 0; i < m->n; i++) {
        if (m->from[i] < 0 || m->from[i] == arg_regs[i]) {
            m->from[i] = X86_NO_REG;
        } else if (!is_source(m, arg_regs[i], i)) {
            x86_mov_rr(&c->as, arg_regs[i], m->from[i]);
            m->from[i] = X86_NO_REG;
            return true;
        } else {
            cycle = (int)i;
        }
    }
    if (cycle < 0) {
        return false;
    }
    x86_rr(&c->as, X86_XCHG | X86_W, arg_regs[cycle], m->from[cycle]);
    for (unsigned i = 0; i < m->n; i++) {
        if (i != (unsigned)cycle && m->from[i] == arg_regs[cycle]) {
            m->from[i] = m->from[cycle];
        }
    }
    m->from[cycle] = X86_NO_REG;
    return true;
}

static void move_args(TcgCompiler *c, const IrHelper *helper, const IrVal args[N_ARGS_MAX])
{
    ArgMoves m = { .n = helper->n_args };
    bool in_reg[N_ARGS_MAX];

    for (unsigned i = 0; i < m.n; i++) {
        m.from[i] = x86_is_xmm(c->vals[args[i]].reg) ? X86_NO_REG : c->vals[args[i]].reg;
        in_reg[i] = m.from[i] >= 0;
    }
    while (move_one(c, &m)) {}
    for (unsigned i = 0; i < m.n; i++) {
        if (!in_reg[i]) {
            x86_load_to(c, arg_regs[i], args[i]);
        } else if (helper->args[i] == IR_I32 && !(c->vals[args[i]].flags & X86_VAL_ZEXT)) {
            x86_rr(&c->as, X86_MOV, arg_regs[i], arg_regs[i]);
        }
    }
}

static int emit_call_straight(TcgCompiler *c, const IrInsn *in, const IrHelper *helper)
{
    const IrVal args[N_ARGS_MAX] = { in->a, in->b, in->c };
    uint32_t kept = c->pinned & CALLER_SAVED;

    x86_save_temps(c, X86_TEMPS | X86_TEMPS_X);
    c->locked |= X86_TEMPS; /* nothing may be loaded but to where it is wanted */
    x86_move_pins(&c->as, c->abi->target, c->guest_of, kept, X86_MOV_MR);
    move_args(c, helper, args);
    x86_mov_ri(&c->as, arg_regs[helper->n_args], in->imm >> 32);
    x86_mov_rr(&c->as, X86_RDI, X86_CPU);
    if (helper->flags & IR_HELPER_FP) {
        x86_fp_host(&c->as, c->abi);
    }
    x86_rm(&c->as, X86_MOV | X86_W, X86_RAX, x86_cpu(c->abi->helper_table));
    x86_rm(&c->as, X86_G5, X86_G5_CALL, x86_mem(X86_RAX, (int32_t)(8 * (uint32_t)in->imm)));
    if (helper->flags & IR_HELPER_FP) {
        x86_fp_guest(&c->as, c->abi);
    }
    x86_drop_temps(c, X86_TEMPS | X86_TEMPS_X);
    x86_move_pins(&c->as, c->abi->target, c->guest_of, kept, X86_MOV);
    x86_load_vector_pins(&c->as, c->abi->target, c->guest_of, c->pinned);
    if (helper->ret == IR_I32) {
        x86_rr(&c->as, X86_MOV, X86_RAX, X86_RAX);
    }
    return helper->ret == IR_VOID ? X86_NO_REG : X86_RAX;
}

/* ---- Calls that see the guest's state ---- */

static void store_arg(TcgCompiler *c, unsigned n, IrVal v, IrType type)
{
    uint32_t to = x86_arg(c, n);

    if (c->insns[v].op == IR_CONST) {
        x86_store_imm32(c, to, (uint32_t)c->insns[v].imm);
        x86_store_imm32(c, to + 4, type == IR_I32 ? 0 : (uint32_t)(c->insns[v].imm >> 32));
        return;
    }
    x86_rm(&c->as, X86_MOV_MR | x86_w(type), x86_use(c, v), x86_cpu(to));
    if (type == IR_I32) {
        x86_store_imm32(c, to + 4, 0);
    }
}

static int emit_call_state(TcgCompiler *c, const IrInsn *in, const IrHelper *helper)
{
    const IrVal args[N_ARGS_MAX] = { in->a, in->b, in->c };
    int d;

    x86_save_temps(c, X86_TEMPS_X);
    x86_forget_translations(c);
    if (helper->flags & IR_HELPER_WRITES) {
        x86_forget_guest(c);
        c->locked = 0;
    }
    for (unsigned i = 0; i < helper->n_args; i++) {
        store_arg(c, i, args[i], (IrType)helper->args[i]);
        c->locked = 0;
    }
    x86_store_imm32(c, x86_arg(c, helper->n_args), (uint32_t)(in->imm >> 32));
    x86_store_imm32(c, x86_arg(c, 3) + 4, (uint32_t)in->imm);
    x86_call_fn(&c->as, c->abi, TCG_THUNK_CALL_STATE);
    x86_site(c, TCG_SITE_FAULT, c->insn_offset, c->insn_word, c->insn_no);
    x86_drop_temps(c, X86_TEMPS_X);
    if (helper->ret == IR_VOID || !c->vals[c->at].last) {
        return X86_NO_REG;
    }
    d = x86_dest(c, X86_NO_REG);
    x86_rm(&c->as, X86_MOV | x86_w((IrType)helper->ret), d, x86_cpu(x86_arg(c, 0)));
    return d;
}

void x86_emit_guard(TcgCompiler *c, const IrInsn *in)
{
    X86Rm a = x86_use_rm(c, in->a);
    X86Cold *cold;

    if (a.reg >= 0) {
        x86_rr(&c->as, X86_TEST | x86_w((IrType)in->type), a.reg, a.reg);
    } else {
        x86_alu_mi(&c->as, x86_w((IrType)in->type), X86_G1_CMP, x86_mem(X86_CPU, a.disp), 0);
    }
    cold = x86_cold(c, X86_COLD_GUARD, x86_jcc(&c->as, X86_CC_E));
    cold->offset = c->insn_offset;
    cold->word = c->insn_word;
    cold->memop = (uint32_t)in->imm;
    cold->back = c->as.p;
}

void x86_cold_guard(TcgCompiler *c, const X86Cold *cold)
{
    x86_store_imm32(c, x86_arg(c, 0), 0);
    x86_store_imm32(c, x86_arg(c, 3) + 4, cold->memop);
    x86_call_fn(&c->as, c->abi, TCG_THUNK_CALL_FP); /* for it keeps vector registers too */
    x86_site(c, TCG_SITE_FAULT, cold->offset, cold->word, cold->insn);
    x86_bind_to(x86_jmp(&c->as), cold->back);
}

int x86_emit_call(TcgCompiler *c, const IrInsn *in)
{
    const IrHelper *helper = &c->abi->target->helpers[(uint32_t)in->imm];

    if (x86_fp_is_inline(c, in)) {
        return x86_emit_fp(c, in);
    }
    if (helper->flags & (IR_HELPER_READS | IR_HELPER_WRITES | IR_HELPER_FAULTS)) {
        return emit_call_state(c, in, helper);
    }
    return emit_call_straight(c, in, helper);
}
