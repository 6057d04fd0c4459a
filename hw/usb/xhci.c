/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The xHCI host controller on PCI: its registers (chapter 5), doorbells, the PCI function. MSI-X has a vector for each interrupter; without it
 * there is the
 * interrupt pin, for the first one only.
 *
 * A guest that keeps the controller busy does not keep the machine lock: what one access may set off is bounded, and a timer that is due at
 * once goes on.
 */
#include "hw/usb/xhci.h"

#include <string.h>
#include "hw/usb/xhci-priv.h"
#include "util/log.h"

/* BAR 0 */
enum {
    CAPABILITY = 0x0000,
    OPERATIONAL = 0x0040,
    PORTS = 0x0440,
    PORT_SIZE = 0x10,
    EXTENDED = 0x0c00,
    RUNTIME = 0x1000,
    INTERRUPTERS = 0x1020,
    INTERRUPTER_SIZE = 0x20,
    DOORBELLS = 0x2000,
    REGISTERS_SIZE = 0x4000,
};
enum { BAR_REGISTERS = 0, BAR_MSIX = 2 };
enum { MICROFRAME_NS = 125000 };

typedef struct HwXhciClass {
    HwPciDeviceClass parent;
} HwXhciClass;

G_DEFINE_TYPE(HwXhci, hw_xhci, HW_TYPE_PCI_DEVICE)

/* ---- Capability registers (5.3) and extended capabilities (7.2) ---- */

static uint32_t read_capability(const HwXhci *s, uint64_t offset)
{
    enum { VERSION_1_0 = 0x0100, ERST_MAX = 8, ADDRESS_64 = 0x1 };

    switch (offset) {
    case 0x00:
        return OPERATIONAL | VERSION_1_0 << 16;
    case 0x04:
        return XHCI_SLOTS | XHCI_INTRS << 8 | xhci_n_ports(s) << 24;
    case 0x08:
        return ERST_MAX << 4;
    case 0x10:
        return ADDRESS_64 | (EXTENDED / 4) << 16;
    case 0x14:
        return DOORBELLS;
    case 0x18:
        return RUNTIME;
    }
    return 0;
}

/* Supported protocols: USB 2, USB 3. */
static uint32_t read_extended(const HwXhci *s, uint64_t offset)
{
    enum { PROTOCOL = 2, SIZE = 0x10, NAME_USB = 0x20425355 };
    bool usb3 = offset >= SIZE;

    if (offset >= 2 * SIZE) {
        return 0;
    }
    switch (offset % SIZE) {
    case 0x0:
        return PROTOCOL | (usb3 ? 0u : SIZE / 4 << 8) | (usb3 ? 3u : 2u) << 24;
    case 0x4:
        return NAME_USB;
    case 0x8: /* first port, number of ports */
        return usb3 ? (s->n_usb2 + 1u) | (uint32_t)s->n_usb3 << 8 : 1u | (uint32_t)s->n_usb2 << 8;
    }
    return 0;
}

/* ---- Operational registers ---- */

static void reset_registers(HwXhci *s)
{
    xhci_settle_all(s, true);
    timer_cancel(&s->rekick);
    memset(s->kicked, 0, sizeof(s->kicked));
    memset(s->waiting, 0, sizeof(s->waiting));
    s->command_kicked = s->starved = false;
    s->usbcmd = s->dnctrl = s->config = 0;
    s->usbsts = STS_HALTED;
    s->crcr = s->dcbaap = 0;
    memset(s->iman, 0, sizeof(s->iman));
    for (unsigned i = 0; i < XHCI_INTRS; i++) {
        s->imod[i] = 4000; /* 5.5.2.2 */
        s->erstsz[i] = 0;
        s->erstba[i] = s->erdp[i] = 0;
        xhci_event_ring_start(s, i);
    }
    memset(s->slot_enabled, 0, sizeof(s->slot_enabled));
    memset(s->slot_state, 0, sizeof(s->slot_state));
    memset(s->ep_state, 0, sizeof(s->ep_state));
    xhci_ports_reset(s);
    xhci_update_interrupts(s);
}

