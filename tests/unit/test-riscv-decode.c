/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RISC-V decoder and translator, from code bytes to IR: every line of the instruction tables
 * with random operands (legal exactly when its extensions are on; tests/riscv-disas-test.py
 * checks their names), words that must be illegal, blocks (page ends, jumps, branches), golden IR
 * texts (tests/golden/riscv; MENURA_UPDATE_GOLDEN=1 rewrites them), and the results of integer
 * instructions, interpreted, against C. With -m perf: translation speed.
 */
#include <inttypes.h>
#include <string.h>
#include "target/riscv/cpu.h"
#include "target/riscv/fpu.h"
#include "target/riscv/isa-table.h"
#include "target/riscv/translate.h"
#include "tcg/abi.h"
#include "tests/unit/golden.h"

enum { MAX_CHANGES_SHOWN = 20 };

static const IrTarget target = {
    .name = "test",
    .regs = rv_ir_regs,
    .n_regs = RV_N_REGS,
    .helpers = rv_helpers,
    .n_helpers = RV_N_HELPERS,
    .max_insn_bytes = 4,
};

static IrBlock *ir;
static const uint64_t all_exts = (1ull << RV_N_EXTS) - 1;

/* ---- Translating ---- */

static uint32_t mode_of(uint64_t exts, bool is_32)
{
    return rv_ext_set_register(exts) << RV_MODE_EXT_SHIFT | (is_32 ? RV_MODE_XLEN32 : 0);
}

/* Translates the code at @offset of a page filled with @code there; @next: the page behind, or
 * NULL. */
static void translate_page(uint32_t mode, const uint8_t page[4096], const uint8_t *next,
                           unsigned offset, unsigned max_insns)
{
    BlockKey key = { .phys = 0x80000000 + offset, .mode = mode };
    CodeReader reader = { .host = page, .host2 = next };
    GError *error = NULL;

    ir_block_reset(ir, offset, 0);
    rv_translate(ir, &key, &reader, max_insns);
    if (ir->n_guest_insns) {
        ir_verify(ir, &error);
        g_assert_no_error(error);
    }
}

static void translate_word(uint32_t mode, uint32_t word)
{
    static uint8_t page[4096];

    memcpy(page + 0x100, &word, 4);
    translate_page(mode, page, NULL, 0x100, 1);
    g_assert_cmpuint(ir->n_guest_insns, ==, 1);
}

/* Whether the block's IR calls @helper; its constant argument in *@constant. */
static bool calls(unsigned helper, uint32_t *constant)
{
    for (unsigned i = 0; i < ir->n; i++) {
        if (ir->insns[i].op == IR_CALL && (uint32_t)ir->insns[i].imm == helper) {
            *constant = (uint32_t)(ir->insns[i].imm >> 32);
            return true;
        }
    }
    return false;
}

static bool is_illegal(uint32_t mode, uint32_t word)
{
    uint32_t cause;

    translate_word(mode, word);
    return calls(RV_HELPER_RAISE, &cause) && cause == RV_EXC_ILLEGAL;
}

/* ---- Table ---- */

static uint32_t word_bits(const RvIsaEntry *e)
{
    return e->width == 16 ? 0xffff : 0xffffffff;
}

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

/* A random word of @e. A dynamic or reserved rounding mode becomes RTZ. */
static uint32_t random_word(const RvIsaEntry *e)
{
    uint32_t word;

    do {
        word = (g_test_rand_int() & ~e->mask & word_bits(e)) | e->match;
    } while (!entry_matches(e, word));
    if (g_str_has_suffix(e->format, "rm") || g_str_equal(e->format, "R4")) {
        word = (word & ~0x7000u) | 0x1000;
    }
    return word;
}

static bool entry_is_on(const RvIsaEntry *e, uint64_t exts)
{
    for (unsigned n = 0; n < G_N_ELEMENTS(e->need); n++) {
        if (e->need[n] && (exts & e->need[n]) == e->need[n]) {
            return true;
        }
    }
    return false;
}

/* The extensions as the decoder sees them. */
static uint64_t with_base(uint64_t exts, bool is_32)
{
    exts &= ~(RV_EXT_BIT(RV_EXT_RV32) | RV_EXT_BIT(RV_EXT_RV64));
    return exts | RV_EXT_BIT(is_32 ? RV_EXT_RV32 : RV_EXT_RV64);
}

