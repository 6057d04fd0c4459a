/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI-to-PCI bridges. A bridge shows parts of its secondary bus's addresses on the primary one: three windows (I/O, memory, prefetchable memory),
 * which follow from its configuration space as BARs do. The secondary bus has the bridge's id as its name.
 */
#include "hw/pci/pci-bridge.h"

#include "hw/pci/pci-priv.h"
#include "util/bytes.h"

enum { WINDOW_IO, WINDOW_MEM, WINDOW_PREF, N_WINDOWS };
enum { IO_32BIT = 1, PREF_64BIT = 1, CONTROL_BITS = 0x5f, BRIDGE_RESET = 0x40 };

typedef struct HwPciBridge {
    HwPciDevice parent;
    HwPciBus *secondary;
    uint8_t chassis, port;
    uint16_t slot;
    MemoryRegion windows[N_WINDOWS];
    uint64_t base[N_WINDOWS], limit[N_WINDOWS]; /* as mapped; limit below base: not at all */
} HwPciBridge;

typedef struct HwPciBridgeClass {
    HwPciDeviceClass parent;
    bool is_port;
} HwPciBridgeClass;

static GType hw_pci_bridge_base_get_type(void);
G_DEFINE_ABSTRACT_TYPE(HwPciBridge, hw_pci_bridge_base, HW_TYPE_PCI_DEVICE)

HwPciBus *pci_secondary_bus(const HwPciDevice *dev)
{
    return HW_PCI_DEVICE_GET_CLASS(dev)->is_bridge ? ((const HwPciBridge *)dev)->secondary : NULL;
}

/* ---- Windows ---- */

static void io_window(const HwPciDevice *dev, uint64_t *base, uint64_t *limit)
{
    *base = (uint64_t)(dev->config[PCI_IO_BASE] & 0xf0) << 8 |
            (uint64_t)hw_pci_get16(dev, PCI_IO_BASE_UPPER16) << 16;
    *limit = (uint64_t)(dev->config[PCI_IO_LIMIT] & 0xf0) << 8 | 0xfff |
             (uint64_t)hw_pci_get16(dev, PCI_IO_LIMIT_UPPER16) << 16;
}

static void mem_window(const HwPciDevice *dev, unsigned at, uint64_t *base, uint64_t *limit)
{
    *base = (uint64_t)(hw_pci_get16(dev, at) & 0xfff0) << 16;
    *limit = (uint64_t)(hw_pci_get16(dev, at + 2) & 0xfff0) << 16 | 0xfffff;
}

/* Where window @n is to be seen; limit below base: nowhere. */
static void window_target(const HwPciDevice *dev, unsigned n, uint64_t *base, uint64_t *limit)
{
    uint16_t command = hw_pci_get16(dev, PCI_COMMAND);
    uint64_t space = n == WINDOW_IO ? PCI_IO_SPACE : PCI_MEM_SPACE;

    if (n == WINDOW_IO) {
        io_window(dev, base, limit);
    } else {
        mem_window(dev, n == WINDOW_MEM ? PCI_MEMORY_BASE : PCI_PREF_MEMORY_BASE, base, limit);
    }
    if (n == WINDOW_PREF) {
        *base |= (uint64_t)hw_pci_get32(dev, PCI_PREF_BASE_UPPER32) << 32;
        *limit |= (uint64_t)hw_pci_get32(dev, PCI_PREF_LIMIT_UPPER32) << 32;
    }
    if (!dev->bus || *limit >= space ||
        !(command & (n == WINDOW_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY))) {
        *base = 1;
        *limit = 0;
    }
}

static bool update_window(HwPciBridge *s, unsigned n)
{
    static const char *const names[] = { "pci-bridge-io", "pci-bridge-mem", "pci-bridge-pref" };
    HwPciDevice *dev = &s->parent;
    MemoryRegion *window = &s->windows[n];
    bool io = n == WINDOW_IO;
    uint64_t base, limit;

    window_target(dev, n, &base, &limit);
    if (base == s->base[n] && limit == s->limit[n]) {
        return false;
    }
    if (s->base[n] <= s->limit[n]) {
        memory_region_remove(window);
    }
    s->base[n] = base;
    s->limit[n] = limit;
    if (base <= limit) {
        memory_region_init_alias(window, names[n], io ? &s->secondary->io : &s->secondary->mem,
                                 base, limit - base + 1);
        memory_region_add(io ? &dev->bus->io : &dev->bus->mem, base, window, 0);
    }
    return true;
}

static void bridge_update(HwPciBridge *s)
{
    bool changed = false;

    for (unsigned n = 0; n < N_WINDOWS; n++) {
        changed |= update_window(s, n);
    }
    if (changed) {
        memory_commit();
    }
}

static void reset_secondary(HwPciBridge *s)
{
    for (unsigned i = 0; i < HW_PCI_N_DEVFN; i++) {
        if (s->secondary->devices[i]) {
            hw_device_reset_tree(&s->secondary->devices[i]->parent);
        }
    }
}

static void bridge_config_written(HwPciDevice *dev, unsigned offset, unsigned size)
{
    HwPciBridge *s = (HwPciBridge *)dev;

    bridge_update(s);
    if (offset <= PCI_BRIDGE_CONTROL && PCI_BRIDGE_CONTROL < offset + size &&
        (hw_pci_get16(dev, PCI_BRIDGE_CONTROL) & BRIDGE_RESET)) {
        reset_secondary(s);
    }
}

