/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtqueues: what does not depend on the kind of ring. Which kind a queue has was agreed on with the driver (VIRTIO_F_RING_PACKED).
 */
#include <inttypes.h>
#include <string.h>
#include "hw/virtio/virtqueue-priv.h"

static const VirtqFormat *format_of(const VirtQueue *q)
{
    return hw_virtio_has(q->dev, VIRTIO_F_RING_PACKED) ? &virtq_packed : &virtq_split;
}

/* ---- Guest memory ---- */

uint16_t virtq_get16(const uint8_t *host)
{
    return GUINT16_FROM_LE(__atomic_load_n((const uint16_t *)host, __ATOMIC_ACQUIRE));
}

void virtq_put16(uint8_t *host, uint16_t value)
{
    __atomic_store_n((uint16_t *)host, GUINT16_TO_LE(value), __ATOMIC_RELEASE);
    memory_written(host, sizeof(value));
}

/* Tables of indirect descriptors need no alignment. The fence keeps the compiler from reading the guest's memory again. */
VirtqDesc virtq_read_desc(const uint8_t *table, unsigned i)
{
    VirtqDesc d;

    memcpy(&d, table + i * DESC_SIZE, DESC_SIZE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return (VirtqDesc){ GUINT64_FROM_LE(d.addr), GUINT32_FROM_LE(d.len), GUINT16_FROM_LE(d.flags),
                        GUINT16_FROM_LE(d.link) };
}

uint8_t *virtq_map(uint64_t addr, uint64_t len, bool write)
{
    uint64_t there = len;
    uint8_t *host = memory_map(addr, &there, write);

    return there == len ? host : NULL;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a < b + b_len && b < a + a_len;
}

static bool parts_are_sound(const VirtQueue *q, uint64_t desc_len, uint64_t avail_len,
                            uint64_t used_len)
{
    return !(q->desc & 15) && !(q->avail & 1) && !(q->used & 3) &&
           !overlap(q->desc, desc_len, q->avail, avail_len) &&
           !overlap(q->desc, desc_len, q->used, used_len) &&
           !overlap(q->avail, avail_len, q->used, used_len);
}

bool virtqueue_size_is_good(const VirtQueue *q, uint32_t num)
{
    return num && num <= q->max &&
           (hw_virtio_has(q->dev, VIRTIO_F_RING_PACKED) || !(num & (num - 1)));
}

bool virtqueue_map(VirtQueue *q)
{
    uint64_t serial = memory_view()->serial, desc_len, avail_len, used_len;

    if (q->map_serial == serial) {
        return true;
    }
    q->map_serial = 0;
    if (!virtqueue_size_is_good(q, q->num)) {
        hw_virtio_fail(q->dev, "queue size %u is impossible", q->num);
        return false;
    }
    format_of(q)->sizes(q, &desc_len, &avail_len, &used_len);
    q->desc_host = virtq_map(q->desc, desc_len, format_of(q) == &virtq_packed);
    q->avail_host = virtq_map(q->avail, avail_len, false);
    q->used_host = virtq_map(q->used, used_len, true);
    if (!q->desc_host || !q->avail_host || !q->used_host ||
        !parts_are_sound(q, desc_len, avail_len, used_len)) {
        hw_virtio_fail(q->dev,
                       "rings at %#" PRIx64 ", %#" PRIx64 ", %#" PRIx64
                       " are not in RAM, misaligned or overlap",
                       q->desc, q->avail, q->used);
        return false;
    }
    q->map_serial = serial;
    return true;
}

void virtqueue_forget(VirtQueue *q)
{
    q->map_serial = 0;
    q->generation++;
}

void virtqueue_rewind(VirtQueue *q)
{
    virtqueue_forget(q);
    q->last_avail = q->next_used = q->published = format_of(q)->start;
}

static bool is_usable(VirtQueue *q)
{
    return q->ready && hw_virtio_is_running(q->dev) && virtqueue_map(q);
}

bool virtqueue_has_work(VirtQueue *q)
{
    return is_usable(q) && format_of(q)->has_work(q);
}

bool virtqueue_arm(VirtQueue *q)
{
    if (!is_usable(q)) {
        return false;
    }
    format_of(q)->arm(q);
    /* The driver must see this, or the next look at the ring its chain. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return format_of(q)->has_work(q);
}

/* ---- Taking chains ---- */

/* Appends a descriptor's buffer, in as many pieces as it has in host memory. */
static bool add_buffer(VirtqChain *c, const VirtqDesc *d)
{
    bool write = d->flags & DESC_WRITE;
    uint64_t addr = d->addr, left = d->len;

    while (left) {
        uint64_t len = left;
        void *host = memory_map(addr, &len, write);

        if (!host || c->n_iov == VIRTQUEUE_MAX_SIZE) {
            hw_virtio_fail(c->q->dev,
                           host ? "a chain has too many pieces"
                                : "buffer at %#" PRIx64 " is not in RAM",
                           addr);
            return false;
        }
        c->iov[c->n_iov++] = (struct iovec){ host, len };
        addr += len;
        left -= len;
    }
    if (write) {
        c->in_len += d->len;
    } else {
        c->out_len += d->len;
        c->n_out = c->n_iov;
    }
    return true;
}

bool virtq_chain_add(VirtqChain *c, const VirtqDesc *d)
{
    if (!(d->flags & DESC_WRITE) && c->in_len) {
        hw_virtio_fail(c->q->dev, "a chain has a readable buffer behind a writable one");
        return false;
    }
    if (++c->n_desc > VIRTQUEUE_MAX_SIZE || c->in_len + c->out_len + d->len > UINT32_MAX) {
        hw_virtio_fail(c->q->dev, "a chain is a loop or longer than 4 GiB");
        return false;
    }
    return add_buffer(c, d);
}

const uint8_t *virtq_chain_table(VirtqChain *c, const VirtqDesc *d, unsigned *n)
{
    const uint8_t *table = virtq_map(d->addr, d->len, false);

    *n = d->len / DESC_SIZE;
    if (!hw_virtio_has(c->q->dev, VIRTIO_F_INDIRECT_DESC) || !*n || *n > VIRTQUEUE_MAX_SIZE ||
        d->len % DESC_SIZE || !table) {
        hw_virtio_fail(c->q->dev,
                       "table of indirect descriptors at %#" PRIx64 ", %u bytes, is wrong", d->addr,
                       d->len);
        return NULL;
    }
    return table;
}

static VirtqElement *make_element(const VirtqChain *c, uint16_t head, uint16_t slots,
                                  uint16_t position)
{
    VirtqElement *e = g_malloc(sizeof(*e) + c->n_iov * sizeof(struct iovec));

    memcpy(e->iov, c->iov, c->n_iov * sizeof(struct iovec));
    e->head = head;
    e->slots = slots;
    e->position = position;
    e->generation = c->q->generation;
    e->out = e->iov;
    e->n_out = (int)c->n_out;
    e->in = e->iov + c->n_out;
    e->n_in = (int)(c->n_iov - c->n_out);
    e->out_len = c->out_len;
    e->in_len = c->in_len;
    return e;
}

VirtqElement *virtqueue_pop(VirtQueue *q)
{
    VirtqChain c;
    uint16_t head, slots, position = q->last_avail;

    if (!virtqueue_has_work(q)) {
        return NULL;
    }
    c.q = q;
    c.n_desc = c.n_out = c.n_iov = 0;
    c.out_len = c.in_len = 0;
    return format_of(q)->take(q, &c, &head, &slots) ? make_element(&c, head, slots, position)
                                                    : NULL;
}

void virtqueue_unpop(VirtQueue *q, const VirtqElement *first)
{
    if (first->generation == q->generation) {
        q->last_avail = first->position;
    }
}

/* ---- Giving back ---- */

/* Tells the code cache what the device wrote. */
static void report_written(const VirtqElement *e, uint64_t written)
{
    for (int i = 0; i < e->n_in && written; i++) {
        uint64_t len = MIN(written, e->in[i].iov_len);

        memory_written(e->in[i].iov_base, len);
        written -= len;
    }
}

void virtqueue_push(VirtQueue *q, const VirtqElement *e, uint64_t written)
{
    report_written(e, written);
    if (e->generation == q->generation && is_usable(q)) {
        format_of(q)->put(q, e, (uint32_t)written);
    }
}

bool virtqueue_publish(VirtQueue *q)
{
    return is_usable(q) && q->next_used != q->published && format_of(q)->publish(q);
}

/* ---- Buffers ---- */

static uint64_t copy(const struct iovec *iov, int n, uint64_t at, uint8_t *buf, uint64_t len,
                     bool write)
{
    uint64_t done = 0;

    for (int i = 0; i < n && done < len; i++) {
        uint64_t size = iov[i].iov_len, piece;
        uint8_t *host = iov[i].iov_base;

        if (at >= size) {
            at -= size;
            continue;
        }
        piece = MIN(size - at, len - done);
        memcpy(write ? host + at : buf + done, write ? buf + done : host + at, piece);
        done += piece;
        at = 0;
    }
    return done;
}

uint64_t virtq_iov_read(const struct iovec *iov, int n, uint64_t at, void *buf, uint64_t len)
{
    return copy(iov, n, at, buf, len, false);
}

uint64_t virtq_iov_write(const struct iovec *iov, int n, uint64_t at, const void *buf, uint64_t len)
{
    return copy(iov, n, at, (uint8_t *)buf, len, true);
}

void virtq_iov_trim_front(struct iovec **iov, int *n, uint64_t len)
{
    while (len) {
        struct iovec *first = *iov;
        uint64_t piece;

        g_assert(*n > 0);
        piece = MIN(first->iov_len, len);
        first->iov_base = (uint8_t *)first->iov_base + piece;
        first->iov_len -= piece;
        len -= piece;
        if (!first->iov_len) {
            ++*iov;
            --*n;
        }
    }
}

void virtq_iov_trim_back(struct iovec *iov, int *n, uint64_t len)
{
    while (len) {
        struct iovec *last;
        uint64_t piece;

        g_assert(*n > 0);
        last = &iov[*n - 1];
        piece = MIN(last->iov_len, len);
        last->iov_len -= piece;
        len -= piece;
        if (!last->iov_len) {
            --*n;
        }
    }
}
