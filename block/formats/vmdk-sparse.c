/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMDK: sparse extents. The grain directory has the sectors of the grain tables, these have the sectors of the grains (0: what is behind the
 * image; 1: zeroes, if the header says so). All of it is there twice, and both are written; the first one is read. Extents of version 1 of
 * ESX Server ("COWD") are only read.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/vmdk.h"

enum { COWD_CAPACITY = 12, COWD_GRAIN = 16, COWD_GD = 20, COWD_GTES = 4096 };
enum { ZEROES = 1 << 20 };
#define MAX_HOST ((uint64_t)UINT32_MAX * BLOCK_SECTOR)

/* ---- Entries ---- */

/* The grain table that has grain @index, after the directory at @gd; 0: there is none. */
static int find_table(BlockMap *m, uint64_t gd, uint64_t index, bool peek, uint64_t *table)
{
    const VmdkSparse *s = (const VmdkSparse *)m;
    uint64_t bytes = (uint64_t)s->gtes * 4;
    uint32_t entry;
    int err = blockmap_table_get(m, gd + index / s->gtes * 4, peek, &entry, 4);

    *table = err ? 0 : (uint64_t)GUINT32_FROM_LE(entry) * BLOCK_SECTOR;
    return err || !*table || (bytes <= m->end && *table <= m->end - bytes) ? err : -EIO;
}

static bool is_in_file(const BlockMap *m, uint64_t index, uint64_t host)
{
    const VmdkSparse *s = (const VmdkSparse *)m;
    uint64_t bytes = s->packed ? VMDK_MARKER + 1 /* or more: its length is not known here */
                               : MIN(m->block_size, m->node->length - index * m->block_size);

    return bytes <= m->end && host <= m->end - bytes;
}

static int lookup(BlockMap *m, uint64_t index, bool peek, BlockMapKind *kind, uint64_t *host,
                  uint64_t *n)
{
    const VmdkSparse *s = (const VmdkSparse *)m;
    uint64_t table;
    uint32_t entry = 0;
    int err = find_table(m, s->gd, index, peek, &table);

    if (err) {
        return err;
    }
    if (table) {
        err = blockmap_table_get(m, table + index % s->gtes * 4, peek, &entry, 4);
        entry = GUINT32_FROM_LE(entry);
    } else {
        *n = s->gtes - index % s->gtes;
    }
    *host = (uint64_t)entry * BLOCK_SECTOR;
    *kind = !entry ? BM_HOLE : entry == 1 && s->zeroed_grain ? BM_ZERO : BM_DATA;
    return err || *kind != BM_DATA || is_in_file(m, index, *host) ? err : -EIO;
}

static int allocate(BlockMap *m, uint64_t *n, uint64_t *host)
{
    return m->end > MAX_HOST - MIN(MAX_HOST, *n * m->block_size)
               ? -EFBIG
               : blockmap_append(m, *n * m->block_size, host);
}

static int new_table(BlockMap *m, uint64_t gd, uint64_t index, uint64_t *table)
{
    const VmdkSparse *s = (const VmdkSparse *)m;
    uint64_t bytes = bm_round_up((uint64_t)s->gtes * 4, m->block_size);
    uint32_t entry;
    int err = m->end > MAX_HOST - bytes ? -EFBIG : blockmap_append(m, bytes, table);

    if (err) {
        return err;
    }
    entry = GUINT32_TO_LE((uint32_t)(*table / BLOCK_SECTOR));
    return blockmap_table_set(m, gd + index / s->gtes * 4, &entry, 4);
}

static int set_entry(BlockMap *m, uint64_t gd, uint64_t index, uint32_t value)
{
    const VmdkSparse *s = (const VmdkSparse *)m;
    uint64_t table;
    int err = find_table(m, gd, index, false, &table);

    if (!err && !table && value) {
        err = new_table(m, gd, index, &table);
    }
    value = GUINT32_TO_LE(value);
    return err || !table ? err : blockmap_table_set(m, table + index % s->gtes * 4, &value, 4);
}

