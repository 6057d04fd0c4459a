/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Golden texts (see golden.h). The list of changed lines comes from a longest common subsequence of what is left when equal lines
 * at both ends are taken off: quadratic, enough for files of a few thousand lines.
 *
 * MENURA_SOURCE is the folder of the source (tests/unit/meson.build).
 */
#include "tests/unit/golden.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Diff {
    char **old, **made;
    unsigned n_old, n_made;
    unsigned shown, max;
} Diff;

char *golden_path(const char *name)
{
    return g_build_filename(MENURA_SOURCE, "tests", "golden", name, NULL);
}

static void show(Diff *d, char sign, const char *line)
{
    if (d->shown++ < d->max) {
        g_test_message("%c%s", sign, line);
    }
}

/* common[i * (n_made + 1) + j]: how many lines old[i...] and made[j...] have in common, in order. */
static uint16_t *count_common(const Diff *d)
{
    unsigned width = d->n_made + 1;
    uint16_t *common = g_new0(uint16_t, (size_t)(d->n_old + 1) * width);

    for (unsigned i = d->n_old; i-- > 0;) {
        for (unsigned j = d->n_made; j-- > 0;) {
            uint16_t *at = &common[i * width + j];

            *at = g_str_equal(d->old[i], d->made[j]) ? at[width + 1] + 1 : MAX(at[width], at[1]);
        }
    }
    return common;
}

static void show_changes(Diff *d)
{
    g_autofree uint16_t *common = count_common(d);
    unsigned i = 0, j = 0, width = d->n_made + 1;

    while (i < d->n_old || j < d->n_made) {
        const uint16_t *at = &common[i * width + j];

        if (i < d->n_old && j < d->n_made && g_str_equal(d->old[i], d->made[j])) {
            i++;
            j++;
        } else if (j == d->n_made || (i < d->n_old && at[width] >= at[1])) {
            show(d, '-', d->old[i++]);
        } else {
            show(d, '+', d->made[j++]);
        }
    }
}

static void show_difference(const char *old, const char *made, unsigned max_lines)
{
    g_auto(GStrv) old_lines = g_strsplit(old, "\n", -1);
    g_auto(GStrv) made_lines = g_strsplit(made, "\n", -1);
    Diff d = { .old = old_lines,
               .made = made_lines,
               .n_old = g_strv_length(old_lines),
               .n_made = g_strv_length(made_lines),
               .max = max_lines };

    while (d.n_old && d.n_made && g_str_equal(d.old[0], d.made[0])) {
        d.old++;
        d.made++;
        d.n_old--;
        d.n_made--;
    }
    while (d.n_old && d.n_made && g_str_equal(d.old[d.n_old - 1], d.made[d.n_made - 1])) {
        d.n_old--;
        d.n_made--;
    }
    show_changes(&d);
    if (d.shown > d.max) {
        g_test_message("and %u changed lines more", d.shown - d.max);
    }
}

void golden_check(const char *name, const char *made, unsigned max_lines)
{
    g_autofree char *path = golden_path(name);
    g_autofree char *old = NULL;
    GError *error = NULL;

    if (g_getenv("MENURA_UPDATE_GOLDEN")) {
        g_file_set_contents(path, made, -1, &error);
        g_assert_no_error(error);
        return;
    }
    g_file_get_contents(path, &old, NULL, &error);
    g_assert_no_error(error);
    if (!g_str_equal(old, made)) {
        g_test_message("tests/golden/%s: - is the file, + what was made now "
                       "(MENURA_UPDATE_GOLDEN=1 rewrites it)",
                       name);
        show_difference(old, made, max_lines);
        g_test_fail();
    }
}
