/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Back ends and their requests. A submitted request goes to a queue that a few worker threads empty; a finished one goes to a list that
 * whoever first gets the lock given to block_set_lock() empties, calling done() for each and then the batch handler of each back end
 * concerned. Workers that finish while one of them waits for the lock leave their requests to it.
 *
 * What needs no waiting never gets that far: errors, reads whose bytes the host has in memory, and everything in synchronous mode
 * are completed inside block_submit().
 */
#include "block/block-priv.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "util/size.h"

enum { MAX_WORKERS = 8 };

struct BlockBackend {
    char *id, *file, *user;
    int fd;
    BlockOverlay *overlay; /* NULL: no snapshot */
    bool readonly, cache_unsafe;
    uint64_t file_length, length;
    void (*batch_end)(void *opaque);
    void *batch_opaque;
    bool batch_open;    /* completions since the last batch_end; under the caller's lock */
    unsigned in_flight; /* under pool.lock */
};

typedef struct RequestList {
    BlockRequest *first, **end;
} RequestList;

static struct {
    GMutex lock;
    GCond work;     /* todo is not empty */
    GCond progress; /* a request was finished */
    RequestList todo, finished;
    unsigned workers, idle;
    unsigned queued; /* length of todo */
    bool completer;  /* a worker is about to empty `finished` */
} pool;

static GPtrArray *back_ends; /* of BlockBackend * */
static void (*lock_machine)(void), (*unlock_machine)(void);
static bool synchronous;

void block_set_lock(void (*lock)(void), void (*unlock)(void))
{
    lock_machine = lock;
    unlock_machine = unlock;
}

void block_set_synchronous(bool on)
{
    synchronous = on;
}

/* ---- Lists ---- */

static void list_append(RequestList *list, BlockRequest *req)
{
    req->next = NULL;
    if (!list->first) {
        list->end = &list->first;
    }
    *list->end = req;
    list->end = &req->next;
}

static BlockRequest *list_take_first(RequestList *list)
{
    BlockRequest *req = list->first;

    if (req) {
        list->first = req->next;
    }
    return req;
}

/* ---- Carrying out ---- */

static int read_bytes(BlockBackend *blk, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    return blk->overlay ? overlay_read(blk->overlay, offset, bytes, c)
                        : raw_read(blk->fd, offset, bytes, c);
}

static int write_bytes(BlockBackend *blk, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    return blk->overlay ? overlay_write(blk->overlay, offset, bytes, c)
                        : raw_write(blk->fd, offset, bytes, c);
}

static int carry_out(BlockBackend *blk, BlockRequest *req)
{
    IovCursor c = { req->iov, req->n_iov, 0 };

    switch (req->op) {
    case BLOCK_READ:
        return read_bytes(blk, req->offset, req->bytes, &c);
    case BLOCK_WRITE:
        return write_bytes(blk, req->offset, req->bytes, &c);
    case BLOCK_FLUSH:
        return blk->overlay || blk->cache_unsafe || blk->readonly ? 0 : raw_flush(blk->fd);
    case BLOCK_DISCARD:
        return blk->overlay ? 0 : raw_discard(blk->fd, req->offset, req->bytes);
    case BLOCK_WRITE_ZEROES:
        return blk->overlay ? overlay_write_zeroes(blk->overlay, req->offset, req->bytes)
                            : raw_write_zeroes(blk->fd, req->offset, req->bytes);
    }
    g_assert_not_reached();
}

static int check_range(const BlockBackend *blk, BlockOp op, uint64_t offset, uint64_t bytes)
{
    if (op == BLOCK_FLUSH) {
        return 0;
    }
    if (op != BLOCK_READ && blk->readonly) {
        return -EROFS;
    }
    return offset > blk->length || bytes > blk->length - offset ? -EINVAL : 0;
}

/* Carries @req out at once if that takes no waiting. */
static bool carry_out_at_hand(BlockBackend *blk, BlockRequest *req)
{
    int fd = blk->fd;

    req->result = check_range(blk, req->op, req->offset, req->bytes);
    if (req->result || !req->bytes) {
        return req->result || req->op != BLOCK_FLUSH;
    }
    if (blk->overlay && req->op == BLOCK_READ) {
        fd = overlay_file(blk->overlay, req->offset, req->bytes);
    }
    return req->op == BLOCK_READ &&
           raw_read_at_hand(fd, req->offset, req->bytes, req->iov, req->n_iov);
}

/* ---- Completion ---- */

