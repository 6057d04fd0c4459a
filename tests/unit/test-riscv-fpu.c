/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of target/riscv/fpu-*.c: results and flags, bit for bit, in every rounding mode.
 *
 * The reference computes every operation exactly with big integers (Exact: big * 2^exp, after a
 * division or a square root with a sticky bit far below) and rounds once, by its own code; it
 * shares nothing with the soft core, which is tested against it as well. Each operation runs with
 * fflags 0 and with NX accrued, which selects the quick way of fpu-arith.c. Operands: all pairs
 * (for the fused operations all triples) of edge values, then seeded random ones with exponents
 * chosen so that rounding, cancellation, overflow and underflow are frequent. Then vectors written
 * by hand from the manual.
 */
#include <glib.h>
#include <math.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif
#include "target/riscv/fpu-priv.h"

typedef unsigned __int128 U128;
typedef __int128 S128;

enum { N_MODES = 5, N_RANDOM = 40000, MAX_EDGES = 80, MAX_REPORTS = 20 };

/* ---- Big integers ---- */

enum { BIG_WORDS = 72 };

typedef struct Big {
    uint64_t word[BIG_WORDS]; /* word[n ...] are not valid */
    unsigned n;
} Big;

static unsigned big_length(const Big *b)
{
    unsigned n = b->n;

    while (n > 0 && b->word[n - 1] == 0) {
        n--;
    }
    return n ? 64 * n - __builtin_clzll(b->word[n - 1]) : 0;
}

static bool big_bit(const Big *b, unsigned i)
{
    return i / 64 < b->n && (b->word[i / 64] >> i % 64 & 1);
}

/* Whether a bit below @i is set. */
static bool big_any_below(const Big *b, unsigned i)
{
    for (unsigned k = 0; k < b->n && k * 64 < i; k++) {
        unsigned bits = i - k * 64;

        if (bits >= 64 ? b->word[k] != 0 : b->word[k] << (64 - bits) != 0) {
            return true;
        }
    }
    return false;
}

/* The 64 bits from bit @i up. */
static uint64_t big_extract(const Big *b, unsigned i)
{
    uint64_t low = i / 64 < b->n ? b->word[i / 64] : 0;
    uint64_t high = i / 64 + 1 < b->n ? b->word[i / 64 + 1] : 0;

    return i % 64 ? low >> i % 64 | high << (64 - i % 64) : low;
}

/* @x << @shift in @n words. */
static void big_set(Big *b, U128 x, unsigned shift, unsigned n)
{
    unsigned at = shift / 64;
    unsigned rest = shift % 64;

    g_assert(n <= BIG_WORDS && at + 3 <= n);
    memset(b->word, 0, n * sizeof(b->word[0]));
    b->n = n;
    b->word[at] = (uint64_t)x << rest;
    b->word[at + 1] = (uint64_t)(rest ? x >> (64 - rest) : x >> 64);
    b->word[at + 2] = rest ? (uint64_t)(x >> 64) >> (64 - rest) : 0;
}

static int big_compare(const Big *a, const Big *b)
{
    for (unsigned k = a->n; k-- > 0;) {
        if (a->word[k] != b->word[k]) {
            return a->word[k] < b->word[k] ? -1 : 1;
        }
    }
    return 0;
}

static void big_add(Big *a, const Big *b)
{
    U128 sum = 0;

    for (unsigned k = 0; k < a->n; k++) {
        sum += (U128)a->word[k] + b->word[k];
        a->word[k] = sum;
        sum >>= 64;
    }
}

/* @to = @a - @b, not negative. */
static void big_sub(Big *to, const Big *a, const Big *b)
{
    unsigned borrow = 0;

    to->n = a->n;
    for (unsigned k = 0; k < a->n; k++) {
        U128 difference = (U128)a->word[k] - b->word[k] - borrow;

        to->word[k] = difference;
        borrow = difference >> 64 != 0;
    }
}

/* ---- The reference ---- */

typedef enum Kind { ZERO, NUMBER, INF, QNAN, SNAN } Kind;

/* A decoded operand: m * 2^e. */
typedef struct Value {
    Kind kind;
    bool neg;
    uint64_t m;
    int e;
} Value;

/* An exact result, with the flags that do not come from rounding. */
typedef struct Exact {
    Kind kind;
    bool neg;
    bool cancelled; /* ZERO: the sign depends on the rounding mode */
    uint32_t flags;
    int e;
    Big m;
} Exact;

typedef struct Result {
    uint64_t bits;
    uint32_t flags;
} Result;

static int bias(const FpuFormat *f)
{
    return (1 << (f->exp_bits - 1)) - 1;
}

static uint64_t bits_inf(const FpuFormat *f)
{
    return ((1ull << f->exp_bits) - 1) << f->frac_bits;
}

static uint64_t bits_sign(const FpuFormat *f)
{
    return 1ull << (f->exp_bits + f->frac_bits);
}

static uint64_t bits_nan(const FpuFormat *f)
{
    return bits_inf(f) | 1ull << (f->frac_bits - 1);
}

static uint64_t ref_unbox(const FpuFormat *f, uint64_t reg)
{
    uint64_t box = -2 * bits_sign(f);

    return (reg & box) == box ? reg & ~box : bits_nan(f);
}

static uint64_t ref_box(const FpuFormat *f, uint64_t bits)
{
    return bits | -2 * bits_sign(f);
}

static Value decode(const FpuFormat *f, uint64_t bits)
{
    uint64_t exp = (bits & bits_inf(f)) >> f->frac_bits;
    uint64_t frac = bits & ((1ull << f->frac_bits) - 1);
    Value v = {
        .kind = NUMBER, .neg = bits & bits_sign(f), .m = frac, .e = 1 - bias(f) - (int)f->frac_bits
    };

    if ((bits & bits_inf(f)) == bits_inf(f)) {
        v.kind = frac == 0 ? INF : bits & 1ull << (f->frac_bits - 1) ? QNAN : SNAN;
    } else if (exp == 0) {
        v.kind = frac == 0 ? ZERO : NUMBER;
    } else {
        v.m |= 1ull << f->frac_bits;
        v.e += exp - 1;
    }
    return v;
}

static bool is_nan(const Value *v)
{
    return v->kind == QNAN || v->kind == SNAN;
}

/* @m * 2^@e rounded to a multiple of 2^@q, in that unit. */
static uint64_t round_at(const Big *m, int e, int q, bool neg, unsigned rm, bool *inexact)
{
    unsigned cut = q - e;
    uint64_t kept;
    bool half, more, up;

    *inexact = false;
    if (q <= e) {
        return big_extract(m, 0) << (e - q);
    }
    kept = big_extract(m, cut);
    half = big_bit(m, cut - 1);
    more = big_any_below(m, cut - 1);
    *inexact = half || more;
    up = (rm == RV_RM_RNE && half && (more || kept % 2)) || (rm == RV_RM_RMM && half) ||
         (rm == RV_RM_RUP && *inexact && !neg) || (rm == RV_RM_RDN && *inexact && neg);
    return kept + up;
}

static int length64(uint64_t x)
{
    return x ? 64 - __builtin_clzll(x) : 0;
}

