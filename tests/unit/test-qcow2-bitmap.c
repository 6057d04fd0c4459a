/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmaps of qcow2 images: they record what is written, also in place and when the image changes its size or contents; they are stored, merged and
 * removed; and at cuts at any time no bitmap is lost, and each that says to be consistent has all sectors that differ from when it was added.
 */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include "block/bitmap.h"
#include "block/formats/formats.h"
#include "cuts.h"
#include "images.h"

enum { LENGTH = 1 << 20, SECTOR = BLOCK_SECTOR, SECTORS = LENGTH / SECTOR, ROUNDS = 12, KEPT = 3 };

static char *folder, *image, *other, *copy;
static uint8_t data[LENGTH], read_back[LENGTH], base[ROUNDS][LENGTH];

static BlockNode *open_image(const char *file, bool readonly)
{
    return image_open("qcow2", file, readonly);
}

static void close_image(BlockNode *node)
{
    g_assert_cmpint(node_close(node), ==, 0);
}

static void create(const char *file, const char *options)
{
    g_autofree char *all = g_strdup_printf("size=%u%s", LENGTH, options);

    image_create(&block_qcow2_driver, file, all);
}

static void add(BlockNode *node, const char *name, uint64_t granularity)
{
    g_autoptr(GError) error = NULL;

    node->driver->bitmaps->add(node, name, granularity, &error);
    g_assert_no_error(error);
}

static bool is_dirty(BlockNode *node, const char *name, uint64_t sector)
{
    uint64_t run;
    bool dirty;

    g_assert_cmpint(
        node->driver->bitmaps->status(node, name, sector * SECTOR, SECTOR, &dirty, &run), ==, 0);
    g_assert_cmpuint(run, ==, SECTOR);
    return dirty;
}

/* @name has what @model has, as far as @granularity lets it tell. */
static void assert_bitmap(BlockNode *node, const char *name, uint64_t granularity,
                          const bool *model)
{
    uint64_t unit = granularity / SECTOR, n = node->length / SECTOR;

    for (uint64_t i = 0; i < n; i += unit) {
        bool dirty = false;

        for (uint64_t k = i; k < MIN(i + unit, n); k++) {
            dirty |= model[k];
        }
        g_assert_cmpint(is_dirty(node, name, i), ==, dirty);
        g_assert_cmpint(is_dirty(node, name, MIN(i + unit, n) - 1), ==, dirty);
    }
}

static void touch(bool *model, uint64_t offset, uint64_t bytes)
{
    memset(model + offset / SECTOR, true, bytes / SECTOR);
}

static void random_write(BlockNode *node, bool *model)
{
    uint64_t bytes = (uint64_t)g_test_rand_int_range(1, 20) * SECTOR;
    uint64_t offset =
        (uint64_t)g_test_rand_int_range(0, (gint32)((node->length - bytes) / SECTOR)) * SECTOR;

    touch(model, offset, bytes);
    if (g_test_rand_int_range(0, 4)) {
        g_assert_cmpint(node_pwrite(node, offset, data, bytes), ==, 0);
    } else {
        g_assert_cmpint(node_write_zeroes(node, offset, bytes, true), ==, 0);
    }
}

/* ---- Contents ---- */

static void test_records(gconstpointer options)
{
    bool first[2 * SECTORS] = { 0 }, second[2 * SECTORS] = { 0 }, none[2 * SECTORS] = { 0 };
    BlockNode *node;

    create(image, options);
    node = open_image(image, false);
    add(node, "fine", SECTOR);
    add(node, "coarse", 65536);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 20; i++) {
            random_write(node, first);
        }
        assert_bitmap(node, "fine", SECTOR, first);
        close_image(node);
        node = open_image(image, false);
        image_assert_clean(node, false);
    }
    add(node, "off", 4096);
    g_assert_true(node->driver->bitmaps->enable(node, "fine", false, NULL));
    g_assert_true(node->driver->bitmaps->enable(node, "off", false, NULL));
    g_assert_true(node->driver->bitmaps->set(node, "coarse", 0, node->length, false, NULL));
    for (unsigned i = 0; i < 20; i++) {
        random_write(node, second);
    }
    close_image(node);
    node = open_image(image, true);
    image_assert_clean(node, false);
    assert_bitmap(node, "fine", SECTOR, first);
    assert_bitmap(node, "coarse", 65536, second);
    assert_bitmap(node, "off", 4096, none);
    close_image(node);
}

