/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "ide-hd": a Serial ATA disk (ACS-3) on a block back end: reads, writes, flushes, TRIM, and 32 queued commands. Data goes between guest memory and
 * the back end without a copy. A write is answered when the host has it; with Force Unit Access, or while the write cache is off, a flush follows
 * it first.
 */
#include "hw/ata/ata.h"

#include <errno.h>
#include <string.h>
#include "util/bytes.h"

enum { TRIM_RANGE = 8, MAX_PHYSICAL = 32768 };

typedef struct HwIdeHd {
    HwAtaDrive parent;
    BlockBackend *blk;
    uint32_t physical_block_size;
} HwIdeHd;

typedef struct HwIdeHdClass {
    HwAtaDriveClass parent;
} HwIdeHdClass;

G_DEFINE_TYPE(HwIdeHd, hw_ide_hd, HW_TYPE_ATA_DRIVE)

static BlockBackend *hd_backend(HwAtaDrive *drive)
{
    return ((HwIdeHd *)drive)->blk;
}

static uint64_t sectors_of(const AtaCommand *cmd)
{
    return block_length(hd_backend(cmd->drive)) / ATA_SECTOR;
}

/* ---- The end ---- */

static void submit(AtaCommand *cmd)
{
    block_submit(hd_backend(cmd->drive), &cmd->io);
}

static uint8_t error_of(const AtaCommand *cmd, int error)
{
    return error == -EINVAL                               ? ATA_IDNF
           : cmd->io.op == BLOCK_READ && error != -ENOMEM ? ATA_UNC
                                                          : ATA_ABRT;
}

static void finished(BlockRequest *io, int error)
{
    AtaCommand *cmd = io->opaque;

    for (int i = 0; io->op == BLOCK_READ && i < io->n_iov; i++) {
        memory_written(io->iov[i].iov_base, io->iov[i].iov_len);
    }
    if (error) {
        ata_end(cmd, error_of(cmd, error));
        return;
    }
    cmd->moved = io->op == BLOCK_FLUSH ? cmd->moved : io->bytes;
    if (cmd->then_flush) {
        cmd->then_flush = false;
        cmd->io = (BlockRequest){ .op = BLOCK_FLUSH, .done = finished, .opaque = cmd };
        submit(cmd);
        return;
    }
    ata_end(cmd, 0);
}

static void flush(AtaCommand *cmd)
{
    cmd->io = (BlockRequest){ .op = BLOCK_FLUSH, .done = finished, .opaque = cmd };
    submit(cmd);
}

/* ---- Reads and writes ---- */

typedef struct Shape {
    AtaProtocol protocol;
    bool write, extended, fua, multiple;
} Shape;

static const Shape *shape_of(uint8_t command)
{
    static const Shape shapes[256] = {
        [ATA_READ_SECTORS] = { ATA_PIO },
        [ATA_READ_SECTORS_EXT] = { ATA_PIO, .extended = true },
        [ATA_READ_MULTIPLE] = { ATA_PIO, .multiple = true },
        [ATA_READ_MULTIPLE_EXT] = { ATA_PIO, .extended = true, .multiple = true },
        [ATA_READ_DMA] = { ATA_DMA },
        [ATA_READ_DMA_EXT] = { ATA_DMA, .extended = true },
        [ATA_READ_FPDMA_QUEUED] = { ATA_QUEUED, .extended = true },
        [ATA_WRITE_SECTORS] = { ATA_PIO, .write = true },
        [ATA_WRITE_SECTORS_EXT] = { ATA_PIO, .write = true, .extended = true },
        [ATA_WRITE_MULTIPLE] = { ATA_PIO, .write = true, .multiple = true },
        [ATA_WRITE_MULTIPLE_EXT] = { ATA_PIO, .write = true, .extended = true, .multiple = true },
        [ATA_WRITE_DMA] = { ATA_DMA, .write = true },
        [ATA_WRITE_DMA_EXT] = { ATA_DMA, .write = true, .extended = true },
        [ATA_WRITE_DMA_FUA_EXT] = { ATA_DMA, .write = true, .extended = true, .fua = true },
        [ATA_WRITE_FPDMA_QUEUED] = { ATA_QUEUED, .write = true, .extended = true },
    };

    return shapes[command].protocol ? &shapes[command] : NULL;
}

