/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fpu-*.c files share: NaN-boxing, the bits of the formats, and the soft core
 * (fpu-soft.c), which computes with integers what the host cannot: RMM rounding, half precision,
 * flags on hosts without MXCSR, fused operations without FMA. The soft core works on bare bits of a
 * format (not boxed) and gives the exact result in all five rounding modes; its operations take the
 * same @fflags and @rm as the functions of fpu.h. The unit test calls it directly.
 */
#ifndef TARGET_RISCV_FPU_PRIV_H
#define TARGET_RISCV_FPU_PRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "target/riscv/fpu.h"

#define S_NAN   0x7fc00000u
#define S_INF   0x7f800000u
#define S_SIGN  0x80000000u
#define S_QUIET 0x00400000u
#define D_NAN   0x7ff8000000000000u
#define D_INF   0x7ff0000000000000u
#define D_SIGN  0x8000000000000000u
#define D_QUIET 0x0008000000000000u
#define H_NAN   0x7e00u

/* An IEEE 754 binary format: sign, exp_bits of exponent, frac_bits of fraction. */
typedef struct FpuFormat {
    unsigned exp_bits;
    unsigned frac_bits;
} FpuFormat;

extern const FpuFormat fpu_half, fpu_single, fpu_double;

/* Correctly rounded operations on bare bits of format @f. */
uint64_t fpu_soft_add(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t fpu_soft_mul(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t fpu_soft_div(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t fpu_soft_sqrt(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a);
/* (a * b) + c, rounded once. */
uint64_t fpu_soft_fma(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b,
                      uint64_t c);
/* @a of format @from in format @to. */
uint64_t fpu_soft_convert(const FpuFormat *from, const FpuFormat *to, uint32_t *fflags, unsigned rm,
                          uint64_t a);
/* The integer of magnitude @magnitude, negative if @sign. */
uint64_t fpu_soft_from_int(const FpuFormat *f, uint32_t *fflags, unsigned rm, bool sign,
                           uint64_t magnitude);

static inline uint64_t box_s(uint32_t bits)
{
    return 0xffffffff00000000u | bits;
}

static inline uint64_t box_h(uint16_t bits)
{
    return 0xffffffffffff0000u | bits;
}

/* The single in f register @reg, the canonical NaN if it is not NaN-boxed. */
static inline uint32_t unbox_s(uint64_t reg)
{
    return __builtin_expect(reg >> 32 == 0xffffffffu, 1) ? (uint32_t)reg : S_NAN;
}

static inline uint16_t unbox_h(uint64_t reg)
{
    return reg >> 16 == 0xffffffffffffu ? (uint16_t)reg : H_NAN;
}

static inline float float_from_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline uint32_t float_to_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline double double_from_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline uint64_t double_to_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline bool is_nan_s(uint32_t bits)
{
    return (bits & ~S_SIGN) > S_INF;
}

static inline bool is_nan_d(uint64_t bits)
{
    return (bits & ~D_SIGN) > D_INF;
}

static inline bool is_snan_s(uint32_t bits)
{
    return is_nan_s(bits) && !(bits & S_QUIET);
}

static inline bool is_snan_d(uint64_t bits)
{
    return is_nan_d(bits) && !(bits & D_QUIET);
}

#endif
