/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio network device, "-device virtio-net-device,netdev=ID[,mac=ADDRESS]". */
#ifndef HW_NET_VIRTIO_NET_H
#define HW_NET_VIRTIO_NET_H

#include "hw/core/device.h"

GType hw_virtio_net_get_type(void);

#endif
