/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio over PCI. BAR 4 has the structures of version 1.0, one in each page, to which capabilities point; BAR 1 is the MSI-X table; BAR 0 the
 * registers of before version 1.0 (4.1.4.10). Interrupts are messages, a vector for each queue and one for the configuration, or INTx with a
 * status register.
 *
 * A kind of device is a class with no code of its own: the inner device's type and the numbers that PCI drivers find it by.
 */
#include "hw/virtio/virtio-pci.h"

#include <inttypes.h>
#include <string.h>
#include "hw/net/virtio-net.h"
#include "hw/virtio/virtio-9p.h"
#include "hw/virtio/virtio-balloon.h"
#include "hw/virtio/virtio-blk.h"
#include "hw/virtio/virtio-input.h"
#include "hw/virtio/virtio-rng.h"
#include "hw/virtio/virtio-scsi.h"
#include "hw/virtio/virtio-serial.h"
#include "hw/virtio/virtio-vsock.h"
#include "hw/virtio/virtio.h"
#include "util/bytes.h"
#include "util/log.h"

enum { BAR_LEGACY = 0, BAR_MSIX = 1, BAR_MODERN = 4 };
/* Of BAR 4. */
enum { COMMON = 0x0000, ISR = 0x1000, DEVICE = 0x2000, NOTIFY = 0x3000, MODERN_SIZE = 0x4000 };
enum { NOTIFY_MULTIPLIER = 4 };
enum { VENDOR = 0x1af4, SUBSYSTEM_MODERN = 0x1100, MODERN_DEVICE = 0x1040, NO_VECTOR = 0xffff };
enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_PCI };
enum { AUTO_VECTORS = UINT16_MAX };

/* struct virtio_pci_common_cfg (4.1.4.3), little-endian. */
typedef struct CommonCfg {
    uint32_t device_feature_select, device_feature, driver_feature_select, driver_feature;
    uint16_t config_msix_vector, num_queues;
    uint8_t device_status, config_generation;
    uint16_t queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
    uint64_t queue_desc, queue_driver, queue_device;
} CommonCfg;

G_STATIC_ASSERT(sizeof(CommonCfg) == 56 && offsetof(CommonCfg, queue_select) == 22);

/* Of BAR 0; behind LEGACY_VECTORS the configuration space, which is LEGACY_CONFIG without MSI-X. */
enum {
    LEGACY_FEATURES = 0x00,
    LEGACY_DRIVER_FEATURES = 0x04,
    LEGACY_QUEUE_PFN = 0x08,
    LEGACY_QUEUE_SIZE = 0x0c,
    LEGACY_QUEUE_SELECT = 0x0e,
    LEGACY_NOTIFY = 0x10,
    LEGACY_STATUS = 0x12,
    LEGACY_ISR = 0x13,
    LEGACY_CONFIG = 0x14,
    LEGACY_CONFIG_VECTOR = 0x14,
    LEGACY_QUEUE_VECTOR = 0x16,
    LEGACY_MSIX_CONFIG = 0x18,
    LEGACY_SIZE = 0x200,
    LEGACY_PAGE = 4096,
};

typedef struct HwVirtioPci {
    HwPciDevice parent;
    HwVirtio *dev; /* NULL: not there yet */
    HwBus *bus;
    char *disable_legacy; /* on, off, auto */
    bool disable_modern;
    uint16_t vectors;
    uint16_t window; /* capability: access to BARs through the configuration space */
    MemoryRegion modern, legacy;
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select, config_vector, queue_vector[HW_VIRTIO_MAX_QUEUES];
    uint8_t isr;
} HwVirtioPci;

typedef struct HwVirtioPciClass {
    HwPciDeviceClass parent;
    uint16_t legacy_id; /* 0: there was no such device before version 1.0 */
} HwVirtioPciClass;

G_DEFINE_ABSTRACT_TYPE(HwVirtioPci, hw_virtio_pci, HW_TYPE_PCI_DEVICE)

/* ---- Interrupts ---- */

static void raise_interrupt(void *opaque, uint32_t reasons, unsigned n)
{
    HwVirtioPci *s = opaque;
    uint16_t vector = reasons & VIRTIO_INT_CONFIG ? s->config_vector : s->queue_vector[n];

    if (!hw_pci_has_messages(&s->parent)) {
        s->isr |= (uint8_t)reasons;
        hw_pci_set_intx(&s->parent, true);
    } else if (vector != NO_VECTOR) {
        hw_pci_notify(&s->parent, vector);
    }
}

