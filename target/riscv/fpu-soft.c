/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft core: IEEE 754 arithmetic with integers, for what the host's floating point cannot do
 * (see fpu-priv.h).
 *
 * An operand is unpacked to a Num: a class, a sign, and for finite numbers a 128-bit significand
 * whose top bit is set and the exponent of that bit, so subnormals need no further care. The
 * operations work on Nums; pack() rounds once to the format, raising overflow, underflow and
 * inexact. A significand may be inexact only below the bits that pack() looks at singly: its lowest
 * bit is then set ("jammed"), so that it lies on the right side of every exact value and halfway
 * point. All formats have at most 53 bits of precision, so a product (106 bits) is exact and a
 * jammed bit is far below.
 *
 * It is the slow path: clarity counts more than speed. Called by the other fpu-*.c files.
 */
#include "target/riscv/fpu-priv.h"

typedef unsigned __int128 U128;

#define TOP ((U128)1 << 127)

typedef enum NumClass { NUM_ZERO, NUM_FINITE, NUM_INF, NUM_NAN } NumClass;

/* NUM_FINITE: the value is significand * 2^(exp - 127), TOP set. */
typedef struct Num {
    NumClass class;
    bool sign;
    int exp;
    U128 significand;
} Num;

const FpuFormat fpu_half = { .exp_bits = 5, .frac_bits = 10 };
const FpuFormat fpu_single = { .exp_bits = 8, .frac_bits = 23 };
const FpuFormat fpu_double = { .exp_bits = 11, .frac_bits = 52 };

static const Num nan_num = { .class = NUM_NAN };

/* The exponent of the least normal number. */
static int exp_min(const FpuFormat *f)
{
    return 2 - (1 << (f->exp_bits - 1));
}

static uint64_t infinity(const FpuFormat *f)
{
    return ((1ull << f->exp_bits) - 1) << f->frac_bits;
}

static Num invalid(uint32_t *fflags)
{
    *fflags |= RV_FFLAG_NV;
    return nan_num;
}

static U128 shift_right_jam(U128 x, unsigned count)
{
    if (count == 0) {
        return x;
    }
    if (count > 127) {
        return x != 0;
    }
    return x >> count | (x << (128 - count) != 0);
}

/* Moves the top set bit of a finite @n to its place; a zero significand makes it @n zero of the
 * same sign. */
static Num normalize(Num n)
{
    uint64_t high = n.significand >> 64;
    uint64_t low = n.significand;
    unsigned count;

    if (n.significand == 0) {
        n.class = NUM_ZERO;
        return n;
    }
    count = high ? __builtin_clzll(high) : 64 + __builtin_clzll(low);
    n.significand <<= count;
    n.exp -= count;
    return n;
}

/* A signaling NaN raises NV here: every operation that unpacks is one that computes. */
static Num unpack(const FpuFormat *f, uint32_t *fflags, uint64_t bits)
{
    uint64_t fraction = bits & ((1ull << f->frac_bits) - 1);
    uint64_t exp_mask = (1ull << f->exp_bits) - 1;
    uint64_t exp_field = bits >> f->frac_bits & exp_mask;
    Num n = { .class = NUM_FINITE,
              .sign = bits >> (f->frac_bits + f->exp_bits) & 1,
              .exp = exp_min(f) };

    if (exp_field == exp_mask) {
        if (fraction == 0) {
            n.class = NUM_INF;
            return n;
        }
        return fraction >> (f->frac_bits - 1) ? nan_num : invalid(fflags);
    }
    if (exp_field != 0) {
        fraction |= 1ull << f->frac_bits;
        n.exp += (int)exp_field - 1;
    }
    n.significand = (U128)fraction << (127 - f->frac_bits);
    return normalize(n);
}

/* Whether to round away from zero; @rest is what is cut off, in units of 2^-128 of the last place
 * kept. */
static bool rounds_up(unsigned rm, bool sign, bool odd, U128 rest)
{
    switch (rm) {
    case RV_RM_RNE:
        return rest > TOP || (rest == TOP && odd);
    case RV_RM_RDN:
        return sign && rest != 0;
    case RV_RM_RUP:
        return !sign && rest != 0;
    case RV_RM_RMM:
        return rest >= TOP;
    default:
        return false;
    }
}

