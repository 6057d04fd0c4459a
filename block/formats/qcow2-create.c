/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making qcow2 images, changing their size, and naming the image behind them. A new image is written with no disk in it (header, refcount
 * table, one refcount block), opened, and made as long as it shall be.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/qcow2.h"

const NodeOptionInfo qcow2_create_options[] = {
    { "backing_file", "File name of a base image" },
    { "backing_fmt", "Image format of the base image" },
    { "cluster_size", "qcow2 cluster size (512 to 2M)" },
    { "compat", "Compatibility level (v2 [0.10] or v3 [1.1])" },
    { "compression_type", "Compression method used for image clusters (zlib, zstd)" },
    { "data_file", "File name of an external data file" },
    { "data_file_raw", "The external data file must stay valid as a raw image" },
    { "encryption", "Only off: images are not encrypted" },
    { "extended_l2", "Extended L2 tables" },
    { "lazy_refcounts", "Postpone refcount updates" },
    { "preallocation", "Preallocation mode (allowed values: off, metadata, falloc, full)" },
    { "refcount_bits", "Width of a reference count entry in bits" },
    { "size", "Virtual disk size" },
    { NULL, NULL }
};

/* ---- Size ---- */

int qcow2_l1_grow(Qcow2 *s, uint64_t length)
{
    uint64_t covered = 1ull << (s->l2_bits + s->cluster_bits);
    uint64_t n = length / covered + (length % covered != 0), offset;
    uint64_t *l1;
    int err;

    if (n <= s->l1_size) {
        return 0;
    }
    if (n > QCOW2_MAX_L1 / 8) {
        return -EFBIG;
    }
    l1 = g_try_realloc_n(s->l1, n, 8);
    if (!l1) {
        return -ENOMEM;
    }
    memset(l1 + s->l1_size, 0, (n - s->l1_size) * 8);
    s->l1 = l1;
    err = qcow2_alloc_exactly(s, q_clusters(s, n * 8), &offset);
    if (err) {
        return err;
    }
    qcow2_free(s, s->l1_offset, q_clusters(s, (uint64_t)s->l1_size * 8));
    s->l1_size = (uint32_t)n;
    s->l1_offset = offset;
    qcow2_l1_touch(s, 0);
    qcow2_l1_touch(s, (uint32_t)n - 1);
    return 0;
}

/* The table at its new place is on the disk before the header names it; what it replaces is free only after that. */
int qcow2_write_size(Qcow2 *s)
{
    g_autoptr(GArray) freed = s->freed;
    int err;

    s->freed = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
    err = qcow2_flush(s);
    qcow2_header_fill(s);
    err = err ? err : qcow2_header_write(s, QH_SIZE, QH_L1_OFFSET + 8);
    err = err ? err : node_flush(s->node->file);
    if (!err) {
        g_array_append_vals(s->freed, freed->data, freed->len);
        err = qcow2_flush_all(s);
    }
    return err;
}

