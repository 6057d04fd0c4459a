/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other options for a qcow2 image that is there ("amend"): its version, the width of its refcounts, lazy refcounts, the name of its data
 * file, its size. Each becomes true by one write within the header's first sector; what the new header needs is on the disk before that,
 * and what the old one needs stays. An upgrade comes first, a downgrade last, so that the options between can be those of version 3.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/qcow2.h"

const NodeOptionInfo qcow2_amend_options[] = {
    { "backing_file", "File name of a base image" },
    { "backing_fmt", "Image format of the base image" },
    { "compat", "Compatibility level (v2 [0.10] or v3 [1.1])" },
    { "data_file", "File name of an external data file" },
    { "data_file_raw", "The external data file must stay valid as a raw image" },
    { "lazy_refcounts", "Postpone refcount updates" },
    { "refcount_bits", "Width of a reference count entry in bits" },
    { "size", "Virtual disk size" },
    { NULL, NULL }
};

enum { FEATURE_NAMES = 0x6803f857 }; /* the extension */

typedef struct Amend {
    Qcow2 *s;
    NodeProgress *progress;
    bool v2, lazy, raw; /* as it shall be */
    bool has_size;
    uint64_t refcount_bits, size;
    const char *data_file; /* NULL: not given; "": none */
} Amend;

/* ---- Changing the header ---- */

/* The parts of the header's cluster that mean something: [0, .end), and [.name, .name_end). */
typedef struct Used {
    uint64_t end, name, name_end;
} Used;

static Used used_of(const Qcow2 *s, const uint8_t *head)
{
    bool v2 = bytes_get_be32(head + QH_VERSION) < 3;
    uint64_t at = v2 ? QCOW2_V2_HEADER : bytes_get_be32(head + QH_LENGTH), limit = s->cluster_size;
    Used u = { .name = bytes_get_be64(head + QH_BACKING_OFFSET) };

    u.name_end = u.name + bytes_get_be32(head + QH_BACKING_SIZE);
    limit = u.name ? MIN(u.name, limit) : limit;
    while (limit - at >= 8) {
        uint32_t type = bytes_get_be32(head + at), len = bytes_get_be32(head + at + 4);

        at += 8;
        if (!type) {
            break;
        }
        at += MIN(limit - at, ((uint64_t)len + 7) / 8 * 8);
    }
    u.end = at;
    return u;
}

/* Would the new header's bytes @from .. @to - 1 change, behind the first sector, what the old one uses? */
static bool disturbs(const Qcow2 *s, const uint8_t *old, const Used *u, uint64_t from, uint64_t to)
{
    for (uint64_t i = MAX(from, BLOCK_SECTOR); i < to; i++) {
        if (s->head[i] != old[i] && (i < u->end || (i >= u->name && i < u->name_end))) {
            return true;
        }
    }
    return false;
}

/* Puts the new header's name of the backing file elsewhere. */
static void move_name(Qcow2 *s, const Used *u, uint64_t to)
{
    uint64_t bytes = u->name_end - u->name;
    g_autofree uint8_t *name = g_memdup2(s->head + u->name, bytes);

    memset(s->head + u->name, 0, bytes);
    memcpy(s->head + to, name, bytes);
    bytes_put_be64(s->head + QH_BACKING_OFFSET, to);
}

static int write_behind(Qcow2 *s, uint64_t from, uint64_t to)
{
    from = MAX(from, BLOCK_SECTOR);
    return from < to ? qcow2_header_write(s, (uint32_t)from, (uint32_t)to) : 0;
}

/* Sees to it that behind the first sector the new header has nothing that disturbs the old one; false: there is no room for that. */
static bool keep_apart(Qcow2 *s, const uint8_t *old)
{
    Used was = used_of(s, old), u = used_of(s, s->head);
    uint64_t bytes = u.name_end - u.name, behind = MAX(MAX(was.end, was.name_end), u.end);

    if (u.name && disturbs(s, old, &was, u.name, u.name_end)) {
        bool same = was.name >= u.end && was.name_end - was.name == bytes &&
                    !memcmp(old + was.name, s->head + u.name, bytes);

        if (!same && behind + bytes > s->cluster_size) {
            return false;
        }
        move_name(s, &u, same ? was.name : behind);
    }
    return !disturbs(s, old, &was, 0, u.end);
}

