/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RISC-V minimum and maximum, comparisons, classification, sign injection and constants: the
 * floating-point instructions that never round. F and D extensions, Zfa. NaNs are sorted out on the
 * bits before the host compares numbers, so no host flag matters. Single-precision comparisons
 * widen their operands, which keeps their order.
 */
#include <math.h>
#include "target/riscv/fpu-priv.h"

/* Sets NV if an operand is a signaling NaN, or a NaN at all if @signaling. False if either is a
 * NaN. */
static bool are_ordered_s(uint32_t *fflags, bool signaling, uint32_t a, uint32_t b)
{
    if (__builtin_expect(!is_nan_s(a) && !is_nan_s(b), 1)) {
        return true;
    }
    *fflags |= signaling || is_snan_s(a) || is_snan_s(b) ? RV_FFLAG_NV : 0;
    return false;
}

static bool are_ordered_d(uint32_t *fflags, bool signaling, uint64_t a, uint64_t b)
{
    if (__builtin_expect(!is_nan_d(a) && !is_nan_d(b), 1)) {
        return true;
    }
    *fflags |= signaling || is_snan_d(a) || is_snan_d(b) ? RV_FFLAG_NV : 0;
    return false;
}

/* a < b, with -0 < +0. */
static bool is_below(double a, double b)
{
    return a < b || (a == b && signbit(a) && !signbit(b));
}

static bool is_below_s(uint32_t a, uint32_t b)
{
    return is_below(float_from_bits(a), float_from_bits(b));
}

static bool is_below_d(uint64_t a, uint64_t b)
{
    return is_below(double_from_bits(a), double_from_bits(b));
}

/* The one of two operands that is no NaN, or the canonical NaN. */
static uint32_t number_of_s(uint32_t a, uint32_t b)
{
    return !is_nan_s(a) ? a : !is_nan_s(b) ? b : S_NAN;
}

static uint64_t number_of_d(uint64_t a, uint64_t b)
{
    return !is_nan_d(a) ? a : !is_nan_d(b) ? b : D_NAN;
}

uint64_t rv_fpu_fmin_s(uint32_t *fflags, uint64_t a, uint64_t b)
{
    uint32_t x = unbox_s(a);
    uint32_t y = unbox_s(b);

    if (!are_ordered_s(fflags, false, x, y)) {
        return box_s(number_of_s(x, y));
    }
    return box_s(is_below_s(x, y) ? x : y);
}

uint64_t rv_fpu_fmax_s(uint32_t *fflags, uint64_t a, uint64_t b)
{
    uint32_t x = unbox_s(a);
    uint32_t y = unbox_s(b);

    if (!are_ordered_s(fflags, false, x, y)) {
        return box_s(number_of_s(x, y));
    }
    return box_s(is_below_s(x, y) ? y : x);
}

uint64_t rv_fpu_fmin_d(uint32_t *fflags, uint64_t a, uint64_t b)
{
    if (!are_ordered_d(fflags, false, a, b)) {
        return number_of_d(a, b);
    }
    return is_below_d(a, b) ? a : b;
}

uint64_t rv_fpu_fmax_d(uint32_t *fflags, uint64_t a, uint64_t b)
{
    if (!are_ordered_d(fflags, false, a, b)) {
        return number_of_d(a, b);
    }
    return is_below_d(a, b) ? b : a;
}

uint64_t rv_fpu_fminm_s(uint32_t *fflags, uint64_t a, uint64_t b)
{
    bool ordered = are_ordered_s(fflags, false, unbox_s(a), unbox_s(b));

    return ordered ? rv_fpu_fmin_s(fflags, a, b) : box_s(S_NAN);
}

uint64_t rv_fpu_fmaxm_s(uint32_t *fflags, uint64_t a, uint64_t b)
{
    bool ordered = are_ordered_s(fflags, false, unbox_s(a), unbox_s(b));

    return ordered ? rv_fpu_fmax_s(fflags, a, b) : box_s(S_NAN);
}

uint64_t rv_fpu_fminm_d(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return are_ordered_d(fflags, false, a, b) ? rv_fpu_fmin_d(fflags, a, b) : D_NAN;
}

uint64_t rv_fpu_fmaxm_d(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return are_ordered_d(fflags, false, a, b) ? rv_fpu_fmax_d(fflags, a, b) : D_NAN;
}

static bool less_s(uint32_t *fflags, bool signaling, uint64_t a, uint64_t b)
{
    return are_ordered_s(fflags, signaling, unbox_s(a), unbox_s(b)) &&
           float_from_bits(unbox_s(a)) < float_from_bits(unbox_s(b));
}

static bool less_equal_s(uint32_t *fflags, bool signaling, uint64_t a, uint64_t b)
{
    return are_ordered_s(fflags, signaling, unbox_s(a), unbox_s(b)) &&
           float_from_bits(unbox_s(a)) <= float_from_bits(unbox_s(b));
}

static bool less_d(uint32_t *fflags, bool signaling, uint64_t a, uint64_t b)
{
    return are_ordered_d(fflags, signaling, a, b) && double_from_bits(a) < double_from_bits(b);
}

static bool less_equal_d(uint32_t *fflags, bool signaling, uint64_t a, uint64_t b)
{
    return are_ordered_d(fflags, signaling, a, b) && double_from_bits(a) <= double_from_bits(b);
}

