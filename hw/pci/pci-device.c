/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base of PCI devices: configuration space, base address registers, capabilities, INTx, DMA.
 *
 * What a write to the configuration space may change is in two masks, so a device has nothing to check there. Where BARs are mapped follows from the
 * configuration space alone and is worked out anew after writes to it, after reset and after loading a state.
 */
#include "hw/pci/pci-priv.h"

#include <inttypes.h>
#include <string.h>
#include "util/bytes.h"

G_DEFINE_ABSTRACT_TYPE(HwPciDevice, hw_pci_device, HW_TYPE_DEVICE)

enum { MIN_MEM_BAR = 16, MIN_IO_BAR = 4 };

/* ---- The configuration space ---- */

uint16_t hw_pci_get16(const HwPciDevice *dev, unsigned offset)
{
    return bytes_get_le16(dev->config + offset);
}

uint32_t hw_pci_get32(const HwPciDevice *dev, unsigned offset)
{
    return bytes_get_le32(dev->config + offset);
}

void hw_pci_set16(HwPciDevice *dev, unsigned offset, uint16_t value)
{
    bytes_put_le16(dev->config + offset, value);
}

void hw_pci_set32(HwPciDevice *dev, unsigned offset, uint32_t value)
{
    bytes_put_le32(dev->config + offset, value);
}

void hw_pci_allow16(HwPciDevice *dev, unsigned offset, uint16_t writable)
{
    bytes_put_le16(dev->writable + offset, writable);
}

void hw_pci_allow32(HwPciDevice *dev, unsigned offset, uint32_t writable)
{
    bytes_put_le32(dev->writable + offset, writable);
}

static uint32_t get(const uint8_t *bytes, unsigned size)
{
    return size == 1 ? *bytes : size == 2 ? bytes_get_le16(bytes) : bytes_get_le32(bytes);
}

uint32_t pci_config_read(HwPciDevice *dev, unsigned offset, unsigned size)
{
    HwPciDeviceClass *pc = HW_PCI_DEVICE_GET_CLASS(dev);
    uint32_t value = get(dev->config + offset, size);

    if (offset <= PCI_STATUS && PCI_STATUS < offset + size && dev->intx_level &&
        !hw_pci_has_messages(dev)) {
        value |= (uint32_t)PCI_STATUS_INTERRUPT << (8 * (PCI_STATUS - offset));
    }
    if (pc->config_read) {
        pc->config_read(dev, offset, size, &value);
    }
    return value;
}

void pci_config_write(HwPciDevice *dev, unsigned offset, uint32_t value, unsigned size)
{
    HwPciDeviceClass *pc = HW_PCI_DEVICE_GET_CLASS(dev);

    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i)), *to = &dev->config[offset + i];
        uint8_t writable = dev->writable[offset + i];

        *to = (uint8_t)((*to & ~writable) | (byte & writable));
        *to &= (uint8_t) ~(byte & dev->clearable[offset + i]);
    }
    if (offset < PCI_HEADER_END) {
        pci_update_bars(dev);
    }
    pci_update_intx(dev);
    pci_messages_fire_pending(dev);
    if (pc->config_written) {
        pc->config_written(dev, offset, size);
    }
}

