/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers of the Advanced Host Controller Interface (Serial ATA AHCI 1.3.1, sections 3 and 4). */
#ifndef HW_ATA_AHCI_REGS_H
#define HW_ATA_AHCI_REGS_H

/* Of the host bus adapter. */
enum {
    AHCI_CAP = 0x00,
    AHCI_GHC = 0x04,
    AHCI_IS = 0x08,
    AHCI_PI = 0x0c,
    AHCI_VS = 0x10,
    AHCI_CAP2 = 0x24,
    AHCI_PORT_0 = 0x100,
    AHCI_PORT_SIZE = 0x80,
    GHC_HR = 1u << 0,
    GHC_IE = 1u << 1,
    GHC_AE = 1u << 31,
};

/* Of a port. */
enum {
    PX_CLB = 0x00,
    PX_CLBU = 0x04,
    PX_FB = 0x08,
    PX_FBU = 0x0c,
    PX_IS = 0x10,
    PX_IE = 0x14,
    PX_CMD = 0x18,
    PX_TFD = 0x20,
    PX_SIG = 0x24,
    PX_SSTS = 0x28,
    PX_SCTL = 0x2c,
    PX_SERR = 0x30,
    PX_SACT = 0x34,
    PX_CI = 0x38,
};

/* PxIS and PxIE. */
enum {
    IS_DHRS = 1u << 0,  /* device to host register FIS */
    IS_PSS = 1u << 1,   /* PIO setup FIS */
    IS_SDBS = 1u << 3,  /* set device bits FIS */
    IS_PCS = 1u << 6,   /* port connect change: while PxSERR.DIAG.X is set */
    IS_IFS = 1u << 27,  /* interface fatal error */
    IS_HBFS = 1u << 29, /* host bus fatal error */
    IS_TFES = 1u << 30, /* task file error */
    IS_ALL = 0xfdc000ffu,
};

/* PxCMD. */
enum {
    CMD_ST = 1u << 0,
    CMD_SUD = 1u << 1,
    CMD_POD = 1u << 2,
    CMD_CLO = 1u << 3,
    CMD_FRE = 1u << 4,
    CMD_CCS_SHIFT = 8,
    CMD_FR = 1u << 14,
    CMD_CR = 1u << 15,
    CMD_ATAPI = 1u << 24,
    CMD_WRITABLE = CMD_ST | CMD_FRE | CMD_ATAPI,
};

enum { SERR_DIAG_X = 1u << 26 };
/* PxSCTL.DET and PxSSTS. */
enum { DET = 0xf, DET_INIT = 1, DET_OFFLINE = 4, SSTS_READY = 0x133 };

/* Where FISes are received, and what a command's header and table have. */
enum {
    RX_PIO_SETUP = 0x20,
    RX_D2H = 0x40,
    RX_SET_DEVICE_BITS = 0x58,
    HEADER_SIZE = 32,
    HEADER_PACKET = 1 << 5,
    TABLE_PACKET = 0x40,
    TABLE_PRDT = 0x80,
    PRD_SIZE = 16,
};

#endif
