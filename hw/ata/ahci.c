/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An AHCI controller (Serial ATA AHCI 1.3.1), as Intel's ICH9 has it: the registers of the adapter (section 3.1), its interrupts (10.7), and the
 * device object. Base address register 5 has all registers. Ports are in ahci-port.c.
 */
#include "hw/ata/ahci.h"

#include <string.h>
#include "hw/ata/ahci-priv.h"
#include "util/log.h"

enum { REGION_SIZE = 0x1000 };

typedef struct HwAhciClass {
    HwPciDeviceClass parent;
} HwAhciClass;

G_DEFINE_TYPE(HwAhci, hw_ahci, HW_TYPE_PCI_DEVICE)

G_STATIC_ASSERT(AHCI_PORT_0 + AHCI_N_PORTS * AHCI_PORT_SIZE <= REGION_SIZE);

/* ---- Interrupts ---- */

static uint32_t pending_ports(const HwAhci *s)
{
    uint32_t ports = 0;

    for (unsigned i = 0; i < AHCI_N_PORTS; i++) {
        const AhciPort *p = &s->ports[i];

        ports |= (uint32_t)((ahci_port_read(p, PX_IS) & p->ie) != 0) << i;
    }
    return ports;
}

void ahci_interrupt(HwAhci *s)
{
    s->is |= pending_ports(s);
    hw_pci_set_irq(&s->parent, 0, s->is && (s->ghc & GHC_IE));
}

/* What is still set, of this port or of others, sends another message: the driver waits for one after each write. */
static void write_is(HwAhci *s, uint32_t value)
{
    s->is &= ~value;
    hw_pci_set_irq(&s->parent, 0, false);
    ahci_interrupt(s);
}

/* ---- Registers ---- */

static void reset_adapter(HwAhci *s)
{
    s->ghc = GHC_AE;
    s->is = 0;
    for (unsigned i = 0; i < AHCI_N_PORTS; i++) {
        ahci_port_reset(&s->ports[i]);
    }
    ahci_interrupt(s);
}

/* 3.1.1: 64-bit addresses, queued commands, 32 slots, command list override, 6 Gb/s. */
static uint32_t capabilities(void)
{
    enum { SLOTS_SHIFT = 8, AHCI_ONLY = 1 << 18, GEN_3 = 3 << 20, CLO = 1 << 24, QUEUED = 1 << 30 };

    return (AHCI_N_PORTS - 1) | (AHCI_N_SLOTS - 1) << SLOTS_SHIFT | AHCI_ONLY | GEN_3 | CLO |
           QUEUED | 1u << 31;
}

static uint64_t ahci_read(void *opaque, uint64_t offset, unsigned size)
{
    enum { VERSION_1_3_1 = 0x00010301 };
    const HwAhci *s = opaque;
    uint64_t port = (offset - AHCI_PORT_0) / AHCI_PORT_SIZE;

    (void)size;
    if (offset >= AHCI_PORT_0) {
        return port < AHCI_N_PORTS ? ahci_port_read(&s->ports[port], offset % AHCI_PORT_SIZE) : 0;
    }
    switch (offset) {
    case AHCI_CAP:
        return capabilities();
    case AHCI_GHC:
        return s->ghc;
    case AHCI_IS:
        return s->is;
    case AHCI_PI:
        return (1u << AHCI_N_PORTS) - 1;
    case AHCI_VS:
        return VERSION_1_3_1;
    }
    return 0;
}

static void ahci_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwAhci *s = opaque;
    uint64_t port = (offset - AHCI_PORT_0) / AHCI_PORT_SIZE;

    (void)size;
    if (offset >= AHCI_PORT_0) {
        if (port < AHCI_N_PORTS) {
            ahci_port_write(&s->ports[port], offset % AHCI_PORT_SIZE, (uint32_t)value);
        }
    } else if (offset == AHCI_GHC && (value & GHC_HR)) {
        reset_adapter(s);
    } else if (offset == AHCI_GHC) {
        s->ghc = GHC_AE | ((uint32_t)value & GHC_IE);
        ahci_interrupt(s);
    } else if (offset == AHCI_IS) {
        write_is(s, (uint32_t)value);
    } else {
        log_guest_error("ahci: write of %#x to register %#x, which is read only or does not exist",
                        (uint32_t)value, (unsigned)offset);
    }
}

static const MemoryRegionOps ahci_ops = {
    .read = ahci_read,
    .write = ahci_write,
    .min_access = 4,
    .max_access = 4,
};

/* ---- The device object ---- */

static void batch_end(void *opaque)
{
    ahci_port_run(opaque);
}

static bool plug_drive(HwBus *bus, HwDevice *child, GError **error)
{
    AhciPort *p = bus->opaque;
    BlockBackend *blk = ata_backend(HW_ATA_DRIVE(child));

    (void)error;
    p->drive = HW_ATA_DRIVE(child);
    if (blk) {
        block_set_batch_end(blk, batch_end, p);
    }
    return true;
}

