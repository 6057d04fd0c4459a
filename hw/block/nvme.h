/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NVMe controller with one namespace (-device nvme,drive=ID,serial=TEXT), on a PCI bus. */
#ifndef HW_BLOCK_NVME_H
#define HW_BLOCK_NVME_H

#include "hw/pci/pci.h"

GType hw_nvme_get_type(void);

#endif
