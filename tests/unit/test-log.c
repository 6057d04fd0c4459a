/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/log: items, filters, the file, and the limit on guest errors.
 */
#include "util/log.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static void test_items(void)
{
    g_autoptr(GError) error = NULL;
    uint32_t mask = 0;

    g_assert_true(log_parse_items(
        "in_asm,ir,ir_opt,out_asm,int,exec,cpu,mmu,guest_errors,unimp,pcall", &mask, &error));
    g_assert_cmphex(mask, ==,
                    LOG_IN_ASM | LOG_IR | LOG_IR_OPT | LOG_OUT_ASM | LOG_INT | LOG_EXEC | LOG_CPU |
                        LOG_MMU | LOG_GUEST_ERRORS | LOG_UNIMP | LOG_PCALL);
    g_assert_true(log_parse_items("all,-exec", &mask, &error));
    g_assert_cmphex(mask, ==, LOG_ALL & ~LOG_EXEC & ~LOG_NOCHAIN);
    g_assert_true(log_parse_items("int,none", &mask, &error));
    g_assert_cmphex(mask, ==, 0);
    g_assert_false(log_parse_items("int,guest_error", &mask, &error));
    g_assert_cmpstr(error->message, ==,
                    "-d: unknown log item 'guest_error'; did you mean 'guest_errors'?");
    g_assert_cmphex(mask, ==, 0);
}

static void test_list(void)
{
    g_autoptr(GString) out = g_string_new(NULL);

    log_list_items(out);
    g_assert_nonnull(strstr(out->str, "in_asm "));
    g_assert_nonnull(strstr(out->str, "guest_errors "));
}

static void test_filter(void)
{
    static const char *const bad[] = { "x",
                                       "1",
                                       "1..",
                                       "2..1",
                                       "1+0",
                                       "1-0",
                                       "1..2,",
                                       "0xffffffffffffffff+2",
                                       "1-3",
                                       "1.2",
                                       "1..2x",
                                       "-1..2",
                                       "99999999999999999999..1" };

    g_assert_true(log_in_filter(0x1234));
    g_assert_true(log_set_filter("0x1000..0x1fff,0x3000+0x10,0x500-0x10", NULL));
    g_assert_true(log_in_filter(0x1000));
    g_assert_true(log_in_filter(0x1fff));
    g_assert_false(log_in_filter(0x2000));
    g_assert_true(log_in_filter(0x300f));
    g_assert_false(log_in_filter(0x3010));
    g_assert_true(log_in_filter(0x500));
    g_assert_true(log_in_filter(0x4f1));
    g_assert_false(log_in_filter(0x4f0));
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(log_set_filter(bad[i], &error));
        g_assert_true(g_str_has_prefix(error->message, "-dfilter: "));
    }
    g_assert_false(log_in_filter(0x2000));
    g_assert_true(log_set_filter("0xffffffffffffffff+1", NULL));
    g_assert_true(log_in_filter(UINT64_MAX));
    g_assert_true(log_set_filter(NULL, NULL));
    g_assert_true(log_in_filter(0x2000));
}

static void test_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("menura-log-XXXXXX", NULL),
                    *name = g_build_filename(dir, "log.%d", NULL);
    g_autofree char *real = g_strdup_printf("%s/log.%ld", dir, (long)getpid()), *text = NULL;

    g_assert_true(log_set_file(name, NULL));
    log_set_mask(LOG_INT | LOG_GUEST_ERRORS);
    log_printf(LOG_INT, "one %d\n", 1);
    log_printf(LOG_MMU, "not this\n");
    log_unimp("nor this");
    log_guest_error("bad %s", "thing");
    log_close();
    g_assert_true(g_file_get_contents(real, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "one 1\nguest-error: bad thing\n");
    g_remove(real);
    g_rmdir(dir);
    log_set_mask(0);
}

static void test_no_file(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(log_set_file("/nowhere/at/all", &error));
    g_assert_true(g_str_has_prefix(error->message, "/nowhere/at/all: "));
}

static void test_flood(void)
{
    g_autofree char *dir = g_dir_make_tmp("menura-log-XXXXXX", NULL),
                    *name = g_build_filename(dir, "log", NULL), *text = NULL;
    unsigned lines = 0;

    g_assert_true(log_set_file(name, NULL));
    log_set_mask(LOG_UNIMP);
    for (unsigned i = 0; i < 20000; i++) {
        log_unimp("%u", i);
    }
    log_close();
    log_set_mask(0);
    g_assert_true(g_file_get_contents(name, &text, NULL, NULL));
    for (const char *p = text; (p = strchr(p, '\n')); p++) {
        lines++;
    }
    g_assert_cmpuint(lines, <=, 10001);
    g_assert_true(g_str_has_suffix(text, "no more of them are printed\n"));
    g_remove(name);
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/items", test_items);
    g_test_add_func("/log/list", test_list);
    g_test_add_func("/log/filter", test_filter);
    g_test_add_func("/log/file", test_file);
    g_test_add_func("/log/no-file", test_no_file);
    g_test_add_func("/log/flood", test_flood);
    return g_test_run();
}
