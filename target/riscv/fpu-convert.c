/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RISC-V conversions between floating point and integers, between formats (fcvt.s.d excepted:
 * fpu-arith.c), and rounding to integral values. F and D extensions "Conversion and Move
 * Instructions", Zfa, Zfhmin.
 *
 * Nothing here depends on the host's rounding mode or reads its flags: every host operation that
 * matters is exact. A double below 2^63 is split into its integer part and an exact rest, from
 * which the rounding and NX follow; singles are widened first, which is exact. Integers that do not
 * fit the significand are rounded by the host in RNE (its default mode) and by the soft core in the
 * others.
 */
#include <math.h>
#include "target/riscv/fpu-priv.h"

#define TWO_63 0x1p63
#define TWO_64 0x1p64

/* Whether an integer part @odd or even, whose @rest (not 0) has been cut off, is to be moved away
 * from zero. */
static bool rounds_away(unsigned rm, bool odd, double rest)
{
    double magnitude = fabs(rest);

    switch (rm) {
    case RV_RM_RNE:
        return magnitude > 0.5 || (magnitude == 0.5 && odd);
    case RV_RM_RDN:
        return rest < 0;
    case RV_RM_RUP:
        return rest > 0;
    case RV_RM_RMM:
        return magnitude >= 0.5;
    default:
        return false;
    }
}

/* @x, -2^63 <= x < 2^63, rounded to an integer. From 2^52 on there is no rest, so the result cannot
 * overflow. */
static int64_t round_to_int(double x, unsigned rm, bool *inexact)
{
    int64_t integer = (int64_t)x;
    double rest = x - (double)integer;

    *inexact = rest != 0;
    if (rest != 0 && rounds_away(rm, integer & 1, rest)) {
        integer += rest < 0 ? -1 : 1;
    }
    return integer;
}

/* @x rounded and clipped to @min ... @max; NaN gives @max. */
static int64_t to_signed(uint32_t *fflags, unsigned rm, double x, int64_t min, int64_t max)
{
    int64_t integer;
    bool inexact;

    if (!(x >= -TWO_63 && x < TWO_63)) {
        *fflags |= RV_FFLAG_NV;
        return x < 0 ? min : max;
    }
    integer = round_to_int(x, rm, &inexact);
    if (integer < min || integer > max) {
        *fflags |= RV_FFLAG_NV;
        return integer < min ? min : max;
    }
    *fflags |= inexact ? RV_FFLAG_NX : 0;
    return integer;
}

/* The 64-bit unsigned conversion. What to_signed() does not reach, 2^63 to 2^64, are integers
 * already. */
static uint64_t to_unsigned(uint32_t *fflags, unsigned rm, double x)
{
    if (x >= TWO_63 && x < TWO_64) {
        return (uint64_t)(int64_t)(x - TWO_63) | 1ull << 63;
    }
    if (!(x < TWO_64)) {
        *fflags |= RV_FFLAG_NV;
        return UINT64_MAX;
    }
    return to_signed(fflags, rm, x, 0, INT64_MAX);
}

static double single_operand(uint64_t a)
{
    return float_from_bits(unbox_s(a));
}

uint64_t rv_fpu_fcvt_w_s(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return to_signed(fflags, rm, single_operand(a), INT32_MIN, INT32_MAX);
}

uint64_t rv_fpu_fcvt_wu_s(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return (int32_t)to_signed(fflags, rm, single_operand(a), 0, UINT32_MAX);
}

uint64_t rv_fpu_fcvt_l_s(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return to_signed(fflags, rm, single_operand(a), INT64_MIN, INT64_MAX);
}

uint64_t rv_fpu_fcvt_lu_s(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return to_unsigned(fflags, rm, single_operand(a));
}

uint64_t rv_fpu_fcvt_w_d(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return to_signed(fflags, rm, double_from_bits(a), INT32_MIN, INT32_MAX);
}

uint64_t rv_fpu_fcvt_wu_d(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return (int32_t)to_signed(fflags, rm, double_from_bits(a), 0, UINT32_MAX);
}

uint64_t rv_fpu_fcvt_l_d(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return to_signed(fflags, rm, double_from_bits(a), INT64_MIN, INT64_MAX);
}

uint64_t rv_fpu_fcvt_lu_d(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return to_unsigned(fflags, rm, double_from_bits(a));
}

/* The low 32 bits of the integer part of a finite double. */
static uint32_t integer_part_mod32(uint64_t bits)
{
    uint64_t significand = (bits & (D_QUIET * 2 - 1)) | D_QUIET * 2;
    int shift = (int)(bits >> 52 & 0x7ff) - (1023 + 52); /* of the significand, as an integer */
    uint32_t low;

    if (shift <= -64 || shift >= 32) {
        return 0;
    }
    low = shift < 0 ? significand >> -shift : significand << shift;
    return bits & D_SIGN ? -low : low;
}

uint64_t rv_fpu_fcvtmod_w_d(uint32_t *fflags, uint64_t a)
{
    rv_fpu_fcvt_w_d(fflags, RV_RM_RTZ, a);
    return (a & D_INF) == D_INF ? 0 : (int32_t)integer_part_mod32(a);
}

/* The number of bits from the first to the last one set. */
static unsigned significant_bits(uint64_t x)
{
    return x ? 64 - __builtin_clzll(x) - __builtin_ctzll(x) : 0;
}

static uint64_t magnitude(int64_t x)
{
    return x < 0 ? -(uint64_t)x : (uint64_t)x;
}

