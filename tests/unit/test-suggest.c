/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/suggest: distances, what counts as near, and the text for messages.
 */
#include "util/suggest.h"

#include <string.h>

static const char *const names[] = { "kernel", "initrd",    "append", "smp",
                                     "serial", "nographic", NULL };

static void test_distance(void)
{
    char long_name[300];

    g_assert_cmpuint(suggest_distance("", ""), ==, 0);
    g_assert_cmpuint(suggest_distance("abc", ""), ==, 3);
    g_assert_cmpuint(suggest_distance("kernel", "kernle"), ==, 1); /* a swap */
    g_assert_cmpuint(suggest_distance("kernel", "KERNEL"), ==, 0);
    g_assert_cmpuint(suggest_distance("kitten", "sitting"), ==, 3);
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = 0;
    g_assert_cmpuint(suggest_distance(long_name, "x"), ==, 63);
}

static void test_nearest(void)
{
    g_assert_cmpstr(suggest_nearest("kernal", names), ==, "kernel");
    g_assert_cmpstr(suggest_nearest("spm", names), ==, "smp");
    g_assert_cmpstr(suggest_nearest("nograph", names), ==, "nographic");
    g_assert_cmpstr(suggest_nearest("ini", names), ==, "initrd");
    g_assert_null(suggest_nearest("zzz", names));
    g_assert_null(suggest_nearest("", names));
    g_assert_null(suggest_nearest("x", (const char *const[]){ NULL }));
}

static void test_text(void)
{
    g_autofree char *near = suggest_text("sreial", names), *far = suggest_text("watchdog", names);

    g_assert_cmpstr(near, ==, "; did you mean 'serial'?");
    g_assert_cmpstr(far, ==, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/suggest/distance", test_distance);
    g_test_add_func("/suggest/nearest", test_nearest);
    g_test_add_func("/suggest/text", test_text);
    return g_test_run();
}
