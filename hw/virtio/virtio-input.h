/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio input devices (virtio 1.2, section 5.8): "virtio-keyboard-device", "virtio-mouse-device", "virtio-tablet-device". */
#ifndef HW_VIRTIO_VIRTIO_INPUT_H
#define HW_VIRTIO_VIRTIO_INPUT_H

#include "hw/core/device.h"

GType hw_virtio_keyboard_get_type(void);
GType hw_virtio_mouse_get_type(void);
GType hw_virtio_tablet_get_type(void);

#endif
