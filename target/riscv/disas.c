/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RISC-V as text, for -d in_asm and the monitor's x/i: from the tables that the decoder is made of, so that what one knows the
 * other does too. Capstone's version 4 has no RISC-V.
 *
 * A compressed instruction is written as the one that it expands to; no pseudo-instructions ("ret"). Operand order and names
 * are the assembler's. Which operands are floating-point registers is read off the table's pseudo-code ("fd", "fs1").
 */
#include <inttypes.h>
#include <string.h>
#include "target/riscv/csr.h"
#include "target/riscv/isa-ext.h"
#include "target/riscv/isa-table.h"
#include "target/riscv/rv-decode.h"

typedef struct Text {
    const RvIsaEntry *entry; /* of the insn with the operands' 32-bit format */
    RvInsn insn;
    uint64_t pc;
    unsigned xlen;
    bool fd, fs1, fs2; /* which registers are floating-point ones */
} Text;

/* Writes the operands of one format. */
typedef struct Format {
    const char *name;
    void (*write)(const Text *t, GString *out);
} Format;

static const char *rd(const Text *t)
{
    return (t->fd ? rv_f_names : rv_x_names)[t->insn.rd];
}

static const char *rs1(const Text *t)
{
    return (t->fs1 ? rv_f_names : rv_x_names)[t->insn.rs1];
}

static const char *rs2(const Text *t)
{
    return (t->fs2 ? rv_f_names : rv_x_names)[t->insn.rs2];
}

static void append_address(const Text *t, GString *out)
{
    uint64_t to = t->pc + (int64_t)t->insn.imm;

    g_string_append_printf(out, ",0x%" PRIx64, t->xlen == 32 ? (uint32_t)to : to);
}

/* The rounding mode, unless it is that of fcsr. */
static void append_rm(const Text *t, GString *out)
{
    static const char *const names[8] = { "rne", "rtz", "rdn", "rup", "rmm", "rm5", "rm6", "dyn" };

    if (t->insn.rm != 7) {
        g_string_append_printf(out, ",%s", names[t->insn.rm]);
    }
}

static void append_order(const Text *t, GString *out)
{
    g_string_append_printf(out, "%s%s%s", t->insn.aq || t->insn.rl ? "." : "",
                           t->insn.aq ? "aq" : "", t->insn.rl ? "rl" : "");
}

static void append_csr(const Text *t, GString *out)
{
    char buf[16];
    const char *name = rv_csr_name(t->xlen, t->insn.csr, buf);

    if (name) {
        g_string_append(out, name);
    } else {
        g_string_append_printf(out, "0x%x", t->insn.csr);
    }
}

static void write_r(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,%s,%s", rd(t), rs1(t), rs2(t));
}

static void write_r_rm(const Text *t, GString *out)
{
    write_r(t, out);
    append_rm(t, out);
}

static void write_r1(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,%s", rd(t), rs1(t));
}

static void write_r1_rm(const Text *t, GString *out)
{
    write_r1(t, out);
    append_rm(t, out);
}

static void write_r4(const Text *t, GString *out)
{
    write_r(t, out);
    g_string_append_printf(out, ",%s", rv_f_names[t->insn.rs3]);
    append_rm(t, out);
}

static void write_i(const Text *t, GString *out)
{
    if (strstr(t->entry->operation, "[rs1 + imm]") || strstr(t->entry->operation, "(rs1 + imm)")) {
        g_string_append_printf(out, " %s,%d(%s)", rd(t), t->insn.imm, rs1(t));
    } else if (strstr(t->entry->operation, "rs1")) {
        g_string_append_printf(out, " %s,%s,%d", rd(t), rs1(t), t->insn.imm);
    }
}

static void write_s(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,%d(%s)", rs2(t), t->insn.imm, rs1(t));
}

static void write_b(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,%s", rs1(t), rs2(t));
    append_address(t, out);
}

static void write_u(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,0x%x", rd(t), (uint32_t)t->insn.imm >> 12);
}

static void write_j(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s", rd(t));
    append_address(t, out);
}

static void write_shift(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,%s,0x%x", rd(t), rs1(t), t->insn.imm);
}

static void write_amo(const Text *t, GString *out)
{
    append_order(t, out);
    g_string_append_printf(out, " %s,%s,(%s)", rd(t), rs2(t), rs1(t));
}

static void write_lr(const Text *t, GString *out)
{
    append_order(t, out);
    g_string_append_printf(out, " %s,(%s)", rd(t), rs1(t));
}

static void append_fence_set(unsigned set, GString *out)
{
    for (unsigned i = 0; i < 4; i++) {
        if (set >> (3 - i) & 1) {
            g_string_append_c(out, "iorw"[i]);
        }
    }
    if (!set) {
        g_string_append_c(out, '0');
    }
}

