/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QED images (docs/interop/qed_spec.txt of QEMU): two levels of tables with the offsets of clusters, perhaps over a backing image.
 *
 * As entries are written after what they point to, an image is consistent at any time but for clusters that nobody uses: "need check" is
 * never set here. If it was set by someone else, an image that is opened for writing is checked and mended first.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "block/formats/blockmap.h"
#include "block/formats/formats.h"

enum {
    QH_CLUSTER = 4,
    QH_TABLE = 8,
    QH_HEADER = 12,
    QH_FEATURES = 16,
    QH_COMPATIBLE = 24,
    QH_AUTOCLEAR = 32,
    QH_L1 = 40,
    QH_LENGTH = 48,
    QH_NAME_OFFSET = 56,
    QH_NAME_BYTES = 60,
    QH_BYTES = 64
};
enum { F_BACKING = 1, F_NEED_CHECK = 2, F_RAW_BACKING = 4, F_KNOWN = 7 };
enum { MIN_CLUSTER = 4096, MAX_CLUSTER = 64 << 20, MAX_TABLE = 16, MAX_NAME = 1023 };
/* Names are written to the one of these that is not in use, before the header says so. */
enum { NAME_A = 512, NAME_B = 2048 };
enum { ENTRY_ZERO = 1 };

typedef struct Qed {
    BlockMap map;
    uint8_t head[QH_BYTES];
    uint64_t l1, table_bytes, n_entries; /* of one table */
    uint64_t data;                       /* the header is before it */
} Qed;

static int probe(const uint8_t *head, size_t n, const char *file)
{
    return n >= 4 && !memcmp(head, "QED", 4) ? 100 : 0;
}

/* ---- Entries ---- */

static int get_entry(BlockMap *m, uint64_t offset, bool peek, uint64_t *entry)
{
    int err = blockmap_table_get(m, offset, peek, entry, 8);

    *entry = GUINT64_FROM_LE(*entry);
    return err;
}

static int set_entry(BlockMap *m, uint64_t offset, uint64_t entry)
{
    entry = GUINT64_TO_LE(entry);
    return blockmap_table_set(m, offset, &entry, 8);
}

static bool is_valid(const Qed *s, uint64_t offset, uint64_t bytes)
{
    return offset % s->map.block_size == 0 && offset >= s->data && offset < s->map.end &&
           bytes <= s->map.end - offset;
}

/* The offset of the L2 table that block @index is in; 0: there is none. */
static int get_l2(Qed *s, uint64_t index, bool peek, uint64_t *l2)
{
    int err = get_entry(&s->map, s->l1 + index / s->n_entries * 8, peek, l2);

    return err || !*l2 || is_valid(s, *l2, s->table_bytes) ? err : -EIO;
}

static int lookup(BlockMap *m, uint64_t index, bool peek, BlockMapKind *kind, uint64_t *host,
                  uint64_t *n)
{
    Qed *s = (Qed *)m;
    uint64_t l2;
    int err = get_l2(s, index, peek, &l2);

    *kind = BM_HOLE;
    *host = 0;
    if (err || !l2) {
        *n = s->n_entries - index % s->n_entries;
        return err;
    }
    err = get_entry(m, l2 + index % s->n_entries * 8, peek, host);
    if (!err && *host) {
        *kind = *host == ENTRY_ZERO ? BM_ZERO : BM_DATA;
        err = *kind == BM_ZERO || is_valid(s, *host, m->block_size) ? 0 : -EIO;
    }
    return err;
}

static int allocate(BlockMap *m, uint64_t *n, uint64_t *host)
{
    return blockmap_append(m, *n * m->block_size, host);
}

static int link_block(BlockMap *m, uint64_t index, BlockMapKind kind, uint64_t host)
{
    Qed *s = (Qed *)m;
    uint64_t l2, entry = kind == BM_DATA ? host : kind == BM_ZERO ? ENTRY_ZERO : 0;
    int err = get_l2(s, index, false, &l2);

    if (kind == BM_HOLE && (err == -EIO || (!err && !l2))) { /* to be mended */
        return err ? set_entry(m, s->l1 + index / s->n_entries * 8, 0) : 0;
    }
    if (!err && !l2) {
        err = blockmap_append(m, s->table_bytes, &l2);
        err = err ? err : set_entry(m, s->l1 + index / s->n_entries * 8, l2);
    }
    return err ? err : set_entry(m, l2 + index % s->n_entries * 8, entry);
}

static const BlockMapOps ops = { .lookup = lookup, .allocate = allocate, .link = link_block };

