/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One client: its threads, and its requests.
 *
 * The threads take turns reading: one reads a request, carries it out and sends the reply. If that may take a while it lets another one read
 * first; if not, it goes on itself, and so a client that has one request at a time, or many small ones whose bytes are in memory,
 * is served by one thread without waking others. A request's bytes are at most a thread's buffer: more are carried out in parts.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "nbd/nbd-priv.h"

enum {
    BUFFER_ALIGN = 4096,
    BUFFER_KEPT = 256 * 1024, /* the least a buffer is, as long as the thread lives */
    QUICK = 256 * 1024,       /* bytes that memory takes at once */
    HOLE = 32 * 1024,         /* zeroes that are worth a chunk of their own */
    DATA = 256 * 1024         /* the least to be read at a time */
};

typedef struct Worker {
    NbdSession *session;
    NbdReplies *replies;
    char *buf;
    size_t size;  /* of .buf */
    bool reading; /* it is its turn */
} Worker;

static gpointer work(gpointer data);

/* ---- Turns ---- */

/* The caller has the lock. False: there is none more. */
static bool add_worker(NbdSession *s)
{
    GThread *thread = g_thread_try_new("nbd", work, s, NULL);

    if (thread) {
        g_thread_unref(thread);
        s->workers++;
    }
    return thread != NULL;
}

/* Lets another one read. What waits to be sent goes now: it may take long until this thread comes back to it. */
static bool hand_over(Worker *w)
{
    NbdSession *s = w->session;

    if (!replies_flush(w->replies)) {
        return false;
    }
    if (w->reading) {
        g_mutex_lock(&s->lock);
        s->reading = w->reading = false;
        if (s->waiting) {
            g_cond_signal(&s->turn);
        } else if (s->workers < SESSION_WORKERS) {
            add_worker(s);
        }
        g_mutex_unlock(&s->lock);
    }
    return true;
}

/* False: the session is over. */
static bool take_turn(Worker *w)
{
    NbdSession *s = w->session;

    if (w->reading) {
        return true;
    }
    g_mutex_lock(&s->lock);
    s->waiting++;
    while (s->reading && !s->ended) {
        g_cond_wait(&s->turn, &s->lock);
    }
    s->waiting--;
    s->reading = w->reading = !s->ended;
    g_mutex_unlock(&s->lock);
    return w->reading;
}

static void end_session(Worker *w)
{
    NbdSession *s = w->session;

    g_mutex_lock(&s->lock);
    s->ended = true;
    g_cond_broadcast(&s->turn);
    g_mutex_unlock(&s->lock);
}

/* ---- Bytes ---- */

/* Reads; before that could wait, what waits to be sent goes. */
static bool receive(Worker *w, void *buf, uint64_t bytes)
{
    NbdStream *in = w->session->in;

    return (in->end - in->begin >= bytes || replies_flush(w->replies)) &&
           nbd_stream_read(in, buf, bytes) == 0;
}

static bool skip(Worker *w, uint64_t bytes)
{
    return replies_flush(w->replies) && nbd_stream_skip(w->session->in, bytes) == 0;
}

/* Room for @bytes, at most SESSION_BUFFER. */
static bool need_buffer(Worker *w, uint64_t bytes)
{
    size_t size = MIN(MAX(bytes, (uint64_t)BUFFER_KEPT), (uint64_t)SESSION_BUFFER);

    if (w->size >= bytes) {
        return true;
    }
    free(w->buf);
    w->size = 0;
    w->buf = aligned_alloc(BUFFER_ALIGN, (size + BUFFER_ALIGN - 1) / BUFFER_ALIGN * BUFFER_ALIGN);
    if (w->buf) {
        w->size = size;
    }
    return w->size >= bytes;
}

/* ---- Reading ---- */

/* What to send next of a read that is at @at: zeroes (true), or so many bytes. */
static bool next_part(Worker *w, uint64_t at, uint64_t end, uint64_t *bytes)
{
    NbdExtent extent;
    bool zero = false;

    *bytes = MIN(end - at, (uint64_t)SESSION_BUFFER);
    if (end - at >= HOLE && image_status(w->session->image, at, end - at, &extent) == 0) {
        zero = extent.state & NBD_STATE_ZERO && extent.bytes >= HOLE;
        *bytes = zero ? extent.bytes : MIN(*bytes, MAX(extent.bytes, (uint64_t)DATA));
    }
    return zero;
}

