/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of requests. What an engine has finished goes to a list that whoever first gets the lock given to block_set_lock() empties,
 * calling done() for each and then the batch handler of each back end concerned. Threads that finish something while one of
 * them waits for the lock leave it to that one, so the device's lock is taken and its interrupt raised once for many requests.
 *
 * BlockBackend.in_flight is under finish.lock; everything else of a back end is under the caller's lock.
 */
#include "block/block-priv.h"

/* How often block_drain() sees to it that work goes on: the thread of the ring, and the worker behind which writes wait, may be waiting for the
 * lock that the caller of block_drain() has. */
enum { POLL_US = 1000 };

static struct {
    GMutex lock;
    GCond progress; /* a request was finished */
    RequestList done;
    unsigned waiting; /* block_drain() is, for progress, and completes what there is */
    bool completer;   /* a thread is about to empty `done` */
} finish;

static void (*lock_machine)(void), (*unlock_machine)(void);

void block_set_lock(void (*lock)(void), void (*unlock)(void))
{
    lock_machine = lock;
    unlock_machine = unlock;
}

/* ---- Lists ---- */

void list_append(RequestList *list, BlockRequest *req)
{
    req->next = NULL;
    if (!list->first) {
        list->end = &list->first;
    }
    *list->end = req;
    list->end = &req->next;
}

BlockRequest *list_take_first(RequestList *list)
{
    BlockRequest *req = list->first;

    if (req) {
        list->first = req->next;
    }
    return req;
}

/* ---- Completion ---- */

static BlockRequest *take_done(void)
{
    BlockRequest *list;

    g_mutex_lock(&finish.lock);
    list = finish.done.first;
    finish.done.first = NULL;
    for (BlockRequest *req = list; req; req = req->next) {
        req->blk->in_flight--;
    }
    g_mutex_unlock(&finish.lock);
    return list;
}

/* Calls done() of all finished requests. The caller holds the lock. */
static void complete(void)
{
    BlockRequest *req;

    while ((req = take_done())) {
        while (req) {
            BlockRequest *next = req->next;

            req->blk->batch_open = true;
            request_ended(req); /* @req may be gone now */
            req = next;
        }
    }
    block_end_batches();
}

static void complete_from_thread(void)
{
    if (lock_machine) {
        lock_machine();
    }
    /* From here on others must care for what they finish: this thread may have looked already. */
    g_mutex_lock(&finish.lock);
    finish.completer = false;
    g_mutex_unlock(&finish.lock);
    complete();
    if (unlock_machine) {
        unlock_machine();
    }
}

void requests_began(BlockBackend *blk, unsigned n)
{
    g_mutex_lock(&finish.lock);
    blk->in_flight += n;
    g_mutex_unlock(&finish.lock);
}

void requests_finished(RequestList *list)
{
    BlockRequest *req;
    bool mine;

    g_mutex_lock(&finish.lock);
    while ((req = list_take_first(list))) {
        list_append(&finish.done, req);
    }
    mine = !finish.completer && !finish.waiting;
    finish.completer |= mine;
    if (finish.waiting) {
        g_cond_broadcast(&finish.progress);
    }
    g_mutex_unlock(&finish.lock);
    if (mine) {
        complete_from_thread();
    }
}

/* Waits for a finished request or the end of all of @blk. False: that end was there. */
static bool wait_for_progress(BlockBackend *blk)
{
    bool more;

    g_mutex_lock(&finish.lock);
    finish.waiting++;
    while (blk->in_flight && !finish.done.first) {
        gint64 later = g_get_monotonic_time() + POLL_US;

        if (!g_cond_wait_until(&finish.progress, &finish.lock, later)) {
            g_mutex_unlock(&finish.lock);
            uring_poll();
            pool_help(blk);
            g_mutex_lock(&finish.lock);
        }
    }
    finish.waiting--;
    /* What others finished while they left completion to this thread is to be completed, too. */
    more = finish.done.first || blk->in_flight;
    g_mutex_unlock(&finish.lock);
    return more;
}

void block_drain(BlockBackend *blk)
{
    if (blk->throttle) {
        throttle_hurry(blk->throttle, true);
    }
    do {
        complete();
        held_give_up(blk);
        block_unplug_all(); /* also of what those that finished sent on, if this is within block_plug() */
    } while (wait_for_progress(blk));
    if (blk->throttle) {
        throttle_hurry(blk->throttle, false);
    }
}

static bool is_busy(BlockBackend *blk)
{
    bool busy;

    g_mutex_lock(&finish.lock);
    busy = blk->in_flight;
    g_mutex_unlock(&finish.lock);
    return busy || block_has_held(blk);
}

void block_drain_all(void)
{
    BlockBackend *blk;
    bool again;

    do {
        for (unsigned i = 0; (blk = block_nth(i)) != NULL; i++) {
            block_drain(blk);
        }
        again = false;
        for (unsigned i = 0; (blk = block_nth(i)) != NULL; i++) {
            again |= is_busy(blk);
        }
    } while (again);
}
