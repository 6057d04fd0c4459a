/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the guest's bytes are in a qcow2 image: L1, L2 and subclusters; and reading them.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/qcow2.h"

int qcow2_l2_get(Qcow2 *s, uint64_t index, Qcow2Table **t)
{
    uint64_t offset = index < s->l1_size ? s->l1[index] & QE_OFFSET : 0;

    *t = NULL;
    if (!offset) {
        return 0;
    }
    if (offset % s->cluster_size) {
        return qcow2_corrupt(s,
                             "L2 table offset %#" G_GINT64_MODIFIER
                             "x unaligned (L1 index: %#" G_GINT64_MODIFIER "x)",
                             offset, index);
    }
    return qcow2_table_get(s, offset, false, t);
}

void qcow2_entry_get(const Qcow2 *s, const Qcow2Table *t, uint64_t i, uint64_t *entry,
                     uint64_t *bitmap)
{
    *entry = bytes_get_be64(t->data + i * s->entry_bytes);
    *bitmap = s->extended ? bytes_get_be64(t->data + i * 16 + 8) : 0;
}

bool qcow2_entry_kind(const Qcow2 *s, uint64_t entry, uint64_t bitmap, unsigned sub,
                      Qcow2Kind *kind)
{
    bool plain_zero = entry & QE_ZERO,
         has_host = (entry & QE_OFFSET) || (s->external && (entry & QE_COPIED));
    bool data, zero;

    if (entry & QE_COMPRESSED) {
        *kind = QK_COMPRESSED;
        return !s->external;
    }
    if ((entry & QE_OFFSET) & (s->cluster_size - 1) || (entry & QE_RESERVED) ||
        (plain_zero && (s->version < 3 || s->extended))) {
        return false;
    }
    data = s->extended ? bitmap >> sub & 1 : has_host && !plain_zero;
    zero = s->extended ? bitmap >> (sub + 32) & 1 : plain_zero;
    *kind = data ? QK_DATA : zero ? QK_ZERO : QK_UNALLOCATED;
    return !data || (has_host && !zero);
}

/* The extent at byte @offset, up to the end of its subcluster. */
static bool first_extent(const Qcow2 *s, const Qcow2Table *t, uint64_t offset, Qcow2Extent *x)
{
    uint64_t i = offset >> s->cluster_bits & ((1ull << s->l2_bits) - 1), entry, bitmap;
    uint64_t in_cluster = offset & (s->cluster_size - 1);

    qcow2_entry_get(s, t, i, &entry, &bitmap);
    if (!qcow2_entry_kind(s, entry, bitmap, (unsigned)(in_cluster >> s->sub_bits), &x->kind)) {
        return false;
    }
    x->bytes = (1ull << s->sub_bits) - (offset & ((1ull << s->sub_bits) - 1));
    x->copied = entry & QE_COPIED;
    x->entry = entry;
    x->host = (entry & QE_OFFSET) + in_cluster;
    if (x->kind == QK_COMPRESSED) {
        x->bytes = s->cluster_size - in_cluster;
    } else if (s->external && x->kind == QK_DATA) {
        return x->host == offset;
    }
    return true;
}

static bool follows(const Qcow2Extent *a, const Qcow2Extent *b)
{
    return a->kind == b->kind && a->kind != QK_COMPRESSED &&
           (a->kind != QK_DATA || (a->host + a->bytes == b->host && a->copied == b->copied)) &&
           (a->kind != QK_ZERO ||
            (a->entry & QE_OFFSET ? a->host + a->bytes == b->host : !(b->entry & QE_OFFSET)));
}

/* The same as qcow2_lookup() with the L2 table at hand. */
static int lookup_in(const Qcow2 *s, const Qcow2Table *t, uint64_t offset, uint64_t bytes,
                     Qcow2Extent *x)
{
    Qcow2Extent next;

    if (!first_extent(s, t, offset, x)) {
        return -EIO;
    }
    while (x->bytes < bytes && first_extent(s, t, offset + x->bytes, &next) && follows(x, &next)) {
        x->bytes += next.bytes;
    }
    x->bytes = MIN(x->bytes, bytes);
    return 0;
}

