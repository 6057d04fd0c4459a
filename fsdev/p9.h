/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server of the 9P2000.L protocol for one client on one shared folder, and the thread that it works in.
 *
 * A request is a message in the client's memory and room for the answer there. The thread carries requests out in the order they come in (so what
 * a Tflush is about has been answered before it is; transfers that still wait then are answered with EINTR) and hands them back in groups, under
 * the lock of fsdev_set_lock(). Files' contents go between the host's file and the client's memory without a copy.
 */
#ifndef FSDEV_P9_H
#define FSDEV_P9_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "fsdev/fsdev.h"

/* Least bytes of a message, and room for an answer. */
enum { P9_HEADER = 7, P9_MIN_ROOM = 11 };
enum { P9_MIN_MSIZE = 4096, P9_MAX_MSIZE = 1 << 20 };

/* Owned by the caller, and left alone by it until it is handed back. */
typedef struct P9Request P9Request;
struct P9Request {
    const struct iovec *out, *in; /* the message; room for the answer */
    int n_out, n_in;              /* at most IOV_MAX each */
    uint64_t out_len, in_len;     /* bytes, at least P9_HEADER and P9_MIN_ROOM */
    uint32_t answered;            /* bytes of the answer */
    void *opaque;
    P9Request *next; /* of those handed back together */
    /* p9-worker.c's */
    uint8_t type;
    uint16_t tag;
    bool aborted;
};

/* ---- The server alone: one thread at a time ---- */

typedef struct P9Server P9Server;

P9Server *p9_server_new(const Fsdev *fs);
void p9_server_free(P9Server *s);
/* As before the first message. */
void p9_server_reset(P9Server *s);
/* Carries out and answers. */
void p9_server_handle(P9Server *s, P9Request *r);
/* Files and directories that the client knows: 0 when nothing is mounted. */
unsigned p9_server_count_fids(const P9Server *s);

/* ---- Its thread. All functions: the lock is held. ---- */

typedef struct P9Worker P9Worker;

/* @done(list, opaque) gets what is handed back, linked by next, the lock held. */
P9Worker *p9_worker_new(P9Server *s, void (*done)(P9Request *list, void *opaque), void *opaque);
/* Nothing is in flight (p9_worker_drain()). The server is the caller's again. */
void p9_worker_free(P9Worker *w);
void p9_worker_submit(P9Worker *w, P9Request *r);
/* Waits until all requests were handed back. */
void p9_worker_drain(P9Worker *w);

#endif
