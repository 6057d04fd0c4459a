/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IR: evaluation at the edges, folding, passes, verifier, text form, interpreter, and random
 * programs that must mean the same plain and optimised. The guest is that of ir-random.h.
 *
 * Folding is tested from text to text: the plain text is parsed as it stands and built again
 * through the builder (rebuild()), then what nothing uses is removed.
 */
#include <string.h>
#include <time.h>
#include "tests/unit/ir-random.h"

static IrBlock *ir, *ir2;
static IrRandomCpu cpu_a, cpu_b, cpu_start;

static void parse(IrBlock *block, const char *text)
{
    g_autoptr(GError) error = NULL;

    if (!ir_parse(block, text, &error)) {
        g_error("%s in:\n%s", error->message, text);
    }
}

static void verify(const IrBlock *block)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) text = g_string_new(NULL);

    if (!ir_verify(block, &error)) {
        ir_print(block, text);
        g_error("%s in:\n%s", error->message, text->str);
    }
}

/* @block's operations without the spaces that begin a line. */
static char *print(const IrBlock *block)
{
    g_autoptr(GString) out = g_string_new(NULL), text = g_string_new(NULL);
    g_auto(GStrv) lines = NULL;

    ir_print(block, out);
    lines = g_strsplit(out->str, "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        g_string_append_printf(text, "%s%s", g_strchug(lines[i]), lines[i + 1] ? "\n" : "");
    }
    return g_string_free(g_steal_pointer(&text), false);
}

static void expect(const IrBlock *block, const char *wanted)
{
    g_autofree char *text = print(block);

    verify(block);
    g_assert_cmpstr(text, ==, wanted);
}

/* ---- Evaluation ---- */

typedef struct EvalCase {
    IrOp op;
    IrType type;
    uint64_t a, b, result;
} EvalCase;

#define MIN32  0x80000000u
#define MIN64  (1ull << 63)
#define ONES32 0xffffffffu
#define ONES64 UINT64_MAX

static const EvalCase eval_cases[] = {
    { IR_ADD, IR_I32, ONES32, 1, 0 },
    { IR_ADD, IR_I64, ONES64, 1, 0 },
    { IR_SUB, IR_I32, 0, 1, ONES32 },
    { IR_MUL, IR_I32, 0x10001, 0x10001, 0x20001 },
    { IR_MULHS, IR_I32, MIN32, MIN32, 0x40000000 },
    { IR_MULHS, IR_I64, MIN64, MIN64, 1ull << 62 },
    { IR_MULHS, IR_I64, ONES64, 1, ONES64 },
    { IR_MULHS, IR_I32, ONES32, ONES32, 0 },
    { IR_MULHU, IR_I32, ONES32, ONES32, 0xfffffffe },
    { IR_MULHU, IR_I64, ONES64, ONES64, ONES64 - 1 },
    { IR_MULHSU, IR_I32, ONES32, ONES32, ONES32 },
    { IR_MULHSU, IR_I64, ONES64, ONES64, ONES64 },
    { IR_MULHSU, IR_I64, MIN64, 2, ONES64 },
    { IR_DIVS, IR_I32, 7, 0, ONES32 },
    { IR_DIVS, IR_I64, 7, 0, ONES64 },
    { IR_DIVS, IR_I32, MIN32, ONES32, MIN32 },
    { IR_DIVS, IR_I64, MIN64, ONES64, MIN64 },
    { IR_DIVS, IR_I32, (uint32_t)-7, 2, (uint32_t)-3 },
    { IR_DIVS, IR_I64, 7, -2ull, -3ull },
    { IR_DIVU, IR_I32, 7, 0, ONES32 },
    { IR_DIVU, IR_I64, 7, 0, ONES64 },
    { IR_DIVU, IR_I32, ONES32, 2, 0x7fffffff },
    { IR_REMS, IR_I32, (uint32_t)-7, 0, (uint32_t)-7 },
    { IR_REMS, IR_I64, -7ull, 0, -7ull },
    { IR_REMS, IR_I32, MIN32, ONES32, 0 },
    { IR_REMS, IR_I64, MIN64, ONES64, 0 },
    { IR_REMS, IR_I64, -7ull, 2, ONES64 },
    { IR_REMU, IR_I32, 7, 0, 7 },
    { IR_REMU, IR_I64, ONES64, 10, 5 },
    { IR_ANDN, IR_I64, 0xff, 0x0f, 0xf0 },
    { IR_NOT, IR_I32, 0, 0, ONES32 },
    { IR_NEG, IR_I32, MIN32, 0, MIN32 },
    { IR_NEG, IR_I64, 1, 0, ONES64 },
    { IR_SHL, IR_I32, 1, 31, MIN32 },
    { IR_SHL, IR_I32, 1, 32, 1 },
    { IR_SHL, IR_I64, 1, 32, 1ull << 32 },
    { IR_SHL, IR_I64, 1, 64 + 3, 8 },
    { IR_SHR, IR_I32, MIN32, 31, 1 },
    { IR_SHR, IR_I32, ONES32, 33, 0x7fffffff },
    { IR_SHR, IR_I64, ONES64, ONES64, 1 },
    { IR_SAR, IR_I32, MIN32, 31, ONES32 },
    { IR_SAR, IR_I64, MIN64, 63, ONES64 },
    { IR_SAR, IR_I64, MIN64, 64, MIN64 },
    { IR_ROTL, IR_I32, 0x80000001, 1, 3 },
    { IR_ROTL, IR_I32, 0x12345678, 32, 0x12345678 },
    { IR_ROTL, IR_I64, MIN64, 65, 1 },
    { IR_ROTR, IR_I32, 1, 1, MIN32 },
    { IR_ROTR, IR_I64, 1, 1, MIN64 },
    { IR_ROTR, IR_I64, 1, 0, 1 },
    { IR_CLZ, IR_I32, 0, 0, 32 },
    { IR_CLZ, IR_I64, 0, 0, 64 },
    { IR_CLZ, IR_I32, 1, 0, 31 },
    { IR_CLZ, IR_I64, 1, 0, 63 },
    { IR_CTZ, IR_I32, 0, 0, 32 },
    { IR_CTZ, IR_I64, 0, 0, 64 },
    { IR_CTZ, IR_I32, MIN32, 0, 31 },
    { IR_POPCNT, IR_I32, ONES32, 0, 32 },
    { IR_POPCNT, IR_I64, ONES64, 0, 64 },
    { IR_BSWAP, IR_I32, 0x12345678, 0, 0x78563412 },
    { IR_BSWAP, IR_I64, 0x0102030405060708, 0, 0x0807060504030201 },
    { IR_SEXT8, IR_I32, 0x180, 0, 0xffffff80 },
    { IR_SEXT8, IR_I64, 0x17f, 0, 0x7f },
    { IR_SEXT16, IR_I64, 0x18000, 0, 0xffffffffffff8000 },
    { IR_ZEXT8, IR_I64, 0x1ff, 0, 0xff },
    { IR_ZEXT16, IR_I32, 0x1ffff, 0, 0xffff },
    { IR_SEXT, IR_I64, MIN32, 0, 0xffffffff80000000 },
    { IR_ZEXT, IR_I64, MIN32, 0, MIN32 },
    { IR_TRUNC, IR_I32, 0x123456789abcdef0, 0, 0x9abcdef0 },
};

static void test_eval_edges(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(eval_cases); i++) {
        const EvalCase *c = &eval_cases[i];
        uint64_t result = ir_eval(c->op, c->type, c->type, 0, c->a, c->b, 0);

        if (result != c->result) {
            g_error("case %u, %s: %#" G_GINT64_MODIFIER "x", i, ir_op_info[c->op].text, result);
        }
    }
    g_assert_cmphex(ir_eval(IR_SELECT, IR_I64, IR_I32, 0, 1ull << 32, 5, 6), ==, 6);
    g_assert_cmphex(ir_eval(IR_SELECT, IR_I64, IR_I64, 0, 1ull << 32, 5, 6), ==, 5);
    g_assert_cmphex(ir_eval(IR_SETCC, IR_I32, IR_I32, IR_LT, MIN32, 0, 0), ==, 1);
}

/* Bit @n of the carry-less product. */
static unsigned clmul_bit(uint64_t a, uint64_t b, unsigned n)
{
    unsigned bit = 0;

    for (unsigned i = 0; i < 64; i++) {
        if (n >= i && n - i < 64) {
            bit ^= b >> i & a >> (n - i) & 1;
        }
    }
    return bit;
}

static void test_eval_clmul(void)
{
    IrRandom r;

    ir_random_seed(&r, 1);
    for (unsigned i = 0; i < 500; i++) {
        uint64_t a = ir_random_edge(&r), b = ir_random_edge(&r);
        uint64_t low = ir_eval(IR_CLMUL, IR_I64, IR_I64, 0, a, b, 0);
        uint64_t high = ir_eval(IR_CLMULH, IR_I64, IR_I64, 0, a, b, 0);

        for (unsigned n = 0; n < 64; n++) {
            g_assert_cmpuint(low >> n & 1, ==, clmul_bit(a, b, n));
            g_assert_cmpuint(high >> n & 1, ==, clmul_bit(a, b, n + 64));
        }
    }
}

