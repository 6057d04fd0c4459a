/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw images: the bytes of the disk and nothing else. A length that is no multiple of 512 is rounded up to one; the bytes behind the
 * file's end read as zeroes, and a write there makes the file longer.
 *
 * Where the format was found and not given, the guest may not write a first sector that another format would be found by: the next time
 * the file would be opened as that, with names of other files in it.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/formats.h"

static int raw_format_probe(const uint8_t *head, size_t n, const char *file)
{
    return 1; /* if nothing else is surer */
}

static bool raw_format_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    node->exact_length = node->file->length;
    node->length = (node->file->length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    return true;
}

static int raw_format_close(BlockNode *node)
{
    return 0;
}

static int raw_format_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    return node->file->driver->read(node->file, offset, bytes, c); /* zeroes behind the end */
}

/* What the image would begin with must still be found to be raw. */
static int check_head(BlockNode *node, uint64_t offset, uint64_t bytes, const IovCursor *c)
{
    uint8_t head[NODE_PROBE_BYTES] = { 0 };
    size_t n = (size_t)MIN(node->length, sizeof(head));
    IovCursor copy = *c;
    int err = node_pread(node, 0, head, n);

    if (err) {
        return err;
    }
    iov_copy_out(&copy, head + offset, MIN(bytes, n - offset));
    return block_driver_probe(head, n, "") == &block_raw_driver ? 0 : -EPERM;
}

static int raw_format_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = node->probed && offset < NODE_PROBE_BYTES ? check_head(node, offset, bytes, c) : 0;

    return err ? err : node_write(node->file, offset, bytes, c);
}

static int raw_format_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    return node_write_zeroes(node->file, offset, bytes, unmap);
}

static int raw_format_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return node->file->driver->discard(node->file, offset, bytes);
}

static int raw_format_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    if (offset >= node->file->length) { /* of the last sector */
        status->flags = NODE_ZERO | NODE_ALLOCATED;
        return 0;
    }
    return node_status(node->file, offset, MIN(bytes, node->file->length - offset), status);
}

static bool raw_format_direct(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                              uint64_t *fd_offset)
{
    bool checked = write && node->probed && offset < NODE_PROBE_BYTES;
    bool grows = write && offset + bytes > node->file->length;

    return !checked && !grows && node->file->driver->direct &&
           node->file->driver->direct(node->file, offset, bytes, write, fd, fd_offset);
}

static bool raw_format_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc,
                                GError **error)
{
    if (prealloc == NODE_PREALLOC_METADATA) {
        return node_fail(node, error, "preallocation=metadata: a raw image has none");
    }
    if (!node_truncate(node->file, length, true, prealloc, error)) {
        return false;
    }
    node->length = (length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    return true;
}

static bool raw_format_create(const char *file, const KeyVals *options, GError **error)
{
    NodePrealloc prealloc;
    uint64_t size;
    BlockNode *node;
    bool ok;

    if (!create_option_length(options, &size, error) ||
        !create_option_prealloc(options, &prealloc, error)) {
        return false;
    }
    if (prealloc == NODE_PREALLOC_METADATA) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "preallocation=metadata: a raw image has none");
        return false;
    }
    node = node_create_file(file, error);
    if (!node) {
        return false;
    }
    size = (size + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    ok = node_truncate(node, size, true, prealloc, error);
    return node_close(node) == 0 && ok;
}

static const NodeOptionInfo create_options[] = {
    { "size", "Virtual disk size" },
    { "preallocation", "Preallocation mode (allowed values: off, falloc, full)" },
    { NULL, NULL }
};

const BlockDriver block_raw_driver = {
    .name = "raw",
    .probe = raw_format_probe,
    .open = raw_format_open,
    .close = raw_format_close,
    .read = raw_format_read,
    .write = raw_format_write,
    .write_zeroes = raw_format_write_zeroes,
    .discard = raw_format_discard,
    .status = raw_format_status,
    .direct = raw_format_direct,
    .truncate = raw_format_truncate,
    .create = raw_format_create,
    .create_options = create_options,
};
