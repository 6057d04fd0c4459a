/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queues of the NVMe controller (NVM Express Base 1.4, 4.1): doorbells, taking commands, posting answers, interrupts.
 *
 * A run takes a bounded number of commands, begins them together, and the next one begins with another queue; a timer that is due at once goes on
 * with the rest, so that a driver that adds commands as fast as they are taken does not hold the machine lock for ever. A queue whose answers have
 * no room, or that finds the disk's requests used up, is looked at again when the driver has taken answers, or when requests are finished.
 */
#include "hw/block/nvme-priv.h"

#include <string.h>
#include "util/bytes.h"
#include "util/log.h"

enum { MAX_COMMANDS = 256 }; /* in one run */

void nvme_fail(HwNvme *s, const char *what)
{
    if (!(s->csts & NVME_CSTS_CFS)) {
        log_guest_error("nvme: %s; waiting for a reset", what);
        s->csts |= NVME_CSTS_CFS;
    }
}

static bool is_at_work(const HwNvme *s)
{
    return (s->csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)) == NVME_CSTS_RDY &&
           hw_pci_is_master(&s->parent);
}

/* ---- Rings ---- */

/* All of the ring in the host's memory, or NULL: it is not (any more) in guest RAM. */
static uint8_t *ring_host(HwNvme *s, NvmeRing *ring, unsigned entry, bool write)
{
    uint64_t serial = memory_view()->serial;

    if (ring->view_serial != serial) {
        uint64_t bytes = (uint64_t)ring->size * entry, n = bytes;

        ring->host = hw_pci_dma_map(&s->parent, ring->addr, &n, write);
        if (!ring->host || n < bytes) {
            return NULL;
        }
        ring->view_serial = serial;
    }
    return ring->host;
}

static uint16_t make_ring(HwNvme *s, NvmeRing *ring, uint64_t addr, unsigned size, unsigned entry,
                          bool write)
{
    *ring = (NvmeRing){ .addr = addr, .size = (uint16_t)size };
    if (addr & (nvme_page_size(s) - 1)) {
        ring->size = 0;
        return NVME_INVALID_PRP_OFFSET;
    }
    if (!ring_host(s, ring, entry, write)) {
        ring->size = 0;
        return NVME_INVALID_FIELD;
    }
    return NVME_OK;
}

uint16_t nvme_make_sq(HwNvme *s, unsigned n, uint64_t addr, unsigned size, unsigned cq)
{
    s->sqs[n].cq = (uint16_t)cq;
    s->top = MAX(s->top, n);
    return make_ring(s, &s->sqs[n].ring, addr, size, NVME_SQE, false);
}

uint16_t nvme_make_cq(HwNvme *s, unsigned n, uint64_t addr, unsigned size)
{
    s->cqs[n] = (NvmeCq){ .phase = true };
    s->top = MAX(s->top, n);
    return make_ring(s, &s->cqs[n].ring, addr, size, NVME_CQE, true);
}

static bool ring_is_good(const NvmeRing *r, unsigned max)
{
    return !r->size || (r->size >= 2 && r->size <= max && r->head < r->size && r->tail < r->size);
}

bool nvme_rings_are_good(const HwNvme *s)
{
    for (unsigned i = 0; i < NVME_N_QUEUES; i++) {
        const NvmeSq *sq = &s->sqs[i];
        unsigned max = i ? NVME_MAX_ENTRIES : NVME_PAGE;

        if (!ring_is_good(&sq->ring, max) || !ring_is_good(&s->cqs[i].ring, max) ||
            (i > s->max_ioqpairs && (sq->ring.size || s->cqs[i].ring.size)) ||
            (sq->ring.size && (sq->cq > s->max_ioqpairs || !s->cqs[sq->cq].ring.size))) {
            return false;
        }
    }
    return true;
}

static unsigned used(const NvmeRing *r)
{
    return r->tail >= r->head ? r->tail - r->head : r->tail + r->size - r->head;
}

/* An entry of the completion queue is free that no command under way is going to need. */
static bool has_room(const NvmeCq *cq)
{
    return used(&cq->ring) + cq->reserved + 1 < cq->ring.size;
}

static uint16_t after(const NvmeRing *r, uint16_t at)
{
    return at + 1 == r->size ? 0 : (uint16_t)(at + 1);
}