/* Laws between operations, over random values. */
static void test_eval_laws(void)
{
    IrRandom r;

    ir_random_seed(&r, 2);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t a = ir_random_edge(&r), b = ir_random_edge(&r);
        uint32_t wa = (uint32_t)a, wb = (uint32_t)b;
        uint64_t q = ir_eval(IR_DIVS, IR_I64, IR_I64, 0, a, b, 0);

        g_assert_cmphex(q * b + ir_eval(IR_REMS, IR_I64, IR_I64, 0, a, b, 0), ==, a);
        q = ir_eval(IR_DIVU, IR_I32, IR_I32, 0, wa, wb, 0);
        g_assert_cmphex((uint32_t)(q * wb + ir_eval(IR_REMU, IR_I32, IR_I32, 0, wa, wb, 0)), ==,
                        wa);
        g_assert_cmphex(ir_eval(IR_MULHS, IR_I32, IR_I32, 0, wa, wb, 0), ==,
                        (uint32_t)((int64_t)(int32_t)wa * (int32_t)wb >> 32));
        /* The signed upper half from the unsigned one. */
        q = ir_eval(IR_MULHU, IR_I64, IR_I64, 0, a, b, 0) - ((int64_t)a < 0 ? b : 0);
        g_assert_cmphex(ir_eval(IR_MULHSU, IR_I64, IR_I64, 0, a, b, 0), ==, q);
        q -= (int64_t)b < 0 ? a : 0;
        g_assert_cmphex(ir_eval(IR_MULHS, IR_I64, IR_I64, 0, a, b, 0), ==, q);
        q = ir_eval(IR_ROTL, IR_I64, IR_I64, 0, a, b, 0);
        g_assert_cmphex(ir_eval(IR_ROTR, IR_I64, IR_I64, 0, q, b, 0), ==, a);
        /* An i32's upper bits are never looked at. */
        for (IrOp op = IR_ADD; op <= IR_ZEXT16; op++) {
            if (op != IR_CLMUL && op != IR_CLMULH) {
                g_assert_cmphex(ir_eval(op, IR_I32, IR_I32, 0, a, b, 0), ==,
                                ir_eval(op, IR_I32, IR_I32, 0, wa, wb, 0));
            }
        }
    }
}

static void test_conditions(void)
{
    IrRandom r;

    ir_random_seed(&r, 3);
    g_assert_true(ir_cond_eval(IR_LT, IR_I32, MIN32, 0));
    g_assert_false(ir_cond_eval(IR_LT, IR_I64, MIN32, 0));
    g_assert_true(ir_cond_eval(IR_EQ, IR_I32, 1ull << 32, 0));
    g_assert_true(ir_cond_eval(IR_GTU, IR_I64, ONES64, 1));
    g_assert_true(ir_cond_eval(IR_LEU, IR_I32, 3, 3));
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t a = ir_random_edge(&r), b = ir_random_below(&r, 4) ? ir_random_edge(&r) : a;
        IrCond c = (IrCond)ir_random_below(&r, IR_GTU + 1);
        IrType type = i & 1 ? IR_I32 : IR_I64;
        bool holds = ir_cond_eval(c, type, a, b);

        g_assert_true(ir_cond_eval(ir_cond_invert(c), type, a, b) != holds);
        g_assert_true(ir_cond_eval(ir_cond_swap(c), type, b, a) == holds);
    }
}

/* ---- Folding ---- */

static int32_t low_imm(const IrInsn *i)
{
    return (int32_t)i->imm;
}

/* Builds @i of a plain block again; @v: what stands for its arguments. */
static IrVal rebuild_insn(IrBlock *to, const IrInsn *i, const IrVal v[3])
{
    uint32_t high = (uint32_t)(i->imm >> 32);

    switch (i->op) {
    case IR_INSN:
        ir_insn(to, low_imm(i), i->a | (uint32_t)i->b << 16);
        break;
    case IR_GETREG:
        return ir_getreg(to, (unsigned)i->imm);
    case IR_SETREG:
        ir_setreg(to, (unsigned)i->imm, v[0]);
        break;
    case IR_CONST:
        return ir_const(to, (IrType)i->type, i->imm);
    case IR_PCREL:
        return ir_pcrel(to, (int64_t)i->imm);
    case IR_SETCC:
        return ir_setcc(to, (IrCond)i->imm, v[0], v[1]);
    case IR_SELECT:
        return ir_select(to, v[0], v[1], v[2]);
    case IR_LOAD:
        return ir_load(to, (IrType)i->type, v[0], low_imm(i), high);
    case IR_STORE:
        ir_store(to, v[0], low_imm(i), high, v[1]);
        break;
    case IR_FENCE:
        ir_fence(to, i->imm);
        break;
    case IR_CALL:
        return ir_call(to, (uint32_t)i->imm, v[0], v[1], v[2], high);
    case IR_EXITCC:
        ir_exitcc(to, (IrCond)high, v[0], v[1], low_imm(i));
        break;
    case IR_EXIT:
        ir_exit(to, low_imm(i));
        break;
    case IR_EXITIND:
        ir_exitind(to, v[0]);
        break;
    case IR_LEAVE:
        ir_leave(to, i->imm);
        break;
    default:
        if (ir_op_info[i->op].n_args == 1) {
            return ir_unary(to, (IrOp)i->op, v[0]);
        }
        return ir_binary(to, (IrOp)i->op, v[0], v[1]);
    }
    return IR_NONE;
}

static void rebuild(IrBlock *to, const IrBlock *from)
{
    IrVal values[IR_MAX_INSNS];

    ir_block_reset(to, from->page_offset, from->cflags);
    for (unsigned n = 0; n < from->n; n++) {
        const IrInsn *i = &from->insns[n];
        bool is_insn = i->op == IR_INSN;
        const IrVal v[3] = {
            i->a < n && !is_insn ? values[i->a] : IR_NONE,
            i->b < n && !is_insn ? values[i->b] : IR_NONE,
            i->c < n ? values[i->c] : IR_NONE,
        };

        values[n] = rebuild_insn(to, i, v);
    }
}

typedef struct TextCase {
    const char *in, *out;
} TextCase;

/* Operations on %1 = x0 (i64), %2 = x1, %3 = w0 (i32), and what they fold to; the last value
 * goes to x2 (or w2). */
