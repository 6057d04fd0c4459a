/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VHDX, Hyper-V's images: the driver. A block map whose table is the BAT, with an entry of no use here (a sector bitmap block's) after each
 * chunk of blocks. The last block need be in the file only as far as the disk goes. Differencing images are
 * refused.
 *
 * Before the first write the header says that the file changes.
 */
#include "block/formats/vhdx.h"
#include <errno.h>
#include <string.h>
#include "block/formats/formats.h"

static int probe(const uint8_t *head, size_t n, const char *file)
{
    return n >= 8 && !memcmp(head, "vhdxfile", 8) ? 100 : 0;
}

/* ---- Entries ---- */

static uint64_t entry_at(const Vhdx *s, uint64_t index)
{
    return s->bat.offset + (index + index / s->chunk_ratio) * 8;
}

static bool is_free_of(const Vhdx *s, uint64_t host, uint64_t bytes)
{
    for (guint i = 0; i < s->ranges->len; i++) {
        const VhdxRange *r = &g_array_index(s->ranges, VhdxRange, i);

        if (host < r->offset + r->length && r->offset < host + bytes) {
            return false;
        }
    }
    return true;
}

static int lookup(BlockMap *m, uint64_t index, bool peek, BlockMapKind *kind, uint64_t *host,
                  uint64_t *n)
{
    const Vhdx *s = (const Vhdx *)m;
    uint64_t bytes = MIN(m->block_size, m->node->length - index * m->block_size), entry;
    int err = blockmap_table_get(m, entry_at(s, index), peek, &entry, 8);
    unsigned state;

    if (err) {
        return err;
    }
    entry = GUINT64_FROM_LE(entry);
    state = entry & 7;
    *host = entry >> 20 << 20;
    *kind = state == XB_PRESENT ? BM_DATA : BM_HOLE;
    if (state <= XB_UNMAPPED) {
        return 0;
    }
    return state == XB_PRESENT && bytes <= m->end && *host <= m->end - bytes &&
                   is_free_of(s, *host, bytes)
               ? 0
               : -EIO;
}

static int allocate(BlockMap *m, uint64_t *n, uint64_t *host)
{
    return blockmap_append(m, *n * m->block_size, host);
}

static int link_block(BlockMap *m, uint64_t index, BlockMapKind kind, uint64_t host)
{
    uint64_t entry = GUINT64_TO_LE(kind == BM_DATA ? host | XB_PRESENT : XB_NOT_PRESENT);

    return blockmap_table_set(m, entry_at((const Vhdx *)m, index), &entry, 8);
}

static int before_flush(BlockMap *m)
{
    ((Vhdx *)m)->flushed = m->node->file->length;
    return 0;
}

static const BlockMapOps ops = {
    .lookup = lookup,
    .allocate = allocate,
    .link = link_block,
    .before_flush = before_flush,
    .commit = vhdx_log_commit,
};

/* ---- Opening ---- */

static void free_state(BlockNode *node)
{
    Vhdx *s = node->priv;

    blockmap_clear(&s->map);
    g_array_unref(s->ranges);
    g_free(s);
    node->priv = NULL;
}

static bool read_all(Vhdx *s, const NodeOptions *options, GError **error)
{
    BlockMap *m = &s->map;

    if (!vhdx_header_read(s, error) || !vhdx_log_replay(s, options->readonly, error) ||
        !vhdx_tables_read(s, error)) {
        return false;
    }
    m->end = bm_round_up(m->node->file->length, VHDX_MIB);
    m->fully_mapped = true; /* blocks are large, and often have much that was never written */
    return true;
}

static bool vhdx_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    Vhdx *s;

    if (node->file->length < VHDX_MIB || node->file->length > VHDX_MAX_FILE) {
        return node_fail(node, error, "is too %s for a VHDX image",
                         node->file->length < VHDX_MIB ? "short" : "long");
    }
    s = g_new0(Vhdx, 1);
    node->priv = s;
    s->ranges = g_array_new(FALSE, FALSE, sizeof(VhdxRange));
    blockmap_init(&s->map, node, &ops);
    if (!read_all(s, options, error)) {
        free_state(node);
        return false;
    }
    return true;
}

static int vhdx_close(BlockNode *node)
{
    int err = node->readonly ? 0 : blockmap_flush(node);

    err = err || node->readonly ? err : vhdx_log_close(node->priv);
    free_state(node);
    return err;
}

/* ---- Writing ---- */

static int begin_write(BlockNode *node)
{
    Vhdx *s = node->priv;
    int err = 0;

    if (__atomic_load_n(&s->modified, __ATOMIC_ACQUIRE)) {
        return 0;
    }
    g_mutex_lock(&s->map.flush_lock);
    if (!s->modified) {
        vhdx_make_guid(s->header + XH_FILE_WRITE);
        vhdx_make_guid(s->header + XH_DATA_WRITE);
        err = vhdx_header_write(s);
        __atomic_store_n(&s->modified, !err, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&s->map.flush_lock);
    return err;
}

static int vhdx_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = begin_write(node);

    return err ? err : blockmap_write(node, offset, bytes, c);
}

static int vhdx_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    int err = begin_write(node);

    return err ? err : blockmap_write_zeroes(node, offset, bytes, unmap);
}

static int vhdx_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    int err = begin_write(node);

    return err ? err : blockmap_discard(node, offset, bytes);
}

static bool vhdx_direct(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                        uint64_t *fd_offset)
{
    const Vhdx *s = node->priv;

    return (!write || __atomic_load_n(&s->modified, __ATOMIC_ACQUIRE)) &&
           blockmap_direct(node, offset, bytes, write, fd, fd_offset);
}

/* ---- Check ---- */

static bool vhdx_check(BlockNode *node, NodeCheck *check, GError **error)
{
    Vhdx *s = node->priv;
    BlockMapUse use;
    bool ok;

    check->corruptions_fixed += s->replayed;
    s->replayed = false;
    if (!blockmap_use_init(&use, 0, VHDX_MIB, s->map.end / VHDX_MIB)) {
        return node_fail(node, error, "is too long to be checked");
    }
    if (check->fix_errors && begin_write(node)) {
        blockmap_use_clear(&use);
        return node_fail(node, error, "cannot be written");
    }
    ok = blockmap_check(&s->map, &use, s->n_blocks, check, error);
    check->allocated_clusters = check->fragmented_clusters =
        0; /* not of interest: one may be 256 MiB */
    blockmap_use_clear(&use);
    return ok;
}

const BlockDriver block_vhdx_driver = {
    .name = "vhdx",
    .probe = probe,
    .open = vhdx_open,
    .close = vhdx_close,
    .read = blockmap_read,
    .write = vhdx_write,
    .write_zeroes = vhdx_write_zeroes,
    .discard = vhdx_discard,
    .flush = blockmap_flush,
    .status = blockmap_status,
    .direct = vhdx_direct,
    .create = vhdx_create,
    .create_options = vhdx_create_options,
    .create_shown = "size log_size=1048576 block_size=0 subformat block_state_zero preallocation",
    .check = vhdx_check,
    .cluster_size = blockmap_block_size,
};
