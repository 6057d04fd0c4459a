/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a disk says about itself: INQUIRY with its pages of vital product data, MODE SENSE, READ CAPACITY, REPORT LUNS, REQUEST SENSE. */
#include "hw/scsi/scsi-priv.h"

#include <string.h>
#include "util/bytes.h"

enum { VPD_SUPPORTED = 0x00, VPD_SERIAL = 0x80, VPD_ID = 0x83, VPD_LIMITS = 0xb0 };
enum { VPD_CHARACTERISTICS = 0xb1, VPD_PROVISIONING = 0xb2 };
enum { CD = 5 }; /* peripheral device type */
enum { MAX_SERIAL = 36, MAX_UNMAP_BLOCKS = 1 << 22 };

uint64_t scsi_blocks(const ScsiDisk *disk)
{
    return disk->blk ? block_length(disk->blk) / disk->block_size : 0;
}

bool scsi_has_medium(const ScsiDisk *disk)
{
    return disk->blk && !disk->ejected;
}

bool scsi_is_readonly(const ScsiDisk *disk)
{
    return disk->cdrom || block_is_readonly(disk->blk);
}

/* ASCII, padded with blanks. */
static void put_text(uint8_t *at, size_t size, const char *text)
{
    memset(at, ' ', size);
    memcpy(at, text, MIN(size, strlen(text)));
}

/* ---- INQUIRY ---- */

static size_t serial_page(const ScsiDisk *d, uint8_t *p)
{
    size_t n = d->serial ? MIN(strlen(d->serial), MAX_SERIAL) : 0;

    memcpy(p, d->serial ? d->serial : "", n);
    return n;
}

/* SPC-4, 7.8.6: one designator of the T10 vendor's kind. */
static size_t id_page(const ScsiDisk *d, uint8_t *p)
{
    enum { ASCII = 2, T10_VENDOR = 1, VENDOR_SIZE = 8 };
    size_t n = serial_page(d, p + 4 + VENDOR_SIZE);

    p[0] = ASCII;
    p[1] = T10_VENDOR;
    p[3] = (uint8_t)(VENDOR_SIZE + n);
    put_text(p + 4, VENDOR_SIZE, d->vendor);
    return 4 + p[3];
}

/* SBC-3, 6.5.3, from byte 4 on. */
static size_t limits_page(const ScsiDisk *d, uint8_t *p)
{
    enum { SIZE = 0x3c };

    if (!scsi_is_readonly(d)) {
        bytes_put_be32(p + 16, MAX_UNMAP_BLOCKS);
        bytes_put_be32(p + 20, SCSI_MAX_RANGES);
        bytes_put_be32(p + 24, d->physical_block_size / d->block_size);
    }
    return SIZE;
}

static bool vpd_page(ScsiCommand *cmd, uint8_t page, size_t *size)
{
    static const uint8_t pages[] = { VPD_SUPPORTED, VPD_SERIAL,          VPD_ID,
                                     VPD_LIMITS,    VPD_CHARACTERISTICS, VPD_PROVISIONING };
    enum { CHARACTERISTICS_SIZE = 0x3c, PROVISIONING_SIZE = 4, UNMAP = 0x80 };
    const ScsiDisk *d = cmd->disk;
    uint8_t *p = cmd->buf + 4;

    switch (page) {
    case VPD_SUPPORTED:
        memcpy(p, pages, sizeof(pages));
        *size = sizeof(pages);
        return true;
    case VPD_SERIAL:
        *size = serial_page(d, p);
        return d->serial != NULL;
    case VPD_ID:
        *size = id_page(d, p);
        return true;
    case VPD_LIMITS:
        *size = limits_page(d, p);
        return true;
    case VPD_CHARACTERISTICS:
        *size = CHARACTERISTICS_SIZE; /* nothing of it is known */
        return true;
    case VPD_PROVISIONING:
        p[1] = scsi_is_readonly(d) ? 0 : UNMAP;
        *size = PROVISIONING_SIZE;
        return true;
    }
    return false;
}

static size_t standard_inquiry(const ScsiDisk *d, uint8_t *p)
{
    enum { REMOVABLE = 0x80, SPC_3 = 5, FORMAT = 2, SIZE = 36 };

    p[0] = d->cdrom ? CD : 0;
    p[1] = d->removable ? REMOVABLE : 0;
    p[2] = SPC_3;
    p[3] = FORMAT;
    p[4] = SIZE - 5;
    put_text(p + 8, 8, d->vendor);
    put_text(p + 16, 16, d->product);
    put_text(p + 32, 4, "1.0");
    return SIZE;
}

void scsi_inquiry(ScsiCommand *cmd)
{
    size_t room = bytes_get_be16(cmd->cdb + 3), size;

    if (!(cmd->cdb[1] & 1)) {
        if (cmd->cdb[2]) {
            scsi_fail(cmd, SENSE_BAD_CDB);
            return;
        }
        scsi_respond(cmd, standard_inquiry(cmd->disk, cmd->buf), room);
        return;
    }
    if (!vpd_page(cmd, cmd->cdb[2], &size)) {
        scsi_fail(cmd, SENSE_BAD_CDB);
        return;
    }
    cmd->buf[0] = cmd->disk->cdrom ? CD : 0;
    cmd->buf[1] = cmd->cdb[2];
    bytes_put_be16(cmd->buf + 2, (uint16_t)size);
    scsi_respond(cmd, 4 + size, room);
}

/* ---- MODE SENSE ---- */

