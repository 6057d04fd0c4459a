/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host features; see host.h. Leaf 1, leaf 7 and leaf 0x80000001 of cpuid, and XCR0 for what needs the operating system to
 * save the upper halves of the vector registers.
 */
#include "util/host.h"

#include <glib.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

static const struct {
    uint32_t bit;
    const char *name;
} names[] = {
    { HOST_BMI1, "bmi1" },     { HOST_BMI2, "bmi2" },   { HOST_LZCNT, "lzcnt" },
    { HOST_POPCNT, "popcnt" }, { HOST_MOVBE, "movbe" }, { HOST_SSE41, "sse4.1" },
    { HOST_PCLMUL, "pclmul" }, { HOST_AVX, "avx" },     { HOST_AVX2, "avx2" },
    { HOST_FMA, "fma" },       { HOST_F16C, "f16c" },
};

#ifdef __x86_64__
static bool os_saves_avx(uint32_t leaf1_ecx)
{
    uint32_t low, high;

    if (!(leaf1_ecx & bit_OSXSAVE)) {
        return false;
    }
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6; /* XMM and YMM state */
}

static uint32_t read_leaf1(void)
{
    uint32_t a, b, c, d, found = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d)) {
        return 0;
    }
    found |= c & bit_POPCNT ? HOST_POPCNT : 0;
    found |= c & bit_MOVBE ? HOST_MOVBE : 0;
    found |= c & bit_SSE4_1 ? HOST_SSE41 : 0;
    found |= c & bit_PCLMUL ? HOST_PCLMUL : 0;
    if (c & bit_AVX && os_saves_avx(c)) {
        found |= HOST_AVX;
        found |= c & bit_FMA ? HOST_FMA : 0;
        found |= c & bit_F16C ? HOST_F16C : 0;
    }
    return found;
}

static uint32_t read_features(void)
{
    uint32_t a, b, c, d, found = read_leaf1();

    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        found |= b & bit_BMI ? HOST_BMI1 : 0;
        found |= b & bit_BMI2 ? HOST_BMI2 : 0;
        found |= b & bit_AVX2 && found & HOST_AVX ? HOST_AVX2 : 0;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
        found |= c & bit_LZCNT ? HOST_LZCNT : 0;
    }
    return found;
}
#else
static uint32_t read_features(void)
{
    return 0;
}
#endif

uint32_t host_features(void)
{
    static gsize known; /* the mask + 1: 0 is "not yet" to g_once */

    if (g_once_init_enter(&known)) {
        g_once_init_leave(&known, (gsize)read_features() + 1);
    }
    return (uint32_t)(known - 1);
}

bool host_has(uint32_t mask)
{
    return (host_features() & mask) == mask;
}

char *host_features_text(uint32_t mask)
{
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (mask & names[i].bit) {
            g_string_append_printf(s, "%s%s", s->len ? " " : "", names[i].name);
        }
    }
    return g_string_free(s, FALSE);
}

size_t host_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

unsigned host_cpus(void)
{
    return g_get_num_processors();
}
