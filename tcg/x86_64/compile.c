/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compiling a block: a backward pass (live.c), a forward pass that emits, then what was put behind the block (cold.c). Linear in
 * the length of the block; the compiler object keeps all buffers, so compiling allocates nothing.
 *
 * The code is position-independent: jumps inside the block are relative, all else goes through the Cpu register.
 */
#include "tcg/x86_64/x86-priv.h"

const int8_t x86_pin_regs[X86_N_PINS] = { X86_RBX, X86_R14, X86_R12, X86_R13,
                                          X86_R8,  X86_R9,  X86_R10, X86_R11 };

/* The guest register that wants to be pinned most of those whose pin's rank is above *@rank, which becomes its rank. -1: none. */
static int next_pin(const IrTarget *target, unsigned vector, unsigned *rank)
{
    unsigned best = IR_PIN_VECTOR;
    int which = -1;

    for (unsigned i = 0; i < target->n_regs; i++) {
        unsigned r = target->regs[i].pin & ~(unsigned)IR_PIN_VECTOR;

        if ((target->regs[i].pin & IR_PIN_VECTOR) == vector && r > *rank && r < best) {
            best = r;
            which = (int)i;
        }
    }
    *rank = best;
    return which;
}

uint32_t x86_choose_pins(const IrTarget *target, int16_t guest_of[X86_N_ALL_REGS])
{
    uint32_t used = 0;
    unsigned rank = 0;
    int guest;

    for (unsigned r = 0; r < X86_N_ALL_REGS; r++) {
        guest_of[r] = -1;
    }
    for (unsigned n = 0; n < X86_N_PINS && (guest = next_pin(target, 0, &rank)) >= 0; n++) {
        guest_of[x86_pin_regs[n]] = (int16_t)guest;
        used |= 1u << x86_pin_regs[n];
    }
    rank = 0;
    for (uint32_t m = X86_PINS_X; m && (guest = next_pin(target, IR_PIN_VECTOR, &rank)) >= 0;
         m &= m - 1) {
        guest_of[__builtin_ctz(m)] = (int16_t)guest;
        used |= m & -m;
    }
    return used;
}

TcgCompiler *tcg_compiler_new(const TcgAbi *abi)
{
    TcgCompiler *c = g_new0(TcgCompiler, 1);

    g_assert(abi->target->n_regs <= X86_MAX_REGS);
    c->abi = abi;
    c->code = g_malloc(X86_CODE_MAX + X86_OP_ROOM);
    c->todo = g_new(uint16_t, IR_MAX_INSNS);
    c->vals = g_new(X86Val, IR_MAX_INSNS);
    c->in_slot = g_new(IrVal, abi->target->n_regs + 1);
    c->pin_of = g_new(int8_t, abi->target->n_regs + 1);
    c->set_later = g_new0(uint32_t, abi->target->n_regs + 1);
    c->cold = g_new(X86Cold, X86_MAX_COLD);
    c->sites = g_new(TcgSite, X86_MAX_SITES);
    c->pinned = x86_choose_pins(abi->target, c->guest_of);
    g_assert(abi->spill + 8 * TCG_N_SPILLS <= UINT16_MAX); /* X86Val.home */
    for (unsigned i = 0; i < abi->target->n_regs; i++) {
        g_assert(abi->target->regs[i].offset <= UINT16_MAX);
        c->pin_of[i] = X86_NO_REG;
    }
    for (int r = 0; r < X86_N_ALL_REGS; r++) {
        if (c->guest_of[r] >= 0) {
            c->pin_of[c->guest_of[r]] = (int8_t)r;
        }
    }
    return c;
}

void tcg_compiler_free(TcgCompiler *c)
{
    g_free(c->code);
    g_free(c->todo);
    g_free(c->vals);
    g_free(c->in_slot);
    g_free(c->pin_of);
    g_free(c->set_later);
    g_free(c->cold);
    g_free(c->sites);
    g_free(c);
}

static void emit_fence(TcgCompiler *c, const IrInsn *in)
{
    if (in->imm & 1) { /* any locked instruction is a full fence */
        x86_put8(&c->as, 0xf0);
        x86_alu_mi(&c->as, 0, X86_G1_OR, x86_cpu(x86_arg(c, 0)), 0);
    }
}

