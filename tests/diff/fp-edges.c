/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every floating-point instruction on all pairs of edge values (fused ones: triples of fewer), in all rounding modes, named in the insn and
 * from frm, with accrued exceptions clear and set: the JIT against integers (fp-reference.h).
 *
 *     fp-edges [--features MASK] [--opt MASK] [--only INSN]
 *
 * A block is the insn and one that reads the exceptions. Singles also come by fmv.w.x, so that the compiler knows them to be boxed.
 * Registers differ, or the destination is an operand. A difference is printed with all that it needs, twenty at most an insn.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "target/riscv/csr.h"
#include "tcg/x86_64/features.h"
#include "tests/diff/diff.h"
#include "tests/diff/fp-reference.h"

enum { CODE = 0x1000, MAX_VALUES = 80, MAX_SHOWN = 20, RM_DYN = 7, ALL_FLAGS = 31 };
/* Registers of both kinds; of x, 10 is pinned in the host and 28 is not. */
enum { REG_D = 10, REG_A = 11, REG_B = 28, REG_C = 14, REG_FLAGS = 29 };

typedef struct Values {
    uint64_t v[MAX_VALUES];
    unsigned n;
} Values;

/* One compiled form of an instruction. */
typedef struct Form {
    const FpOp *op;
    unsigned rm_field, frm;
    bool boxed;  /* operands come by fmv.w.x */
    unsigned rd; /* REG_D, or an operand's */
    unsigned n_insns;
    CodeBlock *block;
    unsigned shown;
} Form;

static uint64_t n_compared;
static unsigned opt_mask = IR_OPT_ALL;

/* ---- Values ---- */

static void add_value(Values *list, uint64_t v)
{
    g_assert(list->n < MAX_VALUES);
    list->v[list->n++] = v;
}

/* @bits and its negative, boxed. */
static void add_both(Values *list, const FpuFormat *f, uint64_t bits)
{
    unsigned width = 1 + f->exp_bits + f->frac_bits;
    uint64_t upper = width == 64 ? 0 : ~0ull << width;

    add_value(list, upper | bits);
    add_value(list, upper | bits | 1ull << (width - 1));
}

/* 2^@exp + @ulps */
static uint64_t power(const FpuFormat *f, int exp, int64_t ulps)
{
    int bias = (1 << (f->exp_bits - 1)) - 1;

    return ((uint64_t)(exp + bias) << f->frac_bits) + (uint64_t)ulps;
}

/* @few: those that matter to fused operations. */
static Values edge_values(const FpuFormat *f, bool few)
{
    uint64_t normal = 1ull << f->frac_bits, inf = ((1ull << f->exp_bits) - 1) << f->frac_bits;
    int bias = (1 << (f->exp_bits - 1)) - 1, half = bias / 2 + (int)f->frac_bits / 2;
    Values list = { .n = 0 };

    add_both(&list, f, 0);
    add_both(&list, f, 1);          /* least subnormal */
    add_both(&list, f, normal - 1); /* greatest subnormal */
    add_both(&list, f, normal);     /* least normal */
    add_both(&list, f, power(f, 0, 0));
    add_both(&list, f, power(f, 0, 1));
    add_both(&list, f, power(f, 0, -1));
    add_both(&list, f, inf - 1); /* greatest */
    add_both(&list, f, inf);
    add_value(&list, list.v[list.n - 2] | (normal >> 1)); /* canonical NaN */
    add_value(&list, list.v[list.n - 2] | 1);             /* -inf | 1: signaling */
    if (few) {
        add_both(&list, f, power(f, -1, 0) | normal >> 1);
        add_both(&list, f, power(f, -half, 3)); /* products about the least subnormal */
        add_both(&list, f, power(f, -half, 0));
        add_both(&list, f, normal + 1);
        add_both(&list, f, power(f, -(int)f->frac_bits - 1, 0)); /* half of an ulp of 1 */
        return list;
    }
    add_both(&list, f, inf | normal >> 1 | 5); /* NaNs with payloads */
    add_both(&list, f, inf | 3);
    add_both(&list, f, normal + 1);
    add_both(&list, f, power(f, -1, 0)); /* 0.5: ties */
    add_both(&list, f, power(f, -1, 1));
    add_both(&list, f, power(f, -1, -1));
    add_both(&list, f, power(f, 0, 0) | normal >> 1); /* 1.5 */
    add_both(&list, f, power(f, 1, 0) | normal >> 2); /* 2.5 */
    add_both(&list, f, power(f, -half, 3));
    add_both(&list, f, power(f, -bias / 2, -1));
    if (f->exp_bits < 8) {
        return list;
    }
    for (int exp = 31; exp <= 64; exp += exp < 33 ? 1 : 31) { /* 31 32 33, then 64 */
        add_both(&list, f, power(f, exp, 0));
        add_both(&list, f, power(f, exp, -1));
    }
    add_both(&list, f, power(f, 63, 0));
    add_both(&list, f, power(f, 63, -1));
    if (f->frac_bits > 32) {
        add_both(&list, f, power(f, 31, 0) | 1ull << 20);   /* 2^31 + 0.5 */
        add_both(&list, f, power(f, 31, 0) - (1ull << 21)); /* 2^31 - 0.5 */
        add_both(&list, f, power(f, 31, 0) | 1ull << 21);   /* 2^31 + 1 */
    } else {
        add_value(&list, 0x3f800000); /* not boxed */
        add_value(&list, 0xfffffffe3f800000);
        add_value(&list, 0x7fffffffff800000);
    }
    return list;
}

