/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text form of IR, printed and parsed; the format of the golden tests and of -d ir. One
 * operation a line:
 *
 *          insn 0x10 0x0               page offset, target word
 *     %2 = getreg.i64 a0
 *     %3 = load.i64.s32 %2 0x8         memory operation: u/s and bits, "be", "al"; displacement
 *     %4 = setcc.i64.ltu %3 %2
 *          setreg a1 %4
 *          call name %3 %4 0x7         helper, values, constant
 *          exitcc.i64.ne %3 %2 0x20    page offset of the target
 *          exit 0x14
 *
 * Values are named by number; the printer's are positions in the block, the parser takes any below
 * IR_MAX_INSNS, once each. Numbers are decimal or 0x and may be negative. Empty lines and lines
 * that begin with # are skipped.
 *
 * The parser takes any text without harm: it checks every name and number, and what it accepts is
 * then verified. The printer takes any verified block, and shows what it can of a block that the
 * verifier refused.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "tcg/ir-priv.h"

enum { MAX_WORDS = 8 };

/* ---- Printing ---- */

static void print_memop(uint32_t memop, GString *out)
{
    g_string_append_printf(out, ".%c%u%s%s", memop & IR_MEM_SIGN ? 's' : 'u',
                           8u << (memop & IR_MEM_SIZE), memop & IR_MEM_BE ? "be" : "",
                           memop & IR_MEM_ALIGN ? "al" : "");
}

static void print_number(int64_t n, GString *out)
{
    uint64_t magnitude = n < 0 ? -(uint64_t)n : (uint64_t)n;

    g_string_append_printf(out, " %s0x%" PRIx64, n < 0 ? "-" : "", magnitude);
}

static void print_cond(uint64_t cond, GString *out)
{
    g_string_append_printf(out, ".%s", cond <= IR_GTU ? ir_cond_name((IrCond)cond) : "?");
}

static void print_suffixes(const IrInsn *insn, GString *out)
{
    uint32_t high = (uint32_t)(insn->imm >> 32);

    if (insn->type != IR_VOID && insn->op != IR_SETREG) {
        g_string_append(out, insn->type == IR_I32 ? ".i32" : insn->type == IR_I64 ? ".i64" : ".?");
    }
    if (insn->op == IR_LOAD || insn->op == IR_STORE) {
        print_memop(high, out);
    } else if (insn->op == IR_SETCC) {
        print_cond(insn->imm, out);
    } else if (insn->op == IR_EXITCC) {
        print_cond(high, out);
    }
}

static void print_tail(const IrInsn *insn, GString *out)
{
    switch (insn->op) {
    case IR_INSN:
        print_number((int64_t)insn->imm, out);
        print_number(insn->a | (int64_t)insn->b << 16, out);
        break;
    case IR_CONST:
        g_string_append_printf(out, " 0x%" PRIx64, insn->imm);
        break;
    case IR_PCREL:
    case IR_EXIT:
    case IR_FENCE:
    case IR_LEAVE:
        print_number((int64_t)insn->imm, out);
        break;
    case IR_LOAD:
    case IR_STORE:
    case IR_EXITCC:
        print_number((int32_t)insn->imm, out);
        break;
    case IR_CALL:
        print_number((int64_t)(insn->imm >> 32), out);
        break;
    }
}

/* The register or helper that the operation names. */
static void print_name(const IrBlock *ir, const IrInsn *insn, GString *out)
{
    const IrTarget *t = ir->target;

    if (insn->op == IR_GETREG || insn->op == IR_SETREG) {
        g_string_append_printf(out, " %s", insn->imm < t->n_regs ? t->regs[insn->imm].name : "?");
    } else if (insn->op == IR_CALL || insn->op == IR_GUARD) {
        uint32_t helper = (uint32_t)insn->imm;

        g_string_append_printf(out, " %s", helper < t->n_helpers ? t->helpers[helper].name : "?");
    }
}

static unsigned printable_args(const IrBlock *ir, const IrInsn *insn)
{
    if (insn->op == IR_CALL && (uint32_t)insn->imm >= ir->target->n_helpers) {
        return 0;
    }
    return ir_insn_args(ir, insn);
}

