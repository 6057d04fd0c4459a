/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing to a qcow2 image. A write is carried out in steps, each of which is within one L2 table and of one kind: in place, where clusters
 * are this image's own; or into clusters that are new or not yet in use, together with what is copied around it (from the backing image,
 * a snapshot's cluster or a compressed one), after which the L2 entries are changed in memory.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/qcow2.h"

enum { ZEROES = 1 << 20, MAX_STEP = 64 << 20, STEPS_ALONE = 1024 };

/* ---- L2 entries ---- */

void qcow2_entry_set(Qcow2 *s, Qcow2Table *t, uint64_t i, uint64_t entry, uint64_t bitmap)
{
    uint32_t at = (uint32_t)i * s->entry_bytes;

    bytes_put_be64(t->data + at, entry);
    if (s->extended) {
        bytes_put_be64(t->data + at + 8, bitmap);
    }
    qcow2_table_touch(s, t, at, at + s->entry_bytes);
}

/* A table of this image's own in the place of the one that L1 entry @index has, or has not. */
static int renew_l2(Qcow2 *s, uint64_t index, Qcow2Table *old, Qcow2Table **t)
{
    g_autofree uint8_t *copy = NULL;
    uint64_t offset;
    int err;

    if (old) {
        copy = g_memdup2(old->data, s->cluster_size);
    }
    err = qcow2_alloc_for(s, "L2 table", &offset);
    if (err) {
        return err;
    }
    *t = qcow2_table_new(s, offset, false);
    if (copy) {
        memcpy((*t)->data, copy, s->cluster_size);
        qcow2_free(s, s->l1[index] & QE_OFFSET, 1);
    }
    s->l1[index] = offset | QE_COPIED;
    qcow2_l1_touch(s, (uint32_t)index);
    return 0;
}

int qcow2_l2_for_write(Qcow2 *s, uint64_t index, Qcow2Table **t)
{
    int err = index < s->l1_size ? qcow2_l2_get(s, index, t) : -EIO;

    if (err || (*t && (s->l1[index] & QE_COPIED))) {
        return err;
    }
    return renew_l2(s, index, *t, t);
}

static uint64_t l1_index(const Qcow2 *s, uint64_t offset)
{
    return offset >> (s->l2_bits + s->cluster_bits);
}

static uint64_t l2_index(const Qcow2 *s, uint64_t offset)
{
    return offset >> s->cluster_bits & ((1ull << s->l2_bits) - 1);
}

/* ---- Busy clusters ---- */

static bool is_busy(const Qcow2 *s, uint64_t first, uint64_t last)
{
    for (const Qcow2Busy *b = s->busy; b; b = b->next) {
        if (first <= b->last && b->first <= last) {
            return true;
        }
    }
    return false;
}

/* Before the mapping of [@offset, @offset + @bytes) is looked at to be changed. */
static int settle(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    int err = qcow2_make_room(s);

    while (is_busy(s, offset >> s->cluster_bits, (offset + bytes - 1) >> s->cluster_bits)) {
        g_cond_wait(&s->cond, &s->lock);
    }
    return err;
}

static void busy_begin(Qcow2 *s, Qcow2Busy *b, uint64_t offset, uint64_t bytes)
{
    b->first = offset >> s->cluster_bits;
    b->last = (offset + bytes - 1) >> s->cluster_bits;
    b->next = s->busy;
    s->busy = b;
}

static void busy_end(Qcow2 *s, Qcow2Busy *b)
{
    Qcow2Busy **p = &s->busy;

    while (*p != b) {
        p = &(*p)->next;
    }
    *p = b->next;
    g_cond_broadcast(&s->cond);
}

/* ---- One step of a write ---- */

typedef struct Step {
    uint64_t offset, bytes; /* of the guest's */
    uint64_t wanted;        /* .bytes before it was planned */
    bool keep;              /* clusters with data stay out of a step that changes the L2 table */
    uint64_t from, to;      /* the guest range that is written: with what is copied around it */
    uint64_t host;          /* of @from */
    bool mapped;            /* nothing changes in the L2 table */
    bool fresh;             /* new host clusters, */
    bool sparse;            /* that are behind the file's end, where all is zero */
    uint64_t n;             /* clusters */
} Step;