/* ---- Opening ---- */

static bool is_power(uint64_t v, uint64_t min, uint64_t max)
{
    return v >= min && v <= max && !(v & (v - 1));
}

/* How long a disk may be; @n entries in a table. */
static uint64_t max_length(uint64_t cluster, uint64_t n)
{
    return n > NODE_MAX_LENGTH / n / cluster ? NODE_MAX_LENGTH : n * n * cluster;
}

static bool read_geometry(BlockNode *node, Qed *s, GError **error)
{
    const uint8_t *h = s->head;
    uint32_t cluster = bytes_get_le32(h + QH_CLUSTER), table = bytes_get_le32(h + QH_TABLE);

    if (memcmp(h, "QED", 4)) {
        return node_fail(node, error, "Image not in QED format");
    }
    if (bytes_get_le64(h + QH_FEATURES) & ~(uint64_t)F_KNOWN) {
        return node_fail(node, error, "has features that are not known: %#" PRIx64,
                         bytes_get_le64(h + QH_FEATURES) & ~(uint64_t)F_KNOWN);
    }
    if (!is_power(cluster, MIN_CLUSTER, MAX_CLUSTER) || !is_power(table, 1, MAX_TABLE)) {
        return node_fail(node, error, "QED %s size is invalid",
                         is_power(cluster, MIN_CLUSTER, MAX_CLUSTER) ? "table" : "cluster");
    }
    s->map.block_size = cluster;
    s->map.end = bm_round_up(node->file->length, cluster);
    s->table_bytes = (uint64_t)table * cluster;
    s->n_entries = s->table_bytes / 8;
    s->data = (uint64_t)bytes_get_le32(h + QH_HEADER) * cluster;
    s->l1 = bytes_get_le64(h + QH_L1);
    if (!s->data || s->data > s->map.end) {
        return node_fail(node, error, "QED table offset is invalid");
    }
    if (!is_valid(s, s->l1, s->table_bytes)) {
        return node_fail(node, error, "QED table offset is invalid");
    }
    node->length = bytes_get_le64(h + QH_LENGTH);
    if (node->length % BLOCK_SECTOR || node->length > max_length(cluster, s->n_entries)) {
        return node_fail(node, error, "QED image size is invalid");
    }
    return true;
}

static bool read_backing_name(BlockNode *node, Qed *s, GError **error)
{
    uint64_t offset = bytes_get_le32(s->head + QH_NAME_OFFSET),
             n = bytes_get_le32(s->head + QH_NAME_BYTES);
    uint64_t features = bytes_get_le64(s->head + QH_FEATURES);
    g_autofree char *name = NULL;
    int err;

    s->map.has_backing = features & F_BACKING;
    if (!s->map.has_backing) {
        return true;
    }
    if (!n || n > MAX_NAME || offset + n > MIN(s->data, node->file->length)) {
        return node_fail(node, error, "the name of its backing file is out of range");
    }
    name = g_malloc0(n + 1);
    err = node_pread(node->file, offset, name, n);
    if (err) {
        return node_fail_errno(node, error, err, "its header cannot be read");
    }
    if (strlen(name) < n) {
        return node_fail(node, error, "the name of its backing file is damaged");
    }
    node->backing_name = g_steal_pointer(&name);
    node->backing_format = features & F_RAW_BACKING ? g_strdup("raw") : NULL;
    return true;
}

static int write_header(Qed *s)
{
    int err = node_pwrite(s->map.node->file, 0, s->head, QH_BYTES);

    return err ? err : node_flush(s->map.node->file);
}

/* What the next reader need not know of: features that are gone with the next write, and the need of a check. */
static bool mend(BlockNode *node, const NodeOptions *options, GError **error)
{
    Qed *s = node->priv;
    bool dirty = bytes_get_le64(s->head + QH_FEATURES) & F_NEED_CHECK;
    NodeCheck check = { .fix_leaks = true, .fix_errors = true };
    bool ok = true;
    int err = 0;

    if (options->readonly || options->repair) {
        return true;
    }
    if (dirty) { /* clears it */
        check.report = g_string_new(NULL);
        ok = node->driver->check(node, &check, error);
        g_string_free(check.report, TRUE);
        if (ok && (check.corruptions || check.check_errors)) {
            ok = node_fail(node, error, "was not closed properly, and cannot be repaired");
        }
    }
    if (ok && bytes_get_le64(s->head + QH_AUTOCLEAR)) {
        bytes_put_le64(s->head + QH_AUTOCLEAR, 0);
        err = write_header(s);
    }
    return ok && (!err || node_fail_errno(node, error, err, "its header cannot be written"));
}