static Result ref_round_number(const FpuFormat *f, const Exact *x, unsigned rm)
{
    int emin = 1 - bias(f);
    int top = (int)big_length(&x->m) - 1 + x->e;
    int unbounded = top - (int)f->frac_bits;
    int q = MAX(unbounded, emin - (int)f->frac_bits);
    bool inexact, ignored;
    uint64_t kept = round_at(&x->m, x->e, q, x->neg, rm, &inexact);
    uint64_t free_kept = round_at(&x->m, x->e, unbounded, x->neg, rm, &ignored);
    bool tiny = length64(free_kept) - 1 + unbounded < emin;
    uint64_t sign = x->neg ? bits_sign(f) : 0;
    Result r = { .flags = x->flags };

    if (length64(kept) - 1 + q > bias(f)) {
        bool to_inf = rm == RV_RM_RNE || rm == RV_RM_RMM || (rm == RV_RM_RUP && !x->neg) ||
                      (rm == RV_RM_RDN && x->neg);

        r.flags |= RV_FFLAG_OF | RV_FFLAG_NX;
        r.bits = sign | (to_inf ? bits_inf(f) : bits_inf(f) - 1);
        return r;
    }
    r.flags |= inexact ? RV_FFLAG_NX : 0;
    r.flags |= inexact && tiny ? RV_FFLAG_UF : 0;
    if (length64(kept) > (int)f->frac_bits + 1) {
        kept >>= 1;
        q++;
    }
    r.bits = sign | kept;
    if (length64(kept) == (int)f->frac_bits + 1) {
        uint64_t exp = q + (int)f->frac_bits + bias(f);

        r.bits = sign | exp << f->frac_bits | (kept & ((1ull << f->frac_bits) - 1));
    }
    return r;
}

static Result ref_round(const FpuFormat *f, const Exact *x, unsigned rm)
{
    Result r = { .flags = x->flags };
    bool neg = x->cancelled ? rm == RV_RM_RDN : x->neg;

    switch (x->kind) {
    case NUMBER:
        return ref_round_number(f, x, rm);
    case ZERO:
        r.bits = neg ? bits_sign(f) : 0;
        return r;
    case INF:
        r.bits = bits_inf(f) | (neg ? bits_sign(f) : 0);
        return r;
    default:
        r.bits = bits_nan(f);
        return r;
    }
}

static void exact_nan(Exact *x, bool invalid)
{
    x->kind = QNAN;
    x->flags |= invalid ? RV_FFLAG_NV : 0;
}

static void exact_number(Exact *x, bool neg, U128 m, int e)
{
    *x = (Exact){ .kind = m ? NUMBER : ZERO, .neg = neg, .e = e };
    big_set(&x->m, m, 0, 3);
}

static void exact_value(Exact *x, const Value *v)
{
    exact_number(x, v->neg, v->m, v->e);
    x->kind = is_nan(v) ? QNAN : v->kind;
    x->flags = v->kind == SNAN ? RV_FFLAG_NV : 0;
}

/* The sum of two numbers or zeros m * 2^e. */
static void exact_sum(Exact *x, bool a_neg, U128 a, int a_e, bool b_neg, U128 b, int b_e)
{
    int low = a == 0 ? b_e : b == 0 ? a_e : MIN(a_e, b_e);
    unsigned a_shift = a ? a_e - low : 0;
    unsigned b_shift = b ? b_e - low : 0;
    unsigned n = MAX(a_shift, b_shift) / 64 + 4;
    Big other;
    int order;

    *x = (Exact){ .kind = NUMBER, .neg = a_neg, .e = low };
    big_set(&x->m, a, a_shift, n);
    big_set(&other, b, b_shift, n);
    if (a_neg == b_neg) {
        big_add(&x->m, &other);
        x->kind = a || b ? NUMBER : ZERO;
        return;
    }
    order = big_compare(&x->m, &other);
    if (order == 0) {
        x->kind = ZERO;
        x->cancelled = true;
    } else if (order > 0) {
        big_sub(&x->m, &x->m, &other);
    } else {
        big_sub(&x->m, &other, &x->m);
        x->neg = b_neg;
    }
}

static void ref_fma(Exact *x, Value a, Value b, Value c)
{
    bool product_neg = a.neg != b.neg;
    bool inf_zero = (a.kind == INF && b.kind == ZERO) || (a.kind == ZERO && b.kind == INF);
    bool signaling = a.kind == SNAN || b.kind == SNAN || c.kind == SNAN;
    bool product_inf = a.kind == INF || b.kind == INF;

    *x = (Exact){ .kind = ZERO };
    if (is_nan(&a) || is_nan(&b) || is_nan(&c) || inf_zero) {
        exact_nan(x, signaling || inf_zero);
    } else if (product_inf && c.kind == INF && product_neg != c.neg) {
        exact_nan(x, true);
    } else if (product_inf || c.kind == INF) {
        x->kind = INF;
        x->neg = product_inf ? product_neg : c.neg;
    } else {
        exact_sum(x, product_neg, (U128)a.m * b.m, a.e + b.e, c.neg, c.m, c.e);
    }
}

static void ref_add(Exact *x, Value a, Value b)
{
    ref_fma(x, a, (Value){ .kind = NUMBER, .m = 1 }, b);
}

static void ref_sub(Exact *x, Value a, Value b)
{
    b.neg = !b.neg;
    ref_add(x, a, b);
}

static void ref_mul(Exact *x, Value a, Value b)
{
    /* A zero of the product's sign changes nothing. */
    ref_fma(x, a, b, (Value){ .kind = ZERO, .neg = a.neg != b.neg });
}

static void ref_div(Exact *x, Value a, Value b)
{
    bool neg = a.neg != b.neg;

    *x = (Exact){ .kind = ZERO, .neg = neg };
    if (is_nan(&a) || is_nan(&b) || (a.kind == b.kind && (a.kind == INF || a.kind == ZERO))) {
        exact_nan(x, !(is_nan(&a) || is_nan(&b)) || a.kind == SNAN || b.kind == SNAN);
    } else if (a.kind == INF || b.kind == ZERO) {
        x->kind = INF;
        x->flags = a.kind == INF ? 0 : RV_FFLAG_DZ;
    } else if (a.kind != ZERO && b.kind != INF) {
        unsigned a_up = __builtin_clzll(a.m);
        unsigned b_up = __builtin_clzll(b.m);
        U128 dividend = (U128)(a.m << a_up) << 63;
        uint64_t divisor = b.m << b_up;

        exact_number(x, neg, dividend / divisor * 2 + (dividend % divisor != 0),
                     (a.e - (int)a_up) - (b.e - (int)b_up) - 64);
    }
}

static void ref_sqrt(Exact *x, Value a, Value unused)
{
    exact_value(x, &a);
    if (a.neg && (a.kind == NUMBER || a.kind == INF)) {
        exact_nan(x, true);
    } else if (a.kind == NUMBER) {
        int e =
            a.e - 70 -
            (a.e & 1); /* even, and 70 or 71 more bits: at least 36 of root in front of the point */
        U128 m = (U128)a.m << (70 + (a.e & 1));
        U128 root;

        while (m >> 120 == 0) {
            m <<= 2;
            e -= 2;
        }
        root = (U128)sqrtl((long double)m);
        while (root * root > m) {
            root--;
        }
        while ((root + 1) * (root + 1) <= m) {
            root++;
        }
        exact_number(x, false, root * 2 + (root * root != m), e / 2 - 1);
    }
}

/* ---- Reporting ---- */

static unsigned n_reports;

static void report(const char *name, unsigned rm, const uint64_t op[3], uint64_t got,
                   uint32_t got_flags, Result want)
{
    g_test_fail();
    if (n_reports++ < MAX_REPORTS) {
        g_test_message("%s rm %u (%016" G_GINT64_MODIFIER "x %016" G_GINT64_MODIFIER
                       "x %016" G_GINT64_MODIFIER "x): %016" G_GINT64_MODIFIER
                       "x flags %02x, want %016" G_GINT64_MODIFIER "x flags %02x",
                       name, rm, op[0], op[1], op[2], got, got_flags, want.bits, want.flags);
    }
}

