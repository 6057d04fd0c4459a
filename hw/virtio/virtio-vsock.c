/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio socket device (virtio 1.2, section 5.10), stream sockets. A connection is one Unix socket of the host (net/vsock.h).
 *
 * What is to be said to the guest are bits of its connection, and data is read from the host's socket straight into the guest's buffers, so nothing
 * piles up when these are missing. What the guest sends and the host does not take waits in a buffer that the guest's credit is for. Answers about
 * connections that do not exist wait in a short list; when it is full, the guest's packets wait in their ring.
 *
 * A snapshot holds no connections: a guest that is taken back is told that all of them were reset (5.10.6.7).
 */
#include "hw/virtio/virtio-vsock.h"

#include <string.h>
#include "hw/virtio/virtio.h"
#include "net/vsock.h"
#include "softmmu/runstate.h"
#include "util/bytes.h"
#include "util/log.h"

enum { DEVICE_ID = 19, QUEUE_SIZE = 128, RX = 0, TX = 1, EVENT = 2, CONFIG_SIZE = 8 };
enum { MAX_CONNECTIONS = 256, OUT_SIZE = 256 << 10, MAX_PAYLOAD = 64 << 10, MAX_REPLIES = 64 };
enum { HOST_CID = 2, MIN_CID = 3, MAX_CID = 0xfffffffe, FIRST_HOST_PORT = 1 << 30 };
enum { F_STREAM = 0, TYPE_STREAM = 1, TRANSPORT_RESET = 0 };

enum {
    OP_REQUEST = 1,
    OP_RESPONSE,
    OP_RST,
    OP_SHUTDOWN,
    OP_RW,
    OP_CREDIT_UPDATE,
    OP_CREDIT_REQUEST
};
enum { SHUT_RECEIVE = 1, SHUT_SEND = 2, SHUT_BOTH = 3 };

/* struct virtio_vsock_hdr (5.10.6) */
enum {
    HDR_SRC_CID = 0,
    HDR_DST_CID = 8,
    HDR_SRC_PORT = 16,
    HDR_DST_PORT = 20,
    HDR_LEN = 24,
    HDR_TYPE = 28,
    HDR_OP = 30,
    HDR_FLAGS = 32,
    HDR_BUF_ALLOC = 36,
    HDR_FWD_CNT = 40,
    HDR_SIZE = 44,
};

typedef struct Packet {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
} Packet;

typedef struct HwVirtioVsock HwVirtioVsock;

typedef struct Connection {
    HwVirtioVsock *vsock;
    VsockStream *stream; /* NULL: closed; only a RST is left to say */
    uint32_t guest_port, host_port;
    uint8_t due;      /* bits of operations to say */
    bool established; /* both ends have accepted it */
    bool lingering;   /* the guest is through with it; what it sent is still on its way */
    bool readable;    /* the host's end may have something */
    bool asked;       /* the guest for credit, since there was none */
    uint8_t guest_shut, host_shut;

    /* From the guest: what the host has not taken yet, a ring of OUT_SIZE bytes (NULL: nothing). */
    uint8_t *out;
    uint32_t out_at, out_len;
    uint32_t fwd_cnt, told_fwd_cnt;

    /* To the guest. */
    uint32_t tx_cnt, peer_buf_alloc, peer_fwd_cnt;
} Connection;

struct HwVirtioVsock {
    HwVirtio parent;
    uint64_t guest_cid;
    char *path;
    VsockHost *host;
    GPtrArray *connections; /* of Connection *, owned */
    unsigned turn;          /* whose it is to send to the guest */
    Packet replies[MAX_REPLIES];
    unsigned n_replies;
    bool stalled;   /* packets of the guest wait for room in replies */
    bool event_due; /* the guest is to hear that all was reset */
    uint32_t next_port;
};

typedef struct HwVirtioVsockClass {
    HwVirtioClass parent;
} HwVirtioVsockClass;

G_DEFINE_TYPE(HwVirtioVsock, hw_virtio_vsock, HW_TYPE_VIRTIO)

/* ---- Packets ---- */

