/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a CD or DVD drive has besides a disk's commands (MMC-6): one data track of 2048-byte sectors, features, events. */
#include "hw/scsi/scsi-priv.h"

#include <string.h>
#include "util/bytes.h"

enum {
    SECTOR = SCSI_CD_SECTOR,
    PER_SECOND = 75,
    LEAD_IN = 2 * PER_SECOND,
    MAX_CD_SECTORS = 80 * 60 * PER_SECOND
};
enum { PROFILE_CD_ROM = 0x0008, PROFILE_DVD_ROM = 0x0010 };

static bool is_dvd(const ScsiDisk *d)
{
    return scsi_blocks(d) > MAX_CD_SECTORS;
}

/* ---- Table of contents ---- */

/* A sector's address, as number or as minute, second and frame. */
static void put_address(uint8_t *p, uint32_t sector, bool msf)
{
    uint32_t frame = sector + LEAD_IN;

    if (!msf) {
        bytes_put_be32(p, sector);
        return;
    }
    p[0] = 0;
    p[1] = (uint8_t)(frame / PER_SECOND / 60);
    p[2] = (uint8_t)(frame / PER_SECOND % 60);
    p[3] = (uint8_t)(frame % PER_SECOND);
}

static uint8_t *put_track(uint8_t *p, uint8_t track, uint32_t sector, bool msf)
{
    enum { DATA_TRACK = 0x14 };

    p[1] = DATA_TRACK;
    p[2] = track;
    put_address(p + 4, sector, msf);
    return p + 8;
}

/* MMC-6, 6.25.3.4: as the lead-in has it, always by minute, second and frame. */
static uint8_t *put_raw(uint8_t *p, uint8_t point, uint8_t a, uint8_t b, uint8_t c)
{
    const uint8_t entry[11] = { 1, 0x14, 0, point, 0, 0, 0, 0, a, b, c };

    memcpy(p, entry, sizeof(entry));
    return p + sizeof(entry);
}

static void read_toc(ScsiCommand *cmd)
{
    enum { MSF = 2, LEAD_OUT = 0xaa, FORMAT_TOC = 0, FORMAT_SESSION = 1, FORMAT_RAW = 2 };
    uint32_t end = (uint32_t)MIN(scsi_blocks(cmd->disk), UINT32_MAX);
    bool msf = cmd->cdb[1] & MSF;
    uint8_t format = cmd->cdb[2] & 0xf, track = cmd->cdb[6], address[4];
    uint8_t *p = cmd->buf + 4;

    format = format ? format : cmd->cdb[9] >> 6; /* where it was before MMC */
    if (format > FORMAT_RAW || (format == FORMAT_TOC && track > 1 && track != LEAD_OUT)) {
        scsi_fail(cmd, SENSE_BAD_CDB);
        return;
    }
    cmd->buf[2] = cmd->buf[3] = 1; /* first and last track or session */
    if (format == FORMAT_RAW) {
        put_address(address, end, true);
        p = put_raw(p, 0xa0, 1, 0, 0);
        p = put_raw(p, 0xa1, 1, 0, 0);
        p = put_raw(p, 0xa2, address[1], address[2], address[3]);
        p = put_raw(p, 1, 0, 2, 0);
    } else {
        p = track != LEAD_OUT ? put_track(p, 1, 0, msf) : p;
        p = format == FORMAT_TOC ? put_track(p, LEAD_OUT, end, msf) : p;
    }
    bytes_put_be16(cmd->buf, (uint16_t)(p - cmd->buf - 2));
    scsi_respond(cmd, (size_t)(p - cmd->buf), bytes_get_be16(cmd->cdb + 7));
}

/* MMC-6, 6.22: a finished disc of one session. */
static void read_disc_information(ScsiCommand *cmd)
{
    enum { SIZE = 34, FINISHED = 0x0e };
    uint8_t *b = cmd->buf;

    bytes_put_be16(b, SIZE - 2);
    b[2] = FINISHED;
    b[3] = b[4] = b[5] = b[6] = 1; /* tracks and sessions */
    memset(b + 17, 0xff, 7);       /* neither lead-in nor lead-out can be written */
    scsi_respond(cmd, SIZE, bytes_get_be16(cmd->cdb + 7));
}

