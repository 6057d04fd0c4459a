/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Back ends and the beginning of their requests. What needs no waiting is completed inside block_submit(): errors, reads whose bytes the host
 * has in memory, flushes of what keeps nothing, and everything in synchronous mode. The rest goes to the back end's engine (uring.c or
 * pool.c), between block_plug() and block_unplug() all together at the end; finish.c is where they come back.
 */
#include "block/block-priv.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "util/size.h"

static GPtrArray *back_ends; /* of BlockBackend * */
static bool synchronous;

/* Requests on their way to an engine, under the caller's lock. */
static struct {
    unsigned depth;
    RequestList waiting[N_BLOCK_ENGINES];
} plug;

void block_set_synchronous(bool on)
{
    synchronous = on;
}

/* ---- Carrying out ---- */

static int read_bytes(BlockBackend *blk, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    return blk->overlay ? overlay_read(blk->overlay, offset, bytes, c)
                        : node_read(blk->node, offset, bytes, c);
}

static int write_bytes(BlockBackend *blk, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    return blk->overlay ? overlay_write(blk->overlay, offset, bytes, c)
                        : node_write(blk->node, offset, bytes, c);
}

static bool keeps_nothing(const BlockBackend *blk)
{
    return blk->overlay || blk->cache_unsafe || blk->readonly;
}

static int write_zeroes(BlockBackend *blk, uint64_t offset, uint64_t bytes)
{
    return blk->overlay ? overlay_write_zeroes(blk->overlay, offset, bytes)
                        : node_write_zeroes(blk->node, offset, bytes, blk->discard);
}

static int flush(BlockBackend *blk)
{
    return keeps_nothing(blk) ? 0 : node_flush(blk->node);
}

int block_carry_out(BlockRequest *req)
{
    BlockBackend *blk = req->blk;
    IovCursor c = { req->iov, req->n_iov, 0 };
    int err;

    switch (req->op) {
    case BLOCK_READ:
        return read_bytes(blk, req->offset, req->bytes, &c);
    case BLOCK_FLUSH:
        return flush(blk);
    case BLOCK_DISCARD:
        return blk->overlay || !blk->discard ? 0 : node_discard(blk->node, req->offset, req->bytes);
    case BLOCK_WRITE:
        err = write_bytes(blk, req->offset, req->bytes, &c);
        break;
    case BLOCK_WRITE_ZEROES:
        err = write_zeroes(blk, req->offset, req->bytes);
        break;
    default:
        g_assert_not_reached();
    }
    return err || !blk->writethrough ? err : flush(blk);
}

static int check_range(const BlockBackend *blk, BlockOp op, uint64_t offset, uint64_t bytes)
{
    if (op == BLOCK_FLUSH) {
        return 0;
    }
    if (op != BLOCK_READ && blk->readonly) {
        return -EROFS;
    }
    return offset > blk->node->length || bytes > blk->node->length - offset ? -EINVAL : 0;
}

bool block_find_file(const BlockRequest *req, int *fd, uint64_t *offset)
{
    BlockNode *node = req->blk->node;
    bool write = req->op == BLOCK_WRITE;

    if (write && req->blk->writethrough) {
        return false; /* a flush follows */
    }
    if (req->blk->overlay) {
        return overlay_direct(req->blk->overlay, req->offset, req->bytes, write, fd, offset);
    }
    return node->driver->direct &&
           node->driver->direct(node, req->offset, req->bytes, write, fd, offset);
}

/* Carries @req out at once if that takes no waiting. */
static bool carry_out_at_hand(BlockBackend *blk, BlockRequest *req)
{
    uint64_t offset;
    int fd;

    req->result = check_range(blk, req->op, req->offset, req->bytes);
    if (req->result || req->op == BLOCK_FLUSH || !req->bytes) {
        return req->result || req->op != BLOCK_FLUSH || keeps_nothing(blk);
    }
    return req->op == BLOCK_READ && !req->not_at_hand && block_find_file(req, &fd, &offset) &&
           raw_read_at_hand(fd, offset, req->bytes, req->iov, req->n_iov);
}

/* ---- Submission ---- */

void block_end_batches(void)
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

void block_unplug_all(void)
{
    if (plug.waiting[BLOCK_ENGINE_URING].first) {
        uring_submit(&plug.waiting[BLOCK_ENGINE_URING]);
    }
    if (plug.waiting[BLOCK_ENGINE_THREADS].first) {
        pool_submit(&plug.waiting[BLOCK_ENGINE_THREADS]);
    }
}

void block_plug(void)
{
    plug.depth++;
}

void block_unplug(void)
{
    g_assert(plug.depth);
    if (!--plug.depth) {
        block_unplug_all();
    }
}