uint64_t rv_fpu_feq_s(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return are_ordered_s(fflags, false, unbox_s(a), unbox_s(b)) &&
           float_from_bits(unbox_s(a)) == float_from_bits(unbox_s(b));
}

uint64_t rv_fpu_flt_s(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return less_s(fflags, true, a, b);
}

uint64_t rv_fpu_fle_s(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return less_equal_s(fflags, true, a, b);
}

uint64_t rv_fpu_fltq_s(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return less_s(fflags, false, a, b);
}

uint64_t rv_fpu_fleq_s(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return less_equal_s(fflags, false, a, b);
}

uint64_t rv_fpu_feq_d(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return are_ordered_d(fflags, false, a, b) && double_from_bits(a) == double_from_bits(b);
}

uint64_t rv_fpu_flt_d(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return less_d(fflags, true, a, b);
}

uint64_t rv_fpu_fle_d(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return less_equal_d(fflags, true, a, b);
}

uint64_t rv_fpu_fltq_d(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return less_d(fflags, false, a, b);
}

uint64_t rv_fpu_fleq_d(uint32_t *fflags, uint64_t a, uint64_t b)
{
    return less_equal_d(fflags, false, a, b);
}

/* Bits 0-3 are the negative classes from -inf to -0, bits 4-7 the positive ones from +0 to +inf, 8
 * and 9 the NaNs. */
static uint64_t class_bit(bool sign, unsigned rank)
{
    return 1u << (sign ? 3 - rank : 4 + rank);
}

uint64_t rv_fpu_fclass_s(uint64_t a)
{
    uint32_t bits = unbox_s(a);
    uint32_t absolute = bits & ~S_SIGN;

    if (is_nan_s(bits)) {
        return is_snan_s(bits) ? 1 << 8 : 1 << 9;
    }
    return class_bit(bits & S_SIGN, (absolute > 0) + (absolute >= 1u << 23) + (absolute == S_INF));
}

uint64_t rv_fpu_fclass_d(uint64_t a)
{
    uint64_t absolute = a & ~D_SIGN;

    if (is_nan_d(a)) {
        return is_snan_d(a) ? 1 << 8 : 1 << 9;
    }
    return class_bit(a & D_SIGN, (absolute > 0) + (absolute >= 1ull << 52) + (absolute == D_INF));
}

uint64_t rv_fpu_fsgnj_s(uint64_t a, uint64_t b)
{
    return box_s((unbox_s(a) & ~S_SIGN) | (unbox_s(b) & S_SIGN));
}

uint64_t rv_fpu_fsgnjn_s(uint64_t a, uint64_t b)
{
    return box_s((unbox_s(a) & ~S_SIGN) | (~unbox_s(b) & S_SIGN));
}

uint64_t rv_fpu_fsgnjx_s(uint64_t a, uint64_t b)
{
    return box_s(unbox_s(a) ^ (unbox_s(b) & S_SIGN));
}

uint64_t rv_fpu_fsgnj_d(uint64_t a, uint64_t b)
{
    return (a & ~D_SIGN) | (b & D_SIGN);
}

uint64_t rv_fpu_fsgnjn_d(uint64_t a, uint64_t b)
{
    return (a & ~D_SIGN) | (~b & D_SIGN);
}

uint64_t rv_fpu_fsgnjx_d(uint64_t a, uint64_t b)
{
    return a ^ (b & D_SIGN);
}

/* Zfa, table "Immediate values loaded by the FLI.S instruction". */
static const uint32_t fli_values[32] = {
    0xbf800000, /* -1 */
    0x00800000, /* least normal number */
    0x37800000, /* 2^-16 */
    0x38000000, /* 2^-15 */
    0x3b800000, /* 2^-8 */
    0x3c000000, /* 2^-7 */
    0x3d800000, /* 2^-4 */
    0x3e000000, /* 2^-3 */
    0x3e800000, /* 0.25 */
    0x3ea00000, /* 0.3125 */
    0x3ec00000, /* 0.375 */
    0x3ee00000, /* 0.4375 */
    0x3f000000, /* 0.5 */
    0x3f200000, /* 0.625 */
    0x3f400000, /* 0.75 */
    0x3f600000, /* 0.875 */
    0x3f800000, /* 1 */
    0x3fa00000, /* 1.25 */
    0x3fc00000, /* 1.5 */
    0x3fe00000, /* 1.75 */
    0x40000000, /* 2 */
    0x40200000, /* 2.5 */
    0x40400000, /* 3 */
    0x40800000, /* 4 */
    0x41000000, /* 8 */
    0x41800000, /* 16 */
    0x43000000, /* 2^7 */
    0x43800000, /* 2^8 */
    0x47000000, /* 2^15 */
    0x47800000, /* 2^16 */
    S_INF,      S_NAN,
};

enum { FLI_LEAST_NORMAL = 1, FLI_NAN = 31 };

uint64_t rv_fpu_fli_s(unsigned index)
{
    return box_s(fli_values[index & 31]);
}

uint64_t rv_fpu_fli_d(unsigned index)
{
    switch (index & 31) {
    case FLI_LEAST_NORMAL:
        return 1ull << 52;
    case FLI_NAN:
        return D_NAN;
    default:
        return double_to_bits(float_from_bits(fli_values[index & 31]));
    }
}