static bool read_header(const VirtqElement *e, Packet *p)
{
    uint8_t h[HDR_SIZE];

    if (virtq_iov_read(e->out, e->n_out, 0, h, HDR_SIZE) < HDR_SIZE) {
        return false;
    }
    *p = (Packet){ .src_cid = bytes_get_le64(h + HDR_SRC_CID),
                   .dst_cid = bytes_get_le64(h + HDR_DST_CID),
                   .src_port = bytes_get_le32(h + HDR_SRC_PORT),
                   .dst_port = bytes_get_le32(h + HDR_DST_PORT),
                   .len = bytes_get_le32(h + HDR_LEN),
                   .type = bytes_get_le16(h + HDR_TYPE),
                   .op = bytes_get_le16(h + HDR_OP),
                   .flags = bytes_get_le32(h + HDR_FLAGS),
                   .buf_alloc = bytes_get_le32(h + HDR_BUF_ALLOC),
                   .fwd_cnt = bytes_get_le32(h + HDR_FWD_CNT) };
    return true;
}

/* The payload, p->len bytes, is in its place already. */
static void push_packet(HwVirtioVsock *s, const VirtqElement *e, const Packet *p)
{
    uint8_t h[HDR_SIZE];

    bytes_put_le64(h + HDR_SRC_CID, p->src_cid);
    bytes_put_le64(h + HDR_DST_CID, p->dst_cid);
    bytes_put_le32(h + HDR_SRC_PORT, p->src_port);
    bytes_put_le32(h + HDR_DST_PORT, p->dst_port);
    bytes_put_le32(h + HDR_LEN, p->len);
    bytes_put_le16(h + HDR_TYPE, p->type);
    bytes_put_le16(h + HDR_OP, p->op);
    bytes_put_le32(h + HDR_FLAGS, p->flags);
    bytes_put_le32(h + HDR_BUF_ALLOC, p->buf_alloc);
    bytes_put_le32(h + HDR_FWD_CNT, p->fwd_cnt);
    virtq_iov_write(e->in, e->n_in, 0, h, HDR_SIZE);
    virtqueue_push(&s->parent.queues[RX], e, HDR_SIZE + (uint64_t)p->len);
}

/* To @p, which belongs to no connection. */
static void reply_reset(HwVirtioVsock *s, const Packet *p)
{
    if (p->op != OP_RST) {
        g_assert(s->n_replies < MAX_REPLIES);
        s->replies[s->n_replies++] = (Packet){ .src_cid = p->dst_cid,
                                               .dst_cid = p->src_cid,
                                               .src_port = p->dst_port,
                                               .dst_port = p->src_port,
                                               .type = p->type,
                                               .op = OP_RST };
    }
}

/* ---- Connections ---- */

static Connection *connection_new(HwVirtioVsock *s, VsockStream *stream, uint32_t guest_port,
                                  uint32_t host_port)
{
    Connection *c = g_new0(Connection, 1);

    c->vsock = s;
    c->stream = stream;
    c->guest_port = guest_port;
    c->host_port = host_port;
    vsock_set_user(stream, c);
    g_ptr_array_add(s->connections, c);
    return c;
}

static void close_stream(Connection *c)
{
    if (c->stream) {
        vsock_close(c->stream);
    }
    c->stream = NULL;
    c->out_len = 0;
    g_clear_pointer(&c->out, g_free);
}

static void connection_free(void *data)
{
    close_stream(data);
    g_free(data);
}

static void forget(Connection *c)
{
    g_ptr_array_remove_fast(c->vsock->connections, c);
}

/* It ends at once; the guest is told. */
static void reset(Connection *c)
{
    close_stream(c);
    c->due = 1 << OP_RST;
}

static Connection *find(const HwVirtioVsock *s, uint32_t guest_port, uint32_t host_port)
{
    for (unsigned i = 0; i < s->connections->len; i++) {
        Connection *c = g_ptr_array_index(s->connections, i);

        if (c->guest_port == guest_port && c->host_port == host_port && !c->lingering) {
            return c;
        }
    }
    return NULL;
}

/* Bytes that the guest has room for. */
static uint32_t credit(const Connection *c)
{
    uint32_t used = c->tx_cnt - c->peer_fwd_cnt;

    return used < c->peer_buf_alloc ? c->peer_buf_alloc - used : 0;
}

static void say(Connection *c, unsigned op)
{
    c->due |= (uint8_t)(1 << op);
}

/* ---- From the guest ---- */

/* What the guest does not do any more is passed on when all it sent was. */
static void apply_shut(Connection *c)
{
    if (c->out_len || !c->stream) {
        return;
    }
    if (c->lingering) {
        forget(c);
    } else if (c->guest_shut == SHUT_BOTH) {
        reset(c);
    } else {
        vsock_shut(c->stream, c->guest_shut & SHUT_RECEIVE, c->guest_shut & SHUT_SEND);
    }
}