static uint8_t take_isr(HwVirtioPci *s)
{
    uint8_t isr = s->isr;

    s->isr = 0;
    hw_pci_set_intx(&s->parent, false);
    return isr;
}

/* 4.1.5.1.2: a vector that the device cannot give reads back as none. */
static uint16_t usable_vector(const HwVirtioPci *s, uint32_t vector)
{
    return vector < s->parent.msix_n ? (uint16_t)vector : NO_VECTOR;
}

static void reset_registers(HwVirtioPci *s)
{
    s->device_feature_select = s->driver_feature_select = 0;
    s->queue_select = 0;
    s->config_vector = NO_VECTOR;
    memset(s->queue_vector, 0xff, sizeof(s->queue_vector));
    take_isr(s);
}

static void set_status(HwVirtioPci *s, uint8_t status)
{
    hw_virtio_set_status(s->dev, status);
    if (!status) {
        reset_registers(s);
    }
}

/* ---- Common configuration ---- */

static uint16_t queue_size(const VirtQueue *q)
{
    return q->num ? q->num : q->max; /* until the driver chose one */
}

static unsigned count_queues(const HwVirtioPci *s)
{
    unsigned n = 0;

    while (hw_virtio_queue(s->dev, n)) {
        n++;
    }
    return n;
}

static CommonCfg common_cfg(const HwVirtioPci *s)
{
    const VirtQueue *q = hw_virtio_queue(s->dev, s->queue_select);
    CommonCfg c = {
        .device_feature_select = GUINT32_TO_LE(s->device_feature_select),
        .device_feature = GUINT32_TO_LE(hw_virtio_get_features(s->dev, s->device_feature_select)),
        .driver_feature_select = GUINT32_TO_LE(s->driver_feature_select),
        .config_msix_vector = GUINT16_TO_LE(s->config_vector),
        .num_queues = GUINT16_TO_LE((uint16_t)count_queues(s)),
        .device_status = s->dev->status,
        .config_generation = (uint8_t)s->dev->config_generation,
        .queue_select = GUINT16_TO_LE(s->queue_select),
    };

    if (s->driver_feature_select < 2) {
        c.driver_feature =
            GUINT32_TO_LE((uint32_t)(s->dev->accepted >> (32 * s->driver_feature_select)));
    }
    if (q) {
        c.queue_size = GUINT16_TO_LE(queue_size(q));
        c.queue_msix_vector = GUINT16_TO_LE(s->queue_vector[s->queue_select]);
        c.queue_enable = GUINT16_TO_LE(q->ready);
        c.queue_notify_off = c.queue_select;
        c.queue_desc = GUINT64_TO_LE(q->desc);
        c.queue_driver = GUINT64_TO_LE(q->avail);
        c.queue_device = GUINT64_TO_LE(q->used);
    }
    return c;
}

static void set_half(uint64_t *value, uint64_t offset, uint32_t half)
{
    *value = offset & 4 ? (*value & 0xffffffff) | (uint64_t)half << 32
                        : (*value & ~0xffffffffull) | half;
}

static void write_queue_size(VirtQueue *q, uint32_t size)
{
    if (!virtqueue_size_is_good(q, size)) {
        log_guest_error("virtio-pci: queue size %u is impossible", size);
        return;
    }
    q->num = (uint16_t)size;
}

