/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers of ATA (ATA8-ACS, ACS-3) and Serial ATA (Serial ATA 3.1) that a drive and its controller share. */
#ifndef HW_ATA_ATA_REGS_H
#define HW_ATA_ATA_REGS_H

enum { ATA_SECTOR = 512 };

/* Status and error registers. */
enum {
    ATA_ERR = 0x01, /* CHK of a packet drive */
    ATA_DRQ = 0x08,
    ATA_DSC = 0x10,
    ATA_DF = 0x20,
    ATA_DRDY = 0x40,
    ATA_BSY = 0x80,
    ATA_ABRT = 0x04,
    ATA_IDNF = 0x10,
    ATA_UNC = 0x40,
};

/* Commands. */
enum {
    ATA_NOP = 0x00,
    ATA_DATA_SET_MANAGEMENT = 0x06,
    ATA_DEVICE_RESET = 0x08,
    ATA_READ_SECTORS = 0x20,
    ATA_READ_SECTORS_EXT = 0x24,
    ATA_READ_DMA_EXT = 0x25,
    ATA_READ_MULTIPLE_EXT = 0x29,
    ATA_READ_LOG_EXT = 0x2f,
    ATA_WRITE_SECTORS = 0x30,
    ATA_WRITE_SECTORS_EXT = 0x34,
    ATA_WRITE_DMA_EXT = 0x35,
    ATA_WRITE_MULTIPLE_EXT = 0x39,
    ATA_WRITE_DMA_FUA_EXT = 0x3d,
    ATA_READ_VERIFY = 0x40,
    ATA_READ_VERIFY_EXT = 0x42,
    ATA_READ_LOG_DMA_EXT = 0x47,
    ATA_READ_FPDMA_QUEUED = 0x60,
    ATA_WRITE_FPDMA_QUEUED = 0x61,
    ATA_DIAGNOSTIC = 0x90,
    ATA_PACKET = 0xa0,
    ATA_IDENTIFY_PACKET = 0xa1,
    ATA_READ_MULTIPLE = 0xc4,
    ATA_WRITE_MULTIPLE = 0xc5,
    ATA_SET_MULTIPLE = 0xc6,
    ATA_READ_DMA = 0xc8,
    ATA_WRITE_DMA = 0xca,
    ATA_STANDBY_IMMEDIATE = 0xe0,
    ATA_IDLE_IMMEDIATE = 0xe1,
    ATA_STANDBY = 0xe2,
    ATA_IDLE = 0xe3,
    ATA_CHECK_POWER = 0xe5,
    ATA_SLEEP = 0xe6,
    ATA_FLUSH = 0xe7,
    ATA_FLUSH_EXT = 0xea,
    ATA_IDENTIFY = 0xec,
    ATA_SET_FEATURES = 0xef,
};

/* Bytes of a host-to-device register FIS (Serial ATA 3.1, 10.3.4). */
enum {
    FIS_TYPE = 0,
    FIS_FLAGS = 1, /* bit 7: of the command register, else of device control */
    FIS_COMMAND = 2,
    FIS_FEATURES = 3,
    FIS_LBA = 4, /* 3 bytes, the other 3 at FIS_LBA_HIGH */
    FIS_DEVICE = 7,
    FIS_LBA_HIGH = 8,
    FIS_FEATURES_HIGH = 11,
    FIS_COUNT = 12, /* 2 bytes */
    FIS_CONTROL = 15,
    FIS_H2D_SIZE = 20,
    FIS_H2D = 0x27,
    FIS_D2H = 0x34,
    FIS_PIO_SETUP = 0x5f,
    FIS_SET_DEVICE_BITS = 0xa1,
    FIS_IS_COMMAND = 0x80,
    FIS_INTERRUPT = 0x40,
    FIS_TO_HOST = 0x20,
    FIS_SRST = 0x04, /* of device control */
};

/* What a drive tells after a reset, in the order that PxSIG has them: LBA high, mid, low, count. */
enum { ATA_SIGNATURE_DISK = 0x00000101, ATA_SIGNATURE_PACKET = 0xeb140101u };

#endif
