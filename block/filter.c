/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters: what they have in common, and those that are short. copy-on-read writes what it reads from behind the image into the image;
 * compress makes all writes compressed ones; null-co has no bytes at all.
 */
#include "block/filter.h"
#include <errno.h>
#include <string.h>
#include "block/block-priv.h"
#include "block/options.h"
#include "util/size.h"

/* ---- What changes nothing ---- */

void filter_update(BlockNode *node)
{
    uint64_t length = __atomic_load_n(&node->file->length, __ATOMIC_RELAXED);

    __atomic_store_n(&node->length, length, __ATOMIC_RELAXED);
}

static bool plain_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    filter_update(node);
    return true;
}

int filter_close(BlockNode *node)
{
    return 0;
}

int filter_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    uint64_t length = node->file->length;
    uint64_t there = offset < length ? MIN(bytes, length - offset) : 0;
    int err = there ? node_read(node->file, offset, there, c) : 0;

    if (!err) {
        iov_zero(c, bytes - there);
    }
    return err;
}

int filter_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = node_write(node->file, offset, bytes, c);

    filter_update(node);
    return err;
}

int filter_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    int err = node_write_zeroes(node->file, offset, bytes, unmap);

    filter_update(node);
    return err;
}

int filter_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return node_discard(node->file, offset, bytes);
}

int filter_flush(BlockNode *node)
{
    return node_flush(node->file);
}

int filter_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    return node_status(node->file, offset, bytes, status);
}

bool filter_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error)
{
    bool ok = node_truncate(node->file, length, true, prealloc, error);

    filter_update(node);
    return ok;
}

const BlockDriver filter_plain_driver = {
    .name = "file",
    .is_protocol = true,
    .open = plain_open,
    .close = filter_close,
    .read = filter_read,
    .write = filter_write,
    .write_zeroes = filter_write_zeroes,
    .discard = filter_discard,
    .flush = filter_flush,
    .status = filter_status,
    .truncate = filter_truncate,
};

static uint64_t filter_cluster_size(BlockNode *node)
{
    const BlockNode *file = node->file;

    return file->driver->cluster_size ? file->driver->cluster_size(node->file) : 0;
}

/* ---- copy-on-read ---- */

static bool cor_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    if (node->readonly) {
        return node_fail(node, error, "Block node is read-only");
    }
    filter_update(node);
    return true;
}

/* What is not in the image below is put there first. */
static int cor_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = node->readonly ? 0 : node_copy_up(node->file, offset, bytes);

    return err ? err : filter_read(node, offset, bytes, c);
}

static const BlockDriver cor_driver = {
    .name = "copy-on-read",
    .open = cor_open,
    .close = filter_close,
    .read = cor_read,
    .write = filter_write,
    .write_zeroes = filter_write_zeroes,
    .discard = filter_discard,
    .flush = filter_flush,
    .status = filter_status,
    .truncate = filter_truncate,
    .cluster_size = filter_cluster_size,
};

/* ---- compress ---- */

static bool compress_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    if (!node->file->driver->write_compressed || !node->file->driver->cluster_size) {
        return node_fail(node, error, "Compression is not supported for this drive %s", "");
    }
    filter_update(node);
    return true;
}

/* A cluster, or a part of it: the rest is read. */
static int compress_cluster(BlockNode *node, uint64_t at, uint64_t cluster, uint64_t offset,
                            uint64_t bytes, IovCursor *c)
{
    uint64_t whole = MIN(cluster, node->length - at);
    g_autofree char *buf = g_try_malloc(whole);
    struct iovec iov = { buf, whole };
    IovCursor out = { &iov, 1, 0 };
    int err = buf ? 0 : -ENOMEM;

    if (!err && bytes < whole) {
        err = node_pread(node->file, at, buf, whole);
    }
    if (err) {
        return err;
    }
    iov_copy_out(c, buf + (offset - at), bytes);
    return node_write_compressed(node->file, at, whole, &out);
}

static int compress_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    uint64_t cluster = filter_cluster_size(node);
    int err = 0;

    while (bytes && !err) {
        uint64_t at = offset - offset % cluster, n = MIN(bytes, at + cluster - offset);

        err = compress_cluster(node, at, cluster, offset, n, c);
        offset += n;
        bytes -= n;
    }
    return err;
}

static const BlockDriver compress_driver = {
    .name = "compress",
    .open = compress_open,
    .close = filter_close,
    .read = filter_read,
    .write = compress_write,
    .write_zeroes = filter_write_zeroes,
    .discard = filter_discard,
    .flush = filter_flush,
    .status = filter_status,
    .truncate = filter_truncate,
    .cluster_size = filter_cluster_size,
};

/* ---- null-co: nothing is kept ---- */

typedef struct NullNode {
    bool zeroes;
} NullNode;

static bool null_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    const char *size = node_dict_take(options->dict, "size");
    bool zeroes = false;

    node->length = 1u << 30;
    node_dict_take(options->dict, "latency-ns");
    if ((size && !size_parse(size, 'b', "size", &node->length, error)) ||
        !node_dict_take_bool(options->dict, "read-zeroes", &zeroes, error)) {
        return false;
    }
    node->priv = g_new0(NullNode, 1);
    ((NullNode *)node->priv)->zeroes = zeroes;
    return true;
}

static int null_close(BlockNode *node)
{
    g_free(node->priv);
    return 0;
}

static int null_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    if (((const NullNode *)node->priv)->zeroes) {
        iov_zero(c, bytes);
    } else {
        iov_advance(c, bytes);
    }
    return 0;
}

static int null_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    iov_advance(c, bytes);
    return 0;
}

static int null_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    return 0;
}

static int null_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return 0;
}

static int null_flush(BlockNode *node)
{
    return 0;
}

static int null_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    bool zeroes = ((const NullNode *)node->priv)->zeroes;

    *status =
        (NodeStatus){ .bytes = bytes,
                      .map = offset,
                      .flags = NODE_ALLOCATED | NODE_MAPPED | (zeroes ? NODE_ZERO : NODE_DATA) };
    return 0;
}

#define NULL_DRIVER(NAME)                                                          \
    {                                                                              \
        .name = NAME, .is_protocol = true, .open = null_open, .close = null_close, \
        .read = null_read, .write = null_write, .write_zeroes = null_write_zeroes, \
        .discard = null_discard, .flush = null_flush, .status = null_status,       \
    }

static const BlockDriver null_co_driver = NULL_DRIVER("null-co");
static const BlockDriver null_aio_driver = NULL_DRIVER("null-aio");

/* ---- All ---- */

const BlockDriver *filter_find(const char *name)
{
    static const BlockDriver *const all[] = { &cor_driver, &compress_driver, &null_co_driver,
                                              &null_aio_driver, &filter_blkdebug_driver };

    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        if (!g_strcmp0(name, all[i]->name)) {
            return all[i];
        }
    }
    return NULL;
}
