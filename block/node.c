/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes: opening an image with what is below and behind it, and access, checked, on its way to the driver.
 */
#include "block/node.h"
#include <errno.h>
#include <string.h>
#include "block/block-priv.h"
#include "block/nbd-client.h"
#include "block/options.h"
#include "util/size.h"
#include "util/suggest.h"

enum { ZEROES = 1 << 20 };

/* ---- Errors ---- */

bool node_fail(const BlockNode *node, GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: %s", node->name, text);
    return false;
}

bool node_fail_errno(const BlockNode *node, GError **error, int err, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-err), "%s: %s: %s", node->name, text,
                g_strerror(-err));
    return false;
}

/* ---- Drivers ---- */

const BlockDriver *block_driver_find(const char *name)
{
    for (const BlockDriver *const *d = block_drivers; *d; d++) {
        if (!strcmp((*d)->name, name)) {
            return *d;
        }
    }
    return NULL;
}

const BlockDriver *block_driver_probe(const uint8_t *head, size_t n, const char *file)
{
    const BlockDriver *best = NULL;
    int score = 0;

    for (const BlockDriver *const *d = block_drivers; *d; d++) {
        int s = (*d)->probe ? (*d)->probe(head, n, file) : 0;

        if (s > score) {
            score = s;
            best = *d;
        }
    }
    return best;
}

static const BlockDriver *find_format(const char *file, const char *format, GError **error)
{
    const BlockDriver *driver = block_driver_find(format);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL;

    if (driver) {
        return driver;
    }
    for (const BlockDriver *const *d = block_drivers; *d; d++) {
        g_ptr_array_add(names, (void *)(*d)->name);
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_text(format, (const char *const *)names->pdata);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: unknown format '%s'%s", file, format,
                hint);
    return NULL;
}

/* ---- Opening ---- */

static void node_free(BlockNode *node)
{
    g_free(node->name);
    g_free(node->backing_name);
    g_free(node->backing_format);
    g_free(node);
}

static BlockNode *node_new(const BlockDriver *driver, const char *name, bool readonly)
{
    BlockNode *node = g_new0(BlockNode, 1);

    node->driver = driver;
    node->name = g_strdup(name);
    node->readonly = readonly;
    return node;
}

static BlockNode *open_protocol(const NodeOptions *options, GError **error)
{
    bool remote = node_is_remote(options->file);
    BlockNode *node =
        node_new(remote ? &block_nbd_driver : &block_file_driver, options->file, options->readonly);

    if (!node->driver->open(node, options, error)) {
        node_free(node);
        return NULL;
    }
    return node;
}

static const BlockDriver *probe_format(BlockNode *file, GError **error)
{
    uint8_t head[NODE_PROBE_BYTES] = { 0 };
    size_t n = (size_t)MIN(file->length, sizeof(head));
    int err = n ? node_pread(file, 0, head, n) : 0;

    if (err) {
        node_fail_errno(file, error, err, "cannot read its first bytes");
        return NULL;
    }
    return block_driver_probe(head, n, file->name);
}

char *node_backing_path(const char *image, const char *backing)
{
    g_autofree char *folder = NULL;

    if (g_path_is_absolute(backing) || g_str_has_prefix(backing, "json:") ||
        node_is_remote(backing) || node_is_remote(image)) {
        return g_strdup(backing);
    }
    folder = g_path_get_dirname(image);
    return !strcmp(folder, ".") && !g_str_has_prefix(image, "./")
               ? g_strdup(backing)
               : g_build_filename(folder, backing, NULL);
}

static BlockNode *open_at_depth(const NodeOptions *options, unsigned depth, GError **error);

/* What @options say of the image behind @node, over what its header says. */
static bool open_backing(BlockNode *node, const NodeOptions *options, unsigned depth,
                         GError **error)
{
    g_autofree char *path = NULL;
    g_autoptr(NodeDict) dict = node_dict_take_below(options->dict, "backing.");
    NodeOptions below = { .format = node->backing_format,
                          .readonly = true,
                          .share = options->share,
                          .direct = options->direct,
                          .dict = dict };
    bool named = node_dict_get(dict, "file.filename") || node_dict_get(dict, "filename") ||
                 node_dict_get(dict, "file.driver");

    if (options->no_backing || (!node->backing_name && !node_dict_count(dict))) {
        return true;
    }
    if (depth >= NODE_MAX_CHAIN) {
        return node_fail(node, error,
                         "more than %d images behind each other; does one lie behind itself?",
                         NODE_MAX_CHAIN);
    }
    if (named) {
        below.format = NULL;
    } else if (node->backing_name) {
        path = node_backing_path(node->name, node->backing_name);
        below.file = path;
    }
    node->backing = open_at_depth(&below, depth + 1, error);
    if (!node->backing) {
        g_prefix_error(error, "Could not open backing file: ");
        return false;
    }
    return true;
}

static bool check_taken(const BlockNode *node, const NodeOptions *options, GError **error)
{
    if (!node_dict_count(options->dict)) {
        return true;
    }
    return node_fail(node, error, "Block format '%s' does not support the option '%s'",
                     node->driver->name, node_dict_key(options->dict, 0));
}

