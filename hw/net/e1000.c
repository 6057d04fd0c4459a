/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel's gigabit network cards 82540EM ("e1000") and 82574L ("e1000e"): registers, reset, and the device objects. What the registers make happen
 * is in the other e1000-*.c files, which e1000-priv.h tells about.
 *
 * Base address register 0 has the registers; a pair of I/O ports reaches them, too, in register 1 or (82574) 2. 82574: MSI-X table in register 3.
 * Neither loopback nor receive-side scaling (a driver that asks for them is logged), nor wake-up, nor pause frames.
 */
#include "hw/net/e1000.h"

#include <string.h>
#include "hw/net/e1000-priv.h"
#include "softmmu/runstate.h"
#include "util/bytes.h"
#include "util/log.h"

enum { REGION_SIZE = 0x20000, IO_SIZE = 32, IO_ADDRESS = 0, IO_DATA = 4 };

typedef struct HwE1000Class {
    HwPciDeviceClass parent;
    bool is_82574;
} HwE1000Class;

static GType hw_e1000_base_get_type(void);
G_DEFINE_ABSTRACT_TYPE(HwE1000, hw_e1000_base, HW_TYPE_PCI_DEVICE)

/* ---- What the other files need ---- */

uint8_t *e1000_descriptor(HwE1000 *s, unsigned base, uint32_t n, unsigned size, bool written)
{
    uint64_t at = (*e1000_reg(s, base) & ~15ull) | (uint64_t)*e1000_reg(s, base + 4) << 32;
    uint64_t len = size;
    uint8_t *host = hw_pci_dma_map(&s->parent, at + (uint64_t)n * size, &len, written);

    if (!host || len < size) {
        log_guest_error("e1000: a ring that is no memory");
        return NULL;
    }
    return host;
}

void e1000_count(HwE1000 *s, unsigned offset, uint32_t n)
{
    uint32_t *counter = e1000_reg(s, offset);

    *counter = n > UINT32_MAX - *counter ? UINT32_MAX : *counter + n;
}

void e1000_count64(HwE1000 *s, unsigned offset, uint64_t n)
{
    uint32_t *low = e1000_reg(s, offset), *high = low + 1;

    n += *low | (uint64_t)*high << 32;
    *low = (uint32_t)n;
    *high = (uint32_t)(n >> 32);
}

void e1000_count_length(HwE1000 *s, unsigned by_length, size_t len)
{
    static const uint16_t limits[] = { 64, 127, 255, 511, 1023 };
    unsigned n = 0;

    while (n < G_N_ELEMENTS(limits) && len > limits[n]) {
        n++;
    }
    e1000_count(s, by_length + 4 * n, 1);
}

/* ---- Reset ---- */

static void reset_mac(HwE1000 *s)
{
    memset(s->reg, 0, sizeof(s->reg));
    memset(s->context, 0, sizeof(s->context));
    s->ee_in = 0;
    s->ee_left = 0;
    s->received = 0;
    *e1000_reg(s, E1000_CTRL) = CTRL_FD | CTRL_SLU | CTRL_SPEED_1000;
    *e1000_reg(s, E1000_VET) = 0x8100;
    *e1000_reg(s, E1000_LEDCTL) = 0x07061302;
    *e1000_reg(s, E1000_PBA) = s->is_82574 ? 0x00140014 : 0x00100030;
    *e1000_reg(s, E1000_RAL) = bytes_get_le32(s->mac);
    *e1000_reg(s, E1000_RAH) = bytes_get_le16(s->mac + 4) | RAH_AV;
    timer_cancel(&s->again);
    e1000_reset_irq(s);
}

/* ---- Registers ---- */

static uint32_t status(HwE1000 *s)
{
    uint32_t ctrl = *e1000_reg(s, E1000_CTRL);

    return STATUS_FD | STATUS_SPEED_1000 | STATUS_ASDV_1000 |
           (e1000_link_is_up(s) && (ctrl & CTRL_SLU) ? STATUS_LU : 0) |
           (s->is_82574 && !(ctrl & CTRL_GIO_MASTER_DISABLE) ? STATUS_GIO_MASTER : 0);
}

