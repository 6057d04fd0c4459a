/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checking a qcow2 image: all references are counted and compared with the refcounts, and the COPIED flags with both. Repairing sets
 * refcounts and flags right; refcount blocks that cannot be right where they are (or are missing) are made anew behind the end of the file.
 * Entries that point to where nothing can be are reported, not repaired: what they meant is not known.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/qcow2.h"

typedef struct Check {
    Qcow2 *s;
    NodeCheck *c;
    NodeCheck repairs; /* .report: lines to follow what was found */
    uint32_t *counts;  /* references found, by host cluster */
    uint64_t n;        /* clusters in the file */
    uint8_t *raised;   /* a bit for each: there is one reference, and the refcount said more */
    uint64_t l2_max;   /* references that an L2 table may have */
    uint64_t used_end;
    bool rebuild;
    bool agree; /* all refcounts are as counted, and stay so: they need not be looked up any more */
    uint64_t fixable; /* corruptions that a rebuild mends */
} Check;

/* Counts a reference to each cluster of [@offset, @offset + @bytes); false: not in the file. */
static bool refer(Check *k, uint64_t offset, uint64_t bytes, const char *what)
{
    uint64_t first = offset >> k->s->cluster_bits, last;

    if (!bytes) {
        return true;
    }
    last = offset + bytes < offset ? UINT64_MAX : (offset + bytes - 1) >> k->s->cluster_bits;
    if (last >= k->n) {
        k->c->corruptions++;
        node_check_note(
            k->c,
            "ERROR: counting reference for region exceeding the end of the file by one cluster or "
            "more: offset %#" G_GINT64_MODIFIER "x size %#" G_GINT64_MODIFIER "x\n",
            offset, bytes);
        return false;
    }
    for (uint64_t i = first; i <= last; i++) {
        if (k->counts[i] == MIN(qcow2_refcount_max(k->s), UINT32_MAX)) {
            k->c->corruptions++;
            node_check_note(
                k->c,
                "ERROR: overflow cluster offset=%#" G_GINT64_MODIFIER "x\n"
                "Use menura-img amend to increase the refcount entry width or menura-img convert "
                "to create a clean copy if the image cannot be opened for writing\n",
                i << k->s->cluster_bits);
        } else {
            k->counts[i]++;
        }
    }
    k->used_end = MAX(k->used_end, last + 1);
    return true;
}

/* ---- Counting ---- */

static void count_statistics(Check *k, uint64_t entry, uint64_t *next)
{
    NodeCheck *c = k->c;
    uint64_t host = entry & QE_OFFSET;

    c->allocated_clusters++;
    if (entry & QE_COMPRESSED) {
        c->compressed_clusters++;
        c->fragmented_clusters++;
        return;
    }
    if (*next && host != *next) {
        c->fragmented_clusters++;
    }
    *next = host + k->s->cluster_size;
}

static void count_entry(Check *k, uint64_t entry, uint64_t bitmap, bool active, uint64_t *next)
{
    Qcow2 *s = k->s;
    Qcow2Kind kind;
    uint64_t offset, bytes;
    bool valid = true;

    for (unsigned i = 0; i < (s->extended ? QCOW2_SUBCLUSTERS : 1) && valid; i++) {
        valid = qcow2_entry_kind(s, entry, bitmap, i, &kind);
    }
    if (!valid) {
        k->c->corruptions++;
        node_check_note(k->c, "ERROR invalid L2 entry %#" G_GINT64_MODIFIER "x\n", entry);
        return;
    }
    if (entry & QE_COMPRESSED) {
        qcow2_compressed_extent(s, entry, &offset, &bytes);
        /* Its last sector may be cut off by the file's end. */
        bytes = offset < s->node->file->length ? MIN(bytes, s->node->file->length - offset) : bytes;
        refer(k, offset, bytes, "compressed cluster");
    } else if (!(entry & QE_OFFSET)) {
        return;
    } else if (!s->external) {
        refer(k, entry & QE_OFFSET, s->cluster_size, "data cluster");
    }
    if (active) {
        count_statistics(k, entry, next);
    }
}

