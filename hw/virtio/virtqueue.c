/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues. The driver adds heads of descriptor chains to the available ring, the device returns them in the used ring; each
 * side tells with flags, or with an index in the other's ring (VIRTIO_F_EVENT_IDX), when it wants to be woken.
 *
 * Chains are bounded by VIRTQUEUE_MAX_SIZE descriptors, so loops end; a table of indirect descriptors may end a chain of direct
 * ones and contains no further table (2.7.5.3.1).
 */
#include "hw/virtio/virtqueue.h"
#include <inttypes.h>
#include <string.h>
#include "hw/virtio/virtio.h"

enum { DESC_SIZE = 16, DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1 };
enum { RING = 4, USED_ELEM = 8 }; /* both rings begin with flags and index */

typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
} Desc;

/* A chain on its way to an element. */
typedef struct Chain {
    VirtQueue *q;
    const uint8_t *table; /* where the next descriptor is looked up */
    unsigned table_size;
    bool indirect;
    unsigned n_desc, n_out, n_iov;
    uint64_t out_len, in_len;
    struct iovec iov[VIRTQUEUE_MAX_SIZE];
} Chain;

/* ---- Guest memory ---- */

static uint16_t get16(const uint8_t *host)
{
    return GUINT16_FROM_LE(__atomic_load_n((const uint16_t *)host, __ATOMIC_ACQUIRE));
}

static void put16(uint8_t *host, uint16_t value)
{
    __atomic_store_n((uint16_t *)host, GUINT16_TO_LE(value), __ATOMIC_RELEASE);
    memory_written(host, sizeof(value));
}

