/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol "nbd": the bytes of an export of an NBD server, over one connection.
 *
 * Any number of threads have requests on their way at once. Sending is one lock; there is no thread for the replies: of those who wait, one
 * reads them, into the buffers of whom they are for, until its own is there; then another goes on. So a request that is alone costs
 * no change of threads. Only the reader ends requests, so their buffers are no more written to when their owners are let go.
 *
 * When the connection breaks, or the server says what NBD does not allow, every request fails with -EIO at once, and all later ones.
 * Lengths that the server sends are checked against the request that they answer; nothing is allocated by them.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "block/block-priv.h"
#include "block/nbd-client.h"

enum {
    MAX_CALLS = 64,      /* a power of two */
    MAX_PIECES = 1024,   /* of one reply, not in order */
    BOUNCE = 1 << 20,    /* bytes that go through a buffer at a time */
    MAX_EFFECT = 1 << 30 /* of a request that carries no bytes */
};

typedef struct Piece {
    uint64_t begin, end;
} Piece;

/* A request on its way; on its thread's stack. */
typedef struct Call {
    NbdRequest req;
    IovCursor c;     /* of a read: where the bytes at .next go */
    IovCursor start; /* the same for its first byte */
    uint64_t next;   /* what is before this has come */
    GArray *pieces;  /* of Piece: what came out of order, sorted; NULL: none */
    bool has_extent; /* of a block status */
    uint32_t extent_bytes, extent_flags;
    int err;
    bool done, waiting; /* for .wake */
    GCond wake;
} Call;

typedef struct NbdNode {
    NbdLink *link;
    uint32_t min_block, max_payload;
    bool unsafe;
    GMutex edges; /* of those who change parts of blocks */
    GMutex sending;
    GMutex lock; /* of what follows */
    GCond free_slot;
    Call *calls[MAX_CALLS];
    uint64_t sequence;
    bool reading; /* somebody does */
    bool dead;
    const char *violation; /* what the server did, when a reply ends in -EPROTO; the reader's */
} NbdNode;

static const NbdExport *info_of(const BlockNode *node)
{
    return &((const NbdNode *)node->priv)->link->export_info;
}

/* ---- Ends of requests ---- */

static int violation(NbdNode *n, const char *what)
{
    n->violation = what;
    return -EPROTO;
}

/* The reader's; @call is not to be touched afterwards. */
static void finish(NbdNode *n, Call *call)
{
    g_mutex_lock(&n->lock);
    n->calls[call->req.cookie % MAX_CALLS] = NULL;
    call->done = true;
    g_cond_signal(&call->wake);
    g_cond_signal(&n->free_slot);
    g_mutex_unlock(&n->lock);
}

/* Everything fails from now on. The caller has the lock, and was the reader. */
static void lose(NbdNode *n, int err)
{
    n->dead = true;
    g_printerr("%s: the server is lost: %s; all access fails from now on\n", n->link->name,
               err == -ESHUTDOWN ? "it closed the connection"
               : err == -EPROTO  ? n->violation
                                 : g_strerror(-err));
    shutdown(n->link->stream->fd, SHUT_RDWR);
    for (unsigned i = 0; i < MAX_CALLS; i++) {
        Call *call = n->calls[i];

        if (call) {
            n->calls[i] = NULL;
            call->err = -EIO;
            call->done = true;
            g_cond_signal(&call->wake);
        }
    }
    g_cond_broadcast(&n->free_slot);
}

/* ---- Bytes of a read ---- */

/* Notes that [@begin, @end) comes now; false: some of it has come before, or it is more than anybody needs. */
static bool note_piece(Call *call, uint64_t begin, uint64_t end)
{
    Piece piece = { begin, end };
    unsigned i = 0;

    if (!call->pieces && begin == call->next) {
        return true;
    }
    if (!call->pieces) {
        call->pieces = g_array_new(false, false, sizeof(Piece));
    }
    while (i < call->pieces->len && g_array_index(call->pieces, Piece, i).end <= begin) {
        i++;
    }
    if (begin < call->next || call->pieces->len >= MAX_PIECES ||
        (i < call->pieces->len && g_array_index(call->pieces, Piece, i).begin < end)) {
        return false;
    }
    g_array_insert_val(call->pieces, i, piece);
    return true;
}

