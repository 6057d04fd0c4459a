/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the files of the block back ends: requests and registry (block.c), the engines (pool.c, uring.c) and completion (finish.c),
 * file access (raw.c), the file's lock (lock.c) and the throw-away overlay (overlay.c).
 */
#ifndef BLOCK_BLOCK_PRIV_H
#define BLOCK_BLOCK_PRIV_H

#include "block/block.h"

enum { BLOCK_SECTOR = 512 };

typedef struct BlockOverlay BlockOverlay;

typedef struct RequestList {
    BlockRequest *first, **end;
} RequestList;

typedef enum BlockEngine { BLOCK_ENGINE_THREADS, BLOCK_ENGINE_URING, N_BLOCK_ENGINES } BlockEngine;

struct BlockBackend {
    char *id, *file, *user;
    int fd;
    BlockOverlay *overlay; /* NULL: no snapshot */
    bool readonly, cache_unsafe;
    BlockEngine engine;
    uint64_t file_length, length;
    void (*batch_end)(void *opaque);
    void *batch_opaque;
    bool batch_open;    /* completions since the last batch_end; under the caller's lock */
    unsigned in_flight; /* finish.c's */
    RequestList writes; /* pool.c's: behind those of the worker that writes */
    bool writing;       /* there is such a worker */
};

/* ---- block.c ---- */

/* 0 or -errno. Any thread. */
int block_carry_out(BlockRequest *req);
/* Gives engines what waits for block_unplug(); the caller holds the lock. */
void block_unplug_all(void);
/* Calls the batch handlers of back ends that had completions; the caller holds the lock. */
void block_end_batches(void);

/* ---- Engines: take all requests of @list; each ends in requests_finished() ---- */

/* False: there is no thread and none can be had; nothing may be submitted then, to neither engine. */
bool pool_start(void);
void pool_submit(RequestList *list);
/* Does a request that waits for a worker, if there is one; for block_drain(), which completes it. */
void pool_help(BlockBackend *blk);
/* False: the host has no io_uring, or refuses it. */
bool uring_is_there(void);
/* The caller holds the lock. */
void uring_submit(RequestList *list);
/* Gives back what the ring has finished. Any thread. */
void uring_poll(void);

/* ---- finish.c ---- */

void list_append(RequestList *list, BlockRequest *req);
/* NULL: @list is empty. */
BlockRequest *list_take_first(RequestList *list);
/* To be called before an engine gets them: block_drain() waits for them. */
void requests_began(BlockBackend *blk, unsigned n);
/* Gives back all of @list, their results set. By an engine's thread, without locks. */
void requests_finished(RequestList *list);

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

/* ---- raw.c: all return 0 or -errno ---- */

/* Opens @file and learns its size; directories and what else is no disk are refused. */
int raw_open(const char *file, bool readonly, uint64_t *length, GError **error);
/* What is behind the file's end reads as zeroes. Both move the cursor by @bytes. */
int raw_read(int fd, uint64_t offset, uint64_t bytes, IovCursor *c);
int raw_write(int fd, uint64_t offset, uint64_t bytes, IovCursor *c);
/* The whole read if it needs no waiting; false: nothing is known about the buffers. */
bool raw_read_at_hand(int fd, uint64_t offset, uint64_t bytes, const struct iovec *iov, int n_iov);
int raw_flush(int fd);
/* Only a hint: a file system that cannot does nothing. */
int raw_discard(int fd, uint64_t offset, uint64_t bytes);
int raw_write_zeroes(int fd, uint64_t offset, uint64_t bytes);
/* The name of another disk format that the file's first bytes belong to, or NULL. */
const char *raw_probe_format(int fd);

/* ---- lock.c ---- */

/* Takes the file's lock, shared (@readonly) or exclusive, until @fd is closed. */
bool file_lock(int fd, const char *file, bool readonly, GError **error);

/* ---- overlay.c: copy on write over a file that stays as it is ---- */

BlockOverlay *overlay_new(int base_fd, uint64_t length, GError **error);
void overlay_free(BlockOverlay *o);
/* The file that holds all of [@offset, @offset + @bytes); -1: both do. */
int overlay_file(const BlockOverlay *o, uint64_t offset, uint64_t bytes);
int overlay_read(BlockOverlay *o, uint64_t offset, uint64_t bytes, IovCursor *c);
int overlay_write(BlockOverlay *o, uint64_t offset, uint64_t bytes, IovCursor *c);
int overlay_write_zeroes(BlockOverlay *o, uint64_t offset, uint64_t bytes);

#endif
