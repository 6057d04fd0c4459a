/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory accesses.
 *
 * The fast path (tcg/abi.h): offset = va - tag in one temporary, index then addend in another; a miss jumps behind the block,
 * where the address's own registers still hold it (another vCPU may invalidate the entry meanwhile, so offset + tag is no
 * address any more). The result register is only written by the access itself:
 * until then the guest state is that of before the insn. Registers are allocated before that jump, never after it.
 *
 * When another access through the same base register follows (X86_VAL_MORE, live.c), offset and addend stay in their
 * temporaries as long as nobody needs these, and that access only compares. A block is left or calls a helper
 * before a translation can change under it; another vCPU's changes wait for the end of the block anyway.
 */
#include "tcg/x86_64/x86-priv.h"

void x86_call_fn(X86Asm *as, const TcgAbi *abi, unsigned fn)
{
    x86_put8(as, 0xff); /* always the 6-byte form: exits are found by their return address */
    x86_put8(as, 0x95);
    x86_put32(as, abi->fn_table + 8 * fn);
}

void x86_jmp_fn(X86Asm *as, const TcgAbi *abi, unsigned fn)
{
    x86_rm(as, X86_G5, X86_G5_JMP, x86_cpu(abi->fn_table + 8 * fn));
}

uint32_t x86_arg(const TcgCompiler *c, unsigned n)
{
    return c->abi->arg + 8 * n;
}

void x86_store_imm32(TcgCompiler *c, uint32_t offset, uint32_t imm)
{
    x86_rm(&c->as, X86_MOV_MI, 0, x86_cpu(offset));
    x86_put32(&c->as, imm);
}

/* ---- Translations kept for the next access ---- */

void x86_forget_translations(TcgCompiler *c)
{
    for (unsigned i = 0; i < X86_N_KEPT; i++) {
        c->kept[i].root = IR_NONE;
    }
    c->kept_regs = 0;
}

void x86_forget_translation(TcgCompiler *c, int reg)
{
    c->kept_regs = 0;
    for (unsigned i = 0; i < X86_N_KEPT; i++) {
        X86Kept *k = &c->kept[i];

        if (k->root != IR_NONE && (k->offset == reg || k->addend == reg)) {
            k->root = IR_NONE;
        } else if (k->root != IR_NONE) {
            c->kept_regs |= 1u << k->offset | 1u << k->addend;
        }
    }
}

static X86Kept *find_kept(TcgCompiler *c, IrVal root, IrOp kind)
{
    for (unsigned i = 0; i < X86_N_KEPT; i++) {
        if (c->kept[i].root == root && c->kept[i].kind == kind) {
            return &c->kept[i];
        }
    }
    return NULL;
}

/* Remembers that [addend + offset] is the host address of root + disp. */
static void keep(TcgCompiler *c, IrVal root, int64_t disp, IrOp kind, int offset, int addend)
{
    X86Kept *k = find_kept(c, root, kind);

    if (!k) {
        k = &c->kept[c->next_kept++ % X86_N_KEPT];
    }
    *k = (X86Kept){ root, (uint8_t)kind, (int8_t)offset, (int8_t)addend, disp };
    x86_forget_translation(c, X86_NO_REG);
}

/* ---- The fast path ---- */

/* [addend + offset + disp] is the host address once the jump to .cold has not been taken. */
typedef struct Lookup {
    X86Mem host;
    int result; /* where a load may put its result if it is not to go to a pinned register */
    int32_t delta;
    X86Cold *cold;
} Lookup;

/* A temporary with the address @m, whose registers stay for the slow path. */
static int emit_va(TcgCompiler *c, X86Mem m)
{
    int t = x86_temp(c);

    if (m.index < 0 && m.disp == 0) {
        x86_mov_rr(&c->as, t, m.base);
    } else {
        x86_rm(&c->as, X86_LEA | X86_W, t, m);
    }
    return t;
}

