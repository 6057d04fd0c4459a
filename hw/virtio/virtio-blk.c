/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio block device (virtio 1.2, section 5.2) on a block back end. Requests are taken from one queue and carried out by the back end off the
 * vCPU threads, any number at a time; finished ones are given back in groups with one interrupt.
 *
 * The driver's buffers are framed anyhow (2.7.4): the header is the first 16 bytes the device reads, the status the last byte
 * it writes. Discard and write-zeroes carry a list of ranges, which is copied and then done one range after the other.
 */
#include "hw/virtio/virtio-blk.h"
#include <errno.h>
#include <string.h>
#include "block/block.h"
#include "hw/virtio/virtio.h"
#include "util/log.h"

enum {
    DEVICE_ID = 2,
    SECTOR = 512,
    SERIAL_SIZE = 20,
    MAX_RANGES = 16,
    MAX_RANGE_SECTORS = 1 << 22,
    MAX_DATA = 256 << 20
};
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
enum {
    F_SEG_MAX = 2,
    F_RO = 5,
    F_BLK_SIZE = 6,
    F_FLUSH = 9,
    F_TOPOLOGY = 10,
    F_CONFIG_WCE = 11,
    F_DISCARD = 13,
    F_WRITE_ZEROES = 14,
};
enum { RANGE_UNMAP = 1 };

typedef struct BlkHeader {
    uint32_t type, reserved;
    uint64_t sector;
} BlkHeader;

typedef struct BlkRange {
    uint64_t sector;
    uint32_t n_sectors, flags;
} BlkRange;

/* struct virtio_blk_config, little-endian, without gaps. */
typedef struct BlkConfig {
    uint64_t capacity;
    uint32_t size_max, seg_max;
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback, unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused1[3];
} BlkConfig;

G_STATIC_ASSERT(sizeof(BlkConfig) == 64 && offsetof(BlkConfig, write_zeroes_may_unmap) == 56);

typedef struct HwVirtioBlk {
    HwVirtio parent;
    BlockBackend *blk;
    char *serial;
    uint32_t logical_block_size, physical_block_size;
    uint16_t queue_size;
    bool discard, write_zeroes, config_wce;
    bool writeback; /* what the driver wrote last */
    unsigned in_flight;
} HwVirtioBlk;

typedef struct HwVirtioBlkClass {
    HwVirtioClass parent;
} HwVirtioBlkClass;

G_DEFINE_TYPE(HwVirtioBlk, hw_virtio_blk, HW_TYPE_VIRTIO)

typedef struct BlkJob {
    BlockRequest io;
    HwVirtioBlk *s;
    VirtqElement *elem;
    uint8_t *status; /* in guest memory */
    bool then_flush; /* write-through: the data is to be on the disk first */
    BlkRange *ranges;
    unsigned n_ranges, next_range;
} BlkJob;

static bool wants_writeback(const HwVirtioBlk *s)
{
    if (hw_virtio_has(&s->parent, F_CONFIG_WCE)) {
        return s->writeback;
    }
    return hw_virtio_has(&s->parent, F_FLUSH);
}

/* ---- The end of a job ---- */

static void finish(BlkJob *job, uint8_t status)
{
    HwVirtioBlk *s = job->s;
    uint64_t written = job->elem->in_len;

    *job->status = status;
    memory_written(job->status, 1);
    /* Only reads fill the buffers before the status. */
    virtqueue_push(&s->parent.queues[0], job->elem, written);
    s->in_flight--;
    g_free(job->elem);
    g_free(job->ranges);
    g_free(job);
}

static void batch_end(void *opaque)
{
    hw_virtio_publish(opaque, 0);
}

static void submit(BlkJob *job, BlockOp op)
{
    job->io.op = op;
    block_submit(job->s->blk, &job->io);
}

static void io_done(BlockRequest *io, int error)
{
    BlkJob *job = io->opaque;

    if (!error && job->then_flush) {
        job->then_flush = false;
        submit(job, BLOCK_FLUSH);
        return;
    }
    finish(job, error ? S_IOERR : S_OK);
}

/* ---- Kinds of requests ---- */

