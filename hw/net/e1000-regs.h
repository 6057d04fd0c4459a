/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers and descriptors of Intel's gigabit controllers, by the names of their manuals: the PCI/PCI-X Family of Gigabit Ethernet Controllers
 * Software Developer's Manual (82540EM; chapters 3 and 13) and the 82574 datasheet (chapters 7 and 10).
 */
#ifndef HW_NET_E1000_REGS_H
#define HW_NET_E1000_REGS_H

enum {
    E1000_CTRL = 0x0000,
    E1000_STATUS = 0x0008,
    E1000_EECD = 0x0010,
    E1000_EERD = 0x0014,
    E1000_CTRL_EXT = 0x0018,
    E1000_MDIC = 0x0020,
    E1000_VET = 0x0038,
    E1000_ICR = 0x00c0,
    E1000_ITR = 0x00c4,
    E1000_ICS = 0x00c8,
    E1000_IMS = 0x00d0,
    E1000_IMC = 0x00d8,
    E1000_EIAC = 0x00dc, /* 82574, as IAM, IVAR and EITR */
    E1000_IAM = 0x00e0,
    E1000_IVAR = 0x00e4,
    E1000_EITR = 0x00e8, /* one for each of 5 vectors */
    E1000_RCTL = 0x0100,
    E1000_TCTL = 0x0400,
    E1000_LEDCTL = 0x0e00,
    E1000_PBA = 0x1000,
    E1000_EEMNGCTL = 0x1010,
    E1000_EEWR = 0x102c,
    E1000_PSRCTL = 0x2170,
    E1000_RDBAL = 0x2800, /* the queues' registers; queue 1 is 0x100 further */
    E1000_RDBAH = 0x2804,
    E1000_RDLEN = 0x2808,
    E1000_RDH = 0x2810,
    E1000_RDT = 0x2818,
    E1000_TDBAL = 0x3800,
    E1000_TDBAH = 0x3804,
    E1000_TDLEN = 0x3808,
    E1000_TDH = 0x3810,
    E1000_TDT = 0x3818,
    E1000_STATS = 0x4000,
    E1000_STATS_END = 0x4128,
    E1000_RXCSUM = 0x5000,
    E1000_RFCTL = 0x5008,
    E1000_MTA = 0x5200,
    E1000_RAL = 0x5400, /* 16 of 8 bytes: RAL, RAH */
    E1000_RAH = 0x5404,
    E1000_VFTA = 0x5600,
    E1000_MRQC = 0x5818,
    E1000_SWSM = 0x5b50,
    E1000_REGS_END = 0x6000,
    E1000_QUEUE = 0x100, /* from queue 0's to queue 1's */
};

/* Statistics (13.7), which reading clears. */
enum {
    E1000_MPC = 0x4010,
    E1000_PRC64 = 0x405c, /* six counters by length */
    E1000_GPRC = 0x4074,
    E1000_BPRC = 0x4078,
    E1000_MPRC = 0x407c,
    E1000_GPTC = 0x4080,
    E1000_GORCL = 0x4088,
    E1000_GOTCL = 0x4090,
    E1000_RNBC = 0x40a0,
    E1000_ROC = 0x40ac,
    E1000_TORL = 0x40c0,
    E1000_TOTL = 0x40c8,
    E1000_TPR = 0x40d0,
    E1000_TPT = 0x40d4,
    E1000_PTC64 = 0x40d8,
    E1000_MPTC = 0x40f0,
    E1000_BPTC = 0x40f4,
    E1000_TSCTC = 0x40f8,
};

enum {
    CTRL_FD = 1 << 0,
    CTRL_GIO_MASTER_DISABLE = 1 << 2,
    CTRL_SLU = 1 << 6,
    CTRL_SPEED_1000 = 2 << 8,
    CTRL_RST = 1 << 26,
    CTRL_VME = 1 << 30,
    STATUS_FD = 1 << 0,
    STATUS_LU = 1 << 1,
    STATUS_SPEED_1000 = 2 << 6,
    STATUS_ASDV_1000 = 2 << 8,
    STATUS_GIO_MASTER = 1 << 19,
    CTRL_EXT_EE_RST = 1 << 13,
    CTRL_EXT_EIAME = 1 << 24,
    CTRL_EXT_IAME = 1 << 27,
    EECD_SK = 1 << 0,
    EECD_CS = 1 << 1,
    EECD_DI = 1 << 2,
    EECD_DO = 1 << 3,
    EECD_REQ = 1 << 6,
    EECD_GNT = 1 << 7,
    EECD_PRES = 1 << 8,
    EECD_AUTO_RD = 1 << 9,
    EERD_START = 1 << 0,
    MDIC_WRITE = 1 << 26,
    MDIC_READ = 2 << 26,
    MDIC_READY = 1 << 28,
    MDIC_INTERRUPT = 1 << 29,
    MDIC_ERROR = 1 << 30,
    SWSM_SMBI = 1 << 0,
};
#define CTRL_PHY_RST (1u << 31)

