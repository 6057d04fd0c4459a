/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the qcow2 format share. The format is described in QEMU's docs/interop/qcow2.txt, whose terms are used here.
 *
 * Order on disk. L2 tables and refcount blocks are changed in memory (Qcow2Table), the L1 and refcount tables too, and written by
 * qcow2_flush(): refcounts, then L2, then L1, with the disk's cache written back between them. A reference that goes does not lower the
 * refcount before the table without it is on disk (qcow2_free), so at any cut each cluster that is referred to has its count, and what a
 * cut leaves behind is leaks.
 * Lazy refcounts are written when the image is closed, and before anything that changes it as a whole; meanwhile it is marked as dirty,
 * and who opens it then counts anew.
 *
 * Threads. All state is under Qcow2.lock, which is not held while data is moved. Each access is an operation between qcow2_begin() and
 * qcow2_end(); a cluster that becomes free is not used again before the operations that may still see it have ended. Guest clusters whose
 * mapping is about to change are "busy" (Qcow2Busy), and other writers wait. What changes the image as a whole is alone (qcow2_alone).
 */
#ifndef BLOCK_FORMATS_QCOW2_H
#define BLOCK_FORMATS_QCOW2_H

#include "block/node.h"
#include "util/bytes.h"

enum {
    QCOW2_MIN_BITS = 9,
    QCOW2_MAX_BITS = 21,
    QCOW2_MAX_L1 = 32 << 20,      /* bytes */
    QCOW2_MAX_REFTABLE = 8 << 20, /* bytes */
    QCOW2_MAX_SNAPSHOTS = 65536,
    QCOW2_SUBCLUSTERS = 32,
    QCOW2_V2_HEADER = 72,
    QCOW2_V3_HEADER = 112,
    QCOW2_MAX_NAME = 1023
};

/* Fields of the header: offsets. */
enum {
    QH_VERSION = 4,
    QH_BACKING_OFFSET = 8,
    QH_BACKING_SIZE = 16,
    QH_CLUSTER_BITS = 20,
    QH_SIZE = 24,
    QH_CRYPT = 32,
    QH_L1_SIZE = 36,
    QH_L1_OFFSET = 40,
    QH_REFTABLE_OFFSET = 48,
    QH_REFTABLE_CLUSTERS = 56,
    QH_SNAPSHOTS = 60,
    QH_SNAPSHOTS_OFFSET = 64,
    QH_INCOMPATIBLE = 72,
    QH_COMPATIBLE = 80,
    QH_AUTOCLEAR = 88,
    QH_REFCOUNT_ORDER = 96,
    QH_LENGTH = 100,
    QH_COMPRESSION = 104
};

enum { Q_DIRTY = 1, Q_CORRUPT = 2, Q_DATA_FILE = 4, Q_COMPRESSION = 8, Q_EXTENDED = 16 };
enum { Q_LAZY = 1 };                    /* compatible features */
enum { Q_BITMAPS = 1, Q_RAW_DATA = 2 }; /* autoclear features */

enum { QX_FORMAT, QX_BITMAPS, QX_DATA_FILE, QX_FEATURES, QX_KNOWN };

/* Bits of the tables' entries. */
#define QE_COPIED     (1ull << 63)
#define QE_COMPRESSED (1ull << 62)
#define QE_ZERO       1ull
#define QE_OFFSET     0x00fffffffffffe00ull
#define QE_RESERVED   0x3f000000000001feull

typedef struct Qcow2Table {
    uint64_t offset;
    bool refcounts; /* a refcount block, not an L2 table */
    bool writing;   /* a flush writes a copy of it: not to be read back from the file yet */
    uint32_t dirty_from, dirty_to; /* bytes; the same: none */
    GList link;                    /* in Qcow2.lru */
    uint8_t *data;
} Qcow2Table;

/* Host clusters @first .. @first + @n - 1. */
typedef struct Qcow2Run {
    uint64_t first, n;
} Qcow2Run;

/* Guest clusters whose mapping is about to change. */
typedef struct Qcow2Busy Qcow2Busy;
struct Qcow2Busy {
    uint64_t first, last;
    Qcow2Busy *next;
};

typedef struct Qcow2Bitmap Qcow2Bitmap;

