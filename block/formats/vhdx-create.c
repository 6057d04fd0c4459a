/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VHDX: new images. The log lies behind the headers, then the block allocation table, then the metadata, then the blocks.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/vhdx.h"

typedef struct Wanted {
    uint64_t length, block, log;
    bool fixed, zero_state;
    NodePrealloc prealloc;
} Wanted;

typedef struct Layout {
    uint64_t n_blocks, chunk_ratio, n_entries;
    uint64_t log, bat, bat_length, metadata, data;
} Layout;

/* ---- Options ---- */

static bool read_subformat(const KeyVals *options, Wanted *w, GError **error)
{
    const char *text = keyvals_get(options, "subformat");

    w->fixed = text && !strcmp(text, "fixed");
    if (text && !w->fixed && strcmp(text, "dynamic")) {
        return create_fail(error, "Parameter 'subformat' does not accept value '%s'", text);
    }
    if (w->prealloc == NODE_PREALLOC_METADATA) {
        return create_fail(error, "Unsupported preallocation mode: metadata");
    }
    return true;
}

static uint64_t default_block(uint64_t length)
{
    return (length > 32ull << 40    ? 64ull
            : length > 100ull << 30 ? 32ull
            : length > 1ull << 30   ? 16ull
                                    : 8ull)
           << 20;
}

static bool check_sizes(Wanted *w, GError **error)
{
    if (w->length > VHDX_MAX_LENGTH) {
        return create_fail(error, "Image size too large; max of 64TB");
    }
    if (!w->length) {
        return create_fail(error, "Image size must not be zero");
    }
    w->length = bm_round_up(w->length, BLOCK_SECTOR);
    if (w->log >= 4ull << 30) {
        return create_fail(error, "Log size must be smaller than 4 GB");
    }
    w->log = bm_round_up(MAX(w->log, VHDX_MIB), VHDX_MIB);
    if (w->log >= 4ull << 30) {
        return create_fail(error, "Log size must be smaller than 4 GB");
    }
    w->block = w->block ? w->block : default_block(w->length);
    if (w->block & (w->block - 1)) {
        return create_fail(error, "Block size must be a power of two");
    }
    if (w->block > VHDX_MAX_BLOCK) {
        return create_fail(error, "Block size must not exceed 256 MiB");
    }
    w->block = MAX(w->block, VHDX_MIN_BLOCK);
    return true;
}

static bool read_wanted(const KeyVals *options, Wanted *w, GError **error)
{
    *w = (Wanted){ .log = VHDX_MIB, .zero_state = true };
    return create_option_length(options, &w->length, error) &&
           create_option_size(options, "block_size", &w->block, error) &&
           create_option_size(options, "log_size", &w->log, error) &&
           create_option_prealloc(options, &w->prealloc, error) &&
           keyvals_get_bool(options, "vhdx", "block_state_zero", &w->zero_state, error) &&
           read_subformat(options, w, error) && check_sizes(w, error);
}

/* ---- Writing ---- */

static Layout lay_out(const Wanted *w)
{
    Layout l = { .n_blocks = (w->length + w->block - 1) / w->block,
                 .chunk_ratio = (uint64_t)VHDX_CHUNK * BLOCK_SECTOR / w->block };

    l.n_entries = l.n_blocks + (l.n_blocks - 1) / l.chunk_ratio;
    l.log = VHDX_MIB;
    l.bat = l.log + w->log;
    l.bat_length = bm_round_up(l.n_entries * 8, VHDX_MIB);
    l.metadata = l.bat + l.bat_length;
    l.data = l.metadata + VHDX_MIB;
    return l;
}

static int write_identifier(BlockNode *file)
{
    static const char creator[] = "Menura";
    uint8_t id[8 + 512] = "vhdxfile";

    for (unsigned i = 0; creator[i]; i++) {
        id[8 + 2 * i] = (uint8_t)creator[i];
    }
    return node_pwrite(file, 0, id, sizeof(id));
}

static int write_headers(BlockNode *file, const Wanted *w, const Layout *l)
{
    uint8_t h[VHDX_PAGE] = "head";
    int err = 0;

    vhdx_make_guid(h + XH_FILE_WRITE);
    vhdx_make_guid(h + XH_DATA_WRITE);
    vhdx_put16(h + XH_VERSION, 1);
    bytes_put_le32(h + XH_LOG_LENGTH, (uint32_t)w->log);
    bytes_put_le64(h + XH_LOG_OFFSET, l->log);
    for (unsigned i = 0; i < 2 && !err; i++) {
        bytes_put_le64(h + XH_SEQUENCE, i + 1);
        vhdx_seal(h, VHDX_PAGE, XH_CHECKSUM);
        err = node_pwrite(file, VHDX_HEADER_AT * (i + 1), h, VHDX_PAGE);
    }
    return err;
}

static void put_region(uint8_t *table, unsigned i, const uint8_t *guid, uint64_t offset,
                       uint64_t length)
{
    uint8_t *entry = table + XR_ENTRIES + i * XR_ENTRY;

    memcpy(entry, guid, VHDX_GUID);
    bytes_put_le64(entry + XR_OFFSET, offset);
    bytes_put_le32(entry + XR_LENGTH, (uint32_t)length);
    bytes_put_le32(entry + XR_REQUIRED, 1);
}

