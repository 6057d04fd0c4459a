/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each guest instruction costs in host instructions: a typical encoding of each line of the instruction tables, translated
 * and compiled in a block of its own, against the table in tests/golden/riscv/cost.txt. Nothing is executed, and the code is made
 * for a host with every feature, so that the table is the same on any.
 *
 * A line: name, variant, IR operations, host instructions and bytes up to the block's end, bytes out of line; each less
 * what the block without the instruction has (its head and its last exit). A floating-point instruction has the check that
 * comes once a block, whether the guest has floating point on.
 */
#include <capstone/capstone.h>
#include <string.h>
#include "softmmu/exec-priv.h"
#include "softmmu/memory.h"
#include "target/riscv/cpu.h"
#include "target/riscv/isa-table.h"
#include "target/riscv/rv-decode.h"
#include "target/riscv/translate.h"
#include "tcg/x86_64/features.h"
#include "tests/unit/golden.h"

enum { MAX_CHANGES_SHOWN = 200, PAGE_OFFSET = 0x100 };

typedef struct Cost {
    unsigned ir, insns, bytes, cold;
} Cost;

/* Registers that a variant uses for rd, rs1, rs2, rs3, of both files; and what takes their place where the encoding has only x8-x15. */
typedef struct Variant {
    const char *name;
    uint8_t regs[4], instead;
    bool is_32;
} Variant;

static const Variant variants[] = {
    { "pinned", { 10, 11, 12, 13 }, 14, false },
    { "unpinned", { 28, 29, 30, 31 }, 9, false },
    { "rv32-pinned", { 10, 11, 12, 13 }, 14, true },
    { "rv32-unpinned", { 28, 29, 30, 31 }, 9, true },
};

/* Instructions whose cost depends on more than their line of the table. */
static const struct {
    const char *name;
    uint32_t word;
} specials[] = {
    { "li (addi)", 0x01000513 },         { "mv (addi)", 0x00058513 },
    { "beqz (beq)", 0x00050863 },        { "ret (jalr)", 0x00008067 },
    { "frflags (csrrs)", 0x00102573 },   { "fsflags (csrrw)", 0x00151073 },
    { "rdtime (csrrs)", 0xc0102573 },    { "csrr sepc (csrrs)", 0x14102573 },
    { "fmv.d (fsgnj.d)", 0x22b58553 },   { "fneg.d (fsgnjn.d)", 0x22b59553 },
    { "fabs.d (fsgnjx.d)", 0x22b5a553 },
};

static IrBlock *ir;
static TcgCompiler *compiler;
static csh capstone;
static Cost empty;

/* ---- A typical encoding ---- */

static bool entry_matches(const RvIsaEntry *e, uint32_t word)
{
    if ((word & e->mask) != e->match) {
        return false;
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(e->unequal); n++) {
        if (e->unequal[n].mask && (word & e->unequal[n].mask) == e->unequal[n].bits) {
            return false;
        }
    }
    return true;
}

static unsigned score_reg(unsigned reg, unsigned want, const Variant *v)
{
    return reg == want ? 4 : reg == v->instead ? 3 : reg && memchr(v->regs, (int)reg, 4) ? 2 : 0;
}

/* How near the operands of @word are to what a program would have. */
static unsigned score_word(const RvIsaEntry *e, uint32_t word, const Variant *v)
{
    RvInsn i = { 0 };

    if (e->get) {
        e->get(&i, word);
    }
    return 4 * score_reg(i.rd, v->regs[0], v) + 3 * score_reg(i.rs1, v->regs[1], v) +
           3 * score_reg(i.rs2, v->regs[2], v) + (i.imm == 16 ? 2 : i.imm == 1);
}

static uint32_t short_word(const RvIsaEntry *e, const Variant *v)
{
    unsigned best = 0;
    uint32_t found = e->match;

    for (uint32_t word = 0; word < 0x10000; word++) {
        unsigned score = entry_matches(e, word) ? score_word(e, word, v) : 0;

        if (score > best) {
            best = score;
            found = word;
        }
    }
    return found;
}