/* The number of sectors of a queued command is where others have the features. */
static uint32_t queued_count(const uint8_t *fis)
{
    uint32_t n = fis[FIS_FEATURES] | (uint32_t)fis[FIS_FEATURES_HIGH] << 8;

    return n ? n : 0x10000;
}

static bool range_is_good(const AtaCommand *cmd, uint64_t lba, uint64_t n)
{
    uint64_t all = sectors_of(cmd);

    return lba <= all && n <= all - lba;
}

static void start_blocks(AtaCommand *cmd, const Shape *shape)
{
    enum { FUA = 0x80 };
    const uint8_t *fis = cmd->fis;
    HwAtaDrive *d = cmd->drive;
    uint64_t lba = ata_get_lba(fis, shape->extended);
    bool queued = shape->protocol == ATA_QUEUED,
         fua = shape->fua || (queued && fis[FIS_DEVICE] & FUA);
    uint32_t n = queued ? queued_count(fis) : ata_get_count(fis, shape->extended);

    cmd->protocol = shape->protocol;
    cmd->lba = lba;
    if ((queued && d->queue_failed) || (shape->multiple && !d->multiple)) {
        ata_end(cmd, ATA_ABRT);
    } else if (!range_is_good(cmd, lba, n)) {
        ata_end(cmd, ATA_IDNF);
    } else if (shape->write && block_is_readonly(hd_backend(d))) {
        ata_end(cmd, ATA_ABRT);
    } else {
        cmd->length = (uint64_t)n * ATA_SECTOR;
        cmd->to_host = !shape->write;
        cmd->then_flush = shape->write && (fua || !d->write_cache);
    }
}

/* ---- The others ---- */

/* ACS-3, 7.5: 8 bytes a range, 48 bits of address and 16 of length; a length of 0 is none. */
static void discard_next(BlockRequest *io, int error)
{
    AtaCommand *cmd = io->opaque;
    unsigned n = (unsigned)(cmd->moved / TRIM_RANGE);

    for (; !error && cmd->next_range < n; cmd->next_range++) {
        uint64_t range = bytes_get_le64(cmd->buf + (size_t)cmd->next_range * TRIM_RANGE);
        uint64_t lba = range & 0xffffffffffffull, sectors = range >> 48;

        if (!sectors) {
            continue;
        }
        if (!range_is_good(cmd, lba, sectors)) {
            error = -EINVAL;
            break;
        }
        cmd->next_range++;
        cmd->io = (BlockRequest){ .op = BLOCK_DISCARD,
                                  .offset = lba * ATA_SECTOR,
                                  .bytes = sectors * ATA_SECTOR,
                                  .done = discard_next,
                                  .opaque = cmd };
        submit(cmd);
        return;
    }
    ata_end(cmd, error ? error_of(cmd, error) : 0);
}

static void start_trim(AtaCommand *cmd)
{
    enum { TRIM = 1, MAX_BLOCKS = 8 };
    uint32_t n = ata_get_count(cmd->fis, true);

    cmd->protocol = ATA_DMA;
    if (!(cmd->fis[FIS_FEATURES] & TRIM) || n > MAX_BLOCKS ||
        block_is_readonly(hd_backend(cmd->drive))) {
        ata_end(cmd, ATA_ABRT);
        return;
    }
    cmd->length = (uint64_t)n * ATA_SECTOR;
    cmd->to_host = false;
}

static void transfer_trim(AtaCommand *cmd)
{
    uint8_t *to = g_malloc(cmd->length);

    cmd->buf = to;
    for (int i = 0; i < cmd->n_iov; i++) {
        memcpy(to, cmd->iov[i].iov_base, cmd->iov[i].iov_len);
        to += cmd->iov[i].iov_len;
    }
    cmd->moved = cmd->length;
    cmd->io = (BlockRequest){ .op = BLOCK_DISCARD, .opaque = cmd };
    discard_next(&cmd->io, 0);
}

static void set_multiple(AtaCommand *cmd)
{
    enum { MAX = 16 };
    uint8_t n = cmd->fis[FIS_COUNT];

    if (n > MAX || (n & (n - 1))) {
        ata_end(cmd, ATA_ABRT);
        return;
    }
    cmd->drive->multiple = n;
    ata_end(cmd, 0);
}

