/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base of virtio devices. A device that its driver has confused (hw_virtio_fail) takes no more notice of its queues until it
 * is reset, as 2.1.2 has it.
 *
 * A driver that adds chains as fast as they are taken must not hold the machine lock for ever: a kick takes a bounded number of chains and
 * a timer that is due at once goes on with the rest.
 */
#include "hw/virtio/virtio.h"
#include <string.h>
#include "util/log.h"

G_DEFINE_ABSTRACT_TYPE(HwVirtio, hw_virtio, HW_TYPE_DEVICE)

static const char *name_of(HwVirtio *dev)
{
    return HW_DEVICE_GET_CLASS(dev)->model;
}

static void interrupt(HwVirtio *dev, uint32_t reasons, unsigned n)
{
    if (dev->transport) {
        dev->interrupt(dev->transport, reasons, n);
    }
}

/* ---- For device types ---- */

VirtQueue *hw_virtio_add_queue(HwVirtio *dev, uint16_t size)
{
    unsigned n = 0;

    g_assert(size && size <= VIRTQUEUE_MAX_SIZE && !(size & (size - 1)));
    while (n < HW_VIRTIO_MAX_QUEUES && dev->queues[n].max) {
        n++;
    }
    g_assert(n < HW_VIRTIO_MAX_QUEUES);
    dev->queues[n].dev = dev;
    dev->queues[n].max = size;
    return &dev->queues[n];
}

bool hw_virtio_is_running(const HwVirtio *dev)
{
    return (dev->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
           VIRTIO_STATUS_DRIVER_OK;
}

void hw_virtio_publish(HwVirtio *dev, unsigned n)
{
    if (virtqueue_publish(&dev->queues[n])) {
        interrupt(dev, VIRTIO_INT_QUEUE, n);
    }
}

void hw_virtio_config_changed(HwVirtio *dev)
{
    dev->config_generation++;
    if (dev->status & VIRTIO_STATUS_DRIVER_OK) {
        interrupt(dev, VIRTIO_INT_CONFIG, 0);
    }
}

void hw_virtio_fail(HwVirtio *dev, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (dev->status & VIRTIO_STATUS_NEEDS_RESET) {
        return;
    }
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    log_guest_error("%s: %s; waiting for a reset", name_of(dev), text);
    dev->status |= VIRTIO_STATUS_NEEDS_RESET;
    hw_virtio_config_changed(dev);
}

/* ---- Features and status ---- */

void hw_virtio_attach(HwVirtio *dev, bool modern, HwVirtioInterrupt *f, void *transport)
{
    dev->offered |= (uint64_t)dev->indirect_desc << VIRTIO_F_INDIRECT_DESC |
                    (uint64_t)dev->event_idx << VIRTIO_F_EVENT_IDX |
                    (uint64_t)modern << VIRTIO_F_VERSION_1 |
                    (uint64_t)(modern && dev->packed) << VIRTIO_F_RING_PACKED;
    dev->interrupt = f;
    dev->transport = transport;
}

uint32_t hw_virtio_get_features(const HwVirtio *dev, uint32_t sel)
{
    return sel < 2 ? (uint32_t)(dev->offered >> (32 * sel)) : 0;
}

/* The size of the rings depends on the features: they must be looked up again. */
static void set_accepted(HwVirtio *dev, uint64_t features)
{
    dev->accepted = features;
    for (unsigned n = 0; n < HW_VIRTIO_MAX_QUEUES; n++) {
        dev->queues[n].map_serial = 0;
    }
}

void hw_virtio_set_features(HwVirtio *dev, uint32_t sel, uint32_t value)
{
    uint64_t half;

    if (dev->status & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)) {
        log_guest_error("%s: features are written after they were agreed on", name_of(dev));
        return;
    }
    if (sel < 2) {
        half = 0xffffffffull << (32 * sel);
        set_accepted(dev, (dev->accepted & ~half) | (uint64_t)value << (32 * sel));
    }
}

static bool features_are_good(const HwVirtio *dev)
{
    uint64_t version_1 = dev->offered & 1ull << VIRTIO_F_VERSION_1;

    return !(dev->accepted & ~dev->offered) && (dev->accepted & version_1) == version_1;
}

static void start(HwVirtio *dev)
{
    /* A driver of before version 1.0 has no FEATURES_OK to be refused by. */
    set_accepted(dev, dev->accepted & dev->offered);
    for (unsigned n = 0; n < HW_VIRTIO_MAX_QUEUES; n++) {
        if (dev->queues[n].ready) {
            hw_virtio_kick(dev, n);
        }
    }
}

