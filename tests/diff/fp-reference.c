/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floating-point instructions in integers (fp-reference.h), straight from the manual's F, D, Zfa and Zfhmin chapters.
 */
#include "tests/diff/fp-reference.h"
#include <glib.h>

typedef unsigned __int128 U128;

/* ---- Formats ---- */

static unsigned width(const FpuFormat *f)
{
    return 1 + f->exp_bits + f->frac_bits;
}

static uint64_t sign_bit(const FpuFormat *f)
{
    return 1ull << (width(f) - 1);
}

static uint64_t infinity(const FpuFormat *f)
{
    return ((1ull << f->exp_bits) - 1) << f->frac_bits;
}

static uint64_t canonical_nan(const FpuFormat *f)
{
    return infinity(f) | 1ull << (f->frac_bits - 1);
}

static uint64_t box(const FpuFormat *f, uint64_t bits)
{
    return width(f) == 64 ? bits : bits | ~0ull << width(f);
}

static uint64_t unbox(const FpuFormat *f, uint64_t reg)
{
    uint64_t bits = width(f) == 64 ? reg : reg & ((1ull << width(f)) - 1);

    return box(f, bits) == reg ? bits : canonical_nan(f);
}

static bool is_nan(const FpuFormat *f, uint64_t bits)
{
    return (bits & ~sign_bit(f)) > infinity(f);
}

static bool is_signaling(const FpuFormat *f, uint64_t bits)
{
    return is_nan(f, bits) && !(bits >> (f->frac_bits - 1) & 1);
}

/* The value of finite @bits is *significand * 2^result. */
static int take_apart(const FpuFormat *f, uint64_t bits, uint64_t *significand)
{
    int bias = (1 << (f->exp_bits - 1)) - 1;
    int exp = (int)(bits >> f->frac_bits & ((1u << f->exp_bits) - 1));

    *significand = bits & ((1ull << f->frac_bits) - 1);
    if (exp) {
        *significand |= 1ull << f->frac_bits;
    }
    return (exp ? exp : 1) - bias - (int)f->frac_bits;
}

/* Numbers in their order, -0 before +0. */
static int64_t order(const FpuFormat *f, uint64_t bits)
{
    uint64_t magnitude = bits & ~sign_bit(f);

    return bits & sign_bit(f) ? -(int64_t)magnitude - 1 : (int64_t)magnitude;
}

/* ---- To integers ---- */

/* The magnitude of finite @bits rounded to an integer, at most 2^100. */
static U128 integer_of(const FpuFormat *f, uint64_t bits, unsigned rm, bool *inexact)
{
    bool negative = bits & sign_bit(f), up;
    uint64_t significand, whole = 0, rest, half;
    int exp = take_apart(f, bits, &significand);

    *inexact = false;
    if (exp >= 0) {
        return exp > 47 && significand ? (U128)1 << 100 : (U128)significand << MIN(exp, 47);
    }
    if (exp <= -62) { /* far less than a half */
        rest = significand != 0;
        half = 2;
    } else {
        whole = significand >> -exp;
        rest = significand & ((1ull << -exp) - 1);
        half = 1ull << (-exp - 1);
    }
    *inexact = rest != 0;
    switch (rm) {
    case RV_RM_RNE:
        up = rest > half || (rest == half && whole & 1);
        break;
    case RV_RM_RDN:
        up = negative && rest;
        break;
    case RV_RM_RUP:
        up = !negative && rest;
        break;
    case RV_RM_RMM:
        up = rest >= half;
        break;
    default:
        up = false;
        break;
    }
    return (U128)whole + up;
}

static uint64_t extend(const FpOp *op, uint64_t value)
{
    return op->int_bits == 32 ? (uint64_t)(int32_t)value : value;
}

