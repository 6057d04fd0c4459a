/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Internal snapshots of a qcow2 image: each is an L1 table of its own, and what the tables share has a higher refcount. Refcounts rise
 * before anything refers to the clusters and fall after nothing does; the table of snapshots and the active L1 table change by one
 * write of the header. All here runs alone.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/qcow2.h"

enum { ENTRY_BYTES = 40, EXTRA_KNOWN = 24 };

void qcow2_snapshot_free(gpointer snapshot)
{
    Qcow2Snapshot *sn = snapshot;

    g_free(sn->s.id);
    g_free(sn->s.name);
    g_free(sn->extra);
    g_free(sn);
}

/* ---- The table ---- */

static void read_extra(Qcow2Snapshot *sn, const uint8_t *extra, uint32_t size)
{
    if (size >= 8) {
        sn->s.vm_state_size = bytes_get_be64(extra);
    }
    if (size >= 16) {
        sn->s.disk_size = bytes_get_be64(extra + 8);
    }
    sn->s.icount = size >= EXTRA_KNOWN ? bytes_get_be64(extra + 16) : UINT64_MAX;
    if (size > EXTRA_KNOWN) {
        sn->extra_size = size - EXTRA_KNOWN;
        sn->extra = g_memdup2(extra + EXTRA_KNOWN, sn->extra_size);
    }
}

static Qcow2Snapshot *parse_entry(Qcow2 *s, const uint8_t *e, const uint8_t *rest)
{
    Qcow2Snapshot *sn = g_new0(Qcow2Snapshot, 1);
    uint32_t id = bytes_get_be16(e + 12), name = bytes_get_be16(e + 14),
             extra = bytes_get_be32(e + 36);

    sn->l1_offset = bytes_get_be64(e);
    sn->l1_size = bytes_get_be32(e + 8);
    sn->s.date_sec = bytes_get_be32(e + 16);
    sn->s.date_nsec = bytes_get_be32(e + 20);
    sn->s.vm_clock_ns = bytes_get_be64(e + 24);
    sn->s.vm_state_size = bytes_get_be32(e + 32);
    sn->s.disk_size = s->node->length;
    read_extra(sn, rest, extra);
    sn->s.id = g_strndup((const char *)rest + extra, id);
    sn->s.name = g_strndup((const char *)rest + extra + id, name);
    return sn;
}

static bool read_entry(Qcow2 *s, uint64_t *at, GError **error)
{
    uint8_t e[ENTRY_BYTES];
    uint64_t end = s->node->file->length, bytes;
    g_autofree uint8_t *rest = NULL;
    Qcow2Snapshot *sn;

    if (*at > end || end - *at < ENTRY_BYTES || qcow2_pread(s, *at, e, ENTRY_BYTES)) {
        return node_fail(s->node, error, "its table of snapshots is cut off");
    }
    bytes = (uint64_t)bytes_get_be32(e + 36) + bytes_get_be16(e + 12) + bytes_get_be16(e + 14);
    if (bytes > end - *at - ENTRY_BYTES || !(rest = g_try_malloc(bytes + 1)) ||
        qcow2_pread(s, *at + ENTRY_BYTES, rest, bytes)) {
        return node_fail(s->node, error, "its table of snapshots is cut off");
    }
    sn = parse_entry(s, e, rest);
    g_ptr_array_add(s->snapshots, sn);
    if (sn->l1_offset % s->cluster_size || sn->l1_offset > end || sn->l1_size > QCOW2_MAX_L1 / 8 ||
        sn->s.disk_size > NODE_MAX_LENGTH) {
        return node_fail(s->node, error, "its snapshot %u is out of range", s->snapshots->len);
    }
    *at += (ENTRY_BYTES + bytes + 7) / 8 * 8;
    return true;
}

bool qcow2_snapshots_read(Qcow2 *s, GError **error)
{
    uint32_t n = bytes_get_be32(s->head + QH_SNAPSHOTS);
    uint64_t at = bytes_get_be64(s->head + QH_SNAPSHOTS_OFFSET);

    if (n > QCOW2_MAX_SNAPSHOTS) {
        return node_fail(s->node, error, "Snapshot table too large");
    }
    if (at % s->cluster_size || (n && at > s->node->file->length)) {
        return node_fail(s->node, error, "Snapshot table offset invalid");
    }
    s->snapshots_offset = n ? at : 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!read_entry(s, &at, error)) {
            return false;
        }
    }
    s->snapshots_bytes = at - (n ? s->snapshots_offset : at);
    return true;
}

