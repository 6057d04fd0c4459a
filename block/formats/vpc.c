/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VHD, Virtual PC's images (Microsoft's "Virtual Hard Disk Image Format Specification"), which qemu-img calls vpc. Fixed ones are the disk's
 * bytes with a footer behind. Dynamic ones have a copy of the footer first, then a header and a table with the place of each block: a map of
 * its sectors that were ever written, and their bytes. Differencing images are refused.
 *
 * New blocks take the place of the footer, which moves behind them: until it is there, its copy at the beginning is the only one. The map
 * of a block's sectors is not needed for reading, as what was never written is zero, but kept for programs that look at it.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include "block/formats/blockmap.h"
#include "block/formats/formats.h"
#include "block/options.h"

enum {
    VF_FEATURES = 8,
    VF_VERSION = 12,
    VF_DATA_OFFSET = 16,
    VF_TIME = 24,
    VF_CREATOR = 28,
    VF_CREATOR_VERSION = 32,
    VF_HOST = 36,
    VF_ORIGINAL_LENGTH = 40,
    VF_LENGTH = 48,
    VF_CYLINDERS = 56,
    VF_HEADS = 58,
    VF_SECTORS = 59,
    VF_TYPE = 60,
    VF_CHECKSUM = 64,
    VF_UUID = 68,
    VF_BYTES = 512
};
enum {
    VD_DATA_OFFSET = 8,
    VD_TABLE = 16,
    VD_VERSION = 24,
    VD_ENTRIES = 28,
    VD_BLOCK = 32,
    VD_CHECKSUM = 36,
    VD_BYTES = 1024
};
enum { TYPE_FIXED = 2, TYPE_DYNAMIC = 3, TYPE_DIFF = 4, VERSION = 0x10000 };
enum { BLOCK = 2 << 20, MIN_BLOCK = 4096, MAX_BLOCK = 1 << 30 };
enum { YEAR_2000 = 946684800, MAX_CYLINDERS = 65535, MAX_HEADS = 16, MAX_SECTORS = 255 };
/* The most that geometry can say: then the length in bytes counts. */
#define MAX_GEOMETRY ((uint64_t)MAX_CYLINDERS * MAX_HEADS * MAX_SECTORS)
#define MAX_LENGTH   (0xff000000ull * BLOCK_SECTOR)
#define NOWHERE      0xffffffffu

typedef struct Vpc {
    BlockMap map;
    uint8_t footer[VF_BYTES];
    uint64_t table, bitmap_bytes; /* of a dynamic image */
} Vpc;

static int probe(const uint8_t *head, size_t n, const char *file)
{
    return n >= 8 && !memcmp(head, "conectix", 8) ? 100 : 0; /* fixed ones have nothing there */
}

/* The sum of all bytes but the sum, complemented. */
static uint32_t checksum(const uint8_t *p, size_t n, size_t at)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += i >= at && i < at + 4 ? 0 : p[i];
    }
    return ~sum;
}

/* ---- Entries ---- */

static int lookup(BlockMap *m, uint64_t index, bool peek, BlockMapKind *kind, uint64_t *host,
                  uint64_t *n)
{
    const Vpc *s = (const Vpc *)m;
    uint32_t entry;
    int err = blockmap_table_get(m, s->table + index * 4, peek, &entry, 4);

    entry = GUINT32_FROM_BE(entry);
    *kind = entry == NOWHERE ? BM_ZERO : BM_DATA;
    *host = (uint64_t)entry * BLOCK_SECTOR + s->bitmap_bytes;
    return err || *kind == BM_ZERO || (entry && *host < m->end) ? err : -EIO;
}

static int link_block(BlockMap *m, uint64_t index, BlockMapKind kind, uint64_t host)
{
    const Vpc *s = (const Vpc *)m;
    uint32_t entry = GUINT32_TO_BE((uint32_t)((host - s->bitmap_bytes) / BLOCK_SECTOR));

    return blockmap_table_set(m, s->table + index * 4, &entry, 4);
}