static int link_block(BlockMap *m, uint64_t index, BlockMapKind kind, uint64_t host)
{
    const VmdkSparse *s = (const VmdkSparse *)m;
    uint32_t value = kind == BM_DATA ? (uint32_t)(host / BLOCK_SECTOR) : kind == BM_ZERO;
    int err = set_entry(m, s->gd, index, value);

    if (!err && s->rgd) {
        err = set_entry(m, s->rgd, index, value);
        err = err == -EIO ? 0 : err; /* a second table that is damaged is of no use already */
    }
    return err;
}

static const BlockMapOps ops = { .lookup = lookup, .allocate = allocate, .link = link_block };

/* ---- What is behind an extent ---- */

typedef struct Window {
    Vmdk *image;
    uint64_t start;
} Window;

/* The image that was there when this one was made upon it. */
static bool is_parent(Vmdk *s)
{
    const BlockNode *behind = s->node->backing;
    bool ok;

    g_mutex_lock(&s->lock);
    if (!s->cid_checked && behind) {
        s->cid_checked = behind->driver == &block_vmdk_driver &&
                         ((const Vmdk *)behind->priv)->cid == s->parent_cid;
    }
    ok = !behind || s->cid_checked;
    g_mutex_unlock(&s->lock);
    return ok;
}

static int window_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    const Window *w = node->priv;

    return is_parent(w->image) ? node_read_backing(w->image->node, w->start + offset, bytes, c)
                               : -EINVAL;
}

static const BlockDriver window_driver = { .name = "vmdk window", .read = window_read };
static const BlockDriver extent_driver = { .name = "vmdk extent" };

static BlockNode *new_window(Vmdk *s, const VmdkExtent *e)
{
    BlockNode *node = g_new0(BlockNode, 1);
    Window *w = g_new(Window, 1);

    *w = (Window){ s, e->start };
    node->driver = &window_driver;
    node->name = s->node->name;
    node->length = e->length;
    node->readonly = true;
    node->priv = w;
    return node;
}

/* ---- Opening ---- */

typedef struct Geometry {
    uint64_t capacity, grain, gd, rgd, gtes, overhead; /* sectors, but .gtes */
} Geometry;

static bool check_geometry(VmdkExtent *e, VmdkSparse *x, const Geometry *g, GError **error)
{
    BlockNode *file = e->file;
    uint64_t covered;

    if (!g->grain || g->grain > VMDK_MAX_GRAIN || g->grain & (g->grain - 1)) {
        return node_fail(file, error, "Invalid granularity, image may be corrupt");
    }
    if (!g->gtes || g->gtes > COWD_GTES) {
        return node_fail(file, error, "L2 table size too %s", g->gtes ? "big" : "small");
    }
    covered = g->gtes * g->grain;
    if (g->capacity > NODE_MAX_LENGTH / BLOCK_SECTOR || g->capacity / covered >= VMDK_MAX_TABLES) {
        return node_fail(file, error, "L1 size too big");
    }
    if (g->overhead > file->length / BLOCK_SECTOR) {
        return node_fail(file, error, "File truncated, expecting at least %" PRIu64 " bytes",
                         g->overhead * BLOCK_SECTOR);
    }
    x->n_tables = (g->capacity + covered - 1) / covered;
    if (g->gd > file->length / BLOCK_SECTOR || (!g->gd && x->n_tables) ||
        x->n_tables * 4 > file->length - g->gd * BLOCK_SECTOR) {
        return node_fail(file, error, "its grain directory is out of range");
    }
    if (g->rgd > file->length / BLOCK_SECTOR ||
        x->n_tables * 4 > file->length - g->rgd * BLOCK_SECTOR) {
        return node_fail(file, error, "its second grain directory is out of range");
    }
    x->gd = g->gd * BLOCK_SECTOR;
    x->rgd = g->rgd == g->gd ? 0 : g->rgd * BLOCK_SECTOR;
    x->gtes = (uint32_t)g->gtes;
    x->overhead = g->overhead * BLOCK_SECTOR;
    x->map.block_size = g->grain * BLOCK_SECTOR;
    e->length = g->capacity * BLOCK_SECTOR;
    return true;
}

