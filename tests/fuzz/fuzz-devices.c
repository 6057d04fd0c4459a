/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices, driven by a hostile guest: a target is a small machine, an input a program of what a guest, its user and its network can do
 * (fuzz-devices.h). Each input has a machine of its own, on back ends in memory (backends.h) and with a clock that only the program advances, so that
 * it does the same in each run.
 *
 * Besides what sanitizers see, it is a defect if an operation takes long or much memory, a device touches what is around the guest's RAM, a
 * snapshot that it saved is not one that it can load, or it is not as new after a reset.
 */
#include "tests/fuzz/fuzz-devices.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "fsdev/fsdev.h"
#include "hw/block/pflash-cfi01.h"
#include "hw/core/balloon.h"
#include "hw/intc/aplic.h"
#include "hw/intc/clint.h"
#include "hw/intc/imsic.h"
#include "hw/intc/plic.h"
#include "hw/nvram/fw-cfg.h"
#include "hw/pci/pci-host-ecam.h"
#include "softmmu/clock.h"
#include "softmmu/memory.h"
#include "tests/fuzz/backends.h"
#include "tests/unit/bare.h"
#include "ui/input.h"
#include "util/keyval.h"

#define ECAM 0x20000000ull
#define IO   0x21000000ull
#define MEM  0x40000000ull

enum { ECAM_SIZE = 16 << 20, IO_SIZE = 1 << 16, MEM_SIZE = 1 << 28, WINDOW = 0x10000000 };
enum { MAX_DEVICES = 8, DEVICE_STEP = 1 << 24, BAR_STEP = 1 << 20, IO_STEP = 0x1000 };
enum { GUARD = 64 << 10, MAX_COPY = (64 << 10) + 1, MAX_TIME_S = 20, PLIC_SOURCES = 31 };
/* One input in so many ends with the check of a reset. */
enum { CHECK_RESET = 4 };
/* Of an operation: CPU time with the machine lock held, and bytes of memory that stay. */
enum { MAX_CPU_MS = 2000, MAX_BYTES = 64 << 20 };

typedef struct DeviceTarget {
    const char *name;
    FuzzSeeds *seeds;
    /* As -device has them, those that others are plugged into first; back ends are given to them. "bus=" as far as it is needed. */
    const char *devices[MAX_DEVICES];
} DeviceTarget;

static struct {
    uint8_t *low, *high; /* the pieces of RAM */
    int64_t now;         /* of the virtual clock, ns */
    HwDevice *host;      /* of PCI; NULL: none */
    HwDevice *devices[MAX_DEVICES], *windows[MAX_DEVICES];
    unsigned n_devices, n_windows;
    unsigned n_disks, n_networks, n_chardevs; /* given to devices */
    const FuzzOp
        *meanwhile; /* to be done when so many other calls to the outside were there; NULL: none */
    unsigned others;
    GByteArray *saved;              /* states and RAM; empty: none */
    char *folder;                   /* shared; NULL: not yet */
    size_t bytes;                   /* in use before the input */
    FuzzProgram driver;             /* a well-behaved one's */
    uint8_t answers[FUZZ_RAM_SIZE]; /* RAM as it leaves it */
} self;

/* ---- Making a machine ---- */

static uint8_t *ram(uint32_t at)
{
    return at < FUZZ_RAM_PIECE ? self.low + at : self.high + (at - FUZZ_RAM_PIECE);
}

/* Byte by byte at the seam. */
static void put(uint32_t at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++, at++, value >>= 8) {
        *ram(at % FUZZ_RAM_SIZE) = (uint8_t)value;
    }
}

static void put_pair(uint32_t at, uint64_t a, uint64_t b)
{
    put(at, a, 8);
    put(at + 8, b, 8);
}

static void put_op(const FuzzOp *op)
{
    if (op->size > 8) {
        put_pair(op->at, op->a, op->b);
    } else {
        put(op->at, op->a, op->size);
    }
}

/* A device is at work. */
static void meanwhile(void)
{
    if (self.meanwhile && !self.others--) {
        put_op(self.meanwhile);
        self.meanwhile = NULL;
    }
}

