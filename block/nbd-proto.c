/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD's wire format: headers to and from bytes, errors, and a buffered socket.
 */
#include "block/nbd-proto.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "util/bytes.h"

enum { WINDOW = 64 };

/* ---- Numbers ---- */

uint8_t *nbd_put16(uint8_t *p, uint16_t value)
{
    bytes_put_be16(p, value);
    return p + sizeof(value);
}

uint8_t *nbd_put32(uint8_t *p, uint32_t value)
{
    bytes_put_be32(p, value);
    return p + sizeof(value);
}

uint8_t *nbd_put64(uint8_t *p, uint64_t value)
{
    bytes_put_be64(p, value);
    return p + sizeof(value);
}

const uint8_t *nbd_get16(const uint8_t *p, uint16_t *value)
{
    *value = bytes_get_be16(p);
    return p + sizeof(*value);
}

const uint8_t *nbd_get32(const uint8_t *p, uint32_t *value)
{
    *value = bytes_get_be32(p);
    return p + sizeof(*value);
}

const uint8_t *nbd_get64(const uint8_t *p, uint64_t *value)
{
    *value = bytes_get_be64(p);
    return p + sizeof(*value);
}

/* ---- Headers ---- */

void nbd_request_put(uint8_t out[NBD_REQUEST_BYTES], const NbdRequest *req)
{
    uint8_t *p = nbd_put32(out, NBD_REQUEST_MAGIC);

    p = nbd_put16(p, req->flags);
    p = nbd_put16(p, req->type);
    p = nbd_put64(p, req->cookie);
    p = nbd_put64(p, req->offset);
    nbd_put32(p, req->length);
}

bool nbd_request_get(const uint8_t in[NBD_REQUEST_BYTES], NbdRequest *req)
{
    uint32_t magic;
    const uint8_t *p = nbd_get32(in, &magic);

    p = nbd_get16(p, &req->flags);
    p = nbd_get16(p, &req->type);
    p = nbd_get64(p, &req->cookie);
    p = nbd_get64(p, &req->offset);
    nbd_get32(p, &req->length);
    return magic == NBD_REQUEST_MAGIC;
}

void nbd_simple_put(uint8_t out[NBD_SIMPLE_BYTES], uint64_t cookie, uint32_t error)
{
    uint8_t *p = nbd_put32(out, NBD_SIMPLE_REPLY_MAGIC);

    p = nbd_put32(p, error);
    nbd_put64(p, cookie);
}

void nbd_chunk_put(uint8_t out[NBD_CHUNK_BYTES], const NbdChunk *chunk)
{
    uint8_t *p = nbd_put32(out, NBD_STRUCTURED_REPLY_MAGIC);

    p = nbd_put16(p, chunk->flags);
    p = nbd_put16(p, chunk->type);
    p = nbd_put64(p, chunk->cookie);
    nbd_put32(p, chunk->length);
}

void nbd_chunk_get(const uint8_t in[NBD_CHUNK_BYTES], NbdChunk *chunk)
{
    const uint8_t *p = nbd_get16(in + 4, &chunk->flags);

    p = nbd_get16(p, &chunk->type);
    p = nbd_get64(p, &chunk->cookie);
    nbd_get32(p, &chunk->length);
}

void nbd_option_put(uint8_t out[NBD_OPTION_BYTES], uint32_t option, uint32_t length)
{
    uint8_t *p = nbd_put64(out, NBD_OPTION_MAGIC);

    p = nbd_put32(p, option);
    nbd_put32(p, length);
}

void nbd_option_reply_put(uint8_t out[NBD_OPTION_REPLY_BYTES], const NbdOptionReply *reply)
{
    uint8_t *p = nbd_put64(out, NBD_OPTION_REPLY_MAGIC);

    p = nbd_put32(p, reply->option);
    p = nbd_put32(p, reply->type);
    nbd_put32(p, reply->length);
}