/* Of a stream, whose directory's place was not known when it began. */
static bool read_footer(BlockNode *file, uint8_t *h, GError **error)
{
    uint64_t at = file->length - MIN(file->length, 2 * VM_BYTES);
    int err = node_pread(file, at, h, MIN(file->length, VM_BYTES));

    if (err) {
        return node_fail_errno(file, error, err, "its footer cannot be read");
    }
    return (!memcmp(h, "KDMV", 4) && bytes_get_le64(h + VM_GD) != VMDK_GD_AT_END) ||
           node_fail(file, error, "has no footer, which it needs");
}

static bool read_header(VmdkExtent *e, VmdkSparse *x, uint8_t *h, GError **error)
{
    BlockNode *file = e->file;
    uint32_t flags, packing, version;
    Geometry g;

    if (bytes_get_le64(h + VM_GD) == VMDK_GD_AT_END && !read_footer(file, h, error)) {
        return false;
    }
    flags = bytes_get_le32(h + VM_FLAGS);
    packing = (uint32_t)h[VM_COMPRESSION] | (uint32_t)h[VM_COMPRESSION + 1] << 8;
    version = bytes_get_le32(h + VM_VERSION);
    g = (Geometry){
        bytes_get_le64(h + VM_CAPACITY), bytes_get_le64(h + VM_GRAIN),
        bytes_get_le64(h + VM_GD),       flags & VMF_RGD ? bytes_get_le64(h + VM_RGD) : 0,
        bytes_get_le32(h + VM_GTES),     bytes_get_le64(h + VM_OVERHEAD)
    };
    if (version < 1 || version > 3) {
        return node_fail(file, error, "Unsupported VMDK version %u", version);
    }
    if (packing > 1 || (flags & VMF_COMPRESSED && !packing)) {
        return node_fail(file, error, "is compressed in the unknown way %u", packing);
    }
    if (version == 3 && !packing && !e->readonly) {
        return node_fail(file, error, "VMDK version 3 must be read only");
    }
    if (g.gtes > VMDK_GTES) {
        return node_fail(file, error, "L2 table size too big");
    }
    if (packing && g.grain > VMDK_MAX_PACKED / BLOCK_SECTOR) {
        return node_fail(file, error, "Invalid granularity, image may be corrupt");
    }
    e->kind = packing ? VMDK_STREAM : VMDK_SPARSE;
    x->packed = packing != 0;
    x->zeroed_grain = flags & VMF_ZEROED_GRAIN;
    x->markers = flags & VMF_MARKERS;
    return check_geometry(e, x, &g, error);
}

static bool read_cowd(VmdkExtent *e, VmdkSparse *x, const uint8_t *h, GError **error)
{
    Geometry g = { .capacity = bytes_get_le32(h + COWD_CAPACITY),
                   .grain = bytes_get_le32(h + COWD_GRAIN),
                   .gd = bytes_get_le32(h + COWD_GD),
                   .gtes = COWD_GTES };

    if (bytes_get_le32(h + VM_VERSION) != 1) {
        return node_fail(e->file, error, "Unsupported COWD version %u",
                         bytes_get_le32(h + VM_VERSION));
    }
    if (!e->readonly) {
        return node_fail(e->file, error, "is a COWD image, which can only be read");
    }
    e->kind = VMDK_SPARSE;
    return check_geometry(e, x, &g, error);
}

static bool read_any_header(VmdkExtent *e, VmdkSparse *x, GError **error)
{
    BlockNode *file = e->file;
    uint8_t h[VM_BYTES] = { 0 };
    int err = node_pread(file, 0, h, MIN(file->length, VM_BYTES));

    if (err) {
        return node_fail_errno(file, error, err, "its header cannot be read");
    }
    if (file->length < VM_BYTES || (memcmp(h, "KDMV", 4) && memcmp(h, "COWD", 4))) {
        return node_fail(file, error, "is no sparse VMDK extent");
    }
    return h[0] == 'K' ? read_header(e, x, h, error) : read_cowd(e, x, h, error);
}

