/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/size: what is a size, what is not, and that errors begin with the option.
 */
#include "util/size.h"

static void accept(const char *text, char unit, uint64_t expected)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = 0;

    g_assert_true(size_parse(text, unit, "-m", &size, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(size, ==, expected);
}

static void refuse(const char *text)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = 42;

    g_assert_false(size_parse(text, 'M', "-m", &size, &error));
    g_assert_nonnull(error);
    g_assert_true(g_str_has_prefix(error->message, "-m: "));
    g_assert_cmpuint(size, ==, 42);
}

static void test_accepted(void)
{
    accept("128", 'M', 128 << 20);
    accept("128", 'b', 128);
    accept("128M", 'b', 128 << 20);
    accept("2g", 'M', 2ull << 30);
    accept("2GiB", 'M', 2ull << 30);
    accept("64KB", 'b', 65536);
    accept("17b", 'M', 17);
    accept("0", 'M', 0);
    accept("0x1000", 'M', 4096);
    accept("0x10M", 'b', 16 << 20);
    accept("0x1b", 'M', 27);
    accept("1.5G", 'M', 3ull << 29);
    accept("1.1k", 'b', 1126);
    accept("1.5", 'M', 3 << 19);
    accept("15E", 'b', 15ull << 60);
    accept("18446744073709551615", 'b', UINT64_MAX);
    accept("1.00000000000000000000001G", 'b', 1 << 30);
}

static void test_refused(void)
{
    static const char *const bad[] = { "",
                                       " 1",
                                       "-1",
                                       "M",
                                       "0x",
                                       "12Q",
                                       "12MM",
                                       "12Mx",
                                       "12iB",
                                       "1.",
                                       "1.M",
                                       "1..5G",
                                       ".5G",
                                       "16E",
                                       "0x1.5",
                                       "18446744073709551616",
                                       "99999999999999999999G",
                                       "0x1ffffffffffffffff",
                                       "12 M" };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        refuse(bad[i]);
    }
}

static void test_format(void)
{
    static const struct {
        uint64_t size;
        const char *text;
    } cases[] = { { 0, "0 bytes" },          { 1, "1 byte" },          { 1023, "1023 bytes" },
                  { 1024, "1 KiB" },         { 128 << 20, "128 MiB" }, { 3ull << 29, "1.5 GiB" },
                  { UINT64_MAX, "15.9 EiB" } };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = size_format(cases[i].size);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/size/accepted", test_accepted);
    g_test_add_func("/size/refused", test_refused);
    g_test_add_func("/size/format", test_format);
    return g_test_run();
}