static void emit_index(TcgCompiler *c, int index, int va)
{
    if (c->features & X86_FEAT_BMI2) {
        x86_vex_rr(&c->as, X86_RORX, index, 0, va);
        x86_put8(&c->as, 8);
    } else {
        x86_rr(&c->as, X86_MOV, index, va);
        x86_shift_ri(&c->as, 0, X86_G2_SHR, index, 8);
    }
    x86_alu_ri(&c->as, 0, X86_G1_AND, index, (int32_t)(c->abi->tlb_mask << 4));
}

/* Jumps if an access of @memop at @offset + @delta from the start of the page leaves it, or must not be misaligned and is (then
 * @delta must be 0). */
static uint8_t *emit_check(TcgCompiler *c, int offset, int32_t delta, uint32_t memop)
{
    int32_t last = 4096 - (1 << (memop & IR_MEM_SIZE));

    if (memop & IR_MEM_ALIGN) {
        /* An aligned offset in the page has no bits but those of the last one. */
        x86_rr(&c->as, X86_G3 | X86_W, X86_G3_TEST, offset);
        x86_put32(&c->as, (uint32_t)~last);
        return x86_jcc(&c->as, X86_CC_NE);
    }
    x86_alu_ri(&c->as, X86_W, X86_G1_CMP, offset, last - delta);
    return x86_jcc(&c->as, X86_CC_A);
}

static X86Cold *cold_access(TcgCompiler *c, const IrInsn *in, uint8_t *jump, X86Mem va, int offset,
                            int addend)
{
    X86Cold *cold = x86_cold(c, X86_COLD_ACCESS, jump);

    cold->offset = c->insn_offset;
    cold->word = c->insn_word;
    cold->miss = (X86Miss){
        .memop_scale = (uint8_t)((in->imm >> 32) | (uint32_t)va.scale << X86_MISS_SCALE_SHIFT),
        .flags = in->op == IR_STORE   ? X86_MISS_STORE
                 : in->type == IR_I32 ? X86_MISS_I32
                                      : 0,
        .offset_addend = (uint8_t)(offset | addend << 4),
        .data_base = (uint8_t)(va.base << 4),
        .disp = va.disp,
    };
    if (va.index >= 0) {
        cold->miss.flags |= X86_MISS_INDEX;
        cold->miss.scratch_index = (uint8_t)(va.index << 4);
    }
    return cold;
}

/* The access's page is probably that of an earlier one: only checks that it lies wholly in it. (A kept offset outside the
 * page, if the earlier one found no translation, fails the check.) Otherwise the cold part looks up this access's page,
 * changes what is kept accordingly, and comes back. */
static Lookup emit_again(TcgCompiler *c, const IrInsn *in, const X86Kept *k, int32_t delta,
                         IrOp kind)
{
    uint32_t memop = (uint32_t)(in->imm >> 32);
    Lookup l = { .result = X86_NO_REG };
    X86Mem va = x86_address(c, in->a, (int32_t)in->imm);
    int t = X86_NO_REG;
    uint8_t *miss;

    if (kind == IR_LOAD && !x86_hint(c)) {
        l.result = x86_temp(c);
    }
    if (delta >= 0 && !(memop & IR_MEM_ALIGN)) {
        miss = emit_check(c, k->offset, delta, memop);
        l.host = x86_mem_index(k->addend, k->offset, 0, delta);
    } else {
        t = x86_temp(c);
        x86_rm(&c->as, X86_LEA | X86_W, t, x86_mem(k->offset, delta));
        miss = emit_check(c, t, 0, memop);
        l.host = x86_mem_index(k->addend, t, 0, 0);
    }
    l.cold = cold_access(c, in, miss, va, k->offset, k->addend);
    l.cold->miss.flags |= X86_MISS_KEEP | X86_MISS_AGAIN;
    l.cold->miss.delta = (int16_t)delta;
    if (t >= 0) {
        l.cold->miss.flags |= X86_MISS_SCRATCH;
        l.cold->miss.scratch_index = (uint8_t)t;
    }
    l.cold->back = c->as.p;
    return l;
}