static void make_header(HwPciDevice *dev)
{
    const HwPciDeviceClass *pc = HW_PCI_DEVICE_GET_CLASS(dev);

    hw_pci_set16(dev, PCI_VENDOR_ID, pc->vendor_id);
    hw_pci_set16(dev, PCI_DEVICE_ID, pc->device_id);
    hw_pci_set32(dev, PCI_REVISION_ID, pc->class_code << 8 | pc->revision);
    hw_pci_allow16(dev, PCI_COMMAND,
                   PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
                       PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
    bytes_put_le16(dev->clearable + PCI_STATUS, PCI_STATUS_ERRORS);
    dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    dev->writable[PCI_INTERRUPT_LINE] = 0xff;
    dev->config[PCI_HEADER_TYPE] = (uint8_t)((pc->is_bridge ? PCI_HEADER_BRIDGE : 0) |
                                             (dev->multifunction ? PCI_HEADER_MULTIFUNCTION : 0));
    if (!pc->is_bridge) {
        hw_pci_set16(dev, PCI_SUBSYSTEM_VENDOR_ID,
                     pc->subsystem_vendor_id ? pc->subsystem_vendor_id : pc->vendor_id);
        hw_pci_set16(dev, PCI_SUBSYSTEM_ID, pc->subsystem_id ? pc->subsystem_id : pc->device_id);
    }
    dev->next_cap = PCI_HEADER_END;
}

void hw_pci_set_pin(HwPciDevice *dev, unsigned pin)
{
    g_assert(pin < HW_PCI_N_INTX);
    dev->config[PCI_INTERRUPT_PIN] = (uint8_t)(pin + 1);
}

/* ---- Capabilities ---- */

uint16_t hw_pci_add_capability(HwPciDevice *dev, uint8_t id, uint16_t size)
{
    uint16_t at = dev->next_cap;

    g_assert(at + size <= PCI_CONVENTIONAL_END);
    dev->config[at] = id;
    dev->config[at + 1] = dev->config[PCI_CAPABILITY_LIST];
    dev->config[PCI_CAPABILITY_LIST] = (uint8_t)at;
    dev->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    dev->next_cap = (uint16_t)((at + size + 3) & ~3);
    return at;
}

uint16_t hw_pci_add_power(HwPciDevice *dev)
{
    enum { VERSION = 3, NO_SOFT_RESET = 0x8, STATE = 0x3 };
    uint16_t at = hw_pci_add_capability(dev, PCI_CAP_PM, PCI_PM_SIZE);

    hw_pci_set16(dev, at + PCI_PM_PMC, VERSION);
    hw_pci_set16(dev, at + PCI_PM_CTRL, NO_SOFT_RESET);
    hw_pci_allow16(dev, at + PCI_PM_CTRL, STATE);
    return at;
}

uint16_t hw_pci_add_express(HwPciDevice *dev, uint8_t type, uint8_t port)
{
    enum {
        VERSION_2 = 2,
        SLOT = 0x100,
        ROLE_BASED_ERRORS = 0x8000,
        CONTROL = 0x70ef, /* error reporting, payload and read request sizes */
        EVENTS = 0xf,
        SPEED_2_5_WIDTH_1 = 0x11,
        LINK_ACTIVE = 0x2000,
        LINK_REPORTS = 0x100000,
        SPEEDS_2_5 = 2, /* of the supported link speeds vector */
        LINK_CONTROL = 0x1c3,
        READ_REQUESTS_512 = 2 << 12,
    };
    uint16_t at = hw_pci_add_capability(dev, PCI_CAP_EXP, PCI_EXP_SIZE);
    bool is_port = type == PCI_EXP_TYPE_ROOT_PORT || type == PCI_EXP_TYPE_DOWNSTREAM;

    hw_pci_set16(dev, at + PCI_EXP_FLAGS, (uint16_t)(VERSION_2 | type << 4 | (is_port ? SLOT : 0)));
    hw_pci_set32(dev, at + PCI_EXP_DEVCAP, ROLE_BASED_ERRORS);
    hw_pci_set16(dev, at + PCI_EXP_DEVCTL, READ_REQUESTS_512);
    hw_pci_allow16(dev, at + PCI_EXP_DEVCTL, CONTROL);
    dev->clearable[at + PCI_EXP_DEVSTA] = EVENTS;
    if (type != PCI_EXP_TYPE_INTEGRATED) { /* which has no link */
        hw_pci_set32(dev, at + PCI_EXP_LNKCAP,
                     SPEED_2_5_WIDTH_1 | (is_port ? LINK_REPORTS : 0) | (uint32_t)port << 24);
        hw_pci_allow16(dev, at + PCI_EXP_LNKCTL, LINK_CONTROL);
        hw_pci_set16(dev, at + PCI_EXP_LNKSTA,
                     (uint16_t)(SPEED_2_5_WIDTH_1 | (is_port ? LINK_ACTIVE : 0)));
        hw_pci_set32(dev, at + PCI_EXP_LNKCAP2, SPEEDS_2_5);
        hw_pci_set16(dev, at + PCI_EXP_LNKCTL2, 1);
    }
    return at;
}

/* ---- Base address registers ---- */

void hw_pci_add_bar(HwPciDevice *dev, unsigned n, HwPciBarType type, MemoryRegion *region)
{
    unsigned at = PCI_BASE_ADDRESS_0 + 4 * n;
    bool wide = type >= HW_PCI_BAR_MEM64, io = type == HW_PCI_BAR_IO;
    uint64_t mask = ~(region->size - 1);

    g_assert(n + wide < HW_PCI_N_BARS && !dev->bars[n].region);
    g_assert(!(region->size & (region->size - 1)));
    g_assert(region->size >= (io ? MIN_IO_BAR : MIN_MEM_BAR));
    g_assert(wide || region->size <= 1u << 31);
    dev->bars[n] = (HwPciBar){ region, type, HW_PCI_UNMAPPED };
    hw_pci_set32(dev, at,
                 io ? PCI_BAR_IO
                    : (wide ? PCI_BAR_MEM64 : 0u) |
                          (type == HW_PCI_BAR_MEM64_PREFETCH ? PCI_BAR_PREFETCH : 0u));
    hw_pci_allow32(dev, at, (uint32_t)mask);
    if (wide) {
        hw_pci_allow32(dev, at + 4, (uint32_t)(mask >> 32));
    }
}

uint64_t pci_bar_address(const HwPciDevice *dev, unsigned n)
{
    const HwPciBar *bar = &dev->bars[n];
    unsigned at = PCI_BASE_ADDRESS_0 + 4 * n;
    uint64_t address = hw_pci_get32(dev, at) & (bar->type == HW_PCI_BAR_IO ? ~3u : ~15u);

    return bar->type >= HW_PCI_BAR_MEM64 ? address | (uint64_t)hw_pci_get32(dev, at + 4) << 32
                                         : address;
}

/* Where the register's region is to be seen now. While a driver measures sizes, the address is one that ends behind the space. */
static uint64_t bar_target(const HwPciDevice *dev, unsigned n)
{
    const HwPciBar *bar = &dev->bars[n];
    bool io = bar->type == HW_PCI_BAR_IO;
    uint16_t enabled = io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    uint64_t address = pci_bar_address(dev, n), space;

    if (!dev->bus || !(hw_pci_get16(dev, PCI_COMMAND) & enabled)) {
        return HW_PCI_UNMAPPED;
    }
    space = io ? PCI_IO_SPACE : bar->type == HW_PCI_BAR_MEM32 ? 1ull << 32 : PCI_MEM_SPACE;
    return address < space && bar->region->size < space - address ? address : HW_PCI_UNMAPPED;
}

void pci_update_bars(HwPciDevice *dev)
{
    bool changed = false;

    for (unsigned n = 0; n < HW_PCI_N_BARS; n++) {
        HwPciBar *bar = &dev->bars[n];
        uint64_t target = bar->region ? bar_target(dev, n) : HW_PCI_UNMAPPED;

        if (!bar->region || target == bar->mapped_at) {
            continue;
        }
        if (bar->mapped_at != HW_PCI_UNMAPPED) {
            memory_region_remove(bar->region);
        }
        bar->mapped_at = target;
        if (target != HW_PCI_UNMAPPED) {
            memory_region_add(bar->type == HW_PCI_BAR_IO ? &dev->bus->io : &dev->bus->mem, target,
                              bar->region, 1);
        }
        changed = true;
    }
    if (changed) {
        memory_commit();
    }
}

/* ---- INTx ---- */

void pci_update_intx(HwPciDevice *dev)
{
    bool level = dev->intx_level && dev->bus && dev->config[PCI_INTERRUPT_PIN] &&
                 !hw_pci_has_messages(dev) &&
                 !(hw_pci_get16(dev, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);

    if (level != dev->intx_shown) {
        dev->intx_shown = level;
        pci_bus_route_intx(dev, dev->config[PCI_INTERRUPT_PIN] - 1u, level);
    }
}

void hw_pci_set_intx(HwPciDevice *dev, bool level)
{
    dev->intx_level = level;
    pci_update_intx(dev);
}

/* ---- DMA ---- */

bool hw_pci_is_master(const HwPciDevice *dev)
{
    return hw_pci_get16(dev, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

void *hw_pci_dma_map(HwPciDevice *dev, uint64_t addr, uint64_t *len, bool write)
{
    return hw_pci_is_master(dev) ? memory_map(addr, len, write) : NULL;
}

static bool dma(HwPciDevice *dev, uint64_t addr, uint8_t *buf, uint64_t len, bool write)
{
    while (len) {
        uint64_t piece = len;
        uint8_t *host = hw_pci_dma_map(dev, addr, &piece, write);

        if (!host) {
            return false;
        }
        memcpy(write ? host : buf, write ? buf : host, piece);
        if (write) {
            memory_written(host, piece);
        }
        addr += piece;
        buf += piece;
        len -= piece;
    }
    return true;
}

bool hw_pci_dma_read(HwPciDevice *dev, uint64_t addr, void *buf, uint64_t len)
{
    return dma(dev, addr, buf, len, false);
}

bool hw_pci_dma_write(HwPciDevice *dev, uint64_t addr, const void *buf, uint64_t len)
{
    return dma(dev, addr, (uint8_t *)buf, len, true);
}

/* ---- The device object ---- */

static bool pci_realize(HwDevice *object, GError **error)
{
    HwPciDevice *dev = HW_PCI_DEVICE(object);
    HwPciDeviceClass *pc = HW_PCI_DEVICE_GET_CLASS(dev);

    make_header(dev);
    if (pc->realize && !pc->realize(dev, error)) {
        return false;
    }
    dev->at_reset = g_memdup2(dev->config, sizeof(dev->config));
    return true;
}

static void leave_bus(HwPciDevice *dev)
{
    dev->intx_level = false;
    if (dev->bus) {
        pci_update_intx(dev);
        dev->bus->devices[dev->devfn] = NULL;
        dev->bus = NULL;
    }
    pci_update_bars(dev);
}

static void pci_unrealize(HwDevice *object)
{
    HwPciDevice *dev = HW_PCI_DEVICE(object);
    HwPciDeviceClass *pc = HW_PCI_DEVICE_GET_CLASS(dev);

    if (!pc->is_bridge) { /* else first what is behind it, whose interrupts go through it */
        leave_bus(dev);
    }
    if (pc->unrealize) {
        pc->unrealize(dev);
    }
    leave_bus(dev);
}

static void pci_reset(HwDevice *object)
{
    HwPciDevice *dev = HW_PCI_DEVICE(object);
    HwPciDeviceClass *pc = HW_PCI_DEVICE_GET_CLASS(dev);

    memcpy(dev->config, dev->at_reset, sizeof(dev->config));
    dev->intx_level = false;
    pci_messages_reset(dev);
    pci_update_bars(dev);
    pci_update_intx(dev);
    if (pc->reset) {
        pc->reset(dev);
    }
    if (pc->config_written) {
        pc->config_written(dev, 0, 4);
    }
}

/* A state's configuration space has what its guest wrote, and messages that wait; what no guest can write stays this device's. */
static void restore_fixed(HwPciDevice *dev)
{
    uint32_t pending = dev->msi_cap ? hw_pci_get32(dev, dev->msi_cap + PCI_MSI_PENDING) : 0;

    for (unsigned i = 0; i < HW_PCI_CONFIG_SIZE; i++) {
        uint8_t free = dev->writable[i] | dev->clearable[i];

        dev->config[i] = (uint8_t)((dev->config[i] & free) | (dev->at_reset[i] & ~free));
    }
    if (dev->msi_cap) {
        hw_pci_set32(dev, dev->msi_cap + PCI_MSI_PENDING, pending);
    }
}

static bool pci_post_load(HwDevice *object, GError **error)
{
    HwPciDevice *dev = HW_PCI_DEVICE(object);
    HwPciDeviceClass *pc = HW_PCI_DEVICE_GET_CLASS(dev);

    restore_fixed(dev);
    pci_update_bars(dev);
    pci_update_intx(dev);
    if (pc->config_written) {
        pc->config_written(dev, 0, 4);
    }
    return !pc->post_load || pc->post_load(dev, error);
}

static void hw_pci_device_finalize(GObject *object)
{
    g_free(HW_PCI_DEVICE(object)->at_reset);
    G_OBJECT_CLASS(hw_pci_device_parent_class)->finalize(object);
}

static void hw_pci_device_init(HwPciDevice *dev)
{
    for (unsigned n = 0; n < HW_PCI_N_BARS; n++) {
        dev->bars[n].mapped_at = HW_PCI_UNMAPPED;
    }
}

static void hw_pci_device_class_init(HwPciDeviceClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_pci_device_finalize;
    dc->bus_type = HW_PCI_BUS_TYPE;
    dc->realize = pci_realize;
    dc->unrealize = pci_unrealize;
    dc->reset = pci_reset;
    dc->post_load = pci_post_load;
}

/* ---- Tables of the class ---- */

void hw_pci_class_bind_state(HwPciDeviceClass *klass, const StateField *own)
{
    static const StateField base[] = {
        { .name = "config",
          .offset = offsetof(HwPciDevice, config),
          .count = HW_PCI_CONFIG_SIZE,
          .type = STATE_BYTES,
          .keep = true, /* pci_reset() */
          .desc = "configuration space" },
        HW_FIELD(HwPciDevice, intx_level, STATE_BOOL, 0, "interrupt pin"),
        HW_FIELD_ARRAY(HwPciDevice, msix_table, STATE_BYTES, HW_PCI_MAX_VECTORS * 16, 0,
                       "MSI-X table"),
        HW_FIELD_ARRAY(HwPciDevice, msix_pending, STATE_BYTES, HW_PCI_MAX_VECTORS / 8, 0,
                       "MSI-X pending bits"),
        { 0 },
    };

    klass->parent.state = hw_state_join(base, own);
}

void hw_pci_class_bind_props(HwPciDeviceClass *klass, const HwProp *own)
{
    static const HwProp base[] = {
        HW_PROP(HwPciDevice, addr, "addr", HW_PROP_STRING, 0,
                "SLOT[.FUNCTION] on the bus, hexadecimal; the first free slot"),
        HW_PROP(HwPciDevice, multifunction, "multifunction", HW_PROP_BOOL, 0,
                "function 0 of a device with more functions"),
        { 0 },
    };

    hw_device_class_bind_props(&klass->parent, hw_props_join(base, own));
}