bool nbd_option_reply_get(const uint8_t in[NBD_OPTION_REPLY_BYTES], NbdOptionReply *reply)
{
    uint64_t magic;
    const uint8_t *p = nbd_get64(in, &magic);

    p = nbd_get32(p, &reply->option);
    p = nbd_get32(p, &reply->type);
    nbd_get32(p, &reply->length);
    return magic == NBD_OPTION_REPLY_MAGIC;
}

/* ---- Errors ---- */

enum {
    WIRE_EPERM = 1,
    WIRE_EIO = 5,
    WIRE_ENOMEM = 12,
    WIRE_EINVAL = 22,
    WIRE_ENOSPC = 28,
    WIRE_EOVERFLOW = 75,
    WIRE_ENOTSUP = 95,
    WIRE_ESHUTDOWN = 108
};

uint32_t nbd_error_to_wire(int err)
{
    switch (-err) {
    case 0:
        return 0;
    case EPERM:
    case EROFS:
    case EACCES:
        return WIRE_EPERM;
    case ENOMEM:
        return WIRE_ENOMEM;
    case EINVAL:
        return WIRE_EINVAL;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return WIRE_ENOSPC;
    case EOVERFLOW:
        return WIRE_EOVERFLOW;
    case ENOTSUP:
        return WIRE_ENOTSUP;
    case ESHUTDOWN:
        return WIRE_ESHUTDOWN;
    default:
        return WIRE_EIO;
    }
}

int nbd_error_from_wire(uint32_t error)
{
    switch (error) {
    case 0:
        return 0;
    case WIRE_EPERM:
        return -EPERM;
    case WIRE_EIO:
    case WIRE_ESHUTDOWN:
        return -EIO;
    case WIRE_ENOMEM:
        return -ENOMEM;
    case WIRE_ENOSPC:
        return -ENOSPC;
    case WIRE_EOVERFLOW:
        return -EOVERFLOW;
    case WIRE_ENOTSUP:
        return -ENOTSUP;
    default:
        return -EINVAL;
    }
}

const char *nbd_option_error(uint32_t type)
{
    static const char *const texts[] = {
        [NBD_ERR_UNSUP] = "the server does not know the request",
        [NBD_ERR_POLICY] = "the server's policy forbids it",
        [NBD_ERR_INVALID] = "the server finds the request invalid",
        [NBD_ERR_PLATFORM] = "the server's platform cannot do it",
        [NBD_ERR_TLS_REQD] = "the server wants TLS, which is not supported",
        [NBD_ERR_UNKNOWN] = "there is no such export",
        [NBD_ERR_SHUTDOWN] = "the server is shutting down",
        [NBD_ERR_BLOCK_SIZE_REQD] = "the server wants its block size to be asked for",
        [NBD_ERR_TOO_BIG] = "the request is too big for the server",
    };
    uint32_t n = type & ~NBD_REP_ERROR;

    return n < G_N_ELEMENTS(texts) && texts[n] ? texts[n] : "the server refused";
}

/* ---- Sockets ---- */

NbdStream *nbd_stream_new(int fd)
{
    NbdStream *s = g_new(NbdStream, 1);

    s->fd = fd;
    s->deadline = 0;
    s->begin = s->end = 0;
    return s;
}

void nbd_stream_free(NbdStream *s)
{
    g_free(s);
}