static void set_length(BlockNode *node, uint64_t length)
{
    node->length = (length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    node->exact_length = node->length == length ? 0 : length;
}

/* What is cut off holds no clusters, and reads as zeroes when the image grows again. */
static int cut(Qcow2 *s, uint64_t length)
{
    uint64_t old = s->node->length;
    int err;

    length = (length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    if (length >= old) {
        return 0;
    }
    err = qcow2_zero_alone(s, length, old - length, true);
    return err ? err : qcow2_flush_all(s);
}

/* What is new reads as zeroes: whatever is in the rest of the last cluster, and in the image behind, which may be longer. */
static int zero_growth(Qcow2 *s, uint64_t from, uint64_t to)
{
    uint64_t edge = (from + s->cluster_size - 1) / s->cluster_size * s->cluster_size;
    uint64_t behind = s->node->backing ? s->node->backing->length : to;
    uint64_t end = MIN(to, s->has_backing ? MAX(edge, behind) : edge);

    return from < end ? qcow2_zero_alone(s, from, end - from, true) : 0;
}

static bool resize_locked(Qcow2 *s, uint64_t length, NodePrealloc prealloc, GError **error)
{
    uint64_t old = s->node->length;
    int err = qcow2_prepare_write(s);

    err = err ? err : qcow2_flush_all(s);
    err = err ? err : qcow2_bitmaps_resize_begin(s);
    err = err ? err : cut(s, length);
    err = err ? err : qcow2_l1_grow(s, length);
    if (!err) {
        set_length(s->node, length);
        err = qcow2_write_size(s);
        err = err ? err : zero_growth(s, old, s->node->length);
        err = qcow2_bitmaps_resize_end(s, err);
    }
    err = err ? err : qcow2_flush_all(s);
    if (err) {
        return node_fail_errno(s->node, error, err, "cannot be resized");
    }
    if (s->external && s->data->length < s->node->length &&
        !node_truncate(s->data, s->node->length, false, NODE_PREALLOC_OFF, error)) {
        return false;
    }
    if (prealloc != NODE_PREALLOC_OFF && s->node->length > old) {
        /* A part of the last cluster may be data, or of what is behind the image: it stays as it is. */
        uint64_t edge = q_clusters(s, old) << s->cluster_bits;
        uint64_t from = s->has_backing || s->extended ? edge : old;

        if (!qcow2_preallocate(s, from, s->node->length, prealloc, error)) {
            return false;
        }
        err = qcow2_flush_all(s);
    }
    return !err || node_fail_errno(s->node, error, err, "cannot be resized");
}

bool qcow2_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error)
{
    Qcow2 *s = node->priv;
    bool ok;

    if (s->snapshots->len && s->version < 3) {
        return node_fail(node, error, "Can't resize a v2 image which has snapshots");
    }
    qcow2_alone_begin(s);
    ok = qcow2_bitmaps_can_resize(s, length, error) && resize_locked(s, length, prealloc, error);
    qcow2_alone_end(s);
    return ok;
}

/* ---- Backing file ---- */

bool qcow2_set_backing(BlockNode *node, const char *file, const char *format, GError **error)
{
    Qcow2 *s = node->priv;
    g_autofree uint8_t *old = NULL;
    int err;
    bool ok;

    if (node->readonly || (file && (s->autoclear & Q_RAW_DATA))) {
        return node_fail(node, error,
                         node->readonly ? "is read-only"
                                        : "has a raw data file, which excludes a backing file");
    }
    qcow2_alone_begin(s);
    err = qcow2_prepare_write(s);
    err = err ? err : qcow2_flush_all(s);
    ok = !err || node_fail_errno(node, error, err, "cannot be written");
    old = g_memdup2(s->head, s->cluster_size);
    ok = ok && qcow2_header_change(s, old, file, format, error);
    if (ok) {
        g_free(node->backing_name);
        g_free(node->backing_format);
        node->backing_name = g_strdup(file);
        node->backing_format = file ? g_strdup(format) : NULL;
        s->has_backing = file != NULL;
    }
    qcow2_alone_end(s);
    return ok;
}

/* ---- Create ---- */

typedef struct Wanted {
    uint64_t length, cluster_size, refcount_bits;
    bool v2, lazy, extended, data_raw;
    unsigned compression;
    NodePrealloc prealloc;
    const char *backing, *backing_format, *data_file;
} Wanted;

static bool refuse(GError **error, const char *text)
{
    g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, text);
    return false;
}

static bool read_names(const KeyVals *options, Wanted *w, GError **error)
{
    const char *compat = keyvals_get(options, "compat");
    const char *compression = keyvals_get(options, "compression_type");

    if (compat && !strcmp(compat, "0.10")) {
        w->v2 = true;
    } else if (compat && strcmp(compat, "1.1") && strcmp(compat, "v3")) {
        if (strcmp(compat, "v2")) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "Parameter 'version' does not accept value '%s'", compat);
            return false;
        }
        w->v2 = true;
    }
    if (compression && !strcmp(compression, "zstd")) {
        w->compression = 1;
    } else if (compression && strcmp(compression, "zlib")) {
        return refuse(error, "compression_type: known are zlib and zstd");
    }
    if (!qcow2_compression_known(w->compression)) {
        return refuse(error, "compression_type=zstd: not built in");
    }
    w->backing = keyvals_get(options, "backing_file");
    w->backing_format = keyvals_get(options, "backing_fmt");
    w->data_file = keyvals_get(options, "data_file");
    return true;
}

static bool check_wanted(const Wanted *w, GError **error)
{
    uint64_t c = w->cluster_size, r = w->refcount_bits;

    if (c & (c - 1) || c < 1u << QCOW2_MIN_BITS || c > 1u << QCOW2_MAX_BITS) {
        return refuse(error, "Cluster size must be a power of two between 512 and 2048k");
    }
    if (w->length / (c * (c / (w->extended ? 16 : 8))) > QCOW2_MAX_L1 / 8) {
        return refuse(error, "The image size is too large for file format 'qcow2' (try using a "
                             "larger cluster size)");
    }
    if (r & (r - 1) || !r || r > 64) {
        return refuse(error, "Refcount width must be a power of two and may not exceed 64 bits");
    }
    if (w->v2 && r != 16) {
        return refuse(error, "Different refcount widths than 16 bits require compatibility level "
                             "1.1 or above (use version=v3 or greater)");
    }
    if (w->v2 && w->lazy) {
        return refuse(error, "Lazy refcounts only supported with compatibility level 1.1 and above "
                             "(use version=v3 or greater)");
    }
    if (w->v2 && (w->extended || w->compression || w->data_file)) {
        return refuse(error, "compat=0.10: has no extended_l2, compression_type=zstd or "
                             "data_file");
    }
    if (w->extended && c < 16384) {
        return refuse(error, "extended_l2: needs a cluster_size of at least 16k");
    }
    if (w->data_raw && (!w->data_file || w->backing)) {
        return refuse(error, "data_file_raw: needs a data_file, and excludes a backing_file");
    }
    if (w->backing && w->prealloc != NODE_PREALLOC_OFF) {
        return refuse(error, "preallocation: not with a backing_file");
    }
    return true;
}

