/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VDI, VirtualBox's images (version 1.1): a header, a table with the number of each block's place, and the places, normally of 1 MiB. Static
 * images have all blocks from the beginning. Differencing images are refused.
 *
 * Other programs take the header's number of blocks for the first free place. It is on the disk before any entry of the table that it must
 * count; after a power failure it may count places that no entry names, which the next blocks get.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "block/formats/blockmap.h"
#include "block/formats/formats.h"

enum {
    VH_TEXT = 0,
    VH_MAGIC = 64,
    VH_VERSION = 68,
    VH_SIZE = 72,
    VH_TYPE = 76,
    VH_MAP_OFFSET = 340,
    VH_DATA_OFFSET = 344,
    VH_SECTOR = 360,
    VH_LENGTH = 368,
    VH_BLOCK = 376,
    VH_EXTRA = 380,
    VH_BLOCKS = 384,
    VH_ALLOCATED = 388,
    VH_UUID = 392,
    VH_UUID_SNAPSHOT = 408,
    VH_UUID_LINK = 424,
    VH_UUID_PARENT = 440,
    VH_BYTES = 512
};
enum { TYPE_DYNAMIC = 1, TYPE_STATIC = 2, TYPE_UNDO = 3, TYPE_DIFF = 4 };
enum { BLOCK = 1 << 20, MIN_BLOCK = 1 << 16, MAX_BLOCK = 1 << 28, MAX_BLOCKS = 0x1fffff80 };
#define MAGIC     0xbeda107fu
#define NOWHERE   0xffffffffu
#define DISCARDED 0xfffffffeu

typedef struct Vdi {
    BlockMap map;
    uint64_t map_offset, data_offset;
    uint32_t n_blocks, allocated; /* as the header has it, */
    bool allocated_changed;       /* or shall */
    bool scanned;                 /* .use is known */
    BlockMapUse use;
} Vdi;

static int probe(const uint8_t *head, size_t n, const char *file)
{
    return n >= VH_MAGIC + 4 && bytes_get_le32(head + VH_MAGIC) == MAGIC ? 100 : 0;
}

/* ---- Entries ---- */

static int lookup(BlockMap *m, uint64_t index, bool peek, BlockMapKind *kind, uint64_t *host,
                  uint64_t *n)
{
    const Vdi *s = (const Vdi *)m;
    uint32_t entry;
    int err = blockmap_table_get(m, s->map_offset + index * 4, peek, &entry, 4);

    entry = GUINT32_FROM_LE(entry);
    *kind = entry >= DISCARDED ? BM_ZERO : BM_DATA;
    *host = s->data_offset + (uint64_t)entry * m->block_size;
    return err || *kind == BM_ZERO || (entry < s->n_blocks && *host < m->end) ? err : -EIO;
}

static int link_block(BlockMap *m, uint64_t index, BlockMapKind kind, uint64_t host)
{
    const Vdi *s = (const Vdi *)m;
    uint64_t place = (host - s->data_offset) / m->block_size;
    uint32_t entry = GUINT32_TO_LE(kind == BM_DATA ? (uint32_t)place : NOWHERE);

    return blockmap_table_set(m, s->map_offset + index * 4, &entry, 4);
}

/* Finds the places that are in use. */
static int scan(Vdi *s)
{
    BlockMapKind kind;
    uint64_t host, n = 1;
    int err = 0;

    if (!s->scanned &&
        !blockmap_use_init(&s->use, s->data_offset, s->map.block_size, s->n_blocks)) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->n_blocks && !s->scanned; i++) {
        err = lookup(&s->map, i, false, &kind, &host, &n);
        if (err && err != -EIO) {
            blockmap_use_clear(&s->use);
            return err;
        }
        if (!err && kind == BM_DATA) {
            blockmap_use_take(&s->use, host, s->map.block_size);
        }
    }
    s->scanned = true;
    return 0;
}

static void count_allocated(Vdi *s)
{
    s->allocated_changed |= s->allocated != s->use.top;
    s->allocated = (uint32_t)s->use.top;
}

static int allocate(BlockMap *m, uint64_t *n, uint64_t *host)
{
    Vdi *s = (Vdi *)m;
    uint64_t place, got = 0, bytes;
    int err = scan(s);

    if (err) {
        return err;
    }
    place = blockmap_use_find(&s->use);
    while (got < *n && place + got < s->n_blocks && !blockmap_use_test(&s->use, place + got)) {
        got++;
    }
    if (!got) {
        return -EIO; /* entries name places twice, or there would be one */
    }
    *n = got;
    *host = s->data_offset + place * m->block_size;
    bytes = got * m->block_size;
    err = *host > NODE_MAX_LENGTH - bytes ? -EFBIG
                                          : node_write_zeroes(m->node->file, *host, bytes, true);
    if (!err) {
        m->end = MAX(m->end, *host + bytes);
        blockmap_use_take(&s->use, *host, bytes);
        count_allocated(s);
    }
    return err;
}