/* @options are whole. */
static BlockNode *open_resolved(const NodeOptions *options, unsigned depth, GError **error)
{
    const BlockDriver *driver = NULL;
    BlockNode *file, *node;

    if (options->format && !(driver = find_format(options->file, options->format, error))) {
        return NULL;
    }
    file = open_protocol(options, error);
    if (!file) {
        return NULL;
    }
    if (!driver && !(driver = probe_format(file, error))) {
        node_close(file);
        return NULL;
    }
    node = node_new(driver, options->file, options->readonly);
    node->probed = !options->format;
    node->file = file;
    if (!driver->open(node, options, error)) {
        node_close(file);
        node_free(node);
        return NULL;
    }
    if (!open_backing(node, options, depth, error) || !check_taken(node, options, error)) {
        node_close(node);
        return NULL;
    }
    return node;
}

static BlockNode *open_at_depth(const NodeOptions *given, unsigned depth, GError **error)
{
    NodeOptions options = *given;
    g_autoptr(NodeDict) dict = NULL;

    return node_options_resolve(&options, &dict, error) ? open_resolved(&options, depth, error)
                                                        : NULL;
}

BlockNode *node_open(const NodeOptions *options, GError **error)
{
    return open_at_depth(options, 0, error);
}

int node_close(BlockNode *node)
{
    int err, below;

    if (!node) {
        return 0;
    }
    err = node->driver->close(node);
    below = node_close(node->file);
    node_close(node->backing);
    node_free(node);
    return err ? err : below;
}

/* ---- Access ---- */

static int check_range(const BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return offset > node->length || bytes > node->length - offset ? -EINVAL : 0;
}

static int check_write(const BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return node->readonly ? -EROFS : check_range(node, offset, bytes);
}

int node_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = check_range(node, offset, bytes);

    return err || !bytes ? err : node->driver->read(node, offset, bytes, c);
}

int node_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    /* A protocol's file grows. */
    int err = node->driver->is_protocol && !node->readonly ? 0 : check_write(node, offset, bytes);

    if (err || !bytes) {
        return err;
    }
    return node->driver->write ? node->driver->write(node, offset, bytes, c) : -ENOTSUP;
}

int node_pread(BlockNode *node, uint64_t offset, void *buf, uint64_t bytes)
{
    struct iovec iov = { buf, bytes };
    IovCursor c = { &iov, 1, 0 };

    return node_read(node, offset, bytes, &c);
}

int node_pwrite(BlockNode *node, uint64_t offset, const void *buf, uint64_t bytes)
{
    struct iovec iov = { (void *)buf, bytes };
    IovCursor c = { &iov, 1, 0 };

    return node_write(node, offset, bytes, &c);
}

static int write_zeroes_as_bytes(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    g_autofree char *zeroes = g_malloc0(MIN(bytes, ZEROES));
    int err = 0;

    while (bytes && !err) {
        uint64_t n = MIN(bytes, ZEROES);

        err = node_pwrite(node, offset, zeroes, n);
        offset += n;
        bytes -= n;
    }
    return err;
}

int node_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    int err = node->driver->is_protocol && !node->readonly ? 0 : check_write(node, offset, bytes);

    if (err || !bytes) {
        return err;
    }
    return node->driver->write_zeroes ? node->driver->write_zeroes(node, offset, bytes, unmap)
                                      : write_zeroes_as_bytes(node, offset, bytes);
}

int node_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    int err = check_write(node, offset, bytes);

    return err || !bytes || !node->driver->discard ? err
                                                   : node->driver->discard(node, offset, bytes);
}

int node_flush(BlockNode *node)
{
    if (node->readonly) {
        return 0;
    }
    return node->driver->flush ? node->driver->flush(node) : node_flush(node->file);
}

int node_write_compressed(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = check_write(node, offset, bytes);

    if (err || !bytes) {
        return err;
    }
    return node->driver->write_compressed ? node->driver->write_compressed(node, offset, bytes, c)
                                          : -ENOTSUP;
}

bool node_truncate(BlockNode *node, uint64_t length, bool shrink, NodePrealloc prealloc,
                   GError **error)
{
    if (node->readonly) {
        return node_fail(node, error, "is read-only");
    }
    if (!node->driver->truncate) {
        return node_fail(node, error, "images of format %s cannot be resized", node->driver->name);
    }
    if (length > NODE_MAX_LENGTH) {
        return node_fail(node, error, "cannot become %" G_GUINT64_FORMAT " bytes long", length);
    }
    if (length < node->length && !shrink) {
        return node_fail(node, error, "would become shorter");
    }
    return node->driver->truncate(node, length, prealloc, error);
}

int node_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    int err = check_range(node, offset, bytes);

    *status = (NodeStatus){ .bytes = bytes, .flags = NODE_DATA | NODE_ALLOCATED };
    return err || !bytes || !node->driver->status
               ? err
               : node->driver->status(node, offset, bytes, status);
}

int node_read_backing(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    uint64_t length = node->backing ? node->backing->length : 0;
    uint64_t there = offset < length ? MIN(bytes, length - offset) : 0;
    int err = there ? node_read(node->backing, offset, there, c) : 0;

    if (!err) {
        iov_zero(c, bytes - there);
    }
    return err;
}

/* ---- Making ---- */

bool node_create(const BlockDriver *driver, const char *file, const KeyVals *options,
                 GError **error)
{
    if (!driver->create) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%s: images of format %s cannot be made", file, driver->name);
        return false;
    }
    return driver->create(file, options, error);
}