typedef struct Qcow2Snapshot {
    NodeSnapshot s;
    uint64_t l1_offset;
    uint32_t l1_size;
    uint8_t *extra; /* what is not known of the extra data, to be kept */
    uint32_t extra_size;
} Qcow2Snapshot;

typedef struct Qcow2 {
    BlockNode *node;
    BlockNode *data; /* where guest clusters are: node->file, or the external data file */
    bool external, extended, modified, has_backing;
    bool lazy;  /* refcounts are written late, and the image is marked as dirty meanwhile */
    bool dirty; /* it was marked here */
    bool damaged, checking; /* see qcow2-damage.c */
    unsigned version, cluster_bits, sub_bits, l2_bits, entry_bytes, refcount_order, compression;
    uint64_t cluster_size;
    uint64_t block_entries; /* refcounts in a block */
    uint64_t incompatible, compatible, autoclear;
    uint8_t *head; /* the first cluster, as it is in the file */
    uint32_t header_length;
    char *data_file;
    uint64_t bitmaps_offset, bitmaps_size;
    uint32_t n_bitmaps;
    GPtrArray *bitmaps;         /* Qcow2Bitmap */
    GArray *bitmaps_freed;      /* Qcow2Run: free once the bitmaps are stored */
    uint32_t bitmaps_recording; /* how many record writes */
    bool bitmaps_broken, bitmaps_in_use, bitmaps_changed; /* in_use: marked so in the file */

    GMutex lock;
    GCond cond;
    unsigned epoch, in_flight[2], grace_epoch;
    bool alone, flushing;
    Qcow2Busy *busy;
    GArray *freed;  /* Qcow2Run: referred to no longer, but in the file perhaps */
    GArray *synced; /* in the file neither */
    GArray *grace;  /* only operations of grace_epoch may still see them */

    GHashTable *tables; /* offset -> Qcow2Table */
    GQueue lru;         /* the last used first */
    uint64_t dirty_tables, max_tables;

    uint64_t *l1;
    uint32_t l1_size;
    uint64_t l1_offset;
    uint32_t l1_dirty_from, l1_dirty_to;

    uint64_t *reftable;
    uint32_t reftable_n; /* entries */
    uint64_t reftable_offset;
    uint32_t reftable_dirty_from, reftable_dirty_to;
    bool reftable_moved;
    uint64_t free_hint;       /* no host cluster below it is free */
    uint64_t compressed_next; /* where the next compressed bytes go; 0: into a new cluster */

    GPtrArray *snapshots; /* Qcow2Snapshot */
    uint64_t snapshots_offset, snapshots_bytes;

    GMutex unpacked_lock;
    uint64_t unpacked_entry; /* of the cluster in .unpacked; 0: none */
    uint8_t *unpacked;
} Qcow2;

/* Writers make it larger meanwhile. */
static inline uint64_t q_file_length(const Qcow2 *s)
{
    return __atomic_load_n(&s->node->file->length, __ATOMIC_RELAXED);
}

/* The state of a machine begins at this guest offset, where no disk that has this L1 table can be. */
static inline uint64_t qcow2_vm_state_at(const Qcow2 *s)
{
    uint64_t covered = 1ull << (s->l2_bits + s->cluster_bits);

    return (s->node->length + covered - 1) / covered * covered;
}

/* Clusters that @bytes need. */
static inline uint64_t q_clusters(const Qcow2 *s, uint64_t bytes)
{
    return (bytes >> s->cluster_bits) + ((bytes & (s->cluster_size - 1)) != 0);
}

/* ---- qcow2-header.c ---- */

/* Reads and checks the header; sets up all of @s that it says. */
bool qcow2_header_read(Qcow2 *s, const NodeOptions *options, GError **error);
/* Puts the fields of @s that can change into .head. */
void qcow2_header_fill(Qcow2 *s);
/* Writes bytes @from .. @to - 1 of the header from .head. */
int qcow2_header_write(Qcow2 *s, uint32_t from, uint32_t to);
/* Makes the extensions and the backing file's name anew, from @node's; false: they do not fit. */
bool qcow2_header_layout(Qcow2 *s, const char *backing, const char *format, GError **error);
/* The directory of @n bitmaps is at @offset. With none there is no extension of bitmaps any more. At a cut there are the bitmaps of before, or those,
 * or none. While alone; -errno. */
int qcow2_header_set_bitmaps(Qcow2 *s, uint32_t n, uint64_t bytes, uint64_t offset);
/* Clears what the header says of features that a write makes wrong, and marks the image as dirty if its refcounts are lazy; once. The
 * lock is held. */
