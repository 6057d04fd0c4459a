/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMDK, VMware's images: the driver. Opens the extents, which are all files of the host, never of a format of their own, and hands each
 * request to those that it is of. The image's CID changes before the first write, so that images upon it know.
 */
#include "block/formats/vmdk.h"
#include <errno.h>
#include <string.h>
#include "block/formats/formats.h"

static bool begins(const uint8_t *head, size_t n, const char *text)
{
    return n >= strlen(text) && !memcmp(head, text, strlen(text));
}

/* A descriptor: comments, and then its version. */
static bool is_descriptor(const uint8_t *head, size_t n)
{
    const uint8_t *p = head, *end = head + n;

    while (p < end && (*p == '#' || *p == '\n' || *p == '\r' || *p == ' ')) {
        const uint8_t *line_end = memchr(p, '\n', (size_t)(end - p));

        p = line_end ? line_end + 1 : end;
    }
    n = (size_t)(end - p);
    return begins(head, (size_t)(end - head), "# Disk DescriptorFile") ||
           (p > head &&
            (begins(p, n, "version=1") || begins(p, n, "version=2") || begins(p, n, "version=3")));
}

static int probe(const uint8_t *head, size_t n, const char *file)
{
    return begins(head, n, "KDMV") || begins(head, n, "COWD") || is_descriptor(head, n) ? 100 : 0;
}

/* ---- Opening ---- */

static void extent_free(void *extent)
{
    VmdkExtent *e = extent;

    if (e->node) {
        vmdk_sparse_close(e);
    }
    node_close(e->opened);
    g_free(e->path);
    g_free(e->type);
    g_free(e);
}

static void free_state(BlockNode *node)
{
    Vmdk *s = node->priv;

    g_ptr_array_unref(s->extents);
    g_mutex_clear(&s->lock);
    g_free(s->type);
    g_free(s);
    node->priv = NULL;
}

/* Behind those that are there. @path and @type are taken. */
static VmdkExtent *add_extent(Vmdk *s, char *path, char *type, bool readonly)
{
    VmdkExtent *e = g_new0(VmdkExtent, 1);

    e->path = path;
    e->type = type;
    e->readonly = readonly;
    e->start = s->node->length;
    g_ptr_array_add(s->extents, e);
    return e;
}

static bool count_extent(Vmdk *s, const VmdkExtent *e, GError **error)
{
    if (e->length > NODE_MAX_LENGTH - s->node->length) {
        return node_fail(s->node, error, "its extents together are too long");
    }
    s->node->length += e->length;
    return true;
}

/* The image's own file is its only extent. */
static bool open_monolithic(Vmdk *s, const uint8_t *h, const NodeOptions *options, GError **error)
{
    BlockNode *node = s->node;
    uint64_t at = h[0] == 'K' ? bytes_get_le64(h + VM_DESCRIPTOR) : 0,
             n = bytes_get_le64(h + VM_DESCRIPTOR_SIZE);
    uint64_t left = node->file->length / BLOCK_SECTOR;
    bool there = at && n && at < left && n <= VMDK_MAX_DESCRIPTOR / BLOCK_SECTOR;
    VmdkExtent *e;

    if (there && !vmdk_descriptor_read(s, at * BLOCK_SECTOR, MIN(n, left - at) * BLOCK_SECTOR, NULL,
                                       error)) {
        return false;
    }
    s->type = s->type ? s->type : g_strdup(h[0] == 'K' ? "monolithicSparse" : "vmfsSparse");
    e = add_extent(s, g_strdup(node->name), g_strdup(""), options->readonly);
    e->file = node->file;
    if (!vmdk_sparse_open(s, e, options, error)) {
        return false;
    }
    if (at && n && !there) {
        return node_fail(node, error, "its descriptor is out of range");
    }
    return count_extent(s, e, error);
}

