/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio 9P device: a folder of the host (fsdev/fsdev.h) that the guest mounts by its tag. Each chain of its one queue is a message of the 9P
 * protocol and room for the answer, which a server of the device's own (fsdev/p9.h) reads and fills in place, off the vCPU threads.
 *
 * What the guest knows of the folder (fids, by path and by what is open) is not in the state table: a machine that has it mounted cannot be saved,
 * and one that is loaded has it not mounted.
 */
#include "hw/virtio/virtio-9p.h"
#include <string.h>
#include "fsdev/fsdev.h"
#include "fsdev/p9.h"
#include "hw/virtio/virtio.h"
#include "util/bytes.h"

enum { DEVICE_ID = 9, QUEUE_SIZE = 128, F_MOUNT_TAG = 0, MAX_TAG = 32 };
/* struct virtio_9p_config */
enum { CONFIG_TAG_LEN = 0, CONFIG_TAG = 2, CONFIG_SIZE = CONFIG_TAG + MAX_TAG };

typedef struct HwVirtio9p {
    HwVirtio parent;
    char *fsdev, *mount_tag;
    P9Server *server;
    P9Worker *worker;
    unsigned in_flight;
} HwVirtio9p;

typedef struct HwVirtio9pClass {
    HwVirtioClass parent;
} HwVirtio9pClass;

G_DEFINE_TYPE(HwVirtio9p, hw_virtio_9p, HW_TYPE_VIRTIO)

typedef struct Job {
    P9Request request;
    VirtqElement *elem;
} Job;

static void jobs_done(P9Request *list, void *opaque)
{
    HwVirtio9p *s = opaque;

    while (list) {
        Job *job = list->opaque;
        uint32_t answered = list->answered;

        list = list->next;
        virtqueue_push(&s->parent.queues[0], job->elem, answered);
        s->in_flight--;
        g_free(job->elem);
        g_free(job);
    }
    hw_virtio_publish(&s->parent, 0);
}

/* False: the chain is no request. */
static bool submit(HwVirtio9p *s, VirtqElement *e)
{
    Job *job;

    if (e->out_len < P9_HEADER || e->in_len < P9_MIN_ROOM ||
        s->in_flight >= s->parent.queues[0].num) {
        hw_virtio_fail(&s->parent, "message without header or room for an answer, or more of them "
                                   "than the queue has entries");
        g_free(e);
        return false;
    }
    job = g_new0(Job, 1);
    job->elem = e;
    job->request = (P9Request){ .out = e->out,
                                .n_out = e->n_out,
                                .out_len = e->out_len,
                                .in = e->in,
                                .n_in = e->n_in,
                                .in_len = e->in_len,
                                .opaque = job };
    s->in_flight++;
    p9_worker_submit(s->worker, &job->request);
    return true;
}

static bool p9_kick(HwVirtio *dev, unsigned n)
{
    HwVirtio9p *s = (HwVirtio9p *)dev;
    VirtQueue *q = &dev->queues[0];
    bool more = true;

    for (unsigned i = 0; i < q->num && more; i++) {
        VirtqElement *e = virtqueue_pop(q);

        more = e ? submit(s, e) : virtqueue_arm(q);
    }
    return more;
}

static void p9_stop(HwVirtio *dev)
{
    HwVirtio9p *s = (HwVirtio9p *)dev;

    p9_worker_drain(s->worker);
    g_assert(!s->in_flight);
}

static void p9_config_read(HwVirtio *dev, uint8_t *config)
{
    HwVirtio9p *s = (HwVirtio9p *)dev;
    size_t len = strlen(s->mount_tag);

    bytes_put_le16(config + CONFIG_TAG_LEN, (uint16_t)len);
    memcpy(config + CONFIG_TAG, s->mount_tag, len);
}

/* ---- The device object ---- */

static bool p9_realize(HwDevice *object, GError **error)
{
    HwVirtio9p *s = (HwVirtio9p *)object;
    Fsdev *fs = s->fsdev ? fsdev_find(s->fsdev) : NULL;
    size_t len = s->mount_tag ? strlen(s->mount_tag) : 0;

    if (!fs) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    s->fsdev ? "virtio-9p-device: fsdev: no -fsdev has the id '%s'"
                             : "virtio-9p-device: fsdev= is missing%s",
                    s->fsdev ? s->fsdev : "");
        return false;
    }
    if (!len || len > MAX_TAG) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "virtio-9p-device: mount_tag: '%s' has not 1 to %d characters",
                    s->mount_tag ? s->mount_tag : "", MAX_TAG);
        return false;
    }
    s->server = p9_server_new(fs);
    s->worker = p9_worker_new(s->server, jobs_done, s);
    hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    s->parent.offered |= 1u << F_MOUNT_TAG;
    return true;
}

static void p9_unrealize(HwDevice *object)
{
    HwVirtio9p *s = (HwVirtio9p *)object;

    p9_worker_drain(s->worker);
    p9_worker_free(s->worker);
    p9_server_free(s->server);
}

static void p9_reset(HwDevice *object)
{
    HwVirtio9p *s = (HwVirtio9p *)object;

    HW_DEVICE_CLASS(hw_virtio_9p_parent_class)->reset(object);
    p9_server_reset(s->server);
}

static void p9_settle(HwDevice *object)
{
    p9_worker_drain(((HwVirtio9p *)object)->worker);
}

static bool p9_can_save(HwDevice *object, GError **error)
{
    HwVirtio9p *s = (HwVirtio9p *)object;

    p9_settle(object);
    if (p9_server_count_fids(s->server)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "virtio-9p-device: the guest has the folder '%s' mounted: its machine cannot "
                    "be saved; umount it first",
                    s->mount_tag);
        return false;
    }
    return true;
}

static bool p9_post_load(HwDevice *object, GError **error)
{
    p9_server_reset(((HwVirtio9p *)object)->server);
    return HW_DEVICE_CLASS(hw_virtio_9p_parent_class)->post_load(object, error);
}

static const HwProp p9_props[] = {
    HW_PROP(HwVirtio9p, fsdev, "fsdev", HW_PROP_STRING, 0, "id of the -fsdev that is shared"),
    HW_PROP(HwVirtio9p, mount_tag, "mount_tag", HW_PROP_STRING, 0,
            "what the guest mounts it by, at most 32 characters"),
    { 0 },
};

static void hw_virtio_9p_init(HwVirtio9p *s)
{
    (void)s;
}

static void hw_virtio_9p_class_init(HwVirtio9pClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    dc->model = "virtio-9p-device";
    dc->desc = "virtio shared folder";
    dc->user_creatable = true;
    dc->realize = p9_realize;
    dc->unrealize = p9_unrealize;
    dc->can_save = p9_can_save;
    dc->settle = p9_settle;
    vc->device_id = DEVICE_ID;
    vc->config_size = CONFIG_SIZE;
    vc->config_read = p9_config_read;
    vc->kick = p9_kick;
    vc->stop = p9_stop;
    hw_virtio_class_bind_state(vc, NULL);
    hw_virtio_class_bind_props(vc, p9_props);
    dc->reset = p9_reset;
    dc->post_load = p9_post_load;
}
