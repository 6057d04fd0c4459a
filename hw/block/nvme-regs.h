/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of NVM Express Base Specification 1.4 that the files of the NVMe controller use: registers (section 3), commands (5, 6), status codes
 * (4.6.1), features (5.21.1).
 */
#ifndef HW_BLOCK_NVME_REGS_H
#define HW_BLOCK_NVME_REGS_H

#include <stdint.h>

enum {
    NVME_REG_CAP = 0x00,
    NVME_REG_VS = 0x08,
    NVME_REG_INTMS = 0x0c,
    NVME_REG_INTMC = 0x10,
    NVME_REG_CC = 0x14,
    NVME_REG_CSTS = 0x1c,
    NVME_REG_AQA = 0x24,
    NVME_REG_ASQ = 0x28,
    NVME_REG_ACQ = 0x30,
    NVME_REG_DOORBELLS = 0x1000,
};

enum {
    NVME_VERSION = 0x00010400,
    NVME_CC_EN = 0x1,
    NVME_CC_CSS = 0x70,
    NVME_CC_MPS_SHIFT = 7,
    NVME_CC_MPS = 0xf << NVME_CC_MPS_SHIFT,
    NVME_CC_AMS = 0x3800,
    NVME_CC_SHN = 0xc000,
    NVME_CC_IOSQES_SHIFT = 16,
    NVME_CC_IOCQES_SHIFT = 20,
    NVME_CC_BITS = 0xfffff1,
    NVME_CSTS_RDY = 0x1,
    NVME_CSTS_CFS = 0x2,
    NVME_CSTS_SHST = 0xc,
    NVME_CSTS_SHST_BUSY = 0x4,
    NVME_CSTS_SHST_DONE = 0x8,
};

/* Admin commands. */
enum {
    NVME_DELETE_SQ = 0x00,
    NVME_CREATE_SQ = 0x01,
    NVME_GET_LOG_PAGE = 0x02,
    NVME_DELETE_CQ = 0x04,
    NVME_CREATE_CQ = 0x05,
    NVME_IDENTIFY = 0x06,
    NVME_ABORT = 0x08,
    NVME_SET_FEATURES = 0x09,
    NVME_GET_FEATURES = 0x0a,
    NVME_ASYNC_EVENT = 0x0c,
    NVME_FORMAT = 0x80,
};

/* Commands of the NVM command set. */
enum {
    NVME_FLUSH = 0x00,
    NVME_WRITE = 0x01,
    NVME_READ = 0x02,
    NVME_COMPARE = 0x05,
    NVME_WRITE_ZEROES = 0x08,
    NVME_DATASET = 0x09,
};

enum {
    NVME_FLAG_FUSED = 0x03,
    NVME_FLAG_PSDT = 0xc0,
    NVME_RW_FUA = 1 << 30, /* of dword 12 */
    NVME_DATASET_DEALLOCATE = 1 << 2,
    NVME_ALL_NAMESPACES = -1,
};

/* Status: code, its type from bit 8, "do not retry" in bit 14. */
enum {
    NVME_DNR = 0x4000,
    NVME_OK = 0,
    NVME_INVALID_OPCODE = 0x01 | NVME_DNR,
    NVME_INVALID_FIELD = 0x02 | NVME_DNR,
    NVME_DATA_TRANSFER_ERROR = 0x04 | NVME_DNR,
    NVME_INTERNAL_ERROR = 0x06,
    NVME_INVALID_NAMESPACE = 0x0b | NVME_DNR,
    NVME_SEQUENCE_ERROR = 0x0c | NVME_DNR,
    NVME_INVALID_PRP_OFFSET = 0x13 | NVME_DNR,
    NVME_WRITE_PROTECTED = 0x20 | NVME_DNR,
    NVME_LBA_RANGE = 0x80 | NVME_DNR,
    NVME_CAPACITY_EXCEEDED = 0x81 | NVME_DNR,
    NVME_INVALID_CQ = 0x100 | NVME_DNR,
    NVME_INVALID_QUEUE_ID = 0x101 | NVME_DNR,
    NVME_INVALID_QUEUE_SIZE = 0x102 | NVME_DNR,
    NVME_TOO_MANY_EVENTS = 0x105 | NVME_DNR,
    NVME_INVALID_VECTOR = 0x108 | NVME_DNR,
    NVME_INVALID_LOG_PAGE = 0x109 | NVME_DNR,
    NVME_INVALID_FORMAT = 0x10a | NVME_DNR,
    NVME_INVALID_QUEUE_DELETION = 0x10c | NVME_DNR,
    NVME_FEATURE_NOT_SAVEABLE = 0x10d | NVME_DNR,
    NVME_FEATURE_NOT_CHANGEABLE = 0x10e | NVME_DNR,
    NVME_WRITE_FAULT = 0x280,
    NVME_READ_ERROR = 0x281,
    NVME_COMPARE_FAILURE = 0x285,
};

enum {
    NVME_FEATURE_ARBITRATION = 0x01,
    NVME_FEATURE_POWER = 0x02,
    NVME_FEATURE_TEMPERATURE = 0x04,
    NVME_FEATURE_ERROR_RECOVERY = 0x05,
    NVME_FEATURE_WRITE_CACHE = 0x06,
    NVME_FEATURE_QUEUES = 0x07,
    NVME_FEATURE_COALESCING = 0x08,
    NVME_FEATURE_VECTOR = 0x09,
    NVME_FEATURE_ATOMICITY = 0x0a,
    NVME_FEATURE_EVENTS = 0x0b,
    NVME_N_FEATURES = 0x0c,
};

/* Asynchronous events: their types, and what they say. */
enum {
    NVME_EVENT_ERROR = 0,
    NVME_EVENT_SMART = 1,
    NVME_N_EVENT_TYPES = 2,
    NVME_ERROR_DOORBELL_REGISTER = 0,
    NVME_ERROR_DOORBELL_VALUE = 1,
    NVME_SMART_TEMPERATURE = 1,
};

enum {
    NVME_LOG_ERROR = 0x01,
    NVME_LOG_SMART = 0x02,
    NVME_LOG_FIRMWARE = 0x03,
    NVME_LOG_EFFECTS = 0x05,
};

/* A submission queue's entry (4.2), converted to the host's byte order. */
typedef struct NvmeCommand {
    uint8_t opcode, flags;
    uint16_t cid;
    uint32_t nsid, cdw2, cdw3;
    uint64_t metadata, prp1, prp2;
    uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
} NvmeCommand;

#endif
