/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Comparing what a test made with a text in tests/golden/, for unit tests.
 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

/* Compares @made with the file tests/golden/@name. Where they differ the test fails with a message that lists the lines taken
 * out (-) and put in (+), at most @max_lines of them. With MENURA_UPDATE_GOLDEN in the environment it writes the file instead. */
void golden_check(const char *name, const char *made, unsigned max_lines);

/* The whole path of tests/golden/@name; the caller frees it. */
char *golden_path(const char *name);

#endif