static void unallocate(BlockMap *m, uint64_t n, uint64_t host)
{
    Vdi *s = (Vdi *)m;
    uint64_t first = (host - s->data_offset) / m->block_size;

    for (uint64_t i = 0; i < n; i++) {
        blockmap_use_drop(&s->use, first + i);
    }
    count_allocated(s);
}

static int before_flush(BlockMap *m)
{
    Vdi *s = (Vdi *)m;
    uint8_t bytes[4];
    int err = 0;

    if (s->allocated_changed) {
        bytes_put_le32(bytes, s->allocated);
        err = blockmap_table_write_through(m, VH_ALLOCATED, bytes, 4);
        s->allocated_changed = err != 0;
    }
    return err;
}

static const BlockMapOps ops = {
    .lookup = lookup,
    .allocate = allocate,
    .link = link_block,
    .unallocate = unallocate,
    .before_flush = before_flush,
};

/* ---- Opening ---- */

static bool check_kind(BlockNode *node, const uint8_t *h, GError **error)
{
    uint32_t type = bytes_get_le32(h + VH_TYPE);

    if (bytes_get_le32(h + VH_MAGIC) != MAGIC) {
        return node_fail(node, error, "is no VDI image");
    }
    if (bytes_get_le32(h + VH_VERSION) != 0x10001) {
        return node_fail(node, error, "is of version %u.%u of VDI; supported is 1.1",
                         bytes_get_le32(h + VH_VERSION) >> 16,
                         bytes_get_le32(h + VH_VERSION) & 0xffff);
    }
    if (type == TYPE_DIFF || type == TYPE_UNDO || !bytes_are_zero(h + VH_UUID_LINK, 16) ||
        !bytes_are_zero(h + VH_UUID_PARENT, 16)) {
        return node_fail(node, error, "is a differencing VDI image, which is not supported");
    }
    if (type != TYPE_DYNAMIC && type != TYPE_STATIC) {
        return node_fail(node, error, "is a VDI image of the unknown type %u", type);
    }
    if (bytes_get_le32(h + VH_SECTOR) != BLOCK_SECTOR) {
        return node_fail(node, error, "has sectors of %u bytes", bytes_get_le32(h + VH_SECTOR));
    }
    return true;
}

static bool read_geometry(BlockNode *node, Vdi *s, const uint8_t *h, GError **error)
{
    uint64_t length = bytes_get_le64(h + VH_LENGTH), size = bytes_get_le32(h + VH_BLOCK);

    s->map_offset = bytes_get_le32(h + VH_MAP_OFFSET);
    s->data_offset = bytes_get_le32(h + VH_DATA_OFFSET);
    s->n_blocks = bytes_get_le32(h + VH_BLOCKS);
    s->allocated = bytes_get_le32(h + VH_ALLOCATED);
    s->map.block_size = size;
    s->map.fully_mapped = bytes_get_le32(h + VH_TYPE) == TYPE_STATIC;
    if (size < MIN_BLOCK || size > MAX_BLOCK || size & (size - 1) || bytes_get_le32(h + VH_EXTRA)) {
        return node_fail(node, error, "has blocks of %" PRIu64 " and %u bytes", size,
                         bytes_get_le32(h + VH_EXTRA));
    }
    if (s->n_blocks > MAX_BLOCKS || s->allocated > s->n_blocks) {
        return node_fail(node, error, "has %u of %u blocks", s->allocated, s->n_blocks);
    }
    if (length > s->n_blocks * size) {
        return node_fail(node, error, "is %" PRIu64 " bytes long, but has %u blocks", length,
                         s->n_blocks);
    }
    if (s->map_offset < VH_BYTES || s->map_offset % BLOCK_SECTOR || s->data_offset % BLOCK_SECTOR ||
        s->data_offset < s->map_offset + (uint64_t)s->n_blocks * 4 ||
        s->map_offset + (uint64_t)s->n_blocks * 4 > node->file->length) {
        return node_fail(node, error, "its table of blocks is out of range");
    }
    node->length = bm_round_up(length, BLOCK_SECTOR);
    node->exact_length = node->length == length ? 0 : length;
    return true;
}