static void print_insn(const IrBlock *ir, unsigned i, GString *out)
{
    const IrInsn *insn = &ir->insns[i];
    const IrVal args[3] = { insn->a, insn->b, insn->c };

    if (insn->op >= IR_N_OPS) {
        g_string_append_printf(out, "       ? %u\n", insn->op);
        return;
    }
    if (ir_insn_defines(insn)) {
        g_string_append_printf(out, "  %%%u = %s", i, ir_op_info[insn->op].text);
    } else {
        g_string_append_printf(out, "       %s", ir_op_info[insn->op].text);
    }
    print_suffixes(insn, out);
    print_name(ir, insn, out);
    for (unsigned n = 0; n < printable_args(ir, insn); n++) {
        g_string_append_printf(out, " %%%u", args[n]);
    }
    print_tail(insn, out);
    g_string_append_c(out, '\n');
}

void ir_print(const IrBlock *ir, GString *out)
{
    for (unsigned i = 0; i < ir->n; i++) {
        print_insn(ir, i, out);
    }
}

/* ---- Parsing ---- */

typedef struct Parser {
    IrBlock *ir;
    unsigned line;
    IrVal values[IR_MAX_INSNS]; /* by the number in the text; IR_NONE: not defined */
    char *words[MAX_WORDS];
    unsigned n_words, next;
    GError **error;
} Parser;

static bool bad(Parser *p, const char *what, const char *word)
{
    g_set_error(p->error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "IR line %u: %s '%s'", p->line, what,
                word ? word : "");
    return false;
}

static const char *next_word(Parser *p)
{
    return p->next < p->n_words ? p->words[p->next++] : NULL;
}

/* A number from @min to @max, or to UINT64_MAX if @max is -1. */
static bool parse_number(Parser *p, int64_t min, int64_t max, int64_t *value)
{
    const char *word = next_word(p), *digits = word;
    bool negative = word && *word == '-', hex;
    guint64 magnitude;
    char *end;

    digits += negative;
    if (!word || !g_ascii_isdigit(*digits)) {
        return bad(p, "number expected, not", word);
    }
    hex = digits[0] == '0' && digits[1] == 'x' && g_ascii_isxdigit(digits[2]);
    errno = 0;
    magnitude = g_ascii_strtoull(digits + 2 * hex, &end, hex ? 16 : 10);
    if (*end) {
        return bad(p, "not a number:", word);
    }
    if (errno || (negative && magnitude > 1ull << 63)) {
        return bad(p, "number out of range:", word);
    }
    *value = (int64_t)(negative ? -magnitude : magnitude);
    if (max == -1 && !negative) {
        return true;
    }
    if ((!negative && magnitude > INT64_MAX) || *value < min || (max != -1 && *value > max)) {
        return bad(p, "number out of range:", word);
    }
    return true;
}

/* "%N": the number in the text. */
static bool parse_label(Parser *p, const char *word, unsigned *label)
{
    char *end;
    guint64 n;

    if (!word || word[0] != '%' || !g_ascii_isdigit(word[1])) {
        return bad(p, "value expected, not", word);
    }
    n = g_ascii_strtoull(word + 1, &end, 10);
    if (*end || n >= IR_MAX_INSNS) {
        return bad(p, "value number out of range:", word);
    }
    *label = (unsigned)n;
    return true;
}

static bool parse_value(Parser *p, IrVal *v)
{
    const char *word = next_word(p);
    unsigned label;

    if (!parse_label(p, word, &label)) {
        return false;
    }
    *v = p->values[label];
    return *v != IR_NONE || bad(p, "value used before it is defined:", word);
}

static bool find_name(const char *word, unsigned n, const char *(*name)(const void *, unsigned),
                      const void *table, uint64_t *index)
{
    for (unsigned i = 0; word && i < n; i++) {
        if (!strcmp(word, name(table, i))) {
            *index = i;
            return true;
        }
    }
    return false;
}

static const char *reg_name(const void *table, unsigned i)
{
    return ((const IrReg *)table)[i].name;
}

static const char *helper_name(const void *table, unsigned i)
{
    return ((const IrHelper *)table)[i].name;
}

