/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refcounts of another width for a qcow2 image: new blocks and a new table are written behind the file's end, where nothing refers to
 * them, and become the image's by the one write that puts their place and their width into the header. The old ones are free in the new.
 * All here runs alone, and nothing is to be written back.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/qcow2.h"

typedef struct Width {
    Qcow2 *s;
    Qcow2 to; /* refcount_order, as qcow2_block_set() wants it */
    uint64_t entries, max;
    uint64_t end;         /* the first cluster behind all */
    uint64_t far;         /* nothing that is in use can be there */
    GArray *indices;      /* uint64_t: which blocks there must be */
    uint64_t table;       /* clusters */
    uint64_t *structure;  /* clusters of the old table and blocks, sorted */
    uint64_t n_structure; /* their number */
    uint8_t *block;       /* what is being filled */
    uint64_t filling;     /* its place in .indices */
    GError **error;
} Width;

typedef bool Visit(Width *w, uint64_t cluster, uint64_t count);

static bool fail_read(const Width *w, int err)
{
    return node_fail_errno(w->s->node, w->error, err, "its refcounts cannot be read");
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* More blocks than the file has clusters are nonsense, and would take as long as someone likes. */
static bool list_structure(Width *w)
{
    Qcow2 *s = w->s;
    uint64_t clusters = q_clusters(s, s->node->file->length), n = 0;
    uint64_t table = q_clusters(s, (uint64_t)s->reftable_n * 8);

    w->structure = g_new(uint64_t, s->reftable_n + table);
    for (uint32_t i = 0; i < s->reftable_n; i++) {
        if (s->reftable[i]) {
            w->structure[n++] = s->reftable[i] >> s->cluster_bits;
        }
    }
    if (n > clusters) {
        return node_fail(s->node, w->error, "its refcount table is damaged");
    }
    for (uint64_t i = 0; i < table; i++) {
        w->structure[n++] = (s->reftable_offset >> s->cluster_bits) + i;
    }
    qsort(w->structure, n, sizeof(*w->structure), by_number);
    w->n_structure = n;
    return true;
}

/* Calls @visit for each cluster in use, but for those of the old structure, from the first on. */
static bool walk(Width *w, Visit *visit)
{
    Qcow2 *s = w->s;
    uint64_t k = 0;
    Qcow2Table *t;

    for (uint32_t b = 0; b < s->reftable_n; b++) {
        int err = s->reftable[b] ? qcow2_table_get(s, s->reftable[b], true, &t) : 0;

        if (err) {
            return fail_read(w, err);
        }
        for (uint64_t i = 0; s->reftable[b] && i < s->block_entries; i++) {
            uint64_t cluster = b * s->block_entries + i, count = qcow2_block_get(s, t->data, i);

            for (; k < w->n_structure && w->structure[k] <= cluster; k++) {
                count -= w->structure[k] == cluster && count;
            }
            if (count && !visit(w, cluster, count)) {
                return false;
            }
        }
    }
    return true;
}

static uint64_t last_index(const Width *w)
{
    return g_array_index(w->indices, uint64_t, w->indices->len - 1);
}

static void need_index(Width *w, uint64_t cluster)
{
    uint64_t index = cluster / w->entries;

    if (!w->indices->len || index > last_index(w)) {
        g_array_append_val(w->indices, index);
    }
}

static bool look(Width *w, uint64_t cluster, uint64_t count)
{
    if (count > w->max) {
        return node_fail(w->s->node, w->error,
                         "Cannot decrease refcount entry width to %u bits: Cluster at offset "
                         "%#" G_GINT64_MODIFIER "x has a refcount of %" G_GUINT64_FORMAT,
                         1u << w->to.refcount_order, cluster << w->s->cluster_bits, count);
    }
    if (cluster >= w->far) {
        return node_fail(w->s->node, w->error, "has refcounts far behind its end");
    }
    w->end = MAX(w->end, cluster + 1);
    need_index(w, cluster);
    return true;
}

static bool fill(Width *w, uint64_t cluster, uint64_t count);

/* Writes the block that is full, and begins with the next one. */
static int next_block(Width *w)
{
    Qcow2 *s = w->s;
    int err = node_pwrite(s->node->file, (w->end + w->filling) << s->cluster_bits, w->block,
                          s->cluster_size);

    memset(w->block, 0, s->cluster_size);
    w->filling++;
    return err;
}

static bool fill(Width *w, uint64_t cluster, uint64_t count)
{
    int err = 0;

    if (g_array_index(w->indices, uint64_t, w->filling) != cluster / w->entries) {
        err = next_block(w);
    }
    qcow2_block_set(&w->to, w->block, cluster % w->entries, count);
    return !err || node_fail_errno(w->s->node, w->error, err, "cannot be written");
}

/* Room for the blocks and the table themselves, which are counted, too: until nothing changes any more. Each time is a walk. */
static bool make_plan(Width *w, NodeProgress *progress, uint64_t *walks)
{
    Qcow2 *s = w->s;
    uint64_t before = 0, n;

    w->end = q_clusters(s, s->node->file->length);
    w->far = w->end + s->block_entries;
    need_index(w, 0);
    if (!walk(w, look)) {
        return false;
    }
    for (*walks = 1; before != (n = w->indices->len + w->table); ++*walks) {
        if (progress) {
            progress(*walks - 1, MAX(*walks + 1, 3));
            progress(*walks, MAX(*walks + 1, 3));
        }
        before = n;
        for (uint64_t i = 0; i < n; i++) {
            need_index(w, w->end + i);
        }
        if ((last_index(w) + 1) * 8 > QCOW2_MAX_REFTABLE) {
            return node_fail(s->node, w->error, "its refcounts do not fit into a table");
        }
        w->table = q_clusters(s, (last_index(w) + 1) * 8);
    }
    return true;
}

static bool write_blocks(Width *w)
{
    uint64_t own = w->indices->len + w->table;
    bool ok = walk(w, fill);

    for (uint64_t i = 0; i < own && ok; i++) {
        ok = fill(w, w->end + i, 1);
    }
    return ok && (!next_block(w) || node_fail(w->s->node, w->error, "cannot be written"));
}

static int write_table(const Width *w, uint64_t *table)
{
    Qcow2 *s = w->s;
    uint64_t bytes = w->table << s->cluster_bits;
    g_autofree uint8_t *data = g_malloc0(bytes);
    int err;

    for (guint i = 0; i < w->indices->len; i++) {
        uint64_t index = g_array_index(w->indices, uint64_t, i);

        table[index] = (w->end + i) << s->cluster_bits;
        bytes_put_be64(data + index * 8, table[index]);
    }
    err = node_pwrite(s->node->file, (w->end + w->indices->len) << s->cluster_bits, data, bytes);
    return err ? err : node_flush(s->node->file);
}

/* Makes the new structure the image's. */
static int switch_to(Width *w, uint64_t *table)
{
    Qcow2 *s = w->s, was = *s;
    int err;

    s->reftable = table;
    s->reftable_n = (uint32_t)((w->table << s->cluster_bits) / 8);
    s->reftable_offset = (w->end + w->indices->len) << s->cluster_bits;
    s->refcount_order = w->to.refcount_order;
    s->block_entries = w->entries;
    qcow2_header_fill(s);
    bytes_put_be32(s->head + QH_REFCOUNT_ORDER, s->refcount_order);
    err = qcow2_header_write(s, QH_REFTABLE_OFFSET, QH_REFCOUNT_ORDER + 4);
    err = err ? err : node_flush(s->node->file);
    if (err) {
        s->reftable = was.reftable;
        s->reftable_n = was.reftable_n;
        s->reftable_offset = was.reftable_offset;
        s->refcount_order = was.refcount_order;
        s->block_entries = was.block_entries;
        qcow2_header_fill(s);
        bytes_put_be32(s->head + QH_REFCOUNT_ORDER, s->refcount_order);
        return err;
    }
    g_free(was.reftable);
    qcow2_cache_drop(s);
    s->free_hint = s->compressed_next = 0;
    return 0;
}

static bool rewrite(Width *w, NodeProgress *progress)
{
    uint64_t walks;
    g_autofree uint64_t *table = NULL;
    int err;

    if (!list_structure(w) || !make_plan(w, progress, &walks)) {
        return false;
    }
    if (progress) {
        progress(walks - 1, walks);
    }
    if (!write_blocks(w)) {
        return false;
    }
    table = g_malloc0(w->table << w->s->cluster_bits);
    err = write_table(w, table);
    err = err ? err : switch_to(w, table);
    if (!err) {
        g_steal_pointer(&table);
    }
    return !err || node_fail_errno(w->s->node, w->error, err, "its refcounts cannot be written");
}

bool qcow2_set_refcount_width(Qcow2 *s, unsigned order, NodeProgress *progress, GError **error)
{
    Width w = { .s = s, .to.refcount_order = order, .error = error };
    bool ok;

    w.entries = s->cluster_size * 8 >> order;
    w.max = qcow2_refcount_max(&w.to);
    w.indices = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    w.block = g_malloc0(s->cluster_size);
    ok = rewrite(&w, progress);
    g_array_unref(w.indices);
    g_free(w.structure);
    g_free(w.block);
    return ok;
}
