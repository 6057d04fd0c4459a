/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of hw/scsi/: operation codes, sense codes, and how commands answer. */
#ifndef HW_SCSI_SCSI_PRIV_H
#define HW_SCSI_SCSI_PRIV_H

#include "hw/scsi/scsi.h"

/* SPC-4 and SBC-3. */
enum {
    OP_TEST_UNIT_READY = 0x00,
    OP_REQUEST_SENSE = 0x03,
    OP_READ_6 = 0x08,
    OP_WRITE_6 = 0x0a,
    OP_INQUIRY = 0x12,
    OP_MODE_SENSE_6 = 0x1a,
    OP_START_STOP = 0x1b,
    OP_PREVENT_REMOVAL = 0x1e,
    OP_READ_CAPACITY_10 = 0x25,
    OP_READ_10 = 0x28,
    OP_WRITE_10 = 0x2a,
    OP_VERIFY_10 = 0x2f,
    OP_SYNCHRONIZE_10 = 0x35,
    OP_UNMAP = 0x42,
    OP_MODE_SENSE_10 = 0x5a,
    OP_READ_16 = 0x88,
    OP_WRITE_16 = 0x8a,
    OP_VERIFY_16 = 0x8f,
    OP_SYNCHRONIZE_16 = 0x91,
    OP_SERVICE_IN_16 = 0x9e,
    OP_REPORT_LUNS = 0xa0,
    OP_READ_12 = 0xa8,
    OP_WRITE_12 = 0xaa,
};

/* MMC-6. */
enum {
    OP_SEEK_10 = 0x2b,
    OP_READ_TOC = 0x43,
    OP_GET_CONFIGURATION = 0x46,
    OP_GET_EVENT = 0x4a,
    OP_READ_DISC_INFORMATION = 0x51,
    OP_SET_CD_SPEED = 0xbb,
    OP_MECHANISM_STATUS = 0xbd,
    OP_READ_CD = 0xbe,
};

/* Pages of MODE SENSE. */
enum {
    MODE_RECOVERY = 0x01,
    MODE_CACHING = 0x08,
    MODE_CONTROL = 0x0a,
    MODE_CAPABILITIES = 0x2a,
    MODE_ALL = 0x3f,
};

/* Sense key << 16 | additional code << 8 | qualifier. */
enum {
    SENSE_NONE = 0,
    SENSE_NO_MEDIUM = 0x023a00,
    SENSE_READ_ERROR = 0x031100,
    SENSE_WRITE_ERROR = 0x030c00,
    SENSE_BAD_OPCODE = 0x052000,
    SENSE_OUT_OF_RANGE = 0x052100,
    SENSE_BAD_CDB = 0x052400,
    SENSE_BAD_PARAMETERS = 0x052600,
    SENSE_LOCKED = 0x055302,
    SENSE_POWER_ON = 0x062900,
    SENSE_WRITE_PROTECTED = 0x072700,
};

enum { SCSI_MAX_RANGES = (SCSI_BUFFER - 8) / 16 };

/* The end of the command. */
void scsi_fail(ScsiCommand *cmd, uint32_t sense);
void scsi_good(ScsiCommand *cmd);
/* The command answers with the first @size bytes of buf, or as many as the CDB has room for. */
void scsi_respond(ScsiCommand *cmd, size_t size, size_t room);

/* scsi-inquiry.c: these fill buf and respond, or fail. */
void scsi_inquiry(ScsiCommand *cmd);
void scsi_mode_sense(ScsiCommand *cmd);
void scsi_read_capacity(ScsiCommand *cmd);
void scsi_report_luns(ScsiCommand *cmd);
void scsi_request_sense(ScsiCommand *cmd);
uint64_t scsi_blocks(const ScsiDisk *disk);

/* scsi-cd-core.c: the commands of a CD drive. False: it is none of them. */
bool scsi_cd_run_always(ScsiCommand *cmd);
bool scsi_cd_run_without_medium(ScsiCommand *cmd);
bool scsi_cd_run(ScsiCommand *cmd);
/* Pages of MODE SENSE: their sizes. */
size_t scsi_cd_recovery_page(uint8_t *p);
size_t scsi_cd_capabilities_page(const ScsiDisk *d, uint8_t *p);

bool scsi_has_medium(const ScsiDisk *disk);
bool scsi_is_readonly(const ScsiDisk *disk);

#endif
