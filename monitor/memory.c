/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor's memory dump, "x/FMT ADDR" (virtual) and "xp/FMT ADDR" (physical). FMT is a count, a
 * format (d u o x c s, i for instructions) and a size (b h w g), as in QEMU and gdb.
 */
#include "monitor/monitor-priv.h"

#include <string.h>
#include "softmmu/memory.h"

enum { MAX_UNITS = 65536, MAX_STRING = 4096 };

typedef struct Format {
    unsigned count;
    char type;
    unsigned size; /* bytes of a unit */
} Format;

static bool parse_format(const char *text, Format *f, GString *out)
{
    const char *p = text;
    uint64_t count = 0;
    bool sized = false;

    *f = (Format){ .count = 1, .type = 'x', .size = 4 };
    for (; g_ascii_isdigit(*p); p++) {
        count = MIN(count * 10 + (*p - '0'), MAX_UNITS + 1);
    }
    if (p != text) {
        f->count = count;
    }
    for (; *p; p++) {
        static const char sizes[] = "bhwg";
        const char *s = strchr(sizes, *p);

        if (s) {
            f->size = 1u << (s - sizes);
            sized = true;
        } else if (strchr("duoxcis", *p)) {
            f->type = *p;
        } else {
            g_string_append_printf(
                out,
                "/%s: unknown format letter '%c' (a count, one of d u o x c s i, one of b h w g)\n",
                text, *p);
            return false;
        }
    }
    if (f->count > MAX_UNITS) {
        g_string_append_printf(out, "/%s: at most %d units\n", text, MAX_UNITS);
        return false;
    }
    if (!sized && (f->type == 'c' || f->type == 's')) {
        f->size = 1;
    }
    return true;
}

static bool read_bytes(Cpu *cpu, bool physical, uint64_t addr, void *buf, size_t len)
{
    return physical ? memory_read(addr, buf, len) == MEM_OK : cpu_debug_read(cpu, addr, buf, len);
}

/* One access of the unit's size: what a device register wants. */
static bool read_unit(Cpu *cpu, bool physical, uint64_t addr, unsigned size, uint64_t *value)
{
    uint8_t b[8];

    if (physical) {
        return memory_load(addr, size, value) == MEM_OK;
    }
    if (!cpu_debug_read(cpu, addr, b, size)) {
        return false;
    }
    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        *value |= (uint64_t)b[i] << 8 * (cpu->ops->big_endian ? size - 1 - i : i);
    }
    return true;
}

static void append_char(GString *out, uint8_t c)
{
    if (c == '\'' || c == '\\') {
        g_string_append_printf(out, "\\%c", c);
    } else if (g_ascii_isprint(c)) {
        g_string_append_c(out, c);
    } else if (c == '\n') {
        g_string_append(out, "\\n");
    } else {
        g_string_append_printf(out, "\\x%02x", c);
    }
}

static void append_value(GString *out, const Format *f, uint64_t v)
{
    unsigned bits = f->size * 8;

    switch (f->type) {
    case 'd':
        g_string_append_printf(out, "%" G_GINT64_FORMAT,
                               (int64_t)(v << (64 - bits)) >> (64 - bits));
        break;
    case 'u':
        g_string_append_printf(out, "%" G_GUINT64_FORMAT, v);
        break;
    case 'o':
        g_string_append_printf(out, "%#" G_GINT64_MODIFIER "o", v);
        break;
    case 'c':
        g_string_append_c(out, '\'');
        append_char(out, v);
        g_string_append_c(out, '\'');
        break;
    default:
        g_string_append_printf(out, "0x%0*" G_GINT64_MODIFIER "x", (int)f->size * 2, v);
        break;
    }
}

static void append_address(GString *out, const Cpu *cpu, bool physical, uint64_t addr)
{
    unsigned digits = physical || cpu->ops->address_bits == 64 ? 16 : 8;

    g_string_append_printf(out, "%0*" G_GINT64_MODIFIER "x:", (int)digits, addr);
}