static void end_batches(void)
{
    for (unsigned i = 0; i < back_ends->len; i++) {
        BlockBackend *blk = g_ptr_array_index(back_ends, i);

        if (blk->batch_open) {
            blk->batch_open = false;
            if (blk->batch_end) {
                blk->batch_end(blk->batch_opaque);
            }
        }
    }
}

static BlockRequest *take_finished(void)
{
    BlockRequest *list;

    g_mutex_lock(&pool.lock);
    list = pool.finished.first;
    pool.finished.first = NULL;
    for (BlockRequest *req = list; req; req = req->next) {
        req->blk->in_flight--;
    }
    g_mutex_unlock(&pool.lock);
    return list;
}

/* Calls done() of all finished requests. The caller holds the lock. */
static void complete_finished(void)
{
    BlockRequest *req;

    while ((req = take_finished())) {
        while (req) {
            BlockRequest *next = req->next;

            req->blk->batch_open = true;
            req->done(req, req->result); /* @req may be gone now */
            req = next;
        }
    }
    end_batches();
}

static void complete_from_worker(void)
{
    if (lock_machine) {
        lock_machine();
    }
    /* From here on others must care for what they finish: this thread may have looked already. */
    g_mutex_lock(&pool.lock);
    pool.completer = false;
    g_mutex_unlock(&pool.lock);
    complete_finished();
    if (unlock_machine) {
        unlock_machine();
    }
}

/* ---- Workers ---- */

static BlockRequest *wait_for_request(void)
{
    BlockRequest *req;

    g_mutex_lock(&pool.lock);
    pool.idle++;
    while (!(req = list_take_first(&pool.todo))) {
        g_cond_wait(&pool.work, &pool.lock);
    }
    pool.idle--;
    pool.queued--;
    g_mutex_unlock(&pool.lock);
    return req;
}

static gpointer work(gpointer data)
{
    for (;;) {
        BlockRequest *req = wait_for_request();
        bool complete;

        req->result = carry_out(req->blk, req);
        g_mutex_lock(&pool.lock);
        list_append(&pool.finished, req);
        complete = !pool.completer;
        pool.completer = true;
        g_cond_broadcast(&pool.progress);
        g_mutex_unlock(&pool.lock);
        if (complete) {
            complete_from_worker();
        }
    }
    return NULL;
}

/* False: there is no thread to do it and none can be had. */
static bool enqueue(BlockBackend *blk, BlockRequest *req)
{
    bool ok;

    g_mutex_lock(&pool.lock);
    if (pool.queued >= pool.idle && pool.workers < MAX_WORKERS) {
        GThread *thread = g_thread_try_new("block", work, NULL, NULL);

        if (thread) {
            g_thread_unref(thread);
            pool.workers++;
        }
    }
    ok = pool.workers > 0;
    if (ok) {
        blk->in_flight++;
        list_append(&pool.todo, req);
        pool.queued++;
        g_cond_signal(&pool.work);
    }
    g_mutex_unlock(&pool.lock);
    return ok;
}

void block_submit(BlockBackend *blk, BlockRequest *req)
{
    req->blk = blk;
    if (carry_out_at_hand(blk, req)) {
        req->done(req, req->result);
        return;
    }
    if (synchronous || !enqueue(blk, req)) {
        req->result = carry_out(blk, req);
        req->done(req, req->result);
    }
}

void block_drain(BlockBackend *blk)
{
    for (;;) {
        bool idle;

        complete_finished();
        g_mutex_lock(&pool.lock);
        while (blk->in_flight && !pool.finished.first) {
            g_cond_wait(&pool.progress, &pool.lock);
        }
        idle = !blk->in_flight;
        g_mutex_unlock(&pool.lock);
        if (idle) {
            return;
        }
    }
}

/* ---- Opening ---- */

static bool check_format(const BlockBackend *blk, const char *format, GError **error)
{
    const char *found = format ? NULL : raw_probe_format(blk->fd);

    if (found) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%s: is a %s image, a format that is not supported yet; format=raw uses its "
                    "bytes as they are",
                    blk->file, found);
        return false;
    }
    return true;
}

static bool open_file(BlockBackend *blk, const BlockOptions *options, GError **error)
{
    bool readonly = options->readonly || options->snapshot;

    blk->fd = raw_open(blk->file, readonly, &blk->file_length, error);
    if (blk->fd < 0 || !file_lock(blk->fd, blk->file, readonly, error) ||
        !check_format(blk, options->format, error)) {
        return false;
    }
    if (blk->file_length > INT64_MAX - BLOCK_SECTOR) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: is too large", blk->file);
        return false;
    }
    blk->length = (blk->file_length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    if (options->snapshot && !options->readonly) {
        blk->overlay = overlay_new(blk->fd, blk->length, error);
        if (!blk->overlay) {
            g_prefix_error(error, "%s: ", blk->file);
            return false;
        }
    }
    return true;
}

