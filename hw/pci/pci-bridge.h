/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI-to-PCI bridges (PCI Express 7.5.1.3): the PCI Express root port "pcie-root-port" and the conventional "pci-bridge". */
#ifndef HW_PCI_PCI_BRIDGE_H
#define HW_PCI_PCI_BRIDGE_H

#include "hw/pci/pci.h"

GType hw_pcie_root_port_get_type(void);
GType hw_pci_bridge_get_type(void);

#endif