static void stop(HwVirtio *dev)
{
    HwVirtioClass *vc = HW_VIRTIO_GET_CLASS(dev);

    if (vc->stop) {
        vc->stop(dev);
    }
}

void hw_virtio_set_status(HwVirtio *dev, uint8_t status)
{
    uint8_t fresh = status & ~dev->status;

    if (!status) {
        stop(dev);
        hw_device_reset(HW_DEVICE(dev));
        return;
    }
    if ((fresh & VIRTIO_STATUS_FEATURES_OK) && !features_are_good(dev)) {
        log_guest_error("%s: driver wants features that were not offered, or none of version 1",
                        name_of(dev));
        status &= ~VIRTIO_STATUS_FEATURES_OK;
    }
    dev->status = status | (dev->status & VIRTIO_STATUS_NEEDS_RESET);
    if (fresh & VIRTIO_STATUS_DRIVER_OK) {
        if ((dev->offered >> VIRTIO_F_VERSION_1 & 1) && !dev->legacy &&
            !(dev->status & VIRTIO_STATUS_FEATURES_OK)) {
            hw_virtio_fail(dev, "driver starts before features are agreed on");
        }
        start(dev);
    }
}

/* ---- Configuration space ---- */

uint32_t hw_virtio_read_config(HwVirtio *dev, uint64_t offset, unsigned size)
{
    HwVirtioClass *vc = HW_VIRTIO_GET_CLASS(dev);
    uint8_t config[HW_VIRTIO_MAX_CONFIG] = { 0 };
    uint32_t value = 0;

    if (offset >= vc->config_size || size > vc->config_size - offset) {
        return 0;
    }
    vc->config_read(dev, config);
    memcpy(&value, config + offset, size);
    return GUINT32_FROM_LE(value);
}

void hw_virtio_write_config(HwVirtio *dev, uint64_t offset, uint32_t value, unsigned size)
{
    HwVirtioClass *vc = HW_VIRTIO_GET_CLASS(dev);

    if (offset >= vc->config_size || size > vc->config_size - offset || !vc->config_write) {
        log_guest_error("%s: write of %u bytes at offset %#" G_GINT64_MODIFIER
                        "x of a configuration space that has none to write",
                        name_of(dev), size, offset);
        return;
    }
    vc->config_write(dev, (uint32_t)offset, value, size);
}

/* ---- Queues ---- */

VirtQueue *hw_virtio_queue(HwVirtio *dev, uint32_t n)
{
    return n < HW_VIRTIO_MAX_QUEUES && dev->queues[n].max ? &dev->queues[n] : NULL;
}

void hw_virtio_set_queue_ready(HwVirtio *dev, uint32_t n, bool ready)
{
    VirtQueue *q = hw_virtio_queue(dev, n);

    if (!q || q->ready == ready) {
        return;
    }
    if (!ready) {
        stop(dev);
    }
    virtqueue_rewind(q);
    q->ready = ready;
    if (ready) {
        virtqueue_map(q);
    }
}

void hw_virtio_set_legacy_queue(HwVirtio *dev, uint32_t n, uint64_t addr, uint64_t align)
{
    VirtQueue *q = hw_virtio_queue(dev, n);

    if (!q) {
        return;
    }
    hw_virtio_set_queue_ready(dev, n, false);
    if (addr) {
        q->desc = addr;
        q->avail = q->desc + 16ull * q->num;
        q->used = (q->avail + 6 + 2ull * q->num + align - 1) & ~(align - 1);
        hw_virtio_set_queue_ready(dev, n, true);
    }
}

void hw_virtio_kick(HwVirtio *dev, uint32_t n)
{
    VirtQueue *q = hw_virtio_queue(dev, n);

    if (!q || !q->ready || !hw_virtio_is_running(dev)) {
        return;
    }
    if (HW_VIRTIO_GET_CLASS(dev)->kick(dev, n)) {
        dev->rekick |= 1ull << n;
        timer_set(&dev->rekick_timer, clock_now(CLOCK_VIRTUAL));
    }
}

void hw_virtio_kick_later(HwVirtio *dev, unsigned n, int64_t ns)
{
    if (!dev->rekick) {
        timer_set(&dev->rekick_timer, clock_now(CLOCK_VIRTUAL) + ns);
    }
    dev->rekick |= 1ull << n;
}

