/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86-64 instruction bytes. Nothing here chooses anything: callers say which instruction with which operands, these functions
 * write it (Intel SDM volume 2, chapter 2: prefixes, REX, VEX, ModRM, SIB).
 *
 * An instruction is named by an opcode word: opcode byte, opcode map, mandatory prefix, operand-size bits. The caller
 * guarantees room in the buffer: no instruction is longer than 15 bytes.
 */
#ifndef TCG_X86_64_ENC_H
#define TCG_X86_64_ENC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    X86_RAX,
    X86_RCX,
    X86_RDX,
    X86_RBX,
    X86_RSP,
    X86_RBP,
    X86_RSI,
    X86_RDI,
    X86_R8,
    X86_R9,
    X86_R10,
    X86_R11,
    X86_R12,
    X86_R13,
    X86_R14,
    X86_R15,
    X86_N_REGS,
    X86_NO_REG = -1
};

/* Parts of an opcode word. */
enum {
    X86_0F = 1 << 8,
    X86_0F38 = 2 << 8,
    X86_0F3A = 3 << 8,
    X86_P66 = 1 << 12,
    X86_PF3 = 2 << 12,
    X86_PF2 = 3 << 12,
    X86_W = 1 << 16,    /* 64-bit operands */
    X86_REG8 = 1 << 17, /* the reg operand is a byte register */
    X86_RM8 = 1 << 18,  /* a register in the r/m place is a byte register */
};

