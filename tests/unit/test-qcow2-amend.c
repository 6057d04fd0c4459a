/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other options for qcow2 images (block/formats/qcow2-amend.c): what the disk and a snapshot have stays the same, also if the power fails
 * at any write of it; what cannot be is refused.
 */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/qcow2.h"
#include "tests/unit/cuts.h"
#include "tests/unit/images.h"

enum { LENGTH = 512 << 10, BASE = 300 << 10 };

typedef struct Case {
    const char *name, *options;
    unsigned dots; /* "./" so often before the base's name, or 0: there is no base */
    bool snapshot;
    const char *amends[8];
} Case;

static char *folder, *image, *copy;
static uint8_t model[LENGTH], saved[LENGTH];
static const Case *running;

static bool amend(BlockNode *node, const char *text, GError **error)
{
    g_autoptr(KeyVals) options = keyvals_parse(text, NULL);

    return node->driver->amend(node, options, NULL, error);
}

/* ---- Making an image ---- */

static char *base_option(const Case *c)
{
    g_autofree char *path = g_build_filename(folder, "base", NULL);
    GString *text = g_string_new(c->options);

    if (c->dots) {
        image_fill(model, BASE, 3);
        g_assert_true(g_file_set_contents(path, (char *)model, BASE, NULL));
        g_string_append(text, ",backing_fmt=raw,backing_file=");
        for (unsigned i = 0; i < c->dots; i++) {
            g_string_append(text, "./");
        }
        g_string_append(text, "base");
    }
    g_string_append_printf(text, ",size=%u", LENGTH);
    return g_string_free(text, FALSE);
}

static void write_some(BlockNode *node, unsigned seed)
{
    for (unsigned i = 0; i < 6; i++) {
        uint64_t bytes = (uint64_t)g_test_rand_int_range(1, 40) * 512;
        uint64_t offset = (uint64_t)g_test_rand_int_range(0, (LENGTH - 40 * 512) / 512) * 512;

        if (i % 2) {
            g_assert_cmpint(node_write_zeroes(node, offset, bytes, g_test_rand_bit()), ==, 0);
            memset(model + offset, 0, bytes);
        } else {
            image_fill(model + offset, bytes, seed + i);
            g_assert_cmpint(node_pwrite(node, offset, model + offset, bytes), ==, 0);
        }
    }
}

static BlockNode *make_image(const Case *c)
{
    const NodeSnapshot sn = { .name = (char *)"one" };
    g_autofree char *options = NULL;
    BlockNode *node;

    memset(model, 0, LENGTH);
    options = base_option(c);
    image_create(&block_qcow2_driver, image, options);
    node = image_open("qcow2", image, false);
    write_some(node, 10);
    if (c->snapshot) {
        g_assert_true(node->driver->snapshot_create(node, &sn, NULL));
        memcpy(saved, model, LENGTH);
        write_some(node, 20);
    }
    return node;
}

/* ---- Cuts ---- */

static void assert_snapshot(BlockNode *node)
{
    if (running->snapshot) {
        g_assert_true(node->driver->snapshot_apply(node, "one", NULL));
        image_assert_reads(node, saved, 0, LENGTH);
        image_assert_clean(node, true);
    }
}

static void assert_survives(void)
{
    BlockNode *node;

    cuts_leave(copy);
    node = image_open("qcow2", copy, false);
    image_assert_clean(node, true);
    cuts_assert_flushed(node);
    image_mend(node, false);
    cuts_assert_flushed(node);
    assert_snapshot(node);
    g_assert_cmpint(node_close(node), ==, 0);
}

static void test_case(gconstpointer data)
{
    BlockNode *node;
    g_autoptr(GError) error = NULL;

    running = data;
    node = make_image(data);
    cuts_flushed(model, LENGTH);
    cuts_begin(node, image, 1, assert_survives);
    for (unsigned i = 0; running->amends[i]; i++) {
        g_assert_true(amend(node, running->amends[i], &error));
        g_assert_no_error(error);
        image_assert_clean(node, true);
        image_assert_reads(node, model, 0, LENGTH);
        cuts_touch(0, LENGTH);
        write_some(node, 30 + i);
        g_assert_cmpint(node_flush(node), ==, 0);
        cuts_flushed(model, LENGTH);
    }
    g_assert_cmpint(node_close(node), ==, 0);
    cuts_end();
    node = image_open("qcow2", image, false);
    image_assert_clean(node, true);
    image_assert_reads(node, model, 0, LENGTH);
    assert_snapshot(node);
    g_assert_cmpint(node_close(node), ==, 0);
}

/* ---- What is refused ---- */

static void assert_refused(BlockNode *node, const char *options, const char *why)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(amend(node, options, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, why)) {
        g_test_message("'%s', not '%s'", error->message, why);
        g_assert_not_reached();
    }
}