/* Moves .next behind what lies there without a gap. */
static void absorb_pieces(Call *call)
{
    while (call->pieces && call->pieces->len &&
           g_array_index(call->pieces, Piece, 0).begin == call->next) {
        call->next = g_array_index(call->pieces, Piece, 0).end;
        g_array_remove_index(call->pieces, 0);
    }
    call->c = call->start;
    iov_advance(&call->c, call->next - call->req.offset);
}

/* A part of a read: from the stream, or (@zero) zeroes. */
static int take_piece(NbdNode *n, Call *call, uint64_t offset, uint64_t bytes, bool zero)
{
    uint64_t begin = call->req.offset, end = begin + call->req.length;
    IovCursor c;
    int err = 0;

    if (call->req.type != NBD_CMD_READ || offset < begin || offset > end || bytes > end - offset ||
        !note_piece(call, offset, offset + bytes)) {
        return violation(n, "it sent bytes that nobody asked for");
    }
    if (!call->pieces) {
        c = call->c;
    } else {
        c = call->start;
        iov_advance(&c, offset - begin);
    }
    if (zero) {
        iov_zero(&c, bytes);
    } else {
        err = nbd_stream_read_iov(n->link->stream, &c, bytes);
    }
    if (!call->pieces) {
        call->c = c;
        call->next = offset + bytes;
    } else {
        absorb_pieces(call);
    }
    return err;
}

/* ---- Replies ---- */

static Call *find_call(NbdNode *n, uint64_t cookie)
{
    Call *call;

    g_mutex_lock(&n->lock);
    call = n->calls[cookie % MAX_CALLS];
    g_mutex_unlock(&n->lock);
    return call && call->req.cookie == cookie ? call : NULL;
}

static int take_simple(NbdNode *n, const uint8_t head[NBD_SIMPLE_BYTES])
{
    uint32_t error;
    uint64_t cookie;
    Call *call;
    int err = 0;

    nbd_get64(nbd_get32(head + 4, &error), &cookie);
    call = find_call(n, cookie);
    if (!call) {
        return violation(n, "it answered what was not asked");
    }
    if (call->req.type == NBD_CMD_READ && n->link->structured) {
        return violation(n, "it answered a read by a simple reply");
    }
    if (call->req.type == NBD_CMD_BLOCK_STATUS && !error) {
        return violation(n, "it answered a block status by a simple reply");
    }
    call->err = nbd_error_from_wire(error);
    if (call->req.type == NBD_CMD_READ && !error) {
        err = nbd_stream_read_iov(n->link->stream, &call->c, call->req.length);
    }
    if (!err) {
        finish(n, call);
    }
    return err;
}

static int take_data(NbdNode *n, Call *call, uint32_t length)
{
    uint8_t head[8];
    uint64_t offset;
    int err;

    if (length <= sizeof(head)) {
        return violation(n, "a chunk's length is wrong");
    }
    err = nbd_stream_read(n->link->stream, head, sizeof(head));
    nbd_get64(head, &offset);
    return err ? err : take_piece(n, call, offset, length - sizeof(head), false);
}

static int take_hole(NbdNode *n, Call *call, uint32_t length)
{
    uint8_t head[12];
    uint64_t offset;
    uint32_t bytes;
    int err;

    if (length != sizeof(head)) {
        return violation(n, "a chunk's length is wrong");
    }
    err = nbd_stream_read(n->link->stream, head, sizeof(head));
    nbd_get32(nbd_get64(head, &offset), &bytes);
    if (!err && !bytes) {
        return violation(n, "a hole is empty");
    }
    return err ? err : take_piece(n, call, offset, bytes, true);
}

/* Of the extents only the first is of use: one was asked for. */
static int take_status(NbdNode *n, Call *call, uint32_t length)
{
    uint8_t head[12];
    uint32_t id;
    int err;

    if (call->req.type != NBD_CMD_BLOCK_STATUS || call->has_extent) {
        return violation(n, "it sent a block status that nobody asked for");
    }
    if (length < sizeof(head) || length % 8 != 4 || length > 4 + 8 * (uint64_t)NBD_MAX_EXTENTS) {
        return violation(n, "a chunk's length is wrong");
    }
    err = nbd_stream_read(n->link->stream, head, sizeof(head));
    if (err) {
        return err;
    }
    nbd_get32(nbd_get32(nbd_get32(head, &id), &call->extent_bytes), &call->extent_flags);
    if (id != n->link->allocation || !call->extent_bytes) {
        return violation(n, "a block status makes no sense");
    }
    call->has_extent = true;
    return nbd_stream_skip(n->link->stream, length - sizeof(head));
}