static uint64_t overflow(const FpuFormat *f, uint32_t *fflags, unsigned rm, bool sign)
{
    bool to_infinity = rm == RV_RM_RNE || rm == RV_RM_RMM || rm == (sign ? RV_RM_RDN : RV_RM_RUP);

    *fflags |= RV_FFLAG_OF | RV_FFLAG_NX;
    return infinity(f) - !to_infinity;
}

/* Tininess after rounding: would @n, rounded with the exponent unbounded, still be below the least
 * normal number? */
static bool is_tiny(const FpuFormat *f, unsigned rm, const Num *n)
{
    unsigned precision = f->frac_bits + 1;
    uint64_t kept = n->significand >> (128 - precision);

    if (n->exp != exp_min(f) - 1) {
        return n->exp < exp_min(f);
    }
    return kept != (1ull << precision) - 1 ||
           !rounds_up(rm, n->sign, true, n->significand << precision);
}

/* The magnitude bits of finite @n in format @f. */
static uint64_t round_finite(const FpuFormat *f, uint32_t *fflags, unsigned rm, const Num *n)
{
    unsigned precision = f->frac_bits + 1;
    int above_min = n->exp - exp_min(f);
    U128 significand = above_min < 0 ? shift_right_jam(n->significand, -above_min) : n->significand;
    uint64_t kept = significand >> (128 - precision);
    U128 rest = significand << precision;
    uint64_t bits;

    kept += rounds_up(rm, n->sign, kept & 1, rest);
    /* The leading bit of a normal significand adds 1 to the exponent field, and so does a carry out
     * of rounding. */
    bits = ((uint64_t)(above_min < 0 ? 0 : above_min) << f->frac_bits) + kept;
    if (bits >= infinity(f)) {
        return overflow(f, fflags, rm, n->sign);
    }
    if (rest != 0) {
        *fflags |= RV_FFLAG_NX | (is_tiny(f, rm, n) ? RV_FFLAG_UF : 0);
    }
    return bits;
}

static uint64_t pack(const FpuFormat *f, uint32_t *fflags, unsigned rm, Num n)
{
    uint64_t sign = (uint64_t)n.sign << (f->frac_bits + f->exp_bits);

    switch (n.class) {
    case NUM_ZERO:
        return sign;
    case NUM_INF:
        return sign | infinity(f);
    case NUM_NAN:
        return infinity(f) | 1ull << (f->frac_bits - 1);
    default:
        return sign | round_finite(f, fflags, rm, &n);
    }
}

/* The sum of finite numbers. Bits can be lost only if the exponents are over 20 apart; then at most
 * one leading bit cancels. */
static Num add_finite(unsigned rm, Num a, Num b)
{
    if (a.exp < b.exp || (a.exp == b.exp && a.significand < b.significand)) {
        Num swap = a;
        a = b;
        b = swap;
    }
    b.significand = shift_right_jam(b.significand, a.exp - b.exp + 1);
    a.significand >>= 1;
    a.exp++;
    if (a.sign == b.sign) {
        a.significand += b.significand;
    } else {
        a.significand -= b.significand;
    }
    a = normalize(a);
    if (a.class == NUM_ZERO) {
        a.sign = rm == RV_RM_RDN;
    }
    return a;
}

static Num add(uint32_t *fflags, unsigned rm, Num a, Num b)
{
    if (a.class == NUM_NAN || b.class == NUM_NAN) {
        return nan_num;
    }
    if (a.class == NUM_INF) {
        return b.class == NUM_INF && a.sign != b.sign ? invalid(fflags) : a;
    }
    if (a.class == NUM_ZERO && b.class == NUM_ZERO) {
        a.sign = a.sign == b.sign ? a.sign : rm == RV_RM_RDN;
        return a;
    }
    if (b.class == NUM_INF || a.class == NUM_ZERO) {
        return b;
    }
    return b.class == NUM_ZERO ? a : add_finite(rm, a, b);
}