static void do_data(BlkJob *job, BlockOp op, uint64_t sector, struct iovec *iov, int n_iov,
                    uint64_t bytes)
{
    HwVirtioBlk *s = job->s;

    if (bytes % s->logical_block_size || sector > INT64_MAX / SECTOR || bytes > MAX_DATA) {
        log_guest_error("virtio-blk-device: transfer of %" G_GUINT64_FORMAT
                        " bytes at sector %" G_GUINT64_FORMAT " refused",
                        bytes, sector);
        finish(job, S_IOERR);
        return;
    }
    job->io.offset = sector * SECTOR;
    job->io.bytes = bytes;
    job->io.iov = iov;
    job->io.n_iov = n_iov;
    job->io.done = io_done;
    job->then_flush = op == BLOCK_WRITE && !wants_writeback(s);
    submit(job, op);
}

static void do_get_id(BlkJob *job)
{
    char id[SERIAL_SIZE] = { 0 };

    if (job->s->serial) {
        memcpy(id, job->s->serial, MIN(strlen(job->s->serial), SERIAL_SIZE));
    }
    virtq_iov_write(job->elem->in, job->elem->n_in, 0, id, MIN(sizeof(id), job->elem->in_len - 1));
    finish(job, S_OK);
}

static void next_range_done(BlockRequest *io, int error)
{
    BlkJob *job = io->opaque;
    const BlkRange *r;

    if (error || job->next_range == job->n_ranges) {
        io_done(io, error);
        return;
    }
    r = &job->ranges[job->next_range++];
    io->offset = r->sector * SECTOR;
    io->bytes = (uint64_t)r->n_sectors * SECTOR;
    submit(job, io->op);
}

/* S_OK, or why the ranges are refused (5.2.6.2). */
static uint8_t check_ranges(const BlkJob *job, bool zeroes)
{
    for (unsigned i = 0; i < job->n_ranges; i++) {
        const BlkRange *r = &job->ranges[i];

        if (r->flags & ~(zeroes ? (uint32_t)RANGE_UNMAP : 0)) {
            return S_UNSUPP;
        }
        if (r->n_sectors > MAX_RANGE_SECTORS || r->sector > block_length(job->s->blk) / SECTOR ||
            r->sector % (job->s->logical_block_size / SECTOR) ||
            r->n_sectors % (job->s->logical_block_size / SECTOR)) {
            return S_IOERR;
        }
    }
    return S_OK;
}

static bool copy_ranges(BlkJob *job)
{
    VirtqElement *e = job->elem;

    job->n_ranges = (unsigned)MIN(e->out_len / sizeof(BlkRange), MAX_RANGES + 1);
    if (e->out_len % sizeof(BlkRange) || !job->n_ranges || job->n_ranges > MAX_RANGES) {
        return false;
    }
    job->ranges = g_new(BlkRange, job->n_ranges);
    virtq_iov_read(e->out, e->n_out, 0, job->ranges, job->n_ranges * sizeof(BlkRange));
    for (unsigned i = 0; i < job->n_ranges; i++) {
        BlkRange *r = &job->ranges[i];

        *r = (BlkRange){ GUINT64_FROM_LE(r->sector), GUINT32_FROM_LE(r->n_sectors),
                         GUINT32_FROM_LE(r->flags) };
    }
    return true;
}

static void do_ranges(BlkJob *job, bool zeroes)
{
    uint8_t status;

    if (!hw_virtio_has(&job->s->parent, zeroes ? F_WRITE_ZEROES : F_DISCARD)) {
        finish(job, S_UNSUPP);
        return;
    }
    status = copy_ranges(job) ? check_ranges(job, zeroes) : S_IOERR;
    if (status != S_OK) {
        finish(job, status);
        return;
    }
    job->io.op = zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD;
    job->io.done = next_range_done;
    job->then_flush = zeroes && !wants_writeback(job->s);
    next_range_done(&job->io, 0);
}

static void do_flush(BlkJob *job)
{
    job->io.done = io_done;
    submit(job, BLOCK_FLUSH);
}

