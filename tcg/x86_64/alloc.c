/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where values are: registers, homes in memory, eviction. One forward pass, no lists beyond the chains of values that share a place.
 *
 * Within one operation: operands are asked for (x86_use, x86_use_rm: they get locked), then the result's register
 * (x86_dest), then instructions are emitted, then x86_finish releases what dies. A temporary that nothing is chained to is
 * free; a lock only lasts for the operation.
 *
 * Invariants: a value that is needed later and is no constant has a register or a home. A home in a guest register's slot is
 * valid until a setreg of it, which first moves such values to registers. An unpinned guest register's slot always holds
 * its current value; a pinned one's is stale.
 */
#include "tcg/x86_64/x86-priv.h"

static bool remade(const TcgCompiler *c, IrVal v)
{
    return c->insns[v].op == IR_CONST || c->insns[v].op == IR_PCREL;
}

static bool is_temp(int reg)
{
    return !x86_is_pin(reg);
}

void x86_alloc_begin(TcgCompiler *c)
{
    /* IR_NONE is all ones. */
    memset(c->in_reg, 0xff, sizeof(c->in_reg));
    memset(c->in_slot, 0xff, c->abi->target->n_regs * sizeof(*c->in_slot));
    c->free = X86_TEMPS | X86_TEMPS_X;
    c->locked = 0;
    c->spills_free = ~0ull;
    c->keep_flags = false;
    x86_forget_translations(c);
}

static void attach(TcgCompiler *c, IrVal v, int reg)
{
    c->vals[v].reg = (int8_t)reg;
    c->vals[v].reg_next = c->in_reg[reg];
    c->in_reg[reg] = v;
    c->free &= ~(1u << reg);
}

static void detach(TcgCompiler *c, IrVal v)
{
    int reg = c->vals[v].reg;
    IrVal *link = &c->in_reg[reg];

    while (*link != v) {
        link = &c->vals[*link].reg_next;
    }
    *link = c->vals[v].reg_next;
    c->vals[v].reg = X86_NO_REG;
    if (c->in_reg[reg] == IR_NONE && is_temp(reg)) {
        c->free |= 1u << reg;
    }
}

/* Moves the whole chain of @from to @to (an empty register). */
static void rechain(TcgCompiler *c, int to, int from)
{
    while (c->in_reg[from] != IR_NONE) {
        IrVal v = c->in_reg[from];

        detach(c, v);
        attach(c, v, to);
    }
}

static void chain_slot(TcgCompiler *c, unsigned guest, IrVal v)
{
    c->vals[v].home = (uint16_t)c->abi->target->regs[guest].offset;
    c->vals[v].slot_next = c->in_slot[guest];
    c->in_slot[guest] = v;
}

/* Gives @v, which is in a register, a home. */
static void spill(TcgCompiler *c, IrVal v)
{
    X86Val *val = &c->vals[v];
    unsigned n;

    if (!c->spills_free) {
        c->failed = true;
        return;
    }
    n = (unsigned)__builtin_ctzll(c->spills_free);
    c->spills_free &= c->spills_free - 1;
    val->spill = (int8_t)n;
    val->home = (uint16_t)(c->abi->spill + 8 * n);
    if (x86_is_xmm(val->reg)) {
        x86_xmm_store(c, val->reg, x86_cpu((uint32_t)val->home), false);
    } else {
        x86_rm(&c->as, X86_MOV_MR | X86_W, val->reg, x86_cpu((uint32_t)val->home));
    }
}

static bool has_copy(const TcgCompiler *c, IrVal v)
{
    return c->vals[v].home || remade(c, v);
}

/* Empties @reg into memory; for a pinned register, only its chain. */
static void evict(TcgCompiler *c, int reg)
{
    while (c->in_reg[reg] != IR_NONE) {
        IrVal v = c->in_reg[reg];

        if (!has_copy(c, v)) {
            spill(c, v);
        }
        detach(c, v);
    }
}

