/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expressions of the monitor's commands: a recursive descent over C's binary operators by
 * precedence. Depth is bounded, since the text comes from whoever holds the monitor.
 */
#include "monitor/monitor-priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 50 };

typedef struct Parser {
    const char *p;
    Cpu *cpu;
    unsigned depth;
    GError **error;
} Parser;

static bool fail(Parser *ps, const char *why)
{
    g_set_error(ps->error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s at '%s'", why, ps->p);
    return false;
}

static void skip_blanks(Parser *ps)
{
    while (*ps->p == ' ' || *ps->p == '\t') {
        ps->p++;
    }
}

bool monitor_register(Cpu *cpu, const char *name, size_t len, uint64_t *value)
{
    const IrTarget *t = &cpu->ops->ir;

    if (len == 2 && !memcmp(name, "pc", 2)) {
        *value = cpu->pc;
        return true;
    }
    for (unsigned i = 0; i < t->n_regs; i++) {
        if (strlen(t->regs[i].name) == len && !memcmp(t->regs[i].name, name, len)) {
            const char *slot = (const char *)cpu + t->regs[i].offset;

            *value = t->regs[i].type == IR_I64 ? *(const uint64_t *)slot : *(const uint32_t *)slot;
            return true;
        }
    }
    return false;
}

static bool parse_register(Parser *ps, uint64_t *value)
{
    size_t len = 1;

    while (g_ascii_isalnum(ps->p[len]) || ps->p[len] == '_') {
        len++;
    }
    if (!ps->cpu || !monitor_register(ps->cpu, ps->p + 1, len - 1, value)) {
        return fail(ps, "unknown register");
    }
    ps->p += len;
    return true;
}

static bool parse_binary(Parser *ps, unsigned level, uint64_t *value);

static bool parse_unary(Parser *ps, uint64_t *value)
{
    char *end;
    bool ok;

    skip_blanks(ps);
    if (++ps->depth > MAX_DEPTH) {
        return fail(ps, "too deep");
    }
    switch (*ps->p) {
    case '$':
        ok = parse_register(ps, value);
        break;
    case '-':
        ps->p++;
        ok = parse_unary(ps, value);
        *value = -*value;
        break;
    case '~':
        ps->p++;
        ok = parse_unary(ps, value);
        *value = ~*value;
        break;
    case '(':
        ps->p++;
        ok = parse_binary(ps, 0, value);
        skip_blanks(ps);
        ok = ok && (*ps->p == ')' || fail(ps, "missing ')'"));
        ps->p += ok;
        break;
    default:
        if (!g_ascii_isdigit(*ps->p)) {
            return fail(ps, "number expected");
        }
        errno = 0;
        *value = strtoull(ps->p, &end, 0);
        if (errno) {
            return fail(ps, "number too large");
        }
        ps->p = end;
        ok = true;
        break;
    }
    ps->depth--;
    return ok;
}

static bool apply(Parser *ps, char op, uint64_t *a, uint64_t b)
{
    switch (op) {
    case '+':
        *a += b;
        break;
    case '-':
        *a -= b;
        break;
    case '*':
        *a *= b;
        break;
    case '&':
        *a &= b;
        break;
    case '|':
        *a |= b;
        break;
    case '^':
        *a ^= b;
        break;
    default:
        if (b == 0) {
            return fail(ps, "division by zero");
        }
        *a = op == '/' ? *a / b : *a % b;
        break;
    }
    return true;
}

static bool parse_binary(Parser *ps, unsigned level, uint64_t *value)
{
    static const char *const operators[] = { "|", "^", "&", "+-", "*/%" };
    uint64_t right;

    if (level == G_N_ELEMENTS(operators)) {
        return parse_unary(ps, value);
    }
    *value = 0;
    if (!parse_binary(ps, level + 1, value)) {
        return false;
    }
    for (;;) {
        char op;

        skip_blanks(ps);
        op = *ps->p;
        if (!op || !strchr(operators[level], op)) {
            return true;
        }
        ps->p++;
        right = 0;
        if (!parse_binary(ps, level + 1, &right) || !apply(ps, op, value, right)) {
            return false;
        }
    }
}

bool monitor_eval(const char *text, Cpu *cpu, uint64_t *value, const char **end, GError **error)
{
    Parser ps = { .p = text, .cpu = cpu, .error = error };

    *value = 0;
    if (!parse_binary(&ps, 0, value)) {
        return false;
    }
    skip_blanks(&ps);
    if (end) {
        *end = ps.p;
    } else if (*ps.p) {
        return fail(&ps, "unexpected text");
    }
    return true;
}