/* ---- Answers ---- */

void nvme_unreserve(HwNvme *s, unsigned sq)
{
    s->cqs[s->sqs[sq].cq].reserved--;
}

static void note_error(HwNvme *s, unsigned sq, uint16_t cid, uint16_t status)
{
    s->n_errors++;
    s->error = (NvmeError){ (uint16_t)sq, cid, status };
}

void nvme_complete(HwNvme *s, unsigned sq, uint16_t cid, uint16_t status, uint32_t result)
{
    NvmeCq *cq = &s->cqs[s->sqs[sq].cq];
    uint8_t entry[NVME_CQE] = { 0 }, *host;

    cq->reserved--;
    if (!s->sqs[sq].ring.size || (s->csts & NVME_CSTS_CFS)) {
        return; /* a reset came first */
    }
    if (status) {
        note_error(s, sq, cid, status);
    }
    host = ring_host(s, &cq->ring, NVME_CQE, true);
    if (!host) {
        nvme_fail(s, "a completion queue is not in memory any more");
        return;
    }
    host += cq->ring.tail * NVME_CQE;
    bytes_put_le32(entry, result);
    bytes_put_le16(entry + 8, s->sqs[sq].ring.head);
    bytes_put_le16(entry + 10, (uint16_t)sq);
    memcpy(host, entry, 12);
    /* The driver looks at the phase: it must be the last that it sees. */
    __atomic_store_n((uint32_t *)(host + 12),
                     GUINT32_TO_LE(cid | (uint32_t)(status << 1 | cq->phase) << 16),
                     __ATOMIC_RELEASE);
    memory_written(host, NVME_CQE);
    cq->ring.tail = after(&cq->ring, cq->ring.tail);
    cq->phase ^= !cq->ring.tail;
    cq->dirty = true;
}

/* Messages for new entries; the pin is up as long as there are entries (7.5.1). */
void nvme_interrupt(HwNvme *s)
{
    bool messages = hw_pci_has_messages(&s->parent), level = false;

    for (unsigned i = 0; i <= s->top; i++) {
        NvmeCq *cq = &s->cqs[i];

        if (!cq->ring.size || !cq->interrupts) {
            continue;
        }
        if (cq->dirty && messages) {
            hw_pci_notify(&s->parent, cq->vector);
        }
        cq->dirty = false;
        level |= cq->ring.head != cq->ring.tail &&
                 (cq->vector >= 32 || !(s->interrupt_mask >> cq->vector & 1));
    }
    if (level != s->parent.intx_level) {
        hw_pci_set_intx(&s->parent, level);
    }
}

/* ---- Commands ---- */

static void fetch(NvmeCommand *c, const uint8_t *from)
{
    uint32_t d[NVME_SQE / 4];

    memcpy(d, from, sizeof(d)); /* once: the driver may write there meanwhile */
    for (unsigned i = 0; i < G_N_ELEMENTS(d); i++) {
        d[i] = GUINT32_FROM_LE(d[i]);
    }
    *c = (NvmeCommand){ .opcode = (uint8_t)d[0],
                        .flags = (uint8_t)(d[0] >> 8),
                        .cid = (uint16_t)(d[0] >> 16),
                        .nsid = d[1],
                        .prp1 = d[6] | (uint64_t)d[7] << 32,
                        .prp2 = d[8] | (uint64_t)d[9] << 32,
                        .cdw10 = d[10],
                        .cdw11 = d[11],
                        .cdw12 = d[12],
                        .cdw13 = d[13],
                        .cdw14 = d[14],
                        .cdw15 = d[15] };
}

static void start(HwNvme *s, unsigned n, const NvmeCommand *c)
{
    s->cqs[s->sqs[n].cq].reserved++;
    if (c->flags & (NVME_FLAG_FUSED | NVME_FLAG_PSDT)) {
        log_guest_error("nvme: a fused command or one with SGLs, which are not supported");
        nvme_complete(s, n, c->cid, NVME_INVALID_FIELD, 0);
    } else if (n) {
        nvme_io(s, n, c);
    } else {
        nvme_admin(s, c);
    }
}