static uint32_t read_register(HwE1000 *s, unsigned offset)
{
    uint32_t *reg = e1000_reg(s, offset), value = *reg;

    switch (offset) {
    case E1000_STATUS:
        return status(s);
    case E1000_EECD:
        return e1000_read_eecd(s);
    case E1000_ICR:
        return e1000_read_icr(s);
    case E1000_ICS:
        return *e1000_reg(s, E1000_ICR);
    case E1000_IMC:
        return 0;
    case E1000_EEMNGCTL:
        return value | 1 << 18; /* port 0 is configured */
    case E1000_SWSM:
        *reg |= SWSM_SMBI; /* a semaphore: whoever reads 0 has it */
        return value;
    }
    if (offset >= E1000_STATS && offset < E1000_STATS_END) {
        *reg = 0;
    }
    return value;
}

static uint64_t e1000_read(void *opaque, uint64_t offset, unsigned size)
{
    return offset < E1000_REGS_END ? read_register(opaque, (unsigned)offset) : 0;
}

static void write_ctrl(HwE1000 *s, uint32_t value)
{
    if (value & CTRL_RST) {
        reset_mac(s);
        return;
    }
    *e1000_reg(s, E1000_CTRL) = value & ~CTRL_PHY_RST;
    if (value & CTRL_PHY_RST) {
        e1000_reset_phy(s);
    }
    e1000_link_changed(s);
}

/* Something that keeps frames from being received may be over. */
static void receive_again(HwE1000 *s)
{
    if (s->net && (*e1000_reg(s, E1000_RCTL) & RCTL_EN)) {
        net_receive_again(s->net);
    }
}

/* Queue registers have bits that are always 0. */
static uint32_t queue_bits(unsigned offset)
{
    switch (offset & ~(unsigned)E1000_QUEUE) {
    case E1000_RDBAL:
    case E1000_TDBAL:
        return ~15u;
    case E1000_RDLEN:
    case E1000_TDLEN:
        return 0xfff80;
    case E1000_RDH:
    case E1000_RDT:
    case E1000_TDH:
    case E1000_TDT:
        return 0xffff;
    }
    return ~0u;
}

static void store_register(HwE1000 *s, unsigned offset, uint32_t value)
{
    if (offset == E1000_STATUS || (offset >= E1000_STATS && offset < E1000_STATS_END)) {
        return; /* read only */
    }
    *e1000_reg(s, offset) = value & queue_bits(offset);
    switch (offset) {
    case E1000_RCTL:
        if (value & RCTL_LBM) {
            log_guest_error("e1000: loopback is not supported");
        }
        receive_again(s);
        break;
    case E1000_RDT:
        receive_again(s);
        break;
    case E1000_TCTL:
    case E1000_TDT:
    case E1000_TDT + E1000_QUEUE:
        e1000_transmit(s);
        break;
    case E1000_MRQC:
        if (value & MRQC_QUEUES) {
            log_guest_error("e1000: receive-side scaling is not supported, queue 0 gets all");
        }
        break;
    case E1000_IVAR:
        e1000_update_irq(s);
        break;
    case E1000_EEWR:
        log_guest_error("e1000: the EEPROM cannot be written");
        *e1000_reg(s, offset) = value | 2; /* done */
        break;
    }
}

static void write_register(HwE1000 *s, unsigned offset, uint32_t value)
{
    switch (offset) {
    case E1000_CTRL:
        write_ctrl(s, value);
        return;
    case E1000_CTRL_EXT:
        *e1000_reg(s, offset) = value & ~(uint32_t)CTRL_EXT_EE_RST;
        return;
    case E1000_EECD:
        e1000_write_eecd(s, value);
        return;
    case E1000_EERD:
        e1000_write_eerd(s, value);
        return;
    case E1000_MDIC:
        e1000_write_mdic(s, value);
        return;
    case E1000_ICR:
        e1000_write_icr(s, value);
        return;
    case E1000_ICS:
        e1000_raise(s, value);
        return;
    case E1000_IMS:
        *e1000_reg(s, offset) |= value & ~ICR_INT_ASSERTED;
        e1000_update_irq(s);
        return;
    case E1000_IMC:
        *e1000_reg(s, E1000_IMS) &= ~value;
        e1000_update_irq(s);
        return;
    }
    store_register(s, offset, value);
}

static void e1000_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset < E1000_REGS_END) {
        write_register(opaque, (unsigned)offset, (uint32_t)value);
    }
}

static const MemoryRegionOps mmio_ops = {
    .read = e1000_read,
    .write = e1000_write,
    .min_access = 4,
    .max_access = 4,
};

