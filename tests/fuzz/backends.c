/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See backends.h. Disks are "d0" to "d3" and, read-only, "r0" to "r3"; networks "n0" to "n3"; character devices "c0" to "c3".
 */
#include "tests/fuzz/backends.h"
#include <errno.h>
#include <string.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "net/net.h"

enum { SECTOR = 512, MAX_HELD = 4 };

struct BlockBackend {
    char id[3];
    bool readonly, claimed, dirty, batch;
    uint8_t data[BACKENDS_DISK];
    void (*batch_end)(void *opaque);
    void *batch_opaque;
};

struct NetBackend {
    char id[3];
    const NetPortOps *port;
    void *opaque;
    uint32_t takes;
    bool down, wants_room;
    NetFrame *held[MAX_HELD];
    unsigned n_held;
};

struct Chardev {
    char id[3];
    const ChardevFrontend *frontend;
    void *opaque;
    bool closed;
};

static struct {
    BlockBackend disks[2][BACKENDS_N];
    NetBackend networks[BACKENDS_N];
    Chardev chardevs[BACKENDS_N];
    GQueue waiting; /* of BlockRequest */
    uint64_t pattern;
    unsigned n_failing, n_full;
    int error;
    volatile uint8_t sink;
    void (*meanwhile)(void);
} self;

static void nothing(void)
{
}

static bool parse_id(const char *id, char kind, unsigned *n)
{
    if (!id || id[0] != kind || id[1] < '0' || id[1] >= '0' + BACKENDS_N || id[2]) {
        return false;
    }
    *n = (unsigned)(id[1] - '0');
    return true;
}

void backends_set_meanwhile(void (*f)(void))
{
    self.meanwhile = f ? f : nothing;
}

static void touch(const void *data, size_t len)
{
    static uint8_t copy[64 << 10];

    for (size_t at = 0; at < len; at += sizeof(copy)) {
        memcpy(copy, (const uint8_t *)data + at, MIN(sizeof(copy), len - at));
        self.sink = copy[0];
    }
}

/* ---- Disks ---- */

BlockBackend *block_find(const char *id)
{
    bool readonly = id && id[0] == 'r';
    BlockBackend *blk;
    unsigned n;

    if (!parse_id(id, readonly ? 'r' : 'd', &n)) {
        return NULL;
    }
    blk = &self.disks[readonly][n];
    strcpy(blk->id, id);
    blk->readonly = readonly;
    return blk;
}

const char *block_id(const BlockBackend *blk)
{
    return blk->id;
}

const char *block_file(const BlockBackend *blk)
{
    return blk->id;
}

uint64_t block_length(const BlockBackend *blk)
{
    return BACKENDS_DISK;
}

uint64_t block_file_length(const BlockBackend *blk)
{
    return BACKENDS_DISK;
}

bool block_is_readonly(const BlockBackend *blk)
{
    return blk->readonly;
}

bool block_claim(BlockBackend *blk, const char *user, GError **error)
{
    g_assert(!blk->claimed);
    blk->claimed = true;
    return true;
}

void block_release(BlockBackend *blk)
{
    blk->claimed = false;
    blk->batch_end = NULL;
}

void block_set_batch_end(BlockBackend *blk, void (*f)(void *opaque), void *opaque)
{
    blk->batch_end = f;
    blk->batch_opaque = opaque;
}

void block_plug(void)
{
}

void block_unplug(void)
{
}

static int check_range(const BlockRequest *req)
{
    if (req->op == BLOCK_FLUSH) {
        return 0;
    }
    if (req->op != BLOCK_READ && req->blk->readonly) {
        return -EROFS;
    }
    return req->offset > BACKENDS_DISK || req->bytes > BACKENDS_DISK - req->offset ? -EINVAL : 0;
}

static void move(BlockRequest *req)
{
    uint8_t *at = req->blk->data + req->offset;
    uint64_t left = req->bytes;

    for (int i = 0; i < req->n_iov; i++) {
        size_t n = req->iov[i].iov_len;

        g_assert(n <= left);
        if (req->op == BLOCK_READ) {
            memcpy(req->iov[i].iov_base, at, n);
        } else {
            memcpy(at, req->iov[i].iov_base, n);
        }
        at += n;
        left -= n;
    }
    g_assert(!left);
}