static Values integer_values(void)
{
    static const uint64_t some[] = { 0,
                                     1,
                                     2,
                                     3,
                                     0xffffff,
                                     0x1000001,
                                     0x1000002,
                                     0x1000003,
                                     0x2000003,
                                     0x7fffff80,
                                     0x7fffffff,
                                     0x80000000,
                                     0x80000001,
                                     0xffffff80,
                                     0xffffffff,
                                     0x100000000,
                                     0x100000001,
                                     0x1fffffffffffff,
                                     0x20000000000001,
                                     0x20000000000003,
                                     0x40000000000002,
                                     0x7fffffbfffffffff,
                                     0x7fffffc000000000,
                                     0x7ffffffffffffdff,
                                     0x7ffffffffffffe00,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0x8000000000000001,
                                     0x8000000000000400,
                                     0xfffffffffffffbff,
                                     0xfffffffffffffc00,
                                     0xaaaaaaaa55555555 };
    Values list = { .n = 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(some); i++) {
        add_value(&list, some[i]);
        add_value(&list, -some[i]);
    }
    return list;
}

static Values values_for(const FpOp *op)
{
    return op->from ? edge_values(op->from, op->n_args == 3) : integer_values();
}

/* ---- Forms ---- */

static uint32_t encode(const Form *form)
{
    const FpOp *op = form->op;
    uint32_t w = op->entry->match | form->rd << 7 | REG_A << 15;

    w |= op->n_args > 1 ? REG_B << 20 : 0;
    w |= op->n_args > 2 ? (uint32_t)REG_C << 27 : 0;
    return op->has_rm ? w | form->rm_field << 12 : w;
}

static unsigned write_form(const Form *form, uint32_t *code)
{
    static const uint8_t regs[] = { REG_A, REG_B, REG_C };
    unsigned n = 0;

    for (unsigned i = 0; form->boxed && i < form->op->n_args; i++) {
        code[n++] = 0xf0000053 | (uint32_t)regs[i] << 15 | (uint32_t)regs[i] << 7; /* fmv.w.x */
    }
    code[n++] = encode(form);
    code[n++] = 0x00102073 | REG_FLAGS << 7; /* frflags */
    return n;
}

/* Compiles it where the last one was. */
static void make_form(Form *form)
{
    static IrBlock *ir;
    uint8_t *host = memory_region_host(&diff_ram);
    BlockKey key = { .phys = (uint64_t)(host - ram_base) + CODE, .phys2 = BLOCK_PAGE2_NONE };
    uint32_t code[8];

    ir = ir ? ir : ir_block_new(&diff_jit_cpu->parent.ops->ir);
    form->n_insns = write_form(form, code);
    memcpy(host + CODE, code, form->n_insns * 4);
    memory_written(host + CODE, sizeof(code));
    diff_jit_cpu->frm = form->frm;
    diff_jit_cpu->mstatus |= RV_MSTATUS_FS;
    diff_start(diff_jit_cpu, DIFF_RAM_BASE + CODE);
    key.mode = diff_jit_cpu->parent.ops->block_mode(&diff_jit_cpu->parent);
    diff_build(ir, &key, opt_mask, form->n_insns);
    g_assert(ir->n_guest_insns == form->n_insns);
    form->block = diff_publish(ir, &key);
    g_assert(form->block);
}

static void set_operand(const Form *form, unsigned reg, uint64_t value)
{
    if (form->op->from) {
        diff_jit_cpu->f[reg] = form->boxed ? 0 : value;
    }
    if (!form->op->from || form->boxed) {
        diff_jit_cpu->x[reg] = value;
    }
}

