/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio over MMIO (virtio 1.2, section 4.2). A slot is a window of registers and an interrupt; the device in it sits on a bus of its own.
 * Version 2 is the interface of today; with force-legacy=on version 1 (4.2.4) is there instead, in which the driver gives a
 * queue as one page number. Registers are 32 bits wide, the configuration space takes every size.
 */
#include "hw/virtio/virtio-mmio.h"
#include <inttypes.h>
#include <string.h>
#include "hw/virtio/virtio.h"
#include "util/log.h"

enum {
    MAGIC = 0x00,
    VERSION = 0x04,
    DEVICE_ID = 0x08,
    VENDOR_ID = 0x0c,
    DEVICE_FEATURES = 0x10,
    DEVICE_FEATURES_SEL = 0x14,
    DRIVER_FEATURES = 0x20,
    DRIVER_FEATURES_SEL = 0x24,
    GUEST_PAGE_SIZE = 0x28,
    QUEUE_SEL = 0x30,
    QUEUE_NUM_MAX = 0x34,
    QUEUE_NUM = 0x38,
    QUEUE_ALIGN = 0x3c,
    QUEUE_PFN = 0x40,
    QUEUE_READY = 0x44,
    QUEUE_NOTIFY = 0x50,
    INTERRUPT_STATUS = 0x60,
    INTERRUPT_ACK = 0x64,
    STATUS = 0x70,
    QUEUE_DESC = 0x80,
    QUEUE_DRIVER = 0x90,
    QUEUE_DEVICE = 0xa0,
    SHM_SEL = 0xac,
    SHM_LEN = 0xb0,
    SHM_BASE = 0xb8,
    CONFIG_GENERATION = 0xfc,
    CONFIG = 0x100,
    SIZE = 0x200,
};
enum { MAGIC_VALUE = 0x74726976, VENDOR_VALUE = 0x756e654d /* "Menu" */ };

typedef struct HwVirtioMmio {
    HwDevice parent;
    MemoryRegion mmio;
    HwBus *bus;
    HwVirtio *dev; /* NULL: the slot is empty */
    uint32_t index;
    bool legacy;
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint32_t interrupt_status;
    uint32_t guest_page_size, queue_align, queue_pfn[HW_VIRTIO_MAX_QUEUES]; /* legacy */
} HwVirtioMmio;

typedef struct HwVirtioMmioClass {
    HwDeviceClass parent;
} HwVirtioMmioClass;

G_DEFINE_TYPE(HwVirtioMmio, hw_virtio_mmio, HW_TYPE_DEVICE)

static void update_irq(HwVirtioMmio *s)
{
    hw_device_set_irq(&s->parent, 0, s->interrupt_status != 0);
}

static void raise_interrupt(void *opaque, uint32_t reasons, unsigned n)
{
    HwVirtioMmio *s = opaque;

    s->interrupt_status |= reasons;
    update_irq(s);
}

static void reset_registers(HwVirtioMmio *s)
{
    s->device_features_sel = s->driver_features_sel = s->queue_sel = 0;
    s->interrupt_status = 0;
    s->guest_page_size = s->queue_align = 0;
    memset(s->queue_pfn, 0, sizeof(s->queue_pfn));
    update_irq(s);
}

/* ---- Reading ---- */

static uint32_t read_legacy(const HwVirtioMmio *s, uint64_t offset)
{
    if (offset == QUEUE_PFN && s->queue_sel < HW_VIRTIO_MAX_QUEUES) {
        return s->queue_pfn[s->queue_sel];
    }
    log_guest_error("virtio-mmio: read of register %#" PRIx64, offset);
    return 0;
}

static uint32_t read_modern(const HwVirtioMmio *s, uint64_t offset)
{
    VirtQueue *q = hw_virtio_queue(s->dev, s->queue_sel);

    switch (offset) {
    case QUEUE_READY:
        return q && q->ready;
    case SHM_LEN:
    case SHM_LEN + 4:
    case SHM_BASE:
    case SHM_BASE + 4:
        return UINT32_MAX; /* there is no shared memory region */
    case CONFIG_GENERATION:
        return s->dev->config_generation;
    }
    log_guest_error("virtio-mmio: read of register %#" PRIx64, offset);
    return 0;
}

/* What an empty slot has, too. */
static uint32_t read_identity(const HwVirtioMmio *s, uint64_t offset)
{
    switch (offset) {
    case MAGIC:
        return MAGIC_VALUE;
    case VERSION:
        return s->legacy ? 1 : 2;
    case DEVICE_ID:
        return s->dev ? HW_VIRTIO_GET_CLASS(s->dev)->device_id : 0;
    case VENDOR_ID:
        return VENDOR_VALUE;
    }
    return 0;
}

