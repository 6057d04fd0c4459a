/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VHDX: headers, regions and metadata; GUIDs and checksums.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "block/formats/vhdx.h"

/* As they are in the file: the first three parts little-endian. */
const uint8_t vhdx_guid_bat[] = { 0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
                                  0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08 };
const uint8_t vhdx_guid_metadata[] = { 0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                       0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e };
const uint8_t vhdx_guid_parameters[] = { 0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
                                         0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b };
const uint8_t vhdx_guid_length[] = { 0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
                                     0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8 };
const uint8_t vhdx_guid_disk[] = { 0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45,
                                   0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46 };
const uint8_t vhdx_guid_logical[] = { 0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
                                      0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f };
const uint8_t vhdx_guid_physical[] = { 0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44,
                                       0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56 };
const uint8_t vhdx_guid_parent[] = { 0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
                                     0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c };

/* table[k][i]: what byte i leaves behind after k zeroes more. */
static void make_crc_table(uint32_t (*table)[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;

        for (unsigned bit = 0; bit < 8; bit++) {
            v = v >> 1 ^ (v & 1 ? 0x82f63b78u : 0);
        }
        table[0][i] = v;
    }
    for (unsigned k = 1; k < 8; k++) {
        for (uint32_t i = 0; i < 256; i++) {
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
        }
    }
}

uint32_t vhdx_crc(uint32_t crc, const void *data, size_t bytes)
{
    static uint32_t table[8][256];
    static gsize ready;
    const uint8_t *p = data;

    if (g_once_init_enter(&ready)) {
        make_crc_table(table);
        g_once_init_leave(&ready, 1);
    }
    crc = ~crc;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        crc ^= bytes_get_le32(p);
        crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^
              table[4][crc >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
              table[0][p[7]];
    }
    while (bytes--) {
        crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
    }
    return ~crc;
}

void vhdx_make_guid(uint8_t *guid)
{
    for (unsigned i = 0; i < VHDX_GUID; i += 4) {
        bytes_put_le32(guid + i, g_random_int());
    }
    guid[7] = (uint8_t)((guid[7] & 0x0f) | 0x40);
    guid[8] = (uint8_t)((guid[8] & 0x3f) | 0x80);
}

void vhdx_seal(uint8_t *data, size_t bytes, unsigned field)
{
    bytes_put_le32(data + field, 0);
    bytes_put_le32(data + field, vhdx_crc(0, data, bytes));
}

bool vhdx_is_sealed(uint8_t *data, size_t bytes, unsigned field)
{
    uint32_t crc = bytes_get_le32(data + field);

    vhdx_seal(data, bytes, field);
    return crc == bytes_get_le32(data + field);
}

/* ---- Headers ---- */

static bool is_header(uint8_t *h)
{
    return !memcmp(h, "head", 4) && vhdx_is_sealed(h, VHDX_PAGE, XH_CHECKSUM) &&
           vhdx_get16(h + XH_VERSION) == 1;
}

static bool choose_header(Vhdx *s, GError **error)
{
    BlockNode *node = s->map.node;
    uint8_t head[2][VHDX_PAGE];
    bool good[2];
    int err = 0;

    for (unsigned i = 0; i < 2 && !err; i++) {
        err = node_pread(node->file, VHDX_HEADER_AT * (i + 1), head[i], VHDX_PAGE);
        good[i] = !err && is_header(head[i]);
    }
    if (err) {
        return node_fail_errno(node, error, err, "its headers cannot be read");
    }
    if (!good[0] && !good[1]) {
        return node_fail(node, error, "has no header that is intact");
    }
    s->slot = !good[0] || (good[1] && bytes_get_le64(head[1] + XH_SEQUENCE) >
                                          bytes_get_le64(head[0] + XH_SEQUENCE));
    memcpy(s->header, head[s->slot], VHDX_PAGE);
    return true;
}

static bool is_in_file(const Vhdx *s, const VhdxRange *r)
{
    uint64_t length = s->map.node->file->length;

    return r->offset >= VHDX_MIB && r->length && r->offset % VHDX_MIB == 0 &&
           r->length % VHDX_MIB == 0 && r->offset <= length && r->length <= length - r->offset;
}