/* What is behind the first sector, then that sector. */
static bool write_header(Qcow2 *s, GError **error)
{
    Used u = used_of(s, s->head);
    int err = write_behind(s, u.name, u.name_end);

    err = err ? err : write_behind(s, 0, u.end);
    err = err ? err : node_flush(s->node->file);
    err = err ? err : qcow2_header_write(s, 0, BLOCK_SECTOR);
    err = err ? err : node_flush(s->node->file);
    return !err || node_fail_errno(s->node, error, err, "its header cannot be written");
}

/* Takes the names of features out, which nobody needs: then most headers are in one sector. */
static void drop_feature_names(Qcow2 *s)
{
    uint64_t at = s->header_length, end = used_of(s, s->head).end;

    while (end - at >= 8) {
        uint32_t type = bytes_get_be32(s->head + at), len = bytes_get_be32(s->head + at + 4);
        uint64_t bytes = 8 + ((uint64_t)len + 7) / 8 * 8;

        if (type == FEATURE_NAMES) {
            memmove(s->head + at, s->head + at + bytes, end - at - bytes);
            memset(s->head + end - bytes, 0, bytes);
            return;
        }
        at += MIN(bytes, end - at);
    }
}

bool qcow2_header_change(Qcow2 *s, const uint8_t *old, const char *backing, const char *format,
                         GError **error)
{
    bool ok = qcow2_header_layout(s, backing, format, error), whole = ok && keep_apart(s, old);

    if (ok && !whole) {
        ok = qcow2_header_layout(s, backing, format, error);
        drop_feature_names(s);
        ok = ok && (keep_apart(s, old) ||
                    node_fail(s->node, error, "its header has no room to be changed safely"));
    }
    ok = ok && write_header(s, error);
    if (!ok) {
        memcpy(s->head, old, s->cluster_size);
    } else if (!whole) { /* they may fit beside this one */
        g_autofree uint8_t *without = g_memdup2(s->head, s->cluster_size);

        ok = qcow2_header_layout(s, backing, format, NULL) && keep_apart(s, without);
        if (!ok || !write_header(s, NULL)) {
            memcpy(s->head, without, s->cluster_size);
        }
        ok = true;
    }
    return ok;
}

/* ---- Versions ---- */

/* The extensions begin at @to from now on, and end where they did after that. */
static bool shift_extensions(Qcow2 *s, uint32_t to, GError **error)
{
    Used u = used_of(s, s->head);
    uint64_t bytes = u.end - s->header_length;

    if (to + bytes > s->cluster_size) {
        return node_fail(s->node, error, "its header has no room to be changed safely");
    }
    memmove(s->head + to, s->head + s->header_length, bytes);
    memset(s->head + to + bytes, 0, s->cluster_size - to - bytes);
    if (u.name) { /* only as their limit: the name is put behind them */
        bytes_put_be64(s->head + QH_BACKING_OFFSET, to + bytes);
    }
    s->header_length = to;
    return true;
}

static bool set_version(Qcow2 *s, unsigned version, GError **error)
{
    g_autofree uint8_t *old = g_memdup2(s->head, s->cluster_size);
    uint32_t length = s->header_length;
    bool ok = shift_extensions(s, version < 3 ? QCOW2_V2_HEADER : QCOW2_V3_HEADER, error);

    bytes_put_be32(s->head + QH_VERSION, version);
    if (version >= 3) {
        memset(s->head + QCOW2_V2_HEADER, 0, QCOW2_V3_HEADER - QCOW2_V2_HEADER);
        bytes_put_be32(s->head + QH_REFCOUNT_ORDER, s->refcount_order);
        bytes_put_be32(s->head + QH_LENGTH, QCOW2_V3_HEADER);
    }
    ok = ok && qcow2_header_change(s, old, s->node->backing_name, s->node->backing_format, error);
    if (!ok) {
        memcpy(s->head, old, s->cluster_size);
        s->header_length = length;
        return false;
    }
    s->version = version;
    s->lazy = false;
    s->incompatible = s->compatible = s->autoclear = 0;
    return true;
}