static bool open_extent(Vmdk *s, const VmdkLine *line, const NodeOptions *options, GError **error)
{
    bool readonly = options->readonly || line->readonly;
    NodeOptions below = { .format = "raw",
                          .readonly = readonly,
                          .direct = options->direct,
                          .unsafe = options->unsafe,
                          .share = options->share };
    char *path = line->name ? node_backing_path(s->node->name, line->name) : g_strdup("");
    VmdkExtent *e = add_extent(s, path, g_strdup(line->type), readonly);

    e->length = line->sectors * BLOCK_SECTOR;
    e->offset = line->offset * BLOCK_SECTOR;
    if (!strcmp(line->type, "ZERO")) {
        e->kind = VMDK_ZERO;
        return count_extent(s, e, error);
    }
    if (strcmp(line->type, "FLAT") != 0 && strcmp(line->type, "SPARSE") != 0) {
        return node_fail(s->node, error, "Unsupported extent type '%s'", line->type);
    }
    if (node_is_remote(path)) {
        return node_fail(s->node, error, "its extent '%s' is no file", path);
    }
    below.file = path;
    e->opened = node_open(&below, error);
    if (!e->opened) {
        g_prefix_error(error, "%s: an extent of it cannot be opened: ", s->node->name);
        return false;
    }
    e->file = e->opened->file;
    return (*line->type == 'F' || vmdk_sparse_open(s, e, options, error)) &&
           count_extent(s, e, error);
}

static bool open_described(Vmdk *s, const NodeOptions *options, GError **error)
{
    static const char *const known[] = { "monolithicFlat", "twoGbMaxExtentFlat",
                                         "twoGbMaxExtentSparse", NULL };
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(vmdk_line_free);
    BlockNode *node = s->node;

    if (node->file->length > VMDK_MAX_DESCRIPTOR) {
        return node_fail(node, error, "is too long for a descriptor");
    }
    if (!vmdk_descriptor_read(s, 0, node->file->length, lines, error)) {
        return false;
    }
    if (!s->type || !g_strv_contains(known, s->type)) {
        return node_fail(node, error, "Unsupported image type '%s'", s->type ? s->type : "");
    }
    if (node_is_remote(node->name) || !lines->len) {
        return node_fail(node, error,
                         lines->len ? "is remote, but has extents in files" : "has no extents");
    }
    for (guint i = 0; i < lines->len; i++) {
        if (!open_extent(s, g_ptr_array_index(lines, i), options, error)) {
            return false;
        }
    }
    return true;
}

static bool vmdk_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    uint8_t head[VM_BYTES] = { 0 };
    size_t n = (size_t)MIN(node->file->length, sizeof(head));
    int err = n ? node_pread(node->file, 0, head, n) : 0;
    Vmdk *s;
    bool ok;

    if (err) {
        return node_fail_errno(node, error, err, "its header cannot be read");
    }
    if (!probe(head, n, node->name)) {
        return node_fail(node, error, "is no VMDK image");
    }
    s = g_new0(Vmdk, 1);
    s->node = node;
    s->cid = s->parent_cid = VMDK_NO_CID;
    s->extents = g_ptr_array_new_with_free_func(extent_free);
    g_mutex_init(&s->lock);
    node->priv = s;
    node->length = 0;
    ok = begins(head, n, "KDMV") || begins(head, n, "COWD")
             ? open_monolithic(s, head, options, error)
             : open_described(s, options, error);
    if (!ok) {
        free_state(node);
        g_clear_pointer(&node->backing_name, g_free);
        g_clear_pointer(&node->backing_format, g_free);
    }
    return ok;
}

/* ---- Access ---- */