static void count_tree(Check *k, const uint64_t *l1, uint32_t n, bool active)
{
    Qcow2 *s = k->s;
    uint64_t next = 0, entry, bitmap;
    Qcow2Table *t;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t offset = l1[i] & QE_OFFSET;

        if (!offset) {
            continue;
        }
        if (offset % s->cluster_size || (l1[i] & ~(QE_OFFSET | QE_COPIED))) {
            k->c->corruptions++;
            node_check_note(k->c, "ERROR invalid L1 entry %#" G_GINT64_MODIFIER "x\n", l1[i]);
            continue;
        }
        if (!refer(k, offset, s->cluster_size, "L2 table")) {
            continue;
        }
        if (k->counts[offset >> s->cluster_bits] > k->l2_max) {
            k->c->corruptions++;
            node_check_note(k->c,
                            "ERROR the L2 table at offset %#" G_GINT64_MODIFIER "x is used twice\n",
                            offset);
            continue;
        }
        if (qcow2_table_get(s, offset, false, &t)) {
            k->c->check_errors++;
            node_check_note(
                k->c, "ERROR the L2 table at offset %#" G_GINT64_MODIFIER "x cannot be read\n",
                offset);
            continue;
        }
        for (uint64_t j = 0; j < 1ull << s->l2_bits; j++) {
            qcow2_entry_get(s, t, j, &entry, &bitmap);
            if (entry || bitmap) {
                count_entry(k, entry, bitmap, active, &next);
            }
        }
    }
}

static void count_snapshots(Check *k)
{
    Qcow2 *s = k->s;

    refer(k, s->snapshots_offset, s->snapshots_bytes, "table of snapshots");
    for (guint i = 0; i < s->snapshots->len; i++) {
        const Qcow2Snapshot *sn = g_ptr_array_index(s->snapshots, i);
        g_autofree uint64_t *l1 = NULL;
        int err;

        if (!refer(k, sn->l1_offset, (uint64_t)sn->l1_size * 8, "L1 table of a snapshot")) {
            continue;
        }
        l1 = qcow2_l1_read(s, sn->l1_offset, sn->l1_size, &err);
        if (l1) {
            count_tree(k, l1, sn->l1_size, false);
        } else {
            k->c->check_errors++;
        }
    }
}

static void count_bitmap(Check *k, const uint8_t *entry)
{
    Qcow2 *s = k->s;
    uint64_t offset = bytes_get_be64(entry);
    uint32_t n = bytes_get_be32(entry + 8);
    g_autofree uint64_t *table = NULL;
    int err;

    if (n > QCOW2_MAX_L1 / 8 || !refer(k, offset, (uint64_t)n * 8, "table of a bitmap") ||
        !(table = qcow2_l1_read(s, offset, n, &err))) {
        k->c->check_errors++;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (table[i] & QE_OFFSET) {
            refer(k, table[i] & QE_OFFSET, s->cluster_size, "cluster of a bitmap");
        }
    }
}

static void count_bitmaps(Check *k)
{
    Qcow2 *s = k->s;
    g_autofree uint8_t *dir = NULL;
    uint64_t at = 0, size = s->bitmaps_size;

    if (!(s->autoclear & Q_BITMAPS) || !size) {
        return;
    }
    if (!refer(k, s->bitmaps_offset, size, "directory of bitmaps")) {
        return;
    }
    dir = g_try_malloc(size);
    if (!dir || qcow2_pread(s, s->bitmaps_offset, dir, size)) {
        k->c->check_errors++;
        return;
    }
    for (uint32_t i = 0; i < s->n_bitmaps && size - at >= 24; i++) {
        uint64_t bytes =
            (24 + (uint64_t)bytes_get_be16(dir + at + 18) + bytes_get_be32(dir + at + 20) + 7) / 8 *
            8;

        count_bitmap(k, dir + at);
        at += MIN(bytes, size - at);
    }
}

/* The refcount structure itself: where its parts are wrong, all of it is made anew. */
static void count_refcounts(Check *k)
{
    Qcow2 *s = k->s;
    uint64_t corruptions = k->c->corruptions;

    if (!s->reftable_n) {
        k->c->corruptions++;
        k->rebuild = true;
        node_check_note(k->c, "ERROR there is no refcount table\n");
        return;
    }
    refer(k, s->reftable_offset, (uint64_t)s->reftable_n * 8, "refcount table");
    for (uint32_t i = 0; i < s->reftable_n; i++) {
        uint64_t offset = s->reftable[i];

        if (!offset) {
            continue;
        }
        if (offset % s->cluster_size) {
            k->c->corruptions++;
            node_check_note(k->c, "ERROR refcount block %u is not aligned\n", i);
        } else if (refer(k, offset, s->cluster_size, "refcount block") &&
                   k->counts[offset >> s->cluster_bits] > 1) {
            k->c->corruptions++;
            node_check_note(k->c, "ERROR refcount block %u is used for something else, too\n", i);
        }
    }
    k->rebuild = k->c->corruptions > corruptions;
    k->fixable += k->c->corruptions - corruptions;
}