/* What stands in a format's fields besides registers. */
static const struct {
    const char *format;
    uint32_t clear, set;
} fields[] = {
    { "I", 0xfff00000, 16 << 20 },
    { "S", 0xfe000f80, 16 << 7 },
    { "B", 0xfe000f80, 8 << 8 },
    { "U", 0xfffff000, 0x12345000 },
    { "J", 0xfffff000, 8 << 21 },
    { "Sh6", 0x03f00000, 7 << 20 },
    { "Sh5", 0x01f00000, 7 << 20 },
    { "R4", 0, 7 << 12 },
    { "Rrm", 0, 7 << 12 },
    { "R1rm", 0, 7 << 12 },
    { "A", 0x06000000, 0 },
    { "A1", 0x06000000, 0 },
    { "F", 0xffff8f80, 0x33 << 20 },
    { "C", 0xfff00000, 0x14000000 },
    { "Ci", 0xfff80000, 0x140 << 20 | 2 << 15 },
    { "FLI", 0xf8000, 16 << 15 },
};

static uint32_t long_word(const RvIsaEntry *e, const Variant *v)
{
    uint32_t word = (uint32_t)(v->regs[0] << 7 | v->regs[1] << 15 | v->regs[2] << 20) |
                    (uint32_t)v->regs[3] << 27;

    for (unsigned n = 0; n < G_N_ELEMENTS(fields); n++) {
        if (g_str_equal(fields[n].format, e->format)) {
            word = (word & ~fields[n].clear) | fields[n].set;
        }
    }
    /* C's conversions to integers round to zero. */
    if (g_str_has_prefix(e->name, "fcvt.w") || g_str_has_prefix(e->name, "fcvt.l")) {
        word = (word & ~0x7000u) | 0x1000;
    }
    return (word & ~e->mask) | e->match;
}

static uint32_t typical_word(const RvIsaEntry *e, const Variant *v)
{
    uint32_t word = e->width == 16 ? short_word(e, v) : long_word(e, v);

    g_assert_true(entry_matches(e, word));
    return word;
}

/* ---- Its cost ---- */

static uint32_t mode_of(bool is_32)
{
    return rv_ext_set_register((1ull << RV_N_EXTS) - 1) << RV_MODE_EXT_SHIFT |
           (is_32 ? RV_MODE_XLEN32 : 0);
}

static bool entry_is_on(const RvIsaEntry *e, bool is_32)
{
    uint64_t exts = (1ull << RV_N_EXTS) - 1;

    exts &= ~RV_EXT_BIT(is_32 ? RV_EXT_RV64 : RV_EXT_RV32);
    for (unsigned n = 0; n < G_N_ELEMENTS(e->need); n++) {
        if (e->need[n] && (exts & e->need[n]) == e->need[n]) {
            return true;
        }
    }
    return false;
}

/* The host instructions and bytes at @code; not the prefixes that align a jump's offset. */
static void count(const uint8_t *code, size_t size, Cost *cost)
{
    enum { PREFIX_CS = 0x2e };
    cs_insn *insn = cs_malloc(capstone);
    uint64_t address = 0;

    while (cs_disasm_iter(capstone, &code, &size, &address, insn)) {
        unsigned prefixes = 0;

        while (insn->bytes[prefixes] == PREFIX_CS) {
            prefixes++;
        }
        cost->insns++;
        cost->bytes += insn->size - prefixes;
    }
    g_assert_cmpuint(size, ==, 0);
    cs_free(insn, 1);
}

/* Of the block in ir. */
static Cost measure(void)
{
    Cost cost = { 0 };
    TcgCode code;

    for (unsigned n = 0; n < ir->n; n++) {
        cost.ir += ir->insns[n].op != IR_INSN;
    }
    g_assert_true(tcg_compiler_compile(compiler, ir, &code));
    count(code.code, code.hot_size, &cost);
    cost.cold = code.size - code.hot_size;
    return cost;
}

