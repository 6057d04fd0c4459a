/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of the NVMe controller that need the disk: the NVM command set (NVM Express Base 1.4, section 6), and of the admin commands
 * Format NVM and switching the write cache off. The data go from guest memory to the disk and back without a copy, but for Compare, which
 * reads piece by piece.
 *
 * Write cache: a write is answered when the host has it, and is on the disk after a Flush; with Force Unit Access, or while the driver has
 * switched the cache off, a flush follows it first.
 */
#include "hw/block/nvme-priv.h"

#include <errno.h>
#include <string.h>
#include "util/bytes.h"
#include "util/log.h"

enum { SECTOR = 512, MAX_RANGES = 256, RANGE_SIZE = 16, COMPARE_PIECE = 16 << 10 };
enum { FORMAT_PIECE = 256 << 20, ABORTED_BY_DELETION = 0x08 };

typedef struct NvmeRange {
    uint64_t offset, bytes;
} NvmeRange;

typedef struct NvmeRequest {
    BlockRequest io;
    HwNvme *s;
    uint16_t sq, cid;
    BlockOp op;      /* what the command is about: for its end */
    bool then_flush; /* the data are to be on the disk first */
    /* Dataset Management: what is still to be done. Format NVM: one range that shrinks. */
    NvmeRange *ranges;
    unsigned n_ranges;
    struct NvmeRequest *next_parked;
    /* Compare: a piece, and how much was found equal. */
    struct iovec piece;
    uint64_t offset, bytes, equal;
    int n_iov;
    struct iovec iov[];
} NvmeRequest;

/* ---- Beginning and end ---- */

static NvmeRequest *request_new(HwNvme *s, unsigned sq, const NvmeCommand *c, BlockOp op,
                                unsigned max_iov)
{
    NvmeRequest *r = g_malloc(sizeof(*r) + max_iov * sizeof(struct iovec));

    memset(r, 0, sizeof(*r));
    r->io.op = r->op = op;
    r->io.opaque = r;
    r->s = s;
    r->sq = (uint16_t)sq;
    r->cid = c->cid;
    s->in_flight++;
    return r;
}

static void request_free(NvmeRequest *r)
{
    r->s->in_flight--;
    g_free(r->ranges);
    g_free(r->piece.iov_base);
    g_free(r);
}

static uint16_t status_of(const NvmeRequest *r, int error)
{
    switch (error) {
    case 0:
        return NVME_OK;
    case -ENOSPC:
        return NVME_CAPACITY_EXCEEDED;
    case -EROFS:
        return NVME_WRITE_PROTECTED;
    case -EINVAL:
        return NVME_LBA_RANGE;
    case -ENOMEM:
        return NVME_INTERNAL_ERROR;
    }
    return r->op == BLOCK_READ ? NVME_READ_ERROR : NVME_WRITE_FAULT;
}

static void finish(NvmeRequest *r, uint16_t status)
{
    nvme_complete(r->s, r->sq, r->cid, status, 0);
    request_free(r);
}

static void submit(NvmeRequest *r)
{
    block_submit(r->s->blk, &r->io);
}

static void io_done(BlockRequest *io, int error)
{
    NvmeRequest *r = io->opaque;

    if (r->op == BLOCK_READ) {
        for (int i = 0; i < r->n_iov; i++) {
            memory_written(r->iov[i].iov_base, r->iov[i].iov_len);
        }
    }
    if (!error && r->then_flush) {
        r->then_flush = false;
        r->io.op = BLOCK_FLUSH;
        submit(r);
        return;
    }
    finish(r, status_of(r, error));
}

/* ---- Read, Write ---- */

typedef struct Extent {
    uint64_t offset, bytes;
} Extent;