static void on_irq(void *opaque, unsigned n, bool level)
{
    meanwhile();
}

static void must(bool ok, GError *error)
{
    if (!ok) {
        g_error("%s", error ? error->message : "cannot make the machine");
    }
}

static void set(HwDevice *dev, const char *name, const char *value)
{
    g_autoptr(GError) error = NULL;

    must(hw_device_set_prop(dev, name, value, &error), error);
}

/* A folder of the host that is the same for all inputs, as it is read only. */
static void make_folder(void)
{
    g_autofree char *file = NULL, *text = NULL;
    g_autoptr(GError) error = NULL;

    self.folder = g_dir_make_tmp("fuzz-XXXXXX", &error);
    must(self.folder, error);
    file = g_build_filename(self.folder, "a", NULL);
    must(g_file_set_contents(file, "some bytes", -1, &error), error);
    text = g_strdup_printf("local,id=f,readonly=on,security_model=none,path=%s", self.folder);
    fsdev_set_lock(machine_lock, machine_unlock);
    fsdev_set_synchronous(true);
    must(fsdev_new(text, &error), error);
}

static void remove_folder(void)
{
    g_autofree char *file = self.folder ? g_build_filename(self.folder, "a", NULL) : NULL;

    if (file) {
        fsdev_cleanup();
        g_unlink(file);
        g_rmdir(self.folder);
        g_free(self.folder);
    }
}

static void give_back_end(HwDevice *dev, const HwProp *prop)
{
    static const char kinds[] = {
        [HW_PROP_CHARDEV] = 'c', [HW_PROP_DRIVE] = 'd', [HW_PROP_NETDEV] = 'n'
    };
    unsigned *n = prop->type == HW_PROP_CHARDEV  ? &self.n_chardevs
                  : prop->type == HW_PROP_DRIVE  ? &self.n_disks
                  : prop->type == HW_PROP_NETDEV ? &self.n_networks
                                                 : NULL;
    char id[3] = { 0 };

    if (!strcmp(prop->name, "fsdev")) {
        if (!self.folder) {
            make_folder();
        }
        set(dev, "fsdev", "f");
    } else if (n) {
        id[0] = kinds[prop->type];
        id[1] = (char)('0' + (*n)++ % BACKENDS_N);
        set(dev, prop->name, id);
    }
}

/* Devices that a machine makes with what they need. */
static HwDevice *make_device(const char *model)
{
    GType type = hw_device_find(model);

    if (type == hw_plic_get_type()) {
        return hw_plic_new(2, PLIC_SOURCES);
    }
    if (type == hw_imsic_get_type()) {
        return hw_imsic_new(2, true);
    }
    if (type == hw_aplic_get_type()) {
        return hw_aplic_new(2, PLIC_SOURCES, self.n_devices ? self.devices[0] : NULL, NULL);
    }
    if (type == hw_clint_get_type()) {
        return hw_clint_new(2);
    }
    if (type == hw_fw_cfg_get_type()) {
        HwDevice *dev = hw_fw_cfg_new();
        g_autoptr(GBytes) data = g_bytes_new_static("some bytes", 10);

        hw_fw_cfg_add_number(dev, HW_FW_CFG_NB_CPUS, 2, 2);
        hw_fw_cfg_add_file(dev, "etc/file", data);
        return dev;
    }
    if (!type) {
        g_error("no device '%s'", model);
    }
    return hw_device_new(type, NULL);
}

static bool is_pci(const HwDevice *dev)
{
    return g_type_is_a(G_OBJECT_TYPE(dev), HW_TYPE_PCI_DEVICE);
}

static void plug(HwDevice *dev, const char *bus)
{
    g_autoptr(GError) error = NULL;

    dev->bus = hw_bus_find(HW_DEVICE_GET_CLASS(dev)->bus_type, bus);
    must(dev->bus, NULL);
    must(hw_device_realize(dev, &error), error);
    must(dev->bus->plug(dev->bus, dev, &error), error);
    g_ptr_array_add(dev->bus->children, dev);
}

