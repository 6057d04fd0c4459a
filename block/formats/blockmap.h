/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the formats share that divide the disk into blocks of one size and keep a table of where in the file each is (vdi, qed, vpc,
 * parallels): access by any number of threads, allocation at the file's end, and the table itself, of which pages are kept in memory.
 *
 * Order on the disk: a block is written at once, its entry in the table only in memory. blockmap_flush() waits until the blocks are on the
 * disk, writes the entries and waits for these. At any cut an entry of the table on the disk therefore names a block that is complete;
 * blocks without an entry are only lost space. Tables that are appended are zero on the disk before an entry names them, so that the order
 * among entries does not matter.
 *
 * A driver's state begins with a BlockMap, whose ops find and set entries. They are called with .lock held.
 */
#ifndef BLOCK_FORMATS_BLOCKMAP_H
#define BLOCK_FORMATS_BLOCKMAP_H

#include "block/node.h"
#include "util/bytes.h"

typedef struct BlockMap BlockMap;
typedef struct BlockMapBusy BlockMapBusy;
typedef struct BlockMapCached BlockMapCached;

typedef enum BlockMapKind {
    BM_HOLE, /* what is behind the image */
    BM_ZERO,
    BM_DATA
} BlockMapKind;

enum { BLOCKMAP_PAGE = 4096 };

typedef struct BlockMapPage {
    uint64_t offset;
    const uint8_t *data; /* BLOCKMAP_PAGE bytes */
} BlockMapPage;

typedef struct BlockMapOps {
    /* Where block @index is: *@kind and *@host (BM_DATA: an offset, checked to be within the file). *@n, 1 at first, becomes the number of
     * blocks that are known to be alike (not of BM_DATA). -EIO: the entry is damaged; -EAGAIN: @peek, and it is not in memory. */
    int (*lookup)(BlockMap *m, uint64_t index, bool peek, BlockMapKind *kind, uint64_t *host,
                  uint64_t *n);
    /* Space for at least one of the *@n blocks, in one piece, that reads as zeroes; *@n becomes how many. */
    int (*allocate)(BlockMap *m, uint64_t *n, uint64_t *host);
    /* Sets the entry, whatever it was. BM_ZERO only where there is a backing image. */
    int (*link)(BlockMap *m, uint64_t index, BlockMapKind kind, uint64_t host);
    /* NULL or: space of allocate() that is not used after all. */
    void (*unallocate)(BlockMap *m, uint64_t n, uint64_t host);
    /* NULL or: bytes of a block that are @offset on the disk and @host in the file were written in place. */
    int (*written)(BlockMap *m, uint64_t offset, uint64_t host, uint64_t bytes);
    /* NULL or: writes what must be on the disk before the entries are. */
    int (*before_flush)(BlockMap *m);
    /* NULL or: writes these pages of the table to the file, so that after a cut each is as before or as here, and waits for the disk; not
     * locked, one at a time. */
    int (*commit)(BlockMap *m, const BlockMapPage *pages, unsigned n);
} BlockMapOps;

struct BlockMap {
    BlockNode *node;
    const BlockMapOps *ops;
    uint64_t block_size;     /* a multiple of 512 */
    uint64_t end;            /* of what is in use of the file: what is allocated goes there */
    bool fully_mapped;       /* the file decides what is zero */
    bool has_backing;        /* holes are of the image behind */
    GMutex lock, flush_lock; /* .flush_lock is taken first */
    GCond cond;
    BlockMapBusy *busy; /* blocks that are being allocated: who writes there waits */
    GHashTable *pages;
    BlockMapCached *last; /* of .pages: the one that was asked for last; NULL */
    unsigned n_dirty;
};

void blockmap_init(BlockMap *m, BlockNode *node, const BlockMapOps *ops);
void blockmap_clear(BlockMap *m);

/* For BlockDriver; node->priv is the BlockMap. */
int blockmap_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int blockmap_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int blockmap_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap);
int blockmap_discard(BlockNode *node, uint64_t offset, uint64_t bytes);
int blockmap_flush(BlockNode *node);
int blockmap_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status);
bool blockmap_direct(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                     uint64_t *fd_offset);
uint64_t blockmap_block_size(BlockNode *node);

/* @bytes more of the file from .end on, which read as zeroes; locked. */
int blockmap_append(BlockMap *m, uint64_t bytes, uint64_t *offset);

/* ---- The table (blockmap-table.c); locked ---- */

/* @bytes (4 or 8) at @offset, a multiple of that, as they are in the file. @peek: -EAGAIN instead of reading the file. */
int blockmap_table_get(BlockMap *m, uint64_t offset, bool peek, void *value, unsigned bytes);
/* Written to the file by the next blockmap_flush(). */
int blockmap_table_set(BlockMap *m, uint64_t offset, const void *value, unsigned bytes);
/* Writes to the file at once, and to what is kept of it; at most 512 bytes within a sector. */
int blockmap_table_write_through(BlockMap *m, uint64_t offset, const void *value, unsigned bytes);
/* Everything that is kept is dropped, also what was set and not written. */
void blockmap_table_forget(BlockMap *m);
/* Not locked; with .flush_lock. */
int blockmap_table_flush(BlockMap *m);
/* So much was set that a flush is due. */
bool blockmap_table_full(const BlockMap *m);

/* ---- Checking (blockmap-check.c) ---- */

/* Which places for blocks are taken: place i is at @base + i * block_size. */
typedef struct BlockMapUse {
    uint64_t base, unit, n, taken;
    uint64_t top;  /* no place is taken from here on */
    uint64_t free; /* all are taken below */
    uint8_t *bits;
} BlockMapUse;

/* False: there is no memory for so many. */
bool blockmap_use_init(BlockMapUse *use, uint64_t base, uint64_t unit, uint64_t n);
void blockmap_use_clear(BlockMapUse *use);
bool blockmap_use_test(const BlockMapUse *use, uint64_t place);
/* Takes what [@host, @host + @bytes) is in; false: some of it was taken. Behind the last place: nothing to take. */
bool blockmap_use_take(BlockMapUse *use, uint64_t host, uint64_t bytes);
void blockmap_use_drop(BlockMapUse *use, uint64_t place);
/* The first place from .free on that is not taken; .n: none. */
uint64_t blockmap_use_find(BlockMapUse *use);
/* Copies a block's bytes within the file. */
int blockmap_copy(BlockMap *m, uint64_t from, uint64_t to);
/* Looks at all @n blocks: entries that are damaged, and places that are taken already. Mended, the one reads as what is behind the image, and
 * the other gets a copy. Not locked, while nothing else uses the image. */
bool blockmap_check(BlockMap *m, BlockMapUse *use, uint64_t n, NodeCheck *check, GError **error);

static inline uint64_t bm_round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

#endif