/* The extent at @offset, and how much of *@bytes it has. */
static VmdkExtent *find_extent(const Vmdk *s, uint64_t offset, uint64_t *bytes)
{
    guint low = 0, high = s->extents->len;
    VmdkExtent *e;

    while (high - low > 1) {
        guint middle = low + (high - low) / 2;

        e = g_ptr_array_index(s->extents, middle);
        if (e->start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    e = g_ptr_array_index(s->extents, low);
    *bytes = MIN(*bytes, e->start + e->length - offset);
    return e;
}

static int vmdk_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = 0;

    while (bytes && !err) {
        uint64_t n = bytes;
        VmdkExtent *e = find_extent(node->priv, offset, &n);
        uint64_t at = offset - e->start;

        if (e->kind == VMDK_FLAT) {
            err = e->file->driver->read(e->file, e->offset + at, n, c); /* zeroes behind the end */
        } else if (e->kind == VMDK_SPARSE) {
            err = blockmap_read(e->node, at, n, c);
        } else if (e->kind == VMDK_STREAM) {
            err = vmdk_stream_read(e, at, n, c);
        } else {
            iov_zero(c, n);
        }
        offset += n;
        bytes -= n;
    }
    return err;
}

static void touch(VmdkExtent *e)
{
    __atomic_store_n(&e->touched, true, __ATOMIC_RELEASE);
}

static int begin_write(Vmdk *s)
{
    int err = 0;

    if (__atomic_load_n(&s->written, __ATOMIC_ACQUIRE)) {
        return 0;
    }
    g_mutex_lock(&s->lock);
    if (!s->written) {
        err = vmdk_cid_write(s);
        __atomic_store_n(&s->written, !err, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&s->lock);
    return err;
}

static int vmdk_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = begin_write(node->priv);

    while (bytes && !err) {
        uint64_t n = bytes;
        VmdkExtent *e = find_extent(node->priv, offset, &n);
        uint64_t at = offset - e->start;

        touch(e);
        if (e->readonly || e->kind == VMDK_ZERO) {
            err = -EROFS;
        } else if (e->kind == VMDK_FLAT) {
            err = node_write(e->file, e->offset + at, n, c);
        } else if (e->kind == VMDK_SPARSE) {
            err = blockmap_write(e->node, at, n, c);
        } else {
            err = vmdk_stream_write(e, at, n, c);
        }
        offset += n;
        bytes -= n;
    }
    return err;
}

static int vmdk_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    int err = begin_write(node->priv);

    while (bytes && !err) {
        uint64_t n = bytes;
        VmdkExtent *e = find_extent(node->priv, offset, &n);
        uint64_t at = offset - e->start;

        touch(e);
        if (e->kind == VMDK_FLAT && !e->readonly) {
            err = node_write_zeroes(e->file, e->offset + at, n, unmap);
        } else if (e->kind == VMDK_SPARSE && !e->readonly) {
            err = vmdk_sparse_write_zeroes(e, at, n, unmap);
        } else if (e->kind == VMDK_STREAM && !e->readonly) {
            err = vmdk_stream_write_zeroes(e, at, n);
        } else {
            err = e->kind == VMDK_ZERO ? 0 : -EROFS;
        }
        offset += n;
        bytes -= n;
    }
    return err;
}

static int vmdk_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    int err = begin_write(node->priv);

    while (bytes && !err) {
        uint64_t n = bytes;
        VmdkExtent *e = find_extent(node->priv, offset, &n);
        uint64_t at = offset - e->start;

        if (e->kind == VMDK_SPARSE && !e->readonly) {
            err = blockmap_discard(e->node, at, n);
        } else if (e->kind == VMDK_FLAT && !e->readonly && e->offset + at + n <= e->file->length) {
            err = node_discard(e->file, e->offset + at, n);
        }
        offset += n;
        bytes -= n;
    }
    return err;
}

/* The CID is in the image's own file. */
static int vmdk_flush(BlockNode *node)
{
    const Vmdk *s = node->priv;
    bool own = false;
    int err = 0;

    for (guint i = 0; i < s->extents->len && !err; i++) {
        VmdkExtent *e = g_ptr_array_index(s->extents, i);

        if (e->readonly || !__atomic_load_n(&e->touched, __ATOMIC_ACQUIRE)) {
            continue;
        }
        own |= e->file == node->file;
        if (e->node) {
            err = blockmap_flush(e->node);
        } else if (e->kind == VMDK_FLAT) {
            err = node_flush(e->file);
        }
    }
    return err || own ? err : node_flush(node->file);
}

static int vmdk_close(BlockNode *node)
{
    int err = node->readonly ? 0 : vmdk_flush(node);

    free_state(node);
    return err;
}

/* ---- Status ---- */

static int flat_status(const VmdkExtent *e, uint64_t at, uint64_t bytes, NodeStatus *status)
{
    uint64_t host = e->offset + at, length = e->file->length;
    int err = 0;

    if (host >= length) {
        status->flags = NODE_ZERO | NODE_ALLOCATED;
    } else {
        err = node_status(e->file, host, MIN(bytes, length - host), status);
    }
    return err;
}

static int vmdk_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    VmdkExtent *e = find_extent(node->priv, offset, &bytes);
    uint64_t at = offset - e->start;
    int err = 0;

    status->bytes = bytes;
    if (e->kind == VMDK_FLAT) {
        err = flat_status(e, at, bytes, status);
    } else if (e->kind == VMDK_SPARSE) {
        err = blockmap_status(e->node, at, bytes, status);
    } else if (e->kind == VMDK_STREAM) {
        err = vmdk_stream_status(e, at, bytes, status);
    } else {
        status->flags = NODE_ZERO | NODE_ALLOCATED;
    }
    status->file = e->path;
    return err;
}