/* Also of kinds that are not known. */
static int take_error(NbdNode *n, Call *call, const NbdChunk *chunk)
{
    uint32_t fixed = chunk->type == NBD_REPLY_ERROR_OFFSET ? 14 : 6, error = 0;
    uint16_t text;
    uint8_t head[6];
    int err;

    if (chunk->length < fixed || chunk->length > fixed + NBD_MAX_STRING) {
        return violation(n, "a chunk's length is wrong");
    }
    err = nbd_stream_read(n->link->stream, head, sizeof(head));
    if (err) {
        return err;
    }
    nbd_get16(nbd_get32(head, &error), &text);
    if (!error || (chunk->type <= NBD_REPLY_ERROR_OFFSET && text > chunk->length - fixed)) {
        return violation(n, "an error makes no sense");
    }
    call->err = nbd_error_from_wire(error);
    return nbd_stream_skip(n->link->stream, chunk->length - sizeof(head));
}

static int take_chunk_body(NbdNode *n, Call *call, const NbdChunk *chunk)
{
    if (chunk->type & NBD_REPLY_ERROR_BIT) {
        return take_error(n, call, chunk);
    }
    switch (chunk->type) {
    case NBD_REPLY_NONE:
        return chunk->length || !(chunk->flags & NBD_REPLY_FLAG_DONE)
                   ? violation(n, "an empty chunk is wrong")
                   : 0;
    case NBD_REPLY_OFFSET_DATA:
        return take_data(n, call, chunk->length);
    case NBD_REPLY_OFFSET_HOLE:
        return take_hole(n, call, chunk->length);
    case NBD_REPLY_BLOCK_STATUS:
        return take_status(n, call, chunk->length);
    default:
        return violation(n, "a chunk is of an unknown kind");
    }
}

static bool is_complete(const Call *call)
{
    switch (call->req.type) {
    case NBD_CMD_READ:
        return call->next == call->req.offset + call->req.length;
    case NBD_CMD_BLOCK_STATUS:
        return call->has_extent;
    default:
        return true;
    }
}

static int take_chunk(NbdNode *n, const uint8_t head[NBD_CHUNK_BYTES])
{
    NbdChunk chunk;
    Call *call;
    int err;

    nbd_chunk_get(head, &chunk);
    call = find_call(n, chunk.cookie);
    if (!call) {
        return violation(n, "it answered what was not asked");
    }
    err = take_chunk_body(n, call, &chunk);
    if (err || !(chunk.flags & NBD_REPLY_FLAG_DONE)) {
        return err;
    }
    if (!call->err && !is_complete(call)) {
        return violation(n, "a reply is not complete");
    }
    finish(n, call);
    return 0;
}

/* A reply, or a chunk of one. 0, or the error that ends the connection. */
static int take_reply(NbdNode *n)
{
    uint8_t head[NBD_CHUNK_BYTES];
    uint32_t magic;
    int err = nbd_stream_read(n->link->stream, head, NBD_SIMPLE_BYTES);

    if (err) {
        return err;
    }
    nbd_get32(head, &magic);
    if (magic == NBD_SIMPLE_REPLY_MAGIC) {
        return take_simple(n, head);
    }
    if (magic != NBD_STRUCTURED_REPLY_MAGIC || !n->link->structured) {
        return violation(n, "its reply is none of NBD");
    }
    err = nbd_stream_read(n->link->stream, head + NBD_SIMPLE_BYTES,
                          NBD_CHUNK_BYTES - NBD_SIMPLE_BYTES);
    return err ? err : take_chunk(n, head);
}

/* ---- Requests ---- */

/* A slot and a number for @call. The caller has the lock. */
static bool begin_call(NbdNode *n, Call *call)
{
    while (!n->dead) {
        for (unsigned i = 0; i < MAX_CALLS; i++) {
            if (!n->calls[i]) {
                n->calls[i] = call;
                call->req.cookie = ++n->sequence * MAX_CALLS + i;
                return true;
            }
        }
        g_cond_wait(&n->free_slot, &n->lock);
    }
    return false;
}

/* Somebody else is to read the replies; not one who still sends: that may last until replies are read. If none waits yet, the next to wait
 * reads. The caller has the lock. */
static void pass_reading_on(NbdNode *n)
{
    for (unsigned i = 0; i < MAX_CALLS && !n->reading; i++) {
        if (n->calls[i] && n->calls[i]->waiting) {
            g_cond_signal(&n->calls[i]->wake);
            return;
        }
    }
}