int qcow2_prepare_write(Qcow2 *s);
/* Writes these bits into the header, for sure. */
int qcow2_set_incompatible(Qcow2 *s, uint64_t features);
/* Takes that mark away: all is written back. */
int qcow2_mark_clean(Qcow2 *s);

/* ---- qcow2.c ---- */

/* Sets an error about what was asked for, which is not the image's. Returns false. */
bool qcow2_refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* ---- qcow2-cache.c: with the lock held but where it says otherwise ---- */

/* Reads from the image's file; zeroes behind its end. No lock needed. */
int qcow2_pread(Qcow2 *s, uint64_t offset, void *buf, uint64_t bytes);
void qcow2_begin(Qcow2 *s, unsigned *op); /* takes the lock */
void qcow2_end(Qcow2 *s, unsigned op);    /* and leaves it */
/* As these, but for something that must be the only one. */
void qcow2_alone_begin(Qcow2 *s);
void qcow2_alone_end(Qcow2 *s);
void qcow2_cache_init(Qcow2 *s);
void qcow2_cache_free(Qcow2 *s);
/* Forgets all tables, which must be clean. */
void qcow2_cache_drop(Qcow2 *s);
/* The table at @offset. It stays until the next call of any function here. -EIO: it is taken for the other kind, too, or cannot be there. */
int qcow2_table_get(Qcow2 *s, uint64_t offset, bool refcounts, Qcow2Table **t);
/* The same if it is in memory; NULL: it is not. */
Qcow2Table *qcow2_table_peek(Qcow2 *s, uint64_t offset);
/* A new one of zeroes, all dirty. */
Qcow2Table *qcow2_table_new(Qcow2 *s, uint64_t offset, bool refcounts);
/* Forgets the table at @offset, if there is one, whatever has changed in it. */
void qcow2_table_drop(Qcow2 *s, uint64_t offset);
void qcow2_table_touch(Qcow2 *s, Qcow2Table *t, uint32_t from, uint32_t to);
void qcow2_l1_touch(Qcow2 *s, uint32_t index);
void qcow2_reftable_touch(Qcow2 *s, uint32_t index);
/* Writes all back, in order. Leaves the lock while it waits for the disk. */
int qcow2_flush(Qcow2 *s);
/* All but lazy refcounts. */
int qcow2_flush_lazily(Qcow2 *s);
/* The same, and makes what is free by that available. Only while alone or closing. */
int qcow2_flush_all(Qcow2 *s);
/* Before something that makes tables dirty: flushes if too many are. Leaves the lock then. */
int qcow2_make_room(Qcow2 *s);

/* ---- qcow2-refcount.c: with the lock held ---- */

bool qcow2_reftable_read(Qcow2 *s, GError **error);
int qcow2_refcount_get(Qcow2 *s, uint64_t cluster, uint64_t *value);
/* The first cluster of [@from, @to), which have theirs in one block, whose refcount is not @wanted's (NULL: 0), or cannot
 * be read; @to: there is none. */
uint64_t qcow2_refcount_find_other(Qcow2 *s, uint64_t from, uint64_t to, const uint32_t *wanted);
/* Sets it; the block must be there. */
int qcow2_refcount_set(Qcow2 *s, uint64_t cluster, uint64_t value);
uint64_t qcow2_refcount_max(const Qcow2 *s);
uint64_t qcow2_block_get(const Qcow2 *s, const uint8_t *block, uint64_t i);
void qcow2_block_set(const Qcow2 *s, uint8_t *block, uint64_t i, uint64_t value);
/* Adds 1 to each. -EFBIG: they cannot count so far. */
int qcow2_refcount_add(Qcow2 *s, uint64_t cluster, uint64_t n);
/* Subtracts 1 from each at once: nothing in the file refers to them. */
void qcow2_refcount_sub(Qcow2 *s, uint64_t cluster, uint64_t n);
/* At most @want clusters in one piece, each with a refcount of 1; their number in *@got. */
int qcow2_alloc(Qcow2 *s, uint64_t want, uint64_t *offset, uint64_t *got);
/* One cluster for @what: "L2 table". */
int qcow2_alloc_for(Qcow2 *s, const char *what, uint64_t *offset);
/* Exactly @n clusters in one piece. */
int qcow2_alloc_exactly(Qcow2 *s, uint64_t n, uint64_t *offset);
/* Space for compressed bytes. */
int qcow2_alloc_bytes(Qcow2 *s, uint64_t bytes, uint64_t *offset);
/* One reference less, as soon as that is so in the file. */
void qcow2_free(Qcow2 *s, uint64_t offset, uint64_t clusters);
/* The same for what an L2 entry refers to. */
void qcow2_free_entry(Qcow2 *s, uint64_t entry);
/* The host clusters that a compressed cluster's entry refers to, and its bytes. */
void qcow2_compressed_extent(const Qcow2 *s, uint64_t entry, uint64_t *offset, uint64_t *bytes);
/* What the host cluster at @offset has that guest data cannot be in; NULL: nothing of that kind. */
const char *qcow2_metadata_at(Qcow2 *s, uint64_t offset);