/* May the host cluster of this entry be written to? */
static bool is_own(const Qcow2 *s, uint64_t entry)
{
    return !(entry & QE_COMPRESSED) && (entry & QE_COPIED) && ((entry & QE_OFFSET) || s->external);
}

static bool has_content(const Qcow2 *s, uint64_t entry, uint64_t bitmap)
{
    return (entry & QE_COMPRESSED) ||
           (s->extended ? (uint32_t)bitmap != 0 : (entry & QE_OFFSET) && !(entry & QE_ZERO));
}

static bool entry_valid(const Qcow2 *s, uint64_t entry, uint64_t bitmap)
{
    Qcow2Kind kind;

    for (unsigned i = 0; i < (s->extended ? QCOW2_SUBCLUSTERS : 1); i++) {
        if (!qcow2_entry_kind(s, entry, bitmap, i, &kind)) {
            return false;
        }
    }
    return true;
}

/* Guest data may be in [@host, @host + @bytes), which is mapped: behind the file's end nothing that is mapped can be. */
static bool may_write(Qcow2 *s, uint64_t host, uint64_t bytes)
{
    uint64_t end = q_clusters(s, q_file_length(s)) << s->cluster_bits;

    if (s->external || host >= end || bytes > end - host) {
        return s->external;
    }
    host &= ~(s->cluster_size - 1);
    return !qcow2_metadata_at(s, host) || qcow2_corrupt_overlap(s, host, NULL) == 0;
}

/* Own clusters with data in one piece: to be written in place. */
static bool plan_in_place(Qcow2 *s, Step *p)
{
    Qcow2Extent x;

    p->wanted = p->bytes;

    if (qcow2_lookup(s, p->offset, p->bytes, &x) || x.kind != QK_DATA || !x.copied ||
        !may_write(s, x.host, x.bytes)) {
        return false;
    }
    p->mapped = true;
    p->bytes = x.bytes;
    p->from = p->offset;
    p->to = p->offset + p->bytes;
    p->host = x.host;
    return true;
}

/* How many clusters from entry @i on, of @max, need new host clusters. */
static uint64_t count_missing(const Qcow2 *s, const Qcow2Table *t, uint64_t i, uint64_t max)
{
    uint64_t n = 0, entry, bitmap;

    for (; n < max; n++) {
        qcow2_entry_get(s, t, i + n, &entry, &bitmap);
        if (is_own(s, entry) || !entry_valid(s, entry, bitmap)) {
            break;
        }
    }
    return n;
}

/* What must be written before @p->offset (@end: behind its end): up to the subcluster's edge, or the cluster's if that was elsewhere. */
static uint64_t copy_edge(const Qcow2 *s, const Qcow2Table *t, uint64_t at, bool end, bool fresh)
{
    uint64_t probe = end ? at - 1 : at, unit, entry, bitmap;
    Qcow2Kind kind;

    qcow2_entry_get(s, t, l2_index(s, probe), &entry, &bitmap);
    qcow2_entry_kind(s, entry, bitmap, (unsigned)((probe & (s->cluster_size - 1)) >> s->sub_bits),
                     &kind);
    if (!fresh && kind == QK_DATA) {
        return at;
    }
    unit = fresh && has_content(s, entry, bitmap) ? s->cluster_size : 1ull << s->sub_bits;
    return end ? (at + unit - 1) / unit * unit : at / unit * unit;
}

/* How many clusters from entry @i on, of @max, are this image's own, and in one piece with the first one. */
static uint64_t count_own(const Qcow2 *s, const Qcow2Table *t, uint64_t i, uint64_t max)
{
    uint64_t n = 0, entry, bitmap, host = 0;

    for (; n < max; n++) {
        qcow2_entry_get(s, t, i + n, &entry, &bitmap);
        host = n ? host + s->cluster_size : entry & QE_OFFSET;
        if (!is_own(s, entry) || !entry_valid(s, entry, bitmap) || (entry & QE_OFFSET) != host) {
            break;
        }
    }
    return n;
}