/* Whether the table has @word, from the table alone. */
static bool table_has(uint32_t word, uint64_t exts)
{
    for (unsigned n = 0; n < rv_n_isa; n++) {
        const RvIsaEntry *e = &rv_isa_table[n];

        if ((e->width == 32) == ((word & 3) == 3) && entry_matches(e, word & word_bits(e)) &&
            entry_is_on(e, exts)) {
            return true;
        }
    }
    return false;
}

static void test_legal(void)
{
    for (unsigned n = 0; n < rv_n_isa; n++) {
        const RvIsaEntry *e = &rv_isa_table[n];

        for (unsigned pass = 0; pass < 100; pass++) {
            bool is_32 = pass & 1;
            uint32_t word = random_word(e);

            if (entry_is_on(e, with_base(all_exts, is_32)) &&
                is_illegal(mode_of(all_exts, is_32), word)) {
                g_test_message("%s %#x is illegal", e->name, word);
                g_test_fail();
            }
        }
    }
}

/* With some extensions off, the decoder agrees with the table. */
static void test_extensions(void)
{
    for (unsigned ext = RV_EXT_I; ext < RV_N_EXTS; ext++) {
        uint64_t exts = all_exts & ~RV_EXT_BIT(ext);

        for (unsigned n = 0; n < rv_n_isa; n++) {
            const RvIsaEntry *e = &rv_isa_table[n];
            uint32_t word = random_word(e);
            bool is_32 = g_test_rand_bit();

            if (is_illegal(mode_of(exts, is_32), word) == table_has(word, with_base(exts, is_32))) {
                g_test_message("%s %#x without extension %u, rv32 %d", e->name, word, ext, is_32);
                g_test_fail();
            }
        }
    }
}

/* All 16-bit words: the decoder agrees with the table. */
static void test_all_compressed(void)
{
    for (unsigned is_32 = 0; is_32 < 2; is_32++) {
        for (uint32_t word = 0; word < 0x10000; word++) {
            if ((word & 3) != 3) {
                g_assert_cmpint(is_illegal(mode_of(all_exts, is_32), word), ==,
                                !table_has(word, with_base(all_exts, is_32)));
            }
        }
    }
}

/* ---- Words that must be illegal ---- */

typedef struct IllegalWord {
    const char *why;
    uint32_t word;
    uint8_t xlens; /* bit 0: RV32, bit 1: RV64 */
    uint32_t mode; /* more RV_MODE_* bits */
} IllegalWord;

static const IllegalWord illegal_words[] = {
    { "all zeros", 0, 3, 0 },
    { "all ones", 0xffffffff, 3, 0 },
    { "48-bit prefix", 0x0000001f, 3, 0 },
    { "c.addi4spn with 0", 0x0004, 3, 0 },
    { "c.lui with 0", 0x6501, 3, 0 },
    { "c.addi16sp with 0", 0x6101, 3, 0 },
    { "c.addiw x0", 0x2005, 2, 0 },
    { "c.lwsp x0", 0x4006, 3, 0 },
    { "c.ldsp x0", 0x6006, 2, 0 },
    { "c.jr x0", 0x8002, 3, 0 },
    { "c.slli with shamt[5]", 0x1506, 1, 0 },
    { "c.srli with shamt[5]", 0x9105, 1, 0 },
    { "c.subw", 0x9d0d, 1, 0 },
    { "slli with shamt[5]", 0x02051513, 1, 0 },
    { "ld", 0x00053503, 1, 0 },
    { "addw", 0x00b5053b, 1, 0 },
    { "fmv.x.d", 0xe2050553, 1, 0 },
    { "load funct3 7", 0x00057503, 3, 0 },
    { "branch funct3 2", 0x00052063, 3, 0 },
    { "jalr funct3 1", 0x00051067, 3, 0 },
    { "fadd.s rounding mode 5", 0x00c5d553, 3, 0 },
    { "fadd.s rounding mode 6", 0x00c5e553, 3, 0 },
    { "fadd.s dynamic, frm reserved", 0x00c5f553, 3, 5 << RV_MODE_FRM_SHIFT },
    { "fadd.q", 0x06c58553, 3, 0 },
    { "lr.w with rs2", 0x10b5252f, 3, 0 },
    { "ecall with rd", 0x000000f3, 3, 0 },
    { "mret with rs1", 0x30208073, 3, 0 },
    { "sfence.vma with rd", 0x120000f3, 3, 0 },
    { "hfence.vvma", 0x22000073, 3, 0 },
    { "custom-0", 0x0000000b, 3, 0 },
    { "vector", 0x00000057, 3, 0 },
    { "fcvtmod.w.d, dynamic", 0xc285f553, 3, 0 },
    { "zip", 0x08f51513, 2, 0 },
    { "rev8 of the other width", 0x6b855513, 1, 0 },
};