static uint64_t to_int(const FpOp *op, unsigned rm, uint64_t bits, uint32_t *fflags)
{
    const FpuFormat *f = op->from;
    bool negative = bits & sign_bit(f) && !is_nan(f, bits), inexact = false;
    uint64_t max = op->int_signed ? (1ull << (op->int_bits - 1)) - 1 : ~0ull >> (64 - op->int_bits);
    uint64_t min = op->int_signed ? max + 1 : 0; /* its magnitude */
    U128 value = (U128)1 << 100;

    if ((bits & ~sign_bit(f)) < infinity(f)) {
        value = integer_of(f, bits, rm, &inexact);
    }
    if (value > (negative ? min : max)) {
        *fflags |= RV_FFLAG_NV;
        return extend(op, negative ? -min : max);
    }
    *fflags |= inexact ? RV_FFLAG_NX : 0;
    return extend(op, negative ? -(uint64_t)value : (uint64_t)value);
}

/* fcvtmod.w.d */
static uint64_t modular(uint64_t bits, uint32_t *fflags)
{
    const FpuFormat *f = &fpu_double;
    bool negative = bits & sign_bit(f), inexact;
    uint64_t significand;
    int exp = take_apart(f, bits, &significand);
    U128 value;
    uint32_t low;

    if ((bits & ~sign_bit(f)) >= infinity(f)) {
        *fflags |= RV_FFLAG_NV;
        return 0;
    }
    value = integer_of(f, bits, RV_RM_RTZ, &inexact);
    low = exp > 47 ? 0 : (uint32_t)value;
    if (value > 0x7fffffffu + (U128)negative) {
        *fflags |= RV_FFLAG_NV;
    } else if (inexact) {
        *fflags |= RV_FFLAG_NX;
    }
    return (uint64_t)(int32_t)(negative ? -low : low);
}

static uint64_t round_to_int(const FpOp *op, unsigned rm, uint64_t bits, uint32_t *fflags)
{
    const FpuFormat *f = op->from;
    uint64_t significand;
    bool inexact;
    U128 value;

    if (is_nan(f, bits)) {
        *fflags |= is_signaling(f, bits) ? RV_FFLAG_NV : 0;
        return canonical_nan(f);
    }
    if (bits << (64 - width(f)) << 1 == infinity(f) << (64 - width(f)) << 1 ||
        take_apart(f, bits, &significand) >= 0) {
        return bits;
    }
    value = integer_of(f, bits, rm, &inexact);
    *fflags |= inexact && op->inexact ? RV_FFLAG_NX : 0;
    if (!value) {
        return bits & sign_bit(f);
    }
    return fpu_soft_from_int(f, fflags, rm, bits & sign_bit(f), (uint64_t)value);
}

static uint64_t from_int(const FpOp *op, unsigned rm, uint64_t x, uint32_t *fflags)
{
    int64_t value = op->int_bits == 32
                        ? (op->int_signed ? (int64_t)(int32_t)x : (int64_t)(uint32_t)x)
                        : (int64_t)x;
    bool negative = op->int_signed && value < 0;

    return fpu_soft_from_int(op->to, fflags, rm, negative,
                             negative ? -(uint64_t)value : (uint64_t)value);
}

/* ---- Comparisons, bits ---- */

static uint64_t min_max(const FpOp *op, uint64_t a, uint64_t b, uint32_t *fflags)
{
    const FpuFormat *f = op->from;

    *fflags |= is_signaling(f, a) || is_signaling(f, b) ? RV_FFLAG_NV : 0;
    if (is_nan(f, a) || is_nan(f, b)) {
        if (op->nan_wins || (is_nan(f, a) && is_nan(f, b))) {
            return canonical_nan(f);
        }
        return is_nan(f, a) ? b : a;
    }
    return (order(f, a) < order(f, b)) != op->want_max ? a : b;
}

static uint64_t compare(const FpOp *op, uint64_t a, uint64_t b, uint32_t *fflags)
{
    const FpuFormat *f = op->from;
    bool zeros = !((a | b) & ~sign_bit(f));

    if (is_nan(f, a) || is_nan(f, b)) {
        *fflags |= !op->quiet || is_signaling(f, a) || is_signaling(f, b) ? RV_FFLAG_NV : 0;
        return 0;
    }
    if (a == b || zeros) {
        return op->equal;
    }
    return op->less && order(f, a) < order(f, b);
}

static uint64_t class_of(const FpuFormat *f, uint64_t bits)
{
    uint64_t magnitude = bits & ~sign_bit(f);
    unsigned n;

    if (is_nan(f, bits)) {
        return is_signaling(f, bits) ? 1 << 8 : 1 << 9;
    }
    n = magnitude == infinity(f) ? 3 : magnitude >> f->frac_bits ? 2 : magnitude ? 1 : 0;
    return bits & sign_bit(f) ? 1u << (3 - n) : 1u << (4 + n);
}