static void shut_host(Connection *c, uint8_t flags)
{
    if (~c->host_shut & flags) {
        c->host_shut |= flags;
        say(c, OP_SHUTDOWN);
    }
}

static void count_forwarded(Connection *c, uint32_t n)
{
    c->fwd_cnt += n;
    if (c->fwd_cnt - c->told_fwd_cnt >= OUT_SIZE / 4) {
        say(c, OP_CREDIT_UPDATE);
    }
}

/* The host's end reads no more: what the guest sends is lost. */
static void host_is_gone(Connection *c)
{
    count_forwarded(c, c->out_len);
    c->out_len = 0;
    g_clear_pointer(&c->out, g_free);
    shut_host(c, SHUT_RECEIVE);
    apply_shut(c);
}

/* Writes what waits, as far as the host takes it. */
static void flush(Connection *c)
{
    while (c->out_len) {
        uint32_t first = MIN(c->out_len, OUT_SIZE - c->out_at);
        struct iovec iov[] = { { c->out + c->out_at, first }, { c->out, c->out_len - first } };
        ssize_t put = vsock_write(c->stream, iov, 2);

        if (put <= 0) {
            if (put < 0) {
                host_is_gone(c);
            }
            return;
        }
        c->out_at = (c->out_at + (uint32_t)put) % OUT_SIZE;
        c->out_len -= (uint32_t)put;
        count_forwarded(c, (uint32_t)put);
    }
    g_clear_pointer(&c->out, g_free);
    apply_shut(c);
}

/* Bytes @at to @at + @len of the chain wait for the host. There is room. */
static void keep(Connection *c, const VirtqElement *e, uint64_t at, uint32_t len)
{
    uint32_t end, first;

    if (!c->out) {
        c->out = g_malloc(OUT_SIZE);
        c->out_at = 0;
    }
    end = (c->out_at + c->out_len) % OUT_SIZE;
    first = MIN(len, OUT_SIZE - end);
    virtq_iov_read(e->out, e->n_out, at, c->out + end, first);
    virtq_iov_read(e->out, e->n_out, at + first, c->out, len - first);
    c->out_len += len;
}

/* Writes @len bytes of the chain behind its header, which goes off it; returns how many the host took, -1: it is gone. */
static ssize_t write_now(Connection *c, const VirtqElement *e, uint32_t len)
{
    struct iovec copy[VIRTQUEUE_MAX_SIZE], *iov = copy;
    int n = e->n_out;

    memcpy(copy, e->out, (size_t)n * sizeof(copy[0]));
    virtq_iov_trim_back(iov, &n, e->out_len - HDR_SIZE - len);
    virtq_iov_trim_front(&iov, &n, HDR_SIZE);
    return vsock_write(c->stream, iov, n);
}

static void take_data(Connection *c, const VirtqElement *e, const Packet *p)
{
    ssize_t put = 0;

    if (p->len > e->out_len - HDR_SIZE || p->len > OUT_SIZE - c->out_len ||
        (c->guest_shut & SHUT_SEND)) {
        log_guest_error("virtio-vsock-device: %u bytes for port %u that it may not send", p->len,
                        c->host_port);
        reset(c);
        return;
    }
    if (!c->out_len && p->len && !(c->host_shut & SHUT_RECEIVE)) {
        put = write_now(c, e, p->len);
    }
    if (put < 0 || (c->host_shut & SHUT_RECEIVE)) {
        count_forwarded(c, p->len);
        host_is_gone(c);
        return;
    }
    count_forwarded(c, (uint32_t)put);
    if (put < p->len) {
        keep(c, e, HDR_SIZE + (uint64_t)put, p->len - (uint32_t)put);
        flush(c);
    }
}

static void open_connection(HwVirtioVsock *s, const Packet *p)
{
    VsockStream *stream = NULL;
    Connection *c;

    if (s->connections->len < MAX_CONNECTIONS) {
        stream = vsock_open(s->host, p->dst_port);
    }
    if (!stream) {
        reply_reset(s, p);
        return;
    }
    c = connection_new(s, stream, p->src_port, p->dst_port);
    c->established = c->readable = true;
    c->peer_buf_alloc = p->buf_alloc;
    c->peer_fwd_cnt = p->fwd_cnt;
    say(c, OP_RESPONSE);
}

static void accept_connection(Connection *c)
{
    if (c->established) {
        reset(c);
        return;
    }
    c->established = c->readable = true;
    vsock_accept(c->stream, c->host_port);
}

