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
#include "block/options.h"
#include "util/size.h"

static int raw_format_probe(const uint8_t *head, size_t n, const char *file)
{
    return 1; /* if nothing else is surer */
}

/* The part of the file that is the disk. */
typedef struct RawPart {
    uint64_t offset;
    bool has_size;
} RawPart;

static bool take_size(NodeDict *dict, const char *key, uint64_t *value, bool *given, GError **error)
{
    const char *text = node_dict_take(dict, key);

    *given = text != NULL;
    return !text || size_parse(text, 'b', key, value, error);
}

static bool raw_format_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    uint64_t offset = 0, size = 0, length = node->file->length;
    bool has_offset, has_size;
    RawPart *part;

    if (!take_size(options->dict, "offset", &offset, &has_offset, error) ||
        !take_size(options->dict, "size", &size, &has_size, error)) {
        return false;
    }
    if (offset > length || (has_size && size > length - offset)) {
        return node_fail(node, error,
                         "The sum of offset (%" G_GUINT64_FORMAT ") and size (%" G_GUINT64_FORMAT
                         ") has to be smaller or equal to the actual size of the containing file "
                         "(%" G_GUINT64_FORMAT ")",
                         offset, size, length);
    }
    if (has_size && size % BLOCK_SECTOR) {
        return node_fail(node, error, "Specified size is not multiple of %d", BLOCK_SECTOR);
    }
    part = g_new0(RawPart, 1);
    part->offset = offset;
    part->has_size = has_size;
    node->priv = part;
    node->exact_length = has_size ? size : length - offset;
    node->length = (node->exact_length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    return true;
}

static int raw_format_close(BlockNode *node)
{
    g_free(node->priv);
    return 0;
}

static uint64_t part_offset(const BlockNode *node)
{
    return ((const RawPart *)node->priv)->offset;
}

static int raw_format_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    /* zeroes behind the end */
    return node->file->driver->read(node->file, part_offset(node) + offset, bytes, c);
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

    return err ? err : node_write(node->file, part_offset(node) + offset, bytes, c);
}

static int raw_format_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    return node_write_zeroes(node->file, part_offset(node) + offset, bytes, unmap);
}

static int raw_format_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return node->file->driver->discard(node->file, part_offset(node) + offset, bytes);
}

static int raw_format_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    offset += part_offset(node);
    if (offset >= node->file->length) { /* of the last sector */
        status->flags = NODE_ZERO | NODE_ALLOCATED | NODE_MAPPED;
        status->map = offset;
        return 0;
    }
    return node_status(node->file, offset, MIN(bytes, node->file->length - offset), status);
}

static bool raw_format_direct(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                              uint64_t *fd_offset)
{
    bool checked = write && node->probed && offset < NODE_PROBE_BYTES;
    bool grows = write && part_offset(node) + offset + bytes > node->file->length;

    return !checked && !grows && node->file->driver->direct &&
           node->file->driver->direct(node->file, part_offset(node) + offset, bytes, write, fd,
                                      fd_offset);
}

static bool raw_format_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc,
                                GError **error)
{
    if (prealloc == NODE_PREALLOC_METADATA) {
        return node_fail(node, error, "Unsupported preallocation mode: metadata");
    }
    if (((const RawPart *)node->priv)->has_size) {
        return node_fail(node, error, "Cannot resize fixed-size raw disks");
    }
    if (length > NODE_MAX_LENGTH - part_offset(node) ||
        !node_truncate(node->file, part_offset(node) + length, true, prealloc, error)) {
        return false;
    }
    node->length = (length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    return true;
}

/* The first block has space, as qemu-img leaves it: programs look there for how the file may be accessed. */
static bool allocate_first(BlockNode *node, GError **error)
{
    static const uint8_t zeroes[4096];
    int err = node_pwrite(node, 0, zeroes, MIN(node->length, sizeof(zeroes)));

    return !err || node_fail_errno(node, error, err, "cannot be written");
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
    ok = node_truncate(node, size, true, prealloc, error) && allocate_first(node, error);
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