static int carry_out(BlockRequest *req)
{
    int error = check_range(req);

    if (error) {
        return error;
    }
    if (self.n_failing) {
        self.n_failing--;
        return -self.error;
    }
    req->blk->dirty |= req->op != BLOCK_READ;
    if (req->op == BLOCK_READ || req->op == BLOCK_WRITE) {
        move(req);
    } else if (req->op == BLOCK_WRITE_ZEROES || req->op == BLOCK_DISCARD) {
        memset(req->blk->data + req->offset, 0, req->bytes);
    }
    return 0;
}

void block_submit(BlockBackend *blk, BlockRequest *req)
{
    bool waits = self.pattern & 1;

    self.meanwhile();
    self.pattern = self.pattern >> 1 | self.pattern << 63;
    req->blk = blk;
    if (waits) {
        g_queue_push_tail(&self.waiting, req);
    } else {
        req->done(req, carry_out(req));
    }
}

static void end_batches(void)
{
    for (unsigned i = 0; i < 2 * BACKENDS_N; i++) {
        BlockBackend *blk = &self.disks[i % 2][i / 2];

        if (blk->batch) {
            blk->batch = false;
            if (blk->batch_end) {
                blk->batch_end(blk->batch_opaque);
            }
        }
    }
}

static void complete(BlockRequest *req)
{
    req->blk->batch = true;
    req->done(req, carry_out(req)); /* @req may be gone now */
}

static BlockRequest *take_request_of(const BlockBackend *blk)
{
    for (GList *l = self.waiting.head; l; l = l->next) {
        BlockRequest *req = l->data;

        if (req->blk == blk) {
            g_queue_delete_link(&self.waiting, l);
            return req;
        }
    }
    return NULL;
}

void block_drain(BlockBackend *blk)
{
    BlockRequest *req;

    do {
        while ((req = take_request_of(blk))) {
            complete(req);
        }
        end_batches();
        req = self.waiting.head ? take_request_of(blk) : NULL;
        if (req) {
            complete(req);
        }
    } while (req);
}

static bool access_now(BlockBackend *blk, BlockOp op, uint64_t offset, void *buf, uint64_t len,
                       GError **error)
{
    struct iovec iov = { buf, len };
    BlockRequest req = {
        .op = op, .offset = offset, .bytes = len, .iov = &iov, .n_iov = 1, .blk = blk
    };
    int err = carry_out(&req);

    if (err) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "%s: %s", blk->id, g_strerror(-err));
    }
    return !err;
}

bool block_pread(BlockBackend *blk, uint64_t offset, void *buf, uint64_t len, GError **error)
{
    return access_now(blk, BLOCK_READ, offset, buf, len, error);
}

bool block_pwrite(BlockBackend *blk, uint64_t offset, const void *buf, uint64_t len, GError **error)
{
    return access_now(blk, BLOCK_WRITE, offset, (void *)buf, len, error);
}

void block_set_lock(void (*lock)(void), void (*unlock)(void))
{
}

static void reset_disk(BlockBackend *blk)
{
    if (blk->dirty || !blk->data[1]) {
        for (unsigned i = 0; i < BACKENDS_DISK; i++) {
            blk->data[i] = (uint8_t)(i / SECTOR + i);
        }
        blk->dirty = false;
    }
}

void backends_set_waiting(uint64_t pattern)
{
    self.pattern = pattern;
}

void backends_set_failing(unsigned n, int error)
{
    self.n_failing = n;
    self.error = error;
}

/* ---- Networks ---- */

NetBackend *net_find(const char *id)
{
    NetBackend *b;
    unsigned n;

    if (!parse_id(id, 'n', &n)) {
        return NULL;
    }
    b = &self.networks[n];
    strcpy(b->id, id);
    return b;
}

const char *net_id(const NetBackend *b)
{
    return b->id;
}

