/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio SCSI host adapter (virtio 1.2, section 5.6), "virtio-scsi-device": a bus for scsi-hd. */
#ifndef HW_VIRTIO_VIRTIO_SCSI_H
#define HW_VIRTIO_VIRTIO_SCSI_H

#include "hw/core/device.h"

GType hw_virtio_scsi_get_type(void);

#endif