/* Clusters that are this image's own, some of them (partly) not in use. */
static int plan_own(Qcow2 *s, const Qcow2Table *t, uint64_t entry, Step *p)
{
    uint64_t in_cluster = p->offset & (s->cluster_size - 1), i = l2_index(s, p->offset);
    uint64_t n = MIN(q_clusters(s, in_cluster + p->bytes), (1ull << s->l2_bits) - i), k = 0;

    for (n = count_own(s, t, i, p->keep ? 1 : n); k < n; k++) {
        if (!may_write(s, (entry & QE_OFFSET) + (k << s->cluster_bits), s->cluster_size)) {
            return -EIO;
        }
    }
    p->bytes = MIN(p->bytes, (n << s->cluster_bits) - in_cluster);
    p->n = n;
    p->from = copy_edge(s, t, p->offset, false, false);
    p->to = copy_edge(s, t, p->offset + p->bytes, true, false);
    p->host = (entry & QE_OFFSET) + (p->from & (s->cluster_size - 1));
    return 0;
}

static int plan_new(Qcow2 *s, Qcow2Table *t, Step *p)
{
    uint64_t i = l2_index(s, p->offset), in_cluster = p->offset & (s->cluster_size - 1), got;
    uint64_t table = s->l1[l1_index(s, p->offset)] & QE_OFFSET, host;
    uint64_t n = MIN(q_clusters(s, in_cluster + p->bytes), (1ull << s->l2_bits) - i);
    int err = 0;

    n = count_missing(s, t, i, n);
    if (!n) {
        return -EIO;
    }
    if (s->external) {
        host = p->offset - in_cluster;
        got = n;
    } else {
        err = qcow2_alloc(s, n, &host, &got);
    }
    err = err ? err : qcow2_table_get(s, table, false, &t);
    if (err) {
        return err;
    }
    p->fresh = true;
    p->sparse = !s->external && host >= q_file_length(s);
    p->n = got;
    p->bytes = MIN(p->bytes, (got << s->cluster_bits) - in_cluster);
    p->from = copy_edge(s, t, p->offset, false, true);
    p->to = copy_edge(s, t, p->offset + p->bytes, true, true);
    p->host = host + (p->from & (s->cluster_size - 1));
    return 0;
}

static bool has_table(const Qcow2 *s, uint64_t offset)
{
    uint64_t i = l1_index(s, offset);

    return i < s->l1_size && (s->l1[i] & QE_OFFSET);
}

/* Behind what would be written in place the piece goes on with space that is not in use: all of it in one step, then. */
static bool goes_on(Qcow2 *s, Step *p)
{
    uint64_t next = p->offset + p->bytes, entry, bitmap;
    Qcow2Table *t;

    if (p->keep || p->bytes == p->wanted || s->extended ||
        l1_index(s, next) != l1_index(s, p->offset) || next % s->cluster_size ||
        qcow2_l2_get(s, l1_index(s, next), &t) || !t) {
        return false;
    }
    qcow2_entry_get(s, t, l2_index(s, next), &entry, &bitmap);
    if (!is_own(s, entry) || has_content(s, entry, bitmap) || s->external ||
        (entry & QE_OFFSET) != p->host + p->bytes) {
        return false;
    }
    p->mapped = false;
    p->bytes = p->wanted;
    return true;
}

/* Chooses what is done for the first of @p->bytes at @p->offset. */
static int plan(Qcow2 *s, Step *p)
{
    uint64_t entry, bitmap;
    Qcow2Table *t;
    int err;

    err = settle(s, p->offset, p->bytes);
    if (err || (plan_in_place(s, p) && !goes_on(s, p))) {
        return err;
    }
    if (s->lazy && !has_table(s, p->offset)) { /* only data is counted late */
        err = qcow2_l2_for_write(s, l1_index(s, p->offset), &t);
        err = err ? err : qcow2_flush(s);
        err = err ? err : settle(s, p->offset, p->bytes);
    }
    err = err ? err : qcow2_l2_for_write(s, l1_index(s, p->offset), &t);
    if (err) {
        return err;
    }
    qcow2_entry_get(s, t, l2_index(s, p->offset), &entry, &bitmap);
    if (!entry_valid(s, entry, bitmap)) {
        return qcow2_corrupt_entry(s, p->offset);
    }
    return is_own(s, entry) ? plan_own(s, t, entry, p) : plan_new(s, t, p);
}