static const TextCase fold_cases[] = {
    /* constants */
    { "%4 = const.i64 6; %5 = const.i64 7; %6 = mul.i64 %4 %5", "%0 = const.i64 0x2a" },
    { "%4 = const.i32 -1; %6 = sext.i64 %4", "%0 = const.i64 0xffffffffffffffff" },
    { "%4 = const.i64 -1; %6 = trunc.i32 %4", "%0 = const.i32 0xffffffff" },
    { "%4 = const.i64 1; %5 = const.i64 0; %6 = divs.i64 %4 %5",
      "%0 = const.i64 0xffffffffffffffff" },
    /* identities */
    { "%4 = const.i64 0; %6 = add.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 0; %6 = add.i64 %4 %1", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 0; %6 = sub.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 0; %6 = or.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 0; %6 = xor.i64 %4 %1", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 0; %6 = andn.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 1; %6 = mul.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 1; %6 = divu.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 1; %6 = divs.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 0; %6 = shl.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i64 64; %6 = rotr.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i32 32; %6 = sar.i32 %3 %4", "%0 = getreg.i32 w0" },
    { "%4 = const.i64 -1; %6 = and.i64 %1 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i32 -1; %6 = and.i32 %3 %4", "%0 = getreg.i32 w0" },
    { "%4 = const.i64 0; %6 = and.i64 %1 %4", "%0 = const.i64 0x0" },
    { "%4 = const.i64 0; %6 = mul.i64 %4 %1", "%0 = const.i64 0x0" },
    { "%6 = sub.i64 %1 %1", "%0 = const.i64 0x0" },
    { "%6 = xor.i32 %3 %3", "%0 = const.i32 0x0" },
    { "%6 = and.i64 %1 %1", "%0 = getreg.i64 x0" },
    { "%4 = not.i64 %1; %6 = not.i64 %4", "%0 = getreg.i64 x0" },
    { "%4 = bswap.i32 %3; %6 = bswap.i32 %4", "%0 = getreg.i32 w0" },
    { "%4 = const.i64 0; %6 = sub.i64 %4 %1", "%0 = getreg.i64 x0; %1 = neg.i64 %0" },
    { "%4 = const.i64 8; %6 = mul.i64 %4 %1",
      "%0 = getreg.i64 x0; %1 = const.i64 0x3; %2 = shl.i64 %0 %1" },
    { "%4 = const.i32 0x80000000; %6 = divu.i32 %3 %4",
      "%0 = getreg.i32 w0; %1 = const.i32 0x1f; %2 = shr.i32 %0 %1" },
    { "%4 = const.i64 32; %6 = remu.i64 %1 %4",
      "%0 = getreg.i64 x0; %1 = const.i64 0x1f; %2 = and.i64 %0 %1" },
    /* sums */
    { "%4 = const.i64 5; %5 = add.i64 %1 %4; %6 = const.i64 -7; %7 = add.i64 %5 %6",
      "%0 = getreg.i64 x0; %1 = const.i64 0xfffffffffffffffe; %2 = add.i64 %0 %1" },
    { "%4 = const.i64 5; %5 = add.i64 %1 %4; %7 = sub.i64 %5 %4", "%0 = getreg.i64 x0" },
    { "%4 = const.i32 -1; %5 = add.i32 %4 %3; %6 = const.i32 3; %7 = add.i32 %5 %6",
      "%0 = getreg.i32 w0; %1 = const.i32 0x2; %2 = add.i32 %0 %1" },
    { "%4 = pcrel.i64 0x1000; %5 = const.i64 -4; %6 = add.i64 %4 %5", "%0 = pcrel.i64 0xffc" },
    /* extensions */
    { "%4 = sext.i64 %3; %6 = trunc.i32 %4", "%0 = getreg.i32 w0" },
    { "%4 = zext.i64 %3; %6 = trunc.i32 %4", "%0 = getreg.i32 w0" },
    { "%4 = sext.i64 %3; %5 = trunc.i32 %4; %6 = sext.i64 %5",
      "%0 = getreg.i32 w0; %1 = sext.i64 %0" },
    { "%4 = sext.i64 %3; %5 = trunc.i32 %4; %6 = zext.i64 %5",
      "%0 = getreg.i32 w0; %1 = zext.i64 %0" },
    { "%4 = setcc.i64.lt %1 %2; %5 = trunc.i32 %4; %6 = sext.i64 %5",
      "%0 = getreg.i64 x0; %1 = getreg.i64 x1; %2 = setcc.i64.lt %0 %1" },
    { "%4 = const.i64 32; %5 = sar.i64 %1 %4; %6 = trunc.i32 %5; %7 = sext.i64 %6",
      "%0 = getreg.i64 x0; %1 = const.i64 0x20; %2 = sar.i64 %0 %1" },
    { "%4 = const.i64 32; %5 = shr.i64 %1 %4; %6 = trunc.i32 %5; %7 = sext.i64 %6",
      "%0 = getreg.i64 x0; %1 = const.i64 0x20; %2 = shr.i64 %0 %1; %3 = trunc.i32 %2; "
      "%4 = sext.i64 %3" },
    { "%4 = const.i64 32; %5 = shr.i64 %1 %4; %6 = trunc.i32 %5; %7 = zext.i64 %6",
      "%0 = getreg.i64 x0; %1 = const.i64 0x20; %2 = shr.i64 %0 %1" },
    { "%4 = const.i64 255; %5 = and.i64 %1 %4", "%0 = getreg.i64 x0; %1 = zext8.i64 %0" },
    { "%4 = const.i32 65535; %5 = and.i32 %3 %4", "%0 = getreg.i32 w0; %1 = zext16.i32 %0" },
    { "%4 = const.i64 0xffffffff; %5 = and.i64 %1 %4",
      "%0 = getreg.i64 x0; %1 = trunc.i32 %0; %2 = zext.i64 %1" },
    { "%4 = zext8.i64 %1; %5 = const.i64 0x1ff; %6 = and.i64 %4 %5",
      "%0 = getreg.i64 x0; %1 = zext8.i64 %0" },
    { "%4 = sext8.i64 %1; %5 = sext16.i64 %4", "%0 = getreg.i64 x0; %1 = sext8.i64 %0" },
    { "%4 = zext8.i64 %1; %5 = sext8.i64 %4",
      "%0 = getreg.i64 x0; %1 = zext8.i64 %0; %2 = sext8.i64 %1" },
    { "%4 = zext8.i64 %1; %5 = sext16.i64 %4", "%0 = getreg.i64 x0; %1 = zext8.i64 %0" },
    { "%4 = popcnt.i64 %1; %5 = zext8.i64 %4", "%0 = getreg.i64 x0; %1 = popcnt.i64 %0" },
    /* shift pairs */
    { "%4 = const.i64 32; %5 = shl.i64 %1 %4; %6 = shr.i64 %5 %4",
      "%0 = getreg.i64 x0; %1 = trunc.i32 %0; %2 = zext.i64 %1" },
    { "%4 = const.i64 32; %5 = shl.i64 %1 %4; %6 = sar.i64 %5 %4",
      "%0 = getreg.i64 x0; %1 = trunc.i32 %0; %2 = sext.i64 %1" },
    { "%4 = const.i64 48; %5 = shl.i64 %1 %4; %6 = shr.i64 %5 %4",
      "%0 = getreg.i64 x0; %1 = zext16.i64 %0" },
    { "%4 = const.i32 24; %5 = shl.i32 %3 %4; %6 = sar.i32 %5 %4",
      "%0 = getreg.i32 w0; %1 = sext8.i32 %0" },
    { "%4 = const.i64 32; %5 = shl.i64 %1 %4; %6 = const.i64 29; %7 = shr.i64 %5 %6",
      "%0 = getreg.i64 x0; %1 = trunc.i32 %0; %2 = zext.i64 %1; %3 = const.i64 0x3; "
      "%4 = shl.i64 %2 %3" },
    { "%4 = const.i64 32; %5 = shl.i64 %1 %4; %6 = const.i64 40; %7 = shr.i64 %5 %6",
      "%0 = getreg.i64 x0; %1 = const.i64 0x20; %2 = shl.i64 %0 %1; %3 = const.i64 0x28; "
      "%4 = shr.i64 %2 %3" },
    /* compares */
    { "%4 = setcc.i64.ltu %1 %1", "%0 = const.i64 0x0" },
    { "%4 = setcc.i64.ge %1 %1", "%0 = const.i64 0x1" },
    { "%4 = const.i64 3; %5 = setcc.i64.lt %4 %1",
      "%0 = getreg.i64 x0; %1 = const.i64 0x3; %2 = setcc.i64.gt %0 %1" },
    { "%4 = const.i64 0; %5 = setcc.i64.ltu %1 %4", "%0 = const.i64 0x0" },
    { "%4 = const.i64 0; %5 = setcc.i64.geu %1 %4", "%0 = const.i64 0x1" },
    { "%4 = const.i64 0; %5 = setcc.i64.ltu %4 %1",
      "%0 = getreg.i64 x0; %1 = const.i64 0x0; %2 = setcc.i64.ne %0 %1" },
    { "%4 = const.i64 1; %5 = setcc.i64.ltu %1 %4",
      "%0 = getreg.i64 x0; %1 = const.i64 0x0; %2 = setcc.i64.eq %0 %1" },
    { "%4 = setcc.i64.lt %1 %2; %5 = const.i64 1; %6 = xor.i64 %4 %5",
      "%0 = getreg.i64 x0; %1 = getreg.i64 x1; %2 = setcc.i64.ge %0 %1" },
    { "%4 = setcc.i64.ltu %1 %2; %5 = const.i64 0; %6 = setcc.i64.eq %4 %5",
      "%0 = getreg.i64 x0; %1 = getreg.i64 x1; %2 = setcc.i64.geu %0 %1" },
    { "%4 = setcc.i64.ltu %1 %2; %5 = const.i64 0; %6 = setcc.i64.ltu %5 %4",
      "%0 = getreg.i64 x0; %1 = getreg.i64 x1; %2 = setcc.i64.ltu %0 %1" },
    /* selects */
    { "%4 = const.i32 2; %5 = select.i64 %4 %1 %2", "%0 = getreg.i64 x0" },
    { "%4 = const.i32 0; %5 = select.i64 %4 %1 %2", "%0 = getreg.i64 x1" },
    { "%5 = select.i64 %3 %1 %1", "%0 = getreg.i64 x0" },
    { "%4 = const.i32 0; %5 = setcc.i32.eq %3 %4; %6 = select.i64 %5 %1 %2",
      "%0 = getreg.i64 x0; %1 = getreg.i64 x1; %2 = getreg.i32 w0; %3 = select.i64 %2 %1 %0" },
    { "%4 = const.i32 0; %5 = setcc.i32.ne %3 %4; %6 = select.i64 %5 %1 %2",
      "%0 = getreg.i64 x0; %1 = getreg.i64 x1; %2 = getreg.i32 w0; %3 = select.i64 %2 %0 %1" },
    /* addresses: the load is the last value */
    { "%4 = const.i64 16; %5 = add.i64 %1 %4; %6 = load.i64.u64 %5 8",
      "%0 = getreg.i64 x0; %1 = load.i64.u64 %0 0x18" },
    { "%4 = const.i64 16; %5 = add.i64 %4 %1; %6 = load.i32.s8be %5 -17",
      "%0 = getreg.i64 x0; %1 = load.i32.s8be %0 -0x1" },
    { "%4 = const.i64 0x7fffffff; %5 = add.i64 %1 %4; %6 = load.i64.u8 %5 1",
      "%0 = getreg.i64 x0; %1 = const.i64 0x7fffffff; %2 = add.i64 %0 %1; "
      "%3 = load.i64.u8 %2 0x1" },
    { "%4 = const.i64 0x7fffffffffffffff; %5 = add.i64 %1 %4; %6 = load.i64.u8 %5 1",
      "%0 = getreg.i64 x0; %1 = const.i64 0x7fffffffffffffff; %2 = add.i64 %0 %1; "
      "%3 = load.i64.u8 %2 0x1" },
    { "%4 = load.i64.s32 %1 0; %5 = trunc.i32 %4; %6 = sext.i64 %5",
      "%0 = getreg.i64 x0; %1 = load.i64.s32 %0 0x0" },
    { "%4 = load.i64.u32 %1 0; %5 = trunc.i32 %4; %6 = sext.i64 %5",
      "%0 = getreg.i64 x0; %1 = load.i64.u32 %0 0x0; %2 = trunc.i32 %1; %3 = sext.i64 %2" },
    { "%4 = load.i64.u16 %1 0; %5 = zext16.i64 %4",
      "%0 = getreg.i64 x0; %1 = load.i64.u16 %0 0x0" },
};