/* Opcode words; "reg, r/m" unless said otherwise. */
enum {
    X86_ADD = 0x03,
    X86_OR = 0x0b,
    X86_AND = 0x23,
    X86_SUB = 0x2b,
    X86_XOR = 0x33,
    X86_CMP = 0x3b,
    X86_ADD_MR = 0x01, /* r/m, reg: a memory destination */
    X86_TEST = 0x85,
    X86_MOV = 0x8b,
    X86_MOV_MR = 0x89,
    X86_XCHG = 0x87,
    X86_MOV8_MR = 0x88 | X86_REG8 | X86_RM8,
    X86_MOV16_MR = 0x89 | X86_P66,
    X86_LEA = 0x8d,
    X86_MOVSXD = 0x63 | X86_W,
    X86_MOVZX8 = 0xb6 | X86_0F | X86_RM8,
    X86_MOVZX16 = 0xb7 | X86_0F,
    X86_MOVSX8 = 0xbe | X86_0F | X86_RM8,
    X86_MOVSX16 = 0xbf | X86_0F,
    X86_IMUL = 0xaf | X86_0F,
    X86_IMUL_I32 = 0x69,
    X86_IMUL_I8 = 0x6b,
    X86_CMOV = 0x40 | X86_0F,            /* + condition */
    X86_SETCC = 0x90 | X86_0F | X86_RM8, /* + condition; r/m only */
    X86_BSF = 0xbc | X86_0F,
    X86_BSR = 0xbd | X86_0F,
    X86_TZCNT = 0xbc | X86_0F | X86_PF3,
    X86_LZCNT = 0xbd | X86_0F | X86_PF3,
    X86_POPCNT = 0xb8 | X86_0F | X86_PF3,
    X86_MOVBE = 0xf0 | X86_0F38,
    X86_MOVBE_MR = 0xf1 | X86_0F38,
    X86_MOVBE16 = 0xf0 | X86_0F38 | X86_P66,
    X86_MOVBE16_MR = 0xf1 | X86_0F38 | X86_P66,
    /* groups: the reg field is part of the opcode */
    X86_G1_I32 = 0x81,
    X86_G1_I8 = 0x83, /* X86_G1_* */
    X86_G2_I8 = 0xc1,
    X86_G2_1 = 0xd1,
    X86_G2_CL = 0xd3,          /* X86_G2_* */
    X86_G3 = 0xf7,             /* X86_G3_* */
    X86_G5 = 0xff,             /* X86_G5_* */
    X86_G8_I8 = 0xba | X86_0F, /* X86_G8_* */
    X86_MOV_MI = 0xc7,         /* r/m, imm32; reg field 0 */
    X86_MOV8_MI = 0xc6,
    X86_MOV16_MI = 0xc7 | X86_P66,
    X86_POP_M = 0x8f, /* r/m; reg field 0 */
    /* VEX only: X86_ANDN d, ~v, r/m; shifts d, r/m, v; X86_MULX high, low(v), r/m */
    X86_ANDN = 0xf2 | X86_0F38,
    X86_SHLX = 0xf7 | X86_0F38 | X86_P66,
    X86_SARX = 0xf7 | X86_0F38 | X86_PF3,
    X86_SHRX = 0xf7 | X86_0F38 | X86_PF2,
    X86_MULX = 0xf6 | X86_0F38 | X86_PF2,
    X86_RORX = 0xf0 | X86_0F3A | X86_PF2,
    /* xmm: the register operands are vector registers where the manual says so */
    X86_MOVQ_X = 0x6e | X86_0F | X86_P66 | X86_W, /* xmm, r64 */
    X86_MOVQ_R = 0x7e | X86_0F | X86_P66 | X86_W, /* xmm (reg), r64 (r/m) */
    X86_PCLMUL = 0x44 | X86_0F3A | X86_P66,       /* xmm, xmm, imm8 */
    X86_PSRLDQ = 0x73 | X86_0F | X86_P66,         /* /3 ib */
    /* floating point; S forms scalar single, D forms double */
    X86_MOVSS = 0x10 | X86_0F | X86_PF3, /* from memory only */
    X86_MOVSD = 0x10 | X86_0F | X86_PF2,
    X86_MOVSS_MR = 0x11 | X86_0F | X86_PF3,
    X86_MOVSD_MR = 0x11 | X86_0F | X86_PF2,
    X86_MOVAPS = 0x28 | X86_0F,
    X86_UCOMISS = 0x2e | X86_0F,
    X86_UCOMISD = 0x2e | X86_0F | X86_P66,
    X86_COMISS = 0x2f | X86_0F,
    X86_COMISD = 0x2f | X86_0F | X86_P66,
    X86_ANDPS = 0x54 | X86_0F,
    X86_ANDNPS = 0x55 | X86_0F, /* ~first & second */
    X86_ORPS = 0x56 | X86_0F,
    X86_XORPS = 0x57 | X86_0F,
    X86_ADDPS = 0x58 | X86_0F, /* to DIVPS: with X86_PF3 or X86_PF2 scalar */
    X86_MULPS = 0x59 | X86_0F,
    X86_SUBPS = 0x5c | X86_0F,
    X86_MINPS = 0x5d | X86_0F,
    X86_DIVPS = 0x5e | X86_0F,
    X86_MAXPS = 0x5f | X86_0F,
    X86_SQRTPS = 0x51 | X86_0F,
    X86_CVTSI2 = 0x2a | X86_0F,  /* xmm, r/m */
    X86_CVTT2SI = 0x2c | X86_0F, /* r, xmm/m: truncates */
    X86_CVT2SI = 0x2d | X86_0F,
    X86_ROUNDSS = 0x0a | X86_0F3A | X86_P66, /* imm8: as MXCSR.RC */
    X86_ROUNDSD = 0x0b | X86_0F3A | X86_P66,
    X86_CVTSS2SD = 0x5a | X86_0F | X86_PF3,
    X86_CVTSD2SS = 0x5a | X86_0F | X86_PF2,
    /* VEX only, X86_W: double. first = second * r/m + first ... */
    X86_FMADD231 = 0xb9 | X86_0F38 | X86_P66,
    X86_FMSUB231 = 0xbb | X86_0F38 | X86_P66,
    X86_FNMADD231 = 0xbd | X86_0F38 | X86_P66,
    X86_FNMSUB231 = 0xbf | X86_0F38 | X86_P66,
    X86_G15 = 0xae | X86_0F, /* X86_G15_* */
};

