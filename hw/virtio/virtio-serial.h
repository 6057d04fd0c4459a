/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio console device (virtio 1.2, section 5.3) with any number of ports, each a device on its bus: "virtconsole", a terminal for the guest, and
 * "virtserialport", a byte stream with a name.
 */
#ifndef HW_VIRTIO_VIRTIO_SERIAL_H
#define HW_VIRTIO_VIRTIO_SERIAL_H

#include "hw/core/device.h"

GType hw_virtio_serial_get_type(void);
GType hw_virtconsole_get_type(void);
GType hw_virtserialport_get_type(void);

#endif
