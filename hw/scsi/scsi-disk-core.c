/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A SCSI disk's commands: which there are, their blocks and ranges, and the way of their data.
 *
 * A transfer that is whole blocks goes straight between the back end and the transport's buffers. Any other goes by pieces through a bounce
 * buffer, and the part
 * of a block that was written stays in the command's buf until the rest is there.
 */
#include "hw/scsi/scsi-priv.h"

#include <errno.h>
#include <string.h>
#include "softmmu/memory.h"
#include "util/bytes.h"

enum { PIECE = 64 << 10 };
enum { CDB_FUA = 0x08 };

/* ---- The end of a command ---- */

static void end(ScsiCommand *cmd, uint8_t status, uint32_t sense)
{
    cmd->kind = SCSI_IDLE;
    cmd->status = status;
    cmd->sense_key = (uint8_t)(sense >> 16);
    cmd->asc = (uint8_t)(sense >> 8);
    cmd->ascq = (uint8_t)sense;
    if (cmd->disk->fixed_sense) {
        cmd->disk->sense_key = cmd->sense_key;
        cmd->disk->asc = cmd->asc;
        cmd->disk->ascq = cmd->ascq;
    }
}

void scsi_fail(ScsiCommand *cmd, uint32_t sense)
{
    end(cmd, SCSI_CHECK_CONDITION, sense);
}

void scsi_good(ScsiCommand *cmd)
{
    end(cmd, SCSI_GOOD, SENSE_NONE);
}

void scsi_respond(ScsiCommand *cmd, size_t size, size_t room)
{
    cmd->length = MIN(size, room);
    if (cmd->length) {
        cmd->kind = SCSI_TO_HOST;
    } else {
        scsi_good(cmd);
    }
}

void scsi_sense(const ScsiCommand *cmd, uint8_t sense[SCSI_SENSE_SIZE])
{
    enum { CURRENT_FIXED = 0x70 };

    memset(sense, 0, SCSI_SENSE_SIZE);
    sense[0] = CURRENT_FIXED;
    sense[2] = cmd->sense_key;
    sense[7] = SCSI_SENSE_SIZE - 8;
    sense[12] = cmd->asc;
    sense[13] = cmd->ascq;
}

static void finished(ScsiCommand *cmd)
{
    g_clear_pointer(&cmd->bounce.iov_base, g_free);
    cmd->iov = NULL;
    cmd->done(cmd);
}

/* ---- What follows the data: flushes and discards ---- */

static void flushed(BlockRequest *io, int error)
{
    ScsiCommand *cmd = io->opaque;

    if (error) {
        scsi_fail(cmd, SENSE_WRITE_ERROR);
    } else {
        scsi_good(cmd);
    }
    finished(cmd);
}

static void flush(ScsiCommand *cmd)
{
    cmd->kind = SCSI_NO_DATA;
    cmd->io = (BlockRequest){ .op = BLOCK_FLUSH, .done = flushed, .opaque = cmd };
    block_submit(cmd->disk->blk, &cmd->io);
}

static void discarded(BlockRequest *io, int error)
{
    ScsiCommand *cmd = io->opaque;
    unsigned n = (unsigned)(bytes_get_be16(cmd->buf + 2) / 16);
    const uint8_t *range = cmd->buf + 8 + (size_t)cmd->next_range * 16;

    if (error || cmd->next_range >= n) {
        flushed(io, error);
        return;
    }
    cmd->next_range++;
    io->op = BLOCK_DISCARD;
    io->offset = bytes_get_be64(range) * cmd->disk->block_size;
    io->bytes = (uint64_t)bytes_get_be32(range + 8) * cmd->disk->block_size;
    block_submit(cmd->disk->blk, io);
}

static bool range_is_good(const ScsiDisk *d, uint64_t block, uint64_t n)
{
    uint64_t blocks = scsi_blocks(d);

    return block <= blocks && n <= blocks - block;
}

