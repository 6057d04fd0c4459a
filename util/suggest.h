/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "Did you mean ...?": the name nearest to a misspelt one, by edit distance (insert, delete, replace, swap of neighbours,
 * each 1, letter case 0). Used by everything that looks names up for the user: options, properties, devices, commands.
 */
#ifndef UTIL_SUGGEST_H
#define UTIL_SUGGEST_H

#include <glib.h>

/* Distance between two strings; case does not count. Strings over 64 bytes: their first 64. */
unsigned suggest_distance(const char *a, const char *b);

/* The nearest of @names (NULL-terminated) to @name, or NULL when none is near: more than a third of the longer of the two is
 * wrong (at least one error is always forgiven), and none begins with @name (three letters at least). Borrowed from @names. */
const char *suggest_nearest(const char *name, const char *const *names);

/* Tail for an error message: "; did you mean 'NAME'?" or "" if nothing is near. Never NULL; g_free() it. */
char *suggest_text(const char *name, const char *const *names);

#endif