enum {
    X86_G1_ADD,
    X86_G1_OR,
    X86_G1_ADC,
    X86_G1_SBB,
    X86_G1_AND,
    X86_G1_SUB,
    X86_G1_XOR,
    X86_G1_CMP
};
enum { X86_G2_ROL, X86_G2_ROR, X86_G2_RCL, X86_G2_RCR, X86_G2_SHL, X86_G2_SHR, X86_G2_SAR = 7 };
enum { X86_G3_TEST, X86_G3_NOT = 2, X86_G3_NEG, X86_G3_MUL, X86_G3_IMUL, X86_G3_DIV, X86_G3_IDIV };
enum { X86_G5_INC, X86_G5_DEC, X86_G5_CALL, X86_G5_JMP = 4 };
enum { X86_G15_LDMXCSR = 2, X86_G15_STMXCSR };
enum { X86_G8_BTS = 5, X86_G8_BTR, X86_G8_BTC };

/* Conditions of jcc, setcc, cmovcc. */
enum {
    X86_CC_O,
    X86_CC_NO,
    X86_CC_B,
    X86_CC_AE,
    X86_CC_E,
    X86_CC_NE,
    X86_CC_BE,
    X86_CC_A,
    X86_CC_S,
    X86_CC_NS,
    X86_CC_P,
    X86_CC_NP,
    X86_CC_L,
    X86_CC_GE,
    X86_CC_LE,
    X86_CC_G
};

typedef struct X86Asm {
    uint8_t *p;
} X86Asm;

/* [base + (index << scale) + disp]; X86_NO_REG for none. The index is never rsp. */
typedef struct X86Mem {
    int8_t base, index;
    uint8_t scale;
    int32_t disp;
} X86Mem;

static inline X86Mem x86_mem(int base, int32_t disp)
{
    return (X86Mem){ (int8_t)base, X86_NO_REG, 0, disp };
}

static inline X86Mem x86_mem_index(int base, int index, unsigned scale, int32_t disp)
{
    return (X86Mem){ (int8_t)base, (int8_t)index, (uint8_t)scale, disp };
}

static inline void x86_put8(X86Asm *as, unsigned v)
{
    *as->p++ = (uint8_t)v;
}

static inline void x86_put32(X86Asm *as, uint32_t v)
{
    memcpy(as->p, &v, 4);
    as->p += 4;
}

static inline void x86_put64(X86Asm *as, uint64_t v)
{
    memcpy(as->p, &v, 8);
    as->p += 8;
}

/*
 * The parts of an instruction: each writes at @p and returns where the next part goes. As bytes may alias anything, writing all of them
 * through X86Asm.p would store and load that pointer for each; and what is written but not passed costs less than a branch.
 */

/* Prefixes, REX and opcode. Register numbers 0-15 (0 where there is none); @force: a REX prefix even if empty (sil, dil). */
static inline uint8_t *x86_opcode(uint8_t *p, uint32_t op, int reg, int index, int rm, bool force)
{
    unsigned rex = (op & X86_W ? 8 : 0) | (reg & 8) >> 1 | (index & 8) >> 2 | (rm & 8) >> 3;
    unsigned prefix = op >> 12 & 3, map = op >> 8 & 3;

    *p = (uint8_t)(prefix == 1 ? 0x66 : 0xf5 - prefix);
    p += prefix != 0;
    *p = (uint8_t)(0x40 | rex);
    p += rex || force;
    *p = 0x0f;
    p += map != 0;
    *p = map == 2 ? 0x38 : 0x3a;
    p += map > 1;
    *p = (uint8_t)op;
    return p + 1;
}

static inline uint8_t *x86_vex(uint8_t *p, uint32_t op, int reg, int v, int index, int rm)
{
    p[0] = 0xc4;
    p[1] = (uint8_t)(((~reg & 8) << 4) | ((~index & 8) << 3) | ((~rm & 8) << 2) | (op >> 8 & 3));
    p[2] = (uint8_t)((op & X86_W ? 0x80 : 0) | (~v & 15) << 3 | (op >> 12 & 3));
    p[3] = (uint8_t)op;
    return p + 4;
}