/* @bytes, but not beyond the L2 table that @offset is in. */
static uint64_t clip_to_l2(const Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    uint64_t covered = 1ull << (s->l2_bits + s->cluster_bits);

    return MIN(bytes, covered - (offset & (covered - 1)));
}

int qcow2_lookup(Qcow2 *s, uint64_t offset, uint64_t bytes, Qcow2Extent *x)
{
    Qcow2Table *t;
    int err = qcow2_l2_get(s, offset >> (s->l2_bits + s->cluster_bits), &t);

    bytes = clip_to_l2(s, offset, bytes);
    if (!err && !t) {
        *x = (Qcow2Extent){ .kind = QK_UNALLOCATED, .bytes = bytes };
    } else if (!err) {
        err = lookup_in(s, t, offset, bytes, x) ? qcow2_corrupt_entry(s, offset) : 0;
    }
    return err;
}

/* ---- Reading ---- */

static int unpack_cluster(Qcow2 *s, uint64_t entry)
{
    g_autofree uint8_t *packed = NULL;
    uint64_t offset, bytes;
    int err;

    qcow2_compressed_extent(s, entry, &offset, &bytes);
    packed = g_malloc(bytes);
    if (!s->unpacked) {
        s->unpacked = g_malloc(s->cluster_size);
    }
    s->unpacked_entry = 0;
    err = offset < q_file_length(s) ? qcow2_pread(s, offset, packed, bytes) : -EIO;
    if (!err && !qcow2_unpack(s->compression, packed, bytes, s->unpacked, s->cluster_size)) {
        err = -EIO;
    }
    if (!err) {
        s->unpacked_entry = entry;
    }
    return err;
}

/* The last cluster that was unpacked is kept: readers often want it in pieces. */
static int read_compressed(Qcow2 *s, const Qcow2Extent *x, uint64_t offset, IovCursor *c)
{
    int err = 0;

    g_mutex_lock(&s->unpacked_lock);
    if (s->unpacked_entry != x->entry) {
        err = unpack_cluster(s, x->entry);
    }
    if (!err) {
        iov_copy_in(c, s->unpacked + (offset & (s->cluster_size - 1)), x->bytes);
    }
    g_mutex_unlock(&s->unpacked_lock);
    return err;
}

int qcow2_read_extent(Qcow2 *s, const Qcow2Extent *x, uint64_t offset, IovCursor *c)
{
    BlockNode *data = s->data;

    switch (x->kind) {
    case QK_UNALLOCATED:
        return node_read_backing(s->node, offset, x->bytes, c);
    case QK_ZERO:
        iov_zero(c, x->bytes);
        return 0;
    case QK_COMPRESSED:
        return read_compressed(s, x, offset, c);
    default:
        if (x->host > NODE_MAX_LENGTH) {
            return -EIO;
        }
        node_event(data, "read_aio");
        if (s->external) { /* may be shorter */
            uint64_t there = x->host < data->length ? MIN(x->bytes, data->length - x->host) : 0;
            int err = there ? node_read(data, x->host, there, c) : 0;

            if (!err) {
                iov_zero(c, x->bytes - there);
            }
            return err;
        }
        return data->driver->read(data, x->host, x->bytes, c); /* zeroes behind the end */
    }
}

int qcow2_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    Qcow2 *s = node->priv;
    Qcow2Extent x;
    unsigned op;
    int err = 0;

    qcow2_begin(s, &op);
    while (bytes && !err) {
        err = qcow2_lookup(s, offset, bytes, &x);
        if (err) {
            break;
        }
        g_mutex_unlock(&s->lock);
        err = qcow2_read_extent(s, &x, offset, c);
        g_mutex_lock(&s->lock);
        offset += x.bytes;
        bytes -= x.bytes;
    }
    qcow2_end(s, op);
    return err;
}

