/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio block device, "-device virtio-blk-device,drive=ID". */
#ifndef HW_VIRTIO_VIRTIO_BLK_H
#define HW_VIRTIO_VIRTIO_BLK_H

#include "hw/core/device.h"

GType hw_virtio_blk_get_type(void);

#endif