/* The whole parameter list of UNMAP is in buf (SBC-3, 5.28.2). */
static void unmap(ScsiCommand *cmd)
{
    uint16_t size = cmd->length >= 8 ? bytes_get_be16(cmd->buf + 2) : 0;

    if (size % 16 || size + 8u > MAX(cmd->length, 8)) {
        scsi_fail(cmd, SENSE_BAD_PARAMETERS);
        finished(cmd);
        return;
    }
    for (unsigned i = 0; i < size / 16u; i++) {
        const uint8_t *range = cmd->buf + 8 + (size_t)i * 16;

        if (!range_is_good(cmd->disk, bytes_get_be64(range), bytes_get_be32(range + 8))) {
            scsi_fail(cmd, SENSE_OUT_OF_RANGE);
            finished(cmd);
            return;
        }
    }
    if (!size) {
        scsi_good(cmd);
        finished(cmd);
        return;
    }
    cmd->kind = SCSI_NO_DATA;
    cmd->next_range = 0;
    cmd->io = (BlockRequest){ .done = discarded, .opaque = cmd };
    discarded(&cmd->io, 0);
}

/* ---- The way of the data ---- */

/* All of a transfer was moved, and perhaps all of the command's. */
static void moved(ScsiCommand *cmd)
{
    bool fua = cmd->kind == SCSI_WRITING && cmd->cdb[0] != OP_WRITE_6 && (cmd->cdb[1] & CDB_FUA);

    if (cmd->pos < cmd->length) {
        finished(cmd);
    } else if (cmd->kind == SCSI_TO_DISK) {
        unmap(cmd);
    } else if (fua) {
        flush(cmd);
    } else {
        scsi_good(cmd);
        finished(cmd);
    }
}

static void io_failed(ScsiCommand *cmd)
{
    scsi_fail(cmd, cmd->kind == SCSI_READING ? SENSE_READ_ERROR : SENSE_WRITE_ERROR);
    finished(cmd);
}

static void whole_done(BlockRequest *io, int error)
{
    ScsiCommand *cmd = io->opaque;

    if (error) {
        io_failed(cmd);
        return;
    }
    for (int i = 0; cmd->kind == SCSI_READING && i < cmd->n_iov; i++) {
        memory_written(cmd->iov[i].iov_base, cmd->iov[i].iov_len);
    }
    cmd->pos += cmd->bytes;
    moved(cmd);
}

/* Copies @len bytes between @buf and the transfer's buffers at bytes_done. */
static void copy(ScsiCommand *cmd, uint8_t *buf, uint64_t len, bool to_host)
{
    uint64_t skip = cmd->bytes_done;

    cmd->bytes_done += len;
    cmd->pos += len;
    for (int i = 0; i < cmd->n_iov && len; i++) {
        uint64_t size = cmd->iov[i].iov_len, n;
        uint8_t *at;

        if (skip >= size) {
            skip -= size;
            continue;
        }
        at = (uint8_t *)cmd->iov[i].iov_base + skip;
        n = MIN(size - skip, len);
        memcpy(to_host ? at : buf, to_host ? buf : at, n);
        if (to_host) {
            memory_written(at, n);
        }
        buf += n;
        len -= n;
        skip = 0;
    }
}

static void run_pieces(ScsiCommand *cmd);

/* False: the command has ended. */
static bool take_piece(ScsiCommand *cmd)
{
    uint32_t within = (uint32_t)(cmd->pos % cmd->disk->block_size);

    if (cmd->piece_error) {
        io_failed(cmd);
        return false;
    }
    if (cmd->kind == SCSI_READING) {
        copy(cmd, (uint8_t *)cmd->bounce.iov_base + within,
             MIN(cmd->io.bytes - within, cmd->bytes - cmd->bytes_done), true);
    }
    return true;
}

static void piece_done(BlockRequest *io, int error)
{
    ScsiCommand *cmd = io->opaque;

    cmd->piece_error = error;
    cmd->piece_ended = true;
    if (!cmd->submitting && take_piece(cmd)) {
        run_pieces(cmd);
    }
}

static void submit_piece(ScsiCommand *cmd, BlockOp op, uint64_t at, uint64_t bytes)
{
    cmd->bounce.iov_len = bytes;
    cmd->io = (BlockRequest){ .op = op,
                              .offset = at,
                              .bytes = bytes,
                              .iov = &cmd->bounce,
                              .n_iov = 1,
                              .not_at_hand = true, /* the lock is free between pieces */
                              .done = piece_done,
                              .opaque = cmd };
    cmd->submitting = true;
    cmd->piece_ended = false;
    block_submit(cmd->disk->blk, &cmd->io);
    cmd->submitting = false;
}