static void write_queue(HwVirtioPci *s, uint64_t offset, uint32_t value)
{
    VirtQueue *q = hw_virtio_queue(s->dev, s->queue_select);

    if (!q || (q->ready && offset != offsetof(CommonCfg, queue_msix_vector))) {
        log_guest_error("virtio-pci: queue %u %s", s->queue_select,
                        q ? "is set up while it is in use" : "does not exist");
        return;
    }
    switch (offset) {
    case offsetof(CommonCfg, queue_size):
        write_queue_size(q, value);
        break;
    case offsetof(CommonCfg, queue_msix_vector):
        s->queue_vector[s->queue_select] = usable_vector(s, value);
        break;
    case offsetof(CommonCfg, queue_enable):
        q->num = queue_size(q);
        hw_virtio_set_queue_ready(s->dev, s->queue_select, value == 1);
        break;
    case offsetof(CommonCfg, queue_desc):
    case offsetof(CommonCfg, queue_desc) + 4:
        set_half(&q->desc, offset - offsetof(CommonCfg, queue_desc), value);
        break;
    case offsetof(CommonCfg, queue_driver):
    case offsetof(CommonCfg, queue_driver) + 4:
        set_half(&q->avail, offset - offsetof(CommonCfg, queue_driver), value);
        break;
    case offsetof(CommonCfg, queue_device):
    case offsetof(CommonCfg, queue_device) + 4:
        set_half(&q->used, offset - offsetof(CommonCfg, queue_device), value);
        break;
    default:
        log_guest_error("virtio-pci: write to offset %#" PRIx64 " of the common configuration",
                        offset);
    }
}

static void write_common(HwVirtioPci *s, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case offsetof(CommonCfg, device_feature_select):
        s->device_feature_select = value;
        break;
    case offsetof(CommonCfg, driver_feature_select):
        s->driver_feature_select = value;
        break;
    case offsetof(CommonCfg, driver_feature):
        hw_virtio_set_features(s->dev, s->driver_feature_select, value);
        break;
    case offsetof(CommonCfg, config_msix_vector):
        s->config_vector = usable_vector(s, value);
        break;
    case offsetof(CommonCfg, device_status):
        set_status(s, (uint8_t)value);
        break;
    case offsetof(CommonCfg, queue_select):
        s->queue_select = (uint16_t)value;
        break;
    default:
        write_queue(s, offset, value);
    }
}

/* ---- BAR 4 ---- */

static uint64_t modern_read(void *opaque, uint64_t offset, unsigned size)
{
    HwVirtioPci *s = opaque;
    uint32_t value = 0;

    if (offset >= NOTIFY) {
        return 0;
    }
    if (offset >= DEVICE) {
        return hw_virtio_read_config(s->dev, offset - DEVICE, size);
    }
    if (offset >= ISR) {
        return offset == ISR ? take_isr(s) : 0;
    }
    if (offset + size <= sizeof(CommonCfg)) {
        CommonCfg c = common_cfg(s);

        memcpy(&value, (uint8_t *)&c + offset, size);
    }
    return GUINT32_FROM_LE(value);
}

static void modern_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwVirtioPci *s = opaque;

    if (offset >= NOTIFY) {
        hw_virtio_kick(s->dev, (uint32_t)((offset - NOTIFY) / NOTIFY_MULTIPLIER));
    } else if (offset >= DEVICE) {
        hw_virtio_write_config(s->dev, offset - DEVICE, (uint32_t)value, size);
    } else if (offset < ISR) {
        write_common(s, offset, (uint32_t)value);
    }
}

static const MemoryRegionOps modern_ops = {
    .read = modern_read,
    .write = modern_write,
    .min_access = 1,
    .max_access = 4,
};

/* ---- BAR 0: before version 1.0 ---- */

static uint64_t legacy_config_at(const HwVirtioPci *s)
{
    return hw_pci_has_msix(&s->parent) ? LEGACY_MSIX_CONFIG : LEGACY_CONFIG;
}

static uint32_t legacy_register(HwVirtioPci *s, uint64_t offset)
{
    const VirtQueue *q = hw_virtio_queue(s->dev, s->queue_select);

    switch (offset) {
    case LEGACY_FEATURES:
        return hw_virtio_get_features(s->dev, 0);
    case LEGACY_DRIVER_FEATURES:
        return (uint32_t)s->dev->accepted;
    case LEGACY_QUEUE_PFN:
        return q && q->ready ? (uint32_t)(q->desc / LEGACY_PAGE) : 0;
    case LEGACY_QUEUE_SIZE:
        return q ? q->max : 0;
    case LEGACY_QUEUE_SELECT:
        return s->queue_select;
    case LEGACY_STATUS:
        return s->dev->status;
    case LEGACY_ISR:
        return take_isr(s);
    case LEGACY_CONFIG_VECTOR:
        return s->config_vector;
    case LEGACY_QUEUE_VECTOR:
        return q ? s->queue_vector[s->queue_select] : NO_VECTOR;
    }
    return 0;
}