static void test_resize(gconstpointer options)
{
    bool model[2 * SECTORS] = { 0 };
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    create(image, options);
    node = open_image(image, false);
    add(node, "b", SECTOR);
    add(node, "all", 4096);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t length = (uint64_t)g_test_rand_int_range(SECTORS / 2, 2 * SECTORS) * SECTOR;

        random_write(node, model);
        if (i % 10 == 0) {
            g_assert_true(node_truncate(node, length, true, NODE_PREALLOC_OFF, &error));
            memset(model + length / SECTOR, false, 2 * SECTORS - length / SECTOR);
            assert_bitmap(node, "b", SECTOR, model);
            image_assert_clean(node, false);
        }
    }
    close_image(node);
    node = open_image(image, false);
    assert_bitmap(node, "b", SECTOR, model);
    g_assert_cmpint(node->driver->make_empty(node), ==, 0);
    touch(model, 0, node->length);
    assert_bitmap(node, "all", 4096, model);
    close_image(node);
    node = open_image(image, true);
    assert_bitmap(node, "b", SECTOR, model);
    image_assert_clean(node, false);
    close_image(node);
}

/* Going back to a snapshot of another size changes all, and the size. */
static void test_snapshot(void)
{
    NodeSnapshot sn = { .name = (char *)"one" };
    bool model[2 * SECTORS] = { 0 };
    BlockNode *node;

    create(image, ",cluster_size=4k");
    node = open_image(image, false);
    g_assert_true(node->driver->snapshot_create(node, &sn, NULL));
    g_assert_true(node_truncate(node, 2 * LENGTH, false, NODE_PREALLOC_OFF, NULL));
    add(node, "b", SECTOR);
    close_image(node);
    node = open_image(image, false);
    g_assert_true(node->driver->snapshot_apply(node, "one", NULL));
    g_assert_cmpuint(node->length, ==, LENGTH);
    close_image(node);
    node = open_image(image, true);
    touch(model, 0, LENGTH);
    assert_bitmap(node, "b", SECTOR, model);
    image_assert_clean(node, false);
    close_image(node);
}

static void test_merge(void)
{
    bool model[2 * SECTORS] = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = NULL;
    BlockNode *node, *to;

    create(image, "");
    create(other, ",cluster_size=512");
    node = open_image(image, false);
    to = open_image(other, false);
    add(node, "b", 0);
    add(to, "c", 4096);
    g_assert_cmpint(node_pwrite(node, 65536, data, 65536), ==, 0);
    touch(model, 65536, 65536);
    node_bitmap_merge(to, "c", node, "b", &error);
    g_assert_no_error(error);
    assert_bitmap(to, "c", 4096, model);
    g_assert_false(node_bitmap_merge(to, "x", node, "b", NULL));
    g_assert_false(to->driver->bitmaps->add(to, "c", 0, NULL));
    g_assert_false(to->driver->bitmaps->add(to, "d", 1000, NULL));
    g_assert_true(to->driver->bitmaps->remove(to, "c", NULL));
    g_assert_true(node->driver->bitmaps->remove(node, "b", NULL));
    close_image(to);
    close_image(node);
    node = open_image(image, false);
    list = node->driver->bitmaps->list(node);
    g_assert_cmpuint(list->len, ==, 0);
    image_assert_clean(node, false);
    close_image(node);
}

/* Writes past the driver are let through only where they change no bitmap. */
static void test_in_place(void)
{
    uint64_t at;
    int fd;
    BlockNode *node;

    create(image, "");
    node = open_image(image, false);
    g_assert_cmpint(node_pwrite(node, 0, data, 65536), ==, 0);
    g_assert_true(node->driver->direct(node, 0, 4096, true, &fd, &at));
    add(node, "b", 4096);
    g_assert_false(node->driver->direct(node, 0, 4096, true, &fd, &at));
    g_assert_true(node->driver->direct(node, 0, 4096, false, &fd, &at));
    g_assert_cmpint(node_pwrite(node, 0, data, 4096), ==, 0);
    g_assert_true(node->driver->direct(node, 0, 4096, true, &fd, &at));
    g_assert_false(node->driver->direct(node, 0, 8192, true, &fd, &at));
    close_image(node);
}

/* ---- Cuts ---- */

static unsigned cut_round;
static bool cut_added; /* the one of this round */

static void assert_covers(BlockNode *node, const char *name, const uint8_t *before)
{
    for (uint64_t i = 0; i < SECTORS; i++) {
        if (memcmp(read_back + i * SECTOR, before + i * SECTOR, SECTOR)) {
            g_assert_true(is_dirty(node, name, i));
        }
    }
}

static void assert_survives(void)
{
    g_autoptr(GPtrArray) list = NULL;
    unsigned found = 0; /* bits: rounds */
    BlockNode *node;

    cuts_leave(copy);
    node = open_image(copy, true);
    image_assert_clean(node, true);
    g_assert_cmpint(node_pread(node, 0, read_back, LENGTH), ==, 0);
    list = node->driver->bitmaps->list(node);
    for (guint i = 0; i < list->len; i++) {
        const NodeBitmap *b = g_ptr_array_index(list, i);
        unsigned round = (unsigned)g_ascii_strtoull(b->name, NULL, 10);

        found |= 1u << round;
        g_assert_true(round < cut_round || (round == cut_round && cut_added));
        if (!b->inconsistent) {
            assert_covers(node, b->name, base[round]);
        }
    }
    for (unsigned round = 0; round < cut_round; round++) { /* what is not being removed */
        g_assert_true(round + KEPT <= cut_round || (found >> round & 1));
    }
    close_image(node);
}

