/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See cover.h. The functions whose names begin with __sanitizer_cov are called by code compiled with -fsanitize-coverage. */
#include "tests/fuzz/cover.h"
#include <string.h>

#define PLAIN __attribute__((no_sanitize_coverage, no_sanitize("address", "undefined")))

enum { MAP_BITS = 16, MAP_SIZE = 1 << MAP_BITS, N_CONSTANTS = 1 << 12, SMALL = 16 };

static uint8_t map[MAP_SIZE];      /* of this run: how often each place was reached, up to 255 */
static uint8_t seen[MAP_SIZE];     /* of all runs: a bit for each order of magnitude */
static uint16_t reached[MAP_SIZE]; /* of this run: where map[] is not 0 */
static unsigned n_reached;
static bool coarse;

static uint64_t constants[N_CONSTANTS]; /* by a hash of each; 0: none */
static uint16_t known[N_CONSTANTS];     /* places in use of those */
static unsigned n_known;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_cmp1(uint8_t a, uint8_t b);
void __sanitizer_cov_trace_cmp2(uint16_t a, uint16_t b);
void __sanitizer_cov_trace_cmp4(uint32_t a, uint32_t b);
void __sanitizer_cov_trace_cmp8(uint64_t a, uint64_t b);
void __sanitizer_cov_trace_const_cmp1(uint8_t a, uint8_t b);
void __sanitizer_cov_trace_const_cmp2(uint16_t a, uint16_t b);
void __sanitizer_cov_trace_const_cmp4(uint32_t a, uint32_t b);
void __sanitizer_cov_trace_const_cmp8(uint64_t a, uint64_t b);
void __sanitizer_cov_trace_cmpf(float a, float b);
void __sanitizer_cov_trace_cmpd(double a, double b);
void __sanitizer_cov_trace_switch(uint64_t value, void *table);

/* ---- Called by the code under test ---- */

/* At each branch. */
PLAIN void __sanitizer_cov_trace_pc(void)
{
    uintptr_t pc = (uintptr_t)__builtin_return_address(0);
    unsigned place = (pc ^ pc >> MAP_BITS) % MAP_SIZE;

    if (!map[place]) {
        reached[n_reached++] = (uint16_t)place;
    }
    map[place] += map[place] < 255;
}

PLAIN static void note(uint64_t value)
{
    unsigned place = (unsigned)((value * 0x9e3779b97f4a7c15ull) >> 52) % N_CONSTANTS;

    if (value > SMALL && !constants[place]) {
        constants[place] = value;
        known[n_known++] = (uint16_t)place;
    }
}

PLAIN void __sanitizer_cov_trace_const_cmp1(uint8_t a, uint8_t b)
{
    (void)b;
    note(a);
}

PLAIN void __sanitizer_cov_trace_const_cmp2(uint16_t a, uint16_t b)
{
    (void)b;
    note(a);
}

PLAIN void __sanitizer_cov_trace_const_cmp4(uint32_t a, uint32_t b)
{
    (void)b;
    note(a);
}

PLAIN void __sanitizer_cov_trace_const_cmp8(uint64_t a, uint64_t b)
{
    (void)b;
    note(a);
}

/* @table: how many cases, bits of the value, the cases. */
PLAIN void __sanitizer_cov_trace_switch(uint64_t value, void *table)
{
    const uint64_t *cases = table;

    (void)value;
    for (uint64_t i = 0; i < cases[0] && !(cases[0] >> 16); i++) {
        note(cases[2 + i]);
    }
}

/* Two values that are known only at run time say nothing. */
PLAIN void __sanitizer_cov_trace_cmp1(uint8_t a, uint8_t b)
{
    (void)a;
    (void)b;
}

PLAIN void __sanitizer_cov_trace_cmp2(uint16_t a, uint16_t b)
{
    (void)a;
    (void)b;
}

PLAIN void __sanitizer_cov_trace_cmp4(uint32_t a, uint32_t b)
{
    (void)a;
    (void)b;
}

PLAIN void __sanitizer_cov_trace_cmp8(uint64_t a, uint64_t b)
{
    (void)a;
    (void)b;
}

PLAIN void __sanitizer_cov_trace_cmpf(float a, float b)
{
    (void)a;
    (void)b;
}

PLAIN void __sanitizer_cov_trace_cmpd(double a, double b)
{
    (void)a;
    (void)b;
}

/* ---- Looking at it ---- */

PLAIN static unsigned order_of(unsigned place)
{
    if (!map[place]) {
        return 0;
    }
    return coarse ? 1u << (map[place] > 1) : 1u << (31 - __builtin_clz(map[place]));
}

PLAIN void cover_begin(void)
{
    while (n_reached) {
        map[reached[--n_reached]] = 0;
    }
}

PLAIN bool cover_is_new(GArray *found)
{
    bool any = false;

    for (unsigned i = 0; i < n_reached; i++) {
        uint32_t place = reached[i], what = place << 8 | order_of(place);

        if (seen[place] & what) {
            continue;
        }
        any = true;
        seen[place] |= (uint8_t)what;
        if (found) {
            g_array_append_val(found, what);
        }
    }
    return any;
}

PLAIN bool cover_has(const GArray *found)
{
    for (unsigned i = 0; i < found->len; i++) {
        uint32_t what = g_array_index(found, uint32_t, i);

        if ((what & 0xff) > order_of(what >> 8)) {
            return false;
        }
    }
    return true;
}

void cover_forget(bool coarsely)
{
    coarse = coarsely;
    memset(seen, 0, sizeof(seen));
}

unsigned cover_count(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < MAP_SIZE; i++) {
        n += seen[i] != 0;
    }
    return n;
}

uint64_t cover_constant(uint32_t n)
{
    return n_known ? constants[known[n % n_known]] : 0;
}