static uint64_t legacy_read(void *opaque, uint64_t offset, unsigned size)
{
    HwVirtioPci *s = opaque;
    uint64_t config = legacy_config_at(s);

    return offset >= config ? hw_virtio_read_config(s->dev, offset - config, size)
                            : legacy_register(s, offset);
}

static void legacy_set_status(HwVirtioPci *s, uint8_t status)
{
    set_status(s, status);
    s->dev->legacy = status;
}

static void legacy_write_register(HwVirtioPci *s, uint64_t offset, uint32_t value)
{
    VirtQueue *q = hw_virtio_queue(s->dev, s->queue_select);

    switch (offset) {
    case LEGACY_DRIVER_FEATURES:
        hw_virtio_set_features(s->dev, 0, value);
        break;
    case LEGACY_QUEUE_PFN:
        if (q) {
            /* What is in flight ends with the size that its ring has. */
            hw_virtio_set_queue_ready(s->dev, s->queue_select, false);
            q->num = q->max; /* no driver of these can choose */
            hw_virtio_set_legacy_queue(s->dev, s->queue_select, (uint64_t)value * LEGACY_PAGE,
                                       LEGACY_PAGE);
        }
        break;
    case LEGACY_QUEUE_SELECT:
        s->queue_select = (uint16_t)value;
        break;
    case LEGACY_NOTIFY:
        hw_virtio_kick(s->dev, (uint16_t)value);
        break;
    case LEGACY_STATUS:
        legacy_set_status(s, (uint8_t)value);
        break;
    case LEGACY_CONFIG_VECTOR:
        s->config_vector = usable_vector(s, value);
        break;
    case LEGACY_QUEUE_VECTOR:
        if (q) {
            s->queue_vector[s->queue_select] = usable_vector(s, value);
        }
        break;
    default:
        log_guest_error("virtio-pci: write to register %#" PRIx64 " of before version 1.0", offset);
    }
}

static void legacy_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwVirtioPci *s = opaque;
    uint64_t config = legacy_config_at(s);

    if (offset >= config) {
        hw_virtio_write_config(s->dev, offset - config, (uint32_t)value, size);
    } else {
        legacy_write_register(s, offset, (uint32_t)value);
    }
}

static const MemoryRegionOps legacy_ops = {
    .read = legacy_read,
    .write = legacy_write,
    .min_access = 1,
    .max_access = 4,
};

/* ---- Capabilities (4.1.4) ---- */

enum { CAP_LEN = 2, CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_SIZE = 16 };
enum { WINDOW_DATA = CAP_SIZE, NOTIFY_CAP_MULTIPLIER = CAP_SIZE };

static uint16_t add_structure(HwVirtioPci *s, uint8_t type, uint32_t offset, uint32_t length,
                              uint16_t more)
{
    HwPciDevice *pci = &s->parent;
    uint16_t at = hw_pci_add_capability(pci, PCI_CAP_VENDOR, (uint16_t)(CAP_SIZE + more));

    pci->config[at + CAP_LEN] = (uint8_t)(CAP_SIZE + more);
    pci->config[at + CAP_TYPE] = type;
    pci->config[at + CAP_BAR] = BAR_MODERN;
    hw_pci_set32(pci, at + CAP_OFFSET, offset);
    hw_pci_set32(pci, at + CAP_LENGTH, length);
    return at;
}

static void add_modern(HwVirtioPci *s)
{
    HwPciDevice *pci = &s->parent;
    uint16_t at;

    memory_region_init_io(&s->modern, "virtio-pci-modern", MODERN_SIZE, &modern_ops, s);
    hw_pci_add_bar(pci, BAR_MODERN, HW_PCI_BAR_MEM64_PREFETCH, &s->modern);
    add_structure(s, CFG_COMMON, COMMON, ISR - COMMON, 0);
    add_structure(s, CFG_ISR, ISR, DEVICE - ISR, 0);
    add_structure(s, CFG_DEVICE, DEVICE, NOTIFY - DEVICE, 0);
    at = add_structure(s, CFG_NOTIFY, NOTIFY, MODERN_SIZE - NOTIFY, 4);
    hw_pci_set32(pci, at + NOTIFY_CAP_MULTIPLIER, NOTIFY_MULTIPLIER);
    s->window = at = add_structure(s, CFG_PCI, 0, 0, 4);
    pci->writable[at + CAP_BAR] = 0xff;
    hw_pci_allow32(pci, at + CAP_OFFSET, ~0u);
    hw_pci_allow32(pci, at + CAP_LENGTH, ~0u);
    hw_pci_allow32(pci, at + WINDOW_DATA, ~0u);
}