/* In version 3 a snapshot says how long its disk is. */
static bool upgrade(Qcow2 *s, GError **error)
{
    int err = s->snapshots->len ? qcow2_snapshots_save(s) : 0;

    if (err) {
        return node_fail_errno(s->node, error, err, "its snapshots cannot be written");
    }
    return set_version(s, 3, error);
}

/* What version 2 has no words for. */
static bool can_downgrade(const Qcow2 *s, GError **error)
{
    uint64_t features = s->incompatible & ~(uint64_t)Q_DIRTY;
    uint64_t length = s->node->exact_length ? s->node->exact_length : s->node->length;

    if (s->external) {
        return node_fail(s->node, error, "Cannot downgrade an image with a data file");
    }
    if (features) {
        return node_fail(s->node, error,
                         "Cannot downgrade an image with incompatible features "
                         "0x%" G_GINT64_MODIFIER "x set",
                         features);
    }
    if (s->bitmaps_size && (s->autoclear & Q_BITMAPS)) {
        return node_fail(s->node, error, "Cannot downgrade an image with bitmaps");
    }
    for (guint i = 0; i < s->snapshots->len; i++) {
        const Qcow2Snapshot *sn = g_ptr_array_index(s->snapshots, i);

        if (sn->s.vm_state_size > UINT32_MAX || sn->s.disk_size != length) {
            return node_fail(s->node, error, "Internal snapshots prevent downgrade of image");
        }
    }
    return true;
}

static bool downgrade(Qcow2 *s, NodeProgress *progress, GError **error)
{
    int err;

    if (!can_downgrade(s, error)) {
        return false;
    }
    err = qcow2_expand_zeroes(s, progress);
    err = err ? err : qcow2_flush_all(s);
    err = err ? err : qcow2_mark_clean(s);
    if (err) {
        return node_fail_errno(s->node, error, err, "Failed to turn zero into data clusters");
    }
    return set_version(s, 2, error);
}

/* ---- Other options ---- */

static bool set_lazy(Qcow2 *s, bool lazy, GError **error)
{
    int err = qcow2_flush_all(s);

    err = err || lazy ? err : qcow2_mark_clean(s);
    if (!err) {
        s->compatible = lazy ? s->compatible | Q_LAZY : s->compatible & ~(uint64_t)Q_LAZY;
        qcow2_header_fill(s);
        err = qcow2_header_write(s, QH_COMPATIBLE, QH_COMPATIBLE + 8);
        err = err ? err : node_flush(s->node->file);
    }
    s->lazy = lazy && !err;
    s->modified &= !s->lazy; /* the next write marks it as dirty */
    return !err || node_fail_errno(s->node, error, err, "its header cannot be written");
}

static bool clear_raw(Qcow2 *s, GError **error)
{
    int err;

    s->autoclear &= ~(uint64_t)Q_RAW_DATA;
    qcow2_header_fill(s);
    err = qcow2_header_write(s, QH_AUTOCLEAR, QH_AUTOCLEAR + 8);
    err = err ? err : node_flush(s->node->file);
    return !err || node_fail_errno(s->node, error, err, "its header cannot be written");
}

static bool set_data_file(Qcow2 *s, const char *name, GError **error)
{
    g_autofree uint8_t *old = g_memdup2(s->head, s->cluster_size);
    char *was = s->data_file;

    if (strlen(name) > QCOW2_MAX_NAME) {
        return node_fail(s->node, error, "the name of its data file is too long");
    }
    s->data_file = *name ? g_strdup(name) : NULL;
    if (!qcow2_header_change(s, old, s->node->backing_name, s->node->backing_format, error)) {
        g_free(s->data_file);
        s->data_file = was;
        return false;
    }
    g_free(was);
    return true;
}

/* ---- What is asked for ---- */

static bool read_compat(const Qcow2 *s, const KeyVals *options, Amend *a, GError **error)
{
    const char *compat = keyvals_get(options, "compat");

    a->v2 = compat ? !strcmp(compat, "0.10") || !strcmp(compat, "v2") : s->version < 3;
    return !compat || a->v2 || !strcmp(compat, "1.1") || !strcmp(compat, "v3") ||
           node_fail(s->node, error, "Unknown compatibility level %s", compat);
}

