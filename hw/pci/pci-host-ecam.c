/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The generic PCI Express host bridge. An ECAM address is bus, device, function and register; what is accessed across a register's boundary, or not
 * there, reads as ones. The first device of the root bus is the bridge's own face.
 */
#include "hw/pci/pci-host-ecam.h"

#include <inttypes.h>

enum { BUS_SHIFT = 20, DEVFN_SHIFT = 12, N_WINDOWS = 3 };
enum { WINDOW_IO, WINDOW_MEM, WINDOW_MEM64 };

typedef struct HwPciHostEcam {
    HwDevice parent;
    HwPciHostMap map;
    HwPciBus *bus;
    MemoryRegion ecam, windows[N_WINDOWS];
    MemoryRegion nobody[2]; /* what no device takes, of memory and of I/O */
} HwPciHostEcam;

typedef struct HwPciHostEcamClass {
    HwDeviceClass parent;
} HwPciHostEcamClass;

G_DEFINE_TYPE(HwPciHostEcam, hw_pci_host_ecam, HW_TYPE_DEVICE)

/* ---- Its face on the bus ---- */

typedef struct HwPciHostFace {
    HwPciDevice parent;
} HwPciHostFace;

typedef struct HwPciHostFaceClass {
    HwPciDeviceClass parent;
} HwPciHostFaceClass;

static GType hw_pci_host_face_get_type(void);
G_DEFINE_TYPE(HwPciHostFace, hw_pci_host_face, HW_TYPE_PCI_DEVICE)

static void hw_pci_host_face_init(HwPciHostFace *s)
{
    (void)s;
}

static void hw_pci_host_face_class_init(HwPciHostFaceClass *klass)
{
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    HW_DEVICE_CLASS(klass)->model = "pci-host-bridge";
    HW_DEVICE_CLASS(klass)->desc = "PCI Express host bridge";
    pc->vendor_id = 0x1b36;
    pc->device_id = 0x0008;
    pc->subsystem_vendor_id = 0x1af4;
    pc->subsystem_id = 0x1100;
    pc->class_code = 0x060000;
    hw_pci_class_bind_props(pc, NULL);
    hw_pci_class_bind_state(pc, NULL);
}

/* ---- Configuration space ---- */

static uint64_t ecam_read(void *opaque, uint64_t offset, unsigned size)
{
    HwPciHostEcam *s = opaque;

    return hw_pci_bus_read(s->bus, (unsigned)(offset >> BUS_SHIFT),
                           (offset >> DEVFN_SHIFT) % HW_PCI_N_DEVFN, offset % HW_PCI_CONFIG_SIZE,
                           size);
}

static void ecam_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwPciHostEcam *s = opaque;

    hw_pci_bus_write(s->bus, (unsigned)(offset >> BUS_SHIFT),
                     (offset >> DEVFN_SHIFT) % HW_PCI_N_DEVFN, offset % HW_PCI_CONFIG_SIZE,
                     (uint32_t)value, size);
}

static const MemoryRegionOps ecam_ops = {
    .read = ecam_read,
    .write = ecam_write,
    .min_access = 1,
    .max_access = 4,
};

/* ---- What no device takes ---- */

static uint64_t nobody_read(void *opaque, uint64_t offset, unsigned size)
{
    return UINT64_MAX;
}

static void nobody_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

/* 2.3.1: an unsupported request reads as ones, and is no error for the CPU. */
static const MemoryRegionOps nobody_ops = { .read = nobody_read, .write = nobody_write };

static void add_nobody(MemoryRegion *mr, MemoryRegion *space)
{
    memory_region_init_io(mr, "pci-nobody", space->size, &nobody_ops, NULL);
    memory_region_add(space, 0, mr, -1);
}

/* ---- The device object ---- */

static void set_intx(void *opaque, unsigned line, bool level)
{
    hw_device_set_irq(opaque, line, level);
}

static void add_window(HwPciHostEcam *s, unsigned n, const char *name, MemoryRegion *space,
                       uint64_t offset, uint64_t size)
{
    memory_region_init_alias(&s->windows[n], name, space, offset, size);
    hw_device_add_region(&s->parent, &s->windows[n]);
}

static bool host_realize(HwDevice *dev, GError **error)
{
    HwPciHostEcam *s = (HwPciHostEcam *)dev;
    const HwPciHostMap *m = &s->map;

    s->bus = hw_pci_bus_new(dev, "pcie.0", NULL);
    s->bus->set_intx = set_intx;
    s->bus->opaque = s;
    memory_region_init_io(&s->ecam, "pcie-ecam", m->ecam_size, &ecam_ops, s);
    hw_device_add_region(dev, &s->ecam);
    add_window(s, WINDOW_IO, "pcie-io", &s->bus->io, 0, m->io_size);
    add_window(s, WINDOW_MEM, "pcie-mem", &s->bus->mem, m->mem, m->mem_size);
    add_window(s, WINDOW_MEM64, "pcie-mem64", &s->bus->mem, m->mem64, m->mem64_size);
    add_nobody(&s->nobody[0], &s->bus->mem);
    add_nobody(&s->nobody[1], &s->bus->io);
    for (unsigned i = 0; i < HW_PCI_N_INTX; i++) {
        hw_device_add_irq(dev);
    }
    return hw_pci_bus_add(s->bus, g_object_new(hw_pci_host_face_get_type(), NULL), 0, error);
}