/* ---- qcow2-damage.c: with the lock held. Always -EIO, and nothing but that while the image is checked. ---- */

/* Says it, marks an image that is open for writing, and ends all writing to it; once. */
int qcow2_corrupt(Qcow2 *s, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same for the L2 entry of guest offset @offset, which is wrong. */
int qcow2_corrupt_entry(Qcow2 *s, uint64_t offset);
/* The same for something (@what: new, a name or NULL) that would be written where metadata is, at host offset @offset. */
int qcow2_corrupt_overlap(Qcow2 *s, uint64_t offset, const char *what);

/* ---- qcow2-map.c ---- */

typedef enum Qcow2Kind { QK_UNALLOCATED, QK_ZERO, QK_DATA, QK_COMPRESSED } Qcow2Kind;

typedef struct Qcow2Extent {
    Qcow2Kind kind;
    bool copied; /* may be written in place */
    uint64_t bytes;
    uint64_t host;  /* QK_DATA */
    uint64_t entry; /* QK_COMPRESSED */
} Qcow2Extent;

/* The L2 table of L1 entry @index; NULL if there is none. */
int qcow2_l2_get(Qcow2 *s, uint64_t index, Qcow2Table **t);
void qcow2_entry_get(const Qcow2 *s, const Qcow2Table *t, uint64_t i, uint64_t *entry,
                     uint64_t *bitmap);
/* What an entry says of its subcluster @sub (0 if there are none); false: it is wrong. */
bool qcow2_entry_kind(const Qcow2 *s, uint64_t entry, uint64_t bitmap, unsigned sub,
                      Qcow2Kind *kind);
int qcow2_lookup(Qcow2 *s, uint64_t offset, uint64_t bytes, Qcow2Extent *x);
/* Reads all of @x, which is at @offset. Without the lock. */
int qcow2_read_extent(Qcow2 *s, const Qcow2Extent *x, uint64_t offset, IovCursor *c);
int qcow2_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int qcow2_vm_state_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int qcow2_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status);
bool qcow2_direct(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                  uint64_t *fd_offset);

/* ---- qcow2-compress.c: no lock needed ---- */

bool qcow2_compression_known(unsigned type);
/* @out of exactly @out_bytes; false: it is damaged. */
bool qcow2_unpack(unsigned type, const uint8_t *in, size_t in_bytes, uint8_t *out,
                  size_t out_bytes);
/* The bytes written to @out, of @max; 0: it does not become smaller than that. */
size_t qcow2_pack(unsigned type, const uint8_t *in, size_t bytes, uint8_t *out, size_t max);

/* ---- qcow2-write.c ---- */

