/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/bits.h: the ends of every range, where shifts by the full width lurk.
 */
#include "util/bits.h"

#include <glib.h>

static void test_fields(void)
{
    g_assert_cmphex(bits_mask64(0), ==, 0);
    g_assert_cmphex(bits_mask64(1), ==, 1);
    g_assert_cmphex(bits_mask64(64), ==, UINT64_MAX);
    g_assert_cmphex(bits_extract64(0x123456789abcdef0, 4, 8), ==, 0xef);
    g_assert_cmphex(bits_extract64(0x123456789abcdef0, 0, 64), ==, 0x123456789abcdef0);
    g_assert_cmphex(bits_extract64(UINT64_MAX, 63, 1), ==, 1);
    g_assert_cmphex(bits_extract32(0x12345678, 0, 32), ==, 0x12345678);
    g_assert_cmphex(bits_extract32(0x12345678, 28, 4), ==, 1);
    g_assert_cmphex(bits_deposit64(0, 60, 4, 0xff), ==, 0xf000000000000000);
    g_assert_cmphex(bits_deposit64(UINT64_MAX, 8, 8, 0), ==, 0xffffffffffff00ff);
    g_assert_cmphex(bits_deposit64(1, 0, 64, 7), ==, 7);
    g_assert_cmphex(bits_deposit32(0, 31, 1, 3), ==, 0x80000000);
    g_assert_cmphex(bits_deposit32(1, 0, 32, 7), ==, 7);
}

static void test_signs(void)
{
    g_assert_cmpint(bits_sext64(0x800, 12), ==, -2048);
    g_assert_cmpint(bits_sext64(0xf7ff, 12), ==, 2047);
    g_assert_cmpint(bits_sext64(1, 1), ==, -1);
    g_assert_cmpint(bits_sext64(1ull << 63, 64), ==, INT64_MIN);
    g_assert_cmpint(bits_sext32(0x80, 8), ==, -128);
    g_assert_cmpint(bits_sext32(0x80000000, 32), ==, INT32_MIN);
    g_assert_cmpint(bits_sextract64(0xf0, 4, 4), ==, -1);
}

static void test_alignment(void)
{
    g_assert_cmphex(bits_align_down(0x1fff, 0x1000), ==, 0x1000);
    g_assert_cmphex(bits_align_up(0x1001, 0x1000), ==, 0x2000);
    g_assert_cmphex(bits_align_up(0x1000, 0x1000), ==, 0x1000);
    g_assert_cmphex(bits_align_up(UINT64_MAX, 0x1000), ==, 0);
    g_assert_true(bits_is_aligned(0, 4096));
    g_assert_false(bits_is_aligned(2, 4));
    g_assert_true(bits_is_pow2(1));
    g_assert_true(bits_is_pow2(1ull << 63));
    g_assert_false(bits_is_pow2(0));
    g_assert_false(bits_is_pow2(6));
}

static void test_counts(void)
{
    g_assert_cmpuint(bits_clz64(0), ==, 64);
    g_assert_cmpuint(bits_ctz64(0), ==, 64);
    g_assert_cmpuint(bits_clz64(1), ==, 63);
    g_assert_cmpuint(bits_ctz64(1ull << 63), ==, 63);
    g_assert_true(bits_test64(1ull << 63, 63));
    g_assert_false(bits_test64(~(1ull << 40), 40));
}

static void test_overlap(void)
{
    g_assert_true(bits_ranges_overlap(0, 10, 9, 1));
    g_assert_false(bits_ranges_overlap(0, 10, 10, 1));
    g_assert_false(bits_ranges_overlap(5, 0, 0, 10));
    g_assert_true(bits_ranges_overlap(UINT64_MAX, 1, 0, UINT64_MAX) == false);
    g_assert_true(bits_ranges_overlap(UINT64_MAX - 4095, 4096, UINT64_MAX, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bits/fields", test_fields);
    g_test_add_func("/bits/signs", test_signs);
    g_test_add_func("/bits/alignment", test_alignment);
    g_test_add_func("/bits/counts", test_counts);
    g_test_add_func("/bits/overlap", test_overlap);
    return g_test_run();
}
