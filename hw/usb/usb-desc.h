/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors (USB 2.0 and 3.1, 9.6) in bytes, made of a device's tables. */
#ifndef HW_USB_USB_DESC_H
#define HW_USB_USB_DESC_H

#include "hw/usb/usb.h"

enum { USB_DESC_MAX = 512 };

/* The descriptor of @dev with that type and index (wValue) for the speed it runs at, in @out of USB_DESC_MAX bytes: its length, or -1 if there
 * is none. */
int usb_desc_get(const HwUsbDevice *dev, uint8_t type, uint8_t index, uint8_t *out);
/* Endpoints of @dev as HwUsbDevice.halted has them. */
uint32_t usb_desc_endpoints(const HwUsbDevice *dev);

#endif