/* ---- Features and events ---- */

enum { FEATURE_PROFILES = 0x0000, FEATURE_CD_READ = 0x001e, FEATURE_DVD_READ = 0x001f };

typedef struct Feature {
    uint16_t code;
    uint8_t version, size, data[8];
} Feature;

/* What depends on the medium is current while there is one of its kind; the rest always (persistent). */
static bool is_current(const ScsiDisk *d, unsigned code)
{
    return (code != FEATURE_CD_READ && code != FEATURE_DVD_READ) ||
           (scsi_has_medium(d) && is_dvd(d) == (code == FEATURE_DVD_READ));
}

static uint8_t *put_feature(const ScsiDisk *d, uint8_t *p, const Feature *f)
{
    enum { PERSISTENT = 2, DVD_CURRENT_AT = 6, CD_CURRENT_AT = 10 };
    bool current = is_current(d, f->code);

    bytes_put_be16(p, f->code);
    p[2] = (uint8_t)(f->version << 2 | current);
    p[2] |= f->code == FEATURE_CD_READ || f->code == FEATURE_DVD_READ ? 0 : PERSISTENT;
    p[3] = f->size;
    memcpy(p + 4, f->data, f->size);
    if (f->code == FEATURE_PROFILES) {
        p[DVD_CURRENT_AT] = is_current(d, FEATURE_DVD_READ);
        p[CD_CURRENT_AT] = is_current(d, FEATURE_CD_READ);
    }
    return p + 4 + f->size;
}

/* MMC-6, 6.6, and the features of 5.3. */
static void get_configuration(ScsiCommand *cmd)
{
    static const Feature features[] = {
        { FEATURE_PROFILES, 0, 8, { 0, PROFILE_DVD_ROM, 0, 0, 0, PROFILE_CD_ROM, 0, 0 } },
        { 0x0001, 2, 8, { 0, 0, 0, 7 /* Serial ATA */, 3 /* INQUIRY, device busy */, 0, 0, 0 } },
        { 0x0003, 1, 4, { 0x29 /* a tray that ejects and locks */, 0, 0, 0 } },
        { 0x0010, 0, 8, { 0, 0, SECTOR >> 8, 0, 0, 1, 0, 0 } },
        { FEATURE_CD_READ, 2, 4, { 0 } },
        { FEATURE_DVD_READ, 1, 4, { 0 } },
    };
    enum { ALL = 0, ONE = 2 }; /* 1: what is current */
    uint8_t which = cmd->cdb[1] & 3, *p = cmd->buf + 8;
    uint16_t first = bytes_get_be16(cmd->cdb + 2);

    if (which > ONE) {
        scsi_fail(cmd, SENSE_BAD_CDB);
        return;
    }
    if (scsi_has_medium(cmd->disk)) {
        bytes_put_be16(cmd->buf + 6, is_dvd(cmd->disk) ? PROFILE_DVD_ROM : PROFILE_CD_ROM);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        const Feature *f = &features[i];

        if (which == ONE ? f->code == first
                         : f->code >= first && (which == ALL || is_current(cmd->disk, f->code))) {
            p = put_feature(cmd->disk, p, f);
        }
    }
    bytes_put_be32(cmd->buf, (uint32_t)(p - cmd->buf - 4));
    scsi_respond(cmd, (size_t)(p - cmd->buf), bytes_get_be16(cmd->cdb + 7));
}

/* MMC-6, 6.7: of the classes of events there is that of the medium. */
static void get_event(ScsiCommand *cmd)
{
    enum { POLLED = 1, CLASS_MEDIA = 4, NO_EVENT = 0x80, PRESENT = 2, OPEN = 1 };
    bool media = cmd->cdb[4] & 1 << CLASS_MEDIA;
    uint8_t *b = cmd->buf;

    if (!(cmd->cdb[1] & POLLED)) {
        scsi_fail(cmd, SENSE_BAD_CDB);
        return;
    }
    b[1] = media ? 6 : 2;
    b[2] = media ? CLASS_MEDIA : NO_EVENT;
    b[3] = 1 << CLASS_MEDIA;
    b[5] = scsi_has_medium(cmd->disk) ? PRESENT : cmd->disk->ejected ? OPEN : 0;
    scsi_respond(cmd, media ? 8 : 4, bytes_get_be16(cmd->cdb + 7));
}