/* Most operations emit nothing: true if @in is one of them. */
static bool note(TcgCompiler *c, const IrInsn *in)
{
    if (in->op == IR_INSN) {
        c->insn_offset = (int32_t)in->imm;
        c->insn_word = (uint32_t)in->a | (uint32_t)in->b << 16;
        c->insn_no++;
        return true;
    }
    if (in->op == IR_GETREG) {
        x86_getreg(c, (unsigned)in->imm);
        return true;
    }
    return in->op == IR_CONST || in->op == IR_PCREL; /* made where it is used */
}

/* Emits one operation; the register of its result, or X86_NO_REG: none, or it was told where it is. */
static int emit(TcgCompiler *c, const IrInsn *in)
{
    switch ((IrOp)in->op) {
    case IR_SETREG:
        x86_setreg(c, (unsigned)in->imm, in->a, (IrType)in->type);
        return X86_NO_REG;
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_ANDN:
        return x86_emit_binary(c, in);
    case IR_MUL:
    case IR_MULHS:
    case IR_MULHU:
    case IR_MULHSU:
        return x86_emit_mul(c, in);
    case IR_DIVS:
    case IR_DIVU:
    case IR_REMS:
    case IR_REMU:
        return x86_emit_div(c, in);
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROTL:
    case IR_ROTR:
        return x86_emit_shift(c, in);
    case IR_CLZ:
    case IR_CTZ:
    case IR_POPCNT:
        return x86_emit_count(c, in);
    case IR_CLMUL:
    case IR_CLMULH:
        return x86_emit_clmul(c, in);
    case IR_NOT:
    case IR_NEG:
    case IR_BSWAP:
    case IR_SEXT8:
    case IR_SEXT16:
    case IR_ZEXT8:
    case IR_ZEXT16:
    case IR_SEXT:
    case IR_ZEXT:
    case IR_TRUNC:
        return x86_emit_unary(c, in);
    case IR_SETCC:
        return x86_emit_setcc(c, in);
    case IR_SELECT:
        return x86_emit_select(c, in);
    case IR_LOAD:
        return x86_emit_load(c, in);
    case IR_STORE:
        x86_emit_store(c, in);
        return X86_NO_REG;
    case IR_FENCE:
        emit_fence(c, in);
        return X86_NO_REG;
    case IR_CALL:
        return x86_emit_call(c, in);
    case IR_GUARD:
        x86_emit_guard(c, in);
        return X86_NO_REG;
    case IR_EXITCC:
        x86_emit_exitcc(c, in);
        return X86_NO_REG;
    case IR_EXIT:
        x86_emit_exit(c, in);
        return X86_NO_REG;
    case IR_EXITIND:
        x86_emit_exitind(c, in);
        return X86_NO_REG;
    case IR_LEAVE:
        x86_emit_leave(c, in);
        return X86_NO_REG;
    case IR_INSN:
    case IR_GETREG:
    case IR_CONST:
    case IR_PCREL:
    case IR_N_OPS:
        break;
    }
    g_assert_not_reached();
}

static void begin(TcgCompiler *c, const IrBlock *ir)
{
    c->ir = ir;
    c->insns = ir->insns;
    c->as.p = c->code;
    c->features = x86_features();
    c->n_cold = 0;
    c->n_sites = 0;
    c->failed = false;
    c->insn_no = ~0u; /* before the first */
    c->insn_offset = (int32_t)ir->page_offset;
    c->insn_word = 0;
    x86_live(c);
    x86_alloc_begin(c);
}

bool tcg_compiler_compile(TcgCompiler *c, const IrBlock *ir, TcgCode *out)
{
    uint32_t hot_size;

    begin(c, ir);
    x86_emit_head(c);
    for (unsigned i = c->first_todo; i < IR_MAX_INSNS; i++) {
        const IrInsn *in = &ir->insns[c->todo[i]];

        c->at = c->todo[i];
        if (!note(c, in)) {
            x86_finish(c, in, emit(c, in));
            if (c->failed || !x86_has_room(c)) {
                return false;
            }
        }
    }
    hot_size = (uint32_t)(c->as.p - c->code);
    if (!x86_emit_cold(c)) {
        return false;
    }
    *out = (TcgCode){
        .code = c->code,
        .size = (uint32_t)(c->as.p - c->code),
        .hot_size = hot_size,
        .entry_link = 8,
        .sites = c->sites,
        .n_sites = c->n_sites,
    };
    return true;
}