static bool read_refcount_bits(const KeyVals *options, Wanted *w, GError **error)
{
    const char *text = keyvals_get(options, "refcount_bits");

    if (text && (!keyval_parse_uint(text, &w->refcount_bits) || w->refcount_bits > 64)) {
        w->refcount_bits = 0; /* refused with the others */
    }
    return true;
}

static bool check_encryption(const KeyVals *options, GError **error)
{
    bool on = false;

    return keyvals_get_bool(options, "qcow2", "encryption", &on, error) &&
           (!on || refuse(error, "encryption: not supported"));
}

static bool read_wanted(const KeyVals *options, Wanted *w, GError **error)
{
    *w = (Wanted){ .cluster_size = 65536, .refcount_bits = 16 };
    return create_option_length(options, &w->length, error) && check_encryption(options, error) &&
           create_option_size(options, "cluster_size", &w->cluster_size, error) &&
           create_option_prealloc(options, &w->prealloc, error) &&
           keyvals_get_bool(options, "qcow2", "lazy_refcounts", &w->lazy, error) &&
           keyvals_get_bool(options, "qcow2", "extended_l2", &w->extended, error) &&
           keyvals_get_bool(options, "qcow2", "data_file_raw", &w->data_raw, error) &&
           read_refcount_bits(options, w, error) && read_names(options, w, error) &&
           check_wanted(w, error);
}

/* A Qcow2 only to lay out the header in. */
static bool make_header(BlockNode *node, const Wanted *w, uint8_t *head, GError **error)
{
    Qcow2 s = { .node = node, .head = head, .cluster_size = w->cluster_size };

    s.data_file = (char *)w->data_file;
    s.header_length = w->v2 ? QCOW2_V2_HEADER : QCOW2_V3_HEADER;
    memcpy(head, "QFI\xfb", 4);
    bytes_put_be32(head + QH_VERSION, w->v2 ? 2 : 3);
    bytes_put_be32(head + QH_CLUSTER_BITS, (uint32_t)__builtin_ctzll(w->cluster_size));
    bytes_put_be64(head + QH_REFTABLE_OFFSET, w->cluster_size);
    bytes_put_be32(head + QH_REFTABLE_CLUSTERS, 1);
    if (!w->v2) {
        bytes_put_be64(head + QH_INCOMPATIBLE, (w->data_file ? Q_DATA_FILE : 0) |
                                                   (w->compression ? Q_COMPRESSION : 0) |
                                                   (w->extended ? Q_EXTENDED : 0));
        bytes_put_be64(head + QH_COMPATIBLE, w->lazy ? Q_LAZY : 0);
        bytes_put_be64(head + QH_AUTOCLEAR, w->data_raw ? Q_RAW_DATA : 0);
        bytes_put_be32(head + QH_REFCOUNT_ORDER, (uint32_t)__builtin_ctzll(w->refcount_bits));
        bytes_put_be32(head + QH_LENGTH, QCOW2_V3_HEADER);
        head[QH_COMPRESSION] = (uint8_t)w->compression;
    }
    return qcow2_header_layout(&s, w->backing, w->backing_format, error);
}

/* Header, refcount table and the first block, a cluster each. */
static bool write_empty(BlockNode *node, const Wanted *w, GError **error)
{
    uint64_t c = w->cluster_size;
    g_autofree uint8_t *image = g_malloc0(3 * c);
    Qcow2 s = { .refcount_order = (unsigned)__builtin_ctzll(w->refcount_bits) };
    int err;

    if (!make_header(node, w, image, error)) {
        return false;
    }
    bytes_put_be64(image + c, 2 * c);
    for (unsigned i = 0; i < 3; i++) {
        qcow2_block_set(&s, image + 2 * c, i, 1);
    }
    err = node_pwrite(node, 0, image, 3 * c);
    return !err || node_fail_errno(node, error, err, "cannot be written");
}

static bool make_data_file(const char *file, const Wanted *w, GError **error)
{
    g_autofree char *path = node_backing_path(file, w->data_file);
    BlockNode *data = node_create_file(path, error);
    bool ok = data && node_truncate(data, w->length, true, NODE_PREALLOC_OFF, error);

    return data && node_close(data) == 0 && ok;
}

bool qcow2_create(const char *file, const KeyVals *options, GError **error)
{
    NodeOptions open = { .file = file, .format = "qcow2", .no_backing = true };
    BlockNode *node;
    Wanted w;
    bool ok;
    int err;

    if (!read_wanted(options, &w, error) || !(node = node_create_file(file, error))) {
        return false;
    }
    ok = write_empty(node, &w, error);
    err = node_close(node);
    ok = ok && !err && (!w.data_file || make_data_file(file, &w, error));
    node = ok ? node_open(&open, error) : NULL;
    if (!node) {
        return false;
    }
    qcow2_alone_begin(node->priv);
    ((Qcow2 *)node->priv)->has_backing = false; /* for what it grows by: it shall be seen */
    ok = resize_locked(node->priv, w.length, w.prealloc, error);
    qcow2_alone_end(node->priv);
    err = node_close(node);
    if (ok && err) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-err), "%s: cannot be written: %s",
                    file, g_strerror(-err));
    }
    return ok && !err;
}
