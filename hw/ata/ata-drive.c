/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all Serial ATA drives do alike: commands without data, IDENTIFY, features, the log of queued errors, and how a command ends. */
#include "hw/ata/ata.h"

#include <string.h>
#include "util/bytes.h"

enum { LOG_DIRECTORY = 0x00, LOG_QUEUED_ERROR = 0x10, LOG_PAGE = ATA_SECTOR };

G_DEFINE_ABSTRACT_TYPE(HwAtaDrive, hw_ata_drive, HW_TYPE_DEVICE)

/* ---- What the FIS says ---- */

bool ata_is_queued(const uint8_t fis[FIS_H2D_SIZE])
{
    return fis[FIS_COMMAND] == ATA_READ_FPDMA_QUEUED || fis[FIS_COMMAND] == ATA_WRITE_FPDMA_QUEUED;
}

unsigned ata_tag(const uint8_t fis[FIS_H2D_SIZE])
{
    return fis[FIS_COUNT] >> 3;
}

uint64_t ata_get_lba(const uint8_t *fis, bool extended)
{
    uint64_t low = fis[FIS_LBA] | fis[FIS_LBA + 1] << 8 | fis[FIS_LBA + 2] << 16;
    uint64_t high =
        fis[FIS_LBA_HIGH] | fis[FIS_LBA_HIGH + 1] << 8 | (uint32_t)fis[FIS_LBA_HIGH + 2] << 16;

    return low | (extended ? high : fis[FIS_DEVICE] & 0xfu) << 24;
}

uint32_t ata_get_count(const uint8_t *fis, bool extended)
{
    uint32_t n = extended ? bytes_get_le16(fis + FIS_COUNT) : fis[FIS_COUNT];

    return n ? n : extended ? 0x10000 : 0x100;
}

/* ---- The end ---- */

static void end(AtaCommand *cmd, uint8_t status, uint8_t error)
{
    cmd->status = status;
    cmd->error = error;
    g_clear_pointer(&cmd->buf, g_free);
    cmd->length = 0;
    cmd->done(cmd);
}

void ata_end(AtaCommand *cmd, uint8_t error)
{
    HwAtaDrive *d = cmd->drive;
    uint8_t status = ATA_DRDY | ATA_DSC | (error ? ATA_ERR : 0);

    if (error && cmd->protocol == ATA_QUEUED && !d->queue_failed) {
        d->queue_failed = true;
        d->failed_tag = (uint8_t)ata_tag(cmd->fis);
        d->failed_status = status;
        d->failed_error = error;
        d->failed_lba = cmd->lba;
    }
    end(cmd, status, error);
}

void ata_refuse(AtaCommand *cmd)
{
    HwAtaDriveClass *dc = HW_ATA_DRIVE_GET_CLASS(cmd->drive);

    if (dc->refuse) {
        dc->refuse(cmd);
    }
    ata_end(cmd, ATA_ABRT);
}

uint8_t *ata_answer(AtaCommand *cmd, size_t size)
{
    cmd->buf = g_try_malloc0(size);
    if (!cmd->buf) {
        ata_end(cmd, ATA_ABRT);
        return NULL;
    }
    cmd->length = size;
    cmd->to_host = true;
    return cmd->buf;
}

static void copy_answer(AtaCommand *cmd)
{
    const uint8_t *from = cmd->buf;

    for (int i = 0; i < cmd->n_iov; i++) {
        memcpy(cmd->iov[i].iov_base, from, cmd->iov[i].iov_len);
        memory_written(cmd->iov[i].iov_base, cmd->iov[i].iov_len);
        from += cmd->iov[i].iov_len;
    }
    cmd->moved = cmd->length;
    ata_end(cmd, 0);
}

/* ---- Commands ---- */

static void identify(AtaCommand *cmd)
{
    uint16_t words[ATA_IDENTIFY_WORDS] = { 0 };
    uint8_t *p;

    cmd->protocol = ATA_PIO;
    p = ata_answer(cmd, sizeof(words));
    if (!p) {
        return;
    }
    HW_ATA_DRIVE_GET_CLASS(cmd->drive)->identify(cmd->drive, words);
    ata_identify_seal(words);
    for (unsigned i = 0; i < ATA_IDENTIFY_WORDS; i++) {
        bytes_put_le16(p + 2 * (size_t)i, words[i]);
    }
}