static bool check_refcounts(const Amend *a, const KeyVals *options, GError **error)
{
    const BlockNode *node = a->s->node;
    uint64_t bits = a->refcount_bits;

    if (!bits || bits > 64 || (bits & (bits - 1))) {
        return node_fail(node, error,
                         "Refcount width must be a power of two and may not exceed 64 bits");
    }
    if (a->v2 && bits != 16) {
        return node_fail(node, error,
                         keyvals_get(options, "refcount_bits")
                             ? "Refcount widths other than 16 bits require compatibility level 1.1 "
                               "or above (use compat=1.1 or greater)"
                             : "compat=0.10 requires refcount_bits=16");
    }
    return true;
}

static bool check_amend(const Amend *a, const KeyVals *options, GError **error)
{
    const Qcow2 *s = a->s;

    if (a->raw && !(s->autoclear & Q_RAW_DATA)) {
        return node_fail(s->node, error, "data-file-raw cannot be set on existing images");
    }
    if (a->data_file && !s->external) {
        return node_fail(s->node, error,
                         "data-file can only be set for images that use an external data file");
    }
    if (a->v2 && a->lazy && keyvals_get(options, "lazy_refcounts")) {
        return node_fail(s->node, error,
                         "Lazy refcounts only supported with compatibility level 1.1 and above "
                         "(use compat=1.1 or greater)");
    }
    return check_refcounts(a, options, error);
}

static bool read_amend(Amend *a, const KeyVals *options, GError **error)
{
    const Qcow2 *s = a->s;
    const char *bits = keyvals_get(options, "refcount_bits");

    a->lazy = s->compatible & Q_LAZY;
    a->raw = s->autoclear & Q_RAW_DATA;
    a->refcount_bits = 1ull << s->refcount_order;
    a->data_file = keyvals_get(options, "data_file");
    a->has_size = keyvals_get(options, "size");
    if (bits && !keyval_parse_uint(bits, &a->refcount_bits)) {
        return node_fail(s->node, error, "Parameter 'refcount_bits' expects a number");
    }
    return read_compat(s, options, a, error) &&
           keyvals_get_bool(options, "qcow2", "lazy_refcounts", &a->lazy, error) &&
           keyvals_get_bool(options, "qcow2", "data_file_raw", &a->raw, error) &&
           create_option_size(options, "size", &a->size, error) && check_amend(a, options, error);
}

/* All but the size and a downgrade. While alone. */
static bool amend_header(const Amend *a, GError **error)
{
    Qcow2 *s = a->s;
    bool had_raw = s->autoclear & Q_RAW_DATA, lazy = a->lazy && !a->v2;
    int err = qcow2_prepare_write(s);

    err = err ? err : qcow2_flush_all(s);
    if (err) {
        return node_fail_errno(s->node, error, err, "cannot be written");
    }
    if (!a->v2 && s->version < 3 && !upgrade(s, error)) {
        return false;
    }
    return (a->refcount_bits == 1ull << s->refcount_order ||
            qcow2_set_refcount_width(s, (unsigned)__builtin_ctzll(a->refcount_bits), a->progress,
                                     error)) &&
           (a->raw || !had_raw || clear_raw(s, error)) &&
           (!a->data_file || set_data_file(s, a->data_file, error)) &&
           (lazy == !!(s->compatible & Q_LAZY) || set_lazy(s, lazy, error));
}

bool qcow2_amend(BlockNode *node, const KeyVals *options, NodeProgress *progress, GError **error)
{
    Amend a = { .s = node->priv, .progress = progress };
    bool ok;

    if (node->readonly) {
        return node_fail(node, error, "is read-only");
    }
    if (!read_amend(&a, options, error)) {
        return false;
    }
    qcow2_alone_begin(a.s);
    ok = amend_header(&a, error);
    qcow2_alone_end(a.s);
    ok = ok && (!a.has_size || qcow2_truncate(node, a.size, NODE_PREALLOC_OFF, error));
    if (ok && a.v2 && a.s->version >= 3) {
        qcow2_alone_begin(a.s);
        ok = downgrade(a.s, progress, error);
        qcow2_alone_end(a.s);
    }
    return ok;
}