static void mechanism_status(ScsiCommand *cmd)
{
    enum { SIZE = 8 };

    scsi_respond(cmd, SIZE, bytes_get_be16(cmd->cdb + 8));
}

/* ---- Reading ---- */

/* MMC-6, 6.19: of a sector's parts only the user data are there. */
static void read_cd(ScsiCommand *cmd)
{
    enum { TYPE = 0x1c, ANY = 0, MODE_1 = 2 << 2, PARTS = 0xf8, USER_DATA = 0x10 };
    uint64_t first = bytes_get_be32(cmd->cdb + 2), n = bytes_get_be32(cmd->cdb + 5) & 0xffffff;
    uint8_t type = cmd->cdb[1] & TYPE, parts = cmd->cdb[9] & PARTS;

    if ((type != ANY && type != MODE_1) || (parts && parts != USER_DATA) || (cmd->cdb[10] & 7)) {
        scsi_fail(cmd, SENSE_BAD_CDB);
    } else if (first > scsi_blocks(cmd->disk) || n > scsi_blocks(cmd->disk) - first) {
        scsi_fail(cmd, SENSE_OUT_OF_RANGE);
    } else if (!n || !parts) {
        scsi_good(cmd);
    } else {
        cmd->kind = SCSI_READING;
        cmd->offset = first * SECTOR;
        cmd->length = n * SECTOR;
    }
}

/* ---- Commands ---- */

bool scsi_cd_run_always(ScsiCommand *cmd)
{
    switch (cmd->cdb[0]) {
    case OP_GET_CONFIGURATION:
        get_configuration(cmd);
        return true;
    case OP_GET_EVENT:
        get_event(cmd);
        return true;
    }
    return false;
}

bool scsi_cd_run_without_medium(ScsiCommand *cmd)
{
    switch (cmd->cdb[0]) {
    case OP_MECHANISM_STATUS:
        mechanism_status(cmd);
        return true;
    case OP_SET_CD_SPEED:
        scsi_good(cmd);
        return true;
    }
    return false;
}

bool scsi_cd_run(ScsiCommand *cmd)
{
    switch (cmd->cdb[0]) {
    case OP_READ_TOC:
        read_toc(cmd);
        return true;
    case OP_READ_DISC_INFORMATION:
        read_disc_information(cmd);
        return true;
    case OP_READ_CD:
        read_cd(cmd);
        return true;
    case OP_SEEK_10:
        scsi_good(cmd);
        return true;
    case OP_WRITE_6: /* it is no writer */
    case OP_WRITE_10:
    case OP_WRITE_12:
    case OP_WRITE_16:
    case OP_UNMAP:
        scsi_fail(cmd, SENSE_BAD_OPCODE);
        return true;
    }
    return false;
}

/* MMC-6, 7.4 and appendix: pages of MODE SENSE. */
size_t scsi_cd_recovery_page(uint8_t *p)
{
    enum { SIZE = 12, RETRIES = 5 };

    p[0] = MODE_RECOVERY;
    p[1] = SIZE - 2;
    p[3] = RETRIES;
    return SIZE;
}

size_t scsi_cd_capabilities_page(const ScsiDisk *d, uint8_t *p)
{
    enum {
        SIZE = 22,
        READS = 0x3b /* CD-R, CD-RW, DVD */,
        MODE_2 = 0x70,
        LOCKS = 0x01,
        LOCKED = 0x02,
        EJECTS = 0x08,
        TRAY = 0x20,
        SPEED = 50 * 176
    };

    p[0] = MODE_CAPABILITIES;
    p[1] = SIZE - 2;
    p[2] = READS;
    p[4] = MODE_2;
    p[6] = (uint8_t)(LOCKS | EJECTS | TRAY | (d->locked ? LOCKED : 0));
    bytes_put_be16(p + 8, SPEED); /* kB/s */
    bytes_put_be16(p + 12, 2048); /* KiB of buffer */
    bytes_put_be16(p + 14, SPEED);
    return SIZE;
}