static uint64_t single_from_signed(uint32_t *fflags, unsigned rm, int64_t x)
{
    if (significant_bits(magnitude(x)) > 24) {
        if (rm != RV_RM_RNE) {
            return box_s(fpu_soft_from_int(&fpu_single, fflags, rm, x < 0, magnitude(x)));
        }
        *fflags |= RV_FFLAG_NX;
    }
    return box_s(float_to_bits((float)x));
}

static uint64_t single_from_unsigned(uint32_t *fflags, unsigned rm, uint64_t x)
{
    if (significant_bits(x) > 24) {
        if (rm != RV_RM_RNE) {
            return box_s(fpu_soft_from_int(&fpu_single, fflags, rm, false, x));
        }
        *fflags |= RV_FFLAG_NX;
    }
    return box_s(float_to_bits((float)x));
}

uint64_t rv_fpu_fcvt_s_w(uint32_t *fflags, unsigned rm, uint64_t x)
{
    return single_from_signed(fflags, rm, (int32_t)x);
}

uint64_t rv_fpu_fcvt_s_wu(uint32_t *fflags, unsigned rm, uint64_t x)
{
    return single_from_signed(fflags, rm, (uint32_t)x);
}

uint64_t rv_fpu_fcvt_s_l(uint32_t *fflags, unsigned rm, uint64_t x)
{
    return single_from_signed(fflags, rm, (int64_t)x);
}

uint64_t rv_fpu_fcvt_s_lu(uint32_t *fflags, unsigned rm, uint64_t x)
{
    return single_from_unsigned(fflags, rm, x);
}

uint64_t rv_fpu_fcvt_d_w(uint32_t *fflags, unsigned rm, uint64_t x)
{
    return double_to_bits((int32_t)x);
}

uint64_t rv_fpu_fcvt_d_wu(uint32_t *fflags, unsigned rm, uint64_t x)
{
    return double_to_bits((uint32_t)x);
}

uint64_t rv_fpu_fcvt_d_l(uint32_t *fflags, unsigned rm, uint64_t x)
{
    int64_t integer = x;

    if (significant_bits(magnitude(integer)) > 53) {
        if (rm != RV_RM_RNE) {
            return fpu_soft_from_int(&fpu_double, fflags, rm, integer < 0, magnitude(integer));
        }
        *fflags |= RV_FFLAG_NX;
    }
    return double_to_bits((double)integer);
}

uint64_t rv_fpu_fcvt_d_lu(uint32_t *fflags, unsigned rm, uint64_t x)
{
    if (significant_bits(x) > 53) {
        if (rm != RV_RM_RNE) {
            return fpu_soft_from_int(&fpu_double, fflags, rm, false, x);
        }
        *fflags |= RV_FFLAG_NX;
    }
    return double_to_bits((double)x);
}

uint64_t rv_fpu_fcvt_d_s(uint32_t *fflags, unsigned rm, uint64_t a)
{
    uint32_t bits = unbox_s(a);

    if (is_nan_s(bits)) {
        *fflags |= is_snan_s(bits) ? RV_FFLAG_NV : 0;
        return D_NAN;
    }
    return double_to_bits(float_from_bits(bits));
}

uint64_t rv_fpu_fcvt_s_h(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return box_s(fpu_soft_convert(&fpu_half, &fpu_single, fflags, rm, unbox_h(a)));
}

uint64_t rv_fpu_fcvt_d_h(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return fpu_soft_convert(&fpu_half, &fpu_double, fflags, rm, unbox_h(a));
}

uint64_t rv_fpu_fcvt_h_s(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return box_h(fpu_soft_convert(&fpu_single, &fpu_half, fflags, rm, unbox_s(a)));
}

uint64_t rv_fpu_fcvt_h_d(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return box_h(fpu_soft_convert(&fpu_double, &fpu_half, fflags, rm, a));
}

/* @x, no NaN, rounded to an integral value. Zeros keep their sign, and so do numbers rounded to
 * zero. */
static double round_to_integral(double x, unsigned rm, bool *inexact)
{
    *inexact = false;
    if (fabs(x) >= 0x1p52) {
        return x;
    }
    return copysign((double)round_to_int(x, rm, inexact), x);
}

uint64_t rv_fpu_froundnx_s(uint32_t *fflags, unsigned rm, uint64_t a)
{
    uint32_t bits = unbox_s(a);
    bool inexact;
    float rounded;

    if (is_nan_s(bits)) {
        *fflags |= is_snan_s(bits) ? RV_FFLAG_NV : 0;
        return box_s(S_NAN);
    }
    rounded = round_to_integral(float_from_bits(bits), rm, &inexact);
    *fflags |= inexact ? RV_FFLAG_NX : 0;
    return box_s(float_to_bits(rounded));
}

uint64_t rv_fpu_froundnx_d(uint32_t *fflags, unsigned rm, uint64_t a)
{
    bool inexact;
    double rounded;

    if (is_nan_d(a)) {
        *fflags |= is_snan_d(a) ? RV_FFLAG_NV : 0;
        return D_NAN;
    }
    rounded = round_to_integral(double_from_bits(a), rm, &inexact);
    *fflags |= inexact ? RV_FFLAG_NX : 0;
    return double_to_bits(rounded);
}

uint64_t rv_fpu_fround_s(uint32_t *fflags, unsigned rm, uint64_t a)
{
    uint32_t raised = 0;
    uint64_t result = rv_fpu_froundnx_s(&raised, rm, a);

    *fflags |= raised & ~RV_FFLAG_NX;
    return result;
}

uint64_t rv_fpu_fround_d(uint32_t *fflags, unsigned rm, uint64_t a)
{
    uint32_t raised = 0;
    uint64_t result = rv_fpu_froundnx_d(&raised, rm, a);

    *fflags |= raised & ~RV_FFLAG_NX;
    return result;
}
