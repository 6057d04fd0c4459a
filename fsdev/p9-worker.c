/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread of a 9P server. One at a time carries out requests: the thread, or p9_worker_drain(), whose caller has the lock that the thread may be
 * waiting for. What is done is handed back by whoever comes first, too.
 *
 * A client that waits for each answer before it asks again pays for waking the thread each time; while requests come that fast the thread looks
 * out for the next for a while before it sleeps, and lets every other thread that can run go first.
 */
#include "fsdev/p9-priv.h"

#include "util/bytes.h"

enum { LOOK_US = 200, BRISK = 3, GROUP = 8 };
enum { TREADDIR = 40, TFSYNC = 50, TFLUSH = 108, TREAD = 116, TWRITE = 118, FLUSH_SIZE = 9 };

typedef struct List {
    P9Request *first, **end;
} List;

struct P9Worker {
    P9Server *server;
    void (*done)(P9Request *list, void *opaque);
    void *opaque;
    GMutex lock;
    GCond work;       /* for the thread */
    GCond progress;   /* for p9_worker_drain() */
    List todo, ready; /* ready: to be handed back */
    unsigned n_todo;  /* atomic */
    unsigned n_ready, in_flight;
    bool busy;      /* somebody carries a request out */
    bool sleeping;  /* the thread is */
    bool stop;      /* the thread is to free all this */
    unsigned brisk; /* the last so many requests came within LOOK_US after the thread was idle */
    gint64 idle_since;
};

static void append(List *list, P9Request *r)
{
    r->next = NULL;
    if (!list->first) {
        list->end = &list->first;
    }
    *list->end = r;
    list->end = &r->next;
}

/* ---- Carrying out. The caller has the worker's lock. ---- */

static P9Request *take(P9Worker *w)
{
    P9Request *r = w->todo.first;

    w->todo.first = r->next;
    __atomic_fetch_sub(&w->n_todo, 1, __ATOMIC_RELAXED);
    return r;
}

static void carry_out_next(P9Worker *w)
{
    P9Request *r = take(w);

    w->busy = true;
    g_mutex_unlock(&w->lock);
    p9_server_handle(w->server, r);
    g_mutex_lock(&w->lock);
    w->busy = false;
    append(&w->ready, r);
    w->n_ready++;
    g_cond_broadcast(&w->progress);
}

/* Those that are ready are the caller's. */
static P9Request *take_ready(P9Worker *w)
{
    P9Request *list = w->ready.first;

    w->ready.first = NULL;
    w->in_flight -= w->n_ready;
    w->n_ready = 0;
    return list;
}

/* ---- The thread ---- */

static void hand_back(P9Worker *w)
{
    P9Request *list;

    g_mutex_unlock(&w->lock);
    if (fsdev_lock) {
        fsdev_lock();
    }
    g_mutex_lock(&w->lock);
    list = take_ready(w);
    g_mutex_unlock(&w->lock);
    if (list) {
        w->done(list, w->opaque);
    }
    if (fsdev_unlock) {
        fsdev_unlock();
    }
    g_mutex_lock(&w->lock);
}

static void look_out(P9Worker *w)
{
    gint64 end = w->idle_since + LOOK_US;

    g_mutex_unlock(&w->lock);
    while (!__atomic_load_n(&w->n_todo, __ATOMIC_RELAXED) && g_get_monotonic_time() < end) {
        g_thread_yield();
    }
    g_mutex_lock(&w->lock);
    if (!w->n_todo) {
        w->brisk = 0;
    }
}

static void wait_for_work(P9Worker *w)
{
    if (!w->n_todo) {
        w->idle_since = g_get_monotonic_time();
        if (w->brisk == BRISK) {
            look_out(w);
        }
    }
    w->sleeping = true;
    while (!w->stop && (!w->n_todo || w->busy)) {
        g_cond_wait(&w->work, &w->lock);
    }
    w->sleeping = false;
}

static gpointer work(gpointer data)
{
    P9Worker *w = data;

    g_mutex_lock(&w->lock);
    for (;;) {
        wait_for_work(w);
        if (w->stop) {
            break;
        }
        carry_out_next(w);
        if (!w->n_todo || w->busy || w->n_ready >= GROUP) {
            hand_back(w);
        }
    }
    g_mutex_unlock(&w->lock);
    g_mutex_clear(&w->lock);
    g_cond_clear(&w->work);
    g_cond_clear(&w->progress);
    g_free(w);
    return NULL;
}

/* ---- Its owner's side ---- */

P9Worker *p9_worker_new(P9Server *s, void (*done)(P9Request *list, void *opaque), void *opaque)
{
    P9Worker *w = g_new0(P9Worker, 1);

    w->server = s;
    w->done = done;
    w->opaque = opaque;
    g_mutex_init(&w->lock);
    g_cond_init(&w->work);
    g_cond_init(&w->progress);
    g_thread_unref(g_thread_new("9p", work, w));
    return w;
}

/* Not joined: it may wait for the lock that the caller has. */
void p9_worker_free(P9Worker *w)
{
    g_mutex_lock(&w->lock);
    g_assert(!w->in_flight);
    w->stop = true;
    g_cond_signal(&w->work);
    g_mutex_unlock(&w->lock);
}

/* What changes nothing about fids may be left undone: a client that has given up on it does not ask what became of it. */
static bool may_abort(uint8_t type)
{
    return type == TREADDIR || type == TFSYNC || type == TREAD || type == TWRITE;
}

/* What still waits and the Tflush in @message is about. */
static void abort_flushed(P9Worker *w, const uint8_t *message)
{
    uint16_t tag = bytes_get_le16(message + P9_HEADER);

    for (P9Request *i = w->todo.first; i; i = i->next) {
        i->aborted |= i->tag == tag && may_abort(i->type);
    }
}

void p9_worker_submit(P9Worker *w, P9Request *r)
{
    uint8_t message[FLUSH_SIZE] = { 0 };

    p9_iov_read(r->out, r->n_out, 0, message, sizeof(message));
    r->type = message[4];
    r->tag = bytes_get_le16(message + 5);
    r->aborted = false;
    g_mutex_lock(&w->lock);
    if (message[4] == TFLUSH) {
        abort_flushed(w, message);
    }
    if (!w->n_todo) {
        bool soon = g_get_monotonic_time() < w->idle_since + LOOK_US;

        w->brisk = soon ? MIN(w->brisk + 1, BRISK) : 0;
    }
    append(&w->todo, r);
    w->in_flight++;
    __atomic_fetch_add(&w->n_todo, 1, __ATOMIC_RELAXED);
    if (w->sleeping) {
        g_cond_signal(&w->work);
    }
    g_mutex_unlock(&w->lock);
    if (fsdev_synchronous) {
        p9_worker_drain(w);
    }
}

void p9_worker_drain(P9Worker *w)
{
    P9Request *list;

    g_mutex_lock(&w->lock);
    while (w->in_flight) {
        if (w->n_ready) {
            list = take_ready(w);
            g_mutex_unlock(&w->lock);
            w->done(list, w->opaque);
            g_mutex_lock(&w->lock);
        } else if (w->n_todo && !w->busy) {
            carry_out_next(w);
        } else {
            g_cond_wait(&w->progress, &w->lock);
        }
    }
    g_mutex_unlock(&w->lock);
}
