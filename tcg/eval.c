/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arithmetic of the IR: the value of each pure operation on constants. The builder's folding
 * and the interpreter both call ir_eval(), so this file is the definition of what an operation
 * means. i32 values are kept zero-extended.
 */
#include "tcg/ir.h"

const IrOpInfo ir_op_info[IR_N_OPS] = {
#define IR_OP_INFO(name, text, n_args, result, flags) [IR_##name] = { text, n_args, result, flags },
    IR_OPS(IR_OP_INFO)
#undef IR_OP_INFO
};

static uint64_t narrow(IrType type, uint64_t v)
{
    return type == IR_I32 ? (uint32_t)v : v;
}

static int64_t as_signed(IrType type, uint64_t v)
{
    return type == IR_I32 ? (int32_t)v : (int64_t)v;
}

bool ir_cond_eval(IrCond cond, IrType type, uint64_t a, uint64_t b)
{
    int64_t sa = as_signed(type, a), sb = as_signed(type, b);

    a = narrow(type, a);
    b = narrow(type, b);
    switch (cond) {
    case IR_EQ:
        return a == b;
    case IR_NE:
        return a != b;
    case IR_LT:
        return sa < sb;
    case IR_GE:
        return sa >= sb;
    case IR_LE:
        return sa <= sb;
    case IR_GT:
        return sa > sb;
    case IR_LTU:
        return a < b;
    case IR_GEU:
        return a >= b;
    case IR_LEU:
        return a <= b;
    case IR_GTU:
        return a > b;
    }
    g_assert_not_reached();
}

IrCond ir_cond_invert(IrCond cond)
{
    static const uint8_t inverse[] = {
        [IR_EQ] = IR_NE, [IR_NE] = IR_EQ,   [IR_LT] = IR_GE,   [IR_GE] = IR_LT,   [IR_LE] = IR_GT,
        [IR_GT] = IR_LE, [IR_LTU] = IR_GEU, [IR_GEU] = IR_LTU, [IR_LEU] = IR_GTU, [IR_GTU] = IR_LEU
    };

    return inverse[cond];
}

IrCond ir_cond_swap(IrCond cond)
{
    static const uint8_t swapped[] = {
        [IR_EQ] = IR_EQ, [IR_NE] = IR_NE,   [IR_LT] = IR_GT,   [IR_GE] = IR_LE,   [IR_LE] = IR_GE,
        [IR_GT] = IR_LT, [IR_LTU] = IR_GTU, [IR_GEU] = IR_LEU, [IR_LEU] = IR_GEU, [IR_GTU] = IR_LTU
    };

    return swapped[cond];
}

const char *ir_cond_name(IrCond cond)
{
    static const char *const names[] = { "eq", "ne",  "lt",  "ge",  "le",
                                         "gt", "ltu", "geu", "leu", "gtu" };

    return names[cond];
}

static uint64_t mul_high_unsigned(IrType type, uint64_t a, uint64_t b)
{
    if (type == IR_I32) {
        return (uint64_t)(uint32_t)a * (uint32_t)b >> 32;
    }
    return (uint64_t)((unsigned __int128)a * b >> 64);
}

/* Upper half of the product of a signed @a and @b, signed or not. */
static uint64_t mul_high(IrType type, uint64_t a, uint64_t b, bool b_signed)
{
    __int128 sb = b_signed ? as_signed(type, b) : (__int128)narrow(type, b);

    return (uint64_t)((__int128)as_signed(type, a) * sb >> (type == IR_I32 ? 32 : 64));
}

static uint64_t divide(IrOp op, IrType type, uint64_t a, uint64_t b)
{
    int64_t sa = as_signed(type, a), sb = as_signed(type, b);

    a = narrow(type, a);
    b = narrow(type, b);
    if (!b) {
        return op == IR_DIVS || op == IR_DIVU ? UINT64_MAX : a;
    }
    switch (op) {
    case IR_DIVU:
        return a / b;
    case IR_REMU:
        return a % b;
    case IR_DIVS:
        return sb == -1 ? -a : (uint64_t)(sa / sb);
    default:
        return sb == -1 ? 0 : (uint64_t)(sa % sb);
    }
}