/* Exact: the low 64 bits of unpacked significands are 0. */
static Num mul(uint32_t *fflags, Num a, Num b)
{
    a.sign ^= b.sign;
    if (a.class == NUM_NAN || b.class == NUM_NAN) {
        return nan_num;
    }
    if (a.class == NUM_INF || b.class == NUM_INF) {
        if (a.class == NUM_ZERO || b.class == NUM_ZERO) {
            return invalid(fflags);
        }
        a.class = NUM_INF;
        return a;
    }
    if (a.class == NUM_ZERO || b.class == NUM_ZERO) {
        a.class = NUM_ZERO;
        return a;
    }
    a.significand = (a.significand >> 64) * (b.significand >> 64);
    a.exp += b.exp + 1;
    return normalize(a);
}

static Num div_finite(Num a, Num b)
{
    uint64_t divisor = b.significand >> 64;
    U128 dividend = a.significand >> 1;
    uint64_t quotient = dividend / divisor;

    quotient |= dividend % divisor != 0;
    a.significand = (U128)quotient << 64;
    a.exp -= b.exp;
    return normalize(a);
}

static Num divide(uint32_t *fflags, Num a, Num b)
{
    a.sign ^= b.sign;
    if (a.class == NUM_NAN || b.class == NUM_NAN) {
        return nan_num;
    }
    if ((a.class == NUM_INF && b.class == NUM_INF) ||
        (a.class == NUM_ZERO && b.class == NUM_ZERO)) {
        return invalid(fflags);
    }
    if (a.class == NUM_INF || a.class == NUM_ZERO) {
        return a;
    }
    if (b.class == NUM_ZERO) {
        *fflags |= RV_FFLAG_DZ;
        a.class = NUM_INF;
        return a;
    }
    if (b.class == NUM_INF) {
        a.class = NUM_ZERO;
        return a;
    }
    return div_finite(a, b);
}

/* The square root of the integer @x, rounded down, bit by bit. */
static uint64_t integer_sqrt(U128 x)
{
    uint64_t root = 0;

    for (uint64_t bit = 1ull << 63; bit != 0; bit >>= 1) {
        uint64_t larger = root | bit;

        if ((U128)larger * larger <= x) {
            root = larger;
        }
    }
    return root;
}

static Num square_root(uint32_t *fflags, Num a)
{
    unsigned shift = a.exp & 1 ? 2 : 1; /* leaves an even power of two */
    U128 radicand = a.significand >> shift;
    uint64_t root;

    if (a.class == NUM_NAN || a.class == NUM_ZERO) {
        return a;
    }
    if (a.sign) {
        return invalid(fflags);
    }
    if (a.class == NUM_INF) {
        return a;
    }
    root = integer_sqrt(radicand);
    root |= (U128)root * root != radicand;
    a.significand = (U128)root << 64;
    a.exp = (a.exp - 127 + (int)shift) / 2 + 63;
    return normalize(a);
}

uint64_t fpu_soft_add(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return pack(f, fflags, rm, add(fflags, rm, unpack(f, fflags, a), unpack(f, fflags, b)));
}

uint64_t fpu_soft_mul(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return pack(f, fflags, rm, mul(fflags, unpack(f, fflags, a), unpack(f, fflags, b)));
}

uint64_t fpu_soft_div(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b)
{
    return pack(f, fflags, rm, divide(fflags, unpack(f, fflags, a), unpack(f, fflags, b)));
}

uint64_t fpu_soft_sqrt(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a)
{
    return pack(f, fflags, rm, square_root(fflags, unpack(f, fflags, a)));
}

uint64_t fpu_soft_fma(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b,
                      uint64_t c)
{
    Num product = mul(fflags, unpack(f, fflags, a), unpack(f, fflags, b));

    return pack(f, fflags, rm, add(fflags, rm, product, unpack(f, fflags, c)));
}

uint64_t fpu_soft_convert(const FpuFormat *from, const FpuFormat *to, uint32_t *fflags, unsigned rm,
                          uint64_t a)
{
    return pack(to, fflags, rm, unpack(from, fflags, a));
}

uint64_t fpu_soft_from_int(const FpuFormat *f, uint32_t *fflags, unsigned rm, bool sign,
                           uint64_t magnitude)
{
    Num n = { .class = NUM_FINITE, .sign = sign, .exp = 127, .significand = magnitude };

    return pack(f, fflags, rm, normalize(n));
}
