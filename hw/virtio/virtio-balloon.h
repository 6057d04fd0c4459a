/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio memory balloon, "virtio-balloon-device": the guest gives memory back to the host. */
#ifndef HW_VIRTIO_VIRTIO_BALLOON_H
#define HW_VIRTIO_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>
#include "hw/core/device.h"

GType hw_virtio_balloon_get_type(void);

#endif