/* What the guest sent before it went goes on to the host. */
static void end_connection(Connection *c)
{
    if (c->stream && c->out_len && (c->guest_shut & SHUT_SEND)) {
        c->lingering = true;
        c->due = 0;
    } else {
        forget(c);
    }
}

static void take_operation(Connection *c, const VirtqElement *e, const Packet *p)
{
    if (p->op == OP_RST) {
        end_connection(c);
        return;
    }
    if (!c->stream) {
        return;
    }
    c->peer_buf_alloc = p->buf_alloc;
    c->peer_fwd_cnt = p->fwd_cnt;
    c->asked &= !credit(c);
    if (p->op == OP_RESPONSE) {
        accept_connection(c);
    } else if (c->established && p->op == OP_SHUTDOWN) {
        c->guest_shut |= p->flags & SHUT_BOTH;
        apply_shut(c);
    } else if (c->established && p->op == OP_RW) {
        take_data(c, e, p);
    } else if (c->established && p->op == OP_CREDIT_REQUEST) {
        say(c, OP_CREDIT_UPDATE);
    } else if (!c->established || p->op != OP_CREDIT_UPDATE) {
        log_guest_error("virtio-vsock-device: operation %u for port %u out of place", p->op,
                        c->host_port);
        reset(c);
    }
}

static void take_packet(HwVirtioVsock *s, const VirtqElement *e)
{
    Connection *c;
    Packet p;

    if (!read_header(e, &p) || p.src_cid != s->guest_cid) {
        log_guest_error("virtio-vsock-device: a packet without a header, or from another guest");
        return;
    }
    if (p.type != TYPE_STREAM || p.dst_cid != HOST_CID) {
        reply_reset(s, &p);
        return;
    }
    c = find(s, p.src_port, p.dst_port);
    if (c) {
        take_operation(c, e, &p);
    } else if (p.op == OP_REQUEST) {
        open_connection(s, &p);
    } else {
        reply_reset(s, &p);
    }
}

/* True: there may be more. */
static bool receive(HwVirtioVsock *s)
{
    VirtQueue *q = &s->parent.queues[TX];
    bool more = true;

    s->stalled = false;
    for (unsigned i = 0; i < q->num && more && !s->stalled; i++) {
        g_autofree VirtqElement *e = NULL;

        s->stalled = s->n_replies == MAX_REPLIES;
        if (s->stalled) {
            break;
        }
        e = virtqueue_pop(q);
        if (e) {
            take_packet(s, e);
            virtqueue_push(q, e, 0);
        } else {
            more = virtqueue_arm(q);
        }
    }
    hw_virtio_publish(&s->parent, TX);
    return more && !s->stalled;
}

/* ---- To the guest ---- */

static bool wants_to_read(const Connection *c)
{
    return c->established && c->stream && c->readable && !(c->host_shut & SHUT_SEND) &&
           !(c->guest_shut & SHUT_RECEIVE);
}

/* There is something to send; that there is no credit for it may be it. */
static bool has_packet(Connection *c)
{
    if (wants_to_read(c) && !credit(c) && !c->asked) {
        c->asked = true;
        say(c, OP_CREDIT_REQUEST);
    }
    return !c->lingering && (c->due || (wants_to_read(c) && credit(c)));
}

static void push_operation(Connection *c, const VirtqElement *e, uint16_t op, uint32_t len)
{
    Packet p = { .src_cid = HOST_CID,
                 .dst_cid = c->vsock->guest_cid,
                 .src_port = c->host_port,
                 .dst_port = c->guest_port,
                 .len = len,
                 .type = TYPE_STREAM,
                 .op = op,
                 .flags = op == OP_SHUTDOWN ? c->host_shut : 0,
                 .buf_alloc = OUT_SIZE,
                 .fwd_cnt = c->fwd_cnt };

    push_packet(c->vsock, e, &p);
    c->told_fwd_cnt = c->fwd_cnt;
    c->due &= (uint8_t) ~(1 << op | 1 << OP_CREDIT_UPDATE);
}

/* Reads into the chain, behind its header: as vsock_read(). */
static ssize_t read_now(Connection *c, const VirtqElement *e)
{
    uint64_t room = e->in_len - HDR_SIZE, len = MIN(MIN(room, credit(c)), MAX_PAYLOAD);
    struct iovec copy[VIRTQUEUE_MAX_SIZE], *iov = copy;
    int n = e->n_in;

    memcpy(copy, e->in, (size_t)n * sizeof(copy[0]));
    virtq_iov_trim_back(iov, &n, room - len);
    virtq_iov_trim_front(&iov, &n, HDR_SIZE);
    return vsock_read(c->stream, iov, n);
}

