/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block back ends: a disk's bytes behind asynchronous requests. Now raw files (and host devices); formats come behind the same
 * interface. Requests are carried out by the kernel (io_uring) or by worker threads; completion is called by any thread under the lock
 * given to block_set_lock() (the machine lock), and may be called before block_submit() returns (data that is at hand, errors, synchronous mode).
 *
 * A length that is no multiple of 512 is rounded up to one; the bytes behind the file's end read as zeroes, and a write there
 * makes the file longer. Two openers of a file exclude each other unless both only read (open file description locks).
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct BlockBackend BlockBackend;
typedef struct NodeDict NodeDict;

/* How requests that must wait are carried out (aio=). */
typedef enum BlockAio { BLOCK_AIO_DEFAULT, BLOCK_AIO_THREADS, BLOCK_AIO_URING } BlockAio;

/* What becomes of a request that the host fails (werror=, rerror=). */
typedef enum BlockErrorAction {
    BLOCK_ERROR_REPORT, /* the device is told */
    BLOCK_ERROR_IGNORE, /* the device is told that all is well */
    BLOCK_ERROR_STOP,   /* the machine stops; the request is tried again when it goes on */
    BLOCK_ERROR_ENOSPC  /* as STOP if the host has no space, else as REPORT */
} BlockErrorAction;

/* What can be limited (throttling.*): bytes and requests a second. */
typedef enum BlockLimit {
    BLOCK_BPS_TOTAL,
    BLOCK_BPS_READ,
    BLOCK_BPS_WRITE,
    BLOCK_IOPS_TOTAL,
    BLOCK_IOPS_READ,
    BLOCK_IOPS_WRITE,
    N_BLOCK_LIMITS
} BlockLimit;

typedef struct BlockOptions {
    const char *id;
    const char *file;
    const char *format; /* of node.h; NULL: found by the first bytes */
    NodeDict *dict;     /* more about the node (block/options.h), taken by it; NULL */
    bool readonly;
    bool
        snapshot; /* writes go to a temporary overlay that is thrown away; the file is opened read-only */
    bool cache_unsafe; /* cache=unsafe: flushes are not waited for */
    bool cache_direct; /* cache=none, directsync: past the host's page cache */
    bool
        cache_writethrough; /* cache=writethrough, directsync: a write is on the disk when it ends */
    bool discard;           /* discard=unmap: what the guest discards is given back */
    BlockErrorAction on_read_error, on_write_error;
    uint64_t limits[N_BLOCK_LIMITS]; /* a second; 0: none. Not in synchronous mode */
    BlockAio aio; /* default: threads; they are also there where io_uring is not to be had */
} BlockOptions;

/* Opens @options->file (locked against a second writer: the error names the holder's process when it can); registered under the id. */
BlockBackend *block_open(const BlockOptions *options, GError **error);
BlockBackend *block_find(const char *id);
/* The @n-th that was opened (from 0), or NULL. */
BlockBackend *block_nth(unsigned n);
const char *block_id(const BlockBackend *blk);
bool block_uses_uring(void); /* some back end's requests go through the host's io_uring */
void block_close_all(void);  /* completes and flushes everything; the caller holds the lock */

uint64_t block_length(const BlockBackend *blk);      /* bytes, a multiple of 512 */
uint64_t block_file_length(const BlockBackend *blk); /* bytes the file had when it was opened */
bool block_is_readonly(const BlockBackend *blk);
const char *block_file(const BlockBackend *blk);
/* One device may use a back end. False: taken already. */
bool block_claim(BlockBackend *blk, const char *user, GError **error);
void block_release(BlockBackend *blk);

typedef enum BlockOp {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,
    BLOCK_DISCARD,
    BLOCK_WRITE_ZEROES
} BlockOp;

