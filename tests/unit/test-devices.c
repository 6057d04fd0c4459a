/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every device of the list, by a test that knows none of them: made with dummy back ends, realized, put on a bus (PCI devices with their base
 * address registers set) or into the map, described in a device tree, reset, poked at random in all its windows, saved and loaded by its state
 * table, given a state of random bytes, and destroyed.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "hw/ata/ahci.h"
#include "fsdev/fsdev.h"
#include "hw/core/device.h"
#include "hw/pci/pci-host-ecam.h"
#include "hw/usb/usb.h"
#include "hw/usb/xhci.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-scsi.h"
#include "hw/virtio/virtio-serial.h"
#include "net/net.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "tests/unit/bare.h"

#define RAM_BASE 0x80000000ull
#define WINDOW   0x10000000ull

enum { RAM_SIZE = 64 * 1024, WINDOW_STEP = 0x1000000, POKES = 3000, ROUNDS = 4 };

/* A host bridge with one bus; the device is at slot 1. */
#define PCI_MEM64 0x100000000ull

enum { PCI_ECAM = 0x20000000, PCI_IO = 0x21000000, PCI_MEM = 0x40000000, PCI_SLOT = 0x8000 };
enum { PCI_MEM_STEP = 0x1000000, PCI_IO_STEP = 0x1000 };

static char *folder, *disk, *sock;

/* ---- Making ---- */

static void ignore_irq(void *opaque, unsigned n, bool level)
{
    (void)opaque;
}

static void give_back_end(HwDevice *dev, const HwProp *prop)
{
    g_autoptr(GError) error = NULL;

    if (prop->type == HW_PROP_CHARDEV) {
        Chardev *chr;

        g_assert_true(chardev_new("c", "null", &chr, &error));
        g_assert_true(hw_device_set_prop(dev, prop->name, "c", &error));
    } else if (prop->type == HW_PROP_DRIVE) {
        BlockOptions options = { .id = "d", .file = disk };

        g_assert_nonnull(block_open(&options, &error));
        g_assert_true(hw_device_set_prop(dev, prop->name, "d", &error));
    } else if (prop->type == HW_PROP_NETDEV) {
        g_assert_true(net_new("user,id=n", &error));
        g_assert_true(hw_device_set_prop(dev, prop->name, "n", &error));
    } else if (!strcmp(prop->name, "fsdev")) {
        g_autofree char *text = g_strdup_printf("local,id=f,path=%s,security_model=none", folder);

        g_assert_nonnull(fsdev_new(text, &error));
        g_assert_true(hw_device_set_prop(dev, prop->name, "f", &error));
    } else if (prop->type == HW_PROP_STRING) {
        const char *text = !strcmp(prop->name, "addr")             ? "1"
                           : !strcmp(prop->name, "port")           ? "1"
                           : !strcmp(prop->name, "disable-legacy") ? "auto"
                           : !strcmp(prop->name, "path")           ? sock
                                                                   : "text";

        g_assert_true(hw_device_set_prop(dev, prop->name, text, &error));
    }
    g_assert_no_error(error);
}

static void map_windows(HwDevice *dev)
{
    static Irq irq = { .handler = ignore_irq };

    for (unsigned i = 0; i < dev->n_regions && !dev->regions[i]->container; i++) {
        hw_device_map(dev, i, NULL, WINDOW + i * WINDOW_STEP);
    }
    for (unsigned i = 0; i < dev->n_irqs; i++) {
        hw_device_connect_irq(dev, i, &irq, i + 1);
    }
    memory_commit();
}

static bool is_pci(const HwDevice *dev)
{
    return g_type_is_a(G_OBJECT_TYPE(dev), HW_TYPE_PCI_DEVICE);
}

static HwDevice *new_pci_host(void)
{
    const HwPciHostMap map = { PCI_ECAM, 1 << 20, PCI_IO,    1 << 16,
                               PCI_MEM,  1 << 28, PCI_MEM64, 1 << 28 };

    return hw_pci_host_ecam_new(&map);
}

static void plug(HwDevice *dev)
{
    g_autoptr(GError) error = NULL;

    dev->bus = hw_bus_find(HW_DEVICE_GET_CLASS(dev)->bus_type, NULL);
    g_assert_nonnull(dev->bus);
    g_assert_true(hw_device_realize(dev, &error));
    g_assert_no_error(error);
    g_assert_true(dev->bus->plug(dev->bus, dev, &error));
    g_assert_no_error(error);
    g_ptr_array_add(dev->bus->children, dev);
}