static void test_illegal(void)
{
    for (unsigned n = 0; n < G_N_ELEMENTS(illegal_words); n++) {
        const IllegalWord *w = &illegal_words[n];

        for (unsigned is_32 = 0; is_32 < 2; is_32++) {
            if (w->xlens & (is_32 ? 1 : 2) &&
                !is_illegal(mode_of(all_exts, is_32) | w->mode, w->word)) {
                g_test_message("%s is not", w->why);
                g_test_fail();
            }
        }
    }
}

/* ---- Blocks ---- */

static void put(uint8_t page[4096], unsigned offset, uint32_t word)
{
    memcpy(page + offset, &word, (word & 3) == 3 ? 4 : 2);
}

static const IrInsn *last(void)
{
    return &ir->insns[ir->n - 1];
}

static uint32_t rv64(void)
{
    return mode_of(all_exts, false);
}

enum {
    C_NOP = 0x0001,
    NOP = 0x00000013,
    ECALL = 0x00000073,
    C_JR_RA = 0x8082,
    J_PLUS_8 = 0x0080006f,
    J_MINUS_4 = 0xffdff06f,
    JAL_RA_PLUS_8 = 0x008000ef,
    BEQ_PLUS_8 = 0x00b50463,
    AUIPC_RA = 0x00000097,
    JALR_RA_16 = 0x010080e7,
};

static void test_page_end(void)
{
    static uint8_t page[4096], next[4096];

    put(page, 4092, C_NOP);
    memcpy(page + 4094, "\x13\x00", 2);
    memcpy(next, "\x00\x00\x01\x00", 4);
    /* A crossing insn is not reached from one before it ... */
    translate_page(rv64(), page, next, 4092, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 1);
    g_assert_cmpint(last()->op, ==, IR_EXIT);
    g_assert_cmpint((int64_t)last()->imm, ==, 4094);
    /* ... but may be the only one of a block, */
    translate_page(rv64(), page, next, 4094, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 1);
    g_assert_cmpint((int64_t)last()->imm, ==, 4098);
    /* if its second page can be read. */
    translate_page(rv64(), page, NULL, 4094, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 0);
    /* A short insn at the end does not go on into the next page. */
    put(page, 4094, C_NOP);
    translate_page(rv64(), page, next, 4094, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 1);
    g_assert_cmpint((int64_t)last()->imm, ==, 4096);
}

static void test_limits(void)
{
    static uint8_t page[4096];

    for (unsigned n = 0; n < 4096; n += 2) {
        put(page, n, C_NOP);
    }
    translate_page(rv64(), page, NULL, 0, 5);
    g_assert_cmpuint(ir->n_guest_insns, ==, 5);
    g_assert_cmpint((int64_t)last()->imm, ==, 10);
    translate_page(rv64(), page, NULL, 0, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 64);
}

static unsigned count_op(IrOp op)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ir->n; i++) {
        n += ir->insns[i].op == op;
    }
    return n;
}

static void test_jumps(void)
{
    static uint8_t page[4096];

    /* A jump ahead is followed, one back ends the block. */
    put(page, 0, J_PLUS_8);
    put(page, 8, BEQ_PLUS_8);
    put(page, 12, JAL_RA_PLUS_8);
    put(page, 20, J_MINUS_4);
    translate_page(rv64(), page, NULL, 0, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 4);
    g_assert_cmpuint(count_op(IR_EXITCC), ==, 1);
    g_assert_cmpint(last()->op, ==, IR_EXIT);
    g_assert_cmpint((int64_t)last()->imm, ==, 16);
    /* The address of auipc is known to jalr. */
    put(page, 64, AUIPC_RA);
    put(page, 68, JALR_RA_16);
    put(page, 80, C_JR_RA);
    translate_page(rv64(), page, NULL, 64, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 3);
    /* The return goes to 72, known as well. */
    g_assert_cmpint(last()->op, ==, IR_EXIT);
    g_assert_cmpint((int64_t)last()->imm, ==, 72);
    translate_page(rv64(), page, NULL, 80, 64);
    g_assert_cmpint(last()->op, ==, IR_EXITIND);
}