static void free_state(BlockNode *node)
{
    Vdi *s = node->priv;

    blockmap_use_clear(&s->use);
    blockmap_clear(&s->map);
    g_free(s);
    node->priv = NULL;
}

static bool vdi_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    uint8_t head[VH_BYTES];
    uint64_t in_data;
    Vdi *s;
    int err;

    if (node->file->length < VH_BYTES) {
        return node_fail(node, error, "is too short for a VDI image");
    }
    err = node_pread(node->file, 0, head, sizeof(head));
    if (err) {
        return node_fail_errno(node, error, err, "its header cannot be read");
    }
    s = g_new0(Vdi, 1);
    node->priv = s;
    blockmap_init(&s->map, node, &ops);
    if (!check_kind(node, head, error) || !read_geometry(node, s, head, error)) {
        free_state(node);
        return false;
    }
    in_data = node->file->length > s->data_offset ? node->file->length - s->data_offset : 0;
    s->map.end = s->data_offset + bm_round_up(in_data, s->map.block_size);
    return true;
}

static int vdi_close(BlockNode *node)
{
    int err = node->readonly ? 0 : blockmap_flush(node);

    free_state(node);
    return err;
}

/* ---- Check ---- */

static void check_allocated(Vdi *s, const BlockMapUse *use, NodeCheck *check)
{
    bool short_of = s->allocated < use->top;
    bool fix = short_of ? check->fix_errors : check->fix_leaks;

    if (s->allocated == use->top) {
        return;
    }
    node_check_note(check, "%s: the header counts %u blocks, not %" PRIu64 "\n",
                    fix ? "Repairing" : "ERROR", s->allocated, use->top);
    if (short_of) {
        check->corruptions += !fix;
        check->corruptions_fixed += fix;
    } else {
        check->leaks += fix ? 0 : s->allocated - use->top;
        check->leaks_fixed += fix ? s->allocated - use->top : 0;
    }
    if (fix) {
        s->allocated = (uint32_t)use->top;
        s->allocated_changed = true;
    }
}

/* Moves the last blocks to the gaps before them, as other programs would be told a number of blocks that is too small for their places. */
static int close_gaps(Vdi *s, BlockMapUse *use, uint64_t n_used)
{
    BlockMap *m = &s->map;
    BlockMapKind kind;
    uint64_t host, n = 1, to;
    int err = 0;

    for (uint32_t i = 0; i < s->n_blocks && !err; i++) {
        err = lookup(m, i, false, &kind, &host, &n);
        if (!err && kind == BM_DATA && host >= s->data_offset + n_used * m->block_size) {
            to = s->data_offset + blockmap_use_find(use) * m->block_size;
            err = blockmap_copy(m, host, to);
            err = err ? err : link_block(m, i, BM_DATA, to);
            blockmap_use_take(use, to, m->block_size);
            blockmap_use_drop(use, (host - s->data_offset) / m->block_size);
        }
    }
    blockmap_use_clear(&s->use);
    s->scanned = false;
    return err ? err : blockmap_flush(m->node); /* before the header counts less */
}

static int check_places(Vdi *s, BlockMapUse *use, NodeCheck *check)
{
    uint64_t gaps = use->top - MIN(use->top, check->allocated_clusters);
    int err = 0;

    if (gaps) {
        node_check_note(check, "%s: %" PRIu64 " blocks are not in use\n",
                        check->fix_leaks ? "Repairing" : "Leaked", gaps);
    }
    if (gaps && check->fix_leaks && !check->corruptions) {
        err = close_gaps(s, use, check->allocated_clusters);
        check->leaks_fixed += gaps;
    } else {
        check->leaks += gaps;
    }
    if (!err) {
        check_allocated(s, use, check);
    }
    return err || s->map.node->readonly ? err : blockmap_flush(s->map.node);
}

static bool vdi_check(BlockNode *node, NodeCheck *check, GError **error)
{
    Vdi *s = node->priv;
    BlockMapUse use;
    bool ok;
    int err;

    if (!blockmap_use_init(&use, s->data_offset, s->map.block_size, s->n_blocks)) {
        return node_fail_errno(node, error, -ENOMEM, "cannot be checked");
    }
    ok = blockmap_check(&s->map, &use, s->n_blocks, check, error);
    err = ok ? check_places(s, &use, check) : 0;
    blockmap_use_clear(&use);
    check->allocated_clusters = check->fragmented_clusters = 0; /* as qemu-img says nothing of it */
    return ok && (!err || node_fail_errno(node, error, err, "cannot be mended"));
}

/* ---- Create ---- */

typedef struct Wanted {
    uint64_t length;
    bool all;
    NodePrealloc prealloc;
} Wanted;

