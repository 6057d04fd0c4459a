/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Serial ATA drives and what their controller uses of them: it starts a command with its register FIS, learns how many bytes the
 * drive wants to move and which way, hands over the memory for them, and is told the end with status and error registers. A drive knows nothing of
 * controllers; the registers that only a controller has (BSY, signatures on the wire) are not here.
 *
 * A drive has up to 32 queued commands under way, or one other. When its back end has nothing in flight (block_drain()) it has no command under way.
 *
 * All functions: machine lock held.
 */
#ifndef HW_ATA_ATA_H
#define HW_ATA_ATA_H

#include "block/block.h"
#include "hw/ata/ata-regs.h"
#include "hw/core/device.h"

/* Buses that drives plug into; each has room for one. */
#define HW_ATA_BUS_TYPE "ata-bus"

enum {
    ATA_PACKET_SIZE = 16,
    ATA_IDENTIFY_WORDS = 256,
    ATA_SERIAL_MAX = 20,
    ATA_REVISION_MAX = 8,
    ATA_MODEL_MAX = 40
};

typedef enum AtaProtocol { ATA_NON_DATA, ATA_PIO, ATA_DMA, ATA_QUEUED } AtaProtocol;

typedef struct HwAtaDrive HwAtaDrive;
typedef struct AtaCommand AtaCommand;

struct AtaCommand {
    HwAtaDrive *drive;
    /* Set by the controller. */
    uint8_t fis[FIS_H2D_SIZE], packet[ATA_PACKET_SIZE];
    void (*done)(AtaCommand *cmd); /* perhaps before ata_start() or ata_transfer() return */
    void *opaque;
    /* After ata_start(). */
    AtaProtocol protocol;
    uint64_t length; /* bytes it wants to move; 0: done() comes */
    bool to_host;
    /* At the end: registers, and bytes moved. */
    uint8_t status, error;
    uint16_t count;
    uint64_t lba, moved;
    /* The drive's. */
    struct iovec *iov; /* of ata_transfer() */
    int n_iov;
    bool then_flush;
    uint8_t *buf; /* an answer, or parameters; owned */
    unsigned next_range;
    BlockRequest io;
};

struct HwAtaDrive {
    HwDevice parent;
    char *serial, *version, *product;
    /* State. */
    bool write_cache, read_ahead;
    uint8_t multiple; /* sectors of READ MULTIPLE; 0: off */
    bool
        queue_failed; /* a queued command did: until the log is read or the drive is reset, all others fail */
    uint8_t failed_tag, failed_status, failed_error;
    uint64_t failed_lba;
};

typedef struct HwAtaDriveClass {
    HwDeviceClass parent;
    uint32_t signature;
    /* Begins a command that is not common to all drives: ata_end(), or length and to_host are set. */
    void (*start)(AtaCommand *cmd);
    /* Moves the data. */
    void (*transfer)(AtaCommand *cmd);
    /* Ends the command when what the drive keeps is written; NULL: it keeps nothing. */
    void (*flush)(AtaCommand *cmd);
    /* The command is aborted before its data; may be NULL. */
    void (*refuse)(AtaCommand *cmd);
    /* The answer of IDENTIFY (PACKET) DEVICE. */
    void (*identify)(HwAtaDrive *drive, uint16_t words[ATA_IDENTIFY_WORDS]);
    BlockBackend *(*backend)(HwAtaDrive *drive); /* NULL: there is none */
    void (*soft_reset)(HwAtaDrive *drive);       /* may be NULL */
} HwAtaDriveClass;

GType hw_ata_drive_get_type(void);
#define HW_TYPE_ATA_DRIVE     (hw_ata_drive_get_type())
#define HW_ATA_DRIVE(o)       (G_TYPE_CHECK_INSTANCE_CAST((o), HW_TYPE_ATA_DRIVE, HwAtaDrive))
#define HW_ATA_DRIVE_CLASS(k) (G_TYPE_CHECK_CLASS_CAST((k), HW_TYPE_ATA_DRIVE, HwAtaDriveClass))
#define HW_ATA_DRIVE_GET_CLASS(o) \
    (G_TYPE_INSTANCE_GET_CLASS((o), HW_TYPE_ATA_DRIVE, HwAtaDriveClass))

/* ---- For controllers ---- */

/* Is it a queued command, and which tag does it have? */
bool ata_is_queued(const uint8_t fis[FIS_H2D_SIZE]);
unsigned ata_tag(const uint8_t fis[FIS_H2D_SIZE]);
/* Begins the command in fis (and packet). Then, if length is not 0: ata_transfer() or ata_refuse(). */
void ata_start(AtaCommand *cmd);
/* All of length is in @iov, which stays valid until done(). */
void ata_transfer(AtaCommand *cmd, struct iovec *iov, int n_iov);
/* The controller has no memory for all of the data: the command is aborted. */
void ata_refuse(AtaCommand *cmd);
/* After COMRESET or a software reset; nothing is under way. */
void ata_reset(HwAtaDrive *drive);
uint32_t ata_signature(HwAtaDrive *drive);
/* The back end that requests go to; NULL: none. */
BlockBackend *ata_backend(HwAtaDrive *drive);

/* ---- For drives ---- */

/* Ends the command: @error 0, or bits of the error register. */
void ata_end(AtaCommand *cmd, uint8_t error);
/* Ends it with what the drive is, as after a reset (ACS-3, 9.12). */
void ata_end_with_signature(AtaCommand *cmd);
/* The command answers with the @size bytes that it fills in; NULL: out of memory, it has ended. */
uint8_t *ata_answer(AtaCommand *cmd, size_t size);
/* What the FIS says: the first sector, of 48 or 28 bits, and how many. */
uint64_t ata_get_lba(const uint8_t *fis, bool extended);
uint32_t ata_get_count(const uint8_t *fis, bool extended);
/* Fills in what all drives tell; @words are zeroes. */
void ata_identify_common(const HwAtaDrive *drive, uint16_t words[ATA_IDENTIFY_WORDS],
                         const char *product);
/* @physical: bytes of the sectors on the medium. */
void ata_identify_disk(const HwAtaDrive *drive, uint16_t words[ATA_IDENTIFY_WORDS],
                       uint64_t sectors, uint32_t physical, bool readonly);
void ata_identify_packet(const HwAtaDrive *drive, uint16_t words[ATA_IDENTIFY_WORDS]);
/* The checksum in word 255 (ACS-3, A.11.8); after everything else. */
void ata_identify_seal(uint16_t words[ATA_IDENTIFY_WORDS]);

/* The names of the drive's properties have room in what it tells. The error begins with the model. */
bool ata_check_names(const HwAtaDrive *drive, GError **error);
/* Properties and state that all drives have, followed by @own and @state (NULL: none). For class_init. */
void hw_ata_class_bind(HwAtaDriveClass *klass, const HwProp *own, const StateField *state);

GType hw_ide_hd_get_type(void);
GType hw_ide_cd_get_type(void);

#endif
