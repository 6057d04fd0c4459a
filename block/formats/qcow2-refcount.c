/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host clusters of a qcow2 image: their refcounts, finding free ones, giving them back. A refcount block that is missing is put into the
 * first cluster that it describes; where the table ends it grows, and moves to the clusters behind those it described, which are free.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/qcow2.h"

bool qcow2_reftable_read(Qcow2 *s, GError **error)
{
    uint64_t bytes = (uint64_t)bytes_get_be32(s->head + QH_REFTABLE_CLUSTERS) << s->cluster_bits;

    s->reftable_offset = bytes_get_be64(s->head + QH_REFTABLE_OFFSET);
    if (bytes > QCOW2_MAX_REFTABLE) {
        return node_fail(s->node, error, "Reference count table too large");
    }
    if (!bytes) {
        return node_fail(s->node, error, "Image does not contain a reference count table");
    }
    if (s->reftable_offset % s->cluster_size || s->reftable_offset > s->node->file->length) {
        return node_fail(s->node, error, "Reference count table offset invalid");
    }
    s->reftable = g_try_malloc0(MAX(bytes, 8));
    if (!s->reftable) {
        return node_fail(s->node, error, "no memory for its refcount table");
    }
    if (qcow2_pread(s, s->reftable_offset, s->reftable, bytes)) {
        return node_fail(s->node, error, "its refcount table cannot be read");
    }
    s->reftable_n = (uint32_t)(bytes / 8);
    for (uint32_t i = 0; i < s->reftable_n; i++) {
        s->reftable[i] = GUINT64_FROM_BE(s->reftable[i]);
    }
    return true;
}

uint64_t qcow2_refcount_max(const Qcow2 *s)
{
    return UINT64_MAX >> (64 - (1u << s->refcount_order));
}