/* One block at a time, with a map that says that all of it was written. */
static int allocate(BlockMap *m, uint64_t *n, uint64_t *host)
{
    Vpc *s = (Vpc *)m;
    uint64_t bytes = s->bitmap_bytes + m->block_size, at;
    g_autofree uint8_t *ones = NULL;
    int err;

    if (m->end / BLOCK_SECTOR >= NOWHERE) {
        return -EFBIG;
    }
    ones = g_malloc(s->bitmap_bytes);
    memset(ones, 0xff, s->bitmap_bytes);
    err = blockmap_append(m, bytes, &at);
    for (uint64_t i = 0; i < s->bitmap_bytes && !err; i += BLOCK_SECTOR) {
        err = blockmap_table_write_through(m, at + i, ones, BLOCK_SECTOR);
    }
    err = err ? err : node_pwrite(m->node->file, m->end, s->footer, VF_BYTES);
    *n = 1;
    *host = at + s->bitmap_bytes;
    return err;
}

/* Marks the sectors; 32 have a number of the map. */
static int written(BlockMap *m, uint64_t offset, uint64_t host, uint64_t bytes)
{
    const Vpc *s = (const Vpc *)m;
    uint64_t in = offset % m->block_size, map = host - in - s->bitmap_bytes;
    uint64_t sector = in / BLOCK_SECTOR, end = (in + bytes + BLOCK_SECTOR - 1) / BLOCK_SECTOR;
    int err = 0;

    while (sector < end && !err) {
        uint64_t first = sector % 32, n = MIN(32 - first, end - sector);
        uint32_t bits = (uint32_t)((1ull << n) - 1) << (32 - first - n), word;

        err = blockmap_table_get(m, map + sector / 32 * 4, false, &word, 4);
        word = GUINT32_FROM_BE(word);
        if (!err && (word & bits) != bits) {
            word = GUINT32_TO_BE(word | bits);
            err = blockmap_table_set(m, map + sector / 32 * 4, &word, 4);
        }
        sector += n;
    }
    return err;
}

static const BlockMapOps dynamic_ops = {
    .lookup = lookup, .allocate = allocate, .link = link_block, .written = written
};

/* A fixed image is one block. */
static int lookup_fixed(BlockMap *m, uint64_t index, bool peek, BlockMapKind *kind, uint64_t *host,
                        uint64_t *n)
{
    *kind = BM_DATA;
    *host = 0;
    return 0;
}

static const BlockMapOps fixed_ops = { .lookup = lookup_fixed };

/* ---- Opening ---- */

static bool is_footer(const uint8_t *f)
{
    return !memcmp(f, "conectix", 8) &&
           bytes_get_be32(f + VF_CHECKSUM) == checksum(f, VF_BYTES, VF_CHECKSUM);
}

/* Of a dynamic image the one at the beginning, if it is sound; of a fixed one that is the guest's. *@last: the end has one. */
static bool read_footer(BlockNode *node, uint8_t *footer, bool *last, GError **error)
{
    uint64_t length = node->file->length;
    uint8_t end[VF_BYTES];
    int err = length < VF_BYTES ? 0 : node_pread(node->file, 0, footer, VF_BYTES);

    if (length < VF_BYTES) {
        return node_fail(node, error, "is too short for a VHD image");
    }
    err = err ? err : node_pread(node->file, length - VF_BYTES, end, VF_BYTES);
    if (err) {
        return node_fail_errno(node, error, err, "its footer cannot be read");
    }
    *last = !memcmp(end, "conectix", 8);
    if (is_footer(footer) && bytes_get_be32(footer + VF_TYPE) != TYPE_FIXED &&
        !(is_footer(end) && bytes_get_be32(end + VF_TYPE) == TYPE_FIXED)) {
        return true;
    }
    if (!is_footer(end)) {
        bool damaged = *last || !memcmp(footer, "conectix", 8);

        return node_fail(node, error, damaged ? "its footer is damaged" : "is no VHD image");
    }
    memcpy(footer, end, VF_BYTES);
    return true;
}

/* Some programs mean the geometry, others the length. */
/* @how: "chs", "current_size" or NULL: as the program counts that made it. */
static uint64_t read_length(const uint8_t *f, const char *how)
{
    static const char *const by_length[] = { "win ", "qem2", "d2v ", "tap\0", "CTXS" };
    uint64_t sectors =
        (uint64_t)(f[VF_CYLINDERS] << 8 | f[VF_CYLINDERS + 1]) * f[VF_HEADS] * f[VF_SECTORS];

    if (!g_strcmp0(how, "chs") && sectors != MAX_GEOMETRY) {
        return sectors * BLOCK_SECTOR;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(by_length); i++) {
        if (!g_strcmp0(how, "current_size") || !memcmp(f + VF_CREATOR, by_length[i], 4)) {
            return bytes_get_be64(f + VF_LENGTH);
        }
    }
    return sectors == MAX_GEOMETRY ? bytes_get_be64(f + VF_LENGTH) : sectors * BLOCK_SECTOR;
}

