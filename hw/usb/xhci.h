/* SPDX-License-Identifier: GPL-2.0-or-later */
/* USB host controller, "-device qemu-xhci". */
#ifndef HW_USB_XHCI_H
#define HW_USB_XHCI_H

#include "hw/core/device.h"

GType hw_xhci_get_type(void);

#endif