bool vhdx_header_read(Vhdx *s, GError **error)
{
    BlockNode *node = s->map.node;
    uint8_t head[8];
    VhdxRange log;
    int err = node_pread(node->file, 0, head, sizeof(head));

    if (err) {
        return node_fail_errno(node, error, err, "its headers cannot be read");
    }
    if (memcmp(head, "vhdxfile", 8)) {
        return node_fail(node, error, "is no VHDX image");
    }
    if (!choose_header(s, error)) {
        return false;
    }
    log = (VhdxRange){ bytes_get_le64(s->header + XH_LOG_OFFSET),
                       bytes_get_le32(s->header + XH_LOG_LENGTH) };
    if (!is_in_file(s, &log)) {
        return node_fail(node, error, "its log is out of range");
    }
    s->log_offset = log.offset;
    s->log_length = (uint32_t)log.length;
    g_array_append_val(s->ranges, log);
    log = (VhdxRange){ 0, VHDX_MIB };
    g_array_append_val(s->ranges, log);
    return true;
}

int vhdx_header_write(Vhdx *s)
{
    BlockNode *file = s->map.node->file;
    unsigned slot = !s->slot;
    int err;

    bytes_put_le64(s->header + XH_SEQUENCE, bytes_get_le64(s->header + XH_SEQUENCE) + 1);
    vhdx_seal(s->header, VHDX_PAGE, XH_CHECKSUM);
    err = node_pwrite(file, VHDX_HEADER_AT * (slot + 1), s->header, VHDX_PAGE);
    err = err ? err : node_flush(file);
    if (!err) {
        s->slot = slot;
    }
    return err;
}

/* ---- Regions ---- */

static bool add_region(Vhdx *s, const uint8_t *entry, GError **error)
{
    BlockNode *node = s->map.node;
    VhdxRange r = { bytes_get_le64(entry + XR_OFFSET), bytes_get_le32(entry + XR_LENGTH) };
    bool is_bat = !memcmp(entry, vhdx_guid_bat, VHDX_GUID);
    bool is_metadata = !memcmp(entry, vhdx_guid_metadata, VHDX_GUID);

    if (!is_bat && !is_metadata && bytes_get_le32(entry + XR_REQUIRED) & 1) {
        return node_fail(node, error, "needs a region of a kind that is not known");
    }
    if (!is_in_file(s, &r)) {
        return node_fail(node, error, "a region of it is out of range");
    }
    for (guint i = 0; i < s->ranges->len; i++) {
        const VhdxRange *other = &g_array_index(s->ranges, VhdxRange, i);

        if (r.offset < other->offset + other->length && other->offset < r.offset + r.length) {
            return node_fail(node, error, "regions of it overlap");
        }
    }
    g_array_append_val(s->ranges, r);
    if (is_bat) {
        s->bat = r;
    } else if (is_metadata) {
        s->metadata = r;
    }
    return true;
}

/* The first of both tables that is intact. */
static bool read_regions(Vhdx *s, GError **error)
{
    BlockNode *node = s->map.node;
    g_autofree uint8_t *table = g_malloc(VHDX_TABLE);
    bool found = false;
    uint32_t n;

    for (unsigned i = 0; i < 2 && !found; i++) {
        int err = node_pread(node->file, VHDX_REGIONS_AT + i * VHDX_TABLE, table, VHDX_TABLE);

        if (err) {
            return node_fail_errno(node, error, err, "its table of regions cannot be read");
        }
        found = !memcmp(table, "regi", 4) && vhdx_is_sealed(table, VHDX_TABLE, XR_CHECKSUM);
    }
    n = bytes_get_le32(table + XR_COUNT);
    if (!found || n > VHDX_MAX_ENTRIES) {
        return node_fail(node, error, "has no table of regions that is intact");
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!add_region(s, table + XR_ENTRIES + i * XR_ENTRY, error)) {
            return false;
        }
    }
    return (s->bat.length && s->metadata.length) ||
           node_fail(node, error, "has no block allocation table or no metadata");
}

/* ---- Metadata ---- */

typedef struct Item {
    const uint8_t *guid;
    uint32_t bytes;
    uint8_t value[16];
    bool found;
} Item;