/* The entries of a step that was written. */
static int map_step(Qcow2 *s, const Step *p)
{
    uint64_t first = p->from & ~(s->cluster_size - 1), host = p->host & ~(s->cluster_size - 1);
    Qcow2Table *t;
    int err = qcow2_l2_for_write(s, l1_index(s, p->offset), &t);

    for (uint64_t k = 0; k < p->n && !err; k++) {
        uint64_t at = first + (k << s->cluster_bits), i = l2_index(s, at), entry, bitmap;
        uint64_t from = MAX(p->from, at) - at, to = MIN(p->to - at, s->cluster_size);
        uint64_t subs = 0;

        qcow2_entry_get(s, t, i, &entry, &bitmap);
        if (s->extended) {
            subs = ((1ull << (to >> s->sub_bits)) - 1) & ~((1ull << (from >> s->sub_bits)) - 1);
            subs &= UINT32_MAX;
        }
        if (p->fresh) {
            qcow2_free_entry(s, entry);
        }
        bitmap = entry & QE_COMPRESSED ? 0 : bitmap & ~(subs | subs << 32);
        qcow2_entry_set(s, t, i, (host + (k << s->cluster_bits)) | QE_COPIED, bitmap | subs);
    }
    return err;
}

/* ---- Moving the data of a step ---- */

/* The guest range reads as zeroes. With the lock. */
static bool reads_as_zero(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    Qcow2Extent x;

    while (bytes) {
        if (qcow2_lookup(s, offset, bytes, &x) ||
            !(x.kind == QK_ZERO || (x.kind == QK_UNALLOCATED && !s->has_backing))) {
            return false;
        }
        offset += x.bytes;
        bytes -= x.bytes;
    }
    return true;
}

/* What the guest reads now, zeroes behind the disk's end. */
static int read_around(Qcow2 *s, uint64_t offset, uint8_t *buf, uint64_t bytes)
{
    uint64_t length = offset < qcow2_vm_state_at(s) ? s->node->length : UINT64_MAX;
    uint64_t there = offset < length ? MIN(bytes, length - offset) : 0;
    struct iovec iov = { buf, there };
    IovCursor c = { &iov, 1, 0 };
    Qcow2Extent x;
    int err = 0;

    memset(buf + there, 0, bytes - there);
    for (uint64_t done = 0; done < there && !err; done += x.bytes) {
        g_mutex_lock(&s->lock);
        err = qcow2_lookup(s, offset + done, there - done, &x);
        g_mutex_unlock(&s->lock);
        if (!err && x.kind == QK_DATA && x.host > NODE_MAX_LENGTH) {
            err = -EIO;
        }
        err = err ? err : qcow2_read_extent(s, &x, offset + done, &c);
    }
    return err;
}

/* Head, the guest's buffers and tail in one write. */
static int write_around(Qcow2 *s, const Step *p, IovCursor *c)
{
    uint64_t head = p->offset - p->from, tail = p->to - p->offset - p->bytes, bytes;
    g_autofree uint8_t *around = head + tail ? g_try_malloc(head + tail) : NULL;
    int n = c->n + 2, used = 0, err = 0;
    g_autofree struct iovec *iov = g_new(struct iovec, (gsize)n);
    IovCursor all = { iov, 0, 0 };

    if (head + tail && !around) {
        return -ENOMEM;
    }
    if (head) {
        err = read_around(s, p->from, around, head);
        iov[used++] = (struct iovec){ around, head };
    }
    used += iov_window(c, iov + used, c->n, p->bytes, &bytes);
    if (tail && !err) {
        err = read_around(s, p->offset + p->bytes, around + head, tail);
        iov[used++] = (struct iovec){ around + head, tail };
    }
    all.n = used;
    node_event(s->data, "write_aio");
    err = err ? err : bytes < p->bytes ? -EIO : node_write(s->data, p->host, p->to - p->from, &all);
    if (!err) {
        iov_advance(c, p->bytes);
    }
    return err;
}

/* Zeroes around the data need not be written where there is nothing but zeroes. */
static void trim_zeroes(Qcow2 *s, Step *p)
{
    if (p->sparse) {
        if (reads_as_zero(s, p->from, p->offset - p->from)) {
            p->host += p->offset - p->from;
            p->from = p->offset;
        }
        if (reads_as_zero(s, p->offset + p->bytes, p->to - p->offset - p->bytes)) {
            p->to = p->offset + p->bytes;
        }
    }
}

