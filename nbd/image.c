/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The image that is served: opening it, perhaps under a temporary one that takes the writes, and access to the part of it that is exported.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block/bitmap.h"
#include "block/options.h"
#include "nbd/nbd-priv.h"
#include "util/bytes.h"

/* ---- Opening ---- */

static BlockNode *open_node(const NbdImage *image, const NbdImageOptions *o, GError **error)
{
    g_autoptr(KeyVals) kv = o->has_opts ? keyvals_parse(o->file, NULL) : NULL;
    g_autoptr(NodeDict) dict = o->has_opts ? node_dict_new() : NULL;
    NodeOptions options = { .file = o->has_opts ? NULL : o->file,
                            .format = o->format,
                            .readonly = image->readonly || o->snapshot || o->snapshot_name,
                            .direct = o->direct,
                            .unsafe = o->unsafe,
                            .dict = dict };

    if (dict) {
        node_dict_add_keyvals(dict, kv);
    }
    return node_open(&options, error);
}

static bool load_snapshot(BlockNode *node, const char *given, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(given, "snapshot.name");
    const char *name = given;

    if (g_str_has_prefix(given, "snapshot.")) {
        name = keyvals_get(kv, "snapshot.id");
        name = name ? name : keyvals_get(kv, "snapshot.name");
    }
    if (!name) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Failed in parsing snapshot param '%s'", given);
        return false;
    }
    if (!node->driver->snapshot_load) {
        return node_fail(node, error, "images of format %s have no snapshots inside",
                         node->driver->name);
    }
    return node->driver->snapshot_load(node, name, error);
}

static void add_option(GString *text, const char *key, const char *value)
{
    g_string_append_printf(text, "%s%s=", text->len ? "," : "", key);
    for (; *value; value++) {
        g_string_append_printf(text, *value == ',' ? ",," : "%c", *value);
    }
}

/* An empty image over @node's file; it has no name any more when it is open. */
static BlockNode *open_over(BlockNode *node, GError **error)
{
    g_autofree char *path = NULL, *size = NULL, *base = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(KeyVals) options = NULL;
    NodeOptions open = { .format = "qcow2", .unsafe = true };
    BlockNode *over = NULL;
    int fd = g_file_open_tmp("menura-nbd-XXXXXX", &path, error);

    if (fd < 0) {
        return NULL;
    }
    close(fd);
    base = g_file_test(node->name, G_FILE_TEST_EXISTS) ? g_canonicalize_filename(node->name, NULL)
                                                       : g_strdup(node->name);
    size = g_strdup_printf("%" G_GUINT64_FORMAT, node->length);
    add_option(text, "size", size);
    add_option(text, "backing_file", base);
    add_option(text, "backing_fmt", node->driver->name);
    options = keyvals_parse(text->str, NULL);
    open.file = path;
    if (node_create(block_driver_find("qcow2"), path, options, error)) {
        over = node_open(&open, error);
    }
    unlink(path);
    return over;
}

/* -s: writes go to a temporary image. */
static bool put_over(NbdImage *image, GError **error)
{
    BlockNode *over = open_over(image->node, error);

    node_close(image->node);
    image->node = over;
    return over != NULL;
}

static void warn_probed(const char *file)
{
    g_printerr("WARNING: Image format was not specified for '%s' and probing guessed raw.\n"
               "         Automatically detecting the format is dangerous for raw images, write "
               "operations on block 0 will be restricted.\n"
               "         Specify the 'raw' format explicitly to remove the restrictions.\n",
               file);
}

static void bitmap_free(gpointer bitmap)
{
    NbdBitmap *b = bitmap;

    g_free(b->context);
    g_free(b);
}