/* Looks up the page of the access, or if @more that of @delta below it, where later accesses will be. */
static Lookup emit_tlb(TcgCompiler *c, const IrInsn *in, IrOp kind, bool more, int32_t delta)
{
    uint32_t table = kind == IR_LOAD ? c->abi->tlb_read : c->abi->tlb_write;
    Lookup l = { .result = X86_NO_REG };
    X86Mem va = x86_address(c, in->a, (int32_t)in->imm), low = va;
    int offset, addend;
    uint8_t *miss;

    if (va.disp < INT32_MIN + INT16_MAX) {
        delta = 0;
    }
    low.disp -= delta;
    l.delta = delta;
    offset = emit_va(c, low);
    addend = x86_temp(c);
    if (more && kind == IR_LOAD && !x86_hint(c)) {
        l.result = x86_temp(c);
    }
    emit_index(c, addend, low.index < 0 && low.disp == 0 ? low.base : offset);
    x86_rm(&c->as, X86_SUB | X86_W, offset, x86_mem_index(X86_CTX, addend, 0, (int32_t)table));
    miss = emit_check(c, offset, delta, (uint32_t)(in->imm >> 32));
    l.cold = cold_access(c, in, miss, va, offset, addend);
    l.cold->miss.flags |= (more ? X86_MISS_KEEP : 0) | (delta ? X86_MISS_AGAIN : 0);
    l.cold->miss.delta = (int16_t)delta;
    x86_rm(&c->as, X86_MOV | X86_W, addend, x86_mem_index(X86_CTX, addend, 0, (int32_t)table + 8));
    l.cold->back = c->as.p;
    l.host = x86_mem_index(addend, offset, 0, delta);
    if (l.result < 0) {
        l.result = addend;
    }
    return l;
}

/* The registers of two values, of the address and of the result fit beside what is kept. */
static bool has_spare(const TcgCompiler *c)
{
    return __builtin_popcount(c->free & X86_TEMPS & ~c->locked) >= 4;
}

/* Whether the access's address is one register and a displacement. */
static bool is_simple(const TcgCompiler *c, const IrInsn *in)
{
    const IrInsn *sum = &c->insns[in->a];
    int64_t disp = (int32_t)in->imm;

    if (!(c->vals[in->a].flags & X86_VAL_FUSED)) {
        return true;
    }
    disp += (int64_t)c->insns[sum->b].imm;
    return c->insns[sum->b].op == IR_CONST && disp == (int32_t)disp;
}

static Lookup emit_lookup(TcgCompiler *c, const IrInsn *in, IrOp kind)
{
    int64_t disp = (int32_t)in->imm, reference;
    IrVal root = x86_root(c, in->a, &disp);
    X86Kept *k = find_kept(c, root, kind);
    bool more = c->vals[c->at].flags & X86_VAL_MORE;
    Lookup l;

    if (k && is_simple(c, in)) {
        int64_t delta = disp - k->disp;

        if (delta > -4096 && delta < 4088) {
            c->locked |= 1u << k->offset | 1u << k->addend;
            return emit_again(c, in, k, (int32_t)delta, kind);
        }
    }
    more = more && has_spare(c);
    reference = more && !(in->imm >> 32 & IR_MEM_ALIGN) ? c->vals[c->at].reference : disp;
    l = emit_tlb(c, in, kind, more, (int32_t)(disp - reference));
    if (more) {
        keep(c, root, disp - l.delta, kind, l.host.index, l.host.base);
    }
    return l;
}

void x86_emit_other_page(TcgCompiler *c, const X86Cold *cold)
{
    const X86Miss *m = &cold->miss;
    uint32_t memop = m->memop_scale & ((1u << X86_MISS_SCALE_SHIFT) - 1);
    uint32_t table = m->flags & X86_MISS_STORE ? c->abi->tlb_write : c->abi->tlb_read;
    int offset = m->offset_addend & 15, addend = m->offset_addend >> 4;
    X86Mem va = x86_mem(m->data_base >> 4, m->disp);
    uint8_t *miss;

    if (m->flags & X86_MISS_INDEX) {
        va.index = (int8_t)(m->scratch_index >> 4);
        va.scale = (uint8_t)(m->memop_scale >> X86_MISS_SCALE_SHIFT);
    }
    x86_rm(&c->as, X86_LEA | X86_W, offset, va);
    emit_index(c, addend, offset);
    x86_rm(&c->as, X86_SUB | X86_W, offset, x86_mem_index(X86_CTX, addend, 0, (int32_t)table));
    miss = emit_check(c, offset, 0, memop);
    x86_rm(&c->as, X86_MOV | X86_W, addend, x86_mem_index(X86_CTX, addend, 0, (int32_t)table + 8));
    if (m->flags & X86_MISS_SCRATCH) {
        x86_mov_rr(&c->as, m->scratch_index & 15, offset);
    }
    if (m->delta) {
        x86_rm(&c->as, X86_LEA | X86_W, offset, x86_mem(offset, -m->delta));
    }
    x86_bind_to(x86_jmp(&c->as), cold->back - m->access_len);
    x86_bind(&c->as, miss);
}