/* What has a bus of that type, and is itself plugged into another. */
static GType find_carrier(const char *bus_type)
{
    static const struct {
        const char *bus_type;
        GType (*carrier)(void);
    } carriers[] = {
        { "ata-bus", hw_ahci_get_type },
        { "scsi-bus", hw_virtio_scsi_get_type },
        { "virtio-serial-bus", hw_virtio_serial_get_type },
        { HW_USB_BUS_TYPE, hw_xhci_get_type },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(carriers); i++) {
        if (!strcmp(carriers[i].bus_type, bus_type)) {
            return carriers[i].carrier();
        }
    }
    return 0;
}

/* Makes what -device plugs @dev into, and what that is in. */
static HwDevice *make_window(HwDevice *dev)
{
    GType carrier = find_carrier(HW_DEVICE_GET_CLASS(dev)->bus_type);
    g_autoptr(GError) error = NULL;
    HwDevice *window;

    if (carrier) {
        HwDevice *between = hw_device_new(carrier, "carrier");

        window = make_window(between);
        plug(between);
        return window;
    }
    window = is_pci(dev) ? new_pci_host() : hw_virtio_mmio_new(0);
    g_assert_true(hw_device_realize(window, &error));
    if (is_pci(dev)) {
        hw_pci_host_ecam_map(window);
    }
    return window;
}

/* A realized device; *@window is what to poke at: itself or the slot it sits in. The caller owns the window. */
static HwDevice *make(GType type, HwDevice **window)
{
    HwDevice *dev =
        type == hw_pci_host_ecam_get_type() ? new_pci_host() : hw_device_new(type, "dev");
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    g_autoptr(GError) error = NULL;

    for (HwDevice *d = dev; d; d = d->inner) {
        for (const HwProp *p = HW_DEVICE_GET_CLASS(d)->props; p && p->name; p++) {
            give_back_end(d, p);
        }
    }
    *window = dev;
    if (dc->bus_type) {
        *window = make_window(dev);
        plug(dev);
    } else {
        g_assert_true(hw_device_realize(dev, &error));
        g_assert_no_error(error);
    }
    map_windows(*window);
    return dev;
}

/* As firmware does it: all base address registers get a place, everything is on. */
static void place_bars(const HwDevice *dev)
{
    const HwPciDevice *pci = HW_PCI_DEVICE(dev);

    for (unsigned n = 0; n < HW_PCI_N_BARS; n++) {
        uint64_t at = PCI_ECAM + PCI_SLOT + PCI_BASE_ADDRESS_0 + 4 * n;

        if (pci->bars[n].region) {
            bool io = pci->bars[n].type == HW_PCI_BAR_IO;

            memory_store(at, 4, io ? (n + 1) * PCI_IO_STEP : PCI_MEM + n * PCI_MEM_STEP);
        }
        if (pci->bars[n].region && pci->bars[n].type >= HW_PCI_BAR_MEM64) {
            memory_store(at + 4, 4, 0);
        }
    }
    memory_store(PCI_ECAM + PCI_SLOT + PCI_COMMAND, 2,
                 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* ---- Using ---- */

static uint64_t random_value(void)
{
    uint64_t wide = (uint64_t)(uint32_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();

    return g_test_rand_bit() ? wide : (uint64_t)g_test_rand_int_range(0, 256);
}

/* One access somewhere in [@start, @start + @size), with a preference for the first registers. */
static void poke_range(uint64_t start, uint64_t size)
{
    uint64_t addr = start + random_value() % (g_test_rand_bit() ? size : MIN(size, 0x200)), value;
    unsigned bytes = 1u << g_test_rand_int_range(0, 4);

    addr &= g_test_rand_int_range(0, 8) ? ~(uint64_t)(bytes - 1) : UINT64_MAX;
    if (g_test_rand_bit()) {
        memory_load(addr, bytes, &value);
    } else {
        memory_store(addr, bytes, random_value());
    }
}

/* The registers of a base address register, more rarely the configuration space. */
static void poke_pci(const HwPciDevice *dev)
{
    unsigned n = (unsigned)g_test_rand_int_range(0, HW_PCI_N_BARS + 1);
    const HwPciBar *bar = n < HW_PCI_N_BARS ? &dev->bars[n] : NULL;

    if (!bar && g_test_rand_int_range(0, 16) == 0) {
        place_bars(&dev->parent);
    } else if (!bar) {
        poke_range(PCI_ECAM + PCI_SLOT, HW_PCI_CONFIG_SIZE);
    } else if (bar->region && bar->mapped_at != HW_PCI_UNMAPPED) {
        poke_range(bar->mapped_at + (bar->type == HW_PCI_BAR_IO ? PCI_IO : 0), bar->region->size);
    }
}

static void poke(const HwDevice *dev, const HwDevice *window, unsigned times)
{
    if (is_pci(dev)) {
        place_bars(dev);
    }
    for (unsigned i = 0; i < times && window->n_regions; i++) {
        unsigned n = (unsigned)g_test_rand_int_range(0, (gint32)window->n_regions);

        if (is_pci(dev)) {
            poke_pci(HW_PCI_DEVICE(dev));
        } else {
            poke_range(window->addr[n], window->regions[n]->size);
        }
    }
    while (g_main_context_iteration(NULL, FALSE)) {}
}

static bool load(HwDevice *dev, const uint8_t *data, size_t len)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);

    return state_load(dev, dc->state, data, len, NULL) &&
           (!dc->post_load || dc->post_load(dev, NULL));
}

static void round_trip(HwDevice *dev, const HwDevice *window)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    g_autoptr(GByteArray) saved = g_byte_array_new(), again = g_byte_array_new();
    g_autoptr(GString) text = g_string_new(NULL), text_again = g_string_new(NULL);

    machine_lock();
    state_save(dev, dc->state, saved);
    g_assert_cmpuint(saved->len, ==, state_size(dc->state));
    state_print(dev, dc->state, text);
    hw_device_reset(dev);
    g_assert_true(load(dev, saved->data, saved->len));
    state_save(dev, dc->state, again);
    state_print(dev, dc->state, text_again);
    g_assert_cmpstr(text_again->str, ==, text->str);
    g_assert_cmpmem(again->data, again->len, saved->data, saved->len);
    if (saved->len) {
        g_assert_false(state_load(dev, dc->state, saved->data, saved->len - 1, NULL));
    }
    machine_unlock();
}