/* With the lock; does the first of @*bytes. */
static int do_step(Qcow2 *s, uint64_t *offset, uint64_t *bytes, IovCursor *c)
{
    uint64_t covered = 1ull << (s->l2_bits + s->cluster_bits);
    Step p = { .offset = *offset,
               .bytes = MIN(MIN(*bytes, MAX_STEP), covered - (*offset & (covered - 1))) };
    Step moved;
    Qcow2Busy busy;
    int err = plan(s, &p);

    if (err) {
        return err;
    }
    moved = p;
    trim_zeroes(s, &moved);
    if (!p.mapped) {
        busy_begin(s, &busy, p.offset, p.bytes);
    }
    g_mutex_unlock(&s->lock);
    err = write_around(s, &moved, c);
    g_mutex_lock(&s->lock);
    if (!p.mapped) {
        err = err ? err : map_step(s, &p);
        if (err && p.fresh && !s->external) {
            qcow2_refcount_sub(s, p.host >> s->cluster_bits, p.n);
        }
        busy_end(s, &busy);
    }
    *offset += p.bytes;
    *bytes -= p.bytes;
    return err;
}

static int write_locked(Qcow2 *s, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = 0;

    while (bytes && !err) {
        err = do_step(s, &offset, &bytes, c);
    }
    return err;
}

int qcow2_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    Qcow2 *s = node->priv;
    unsigned op;
    int err;

    qcow2_begin(s, &op);
    err = qcow2_prepare_write(s);
    err = err ? err : qcow2_bitmaps_mark(s, offset, bytes);
    err = err ? err : write_locked(s, offset, bytes, c);
    qcow2_end(s, op);
    return err;
}

/* ---- The state of a machine: behind the disk, in the part of the L1 table that the disk does not need ---- */

static int reserve_vm_state(Qcow2 *s, uint64_t end)
{
    uint32_t n;
    unsigned op;
    bool fits;
    int err;

    qcow2_begin(s, &op);
    fits = (end - 1) >> (s->l2_bits + s->cluster_bits) < s->l1_size;
    qcow2_end(s, op);
    if (fits) {
        return 0;
    }
    qcow2_alone_begin(s);
    n = s->l1_size;
    err = qcow2_prepare_write(s);
    err = err ? err : qcow2_flush_all(s);
    err = err ? err : qcow2_l1_grow(s, end);
    err = err || s->l1_size == n ? err : qcow2_write_size(s);
    qcow2_alone_end(s);
    return err;
}

int qcow2_vm_state_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    Qcow2 *s = node->priv;
    uint64_t at = qcow2_vm_state_at(s);
    unsigned op;
    int err;

    if (node->readonly || offset > NODE_MAX_LENGTH - at || bytes > NODE_MAX_LENGTH - at - offset) {
        return node->readonly ? -EROFS : -EFBIG;
    }
    err = bytes ? reserve_vm_state(s, at + offset + bytes) : 0;
    if (err || !bytes) {
        return err;
    }
    qcow2_begin(s, &op);
    err = qcow2_prepare_write(s);
    err = err ? err : write_locked(s, at + offset, bytes, c);
    qcow2_end(s, op);
    return err;
}

/* ---- Zeroes ---- */

/* What becomes of clusters that are not there: a write marks them as zeroes (in version 3), a discard only if something is behind the image.
 * What is cut off (ZERO_CUT) leaves no mark either. */
typedef enum ZeroMode { ZERO_WRITE, ZERO_DISCARD, ZERO_CUT } ZeroMode;

static int write_zero_bytes(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    g_autofree uint8_t *zeroes = g_malloc0(MIN(bytes, ZEROES));
    int err = 0;

    while (bytes && !err) {
        uint64_t n = MIN(bytes, ZEROES);
        struct iovec iov = { zeroes, n };
        IovCursor c = { &iov, 1, 0 };

        if (!reads_as_zero(s, offset, n)) {
            err = write_locked(s, offset, n, &c);
        }
        offset += n;
        bytes -= n;
    }
    return err;
}

/* A whole cluster becomes zeroes. @unmap: without a host cluster. */
static void zero_cluster(Qcow2 *s, Qcow2Table *t, uint64_t i, bool unmap, ZeroMode mode)
{
    uint64_t entry, bitmap, flag = s->version >= 3 && !s->extended ? QE_ZERO : 0;
    bool keep, marked = mode != ZERO_CUT || s->has_backing;

    qcow2_entry_get(s, t, i, &entry, &bitmap);
    keep = is_own(s, entry) && (!unmap || s->external) && s->version >= 3;
    if (!keep) {
        qcow2_free_entry(s, entry);
        entry = 0;
        flag = marked ? flag : 0;
    }
    bitmap = s->extended && (keep || marked) ? (uint64_t)UINT32_MAX << 32 : 0;
    qcow2_entry_set(s, t, i, (entry & (QE_OFFSET | QE_COPIED)) | flag, bitmap);
}