static void test_misaligned_jump(void)
{
    static uint8_t page[4096];
    uint32_t mode = mode_of(all_exts & ~RV_EXT_BIT(RV_EXT_C), false), constant = 0;

    put(page, 0, 0x0060006f); /* j +6 */
    translate_page(mode, page, NULL, 0, 64);
    g_assert_true(calls(RV_HELPER_RAISE, &constant));
    g_assert_cmpuint(constant, ==, RV_EXC_FETCH_ALIGN);
    put(page, 0, 0x00b50363); /* beq a0, a1, +6 */
    translate_page(mode, page, NULL, 0, 64);
    g_assert_cmpuint(count_op(IR_EXITCC), ==, 1);
    g_assert_true(calls(RV_HELPER_RAISE, &constant));
    put(page, 0, 0x00050067); /* jr a0 */
    translate_page(mode, page, NULL, 0, 64);
    g_assert_true(calls(RV_HELPER_CHECK_JUMP, &constant));
    translate_page(rv64(), page, NULL, 0, 64);
    g_assert_false(calls(RV_HELPER_CHECK_JUMP, &constant));
}

/* Whether FP is on is asked once a block, before its first FP insn. */
static void test_fp_guard(void)
{
    static uint8_t page[4096];
    unsigned guards = 0, at = 0;

    put(page, 0, C_NOP);
    put(page, 2, 0x00c5f553);  /* fadd.s */
    put(page, 6, 0x00a53027);  /* fsd */
    put(page, 10, 0xa0c5a553); /* feq.s */
    translate_page(rv64(), page, NULL, 0, 4);
    for (unsigned i = 0; i < ir->n; i++) {
        guards += ir->insns[i].op == IR_GUARD && ir->insns[i].imm == RV_HELPER_FP_ENABLE;
        at = ir->insns[i].op == IR_GUARD ? i : at;
    }
    g_assert_cmpuint(guards, ==, 1);
    g_assert_true(at && ir->insns[at - 2].op == IR_INSN && ir->insns[at - 2].imm == 2);
}

static void test_csr_ends(void)
{
    static uint8_t page[4096];

    put(page, 4, C_NOP);
    put(page, 6, ECALL);
    put(page, 0, 0x14051573); /* csrrw a0, sscratch, a0 */
    translate_page(rv64(), page, NULL, 0, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 3);
    put(page, 0, 0x10002573); /* csrr a0, sstatus */
    translate_page(rv64(), page, NULL, 0, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 3);
    put(page, 0, 0x10017073); /* csrci sstatus, 2 */
    translate_page(rv64(), page, NULL, 0, 64);
    g_assert_cmpuint(ir->n_guest_insns, ==, 1);
    g_assert_cmpint(last()->op, ==, IR_LEAVE);
}

/* ---- Results of integer instructions ---- */

static uint64_t sx(uint64_t v, bool is_32)
{
    return is_32 ? (uint64_t)(int32_t)v : v;
}

typedef struct Op {
    const char *name;
    uint64_t (*f)(uint64_t a, uint64_t b, unsigned xlen); /* a, b zero-extended from xlen */
} Op;

static int64_t sign(uint64_t a, unsigned xlen)
{
    return xlen == 32 ? (int32_t)a : (int64_t)a;
}

static uint64_t op_add(uint64_t a, uint64_t b, unsigned xlen)
{
    return a + b;
}

static uint64_t op_sub(uint64_t a, uint64_t b, unsigned xlen)
{
    return a - b;
}

static uint64_t op_sll(uint64_t a, uint64_t b, unsigned xlen)
{
    return a << (b % xlen);
}

static uint64_t op_srl(uint64_t a, uint64_t b, unsigned xlen)
{
    return a >> (b % xlen);
}

static uint64_t op_sra(uint64_t a, uint64_t b, unsigned xlen)
{
    return (uint64_t)(sign(a, xlen) >> (b % xlen));
}

static uint64_t op_slt(uint64_t a, uint64_t b, unsigned xlen)
{
    return sign(a, xlen) < sign(b, xlen);
}

static uint64_t op_sltu(uint64_t a, uint64_t b, unsigned xlen)
{
    return a < b;
}