static void map(HwDevice *dev)
{
    static Irq irq = { .handler = on_irq };
    g_autoptr(GError) error = NULL;

    must(hw_device_realize(dev, &error), error);
    for (unsigned i = 0; i < dev->n_regions; i++) {
        hw_device_map(dev, i, NULL, WINDOW + self.n_windows * DEVICE_STEP + i * BAR_STEP);
    }
    for (unsigned i = 0; i < dev->n_irqs; i++) {
        hw_device_connect_irq(dev, i, &irq, i + 1);
    }
}

static void make_pci_host(void)
{
    const HwPciHostMap places = {
        ECAM, ECAM_SIZE, IO, IO_SIZE, MEM, MEM_SIZE, 1ull << 32, 1 << 28
    };
    static Irq irq = { .handler = on_irq };
    g_autoptr(GError) error = NULL;

    self.host = hw_pci_host_ecam_new(&places);
    must(hw_device_realize(self.host, &error), error);
    hw_pci_host_ecam_map(self.host);
    for (unsigned i = 0; i < self.host->n_irqs; i++) {
        hw_device_connect_irq(self.host, i, &irq, i + 1);
    }
}

/* A device of "model,property=value,...". */
static void add_device(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    HwDevice *dev = make_device(words[0]);
    const char *bus = NULL;

    for (HwDevice *d = dev; d; d = d->inner) {
        for (const HwProp *p = HW_DEVICE_GET_CLASS(d)->props; p && p->name; p++) {
            give_back_end(d, p);
        }
    }
    for (char **word = words + 1; *word; word++) {
        char *value = strchr(*word, '=');

        *value++ = 0;
        if (!strcmp(*word, "bus")) {
            bus = value;
        } else if (!strcmp(*word, "id")) {
            dev->id = g_strdup(value);
        } else {
            set(dev, *word, value);
        }
    }
    if (is_pci(dev) && !self.host) {
        make_pci_host();
    }
    if (HW_DEVICE_GET_CLASS(dev)->bus_type) {
        plug(dev, bus);
    } else {
        map(dev);
    }
    self.devices[self.n_devices++] = dev;
    if (is_pci(dev) || dev->n_regions) {
        self.windows[self.n_windows++] = dev;
    }
}

/* ---- Addresses ---- */

static uint64_t config_address(const HwDevice *dev)
{
    const HwPciDevice *pci = (const HwPciDevice *)dev, *bridge = pci->bus->bridge;
    uint64_t bus = bridge ? bridge->config[PCI_SECONDARY_BUS] : 0;

    return ECAM + (bus << 20) + ((uint64_t)pci->devfn << 12);
}

/* The windows of a bridge are where the devices behind it have theirs. */
static void place_bridge(const HwPciDevice *bridge, uint64_t at, unsigned number)
{
    unsigned first = MAX_DEVICES, last = 0;

    for (unsigned i = 0; i < self.n_windows; i++) {
        if (((const HwPciDevice *)self.windows[i])->bus->bridge == bridge) {
            first = MIN(first, i);
            last = i;
        }
    }
    memory_store(at + PCI_PRIMARY_BUS, 4, number << 8 | number << 16);
    memory_store(at + PCI_IO_BASE, 2, (first + 1) << 4 | (last + 1) << 12);
    memory_store(at + PCI_MEMORY_BASE, 4,
                 (MEM + first * DEVICE_STEP) >> 16 |
                     (MEM + (last + 1) * DEVICE_STEP - 1) / 0x100000 * 0x100000);
    memory_store(at + PCI_BRIDGE_CONTROL, 2, 0);
}