void block_submit(BlockBackend *blk, BlockRequest *req)
{
    bool limited = blk->throttle && !synchronous && pool_start();

    req->blk = blk;
    if (limited && !check_range(blk, req->op, req->offset, req->bytes)) {
        requests_began(blk, 1);
        throttle_submit(blk->throttle, req);
        return;
    }
    if (carry_out_at_hand(blk, req)) {
        req->done(req, req->result);
        return;
    }
    if (synchronous || !pool_start()) {
        req->result = block_carry_out(req);
        request_ended(req);
        return;
    }
    requests_began(blk, 1);
    list_append(&plug.waiting[blk->engine], req);
    if (!plug.depth) {
        block_unplug_all();
    }
}

/* ---- Opening ---- */

static bool open_node(BlockBackend *blk, const BlockOptions *options, GError **error)
{
    NodeOptions node = {
        .file = options->file,
        .format = options->format,
        .dict = options->dict,
        .readonly = options->readonly || options->snapshot,
        .direct = options->cache_direct,
        .unsafe = options->cache_unsafe,
    };

    blk->node = node_open(&node, error);
    if (!blk->node) {
        return false;
    }
    if (options->snapshot && !options->readonly) {
        blk->overlay = overlay_new(blk->node, error);
        if (!blk->overlay) {
            g_prefix_error(error, "%s: ", blk->node->name);
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
    throttle_free(blk->throttle);
    node_close(blk->node);
    g_free(blk->id);
    g_free(blk->user);
    g_free(blk);
}

/* Threads unless the ring is asked for: for files in the host's cache the kernel hands writes to a thread of its own, which is one thread to
 * wake more than the pool has. The ring may be refused (by a sandbox, or an old kernel). */
static BlockEngine choose_engine(const BlockOptions *options)
{
    if (options->aio != BLOCK_AIO_URING) {
        return BLOCK_ENGINE_THREADS;
    }
    if (!uring_start()) {
        g_printerr("menura: %s: aio=io_uring: this host refuses it; using threads\n", options->id);
        return BLOCK_ENGINE_THREADS;
    }
    return BLOCK_ENGINE_URING;
}

BlockBackend *block_open(const BlockOptions *options, GError **error)
{
    BlockBackend *blk;

    blk = g_new0(BlockBackend, 1);
    blk->id = g_strdup(options->id);
    blk->readonly = options->readonly;
    blk->cache_unsafe = options->cache_unsafe;
    blk->writethrough = options->cache_writethrough;
    blk->discard = options->discard;
    blk->on_error[0] = options->on_read_error;
    blk->on_error[1] = options->on_write_error;
    blk->throttle = throttle_new(options->limits);
    blk->engine = choose_engine(options);
    if (!open_node(blk, options, error)) {
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

BlockBackend *block_nth(unsigned n)
{
    return back_ends && n < back_ends->len ? g_ptr_array_index(back_ends, n) : NULL;
}

bool block_uses_uring(void)
{
    for (unsigned i = 0; back_ends && i < back_ends->len; i++) {
        if (((BlockBackend *)g_ptr_array_index(back_ends, i))->engine == BLOCK_ENGINE_URING) {
            return true;
        }
    }
    return false;
}

const char *block_id(const BlockBackend *blk)
{
    return blk->id;
}

void block_close_all(void)
{
    for (unsigned i = 0; back_ends && i < back_ends->len; i++) {
        BlockBackend *blk = g_ptr_array_index(back_ends, i);

        block_drain(blk);
        if (!keeps_nothing(blk)) {
            node_flush(blk->node);
        }
    }
    while (back_ends && back_ends->len) {
        free_back_end(g_ptr_array_steal_index(back_ends, back_ends->len - 1));
    }
}

/* ---- About a back end ---- */

uint64_t block_length(const BlockBackend *blk)
{
    return blk->node->length;
}

uint64_t block_file_length(const BlockBackend *blk)
{
    return blk->node->exact_length ? blk->node->exact_length : blk->node->length;
}

bool block_is_readonly(const BlockBackend *blk)
{
    return blk->readonly;
}

const char *block_file(const BlockBackend *blk)
{
    return blk->node->name;
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
    BlockRequest req = {
        .op = op, .offset = offset, .bytes = len, .iov = &iov, .n_iov = 1, .blk = blk
    };
    int err = check_range(blk, op, offset, len);

    err = err ? err : block_carry_out(&req);
    if (err) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-err), "%s: cannot %s: %s",
                    blk->node->name, op == BLOCK_READ ? "read" : "write", g_strerror(-err));
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

bool block_pwrite_zeroes(BlockBackend *blk, uint64_t offset, uint64_t len, GError **error)
{
    return access_now(blk, BLOCK_WRITE_ZEROES, offset, NULL, len, error);
}

/* ---- Snapshots ---- */

bool block_has_snapshots(const BlockBackend *blk)
{
    return !blk->overlay && !blk->readonly && blk->node->driver->snapshot_create;
}

bool block_has_states(const BlockBackend *blk)
{
    return block_has_snapshots(blk) && blk->node->driver->vm_state_write;
}

static void snapshot_free(void *p)
{
    BlockSnapshot *s = p;

    g_free(s->id);
    g_free(s->name);
    g_free(s);
}

GPtrArray *block_snapshots(BlockBackend *blk)
{
    g_autoptr(GPtrArray) all = blk->node->driver->snapshots(blk->node);
    GPtrArray *out = g_ptr_array_new_with_free_func(snapshot_free);

    for (unsigned i = 0; i < all->len; i++) {
        const NodeSnapshot *s = g_ptr_array_index(all, i);
        BlockSnapshot *to = g_new(BlockSnapshot, 1);

        *to = (BlockSnapshot){ g_strdup(s->id), g_strdup(s->name), s->vm_state_size, s->vm_clock_ns,
                               (int64_t)s->date_sec };
        g_ptr_array_add(out, to);
    }
    return out;
}

/* The newest one of that name is the last. */
static char *newest_id(BlockBackend *blk, const char *name)
{
    g_autoptr(GPtrArray) all = block_snapshots(blk);
    char *id = NULL;

    for (unsigned i = 0; i < all->len; i++) {
        const BlockSnapshot *s = g_ptr_array_index(all, i);

        if (!strcmp(s->name, name)) {
            g_free(id);
            id = g_strdup(s->id);
        }
    }
    return id;
}

char *block_snapshot_create(BlockBackend *blk, const char *name, uint64_t state_size,
                            uint64_t clock_ns, GError **error)
{
    gint64 now = g_get_real_time();
    NodeSnapshot s = {
        .name = (char *)name,
        .vm_state_size = state_size,
        .vm_clock_ns = clock_ns,
        .date_sec = (uint64_t)(now / G_USEC_PER_SEC),
        .date_nsec = (uint32_t)(now % G_USEC_PER_SEC) * 1000,
        .icount = UINT64_MAX,
    };

    return blk->node->driver->snapshot_create(blk->node, &s, error) ? newest_id(blk, name) : NULL;
}

int block_state_write(BlockBackend *blk, uint64_t offset, const void *buf, uint64_t bytes)
{
    struct iovec iov = { (void *)buf, bytes };
    IovCursor c = { &iov, 1, 0 };

    return blk->node->driver->vm_state_write(blk->node, offset, bytes, &c);
}

int block_state_clear(BlockBackend *blk)
{
    return blk->node->driver->vm_state_clear(blk->node);
}

struct BlockState {
    BlockNode *node; /* the image once more, as it is in the snapshot */
    uint64_t size;
};

BlockState *block_state_open(BlockBackend *blk, const char *id, GError **error)
{
    NodeOptions options = { .file = blk->node->name,
                            .format = blk->node->driver->name,
                            .readonly = true,
                            .share = true,
                            .no_backing = true };
    g_autoptr(GPtrArray) all = block_snapshots(blk);
    BlockState *state = g_new0(BlockState, 1);
    int err = node_flush(blk->node);

    for (unsigned i = 0; i < all->len; i++) {
        const BlockSnapshot *s = g_ptr_array_index(all, i);

        state->size = !strcmp(s->id, id) ? s->state_size : state->size;
    }
    if (err) {
        node_fail_errno(blk->node, error, err, "cannot be written");
    } else {
        state->node = node_open(&options, error);
    }
    if (!state->node || !state->node->driver->snapshot_load(state->node, id, error)) {
        block_state_close(state);
        return NULL;
    }
    return state;
}

uint64_t block_state_size(const BlockState *state)
{
    return state->size;
}

int block_state_read(const BlockState *state, uint64_t offset, void *buf, uint64_t bytes)
{
    struct iovec iov = { buf, bytes };
    IovCursor c = { &iov, 1, 0 };

    return state->node->driver->vm_state_read(state->node, offset, bytes, &c);
}

void block_state_close(BlockState *state)
{
    node_close(state->node);
    g_free(state);
}

bool block_snapshot_exists(BlockBackend *blk, const char *id)
{
    g_autoptr(GPtrArray) all = block_snapshots(blk);

    for (unsigned i = 0; i < all->len; i++) {
        if (!strcmp(((const BlockSnapshot *)g_ptr_array_index(all, i))->id, id)) {
            return true;
        }
    }
    return false;
}

bool block_snapshot_apply(BlockBackend *blk, const char *id, GError **error)
{
    return blk->node->driver->snapshot_apply(blk->node, id, error);
}

bool block_snapshot_delete(BlockBackend *blk, const char *id, GError **error)
{
    return blk->node->driver->snapshot_delete(blk->node, id, error);
}

void block_info(GString *out)
{
    static const char *const names[] = {
        [BLOCK_ENGINE_THREADS] = "threads", [BLOCK_ENGINE_URING] = "io_uring"
    };

    for (unsigned i = 0; back_ends && i < back_ends->len; i++) {
        const BlockBackend *blk = g_ptr_array_index(back_ends, i);
        g_autofree char *size = size_format(blk->node->length);

        g_string_append_printf(out, "%s: %s (%s%s%s), %s, aio=%s, used by %s\n", blk->id,
                               blk->node->name, blk->node->driver->name,
                               blk->readonly ? ", read-only" : "", blk->overlay ? ", snapshot" : "",
                               size, names[blk->engine], blk->user ? blk->user : "nobody");
    }
}
