/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A SCSI disk (SPC-4, SBC-3) or CD drive (MMC-6) without its transport: a transport starts a command with its CDB, learns how many bytes the disk
 * wants to move and which way, and moves them in as many transfers as it likes; then there is a status, with sense data if it is CHECK CONDITION.
 *
 * Data of READ and WRITE goes between the back end and the transport's buffers without a copy as long as transfers are whole blocks. A disk and a
 * command are embedded in their transport's device, whose state table has SCSI_DISK_STATE() and SCSI_COMMAND_STATE() fields of them; a command
 * whose back end has nothing in flight (block_drain()) is wholly described by those.
 *
 * All functions: machine lock held.
 */
#ifndef HW_SCSI_SCSI_H
#define HW_SCSI_SCSI_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "block/block.h"
#include "util/state.h"

enum {
    SCSI_CDB_SIZE = 16,
    SCSI_MAX_BLOCK = 4096,
    SCSI_CD_SECTOR = 2048,
    SCSI_BUFFER = 4096,
    SCSI_SENSE_SIZE = 18,
    SCSI_GOOD = 0x00,
    SCSI_CHECK_CONDITION = 0x02,
};

typedef struct ScsiDisk {
    /* Set by the transport before scsi_disk_realize(). */
    BlockBackend *blk;
    const char *serial;  /* or NULL; borrowed */
    const char *vendor;  /* up to 8 characters */
    const char *product; /* up to 16 */
    uint32_t block_size; /* logical: a power of 2 from 512 to SCSI_MAX_BLOCK */
    uint32_t physical_block_size;
    bool removable;
    bool cdrom; /* a CD or DVD drive (MMC-6), with blocks of 2048 bytes */
    bool
        fixed_sense; /* what a command ended with is kept for REQUEST SENSE (transports without sense data in their status) */
    /* State. */
    uint8_t sense_key, asc, ascq; /* for REQUEST SENSE */
    bool attention;               /* the next command is told of the reset */
    bool ejected, locked;
} ScsiDisk;

typedef enum ScsiKind {
    SCSI_IDLE,    /* no command, or it is over */
    SCSI_TO_HOST, /* a response from buf */
    SCSI_TO_DISK, /* parameters into buf, then the command is done */
    SCSI_READING, /* blocks */
    SCSI_WRITING, /* blocks */
    SCSI_NO_DATA, /* flushing, discarding */
    N_SCSI_KINDS
} ScsiKind;

typedef struct ScsiCommand ScsiCommand;
struct ScsiCommand {
    ScsiDisk *disk;
    /* Called after scsi_start() of a command without data and after each scsi_transfer(), perhaps before they return. */
    void (*done)(ScsiCommand *cmd);
    void *opaque;
    /* State. */
    uint8_t cdb[SCSI_CDB_SIZE];
    uint8_t kind;    /* ScsiKind; SCSI_IDLE: status says how it ended */
    uint64_t length; /* bytes that it wants to move */
    uint64_t pos;    /* bytes moved */
    uint64_t offset; /* of its first block on the disk, bytes */
    uint8_t status, sense_key, asc, ascq;
    uint8_t buf
        [SCSI_BUFFER]; /* response or parameters; when writing: the part of a block that came so far */
    /* While the back end works. */
    BlockRequest io;
    struct iovec bounce; /* base owned */
    struct iovec *iov;   /* of the transfer, borrowed */
    int n_iov;
    uint64_t bytes, bytes_done;
    bool submitting, piece_ended; /* a piece is being submitted; it has ended */
    int piece_error;
    unsigned next_range;
};

/* Checks block sizes and takes the back end for @user; the error begins with @model. A CD drive may have none: it is empty. */
bool scsi_disk_realize(ScsiDisk *disk, const char *model, const char *id, GError **error);
void scsi_disk_unrealize(ScsiDisk *disk);
/* Waits until the back end has nothing in flight. */
void scsi_disk_drain(ScsiDisk *disk);
/* Power on: the next command finds a unit attention. The transport has drained the back end. */
void scsi_disk_reset(ScsiDisk *disk);

void scsi_command_init(ScsiCommand *cmd, ScsiDisk *disk, void (*done)(ScsiCommand *), void *opaque);
/* Begins a command, whose CDB is padded with zeroes. Afterwards, if length is not 0: scsi_transfer() all of it, or scsi_abandon(). If it is 0:
 * done() comes. */
void scsi_start(ScsiCommand *cmd, const uint8_t *cdb, size_t size);
/* The direction of its data. */
bool scsi_is_to_host(const ScsiCommand *cmd);
/* Moves the next @bytes, not more than length - pos, from or to @iov, which stays valid until done(). */
void scsi_transfer(ScsiCommand *cmd, struct iovec *iov, int n_iov, uint64_t bytes);
/* The transport does not go on with it; nothing is in flight. */
void scsi_abandon(ScsiCommand *cmd);
/* Fixed format sense data (SPC-4, 4.5.3) of a command that ended. */
void scsi_sense(const ScsiCommand *cmd, uint8_t sense[SCSI_SENSE_SIZE]);
/* After loading a state: false if no command is ever so. */
bool scsi_command_is_sane(const ScsiCommand *cmd);

#define SCSI_STATE_FIELD(type_, field_, kind_, n_, desc_)                                   \
    {                                                                                       \
        .name = #field_, .offset = offsetof(type_, field_), .count = (n_), .type = (kind_), \
        .desc = (desc_)                                                                     \
    }
/* Lines of a state table, of members disk_ and cmd_ of type_. */
#define SCSI_DISK_STATE(type_, disk_)                                                     \
    SCSI_STATE_FIELD(type_, disk_.sense_key, STATE_U8, 1, "kept sense key"),              \
        SCSI_STATE_FIELD(type_, disk_.asc, STATE_U8, 1, "kept sense code"),               \
        SCSI_STATE_FIELD(type_, disk_.ascq, STATE_U8, 1, "kept sense code's qualifier"),  \
        SCSI_STATE_FIELD(type_, disk_.attention, STATE_BOOL, 1, "unit attention is due"), \
        SCSI_STATE_FIELD(type_, disk_.ejected, STATE_BOOL, 1, "medium is out"),           \
        SCSI_STATE_FIELD(type_, disk_.locked, STATE_BOOL, 1, "medium cannot be taken out")
#define SCSI_COMMAND_STATE(type_, cmd_)                                               \
    SCSI_STATE_FIELD(type_, cmd_.cdb, STATE_BYTES, SCSI_CDB_SIZE, "command"),         \
        SCSI_STATE_FIELD(type_, cmd_.kind, STATE_U8, 1, "kind of command under way"), \
        SCSI_STATE_FIELD(type_, cmd_.length, STATE_U64, 1, "bytes to move"),          \
        SCSI_STATE_FIELD(type_, cmd_.pos, STATE_U64, 1, "bytes moved"),               \
        SCSI_STATE_FIELD(type_, cmd_.offset, STATE_U64, 1, "first byte on the disk"), \
        SCSI_STATE_FIELD(type_, cmd_.status, STATE_U8, 1, "status"),                  \
        SCSI_STATE_FIELD(type_, cmd_.sense_key, STATE_U8, 1, "sense key"),            \
        SCSI_STATE_FIELD(type_, cmd_.asc, STATE_U8, 1, "sense code"),                 \
        SCSI_STATE_FIELD(type_, cmd_.ascq, STATE_U8, 1, "sense code's qualifier"),    \
        SCSI_STATE_FIELD(type_, cmd_.buf, STATE_BYTES, SCSI_BUFFER,                   \
                         "response, parameters or part of a block")

#endif