static void rekick_queues(void *opaque)
{
    HwVirtio *dev = opaque;
    uint64_t queues = dev->rekick;

    dev->rekick = 0;
    for (; queues; queues &= queues - 1) {
        hw_virtio_kick(dev, (uint32_t)__builtin_ctzll(queues));
    }
}

/* ---- The device object ---- */

static void virtio_reset(HwDevice *object)
{
    HwVirtio *dev = HW_VIRTIO(object);

    stop(dev); /* the queues are not ready any more: what is finished now is dropped */
    timer_cancel(&dev->rekick_timer);
    dev->rekick = 0;
    for (unsigned n = 0; n < HW_VIRTIO_MAX_QUEUES; n++) {
        virtqueue_forget(&dev->queues[n]);
    }
}

static bool virtio_post_load(HwDevice *object, GError **error)
{
    HwVirtio *dev = HW_VIRTIO(object);

    for (unsigned n = 0; n < HW_VIRTIO_MAX_QUEUES; n++) {
        VirtQueue *q = &dev->queues[n];

        virtqueue_forget(q);
        if (q->ready && !q->max) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                        "%s: state has a queue %u, which the device has not", name_of(dev), n);
            return false;
        }
        dev->rekick |= (uint64_t)q->ready << n;
    }
    if (dev->rekick) {
        timer_set(&dev->rekick_timer, clock_now(CLOCK_VIRTUAL));
    }
    return true;
}

static const StateField base_state[] = {
    HW_FIELD(HwVirtio, accepted, STATE_U64, 0, "features accepted by the driver"),
    HW_FIELD(HwVirtio, status, STATE_U8, 0, "device status"),
    HW_FIELD(HwVirtio, config_generation, STATE_U32, 0, "changes of the configuration space"),
    HW_FIELD(HwVirtio, legacy, STATE_BOOL, 0, "the driver is of before version 1.0"),
};

static const StateField queue_state[] = {
    HW_FIELD(VirtQueue, num, STATE_U16, 0, "size"),
    HW_FIELD(VirtQueue, ready, STATE_BOOL, 0, "in use"),
    HW_FIELD(VirtQueue, desc, STATE_U64, 0, "descriptor table"),
    HW_FIELD(VirtQueue, avail, STATE_U64, 0, "available ring"),
    HW_FIELD(VirtQueue, used, STATE_U64, 0, "used ring"),
    HW_FIELD(VirtQueue, last_avail, STATE_U16, 0, "next available entry"),
    HW_FIELD(VirtQueue, next_used, STATE_U16, 0, "next used entry"),
    HW_FIELD(VirtQueue, published, STATE_U16, 0, "used index shown to the driver"),
};

void hw_virtio_class_bind_props(HwVirtioClass *klass, const HwProp *own)
{
    static const HwProp base[] = {
        HW_PROP(HwVirtio, indirect_desc, "indirect_desc", HW_PROP_BOOL, 1,
                "chains in tables of their own"),
        HW_PROP(HwVirtio, event_idx, "event_idx", HW_PROP_BOOL, 1,
                "notifications by index, which saves some"),
        HW_PROP(HwVirtio, packed, "packed", HW_PROP_BOOL, 0, "packed rings"),
        { 0 },
    };

    hw_device_class_bind_props(&klass->parent, hw_props_join(base, own));
}

void hw_virtio_class_bind_state(HwVirtioClass *klass, const StateField *own)
{
    g_autoptr(GArray) all = g_array_new(TRUE, TRUE, sizeof(StateField));

    g_array_append_vals(all, base_state, G_N_ELEMENTS(base_state));
    for (unsigned n = 0; n < HW_VIRTIO_MAX_QUEUES; n++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(queue_state); i++) {
            StateField f = queue_state[i];

            f.name = g_strdup_printf("queue%u.%s", n, f.name);
            f.offset += offsetof(HwVirtio, queues) + n * sizeof(VirtQueue);
            g_array_append_val(all, f);
        }
    }
    klass->parent.state = hw_state_join((const StateField *)all->data, own);
}

static void hw_virtio_finalize(GObject *object)
{
    timer_cancel(&HW_VIRTIO(object)->rekick_timer);
    G_OBJECT_CLASS(hw_virtio_parent_class)->finalize(object);
}

static void hw_virtio_init(HwVirtio *dev)
{
    timer_init(&dev->rekick_timer, CLOCK_VIRTUAL, rekick_queues, dev);
}

static void hw_virtio_class_init(HwVirtioClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_virtio_finalize;
    dc->bus_type = "virtio-bus";
    dc->reset = virtio_reset;
    dc->post_load = virtio_post_load;
}
