/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qcow2 driver: opening, closing, flushing and what "info" says. See qcow2.h for how the parts work together.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/qcow2.h"
#include "block/options.h"
#include "util/size.h"

static int probe(const uint8_t *head, size_t n, const char *file)
{
    return n >= 8 && !memcmp(head, "QFI\xfb", 4) ? 100 : 0; /* version 1, too: refused by name */
}

static void free_state(Qcow2 *s)
{
    if (s->external) {
        node_close(s->data);
    }
    qcow2_cache_free(s);
    g_mutex_clear(&s->lock);
    g_mutex_clear(&s->unpacked_lock);
    g_cond_clear(&s->cond);
    g_array_unref(s->freed);
    g_array_unref(s->synced);
    g_array_unref(s->grace);
    g_ptr_array_unref(s->snapshots);
    qcow2_bitmaps_free(s);
    g_free(s->head);
    g_free(s->data_file);
    g_free(s->l1);
    g_free(s->reftable);
    g_free(s->unpacked);
    g_free(s);
}

static Qcow2 *new_state(BlockNode *node)
{
    Qcow2 *s = g_new0(Qcow2, 1);

    s->node = node;
    g_mutex_init(&s->lock);
    g_mutex_init(&s->unpacked_lock);
    g_cond_init(&s->cond);
    s->freed = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
    s->synced = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
    s->grace = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
    s->snapshots = g_ptr_array_new_with_free_func(qcow2_snapshot_free);
    qcow2_bitmaps_init(s);
    return s;
}

static bool read_l1(Qcow2 *s, GError **error)
{
    uint64_t covered = 1ull << (s->l2_bits + s->cluster_bits);
    uint64_t needed = s->node->length / covered + (s->node->length % covered != 0);
    int err;

    s->l1_size = bytes_get_be32(s->head + QH_L1_SIZE);
    s->l1_offset = bytes_get_be64(s->head + QH_L1_OFFSET);
    if (s->l1_size > QCOW2_MAX_L1 / 8 || needed > QCOW2_MAX_L1 / 8) {
        bool big = s->l1_size <= QCOW2_MAX_L1 / 8;

        s->l1_size = 0;
        return node_fail(s->node, error, big ? "Image is too big" : "Active L1 table too large");
    }
    if (s->l1_size < needed || s->l1_offset % s->cluster_size ||
        s->l1_offset > s->node->file->length) {
        bool small = s->l1_size < needed;

        s->l1_size = 0;
        return node_fail(s->node, error,
                         small ? "L1 table is too small" : "Active L1 table offset invalid");
    }
    s->l1 = qcow2_l1_read(s, s->l1_offset, s->l1_size, &err);
    return s->l1 || node_fail_errno(s->node, error, err, "its L1 table cannot be read");
}

/* Without usable refcounts an image can still be read, and repaired. */
static bool read_refcounts(Qcow2 *s, const NodeOptions *options, GError **error)
{
    if (qcow2_reftable_read(s, options->readonly || options->repair ? NULL : error)) {
        return true;
    }
    if (!options->readonly && !options->repair) {
        return false;
    }
    g_free(s->reftable);
    s->reftable = g_new0(uint64_t, 1);
    s->reftable_n = 0;
    s->reftable_offset = 0;
    return true;
}

static bool open_data(Qcow2 *s, bool external, const NodeOptions *options, GError **error)
{
    g_autofree char *path = NULL;
    g_autoptr(NodeDict) dict = NULL;
    NodeOptions below = { .format = "raw", .readonly = options->readonly, .share = options->share };

    s->data = s->node->file;
    if (!external) {
        return true;
    }
    dict = node_dict_take_below(options->dict, "data-file.");
    if (node_dict_count(dict)) {
        below.dict = dict;
        below.format = NULL;
        s->data = node_open(&below, error);
        s->external = s->data != NULL;
        return s->external;
    }
    if (!s->data_file) {
        return node_fail(s->node, error, "'data-file' is required for this image");
    }
    path = node_backing_path(s->node->name, s->data_file);
    below.file = path;
    s->data = node_open(&below, error);
    if (!s->data) {
        g_prefix_error(error, "Could not open data file: ");
        return false;
    }
    s->external = true;
    return true;
}

/* An image that was not closed properly by someone who counts lazily. */
static bool mend(Qcow2 *s, const NodeOptions *options, GError **error)
{
    NodeCheck check = { .fix_leaks = true, .fix_errors = true };
    bool ok;

    if (!(s->incompatible & Q_DIRTY) || options->readonly || options->repair) {
        return true;
    }
    check.report = g_string_new(NULL);
    ok = qcow2_check(s->node, &check, error);
    g_printerr("%s", check.report->str);
    g_string_free(check.report, TRUE);
    if (ok && (s->incompatible & Q_DIRTY)) {
        ok = node_fail(s->node, error, "was not closed properly, and cannot be repaired");
    }
    return ok;
}

