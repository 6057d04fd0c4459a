/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helpers of the tests of image formats, see images.h.
 */
#include "images.h"
#include <string.h>

void image_create(const BlockDriver *driver, const char *file, const char *options)
{
    g_autoptr(KeyVals) kv = keyvals_parse(options, NULL);
    g_autoptr(GError) error = NULL;

    node_create(driver, file, kv, &error);
    g_assert_no_error(error);
}

BlockNode *image_open(const char *format, const char *file, bool readonly)
{
    /* What power failures leave is simulated: none is waited for. */
    NodeOptions options = { .file = file, .format = format, .readonly = readonly, .unsafe = true };
    g_autoptr(GError) error = NULL;
    BlockNode *node = node_open(&options, &error);

    g_assert_no_error(error);
    return node;
}

void image_fill(uint8_t *buf, uint64_t bytes, unsigned seed)
{
    for (uint64_t i = 0; i < bytes; i++) {
        buf[i] = (uint8_t)(seed + i * 7 + (i >> 9) * 13) | 1;
    }
}

void image_assert_reads(BlockNode *node, const uint8_t *model, uint64_t offset, uint64_t bytes)
{
    g_autofree uint8_t *buf = g_malloc(bytes);

    g_assert_cmpint(node_pread(node, offset, buf, bytes), ==, 0);
    if (memcmp(buf, model + offset, bytes)) {
        uint64_t i = 0;

        while (buf[i] == model[offset + i]) {
            i++;
        }
        g_test_fail_printf("byte %#" G_GINT64_MODIFIER "x is %#x, not %#x", offset + i, buf[i],
                           model[offset + i]);
        g_assert_not_reached();
    }
}

void image_assert_clean(BlockNode *node, bool leaks_allowed)
{
    g_autoptr(GError) error = NULL;
    NodeCheck check = { .report = NULL };

    if (!node->driver->check) {
        return;
    }
    check.report = g_string_new(NULL);
    node->driver->check(node, &check, &error);
    g_assert_no_error(error);
    if (check.corruptions || check.check_errors || (check.leaks && !leaks_allowed)) {
        g_test_message("check: %s", check.report->str);
        g_assert_not_reached();
    }
    g_string_free(check.report, TRUE);
}

void image_mend(BlockNode *node, bool leaks_allowed)
{
    NodeCheck check = { .fix_leaks = true, .fix_errors = true };

    if (node->driver->check) {
        check.report = g_string_new(NULL);
        g_assert_true(node->driver->check(node, &check, NULL));
        g_string_free(check.report, TRUE);
        image_assert_clean(node, leaks_allowed);
    }
}

void image_damage(uint8_t *data, gsize len, unsigned head)
{
    static const uint8_t values[] = { 0, 1, 0x80, 0xff, 0x7f, 2 };
    unsigned n = (unsigned)g_test_rand_int_range(1, 5);

    while (n--) {
        gsize end = g_test_rand_bit() ? MIN(head, len) : len;
        gsize at = (gsize)g_test_rand_int_range(0, (gint32)end);

        data[at] = g_test_rand_bit() ? values[g_test_rand_int_range(0, 6)]
                                     : data[at] ^ (uint8_t)(1 << g_test_rand_int_range(0, 8));
    }
}