static const char *op_name(const void *table, unsigned i)
{
    return ((const IrOpInfo *)table)[i].text;
}

static const char *cond_name(const void *table, unsigned i)
{
    (void)table;
    return ir_cond_name((IrCond)i);
}

static bool parse_memop(Parser *p, const char *s, uint32_t *memop)
{
    static const struct {
        const char *bits;
        uint32_t size;
    } sizes[] = { { "8", 0 }, { "16", 1 }, { "32", 2 }, { "64", 3 } };

    if (!s || (*s != 'u' && *s != 's')) {
        return bad(p, "memory operation expected, not", s);
    }
    *memop = *s == 's' ? IR_MEM_SIGN : 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        size_t len = strlen(sizes[i].bits);

        if (!strncmp(s + 1, sizes[i].bits, len)) {
            const char *rest = s + 1 + len;

            *memop |= sizes[i].size;
            if (g_str_has_prefix(rest, "be")) {
                *memop |= IR_MEM_BE;
                rest += 2;
            }
            if (g_str_has_prefix(rest, "al")) {
                *memop |= IR_MEM_ALIGN;
                rest += 2;
            }
            return !*rest || bad(p, "no such memory operation:", s);
        }
    }
    return bad(p, "no such memory operation:", s);
}

/* "op.type.suffix": fills op, type and the suffix's part of imm. */
static bool parse_op(Parser *p, const char *word, IrInsn *insn)
{
    g_auto(GStrv) parts = g_strsplit(word ? word : "", ".", 3);
    const char *suffix = parts[0] && parts[1] ? parts[2] : NULL;
    uint64_t index, cond = 0;
    uint32_t memop = 0;

    if (!find_name(parts[0], IR_N_OPS, op_name, ir_op_info, &index)) {
        return bad(p, "no such operation:", word);
    }
    insn->op = (uint8_t)index;
    insn->type = IR_VOID;
    if (parts[1]) {
        insn->type = !strcmp(parts[1], "i32")   ? IR_I32
                     : !strcmp(parts[1], "i64") ? IR_I64
                                                : IR_VOID;
        if (insn->type == IR_VOID) {
            return bad(p, "no such type:", parts[1]);
        }
    }
    if (insn->op == IR_LOAD || insn->op == IR_STORE) {
        insn->imm = 0;
        if (!parse_memop(p, suffix, &memop)) {
            return false;
        }
        insn->imm = (uint64_t)memop << 32;
    } else if (insn->op == IR_SETCC || insn->op == IR_EXITCC) {
        if (!find_name(suffix, IR_GTU + 1, cond_name, NULL, &cond)) {
            return bad(p, "no such condition:", suffix);
        }
        insn->imm = insn->op == IR_SETCC ? cond : cond << 32;
    } else if (suffix) {
        return bad(p, "unexpected suffix:", suffix);
    }
    return true;
}

static bool parse_names(Parser *p, IrInsn *insn)
{
    const IrTarget *t = p->ir->target;

    if (insn->op == IR_GETREG || insn->op == IR_SETREG) {
        const char *word = next_word(p);

        return find_name(word, t->n_regs, reg_name, t->regs, &insn->imm) ||
               bad(p, "no such register:", word);
    }
    if (insn->op == IR_CALL || insn->op == IR_GUARD) {
        const char *word = next_word(p);

        return find_name(word, t->n_helpers, helper_name, t->helpers, &insn->imm) ||
               bad(p, "no such helper:", word);
    }
    return true;
}

static bool parse_insn_tail(Parser *p, IrInsn *insn)
{
    int64_t offset, word;

    if (!parse_number(p, INT32_MIN, INT32_MAX, &offset) || !parse_number(p, 0, UINT32_MAX, &word)) {
        return false;
    }
    insn->imm = (uint64_t)offset;
    insn->a = (IrVal)word;
    insn->b = (IrVal)(word >> 16);
    if (!p->ir->n_guest_insns++) {
        p->ir->page_offset = (uint32_t)offset & 4095;
    }
    return true;
}