/* 4.1.4.9: the driver names a place in BAR 4 and accesses it through the data field. Size of the access, or 0: it is none. */
static unsigned window_access(const HwVirtioPci *s, unsigned offset, unsigned size, uint32_t *at)
{
    const uint8_t *cap = s->parent.config + s->window;
    uint32_t length = bytes_get_le32(cap + CAP_LENGTH);

    *at = bytes_get_le32(cap + CAP_OFFSET);
    if (!s->window || offset >= s->window + WINDOW_DATA + 4u ||
        offset + size <= s->window + (unsigned)WINDOW_DATA || cap[CAP_BAR] != BAR_MODERN ||
        (length != 1 && length != 2 && length != 4) || *at % length || *at >= MODERN_SIZE) {
        return 0;
    }
    return length;
}

static void pci_config_read(HwPciDevice *pci, unsigned offset, unsigned size, uint32_t *value)
{
    HwVirtioPci *s = (HwVirtioPci *)pci;
    uint32_t at;
    unsigned length = window_access(s, offset, size, &at);

    if (length) {
        *value = (uint32_t)modern_read(s, at, length);
    }
}

static void pci_config_written(HwPciDevice *pci, unsigned offset, unsigned size)
{
    HwVirtioPci *s = (HwVirtioPci *)pci;
    uint32_t at;
    unsigned length = window_access(s, offset, size, &at);

    if (length) {
        modern_write(s, at, hw_pci_get32(pci, s->window + WINDOW_DATA), length);
    }
}

/* ---- The device object ---- */

static bool wants_legacy(const HwVirtioPci *s, bool *legacy, GError **error)
{
    const HwPciBus *bus = s->parent.parent.bus->opaque;
    const char *text = s->disable_legacy ? s->disable_legacy : "auto";
    bool can = ((HwVirtioPciClass *)G_OBJECT_GET_CLASS(s))->legacy_id;

    if (strcmp(text, "on") && strcmp(text, "off") && strcmp(text, "auto")) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: disable-legacy: '%s' is none of on, off, auto",
                    HW_DEVICE_GET_CLASS(s)->model, text);
        return false;
    }
    *legacy = can && (!strcmp(text, "off") || (!strcmp(text, "auto") && !bus->one_slot));
    if ((!*legacy && s->disable_modern) || (!can && !strcmp(text, "off"))) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: disable-legacy, disable-modern: no interface is left that it has",
                    HW_DEVICE_GET_CLASS(s)->model);
        return false;
    }
    return true;
}

/* 4.1.2.1: a transitional device has the numbers of before version 1.0. */
static void set_identity(HwVirtioPci *s, bool legacy)
{
    uint32_t id = HW_VIRTIO_GET_CLASS(s->dev)->device_id;
    uint16_t legacy_id = ((HwVirtioPciClass *)G_OBJECT_GET_CLASS(s))->legacy_id;

    hw_pci_set16(&s->parent, PCI_DEVICE_ID, legacy ? legacy_id : (uint16_t)(MODERN_DEVICE + id));
    hw_pci_set16(&s->parent, PCI_SUBSYSTEM_ID, legacy ? (uint16_t)id : SUBSYSTEM_MODERN);
    s->parent.config[PCI_REVISION_ID] = !legacy;
}

static bool realize_inner(HwVirtioPci *s, GError **error)
{
    static unsigned n_buses;
    HwDevice *inner = s->parent.parent.inner;
    g_autofree char *name = g_strdup_printf("virtio-pci-bus.%u", n_buses++);

    s->bus = hw_bus_new(&s->parent.parent, "virtio-bus", name, 1);
    g_ptr_array_add(s->bus->children, g_object_ref(inner)); /* it has no room for others */
    inner->bus = s->bus;
    inner->id = g_strdup(s->parent.parent.id);
    return hw_device_realize(inner, error);
}

