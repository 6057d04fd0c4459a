/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x86-64 encoder against capstone: every form of instruction that the back end uses, all registers, all shapes of memory
 * operands, both operand sizes. What is expected is written down here in Intel's syntax.
 */
#include <capstone/capstone.h>
#include <glib.h>
#include "tcg/x86_64/enc.h"

static const char *const names[4][16] = {
    { "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b",
      "r13b", "r14b", "r15b" },
    { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w",
      "r14w", "r15w" },
    { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d",
      "r13d", "r14d", "r15d" },
    { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
      "r13", "r14", "r15" },
};
static const char *const ptrs[4] = { "byte ptr", "word ptr", "dword ptr", "qword ptr" };

typedef struct EncCase {
    uint32_t op;
    const char *name;
    int reg_size, rm_size; /* log2 of bytes for W = 0; -1: as W says; -2: no such operand */
    int form;              /* 0: reg, rm  1: rm, reg  2: rm  3: reg, v, rm  4: reg, rm, v */
    int group;
} EncCase;

static const EncCase enc_cases[] = {
    { X86_ADD, "add", -1, -1, 0, 0 },
    { X86_SUB, "sub", -1, -1, 0, 0 },
    { X86_XOR, "xor", -1, -1, 0, 0 },
    { X86_CMP, "cmp", -1, -1, 0, 0 },
    { X86_MOV, "mov", -1, -1, 0, 0 },
    { X86_MOV_MR, "mov", -1, -1, 1, 0 },
    { X86_MOV8_MR, "mov", 0, 0, 1, 0 },
    { X86_MOV16_MR, "mov", 1, 1, 1, 0 },
    { X86_MOVZX8, "movzx", -1, 0, 0, 0 },
    { X86_MOVSX16, "movsx", -1, 1, 0, 0 },
    { X86_MOVSXD, "movsxd", 3, 2, 0, 0 },
    { X86_IMUL, "imul", -1, -1, 0, 0 },
    { X86_CMOV | X86_CC_A, "cmova", -1, -1, 0, 0 },
    { X86_LZCNT, "lzcnt", -1, -1, 0, 0 },
    { X86_TZCNT, "tzcnt", -1, -1, 0, 0 },
    { X86_POPCNT, "popcnt", -1, -1, 0, 0 },
    { X86_SETCC | X86_CC_L, "setl", -2, 0, 2, 0 },
    { X86_G3, "neg", -2, -1, 2, X86_G3_NEG },
    { X86_G2_CL, "rol", -2, -1, 5, X86_G2_ROL },
    { X86_ANDN, "andn", -1, -1, 3, 0 },
    { X86_SHLX, "shlx", -1, -1, 4, 0 },
    { X86_SARX, "sarx", -1, -1, 4, 0 },
    { X86_SHRX, "shrx", -1, -1, 4, 0 },
    { X86_MULX, "mulx", -1, -1, 3, 0 },
};

static void mem_text(GString *s, X86Mem m)
{
    g_string_append_printf(s, "[%s", names[3][m.base]);
    if (m.index >= 0) {
        g_string_append_printf(s, " + %s", names[3][m.index]);
        if (m.scale) {
            g_string_append_printf(s, "*%d", 1 << m.scale);
        }
    }
    if (m.disp) {
        unsigned d = (unsigned)(m.disp < 0 ? -m.disp : m.disp);

        g_string_append_printf(s, d < 10 ? " %c %u" : " %c 0x%x", m.disp < 0 ? '-' : '+', d);
    }
    g_string_append(s, "]");
}

static void check_encoding(csh cs, const uint8_t *bytes, size_t n, const char *want)
{
    cs_insn *insn;
    g_autofree char *got = NULL;

    g_assert_cmpuint(cs_disasm(cs, bytes, n, 0, 1, &insn), ==, 1);
    g_assert_cmpuint(insn->size, ==, n);
    got = g_strdup_printf("%s %s", insn->mnemonic, insn->op_str);
    g_assert_cmpstr(got, ==, want);
    cs_free(insn, 1);
}

