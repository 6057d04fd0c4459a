/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 16550A UART (National Semiconductor PC16550D data sheet). Transmission takes no time: the transmitter is always empty, and an
 * enabled transmitter interrupt is raised again after each write. Received bytes wait in a 16-byte FIFO (1 byte with FIFOs off); the back end is
 * asked for no more than fits, so nothing is overrun.
 */
#include "hw/char/serial-16550.h"
#include <inttypes.h>

enum {
    RBR = 0,
    THR = 0,
    DLL = 0,
    IER = 1,
    DLM = 1,
    IIR = 2,
    FCR = 2,
    LCR = 3,
    MCR = 4,
    LSR = 5,
    MSR = 6,
    SCR = 7,
    SIZE = 0x100
};
enum { IER_RDI = 1, IER_THRI = 2, IER_RLSI = 4, IER_MSI = 8 };
enum {
    IIR_MSI = 0,
    IIR_NONE = 1,
    IIR_THRI = 2,
    IIR_RDI = 4,
    IIR_RLSI = 6,
    IIR_TIMEOUT = 12,
    IIR_FIFO = 0xc0
};
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16 };
enum { LSR_DR = 1, LSR_OE = 2, LSR_BI = 16, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum { MSR_ANY_DELTA = 15, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };
enum { FIFO_SIZE = 16, CLOCK_HZ = 3686400 };

typedef struct HwSerial {
    HwDevice parent;
    MemoryRegion mmio;
    Chardev *chr;
    uint8_t ier, fcr, lcr, mcr, lsr, scr, dll, dlm;
    bool thri; /* transmitter interrupt pending */
    uint8_t fifo[FIFO_SIZE];
    uint8_t fifo_head, fifo_len;
} HwSerial;

typedef struct HwSerialClass {
    HwDeviceClass parent;
} HwSerialClass;

G_DEFINE_TYPE(HwSerial, hw_serial, HW_TYPE_DEVICE)

/* Received bytes at which the FIFO interrupts at once (FCR bits 7:6). */
static unsigned trigger_level(const HwSerial *s)
{
    static const uint8_t levels[4] = { 1, 4, 8, 14 };

    return s->fcr & FCR_ENABLE ? levels[s->fcr >> 6] : 1;
}

/* The cause of the highest priority, as IIR reports it. */
static uint8_t interrupt_cause(const HwSerial *s)
{
    if ((s->ier & IER_RLSI) && (s->lsr & (LSR_OE | LSR_BI))) {
        return IIR_RLSI;
    }
    if ((s->ier & IER_RDI) && s->fifo_len) {
        return s->fifo_len >= trigger_level(s) ? IIR_RDI : IIR_TIMEOUT;
    }
    if ((s->ier & IER_THRI) && s->thri) {
        return IIR_THRI;
    }
    return IIR_NONE;
}

static void update_irq(HwSerial *s)
{
    hw_device_set_irq(&s->parent, 0, interrupt_cause(s) != IIR_NONE);
}

static unsigned fifo_capacity(const HwSerial *s)
{
    return s->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static void fifo_push(HwSerial *s, uint8_t byte)
{
    if (s->fifo_len >= fifo_capacity(s)) {
        s->lsr |= LSR_OE;
        return;
    }
    s->fifo[(s->fifo_head + s->fifo_len++) % FIFO_SIZE] = byte;
}

static uint8_t fifo_pop(HwSerial *s)
{
    uint8_t byte = s->fifo[s->fifo_head % FIFO_SIZE];

    if (!s->fifo_len) {
        return 0;
    }
    s->fifo_head = (s->fifo_head + 1) % FIFO_SIZE;
    if (--s->fifo_len == 0 && s->chr) {
        chardev_accept_input(s->chr);
    }
    return byte;
}

/* ---- The back end ---- */

static size_t serial_can_read(void *opaque)
{
    HwSerial *s = opaque;

    return s->mcr & MCR_LOOP ? 0 : fifo_capacity(s) - MIN(s->fifo_len, fifo_capacity(s));
}

static void serial_receive(void *opaque, const uint8_t *buf, size_t len)
{
    HwSerial *s = opaque;

    for (size_t i = 0; i < len; i++) {
        fifo_push(s, buf[i]);
    }
    update_irq(s);
}

static void serial_event(void *opaque, ChardevEvent event)
{
    HwSerial *s = opaque;

    if (event == CHARDEV_BREAK) {
        s->lsr |= LSR_BI;
        fifo_push(s, 0);
        update_irq(s);
    }
}

static const ChardevFrontend serial_frontend = {
    .can_read = serial_can_read,
    .read = serial_receive,
    .event = serial_event,
};

/* ---- Registers ---- */

static uint8_t read_msr(const HwSerial *s)
{
    if (s->mcr & MCR_LOOP) {
        return (uint8_t)((s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
                         (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
    }
    return MSR_CTS | MSR_DSR | MSR_DCD;
}

static uint8_t read_iir(HwSerial *s)
{
    uint8_t cause = interrupt_cause(s);

    if (cause == IIR_THRI) {
        s->thri = false;
        update_irq(s);
    }
    return cause | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(HwSerial *s)
{
    uint8_t value = s->lsr | LSR_THRE | LSR_TEMT | (s->fifo_len ? LSR_DR : 0);

    s->lsr = 0;
    update_irq(s);
    return value;
}

static uint64_t serial_read(void *opaque, uint64_t offset, unsigned size)
{
    HwSerial *s = opaque;
    uint8_t byte;

    switch (offset) {
    case RBR:
        if (s->lcr & LCR_DLAB) {
            return s->dll;
        }
        byte = fifo_pop(s);
        update_irq(s);
        return byte;
    case IER:
        return s->lcr & LCR_DLAB ? s->dlm : s->ier;
    case IIR:
        return read_iir(s);
    case LCR:
        return s->lcr;
    case MCR:
        return s->mcr;
    case LSR:
        return read_lsr(s);
    case MSR:
        return read_msr(s);
    case SCR:
        return s->scr;
    }
    return 0;
}

static void transmit(HwSerial *s, uint8_t byte)
{
    if (s->mcr & MCR_LOOP) {
        fifo_push(s, byte);
    } else if (s->chr) {
        chardev_write(s->chr, &byte, 1);
    }
    s->thri = true;
    update_irq(s);
}

static void write_fcr(HwSerial *s, uint8_t value)
{
    if ((value & FCR_CLEAR_RX) || ((value ^ s->fcr) & FCR_ENABLE)) {
        s->fifo_len = 0;
    }
    s->fcr = value & 0xc9;
    if (s->chr) {
        chardev_accept_input(s->chr);
    }
    update_irq(s);
}

static void serial_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwSerial *s = opaque;
    uint8_t byte = (uint8_t)value;

    switch (offset) {
    case THR:
        if (s->lcr & LCR_DLAB) {
            s->dll = byte;
        } else {
            transmit(s, byte);
        }
        break;
    case IER:
        if (s->lcr & LCR_DLAB) {
            s->dlm = byte;
        } else {
            s->thri |= (byte & ~s->ier & IER_THRI) !=
                       0; /* enabling it with an empty transmitter raises it */
            s->ier = byte & 15;
            update_irq(s);
        }
        break;
    case FCR:
        write_fcr(s, byte);
        break;
    case LCR:
        s->lcr = byte;
        break;
    case MCR:
        s->mcr = byte & 31;
        break;
    case SCR:
        s->scr = byte;
        break;
    }
}

static const MemoryRegionOps serial_ops = {
    .read = serial_read,
    .write = serial_write,
    .min_access = 1,
    .max_access = 1,
};

static bool serial_realize(HwDevice *dev, GError **error)
{
    HwSerial *s = (HwSerial *)dev;

    memory_region_init_io(&s->mmio, "serial", SIZE, &serial_ops, s);
    hw_device_add_region(dev, &s->mmio);
    hw_device_add_irq(dev);
    return !s->chr || chardev_attach(s->chr, &serial_frontend, s, error);
}

static void serial_unrealize(HwDevice *dev)
{
    HwSerial *s = (HwSerial *)dev;

    if (s->chr) {
        chardev_detach(s->chr, s);
    }
}

static void serial_reset(HwDevice *dev)
{
    update_irq((HwSerial *)dev);
}

static bool serial_post_load(HwDevice *dev, GError **error)
{
    HwSerial *s = (HwSerial *)dev;

    if (s->fifo_len > FIFO_SIZE || s->fifo_head >= FIFO_SIZE) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "ns16550a: receive FIFO state out of range");
        return false;
    }
    update_irq(s);
    return true;
}

static void serial_fdt(HwDevice *dev, HwFdt *fdt)
{
    g_autofree char *node = g_strdup_printf("/soc/serial@%" PRIx64, dev->addr[0]);

    hw_fdt_add_node(fdt, node);
    hw_fdt_set_interrupt(fdt, node, dev->irq_numbers[0]);
    hw_fdt_set_cell(fdt, node, "clock-frequency", CLOCK_HZ);
    hw_fdt_set_reg(fdt, node, dev->addr[0], SIZE);
    hw_fdt_set_string(fdt, node, "compatible", "ns16550a");
}

static const StateField serial_state[] = {
    HW_FIELD(HwSerial, ier, STATE_U8, 0, "interrupt enable"),
    HW_FIELD(HwSerial, fcr, STATE_U8, 0, "FIFO control"),
    HW_FIELD(HwSerial, lcr, STATE_U8, 0, "line control"),
    HW_FIELD(HwSerial, mcr, STATE_U8, MCR_OUT2, "modem control"),
    HW_FIELD(HwSerial, lsr, STATE_U8, 0, "line errors seen"),
    HW_FIELD(HwSerial, scr, STATE_U8, 0, "scratch"),
    HW_FIELD(HwSerial, dll, STATE_U8, 12, "divisor, low"),
    HW_FIELD(HwSerial, dlm, STATE_U8, 0, "divisor, high"),
    HW_FIELD(HwSerial, thri, STATE_BOOL, 0, "transmitter interrupt pending"),
    HW_FIELD_ARRAY(HwSerial, fifo, STATE_U8, FIFO_SIZE, 0, "received bytes"),
    HW_FIELD(HwSerial, fifo_head, STATE_U8, 0, "first received byte"),
    HW_FIELD(HwSerial, fifo_len, STATE_U8, 0, "received bytes waiting"),
    { 0 },
};

static const HwProp serial_props[] = {
    { .name = "chardev",
      .type = HW_PROP_CHARDEV,
      .offset = offsetof(HwSerial, chr),
      .desc = "character back end" },
    { 0 },
};

static void hw_serial_init(HwSerial *s)
{
    (void)s;
}

static void hw_serial_class_init(HwSerialClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "ns16550a";
    dc->desc = "16550A UART";
    dc->state = serial_state;
    dc->realize = serial_realize;
    dc->unrealize = serial_unrealize;
    dc->reset = serial_reset;
    dc->post_load = serial_post_load;
    dc->fdt = serial_fdt;
    hw_device_class_bind_props(dc, serial_props);
}

HwDevice *hw_serial_new(Chardev *chr)
{
    HwDevice *dev = hw_device_new(hw_serial_get_type(), NULL);

    ((HwSerial *)dev)->chr = chr;
    return dev;
}