static void free_state(BlockNode *node)
{
    Qed *s = node->priv;

    blockmap_clear(&s->map);
    g_free(s);
    node->priv = NULL;
}

static bool qed_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    Qed *s;
    int err;

    if (node->file->length < QH_BYTES) {
        return node_fail(node, error, "is too short for a QED image");
    }
    s = g_new0(Qed, 1);
    node->priv = s;
    blockmap_init(&s->map, node, &ops);
    err = node_pread(node->file, 0, s->head, QH_BYTES);
    if (err) {
        node_fail_errno(node, error, err, "its header cannot be read");
    } else if (read_geometry(node, s, error) && read_backing_name(node, s, error) &&
               mend(node, options, error)) {
        return true;
    }
    free_state(node);
    g_clear_pointer(&node->backing_name, g_free);
    g_clear_pointer(&node->backing_format, g_free);
    return false;
}

static int qed_close(BlockNode *node)
{
    int err = node->readonly ? 0 : blockmap_flush(node);

    free_state(node);
    return err;
}

/* ---- Check ---- */

static int copy_table(Qed *s, uint64_t from, uint64_t *to)
{
    int err = blockmap_append(&s->map, s->table_bytes, to);

    for (uint64_t at = 0; at < s->table_bytes && !err; at += s->map.block_size) {
        err = blockmap_copy(&s->map, from + at, *to + at);
    }
    return err;
}

/* An L2 table that lies where something else does gets a place of its own. */
static int check_l2(Qed *s, BlockMapUse *use, uint64_t i, uint64_t l2, NodeCheck *check)
{
    uint64_t to;
    int err;

    if (blockmap_use_take(use, l2, s->table_bytes)) {
        return 0;
    }
    node_check_note(check,
                    "%s: the L2 table %" PRIu64 " lies at %#" PRIx64 ", which is in use already\n",
                    check->fix_errors ? "Repairing" : "ERROR", i, l2);
    if (!check->fix_errors) {
        check->corruptions++;
        return 0;
    }
    err = copy_table(s, l2, &to);
    err = err ? err : set_entry(&s->map, s->l1 + i * 8, to);
    if (!err) {
        blockmap_use_take(use, to, s->table_bytes);
        check->corruptions_fixed++;
    }
    return err;
}

/* Takes what is not data. Damaged L1 entries are found with the blocks. */
static int check_tables(Qed *s, BlockMapUse *use, uint64_t n_blocks, NodeCheck *check)
{
    int err = 0;

    blockmap_use_take(use, 0, s->data);
    blockmap_use_take(use, s->l1, s->table_bytes);
    g_mutex_lock(&s->map.lock);
    for (uint64_t i = 0; i * s->n_entries < n_blocks && !err; i++) {
        uint64_t l2;

        err = get_l2(s, i * s->n_entries, false, &l2);
        if (!err && l2) {
            err = check_l2(s, use, i, l2, check);
        }
        err = err == -EIO ? 0 : err;
    }
    g_mutex_unlock(&s->map.lock);
    return err;
}

/* Space that nobody uses is given back at the file's end, and left alone elsewhere. */
static bool check_leaks(Qed *s, const BlockMapUse *use, NodeCheck *check, GError **error)
{
    uint64_t tail = use->n - use->top, leaks = use->n - use->taken;
    bool grown = s->map.end > use->n * s->map.block_size;
    bool fix = check->fix_leaks && tail && !check->corruptions && !grown;

    if (leaks) {
        node_check_note(check, "Leaked: %" PRIu64 " clusters, %" PRIu64 " at the file's end\n",
                        leaks, tail);
    }
    check->leaks += leaks - (fix ? tail : 0);
    if (!fix) {
        return true;
    }
    check->leaks_fixed += tail;
    s->map.end = use->top * s->map.block_size;
    return node_truncate(s->map.node->file, s->map.end, true, NODE_PREALLOC_OFF, error);
}