static void write_usbcmd(HwXhci *s, uint32_t value)
{
    bool was = s->usbcmd & CMD_RUN;

    if (value & CMD_RESET) {
        reset_registers(s);
        return;
    }
    s->usbcmd = value & CMD_WRITABLE & (s->usbsts & STS_HOST_ERROR ? ~(uint32_t)CMD_RUN : ~0u);
    if (!was && (s->usbcmd & CMD_RUN)) {
        s->usbsts &= ~(uint32_t)STS_HALTED;
        xhci_ports_report(s);
    } else if (was && !(s->usbcmd & CMD_RUN)) {
        xhci_settle_all(s, false);
        s->usbsts |= STS_HALTED;
        s->crcr &= ~(uint64_t)CRCR_RUNNING;
    }
    xhci_update_interrupts(s);
}

/* 5.4.5: the pointer can be written while the ring stands still. */
static void write_crcr(HwXhci *s, uint32_t value, bool high)
{
    if (!high && (s->crcr & CRCR_RUNNING) && (value & (CRCR_STOP | CRCR_ABORT))) {
        XhciTrb e = { .param = s->crcr & ~15ull,
                      .status = CC_COMMAND_STOPPED << 24,
                      .control = TRB_COMMAND_EVENT << 10 };

        s->crcr &= ~(uint64_t)CRCR_RUNNING;
        xhci_event(s, 0, &e, false);
        return;
    }
    if (s->crcr & CRCR_RUNNING) {
        return;
    }
    s->crcr = high ? (uint32_t)s->crcr | (uint64_t)value << 32
                   : (s->crcr & ~0xffffffffull) | (value & ~0x3eu);
}

static uint32_t half(uint64_t value, bool high)
{
    return (uint32_t)(high ? value >> 32 : value);
}

static uint64_t with_half(uint64_t old, uint32_t value, bool high)
{
    return high ? (uint32_t)old | (uint64_t)value << 32 : (old & ~0xffffffffull) | value;
}

static uint32_t read_operational(const HwXhci *s, uint64_t offset)
{
    enum { PAGE_4K = 1 };

    switch (offset) {
    case 0x00:
        return s->usbcmd;
    case 0x04:
        return s->usbsts;
    case 0x08:
        return PAGE_4K;
    case 0x14:
        return s->dnctrl;
    case 0x18:
        return s->crcr & CRCR_RUNNING; /* the pointer reads as zero */
    case 0x30:
    case 0x34:
        return half(s->dcbaap, offset & 4);
    case 0x38:
        return s->config;
    }
    return 0;
}

static void write_operational(HwXhci *s, uint64_t offset, uint32_t value)
{
    enum { STS_CLEARABLE = 0x41c };

    switch (offset) {
    case 0x00:
        write_usbcmd(s, value);
        return;
    case 0x04:
        s->usbsts &= ~(value & STS_CLEARABLE & ~(uint32_t)STS_HOST_ERROR);
        return;
    case 0x14:
        s->dnctrl = value & 0xffff;
        return;
    case 0x18:
    case 0x1c:
        write_crcr(s, value, offset & 4);
        return;
    case 0x30:
    case 0x34:
        s->dcbaap = with_half(s->dcbaap, value, offset & 4) & ~63ull;
        return;
    case 0x38:
        s->config = value & 0x3ff;
        return;
    }
    log_guest_error("qemu-xhci: write to operational register %#" G_GINT64_MODIFIER "x", offset);
}

/* ---- Runtime registers ---- */

static uint32_t read_interrupter(const HwXhci *s, unsigned n, unsigned reg)
{
    switch (reg) {
    case 0x00:
        return s->iman[n];
    case 0x04:
        return s->imod[n];
    case 0x08:
        return s->erstsz[n];
    case 0x10:
    case 0x14:
        return half(s->erstba[n], reg & 4);
    case 0x18:
    case 0x1c:
        return half(s->erdp[n], reg & 4);
    }
    return 0;
}