/* The caller has the lock. */
static void wait_for_reply(NbdNode *n, Call *call)
{
    while (!call->done) {
        int err;

        if (n->reading) {
            call->waiting = true;
            g_cond_wait(&call->wake, &n->lock);
            call->waiting = false;
            continue;
        }
        n->reading = true;
        g_mutex_unlock(&n->lock);
        do {
            err = take_reply(n);
        } while (!err && !call->done);
        g_mutex_lock(&n->lock);
        n->reading = false;
        if (err) {
            lose(n, err);
        }
    }
    pass_reading_on(n);
}

/* @c: the bytes of a write, or where those of a read go. Moves on unless there is an error. */
static int carry_out(NbdNode *n, Call *call, IovCursor *c)
{
    bool write = call->req.type == NBD_CMD_WRITE;
    uint8_t head[NBD_REQUEST_BYTES];

    g_cond_init(&call->wake);
    call->next = call->req.offset;
    if (c) {
        call->c = call->start = *c;
    }
    g_mutex_lock(&n->lock);
    if (!begin_call(n, call)) {
        g_mutex_unlock(&n->lock);
        g_cond_clear(&call->wake);
        return -EIO;
    }
    g_mutex_unlock(&n->lock);
    nbd_request_put(head, &call->req);
    g_mutex_lock(&n->sending);
    if (nbd_send(n->link->stream->fd, 0, head, sizeof(head), c, write ? call->req.length : 0)) {
        shutdown(n->link->stream->fd, SHUT_RDWR); /* the reader sees that */
    }
    g_mutex_unlock(&n->sending);
    g_mutex_lock(&n->lock);
    wait_for_reply(n, call);
    g_mutex_unlock(&n->lock);
    g_cond_clear(&call->wake);
    if (call->pieces) {
        g_array_free(call->pieces, true);
    }
    if (c && !call->err) {
        iov_advance(c, call->req.length);
    }
    return call->err;
}

/* Requests of at most @step bytes each. */
static int carry_out_steps(NbdNode *n, NbdCommand type, unsigned flags, uint64_t offset,
                           uint64_t bytes, uint64_t step, IovCursor *c)
{
    int err = 0;

    while (bytes && !err) {
        Call call = { .req = { .flags = (uint16_t)flags,
                               .type = (uint16_t)type,
                               .offset = offset,
                               .length = (uint32_t)MIN(bytes, step) } };

        err = carry_out(n, &call, c);
        offset += call.req.length;
        bytes -= call.req.length;
    }
    return err;
}

/* ---- Blocks ---- */

static uint64_t block_down(const NbdNode *n, uint64_t offset)
{
    return offset & ~(uint64_t)(n->min_block - 1);
}

static uint64_t block_up(const NbdNode *n, uint64_t offset)
{
    return block_down(n, offset + n->min_block - 1);
}

static bool is_aligned(const NbdNode *n, uint64_t offset, uint64_t bytes)
{
    return !((offset | bytes) & (n->min_block - 1));
}

/* Whole blocks between the buffer and the server. */
static int move_blocks(NbdNode *n, NbdCommand type, uint64_t offset, void *buf, uint64_t bytes)
{
    struct iovec iov = { buf, bytes };
    IovCursor c = { &iov, 1, 0 };

    return carry_out_steps(n, type, 0, offset, bytes, n->max_payload, &c);
}

static int read_through_buffer(NbdNode *n, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    g_autofree uint8_t *buf = g_malloc(BOUNCE);
    int err = 0;

    while (bytes && !err) {
        uint64_t begin = block_down(n, offset), len = MIN(bytes, begin + BOUNCE - offset);

        err = move_blocks(n, NBD_CMD_READ, begin, buf, block_up(n, offset + len) - begin);
        if (!err) {
            iov_copy_in(c, buf + (offset - begin), len);
        }
        offset += len;
        bytes -= len;
    }
    return err;
}

/* Reads what of the blocks [@begin, @end) lies outside [@offset, @offset + @len), at least. */
static int read_edges(NbdNode *n, uint64_t begin, uint64_t end, uint64_t offset, uint64_t len,
                      uint8_t *buf)
{
    uint64_t last = end - n->min_block;
    int err = begin < offset ? move_blocks(n, NBD_CMD_READ, begin, buf, n->min_block) : 0;

    if (!err && offset + len < end && (last > begin || begin == offset)) {
        err = move_blocks(n, NBD_CMD_READ, last, buf + (last - begin), n->min_block);
    }
    return err;
}

