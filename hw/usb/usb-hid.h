/* SPDX-License-Identifier: GPL-2.0-or-later */
/* USB keyboard, mouse and tablet: "-device usb-kbd", "usb-mouse", "usb-tablet". */
#ifndef HW_USB_USB_HID_H
#define HW_USB_USB_HID_H

#include "hw/core/device.h"

GType hw_usb_kbd_get_type(void);
GType hw_usb_mouse_get_type(void);
GType hw_usb_tablet_get_type(void);

#endif