static uint64_t with_sign(const FpOp *op, uint64_t a, uint64_t b)
{
    uint64_t sign = sign_bit(op->from);

    switch (op->sign) {
    case 'n':
        return (a & ~sign) | (~b & sign);
    case 'x':
        return a ^ (b & sign);
    default:
        return (a & ~sign) | (b & sign);
    }
}

/* ---- All ---- */

static uint64_t fused(const FpOp *op, unsigned rm, const uint64_t a[3], uint32_t *fflags)
{
    uint64_t sign = sign_bit(op->from);

    return fpu_soft_fma(op->to, fflags, rm, op->neg_product ? a[0] ^ sign : a[0], a[1],
                        op->neg_addend ? a[2] ^ sign : a[2]);
}

static uint64_t compute(const FpOp *op, unsigned rm, const uint64_t a[3], uint32_t *fflags)
{
    const FpuFormat *f = op->to;

    switch (op->kind) {
    case FP_ADD:
        return fpu_soft_add(f, fflags, rm, a[0], a[1]);
    case FP_SUB:
        return fpu_soft_add(f, fflags, rm, a[0], a[1] ^ sign_bit(f));
    case FP_MUL:
        return fpu_soft_mul(f, fflags, rm, a[0], a[1]);
    case FP_DIV:
        return fpu_soft_div(f, fflags, rm, a[0], a[1]);
    case FP_SQRT:
        return fpu_soft_sqrt(f, fflags, rm, a[0]);
    case FP_FUSED:
        return fused(op, rm, a, fflags);
    case FP_CONVERT:
        return fpu_soft_convert(op->from, f, fflags, rm, a[0]);
    case FP_TO_INT:
        return to_int(op, rm, a[0], fflags);
    case FP_FROM_INT:
        return from_int(op, rm, a[0], fflags);
    case FP_MODULAR:
        return modular(a[0], fflags);
    case FP_ROUND:
        return round_to_int(op, rm, a[0], fflags);
    case FP_MIN_MAX:
        return min_max(op, a[0], a[1], fflags);
    case FP_COMPARE:
        return compare(op, a[0], a[1], fflags);
    case FP_SIGN:
        return with_sign(op, a[0], a[1]);
    case FP_CLASS:
        return class_of(op->from, a[0]);
    case FP_MOVE:
        return op->int_bits == 64
                   ? a[0]
                   : (uint64_t)((int64_t)(a[0] << (64 - op->int_bits)) >> (64 - op->int_bits));
    default: /* FP_MOVE_BOXED */
        return a[0] & (~0ull >> (64 - op->int_bits));
    }
}

uint64_t fp_reference(const FpOp *op, unsigned rm, const uint64_t args[3], uint32_t *fflags)
{
    bool raw = op->kind == FP_MOVE; /* takes the register's bits, boxed or not */
    uint64_t bits[3] = { 0 }, result;

    for (unsigned i = 0; i < op->n_args; i++) {
        bits[i] = op->from && !raw ? unbox(op->from, args[i]) : args[i];
    }
    result = compute(op, rm, bits, fflags);
    return op->to ? box(op->to, result) : result;
}

/* ---- Names ---- */

static const FpuFormat *format_of(const char *letter)
{
    switch (*letter) {
    case 's':
        return &fpu_single;
    case 'd':
        return &fpu_double;
    case 'h':
        return &fpu_half;
    default:
        return NULL;
    }
}

static void set_int(FpOp *op, const char *type)
{
    op->int_bits = *type == 'l' ? 64 : 32;
    op->int_signed = type[1] != 'u';
}

/* fcvt.TO.FROM */
static void parse_convert(FpOp *op, char **parts)
{
    op->to = format_of(parts[1]);
    op->from = format_of(parts[2]);
    op->kind = op->to && op->from ? FP_CONVERT : op->to ? FP_FROM_INT : FP_TO_INT;
    op->n_args = 1;
    if (op->kind != FP_CONVERT) {
        set_int(op, op->to ? parts[2] : parts[1]);
    }
}

