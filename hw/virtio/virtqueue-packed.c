/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packed virtqueues (virtio 1.2, section 2.8): one ring, in which the driver writes descriptors and the device writes over them what it used. A
 * descriptor's two flags say whose it is, together with the number of times round the ring, of which one bit is kept (the wrap counter). The
 * other two parts say when each side wants to be woken.
 *
 * A position (last_avail, next_used, published) is an index with the wrap counter as its highest bit, as the event suppression structures have it.
 */
#include "hw/virtio/virtqueue-priv.h"

enum { FLAG_AVAIL = 1 << 7, FLAG_USED = 1 << 15 };
enum { DESC_LEN = 8, DESC_ID = 12, DESC_FLAGS = 14 };
enum { EVENT_OFFSET = 0, EVENT_FLAGS = 2, EVENT_SIZE = 4 };
enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_AT = 2 };
enum { WRAP = 0x8000 };

static void packed_sizes(const VirtQueue *q, uint64_t *desc, uint64_t *avail, uint64_t *used)
{
    *desc = (uint64_t)q->num * DESC_SIZE;
    *avail = *used = EVENT_SIZE;
}

static unsigned index_of(uint16_t position)
{
    return position & ~WRAP & 0xffff;
}

/* A state that was loaded may have any position. */
static bool is_sound(VirtQueue *q, uint16_t position)
{
    if (index_of(position) < q->num) {
        return true;
    }
    hw_virtio_fail(q->dev, "position %u of a queue of %u", index_of(position), q->num);
    return false;
}

static uint16_t advance(const VirtQueue *q, uint16_t position, unsigned n)
{
    unsigned index = index_of(position) + n;

    return index < q->num ? (uint16_t)(position + n)
                          : (uint16_t)(((position & WRAP) ^ WRAP) | (index - q->num));
}

/* How far @to is ahead of @from: less than twice round. */
static unsigned distance(const VirtQueue *q, uint16_t from, uint16_t to)
{
    unsigned a = index_of(from) + (from & WRAP ? 0 : q->num);
    unsigned b = index_of(to) + (to & WRAP ? 0 : q->num);

    return (b + 2 * q->num - a) % (2 * q->num);
}

static bool packed_has_work(VirtQueue *q)
{
    bool wrap = q->last_avail & WRAP;
    uint16_t flags;

    if (!is_sound(q, q->last_avail)) {
        return false;
    }
    flags = virtq_get16(q->desc_host + DESC_SIZE * index_of(q->last_avail) + DESC_FLAGS);
    return !!(flags & FLAG_AVAIL) == wrap && !!(flags & FLAG_USED) != wrap;
}

static void packed_arm(VirtQueue *q)
{
    bool at = hw_virtio_has(q->dev, VIRTIO_F_EVENT_IDX);

    if (at) {
        virtq_put16(q->used_host + EVENT_OFFSET, q->last_avail);
    }
    virtq_put16(q->used_host + EVENT_FLAGS, at ? EVENT_AT : EVENT_ENABLE);
}

static VirtqDesc read_desc(const uint8_t *table, unsigned i)
{
    VirtqDesc d = virtq_read_desc(table, i);

    return (VirtqDesc){ d.addr, d.len, d.link, d.flags }; /* the id comes before the flags */
}

/* 2.8.5: a table has its descriptors in order, and only the flag for writing counts. */
static bool walk_table(VirtqChain *c, const VirtqDesc *pointer)
{
    unsigned n;
    const uint8_t *table = virtq_chain_table(c, pointer, &n);

    for (unsigned i = 0; table && i < n; i++) {
        VirtqDesc d = read_desc(table, i);

        if (!virtq_chain_add(c, &d)) {
            return false;
        }
    }
    return table;
}

static bool packed_take(VirtQueue *q, VirtqChain *c, uint16_t *head, uint16_t *slots)
{
    uint16_t position = q->last_avail;

    for (*slots = 1;; ++*slots) {
        VirtqDesc d = read_desc(q->desc_host, index_of(position));

        if (*slots > q->num ||
            ((d.flags & DESC_INDIRECT) && ((d.flags & DESC_NEXT) || c->n_desc))) {
            hw_virtio_fail(q->dev, "a chain is longer than the ring, or has a table in it");
            return false;
        }
        if (!(d.flags & DESC_INDIRECT ? walk_table(c, &d) : virtq_chain_add(c, &d))) {
            return false;
        }
        position = advance(q, position, 1);
        *head = d.link;
        if (!(d.flags & DESC_NEXT)) {
            break;
        }
    }
    q->last_avail = position;
    return true;
}

/* The flags come last: from then on the entry is the driver's. */
static void packed_put(VirtQueue *q, const VirtqElement *e, uint32_t written)
{
    uint8_t *entry = q->desc_host + DESC_SIZE * index_of(q->next_used);
    uint16_t flags = q->next_used & WRAP ? FLAG_AVAIL | FLAG_USED : 0;

    if (!is_sound(q, q->next_used)) {
        return;
    }
    __atomic_store_n((uint32_t *)(entry + DESC_LEN), GUINT32_TO_LE(written), __ATOMIC_RELAXED);
    __atomic_store_n((uint16_t *)(entry + DESC_ID), GUINT16_TO_LE(e->head), __ATOMIC_RELAXED);
    flags |= written ? DESC_WRITE : 0;
    __atomic_store_n((uint16_t *)(entry + DESC_FLAGS), GUINT16_TO_LE(flags), __ATOMIC_RELEASE);
    memory_written(entry, DESC_SIZE);
    q->next_used = advance(q, q->next_used, e->slots);
}

static bool packed_publish(VirtQueue *q)
{
    uint16_t old = q->published, event;

    q->published = q->next_used;
    /* The guest may just be going to sleep: it must see the descriptors, or we its request. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    switch (virtq_get16(q->avail_host + EVENT_FLAGS) & 3) {
    case EVENT_DISABLE:
        return false;
    case EVENT_AT:
        event = virtq_get16(q->avail_host + EVENT_OFFSET);
        return distance(q, old, event) < distance(q, old, q->next_used);
    default:
        return true;
    }
}

const VirtqFormat virtq_packed = {
    .sizes = packed_sizes,
    .has_work = packed_has_work,
    .take = packed_take,
    .put = packed_put,
    .publish = packed_publish,
    .arm = packed_arm,
    .start = WRAP,
};