static bool check_footer(BlockNode *node, const uint8_t *f, const char *how, GError **error)
{
    uint32_t version = bytes_get_be32(f + VF_VERSION), type = bytes_get_be32(f + VF_TYPE);

    if (version >> 16 != VERSION >> 16) {
        return node_fail(node, error, "is of version %u.%u of VHD; supported is 1.0", version >> 16,
                         version & 0xffff);
    }
    if (type == TYPE_DIFF) {
        return node_fail(node, error, "is a differencing VHD image, which is not supported");
    }
    if (type != TYPE_FIXED && type != TYPE_DYNAMIC) {
        return node_fail(node, error, "is a VHD image of the unknown type %u", type);
    }
    if (how && strcmp(how, "chs") && strcmp(how, "current_size") && strcmp(how, "auto")) {
        return node_fail(node, error, "Invalid size calculation algorithm");
    }
    node->length = read_length(f, how);
    if (node->length > NODE_MAX_LENGTH || node->length % BLOCK_SECTOR) {
        return node_fail(node, error, "says to be %" PRIu64 " bytes long", node->length);
    }
    return true;
}

static bool open_fixed(BlockNode *node, Vpc *s, GError **error)
{
    s->map.end = node->file->length - VF_BYTES;
    s->map.block_size = MAX(node->length, BLOCK_SECTOR);
    s->map.fully_mapped = true;
    return node->length <= s->map.end ||
           node_fail(node, error, "is shorter than the disk of %" PRIu64 " bytes that it holds",
                     node->length);
}

static bool check_header(BlockNode *node, Vpc *s, const uint8_t *h, GError **error)
{
    uint64_t block = bytes_get_be32(h + VD_BLOCK), entries = bytes_get_be32(h + VD_ENTRIES);

    if (memcmp(h, "cxsparse", 8)) {
        return node_fail(node, error, "its header is damaged");
    }
    if (block < MIN_BLOCK || block > MAX_BLOCK || block & (block - 1)) {
        return node_fail(node, error, "Invalid block size %" PRIu64, block);
    }
    if (bytes_get_be32(h + VD_CHECKSUM) != checksum(h, VD_BYTES, VD_CHECKSUM)) {
        return node_fail(node, error, "its header is damaged");
    }
    if (bytes_get_be32(h + VD_VERSION) >> 16 != VERSION >> 16) {
        return node_fail(node, error, "its header is of version %#x",
                         bytes_get_be32(h + VD_VERSION));
    }
    if (node->length > entries * block) {
        return node_fail(node, error, "is %" PRIu64 " bytes long, but has %" PRIu64 " blocks",
                         node->length, entries);
    }
    s->map.block_size = block;
    s->bitmap_bytes = bm_round_up(block / BLOCK_SECTOR / 8, BLOCK_SECTOR);
    s->table = bytes_get_be64(h + VD_TABLE);
    if (s->table % BLOCK_SECTOR || s->table < VF_BYTES || s->table > node->file->length ||
        entries * 4 > node->file->length - s->table) {
        return node_fail(node, error, "its table of blocks is out of range");
    }
    return true;
}

static bool open_dynamic(BlockNode *node, Vpc *s, bool last, GError **error)
{
    uint64_t length = node->file->length, at = bytes_get_be64(s->footer + VF_DATA_OFFSET);
    uint8_t head[VD_BYTES];
    int err;

    if (at > length || length - at < VD_BYTES) {
        return node_fail(node, error, "its header is out of range");
    }
    err = node_pread(node->file, at, head, VD_BYTES);
    if (err) {
        return node_fail_errno(node, error, err, "its header cannot be read");
    }
    if (bytes_get_be32(head + VD_ENTRIES) > INT_MAX / 4) {
        return node_fail(node, error, "Max Table Entries too large (%u)",
                         bytes_get_be32(head + VD_ENTRIES));
    }
    if (at < VF_BYTES || at % BLOCK_SECTOR) {
        return node_fail(node, error, "its header is out of range");
    }
    s->map.end =
        last && length % BLOCK_SECTOR == 0 ? length - VF_BYTES : bm_round_up(length, BLOCK_SECTOR);
    return check_header(node, s, head, error);
}

