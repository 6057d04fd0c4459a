/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTIF, the host-target interface of the Spike simulator: two 64-bit words, tohost and fromhost. */
#ifndef HW_MISC_HTIF_H
#define HW_MISC_HTIF_H

#include "chardev/chardev.h"
#include "hw/core/device.h"

GType hw_htif_get_type(void);

/* A host interface whose console is @chr (borrowed, may be NULL), not yet realized. Window 0 is
 * tohost, window 1 fromhost. */
HwDevice *hw_htif_new(Chardev *chr);

#endif