/* In chunks, without what is all zeroes. */
static bool read_chunks(Worker *w, const NbdRequest *req)
{
    uint64_t at = req->offset, end = at + req->length, bytes;

    while (at < end) {
        bool zero = next_part(w, at, end, &bytes), last = at + bytes == end;
        int err = zero ? 0 : image_read(w->session->image, at, w->buf, bytes);

        if (err) {
            return reply_done(w->replies, req, err);
        }
        if (!(zero ? reply_hole(w->replies, req, at, bytes, last)
                   : reply_data(w->replies, req, at, w->buf, bytes, last))) {
            return false;
        }
        at += bytes;
    }
    return true;
}

static bool read_whole(Worker *w, const NbdRequest *req)
{
    int err = image_read(w->session->image, req->offset, w->buf, req->length);

    return err ? reply_done(w->replies, req, err)
               : reply_data(w->replies, req, req->offset, w->buf, req->length, true);
}

static bool carry_out_read(Worker *w, const NbdRequest *req)
{
    bool whole = req->flags & NBD_CMD_FLAG_DF, large = req->length > SESSION_BUFFER;
    NbdSession *s = w->session;

    if (!req->length) {
        return reply_done(w->replies, req, 0);
    }
    if (whole && large) {
        return reply_done(w->replies, req, -EOVERFLOW);
    }
    if (!need_buffer(w, MIN(req->length, (uint64_t)SESSION_BUFFER))) {
        return reply_done(w->replies, req, -ENOMEM);
    }
    if (req->length <= QUICK && image_read_at_hand(s->image, req->offset, w->buf, req->length)) {
        return reply_data(w->replies, req, req->offset, w->buf, req->length, true);
    }
    if (!hand_over(w)) {
        return false;
    }
    if (!s->structured && large) {
        return reply_in_parts(w->replies, req, w->buf);
    }
    return s->structured && !whole ? read_chunks(w, req) : read_whole(w, req);
}

/* ---- Writing ---- */

/* Persistent, if the client wants that. */
static int forced(Worker *w, const NbdRequest *req, int err)
{
    return err || !(req->flags & NBD_CMD_FLAG_FUA) ? err : image_flush(w->session->image);
}

/* More than a buffer: no other request is read before the end of this one's bytes has come. */
static bool write_parts(Worker *w, const NbdRequest *req)
{
    uint64_t done = 0;
    int err = 0;

    while (done < req->length) {
        uint64_t bytes = MIN(req->length - done, (uint64_t)SESSION_BUFFER);

        if (!receive(w, w->buf, bytes)) {
            return false;
        }
        err = err ? err : image_write(w->session->image, req->offset + done, w->buf, bytes);
        done += bytes;
    }
    return hand_over(w) && reply_done(w->replies, req, forced(w, req, err));
}

static bool carry_out_write(Worker *w, const NbdRequest *req)
{
    NbdImage *image = w->session->image;
    bool quick = req->length <= QUICK && !(req->flags & NBD_CMD_FLAG_FUA) && !image->direct &&
                 !image->writethrough;

    if (!need_buffer(w, MIN(req->length, (uint64_t)SESSION_BUFFER))) {
        return skip(w, req->length) && reply_done(w->replies, req, -ENOMEM);
    }
    if (req->length > SESSION_BUFFER) {
        return write_parts(w, req);
    }
    if (!receive(w, w->buf, req->length) || (!quick && !hand_over(w))) {
        return false;
    }
    return reply_done(w->replies, req,
                      forced(w, req, image_write(image, req->offset, w->buf, req->length)));
}

/* ---- The others ---- */

static int zero(Worker *w, const NbdRequest *req)
{
    return image_zero(w->session->image, req->offset, req->length,
                      !(req->flags & NBD_CMD_FLAG_NO_HOLE), req->flags & NBD_CMD_FLAG_FAST_ZERO);
}

static int carry_out_other(Worker *w, const NbdRequest *req)
{
    NbdImage *image = w->session->image;

    switch (req->type) {
    case NBD_CMD_FLUSH:
        return image_flush(image);
    case NBD_CMD_TRIM:
        return forced(w, req, req->length ? image_trim(image, req->offset, req->length) : 0);
    case NBD_CMD_WRITE_ZEROES:
        return forced(w, req, req->length ? zero(w, req) : 0);
    default:
        image_will_need(image, req->offset, req->length);
        return 0;
    }
}

/* ---- Requests ---- */

static bool changes(const NbdRequest *req)
{
    return req->type == NBD_CMD_WRITE || req->type == NBD_CMD_WRITE_ZEROES ||
           req->type == NBD_CMD_TRIM;
}

static unsigned flags_for(const NbdSession *s, const NbdRequest *req)
{
    switch (req->type) {
    case NBD_CMD_READ:
        return NBD_CMD_FLAG_FUA | (s->structured ? NBD_CMD_FLAG_DF : 0);
    case NBD_CMD_WRITE_ZEROES:
        return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO;
    case NBD_CMD_BLOCK_STATUS:
        return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE;
    default:
        return NBD_CMD_FLAG_FUA;
    }
}

