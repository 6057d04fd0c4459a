/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes and addresses as the user writes them on the command line.
 */
#ifndef UTIL_SIZE_H
#define UTIL_SIZE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A number of bytes: decimal or 0x, or a decimal fraction ("1.5G"), followed by one of b, k, M, G, T, P, E of either case
 * (powers of 1024; "iB" or "B" may follow the letter) or nothing, which stands for @unit ('M' for -m, 'b' for bytes).
 * Hexadecimal numbers take no fraction and are always bytes unless a letter that is no digit follows ("0x10M").
 * *@size is set only on success. The error begins with @what.
 */
bool size_parse(const char *text, char unit, const char *what, uint64_t *size, GError **error);

/* "128 MiB", "1.5 GiB", "17 bytes": for messages and "info"; g_free() it. */
char *size_format(uint64_t size);

#endif