static void cut_round_of(BlockNode *node)
{
    g_autofree char *name = g_strdup_printf("%u", cut_round);
    bool ignored[2 * SECTORS];

    for (unsigned i = 0; i < 8; i++) {
        if (i == 4) {
            g_assert_cmpint(node_pread(node, 0, base[cut_round], LENGTH), ==, 0);
            add(node, name, cut_round % 2 ? 4096 : SECTOR);
            cut_added = true;
        }
        image_fill(data, sizeof(data), (unsigned)g_test_rand_int());
        random_write(node, ignored);
        if (g_test_rand_bit()) {
            g_assert_cmpint(node_flush(node), ==, 0);
        }
    }
    if (cut_round >= KEPT) {
        g_autofree char *old = g_strdup_printf("%u", cut_round - KEPT);

        g_assert_true(node->driver->bitmaps->remove(node, old, NULL));
    }
}

static void test_cuts(gconstpointer options)
{
    create(image, options);
    for (cut_round = 0; cut_round < ROUNDS; cut_round++) {
        BlockNode *node = open_image(image, false);

        cut_added = false;
        cuts_begin(node, image, 1, assert_survives);
        cut_round_of(node);
        if (cut_round == ROUNDS / 2) {
            g_assert_true(node_truncate(node, 2 * LENGTH, false, NODE_PREALLOC_OFF, NULL));
        }
        close_image(node);
        cuts_end();
        node = open_image(image, false);
        image_assert_clean(node, false);
        close_image(node);
    }
}

/* The program died: what was in use is inconsistent, cannot be used, but be removed. */
static void test_in_use(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL;
    gsize len;
    BlockNode *node;

    create(image, "");
    node = open_image(image, false);
    add(node, "b", 0);
    close_image(node);
    node = open_image(image, false);
    g_assert_cmpint(node_pwrite(node, 0, data, SECTOR), ==, 0);
    g_assert_true(g_file_get_contents(image, &bytes, &len, NULL));
    close_image(node);
    g_assert_true(g_file_set_contents(copy, bytes, (gssize)len, NULL));
    node = open_image(copy, false);
    g_assert_null(node_bitmap_find(node, "b", &error));
    g_assert_nonnull(strstr(error->message, "inconsistent"));
    g_assert_false(node_truncate(node, 2 * LENGTH, false, NODE_PREALLOC_OFF, NULL));
    g_assert_cmpint(node_pwrite(node, 0, data, SECTOR), ==, 0);
    close_image(node);
    node = open_image(copy, false);
    g_assert_null(node_bitmap_find(node, "b", NULL));
    g_assert_true(node->driver->bitmaps->remove(node, "b", NULL));
    close_image(node);
    node = open_image(copy, true);
    image_assert_clean(node, true);
    close_image(node);
}

int main(int argc, char **argv)
{
    static const char *const kinds[][2] = {
        { "c512", ",cluster_size=512" },
        { "c4k", ",cluster_size=4k" },
        { "c64k", "" },
        { "extended", ",extended_l2=on,cluster_size=16k" },
    };
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-qcow2-bitmap-XXXXXX", NULL);
    image = g_build_filename(folder, "image", NULL);
    other = g_build_filename(folder, "other", NULL);
    copy = g_build_filename(folder, "copy", NULL);
    memset(data, 0x5a, sizeof(data));
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *records = g_strdup_printf("/qcow2-bitmap/records/%s", kinds[i][0]);
        g_autofree char *resize = g_strdup_printf("/qcow2-bitmap/resize/%s", kinds[i][0]);
        g_autofree char *cuts = g_strdup_printf("/qcow2-bitmap/cuts/%s", kinds[i][0]);

        g_test_add_data_func(records, kinds[i][1], test_records);
        g_test_add_data_func(resize, kinds[i][1], test_resize);
        g_test_add_data_func(cuts, kinds[i][1], test_cuts);
    }
    g_test_add_func("/qcow2-bitmap/snapshot", test_snapshot);
    g_test_add_func("/qcow2-bitmap/merge", test_merge);
    g_test_add_func("/qcow2-bitmap/in-place", test_in_place);
    g_test_add_func("/qcow2-bitmap/in-use", test_in_use);
    status = g_test_run();
    g_unlink(image);
    g_unlink(other);
    g_unlink(copy);
    g_rmdir(folder);
    return status;
}