static char *lines_of(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, "; ", -1);

    return g_strjoinv("\n", parts);
}

/* "add.i64" gives "x2", "add.i32" "w2". */
static unsigned result_reg(IrType type)
{
    return type == IR_I64 ? 2 : IR_RANDOM_N_X + 2;
}

static void test_fold(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(fold_cases); i++) {
        g_autofree char *in = lines_of(fold_cases[i].in), *out = lines_of(fold_cases[i].out);
        g_autofree char *plain = g_strdup_printf("%%1 = getreg.i64 x0\n%%2 = getreg.i64 x1\n"
                                                 "%%3 = getreg.i32 w0\n%s\nexit 0x0",
                                                 in);
        g_autofree char *wanted = NULL;
        IrVal last;

        /* The result into a register. */
        parse(ir, plain);
        ir->n--;
        ir->ended = false;
        last = (IrVal)(ir->n - 1);
        ir_setreg(ir, result_reg(ir_type(ir, last)), last);
        ir_exit(ir, 0);
        rebuild(ir2, ir);
        ir_pass_dead(ir2);
        last = ir2->insns[ir2->n - 2].a;
        wanted = g_strdup_printf("%s\nsetreg %s %%%u\nexit 0x0\n", out,
                                 ir_type(ir2, last) == IR_I64 ? "x2" : "w2", last);
        expect(ir2, wanted);
    }
}

static void test_fold_off(void)
{
    ir_opt_mask = 0;
    parse(ir, "%0 = getreg.i64 x0\n%1 = const.i64 0\n%2 = add.i64 %1 %0\n%3 = load.i64.u8 %2 4\n"
              "setreg x0 %3\n%4 = getreg.i64 x0\nexitind %4");
    rebuild(ir2, ir);
    ir_optimise(ir2);
    ir_opt_mask = IR_OPT_ALL;
    expect(ir2, "%0 = getreg.i64 x0\n%1 = const.i64 0x0\n%2 = add.i64 %1 %0\n"
                "%3 = load.i64.u8 %2 0x4\nsetreg x0 %3\n%5 = getreg.i64 x0\nexitind %5\n");
}

/* What folding sees across guest instructions, through the registers; then all passes. */
static const TextCase forward_cases[] = {
    /* addw; addw: one extension, as the first result is overwritten unseen */
    { "%1 = getreg.i64 x0; %2 = trunc.i32 %1; %3 = getreg.i64 x1; %4 = trunc.i32 %3; "
      "%5 = add.i32 %2 %4; %6 = sext.i64 %5; setreg x0 %6; %7 = getreg.i64 x0; "
      "%8 = trunc.i32 %7; %9 = getreg.i64 x2; %10 = trunc.i32 %9; %11 = sub.i32 %8 %10; "
      "%12 = sext.i64 %11; setreg x0 %12; exit 0",
      "%0 = getreg.i64 x0; %1 = trunc.i32 %0; %2 = getreg.i64 x1; %3 = trunc.i32 %2; "
      "%4 = add.i32 %1 %3; %5 = getreg.i64 x2; %6 = trunc.i32 %5; %7 = sub.i32 %4 %6; "
      "%8 = sext.i64 %7; setreg x0 %8; exit 0x0" },
    /* lw; sext.w */
    { "%1 = getreg.i64 x0; %2 = load.i64.s32 %1 0; setreg x1 %2; %3 = getreg.i64 x1; "
      "%4 = trunc.i32 %3; %5 = sext.i64 %4; setreg x2 %5; exit 0",
      "%0 = getreg.i64 x0; %1 = load.i64.s32 %0 0x0; setreg x1 %1; setreg x2 %1; exit 0x0" },
    /* slt; bnez */
    { "%1 = getreg.i64 x0; %2 = getreg.i64 x1; %3 = setcc.i64.lt %1 %2; setreg x5 %3; "
      "%4 = getreg.i64 x5; %5 = const.i64 0; exitcc.i64.ne %4 %5 8; exit 0",
      "%0 = getreg.i64 x0; %1 = getreg.i64 x1; %2 = setcc.i64.lt %0 %1; setreg x5 %2; "
      "exitcc.i64.lt %0 %1 0x8; exit 0x0" },
    /* a sum stays in its register */
    { "%1 = getreg.i64 x0; %2 = const.i64 8; %3 = add.i64 %1 %2; setreg x0 %3; "
      "%4 = getreg.i64 x0; %5 = load.i64.u64 %4 16; setreg x1 %5; exit 0",
      "%0 = getreg.i64 x0; %1 = const.i64 0x8; %2 = add.i64 %0 %1; setreg x0 %2; "
      "%4 = load.i64.u64 %2 0x10; setreg x1 %4; exit 0x0" },
    /* a helper may have written */
    { "%1 = const.i64 1; setreg x0 %1; %2 = const.i32 2; call write %1 %2 5; "
      "%3 = getreg.i64 x0; setreg x1 %3; exit 0",
      "%0 = const.i64 0x1; setreg x0 %0; %2 = const.i32 0x2; call write %0 %2 0x5; "
      "%4 = getreg.i64 x0; setreg x1 %4; exit 0x0" },
    /* one that only reads has not */
    { "%1 = const.i64 1; setreg x0 %1; %2 = call.i64 read %1 5; %3 = getreg.i64 x0; "
      "setreg x1 %3; exit 0",
      "%0 = const.i64 0x1; setreg x0 %0; %2 = call.i64 read %0 0x5; setreg x1 %0; exit 0x0" },
    /* compares that never leave */
    { "%1 = getreg.i64 x0; %2 = const.i64 0; exitcc.i64.ltu %1 %2 8; exitcc.i64.ne %1 %1 8; "
      "exitcc.i64.eq %2 %2 8; exit 0",
      "%0 = const.i64 0x0; exitcc.i64.eq %0 %0 0x8; exit 0x0" },
};

static void test_forward(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(forward_cases); i++) {
        g_autofree char *in = lines_of(forward_cases[i].in), *out = lines_of(forward_cases[i].out);
        g_autofree char *wanted = g_strconcat(out, "\n", NULL);

        parse(ir, in);
        rebuild(ir2, ir);
        ir_optimise(ir2);
        expect(ir2, wanted);
    }
}

/* ---- Passes ---- */

static const TextCase pass_cases[] = {
    /* get after get, get after set, set of what is there */
    { "%1 = getreg.i64 x0; %2 = getreg.i64 x0; %3 = add.i64 %1 %2; setreg x1 %3; "
      "%4 = getreg.i64 x1; setreg x2 %4; setreg x1 %4; setreg x0 %2; exit 0",
      "%0 = getreg.i64 x0; %1 = add.i64 %0 %0; setreg x1 %1; setreg x2 %1; exit 0x0" },
    /* overwritten before anything can see it */
    { "%1 = const.i64 1; %2 = const.i64 2; setreg x0 %1; setreg x0 %2; exit 0",
      "%0 = const.i64 0x2; setreg x0 %0; exit 0x0" },
    { "%1 = const.i64 1; %2 = const.i64 2; setreg x0 %1; fence 1; setreg x0 %2; exit 0",
      "%0 = const.i64 0x2; fence 0x1; setreg x0 %0; exit 0x0" },
    /* a load, a store and a side exit see it */
    { "%1 = const.i64 1; %2 = const.i64 2; setreg x0 %1; %3 = load.i64.u8 %1 0; setreg x0 %2; "
      "exit 0",
      "%0 = const.i64 0x1; %1 = const.i64 0x2; setreg x0 %0; %3 = load.i64.u8 %0 0x0; "
      "setreg x0 %1; exit 0x0" },
    { "%1 = const.i64 1; %2 = const.i64 2; setreg x0 %1; store.i64.u8 %1 %1 0; setreg x0 %2; "
      "exit 0",
      "%0 = const.i64 0x1; %1 = const.i64 0x2; setreg x0 %0; store.i64.u8 %0 %0 0x0; "
      "setreg x0 %1; exit 0x0" },
    { "%1 = const.i64 1; %2 = const.i64 2; setreg x0 %1; exitcc.i64.eq %1 %2 0; setreg x0 %2; "
      "exit 0",
      "%0 = const.i64 0x1; %1 = const.i64 0x2; setreg x0 %0; exitcc.i64.eq %0 %1 0x0; "
      "setreg x0 %1; exit 0x0" },
    /* calls: reading, faulting and writing helpers see it, pure ones and those without effect on
     * registers do not */
    { "%1 = const.i64 1; %2 = const.i64 2; setreg x0 %1; %3 = call.i64 read %1 7; setreg x0 %2; "
      "exit 0",
      "%0 = const.i64 0x1; %1 = const.i64 0x2; setreg x0 %0; %3 = call.i64 read %0 0x7; "
      "setreg x0 %1; exit 0x0" },
    { "%1 = const.i64 1; %2 = const.i32 2; setreg x0 %1; %3 = call.i32 fault %1 %2 %1 7; "
      "%4 = const.i64 4; setreg x0 %4; exit 0",
      "%0 = const.i64 0x1; %1 = const.i32 0x2; setreg x0 %0; %3 = call.i32 fault %0 %1 %0 0x7; "
      "%4 = const.i64 0x4; setreg x0 %4; exit 0x0" },
    { "%1 = const.i64 1; %2 = const.i32 2; setreg x0 %1; call write %1 %2 7; "
      "%4 = getreg.i64 x0; setreg x1 %4; setreg x0 %1; exit 0",
      "%0 = const.i64 0x1; %1 = const.i32 0x2; setreg x0 %0; call write %0 %1 0x7; "
      "%4 = getreg.i64 x0; setreg x1 %4; setreg x0 %0; exit 0x0" },
    { "%1 = const.i64 1; %2 = const.i32 2; setreg x0 %1; %3 = call.i32 count %2 %1 7; "
      "setreg x0 %1; %4 = const.i64 4; setreg x0 %4; exit 0",
      "%0 = const.i64 0x1; %1 = const.i32 0x2; %2 = call.i32 count %1 %0 0x7; "
      "%3 = const.i64 0x4; setreg x0 %3; exit 0x0" },
    /* dead: pure values and pure calls go, loads and other calls stay */
    { "%1 = getreg.i64 x0; %2 = mul.i64 %1 %1; %3 = call.i64 pure3 %2 %2 %1 7; "
      "%4 = load.i64.u8 %1 0; %5 = call.i64 read %1 7; %6 = setcc.i64.eq %5 %4; leave 1",
      "%0 = getreg.i64 x0; %1 = load.i64.u8 %0 0x0; %2 = call.i64 read %0 0x7; leave 0x1" },
};