/* A state that no device was ever in is refused or borne. */
static void random_state(HwDevice *dev, const HwDevice *window)
{
    size_t len = state_size(HW_DEVICE_GET_CLASS(dev)->state);
    g_autofree uint8_t *data = g_malloc(len + 1);
    bool sparse = g_test_rand_bit();

    for (size_t i = 0; i < len; i++) {
        data[i] = sparse && g_test_rand_int_range(0, 16) ? 0 : (uint8_t)g_test_rand_int();
    }
    machine_lock();
    if (!load(dev, data, len)) {
        hw_devices_reset();
    }
    machine_unlock();
    poke(dev, window, POKES / 10);
    machine_lock();
    hw_devices_reset();
    machine_unlock();
}

static void describe(HwDevice *dev, void *opaque)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);

    if (dc->fdt) {
        dc->fdt(dev, opaque);
    }
}

static void check_tree(void)
{
    HwFdt *fdt = hw_fdt_new();
    g_autofree uint8_t *blob = NULL;
    size_t size;

    hw_fdt_add_node(fdt, "/soc/intc");
    hw_fdt_set_intc(fdt, "/soc/intc");
    hw_devices_foreach(describe, fdt);
    blob = hw_fdt_pack(fdt, &size);
    g_assert_cmpuint(size, >, 40);
    hw_fdt_free(fdt);
}

static void test_device(gconstpointer data)
{
    HwDevice *window, *dev;

    machine_lock();
    dev = make(*(const GType *)data, &window);
    hw_devices_reset();
    check_tree();
    machine_unlock();
    for (unsigned i = 0; i < ROUNDS; i++) {
        poke(dev, window, POKES);
        if (HW_DEVICE_GET_CLASS(dev)->state) {
            round_trip(dev, window);
            random_state(dev, window);
        }
    }
    machine_lock();
    g_object_unref(window);
    memory_commit();
    block_close_all();
    machine_unlock();
    chardev_cleanup();
    net_cleanup();
    fsdev_cleanup();
}

/* ---- The list ---- */

static void test_list(void)
{
    unsigned n;
    const GType *types = hw_device_types(&n);

    for (unsigned i = 0; i < n; i++) {
        HwDeviceClass *dc = g_type_class_ref(types[i]);

        g_assert_nonnull(dc->model);
        g_assert_nonnull(dc->desc);
        g_assert_true(hw_device_find(dc->model) == types[i]);
        g_assert_true(!dc->user_creatable || dc->bus_type);
        for (const HwProp *p = dc->props; p && p->name; p++) {
            g_assert_nonnull(p->desc);
        }
    }
    g_assert_cmpuint(hw_device_find("no such model"), ==, 0);
}

int main(int argc, char **argv)
{
    const GType *types;
    unsigned n;
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-devices-XXXXXX", NULL);
    disk = g_build_filename(folder, "disk", NULL);
    sock = g_build_filename(folder, "sock", NULL);
    g_assert_true(g_file_set_contents(disk, "a disk", -1, NULL));
    bare_init(256 << 20, RAM_BASE, RAM_SIZE);
    types = hw_device_types(&n);
    g_test_add_func("/devices/list", test_list);
    for (unsigned i = 0; i < n; i++) {
        HwDeviceClass *dc = g_type_class_ref(types[i]);
        g_autofree char *path = g_strdup_printf("/devices/%s", dc->model);

        g_test_add_data_func(path, &types[i], test_device);
    }
    status = g_test_run();
    g_unlink(disk);
    g_rmdir(folder);
    return status;
}
