/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio console with one port, "-device virtio-console-device,chardev=ID". */
#ifndef HW_VIRTIO_VIRTIO_CONSOLE_H
#define HW_VIRTIO_VIRTIO_CONSOLE_H

#include "hw/core/device.h"

GType hw_virtio_console_get_type(void);

#endif