static void check(const char *name, unsigned rm, const uint64_t op[3], uint64_t got,
                  uint32_t got_flags, Result want)
{
    if (got != want.bits || got_flags != want.flags) {
        report(name, rm, op, got, got_flags, want);
    }
}

/* The thread's floating-point environment but for the sticky flags. */
static void check_environment(void)
{
#ifdef __x86_64__
    g_assert_cmphex(_mm_getcsr() & ~0x3f, ==, 0x1f80);
#endif
}

/* ---- Operands ---- */

static uint64_t random_state;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1dull;
}

/* Bits for a fraction: random, few bits, long runs, next to all zeros or ones. */
static uint64_t random_fraction(void)
{
    uint64_t r = random64();
    unsigned i = random64() % 64;
    unsigned k = random64() % 64;

    switch (random64() % 8) {
    case 0:
        return 1ull << i | 1ull << k;
    case 1:
        return (1ull << i) - (1ull << k);
    case 2:
        return r % 4;
    case 3:
        return -(r % 4);
    case 4:
        return r >> i << i;
    default:
        return r;
    }
}

/* A finite number with its exponent field about @exp. */
static uint64_t random_number(const FpuFormat *f, int exp)
{
    int max = (1 << f->exp_bits) - 2;
    uint64_t field = CLAMP(exp, 0, max);

    return (random64() & bits_sign(f)) | field << f->frac_bits |
           (random_fraction() & ((1ull << f->frac_bits) - 1));
}

static int random_between(int low, int high)
{
    return low + (int)(random64() % (uint64_t)(high - low + 1));
}

/* Registers that hold edge values of @f, of both signs; narrow formats also unboxed. */
static unsigned edge_registers(const FpuFormat *f, uint64_t reg[MAX_EDGES])
{
    uint64_t one = (uint64_t)bias(f) << f->frac_bits;
    uint64_t ulp = 1;
    uint64_t normal = 1ull << f->frac_bits;
    uint64_t exp_step = normal;
    const uint64_t bits[] = {
        0,
        1,
        2,
        3,
        normal / 2,
        normal / 2 + 1,
        normal - 1,
        normal,
        normal + 1,
        2 * normal,
        2 * normal - 1,
        one / 2,
        one / 2 + normal / 2 + 1,
        one - f->frac_bits * exp_step,
        one - (f->frac_bits + 1) * exp_step,
        one - (f->frac_bits + 1) * exp_step + 1,
        one - exp_step,
        one - ulp,
        one,
        one + ulp,
        one + exp_step / 2,
        one + exp_step - 1,
        one + exp_step,
        one + exp_step + exp_step / 2,
        one + f->frac_bits * exp_step + 1,
        one + (f->frac_bits + 1) * exp_step,
        one + one / 2,
        bits_inf(f) - exp_step,
        bits_inf(f) - 2,
        bits_inf(f) - 1,
        bits_inf(f),
        bits_inf(f) + 1,
        bits_nan(f),
        bits_nan(f) + 5,
        bits_nan(f) - 1,
    };
    unsigned n = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(bits); i++) {
        reg[n++] = ref_box(f, bits[i]);
        reg[n++] = ref_box(f, bits[i] | bits_sign(f));
    }
    if (f != &fpu_double) {
        reg[n++] = one;
        reg[n++] = ref_box(f, one) ^ 1ull << 63;
    }
    g_assert(n <= MAX_EDGES);
    return n;
}

/* ---- Operations of one and two operands ---- */

typedef uint64_t UnaryFn(uint32_t *fflags, unsigned rm, uint64_t a);
typedef uint64_t BinaryFn(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
typedef uint64_t FusedFn(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c);
typedef uint64_t SoftFn(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
typedef void RefFn(Exact *x, Value a, Value b);

typedef struct BinaryOp {
    const char *name;
    const FpuFormat *f;
    BinaryFn *fn;
    UnaryFn *unary; /* instead of fn */
    RefFn *ref;
    SoftFn *soft;
} BinaryOp;

static uint64_t soft_sqrt(const FpuFormat *f, uint32_t *fflags, unsigned rm, uint64_t a,
                          uint64_t unused)
{
    return fpu_soft_sqrt(f, fflags, rm, a);
}

static const BinaryOp binary_ops[] = {
    { "fadd.s", &fpu_single, rv_fpu_fadd_s, NULL, ref_add, fpu_soft_add },
    { "fsub.s", &fpu_single, rv_fpu_fsub_s, NULL, ref_sub, NULL },
    { "fmul.s", &fpu_single, rv_fpu_fmul_s, NULL, ref_mul, fpu_soft_mul },
    { "fdiv.s", &fpu_single, rv_fpu_fdiv_s, NULL, ref_div, fpu_soft_div },
    { "fsqrt.s", &fpu_single, NULL, rv_fpu_fsqrt_s, ref_sqrt, soft_sqrt },
    { "fadd.d", &fpu_double, rv_fpu_fadd_d, NULL, ref_add, fpu_soft_add },
    { "fsub.d", &fpu_double, rv_fpu_fsub_d, NULL, ref_sub, NULL },
    { "fmul.d", &fpu_double, rv_fpu_fmul_d, NULL, ref_mul, fpu_soft_mul },
    { "fdiv.d", &fpu_double, rv_fpu_fdiv_d, NULL, ref_div, fpu_soft_div },
    { "fsqrt.d", &fpu_double, NULL, rv_fpu_fsqrt_d, ref_sqrt, soft_sqrt },
};

static void check_binary_once(const BinaryOp *op, unsigned rm, const uint64_t reg[3],
                              uint32_t before, Result want)
{
    uint32_t flags = before;
    uint64_t got = op->unary ? op->unary(&flags, rm, reg[0]) : op->fn(&flags, rm, reg[0], reg[1]);

    want.flags |= before;
    want.bits = ref_box(op->f, want.bits);
    check(op->name, rm, reg, got, flags, want);
}

static void check_binary(const BinaryOp *op, uint64_t a, uint64_t b)
{
    uint64_t reg[3] = { a, b };
    uint64_t bare_a = ref_unbox(op->f, a);
    uint64_t bare_b = ref_unbox(op->f, b);
    Exact exact;

    op->ref(&exact, decode(op->f, bare_a), decode(op->f, bare_b));
    for (unsigned rm = 0; rm < N_MODES; rm++) {
        Result want = ref_round(op->f, &exact, rm);
        uint32_t flags = 0;

        check_binary_once(op, rm, reg, 0, want);
        check_binary_once(op, rm, reg, RV_FFLAG_NX, want);
        if (op->soft) {
            uint64_t got = op->soft(op->f, &flags, rm, bare_a, bare_b);

            check("soft core", rm, reg, got, flags, want);
        }
    }
}

static void test_binary_edges(gconstpointer data)
{
    const BinaryOp *op = data;
    uint64_t reg[MAX_EDGES];
    unsigned n = edge_registers(op->f, reg);

    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < (op->unary ? 1 : n); k++) {
            check_binary(op, reg[i], reg[k]);
        }
    }
    check_environment();
}

static void test_binary_random(gconstpointer data)
{
    const BinaryOp *op = data;
    const FpuFormat *f = op->f;
    int max = (1 << f->exp_bits) - 2;
    int spread = f->frac_bits + 4;

    for (unsigned i = 0; i < N_RANDOM; i++) {
        int exp = random_between(0, max);
        int target[] = { random_between(-spread, 2), random_between(max - 2, max + 2),
                         random_between(0, max) };
        int want = target[random64() % 3];
        int other = op->ref == ref_mul   ? want - exp + bias(f)
                    : op->ref == ref_div ? exp - want + bias(f)
                                         : exp + random_between(-spread, spread);

        check_binary(op, ref_box(f, random_number(f, exp)), ref_box(f, random_number(f, other)));
    }
    check_environment();
}