static void test_refused(void)
{
    static const Case plain = { "plain", "cluster_size=4k", 0, true, { NULL } };
    BlockNode *node;

    node = make_image(&plain);
    assert_refused(node, "compat=0.42", "Unknown compatibility level");
    assert_refused(node, "refcount_bits=3", "power of two");
    assert_refused(node, "refcount_bits=0", "power of two");
    assert_refused(node, "refcount_bits=x", "expects a number");
    assert_refused(node, "refcount_bits=1", "has a refcount of 2");
    assert_refused(node, "refcount_bits=8,compat=0.10", "require compatibility level 1.1");
    assert_refused(node, "lazy_refcounts=on,compat=0.10", "Lazy refcounts only supported");
    assert_refused(node, "data_file=x", "use an external data file");
    assert_refused(node, "data_file_raw=on", "cannot be set on existing images");
    assert_refused(node, "compat=0.10,size=1M", "Internal snapshots prevent downgrade");
    g_assert_true(amend(node, "refcount_bits=64", NULL));
    assert_refused(node, "compat=0.10", "requires refcount_bits=16");
    image_assert_clean(node, true);
    g_assert_cmpint(node_close(node), ==, 0);
}

/* A disk that lazily counts leaves its mark while it is open, and only then. */
static void test_mark(void)
{
    static const Case lazy = { "lazy", "lazy_refcounts=on,cluster_size=4k", 0, false, { NULL } };
    BlockNode *node = make_image(&lazy), *other;
    g_autofree char *data = NULL;
    gsize len;

    g_assert_cmpint(node_flush(node), ==, 0);
    g_assert_true(g_file_get_contents(image, &data, &len, NULL));
    g_assert_cmpuint(bytes_get_be64((uint8_t *)data + QH_INCOMPATIBLE), ==, Q_DIRTY);
    g_unlink(copy);
    g_assert_true(g_file_set_contents(copy, data, (gssize)len, NULL));
    other = image_open("qcow2", copy, true);
    image_assert_reads(other, model, 0, LENGTH);
    g_assert_cmpint(node_close(other), ==, 0);
    other = image_open("qcow2", copy, false);
    image_assert_clean(other, false);
    image_assert_reads(other, model, 0, LENGTH);
    g_assert_cmpint(node_close(other), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
    g_clear_pointer(&data, g_free);
    g_assert_true(g_file_get_contents(image, &data, &len, NULL));
    g_assert_cmpuint(bytes_get_be64((uint8_t *)data + QH_INCOMPATIBLE), ==, 0);
}

/* ---- The list ---- */

static const Case cases[] = {
    { "compat", "cluster_size=4k", 0, true, { "compat=0.10", "compat=1.1", "compat=v2", NULL } },
    { "compat-backing",
      "cluster_size=1k",
      1,
      true,
      { "compat=0.10", "compat=1.1", "compat=0.10,size=512k", NULL } },
    { "compat-small", "cluster_size=512", 1, true, { "compat=0.10", "compat=1.1", NULL } },
    { "compat-long", "cluster_size=4k", 260, true, { "compat=0.10", "compat=1.1", NULL } },
    { "compat-long-v2",
      "cluster_size=4k,compat=0.10",
      220,
      true,
      { "compat=1.1", "compat=0.10", NULL } },
    { "width",
      "cluster_size=512",
      1,
      true,
      { "refcount_bits=64", "refcount_bits=2", "refcount_bits=8", "refcount_bits=32",
        "refcount_bits=4", "refcount_bits=16,compat=0.10", NULL } },
    { "width-4k",
      "cluster_size=4k",
      1,
      true,
      { "refcount_bits=64", "refcount_bits=2", "refcount_bits=16", NULL } },
    { "width-bit",
      "cluster_size=512",
      1,
      false,
      { "refcount_bits=1", "refcount_bits=64", "refcount_bits=1", NULL } },
    { "lazy",
      "cluster_size=4k",
      1,
      true,
      { "lazy_refcounts=on", "refcount_bits=32", "lazy_refcounts=off",
        "lazy_refcounts=on,refcount_bits=16", "compat=0.10", NULL } },
    { "all",
      "cluster_size=1k,compat=0.10",
      1,
      false,
      { "compat=1.1,refcount_bits=1,lazy_refcounts=on,size=512k", "compat=0.10,refcount_bits=16",
        NULL } },
};

int main(int argc, char **argv)
{
    static const char *const files[] = { "image", "copy", "base" };
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-amend-XXXXXX", NULL);
    image = g_build_filename(folder, "image", NULL);
    copy = g_build_filename(folder, "copy", NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/qcow2-amend/%s", cases[i].name);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/qcow2-amend/refused", test_refused);
    g_test_add_func("/qcow2-amend/mark", test_mark);
    status = g_test_run();
    for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(folder, files[i], NULL);

        g_unlink(path);
    }
    g_rmdir(folder);
    return status;
}