static bool check_with(Qed *s, BlockMapUse *use, NodeCheck *check, GError **error)
{
    BlockNode *node = s->map.node;
    uint64_t cluster = s->map.block_size, n = (node->length + cluster - 1) / cluster;
    bool clears = check->fix_errors && bytes_get_le64(s->head + QH_FEATURES) & F_NEED_CHECK;
    int err = check_tables(s, use, n, check);

    if (err) {
        return node_fail_errno(node, error, err, "cannot be checked");
    }
    if (!blockmap_check(&s->map, use, n, check, error)) {
        return false;
    }
    check->total_clusters = n;
    err = node->readonly ? 0 : blockmap_flush(node);
    if (!err && clears && !check->corruptions && !check->check_errors) {
        bytes_put_le64(s->head + QH_FEATURES,
                       bytes_get_le64(s->head + QH_FEATURES) & ~(uint64_t)F_NEED_CHECK);
        err = write_header(s);
    }
    return err ? node_fail_errno(node, error, err, "cannot be mended")
               : check_leaks(s, use, check, error);
}

static bool qed_check(BlockNode *node, NodeCheck *check, GError **error)
{
    Qed *s = node->priv;
    int err = node->readonly ? 0 : blockmap_flush(node); /* tables are copied in the file */
    BlockMapUse use;
    bool ok;

    if (err || !blockmap_use_init(&use, 0, s->map.block_size, s->map.end / s->map.block_size)) {
        return node_fail_errno(node, error, err ? err : -ENOMEM, "cannot be checked");
    }
    ok = check_with(s, &use, check, error);
    blockmap_use_clear(&use);
    return ok;
}

/* ---- Changes ---- */

/* What is new reads as zeroes: the rest of the last cluster, and what is behind the image. */
static int zero_growth(BlockNode *node, uint64_t length)
{
    uint64_t behind = node->backing ? node->backing->length : 0;
    uint64_t edge = bm_round_up(node->length, blockmap_block_size(node));
    uint64_t end = MAX(MIN(length, behind), edge);

    return blockmap_write_zeroes(node, node->length, end - node->length, true);
}

static bool qed_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error)
{
    Qed *s = node->priv;
    int err;

    length = bm_round_up(length, BLOCK_SECTOR);
    if (prealloc != NODE_PREALLOC_OFF) {
        return node_fail(node, error, "preallocation is not possible in QED images");
    }
    if (length < node->length) {
        return node_fail(node, error, "Shrinking images is currently not supported");
    }
    if (length > max_length(s->map.block_size, s->n_entries)) {
        return node_fail(node, error, "Invalid image size specified");
    }
    err = zero_growth(node, length);
    err = err ? err : blockmap_flush(node);
    if (!err) {
        bytes_put_le64(s->head + QH_LENGTH, length);
        err = write_header(s);
    }
    if (err) {
        return node_fail_errno(node, error, err, "cannot be resized");
    }
    node->length = length;
    return true;
}

static int qed_make_empty(BlockNode *node)
{
    Qed *s = node->priv;
    g_autoptr(GError) error = NULL;
    uint64_t end = s->l1 + s->table_bytes;
    int err;

    g_mutex_lock(&s->map.lock);
    err = node_write_zeroes(node->file, s->l1, s->table_bytes, false);
    err = err ? err : node_flush(node->file);
    blockmap_table_forget(&s->map);
    if (!err && s->l1 == s->data) {
        err = node_truncate(node->file, end, true, NODE_PREALLOC_OFF, &error) ? 0 : -EIO;
        s->map.end = err ? s->map.end : end;
    }
    g_mutex_unlock(&s->map.lock);
    return err;
}

static void put_backing(uint8_t *h, const char *file, const char *format, uint32_t offset)
{
    bool raw = format && !strcmp(format, "raw");
    uint64_t features = bytes_get_le64(h + QH_FEATURES) & ~(uint64_t)(F_BACKING | F_RAW_BACKING);

    bytes_put_le64(h + QH_FEATURES, features | (file ? F_BACKING | (raw ? F_RAW_BACKING : 0) : 0));
    bytes_put_le32(h + QH_NAME_OFFSET, file ? offset : 0);
    bytes_put_le32(h + QH_NAME_BYTES, file ? (uint32_t)strlen(file) : 0);
}

static bool qed_set_backing(BlockNode *node, const char *file, const char *format, GError **error)
{
    Qed *s = node->priv;
    uint32_t old = bytes_get_le32(s->head + QH_NAME_OFFSET);
    uint32_t offset =
        old < NAME_B && old + bytes_get_le32(s->head + QH_NAME_BYTES) > NAME_A ? NAME_B : NAME_A;
    int err = node->readonly ? -EROFS : 0;

    if (file && (!*file || strlen(file) > MAX_NAME)) {
        return node_fail(node, error, "the name of the backing file is too long");
    }
    if (!err && file) {
        err = node_pwrite(node->file, offset, file, strlen(file));
        err = err ? err : node_flush(node->file);
    }
    if (!err) {
        put_backing(s->head, file, format, offset);
        err = write_header(s);
    }
    if (err) {
        return node_fail_errno(node, error, err, "its header cannot be written");
    }
    s->map.has_backing = file != NULL;
    g_free(node->backing_name);
    g_free(node->backing_format);
    node->backing_name = g_strdup(file);
    node->backing_format = file && format && !strcmp(format, "raw") ? g_strdup("raw") : NULL;
    return true;
}

