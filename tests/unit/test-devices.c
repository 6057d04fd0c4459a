/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every device of the list, by a test that knows none of them: made with dummy back ends, realized, put on a bus or into the map,
 * described in a device tree, reset, poked at random in all its windows, saved and loaded by its state table, given a state of
 * random bytes, and destroyed.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "hw/virtio/virtio-mmio.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"

#define RAM_BASE 0x80000000ull
#define WINDOW   0x10000000ull

enum { RAM_SIZE = 64 * 1024, WINDOW_STEP = 0x1000000, POKES = 3000, ROUNDS = 4 };

static MemoryRegion ram;
static char *folder, *disk;

/* ---- What devices ask of parts that are not here: there is no CPU and nothing runs ---- */

bool cpu_icount_enabled(void)
{
    return false;
}

void icount_timer_changed(void);

void icount_timer_changed(void)
{
}

void vm_request_shutdown(int status)
{
    (void)status;
}

void vm_request_reset(void)
{
}

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
    } else if (prop->type == HW_PROP_STRING) {
        g_assert_true(hw_device_set_prop(dev, prop->name, "text", &error));
    }
    g_assert_no_error(error);
}

static void map_windows(HwDevice *dev)
{
    static Irq irq = { .handler = ignore_irq };

    for (unsigned i = 0; i < dev->n_regions; i++) {
        hw_device_map(dev, i, NULL, WINDOW + i * WINDOW_STEP);
    }
    for (unsigned i = 0; i < dev->n_irqs; i++) {
        hw_device_connect_irq(dev, i, &irq, i + 1);
    }
    memory_commit();
}

/* A realized device; *@window is what to poke at: itself or the slot it sits in. The caller owns the window. */
static HwDevice *make(GType type, HwDevice **window)
{
    HwDevice *dev = hw_device_new(type, "dev");
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    g_autoptr(GError) error = NULL;

    for (const HwProp *p = dc->props; p && p->name; p++) {
        give_back_end(dev, p);
    }
    *window = dev;
    if (dc->bus_type) {
        *window = hw_virtio_mmio_new(0);
        g_assert_true(hw_device_realize(*window, &error));
        dev->bus = hw_bus_find(dc->bus_type, NULL);
        g_assert_nonnull(dev->bus);
    }
    g_assert_true(hw_device_realize(dev, &error));
    g_assert_no_error(error);
    if (dev->bus) {
        g_assert_true(dev->bus->plug(dev->bus, dev, &error));
        g_ptr_array_add(dev->bus->children, dev);
    }
    map_windows(*window);
    return dev;
}

/* ---- Using ---- */

static uint64_t random_value(void)
{
    uint64_t wide = (uint64_t)(uint32_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();

    return g_test_rand_bit() ? wide : (uint64_t)g_test_rand_int_range(0, 256);
}

static void poke(const HwDevice *window, unsigned times)
{
    for (unsigned i = 0; i < times && window->n_regions; i++) {
        unsigned n = (unsigned)g_test_rand_int_range(0, (gint32)window->n_regions);
        uint64_t range =
            g_test_rand_bit() ? window->regions[n]->size : MIN(window->regions[n]->size, 0x200);
        uint64_t addr = window->addr[n] + random_value() % range, value;
        unsigned size = 1u << g_test_rand_int_range(0, 4);

        addr &= g_test_rand_int_range(0, 8) ? ~(uint64_t)(size - 1) : UINT64_MAX;
        if (g_test_rand_bit()) {
            memory_load(addr, size, &value);
        } else {
            memory_store(addr, size, random_value());
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
    g_autoptr(GString) text = g_string_new(NULL);

    machine_lock();
    state_save(dev, dc->state, saved);
    g_assert_cmpuint(saved->len, ==, state_size(dc->state));
    state_print(dev, dc->state, text);
    hw_device_reset(dev);
    g_assert_true(load(dev, saved->data, saved->len));
    state_save(dev, dc->state, again);
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
    poke(window, POKES / 10);
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
        poke(window, POKES);
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

static void set_up(void)
{
    g_autoptr(GError) error = NULL;

    clock_init();
    g_assert_true(memory_init(256 << 20, &error));
    g_assert_true(memory_region_init_ram(&ram, "ram", RAM_SIZE, &error));
    memory_region_add(memory_system(), RAM_BASE, &ram, 0);
    block_set_lock(machine_lock, machine_unlock);
    chardev_set_lock(machine_lock, machine_unlock);
    clock_set_running(true);
}

int main(int argc, char **argv)
{
    const GType *types;
    unsigned n;
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-devices-XXXXXX", NULL);
    disk = g_build_filename(folder, "disk", NULL);
    g_assert_true(g_file_set_contents(disk, "a disk", -1, NULL));
    set_up();
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
