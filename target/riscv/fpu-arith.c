/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RISC-V add, subtract, multiply, divide, square root, fused multiply-add and fcvt.s.d with the
 * host's floating point.
 *
 * Three ways, tried in this order:
 *
 * Quick: in RNE with NX already accrued (the steady state of any program that computes) a result of
 * magnitude above the least normal number and below infinity can have raised only NX: overflow
 * gives infinity, underflow at most the least normal number, invalid a NaN, division by zero
 * infinity. So the host's control register is not touched.
 *
 * MXCSR: loaded with cleared flags and the rounding mode, the operation, MXCSR stored, its flags
 * ORed to fflags. SSE detects tininess after rounding as RISC-V does; only NaN results (and
 * inf * 0 + NaN) need a correction. For RNE MXCSR is not written back: only its sticky flags differ
 * from the default, and nobody reads those.
 *
 * The soft core: RMM, hosts without MXCSR, and the fused operations without the FMA extension.
 *
 * The compiler may move arithmetic over accesses to MXCSR: operands and results go through pin(),
 * an empty volatile asm, and volatile asms keep their order; so the operation stays between
 * host_begin() and host_end().
 */
#include <math.h>
#ifdef __x86_64__
#include <emmintrin.h>
#endif
#include "target/riscv/fpu-priv.h"

typedef enum Op { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_SQRT } Op;

#define INLINE static inline __attribute__((always_inline))

#ifdef __x86_64__

#define MXCSR_DEFAULT 0x1f80u

INLINE bool host_can(unsigned rm)
{
    return rm != RV_RM_RMM;
}

INLINE bool host_has_fma(void)
{
    return __builtin_cpu_supports("fma");
}

INLINE float pin_s(float x)
{
    __asm__ volatile("" : "+x"(x));
    return x;
}

INLINE double pin_d(double x)
{
    __asm__ volatile("" : "+x"(x));
    return x;
}

INLINE void host_begin(unsigned rm)
{
    /* By rm. RC, bits 14:13: 0 nearest, 1 down, 2 up, 3 towards zero; flags clear. */
    static const uint32_t mxcsr[] = { MXCSR_DEFAULT, MXCSR_DEFAULT | 3 << 13,
                                      MXCSR_DEFAULT | 1 << 13, MXCSR_DEFAULT | 2 << 13 };

    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr[rm]) : "memory");
}

INLINE void host_end(uint32_t *fflags, unsigned rm)
{
    static const uint32_t mxcsr_default = MXCSR_DEFAULT;
    uint32_t mxcsr;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : : "memory");
    if (rm != RV_RM_RNE) {
        __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr_default) : "memory");
    }
    /* PE 5, UE 4, OE 3, ZE 2, DE 1 (denormal operand: not RISC-V's), IE 0: the reverse order of
     * fflags. */
    *fflags |= (mxcsr >> 5 & RV_FFLAG_NX) | (mxcsr >> 3 & RV_FFLAG_UF) |
               (mxcsr >> 1 & RV_FFLAG_OF) | (mxcsr << 1 & RV_FFLAG_DZ) | (mxcsr << 4 & RV_FFLAG_NV);
}

/* Not sqrt(): it sets errno. */
INLINE float host_sqrt_s(float x)
{
    return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}

INLINE double host_sqrt_d(double x)
{
    return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(x), _mm_set_sd(x)));
}

INLINE float host_fma_s(float x, float y, float z)
{
    __asm__("vfmadd213ss %2, %1, %0" : "+x"(x) : "x"(y), "x"(z));
    return x;
}

INLINE double host_fma_d(double x, double y, double z)
{
    __asm__("vfmadd213sd %2, %1, %0" : "+x"(x) : "x"(y), "x"(z));
    return x;
}

#else /* flags always come from the soft core, plain C serves the quick way */

INLINE bool host_can(unsigned rm)
{
    return false;
}

INLINE bool host_has_fma(void)
{
    return true;
}

INLINE float pin_s(float x)
{
    return x;
}

INLINE double pin_d(double x)
{
    return x;
}

INLINE void host_begin(unsigned rm)
{
}

INLINE void host_end(uint32_t *fflags, unsigned rm)
{
}

INLINE float host_sqrt_s(float x)
{
    return sqrtf(x);
}

INLINE double host_sqrt_d(double x)
{
    return sqrt(x);
}

INLINE float host_fma_s(float x, float y, float z)
{
    return fmaf(x, y, z);
}

INLINE double host_fma_d(double x, double y, double z)
{
    return fma(x, y, z);
}

