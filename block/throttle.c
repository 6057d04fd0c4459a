/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits on what a back end does in a second (throttling.*). Requests of a limited back end pass through a queue of its own, in order; its
 * thread gives each to the engine when the limits let it. A limit is kept as the time until which it is used up; it may run ahead of the
 * clock by BURST_NS, so that a few requests after a pause do not wait.
 */
#include "block/block-priv.h"

enum { BURST_NS = 100 * 1000 * 1000 };
static const int64_t NS = 1000000000;

struct BlockThrottle {
    GMutex lock;
    GCond change; /* something was queued, or hurry changed */
    RequestList waiting;
    unsigned hurry; /* block_drain() waits: nobody else may */
    bool end;
    GThread *thread;
    uint64_t per_second[N_BLOCK_LIMITS]; /* 0: no limit */
    int64_t used_until[N_BLOCK_LIMITS];  /* ns */
};

static int64_t now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

/* What @req takes of limit @n; 0: it is not concerned. */
static uint64_t cost(const BlockRequest *req, BlockLimit n)
{
    bool write = req->op != BLOCK_READ;

    if (req->op == BLOCK_FLUSH) {
        return 0;
    }
    switch (n) {
    case BLOCK_BPS_TOTAL:
        return req->bytes;
    case BLOCK_BPS_READ:
        return write ? 0 : req->bytes;
    case BLOCK_BPS_WRITE:
        return write ? req->bytes : 0;
    case BLOCK_IOPS_TOTAL:
        return 1;
    case BLOCK_IOPS_READ:
        return !write;
    case BLOCK_IOPS_WRITE:
        return write;
    default:
        g_assert_not_reached();
    }
}

/* When @req may begin, ns. */
static int64_t start_of(const BlockThrottle *t, const BlockRequest *req)
{
    int64_t start = 0;

    for (unsigned n = 0; n < N_BLOCK_LIMITS; n++) {
        if (t->per_second[n] && cost(req, (BlockLimit)n)) {
            start = MAX(start, t->used_until[n] - BURST_NS);
        }
    }
    return start;
}

static void use(BlockThrottle *t, const BlockRequest *req)
{
    int64_t now = now_ns();

    for (unsigned n = 0; n < N_BLOCK_LIMITS; n++) {
        if (t->per_second[n]) {
            double ns = (double)cost(req, (BlockLimit)n) * (double)NS / (double)t->per_second[n];

            t->used_until[n] = MAX(t->used_until[n], now) + (int64_t)ns;
        }
    }
}

/* Waits until the first request may begin; takes it. NULL: the end. Lock held. */
static BlockRequest *next_request(BlockThrottle *t)
{
    for (;;) {
        BlockRequest *req = t->waiting.first;
        int64_t start = req && !t->hurry ? start_of(t, req) : 0;

        if (req && start <= now_ns()) {
            use(t, req);
            return list_take_first(&t->waiting);
        }
        if (req) {
            g_cond_wait_until(&t->change, &t->lock, start / 1000 + 1);
        } else if (t->end) {
            return NULL;
        } else {
            g_cond_wait(&t->change, &t->lock);
        }
    }
}

static gpointer pass_on(gpointer data)
{
    BlockThrottle *t = data;
    BlockRequest *req;

    g_mutex_lock(&t->lock);
    while ((req = next_request(t)) != NULL) {
        RequestList one = { 0 };

        g_mutex_unlock(&t->lock);
        list_append(&one, req);
        pool_submit(&one);
        g_mutex_lock(&t->lock);
    }
    g_mutex_unlock(&t->lock);
    return NULL;
}

BlockThrottle *throttle_new(const uint64_t per_second[N_BLOCK_LIMITS])
{
    BlockThrottle *t = NULL;

    for (unsigned n = 0; n < N_BLOCK_LIMITS; n++) {
        if (per_second[n]) {
            t = t ? t : g_new0(BlockThrottle, 1);
            t->per_second[n] = per_second[n];
        }
    }
    return t;
}

void throttle_free(BlockThrottle *t)
{
    if (!t) {
        return;
    }
    if (t->thread) {
        g_mutex_lock(&t->lock);
        t->end = true;
        g_cond_signal(&t->change);
        g_mutex_unlock(&t->lock);
        g_thread_join(t->thread);
    }
    g_free(t);
}

void throttle_submit(BlockThrottle *t, BlockRequest *req)
{
    g_mutex_lock(&t->lock);
    if (!t->thread) { /* not before: -daemonize has its fork behind it now */
        t->thread = g_thread_new("block-limits", pass_on, t);
    }
    list_append(&t->waiting, req);
    g_cond_signal(&t->change);
    g_mutex_unlock(&t->lock);
}

void throttle_hurry(BlockThrottle *t, bool hurry)
{
    g_mutex_lock(&t->lock);
    t->hurry += hurry ? 1 : -1u;
    g_cond_signal(&t->change);
    g_mutex_unlock(&t->lock);
}
