/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base of virtio devices (virtio 1.2, sections 2 and 3): status, feature negotiation, configuration space, queues. A device type derives from
 * HwVirtio and gives the class below; a transport (virtio-mmio) shows it to the guest through the functions at the end.
 *
 * All functions: machine lock held.
 */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "hw/core/device.h"
#include "hw/virtio/virtqueue.h"

enum { HW_VIRTIO_MAX_QUEUES = 64, HW_VIRTIO_MAX_CONFIG = 256 };

/* Bits of the device status. */
enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};
/* Numbers of the features that belong to no device type. */
enum {
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
    VIRTIO_F_RING_PACKED = 34,
};
/* Reasons of interrupts. */
enum { VIRTIO_INT_QUEUE = 1, VIRTIO_INT_CONFIG = 2 };

/* Interrupts the driver, for @reasons; queue @n if the queue is one. */
typedef void HwVirtioInterrupt(void *transport, uint32_t reasons, unsigned n);

struct HwVirtio {
    HwDevice parent;
    bool indirect_desc, event_idx, packed; /* properties: features that may be offered */
    uint64_t offered;                      /* features; realize adds the device type's */
    uint64_t accepted;                     /* by the driver */
    uint8_t status;
    uint32_t config_generation;
    VirtQueue queues[HW_VIRTIO_MAX_QUEUES];
    uint64_t rekick; /* queues that were left with work in them */
    Timer rekick_timer;
    bool legacy; /* the driver uses the interface of before version 1.0 */
    HwVirtioInterrupt *interrupt;
    void *transport; /* NULL: not plugged in */
};

typedef struct HwVirtioClass {
    HwDeviceClass parent;
    uint32_t device_id;
    uint32_t config_size; /* bytes, at most HW_VIRTIO_MAX_CONFIG */
    /* Fills @config (zeroed) with the configuration space. May be NULL if it is empty. */
    void (*config_read)(HwVirtio *dev, uint8_t *config);
    /* The driver wrote @size bytes at @offset (within config_size); NULL: nothing is writable. */
    void (*config_write)(HwVirtio *dev, uint32_t offset, uint32_t value, unsigned size);
    /* There may be work in queue @n. Takes at most as many chains as the queue has entries and then returns true, to be called
     * again soon; false: the queue was empty and is armed. */
    bool (*kick)(HwVirtio *dev, unsigned n);
    /* Before a reset: waits until no chain is in use. May be NULL. */
    void (*stop)(HwVirtio *dev);
} HwVirtioClass;

GType hw_virtio_get_type(void);
#define HW_TYPE_VIRTIO         (hw_virtio_get_type())
#define HW_VIRTIO(o)           (G_TYPE_CHECK_INSTANCE_CAST((o), HW_TYPE_VIRTIO, HwVirtio))
#define HW_VIRTIO_CLASS(k)     (G_TYPE_CHECK_CLASS_CAST((k), HW_TYPE_VIRTIO, HwVirtioClass))
#define HW_VIRTIO_GET_CLASS(o) (G_TYPE_INSTANCE_GET_CLASS((o), HW_TYPE_VIRTIO, HwVirtioClass))

/* ---- For device types ---- */

/* In class_init, both always: the tables of the base followed by @own (each ends with a zero entry; may be NULL). */
void hw_virtio_class_bind_state(HwVirtioClass *klass, const StateField *own);
void hw_virtio_class_bind_props(HwVirtioClass *klass, const HwProp *own);
/* In realize: the next queue, of at most @size entries (a power of 2). */
VirtQueue *hw_virtio_add_queue(HwVirtio *dev, uint16_t size);
/* The driver accepted the feature. */
static inline bool hw_virtio_has(const HwVirtio *dev, unsigned feature)
{
    return dev->accepted >> feature & 1;
}
/* The driver is ready and the device not failed: queues may be used. */
bool hw_virtio_is_running(const HwVirtio *dev);
/* Shows the driver what was pushed on queue @n and interrupts it if it wants that. */
void hw_virtio_publish(HwVirtio *dev, unsigned n);
/* The configuration space changed by itself. */
void hw_virtio_config_changed(HwVirtio *dev);
/* The driver did something that cannot be answered: logs it, stops the device and asks the driver for a reset. */
void hw_virtio_fail(HwVirtio *dev, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* kick() comes for queue @n when the machine has run for @ns, or sooner. */
void hw_virtio_kick_later(HwVirtio *dev, unsigned n, int64_t ns);

/* ---- For transports ---- */

/* @modern: the interface of version 1.0 is offered. */
void hw_virtio_attach(HwVirtio *dev, bool modern, HwVirtioInterrupt *interrupt, void *transport);
/* Half @sel (0, 1; others are 0) of the features. */
uint32_t hw_virtio_get_features(const HwVirtio *dev, uint32_t sel);
void hw_virtio_set_features(HwVirtio *dev, uint32_t sel, uint32_t value);
void hw_virtio_set_status(HwVirtio *dev, uint8_t status);
/* Registers of configuration space: what lies outside reads as 0. @size 1, 2 or 4. */
uint32_t hw_virtio_read_config(HwVirtio *dev, uint64_t offset, unsigned size);
void hw_virtio_write_config(HwVirtio *dev, uint64_t offset, uint32_t value, unsigned size);
/* Queue @n, or NULL. */
VirtQueue *hw_virtio_queue(HwVirtio *dev, uint32_t n);
void hw_virtio_set_queue_ready(HwVirtio *dev, uint32_t n, bool ready);
/* What a driver of before version 1.0 says of queue @n: the guest-physical address of its first part (0: it is not in use), after which the
 * others lie (2.7.2), and the alignment of the used ring, a power of 2. */
void hw_virtio_set_legacy_queue(HwVirtio *dev, uint32_t n, uint64_t addr, uint64_t align);
/* The driver says that queue @n has work. */
void hw_virtio_kick(HwVirtio *dev, uint32_t n);

#endif