static void place_device(const HwDevice *dev, unsigned i)
{
    const HwPciDevice *pci = (const HwPciDevice *)dev;
    uint64_t at = config_address(dev);

    if (HW_PCI_DEVICE_GET_CLASS(pci)->is_bridge) {
        place_bridge(pci, at, i + 1);
    }
    for (unsigned n = 0; n < HW_PCI_N_BARS; n++) {
        const HwPciBar *bar = &pci->bars[n];

        if (bar->region) {
            memory_store(at + PCI_BASE_ADDRESS_0 + 4 * n, 4,
                         bar->type == HW_PCI_BAR_IO ? (i + 1) * IO_STEP + n * 0x200
                                                    : MEM + i * DEVICE_STEP + n * BAR_STEP);
        }
        if (bar->region && bar->type >= HW_PCI_BAR_MEM64) {
            memory_store(at + PCI_BASE_ADDRESS_0 + 4 * n + 4, 4, 0);
        }
    }
    memory_store(at + PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* As firmware does it. */
static void place(void)
{
    for (unsigned i = 0; i < self.n_windows; i++) {
        if (is_pci(self.windows[i])) {
            place_device(self.windows[i], i);
        }
    }
}

static bool bar_window(const HwPciDevice *pci, unsigned n, uint64_t *base, uint64_t *size)
{
    const HwPciBar *bar = &pci->bars[n % HW_PCI_N_BARS];

    if (!bar->region || bar->mapped_at == HW_PCI_UNMAPPED) {
        return false;
    }
    *base = bar->mapped_at + (bar->type == HW_PCI_BAR_IO ? IO : 0);
    *size = bar->region->size;
    return true;
}

/* Where a window is now. False: nowhere. */
static bool find_window(unsigned window, uint64_t *base, uint64_t *size)
{
    static const uint64_t others[][2] = { { ECAM, ECAM_SIZE }, { MEM, MEM_SIZE }, { IO, IO_SIZE } };
    const HwDevice *dev = self.windows[window / 8 % self.n_windows];

    if (window >= FUZZ_ECAM) {
        *base = others[window % G_N_ELEMENTS(others)][0];
        *size = others[window % G_N_ELEMENTS(others)][1];
        return true;
    }
    window %= 8;
    if (is_pci(dev) && window < FUZZ_CONFIG) {
        return bar_window((const HwPciDevice *)dev, window, base, size);
    }
    if (is_pci(dev)) {
        *base = config_address(dev);
        *size = HW_PCI_CONFIG_SIZE;
        return true;
    }
    *base = dev->addr[window % dev->n_regions];
    *size = dev->regions[window % dev->n_regions]->size;
    return true;
}

/* ---- Operations ---- */

static void access_window(const FuzzOp *op)
{
    unsigned size = op->size & 8 ? 8 : op->size & 4 ? 4 : op->size & 2 ? 2 : 1;
    uint64_t base, length, value, at;

    if (!find_window(op->window, &base, &length)) {
        return;
    }
    at = base + (op->at < length ? op->at : op->at % length);
    if (op->kind == FUZZ_LOAD) {
        memory_load(at, size, &value);
    } else {
        memory_store(at, size, op->a);
    }
}

static void fill(const FuzzOp *op)
{
    for (unsigned i = 0; i < op->count; i++) {
        put_pair(op->at + 16 * i, op->a + (op->size & 1 ? 4096ull * i : 0), op->b);
    }
}

static void copy(const FuzzOp *op)
{
    for (uint32_t i = 0; i < op->b % MAX_COPY; i++) {
        *ram((op->at + i) % FUZZ_RAM_SIZE) = *ram((uint32_t)(op->a + i) % FUZZ_RAM_SIZE);
    }
}

static void pass_time(uint64_t ns)
{
    self.now += (int64_t)(ns % (MAX_TIME_S * 1000000000ull));
    machine_lock();
    clock_run_virtual_timers();
    machine_unlock();
    g_main_context_iteration(NULL, FALSE); /* timers of the host's clock */
}

static void input(const FuzzOp *op)
{
    switch (op->count % 5) {
    case 0:
        input_send_key((uint8_t)op->a, op->b);
        break;
    case 1:
        input_send_move((int32_t)op->a, (int32_t)op->b, (int32_t)op->at);
        break;
    case 2:
        input_send_buttons((uint8_t)op->a);
        break;
    case 3:
        input_select_pointer((unsigned)op->a);
        break;
    default:
        hw_balloon_set(op->a);
    }
}

static void set_line(const FuzzOp *op)
{
    unsigned source = 1 + op->at % PLIC_SOURCES;

    for (unsigned i = 0; i < self.n_devices; i++) {
        GType type = G_OBJECT_TYPE(self.devices[i]);

        if (type == hw_plic_get_type()) {
            irq_set(hw_plic_input(self.devices[i], source), op->a & 1);
        } else if (type == hw_aplic_get_type()) {
            irq_set(hw_aplic_input(self.devices[i], source), op->a & 1);
        }
    }
}

/* A hart of 64 bits has only the even ones of the registers for arrays. */
static void access_imsic(const FuzzOp *op)
{
    enum { FIRST = 0x70, N_EVEN = 0x48 };
    HwDevice *dev = self.devices[0];
    void *file;

    if (G_OBJECT_TYPE(dev) != hw_imsic_get_type()) {
        return;
    }
    file = hw_imsic_file(dev, op->window % 2);
    if (op->count & 1) {
        hw_imsic_topei(file, op->a & 1);
    } else {
        hw_imsic_access(file, FIRST + 2 * (op->at % N_EVEN), 64, op->a, op->b);
    }
}

static void drain(void)
{
    char id[] = "d0";

    for (unsigned i = 0; i < self.n_disks; i++) {
        id[1] = (char)('0' + i % BACKENDS_N);
        block_drain(block_find(id));
    }
}

static void save_device(HwDevice *dev, void *opaque)
{
    if (HW_DEVICE_GET_CLASS(dev)->state) {
        state_save(dev, HW_DEVICE_GET_CLASS(dev)->state, self.saved);
    }
}

static void load_device(HwDevice *dev, void *opaque)
{
    const HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    size_t *at = opaque, size = dc->state ? state_size(dc->state) : 0;
    g_autoptr(GError) error = NULL;

    if (size && (!state_load(dev, dc->state, self.saved->data + *at, size, &error) ||
                 (dc->post_load && !dc->post_load(dev, &error)))) {
        g_error("%s: what it saved cannot be loaded: %s", dc->model, error->message);
    }
    *at += size;
}

/* Before a snapshot; @opaque becomes false if there cannot be one now. */
static void ask_device(HwDevice *dev, void *opaque)
{
    const HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    g_autoptr(GError) error = NULL;
    bool *can = opaque;

    *can &= !dc->can_save || dc->can_save(dev, &error);
}

static void settle_device(HwDevice *dev, void *opaque)
{
    if (HW_DEVICE_GET_CLASS(dev)->settle) {
        HW_DEVICE_GET_CLASS(dev)->settle(dev);
    }
}

static void save(void)
{
    bool can = true;

    hw_devices_foreach(ask_device, &can);
    if (can) {
        g_byte_array_set_size(self.saved, 0);
        g_byte_array_append(self.saved, self.low, FUZZ_RAM_PIECE);
        g_byte_array_append(self.saved, self.high, FUZZ_RAM_PIECE);
        hw_devices_foreach(save_device, NULL);
    }
}

static void snapshot(bool load)
{
    size_t at = FUZZ_RAM_SIZE;

    drain();
    if (!load) {
        save();
    } else if (self.saved->len) {
        hw_devices_foreach(settle_device, NULL);
        memcpy(self.low, self.saved->data, FUZZ_RAM_PIECE);
        memcpy(self.high, self.saved->data + FUZZ_RAM_PIECE, FUZZ_RAM_PIECE);
        hw_devices_foreach(load_device, &at);
    }
}

static void reset(const FuzzOp *op)
{
    if (op->count & 1) {
        hw_device_reset(self.devices[op->window % self.n_devices]);
        return;
    }
    hw_devices_reset();
}

/* What is not the guest's doing, with the machine lock held. */
static void happen(const FuzzOp *op)
{
    static const int errors[] = { EIO, ENOSPC, EINVAL, EROFS };

    switch (op->kind) {
    case FUZZ_DISK:
        backends_complete(op->count, op->at & 1);
        break;
    case FUZZ_WAIT:
        backends_set_waiting(op->a);
        backends_set_full(op->count);
        break;
    case FUZZ_ERROR:
        backends_set_failing(op->count, errors[op->a % G_N_ELEMENTS(errors)]);
        break;
    case FUZZ_RECEIVE:
        backends_receive(op->window, op->at, op->a, op->b);
        break;
    case FUZZ_LINK:
        backends_set_link(op->window, op->a & 1);
        break;
    case FUZZ_TYPE:
        if (op->count) {
            backends_event(op->window, (unsigned)op->a);
        } else {
            backends_type(op->window, op->at % 8192, (uint8_t)op->a);
        }
        break;
    case FUZZ_INPUT:
        input(op);
        break;
    case FUZZ_STREAM:
        backends_stream(op->window, op->count, op->at);
        break;
    case FUZZ_LINE:
        set_line(op);
        break;
    case FUZZ_CSR:
        access_imsic(op);
        break;
    case FUZZ_RESET:
        reset(op);
        break;
    case FUZZ_SNAPSHOT:
        snapshot(op->count & 1);
        break;
    default:
        break;
    }
}

static void do_op(const FuzzOp *op)
{
    switch (op->kind) {
    case FUZZ_STORE:
    case FUZZ_LOAD:
        access_window(op);
        break;
    case FUZZ_PUT:
        put_op(op);
        break;
    case FUZZ_MEANWHILE:
        self.meanwhile = op;
        self.others = op->count;
        break;
    case FUZZ_FILL:
        fill(op);
        break;
    case FUZZ_COPY:
        copy(op);
        break;
    case FUZZ_TIME:
        pass_time(op->a);
        break;
    case FUZZ_PLACE:
        place();
        break;
    default:
        machine_lock();
        happen(op);
        machine_unlock();
    }
}

/* ---- Limits ---- */

extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static int64_t cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static size_t bytes_in_use(void)
{
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : 0;
}

/* ---- A run ---- */

static bool is_flash(const DeviceTarget *row)
{
    return !strcmp(row->devices[0], "cfi.pflash01");
}

/* Of the host, where what statfs says changes with what others write. */
static bool has_folder(const DeviceTarget *row)
{
    return g_str_has_prefix(row->devices[0], "virtio-9p");
}

static void machine_new(const DeviceTarget *row)
{
    machine_lock();
    if (!self.n_devices) {
        for (unsigned i = 0; i < MAX_DEVICES && row->devices[i]; i++) {
            add_device(row->devices[i]);
        }
    }
    memory_commit();
    if (is_flash(row)) {
        memset(hw_pflash_contents(self.devices[0]), 0xff, self.devices[0]->regions[0]->size);
    }
    hw_devices_reset();
    machine_unlock();
}

static void machine_free(const DeviceTarget *row)
{
    drain();
    if (is_flash(row)) {
        return; /* it has its memory for ever */
    }
    for (unsigned i = self.n_devices; i-- > 0;) {
        if (!self.devices[i]->bus) {
            g_object_unref(self.devices[i]);
        }
    }
    g_clear_object(&self.host);
    self.n_devices = self.n_windows = 0;
    self.n_disks = self.n_networks = self.n_chardevs = 0;
    memory_commit();
    memory_views_trim();
}

static void run_ops(const FuzzOp *ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int64_t begin = cpu_ms();

        do_op(&ops[i]);
        if (cpu_ms() - begin > MAX_CPU_MS) {
            g_error("fuzz: operation %u took %d ms", i, (int)(cpu_ms() - begin));
        }
        if (bytes_in_use() > self.bytes + MAX_BYTES) {
            g_error("fuzz: after operation %u there are %zu bytes in use", i, bytes_in_use());
        }
    }
}

static void clear_ram(void)
{
    self.meanwhile = NULL;
    memset(self.low, 0, FUZZ_RAM_PIECE);
    memset(self.high, 0, FUZZ_RAM_PIECE);
    self.now = 0;
    g_byte_array_set_size(self.saved, 0);
}

static void begin(const DeviceTarget *row)
{
    clear_ram();
    self.bytes = bytes_in_use();
    machine_new(row);
    place();
}

static void end(const DeviceTarget *row)
{
    machine_lock();
    machine_free(row);
    backends_reset();
    if (!is_flash(row)) {
        backends_check_unused();
    }
    machine_unlock();
}

/* After a reset a well-behaved driver gets the answers that it gets from a new machine. */
static void check_reset(const DeviceTarget *row)
{
    unsigned pointer = 0;

    machine_lock();
    drain();
    hw_devices_reset();
    drain();
    backends_reset();
    while (input_select_pointer(pointer)) { /* the last, as at the start */
        pointer++;
    }
    machine_unlock();
    clear_ram();
    place();
    run_ops(self.driver.ops, self.driver.n);
    for (uint32_t at = 0; at < FUZZ_RAM_SIZE; at += FUZZ_RAM_PIECE) {
        if (memcmp(ram(at), self.answers + at, FUZZ_RAM_PIECE)) {
            uint32_t i = 0;

            while (*ram(at + i) == self.answers[at + i]) {
                i++;
            }
            g_error("fuzz: after a reset there is %#x at %#x instead of %#x", *ram(at + i), at + i,
                    self.answers[at + i]);
        }
    }
}

static void learn_answers(const DeviceTarget *row)
{
    g_autoptr(GPtrArray) seeds = g_ptr_array_new_with_free_func(g_free);

    row->seeds(seeds);
    self.driver = *(const FuzzProgram *)g_ptr_array_index(seeds, MIN(1, seeds->len - 1));
    begin(row);
    run_ops(self.driver.ops, self.driver.n);
    memcpy(self.answers, self.low, FUZZ_RAM_PIECE);
    memcpy(self.answers + FUZZ_RAM_PIECE, self.high, FUZZ_RAM_PIECE);
    end(row);
}

static void run_row(const DeviceTarget *row, const FuzzOp *ops, unsigned n)
{
    if (!self.driver.n) {
        learn_answers(row);
    }
    begin(row);
    run_ops(ops, n);
    if (n % CHECK_RESET == 0 && !has_folder(row)) {
        check_reset(row);
    }
    end(row);
}

/* ---- Targets ---- */

static const DeviceTarget rows[] = {
    { "nvme", fuzz_seeds_nvme, { "nvme,serial=s" } },
    { "xhci",
      fuzz_seeds_xhci,
      { "qemu-xhci", "usb-storage,port=1,removable=on", "usb-hub,port=2", "usb-kbd,port=2.1",
        "usb-mouse,port=2.2", "usb-tablet,port=3" } },
    { "virtio-blk-pci",
      fuzz_seeds_blk,
      { "virtio-blk-pci,packed=on,disable-legacy=off,serial=s" } },
    { "virtio-scsi-pci",
      fuzz_seeds_scsi,
      { "virtio-scsi-pci,packed=on,disable-legacy=off", "scsi-hd", "scsi-hd,removable=on" } },
    { "virtio-net-pci",
      fuzz_seeds_net,
      { "virtio-net-pci,packed=on,disable-legacy=off,mq=on,queues=2" } },
    { "virtio-serial-pci",
      fuzz_seeds_console,
      { "virtio-serial-pci,packed=on,disable-legacy=off", "virtconsole",
        "virtserialport,name=port" } },
    { "virtio-rng-pci", fuzz_seeds_rng, { "virtio-rng-pci,packed=on,disable-legacy=off" } },
    { "virtio-balloon-pci",
      fuzz_seeds_balloon,
      { "virtio-balloon-pci,packed=on,disable-legacy=off,free-page-reporting=on" } },
    { "virtio-keyboard-pci", fuzz_seeds_input, { "virtio-keyboard-pci,packed=on" } },
    { "virtio-tablet-pci",
      fuzz_seeds_input,
      { "virtio-tablet-pci,packed=on,serial=s", "virtio-mouse-pci" } },
    { "virtio-vsock-pci", fuzz_seeds_vsock, { "virtio-vsock-pci,packed=on,path=p" } },
    { "virtio-blk-mmio", fuzz_seeds_blk_mmio, { "virtio-mmio", "virtio-blk-device,packed=on" } },
    { "virtio-net-mmio",
      fuzz_seeds_net_mmio,
      { "virtio-mmio", "virtio-net-device,packed=on,mq=on,queues=2" } },
    { "pci-bridges",
      fuzz_seeds_bridge,
      { "pcie-root-port,id=a", "pci-bridge,id=b", "virtio-rng-pci,bus=a",
        "virtio-rng-pci,bus=b,disable-legacy=off", "pci-bridge,bus=b" } },
    { "pflash", fuzz_seeds_flash, { "cfi.pflash01" } },
    { "fw-cfg", fuzz_seeds_fw_cfg, { "fw_cfg_mem" } },
    { "serial", fuzz_seeds_serial, { "ns16550a" } },
    { "virtio-9p-pci", fuzz_seeds_9p, { "virtio-9p-pci,packed=on,mount_tag=t" } },
    { "ahci", fuzz_seeds_ahci, { "ahci", "ide-hd,serial=s" } },
    { "ahci-cd", fuzz_seeds_ahci_cd, { "ahci", "ide-cd" } },
    { "e1000e", fuzz_seeds_e1000, { "e1000e" } },
    { "e1000", fuzz_seeds_e1000, { "e1000" } },
    { "aia", fuzz_seeds_aia, { "riscv.imsic", "riscv.aplic" } },
    { "aplic", fuzz_seeds_aia, { "riscv.aplic" } },
    { "board",
      fuzz_seeds_board,
      { "riscv.plic", "riscv.clint", "goldfish-rtc", "sifive-test", "riscv.htif" } },
};

static void run_target(const ProgramTarget *target, const FuzzOp *ops, unsigned n)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!strcmp(rows[i].name, target->name)) {
            run_row(&rows[i], ops, n);
            return;
        }
    }
}