/* The bits of features that are not known here say nothing any more once it is open to be written. */
static bool forget_features(Qcow2 *s, const NodeOptions *options, GError **error)
{
    bool unknown = s->autoclear & ~(uint64_t)(Q_BITMAPS | Q_RAW_DATA);
    int err = unknown && !options->readonly ? qcow2_prepare_write(s) : 0;

    return !err || node_fail_errno(s->node, error, err, "its header cannot be written");
}

/* ---- Options ---- */

bool qcow2_refuse(GError **error, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, text);
    return false;
}

/* The checks of what is about to be overwritten are always all made. */
static bool take_overlap_checks(NodeDict *dict, GError **error)
{
    static const char *const parts[] = { "main-header",    "active-l1",      "active-l2",
                                         "refcount-table", "refcount-block", "snapshot-table",
                                         "inactive-l1",    "inactive-l2",    "bitmap-directory" };
    static const char *const templates[] = { "none", "constant", "cached", "all", NULL };
    const char *check = node_dict_take(dict, "overlap-check");
    const char *template = node_dict_take(dict, "overlap-check.template");
    bool ignored;

    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *key = g_strconcat("overlap-check.", parts[i], NULL);

        if (!node_dict_take_bool(dict, key, &ignored, error)) {
            return false;
        }
    }
    if (check && template && strcmp(check, template)) {
        return qcow2_refuse(error,
                            "Conflicting values for qcow2 options 'overlap-check' ('%s') and "
                            "'overlap-check.template' ('%s')",
                            check, template);
    }
    check = check ? check : template;
    return !check || g_strv_contains(templates, check) ||
           qcow2_refuse(
               error,
               "Unsupported value '%s' for qcow2 option 'overlap-check'. Allowed are any of the "
               "following: none, constant, cached, all",
               check);
}

static bool take_size(NodeDict *dict, const char *key, uint64_t *size, bool *given, GError **error)
{
    const char *text = node_dict_take(dict, key);

    *given = text != NULL;
    return !text || size_parse(text, 'b', key, size, error);
}

/* How much is kept in memory is up to this driver; what is asked for must make sense. */
static bool take_cache_sizes(Qcow2 *s, NodeDict *dict, GError **error)
{
    uint64_t all = 0, l2 = 0, refcounts = 0, entry = s->cluster_size, tables = INT_MAX;
    bool has_all, has_l2, has_refcounts, has_entry;
    const char *interval = node_dict_take(dict, "cache-clean-interval");

    if (!take_size(dict, "cache-size", &all, &has_all, error) ||
        !take_size(dict, "l2-cache-size", &l2, &has_l2, error) ||
        !take_size(dict, "refcount-cache-size", &refcounts, &has_refcounts, error) ||
        !take_size(dict, "l2-cache-entry-size", &entry, &has_entry, error)) {
        return false;
    }
    if (has_all && has_l2 && has_refcounts) {
        return qcow2_refuse(error,
                            "cache-size, l2-cache-size and refcount-cache-size may not be set at "
                            "the same time");
    }
    if (has_all && l2 > all) {
        return qcow2_refuse(error, "l2-cache-size may not exceed cache-size");
    }
    if (has_all && refcounts > all) {
        return qcow2_refuse(error, "refcount-cache-size may not exceed cache-size");
    }
    if (entry < 512 || entry > s->cluster_size || (entry & (entry - 1))) {
        return qcow2_refuse(
            error,
            "L2 cache entry size must be a power of two between 512 and the cluster size "
            "(%" G_GUINT64_FORMAT ")",
            s->cluster_size);
    }
    if (l2 / entry > tables) {
        return qcow2_refuse(error, "L2 cache size too big");
    }
    if (refcounts / s->cluster_size > tables) {
        return qcow2_refuse(error, "Refcount cache size too big");
    }
    return !interval || (keyval_parse_uint(interval, &all) && all <= UINT_MAX) ||
           qcow2_refuse(error, "Cache clean interval too big");
}

static bool take_options(Qcow2 *s, NodeDict *dict, GError **error)
{
    static const char *const switches[] = { "pass-discard-request", "pass-discard-snapshot",
                                            "pass-discard-other", "discard-no-unref" };
    bool ignored;

    s->lazy = s->compatible & Q_LAZY;
    if (!node_dict_take_bool(dict, "lazy-refcounts", &s->lazy, error)) {
        return false;
    }
    if (s->lazy && s->version < 3) {
        return qcow2_refuse(error, "Lazy refcounts require a qcow2 image with at least qemu 1.1 "
                                   "compatibility level");
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(switches); i++) {
        if (!node_dict_take_bool(dict, switches[i], &ignored, error)) {
            return false;
        }
    }
    return take_cache_sizes(s, dict, error) && take_overlap_checks(dict, error);
}

