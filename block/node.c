/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes: opening an image with what is below and behind it, and access, checked, on its way to the driver.
 */
#include "block/node.h"
#include <errno.h>
#include <string.h>
#include "block/block-priv.h"
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

/* ---- Access ---- */

void node_event(BlockNode *node, const char *event)
{
    if (node && node->driver->event) {
        node->driver->event(node, event);
    }
}

void node_check_note(NodeCheck *check, const char *format, ...)
{
    enum { MAX_REPORT = 1 << 20 };
    va_list args;

    if (check->report && check->report->len < MAX_REPORT) {
        va_start(args, format);
        g_string_append_vprintf(check->report, format, args);
        va_end(args);
    }
}

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

    if (err || !bytes) {
        return err;
    }
    if (!node->driver->own_events) {
        node_event(node->file, "read_aio");
    }
    return node->driver->read(node, offset, bytes, c);
}

int node_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    /* A protocol's file grows. */
    int err = node->driver->is_protocol && !node->readonly ? 0 : check_write(node, offset, bytes);

    if (err || !bytes) {
        return err;
    }
    if (!node->driver->own_events) {
        node_event(node->file, "write_aio");
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

int node_zero_behind(BlockNode *node, uint64_t offset, uint64_t *bytes, bool *zero)
{
    *zero = true;
    for (BlockNode *b = node->backing; b && offset < b->length; b = b->backing) {
        NodeStatus status;
        int err = node_status(b, offset, MIN(*bytes, b->length - offset), &status);

        if (err) {
            return err;
        }
        *bytes = status.bytes;
        if (status.flags & NODE_ALLOCATED) {
            *zero = status.flags & NODE_ZERO;
            return 0;
        }
    }
    return 0;
}

static int copy_piece(BlockNode *node, uint64_t offset, uint64_t *bytes)
{
    g_autofree char *buf = NULL;
    bool zero;
    int err = node_zero_behind(node, offset, bytes, &zero);

    if (err) {
        return err;
    }
    node_event(node->file, "cor_write");
    if (zero) {
        return node_write_zeroes(node, offset, *bytes, false);
    }
    *bytes = MIN(*bytes, ZEROES);
    buf = g_malloc(*bytes);
    err = node_pread(node, offset, buf, *bytes);
    return err ? err : node_pwrite(node, offset, buf, *bytes);
}

int node_copy_up(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    uint64_t size = node->driver->cluster_size ? node->driver->cluster_size(node) : 0;
    uint64_t cluster = MAX(size, BLOCK_SECTOR), at = offset - offset % cluster;
    uint64_t end =
        bytes ? MIN((offset + bytes + cluster - 1) / cluster * cluster, node->length) : at;
    int err = 0;

    while (at < end && !err) {
        NodeStatus status;
        uint64_t n;

        err = node_status(node, at, end - at, &status);
        n = err ? 0 : status.bytes;
        if (!err && !(status.flags & NODE_ALLOCATED)) {
            err = copy_piece(node, at, &n);
        }
        at += n;
    }
    return err;
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
