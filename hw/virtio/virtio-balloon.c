/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio memory balloon (virtio 1.2, section 5.5). The driver puts pages into the balloon (inflate), which the host takes back, and out of it
 * (deflate), up to the size that the monitor's "balloon" asks for. With free-page-reporting=on it also tells of memory that is free anyhow. A page
 * that was given back reads as zeroes when it is used again.
 */
#include "hw/virtio/virtio-balloon.h"
#include "hw/core/balloon.h"
#include "hw/virtio/virtio.h"
#include "util/bytes.h"
#include "util/log.h"

enum { DEVICE_ID = 5, QUEUE_SIZE = 128, CONFIG_SIZE = 8, PAGE_SHIFT = 12, MAX_PAGES = 4096 };
enum { CONFIG_NUM_PAGES = 0, CONFIG_ACTUAL = 4 };
enum { INFLATE = 0, DEFLATE = 1, REPORTING = 2 };
enum { F_MUST_TELL_HOST = 0, F_DEFLATE_ON_OOM = 2, F_REPORTING = 5 };

typedef struct HwVirtioBalloon {
    HwVirtio parent;
    bool deflate_on_oom, reporting;
    uint32_t num_pages; /* wanted, 4 KiB each */
    uint32_t actual;
} HwVirtioBalloon;

typedef struct HwVirtioBalloonClass {
    HwVirtioClass parent;
} HwVirtioBalloonClass;

G_DEFINE_TYPE(HwVirtioBalloon, hw_virtio_balloon, HW_TYPE_VIRTIO)

/* ---- What the driver gives ---- */

/* Page numbers, at most MAX_PAGES of them, as drivers send them by 256. How many there were. */
static uint64_t inflate(const VirtqElement *e)
{
    uint64_t n = MIN(e->out_len / 4, MAX_PAGES);

    for (uint64_t i = 0; i < n; i++) {
        uint64_t len = 1 << PAGE_SHIFT;
        uint8_t pfn[4], *host;

        virtq_iov_read(e->out, e->n_out, i * 4, pfn, sizeof(pfn));
        host = memory_map((uint64_t)bytes_get_le32(pfn) << PAGE_SHIFT, &len, true);
        if (host && len == 1 << PAGE_SHIFT) {
            memory_discard(host, len);
        } else {
            log_guest_error("virtio-balloon-device: page %#x is not RAM", bytes_get_le32(pfn));
        }
    }
    return n;
}

/* 5.5.6.7: the buffers are what is free. */
static void take_reported(const VirtqElement *e)
{
    for (int i = 0; i < e->n_in; i++) {
        memory_discard(e->in[i].iov_base, e->in[i].iov_len);
    }
}

static bool balloon_kick(HwVirtio *dev, unsigned n)
{
    VirtQueue *q = &dev->queues[n];
    uint64_t given = 0; /* pieces: each takes the host some time, with the lock held */
    bool more = true;

    for (unsigned i = 0; i < q->num && more && given < MAX_PAGES; i++) {
        g_autofree VirtqElement *e = virtqueue_pop(q);

        if (!e) {
            more = virtqueue_arm(q);
            continue;
        }
        if (n == INFLATE) {
            given += inflate(e);
        } else if (n == REPORTING) {
            take_reported(e);
            given += (uint64_t)e->n_in;
        }
        virtqueue_push(q, e, 0);
    }
    hw_virtio_publish(dev, n);
    return more;
}

/* ---- Configuration ---- */

static void balloon_config_read(HwVirtio *dev, uint8_t *config)
{
    const HwVirtioBalloon *s = (HwVirtioBalloon *)dev;

    bytes_put_le32(config + CONFIG_NUM_PAGES, s->num_pages);
    bytes_put_le32(config + CONFIG_ACTUAL, s->actual);
}

static void balloon_config_write(HwVirtio *dev, uint32_t offset, uint32_t value, unsigned size)
{
    if (offset != CONFIG_ACTUAL || size != 4) {
        log_guest_error("virtio-balloon-device: write at offset %u of the configuration space",
                        offset);
        return;
    }
    ((HwVirtioBalloon *)dev)->actual = value;
}

/* ---- For the monitor ---- */

/* The machine's main memory, bytes. */
static uint64_t memory_size(void)
{
    const FlatRange *main = &memory_view()->ranges[memory_view()->main];

    return main->last - main->start + 1;
}

static void set_target(void *opaque, uint64_t bytes)
{
    HwVirtioBalloon *s = opaque;
    uint64_t size = memory_size();

    s->num_pages = (uint32_t)((size - MIN(bytes, size)) >> PAGE_SHIFT);
    hw_virtio_config_changed(&s->parent);
}

static uint64_t get_actual(void *opaque)
{
    uint64_t size = memory_size(), taken = ((HwVirtioBalloon *)opaque)->actual;

    return size - MIN(size, taken << PAGE_SHIFT);
}

static const HwBalloonOps balloon_ops = { .set_target = set_target, .actual = get_actual };

/* ---- The device object ---- */

static bool balloon_realize(HwDevice *object, GError **error)
{
    HwVirtioBalloon *s = (HwVirtioBalloon *)object;

    if (!hw_balloon_register(&balloon_ops, s)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "virtio-balloon-device: there is a balloon already");
        return false;
    }
    hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    s->parent.offered |= 1u << F_MUST_TELL_HOST | (uint64_t)s->deflate_on_oom << F_DEFLATE_ON_OOM;
    if (s->reporting) {
        s->parent.offered |= 1u << F_REPORTING;
        hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    }
    return true;
}

static void balloon_unrealize(HwDevice *object)
{
    hw_balloon_unregister(object);
}

static const StateField balloon_state[] = {
    { .name = "num_pages",
      .offset = offsetof(HwVirtioBalloon, num_pages),
      .count = 1,
      .type = STATE_U32,
      .keep = true, /* what was asked for holds for the next driver, too */
      .desc = "pages wanted" },
    HW_FIELD(HwVirtioBalloon, actual, STATE_U32, 0, "pages in the balloon"),
    { 0 },
};

static const HwProp balloon_props[] = {
    HW_PROP(HwVirtioBalloon, deflate_on_oom, "deflate-on-oom", HW_PROP_BOOL, 0,
            "the driver may take pages out when it has no other"),
    HW_PROP(HwVirtioBalloon, reporting, "free-page-reporting", HW_PROP_BOOL, 0,
            "the driver tells of free memory, which the host takes back"),
    { 0 },
};

static void hw_virtio_balloon_init(HwVirtioBalloon *s)
{
    (void)s;
}

static void hw_virtio_balloon_class_init(HwVirtioBalloonClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    dc->model = "virtio-balloon-device";
    dc->desc = "virtio memory balloon";
    dc->user_creatable = true;
    dc->realize = balloon_realize;
    dc->unrealize = balloon_unrealize;
    vc->device_id = DEVICE_ID;
    vc->config_size = CONFIG_SIZE;
    vc->config_read = balloon_config_read;
    vc->config_write = balloon_config_write;
    vc->kick = balloon_kick;
    hw_virtio_class_bind_state(vc, balloon_state);
    hw_virtio_class_bind_props(vc, balloon_props);
}