static uint64_t rotate(IrType type, uint64_t a, unsigned left)
{
    unsigned width = type == IR_I32 ? 32 : 64;

    left &= width - 1;
    a = narrow(type, a);
    return left ? a << left | a >> (width - left) : a;
}

static uint64_t carryless_product(uint64_t a, uint64_t b, uint64_t *high)
{
    uint64_t low = 0;

    *high = 0;
    for (unsigned i = 0; i < 64; i++) {
        if (b >> i & 1) {
            low ^= a << i;
            *high ^= i ? a >> (64 - i) : 0;
        }
    }
    return low;
}

static uint64_t count_bits(IrOp op, IrType type, uint64_t a)
{
    unsigned width = type == IR_I32 ? 32 : 64;

    a = narrow(type, a);
    switch (op) {
    case IR_CLZ:
        return a ? (uint64_t)__builtin_clzll(a) - (64 - width) : width;
    case IR_CTZ:
        return a ? (uint64_t)__builtin_ctzll(a) : width;
    default:
        return (uint64_t)__builtin_popcountll(a);
    }
}

static uint64_t evaluate(IrOp op, IrType type, IrType arg_type, uint64_t imm, uint64_t a,
                         uint64_t b, uint64_t c)
{
    unsigned mask = type == IR_I32 ? 31 : 63;
    uint64_t high;

    switch (op) {
    case IR_CONST:
        return imm;
    case IR_ADD:
        return a + b;
    case IR_SUB:
        return a - b;
    case IR_MUL:
        return a * b;
    case IR_MULHS:
        return mul_high(type, a, b, true);
    case IR_MULHU:
        return mul_high_unsigned(type, a, b);
    case IR_MULHSU:
        return mul_high(type, a, b, false);
    case IR_DIVS:
    case IR_DIVU:
    case IR_REMS:
    case IR_REMU:
        return divide(op, type, a, b);
    case IR_AND:
        return a & b;
    case IR_OR:
        return a | b;
    case IR_XOR:
        return a ^ b;
    case IR_ANDN:
        return a & ~b;
    case IR_NOT:
        return ~a;
    case IR_NEG:
        return -a;
    case IR_SHL:
        return a << (b & mask);
    case IR_SHR:
        return narrow(type, a) >> (b & mask);
    case IR_SAR:
        return (uint64_t)(as_signed(type, a) >> (b & mask));
    case IR_ROTL:
        return rotate(type, a, (unsigned)b);
    case IR_ROTR:
        return rotate(type, a, -(unsigned)b);
    case IR_CLZ:
    case IR_CTZ:
    case IR_POPCNT:
        return count_bits(op, type, a);
    case IR_BSWAP:
        return type == IR_I32 ? __builtin_bswap32((uint32_t)a) : __builtin_bswap64(a);
    case IR_CLMUL:
        return carryless_product(a, b, &high);
    case IR_CLMULH:
        carryless_product(a, b, &high);
        return high;
    case IR_SEXT8:
        return (uint64_t)(int8_t)a;
    case IR_SEXT16:
        return (uint64_t)(int16_t)a;
    case IR_ZEXT8:
        return (uint8_t)a;
    case IR_ZEXT16:
        return (uint16_t)a;
    case IR_SEXT:
        return (uint64_t)(int32_t)a;
    case IR_ZEXT:
    case IR_TRUNC:
        return (uint32_t)a;
    case IR_SETCC:
        return ir_cond_eval((IrCond)imm, type, a, b);
    case IR_SELECT:
        return narrow(arg_type, a) ? b : c;
    default:
        g_assert_not_reached();
    }
}

uint64_t ir_eval(IrOp op, IrType type, IrType arg_type, uint64_t imm, uint64_t a, uint64_t b,
                 uint64_t c)
{
    return narrow(type, evaluate(op, type, arg_type, imm, a, b, c));
}
