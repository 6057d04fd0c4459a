/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory accesses.
 *
 * The fast path (tcg/abi.h): offset = va - tag in one temporary, index then addend in another; a miss jumps behind the block,
 * where va is offset + tag again, so the slow path needs nothing else. The result register is only written by the access itself:
 * until then the guest state is that of before the insn.
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

/* ---- The fast path ---- */

typedef struct Lookup {
    int offset, addend;
    X86Cold *cold;
} Lookup;

/* offset = va: in the address's own register if that dies (and is not @keep, the value to store), else by a lea. */
static int emit_va(TcgCompiler *c, const IrInsn *in, int keep)
{
    IrVal a = in->a;
    int32_t disp = (int32_t)in->imm;
    X86Mem m;
    int t;

    if (c->insns[a].op == IR_CONST) {
        t = x86_temp(c);
        x86_mov_ri(&c->as, t, c->insns[a].imm + (uint64_t)(int64_t)disp);
        return t;
    }
    m = x86_address(c, a, disp);
    if (m.index < 0 && m.disp == 0 && m.base != keep && !x86_is_pin(m.base) &&
        x86_reg_dies(c, m.base)) {
        return m.base;
    }
    t = x86_temp(c);
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

/* Ends with [addend + offset] being the host address. @value: the register of the value to store, or X86_NO_REG. */
static Lookup emit_tlb(TcgCompiler *c, const IrInsn *in, X86ColdKind kind, int value)
{
    uint32_t table = kind == X86_COLD_LOAD ? c->abi->tlb_read : c->abi->tlb_write;
    uint32_t memop = (uint32_t)(in->imm >> 32);
    int32_t last = 4096 - (1 << (memop & IR_MEM_SIZE));
    Lookup l;
    uint8_t *miss;

    l.offset = emit_va(c, in, value);
    l.addend = x86_temp(c);
    emit_index(c, l.addend, l.offset);
    x86_rm(&c->as, X86_SUB | X86_W, l.offset, x86_mem_index(X86_CTX, l.addend, 0, (int32_t)table));
    if (memop &
        IR_MEM_ALIGN) { /* an aligned offset in the page has no bits but those of the last one */
        x86_rr(&c->as, X86_G3 | X86_W, X86_G3_TEST, l.offset);
        x86_put32(&c->as, (uint32_t)~last);
        miss = x86_jcc(&c->as, X86_CC_NE);
    } else {
        x86_alu_ri(&c->as, X86_W, X86_G1_CMP, l.offset, last);
        miss = x86_jcc(&c->as, X86_CC_A);
    }
    l.cold = x86_cold(c, kind, miss);
    l.cold->r1 = (int8_t)l.offset;
    l.cold->r2 = (int8_t)l.addend;
    l.cold->r3 = (int8_t)value;
    l.cold->offset = c->insn_offset;
    l.cold->word = c->insn_word;
    l.cold->memop = memop;
    x86_rm(&c->as, X86_MOV | X86_W, l.addend,
           x86_mem_index(X86_CTX, l.addend, 0, (int32_t)table + 8));
    return l;
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

int x86_emit_load(TcgCompiler *c, const IrInsn *in)
{
    uint32_t memop = (uint32_t)(in->imm >> 32);
    Lookup l = emit_tlb(c, in, X86_COLD_LOAD, X86_NO_REG);
    int hint = c->vals[c->at].hint;
    int d = hint >= 0 && x86_reg_dies(c, hint) ? hint : l.addend;
    X86Mem m = x86_mem_index(l.addend, l.offset, 0, 0);

    if (memop & IR_MEM_BE && (memop & IR_MEM_SIZE) != IR_MEM_8) {
        emit_load_be(c, d, m, memop, (IrType)in->type);
    } else {
        x86_rm(&c->as, load_opcode(memop, (IrType)in->type), d, m);
    }
    l.cold->r3 = (int8_t)d;
    l.cold->cc = in->type;
    l.cold->back = c->as.p;
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
    int32_t imm;
    Lookup l;

    if (!swap && c->vals[in->b].reg < 0 && x86_imm(c, in->b, (IrType)in->type, &imm)) {
        l = emit_tlb(c, in, X86_COLD_STORE, X86_NO_REG);
        l.cold->value = imm;
        emit_store_imm(c, size, x86_mem_index(l.addend, l.offset, 0, 0), imm);
    } else {
        int value = x86_use(c, in->b);

        l = emit_tlb(c, in, X86_COLD_STORE, value);
        if (swap) {
            emit_store_be(c, size, value, x86_mem_index(l.addend, l.offset, 0, 0));
        } else {
            x86_rm(&c->as, plain[size], value, x86_mem_index(l.addend, l.offset, 0, 0));
        }
    }
    l.cold->back = c->as.p;
}