/* Takes not more than @*left. True: there is more to take. */
static bool run_queue(HwNvme *s, unsigned n, unsigned *left)
{
    NvmeSq *sq = &s->sqs[n];

    for (; sq->ring.size && sq->ring.head != sq->ring.tail; --*left) {
        const uint8_t *host = ring_host(s, &sq->ring, NVME_SQE, false);
        NvmeCommand c;

        if (!host) {
            nvme_fail(s, "a submission queue is not in memory any more");
        }
        if (s->csts & NVME_CSTS_CFS) {
            break;
        }
        if (!*left) {
            return true;
        }
        if (s->in_flight >= NVME_MAX_IN_FLIGHT || !has_room(&s->cqs[sq->cq])) {
            return false;
        }
        fetch(&c, host + sq->ring.head * NVME_SQE);
        sq->ring.head = after(&sq->ring, sq->ring.head);
        start(s, n, &c);
    }
    s->work[n / 64] &= ~(1ull << n % 64);
    return false;
}

static bool has_work(const HwNvme *s)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(s->work); i++) {
        if (s->work[i]) {
            return true;
        }
    }
    return false;
}

static bool run_queues(HwNvme *s)
{
    unsigned n = s->top + 1, left = MAX_COMMANDS;
    bool more = false;

    block_plug();
    for (unsigned i = 0; i < n; i++) {
        unsigned q = (s->first + i) % n;

        if (s->work[q / 64] >> q % 64 & 1) {
            more |= run_queue(s, q, &left);
        }
    }
    s->first = (s->first + 1) % n;
    block_unplug();
    return more;
}

void nvme_run(HwNvme *s)
{
    bool more = false;

    if (s->running || s->stopping) {
        return;
    }
    s->running = true;
    if (has_work(s) && is_at_work(s)) {
        more = run_queues(s);
    }
    s->running = false;
    nvme_interrupt(s);
    if (more) {
        nvme_run_later(s);
    }
}

void nvme_run_later(HwNvme *s)
{
    timer_set(&s->again, clock_now(CLOCK_VIRTUAL));
}

void nvme_look_for_work(HwNvme *s)
{
    for (unsigned i = 0; i < NVME_N_QUEUES; i++) {
        if (s->sqs[i].ring.size) {
            s->work[i / 64] |= 1ull << i % 64;
        }
    }
    nvme_run_later(s);
}

void nvme_drain(HwNvme *s, unsigned sq)
{
    s->stopping = true;
    s->stopping_sq = sq;
    block_drain(s->blk);
    s->stopping = false;
    g_assert(sq != NVME_ALL_QUEUES || !s->in_flight);
    nvme_io_go_on(s);
    if (has_work(s)) {
        nvme_run_later(s);
    }
}

/* ---- Doorbells ---- */

static void wrong_doorbell(HwNvme *s, unsigned n, uint32_t value, unsigned info)
{
    log_guest_error("nvme: %u is written to the doorbell of %s queue %u, which %s", value,
                    n & 1 ? "completion" : "submission", n / 2,
                    info == NVME_ERROR_DOORBELL_REGISTER ? "does not exist" : "cannot be");
    nvme_event(s, NVME_EVENT_ERROR, info, NVME_LOG_ERROR);
    nvme_interrupt(s);
}

void nvme_doorbell(HwNvme *s, unsigned n, uint32_t value)
{
    unsigned q = n / 2;
    NvmeRing *ring;

    if (!(s->csts & NVME_CSTS_RDY) || q > s->max_ioqpairs) {
        wrong_doorbell(s, n, value, NVME_ERROR_DOORBELL_REGISTER);
        return;
    }
    ring = n & 1 ? &s->cqs[q].ring : &s->sqs[q].ring;
    if (!ring->size) {
        wrong_doorbell(s, n, value, NVME_ERROR_DOORBELL_REGISTER);
        return;
    }
    if (value >= ring->size ||
        ((n & 1) && (value + ring->size - ring->head) % ring->size > used(ring))) {
        wrong_doorbell(s, n, value, NVME_ERROR_DOORBELL_VALUE);
        return;
    }
    if (n & 1) {
        ring->head = (uint16_t)value;
        nvme_report_events(s);
    } else {
        ring->tail = (uint16_t)value;
        s->work[q / 64] |= 1ull << q % 64;
    }
    nvme_run(s);
}