static void test_passes(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(pass_cases); i++) {
        g_autofree char *in = lines_of(pass_cases[i].in), *out = lines_of(pass_cases[i].out);
        g_autofree char *wanted = g_strconcat(out, "\n", NULL);

        parse(ir, in);
        ir_optimise(ir);
        expect(ir, wanted);
        ir_optimise(ir);
        expect(ir, wanted);
    }
}

static void test_pass_masks(void)
{
    const char *text = "%1 = const.i64 1\nsetreg x0 %1\n%2 = getreg.i64 x0\nexitind %2";

    parse(ir, text);
    ir_opt_mask = 0;
    ir_optimise(ir);
    expect(ir, "%0 = const.i64 0x1\nsetreg x0 %0\n%2 = getreg.i64 x0\nexitind %2\n");
    ir_opt_mask = IR_OPT_DEAD;
    ir_optimise(ir);
    expect(ir, "%0 = const.i64 0x1\nsetreg x0 %0\n%2 = getreg.i64 x0\nexitind %2\n");
    ir_opt_mask = IR_OPT_REGS;
    ir_optimise(ir);
    expect(ir, "%0 = const.i64 0x1\nsetreg x0 %0\n%2 = getreg.i64 x0\nexitind %0\n");
    ir_opt_mask = IR_OPT_ALL;
    ir_optimise(ir);
    expect(ir, "%0 = const.i64 0x1\nsetreg x0 %0\nexitind %0\n");
}

/* ---- The builder ---- */

static void test_room(void)
{
    unsigned n = 0;

    ir_block_reset(ir, 0x123, IR_CF_ICOUNT);
    g_assert_cmphex(ir->page_offset, ==, 0x123);
    while (ir_block_has_room(ir)) {
        ir_insn(ir, 2 * (int32_t)n, n);
        n++;
    }
    g_assert_cmpuint(n, ==, IR_MAX_GUEST_INSNS);
    ir_block_reset(ir, 0, 0);
    while (ir_block_has_room(ir)) {
        for (unsigned i = 0; i < 96; i++) {
            ir_fence(ir, true);
        }
    }
    g_assert_cmpuint(ir->n, <=, IR_MAX_INSNS);
    ir_block_reset(ir, 0, 0);
    ir_insn(ir, 4098, 0xdeadbeef);
    g_assert_false(ir->ended);
    ir_leave(ir, false);
    g_assert_true(ir->ended);
    expect(ir, "insn 0x1002 0xdeadbeef\nleave 0x0\n");
    /* Nothing is known of the registers at a new block's start. */
    ir_block_reset(ir, 0, 0);
    ir_setreg(ir, 0, ir_const(ir, IR_I64, 1));
    ir_exit(ir, 0);
    ir_block_reset(ir, 0, 0);
    ir_exitind(ir, ir_getreg(ir, 0));
    expect(ir, "%0 = getreg.i64 x0\nexitind %0\n");
}

/* ---- Verifier ---- */

typedef struct VerifyCase {
    unsigned at; /* which operation of the block below is replaced */
    IrInsn insn;
    const char *why;
} VerifyCase;

#define NONE3 IR_NONE, IR_NONE, IR_NONE

/* 0: insn; 1: getreg.i64 x0; 2: getreg.i32 w0; 3: add.i64 1 1; 4: setreg x1 3; 5: load; 6: exit */
static const VerifyCase verify_cases[] = {
    { 3, { IR_N_OPS, IR_I64, NONE3, 0 }, "no such operation" },
    { 3, { 255, IR_I64, NONE3, 0 }, "no such operation" },
    { 3, { IR_ADD, IR_I64, 1, 3, IR_NONE, 0 }, "defined before" },
    { 3, { IR_ADD, IR_I64, 1, 4000, IR_NONE, 0 }, "defined before" },
    { 3, { IR_ADD, IR_I64, IR_NONE, 1, IR_NONE, 0 }, "defined before" },
    { 3, { IR_ADD, IR_I64, 1, 0, IR_NONE, 0 }, "defined before" },
    { 3, { IR_ADD, IR_I64, 1, 2, IR_NONE, 0 }, "types" },
    { 3, { IR_ADD, IR_I32, 1, 1, IR_NONE, 0 }, "types" },
    { 3, { IR_ADD, IR_VOID, 1, 1, IR_NONE, 0 }, "types" },
    { 3, { IR_ADD, 9, 1, 1, IR_NONE, 0 }, "types" },
    { 3, { IR_NOT, IR_I32, 1, IR_NONE, IR_NONE, 0 }, "types" },
    { 3, { IR_SEXT, IR_I64, 1, IR_NONE, IR_NONE, 0 }, "types" },
    { 3, { IR_SEXT, IR_I32, 2, IR_NONE, IR_NONE, 0 }, "types" },
    { 3, { IR_TRUNC, IR_I32, 2, IR_NONE, IR_NONE, 0 }, "types" },
    { 3, { IR_CLMUL, IR_I32, 2, 2, IR_NONE, 0 }, "types" },
    { 3, { IR_SETCC, IR_I64, 2, 2, IR_NONE, IR_EQ }, "types" },
    { 3, { IR_SETCC, IR_I64, 1, 1, IR_NONE, IR_GTU + 1 }, "condition" },
    { 3, { IR_SELECT, IR_I64, 2, 1, 2, 0 }, "types" },
    { 3, { IR_SELECT, IR_I64, 2, 1, IR_NONE, 0 }, "defined before" },
    { 3, { IR_CONST, IR_I32, NONE3, 1ull << 32 }, "types" },
    { 3, { IR_CONST, IR_VOID, NONE3, 0 }, "types" },
    { 3, { IR_CONST, 7, NONE3, 0 }, "types" },
    { 3, { IR_PCREL, IR_I32, NONE3, 0 }, "types" },
    { 3, { IR_GETREG, IR_I64, NONE3, IR_RANDOM_N_REGS }, "register" },
    { 3, { IR_GETREG, IR_I64, NONE3, ONES64 }, "register" },
    { 3, { IR_GETREG, IR_I32, NONE3, 0 }, "types" },
    { 4, { IR_SETREG, IR_I64, 1, IR_NONE, IR_NONE, IR_RANDOM_N_REGS }, "register" },
    { 4, { IR_SETREG, IR_I32, 2, IR_NONE, IR_NONE, 0 }, "types" },
    { 4, { IR_SETREG, IR_I32, 1, IR_NONE, IR_NONE, 0 }, "types" },
    { 5, { IR_LOAD, IR_I64, 2, IR_NONE, IR_NONE, 0 }, "types" },
    { 5, { IR_LOAD, IR_VOID, 1, IR_NONE, IR_NONE, 0 }, "types" },
    { 5, { IR_LOAD, IR_I32, 1, IR_NONE, IR_NONE, 3ull << 32 }, "64-bit access" },
    { 5, { IR_LOAD, IR_I64, 1, IR_NONE, IR_NONE, 32ull << 32 }, "memory operation" },
    { 5, { IR_STORE, IR_I64, 1, 2, IR_NONE, 0 }, "types" },
    { 5, { IR_STORE, IR_I32, 1, 2, IR_NONE, 3ull << 32 }, "64-bit access" },
    { 5, { IR_STORE, IR_I64, 1, IR_NONE, IR_NONE, 0 }, "defined before" },
    { 5, { IR_FENCE, IR_VOID, NONE3, 2 }, "neither 0 nor 1" },
    { 5, { IR_FENCE, IR_I64, NONE3, 1 }, "types" },
    { 5, { IR_CALL, IR_I64, NONE3, 1000 }, "helper" },
    { 5, { IR_CALL, IR_I64, 2, IR_NONE, IR_NONE, 3 }, "types" },
    { 5, { IR_CALL, IR_I32, 1, IR_NONE, IR_NONE, 3 }, "types" },
    { 5, { IR_CALL, IR_I64, NONE3, 3 }, "defined before" },
    { 5, { IR_EXITCC, IR_I64, 1, 2, IR_NONE, 0 }, "types" },
    { 5, { IR_EXITCC, IR_I64, 1, 1, IR_NONE, 10ull << 32 }, "condition" },
    { 5, { IR_EXIT, IR_VOID, NONE3, 0 }, "after the end" },
    { 6, { IR_FENCE, IR_VOID, NONE3, 0 }, "no end" },
    { 6, { IR_EXIT, IR_VOID, NONE3, 1ull << 31 }, "page offset" },
    { 6, { IR_EXIT, IR_I64, NONE3, 0 }, "types" },
    { 6, { IR_EXITIND, IR_VOID, 2, IR_NONE, IR_NONE, 0 }, "types" },
    { 6, { IR_EXITIND, IR_I64, 1, IR_NONE, IR_NONE, 0 }, "types" },
    { 6, { IR_LEAVE, IR_VOID, NONE3, 2 }, "neither 0 nor 1" },
    { 0, { IR_INSN, IR_VOID, 0, 0, IR_NONE, 1ull << 40 }, "page offset" },
    { 0, { IR_FENCE, IR_VOID, NONE3, 0 }, "miscounted" },
};

