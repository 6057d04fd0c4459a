/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clusters of zeroes of a qcow2 image become what version 2 has, too: without an image behind nothing at all, else clusters that are
 * full of zeroes. Each L2 table is changed where it is, once, however many snapshots share it: what they read stays the same, so that
 * the image is whole at any cut. All here runs alone.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/qcow2.h"

typedef struct Expand {
    Qcow2 *s;
    NodeProgress *progress;
    uint64_t done, total; /* L1 entries */
    GHashTable *seen;     /* L2 tables */
    uint8_t *zeroes;      /* a cluster */
} Expand;

/* @n references less. */
static void drop(Qcow2 *s, uint64_t host, uint64_t n)
{
    for (; n; n--) {
        qcow2_free(s, host, 1);
    }
}

/* A new cluster of zeroes with @count references. */
static int zero_cluster(Expand *x, uint64_t *host, uint64_t count)
{
    Qcow2 *s = x->s;
    uint64_t got;
    int err = qcow2_alloc(s, 1, host, &got);

    err = err ? err : qcow2_refcount_set(s, *host >> s->cluster_bits, count);
    return err ? err : node_pwrite(s->node->file, *host, x->zeroes, s->cluster_size);
}

/* Entry @i of the table at @offset, to which @count L1 tables refer. */
static int expand_entry(Expand *x, uint64_t offset, uint64_t i, uint64_t count, bool active)
{
    Qcow2 *s = x->s;
    uint64_t entry, bitmap, host = 0;
    Qcow2Table *t;
    Qcow2Kind kind;
    int err = qcow2_make_room(s);

    err = err ? err : qcow2_table_get(s, offset, false, &t);
    if (err) {
        return err;
    }
    qcow2_entry_get(s, t, i, &entry, &bitmap);
    if (!qcow2_entry_kind(s, entry, bitmap, 0, &kind)) {
        return -EIO;
    }
    if (kind != QK_ZERO) {
        return 0;
    }
    err = s->has_backing ? zero_cluster(x, &host, count) : 0;
    err = err ? err : qcow2_table_get(s, offset, false, &t);
    if (!err) {
        drop(s, entry & QE_OFFSET, entry & QE_OFFSET ? count : 0);
        qcow2_entry_set(s, t, i, host | (host && count == 1 && active ? QE_COPIED : 0), 0);
    }
    return err;
}

static int expand_table(Expand *x, uint64_t offset, bool active)
{
    Qcow2 *s = x->s;
    uint64_t count;
    int err = qcow2_refcount_get(s, offset >> s->cluster_bits, &count);

    if (!err && (!count || count > s->snapshots->len + 1)) {
        return -EIO;
    }
    for (uint64_t i = 0; i < 1ull << s->l2_bits && !err; i++) {
        err = expand_entry(x, offset, i, count, active);
    }
    return err;
}

static int expand_tree(Expand *x, const uint64_t *l1, uint32_t n, bool active)
{
    int err = 0;

    for (uint32_t i = 0; i < n && !err; i++) {
        uint64_t offset = l1[i] & QE_OFFSET;

        if (offset && g_hash_table_add(x->seen, g_memdup2(&offset, sizeof(offset)))) {
            err = expand_table(x, offset, active);
        }
        if (x->progress) {
            x->progress(++x->done, x->total);
        }
    }
    return err;
}

static int expand_all(Expand *x)
{
    Qcow2 *s = x->s;
    int err = expand_tree(x, s->l1, s->l1_size, true);

    for (guint i = 0; i < s->snapshots->len && !err; i++) {
        const Qcow2Snapshot *sn = g_ptr_array_index(s->snapshots, i);
        g_autofree uint64_t *l1 = qcow2_l1_read(s, sn->l1_offset, sn->l1_size, &err);

        err = err ? err : expand_tree(x, l1, sn->l1_size, false);
    }
    return err;
}

int qcow2_expand_zeroes(Qcow2 *s, NodeProgress *progress)
{
    Expand x = { .s = s, .progress = progress, .total = s->l1_size };
    int err;

    for (guint i = 0; i < s->snapshots->len; i++) {
        x.total += ((const Qcow2Snapshot *)g_ptr_array_index(s->snapshots, i))->l1_size;
    }
    x.seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    x.zeroes = g_malloc0(s->cluster_size);
    err = expand_all(&x);
    g_hash_table_unref(x.seen);
    g_free(x.zeroes);
    return err;
}