static void free_back_end(BlockBackend *blk)
{
    if (blk->overlay) {
        overlay_free(blk->overlay);
    }
    if (blk->fd >= 0) {
        close(blk->fd);
    }
    g_free(blk->id);
    g_free(blk->file);
    g_free(blk->user);
    g_free(blk);
}

BlockBackend *block_open(const BlockOptions *options, GError **error)
{
    BlockBackend *blk;

    if (options->format && strcmp(options->format, "raw") != 0) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%s: format=%s: not supported yet (only raw is)", options->file,
                    options->format);
        return NULL;
    }
    blk = g_new0(BlockBackend, 1);
    blk->id = g_strdup(options->id);
    blk->file = g_strdup(options->file);
    blk->readonly = options->readonly;
    blk->cache_unsafe = options->cache_unsafe;
    if (!open_file(blk, options, error)) {
        free_back_end(blk);
        return NULL;
    }
    if (!back_ends) {
        back_ends = g_ptr_array_new();
    }
    g_ptr_array_add(back_ends, blk);
    return blk;
}

BlockBackend *block_find(const char *id)
{
    for (unsigned i = 0; back_ends && i < back_ends->len; i++) {
        BlockBackend *blk = g_ptr_array_index(back_ends, i);

        if (!g_strcmp0(blk->id, id)) {
            return blk;
        }
    }
    return NULL;
}

void block_close_all(void)
{
    for (unsigned i = 0; back_ends && i < back_ends->len; i++) {
        BlockBackend *blk = g_ptr_array_index(back_ends, i);

        block_drain(blk);
        if (!blk->overlay && !blk->cache_unsafe && !blk->readonly) {
            raw_flush(blk->fd);
        }
    }
    while (back_ends && back_ends->len) {
        free_back_end(g_ptr_array_steal_index(back_ends, back_ends->len - 1));
    }
}

/* ---- About a back end ---- */

uint64_t block_length(const BlockBackend *blk)
{
    return blk->length;
}

uint64_t block_file_length(const BlockBackend *blk)
{
    return blk->file_length;
}

bool block_is_readonly(const BlockBackend *blk)
{
    return blk->readonly;
}

const char *block_file(const BlockBackend *blk)
{
    return blk->file;
}

bool block_claim(BlockBackend *blk, const char *user, GError **error)
{
    if (blk->user) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "drive '%s' is already used by %s", blk->id, blk->user);
        return false;
    }
    blk->user = g_strdup(user);
    return true;
}

void block_release(BlockBackend *blk)
{
    g_clear_pointer(&blk->user, g_free);
    blk->batch_end = NULL;
}

void block_set_batch_end(BlockBackend *blk, void (*f)(void *opaque), void *opaque)
{
    blk->batch_end = f;
    blk->batch_opaque = opaque;
}

/* ---- Synchronous access ---- */

static bool access_now(BlockBackend *blk, BlockOp op, uint64_t offset, void *buf, uint64_t len,
                       GError **error)
{
    struct iovec iov = { buf, len };
    BlockRequest req = { .op = op, .offset = offset, .bytes = len, .iov = &iov, .n_iov = 1 };
    int err = check_range(blk, op, offset, len);

    err = err ? err : carry_out(blk, &req);
    if (err) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-err), "%s: cannot %s: %s",
                    blk->file, op == BLOCK_READ ? "read" : "write", g_strerror(-err));
    }
    return err == 0;
}

bool block_pread(BlockBackend *blk, uint64_t offset, void *buf, uint64_t len, GError **error)
{
    return access_now(blk, BLOCK_READ, offset, buf, len, error);
}

bool block_pwrite(BlockBackend *blk, uint64_t offset, const void *buf, uint64_t len, GError **error)
{
    return access_now(blk, BLOCK_WRITE, offset, (void *)buf, len, error);
}

void block_info(GString *out)
{
    for (unsigned i = 0; back_ends && i < back_ends->len; i++) {
        const BlockBackend *blk = g_ptr_array_index(back_ends, i);
        g_autofree char *size = size_format(blk->length);

        g_string_append_printf(out, "%s: %s (raw%s%s), %s, used by %s\n", blk->id, blk->file,
                               blk->readonly ? ", read-only" : "", blk->overlay ? ", snapshot" : "",
                               size, blk->user ? blk->user : "nobody");
    }
}
