/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of PCI's core share. */
#ifndef HW_PCI_PCI_PRIV_H
#define HW_PCI_PCI_PRIV_H

#include "hw/pci/pci.h"

/* Sizes of the address spaces of BARs. */
#define PCI_MEM_SPACE (1ull << 56)
#define PCI_IO_SPACE  (1ull << 16)

/* Buses behind each other. Each bridge has windows that may all show the same addresses, so what a map takes to render doubles with each level. */
enum { PCI_MAX_DEPTH = 6 };

/* @size 1, 2 or 4 bytes, aligned, within the configuration space. */
uint32_t pci_config_read(HwPciDevice *dev, unsigned offset, unsigned size);
void pci_config_write(HwPciDevice *dev, unsigned offset, uint32_t value, unsigned size);

/* Maps the BARs as the configuration space says it. */
void pci_update_bars(HwPciDevice *dev);
/* The address in register @n. */
uint64_t pci_bar_address(const HwPciDevice *dev, unsigned n);
/* Shows the bus the level of the device's pin. */
void pci_update_intx(HwPciDevice *dev);
/* @pin of @dev changed to @level: on to the root bus, through the bridges' swizzle. */
void pci_bus_route_intx(HwPciDevice *dev, unsigned pin, bool level);
/* Messages that were held back go out if they may now. */
void pci_messages_fire_pending(HwPciDevice *dev);
/* The MSI-X table is zero: all vectors are masked. */
void pci_messages_reset(HwPciDevice *dev);

/* All root buses, for listings: of HwPciBus *. */
const GPtrArray *pci_root_buses(void);
/* The bus behind a bridge; NULL: it is none. */
HwPciBus *pci_secondary_bus(const HwPciDevice *dev);

#endif
