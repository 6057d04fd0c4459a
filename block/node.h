/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk images. A node is an opened image: a format (block/formats/) over the node that has its bytes, which is a protocol (a file of the
 * host), perhaps with a backing image behind it. A node belongs to whoever opened it; what is below it belongs to the node.
 *
 * Access is synchronous and may come from any number of threads at once; a driver locks what it must. Requests of a machine come through
 * the back ends of block/block.h, whose workers wait here instead of the vCPUs.
 *
 * Errors: 0 or -errno for access; bool and GError, whose text names the file, for everything else. All that is read from an image is
 * hostile: a driver checks each offset, count and size before it uses it, and refuses what it does not understand.
 */
#ifndef BLOCK_NODE_H
#define BLOCK_NODE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "util/keyval.h"

typedef struct BlockNode BlockNode;
typedef struct BlockDriver BlockDriver;
typedef struct NodeDict NodeDict;
typedef struct BitmapDriver BitmapDriver;

enum { BLOCK_SECTOR = 512, NODE_PROBE_BYTES = 2048, NODE_MAX_CHAIN = 256 };
/* The largest image: offsets stay positive as off_t, also rounded up. */
#define NODE_MAX_LENGTH ((uint64_t)INT64_MAX - (1u << 22))

/* A walk through a request's buffers. */
typedef struct IovCursor {
    const struct iovec *iov;
    int n;
    size_t skip; /* bytes of iov[0] that are done */
} IovCursor;

/* Puts the next at most @limit bytes into @out, @max entries at most; returns their number and the bytes in *@bytes. */
int iov_window(const IovCursor *c, struct iovec *out, int max, uint64_t limit, uint64_t *bytes);
void iov_advance(IovCursor *c, uint64_t bytes);
void iov_zero(IovCursor *c, uint64_t bytes);
/* Copies between the next @bytes of @c and @buf. */
void iov_copy_in(IovCursor *c, const void *buf, uint64_t bytes); /* @buf to the cursor's buffers */
void iov_copy_out(IovCursor *c, void *buf, uint64_t bytes);      /* the cursor's buffers to @buf */

/* ---- Opening ---- */

typedef struct NodeOptions {
    const char *file;   /* a path, a remote name, "json:{...}" or NULL: .dict says it */
    const char *format; /* NULL: found by the first bytes; "raw" if they are of no other */
    bool readonly;
    bool no_backing; /* what is behind it is not opened, and reads as zeroes */
    bool direct;     /* past the host's page cache (O_DIRECT), also for what is behind it */
    bool unsafe;     /* flushes do nothing: for what can be made again if the host fails */
    bool share;      /* takes no lock: for looking at an image that someone writes */
    bool
        repair; /* to be checked: an image that is marked as damaged opens, and nothing is mended on the way */
    NodeDict
        *dict; /* more about it and those below (block/options.h), taken by who knows it; NULL */
    const char *device; /* "host_device": the file must be one. NULL */
    unsigned depth;     /* below and behind others */
} NodeOptions;

/* @file names an export of an NBD server ("nbd:...", block/nbd-client.h), and no file of the host. */
bool node_is_remote(const char *file);
/* Such a name for the options PREFIXhost, PREFIXport, PREFIXpath (of a socket) and PREFIXexport (or PREFIXserver.host, ...), with a prefix
 * like "file."; NULL: they make none. g_free() it. */
char *node_remote_name(const KeyVals *options, const char *prefix, GError **error);
BlockNode *node_open(const NodeOptions *options, GError **error);
/* Writes back what is kept of it, and frees it and what is below; NULL is allowed. The error of writing back, or 0. */
int node_close(BlockNode *node);

/* ---- Access ---- */

/* Behind the end: -EINVAL. @c moves on by @bytes unless there is an error. */
int node_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int node_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int node_pread(BlockNode *node, uint64_t offset, void *buf, uint64_t bytes);
int node_pwrite(BlockNode *node, uint64_t offset, const void *buf, uint64_t bytes);
/* Reads as zeroes afterwards. @unmap: and may use no space. */
int node_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap);
/* Only a hint: the bytes are undefined afterwards. */
int node_discard(BlockNode *node, uint64_t offset, uint64_t bytes);
/* What was written before is on the disk when it returns 0, and so is all that is needed to find it. */
int node_flush(BlockNode *node);
/* A whole cluster (the last one may be short), compressed; -ENOTSUP where the format has no such. */
int node_write_compressed(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);

