/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes on the command line; see size.h. Fractions are read digit by digit as integers, so that no result depends on the
 * locale or on floating point: "1.1G" is 1.1 * 2^30 rounded down.
 */
#include "util/size.h"

#include <gio/gio.h>
#include <string.h>

static const char units[] = "bkmgtpe";

/* The power of two of a unit letter, -1 if it is none. */
static int unit_shift(char letter)
{
    const char *p = letter ? strchr(units, g_ascii_tolower(letter)) : NULL;

    return p ? (int)(p - units) * 10 : -1;
}

static int digit_value(char c, unsigned base)
{
    int v = g_ascii_xdigit_value(c);

    return v >= 0 && v < (int)base ? v : -1;
}

/* False: no digit, or the number does not fit. */
static bool read_whole(const char **pos, unsigned base, uint64_t *value)
{
    const char *start = *pos;

    for (*value = 0; digit_value(**pos, base) >= 0; ++*pos) {
        if (__builtin_mul_overflow(*value, (uint64_t)base, value) ||
            __builtin_add_overflow(*value, (uint64_t)digit_value(**pos, base), value)) {
            return false;
        }
    }
    return *pos > start;
}

/* ".5" as numerator over *scale; digits behind the ninth are too small to matter to anybody. */
static uint64_t read_fraction(const char **pos, uint64_t *scale)
{
    uint64_t value = 0;

    *scale = 1;
    if (**pos != '.' || !g_ascii_isdigit((*pos)[1])) {
        return 0;
    }
    for (++*pos; g_ascii_isdigit(**pos); ++*pos) {
        if (*scale < 1000000000) {
            value = value * 10 + (uint64_t)g_ascii_digit_value(**pos);
            *scale *= 10;
        }
    }
    return value;
}

/* The unit and its "iB" or "B"; -1: something else stands there. */
static int read_unit(const char *pos, char unit)
{
    int shift = unit_shift(*pos ? *pos : unit);

    if (!*pos || shift < 0) {
        return shift;
    }
    pos++;
    if (shift && *pos == 'i' && pos[1] == 'B') {
        pos++;
    }
    if (shift && *pos == 'B') {
        pos++;
    }
    return *pos ? -1 : shift;
}

bool size_parse(const char *text, char unit, const char *what, uint64_t *size, GError **error)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *pos = hex ? text + 2 : text;
    uint64_t whole, scale;
    unsigned __int128 total;

    if (!read_whole(&pos, hex ? 16 : 10, &whole)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: '%s' is %s", what, text,
                    pos > text + 2 * hex ? "too large" : "not a size (write 512M, 2G or 0x1000)");
        return false;
    }
    uint64_t fraction = hex ? (scale = 1, 0) : read_fraction(&pos, &scale);
    int shift = read_unit(pos, hex ? 'b' : unit);

    if (shift < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: '%s': '%s' is not a unit (k, M, G, T, P or E)", what, text, pos);
        return false;
    }
    total = ((unsigned __int128)whole << shift) + ((unsigned __int128)fraction << shift) / scale;
    if (total >> 64) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: '%s' is too large", what,
                    text);
        return false;
    }
    *size = (uint64_t)total;
    return true;
}

char *size_format(uint64_t size)
{
    static const char letters[] = "?KMGTPE";
    unsigned n = 0;

    while (n < 6 && size >> (10 * (n + 1))) {
        n++;
    }
    if (!n) {
        return g_strdup_printf("%u byte%s", (unsigned)size, size == 1 ? "" : "s");
    }
    uint64_t tenths = (uint64_t)((unsigned __int128)size * 10 >> (10 * n));

    return tenths % 10 ? g_strdup_printf("%u.%u %ciB", (unsigned)(tenths / 10),
                                         (unsigned)(tenths % 10), letters[n])
                       : g_strdup_printf("%u %ciB", (unsigned)(tenths / 10), letters[n]);
}