static void write_interrupter(HwXhci *s, unsigned n, unsigned reg, uint32_t value)
{
    switch (reg) {
    case 0x00:
        s->iman[n] &= ~(value & IMAN_PENDING);
        s->iman[n] = (s->iman[n] & IMAN_PENDING) | (value & IMAN_ENABLE);
        xhci_update_interrupts(s);
        return;
    case 0x04:
        s->imod[n] = value;
        return;
    case 0x08:
        s->erstsz[n] = value & 0xffff;
        xhci_event_ring_start(s, n);
        return;
    case 0x10:
    case 0x14:
        s->erstba[n] = with_half(s->erstba[n], value, reg & 4) & ~63ull;
        xhci_event_ring_start(s, n);
        return;
    case 0x18:
    case 0x1c:
        /* Busy is cleared where 1 is written: not by what is there already, when the upper half is. */
        xhci_write_erdp(s, n, with_half(s->erdp[n] & ~(uint64_t)ERDP_BUSY, value, reg & 4));
        if (s->starved) {
            s->starved = false;
            xhci_arm(s);
        }
        return;
    }
}

/* ---- Doorbells (5.6) ---- */

static void ring_doorbell(HwXhci *s, unsigned n, uint32_t value)
{
    unsigned dci = value & 0xff, ep = xhci_ep(n, dci & 31);

    if (!xhci_is_running(s)) {
        log_guest_error("qemu-xhci: doorbell %u while the controller is stopped", n);
        return;
    }
    if (!n) {
        s->crcr |= CRCR_RUNNING;
        xhci_run_commands(s);
        return;
    }
    if (!s->slot_enabled[n] || !dci || dci > 31 || s->ep_state[ep] == EP_DISABLED) {
        log_guest_error("qemu-xhci: doorbell of slot %u, endpoint %u, which is not enabled", n,
                        dci);
        return;
    }
    if (s->ep_state[ep] == EP_STOPPED) {
        xhci_set_ep_state(s, ep, EP_RUNNING);
    }
    s->budget = XHCI_DOORBELL_BUDGET;
    xhci_run_endpoint(s, ep);
}

static void go_on(void *opaque)
{
    HwXhci *s = opaque;

    s->budget = XHCI_TIMER_BUDGET;
    if (s->command_kicked) {
        xhci_run_commands(s);
    }
    for (unsigned i = 0; i < XHCI_EPS_WORDS; i++) {
        uint64_t bits = s->kicked[i];

        s->kicked[i] = 0;
        for (; bits; bits &= bits - 1) {
            xhci_run_endpoint(s, i * 64 + (unsigned)__builtin_ctzll(bits));
        }
    }
}

/* A device has something for an endpoint that it had nothing for. Its address is its slot's number. */
static void device_wakeup(void *opaque, HwUsbDevice *dev, uint8_t endpoint, bool in)
{
    HwXhci *s = opaque;
    unsigned ep = xhci_ep(dev->address, endpoint * 2u + in);

    if (dev->address && dev->address <= XHCI_SLOTS && (s->waiting[ep / 64] >> ep % 64 & 1)) {
        s->waiting[ep / 64] &= ~(1ull << ep % 64);
        xhci_kick_later(s, ep);
    }
}

/* ---- All registers ---- */

static uint64_t registers_read(void *opaque, uint64_t offset, unsigned size)
{
    HwXhci *s = opaque;
    unsigned ports_end = PORTS + xhci_n_ports(s) * PORT_SIZE;

    if (offset < OPERATIONAL) {
        return read_capability(s, offset);
    }
    if (offset < PORTS) {
        return read_operational(s, offset - OPERATIONAL);
    }
    if (offset < ports_end) {
        return xhci_port_read(s, (unsigned)(offset - PORTS) / PORT_SIZE + 1, offset % PORT_SIZE);
    }
    if (offset >= EXTENDED && offset < RUNTIME) {
        return read_extended(s, offset - EXTENDED);
    }
    if (offset == RUNTIME) { /* MFINDEX */
        return (uint64_t)(clock_now(CLOCK_VIRTUAL) / MICROFRAME_NS) & 0x3fff;
    }
    if (offset >= INTERRUPTERS && offset < INTERRUPTERS + XHCI_INTRS * INTERRUPTER_SIZE) {
        return read_interrupter(s, (unsigned)(offset - INTERRUPTERS) / INTERRUPTER_SIZE,
                                offset % INTERRUPTER_SIZE);
    }
    return 0;
}