static uint64_t io_read(void *opaque, uint64_t offset, unsigned size)
{
    HwE1000 *s = opaque;

    switch (offset) {
    case IO_ADDRESS:
        return s->io_address;
    case IO_DATA:
        return e1000_read(s, s->io_address, 4);
    }
    return 0;
}

static void io_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwE1000 *s = opaque;

    switch (offset) {
    case IO_ADDRESS:
        s->io_address = (uint32_t)value & (REGION_SIZE - 4);
        return;
    case IO_DATA:
        e1000_write(s, s->io_address, value, 4);
        return;
    }
}

static const MemoryRegionOps io_ops = {
    .read = io_read,
    .write = io_write,
    .min_access = 4,
    .max_access = 4,
};

/* ---- The device object ---- */

static void net_can_send(void *opaque)
{
    HwE1000 *s = opaque;

    if (vm_is_running()) {
        e1000_transmit(s);
    } else {
        timer_set(&s->again, clock_now(CLOCK_VIRTUAL)); /* when it goes on */
    }
}

static const NetPortOps port_ops = { .receive = e1000_receive,
                                     .received = e1000_received,
                                     .can_send = net_can_send,
                                     .link_changed = e1000_link_changed };

static void run_again(void *opaque)
{
    HwE1000 *s = opaque;

    e1000_link_changed(s);
    e1000_transmit(s);
    receive_again(s);
}

static void throttle_over(void *opaque)
{
    e1000_update_irq(opaque);
}

static void e1000_config_written(HwPciDevice *dev, unsigned offset, unsigned size)
{
    HwE1000 *s = (HwE1000 *)dev;

    (void)offset;
    (void)size;
    timer_set(&s->throttle, clock_now(CLOCK_VIRTUAL)); /* not here: a state may be being loaded */
    if (hw_pci_is_master(dev)) {
        timer_set(&s->again, clock_now(CLOCK_VIRTUAL)); /* it may not have been before */
    }
}

static void make_pci(HwE1000 *s)
{
    HwPciDevice *dev = &s->parent;
    HwPciBus *bus = dev->parent.bus ? dev->parent.bus->opaque : NULL;

    memory_region_init_io(&s->mmio, "e1000", REGION_SIZE, &mmio_ops, s);
    memory_region_init_io(&s->io, "e1000-io", IO_SIZE, &io_ops, s);
    hw_pci_add_bar(dev, 0, HW_PCI_BAR_MEM32, &s->mmio);
    hw_pci_add_bar(dev, s->is_82574 ? 2 : 1, HW_PCI_BAR_IO, &s->io);
    hw_pci_add_power(dev);
    if (s->is_82574) {
        hw_pci_add_msi(dev, 1);
        hw_pci_add_express(dev,
                           bus && bus->bridge ? PCI_EXP_TYPE_ENDPOINT : PCI_EXP_TYPE_INTEGRATED, 0);
        hw_pci_add_msix(dev, E1000_N_VECTORS, 3);
    }
    hw_pci_set_pin(dev, 0);
}

static bool e1000_realize(HwPciDevice *dev, GError **error)
{
    static const uint8_t none[NET_MAC_LEN] = { 0 };
    HwE1000 *s = (HwE1000 *)dev;

    s->is_82574 = ((HwE1000Class *)HW_PCI_DEVICE_GET_CLASS(dev))->is_82574;
    if (!memcmp(s->mac, none, NET_MAC_LEN)) {
        net_default_mac(s->mac);
    }
    s->name = g_strdup(hw_device_name(&dev->parent));
    if (s->net && !net_attach(s->net, &port_ops, s, s->name, s->mac, error)) {
        g_prefix_error(error, "%s: ", HW_DEVICE_GET_CLASS(dev)->model);
        return false;
    }
    make_pci(s);
    e1000_make_eeprom(s);
    return true;
}

static void e1000_unrealize(HwPciDevice *dev)
{
    HwE1000 *s = (HwE1000 *)dev;

    if (s->net) {
        net_detach(s->net, s);
    }
    timer_cancel(&s->throttle);
    timer_cancel(&s->again);
    g_clear_pointer(&s->name, g_free);
}

static void e1000_reset(HwPciDevice *dev)
{
    HwE1000 *s = (HwE1000 *)dev;

    e1000_reset_phy(s);
    reset_mac(s);
    s->link = e1000_link_is_up(s);
}

