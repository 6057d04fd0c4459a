/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio over PCI (virtio 1.2, section 4.1): for each virtio device "virtio-X-device" a PCI device "virtio-X-pci" that carries one. It is a
 * transitional device, which drivers of before version 1.0 know too, unless it is behind a PCI Express port.
 */
#ifndef HW_VIRTIO_VIRTIO_PCI_H
#define HW_VIRTIO_VIRTIO_PCI_H

#include "hw/pci/pci.h"

GType hw_virtio_pci_get_type(void); /* the base of all of them */
GType hw_virtio_9p_pci_get_type(void);
GType hw_virtio_balloon_pci_get_type(void);
GType hw_virtio_blk_pci_get_type(void);
GType hw_virtio_keyboard_pci_get_type(void);
GType hw_virtio_mouse_pci_get_type(void);
GType hw_virtio_scsi_pci_get_type(void);
GType hw_virtio_serial_pci_get_type(void);
GType hw_virtio_net_pci_get_type(void);
GType hw_virtio_rng_pci_get_type(void);
GType hw_virtio_tablet_pci_get_type(void);
GType hw_virtio_vsock_pci_get_type(void);

#endif