typedef enum NodePrealloc {
    NODE_PREALLOC_OFF,
    NODE_PREALLOC_METADATA,
    NODE_PREALLOC_FALLOC,
    NODE_PREALLOC_FULL
} NodePrealloc;

/* Makes it @length bytes long. Shorter only if @shrink. */
bool node_truncate(BlockNode *node, uint64_t length, bool shrink, NodePrealloc prealloc,
                   GError **error);

/* NodeStatus.flags */
enum {
    NODE_DATA = 1,      /* this node has bytes there */
    NODE_ZERO = 2,      /* it reads as zeroes */
    NODE_ALLOCATED = 4, /* this node decides, not what is behind it */
    NODE_MAPPED = 8,    /* .map is where they are in the file */
    NODE_COMPRESSED = 16
};

typedef struct NodeStatus {
    uint64_t bytes; /* from the offset on it is all alike: at least 1, at most what was asked for */
    uint64_t map;
    const char *file; /* that .map is of, as long as the node is open; NULL: the image's own */
    unsigned flags;
} NodeStatus;

/* What @node itself has at @offset; a hint that may say less than there is to know, but nothing wrong. */
int node_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status);

/* *@zero: what is behind @node at @offset reads as zeroes, for *@bytes, which may become less. 0 or -errno. */
int node_zero_behind(BlockNode *node, uint64_t offset, uint64_t *bytes, bool *zero);
/* What is in [@offset, @offset + @bytes) only of what is behind @node, in whole clusters, is written into it. */
int node_copy_up(BlockNode *node, uint64_t offset, uint64_t bytes);
/* Tells the node below an image, where tests make it fail (block/blkdebug.c), what the image is about to do: "read_aio", "write_aio",
 * "l2_load", "l2_update", ... NULL is allowed. */
void node_event(BlockNode *node, const char *event);

/* ---- Making ---- */

/* Makes a new image at @file, replacing what is there. @options: of BlockDriver.create_options, checked. */
bool node_create(const BlockDriver *driver, const char *file, const KeyVals *options,
                 GError **error);

/* ---- Drivers ---- */

typedef struct NodeOptionInfo {
    const char *name, *help;
} NodeOptionInfo;

/* Called from time to time by what takes long. */
typedef void NodeProgress(uint64_t done, uint64_t total);

typedef struct NodeSnapshot {
    char *id, *name;
    uint64_t vm_state_size;
    uint64_t date_sec;
    uint32_t date_nsec;
    uint64_t vm_clock_ns;
    uint64_t icount; /* UINT64_MAX: not known */
    uint64_t disk_size;
} NodeSnapshot;

typedef struct NodeCheck {
    bool fix_leaks, fix_errors; /* asked for */
    uint64_t corruptions, leaks, check_errors;
    uint64_t corruptions_fixed, leaks_fixed;
    uint64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
    uint64_t image_end_offset;
    GString *report; /* a line for each finding; NULL: only the numbers matter */
} NodeCheck;

/* Adds a finding to the report, as long as that is not absurdly long: an image may claim any number of blocks. */
void node_check_note(NodeCheck *check, const char *format, ...) G_GNUC_PRINTF(2, 3);

