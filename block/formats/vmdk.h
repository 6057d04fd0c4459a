/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the VMDK format share. The format is described in VMware's "Virtual Disk Format 5.0", whose terms are used here: a
 * descriptor, which is text and may lie within the only extent; and extents one behind the other, each flat (bytes of a file) or sparse, in
 * grains that a grain directory's grain tables lead to. A sparse extent is a block map with a node of its own, whose backing node is the
 * window of the extent onto what is behind the image.
 */
#ifndef BLOCK_FORMATS_VMDK_H
#define BLOCK_FORMATS_VMDK_H

#include "block/formats/blockmap.h"

enum {
    VMDK_MAX_DESCRIPTOR = 1 << 20,
    VMDK_GTES = 512,              /* entries of a grain table */
    VMDK_MAX_GRAIN = 0x200000,    /* sectors */
    VMDK_MAX_PACKED = 16 << 20,   /* bytes of a grain that may be compressed */
    VMDK_MAX_TABLES = 32 << 20,   /* entries of a grain directory */
    VMDK_GRAIN = 128,             /* sectors, of new images */
    VMDK_DESCRIPTOR_AT = 1,       /* the same */
    VMDK_DESCRIPTOR_SECTORS = 20, /* the same */
    VMDK_MARKER = 12, /* bytes before a compressed grain: its sector (8), its length (4) */
};

/* The header of a sparse extent: offsets. */
enum {
    VM_MAGIC = 0,
    VM_VERSION = 4,
    VM_FLAGS = 8,
    VM_CAPACITY = 12,
    VM_GRAIN = 20,
    VM_DESCRIPTOR = 28,
    VM_DESCRIPTOR_SIZE = 36,
    VM_GTES = 44,
    VM_RGD = 48,
    VM_GD = 56,
    VM_OVERHEAD = 64,
    VM_LINES = 73,
    VM_COMPRESSION = 77,
    VM_BYTES = 512
};
enum {
    VMF_LINES = 1,
    VMF_RGD = 2,
    VMF_ZEROED_GRAIN = 4,
    VMF_COMPRESSED = 1 << 16,
    VMF_MARKERS = 1 << 17
};
#define VMDK_GD_AT_END UINT64_MAX
#define VMDK_NO_CID    0xffffffffu

typedef enum VmdkKind { VMDK_FLAT, VMDK_ZERO, VMDK_SPARSE, VMDK_STREAM } VmdkKind;

/* Of the node of a sparse extent. */
typedef struct VmdkSparse {
    BlockMap map;
    uint64_t gd, rgd; /* where; .rgd 0: there is no second one */
    uint64_t n_tables, overhead;
    uint32_t gtes;
    bool zeroed_grain, packed, markers;
    GMutex unpacked_lock;
    uint64_t unpacked_at; /* the grain in .unpacked; 0: none */
    uint8_t *unpacked;
} VmdkSparse;

typedef struct VmdkExtent {
    VmdkKind kind;
    uint64_t start, length; /* on the disk */
    uint64_t offset;        /* VMDK_FLAT: in the file */
    char *path, *type;      /* as "info" has them */
    bool readonly, touched; /* .touched: there were writes: it must be flushed */
    BlockNode *opened;      /* NULL: it is in the image's own file */
    BlockNode *file;        /* a protocol; NULL: VMDK_ZERO */
    BlockNode *node;        /* VMDK_SPARSE and VMDK_STREAM */
} VmdkExtent;

typedef struct Vmdk {
    BlockNode *node;
    GPtrArray *extents; /* VmdkExtent */
    char *type;
    uint32_t cid, parent_cid;
    uint64_t cid_at; /* where in the image's own file its digits are, */
    unsigned cid_digits;
    GMutex lock;
    bool written;     /* has its new CID */
    bool cid_checked; /* is of the image behind it */
} Vmdk;

/* ---- vmdk-descriptor.c ---- */

/* A line on an extent. */
typedef struct VmdkLine {
    bool readonly;
    uint64_t sectors, offset;
    char *type, *name; /* .name is NULL if it has none */
} VmdkLine;

void vmdk_line_free(void *line);
/* Reads the descriptor, @bytes at @at of the image's own file: CIDs, type, what is behind. @lines, or NULL: the VmdkLine of all extents. */
bool vmdk_descriptor_read(Vmdk *s, uint64_t at, uint64_t bytes, GPtrArray *lines, GError **error);
/* Writes another CID. */
int vmdk_cid_write(Vmdk *s);
/* The CID of the image @file, which must be a VMDK image. */
bool vmdk_cid_of(const char *file, uint32_t *cid, GError **error);
uint32_t vmdk_cid_new(void);

/* ---- vmdk-sparse.c ---- */

/* Sets up the node of a sparse extent, its kind and its length, from the header in its file. */
bool vmdk_sparse_open(Vmdk *s, VmdkExtent *e, const NodeOptions *options, GError **error);
void vmdk_sparse_close(VmdkExtent *e);
int vmdk_sparse_write_zeroes(VmdkExtent *e, uint64_t offset, uint64_t bytes, bool unmap);
bool vmdk_sparse_check(VmdkExtent *e, NodeCheck *check, GError **error);

/* ---- vmdk-stream.c ---- */

int vmdk_stream_read(VmdkExtent *e, uint64_t offset, uint64_t bytes, IovCursor *c);
/* Grains that are not there yet. -EINVAL: that are not whole; -EIO: that are there. */
int vmdk_stream_write(VmdkExtent *e, uint64_t offset, uint64_t bytes, IovCursor *c);
int vmdk_stream_write_zeroes(VmdkExtent *e, uint64_t offset, uint64_t bytes);
int vmdk_stream_status(VmdkExtent *e, uint64_t offset, uint64_t bytes, NodeStatus *status);

/* ---- vmdk-create.c ---- */

extern const NodeOptionInfo vmdk_create_options[];
bool vmdk_create(const char *file, const KeyVals *options, GError **error);

static inline VmdkSparse *vmdk_sparse(const VmdkExtent *e)
{
    return e->node->priv;
}

#endif