enum { PARAMETERS, LENGTH, DISK, LOGICAL, PHYSICAL, N_ITEMS };

static bool read_item(Vhdx *s, const uint8_t *entry, Item *items, GError **error)
{
    BlockNode *node = s->map.node;
    uint32_t offset = bytes_get_le32(entry + XM_OFFSET), length = bytes_get_le32(entry + XM_LENGTH);
    uint32_t flags = bytes_get_le32(entry + XM_FLAGS);
    Item *item = NULL;
    int err;

    for (unsigned i = 0; i < N_ITEMS && !item && !(flags & XM_IS_USER); i++) {
        item = memcmp(entry, items[i].guid, VHDX_GUID) ? NULL : &items[i];
    }
    if (!item) {
        return memcmp(entry, vhdx_guid_parent, VHDX_GUID) && flags & XM_IS_REQUIRED
                   ? node_fail(node, error, "needs metadata of a kind that is not known")
                   : true;
    }
    if (length != item->bytes || offset < VHDX_TABLE || offset > s->metadata.length - length) {
        return node_fail(node, error, "its metadata are out of range");
    }
    err = node_pread(node->file, s->metadata.offset + offset, item->value, length);
    item->found = true;
    return !err || node_fail_errno(node, error, err, "its metadata cannot be read");
}

static bool use_items(Vhdx *s, const Item *items, GError **error)
{
    BlockNode *node = s->map.node;
    uint32_t block = bytes_get_le32(items[PARAMETERS].value),
             flags = bytes_get_le32(items[PARAMETERS].value + 4);
    uint32_t logical = bytes_get_le32(items[LOGICAL].value);
    uint64_t length = bytes_get_le64(items[LENGTH].value);

    if (flags & 2) {
        return node_fail(node, error, "is a differencing VHDX image, which is not supported");
    }
    if (block < VHDX_MIN_BLOCK || block > VHDX_MAX_BLOCK || block & (block - 1)) {
        return node_fail(node, error, "has blocks of %u bytes", block);
    }
    if (logical != 512 && logical != 4096) {
        return node_fail(node, error, "has sectors of %u bytes", logical);
    }
    if (!length || length % logical || length > VHDX_MAX_LENGTH) {
        return node_fail(node, error, "its disk is %" PRIu64 " bytes long", length);
    }
    s->map.block_size = block;
    s->n_blocks = (length + block - 1) / block;
    s->chunk_ratio = (uint64_t)VHDX_CHUNK * logical / block;
    if (s->n_blocks + (s->n_blocks - 1) / s->chunk_ratio > s->bat.length / 8) {
        return node_fail(node, error, "its block allocation table is too short");
    }
    node->length = length;
    return true;
}

static bool read_metadata(Vhdx *s, GError **error)
{
    Item items[N_ITEMS] = {
        { vhdx_guid_parameters, 8, {}, false }, { vhdx_guid_length, 8, {}, false },
        { vhdx_guid_disk, 16, {}, false },      { vhdx_guid_logical, 4, {}, false },
        { vhdx_guid_physical, 4, {}, false },
    };
    BlockNode *node = s->map.node;
    g_autofree uint8_t *table = g_malloc(VHDX_TABLE);
    int err = node_pread(node->file, s->metadata.offset, table, VHDX_TABLE);
    unsigned n = vhdx_get16(table + XM_COUNT);

    if (err) {
        return node_fail_errno(node, error, err, "its metadata cannot be read");
    }
    if (memcmp(table, "metadata", 8) || n > VHDX_MAX_ENTRIES) {
        return node_fail(node, error, "its table of metadata is damaged");
    }
    for (unsigned i = 0; i < n; i++) {
        if (!read_item(s, table + XM_ENTRIES + i * XM_ENTRY, items, error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < N_ITEMS; i++) {
        if (!items[i].found && i != DISK && i != PHYSICAL) {
            return node_fail(node, error, "its metadata are not complete");
        }
    }
    return use_items(s, items, error);
}

bool vhdx_tables_read(Vhdx *s, GError **error)
{
    return read_regions(s, error) && read_metadata(s, error);
}
