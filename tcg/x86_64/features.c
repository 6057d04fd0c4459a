/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host CPU features by CPUID (Intel SDM volume 2, CPUID leaves 1, 7 and 0x80000001). BMI1 and BMI2 are VEX-encoded but work on
 * general registers, so they need no operating system support.
 */
#include <cpuid.h>
#include <glib.h>
#include "tcg/abi.h"
#include "tcg/x86_64/features.h"

static const struct {
    uint32_t bit;
    const char *name;
} feature_names[] = {
    { X86_FEAT_BMI1, "bmi1" },     { X86_FEAT_BMI2, "bmi2" },   { X86_FEAT_LZCNT, "lzcnt" },
    { X86_FEAT_POPCNT, "popcnt" }, { X86_FEAT_MOVBE, "movbe" }, { X86_FEAT_PCLMUL, "pclmul" },
    { X86_FEAT_AVX, "avx" },       { X86_FEAT_FMA, "fma" },     { X86_FEAT_SSE41, "sse4.1" },
};

static uint32_t allowed = ~0u, assumed;

static uint32_t detect(void)
{
    unsigned a, b, c, d;
    uint32_t f = 0;

    if (__get_cpuid(1, &a, &b, &c, &d)) {
        f |= c & bit_POPCNT ? X86_FEAT_POPCNT : 0;
        f |= c & bit_MOVBE ? X86_FEAT_MOVBE : 0;
        f |= c & bit_PCLMUL ? X86_FEAT_PCLMUL : 0;
        f |= c & bit_SSE4_1 ? X86_FEAT_SSE41 : 0;
    }
    /* These ask the operating system too. */
    f |= __builtin_cpu_supports("avx") ? X86_FEAT_AVX : 0;
    f |= __builtin_cpu_supports("avx") && __builtin_cpu_supports("fma") ? X86_FEAT_FMA : 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        f |= b & bit_BMI ? X86_FEAT_BMI1 : 0;
        f |= b & bit_BMI2 ? X86_FEAT_BMI2 : 0;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
        f |= c & bit_LZCNT ? X86_FEAT_LZCNT : 0;
    }
    return f;
}

uint32_t x86_features(void)
{
    static gsize known;
    uint32_t f;

    if (g_once_init_enter(&known)) {
        g_once_init_leave(&known, detect() | (gsize)1 << 32);
    }
    f = assumed ? assumed : (uint32_t)known & allowed;
    return f & X86_FEAT_AVX ? f : f & ~(uint32_t)X86_FEAT_FMA;
}

void tcg_backend_set_features(uint32_t mask)
{
    allowed = mask;
}

void tcg_backend_assume_features(uint32_t mask)
{
    assumed = mask;
}

const char *tcg_backend_features(void)
{
    static char text[64];
    static gsize made;

    if (g_once_init_enter(&made)) {
        for (unsigned i = 0; i < G_N_ELEMENTS(feature_names); i++) {
            if (x86_features() & feature_names[i].bit) {
                g_strlcat(text, text[0] ? " " : "", sizeof(text));
                g_strlcat(text, feature_names[i].name, sizeof(text));
            }
        }
        g_once_init_leave(&made, 1);
    }
    return text;
}
