/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one list of all device models, which -device, its help and the test of all devices read. */
#include <string.h>
#include "hw/ata/ahci.h"
#include "hw/ata/ata.h"
#include "hw/block/nvme.h"
#include "hw/block/pflash-cfi01.h"
#include "hw/char/serial-16550.h"
#include "hw/core/device.h"
#include "hw/intc/aplic.h"
#include "hw/intc/clint.h"
#include "hw/intc/imsic.h"
#include "hw/intc/plic.h"
#include "hw/misc/htif.h"
#include "hw/misc/sifive-test.h"
#include "hw/net/e1000.h"
#include "hw/net/virtio-net.h"
#include "hw/nvram/fw-cfg.h"
#include "hw/pci/pci-bridge.h"
#include "hw/pci/pci-host-ecam.h"
#include "hw/rtc/goldfish-rtc.h"
#include "hw/scsi/scsi-hd.h"
#include "hw/usb/usb-hid.h"
#include "hw/usb/usb-hub.h"
#include "hw/usb/usb-storage.h"
#include "hw/usb/xhci.h"
#include "hw/virtio/virtio-9p.h"
#include "hw/virtio/virtio-balloon.h"
#include "hw/virtio/virtio-blk.h"
#include "hw/virtio/virtio-input.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-pci.h"
#include "hw/virtio/virtio-rng.h"
#include "hw/virtio/virtio-scsi.h"
#include "hw/virtio/virtio-serial.h"
#include "hw/virtio/virtio-vsock.h"

static GType (*const getters[])(void) = {
    hw_ahci_get_type,
    hw_ide_cd_get_type,
    hw_ide_hd_get_type,
    hw_aplic_get_type,
    hw_clint_get_type,
    hw_e1000_get_type,
    hw_e1000e_get_type,
    hw_fw_cfg_get_type,
    hw_goldfish_rtc_get_type,
    hw_htif_get_type,
    hw_imsic_get_type,
    hw_nvme_get_type,
    hw_pflash_get_type,
    hw_plic_get_type,
    hw_pci_bridge_get_type,
    hw_pci_host_ecam_get_type,
    hw_pcie_root_port_get_type,
    hw_serial_get_type,
    hw_sifive_test_get_type,
    hw_virtio_9p_get_type,
    hw_virtio_balloon_get_type,
    hw_virtio_blk_get_type,
    hw_virtio_serial_get_type,
    hw_virtconsole_get_type,
    hw_virtserialport_get_type,
    hw_virtio_keyboard_get_type,
    hw_virtio_mouse_get_type,
    hw_virtio_tablet_get_type,
    hw_virtio_mmio_get_type,
    hw_virtio_net_get_type,
    hw_virtio_rng_get_type,
    hw_virtio_vsock_get_type,
    hw_virtio_9p_pci_get_type,
    hw_virtio_balloon_pci_get_type,
    hw_virtio_blk_pci_get_type,
    hw_virtio_keyboard_pci_get_type,
    hw_virtio_mouse_pci_get_type,
    hw_virtio_tablet_pci_get_type,
    hw_virtio_scsi_pci_get_type,
    hw_virtio_serial_pci_get_type,
    hw_virtio_scsi_get_type,
    hw_scsi_hd_get_type,
    hw_scsi_cd_get_type,
    hw_virtio_net_pci_get_type,
    hw_virtio_rng_pci_get_type,
    hw_virtio_vsock_pci_get_type,
    hw_usb_hub_get_type,
    hw_usb_kbd_get_type,
    hw_usb_mouse_get_type,
    hw_usb_storage_get_type,
    hw_usb_tablet_get_type,
    hw_xhci_get_type,
};

const GType *hw_device_types(unsigned *n)
{
    static GType types[G_N_ELEMENTS(getters)];

    *n = G_N_ELEMENTS(getters);
    if (!types[0]) {
        for (unsigned i = *n; i-- > 0;) {
            types[i] = getters[i]();
        }
    }
    return types;
}

static GType find_exactly(const char *model)
{
    unsigned n;
    const GType *types = hw_device_types(&n);

    for (unsigned i = 0; i < n; i++) {
        HwDeviceClass *dc = g_type_class_ref(types[i]); /* kept: the types are static */

        if (!strcmp(dc->model, model)) {
            return types[i];
        }
    }
    return 0;
}

/* QEMU's names of devices that need a part of the host's kernel, of which ours do without. */
static const char *without_vhost(const char *model)
{
    return !strcmp(model, "vhost-vsock-pci")      ? "virtio-vsock-pci"
           : !strcmp(model, "vhost-vsock-device") ? "virtio-vsock-device"
                                                  : model;
}

GType hw_device_find(const char *model)
{
    g_autofree char *on_pci = g_strconcat(model, "-pci", NULL);
    GType type = find_exactly(without_vhost(model));

    return type || !g_str_has_prefix(model, "virtio-") ? type : find_exactly(on_pci);
}