/* Serial ATA 3.1, 13.7.2: what became of the queued command that failed. Reading it ends the state after a failure. */
static void put_queued_error(HwAtaDrive *d, uint8_t *p)
{
    enum { NOT_QUEUED = 0x80, CHECKSUM = 511 };
    uint8_t sum = 0;

    p[0] = d->queue_failed ? d->failed_tag : NOT_QUEUED;
    p[2] = d->failed_status;
    p[3] = d->failed_error;
    for (unsigned i = 0; i < 3; i++) {
        p[4 + i] = (uint8_t)(d->failed_lba >> 8 * i);
        p[8 + i] = (uint8_t)(d->failed_lba >> (24 + 8 * i));
    }
    for (unsigned i = 0; i < CHECKSUM; i++) {
        sum = (uint8_t)(sum + p[i]);
    }
    p[CHECKSUM] = (uint8_t)-sum;
    d->queue_failed = false;
}

static void read_log(AtaCommand *cmd)
{
    unsigned log = cmd->fis[FIS_LBA], page = cmd->fis[FIS_LBA + 1], n;
    uint8_t *p;

    n = bytes_get_le16(cmd->fis + FIS_COUNT);
    cmd->protocol = cmd->fis[FIS_COMMAND] == ATA_READ_LOG_EXT ? ATA_PIO : ATA_DMA;
    if ((log != LOG_DIRECTORY && log != LOG_QUEUED_ERROR) || page || n != 1) {
        ata_end(cmd, ATA_ABRT);
        return;
    }
    p = ata_answer(cmd, LOG_PAGE);
    if (!p) {
        return;
    }
    if (log == LOG_DIRECTORY) {
        bytes_put_le16(p, 1); /* version; then the number of pages of each log */
        bytes_put_le16(p + 2 * LOG_QUEUED_ERROR, 1);
    } else {
        put_queued_error(cmd->drive, p);
    }
}

/* What the drive keeps is written before the command ends. */
static void flush_first(AtaCommand *cmd)
{
    HwAtaDriveClass *dc = HW_ATA_DRIVE_GET_CLASS(cmd->drive);

    if (dc->flush) {
        dc->flush(cmd);
    } else {
        ata_end(cmd, 0);
    }
}

static void set_features(AtaCommand *cmd)
{
    enum {
        WRITE_CACHE_ON = 0x02,
        TRANSFER_MODE = 0x03,
        SATA_ON = 0x10,
        READ_AHEAD_OFF = 0x55,
        WRITE_CACHE_OFF = 0x82,
        SATA_OFF = 0x90,
        READ_AHEAD_ON = 0xaa
    };
    HwAtaDrive *d = cmd->drive;

    switch (cmd->fis[FIS_FEATURES]) {
    case WRITE_CACHE_ON:
    case WRITE_CACHE_OFF:
        d->write_cache = cmd->fis[FIS_FEATURES] == WRITE_CACHE_ON;
        if (!d->write_cache) {
            flush_first(cmd);
            return;
        }
        break;
    case READ_AHEAD_ON:
    case READ_AHEAD_OFF:
        d->read_ahead = cmd->fis[FIS_FEATURES] == READ_AHEAD_ON;
        break;
    case TRANSFER_MODE: /* all are as fast */
    case SATA_ON:       /* and none of these does anything here */
    case SATA_OFF:
        break;
    default:
        ata_end(cmd, ATA_ABRT);
        return;
    }
    ata_end(cmd, 0);
}

void ata_end_with_signature(AtaCommand *cmd)
{
    enum { PASSED = 0x01 };
    uint32_t signature = ata_signature(cmd->drive);

    cmd->lba = signature >> 8;
    cmd->count = signature & 0xff;
    end(cmd, signature == ATA_SIGNATURE_DISK ? ATA_DRDY | ATA_DSC : 0, PASSED);
}

/* False: it is the drive's own. */
static bool run_common(AtaCommand *cmd, bool packet)
{
    enum { ACTIVE = 0xff };

    switch (cmd->fis[FIS_COMMAND]) {
    case ATA_IDENTIFY:
    case ATA_IDENTIFY_PACKET:
        if (packet != (cmd->fis[FIS_COMMAND] == ATA_IDENTIFY_PACKET)) {
            cmd->lba = ata_signature(cmd->drive) >> 8; /* so that the driver knows what it is */
            ata_end(cmd, ATA_ABRT);
        } else {
            identify(cmd);
        }
        return true;
    case ATA_READ_LOG_EXT:
    case ATA_READ_LOG_DMA_EXT:
        read_log(cmd);
        return true;
    case ATA_SET_FEATURES:
        set_features(cmd);
        return true;
    case ATA_DIAGNOSTIC:
        ata_end_with_signature(cmd);
        return true;
    case ATA_CHECK_POWER:
        cmd->count = ACTIVE;
        ata_end(cmd, 0);
        return true;
    case ATA_STANDBY_IMMEDIATE:
    case ATA_STANDBY:
    case ATA_SLEEP:
        flush_first(cmd); /* nothing here turns */
        return true;
    case ATA_IDLE_IMMEDIATE:
    case ATA_IDLE:
        ata_end(cmd, 0);
        return true;
    }
    return false;
}

