/* SPDX-License-Identifier: GPL-2.0-or-later */
/* USB mass storage, "-device usb-storage,drive=ID". */
#ifndef HW_USB_USB_STORAGE_H
#define HW_USB_USB_STORAGE_H

#include "hw/core/device.h"

GType hw_usb_storage_get_type(void);

#endif
