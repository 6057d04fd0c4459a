/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nearest names; see suggest.h. The distance is the "optimal string alignment" variant of Damerau-Levenshtein, kept in
 * three rows of a fixed size: names are short, and what users type is cut off.
 */
#include "util/suggest.h"

#include <stdbool.h>
#include <string.h>

enum { MAX_LEN = 64, MIN_PREFIX = 3 };

static unsigned min_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return g_ascii_tolower(a) == g_ascii_tolower(b);
}

unsigned suggest_distance(const char *a, const char *b)
{
    unsigned la = strnlen(a, MAX_LEN), lb = strnlen(b, MAX_LEN);
    unsigned rows[3][MAX_LEN + 1]; /* rows[i % 3][j]: distance between i letters of a and j of b */

    for (unsigned j = 0; j <= lb; j++) {
        rows[0][j] = j;
    }
    for (unsigned i = 1; i <= la; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            row[j] =
                min_of(above[j - 1] + !same(a[i - 1], b[j - 1]), min_of(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
                row[j] = min_of(row[j], above2[j - 2] + 1);
            }
        }
    }
    return rows[la % 3][lb];
}

static bool is_near(const char *name, const char *candidate, unsigned distance)
{
    unsigned longer = MAX(strnlen(name, MAX_LEN), strnlen(candidate, MAX_LEN));

    return distance <= MAX(longer / 3, 1) && distance < longer;
}

/* What was meant as an abbreviation. */
static const char *first_with_prefix(const char *name, const char *const *names)
{
    size_t len = strlen(name);

    for (; len >= MIN_PREFIX && *names; names++) {
        if (!g_ascii_strncasecmp(name, *names, len)) {
            return *names;
        }
    }
    return NULL;
}

const char *suggest_nearest(const char *name, const char *const *names)
{
    const char *best = NULL;
    unsigned best_distance = G_MAXUINT;

    for (const char *const *n = names; *n; n++) {
        unsigned d = suggest_distance(name, *n);

        if (d < best_distance && is_near(name, *n, d)) {
            best_distance = d;
            best = *n;
        }
    }
    return best ? best : first_with_prefix(name, names);
}

char *suggest_text(const char *name, const char *const *names)
{
    const char *near = suggest_nearest(name, names);

    return near ? g_strdup_printf("; did you mean '%s'?", near) : g_strdup("");
}