static void registers_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwXhci *s = opaque;
    uint32_t v = (uint32_t)value;

    if (offset >= OPERATIONAL && offset < PORTS) {
        write_operational(s, offset - OPERATIONAL, v);
    } else if (offset >= PORTS && offset < PORTS + xhci_n_ports(s) * PORT_SIZE) {
        xhci_port_write(s, (unsigned)(offset - PORTS) / PORT_SIZE + 1, offset % PORT_SIZE, v);
    } else if (offset >= INTERRUPTERS && offset < INTERRUPTERS + XHCI_INTRS * INTERRUPTER_SIZE) {
        write_interrupter(s, (unsigned)(offset - INTERRUPTERS) / INTERRUPTER_SIZE,
                          offset % INTERRUPTER_SIZE, v);
    } else if (offset >= DOORBELLS && offset <= DOORBELLS + 4 * XHCI_SLOTS) {
        ring_doorbell(s, (unsigned)(offset - DOORBELLS) / 4, v);
    } else {
        log_guest_error("qemu-xhci: write to read-only register %#" G_GINT64_MODIFIER "x", offset);
    }
}

static const MemoryRegionOps registers_ops = {
    .read = registers_read,
    .write = registers_write,
    .min_access = 4,
    .max_access = 4,
};

/* ---- The device object ---- */

static void xhci_reset(HwPciDevice *dev)
{
    reset_registers((HwXhci *)dev);
}

static bool xhci_post_load(HwPciDevice *dev, GError **error)
{
    HwXhci *s = (HwXhci *)dev;

    xhci_settle_all(s, true);
    memset(s->waiting, 0, sizeof(s->waiting));
    memset(s->kicked, 0, sizeof(s->kicked));
    for (unsigned i = 0; i < XHCI_INTRS; i++) {
        s->er_segment[i] = s->er_segment[i] < s->erstsz[i] ? s->er_segment[i] : 0;
    }
    for (unsigned ep = 32; ep < XHCI_N_EPS; ep++) {
        if (s->ep_state[ep] == EP_RUNNING) {
            s->kicked[ep / 64] |= 1ull << ep % 64;
        }
    }
    s->command_kicked = true;
    xhci_ports_update(s);
    xhci_arm(s);
    return true;
}

static bool xhci_realize(HwPciDevice *dev, GError **error)
{
    enum { SERIAL_BUS_RELEASE = 0x60, USB_3_0 = 0x30, FRAME_LENGTH = 0x20, CAPABILITIES = 0x70 };
    HwXhci *s = (HwXhci *)dev;

    dev->next_cap = CAPABILITIES; /* before them the class has registers of its own (5.2) */
    hw_pci_set16(dev, SERIAL_BUS_RELEASE, USB_3_0 | FRAME_LENGTH << 8);
    memory_region_init_io(&s->registers, "xhci", REGISTERS_SIZE, &registers_ops, s);
    hw_pci_add_bar(dev, BAR_REGISTERS, HW_PCI_BAR_MEM64, &s->registers);
    hw_pci_set_pin(dev, 0);
    hw_pci_add_express(dev, PCI_EXP_TYPE_INTEGRATED, 0);
    hw_pci_add_msix(dev, XHCI_INTRS, BAR_MSIX);
    s->bus = hw_usb_bus_new(&dev->parent);
    s->bus->wakeup = device_wakeup;
    s->bus->opaque = s;
    xhci_connectors_init(s);
    return true;
}

static void xhci_unrealize(HwPciDevice *dev)
{
    HwXhci *s = (HwXhci *)dev;

    xhci_settle_all(s, true);
    timer_cancel(&s->rekick);
    hw_usb_bus_free(s->bus);
}

