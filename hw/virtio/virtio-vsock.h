/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio socket device (virtio 1.2, section 5.10), "virtio-vsock-device": AF_VSOCK in the guest, Unix sockets (net/vsock.h) on the host. */
#ifndef HW_VIRTIO_VIRTIO_VSOCK_H
#define HW_VIRTIO_VIRTIO_VSOCK_H

#include "hw/core/device.h"

GType hw_virtio_vsock_get_type(void);

#endif