static void dump_units(Cpu *cpu, bool physical, const Format *f, uint64_t addr, GString *out)
{
    unsigned per_line = f->type == 'c' ? 8 : MAX(1, 16 / f->size);

    for (unsigned i = 0; i < f->count; i++, addr += f->size) {
        uint64_t v;

        if (i % per_line == 0) {
            append_address(out, cpu, physical, addr);
        }
        if (!read_unit(cpu, physical, addr, f->size, &v)) {
            g_string_append_printf(out, " cannot access memory at 0x%" G_GINT64_MODIFIER "x\n",
                                   addr);
            return;
        }
        g_string_append_c(out, ' ');
        append_value(out, f, v);
        if (i % per_line == per_line - 1 || i + 1 == f->count) {
            g_string_append_c(out, '\n');
        }
    }
}

static void dump_strings(Cpu *cpu, bool physical, unsigned count, uint64_t addr, GString *out)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t c = 1;

        append_address(out, cpu, physical, addr);
        g_string_append(out, " \"");
        for (unsigned n = 0; c && n < MAX_STRING; n++) {
            if (!read_bytes(cpu, physical, addr++, &c, 1)) {
                g_string_append(out, "\" cannot access memory\n");
                return;
            }
            if (c) {
                append_char(out, c);
            }
        }
        g_string_append(out, "\"\n");
    }
}

/* As many of 16 bytes as can be read from here. */
static size_t read_ahead(Cpu *cpu, bool physical, uint64_t addr, uint8_t *bytes)
{
    size_t n = 16;

    while (n && !read_bytes(cpu, physical, addr, bytes, n)) {
        n -= 2;
    }
    return n;
}

static void dump_insns(Cpu *cpu, bool physical, unsigned count, uint64_t addr, GString *out)
{
    if (!cpu->ops->disassemble) {
        g_string_append_printf(out, "x/i: no disassembler for %s\n", cpu->ops->name);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        uint8_t bytes[16];
        size_t have = read_ahead(cpu, physical, addr, bytes);

        append_address(out, cpu, physical, addr);
        if (have < 2) {
            g_string_append(out, " cannot access memory\n");
            break;
        }
        g_string_append_c(out, ' ');
        addr += cpu->ops->disassemble(bytes, have, addr, out);
        g_string_append_c(out, '\n');
    }
}

void monitor_dump_memory(MonitorCall *call, bool physical)
{
    g_autoptr(GError) error = NULL;
    Cpu *cpu = monitor_cpu(call);
    uint64_t addr;
    Format f;

    if (!cpu || !parse_format(call->format ? call->format : "", &f, call->out)) {
        return;
    }
    cpu_pause_all();
    if (!monitor_eval(call->args, cpu, &addr, NULL, &error)) {
        g_string_append_printf(call->out, "x: %s\n", error->message);
    } else if (f.type == 'i') {
        dump_insns(cpu, physical, f.count, addr, call->out);
    } else if (f.type == 's') {
        dump_strings(cpu, physical, f.count, addr, call->out);
    } else {
        dump_units(cpu, physical, &f, addr, call->out);
    }
    cpu_resume_all();
}

void monitor_print_value(MonitorCall *call)
{
    g_autoptr(GError) error = NULL;
    Cpu *cpu = monitor_cpu(call);
    uint64_t value;
    Format f;

    if (!cpu || !parse_format(call->format ? call->format : "", &f, call->out)) {
        return;
    }
    f.size = 8;
    cpu_pause_all();
    if (monitor_eval(call->args, cpu, &value, NULL, &error)) {
        if (f.type == 'x') {
            g_string_append_printf(call->out, "0x%" G_GINT64_MODIFIER "x\n", value);
        } else {
            append_value(call->out, &f, value);
            g_string_append_c(call->out, '\n');
        }
    } else {
        g_string_append_printf(call->out, "print: %s\n", error->message);
    }
    cpu_resume_all();
}