static void free_state(BlockNode *node)
{
    Vpc *s = node->priv;

    blockmap_clear(&s->map);
    g_free(s);
    node->priv = NULL;
}

static bool vpc_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    Vpc *s = g_new0(Vpc, 1);
    bool last, fixed;

    node->priv = s;
    blockmap_init(&s->map, node, &dynamic_ops);
    if (read_footer(node, s->footer, &last, error) &&
        check_footer(node, s->footer, node_dict_take(options->dict, "force_size_calc"), error)) {
        fixed = bytes_get_be32(s->footer + VF_TYPE) == TYPE_FIXED;
        s->map.ops = fixed ? &fixed_ops : &dynamic_ops;
        if (fixed ? open_fixed(node, s, error) : open_dynamic(node, s, last, error)) {
            return true;
        }
    }
    free_state(node);
    return false;
}

static int vpc_close(BlockNode *node)
{
    int err = node->readonly ? 0 : blockmap_flush(node);

    free_state(node);
    return err;
}

static uint64_t vpc_cluster_size(BlockNode *node)
{
    const Vpc *s = node->priv;

    return s->map.ops == &fixed_ops ? 0 : s->map.block_size;
}

/* ---- Create ---- */

typedef struct Geometry {
    uint32_t cylinders, heads, sectors;
} Geometry;

static uint64_t geometry_sectors(const Geometry *g)
{
    return (uint64_t)g->cylinders * g->heads * g->sectors;
}

/* The appendix "CHS calculation" of the specification. */
static Geometry geometry_of(uint64_t total)
{
    Geometry g = { .heads = MAX_HEADS, .sectors = MAX_SECTORS };
    uint64_t tracks;

    total = MIN(total, MAX_GEOMETRY);
    if (total < 65535ull * 16 * 63) {
        g.sectors = 17;
        tracks = total / 17;
        g.heads = (uint32_t)MAX((tracks + 1023) / 1024, 4);
        if (tracks >= g.heads * 1024ull || g.heads > MAX_HEADS) {
            g.sectors = 31;
            g.heads = MAX_HEADS;
            tracks = total / 31;
        }
        if (tracks >= g.heads * 1024ull) {
            g.sectors = 63;
            g.heads = MAX_HEADS;
        }
    }
    g.cylinders = (uint32_t)(total / g.sectors / g.heads);
    return g;
}

typedef struct Wanted {
    uint64_t length;
    Geometry geometry;
    bool fixed;
} Wanted;

/* The next length that geometry can say, unless it is @forced or too large for that. */
static void choose_length(Wanted *w, bool forced)
{
    uint64_t total = w->length / BLOCK_SECTOR, more = 0;

    w->geometry = (Geometry){ MAX_CYLINDERS, MAX_HEADS, MAX_SECTORS };
    if (forced || total >= MAX_GEOMETRY) {
        return;
    }
    do {
        w->geometry = geometry_of(total + more++);
    } while (geometry_sectors(&w->geometry) < total);
    if (geometry_sectors(&w->geometry) < MAX_GEOMETRY) {
        w->length = geometry_sectors(&w->geometry) * BLOCK_SECTOR;
    }
}

static bool read_wanted(const KeyVals *options, Wanted *w, GError **error)
{
    const char *subformat = keyvals_get(options, "subformat");
    bool forced = false;

    *w = (Wanted){ .fixed = subformat && !strcmp(subformat, "fixed") };
    if (!create_option_length(options, &w->length, error) ||
        !keyvals_get_bool(options, "vpc", "force_size", &forced, error)) {
        return false;
    }
    if (subformat && !w->fixed && strcmp(subformat, "dynamic")) {
        return create_fail(error, "Parameter 'subformat' does not accept value '%s'", subformat);
    }
    w->length = bm_round_up(w->length, BLOCK_SECTOR);
    if (w->length > MAX_LENGTH) {
        return create_fail(error, "The image size is too large for file format 'vpc'");
    }
    choose_length(w, forced);
    return true;
}

