/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of "info pci". */
#include <inttypes.h>
#include <string.h>
#include "hw/pci/pci-priv.h"

/* The names of the classes of devices that there are; base class and sub-class. */
static const char *class_name(uint16_t code)
{
    static const struct {
        uint16_t code;
        const char *name;
    } names[] = {
        { 0x0001, "Display controller" }, { 0x0100, "SCSI controller" },
        { 0x0106, "SATA controller" },    { 0x0108, "NVMe controller" },
        { 0x0180, "Storage controller" }, { 0x0200, "Ethernet controller" },
        { 0x0300, "VGA controller" },     { 0x0403, "Audio controller" },
        { 0x0500, "Memory controller" },  { 0x0600, "Host bridge" },
        { 0x0604, "PCI bridge" },         { 0x0780, "Communication controller" },
        { 0x0900, "Input controller" },   { 0x0980, "Input controller" },
        { 0x0c03, "USB controller" },     { 0x00ff, "Device" },
        { 0x0280, "Network controller" }, { 0x0101, "IDE controller" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "Device";
}

static void print_bar(const HwPciDevice *dev, unsigned n, GString *out)
{
    const HwPciBar *bar = &dev->bars[n];
    static const char *const kinds[] = {
        [HW_PCI_BAR_IO] = "I/O",
        [HW_PCI_BAR_MEM32] = "32 bit memory",
        [HW_PCI_BAR_MEM64] = "64 bit memory",
        [HW_PCI_BAR_MEM64_PREFETCH] = "64 bit prefetchable memory",
    };

    if (bar->region && bar->mapped_at != HW_PCI_UNMAPPED) {
        g_string_append_printf(out, "      BAR%u: %s at %#" PRIx64 " [%#" PRIx64 "].\n", n,
                               kinds[bar->type], bar->mapped_at,
                               bar->mapped_at + bar->region->size - 1);
    } else if (bar->region) {
        g_string_append_printf(out, "      BAR%u: %s, %" PRIu64 " bytes, not mapped.\n", n,
                               kinds[bar->type], bar->region->size);
    }
}

static void print_bus(const HwPciBus *bus, unsigned number, GString *out);

static void print_device(const HwPciDevice *dev, unsigned number, GString *out)
{
    const HwPciBus *below = pci_secondary_bus(dev);

    g_string_append_printf(
        out, "  Bus %2u, device %3u, function %u:\n    %s: PCI device %04x:%04x (%s)\n", number,
        dev->devfn >> 3, dev->devfn & 7, class_name(hw_pci_get16(dev, PCI_CLASS_DEVICE)),
        hw_pci_get16(dev, PCI_VENDOR_ID), hw_pci_get16(dev, PCI_DEVICE_ID),
        HW_DEVICE_GET_CLASS(dev)->model);
    if (dev->config[PCI_INTERRUPT_PIN]) {
        g_string_append_printf(out, "      IRQ %u, pin %c%s\n", dev->config[PCI_INTERRUPT_LINE],
                               'A' + dev->config[PCI_INTERRUPT_PIN] - 1,
                               hw_pci_has_msix(dev)       ? ", MSI-X is on"
                               : hw_pci_has_messages(dev) ? ", MSI is on"
                                                          : "");
    }
    for (unsigned n = 0; n < HW_PCI_N_BARS; n++) {
        print_bar(dev, n, out);
    }
    if (dev->parent.id) {
        g_string_append_printf(out, "      id \"%s\"\n", dev->parent.id);
    }
    if (below) {
        g_string_append_printf(out, "      BUS %u to %u (\"%s\")\n", dev->config[PCI_SECONDARY_BUS],
                               dev->config[PCI_SUBORDINATE_BUS], below->bus->name);
        print_bus(below, dev->config[PCI_SECONDARY_BUS], out);
    }
}

static void print_bus(const HwPciBus *bus, unsigned number, GString *out)
{
    for (unsigned i = 0; i < HW_PCI_N_DEVFN; i++) {
        if (bus->devices[i]) {
            print_device(bus->devices[i], number, out);
        }
    }
}

void hw_pci_print(GString *out)
{
    const GPtrArray *roots = pci_root_buses();

    for (unsigned i = 0; i < roots->len; i++) {
        print_bus(g_ptr_array_index(roots, i), 0, out);
    }
    if (!roots->len) {
        g_string_append(out, "The machine has no PCI bus.\n");
    }
}
