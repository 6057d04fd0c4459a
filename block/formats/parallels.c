/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parallels' expandable images (docs/interop/parallels.txt of QEMU): a header, a table with the place of each cluster, and the clusters. In
 * images of the older kind ("WithoutFreeSpace") places are counted in sectors, and clusters may lie anywhere.
 *
 * An image that is open for writing says so in its header. If one says so when it is opened, its writer has died: it is checked and mended
 * first. Extensions (dirty bitmaps) would be wrong after the first write: an image that is opened for writing loses them, or is refused if
 * they say that they must not be ignored.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "block/formats/blockmap.h"
#include "block/formats/formats.h"

enum {
    PH_VERSION = 16,
    PH_HEADS = 20,
    PH_CYLINDERS = 24,
    PH_CLUSTER = 28,
    PH_ENTRIES = 32,
    PH_SECTORS = 36,
    PH_IN_USE = 44,
    PH_DATA = 48,
    PH_FLAGS = 52,
    PH_EXTENSION = 56,
    PH_BYTES = 64
};
enum { VERSION = 2, FLAG_EMPTY = 1, MAX_CLUSTER = 1 << 30, HEADS = 16, TRACK = 32 };
enum { EXT_HEAD = 24, EXT_NECESSARY = 1, EXT_TRANSIT = 2 };
#define IN_USE    0x746f6e59u
#define CLOSED    0x312e3276u
#define EXT_MAGIC 0xab234cef23dcea87ull
/* Others keep the table in memory. */
#define MAX_ENTRIES 0x1fffffffu

typedef struct Parallels {
    BlockMap map;
    uint8_t head[PH_BYTES];
    uint64_t data, n_entries;
    uint64_t unit; /* bytes that places are counted in */
    bool empty;    /* whatever the table says */
    bool opened;   /* the header says so */
} Parallels;

static const char old_magic[] = "WithoutFreeSpace", new_magic[] = "WithouFreSpacExt";

static int probe(const uint8_t *head, size_t n, const char *file)
{
    return n >= PH_BYTES && (!memcmp(head, old_magic, 16) || !memcmp(head, new_magic, 16)) &&
                   bytes_get_le32(head + PH_VERSION) == VERSION
               ? 100
               : 0;
}

/* ---- Entries ---- */

static int lookup(BlockMap *m, uint64_t index, bool peek, BlockMapKind *kind, uint64_t *host,
                  uint64_t *n)
{
    const Parallels *s = (const Parallels *)m;
    uint32_t entry = 0;
    int err = s->empty ? 0 : blockmap_table_get(m, PH_BYTES + index * 4, peek, &entry, 4);

    entry = GUINT32_FROM_LE(entry);
    *kind = entry ? BM_DATA : BM_HOLE;
    *host = entry * s->unit;
    return err || !entry || (*host >= s->data && *host < m->end) ? err : -EIO;
}

static int link_block(BlockMap *m, uint64_t index, BlockMapKind kind, uint64_t host)
{
    const Parallels *s = (const Parallels *)m;
    uint32_t entry = GUINT32_TO_LE(kind == BM_DATA ? (uint32_t)(host / s->unit) : 0);

    return blockmap_table_set(m, PH_BYTES + index * 4, &entry, 4);
}

static int allocate(BlockMap *m, uint64_t *n, uint64_t *host)
{
    const Parallels *s = (const Parallels *)m;

    if ((m->end + *n * m->block_size) / s->unit > UINT32_MAX) {
        return -EFBIG;
    }
    return blockmap_append(m, *n * m->block_size, host);
}

static const BlockMapOps ops = { .lookup = lookup, .allocate = allocate, .link = link_block };

/* ---- Opening ---- */