#endif

/* Whether the quick way may be tried (see the head of this file); its result is good if is_plain.
 */
INLINE bool may_be_quick(const uint32_t *fflags, unsigned rm)
{
    return __builtin_expect(rm == RV_RM_RNE && (*fflags & RV_FFLAG_NX), 1);
}

/* Exponent field from 2 to the greatest finite one: leaves out the least normal numbers too, for a
 * shorter test. */
INLINE bool is_plain_s(uint32_t bits)
{
    return __builtin_expect((bits >> 23 & 0xff) - 2 < 0xfd, 1);
}

INLINE bool is_plain_d(uint64_t bits)
{
    return __builtin_expect((bits >> 52 & 0x7ff) - 2 < 0x7fd, 1);
}

INLINE uint64_t result_s(float value)
{
    uint32_t bits = float_to_bits(value);

    return box_s(is_nan_s(bits) ? S_NAN : bits);
}

INLINE uint64_t result_d(double value)
{
    uint64_t bits = double_to_bits(value);

    return is_nan_d(bits) ? D_NAN : bits;
}

INLINE float host_op_s(Op op, float x, float y)
{
    switch (op) {
    case OP_ADD:
        return x + y;
    case OP_SUB:
        return x - y;
    case OP_MUL:
        return x * y;
    case OP_DIV:
        return x / y;
    default:
        return host_sqrt_s(x);
    }
}

INLINE double host_op_d(Op op, double x, double y)
{
    switch (op) {
    case OP_ADD:
        return x + y;
    case OP_SUB:
        return x - y;
    case OP_MUL:
        return x * y;
    case OP_DIV:
        return x / y;
    default:
        return host_sqrt_d(x);
    }
}

static uint64_t soft_op(const FpuFormat *f, Op op, uint32_t *fflags, unsigned rm, uint64_t a,
                        uint64_t b)
{
    uint64_t sign = 1ull << (f->exp_bits + f->frac_bits);

    switch (op) {
    case OP_ADD:
        return fpu_soft_add(f, fflags, rm, a, b);
    case OP_SUB:
        return fpu_soft_add(f, fflags, rm, a, b ^ sign);
    case OP_MUL:
        return fpu_soft_mul(f, fflags, rm, a, b);
    case OP_DIV:
        return fpu_soft_div(f, fflags, rm, a, b);
    default:
        return fpu_soft_sqrt(f, fflags, rm, a);
    }
}

/* @op is a constant in every caller: each becomes straight code of its own. */
INLINE uint64_t arith_s(Op op, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    float x = float_from_bits(unbox_s(a));
    float y = float_from_bits(unbox_s(b));

    if (may_be_quick(fflags, rm)) {
        uint32_t bits = float_to_bits(host_op_s(op, x, y));

        if (is_plain_s(bits)) {
            return box_s(bits);
        }
    }
    if (!host_can(rm)) {
        return box_s(soft_op(&fpu_single, op, fflags, rm, unbox_s(a), unbox_s(b)));
    }
    host_begin(rm);
    x = pin_s(host_op_s(op, pin_s(x), pin_s(y)));
    host_end(fflags, rm);
    return result_s(x);
}

INLINE uint64_t arith_d(Op op, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    double x = double_from_bits(a);
    double y = double_from_bits(b);

    if (may_be_quick(fflags, rm)) {
        uint64_t bits = double_to_bits(host_op_d(op, x, y));

        if (is_plain_d(bits)) {
            return bits;
        }
    }
    if (!host_can(rm)) {
        return soft_op(&fpu_double, op, fflags, rm, a, b);
    }
    host_begin(rm);
    x = pin_d(host_op_d(op, pin_d(x), pin_d(y)));
    host_end(fflags, rm);
    return result_d(x);
}

/* x86 does not raise invalid for inf * 0 + quiet NaN, RISC-V does. */
static bool is_inf_times_zero(double x, double y)
{
    return (isinf(x) && y == 0) || (x == 0 && isinf(y));
}

/* (a * b) + c on bare single bits. */
static uint64_t fused_s(uint32_t *fflags, unsigned rm, uint32_t a, uint32_t b, uint32_t c)
{
    float x = float_from_bits(a);
    float y = float_from_bits(b);
    float z = float_from_bits(c);

    if (may_be_quick(fflags, rm) && host_has_fma()) {
        uint32_t bits = float_to_bits(host_fma_s(x, y, z));

        if (is_plain_s(bits)) {
            return box_s(bits);
        }
    }
    if (!host_can(rm) || !host_has_fma()) {
        return box_s(fpu_soft_fma(&fpu_single, fflags, rm, a, b, c));
    }
    if (is_nan_s(c) && is_inf_times_zero(x, y)) {
        *fflags |= RV_FFLAG_NV;
        return box_s(S_NAN);
    }
    host_begin(rm);
    x = pin_s(host_fma_s(pin_s(x), pin_s(y), pin_s(z)));
    host_end(fflags, rm);
    return result_s(x);
}