static uint64_t op_mulh(uint64_t a, uint64_t b, unsigned xlen)
{
    return (uint64_t)((__int128)sign(a, xlen) * sign(b, xlen) >> xlen);
}

static uint64_t op_mulhsu(uint64_t a, uint64_t b, unsigned xlen)
{
    return (uint64_t)((__int128)sign(a, xlen) * (__int128)b >> xlen);
}

static uint64_t op_mulhu(uint64_t a, uint64_t b, unsigned xlen)
{
    return (uint64_t)((unsigned __int128)a * b >> xlen);
}

static uint64_t op_div(uint64_t a, uint64_t b, unsigned xlen)
{
    return b ? (uint64_t)((__int128)sign(a, xlen) / sign(b, xlen)) : ~0ull;
}

static uint64_t op_rem(uint64_t a, uint64_t b, unsigned xlen)
{
    return b ? (uint64_t)((__int128)sign(a, xlen) % sign(b, xlen)) : a;
}

static uint64_t op_divw(uint64_t a, uint64_t b, unsigned xlen)
{
    return sx(op_div((uint32_t)a, (uint32_t)b, 32), true);
}

static uint64_t op_remuw(uint64_t a, uint64_t b, unsigned xlen)
{
    return sx((uint32_t)b ? (uint32_t)a % (uint32_t)b : a, true);
}

static uint64_t op_sllw(uint64_t a, uint64_t b, unsigned xlen)
{
    return sx(a << (b & 31), true);
}

static uint64_t op_sraw(uint64_t a, uint64_t b, unsigned xlen)
{
    return (uint64_t)((int32_t)a >> (b & 31));
}

static uint64_t op_sh2add_uw(uint64_t a, uint64_t b, unsigned xlen)
{
    return b + ((uint64_t)(uint32_t)a << 2);
}

static uint64_t op_orn(uint64_t a, uint64_t b, unsigned xlen)
{
    return a | ~b;
}

static uint64_t op_rol(uint64_t a, uint64_t b, unsigned xlen)
{
    b %= xlen;
    return b ? a << b | a >> (xlen - b) : a;
}

static uint64_t op_rorw(uint64_t a, uint64_t b, unsigned xlen)
{
    return sx(op_rol((uint32_t)a, 32 - (b & 31), 32), true);
}

static uint64_t op_clz(uint64_t a, uint64_t b, unsigned xlen)
{
    return a ? (unsigned)__builtin_clzll(a) - (64 - xlen) : xlen;
}

static uint64_t op_orc_b(uint64_t a, uint64_t b, unsigned xlen)
{
    uint64_t r = 0;

    for (unsigned n = 0; n < 64; n += 8) {
        r |= a >> n & 0xff ? 0xffull << n : 0;
    }
    return r;
}

static uint64_t op_rev8(uint64_t a, uint64_t b, unsigned xlen)
{
    return __builtin_bswap64(a) >> (64 - xlen);
}

static uint64_t op_max(uint64_t a, uint64_t b, unsigned xlen)
{
    return sign(a, xlen) < sign(b, xlen) ? b : a;
}

static uint64_t op_pack(uint64_t a, uint64_t b, unsigned xlen)
{
    unsigned half = xlen / 2;

    return (a & ((1ull << half) - 1)) | b << half;
}

static unsigned __int128 carryless(uint64_t a, uint64_t b)
{
    unsigned __int128 r = 0;

    for (unsigned n = 0; n < 64; n++) {
        r ^= b >> n & 1 ? (unsigned __int128)a << n : 0;
    }
    return r;
}

static uint64_t op_clmul(uint64_t a, uint64_t b, unsigned xlen)
{
    return (uint64_t)carryless(a, b);
}

static uint64_t op_clmulh(uint64_t a, uint64_t b, unsigned xlen)
{
    return (uint64_t)(carryless(a, b) >> xlen);
}

static uint64_t op_clmulr(uint64_t a, uint64_t b, unsigned xlen)
{
    return (uint64_t)(carryless(a, b) >> (xlen - 1));
}

static uint64_t op_bclr(uint64_t a, uint64_t b, unsigned xlen)
{
    return a & ~(1ull << (b % xlen));
}

static uint64_t op_bext(uint64_t a, uint64_t b, unsigned xlen)
{
    return a >> (b % xlen) & 1;
}