static bool read_kind(BlockNode *node, Parallels *s, GError **error)
{
    const uint8_t *h = s->head;
    bool old = !memcmp(h, old_magic, 16);
    uint64_t cluster = (uint64_t)bytes_get_le32(h + PH_CLUSTER) * BLOCK_SECTOR;

    if (!old && memcmp(h, new_magic, 16)) {
        return node_fail(node, error, "is no Parallels image");
    }
    if (bytes_get_le32(h + PH_VERSION) != VERSION) {
        return node_fail(node, error, "is of version %u of Parallels' images; supported is 2",
                         bytes_get_le32(h + PH_VERSION));
    }
    if (!cluster || cluster > MAX_CLUSTER) {
        return node_fail(node, error,
                         cluster ? "Invalid image: Too big cluster"
                                 : "Invalid image: Zero sectors per track");
    }
    s->map.block_size = cluster;
    s->unit = old ? BLOCK_SECTOR : cluster;
    s->n_entries = bytes_get_le32(h + PH_ENTRIES);
    s->data = (uint64_t)bytes_get_le32(h + PH_DATA) * BLOCK_SECTOR;
    if (old) { /* what it says may be less than where the table ends */
        s->data = MAX(s->data, bm_round_up(PH_BYTES + s->n_entries * 4, BLOCK_SECTOR));
    }
    return true;
}

static bool read_geometry(BlockNode *node, Parallels *s, GError **error)
{
    uint64_t sectors = bytes_get_le64(s->head + PH_SECTORS), table = PH_BYTES + s->n_entries * 4;
    uint64_t length = node->file->length, cluster = s->map.block_size;

    if (!memcmp(s->head, old_magic, 16)) {
        sectors = (uint32_t)sectors;
    }
    if (table > length) {
        return node_fail(node, error, "Catalog too large");
    }
    if (s->data < table || s->data % s->unit) {
        return node_fail(node, error, "its data begins at %" PRIu64, s->data);
    }
    if (sectors > NODE_MAX_LENGTH / BLOCK_SECTOR ||
        sectors > s->n_entries * (cluster / BLOCK_SECTOR)) {
        return node_fail(node, error, "has %" PRIu64 " sectors, but %" PRIu64 " clusters", sectors,
                         s->n_entries);
    }
    node->length = sectors * BLOCK_SECTOR;
    s->map.end = s->data + bm_round_up(length > s->data ? length - s->data : 0, cluster);
    s->empty = bytes_get_le32(s->head + PH_FLAGS) & FLAG_EMPTY;
    return true;
}

static int write_header(Parallels *s)
{
    int err = blockmap_table_write_through(&s->map, 0, s->head, PH_BYTES);

    return err ? err : node_flush(s->map.node->file);
}

/* True if none of the extensions says that it must be kept. */
static bool may_drop_extensions(BlockNode *node, const Parallels *s, GError **error)
{
    uint64_t place = bytes_get_le64(s->head + PH_EXTENSION), offset = place * BLOCK_SECTOR,
             at = EXT_HEAD;
    g_autofree uint8_t *ext = NULL;
    int err;

    if (!place || place > node->file->length / BLOCK_SECTOR ||
        s->map.block_size > node->file->length - offset) {
        return true; /* there are none */
    }
    ext = g_try_malloc(s->map.block_size);
    err = ext ? node_pread(node->file, offset, ext, s->map.block_size) : -ENOMEM;
    if (err) {
        return node_fail_errno(node, error, err, "its extensions cannot be read");
    }
    while (bytes_get_le64(ext) == EXT_MAGIC && s->map.block_size - at >= EXT_HEAD &&
           bytes_get_le64(ext + at)) {
        uint64_t bytes = EXT_HEAD + bm_round_up(bytes_get_le32(ext + at + 16), 8);

        if (bytes_get_le64(ext + at + 8) & (EXT_NECESSARY | EXT_TRANSIT)) {
            return node_fail(node, error,
                             "has the extension %#" PRIx64
                             ", which must be kept up to date and is not supported; it can be read",
                             bytes_get_le64(ext + at));
        }
        if (bytes > s->map.block_size - at) {
            break;
        }
        at += bytes;
    }
    return true;
}

/* What the image says to be clear is: entries of it may be anything. */
static int clear_table(Parallels *s)
{
    int err = 0;

    if (s->empty) {
        g_autofree uint8_t *zeroes = g_malloc0(65536);

        for (uint64_t at = 0; at < s->n_entries * 4 && !err; at += 65536) {
            err = node_pwrite(s->map.node->file, PH_BYTES + at, zeroes,
                              MIN(65536, s->n_entries * 4 - at));
        }
        err = err ? err : node_flush(s->map.node->file);
    }
    s->empty = false;
    return err;
}