static void start_job(BlkJob *job, const BlkHeader *h)
{
    VirtqElement *e = job->elem;
    uint64_t sector = GUINT64_FROM_LE(h->sector);

    switch (GUINT32_FROM_LE(h->type)) {
    case T_IN:
        do_data(job, BLOCK_READ, sector, e->in, e->n_in, e->in_len - 1);
        return;
    case T_OUT:
        do_data(job, BLOCK_WRITE, sector, e->out, e->n_out, e->out_len);
        return;
    case T_FLUSH:
        do_flush(job);
        return;
    case T_GET_ID:
        do_get_id(job);
        return;
    case T_DISCARD:
    case T_WRITE_ZEROES:
        do_ranges(job, GUINT32_FROM_LE(h->type) == T_WRITE_ZEROES);
        return;
    }
    finish(job, S_UNSUPP);
}

/* Takes header and status off the chain and starts the job. False: the chain has not even those. */
static bool handle(HwVirtioBlk *s, VirtqElement *e)
{
    BlkHeader header;
    BlkJob *job;

    if (e->out_len < sizeof(header) || !e->in_len || s->in_flight >= s->parent.queues[0].num) {
        hw_virtio_fail(
            &s->parent,
            "request without header or status, or more of them than the queue has entries");
        g_free(e);
        return false;
    }
    virtq_iov_read(e->out, e->n_out, 0, &header, sizeof(header));
    virtq_iov_trim_front(&e->out, &e->n_out, sizeof(header));
    e->out_len -= sizeof(header);
    job = g_new0(BlkJob, 1);
    job->s = s;
    job->elem = e;
    job->io.opaque = job;
    job->status = (uint8_t *)e->in[e->n_in - 1].iov_base + e->in[e->n_in - 1].iov_len - 1;
    virtq_iov_trim_back(e->in, &e->n_in, 1);
    s->in_flight++;
    start_job(job, &header);
    return true;
}

static bool blk_kick(HwVirtio *dev, unsigned n)
{
    HwVirtioBlk *s = (HwVirtioBlk *)dev;
    VirtQueue *q = &dev->queues[0];
    bool more = true;

    block_plug();
    for (unsigned i = 0; i < q->num && more; i++) {
        VirtqElement *e = virtqueue_pop(q);

        more = e ? handle(s, e) : virtqueue_arm(q);
    }
    block_unplug();
    hw_virtio_publish(dev, 0);
    return more;
}

static void blk_stop(HwVirtio *dev)
{
    HwVirtioBlk *s = (HwVirtioBlk *)dev;

    block_drain(s->blk);
    g_assert(!s->in_flight);
}

/* ---- Configuration ---- */

static void blk_config_read(HwVirtio *dev, uint8_t *config)
{
    HwVirtioBlk *s = (HwVirtioBlk *)dev;
    BlkConfig c = {
        .capacity = GUINT64_TO_LE(block_length(s->blk) / SECTOR),
        .seg_max = GUINT32_TO_LE(MAX((uint32_t)s->queue_size, 3) - 2),
        .blk_size = GUINT32_TO_LE(s->logical_block_size),
        .physical_block_exp =
            (uint8_t)__builtin_ctz(s->physical_block_size / s->logical_block_size),
        .writeback = wants_writeback(s),
        .num_queues = GUINT16_TO_LE(1),
        .max_discard_sectors = GUINT32_TO_LE(MAX_RANGE_SECTORS),
        .max_discard_seg = GUINT32_TO_LE(MAX_RANGES),
        .discard_sector_alignment = GUINT32_TO_LE(s->logical_block_size / SECTOR),
        .max_write_zeroes_sectors = GUINT32_TO_LE(MAX_RANGE_SECTORS),
        .max_write_zeroes_seg = GUINT32_TO_LE(MAX_RANGES),
        .write_zeroes_may_unmap = 1,
    };

    memcpy(config, &c, sizeof(c));
}

static void blk_config_write(HwVirtio *dev, uint32_t offset, uint32_t value, unsigned size)
{
    HwVirtioBlk *s = (HwVirtioBlk *)dev;

    if (offset != offsetof(BlkConfig, writeback) || size != 1 ||
        !hw_virtio_has(dev, F_CONFIG_WCE)) {
        log_guest_error(
            "virtio-blk-device: write of %u bytes at offset %u of the configuration space", size,
            offset);
        return;
    }
    s->writeback = value & 1;
}

/* ---- The device object ---- */