int qcow2_vm_state_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    Qcow2 *s = node->priv;
    uint64_t at = qcow2_vm_state_at(s) + offset;
    Qcow2Extent x;
    unsigned op;
    int err = 0;

    if (offset > NODE_MAX_LENGTH / 2 || bytes > NODE_MAX_LENGTH / 2) {
        return -EFBIG;
    }
    qcow2_begin(s, &op);
    for (; bytes && !err; at += x.bytes, bytes -= x.bytes) {
        x = (Qcow2Extent){ .kind = QK_UNALLOCATED, .bytes = bytes };
        err =
            at >> (s->l2_bits + s->cluster_bits) < s->l1_size ? qcow2_lookup(s, at, bytes, &x) : 0;
        if (err || x.kind == QK_UNALLOCATED) { /* nothing of it is behind the image */
            iov_zero(c, err ? 0 : x.bytes);
            continue;
        }
        g_mutex_unlock(&s->lock);
        err = qcow2_read_extent(s, &x, at, c);
        g_mutex_lock(&s->lock);
    }
    qcow2_end(s, op);
    return err;
}

int qcow2_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    Qcow2 *s = node->priv;
    Qcow2Extent x;
    unsigned op;
    int err;

    qcow2_begin(s, &op);
    err = qcow2_lookup(s, offset, bytes, &x);
    qcow2_end(s, op);
    if (err) {
        return err;
    }
    status->bytes = x.bytes;
    switch (x.kind) {
    case QK_UNALLOCATED:
        status->flags = s->has_backing ? 0 : NODE_ZERO;
        if (x.entry & QE_OFFSET) { /* of an extended entry */
            status->flags |= NODE_MAPPED;
            status->map = x.host;
        }
        break;
    case QK_ZERO:
        status->flags = NODE_ZERO | NODE_ALLOCATED;
        if (x.entry & QE_OFFSET) { /* the space is there already */
            status->flags |= NODE_MAPPED;
            status->map = x.host;
        }
        break;
    case QK_COMPRESSED:
        status->flags = NODE_DATA | NODE_ALLOCATED | NODE_COMPRESSED;
        break;
    case QK_DATA:
        status->flags = NODE_DATA | NODE_ALLOCATED | NODE_MAPPED;
        status->map = x.host;
        break;
    }
    return 0;
}

static bool direct_locked(Qcow2 *s, uint64_t offset, uint64_t bytes, bool write, Qcow2Extent *x)
{
    uint64_t index = offset >> (s->l2_bits + s->cluster_bits), entry;
    Qcow2Table *t;

    entry = index < s->l1_size ? s->l1[index] & QE_OFFSET : 0;
    if (s->alone || s->busy || !entry || clip_to_l2(s, offset, bytes) < bytes ||
        !(t = qcow2_table_peek(s, entry)) || t->refcounts || lookup_in(s, t, offset, bytes, x)) {
        return false;
    }
    return x->kind == QK_DATA && x->bytes == bytes && x->host <= NODE_MAX_LENGTH - bytes &&
           (!write || (x->copied && s->modified && (s->l1[index] & QE_COPIED) &&
                       qcow2_bitmaps_marked(s, offset, bytes)));
}

bool qcow2_direct(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                  uint64_t *fd_offset)
{
    Qcow2 *s = node->priv;
    BlockNode *data = s->data;
    Qcow2Extent x;
    bool ok;

    if (!data->driver->direct || !g_mutex_trylock(&s->lock)) {
        return false;
    }
    ok = direct_locked(s, offset, bytes, write, &x);
    g_mutex_unlock(&s->lock);
    if (!ok || ((write || s->external) &&
                x.host + bytes > __atomic_load_n(&data->length, __ATOMIC_RELAXED))) {
        return false;
    }
    return data->driver->direct(data, x.host, bytes, write, fd, fd_offset);
}
