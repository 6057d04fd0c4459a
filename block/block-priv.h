/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the files of the block back ends: requests and registry (block.c), the engines (pool.c, uring.c) and completion (finish.c),
 * file access (raw.c, file.c), the file's lock (lock.c) and the throw-away overlay (overlay.c).
 */
#ifndef BLOCK_BLOCK_PRIV_H
#define BLOCK_BLOCK_PRIV_H

#include "block/block.h"
#include "block/node.h"

typedef struct BlockOverlay BlockOverlay;
typedef struct BlockThrottle BlockThrottle;

typedef struct RequestList {
    BlockRequest *first, **end;
} RequestList;

typedef enum BlockEngine { BLOCK_ENGINE_THREADS, BLOCK_ENGINE_URING, N_BLOCK_ENGINES } BlockEngine;

struct BlockBackend {
    char *id, *user;
    BlockNode *node;
    BlockOverlay *overlay;                              /* NULL: no snapshot */
    BlockThrottle *throttle;                            /* NULL: no limits */
    bool readonly, cache_unsafe, writethrough, discard; /* as in BlockOptions */
    BlockEngine engine;
    void (*batch_end)(void *opaque);
    void *batch_opaque;
    bool batch_open;    /* completions since the last batch_end; under the caller's lock */
    unsigned in_flight; /* finish.c's */
    BlockErrorAction on_error[2]; /* reading, anything else */
    RequestList held;             /* held.c's: failed, to be tried again */
    RequestList writes;           /* pool.c's: behind those of the worker that writes */
    bool writing;                 /* there is such a worker */
};

/* ---- block.c ---- */

/* 0 or -errno. Any thread. */
int block_carry_out(BlockRequest *req);
/* The host's file, and where in it, that @req (a read or write) is all about; false: there is more to it. Does not wait. */
bool block_find_file(const BlockRequest *req, int *fd, uint64_t *offset);
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
/* Sets the ring up, before the first request and with -daemonize's fork behind it: its thread would not be in the child, and the sandbox lets
 * nobody make one later. False: the host has no io_uring, or refuses it. */
bool uring_start(void);
/* The caller holds the lock. */
void uring_submit(RequestList *list);
/* Gives back what the ring has finished. Any thread. */
void uring_poll(void);

/* ---- throttle.c ---- */

/* NULL: there are no limits. */
BlockThrottle *throttle_new(const uint64_t per_second[N_BLOCK_LIMITS]);
/* Its requests have all been finished. NULL is allowed. */
void throttle_free(BlockThrottle *t);
/* Gives @req to the worker threads when the limits let it; it has begun (requests_began()). */
void throttle_submit(BlockThrottle *t, BlockRequest *req);
/* While it is on nothing waits. */
void throttle_hurry(BlockThrottle *t, bool hurry);

/* ---- held.c ---- */

/* Tells the owner of @req, whose result is set, unless it is kept to be tried again. */
void request_ended(BlockRequest *req);
/* What is kept fails. */
void held_give_up(BlockBackend *blk);

/* ---- finish.c ---- */

void list_append(RequestList *list, BlockRequest *req);
/* NULL: @list is empty. */
BlockRequest *list_take_first(RequestList *list);
/* To be called before an engine gets them: block_drain() waits for them. */
void requests_began(BlockBackend *blk, unsigned n);
/* Gives back all of @list, their results set. By an engine's thread, without locks. */
void requests_finished(RequestList *list);

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
/* @unmap: may leave a hole. */
int raw_write_zeroes(int fd, uint64_t offset, uint64_t bytes, bool unmap);
/* Space for what is a hole now; or zeroes written. */
int raw_allocate(int fd, uint64_t offset, uint64_t bytes);
int raw_fill_zeroes(int fd, uint64_t offset, uint64_t bytes);

/* ---- file.c ---- */

extern const BlockDriver block_file_driver;

/* ---- lock.c ---- */

/* Takes the file's lock, shared (@readonly) or exclusive, until @fd is closed. */
bool file_lock(int fd, const char *file, bool readonly, GError **error);

/* ---- overlay.c: copy on write over a file that stays as it is ---- */

BlockOverlay *overlay_new(BlockNode *base, GError **error);
void overlay_free(BlockOverlay *o);
/* As BlockDriver.direct. */
bool overlay_direct(BlockOverlay *o, uint64_t offset, uint64_t bytes, bool write, int *fd,
                    uint64_t *fd_offset);
int overlay_read(BlockOverlay *o, uint64_t offset, uint64_t bytes, IovCursor *c);
int overlay_write(BlockOverlay *o, uint64_t offset, uint64_t bytes, IovCursor *c);
int overlay_write_zeroes(BlockOverlay *o, uint64_t offset, uint64_t bytes);

#endif