/* What is wrong with it: 0 or -errno. */
static int check(const NbdSession *s, const NbdRequest *req)
{
    bool no_end = req->type == NBD_CMD_WRITE || req->type == NBD_CMD_WRITE_ZEROES;
    uint64_t length = s->image->length;

    if (req->type > NBD_CMD_BLOCK_STATUS || req->flags & ~flags_for(s, req)) {
        return -EINVAL;
    }
    if (changes(req) && s->image->readonly) {
        return -EPERM;
    }
    if (req->type == NBD_CMD_FLUSH) {
        return 0;
    }
    if (req->offset > length || req->length > length - req->offset) {
        return no_end ? -ENOSPC : -EINVAL;
    }
    if (req->type == NBD_CMD_BLOCK_STATUS) {
        return req->length && s->contexts ? 0 : -EINVAL;
    }
    return req->type == NBD_CMD_READ && req->length > NBD_MAX_PAYLOAD ? -EINVAL : 0;
}

/* False: the connection is of no more use. */
static bool carry_out(Worker *w, const NbdRequest *req)
{
    int err = check(w->session, req);

    if (req->type == NBD_CMD_WRITE && req->length > NBD_MAX_PAYLOAD) {
        return false;
    }
    if (err) {
        return (req->type != NBD_CMD_WRITE || skip(w, req->length)) &&
               reply_done(w->replies, req, err);
    }
    switch (req->type) {
    case NBD_CMD_READ:
        return carry_out_read(w, req);
    case NBD_CMD_WRITE:
        return carry_out_write(w, req);
    case NBD_CMD_BLOCK_STATUS:
        return hand_over(w) && reply_status(w->replies, req);
    default:
        return hand_over(w) && reply_done(w->replies, req, carry_out_other(w, req));
    }
}

/* One request; false: the session is over. */
static bool serve(Worker *w)
{
    uint8_t head[NBD_REQUEST_BYTES];
    NbdRequest req;

    return receive(w, head, sizeof(head)) && nbd_request_get(head, &req) &&
           req.type != NBD_CMD_DISC && carry_out(w, &req);
}

/* ---- Threads ---- */

static bool negotiate(NbdSession *s)
{
    bool ok = handshake(s);

    g_mutex_lock(&s->lock);
    s->negotiated = ok;
    s->ended |= !ok;
    s->reading = false;
    g_mutex_unlock(&s->lock);
    return ok;
}

static void leave(NbdSession *s)
{
    bool last;

    g_mutex_lock(&s->lock);
    last = --s->workers == 0;
    g_mutex_unlock(&s->lock);
    if (last) {
        server_session_ended(s->server, s);
    }
}

static gpointer work(gpointer data)
{
    NbdSession *s = data;
    Worker w = { .session = s, .replies = g_new(NbdReplies, 1) };

    w.replies->session = s;
    w.replies->used = 0;
    if (s->negotiated || negotiate(s)) {
        while (take_turn(&w)) {
            if (!serve(&w)) {
                end_session(&w);
                break;
            }
            if (!w.reading && !replies_flush(w.replies)) {
                end_session(&w);
                break;
            }
        }
        replies_flush(w.replies);
    }
    free(w.buf);
    g_free(w.replies);
    leave(s);
    return NULL;
}

NbdSession *session_start(NbdServer *server, NbdImage *image, uint16_t flags, GSocket *socket)
{
    NbdSession *s = g_new0(NbdSession, 1);
    bool ok;

    s->server = server;
    s->image = image;
    s->flags = flags;
    s->socket = g_object_ref(socket);
    s->in = nbd_stream_new(g_socket_get_fd(socket));
    s->reading = true; /* the first thread does the handshake */
    g_mutex_init(&s->sending);
    g_mutex_init(&s->lock);
    g_cond_init(&s->turn);
    g_mutex_lock(&s->lock);
    ok = add_worker(s);
    g_mutex_unlock(&s->lock);
    if (!ok) {
        session_free(s);
        return NULL;
    }
    return s;
}

void session_free(NbdSession *s)
{
    nbd_stream_free(s->in);
    g_socket_close(s->socket, NULL);
    g_object_unref(s->socket);
    g_mutex_clear(&s->sending);
    g_mutex_clear(&s->lock);
    g_cond_clear(&s->turn);
    g_free(s);
}

void session_stop(NbdSession *s, bool now)
{
    shutdown(g_socket_get_fd(s->socket), now ? SHUT_RDWR : SHUT_RD);
}
