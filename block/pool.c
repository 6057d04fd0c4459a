/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine of worker threads (aio=threads), which can do every kind of request; the other engine leaves to it what it cannot do.
 *
 * Reads and flushes are each a matter of one worker. Writes of one back end are done by one worker at a time, in order: the host's file
 * systems let only one thread write into a file's cached pages anyway, and threads that spin for a file's lock take the time
 * from the guest. Small writes are handed back several at a time.
 *
 * A guest that waits for each request before it makes the next pays for waking a worker each time, which is most of what a small
 * request costs on a host that is idle otherwise. While requests come that fast, one worker looks for the next for a while before
 * it sleeps; it lets every other thread that can run go first.
 */
#include "block/block-priv.h"

enum { MAX_WORKERS = 8, GROUP = 8, GROUP_BYTES = 128 * 1024 };
enum {
    LOOK_US = 200,
    BRISK = 3
}; /* how long a worker looks, and after how many requests that came as fast */

static struct {
    GMutex lock;
    GCond work; /* todo is not empty */
    RequestList todo;
    unsigned workers, idle;
    unsigned queued; /* length of todo; atomic */
    bool looking;    /* a worker is awake and waits for queued */
    unsigned
        brisk; /* the last so many requests came within LOOK_US after the one before was done */
    gint64 done_time; /* when a worker had nothing to do last, us */
} pool;

/* What a worker has finished and not handed back. */
typedef struct Group {
    RequestList list;
    unsigned n;
    uint64_t bytes;
} Group;

/* Looks out for a request for a while, without pool.lock, which the caller has. */
static void look_for_request(void)
{
    gint64 end = pool.done_time + LOOK_US;

    pool.looking = true;
    g_mutex_unlock(&pool.lock);
    while (!__atomic_load_n(&pool.queued, __ATOMIC_RELAXED) && g_get_monotonic_time() < end) {
        g_thread_yield();
    }
    g_mutex_lock(&pool.lock);
    pool.looking = false;
    if (!pool.queued) {
        pool.brisk = 0;
    }
}

static BlockRequest *wait_for_request(void)
{
    BlockRequest *req;

    g_mutex_lock(&pool.lock);
    if (!pool.queued) {
        pool.done_time = g_get_monotonic_time();
        if (pool.brisk == BRISK && !pool.looking) {
            look_for_request();
        }
    }
    pool.idle++;
    while (!(req = list_take_first(&pool.todo))) {
        g_cond_wait(&pool.work, &pool.lock);
    }
    pool.idle--;
    __atomic_fetch_sub(&pool.queued, 1, __ATOMIC_RELAXED);
    g_mutex_unlock(&pool.lock);
    return req;
}

/* The next write of @blk for the worker that does them, or NULL: it is none any more. */
static BlockRequest *next_write(BlockBackend *blk)
{
    BlockRequest *req;

    g_mutex_lock(&pool.lock);
    req = list_take_first(&blk->writes);
    blk->writing = req != NULL;
    g_mutex_unlock(&pool.lock);
    return req;
}

/* The next write of @blk is for whoever looks at todo next. @wake: the caller is not about to. */
static void hand_on(BlockBackend *blk, bool wake)
{
    BlockRequest *req;

    g_mutex_lock(&pool.lock);
    req = list_take_first(&blk->writes);
    blk->writing = req != NULL;
    if (req) {
        list_append(&pool.todo, req);
        __atomic_fetch_add(&pool.queued, 1, __ATOMIC_RELAXED);
        if (wake) {
            g_cond_signal(&pool.work);
        }
    }
    g_mutex_unlock(&pool.lock);
}

static void add_to_group(Group *group, BlockRequest *req)
{
    req->result = block_carry_out(req);
    list_append(&group->list, req);
    group->n++;
    group->bytes += req->bytes;
}

static bool is_full(const Group *group)
{
    return group->n >= GROUP || group->bytes >= GROUP_BYTES;
}

/* Writes of a back end, as many as are handed back together. While it does that it has taken no other, which pool_help() could not reach; and
 * afterwards the back end may be gone. */
static void do_writes(BlockRequest *req, bool is_worker)
{
    BlockBackend *blk = req->blk;
    Group group = { 0 };

    do {
        add_to_group(&group, req);
        req = is_full(&group) ? NULL : next_write(blk);
    } while (req);
    if (is_full(&group)) {
        hand_on(blk, !is_worker);
    }
    requests_finished(&group.list);
}

static void do_job(BlockRequest *req, bool is_worker)
{
    Group group = { 0 };

    if (req->op == BLOCK_WRITE) {
        do_writes(req, is_worker);
        return;
    }
    add_to_group(&group, req);
    requests_finished(&group.list);
}

static gpointer work(gpointer data)
{
    for (;;) {
        do_job(wait_for_request(), true);
    }
    return NULL;
}

/* The caller has pool.lock. */
static void add_worker(void)
{
    GThread *thread = g_thread_try_new("block", work, NULL, NULL);

    if (thread) {
        g_thread_unref(thread);
        pool.workers++;
    }
}

static void note_pace(void)
{
    bool soon = g_get_monotonic_time() < pool.done_time + LOOK_US;

    pool.brisk = soon ? MIN(pool.brisk + 1, BRISK) : 0;
}

static void enqueue(BlockRequest *req)
{
    if (req->op == BLOCK_WRITE && req->blk->writing) {
        list_append(&req->blk->writes, req);
        return;
    }
    req->blk->writing |= req->op == BLOCK_WRITE;
    list_append(&pool.todo, req);
    if (!__atomic_fetch_add(&pool.queued, 1, __ATOMIC_RELAXED)) {
        note_pace();
    }
    if (pool.queued <= pool.looking) {
        return;
    }
    if (pool.queued <= pool.looking + pool.idle) {
        g_cond_signal(&pool.work); /* a system call even if nobody waits */
    } else if (pool.workers < MAX_WORKERS) {
        add_worker();
    }
}

/* Not left to another worker: there may be none, and no memory for one. */
void pool_help(BlockBackend *blk)
{
    BlockRequest *req;

    g_mutex_lock(&pool.lock);
    req = list_take_first(&blk->writes);
    if (!req && (req = list_take_first(&pool.todo))) {
        __atomic_fetch_sub(&pool.queued, 1, __ATOMIC_RELAXED);
    }
    g_mutex_unlock(&pool.lock);
    if (req) {
        do_job(req, false);
    }
}

void pool_submit(RequestList *list)
{
    BlockRequest *req;

    g_mutex_lock(&pool.lock);
    while ((req = list_take_first(list))) {
        enqueue(req);
    }
    g_mutex_unlock(&pool.lock);
}

bool pool_start(void)
{
    bool ok;

    g_mutex_lock(&pool.lock);
    if (!pool.workers) {
        add_worker();
    }
    ok = pool.workers > 0;
    g_mutex_unlock(&pool.lock);
    return ok;
}