static void write_fence(const Text *t, GString *out)
{
    if (t->insn.fm == 8) {
        g_string_append(out, ".tso");
        return;
    }
    g_string_append_c(out, ' ');
    append_fence_set(t->insn.pred, out);
    g_string_append_c(out, ',');
    append_fence_set(t->insn.succ, out);
}

static void write_csr(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,", rd(t));
    append_csr(t, out);
    g_string_append_printf(out, ",%s", rs1(t));
}

static void write_csr_imm(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,", rd(t));
    append_csr(t, out);
    g_string_append_printf(out, ",%u", t->insn.uimm);
}

static void write_vma(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,%s", rs1(t), rs2(t));
}

static void write_cbo(const Text *t, GString *out)
{
    g_string_append_printf(out, " (%s)", rs1(t));
}

static void write_fli(const Text *t, GString *out)
{
    g_string_append_printf(out, " %s,%u", rd(t), t->insn.uimm);
}

static const Format formats[] = {
    { "R", write_r },        { "Rrm", write_r_rm }, { "R1", write_r1 },     { "R1rm", write_r1_rm },
    { "R4", write_r4 },      { "I", write_i },      { "S", write_s },       { "B", write_b },
    { "U", write_u },        { "J", write_j },      { "Sh5", write_shift }, { "Sh6", write_shift },
    { "A", write_amo },      { "A1", write_lr },    { "F", write_fence },   { "C", write_csr },
    { "Ci", write_csr_imm }, { "Vma", write_vma },  { "Cbo", write_cbo },   { "FLI", write_fli },
};

/* One of @entry's alternatives is not for the other base. */
static bool fits_base(const RvIsaEntry *entry, unsigned xlen)
{
    uint64_t other = RV_EXT_BIT(xlen == 64 ? RV_EXT_RV32 : RV_EXT_RV64);

    for (unsigned n = 0; n < G_N_ELEMENTS(entry->need) && entry->need[n]; n++) {
        if (!(entry->need[n] & other)) {
            return true;
        }
    }
    return false;
}

static bool matches(const RvIsaEntry *e, unsigned width, uint32_t word, unsigned xlen)
{
    return e->width == width && (word & e->mask) == e->match && fits_base(e, xlen) &&
           !(e->unequal[0].mask && (word & e->unequal[0].mask) == e->unequal[0].bits) &&
           !(e->unequal[1].mask && (word & e->unequal[1].mask) == e->unequal[1].bits);
}

static const RvIsaEntry *find_word(unsigned width, uint32_t word, unsigned xlen)
{
    for (unsigned n = 0; n < rv_n_isa; n++) {
        if (matches(&rv_isa_table[n], width, word, xlen)) {
            return &rv_isa_table[n];
        }
    }
    return NULL;
}

/* The 32-bit instruction that @entry is translated as: the operands' format and pseudo-code are its. */
static const RvIsaEntry *expand(const RvIsaEntry *entry, unsigned xlen)
{
    for (unsigned n = 0; entry->width == 16 && n < rv_n_isa; n++) {
        const RvIsaEntry *e = &rv_isa_table[n];

        if (e->width == 32 && g_str_equal(e->name, entry->target) && fits_base(e, xlen)) {
            return e;
        }
    }
    return entry;
}

static void write_insn(const RvIsaEntry *entry, uint32_t word, uint64_t pc, unsigned xlen,
                       GString *out)
{
    Text t = { .entry = expand(entry, xlen), .pc = pc, .xlen = xlen };

    if (entry->get) {
        entry->get(&t.insn, word);
    }
    t.fd = strstr(t.entry->operation, "fd") != NULL;
    t.fs1 = strstr(t.entry->operation, "fs1") != NULL;
    t.fs2 = strstr(t.entry->operation, "fs2") != NULL;
    g_string_append(out, t.entry->name);
    for (unsigned n = 0; n < G_N_ELEMENTS(formats); n++) {
        if (g_str_equal(formats[n].name, t.entry->format)) {
            formats[n].write(&t, out);
        }
    }
}

static unsigned disassemble(const uint8_t *code, size_t len, uint64_t pc, unsigned xlen,
                            GString *out)
{
    unsigned width = (code[0] & 3) == 3 && len >= 4 ? 32 : 16;
    uint32_t word = (uint32_t)(code[0] | code[1] << 8);
    const RvIsaEntry *entry;

    if (width == 32) {
        word |= (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;
    }
    entry = find_word(width, word, xlen);
    if (entry) {
        write_insn(entry, word, pc, xlen, out);
    } else {
        g_string_append_printf(out, ".%ubyte 0x%0*x", width / 8, width / 4, word);
    }
    return width / 8;
}

unsigned rv64_disassemble(const uint8_t *code, size_t len, uint64_t pc, GString *out)
{
    return disassemble(code, len, pc, 64, out);
}

unsigned rv32_disassemble(const uint8_t *code, size_t len, uint64_t pc, GString *out)
{
    return disassemble(code, len, pc, 32, out);
}