/* The access has been emitted. @data: the register of the value or result. */
static void end_access(TcgCompiler *c, X86Cold *cold, int data)
{
    if (x86_is_xmm(data)) {
        cold->miss.flags |= X86_MISS_X;
        data = x86_xmm(data);
    }
    cold->cc = (cold->miss.flags & X86_MISS_X) || (X86_TEMPS_X & ~c->free);
    cold->miss.data_base |= (uint8_t)data;
    if (cold->miss.flags & X86_MISS_AGAIN) {
        cold->miss.access_len = (uint8_t)(c->as.p - cold->back);
    }
    cold->back = c->as.p;
}

/* ---- Loads ---- */

static uint32_t load_opcode(uint32_t memop, IrType type)
{
    uint32_t w = x86_w(type);

    switch (memop & (IR_MEM_SIZE | IR_MEM_SIGN)) {
    case IR_MEM_8:
        return X86_MOVZX8;
    case IR_MEM_8 | IR_MEM_SIGN:
        return X86_MOVSX8 | w;
    case IR_MEM_16:
        return X86_MOVZX16;
    case IR_MEM_16 | IR_MEM_SIGN:
        return X86_MOVSX16 | w;
    case IR_MEM_32 | IR_MEM_SIGN:
        return w ? X86_MOVSXD : X86_MOV;
    case IR_MEM_32:
        return X86_MOV;
    default:
        return X86_MOV | X86_W;
    }
}

/* Loads big-endian data of @memop's size zero-extended, then widens it if that takes more. */
static void emit_load_be(TcgCompiler *c, int d, X86Mem m, uint32_t memop, IrType type)
{
    uint32_t size = memop & IR_MEM_SIZE;
    uint32_t wide = size == IR_MEM_64 ? X86_W : 0;

    if (size == IR_MEM_16) {
        x86_rm(&c->as, X86_MOVZX16, d, m);
        x86_rr(&c->as, X86_G2_I8 | X86_P66, X86_G2_ROL, d);
        x86_put8(&c->as, 8);
    } else if (c->features & X86_FEAT_MOVBE) {
        x86_rm(&c->as, X86_MOVBE | wide, d, m);
    } else {
        x86_rm(&c->as, X86_MOV | wide, d, m);
        x86_bswap(&c->as, wide, d);
    }
    if (memop & IR_MEM_SIGN && size == IR_MEM_16) {
        x86_rr(&c->as, X86_MOVSX16 | x86_w(type), d, d);
    } else if (memop & IR_MEM_SIGN && size == IR_MEM_32 && type == IR_I64) {
        x86_rr(&c->as, X86_MOVSXD, d, d);
    }
}

/* A load of 64 bits, or 32 zero-extended, that floating point uses. */
static bool is_vector_load(const TcgCompiler *c, uint32_t memop, IrType type)
{
    return c->vals[c->at].flags & X86_VAL_X && type == IR_I64 && !x86_hint(c) &&
           ((memop & ~(uint32_t)IR_MEM_ALIGN) == IR_MEM_64 ||
            (memop & ~(uint32_t)IR_MEM_ALIGN) == IR_MEM_32);
}

