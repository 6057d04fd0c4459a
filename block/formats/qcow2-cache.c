/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2's tables in memory, the order in which they reach the disk, and the operations that may use them (see qcow2.h).
 *
 * A flush copies what is dirty under the lock and writes the copies without it, so that accesses go on meanwhile. A table that is being
 * written stays in memory; if the write fails it is dirty again.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/qcow2.h"

enum { CACHE_BYTES = 32 << 20, MIN_TABLES = 16, MAX_FREED_RUNS = 65536 };

int qcow2_pread(Qcow2 *s, uint64_t offset, void *buf, uint64_t bytes)
{
    struct iovec iov = { buf, bytes };
    IovCursor c = { &iov, 1, 0 };

    if (offset > NODE_MAX_LENGTH || bytes > NODE_MAX_LENGTH - offset) {
        return -EIO;
    }
    return bytes ? s->node->file->driver->read(s->node->file, offset, bytes, &c) : 0;
}

/* ---- Operations ---- */

static void release(Qcow2 *s, GArray *runs)
{
    for (guint i = 0; i < runs->len; i++) {
        const Qcow2Run *r = &g_array_index(runs, Qcow2Run, i);

        qcow2_refcount_sub(s, r->first, r->n);
    }
    g_array_set_size(runs, 0);
}

/* Makes available what nobody can see any more. */
static void advance(Qcow2 *s)
{
    if (s->grace->len && !s->in_flight[s->grace_epoch]) {
        release(s, s->grace);
    }
    if (!s->grace->len && s->synced->len) {
        GArray *runs = s->synced;

        s->synced = s->grace;
        s->grace = runs;
        s->grace_epoch = s->epoch;
        s->epoch ^= 1;
        if (!s->in_flight[s->grace_epoch]) {
            release(s, s->grace);
        }
    }
}

void qcow2_begin(Qcow2 *s, unsigned *op)
{
    g_mutex_lock(&s->lock);
    while (s->alone) {
        g_cond_wait(&s->cond, &s->lock);
    }
    *op = s->epoch;
    s->in_flight[*op]++;
}

void qcow2_end(Qcow2 *s, unsigned op)
{
    s->in_flight[op]--;
    advance(s);
    if (s->alone) {
        g_cond_broadcast(&s->cond);
    }
    g_mutex_unlock(&s->lock);
}

void qcow2_alone_begin(Qcow2 *s)
{
    g_mutex_lock(&s->lock);
    while (s->alone) {
        g_cond_wait(&s->cond, &s->lock);
    }
    s->alone = true;
    while (s->in_flight[0] || s->in_flight[1]) {
        g_cond_wait(&s->cond, &s->lock);
    }
}

void qcow2_alone_end(Qcow2 *s)
{
    s->alone = false;
    g_cond_broadcast(&s->cond);
    g_mutex_unlock(&s->lock);
}

/* ---- Tables ---- */

static void table_free(gpointer p)
{
    Qcow2Table *t = p;

    g_free(t->data);
    g_free(t);
}

static bool is_dirty(const Qcow2Table *t)
{
    return t->dirty_from < t->dirty_to;
}

void qcow2_cache_init(Qcow2 *s)
{
    s->tables = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, table_free);
    g_queue_init(&s->lru);
    s->max_tables = MAX((uint64_t)CACHE_BYTES >> s->cluster_bits, MIN_TABLES);
}

void qcow2_cache_free(Qcow2 *s)
{
    g_clear_pointer(&s->tables, g_hash_table_destroy);
}

void qcow2_cache_drop(Qcow2 *s)
{
    g_hash_table_remove_all(s->tables);
    g_queue_init(&s->lru);
    s->dirty_tables = 0;
}

static void forget(Qcow2 *s, Qcow2Table *t)
{
    s->dirty_tables -= is_dirty(t);
    g_queue_unlink(&s->lru, &t->link);
    g_hash_table_remove(s->tables, &t->offset);
}

void qcow2_table_drop(Qcow2 *s, uint64_t offset)
{
    Qcow2Table *t = g_hash_table_lookup(s->tables, &offset);

    if (t && !t->writing) {
        forget(s, t);
    }
}

static void evict(Qcow2 *s)
{
    GList *next;

    for (GList *l = s->lru.tail; l && s->lru.length >= s->max_tables; l = next) {
        Qcow2Table *t = l->data;

        next = l->prev;
        if (!is_dirty(t) && !t->writing) {
            forget(s, t);
        }
    }
}

static Qcow2Table *add(Qcow2 *s, uint64_t offset, bool refcounts, uint8_t *data)
{
    Qcow2Table *t = g_new0(Qcow2Table, 1);

    t->offset = offset;
    t->refcounts = refcounts;
    t->data = data;
    t->link.data = t;
    g_hash_table_insert(s->tables, &t->offset, t);
    g_queue_push_head_link(&s->lru, &t->link);
    return t;
}