static void read_piece(ScsiCommand *cmd)
{
    uint32_t size = cmd->disk->block_size;
    uint64_t first = cmd->pos / size * size;
    uint64_t last = cmd->pos + (cmd->bytes - cmd->bytes_done); /* not in it */

    last = (last + size - 1) / size * size;
    submit_piece(cmd, BLOCK_READ, cmd->offset + first, MIN(last - first, PIECE));
}

/* Whole blocks of what buf has and the transfer brings are written; the rest stays in buf. False: nothing is left to write. */
static bool write_piece(ScsiCommand *cmd)
{
    uint32_t size = cmd->disk->block_size, kept = (uint32_t)(cmd->pos % size);
    uint64_t left = cmd->bytes - cmd->bytes_done, first = cmd->pos - kept;
    uint64_t whole = MIN((kept + left) / size * size, PIECE);
    uint8_t *to = cmd->bounce.iov_base;

    if (!whole) {
        copy(cmd, cmd->buf + kept, left, false);
        return false;
    }
    memcpy(to, cmd->buf, kept);
    copy(cmd, to + kept, whole - kept, false);
    submit_piece(cmd, BLOCK_WRITE, cmd->offset + first, whole);
    return true;
}

/* False: all was moved. */
static bool next_piece(ScsiCommand *cmd)
{
    if (cmd->bytes_done == cmd->bytes) {
        return false;
    }
    if (cmd->kind == SCSI_WRITING) {
        return write_piece(cmd);
    }
    read_piece(cmd);
    return true;
}

/* One after the other. One that ends within its submission is taken here and not from within, as there may be many. */
static void run_pieces(ScsiCommand *cmd)
{
    do {
        if (!next_piece(cmd)) {
            moved(cmd);
            return;
        }
    } while (cmd->piece_ended && take_piece(cmd));
}

static void transfer_blocks(ScsiCommand *cmd)
{
    uint32_t size = cmd->disk->block_size;

    if (!scsi_has_medium(cmd->disk)) {
        scsi_fail(cmd, SENSE_NO_MEDIUM);
        finished(cmd);
        return;
    }
    if (cmd->pos % size || cmd->bytes % size) {
        cmd->bounce.iov_base = g_malloc(PIECE);
        run_pieces(cmd);
        return;
    }
    cmd->io = (BlockRequest){ .op = cmd->kind == SCSI_READING ? BLOCK_READ : BLOCK_WRITE,
                              .offset = cmd->offset + cmd->pos,
                              .bytes = cmd->bytes,
                              .iov = cmd->iov,
                              .n_iov = cmd->n_iov,
                              .done = whole_done,
                              .opaque = cmd };
    block_submit(cmd->disk->blk, &cmd->io);
}

void scsi_transfer(ScsiCommand *cmd, struct iovec *iov, int n_iov, uint64_t bytes)
{
    g_assert(bytes <= cmd->length - cmd->pos);
    cmd->iov = iov;
    cmd->n_iov = n_iov;
    cmd->bytes = bytes;
    cmd->bytes_done = 0;
    if (!bytes) {
        finished(cmd);
    } else if (cmd->kind == SCSI_TO_HOST || cmd->kind == SCSI_TO_DISK) {
        copy(cmd, cmd->buf + cmd->pos, bytes, cmd->kind == SCSI_TO_HOST);
        moved(cmd);
    } else {
        transfer_blocks(cmd);
    }
}

bool scsi_is_to_host(const ScsiCommand *cmd)
{
    return cmd->kind == SCSI_TO_HOST || cmd->kind == SCSI_READING;
}

void scsi_abandon(ScsiCommand *cmd)
{
    cmd->kind = SCSI_IDLE;
    cmd->length = cmd->pos = 0;
}

/* ---- Commands ---- */

static void start_stop(ScsiCommand *cmd)
{
    enum { START = 1, LOAD_EJECT = 2, NO_FLUSH = 4, CONDITION = 0xf0 };
    ScsiDisk *d = cmd->disk;
    bool eject = (cmd->cdb[4] & LOAD_EJECT) && !(cmd->cdb[4] & CONDITION) && d->removable;

    if (eject && !(cmd->cdb[4] & START) && d->locked) {
        scsi_fail(cmd, SENSE_LOCKED);
        return;
    }
    if (eject) {
        d->ejected = !(cmd->cdb[4] & START);
    }
    if ((cmd->cdb[4] & (START | NO_FLUSH)) || d->cdrom) {
        scsi_good(cmd);
    } else {
        cmd->kind = SCSI_NO_DATA; /* what it keeps is written first (SBC-3, 5.24) */
    }
}

