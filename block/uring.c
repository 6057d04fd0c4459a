/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine of io_uring (aio=io_uring): one ring for all back ends. Whoever submits puts requests into it under the caller's lock, any number
 * with one system call; a thread waits for what the kernel has finished.
 *
 * The ring gets reads, writes and flushes that are one operation on one file. All else, and reads and writes that it did not do whole (the odd
 * end of a file, an error), are done by the threads of pool.c, from the beginning, which gives the right result or the right error.
 * A flush that failed is not tried again: the kernel tells of a lost write only once.
 */
#define _GNU_SOURCE
#include "block/block-priv.h"

#ifdef HAVE_LIBURING

#include <errno.h>
#include <limits.h>
#include <liburing.h>

enum { SQ_ENTRIES = 256, CQ_ENTRIES = 4096, MAX_BYTES = 1 << 30, BUSY_US = 100 };

static struct {
    struct io_uring ring;
    bool tried, up;     /* up: before the thread and the first request */
    GMutex reaping;     /* of the completion queue's head */
    unsigned in_flight; /* atomic; never more than CQ_ENTRIES */
} uring;

/* ---- Finished ---- */

static bool is_done(BlockRequest *req, int res)
{
    req->result = 0;
    return res >= 0 && (uint64_t)res == req->bytes;
}

void uring_poll(void)
{
    RequestList done = { 0 }, again = { 0 };
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;

    if (!uring.up) {
        return;
    }
    g_mutex_lock(&uring.reaping);
    io_uring_for_each_cqe(&uring.ring, head, cqe)
    {
        BlockRequest *req = io_uring_cqe_get_data(cqe);

        list_append(is_done(req, cqe->res) ? &done : &again, req);
        n++;
    }
    io_uring_cq_advance(&uring.ring, n);
    g_mutex_unlock(&uring.reaping);
    __atomic_fetch_sub(&uring.in_flight, n, __ATOMIC_RELEASE);
    pool_submit(&again);
    if (done.first) {
        requests_finished(&done);
    }
}

/* Spurious ends of waiting (signals, or block_drain() was faster) do no harm. */
static gpointer reap(gpointer data)
{
    for (;;) {
        struct io_uring_cqe *cqe;

        io_uring_wait_cqe(&uring.ring, &cqe);
        uring_poll();
    }
    return NULL;
}

/* ---- Submission ---- */

static bool fits(const BlockRequest *req)
{
    return (req->op == BLOCK_READ || req->op == BLOCK_WRITE) && req->n_iov <= IOV_MAX &&
           req->bytes <= MAX_BYTES;
}

/* The kernel lacks memory for a moment if it does not take all. */
static void submit_all(void)
{
    while (io_uring_sq_ready(&uring.ring)) {
        if (io_uring_submit(&uring.ring) < 0) {
            g_usleep(BUSY_US);
        }
    }
}

static struct io_uring_sqe *next_entry(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring.ring);

    if (!sqe) {
        submit_all();
        sqe = io_uring_get_sqe(&uring.ring);
    }
    return sqe;
}

static void prepare(struct io_uring_sqe *sqe, BlockRequest *req, int fd, uint64_t offset)
{
    if (req->op == BLOCK_READ) {
        io_uring_prep_readv(sqe, fd, req->iov, (unsigned)req->n_iov, offset);
    } else {
        io_uring_prep_writev(sqe, fd, req->iov, (unsigned)req->n_iov, offset);
    }
    io_uring_sqe_set_data(sqe, req);
}

static bool enqueue(BlockRequest *req)
{
    struct io_uring_sqe *sqe;
    uint64_t offset;
    int fd;

    if (!fits(req) || !block_find_file(req, &fd, &offset) ||
        __atomic_load_n(&uring.in_flight, __ATOMIC_ACQUIRE) >= CQ_ENTRIES) {
        return false;
    }
    sqe = next_entry();
    if (sqe) {
        __atomic_fetch_add(&uring.in_flight, 1, __ATOMIC_RELAXED);
        prepare(sqe, req, fd, offset);
    }
    return sqe != NULL;
}

void uring_submit(RequestList *list)
{
    RequestList rest = { 0 };
    BlockRequest *req;

    while ((req = list_take_first(list))) {
        if (!enqueue(req)) {
            list_append(&rest, req);
        }
    }
    submit_all();
    if (rest.first) {
        pool_submit(&rest);
    }
}

/* Nothing that was finished may get lost when the completion queue is full (5.5). */
static bool open_ring(void)
{
    struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE, .cq_entries = CQ_ENTRIES };

    if (io_uring_queue_init_params(SQ_ENTRIES, &uring.ring, &params) < 0) {
        return false;
    }
    if (!(params.features & IORING_FEAT_NODROP)) {
        io_uring_queue_exit(&uring.ring);
        return false;
    }
    return true;
}

bool uring_start(void)
{
    GThread *thread;

    if (uring.tried) {
        return uring.up;
    }
    uring.tried = true;
    uring.up = open_ring();
    thread = uring.up ? g_thread_try_new("block-ring", reap, NULL, NULL) : NULL;
    if (thread) {
        g_thread_unref(thread);
    } else if (uring.up) {
        io_uring_queue_exit(&uring.ring);
        uring.up = false;
    }
    return uring.up;
}

#else

bool uring_start(void)
{
    return false;
}

void uring_submit(RequestList *list)
{
    pool_submit(list);
}

void uring_poll(void)
{
}

#endif
