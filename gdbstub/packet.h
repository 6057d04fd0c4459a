/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Framing of gdb's remote serial protocol: "$data#cs", acknowledgements, the break character,
 * escapes (gdb manual, appendix "Remote Protocol"). Bytes come from anybody who can connect:
 * packets are bounded and nothing is believed.
 */
#ifndef GDBSTUB_PACKET_H
#define GDBSTUB_PACKET_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What qSupported tells gdb; longer packets are refused. */
enum { GDB_PACKET_MAX = 16384 };

typedef enum GdbInput {
    GDB_INPUT_MORE,     /* nothing complete yet */
    GDB_INPUT_PACKET,   /* reader->data is a packet, unescaped, NUL behind it */
    GDB_INPUT_TOO_LONG, /* a well-formed packet of more than GDB_PACKET_MAX bytes went by */
    GDB_INPUT_BAD,      /* wrong check sum */
    GDB_INPUT_ACK,
    GDB_INPUT_NAK,
    GDB_INPUT_BREAK, /* C-c */
} GdbInput;

typedef struct GdbReader {
    GString *data;
    uint8_t state, sum, want;
    bool escaped, too_long;
} GdbReader;

void gdb_reader_init(GdbReader *r);
void gdb_reader_clear(GdbReader *r);
/* Forgets a half-read packet (new connection). */
void gdb_reader_reset(GdbReader *r);
/* Takes one byte. */
GdbInput gdb_reader_feed(GdbReader *r, uint8_t c);

/* Appends "$data#cs" with escapes to @out. */
void gdb_packet_append(GString *out, const char *data, size_t len);

/* Hexadecimal data: @len digits in pairs into @len / 2 bytes; false: odd, or no digits. */
bool gdb_unhex(const char *text, size_t len, uint8_t *out);
void gdb_hex_append(GString *out, const void *data, size_t len);
/* A number of 1-16 hexadecimal digits at *@p, which goes behind it. */
bool gdb_number(const char **p, uint64_t *value);

#endif