/* First block and number of blocks of READ, WRITE, VERIFY in all their sizes. */
static void get_range(const uint8_t *cdb, uint64_t *block, uint64_t *n)
{
    switch (cdb[0] >> 5) {
    case 0: /* 6 bytes */
        *block = (bytes_get_be32(cdb) & 0x1fffff);
        *n = cdb[4] ? cdb[4] : 256;
        break;
    case 4: /* 16 */
        *block = bytes_get_be64(cdb + 2);
        *n = bytes_get_be32(cdb + 10);
        break;
    case 5: /* 12 */
        *block = bytes_get_be32(cdb + 2);
        *n = bytes_get_be32(cdb + 6);
        break;
    default: /* 10 */
        *block = bytes_get_be32(cdb + 2);
        *n = bytes_get_be16(cdb + 7);
        break;
    }
}

static void blocks(ScsiCommand *cmd, ScsiKind kind)
{
    enum { PROTECT = 0xe0 };
    const ScsiDisk *d = cmd->disk;
    uint64_t block, n;
    bool long_cdb = cmd->cdb[0] >> 5;

    get_range(cmd->cdb, &block, &n);
    if (long_cdb && (cmd->cdb[1] & PROTECT)) {
        scsi_fail(cmd, SENSE_BAD_CDB);
    } else if (kind == SCSI_WRITING && scsi_is_readonly(d)) {
        scsi_fail(cmd, SENSE_WRITE_PROTECTED);
    } else if (!range_is_good(d, block, n)) {
        scsi_fail(cmd, SENSE_OUT_OF_RANGE);
    } else if (!n) {
        scsi_good(cmd);
    } else {
        cmd->kind = (uint8_t)kind;
        cmd->offset = block * d->block_size;
        cmd->length = n * d->block_size;
    }
}

/* VERIFY without a comparison: the blocks are there. */
static void verify(ScsiCommand *cmd)
{
    enum { BYTE_CHECK = 0x06 };
    uint64_t block, n;

    get_range(cmd->cdb, &block, &n);
    if (cmd->cdb[1] & BYTE_CHECK) {
        scsi_fail(cmd, SENSE_BAD_CDB);
    } else if (!range_is_good(cmd->disk, block, n)) {
        scsi_fail(cmd, SENSE_OUT_OF_RANGE);
    } else {
        scsi_good(cmd);
    }
}

static void start_unmap(ScsiCommand *cmd)
{
    size_t size = bytes_get_be16(cmd->cdb + 7);

    if (scsi_is_readonly(cmd->disk)) {
        scsi_fail(cmd, SENSE_WRITE_PROTECTED);
    } else if (size > SCSI_BUFFER || (cmd->cdb[1] & 1)) { /* anchored blocks are not known */
        scsi_fail(cmd, SENSE_BAD_CDB);
    } else if (!size) {
        scsi_good(cmd);
    } else {
        cmd->kind = SCSI_TO_DISK;
        cmd->length = size;
    }
}

/* Commands that need no medium, and are answered before a unit attention is told (SPC-4, 5.14). */
static bool run_always(ScsiCommand *cmd)
{
    switch (cmd->cdb[0]) {
    case OP_INQUIRY:
        scsi_inquiry(cmd);
        return true;
    case OP_REPORT_LUNS:
        scsi_report_luns(cmd);
        return true;
    case OP_REQUEST_SENSE:
        scsi_request_sense(cmd);
        return true;
    }
    return cmd->disk->cdrom && scsi_cd_run_always(cmd);
}

static bool run_without_medium(ScsiCommand *cmd)
{
    switch (cmd->cdb[0]) {
    case OP_MODE_SENSE_6:
    case OP_MODE_SENSE_10:
        scsi_mode_sense(cmd);
        return true;
    case OP_START_STOP:
        start_stop(cmd);
        return true;
    case OP_PREVENT_REMOVAL:
        cmd->disk->locked = cmd->cdb[4] & 1;
        scsi_good(cmd);
        return true;
    }
    return cmd->disk->cdrom && scsi_cd_run_without_medium(cmd);
}