/* The temporary of @class that costs least to empty: one whose values are in memory too, then one that is needed until latest. */
static int victim(const TcgCompiler *c, uint32_t class)
{
    int best = X86_NO_REG;
    unsigned best_score = 0;

    for (uint32_t m = class & ~c->locked; m; m &= m - 1) {
        int reg = __builtin_ctz(m);
        unsigned score = 1;
        bool free_of_cost = true;

        for (IrVal v = c->in_reg[reg]; v != IR_NONE; v = c->vals[v].reg_next) {
            free_of_cost &= has_copy(c, v);
            score = MAX(score, c->vals[v].last);
        }
        score += free_of_cost ? 1u << 16 : 0;
        if (score > best_score) {
            best = reg;
            best_score = score;
        }
    }
    return best;
}

int x86_temp(TcgCompiler *c)
{
    uint32_t m = c->free & X86_TEMPS & ~c->locked, spare = m & ~c->kept_regs;
    int reg;

    if (spare) {
        reg = 31 - __builtin_clz(spare); /* rax, rcx, rdx last: some operations need these */
    } else if (m) {
        reg = 31 - __builtin_clz(m);
        x86_forget_translation(c, reg);
    } else {
        reg = victim(c, X86_TEMPS);
        g_assert(reg >= 0);
        evict(c, reg);
    }
    c->locked |= 1u << reg;
    return reg;
}

int x86_temp_x(TcgCompiler *c)
{
    uint32_t m = c->free & X86_TEMPS_X & ~c->locked;
    int reg = m ? __builtin_ctz(m) : victim(c, X86_TEMPS_X);

    g_assert(reg >= 0);
    if (!m) {
        evict(c, reg);
    }
    c->locked |= 1u << reg;
    return reg;
}

void x86_claim(TcgCompiler *c, int reg)
{
    c->locked |= 1u << reg;
    if (c->kept_regs >> reg & 1) {
        x86_forget_translation(c, reg);
    }
    if (c->in_reg[reg] != IR_NONE) {
        if (c->free & X86_TEMPS & ~c->locked) {
            int to = x86_temp(c);

            x86_mov_rr(&c->as, to, reg);
            rechain(c, to, reg);
            c->locked &= ~(1u << to);
        } else {
            evict(c, reg);
        }
    }
}

void x86_save_temps(TcgCompiler *c, uint32_t which)
{
    for (uint32_t m = which & ~c->free; m; m &= m - 1) {
        for (IrVal v = c->in_reg[__builtin_ctz(m)]; v != IR_NONE; v = c->vals[v].reg_next) {
            if (c->vals[v].last > c->at && !has_copy(c, v)) {
                spill(c, v);
            }
        }
    }
}

void x86_drop_temps(TcgCompiler *c, uint32_t which)
{
    x86_forget_translations(c);
    for (uint32_t m = which & ~c->free; m; m &= m - 1) {
        int reg = __builtin_ctz(m);

        while (c->in_reg[reg] != IR_NONE) {
            detach(c, c->in_reg[reg]);
        }
    }
}

static void load_pcrel(TcgCompiler *c, int reg, int64_t offset)
{
    X86Mem page = x86_cpu(c->abi->pc_page);

    if (offset == (int32_t)offset) {
        x86_rm(&c->as, X86_MOV | X86_W, reg, page);
        if (offset) {
            x86_rm(&c->as, X86_LEA | X86_W, reg, x86_mem(reg, (int32_t)offset));
        }
        return;
    }
    x86_mov_ri(&c->as, reg, (uint64_t)offset);
    if (c->keep_flags) {
        int t = x86_temp(c);

        x86_rm(&c->as, X86_MOV | X86_W, t, page);
        x86_rm(&c->as, X86_LEA | X86_W, reg, x86_mem_index(reg, t, 0, 0));
    } else {
        x86_rm(&c->as, X86_ADD | X86_W, reg, page);
    }
}

void x86_load_to(TcgCompiler *c, int reg, IrVal v)
{
    const IrInsn *in = &c->insns[v];
    X86Val *val = &c->vals[v];

    if (x86_is_xmm(val->reg)) {
        x86_xmm_to_reg(c, reg, val->reg);
    } else if (val->reg >= 0) {
        x86_mov_rr(&c->as, reg, val->reg);
    } else if (in->op == IR_CONST) {
        if (in->imm || c->keep_flags) {
            x86_mov_ri(&c->as, reg, in->imm);
        } else {
            x86_zero(c, reg);
        }
    } else if (in->op == IR_PCREL) {
        load_pcrel(c, reg, (int64_t)in->imm);
    } else {
        x86_rm(&c->as, X86_MOV | x86_w(in->type), reg, x86_cpu((uint32_t)val->home));
    }
}