/* Dwords 10 to 12: the first block and how many less one. */
static uint16_t get_extent(const HwNvme *s, const NvmeCommand *c, Extent *e)
{
    uint64_t first = c->cdw10 | (uint64_t)c->cdw11 << 32, n = (c->cdw12 & 0xffff) + 1;
    uint64_t all = nvme_n_blocks(s);

    *e = (Extent){ first << nvme_block_shift(s), n << nvme_block_shift(s) };
    return first > all || n > all - first ? NVME_LBA_RANGE : NVME_OK;
}

static bool is_write_through(const HwNvme *s, const NvmeCommand *c)
{
    return (c->cdw12 & NVME_RW_FUA) || !(s->features[NVME_FEATURE_WRITE_CACHE] & 1);
}

/* With Force Unit Access what is read is on the disk. */
static void flushed_for_read(BlockRequest *io, int error)
{
    NvmeRequest *r = io->opaque;

    if (error) {
        finish(r, status_of(r, error));
        return;
    }
    io->op = BLOCK_READ;
    io->done = io_done;
    submit(r);
}

static void count(HwNvme *s, BlockOp op, uint64_t bytes)
{
    if (op == BLOCK_READ) {
        s->reads++;
        s->sectors_read += bytes / SECTOR;
    } else {
        s->writes++;
        s->sectors_written += bytes / SECTOR;
    }
}

/* A request with the command's data in iov, or NULL: *@status says why. */
static NvmeRequest *data_request(HwNvme *s, unsigned sq, const NvmeCommand *c, BlockOp op,
                                 bool to_guest, uint16_t *status)
{
    NvmeRequest *r;
    Extent e;

    *status = get_extent(s, c, &e);
    if (!*status && e.bytes > nvme_max_transfer(s)) {
        *status = NVME_INVALID_FIELD;
    }
    if (*status) {
        return NULL;
    }
    r = request_new(s, sq, c, op, nvme_max_iov(s, e.bytes));
    *status = nvme_map(s, c, e.bytes, to_guest, r->iov, &r->n_iov);
    if (*status) {
        request_free(r);
        return NULL;
    }
    r->io.offset = r->offset = e.offset;
    r->io.bytes = r->bytes = e.bytes;
    return r;
}

static uint16_t read_write(HwNvme *s, unsigned sq, const NvmeCommand *c, BlockOp op)
{
    uint16_t status;
    NvmeRequest *r = data_request(s, sq, c, op, op == BLOCK_READ, &status);

    if (!r) {
        return status;
    }
    r->io.iov = r->iov;
    r->io.n_iov = r->n_iov;
    r->io.done = io_done;
    count(s, op, r->bytes);
    if (op == BLOCK_WRITE) {
        r->then_flush = is_write_through(s, c);
    } else if (c->cdw12 & NVME_RW_FUA) {
        r->io.op = BLOCK_FLUSH;
        r->io.done = flushed_for_read;
    }
    submit(r);
    return NVME_PENDING;
}

/* ---- Compare ---- */

static bool is_equal(const NvmeRequest *r, uint64_t offset, const uint8_t *buf, uint64_t n)
{
    for (int i = 0; i < r->n_iov && n; i++) {
        uint64_t len = r->iov[i].iov_len, piece;

        if (offset >= len) {
            offset -= len;
            continue;
        }
        piece = MIN(n, len - offset);
        if (memcmp((const uint8_t *)r->iov[i].iov_base + offset, buf, piece) != 0) {
            return false;
        }
        buf += piece;
        n -= piece;
        offset = 0;
    }
    return true;
}

static void compare_next(NvmeRequest *r)
{
    r->piece.iov_len = r->io.bytes = MIN(r->bytes - r->equal, COMPARE_PIECE);
    r->io.offset = r->offset + r->equal;
    submit(r);
}

static void compared(BlockRequest *io, int error)
{
    NvmeRequest *r = io->opaque;

    if (error) {
        finish(r, NVME_READ_ERROR);
    } else if (!is_equal(r, r->equal, r->piece.iov_base, io->bytes)) {
        finish(r, NVME_COMPARE_FAILURE);
    } else if ((r->equal += io->bytes) == r->bytes) {
        finish(r, NVME_OK);
    } else {
        compare_next(r);
    }
}

