/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio over MMIO (virtio 1.2, section 4.2): one register window and one interrupt that carry one virtio device. */
#ifndef HW_VIRTIO_VIRTIO_MMIO_H
#define HW_VIRTIO_VIRTIO_MMIO_H

#include "hw/core/device.h"

GType hw_virtio_mmio_get_type(void);

enum { HW_VIRTIO_MMIO_SIZE = 0x1000 }; /* what the device tree gives a slot */

/* Slot number @index, not yet realized; realize makes its bus "virtio-mmio-bus.INDEX" of type "virtio-bus". An empty slot reads
 * as device id 0. One window, one interrupt output. */
HwDevice *hw_virtio_mmio_new(unsigned index);

#endif