static void encode_one(csh cs, const EncCase *e, bool wide, int reg, int v, int rm, const X86Mem *m)
{
    uint32_t op = e->op | (wide ? X86_W : 0);
    int rs = e->reg_size == -1 ? 2 + wide : e->reg_size,
        ms = e->rm_size == -1 ? 2 + wide : e->rm_size;
    g_autoptr(GString) s = g_string_new(NULL), place = g_string_new(NULL);
    uint8_t bytes[16];
    X86Asm as = { bytes };
    bool vex = e->form == 3 || e->form == 4;
    int field = e->form == 2 || e->form == 5 ? e->group : reg;

    if (m) {
        g_string_append_printf(place, "%s ", ptrs[ms]);
        mem_text(place, *m);
        vex ? x86_vex_rm(&as, op, field, v, *m) : x86_rm(&as, op, field, *m);
    } else {
        g_string_append(place, names[ms][rm]);
        vex ? x86_vex_rr(&as, op, field, v, rm) : x86_rr(&as, op, field, rm);
    }
    g_string_append_printf(s, "%s ", e->name);
    switch (e->form) {
    case 0:
        g_string_append_printf(s, "%s, %s", names[rs][reg], place->str);
        break;
    case 1:
        g_string_append_printf(s, "%s, %s", place->str, names[rs][reg]);
        break;
    case 2:
        g_string_append(s, place->str);
        break;
    case 3:
        g_string_append_printf(s, "%s, %s, %s", names[rs][reg], names[rs][v], place->str);
        break;
    case 4:
        g_string_append_printf(s, "%s, %s, %s", names[rs][reg], place->str, names[rs][v]);
        break;
    default:
        g_string_append_printf(s, "%s, cl", place->str);
        break;
    }
    check_encoding(cs, bytes, (size_t)(as.p - bytes), s->str);
}

static void test_encoder(void)
{
    static const int32_t disps[] = { 0, 8, -128, 128, 0x12345678 };
    csh cs;

    g_assert_cmpint(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), ==, CS_ERR_OK);
    for (unsigned e = 0; e < G_N_ELEMENTS(enc_cases); e++) {
        bool both = enc_cases[e].rm_size == -1 || enc_cases[e].reg_size == -1;

        for (int wide = 0; wide <= both; wide++) {
            for (int reg = 0; reg < 16; reg++) {
                for (int rm = 0; rm < 16; rm++) {
                    X86Mem m = x86_mem(rm, disps[(reg + rm) % 5]);

                    encode_one(cs, &enc_cases[e], wide, reg, (reg * 7 + rm) & 15, rm, NULL);
                    encode_one(cs, &enc_cases[e], wide, reg, (reg + rm * 3) & 15, 0, &m);
                    if (reg != X86_RSP) {
                        m = x86_mem_index(rm, reg, (unsigned)(rm + reg) & 3,
                                          disps[(reg * 3 + rm) % 5]);
                        encode_one(cs, &enc_cases[e], wide, (reg + rm) & 15, reg, 0, &m);
                    }
                }
            }
        }
    }
    cs_close(&cs);
}

static void test_encoder_immediates(void)
{
    uint8_t b[16];
    csh cs;

    g_assert_cmpint(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), ==, CS_ERR_OK);
    for (int r = 0; r < 16; r++) {
        g_autofree char *add8 = g_strdup_printf("add %s, -5", names[3][r]);
        g_autofree char *and32 = g_strdup_printf("and %s, 0x12345", names[2][r]);
        g_autofree char *shr = g_strdup_printf("shr %s, 7", names[3][r]);
        g_autofree char *mov = g_strdup_printf("mov %s, 0x12345678", names[2][r]);
        g_autofree char *movneg = g_strdup_printf("mov %s, -2", names[3][r]);
        g_autofree char *movabs = g_strdup_printf("movabs %s, 0x123456789abcdef0", names[3][r]);
        g_autofree char *bswap = g_strdup_printf("bswap %s", names[3][r]);
        g_autofree char *push = g_strdup_printf("push %s", names[3][r]);
        g_autofree char *pop = g_strdup_printf("pop %s", names[3][r]);
        X86Asm as = { b };

        x86_alu_ri(&as, X86_W, X86_G1_ADD, r, -5);
        check_encoding(cs, b, (size_t)(as.p - b), add8);
        as.p = b;
        x86_alu_ri(&as, 0, X86_G1_AND, r, 0x12345);
        check_encoding(cs, b, (size_t)(as.p - b), and32);
        as.p = b;
        x86_shift_ri(&as, X86_W, X86_G2_SHR, r, 7);
        check_encoding(cs, b, (size_t)(as.p - b), shr);
        as.p = b;
        x86_mov_ri(&as, r, 0x12345678);
        check_encoding(cs, b, (size_t)(as.p - b), mov);
        as.p = b;
        x86_mov_ri(&as, r, (uint64_t)-2);
        check_encoding(cs, b, (size_t)(as.p - b), movneg);
        as.p = b;
        x86_mov_ri(&as, r, 0x123456789abcdef0);
        check_encoding(cs, b, (size_t)(as.p - b), movabs);
        as.p = b;
        x86_bswap(&as, X86_W, r);
        check_encoding(cs, b, (size_t)(as.p - b), bswap);
        as.p = b;
        x86_push(&as, r);
        check_encoding(cs, b, (size_t)(as.p - b), push);
        as.p = b;
        x86_pop(&as, r);
        check_encoding(cs, b, (size_t)(as.p - b), pop);
    }
    cs_close(&cs);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86-enc/operands", test_encoder);
    g_test_add_func("/x86-enc/immediates", test_encoder_immediates);
    return g_test_run();
}
