/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio console (virtio 1.2, section 5.3) with one port on a character back end: queue 0 carries input, queue 1 output. The driver may
 * also write single characters into the configuration space before it has queues (emergency write).
 *
 * The back end is asked for input only while the driver has buffers for it; what does not fit after all waits in `pending`.
 */
#include "hw/virtio/virtio-console.h"
#include <string.h>
#include "chardev/chardev.h"
#include "hw/virtio/virtio.h"
#include "util/log.h"

enum { DEVICE_ID = 3, QUEUE_SIZE = 128, PENDING = 4096, MAX_OUTPUT = 1 << 20 };
enum { RX = 0, TX = 1 };
enum { F_EMERG_WRITE = 2 };
enum { CONFIG_EMERG_WR = 8, CONFIG_SIZE = 12 };

typedef struct HwVirtioConsole {
    HwVirtio parent;
    Chardev *chr;
    uint8_t pending[PENDING]; /* input that the driver had no room for */
    uint32_t n_pending;
} HwVirtioConsole;

typedef struct HwVirtioConsoleClass {
    HwVirtioClass parent;
} HwVirtioConsoleClass;

G_DEFINE_TYPE(HwVirtioConsole, hw_virtio_console, HW_TYPE_VIRTIO)

/* ---- Input ---- */

/* Gives the driver as much of @buf as it has room for; returns that. */
static size_t deliver(HwVirtioConsole *s, const uint8_t *buf, size_t len)
{
    VirtQueue *q = &s->parent.queues[RX];
    size_t done = 0;

    for (unsigned i = 0; i < q->num && done < len; i++) {
        g_autofree VirtqElement *e = virtqueue_pop(q);
        uint64_t n;

        if (!e) {
            break;
        }
        n = virtq_iov_write(e->in, e->n_in, 0, buf + done, len - done);
        virtqueue_push(q, e, n);
        done += n;
    }
    virtqueue_arm(q);
    hw_virtio_publish(&s->parent, RX);
    return done;
}

static size_t console_can_read(void *opaque)
{
    HwVirtioConsole *s = opaque;

    return !s->n_pending && virtqueue_has_work(&s->parent.queues[RX]) ? PENDING : 0;
}

static void console_receive(void *opaque, const uint8_t *buf, size_t len)
{
    HwVirtioConsole *s = opaque;
    size_t done = deliver(s, buf, len);

    s->n_pending = (uint32_t)MIN(len - done, PENDING);
    memcpy(s->pending, buf + done, s->n_pending);
}

static const ChardevFrontend console_frontend = { .can_read = console_can_read,
                                                  .read = console_receive };

static void take_buffers(HwVirtioConsole *s)
{
    size_t done = deliver(s, s->pending, s->n_pending);

    s->n_pending -= (uint32_t)done;
    memmove(s->pending, s->pending + done, s->n_pending);
    if (!s->n_pending && s->chr) {
        chardev_accept_input(s->chr);
    }
}

/* ---- Output ---- */

/* False: the driver wants too much at once. */
static bool write_out(HwVirtioConsole *s, VirtQueue *q, const VirtqElement *e)
{
    if (e->out_len > MAX_OUTPUT) {
        hw_virtio_fail(&s->parent, "%" G_GUINT64_FORMAT " bytes of output at once", e->out_len);
        return false;
    }
    for (int i = 0; i < e->n_out && s->chr; i++) {
        chardev_write(s->chr, e->out[i].iov_base, e->out[i].iov_len);
    }
    virtqueue_push(q, e, 0);
    return true;
}

static bool transmit(HwVirtioConsole *s)
{
    VirtQueue *q = &s->parent.queues[TX];
    bool more = true;

    for (unsigned i = 0; i < q->num && more; i++) {
        g_autofree VirtqElement *e = virtqueue_pop(q);

        more = e ? write_out(s, q, e) : virtqueue_arm(q);
    }
    hw_virtio_publish(&s->parent, TX);
    return more;
}

static bool console_kick(HwVirtio *dev, unsigned n)
{
    HwVirtioConsole *s = (HwVirtioConsole *)dev;

    if (n == TX) {
        return transmit(s);
    }
    take_buffers(s);
    return false;
}

/* ---- Configuration ---- */

static void console_config_read(HwVirtio *dev, uint8_t *config)
{
    config[4] = 1; /* max_nr_ports; the size before it is not offered */
}

static void console_config_write(HwVirtio *dev, uint32_t offset, uint32_t value, unsigned size)
{
    HwVirtioConsole *s = (HwVirtioConsole *)dev;
    uint8_t byte = (uint8_t)value;

    if (offset != CONFIG_EMERG_WR) {
        log_guest_error("virtio-console-device: write at offset %u of the configuration space",
                        offset);
    } else if (s->chr) {
        chardev_write(s->chr, &byte, 1);
    }
}

/* ---- The device object ---- */

static bool console_realize(HwDevice *object, GError **error)
{
    HwVirtioConsole *s = (HwVirtioConsole *)object;

    hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    s->parent.offered |= 1u << F_EMERG_WRITE;
    if (s->chr && !chardev_attach(s->chr, &console_frontend, s, error)) {
        g_prefix_error(error, "virtio-console-device: ");
        return false;
    }
    return true;
}

static void console_unrealize(HwDevice *object)
{
    HwVirtioConsole *s = (HwVirtioConsole *)object;

    if (s->chr) {
        chardev_detach(s->chr, s);
    }
}

static bool console_post_load(HwDevice *object, GError **error)
{
    HwVirtioConsole *s = (HwVirtioConsole *)object;

    if (s->n_pending > PENDING) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "virtio-console-device: pending input out of range");
        return false;
    }
    return HW_DEVICE_CLASS(hw_virtio_console_parent_class)->post_load(object, error);
}

static const StateField console_state[] = {
    HW_FIELD_ARRAY(HwVirtioConsole, pending, STATE_U8, PENDING, 0,
                   "input the driver had no room for"),
    HW_FIELD(HwVirtioConsole, n_pending, STATE_U32, 0, "how much of it"),
    { 0 },
};

static const HwProp console_props[] = {
    HW_PROP(HwVirtioConsole, chr, "chardev", HW_PROP_CHARDEV, 0, "character back end"),
    { 0 },
};

static void hw_virtio_console_init(HwVirtioConsole *s)
{
    (void)s;
}

static void hw_virtio_console_class_init(HwVirtioConsoleClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    dc->model = "virtio-console-device";
    dc->desc = "virtio console with one port";
    dc->user_creatable = true;
    dc->realize = console_realize;
    dc->unrealize = console_unrealize;
    dc->post_load = console_post_load;
    vc->device_id = DEVICE_ID;
    vc->config_size = CONFIG_SIZE;
    vc->config_read = console_config_read;
    vc->config_write = console_config_write;
    vc->kick = console_kick;
    hw_virtio_class_bind_state(vc, console_state);
    hw_device_class_bind_props(dc, console_props);
}
