/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI buses: which device is at which place, how a configuration access gets there, and how INTx gets up to the host bridge (PCI Express 2.2.8.1:
 * each bridge on the way adds its device number to the pin).
 */
#include "hw/pci/pci-priv.h"

#include <string.h>

static GPtrArray *roots; /* of HwPciBus * */

const GPtrArray *pci_root_buses(void)
{
    if (!roots) {
        roots = g_ptr_array_new();
    }
    return roots;
}

/* ---- Places ---- */

static bool refuse(GError **error, const HwPciDevice *dev, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
static bool refuse(GError **error, const HwPciDevice *dev, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: addr: %s",
                HW_DEVICE_GET_CLASS(dev)->model, text);
    return false;
}

/* "5", "05.1", "0x5.0x1": slot and function. */
static bool parse_addr(const HwPciDevice *dev, unsigned *devfn, GError **error)
{
    char *end;
    guint64 slot = g_ascii_strtoull(dev->addr, &end, 16), function = 0;
    bool ok = end != dev->addr;

    if (ok && *end == '.') {
        const char *text = end + 1;

        function = g_ascii_strtoull(text, &end, 16);
        ok = end != text;
    }
    if (!ok || *end || slot > 31 || function > 7) {
        return refuse(error, dev, "'%s' is not SLOT[.FUNCTION] with 0 to 1f and 0 to 7", dev->addr);
    }
    *devfn = (unsigned)(slot << 3 | function);
    return true;
}

static bool find_place(const HwPciBus *bus, const HwPciDevice *dev, unsigned *devfn, GError **error)
{
    unsigned slots = bus->one_slot ? 1 : 32;

    if (dev->addr) {
        return parse_addr(dev, devfn, error);
    }
    for (unsigned slot = 0; slot < slots; slot++) {
        *devfn = slot << 3;
        if (!bus->devices[*devfn]) {
            return true;
        }
    }
    return refuse(error, dev, "%s has no free slot", bus->bus->name);
}

static bool check_place(const HwPciBus *bus, const HwPciDevice *dev, unsigned devfn, GError **error)
{
    const HwPciDevice *first = bus->devices[devfn & ~7u];

    if (bus->devices[devfn]) {
        return refuse(error, dev, "%02x.%x of %s is taken by %s", devfn >> 3, devfn & 7,
                      bus->bus->name, HW_DEVICE_GET_CLASS(bus->devices[devfn])->model);
    }
    if (bus->one_slot && devfn >> 3) {
        return refuse(error, dev, "%s is behind a port: there is slot 0 only", bus->bus->name);
    }
    if ((devfn & 7) && first && !first->multifunction) {
        return refuse(error, dev, "the device at %02x.0 of %s needs multifunction=on", devfn >> 3,
                      bus->bus->name);
    }
    return true;
}

static unsigned depth_of(const HwPciBus *bus)
{
    unsigned depth = 0;

    for (; bus->bridge; bus = bus->bridge->bus) {
        depth++;
    }
    return depth;
}

static bool bus_plug(HwBus *object, HwDevice *child, GError **error)
{
    HwPciBus *bus = object->opaque;
    HwPciDevice *dev = HW_PCI_DEVICE(child);
    unsigned devfn = 0;

    if (HW_PCI_DEVICE_GET_CLASS(dev)->is_bridge && depth_of(bus) == PCI_MAX_DEPTH) {
        return refuse(error, dev, "%s is behind %d bridges, more than that there cannot be",
                      object->name, PCI_MAX_DEPTH);
    }
    if (!find_place(bus, dev, &devfn, error) || !check_place(bus, dev, devfn, error)) {
        return false;
    }
    dev->bus = bus;
    dev->devfn = (uint8_t)devfn;
    bus->devices[devfn] = dev;
    return true;
}