/* ---- Create ---- */

typedef struct Wanted {
    uint64_t length, cluster, table;
    const char *backing, *backing_format;
} Wanted;

static bool check_wanted(const Wanted *w, GError **error)
{
    uint64_t max = max_length(w->cluster, w->table * w->cluster / 8);

    if (!is_power(w->cluster, MIN_CLUSTER, MAX_CLUSTER)) {
        return create_fail(error, "QED cluster size must be within range [%d, %d] and power of 2",
                           MIN_CLUSTER, MAX_CLUSTER);
    }
    if (!is_power(w->table, 1, MAX_TABLE)) {
        return create_fail(error, "QED table size must be within range [%d, %d] and power of 2", 1,
                           MAX_TABLE);
    }
    if (w->length > max) {
        return create_fail(error,
                           "QED image size must be a non-zero multiple of cluster size and less "
                           "than %" PRIu64 " bytes",
                           max);
    }
    if (w->backing && (!*w->backing || strlen(w->backing) > MAX_NAME)) {
        return create_fail(error, "the name of the backing file is too long");
    }
    return true;
}

static bool read_wanted(const KeyVals *options, Wanted *w, GError **error)
{
    *w = (Wanted){ .cluster = 65536, .table = 4 };
    if (!create_option_length(options, &w->length, error) ||
        !create_option_size(options, "cluster_size", &w->cluster, error) ||
        !create_option_size(options, "table_size", &w->table, error)) {
        return false;
    }
    w->length = bm_round_up(w->length, BLOCK_SECTOR);
    w->backing = keyvals_get(options, "backing_file");
    w->backing_format = keyvals_get(options, "backing_fmt");
    return check_wanted(w, error);
}

static bool write_image(BlockNode *node, const Wanted *w, GError **error)
{
    uint8_t h[QH_BYTES] = { 'Q', 'E', 'D' };
    int err;

    bytes_put_le32(h + QH_CLUSTER, (uint32_t)w->cluster);
    bytes_put_le32(h + QH_TABLE, (uint32_t)w->table);
    bytes_put_le32(h + QH_HEADER, 1);
    bytes_put_le64(h + QH_L1, w->cluster);
    bytes_put_le64(h + QH_LENGTH, w->length);
    put_backing(h, w->backing, w->backing_format, NAME_A);
    err = node_pwrite(node, 0, h, sizeof(h));
    if (!err && w->backing) {
        err = node_pwrite(node, NAME_A, w->backing, strlen(w->backing));
    }
    if (err) {
        return node_fail_errno(node, error, err, "cannot be written");
    }
    return node_truncate(node, w->cluster * (1 + w->table), false, NODE_PREALLOC_OFF, error);
}

static bool qed_create(const char *file, const KeyVals *options, GError **error)
{
    BlockNode *node;
    Wanted w;

    return read_wanted(options, &w, error) && (node = node_create_file(file, error)) &&
           create_close(node, write_image(node, &w, error), error);
}

static const NodeOptionInfo create_options[] = { { "backing_file", "File name of a base image" },
                                                 { "backing_fmt",
                                                   "Image format of the base image" },
                                                 { "cluster_size", "Cluster size (in bytes)" },
                                                 { "size", "Virtual disk size" },
                                                 { "table_size", "L1/L2 table size (in clusters)" },
                                                 { NULL, NULL } };

static void qed_backing_opened(BlockNode *node)
{
    ((Qed *)node->priv)->map.has_backing = true;
}

const BlockDriver block_qed_driver = {
    .name = "qed",
    .backing_opened = qed_backing_opened,
    .probe = probe,
    .open = qed_open,
    .close = qed_close,
    .read = blockmap_read,
    .write = blockmap_write,
    .write_zeroes = blockmap_write_zeroes,
    .discard = blockmap_discard,
    .flush = blockmap_flush,
    .status = blockmap_status,
    .direct = blockmap_direct,
    .truncate = qed_truncate,
    .create = qed_create,
    .create_options = create_options,
    .check = qed_check,
    .make_empty = qed_make_empty,
    .set_backing = qed_set_backing,
    .cluster_size = blockmap_block_size,
};