/* ---- Fused operations ---- */

typedef struct FusedOp {
    const char *name;
    const FpuFormat *f;
    FusedFn *fn;
    bool negate_product, negate_addend;
} FusedOp;

static const FusedOp fused_ops[] = {
    { "fmadd.s", &fpu_single, rv_fpu_fmadd_s, false, false },
    { "fmsub.s", &fpu_single, rv_fpu_fmsub_s, false, true },
    { "fnmsub.s", &fpu_single, rv_fpu_fnmsub_s, true, false },
    { "fnmadd.s", &fpu_single, rv_fpu_fnmadd_s, true, true },
    { "fmadd.d", &fpu_double, rv_fpu_fmadd_d, false, false },
    { "fmsub.d", &fpu_double, rv_fpu_fmsub_d, false, true },
    { "fnmsub.d", &fpu_double, rv_fpu_fnmsub_d, true, false },
    { "fnmadd.d", &fpu_double, rv_fpu_fnmadd_d, true, true },
};

static void check_fused(const FusedOp *op, const uint64_t reg[3])
{
    const FpuFormat *f = op->f;
    uint64_t bare[3] = { ref_unbox(f, reg[0]), ref_unbox(f, reg[1]), ref_unbox(f, reg[2]) };
    Value a = decode(f, bare[0]);
    Value c = decode(f, bare[2]);
    Exact exact;

    a.neg ^= op->negate_product;
    c.neg ^= op->negate_addend;
    ref_fma(&exact, a, decode(f, bare[1]), c);
    for (unsigned rm = 0; rm < N_MODES; rm++) {
        Result want = ref_round(f, &exact, rm);
        Result boxed = { ref_box(f, want.bits), want.flags };
        uint32_t flags = 0;
        uint64_t got = op->fn(&flags, rm, reg[0], reg[1], reg[2]);

        check(op->name, rm, reg, got, flags, boxed);
        flags = RV_FFLAG_NX;
        got = op->fn(&flags, rm, reg[0], reg[1], reg[2]);
        boxed.flags |= RV_FFLAG_NX;
        check(op->name, rm, reg, got, flags, boxed);
        if (!op->negate_product && !op->negate_addend) {
            flags = 0;
            got = fpu_soft_fma(f, &flags, rm, bare[0], bare[1], bare[2]);
            check("soft fma", rm, reg, got, flags, want);
        }
    }
}

/* Every triple goes through one of the four operations; since the edges come in both signs, that
 * covers all. */
static void test_fused_edges(gconstpointer data)
{
    const FusedOp *ops = data;
    uint64_t edge[MAX_EDGES];
    unsigned n = edge_registers(ops->f, edge);
    unsigned which = 0;

    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j <= i; j++) {
            for (unsigned k = 0; k < n; k++) {
                const uint64_t reg[3] = { edge[i], edge[j], edge[k] };

                check_fused(&ops[which++ * 5 / 4 % 4], reg);
            }
        }
    }
    check_environment();
}

static void test_fused_random(gconstpointer data)
{
    const FusedOp *ops = data;
    const FpuFormat *f = ops->f;
    int max = (1 << f->exp_bits) - 2;
    int spread = 2 * f->frac_bits + 6;

    for (unsigned i = 0; i < 2 * N_RANDOM; i++) {
        int target[] = { random_between(-spread, 4), random_between(max - 2, max + 2),
                         random_between(0, max) };
        int product = target[random64() % 3];
        int a = random_between(0, max);
        uint64_t reg[3];

        reg[0] = ref_box(f, random_number(f, a));
        reg[1] = ref_box(f, random_number(f, product - a + bias(f)));
        reg[2] = ref_box(f, random_number(f, product + random_between(-spread, spread)));
        check_fused(&ops[i % 4], reg);
        /* The addend nearly cancels the rounded product. */
        uint32_t flags = 0;
        uint64_t near =
            fpu_soft_mul(f, &flags, RV_RM_RNE, ref_unbox(f, reg[0]), ref_unbox(f, reg[1]));
        reg[2] = ref_box(f, (near ^ bits_sign(f)) + random64() % 3);
        check_fused(&ops[i % 4], reg);
    }
    check_environment();
}

/* ---- Conversions between formats ---- */

typedef struct FormatOp {
    const char *name;
    const FpuFormat *from, *to;
    UnaryFn *fn;
} FormatOp;

static const FormatOp format_ops[] = {
    { "fcvt.s.d", &fpu_double, &fpu_single, rv_fpu_fcvt_s_d },
    { "fcvt.d.s", &fpu_single, &fpu_double, rv_fpu_fcvt_d_s },
    { "fcvt.s.h", &fpu_half, &fpu_single, rv_fpu_fcvt_s_h },
    { "fcvt.d.h", &fpu_half, &fpu_double, rv_fpu_fcvt_d_h },
    { "fcvt.h.s", &fpu_single, &fpu_half, rv_fpu_fcvt_h_s },
    { "fcvt.h.d", &fpu_double, &fpu_half, rv_fpu_fcvt_h_d },
};

static void check_format(const FormatOp *op, uint64_t reg)
{
    const uint64_t operand[3] = { reg };
    Value v = decode(op->from, ref_unbox(op->from, reg));
    Exact exact;

    exact_value(&exact, &v);
    for (unsigned rm = 0; rm < N_MODES; rm++) {
        Result want = ref_round(op->to, &exact, rm);
        uint32_t flags = 0;
        uint64_t got = op->fn(&flags, rm, reg);

        want.bits = ref_box(op->to, want.bits);
        check(op->name, rm, operand, got, flags, want);
        flags = RV_FFLAG_NX;
        got = op->fn(&flags, rm, reg);
        want.flags |= RV_FFLAG_NX;
        check(op->name, rm, operand, got, flags, want);
    }
}

/* All of half precision; edges; values about those that the narrower format has, and about its
 * limits. */
static void test_format(gconstpointer data)
{
    const FormatOp *op = data;
    uint64_t edge[MAX_EDGES];
    unsigned n = edge_registers(op->from, edge);
    int shift = bias(op->from) - bias(op->to);
    int to_max = (1 << op->to->exp_bits) - 2;

    for (unsigned i = 0; i < n; i++) {
        check_format(op, edge[i]);
    }
    if (op->from == &fpu_half) {
        for (unsigned i = 0; i < 0x10000; i++) {
            check_format(op, ref_box(&fpu_half, i));
        }
        return;
    }
    for (unsigned i = 0; i < 2 * N_RANDOM; i++) {
        int exp = random_between(shift - (int)op->to->frac_bits - 3, shift + to_max + 2);

        check_format(op, ref_box(op->from, random_number(op->from, exp)));
    }
    check_environment();
}

/* ---- Conversions to integers, rounding to integral values ---- */

typedef struct ToIntOp {
    const char *name;
    const FpuFormat *f;
    UnaryFn *fn;
    unsigned width;
    bool is_signed;
} ToIntOp;

static const ToIntOp to_int_ops[] = {
    { "fcvt.w.s", &fpu_single, rv_fpu_fcvt_w_s, 32, true },
    { "fcvt.w.d", &fpu_double, rv_fpu_fcvt_w_d, 32, true },
    { "fcvt.wu.s", &fpu_single, rv_fpu_fcvt_wu_s, 32, false },
    { "fcvt.wu.d", &fpu_double, rv_fpu_fcvt_wu_d, 32, false },
    { "fcvt.l.s", &fpu_single, rv_fpu_fcvt_l_s, 64, true },
    { "fcvt.l.d", &fpu_double, rv_fpu_fcvt_l_d, 64, true },
    { "fcvt.lu.s", &fpu_single, rv_fpu_fcvt_lu_s, 64, false },
    { "fcvt.lu.d", &fpu_double, rv_fpu_fcvt_lu_d, 64, false },
};