static uint64_t op_brev8(uint64_t a, uint64_t b, unsigned xlen)
{
    uint64_t r = 0;

    for (unsigned n = 0; n < 64; n++) {
        r |= (a >> n & 1) << (n ^ 7);
    }
    return r;
}

static uint64_t op_zip(uint64_t a, uint64_t b, unsigned xlen)
{
    uint64_t r = 0;

    for (unsigned n = 0; n < 16; n++) {
        r |= (a >> n & 1) << (2 * n) | (a >> (n + 16) & 1) << (2 * n + 1);
    }
    return r;
}

static uint64_t op_unzip(uint64_t a, uint64_t b, unsigned xlen)
{
    uint64_t r = 0;

    for (unsigned n = 0; n < 16; n++) {
        r |= (a >> (2 * n) & 1) << n | (a >> (2 * n + 1) & 1) << (n + 16);
    }
    return r;
}

static uint64_t op_xperm4(uint64_t a, uint64_t b, unsigned xlen)
{
    uint64_t r = 0;

    for (unsigned n = 0; n < xlen; n += 4) {
        unsigned at = (b >> n & 15) * 4;

        r |= at < xlen ? (a >> at & 15) << n : 0;
    }
    return r;
}

static uint64_t op_czero_eqz(uint64_t a, uint64_t b, unsigned xlen)
{
    return b ? a : 0;
}

static uint64_t op_czero_nez(uint64_t a, uint64_t b, unsigned xlen)
{
    return b ? 0 : a;
}

static const Op ops[] = {
    { "add", op_add },
    { "sub", op_sub },
    { "sll", op_sll },
    { "srl", op_srl },
    { "sra", op_sra },
    { "slt", op_slt },
    { "sltu", op_sltu },
    { "mulh", op_mulh },
    { "mulhsu", op_mulhsu },
    { "mulhu", op_mulhu },
    { "div", op_div },
    { "rem", op_rem },
    { "divw", op_divw },
    { "remuw", op_remuw },
    { "sllw", op_sllw },
    { "sraw", op_sraw },
    { "sh2add.uw", op_sh2add_uw },
    { "orn", op_orn },
    { "rol", op_rol },
    { "rorw", op_rorw },
    { "clz", op_clz },
    { "orc.b", op_orc_b },
    { "rev8", op_rev8 },
    { "max", op_max },
    { "pack", op_pack },
    { "clmul", op_clmul },
    { "clmulh", op_clmulh },
    { "clmulr", op_clmulr },
    { "bclr", op_bclr },
    { "bext", op_bext },
    { "brev8", op_brev8 },
    { "zip", op_zip },
    { "unzip", op_unzip },
    { "xperm4", op_xperm4 },
    { "czero.eqz", op_czero_eqz },
    { "czero.nez", op_czero_nez },
};

static RvCpu cpu;
static TcgAbi abi;

static void init_interp(void)
{
    static void *table[RV_N_HELPERS];

    for (unsigned n = 0; n < RV_N_HELPERS; n++) {
        table[n] = (void *)rv_helpers[n].fn;
    }
    cpu.parent.helper_table = table;
    cpu.fp_ready = 1;
    abi = (TcgAbi){
        .target = &target,
        .pc = offsetof(Cpu, pc),
        .pc_page = offsetof(Cpu, pc_page),
        .icount_left = offsetof(Cpu, icount_left),
        .arg = offsetof(Cpu, arg),
        .fn_table = offsetof(Cpu, fn_table),
        .helper_table = offsetof(Cpu, helper_table),
    };
}

static void run_word(uint32_t mode, uint32_t word)
{
    const IrInsn *volatile at;

    translate_word(mode, word);
    ir_optimise(ir);
    tcg_interp_run(&abi, ir, &cpu, &at);
}