static void run(ScsiCommand *cmd)
{
    switch (cmd->cdb[0]) {
    case OP_TEST_UNIT_READY:
        scsi_good(cmd);
        break;
    case OP_READ_CAPACITY_10:
    case OP_SERVICE_IN_16:
        scsi_read_capacity(cmd);
        break;
    case OP_READ_6:
    case OP_READ_10:
    case OP_READ_12:
    case OP_READ_16:
        blocks(cmd, SCSI_READING);
        break;
    case OP_WRITE_6:
    case OP_WRITE_10:
    case OP_WRITE_12:
    case OP_WRITE_16:
        blocks(cmd, SCSI_WRITING);
        break;
    case OP_VERIFY_10:
    case OP_VERIFY_16:
        verify(cmd);
        break;
    case OP_SYNCHRONIZE_10:
    case OP_SYNCHRONIZE_16:
        cmd->kind = SCSI_NO_DATA;
        break;
    case OP_UNMAP:
        start_unmap(cmd);
        break;
    default:
        scsi_fail(cmd, SENSE_BAD_OPCODE);
        break;
    }
}

void scsi_start(ScsiCommand *cmd, const uint8_t *cdb, size_t size)
{
    ScsiDisk *d = cmd->disk;

    memset(cmd->cdb, 0, sizeof(cmd->cdb));
    memcpy(cmd->cdb, cdb, MIN(size, sizeof(cmd->cdb)));
    memset(cmd->buf, 0, sizeof(cmd->buf));
    cmd->kind = SCSI_IDLE;
    cmd->length = cmd->pos = cmd->offset = 0;
    if (run_always(cmd)) {
    } else if (d->attention) {
        d->attention = false;
        scsi_fail(cmd, SENSE_POWER_ON);
    } else if (run_without_medium(cmd)) {
    } else if (!scsi_has_medium(d)) {
        scsi_fail(cmd, SENSE_NO_MEDIUM);
    } else if (!d->cdrom || !scsi_cd_run(cmd)) {
        run(cmd);
    }
    if (cmd->kind == SCSI_NO_DATA) {
        flush(cmd);
    } else if (cmd->kind == SCSI_IDLE) {
        finished(cmd);
    }
}

void scsi_command_init(ScsiCommand *cmd, ScsiDisk *disk, void (*done)(ScsiCommand *), void *opaque)
{
    cmd->disk = disk;
    cmd->done = done;
    cmd->opaque = opaque;
}

bool scsi_command_is_sane(const ScsiCommand *cmd)
{
    bool buffered = cmd->kind == SCSI_TO_HOST || cmd->kind == SCSI_TO_DISK;

    /* What has no data does not outlive a drained back end. */
    return cmd->kind < N_SCSI_KINDS && cmd->kind != SCSI_NO_DATA && cmd->pos <= cmd->length &&
           (!buffered || cmd->length <= SCSI_BUFFER) && cmd->offset <= INT64_MAX / 2 &&
           cmd->length <= INT64_MAX / 2;
}

/* ---- The disk ---- */

void scsi_disk_reset(ScsiDisk *disk)
{
    disk->sense_key = disk->asc = disk->ascq = 0;
    disk->attention = true;
    disk->ejected = disk->locked = false;
}

bool scsi_disk_realize(ScsiDisk *disk, const char *model, const char *id, GError **error)
{
    uint32_t logical = disk->block_size, physical = disk->physical_block_size;
    g_autofree char *user = g_strdup_printf("%s '%s'", model, id ? id : "");

    if (!disk->blk && disk->cdrom) {
        return true;
    }
    if (!disk->blk) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: drive= is missing",
                    model);
        return false;
    }
    if ((logical & (logical - 1)) || (physical & (physical - 1)) || logical > physical) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: block sizes %u and %u: expected powers of 2, the physical one not less",
                    model, logical, physical);
        return false;
    }
    if (!block_claim(disk->blk, user, error)) {
        g_prefix_error(error, "%s: ", model);
        return false;
    }
    return true;
}

void scsi_disk_drain(ScsiDisk *disk)
{
    if (disk->blk) {
        block_drain(disk->blk);
    }
}

void scsi_disk_unrealize(ScsiDisk *disk)
{
    scsi_disk_drain(disk);
    if (disk->blk) {
        block_release(disk->blk);
    }
}