static int write_regions(BlockNode *file, const Layout *l)
{
    g_autofree uint8_t *table = g_malloc0(VHDX_TABLE);
    int err;

    memcpy(table, "regi", 4);
    bytes_put_le32(table + XR_COUNT, 2);
    put_region(table, 0, vhdx_guid_bat, l->bat, l->bat_length);
    put_region(table, 1, vhdx_guid_metadata, l->metadata, VHDX_MIB);
    vhdx_seal(table, VHDX_TABLE, XR_CHECKSUM);
    err = node_pwrite(file, VHDX_REGIONS_AT, table, VHDX_TABLE);
    return err ? err : node_pwrite(file, VHDX_REGIONS_AT + VHDX_TABLE, table, VHDX_TABLE);
}

static int write_metadata(BlockNode *file, const Wanted *w, const Layout *l)
{
    const struct {
        const uint8_t *guid;
        uint32_t bytes, flags;
    } items[] = {
        { vhdx_guid_parameters, 8, XM_IS_REQUIRED },
        { vhdx_guid_length, 8, XM_IS_REQUIRED | XM_IS_DISK },
        { vhdx_guid_disk, 16, XM_IS_REQUIRED | XM_IS_DISK },
        { vhdx_guid_logical, 4, XM_IS_REQUIRED | XM_IS_DISK },
        { vhdx_guid_physical, 4, XM_IS_REQUIRED | XM_IS_DISK },
    };
    g_autofree uint8_t *table = g_malloc0(VHDX_TABLE);
    uint8_t values[40] = { 0 }; /* one behind the other */
    uint32_t at = 0;
    int err;

    bytes_put_le32(values, (uint32_t)w->block);
    bytes_put_le32(values + 4, w->fixed);
    bytes_put_le64(values + 8, w->length);
    vhdx_make_guid(values + 16);
    bytes_put_le32(values + 32, BLOCK_SECTOR);
    bytes_put_le32(values + 36, BLOCK_SECTOR);
    memcpy(table, "metadata", 8);
    vhdx_put16(table + XM_COUNT, G_N_ELEMENTS(items));
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        uint8_t *entry = table + XM_ENTRIES + i * XM_ENTRY;

        memcpy(entry, items[i].guid, VHDX_GUID);
        bytes_put_le32(entry + XM_OFFSET, VHDX_TABLE + at);
        bytes_put_le32(entry + XM_LENGTH, items[i].bytes);
        bytes_put_le32(entry + XM_FLAGS, items[i].flags);
        at += items[i].bytes;
    }
    err = node_pwrite(file, l->metadata, table, VHDX_TABLE);
    return err ? err : node_pwrite(file, l->metadata + VHDX_TABLE, values, sizeof(values));
}

/* The table, a piece at a time; the entries of sector bitmaps stay zero. */
static int write_bat(BlockNode *file, const Wanted *w, const Layout *l)
{
    enum { PIECE = 65536 };
    g_autofree uint8_t *piece = g_malloc(PIECE * 8);
    int err = 0;

    for (uint64_t at = 0; at < l->n_entries && !err; at += PIECE) {
        uint64_t n = MIN(PIECE, l->n_entries - at);

        for (uint64_t i = 0; i < n; i++) {
            uint64_t entry = at + i, block = entry - entry / (l->chunk_ratio + 1);
            bool is_bitmap = entry % (l->chunk_ratio + 1) == l->chunk_ratio;

            bytes_put_le64(piece + i * 8, is_bitmap  ? 0
                                          : w->fixed ? (l->data + block * w->block) | XB_PRESENT
                                                     : XB_ZERO);
        }
        err = node_pwrite(file, l->bat + at * 8, piece, n * 8);
    }
    return err;
}

static bool write_image(BlockNode *file, const Wanted *w, GError **error)
{
    Layout l = lay_out(w);
    uint64_t length = l.data + (w->fixed ? l.n_blocks * w->block : 0);
    int err = write_identifier(file);

    err = err ? err : write_headers(file, w, &l);
    err = err ? err : write_regions(file, &l);
    err = err ? err : write_metadata(file, w, &l);
    if (!err && (w->fixed || w->zero_state)) {
        err = write_bat(file, w, &l);
    }
    if (err) {
        return node_fail_errno(file, error, err, "cannot be written");
    }
    return node_truncate(file, length, false, w->fixed ? w->prealloc : NODE_PREALLOC_OFF, error);
}

bool vhdx_create(const char *file, const KeyVals *options, GError **error)
{
    BlockNode *node;
    Wanted w;

    return read_wanted(options, &w, error) && (node = node_create_file(file, error)) &&
           create_close(node, write_image(node, &w, error), error);
}

const NodeOptionInfo vhdx_create_options[] = {
    { "block_size", "Block Size; min 1MB, max 256MB. 0 means auto-calculate based on image size." },
    { "block_state_zero",
      "Force use of payload blocks of type 'ZERO'. Non-standard, but default.  Do not set to "
      "'off' when using 'qemu-img convert' with subformat=dynamic." },
    { "log_size", "Log size; min 1MB." },
    { "preallocation", "Preallocation mode (allowed values: off, falloc, full)" },
    { "size", "Virtual disk size; max of 64TB." },
    { "subformat", "VHDX format type, can be either 'dynamic' or 'fixed'. Default is 'dynamic'." },
    { NULL, NULL }
};