static void count_all(Check *k)
{
    Qcow2 *s = k->s;

    refer(k, 0, s->cluster_size, "header");
    if (refer(k, s->l1_offset, (uint64_t)s->l1_size * 8, "L1 table")) {
        count_tree(k, s->l1, s->l1_size, true);
    }
    count_snapshots(k);
    count_bitmaps(k);
}

/* ---- Comparing ---- */

/* Cluster @i, whose refcount should be @wanted. */
static void compare(Check *k, uint64_t i, uint64_t wanted)
{
    NodeCheck *c = k->c;
    uint64_t value;
    bool fix;

    k->agree = false;

    if (qcow2_refcount_get(k->s, i, &value)) {
        c->check_errors += !(k->rebuild && c->fix_errors); /* which was said, and ends it */
        return;
    }
    if (value == wanted) {
        return;
    }
    node_check_note(k->c,
                    "%s cluster %" G_GUINT64_FORMAT " refcount=%" G_GUINT64_FORMAT
                    " reference=%" G_GUINT64_FORMAT "\n",
                    value > wanted ? "Leaked" : "ERROR", i, value, wanted);
    if (value > wanted) {
        if (wanted == 1) {
            k->raised[i / 8] |= (uint8_t)(1u << i % 8);
        }
        c->leaks++;
        fix = c->fix_leaks || c->fix_errors;
    } else {
        c->corruptions++;
        fix = c->fix_errors;
        k->fixable++;
    }
    if (fix && !value) { /* all the more so if it has no block */
        k->rebuild = true;
    }
    if (fix && !k->rebuild && !qcow2_refcount_set(k->s, i, wanted)) {
        *(value > wanted ? &c->leaks_fixed : &c->corruptions_fixed) += 1;
        node_check_note(&k->repairs,
                        "Repairing cluster %" G_GUINT64_FORMAT " refcount=%" G_GUINT64_FORMAT
                        " reference=%" G_GUINT64_FORMAT "\n",
                        i, value, wanted);
    }
    if (qcow2_make_room(k->s)) {
        c->check_errors++;
    }
}

static void compare_range(Check *k, uint64_t first, uint64_t end, const uint32_t *wanted)
{
    for (uint64_t i = first; i < end; i++) {
        i = qcow2_refcount_find_other(k->s, i, end, wanted ? wanted + (i - first) : NULL);
        if (i < end) {
            compare(k, i, wanted ? wanted[i - first] : 0);
        }
    }
}

static void compare_all(Check *k)
{
    Qcow2 *s = k->s;
    bool anew = k->rebuild;

    k->agree = true;
    for (uint64_t i = 0, end; i < k->n; i = end) {
        end = MIN(k->n, (i / s->block_entries + 1) * s->block_entries);
        compare_range(k, i, end, k->counts + i);
    }
    if (anew) { /* the table may have one block a million times */
        return;
    }
    for (uint64_t b = k->n / s->block_entries; b < s->reftable_n; b++) { /* behind the end */
        compare_range(k, MAX(b * s->block_entries, k->n), (b + 1) * s->block_entries, NULL);
    }
}

static int find_refcount(const Check *k, uint64_t cluster, uint64_t *count)
{
    if (!k->agree) {
        return qcow2_refcount_get(k->s, cluster, count);
    }
    *count = k->counts[cluster];
    return 0;
}

/* A flag that says the same as the refcount? Where that was too high, either is what a cut leaves of a new snapshot, and no damage. Returns the
 * entry as it should be. @index: in the L1 table; -1: it is an L2 entry. */
static uint64_t compare_flag(Check *k, uint64_t entry, int64_t index)
{
    uint64_t cluster = (entry & QE_OFFSET) >> k->s->cluster_bits, count;

    if (cluster >= k->n || find_refcount(k, cluster, &count) ||
        (count == 1) == !!(entry & QE_COPIED)) {
        return entry;
    }
    if (k->raised[cluster / 8] >> cluster % 8 & 1) {
        return count == 1 ? entry | QE_COPIED : entry;
    }
    k->c->corruptions++;
    if (index >= 0) {
        node_check_note(k->c,
                        "%s OFLAG_COPIED L2 cluster: l1_index=%" G_GINT64_FORMAT
                        " l1_entry=%" G_GINT64_MODIFIER "x refcount=%" G_GUINT64_FORMAT "\n",
                        k->c->fix_errors ? "Repairing" : "ERROR", index, entry, count);
    } else {
        node_check_note(k->c,
                        "%s OFLAG_COPIED data cluster: l2_entry=%" G_GINT64_MODIFIER
                        "x refcount=%" G_GUINT64_FORMAT "\n",
                        k->c->fix_errors ? "Repairing" : "ERROR", entry, count);
    }
    if (!k->c->fix_errors) {
        return entry;
    }
    k->c->corruptions_fixed++;
    return entry ^ QE_COPIED;
}

