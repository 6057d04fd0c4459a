/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SiFive test finisher: a write of 0x5555 powers off with status 0, 0x3333 with the status in the upper half-word, 0x7777 resets. The device
 * tree describes it as syscon-poweroff and syscon-reboot, which Linux and OpenSBI use.
 */
#include "hw/misc/sifive-test.h"
#include <inttypes.h>
#include "softmmu/runstate.h"
#include "util/log.h"

enum { FAIL = 0x3333, PASS = 0x5555, RESET = 0x7777, SIZE = 0x1000 };

typedef struct HwSifiveTest {
    HwDevice parent;
    MemoryRegion mmio;
} HwSifiveTest;

typedef struct HwSifiveTestClass {
    HwDeviceClass parent;
} HwSifiveTestClass;

G_DEFINE_TYPE(HwSifiveTest, hw_sifive_test, HW_TYPE_DEVICE)

static uint64_t test_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void test_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset) {
        return;
    }
    switch (value & 0xffff) {
    case FAIL:
        vm_request_shutdown((int)(value >> 16 & 0xff));
        return;
    case PASS:
        vm_request_shutdown(0);
        return;
    case RESET:
        vm_request_reset();
        return;
    }
    log_guest_error("sifive_test: unknown finisher value %#" PRIx64, value);
}

static const MemoryRegionOps test_ops = {
    .read = test_read,
    .write = test_write,
    .min_access = 2,
    .max_access = 4,
    .min_valid = 2,
    .max_valid = 4,
};

static bool test_realize(HwDevice *dev, GError **error)
{
    HwSifiveTest *s = (HwSifiveTest *)dev;

    memory_region_init_io(&s->mmio, "sifive-test", SIZE, &test_ops, s);
    hw_device_add_region(dev, &s->mmio);
    return true;
}

static void test_fdt(HwDevice *dev, HwFdt *fdt)
{
    static const char *const compatible[] = { "sifive,test1", "sifive,test0", "syscon", NULL };
    static const struct {
        const char *node, *compatible;
        uint32_t value;
    } users[] = {
        { "/poweroff", "syscon-poweroff", PASS },
        { "/reboot", "syscon-reboot", RESET },
    };
    g_autofree char *node = g_strdup_printf("/soc/test@%" PRIx64, dev->addr[0]);
    uint32_t phandle;

    hw_fdt_add_node(fdt, node);
    phandle = hw_fdt_phandle(fdt, node);
    hw_fdt_set_reg(fdt, node, dev->addr[0], SIZE);
    hw_fdt_set_strings(fdt, node, "compatible", compatible);
    for (unsigned i = 0; i < G_N_ELEMENTS(users); i++) {
        hw_fdt_add_node(fdt, users[i].node);
        hw_fdt_set_cell(fdt, users[i].node, "value", users[i].value);
        hw_fdt_set_cell(fdt, users[i].node, "offset", 0);
        hw_fdt_set_cell(fdt, users[i].node, "regmap", phandle);
        hw_fdt_set_string(fdt, users[i].node, "compatible", users[i].compatible);
    }
}

static void hw_sifive_test_init(HwSifiveTest *s)
{
    (void)s;
}

static void hw_sifive_test_class_init(HwSifiveTestClass *klass)
{
    static const StateField no_state[] = { { 0 } };
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "sifive-test";
    dc->desc = "test finisher: power-off and reset";
    dc->state = no_state;
    dc->realize = test_realize;
    dc->fdt = test_fdt;
}