/* SBC-3, 6.4.5: a write cache. None of it can be changed. */
static size_t caching_page(uint8_t *p, bool changeable)
{
    enum { SIZE = 20, WRITE_CACHE = 4 };

    p[0] = MODE_CACHING;
    p[1] = SIZE - 2;
    p[2] = changeable ? 0 : WRITE_CACHE;
    return SIZE;
}

static size_t control_page(uint8_t *p)
{
    enum { SIZE = 12 };

    p[0] = MODE_CONTROL;
    p[1] = SIZE - 2;
    return SIZE;
}

/* SBC-3, 6.4.2. */
static size_t block_descriptor(const ScsiDisk *d, uint8_t *p)
{
    bytes_put_be32(p, (uint32_t)MIN(scsi_blocks(d), UINT32_MAX));
    bytes_put_be32(p + 4, d->block_size); /* of 3 bytes: a block is smaller */
    return 8;
}

static size_t disk_pages(uint8_t page, bool changeable, uint8_t *p)
{
    size_t n = 0;

    if (page == MODE_CACHING || page == MODE_ALL) {
        n += caching_page(p, changeable);
    }
    if (page == MODE_CONTROL || page == MODE_ALL) {
        n += control_page(p + n);
    }
    return n;
}

static size_t cd_pages(const ScsiDisk *d, uint8_t page, uint8_t *p)
{
    size_t n = 0;

    if (page == MODE_RECOVERY || page == MODE_ALL) {
        n += scsi_cd_recovery_page(p);
    }
    if (page == MODE_CAPABILITIES || page == MODE_ALL) {
        n += scsi_cd_capabilities_page(d, p + n);
    }
    return n;
}

void scsi_mode_sense(ScsiCommand *cmd)
{
    enum { NO_DESCRIPTOR = 8, WRITE_PROTECTED = 0x80, FUA = 0x10, CHANGEABLE = 1, SAVED = 3 };
    bool wide = cmd->cdb[0] == OP_MODE_SENSE_10;
    uint8_t page = cmd->cdb[2] & 0x3f, control = cmd->cdb[2] >> 6;
    size_t head = wide ? 8 : 4, n = head, before;
    uint8_t *b = cmd->buf;
    uint8_t flags =
        (uint8_t)(cmd->disk->cdrom ? 0 : FUA | (scsi_is_readonly(cmd->disk) ? WRITE_PROTECTED : 0));

    if (control == SAVED || (cmd->cdb[3] && cmd->cdb[3] != 0xff)) {
        scsi_fail(cmd, SENSE_BAD_CDB);
        return;
    }
    if (!(cmd->cdb[1] & NO_DESCRIPTOR) && !cmd->disk->cdrom) {
        n += block_descriptor(cmd->disk, b + n);
        b[wide ? 7 : 3] = 8;
    }
    before = n;
    n += cmd->disk->cdrom ? cd_pages(cmd->disk, page, b + n)
                          : disk_pages(page, control == CHANGEABLE, b + n);
    if (n == before) {
        scsi_fail(cmd, SENSE_BAD_CDB);
        return;
    }
    for (size_t at = before; cmd->disk->cdrom && control == CHANGEABLE && at < n;
         at += 2u + b[at + 1]) {
        memset(b + at + 2, 0, b[at + 1]); /* nothing is */
    }
    b[wide ? 3 : 2] = flags;
    b[wide ? 1 : 0] = (uint8_t)(n - (wide ? 2 : 1));
    scsi_respond(cmd, n, wide ? bytes_get_be16(cmd->cdb + 7) : cmd->cdb[4]);
}

/* ---- Capacity, logical units, sense ---- */

void scsi_read_capacity(ScsiCommand *cmd)
{
    enum { SIZE_10 = 8, SIZE_16 = 32, READ_CAPACITY_16 = 0x10, PROVISIONED = 0x80 };
    const ScsiDisk *d = cmd->disk;
    uint64_t last = MAX(scsi_blocks(d), 1) - 1;
    uint8_t *b = cmd->buf;

    if (cmd->cdb[0] == OP_READ_CAPACITY_10) {
        bytes_put_be32(b, (uint32_t)MIN(last, UINT32_MAX));
        bytes_put_be32(b + 4, d->block_size);
        scsi_respond(cmd, SIZE_10, SIZE_10);
        return;
    }
    if ((cmd->cdb[1] & 0x1f) != READ_CAPACITY_16) {
        scsi_fail(cmd, SENSE_BAD_CDB);
        return;
    }
    bytes_put_be64(b, last);
    bytes_put_be32(b + 8, d->block_size);
    b[13] = (uint8_t)__builtin_ctz(d->physical_block_size / d->block_size);
    b[14] = scsi_is_readonly(d) ? 0 : PROVISIONED;
    scsi_respond(cmd, SIZE_16, bytes_get_be32(cmd->cdb + 10));
}

void scsi_report_luns(ScsiCommand *cmd)
{
    enum { SIZE = 16 };

    cmd->buf[3] = 8; /* one unit, number 0 */
    scsi_respond(cmd, SIZE, bytes_get_be32(cmd->cdb + 6));
}

void scsi_request_sense(ScsiCommand *cmd)
{
    ScsiDisk *d = cmd->disk;
    ScsiCommand kept = { .sense_key = d->sense_key, .asc = d->asc, .ascq = d->ascq };

    if (!d->sense_key && d->attention) {
        kept.sense_key = SENSE_POWER_ON >> 16;
        kept.asc = SENSE_POWER_ON >> 8 & 0xff;
        d->attention = false;
    }
    scsi_sense(&kept, cmd->buf);
    scsi_respond(cmd, SCSI_SENSE_SIZE, cmd->cdb[4]);
}