static Cost cost_of(uint32_t word, bool is_32)
{
    static uint8_t page[4096];
    BlockKey key = { .phys = PAGE_OFFSET, .mode = mode_of(is_32) };
    CodeReader reader = { .host = page };

    memcpy(page + PAGE_OFFSET, &word, 4);
    ir_block_reset(ir, PAGE_OFFSET, 0);
    rv_translate(ir, &key, &reader, 1);
    g_assert_cmpuint(ir->n_guest_insns, ==, 1);
    return measure();
}

static void init(void)
{
    CpuConfig config = { .interp = true };
    GError *error = NULL;

    g_assert_true(memory_init(1 << 20, &error));
    cpu_core_init(&rv64_target, &config, &error);
    g_assert_no_error(error);
    tcg_backend_assume_features(X86_FEAT_ALL);
    ir = ir_block_new(&rv64_target.ir);
    compiler = tcg_compiler_new(&cpu_abi);
    g_assert_cmpint(cs_open(CS_ARCH_X86, CS_MODE_64, &capstone), ==, CS_ERR_OK);
    ir_block_reset(ir, PAGE_OFFSET, 0);
    ir_exit(ir, PAGE_OFFSET + 4);
    empty = measure();
}

/* ---- The table ---- */

static void add_line(GString *out, const char *name, const char *variant, Cost c, Cost *sum)
{
    int insns = (int)c.insns - (int)empty.insns, bytes = (int)c.bytes - (int)empty.bytes,
        cold = (int)c.cold - (int)empty.cold;

    g_string_append_printf(out, "%-18s %-13s %4u %4d %5d %5d\n", name, variant, c.ir - empty.ir,
                           insns, bytes, cold);
    sum->ir += c.ir - empty.ir;
    sum->insns += (unsigned)insns;
    sum->bytes += (unsigned)bytes;
    sum->cold += (unsigned)cold;
}

/* RV32 has lines of its own where its costs are others. */
static void add_entry(GString *out, const RvIsaEntry *e, Cost *sum)
{
    uint32_t words[2] = { 0, 0 };
    Cost costs[2] = { { 0 }, { 0 } };

    for (unsigned n = 0; n < G_N_ELEMENTS(variants); n++) {
        const Variant *v = &variants[n];
        uint32_t word = typical_word(e, v);
        Cost c;

        if (!entry_is_on(e, v->is_32) || (n & 1 && word == words[0])) {
            continue;
        }
        c = cost_of(word, v->is_32);
        if (!v->is_32 || !words[n & 1] || memcmp(&c, &costs[n & 1], sizeof(c)) != 0) {
            add_line(out, e->name, v->name, c, sum);
        }
        words[n & 1] = word;
        costs[n & 1] = c;
    }
}

static void test_table(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    Cost sum = { 0 };

    g_string_append(out, "# What each guest instruction costs in host instructions. Made by "
                         "tests/unit/test-riscv-cost.c, which says how;\n"
                         "# MENURA_UPDATE_GOLDEN=1 makes it anew. unpinned: registers that live in "
                         "memory. RV32 only where it differs.\n"
                         "# name            variant         ir  hot bytes  cold bytes\n");
    for (unsigned n = 0; n < rv_n_isa; n++) {
        add_entry(out, &rv_isa_table[n], &sum);
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(specials); n++) {
        add_line(out, specials[n].name, "pinned", cost_of(specials[n].word, false), &sum);
    }
    g_string_append_printf(out, "%-32s %4u %4u %5u %5u\n", "sum", sum.ir, sum.insns, sum.bytes,
                           sum.cold);
    golden_check("riscv/cost.txt", out->str, MAX_CHANGES_SHOWN);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    init();
    g_test_add_func("/riscv/cost/table", test_table);
    return g_test_run();
}