static uint16_t compare(HwNvme *s, unsigned sq, const NvmeCommand *c)
{
    uint16_t status;
    NvmeRequest *r = data_request(s, sq, c, BLOCK_READ, false, &status);

    if (!r) {
        return status;
    }
    r->piece.iov_base = g_malloc(MIN(r->bytes, COMPARE_PIECE));
    r->io.iov = &r->piece;
    r->io.n_iov = 1;
    r->io.done = compared;
    count(s, BLOCK_READ, r->bytes);
    compare_next(r);
    return NVME_PENDING;
}

/* ---- Without data ---- */

static uint16_t flush(HwNvme *s, unsigned sq, const NvmeCommand *c)
{
    NvmeRequest *r = request_new(s, sq, c, BLOCK_FLUSH, 0);

    r->io.done = io_done;
    submit(r);
    return NVME_PENDING;
}

uint16_t nvme_flush_for(HwNvme *s, const NvmeCommand *c)
{
    return flush(s, 0, c);
}

static uint16_t write_zeroes(HwNvme *s, unsigned sq, const NvmeCommand *c)
{
    NvmeRequest *r;
    Extent e;
    uint16_t status = get_extent(s, c, &e);

    if (status) {
        return status;
    }
    r = request_new(s, sq, c, BLOCK_WRITE_ZEROES, 0);
    r->io.offset = e.offset;
    r->io.bytes = e.bytes;
    r->io.done = io_done;
    r->then_flush = is_write_through(s, c);
    submit(r);
    return NVME_PENDING;
}

/* ---- Ranges, one after the other ---- */

static void stop_between_ranges(NvmeRequest *r)
{
    HwNvme *s = r->s;

    if (s->stopping_sq == r->sq || s->stopping_sq == NVME_ALL_QUEUES) {
        finish(r, ABORTED_BY_DELETION);
    } else {
        r->next_parked = s->parked;
        s->parked = r;
    }
}

static void next_range(BlockRequest *io, int error)
{
    NvmeRequest *r = io->opaque;
    NvmeRange *range = r->n_ranges ? &r->ranges[r->n_ranges - 1] : NULL;

    if (error || !range) {
        io_done(io, error);
        return;
    }
    if (r->s->stopping) {
        stop_between_ranges(r);
        return;
    }
    io->offset = range->offset;
    io->bytes = r->op == BLOCK_DISCARD ? range->bytes : MIN(range->bytes, FORMAT_PIECE);
    range->offset += io->bytes;
    range->bytes -= io->bytes;
    r->n_ranges -= !range->bytes;
    submit(r);
}

void nvme_io_go_on(HwNvme *s)
{
    NvmeRequest *r;

    while ((r = s->parked)) {
        s->parked = r->next_parked;
        next_range(&r->io, 0);
    }
}

static void begin_ranges(NvmeRequest *r, NvmeRange *ranges, unsigned n)
{
    r->ranges = ranges;
    r->n_ranges = n;
    r->io.done = next_range;
    next_range(&r->io, 0);
}

/* The driver's ranges, those of no blocks left out; NULL: *@status says why. */
static NvmeRange *read_ranges(HwNvme *s, const NvmeCommand *c, unsigned *n, uint16_t *status)
{
    uint8_t raw[MAX_RANGES * RANGE_SIZE];
    unsigned n_raw = (c->cdw10 & 0xff) + 1, shift = nvme_block_shift(s);
    uint64_t all = nvme_n_blocks(s);
    g_autofree NvmeRange *ranges = g_new(NvmeRange, n_raw);

    *n = 0;
    *status = nvme_copy_from_guest(s, c, n_raw * RANGE_SIZE, raw, n_raw * RANGE_SIZE);
    for (unsigned i = 0; i < n_raw && !*status; i++) {
        uint64_t blocks = bytes_get_le32(raw + i * RANGE_SIZE + 4);
        uint64_t first = bytes_get_le64(raw + i * RANGE_SIZE + 8);

        if (first > all || blocks > all - first) {
            *status = NVME_LBA_RANGE;
        } else if (blocks) {
            ranges[(*n)++] = (NvmeRange){ first << shift, blocks << shift };
        }
    }
    return *status ? NULL : g_steal_pointer(&ranges);
}