static uint32_t read_register(const HwVirtioMmio *s, uint64_t offset)
{
    VirtQueue *q;

    if (offset <= VENDOR_ID || !s->dev) {
        return read_identity(s, offset);
    }
    switch (offset) {
    case DEVICE_FEATURES:
        return s->legacy && s->device_features_sel
                   ? 0
                   : hw_virtio_get_features(s->dev, s->device_features_sel);
    case QUEUE_NUM_MAX:
        q = hw_virtio_queue(s->dev, s->queue_sel);
        return q ? q->max : 0;
    case INTERRUPT_STATUS:
        return s->interrupt_status;
    case STATUS:
        return s->dev->status;
    }
    return s->legacy ? read_legacy(s, offset) : read_modern(s, offset);
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    HwVirtioMmio *s = opaque;

    if (offset >= CONFIG) {
        return s->dev ? hw_virtio_read_config(s->dev, offset - CONFIG, size) : 0;
    }
    if (size != 4) {
        log_guest_error("virtio-mmio: register %#" PRIx64 " is read with %u bytes", offset, size);
        return 0;
    }
    return read_register(s, offset);
}

/* ---- Writing ---- */

static void set_half(uint64_t *value, uint64_t offset, uint32_t half)
{
    *value = offset & 4 ? (*value & 0xffffffff) | (uint64_t)half << 32
                        : (*value & ~0xffffffffull) | half;
}

/* The selected queue, if its registers may be written now. */
static VirtQueue *writable_queue(HwVirtioMmio *s)
{
    VirtQueue *q = hw_virtio_queue(s->dev, s->queue_sel);

    if (!q || q->ready) {
        log_guest_error("virtio-mmio: queue %u %s", s->queue_sel,
                        q ? "is set up while it is in use" : "does not exist");
        return NULL;
    }
    return q;
}

static void set_legacy_queue(HwVirtioMmio *s, uint32_t pfn)
{
    if (hw_virtio_queue(s->dev, s->queue_sel)) {
        s->queue_pfn[s->queue_sel] = pfn;
        hw_virtio_set_legacy_queue(s->dev, s->queue_sel, (uint64_t)pfn * s->guest_page_size,
                                   s->queue_align ? s->queue_align : 4096);
    }
}

static void write_legacy(HwVirtioMmio *s, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case GUEST_PAGE_SIZE:
        s->guest_page_size = value;
        return;
    case QUEUE_ALIGN:
        s->queue_align = value & (value - 1) ? 0 : value;
        return;
    case QUEUE_PFN:
        set_legacy_queue(s, value);
        return;
    }
    log_guest_error("virtio-mmio: write to register %#" PRIx64, offset);
}

static void write_modern(HwVirtioMmio *s, uint64_t offset, uint32_t value)
{
    VirtQueue *q;

    switch (offset) {
    case QUEUE_READY:
        hw_virtio_set_queue_ready(s->dev, s->queue_sel, value & 1);
        return;
    case QUEUE_DESC:
    case QUEUE_DESC + 4:
        q = writable_queue(s);
        if (q) {
            set_half(&q->desc, offset, value);
        }
        return;
    case QUEUE_DRIVER:
    case QUEUE_DRIVER + 4:
        q = writable_queue(s);
        if (q) {
            set_half(&q->avail, offset, value);
        }
        return;
    case QUEUE_DEVICE:
    case QUEUE_DEVICE + 4:
        q = writable_queue(s);
        if (q) {
            set_half(&q->used, offset, value);
        }
        return;
    case SHM_SEL: /* there is none to select */
        return;
    }
    log_guest_error("virtio-mmio: write to register %#" PRIx64, offset);
}

static void write_queue_num(HwVirtioMmio *s, uint32_t value)
{
    VirtQueue *q = writable_queue(s);

    if (q && !virtqueue_size_is_good(q, value)) {
        log_guest_error("virtio-mmio: queue size %u is impossible", value);
        q->num = 0;
    } else if (q) {
        q->num = (uint16_t)value;
    }
}

static void write_status(HwVirtioMmio *s, uint32_t value)
{
    hw_virtio_set_status(s->dev, (uint8_t)value);
    if (!(uint8_t)value) {
        reset_registers(s);
    }
}

static void write_register(HwVirtioMmio *s, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case DEVICE_FEATURES_SEL:
        s->device_features_sel = value;
        break;
    case DRIVER_FEATURES_SEL:
        s->driver_features_sel = value;
        break;
    case DRIVER_FEATURES:
        hw_virtio_set_features(s->dev, s->driver_features_sel, value);
        break;
    case QUEUE_SEL:
        s->queue_sel = value;
        break;
    case QUEUE_NUM:
        write_queue_num(s, value);
        break;
    case QUEUE_NOTIFY:
        hw_virtio_kick(s->dev, value);
        break;
    case INTERRUPT_ACK:
        s->interrupt_status &= ~value;
        update_irq(s);
        break;
    case STATUS:
        write_status(s, value);
        break;
    default:
        if (s->legacy) {
            write_legacy(s, offset, value);
        } else {
            write_modern(s, offset, value);
        }
    }
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwVirtioMmio *s = opaque;

    if (!s->dev) {
        return;
    }
    if (offset >= CONFIG) {
        hw_virtio_write_config(s->dev, offset - CONFIG, (uint32_t)value, size);
    } else if (size != 4) {
        log_guest_error("virtio-mmio: register %#" PRIx64 " is written with %u bytes", offset,
                        size);
    } else {
        write_register(s, offset, (uint32_t)value);
    }
}