/* @v, a number or zero below 2^100, rounded to an integer. */
static S128 ref_integer(const Value *v, unsigned rm, bool *inexact)
{
    Big m;
    S128 integer;

    *inexact = false;
    if (v->kind == ZERO) {
        return 0;
    }
    big_set(&m, v->m, 0, 3);
    integer = v->e >= 0 ? (S128)v->m << v->e : (S128)round_at(&m, v->e, 0, v->neg, rm, inexact);
    return v->neg ? -integer : integer;
}

static bool is_huge(const Value *v)
{
    return v->kind == INF || (v->kind == NUMBER && length64(v->m) + v->e > 100);
}

static Result ref_to_int(const ToIntOp *op, const Value *v, unsigned rm)
{
    S128 max = ((S128)1 << (op->width - op->is_signed)) - 1;
    S128 min = op->is_signed ? -max - 1 : 0;
    bool inexact = false;
    S128 integer = is_nan(v) || (is_huge(v) && !v->neg) ? max + 1
                   : is_huge(v)                         ? min - 1
                                                        : ref_integer(v, rm, &inexact);
    Result r = { .flags = inexact ? RV_FFLAG_NX : 0 };

    if (integer < min || integer > max) {
        r.flags = RV_FFLAG_NV;
        integer = CLAMP(integer, min, max);
    }
    r.bits = op->width == 32 ? (uint64_t)(int32_t)integer : (uint64_t)integer;
    return r;
}

static void check_to_int(const ToIntOp *op, uint64_t reg)
{
    const uint64_t operand[3] = { reg };
    Value v = decode(op->f, ref_unbox(op->f, reg));

    for (unsigned rm = 0; rm < N_MODES; rm++) {
        uint32_t flags = 0;
        uint64_t got = op->fn(&flags, rm, reg);

        check(op->name, rm, operand, got, flags, ref_to_int(op, &v, rm));
    }
}

/* Calls @fn for edges, for numbers next to 0.5 steps and next to powers of two up to 2^66, and for
 * random ones. */
static void with_integral_operands(const FpuFormat *f, void (*fn)(gconstpointer data, uint64_t reg),
                                   gconstpointer data)
{
    uint64_t edge[MAX_EDGES];
    unsigned n = edge_registers(f, edge);

    for (unsigned i = 0; i < n; i++) {
        fn(data, edge[i]);
    }
    for (int exp = -3; exp <= 66; exp++) {
        for (int step = -40; step <= 40; step++) {
            uint64_t bits = ((uint64_t)(bias(f) + exp) << f->frac_bits) + step;
            uint64_t halves =
                ((uint64_t)(bias(f) + exp) << f->frac_bits) +
                ((uint64_t)(step + 40) << f->frac_bits >> CLAMP(exp + 2, 6, (int)f->frac_bits));

            fn(data, ref_box(f, bits));
            fn(data, ref_box(f, bits | bits_sign(f)));
            fn(data, ref_box(f, halves));
            fn(data, ref_box(f, halves | bits_sign(f)));
        }
    }
    for (unsigned i = 0; i < N_RANDOM; i++) {
        fn(data, ref_box(f, random_number(f, bias(f) + random_between(-4, 68))));
    }
    check_environment();
}

static void check_to_int_data(gconstpointer data, uint64_t reg)
{
    check_to_int(data, reg);
}

static void test_to_int(gconstpointer data)
{
    const ToIntOp *op = data;

    with_integral_operands(op->f, check_to_int_data, op);
}

static void check_fcvtmod(gconstpointer data, uint64_t reg)
{
    const uint64_t operand[3] = { reg };
    const ToIntOp *w = &to_int_ops[1];
    Value v = decode(&fpu_double, reg);
    Result want = ref_to_int(w, &v, RV_RM_RTZ);
    uint32_t flags = 0;
    uint64_t got = rv_fpu_fcvtmod_w_d(&flags, reg);
    bool ignored;

    want.bits = 0;
    if (!is_nan(&v) && !is_huge(&v)) {
        want.bits = (int32_t)ref_integer(&v, RV_RM_RTZ, &ignored);
    }
    check("fcvtmod.w.d", RV_RM_RTZ, operand, got, flags, want);
}

static void test_fcvtmod(void)
{
    static const struct {
        double value;
        int64_t result;
        uint32_t flags;
    } rows[] = {
        { 0.0, 0, 0 },
        { -0.0, 0, 0 },
        { 1.5, 1, RV_FFLAG_NX },
        { -1.5, -1, RV_FFLAG_NX },
        { 0x1p31, INT32_MIN, RV_FFLAG_NV },
        { -0x1p31, INT32_MIN, 0 },
        { -0x1p31 - 0.5, INT32_MIN, RV_FFLAG_NX },
        { 0x1p31 - 0.5, INT32_MAX, RV_FFLAG_NX },
        { 0x1p32, 0, RV_FFLAG_NV },
        { 0x1p32 + 5.75, 5, RV_FFLAG_NV },
        { -0x1p32 - 5.75, -5, RV_FFLAG_NV },
        { 0x1p52 + 0x1p31, INT32_MIN, RV_FFLAG_NV },
        { 0x1p83 + 0x1p31, INT32_MIN, RV_FFLAG_NV },
        { 0x1p84, 0, RV_FFLAG_NV },
        { INFINITY, 0, RV_FFLAG_NV },
        { -INFINITY, 0, RV_FFLAG_NV },
        { NAN, 0, RV_FFLAG_NV },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint32_t flags = 0;
        uint64_t got = rv_fpu_fcvtmod_w_d(&flags, double_to_bits(rows[i].value));

        g_assert_cmphex(got, ==, (uint64_t)rows[i].result);
        g_assert_cmphex(flags, ==, rows[i].flags);
    }
    with_integral_operands(&fpu_double, check_fcvtmod, NULL);
}

typedef struct RoundOp {
    const char *name;
    const FpuFormat *f;
    UnaryFn *fn;
    bool exact_flag;
} RoundOp;

static const RoundOp round_ops[] = {
    { "fround.s", &fpu_single, rv_fpu_fround_s, false },
    { "froundnx.s", &fpu_single, rv_fpu_froundnx_s, true },
    { "fround.d", &fpu_double, rv_fpu_fround_d, false },
    { "froundnx.d", &fpu_double, rv_fpu_froundnx_d, true },
};

static void check_round(gconstpointer data, uint64_t reg)
{
    const RoundOp *op = data;
    const uint64_t operand[3] = { reg };
    Value v = decode(op->f, ref_unbox(op->f, reg));

    for (unsigned rm = 0; rm < N_MODES; rm++) {
        Exact exact;
        Result want;
        uint32_t flags = 0;
        uint64_t got = op->fn(&flags, rm, reg);
        bool inexact = false;

        exact_value(&exact, &v);
        if (v.kind == NUMBER && !is_huge(&v)) {
            S128 integer = ref_integer(&v, rm, &inexact);

            exact_number(&exact, v.neg, v.neg ? -integer : integer, 0);
        }
        want = ref_round(op->f, &exact, RV_RM_RNE);
        want.bits = ref_box(op->f, want.bits);
        want.flags |= inexact && op->exact_flag ? RV_FFLAG_NX : 0;
        check(op->name, rm, operand, got, flags, want);
    }
}

static void test_round(gconstpointer data)
{
    const RoundOp *op = data;

    with_integral_operands(op->f, check_round, op);
}

/* ---- Conversions from integers ---- */