/* ---- The device object ---- */

static void make_windows(HwPciDevice *dev)
{
    hw_pci_allow32(dev, PCI_PRIMARY_BUS, 0x00ffffff);
    dev->config[PCI_IO_BASE] = dev->config[PCI_IO_LIMIT] = IO_32BIT;
    dev->writable[PCI_IO_BASE] = dev->writable[PCI_IO_LIMIT] = 0xf0;
    hw_pci_allow32(dev, PCI_IO_BASE_UPPER16, ~0u);
    hw_pci_allow32(dev, PCI_MEMORY_BASE, 0xfff0fff0);
    hw_pci_set32(dev, PCI_PREF_MEMORY_BASE, PREF_64BIT | PREF_64BIT << 16);
    hw_pci_allow32(dev, PCI_PREF_MEMORY_BASE, 0xfff0fff0);
    hw_pci_allow32(dev, PCI_PREF_BASE_UPPER32, ~0u);
    hw_pci_allow32(dev, PCI_PREF_LIMIT_UPPER32, ~0u);
    bytes_put_le16(dev->clearable + PCI_SEC_STATUS, PCI_STATUS_ERRORS);
    hw_pci_allow16(dev, PCI_BRIDGE_CONTROL, CONTROL_BITS);
}

static bool bridge_realize(HwPciDevice *dev, GError **error)
{
    static unsigned n_unnamed;
    HwPciBridge *s = (HwPciBridge *)dev;
    bool is_port = ((HwPciBridgeClass *)G_OBJECT_GET_CLASS(dev))->is_port;
    g_autofree char *name =
        dev->parent.id ? g_strdup(dev->parent.id) : g_strdup_printf("pci.%u", ++n_unnamed);

    make_windows(dev);
    hw_pci_add_power(dev);
    if (is_port) {
        uint16_t at = hw_pci_add_express(dev, PCI_EXP_TYPE_ROOT_PORT, s->port);

        hw_pci_set32(dev, at + PCI_EXP_SLTCAP, (uint32_t)s->slot << 19);
        hw_pci_set16(dev, at + PCI_EXP_SLTSTA, 0x40); /* there is a device */
        hw_pci_add_msi(dev, 1);
        hw_pci_set_pin(dev, 0);
    }
    for (unsigned n = 0; n < N_WINDOWS; n++) {
        s->base[n] = 1;
    }
    s->secondary = hw_pci_bus_new(&dev->parent, name, dev);
    s->secondary->one_slot = is_port;
    return true;
}

static void bridge_unrealize(HwPciDevice *dev)
{
    HwPciBridge *s = (HwPciBridge *)dev;

    hw_pci_set16(dev, PCI_COMMAND, 0); /* no windows */
    bridge_update(s);
    g_clear_pointer(&s->secondary, hw_pci_bus_free);
}

static void hw_pci_bridge_base_init(HwPciBridge *s)
{
    (void)s;
}

static void hw_pci_bridge_base_class_init(HwPciBridgeClass *klass)
{
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    pc->vendor_id = 0x1b36;
    pc->class_code = 0x060400;
    pc->is_bridge = true;
    pc->realize = bridge_realize;
    pc->unrealize = bridge_unrealize;
    pc->config_written = bridge_config_written;
    HW_DEVICE_CLASS(klass)->user_creatable = true;
}

/* ---- The two kinds ---- */

typedef HwPciBridge HwPcieRootPort;
typedef HwPciBridgeClass HwPcieRootPortClass;
typedef HwPciBridge HwPciPciBridge;
typedef HwPciBridgeClass HwPciPciBridgeClass;

G_DEFINE_TYPE(HwPcieRootPort, hw_pcie_root_port, hw_pci_bridge_base_get_type())
G_DEFINE_TYPE(HwPciPciBridge, hw_pci_bridge, hw_pci_bridge_base_get_type())

static void hw_pcie_root_port_init(HwPcieRootPort *s)
{
    (void)s;
}

static void hw_pcie_root_port_class_init(HwPcieRootPortClass *klass)
{
    static const HwProp props[] = {
        HW_PROP(HwPciBridge, chassis, "chassis", HW_PROP_U8, 0, "number of the chassis"),
        HW_PROP(HwPciBridge, slot, "slot", HW_PROP_U16, 0, "physical number of the slot"),
        HW_PROP(HwPciBridge, port, "port", HW_PROP_U8, 0, "number of the port"),
        { 0 },
    };
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    klass->is_port = true;
    pc->device_id = 0x000c;
    HW_DEVICE_CLASS(klass)->model = "pcie-root-port";
    HW_DEVICE_CLASS(klass)->desc = "PCI Express root port";
    hw_pci_class_bind_props(pc, props);
    hw_pci_class_bind_state(pc, NULL);
}

static void hw_pci_bridge_init(HwPciPciBridge *s)
{
    (void)s;
}

static void hw_pci_bridge_class_init(HwPciPciBridgeClass *klass)
{
    static const HwProp props[] = {
        HW_PROP(HwPciBridge, chassis, "chassis_nr", HW_PROP_U8, 0, "number of the chassis"),
        { 0 },
    };
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    pc->device_id = 0x0001;
    HW_DEVICE_CLASS(klass)->model = "pci-bridge";
    HW_DEVICE_CLASS(klass)->desc = "PCI-to-PCI bridge";
    hw_pci_class_bind_props(pc, props);
    hw_pci_class_bind_state(pc, NULL);
}