static bool ahci_realize(HwPciDevice *dev, GError **error)
{
    HwAhci *s = (HwAhci *)dev;
    HwPciBus *bus = dev->parent.bus ? dev->parent.bus->opaque : NULL;
    static unsigned n_adapters;
    g_autofree char *own = g_strdup_printf("ahci%u", n_adapters++);

    (void)error;
    for (unsigned i = 0; i < AHCI_N_PORTS; i++) {
        AhciPort *p = &s->ports[i];
        g_autofree char *name = g_strdup_printf("%s.%u", dev->parent.id ? dev->parent.id : own, i);

        p->bus = hw_bus_new(&dev->parent, HW_ATA_BUS_TYPE, name, 1);
        p->bus->opaque = p;
        p->bus->plug = plug_drive;
    }
    memory_region_init_io(&s->region, "ahci", REGION_SIZE, &ahci_ops, s);
    hw_pci_add_bar(dev, 5, HW_PCI_BAR_MEM32, &s->region);
    hw_pci_add_power(dev);
    if (bus && bus->one_slot) {
        hw_pci_add_express(dev, PCI_EXP_TYPE_ENDPOINT, 0);
    }
    hw_pci_add_msi(dev, 1);
    hw_pci_set_pin(dev, 0);
    return true;
}

static void ahci_unrealize(HwPciDevice *dev)
{
    HwAhci *s = (HwAhci *)dev;

    for (unsigned i = 0; i < AHCI_N_PORTS; i++) {
        ahci_port_reset(&s->ports[i]);
        s->ports[i].drive = NULL;
        ahci_port_clear(&s->ports[i]);
        g_clear_pointer(&s->ports[i].bus, hw_bus_free);
    }
}

static void ahci_reset(HwPciDevice *dev)
{
    reset_adapter((HwAhci *)dev);
}

static void ahci_config_written(HwPciDevice *dev, unsigned offset, unsigned size)
{
    HwAhci *s = (HwAhci *)dev;

    (void)offset;
    (void)size;
    for (unsigned i = 0; i < AHCI_N_PORTS; i++) {
        ahci_port_run(&s->ports[i]); /* it may not have been a master before */
    }
}

static const StateField port_state[] = {
    HW_FIELD(HwAhci, ports[0].clb, STATE_U64, 0, "command list"),
    HW_FIELD(HwAhci, ports[0].fb, STATE_U64, 0, "received FISes"),
    HW_FIELD(HwAhci, ports[0].is, STATE_U32, 0, "interrupt status"),
    HW_FIELD(HwAhci, ports[0].ie, STATE_U32, 0, "interrupts enabled"),
    HW_FIELD(HwAhci, ports[0].cmd, STATE_U32, 0, "command and status"),
    HW_FIELD(HwAhci, ports[0].tfd, STATE_U32, 0, "task file"),
    HW_FIELD(HwAhci, ports[0].sig, STATE_U32, 0, "signature"),
    HW_FIELD(HwAhci, ports[0].ssts, STATE_U32, 0, "link status"),
    HW_FIELD(HwAhci, ports[0].sctl, STATE_U32, 0, "link control"),
    HW_FIELD(HwAhci, ports[0].serr, STATE_U32, 0, "link errors"),
    HW_FIELD(HwAhci, ports[0].sact, STATE_U32, 0, "queued commands"),
    HW_FIELD(HwAhci, ports[0].ci, STATE_U32, 0, "commands issued"),
    HW_FIELD(HwAhci, ports[0].current, STATE_U8, 0, "slot begun last"),
    HW_FIELD(HwAhci, ports[0].failed, STATE_BOOL, 0, "halted by an error"),
    HW_FIELD(HwAhci, ports[0].in_reset, STATE_BOOL, 0, "in software reset"),
};

static const StateField own_state[] = {
    HW_FIELD(HwAhci, ghc, STATE_U32, GHC_AE, "global control"),
    HW_FIELD(HwAhci, is, STATE_U32, 0, "ports with interrupts"),
};

static void bind_state(HwPciDeviceClass *pc)
{
    g_autoptr(GArray) all = g_array_new(TRUE, TRUE, sizeof(StateField));

    g_array_append_vals(all, own_state, G_N_ELEMENTS(own_state));
    for (unsigned n = 0; n < AHCI_N_PORTS; n++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(port_state); i++) {
            StateField f = port_state[i];

            f.offset += n * (uint32_t)sizeof(AhciPort);
            f.name = g_strdup_printf(
                "port%u.%s", n, f.name + strlen("ports[0].")); /* lives as the class: for ever */
            g_array_append_val(all, f);
        }
    }
    hw_pci_class_bind_state(pc, (const StateField *)all->data);
}

static void hw_ahci_init(HwAhci *s)
{
    for (unsigned i = 0; i < AHCI_N_PORTS; i++) {
        ahci_port_init(&s->ports[i], s, i);
    }
}

static void hw_ahci_class_init(HwAhciClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    dc->model = "ahci";
    dc->desc = "SATA controller with six ports (Intel ICH9)";
    dc->user_creatable = true;
    pc->vendor_id = 0x8086;
    pc->device_id = 0x2922;
    pc->class_code = 0x010601;
    pc->revision = 2;
    pc->realize = ahci_realize;
    pc->unrealize = ahci_unrealize;
    pc->reset = ahci_reset;
    pc->config_written = ahci_config_written;
    bind_state(pc);
    hw_pci_class_bind_props(pc, NULL);
}