static void put_entry(Qcow2 *s, GByteArray *out, const Qcow2Snapshot *sn)
{
    static const uint8_t zeroes[8];
    uint8_t e[ENTRY_BYTES + EXTRA_KNOWN] = { 0 };

    bytes_put_be64(e, sn->l1_offset);
    bytes_put_be32(e + 8, sn->l1_size);
    bytes_put_be16(e + 12, (uint16_t)strlen(sn->s.id));
    bytes_put_be16(e + 14, (uint16_t)strlen(sn->s.name));
    bytes_put_be32(e + 16, (uint32_t)sn->s.date_sec);
    bytes_put_be32(e + 20, sn->s.date_nsec);
    bytes_put_be64(e + 24, sn->s.vm_clock_ns);
    bytes_put_be32(e + 32, (uint32_t)MIN(sn->s.vm_state_size, UINT32_MAX));
    bytes_put_be32(e + 36, EXTRA_KNOWN + sn->extra_size);
    bytes_put_be64(e + 40, sn->s.vm_state_size);
    bytes_put_be64(e + 48, sn->s.disk_size);
    bytes_put_be64(e + 56, sn->s.icount);
    g_byte_array_append(out, e, sizeof(e));
    g_byte_array_append(out, sn->extra ? sn->extra : zeroes, sn->extra_size);
    g_byte_array_append(out, (const uint8_t *)sn->s.id, (guint)strlen(sn->s.id));
    g_byte_array_append(out, (const uint8_t *)sn->s.name, (guint)strlen(sn->s.name));
    g_byte_array_append(out, zeroes, -out->len & 7);
}

/* Writes the table of @list and makes it the image's. */
static int save_table(Qcow2 *s, GPtrArray *list)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    uint64_t offset = 0, old = s->snapshots_offset, old_bytes = s->snapshots_bytes;
    int err = 0;

    for (guint i = 0; i < list->len; i++) {
        put_entry(s, out, g_ptr_array_index(list, i));
    }
    if (out->len) {
        err = qcow2_alloc_exactly(s, q_clusters(s, out->len), &offset);
        err = err ? err : node_pwrite(s->node->file, offset, out->data, out->len);
    }
    err = err ? err : qcow2_flush_all(s);
    if (err) {
        return err;
    }
    bytes_put_be32(s->head + QH_SNAPSHOTS, list->len);
    bytes_put_be64(s->head + QH_SNAPSHOTS_OFFSET, offset);
    err = qcow2_header_write(s, QH_SNAPSHOTS, QH_SNAPSHOTS_OFFSET + 8);
    err = err ? err : node_flush(s->node->file);
    if (err) {
        return err;
    }
    s->snapshots_offset = offset;
    s->snapshots_bytes = out->len;
    qcow2_free(s, old, q_clusters(s, old_bytes));
    return qcow2_flush_all(s);
}

int qcow2_snapshots_save(Qcow2 *s)
{
    return save_table(s, s->snapshots);
}

/* ---- Trees ---- */

uint64_t *qcow2_l1_read(Qcow2 *s, uint64_t offset, uint32_t n, int *err)
{
    uint64_t *l1 = g_try_new0(uint64_t, n + 1u);

    *err = l1 ? qcow2_pread(s, offset, l1, (uint64_t)n * 8) : -ENOMEM;
    for (uint32_t i = 0; !*err && i < n; i++) {
        l1[i] = GUINT64_FROM_BE(l1[i]);
    }
    if (*err) {
        g_clear_pointer(&l1, g_free);
    }
    return l1;
}

static void add_run(GArray *runs, uint64_t first, uint64_t n)
{
    Qcow2Run run = { first, n };

    if (runs->len) {
        Qcow2Run *last = &g_array_index(runs, Qcow2Run, runs->len - 1);

        if (last->first + last->n == first) {
            last->n += n;
            return;
        }
    }
    g_array_append_val(runs, run);
}