/* Tables of indirect descriptors need no alignment. The fence keeps the compiler from reading the guest's memory again. */
static Desc read_desc(const uint8_t *table, unsigned i)
{
    Desc d;

    memcpy(&d, table + i * DESC_SIZE, DESC_SIZE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return (Desc){ GUINT64_FROM_LE(d.addr), GUINT32_FROM_LE(d.len), GUINT16_FROM_LE(d.flags),
                   GUINT16_FROM_LE(d.next) };
}

/* All of [@addr, @addr + @len) as host memory, or NULL. */
static uint8_t *map_whole(uint64_t addr, uint64_t len, bool write)
{
    uint64_t there = len;
    uint8_t *host = memory_map(addr, &there, write);

    return there == len ? host : NULL;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a < b + b_len && b < a + a_len;
}

/* ---- The rings ---- */

static bool rings_are_sound(const VirtQueue *q, uint64_t desc_len, uint64_t avail_len,
                            uint64_t used_len)
{
    return !(q->desc & 15) && !(q->avail & 1) && !(q->used & 3) &&
           !overlap(q->desc, desc_len, q->avail, avail_len) &&
           !overlap(q->desc, desc_len, q->used, used_len) &&
           !overlap(q->avail, avail_len, q->used, used_len);
}

bool virtqueue_map(VirtQueue *q)
{
    unsigned event = hw_virtio_has(q->dev, VIRTIO_F_EVENT_IDX) ? 2 : 0;
    uint64_t desc_len = (uint64_t)q->num * DESC_SIZE, avail_len = RING + 2ull * q->num + event;
    uint64_t used_len = RING + (uint64_t)USED_ELEM * q->num + event;
    const FlatView *view = memory_view();

    if (q->view == view) {
        return true;
    }
    q->view = NULL;
    if (!q->num || q->num > q->max || (q->num & (q->num - 1))) {
        hw_virtio_fail(q->dev, "queue size %u is impossible", q->num);
        return false;
    }
    q->desc_host = map_whole(q->desc, desc_len, false);
    q->avail_host = map_whole(q->avail, avail_len, false);
    q->used_host = map_whole(q->used, used_len, true);
    if (!q->desc_host || !q->avail_host || !q->used_host ||
        !rings_are_sound(q, desc_len, avail_len, used_len)) {
        hw_virtio_fail(q->dev,
                       "rings at %#" PRIx64 ", %#" PRIx64 ", %#" PRIx64
                       " are not in RAM, misaligned or overlap",
                       q->desc, q->avail, q->used);
        return false;
    }
    q->view = view;
    return true;
}

void virtqueue_forget(VirtQueue *q)
{
    q->view = NULL;
    q->generation++;
}

static bool is_usable(VirtQueue *q)
{
    return q->ready && hw_virtio_is_running(q->dev) && virtqueue_map(q);
}

/* How many chains are available; 0 also if the index is absurd (the device is failed). */
static unsigned count_available(VirtQueue *q)
{
    uint16_t n = (uint16_t)(get16(q->avail_host + 2) - q->last_avail);

    if (n > q->num) {
        hw_virtio_fail(q->dev, "available index is %u entries ahead of a queue of %u", n, q->num);
        return 0;
    }
    return n;
}

bool virtqueue_has_work(VirtQueue *q)
{
    return is_usable(q) && count_available(q) > 0;
}

static uint8_t *avail_event(const VirtQueue *q)
{
    return q->used_host + RING + USED_ELEM * q->num;
}

/* Until it is armed again, the driver's next chains lie behind the index it is asked to notify at: it stays quiet while the device is
 * at work. Without event indices it always notifies. */
bool virtqueue_arm(VirtQueue *q)
{
    if (!is_usable(q)) {
        return false;
    }
    if (hw_virtio_has(q->dev, VIRTIO_F_EVENT_IDX)) {
        put16(avail_event(q), q->last_avail);
        /* The driver must see this, or the next look at the ring its chain. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    return count_available(q) > 0;
}

/* ---- Taking chains ---- */

/* Appends a descriptor's buffer, in as many pieces as it has in host memory. */
static bool add_buffer(Chain *c, const Desc *d)
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

static bool enter_table(Chain *c, const Desc *d)
{
    unsigned n = d->len / DESC_SIZE;

    c->table = map_whole(d->addr, d->len, false);
    if (c->indirect || !hw_virtio_has(c->q->dev, VIRTIO_F_INDIRECT_DESC) ||
        (d->flags & DESC_NEXT) || !n || n > VIRTQUEUE_MAX_SIZE || d->len % DESC_SIZE || !c->table) {
        hw_virtio_fail(c->q->dev,
                       "table of indirect descriptors at %#" PRIx64 ", %u bytes, is wrong", d->addr,
                       d->len);
        return false;
    }
    c->indirect = true;
    c->table_size = n;
    return true;
}

static bool add_desc(Chain *c, const Desc *d)
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

static bool walk_chain(Chain *c, unsigned i)
{
    for (;;) {
        Desc d;

        if (i >= c->table_size) {
            hw_virtio_fail(c->q->dev, "descriptor %u is outside its table of %u", i, c->table_size);
            return false;
        }
        d = read_desc(c->table, i);
        if (d.flags & DESC_INDIRECT) {
            if (!enter_table(c, &d)) {
                return false;
            }
            i = 0;
            continue;
        }
        if (!add_desc(c, &d)) {
            return false;
        }
        if (!(d.flags & DESC_NEXT)) {
            return true;
        }
        i = d.next;
    }
}

static VirtqElement *make_element(const Chain *c, uint16_t head)
{
    VirtqElement *e = g_malloc(sizeof(*e) + c->n_iov * sizeof(struct iovec));

    memcpy(e->iov, c->iov, c->n_iov * sizeof(struct iovec));
    e->head = head;
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
    Chain c;
    uint16_t head;

    if (!is_usable(q) || !count_available(q)) {
        return NULL;
    }
    head = get16(q->avail_host + RING + 2 * (q->last_avail & (q->num - 1)));
    c.q = q;
    c.table = q->desc_host;
    c.table_size = q->num;
    c.indirect = false;
    c.n_desc = c.n_out = c.n_iov = 0;
    c.out_len = c.in_len = 0;
    if (!walk_chain(&c, head)) {
        return NULL;
    }
    q->last_avail++;
    return make_element(&c, head);
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
    uint8_t *entry;

    report_written(e, written);
    if (e->generation != q->generation || !is_usable(q)) {
        return;
    }
    entry = q->used_host + RING + USED_ELEM * (q->next_used & (q->num - 1));
    __atomic_store_n((uint32_t *)entry, GUINT32_TO_LE((uint32_t)e->head), __ATOMIC_RELAXED);
    __atomic_store_n((uint32_t *)(entry + 4), GUINT32_TO_LE((uint32_t)written), __ATOMIC_RELAXED);
    memory_written(entry, USED_ELEM);
    q->next_used++;
}

bool virtqueue_publish(VirtQueue *q)
{
    uint16_t old = q->published, event;

    if (!is_usable(q) || q->next_used == old) {
        return false;
    }
    put16(q->used_host + 2, q->next_used);
    q->published = q->next_used;
    /* The guest may just be going to sleep: it must see the index, or we its request. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!hw_virtio_has(q->dev, VIRTIO_F_EVENT_IDX)) {
        return !(get16(q->avail_host) & AVAIL_NO_INTERRUPT);
    }
    event = get16(q->avail_host + RING + 2 * q->num);
    return (uint16_t)(q->next_used - event - 1) < (uint16_t)(q->next_used - old);
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