Qcow2Table *qcow2_table_peek(Qcow2 *s, uint64_t offset)
{
    Qcow2Table *t = g_hash_table_lookup(s->tables, &offset);

    if (t && s->lru.head != &t->link) {
        g_queue_unlink(&s->lru, &t->link);
        g_queue_push_head_link(&s->lru, &t->link);
    }
    return t;
}

int qcow2_table_get(Qcow2 *s, uint64_t offset, bool refcounts, Qcow2Table **t)
{
    g_autofree uint8_t *data = NULL;
    int err;

    *t = qcow2_table_peek(s, offset);
    if (*t) {
        return (*t)->refcounts == refcounts ? 0 : -EIO;
    }
    if (!offset || offset % s->cluster_size || offset >= q_file_length(s)) {
        return -EIO;
    }
    evict(s);
    data = g_try_malloc(s->cluster_size);
    if (!data) {
        return -ENOMEM;
    }
    node_event(s->node->file, refcounts ? "refblock_load" : "l2_load");
    err = qcow2_pread(s, offset, data, s->cluster_size);
    if (!err) {
        *t = add(s, offset, refcounts, g_steal_pointer(&data));
    }
    return err;
}

Qcow2Table *qcow2_table_new(Qcow2 *s, uint64_t offset, bool refcounts)
{
    Qcow2Table *t;

    qcow2_table_drop(s, offset);
    evict(s);
    t = add(s, offset, refcounts, g_malloc0(s->cluster_size));
    qcow2_table_touch(s, t, 0, (uint32_t)s->cluster_size);
    return t;
}

void qcow2_table_touch(Qcow2 *s, Qcow2Table *t, uint32_t from, uint32_t to)
{
    if (!is_dirty(t)) {
        t->dirty_from = from;
        t->dirty_to = to;
        s->dirty_tables++;
    } else {
        t->dirty_from = MIN(t->dirty_from, from);
        t->dirty_to = MAX(t->dirty_to, to);
    }
}

static void touch_range(uint32_t *from, uint32_t *to, uint32_t index)
{
    *from = *from < *to ? MIN(*from, index) : index;
    *to = MAX(*to, index + 1);
}

void qcow2_l1_touch(Qcow2 *s, uint32_t index)
{
    touch_range(&s->l1_dirty_from, &s->l1_dirty_to, index);
}

void qcow2_reftable_touch(Qcow2 *s, uint32_t index)
{
    touch_range(&s->reftable_dirty_from, &s->reftable_dirty_to, index);
}

/* ---- Flushing ---- */

typedef struct Piece {
    Qcow2Table *table;
    uint64_t offset;
    uint32_t from, to; /* what was dirty */
    uint8_t *data;     /* a copy of it */
} Piece;

typedef struct Batch {
    GArray *blocks, *l2; /* Piece */
    Piece reftable, l1;
    bool reftable_moved;
    uint8_t where[12]; /* of the reftable, as in the header */
    GArray *freed;
} Batch;

static void take_table(Qcow2 *s, Batch *b, Qcow2Table *t)
{
    Piece p = {
        .table = t, .offset = t->offset + t->dirty_from, .from = t->dirty_from, .to = t->dirty_to
    };

    p.data = g_malloc(p.to - p.from);
    memcpy(p.data, t->data + p.from, p.to - p.from);
    g_array_append_val(t->refcounts ? b->blocks : b->l2, p);
    t->dirty_from = t->dirty_to = 0;
    t->writing = true;
    s->dirty_tables--;
}

/* Entries @from .. @to - 1 of @table, as in the file. */
static Piece take_entries(const uint64_t *table, uint64_t offset, uint32_t from, uint32_t to)
{
    Piece p = { .offset = offset + (uint64_t)from * 8, .from = from, .to = to };

    p.data = to > from ? g_malloc((size_t)(to - from) * 8) : NULL;
    for (uint32_t i = from; i < to; i++) {
        bytes_put_be64(p.data + (size_t)(i - from) * 8, table[i]);
    }
    return p;
}

