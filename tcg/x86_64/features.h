/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host CPU features that the x86-64 back end can use. Found by CPUID at the first question; tests take some away to run
 * the fallbacks.
 */
#ifndef TCG_X86_64_FEATURES_H
#define TCG_X86_64_FEATURES_H

#include <stdint.h>

enum {
    X86_FEAT_BMI1 = 1, /* andn, tzcnt */
    X86_FEAT_BMI2 = 2, /* shlx shrx sarx rorx mulx */
    X86_FEAT_LZCNT = 4,
    X86_FEAT_POPCNT = 8,
    X86_FEAT_MOVBE = 16,
    X86_FEAT_PCLMUL = 32,
    X86_FEAT_AVX = 64,
    X86_FEAT_FMA = 128, /* with AVX only */
    X86_FEAT_SSE41 = 256,
    X86_FEAT_ALL = 511,
};

/* X86_FEAT_* in use. */
uint32_t x86_features(void);
/* Uses only those of @mask that the host has; for tests, while nothing compiles. ~0u: all again. */
void tcg_backend_set_features(uint32_t mask);
/* Compiles for a host with exactly @mask, whatever this one has: the code cannot be run. For tests; 0: for this host again. */
void tcg_backend_assume_features(uint32_t mask);

#endif