static bool vmdk_direct(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                        uint64_t *fd_offset)
{
    const Vmdk *s = node->priv;
    uint64_t n = bytes, at;
    VmdkExtent *e;

    if (!s->extents->len) {
        return false;
    }
    e = find_extent(s, offset, &n);
    at = offset - e->start;
    if (n < bytes || (write && (e->readonly || !__atomic_load_n(&s->written, __ATOMIC_ACQUIRE)))) {
        return false;
    }
    if (write) {
        touch(e);
    }
    if (e->kind == VMDK_FLAT) {
        return e->offset + at + n <= __atomic_load_n(&e->file->length, __ATOMIC_RELAXED) &&
               e->file->driver->direct &&
               e->file->driver->direct(e->file, e->offset + at, bytes, write, fd, fd_offset);
    }
    return e->kind == VMDK_SPARSE && blockmap_direct(e->node, at, bytes, write, fd, fd_offset);
}

static uint64_t vmdk_cluster_size(BlockNode *node)
{
    const Vmdk *s = node->priv;
    const VmdkExtent *e = s->extents->len ? g_ptr_array_index(s->extents, 0) : NULL;

    return e && e->node ? vmdk_sparse(e)->map.block_size : 0;
}

static bool vmdk_only_compressed(BlockNode *node)
{
    const Vmdk *s = node->priv;

    return s->extents->len == 1 &&
           ((const VmdkExtent *)g_ptr_array_index(s->extents, 0))->kind == VMDK_STREAM;
}

/* ---- Info, check ---- */

static void add(GPtrArray *keys, GPtrArray *values, char *key, char *value)
{
    g_ptr_array_add(keys, key);
    g_ptr_array_add(values, value);
}

static void vmdk_info(BlockNode *node, GPtrArray *keys, GPtrArray *values)
{
    const Vmdk *s = node->priv;

    add(keys, values, g_strdup("cid"), g_strdup_printf("%u", s->cid));
    add(keys, values, g_strdup("parent cid"), g_strdup_printf("%u", s->parent_cid));
    add(keys, values, g_strdup("create type"), g_strdup(s->type));
    for (guint i = 0; i < s->extents->len; i++) {
        const VmdkExtent *e = g_ptr_array_index(s->extents, i);

        if (e->kind == VMDK_STREAM) {
            add(keys, values, g_strdup_printf("extents/%u/compressed", i), g_strdup("true"));
        }
        add(keys, values, g_strdup_printf("extents/%u/virtual size", i),
            g_strdup_printf("%" G_GUINT64_FORMAT, e->length));
        add(keys, values, g_strdup_printf("extents/%u/filename", i), g_strdup(e->path));
        if (e->node) {
            add(keys, values, g_strdup_printf("extents/%u/cluster size", i),
                g_strdup_printf("%" G_GUINT64_FORMAT, vmdk_sparse(e)->map.block_size));
        }
        add(keys, values, g_strdup_printf("extents/%u/format", i), g_strdup(e->type));
    }
}

static void vmdk_files(BlockNode *node, GPtrArray *names)
{
    const Vmdk *s = node->priv;

    for (guint i = 0; i < s->extents->len; i++) {
        const VmdkExtent *e = g_ptr_array_index(s->extents, i);

        if (e->opened) {
            g_ptr_array_add(names, g_strdup(e->path));
        }
    }
}

static bool vmdk_check(BlockNode *node, NodeCheck *check, GError **error)
{
    const Vmdk *s = node->priv;
    bool ok = true;

    for (guint i = 0; i < s->extents->len && ok; i++) {
        VmdkExtent *e = g_ptr_array_index(s->extents, i);

        ok = !e->node || vmdk_sparse_check(e, check, error);
    }
    check->allocated_clusters = check->fragmented_clusters =
        0; /* of several extents they say little */
    return ok;
}

const BlockDriver block_vmdk_driver = {
    .name = "vmdk",
    .probe = probe,
    .open = vmdk_open,
    .close = vmdk_close,
    .read = vmdk_read,
    .write = vmdk_write,
    .write_zeroes = vmdk_write_zeroes,
    .write_compressed = vmdk_write, /* only a stream's grains are compressed, and these always */
    .discard = vmdk_discard,
    .flush = vmdk_flush,
    .status = vmdk_status,
    .direct = vmdk_direct,
    .create = vmdk_create,
    .create_options = vmdk_create_options,
    .create_shown = "size adapter_type backing_file backing_fmt compat6=off hwversion=undefined "
                    "toolsversion subformat zeroed_grain",
    .info = vmdk_info,
    .files = vmdk_files,
    .check = vmdk_check,
    .cluster_size = vmdk_cluster_size,
    .only_compressed = vmdk_only_compressed,
};
