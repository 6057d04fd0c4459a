/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RISC-V disassembler: one word of each format against the text that GNU binutils has for it (tests/riscv-disas-test.py
 * compares all mnemonics), and that no bytes make it read or write astray.
 */
#include <string.h>
#include "target/riscv/cpu.h"

typedef struct Case {
    uint32_t word;
    const char *text;
} Case;

enum { PC = 0x1000 };

static const Case cases[] = {
    { 0x00c59553, "fadd.s fa0,fa1,fa2,rtz" },
    { 0x00c5f553, "fadd.s fa0,fa1,fa2" },
    { 0x6ac5f543, "fmadd.d fa0,fa1,fa2,fa3" },
    { 0xc0051553, "fcvt.w.s a0,fa0,rtz" },
    { 0xe0050553, "fmv.x.w a0,fa0" },
    { 0xff812503, "lw a0,-8(sp)" },
    { 0x00a42423, "sw a0,8(s0)" },
    { 0x004500e7, "jalr ra,4(a0)" },
    { 0x004000ef, "jal ra,0x1004" },
    { 0xfeb50ee3, "beq a0,a1,0xffc" },
    { 0xfffff537, "lui a0,0xfffff" },
    { 0x00150513, "addi a0,a0,1" },
    { 0x4035d51b, "sraiw a0,a1,0x3" },
    { 0x30059573, "csrrw a0,mstatus,a1" },
    { 0xc0302573, "csrrs a0,hpmcounter3,zero" },
    { 0x0031d573, "csrrwi a0,fcsr,3" },
    { 0x8c202573, "csrrs a0,0x8c2,zero" },
    { 0x04b6252f, "amoadd.w.aq a0,a1,(a2)" },
    { 0x1606352f, "lr.d.aqrl a0,(a2)" },
    { 0x0310000f, "fence rw,w" },
    { 0x8330000f, "fence.tso" },
    { 0x0000100f, "fence.i" },
    { 0x12b50073, "sfence.vma a0,a1" },
    { 0x0045200f, "cbo.zero (a0)" },
    { 0x00000073, "ecall" },
    { 0xf0110553, "fli.s fa0,2" },
    { 0xffffffff, ".4byte 0xffffffff" },
    /* compressed: what they expand to */
    { 0x4588, "lw a0,8(a1)" },
    { 0x6121, "addi sp,sp,64" },
    { 0x852e, "add a0,zero,a1" },
    { 0x8082, "jalr zero,0(ra)" },
    { 0x2588, "fld fa0,8(a1)" },
    { 0x6505, "lui a0,0x1" },
    { 0x0808, "addi a0,sp,16" },
    { 0xc42a, "sw a0,8(sp)" },
    { 0x9002, "ebreak" },
    { 0x050e, "slli a0,a0,0x3" },
    { 0x0000, ".2byte 0x0000" },
};

static unsigned run(uint32_t word, size_t len, GString *out)
{
    uint8_t bytes[4] = { (uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
                         (uint8_t)(word >> 24) };
    g_autofree uint8_t *exact = g_memdup2(bytes, len);

    g_string_truncate(out, 0);
    return rv64_target.disassemble(exact, len, PC, out);
}

static void test_formats(void)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpuint(run(cases[i].word, 4, out), ==, (cases[i].word & 3) == 3 ? 4 : 2);
        g_assert_cmpstr(out->str, ==, cases[i].text);
    }
}

static void test_width(void)
{
    static const uint8_t c_jal[] = { 0x01, 0x20, 0,
                                     0 }; /* on RV64: c.addiw with rd = x0, reserved */
    g_autoptr(GString) out = g_string_new(NULL);

    rv32_target.disassemble(c_jal, 4, UINT32_MAX - 1, out);
    g_assert_cmpstr(out->str, ==, "jal ra,0xfffffffe");
    g_string_truncate(out, 0);
    rv64_target.disassemble(c_jal, 4, PC, out);
    g_assert_cmpstr(out->str, ==, ".2byte 0x2001");
}

static void test_any_bytes(void)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (unsigned i = 0; i < 200000; i++) {
        size_t len = 2 + i % 3;
        unsigned used = run((uint32_t)g_test_rand_int(), len, out);

        g_assert_true(used == 2 || used == 4);
        g_assert_cmpuint(used, <=, len);
        g_assert_cmpuint(out->len, >, 2);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/riscv-disas/formats", test_formats);
    g_test_add_func("/riscv-disas/width", test_width);
    g_test_add_func("/riscv-disas/any-bytes", test_any_bytes);
    return g_test_run();
}