static int write_through_buffer(NbdNode *n, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    g_autofree uint8_t *buf = g_malloc(BOUNCE);
    int err = 0;

    g_mutex_lock(&n->edges);
    while (bytes && !err) {
        uint64_t begin = block_down(n, offset), len = MIN(bytes, begin + BOUNCE - offset);
        uint64_t end = block_up(n, offset + len);

        err = read_edges(n, begin, end, offset, len, buf);
        if (!err) {
            iov_copy_out(c, buf + (offset - begin), len);
            err = move_blocks(n, NBD_CMD_WRITE, begin, buf, end - begin);
        }
        offset += len;
        bytes -= len;
    }
    g_mutex_unlock(&n->edges);
    return err;
}

/* ---- The driver ---- */

static bool check_export(BlockNode *node, const NbdExport *info, GError **error)
{
    if (info->size > NODE_MAX_LENGTH) {
        return node_fail(node, error, "the export is too large");
    }
    if (info->size % info->min_block) {
        return node_fail(node, error, "the export's size is no multiple of its block size, %u",
                         info->min_block);
    }
    if (!node->readonly && info->flags & NBD_FLAG_READ_ONLY) {
        return node_fail(node, error,
                         "the export is read-only (readonly=on or snapshot=on opens it)");
    }
    return true;
}

static bool nbd_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    NbdAddress address;
    NbdLink *link;
    NbdNode *n;
    bool ok;

    if (!nbd_address_parse(node->name, &address, error)) {
        return false;
    }
    link = nbd_link_new(node->name, &address, error);
    ok = link && nbd_link_go(link, address.export_name, error) &&
         check_export(node, &link->export_info, error);
    nbd_address_clear(&address);
    if (!ok) {
        nbd_link_free(link);
        return false;
    }
    n = g_new0(NbdNode, 1);
    n->link = link;
    n->unsafe = options->unsafe;
    n->min_block = link->export_info.min_block;
    n->max_payload =
        (uint32_t)block_down(n, MIN(link->export_info.max_payload, (uint32_t)NBD_MAX_PAYLOAD));
    g_mutex_init(&n->edges);
    g_mutex_init(&n->sending);
    g_mutex_init(&n->lock);
    g_cond_init(&n->free_slot);
    node->priv = n;
    node->length = link->export_info.size;
    return true;
}

static int nbd_close(BlockNode *node)
{
    NbdNode *n = node->priv;
    NbdRequest req = { .type = NBD_CMD_DISC };
    uint8_t head[NBD_REQUEST_BYTES];

    if (!n->dead) {
        nbd_request_put(head, &req);
        nbd_send(n->link->stream->fd, g_get_monotonic_time() + G_USEC_PER_SEC, head, sizeof(head),
                 NULL, 0);
    }
    nbd_link_free(n->link);
    g_mutex_clear(&n->edges);
    g_mutex_clear(&n->sending);
    g_mutex_clear(&n->lock);
    g_cond_clear(&n->free_slot);
    g_free(n);
    return 0;
}

static int nbd_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    NbdNode *n = node->priv;
    uint64_t there = offset < node->length ? MIN(bytes, node->length - offset) : 0;
    int err = is_aligned(n, offset, there)
                  ? carry_out_steps(n, NBD_CMD_READ, 0, offset, there, n->max_payload, c)
                  : read_through_buffer(n, offset, there, c);

    if (!err) {
        iov_zero(c, bytes - there);
    }
    return err;
}

/* An export does not grow. */
static int check_end(const BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return offset > node->length || bytes > node->length - offset ? -ENOSPC : 0;
}

static int nbd_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    NbdNode *n = node->priv;
    int err = check_end(node, offset, bytes);

    if (err) {
        return err;
    }
    return is_aligned(n, offset, bytes)
               ? carry_out_steps(n, NBD_CMD_WRITE, 0, offset, bytes, n->max_payload, c)
               : write_through_buffer(n, offset, bytes, c);
}

static int write_zero_bytes(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    g_autofree char *zeroes = g_malloc0(MIN(bytes, (uint64_t)BOUNCE));
    int err = 0;

    while (bytes && !err) {
        struct iovec iov = { zeroes, MIN(bytes, (uint64_t)BOUNCE) };
        IovCursor c = { &iov, 1, 0 };

        err = nbd_write(node, offset, iov.iov_len, &c);
        offset += iov.iov_len;
        bytes -= iov.iov_len;
    }
    return err;
}