/* Some subclusters of a standard cluster. */
static void zero_subclusters(Qcow2 *s, Qcow2Table *t, uint64_t i, uint64_t from, uint64_t to)
{
    uint64_t entry, bitmap;
    uint64_t subs = ((1ull << (to >> s->sub_bits)) - 1) & ~((1ull << (from >> s->sub_bits)) - 1);

    qcow2_entry_get(s, t, i, &entry, &bitmap);
    qcow2_entry_set(s, t, i, entry, (bitmap & ~subs) | subs << 32);
}

/* Nothing needs to be done: it is marked as zeroes, or is not there and needs no mark (@marks: it does). A whole cluster that shall be unmapped
 * may still have space. */
static bool is_done(Qcow2 *s, uint64_t offset, uint64_t bytes, bool unmap, bool marks)
{
    Qcow2Extent x;
    bool whole = bytes == s->cluster_size;

    for (; bytes; offset += x.bytes, bytes -= x.bytes) {
        if (qcow2_lookup(s, offset, bytes, &x) || x.kind == QK_DATA || x.kind == QK_COMPRESSED ||
            (x.kind == QK_UNALLOCATED ? marks : unmap && whole)) {
            return false;
        }
    }
    return true;
}

/* The first of [@offset, @offset + @bytes), which begins and ends at subclusters: their number in @*done. */
static int zero_step(Qcow2 *s, uint64_t offset, uint64_t bytes, bool unmap, ZeroMode mode,
                     uint64_t *done)
{
    bool marks = s->has_backing || (mode == ZERO_WRITE && s->version >= 3);
    uint64_t in_cluster = offset & (s->cluster_size - 1), i = l2_index(s, offset);
    uint64_t entry, bitmap;
    Qcow2Table *t;
    int err = settle(s, offset, 1);

    *done = MIN(bytes, s->cluster_size - in_cluster);
    if (err) {
        return err;
    }
    err = qcow2_l2_get(s, l1_index(s, offset), &t);
    if (!err && !t && !marks) { /* nothing here, nor in all of the table that is not */
        *done = MIN(bytes, (((1ull << s->l2_bits) - i) << s->cluster_bits) - in_cluster);
        return 0;
    }
    if (err || is_done(s, offset, *done, unmap, marks)) {
        return err;
    }
    err = qcow2_l2_for_write(s, l1_index(s, offset), &t);
    if (err) {
        return err;
    }
    qcow2_entry_get(s, t, i, &entry, &bitmap);
    if (!entry_valid(s, entry, bitmap)) {
        return qcow2_corrupt_entry(s, offset);
    }
    if (*done == s->cluster_size) {
        zero_cluster(s, t, i, unmap, mode);
    } else if (entry & QE_COMPRESSED) {
        return write_zero_bytes(s, offset, *done);
    } else {
        zero_subclusters(s, t, i, in_cluster, in_cluster + *done);
    }
    return 0;
}

/* [@offset, @offset + @bytes) by mapping; without its ends if they are not at subclusters. */
static int zero_by_map(Qcow2 *s, uint64_t offset, uint64_t bytes, bool unmap, ZeroMode mode)
{
    uint64_t done;
    int err = 0;

    for (unsigned n = 1; bytes && !err; n++, offset += done, bytes -= done) {
        err = zero_step(s, offset, bytes, unmap, mode, &done);
        if (n % STEPS_ALONE == 0) { /* others may want something */
            g_mutex_unlock(&s->lock);
            g_mutex_lock(&s->lock);
        }
    }
    return err;
}