/* The first image of the chain that has bitmap @name; NULL: it was said. */
static BlockNode *find_bitmap(const NbdImage *image, const char *name)
{
    g_autoptr(GPtrArray) list = NULL;

    for (BlockNode *node = image->node; node; node = node->backing) {
        list = node->driver->bitmaps ? node->driver->bitmaps->list(node) : g_ptr_array_new();
        for (guint i = 0; i < list->len; i++) {
            const NodeBitmap *b = g_ptr_array_index(list, i);

            if (strcmp(b->name, name)) {
                continue;
            }
            if (b->inconsistent || node->length < image->node->length) {
                nbd_complain("Bitmap '%s' is inconsistent and cannot be used", name);
                return NULL;
            }
            return node;
        }
        g_clear_pointer(&list, g_ptr_array_unref);
    }
    nbd_complain("Bitmap '%s' is not found", name);
    return NULL;
}

/* -B */
static bool find_bitmaps(NbdImage *image, const GPtrArray *names)
{
    image->bitmaps = g_ptr_array_new_with_free_func(bitmap_free);
    for (guint i = 0; names && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        BlockNode *node = find_bitmap(image, name);
        NbdBitmap *b;

        if (!node) {
            g_ptr_array_unref(image->bitmaps);
            return false;
        }
        b = g_new0(NbdBitmap, 1);
        b->name = name;
        b->node = node;
        b->context = g_strconcat(NBD_CONTEXT_BITMAP, name, NULL);
        g_ptr_array_add(image->bitmaps, b);
    }
    return true;
}

bool image_open(NbdImage *image, const NbdImageOptions *options)
{
    g_autoptr(GError) error = NULL;
    const char *what = "Failed to blk_new_open";
    bool ok;

    image->node = open_node(image, options, &error);
    image->direct = options->direct;
    image->offset = options->offset;
    ok = image->node && (!options->snapshot || put_over(image, &error));
    if (ok && options->snapshot_name) {
        what = "Failed to load snapshot";
        ok = load_snapshot(image->node, options->snapshot_name, &error);
    }
    if (!ok) {
        node_close(image->node);
        nbd_complain("%s '%s': %s", what, options->file, error->message);
        return false;
    }
    if (image->offset > image->node->length) {
        nbd_complain("Invalid offset '%" G_GUINT64_FORMAT "': the image has %" G_GUINT64_FORMAT
                     " bytes",
                     image->offset, image->node->length);
        node_close(image->node);
        return false;
    }
    image->length = image->node->length - image->offset;
    if (!find_bitmaps(image, options->bitmaps)) {
        node_close(image->node);
        return false;
    }
    if (image->node->probed && !strcmp(image->node->driver->name, "raw") && !image->readonly) {
        warn_probed(options->file);
    }
    return true;
}

int image_close(NbdImage *image)
{
    g_autofree char *name = g_strdup(image->node->name);
    int err = image_flush(image);
    int below = node_close(image->node);

    g_ptr_array_unref(image->bitmaps);

    err = err ? err : below;
    return err ? nbd_complain("Could not write '%s' back: %s", name, g_strerror(-err)) : 0;
}

/* ---- Access ---- */

int image_read(NbdImage *image, uint64_t offset, void *buf, uint64_t bytes)
{
    return node_pread(image->node, image->offset + offset, buf, bytes);
}

bool image_read_at_hand(NbdImage *image, uint64_t offset, void *buf, uint64_t bytes)
{
    const BlockDriver *driver = image->node->driver;
    struct iovec iov = { buf, bytes };
    uint64_t at;
    int fd;

    return driver->direct &&
           driver->direct(image->node, image->offset + offset, bytes, false, &fd, &at) &&
           preadv2(fd, &iov, 1, (off_t)at, RWF_NOWAIT) == (ssize_t)bytes;
}

/* After what changed something. */
static int written(NbdImage *image, int err)
{
    return err || !image->writethrough ? err : node_flush(image->node);
}

int image_write(NbdImage *image, uint64_t offset, const void *buf, uint64_t bytes)
{
    uint64_t at = image->offset + offset;

    if (image->detect != DETECT_OFF && bytes && bytes_are_zero(buf, bytes)) {
        return written(image, node_write_zeroes(image->node, at, bytes,
                                                image->detect == DETECT_UNMAP && image->discard));
    }
    return written(image, node_pwrite(image->node, at, buf, bytes));
}