bool vmdk_sparse_open(Vmdk *s, VmdkExtent *e, const NodeOptions *options, GError **error)
{
    VmdkSparse *x = g_new0(VmdkSparse, 1);
    BlockNode *node;

    if (!read_any_header(e, x, error)) {
        g_free(x);
        return false;
    }
    node = g_new0(BlockNode, 1);
    node->driver = &extent_driver;
    node->name = e->path;
    node->file = e->file;
    node->length = e->length;
    node->readonly = e->readonly;
    node->priv = x;
    e->node = node;
    blockmap_init(&x->map, node, &ops);
    g_mutex_init(&x->unpacked_lock);
    x->map.end =
        bm_round_up(e->file->length, e->kind == VMDK_STREAM ? BLOCK_SECTOR : x->map.block_size);
    x->map.has_backing = s->node->backing_name != NULL;
    node->backing = x->map.has_backing ? new_window(s, e) : NULL;
    return true;
}

void vmdk_sparse_close(VmdkExtent *e)
{
    VmdkSparse *x = vmdk_sparse(e);

    blockmap_clear(&x->map);
    g_mutex_clear(&x->unpacked_lock);
    g_free(x->unpacked);
    if (e->node->backing) {
        g_free(e->node->backing->priv);
        g_free(e->node->backing);
    }
    g_free(x);
    g_free(e->node);
    e->node = NULL;
}

/* ---- Zeroes ---- */

int vmdk_sparse_write_zeroes(VmdkExtent *e, uint64_t offset, uint64_t bytes, bool unmap)
{
    const VmdkSparse *x = vmdk_sparse(e);
    g_autofree char *zeroes = NULL;
    int err = 0;

    if (x->zeroed_grain || !x->map.has_backing) {
        return blockmap_write_zeroes(e->node, offset, bytes, unmap);
    }
    zeroes = g_malloc0(MIN(bytes, ZEROES));
    while (bytes && !err) {
        struct iovec iov = { zeroes, MIN(bytes, ZEROES) };
        IovCursor c = { &iov, 1, 0 };

        err = blockmap_write(e->node, offset, iov.iov_len, &c);
        offset += iov.iov_len;
        bytes -= iov.iov_len;
    }
    return err;
}

/* ---- Check ---- */

static void take_tables(VmdkSparse *x, BlockMapUse *use, uint64_t gd)
{
    BlockMap *m = &x->map;
    uint64_t table;

    if (!gd) {
        return;
    }
    blockmap_use_take(use, gd, x->n_tables * 4);
    for (uint64_t i = 0; i < x->n_tables; i++) {
        g_mutex_lock(&m->lock);
        if (!find_table(m, gd, i * x->gtes, false, &table) && table) {
            blockmap_use_take(use, table, (uint64_t)x->gtes * 4);
        }
        g_mutex_unlock(&m->lock);
    }
}

/* A compressed grain cannot be moved or made a hole of here: what is damaged is only told. */
static void check_packed(VmdkExtent *e, uint64_t n, NodeCheck *check)
{
    BlockMap *m = &vmdk_sparse(e)->map;
    BlockMapKind kind;
    uint64_t host, alike;

    for (uint64_t i = 0; i < n; i += alike) {
        int err;

        alike = 1;
        g_mutex_lock(&m->lock);
        err = lookup(m, i, false, &kind, &host, &alike);
        g_mutex_unlock(&m->lock);
        if (err == -EIO) {
            node_check_note(check, "ERROR: grain %" PRIu64 " lies outside the image\n", i);
            check->corruptions++;
        } else if (err) {
            check->check_errors++;
        }
        alike = err ? 1 : alike;
    }
}

bool vmdk_sparse_check(VmdkExtent *e, NodeCheck *check, GError **error)
{
    VmdkSparse *x = vmdk_sparse(e);
    uint64_t n = (e->length + x->map.block_size - 1) / x->map.block_size;
    BlockMapUse use;
    bool ok;

    if (e->kind == VMDK_STREAM) {
        check_packed(e, n, check);
        return true;
    }
    if (!blockmap_use_init(&use, 0, BLOCK_SECTOR, x->map.end / BLOCK_SECTOR)) {
        return node_fail(e->node, error, "is too long to be checked");
    }
    e->touched |= check->fix_errors;
    blockmap_use_take(&use, 0, MAX(BLOCK_SECTOR, MIN(x->overhead, x->map.end)));
    take_tables(x, &use, x->gd);
    take_tables(x, &use, x->rgd);
    ok = blockmap_check(&x->map, &use, n, check, error);
    blockmap_use_clear(&use);
    return ok;
}