/* [@from, @to) is in one unit at @unit_at, of which the rest reads as zeroes, and nothing is written of it: all of it may become zeroes. */
static bool rest_is_zero(Qcow2 *s, uint64_t unit_at, uint64_t unit, uint64_t from, uint64_t to)
{
    uint64_t end = MIN(unit_at + unit, s->node->length);
    Qcow2Extent x;

    for (uint64_t at = unit_at; at < end; at += x.bytes) {
        bool inside = at >= from && at < to, zero = true;
        uint64_t limit = inside ? to : at < from ? from : end;

        if (qcow2_lookup(s, at, MIN(limit, end) - at, &x) ||
            (x.kind != QK_UNALLOCATED && x.kind != QK_ZERO)) {
            return false;
        }
        if (x.kind == QK_UNALLOCATED && !inside &&
            (node_zero_behind(s->node, at, &x.bytes, &zero) || !zero)) {
            return false;
        }
    }
    return true;
}

/* A part of one unit; other writers of it are waited for. */
static int zero_part(Qcow2 *s, uint64_t from, uint64_t to, bool unmap)
{
    uint64_t unit = 1ull << s->sub_bits, at = from & ~(unit - 1);
    int err = from < to ? settle(s, from, 1) : 0;

    if (err || from >= to) {
        return err;
    }
    if (s->version >= 3 && rest_is_zero(s, at, unit, from, to)) {
        return zero_by_map(s, at, unit, unmap, ZERO_WRITE);
    }
    return write_zero_bytes(s, from, to - from);
}

static int write_zeroes_locked(Qcow2 *s, uint64_t offset, uint64_t bytes, bool unmap, ZeroMode mode)
{
    uint64_t unit = 1ull << s->sub_bits, end = offset + bytes;
    uint64_t from = (offset + unit - 1) / unit * unit;
    uint64_t to = end == s->node->length ? (end + unit - 1) / unit * unit : end / unit * unit;
    bool mapped = (s->version >= 3 || !s->has_backing) && !(s->autoclear & Q_RAW_DATA);
    int err;

    if (!mapped) {
        return write_zero_bytes(s, offset, bytes);
    }
    if (from > to) { /* within one unit */
        return zero_part(s, offset, end, unmap);
    }
    err = zero_part(s, offset, from, unmap);
    err = err || from == to ? err : zero_by_map(s, from, to - from, unmap, mode);
    return err ? err : zero_part(s, to, end, unmap);
}

int qcow2_zero_alone(Qcow2 *s, uint64_t offset, uint64_t bytes, bool unmap)
{
    return write_zeroes_locked(s, offset, bytes, unmap, ZERO_CUT);
}

int qcow2_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    Qcow2 *s = node->priv;
    unsigned op;
    int err;

    qcow2_begin(s, &op);
    err = qcow2_prepare_write(s);
    err = err ? err : qcow2_bitmaps_mark(s, offset, bytes);
    err = err ? err : write_zeroes_locked(s, offset, bytes, unmap, ZERO_WRITE);
    qcow2_end(s, op);
    return err;
}

int qcow2_vm_state_clear(BlockNode *node)
{
    Qcow2 *s = node->priv;
    uint64_t at, end;
    unsigned op;
    int err;

    qcow2_begin(s, &op);
    at = qcow2_vm_state_at(s);
    end = (uint64_t)s->l1_size << (s->l2_bits + s->cluster_bits);
    err = at < end ? qcow2_prepare_write(s) : 0;
    err = err || at >= end ? err : zero_by_map(s, at, end - at, true, ZERO_CUT);
    qcow2_end(s, op);
    return err;
}

int qcow2_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    Qcow2 *s = node->priv;
    uint64_t end = offset + bytes;
    uint64_t from = (offset + s->cluster_size - 1) / s->cluster_size * s->cluster_size;
    uint64_t to =
        (end == node->length ? end + s->cluster_size - 1 : end) / s->cluster_size * s->cluster_size;
    unsigned op;
    int err;

    if (from >= to || (s->version < 3 && s->has_backing) || (s->autoclear & Q_RAW_DATA)) {
        return 0;
    }
    qcow2_begin(s, &op);
    err = qcow2_prepare_write(s);
    err = err ? err : qcow2_bitmaps_mark(s, from, MIN(to, node->length) - from);
    err = err ? err : zero_by_map(s, from, to - from, true, ZERO_DISCARD);
    qcow2_end(s, op);
    if (!err && s->external) {
        to = MIN(to, s->data->length);
        err = from < to ? node_discard(s->data, from, to - from) : 0;
    }
    return err;
}

/* ---- Compressed ---- */