static void test_verify(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(verify_cases); i++) {
        const VerifyCase *c = &verify_cases[i];
        g_autoptr(GError) error = NULL;
        g_autoptr(GString) text = g_string_new(NULL);

        parse(ir, "insn 0 0\n%1 = getreg.i64 x0\n%2 = getreg.i32 w0\n%3 = add.i64 %1 %1\n"
                  "setreg x1 %1\n%4 = load.i64.u8 %1 0\nexit 0");
        ir->insns[c->at] = c->insn;
        g_assert_false(ir_verify(ir, &error));
        if (!strstr(error->message, c->why)) {
            g_error("case %u: '%s', not '%s'", i, error->message, c->why);
        }
        ir_print(ir, text); /* whatever it is */
    }
}

static void test_verify_empty(void)
{
    g_autoptr(GError) error = NULL;

    ir_block_reset(ir, 0, 0);
    g_assert_false(ir_verify(ir, &error));
    g_assert_nonnull(strstr(error->message, "no end"));
}

/* ---- Text ---- */

static const TextCase parse_errors[] = {
    { "", "no end" },
    { "nop", "line 1: no such operation" },
    { "\n\n\nfoo.i64", "line 4: no such operation" },
    { "%1 = ", "line 1: no such operation" },
    { "%1", "'=' expected" },
    { "%1 add.i64", "'=' expected" },
    { "%x = const.i64 1", "value expected" },
    { "% = const.i64 1", "value expected" },
    { "%99999 = const.i64 1", "value number" },
    { "%99999999999999999999 = const.i64 1", "value number" },
    { "%1 = const.i8 1", "no such type" },
    { "%1 = const.i64.x 1", "unexpected suffix" },
    { "%1 = const 1", "types" },
    { "%1 = const.i64", "number expected" },
    { "%1 = const.i64 x", "number expected" },
    { "%1 = const.i64 0x", "not a number" },
    { "%1 = const.i64 1z", "not a number" },
    { "%1 = const.i64 -", "number expected" },
    { "%1 = const.i64 0x10000000000000000", "out of range" },
    { "%1 = const.i64 -0x8000000000000001", "out of range" },
    { "%1 = const.i32 0x100000000", "out of range" },
    { "%1 = const.i32 -0x80000001", "out of range" },
    { "%1 = const.i64 1 2", "unexpected" },
    { "%1 = pcrel.i64 0x8000000000000000", "out of range" },
    { "exit 0x80000000", "out of range" },
    { "insn 0", "number expected" },
    { "insn 0 -1", "out of range" },
    { "insn 0 0x100000000", "out of range" },
    { "insn 0x100000000 0", "out of range" },
    { "%1 = getreg.i64 a9", "no such register" },
    { "%1 = getreg.i64", "no such register" },
    { "%1 = getreg.i32 x0", "types" },
    { "setreg x0 %1", "before it is defined" },
    { "setreg x0 1", "value expected" },
    { "setreg x0", "value expected" },
    { "%1 = const.i64 1\n%1 = const.i64 2", "line 2: value defined twice" },
    { "%1 = exit 0", "no value is defined" },
    { "%1 = const.i64 1\nsetreg x0 %1 %1", "unexpected" },
    { "%1 = const.i64 1\n%2 = load.i64 %1 0", "memory operation" },
    { "%1 = const.i64 1\n%2 = load.i64.u128 %1 0", "memory operation" },
    { "%1 = const.i64 1\n%2 = load.i64.x8 %1 0", "memory operation" },
    { "%1 = const.i64 1\n%2 = load.i64.u8le %1 0", "memory operation" },
    { "%1 = const.i64 1\n%2 = load.i64.u8 %1 0x80000000", "out of range" },
    { "%1 = const.i64 1\n%2 = setcc.i64.below %1 %1", "condition" },
    { "%1 = const.i64 1\n%2 = setcc.i64 %1 %1", "condition" },
    { "call nothing 0", "no such helper" },
    { "%1 = call.i64 pure0 -1", "out of range" },
    { "%1 = call.i64 pure0 0x100000000", "out of range" },
    { "a b c d e f g h i", "too many words" },
    { "exit 0\nexit 0", "after the end" },
    { "%1 = const.i64 1", "no end" },
};

static void test_parse_errors(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(parse_errors); i++) {
        g_autoptr(GError) error = NULL;

        if (ir_parse(ir, parse_errors[i].in, &error)) {
            g_error("accepted: %s", parse_errors[i].in);
        }
        if (!strstr(error->message, parse_errors[i].out)) {
            g_error("'%s': '%s', not '%s'", parse_errors[i].in, error->message,
                    parse_errors[i].out);
        }
    }
}

static void test_parse_limits(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < IR_MAX_INSNS - 1; i++) {
        g_string_append(text, "fence 0\n");
    }
    g_string_append(text, "exit 0\n");
    parse(ir, text->str);
    g_string_prepend(text, "fence 0\n");
    g_assert_false(ir_parse(ir, text->str, &error));
    g_assert_nonnull(strstr(error->message, "too many operations"));
    g_clear_error(&error);
    /* Nothing is wanted of the error. */
    g_assert_false(ir_parse(ir, "junk", NULL));
}

static void test_text(void)
{
    parse(ir, "# a comment\n\n  insn 16 0x12345678\r\n%7 = getreg.i64 x3\n\t%3 = const.i32 -1\n"
              "%9 = call.i32 fault %7 %3 %7 4294967295\nsetreg w1 %9\n"
              "%10 = const.i64 0xffffffffffffffff\nstore.i64.u16beal %7 %10 -4\n"
              "exitcc.i32.leu %3 %9 -2048\nexit -2147483648");
    g_assert_cmpuint(ir->n_guest_insns, ==, 1);
    g_assert_cmphex(ir->page_offset, ==, 16);
    g_assert_true(ir->ended);
    expect(ir, "insn 0x10 0x12345678\n%1 = getreg.i64 x3\n%2 = const.i32 0xffffffff\n"
               "%3 = call.i32 fault %1 %2 %1 0xffffffff\nsetreg w1 %3\n"
               "%5 = const.i64 0xffffffffffffffff\nstore.i64.u16beal %1 %5 -0x4\n"
               "exitcc.i32.leu %2 %3 -0x800\nexit -0x80000000\n");
}

static bool same_insns(const IrBlock *a, const IrBlock *b)
{
    return a->n == b->n && !memcmp(a->insns, b->insns, a->n * sizeof(IrInsn)) &&
           a->n_guest_insns == b->n_guest_insns && a->page_offset == b->page_offset;
}

static void test_text_random(void)
{
    for (unsigned i = 0; i < 500; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        IrRandom r;

        ir_random_seed(&r, i);
        ir_random_block(&r, ir, 0);
        if (i % 2) {
            ir_optimise(ir);
        }
        ir_print(ir, text);
        parse(ir2, text->str);
        g_assert_true(same_insns(ir, ir2));
    }
}

/* Changes, drops or repeats a few pieces of @text. */
static void mutate(IrRandom *r, GString *text)
{
    static const char alphabet[] = "%.-0123456789abcdefilmnorstux \n=#\t\x80\xff";

    for (unsigned n = 1 + ir_random_below(r, 4); n && text->len; n--) {
        unsigned at = ir_random_below(r, (unsigned)text->len);
        unsigned from = ir_random_below(r, (unsigned)text->len), len = 1 + ir_random_below(r, 40);
        char c = alphabet[ir_random_below(r, sizeof(alphabet) - 1)];
        g_autofree char *piece = g_strndup(text->str + from, len);

        switch (ir_random_below(r, 4)) {
        case 0:
            text->str[at] = c;
            break;
        case 1:
            g_string_insert_c(text, at, c);
            break;
        case 2:
            g_string_erase(text, at, MIN(len % 8, (unsigned)text->len - at));
            break;
        default:
            g_string_insert(text, at, piece);
        }
    }
}