struct BlockDriver {
    const char *name; /* as in -f */
    bool is_protocol; /* has no node below it: .open() opens the file */
    bool own_events;  /* calls node_event() itself where it reads and writes the data */
    /* How sure the first @n bytes (and the name) say that it is this format: 0 (not) to 100. */
    int (*probe)(const uint8_t *head, size_t n, const char *file);
    /* BlockNode.file is open. Sets length, and the names of the backing image. On failure nothing is left behind, not even priv. */
    bool (*open)(BlockNode *node, const NodeOptions *options, GError **error);
    /* Frees priv, having written back what it keeps. */
    int (*close)(BlockNode *node);
    /* Ranges are within the length, and not empty. NULL where there is no such: -ENOTSUP (discard: 0; flush: of the file alone). */
    int (*read)(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
    int (*write)(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
    int (*write_zeroes)(BlockNode *node, uint64_t offset, uint64_t bytes,
                        bool unmap); /* NULL: written as bytes */
    int (*write_compressed)(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
    int (*discard)(BlockNode *node, uint64_t offset, uint64_t bytes);
    int (*flush)(BlockNode *node);
    int (*status)(BlockNode *node, uint64_t offset, uint64_t bytes,
                  NodeStatus *status); /* NULL: all data */
    /* Without waiting: true if [@offset, @offset + @bytes) lies in one piece at *@fd_offset of file *@fd. For reading (or writing: @write, in place).
     * NULL: never. */
    bool (*direct)(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                   uint64_t *fd_offset);
    bool (*truncate)(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error);
    /* Other options for an image that is there, some of .amend_options (backing_* are those it has); NULL: it can have none. A cut leaves the
     * image with the old or new ones. @progress: NULL is allowed. */
    bool (*amend)(BlockNode *node, const KeyVals *options, NodeProgress *progress, GError **error);
    const NodeOptionInfo *amend_options; /* up to a NULL name */
    bool (*create)(const char *file, const KeyVals *options, GError **error);
    const NodeOptionInfo *create_options; /* up to a NULL name */
    const char *
        create_shown; /* "cluster_size=65536 size ...": what "create" says of a new image, in this order, with what they are if not given */
    /* What "info" says beyond the sizes: "key: value" lines for people, and for machines the members of format-specific.data.
     * Keys "LIST/INDEX/KEY", which stand together, are of the objects of a list; those that end in "[]" are of lists of words. */
    void (*info)(BlockNode *node, GPtrArray *keys, GPtrArray *values);
    /* NULL or: appends the names of the files that it consists of beside its own. */
    void (*files)(BlockNode *node, GPtrArray *names);
    bool (*check)(BlockNode *node, NodeCheck *check, GError **error);
    /* Internal snapshots, by id or name. The list is of NodeSnapshot. */
    GPtrArray *(*snapshots)(BlockNode *node);
    bool (*snapshot_create)(BlockNode *node, const NodeSnapshot *snapshot, GError **error);
    bool (*snapshot_apply)(BlockNode *node, const char *name, GError **error);
    bool (*snapshot_delete)(BlockNode *node, const char *name, GError **error);
    /* A read-only node has this snapshot's contents and length from now on; while nothing else uses it. */
    bool (*snapshot_load)(BlockNode *node, const char *name, GError **error);
    const BitmapDriver *bitmaps; /* block/bitmap.h; NULL: it has none */
    /* Nothing is allocated in it afterwards: it reads as what is behind it. */
    int (*make_empty)(BlockNode *node);
    /* Other names for the image behind it, in the image's header. NULL @file: none. */
    bool (*set_backing)(BlockNode *node, const char *file, const char *format, GError **error);
    uint64_t (*cluster_size)(BlockNode *node);
    /* NULL or: it was not closed properly, and is to be mended when it is opened for writing. */
    bool (*is_dirty)(BlockNode *node);
    /* NULL or: it takes whole clusters only, each once, as node_write_compressed() writes them. */
    bool (*only_compressed)(BlockNode *node);
    /* The state of a machine, kept beside the disk's contents: where it begins, its bytes by offsets from there. */
    uint64_t (*vm_state_offset)(BlockNode *node);
    int (*vm_state_read)(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
    int (*vm_state_write)(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
    /* It takes no space any more, but for what snapshots have. */
    int (*vm_state_clear)(BlockNode *node);
    /* Something is behind it that its header does not name: holes are of that. NULL: it cannot have such. */
    void (*backing_opened)(BlockNode *node);
    /* The node above is about to do this: names of the events are in node_event(). NULL: it does not matter. */
    void (*event)(BlockNode *node, const char *event);
};

struct BlockNode {
    const BlockDriver *driver;
    char *name;      /* the file, as it was asked for */
    BlockNode *file; /* NULL: a protocol */
    BlockNode *backing;
    char *backing_name, *backing_format; /* as the image has them; NULL: none */
    uint64_t length;       /* bytes that can be read; a multiple of 512 but of a protocol */
    uint64_t exact_length; /* before that was rounded up; 0: the same */
    bool readonly;
    bool probed; /* the format was found, not given */
    void *priv;  /* the driver's */
};

/* The formats, up to NULL (block/formats/formats.c). */
extern const BlockDriver *const block_drivers[];
const BlockDriver *block_driver_find(const char *name);
/* The format of an image that begins with these bytes; raw if it is no other. */
const BlockDriver *block_driver_probe(const uint8_t *head, size_t n, const char *file);

/* For drivers that create: the file @file, new or emptied, to be closed. What is remote is there already, and keeps its length. */
BlockNode *node_create_file(const char *file, GError **error);
/* For drivers: "FILE: text", always false. */
bool node_fail(const BlockNode *node, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The same with what -errno means behind it. */
bool node_fail_errno(const BlockNode *node, GError **error, int err, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/* What the image behind @node has there; zeroes behind its end, and if there is none. */
int node_read_backing(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
/* The path of the image behind one at @image: relative names are relative to its folder, or if that is remote to the program's. */
char *node_backing_path(const char *image, const char *backing);

#endif
