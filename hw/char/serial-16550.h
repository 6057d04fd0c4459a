/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 16550A UART on one byte-wide register window of 8 registers. */
#ifndef HW_CHAR_SERIAL_16550_H
#define HW_CHAR_SERIAL_16550_H

#include "chardev/chardev.h"
#include "hw/core/device.h"

GType hw_serial_get_type(void);

/* A UART on @chr (borrowed; NULL: nothing is connected), not yet realized. */
HwDevice *hw_serial_new(Chardev *chr);

#endif