/* Whole blocks. A server may find what it takes at once for bytes too much for zeroes too. */
static int write_zero_blocks(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    NbdNode *n = node->priv;
    unsigned flags = unmap ? 0 : NBD_CMD_FLAG_NO_HOLE;
    int err = -ENOTSUP;

    if (info_of(node)->flags & NBD_FLAG_SEND_WRITE_ZEROES) {
        err = carry_out_steps(n, NBD_CMD_WRITE_ZEROES, flags, offset, bytes, MAX_EFFECT, NULL);
        if ((err == -EINVAL || err == -EOVERFLOW) && bytes > n->max_payload) {
            err = carry_out_steps(n, NBD_CMD_WRITE_ZEROES, flags, offset, bytes, n->max_payload,
                                  NULL);
        }
    }
    return err == -ENOTSUP ? write_zero_bytes(node, offset, bytes) : err;
}

static int nbd_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    const NbdNode *n = node->priv;
    uint64_t begin = block_up(n, offset), end = block_down(n, offset + bytes);
    int err = check_end(node, offset, bytes);

    if (err) {
        return err;
    }
    if (begin >= end) {
        return write_zero_bytes(node, offset, bytes);
    }
    err = write_zero_bytes(node, offset, begin - offset);
    err = err ? err : write_zero_blocks(node, begin, end - begin, unmap);
    return err ? err : write_zero_bytes(node, end, offset + bytes - end);
}

static int nbd_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    NbdNode *n = node->priv;
    uint64_t end = block_down(n, MIN(offset + bytes, node->length));
    int err;

    offset = block_up(n, offset);
    if (!(info_of(node)->flags & NBD_FLAG_SEND_TRIM) || offset >= end) {
        return 0;
    }
    err = carry_out_steps(n, NBD_CMD_TRIM, 0, offset, end - offset, MAX_EFFECT, NULL);
    return err == -EIO ? err : 0;
}

static int nbd_flush(BlockNode *node)
{
    NbdNode *n = node->priv;
    Call call = { .req = { .type = NBD_CMD_FLUSH } };

    return n->unsafe || !(info_of(node)->flags & NBD_FLAG_SEND_FLUSH) ? 0
                                                                      : carry_out(n, &call, NULL);
}

static int nbd_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    NbdNode *n = node->priv;
    uint64_t begin = block_down(n, offset), end = block_up(n, offset + bytes);
    Call call = { .req = { .type = NBD_CMD_BLOCK_STATUS,
                           .flags = NBD_CMD_FLAG_REQ_ONE,
                           .offset = begin,
                           .length = (uint32_t)MIN(end - begin, (uint64_t)MAX_EFFECT) } };
    int err;

    status->flags = NODE_DATA | NODE_ALLOCATED | NODE_MAPPED;
    status->map = offset;
    if (!n->link->has_allocation) {
        return 0;
    }
    err = carry_out(n, &call, NULL);
    if (err || begin + call.extent_bytes <= offset) {
        return err == -EIO ? err : 0; /* all data, then */
    }
    status->bytes = MIN(bytes, begin + call.extent_bytes - offset);
    if (call.extent_flags & NBD_STATE_ZERO) {
        status->flags |= NODE_ZERO;
        status->flags &= ~(call.extent_flags & NBD_STATE_HOLE ? NODE_DATA : 0u);
    }
    return 0;
}

static bool nbd_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error)
{
    return length <= node->length || node_fail(node, error, "Cannot grow NBD nodes");
}

const BlockDriver block_nbd_driver = {
    .name = "nbd",
    .is_protocol = true,
    .open = nbd_open,
    .close = nbd_close,
    .read = nbd_read,
    .write = nbd_write,
    .write_zeroes = nbd_write_zeroes,
    .discard = nbd_discard,
    .flush = nbd_flush,
    .status = nbd_status,
    .truncate = nbd_truncate,
};

BlockNode *nbd_open_emptied(const char *file, GError **error)
{
    NodeOptions options = { .file = file };
    BlockNode *node = g_new0(BlockNode, 1);
    int err;

    node->driver = &block_nbd_driver;
    node->name = g_strdup(file);
    if (!nbd_open(node, &options, error)) {
        g_free(node->name);
        g_free(node);
        return NULL;
    }
    err = nbd_write_zeroes(node, 0, node->length, true);
    if (err) {
        node_fail_errno(node, error, err, "cannot be emptied");
        node_close(node);
        return NULL;
    }
    return node;
}