int x86_emit_load(TcgCompiler *c, const IrInsn *in)
{
    uint32_t memop = (uint32_t)(in->imm >> 32);
    int x = is_vector_load(c, memop, (IrType)in->type) ? x86_dest_x(c, X86_NO_REG, 0) : X86_NO_REG;
    Lookup l = emit_lookup(c, in, IR_LOAD);
    int d = x86_hint(c) ? c->vals[c->at].hint : l.result;

    if (x >= 0) {
        x86_xmm_load(c, x, l.host, (memop & IR_MEM_SIZE) == IR_MEM_32);
        end_access(c, l.cold, x);
        return x;
    }

    if (memop & IR_MEM_BE && (memop & IR_MEM_SIZE) != IR_MEM_8) {
        emit_load_be(c, d, l.host, memop, (IrType)in->type);
    } else {
        x86_rm(&c->as, load_opcode(memop, (IrType)in->type), d, l.host);
    }
    end_access(c, l.cold, d);
    return d;
}

/* ---- Stores ---- */

static void emit_store_imm(TcgCompiler *c, uint32_t size, X86Mem m, int32_t imm)
{
    static const uint32_t ops[] = { X86_MOV8_MI, X86_MOV16_MI, X86_MOV_MI, X86_MOV_MI | X86_W };

    x86_rm(&c->as, ops[size], 0, m);
    if (size == IR_MEM_8) {
        x86_put8(&c->as, (uint8_t)imm);
    } else if (size == IR_MEM_16) {
        x86_put8(&c->as, (uint8_t)imm);
        x86_put8(&c->as, (uint8_t)(imm >> 8));
    } else {
        x86_put32(&c->as, (uint32_t)imm);
    }
}

/* Reverses @reg's low bytes in place; done twice, it is as before. */
static void emit_reverse(TcgCompiler *c, uint32_t size, int reg)
{
    if (size == IR_MEM_16) {
        x86_rr(&c->as, X86_G2_I8 | X86_P66, X86_G2_ROL, reg);
        x86_put8(&c->as, 8);
        return;
    }
    x86_bswap(&c->as, X86_W, reg);
    if (size == IR_MEM_32) { /* whole, then turned: a bswap of 32 bits would clear the upper half */
        x86_rr(&c->as, X86_G2_I8 | X86_W, X86_G2_ROL, reg);
        x86_put8(&c->as, 32);
    }
}

static void emit_store_be(TcgCompiler *c, uint32_t size, int value, X86Mem m)
{
    if (c->features & X86_FEAT_MOVBE) {
        x86_rm(&c->as,
               size == IR_MEM_16 ? X86_MOVBE16_MR : X86_MOVBE_MR | (size == IR_MEM_64 ? X86_W : 0),
               value, m);
        return;
    }
    emit_reverse(c, size, value);
    x86_rm(&c->as, size == IR_MEM_16 ? X86_MOV16_MR : X86_MOV_MR | (size == IR_MEM_64 ? X86_W : 0),
           value, m);
    emit_reverse(c, size, value);
}

void x86_emit_store(TcgCompiler *c, const IrInsn *in)
{
    static const uint32_t plain[] = { X86_MOV8_MR, X86_MOV16_MR, X86_MOV_MR, X86_MOV_MR | X86_W };
    uint32_t memop = (uint32_t)(in->imm >> 32), size = memop & IR_MEM_SIZE;
    bool swap = memop & IR_MEM_BE && size != IR_MEM_8;
    int value = X86_NO_REG;
    int32_t imm;
    Lookup l;

    if (!swap && c->vals[in->b].reg < 0 && x86_imm(c, in->b, (IrType)in->type, &imm)) {
        l = emit_lookup(c, in, IR_STORE);
        l.cold->miss.flags |= X86_MISS_IMM;
        l.cold->miss.imm = imm;
        emit_store_imm(c, size, l.host, imm);
    } else if (x86_is_xmm(c->vals[in->b].reg) && !swap && size >= IR_MEM_32) {
        value = x86_use_x(c, in->b);
        l = emit_lookup(c, in, IR_STORE);
        x86_xmm_store(c, value, l.host, size == IR_MEM_32);
    } else {
        value = x86_use(c, in->b);
        l = emit_lookup(c, in, IR_STORE);
        if (swap) {
            emit_store_be(c, size, value, l.host);
        } else {
            x86_rm(&c->as, plain[size], value, l.host);
        }
    }
    end_access(c, l.cold, value < 0 ? 0 : value);
}