static void collect_l2(Qcow2 *s, const Qcow2Table *t, GArray *runs)
{
    for (uint64_t i = 0; i < 1ull << s->l2_bits; i++) {
        uint64_t entry, bitmap, offset, bytes;

        qcow2_entry_get(s, t, i, &entry, &bitmap);
        if (entry & QE_COMPRESSED) {
            qcow2_compressed_extent(s, entry, &offset, &bytes);
            bytes = ((offset + bytes - 1) >> s->cluster_bits) - (offset >> s->cluster_bits) + 1;
            add_run(runs, offset >> s->cluster_bits, bytes);
        } else if (!s->external && (entry & QE_OFFSET)) {
            add_run(runs, (entry & QE_OFFSET) >> s->cluster_bits, 1);
        }
    }
}

int qcow2_tree_collect(Qcow2 *s, const uint64_t *l1, uint32_t n, GArray *runs)
{
    Qcow2Table *t;
    int err = 0;

    for (uint32_t i = 0; i < n && !err; i++) {
        uint64_t offset = l1[i] & QE_OFFSET;

        if (offset) {
            err = qcow2_table_get(s, offset, false, &t);
            if (!err) {
                collect_l2(s, t, runs);
                add_run(runs, offset >> s->cluster_bits, 1);
            }
        }
    }
    return err;
}

/* Adds a reference to all; or to none, if there is an error. */
static int add_references(Qcow2 *s, const GArray *runs)
{
    for (guint i = 0; i < runs->len; i++) {
        const Qcow2Run *r = &g_array_index(runs, Qcow2Run, i);

        for (uint64_t k = 0; k < r->n; k++) {
            int err = qcow2_refcount_add(s, r->first + k, 1);

            if (err) {
                qcow2_refcount_sub(s, r->first, k);
                while (i--) {
                    r = &g_array_index(runs, Qcow2Run, i);
                    qcow2_refcount_sub(s, r->first, r->n);
                }
                return err;
            }
        }
    }
    return 0;
}

static void drop_references(Qcow2 *s, const GArray *runs)
{
    for (guint i = 0; i < runs->len; i++) {
        const Qcow2Run *r = &g_array_index(runs, Qcow2Run, i);

        qcow2_free(s, r->first << s->cluster_bits, r->n);
    }
}

/* How many references will be dropped, by cluster. */
typedef struct Dropped {
    uint32_t *counts;
    uint64_t n;
} Dropped;

/* How many references there are without those. */
static int count_left(Qcow2 *s, uint64_t offset, const Dropped *dropped, uint64_t *count)
{
    uint64_t cluster = offset >> s->cluster_bits;
    int err = qcow2_refcount_get(s, cluster, count);

    if (!err && cluster < dropped->n) {
        *count -= MIN(*count, dropped->counts[cluster]);
    }
    return err;
}

static int update_l2(Qcow2 *s, uint64_t offset, const Dropped *dropped)
{
    Qcow2Table *t;
    int err = 0;

    for (uint64_t i = 0; i < 1ull << s->l2_bits && !err; i++) {
        uint64_t entry, bitmap, count, wanted;

        err = qcow2_table_get(s, offset, false, &t);
        if (err) {
            break;
        }
        qcow2_entry_get(s, t, i, &entry, &bitmap);
        if ((entry & QE_COMPRESSED) || !(entry & QE_OFFSET) || s->external) {
            continue;
        }
        err = count_left(s, entry & QE_OFFSET, dropped, &count);
        wanted = count == 1 ? entry | QE_COPIED : entry & ~QE_COPIED;
        if (!err && wanted != entry && !(err = qcow2_table_get(s, offset, false, &t))) {
            qcow2_entry_set(s, t, i, wanted, bitmap);
        }
    }
    return err;
}

/* Sets the COPIED flags of all active tables after the refcounts as they will be. */
static int update_copied(Qcow2 *s, const Dropped *dropped)
{
    int err = 0;

    for (uint32_t i = 0; i < s->l1_size && !err; i++) {
        uint64_t offset = s->l1[i] & QE_OFFSET, count, wanted;

        if (!offset) {
            continue;
        }
        err = qcow2_make_room(s);
        err = err ? err : update_l2(s, offset, dropped);
        err = err ? err : count_left(s, offset, dropped, &count);
        wanted = !err && count == 1 ? offset | QE_COPIED : offset;
        if (!err && wanted != s->l1[i]) {
            s->l1[i] = wanted;
            qcow2_l1_touch(s, i);
        }
    }
    return err;
}