static uint64_t random_value(void)
{
    static const uint64_t edges[] = { 0,          1,         ~0ull,     1ull << 63,
                                      1ull << 31, INT32_MAX, INT64_MAX, 0xffffffff80000000 };
    uint64_t v = (uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();

    switch (g_test_rand_int_range(0, 4)) {
    case 0:
        return edges[g_test_rand_int_range(0, G_N_ELEMENTS(edges))];
    case 1:
        return v >> g_test_rand_int_range(0, 64);
    default:
        return v;
    }
}

static const RvIsaEntry *find_entry(const char *name, bool is_32)
{
    for (unsigned n = 0; n < rv_n_isa; n++) {
        const RvIsaEntry *e = &rv_isa_table[n];

        if (g_str_equal(e->name, name) && entry_is_on(e, with_base(all_exts, is_32))) {
            return e;
        }
    }
    return NULL;
}

static void check_op(const Op *op, const RvIsaEntry *e, bool is_32)
{
    enum { A0 = 10, A1 = 11, A2 = 12 };
    uint32_t word = e->match | A0 << 7 | A1 << 15 | (e->mask >> 20 & 31 ? 0 : A2 << 20);
    uint64_t a = random_value(), b = random_value(), mask = is_32 ? UINT32_MAX : UINT64_MAX, want;

    want = sx(op->f(a & mask, b & mask, is_32 ? 32 : 64), is_32);
    cpu.x[A1] = sx(a, is_32);
    cpu.x[A2] = sx(b, is_32);
    run_word(mode_of(all_exts, is_32), word);
    if (cpu.x[A0] != want) {
        g_test_message("%s rv%d %#" PRIx64 " %#" PRIx64 ": %#" PRIx64 ", not %#" PRIx64, op->name,
                       is_32 ? 32 : 64, a & mask, b & mask, cpu.x[A0], want);
        g_test_fail();
    }
}

static void test_results(void)
{
    for (unsigned n = 0; n < G_N_ELEMENTS(ops); n++) {
        for (unsigned is_32 = 0; is_32 < 2; is_32++) {
            const RvIsaEntry *e = find_entry(ops[n].name, is_32);

            for (unsigned pass = 0; e && pass < 200; pass++) {
                check_op(&ops[n], e, is_32);
            }
            g_assert_true(e || find_entry(ops[n].name, !is_32));
        }
    }
}

/* Sign injection, moves and boxing inline against fpu.h. */
static void test_fp_bits(void)
{
    static const struct {
        uint32_t word; /* fd = fa0, fs1 = fa1, fs2 = fa2 */
        uint64_t (*f)(uint64_t a, uint64_t b);
    } injections[] = {
        { 0x20c58553, rv_fpu_fsgnj_s },  { 0x20c59553, rv_fpu_fsgnjn_s },
        { 0x20c5a553, rv_fpu_fsgnjx_s }, { 0x22c58553, rv_fpu_fsgnj_d },
        { 0x22c59553, rv_fpu_fsgnjn_d }, { 0x22c5a553, rv_fpu_fsgnjx_d },
    };

    for (unsigned pass = 0; pass < 2000; pass++) {
        unsigned n = pass % G_N_ELEMENTS(injections);
        uint64_t box = g_test_rand_bit() ? 0xffffffffull << 32 : 0;
        bool same = g_test_rand_int_range(0, 4) == 0;
        uint64_t a = random_value() | box,
                 b = same ? a : random_value() | (g_test_rand_bit() ? box : 0);

        cpu.f[11] = a;
        cpu.f[12] = b;
        run_word(rv64(),
                 same ? (injections[n].word & ~(31u << 20)) | 11 << 20 : injections[n].word);
        g_assert_cmphex(cpu.f[10], ==, injections[n].f(a, b));
    }
}

/* ---- Golden IR ---- */

/* "83 25 41 00" into @page; the number of bytes. */
static unsigned parse_code(const char *text, uint8_t page[4096])
{
    unsigned n = 0;

    while (*text) {
        char *end;

        page[n++] = (uint8_t)g_ascii_strtoull(text, &end, 16);
        g_assert_true(end > text && n < 4096);
        text = end + strspn(end, " ");
    }
    return n;
}

/* "rv64" or "rv32", then words that set or clear: "fs-off", "fs-clean", "frm-bad", "no-c". */
static uint32_t parse_mode(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    uint64_t exts = g_strv_contains((const char *const *)words, "no-c")
                        ? all_exts & ~RV_EXT_BIT(RV_EXT_C)
                        : all_exts;
    uint32_t mode = mode_of(exts, g_strv_contains((const char *const *)words, "rv32"));

    mode |= g_strv_contains((const char *const *)words, "frm-bad") ? 5 << RV_MODE_FRM_SHIFT : 0;
    return mode;
}

/* One case: "# title", "mode ...", "code ..." are kept, the IR that follows is made anew. */
static void golden_case(const char *text, GString *out)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    static uint8_t page[4096];
    uint32_t mode = rv64();
    unsigned bytes = 0, insns = 0;

    for (unsigned n = 0; lines[n]; n++) {
        if (g_str_has_prefix(lines[n], "mode ")) {
            mode = parse_mode(lines[n] + 5);
        } else if (g_str_has_prefix(lines[n], "code ")) {
            memset(page, 0, sizeof(page));
            bytes = parse_code(lines[n] + 5, page);
        } else if (lines[n][0] != '#') {
            break;
        }
        g_string_append_printf(out, "%s\n", lines[n]);
    }
    for (unsigned n = 0; n < bytes; n += (page[n] & 3) == 3 ? 4 : 2) {
        insns++;
    }
    translate_page(mode, page, NULL, 0, insns);
    ir_print(ir, out);
    g_string_append(out, "optimised\n");
    ir_optimise(ir);
    ir_print(ir, out);
    g_string_append_c(out, '\n');
}