static void verify(AtaCommand *cmd, bool extended)
{
    uint64_t lba = ata_get_lba(cmd->fis, extended);

    cmd->lba = lba;
    ata_end(cmd, range_is_good(cmd, lba, ata_get_count(cmd->fis, extended)) ? 0 : ATA_IDNF);
}

static void hd_start(AtaCommand *cmd)
{
    const Shape *shape = shape_of(cmd->fis[FIS_COMMAND]);

    if (shape) {
        start_blocks(cmd, shape);
        return;
    }
    switch (cmd->fis[FIS_COMMAND]) {
    case ATA_FLUSH:
    case ATA_FLUSH_EXT:
        flush(cmd);
        return;
    case ATA_DATA_SET_MANAGEMENT:
        start_trim(cmd);
        return;
    case ATA_READ_VERIFY:
    case ATA_READ_VERIFY_EXT:
        verify(cmd, cmd->fis[FIS_COMMAND] == ATA_READ_VERIFY_EXT);
        return;
    case ATA_SET_MULTIPLE:
        set_multiple(cmd);
        return;
    }
    ata_end(cmd, ATA_ABRT);
}

static void hd_transfer(AtaCommand *cmd)
{
    if (cmd->fis[FIS_COMMAND] == ATA_DATA_SET_MANAGEMENT) {
        transfer_trim(cmd);
        return;
    }
    cmd->io = (BlockRequest){ .op = cmd->to_host ? BLOCK_READ : BLOCK_WRITE,
                              .offset = cmd->lba * ATA_SECTOR,
                              .bytes = cmd->length,
                              .iov = cmd->iov,
                              .n_iov = cmd->n_iov,
                              .done = finished,
                              .opaque = cmd };
    submit(cmd);
}

static void hd_identify(HwAtaDrive *drive, uint16_t words[ATA_IDENTIFY_WORDS])
{
    HwIdeHd *s = (HwIdeHd *)drive;

    ata_identify_common(drive, words, "Menura hard disk");
    ata_identify_disk(drive, words, block_length(s->blk) / ATA_SECTOR, s->physical_block_size,
                      block_is_readonly(s->blk));
}

/* ---- The device object ---- */

static bool hd_realize(HwDevice *object, GError **error)
{
    HwIdeHd *s = (HwIdeHd *)object;
    g_autofree char *user = g_strdup_printf("ide-hd '%s'", object->id ? object->id : "");

    if (!ata_check_names(&s->parent, error)) {
        return false;
    }
    if (s->physical_block_size & (s->physical_block_size - 1)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "ide-hd: physical_block_size: not a power of 2");
        return false;
    }
    if (!s->blk) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "ide-hd: drive= is missing");
        return false;
    }
    if (!block_claim(s->blk, user, error)) {
        g_prefix_error(error, "ide-hd: ");
        return false;
    }
    return true;
}

static void hd_unrealize(HwDevice *object)
{
    HwIdeHd *s = (HwIdeHd *)object;

    block_drain(s->blk);
    block_release(s->blk);
}

static const HwProp hd_props[] = {
    HW_PROP(HwIdeHd, blk, "drive", HW_PROP_DRIVE, 0, "the disk's bytes"),
    { .name = "physical_block_size",
      .type = HW_PROP_U32,
      .offset = offsetof(HwIdeHd, physical_block_size),
      .def = ATA_SECTOR,
      .min = ATA_SECTOR,
      .max = MAX_PHYSICAL,
      .desc = "best transfer, bytes" },
    { 0 },
};

static void hw_ide_hd_init(HwIdeHd *s)
{
    (void)s;
}

static void hw_ide_hd_class_init(HwIdeHdClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwAtaDriveClass *ac = HW_ATA_DRIVE_CLASS(klass);

    dc->model = "ide-hd";
    dc->desc = "SATA disk";
    dc->user_creatable = true;
    dc->realize = hd_realize;
    dc->unrealize = hd_unrealize;
    ac->signature = ATA_SIGNATURE_DISK;
    ac->start = hd_start;
    ac->transfer = hd_transfer;
    ac->flush = flush;
    ac->identify = hd_identify;
    ac->backend = hd_backend;
    hw_ata_class_bind(ac, hd_props, NULL);
}