/* False: there was nothing after all. */
static bool send_data(Connection *c, const VirtqElement *e)
{
    ssize_t got = read_now(c, e);

    c->readable = got > 0;
    if (got < 0) {
        return false;
    }
    if (got == 0) {
        shut_host(c, SHUT_SEND);
        push_operation(c, e, OP_SHUTDOWN, 0);
    } else {
        c->tx_cnt += (uint32_t)got;
        push_operation(c, e, OP_RW, (uint32_t)got);
    }
    return true;
}

/* One packet of a connection that has some. */
static bool send_packet(Connection *c, const VirtqElement *e)
{
    static const uint8_t before[] = { OP_REQUEST, OP_RESPONSE, OP_CREDIT_UPDATE,
                                      OP_CREDIT_REQUEST };

    if (c->due & 1 << OP_RST) {
        push_operation(c, e, OP_RST, 0);
        forget(c);
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(before); i++) {
        if (c->due & 1 << before[i]) {
            push_operation(c, e, before[i], 0);
            return true;
        }
    }
    if (wants_to_read(c) && credit(c) && send_data(c, e)) {
        return true;
    }
    if (c->due & 1 << OP_SHUTDOWN) {
        push_operation(c, e, OP_SHUTDOWN, 0);
        return true;
    }
    return false;
}

/* The next one that has a packet, in turn; NULL: none has. */
static Connection *next_sender(HwVirtioVsock *s)
{
    for (unsigned i = 0; i < s->connections->len; i++) {
        unsigned n = s->turn++ % s->connections->len;
        Connection *c = g_ptr_array_index(s->connections, n);

        if (has_packet(c)) {
            return c;
        }
    }
    return NULL;
}

/* One packet of any. False: there was none after all. */
static bool send_next(HwVirtioVsock *s, Connection *c, const VirtqElement *e)
{
    if (e->in_len <= HDR_SIZE) {
        hw_virtio_fail(&s->parent, "a buffer for packets is too small");
        return false;
    }
    if (s->n_replies) {
        push_packet(s, e, &s->replies[0]);
        memmove(s->replies, s->replies + 1, --s->n_replies * sizeof(s->replies[0]));
        return true;
    }
    return send_packet(c, e);
}

/* True: there is more, and room for it. */
static bool transmit(HwVirtioVsock *s)
{
    VirtQueue *q = &s->parent.queues[RX];
    bool more = true;

    for (unsigned i = 0; i < q->num && more; i++) {
        Connection *c = s->n_replies ? NULL : next_sender(s);
        g_autofree VirtqElement *e = NULL;

        if (!c && !s->n_replies) {
            more = false;
            break;
        }
        e = virtqueue_pop(q);
        if (!e) {
            more = virtqueue_arm(q);
        } else if (!send_next(s, c, e)) {
            virtqueue_unpop(q, e);
        }
    }
    hw_virtio_publish(&s->parent, RX);
    return more;
}

static void send_event(HwVirtioVsock *s)
{
    VirtQueue *q = &s->parent.queues[EVENT];
    uint8_t event[4];

    bytes_put_le32(event, TRANSPORT_RESET);
    while (s->event_due) {
        g_autofree VirtqElement *e = virtqueue_pop(q);

        if (e) {
            virtqueue_push(q, e, virtq_iov_write(e->in, e->n_in, 0, event, sizeof(event)));
            s->event_due = false;
        } else if (!virtqueue_arm(q)) {
            break;
        }
    }
    hw_virtio_publish(&s->parent, EVENT);
}

/* While the machine is stopped, so is the clock that goes on with this. */
static bool vsock_kick(HwVirtio *dev, unsigned n)
{
    HwVirtioVsock *s = (HwVirtioVsock *)dev;
    bool more = false;

    if (!vm_is_running()) {
        return true;
    }
    if (n == EVENT) {
        send_event(s);
        return false;
    }
    if (n == TX || s->stalled) {
        more = receive(s);
    }
    more |= transmit(s);
    return more || (s->stalled && s->n_replies < MAX_REPLIES);
}

/* ---- From the host ---- */

static uint32_t choose_port(HwVirtioVsock *s, uint32_t guest_port)
{
    do {
        s->next_port = MAX(s->next_port + 1, FIRST_HOST_PORT);
    } while (s->next_port == UINT32_MAX || find(s, guest_port, s->next_port));
    return s->next_port;
}