/* The number at the end, into what imm has already. */
static bool parse_tail(Parser *p, IrInsn *insn)
{
    int64_t n = 0;
    bool ok = true;

    switch (insn->op) {
    case IR_INSN:
        ok = parse_insn_tail(p, insn);
        break;
    case IR_CONST:
        ok = insn->type == IR_I32 ? parse_number(p, INT32_MIN, UINT32_MAX, &n)
                                  : parse_number(p, INT64_MIN, -1, &n);
        insn->imm = insn->type == IR_I32 ? (uint32_t)n : (uint64_t)n;
        break;
    case IR_PCREL:
        ok = parse_number(p, INT64_MIN, INT64_MAX, &n);
        insn->imm = (uint64_t)n;
        break;
    case IR_EXIT:
    case IR_FENCE:
    case IR_LEAVE:
        ok = parse_number(p, INT32_MIN, INT32_MAX, &n);
        insn->imm = (uint64_t)n;
        break;
    case IR_LOAD:
    case IR_STORE:
    case IR_EXITCC:
        ok = parse_number(p, INT32_MIN, INT32_MAX, &n);
        insn->imm |= (uint32_t)n;
        break;
    case IR_CALL:
        ok = parse_number(p, 0, UINT32_MAX, &n);
        insn->imm |= (uint64_t)n << 32;
        break;
    }
    return ok && (p->next == p->n_words || bad(p, "unexpected", p->words[p->next]));
}

/* "%N =" if there is one; else *@label is IR_MAX_INSNS. */
static bool parse_definition(Parser *p, unsigned *label)
{
    const char *word = p->words[0], *equals;

    *label = IR_MAX_INSNS;
    if (word[0] != '%') {
        return true;
    }
    if (!parse_label(p, next_word(p), label)) {
        return false;
    }
    equals = next_word(p);
    if (!equals || strcmp(equals, "=")) {
        return bad(p, "'=' expected after", word);
    }
    return p->values[*label] == IR_NONE || bad(p, "value defined twice:", word);
}

static bool parse_insn(Parser *p)
{
    IrInsn insn = { .a = IR_NONE, .b = IR_NONE, .c = IR_NONE };
    IrVal *const args[3] = { &insn.a, &insn.b, &insn.c };
    IrBlock *ir = p->ir;
    unsigned label;

    if (!parse_definition(p, &label) || !parse_op(p, next_word(p), &insn) ||
        !parse_names(p, &insn)) {
        return false;
    }
    for (unsigned i = 0; i < ir_insn_args(ir, &insn); i++) {
        if (!parse_value(p, args[i])) {
            return false;
        }
    }
    if (!parse_tail(p, &insn)) {
        return false;
    }
    if (insn.op == IR_SETREG) {
        insn.type = ir->insns[insn.a].type;
    }
    if (ir->n >= IR_MAX_INSNS) {
        return bad(p, "too many operations", NULL);
    }
    if (label < IR_MAX_INSNS) {
        if (!ir_insn_defines(&insn)) {
            return bad(p, "no value is defined by", ir_op_info[insn.op].text);
        }
        p->values[label] = (IrVal)ir->n;
    }
    ir->ended = ir_op_info[insn.op].flags & IR_F_END;
    ir->insns[ir->n++] = insn;
    return true;
}

static bool split_line(Parser *p, char *line)
{
    p->n_words = p->next = 0;
    for (char *save = NULL, *w = strtok_r(line, " \t\r", &save); w;
         w = strtok_r(NULL, " \t\r", &save)) {
        if (p->n_words == MAX_WORDS) {
            return bad(p, "too many words:", w);
        }
        p->words[p->n_words++] = w;
    }
    return true;
}

bool ir_parse(IrBlock *ir, const char *text, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GError *local = NULL;
    Parser p = { .ir = ir, .error = &local };

    ir_block_reset(ir, 0, 0);
    memset(p.values, 0xff, sizeof(p.values));
    for (unsigned i = 0; lines[i]; i++) {
        p.line = i + 1;
        if (!split_line(&p, lines[i]) || (p.n_words && p.words[0][0] != '#' && !parse_insn(&p))) {
            g_propagate_error(error, local);
            return false;
        }
    }
    return ir_verify(ir, error);
}