static bool check_sizes(const HwVirtioBlk *s, GError **error)
{
    uint32_t logical = s->logical_block_size, physical = s->physical_block_size;

    if ((logical & (logical - 1)) || (physical & (physical - 1)) || logical > physical) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "virtio-blk-device: block sizes %u and %u: expected powers of 2, the physical "
                    "one not less",
                    logical, physical);
        return false;
    }
    if (s->queue_size & (s->queue_size - 1)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "virtio-blk-device: queue-size: %u is no power of 2", s->queue_size);
        return false;
    }
    return true;
}

static bool blk_realize(HwDevice *object, GError **error)
{
    HwVirtioBlk *s = (HwVirtioBlk *)object;
    g_autofree char *user = g_strdup_printf("virtio-blk-device '%s'", object->id ? object->id : "");

    if (!s->blk) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "virtio-blk-device: drive= is missing");
        return false;
    }
    if (!check_sizes(s, error)) {
        return false;
    }
    if (!block_claim(s->blk, user, error)) {
        g_prefix_error(error, "virtio-blk-device: ");
        return false;
    }
    block_set_batch_end(s->blk, batch_end, s);
    hw_virtio_add_queue(&s->parent, s->queue_size);
    s->parent.offered |= 1u << F_SEG_MAX | 1u << F_BLK_SIZE | 1u << F_FLUSH | 1u << F_TOPOLOGY;
    if (block_is_readonly(s->blk)) {
        s->parent.offered |= 1u << F_RO;
        return true;
    }
    s->parent.offered |= (uint64_t)s->config_wce << F_CONFIG_WCE |
                         (uint64_t)s->discard << F_DISCARD |
                         (uint64_t)s->write_zeroes << F_WRITE_ZEROES;
    return true;
}

static void blk_unrealize(HwDevice *object)
{
    HwVirtioBlk *s = (HwVirtioBlk *)object;

    block_drain(s->blk);
    block_release(s->blk);
}

static const StateField blk_state[] = {
    HW_FIELD(HwVirtioBlk, writeback, STATE_BOOL, 1, "the driver wants a write-back cache"),
    { 0 },
};

static const HwProp blk_props[] = {
    HW_PROP(HwVirtioBlk, blk, "drive", HW_PROP_DRIVE, 0, "the disk's bytes"),
    HW_PROP(HwVirtioBlk, serial, "serial", HW_PROP_STRING, 0, "serial number, 20 characters count"),
    { .name = "logical_block_size",
      .type = HW_PROP_U32,
      .offset = offsetof(HwVirtioBlk, logical_block_size),
      .def = SECTOR,
      .min = SECTOR,
      .max = 32768,
      .desc = "smallest transfer, bytes" },
    { .name = "physical_block_size",
      .type = HW_PROP_U32,
      .offset = offsetof(HwVirtioBlk, physical_block_size),
      .def = SECTOR,
      .min = SECTOR,
      .max = 32768,
      .desc = "best transfer, bytes" },
    { .name = "queue-size",
      .type = HW_PROP_U16,
      .offset = offsetof(HwVirtioBlk, queue_size),
      .def = 256,
      .min = 4,
      .max = VIRTQUEUE_MAX_SIZE,
      .desc = "entries of the request queue" },
    HW_PROP(HwVirtioBlk, discard, "discard", HW_PROP_BOOL, 1, "the driver may discard sectors"),
    HW_PROP(HwVirtioBlk, write_zeroes, "write-zeroes", HW_PROP_BOOL, 1,
            "the driver may clear sectors without sending zeroes"),
    HW_PROP(HwVirtioBlk, config_wce, "config-wce", HW_PROP_BOOL, 1,
            "the driver may switch the write cache"),
    { 0 },
};

static void hw_virtio_blk_init(HwVirtioBlk *s)
{
    s->writeback = true;
}

static void hw_virtio_blk_class_init(HwVirtioBlkClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    dc->model = "virtio-blk-device";
    dc->desc = "virtio disk";
    dc->user_creatable = true;
    dc->realize = blk_realize;
    dc->unrealize = blk_unrealize;
    vc->device_id = DEVICE_ID;
    vc->config_size = offsetof(BlkConfig, unused1);
    vc->config_read = blk_config_read;
    vc->config_write = blk_config_write;
    vc->kick = blk_kick;
    vc->stop = blk_stop;
    hw_virtio_class_bind_state(vc, blk_state);
    hw_virtio_class_bind_props(vc, blk_props);
}
