/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues (virtio 1.2, section 2.7). The driver adds heads of descriptor chains to the available ring, the device returns them in the used
 * ring; each side tells with flags, or with an index in the other's ring (VIRTIO_F_EVENT_IDX), when it wants to be woken.
 *
 * Chains are bounded by VIRTQUEUE_MAX_SIZE descriptors, so loops end; a table of indirect descriptors may end a chain of direct ones and contains
 * no further table (2.7.5.3.1).
 */
#include <inttypes.h>
#include "hw/virtio/virtqueue-priv.h"

enum { AVAIL_NO_INTERRUPT = 1 };
enum { RING = 4, USED_ELEM = 8 }; /* both rings begin with flags and index */

static void split_sizes(const VirtQueue *q, uint64_t *desc, uint64_t *avail, uint64_t *used)
{
    unsigned event = hw_virtio_has(q->dev, VIRTIO_F_EVENT_IDX) ? 2 : 0;

    *desc = (uint64_t)q->num * DESC_SIZE;
    *avail = RING + 2ull * q->num + event;
    *used = RING + (uint64_t)USED_ELEM * q->num + event;
}

/* An index that is absurd fails the device. */
static bool split_has_work(VirtQueue *q)
{
    uint16_t n = (uint16_t)(virtq_get16(q->avail_host + 2) - q->last_avail);

    if (n > q->num) {
        hw_virtio_fail(q->dev, "available index is %u entries ahead of a queue of %u", n, q->num);
        return false;
    }
    return n;
}

/* Until it is armed again, the driver's next chains lie behind the index it is asked to notify at: it stays quiet while the device is
 * at work. Without event indices it always notifies. */
static void split_arm(VirtQueue *q)
{
    if (hw_virtio_has(q->dev, VIRTIO_F_EVENT_IDX)) {
        virtq_put16(q->used_host + RING + USED_ELEM * q->num, q->last_avail);
    }
}

static bool walk_chain(VirtqChain *c, unsigned i)
{
    const uint8_t *table = c->q->desc_host;
    unsigned size = c->q->num;
    bool indirect = false;

    for (;;) {
        VirtqDesc d;

        if (i >= size) {
            hw_virtio_fail(c->q->dev, "descriptor %u is outside its table of %u", i, size);
            return false;
        }
        d = virtq_read_desc(table, i);
        if (d.flags & DESC_INDIRECT) {
            table = indirect || (d.flags & DESC_NEXT) ? NULL : virtq_chain_table(c, &d, &size);
            if (!table) {
                hw_virtio_fail(c->q->dev, "a table of indirect descriptors within a chain");
                return false;
            }
            indirect = true;
            i = 0;
            continue;
        }
        if (!virtq_chain_add(c, &d)) {
            return false;
        }
        if (!(d.flags & DESC_NEXT)) {
            return true;
        }
        i = d.link;
    }
}

static bool split_take(VirtQueue *q, VirtqChain *c, uint16_t *head, uint16_t *slots)
{
    *head = virtq_get16(q->avail_host + RING + 2 * (q->last_avail & (q->num - 1)));
    *slots = 1;
    if (!walk_chain(c, *head)) {
        return false;
    }
    q->last_avail++;
    return true;
}

static void split_put(VirtQueue *q, const VirtqElement *e, uint32_t written)
{
    uint8_t *entry = q->used_host + RING + USED_ELEM * (q->next_used & (q->num - 1));

    __atomic_store_n((uint32_t *)entry, GUINT32_TO_LE((uint32_t)e->head), __ATOMIC_RELAXED);
    __atomic_store_n((uint32_t *)(entry + 4), GUINT32_TO_LE(written), __ATOMIC_RELAXED);
    memory_written(entry, USED_ELEM);
    q->next_used++;
}

static bool split_publish(VirtQueue *q)
{
    uint16_t old = q->published, event;

    virtq_put16(q->used_host + 2, q->next_used);
    q->published = q->next_used;
    /* The guest may just be going to sleep: it must see the index, or we its request. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!hw_virtio_has(q->dev, VIRTIO_F_EVENT_IDX)) {
        return !(virtq_get16(q->avail_host) & AVAIL_NO_INTERRUPT);
    }
    event = virtq_get16(q->avail_host + RING + 2 * q->num);
    return (uint16_t)(q->next_used - event - 1) < (uint16_t)(q->next_used - old);
}

const VirtqFormat virtq_split = {
    .sizes = split_sizes,
    .has_work = split_has_work,
    .take = split_take,
    .put = split_put,
    .publish = split_publish,
    .arm = split_arm,
};
