/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers as the commands take them, and what is printed of requests.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/io-priv.h"

static int shift_of(char letter)
{
    static const char letters[] = "bkmgtpe";
    const char *p = letter ? strchr(letters, g_ascii_tolower(letter)) : NULL;

    return p ? 10 * (int)(p - letters) : -1;
}

/* "1.5k": behind a fraction there is a suffix. */
static int64_t fraction(const char *text, char **end)
{
    double value = g_ascii_strtod(text, end);
    int shift = **end ? shift_of(**end) : -1;

    bool whole = value == floor(value), exponent = memchr(text, 'e', (size_t)(*end - text)) ||
                                                   memchr(text, 'E', (size_t)(*end - text));

    if (exponent || (shift <= 0 && !(whole && !**end)) || value < 0 || !isfinite(value)) {
        return -EINVAL;
    }
    if (shift > 0) {
        (*end)++;
        value *= (double)(1ull << shift);
    }
    return value >= 0x1p63 ? -ERANGE : (int64_t)value;
}

int64_t io_number(const char *text)
{
    const char *digits = text + strspn(text, " \t\n\v\f\r");
    bool hex;
    char *end;
    uint64_t value;
    int shift;

    digits += *digits == '+';
    hex = digits[0] == '0' && (digits[1] | 32) == 'x';
    if (!g_ascii_isdigit(*digits)) {
        return -EINVAL;
    }
    errno = 0;
    value = strtoull(digits, &end, hex ? 16 : 10);
    if (errno) {
        return -ERANGE;
    }
    if (!hex && *end == '.') {
        int64_t v = fraction(digits, &end);

        return v >= 0 && *end ? -EINVAL : v;
    }
    shift = *end ? shift_of(*end) : 0;
    if (shift < 0 || (*end && end[1])) {
        return -EINVAL;
    }
    if (hex && *end) {
        fprintf(stderr, "%s: warning: Using a multiplier suffix on hex numbers is deprecated: %s\n",
                img_program(), text);
    }
    return value > (uint64_t)INT64_MAX >> shift ? -ERANGE : (int64_t)(value << shift);
}

bool io_complain(int64_t number, const char *text)
{
    if (number == -ERANGE) {
        printf("Parsing error: argument too large -- %s\n", text);
    } else {
        printf("Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- %s\n",
               text);
    }
    return false;
}

bool io_parse(const char *text, int64_t *number)
{
    int64_t n = io_number(text);

    *number = n;
    return n >= 0 || io_complain(n, text);
}

bool io_parse_pattern(const char *text, int *pattern)
{
    char *end;
    long value = strtol(text, &end, 0);

    if (end == text || *end || value < 0 || value > 255) {
        printf("%s is not a valid pattern byte\n", text);
        return false;
    }
    *pattern = (int)value;
    return true;
}

char *io_size(double size)
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    unsigned i = 0;
    char *text, *zeroes;

    while (size >= 1024 && i + 1 < G_N_ELEMENTS(units)) {
        size /= 1024;
        i++;
    }
    text = i ? g_strdup_printf("%.3f", size) : g_strdup_printf("%f", size);
    zeroes = strstr(text, i ? ".000" : ".000000");
    if (zeroes) {
        *zeroes = '\0';
    }
    zeroes = g_strconcat(text, " ", units[i], NULL);
    g_free(text);
    return zeroes;
}

/* "00.01 sec", or with hours if there are minutes or @full. */
static char *time_text(double seconds, bool full)
{
    unsigned hours = (unsigned)(seconds / 3600), minutes = (unsigned)(seconds / 60) % 60;
    double rest = seconds - hours * 3600.0 - minutes * 60.0;
    unsigned hundredths = (unsigned)(rest * 100);

    return full || hours || minutes
               ? g_strdup_printf("%u:%02u:%02u.%02u", hours, minutes, hundredths / 100,
                                 hundredths % 100)
               : g_strdup_printf("%02u.%02u sec", hundredths / 100, hundredths % 100);
}

void io_report(const IoReport *r, uint64_t offset, uint64_t asked, uint64_t done)
{
    double seconds = (double)MAX(g_get_monotonic_time() - r->begin, 1) / G_USEC_PER_SEC;
    g_autofree char *size = io_size((double)done), *rate = io_size((double)done / seconds);
    g_autofree char *took = time_text(seconds, r->brief);

    if (r->quiet) {
        return;
    }
    if (r->brief) {
        printf("%" G_GUINT64_FORMAT ",1,%s,%.3f,%.3f\n", done, took, (double)done / seconds,
               1 / seconds);
        return;
    }
    printf("%s %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT " bytes at offset %" G_GUINT64_FORMAT "\n",
           r->verb, done, asked, offset);
    printf("%s, 1 ops; %s (%s/sec and %.4f ops/sec)\n", size, took, rate, 1 / seconds);
}

void io_dump(const uint8_t *buf, uint64_t offset, uint64_t n)
{
    for (uint64_t i = 0; i < n; i += 16) {
        uint64_t row = MIN(n - i, 16);

        printf("%08" G_GINT64_MODIFIER "x:  ", offset + i);
        for (uint64_t j = 0; j < row; j++) {
            printf("%02x ", buf[i + j]);
        }
        putchar(' ');
        for (uint64_t j = 0; j < row; j++) {
            putchar(isalnum(buf[i + j]) ? buf[i + j] : '.');
        }
        putchar('\n');
    }
}