/* Runs the form; its result. */
static uint64_t run_form(const Form *form, const uint64_t args[3], uint32_t flags,
                         uint32_t *flags_after)
{
    Cpu *cpu = &diff_jit_cpu->parent;

    diff_jit_cpu->f[REG_D] = diff_jit_cpu->x[REG_D] = 0x1234;
    set_operand(form, REG_A, args[0]);
    set_operand(form, REG_B, args[1]);
    set_operand(form, REG_C, args[2]);
    tcg_fp_set_flags(&cpu->fp, flags);
    cpu->pc = DIFF_RAM_BASE + CODE;
    tcg_fp_enter(&cpu->fp);
    diff_enter(form->block);
    tcg_fp_leave(&cpu->fp);
    cpu->host_pc = 0;
    *flags_after = tcg_fp_flags(&cpu->fp);
    return form->op->to ? diff_jit_cpu->f[form->rd] : diff_jit_cpu->x[form->rd];
}

static void compare(Form *form, const uint64_t args[3], uint32_t flags)
{
    uint32_t right_flags = flags, after;
    uint64_t right = fp_reference(form->op, form->rm_field == RM_DYN ? form->frm : form->rm_field,
                                  args, &right_flags);
    uint64_t got = run_form(form, args, flags, &after);

    n_compared++;
    if (got == right && after == right_flags && diff_jit_cpu->x[REG_FLAGS] == right_flags) {
        return;
    }
    if (form->shown++ < MAX_SHOWN) {
        printf("# %s rm %u frm %u%s rd %u, flags %#x: %#" PRIx64 " %#" PRIx64 " %#" PRIx64
               " gives %#" PRIx64 " flags %#x (read %#" PRIx64 "), right is %#" PRIx64
               " flags %#x\n",
               form->op->entry->name, form->rm_field, form->frm, form->boxed ? " boxed" : "",
               form->rd, flags, args[0], args[1], args[2], got, after, diff_jit_cpu->x[REG_FLAGS],
               right, right_flags);
    }
}

static bool is_boxed(uint64_t v)
{
    return v >> 32 == UINT32_MAX;
}

/* All combinations of @values on one form. */
static void compare_all(Form *form, const Values *values)
{
    unsigned n_b = form->op->n_args > 1 ? values->n : 1, n_c = form->op->n_args > 2 ? values->n : 1;

    for (unsigned a = 0; a < values->n; a++) {
        for (unsigned b = 0; b < n_b; b++) {
            for (unsigned c = 0; c < n_c; c++) {
                uint64_t args[3] = { values->v[a], values->v[b], values->v[c] };

                if (form->boxed && !(is_boxed(args[0]) && is_boxed(args[1]) && is_boxed(args[2]))) {
                    continue;
                }
                compare(form, args, 0);
                compare(form, args, ALL_FLAGS);
            }
        }
    }
}

/* Where the result goes: its own register, or by @round an operand's. */
static unsigned destination(const FpOp *op, unsigned round)
{
    static const uint8_t regs[] = { REG_D, REG_A, REG_B, REG_C };

    return (op->from == NULL) != (op->to == NULL) ? REG_D : regs[round % (op->n_args + 1)];
}

static bool compare_op(const FpOp *op)
{
    Values values = values_for(op);
    unsigned shown = 0, n_forms = op->has_rm ? 10 : 4;

    for (unsigned i = 0; i < n_forms; i++) {
        Form form = { .op = op,
                      .rm_field = i < 5 && op->has_rm ? i : RM_DYN,
                      .frm = i % 5,
                      .rd = destination(op, i) };

        form.frm = i < 5 && op->has_rm ? (i + 1) % 5 : form.frm; /* the one in the insn counts */
        make_form(&form);
        compare_all(&form, &values);
        shown += form.shown;
        if (op->from == &fpu_single) {
            form.boxed = true;
            form.rd = destination(op, i + 1);
            make_form(&form);
            compare_all(&form, &values);
            shown += form.shown;
        }
    }
    return !shown;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    unsigned n = 0, failed = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--features")) {
            tcg_backend_set_features((uint32_t)g_ascii_strtoull(argv[i + 1], NULL, 0));
        } else if (!strcmp(argv[i], "--opt")) {
            opt_mask = (unsigned)g_ascii_strtoull(argv[i + 1], NULL, 0);
        } else if (!strcmp(argv[i], "--only")) {
            only = argv[i + 1];
        } else {
            fprintf(stderr, "fp-edges: unknown option %s\n", argv[i]);
            return 2;
        }
    }
    diff_set_up(64);
    printf("TAP version 13\n");
    for (unsigned i = 0; i < rv_n_isa; i++) {
        uint64_t before = n_compared;
        FpOp op;
        bool ok;

        if (fp_op_parse(&rv_isa_table[i], &op) && (!only || !strcmp(only, op.entry->name))) {
            ok = compare_op(&op);
            failed += !ok;
            printf("%s %u - %s # %" PRIu64 " cases\n", ok ? "ok" : "not ok", ++n, op.entry->name,
                   n_compared - before);
        }
    }
    printf("1..%u\n", n);
    return failed != 0;
}
