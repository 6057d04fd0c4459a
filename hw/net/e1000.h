/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Intel's gigabit network cards: "-device e1000" (82540EM, PCI) and "-device e1000e" (82574L, PCI Express), "netdev=ID[,mac=ADDRESS]". */
#ifndef HW_NET_E1000_H
#define HW_NET_E1000_H

#include "hw/core/device.h"

GType hw_e1000_get_type(void);
GType hw_e1000e_get_type(void);

#endif
