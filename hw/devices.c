/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one list of all device models, which -device, its help and the test of all devices read. */
#include <string.h>
#include "hw/block/pflash-cfi01.h"
#include "hw/char/serial-16550.h"
#include "hw/core/device.h"
#include "hw/intc/clint.h"
#include "hw/intc/plic.h"
#include "hw/misc/htif.h"
#include "hw/misc/sifive-test.h"
#include "hw/nvram/fw-cfg.h"
#include "hw/rtc/goldfish-rtc.h"
#include "hw/virtio/virtio-blk.h"
#include "hw/virtio/virtio-console.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-rng.h"

static GType (*const getters[])(void) = {
    hw_clint_get_type,          hw_fw_cfg_get_type,      hw_goldfish_rtc_get_type,
    hw_htif_get_type,           hw_pflash_get_type,      hw_plic_get_type,
    hw_serial_get_type,         hw_sifive_test_get_type, hw_virtio_blk_get_type,
    hw_virtio_console_get_type, hw_virtio_mmio_get_type, hw_virtio_rng_get_type,
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

GType hw_device_find(const char *model)
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