static const StateField xhci_state[] = {
    HW_FIELD(HwXhci, usbcmd, STATE_U32, 0, "command register"),
    HW_FIELD(HwXhci, usbsts, STATE_U32, STS_HALTED, "status register"),
    HW_FIELD(HwXhci, dnctrl, STATE_U32, 0, "device notification control"),
    HW_FIELD(HwXhci, config, STATE_U32, 0, "enabled slots"),
    HW_FIELD(HwXhci, crcr, STATE_U64, 0, "command ring"),
    HW_FIELD(HwXhci, dcbaap, STATE_U64, 0, "device context base address array"),
    HW_FIELD_ARRAY(HwXhci, portsc, STATE_U32, XHCI_MAX_PORTS, 0, "port status and control"),
    HW_FIELD_ARRAY(HwXhci, portpmsc, STATE_U32, XHCI_MAX_PORTS, 0, "port power management"),
    HW_FIELD_ARRAY(HwXhci, iman, STATE_U32, XHCI_INTRS, 0, "interrupter management"),
    HW_FIELD_ARRAY(HwXhci, imod, STATE_U32, XHCI_INTRS, 0, "interrupter moderation"),
    HW_FIELD_ARRAY(HwXhci, erstsz, STATE_U32, XHCI_INTRS, 0, "event rings' segments"),
    HW_FIELD_ARRAY(HwXhci, erstba, STATE_U64, XHCI_INTRS, 0, "event rings' segment tables"),
    HW_FIELD_ARRAY(HwXhci, erdp, STATE_U64, XHCI_INTRS, 0, "event rings' dequeue pointers"),
    HW_FIELD_ARRAY(HwXhci, er_segment, STATE_U32, XHCI_INTRS, 0, "event rings: segment"),
    HW_FIELD_ARRAY(HwXhci, er_index, STATE_U32, XHCI_INTRS, 0, "event rings: place in it"),
    HW_FIELD_ARRAY(HwXhci, er_cycle, STATE_BOOL, XHCI_INTRS, 1, "event rings: cycle state"),
    HW_FIELD_ARRAY(HwXhci, slot_enabled, STATE_BOOL, XHCI_SLOTS + 1, 0, "slots in use"),
    HW_FIELD_ARRAY(HwXhci, slot_state, STATE_U8, XHCI_SLOTS + 1, 0, "slots' states"),
    HW_FIELD_ARRAY(HwXhci, slot_port, STATE_U8, XHCI_SLOTS + 1, 0, "slots' root ports"),
    HW_FIELD_ARRAY(HwXhci, slot_route, STATE_U32, XHCI_SLOTS + 1, 0, "slots' routes"),
    HW_FIELD_ARRAY(HwXhci, ep_state, STATE_U8, XHCI_N_EPS, 0, "endpoints' states"),
    HW_FIELD_ARRAY(HwXhci, ep_type, STATE_U8, XHCI_N_EPS, 0, "endpoints' types"),
    HW_FIELD_ARRAY(HwXhci, ep_dequeue, STATE_U64, XHCI_N_EPS, 0, "transfer rings"),
    HW_FIELD_ARRAY(HwXhci, ep_stage, STATE_U8, XHCI_N_EPS, 0, "control transfers' stages"),
    HW_FIELD_ARRAY(HwXhci, ep_setup, STATE_U64, XHCI_N_EPS, 0, "control transfers' setups"),
    { 0 },
};

static const HwProp xhci_props[] = {
    { .name = "p2",
      .type = HW_PROP_U8,
      .offset = offsetof(HwXhci, n_usb2),
      .def = 4,
      .min = 1,
      .max = XHCI_MAX_CONNECTORS,
      .desc = "number of USB 2 ports" },
    { .name = "p3",
      .type = HW_PROP_U8,
      .offset = offsetof(HwXhci, n_usb3),
      .def = 4,
      .min = 1,
      .max = XHCI_MAX_CONNECTORS,
      .desc = "number of USB 3 ports; port n is on the connector of USB 2's port n" },
    { 0 },
};

static void hw_xhci_init(HwXhci *s)
{
    timer_init(&s->rekick, CLOCK_VIRTUAL, go_on, s);
}

static void hw_xhci_class_init(HwXhciClass *klass)
{
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    pc->parent.model = "qemu-xhci";
    pc->parent.desc = "USB 3 host controller (xHCI)";
    pc->parent.user_creatable = true;
    pc->vendor_id = 0x1b36;
    pc->device_id = 0x000d;
    pc->class_code = 0x0c0330;
    pc->revision = 1;
    pc->realize = xhci_realize;
    pc->unrealize = xhci_unrealize;
    pc->reset = xhci_reset;
    pc->post_load = xhci_post_load;
    hw_pci_class_bind_state(pc, xhci_state);
    hw_pci_class_bind_props(pc, xhci_props);
}