static bool virtio_pci_realize(HwPciDevice *pci, GError **error)
{
    HwVirtioPci *s = (HwVirtioPci *)pci;
    bool legacy;

    if (!wants_legacy(s, &legacy, error) || !realize_inner(s, error)) {
        return false;
    }
    s->dev = HW_VIRTIO(pci->parent.inner);
    hw_virtio_attach(s->dev, !s->disable_modern, raise_interrupt, s);
    set_identity(s, legacy);
    hw_pci_set_pin(pci, 0);
    if (legacy) {
        memory_region_init_io(&s->legacy, "virtio-pci", LEGACY_SIZE, &legacy_ops, s);
        hw_pci_add_bar(pci, BAR_LEGACY, HW_PCI_BAR_IO, &s->legacy);
    }
    if (s->vectors) {
        unsigned n = s->vectors == AUTO_VECTORS ? count_queues(s) + 1 : s->vectors;

        hw_pci_add_msix(pci, (uint16_t)MIN(n, HW_PCI_MAX_VECTORS), BAR_MSIX);
    }
    if (!s->disable_modern) {
        add_modern(s);
    }
    if (((HwPciBus *)pci->parent.bus->opaque)->one_slot) {
        hw_pci_add_express(pci, PCI_EXP_TYPE_ENDPOINT, 0);
        hw_pci_add_power(pci);
    }
    return true;
}

static void virtio_pci_unrealize(HwPciDevice *pci)
{
    HwVirtioPci *s = (HwVirtioPci *)pci;

    s->dev->transport = NULL;
    s->dev = NULL;
    g_clear_pointer(&s->bus, hw_bus_free);
}

static void virtio_pci_reset(HwPciDevice *pci)
{
    HwVirtioPci *s = (HwVirtioPci *)pci;

    hw_virtio_set_status(s->dev, 0); /* a reset of the slot alone resets the device in it */
    reset_registers(s);
}

static const StateField virtio_pci_state[] = {
    HW_FIELD(HwVirtioPci, device_feature_select, STATE_U32, 0, "half of the device's features"),
    HW_FIELD(HwVirtioPci, driver_feature_select, STATE_U32, 0, "half of the driver's features"),
    HW_FIELD(HwVirtioPci, queue_select, STATE_U16, 0, "selected queue"),
    HW_FIELD(HwVirtioPci, config_vector, STATE_U16, NO_VECTOR, "vector of configuration changes"),
    HW_FIELD_ARRAY(HwVirtioPci, queue_vector, STATE_U16, HW_VIRTIO_MAX_QUEUES, NO_VECTOR,
                   "vectors of queues"),
    HW_FIELD(HwVirtioPci, isr, STATE_U8, 0, "reasons of the interrupt"),
    { 0 },
};

static const HwProp virtio_pci_props[] = {
    HW_PROP(HwVirtioPci, disable_legacy, "disable-legacy", HW_PROP_STRING, 0,
            "on, off, auto: no interface of before version 1.0 (auto: behind a port)"),
    HW_PROP(HwVirtioPci, disable_modern, "disable-modern", HW_PROP_BOOL, 0,
            "no interface of version 1.0"),
    { .name = "vectors",
      .type = HW_PROP_U16,
      .offset = offsetof(HwVirtioPci, vectors),
      .def = AUTO_VECTORS,
      .desc = "MSI-X vectors; 0: no MSI-X; 65535: one for each queue and one more" },
    { 0 },
};

static void hw_virtio_pci_init(HwVirtioPci *s)
{
    (void)s;
}

static void hw_virtio_pci_class_init(HwVirtioPciClass *klass)
{
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    pc->vendor_id = VENDOR;
    pc->subsystem_vendor_id = VENDOR;
    pc->realize = virtio_pci_realize;
    pc->unrealize = virtio_pci_unrealize;
    pc->reset = virtio_pci_reset;
    pc->config_read = pci_config_read;
    pc->config_written = pci_config_written;
}

/* ---- The kinds ---- */

typedef struct Kind {
    const char *type, *model, *desc;
    GType (*inner)(void);
    uint32_t class_code;
    uint16_t legacy_id;
} Kind;