static void compare_l2_flags(Check *k, uint64_t offset)
{
    Qcow2 *s = k->s;
    Qcow2Table *t;

    if (qcow2_table_get(s, offset, false, &t)) {
        return;
    }
    for (uint64_t j = 0; j < 1ull << s->l2_bits; j++) {
        uint64_t entry, bitmap, wanted;

        qcow2_entry_get(s, t, j, &entry, &bitmap);
        if ((entry & QE_COMPRESSED) || !(entry & QE_OFFSET)) {
            continue;
        }
        wanted = compare_flag(k, entry, -1);
        if (!k->agree && qcow2_table_get(s, offset, false, &t)) {
            return; /* the way to the refcount took its place in memory */
        }
        if (wanted != entry) {
            qcow2_entry_set(s, t, j, wanted, bitmap);
        }
    }
}

static void compare_flags(Check *k)
{
    Qcow2 *s = k->s;

    for (uint32_t i = 0; i < s->l1_size; i++) {
        uint64_t offset = s->l1[i] & QE_OFFSET, wanted;

        if (!offset || offset % s->cluster_size || offset >> s->cluster_bits >= k->n ||
            k->counts[offset >> s->cluster_bits] > k->l2_max) {
            continue;
        }
        wanted = compare_flag(k, s->l1[i], i);
        if (wanted != s->l1[i]) {
            s->l1[i] = wanted;
            qcow2_l1_touch(s, i);
        }
        if (!s->external) {
            compare_l2_flags(k, offset);
        }
        if (qcow2_make_room(s)) {
            k->c->check_errors++;
        }
    }
}

/* ---- Rebuilding ---- */

static int write_blocks(Check *k, uint64_t first, uint64_t blocks, uint64_t end)
{
    Qcow2 *s = k->s;
    g_autofree uint8_t *block = g_malloc(s->cluster_size);
    int err = 0;

    for (uint64_t b = 0; b < blocks && !err; b++) {
        memset(block, 0, s->cluster_size);
        for (uint64_t i = 0; i < s->block_entries; i++) {
            uint64_t cluster = b * s->block_entries + i;
            uint64_t count = cluster < k->n ? k->counts[cluster] : cluster < end;

            qcow2_block_set(s, block, i, MIN(count, qcow2_refcount_max(s)));
        }
        err = node_pwrite(s->node->file, (first + b) << s->cluster_bits, block, s->cluster_size);
    }
    return err;
}

/* The old table and blocks, to which nothing refers then. */
static void note_old(Check *k)
{
    Qcow2 *s = k->s;
    uint64_t first = s->reftable_offset >> s->cluster_bits;
    uint64_t table = q_clusters(s, (uint64_t)s->reftable_n * 8);

    for (uint64_t i = 0; i < table + s->reftable_n; i++) {
        uint64_t cluster = i < table ? first + i : s->reftable[i - table] >> s->cluster_bits;

        if (cluster && cluster < k->n && !k->counts[cluster]) {
            node_check_note(
                k->c, "Repairing cluster %" G_GUINT64_FORMAT " refcount=1 reference=0\n", cluster);
        }
    }
}

