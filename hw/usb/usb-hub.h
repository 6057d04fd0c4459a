/* SPDX-License-Identifier: GPL-2.0-or-later */
/* USB hub, "-device usb-hub". */
#ifndef HW_USB_USB_HUB_H
#define HW_USB_USB_HUB_H

#include "hw/core/device.h"

GType hw_usb_hub_get_type(void);

#endif