int x86_use(TcgCompiler *c, IrVal v)
{
    int reg = c->vals[v].reg;

    if (x86_is_xmm(reg)) {
        c->locked |= 1u << reg;
        reg = x86_temp(c);
        x86_load_to(c, reg, v);
    } else if (reg < 0) {
        reg = x86_temp(c);
        x86_load_to(c, reg, v);
        attach(c, v, reg);
        if (c->insns[v].type == IR_I32) {
            c->vals[v].flags |= X86_VAL_ZEXT;
        }
    }
    c->locked |= 1u << reg;
    return reg;
}

X86Rm x86_use_rm(TcgCompiler *c, IrVal v)
{
    X86Val *val = &c->vals[v];

    if (val->reg < 0 && val->home && (val->last <= c->at || !(c->free & X86_TEMPS & ~c->locked))) {
        return (X86Rm){ X86_NO_REG, val->home };
    }
    return (X86Rm){ x86_use(c, v), 0 };
}

void x86_load_to_x(TcgCompiler *c, int x, IrVal v)
{
    const X86Val *val = &c->vals[v];

    if (x86_is_xmm(val->reg)) {
        x86_xmm_move(c, x, val->reg);
    } else if (val->reg < 0 && val->home) {
        x86_xmm_load(c, x, x86_cpu((uint32_t)val->home), false);
    } else {
        x86_reg_to_xmm(c, x, x86_use(c, v));
    }
}

int x86_use_x(TcgCompiler *c, IrVal v)
{
    const X86Val *val = &c->vals[v];
    int reg = val->reg, x;

    if (x86_is_xmm(reg)) {
        c->locked |= 1u << reg;
        return reg;
    }
    if (reg >= 0) {
        c->locked |= 1u << reg;
    }
    x = x86_temp_x(c);
    x86_load_to_x(c, x, v);
    if (val->reg < 0) {
        attach(c, v, x);
    }
    return x;
}

X86Rm x86_use_x_rm(TcgCompiler *c, IrVal v)
{
    const X86Val *val = &c->vals[v];

    if (val->reg < 0 && val->home && val->last <= c->at) {
        return (X86Rm){ X86_NO_REG, val->home };
    }
    return (X86Rm){ x86_use_x(c, v), 0 };
}

int x86_dest_x(TcgCompiler *c, int prefer, uint32_t avoid)
{
    int hint = c->vals[c->at].hint;

    if (x86_is_xmm(hint) && !(avoid >> hint & 1) && x86_reg_dies(c, hint)) {
        return hint;
    }
    if (x86_is_xmm(prefer) && !(avoid >> prefer & 1) && is_temp(prefer) &&
        x86_reg_dies(c, prefer)) {
        return prefer;
    }
    return x86_temp_x(c);
}

bool x86_imm(const TcgCompiler *c, IrVal v, IrType type, int32_t *imm)
{
    const IrInsn *in = &c->insns[v];

    if (in->op != IR_CONST) {
        return false;
    }
    *imm = (int32_t)in->imm;
    return type == IR_I32 || (int64_t)in->imm == *imm;
}

bool x86_reg_dies(const TcgCompiler *c, int reg)
{
    for (IrVal v = c->in_reg[reg]; v != IR_NONE; v = c->vals[v].reg_next) {
        if (c->vals[v].last > c->at) {
            return false;
        }
    }
    return true;
}

static int usable_hint(const TcgCompiler *c)
{
    int hint = c->vals[c->at].hint;

    return hint >= 0 && !x86_is_xmm(hint) && x86_reg_dies(c, hint) ? hint : X86_NO_REG;
}

bool x86_hint(const TcgCompiler *c)
{
    return usable_hint(c) >= 0;
}

bool x86_in_place(const TcgCompiler *c, IrVal v)
{
    int reg = c->vals[v].reg;
    int hint = usable_hint(c);

    if (reg < 0 || x86_is_xmm(reg)) {
        return false;
    }
    return hint >= 0 ? reg == hint : is_temp(reg) && x86_reg_dies(c, reg);
}