static const MemoryRegionOps mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .min_access = 1,
    .max_access = 4,
};

/* ---- The slot ---- */

static bool slot_plug(HwBus *bus, HwDevice *child, GError **error)
{
    HwVirtioMmio *s = (HwVirtioMmio *)bus->owner;

    if (s->dev) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: %s is taken",
                    HW_DEVICE_GET_CLASS(child)->model, bus->name);
        return false;
    }
    s->dev = HW_VIRTIO(child);
    hw_virtio_attach(s->dev, !s->legacy, raise_interrupt, s);
    return true;
}

static bool slot_realize(HwDevice *object, GError **error)
{
    HwVirtioMmio *s = (HwVirtioMmio *)object;
    g_autofree char *name = g_strdup_printf("virtio-mmio-bus.%u", s->index);

    s->bus = hw_bus_new(object, "virtio-bus", name, 1);
    s->bus->plug = slot_plug;
    memory_region_init_io(&s->mmio, "virtio-mmio", SIZE, &mmio_ops, s);
    hw_device_add_region(object, &s->mmio);
    hw_device_add_irq(object);
    return true;
}

static void slot_unrealize(HwDevice *object)
{
    HwVirtioMmio *s = (HwVirtioMmio *)object;

    if (s->dev) {
        s->dev->transport = NULL;
        s->dev = NULL;
    }
    g_clear_pointer(&s->bus, hw_bus_free);
}

static void slot_reset(HwDevice *object)
{
    reset_registers((HwVirtioMmio *)object);
}

static bool slot_post_load(HwDevice *object, GError **error)
{
    update_irq((HwVirtioMmio *)object);
    return true;
}

static void slot_fdt(HwDevice *object, HwFdt *fdt)
{
    g_autofree char *node = g_strdup_printf("/soc/virtio_mmio@%" PRIx64, object->addr[0]);

    hw_fdt_add_node(fdt, node);
    hw_fdt_set_interrupt(fdt, node, object->irq_numbers[0]);
    hw_fdt_set_reg(fdt, node, object->addr[0], HW_VIRTIO_MMIO_SIZE);
    hw_fdt_set_string(fdt, node, "compatible", "virtio,mmio");
    hw_fdt_set_empty(fdt, node, "dma-coherent");
}

static const StateField slot_state[] = {
    HW_FIELD(HwVirtioMmio, device_features_sel, STATE_U32, 0, "half of the device's features"),
    HW_FIELD(HwVirtioMmio, driver_features_sel, STATE_U32, 0, "half of the driver's features"),
    HW_FIELD(HwVirtioMmio, queue_sel, STATE_U32, 0, "selected queue"),
    HW_FIELD(HwVirtioMmio, interrupt_status, STATE_U32, 0, "pending interrupts"),
    HW_FIELD(HwVirtioMmio, guest_page_size, STATE_U32, 0, "legacy: unit of queue addresses"),
    HW_FIELD(HwVirtioMmio, queue_align, STATE_U32, 0, "legacy: alignment of used rings"),
    HW_FIELD_ARRAY(HwVirtioMmio, queue_pfn, STATE_U32, HW_VIRTIO_MAX_QUEUES, 0,
                   "legacy: pages of the queues"),
    { 0 },
};

static const HwProp slot_props[] = {
    { .name = "force-legacy",
      .type = HW_PROP_BOOL,
      .offset = offsetof(HwVirtioMmio, legacy),
      .desc = "interface of before version 1.0" },
    { 0 },
};

static void hw_virtio_mmio_init(HwVirtioMmio *s)
{
    (void)s;
}

static void hw_virtio_mmio_class_init(HwVirtioMmioClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "virtio-mmio";
    dc->desc = "slot for a virtio device";
    dc->state = slot_state;
    dc->realize = slot_realize;
    dc->unrealize = slot_unrealize;
    dc->reset = slot_reset;
    dc->post_load = slot_post_load;
    dc->fdt = slot_fdt;
    hw_device_class_bind_props(dc, slot_props);
}

HwDevice *hw_virtio_mmio_new(unsigned index)
{
    HwDevice *dev = hw_device_new(hw_virtio_mmio_get_type(), NULL);

    ((HwVirtioMmio *)dev)->index = index;
    return dev;
}