static bool mend(BlockNode *node, GError **error)
{
    NodeCheck check = { .fix_leaks = true, .fix_errors = true };
    bool ok;

    check.report = g_string_new(NULL);
    ok = node->driver->check(node, &check, error);
    g_string_free(check.report, TRUE);
    if (ok && (check.corruptions || check.check_errors)) {
        ok = node_fail(node, error, "was not closed properly, and cannot be repaired");
    }
    return ok;
}

static bool begin_writing(BlockNode *node, const NodeOptions *options, GError **error)
{
    Parallels *s = node->priv;
    int err;

    if (options->readonly || options->repair) {
        return true;
    }
    if (!may_drop_extensions(node, s, error)) {
        return false;
    }
    if (bytes_get_le32(s->head + PH_IN_USE) == IN_USE && !mend(node, error)) {
        return false;
    }
    err = clear_table(s);
    bytes_put_le32(s->head + PH_IN_USE, IN_USE);
    bytes_put_le32(s->head + PH_FLAGS, bytes_get_le32(s->head + PH_FLAGS) & ~(uint32_t)FLAG_EMPTY);
    bytes_put_le64(s->head + PH_EXTENSION, 0);
    err = err ? err : write_header(s);
    s->opened = !err;
    return !err || node_fail_errno(node, error, err, "its header cannot be written");
}

static void free_state(BlockNode *node)
{
    Parallels *s = node->priv;

    blockmap_clear(&s->map);
    g_free(s);
    node->priv = NULL;
}

static bool parallels_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    Parallels *s;
    int err;

    if (node->file->length < PH_BYTES) {
        return node_fail(node, error, "is too short for a Parallels image");
    }
    s = g_new0(Parallels, 1);
    node->priv = s;
    blockmap_init(&s->map, node, &ops);
    err = node_pread(node->file, 0, s->head, PH_BYTES);
    if (err) {
        node_fail_errno(node, error, err, "its header cannot be read");
    } else if (read_kind(node, s, error) && read_geometry(node, s, error) &&
               begin_writing(node, options, error)) {
        return true;
    }
    free_state(node);
    return false;
}

static int parallels_close(BlockNode *node)
{
    Parallels *s = node->priv;
    int err = node->readonly ? 0 : blockmap_flush(node);

    if (s->opened && !err) {
        bytes_put_le32(s->head + PH_IN_USE, CLOSED);
        err = write_header(s);
    }
    free_state(node);
    return err;
}

/* ---- Check ---- */

/* @end: of the last cluster that is used. */
static bool check_end(Parallels *s, uint64_t end, NodeCheck *check, GError **error)
{
    BlockNode *file = s->map.node->file;
    uint64_t cluster = s->map.block_size, leaked = file->length - MIN(file->length, end);
    uint64_t n = (leaked + cluster - 1) / cluster;

    if (!leaked) {
        return true;
    }
    node_check_note(check, "%s: %" PRIu64 " bytes are not used at the file's end\n",
                    check->fix_leaks ? "Repairing" : "ERROR", leaked);
    if (!check->fix_leaks || check->corruptions || check->check_errors) {
        check->leaks += n;
        return true;
    }
    check->leaks_fixed += n;
    s->map.end = end;
    return node_truncate(file, end, true, NODE_PREALLOC_OFF, error);
}

static bool check_in_use(Parallels *s, NodeCheck *check, GError **error)
{
    int err = 0;

    if (s->opened || bytes_get_le32(s->head + PH_IN_USE) != IN_USE) {
        return true;
    }
    node_check_note(check, "%s: the image was not closed properly\n",
                    check->fix_errors ? "Repairing" : "ERROR");
    if (!check->fix_errors || check->corruptions || check->check_errors) {
        check->corruptions++;
    } else {
        bytes_put_le32(s->head + PH_IN_USE, CLOSED);
        err = write_header(s);
        check->corruptions_fixed++;
    }
    return !err || node_fail_errno(s->map.node, error, err, "its header cannot be written");
}

static bool check_with(Parallels *s, BlockMapUse *use, NodeCheck *check, GError **error)
{
    BlockNode *node = s->map.node;
    uint64_t end = s->map.end, last;
    int err;

    if (!blockmap_check(&s->map, use, s->n_entries, check, error)) {
        return false;
    }
    err = node->readonly ? 0 : blockmap_flush(node);
    if (err) {
        return node_fail_errno(node, error, err, "cannot be mended");
    }
    check->total_clusters = s->n_entries;
    last = s->map.end > end ? s->map.end : use->base + use->top * use->unit;
    check->image_end_offset = last;
    /* Extensions have clusters that are not in the table. */
    return (bytes_get_le64(s->head + PH_EXTENSION) || check_end(s, last, check, error)) &&
           check_in_use(s, check, error);
}