/* fmv.x.w, fmv.w.x: the letter is the width. */
static void parse_move(FpOp *op, char **parts)
{
    const char *letter = *parts[1] == 'x' ? parts[2] : parts[1];
    const FpuFormat *f = *letter == 'w' ? &fpu_single : format_of(letter);

    op->from = *parts[1] == 'x' ? f : NULL;
    op->to = *parts[1] == 'x' ? NULL : f;
    op->kind = op->to ? FP_MOVE_BOXED : FP_MOVE;
    op->n_args = 1;
    op->int_bits = width(f);
}

static bool parse_simple(FpOp *op, const char *name)
{
    static const struct {
        const char *name;
        FpOp op;
    } ops[] = {
        { "fadd", { .kind = FP_ADD, .n_args = 2 } },
        { "fsub", { .kind = FP_SUB, .n_args = 2 } },
        { "fmul", { .kind = FP_MUL, .n_args = 2 } },
        { "fdiv", { .kind = FP_DIV, .n_args = 2 } },
        { "fsqrt", { .kind = FP_SQRT, .n_args = 1 } },
        { "fmadd", { .kind = FP_FUSED, .n_args = 3 } },
        { "fmsub", { .kind = FP_FUSED, .n_args = 3, .neg_addend = true } },
        { "fnmsub", { .kind = FP_FUSED, .n_args = 3, .neg_product = true } },
        { "fnmadd", { .kind = FP_FUSED, .n_args = 3, .neg_product = true, .neg_addend = true } },
        { "fmin", { .kind = FP_MIN_MAX, .n_args = 2 } },
        { "fmax", { .kind = FP_MIN_MAX, .n_args = 2, .want_max = true } },
        { "fminm", { .kind = FP_MIN_MAX, .n_args = 2, .nan_wins = true } },
        { "fmaxm", { .kind = FP_MIN_MAX, .n_args = 2, .want_max = true, .nan_wins = true } },
        { "feq", { .kind = FP_COMPARE, .n_args = 2, .equal = true, .quiet = true } },
        { "flt", { .kind = FP_COMPARE, .n_args = 2, .less = true } },
        { "fle", { .kind = FP_COMPARE, .n_args = 2, .less = true, .equal = true } },
        { "fltq", { .kind = FP_COMPARE, .n_args = 2, .less = true, .quiet = true } },
        { "fleq", { .kind = FP_COMPARE, .n_args = 2, .less = true, .equal = true, .quiet = true } },
        { "fsgnj", { .kind = FP_SIGN, .n_args = 2 } },
        { "fsgnjn", { .kind = FP_SIGN, .n_args = 2, .sign = 'n' } },
        { "fsgnjx", { .kind = FP_SIGN, .n_args = 2, .sign = 'x' } },
        { "fclass", { .kind = FP_CLASS, .n_args = 1 } },
        { "fround", { .kind = FP_ROUND, .n_args = 1 } },
        { "froundnx", { .kind = FP_ROUND, .n_args = 1, .inexact = true } },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        if (!g_strcmp0(ops[i].name, name)) {
            *op = ops[i].op;
            return true;
        }
    }
    return false;
}

bool fp_op_parse(const RvIsaEntry *entry, FpOp *op)
{
    g_auto(GStrv) parts = g_strsplit(entry->name, ".", -1);
    unsigned n = g_strv_length(parts);

    *op = (FpOp){ 0 };
    if (n == 3 && !g_strcmp0(parts[0], "fcvt")) {
        parse_convert(op, parts);
    } else if (n == 3 && !g_strcmp0(parts[0], "fmv")) {
        parse_move(op, parts);
    } else if (!g_strcmp0(entry->name, "fcvtmod.w.d")) {
        *op = (FpOp){ .kind = FP_MODULAR, .n_args = 1, .from = &fpu_double };
    } else if (n == 2 && parse_simple(op, parts[0])) {
        op->from = format_of(parts[1]);
        op->to = op->kind == FP_COMPARE || op->kind == FP_CLASS ? NULL : op->from;
    } else {
        return false;
    }
    op->entry = entry;
    op->has_rm = !(entry->mask & 0x7000);
    return true;
}