enum {
    ICR_TXDW = 1 << 0,
    ICR_TXQE = 1 << 1,
    ICR_LSC = 1 << 2,
    ICR_RXDMT0 = 1 << 4,
    ICR_RXO = 1 << 6,
    ICR_RXT0 = 1 << 7,
    ICR_MDAC = 1 << 9,
    ICR_RXQ0 = 1 << 20, /* 82574: RXQ1, TXQ0, TXQ1, OTHER follow */
    ICR_TXQ0 = 1 << 22,
    ICR_OTHER = 1 << 24,
    ICR_OTHERS = ICR_LSC | ICR_RXO | ICR_MDAC | 1 << 16 | 1 << 17 | 1 << 18,
};
#define ICR_INT_ASSERTED (1u << 31)

enum {
    RCTL_EN = 1 << 1,
    RCTL_UPE = 1 << 3,
    RCTL_MPE = 1 << 4,
    RCTL_LPE = 1 << 5,
    RCTL_LBM = 3 << 6,
    RCTL_RDMTS_SHIFT = 8,
    RCTL_DTYP_SHIFT = 10,
    RCTL_MO_SHIFT = 12,
    RCTL_BAM = 1 << 15,
    RCTL_BSIZE_SHIFT = 16,
    RCTL_VFE = 1 << 18,
    RCTL_BSEX = 1 << 25,
    RCTL_SECRC = 1 << 26,
    RCTL_FLXBUF_SHIFT = 27,
    TCTL_EN = 1 << 1,
    TCTL_PSP = 1 << 3,
    RXCSUM_IPOFLD = 1 << 8,
    RXCSUM_TUOFLD = 1 << 9,
    RFCTL_EXSTEN = 1 << 15,
    MRQC_QUEUES = 3,
};
#define RAH_AV (1u << 31)

/* Transmit descriptors (3.3): the second 8 bytes as a number. */
enum {
    TXD_SIZE = 16,
    TXD_CMD_EOP = 1 << 24,
    TXD_CMD_IC = 1 << 26,  /* legacy: insert a checksum */
    TXD_CMD_TSE = 1 << 26, /* data: cut into segments */
    TXD_CMD_RS = 1 << 27,
    TXD_CMD_RPS = 1 << 28,
    TXD_CMD_DEXT = 1 << 29,
    TXD_CMD_VLE = 1 << 30,
    TXD_DTYP = 0xf << 20,
    TXD_DTYP_DATA = 1 << 20,
    TXD_POPTS_IXSM = 1 << 0,
    TXD_POPTS_TXSM = 1 << 1,
    TXD_TUCMD_TCP = 1 << 24,
    TXD_TUCMD_IP4 = 1 << 25,
    TXD_DD = 1,
};

/* Receive descriptors (3.2; 82574: 7.1.4 to 7.1.6): bits of the status. */
enum {
    RXD_SIZE = 16,
    RXD_SPLIT_SIZE = 32,
    RXD_DD = 1 << 0,
    RXD_EOP = 1 << 1,
    RXD_IXSM = 1 << 2,
    RXD_VP = 1 << 3,
    RXD_UDPCS = 1 << 4, /* 82574 */
    RXD_TCPCS = 1 << 5,
    RXD_IPCS = 1 << 6,
    RXD_PIF = 1 << 7,
};

/* The PHY (IEEE 802.3 clause 22, and Marvell's). */
enum {
    PHY_BMCR = 0,
    PHY_BMSR = 1,
    PHY_ID1 = 2,
    PHY_ID2 = 3,
    PHY_ADVERTISE = 4,
    PHY_PARTNER = 5,
    PHY_CTRL1000 = 9,
    PHY_STAT1000 = 10,
    PHY_ESTATUS = 15,
    PHY_SPECIFIC_CTRL = 16,
    PHY_SPECIFIC_STATUS = 17,
    PHY_PAGE = 22, /* of the registers from 16 on: 82574 */
    PHY_N_REGS = 32,
    BMCR_RESTART = 1 << 9,
    BMCR_POWER_DOWN = 1 << 11,
    BMCR_AUTO = 1 << 12,
    BMCR_RESET = 1 << 15,
    BMSR_LINK = 1 << 2,
    BMSR_AUTO_DONE = 1 << 5,
};

#endif
