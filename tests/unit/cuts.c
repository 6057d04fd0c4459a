/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log of writes, see cuts.h.
 */
#include "cuts.h"
#include <glib/gstdio.h>
#include <string.h>

typedef struct Write {
    uint64_t offset, bytes;
    uint8_t *data;
} Write;

static struct {
    BlockDriver driver;
    const BlockDriver *below;
    GByteArray *durable;
    GArray *pending; /* Write */
    unsigned n, every, looks;
    void (*look)(void);
} cuts;

/* Of the disk in the image. */
static struct {
    uint64_t length;
    uint8_t *flushed;
    bool *touched; /* by sector */
} disk;

static void put(GByteArray *image, uint64_t offset, const uint8_t *data, uint64_t bytes)
{
    if (image->len < offset + bytes) {
        guint old = image->len;

        g_byte_array_set_size(image, (guint)(offset + bytes));
        memset(image->data + old, 0, image->len - old);
    }
    memcpy(image->data + offset, data, bytes);
}

void cuts_leave(const char *copy)
{
    g_autoptr(GByteArray) left = g_byte_array_new();
    int keep = g_test_rand_int_range(0, 4); /* of 3: the chance of a sector */

    g_byte_array_append(left, cuts.durable->data, cuts.durable->len);
    for (guint i = 0; i < cuts.pending->len; i++) {
        const Write *w = &g_array_index(cuts.pending, Write, i);

        for (uint64_t at = 0; at < w->bytes;) {
            uint64_t n = MIN(512 - (w->offset + at) % 512, w->bytes - at);

            if (g_test_rand_int_range(0, 3) < keep) {
                put(left, w->offset + at, w->data + at, n);
            }
            at += n;
        }
    }
    g_unlink(copy); /* or it is written back to the disk */
    g_assert_true(g_file_set_contents(copy, (char *)left->data, (gssize)left->len, NULL));
}

static void maybe_cut(void)
{
    if (++cuts.n % cuts.every == 0) {
        cuts.looks++;
        cuts.look();
    }
}

static int logged_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    Write w = { offset, bytes, g_malloc(bytes) };
    IovCursor same = *c;

    iov_copy_out(&same, w.data, bytes);
    g_array_append_val(cuts.pending, w);
    maybe_cut();
    return cuts.below->write(node, offset, bytes, c);
}

static int logged_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    Write w = { offset, bytes, g_malloc0(bytes) };

    g_array_append_val(cuts.pending, w);
    maybe_cut();
    return cuts.below->write_zeroes(node, offset, bytes, unmap);
}

static void forget_write(gpointer p)
{
    g_free(((Write *)p)->data);
}

static int logged_flush(BlockNode *node)
{
    maybe_cut();
    for (guint i = 0; i < cuts.pending->len; i++) {
        const Write *w = &g_array_index(cuts.pending, Write, i);

        put(cuts.durable, w->offset, w->data, w->bytes);
    }
    g_array_set_size(cuts.pending, 0);
    return 0;
}

/* What is cut off is gone at once, whatever of the writes before it is not there yet. */
static bool logged_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error)
{
    maybe_cut();
    if (length < cuts.durable->len) {
        g_byte_array_set_size(cuts.durable, (guint)length);
    }
    return cuts.below->truncate(node, length, prealloc, error);
}

void cuts_begin(BlockNode *node, const char *image, unsigned every, void (*look)(void))
{
    g_autofree char *data = NULL;
    gsize len;

    g_assert_cmpint(node_flush(node), ==, 0);
    g_assert_true(g_file_get_contents(image, &data, &len, NULL));
    cuts.driver = *node->file->driver;
    cuts.below = node->file->driver;
    cuts.durable = g_byte_array_new();
    g_byte_array_append(cuts.durable, (uint8_t *)data, (guint)len);
    cuts.pending = g_array_new(FALSE, FALSE, sizeof(Write));
    g_array_set_clear_func(cuts.pending, forget_write);
    cuts.n = cuts.looks = 0;
    cuts.every = every;
    cuts.look = look;
    cuts.driver.write = logged_write;
    cuts.driver.write_zeroes = logged_zeroes;
    cuts.driver.flush = logged_flush;
    cuts.driver.truncate = logged_truncate;
    node->file->driver = &cuts.driver;
}

void cuts_end(void)
{
    g_test_message("%u cuts", cuts.looks);
    g_byte_array_unref(cuts.durable);
    g_array_unref(cuts.pending);
    g_clear_pointer(&disk.flushed, g_free);
    g_clear_pointer(&disk.touched, g_free);
    disk.length = 0;
}

/* ---- The disk ---- */

void cuts_flushed(const uint8_t *model, uint64_t length)
{
    if (disk.length != length) {
        disk.length = length;
        disk.flushed = g_realloc(disk.flushed, length);
        disk.touched = g_realloc(disk.touched, length / 512 * sizeof(*disk.touched));
    }
    memcpy(disk.flushed, model, length);
    memset(disk.touched, 0, length / 512 * sizeof(*disk.touched));
}

void cuts_touch(uint64_t offset, uint64_t bytes)
{
    memset(disk.touched + offset / 512, 1, bytes / 512 * sizeof(*disk.touched));
}

void cuts_assert_flushed(BlockNode *node)
{
    g_autofree uint8_t *buf = g_malloc(disk.length);

    g_assert_cmpint(node_pread(node, 0, buf, disk.length), ==, 0);
    for (uint64_t i = 0; i < disk.length; i += 512) {
        if (!disk.touched[i / 512] && memcmp(buf + i, disk.flushed + i, 512)) {
            g_test_message("what was flushed at %#" G_GINT64_MODIFIER "x is lost", i);
            g_assert_not_reached();
        }
    }
}