static void host_unrealize(HwDevice *dev)
{
    g_clear_pointer(&((HwPciHostEcam *)dev)->bus, hw_pci_bus_free);
}

/* ---- Device tree: the binding of a PCI host bridge ---- */

/* One cell for the kind of space, two for an address on the bus, two for the machine's, two for the size. */
static void write_ranges(const HwPciHostEcam *s, HwFdt *fdt, const char *node)
{
    enum { IO = 0x01000000, MEM32 = 0x02000000, MEM64 = 0x03000000, CELLS = 7 };
    const HwPciHostMap *m = &s->map;
    const struct {
        uint32_t kind;
        uint64_t bus, machine, size;
    } ranges[N_WINDOWS] = { { IO, 0, m->io, m->io_size },
                            { MEM32, m->mem, m->mem, m->mem_size },
                            { MEM64, m->mem64, m->mem64, m->mem64_size } };
    uint32_t cells[N_WINDOWS * CELLS], *to = cells;

    for (unsigned i = 0; i < N_WINDOWS; i++) {
        *to++ = ranges[i].kind;
        *to++ = (uint32_t)(ranges[i].bus >> 32);
        *to++ = (uint32_t)ranges[i].bus;
        *to++ = (uint32_t)(ranges[i].machine >> 32);
        *to++ = (uint32_t)ranges[i].machine;
        *to++ = (uint32_t)(ranges[i].size >> 32);
        *to++ = (uint32_t)ranges[i].size;
    }
    hw_fdt_set_cells(fdt, node, "ranges", G_N_ELEMENTS(cells), cells);
}

/* For each device number (modulo 4) and pin: the interrupt controller's input. */
static void write_interrupts(const HwPciHostEcam *s, HwFdt *fdt, const char *node)
{
    enum { CELLS = 5 + HW_FDT_MAX_INTERRUPT, SLOT_SHIFT = 11 };
    const uint32_t mask[] = { (HW_PCI_N_INTX - 1) << SLOT_SHIFT, 0, 0, 7 };
    uint32_t cells[HW_PCI_N_INTX * HW_PCI_N_INTX * CELLS], *to = cells;

    for (uint32_t slot = 0; slot < HW_PCI_N_INTX; slot++) {
        for (uint32_t pin = 0; pin < HW_PCI_N_INTX; pin++) {
            *to++ = slot << SLOT_SHIFT;
            *to++ = 0;
            *to++ = 0;
            *to++ = pin + 1;
            *to++ = hw_fdt_intc(fdt);
            to += hw_fdt_interrupt(fdt, s->parent.irq_numbers[(slot + pin) % HW_PCI_N_INTX], to);
        }
    }
    hw_fdt_set_cells(fdt, node, "interrupt-map-mask", G_N_ELEMENTS(mask), mask);
    hw_fdt_set_cells(fdt, node, "interrupt-map", (unsigned)(to - cells), cells);
}

static void host_fdt(HwDevice *dev, HwFdt *fdt)
{
    const HwPciHostEcam *s = (HwPciHostEcam *)dev;
    g_autofree char *node = g_strdup_printf("/soc/pci@%" PRIx64, s->map.ecam);
    const uint32_t buses[] = { 0, (uint32_t)(s->map.ecam_size >> BUS_SHIFT) - 1 };

    hw_fdt_set_cell(fdt, node, "#address-cells", 3);
    hw_fdt_set_cell(fdt, node, "#interrupt-cells", 1);
    hw_fdt_set_cell(fdt, node, "#size-cells", 2);
    hw_fdt_set_string(fdt, node, "compatible", "pci-host-ecam-generic");
    hw_fdt_set_string(fdt, node, "device_type", "pci");
    hw_fdt_set_cell(fdt, node, "linux,pci-domain", 0);
    hw_fdt_set_cells(fdt, node, "bus-range", G_N_ELEMENTS(buses), buses);
    hw_fdt_set_empty(fdt, node, "dma-coherent");
    hw_fdt_set_reg(fdt, node, s->map.ecam, s->map.ecam_size);
    write_ranges(s, fdt, node);
    write_interrupts(s, fdt, node);
    if (hw_fdt_msi(fdt)) {
        hw_fdt_set_cell(fdt, node, "msi-parent", hw_fdt_msi(fdt));
    }
}

static void hw_pci_host_ecam_init(HwPciHostEcam *s)
{
    (void)s;
}

static void hw_pci_host_ecam_class_init(HwPciHostEcamClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "pci-host-ecam";
    dc->desc = "generic PCI Express host bridge";
    dc->realize = host_realize;
    dc->unrealize = host_unrealize;
    dc->fdt = host_fdt;
}

HwDevice *hw_pci_host_ecam_new(const HwPciHostMap *map)
{
    HwDevice *dev = hw_device_new(hw_pci_host_ecam_get_type(), NULL);

    ((HwPciHostEcam *)dev)->map = *map;
    return dev;
}

void hw_pci_host_ecam_map(HwDevice *dev)
{
    const HwPciHostMap *m = &((HwPciHostEcam *)dev)->map;
    const uint64_t at[] = { m->ecam, m->io, m->mem, m->mem64 };

    for (unsigned i = 0; i < G_N_ELEMENTS(at); i++) {
        hw_device_map(dev, i, NULL, at[i]);
    }
}

HwPciBus *hw_pci_host_ecam_bus(HwDevice *dev)
{
    return ((HwPciHostEcam *)dev)->bus;
}