int x86_dest_not(TcgCompiler *c, int prefer, uint32_t mask)
{
    int hint = usable_hint(c);

    if (hint >= 0 && !(mask >> hint & 1)) {
        return hint;
    }
    if (prefer >= 0 && !x86_is_xmm(prefer) && !(mask >> prefer & 1) && is_temp(prefer) &&
        x86_reg_dies(c, prefer)) {
        return prefer;
    }
    c->locked |= mask;
    return x86_temp(c);
}

int x86_dest(TcgCompiler *c, int prefer)
{
    return x86_dest_not(c, prefer, 0);
}

/* Releases @v if this was its last use. */
static void release(TcgCompiler *c, IrVal v)
{
    X86Val *val;

    if (v == IR_NONE) {
        return;
    }
    val = &c->vals[v];
    if (val->flags & X86_VAL_FUSED) {
        const IrInsn *in = &c->insns[v];

        release(c, in->a);
        release(c, in->b);
        return;
    }
    if (val->last > c->at) {
        return;
    }
    if (val->reg >= 0) {
        detach(c, v);
    }
    if (val->spill >= 0) {
        c->spills_free |= 1ull << val->spill;
        val->spill = -1;
    }
    val->home = 0;
}

void x86_finish(TcgCompiler *c, const IrInsn *in, int reg)
{
    unsigned n = in->op == IR_CALL ? 3 : ir_op_info[in->op].n_args;

    if (n > 0) {
        release(c, in->a);
    }
    if (n > 1) {
        release(c, in->b);
    }
    if (n > 2) {
        release(c, in->c);
    }
    if (reg >= 0 && c->vals[c->at].last) {
        attach(c, (IrVal)c->at, reg);
        if (in->type == IR_I32) {
            c->vals[c->at].flags |= X86_VAL_ZEXT;
        }
    }
    c->locked = 0;
    c->keep_flags = false;
}

/* Whether @v's home is the slot of the guest register that it was read from. */
static bool is_in_own_slot(const TcgCompiler *c, IrVal v)
{
    const IrInsn *in = &c->insns[v];

    return in->op == IR_GETREG && c->vals[v].home == (int32_t)c->abi->target->regs[in->imm].offset;
}

void x86_alias(TcgCompiler *c, IrVal v)
{
    X86Val *val = &c->vals[v];

    if (!c->vals[c->at].last) {
        return;
    }
    if (val->reg < 0 && is_in_own_slot(c, v)) {
        chain_slot(c, (unsigned)c->insns[v].imm,
                   (IrVal)c->at); /* its low half: the host is little endian */
        return;
    }
    if (val->reg < 0) {
        x86_use(c, v);
    }
    attach(c, (IrVal)c->at, val->reg);
    c->vals[c->at].flags |= val->flags & (X86_VAL_ZEXT | X86_VAL_BOXED);
}

void x86_getreg(TcgCompiler *c, unsigned guest)
{
    if (c->pin_of[guest] >= 0) {
        attach(c, (IrVal)c->at, c->pin_of[guest]);
    }
    if (c->pin_of[guest] < 0 || x86_is_xmm(c->pin_of[guest])) {
        chain_slot(c, guest, (IrVal)c->at);
    }
}

/* A temporary with what is in @reg. */
static int move_away(TcgCompiler *c, int reg)
{
    int to;

    if (x86_is_xmm(reg)) {
        to = x86_temp_x(c);
        x86_xmm_move(c, to, reg);
    } else {
        to = x86_temp(c);
        x86_mov_rr(&c->as, to, reg);
    }
    return to;
}

/* Values other than @keep that are needed later leave the pinned register @reg, which gets a new guest value. */
static void vacate_pin(TcgCompiler *c, int reg, IrVal keep)
{
    uint32_t class = x86_is_xmm(reg) ? X86_TEMPS_X : X86_TEMPS;
    int to = X86_NO_REG;
    IrVal next;

    for (IrVal v = c->in_reg[reg]; v != IR_NONE; v = next) {
        next = c->vals[v].reg_next;
        if (v == keep) {
            continue;
        }
        if (!has_copy(c, v) && to < 0 && (c->free & class & ~c->locked)) {
            to = move_away(c, reg);
        } else if (!has_copy(c, v) && to < 0) {
            spill(c, v);
        }
        detach(c, v);
        if (to >= 0) {
            attach(c, v, to);
        }
    }
}

