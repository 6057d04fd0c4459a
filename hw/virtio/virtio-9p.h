/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio 9P device (hw/virtio/virtio-9p.c): a folder of the host, by -device virtio-9p-device,fsdev=ID,mount_tag=TAG. */
#ifndef HW_VIRTIO_VIRTIO_9P_H
#define HW_VIRTIO_VIRTIO_9P_H

#include <glib-object.h>

GType hw_virtio_9p_get_type(void);

#endif