static void check_golden(const void *name)
{
    g_autofree char *path = golden_path(name);
    g_autofree char *text = NULL;
    g_auto(GStrv) cases = NULL;
    g_autoptr(GString) out = g_string_new(NULL);
    GError *error = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    cases = g_strsplit(text, "\n\n", -1);
    for (unsigned n = 0; cases[n] && cases[n][0]; n++) {
        golden_case(cases[n], out);
    }
    golden_check(name, out->str, MAX_CHANGES_SHOWN);
}

/* ---- Speed ---- */

static void test_speed(void)
{
    static uint8_t page[4096];
    static const char *const mix[] = {
        "c.ld", "c.sd", "c.addi", "c.mv", "addi", "c.add", "lw",   "ld",
        "sw",   "slli", "c.lw",   "bne",  "beq",  "addiw", "c.li", "and",
    };
    unsigned insns = 0, offset = 0;
    double seconds;

    while (offset < 4000) {
        const RvIsaEntry *e = find_entry(mix[g_test_rand_int_range(0, G_N_ELEMENTS(mix))], false);

        put(page, offset, random_word(e));
        offset += e->width / 8;
    }
    g_test_timer_start();
    for (unsigned pass = 0; pass < (g_test_perf() ? 20000 : 20); pass++) {
        BlockKey key = { .phys = 0, .mode = rv64() };
        CodeReader reader = { .host = page };

        ir_block_reset(ir, 0, 0);
        rv_translate(ir, &key, &reader, 64);
        insns += ir->n_guest_insns;
    }
    seconds = g_test_timer_elapsed();
    g_test_minimized_result(seconds * 1e9 / insns, "%.1f ns a guest insn, %.1f IR insns",
                            seconds * 1e9 / insns, (double)ir->n / ir->n_guest_insns);
}

int main(int argc, char **argv)
{
    static const char *const golden[] = { "riscv/rvi.txt", "riscv/rvm-zb.txt", "riscv/rvc.txt",
                                          "riscv/rvf.txt", "riscv/rva.txt",    "riscv/priv.txt",
                                          "riscv/rv32.txt" };

    g_test_init(&argc, &argv, NULL);
    ir = ir_block_new(&target);
    init_interp();
    g_test_add_func("/riscv/decode/legal", test_legal);
    g_test_add_func("/riscv/decode/extensions", test_extensions);
    g_test_add_func("/riscv/decode/all-compressed", test_all_compressed);
    g_test_add_func("/riscv/decode/illegal", test_illegal);
    g_test_add_func("/riscv/block/page-end", test_page_end);
    g_test_add_func("/riscv/block/limits", test_limits);
    g_test_add_func("/riscv/block/jumps", test_jumps);
    g_test_add_func("/riscv/block/misaligned-jump", test_misaligned_jump);
    g_test_add_func("/riscv/block/fp-guard", test_fp_guard);
    g_test_add_func("/riscv/block/csr-ends", test_csr_ends);
    g_test_add_func("/riscv/results/integer", test_results);
    g_test_add_func("/riscv/results/fp-bits", test_fp_bits);
    for (unsigned n = 0; n < G_N_ELEMENTS(golden); n++) {
        g_autofree char *path = g_strconcat("/riscv/golden/", golden[n] + strlen("riscv/"), NULL);

        g_test_add_data_func(path, golden[n], check_golden);
    }
    g_test_add_func("/riscv/speed", test_speed);
    return g_test_run();
}
