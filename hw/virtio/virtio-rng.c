/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio entropy source (virtio 1.2, section 5.4). Each chain gets random bytes from the host's kernel, at most MAX_BYTES. With -icount the
 * bytes come from a generator with a fixed seed (SplitMix64), so that runs are alike; its position is part of the state.
 */
#include "hw/virtio/virtio-rng.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include "hw/virtio/virtio.h"
#include "softmmu/cpu.h"

enum { DEVICE_ID = 4, QUEUE_SIZE = 8, MAX_BYTES = 4096 };

typedef struct HwVirtioRng {
    HwVirtio parent;
    uint64_t position; /* of the deterministic generator */
} HwVirtioRng;

typedef struct HwVirtioRngClass {
    HwVirtioClass parent;
} HwVirtioRngClass;

G_DEFINE_TYPE(HwVirtioRng, hw_virtio_rng, HW_TYPE_VIRTIO)

static uint64_t next_deterministic(HwVirtioRng *s)
{
    uint64_t z = s->position += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return GUINT64_TO_LE(z ^ (z >> 31));
}

/* Fills @buf; returns how much could be had. */
static size_t get_bytes(HwVirtioRng *s, uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got;

        if (cpu_icount_enabled()) {
            uint64_t word = next_deterministic(s);

            got = (ssize_t)MIN(len - done, sizeof(word));
            memcpy(buf + done, &word, (size_t)got);
        } else {
            got = getrandom(buf + done, len - done, 0);
        }
        if (got < 0 && errno != EINTR) {
            break;
        }
        done += (size_t)MAX(got, 0);
    }
    return done;
}

static void fill(HwVirtioRng *s, VirtQueue *q, const VirtqElement *e)
{
    uint8_t bytes[MAX_BYTES];
    size_t len = get_bytes(s, bytes, (size_t)MIN(e->in_len, MAX_BYTES));

    virtqueue_push(q, e, virtq_iov_write(e->in, e->n_in, 0, bytes, len));
}

static bool rng_kick(HwVirtio *dev, unsigned n)
{
    VirtQueue *q = &dev->queues[0];
    bool more = true;

    for (unsigned i = 0; i < q->num && more; i++) {
        g_autofree VirtqElement *e = virtqueue_pop(q);

        if (e) {
            fill((HwVirtioRng *)dev, q, e);
        } else {
            more = virtqueue_arm(q);
        }
    }
    hw_virtio_publish(dev, 0);
    return more;
}

static bool rng_realize(HwDevice *object, GError **error)
{
    hw_virtio_add_queue(HW_VIRTIO(object), QUEUE_SIZE);
    return true;
}

static const StateField rng_state[] = {
    HW_FIELD(HwVirtioRng, position, STATE_U64, 0, "position of the deterministic generator"),
    { 0 },
};

static void hw_virtio_rng_init(HwVirtioRng *s)
{
    (void)s;
}

static void hw_virtio_rng_class_init(HwVirtioRngClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    dc->model = "virtio-rng-device";
    dc->desc = "virtio entropy source";
    dc->user_creatable = true;
    dc->realize = rng_realize;
    vc->device_id = DEVICE_ID;
    vc->kick = rng_kick;
    hw_virtio_class_bind_state(vc, rng_state);
    hw_virtio_class_bind_props(vc, NULL);
}