bool hw_pci_bus_add(HwPciBus *bus, HwPciDevice *dev, uint8_t devfn, GError **error)
{
    g_autoptr(GObject) object = G_OBJECT(dev);

    g_free(dev->addr);
    dev->addr = g_strdup_printf("%x.%x", devfn >> 3, devfn & 7);
    dev->parent.bus = bus->bus;
    if (!hw_device_realize(&dev->parent, error) || !bus->bus->plug(bus->bus, &dev->parent, error)) {
        return false;
    }
    g_ptr_array_add(bus->bus->children, g_steal_pointer(&object));
    return true;
}

HwPciBus *hw_pci_bus_new(HwDevice *owner, const char *name, HwPciDevice *bridge)
{
    HwPciBus *bus = g_new0(HwPciBus, 1);

    bus->bus = hw_bus_new(owner, HW_PCI_BUS_TYPE, name, 0);
    bus->bus->plug = bus_plug;
    bus->bus->opaque = bus;
    bus->bridge = bridge;
    memory_region_init(&bus->mem, "pci", PCI_MEM_SPACE);
    memory_region_init(&bus->io, "pci-io", PCI_IO_SPACE);
    if (!bridge) {
        pci_root_buses();
        g_ptr_array_add(roots, bus);
    }
    return bus;
}

void hw_pci_bus_free(HwPciBus *bus)
{
    if (bus) {
        hw_bus_free(bus->bus); /* and the devices, which leave */
        g_ptr_array_remove(roots, bus);
        g_free(bus);
    }
}

/* ---- Configuration accesses ---- */

/* The bus with that number at or below @bus, which has @own. Numbers are what the guest wrote into bridges: the first match is it, and going
 * down ends as the tree does. */
static HwPciBus *find_bus(HwPciBus *bus, unsigned own, unsigned number)
{
    if (own == number) {
        return bus;
    }
    for (unsigned i = 0; i < HW_PCI_N_DEVFN; i++) {
        HwPciBus *below = bus->devices[i] ? pci_secondary_bus(bus->devices[i]) : NULL;
        const uint8_t *config = below ? bus->devices[i]->config : NULL;

        if (below && config[PCI_SECONDARY_BUS] && number >= config[PCI_SECONDARY_BUS] &&
            number <= config[PCI_SUBORDINATE_BUS]) {
            return find_bus(below, config[PCI_SECONDARY_BUS], number);
        }
    }
    return NULL;
}

static HwPciDevice *find_device(HwPciBus *root, unsigned number, unsigned devfn)
{
    HwPciBus *bus = find_bus(root, 0, number);

    return bus ? bus->devices[devfn] : NULL;
}

uint32_t hw_pci_bus_read(HwPciBus *bus, unsigned number, unsigned devfn, unsigned offset,
                         unsigned size)
{
    HwPciDevice *dev = find_device(bus, number, devfn);

    return dev ? pci_config_read(dev, offset, size) : UINT32_MAX >> (32 - 8 * size);
}

void hw_pci_bus_write(HwPciBus *bus, unsigned number, unsigned devfn, unsigned offset,
                      uint32_t value, unsigned size)
{
    HwPciDevice *dev = find_device(bus, number, devfn);

    if (dev) {
        pci_config_write(dev, offset, value, size);
    }
}

/* ---- INTx ---- */

void pci_bus_route_intx(HwPciDevice *dev, unsigned pin, bool level)
{
    HwPciBus *bus = dev->bus;
    unsigned line = (pin + (dev->devfn >> 3)) % HW_PCI_N_INTX, before;

    while (bus->bridge) {
        dev = bus->bridge;
        bus = dev->bus;
        line = (line + (dev->devfn >> 3)) % HW_PCI_N_INTX;
    }
    before = bus->asserted[line];
    bus->asserted[line] = level ? before + 1 : before - 1;
    if (!before != !bus->asserted[line] && bus->set_intx) {
        bus->set_intx(bus->opaque, line, level);
    }
}