/* Values other than @keep whose only place is the slot of guest register @guest move to registers. */
static void vacate_slot(TcgCompiler *c, unsigned guest, IrVal keep)
{
    int32_t home = (int32_t)c->abi->target->regs[guest].offset;

    for (IrVal v = c->in_slot[guest]; v != IR_NONE; v = c->vals[v].slot_next) {
        X86Val *val = &c->vals[v];

        if (v == keep || val->home != home || val->last <= c->at) {
            continue;
        }
        if (val->reg < 0) {
            if (val->flags & X86_VAL_X) {
                x86_use_x(c, v);
            } else {
                x86_use(c, v);
            }
        }
        val->home = 0;
        c->locked &= ~(1u << val->reg);
    }
    c->in_slot[guest] = IR_NONE;
}

static void setreg_pinned(TcgCompiler *c, int pin, IrVal v)
{
    X86Val *val = &c->vals[v];

    if (val->reg == pin) {
        return;
    }
    vacate_pin(c, pin, IR_NONE);
    x86_load_to(c, pin, v);
    if (val->last > c->at && (val->reg < 0 || X86_TEMPS >> val->reg & 1)) {
        if (val->reg >= 0) {
            detach(c, v);
        }
        attach(c, v, pin);
    }
}

/* Both the pinned vector register and the slot get the value. */
static void setreg_vector(TcgCompiler *c, unsigned guest, int pin, IrVal v)
{
    X86Val *val = &c->vals[v];
    X86Mem slot = x86_cpu(c->abi->target->regs[guest].offset);

    if (val->home == slot.disp) {
        return; /* it is what it was */
    }
    vacate_slot(c, guest, v);
    vacate_pin(c, pin, v);
    if (val->reg != pin) {
        x86_load_to_x(c, pin, v);
        if (val->last > c->at && (val->reg < 0 || X86_TEMPS_X >> val->reg & 1)) {
            if (val->reg >= 0) {
                detach(c, v);
            }
            attach(c, v, pin);
        }
    }
    x86_xmm_store(c, pin, slot, false);
    if (!val->home && val->last > c->at && !remade(c, v)) {
        chain_slot(c, guest, v);
    }
}

static void setreg_slot(TcgCompiler *c, unsigned guest, IrVal v, IrType type)
{
    X86Val *val = &c->vals[v];
    X86Mem slot = x86_cpu(c->abi->target->regs[guest].offset);
    int32_t imm;

    if (val->home == slot.disp) {
        return;
    }
    if (val->reg < 0 && x86_imm(c, v, type, &imm)) {
        vacate_slot(c, guest, v);
        x86_rm(&c->as, X86_MOV_MI | x86_w(type), 0, slot);
        x86_put32(&c->as, (uint32_t)imm);
        return;
    }
    if (x86_is_xmm(val->reg)) {
        c->locked |= 1u << val->reg;
        vacate_slot(c, guest, v);
        x86_xmm_store(c, val->reg, slot, type == IR_I32);
    } else {
        x86_use(c, v);
        vacate_slot(c, guest, v);
        x86_rm(&c->as, X86_MOV_MR | x86_w(type), x86_use(c, v), slot);
    }
    if (!val->home && val->last > c->at && !remade(c, v)) {
        chain_slot(c, guest, v);
    }
}

void x86_setreg(TcgCompiler *c, unsigned guest, IrVal v, IrType type)
{
    if (x86_is_xmm(c->pin_of[guest])) {
        setreg_vector(c, guest, c->pin_of[guest], v);
    } else if (c->pin_of[guest] >= 0) {
        setreg_pinned(c, c->pin_of[guest], v);
    } else {
        setreg_slot(c, guest, v, type);
    }
}

void x86_forget_guest(TcgCompiler *c)
{
    for (uint32_t m = c->pinned; m; m &= m - 1) {
        int reg = __builtin_ctz(m);

        for (IrVal v = c->in_reg[reg], next; v != IR_NONE; v = next) {
            next = c->vals[v].reg_next;
            if (c->vals[v].last > c->at && !has_copy(c, v)) {
                spill(c, v);
            }
            if (c->vals[v].last > c->at) {
                detach(c, v);
            }
        }
    }
    for (unsigned i = 0; i < c->abi->target->n_regs; i++) {
        if (c->in_slot[i] != IR_NONE) {
            vacate_slot(c, i, IR_NONE);
        }
    }
}