static inline uint8_t *x86_modrm_reg(uint8_t *p, int reg, int rm)
{
    *p = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    return p + 1;
}

static inline uint8_t *x86_modrm_mem(uint8_t *p, int reg, X86Mem m)
{
    unsigned field = (unsigned)(reg & 7) << 3, base = (unsigned)m.base & 7;
    unsigned sib = (unsigned)m.scale << 6 | (m.index < 0 ? 4 : (unsigned)(m.index & 7)) << 3;
    unsigned mod;

    if (m.base < 0) { /* [index << scale + disp32] or [disp32] */
        p[0] = (uint8_t)(field | 4);
        p[1] = (uint8_t)(sib | 5);
        memcpy(p + 2, &m.disp, 4);
        return p + 6;
    }
    mod = m.disp == 0 && base != X86_RBP ? 0 : m.disp == (int8_t)m.disp ? 1 : 2;
    if (m.index >= 0 || base == X86_RSP) {
        p[0] = (uint8_t)(mod << 6 | field | 4);
        p[1] = (uint8_t)(sib | base);
        p += 2;
    } else {
        *p++ = (uint8_t)(mod << 6 | field | base);
    }
    memcpy(p, &m.disp, 4);
    return p + (mod == 2 ? 4 : mod);
}

static inline uint8_t *x86_imm8(uint8_t *p, unsigned imm)
{
    *p = (uint8_t)imm;
    return p + 1;
}

static inline uint8_t *x86_imm32(uint8_t *p, uint32_t imm)
{
    memcpy(p, &imm, 4);
    return p + 4;
}

static inline uint8_t *x86_insn_rr(uint8_t *p, uint32_t op, int reg, int rm)
{
    bool force = (op & X86_REG8 && reg >= X86_RSP && reg <= X86_RDI) ||
                 (op & X86_RM8 && rm >= X86_RSP && rm <= X86_RDI);

    return x86_modrm_reg(x86_opcode(p, op, reg, 0, rm, force), reg, rm);
}

static inline uint8_t *x86_insn_rm(uint8_t *p, uint32_t op, int reg, X86Mem m)
{
    bool force = op & X86_REG8 && reg >= X86_RSP && reg <= X86_RDI;

    p = x86_opcode(p, op, reg, m.index < 0 ? 0 : m.index, m.base < 0 ? 0 : m.base, force);
    return x86_modrm_mem(p, reg, m);
}

/* ---- Whole instructions ---- */

/* op reg, rm  (or op rm for groups, @reg being the group's number). */
static inline void x86_rr(X86Asm *as, uint32_t op, int reg, int rm)
{
    as->p = x86_insn_rr(as->p, op, reg, rm);
}

static inline void x86_rm(X86Asm *as, uint32_t op, int reg, X86Mem m)
{
    as->p = x86_insn_rm(as->p, op, reg, m);
}

static inline void x86_vex_rr(X86Asm *as, uint32_t op, int reg, int v, int rm)
{
    as->p = x86_modrm_reg(x86_vex(as->p, op, reg, v, 0, rm), reg, rm);
}

static inline void x86_vex_rm(X86Asm *as, uint32_t op, int reg, int v, X86Mem m)
{
    uint8_t *p = x86_vex(as->p, op, reg, v, m.index < 0 ? 0 : m.index, m.base < 0 ? 0 : m.base);

    as->p = x86_modrm_mem(p, reg, m);
}

/* Group 1 (X86_G1_*) with an immediate, in the short form if it fits. @w: X86_W or 0. */
static inline void x86_alu_ri(X86Asm *as, uint32_t w, unsigned group, int rm, int32_t imm)
{
    if (imm == (int8_t)imm) {
        as->p = x86_imm8(x86_insn_rr(as->p, X86_G1_I8 | w, (int)group, rm), (uint8_t)imm);
    } else if (rm == X86_RAX) {
        as->p = x86_imm32(x86_opcode(as->p, group << 3 | 5 | w, 0, 0, 0, false), (uint32_t)imm);
    } else {
        as->p = x86_imm32(x86_insn_rr(as->p, X86_G1_I32 | w, (int)group, rm), (uint32_t)imm);
    }
}