typedef struct FromIntOp {
    const char *name;
    const FpuFormat *f;
    UnaryFn *fn;
    unsigned width;
    bool is_signed;
} FromIntOp;

static const FromIntOp from_int_ops[] = {
    { "fcvt.s.w", &fpu_single, rv_fpu_fcvt_s_w, 32, true },
    { "fcvt.d.w", &fpu_double, rv_fpu_fcvt_d_w, 32, true },
    { "fcvt.s.wu", &fpu_single, rv_fpu_fcvt_s_wu, 32, false },
    { "fcvt.d.wu", &fpu_double, rv_fpu_fcvt_d_wu, 32, false },
    { "fcvt.s.l", &fpu_single, rv_fpu_fcvt_s_l, 64, true },
    { "fcvt.d.l", &fpu_double, rv_fpu_fcvt_d_l, 64, true },
    { "fcvt.s.lu", &fpu_single, rv_fpu_fcvt_s_lu, 64, false },
    { "fcvt.d.lu", &fpu_double, rv_fpu_fcvt_d_lu, 64, false },
};

static void check_from_int(const FromIntOp *op, uint64_t x)
{
    const uint64_t operand[3] = { x };
    S128 value = op->width == 32 ? (op->is_signed ? (S128)(int32_t)x : (S128)(uint32_t)x)
                                 : (op->is_signed ? (S128)(int64_t)x : (S128)x);
    Exact exact;

    exact_number(&exact, value < 0, value < 0 ? -value : value, 0);
    for (unsigned rm = 0; rm < N_MODES; rm++) {
        Result want = ref_round(op->f, &exact, rm);
        uint32_t flags = 0;
        uint64_t got = op->fn(&flags, rm, x);

        want.bits = ref_box(op->f, want.bits);
        check(op->name, rm, operand, got, flags, want);
    }
}

static void test_from_int(gconstpointer data)
{
    for (unsigned i = 0; i < 64; i++) {
        for (int step = -3; step <= 3; step++) {
            for (unsigned k = 0; k < 64; k++) {
                check_from_int(data, (1ull << i) + (1ull << k) + step);
                check_from_int(data, -(1ull << i) - (1ull << k) + step);
            }
        }
    }
    for (unsigned i = 0; i < N_RANDOM; i++) {
        check_from_int(data, (random_fraction() >> random64() % 64) ^ -(random64() & 1));
    }
    check_environment();
}

/* ---- Comparisons, minimum, maximum, sign injection, classification ---- */

/* Equal for the two zeros, ascending with the numbers. */
static int64_t order_key(const FpuFormat *f, uint64_t bits)
{
    int64_t absolute = bits & ~bits_sign(f);

    return bits & bits_sign(f) ? -absolute : absolute;
}

typedef uint64_t CompareFn(uint32_t *fflags, uint64_t a, uint64_t b);

typedef struct CompareOp {
    const char *name;
    const FpuFormat *f;
    CompareFn *fn;
    char relation;  /* '=', '<', '[' for at most; 'm' minimum, 'M' maximum */
    bool signaling; /* m, M: any NaN makes the result a NaN */
} CompareOp;

static const CompareOp compare_ops[] = {
    { "feq.s", &fpu_single, rv_fpu_feq_s, '=', false },
    { "feq.d", &fpu_double, rv_fpu_feq_d, '=', false },
    { "flt.s", &fpu_single, rv_fpu_flt_s, '<', true },
    { "flt.d", &fpu_double, rv_fpu_flt_d, '<', true },
    { "fle.s", &fpu_single, rv_fpu_fle_s, '[', true },
    { "fle.d", &fpu_double, rv_fpu_fle_d, '[', true },
    { "fltq.s", &fpu_single, rv_fpu_fltq_s, '<', false },
    { "fltq.d", &fpu_double, rv_fpu_fltq_d, '<', false },
    { "fleq.s", &fpu_single, rv_fpu_fleq_s, '[', false },
    { "fleq.d", &fpu_double, rv_fpu_fleq_d, '[', false },
    { "fmin.s", &fpu_single, rv_fpu_fmin_s, 'm', false },
    { "fmin.d", &fpu_double, rv_fpu_fmin_d, 'm', false },
    { "fmax.s", &fpu_single, rv_fpu_fmax_s, 'M', false },
    { "fmax.d", &fpu_double, rv_fpu_fmax_d, 'M', false },
    { "fminm.s", &fpu_single, rv_fpu_fminm_s, 'm', true },
    { "fminm.d", &fpu_double, rv_fpu_fminm_d, 'm', true },
    { "fmaxm.s", &fpu_single, rv_fpu_fmaxm_s, 'M', true },
    { "fmaxm.d", &fpu_double, rv_fpu_fmaxm_d, 'M', true },
};

static Result ref_minmax(const CompareOp *op, uint64_t a, uint64_t b)
{
    const FpuFormat *f = op->f;
    Value x = decode(f, a);
    Value y = decode(f, b);
    int64_t x_key = order_key(f, a);
    int64_t y_key = order_key(f, b);
    bool a_least = x_key < y_key || (x_key == y_key && x.neg);
    Result r = { .flags = x.kind == SNAN || y.kind == SNAN ? RV_FFLAG_NV : 0 };

    if ((is_nan(&x) && is_nan(&y)) || ((is_nan(&x) || is_nan(&y)) && op->signaling)) {
        r.bits = bits_nan(f);
    } else if (is_nan(&x) || is_nan(&y)) {
        r.bits = is_nan(&x) ? b : a;
    } else {
        r.bits = a_least == (op->relation == 'm') ? a : b;
    }
    r.bits = ref_box(f, r.bits);
    return r;
}

static Result ref_compare(const CompareOp *op, uint64_t a, uint64_t b)
{
    Value x = decode(op->f, a);
    Value y = decode(op->f, b);
    int64_t x_key = order_key(op->f, a);
    int64_t y_key = order_key(op->f, b);
    Result r = { .flags = x.kind == SNAN || y.kind == SNAN ? RV_FFLAG_NV : 0 };

    if (is_nan(&x) || is_nan(&y)) {
        r.flags |= op->signaling ? RV_FFLAG_NV : 0;
    } else {
        r.bits = op->relation == '='   ? x_key == y_key
                 : op->relation == '<' ? x_key < y_key
                                       : x_key <= y_key;
    }
    return r;
}

static void test_compare(gconstpointer data)
{
    const CompareOp *op = data;
    bool minmax = op->relation == 'm' || op->relation == 'M';
    uint64_t edge[MAX_EDGES];
    unsigned n = edge_registers(op->f, edge);

    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < n; k++) {
            const uint64_t reg[3] = { edge[i], edge[k] };
            uint64_t a = ref_unbox(op->f, edge[i]);
            uint64_t b = ref_unbox(op->f, edge[k]);
            uint32_t flags = 0;
            uint64_t got = op->fn(&flags, edge[i], edge[k]);

            check(op->name, 0, reg, got, flags,
                  minmax ? ref_minmax(op, a, b) : ref_compare(op, a, b));
        }
    }
}

static void test_minmax_zero(void)
{
    uint64_t zero = 0;
    uint64_t minus = D_SIGN;
    uint32_t flags = 0;

    g_assert_cmphex(rv_fpu_fmin_d(&flags, minus, zero), ==, minus);
    g_assert_cmphex(rv_fpu_fmin_d(&flags, zero, minus), ==, minus);
    g_assert_cmphex(rv_fpu_fmax_d(&flags, minus, zero), ==, zero);
    g_assert_cmphex(rv_fpu_fmax_d(&flags, zero, minus), ==, zero);
    g_assert_cmphex(rv_fpu_fmin_s(&flags, box_s(0), box_s(S_SIGN)), ==, box_s(S_SIGN));
    g_assert_cmphex(rv_fpu_fmax_s(&flags, box_s(S_SIGN), box_s(0)), ==, box_s(0));
    g_assert_cmphex(flags, ==, 0);
    /* A signaling NaN sets NV though the result is the number; a quiet one does not. */
    g_assert_cmphex(rv_fpu_fmin_d(&flags, D_NAN + 1, 1), ==, 1);
    g_assert_cmphex(flags, ==, 0);
    g_assert_cmphex(rv_fpu_fmin_d(&flags, D_INF + 1, 1), ==, 1);
    g_assert_cmphex(flags, ==, RV_FFLAG_NV);
}