/* Hostile text never crashes; what is accepted is well formed, and prints as what it is. */
typedef struct SpinCase {
    const char *text;
    bool spin;
} SpinCase;

static const SpinCase spin_cases[] = {
    /* 1: load; beqz 1b; the rest of the block does not count */
    { "insn 0 0; %1 = getreg.i64 x0; %2 = load.i64.u32 %1 0; setreg x1 %2; %3 = const.i64 0; "
      "exitcc.i64.eq %2 %3 0; store.i64.u64 %1 %2 0; exit 8",
      true },
    /* the load at the loop's end is what the compare at its start sees: a ticket lock */
    { "insn 0 0; %1 = getreg.i64 x3; %2 = getreg.i64 x4; %3 = and.i64 %1 %2; setreg x1 %3; "
      "%4 = getreg.i64 x2; exitcc.i64.eq %4 %3 16; %5 = getreg.i64 x0; %6 = load.i64.s32 %5 0; "
      "setreg x3 %6; fence 0; exit 0",
      true },
    /* the address of the load comes from memory that nobody here changes */
    { "insn 0 0; %1 = getreg.i64 x0; %2 = load.i64.u64 %1 0; %3 = load.i64.u64 %2 0; "
      "setreg x1 %3; exit 0",
      true },
    /* a pointer that moves on */
    { "insn 0 0; %1 = getreg.i64 x0; %2 = load.i64.u8 %1 0; %3 = const.i64 1; "
      "%4 = add.i64 %1 %3; setreg x0 %4; %5 = const.i64 0; exitcc.i64.ne %2 %5 0; exit 8",
      false },
    /* a list: the pointer comes from the pointer */
    { "insn 0 0; %1 = getreg.i64 x0; %2 = load.i64.u64 %1 0; setreg x0 %2; %3 = const.i64 0; "
      "exitcc.i64.ne %2 %3 0; exit 8",
      false },
    /* two registers that take turns */
    { "insn 0 0; %1 = getreg.i64 x0; %2 = getreg.i64 x1; setreg x1 %1; setreg x0 %2; exit 0",
      false },
    /* a store, and no way back to the start */
    { "insn 0 0; %1 = getreg.i64 x0; %2 = load.i64.u64 %1 0; store.i64.u64 %1 %2 8; exit 0",
      false },
    { "insn 0 0; %1 = getreg.i64 x0; %2 = load.i64.u64 %1 0; setreg x1 %2; exit 4", false },
};

static void test_spin(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(spin_cases); i++) {
        g_autofree char *text = g_strdelimit(g_strdup(spin_cases[i].text), ";", '\n');

        parse(ir, text);
        if (ir_is_spin(ir) != spin_cases[i].spin) {
            g_error("spin case %u", i);
        }
    }
}

static void test_text_fuzz(void)
{
    unsigned accepted = 0, n = g_test_slow() ? 500000 : 5000;
    IrRandom r;

    for (unsigned i = 0; i < n; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autoptr(GString) again = g_string_new(NULL);
        g_autoptr(GError) error = NULL;

        ir_random_seed(&r, i / 50);
        do {
            ir_random_block(&r, ir, 0);
        } while (ir->n > 80);
        ir_print(ir, text);
        ir_random_seed(&r, i + 1000000);
        mutate(&r, text);
        if (!ir_parse(ir, text->str, &error)) {
            g_assert_nonnull(error);
            continue;
        }
        accepted++;
        verify(ir);
        ir_print(ir, again);
        parse(ir2, again->str);
        g_assert_true(same_insns(ir, ir2));
        ir_optimise(ir);
        verify(ir);
    }
    g_test_message("%u of %u accepted", accepted, n);
}

/* ---- Interpreter ---- */

static void start_cpu(void)
{
    IrRandom r;

    ir_random_seed(&r, 5);
    ir_random_cpu_init(&r, &cpu_a);
    memset(cpu_a.mem, 0, sizeof(cpu_a.mem));
    cpu_a.pc_page = 0x80001000;
    cpu_a.icount_left = 10;
}

static void test_interp_exits(void)
{
    start_cpu();
    parse(ir, "insn 4 0\nexit -0x10");
    ir_random_interp(ir, &cpu_a);
    g_assert_cmpint(cpu_a.exit, ==, TCG_EXIT_DIRECT);
    g_assert_cmphex(cpu_a.arg[0], ==, -16ull);
    g_assert_cmphex(cpu_a.pc, ==, 0x80000ff0);
    g_assert_true(cpu_a.at == &ir->insns[0]);

    parse(ir, "insn 4 0\n%1 = const.i64 1\n%2 = const.i64 2\nexitcc.i64.gt %1 %2 8\n"
              "insn 8 0\nexitcc.i64.lt %1 %2 -4096\nexit 0");
    ir_random_interp(ir, &cpu_a);
    g_assert_cmpint(cpu_a.exit, ==, TCG_EXIT_DIRECT);
    g_assert_cmphex(cpu_a.pc, ==, 0x80000000);
    g_assert_true(cpu_a.at == &ir->insns[4]);

    parse(ir, "insn 4 0\n%1 = pcrel.i64 -2\nexitind %1");
    ir_random_interp(ir, &cpu_a);
    g_assert_cmpint(cpu_a.exit, ==, TCG_EXIT_INDIRECT);
    g_assert_cmphex(cpu_a.pc, ==, 0x80000ffe);

    parse(ir, "insn 4 0\nleave 1");
    ir_random_interp(ir, &cpu_a);
    g_assert_cmpint(cpu_a.exit, ==, TCG_EXIT_LEAVE);
    g_assert_cmphex(cpu_a.pc, ==, 0x80000ffe);
    g_assert_cmpint(cpu_a.icount_left, ==, 10);
}

static void test_interp_icount(void)
{
    start_cpu();
    parse(ir, "insn 0 0\n%1 = getreg.i64 x0\n%2 = const.i64 0\nexitcc.i64.eq %1 %2 8\n"
              "insn 4 0\ninsn 8 0\nexit 12");
    ir->cflags = IR_CF_ICOUNT;
    cpu_a.x[0] = 1;
    ir_random_interp(ir, &cpu_a);
    g_assert_cmpint(cpu_a.exit, ==, TCG_EXIT_DIRECT);
    g_assert_cmpint(cpu_a.icount_left, ==, 7);
    cpu_a.x[0] = 0; /* out at the side: one insn */
    ir_random_interp(ir, &cpu_a);
    g_assert_cmpint(cpu_a.icount_left, ==, 6);
    cpu_a.icount_left = 2;
    cpu_a.at = NULL;
    ir_random_interp(ir, &cpu_a);
    g_assert_cmpint(cpu_a.exit, ==, TCG_EXIT_ICOUNT);
    g_assert_cmpint(cpu_a.icount_left, ==, 2);
    g_assert_null(cpu_a.at);
    cpu_a.icount_left = 3;
    cpu_a.x[0] = 1;
    ir_random_interp(ir, &cpu_a);
    g_assert_cmpint(cpu_a.icount_left, ==, 0);
    /* A fault in the second insn: that one is counted until the run loop takes it back. */
    parse(ir, "insn 0 0\ninsn 4 0\n%1 = const.i64 0\n%2 = load.i64.u8 %1 0\nexit 0");
    ir->cflags = IR_CF_ICOUNT;
    cpu_a.icount_left = 10;
    ir_random_interp(ir, &cpu_a);
    g_assert_true(cpu_a.faulted);
    g_assert_cmphex(cpu_a.pc, ==, 0x80001004);
    g_assert_cmpint(cpu_a.icount_left, ==, 9);
}

static void test_interp_memory(void)
{
    start_cpu();
    memcpy(cpu_a.mem + 0x100, "\x81\x82\x83\x84\x85\x86\x87\x88", 8);
    parse(ir, "insn 0 0\n%1 = const.i64 0x10108\n%2 = load.i64.s8 %1 -8\nsetreg x0 %2\n"
              "%3 = load.i64.u16be %1 -8\nsetreg x1 %3\n%4 = load.i32.s16 %1 -8\nsetreg w0 %4\n"
              "%5 = load.i64.s32 %1 -8\nsetreg x2 %5\n%6 = load.i64.u64be %1 -8\nsetreg x3 %6\n"
              "store.i64.u32be %1 %6 0\nstore.i32.u8 %1 %4 7\nexit 0");
    ir_random_interp(ir, &cpu_a);
    g_assert_cmphex(cpu_a.x[0], ==, -0x7full);
    g_assert_cmphex(cpu_a.x[1], ==, 0x8182);
    g_assert_cmphex(cpu_a.w[0], ==, 0xffff8281);
    g_assert_cmphex(cpu_a.x[2], ==, 0xffffffff84838281);
    g_assert_cmphex(cpu_a.x[3], ==, 0x8182838485868788);
    g_assert_cmpmem(cpu_a.mem + 0x108, 8, "\x85\x86\x87\x88\0\0\0\x81", 8);
}