static void make_seeds(const ProgramTarget *target, GPtrArray *programs)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!strcmp(rows[i].name, target->name)) {
            rows[i].seeds(programs);
        }
    }
}

static const ProgramTarget *find_target(unsigned n)
{
    static const uint64_t places[] = {
        FUZZ_RAM, FUZZ_RAM, FUZZ_RAM + FUZZ_RAM_PIECE - 4096, FUZZ_RAM + FUZZ_RAM_SIZE - 4096,
        MEM,      0
    };
    static ProgramTarget target = { .kinds = "SSSSSSSSSLLLPPPPPPPPFGXXTTDDWENNKCCIIYQARVVB",
                                    .places = places,
                                    .seeds = make_seeds,
                                    .run = run_target };

    if (n >= G_N_ELEMENTS(rows)) {
        return NULL;
    }
    target.name = rows[n].name;
    return &target;
}

/* ---- The program ---- */

static int64_t now(void)
{
    return self.now;
}

/* Host memory beside RAM that must not be touched. */
static void add_guard(MemoryRegion *mr)
{
    g_autoptr(GError) error = NULL;

    must(memory_region_init_ram(mr, "guard", GUARD, &error), error);
    must(!mprotect(memory_region_host(mr), GUARD, PROT_NONE), NULL);
}

static void make_memory(void)
{
    static MemoryRegion high, guards[2];
    g_autoptr(GError) error = NULL;

    self.low = bare_init(64 << 20, FUZZ_RAM, FUZZ_RAM_PIECE);
    add_guard(&guards[0]);
    must(memory_region_init_ram(&high, "high", FUZZ_RAM_PIECE, &error), error);
    self.high = memory_region_host(&high);
    add_guard(&guards[1]);
    memory_region_add(memory_system(), FUZZ_RAM + FUZZ_RAM_PIECE, &high, 0);
    memory_commit();
}

int main(int argc, char **argv)
{
    int status;

    bare_is_deterministic = true;
    make_memory();
    clock_use_icount(now);
    clock_set_rtc(0, true);
    backends_set_meanwhile(meanwhile);
    backends_reset();
    self.saved = g_byte_array_new();
    status = program_main(find_target, argc, argv);
    g_byte_array_unref(self.saved);
    remove_folder();
    return status;
}