static uint16_t dataset(HwNvme *s, unsigned sq, const NvmeCommand *c)
{
    uint16_t status;
    unsigned n;
    NvmeRange *ranges = read_ranges(s, c, &n, &status);

    if (!ranges) {
        return status;
    }
    if (!(c->cdw11 & NVME_DATASET_DEALLOCATE)) { /* the rest is advice */
        n = 0;
    }
    begin_ranges(request_new(s, sq, c, BLOCK_DISCARD, 0), ranges, n);
    return NVME_PENDING;
}

uint16_t nvme_format(HwNvme *s, const NvmeCommand *c)
{
    enum { ERASE = 7 << 9, CRYPTOGRAPHIC = 2 << 9, PROTECTION = 7 << 5, METADATA = 1 << 4 };
    NvmeRange *all;
    NvmeRequest *r;

    if (c->nsid != 1 && c->nsid != UINT32_MAX) {
        return NVME_INVALID_NAMESPACE;
    }
    if (block_is_readonly(s->blk)) {
        return NVME_WRITE_PROTECTED;
    }
    if ((c->cdw10 & 0xf) || (c->cdw10 & (PROTECTION | METADATA))) {
        return NVME_INVALID_FORMAT;
    }
    if ((c->cdw10 & ERASE) >= CRYPTOGRAPHIC) {
        return NVME_INVALID_FIELD;
    }
    all = g_new(NvmeRange, 1);
    *all = (NvmeRange){ 0, nvme_n_blocks(s) << nvme_block_shift(s) };
    r = request_new(s, 0, c, BLOCK_WRITE_ZEROES, 0);
    r->then_flush = true;
    begin_ranges(r, all, all->bytes ? 1 : 0);
    return NVME_PENDING;
}

/* ---- All ---- */

static bool changes_data(const NvmeCommand *c)
{
    return c->opcode == NVME_WRITE || c->opcode == NVME_WRITE_ZEROES ||
           (c->opcode == NVME_DATASET && (c->cdw11 & NVME_DATASET_DEALLOCATE));
}

static uint16_t carry_out(HwNvme *s, unsigned sq, const NvmeCommand *c)
{
    if (c->nsid != 1 && !(c->opcode == NVME_FLUSH && c->nsid == UINT32_MAX)) {
        return NVME_INVALID_NAMESPACE;
    }
    if (changes_data(c) && block_is_readonly(s->blk)) {
        return NVME_WRITE_PROTECTED;
    }
    switch (c->opcode) {
    case NVME_FLUSH:
        return flush(s, sq, c);
    case NVME_WRITE:
        return read_write(s, sq, c, BLOCK_WRITE);
    case NVME_READ:
        return read_write(s, sq, c, BLOCK_READ);
    case NVME_COMPARE:
        return compare(s, sq, c);
    case NVME_WRITE_ZEROES:
        return write_zeroes(s, sq, c);
    case NVME_DATASET:
        return dataset(s, sq, c);
    }
    return NVME_INVALID_OPCODE;
}

void nvme_io(HwNvme *s, unsigned sq, const NvmeCommand *c)
{
    uint16_t status = carry_out(s, sq, c);

    if (status != NVME_PENDING) {
        log_guest_error("nvme: command %#x: status %#x", c->opcode, status & ~NVME_DNR);
        nvme_complete(s, sq, c->cid, status, 0);
    }
}