/* New blocks and a new table behind the file's end; the counts are those without the old ones. */
static int rebuild(Check *k)
{
    Qcow2 *s = k->s;
    uint64_t blocks = 1, table = 1, end, *entries;
    int err;

    do {
        blocks = (k->n + blocks + table + s->block_entries - 1) / s->block_entries;
        table = q_clusters(s, blocks * 8);
        end = k->n + blocks + table;
    } while (end > blocks * s->block_entries);
    if (table << s->cluster_bits > QCOW2_MAX_REFTABLE) {
        return -EFBIG;
    }
    entries = g_malloc0(table << s->cluster_bits);
    for (uint64_t b = 0; b < blocks; b++) {
        bytes_put_be64((uint8_t *)(entries + b), (k->n + b) << s->cluster_bits);
    }
    err = write_blocks(k, k->n, blocks, end);
    err = err ? err
              : node_pwrite(s->node->file, (k->n + blocks) << s->cluster_bits, entries,
                            table << s->cluster_bits);
    err = err ? err : node_flush(s->node->file);
    if (err) {
        g_free(entries);
        return err;
    }
    g_free(s->reftable);
    s->reftable = entries;
    s->reftable_n = (uint32_t)(table * s->cluster_size / 8);
    s->reftable_offset = (k->n + blocks) << s->cluster_bits;
    for (uint32_t i = 0; i < s->reftable_n; i++) {
        s->reftable[i] = GUINT64_FROM_BE(s->reftable[i]);
    }
    s->free_hint = 0;
    qcow2_header_fill(s);
    err = qcow2_header_write(s, QH_REFTABLE_OFFSET, QH_SNAPSHOTS);
    return err ? err : node_flush(s->node->file);
}

/* The refcount blocks that are in memory are not those in the file any more. */
static int make_anew(Check *k)
{
    Qcow2 *s = k->s;
    NodeCheck scratch = { 0 }, *found = k->c;
    int err;

    node_check_note(k->c, "Rebuilding refcount structure\n");
    qcow2_cache_drop(s);
    memset(k->counts, 0, k->n * sizeof(*k->counts));
    k->c = &scratch; /* what was found is in there already */
    count_all(k);
    k->c = found;
    qcow2_cache_drop(s);
    note_old(k);
    err = rebuild(k);
    if (!err) {
        k->c->corruptions_fixed = k->fixable;
        k->c->leaks_fixed = k->c->leaks;
    }
    return err;
}

/* ---- All of it ---- */

static int clear_marks(Check *k)
{
    Qcow2 *s = k->s;
    int err;

    if (s->version < 3 || !(s->incompatible & (Q_DIRTY | Q_CORRUPT)) || !k->c->fix_errors ||
        k->c->corruptions > k->c->corruptions_fixed || k->c->check_errors) {
        return 0;
    }
    s->modified &= !s->dirty; /* the next write marks it again */
    s->dirty = s->damaged = false;
    s->incompatible &= ~(uint64_t)(Q_DIRTY | Q_CORRUPT);
    bytes_put_be64(s->head + QH_INCOMPATIBLE, s->incompatible);
    err = qcow2_header_write(s, QH_INCOMPATIBLE, QH_INCOMPATIBLE + 8);
    return err ? err : node_flush(s->node->file);
}

static int check_locked(Check *k)
{
    Qcow2 *s = k->s;
    bool fix = k->c->fix_leaks || k->c->fix_errors;
    int err = s->node->readonly ? 0 : qcow2_flush_all(s);

    k->n = q_clusters(s, s->node->file->length);
    k->counts = g_try_new0(uint32_t, k->n + 1);
    k->raised = g_try_malloc0(k->n / 8 + 1);
    if (err || !k->counts || !k->raised) {
        return err ? err : -ENOMEM;
    }
    count_all(k);
    count_refcounts(k);
    k->repairs.report = g_string_new(NULL);
    compare_all(k);
    if (!k->rebuild) { /* what was found comes first */
        node_check_note(k->c, "%s", k->repairs.report->str);
    }
    g_string_free(k->repairs.report, TRUE);
    if (k->rebuild && k->c->fix_errors) {
        err = qcow2_flush(s);
        err = err ? err : make_anew(k);
    }
    if (!err) {
        compare_flags(k);
    }
    err = err || !fix ? err : qcow2_flush_all(s);
    return err ? err : clear_marks(k);
}

bool qcow2_check(BlockNode *node, NodeCheck *check, GError **error)
{
    Qcow2 *s = node->priv;
    Check k = { .s = s, .c = check };
    int err;

    if ((check->fix_leaks || check->fix_errors) && node->readonly) {
        return node_fail(node, error, "is read-only, and cannot be repaired");
    }
    k.l2_max = s->snapshots->len + 1;
    qcow2_alone_begin(s);
    s->checking = true;
    err = check_locked(&k);
    s->checking = false;
    qcow2_alone_end(s);
    g_free(k.counts);
    g_free(k.raised);
    check->total_clusters = q_clusters(s, node->length);
    check->image_end_offset = k.used_end << s->cluster_bits;
    return !err || node_fail_errno(node, error, err, "cannot be checked");
}