static bool read_wanted(const KeyVals *options, Wanted *w, GError **error)
{
    *w = (Wanted){ 0 };
    if (!create_option_length(options, &w->length, error) ||
        !create_option_prealloc(options, &w->prealloc, error) ||
        !keyvals_get_bool(options, "vdi", "static", &w->all, error)) {
        return false;
    }
    w->all |= w->prealloc != NODE_PREALLOC_OFF;
    if (w->length > (uint64_t)MAX_BLOCKS * BLOCK) {
        return create_fail(error,
                           "Unsupported VDI image size (size is 0x%" PRIx64
                           ", max supported is 0x%" PRIx64 ")",
                           w->length, (uint64_t)MAX_BLOCKS * BLOCK);
    }
    w->length = bm_round_up(w->length, BLOCK_SECTOR);
    return true;
}

static void make_header(const Wanted *w, uint32_t n, uint64_t data, uint8_t *h)
{
    strcpy((char *)h + VH_TEXT, "<<< Menura VM Virtual Disk Image >>>\n");
    bytes_put_le32(h + VH_MAGIC, MAGIC);
    bytes_put_le32(h + VH_VERSION, 0x10001);
    bytes_put_le32(h + VH_SIZE, 0x190);
    bytes_put_le32(h + VH_TYPE, w->all ? TYPE_STATIC : TYPE_DYNAMIC);
    bytes_put_le32(h + VH_MAP_OFFSET, VH_BYTES);
    bytes_put_le32(h + VH_DATA_OFFSET, (uint32_t)data);
    bytes_put_le32(h + VH_SECTOR, BLOCK_SECTOR);
    bytes_put_le64(h + VH_LENGTH, w->length);
    bytes_put_le32(h + VH_BLOCK, BLOCK);
    bytes_put_le32(h + VH_BLOCKS, n);
    bytes_put_le32(h + VH_ALLOCATED, w->all ? n : 0);
    create_uuid(h + VH_UUID);
    create_uuid(h + VH_UUID_SNAPSHOT);
}

/* The table of a new image, a piece at a time. */
static int write_table(BlockNode *node, const Wanted *w, uint32_t n)
{
    enum { PIECE = 65536 };
    g_autofree uint8_t *piece = g_malloc(PIECE * 4);
    int err = 0;

    for (uint32_t at = 0; at < n && !err; at += PIECE) {
        uint32_t count = MIN(PIECE, n - at);

        for (uint32_t i = 0; i < count; i++) {
            bytes_put_le32(piece + i * 4, w->all ? at + i : NOWHERE);
        }
        err = node_pwrite(node, VH_BYTES + (uint64_t)at * 4, piece, (uint64_t)count * 4);
    }
    return err;
}

static bool write_image(BlockNode *node, const Wanted *w, GError **error)
{
    uint32_t n = (uint32_t)((w->length + BLOCK - 1) / BLOCK);
    uint64_t data = bm_round_up(VH_BYTES + (uint64_t)n * 4, 4096);
    uint8_t head[VH_BYTES] = { 0 };
    NodePrealloc prealloc = w->prealloc == NODE_PREALLOC_METADATA ? NODE_PREALLOC_OFF : w->prealloc;
    int err;

    make_header(w, n, data, head);
    err = node_pwrite(node, 0, head, sizeof(head));
    err = err ? err : write_table(node, w, n);
    if (err) {
        return node_fail_errno(node, error, err, "cannot be written");
    }
    return node_truncate(node, data + (w->all ? (uint64_t)n * BLOCK : 0), false, prealloc, error);
}

static bool vdi_create(const char *file, const KeyVals *options, GError **error)
{
    BlockNode *node;
    Wanted w;

    return read_wanted(options, &w, error) && (node = node_create_file(file, error)) &&
           create_close(node, write_image(node, &w, error), error);
}

static const NodeOptionInfo create_options[] = {
    { "preallocation", "Preallocation mode (allowed values: off, metadata, falloc, full)" },
    { "size", "Virtual disk size" },
    { "static", "VDI static (pre-allocated) image" },
    { NULL, NULL }
};

const BlockDriver block_vdi_driver = {
    .name = "vdi",
    .probe = probe,
    .open = vdi_open,
    .close = vdi_close,
    .read = blockmap_read,
    .write = blockmap_write,
    .write_zeroes = blockmap_write_zeroes,
    .discard = blockmap_discard,
    .flush = blockmap_flush,
    .status = blockmap_status,
    .direct = blockmap_direct,
    .create = vdi_create,
    .create_options = create_options,
    .check = vdi_check,
    .cluster_size = blockmap_block_size,
};