/* A fault leaves the registers as the insns before it did. */
static void test_interp_fault(void)
{
    start_cpu();
    cpu_a.x[0] = cpu_a.x[1] = 0;
    parse(ir, "insn 0 1\n%1 = const.i64 1\nsetreg x0 %1\ninsn 4 2\n%2 = const.i64 3\n"
              "%3 = const.i32 0\n%4 = call.i32 fault %2 %3 %2 0\nsetreg x1 %1\nexit 0");
    ir_random_interp(ir, &cpu_a);
    g_assert_true(cpu_a.faulted);
    g_assert_cmphex(cpu_a.x[0], ==, 1);
    g_assert_cmphex(cpu_a.x[1], ==, 0);
    g_assert_true(cpu_a.at == &ir->insns[3]);
}

/* Every pure operation, in the interpreter and as the builder folds it, against ir_eval(). */
static void test_interp_operations(void)
{
    IrRandom r;

    start_cpu();
    ir_random_seed(&r, 6);
    for (unsigned n = 0; n < 20000; n++) {
        IrOp op = (IrOp)(IR_ADD + n % (IR_TRUNC - IR_ADD + 1));
        bool narrow = op != IR_CLMUL && op != IR_CLMULH && op != IR_TRUNC && n / 64 % 2;
        IrType type = op == IR_SEXT || op == IR_ZEXT || narrow ? IR_I32 : IR_I64;
        uint64_t a = ir_random_edge(&r), b = ir_random_edge(&r), wanted;
        IrType result = op == IR_SEXT || op == IR_ZEXT ? IR_I64 : op == IR_TRUNC ? IR_I32 : type;
        IrVal va, vb, v;

        wanted = ir_eval(op, result, type, 0, a, b, 0);
        ir_block_reset(ir, 0, 0);
        ir_opt_mask = n / 128 % 2 ? IR_OPT_ALL : 0;
        va = ir_const(ir, type, a);
        vb = ir_const(ir, type, b);
        v = ir_op_info[op].n_args == 2 ? ir_binary(ir, op, va, vb) : ir_unary(ir, op, va);
        ir_opt_mask = IR_OPT_ALL;
        g_assert_cmpint(ir_type(ir, v), ==, result);
        ir_setreg(ir, result_reg(result), v);
        ir_exit(ir, 0);
        verify(ir);
        ir_random_interp(ir, &cpu_a);
        g_assert_cmphex(result == IR_I64 ? cpu_a.x[2] : cpu_a.w[2], ==, wanted);
    }
}

/* ---- Random programs ---- */

static void report(unsigned seed, const char *why)
{
    g_autoptr(GString) text = g_string_new(NULL);

    ir_print(ir, text);
    g_string_append(text, "-- optimised --\n");
    ir_print(ir2, text);
    g_error("seed %u:\n%s\n%s", seed, why, text->str);
}

/* The program of @seed, plain in ir and optimised as @mask says in ir2, run on the same states. */
static unsigned try_seed(unsigned seed, unsigned mask, uint32_t cflags)
{
    g_autoptr(GString) why = g_string_new(NULL);
    unsigned faults = 0;
    IrRandom r;

    ir_random_seed(&r, seed);
    ir_opt_mask = 0;
    ir_random_block(&r, ir, cflags);
    ir_random_seed(&r, seed);
    ir_opt_mask = mask;
    ir_random_block(&r, ir2, cflags);
    ir_optimise(ir2);
    ir_opt_mask = IR_OPT_ALL;
    verify(ir);
    verify(ir2);
    for (unsigned n = 0; n < 4; n++) {
        ir_random_cpu_init(&r, &cpu_start);
        cpu_start.trace = true;
        ir_random_cpu_copy(&cpu_a, &cpu_start);
        ir_random_cpu_copy(&cpu_b, &cpu_start);
        ir_random_interp(ir, &cpu_a);
        ir_random_interp(ir2, &cpu_b);
        if (!ir_random_cpu_same(&cpu_a, &cpu_b, why)) {
            report(seed, why->str);
        }
        faults += cpu_a.faulted;
    }
    return faults;
}

static void test_random(void)
{
    unsigned n = g_test_slow() ? 200000 : 10000, faults = 0;

    for (unsigned i = 0; i < n; i++) {
        faults += try_seed(i, i % 3 ? IR_OPT_ALL : i / 3 % 8, i % 4 ? 0 : IR_CF_ICOUNT);
    }
    g_assert_cmpuint(faults, >, n / 4);
    g_assert_cmpuint(faults, <, 3 * n);
    g_test_message("%u blocks, %u of %u runs faulted", n, faults, 4 * n);
}

/* ---- Speed ---- */

static double cpu_time_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* 56 insns as a RISC-V target would build them: lw, addw, addi, sd, slli, srli, branch. */
static void build_typical(IrBlock *b)
{
    ir_block_reset(b, 0, 0);
    for (int32_t pc = 0; pc < 8 * 28; pc += 28) {
        IrVal v;

        ir_insn(b, pc, 0);
        ir_setreg(b, 1, ir_load(b, IR_I64, ir_getreg(b, 2), 8, IR_MEM_32 | IR_MEM_SIGN));
        ir_insn(b, pc + 4, 0);
        v = ir_trunc(b, ir_getreg(b, 1));
        ir_setreg(b, 1, ir_sext(b, ir_add(b, v, ir_trunc(b, ir_getreg(b, 3)))));
        ir_insn(b, pc + 8, 0);
        ir_setreg(b, 2, ir_addi(b, ir_getreg(b, 2), 16));
        ir_insn(b, pc + 12, 0);
        v = ir_getreg(b, 1);
        ir_store(b, ir_getreg(b, 4), 24, IR_MEM_64, v);
        ir_insn(b, pc + 16, 0);
        ir_setreg(b, 5, ir_shl(b, ir_getreg(b, 1), ir_const(b, IR_I64, 32)));
        ir_insn(b, pc + 20, 0);
        ir_setreg(b, 5, ir_shr(b, ir_getreg(b, 5), ir_const(b, IR_I64, 32)));
        ir_insn(b, pc + 24, 0);
        v = ir_getreg(b, 5);
        ir_exitcc(b, IR_LT, v, ir_getreg(b, 6), 64);
    }
    ir_exit(b, 8 * 28);
}

/* Best of a few rounds: ns to build the block @n times, and to optimise it if asked. */
static double time_typical(unsigned n, bool optimise)
{
    double best = 1e18;

    for (unsigned round = 0; round < 5; round++) {
        double start = cpu_time_ns();

        for (unsigned i = 0; i < n; i++) {
            build_typical(ir);
            if (optimise) {
                ir_optimise(ir);
            }
        }
        best = MIN(best, cpu_time_ns() - start);
    }
    return best / n;
}

static void test_speed(void)
{
    unsigned n = g_test_perf() ? 20000 : 500, n_ops;
    double build = time_typical(n, false), all;

    n_ops = ir->n;
    all = time_typical(n, true);
    g_test_minimized_result(all / n_ops, "%.1f ns an operation built and optimised (%.1f + %.1f)",
                            all / n_ops, build / n_ops, (all - build) / n_ops);
    g_test_minimized_result(all / 56, "%.1f ns a guest instruction (budget of a translation: 250)",
                            all / 56);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    ir = ir_block_new(&ir_random_target);
    ir2 = ir_block_new(&ir_random_target);
    g_test_add_func("/ir/eval/edges", test_eval_edges);
    g_test_add_func("/ir/eval/clmul", test_eval_clmul);
    g_test_add_func("/ir/eval/laws", test_eval_laws);
    g_test_add_func("/ir/eval/conditions", test_conditions);
    g_test_add_func("/ir/fold/rules", test_fold);
    g_test_add_func("/ir/fold/off", test_fold_off);
    g_test_add_func("/ir/fold/forward", test_forward);
    g_test_add_func("/ir/passes/text", test_passes);
    g_test_add_func("/ir/passes/masks", test_pass_masks);
    g_test_add_func("/ir/build/room", test_room);
    g_test_add_func("/ir/verify/refusals", test_verify);
    g_test_add_func("/ir/verify/empty", test_verify_empty);
    g_test_add_func("/ir/text/errors", test_parse_errors);
    g_test_add_func("/ir/text/limits", test_parse_limits);
    g_test_add_func("/ir/text/forms", test_text);
    g_test_add_func("/ir/text/random", test_text_random);
    g_test_add_func("/ir/text/fuzz", test_text_fuzz);
    g_test_add_func("/ir/interp/exits", test_interp_exits);
    g_test_add_func("/ir/interp/icount", test_interp_icount);
    g_test_add_func("/ir/interp/memory", test_interp_memory);
    g_test_add_func("/ir/interp/fault", test_interp_fault);
    g_test_add_func("/ir/interp/operations", test_interp_operations);
    g_test_add_func("/ir/spin", test_spin);
    g_test_add_func("/ir/random", test_random);
    g_test_add_func("/ir/speed", test_speed);
    status = g_test_run();
    ir_block_free(ir);
    ir_block_free(ir2);
    return status;
}