static int map_compressed(Qcow2 *s, uint64_t offset, uint64_t host, uint64_t bytes)
{
    unsigned x = 62 - (s->cluster_bits - 8);
    uint64_t sectors = (host + bytes - 1) / BLOCK_SECTOR - host / BLOCK_SECTOR, entry, bitmap;
    Qcow2Table *t;
    int err = qcow2_l2_for_write(s, l1_index(s, offset), &t);

    if (err) {
        return err;
    }
    qcow2_entry_get(s, t, l2_index(s, offset), &entry, &bitmap);
    qcow2_free_entry(s, entry);
    qcow2_entry_set(s, t, l2_index(s, offset), QE_COMPRESSED | sectors << x | host, 0);
    return 0;
}

static int write_packed(Qcow2 *s, uint64_t offset, const uint8_t *packed, uint64_t bytes)
{
    Qcow2Busy busy;
    uint64_t host;
    Qcow2Table *t;
    int err = settle(s, offset, 1);

    err = err ? err : qcow2_l2_for_write(s, l1_index(s, offset), &t); /* tables come first */
    err = err ? err : qcow2_alloc_bytes(s, bytes, &host);
    if (err || (host + bytes) >> MIN(62 - (s->cluster_bits - 8), 56)) {
        return err ? err : -EFBIG;
    }
    busy_begin(s, &busy, offset, 1);
    g_mutex_unlock(&s->lock);
    err = node_pwrite(s->data, host, packed, bytes);
    g_mutex_lock(&s->lock);
    err = err ? err : map_compressed(s, offset, host, bytes);
    if (err) {
        qcow2_refcount_sub(s, host >> s->cluster_bits, 1);
    }
    busy_end(s, &busy);
    return err;
}

int qcow2_write_compressed(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    Qcow2 *s = node->priv;
    g_autofree uint8_t *plain = NULL, *packed = NULL;
    IovCursor copy = *c;
    unsigned op;
    size_t n;
    int err;

    if (s->external) {
        return -ENOTSUP;
    }
    if (offset % s->cluster_size || bytes > s->cluster_size ||
        (bytes < s->cluster_size && offset + bytes != node->length)) {
        return -EINVAL;
    }
    plain = g_malloc0(s->cluster_size);
    packed = g_malloc(s->cluster_size);
    iov_copy_out(&copy, plain, bytes);
    n = qcow2_pack(s->compression, plain, s->cluster_size, packed, s->cluster_size - 1);
    qcow2_begin(s, &op);
    err = qcow2_prepare_write(s);
    err = err ? err : qcow2_bitmaps_mark(s, offset, bytes);
    if (!err && n) {
        err = write_packed(s, offset, packed, n);
        *c = copy;
    } else if (!err) {
        err = write_locked(s, offset, bytes, c);
    }
    qcow2_end(s, op);
    return err;
}

/* ---- Preallocation ---- */

/* The cluster range of a step that maps nothing but zeroes. */
static bool preallocate_step(Qcow2 *s, Step *p, NodePrealloc prealloc, GError **error)
{
    uint64_t bytes = p->n << s->cluster_bits, end;
    int err = 0;

    p->host &= ~(s->cluster_size - 1);
    p->from = p->offset & ~(s->cluster_size - 1);
    p->to = p->from + bytes;
    end = p->host + bytes;
    if (!p->sparse) {
        err = node_write_zeroes(s->data, p->host, MIN(bytes, s->data->length - p->host),
                                prealloc == NODE_PREALLOC_METADATA);
    }
    if (!err && end > s->data->length && !s->external &&
        !node_truncate(s->data, end, true, prealloc, error)) {
        return false;
    }
    err = err ? err : map_step(s, p);
    return !err || node_fail_errno(s->node, error, err, "cannot get space");
}

bool qcow2_preallocate(Qcow2 *s, uint64_t from, uint64_t to, NodePrealloc prealloc, GError **error)
{
    for (uint64_t at = from; at < to;) {
        uint64_t covered = 1ull << (s->l2_bits + s->cluster_bits);
        Step p = { .offset = at,
                   .bytes = MIN(to - at, covered - (at & (covered - 1))),
                   .keep = true };
        int err = plan(s, &p);

        if (err) {
            return node_fail_errno(s->node, error, err, "cannot get space");
        }
        if (!p.mapped && !preallocate_step(s, &p, prealloc, error)) {
            return false;
        }
        at += p.bytes;
    }
    return true;
}