/* Until @fd can be read or written. */
static int wait_for(int fd, short events, gint64 deadline)
{
    while (deadline) {
        gint64 left = deadline - g_get_monotonic_time();
        struct pollfd p = { .fd = fd, .events = events };
        int n;

        if (left <= 0) {
            return -ETIMEDOUT;
        }
        n = poll(&p, 1, (int)MIN(left / 1000 + 1, 60000));
        if (n > 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* At least one byte. */
static int receive(const NbdStream *s, struct iovec *iov, int n, uint64_t *got)
{
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)n };

    for (;;) {
        int err = wait_for(s->fd, POLLIN, s->deadline);
        ssize_t len = err ? 0 : recvmsg(s->fd, &msg, s->deadline ? MSG_DONTWAIT : 0);

        if (err || len == 0) {
            return err ? err : -ESHUTDOWN;
        }
        if (len > 0) {
            *got = (uint64_t)len;
            return 0;
        }
        if (errno != EINTR && errno != EAGAIN) {
            return -errno;
        }
    }
}

static int fill(NbdStream *s)
{
    struct iovec iov = { s->buf, sizeof(s->buf) };
    uint64_t got;
    int err = receive(s, &iov, 1, &got);

    s->begin = 0;
    s->end = err ? 0 : (unsigned)got;
    return err;
}

static uint64_t at_hand(const NbdStream *s, uint64_t bytes)
{
    return MIN(bytes, (uint64_t)(s->end - s->begin));
}

int nbd_stream_read(NbdStream *s, void *buf, uint64_t bytes)
{
    struct iovec iov = { buf, bytes };
    IovCursor c = { &iov, 1, 0 };

    return nbd_stream_read_iov(s, &c, bytes);
}

/* Past the buffer, which is empty. */
static int read_direct(NbdStream *s, IovCursor *c, uint64_t *bytes)
{
    struct iovec window[WINDOW];
    uint64_t len, got;
    int n = iov_window(c, window, WINDOW, *bytes, &len);
    int err = receive(s, window, n, &got);

    if (!err) {
        iov_advance(c, got);
        *bytes -= got;
    }
    return err;
}

int nbd_stream_read_iov(NbdStream *s, IovCursor *c, uint64_t bytes)
{
    int err = 0;

    while (bytes && !err) {
        uint64_t n = at_hand(s, bytes);

        if (n) {
            iov_copy_in(c, s->buf + s->begin, n);
            s->begin += (unsigned)n;
            bytes -= n;
        } else {
            err = bytes < sizeof(s->buf) ? fill(s) : read_direct(s, c, &bytes);
        }
    }
    return err;
}

int nbd_stream_skip(NbdStream *s, uint64_t bytes)
{
    int err = 0;

    while (bytes && !err) {
        uint64_t n = at_hand(s, bytes);

        s->begin += (unsigned)n;
        bytes -= n;
        if (bytes) {
            err = fill(s);
        }
    }
    return err;
}

bool nbd_stream_pending(const NbdStream *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLIN };

    return s->begin < s->end || poll(&p, 1, 0) > 0;
}

int nbd_stream_send(NbdStream *s, const void *buf, uint64_t bytes)
{
    return nbd_send(s->fd, s->deadline, buf, bytes, NULL, 0);
}

int nbd_send(int fd, gint64 deadline, const void *head, size_t n_head, const IovCursor *c,
             uint64_t bytes)
{
    IovCursor rest = c ? *c : (IovCursor){ NULL, 0, 0 };

    while (n_head || bytes) {
        struct iovec window[1 + WINDOW] = { { (void *)head, n_head } };
        uint64_t len = 0, put;
        int n = n_head ? 1 : 0;
        struct msghdr msg = { .msg_iov = window };
        int err = wait_for(fd, POLLOUT, deadline);
        ssize_t sent;

        if (err) {
            return err;
        }
        n += bytes ? iov_window(&rest, window + n, WINDOW, bytes, &len) : 0;
        msg.msg_iovlen = (size_t)n;
        sent = sendmsg(fd, &msg, MSG_NOSIGNAL | (deadline ? MSG_DONTWAIT : 0));
        if (sent < 0 && errno != EINTR && errno != EAGAIN) {
            return -errno;
        }
        put = sent > 0 ? (uint64_t)sent : 0;
        len = MIN(put, n_head);
        head = (const char *)head + len;
        n_head -= len;
        iov_advance(&rest, put - len);
        bytes -= put - len;
    }
    return 0;
}

void nbd_tune_socket(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}
