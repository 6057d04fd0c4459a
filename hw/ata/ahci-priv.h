/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the AHCI controller share: ahci.c (device, registers of the adapter, interrupts) and ahci-port.c (registers of a port, its
 * command list, the FISes that it receives).
 */
#ifndef HW_ATA_AHCI_PRIV_H
#define HW_ATA_AHCI_PRIV_H

#include "hw/ata/ahci-regs.h"
#include "hw/ata/ata.h"
#include "hw/pci/pci.h"

enum { AHCI_N_PORTS = 6, AHCI_N_SLOTS = 32 };

typedef struct HwAhci HwAhci;
typedef struct AhciPort AhciPort;

typedef struct AhciSlot {
    AhciPort *port;
    unsigned n;
    AtaCommand cmd;
    uint64_t table;
    unsigned n_prd;
    GArray *iov; /* of struct iovec; made when first used */
} AhciSlot;

struct AhciPort {
    HwAhci *hba;
    unsigned n;
    HwBus *bus;
    HwAtaDrive *drive; /* NULL: none */
    /* Registers. */
    uint64_t clb, fb;
    uint32_t is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;
    uint8_t current; /* slot, for PxCMD.CCS */
    bool failed;     /* nothing more is begun until the driver clears PxCMD.ST */
    bool in_reset;   /* software reset */
    /* Of this process. */
    uint32_t begun, queued; /* slots whose command is under way; those with queued ones */
    uint32_t finished;      /* tags of queued commands that the driver was not told of */
    bool running;           /* ahci_port_run() is: it is not entered again */
    bool dropping;          /* commands that end now are not told */
    AhciSlot slots[AHCI_N_SLOTS];
};

struct HwAhci {
    HwPciDevice parent;
    MemoryRegion region;
    uint32_t ghc, is;
    AhciPort ports[AHCI_N_PORTS];
};

/* ---- ahci-port.c ---- */

void ahci_port_init(AhciPort *port, HwAhci *hba, unsigned n);
void ahci_port_clear(AhciPort *port);
uint32_t ahci_port_read(const AhciPort *port, unsigned reg);
void ahci_port_write(AhciPort *port, unsigned reg, uint32_t value);
/* Begins what is in the command list, and tells what has ended. */
void ahci_port_run(AhciPort *port);
/* As after a reset of the adapter: nothing is under way, a drive's signature is there; the driver's memory areas stay (10.4.3). */
void ahci_port_reset(AhciPort *port);

/* ---- ahci.c ---- */

/* The port's interrupt may have changed. */
void ahci_interrupt(HwAhci *s);

#endif
