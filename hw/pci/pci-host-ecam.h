/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI Express host bridge as firmware tables describe it generically ("pci-host-ecam-generic"): configuration space by ECAM (PCI Express 7.2.2),
 * windows for memory and I/O, four interrupt lines.
 */
#ifndef HW_PCI_PCI_HOST_ECAM_H
#define HW_PCI_PCI_HOST_ECAM_H

#include "hw/pci/pci.h"

/* Where it is in the machine; addresses of memory are the same on the bus. Sizes in bytes. */
typedef struct HwPciHostMap {
    uint64_t ecam, ecam_size; /* 1 MiB for each bus */
    uint64_t io, io_size;     /* from 0 on the bus */
    uint64_t mem, mem_size;   /* below 4 GiB */
    uint64_t mem64, mem64_size;
} HwPciHostMap;

GType hw_pci_host_ecam_get_type(void);
/* A host bridge for @map. Its outputs 0 to 3 are INTA to INTD of the root bus, "pcie.0". */
HwDevice *hw_pci_host_ecam_new(const HwPciHostMap *map);
/* After realize: maps the windows. */
void hw_pci_host_ecam_map(HwDevice *dev);
/* The root bus, after realize. */
HwPciBus *hw_pci_host_ecam_bus(HwDevice *dev);

#endif
