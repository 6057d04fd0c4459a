/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replies to requests, simple and structured. Small ones of a thread that has more requests at hand wait in its NbdReplies and
 * leave together.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "nbd/nbd-priv.h"

enum { MAX_DESCRIPTORS = 8192, SMALL = 8192 };

/* @head and @buf in one piece; what waits goes first. */
static bool transmit(NbdReplies *r, const void *head, size_t n_head, const void *buf,
                     uint64_t bytes)
{
    struct iovec iov[2] = { { (void *)head, n_head }, { (void *)buf, bytes } };
    NbdSession *s = r->session;
    IovCursor c = { iov, 2, 0 };
    int fd = g_socket_get_fd(s->socket), err;

    g_mutex_lock(&s->sending);
    err = nbd_send(fd, 0, r->bytes, r->used, &c, n_head + bytes);
    g_mutex_unlock(&s->sending);
    r->used = 0;
    if (err) {
        shutdown(fd, SHUT_RDWR);
    }
    return !err;
}

bool replies_flush(NbdReplies *r)
{
    return !r->used || transmit(r, NULL, 0, NULL, 0);
}

static bool put(NbdReplies *r, const void *head, size_t n_head, const void *buf, uint64_t bytes)
{
    if (bytes > SMALL || n_head + bytes > sizeof(r->bytes) - r->used) {
        return transmit(r, head, n_head, buf, bytes);
    }
    memcpy(r->bytes + r->used, head, n_head);
    if (bytes) {
        memcpy(r->bytes + r->used + n_head, buf, bytes);
    }
    r->used += n_head + bytes;
    return true;
}

static uint8_t *put_chunk(uint8_t *out, const NbdRequest *req, unsigned type, uint64_t length,
                          bool last)
{
    NbdChunk chunk = { .flags = last ? NBD_REPLY_FLAG_DONE : 0,
                       .type = (uint16_t)type,
                       .cookie = req->cookie,
                       .length = (uint32_t)length };

    nbd_chunk_put(out, &chunk);
    return out + NBD_CHUNK_BYTES;
}

/* Such requests are never answered by a simple reply if structured ones were agreed on. */
static bool is_structured(const NbdSession *s, const NbdRequest *req)
{
    return s->structured && (req->type == NBD_CMD_READ || req->type == NBD_CMD_BLOCK_STATUS);
}

bool reply_done(NbdReplies *r, const NbdRequest *req, int err)
{
    uint8_t head[NBD_CHUNK_BYTES + 6], *p;

    if (!is_structured(r->session, req)) {
        nbd_simple_put(head, req->cookie, nbd_error_to_wire(err));
        return put(r, head, NBD_SIMPLE_BYTES, NULL, 0);
    }
    p = put_chunk(head, req, err ? NBD_REPLY_ERROR : NBD_REPLY_NONE, err ? 6 : 0, true);
    if (err) {
        p = nbd_put16(nbd_put32(p, nbd_error_to_wire(err)), 0);
    }
    return put(r, head, (size_t)(p - head), NULL, 0);
}

bool reply_data(NbdReplies *r, const NbdRequest *req, uint64_t offset, const void *buf,
                uint64_t bytes, bool last)
{
    uint8_t head[NBD_CHUNK_BYTES + 8], *p;

    if (!r->session->structured) {
        nbd_simple_put(head, req->cookie, 0);
        return put(r, head, NBD_SIMPLE_BYTES, buf, bytes);
    }
    p = put_chunk(head, req, NBD_REPLY_OFFSET_DATA, 8 + bytes, last);
    p = nbd_put64(p, offset);
    return put(r, head, (size_t)(p - head), buf, bytes);
}

bool reply_hole(NbdReplies *r, const NbdRequest *req, uint64_t offset, uint64_t bytes, bool last)
{
    uint8_t head[NBD_CHUNK_BYTES + 12], *p;

    p = put_chunk(head, req, NBD_REPLY_OFFSET_HOLE, 12, last);
    p = nbd_put32(nbd_put64(p, offset), (uint32_t)bytes);
    return put(r, head, (size_t)(p - head), NULL, 0);
}

/* The first part is in @buf. Nothing else may be sent in between, so the caller has the lock. */
static int send_parts(NbdSession *s, const NbdRequest *req, void *buf)
{
    int fd = g_socket_get_fd(s->socket), err = 0;
    uint64_t done = 0;
    uint8_t head[NBD_SIMPLE_BYTES];

    nbd_simple_put(head, req->cookie, 0);
    while (done < req->length && !err) {
        struct iovec iov = { buf, MIN(req->length - done, (uint64_t)SESSION_BUFFER) };
        IovCursor c = { &iov, 1, 0 };

        err = done ? image_read(s->image, req->offset + done, buf, iov.iov_len) : 0;
        err = err ? err : nbd_send(fd, 0, head, done ? 0 : sizeof(head), &c, iov.iov_len);
        done += iov.iov_len;
    }
    return err;
}

bool reply_in_parts(NbdReplies *r, const NbdRequest *req, void *buf)
{
    NbdSession *s = r->session;
    int err = image_read(s->image, req->offset, buf, SESSION_BUFFER);

    if (err) {
        return reply_done(r, req, err);
    }
    if (!replies_flush(r)) {
        return false;
    }
    g_mutex_lock(&s->sending);
    err = send_parts(s, req, buf);
    g_mutex_unlock(&s->sending);
    if (err) { /* there is no other way to tell */
        shutdown(g_socket_get_fd(s->socket), SHUT_RDWR);
    }
    return !err;
}

/* ---- Block status ---- */

static void add_number(GByteArray *data, uint32_t value)
{
    uint8_t bytes[4];

    nbd_put32(bytes, value);
    g_byte_array_append(data, bytes, sizeof(bytes));
}

/* The descriptors of one context; those that are alike are one. */
static int collect(NbdImage *image, const NbdRequest *req, unsigned context, GByteArray *data)
{
    unsigned most = req->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : MAX_DESCRIPTORS, n = 0;
    uint64_t at = req->offset, end = at + req->length, bytes = 0;
    uint32_t state = 0;

    add_number(data, context);
    while (at < end) {
        NbdExtent extent;
        int err =
            context < CONTEXT_BITMAPS
                ? image_status(image, at, end - at, &extent)
                : image_dirty(image, g_ptr_array_index(image->bitmaps, context - CONTEXT_BITMAPS),
                              at, end - at, &extent);
        uint32_t now = context == CONTEXT_DEPTH ? extent.depth : extent.state;

        if (err) {
            return err;
        }
        if (bytes && now != state) {
            add_number(data, (uint32_t)bytes);
            add_number(data, state);
            bytes = 0;
            if (++n == most) {
                return 0;
            }
        }
        state = now;
        bytes += extent.bytes;
        at += extent.bytes;
    }
    add_number(data, (uint32_t)bytes);
    add_number(data, state);
    return 0;
}

bool reply_status(NbdReplies *r, const NbdRequest *req)
{
    const NbdSession *s = r->session;

    for (unsigned context = 0; context < MAX_CONTEXTS; context++) {
        bool wanted = s->contexts >> context & 1, last = s->contexts >> context == 1;
        g_autoptr(GByteArray) data = g_byte_array_new();
        uint8_t head[NBD_CHUNK_BYTES];
        int err;

        if (!wanted) {
            continue;
        }
        err = collect(s->image, req, context, data);
        if (err) {
            return reply_done(r, req, err);
        }
        put_chunk(head, req, NBD_REPLY_BLOCK_STATUS, data->len, last);
        if (!put(r, head, sizeof(head), data->data, data->len)) {
            return false;
        }
    }
    return true;
}
