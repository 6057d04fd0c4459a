/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AHCI: a controller of six Serial ATA ports (-device ahci,id=ID), on a PCI bus; drives (ide-hd, ide-cd) plug into its buses ID.0 to ID.5. */
#ifndef HW_ATA_AHCI_H
#define HW_ATA_AHCI_H

#include "hw/pci/pci.h"

GType hw_ahci_get_type(void);

#endif