/* A copy of @l1 in new clusters. */
static int write_l1(Qcow2 *s, const uint64_t *l1, uint32_t n, uint64_t *offset)
{
    g_autofree uint8_t *data = g_try_malloc((size_t)n * 8 + 1);
    int err;

    *offset = 0;
    if (!n || !data) {
        return n ? -ENOMEM : 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        bytes_put_be64(data + (size_t)i * 8, l1[i] & ~QE_COPIED);
    }
    err = qcow2_alloc_exactly(s, q_clusters(s, (uint64_t)n * 8), offset);
    return err ? err : node_pwrite(s->node->file, *offset, data, (uint64_t)n * 8);
}

/* ---- The driver's ---- */

static int find(Qcow2 *s, const char *name)
{
    for (guint i = 0; i < s->snapshots->len; i++) {
        Qcow2Snapshot *sn = g_ptr_array_index(s->snapshots, i);

        if (!strcmp(sn->s.id, name)) {
            return (int)i;
        }
    }
    for (guint i = 0; i < s->snapshots->len; i++) {
        Qcow2Snapshot *sn = g_ptr_array_index(s->snapshots, i);

        if (!strcmp(sn->s.name, name)) {
            return (int)i;
        }
    }
    return -1;
}

static void free_public(gpointer p)
{
    NodeSnapshot *sn = p;

    g_free(sn->id);
    g_free(sn->name);
    g_free(sn);
}

GPtrArray *qcow2_snapshots(BlockNode *node)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(free_public);
    Qcow2 *s = node->priv;
    unsigned op;

    qcow2_begin(s, &op);
    for (guint i = 0; i < s->snapshots->len; i++) {
        NodeSnapshot *copy = g_memdup2(g_ptr_array_index(s->snapshots, i), sizeof(*copy));

        copy->id = g_strdup(copy->id);
        copy->name = g_strdup(copy->name);
        g_ptr_array_add(list, copy);
    }
    qcow2_end(s, op);
    return list;
}

static char *new_id(Qcow2 *s)
{
    uint64_t max = 0;

    for (guint i = 0; i < s->snapshots->len; i++) {
        Qcow2Snapshot *sn = g_ptr_array_index(s->snapshots, i);

        max = MAX(max, g_ascii_strtoull(sn->s.id, NULL, 10));
    }
    return g_strdup_printf("%" G_GUINT64_FORMAT, max + 1);
}

static int create_locked(Qcow2 *s, Qcow2Snapshot *sn)
{
    g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
    int err = qcow2_prepare_write(s);

    err = err ? err : qcow2_flush_all(s);
    err = err ? err : qcow2_tree_collect(s, s->l1, s->l1_size, runs);
    err = err ? err : add_references(s, runs);
    if (err) {
        return err;
    }
    err = qcow2_flush_all(s); /* before the flags go, of which a cut may leave some */
    err = err ? err : write_l1(s, s->l1, s->l1_size, &sn->l1_offset);
    err = err ? err : update_copied(s, &(Dropped){ 0 });
    g_ptr_array_add(s->snapshots, sn);
    err = err ? err : save_table(s, s->snapshots);
    if (err) {
        g_ptr_array_set_free_func(s->snapshots, NULL);
        g_ptr_array_remove_index(s->snapshots, s->snapshots->len - 1);
        g_ptr_array_set_free_func(s->snapshots, qcow2_snapshot_free);
    }
    return err;
}

bool qcow2_snapshot_create(BlockNode *node, const NodeSnapshot *snapshot, GError **error)
{
    Qcow2 *s = node->priv;
    Qcow2Snapshot *sn;
    int err;

    if (node->readonly || s->external) {
        return node_fail(node, error,
                         node->readonly ? "is read-only"
                                        : "has an external data file, and can have no snapshots");
    }
    sn = g_new0(Qcow2Snapshot, 1);
    qcow2_alone_begin(s);
    sn->s = *snapshot;
    sn->s.name = g_strndup(snapshot->name ? snapshot->name : "", UINT16_MAX);
    sn->s.id = snapshot->id && *snapshot->id ? g_strndup(snapshot->id, UINT16_MAX) : new_id(s);
    sn->s.disk_size = node->exact_length ? node->exact_length : node->length;
    sn->l1_size = s->l1_size;
    err = s->snapshots->len >= QCOW2_MAX_SNAPSHOTS ? -EFBIG : create_locked(s, sn);
    qcow2_alone_end(s);
    if (err) {
        qcow2_snapshot_free(sn);
        return node_fail_errno(node, error, err, "cannot take the snapshot");
    }
    return true;
}