static void test_sign_injection(void)
{
    const uint64_t payload = 0x7ff0000000000123u;

    g_assert_cmphex(rv_fpu_fsgnj_d(payload, D_SIGN), ==, payload | D_SIGN);
    g_assert_cmphex(rv_fpu_fsgnjn_d(payload, D_SIGN), ==, payload);
    g_assert_cmphex(rv_fpu_fsgnjx_d(payload | D_SIGN, D_SIGN), ==, payload);
    g_assert_cmphex(rv_fpu_fsgnj_s(box_s(0x7f800123), box_s(S_SIGN)), ==, box_s(0xff800123));
    g_assert_cmphex(rv_fpu_fsgnjn_s(box_s(0x7f800123), box_s(S_SIGN)), ==, box_s(0x7f800123));
    g_assert_cmphex(rv_fpu_fsgnjx_s(box_s(0xff800123), box_s(S_SIGN)), ==, box_s(0x7f800123));
    /* Operands that are not boxed count as the canonical, positive NaN. */
    g_assert_cmphex(rv_fpu_fsgnj_s(box_s(0xbf800000), 0xbf800000), ==, box_s(0x3f800000));
    g_assert_cmphex(rv_fpu_fsgnjn_s(0x3f800000, 0x3f800000), ==, box_s(0xffc00000));
    g_assert_cmphex(rv_fpu_fsgnjx_s(0xbf800000, box_s(S_SIGN)), ==, box_s(0xffc00000));
}