bool net_attach(NetBackend *b, const NetPortOps *ops, void *opaque, const char *name,
                const uint8_t *mac, GError **error)
{
    g_assert(!b->port);
    b->port = ops;
    b->opaque = opaque;
    return true;
}

static void drop_frames(NetBackend *b)
{
    while (b->n_held) {
        g_free(b->held[--b->n_held]);
    }
}

void net_detach(NetBackend *b, void *opaque)
{
    if (b->opaque == opaque) {
        b->port = NULL;
        b->opaque = NULL;
        drop_frames(b);
    }
}

void net_set_port_features(NetBackend *b, uint32_t takes)
{
    b->takes = takes;
}

bool net_send(NetBackend *b, const NetOffload *offload, const struct iovec *iov, int n)
{
    if (self.n_full) {
        self.n_full--;
        b->wants_room = true;
        return false;
    }
    touch(offload, sizeof(*offload));
    for (int i = 0; i < n; i++) {
        touch(iov[i].iov_base, iov[i].iov_len);
    }
    self.meanwhile();
    return true;
}

void net_flush(NetBackend *b)
{
}

static void offer(NetBackend *b)
{
    unsigned n = 0;

    while (n < b->n_held && b->port->receive(b->opaque, b->held[n])) {
        g_free(b->held[n++]);
    }
    b->n_held -= n;
    memmove(b->held, b->held + n, b->n_held * sizeof(*b->held));
    if (n && b->port->received) {
        b->port->received(b->opaque);
    }
}

void net_receive_again(NetBackend *b)
{
    offer(b);
}

bool net_link_is_up(const NetBackend *b)
{
    return !b->down;
}

void net_default_mac(uint8_t mac[NET_MAC_LEN])
{
    memcpy(mac, "\x52\x54\0\x12\x34\x56", NET_MAC_LEN);
}

bool net_parse_mac(const char *text, uint8_t mac[NET_MAC_LEN])
{
    net_default_mac(mac);
    return true;
}

void net_set_lock(void (*lock)(void), void (*unlock)(void))
{
}

/* As net/offload.c leaves frames for a port with these features. */
static NetOffload make_offload(uint32_t takes, uint32_t len, uint64_t bits)
{
    static const uint8_t kinds[] = { NET_GSO_NONE, NET_GSO_TCP4, NET_GSO_TCP6, NET_GSO_UDP };
    static const uint32_t needs[] = { 0, NET_TAKES_TSO4, NET_TAKES_TSO6, NET_TAKES_UFO };
    NetOffload o = { 0 };
    unsigned kind = bits >> 8 & 3;

    if (!(takes & NET_TAKES_CSUM) || len < 64) {
        return o;
    }
    o.flags = bits & 3;
    if (o.flags & NET_NEEDS_CSUM) {
        o.csum_start = 34;
        o.csum_offset = 16;
    }
    if (kind && (o.flags & NET_NEEDS_CSUM) && (takes & needs[kind])) {
        o.gso = kinds[kind];
        o.gso_size = (uint16_t)(1 + (bits >> 16 & 0x7ff));
        o.hdr_len = 54;
    }
    return o;
}

void backends_receive(unsigned n, uint32_t len, uint64_t head, uint64_t offload)
{
    NetBackend *b = &self.networks[n % BACKENDS_N];
    NetFrame *f;

    len = NET_MIN_FRAME + len % (NET_MAX_FRAME - NET_MIN_FRAME + 1);
    if (!b->port || b->down || b->n_held == MAX_HELD) {
        return;
    }
    f = g_malloc0(sizeof(*f) + len); /* as long as it says: what reads on is seen */
    f->len = len;
    f->offload = make_offload(b->takes, len, offload);
    memcpy(f->data, &head, sizeof(head));
    f->data[12] = (uint8_t)(head >> 56);
    b->held[b->n_held++] = f;
    offer(b);
}

void backends_set_link(unsigned n, bool up)
{
    NetBackend *b = &self.networks[n % BACKENDS_N];

    b->down = !up;
    if (b->port && b->port->link_changed) {
        b->port->link_changed(b->opaque);
    }
}

