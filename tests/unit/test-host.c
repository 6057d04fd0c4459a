/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/host: against the compiler's own view of the processor, and the text form.
 */
#include "util/host.h"

#include <glib.h>

static void test_features(void)
{
#ifdef __x86_64__
    g_assert_true(host_has(HOST_BMI1) == !!__builtin_cpu_supports("bmi"));
    g_assert_true(host_has(HOST_BMI2) == !!__builtin_cpu_supports("bmi2"));
    g_assert_true(host_has(HOST_POPCNT) == !!__builtin_cpu_supports("popcnt"));
    g_assert_true(host_has(HOST_AVX) == !!__builtin_cpu_supports("avx"));
    g_assert_true(host_has(HOST_AVX2) == !!__builtin_cpu_supports("avx2"));
    g_assert_true(host_has(HOST_FMA) == !!__builtin_cpu_supports("fma"));
    g_assert_true(host_has(HOST_PCLMUL) == !!__builtin_cpu_supports("pclmul"));
#endif
    g_assert_true(host_has(0));
    g_assert_cmphex(host_features(), ==, host_features());
}

static void test_text(void)
{
    g_autofree char *two = host_features_text(HOST_FMA | HOST_BMI2), *none = host_features_text(0);

    g_assert_cmpstr(two, ==, "bmi2 fma");
    g_assert_cmpstr(none, ==, "");
}

static void test_sizes(void)
{
    g_assert_cmpuint(host_page_size(), >=, 4096);
    g_assert_cmpuint(host_cpus(), >=, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/features", test_features);
    g_test_add_func("/host/text", test_text);
    g_test_add_func("/host/sizes", test_sizes);
    return g_test_run();
}