/* Makes @l1, which is at @offset, the active table; gives the old one's clusters back. */
static int switch_l1(Qcow2 *s, uint64_t *l1, uint32_t n, uint64_t offset, uint64_t length)
{
    g_autoptr(GArray) old = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
    uint64_t old_offset = s->l1_offset, old_bytes = (uint64_t)s->l1_size * 8;
    g_autofree uint64_t *old_l1 = s->l1;
    int err = qcow2_tree_collect(s, s->l1, s->l1_size, old);

    if (err) {
        g_steal_pointer(&old_l1);
        return err;
    }
    s->l1 = l1;
    s->l1_size = n;
    s->l1_offset = offset;
    s->node->length = (length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    s->node->exact_length = s->node->length == length ? 0 : length;
    qcow2_header_fill(s);
    err = qcow2_header_write(s, QH_SIZE, QH_L1_OFFSET + 8);
    err = err ? err : node_flush(s->node->file);
    if (!err) {
        drop_references(s, old);
        qcow2_free(s, old_offset, q_clusters(s, old_bytes));
        err = qcow2_flush_all(s);
    }
    return err;
}

static int apply_locked(Qcow2 *s, const Qcow2Snapshot *sn)
{
    g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
    uint64_t offset, covered = 1ull << (s->l2_bits + s->cluster_bits);
    uint64_t needed = sn->s.disk_size / covered + (sn->s.disk_size % covered != 0);
    uint32_t n = (uint32_t)MAX(MIN(needed, QCOW2_MAX_L1 / 8), sn->l1_size);
    g_autofree uint64_t *l1 = NULL;
    int err = qcow2_prepare_write(s);

    err = err || needed > n ? -EFBIG : qcow2_flush_all(s);
    if (!err && (l1 = qcow2_l1_read(s, sn->l1_offset, sn->l1_size, &err))) {
        l1 = g_realloc_n(l1, n + 1u, 8);
        memset(l1 + sn->l1_size, 0, (size_t)(n - sn->l1_size) * 8);
        for (uint32_t i = 0; i < n; i++) {
            l1[i] &= ~QE_COPIED;
        }
        err = qcow2_tree_collect(s, l1, n, runs);
    }
    err = err ? err : add_references(s, runs);
    err = err ? err : write_l1(s, l1, n, &offset);
    err = err ? err : qcow2_flush_all(s);
    err = err ? err : qcow2_bitmaps_resize_begin(s);
    if (!err && !(err = switch_l1(s, l1, n, offset, sn->s.disk_size))) {
        g_steal_pointer(&l1);
        err = update_copied(s, &(Dropped){ 0 });
        err = err ? err : qcow2_flush_all(s);
        err = qcow2_bitmaps_resize_end(s, err);
        err = err ? err : qcow2_bitmaps_mark(s, 0, s->node->length);
    } else if (s->l1 == l1) {
        g_steal_pointer(&l1);
        err = qcow2_bitmaps_resize_end(s, err);
    }
    return err;
}

bool qcow2_snapshot_apply(BlockNode *node, const char *name, GError **error)
{
    Qcow2 *s = node->priv;
    const Qcow2Snapshot *sn;
    int err, i;

    if (node->readonly) {
        return node_fail(node, error, "is read-only");
    }
    qcow2_alone_begin(s);
    i = find(s, name);
    sn = i < 0 ? NULL : g_ptr_array_index(s->snapshots, i);
    if (sn && !qcow2_bitmaps_can_resize(s, sn->s.disk_size, error)) {
        qcow2_alone_end(s);
        return false;
    }
    err = sn ? apply_locked(s, sn) : -ENOENT;
    qcow2_alone_end(s);
    return !err || node_fail_errno(node, error, err, "cannot go back to snapshot '%s'", name);
}

static int count_runs(Qcow2 *s, const GArray *runs, Dropped *dropped)
{
    dropped->n = q_clusters(s, s->node->file->length);
    dropped->counts = g_try_new0(uint32_t, dropped->n + 1);
    for (guint i = 0; dropped->counts && i < runs->len; i++) {
        const Qcow2Run *r = &g_array_index(runs, Qcow2Run, i);

        for (uint64_t k = r->first; k < MIN(r->first + r->n, dropped->n); k++) {
            dropped->counts[k]++;
        }
    }
    return dropped->counts ? 0 : -ENOMEM;
}

/* After a cut what nothing refers to any more may have a refcount, and COPIED flags are those of what refers to them. */
static int delete_locked(Qcow2 *s, guint i)
{
    g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
    g_autoptr(GPtrArray) rest = g_ptr_array_new();
    Qcow2Snapshot *sn = g_ptr_array_index(s->snapshots, i);
    uint64_t l1_offset = sn->l1_offset, l1_bytes = (uint64_t)sn->l1_size * 8;
    g_autofree uint64_t *l1 = NULL;
    Dropped dropped = { 0 };
    int err = qcow2_prepare_write(s);

    for (guint k = 0; k < s->snapshots->len; k++) {
        if (k != i) {
            g_ptr_array_add(rest, g_ptr_array_index(s->snapshots, k));
        }
    }
    err = err ? err : qcow2_flush_all(s);
    if (!err && (l1 = qcow2_l1_read(s, l1_offset, sn->l1_size, &err))) {
        err = qcow2_tree_collect(s, l1, sn->l1_size, runs);
        err = err ? err : count_runs(s, runs, &dropped);
    }
    err = err ? err : save_table(s, rest);
    if (err) {
        g_free(dropped.counts);
        return err;
    }
    g_ptr_array_remove_index(s->snapshots, i);
    err = update_copied(s, &dropped);
    g_free(dropped.counts);
    err = err ? err : qcow2_flush_all(s);
    if (!err) {
        drop_references(s, runs);
        qcow2_free(s, l1_offset, q_clusters(s, l1_bytes));
    }
    return err ? err : qcow2_flush_all(s);
}

bool qcow2_snapshot_delete(BlockNode *node, const char *name, GError **error)
{
    Qcow2 *s = node->priv;
    int err, i;

    if (node->readonly) {
        return node_fail(node, error, "is read-only");
    }
    qcow2_alone_begin(s);
    i = find(s, name);
    err = i < 0 ? -ENOENT : delete_locked(s, (guint)i);
    qcow2_alone_end(s);
    return !err || node_fail_errno(node, error, err, "cannot delete snapshot '%s'", name);
}

bool qcow2_snapshot_load(BlockNode *node, const char *name, GError **error)
{
    Qcow2 *s = node->priv;
    const Qcow2Snapshot *sn;
    uint64_t *l1 = NULL, covered = 1ull << (s->l2_bits + s->cluster_bits);
    int err = -ENOENT, i;

    g_assert(node->readonly);
    qcow2_alone_begin(s);
    i = find(s, name);
    if (i >= 0) {
        sn = g_ptr_array_index(s->snapshots, i);
        err = sn->s.disk_size > covered * sn->l1_size ? -EINVAL : 0;
        l1 = err ? NULL : qcow2_l1_read(s, sn->l1_offset, sn->l1_size, &err);
    }
    if (l1) {
        g_free(s->l1);
        s->l1 = l1;
        s->l1_size = sn->l1_size;
        s->l1_offset = sn->l1_offset;
        node->length = (sn->s.disk_size + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
        node->exact_length = node->length == sn->s.disk_size ? 0 : sn->s.disk_size;
    }
    qcow2_alone_end(s);
    return !err || node_fail_errno(node, error, err, "snapshot '%s' cannot be read", name);
}

static int empty_locked(Qcow2 *s)
{
    static const char *const steps[] = { "l1_update", "empty_image_prepare", "reftable_update",
                                         "refblock_alloc" };
    uint64_t length = s->node->exact_length ? s->node->exact_length : s->node->length;
    uint32_t n = s->l1_size;
    uint64_t *l1 = g_new0(uint64_t, n + 1u), offset;
    int err = qcow2_prepare_write(s);

    err = err ? err : qcow2_flush_all(s);
    err = err ? err : qcow2_bitmaps_mark(s, 0, s->node->length);
    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
        node_event(s->node->file, steps[i]);
    }
    err = err ? err : write_l1(s, l1, n, &offset);
    err = err ? err : qcow2_flush_all(s);
    err = err ? err : switch_l1(s, l1, n, offset, length);
    if (s->l1 != l1) {
        g_free(l1);
    }
    return err;
}

int qcow2_make_empty(BlockNode *node)
{
    Qcow2 *s = node->priv;
    int err;

    if (s->external) {
        return -ENOTSUP;
    }
    qcow2_alone_begin(s);
    err = empty_locked(s);
    qcow2_alone_end(s);
    return err;
}