static void host_connects(void *opaque, VsockStream *stream, uint32_t port)
{
    HwVirtioVsock *s = opaque;

    if (!hw_virtio_is_running(&s->parent) || s->connections->len >= MAX_CONNECTIONS) {
        vsock_close(stream);
        return;
    }
    say(connection_new(s, stream, port, choose_port(s, port)), OP_REQUEST);
}

static void stream_is_ready(void *opaque, void *user, unsigned what)
{
    Connection *c = user;

    c->readable |= !!(what & (VSOCK_READABLE | VSOCK_GONE));
    if ((what & VSOCK_GONE) && !c->established) {
        reset(c);
    } else if (what & VSOCK_GONE) {
        host_is_gone(c);
    } else if (what & VSOCK_WRITABLE) {
        flush(c);
    }
}

static void streams_done(void *opaque)
{
    hw_virtio_kick(opaque, RX);
}

static const VsockOps host_ops = { .connect = host_connects,
                                   .ready = stream_is_ready,
                                   .done = streams_done };

/* ---- The device object ---- */

static void vsock_config_read(HwVirtio *dev, uint8_t *config)
{
    bytes_put_le64(config, ((HwVirtioVsock *)dev)->guest_cid);
}

static void drop_all(HwVirtioVsock *s)
{
    g_ptr_array_set_size(s->connections, 0);
    s->n_replies = 0;
    s->stalled = s->event_due = false;
}

static bool vsock_realize(HwDevice *object, GError **error)
{
    HwVirtioVsock *s = (HwVirtioVsock *)object;

    if (!s->path || !*s->path) {
        g_set_error(
            error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
            "virtio-vsock-device: path: missing; it names the Unix socket for connections to the "
            "guest (the host's vhost is not used)");
        return false;
    }
    s->host = vsock_new(s->path, &host_ops, s, error);
    if (!s->host) {
        g_prefix_error(error, "virtio-vsock-device: path: ");
        return false;
    }
    for (unsigned i = 0; i < 3; i++) {
        hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    }
    s->parent.offered |= 1u << F_STREAM;
    return true;
}

static void vsock_unrealize(HwDevice *object)
{
    HwVirtioVsock *s = (HwVirtioVsock *)object;

    drop_all(s);
    g_clear_pointer(&s->host, vsock_free);
}

static void vsock_reset(HwDevice *object)
{
    HwVirtioVsock *s = (HwVirtioVsock *)object;

    HW_DEVICE_CLASS(hw_virtio_vsock_parent_class)->reset(object);
    drop_all(s);
    s->turn = s->next_port = 0;
}

static bool vsock_post_load(HwDevice *object, GError **error)
{
    HwVirtioVsock *s = (HwVirtioVsock *)object;

    drop_all(s);
    s->event_due = true;
    return HW_DEVICE_CLASS(hw_virtio_vsock_parent_class)->post_load(object, error);
}

static const HwProp vsock_props[] = {
    { .name = "guest-cid",
      .type = HW_PROP_U64,
      .offset = offsetof(HwVirtioVsock, guest_cid),
      .def = MIN_CID,
      .min = MIN_CID,
      .max = MAX_CID,
      .desc = "the guest's address (context ID)" },
    HW_PROP(
        HwVirtioVsock, path, "path", HW_PROP_STRING, 0,
        "Unix socket: CONNECT PORT reaches the guest; the guest's port P of the host is at PATH_P"),
    { 0 },
};

static void hw_virtio_vsock_finalize(GObject *object)
{
    g_ptr_array_unref(((HwVirtioVsock *)object)->connections);
    G_OBJECT_CLASS(hw_virtio_vsock_parent_class)->finalize(object);
}

static void hw_virtio_vsock_init(HwVirtioVsock *s)
{
    s->connections = g_ptr_array_new_with_free_func(connection_free);
}

static void hw_virtio_vsock_class_init(HwVirtioVsockClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_virtio_vsock_finalize;
    dc->model = "virtio-vsock-device";
    dc->desc = "virtio sockets between programs of the guest and the host";
    dc->user_creatable = true;
    dc->realize = vsock_realize;
    dc->unrealize = vsock_unrealize;
    dc->reset = vsock_reset;
    dc->post_load = vsock_post_load;
    vc->device_id = DEVICE_ID;
    vc->config_size = CONFIG_SIZE;
    vc->config_read = vsock_config_read;
    vc->kick = vsock_kick;
    hw_virtio_class_bind_state(vc, NULL);
    hw_virtio_class_bind_props(vc, vsock_props);
}