static void test_classify(void)
{
    static const struct {
        uint32_t single;
        uint64_t wide;
        unsigned bit;
    } rows[] = {
        { 0xff800000, 0xfff0000000000000, 0 }, { 0xff7fffff, 0xffefffffffffffff, 1 },
        { 0xbf800000, 0xbff0000000000000, 1 }, { 0x80800000, 0x8010000000000000, 1 },
        { 0x807fffff, 0x800fffffffffffff, 2 }, { 0x80000001, 0x8000000000000001, 2 },
        { 0x80000000, 0x8000000000000000, 3 }, { 0x00000000, 0x0000000000000000, 4 },
        { 0x00000001, 0x0000000000000001, 5 }, { 0x007fffff, 0x000fffffffffffff, 5 },
        { 0x00800000, 0x0010000000000000, 6 }, { 0x7f7fffff, 0x7fefffffffffffff, 6 },
        { 0x7f800000, 0x7ff0000000000000, 7 }, { 0x7f800001, 0x7ff0000000000001, 8 },
        { 0xffbfffff, 0xfff7ffffffffffff, 8 }, { 0x7fc00000, 0x7ff8000000000000, 9 },
        { 0xffffffff, 0xffffffffffffffff, 9 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_assert_cmphex(rv_fpu_fclass_s(box_s(rows[i].single)), ==, 1u << rows[i].bit);
        g_assert_cmphex(rv_fpu_fclass_d(rows[i].wide), ==, 1u << rows[i].bit);
    }
    g_assert_cmphex(rv_fpu_fclass_s(0x3f800000), ==, 1 << 9);
}

/* ---- Vectors written from the manual ---- */

/* F extension, table "Domains of float-to-integer conversions". */
static void test_domain_table(void)
{
    static const struct {
        uint32_t operand;
        uint64_t w, wu, l, lu;
    } rows[] = {
        { 0xff7fffff, 0xffffffff80000000, 0, 0x8000000000000000, 0 }, /* out of range, negative */
        { 0xff800000, 0xffffffff80000000, 0, 0x8000000000000000, 0 }, /* -inf */
        { 0x7f7fffff, 0x7fffffff, UINT64_MAX, 0x7fffffffffffffff,
          UINT64_MAX }, /* out of range, positive */
        { 0x7f800000, 0x7fffffff, UINT64_MAX, 0x7fffffffffffffff, UINT64_MAX }, /* +inf */
        { 0x7fc00000, 0x7fffffff, UINT64_MAX, 0x7fffffffffffffff, UINT64_MAX }, /* NaN */
        { 0xffc00000, 0x7fffffff, UINT64_MAX, 0x7fffffffffffffff, UINT64_MAX }, /* NaN with sign */
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        for (unsigned rm = 0; rm < N_MODES; rm++) {
            uint64_t reg = box_s(rows[i].operand);
            uint32_t flags[4] = { 0 };

            g_assert_cmphex(rv_fpu_fcvt_w_s(&flags[0], rm, reg), ==, rows[i].w);
            g_assert_cmphex(rv_fpu_fcvt_wu_s(&flags[1], rm, reg), ==, rows[i].wu);
            g_assert_cmphex(rv_fpu_fcvt_l_s(&flags[2], rm, reg), ==, rows[i].l);
            g_assert_cmphex(rv_fpu_fcvt_lu_s(&flags[3], rm, reg), ==, rows[i].lu);
            for (unsigned k = 0; k < 4; k++) {
                g_assert_cmphex(flags[k], ==, RV_FFLAG_NV);
            }
        }
    }
}

static void test_limits(void)
{
    static const struct {
        UnaryFn *fn;
        unsigned rm;
        double operand;
        uint64_t result;
        uint32_t flags;
    } rows[] = {
        { rv_fpu_fcvt_wu_d, RV_RM_RTZ, -0.9, 0, RV_FFLAG_NX },
        { rv_fpu_fcvt_wu_d, RV_RM_RDN, -0.1, 0, RV_FFLAG_NV },
        { rv_fpu_fcvt_wu_d, RV_RM_RNE, -0.5, 0, RV_FFLAG_NX },
        { rv_fpu_fcvt_wu_d, RV_RM_RMM, -0.5, 0, RV_FFLAG_NV },
        { rv_fpu_fcvt_wu_d, RV_RM_RNE, 3e9, 0xffffffffb2d05e00, 0 },
        { rv_fpu_fcvt_wu_d, RV_RM_RUP, 4294967294.5, UINT64_MAX, RV_FFLAG_NX },
        { rv_fpu_fcvt_wu_d, RV_RM_RNE, 4294967295.5, UINT64_MAX, RV_FFLAG_NV },
        { rv_fpu_fcvt_wu_d, RV_RM_RTZ, 4294967295.5, UINT64_MAX, RV_FFLAG_NX },
        { rv_fpu_fcvt_w_d, RV_RM_RNE, 2147483647.5, 0x7fffffff, RV_FFLAG_NV },
        { rv_fpu_fcvt_w_d, RV_RM_RTZ, 2147483647.5, 0x7fffffff, RV_FFLAG_NX },
        { rv_fpu_fcvt_w_d, RV_RM_RNE, -2147483648.5, 0xffffffff80000000, RV_FFLAG_NX },
        { rv_fpu_fcvt_w_d, RV_RM_RMM, -2147483648.5, 0xffffffff80000000, RV_FFLAG_NV },
        { rv_fpu_fcvt_l_d, RV_RM_RNE, -0x1p63, 0x8000000000000000, 0 },
        { rv_fpu_fcvt_l_d, RV_RM_RNE, 0x1p63, 0x7fffffffffffffff, RV_FFLAG_NV },
        { rv_fpu_fcvt_lu_d, RV_RM_RNE, 0x1p63, 0x8000000000000000, 0 },
        { rv_fpu_fcvt_lu_d, RV_RM_RNE, 0x1.fffffffffffffp63, 0xfffffffffffff800, 0 },
        { rv_fpu_fcvt_lu_d, RV_RM_RNE, 0x1p64, UINT64_MAX, RV_FFLAG_NV },
        { rv_fpu_fcvt_lu_d, RV_RM_RNE, -1, 0, RV_FFLAG_NV },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint32_t flags = 0;

        g_assert_cmphex(rows[i].fn(&flags, rows[i].rm, double_to_bits(rows[i].operand)), ==,
                        rows[i].result);
        g_assert_cmphex(flags, ==, rows[i].flags);
    }
}

static void test_fround_vectors(void)
{
    static const struct {
        double operand;
        double by_mode[N_MODES]; /* RNE RTZ RDN RUP RMM */
        bool inexact;
    } rows[] = {
        { 2.5, { 2, 2, 2, 3, 3 }, true },
        { -2.5, { -2, -2, -3, -2, -3 }, true },
        { 3.5, { 4, 3, 3, 4, 4 }, true },
        { 0.3, { 0, 0, 0, 1, 0 }, true },
        { -0.3, { -0.0, -0.0, -1, -0.0, -0.0 }, true },
        { -0.5, { -0.0, -0.0, -1, -0.0, -1 }, true },
        { -0.0, { -0.0, -0.0, -0.0, -0.0, -0.0 }, false },
        { 0x1p52 - 0.5, { 0x1p52, 0x1p52 - 1, 0x1p52 - 1, 0x1p52, 0x1p52 }, true },
        { 0x1p60, { 0x1p60, 0x1p60, 0x1p60, 0x1p60, 0x1p60 }, false },
        { INFINITY, { INFINITY, INFINITY, INFINITY, INFINITY, INFINITY }, false },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        for (unsigned rm = 0; rm < N_MODES; rm++) {
            uint64_t operand = double_to_bits(rows[i].operand);
            uint64_t want = double_to_bits(rows[i].by_mode[rm]);
            uint32_t flags = 0;

            g_assert_cmphex(rv_fpu_fround_d(&flags, rm, operand), ==, want);
            g_assert_cmphex(flags, ==, 0);
            g_assert_cmphex(rv_fpu_froundnx_d(&flags, rm, operand), ==, want);
            g_assert_cmphex(flags, ==, rows[i].inexact ? RV_FFLAG_NX : 0);
        }
    }
}

/* Zfa, table "Immediate values loaded by the FLI.S instruction", and its double-precision analogue.
 */
static void test_fli(void)
{
    static const double values[32] = {
        [0] = -1,     [2] = 0x1p-16, [3] = 0x1p-15, [4] = 0x1p-8,  [5] = 0x1p-7,  [6] = 0.0625,
        [7] = 0.125,  [8] = 0.25,    [9] = 0.3125,  [10] = 0.375,  [11] = 0.4375, [12] = 0.5,
        [13] = 0.625, [14] = 0.75,   [15] = 0.875,  [16] = 1,      [17] = 1.25,   [18] = 1.5,
        [19] = 1.75,  [20] = 2,      [21] = 2.5,    [22] = 3,      [23] = 4,      [24] = 8,
        [25] = 16,    [26] = 128,    [27] = 256,    [28] = 0x1p15, [29] = 0x1p16, [30] = INFINITY,
    };

    for (unsigned i = 0; i < 31; i++) {
        if (i != 1) {
            g_assert_cmphex(rv_fpu_fli_d(i), ==, double_to_bits(values[i]));
            g_assert_cmphex(rv_fpu_fli_s(i), ==, box_s(float_to_bits(values[i])));
        }
    }
    g_assert_cmphex(rv_fpu_fli_d(1), ==, double_to_bits(0x1p-1022));
    g_assert_cmphex(rv_fpu_fli_s(1), ==, box_s(float_to_bits(0x1p-126f)));
    g_assert_cmphex(rv_fpu_fli_d(31), ==, D_NAN);
    g_assert_cmphex(rv_fpu_fli_s(31), ==, box_s(S_NAN));
}

/* "must set the invalid operation exception flag when the multiplicands are inf and zero, even when
 * the addend is a quiet NaN" */
static void test_fused_invalid(void)
{
    uint32_t flags = 0;

    g_assert_cmphex(rv_fpu_fmadd_d(&flags, 0, D_INF, 0, D_NAN + 3), ==, D_NAN);
    g_assert_cmphex(flags, ==, RV_FFLAG_NV);
    flags = 0;
    g_assert_cmphex(rv_fpu_fnmadd_s(&flags, 0, box_s(0), box_s(S_INF), 0x1234), ==, box_s(S_NAN));
    g_assert_cmphex(flags, ==, RV_FFLAG_NV);
}

/* fflags is ORed to: bits of the caller's are kept. */
static void test_flags_accrue(void)
{
    uint32_t flags = RV_FFLAG_DZ | 0xe0;

    g_assert_cmphex(rv_fpu_fdiv_d(&flags, 0, double_to_bits(1), double_to_bits(3)), ==,
                    0x3fd5555555555555);
    g_assert_cmphex(flags, ==, RV_FFLAG_NX | RV_FFLAG_DZ | 0xe0);
}

static void add_each(const char *kind, const char *name, gconstpointer op, GTestDataFunc fn)
{
    g_autofree char *path = g_strdup_printf("/riscv/fpu/%s/%s", kind, name);

    g_test_add_data_func(path, op, fn);
}

static void add_tables(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(binary_ops); i++) {
        add_each("edges", binary_ops[i].name, &binary_ops[i], test_binary_edges);
        add_each("random", binary_ops[i].name, &binary_ops[i], test_binary_random);
    }
    add_each("edges", "fused.s", &fused_ops[0], test_fused_edges);
    add_each("random", "fused.s", &fused_ops[0], test_fused_random);
    add_each("edges", "fused.d", &fused_ops[4], test_fused_edges);
    add_each("random", "fused.d", &fused_ops[4], test_fused_random);
    for (unsigned i = 0; i < G_N_ELEMENTS(format_ops); i++) {
        add_each("format", format_ops[i].name, &format_ops[i], test_format);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(to_int_ops); i++) {
        add_each("to-int", to_int_ops[i].name, &to_int_ops[i], test_to_int);
        add_each("from-int", from_int_ops[i].name, &from_int_ops[i], test_from_int);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(round_ops); i++) {
        add_each("round", round_ops[i].name, &round_ops[i], test_round);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(compare_ops); i++) {
        add_each("compare", compare_ops[i].name, &compare_ops[i], test_compare);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    random_state = 0x9e3779b97f4a7c15u;
    add_tables();
    g_test_add_func("/riscv/fpu/fcvtmod", test_fcvtmod);
    g_test_add_func("/riscv/fpu/minmax-zero", test_minmax_zero);
    g_test_add_func("/riscv/fpu/sign-injection", test_sign_injection);
    g_test_add_func("/riscv/fpu/classify", test_classify);
    g_test_add_func("/riscv/fpu/domain-table", test_domain_table);
    g_test_add_func("/riscv/fpu/limits", test_limits);
    g_test_add_func("/riscv/fpu/fround-vectors", test_fround_vectors);
    g_test_add_func("/riscv/fpu/fli", test_fli);
    g_test_add_func("/riscv/fpu/fused-invalid", test_fused_invalid);
    g_test_add_func("/riscv/fpu/flags-accrue", test_flags_accrue);
    return g_test_run();
}
