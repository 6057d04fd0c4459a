/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio entropy source, "-device virtio-rng-device". */
#ifndef HW_VIRTIO_VIRTIO_RNG_H
#define HW_VIRTIO_VIRTIO_RNG_H

#include "hw/core/device.h"

GType hw_virtio_rng_get_type(void);

#endif