static inline void x86_alu_mi(X86Asm *as, uint32_t w, unsigned group, X86Mem m, int32_t imm)
{
    if (imm == (int8_t)imm) {
        as->p = x86_imm8(x86_insn_rm(as->p, X86_G1_I8 | w, (int)group, m), (uint8_t)imm);
    } else {
        as->p = x86_imm32(x86_insn_rm(as->p, X86_G1_I32 | w, (int)group, m), (uint32_t)imm);
    }
}

/* Group 2 (X86_G2_*) by a constant count. */
static inline void x86_shift_ri(X86Asm *as, uint32_t w, unsigned group, int rm, unsigned count)
{
    if (count == 1) {
        x86_rr(as, X86_G2_1 | w, (int)group, rm);
    } else {
        as->p = x86_imm8(x86_insn_rr(as->p, X86_G2_I8 | w, (int)group, rm), count);
    }
}

/* mov reg, imm in the shortest form that leaves the flags alone. */
static inline void x86_mov_ri(X86Asm *as, int reg, uint64_t imm)
{
    uint32_t op = 0xb8 | (uint32_t)(reg & 7);

    if (imm == (uint32_t)imm) {
        as->p = x86_imm32(x86_opcode(as->p, op, 0, 0, reg, false), (uint32_t)imm);
    } else if ((int64_t)imm == (int32_t)imm) {
        as->p = x86_imm32(x86_insn_rr(as->p, X86_MOV_MI | X86_W, 0, reg), (uint32_t)imm);
    } else {
        as->p = x86_opcode(as->p, op | X86_W, 0, 0, reg, false);
        x86_put64(as, imm);
    }
}

/* mov r64, r64; nothing if they are the same. */
static inline void x86_mov_rr(X86Asm *as, int to, int from)
{
    if (to != from) {
        x86_rr(as, X86_MOV | X86_W, to, from);
    }
}

static inline void x86_bswap(X86Asm *as, uint32_t w, int reg)
{
    as->p = x86_opcode(as->p, 0xc8 | (uint32_t)(reg & 7) | X86_0F | w, 0, 0, reg, false);
}

static inline void x86_push(X86Asm *as, int reg)
{
    as->p = x86_opcode(as->p, 0x50 | (uint32_t)(reg & 7), 0, 0, reg, false);
}

static inline void x86_pop(X86Asm *as, int reg)
{
    as->p = x86_opcode(as->p, 0x58 | (uint32_t)(reg & 7), 0, 0, reg, false);
}

/* jcc rel32 with an unset target; the address of the rel32. */
static inline uint8_t *x86_jcc(X86Asm *as, unsigned cc)
{
    uint8_t *p = as->p;

    p[0] = 0x0f;
    p[1] = (uint8_t)(0x80 | cc);
    as->p = x86_imm32(p + 2, 0);
    return p + 2;
}

static inline uint8_t *x86_jmp(X86Asm *as)
{
    uint8_t *p = as->p;

    p[0] = 0xe9;
    as->p = x86_imm32(p + 1, 0);
    return p + 1;
}

/* Short forms for jumps inside one operation; the address of the rel8. */
static inline uint8_t *x86_jcc8(X86Asm *as, unsigned cc)
{
    x86_put8(as, 0x70 | cc);
    x86_put8(as, 0);
    return as->p - 1;
}

static inline void x86_bind8(X86Asm *as, uint8_t *rel)
{
    *rel = (uint8_t)(as->p - (rel + 1));
}

static inline void x86_bind_to(uint8_t *rel, const uint8_t *target)
{
    int32_t d = (int32_t)(target - (rel + 4));

    memcpy(rel, &d, 4);
}

/* Binds the rel32 at @rel to here. */
static inline void x86_bind(X86Asm *as, uint8_t *rel)
{
    x86_bind_to(rel, as->p);
}

#endif