static uint64_t fused_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
    double x = double_from_bits(a);
    double y = double_from_bits(b);
    double z = double_from_bits(c);

    if (may_be_quick(fflags, rm) && host_has_fma()) {
        uint64_t bits = double_to_bits(host_fma_d(x, y, z));

        if (is_plain_d(bits)) {
            return bits;
        }
    }
    if (!host_can(rm) || !host_has_fma()) {
        return fpu_soft_fma(&fpu_double, fflags, rm, a, b, c);
    }
    if (is_nan_d(c) && is_inf_times_zero(x, y)) {
        *fflags |= RV_FFLAG_NV;
        return D_NAN;
    }
    host_begin(rm);
    x = pin_d(host_fma_d(pin_d(x), pin_d(y), pin_d(z)));
    host_end(fflags, rm);
    return result_d(x);
}

uint64_t rv_fpu_fadd_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return arith_s(OP_ADD, fflags, rm, a, b);
}

uint64_t rv_fpu_fsub_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return arith_s(OP_SUB, fflags, rm, a, b);
}

uint64_t rv_fpu_fmul_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return arith_s(OP_MUL, fflags, rm, a, b);
}

uint64_t rv_fpu_fdiv_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return arith_s(OP_DIV, fflags, rm, a, b);
}

uint64_t rv_fpu_fsqrt_s(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return arith_s(OP_SQRT, fflags, rm, a, a);
}

uint64_t rv_fpu_fadd_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return arith_d(OP_ADD, fflags, rm, a, b);
}

uint64_t rv_fpu_fsub_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return arith_d(OP_SUB, fflags, rm, a, b);
}

uint64_t rv_fpu_fmul_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return arith_d(OP_MUL, fflags, rm, a, b);
}

uint64_t rv_fpu_fdiv_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return arith_d(OP_DIV, fflags, rm, a, b);
}

uint64_t rv_fpu_fsqrt_d(uint32_t *fflags, unsigned rm, uint64_t a)
{
    return arith_d(OP_SQRT, fflags, rm, a, a);
}

/* The four fused operations differ in the signs of operands: -(a * b) is (-a) * b, exactly and for
 * zeros too. */
uint64_t rv_fpu_fmadd_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
    return fused_s(fflags, rm, unbox_s(a), unbox_s(b), unbox_s(c));
}

uint64_t rv_fpu_fmsub_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
    return fused_s(fflags, rm, unbox_s(a), unbox_s(b), unbox_s(c) ^ S_SIGN);
}

uint64_t rv_fpu_fnmsub_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
    return fused_s(fflags, rm, unbox_s(a) ^ S_SIGN, unbox_s(b), unbox_s(c));
}

uint64_t rv_fpu_fnmadd_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
    return fused_s(fflags, rm, unbox_s(a) ^ S_SIGN, unbox_s(b), unbox_s(c) ^ S_SIGN);
}

uint64_t rv_fpu_fmadd_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
    return fused_d(fflags, rm, a, b, c);
}

uint64_t rv_fpu_fmsub_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
    return fused_d(fflags, rm, a, b, c ^ D_SIGN);
}

uint64_t rv_fpu_fnmsub_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
    return fused_d(fflags, rm, a ^ D_SIGN, b, c);
}

uint64_t rv_fpu_fnmadd_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
    return fused_d(fflags, rm, a ^ D_SIGN, b, c ^ D_SIGN);
}

uint64_t rv_fpu_fcvt_s_d(uint32_t *fflags, unsigned rm, uint64_t a)
{
    double x = double_from_bits(a);
    float y;

    if (may_be_quick(fflags, rm)) {
        uint32_t bits = float_to_bits((float)x);

        if (is_plain_s(bits)) {
            return box_s(bits);
        }
    }
    if (!host_can(rm)) {
        return box_s(fpu_soft_convert(&fpu_double, &fpu_single, fflags, rm, a));
    }
    host_begin(rm);
    y = pin_s((float)pin_d(x));
    host_end(fflags, rm);
    return result_s(y);
}