static bool e1000_post_load(HwPciDevice *dev, GError **error)
{
    HwE1000 *s = (HwE1000 *)dev;

    (void)error;
    s->received = 0;
    timer_set(&s->again, clock_now(CLOCK_VIRTUAL));
    return true;
}

static const StateField e1000_state[] = {
    HW_FIELD_ARRAY(HwE1000, reg, STATE_U32, E1000_REGS_END / 4, 0, "registers"),
    HW_FIELD_ARRAY(HwE1000, phy, STATE_U16, PHY_N_REGS, 0, "registers of the PHY"),
    HW_FIELD_ARRAY(HwE1000, context, STATE_BYTES, E1000_N_QUEUES *TXD_SIZE, 0,
                   "the last context descriptors"),
    HW_FIELD(HwE1000, io_address, STATE_U32, 0, "register that I/O ports reach"),
    HW_FIELD(HwE1000, ee_in, STATE_U16, 0, "EEPROM command that is being sent"),
    HW_FIELD(HwE1000, ee_out, STATE_U16, 0, "EEPROM word that is being read"),
    HW_FIELD(HwE1000, ee_left, STATE_U8, 0, "bits of it to come"),
    HW_FIELD(HwE1000, link, STATE_BOOL, 0, "link, as the driver was told"),
    HW_FIELD(HwE1000, shown, STATE_U32, 0, "causes that messages were sent for"),
    HW_FIELD_ARRAY(HwE1000, next, STATE_U64, E1000_N_VECTORS + 1, 0,
                   "when interrupts may be next, ns"),
    { 0 },
};

static const HwProp e1000_props[] = {
    HW_PROP(HwE1000, net, "netdev", HW_PROP_NETDEV, 0, "network back end"),
    HW_PROP(HwE1000, mac, "mac", HW_PROP_MAC, 0, "address; default 52:54:00:12:34:56 and up"),
    { 0 },
};

static void hw_e1000_base_finalize(GObject *object)
{
    HwE1000 *s = (HwE1000 *)object;

    timer_cancel(&s->throttle);
    timer_cancel(&s->again);
    G_OBJECT_CLASS(hw_e1000_base_parent_class)->finalize(object);
}

static void hw_e1000_base_init(HwE1000 *s)
{
    timer_init(&s->throttle, CLOCK_VIRTUAL, throttle_over, s);
    timer_init(&s->again, CLOCK_VIRTUAL, run_again, s);
}

static void hw_e1000_base_class_init(HwE1000Class *klass)
{
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_e1000_base_finalize;
    pc->vendor_id = 0x8086;
    pc->class_code = 0x020000;
    pc->realize = e1000_realize;
    pc->unrealize = e1000_unrealize;
    pc->reset = e1000_reset;
    pc->post_load = e1000_post_load;
    pc->config_written = e1000_config_written;
}

static void describe(HwE1000Class *klass, const char *model, const char *desc, uint16_t id,
                     uint8_t revision)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    dc->model = model;
    dc->desc = desc;
    dc->user_creatable = true;
    pc->device_id = id;
    pc->revision = revision;
    hw_pci_class_bind_state(pc, e1000_state);
    hw_pci_class_bind_props(pc, e1000_props);
}

/* ---- 82540EM ---- */

typedef HwE1000 HwE1000Pci;
typedef HwE1000Class HwE1000PciClass;
G_DEFINE_TYPE(HwE1000Pci, hw_e1000, hw_e1000_base_get_type())

static void hw_e1000_init(HwE1000Pci *s)
{
    (void)s;
}

static void hw_e1000_class_init(HwE1000PciClass *klass)
{
    describe(klass, "e1000", "Intel 82540EM gigabit network card, PCI", 0x100e, 3);
}

/* ---- 82574L ---- */

typedef HwE1000 HwE1000e;
typedef HwE1000Class HwE1000eClass;
G_DEFINE_TYPE(HwE1000e, hw_e1000e, hw_e1000_base_get_type())

static void hw_e1000e_init(HwE1000e *s)
{
    (void)s;
}

static void hw_e1000e_class_init(HwE1000eClass *klass)
{
    describe(klass, "e1000e", "Intel 82574L gigabit network card, PCI Express", 0x10d3, 0);
    klass->is_82574 = true;
}