uint64_t qcow2_block_get(const Qcow2 *s, const uint8_t *block, uint64_t i)
{
    unsigned bits = 1u << s->refcount_order;

    switch (s->refcount_order) {
    case 6:
        return bytes_get_be64(block + i * 8);
    case 5:
        return bytes_get_be32(block + i * 4);
    case 4:
        return bytes_get_be16(block + i * 2);
    default:
        return block[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
    }
}

void qcow2_block_set(const Qcow2 *s, uint8_t *block, uint64_t i, uint64_t value)
{
    unsigned bits = 1u << s->refcount_order, shift = (unsigned)(i * bits % 8);
    uint8_t *p = block + i * bits / 8;

    switch (s->refcount_order) {
    case 6:
        bytes_put_be64(p, value);
        return;
    case 5:
        bytes_put_be32(p, (uint32_t)value);
        return;
    case 4:
        bytes_put_be16(p, (uint16_t)value);
        return;
    default:
        *p = (uint8_t)((*p & ~(((1u << bits) - 1) << shift)) | (unsigned)value << shift);
    }
}

/* The block that describes @cluster; NULL: there is none, they are all 0. */
static int block_of(Qcow2 *s, uint64_t cluster, Qcow2Table **t)
{
    uint64_t index = cluster / s->block_entries;

    *t = NULL;
    if (index >= s->reftable_n || !s->reftable[index]) {
        return 0;
    }
    if (s->reftable[index] % s->cluster_size) {
        return qcow2_corrupt(s,
                             "Refblock offset %#" G_GINT64_MODIFIER
                             "x unaligned (reftable index: %#" G_GINT64_MODIFIER "x)",
                             s->reftable[index], index);
    }
    return qcow2_table_get(s, s->reftable[index], true, t);
}

int qcow2_refcount_get(Qcow2 *s, uint64_t cluster, uint64_t *value)
{
    Qcow2Table *t;
    int err = block_of(s, cluster, &t);

    *value = !err && t ? qcow2_block_get(s, t->data, cluster % s->block_entries) : 0;
    return err;
}

uint64_t qcow2_refcount_find_other(Qcow2 *s, uint64_t from, uint64_t to, const uint32_t *wanted)
{
    Qcow2Table *t;

    if (block_of(s, from, &t)) {
        return from;
    }
    if (!wanted && from % s->block_entries == 0 &&
        (!t || bytes_are_zero(t->data, s->cluster_size))) {
        return to;
    }
    for (uint64_t i = from; i < to; i++) {
        uint64_t value = t ? qcow2_block_get(s, t->data, i % s->block_entries) : 0;

        if (value != (wanted ? wanted[i - from] : 0)) {
            return i;
        }
    }
    return to;
}

static void set_in(Qcow2 *s, Qcow2Table *t, uint64_t cluster, uint64_t value)
{
    uint64_t i = cluster % s->block_entries;
    uint32_t at = (uint32_t)(i << s->refcount_order >> 3);

    qcow2_block_set(s, t->data, i, value);
    qcow2_table_touch(s, t, at, at + MAX(1u << s->refcount_order >> 3, 1u));
}

int qcow2_refcount_set(Qcow2 *s, uint64_t cluster, uint64_t value)
{
    Qcow2Table *t;
    int err = block_of(s, cluster, &t);

    if (!err && t) {
        set_in(s, t, cluster, value);
        if (!value) {
            s->free_hint = MIN(s->free_hint, cluster);
        }
    }
    return err ? err : t ? 0 : -EIO;
}

int qcow2_refcount_add(Qcow2 *s, uint64_t cluster, uint64_t n)
{
    uint64_t value;
    int err = 0;

    for (; n && !err; n--, cluster++) {
        err = qcow2_refcount_get(s, cluster, &value);
        if (!err && value >= qcow2_refcount_max(s)) {
            err = -EFBIG;
        }
        err = err ? err : qcow2_refcount_set(s, cluster, value + 1);
    }
    return err;
}

/* What was unpacked may be of a cluster that comes to mean something else. */
static void forget_unpacked(Qcow2 *s)
{
    g_mutex_lock(&s->unpacked_lock);
    s->unpacked_entry = 0;
    g_mutex_unlock(&s->unpacked_lock);
}

void qcow2_refcount_sub(Qcow2 *s, uint64_t cluster, uint64_t n)
{
    uint64_t value;

    for (; n; n--, cluster++) {
        if (qcow2_refcount_get(s, cluster, &value) || !value) {
            continue; /* a damaged image: it leaks */
        }
        if (qcow2_refcount_set(s, cluster, value - 1) == 0 && value == 1) {
            qcow2_table_drop(s, cluster << s->cluster_bits);
            forget_unpacked(s);
            if (s->compressed_next >> s->cluster_bits == cluster) {
                s->compressed_next = 0;
            }
        }
    }
}

static bool overlaps(uint64_t offset, uint64_t len, uint64_t with, uint64_t with_len)
{
    return offset < with + with_len && with < offset + len;
}

const char *qcow2_metadata_at(Qcow2 *s, uint64_t offset)
{
    const Qcow2Table *t = g_hash_table_lookup(s->tables, &offset);

    if (!offset) {
        return "qcow2_header";
    }
    if (overlaps(offset, s->cluster_size, s->l1_offset, (uint64_t)s->l1_size * 8)) {
        return "active L1 table";
    }
    if (overlaps(offset, s->cluster_size, s->reftable_offset, (uint64_t)s->reftable_n * 8)) {
        return "refcount table";
    }
    if (overlaps(offset, s->cluster_size, s->snapshots_offset, s->snapshots_bytes)) {
        return "snapshot table";
    }
    if (overlaps(offset, s->cluster_size, s->bitmaps_offset, s->bitmaps_size)) {
        return "bitmap directory";
    }
    return !t ? NULL : t->refcounts ? "refcount block" : "active L2 table";
}

/* ---- New refcount blocks ---- */

/* Puts the block that describes @cluster, which is free, there. */
static int make_block(Qcow2 *s, uint64_t cluster)
{
    uint64_t index = cluster / s->block_entries;
    uint64_t offset = cluster << s->cluster_bits;

    if (qcow2_metadata_at(s, offset)) {
        return qcow2_corrupt_overlap(s, offset, "refcount block");
    }
    set_in(s, qcow2_table_new(s, offset, true), cluster, 1);
    s->reftable[index] = offset;
    qcow2_reftable_touch(s, (uint32_t)index);
    return 0;
}

/* Entries of a table that has at least @n: whole clusters. */
static uint64_t table_entries(const Qcow2 *s, uint64_t n)
{
    n = MAX(n, (uint64_t)s->reftable_n + s->reftable_n / 2);
    return q_clusters(s, n * 8) * s->cluster_size / 8;
}

static int replace_table(Qcow2 *s, uint64_t offset, uint64_t n)
{
    uint64_t *table = g_try_realloc(s->reftable, n * 8);

    if (!table) {
        return -ENOMEM;
    }
    memset(table + s->reftable_n, 0, (n - s->reftable_n) * 8);
    qcow2_free(s, s->reftable_offset, q_clusters(s, (uint64_t)s->reftable_n * 8));
    s->reftable = table;
    s->reftable_n = (uint32_t)n;
    s->reftable_offset = offset;
    s->reftable_moved = true;
    return 0;
}

/* The first block's index that is behind all that are there. */
static uint64_t blocks_end(const Qcow2 *s)
{
    uint64_t n = s->reftable_n;

    while (n && !s->reftable[n - 1]) {
        n--;
    }
    return n;
}

/* Blocks for at least @count clusters that are free, behind all that are described; and a larger table if it takes one. */
static int extend(Qcow2 *s, uint64_t count)
{
    uint64_t first = blocks_end(s), at = first * s->block_entries;
    uint64_t blocks = 1, entries = s->reftable_n, table = 0, need;
    int err = 0;

    while ((need = (count + blocks + table + s->block_entries - 1) / s->block_entries) > blocks ||
           first + blocks > entries) {
        blocks = MAX(blocks, need);
        if (first + blocks > entries) {
            entries = table_entries(s, first + blocks);
            table = q_clusters(s, entries * 8);
        }
    }
    if (entries * 8 > QCOW2_MAX_REFTABLE ||
        at + blocks * s->block_entries > QE_OFFSET >> s->cluster_bits) {
        return -EFBIG;
    }
    for (uint64_t i = 0; i < table + blocks; i++) {
        if (qcow2_metadata_at(s, (at + i) << s->cluster_bits)) {
            return qcow2_corrupt_overlap(s, (at + i) << s->cluster_bits, "refcount block");
        }
    }
    if (table) {
        err = replace_table(s, at << s->cluster_bits, entries);
    }
    for (uint64_t i = 0; i < blocks && !err; i++) {
        uint64_t offset = (at + table + i) << s->cluster_bits;

        qcow2_table_new(s, offset, true);
        s->reftable[first + i] = offset;
        qcow2_reftable_touch(s, (uint32_t)(first + i));
    }
    for (uint64_t i = 0; i < table + blocks && !err; i++) {
        err = qcow2_refcount_set(s, at + i, 1);
    }
    return err;
}

/* Sees to it that there is a block for @cluster, which may then no longer be free. */
static int need_block(Qcow2 *s, uint64_t cluster)
{
    uint64_t index = cluster / s->block_entries;

    if (index < s->reftable_n && s->reftable[index]) {
        return 0;
    }
    return index < blocks_end(s) ? make_block(s, cluster) : extend(s, 1);
}

/* ---- Allocation ---- */

static int claim(Qcow2 *s, uint64_t first, uint64_t n, const char *what)
{
    int err = 0;

    for (uint64_t i = first; i < first + n; i++) {
        if (qcow2_metadata_at(s, i << s->cluster_bits)) {
            return qcow2_corrupt_overlap(s, i << s->cluster_bits, what);
        }
    }
    for (uint64_t i = first; i < first + n && !err; i++) {
        err = qcow2_refcount_set(s, i, 1);
    }
    return err;
}

/* The first free cluster from @*at on, and in *@n how many follow in its block, of @want. */
static int find_free(Qcow2 *s, uint64_t want, uint64_t *at, uint64_t *n)
{
    for (;;) {
        uint64_t i = *at % s->block_entries, end;
        Qcow2Table *t;
        int err = need_block(s, *at);

        err = err ? err : block_of(s, *at, &t);
        if (err) {
            return err;
        }
        while (i < s->block_entries && qcow2_block_get(s, t->data, i)) {
            i++;
        }
        *at += i - *at % s->block_entries;
        if (i == s->block_entries) {
            continue;
        }
        end = MIN(s->block_entries, i + want);
        *n = 1;
        while (i + *n < end && !qcow2_block_get(s, t->data, i + *n)) {
            ++*n;
        }
        return 0;
    }
}

static int alloc(Qcow2 *s, uint64_t want, const char *what, uint64_t *offset, uint64_t *got)
{
    uint64_t at = s->free_hint;
    int err = find_free(s, want, &at, got);

    err = err ? err : claim(s, at, *got, what);
    if (!err) {
        s->free_hint = at + *got;
        *offset = at << s->cluster_bits;
    }
    return err;
}

int qcow2_alloc(Qcow2 *s, uint64_t want, uint64_t *offset, uint64_t *got)
{
    return alloc(s, want, NULL, offset, got);
}

int qcow2_alloc_for(Qcow2 *s, const char *what, uint64_t *offset)
{
    uint64_t got;

    return alloc(s, 1, what, offset, &got);
}

int qcow2_alloc_exactly(Qcow2 *s, uint64_t n, uint64_t *offset)
{
    uint64_t at = s->free_hint, run = 0, got;
    int err;

    while (run < n) {
        uint64_t next = at + run;

        if (next / s->block_entries >= blocks_end(s) && (err = extend(s, n))) {
            return err;
        }
        err = find_free(s, n - run, &next, &got);
        if (err) {
            return err;
        }
        if (next != at + run) {
            at = next;
            run = 0;
        }
        run += got;
    }
    *offset = at << s->cluster_bits;
    return claim(s, at, n, NULL);
}

int qcow2_alloc_bytes(Qcow2 *s, uint64_t bytes, uint64_t *offset)
{
    uint64_t at = s->compressed_next, used = at & (s->cluster_size - 1), count = 0;
    uint64_t cluster = at >> s->cluster_bits;
    int err = 0;

    if (at && bytes <= s->cluster_size - used) {
        err = qcow2_refcount_get(s, cluster, &count);
    }
    if (!err && count && count < qcow2_refcount_max(s)) {
        err = qcow2_refcount_set(s, cluster, count + 1);
    } else if (!err) {
        err = qcow2_alloc_for(s, "compressed cluster", &at);
    }
    if (!err) {
        *offset = at;
        s->compressed_next = (at + bytes) & (s->cluster_size - 1) ? at + bytes : 0;
    }
    return err;
}

/* ---- Giving back ---- */

void qcow2_free(Qcow2 *s, uint64_t offset, uint64_t clusters)
{
    Qcow2Run run = { offset >> s->cluster_bits, clusters };

    if (!clusters) {
        return;
    }
    if (s->freed->len) {
        Qcow2Run *last = &g_array_index(s->freed, Qcow2Run, s->freed->len - 1);

        if (last->first + last->n == run.first) {
            last->n += run.n;
            return;
        }
    }
    g_array_append_val(s->freed, run);
}

void qcow2_compressed_extent(const Qcow2 *s, uint64_t entry, uint64_t *offset, uint64_t *bytes)
{
    unsigned x = 62 - (s->cluster_bits - 8);
    uint64_t sectors = (entry & (QE_COMPRESSED - 1)) >> x;

    *offset = entry & ((1ull << x) - 1);
    *bytes = (sectors + 1) * BLOCK_SECTOR - *offset % BLOCK_SECTOR;
}

void qcow2_free_entry(Qcow2 *s, uint64_t entry)
{
    uint64_t offset, bytes;

    if (entry & QE_COMPRESSED) {
        qcow2_compressed_extent(s, entry, &offset, &bytes);
        qcow2_free(s, offset,
                   ((offset + bytes - 1) >> s->cluster_bits) - (offset >> s->cluster_bits) + 1);
    } else if (!s->external && (entry & QE_OFFSET)) {
        qcow2_free(s, entry & QE_OFFSET, 1);
    }
}