void ata_start(AtaCommand *cmd)
{
    HwAtaDriveClass *dc = HW_ATA_DRIVE_GET_CLASS(cmd->drive);

    cmd->protocol = ATA_NON_DATA;
    cmd->length = cmd->moved = 0;
    cmd->status = cmd->error = 0;
    cmd->to_host = false;
    cmd->lba = ata_get_lba(cmd->fis, true);
    cmd->count = bytes_get_le16(cmd->fis + FIS_COUNT);
    cmd->then_flush = false;
    cmd->next_range = 0;
    if (!run_common(cmd, dc->signature == ATA_SIGNATURE_PACKET)) {
        dc->start(cmd);
    }
}

void ata_transfer(AtaCommand *cmd, struct iovec *iov, int n_iov)
{
    cmd->iov = iov;
    cmd->n_iov = n_iov;
    if (cmd->buf && cmd->to_host) {
        copy_answer(cmd);
    } else {
        HW_ATA_DRIVE_GET_CLASS(cmd->drive)->transfer(cmd);
    }
}

void ata_reset(HwAtaDrive *drive)
{
    HwAtaDriveClass *dc = HW_ATA_DRIVE_GET_CLASS(drive);

    drive->queue_failed = false;
    if (dc->soft_reset) {
        dc->soft_reset(drive);
    }
}

uint32_t ata_signature(HwAtaDrive *drive)
{
    return HW_ATA_DRIVE_GET_CLASS(drive)->signature;
}

BlockBackend *ata_backend(HwAtaDrive *drive)
{
    return HW_ATA_DRIVE_GET_CLASS(drive)->backend(drive);
}

/* ---- The device object ---- */

static const HwProp base_props[] = {
    HW_PROP(HwAtaDrive, serial, "serial", HW_PROP_STRING, 0, "serial number, up to 20 characters"),
    HW_PROP(HwAtaDrive, version, "ver", HW_PROP_STRING, 0, "firmware revision, up to 8"),
    HW_PROP(HwAtaDrive, product, "model", HW_PROP_STRING, 0, "name, up to 40"),
    { 0 },
};

static const StateField base_state[] = {
    HW_FIELD(HwAtaDrive, write_cache, STATE_BOOL, true, "write cache"),
    HW_FIELD(HwAtaDrive, read_ahead, STATE_BOOL, true, "read ahead"),
    HW_FIELD(HwAtaDrive, multiple, STATE_U8, 0, "sectors of READ MULTIPLE"),
    HW_FIELD(HwAtaDrive, queue_failed, STATE_BOOL, 0, "a queued command failed"),
    HW_FIELD(HwAtaDrive, failed_tag, STATE_U8, 0, "its tag"),
    HW_FIELD(HwAtaDrive, failed_status, STATE_U8, 0, "its status"),
    HW_FIELD(HwAtaDrive, failed_error, STATE_U8, 0, "its error"),
    HW_FIELD(HwAtaDrive, failed_lba, STATE_U64, 0, "its sector"),
    { 0 },
};

static bool fits(const HwAtaDrive *drive, const char *name, const char *text, size_t max,
                 GError **error)
{
    if (text && strlen(text) > max) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: %s: longer than %zu characters", HW_DEVICE_GET_CLASS(drive)->model, name,
                    max);
        return false;
    }
    return true;
}

bool ata_check_names(const HwAtaDrive *drive, GError **error)
{
    return fits(drive, "serial", drive->serial, ATA_SERIAL_MAX, error) &&
           fits(drive, "ver", drive->version, ATA_REVISION_MAX, error) &&
           fits(drive, "model", drive->product, ATA_MODEL_MAX, error);
}

void hw_ata_class_bind(HwAtaDriveClass *klass, const HwProp *own, const StateField *state)
{
    klass->parent.state = hw_state_join(base_state, state);
    hw_device_class_bind_props(&klass->parent, hw_props_join(base_props, own));
}

static void hw_ata_drive_init(HwAtaDrive *drive)
{
    (void)drive;
}

static void hw_ata_drive_class_init(HwAtaDriveClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "ata-drive";
    dc->bus_type = HW_ATA_BUS_TYPE;
}