int qcow2_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int qcow2_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap);
int qcow2_discard(BlockNode *node, uint64_t offset, uint64_t bytes);
int qcow2_write_compressed(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
/* The table, to be changed: made or copied if need be. The lock is held. */
int qcow2_l2_for_write(Qcow2 *s, uint64_t index, Qcow2Table **t);
void qcow2_entry_set(Qcow2 *s, Qcow2Table *t, uint64_t i, uint64_t entry, uint64_t bitmap);
/* Gives clusters of zeroes to what is not mapped of [@from, @to). While alone. */
bool qcow2_preallocate(Qcow2 *s, uint64_t from, uint64_t to, NodePrealloc prealloc, GError **error);
int qcow2_vm_state_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int qcow2_vm_state_clear(BlockNode *node);
/* For a change of size, while alone: what is not there gets no mark unless something is behind the image. */
int qcow2_zero_alone(Qcow2 *s, uint64_t offset, uint64_t bytes, bool unmap);

/* ---- qcow2-snapshot.c ---- */

bool qcow2_snapshots_read(Qcow2 *s, GError **error);
void qcow2_snapshot_free(gpointer snapshot);
/* All host clusters that an L1 table of @n entries leads to, L2 tables among them. Appended to @runs (of Qcow2Run). */
int qcow2_tree_collect(Qcow2 *s, const uint64_t *l1, uint32_t n, GArray *runs);
/* The L1 table at @offset, as numbers; NULL: out of range, or -errno in *@err. */
uint64_t *qcow2_l1_read(Qcow2 *s, uint64_t offset, uint32_t n, int *err);
GPtrArray *qcow2_snapshots(BlockNode *node);
bool qcow2_snapshot_create(BlockNode *node, const NodeSnapshot *snapshot, GError **error);
bool qcow2_snapshot_apply(BlockNode *node, const char *name, GError **error);
bool qcow2_snapshot_delete(BlockNode *node, const char *name, GError **error);
bool qcow2_snapshot_load(BlockNode *node, const char *name, GError **error);
int qcow2_make_empty(BlockNode *node);

/* ---- qcow2-bitmap.c: with the lock held ---- */

extern const BitmapDriver qcow2_bitmap_driver;
void qcow2_bitmaps_init(Qcow2 *s);
void qcow2_bitmaps_free(Qcow2 *s);
void qcow2_bitmaps_read(Qcow2 *s);
/* [@offset, @offset + @bytes) is about to be written. */
int qcow2_bitmaps_mark(Qcow2 *s, uint64_t offset, uint64_t bytes);
/* True: a write there changes no bitmap. */
bool qcow2_bitmaps_marked(Qcow2 *s, uint64_t offset, uint64_t bytes);
/* Writes back what has changed; from here on while alone. */
int qcow2_bitmaps_store(Qcow2 *s);
/* Before a change of size to @length, and around it. */
bool qcow2_bitmaps_can_resize(Qcow2 *s, uint64_t length, GError **error);
int qcow2_bitmaps_resize_begin(Qcow2 *s);
/* @err: what happened since; returned, if it is one, and bitmaps are inconsistent then. */
int qcow2_bitmaps_resize_end(Qcow2 *s, int err);
void qcow2_bitmaps_info(Qcow2 *s, GPtrArray *keys, GPtrArray *values);
/* Writes the table of snapshots anew, with all that version 3 has in it. While alone. */
int qcow2_snapshots_save(Qcow2 *s);

/* ---- qcow2-amend.c ---- */

extern const NodeOptionInfo qcow2_amend_options[];
bool qcow2_amend(BlockNode *node, const KeyVals *options, NodeProgress *progress, GError **error);
/* Lays the header out as qcow2_header_layout() does and writes it, so that at any cut the image has this one or @old, the header's cluster
 * as it is in the file. On failure .head is @old again. While alone. */
bool qcow2_header_change(Qcow2 *s, const uint8_t *old, const char *backing, const char *format,
                         GError **error);

/* ---- qcow2-expand.c, qcow2-width.c: while alone, with nothing to be written back ---- */

/* No cluster of zeroes is marked as such any more, in snapshots neither. @progress: NULL is allowed. */
int qcow2_expand_zeroes(Qcow2 *s, NodeProgress *progress);
/* Refcounts of 2^@order bits; false: a cluster has more references than they can count, or it cannot be written, and all is as it was. */
bool qcow2_set_refcount_width(Qcow2 *s, unsigned order, NodeProgress *progress, GError **error);

/* ---- qcow2-check.c ---- */

bool qcow2_check(BlockNode *node, NodeCheck *check, GError **error);

/* ---- qcow2-create.c ---- */

extern const NodeOptionInfo qcow2_create_options[];
bool qcow2_create(const char *file, const KeyVals *options, GError **error);
bool qcow2_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error);
bool qcow2_set_backing(BlockNode *node, const char *file, const char *format, GError **error);
/* Writes the header's size and L1 table. While alone. */
int qcow2_write_size(Qcow2 *s);
/* Makes the L1 table long enough for @length bytes. While alone; the header is to be written then. */
int qcow2_l1_grow(Qcow2 *s, uint64_t length);

#endif