/* Zeroes at once: by the file system, or where the format only notes them. */
static int zero_fast(NbdImage *image, uint64_t at, uint64_t bytes, bool unmap)
{
    const BlockDriver *driver = image->node->driver;
    uint64_t cluster = driver->cluster_size ? driver->cluster_size(image->node) : 0, file_at;
    int mode = unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
    int fd;

    if (cluster && driver->write_zeroes) {
        return (at | bytes) % cluster ? -ENOTSUP : node_write_zeroes(image->node, at, bytes, unmap);
    }
    if (!driver->direct || !driver->direct(image->node, at, bytes, true, &fd, &file_at)) {
        return -ENOTSUP;
    }
    return fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)file_at, (off_t)bytes) == 0 ? 0
                                                                                        : -ENOTSUP;
}

int image_zero(NbdImage *image, uint64_t offset, uint64_t bytes, bool unmap, bool fast)
{
    uint64_t at = image->offset + offset;

    unmap = unmap && image->discard;
    return written(image, fast ? zero_fast(image, at, bytes, unmap)
                               : node_write_zeroes(image->node, at, bytes, unmap));
}

int image_trim(NbdImage *image, uint64_t offset, uint64_t bytes)
{
    return image->discard ? written(image, node_discard(image->node, image->offset + offset, bytes))
                          : 0;
}

void image_will_need(NbdImage *image, uint64_t offset, uint64_t bytes)
{
    const BlockDriver *driver = image->node->driver;
    uint64_t at;
    int fd;

    if (driver->direct &&
        driver->direct(image->node, image->offset + offset, bytes, false, &fd, &at)) {
        posix_fadvise(fd, (off_t)at, (off_t)bytes, POSIX_FADV_WILLNEED);
    }
}

int image_flush(NbdImage *image)
{
    return node_flush(image->node);
}

/* ---- What is where ---- */

static uint32_t state_of(unsigned flags)
{
    return (flags & NODE_DATA ? 0 : NBD_STATE_HOLE) | (flags & NODE_ZERO ? NBD_STATE_ZERO : 0);
}

int image_status(NbdImage *image, uint64_t offset, uint64_t bytes, NbdExtent *extent)
{
    BlockNode *node = image->node;

    offset += image->offset;
    *extent = (NbdExtent){ .bytes = bytes, .state = NBD_STATE_HOLE | NBD_STATE_ZERO };
    for (uint32_t depth = 1;; depth++) {
        NodeStatus status;
        int err = node_status(node, offset, extent->bytes, &status);

        if (err) {
            return err;
        }
        extent->bytes = status.bytes;
        if (status.flags & NODE_ALLOCATED) {
            extent->state = state_of(status.flags);
            extent->depth = depth;
            return 0;
        }
        node = node->backing;
        if (!node || offset >= node->length) {
            return 0;
        }
        extent->bytes = MIN(extent->bytes, node->length - offset);
    }
}

int image_dirty(NbdImage *image, const NbdBitmap *bitmap, uint64_t offset, uint64_t bytes,
                NbdExtent *extent)
{
    bool dirty = false;
    int err = bitmap->node->driver->bitmaps->status(
        bitmap->node, bitmap->name, image->offset + offset, bytes, &dirty, &extent->bytes);

    extent->state = dirty ? NBD_STATE_DIRTY : 0;
    return err;
}

const char *image_context(const NbdImage *image, unsigned context)
{
    switch (context) {
    case CONTEXT_ALLOCATION:
        return NBD_CONTEXT_ALLOCATION;
    case CONTEXT_DEPTH:
        return image->with_depth ? NBD_CONTEXT_DEPTH : NULL;
    default:
        context -= CONTEXT_BITMAPS;
        return context < image->bitmaps->len
                   ? ((NbdBitmap *)g_ptr_array_index(image->bitmaps, context))->context
                   : NULL;
    }
}