static void kind_class_init(gpointer klass, gpointer data)
{
    const Kind *kind = data;
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    dc->model = kind->model;
    dc->desc = kind->desc;
    dc->inner_type = kind->inner();
    dc->user_creatable = true;
    pc->class_code = kind->class_code;
    ((HwVirtioPciClass *)klass)->legacy_id = kind->legacy_id;
    hw_pci_class_bind_props(pc, virtio_pci_props);
    hw_pci_class_bind_state(pc, virtio_pci_state);
}

static GType register_kind(const Kind *kind)
{
    const GTypeInfo info = {
        .class_size = sizeof(HwVirtioPciClass),
        .class_init = kind_class_init,
        .class_data = kind,
        .instance_size = sizeof(HwVirtioPci),
    };
    GType type = g_type_from_name(kind->type);

    return type ? type : g_type_register_static(hw_virtio_pci_get_type(), kind->type, &info, 0);
}

GType hw_virtio_9p_pci_get_type(void)
{
    static const Kind kind = {
        "HwVirtio9pPci",       "virtio-9p-pci", "virtio shared folder on PCI",
        hw_virtio_9p_get_type, 0x000200,        0x1009
    };

    return register_kind(&kind);
}

GType hw_virtio_balloon_pci_get_type(void)
{
    static const Kind kind = { "HwVirtioBalloonPci",
                               "virtio-balloon-pci",
                               "virtio memory balloon on PCI",
                               hw_virtio_balloon_get_type,
                               0x00ff00,
                               0x1002 };

    return register_kind(&kind);
}

GType hw_virtio_blk_pci_get_type(void)
{
    static const Kind kind = { "HwVirtioBlkPci",       "virtio-blk-pci", "virtio disk on PCI",
                               hw_virtio_blk_get_type, 0x010000,         0x1001 };

    return register_kind(&kind);
}

GType hw_virtio_keyboard_pci_get_type(void)
{
    static const Kind kind = { .type = "HwVirtioKeyboardPci",
                               .model = "virtio-keyboard-pci",
                               .desc = "virtio keyboard on PCI",
                               .inner = hw_virtio_keyboard_get_type,
                               .class_code = 0x090000 };

    return register_kind(&kind);
}

GType hw_virtio_mouse_pci_get_type(void)
{
    static const Kind kind = { .type = "HwVirtioMousePci",
                               .model = "virtio-mouse-pci",
                               .desc = "virtio mouse on PCI",
                               .inner = hw_virtio_mouse_get_type,
                               .class_code = 0x090200 };

    return register_kind(&kind);
}

GType hw_virtio_net_pci_get_type(void)
{
    static const Kind kind = {
        "HwVirtioNetPci",       "virtio-net-pci", "virtio network card on PCI",
        hw_virtio_net_get_type, 0x020000,         0x1000
    };

    return register_kind(&kind);
}

GType hw_virtio_rng_pci_get_type(void)
{
    static const Kind kind = {
        "HwVirtioRngPci",       "virtio-rng-pci", "virtio entropy source on PCI",
        hw_virtio_rng_get_type, 0x00ff00,         0x1005
    };

    return register_kind(&kind);
}

GType hw_virtio_scsi_pci_get_type(void)
{
    static const Kind kind = {
        "HwVirtioScsiPci",       "virtio-scsi-pci", "virtio SCSI host adapter on PCI",
        hw_virtio_scsi_get_type, 0x010000,          0x1004
    };

    return register_kind(&kind);
}

GType hw_virtio_serial_pci_get_type(void)
{
    static const Kind kind = { "HwVirtioSerialPci",
                               "virtio-serial-pci",
                               "virtio console device on PCI",
                               hw_virtio_serial_get_type,
                               0x078000,
                               0x1003 };

    return register_kind(&kind);
}

GType hw_virtio_tablet_pci_get_type(void)
{
    static const Kind kind = { .type = "HwVirtioTabletPci",
                               .model = "virtio-tablet-pci",
                               .desc = "virtio tablet on PCI",
                               .inner = hw_virtio_tablet_get_type,
                               .class_code = 0x098000 };

    return register_kind(&kind);
}

GType hw_virtio_vsock_pci_get_type(void)
{
    static const Kind kind = { .type = "HwVirtioVsockPci",
                               .model = "virtio-vsock-pci",
                               .desc = "virtio sockets on PCI",
                               .inner = hw_virtio_vsock_get_type,
                               .class_code = 0x078000 };

    return register_kind(&kind);
}