/* A request, owned by the caller until done() was called. @iov must stay valid. Out of range: done(-EINVAL). */
typedef struct BlockRequest BlockRequest;
struct BlockRequest {
    BlockOp op;
    uint64_t offset, bytes; /* bytes = sum of iov for read and write */
    struct iovec *iov;
    int n_iov;
    bool
        not_at_hand; /* never done within block_submit() if there are threads, though the host has what is read in memory */
    void (*done)(BlockRequest *req, int error); /* 0 or -errno */
    void *opaque;
    /* block.c's while in flight */
    BlockBackend *blk;
    BlockRequest *next;
    int result;
};

void block_submit(BlockBackend *blk, BlockRequest *req);
/* Between these, requests may wait for each other, so that they cost less. They nest; the caller holds the lock all the time. */
void block_plug(void);
void block_unplug(void);
/* Waits until no request of @blk is in flight (reset, unrealize); those that wait to be tried again fail. Completions are called.
 * The caller holds the lock. */
void block_drain(BlockBackend *blk);
/* The same for all back ends, also of what is submitted when others' requests complete: the machine has none any more. */
void block_drain_all(void);
/* @f(opaque) is called, under the lock, after each group of completions of @blk: the place to tell the guest once for all of
 * them. NULL: nothing is called. */
void block_set_batch_end(BlockBackend *blk, void (*f)(void *opaque), void *opaque);
/* Synchronous access for loaders and flash at start. */
bool block_pread(BlockBackend *blk, uint64_t offset, void *buf, uint64_t len, GError **error);
bool block_pwrite(BlockBackend *blk, uint64_t offset, const void *buf, uint64_t len,
                  GError **error);

/* The bytes read as zeroes afterwards. */
bool block_pwrite_zeroes(BlockBackend *blk, uint64_t offset, uint64_t len, GError **error);

/* ---- Requests that the host failed ---- */

/* What stops the machine for BLOCK_ERROR_STOP: under the lock, any thread. @what: "read" or "write"; @err: errno. Without: as REPORT. */
void block_set_stop_handler(void (*f)(const BlockBackend *blk, const char *what, int err));
/* Whether requests wait to be tried again. */
bool block_has_held(const BlockBackend *blk);
/* Tries them again. The caller holds the lock. */
void block_retry_held(BlockBackend *blk);

/* ---- Snapshots inside an image whose format has them. No request is in flight (block_drain()). ---- */

typedef struct BlockSnapshot {
    char *id, *name;
    uint64_t state_size; /* of a machine's state that is kept with it; 0: none */
    uint64_t clock_ns;   /* the machine's, then */
    int64_t date;        /* s since 1970 */
} BlockSnapshot;

bool block_has_snapshots(const BlockBackend *blk);
/* A machine's state can be kept with them. */
bool block_has_states(const BlockBackend *blk);
/* In order; of BlockSnapshot, freed with the array. */
GPtrArray *block_snapshots(BlockBackend *blk);
/* Keeps the contents under @name, and the first @state_size bytes of the state; the new snapshot's id (to be freed), or NULL. */
char *block_snapshot_create(BlockBackend *blk, const char *name, uint64_t state_size,
                            uint64_t clock_ns, GError **error);
bool block_snapshot_exists(BlockBackend *blk, const char *id);
bool block_snapshot_apply(BlockBackend *blk, const char *id, GError **error);
bool block_snapshot_delete(BlockBackend *blk, const char *id, GError **error);

/* The state that the next block_snapshot_create() keeps: 0 or -errno. */
int block_state_write(BlockBackend *blk, uint64_t offset, const void *buf, uint64_t bytes);
int block_state_clear(BlockBackend *blk);

typedef struct BlockState BlockState;

/* The state in a snapshot, to be read while the disk stays as it is. */
BlockState *block_state_open(BlockBackend *blk, const char *id, GError **error);
uint64_t block_state_size(const BlockState *state);
int block_state_read(const BlockState *state, uint64_t offset, void *buf, uint64_t bytes);
void block_state_close(BlockState *state);

/* "info block": a line for each back end. */
void block_info(GString *out);

void block_set_lock(void (*lock)(void), void (*unlock)(void));
/* -icount: requests are carried out and completed inside block_submit(). Before the first request. */
void block_set_synchronous(bool on);

#endif