void backends_set_full(unsigned n)
{
    self.n_full = n;
}

static void make_room(void)
{
    self.n_full = 0;
    for (unsigned i = 0; i < BACKENDS_N; i++) {
        NetBackend *b = &self.networks[i];

        if (b->wants_room && b->port && b->port->can_send) {
            b->wants_room = false;
            b->port->can_send(b->opaque);
        }
    }
}

void backends_complete(unsigned n, bool last)
{
    while (n-- && self.waiting.head) {
        complete(last ? g_queue_pop_tail(&self.waiting) : g_queue_pop_head(&self.waiting));
    }
    end_batches();
    make_room();
}

/* ---- Character devices ---- */

Chardev *chardev_find(const char *id)
{
    Chardev *chr;
    unsigned n;

    if (!parse_id(id, 'c', &n)) {
        return NULL;
    }
    chr = &self.chardevs[n];
    strcpy(chr->id, id);
    return chr;
}

static void set_open(Chardev *chr, bool open)
{
    chr->closed = !open;
    if (chr->frontend && chr->frontend->event) {
        chr->frontend->event(chr->opaque, open ? CHARDEV_OPENED : CHARDEV_CLOSED);
    }
}

bool chardev_attach(Chardev *chr, const ChardevFrontend *frontend, void *opaque, GError **error)
{
    g_assert(!chr->frontend);
    chr->frontend = frontend;
    chr->opaque = opaque;
    set_open(chr, true);
    return true;
}

void chardev_detach(Chardev *chr, void *opaque)
{
    chr->frontend = NULL;
}

size_t chardev_write(Chardev *chr, const void *buf, size_t len)
{
    touch(buf, len);
    self.meanwhile();
    return len;
}

bool chardev_has_room(Chardev *chr)
{
    if (self.n_full) {
        self.n_full--;
        return false;
    }
    return true;
}

void chardev_accept_input(Chardev *chr)
{
}

void chardev_set_lock(void (*lock)(void), void (*unlock)(void))
{
}

void backends_type(unsigned n, unsigned len, uint8_t c)
{
    const Chardev *chr = &self.chardevs[n % BACKENDS_N];
    g_autofree uint8_t *text = NULL;
    size_t room;

    if (!chr->frontend || !chr->frontend->read) {
        return;
    }
    room = chr->frontend->can_read ? chr->frontend->can_read(chr->opaque) : len;
    len = (unsigned)MIN(room, len);
    if (len) {
        text = g_malloc(len);
        memset(text, c, len);
        chr->frontend->read(chr->opaque, text, len);
    }
}

void backends_event(unsigned n, unsigned event)
{
    Chardev *chr = &self.chardevs[n % BACKENDS_N];

    event %= CHARDEV_UNFOCUS + 1;
    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        set_open(chr, event == CHARDEV_OPENED);
    } else if (chr->frontend && chr->frontend->event) {
        chr->frontend->event(chr->opaque, (ChardevEvent)event);
    }
}

/* ---- All ---- */

void backends_reset(void)
{
    g_assert(!self.waiting.head);
    self.pattern = 0;
    self.n_failing = self.n_full = 0;
    for (unsigned i = 0; i < BACKENDS_N; i++) {
        NetBackend *b = &self.networks[i];

        reset_disk(&self.disks[0][i]);
        reset_disk(&self.disks[1][i]);
        drop_frames(b);
        b->wants_room = false;
        if (b->down) {
            backends_set_link(i, true);
        }
        if (self.chardevs[i].closed) {
            set_open(&self.chardevs[i], true);
        }
    }
}

void backends_check_unused(void)
{
    for (unsigned i = 0; i < BACKENDS_N; i++) {
        g_assert(!self.disks[0][i].claimed && !self.disks[1][i].claimed);
        g_assert(!self.networks[i].port && !self.networks[i].n_held);
        g_assert(!self.chardevs[i].frontend);
        self.networks[i].takes = 0;
    }
}