static void make_footer(const Wanted *w, uint8_t *f)
{
    memcpy(f, "conectix", 8);
    bytes_put_be32(f + VF_FEATURES, 2); /* always */
    bytes_put_be32(f + VF_VERSION, VERSION);
    bytes_put_be64(f + VF_DATA_OFFSET, w->fixed ? UINT64_MAX : VF_BYTES);
    bytes_put_be32(f + VF_TIME, (uint32_t)(g_get_real_time() / G_USEC_PER_SEC - YEAR_2000));
    memcpy(f + VF_CREATOR, "mnra", 4);
    bytes_put_be32(f + VF_CREATOR_VERSION, VERSION);
    memcpy(f + VF_HOST, "Wi2k", 4);
    bytes_put_be64(f + VF_ORIGINAL_LENGTH, w->length);
    bytes_put_be64(f + VF_LENGTH, w->length);
    f[VF_CYLINDERS] = (uint8_t)(w->geometry.cylinders >> 8);
    f[VF_CYLINDERS + 1] = (uint8_t)w->geometry.cylinders;
    f[VF_HEADS] = (uint8_t)w->geometry.heads;
    f[VF_SECTORS] = (uint8_t)w->geometry.sectors;
    bytes_put_be32(f + VF_TYPE, w->fixed ? TYPE_FIXED : TYPE_DYNAMIC);
    create_uuid(f + VF_UUID);
    bytes_put_be32(f + VF_CHECKSUM, checksum(f, VF_BYTES, VF_CHECKSUM));
}

static void make_header(uint32_t entries, uint8_t *h)
{
    memcpy(h, "cxsparse", 8);
    bytes_put_be64(h + VD_DATA_OFFSET, UINT64_MAX);
    bytes_put_be64(h + VD_TABLE, VF_BYTES + VD_BYTES);
    bytes_put_be32(h + VD_VERSION, VERSION);
    bytes_put_be32(h + VD_ENTRIES, entries);
    bytes_put_be32(h + VD_BLOCK, BLOCK);
    bytes_put_be32(h + VD_CHECKSUM, checksum(h, VD_BYTES, VD_CHECKSUM));
}

static int write_dynamic(BlockNode *node, const Wanted *w, uint8_t *footer)
{
    uint32_t entries = (uint32_t)((w->length + BLOCK - 1) / BLOCK);
    uint64_t bytes = VF_BYTES + VD_BYTES + bm_round_up(entries * 4ull, BLOCK_SECTOR) + VF_BYTES;
    g_autofree uint8_t *all = g_malloc0(bytes); /* 4 MiB at most */

    memcpy(all, footer, VF_BYTES);
    make_header(entries, all + VF_BYTES);
    memset(all + VF_BYTES + VD_BYTES, 0xff, bytes - VF_BYTES * 2 - VD_BYTES);
    memcpy(all + bytes - VF_BYTES, footer, VF_BYTES);
    return node_pwrite(node, 0, all, bytes);
}

static bool write_image(BlockNode *node, const Wanted *w, GError **error)
{
    uint8_t footer[VF_BYTES] = { 0 };
    int err;

    make_footer(w, footer);
    err =
        w->fixed ? node_pwrite(node, w->length, footer, VF_BYTES) : write_dynamic(node, w, footer);
    return !err || node_fail_errno(node, error, err, "cannot be written");
}

static bool vpc_create(const char *file, const KeyVals *options, GError **error)
{
    BlockNode *node;
    Wanted w;

    return read_wanted(options, &w, error) && (node = node_create_file(file, error)) &&
           create_close(node, write_image(node, &w, error), error);
}

static const NodeOptionInfo create_options[] = {
    { "force_size", "Force disk size calculation to use the actual size specified, rather than "
                    "using the nearest CHS-based calculation" },
    { "size", "Virtual disk size" },
    { "subformat", "Type of virtual hard disk format. Supported formats are {dynamic (default) | "
                   "fixed} " },
    { NULL, NULL }
};

const BlockDriver block_vpc_driver = {
    .name = "vpc",
    .probe = probe,
    .open = vpc_open,
    .close = vpc_close,
    .read = blockmap_read,
    .write = blockmap_write,
    .write_zeroes = blockmap_write_zeroes,
    .discard = blockmap_discard,
    .flush = blockmap_flush,
    .status = blockmap_status,
    .direct = blockmap_direct,
    .create = vpc_create,
    .create_options = create_options,
    .cluster_size = vpc_cluster_size,
};
