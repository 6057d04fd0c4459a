/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reader and writer of remote protocol packets; see packet.h. No knowledge of what is in them.
 */
#include "gdbstub/packet.h"

#include <string.h>

enum { WAIT_START, IN_DATA, SUM_HIGH, SUM_LOW };

void gdb_reader_init(GdbReader *r)
{
    memset(r, 0, sizeof(*r));
    r->data = g_string_new(NULL);
}

void gdb_reader_clear(GdbReader *r)
{
    g_string_free(r->data, TRUE);
}

void gdb_reader_reset(GdbReader *r)
{
    r->state = WAIT_START;
    g_string_truncate(r->data, 0);
}

static GdbInput start(GdbReader *r, uint8_t c)
{
    switch (c) {
    case '$':
        g_string_truncate(r->data, 0);
        r->state = IN_DATA;
        r->sum = 0;
        r->escaped = r->too_long = false;
        return GDB_INPUT_MORE;
    case '+':
        return GDB_INPUT_ACK;
    case '-':
        return GDB_INPUT_NAK;
    case 3:
        return GDB_INPUT_BREAK;
    default:
        return GDB_INPUT_MORE; /* noise between packets */
    }
}

static void take_data(GdbReader *r, uint8_t c)
{
    if (c == '#') {
        r->state = SUM_HIGH;
        return;
    }
    r->sum += c;
    if (c == '}' && !r->escaped) {
        r->escaped = true;
        return;
    }
    if (r->data->len < GDB_PACKET_MAX) {
        g_string_append_c(r->data, r->escaped ? c ^ 0x20 : c);
    } else {
        r->too_long = true;
    }
    r->escaped = false;
}

GdbInput gdb_reader_feed(GdbReader *r, uint8_t c)
{
    switch (r->state) {
    case WAIT_START:
        return start(r, c);
    case IN_DATA:
        take_data(r, c);
        return GDB_INPUT_MORE;
    case SUM_HIGH:
        r->want = g_ascii_isxdigit(c) ? g_ascii_xdigit_value(c) << 4 : 0;
        r->state = SUM_LOW;
        return GDB_INPUT_MORE;
    default:
        r->state = WAIT_START;
        if (!g_ascii_isxdigit(c) || (r->want | g_ascii_xdigit_value(c)) != r->sum) {
            return GDB_INPUT_BAD;
        }
        return r->too_long ? GDB_INPUT_TOO_LONG : GDB_INPUT_PACKET;
    }
}

void gdb_packet_append(GString *out, const char *data, size_t len)
{
    uint8_t sum = 0;

    g_string_append_c(out, '$');
    for (size_t i = 0; i < len; i++) {
        char c = data[i];

        if (c == '$' || c == '#' || c == '}' || c == '*') {
            g_string_append_c(out, '}');
            sum += '}';
            c ^= 0x20;
        }
        g_string_append_c(out, c);
        sum += c;
    }
    g_string_append_printf(out, "#%02x", sum);
}

bool gdb_unhex(const char *text, size_t len, uint8_t *out)
{
    if (len % 2) {
        return false;
    }
    for (size_t i = 0; i < len; i += 2) {
        int high = g_ascii_xdigit_value(text[i]), low = g_ascii_xdigit_value(text[i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        out[i / 2] = high << 4 | low;
    }
    return true;
}

void gdb_hex_append(GString *out, const void *data, size_t len)
{
    const uint8_t *b = data;

    for (size_t i = 0; i < len; i++) {
        g_string_append_c(out, "0123456789abcdef"[b[i] >> 4]);
        g_string_append_c(out, "0123456789abcdef"[b[i] & 15]);
    }
}

bool gdb_number(const char **p, uint64_t *value)
{
    const char *s = *p;

    *value = 0;
    for (; g_ascii_isxdigit(*s); s++) {
        if (s - *p == 16) {
            return false;
        }
        *value = *value << 4 | g_ascii_xdigit_value(*s);
    }
    if (s == *p) {
        return false;
    }
    *p = s;
    return true;
}
