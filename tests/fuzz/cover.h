/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What code a run of the code under test reached, if that was compiled for it (./configure --fuzz), and what constants it compared something
 * with: good guesses for what inputs should have. Without such code nothing is ever reached. One thread.
 */
#ifndef TESTS_FUZZ_COVER_H
#define TESTS_FUZZ_COVER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A run begins. */
void cover_begin(void);
/* Whether the run reached something that no other has, or much more often; adds what to @found (of uint32_t; may be NULL). */
bool cover_is_new(GArray *found);
/* Whether the run reached all of @found, as often. */
bool cover_has(const GArray *found);
/* No run was there yet. @coarse: from now on it only counts whether a place is reached once or again. */
void cover_forget(bool coarse);
/* Places reached by all runs. */
unsigned cover_count(void);
/* The @n-th (any number) constant, or 0. */
uint64_t cover_constant(uint32_t n);

#endif