static bool parallels_check(BlockNode *node, NodeCheck *check, GError **error)
{
    Parallels *s = node->priv;
    uint64_t unit = s->unit;
    BlockMapUse use;
    bool ok;

    if (!blockmap_use_init(&use, s->data, unit, (s->map.end - s->data) / unit)) {
        return node_fail_errno(node, error, -ENOMEM, "cannot be checked");
    }
    ok = check_with(s, &use, check, error);
    blockmap_use_clear(&use);
    return ok;
}

/* ---- Create ---- */

typedef struct Wanted {
    uint64_t length, cluster, entries;
} Wanted;

static bool read_wanted(const KeyVals *options, Wanted *w, GError **error)
{
    *w = (Wanted){ .cluster = 1 << 20 };
    if (!create_option_length(options, &w->length, error) ||
        !create_option_size(options, "cluster_size", &w->cluster, error)) {
        return false;
    }
    if (w->cluster > MAX_CLUSTER) {
        return create_fail(error, "Cluster size is too large");
    }
    w->length = bm_round_up(w->length, BLOCK_SECTOR);
    w->cluster = bm_round_up(w->cluster, BLOCK_SECTOR);
    w->entries = w->cluster ? (w->length + w->cluster - 1) / w->cluster : UINT64_MAX;
    if (w->entries > MAX_ENTRIES) {
        return create_fail(error, "Image size is too large for this cluster size");
    }
    return true;
}

static bool write_image(BlockNode *node, const Wanted *w, GError **error)
{
    uint64_t sectors = w->length / BLOCK_SECTOR, cylinders = sectors / HEADS / TRACK;
    uint64_t data = bm_round_up(PH_BYTES + w->entries * 4, w->cluster);
    uint8_t h[PH_BYTES] = { 0 };
    int err;

    memcpy(h, new_magic, 16);
    bytes_put_le32(h + PH_VERSION, VERSION);
    bytes_put_le32(h + PH_HEADS, HEADS);
    bytes_put_le32(h + PH_CYLINDERS, (uint32_t)MIN(cylinders, UINT32_MAX));
    bytes_put_le32(h + PH_CLUSTER, (uint32_t)(w->cluster / BLOCK_SECTOR));
    bytes_put_le32(h + PH_ENTRIES, (uint32_t)w->entries);
    bytes_put_le64(h + PH_SECTORS, sectors);
    bytes_put_le32(h + PH_IN_USE, CLOSED);
    bytes_put_le32(h + PH_DATA, (uint32_t)(data / BLOCK_SECTOR));
    err = node_pwrite(node, 0, h, sizeof(h));
    if (err) {
        return node_fail_errno(node, error, err, "cannot be written");
    }
    return node_truncate(node, data, false, NODE_PREALLOC_OFF, error); /* the table is zero */
}

static bool parallels_create(const char *file, const KeyVals *options, GError **error)
{
    BlockNode *node;
    Wanted w;

    return read_wanted(options, &w, error) && (node = node_create_file(file, error)) &&
           create_close(node, write_image(node, &w, error), error);
}

static const NodeOptionInfo create_options[] = { { "cluster_size", "Parallels image cluster size" },
                                                 { "size", "Virtual disk size" },
                                                 { NULL, NULL } };

static void parallels_backing_opened(BlockNode *node)
{
    ((Parallels *)node->priv)->map.has_backing = true;
}

const BlockDriver block_parallels_driver = {
    .name = "parallels",
    .backing_opened = parallels_backing_opened,
    .probe = probe,
    .open = parallels_open,
    .close = parallels_close,
    .read = blockmap_read,
    .write = blockmap_write,
    .write_zeroes = blockmap_write_zeroes,
    .discard = blockmap_discard,
    .flush = blockmap_flush,
    .status = blockmap_status,
    .direct = blockmap_direct,
    .create = parallels_create,
    .create_options = create_options,
    .check = parallels_check,
};
