/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the VHDX format share. The format is described in Microsoft's [MS-VHDX], whose terms are used here: two headers, of which
 * the newer one counts; regions, of which the BAT (block allocation table) and the metadata must be known; and a log of what is to be
 * written to regions, so that 4-KiB pages of them are written wholly or not at all.
 *
 * The log has at most one entry that matters: after an entry its pages are written in place and are on the disk before the next one begins.
 */
#ifndef BLOCK_FORMATS_VHDX_H
#define BLOCK_FORMATS_VHDX_H

#include "block/formats/blockmap.h"

enum {
    VHDX_MIB = 1 << 20,
    VHDX_PAGE = 4096,
    VHDX_GUID = 16,
    VHDX_HEADER_AT = 64 << 10, /* and the second one behind it */
    VHDX_REGIONS_AT = 192 << 10,
    VHDX_TABLE = 64 << 10, /* bytes of each table of regions and of metadata */
    VHDX_MAX_ENTRIES = 2047,
    VHDX_MIN_BLOCK = 1 << 20,
    VHDX_MAX_BLOCK = 256 << 20,
    VHDX_CHUNK = 1 << 23 /* sectors that a sector bitmap block is about */
};
#define VHDX_MAX_LENGTH (64ull << 40)
/* No file of such a disk needs more. */
#define VHDX_MAX_FILE (VHDX_MAX_LENGTH * 2)

/* Fields of a header: offsets. */
enum {
    XH_SIGNATURE = 0,
    XH_CHECKSUM = 4,
    XH_SEQUENCE = 8,
    XH_FILE_WRITE = 16,
    XH_DATA_WRITE = 32,
    XH_LOG = 48,
    XH_LOG_VERSION = 64,
    XH_VERSION = 66,
    XH_LOG_LENGTH = 68,
    XH_LOG_OFFSET = 72
};
/* Of a table of regions, and of its entries. */
enum { XR_CHECKSUM = 4, XR_COUNT = 8, XR_ENTRIES = 16, XR_ENTRY = 32 };
enum { XR_OFFSET = 16, XR_LENGTH = 24, XR_REQUIRED = 28 };
/* Of a table of metadata, and of its entries. */
enum { XM_COUNT = 10, XM_ENTRIES = 32, XM_ENTRY = 32 };
enum { XM_OFFSET = 16, XM_LENGTH = 20, XM_FLAGS = 24 };
enum { XM_IS_USER = 1, XM_IS_DISK = 2, XM_IS_REQUIRED = 4 };
/* States of an entry of the BAT. */
enum { XB_NOT_PRESENT, XB_UNDEFINED, XB_ZERO, XB_UNMAPPED, XB_PRESENT = 6, XB_PARTIALLY_PRESENT };

typedef struct VhdxRange {
    uint64_t offset, length;
} VhdxRange;

typedef struct Vhdx {
    BlockMap map;
    uint8_t header[VHDX_PAGE]; /* the newer one, */
    unsigned slot;             /* and which it is */
    uint64_t log_offset, log_sequence;
    uint32_t log_length, log_at; /* where the next entry goes */
    uint64_t flushed;            /* the file's length when the last flush began */
    bool log_used;               /* the header says that there may be entries */
    bool replayed;               /* on opening */
    bool modified;               /* the header says that there were writes */
    GArray *ranges;              /* VhdxRange: what no block can be in, the log first */
    VhdxRange bat, metadata;
    uint64_t n_blocks, chunk_ratio;
} Vhdx;

extern const uint8_t vhdx_guid_bat[VHDX_GUID], vhdx_guid_metadata[VHDX_GUID];
extern const uint8_t vhdx_guid_parameters[VHDX_GUID], vhdx_guid_length[VHDX_GUID];
extern const uint8_t vhdx_guid_disk[VHDX_GUID], vhdx_guid_logical[VHDX_GUID];
extern const uint8_t vhdx_guid_physical[VHDX_GUID], vhdx_guid_parent[VHDX_GUID];

/* CRC-32C, @crc 0 at first. */
uint32_t vhdx_crc(uint32_t crc, const void *data, size_t bytes);
void vhdx_make_guid(uint8_t *guid);
/* Puts the checksum into the field at @field, of all @bytes. */
void vhdx_seal(uint8_t *data, size_t bytes, unsigned field);
bool vhdx_is_sealed(uint8_t *data, size_t bytes, unsigned field);

/* ---- vhdx-header.c ---- */

/* The headers: .header, and where the log is. */
bool vhdx_header_read(Vhdx *s, GError **error);
/* The regions and the metadata: all else. After the log was replayed. */
bool vhdx_tables_read(Vhdx *s, GError **error);
/* Writes .header, changed, over the older one, and waits for the disk. */
int vhdx_header_write(Vhdx *s);

/* ---- vhdx-log.c ---- */

/* Does what the log says, and empties it. */
bool vhdx_log_replay(Vhdx *s, bool readonly, GError **error);
/* BlockMapOps.commit */
int vhdx_log_commit(BlockMap *m, const BlockMapPage *pages, unsigned n);
/* All is in place. */
int vhdx_log_close(Vhdx *s);

/* ---- vhdx-create.c ---- */

extern const NodeOptionInfo vhdx_create_options[];
bool vhdx_create(const char *file, const KeyVals *options, GError **error);

static inline uint16_t vhdx_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline void vhdx_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

#endif