/* @lazily: but for refcounts. A table that has moved is one more reason to write them: what it was in is free then. */
static void take_batch(Qcow2 *s, Batch *b, bool lazily)
{
    bool all = !lazily || s->reftable_moved;
    uint32_t from = s->reftable_dirty_from, to = s->reftable_dirty_to;

    b->blocks = g_array_new(FALSE, FALSE, sizeof(Piece));
    b->l2 = g_array_new(FALSE, FALSE, sizeof(Piece));
    for (GList *l = s->dirty_tables ? s->lru.head : NULL; l; l = l->next) {
        Qcow2Table *t = l->data;

        if (is_dirty(t) && (all || !t->refcounts)) {
            take_table(s, b, t);
        }
    }
    if (s->reftable_moved) {
        from = 0;
        to = s->reftable_n;
        qcow2_header_fill(s);
        memcpy(b->where, s->head + QH_REFTABLE_OFFSET, sizeof(b->where));
    }
    b->reftable_moved = s->reftable_moved;
    if (all) {
        b->reftable = take_entries(s->reftable, s->reftable_offset, from, to);
        s->reftable_dirty_from = s->reftable_dirty_to = 0;
    }
    b->l1 = take_entries(s->l1, s->l1_offset, s->l1_dirty_from, s->l1_dirty_to);
    s->l1_dirty_from = s->l1_dirty_to = 0;
    s->reftable_moved = false;
    b->freed = s->freed;
    s->freed = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
}

static int write_pieces(Qcow2 *s, GArray *pieces)
{
    int err = 0;

    for (guint i = 0; i < pieces->len && !err; i++) {
        const Piece *p = &g_array_index(pieces, Piece, i);

        err = node_pwrite(s->node->file, p->offset, p->data, p->to - p->from);
    }
    return err;
}

static int write_entries(Qcow2 *s, const Piece *p)
{
    return node_pwrite(s->node->file, p->offset, p->data, (uint64_t)(p->to - p->from) * 8);
}

static int sync_file(Qcow2 *s, int err)
{
    return err ? err : node_flush(s->node->file);
}

static int write_refcounts(Qcow2 *s, const Batch *b)
{
    int err = write_pieces(s, b->blocks);

    if (err || b->reftable.from == b->reftable.to) {
        return err;
    }
    err = sync_file(s, err);
    err = err ? err : write_entries(s, &b->reftable);
    if (!err && b->reftable_moved) {
        err = sync_file(s, err);
        err =
            err ? err : node_pwrite(s->node->file, QH_REFTABLE_OFFSET, b->where, sizeof(b->where));
    }
    return err;
}

static int write_batch(Qcow2 *s, const Batch *b)
{
    int err = s->external ? node_flush(s->data) : 0;

    err = err ? err : write_refcounts(s, b);
    err = sync_file(s, err);
    if (!err && b->l2->len) {
        err = sync_file(s, write_pieces(s, b->l2));
    }
    if (!err && b->l1.from < b->l1.to) {
        err = sync_file(s, write_entries(s, &b->l1));
    }
    return err;
}

static void finish_pieces(Qcow2 *s, GArray *pieces, int err)
{
    for (guint i = 0; i < pieces->len; i++) {
        Piece *p = &g_array_index(pieces, Piece, i);

        p->table->writing = false;
        if (err) {
            qcow2_table_touch(s, p->table, p->from, p->to);
        }
        g_free(p->data);
    }
    g_array_unref(pieces);
}

static void finish_batch(Qcow2 *s, Batch *b, int err)
{
    finish_pieces(s, b->blocks, err);
    finish_pieces(s, b->l2, err);
    if (err) {
        for (uint32_t i = b->reftable.from; i < b->reftable.to; i++) {
            qcow2_reftable_touch(s, i);
        }
        for (uint32_t i = b->l1.from; i < b->l1.to; i++) {
            qcow2_l1_touch(s, i);
        }
        s->reftable_moved |= b->reftable_moved;
    }
    g_array_append_vals(err ? s->freed : s->synced, b->freed->data, b->freed->len);
    g_array_unref(b->freed);
    g_free(b->reftable.data);
    g_free(b->l1.data);
}

static int flush(Qcow2 *s, bool lazily)
{
    Batch b = { 0 };
    int err;

    while (s->flushing) {
        g_cond_wait(&s->cond, &s->lock);
    }
    s->flushing = true;
    take_batch(s, &b, lazily);
    g_mutex_unlock(&s->lock);
    err = write_batch(s, &b);
    g_mutex_lock(&s->lock);
    finish_batch(s, &b, err);
    advance(s);
    s->flushing = false;
    g_cond_broadcast(&s->cond);
    return err;
}

int qcow2_flush(Qcow2 *s)
{
    return flush(s, false);
}

int qcow2_flush_lazily(Qcow2 *s)
{
    return flush(s, s->lazy);
}

int qcow2_flush_all(Qcow2 *s)
{
    int err = qcow2_flush(s);

    return err || !s->dirty_tables ? err : qcow2_flush(s);
}

int qcow2_make_room(Qcow2 *s)
{
    return s->dirty_tables > s->max_tables / 2 || s->freed->len > MAX_FREED_RUNS ? qcow2_flush(s)
                                                                                 : 0;
}