static bool qcow2_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    Qcow2 *s = new_state(node);

    node->priv = s;
    if (!qcow2_header_read(s, options, error)) {
        s->external = false; /* not opened yet */
    } else {
        bool external = s->external;

        qcow2_cache_init(s);
        s->external = false; /* not opened yet */
        if (take_options(s, options->dict, error) && open_data(s, external, options, error) &&
            read_l1(s, error) && read_refcounts(s, options, error) &&
            qcow2_snapshots_read(s, error)) {
            qcow2_bitmaps_read(s);
            if (mend(s, options, error) && forget_features(s, options, error)) {
                return true;
            }
        }
    }
    free_state(s);
    node->priv = NULL;
    g_clear_pointer(&node->backing_name, g_free);
    g_clear_pointer(&node->backing_format, g_free);
    return false;
}

static int qcow2_close(BlockNode *node)
{
    Qcow2 *s = node->priv;
    int err = 0;

    if (!node->readonly && (s->modified || s->dirty_tables || s->bitmaps_changed)) {
        int stored;

        qcow2_alone_begin(s);
        stored = qcow2_bitmaps_store(s);
        err = qcow2_flush_all(s);
        err = err ? err : stored;
        err = err ? err : qcow2_mark_clean(s);
        qcow2_alone_end(s);
    }
    free_state(s);
    node->priv = NULL;
    return err;
}

static int qcow2_flush_node(BlockNode *node)
{
    Qcow2 *s = node->priv;
    unsigned op;
    int err;

    qcow2_begin(s, &op);
    err = qcow2_flush_lazily(s);
    qcow2_end(s, op);
    return err;
}

static void add_info(GPtrArray *keys, GPtrArray *values, const char *key, const char *value)
{
    g_ptr_array_add(keys, g_strdup(key));
    g_ptr_array_add(values, g_strdup(value));
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void qcow2_info(BlockNode *node, GPtrArray *keys, GPtrArray *values)
{
    Qcow2 *s = node->priv;
    g_autofree char *bits = g_strdup_printf("%u", 1u << s->refcount_order);

    add_info(keys, values, "compat", s->version < 3 ? "0.10" : "1.1");
    add_info(keys, values, "compression type", s->compression ? "zstd" : "zlib");
    if (s->version >= 3) {
        add_info(keys, values, "lazy refcounts", truth(s->compatible & Q_LAZY));
    }
    qcow2_bitmaps_info(s, keys, values);
    add_info(keys, values, "refcount bits", bits);
    if (s->version >= 3) {
        add_info(keys, values, "corrupt", truth(s->incompatible & Q_CORRUPT));
        if (s->data_file) {
            add_info(keys, values, "data file", s->data_file);
            add_info(keys, values, "data file raw", truth(s->autoclear & Q_RAW_DATA));
        }
        add_info(keys, values, "extended l2", truth(s->extended));
    }
}

static bool qcow2_is_dirty(BlockNode *node)
{
    return ((Qcow2 *)node->priv)->incompatible & Q_DIRTY;
}

static void qcow2_backing_opened(BlockNode *node)
{
    ((Qcow2 *)node->priv)->has_backing = true;
}

static uint64_t qcow2_vm_state_offset(BlockNode *node)
{
    return qcow2_vm_state_at(node->priv);
}

static uint64_t qcow2_cluster_size(BlockNode *node)
{
    return ((Qcow2 *)node->priv)->cluster_size;
}

const BlockDriver block_qcow2_driver = {
    .name = "qcow2",
    .own_events = true,
    .probe = probe,
    .open = qcow2_open,
    .close = qcow2_close,
    .read = qcow2_read,
    .write = qcow2_write,
    .write_zeroes = qcow2_write_zeroes,
    .write_compressed = qcow2_write_compressed,
    .discard = qcow2_discard,
    .flush = qcow2_flush_node,
    .status = qcow2_status,
    .direct = qcow2_direct,
    .truncate = qcow2_truncate,
    .amend = qcow2_amend,
    .amend_options = qcow2_amend_options,
    .create = qcow2_create,
    .create_options = qcow2_create_options,
    .create_shown =
        "encryption cluster_size=65536 extended_l2=off preallocation compression_type=zlib size "
        "data_file "
        "data_file_raw compat backing_file backing_fmt lazy_refcounts=off refcount_bits=16",
    .info = qcow2_info,
    .check = qcow2_check,
    .snapshots = qcow2_snapshots,
    .snapshot_create = qcow2_snapshot_create,
    .snapshot_apply = qcow2_snapshot_apply,
    .snapshot_delete = qcow2_snapshot_delete,
    .snapshot_load = qcow2_snapshot_load,
    .bitmaps = &qcow2_bitmap_driver,
    .make_empty = qcow2_make_empty,
    .set_backing = qcow2_set_backing,
    .cluster_size = qcow2_cluster_size,
    .is_dirty = qcow2_is_dirty,
    .backing_opened = qcow2_backing_opened,
    .vm_state_offset = qcow2_vm_state_offset,
    .vm_state_read = qcow2_vm_state_read,
    .vm_state_write = qcow2_vm_state_write,
    .vm_state_clear = qcow2_vm_state_clear,
};
